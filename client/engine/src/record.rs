//! Records of moderation: the act, its actor and the previous record.
//!
//! [`super::policy`] defines what each act does to the policy and who may do it. `docs/protocol.md` section 7.

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
    /// Hash of the previous record; zero at the founding.
    #[n(1)]
    pub previous: Digest,
    /// The committer's key.
    #[n(2)]
    pub actor: MemberKey,
    /// Time by the actor's clock.
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

/// One profile's log of moderation.
#[derive(Clone, Copy, Debug)]
pub struct Chain<'a> {
    /// Sorted by number.
    pub records: &'a [Record],
    /// The newest record, from the room's policy; `None` if this profile is out.
    pub newest: Option<&'a Record>,
    /// Numbers of the records that admitted this profile. It never had the records between two stays, and records from before a
    /// stay may belong to a room that was rolled back.
    pub admissions: &'a [u64],
}

impl Chain<'_> {
    /// Returns the number of the newest record that is missing, altered or inserted; `None` if the log is whole.
    ///
    /// Each record is compared with the hash in the next one. The newest is in the policy, on which all members agree.
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

/// Reason for an act of moderation, without content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Category {
    /// No category was given.
    #[n(0)]
    Unspecified,
    /// Confidentiality was breached.
    #[n(1)]
    Confidentiality,
    /// The member hurt another person.
    #[n(2)]
    Conduct,
    /// A person may be in danger.
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
    /// All categories, with the words that people type.
    pub const ALL: [(Self, &'static str); 6] = [
        (Self::Unspecified, "unspecified"),
        (Self::Confidentiality, "confidentiality"),
        (Self::Conduct, "conduct"),
        (Self::Safety, "safety"),
        (Self::Discharge, "discharge"),
        (Self::Request, "request"),
    ];

    /// Returns the word that people read.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(c, _)| *c == self).map_or("unspecified", |(_, word)| word)
    }
}

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
        /// The actor's signature over [`super::agreement::countersign_transcript`].
        #[n(2)]
        countersignature: Signature,
        /// The new member's role.
        #[n(3)]
        role: Role,
    },
    /// A member was removed; the commit removes exactly that leaf.
    #[n(2)]
    Remove {
        /// The removed member's key.
        #[n(0)]
        member: MemberKey,
        /// The reason.
        #[n(1)]
        category: Category,
        /// The facilitator's goodbye to the room, if any.
        #[n(2)]
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
    /// The pending version took effect; the commit removes exactly the members who did not acknowledge it.
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
}

/// A message by id and place, because its sender chooses the id and another message may have the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Pin {
    /// The id, which its sender chose.
    #[n(0)]
    pub message: MessageId,
    /// The message's place in the room's log.
    #[n(1)]
    pub seq: Seq,
}

impl Act {
    /// Returns the member that the act names, if any.
    pub const fn target(&self) -> Option<MemberKey> {
        match self {
            Self::Admit { member, .. }
            | Self::Remove { member, .. }
            | Self::SetRole { member, .. } => Some(*member),
            Self::Depart(departure) => Some(departure.member),
            _ => None,
        }
    }

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
        }
    }
}
