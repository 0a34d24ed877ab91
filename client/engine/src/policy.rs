//! The room's rules as a pure state machine: one record of moderation turns a policy into the next one.
//!
//! The policy is in the group context (RFC 9420 section 8.1), so all members of an epoch hold the same one. A commit
//! that changes it carries exactly one [`Record`]; every member recomputes [`RoomPolicy::apply`] and refuses the
//! commit if the result differs. The record names the hash of the previous record: the log of moderation is a hash chain
//! inside the chain of epochs. `docs/protocol.md` section 7.

use hearth_protocol::{Digest, MemberKey, Millis, Role, RoomNumbers, Signature};
use minicbor::{Decode, Encode};

pub use super::record::{Act, Category, Pin, Record};

use super::{
    agreement::{AckError, Acknowledgement, Agreement, Change},
    companion::Companion,
    more::More,
};

/// Characters of a title.
pub const TITLE_CHARS_MAX: usize = 80;
/// Characters of a process comment or an announcement.
pub const COMMENT_CHARS_MAX: usize = 1000;
/// Messages pinned at the same time.
pub const PINS_MAX: usize = 5;
/// Keys of former members that the policy remembers.
pub const REVOKED_MAX: usize = 1000;
/// Members with another role than member: the policy lists each one, and every commit that changes the policy carries the list.
pub const ROLES_MAX: usize = 64;
/// Agreement versions with valid acknowledgements at one time.
pub(super) const ACCEPTED_MAX: usize = 32;
/// Amendments withdrawn or superseded since the last one that took effect.
pub(super) const DRAFTS_MAX: usize = 32;

/// The rules that all members of an epoch agree on.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct RoomPolicy {
    /// Layout of this record; 2.
    #[n(0)]
    pub format: u16,
    /// The title.
    #[n(1)]
    pub title: String,
    /// The agreement that new members acknowledge.
    #[n(2)]
    pub agreement: AgreementRef,
    /// Versions whose acknowledgement is valid: the current one, and those from which it differs only editorially.
    #[n(3)]
    pub accepted: Vec<Digest>,
    /// A material amendment that takes effect later.
    #[n(4)]
    pub pending: Option<AgreementRef>,
    /// Roles other than member, sorted by key.
    #[n(5)]
    pub roles: Vec<RoleEntry>,
    /// The numbers that the relay enforces, too.
    #[n(6)]
    pub numbers: RoomNumbers,
    /// Characters of one message; 0: the engine's limit.
    #[n(7)]
    pub message_chars_max: u32,
    /// The opening hours as they were typed.
    #[n(8)]
    pub hours_text: String,
    /// Pinned messages, newest last.
    #[n(9)]
    pub pins: Vec<Pin>,
    /// Keys of members who left or were removed. A returning member makes a new key and acknowledges with it, so that
    /// no acknowledgement from before the departure admits again.
    #[n(10)]
    pub revoked: Vec<MemberKey>,
    /// The newest record of moderation.
    #[n(11)]
    pub record: Record,
    /// Reserved; absent in this version.
    #[n(12)]
    pub desk: Option<minicbor::bytes::ByteArray<16>>,
    /// Material amendments that were withdrawn or superseded before they took effect. An acknowledgement of one stays valid until
    /// its member signs a later version; cleared when an amendment takes effect.
    #[n(13)]
    pub drafts: Vec<Draft>,
    /// Empty in this version.
    #[n(14)]
    pub more: More,
}

/// A version of the agreement that never took effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Draft {
    /// See [`Agreement::id`].
    #[n(0)]
    pub id: Digest,
    /// Number of the version, which no other version gets.
    #[n(1)]
    pub version: u32,
}

/// An agreement's id and number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct AgreementRef {
    /// See [`Agreement::id`].
    #[n(0)]
    pub id: Digest,
    /// Number of the version.
    #[n(1)]
    pub version: u32,
    /// Time from which it may take effect.
    #[n(2)]
    pub effective: Millis,
}

impl From<&Agreement> for AgreementRef {
    fn from(agreement: &Agreement) -> Self {
        Self { id: agreement.id(), version: agreement.version, effective: agreement.effective }
    }
}

/// A role other than member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct RoleEntry {
    /// The member's key.
    #[n(0)]
    pub member: MemberKey,
    /// Their role.
    #[n(1)]
    pub role: Role,
}

/// Why an act is forbidden or impossible.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// The actor's role does not allow it.
    #[error("only a facilitator may do that")]
    NotFacilitator,
    /// The room would be left without a facilitator.
    #[error("the room would be left without a facilitator")]
    LastFacilitator,
    /// The record does not continue the chain.
    #[error("the record does not continue the room's log")]
    BrokenChain,
    /// The room is locked, so no member is admitted.
    #[error("the room is locked")]
    Locked,
    /// The acknowledgement is missing or invalid.
    #[error("no good acknowledgement: {0}")]
    NotAcknowledged(#[from] AckError),
    /// The target is not in the room.
    #[error("there is no such member")]
    NoSuchMember,
    /// The target is in the room already.
    #[error("that member is in the room already")]
    AlreadyMember,
    /// The room has as many members as its suite allows, given here.
    #[error("the room is full: it holds {0} members")]
    Full(usize),
    /// [`ROLES_MAX`] members have a role already.
    #[error("{ROLES_MAX} members have a role of their own already")]
    TooManyRoles,
    /// `DRAFTS_MAX` amendments were withdrawn or superseded already.
    #[error("{DRAFTS_MAX} amendments were given up already; let one take effect")]
    TooManyDrafts,
    /// A text or list exceeds its bound.
    #[error("longer than the room's rules allow")]
    TooLong,
    /// The version of the amendment is not the next one.
    #[error(
        "that version of the agreement is not the next one: another amendment was made at the same time"
    )]
    NotNextVersion,
    /// A number is out of range.
    #[error("the numbers are out of range")]
    OutOfRange,
    /// There is nothing to change.
    #[error("there is nothing to change")]
    Nothing,
    /// A signature inside the act does not verify.
    #[error("a signature inside the act does not verify")]
    BadSignature,
}

/// The rules' view of a leaf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// The room key, which is the leaf's signature key.
    pub member: MemberKey,
    /// The display name.
    pub name: String,
    /// The acknowledgement in the leaf.
    pub acknowledgement: Acknowledgement,
    /// The companion in the leaf.
    pub companion: Companion,
}

/// Everything that decides an act besides the policy.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'a> {
    /// The room.
    pub room: hearth_protocol::RoomId,
    /// Maximum number of members.
    pub members_max: usize,
    /// The roster before the act.
    pub roster: &'a [Leaf],
    /// The leaf that the commit adds, if any.
    pub added: Option<&'a Leaf>,
    /// The actor's acknowledgement after the commit.
    pub actor_acknowledgement: &'a Acknowledgement,
}

/// A policy after an act, and the members that the act adds and removes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The new policy.
    pub policy: RoomPolicy,
    /// Leaves that the commit must remove, no more and no fewer, sorted.
    pub removed: Vec<MemberKey>,
    /// The leaf that the commit must add, and no other.
    pub added: Option<MemberKey>,
}

impl RoomPolicy {
    /// Returns the policy of a new room.
    pub fn found(
        title: String,
        agreement: AgreementRef,
        founder: MemberKey,
        now: Millis,
        numbers: RoomNumbers,
    ) -> Self {
        Self {
            format: 2,
            title,
            agreement,
            accepted: vec![agreement.id],
            pending: None,
            roles: vec![RoleEntry { member: founder, role: Role::Facilitator }],
            numbers,
            message_chars_max: 0,
            hours_text: String::new(),
            pins: Vec::new(),
            revoked: Vec::new(),
            record: Record {
                number: 1,
                previous: Digest([0; 32]),
                actor: founder,
                at: now,
                act: Act::Found,
            },
            desk: None,
            drafts: Vec::new(),
            more: More,
        }
    }

    /// Returns the role of a key; member if it has no other.
    pub fn role(&self, member: &MemberKey) -> Role {
        self.roles.iter().find(|r| r.member == *member).map_or(Role::Member, |r| r.role)
    }

    /// Returns the keys of facilitators and co-facilitators.
    pub fn moderators(&self) -> Vec<MemberKey> {
        self.roles.iter().filter(|r| r.role.moderates()).map(|r| r.member).collect()
    }

    /// Judges an acknowledgement for admission or for staying in the room.
    ///
    /// # Errors
    /// The reason why it is invalid.
    pub fn judge_acknowledgement(
        &self,
        room: &hearth_protocol::RoomId,
        member: &MemberKey,
        ack: &Acknowledgement,
    ) -> Result<(), AckError> {
        ack.verify(room, member)?;
        let known = [Some(self.agreement), self.pending];
        let number = known.into_iter().flatten().find(|a| a.id == ack.agreement);
        let good = match number {
            Some(agreement) => ack.version == agreement.version,
            // An earlier version that differs editorially only, or a draft.
            None => {
                let earlier =
                    self.accepted.contains(&ack.agreement) && ack.version < self.agreement.version;
                earlier || self.drafts.contains(&Draft { id: ack.agreement, version: ack.version })
            }
        };
        if !good {
            return Err(AckError::OtherAgreement);
        }
        if self.revoked.contains(member) {
            return Err(AckError::Revoked);
        }
        Ok(())
    }

    /// Returns the next record, with the given act.
    pub fn record_for(&self, actor: MemberKey, at: Millis, act: Act) -> Record {
        Record {
            number: self.record.number.saturating_add(1),
            previous: self.record.digest(),
            actor,
            at,
            act,
        }
    }

    /// Applies a record. Only this function decides who may do what.
    ///
    /// It is deterministic and reads no clock, so that all honest members agree forever.
    ///
    /// # Errors
    /// The first rule that forbids it.
    pub fn apply(&self, scene: Scene<'_>, record: &Record) -> Result<Applied, RuleError> {
        let follows = record.number == self.record.number.saturating_add(1)
            && record.previous == self.record.digest();
        if !follows {
            return Err(RuleError::BrokenChain);
        }
        self.authorise(record)?;
        self.carry_out(scene, record)
    }

    /// Returns the policy after an act, without checking its actor's role.
    ///
    /// # Errors
    /// The first rule, besides the actor's role, that forbids it.
    pub(super) fn carry_out(
        &self,
        scene: Scene<'_>,
        record: &Record,
    ) -> Result<Applied, RuleError> {
        let mut applied = Applied { policy: self.clone(), removed: Vec::new(), added: None };
        let next = &mut applied.policy;
        next.record = record.clone();
        match &record.act {
            Act::Found => return Err(RuleError::Nothing),
            Act::Admit { member, acknowledgement, countersignature, role } => {
                let leaf = scene.added.ok_or(RuleError::NoSuchMember)?;
                self.admit(scene, record, leaf, (*member, *acknowledgement, *countersignature))?;
                set_role(&mut next.roles, *member, *role)?;
                applied.added = Some(*member);
            }
            Act::Remove { member, goodbye, .. } => {
                bounded(goodbye, COMMENT_CHARS_MAX)?;
                next.take_out(scene, *member)?;
                applied.removed = vec![*member];
            }
            Act::Depart(departure) => {
                if !departure.verify(&scene.room) {
                    return Err(RuleError::BadSignature);
                }
                let leaf = in_roster(scene, &departure.member)?;
                // A departure ends one stay: a re-admitted member has another acknowledgement.
                if leaf.acknowledgement.digest() != departure.acknowledgement {
                    return Err(RuleError::NoSuchMember);
                }
                next.take_out(scene, departure.member)?;
                applied.removed = vec![departure.member];
            }
            Act::SetRole { member, role } => {
                in_roster(scene, member)?;
                if self.role(member) == *role {
                    return Err(RuleError::Nothing);
                }
                set_role(&mut next.roles, *member, *role)?;
                next.keeps_a_facilitator()?;
            }
            Act::Pause { until, comment } => {
                bounded(comment, COMMENT_CHARS_MAX)?;
                if *until <= record.at {
                    return Err(RuleError::OutOfRange);
                }
                next.numbers.paused_until = *until;
            }
            Act::Resume => {
                if self.numbers.paused_until == Millis(0) {
                    return Err(RuleError::Nothing);
                }
                next.numbers.paused_until = Millis(0);
            }
            Act::Slow(seconds) => next.numbers.slow_seconds = *seconds,
            Act::Budget(posts) => next.numbers.budget_per_day = *posts,
            Act::Length(chars) => {
                next.message_chars_max = *chars;
                next.numbers.payload_bytes_max = payload_bytes_max(*chars);
            }
            Act::Lock(on) => {
                if self.numbers.locked == *on {
                    return Err(RuleError::Nothing);
                }
                next.numbers.locked = *on;
            }
            Act::Hours { text, hours } => {
                bounded(text, COMMENT_CHARS_MAX)?;
                if hours.as_ref().is_some_and(|h| !h.is_well_formed()) {
                    return Err(RuleError::OutOfRange);
                }
                next.hours_text.clone_from(text);
                next.numbers.hours.clone_from(hours);
            }
            Act::Door(door) => next.numbers.door = *door,
            Act::Announce(text) => bounded(text, COMMENT_CHARS_MAX)?,
            Act::Pin(pin) => {
                next.pins.retain(|p| p != pin);
                next.pins.push(*pin);
                if next.pins.len() > PINS_MAX {
                    next.pins.remove(0);
                }
            }
            Act::Unpin(pin) => {
                next.pins.retain(|p| p != pin);
                if next.pins.len() == self.pins.len() {
                    return Err(RuleError::Nothing);
                }
            }
            Act::Retract { message, seq, .. } => {
                let gone = Pin { message: *message, seq: *seq };
                next.pins.retain(|p| *p != gone);
            }
            Act::Rekey | Act::Timeout(_) | Act::Untimeout(_) => {}
            Act::Amend { agreement, change } => next.amend(*agreement, *change)?,
            Act::Withdraw => {
                self.pending.ok_or(RuleError::Nothing)?;
                next.shelve_pending()?;
            }
            Act::Enact => {
                let pending = self.pending.ok_or(RuleError::Nothing)?;
                if record.at < pending.effective {
                    return Err(RuleError::OutOfRange);
                }
                if scene.actor_acknowledgement.agreement != pending.id {
                    return Err(RuleError::NotAcknowledged(AckError::OtherAgreement));
                }
                applied.removed = scene
                    .roster
                    .iter()
                    .filter(|l| {
                        l.member != record.actor && l.acknowledgement.agreement != pending.id
                    })
                    .map(|l| l.member)
                    .collect();
                applied.removed.sort_unstable();
                next.roles.retain(|r| !applied.removed.contains(&r.member));
                next.agreement = pending;
                next.accepted = vec![pending.id];
                next.pending = None;
                next.drafts.clear();
                next.keeps_a_facilitator()?;
            }
            Act::Expire(seconds) => {
                if !(3600..=10 * 365 * 24 * 3600).contains(seconds) {
                    return Err(RuleError::OutOfRange);
                }
                next.numbers.retention_seconds = *seconds;
            }
        }
        Ok(applied)
    }

    /// Checks the actor's role only.
    fn authorise(&self, record: &Record) -> Result<(), RuleError> {
        let role = self.role(&record.actor);
        let allowed = match &record.act {
            Act::Depart(_) => true,
            Act::SetRole { member, role: new } => {
                let touches_moderators = new.moderates() || self.role(member).moderates();
                role == Role::Facilitator || (role.moderates() && !touches_moderators)
            }
            Act::Admit { role: new, .. } => {
                role == Role::Facilitator || (role.moderates() && !new.moderates())
            }
            Act::Remove { member, .. } => {
                role == Role::Facilitator || (role.moderates() && !self.role(member).moderates())
            }
            Act::Amend { .. } | Act::Enact | Act::Withdraw | Act::Expire(_) => {
                role == Role::Facilitator
            }
            _ => role.moderates(),
        };
        allowed.then_some(()).ok_or(RuleError::NotFacilitator)
    }

    fn admit(
        &self,
        scene: Scene<'_>,
        record: &Record,
        leaf: &Leaf,
        named: (MemberKey, Digest, Signature),
    ) -> Result<(), RuleError> {
        let (member, acknowledgement, countersignature) = named;
        let ack = &leaf.acknowledgement;
        if self.numbers.locked {
            return Err(RuleError::Locked);
        }
        if leaf.member != member || ack.digest() != acknowledgement {
            return Err(RuleError::NotAcknowledged(AckError::OtherMember));
        }
        if scene.roster.iter().any(|l| l.member == member) {
            return Err(RuleError::AlreadyMember);
        }
        if scene.roster.len() >= scene.members_max {
            return Err(RuleError::Full(scene.members_max));
        }
        self.judge_acknowledgement(&scene.room, &member, ack)?;
        // An admission requires the current version; older ones are valid only for present members.
        let pending = self.pending.as_ref().map(|p| p.id);
        if ack.agreement != self.agreement.id && pending != Some(ack.agreement) {
            return Err(RuleError::NotAcknowledged(AckError::OtherAgreement));
        }
        ack.judge_dates(record.at).map_err(RuleError::NotAcknowledged)?;
        let transcript =
            super::agreement::countersign_transcript(&scene.room, &acknowledgement, record.at);
        let signed =
            hearth_protocol::handshake::verify(&record.actor, &transcript, &countersignature);
        if !signed {
            return Err(RuleError::BadSignature);
        }
        Ok(())
    }

    fn take_out(&mut self, scene: Scene<'_>, member: MemberKey) -> Result<(), RuleError> {
        in_roster(scene, &member)?;
        self.roles.retain(|r| r.member != member);
        self.revoked.push(member);
        if self.revoked.len() > REVOKED_MAX {
            self.revoked.remove(0);
        }
        self.keeps_a_facilitator()
    }

    fn amend(&mut self, agreement: AgreementRef, change: Change) -> Result<(), RuleError> {
        if agreement.version != self.next_version() {
            return Err(RuleError::NotNextVersion);
        }
        match change {
            Change::Initial => return Err(RuleError::OutOfRange),
            Change::Material => {
                self.shelve_pending()?;
                self.pending = Some(agreement);
            }
            Change::Editorial => {
                if self.pending.is_some() || self.accepted.len() >= ACCEPTED_MAX {
                    return Err(RuleError::OutOfRange);
                }
                self.agreement = agreement;
                self.accepted.push(agreement.id);
            }
        }
        Ok(())
    }

    /// Returns the number of the next version of the agreement, which no draft uses.
    pub fn next_version(&self) -> u32 {
        let pending = self.pending.map(|p| p.version);
        let used = self.drafts.iter().map(|d| d.version).chain(pending);
        used.fold(self.agreement.version, u32::max).saturating_add(1)
    }

    /// Turns the pending amendment, if any, into a draft.
    fn shelve_pending(&mut self) -> Result<(), RuleError> {
        if let Some(AgreementRef { id, version, .. }) = self.pending.take() {
            self.drafts.push(Draft { id, version });
        }
        (self.drafts.len() <= DRAFTS_MAX).then_some(()).ok_or(RuleError::TooManyDrafts)
    }

    fn keeps_a_facilitator(&self) -> Result<(), RuleError> {
        let any = self.roles.iter().any(|r| r.role == Role::Facilitator);
        any.then_some(()).ok_or(RuleError::LastFacilitator)
    }
}

fn in_roster<'a>(scene: Scene<'a>, member: &MemberKey) -> Result<&'a Leaf, RuleError> {
    scene.roster.iter().find(|l| l.member == *member).ok_or(RuleError::NoSuchMember)
}

fn set_role(roles: &mut Vec<RoleEntry>, member: MemberKey, role: Role) -> Result<(), RuleError> {
    roles.retain(|r| r.member != member);
    if role != Role::Member {
        let at = roles.partition_point(|r| r.member < member);
        roles.insert(at, RoleEntry { member, role });
    }
    (roles.len() <= ROLES_MAX).then_some(()).ok_or(RuleError::TooManyRoles)
}

fn bounded(text: &str, chars_max: usize) -> Result<(), RuleError> {
    (text.chars().count() <= chars_max).then_some(()).ok_or(RuleError::TooLong)
}

/// Maximum ciphertext bytes of a message with so many characters, for the relay to enforce.
fn payload_bytes_max(chars: u32) -> u32 {
    /// Maximum CBOR around the text, with the most windows that a message has, and maximum MLS around the padded content.
    const ENVELOPE_BYTES: usize = 400;
    const MLS_BYTES: usize = 512;
    if chars == 0 {
        return 0;
    }
    let content = usize::try_from(chars).unwrap_or(usize::MAX).saturating_mul(4);
    let buckets = hearth_protocol::limits::PADDING_BUCKETS;
    let padded = buckets.into_iter().find(|b| content.saturating_add(ENVELOPE_BYTES) <= *b);
    padded.map_or(0, |b| u32::try_from(b + MLS_BYTES).unwrap_or(0))
}
