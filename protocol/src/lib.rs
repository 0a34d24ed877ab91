//! The wire between a Hearth relay and the members of its rooms.
//!
//! A conversation, in prose. A client opens a WebSocket to the relay and says hello with the protocol versions it
//! speaks. The relay answers with its identity and a fresh challenge. For each room the client signs the challenge
//! with the key it has for that room alone; the relay then tells what it holds that key to be. A member subscribes
//! to the room's log after the last entry it has, gets every later entry in order, and submits entries of its own:
//! MLS ciphertext that the relay stores, orders and forwards without being able to read it. A submission may carry
//! effects (an admission, a pause), which the relay applies together with the entry or not at all.
//!
//! Somebody who holds an invite fetches the sealed preview, reads the agreement, and knocks with an opaque proof
//! of having acknowledged it. Nothing else is reachable before admission.
//!
//! This crate is pure: bytes, time and randomness come in, values come out. It has no sockets, no clock, no files.
//! `docs/protocol.md` is the normative text of what is implemented here.

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
    BlobId, Commitment, Digest, Epoch, InviteId, MemberKey, MessageId, Millis, Pin, RelayId,
    RoomId, Seq, Signature, StreamId,
};
pub use secret::Secret32;
