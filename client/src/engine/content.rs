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

/// Windows in one message.
pub const WINDOWS_MAX: usize = 5;

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
#[non_exhaustive]
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

/// Why bytes are no envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ContentError {
    /// Padding or CBOR is wrong.
    #[error("the message's content is malformed")]
    Malformed,
    /// From a newer version of Hearth.
    #[error("the message is of a kind that this version does not know")]
    Unknown,
    /// Sent past the room's rules as what it is not.
    #[error("the message is not of the kind that its mark says")]
    Mark,
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
    /// [`ContentError::Malformed`]; [`ContentError::Unknown`] for a body or format of a newer version;
    /// [`ContentError::Mark`] if a marked entry holds anything but a retraction or a departure, or the reverse.
    pub fn from_padded(padded: &[u8], marked: bool) -> Result<Self, ContentError> {
        let bytes = if marked { padding::unpad_marked(padded) } else { padding::unpad(padded) };
        let bytes = bytes.ok_or(ContentError::Malformed)?;
        match codec::decode::<Self>(bytes) {
            Ok(envelope) if envelope.format != 2 => Err(ContentError::Unknown),
            Ok(envelope) if envelope.body.is_marked() != marked => Err(ContentError::Mark),
            Ok(envelope) => Ok(envelope),
            Err(codec::DecodeError::Malformed(error)) if error.is_unknown_variant() => {
                Err(if marked { ContentError::Mark } else { ContentError::Unknown })
            }
            Err(_) => Err(ContentError::Malformed),
        }
    }
}
