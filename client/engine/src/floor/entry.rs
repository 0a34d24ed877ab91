//! The floor's input: the entries of the log in order, each with the members after it.

use std::collections::BTreeMap;

use hearth_protocol::{Digest, MemberKey, Millis, Role, Seq};
use minicbor::{Decode, Encode};

use super::wire::{Answer, Ask, Close, Op, Recap};

/// Longest life of a round and of a hand.
pub const LIFE_MILLIS: u64 = 12 * 3_600_000;

/// One entry of the room's log, in its order. A seq that is left out is a hole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its place.
    pub seq: Seq,
    /// SHA-256 of its payload.
    pub digest: Digest,
    /// The relay's time exactly as delivered: neither of the reader's clocks may bound it, because others have another clock.
    pub at: Millis,
    /// The sender; `None` if unknown.
    pub from: Option<MemberKey>,
    /// What it is to the floor.
    pub what: What,
}

/// What an entry is to the floor.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum What {
    /// A change of the round or of the hands.
    #[n(0)]
    Op(#[n(0)] Op),
    /// A prompt, a step or a poll.
    #[n(1)]
    Ask(#[n(0)] Ask),
    /// The end of an ask.
    #[n(2)]
    Close(#[n(0)] Close),
    /// Words in the room: a text, or an answer. Not words that the room's rules hold, such as those in a pause.
    #[n(3)]
    Words(#[n(0)] Option<Answer>),
    /// A retraction that counts, of the entry at this place.
    #[n(4)]
    Retract(#[n(0)] Seq),
    /// A moderator's view of the floor.
    #[n(5)]
    Recap(#[n(0)] Recap),
    /// Anything else that every reader reads alike: a commit, a reaction, an edit, a malformed message, one of a later version, one
    /// that does not decrypt. None is a hole, because any member can send one, and would end every round with it; so can a member
    /// make their counter jump.
    #[n(6)]
    Other,
    /// A tombstone, or an entry that this reader lost: others may have read it.
    #[n(7)]
    Hole,
}

impl What {
    /// Returns the place of the earlier item that it is about.
    pub(super) const fn item(&self) -> Option<Seq> {
        match self {
            Self::Op(Op::Move { round, .. } | Op::Extend { round, .. } | Op::End { round }) => {
                Some(*round)
            }
            Self::Close(Close { ask, .. }) | Self::Words(Some(Answer { ask, .. })) => Some(ask.seq),
            _ => None,
        }
    }
}

/// Who is in the room, and how long it keeps entries, after an entry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Members {
    /// The role of each member.
    #[n(0)]
    pub roles: BTreeMap<MemberKey, Role>,
    /// The retention in force.
    #[n(1)]
    pub retention_seconds: u64,
}

impl Members {
    /// Whether a key is a facilitator's or co-facilitator's.
    pub fn moderates(&self, member: &MemberKey) -> bool {
        self.roles.get(member).is_some_and(|role| role.moderates())
    }

    /// Whether a key's member may post, and so hold a turn.
    pub fn may_post(&self, member: &MemberKey) -> bool {
        self.roles.get(member).is_some_and(|role| role.posts())
    }

    /// Returns for how many milliseconds an ask is alive.
    pub const fn half_retention(&self) -> u64 {
        self.retention_seconds.saturating_mul(500)
    }

    /// Returns for how many milliseconds a round or a hand is alive.
    pub fn life(&self) -> u64 {
        LIFE_MILLIS.min(self.half_retention())
    }
}
