//! The fuzz targets of `tests/tests/fuzz`, for libFuzzer.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, unreachable_pub, reason = "a target fails by panicking")]

#[path = "../../tests/tests/fuzz/mod.rs"]
pub mod fuzz;


/// Tries some bytes on the target of a name.
pub fn run(name: &str, bytes: &[u8]) -> bool {
    let target = fuzz::TARGETS.iter().find(|target| target.name == name).expect("a target's name");
    (target.run)(bytes)
}
