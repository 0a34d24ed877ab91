//! Questions to one member: what stands before them, their answers as they are shown again, and what is read of them.

use hearth_engine::{
    course::{self, Sheet, Sitting},
    private::Private,
    state::Row,
};
use hearth_forms::{AnswerError, Fault, Questionnaire, Score, ToMember, catalogue, source};
use hearth_protocol::{Digest, Millis, hash};
use hearth_session::client::{Command, LaneCommand, Question, RoomView};
use hearth_text::{count::counted, escape};
use serde_json::{Value, json};

use super::{name_of, who_reads};
use crate::{
    commands::{Result, shell::Shell},
    failure::Failure,
    show::{self, help::number},
};

/// Items that are answered in about a minute.
const ITEMS_A_MINUTE: usize = 3;
/// What skips an item.
const SKIPS: [&str; 3] = ["-", "skip", "–"];

/// Questions that are asked of this member.
pub(in crate::commands) struct Asked {
    pub(in crate::commands) sheet: Sheet,
    form: Result<Questionnaire, Fault>,
}

impl Asked {
    pub(in crate::commands) fn of(sheet: Sheet) -> Self {
        let form = Questionnaire::parse(&sheet.stem, &sheet.source);
        Self { sheet, form }
    }

    /// Returns the questions, if the file that came can be read.
    pub(in crate::commands) fn form(&self, view: &RoomView) -> Result<&Questionnaire> {
        self.form.as_ref().map_err(|fault| {
            let by = name_of(view, &self.sheet.by);
            Failure::usage(
                format!("the questions that {by} sent cannot be read: {fault}"),
                format!("Nothing was sent. Please tell {by}: `hearth checkin ROOM WORDS`."),
            )
        })
    }

    pub(in crate::commands) fn json(&self, room: &str) -> Value {
        json!({
            "room": room,
            "asked": "questions",
            "form": self.sheet.form.to_hex(),
            "items": self.form.as_ref().ok().map(|form| &form.items),
            "choices": self.form.as_ref().ok().map(|form| {
                form.choices.iter().map(|choice| json!([choice.text, choice.score])).collect::<Vec<_>>()
            }),
            "fault": self.form.as_ref().err().map(ToString::to_string),
            "read_by": show::rfc3339(self.sheet.read_by),
        })
    }

    /// Says that questions wait.
    pub(in crate::commands) fn waits(&self, view: &RoomView, now: Millis) -> String {
        match &self.form {
            Ok(form) => format!("{} `hearth answers ROOM` begins.", self.start(form, view, now)),
            Err(fault) => format!(
                "{} has sent questions that cannot be read here: {fault}. Nothing is asked of you.",
                name_of(view, &self.sheet.by)
            ),
        }
    }

    /// What stands before the first question.
    pub(in crate::commands) fn start(
        &self,
        form: &Questionnaire,
        view: &RoomView,
        now: Millis,
    ) -> String {
        let count = form.items.len();
        let questions = counted(count, "question", "questions");
        let minutes = counted(count.div_ceil(ITEMS_A_MINUTE), "minute", "minutes");
        let readers = who_reads(view);
        let read = if super::moderators(view).len() == 1 { "reads" } else { "read" };
        let when = match self.sheet.read_by > now {
            true => format!("by {}; nobody reads along now", show::clock(self.sheet.read_by)),
            false => "when they are here next; nobody reads along now".to_owned(),
        };
        let marked = match form.marks.iter().any(|mark| mark.to_member == ToMember::Marked) {
            true => {
                " One question is about thoughts of death or of hurting yourself. You may answer it as it is."
            }
            false => "",
        };
        format!(
            "{questions}, about {minutes}. {readers} {read} your answers {when}. You can skip, stop, or not send.{marked} If you are in danger now: `hearth help-now ROOM`."
        )
    }
}

/// Returns the notice, what stands above the items, and the choices.
pub(in crate::commands) fn heading(form: &Questionnaire) -> String {
    let mut lines = vec![escape::one_line(&form.notice)];
    lines
        .extend(form.source.as_deref().map(|source| format!("From: {}", escape::one_line(source))));
    lines.extend(form.licence.as_deref().map(escape::one_line));
    lines.push(escape::one_line(&form.ask));
    lines.push(choices(form));
    lines.join("\n")
}

/// Returns the choices in a line.
pub(in crate::commands) fn choices(form: &Questionnaire) -> String {
    let choices: Vec<String> = form
        .choices
        .iter()
        .map(|choice| format!("{} = {}", choice.score, escape::one_line(&choice.text)))
        .collect();
    format!("{}, - = skip", choices.join(", "))
}

/// Returns an item with its number.
pub(in crate::commands) fn item(form: &Questionnaire, at: usize) -> String {
    let words = form.items.get(at).map(|item| escape::one_line(item)).unwrap_or_default();
    format!("{} of {}: {words}", at.saturating_add(1), form.items.len())
}

/// Reads an answer: the number or the words of a choice, or what skips.
pub(in crate::commands) fn parse(form: &Questionnaire, typed: &str) -> Option<Option<u32>> {
    let typed = typed.trim();
    if SKIPS.iter().any(|skip| typed.eq_ignore_ascii_case(skip)) {
        return Some(None);
    }
    let number = typed.parse::<u32>().ok();
    let fits = |choice: &&hearth_forms::Choice| {
        Some(choice.score) == number || choice.text.to_lowercase() == typed.to_lowercase()
    };
    form.choices.iter().find(fits).map(|choice| Some(choice.score))
}

/// Says why what was typed answers nothing.
pub(in crate::commands) fn not_a_choice(form: &Questionnaire, at: usize, typed: &str) -> String {
    format!(
        "\"{}\" is not an answer to question {}: {}",
        escape::truncate(&escape::one_line(typed), 40),
        at.saturating_add(1),
        choices(form)
    )
}

/// Reads answers that were typed in a row.
///
/// # Errors
/// Names the first that is none. More than there are items are refused.
pub(in crate::commands) fn parse_all(
    form: &Questionnaire,
    typed: &[String],
) -> Result<Vec<Option<u32>>> {
    if typed.len() > form.items.len() {
        return Err(Failure::usage(
            AnswerError::Count { answers: typed.len(), items: form.items.len() }.to_string(),
            "Nothing was sent. `hearth answers ROOM` shows the questions.",
        ));
    }
    let one = |(at, typed): (usize, &String)| {
        parse(form, typed).ok_or_else(|| {
            Failure::usage(
                not_a_choice(form, at, typed),
                "Nothing was sent. `hearth answers ROOM` shows the questions.",
            )
        })
    };
    typed.iter().enumerate().map(one).collect()
}

/// Returns how answers are typed in a row.
pub(in crate::commands) fn typed(answers: &[Option<u32>]) -> String {
    let answer = |answer: &Option<u32>| answer.map_or_else(|| "-".to_owned(), |n| n.to_string());
    answers.iter().map(answer).collect::<Vec<_>>().join(" ")
}

/// Returns answers in words, a line each.
pub(in crate::commands) fn in_words(form: &Questionnaire, answers: &[Option<u32>]) -> Vec<String> {
    let line = |(at, answer): (usize, &Option<u32>)| {
        format!("{}: {}", item(form, at), words(form, *answer))
    };
    answers.iter().enumerate().map(line).collect()
}

/// Returns one answer in words.
pub(super) fn words(form: &Questionnaire, answer: Option<u32>) -> String {
    let Some(score) = answer else { return "skipped".to_owned() };
    let choice = form.choices.iter().find(|choice| choice.score == score);
    choice.map_or_else(|| score.to_string(), |choice| escape::one_line(&choice.text))
}

/// What sends answers, the question before it, and what the member reads after it.
pub(in crate::commands) struct Sending {
    pub(in crate::commands) command: Command,
    pub(in crate::commands) question: Question,
    pub(in crate::commands) after: (Value, String),
}

/// Makes what sends answers to the questions that are asked.
pub(in crate::commands) fn sending(
    shell: &Shell,
    asked: &Asked,
    answers: &[Option<u32>],
) -> Result<Sending> {
    let view = shell.view();
    let form = asked.form(&view)?;
    let judged = form.check(answers).map_err(|error| {
        Failure::usage(
            error.to_string(),
            "Nothing was sent. `hearth answers ROOM` shows the questions; each takes a number, or - to skip.",
        )
    })?;
    let lane = view.own_lane().ok_or(hearth_engine::EngineError::NotSeated)?.id;
    let private = Private::Answers { form: asked.sheet.form, answers: answers.to_vec() };
    let (lines, readers) = (in_words(form, answers).join("\n"), who_reads(&view));
    let question = format!("These are your answers.\n{lines}\nSend them to {readers}?");
    let by = show::clock(asked.sheet.read_by);
    let asker = name_of(&view, &asked.sheet.by);
    let mut after =
        vec![format!("It is not a diagnosis. {asker} will talk with you about it by {by}.")];
    let marks: Vec<_> = judged.marks().collect();
    for mark in &marks {
        after.push(match &mark.to_member {
            ToMember::Words(words) => escape::one_line(words),
            ToMember::Marked => format!(
                "Thank you for answering that. You marked thoughts of death or of hurting yourself. You need not be alone with them. {readers} see this first, by {by}. If that is too long to wait: {}. `hearth help-now ROOM --tell` tells them now.",
                number(&view.help)
            ),
        });
    }
    let marked: Vec<usize> = marks.iter().map(|mark| mark.item).collect();
    let object =
        json!({"room": shell.room, "answered": asked.sheet.form.to_hex(), "marked": marked});
    Ok(Sending {
        command: Command::Lane { lane, what: LaneCommand::Private(private) },
        question: Question::SendAnswers(question),
        after: (object, after.join("\n")),
    })
}

impl Shell {
    /// Returns the questions that are asked of this member.
    pub(in crate::commands) async fn asked_questions(&self) -> Result<Asked> {
        let view = self.view();
        let none = || {
            Failure::usage(
                "no questions are asked of you now",
                "Nothing was sent. `hearth checkin ROOM` shows what was said between you and the facilitators.",
            )
        };
        let lane = view.own_lane().ok_or_else(none)?;
        let rows = self.rows_of_lane(lane.id).await?;
        let sheet = course::sheet_asked(&rows, &view.me, self.relay_now());
        sheet.map(Asked::of).ok_or_else(none)
    }
}

/// Answers with the questionnaire that they are to, as far as it is here.
pub(super) struct Answered<'a> {
    sitting: &'a Sitting,
    form: Result<Questionnaire, Unfit>,
}

/// Why answers are shown as bare numbers.
#[derive(Debug, thiserror::Error)]
enum Unfit {
    #[error("the questions are not on this device")]
    Unknown,
    #[error("the questions cannot be read: {0}")]
    Faulty(Fault),
    #[error("they do not fit the questions: {0}")]
    Answers(#[from] AnswerError),
}

impl<'a> Answered<'a> {
    /// Looks for the questionnaire among those that were sent in the lane, then among those that come with the program.
    pub(super) fn of(rows: &[Row], sitting: &'a Sitting) -> Self {
        Self { sitting, form: fitting(rows, sitting) }
    }

    /// Returns the questionnaire, if the answers fit it.
    pub(super) fn form(&self) -> Option<&Questionnaire> {
        self.form.as_ref().ok()
    }

    /// Returns what facilitators are asked to do, as far as the answers are marked.
    pub(super) fn marks(&self, name: &str) -> Vec<String> {
        let answers = self.form().and_then(|form| form.check(&self.sitting.answers).ok());
        let marks = answers.iter().flat_map(|answers| answers.marks());
        marks.map(|mark| escape::one_line(&mark.to_facilitators(name))).collect()
    }

    /// Returns the total, where the form has one and no item was skipped.
    pub(super) fn total(&self) -> Option<Score> {
        let form = self.form()?;
        form.check(&self.sitting.answers).ok().map(|answers| answers.score())
    }

    /// Returns the answers in lines; marks first, for those who moderate.
    pub(super) fn lines(&self, name: &str, with_marks: bool) -> Vec<String> {
        let mut lines = Vec::new();
        if with_marks {
            lines.extend(self.marks(name).into_iter().map(|mark| format!("** {mark} **")));
        }
        match &self.form {
            Ok(form) => {
                let answers = in_words(form, &self.sitting.answers);
                lines.extend(answers.into_iter().map(|line| format!("      | {line}")));
                lines.extend(self.total_words().map(|total| format!("      | {total}")));
            }
            Err(why) => lines.push(format!("      | {}: {why}", typed(&self.sitting.answers))),
        }
        lines
    }

    fn total_words(&self) -> Option<String> {
        match self.total()? {
            Score::None => None,
            Score::Incomplete { skipped } => {
                Some(format!("no total: {}", counted(skipped, "skipped", "skipped")))
            }
            Score::Total(total) => {
                let band = self.form().and_then(|form| form.band(total));
                let band = band.map(|band| format!(" ({})", escape::one_line(&band.name)));
                Some(format!("total {total}{}; not a diagnosis", band.unwrap_or_default()))
            }
        }
    }

    /// Says why there is no course of these answers.
    pub(super) fn unfit(&self) -> Option<String> {
        let why = self.form.as_ref().err()?;
        Some(format!("{}: {why}", typed(&self.sitting.answers)))
    }
}

fn fitting(rows: &[Row], sitting: &Sitting) -> Result<Questionnaire, Unfit> {
    let sheet = course::sheets(rows).into_iter().rfind(|sheet| sheet.form == sitting.form);
    let form = match sheet {
        Some(sheet) => Questionnaire::parse(&sheet.stem, &sheet.source).map_err(Unfit::Faulty)?,
        None => shipped(&sitting.form).ok_or(Unfit::Unknown)?.clone(),
    };
    form.check(&sitting.answers)?;
    Ok(form)
}

/// Returns the questionnaire that comes with the program and has that digest.
fn shipped(form: &Digest) -> Option<&'static Questionnaire> {
    let named = |known: &&Questionnaire| {
        source(&known.id).is_some_and(|text| hash::sha256(text.as_bytes()) == *form)
    };
    catalogue().questionnaires().iter().find(named)
}

/// Names the questionnaires that come with the program.
pub(in crate::commands) fn shipped_names() -> String {
    let names: Vec<String> =
        catalogue().questionnaires().iter().map(|form| form.id.clone()).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests;
