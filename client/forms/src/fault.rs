//! What is wrong with a file, and where.

use std::time::Duration;

use hearth_text::escape::{one_line, truncate};

use crate::{FILE_BYTES_MAX, ID_CHARS_MAX, help::HelpReason, question::QuestionReason, time};

/// Columns of a value or key that an error repeats.
const QUOTE_COLUMNS: usize = 60;

/// A reason to refuse a file, with its place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct Fault {
    /// Counted from 1; never past the last line.
    pub line: usize,
    /// What is wrong there.
    pub reason: Reason,
}

/// Reasons to refuse a file. Texts of the file in them are inert and short.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each message says what its fields are")]
pub enum Reason {
    #[error("the file is empty")]
    Empty,
    #[error(
        "the file has {bytes} bytes, and the first {FILE_BYTES_MAX} end here; it may have no more"
    )]
    Huge { bytes: usize },
    #[error("here is a byte that is not UTF-8; save the file as UTF-8")]
    NotUtf8,
    #[error("this is not TOML: {message}")]
    NotToml { message: String },
    #[error("this is not TOML: {quote} is a curly quote; type the straight \" in its place")]
    CurlyQuote { quote: char },
    #[error("this file is {is}, not {wanted}")]
    OtherForm { is: &'static str, wanted: &'static str },
    #[error("nothing names this form: add `id`, such as id = \"evening-round\"")]
    Nameless,

    #[error("{table} has no key `{key}`; did you mean `{nearest}`?")]
    UnknownKey { table: &'static str, key: String, nearest: &'static str },
    #[error("{table} has no key `{key}`; steps follow each other in the order of the file")]
    Reference { table: &'static str, key: String },
    #[error(
        "{table} has no key `{key}`; it belongs to {parent}, so move it above the first [[{list}]]"
    )]
    Misplaced { table: &'static str, key: &'static str, parent: &'static str, list: &'static str },
    #[error("{table} needs `{key}`")]
    Missing { table: &'static str, key: &'static str },
    #[error("`{key}` takes {wanted}, and this is {is}")]
    WrongType { key: &'static str, wanted: &'static str, is: &'static str },

    #[error("`{key}` has no words in it")]
    Blank { key: &'static str },
    #[error("`{key}` has {chars} characters, more than {max}")]
    TooLong { key: &'static str, chars: usize, max: usize },
    #[error("`{key}` holds the character U+{:04X}, which screens do not show as it is", u32::from(*.character))]
    Character { key: &'static str, character: char },
    #[error("`{key}` goes over more than one line")]
    ManyLines { key: &'static str },
    #[error("`{key}` is {value}; it is a whole number from {from} to {to}")]
    Number { key: &'static str, value: String, from: u32, to: u32 },
    #[error("`{key}` is \"{value}\"; it is one of {known}")]
    UnknownValue { key: &'static str, value: String, known: String },
    #[error(
        "`{key}` is \"{value}\"; a length of time is a number and a unit, such as 90s, 30m, 2h30m, 10 min, 2 hours or 7 days"
    )]
    Time { key: &'static str, value: String },
    #[error("`{key}` is \"{value}\"; it is from {} to {}", time::words(*.from), time::words(*.to))]
    TimeRange { key: &'static str, value: String, from: Duration, to: Duration },
    #[error("`id` is \"{value}\"; it is letters, digits, - and _, at most {ID_CHARS_MAX}")]
    Id { value: String },
    #[error("`language` is \"{value}\"; it is a tag such as en, de or pt-BR")]
    Language { value: String },
    #[error("an entry of `{key}` looks like {shape}")]
    Shape { key: &'static str, shape: &'static str },
    #[error("`{key}` has {count} entries; it takes {from} to {to}")]
    Count { key: &'static str, count: usize, from: usize, to: usize },

    #[error("step {step} asks and says; make two steps of it")]
    AsksAndSays { step: usize },
    #[error("step {step} neither asks nor says; give it `ask` or `say`")]
    NeitherAsksNorSays { step: usize },
    #[error("step {step} says something, so nobody answers it and `{key}` has no use")]
    SayWith { step: usize, key: &'static str },
    #[error("step {step} goes to {to}; `{key}` is for steps to the room")]
    NotInRoom { step: usize, key: &'static str, to: &'static str },
    #[error(
        "step {step} is taken in turn, so each answer shows at once and `after_own` has no use"
    )]
    TurnAfterOwn { step: usize },
    #[error("step {step} has a `turn`, and `who` is \"{who}\"")]
    TurnOfNobody { step: usize, who: &'static str },
    #[error("`who` is \"in turn\", and no step has a `turn`, such as turn = \"5m\"")]
    NoTurn,

    #[error("choice {second} has the score {score}, as choice {first} has")]
    SameScore { score: u32, first: usize, second: usize },
    #[error("choice {second} has the words of choice {first}: \"{words}\"")]
    SameChoice { words: String, first: usize, second: usize },
    #[error("item {second} has the words of item {first}: \"{words}\"")]
    SameItem { words: String, first: usize, second: usize },
    #[error("`sum` is \"none\", so there is no total for `{key}`")]
    NoTotal { key: &'static str },
    #[error("the band \"{name}\" goes from {from} down to {to}")]
    BandReversed { name: String, from: u32, to: u32 },
    #[error("the bands \"{first}\" and \"{second}\" both hold the score {score}")]
    BandsOverlap { first: String, second: String, score: u32 },
    #[error("no band holds the scores from {from} to {to}; totals go from {low} to {high}")]
    BandsLack { from: u32, to: u32, low: u32, high: u32 },
    #[error("no total falls into the band \"{name}\"; totals go from {low} to {high}")]
    BandUnused { name: String, low: u32, high: u32 },
    #[error("the mark is on item {item}, and there are {items}")]
    MarkItem { item: u32, items: usize },
    #[error("item {item} has a mark already")]
    MarkTwice { item: u32 },
    #[error("the mark is from the score {score}, and no choice has it; choices have {scores}")]
    MarkScore { score: u32, scores: String },
    #[error("a mark does not ring, so `rings` is false; the member can press help-now")]
    MarkRings,
    #[error("`to_facilitators` holds {value}; only {{name}} is filled in")]
    Placeholder { value: String },

    #[error(transparent)]
    Help(#[from] HelpReason),
    #[error(transparent)]
    Question(#[from] QuestionReason),
}

/// Makes a text of the file fit for an error: inert, on one line, short.
pub(crate) fn quoted(text: &str) -> String {
    // Cut before, so that a file of one word costs no more than a short one.
    let end = text.char_indices().nth(4 * QUOTE_COLUMNS).map_or(text.len(), |(at, _)| at);
    truncate(&one_line(&text[..end]), QUOTE_COLUMNS)
}
