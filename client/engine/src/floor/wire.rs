//! Records of rounds, hands, asks and recaps as members exchange them. `docs/floor.md` section 1.

use hearth_protocol::{Digest, MemberKey, MessageId, Millis, Seq};
use minicbor::{Decode, Encode};

/// Characters of a round's topic.
pub const TOPIC_CHARS_MAX: usize = 200;
/// Characters of an ask's text.
pub const ASK_CHARS_MAX: usize = 1000;
/// Options of one ask.
pub const OPTIONS_MAX: usize = 10;
/// Options that a poll has at least.
pub const POLL_OPTIONS_MIN: usize = 2;
/// Characters of one option.
pub const OPTION_CHARS_MAX: usize = 80;
/// Asks alive at the same time.
pub const ASKS_MAX: usize = 4;
/// Steps of one exercise.
pub const STEPS_MAX: u64 = 20;
/// Keys in a round's order.
pub const ORDER_MAX: usize = 100;
/// Hands in a recap: a room has no more members.
pub const HANDS_MAX: usize = 1000;

/// An optional last field that is written as null, because the derived encoding leaves a trailing `None` out.
pub mod nullable {
    use minicbor::{
        Decode, Decoder, Encode, Encoder,
        decode::Error as DecodeError,
        encode::{Error as EncodeError, Write},
    };

    /// Writes the value, or null.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn encode<C, T: Encode<C>, W: Write>(
        value: &Option<T>,
        encoder: &mut Encoder<W>,
        ctx: &mut C,
    ) -> Result<(), EncodeError<W::Error>> {
        match value {
            Some(value) => value.encode(encoder, ctx),
            None => encoder.null()?.ok(),
        }
    }

    /// Reads the value, or null.
    ///
    /// # Errors
    /// Any other item.
    pub fn decode<'b, C, T: Decode<'b, C>>(
        decoder: &mut Decoder<'b>,
        ctx: &mut C,
    ) -> Result<Option<T>, DecodeError> {
        decoder.decode_with(ctx)
    }

    /// Returns the value of a field that another writer left out.
    pub const fn nil<T>() -> Option<Option<T>> {
        Some(None)
    }

    /// Returns false, so that the field is never left out.
    pub const fn is_nil<T>(_: &Option<T>) -> bool {
        false
    }
}

/// An entry of the room's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub struct Ref {
    /// Its place.
    #[n(0)]
    pub seq: Seq,
    /// SHA-256 of its payload, which its tombstone names, too.
    #[n(1)]
    pub digest: Digest,
}

/// A change of the round, or of the queue of hands.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Op {
    /// The sender asks for a turn.
    #[n(0)]
    Hand,
    /// The sender's hand goes down.
    #[n(1)]
    Lower,
    /// A round begins.
    #[n(2)]
    Start {
        /// Turn by turn; each key once.
        #[n(0)]
        order: Vec<MemberKey>,
        /// May be empty.
        #[n(1)]
        topic: String,
        /// Seconds that a turn should take. They end nothing by themselves; 0: unlimited.
        #[n(2)]
        seconds: u64,
        /// The round ends by itself at the first entry of this time or later.
        #[n(3)]
        until: Millis,
    },
    /// The turn passes on: the holder's `done` and `pass`, and a moderator's `next` and `skip`.
    #[n(3)]
    Move {
        /// Place of the round's Start.
        #[n(0)]
        round: Seq,
        /// The turn that ends.
        #[n(1)]
        turn: u64,
    },
    /// The round's end is moved.
    #[n(4)]
    Extend {
        /// Place of the round's Start.
        #[n(0)]
        round: Seq,
        /// The new end.
        #[n(1)]
        until: Millis,
    },
    /// The round ends.
    #[n(5)]
    End {
        /// Place of the round's Start.
        #[n(0)]
        round: Seq,
    },
}

/// Kind of an ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Form {
    /// A question to all.
    #[n(0)]
    Prompt,
    /// One step of an exercise.
    #[n(1)]
    Step,
    /// A poll whose answers are in the room.
    #[n(2)]
    Poll,
    /// A poll whose answers are in lanes.
    #[n(3)]
    HiddenPoll,
    /// A question or step whose answers are in lanes.
    #[n(4)]
    Private,
}

impl Form {
    /// Whether an answer is a choice.
    pub const fn is_poll(self) -> bool {
        matches!(self, Self::Poll | Self::HiddenPoll)
    }
}

/// An ask's place in an exercise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Part {
    /// Random; the same for all steps of one exercise.
    #[n(0)]
    pub exercise: MessageId,
    /// From 1.
    #[n(1)]
    pub step: u64,
    /// Number of steps.
    #[n(2)]
    pub of: u64,
}

/// A prompt, a step of an exercise, or a poll.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Ask {
    /// Kind.
    #[n(0)]
    pub form: Form,
    /// The question.
    #[n(1)]
    pub text: String,
    /// What a poll chooses from.
    #[n(2)]
    pub options: Vec<String>,
    /// The ask closes by itself at the first entry of this time or later.
    #[n(3)]
    pub until: Millis,
    /// Whether a reader sees others' answers after their own only.
    #[n(4)]
    pub after_own: bool,
    /// Absent outside of an exercise.
    #[cbor(n(5), with = "nullable", has_nil)]
    pub part: Option<Part>,
}

impl Ask {
    /// Whether texts, options and steps are within their bounds.
    pub fn is_bounded(&self) -> bool {
        let least = if self.form.is_poll() { POLL_OPTIONS_MIN } else { 0 };
        within(&self.text, ASK_CHARS_MAX)
            && (least..=OPTIONS_MAX).contains(&self.options.len())
            && self.options.iter().all(|option| within(option, OPTION_CHARS_MAX))
            && self
                .part
                .is_none_or(|part| (1..=part.of).contains(&part.step) && part.of <= STEPS_MAX)
    }

    /// Whether a choice names an option.
    pub fn offers(&self, choice: u64) -> bool {
        usize::try_from(choice).is_ok_and(|choice| choice < self.options.len())
    }
}

/// Whether a text has at most so many characters.
pub(super) fn within(text: &str, chars: usize) -> bool {
    text.len() <= chars || text.chars().count() <= chars
}

/// A member's answer, as far as it counts for the ask: its words are shown like any others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Answer {
    /// The ask.
    #[n(0)]
    pub ask: Ref,
    /// Number of an option, from 0; `None`: words alone.
    #[cbor(n(1), with = "nullable", has_nil)]
    pub choice: Option<u64>,
}

/// One vote of a hidden poll: see [`super::poll::ballot_hash`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub struct Ballot {
    /// The hash, by which its voter finds it.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub hash: [u8; 16],
    /// Number of the option, from 0.
    #[n(1)]
    pub choice: u64,
}

/// The end of an ask.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Close {
    /// The ask.
    #[n(0)]
    pub ask: Ref,
    /// The votes of a hidden poll, ascending; absent if there are fewer than [`super::poll::BALLOTS_MIN`].
    #[n(1)]
    pub ballots: Option<Vec<Ballot>>,
}

/// A round that is on.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Round {
    /// Place of its Start.
    #[n(0)]
    pub seq: Seq,
    /// Relay time of its Start.
    #[n(1)]
    pub at: Millis,
    /// Turn by turn.
    #[n(2)]
    pub order: Vec<MemberKey>,
    /// The current turn, from 0.
    #[n(3)]
    pub turn: u64,
    /// See [`Op::Start`].
    #[n(4)]
    pub until: Millis,
    /// See [`Op::Start`].
    #[n(5)]
    pub topic: String,
    /// See [`Op::Start`].
    #[n(6)]
    pub seconds: u64,
}

/// A hand that is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Hand {
    /// Whose.
    #[n(0)]
    pub member: MemberKey,
    /// Relay time since when.
    #[n(1)]
    pub at: Millis,
}

/// An ask that is open.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Asked {
    /// Its entry.
    #[n(0)]
    pub ask: Ref,
    /// Its relay time.
    #[n(1)]
    pub at: Millis,
    /// See [`Ask::form`].
    #[n(2)]
    pub form: Form,
    /// See [`Ask::text`].
    #[n(3)]
    pub text: String,
    /// See [`Ask::options`].
    #[n(4)]
    pub options: Vec<String>,
    /// See [`Ask::until`].
    #[n(5)]
    pub until: Millis,
    /// See [`Ask::after_own`].
    #[n(6)]
    pub after_own: bool,
    /// See [`Ask::part`].
    #[cbor(n(7), with = "nullable", has_nil)]
    pub part: Option<Part>,
}

impl Asked {
    pub(super) fn new(ask: Ref, at: Millis, content: &Ask) -> Self {
        let Ask { form, text, options, until, after_own, part } = content.clone();
        Self { ask, at, form, text, options, until, after_own, part }
    }

    /// Returns the ask as it was sent.
    pub fn content(&self) -> Ask {
        let Self { form, text, options, until, after_own, part, .. } = self.clone();
        Ask { form, text, options, until, after_own, part }
    }
}

/// All that is alive on the floor.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct State {
    /// The round that is on.
    #[n(0)]
    pub round: Option<Round>,
    /// In the order in which they went up.
    #[n(1)]
    pub hands: Vec<Hand>,
    /// In the order of the log.
    #[n(2)]
    pub asks: Vec<Asked>,
}

impl State {
    /// Whether nothing is alive.
    pub fn is_empty(&self) -> bool {
        self.round.is_none() && self.hands.is_empty() && self.asks.is_empty()
    }
}

/// A moderator's view of the floor, for readers who lack entries.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Recap {
    /// The last entry that it includes.
    #[n(0)]
    pub upto: Seq,
    /// The floor after that entry.
    #[n(1)]
    pub state: State,
}
