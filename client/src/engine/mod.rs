//! The engine: the cryptography, rules and state of rooms, without sockets or screens.

pub(crate) mod mls_storage;
pub(crate) mod provider;
