//! The member side of Hearth: an engine that holds a room's cryptography and rules, and the shells around it.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic))]

pub mod advice;
pub mod backoff;
pub mod cli;
pub mod clock;
pub mod commands;
pub mod connection;
pub mod engine;
pub mod failure;
pub mod fault;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod line;
pub mod live;
mod passphrase;
pub mod profile;
pub mod show;
mod signals;
#[cfg(feature = "simulation")]
pub mod simulated;
pub mod store;
pub mod text;
