//! Forms of facilitators: of the shapes of those that are not shipped, with made-up words.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::time::Duration;

use hearth_forms::{
    Act, AnswerError, Course, Exercise, Questionnaire, Score, Step, Sum, To, ToMember, Who,
};

/// The shape of the PHQ-9: nine items, four choices, five bands, a mark on the ninth.
const NINE: &str = r#"
id = "nine"
language = "de"
notice = "Erfunden. Sagt nichts."
ask = "Wie oft in den letzten zwei Wochen?"
choices = [["nie", 0], ["selten", 1], ["oft", 2], ["immer", 3]]
items = ["Tee", "Kaffee", "Wasser", "Saft", "Milch", "Suppe", "Brot", "Kuchen", "Nichts davon"]
score = { sum = "all answered, else no total" }
bands = [[0, 4, "minimal"], [5, 9, "mild"], [10, 14, "moderate"], [15, 19, "moderately severe"], [20, 27, "severe"]]
mark = [{ item = 9, from = 1, to_member = "questions: marked", to_facilitators = "please speak with {name} today" }]
source = "Made up for a test."
licence = "none needed"
"#;

/// The shape of the GAD-7: seven items, no item to mark.
const SEVEN: &str = r#"
notice = "Made up."
ask = "How often?"
items = ["one", "two", "three", "four", "five", "six", "seven"]
choices = [["never", 0], ["some days", 1], ["most days", 2], ["daily", 3]]
# Bands in any order, the last one open above.
bands = [[15, 100, "d"], [0, 4, "a"], [10, 14, "c"], [5, 9, "b"]]
[score]
sum = "all answered, else no total"
course = "each answer by itself"
shown_to = "facilitators; the member on request"
"#;

fn nine() -> Questionnaire {
    Questionnaire::parse("file", NINE.as_bytes()).unwrap()
}

#[test]
fn complete_answers_have_a_total() {
    let form = nine();
    assert_eq!((form.sum, form.course), (Sum::AllAnswered, Course::Total));
    for (answer, total, band) in
        [(0, 0, "minimal"), (1, 9, "mild"), (2, 18, "moderately severe"), (3, 27, "severe")]
    {
        let given = [Some(answer); 9];
        assert_eq!(form.check(&given).unwrap().score(), Score::Total(total));
        assert_eq!(form.band(total).unwrap().name, band);
    }
    assert_eq!(form.band(28), None);
}

#[test]
fn incomplete_answers_have_no_total() {
    let form = nine();
    let given = [Some(3), Some(3), None, Some(3), Some(3), Some(3), Some(3), None, Some(0)];
    let answers = form.check(&given).unwrap();
    assert_eq!(answers.score(), Score::Incomplete { skipped: 2 });
    assert_eq!(answers.skipped().collect::<Vec<_>>(), [3, 8]);
    assert_eq!(answers.marks().count(), 0);
}

#[test]
fn every_total_has_one_band() {
    for form in [nine(), Questionnaire::parse("seven", SEVEN.as_bytes()).unwrap()] {
        for total in 0..=u32::try_from(3 * form.items.len()).unwrap() {
            let bands = form.bands.iter().filter(|band| (band.from..=band.to).contains(&total));
            assert_eq!(bands.count(), 1, "{}: {total}", form.id);
            assert!(form.band(total).is_some(), "{}: {total}", form.id);
        }
    }
}

#[test]
fn file_name_stands_for_id() {
    let form = Questionnaire::parse("Seven items (2026)", SEVEN.as_bytes()).unwrap();
    assert_eq!(form.id, "seven-items-2026");
    assert_eq!(form.course, Course::EachAnswer);
    assert_eq!((form.language, form.source, form.licence, form.marks.len()), (None, None, None, 0));
    assert_eq!(nine().id, "nine");
}

#[test]
fn answers_from_elsewhere_are_refused() {
    let form = nine();
    let of = |answers| Err(AnswerError::Count { answers, items: 9 });
    assert_eq!(form.check(&[]).map(|_| ()), of(0));
    assert_eq!(form.check(&[Some(0); 10]).map(|_| ()), of(10));
    let mut given = [Some(0); 9];
    given[4] = Some(4);
    let unknown = Err(AnswerError::Unknown { item: 5, answer: 4 });
    assert_eq!(form.check(&given).map(|_| ()), unknown);
    given[4] = Some(u32::MAX);
    assert!(form.check(&given).is_err());
}

#[test]
fn own_words_stand_in_marks() {
    let words = NINE.replace("\"questions: marked\"", "\"\"\"Thank you.\nFay reads it.\"\"\"");
    let form = Questionnaire::parse("file", words.as_bytes()).unwrap();
    assert_eq!(form.marks[0].to_member, ToMember::Words("Thank you.\nFay reads it.".into()));
    assert_eq!(form.marks[0].to_facilitators("{name}"), "please speak with {name} today");
}

/// All keys of an exercise, in both ways of writing a list of tables.
const EVENING: &str = r#"title = "Evening"
minutes = 1_5
who = "alone, then together"
needs = "duty"
evidence = 'none looked for'
caution = "not after a quarrel"
language = "en"
[[steps]]
say = """
Sit down. \
    Breathe.
Listen."""
wait = "1 min"
[[steps]]
ask = "What did you hear?"
to = "self"
[[steps]]
ask = "One word for Fay?"
to = "lane"
after_own = false
opens_after = "1 hour and 30 minutes"
[[steps]]
ask = "One word for all?"
to = "room"
after_own = true
[[steps]]
ask = "And in turn?"
to = "room"
turn = "2 min"
"#;

#[test]
fn every_key_is_read() {
    let exercise = Exercise::parse("evening", EVENING.as_bytes()).unwrap();
    let head = (exercise.id.as_str(), exercise.minutes, exercise.who, exercise.needs_duty);
    assert_eq!(head, ("evening", 15, Who::AloneThenTogether, true));
    assert_eq!(exercise.evidence.as_deref(), Some("none looked for"));
    assert_eq!(exercise.caution.as_deref(), Some("not after a quarrel"));
    let minutes = |minutes: u64| Some(Duration::from_secs(60 * minutes));
    let ask = |text: &str, to, turn, after_own| Act::Ask { text: text.into(), to, turn, after_own };
    let step = |act, wait, opens_after| Step { act, wait, opens_after };
    assert_eq!(
        exercise.steps,
        [
            step(Act::Say("Sit down. Breathe.\nListen.".into()), minutes(1), None),
            step(ask("What did you hear?", To::Own, None, false), None, None),
            step(ask("One word for Fay?", To::Lane, None, false), None, minutes(90)),
            step(ask("One word for all?", To::Room, None, true), None, None),
            step(ask("And in turn?", To::Room, minutes(2), false), None, None),
        ]
    );
}

#[test]
fn windows_files_read_alike() {
    let windows = format!("\u{feff}{}", EVENING.replace('\n', "\r\n"));
    let read = |text: &str| Exercise::parse("evening", text.as_bytes());
    assert_eq!(read(&windows), read(EVENING));
    let bare = EVENING.trim_end();
    assert_eq!(read(bare), read(EVENING));
    // A fault is on the same line.
    let wrong = |text: &str| read(&text.replace("\"lane\"", "\"line\"")).unwrap_err();
    assert_eq!(wrong(&windows), wrong(EVENING));
    assert_eq!(wrong(&windows).line, 19);
}
