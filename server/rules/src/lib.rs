//! The rules by which the relay accepts and refuses requests: pure functions over a room as a value.
//!
//! A verb is load, decide, save. The store loads a [`Room`] as deep as the verb needs, a function here decides and changes it, and
//! the store saves the changes that it marks. A refusal drops the value, so nothing has to be undone. This crate has no
//! database, socket or clock.

#![allow(missing_docs, reason = "hearthd alone uses this crate; most names say what is to be said")]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic, clippy::cast_possible_truncation))]

pub mod admission;
pub mod blobs;
pub mod effects;
pub mod lanes;
pub mod notes;
mod pace;
pub mod posts;
pub mod quota;
pub mod reading;
pub mod retention;
mod room;
pub mod submit;

#[cfg(test)]
mod tests;

pub use notes::NotePace;
pub use pace::CommitPace;
pub use quota::Quota;
pub use room::{
    Append, Change, Invite, Kept, Kind, Logged, MemberRow, Needs, News, Pending, Room, RoomRow,
    Spent, State,
};

use hearth_protocol::{MemberKey, MessageId, Millis, RejectCode, RoomId};

/// A refusal as sent on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub code: RejectCode,
    /// Earliest time of another attempt, if known.
    pub retry_at: Option<Millis>,
}

impl From<RejectCode> for Refusal {
    fn from(code: RejectCode) -> Self {
        Self { code, retry_at: None }
    }
}

impl Refusal {
    pub const fn until(code: RejectCode, retry_at: Option<Millis>) -> Self {
        Self { code, retry_at }
    }
}

/// Hashes keyed by a secret of the store, so that a stolen table alone does not show which member did what.
pub trait Names {
    fn submission(&self, room: &RoomId, member: &MemberKey, id: &MessageId) -> [u8; 16];
    /// Names the member who made an invite.
    fn issuer(&self, room: &RoomId, member: &MemberKey) -> [u8; 16];
}

/// The disk below the store.
pub trait Disk {
    /// Whether its last free bytes are reserved for moderators.
    fn is_low(&mut self) -> bool;
}

/// Inputs of a decision besides the room.
pub struct Context<'a> {
    pub now: Millis,
    pub pace: &'a mut CommitPace,
    pub notes: &'a mut NotePace,
    pub quota: &'a mut Quota,
    pub disk: &'a mut dyn Disk,
    pub names: &'a dyn Names,
}
