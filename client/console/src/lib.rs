//! The terminal: lines typed and edited, questions, passphrases without an echo, signals. It knows nothing of Hearth.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic))]

pub mod line;
pub mod signals;
