//! Faults that were found in 0.1, row by row: each test carries its row's number, and failed on 0.1.

mod advice;
mod amendments;
mod clocks;
mod keyboard;
mod leaks;
pub(crate) mod members;
mod membership;
mod relay;
mod scan;
mod typed;
