//! Questionnaires: the same choices for each item, and what becomes of the answers.

use crate::exercise::{id, language};
use crate::fault::quoted;
use crate::file::{File, LABEL, LINE, MARK, QUESTIONNAIRE, SCORE, TEXT, Table, Value};
use crate::words::repeated;
use crate::{BANDS_MAX, CHOICES_MAX, Fault, ITEMS_MAX, Reason, SCORE_MAX};

/// The value of `to_member` that stands for the program's own words for a marked answer.
const MARKED: &str = "questions: marked";
/// The value of `shown_to`.
const SHOWN_TO: &str = "facilitators; the member on request";
/// What `to_facilitators` may hold; the member's name stands in its place.
const NAME: &str = "{name}";

/// A questionnaire. Every item can be skipped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Questionnaire {
    /// What `/ask` calls it.
    pub id: String,
    /// Of its words, where the file says it.
    pub language: Option<String>,
    /// What it is, and what it is not; members read it first.
    pub notice: String,
    /// What stands above the items.
    pub ask: String,
    /// The same for each item; no two have the same score.
    pub choices: Vec<Choice>,
    /// One at least.
    pub items: Vec<String>,
    /// Whether there is a total.
    pub sum: Sum,
    /// What is drawn over time. Facilitators see it, and the member on request.
    pub course: Course,
    /// By rising scores; without a hole or overlap over all totals. Empty, or there is a total.
    pub bands: Vec<Band>,
    /// At most one an item.
    pub marks: Vec<Mark>,
    /// Where the words are from.
    pub source: Option<String>,
    /// What the source allows.
    pub licence: Option<String>,
}

/// A choice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// On one line.
    pub text: String,
    /// Names the choice in an answer.
    pub score: u32,
}

/// Whether answers are added up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sum {
    /// There is no total.
    None,
    /// There is a total if every item is answered.
    AllAnswered,
}

/// What is drawn over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Course {
    /// Each item's answers.
    EachAnswer,
    /// The totals.
    Total,
}

/// A range of totals with a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Band {
    /// The lowest total in it.
    pub from: u32,
    /// The highest total in it.
    pub to: u32,
    /// Never a diagnosis, whatever it says.
    pub name: String,
}

/// Answers that facilitators are asked to speak about. It does not ring, and no mark does not say that all is well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Counted from 1.
    pub item: usize,
    /// The lowest score of an answer that is marked.
    pub from: u32,
    /// What the member reads.
    pub to_member: ToMember,
    to_facilitators: String,
}

/// What a member reads about their own marked answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToMember {
    /// The program's words for it.
    Marked,
    /// The file's words.
    Words(String),
}

impl Mark {
    /// Returns what facilitators read about a member, whose name the caller has made harmless.
    pub fn to_facilitators(&self, name: &str) -> String {
        self.to_facilitators.replace(NAME, name)
    }
}

/// Answers that fit a questionnaire.
#[derive(Clone, Copy, Debug)]
pub struct Answers<'q> {
    form: &'q Questionnaire,
    given: &'q [Option<u32>],
}

/// What answers add up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Score {
    /// The questionnaire has no total.
    None,
    /// No total, because some items were skipped.
    Incomplete {
        /// How many.
        skipped: usize,
    },
    /// The total.
    Total(u32),
}

/// Reasons why answers do not fit a questionnaire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// More or fewer than items.
    #[error("there are {answers} answers to {items} items")]
    Count {
        /// How many answers.
        answers: usize,
        /// How many items.
        items: usize,
    },
    /// No choice has this score.
    #[error("the answer to item {item} is {answer}, and no choice has that score")]
    Unknown {
        /// Counted from 1.
        item: usize,
        /// The score.
        answer: u32,
    },
}

impl Questionnaire {
    /// Reads a file. `stem` is its name without the ending, which names the questionnaire if it has no `id`.
    ///
    /// # Errors
    /// Names the first fault that is found, and its line.
    pub fn parse(stem: &str, bytes: &[u8]) -> Result<Self, Fault> {
        let file = File::open(bytes)?;
        let toml = file.toml()?;
        if toml.contains_key("steps") && !toml.contains_key("items") {
            let reason = Reason::OtherForm { is: "an exercise", wanted: "a questionnaire" };
            return Err(file.fault(0, reason));
        }
        let table = Table::new(&file, &toml, &QUESTIONNAIRE, 0)?;
        let id = id(&table, stem)?;
        let language = language(&table)?;
        let notice = table.need("notice")?.text(TEXT)?;
        let ask = table.need("ask")?.text(TEXT)?;
        let choices = choices(&table.need("choices")?)?;
        let items = items(&table.need("items")?)?;
        let (sum, course) = score(&table.need("score")?.table(&SCORE)?)?;
        let bands = match table.get("bands") {
            None => Vec::new(),
            Some(value) if sum == Sum::None => {
                return Err(value.fault(Reason::NoTotal { key: "bands" }));
            }
            Some(value) => bands(&value, totals(&choices, items.len()))?,
        };
        let marks = table.get("mark").map(|value| marks(&value, &choices, items.len()));
        let marks = marks.transpose()?.unwrap_or_default();
        let text = |key| table.get(key).map(|v| v.text(TEXT)).transpose();
        let (source, licence) = (text("source")?, text("licence")?);
        Ok(Self {
            id,
            language,
            notice,
            ask,
            choices,
            items,
            sum,
            course,
            bands,
            marks,
            source,
            licence,
        })
    }

    /// Checks answers, one an item: the score of the choice, or `None` for a skipped item.
    ///
    /// # Errors
    /// Refuses another number of answers, and scores that no choice has: they come from another device.
    pub fn check<'q>(&'q self, given: &'q [Option<u32>]) -> Result<Answers<'q>, AnswerError> {
        let (answers, items) = (given.len(), self.items.len());
        if answers != items {
            return Err(AnswerError::Count { answers, items });
        }
        for (item, answer) in (1..).zip(given) {
            if let Some(answer) = *answer
                && !self.choices.iter().any(|choice| choice.score == answer)
            {
                return Err(AnswerError::Unknown { item, answer });
            }
        }
        Ok(Answers { form: self, given })
    }

    /// Returns the band of a total.
    pub fn band(&self, total: u32) -> Option<&Band> {
        self.bands.iter().find(|band| (band.from..=band.to).contains(&total))
    }
}

impl<'q> Answers<'q> {
    /// Adds the answers up, where the questionnaire says so and no item was skipped. A skipped item is never 0.
    pub fn score(&self) -> Score {
        if self.form.sum == Sum::None {
            return Score::None;
        }
        match self.skipped().count() {
            // Bounded by ITEMS_MAX times SCORE_MAX.
            0 => Score::Total(self.given.iter().flatten().sum()),
            skipped => Score::Incomplete { skipped },
        }
    }

    /// Returns the marks that the answers have. A skipped item has none, and none does not say that all is well.
    pub fn marks(&self) -> impl Iterator<Item = &'q Mark> {
        let given = self.given;
        let answer = move |item: usize| given.get(item.checked_sub(1)?).copied().flatten();
        let is_marked = move |mark: &&Mark| answer(mark.item).is_some_and(|a| a >= mark.from);
        self.form.marks.iter().filter(is_marked)
    }

    /// Returns the skipped items, counted from 1.
    pub fn skipped(&self) -> impl Iterator<Item = usize> + use<'q> {
        (1..).zip(self.given).filter(|(_, answer)| answer.is_none()).map(|(item, _)| item)
    }
}

fn choices(value: &Value<'_>) -> Result<Vec<Choice>, Fault> {
    let entries = value.list(2..=CHOICES_MAX)?;
    let mut choices: Vec<Choice> = Vec::new();
    for entry in &entries {
        let [text, score] = entry.parts("[\"never\", 0]")?;
        let (text, score) = (text.text(LABEL)?, score.whole(0..=SCORE_MAX)?);
        if let Some(first) = choices.iter().position(|choice| choice.score == score) {
            let second = choices.len() + 1;
            return Err(entry.fault(Reason::SameScore { score, first: first + 1, second }));
        }
        choices.push(Choice { text, score });
    }
    match repeated(choices.iter().map(|choice| choice.text.as_str())) {
        Some((first, second)) => {
            let words = choices.get(second).map(|choice| quoted(&choice.text)).unwrap_or_default();
            let place = entries.get(second).unwrap_or(value);
            Err(place.fault(Reason::SameChoice { words, first: first + 1, second: second + 1 }))
        }
        None => Ok(choices),
    }
}

fn items(value: &Value<'_>) -> Result<Vec<String>, Fault> {
    let entries = value.list(1..=ITEMS_MAX)?;
    let items: Vec<String> = entries.iter().map(|e| e.text(TEXT)).collect::<Result<_, _>>()?;
    match repeated(items.iter().map(String::as_str)) {
        Some((first, second)) => {
            let words = items.get(second).map(|item| quoted(item)).unwrap_or_default();
            let place = entries.get(second).unwrap_or(value);
            Err(place.fault(Reason::SameItem { words, first: first + 1, second: second + 1 }))
        }
        None => Ok(items),
    }
}

fn score(table: &Table<'_>) -> Result<(Sum, Course), Fault> {
    let sum = table
        .need("sum")?
        .one_of(&[("none", Sum::None), ("all answered, else no total", Sum::AllAnswered)])?;
    if let Some(value) = table.get("shown_to") {
        value.one_of(&[(SHOWN_TO, ())])?;
    }
    let default = if sum == Sum::None { Course::EachAnswer } else { Course::Total };
    let Some(value) = table.get("course") else {
        return Ok((sum, default));
    };
    let course = value
        .one_of(&[("each answer by itself", Course::EachAnswer), ("the total", Course::Total)])?;
    if sum == Sum::None && course == Course::Total {
        return Err(value.fault(Reason::NoTotal { key: "course" }));
    }
    Ok((sum, course))
}

/// Returns the lowest and the highest total.
fn totals(choices: &[Choice], items: usize) -> (u32, u32) {
    let scores = || choices.iter().map(|choice| choice.score);
    let items = u32::try_from(items).unwrap_or(u32::MAX);
    let total = |score: Option<u32>| score.unwrap_or_default().saturating_mul(items);
    (total(scores().min()), total(scores().max()))
}

fn bands(value: &Value<'_>, (low, high): (u32, u32)) -> Result<Vec<Band>, Fault> {
    let mut found: Vec<(Band, Value<'_>)> = Vec::new();
    for entry in value.list(1..=BANDS_MAX)? {
        let [from, to, name] = entry.parts("[0, 4, \"low\"]")?;
        let from = from.whole(0..=u32::MAX)?;
        let to = to.whole(0..=u32::MAX)?;
        let name = name.text(LABEL)?;
        if from > to {
            return Err(entry.fault(Reason::BandReversed { name: quoted(&name), from, to }));
        }
        if from > high || to < low {
            return Err(entry.fault(Reason::BandUnused { name: quoted(&name), low, high }));
        }
        found.push((Band { from, to, name }, entry));
    }
    found.sort_by_key(|(band, _)| band.from);
    // The lowest total that no band so far holds; None past the highest number.
    let mut next = Some(low);
    let mut before: Option<&Band> = None;
    for (band, entry) in &found {
        if let Some(first) = before.filter(|first| first.to >= band.from) {
            let (first, second) = (quoted(&first.name), quoted(&band.name));
            return Err(entry.fault(Reason::BandsOverlap { first, second, score: band.from }));
        }
        if let Some(from) = next.filter(|next| *next < band.from) {
            let to = band.from - 1;
            return Err(entry.fault(Reason::BandsLack { from, to, low, high }));
        }
        next = band.to.checked_add(1);
        before = Some(band);
    }
    if let Some(from) = next.filter(|next| *next <= high) {
        return Err(value.fault(Reason::BandsLack { from, to: high, low, high }));
    }
    Ok(found.into_iter().map(|(band, _)| band).collect())
}

fn marks(value: &Value<'_>, choices: &[Choice], items: usize) -> Result<Vec<Mark>, Fault> {
    let mut marks: Vec<Mark> = Vec::new();
    for entry in value.list(1..=ITEMS_MAX)? {
        let table = entry.table(&MARK)?;
        let mark = mark(&table, choices, items)?;
        if marks.iter().any(|earlier| earlier.item == mark.item) {
            let item = u32::try_from(mark.item).unwrap_or(u32::MAX);
            return Err(table.fault(Reason::MarkTwice { item }));
        }
        marks.push(mark);
    }
    Ok(marks)
}

fn mark(table: &Table<'_>, choices: &[Choice], items: usize) -> Result<Mark, Fault> {
    let value = table.need("item")?;
    let number = value.whole(0..=u32::MAX)?;
    let item = usize::try_from(number).ok().filter(|item| (1..=items).contains(item));
    let item = item.ok_or_else(|| value.fault(Reason::MarkItem { item: number, items }))?;
    let value = table.need("from")?;
    let from = value.whole(0..=u32::MAX)?;
    if !choices.iter().any(|choice| choice.score == from) {
        let scores: Vec<_> = choices.iter().map(|choice| choice.score.to_string()).collect();
        let reason = Reason::MarkScore { score: from, scores: scores.join(", ") };
        return Err(value.fault(reason));
    }
    let value = table.need("to_member")?;
    let text = value.text(TEXT)?;
    let to_member = if text == MARKED {
        ToMember::Marked
    } else if text.starts_with("questions:") {
        // A slip in it must not be what a member reads at night.
        let (key, known) = (value.key, format!("\"{MARKED}\" or your own words"));
        return Err(value.fault(Reason::UnknownValue { key, value: quoted(&text), known }));
    } else {
        ToMember::Words(text)
    };
    let value = table.need("to_facilitators")?;
    let to_facilitators = value.text(LINE)?;
    let rest = to_facilitators.replace(NAME, "");
    if let Some(at) = rest.find(['{', '}']) {
        return Err(value.fault(Reason::Placeholder { value: quoted(&rest[at..]) }));
    }
    if let Some(value) = table.get("rings")
        && value.flag()?
    {
        return Err(value.fault(Reason::MarkRings));
    }
    Ok(Mark { item, from, to_member, to_facilitators })
}
