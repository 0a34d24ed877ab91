//! A file as TOML with places: what stands where, read by key and type.

use std::ops::RangeInclusive;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use crate::fault::quoted;
use crate::words::{self, Limit};
use crate::{FILE_BYTES_MAX, Fault, LABEL_CHARS_MAX, Reason, TEXT_CHARS_MAX, time};

/// A text that members read, with line feeds.
pub(crate) const TEXT: Limit = Limit { chars: TEXT_CHARS_MAX, lines: true };
/// A text on one line.
pub(crate) const LINE: Limit = Limit { chars: TEXT_CHARS_MAX, lines: false };
/// A title, a choice, or the name of a band.
pub(crate) const LABEL: Limit = Limit { chars: LABEL_CHARS_MAX, lines: false };

/// A kind of table: its name in errors, and its keys.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) keys: &'static [&'static str],
    /// The kind of table around it and the key of its list there. TOML gives keys behind `[[list]]` to the list's last entry.
    parent: Option<(&'static Kind, &'static str)>,
}

pub(crate) static EXERCISE: Kind = Kind {
    name: "an exercise",
    keys: &["id", "title", "language", "minutes", "who", "needs", "evidence", "caution", "steps"],
    parent: None,
};
pub(crate) static STEP: Kind = Kind {
    name: "a step",
    keys: &["ask", "say", "to", "turn", "after_own", "wait", "opens_after"],
    parent: Some((&EXERCISE, "steps")),
};
pub(crate) static QUESTIONNAIRE: Kind = Kind {
    name: "a questionnaire",
    keys: &[
        "id", "language", "notice", "ask", "choices", "items", "score", "bands", "mark", "source",
        "licence",
    ],
    parent: None,
};
pub(crate) static SCORE: Kind =
    Kind { name: "a score", keys: &["sum", "course", "shown_to"], parent: None };
pub(crate) static MARK: Kind = Kind {
    name: "a mark",
    keys: &["item", "from", "to_member", "to_facilitators", "rings"],
    parent: Some((&QUESTIONNAIRE, "mark")),
};

pub(crate) static HELP: Kind = Kind {
    name: "a help block",
    keys: &["country", "minutes_unseen", "answers_read_within", "present", "complaint", "contact"],
    parent: None,
};
pub(crate) static CONTACT: Kind = Kind {
    name: "a contact",
    keys: &[
        "kind", "name", "number", "text_to", "keyword", "url", "address", "hours", "language",
        "cost", "pair", "checked", "source",
    ],
    parent: Some((&HELP, "contact")),
};
pub(crate) static CHECKED: Kind =
    Kind { name: "`checked`", keys: &["on", "by", "how"], parent: None };

pub(crate) static QUESTIONS: Kind =
    Kind { name: "a block of questions", keys: &["question"], parent: None };
pub(crate) static QUESTION: Kind = Kind {
    name: "a question",
    keys: &["ask", "choices", "right", "why"],
    parent: Some((&QUESTIONS, "question")),
};

const NO_VALUE: &str = "a key needs = and a value";

/// Keys by which other formats let one part refer to another.
const REFERENCES: [&str; 20] = [
    "back",
    "branch",
    "else",
    "extends",
    "for",
    "from_file",
    "goto",
    "if",
    "import",
    "include",
    "includes",
    "jump",
    "loop",
    "next",
    "repeat",
    "skip_to",
    "then",
    "use",
    "when",
    "while",
];

/// The text of a file.
pub(crate) struct File<'i> {
    text: &'i str,
}

impl<'i> File<'i> {
    /// Checks size and encoding.
    pub(crate) fn open(bytes: &'i [u8]) -> Result<Self, Fault> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        if bytes.len() > FILE_BYTES_MAX {
            let line = line(bytes, FILE_BYTES_MAX);
            return Err(Fault { line, reason: Reason::Huge { bytes: bytes.len() } });
        }
        match str::from_utf8(bytes) {
            Ok(text) => Ok(Self { text }),
            Err(error) => {
                let line = line(bytes, error.valid_up_to());
                Err(Fault { line, reason: Reason::NotUtf8 })
            }
        }
    }

    pub(crate) fn fault(&self, at: usize, reason: Reason) -> Fault {
        Fault { line: line(self.text.as_bytes(), at), reason }
    }

    pub(crate) fn toml(&self) -> Result<DeTable<'i>, Fault> {
        match DeTable::parse(self.text) {
            Ok(table) if table.get_ref().is_empty() => Err(self.fault(0, Reason::Empty)),
            Ok(table) => Ok(table.into_inner()),
            Err(error) => Err(self.syntax(&error)),
        }
    }

    fn syntax(&self, error: &toml::de::Error) -> Fault {
        // Of all errors, only the one about nesting comes without a place.
        let at = error.span().map_or_else(|| self.deepest(), |span| span.start);
        // Nothing behind `=` is told as words without quotes, of no length.
        let nothing = error.span().is_some_and(|span| span.is_empty());
        let message = if nothing && error.message().starts_with("string values") {
            NO_VALUE.to_owned()
        } else {
            plain(error.message())
        };
        let fault = self.fault(at, Reason::NotToml { message });
        let quotes = ['“', '”', '„', '‘', '’', '«', '»'];
        let line = self.text.lines().nth(fault.line - 1).unwrap_or_default();
        // Curly quotes within straight ones are words.
        let curly = line.find(quotes).filter(|at| !line[..*at].contains(['"', '\'']));
        match curly.and_then(|at| line[at..].chars().next()) {
            Some(quote) => Fault { reason: Reason::CurlyQuote { quote }, ..fault },
            None => fault,
        }
    }

    /// Returns the beginning of the line with the most dots and brackets.
    fn deepest(&self) -> usize {
        let mut deepest = (0, 0);
        let mut at = 0;
        for line in self.text.split_inclusive('\n') {
            let depth = line.matches(['.', '[', '{']).count();
            if depth > deepest.0 {
                deepest = (depth, at);
            }
            at += line.len();
        }
        deepest.1
    }
}

/// Returns the number of the line of a byte; the end of a file belongs to its last line.
fn line(bytes: &[u8], at: usize) -> usize {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let before = bytes.get(..at).unwrap_or(bytes);
    1 + before.split(|byte| *byte == b'\n').count().saturating_sub(1)
}

/// Says the parser's message in the words of somebody who writes no programs.
fn plain(message: &str) -> String {
    if message.contains("visible characters") || message.contains("printable characters") {
        return "here is a control character".to_owned();
    }
    let said = [
        ("duplicate key", "this key is there twice"),
        (
            "string values must be quoted",
            "words stand in straight quotes, such as \"in turn\"; numbers, true and false stand without",
        ),
        ("invalid boolean", "true and false have small letters"),
        ("invalid basic string", "a quote is not closed on its line"),
        ("invalid literal string", "a quote is not closed on its line"),
        ("invalid multi-line", "three quotes are not closed"),
        ("missing escaped value", "\\ and this letter mean nothing; type \\\\ for one \\"),
        ("unclosed array table", "]] is missing"),
        ("unclosed table", "] is missing"),
        ("unclosed array", "[ is not closed"),
        ("unclosed inline table", "{ is not closed"),
        ("invalid inline table element", "a comma or } is missing"),
        ("missing comma between key-value", "a comma or } is missing"),
        ("missing comma", "a comma or ] is missing"),
        ("extra comma", "there is a comma too many"),
        ("unquoted keys cannot be empty", "a key is missing before ="),
        ("key with no value", NO_VALUE),
        ("missing assignment", NO_VALUE),
        ("missing value", NO_VALUE),
        ("unexpected key or value", "this line holds more than a key and its value"),
        ("unexpected leading zero", "a number begins with 0"),
        ("recursion limit", "it is nested too deep"),
        ("cannot recurse", "it is nested too deep"),
    ];
    let known = said.iter().find(|(begin, _)| message.starts_with(begin));
    known.map_or_else(|| quoted(message), |(_, words)| (*words).to_owned())
}

/// A table, every key of which its kind has.
pub(crate) struct Table<'f> {
    file: &'f File<'f>,
    table: &'f DeTable<'f>,
    kind: &'static Kind,
    at: usize,
}

impl<'f> Table<'f> {
    /// Checks the keys.
    pub(crate) fn new(
        file: &'f File<'f>,
        table: &'f DeTable<'f>,
        kind: &'static Kind,
        at: usize,
    ) -> Result<Self, Fault> {
        let keys = table.keys().map(|key| (key.span().start, key.get_ref().as_ref()));
        match keys.filter(|(_, key)| !kind.keys.contains(key)).min() {
            None => Ok(Self { file, table, kind, at }),
            Some((at, key)) => Err(file.fault(at, unknown_key(kind, key))),
        }
    }

    /// Makes a fault of the whole table.
    pub(crate) fn fault(&self, reason: Reason) -> Fault {
        self.file.fault(self.at, reason)
    }

    pub(crate) fn get(&self, key: &'static str) -> Option<Value<'f>> {
        debug_assert!(self.kind.keys.contains(&key), "{key}");
        let value = self.table.get(key)?;
        Some(Value { file: self.file, key, value })
    }

    pub(crate) fn need(&self, key: &'static str) -> Result<Value<'f>, Fault> {
        let missing = || self.fault(Reason::Missing { table: self.kind.name, key });
        self.get(key).ok_or_else(missing)
    }
}

fn unknown_key(kind: &'static Kind, key: &str) -> Reason {
    let table = kind.name;
    let lower = key.to_lowercase().replace('-', "_");
    if let Some((parent, list)) = kind.parent
        && let Some(key) = parent.keys.iter().find(|known| **known == lower)
    {
        return Reason::Misplaced { table, key, parent: parent.name, list };
    }
    let key = quoted(key);
    if REFERENCES.contains(&lower.as_str()) {
        return Reason::Reference { table, key };
    }
    let nearest = words::nearest(&lower, kind.keys);
    Reason::UnknownKey { table, key, nearest }
}

/// A value with its key and place.
#[derive(Clone, Copy)]
pub(crate) struct Value<'f> {
    file: &'f File<'f>,
    pub(crate) key: &'static str,
    value: &'f Spanned<DeValue<'f>>,
}

impl<'f> Value<'f> {
    pub(crate) fn fault(&self, reason: Reason) -> Fault {
        self.file.fault(self.value.span().start, reason)
    }

    fn wrong(&self, wanted: &'static str) -> Fault {
        let is = match self.value.get_ref() {
            DeValue::String(_) => "words in quotes",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a number with a point",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date or a time of day",
            DeValue::Array(_) => "a list in [ ]",
            DeValue::Table(_) => "a table in { }",
        };
        self.fault(Reason::WrongType { key: self.key, wanted, is })
    }

    /// Returns words as they stand in the file.
    pub(crate) fn raw(&self) -> Result<&'f str, Fault> {
        self.value.get_ref().as_str().ok_or_else(|| self.wrong("words in quotes"))
    }

    pub(crate) fn text(&self, limit: Limit) -> Result<String, Fault> {
        words::check(self.key, self.raw()?, limit).map_err(|reason| self.fault(reason))
    }

    pub(crate) fn whole(&self, range: RangeInclusive<u32>) -> Result<u32, Fault> {
        let wanted = "a whole number";
        let number = self.value.get_ref().as_integer().ok_or_else(|| self.wrong(wanted))?;
        let parsed = u32::from_str_radix(number.as_str(), number.radix());
        parsed.ok().filter(|number| range.contains(number)).ok_or_else(|| {
            let value = quoted(number.as_str());
            let (from, to) = (*range.start(), *range.end());
            self.fault(Reason::Number { key: self.key, value, from, to })
        })
    }

    /// Returns a day, as TOML has it or in quotes, as days since 1970.
    pub(crate) fn day(&self) -> Result<time::Day, Fault> {
        let wanted = "a day such as 2026-11-28";
        let date = match self.value.get_ref() {
            DeValue::Datetime(when) => when.date.filter(|_| when.time.is_none()),
            DeValue::String(text) => {
                let when = text.trim().parse::<toml::value::Datetime>().ok();
                when.filter(|when| when.time.is_none()).and_then(|when| when.date)
            }
            _ => None,
        };
        let date = date.ok_or_else(|| self.wrong(wanted))?;
        Ok(time::Day::of(date.year, date.month, date.day))
    }

    pub(crate) fn flag(&self) -> Result<bool, Fault> {
        self.value.get_ref().as_bool().ok_or_else(|| self.wrong("true or false, without quotes"))
    }

    pub(crate) fn time(&self, range: RangeInclusive<Duration>) -> Result<Duration, Fault> {
        let text = self
            .value
            .get_ref()
            .as_str()
            .ok_or_else(|| self.wrong("a time in quotes, such as \"5m\""))?;
        let (key, value) = (self.key, quoted(text));
        match time::parse(text) {
            Some(time) if range.contains(&time) => Ok(time),
            Some(_) => {
                let (from, to) = (*range.start(), *range.end());
                Err(self.fault(Reason::TimeRange { key, value, from, to }))
            }
            None => Err(self.fault(Reason::Time { key, value })),
        }
    }

    /// Returns what a word stands for.
    pub(crate) fn one_of<T: Copy>(&self, known: &[(&str, T)]) -> Result<T, Fault> {
        let text = self.raw()?;
        if let Some((_, meaning)) = known.iter().find(|(word, _)| *word == text) {
            return Ok(*meaning);
        }
        let words: Vec<_> = known.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        let (key, value, known) = (self.key, quoted(text), words.join(", "));
        Err(self.fault(Reason::UnknownValue { key, value, known }))
    }

    pub(crate) fn list(&self, count: RangeInclusive<usize>) -> Result<Vec<Value<'f>>, Fault> {
        let list: &DeArray<'f> = self
            .value
            .get_ref()
            .as_array()
            .ok_or_else(|| self.wrong("a list in [ ], or [[ ]] above each entry"))?;
        if !count.contains(&list.len()) {
            let (from, to) = (*count.start(), *count.end());
            return Err(self.fault(Reason::Count { key: self.key, count: list.len(), from, to }));
        }
        Ok(list.iter().map(|value| Value { value, ..*self }).collect())
    }

    /// Returns the parts of an entry such as `["never", 0]`, which `shape` shows.
    pub(crate) fn parts<const N: usize>(
        &self,
        shape: &'static str,
    ) -> Result<[Value<'f>; N], Fault> {
        let list = self.value.get_ref().as_array();
        let parts: Vec<_> =
            list.into_iter().flatten().map(|value| Value { value, ..*self }).collect();
        parts.try_into().map_err(|_| self.fault(Reason::Shape { key: self.key, shape }))
    }

    pub(crate) fn table(&self, kind: &'static Kind) -> Result<Table<'f>, Fault> {
        let table = self.value.get_ref().as_table().ok_or_else(|| self.wrong("a table in { }"))?;
        Table::new(self.file, table, kind, self.value.span().start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_from_one() {
        for (text, at, number) in [
            ("", 0, 1),
            ("", 9, 1),
            ("a\nb", 0, 1),
            ("a\nb", 1, 1),
            ("a\nb", 2, 2),
            ("a\nb\n", 4, 2),
            ("a\r\nb\r\n", 9, 2),
            ("\n\n\n", 3, 3),
        ] {
            assert_eq!(line(text.as_bytes(), at), number, "{text:?} {at}");
        }
    }
}
