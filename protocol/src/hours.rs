//! Opening hours as plain numbers: a week of local minutes and the offsets from UTC that apply to it.
//!
//! The facilitator's client converts "Mon-Fri 17:00-20:00 Europe/Paris" to these, so that the relay and all members
//! decide alike without a time-zone database, and the relay does not learn the zone's name.

use minicbor::{Decode, Encode};

use crate::id::Millis;

const MINUTES_PER_WEEK: i64 = 7 * 24 * 60;
const MILLIS_PER_MINUTE: i64 = 60_000;
/// 1970-01-01 was a Thursday: local minute 0 of the week is Monday 00:00, three days earlier.
const EPOCH_WEEK_SHIFT_MINUTES: i64 = 3 * 24 * 60;

/// Weekly opening hours.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Hours {
    /// Open intervals in local minutes since Monday 00:00, end exclusive, ascending, not overlapping.
    #[n(0)]
    pub windows: Vec<Window>,
    /// Offsets from UTC, ascending by `from`; the first also applies before its `from`.
    #[n(1)]
    pub offsets: Vec<Offset>,
}

/// One open interval of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Window {
    /// First minute.
    #[n(0)]
    pub start_minute: u16,
    /// First closed minute after it; up to 10,080.
    #[n(1)]
    pub end_minute: u16,
}

/// An offset from UTC and the time from which it applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Offset {
    /// Start.
    #[n(0)]
    pub from: Millis,
    /// Minutes east of UTC.
    #[n(1)]
    pub minutes: i16,
}

impl Hours {
    /// Whether the numbers conform to the fields' rules and to the bounds of [`crate::limits`].
    pub fn is_well_formed(&self) -> bool {
        let windows_ok = self.windows.len() <= crate::limits::HOURS_WINDOWS_MAX
            && self.windows.iter().all(|w| {
                w.start_minute < w.end_minute && i64::from(w.end_minute) <= MINUTES_PER_WEEK
            })
            && self.windows.is_sorted_by(|a, b| a.end_minute <= b.start_minute);
        let offsets_ok = !self.offsets.is_empty()
            && self.offsets.len() <= crate::limits::HOURS_OFFSETS_MAX
            && self.offsets.iter().all(|o| o.minutes.unsigned_abs() <= 18 * 60)
            && self.offsets.is_sorted_by(|a, b| a.from < b.from);
        windows_ok && offsets_ok
    }

    /// Whether the room is open at a time.
    pub fn is_open(&self, now: Millis) -> bool {
        let minute = self.minute_of_week(now);
        self.windows
            .iter()
            .any(|w| (i64::from(w.start_minute)..i64::from(w.end_minute)).contains(&minute))
    }

    /// Returns the next opening after a time at which the room is closed; `None` if it never opens.
    ///
    /// Examines the minutes where an interval starts under each offset that may apply within eight days.
    pub fn next_opening(&self, now: Millis) -> Option<Millis> {
        let horizon = now.plus(8 * 24 * 3_600_000);
        let mut starts: Vec<Millis> = Vec::new();
        for offset in &self.offsets {
            let local_minute = self.local_minutes(now, offset.minutes);
            let week_start = local_minute - local_minute.rem_euclid(MINUTES_PER_WEEK);
            for week in [0, MINUTES_PER_WEEK] {
                for window in &self.windows {
                    let local = week_start + week + i64::from(window.start_minute);
                    let utc_minutes = local - EPOCH_WEEK_SHIFT_MINUTES - i64::from(offset.minutes);
                    let millis = utc_minutes.saturating_mul(MILLIS_PER_MINUTE);
                    starts.push(Millis(u64::try_from(millis).unwrap_or(0)));
                }
            }
            // A change of the offset can also open the room in the middle of an interval.
            starts.push(offset.from);
        }
        starts.retain(|start| *start > now && *start <= horizon && self.is_open(*start));
        starts.into_iter().min()
    }

    fn minute_of_week(&self, now: Millis) -> i64 {
        let offset = self
            .offsets
            .iter()
            .rev()
            .find(|o| o.from <= now)
            .or_else(|| self.offsets.first())
            .map_or(0, |o| o.minutes);
        self.local_minutes(now, offset).rem_euclid(MINUTES_PER_WEEK)
    }

    /// Minutes of local time since the Monday before 1970-01-01.
    fn local_minutes(&self, now: Millis, offset_minutes: i16) -> i64 {
        let minutes = i64::try_from(now.0).unwrap_or(i64::MAX) / MILLIS_PER_MINUTE;
        minutes.saturating_add(EPOCH_WEEK_SHIFT_MINUTES + i64::from(offset_minutes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 24 * 3_600_000;
    /// 2026-11-23T00:00Z, a Monday.
    const MONDAY: u64 = 1_795_392_000_000;

    fn evenings() -> Hours {
        // Monday 17:00-20:00, one hour east of UTC.
        Hours {
            windows: vec![Window { start_minute: 17 * 60, end_minute: 20 * 60 }],
            offsets: vec![Offset { from: Millis(0), minutes: 60 }],
        }
    }

    #[test]
    fn open_inside_closed_outside() {
        let hours = evenings();
        assert!(!hours.is_open(Millis(MONDAY + 15 * 3_600_000 + 59 * 60_000)));
        assert!(hours.is_open(Millis(MONDAY + 16 * 3_600_000)));
        assert!(hours.is_open(Millis(MONDAY + 18 * 3_600_000 + 59 * 60_000)));
        assert!(!hours.is_open(Millis(MONDAY + 19 * 3_600_000)));
    }

    #[test]
    fn next_opening_starts_the_next_window() {
        let hours = evenings();
        let opening = MONDAY + 16 * 3_600_000;
        assert_eq!(hours.next_opening(Millis(MONDAY)), Some(Millis(opening)));
        assert_eq!(
            hours.next_opening(Millis(opening + 4 * 3_600_000)),
            Some(Millis(opening + 7 * DAY))
        );
    }

    #[test]
    fn offset_change_moves_the_opening() {
        let mut hours = evenings();
        hours.offsets.push(Offset { from: Millis(MONDAY + 3 * DAY), minutes: 120 });
        assert_eq!(
            hours.next_opening(Millis(MONDAY + 4 * DAY)),
            Some(Millis(MONDAY + 7 * DAY + 15 * 3_600_000))
        );
    }

    #[test]
    fn unordered_or_empty_windows_are_refused() {
        let mut hours = evenings();
        assert!(hours.is_well_formed());
        hours.windows.push(Window { start_minute: 10, end_minute: 20 });
        assert!(!hours.is_well_formed());
        assert!(!Hours { windows: vec![], offsets: vec![] }.is_well_formed());
    }

    /// Computes hours as read off a calendar: no clock before 1970-01-05T00:00Z, a Monday.
    fn naive_is_open(hours: &Hours, now: u64) -> bool {
        const FIRST_MONDAY: i64 = 4 * 24 * 60;
        let mut east = hours.offsets[0].minutes;
        for offset in &hours.offsets {
            if offset.from.0 <= now {
                east = offset.minutes;
            }
        }
        let mut local = i64::try_from(now / 60_000).unwrap() + i64::from(east) - FIRST_MONDAY;
        local %= 7 * 24 * 60;
        hours
            .windows
            .iter()
            .any(|w| local >= i64::from(w.start_minute) && local < i64::from(w.end_minute))
    }

    #[test]
    fn opening_hours_agree_with_a_calendar() {
        let minute = |day: u16, hour: u16| day * 24 * 60 + hour * 60;
        let window = |start_minute, end_minute| Window { start_minute, end_minute };
        let offset = |days: u64, minutes| Offset { from: Millis(MONDAY + days * DAY), minutes };
        let windows = [
            vec![window(minute(0, 17), minute(0, 20))],
            vec![window(0, 1), window(minute(2, 9), minute(2, 12)), window(minute(6, 23), 10_080)],
            vec![window(0, 10_080)],
            vec![window(minute(3, 0), minute(3, 1)), window(minute(3, 1), minute(3, 2))],
            vec![],
        ];
        let offsets = [
            vec![offset(0, 0)],
            vec![offset(0, 60), offset(3, 120), offset(10, 60)],
            vec![offset(2, -570), offset(9, 845)],
            // The room is closed, and a change of the offset falls within its hours.
            vec![offset(0, -720), offset(1, 720)],
        ];
        for windows in &windows {
            for offsets in &offsets {
                let hours = Hours { windows: windows.clone(), offsets: offsets.clone() };
                assert!(hours.is_well_formed());
                let open: Vec<bool> = (0..30 * 24 * 60)
                    .map(|minute| {
                        let now = MONDAY + minute * 60_000;
                        let open = hours.is_open(Millis(now));
                        assert_eq!(
                            open,
                            naive_is_open(&hours, now),
                            "{hours:?} at minute {minute}"
                        );
                        assert_eq!(open, hours.is_open(Millis(now + 59_999)), "within {minute}");
                        open
                    })
                    .collect();
                for closed in (0..20 * 24 * 60).step_by(97).filter(|minute| !open[*minute]) {
                    let later = (closed + 1..closed + 8 * 24 * 60).find(|minute| open[*minute]);
                    let at = |minute: usize| Millis(MONDAY + minute as u64 * 60_000);
                    assert_eq!(hours.next_opening(at(closed)), later.map(at), "{hours:?} {closed}");
                }
            }
        }
    }

    #[test]
    fn every_bound_of_numbers_holds() {
        let good = |hours: Hours| hours.is_well_formed();
        let window = |start_minute, end_minute| Window { start_minute, end_minute };
        let of = |windows: Vec<Window>| Hours { windows, ..evenings() };
        assert!(good(of(vec![window(0, 10_080)])));
        assert!(!good(of(vec![window(0, 10_081)])));
        assert!(!good(of(vec![window(5, 5)])));
        assert!(good(of(vec![window(5, 6), window(6, 7)])));
        assert!(!good(of(vec![window(5, 7), window(6, 8)])));
        let many = |count| (0..count).map(|n| window(n * 2, n * 2 + 1)).collect();
        assert!(good(of(many(64))));
        assert!(!good(of(many(65))));

        let offset = |from, minutes| Offset { from: Millis(from), minutes };
        let at = |offsets: Vec<Offset>| Hours { offsets, ..evenings() };
        assert!(good(at(vec![offset(0, 18 * 60), offset(1, -18 * 60)])));
        assert!(!good(at(vec![offset(0, 18 * 60 + 1)])));
        assert!(!good(at(vec![offset(0, -18 * 60 - 1)])));
        assert!(!good(at(vec![offset(1, 0), offset(1, 60)])));
        assert!(!good(at(vec![])));
        assert!(good(at((0..64).map(|from| offset(from, 0)).collect())));
        assert!(!good(at((0..65).map(|from| offset(from, 0)).collect())));
    }

    #[test]
    fn extreme_clocks_do_not_overflow() {
        let hours = evenings();
        let _ = hours.is_open(Millis::NEVER);
        assert_eq!(hours.next_opening(Millis::NEVER), None);
    }
}
