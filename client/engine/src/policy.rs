//! The room's rules as a pure state machine: one record of moderation turns a policy into the next one.
//!
//! The policy is in the group context (RFC 9420 section 8.1), so all members of an epoch hold the same one. A commit
//! that changes it carries exactly one [`Record`]; every member recomputes [`RoomPolicy::apply`] and refuses the
//! commit if the result differs. The record names the hash of the previous record: the log of moderation is a hash chain
//! inside the chain of epochs. `docs/protocol.md` section 7.

mod act;
mod breach;
mod device;
mod ending;
mod farewell;
mod more;
mod second;
mod waiting;

use hearth_protocol::{Digest, MemberKey, Millis, Role, RoomId, RoomNumbers};
use minicbor::{Decode, Encode};

pub use self::{
    act::{Act, Admission},
    breach::BREACH_UNTIL,
    device::{Device, KEPT_MAX, KeptPlace},
    ending::{Closing, Ending, NOTICE_MILLIS},
    farewell::{FAREWELLS_MAX, Farewell, Planned},
    second::{
        LONG_TIMEOUT_MILLIS, PROPOSAL_MILLIS, PROPOSALS_MAX, Proposal, Second, Weighty,
        proposal_digest,
    },
    waiting::{WAITING_MAX, Waiter},
};
pub use super::record::{Category, Pin, Record};

use super::{
    agreement::{AckError, Acknowledgement, Agreement, answers_digest},
    companion::Companion,
    lane,
    more::PolicyMore,
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
pub(crate) const ACCEPTED_MAX: usize = 32;
/// Amendments withdrawn or superseded since the last one that took effect.
pub(crate) const DRAFTS_MAX: usize = 32;

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
    /// Salt of the desk's id; `None`: the room has no lanes.
    #[n(12)]
    pub desk: Option<minicbor::bytes::ByteArray<16>>,
    /// Material amendments that were withdrawn or superseded before they took effect. An acknowledgement of one stays valid until
    /// its member signs a later version; cleared when an amendment takes effect.
    #[n(13)]
    pub drafts: Vec<Draft>,
    /// What later features keep.
    #[n(14)]
    pub more: PolicyMore,
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
    /// Hash of the right answers to its questions; `None` if it asks none.
    #[n(3)]
    pub answers: Option<Digest>,
}

impl AgreementRef {
    /// Whether these are the answers to the agreement's questions.
    fn takes(&self, answers: &[String]) -> bool {
        answers_digest(&self.id, answers) == self.answers
    }
}

impl From<&Agreement> for AgreementRef {
    fn from(agreement: &Agreement) -> Self {
        let id = agreement.id();
        let answers = answers_digest(&id, &agreement.right_answers());
        Self { id, version: agreement.version, effective: agreement.effective, answers }
    }
}

/// The agreements that hold at one time.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Terms {
    /// See [`RoomPolicy::agreement`].
    #[n(0)]
    pub agreement: AgreementRef,
    /// See [`RoomPolicy::pending`].
    #[n(1)]
    pub pending: Option<AgreementRef>,
    /// See [`RoomPolicy::accepted`].
    #[n(2)]
    pub accepted: Vec<Digest>,
    /// See [`RoomPolicy::drafts`].
    #[n(3)]
    pub drafts: Vec<Draft>,
}

impl Terms {
    /// Judges an acknowledgement by them, whether or not its member is still in the room.
    ///
    /// # Errors
    /// The reason why it is invalid.
    pub fn judge(
        &self,
        room: &RoomId,
        member: &MemberKey,
        ack: &Acknowledgement,
    ) -> Result<(), AckError> {
        judge(self.agreement, self.pending, &self.accepted, &self.drafts, (room, member), ack)
    }
}

fn judge(
    agreement: AgreementRef,
    pending: Option<AgreementRef>,
    accepted: &[Digest],
    drafts: &[Draft],
    (room, member): (&RoomId, &MemberKey),
    ack: &Acknowledgement,
) -> Result<(), AckError> {
    ack.verify(room, member)?;
    let number = [Some(agreement), pending].into_iter().flatten().find(|a| a.id == ack.agreement);
    if number.is_some_and(|agreement| !agreement.takes(&ack.answers)) {
        return Err(AckError::WrongAnswers);
    }
    let good = match number {
        Some(agreement) => ack.version == agreement.version,
        // An earlier version that differs editorially only, or a draft.
        None => {
            let earlier = accepted.contains(&ack.agreement) && ack.version < agreement.version;
            earlier || drafts.contains(&Draft { id: ack.agreement, version: ack.version })
        }
    };
    good.then_some(()).ok_or(AckError::OtherAgreement)
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
    /// A room with lanes has at most so many who moderate.
    #[error(
        "{} members moderate already, as many as a room with private lines to its moderators allows",
        lane::BENCH_MAX
    )]
    TooManyModerators,
    /// [`ROLES_MAX`] members have a role already.
    #[error("{ROLES_MAX} members have a role of their own already")]
    TooManyRoles,
    /// [`KEPT_MAX`] places are kept for lost devices.
    #[error("{KEPT_MAX} places are kept for lost devices already")]
    TooManyKept,
    /// A new device comes back under another name than the lost one's.
    #[error("the new device has another name than the one that it replaces")]
    OtherName,
    /// No goodbye is planned for that member, or not for now.
    #[error("no goodbye is planned for that member, or its day has not come")]
    NoFarewell,
    /// By the room's rule, another moderator than the one who planned the goodbye ends the place.
    #[error("in this room another moderator than the one who planned the goodbye ends the place")]
    OwnFarewell,
    /// [`FAREWELLS_MAX`] goodbyes are planned.
    #[error("{FAREWELLS_MAX} goodbyes are planned already")]
    TooManyFarewells,
    /// Words to the room are missing.
    #[error("it needs words to the room")]
    NoWords,
    /// By the room's rule, another moderator has to confirm it.
    #[error("in this room that takes two moderators")]
    NeedsSecond,
    /// Nobody else moderates, who could confirm.
    #[error("nobody else moderates the room")]
    NoSecond,
    /// No proposal has this number, or it has lapsed.
    #[error("there is no such proposal, or it has lapsed")]
    NoProposal,
    /// A moderator confirms what they proposed themselves.
    #[error("another moderator than the one who proposed it has to confirm it")]
    OwnProposal,
    /// The confirmation is of something else than was proposed.
    #[error("that is not what was proposed")]
    OtherProposal,
    /// [`PROPOSALS_MAX`] proposals wait.
    #[error("{PROPOSALS_MAX} proposals wait already")]
    TooManyProposals,
    /// The group has ended.
    #[error("the group has ended")]
    Ended,
    /// The end of the group is announced too late.
    #[error("the end of a group is announced 14 days before, or with a reason why it comes sooner")]
    TooSoon,
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
    /// An admission does not say that it is a return, or says so of somebody for whom no place is kept.
    #[error("the room keeps a place for that member, and the act says otherwise")]
    NotReturning,
    /// A member who waits would come back with another name, role or line than they had.
    #[error("they come back with the name, the role and the private line that they had")]
    OtherPlace,
    /// A breach is open, which the act would pass by.
    #[error("a breach is open: the room is paused until it is closed")]
    BreachOpen,
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
    pub room: RoomId,
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
            more: PolicyMore::default(),
        }
    }

    /// Returns the role of a key; member if it has no other.
    pub fn role(&self, member: &MemberKey) -> Role {
        self.roles.iter().find(|r| r.member == *member).map_or(Role::Member, |r| r.role)
    }

    /// Returns the keys of those who let members in.
    pub fn doorkeepers(&self) -> Vec<MemberKey> {
        self.roles.iter().filter(|r| r.role.admits()).map(|r| r.member).collect()
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
        room: &RoomId,
        member: &MemberKey,
        ack: &Acknowledgement,
    ) -> Result<(), AckError> {
        judge(self.agreement, self.pending, &self.accepted, &self.drafts, (room, member), ack)?;
        if self.revoked.contains(member) {
            return Err(AckError::Revoked);
        }
        Ok(())
    }

    /// Returns the agreements that hold.
    pub fn terms(&self) -> Terms {
        Terms {
            agreement: self.agreement,
            pending: self.pending,
            accepted: self.accepted.clone(),
            drafts: self.drafts.clone(),
        }
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

    /// Applies a record: only if its actor may, and as [`Act`] says.
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
        if !self.allows(record) {
            return Err(RuleError::NotFacilitator);
        }
        self.check_ended(record)?;
        let weighty = matches!(record.act, Act::Remove { .. } | Act::Remember { .. });
        if self.takes_two() && weighty {
            return Err(RuleError::NeedsSecond);
        }
        self.carry_out(scene, record)
    }

    /// Returns the maximum number of members, given that of the room's suite: each lane is a group that moderators keep.
    fn members_max(&self, suite: usize) -> usize {
        if self.desk.is_some() { suite.min(lane::MEMBERS_MAX) } else { suite }
    }

    /// Returns the number of the next version of the agreement, which no draft uses.
    pub fn next_version(&self) -> u32 {
        let pending = self.pending.map(|p| p.version);
        let used = self.drafts.iter().map(|d| d.version).chain(pending);
        used.fold(self.agreement.version, u32::max).saturating_add(1)
    }
}
