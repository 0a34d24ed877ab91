//! Comprehension questions in an agreement: a fenced `questions` block, read and checked. `docs/facilitators.md`.

use crate::fault::quoted;
use crate::file::{File, LABEL, LINE, QUESTION, QUESTIONS, Table, Value};
use crate::help::{Block, fenced};
use crate::{Fault, Reason, words};

/// Questions of one agreement.
pub const QUESTIONS_MAX: usize = 3;
/// Choices of one question: the least, and the most.
pub const QUESTION_CHOICES: (usize, usize) = (2, 6);

const OPENING: &str = "```questions";

/// A question about the agreement, with the choices that members are given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The question.
    pub ask: String,
    /// The choices, in the order of the file.
    pub choices: Vec<String>,
    /// The place of the right one among them, from 0.
    right: usize,
    /// The sentence that explains it.
    pub why: String,
}

/// Reasons to refuse a block of questions, beside those that every file has. Texts of the block in them are inert and short.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each message says what its fields are")]
pub enum QuestionReason {
    #[error("the block of questions that begins here has no closing ``` on a line of its own")]
    Unclosed,
    #[error("the agreement has a second block of questions; one holds them all")]
    SecondBlock,
    #[error("`{key}` is still \"{value}\"; write your own words, or delete the question")]
    ToFillIn { key: &'static str, value: String },
    #[error("choice {second} is the same as choice {first}")]
    SameChoice { first: usize, second: usize },
    #[error("question {second} is the same as question {first}")]
    SameQuestion { first: usize, second: usize },
}

impl Question {
    /// Reads the questions of an agreement; none if it has none.
    ///
    /// # Errors
    /// Names the first fault that is found, and its line in the agreement.
    pub fn read(agreement: &str) -> Result<Vec<Self>, Fault> {
        let mut blocks = question_blocks_in(agreement);
        let Some(block) = blocks.next() else { return Ok(Vec::new()) };
        let at = |line, reason: QuestionReason| Fault { line, reason: reason.into() };
        if !block.closed {
            return Err(at(block.line, QuestionReason::Unclosed));
        }
        if let Some(second) = blocks.next() {
            return Err(at(second.line, QuestionReason::SecondBlock));
        }
        match Self::parse(block.text) {
            // Whoever deleted the questions may have left the fences.
            Err(Fault { reason: Reason::Empty, .. }) => Ok(Vec::new()),
            Err(Fault { line, reason }) => Err(Fault { line: line + block.line, reason }),
            questions => questions,
        }
    }

    /// Reads the questions of an agreement that another wrote; none if their block is at fault.
    pub fn read_leniently(agreement: &str) -> Vec<Self> {
        Self::read(agreement).unwrap_or_default()
    }

    /// Returns an agreement without the block of its questions, which are asked behind the text. A block at fault stays.
    pub fn prose_of(agreement: &str) -> String {
        let block = question_blocks_in(agreement).next().filter(|_| Self::read(agreement).is_ok());
        let Some(block) = block else { return agreement.to_owned() };
        let before = agreement.get(..block.begins).unwrap_or_default();
        let before = before.trim_end().strip_suffix(OPENING).unwrap_or(before);
        let behind = agreement.get(block.begins + block.text.len()..).unwrap_or_default();
        let behind = behind.trim_start().strip_prefix("```").unwrap_or(behind);
        format!("{}\n\n{}", before.trim_end(), behind.trim_start()).trim_end().to_owned()
    }

    fn parse(block: &str) -> Result<Vec<Self>, Fault> {
        let file = File::open(block.as_bytes())?;
        let toml = file.toml()?;
        let table = Table::new(&file, &toml, &QUESTIONS, 0)?;
        let entries = table.need("question")?.list(1..=QUESTIONS_MAX)?;
        let questions = entries.iter().map(one).collect::<Result<Vec<_>, _>>()?;
        if let Some((first, second)) = words::repeated(questions.iter().map(|q| q.ask.as_str()))
            && let Some(entry) = entries.get(second)
        {
            let reason = QuestionReason::SameQuestion { first: first + 1, second: second + 1 };
            return Err(entry.fault(reason.into()));
        }
        Ok(questions)
    }

    /// Returns the right choice.
    pub fn right(&self) -> &str {
        self.choices.get(self.right).map_or("", String::as_str)
    }

    /// Returns the choice that somebody means: by its number, or by its words. `None` if none or several fit.
    pub fn choice(&self, typed: &str) -> Option<&str> {
        let typed = words::alike(typed.trim().trim_end_matches(['.', ')']));
        if let Ok(number) = typed.parse::<usize>() {
            let at = number.checked_sub(1)?;
            return self.choices.get(at).map(String::as_str);
        }
        let fits = |choice: &&String| {
            words::alike(choice.trim_end_matches('.')) == typed && !typed.is_empty()
        };
        self.choices.iter().find(fits).map(String::as_str)
    }
}

/// Finds the blocks of questions of an agreement.
pub fn question_blocks_in(agreement: &str) -> impl Iterator<Item = Block<'_>> {
    fenced(agreement, OPENING)
}

fn one(value: &Value<'_>) -> Result<Question, Fault> {
    let table = value.table(&QUESTION)?;
    let ask = filled(&table.need("ask")?, LINE)?;
    let (least, most) = QUESTION_CHOICES;
    let entries = table.need("choices")?.list(least..=most)?;
    let choices = entries.iter().map(|v| filled(v, LABEL)).collect::<Result<Vec<_>, _>>()?;
    if let Some((first, second)) = words::repeated(choices.iter().map(String::as_str))
        && let Some(entry) = entries.get(second)
    {
        let reason = QuestionReason::SameChoice { first: first + 1, second: second + 1 };
        return Err(entry.fault(reason.into()));
    }
    let last = u32::try_from(choices.len()).unwrap_or(u32::MAX);
    let right = table.need("right")?.whole(1..=last)?;
    let right = usize::try_from(right).unwrap_or(usize::MAX).saturating_sub(1);
    let why = filled(&table.need("why")?, LINE)?;
    Ok(Question { ask, choices, right, why })
}

/// Reads a text in which no bracket of the template stands any more.
fn filled(value: &Value<'_>, limit: words::Limit) -> Result<String, Fault> {
    let text = value.text(limit)?;
    if text.contains(['[', ']']) {
        let reason = QuestionReason::ToFillIn { key: value.key, value: quoted(&text) };
        return Err(value.fault(reason.into()));
    }
    Ok(text)
}
