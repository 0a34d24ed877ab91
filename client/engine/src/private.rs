//! What members and moderators tell each other in lanes beside words. `docs/protocol.md` section 7.14.

use hearth_protocol::{Digest, MemberKey, MessageId, Seq};
use minicbor::{Decode, Encode};

use super::content::{Body, TEXT_BYTES_MAX};

/// The highest mood.
pub const MOOD_MAX: u32 = 10;
/// Answers to one questionnaire.
pub const ANSWERS_MAX: usize = 50;
/// Messages that one report quotes.
pub const QUOTES_MAX: usize = 8;
/// Members whom one report names.
pub const ABOUT_MAX: usize = 8;

/// A message of a lane that is neither text nor retraction.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Private {
    /// Moderators' note, at the desk.
    #[n(0)]
    Note {
        /// The member whom it is about; `None`: the room.
        #[n(0)]
        about: Option<MemberKey>,
        /// The words.
        #[n(1)]
        text: String,
    },
    /// Words that the owner asks to be shared with the room without a name.
    #[n(1)]
    Anon(#[n(0)] String),
    /// The owner takes such words back.
    #[n(2)]
    Recall(#[n(0)] MessageId),
    /// The owner's mood.
    #[n(3)]
    Mood(#[n(0)] Mood),
    /// The owner's answers to a questionnaire.
    #[n(4)]
    Answers {
        /// Hash of the questionnaire.
        #[n(0)]
        form: Digest,
        /// Number of the choice for each item, from 0; `None`: skipped.
        #[n(1)]
        answers: Vec<Option<u32>>,
    },
    /// A report, or a concern, which quotes nothing.
    #[n(5)]
    Report(#[n(0)] Report),
    /// A call for help.
    #[n(6)]
    Flag(#[n(0)] String),
    /// A moderator's answer to a call for help or to a report.
    #[n(7)]
    Seen(#[n(0)] Seen),
}

/// A mood.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Mood {
    /// From 0, as bad as it gets, to [`MOOD_MAX`], as good as it gets.
    #[n(0)]
    pub score: u32,
    /// Words with it.
    #[n(1)]
    pub words: String,
}

/// What a member reports to those who moderate.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Report {
    /// The messages.
    #[n(0)]
    pub quotes: Vec<Quote>,
    /// The members whom it is about.
    #[n(1)]
    pub about: Vec<MemberKey>,
    /// The reason.
    #[n(2)]
    pub category: super::policy::Category,
    /// The reporter's words.
    #[n(3)]
    pub words: String,
}

/// A message that somebody quotes, with what proves its words.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Quote {
    /// Its place in the room's log.
    #[n(0)]
    pub seq: Seq,
    /// SHA-256 of its payload.
    #[n(1)]
    pub digest: Digest,
    /// Its author.
    #[n(2)]
    pub author: MemberKey,
    /// Its id.
    #[n(3)]
    pub message: MessageId,
    /// The salt of its envelope.
    #[n(4)]
    #[cbor(with = "minicbor::bytes")]
    pub salt: [u8; 16],
    /// Its body, encoded.
    #[n(5)]
    #[cbor(with = "minicbor::bytes")]
    pub body: Vec<u8>,
}

/// What a moderator says of a call for help or of a report.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Seen {
    /// Id of the call, or of the report.
    #[n(0)]
    pub message: MessageId,
    /// How far it is.
    #[n(1)]
    pub state: SeenState,
    /// The moderator's words.
    #[n(2)]
    pub words: String,
}

/// How far a call for help, or a report, is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum SeenState {
    /// A person has read it.
    #[n(0)]
    Seen,
    /// It was talked through.
    #[n(1)]
    Resolved,
    /// Another moderator goes on from here.
    #[n(2)]
    Closed,
}

/// Who writes in a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Writer {
    /// Whether the lane is theirs.
    pub owns: bool,
    /// Whether they are on the bench.
    pub moderates: bool,
    /// Whether it is the desk.
    pub at_desk: bool,
}

impl Private {
    /// Whether the message counts from that writer.
    pub const fn counts_from(&self, writer: Writer) -> bool {
        match self {
            Self::Note { .. } => writer.moderates && writer.at_desk,
            Self::Seen(_) => writer.moderates,
            _ => writer.owns,
        }
    }

    /// Whether its numbers and lengths are within their limits.
    pub fn is_well_formed(&self) -> bool {
        let fits = match self {
            Self::Mood(mood) => mood.score <= MOOD_MAX,
            Self::Answers { answers, .. } => answers.len() <= ANSWERS_MAX,
            Self::Report(report) => {
                report.quotes.len() <= QUOTES_MAX && report.about.len() <= ABOUT_MAX
            }
            _ => true,
        };
        fits && self.words().is_none_or(|words| words.len() <= TEXT_BYTES_MAX)
    }

    /// Returns the writer's words.
    pub const fn words(&self) -> Option<&String> {
        match self {
            Self::Note { text, .. } | Self::Anon(text) | Self::Flag(text) => Some(text),
            Self::Mood(mood) => Some(&mood.words),
            Self::Report(report) => Some(&report.words),
            Self::Seen(seen) => Some(&seen.words),
            Self::Recall(_) | Self::Answers { .. } => None,
        }
    }

    /// Takes a body that counts in lanes only; gives any other back.
    ///
    /// # Errors
    /// The body.
    pub fn of(body: Body) -> Result<Self, Box<Body>> {
        Ok(match body {
            Body::Note { about, text } => Self::Note { about, text },
            Body::Anon(text) => Self::Anon(text),
            Body::Recall(message) => Self::Recall(message),
            Body::Mood { score, words } => Self::Mood(Mood { score, words }),
            Body::Questionnaire { form, answers } => Self::Answers { form, answers },
            Body::Report { quotes, about, category, words } => {
                Self::Report(Report { quotes, about, category, words })
            }
            Body::Flag(words) => Self::Flag(words),
            Body::Seen { message, state, words } => Self::Seen(Seen { message, state, words }),
            other => return Err(Box::new(other)),
        })
    }
}

impl From<Private> for Body {
    fn from(private: Private) -> Self {
        match private {
            Private::Note { about, text } => Self::Note { about, text },
            Private::Anon(text) => Self::Anon(text),
            Private::Recall(message) => Self::Recall(message),
            Private::Mood(Mood { score, words }) => Self::Mood { score, words },
            Private::Answers { form, answers } => Self::Questionnaire { form, answers },
            Private::Report(Report { quotes, about, category, words }) => {
                Self::Report { quotes, about, category, words }
            }
            Private::Flag(words) => Self::Flag(words),
            Private::Seen(Seen { message, state, words }) => Self::Seen { message, state, words },
        }
    }
}
