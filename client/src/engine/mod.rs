//! The engine: the cryptography, rules and state of rooms, without sockets or screens.

pub mod accord;
pub mod act;
pub mod agreement;
pub mod check;
pub mod companion;
pub mod confirmed;
pub mod content;
pub mod error;
pub mod gate;
pub mod join;
#[cfg(any(test, feature = "sabotage"))]
mod mischief;
pub mod mls;
pub(crate) mod mls_storage;
pub mod more;
pub mod note;
pub mod outbox;
pub mod policy;
pub mod provider;
pub mod receipt;
pub mod receive;
mod recent;
pub mod record;
pub mod room;
pub mod state;
pub mod times;
mod vouch;

pub use error::EngineError;
pub use provider::Crypto;
pub use room::Room;

#[cfg(test)]
mod tests;
