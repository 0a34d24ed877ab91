//! The hostile relay: real members, a real relay, a layer that lies by a seeded plan, and an oracle that watches.
//!
//! A scene is one seed: a room with its people. `check` is the oracle.

mod check;
mod scene;
mod seeds;
