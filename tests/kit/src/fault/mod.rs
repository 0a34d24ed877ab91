//! What breaks under a relay or a member: the power, the disk, single system calls, single bytes.

pub mod crowd;
pub mod cut;
pub mod damage;
pub mod read_only;
pub mod trace;

/// Reads a number from the environment: how long a campaign is, or its seed.
pub fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |value| value.parse().unwrap())
}
