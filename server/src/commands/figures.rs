//! Times, spans and sizes as an operator reads them.

use hearth_protocol::Millis;

const DAY: u64 = 86_400;

/// Year, month and day of a number of days since 1970-01-01 in the Gregorian calendar.
fn civil(days: u64) -> (u64, u64, u64) {
    // Years begin in March here, so that a leap day is the last of its year; 719,468 days lie between year 0 and 1970.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let date = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + u64::from(month <= 2), month, date)
}

/// Latest second that is shown as a date: the last of the year 9999.
const LATEST: u64 = 253_402_300_799;

/// Returns a time in UTC as `2026-11-29 04:05`.
pub(super) fn time(at: Millis) -> String {
    parts(at, ' ', ':', false)
}

/// Returns a time in UTC as part of a file's name, `2026-11-29T04-05-06Z`; later times sort later.
pub(super) fn name(at: Millis) -> String {
    parts(at, 'T', '-', true) + "Z"
}

fn parts(at: Millis, between: char, colon: char, seconds: bool) -> String {
    let total = (at.0 / 1000).min(LATEST);
    let (year, month, day) = civil(total / DAY);
    let (hour, minute, second) = (total / 3600 % 24, total / 60 % 60, total % 60);
    let mut text = format!("{year:04}-{month:02}-{day:02}{between}{hour:02}{colon}{minute:02}");
    if seconds {
        text.push_str(&format!("{colon}{second:02}"));
    }
    text
}

/// Returns a span in its greatest unit, as `3 hours`.
pub(super) fn span(millis: u64) -> String {
    let seconds = millis / 1000;
    let (number, unit) = match seconds {
        0..60 => (seconds, "second"),
        60..3_600 => (seconds / 60, "minute"),
        3_600..172_800 => (seconds / 3_600, "hour"),
        _ => (seconds / DAY, "day"),
    };
    counted(number, unit)
}

/// Returns a number with its noun.
pub(super) fn counted(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// Returns a size in its greatest unit, as `1.5 MiB`.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return counted(bytes, "byte");
    }
    let (mut tenths, mut unit) = (bytes.saturating_mul(10) / 1024, UNITS[0]);
    for larger in &UNITS[1..] {
        if tenths < 10_240 {
            break;
        }
        (tenths, unit) = (tenths / 1024, larger);
    }
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_follow_the_calendar() {
        for (seconds, expected) in [
            (0, "1970-01-01 00:00"),
            (951_782_400, "2000-02-29 00:00"),
            (1_709_251_199, "2024-02-29 23:59"),
            (1_709_251_200, "2024-03-01 00:00"),
            (4_107_542_400, "2100-03-01 00:00"),
            (LATEST, "9999-12-31 23:59"),
        ] {
            assert_eq!(time(Millis(seconds * 1000)), expected);
        }
        assert_eq!(time(Millis(u64::MAX)), "9999-12-31 23:59");
        assert_eq!(name(Millis(1_709_251_199_999)), "2024-02-29T23-59-59Z");
    }

    #[test]
    fn spans_and_sizes_are_rounded_down() {
        assert_eq!(span(1_999), "1 second");
        assert_eq!(span(90 * 60_000), "1 hour");
        assert_eq!(span(49 * 3_600_000), "2 days");
        assert_eq!(size(1), "1 byte");
        assert_eq!(size(1_536), "1.5 KiB");
        assert_eq!(size(5 * 1024 * 1024 * 1024), "5.0 GiB");
    }
}
