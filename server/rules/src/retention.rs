//! For how long what is in a room is kept.

use hearth_protocol::{Millis, RoomNumbers};

const DAY_MILLIS: u64 = 24 * 3_600_000;
/// For how long a commit is kept at least: without it, a member who was away could not follow the room any more. An
/// acknowledgement admits for 365 days (`docs/protocol.md` section 7.2).
const COMMITS_KEPT_MILLIS: u64 = 366 * DAY_MILLIS;
/// For how long an expired invite still answers that it expired.
pub const INVITE_KEPT_MILLIS: u64 = DAY_MILLIS;
/// For how long a blob is kept that no commit names.
pub const STAGED_KEPT_MILLIS: u64 = DAY_MILLIS;
/// For how long a Welcome waits to be fetched.
pub const WELCOME_KEPT_MILLIS: u64 = 84 * DAY_MILLIS;
/// For how long a knock, pending or declined, is kept.
pub const KNOCK_KEPT_MILLIS: u64 = 30 * DAY_MILLIS;

/// What of a room's log is past its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// Entries and acts from before are deleted.
    pub cutoff: u64,
    /// Milliseconds by which commits are kept longer.
    pub longer: u64,
}

impl Expiry {
    /// Returns what is past its time; `None` if nothing is. `oldest_at` is [`crate::RoomRow::oldest_at`].
    pub fn of(numbers: &RoomNumbers, oldest_at: u64, now: Millis) -> Option<Self> {
        let kept = numbers.retention_seconds.saturating_mul(1000);
        let cutoff = now.0.saturating_sub(kept);
        // A shorter time for all else makes commits due later than it.
        let longer = COMMITS_KEPT_MILLIS.saturating_sub(kept);
        (oldest_at < cutoff).then_some(Self { cutoff, longer })
    }

    /// Commits, and the rows of removed members, from before are deleted.
    pub const fn commits_cutoff(&self) -> u64 {
        self.cutoff.saturating_sub(self.longer)
    }
}
