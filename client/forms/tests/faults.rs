//! What is wrong with a file is told by its line and in plain words.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use hearth_forms::{Exercise, FILE_BYTES_MAX, Questionnaire, catalogue};

const EXERCISE: &str = r#"title = "Evening"
minutes = 15
who = "in turn"
caution = "not after a quarrel"

[[steps]]
ask = "How are you?"
to = "room"
turn = "5m"

[[steps]]
say = "Breathe."
wait = "1m"

[[steps]]
ask = "One word for Fay?"
to = "lane"
"#;

const FORM: &str = r#"notice = "Made up."
ask = "How often?"
choices = [
    ["never", 0],
    ["some days", 1],
    ["daily", 2],
]
items = [
    "Tea",
    "Coffee",
]
score = { sum = "all answered, else no total" }
bands = [
    [0, 1, "low"],
    [2, 4, "high"],
]

[[mark]]
item = 2
from = 1
to_member = "questions: marked"
to_facilitators = "please speak with {name} today"
rings = false
"#;

fn exercise(bytes: &[u8]) -> String {
    Exercise::parse("evening", bytes).unwrap_err().to_string()
}

fn form(bytes: &[u8]) -> String {
    Questionnaire::parse("tea", bytes).unwrap_err().to_string()
}

/// Puts other words into the good exercise and compares the fault.
#[track_caller]
fn refused(old: &str, new: &str, fault: &str) {
    assert_eq!(EXERCISE.matches(old).count(), 1, "{old}");
    assert_eq!(exercise(EXERCISE.replace(old, new).as_bytes()), fault);
}

/// Puts other words into the good questionnaire and compares the fault.
#[track_caller]
fn form_refused(old: &str, new: &str, fault: &str) {
    assert_eq!(FORM.matches(old).count(), 1, "{old}");
    assert_eq!(form(FORM.replace(old, new).as_bytes()), fault);
}

#[test]
fn good_files_are_taken() {
    Exercise::parse("evening", EXERCISE.as_bytes()).unwrap();
    Questionnaire::parse("tea", FORM.as_bytes()).unwrap();
}

#[test]
fn empty_file_is_refused() {
    for bytes in [&b""[..], b"\n\n", b"\xef\xbb\xbf", b"# only a remark\n"] {
        assert_eq!(exercise(bytes), "line 1: the file is empty");
        assert_eq!(form(bytes), "line 1: the file is empty");
    }
}

#[test]
fn huge_file_is_refused() {
    let mut text = EXERCISE.to_owned();
    text.push_str(&"#\n".repeat((FILE_BYTES_MAX - text.len()) / 2));
    text.push_str(&"#".repeat(FILE_BYTES_MAX - text.len()));
    assert_eq!(text.len(), FILE_BYTES_MAX);
    Exercise::parse("evening", text.as_bytes()).unwrap();
    text.push('#');
    let last = text.lines().count();
    let said = format!(
        "line {last}: the file has 65537 bytes, and the first 65536 end here; it may have no more"
    );
    assert_eq!(exercise(text.as_bytes()), said);
    let megabytes = vec![0xff; 8 << 20];
    assert!(form(&megabytes).starts_with("line 1: the file has 8388608 bytes"));
}

#[test]
fn other_encodings_are_refused() {
    let said = "here is a byte that is not UTF-8; save the file as UTF-8";
    let latin = [EXERCISE.as_bytes(), b"# \xfc\n# \xff\n"].concat();
    let last = EXERCISE.lines().count() + 1;
    assert_eq!(exercise(&latin), format!("line {last}: {said}"));
    let utf16: Vec<u8> = EXERCISE.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(exercise(&[b"\xff\xfe".to_vec(), utf16].concat()), format!("line 1: {said}"));
}

#[test]
fn faulty_toml_names_its_line() {
    let quotes = "words stand in straight quotes, such as \"in turn\"; numbers, true and false stand without";
    let no_value = "a key needs = and a value";
    for (old, new, line, said) in [
        ("minutes = 15", "minutes 15", 2, no_value),
        ("minutes = 15", "minutes: 15", 2, no_value),
        ("minutes = 15", "minutes =", 2, no_value),
        ("minutes = 15", "= 15", 2, "a key is missing before ="),
        ("minutes = 15", "minutes = 015", 2, "a number begins with 0"),
        ("minutes = 15", "minutes = 15m", 2, quotes),
        ("\"in turn\"", "in turn", 3, quotes),
        ("\"in turn\"", "\"in turn", 3, "a quote is not closed on its line"),
        ("\"in turn\"", "'in turn", 3, "a quote is not closed on its line"),
        (
            "\"in turn\"",
            "\"in \\qturn\"",
            3,
            "\\ and this letter mean nothing; type \\\\ for one \\",
        ),
        ("in turn", "in\u{7}turn", 3, "here is a control character"),
        ("\"in turn\"", "\"in turn\" or not", 3, "this line holds more than a key and its value"),
        ("caution = ", "minutes = ", 4, "this key is there twice"),
        ("[[steps]]\nsay", "[[steps]\nsay", 11, "]] is missing"),
        ("turn = \"5m\"", "after_own = True", 9, "true and false have small letters"),
        ("say = \"Breathe.\"", "say = [\"Breathe.\" \"a\"]", 12, "a comma or ] is missing"),
        ("say = \"Breathe.\"", "say = [\"Breathe.\",,]", 12, "there is a comma too many"),
        ("say = \"Breathe.\"", "say = { a = 1", 13, "a comma or } is missing"),
        ("to = \"lane\"", "to = { a = 1", 17, "{ is not closed"),
        ("to = \"lane\"", "to = [\"lane\"", 17, "[ is not closed"),
        ("say = \"Breathe.\"", "say = \"\"\"Breathe.", 17, "three quotes are not closed"),
    ] {
        let text = EXERCISE.replace(old, new);
        assert_eq!(exercise(text.as_bytes()), format!("line {line}: this is not TOML: {said}"));
    }
    let open = "\n\ntitle = [";
    assert!(exercise(open.as_bytes()).starts_with("line 3: this is not TOML: "));
    assert!(exercise(b"\n%PDF-1.7\n\n").starts_with("line 2: this is not TOML: "));
}

#[test]
fn curly_quotes_are_named() {
    for (words, quote) in [("“in turn”", '“'), ("„in turn“", '„'), ("‘in turn’", '‘')]
    {
        let said = format!(
            "line 3: this is not TOML: {quote} is a curly quote; type the straight \" in its place"
        );
        refused("\"in turn\"", words, &said);
    }
    // They are words within straight quotes.
    let words = EXERCISE.replace("Breathe.", "“Breathe.”");
    Exercise::parse("evening", words.as_bytes()).unwrap();
}

#[test]
fn deep_nesting_is_refused() {
    for deep in ["[".repeat(50_000), "{a=".repeat(20_000), format!("1\n[{}a]", "a.".repeat(30_000))]
    {
        let said = exercise(format!("\ntitle = {deep}\n").as_bytes());
        let line = if deep.starts_with('1') { 3 } else { 2 };
        assert_eq!(said, format!("line {line}: this is not TOML: it is nested too deep"));
    }
    let dots = format!("a = 1\n\n{}a = 1\n", "a.".repeat(30_000));
    assert_eq!(exercise(dots.as_bytes()), "line 3: this is not TOML: it is nested too deep");
}

#[test]
fn unknown_key_names_the_nearest() {
    refused(
        "minutes = 15",
        "minuts = 15",
        "line 2: an exercise has no key `minuts`; did you mean `minutes`?",
    );
    refused(
        "turn = \"5m\"",
        "Turn = \"5m\"",
        "line 9: a step has no key `Turn`; did you mean `turn`?",
    );
    refused(
        "wait = \"1m\"",
        "after-own = true",
        "line 13: a step has no key `after-own`; did you mean `after_own`?",
    );
    form_refused(
        "notice =",
        "note =",
        "line 1: a questionnaire has no key `note`; did you mean `notice`?",
    );
    form_refused("sum =", "sume =", "line 12: a score has no key `sume`; did you mean `sum`?");
    form_refused("rings =", "ring =", "line 23: a mark has no key `ring`; did you mean `rings`?");
    // The first in the file, not in the alphabet.
    let two = format!("zzz = 1\naaa = 1\n{EXERCISE}");
    assert!(exercise(two.as_bytes()).starts_with("line 1: an exercise has no key `zzz`"));
}

#[test]
fn references_between_steps_are_refused() {
    let follow = "steps follow each other in the order of the file";
    for key in ["goto", "include", "next", "repeat", "if"] {
        let new = format!("{key} = 1");
        refused("wait = \"1m\"", &new, &format!("line 13: a step has no key `{key}`; {follow}"));
        refused("minutes = 15", &new, &format!("line 2: an exercise has no key `{key}`; {follow}"));
    }
}

#[test]
fn key_below_steps_is_explained() {
    let said = "line 13: a step has no key `caution`; it belongs to an exercise, so move it above the first [[steps]]";
    refused("wait = \"1m\"", "caution = \"never\"", said);
    let said = "line 23: a mark has no key `source`; it belongs to a questionnaire, so move it above the first [[mark]]";
    form_refused("rings = false", "source = \"a book\"", said);
}

#[test]
fn missing_key_is_named() {
    for (line, key) in [
        ("title = \"Evening\"\n", "title"),
        ("minutes = 15\n", "minutes"),
        ("who = \"in turn\"\n", "who"),
    ] {
        refused(line, "", &format!("line 1: an exercise needs `{key}`"));
    }
    refused("to = \"lane\"\n", "", "line 15: a step needs `to`");
    assert_eq!(
        exercise(b"title = 'a'\nminutes = 1\nwho = 'alone'"),
        "line 1: an exercise needs `steps`"
    );
    for (line, key) in [
        ("notice = \"Made up.\"\n", "notice"),
        ("ask = \"How often?\"\n", "ask"),
        ("score = { sum = \"all answered, else no total\" }\n", "score"),
    ] {
        form_refused(line, "", &format!("line 1: a questionnaire needs `{key}`"));
    }
    for key in ["choices", "items"] {
        let (before, rest) = FORM.split_once(&format!("{key} = [")).unwrap();
        let (_, after) = rest.split_once("\n]\n").unwrap();
        let said = form(format!("{before}{after}").as_bytes());
        assert_eq!(said, format!("line 1: a questionnaire needs `{key}`"));
    }
    form_refused("sum = \"all answered, else no total\"", "", "line 12: a score needs `sum`");
    for (line, key) in [
        ("item = 2\n", "item"),
        ("from = 1\n", "from"),
        ("to_member = \"questions: marked\"\n", "to_member"),
        ("to_facilitators = \"please speak with {name} today\"\n", "to_facilitators"),
    ] {
        form_refused(line, "", &format!("line 18: a mark needs `{key}`"));
    }
}

#[test]
fn wrong_type_is_told() {
    for (old, new, said) in [
        ("\"Evening\"", "7", "line 1: `title` takes words in quotes, and this is a whole number"),
        ("15", "\"15\"", "line 2: `minutes` takes a whole number, and this is words in quotes"),
        ("15", "1.5", "line 2: `minutes` takes a whole number, and this is a number with a point"),
        (
            "15",
            "2026-11-28",
            "line 2: `minutes` takes a whole number, and this is a date or a time of day",
        ),
        (
            "\"in turn\"",
            "[\"in turn\"]",
            "line 3: `who` takes words in quotes, and this is a list in [ ]",
        ),
        ("\"room\"", "{}", "line 8: `to` takes words in quotes, and this is a table in { }"),
        (
            "\"5m\"",
            "5",
            "line 9: `turn` takes a time in quotes, such as \"5m\", and this is a whole number",
        ),
        (
            "turn = \"5m\"",
            "after_own = \"yes\"",
            "line 9: `after_own` takes true or false, without quotes, and this is words in quotes",
        ),
    ] {
        refused(old, new, said);
    }
    assert_eq!(
        exercise(b"title = 'a'\nminutes = 1\nwho = 'alone'\nsteps = 'many'"),
        "line 4: `steps` takes a list in [ ], or [[ ]] above each entry, and this is words in quotes"
    );
    assert_eq!(
        exercise(b"title = 'a'\nminutes = 1\nwho = 'alone'\n[steps]\nsay = 'a'"),
        "line 4: `steps` takes a list in [ ], or [[ ]] above each entry, and this is a table in { }"
    );
    assert_eq!(
        exercise(b"title = 'a'\nminutes = 1\nwho = 'alone'\nsteps = [\n  'breathe',\n]"),
        "line 5: `steps` takes a table in { }, and this is words in quotes"
    );
    form_refused(
        "[\"daily\", 2]",
        "\"daily\"",
        "line 6: an entry of `choices` looks like [\"never\", 0]",
    );
    form_refused(
        "[\"daily\", 2]",
        "[\"daily\"]",
        "line 6: an entry of `choices` looks like [\"never\", 0]",
    );
    form_refused(
        "[\"daily\", 2]",
        "[2, \"daily\"]",
        "line 6: `choices` takes words in quotes, and this is a whole number",
    );
    form_refused(
        "[2, 4, \"high\"]",
        "[2, 4]",
        "line 15: an entry of `bands` looks like [0, 4, \"low\"]",
    );
    form_refused(
        "    \"Tea\"",
        "    1",
        "line 9: `items` takes words in quotes, and this is a whole number",
    );
    form_refused(
        "rings = false",
        "rings = 0",
        "line 23: `rings` takes true or false, without quotes, and this is a whole number",
    );
}

#[test]
fn number_of_steps_is_bounded() {
    let head = "title = 'a'\nminutes = 1\nwho = 'alone'\n";
    let none = format!("{head}steps = []");
    assert_eq!(exercise(none.as_bytes()), "line 4: `steps` has 0 entries; it takes 1 to 20");
    let many = |count| format!("{head}steps = [{}]", "{ say = 'a' },".repeat(count));
    Exercise::parse("many", many(20).as_bytes()).unwrap();
    assert_eq!(exercise(many(21).as_bytes()), "line 4: `steps` has 21 entries; it takes 1 to 20");
}

#[test]
fn numbers_of_entries_are_bounded() {
    let choices = |count: usize| {
        let all: String = (0..count).map(|n| format!("['c{n}', {n}],")).collect();
        format!(
            "notice = 'a'\nask = 'a'\nchoices = [{all}]\nitems = ['a']\nscore = {{ sum = 'none' }}"
        )
    };
    Questionnaire::parse("many", choices(10).as_bytes()).unwrap();
    assert_eq!(form(choices(11).as_bytes()), "line 3: `choices` has 11 entries; it takes 2 to 10");
    assert_eq!(form(choices(1).as_bytes()), "line 3: `choices` has 1 entries; it takes 2 to 10");
    let items = |count: usize| {
        let all: String = (0..count).map(|n| format!("'i{n}',")).collect();
        choices(2).replace("['a']", &format!("[{all}]"))
    };
    Questionnaire::parse("many", items(50).as_bytes()).unwrap();
    assert_eq!(form(items(51).as_bytes()), "line 4: `items` has 51 entries; it takes 1 to 50");
    assert_eq!(form(items(0).as_bytes()), "line 4: `items` has 0 entries; it takes 1 to 50");
}

#[test]
fn long_text_is_refused() {
    // Characters, not bytes.
    for (old, key, line, max) in [
        ("Evening", "title", 1, 80),
        ("not after a quarrel", "caution", 4, 1000),
        ("How are you?", "ask", 7, 1000),
        ("Breathe.", "say", 12, 1000),
    ] {
        let fits = EXERCISE.replace(old, &"ü".repeat(max));
        Exercise::parse("evening", fits.as_bytes()).unwrap();
        let said = format!("line {line}: `{key}` has {} characters, more than {max}", max + 1);
        refused(old, &"ü".repeat(max + 1), &said);
    }
    for (old, key, line, max) in [
        ("Made up.", "notice", 1, 1000),
        ("daily", "choices", 6, 80),
        ("Coffee", "items", 10, 1000),
        ("high", "bands", 15, 80),
        ("questions: marked", "to_member", 21, 1000),
        ("please speak with {name} today", "to_facilitators", 22, 1000),
    ] {
        let said = format!("line {line}: `{key}` has {} characters, more than {max}", max + 1);
        form_refused(old, &"ü".repeat(max + 1), &said);
        let fits = FORM.replace(old, &"ü".repeat(max));
        Questionnaire::parse("tea", fits.as_bytes()).unwrap();
    }
}

#[test]
fn blank_text_is_refused() {
    for blank in ["", "  ", "\\n", "\\t", "\\u00a0", "\\u2003"] {
        refused("Breathe.", blank, "line 12: `say` has no words in it");
        refused("Evening", blank, "line 1: `title` has no words in it");
    }
    form_refused("\"Coffee\"", "\"\"", "line 10: `items` has no words in it");
}

#[test]
fn hidden_characters_are_refused() {
    for (escape, number) in [
        ("\\u001b", "001B"),
        ("\\u0000", "0000"),
        ("\\u202e", "202E"),
        ("\\u2066", "2066"),
        ("\\u200b", "200B"),
        ("\\r", "000D"),
    ] {
        let said = |line, key| {
            format!(
                "line {line}: `{key}` holds the character U+{number}, which screens do not show as it is"
            )
        };
        let words = format!("a{escape}b");
        refused("Evening", &words, &said(1, "title"));
        refused("How are you?", &words, &said(7, "ask"));
        form_refused("Coffee", &words, &said(10, "items"));
        form_refused("daily", &words, &said(6, "choices"));
        form_refused("high", &words, &said(15, "bands"));
        form_refused("please speak with {name} today", &words, &said(22, "to_facilitators"));
    }
    let raw = "a\u{202e}b";
    refused(
        "Breathe.",
        raw,
        "line 12: `say` holds the character U+202E, which screens do not show as it is",
    );
}

/// What an error repeats cannot harm the screen of the facilitator.
#[test]
fn errors_show_no_hidden_characters() {
    let evil = "\\u001b[2J\\u202e";
    for (old, new) in [
        ("minutes =", format!("\"{evil}\" =")),
        ("\"in turn\"", format!("\"{evil}\"")),
        ("\"5m\"", format!("\"{evil}\"")),
        ("minutes =", format!("id = \"{evil}\"\nminutes =")),
        ("minutes =", format!("language = \"{evil}\"\nminutes =")),
        ("minutes =", format!("\"{}\" =", "long".repeat(4000))),
    ] {
        let said = exercise(EXERCISE.replace(old, &new).as_bytes());
        assert!(!said.chars().any(|c| c.is_control() || c == '\u{202e}'), "{said:?}");
        assert!(said.chars().count() < 300, "{said}");
    }
}

#[test]
fn label_over_lines_is_refused() {
    refused("Evening", "Even\\ning", "line 1: `title` goes over more than one line");
    form_refused("daily", "dai\\nly", "line 6: `choices` goes over more than one line");
    form_refused("high", "hi\\ngh", "line 15: `bands` goes over more than one line");
    form_refused(
        "{name} today",
        "{name}\\ntoday",
        "line 22: `to_facilitators` goes over more than one line",
    );
}

#[test]
fn minutes_are_bounded() {
    for value in ["0", "-5", "721", "99999999999999999999"] {
        let said = format!("line 2: `minutes` is {value}; it is a whole number from 1 to 720");
        refused("15", value, &said);
    }
}

#[test]
fn step_asks_or_says() {
    refused(
        "wait = \"1m\"",
        "ask = \"Why?\"",
        "line 11: step 2 asks and says; make two steps of it",
    );
    refused(
        "say = \"Breathe.\"\n",
        "",
        "line 11: step 2 neither asks nor says; give it `ask` or `say`",
    );
}

#[test]
fn say_takes_no_answer() {
    for (line, key) in
        [("to = \"room\"", "to"), ("turn = \"5m\"", "turn"), ("after_own = true", "after_own")]
    {
        let said =
            format!("line 13: step 2 says something, so nobody answers it and `{key}` has no use");
        refused("wait = \"1m\"", line, &said);
    }
}

#[test]
fn turn_outside_the_room_is_refused() {
    let lane = "to = \"lane\"";
    let said = |key, to| format!("line 18: step 3 goes to {to}; `{key}` is for steps to the room");
    refused(lane, "to = \"lane\"\nturn = \"5m\"", &said("turn", "the lane"));
    refused(lane, "to = \"self\"\nturn = \"5m\"", &said("turn", "the member's own screen"));
    refused(lane, "to = \"lane\"\nafter_own = true", &said("after_own", "the lane"));
    let plain = EXERCISE.replace(lane, "to = \"lane\"\nafter_own = false");
    Exercise::parse("evening", plain.as_bytes()).unwrap();
}

#[test]
fn turn_agrees_with_who() {
    let both =
        "line 10: step 1 is taken in turn, so each answer shows at once and `after_own` has no use";
    refused("turn = \"5m\"", "turn = \"5m\"\nafter_own = true", both);
    for who in ["alone", "all at once"] {
        refused("in turn", who, &format!("line 9: step 1 has a `turn`, and `who` is \"{who}\""));
    }
    refused(
        "turn = \"5m\"\n",
        "",
        "line 3: `who` is \"in turn\", and no step has a `turn`, such as turn = \"5m\"",
    );
}

#[test]
fn unknown_values_are_refused() {
    refused(
        "\"room\"",
        "\"rom\"",
        "line 8: `to` is \"rom\"; it is one of \"room\", \"lane\", \"self\"",
    );
    refused(
        "in turn",
        "in turns",
        "line 3: `who` is \"in turns\"; it is one of \"in turn\", \"all at once\", \"alone\", \"alone, then together\"",
    );
    refused(
        "caution = \"not after a quarrel\"",
        "needs = \"nobody\"",
        "line 4: `needs` is \"nobody\"; it is one of \"duty\"",
    );
    form_refused(
        "all answered, else no total",
        "mean",
        "line 12: `sum` is \"mean\"; it is one of \"none\", \"all answered, else no total\"",
    );
    form_refused(
        "sum = ",
        "course = \"all\", sum = ",
        "line 12: `course` is \"all\"; it is one of \"each answer by itself\", \"the total\"",
    );
    form_refused(
        "sum = ",
        "shown_to = \"everybody\", sum = ",
        "line 12: `shown_to` is \"everybody\"; it is one of \"facilitators; the member on request\"",
    );
    form_refused(
        "questions: marked",
        "questions: maked",
        "line 21: `to_member` is \"questions: maked\"; it is one of \"questions: marked\" or your own words",
    );
}

#[test]
fn unknown_times_are_refused() {
    let such = "a length of time is a number and a unit, such as 90s, 30m, 2h30m, 10 min, 2 hours or 7 days";
    for value in ["soon", "5", "5 minuten", "-5m", "1.5h", ""] {
        refused("5m", value, &format!("line 9: `turn` is \"{value}\"; {such}"));
    }
    refused("5m", "9s", "line 9: `turn` is \"9s\"; it is from 10s to 1h");
    refused("5m", "61m", "line 9: `turn` is \"61m\"; it is from 10s to 1h");
    refused("\"1m\"", "\"0s\"", "line 13: `wait` is \"0s\"; it is from 1s to 1h");
    refused(
        "wait = \"1m\"",
        "opens_after = \"91d\"",
        "line 13: `opens_after` is \"91d\"; it is from 1s to 90d",
    );
    refused(
        "\"1m\"",
        "\"99999999999999999999w\"",
        "line 13: `wait` is \"99999999999999999999w\"; it is from 1s to 1h",
    );
}

#[test]
fn ids_and_languages_are_checked() {
    let id = |value: &str| format!("id = \"{value}\"\nminutes =");
    for value in ["", "two words", "../x", "--", "a/b", "a.b"] {
        let said =
            format!("line 2: `id` is \"{value}\"; it is letters, digits, - and _, at most 40");
        refused("minutes =", &id(value), &said);
    }
    assert!(
        exercise(EXERCISE.replace("minutes =", &id(&"a".repeat(41))).as_bytes())
            .starts_with("line 2: `id`")
    );
    Exercise::parse("", EXERCISE.replace("minutes =", &id(&"ä".repeat(40))).as_bytes()).unwrap();
    let nameless = Exercise::parse("...", EXERCISE.as_bytes()).unwrap_err();
    assert_eq!(
        nameless.to_string(),
        "line 1: nothing names this form: add `id`, such as id = \"evening-round\""
    );
    refused(
        "minutes =",
        "language = \"English\"\nminutes =",
        "line 2: `language` is \"English\"; it is a tag such as en, de or pt-BR",
    );
}

#[test]
fn other_form_is_named() {
    let said = "line 1: this file is a questionnaire, not an exercise";
    assert_eq!(exercise(FORM.as_bytes()), said);
    for part in ["items = []", "choices = []"] {
        assert_eq!(exercise(part.as_bytes()), said);
    }
    let said = "line 1: this file is an exercise, not a questionnaire";
    assert_eq!(form(EXERCISE.as_bytes()), said);
}

#[test]
fn equal_scores_are_refused() {
    form_refused(
        "[\"daily\", 2]",
        "[\"daily\", 1]",
        "line 6: choice 3 has the score 1, as choice 2 has",
    );
    form_refused(
        "[\"daily\", 2]",
        "[\"daily\", -1]",
        "line 6: `choices` is -1; it is a whole number from 0 to 1000",
    );
    form_refused(
        "[\"daily\", 2]",
        "[\"daily\", 1001]",
        "line 6: `choices` is 1001; it is a whole number from 0 to 1000",
    );
}

#[test]
fn repeated_words_are_refused() {
    form_refused(
        "\"daily\"",
        "\"Some  days\"",
        "line 6: choice 3 has the words of choice 2: \"Some  days\"",
    );
    form_refused("\"Coffee\"", "\" TEA\"", "line 10: item 2 has the words of item 1: \"TEA\"");
}

#[test]
fn bands_hold_every_total_once() {
    let low = "[0, 1, \"low\"]";
    form_refused(
        low,
        "[0, 2, \"low\"]",
        "line 15: the bands \"low\" and \"high\" both hold the score 2",
    );
    form_refused(
        low,
        "[0, 0, \"low\"]",
        "line 15: no band holds the scores from 1 to 1; totals go from 0 to 4",
    );
    form_refused(
        low,
        "[1, 1, \"low\"]",
        "line 14: no band holds the scores from 0 to 0; totals go from 0 to 4",
    );
    form_refused(
        "[2, 4, \"high\"]",
        "[2, 3, \"high\"]",
        "line 13: no band holds the scores from 4 to 4; totals go from 0 to 4",
    );
    form_refused(low, "[1, 0, \"low\"]", "line 14: the band \"low\" goes from 1 down to 0");
    form_refused(
        "[2, 4, \"high\"],",
        "[2, 4, \"high\"],\n    [5, 9, \"worse\"],",
        "line 16: no total falls into the band \"worse\"; totals go from 0 to 4",
    );
    form_refused(
        "[2, 4, \"high\"],",
        "[2, 4, \"high\"],\n    [0, 4294967295, \"all\"],",
        "line 16: the bands \"low\" and \"all\" both hold the score 0",
    );
    // One may hold a single total.
    let single = FORM.replace("[0, 1, \"low\"]", "[0, 0, \"none\"], [1, 1, \"low\"]");
    Questionnaire::parse("tea", single.as_bytes()).unwrap();
    // The last may be open above.
    let open = FORM.replace("[2, 4, \"high\"]", "[2, 4294967295, \"high\"]");
    Questionnaire::parse("tea", open.as_bytes()).unwrap();
}

/// Totals begin above 0 where the lowest choice does.
#[test]
fn bands_begin_at_lowest_total() {
    let from_one = FORM
        .replace("[\"never\", 0]", "[\"never\", 3]")
        .replace("[0, 1, \"low\"]", "[2, 3, \"low\"]");
    let from_one = from_one.replace("[2, 4, \"high\"]", "[4, 6, \"high\"]");
    Questionnaire::parse("tea", from_one.as_bytes()).unwrap();
    let early = from_one.replace("[2, 3, \"low\"]", "[2, 3, \"low\"], [0, 1, \"none\"]");
    assert_eq!(
        form(early.as_bytes()),
        "line 14: no total falls into the band \"none\"; totals go from 2 to 6"
    );
}

#[test]
fn bands_need_a_total() {
    form_refused(
        "all answered, else no total",
        "none",
        "line 13: `sum` is \"none\", so there is no total for `bands`",
    );
    form_refused(
        "sum = \"all answered, else no total\"",
        "sum = \"none\", course = \"the total\"",
        "line 12: `sum` is \"none\", so there is no total for `course`",
    );
}

#[test]
fn mark_names_item_and_score() {
    form_refused("item = 2", "item = 3", "line 19: the mark is on item 3, and there are 2");
    form_refused("item = 2", "item = 0", "line 19: the mark is on item 0, and there are 2");
    form_refused(
        "from = 1",
        "from = 3",
        "line 20: the mark is from the score 3, and no choice has it; choices have 0, 1, 2",
    );
    let twice =
        format!("{FORM}[[mark]]\nitem = 2\nfrom = 2\nto_member = 'a'\nto_facilitators = 'b'\n");
    assert_eq!(form(twice.as_bytes()), "line 24: item 2 has a mark already");
}

#[test]
fn mark_never_rings() {
    form_refused(
        "rings = false",
        "rings = true",
        "line 23: a mark does not ring, so `rings` is false; the member can press help-now",
    );
}

#[test]
fn only_the_name_is_filled_in() {
    for (words, rest) in
        [("{nmae}", "{nmae} today"), ("{name", "{name today"), ("{name}}", "} today")]
    {
        let said = format!("line 22: `to_facilitators` holds {rest}; only {{name}} is filled in");
        form_refused("{name}", words, &said);
    }
}

#[test]
fn shipped_files_share_no_words() {
    // A form of one's own may have an id of the catalogue: the caller asked for a file.
    let own = format!("id = \"grounding\"\n{EXERCISE}");
    let own = Exercise::parse("evening", own.as_bytes()).unwrap();
    assert_ne!(Some(&own), catalogue().exercise("grounding"));
}
