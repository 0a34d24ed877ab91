//! Content of an application message: versioned, padded, with the sender's view of the log.
//!
//! `docs/protocol.md` section 7.6.

use hearth_protocol::{
    Digest, InviteId, MemberKey, MessageId, Millis, Role, Secret32, Seq, codec, hash, padding,
};
use minicbor::{Decode, Encode};

use super::{
    agreement::{Agreement, Departure},
    floor,
    lane::Offer,
    policy::Category,
    private,
};

pub use super::floor::Ref;

/// Entries that one message vouches for at most. A reader looks each one up.
pub const WINDOW_ENTRIES_MAX: u64 = 512;

/// Entries that one message vouches for at least, even if an earlier message vouched for them: if the relay hides one message
/// behind a tombstone, the author's next one repeats its evidence.
pub const WINDOW_ENTRIES_MIN: u64 = 64;

/// Windows in one message. A reader compares no more of them.
pub const WINDOWS_MAX: usize = 5;

/// The format of envelopes that this version reads and writes.
const FORMAT: u16 = 2;

/// Maximum bytes of one text message.
pub const TEXT_BYTES_MAX: usize = 16 * 1024;

/// One application message, as encrypted by MLS and thereby signed by its sender's leaf.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Envelope {
    /// Layout; 2.
    #[n(0)]
    pub format: u16,
    /// Random; unchanged over retries and re-encryptions, so that a copy is shown once.
    #[n(1)]
    pub id: MessageId,
    /// Number of this sender's message, from 1, so that readers notice a missing one.
    #[n(2)]
    pub counter: u64,
    /// The sender's view of the log, so that readers notice a fork.
    #[n(3)]
    pub seen: Option<Seen>,
    /// Time of writing by the sender's clock.
    #[n(4)]
    pub sent_at: Millis,
    /// The content.
    #[n(5)]
    pub body: Body,
    /// Random, so that a hash of the message does not confirm guessed words.
    #[n(6)]
    #[cbor(with = "minicbor::bytes")]
    pub salt: [u8; 16],
}

/// A sender's view of the log: its last entry and windows of the entries before it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Seen {
    /// The last entry.
    #[n(0)]
    pub seq: Seq,
    /// SHA-256 of its payload.
    #[n(1)]
    pub digest: Digest,
    /// The last [`WINDOW_ENTRIES_MIN`] entries or, if longer, all since the sender's last message; then all since that message, for
    /// readers who miss an earlier one; then all since each of the last admissions, for newcomers. Longest first; at most
    /// [`WINDOWS_MAX`].
    #[n(2)]
    pub windows: Vec<Window>,
}

/// A part of the log, up to the last entry that the sender saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Window {
    /// The window starts after this entry.
    #[n(0)]
    pub since: Seq,
    /// Hash of its entries in order: see [`Window::of`].
    #[n(1)]
    pub hash: Digest,
}

impl Window {
    /// Hashes the entries after a position: place, digest and relay time of each.
    pub fn of(since: Seq, entries: &[(Seq, Digest, Millis)]) -> Self {
        let mut bytes = Vec::new();
        for (seq, digest, at) in entries.iter().filter(|(seq, ..)| *seq > since) {
            bytes.extend_from_slice(&seq.0.to_be_bytes());
            bytes.extend_from_slice(digest.as_bytes());
            bytes.extend_from_slice(&at.0.to_be_bytes());
        }
        Self { since, hash: Digest(hash::labelled("hearth log window v2", &[&bytes])) }
    }
}

/// Kind and content of a message.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Body {
    /// A text.
    #[n(0)]
    Text(#[n(0)] String),
    /// The sender retracts an own message.
    #[n(1)]
    Retract {
        /// Id of that message.
        #[n(0)]
        message: MessageId,
        /// Place of that message.
        #[n(1)]
        seq: Seq,
        /// Places of its edits, which the relay deletes with it.
        #[n(2)]
        edits: Option<Vec<Seq>>,
    },
    /// The sender leaves.
    #[n(2)]
    Depart {
        /// The signed departure, repeated by the commit that carries it out.
        #[n(0)]
        departure: Departure,
    },
    /// A moderator made an invite; moderators open its knocks with this key.
    #[n(3)]
    InviteIssued {
        /// Its id at the relay.
        #[n(0)]
        invite: InviteId,
        /// See [`hearth_protocol::invite::knock_key`].
        #[n(1)]
        knock_key: Secret32,
        /// Number of knocks that it allows.
        #[n(2)]
        uses: u32,
        /// End of validity.
        #[n(3)]
        expires: Millis,
        /// The role its holder is admitted to.
        #[n(4)]
        role: Role,
        /// The lost device in whose place its holder comes back.
        #[n(5)]
        of: Option<MemberKey>,
    },
    /// The text of a new version of the agreement, sent before the record that names it.
    #[n(4)]
    AgreementText {
        /// The new version.
        #[n(0)]
        agreement: Agreement,
        /// Secret of the invite by which lapsed members return.
        #[n(1)]
        return_secret: Secret32,
        /// End of that invite.
        #[n(2)]
        return_expires: Millis,
    },
    /// Words that answer an earlier message or carry a content note.
    #[n(5)]
    Say {
        /// The words.
        #[n(0)]
        text: String,
        /// The message that they answer.
        #[n(1)]
        reply: Option<Ref>,
        /// The content note: what the words are about, for those who would rather not read them now.
        #[n(2)]
        topic: Option<String>,
    },
    /// A reaction to a message.
    #[n(6)]
    React {
        /// The message.
        #[n(0)]
        to: Ref,
        /// One of [`crate::words::Reaction`]; 0 takes the sender's reaction back.
        #[n(1)]
        kind: u32,
    },
    /// Other words in place of those of an own message.
    #[n(7)]
    Edit {
        /// Id of that message.
        #[n(0)]
        message: MessageId,
        /// Place of that message.
        #[n(1)]
        seq: Seq,
        /// The words.
        #[n(2)]
        text: String,
    },
    /// A change of the round, or of the queue of hands.
    #[n(8)]
    Floor(#[n(0)] floor::Op),
    /// A moderator asks something of all.
    #[n(9)]
    Ask {
        /// See [`floor::Ask::form`].
        #[n(0)]
        form: floor::Form,
        /// See [`floor::Ask::text`].
        #[n(1)]
        text: String,
        /// See [`floor::Ask::options`].
        #[n(2)]
        options: Vec<String>,
        /// See [`floor::Ask::until`].
        #[n(3)]
        until: Millis,
        /// See [`floor::Ask::after_own`].
        #[n(4)]
        after_own: bool,
        /// See [`floor::Ask::part`].
        #[cbor(n(5), with = "floor::wire::nullable", has_nil)]
        part: Option<floor::Part>,
    },
    /// An answer to what was asked.
    #[n(10)]
    Answer {
        /// What was asked.
        #[n(0)]
        ask: Ref,
        /// Number of an option, from 0.
        #[n(1)]
        choice: Option<u64>,
        /// The words.
        #[cbor(n(2), with = "floor::wire::nullable", has_nil)]
        text: Option<String>,
        /// Reserved for hidden polls; absent in this version.
        #[n(3)]
        salt: Option<minicbor::bytes::ByteArray<16>>,
    },
    /// A moderator closes what was asked.
    #[n(11)]
    Close {
        /// What was asked.
        #[n(0)]
        ask: Ref,
        /// See [`floor::Close::ballots`].
        #[n(1)]
        ballots: Option<Vec<floor::Ballot>>,
    },
    /// A moderator shows words that a member wrote without a name.
    #[n(12)]
    Shared(#[n(0)] String),
    /// The floor as a moderator's client has it, for those who lack entries.
    #[n(13)]
    Recap {
        /// See [`floor::Recap::upto`].
        #[n(0)]
        upto: Seq,
        /// See [`floor::Recap::state`].
        #[n(1)]
        state: floor::State,
    },
    /// Keys with which the sender can be seated in lanes.
    #[n(16)]
    Offers(#[n(0)] Vec<Offer>),
    /// See [`private::Private::Note`].
    #[n(18)]
    Note {
        /// See [`private::Private::Note`].
        #[n(0)]
        about: Option<MemberKey>,
        /// See [`private::Private::Note`].
        #[n(1)]
        text: String,
    },
    /// See [`private::Private::Anon`].
    #[n(19)]
    Anon(#[n(0)] String),
    /// See [`private::Private::Recall`].
    #[n(20)]
    Recall(#[n(0)] MessageId),
    /// See [`private::Mood`].
    #[n(21)]
    Mood {
        /// See [`private::Mood`].
        #[n(0)]
        score: u32,
        /// See [`private::Mood`].
        #[n(1)]
        words: String,
    },
    /// See [`private::Private::Answers`].
    #[n(22)]
    Questionnaire {
        /// See [`private::Private::Answers`].
        #[n(0)]
        form: Digest,
        /// See [`private::Private::Answers`].
        #[n(1)]
        answers: Vec<Option<u32>>,
    },
    /// See [`private::Report`].
    #[n(23)]
    Report {
        /// See [`private::Report`].
        #[n(0)]
        quotes: Vec<private::Quote>,
        /// See [`private::Report`].
        #[n(1)]
        about: Vec<MemberKey>,
        /// See [`private::Report`].
        #[n(2)]
        category: Category,
        /// See [`private::Report`].
        #[n(3)]
        words: String,
    },
    /// See [`private::Private::Flag`].
    #[n(24)]
    Flag(#[n(0)] String),
    /// See [`private::Seen`].
    #[n(25)]
    Seen {
        /// See [`private::Seen`].
        #[n(0)]
        message: MessageId,
        /// See [`private::Seen`].
        #[n(1)]
        state: private::SeenState,
        /// See [`private::Seen`].
        #[n(2)]
        words: String,
    },
    /// Sealed notes, each for one member: see [`super::note`].
    #[n(26)]
    Sealed {
        /// In an order that reveals nothing.
        #[n(0)]
        notes: Vec<minicbor::bytes::ByteVec>,
    },
    /// A moderator puts a content note on another member's words.
    #[n(27)]
    Cover {
        /// The message.
        #[n(0)]
        to: Ref,
        /// The content note; empty takes it off.
        #[n(1)]
        topic: String,
    },
    /// A moderator is here for the room until a time of the relay; 0: no longer.
    #[n(28)]
    Duty(#[n(0)] Millis),
    /// See [`private::Inquiry`].
    #[n(29)]
    Inquire {
        /// See [`private::Inquiry`].
        #[n(0)]
        wanted: private::Wanted,
        /// See [`private::Inquiry`].
        #[n(1)]
        within: u32,
    },
}

impl From<floor::Ask> for Body {
    fn from(ask: floor::Ask) -> Self {
        let floor::Ask { form, text, options, until, after_own, part } = ask;
        Self::Ask { form, text, options, until, after_own, part }
    }
}

impl From<floor::Recap> for Body {
    fn from(recap: floor::Recap) -> Self {
        let floor::Recap { upto, state } = recap;
        Self::Recap { upto, state }
    }
}

impl Body {
    /// Whether its entry is marked: no rule of the room stops it, and it holds no text.
    pub const fn is_marked(&self) -> bool {
        matches!(self, Self::Retract { .. } | Self::Depart { .. })
    }

    /// Whether it means something now only: refused, it is not sent later.
    pub const fn is_of_the_moment(&self) -> bool {
        match self {
            Self::React { .. }
            | Self::Edit { .. }
            | Self::Cover { .. }
            | Self::Floor(_)
            | Self::Ask { .. }
            | Self::Answer { .. }
            | Self::Close { .. }
            | Self::Recap { .. }
            | Self::Duty(_) => true,
            Self::Text(_)
            | Self::Say { .. }
            | Self::Retract { .. }
            | Self::Depart { .. }
            | Self::InviteIssued { .. }
            | Self::AgreementText { .. }
            | Self::Shared(_)
            | Self::Offers(_)
            | Self::Note { .. }
            | Self::Anon(_)
            | Self::Recall(_)
            | Self::Mood { .. }
            | Self::Questionnaire { .. }
            | Self::Report { .. }
            | Self::Flag(_)
            | Self::Seen { .. }
            | Self::Inquire { .. }
            | Self::Sealed { .. } => false,
        }
    }

    /// Returns the words to the room, to be changed before they are sent.
    pub(super) const fn words_mut(&mut self) -> Option<&mut String> {
        match self {
            Self::Text(text) | Self::Say { text, .. } | Self::Answer { text: Some(text), .. } => {
                Some(text)
            }
            _ => None,
        }
    }

    /// Returns the words of a message that its author wrote for others: they wait, are held and are given back as they are.
    pub const fn words(&self) -> Option<&String> {
        static NONE: String = String::new();
        match self {
            Self::Text(text)
            | Self::Say { text, .. }
            | Self::Answer { text: Some(text), .. }
            | Self::Note { text, .. }
            | Self::Anon(text)
            | Self::Mood { words: text, .. }
            | Self::Report { words: text, .. }
            | Self::Flag(text)
            | Self::Seen { words: text, .. } => Some(text),
            // A person wrote it all the same.
            Self::Questionnaire { .. } => Some(&NONE),
            _ => None,
        }
    }
}

/// The common beginning of all envelopes. It is read even if the content is not accepted, because the message counts: without it
/// the sender's next message would seem to follow a gap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// See [`Envelope::id`].
    pub id: MessageId,
    /// See [`Envelope::counter`].
    pub counter: u64,
    /// See [`Envelope::seen`]; absent in other formats, whose encoding of it is unknown.
    pub seen: Option<Seen>,
}

/// A kind of message that this version does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct LaterKind {
    /// Format of the envelope.
    #[n(0)]
    pub format: u64,
    /// Number of the body, if the format is known.
    #[n(1)]
    pub body: Option<u32>,
}

/// Why the content of an envelope is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContentError {
    /// Padding or CBOR is wrong.
    #[error("the message's content is malformed")]
    Malformed,
    /// It comes from a newer version of Hearth.
    #[error("the message is of a kind that this version does not know")]
    Later(Box<Head>, LaterKind),
    /// The body does not match the mark, so it bypasses the room's rules.
    #[error("the message is not of the kind that its mark says")]
    Mark(Box<Head>),
    /// Too long to send.
    #[error("the message is too long")]
    TooLong,
}

impl Envelope {
    /// Encodes and pads.
    ///
    /// # Errors
    /// [`ContentError::TooLong`].
    pub fn to_padded(&self) -> Result<Vec<u8>, ContentError> {
        let bytes = codec::encode(self);
        let padded =
            if self.body.is_marked() { padding::pad_marked(&bytes) } else { padding::pad(&bytes) };
        padded.ok_or(ContentError::TooLong)
    }

    /// Removes the padding and decodes the content of an entry that is `marked` or not.
    ///
    /// # Errors
    /// [`ContentError::Malformed`]; [`ContentError::Later`] for a body or format of a newer version;
    /// [`ContentError::Mark`] if a marked entry holds a text, or an unmarked one a retraction or a departure.
    pub fn from_padded(padded: &[u8], marked: bool) -> Result<Self, ContentError> {
        let bytes = if marked { padding::unpad_marked(padded) } else { padding::unpad(padded) };
        let bytes = bytes.ok_or(ContentError::Malformed)?;
        match codec::decode::<Self>(bytes) {
            Ok(envelope) if envelope.format == FORMAT => {
                if envelope.body.is_marked() == marked {
                    return Ok(envelope);
                }
                let Self { id, counter, seen, .. } = envelope;
                Err(ContentError::Mark(Box::new(Head { id, counter, seen })))
            }
            _ => {
                let (head, kind) = later(bytes).ok_or(ContentError::Malformed)?;
                Err(ContentError::Later(Box::new(head), kind))
            }
        }
    }
}

/// Reads the head of an envelope in another format, or with a body that this version does not know; `None` if it is
/// neither, or malformed.
fn later(bytes: &[u8]) -> Option<(Head, LaterKind)> {
    /// Fields of every format: format, id, counter.
    const COMMON: u64 = 3;
    /// Fields of this format before the body.
    const BODY: u64 = 5;
    /// Fields of this format.
    const ALL: u64 = 7;
    let mut decoder = minicbor::Decoder::new(bytes);
    let fields = decoder.array().ok()??;
    (fields >= COMMON).then_some(())?;
    let format = decoder.u64().ok()?;
    let (id, counter) = (decoder.decode().ok()?, decoder.u64().ok()?);
    let (mut seen, mut body, mut read) = (None, None, COMMON);
    if format == u64::from(FORMAT) {
        (fields >= ALL).then_some(())?;
        seen = decoder.decode().ok()?;
        decoder.decode::<Millis>().ok()?;
        // A known body may contain an unknown part, too, such as a role or a change.
        let known = decoder.clone().decode::<Body>();
        known.err().filter(minicbor::decode::Error::is_unknown_variant)?;
        let mut choice = decoder.clone();
        (choice.array().ok()? == Some(2)).then_some(())?;
        body = Some(choice.u32().ok()?);
        read = BODY;
    }
    for _ in read..fields {
        decoder.skip().ok()?;
    }
    let whole = decoder.position() == bytes.len();
    whole.then_some((Head { id, counter, seen }, LaterKind { format, body }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: [u8; 16] = [4; 16];

    fn read(bytes: &[u8], marked: bool) -> Result<Envelope, ContentError> {
        let padded = if marked { padding::pad_marked(bytes) } else { padding::pad(bytes) };
        Envelope::from_padded(&padded.unwrap(), marked)
    }

    /// Encodes format, id, counter 9 and the given fields.
    fn bytes(fields: u8, format: &[u8], rest: &[u8]) -> Vec<u8> {
        [&[0x80 | fields], format, &[0x50], &ID, &[9], rest].concat()
    }

    #[test]
    fn later_messages_name_sender_and_counter() {
        let seen = [&[0x83, 7, 0x58, 32], &[6; 32][..], &[0x80]].concat();
        let known =
            |body: &[u8]| bytes(7, &[2], &[&seen, &[5][..], body, &[0x50], &[0; 16]].concat());
        let head = |seen| Head { id: MessageId(ID), counter: 9, seen };
        let had = Seen { seq: Seq(7), digest: Digest([6; 32]), windows: Vec::new() };
        for (content, format, body, seen) in [
            (known(&[0x82, 14, 0x81, 0xa1, 1, 2]), 2, Some(14), Some(had.clone())),
            (known(&[0x82, 0x1a, 0, 1, 0, 0, 0x80]), 2, Some(65_536), Some(had)),
            (bytes(3, &[3], &[]), 3, None, None),
            (bytes(5, &[0x19, 1, 0], &[0xa1, 1, 0x80, 0xf5]), 256, None, None),
            (bytes(4, &[1], &[0xf6]), 1, None, None),
        ] {
            for marked in [false, true] {
                let kind = LaterKind { format, body };
                let later = ContentError::Later(Box::new(head(seen.clone())), kind);
                assert_eq!(read(&content, marked), Err(later), "{content:x?}");
                for cut in [&content[..content.len() - 1], &[&content[..], &[0]].concat()] {
                    assert_eq!(read(cut, marked), Err(ContentError::Malformed), "{cut:x?}");
                }
            }
        }
        // A known kind with the wrong shape is malformed, and so is an envelope without the common beginning.
        for content in [
            known(&[0x82, 0, 0x81, 7]),
            known(&[0x83, 5, 0x80, 0x80]),
            known(&[5]),
            bytes(6, &[2], &[0xf6, 5, 0x82, 5, 0x80, 0x40]),
            bytes(2, &[3], &[]),
            vec![0x82, 3, 0x50],
            vec![0x9f, 3, 0xff],
            vec![0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 3],
        ] {
            assert_eq!(read(&content, false), Err(ContentError::Malformed), "{content:x?}");
        }
    }
}
