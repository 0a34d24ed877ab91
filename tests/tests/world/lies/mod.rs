//! The layer of the network that lies: frames in, frames out, no sockets.
//!
//! It keeps one log *for each member* and shows each whatever the plan says. The plan follows from the seed alone; keys and
//! ciphertexts are as random as ever.

mod log;
mod op;
mod stage;

use hearth_kit::Dice;

pub use op::Op;
pub use stage::{Action, FALSE_UNTIL, SILENT_SECONDS, Stage, Told};
