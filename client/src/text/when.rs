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
/// Units by the words that people type, larger ones first.
const UNITS: [(&[&str], u64); 5] = [
    (&["w", "wk", "wks", "week", "weeks"], WEEK),
    (&["d", "day", "days"], DAY),
    (&["h", "hr", "hrs", "hour", "hours"], HOUR),
    (&["m", "min", "mins", "minute", "minutes"], MINUTE),
    (&["s", "sec", "secs", "second", "seconds"], 1),
];
/// Numbers by the words that people type.
const NUMBERS: [(&str, u64); 14] = [
    ("a", 1),
    ("an", 1),
    ("one", 1),
    ("two", 2),
    ("three", 3),
    ("four", 4),
    ("five", 5),
    ("six", 6),
    ("seven", 7),
    ("eight", 8),
    ("nine", 9),
    ("ten", 10),
    ("fifteen", 15),
    ("twenty", 20),
];
/// Further words of numbers and of guesses, which nobody begins a remark to a paused room with.
const NUMBER_LIKE: [&str; 34] = [
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
    "thirty",
    "forty",
    "fourty",
    "fifty",
    "sixty",
    "seventy",
    "eighty",
    "ninety",
    "hundred",
    "half",
    "quarter",
    "couple",
    "few",
    "several",
    "about",
    "around",
    "approximately",
    "approx",
    "roughly",
    "nearly",
    "almost",
    "circa",
    "ca",
    "maybe",
    "another",
    "next",
];
/// Words at the front of a text in which a unit makes it a length of time.
const WORDS_BEFORE_UNIT: usize = 4;
/// Words with which a moment begins, where only a length of time is taken.
const MOMENTS: [&str; 5] = ["until", "till", "til", "by", "bis"];

const MINUTES_PER_DAY: u16 = 24 * 60;
const MINUTES_PER_WEEK: u16 = 7 * MINUTES_PER_DAY;
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Why some text is no time of the wanted kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WhenError {
    /// No duration.
    #[error(
        "a length of time is a number and a unit, such as 90s, 30m, 2h30m, 10 min, 2 hours or 7 days"
    )]
    Duration,
    /// Too short or too long.
    #[error("a length of time is at least 1s and at most 3650d")]
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
    /// No hours of the day.
    #[error(
        "quiet hours go from one time of the day to another, such as 22-07 or 22:30-7:15, or \"off\""
    )]
    Quiet,
    /// No moment to come.
    #[error("a time to come is a length of time, such as 2h, or a time of the day, such as 18:30")]
    Until,
    /// More intervals than the wire takes.
    #[error("hours have at most {HOURS_WINDOWS_MAX} intervals in a week")]
    TooManyIntervals,
}

/// Whether the text switches something off: "off", "0", "none".
pub fn is_off(text: &str) -> bool {
    let text = text.trim();
    ["off", "none", "0"].iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// Whether the text says that something shall be at once.
pub fn is_now(text: &str) -> bool {
    let text = text.trim().trim_end_matches(['.', '!']);
    ["now", "right now", "at once", "immediately"]
        .iter()
        .any(|words| text.eq_ignore_ascii_case(words))
}

/// Parses a duration such as `90s`, `30m`, `2h30m`, `10 min`, `2 hours` or `7 days`: whole numbers, larger units first,
/// each unit once.
///
/// # Errors
/// Names what is accepted.
pub fn parse_duration(text: &str) -> Result<Duration, WhenError> {
    if text.len() > CHARS_MAX {
        return Err(WhenError::Duration);
    }
    match split_duration(text)? {
        (Some(duration), "") => Ok(duration),
        _ => Err(WhenError::Duration),
    }
}

/// Takes the duration with which a text begins, and returns it with the words behind it; `None` where the text begins with
/// none.
///
/// # Errors
/// [`WhenError::Duration`] if the text begins like a duration or a moment that is not understood: words that were meant as
/// one must not be taken for a remark.
pub fn split_duration(text: &str) -> Result<(Option<Duration>, &str), WhenError> {
    let begun = text.trim();
    if is_now(begun) {
        return Ok((None, ""));
    }
    let (first, behind) = begun.split_once(char::is_whitespace).unwrap_or((begun, ""));
    if MOMENTS.iter().any(|word| first.eq_ignore_ascii_case(word)) {
        return Err(WhenError::Duration);
    }
    // "now 10m" says twice when a length of time begins.
    let leads = ["for", "now"].iter().any(|word| first.eq_ignore_ascii_case(word));
    let mut rest = if leads { behind.trim_start() } else { begun };
    if let Some(after) = word_prefix(rest, "half an hour") {
        return Ok((Some(Duration::from_secs(30 * MINUTE)), after));
    }
    let mut units = UNITS.iter();
    let mut total: Option<u64> = None;
    while let Some((number, after, digits)) = split_number(rest)? {
        let unit_at = after.trim_start();
        let unit_end = unit_at.find(|c: char| !c.is_alphabetic()).unwrap_or(unit_at.len());
        let (unit, after_unit) = unit_at.split_at(unit_end);
        let known = UNITS.iter().find(|(names, _)| is_one_of(unit, names));
        let Some((_, factor)) = known else {
            // "2h30" and "2 Stunden" are meant as a time; "10m 3 breaths", "two of us" and "a word" end with the time.
            let attached = total.is_some() && !rest.starts_with(char::is_whitespace);
            if digits && (total.is_none() || attached) {
                return Err(WhenError::Duration);
            }
            break;
        };
        // Searching on from the last unit refuses 30m2h and 5m5m.
        if !units.any(|(names, _)| is_one_of(unit, names)) {
            return Err(WhenError::Duration);
        }
        let more = number.checked_mul(*factor).ok_or(WhenError::DurationRange)?;
        total = Some(total.unwrap_or(0).checked_add(more).ok_or(WhenError::DurationRange)?);
        // "10min," and "10m-ish" hold a time, and whatever it is that sticks to it.
        let ends =
            after_unit.chars().next().is_none_or(|c| c.is_whitespace() || c.is_ascii_digit());
        let after_unit = after_unit.strip_prefix([',', '.', ':', ';']).filter(|_| !ends);
        rest = match (ends, after_unit) {
            (true, _) => &unit_at[unit_end..],
            (false, Some(after)) if after.is_empty() || after.starts_with(char::is_whitespace) => {
                after
            }
            (false, _) => return Err(WhenError::Duration),
        };
        let joined = rest.trim_start();
        if let Some(after) = joined.strip_prefix("and ")
            && matches!(split_number(after), Ok(Some((_, _, true))))
        {
            rest = after;
        }
    }
    let Some(seconds) = total else {
        return if is_like_duration(begun) { Err(WhenError::Duration) } else { Ok((None, begun)) };
    };
    // "1h 30" is an hour and a half, or an hour and a slip.
    if !rest.trim().is_empty() && rest.trim().bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(WhenError::Duration);
    }
    let duration = Duration::from_secs(seconds);
    if (DURATION_MIN..=DURATION_MAX).contains(&duration) {
        Ok((Some(duration), if is_now(rest) { "" } else { rest.trim() }))
    } else {
        Err(WhenError::DurationRange)
    }
}

/// Takes the number with which a text begins, after white space; says whether it was written in digits.
fn split_number(text: &str) -> Result<Option<(u64, &str, bool)>, WhenError> {
    let text = text.trim_start();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    if end > 0 {
        let (digits, after) = text.split_at(end);
        let number = digits.parse().map_err(|_| WhenError::DurationRange)?;
        return Ok(Some((number, after, true)));
    }
    let (word, after) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let named = NUMBERS.iter().find(|(name, _)| word.eq_ignore_ascii_case(name));
    Ok(named.map(|(_, number)| (*number, after, false)))
}

/// Whether a text begins like a length of time that is not understood: "ten", "forty-five minutes", "a couple of hours".
fn is_like_duration(text: &str) -> bool {
    let mut words = text.split_whitespace();
    let first = words.clone().next().unwrap_or_default().to_lowercase();
    // "a" and "an" begin anything.
    let numbers = NUMBERS.iter().map(|(word, _)| *word).filter(|word| word.len() > 2);
    let front = first.split(|c: char| !c.is_alphabetic()).next().unwrap_or_default();
    let number = numbers.chain(NUMBER_LIKE).any(|word| front == word);
    let digits = first.chars().any(char::is_numeric) || first.starts_with('~');
    let is_unit = |word: &str| {
        let word = word.trim_end_matches(|c: char| !c.is_alphabetic());
        word.len() > 2 && UNITS.iter().any(|(names, _)| is_one_of(word, names))
    };
    number || digits || words.by_ref().take(WORDS_BEFORE_UNIT).any(is_unit)
}

fn is_one_of(word: &str, names: &[&str]) -> bool {
    names.iter().any(|name| word.eq_ignore_ascii_case(name))
}

/// Strips whole words from the front of a text.
fn word_prefix<'a>(text: &'a str, words: &str) -> Option<&'a str> {
    let (front, after) = text.split_at_checked(words.len())?;
    let whole = after.is_empty() || after.starts_with(char::is_whitespace);
    (whole && front.eq_ignore_ascii_case(words)).then(|| after.trim())
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
    let words: Vec<&str> = text.split_whitespace().collect();
    let (count, per) = match words.as_slice() {
        [count, "a" | "per", per] => (*count, *per),
        _ => text.split_once('/').ok_or(WhenError::Rate)?,
    };
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

/// Says on which day and at what time something is, as seen from another moment: `at 17:00`, `tomorrow at 17:00`, `on Tue 24 Nov at
/// 17:00`, in this computer's zone.
pub fn day_and_time(at: Millis, now: Millis) -> String {
    let zone = TimeZone::system();
    let (Some(at), Some(now)) = (timestamp(at), timestamp(now)) else { return "never".to_owned() };
    let (at, now) = (at.to_zoned(zone.clone()), now.to_zoned(zone));
    let time = at.strftime("%H:%M");
    match () {
        () if at.date() == now.date() => format!("at {time}"),
        () if now.date().tomorrow().is_ok_and(|next| next == at.date()) => {
            format!("tomorrow at {time}")
        }
        () => format!("on {} at {time}", at.strftime("%a %-d %b")),
    }
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

/// Renders a moment with its date, year and zone, for what is read later or elsewhere: `Mon 23 Nov 2026 17:05 CET`.
pub fn full_moment(at: Millis, zone: &TimeZone) -> String {
    timestamp(at).map_or_else(
        || "never".to_owned(),
        |at| at.to_zoned(zone.clone()).strftime("%a %-d %b %Y %H:%M %Z").to_string(),
    )
}

/// Renders a moment for programs (RFC 3339, UTC, milliseconds). What is beyond the year 9999 is its last moment.
pub fn rfc3339(at: Millis) -> String {
    format!("{:.3}", timestamp(at).unwrap_or(Timestamp::MAX))
}

/// Renders how long it is until a moment: `in 12 min`, `in 2 h 30 min`, `in 2 days 20 h`, or `now`. Rounds up, so that
/// nobody who waits that long comes too early.
pub fn remaining(until: Millis, now: Millis) -> String {
    match until.0.saturating_sub(now.0).div_ceil(1000) {
        0 => "now".to_owned(),
        seconds => format!("in {}", duration(Duration::from_secs(seconds))),
    }
}

/// Renders a duration in at most two units: `45 s`, `12 min`, `2 h 30 min`, `2 days 20 h`, `30 days`. Rounds up.
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
    let hours = seconds.div_ceil(HOUR);
    match (hours / 24, hours % 24) {
        (days, 0) => format!("{days} days"),
        (days, rest) => format!("{days} days {rest} h"),
    }
}

/// Renders a duration in as many units as it has: `7 days 1 min`. Rounds to nothing above a second.
pub fn exact(duration: Duration) -> String {
    let mut rest = duration.as_secs();
    let mut words = Vec::new();
    for (seconds, one, many) in
        [(DAY, "day", "days"), (HOUR, "h", "h"), (MINUTE, "min", "min"), (1, "s", "s")]
    {
        let count = rest / seconds;
        rest %= seconds;
        if count > 0 {
            words.push(format!("{count} {}", if count == 1 { one } else { many }));
        }
    }
    if words.is_empty() { "0 s".to_owned() } else { words.join(" ") }
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

/// Parses `22-07` or `22:30-7:15` into minutes since midnight, or `None` for "off".
///
/// # Errors
/// Names what is accepted.
pub fn parse_quiet(text: &str) -> Result<Option<(u16, u16)>, WhenError> {
    if is_off(text) {
        return Ok(None);
    }
    let (from, to) = text.split_once(['-', '\u{2013}']).ok_or(WhenError::Quiet)?;
    let minute = |text: &str| {
        let text = text.trim();
        let minute = if text.contains(':') {
            parse_minute(text)
        } else {
            parse_minute(&format!("{text}:00"))
        };
        minute.map(|minute| minute % MINUTES_PER_DAY).map_err(|_| WhenError::Quiet)
    };
    let (from, to) = (minute(from)?, minute(to)?);
    if from == to { Err(WhenError::Quiet) } else { Ok(Some((from, to))) }
}

/// Renders minutes since midnight: `22:00`.
pub fn of_day(minute: u16) -> String {
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

/// Returns the minutes since midnight by this computer's clock and zone.
pub fn minute_of_day() -> u16 {
    let now = jiff::Zoned::now();
    u16::try_from(i32::from(now.hour()) * 60 + i32::from(now.minute())).unwrap_or(0)
}

/// Whether it is night at a minute of the day: from 22 to 7.
pub const fn is_night(minute: u16) -> bool {
    minute >= 22 * 60 || minute < 7 * 60
}

/// Parses a moment to come: a length of time from now, or a time of the day, with or without "until".
///
/// # Errors
/// Names what is accepted.
pub fn parse_until(text: &str, now: Millis, zone: &TimeZone) -> Result<Millis, WhenError> {
    let text = text.trim();
    let first = text.split_whitespace().next().unwrap_or_default();
    let text = match MOMENTS.iter().any(|word| first.eq_ignore_ascii_case(word)) {
        true => text.get(first.len()..).unwrap_or_default().trim(),
        false => text,
    };
    if let Ok(time) = parse_duration(text) {
        return Ok(now.plus(u64::try_from(time.as_millis()).unwrap_or(u64::MAX)));
    }
    let minute = parse_minute(text).map_err(|_| WhenError::Until)? % MINUTES_PER_DAY;
    let today = timestamp(now).ok_or(WhenError::Until)?.to_zoned(zone.clone());
    let at = |day: jiff::civil::Date| {
        let (hour, minute) = (i8::try_from(minute / 60).ok()?, i8::try_from(minute % 60).ok()?);
        let at = day.at(hour, minute, 0, 0).to_zoned(zone.clone()).ok()?;
        u64::try_from(at.timestamp().as_millisecond()).ok().map(Millis)
    };
    let moments = [Some(today.date()), today.date().tomorrow().ok()].into_iter().flatten();
    moments.filter_map(at).find(|at| *at > now).ok_or(WhenError::Until)
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

    #[test]
    fn night_is_from_ten_to_seven() {
        for (minute, night) in
            [(22 * 60 - 1, false), (22 * 60, true), (0, true), (7 * 60 - 1, true), (7 * 60, false)]
        {
            assert_eq!(is_night(minute), night, "{minute}");
        }
    }

    #[test]
    fn exact_durations_round_nothing() {
        for text in ["7 days 1 min", "1 day 1 h 1 min 1 s", "30 days", "45 s", "2 h"] {
            assert_eq!(exact(parse_duration(text).unwrap()), text);
        }
        assert_eq!(exact(Duration::ZERO), "0 s");
    }

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
            ("1h30m", 5400),
            ("2 hours", 7200),
            ("10 min", 600),
            ("5 Minutes", 300),
            ("1 hour 30 minutes", 5400),
            ("1 hour and 30 minutes", 5400),
            ("an hour", 3600),
            ("half an hour", 1800),
            ("for two days", 2 * DAY),
            ("90 secs", 90),
            ("1 week", WEEK),
            ("10m,", 600),
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
            "",
            " ",
            "m",
            "30",
            "1.5h",
            "-5m",
            "+5m",
            "30m2h",
            "5m5m",
            "2h30",
            "５m",
            "1é",
            "2 Stunden",
            "10 mn",
            "an",
            "hours",
            "until 18:00",
            "18:00",
            "1/2 hour",
            "2h 30",
            "5 min ok",
            "1,5 h",
            "5m-ish",
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
    fn a_time_is_taken_from_the_front_of_words() {
        let minutes = |n| Some(Duration::from_secs(n * MINUTE));
        for (text, expected) in [
            ("10m let us breathe", (minutes(10), "let us breathe")),
            ("2 hours", (minutes(120), "")),
            ("10 min. Let us breathe", (minutes(10), "Let us breathe")),
            ("10m 3 deep breaths", (minutes(10), "3 deep breaths")),
            ("half an hour for tea", (minutes(30), "for tea")),
            ("for 5 minutes please", (minutes(5), "please")),
            ("let us breathe", (None, "let us breathe")),
            ("a word first", (None, "a word first")),
            ("breathe in, and out", (None, "breathe in, and out")),
            ("let us all breathe for a minute", (None, "let us all breathe for a minute")),
            ("", (None, "")),
        ] {
            assert_eq!(split_duration(text), Ok(expected), "{text}");
        }
        // Never ten minutes with "2 Stunden" as words.
        for text in [
            "2 Stunden",
            "5 of us",
            "2h30 now",
            "until six",
            "10",
            "18:00 sharp",
            "½ hour",
            "forty-five minutes",
            "ten",
            "two",
            "Two of us need a break",
            "a couple of hours",
            "a few minutes please",
            "about 10 min",
            "~10 min",
            "quarter of an hour",
            "1h 30",
            "1 hour and 30",
        ] {
            assert_eq!(split_duration(text), Err(WhenError::Duration), "{text}");
        }
    }

    #[test]
    fn quiet_hours_parse() {
        for (text, minutes) in [
            ("22-07", (22 * 60, 7 * 60)),
            ("22:30 - 7:15", (22 * 60 + 30, 7 * 60 + 15)),
            ("0\u{2013}24:00", (0, 0)),
            ("22-24", (22 * 60, 0)),
        ] {
            let parsed = parse_quiet(text);
            match minutes.0 == minutes.1 {
                true => assert_eq!(parsed, Err(WhenError::Quiet), "{text}"),
                false => assert_eq!(parsed, Ok(Some(minutes)), "{text}"),
            }
        }
        assert_eq!(parse_quiet("off"), Ok(None));
        for text in
            ["", "22", "22-", "-7", "22-7-8", "25-7", "22:60-7", "2200-0700", "night", "7-7"]
        {
            assert_eq!(parse_quiet(text), Err(WhenError::Quiet), "{text}");
        }
        assert_eq!(of_day(7 * 60 + 5), "07:05");
    }

    #[test]
    fn moments_to_come_parse() {
        // Tue 24 Nov 2026 17:05 in Paris.
        let paris = TimeZone::get("Europe/Paris").unwrap();
        let now = Millis(1_795_536_300_000);
        assert_eq!(moment(now, now, &paris), "17:05");
        for (text, at) in [
            ("2h", "19:05"),
            ("18:30", "18:30"),
            ("until 18:30", "18:30"),
            ("17:05", "Wed 25 Nov 17:05"),
            ("9:00", "Wed 25 Nov 09:00"),
            ("24:00", "Wed 25 Nov 00:00"),
        ] {
            let until = parse_until(text, now, &paris);
            assert_eq!(until.map(|until| moment(until, now, &paris)), Ok(at.to_owned()), "{text}");
        }
        for text in ["", "soon", "25:00", "18", "until", "18:30 today"] {
            assert_eq!(parse_until(text, now, &paris), Err(WhenError::Until), "{text}");
        }
    }

    #[test]
    fn rates_parse() {
        assert_eq!(parse_rate("20 a day"), Ok(Some(20)));
        assert_eq!(parse_rate("20 per day"), Ok(Some(20)));
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
        assert_eq!(full_moment(NOON, &zone), "Mon 23 Nov 2026 13:00 CET");
        assert_eq!(full_moment(Millis::NEVER, &zone), "never");
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
            (2 * 86_400_000 - 1, "in 2 days"),
            (2 * 86_400_000 + 1, "in 2 days 1 h"),
            (68 * 3_600_000, "in 2 days 20 h"),
            (3 * 86_400_000, "in 3 days"),
            (30 * 86_400_000, "in 30 days"),
        ] {
            assert_eq!(remaining(NOON.plus(millis), NOON), expected);
        }
        assert_eq!(remaining(Millis(0), NOON), "now");
        let _ = remaining(Millis::NEVER, Millis(0));
    }
}
