//! `hearth`, the command-line client: commands, and the sentences that a person reads.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic))]

pub mod advice;
pub mod cli;
pub mod commands;
pub mod failure;
pub mod fault;
pub mod show;
pub mod text;
