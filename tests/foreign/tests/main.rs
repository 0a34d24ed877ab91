//! A member with another implementation of MLS (mls-rs): what they send by the rules is read, and what is against the
//! rules has no effect, names them, and does not stop the room.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod commits;
mod joins;
mod meddle;
mod member;
mod paths;
mod second_client;
mod stage;
mod words;
