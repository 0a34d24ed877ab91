//! Crisis contacts as they are shown, and as the plain copy on a device.

use std::fmt::Write as _;

use hearth_text::{escape, wrap};

use super::{Contact, Help, Means};
use crate::Day;

/// Columns of the smallest screen that shows the contacts whole.
pub const HELP_COLUMNS: usize = 40;
/// Lines of contacts that fit on a screen of 20 lines, beside what else stands there.
pub const HELP_LINES_MAX: usize = 12;
/// Days after a check until facilitators are told to check again.
pub const HELP_STALE_DAYS: u32 = 90;
/// Days after a check until members read how old it is.
pub const HELP_UNTRUSTED_DAYS: u32 = 180;

impl Contact {
    /// Returns the contact on one line, its number first.
    pub fn line(&self) -> String {
        let way = match &self.means {
            Means::Call(number) => number.clone(),
            Means::Text { to, keyword: None } => format!("text {to}"),
            Means::Text { to, keyword: Some(keyword) } => format!("text {keyword} to {to}"),
            Means::Page(url) => url.clone(),
            Means::Address(address) => address.clone(),
        };
        let mut line = if self.name == way { way } else { format!("{way} {}", self.name) };
        if self.hours != "always" {
            let _ = write!(line, ", {}", self.hours);
        }
        if let Some(cost) = &self.cost {
            let _ = write!(line, ", {cost}");
        }
        if !self.language.is_empty() {
            let _ = write!(line, " ({})", self.language.join(", "));
        }
        line
    }
}

impl Help {
    /// Returns the lines of the contacts on a screen of some columns.
    pub fn contact_lines(&self, columns: usize) -> Vec<String> {
        let lines = self.contacts.iter().map(|contact| wrap::lines(&contact.line(), columns + 1));
        let lines: Vec<String> = lines.collect();
        lines.iter().flat_map(|text| text.split('\n')).map(str::to_owned).collect()
    }

    /// Returns the lines of a screen that the contacts take. A terminal breaks a word that is longer than its columns.
    pub(super) fn height(&self, columns: usize) -> usize {
        let lines = self.contact_lines(columns);
        lines.iter().map(|line| escape::width(line).div_ceil(columns)).sum()
    }

    /// Returns the first line: the emergency number.
    pub fn first_line(&self) -> String {
        self.contacts.first().map(Contact::line).unwrap_or_default()
    }

    /// Whether the first line is answered day and night.
    pub fn first_always(&self) -> bool {
        self.contacts.first().is_some_and(|contact| contact.hours == "always")
    }

    /// Returns the oldest day on which one of the contacts was checked, if that is more than some days ago.
    pub fn checked_over(&self, days: u32, today: Day) -> Option<Day> {
        let oldest = self.contacts.iter().map(|contact| contact.checked.on).min()?;
        (oldest.until(today) > days).then_some(oldest)
    }
}

/// Writes blocks as the copy on a device that opens without the profile. It says how services are reached; it leaves out every name
/// of a person, hours of presence, and where to complain.
pub fn plain_of(help: &Help) -> String {
    let mut text =
        format!("country = {}\nminutes_unseen = {}\n", quoted(&help.country), help.minutes_unseen);
    for contact in &help.contacts {
        let _ = write!(
            text,
            "\n[[contact]]\nkind = {}\nname = {}\n",
            quoted(contact.kind.as_str()),
            quoted(&contact.name)
        );
        let mut key = |key: &str, value: &str| {
            let _ = writeln!(text, "{key} = {}", quoted(value));
        };
        match &contact.means {
            Means::Call(number) => key("number", number),
            Means::Text { to, keyword } => {
                key("text_to", to);
                keyword.iter().for_each(|keyword| key("keyword", keyword));
            }
            Means::Page(url) => key("url", url),
            Means::Address(address) => key("address", address),
        }
        key("hours", &contact.hours);
        contact.cost.iter().for_each(|cost| key("cost", cost));
        contact.pair.iter().for_each(|pair| key("pair", pair));
        let tags: Vec<String> = contact.language.iter().map(|tag| quoted(tag)).collect();
        let _ = writeln!(text, "language = [{}]", tags.join(", "));
        let _ = writeln!(
            text,
            "checked = {{ on = {}, by = \"a facilitator\", how = {} }}",
            contact.checked.on,
            quoted(contact.checked.how.as_str())
        );
    }
    text
}

/// Puts a text into quotes of TOML. It is on one line and without control characters.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
