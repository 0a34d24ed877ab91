//! A hostile relay: between real members and a real relay, a proxy lies by a seeded plan, and an oracle watches.
//!
//! A scene is one seed: a room with its people, on the real wire. [`Stage`] is what the proxy knows and does: it
//! keeps one log *for each member* and shows each whatever the plan says. `check` is the oracle. The plan follows
//! from the seed alone; keys and ciphertexts are as random as ever.

mod backend;
mod check;
mod log;
mod op;
mod people;
mod proxy;
mod scene;
mod seeds;
mod stage;

pub use backend::Backend;
pub use hearth_kit::Dice;
pub use op::Op;
pub use people::Person;
pub use proxy::Proxy;
pub use scene::{Lies, Outcome, WRONG_CLOCKS, run};
pub use stage::Stage;
