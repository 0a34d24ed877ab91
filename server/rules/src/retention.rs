//! Retention of a room's contents.

use hearth_protocol::{Millis, RoomNumbers};

const DAY_MILLIS: u64 = 24 * 3_600_000;
/// Minimum retention of a commit, because without it an absent member could not follow the room. An
/// acknowledgement admits for 365 days (`docs/protocol.md` section 7.2).
const COMMITS_KEPT_MILLIS: u64 = 366 * DAY_MILLIS;
/// Time for which an expired invite still answers that it expired.
pub const INVITE_KEPT_MILLIS: u64 = DAY_MILLIS;
/// Retention of a blob that no commit names.
pub const STAGED_KEPT_MILLIS: u64 = DAY_MILLIS;
/// Retention of a Welcome that is not fetched.
pub const WELCOME_KEPT_MILLIS: u64 = 84 * DAY_MILLIS;
/// Retention of a knock, pending or declined.
pub const KNOCK_KEPT_MILLIS: u64 = 30 * DAY_MILLIS;

/// Whether a lane is deleted with all its entries. `closed_at` is 0 while it is open.
pub const fn lane_is_over(parent: &RoomNumbers, closed_at: u64, now: Millis) -> bool {
    let kept = parent.retention_seconds.saturating_mul(1000);
    closed_at > 0 && closed_at < now.0.saturating_sub(kept)
}

/// Whether a room is deleted with its lanes, because its group ended long enough ago.
pub fn room_is_over(numbers: &RoomNumbers, now: Millis) -> bool {
    numbers.deleted_at().is_some_and(|at| at <= now)
}

/// The expired part of a room's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// Entries and acts from before this time are deleted.
    pub cutoff: u64,
    /// Additional milliseconds for which commits are kept.
    pub longer: u64,
}

impl Expiry {
    /// Returns the expired part; `None` if nothing has expired. `oldest_at` is [`crate::RoomRow::oldest_at`].
    pub fn of(numbers: &RoomNumbers, oldest_at: u64, now: Millis) -> Option<Self> {
        let kept = numbers.retention_seconds.saturating_mul(1000);
        let cutoff = now.0.saturating_sub(kept);
        // The shorter the room's retention, the longer commits are kept beyond it.
        let longer = COMMITS_KEPT_MILLIS.saturating_sub(kept);
        (oldest_at < cutoff).then_some(Self { cutoff, longer })
    }

    /// Returns the time before which commits, and the rows of removed members, are deleted.
    pub const fn commits_cutoff(&self) -> u64 {
        self.cutoff.saturating_sub(self.longer)
    }
}
