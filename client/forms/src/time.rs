//! Lengths of time, as the commands take them.

use std::time::Duration;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Units from large to small, with their names and seconds.
const UNITS: [(&[&str], u64); 5] = [
    (&["w", "wk", "wks", "week", "weeks"], 7 * DAY),
    (&["d", "day", "days"], DAY),
    (&["h", "hr", "hrs", "hour", "hours"], HOUR),
    (&["m", "min", "mins", "minute", "minutes"], MINUTE),
    (&["s", "sec", "secs", "second", "seconds"], 1),
];

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const TEN_SECONDS: Duration = Duration::from_secs(10);
pub(crate) const ONE_HOUR: Duration = Duration::from_secs(HOUR);
pub(crate) const NINETY_DAYS: Duration = Duration::from_secs(90 * DAY);

/// Parses `90s`, `30m`, `2h30m`, `10 min` or `1 hour and 30 minutes`: whole numbers, larger units first, each unit once.
/// `None` for anything else; a number past all bounds is the longest time.
pub(crate) fn parse(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut units = UNITS.iter();
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).filter(|end| *end > 0)?;
        let (number, after) = rest.split_at(digits);
        // Digits that do not fit are a number past all bounds.
        let number: u64 = number.parse().unwrap_or(u64::MAX);
        let after = after.trim_start();
        let end = after.find(|c: char| !c.is_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        // Searching on from the last unit refuses 30m2h and 5m5m.
        let is_this = |names: &[&str]| names.iter().any(|name| unit.eq_ignore_ascii_case(name));
        let (_, factor) = units.find(|(names, _)| is_this(names))?;
        total = total.saturating_add(number.saturating_mul(*factor));
        rest = after.trim_start();
        rest = rest.strip_prefix("and ").map_or(rest, str::trim_start);
    }
    (units.len() < UNITS.len()).then_some(Duration::from_secs(total))
}

/// Renders a bound of a length of time, which is whole in one unit.
pub(crate) fn words(time: Duration) -> String {
    let seconds = time.as_secs();
    let mut units = [(DAY, "d"), (HOUR, "h"), (MINUTE, "m")].into_iter();
    let (unit, name) = units.find(|(unit, _)| seconds.is_multiple_of(*unit)).unwrap_or((1, "s"));
    format!("{}{name}", seconds / unit)
}

/// A day of the calendar, as days since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(pub u32);

impl Day {
    /// Returns the day of a time in milliseconds since 1970.
    pub fn of_millis(millis: u64) -> Self {
        Self(u32::try_from(millis / (1000 * DAY)).unwrap_or(u32::MAX))
    }

    /// Returns the day of a date; a day before 1970 counts as the first one.
    pub(crate) fn of(year: u16, month: u8, day: u8) -> Self {
        // Years begin in March, so that a leap day ends one.
        let (year, month) = (i64::from(year) - i64::from(month < 3), (i64::from(month) + 9) % 12);
        let of_year = (153 * month + 2) / 5 + i64::from(day) - 1;
        let days = 365 * year + year / 4 - year / 100 + year / 400 + of_year;
        Self(u32::try_from(days - EPOCH).unwrap_or(0))
    }

    /// Returns the days from this one to another; 0 if that is earlier.
    pub const fn until(self, other: Self) -> u32 {
        other.0.saturating_sub(self.0)
    }
}

impl std::fmt::Display for Day {
    /// Writes the date, as in `2026-11-28`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let days = i64::from(self.0) + EPOCH;
        let era = days / 146_097;
        let of_era = days % 146_097;
        let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * month + 2) / 5 + 1;
        let month = if month < 10 { month + 3 } else { month - 9 };
        let year = 400 * era + year_of_era + i64::from(month < 3);
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

/// Days from 1 March of the year 0 to 1970.
const EPOCH: i64 = 719_468;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        for (year, month, day, number, text) in [
            (1970, 1, 1, 0, "1970-01-01"),
            (1970, 3, 1, 59, "1970-03-01"),
            (2000, 2, 29, 11_016, "2000-02-29"),
            (2026, 11, 28, 20_785, "2026-11-28"),
            (2100, 3, 1, 47_541, "2100-03-01"),
            (1969, 12, 31, 0, "1970-01-01"),
        ] {
            let given = Day::of(year, month, day);
            assert_eq!((given, given.to_string().as_str()), (Day(number), text));
        }
        assert_eq!(Day::of_millis(20_785 * 86_400_000 + 5), Day(20_785));
        assert_eq!((Day(3).until(Day(10)), Day(10).until(Day(3))), (7, 0));
    }

    #[test]
    fn lengths_of_time_parse() {
        for (text, seconds) in [
            ("90s", 90),
            (" 10M ", 600),
            ("7d", 7 * DAY),
            ("2h30m", 9000),
            ("2h 30m", 9000),
            ("10 min", 600),
            ("5 Minutes", 300),
            ("1 hour and 30 minutes", 5400),
            ("1w2d", 9 * DAY),
        ] {
            assert_eq!(parse(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(parse("99999999999999999999d"), Some(Duration::from_secs(u64::MAX)));
    }

    #[test]
    fn bounds_are_in_one_unit() {
        for (seconds, said) in
            [(1, "1s"), (90, "90s"), (120, "2m"), (3 * HOUR, "3h"), (90 * DAY, "90d")]
        {
            assert_eq!(words(Duration::from_secs(seconds)), said);
        }
    }

    #[test]
    fn other_lengths_are_refused() {
        for text in [
            "", " ", "m", "30", "1.5h", "-5m", "+5m", "30m2h", "5m5m", "2h30", "５m", "1é",
            "10 mn", "soon", "18:00", "5 min ok", "5m and", "and 5m",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
