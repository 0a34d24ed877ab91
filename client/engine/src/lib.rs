//! The engine: the cryptography, rules and state of rooms, and the profile that holds them, without sockets or screens.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic))]

pub mod accord;
pub mod act;
pub mod agreement;
pub mod ballots;
pub mod block;
pub mod clock;
pub mod companion;
pub mod confirmed;
pub mod content;
pub mod course;
mod ended;
pub mod error;
pub mod floor;
#[cfg(feature = "testing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod gate;
pub mod help;
pub mod join;
pub mod lane;
#[cfg(any(test, feature = "testing"))]
pub mod lawless;
mod laws;
pub mod mine;
pub mod mls;
pub(crate) mod mls_storage;
pub mod more;
pub mod note;
pub mod notes;
pub mod outbox;
mod passphrase;
pub mod policy;
pub mod private;
pub mod profile;
pub mod provider;
pub mod quote;
pub mod receipt;
pub mod receive;
mod recent;
pub mod record;
pub mod reports;
pub mod room;
pub mod room_key;
pub mod share;
pub mod state;
pub mod store;
pub mod times;
pub mod turns;
mod vouch;
pub mod words;

pub use error::EngineError;
pub use provider::Crypto;
pub use room::Room;

#[cfg(test)]
mod tests;
