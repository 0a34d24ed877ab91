//! The questions of an agreement: asked after its text. A wrong answer explains and asks again, and nobody is told of it.

use hearth_console::line;
use hearth_engine::agreement::Agreement;
use hearth_forms::Question;
use hearth_text::{count::counted, escape};

use super::{Context, Result, interactive};
use crate::failure::{Failure, exit};

/// Gets the questions of an agreement answered, by what was given on the command line or by a person; returns the answers.
pub(super) fn ask(
    context: &Context,
    agreement: &Agreement,
    given: &[String],
) -> Result<Vec<String>> {
    let questions = agreement.questions();
    if !given.is_empty() || !interactive() {
        return answers(&questions, given);
    }
    for (number, question) in (1..).zip(&questions) {
        context.out.remark(&shown(question, number, questions.len()));
        loop {
            let typed = match line::ask(&prompt(question)) {
                Ok(typed) => typed,
                Err(line::AskError::Line(_)) => String::new(),
                Err(error) => return Err(error.into()),
            };
            match judge(question, &typed) {
                Ok(()) => break,
                Err(words) => context.out.remark(&words),
            }
        }
    }
    Ok(agreement.right_answers())
}

/// Judges answers that were given with the command, one for each question.
fn answers(questions: &[Question], given: &[String]) -> Result<Vec<String>> {
    let refused = |message: String| {
        Failure::new(
            exit::REFUSED,
            "not_answered",
            message,
            "Nothing was signed and nothing was sent. Repeat the command with --answer and the number of your choice, once for each question.",
        )
    };
    if questions.len() != given.len() {
        let asked = counted(questions.len(), "question", "questions");
        let list: String = (1..).zip(questions).map(|(n, q)| flat(q, n)).collect();
        return Err(refused(format!(
            "the agreement asks {asked}, and {} given{list}",
            counted(given.len(), "answer was", "answers were")
        )));
    }
    for (question, given) in questions.iter().zip(given) {
        if question.choice(given) != Some(question.right()) {
            return Err(refused(format!(
                "\"{}\": {} is not the answer. {}",
                escape::one_line(&question.ask),
                escape::one_line(given),
                escape::one_line(&question.why)
            )));
        }
    }
    Ok(questions.iter().map(|question| question.right().to_owned()).collect())
}

/// Returns a question and its choices, as a person reads them.
pub(super) fn shown(question: &Question, number: usize, of: usize) -> String {
    let choices = (1..).zip(&question.choices).map(|(n, c): (usize, _)| {
        let choice = escape::one_line(c);
        format!("\n  {n}  {choice}")
    });
    let choices: String = choices.collect();
    format!("Question {number} of {of}: {}{choices}", escape::one_line(&question.ask))
}

/// Returns a question and its choices on the line of a refusal.
fn flat(question: &Question, number: usize) -> String {
    let choices = (1..).zip(&question.choices);
    let choices: Vec<String> =
        choices.map(|(n, c): (usize, _)| format!("{n} {}", escape::one_line(c))).collect();
    let ask = escape::one_line(&question.ask);
    format!("; {number}. \"{ask}\" ({})", choices.join(", "))
}

/// Returns what a person is asked for.
pub(super) fn prompt(question: &Question) -> String {
    format!("Your answer, 1 to {}: ", question.choices.len())
}

/// Judges what a person typed.
///
/// # Errors
/// What to say before the question is asked again.
pub(super) fn judge(question: &Question, typed: &str) -> Result<(), String> {
    match question.choice(typed) {
        Some(choice) if choice == question.right() => Ok(()),
        Some(_) => Err(format!("-- Not quite. {}", escape::one_line(&question.why))),
        None => Err(format!("-- Type a number from 1 to {}.", question.choices.len())),
    }
}
