//! Exercises: steps that a room takes one after the other.

use std::time::Duration;

use crate::file::{EXERCISE, File, LABEL, STEP, TEXT, Table, Value};
use crate::time::{NINETY_DAYS, ONE_HOUR, SECOND, TEN_SECONDS};
use crate::{Fault, MINUTES_MAX, Reason, STEPS_MAX, words};

/// An exercise. Every step of it can be skipped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exercise {
    /// What `/exercise` calls it.
    pub id: String,
    /// On one line.
    pub title: String,
    /// Of its words, where the file says it.
    pub language: Option<String>,
    /// About how long it takes.
    pub minutes: u32,
    /// How its steps are taken.
    pub who: Who,
    /// Whether it starts only while somebody is on duty.
    pub needs_duty: bool,
    /// What is known of its effect; for facilitators.
    pub evidence: Option<String>,
    /// When to leave it; for facilitators.
    pub caution: Option<String>,
    /// One at least.
    pub steps: Vec<Step>,
}

/// How an exercise is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// One after the other has the floor.
    InTurn,
    /// Everybody answers when they like.
    AllAtOnce,
    /// Everybody for themselves.
    Alone,
    /// Everybody for themselves, and the last step or steps in the room.
    AloneThenTogether,
}

impl Who {
    const ALL: [(&str, Self); 4] = [
        ("in turn", Self::InTurn),
        ("all at once", Self::AllAtOnce),
        ("alone", Self::Alone),
        ("alone, then together", Self::AloneThenTogether),
    ];

    /// Returns the words of the file.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(_, who)| *who == self).map_or("", |(words, _)| words)
    }
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What is read.
    pub act: Act,
    /// The time until the next step is offered.
    pub wait: Option<Duration>,
    /// The time after the step before, until this one is offered.
    pub opens_after: Option<Duration>,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Asks for an answer.
    Ask {
        /// The question.
        text: String,
        /// Where the answer goes.
        to: To,
        /// The time of each turn, where the answers are given in turn. Never with `after_own`.
        turn: Option<Duration>,
        /// Whether the others' answers show after one's own.
        after_own: bool,
    },
    /// Says something that nobody answers.
    Say(String),
}

/// Where an answer goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum To {
    /// Everybody in the room reads it.
    Room,
    /// The facilitators read it.
    Lane,
    /// It stays on the device and is not kept.
    Own,
}

impl To {
    const ALL: [(&str, Self); 3] =
        [("room", Self::Room), ("lane", Self::Lane), ("self", Self::Own)];

    /// Returns the word of the file.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(_, to)| *to == self).map_or("", |(word, _)| word)
    }
}

impl Exercise {
    /// Reads a file. `stem` is its name without the ending, which names the exercise if it has no `id`.
    ///
    /// # Errors
    /// Names the first fault that is found, and its line.
    pub fn parse(stem: &str, bytes: &[u8]) -> Result<Self, Fault> {
        let file = File::open(bytes)?;
        let toml = file.toml()?;
        if !toml.contains_key("steps")
            && (toml.contains_key("items") || toml.contains_key("choices"))
        {
            let reason = Reason::OtherForm { is: "a questionnaire", wanted: "an exercise" };
            return Err(file.fault(0, reason));
        }
        let table = Table::new(&file, &toml, &EXERCISE, 0)?;
        let id = id(&table, stem)?;
        let title = table.need("title")?.text(LABEL)?;
        let language = language(&table)?;
        let minutes = table.need("minutes")?.whole(1..=MINUTES_MAX)?;
        let who_value = table.need("who")?;
        let who = who_value.one_of(&Who::ALL)?;
        let needs_duty = table.get("needs").map(|v| v.one_of(&[("duty", ())])).transpose()?;
        let text = |key| table.get(key).map(|v| v.text(TEXT)).transpose();
        let (evidence, caution) = (text("evidence")?, text("caution")?);
        let mut steps = Vec::new();
        for (number, value) in (1..).zip(table.need("steps")?.list(1..=STEPS_MAX)?) {
            steps.push(step(number, &value, who)?);
        }
        let in_turn = |step: &Step| matches!(step.act, Act::Ask { turn: Some(_), .. });
        if who == Who::InTurn && !steps.iter().any(in_turn) {
            return Err(who_value.fault(Reason::NoTurn));
        }
        let needs_duty = needs_duty.is_some();
        Ok(Self { id, title, language, minutes, who, needs_duty, evidence, caution, steps })
    }
}

fn step(number: usize, value: &Value<'_>, who: Who) -> Result<Step, Fault> {
    let table = value.table(&STEP)?;
    let act = match (table.get("ask"), table.get("say")) {
        (Some(_), Some(_)) => return Err(table.fault(Reason::AsksAndSays { step: number })),
        (None, None) => return Err(table.fault(Reason::NeitherAsksNorSays { step: number })),
        (Some(ask), None) => question(number, &table, &ask, who)?,
        (None, Some(say)) => {
            let unused = ["to", "turn", "after_own"].into_iter().find_map(|key| table.get(key));
            if let Some(unused) = unused {
                return Err(unused.fault(Reason::SayWith { step: number, key: unused.key }));
            }
            Act::Say(say.text(TEXT)?)
        }
    };
    let time = |key, range| table.get(key).map(|v: Value<'_>| v.time(range)).transpose();
    let wait = time("wait", SECOND..=ONE_HOUR)?;
    let opens_after = time("opens_after", SECOND..=NINETY_DAYS)?;
    Ok(Step { act, wait, opens_after })
}

fn question(step: usize, table: &Table<'_>, ask: &Value<'_>, who: Who) -> Result<Act, Fault> {
    let text = ask.text(TEXT)?;
    let to = table.need("to")?.one_of(&To::ALL)?;
    let turn_value = table.get("turn");
    let turn = turn_value.map(|v| v.time(TEN_SECONDS..=ONE_HOUR)).transpose()?;
    let after_value = table.get("after_own");
    let after_own = after_value.map(|v| v.flag()).transpose()?.unwrap_or(false);
    let after_value = after_value.filter(|_| after_own);
    if let Some(value) = turn_value.or(after_value).filter(|_| to != To::Room) {
        return Err(value.fault(Reason::NotInRoom { step, key: value.key, to: place(to) }));
    }
    if let (Some(_), Some(value)) = (turn, after_value) {
        return Err(value.fault(Reason::TurnAfterOwn { step }));
    }
    if let Some(value) = turn_value.filter(|_| matches!(who, Who::AllAtOnce | Who::Alone)) {
        return Err(value.fault(Reason::TurnOfNobody { step, who: who.as_str() }));
    }
    Ok(Act::Ask { text, to, turn, after_own })
}

fn place(to: To) -> &'static str {
    match to {
        To::Room => "the room",
        To::Lane => "the lane",
        To::Own => "the member's own screen",
    }
}

/// Returns a form's id, or one made of the name of its file.
pub(crate) fn id(table: &Table<'_>, stem: &str) -> Result<String, Fault> {
    match table.get("id") {
        Some(value) => words::check_id(value.raw()?).map_err(|reason| value.fault(reason)),
        None => words::id_of_stem(stem).ok_or_else(|| table.fault(Reason::Nameless)),
    }
}

/// Returns a form's language.
pub(crate) fn language(table: &Table<'_>) -> Result<Option<String>, Fault> {
    let Some(value) = table.get("language") else {
        return Ok(None);
    };
    let text = value.raw()?;
    if words::is_language(text) {
        return Ok(Some(text.to_owned()));
    }
    let value_text = crate::fault::quoted(text);
    Err(value.fault(Reason::Language { value: value_text }))
}
