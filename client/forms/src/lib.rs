//! Files of exercises and questionnaires: bytes in, a value or a located fault out.
//!
//! An [`Exercise`] is steps that a facilitator leads a room through. A [`Questionnaire`] is questions that a member answers for
//! the facilitators. [`Help`] is the crisis contacts in an agreement, and a [`Question`] asks whether its text was understood. All are TOML, written by facilitators, so each [`Fault`] names the line and says in plain words what is
//! wrong there. `docs/exercises.md` describes the files; [`catalogue`] holds those that come with the program.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic))]

mod catalogue;
mod exercise;
mod fault;
mod file;
mod help;
mod question;
mod questionnaire;
mod time;
mod words;

pub use catalogue::{Catalogue, catalogue, source};
pub use exercise::{Act, Exercise, Step, To, Who};
pub use fault::{Fault, Reason};
pub use help::{
    BLOCKS_MAX, CONTACTS_MAX, Checked, Contact, ContactKind, HELP_COLUMNS, HELP_LINES_MAX,
    HELP_STALE_DAYS, HELP_UNTRUSTED_DAYS, Help, HelpReason, How, MINUTES_UNSEEN, Means, blocks_in,
    plain_of, starter,
};
pub use question::{QUESTION_CHOICES, QUESTIONS_MAX, Question, QuestionReason, question_blocks_in};
pub use questionnaire::{
    AnswerError, Answers, Band, Choice, Course, Mark, Questionnaire, Score, Sum, ToMember,
};
pub use time::Day;

/// Bytes of one file.
pub const FILE_BYTES_MAX: usize = 64 * 1024;
/// Characters of a text that members read.
pub const TEXT_CHARS_MAX: usize = 1000;
/// Characters of a title, a choice, or the name of a band.
pub const LABEL_CHARS_MAX: usize = 80;
/// Characters of an id.
pub const ID_CHARS_MAX: usize = 40;
/// Steps of an exercise.
pub const STEPS_MAX: usize = 20;
/// Minutes of an exercise; a round in a room lasts at most 12 hours.
pub const MINUTES_MAX: u32 = 720;
/// Choices of a questionnaire.
pub const CHOICES_MAX: usize = 10;
/// Items of a questionnaire.
pub const ITEMS_MAX: usize = 50;
/// Bands of a questionnaire.
pub const BANDS_MAX: usize = 20;
/// Highest score of a choice.
pub const SCORE_MAX: u32 = 1000;
/// The keys of a help block, its contacts and their checks, in the order of the documentation.
pub const HELP_KEYS: [(&str, &[&str]); 3] = [
    (file::HELP.name, file::HELP.keys),
    (file::CONTACT.name, file::CONTACT.keys),
    (file::CHECKED.name, file::CHECKED.keys),
];
/// The keys of every kind of table, in the order in which the documentation lists them.
pub const KEYS: [(&str, &[&str]); 5] = [
    (file::EXERCISE.name, file::EXERCISE.keys),
    (file::STEP.name, file::STEP.keys),
    (file::QUESTIONNAIRE.name, file::QUESTIONNAIRE.keys),
    (file::SCORE.name, file::SCORE.keys),
    (file::MARK.name, file::MARK.keys),
];
