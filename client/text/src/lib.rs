//! Text of others, shown without harm, and names held apart that look alike.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic))]

pub mod count;
pub mod escape;
pub mod name;
