//! What is inside an application message: versioned, padded, with what the sender knew of the log.
//!
//! `docs/protocol.md` section 7.6.

use hearth_protocol::{
    Digest, InviteId, MessageId, Millis, Role, Secret32, Seq, codec, hash, padding,
};
use minicbor::{Decode, Encode};

use super::agreement::{Agreement, Departure};

/// Entries that one message vouches for at most. A reader looks each of them up.
pub const WINDOW_ENTRIES_MAX: u64 = 512;

/// Entries that one message vouches for at least, said before or not: what a relay keeps from a reader by a tombstone in the
/// place of one message, the author's next one says again.
pub const WINDOW_ENTRIES_MIN: u64 = 64;

/// Windows in one message. A reader looks at no more of them.
pub const WINDOWS_MAX: usize = 5;

/// The format of envelopes that this version writes and knows.
const FORMAT: u16 = 2;

/// Bytes of one text message.
pub const TEXT_BYTES_MAX: usize = 16 * 1024;

/// One application message, as encrypted by MLS and thereby signed by its sender's leaf.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Envelope {
    /// Layout; 2.
    #[n(0)]
    pub format: u16,
    /// Random; the same over retries and re-encryptions, so that a copy is shown once.
    #[n(1)]
    pub id: MessageId,
    /// Counts this sender's messages from 1, so that a missing one is noticed.
    #[n(2)]
    pub counter: u64,
    /// What the sender had seen, so that a fork of the log is noticed.
    #[n(3)]
    pub seen: Option<Seen>,
    /// When it was written, by the sender's clock.
    #[n(4)]
    pub sent_at: Millis,
    /// The content.
    #[n(5)]
    pub body: Body,
    /// Random, so that nobody can try words against a hash of the message.
    #[n(6)]
    #[cbor(with = "minicbor::bytes")]
    pub salt: [u8; 16],
}

/// What a sender had of the log: the last entry, and all since their last message or longer.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Seen {
    /// The last entry.
    #[n(0)]
    pub seq: Seq,
    /// SHA-256 of its payload.
    #[n(1)]
    pub digest: Digest,
    /// The last [`WINDOW_ENTRIES_MIN`] entries or, if longer, all since the sender's last message; all since that, for readers
    /// who miss an earlier one; all since each of the last admissions, for newcomers. Longest first; at most [`WINDOWS_MAX`].
    #[n(2)]
    pub windows: Vec<Window>,
}

/// A part of the log, up to the last entry that was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Window {
    /// It begins after this entry.
    #[n(0)]
    pub since: Seq,
    /// Which entries are there, and in which order: see [`Window::of`].
    #[n(1)]
    pub hash: Digest,
}

impl Window {
    /// Hashes entries after a position: each one's place, digest, and time by the relay's clock.
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

/// What a message is about.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Body {
    /// Words.
    #[n(0)]
    Text(#[n(0)] String),
    /// The sender takes an own message back.
    #[n(1)]
    Retract {
        /// Which.
        #[n(0)]
        message: MessageId,
        /// Where it is.
        #[n(1)]
        seq: Seq,
    },
    /// The sender leaves.
    #[n(2)]
    Depart {
        /// The signed statement, which the commit that carries it out repeats.
        #[n(0)]
        departure: Departure,
    },
    /// An invite was made; facilitators open its knocks with this key.
    #[n(3)]
    InviteIssued {
        /// Its id at the relay.
        #[n(0)]
        invite: InviteId,
        /// See [`hearth_protocol::invite::knock_key`].
        #[n(1)]
        knock_key: Secret32,
        /// Knocks it is good for.
        #[n(2)]
        uses: u32,
        /// End of validity.
        #[n(3)]
        expires: Millis,
        /// The role its holder is admitted to.
        #[n(4)]
        role: Role,
    },
    /// The text of a new version of the agreement, ahead of the record that names it.
    #[n(4)]
    AgreementText {
        /// The new version.
        #[n(0)]
        agreement: Agreement,
        /// Secret of the invite by which those who acknowledge too late come back.
        #[n(1)]
        return_secret: Secret32,
        /// End of that invite.
        #[n(2)]
        return_expires: Millis,
    },
    /// Sealed notes, each for one member: see [`super::note`].
    #[n(26)]
    Sealed {
        /// In an order that says nothing.
        #[n(0)]
        notes: Vec<minicbor::bytes::ByteVec>,
    },
}

impl Body {
    /// Whether its entry is marked: no rule of the room stops it, and it holds no words.
    pub const fn is_marked(&self) -> bool {
        matches!(self, Self::Retract { .. } | Self::Depart { .. })
    }
}

/// How every envelope begins, and what is read of one whose content is not taken: it counts all the same, because the
/// sender's next message would be taken for one after a gap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// See [`Envelope::id`].
    pub id: MessageId,
    /// See [`Envelope::counter`].
    pub counter: u64,
    /// See [`Envelope::seen`]; absent in other formats, which say it in ways of their own.
    pub seen: Option<Seen>,
}

/// A kind of message that this version does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct LaterKind {
    /// Format of the envelope.
    #[n(0)]
    pub format: u64,
    /// Number of the body, where the format is known.
    #[n(1)]
    pub body: Option<u32>,
}

/// Why the content of an envelope is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContentError {
    /// Padding or CBOR is wrong.
    #[error("the message's content is malformed")]
    Malformed,
    /// From a newer version of Hearth.
    #[error("the message is of a kind that this version does not know")]
    Later(Box<Head>, LaterKind),
    /// Sent past the room's rules as what it is not.
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

    /// Strips the padding and decodes the content of an entry that is `marked` or not.
    ///
    /// # Errors
    /// [`ContentError::Malformed`]; [`ContentError::Later`] for a body or format of a newer version;
    /// [`ContentError::Mark`] if a marked entry holds words, or another a retraction or a departure.
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

/// Reads what is known of an envelope of another format, or with a body that this version does not know; `None` if it is
/// neither, or not well-formed.
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
        // A part of a known body may be of a later version, too: a role, a change.
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

    /// Format, id, counter 9, and fields as they are.
    fn bytes(fields: u8, format: &[u8], rest: &[u8]) -> Vec<u8> {
        [&[0x80 | fields], format, &[0x50], &ID, &[9], rest].concat()
    }

    #[test]
    fn later_messages_say_who_and_how_many() {
        let seen = [&[0x83, 7, 0x58, 32], &[6; 32][..], &[0x80]].concat();
        let known =
            |body: &[u8]| bytes(7, &[2], &[&seen, &[5][..], body, &[0x50], &[0; 16]].concat());
        let head = |seen| Head { id: MessageId(ID), counter: 9, seen };
        let had = Seen { seq: Seq(7), digest: Digest([6; 32]), windows: Vec::new() };
        for (content, format, body, seen) in [
            (known(&[0x82, 5, 0x81, 0xa1, 1, 2]), 2, Some(5), Some(had.clone())),
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
        // A known kind with content of another shape is malformed, and so is what lacks the common beginning.
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
