//! Every act of moderation: its form on the wire, its word, who may do it, and what it does to the policy.

use hearth_protocol::{
    Digest, Effect, MemberKey, MessageId, Millis, Role, Secret32, Seq, Signature,
    frame::Door,
    handshake,
    hours::Hours,
    limits::{EXPIRE_SECONDS_MAX, EXPIRE_SECONDS_MIN, PADDING_BUCKETS},
};
use minicbor::{Decode, Encode};

use super::{
    ACCEPTED_MAX, AgreementRef, Applied, COMMENT_CHARS_MAX, Category, Closing, DRAFTS_MAX, Device,
    Draft, Farewell, Leaf, PINS_MAX, Pin, REVOKED_MAX, Record, RoleEntry, RoomPolicy, RuleError,
    Scene, Second, Weighty,
};
use crate::agreement::{AckError, Change, Departure, countersign_transcript};

/// An act of moderation. `docs/protocol.md` section 7.4 lists the roles that may do each.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Act {
    /// The room was founded.
    #[n(0)]
    Found,
    /// A member was admitted; the commit adds exactly that leaf.
    #[n(1)]
    Admit {
        /// The new leaf's key.
        #[n(0)]
        member: MemberKey,
        /// Digest of the acknowledgement in that leaf.
        #[n(1)]
        acknowledgement: Digest,
        /// The actor's signature over [`crate::agreement::countersign_transcript`].
        #[n(2)]
        countersignature: Signature,
        /// The new member's role.
        #[n(3)]
        role: Role,
        /// Whether they come back to the place that was kept for them.
        #[n(4)]
        back: bool,
    },
    /// A member was removed; the commit removes exactly that leaf.
    #[n(2)]
    Remove {
        /// The removed member's key.
        #[n(0)]
        member: MemberKey,
        /// The facilitator's words to the room. No reason stands here, because every member's device has the record.
        #[n(1)]
        goodbye: String,
    },
    /// A member's own departure was carried out; the commit removes exactly that leaf.
    #[n(3)]
    Depart(#[n(0)] Departure),
    /// A role changed.
    #[n(4)]
    SetRole {
        /// The member's key.
        #[n(0)]
        member: MemberKey,
        /// The new role.
        #[n(1)]
        role: Role,
    },
    /// Only facilitators post for a while.
    #[n(5)]
    Pause {
        /// The end, after which posts are accepted again.
        #[n(0)]
        until: Millis,
        /// The facilitator's words to the room.
        #[n(1)]
        comment: String,
        /// Whether the room opens at the end even if nobody moderates it then. Otherwise members' programs hold their words
        /// until the next opening, or until a moderator is on duty.
        #[n(2)]
        reopens: bool,
    },
    /// The pause ended early.
    #[n(6)]
    Resume,
    /// Minimum seconds between two posts of one member; 0: none.
    #[n(7)]
    Slow(#[n(0)] u32),
    /// Posts of one member in a day; 0: unlimited.
    #[n(8)]
    Budget(#[n(0)] u32),
    /// Characters of one message; 0: the engine's limit.
    #[n(9)]
    Length(#[n(0)] u32),
    /// No member is admitted while locked.
    #[n(10)]
    Lock(#[n(0)] bool),
    /// Opening hours; `None`: always open.
    #[n(11)]
    Hours {
        /// The hours as typed.
        #[n(0)]
        text: String,
        /// The hours as numbers.
        #[n(1)]
        hours: Option<Hours>,
    },
    /// The room is opened or closed regardless of the hours, or follows them again.
    #[n(12)]
    Door(#[n(0)] Door),
    /// A highlighted message from a facilitator.
    #[n(15)]
    Announce(#[n(0)] String),
    /// A message was pinned.
    #[n(16)]
    Pin(#[n(0)] Pin),
    /// A message was unpinned.
    #[n(17)]
    Unpin(#[n(0)] Pin),
    /// A facilitator retracted a message.
    #[n(18)]
    Retract {
        /// The message's id.
        #[n(0)]
        message: MessageId,
        /// The message's place in the room's log.
        #[n(1)]
        seq: Seq,
        /// The reason.
        #[n(2)]
        category: Category,
    },
    /// New keys, same roster.
    #[n(19)]
    Rekey,
    /// A new version of the agreement was issued.
    #[n(20)]
    Amend {
        /// The new version.
        #[n(0)]
        agreement: AgreementRef,
        /// An editorial change takes effect with this record, a material one with [`Act::Enact`].
        #[n(1)]
        change: Change,
    },
    /// The pending version took effect; the commit removes exactly the members who did not acknowledge it, and keeps their places.
    #[n(21)]
    Enact,
    /// Entries are deleted after this many seconds.
    #[n(22)]
    Expire(#[n(0)] u64),
    /// A member got a time-out. This is the commitment to a sealed note with member, end and reason.
    #[n(24)]
    Timeout(#[n(0)] Digest),
    /// A time-out ended early; the commitment to a sealed note.
    #[n(25)]
    Untimeout(#[n(0)] Digest),
    /// The pending amendment was withdrawn.
    #[n(26)]
    Withdraw,
    /// Something got outside: the room is paused, with new keys, until everybody has acknowledged the agreement again or waits.
    #[n(27)]
    OpenBreach {
        /// The actor's words to the room.
        #[n(0)]
        words: String,
        /// Secret of the invite by which members return who are out when it is closed.
        #[n(1)]
        return_secret: Secret32,
    },
    /// Talk goes on; the commit removes exactly the members who have not acknowledged again, and keeps their places.
    #[n(28)]
    CloseBreach {
        /// The actor's words to the room.
        #[n(0)]
        words: String,
    },
    /// A member changes to another device.
    #[n(30)]
    Device(#[n(0)] Device),
    /// The end of the group is announced, moved or called off.
    #[n(31)]
    CloseGroup(#[n(0)] Closing),
    /// A step of the two-person rule.
    #[n(32)]
    Second(#[n(0)] Second),
    /// A step of a planned goodbye.
    #[n(33)]
    Farewell(#[n(0)] Farewell),
    /// A member died: their key is closed. The commit removes exactly that leaf.
    #[n(34)]
    Remember {
        /// The member's key.
        #[n(0)]
        member: MemberKey,
        /// Words to the room.
        #[n(1)]
        words: String,
    },
}

/// What a record says of the leaf that its commit adds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admission {
    /// The new leaf's key.
    pub member: MemberKey,
    /// Digest of the acknowledgement in that leaf.
    pub acknowledgement: Digest,
    /// The actor's signature over [`crate::agreement::countersign_transcript`].
    pub countersignature: Signature,
}

impl Act {
    /// Returns the word in logs and JSON.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Found => "found",
            Self::Admit { .. } => "admit",
            Self::Remove { .. } => "remove",
            Self::Depart(_) => "leave",
            Self::SetRole { .. } => "role",
            Self::Pause { .. } => "pause",
            Self::Resume => "resume",
            Self::Slow(_) => "slow",
            Self::Budget(_) => "budget",
            Self::Length(_) => "len",
            Self::Lock(true) => "lock",
            Self::Lock(false) => "unlock",
            Self::Hours { .. } => "hours",
            Self::Door(Door::Open) => "open",
            Self::Door(Door::Closed) => "close",
            Self::Door(Door::ByHours) => "by_hours",
            Self::Timeout(_) => "timeout",
            Self::Untimeout(_) => "untimeout",
            Self::Announce(_) => "announce",
            Self::Pin(_) => "pin",
            Self::Unpin(_) => "unpin",
            Self::Retract { .. } => "retract",
            Self::Rekey => "rekey",
            Self::Amend { .. } => "amend",
            Self::Enact => "enact",
            Self::Expire(_) => "expire",
            Self::Withdraw => "withdraw_amendment",
            Self::OpenBreach { .. } => "breach_open",
            Self::CloseBreach { .. } => "breach_close",
            Self::Device(step) => step.as_str(),
            Self::CloseGroup(closing) => closing.as_str(),
            Self::Second(step) => step.as_str(),
            Self::Farewell(step) => step.as_str(),
            Self::Remember { .. } => "remember",
        }
    }

    /// Returns the member that the act names, if any.
    pub const fn target(&self) -> Option<MemberKey> {
        match self {
            Self::Admit { member, .. }
            | Self::Remove { member, .. }
            | Self::Remember { member, .. }
            | Self::SetRole { member, .. } => Some(*member),
            Self::Farewell(step) => Some(step.member()),
            Self::Depart(departure) => Some(departure.member),
            Self::Device(step) => Some(step.target()),
            Self::Second(step) => step.takes_out(),
            _ => None,
        }
    }

    /// Returns whom the act removes, with the words to the room, if it does.
    pub fn removal(&self) -> Option<(MemberKey, &str)> {
        match self {
            Self::Remove { member, goodbye }
            | Self::Second(Second::Confirm { what: Weighty::Remove { member, goodbye }, .. }) => {
                Some((*member, goodbye))
            }
            _ => None,
        }
    }

    /// Returns what the act says of the leaf that its commit adds, if it adds one.
    pub const fn admission(&self) -> Option<Admission> {
        match self {
            Self::Admit { member, acknowledgement, countersignature, .. } => Some(Admission {
                member: *member,
                acknowledgement: *acknowledgement,
                countersignature: *countersignature,
            }),
            Self::Device(step) => step.admission(),
            _ => None,
        }
    }

    /// Returns the one member whom the act takes out for good, if it takes out any.
    pub const fn takes_out(&self) -> Option<MemberKey> {
        match self {
            Self::Remove { member, .. }
            | Self::Remember { member, .. }
            | Self::Device(Device::Lost { member }) => Some(*member),
            Self::Depart(departure) => Some(departure.member),
            Self::Second(step) => step.takes_out(),
            Self::Farewell(step) => step.takes_out(),
            _ => None,
        }
    }

    /// Returns what the relay is told besides leaves that go and numbers that change, if anything.
    pub(crate) const fn effect(&self) -> Option<Effect> {
        match self {
            Self::SetRole { member, role } => {
                Some(Effect::SetRole { member: *member, role: *role })
            }
            Self::Retract { seq, .. } => Some(Effect::Retract { seq: *seq, own: None }),
            _ => None,
        }
    }
}

impl RoomPolicy {
    /// Whether the actor's role allows the act.
    pub(super) fn allows(&self, record: &Record) -> bool {
        let role = self.role(&record.actor);
        let (facilitates, moderates) = (role == Role::Facilitator, role.moderates());
        match &record.act {
            Act::Depart(_) => true,
            Act::SetRole { member, role: new } => {
                let appoints = new.admits() || self.role(member).admits();
                facilitates || (moderates && !appoints)
            }
            // A steward lets members in, and gives no other role.
            Act::Admit { role: new, .. } => {
                facilitates
                    || (moderates && !new.admits())
                    || (role.admits() && *new == Role::Member)
            }
            Act::Enact => facilitates || role == Role::Steward,
            Act::Farewell(step) => {
                facilitates || (moderates && !self.role(&step.member()).moderates())
            }
            Act::Remove { member, .. } | Act::Remember { member, .. } => {
                facilitates || (moderates && !self.role_or_kept(member).moderates())
            }
            Act::Device(step) => {
                facilitates || (moderates && !self.role_of_device(step).moderates())
            }
            Act::Second(step) => self.allows_second(record, step),
            Act::Amend { .. }
            | Act::Withdraw
            | Act::CloseBreach { .. }
            | Act::Expire(_)
            | Act::CloseGroup(_) => facilitates,
            Act::Found
            | Act::Pause { .. }
            | Act::Resume
            | Act::Slow(_)
            | Act::Budget(_)
            | Act::Length(_)
            | Act::Lock(_)
            | Act::Hours { .. }
            | Act::Door(_)
            | Act::Announce(_)
            | Act::Pin(_)
            | Act::Unpin(_)
            | Act::Retract { .. }
            | Act::Rekey
            | Act::OpenBreach { .. }
            | Act::Timeout(_)
            | Act::Untimeout(_) => moderates,
        }
    }

    /// Returns the policy after an act, without checking its actor's role.
    ///
    /// # Errors
    /// The first rule, besides the actor's role, that forbids it.
    pub(crate) fn carry_out(
        &self,
        scene: Scene<'_>,
        record: &Record,
    ) -> Result<Applied, RuleError> {
        let mut applied = Applied { policy: self.clone(), removed: Vec::new(), added: None };
        let next = &mut applied.policy;
        next.record = record.clone();
        self.check_breach(&record.act)?;
        match &record.act {
            Act::Found => return Err(RuleError::Nothing),
            Act::Admit { member, acknowledgement, countersignature, role, back } => {
                let leaf = scene.added.ok_or(RuleError::NoSuchMember)?;
                let (acknowledgement, countersignature) = (*acknowledgement, *countersignature);
                let named = Admission { member: *member, acknowledgement, countersignature };
                self.admit(scene, record, leaf, named)?;
                match self.waiter(member) {
                    Some(waiter) if *back => waiter.check(leaf, *role)?,
                    None if !*back => {}
                    _ => return Err(RuleError::NotReturning),
                }
                next.drop_place(member);
                next.give_role(*member, *role)?;
                applied.added = Some(*member);
            }
            Act::Device(step) => self.change_device(scene, record, step, &mut applied)?,
            Act::CloseGroup(closing) => self.close_group(record, closing, &mut applied)?,
            Act::Second(step) => self.second(scene, record, step, &mut applied)?,
            Act::Farewell(step) => self.farewell(scene, record, step, &mut applied)?,
            Act::Remember { member, words } => {
                Self::remember(scene, *member, words, &mut applied)?;
            }
            Act::Remove { member, goodbye } => {
                bounded(goodbye, COMMENT_CHARS_MAX)?;
                if next.drop_place(member) {
                    next.revoke(*member);
                } else {
                    next.take_out(scene, *member)?;
                    applied.removed = vec![*member];
                }
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
                set_role(&mut next.roles, *member, *role);
                next.keeps_the_bench()?;
                next.keeps_a_facilitator()?;
            }
            Act::Pause { until, comment, .. } => {
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
                let lapses = |l: &&Leaf| {
                    l.member != record.actor && l.acknowledgement.agreement != pending.id
                };
                applied.removed = self.put_out(next, scene.roster.iter().filter(lapses), None);
                next.agreement = pending;
                next.accepted = vec![pending.id];
                next.pending = None;
                next.drafts.clear();
                next.keeps_a_facilitator()?;
            }
            Act::OpenBreach { words, .. } => {
                bounded(words, COMMENT_CHARS_MAX)?;
                next.open_breach(record);
            }
            Act::CloseBreach { words } => {
                bounded(words, COMMENT_CHARS_MAX)?;
                applied.removed = self.close_breach(next, scene)?;
                next.keeps_a_facilitator()?;
            }
            Act::Expire(seconds) => {
                if !(EXPIRE_SECONDS_MIN..=EXPIRE_SECONDS_MAX).contains(seconds) {
                    return Err(RuleError::OutOfRange);
                }
                next.numbers.retention_seconds = *seconds;
            }
        }
        Ok(applied)
    }

    /// Gives a new member their role.
    pub(super) fn give_role(&mut self, member: MemberKey, role: Role) -> Result<(), RuleError> {
        set_role(&mut self.roles, member, role);
        self.keeps_the_bench()
    }

    /// Judges an admission.
    pub(super) fn admit(
        &self,
        scene: Scene<'_>,
        record: &Record,
        leaf: &Leaf,
        named: Admission,
    ) -> Result<(), RuleError> {
        let Admission { member, acknowledgement, countersignature } = named;
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
        let members_max = self.members_max(scene.members_max);
        // Who waits, or whose device is lost, keeps a place.
        let others = self.waiting().iter().filter(|waiter| waiter.member != member).count();
        let others = others + self.more.kept().len();
        if scene.roster.len() + others >= members_max {
            return Err(RuleError::Full(members_max));
        }
        self.judge_acknowledgement(&scene.room, &member, ack)?;
        // An admission requires the current version; older ones are valid only for present members.
        let pending = self.pending.as_ref().map(|p| p.id);
        if ack.agreement != self.agreement.id && pending != Some(ack.agreement) {
            return Err(RuleError::NotAcknowledged(AckError::OtherAgreement));
        }
        ack.judge_dates(record.at).map_err(RuleError::NotAcknowledged)?;
        let transcript = countersign_transcript(&scene.room, &acknowledgement, record.at);
        let signed = handshake::verify(&record.actor, &transcript, &countersignature);
        if !signed {
            return Err(RuleError::BadSignature);
        }
        Ok(())
    }

    pub(super) fn take_out(
        &mut self,
        scene: Scene<'_>,
        member: MemberKey,
    ) -> Result<(), RuleError> {
        in_roster(scene, &member)?;
        self.roles.retain(|r| r.member != member);
        self.more.drop_farewell(&member);
        self.revoke(member);
        self.keeps_a_facilitator()
    }

    fn revoke(&mut self, member: MemberKey) {
        self.revoked.push(member);
        if self.revoked.len() > REVOKED_MAX {
            self.revoked.remove(0);
        }
    }

    /// Takes members out of the next policy who have not said yes, and keeps their places; returns their keys, sorted.
    pub(super) fn put_out<'l>(
        &self,
        next: &mut Self,
        leaves: impl Iterator<Item = &'l Leaf>,
        breach: Option<Digest>,
    ) -> Vec<MemberKey> {
        let mut leaves: Vec<&Leaf> = leaves.collect();
        leaves.sort_unstable_by_key(|leaf| leaf.member);
        let removed: Vec<MemberKey> = leaves.iter().map(|leaf| leaf.member).collect();
        next.roles.retain(|r| !removed.contains(&r.member));
        next.keep_places(&leaves, self, breach);
        removed
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

    /// Turns the pending amendment, if any, into a draft.
    fn shelve_pending(&mut self) -> Result<(), RuleError> {
        if let Some(AgreementRef { id, version, .. }) = self.pending.take() {
            self.drafts.push(Draft { id, version });
        }
        (self.drafts.len() <= DRAFTS_MAX).then_some(()).ok_or(RuleError::TooManyDrafts)
    }

    pub(super) fn keeps_a_facilitator(&self) -> Result<(), RuleError> {
        let any = self.roles.iter().any(|r| r.role == Role::Facilitator);
        any.then_some(()).ok_or(RuleError::LastFacilitator)
    }
}

fn in_roster<'a>(scene: Scene<'a>, member: &MemberKey) -> Result<&'a Leaf, RuleError> {
    scene.roster.iter().find(|l| l.member == *member).ok_or(RuleError::NoSuchMember)
}

fn set_role(roles: &mut Vec<RoleEntry>, member: MemberKey, role: Role) {
    roles.retain(|r| r.member != member);
    if role != Role::Member {
        let at = roles.partition_point(|r| r.member < member);
        roles.insert(at, RoleEntry { member, role });
    }
}

pub(super) fn bounded(text: &str, chars_max: usize) -> Result<(), RuleError> {
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
    let padded = PADDING_BUCKETS.into_iter().find(|b| content.saturating_add(ENVELOPE_BYTES) <= *b);
    padded.map_or(0, |b| u32::try_from(b + MLS_BYTES).unwrap_or(0))
}
