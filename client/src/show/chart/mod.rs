//! What one member said over time, as lines for any terminal: a row for each value, so that none is lost, whatever its
//! number and the columns.

mod svg;
#[cfg(test)]
mod tests;

use hearth_protocol::Millis;
use hearth_text::escape;
use jiff::{Timestamp, tz::TimeZone};

pub use self::svg::svg;

/// Columns of the narrowest chart: a day and the longest value.
pub const COLUMNS_MIN: usize = DAY_COLUMNS + VALUE_COLUMNS;

/// A day and a space: `2026-11-24 `.
const DAY_COLUMNS: usize = 11;
/// A space, and `skipped`, or the highest total.
const VALUE_COLUMNS: usize = 8;
/// Columns between the lowest and the highest value at most.
const TRACK_MAX: usize = 41;
/// Columns of a track that still shows something.
const TRACK_MIN: usize = 3;

/// A member's values over time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chart {
    /// What the values are, and whose.
    pub title: String,
    /// The lowest value that there can be.
    pub low: u32,
    /// The highest.
    pub high: u32,
    /// What the lowest and the highest mean.
    pub ends: (String, String),
    /// The values, oldest first.
    pub values: Vec<Value>,
}

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// When it was given.
    pub at: Millis,
    /// The value; `None`: skipped, which is not the lowest.
    pub value: Option<u32>,
    /// The member's words with it, or those of the choice.
    pub words: String,
}

impl Chart {
    /// Draws the chart within so many columns, or [`COLUMNS_MIN`]. It has no character beyond ASCII but for its title and words.
    pub fn lines(&self, columns: usize, zone: &TimeZone) -> Vec<String> {
        let track = columns.saturating_sub(COLUMNS_MIN).min(TRACK_MAX);
        let row = |value: &Value| {
            let day = day(value.at, zone);
            let number = match value.value {
                Some(number) => number.to_string(),
                None => "skipped".to_owned(),
            };
            match track {
                TRACK_MIN.. => format!("{day:10} {} {number}", self.track(value.value, track)),
                _ => format!("{day:10} {number}"),
            }
        };
        self.values.iter().map(row).collect()
    }

    /// Draws a line with a mark where the value is; without a mark where there is none.
    fn track(&self, value: Option<u32>, columns: usize) -> String {
        let at = value.map(|value| self.place(value, columns));
        (0..columns).map(|column| if Some(column) == at { 'o' } else { '.' }).collect()
    }

    /// Returns the column of a value. What is beyond the ends, from a modified client, stands at an end.
    fn place(&self, value: u32, columns: usize) -> usize {
        let span = u64::from(self.high.saturating_sub(self.low)).max(1);
        let from_low = u64::from(value.clamp(self.low, self.high.max(self.low)) - self.low);
        let last = u64::try_from(columns.saturating_sub(1)).unwrap_or(0);
        usize::try_from((from_low * last + span / 2) / span).unwrap_or(0)
    }

    /// Returns the words beside the chart: each value with its time, oldest first.
    pub fn words(&self, zone: &TimeZone) -> Vec<String> {
        let line = |value: &Value| match self.row(value, zone) {
            [at, number, words] if words.is_empty() => format!("{at}: {number}"),
            [at, number, words] => format!("{at}: {number}, {words}"),
        };
        self.values.iter().map(line).collect()
    }

    /// Returns a value in words: when, how much, and what was said with it.
    pub fn row(&self, value: &Value, zone: &TimeZone) -> [String; 3] {
        let at = strftime(value.at, zone, "%a %-d %b %Y %H:%M");
        let number = value.value.map_or_else(|| "skipped".to_owned(), |n| n.to_string());
        [at, number, escape::one_line(&value.words)]
    }

    /// Says what the two ends are.
    pub fn scale(&self) -> String {
        let (low, high) = &self.ends;
        let (low, high) = (escape::one_line(low), escape::one_line(high));
        match (low.is_empty(), high.is_empty()) {
            (false, false) => format!("{} = {low}, {} = {high}", self.low, self.high),
            _ => format!("{} to {}", self.low, self.high),
        }
    }
}

fn day(at: Millis, zone: &TimeZone) -> String {
    strftime(at, zone, "%Y-%m-%d")
}

fn strftime(at: Millis, zone: &TimeZone, format: &str) -> String {
    let at = i64::try_from(at.0).ok().and_then(|at| Timestamp::from_millisecond(at).ok());
    at.map_or_else(|| "?".to_owned(), |at| at.to_zoned(zone.clone()).strftime(format).to_string())
}
