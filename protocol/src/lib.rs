//! The wire between a Hearth relay and the members of its rooms.
//!
//! A client opens a WebSocket to the relay and sends a hello with its protocol versions. The relay answers with its
//! identity and a fresh challenge. For each room the client signs the challenge with its key for that room alone; the
//! relay answers with the key's standing. A member subscribes to the room's log after the last entry it has, gets every
//! later entry in order, and submits entries of its own: MLS ciphertext that the relay stores, orders and forwards
//! without being able to read it. A submission may carry effects (an admission, a pause), which the relay applies
//! together with the entry or not at all.
//!
//! The holder of an invite fetches the sealed preview, reads the agreement, and knocks with an opaque proof of having
//! acknowledged it. Nothing else is accessible before admission.
//!
//! This crate is pure: bytes, time and randomness are arguments, values are results. It has no sockets, no clock, no
//! files. `docs/protocol.md` is the normative text.

#![warn(clippy::expect_used, clippy::indexing_slicing, clippy::wildcard_enum_match_arm)]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::cast_possible_truncation
    )
)]

pub mod codec;
pub mod error;
pub mod frame;
pub mod handshake;
pub mod hash;
pub mod hours;
pub mod id;
pub mod invite;
pub mod limits;
pub mod mls_header;
pub mod padding;
pub mod seal;
pub mod secret;

pub use error::RejectCode;
pub use frame::{ClientFrame, Effect, Entry, EntryContent, Role, RoomNumbers, ServerFrame};
pub use id::{
    BlobId, Commitment, Digest, Epoch, InviteId, MemberKey, MessageId, Millis, NoteId, Pin,
    RelayId, RoomId, Seq, Signature, StreamId,
};
pub use secret::Secret32;
