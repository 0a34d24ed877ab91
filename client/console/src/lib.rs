//! The terminal: line editing, questions, passphrases without an echo, signals. It is independent of Hearth.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic))]

pub mod line;
pub mod signals;
