//! What Hearth promises, tried from the outside, through the real programs wherever that is possible: one module for each
//! promise. `docs/assurance.md` says which test holds which.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    missing_docs,
    unreachable_pub,
    reason = "a test fails by panicking"
)]

mod agreement;
mod bad_input;
mod bad_profile;
mod bad_relay;
mod blocked;
mod calm;
mod certificate;
mod chat;
mod cli;
mod clock;
mod confidentiality;
mod crash;
mod door;
mod dos;
mod endings;
mod evening;
mod found;
mod frame;
mod full_disk;
mod fuzz;
mod handle;
mod hardened;
mod hostile;
mod killed;
mod lane_help;
mod lane_mood;
mod lane_reports;
mod lanes;
mod moderation;
mod offline;
mod operations;
mod power;
mod read_only;
mod recovery;
mod roster;
mod screen;
mod shared_profile;
mod sim;
mod soak;
mod storm;
mod story;
mod supply_chain;
mod talk;
mod terminal;
mod trace;
mod world;
