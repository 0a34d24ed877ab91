//! Limits the pace of each member's commits.

use std::collections::HashMap;

use hearth_protocol::{MemberKey, Millis, RejectCode, RoomId, limits::LANE_MILLIS};

use crate::Refusal;

/// Minimum milliseconds between two commits of one member, in the long run.
const COMMIT_MILLIS: u64 = 2_000;
/// Commits of one member at once.
const COMMIT_BURST: u64 = 5;
/// Members whose pace is kept; above it, members who owe nothing are dropped.
const PACE_MAX: usize = 8192;

/// Pace of each member's commits, and of the openings of lanes, so that a storm of self-updates cannot keep a facilitator's commit from winning.
#[derive(Debug, Default)]
pub struct CommitPace {
    /// Time at which a member's whole burst is available again.
    free_at: HashMap<(RoomId, MemberKey), u64>,
    /// The same for the openings of a room's lanes.
    lanes: HashMap<RoomId, u64>,
}

impl CommitPace {
    /// Takes one commit of a member's pace.
    pub fn take(&mut self, room: RoomId, member: &MemberKey, now: Millis) -> Result<(), Refusal> {
        if self.free_at.len() >= PACE_MAX {
            self.free_at.retain(|_, free_at| *free_at > now.0);
        }
        if self.free_at.len() >= PACE_MAX && !self.free_at.contains_key(&(room, *member)) {
            return Err(Refusal::until(RejectCode::RateLimited, Some(now.plus(COMMIT_MILLIS))));
        }
        let free_at = self.free_at.entry((room, *member)).or_insert(0);
        let next = next(*free_at, COMMIT_MILLIS, COMMIT_BURST, now);
        *free_at = next.map_err(|at| Refusal::until(RejectCode::RateLimited, Some(at)))?;
        Ok(())
    }

    /// Takes one opening of a lane of a room: `most` at once, then one a minute, because each takes a number of the store for
    /// good.
    pub fn open_lane(&mut self, room: RoomId, most: u32, now: Millis) -> Result<(), Refusal> {
        if self.lanes.len() >= PACE_MAX {
            self.lanes.retain(|_, free_at| *free_at > now.0);
        }
        let wait = |at| Refusal::until(RejectCode::RateLimited, Some(at));
        if self.lanes.len() >= PACE_MAX && !self.lanes.contains_key(&room) {
            return Err(wait(now.plus(LANE_MILLIS)));
        }
        let free_at = self.lanes.get(&room).copied().unwrap_or(0);
        self.lanes.insert(room, next(free_at, LANE_MILLIS, u64::from(most), now).map_err(wait)?);
        Ok(())
    }
}

/// Takes one act of a pace of `burst` at once and then one in `step` milliseconds. Returns the time at which the whole burst is
/// available again, from the time before; or the time of the next act.
pub(crate) fn next(free_at: u64, step: u64, burst: u64, now: Millis) -> Result<u64, Millis> {
    let window = burst * step;
    // A clock that was set back starts the count again.
    let base = if free_at > now.0.saturating_add(window) { now.0 } else { free_at };
    let next = base.max(now.0).saturating_add(step);
    match next.saturating_sub(window) {
        earliest if earliest > now.0 => Err(Millis(earliest)),
        _ => Ok(next),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: RoomId = RoomId([1; 16]);

    /// A burst of five, then one in two seconds.
    #[test]
    fn commits_are_paced_after_a_burst() {
        let mut pace = CommitPace::default();
        let member = MemberKey([1; 32]);
        let now = 1_000_000;
        for _ in 0..COMMIT_BURST {
            pace.take(ROOM, &member, Millis(now)).unwrap();
        }
        let refusal = pace.take(ROOM, &member, Millis(now)).unwrap_err();
        assert_eq!(refusal.code, RejectCode::RateLimited);
        let retry_at = refusal.retry_at.unwrap();
        assert!(pace.take(ROOM, &member, Millis(retry_at.0 - 1)).is_err());
        pace.take(ROOM, &member, retry_at).unwrap();
        pace.take(ROOM, &MemberKey([2; 32]), Millis(now)).unwrap();
    }

    #[test]
    fn lanes_open_at_once_then_slowly() {
        let (mut pace, now) = (CommitPace::default(), 1_000_000);
        for _ in 0..4 {
            pace.open_lane(ROOM, 4, Millis(now)).unwrap();
        }
        let refusal = pace.open_lane(ROOM, 4, Millis(now)).unwrap_err();
        assert_eq!(refusal.retry_at, Some(Millis(now + LANE_MILLIS)));
        pace.open_lane(RoomId([2; 16]), 4, Millis(now)).unwrap();
        pace.open_lane(ROOM, 4, Millis(now + LANE_MILLIS)).unwrap();
        assert!(pace.open_lane(ROOM, 4, Millis(now + LANE_MILLIS)).is_err());
        // Rooms that owe nothing are forgotten.
        for number in 0..PACE_MAX as u64 {
            let mut room = [9; 16];
            room[..8].copy_from_slice(&number.to_be_bytes());
            let _ = pace.open_lane(RoomId(room), 4, Millis(now));
        }
        assert!(pace.open_lane(RoomId([3; 16]), 4, Millis(now)).is_err());
        pace.open_lane(RoomId([3; 16]), 4, Millis(now + 4 * LANE_MILLIS)).unwrap();
        assert!(pace.lanes.len() < 4);
    }

    #[test]
    fn clock_set_back_paces_nobody() {
        let mut pace = CommitPace::default();
        let member = MemberKey([1; 32]);
        for now in [10_000_000_000, 1_000, u64::MAX, 0] {
            pace.take(ROOM, &member, Millis(now)).unwrap();
        }
    }

    #[test]
    fn members_who_owe_nothing_are_forgotten() {
        let mut pace = CommitPace::default();
        let key = |number: usize| {
            let mut bytes = [0; 32];
            bytes[..8].copy_from_slice(&number.to_be_bytes());
            MemberKey(bytes)
        };
        let now = 1_000_000;
        for number in 1..PACE_MAX {
            pace.take(ROOM, &key(number), Millis(now)).unwrap();
        }
        let soon = now + COMMIT_MILLIS;
        for _ in 0..COMMIT_BURST {
            pace.take(ROOM, &key(0), Millis(soon - 1)).unwrap();
        }
        // One more member finds no place; the present ones go on.
        let late = key(PACE_MAX);
        assert!(pace.take(ROOM, &late, Millis(soon - 1)).is_err());
        pace.take(ROOM, &key(1), Millis(soon - 1)).unwrap();
        pace.take(ROOM, &late, Millis(soon)).unwrap();
        assert_eq!(pace.free_at.len(), 3);
        // A member who is too fast keeps their place.
        assert!(pace.take(ROOM, &key(0), Millis(soon)).is_err());
    }
}
