//! What members and moderators tell each other in lanes beside words. `docs/protocol.md` section 7.14.

use hearth_protocol::{Digest, MemberKey, MessageId, Seq};
use minicbor::{Decode, Encode};

use super::content::{Body, TEXT_BYTES_MAX};

/// The highest mood.
pub const MOOD_MAX: u32 = 10;
/// Answers to one questionnaire.
pub const ANSWERS_MAX: usize = 50;
/// Bytes of a questionnaire's file.
pub const FORM_BYTES_MAX: usize = 16 * 1024;
/// Fewest days between two moods that are asked for: at most three in a week.
pub const EVERY_DAYS_MIN: u32 = 3;
/// Days after which moods are no longer asked for.
pub const ASKED_DAYS: u32 = 28;
/// Seconds in which a moderator reads what they ask for: an hour to a week.
pub const WITHIN_SECONDS: std::ops::RangeInclusive<u32> = 3600..=7 * 24 * 3600;
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
        /// Score of the choice for each item; `None`: skipped.
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
    /// A moderator asks the owner for something.
    #[n(8)]
    Inquiry(#[n(0)] Inquiry),
}

/// What a moderator asks of the owner of a lane.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Inquiry {
    /// What it is.
    #[n(0)]
    pub wanted: Wanted,
    /// Seconds in which a moderator reads the answer, from the asking; within [`WITHIN_SECONDS`].
    #[n(1)]
    pub within: u32,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Wanted {
    /// A mood.
    #[n(0)]
    Mood {
        /// Days between two, for [`ASKED_DAYS`]; 0: one.
        #[n(0)]
        every: u32,
    },
    /// No more moods.
    #[n(1)]
    NoMood,
    /// Answers to a questionnaire, whose digest names it.
    #[n(2)]
    Form {
        /// Name of its file without the ending.
        #[n(0)]
        stem: String,
        /// Its file, as `hearth_forms` reads it.
        #[n(1)]
        #[cbor(with = "minicbor::bytes")]
        source: Vec<u8>,
    },
}

impl Wanted {
    fn is_well_formed(&self) -> bool {
        match self {
            Self::Mood { every } => *every == 0 || (EVERY_DAYS_MIN..=ASKED_DAYS).contains(every),
            Self::NoMood => true,
            Self::Form { stem, source } => {
                stem.len() <= STEM_BYTES_MAX && source.len() <= FORM_BYTES_MAX
            }
        }
    }
}

/// Bytes of the name of a questionnaire's file.
const STEM_BYTES_MAX: usize = 255;

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
            Self::Inquiry(_) => writer.moderates && !writer.owns && !writer.at_desk,
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
            Self::Inquiry(inquiry) => {
                inquiry.wanted.is_well_formed() && WITHIN_SECONDS.contains(&inquiry.within)
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
            Self::Recall(_) | Self::Answers { .. } | Self::Inquiry(_) => None,
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
            Body::Inquire { wanted, within } => Self::Inquiry(Inquiry { wanted, within }),
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
            Private::Inquiry(Inquiry { wanted, within }) => Self::Inquire { wanted, within },
        }
    }
}
