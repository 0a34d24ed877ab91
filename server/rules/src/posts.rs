//! Checks posts against the room's numbers at acceptance.

use hearth_protocol::{
    Millis, RejectCode, RoomNumbers,
    frame::Door,
    limits::{MARKED_MILLIS, RETENTION_SECONDS_MAX, RETENTION_SECONDS_MIN},
};

use crate::{MemberRow, Refusal, Room, RoomRow};

/// Posts are counted in quarters of an hour: fine enough for a daily budget, too coarse to identify messages.
const QUARTER_MILLIS: u64 = 15 * 60 * 1000;
pub const QUARTERS_PER_DAY: u64 = 96;

/// Whether the relay can enforce a facilitator's numbers.
pub fn well_formed(numbers: &RoomNumbers) -> bool {
    numbers.hours.as_ref().is_none_or(hearth_protocol::hours::Hours::is_well_formed)
        && (RETENTION_SECONDS_MIN..=RETENTION_SECONDS_MAX).contains(&numbers.retention_seconds)
}

/// Whether a member's submission may count against a budget, which must then be loaded.
pub fn needs_budget(row: &RoomRow, member: &MemberRow) -> bool {
    row.numbers.budget_per_day > 0 && !member.role.moderates()
}

/// Returns the quarter of an hour in which a post counts.
pub const fn quarter(now: Millis) -> u64 {
    now.0 / QUARTER_MILLIS
}

/// Returns the first quarter whose posts still count against the budget; older ones are deleted.
pub const fn first_quarter(now: Millis) -> u64 {
    quarter(now).saturating_sub(QUARTERS_PER_DAY)
}

/// Checks an application entry of a member who does not moderate against every rule, in the order of interest to
/// the member.
pub(crate) fn check_post(
    room: &Room,
    member: &MemberRow,
    payload_bytes: usize,
    now: Millis,
) -> Result<(), Refusal> {
    let numbers = &room.row.numbers;
    if !member.role.posts() {
        return Err(RejectCode::Observer.into());
    }
    if member.timeout_until > now {
        return Err(Refusal::until(RejectCode::TimedOut, Some(member.timeout_until)));
    }
    if numbers.paused_until > now {
        return Err(Refusal::until(RejectCode::Paused, Some(numbers.paused_until)));
    }
    match (numbers.door, &numbers.hours) {
        (Door::Open, _) | (Door::ByHours, None) => {}
        (Door::Closed, _) => return Err(RejectCode::Closed.into()),
        (Door::ByHours, Some(hours)) => {
            if !hours.is_open(now) {
                return Err(Refusal::until(RejectCode::Closed, hours.next_opening(now)));
            }
        }
    }
    if numbers.slow_seconds > 0 {
        let next = member.last_post_at.plus(u64::from(numbers.slow_seconds) * 1000);
        // A clock that was set back must not silence a member for longer than the rule says.
        if next > now && member.last_post_at <= now {
            return Err(Refusal::until(RejectCode::SlowMode, Some(next)));
        }
    }
    if numbers.budget_per_day > 0 {
        check_budget(room)?;
    }
    if numbers.payload_bytes_max > 0 && payload_bytes as u64 > u64::from(numbers.payload_bytes_max)
    {
        return Err(RejectCode::TooLong.into());
    }
    Ok(())
}

/// Checks the pace of marked entries. A departure has no pace, because it happens once in a stay and nothing may delay it.
pub(crate) fn check_marked(member: &MemberRow, now: Millis) -> Result<(), Refusal> {
    let next = member.marked_at.plus(MARKED_MILLIS);
    // As with slow mode, a clock that was set back delays no member.
    if next > now && member.marked_at <= now {
        return Err(Refusal::until(RejectCode::RateLimited, Some(next)));
    }
    Ok(())
}

fn check_budget(room: &Room) -> Result<(), Refusal> {
    let spent = room.spent()?;
    if spent.posts < u64::from(room.row.numbers.budget_per_day) {
        return Ok(());
    }
    let free = (spent.oldest_quarter + QUARTERS_PER_DAY + 1).saturating_mul(QUARTER_MILLIS);
    Err(Refusal::until(RejectCode::BudgetSpent, Some(Millis(free))))
}

/// Counts a post if a rule needs the count.
pub(crate) fn count_post(room: &mut Room, member: &mut MemberRow, now: Millis) {
    if room.row.numbers.slow_seconds > 0 {
        member.last_post_at = now;
    }
    if room.row.numbers.budget_per_day > 0 {
        room.counted = Some((member.key, quarter(now)));
    }
}
