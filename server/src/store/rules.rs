//! Whether a member may post now: the room's plain numbers, applied at acceptance.

use std::collections::HashMap;

use hearth_protocol::{
    MemberKey, Millis, RejectCode, RoomNumbers,
    frame::Door,
    limits::{MARKED_MILLIS, RETENTION_SECONDS_DEFAULT},
};
use rusqlite::{Connection, params};

use super::{
    Fault, Refusal,
    rows::{MemberRow, RoomRow},
    schema::{int, uint},
};

/// Posts are counted in quarters of an hour: fine enough for a budget of a day, too coarse to tell messages by.
const QUARTER_MILLIS: u64 = 15 * 60 * 1000;
const QUARTERS_PER_DAY: u64 = 96;

/// Least seconds for which an entry is kept; less would race with its delivery.
const RETENTION_SECONDS_MIN: u64 = 60;
/// Most seconds for which an entry is kept: ten years.
const RETENTION_SECONDS_MAX: u64 = 122 * RETENTION_SECONDS_DEFAULT;

/// Whether a facilitator's numbers can be enforced.
pub(crate) fn well_formed(numbers: &RoomNumbers) -> bool {
    numbers.hours.as_ref().is_none_or(hearth_protocol::hours::Hours::is_well_formed)
        && (RETENTION_SECONDS_MIN..=RETENTION_SECONDS_MAX).contains(&numbers.retention_seconds)
}

fn until(code: RejectCode, retry_at: Option<Millis>) -> Fault {
    Fault::Refused(Refusal { code, retry_at })
}

/// Checks an application entry of somebody who does not moderate against every rule, in the order in which a
/// person would want to hear of them.
pub(crate) fn check_post(
    db: &Connection,
    room: &RoomRow,
    member: &MemberRow,
    payload_bytes: usize,
    now: Millis,
) -> Result<(), Fault> {
    let numbers = &room.numbers;
    if !member.role.posts() {
        return Err(RejectCode::Observer.into());
    }
    if member.timeout_until > now {
        return Err(until(RejectCode::TimedOut, Some(member.timeout_until)));
    }
    if numbers.paused_until > now {
        return Err(until(RejectCode::Paused, Some(numbers.paused_until)));
    }
    match (numbers.door, &numbers.hours) {
        (Door::Open, _) | (Door::ByHours, None) => {}
        (Door::Closed, _) => return Err(RejectCode::Closed.into()),
        (Door::ByHours, Some(hours)) => {
            if !hours.is_open(now) {
                return Err(until(RejectCode::Closed, hours.next_opening(now)));
            }
        }
    }
    if numbers.slow_seconds > 0 {
        let next = member.last_post_at.plus(u64::from(numbers.slow_seconds) * 1000);
        // A clock that was set back must not silence anybody for longer than the rule says.
        if next > now && member.last_post_at <= now {
            return Err(until(RejectCode::SlowMode, Some(next)));
        }
    }
    if numbers.budget_per_day > 0 {
        check_budget(db, room, &member.key, now)?;
    }
    if numbers.payload_bytes_max > 0 && payload_bytes as u64 > u64::from(numbers.payload_bytes_max)
    {
        return Err(RejectCode::TooLong.into());
    }
    Ok(())
}

/// Checks the pace of marked entries. A departure has none: it comes once in a stay, and nothing may hold it up.
pub(crate) fn check_marked(member: &MemberRow, now: Millis) -> Result<(), Fault> {
    let next = member.marked_at.plus(MARKED_MILLIS);
    // As with slow mode, a clock that was set back holds nobody up.
    if next > now && member.marked_at <= now {
        return Err(until(RejectCode::RateLimited, Some(next)));
    }
    Ok(())
}

fn check_budget(
    db: &Connection,
    room: &RoomRow,
    member: &MemberKey,
    now: Millis,
) -> Result<(), Fault> {
    let quarter = now.0 / QUARTER_MILLIS;
    let (spent, oldest): (i64, i64) = db
        .prepare_cached(
            "SELECT coalesce(sum(count), 0), coalesce(min(quarter), 0) FROM posts
             WHERE room = ?1 AND member = ?2 AND quarter >= ?3 AND quarter <= ?4",
        )?
        .query_row(
            params![
                room.key,
                member.as_bytes(),
                int(quarter.saturating_sub(QUARTERS_PER_DAY)),
                int(quarter)
            ],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
    if uint(spent) < u64::from(room.numbers.budget_per_day) {
        return Ok(());
    }
    let free = (uint(oldest) + QUARTERS_PER_DAY + 1).saturating_mul(QUARTER_MILLIS);
    Err(until(RejectCode::BudgetSpent, Some(Millis(free))))
}

/// Counts a post, where a rule needs to know; the caller keeps the row.
pub(crate) fn count_post(
    db: &Connection,
    room: &RoomRow,
    member: &mut MemberRow,
    now: Millis,
) -> Result<(), Fault> {
    if room.numbers.slow_seconds > 0 {
        member.last_post_at = now;
    }
    let member = &member.key;
    if room.numbers.budget_per_day > 0 {
        let quarter = now.0 / QUARTER_MILLIS;
        db.prepare_cached(
            "INSERT INTO posts VALUES (?1, ?2, ?3, 1)
             ON CONFLICT(room, member, quarter) DO UPDATE SET count = count + 1",
        )?
        .execute(params![room.key, member.as_bytes(), int(quarter)])?;
        db.prepare_cached("DELETE FROM posts WHERE room = ?1 AND member = ?2 AND quarter < ?3")?
            .execute(params![
                room.key,
                member.as_bytes(),
                int(quarter.saturating_sub(QUARTERS_PER_DAY))
            ])?;
    }
    Ok(())
}

/// Least milliseconds between two commits of one member, in the long run.
const COMMIT_MILLIS: u64 = 2_000;
/// Commits of one member at once.
const COMMIT_BURST: u64 = 5;
/// Members whose pace is remembered; beyond it, those with nothing to remember are forgotten.
const PACE_MAX: usize = 8192;

/// How fast each member commits. A storm of self-updates would keep a facilitator's commit from ever winning.
#[derive(Default)]
pub(crate) struct CommitPace {
    /// The moment at which a member's whole burst is free again.
    free_at: HashMap<(i64, MemberKey), u64>,
}

impl CommitPace {
    /// Takes one commit of a member's pace.
    pub(crate) fn take(&mut self, room: i64, member: &MemberKey, now: Millis) -> Result<(), Fault> {
        if self.free_at.len() >= PACE_MAX {
            self.free_at.retain(|_, free_at| *free_at > now.0);
        }
        if self.free_at.len() >= PACE_MAX && !self.free_at.contains_key(&(room, *member)) {
            return Err(until(RejectCode::RateLimited, Some(now.plus(COMMIT_MILLIS))));
        }
        let free_at = self.free_at.entry((room, *member)).or_insert(0);
        // A clock that was set back starts the count anew.
        let latest = now.0.saturating_add(COMMIT_BURST * COMMIT_MILLIS);
        let base = if *free_at > latest { now.0 } else { *free_at };
        let next = base.max(now.0).saturating_add(COMMIT_MILLIS);
        let earliest = next.saturating_sub(COMMIT_BURST * COMMIT_MILLIS);
        if earliest > now.0 {
            return Err(until(RejectCode::RateLimited, Some(Millis(earliest))));
        }
        *free_at = next;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commits_come_in_a_burst_and_then_one_in_two_seconds() {
        let mut pace = CommitPace::default();
        let member = MemberKey([1; 32]);
        let now = 1_000_000;
        for _ in 0..COMMIT_BURST {
            pace.take(1, &member, Millis(now)).unwrap();
        }
        let Err(Fault::Refused(refusal)) = pace.take(1, &member, Millis(now)) else { panic!() };
        assert_eq!(refusal.code, RejectCode::RateLimited);
        let retry_at = refusal.retry_at.unwrap();
        assert!(pace.take(1, &member, Millis(retry_at.0 - 1)).is_err());
        pace.take(1, &member, retry_at).unwrap();
        pace.take(1, &MemberKey([2; 32]), Millis(now)).unwrap();
    }

    #[test]
    fn a_clock_that_jumps_back_does_not_silence_a_member() {
        let mut pace = CommitPace::default();
        let member = MemberKey([1; 32]);
        for now in [10_000_000_000, 1_000, u64::MAX, 0] {
            pace.take(1, &member, Millis(now)).unwrap();
        }
    }

    #[test]
    fn of_many_members_those_who_owe_nothing_are_forgotten() {
        let mut pace = CommitPace::default();
        let key = |number: usize| {
            let mut bytes = [0; 32];
            bytes[..8].copy_from_slice(&number.to_be_bytes());
            MemberKey(bytes)
        };
        let now = 1_000_000;
        for number in 1..PACE_MAX {
            pace.take(1, &key(number), Millis(now)).unwrap();
        }
        let soon = now + COMMIT_MILLIS;
        for _ in 0..COMMIT_BURST {
            pace.take(1, &key(0), Millis(soon - 1)).unwrap();
        }
        // One more has no place; whoever has one goes on.
        let late = key(PACE_MAX);
        assert!(pace.take(1, &late, Millis(soon - 1)).is_err());
        pace.take(1, &key(1), Millis(soon - 1)).unwrap();
        pace.take(1, &late, Millis(soon)).unwrap();
        assert_eq!(pace.free_at.len(), 3);
        // Whoever is too fast is remembered.
        assert!(pace.take(1, &key(0), Millis(soon)).is_err());
    }
}
