//! Times as people write and read them: durations, rates, opening hours, moments, what remains.

use core::time::Duration;

use hearth_protocol::{
    hours::{Hours, Offset, Window},
    id::Millis,
    limits::{HOURS_OFFSETS_MAX, HOURS_WINDOWS_MAX},
};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};

/// Shortest duration taken.
pub const DURATION_MIN: Duration = Duration::from_secs(1);
/// Longest duration taken: ten years.
pub const DURATION_MAX: Duration = Duration::from_secs(3650 * DAY);
/// Most posts a day that a budget may name; more is no budget.
pub const RATE_PER_DAY_MAX: u32 = 10_000;
/// For how long ahead changes of the clock are announced with opening hours.
const OFFSETS_AHEAD_HOURS: i64 = 5 * 366 * 24;
/// Characters looked at; more is neither of these.
const CHARS_MAX: usize = 500;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
const WEEK: u64 = 7 * DAY;
const UNITS: [(char, u64); 5] = [('w', WEEK), ('d', DAY), ('h', HOUR), ('m', MINUTE), ('s', 1)];

const MINUTES_PER_DAY: u16 = 24 * 60;
const MINUTES_PER_WEEK: u16 = 7 * MINUTES_PER_DAY;
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Why some text is no time of the wanted kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WhenError {
    /// No duration.
    #[error("a duration is a number with s, m, h, d or w, such as 90s, 30m, 2h30m or 7d")]
    Duration,
    /// Too short or too long.
    #[error("a duration is at least 1s and at most 3650d")]
    DurationRange,
    /// No rate.
    #[error(
        "a budget is a number of posts a day from 1/day to {RATE_PER_DAY_MAX}/day, such as 20/day"
    )]
    Rate,
    /// No opening hours.
    #[error(
        "hours are days, times and a time zone, such as \"Mon-Fri 17:00-20:00 Europe/Paris\" \
         or \"Mon,Wed 09:00-12:00; Sat 10:00-11:00 America/New_York\", or \"off\""
    )]
    Hours,
    /// No time zone, or none that is known.
    #[error(
        "hours end with the name of a time zone, such as Europe/Paris, America/New_York or UTC"
    )]
    Zone,
    /// More intervals than the wire takes.
    #[error("hours have at most {HOURS_WINDOWS_MAX} intervals in a week")]
    TooManyIntervals,
}

/// Whether the text switches something off: "off", "0", "none".
pub fn is_off(text: &str) -> bool {
    let text = text.trim();
    ["off", "none", "0"].iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// Parses a duration such as `90s`, `30m`, `2h30m` or `7d`: whole numbers, larger units first, each unit once.
///
/// # Errors
/// Names what is accepted.
pub fn parse_duration(text: &str) -> Result<Duration, WhenError> {
    let text = text.trim();
    if text.is_empty() || text.len() > CHARS_MAX {
        return Err(WhenError::Duration);
    }
    let mut seconds: u64 = 0;
    let mut units = UNITS.iter();
    for part in text.split_inclusive(|c: char| c.is_ascii_alphabetic()) {
        let part = part.trim_start();
        let (unit_at, unit) = part.char_indices().next_back().ok_or(WhenError::Duration)?;
        let unit = unit.to_ascii_lowercase();
        let number = part[..unit_at].trim_end();
        // `parse` alone would take a plus sign.
        if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(WhenError::Duration);
        }
        // Searching on from the last unit refuses 30m2h and 5m5m.
        let (_, factor) = units.find(|(name, _)| *name == unit).ok_or(WhenError::Duration)?;
        let number: u64 = number.parse().map_err(|_| WhenError::DurationRange)?;
        seconds = number
            .checked_mul(*factor)
            .and_then(|part| seconds.checked_add(part))
            .ok_or(WhenError::DurationRange)?;
    }
    let duration = Duration::from_secs(seconds);
    if (DURATION_MIN..=DURATION_MAX).contains(&duration) {
        Ok(duration)
    } else {
        Err(WhenError::DurationRange)
    }
}

/// Parses a duration, or `None` for "off".
///
/// # Errors
/// Names what is accepted.
pub fn parse_duration_or_off(text: &str) -> Result<Option<Duration>, WhenError> {
    if is_off(text) { Ok(None) } else { parse_duration(text).map(Some) }
}

/// Parses a number of posts a day such as `20/day`, or `None` for "off".
///
/// # Errors
/// Names what is accepted.
pub fn parse_rate(text: &str) -> Result<Option<u32>, WhenError> {
    if is_off(text) {
        return Ok(None);
    }
    let (count, per) = text.split_once('/').ok_or(WhenError::Rate)?;
    let (count, per) = (count.trim(), per.trim());
    let digits = count.bytes().all(|byte| byte.is_ascii_digit());
    let day = ["day", "d"].iter().any(|word| per.eq_ignore_ascii_case(word));
    match count.parse() {
        Ok(count) if digits && day && (1..=RATE_PER_DAY_MAX).contains(&count) => Ok(Some(count)),
        _ => Err(WhenError::Rate),
    }
}

/// Parses opening hours such as `Mon-Fri 17:00-20:00 Europe/Paris`, or `None` for "off".
///
/// The result holds the zone's offset at `now` and its changes for the next five years, not its name. An interval
/// whose end is not after its start goes on past midnight; intervals that touch become one.
///
/// # Errors
/// Names what is accepted.
pub fn parse_hours(text: &str, now: Millis) -> Result<Option<Hours>, WhenError> {
    if is_off(text) {
        return Ok(None);
    }
    let text = text.trim();
    if text.len() > CHARS_MAX {
        return Err(WhenError::Hours);
    }
    let (week, zone) = text.rsplit_once(char::is_whitespace).ok_or(WhenError::Hours)?;
    if zone.contains(':') {
        return Err(WhenError::Zone);
    }
    let zone = TimeZone::get(zone).map_err(|_| WhenError::Zone)?;
    let mut windows = Vec::new();
    for group in week.split(';').map(str::trim).filter(|group| !group.is_empty()) {
        let (days, times) = group.split_once(char::is_whitespace).ok_or(WhenError::Hours)?;
        let days = parse_days(days)?;
        for interval in times.split(',') {
            let (start, end) = interval.split_once('-').ok_or(WhenError::Hours)?;
            let (start, end) = (parse_minute(start)?, parse_minute(end)?);
            if start == end || start == MINUTES_PER_DAY {
                return Err(WhenError::Hours);
            }
            for day in &days {
                push_window(&mut windows, *day * MINUTES_PER_DAY, start, end);
            }
        }
    }
    let windows = merge(windows);
    match windows.len() {
        0 => Err(WhenError::Hours),
        1..=HOURS_WINDOWS_MAX => Ok(Some(Hours { windows, offsets: offsets(&zone, now)? })),
        _ => Err(WhenError::TooManyIntervals),
    }
}

/// Renders a moment as a person in a zone would say it: `17:05` today, `Tue 24 Nov 17:05` within a year, else with
/// the year.
pub fn moment(at: Millis, now: Millis, zone: &TimeZone) -> String {
    let (Some(at), Some(now)) = (timestamp(at), timestamp(now)) else {
        return "never".to_owned();
    };
    let (at, now) = (at.to_zoned(zone.clone()), now.to_zoned(zone.clone()));
    let near = at.duration_since(&now).abs() < SignedDuration::from_hours(300 * 24);
    let format = if at.date() == now.date() {
        "%H:%M"
    } else if near {
        "%a %-d %b %H:%M"
    } else {
        "%-d %b %Y %H:%M"
    };
    at.strftime(format).to_string()
}

/// Renders a moment in this computer's zone.
pub fn local_moment(at: Millis, now: Millis) -> String {
    moment(at, now, &TimeZone::system())
}

/// Renders a moment in this computer's zone, by this computer's clock.
pub fn clock(at: Millis) -> String {
    let now = u64::try_from(Timestamp::now().as_millisecond()).unwrap_or(0);
    local_moment(at, Millis(now))
}

/// Renders a moment for programs (RFC 3339, UTC, milliseconds). What is beyond the year 9999 is its last moment.
pub fn rfc3339(at: Millis) -> String {
    format!("{:.3}", timestamp(at).unwrap_or(Timestamp::MAX))
}

/// Renders how long it is until a moment: `in 12 min`, `in 2 h 30 min`, `in 3 days`, or `now`. Rounds up, so that
/// nobody who waits that long comes too early.
pub fn remaining(until: Millis, now: Millis) -> String {
    match until.0.saturating_sub(now.0).div_ceil(1000) {
        0 => "now".to_owned(),
        seconds => format!("in {}", duration(Duration::from_secs(seconds))),
    }
}

/// Renders a duration in at most two units: `45 s`, `12 min`, `2 h 30 min`, `3 days`. Rounds up.
pub fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds < 90 {
        return format!("{seconds} s");
    }
    let minutes = seconds.div_ceil(MINUTE);
    if minutes < 60 {
        return format!("{minutes} min");
    }
    if minutes < 48 * 60 {
        return match (minutes / 60, minutes % 60) {
            (hours, 0) => format!("{hours} h"),
            (hours, rest) => format!("{hours} h {rest} min"),
        };
    }
    format!("{} days", seconds.div_ceil(DAY))
}

/// Renders a number of seconds like [`duration`].
pub fn span(seconds: u64) -> String {
    duration(Duration::from_secs(seconds))
}

fn timestamp(at: Millis) -> Option<Timestamp> {
    i64::try_from(at.0).ok().and_then(|millis| Timestamp::from_millisecond(millis).ok())
}

/// Parses `Mon`, `Mon-Fri`, `Fri-Mon`, `Mon,Wed,Sat-Sun` or `daily` into numbers of days since Monday.
fn parse_days(text: &str) -> Result<Vec<u16>, WhenError> {
    if text.eq_ignore_ascii_case("daily") {
        return Ok((0..7).collect());
    }
    let mut days = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (parse_day(first)?, parse_day(last)?);
        let count = (last + 7 - first) % 7 + 1;
        days.extend((0..count).map(|day| (first + day) % 7));
    }
    Ok(days)
}

fn parse_day(text: &str) -> Result<u16, WhenError> {
    let text = text.to_ascii_lowercase();
    (0..).zip(DAYS).find(|(_, name)| *name == text).map(|(day, _)| day).ok_or(WhenError::Hours)
}

/// Parses `9:00`, `17:30` or `24:00` into minutes since midnight.
fn parse_minute(text: &str) -> Result<u16, WhenError> {
    let (hour, minute) = text.trim().split_once(':').ok_or(WhenError::Hours)?;
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !(1..=2).contains(&hour.len()) || minute.len() != 2 || !digits(hour) || !digits(minute) {
        return Err(WhenError::Hours);
    }
    let hour: u16 = hour.parse().map_err(|_| WhenError::Hours)?;
    let minute: u16 = minute.parse().map_err(|_| WhenError::Hours)?;
    match hour * 60 + minute {
        total if minute < 60 && total <= MINUTES_PER_DAY => Ok(total),
        _ => Err(WhenError::Hours),
    }
}

/// Adds one day's interval, in two parts where it passes the end of the week.
fn push_window(windows: &mut Vec<Window>, midnight: u16, start: u16, end: u16) {
    let start_minute = midnight + start;
    let end_minute = midnight + if end > start { end } else { end + MINUTES_PER_DAY };
    windows.push(Window { start_minute, end_minute: end_minute.min(MINUTES_PER_WEEK) });
    if end_minute > MINUTES_PER_WEEK {
        windows.push(Window { start_minute: 0, end_minute: end_minute - MINUTES_PER_WEEK });
    }
}

fn merge(mut windows: Vec<Window>) -> Vec<Window> {
    windows.sort_by_key(|window| window.start_minute);
    let mut merged: Vec<Window> = Vec::new();
    for window in windows {
        match merged.last_mut() {
            Some(last) if window.start_minute <= last.end_minute => {
                last.end_minute = last.end_minute.max(window.end_minute);
            }
            _ => merged.push(window),
        }
    }
    merged
}

fn offsets(zone: &TimeZone, now: Millis) -> Result<Vec<Offset>, WhenError> {
    let start = timestamp(now).ok_or(WhenError::Zone)?;
    let horizon = start
        .checked_add(SignedDuration::from_hours(OFFSETS_AHEAD_HOURS))
        .unwrap_or(Timestamp::MAX);
    let minutes = |seconds: i32| i16::try_from(seconds / 60).map_err(|_| WhenError::Zone);
    let first = minutes(zone.to_offset(start).seconds())?;
    let mut offsets = vec![Offset { from: now, minutes: first }];
    for change in zone.following(start).take_while(|change| change.timestamp() <= horizon) {
        let minutes = minutes(change.offset().seconds())?;
        let Ok(from) = u64::try_from(change.timestamp().as_millisecond()) else {
            continue;
        };
        // Some changes are of the name alone.
        if offsets.last().is_some_and(|last| last.minutes == minutes || last.from.0 >= from) {
            continue;
        }
        if offsets.len() == HOURS_OFFSETS_MAX {
            break;
        }
        offsets.push(Offset { from: Millis(from), minutes });
    }
    Ok(offsets)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-23T12:00Z, a Monday.
    const NOON: Millis = Millis(1_795_435_200_000);

    fn at(text: &str) -> Millis {
        let timestamp: Timestamp = text.parse().unwrap();
        Millis(u64::try_from(timestamp.as_millisecond()).unwrap())
    }

    fn hours(text: &str) -> Hours {
        let hours = parse_hours(text, NOON).unwrap().unwrap();
        assert!(hours.is_well_formed(), "{text}: {hours:?}");
        hours
    }

    fn windows(text: &str) -> Vec<(u16, u16)> {
        hours(text).windows.iter().map(|w| (w.start_minute, w.end_minute)).collect()
    }

    #[test]
    fn durations_parse() {
        for (text, seconds) in [
            ("90s", 90),
            ("30m", 1800),
            (" 10M ", 600),
            ("7d", 7 * DAY),
            ("2h30m", 9000),
            ("2h 30m", 9000),
            ("1w2d", 9 * DAY),
            ("1s", 1),
            ("3650d", 3650 * DAY),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
    }

    #[test]
    fn other_durations_are_refused() {
        for text in [
            "", " ", "m", "30", "1.5h", "-5m", "+5m", "5 min", "30m2h", "5m5m", "2h30", "５m", "1é",
        ] {
            assert_eq!(parse_duration(text), Err(WhenError::Duration), "{text}");
        }
        for text in ["0s", "3651d", "99999999999999999999d", "9999999999999999999w"] {
            assert_eq!(parse_duration(text), Err(WhenError::DurationRange), "{text}");
        }
        assert_eq!(parse_duration_or_off("Off"), Ok(None));
        assert_eq!(parse_duration_or_off("0"), Ok(None));
        assert_eq!(parse_duration_or_off("1m"), Ok(Some(Duration::from_secs(60))));
    }

    #[test]
    fn rates_parse() {
        assert_eq!(parse_rate("20/day"), Ok(Some(20)));
        assert_eq!(parse_rate(" 1 / Day"), Ok(Some(1)));
        assert_eq!(parse_rate("off"), Ok(None));
        for text in ["20", "20/hour", "0/day", "-1/day", "+1/day", "10001/day", "/day", "x/day"] {
            assert_eq!(parse_rate(text), Err(WhenError::Rate), "{text}");
        }
    }

    #[test]
    fn weeks_become_minutes() {
        assert_eq!(windows("Mon 17:00-20:00 UTC"), [(1020, 1200)]);
        assert_eq!(windows("mon,WED 9:00-12:00; Sat 10:00-11:00 UTC").len(), 3);
        assert_eq!(windows("Mon-Fri 09:00-12:00,14:00-16:00 UTC").len(), 10);
        // Past midnight, and past the end of the week.
        assert_eq!(windows("Mon 22:00-02:00 UTC"), [(1320, 1560)]);
        assert_eq!(windows("Sun 22:00-02:00 UTC"), [(0, 120), (9960, 10_080)]);
        // Sat-Mon goes round; touching and overlapping intervals are one.
        assert_eq!(windows("Sat-Mon 00:00-24:00 UTC"), [(0, 1440), (7200, 10_080)]);
        assert_eq!(windows("Mon 09:00-12:00; Mon 11:00-13:00 UTC"), [(540, 780)]);
        assert_eq!(windows("daily 00:00-24:00 UTC"), [(0, 10_080)]);
        assert_eq!(parse_hours("off", NOON), Ok(None));
    }

    #[test]
    fn other_hours_are_refused() {
        for text in [
            "",
            "Mon",
            "Mon UTC",
            "Montag 09:00-10:00 UTC",
            "Mon 9-10 UTC",
            "Mon 09:00-09:00 UTC",
            "Mon 25:00-26:00 UTC",
            "Mon 24:00-25:00 UTC",
            "Mon 24:00-01:00 UTC",
            "Mon 09:60-10:00 UTC",
            "Mon +9:00-10:00 UTC",
            "Mon- 09:00-10:00 UTC",
            "; UTC",
        ] {
            assert_eq!(parse_hours(text, NOON), Err(WhenError::Hours), "{text}");
        }
        for text in ["Mon 09:00-10:00", "Mon 09:00-10:00 Paris", "Mon 09:00-10:00 ../../etc/passwd"]
        {
            assert_eq!(parse_hours(text, NOON), Err(WhenError::Zone), "{text}");
        }
        let many: Vec<String> = (0..23).map(|hour| format!("{hour}:00-{hour}:30")).collect();
        let many = format!("daily {} UTC", many.join(","));
        assert_eq!(parse_hours(&many, NOON), Err(WhenError::TooManyIntervals));
    }

    #[test]
    fn summer_time_moves_the_opening() {
        let hours = hours("Mon-Fri 17:00-20:00 Europe/Paris");
        assert_eq!(hours.offsets[0], Offset { from: NOON, minutes: 60 });
        assert!((10..=11).contains(&hours.offsets.len()), "{:?}", hours.offsets);
        assert_eq!(hours.offsets[1], Offset { from: at("2027-03-28T01:00:00Z"), minutes: 120 });
        // Winter: 17:00 is 16:00Z. Summer: 15:00Z.
        assert_eq!(hours.next_opening(NOON), Some(at("2026-11-23T16:00:00Z")));
        assert!(hours.is_open(at("2026-11-23T18:59:00Z")));
        assert!(!hours.is_open(at("2026-11-23T19:00:00Z")));
        assert!(hours.is_open(at("2027-07-05T15:00:00Z")));
        assert!(!hours.is_open(at("2027-07-05T18:30:00Z")));
        assert!(hours.is_open(at("2031-07-07T15:00:00Z")));
    }

    #[test]
    fn odd_zones_are_well_formed() {
        for zone in ["Asia/Kathmandu", "Australia/Lord_Howe", "Africa/Casablanca", "Etc/GMT+12"] {
            hours(&format!("Mon 09:00-10:00 {zone}"));
        }
        assert_eq!(hours("Mon 09:00-10:00 Asia/Kathmandu").offsets[0].minutes, 345);
        assert!(parse_hours("Mon 09:00-10:00 UTC", Millis::NEVER).is_err());
    }

    #[test]
    fn moments_read_well() {
        let zone = TimeZone::get("Europe/Paris").unwrap();
        for (text, expected) in [
            ("2026-11-23T16:05:00Z", "17:05"),
            ("2026-11-23T23:30:00Z", "Tue 24 Nov 00:30"),
            ("2026-11-22T10:00:00Z", "Sun 22 Nov 11:00"),
            ("2028-01-02T10:00:00Z", "2 Jan 2028 11:00"),
        ] {
            assert_eq!(moment(at(text), NOON, &zone), expected);
        }
        assert_eq!(moment(Millis::NEVER, NOON, &zone), "never");
        let _ = local_moment(Millis(0), Millis::NEVER);
        assert_eq!(clock(Millis::NEVER), "never");
        assert_eq!(rfc3339(NOON), "2026-11-23T12:00:00.000Z");
        assert_eq!(rfc3339(Millis::NEVER), "9999-12-30T22:00:00.999Z");
    }

    #[test]
    fn what_remains_reads_well() {
        for (millis, expected) in [
            (0, "now"),
            (1, "in 1 s"),
            (45_000, "in 45 s"),
            (89_001, "in 2 min"),
            (12 * 60_000 - 1, "in 12 min"),
            (3_600_000, "in 1 h"),
            (9_000_000, "in 2 h 30 min"),
            (3 * 86_400_000, "in 3 days"),
        ] {
            assert_eq!(remaining(NOON.plus(millis), NOON), expected);
        }
        assert_eq!(remaining(Millis(0), NOON), "now");
        let _ = remaining(Millis::NEVER, Millis(0));
    }
}
