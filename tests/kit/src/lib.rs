//! Tests of Hearth from the outside: the real `hearthd` and `hearth`, on a free port, in folders of their own.
//!
//! [`Relay`] runs one relay and stops it on drop; [`Person`] runs commands of one profile; [`Circle`] is a room with
//! its people. Nothing here sleeps: every wait is for a line, for the end of a process, or for a command that is
//! repeated a bounded number of times, and every wait has a deadline.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a test fails by panicking"
)]

mod at_terminal;
mod binary;
mod circle;
mod clock;
mod cutter;
mod dice;
pub mod fault;
pub mod forged;
pub mod load;
mod person;
mod process;
mod proxy;
mod relay;
pub mod skip;
mod tmux;

pub use at_terminal::{AtTerminal, end_of, unwrapped, wait_until};
pub use circle::{AGREEMENT, Circle, text_file};
pub use clock::clock;
pub use cutter::Cutter;
pub use dice::Dice;
pub use person::{Answer, Person};
pub use process::{Ended, Running};
pub use proxy::Proxy;
pub use relay::{Relay, RelayOptions};
pub use tmux::Tmux;

use std::time::Duration;

/// For anything that takes its time on a busy machine; reached only by a test that fails.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// Repeats something until it gives a value; fails after many times.
///
/// Each turn should do real work, such as running a command: that is the pace.
pub fn until<T>(what: &str, mut turn: impl FnMut() -> Option<T>) -> T {
    let end = std::time::Instant::now() + DEADLINE;
    for _ in 0..10_000 {
        if let Some(value) = turn() {
            return value;
        }
        if std::time::Instant::now() > end {
            break;
        }
    }
    panic!("never came true: {what}");
}

/// A folder that need not survive a power cut: in memory where the system has such a place.
pub fn scratch() -> tempfile::TempDir {
    let memory = std::path::Path::new("/dev/shm");
    let dir = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    dir.unwrap()
}
