//! Sealed notes of a room beside its log: written, read and answered, with the keys that open them. `docs/protocol.md` section 7.10.
//!
//! A note goes from one key to another over the relay, which keeps it until its reader drops it. What was read is in the store before
//! that, so that no crash loses a call for help.

mod keys;
mod read;
mod write;

pub use self::{
    keys::{NOTE_KEY_KEPT_MILLIS, NOTE_KEY_MILLIS},
    read::{KeptNote, TakenNote},
    write::{NoteToSend, SENT_MAX, Unreached},
};

use super::error::EngineError;

type Result<T, E = EngineError> = std::result::Result<T, E>;

/// How long after they left somebody's notes are read, and for how long an answer is waited for: 30 days, as long as the relay keeps
/// a note, and a key's 5 days more.
const FORMER_MILLIS: u64 = 30 * 24 * 3_600_000;
