//! What an entry changes on the floor, as readers show it.

use hearth_protocol::{MemberKey, Millis, Seq};
use minicbor::{Decode, Encode};

use super::{poll::Flaw, wire::Asked};

/// One change. Those of a `Move` name nobody who caused it, so that `done`, `pass`, `next` and `skip` look alike.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Change {
    /// A round began, and its first member holds the floor.
    #[n(0)]
    Began {
        /// Place of its Start.
        #[n(0)]
        round: Seq,
        /// Whose turn it is.
        #[n(1)]
        holder: MemberKey,
    },
    /// The floor passed on.
    #[n(1)]
    Turn {
        /// Whose turn it is.
        #[n(0)]
        holder: MemberKey,
        /// Its number, from 0.
        #[n(1)]
        turn: u64,
    },
    /// The round's end was moved.
    #[n(2)]
    Extended {
        /// The new end.
        #[n(0)]
        until: Millis,
    },
    /// The round ended.
    #[n(3)]
    Ended {
        /// Place of its Start.
        #[n(0)]
        round: Seq,
        /// Why.
        #[n(1)]
        how: Ending,
    },
    /// A hand went up.
    #[n(4)]
    HandUp(#[n(0)] MemberKey),
    /// A hand went down.
    #[n(5)]
    HandDown {
        /// Whose.
        #[n(0)]
        member: MemberKey,
        /// Why.
        #[n(1)]
        why: Down,
    },
    /// The entry's ask is open.
    #[n(6)]
    AskOpened,
    /// An ask closed.
    #[n(7)]
    AskClosed {
        /// The ask.
        #[n(0)]
        asked: Asked,
        /// Who closed it; `None`: its time was over.
        #[n(1)]
        by: Option<MemberKey>,
        /// What came of it.
        #[n(2)]
        outcome: Outcome,
    },
    /// The entry's words wait for their author's turn or the end of the round. Only their author is told.
    #[n(8)]
    Held,
    /// The entry's words are off turn, and shown because [`super::HELD_MAX`] wait already.
    #[n(9)]
    Crowded,
    /// Words that waited are shown now: their places, in the order of the log.
    #[n(10)]
    Released(#[n(0)] Vec<Seq>),
    /// The entry has no effect. Only its author is told.
    #[n(11)]
    Ignored(#[n(0)] Why),
    /// An entry is missing, so what was alive is unknown to this reader until a recap.
    #[n(12)]
    Unknown,
    /// A moderator's recap was compared or taken.
    #[n(13)]
    Recap {
        /// Its sender.
        #[n(0)]
        by: MemberKey,
        /// What came of it.
        #[n(1)]
        verdict: Verdict,
    },
    /// The relay gave the entry an earlier time than one before it: an alarm.
    #[n(14)]
    TimesRunBack {
        /// The entry's time.
        #[n(0)]
        said: Millis,
        /// The earlier entry's, which counts instead.
        #[n(1)]
        counted: Millis,
    },
}

impl Change {
    /// Whether it accuses the relay or a moderator.
    pub const fn is_alarm(&self) -> bool {
        match self {
            Self::TimesRunBack { .. } | Self::AskClosed { outcome: Outcome::Flawed(_), .. } => true,
            Self::Recap { verdict, .. } => {
                matches!(verdict, Verdict::Differs | Verdict::Unsound | Verdict::Contradicts { .. })
            }
            _ => false,
        }
    }

    /// Whether only the entry's author is told.
    pub const fn is_for_author(&self) -> bool {
        matches!(self, Self::Held | Self::Ignored(_))
    }
}

/// Why a round ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Ending {
    /// All who could had their turn.
    #[n(0)]
    Turns,
    /// Its time was over.
    #[n(1)]
    Time,
    /// A moderator ended it.
    #[n(2)]
    By(#[n(0)] MemberKey),
}

/// Why a hand went down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Down {
    /// Its member lowered it.
    #[n(0)]
    Lowered,
    /// A round began in which its member has a turn.
    #[n(1)]
    Called,
    /// It was up for too long.
    #[n(2)]
    Fell,
    /// Its member left, or may not post.
    #[n(3)]
    Gone,
}

/// What came of an ask.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Outcome {
    /// It was no poll.
    #[n(0)]
    NoPoll,
    /// Votes by option.
    #[n(1)]
    Totals(#[n(0)] Vec<u64>),
    /// This reader lacks answers.
    #[n(2)]
    Uncounted,
    /// No ballots of a hidden poll were published.
    #[n(3)]
    Unpublished,
    /// The published ballots are wrong, and not counted.
    #[n(4)]
    Flawed(#[n(0)] Flaw),
}

/// Why an entry has no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Why {
    /// The sender may not post.
    #[n(0)]
    MayNotPost,
    /// The sender does not moderate.
    #[n(1)]
    NotModerating,
    /// A round is on already.
    #[n(2)]
    RoundOn,
    /// That round is not on.
    #[n(3)]
    NoRound,
    /// That turn is over: another entry moved it.
    #[n(4)]
    OldTurn,
    /// The sender neither holds the floor nor moderates.
    #[n(5)]
    NotHolder,
    /// The end is past, or later than allowed.
    #[n(6)]
    Until,
    /// The order is empty, too long, names a key twice, or one that may not post.
    #[n(7)]
    Order,
    /// A text is too long, or there are too few or too many options or steps.
    #[n(8)]
    Size,
    /// Too many asks are alive.
    #[n(9)]
    TooManyAsks,
    /// That ask is not alive.
    #[n(10)]
    NoAsk,
    /// The sender's hand is up already.
    #[n(11)]
    HandIsUp,
    /// The sender's hand is not up.
    #[n(12)]
    NoHand,
    /// The ask does not offer that choice.
    #[n(13)]
    Choice,
    /// The ask is a hidden poll, whose answers go into lanes.
    #[n(14)]
    NotInTheRoom,
    /// The sender answered [`super::ANSWERS_MAX`] times.
    #[n(15)]
    TooManyAnswers,
    /// The recap's `upto` is not among the last [`super::RECAP_BACK`] entries before it.
    #[n(16)]
    RecapPlace,
    /// The round or ask began before an entry that this reader lacks.
    #[n(17)]
    Unknown,
}

/// What came of a recap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Verdict {
    /// It is this reader's state.
    #[n(0)]
    Agrees,
    /// It is not this reader's state: an alarm that names its sender.
    #[n(1)]
    Differs,
    /// This reader lacked entries, and goes on from it.
    #[n(2)]
    Taken,
    /// It ends before the entry that this reader lacks, or before this reader can compare.
    #[n(3)]
    Early,
    /// It breaks the rules of any floor: an alarm that names its sender.
    #[n(4)]
    Unsound,
    /// It contradicts the recap that this reader took, so the floor is unknown until the next Start: an alarm that names both senders.
    #[n(5)]
    Contradicts {
        /// Sender of the one that was taken.
        #[n(0)]
        other: MemberKey,
    },
}
