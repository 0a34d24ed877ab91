//! A member's connection to the relay, and the room kept in step with it.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic))]

pub mod backoff;
pub mod client;
pub mod connection;
pub mod contacts;
pub mod live;
pub mod network;
pub mod session;
