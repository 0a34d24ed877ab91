//! The floor: rounds, hands, prompts and polls as a pure state machine over the room's log. `docs/floor.md`.

pub mod poll;
pub mod wire;

pub use wire::{Answer, Ask, Asked, Ballot, Close, Form, Hand, Op, Part, Recap, Ref, Round, State};

#[cfg(test)]
mod tests;
