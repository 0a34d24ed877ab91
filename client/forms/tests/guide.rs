//! `docs/exercises.md` says of the files what the reader does with them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::time::Duration;

use hearth_forms::{Exercise, KEYS, Questionnaire, Reason, catalogue};

const GUIDE: &str = include_str!("../../../docs/exercises.md");

/// Returns the code blocks of a language.
fn blocks(language: &str) -> Vec<&'static str> {
    let fence = format!("```{language}\n");
    GUIDE.split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

/// Returns the rows of a section's table as cells.
fn rows(section: &str) -> Vec<Vec<&'static str>> {
    let (_, text) = GUIDE.split_once(&format!("\n## {section}\n")).unwrap();
    let text = text.split("\n## ").next().unwrap();
    let rows = text.lines().filter(|line| line.starts_with('|')).skip(2);
    rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

#[test]
fn examples_of_the_guide_are_taken() {
    let [exercise, form] = blocks("toml")[..] else { panic!("two examples") };
    let exercise = Exercise::parse("evening", exercise.as_bytes()).unwrap();
    assert_eq!((exercise.id.as_str(), exercise.steps.len()), ("evening", 3));
    let form = Questionnaire::parse("weekend", form.as_bytes()).unwrap();
    assert_eq!((form.items.len(), form.marks.len()), (3, 1));
}

#[test]
fn guide_lists_every_key() {
    let mut table = "";
    let mut listed = Vec::new();
    for row in rows("Every key") {
        if !row[0].is_empty() {
            table = row[0];
        }
        listed.push((table, row[1].trim_matches('`')));
    }
    let keys = KEYS.iter().flat_map(|(table, keys)| keys.iter().map(|key| (*table, *key)));
    assert_eq!(listed, keys.collect::<Vec<_>>());
}

#[test]
fn guide_lists_every_shipped_form() {
    let listed: Vec<_> = rows("Running one")
        .iter()
        .map(|row| (row[0].trim_matches('`').to_owned(), row[2].to_owned()))
        .collect();
    let exercises = catalogue().exercises().iter().map(|e| (e.id.clone(), e.minutes.to_string()));
    let forms = catalogue().questionnaires().iter().map(|form| (form.id.clone(), String::new()));
    assert_eq!(listed, exercises.chain(forms).collect::<Vec<_>>());
}

/// One fault of each kind.
fn reasons() -> Vec<Reason> {
    let key = "title";
    let text = || "x".to_owned();
    let (table, parent, list) = ("a step", "an exercise", "steps");
    let hour = Duration::from_secs(3600);
    vec![
        Reason::Empty,
        Reason::Huge { bytes: 70000 },
        Reason::NotUtf8,
        Reason::NotToml { message: text() },
        Reason::CurlyQuote { quote: '“' },
        Reason::OtherForm { is: "an exercise", wanted: "a questionnaire" },
        Reason::Nameless,
        Reason::UnknownKey { table, key: text(), nearest: "ask" },
        Reason::Reference { table, key: text() },
        Reason::Misplaced { table, key, parent, list },
        Reason::Missing { table, key },
        Reason::WrongType { key, wanted: "words in quotes", is: "a whole number" },
        Reason::Shape { key, shape: "[0, 1]" },
        Reason::Blank { key },
        Reason::TooLong { key, chars: 81, max: 80 },
        Reason::Character { key, character: '\u{202e}' },
        Reason::ManyLines { key },
        Reason::Number { key, value: text(), from: 1, to: 2 },
        Reason::UnknownValue { key, value: text(), known: text() },
        Reason::Time { key, value: text() },
        Reason::TimeRange { key, value: text(), from: hour, to: hour },
        Reason::Id { value: text() },
        Reason::Language { value: text() },
        Reason::Count { key, count: 21, from: 1, to: 20 },
        Reason::AsksAndSays { step: 1 },
        Reason::NeitherAsksNorSays { step: 1 },
        Reason::SayWith { step: 1, key },
        Reason::NotInRoom { step: 1, key, to: "the lane" },
        Reason::TurnAfterOwn { step: 1 },
        Reason::TurnOfNobody { step: 1, who: "alone" },
        Reason::NoTurn,
        Reason::SameScore { score: 1, first: 1, second: 2 },
        Reason::SameChoice { words: text(), first: 1, second: 2 },
        Reason::SameItem { words: text(), first: 1, second: 2 },
        Reason::NoTotal { key },
        Reason::BandReversed { name: text(), from: 2, to: 1 },
        Reason::BandsOverlap { first: text(), second: text(), score: 1 },
        Reason::BandsLack { from: 1, to: 2, low: 0, high: 4 },
        Reason::BandUnused { name: text(), low: 0, high: 4 },
        Reason::MarkItem { item: 3, items: 2 },
        Reason::MarkTwice { item: 1 },
        Reason::MarkScore { score: 4, scores: text() },
        Reason::MarkRings,
        Reason::Placeholder { value: text() },
    ]
}

/// Whether a message is one that a row of the guide describes; `…` stands for any words.
fn describes(row: &str, message: &str) -> bool {
    let message = message.replace('`', "");
    let mut rest = message.as_str();
    let mut pieces = row.split('…');
    let Some(after) = pieces.next().and_then(|first| rest.strip_prefix(first)) else {
        return false;
    };
    rest = after;
    for piece in pieces {
        let Some(at) = rest.find(piece) else { return false };
        rest = if piece.is_empty() { "" } else { &rest[at + piece.len()..] };
    }
    rest.is_empty()
}

#[test]
fn guide_explains_every_error() {
    let rows = rows("What each error means");
    assert!(rows.iter().all(|row| row.len() == 2 && !row[1].is_empty()));
    let reasons = reasons();
    for (row, reason) in rows.iter().zip(&reasons) {
        let message = reason.to_string();
        assert!(describes(row[0], &message), "{}\n{message}", row[0]);
    }
    assert_eq!(rows.len(), reasons.len());
    let kinds: std::collections::HashSet<_> = reasons.iter().map(std::mem::discriminant).collect();
    assert_eq!(kinds.len(), reasons.len());
}
