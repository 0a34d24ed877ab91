//! Questions about the agreement, asked before it is signed.

use hearth_kit::{AGREEMENT, Circle, Person, Relay, text_file};

use super::seen;

const QUESTIONS: &str = r#"
```questions
[[question]]
ask = "May I tell a friend who is here?"
choices = ["Yes, without names", "No, nobody"]
right = 2
why = "That somebody is here stays here, too."

[[question]]
ask = "Is somebody here at night?"
choices = ["Nobody is promised to be", "Always"]
right = 1
why = "At night you call the numbers."
```
"#;

fn open(relay: &Relay) -> Circle {
    Circle::open_under(relay, Person::new(), &format!("{AGREEMENT}{QUESTIONS}"))
}

#[test]
fn wrong_answer_explains_and_signs_nothing() {
    let relay = Relay::start();
    let circle = open(&relay);
    let ben = Person::new();
    let link = circle.invite(&[]);
    let join = ["join", &link, "--as", "Ben", "--acknowledge", &circle.agreement, "--no-wait"];
    let with = |answers: &[&str]| {
        let given: Vec<&str> = answers.iter().flat_map(|answer| ["--answer", answer]).collect();
        ben.run(&[join.as_slice(), &given].concat())
    };
    let missing = with(&[]).failed(3, "not_answered")["message"].to_string();
    assert!(missing.contains("May I tell a friend who is here?"), "{missing}");
    for (answers, why) in [
        (&["1", "1"], "That somebody is here stays here, too."),
        (&["2", "Always"], "At night you call the numbers."),
        (&["2", "7"], "At night you call the numbers."),
    ] {
        let answer = with(answers);
        let message = answer.failed(3, "not_answered")["message"].as_str().unwrap();
        assert!(message.contains(why), "{message}");
        assert_eq!(circle.fay("knocks", &[]), Vec::<serde_json::Value>::new());
    }
    // As often as it takes, and the others learn of no try.
    with(&["2", "nobody is promised to be"]).done();
    circle.fay("admit", &["Ben"]);
    circle.say(&ben, "I have understood");
    assert_eq!(seen(&circle, &circle.fay, "Ben")["acknowledged"], true);
    let receipt = ben.sees(&["receipt", &circle.room]).stdout;
    assert!(receipt.contains("BEGIN HEARTH RECEIPT"), "{receipt}");
}

#[test]
fn chat_asks_after_the_text() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    let text = text_file(&format!("{AGREEMENT}{QUESTIONS}"));
    let path = text.path().to_str().unwrap();
    let amend = ["agreement", "amend", &circle.room, path, "--material", "--effective", "2d"];
    circle.fay.does(&amend);
    let mut chat = ben.starts_plainly(&["chat", &circle.room]);
    let says = |chat: &mut hearth_kit::Running, words: &str| {
        chat.await_line(words, |line| line.contains(words));
    };
    says(&mut chat, "a new agreement waits for you");
    chat.type_line("/acknowledge");
    chat.type_line("I acknowledge");
    says(&mut chat, "Question 1 of 2");
    chat.type_line("1");
    says(&mut chat, "That somebody is here stays here, too.");
    chat.type_line("2");
    says(&mut chat, "Question 2 of 2");
    chat.type_line("1");
    says(&mut chat, "you have signed it");
    chat.type_line("/quit");
    assert_eq!(chat.wait_open().code, Some(0));
    assert_eq!(seen(&circle, &circle.fay, "Ben")["version"], 2);
}

#[test]
fn faulty_questions_change_nothing() {
    let relay = Relay::start();
    let circle = open(&relay);
    let grant = relay.grant();
    for (from, to, line, why) in [
        ("right = 2", "right = 3", "line 11:", "1 to 2"),
        ("why = \"At night", "because = \"At night", "line 18:", "no key `because`"),
        ("\"Always\"", "\"[Always]\"", "line 16:", "still \"[Always]\""),
        (
            "\"No, nobody\"",
            "\"yes, without names\"",
            "line 10:",
            "choice 2 is the same as choice 1",
        ),
        ("numbers.\"\n```", "numbers.\"", "line 7:", "no closing ```"),
    ] {
        let text = format!("{AGREEMENT}{QUESTIONS}").replace(from, to);
        let file = text_file(&text);
        let path = file.path().to_str().unwrap();
        let create =
            ["room", "create", "Other", "--grant", &grant, "--agreement", path, "--as", "Fay"];
        let amend = ["agreement", "amend", &circle.room, path, "--material"];
        for args in [create.as_slice(), &amend, &["agreement", "check", path]] {
            let answer = circle.fay.run(args);
            let message = answer.failed(2, "questions_faulty")["message"].as_str().unwrap();
            assert!(message.contains(line) && message.contains(why), "{message}");
        }
    }
    assert_eq!(circle.fay("status", &[])[0]["agreement_version"], 1);
    assert_eq!(circle.fay.does(&["room", "list"]).len(), 1);
}
