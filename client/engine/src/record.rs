//! Records of moderation: what was done, by whom, and after which record.
//!
//! What each does to the policy, and who may, is in [`super::policy`]. `docs/protocol.md` section 7.

use hearth_protocol::{
    Digest, MemberKey, MessageId, Millis, Role, Seq, Signature, codec, frame::Door, hash,
    hours::Hours,
};
use minicbor::{Decode, Encode};

use super::{
    agreement::{Change, Departure},
    policy::AgreementRef,
};

/// One act of moderation.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Record {
    /// Position in the log of moderation; the founding is 1.
    #[n(0)]
    pub number: u64,
    /// Hash of the record before; zero at the founding.
    #[n(1)]
    pub previous: Digest,
    /// Who acted: the committer.
    #[n(2)]
    pub actor: MemberKey,
    /// When, by the actor's clock.
    #[n(3)]
    pub at: Millis,
    /// What.
    #[n(4)]
    pub act: Act,
}

impl Record {
    /// Returns the hash that the next record names.
    pub fn digest(&self) -> Digest {
        Digest(hash::labelled("hearth record v1", &[&codec::encode(self)]))
    }
}

/// A log of moderation as one profile has it.
#[derive(Clone, Copy, Debug)]
pub struct Chain<'a> {
    /// In the order of their numbers.
    pub records: &'a [Record],
    /// The newest record, as the room's policy has it; `None` for who is out.
    pub newest: Option<&'a Record>,
    /// Numbers of the records that admitted this profile. What happened between two stays it never had, and what it had before
    /// may be of a room that the others took back.
    pub admissions: &'a [u64],
}

impl Chain<'_> {
    /// Returns the number of the newest record that is missing, altered or put in; `None` if the log is whole.
    ///
    /// Each is held against what the one after it says of it. The newest is in the policy, on which all members agree.
    pub fn broken_at(&self) -> Option<u64> {
        let mut expected = self.newest.map(|record| (record.number, record.digest()));
        for record in self.records.iter().rev() {
            if let Some((number, digest)) = expected
                && (record.number != number || record.digest() != digest)
            {
                return Some(number.max(record.number));
            }
            let begins = record.act == Act::Found || self.admissions.contains(&record.number);
            expected = (!begins).then(|| (record.number.saturating_sub(1), record.previous));
        }
        expected.map(|(number, _)| number)
    }
}

/// Why something was done, without content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Category {
    /// No category was given.
    #[n(0)]
    Unspecified,
    /// Confidentiality was breached.
    #[n(1)]
    Confidentiality,
    /// Somebody was hurt by it.
    #[n(2)]
    Conduct,
    /// Somebody may be in danger.
    #[n(3)]
    Safety,
    /// The programme ended for the member.
    #[n(4)]
    Discharge,
    /// The member asked for it.
    #[n(5)]
    Request,
}

impl Category {
    /// All of them, with the words people type.
    pub const ALL: [(Self, &'static str); 6] = [
        (Self::Unspecified, "unspecified"),
        (Self::Confidentiality, "confidentiality"),
        (Self::Conduct, "conduct"),
        (Self::Safety, "safety"),
        (Self::Discharge, "discharge"),
        (Self::Request, "request"),
    ];

    /// The word people read.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(c, _)| *c == self).map_or("unspecified", |(_, word)| word)
    }
}

/// What a record says was done. `docs/protocol.md` section 7.4 lists who may do which.
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
        /// By the actor over [`super::agreement::countersign_transcript`].
        #[n(2)]
        countersignature: Signature,
        /// From then on.
        #[n(3)]
        role: Role,
    },
    /// A member was removed; the commit removes exactly that leaf.
    #[n(2)]
    Remove {
        /// Whom.
        #[n(0)]
        member: MemberKey,
        /// Why.
        #[n(1)]
        category: Category,
        /// Words to the room, if the facilitator wants a goodbye.
        #[n(2)]
        goodbye: String,
    },
    /// A member's own departure was carried out; the commit removes exactly that leaf.
    #[n(3)]
    Depart(#[n(0)] Departure),
    /// A role changed.
    #[n(4)]
    SetRole {
        /// Whose.
        #[n(0)]
        member: MemberKey,
        /// To which.
        #[n(1)]
        role: Role,
    },
    /// Only facilitators post until then.
    #[n(5)]
    Pause {
        /// The end; it comes by itself.
        #[n(0)]
        until: Millis,
        /// Words to the room.
        #[n(1)]
        comment: String,
    },
    /// The pause ended early.
    #[n(6)]
    Resume,
    /// Least seconds between two posts of one member; 0: none.
    #[n(7)]
    Slow(#[n(0)] u32),
    /// Posts of one member a day; 0: unlimited.
    #[n(8)]
    Budget(#[n(0)] u32),
    /// Characters of one message; 0: the engine's limit.
    #[n(9)]
    Length(#[n(0)] u32),
    /// Nobody is admitted while on.
    #[n(10)]
    Lock(#[n(0)] bool),
    /// Opening hours; `None`: always open.
    #[n(11)]
    Hours {
        /// As typed.
        #[n(0)]
        text: String,
        /// As numbers.
        #[n(1)]
        hours: Option<Hours>,
    },
    /// Opened or closed whatever the hours say, or back to the hours.
    #[n(12)]
    Door(#[n(0)] Door),
    /// A marked message from a facilitator.
    #[n(15)]
    Announce(#[n(0)] String),
    /// A message is kept at the top.
    #[n(16)]
    Pin(#[n(0)] Pin),
    /// And no longer.
    #[n(17)]
    Unpin(#[n(0)] Pin),
    /// A message was retracted by a facilitator.
    #[n(18)]
    Retract {
        /// Which.
        #[n(0)]
        message: MessageId,
        /// Where it is in the room's log.
        #[n(1)]
        seq: Seq,
        /// Why.
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
        /// Editorial takes effect with this record; material with [`Act::Enact`].
        #[n(1)]
        change: Change,
    },
    /// The pending version took effect; the commit removes exactly those who did not acknowledge it.
    #[n(21)]
    Enact,
    /// Entries are deleted after so many seconds.
    #[n(22)]
    Expire(#[n(0)] u64),
    /// A member was given a time-out. Who, until when and why is in a sealed note, to which this commits.
    #[n(24)]
    Timeout(#[n(0)] Digest),
    /// A time-out ended early; committed to alike.
    #[n(25)]
    Untimeout(#[n(0)] Digest),
    /// The pending amendment was withdrawn.
    #[n(26)]
    Withdraw,
}

/// A message by id and place: the id alone is its sender's choice, and another's message may bear it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Pin {
    /// Its sender's choice.
    #[n(0)]
    pub message: MessageId,
    /// Where it is in the room's log.
    #[n(1)]
    pub seq: Seq,
}

impl Act {
    /// Returns the member that it names, if any.
    pub const fn target(&self) -> Option<MemberKey> {
        match self {
            Self::Admit { member, .. }
            | Self::Remove { member, .. }
            | Self::SetRole { member, .. } => Some(*member),
            Self::Depart(departure) => Some(departure.member),
            _ => None,
        }
    }

    /// The word in logs and JSON.
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
        }
    }
}
