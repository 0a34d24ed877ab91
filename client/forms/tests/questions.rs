//! Questions of an agreement: read, judged, and refused with their line.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "a test fails by panicking")]

use hearth_forms::{QUESTIONS_MAX, Question};

const ONE: &str = "[[question]]\nask = \"May I tell?\"\nchoices = [\"Yes.\", \"No, to nobody.\"]\nright = 2\nwhy = \"It stays here.\"\n";

fn agreement(block: &str) -> String {
    format!("We keep it here.\n\n```questions\n{block}```\nThe end.\n")
}

fn fault(block: &str) -> String {
    Question::read(&agreement(block)).unwrap_err().to_string()
}

#[test]
fn question_takes_number_or_words() {
    let [question] = Question::read(&agreement(ONE)).unwrap().try_into().unwrap();
    assert_eq!(question.right(), "No, to nobody.");
    for typed in ["2", " 2) ", "2.", "no, to nobody", "No,  to nobody."] {
        assert_eq!(question.choice(typed), Some(question.right()), "{typed}");
    }
    assert_eq!(question.choice("yes"), Some("Yes."));
    for typed in ["", "0", "3", "-1", "no", "perhaps", "99999999999999999999999"] {
        assert_eq!(question.choice(typed), None, "{typed}");
    }
}

#[test]
fn agreement_without_questions_asks_none() {
    for text in ["We keep it here.", &agreement(""), &agreement("\n  \n"), "```help\n```\n"] {
        assert_eq!(Question::read(text).unwrap(), [], "{text}");
    }
}

#[test]
fn prose_holds_no_answers() {
    assert_eq!(Question::prose_of(&agreement(ONE)), "We keep it here.\n\nThe end.");
    assert_eq!(Question::prose_of("We keep it here.\n"), "We keep it here.\n");
    let faulty = agreement(&ONE.replace("right", "wrong"));
    assert_eq!(Question::prose_of(&faulty), faulty);
}

#[test]
fn questions_are_at_most_three() {
    let many = |count: usize| -> String {
        (0..count).map(|n| ONE.replace("May I", &format!("{n}: may I"))).collect()
    };
    assert_eq!(Question::read(&agreement(&many(QUESTIONS_MAX))).unwrap().len(), QUESTIONS_MAX);
    assert!(fault(&many(QUESTIONS_MAX + 1)).contains("4 entries; it takes 1 to 3"));
}

#[test]
fn faulty_block_names_its_line() {
    for (from, to, says) in [
        ("right = 2", "right = 0", "line 7: `right` is 0; it is a whole number from 1 to 2"),
        ("right = 2", "right = \"2\"", "line 7: `right` takes a whole number"),
        ("why = \"It", "wy = \"It", "line 8: a question has no key `wy`"),
        ("why = \"It stays here.\"\n", "", "line 4: a question needs `why`"),
        ("\"May I tell?\"", "\"[May I tell?]\"", "line 5: `ask` is still \"[May I tell?]\""),
        ("\"Yes.\", ", "", "line 6: `choices` has 1 entries; it takes 2 to 6"),
        ("\"Yes.\"", "\"no, to NOBODY.\"", "line 6: choice 2 is the same as choice 1"),
        ("[[question]]", "[[questions]]", "line 4: a block of questions has no key `questions`"),
        ("ask = \"May", "ask = May", "line 5: this is not TOML"),
    ] {
        let said = fault(&ONE.replace(from, to));
        assert!(said.starts_with(says), "{said}");
    }
    let twice = format!("{ONE}{ONE}");
    assert!(
        fault(&twice).starts_with("line 9: question 2 is the same as question 1"),
        "{}",
        fault(&twice)
    );
    let open = agreement(ONE).replace("```\nThe end.\n", "");
    let said = Question::read(&open).unwrap_err().to_string();
    assert!(said.starts_with("line 3: the block of questions that begins here"), "{said}");
    let second = format!("{}{}", agreement(ONE), agreement(ONE));
    let said = Question::read(&second).unwrap_err().to_string();
    assert!(said.starts_with("line 13: the agreement has a second block"), "{said}");
    assert_eq!(Question::read_leniently(&second), []);
}
