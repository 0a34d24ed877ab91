//! Lengths of time as people type them, with words behind.

use hearth_protocol::Millis;
use jiff::{
    civil::{Date, DateTime},
    tz::TimeZone,
};

use crate::{
    commands::Result,
    failure::Failure,
    text::when::{self, WhenError},
};

/// Refuses "off" where a length of time is taken: it is no remark to the room, and something else ends what was begun. `how` says what.
pub(super) fn not_off(args: &[String], how: &str) -> Result<()> {
    const ENDS: [&str; 4] = ["end", "stop", "over", "no"];
    let words = args.join(" ");
    let off = when::is_off(&words) || ENDS.iter().any(|word| words.eq_ignore_ascii_case(word));
    match off {
        true => Err(Failure::usage(
            format!("\"{}\" is not a length of time", hearth_text::escape::one_line(&words)),
            format!("Nothing was done. {how}"),
        )),
        false => Ok(()),
    }
}

/// Takes a time, in one word or several, and the words behind it. What begins like a time and is none is refused: nobody means
/// "2 Stunden" as words.
pub(super) fn time_and_words(args: &[String]) -> Result<(Option<u64>, String)> {
    let text = args.join(" ");
    // What stands in quotes behind a time is words, whatever it begins with.
    let (time, words) = match args {
        [time, words] if when::parse_duration(time).is_ok() => {
            (when::parse_duration(time).ok(), words.as_str())
        }
        _ => when::split_duration(&text).map_err(time_failure)?,
    };
    if args.len() > 1 && time.is_none() {
        // The first of several words is the time, or a slip: words alone stand in quotes.
        return Err(time_failure(WhenError::Duration));
    }
    let millis = time.map(|t| u64::try_from(t.as_millis()).unwrap_or(u64::MAX));
    Ok((millis, words.to_owned()))
}

pub(in crate::commands) fn parse_millis(time: &str) -> Result<u64> {
    let time = when::parse_duration(time).map_err(time_failure)?;
    Ok(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

/// Takes a day, a day and a time, or a length of time from now. A day alone means its end, by the clock of this place.
pub(super) fn parse_day(text: &str, now: Millis) -> Result<Millis> {
    day_or_time(text, now, |day| day.tomorrow().ok())
}

/// Takes the same; a day alone means its beginning.
pub(super) fn parse_morning(text: &str, now: Millis) -> Result<Millis> {
    day_or_time(text, now, Some)
}

fn day_or_time(
    text: &str,
    now: Millis,
    midnight_of: impl FnOnce(Date) -> Option<Date>,
) -> Result<Millis> {
    let text = text.trim();
    if let Ok(time) = when::parse_duration(text) {
        return Ok(now.plus(u64::try_from(time.as_millis()).unwrap_or(u64::MAX)));
    }
    let local = match text.parse::<DateTime>() {
        Ok(at) if text.contains(':') => Some(at),
        Ok(day) => midnight_of(day.date()).map(|day| day.at(0, 0, 0, 0)),
        Err(_) => None,
    };
    let at = local.and_then(|at| at.to_zoned(TimeZone::system()).ok());
    let millis = at.and_then(|at| u64::try_from(at.timestamp().as_millisecond()).ok());
    millis.map(Millis).ok_or_else(|| {
        Failure::usage(
            format!("{} is not a day", hearth_text::escape::one_line(text)),
            "Nothing was done. For example: 2026-12-20, \"2026-12-20 21:00\", or 21d.",
        )
    })
}

pub(super) fn time_failure(error: WhenError) -> Failure {
    let advice = match error {
        WhenError::Hours | WhenError::Zone | WhenError::TooManyIntervals => {
            "Nothing was done. For example: `hearth hours ROOM \"Mon-Fri 17:00-20:00 Europe/Paris\"`."
        }
        _ => "Nothing was done. For example: 30m, 2h, 10 min, 7 days.",
    };
    Failure::usage(error.to_string(), advice)
}
