//! Inert display of untrusted text, and names that cannot be mistaken for one another.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic))]

pub mod count;
pub mod escape;
pub mod name;
pub mod words;
pub mod wrap;
