//! Rounds that go another way than planned, and what is typed by mistake: nothing is lost, and everybody knows whose turn it is.

use std::thread;

use hearth_kit::{Circle, Person, Relay, text_file, until};
use serde_json::{Value, json};

fn hands(circle: &Circle, person: &Person) -> Value {
    circle.by(person, "hands", &[]).remove(0)
}

/// Returns whose turn it is and who comes next; nothing without a round.
fn turns(circle: &Circle, person: &Person) -> Vec<String> {
    let round = hands(circle, person)["round"].clone();
    let name = |name: &Value| name.as_str().unwrap().to_owned();
    let next = round["next"].as_array().into_iter().flatten().map(name);
    round["holder"].as_str().map(str::to_owned).into_iter().chain(next).collect()
}

fn texts(circle: &Circle, person: &Person) -> Vec<String> {
    let all = circle.history(person);
    let texts = all.iter().filter(|row| row["kind"] == "text");
    texts.map(|row| row["text"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn second_hand_is_refused() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    circle.by(&ben, "hand", &[]);
    ben.run(&["hand", &circle.room]).refused(3, "hand_is_up");
    assert_eq!(hands(&circle, &circle.fay)["hands"], json!(["Ben"]));
    circle.by(&ben, "lower", &[]);
    ben.run(&["lower", &circle.room]).refused(3, "hand_is_down");
    assert_eq!(hands(&circle, &circle.fay)["hands"], json!([]));
}

/// What is typed when nothing is on changes nothing, and says what to do instead.
#[test]
fn nothing_on_refuses_turns() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    circle.news(&circle.fay);
    let room = circle.room.as_str();
    for (who, words, exit, code) in [
        (&ben, vec!["pass", room], 3, "no_round"),
        (&ben, vec!["done", room], 3, "no_round"),
        (&circle.fay, vec!["next", room], 3, "no_round"),
        (&circle.fay, vec!["skip", room], 3, "no_round"),
        (&circle.fay, vec!["extend", room, "30m"], 3, "no_round"),
        (&circle.fay, vec!["round", room, "end"], 3, "no_round"),
        (&circle.fay, vec!["close-ask", room], 3, "not_asked"),
        (&ben, vec!["vote", room, "1"], 3, "not_asked"),
        (&ben, vec!["vote", room, "#1", "1"], 3, "not_asked"),
        (&ben, vec!["answer", room, "Well"], 3, "not_asked"),
        (&ben, vec!["reply", room, "Hello"], 2, "no_such_message"),
        (&ben, vec!["react", room, "heard"], 2, "no_such_message"),
        (&ben, vec!["react", room, "hurt"], 2, "usage"),
        (&ben, vec!["edit", room, "Hello"], 2, "no_such_message"),
        (&circle.fay, vec!["cover", room, "last", "drinking"], 2, "no_such_message"),
        (&circle.fay, vec!["call", room, "Nobody"], 2, "no_such_member"),
        (&circle.fay, vec!["poll", room, "When?", "at six"], 2, "usage"),
        (&circle.fay, vec!["round", room, "start", "--ends", "13h"], 3, "out_of_range"),
    ] {
        who.run(&words).failed(exit, code);
    }
    let news = circle.news(&circle.fay);
    assert!(news.is_empty(), "{news:#?}");
    assert!(circle.by(&ben, "outbox", &[]).is_empty());
}

#[test]
fn vote_outside_poll_is_refused() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    circle.fay("poll", &["When?", "at six", "at eight"]);
    for option in ["0", "3", "-1", "at nine", ""] {
        ben.run(&["vote", &circle.room, "--", option]).failed(2, "usage");
    }
    circle.fay("prompt", &["How are you?"]);
    // The only poll is meant, whatever else is asked.
    circle.by(&ben, "vote", &["AT EIGHT"]);
    circle.by(&ben, "answer", &["Well"]);
    circle.fay("read", &[]);
    let asks = circle.fay("asks", &[]);
    let number = asks.iter().find(|ask| ask["form"] == "poll").unwrap()["number"].to_string();
    circle.fay("close-ask", &[&format!("#{number}")]);
    let closed = circle.history(&ben);
    let closed = closed.iter().find(|row| row["floor"] == "ask_closed").unwrap();
    assert!(closed["text"].as_str().unwrap().contains("at six: 0, at eight: 1"), "{closed}");
}

#[test]
fn retracted_message_takes_no_answer() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    let id = circle.say(&ben, "I hate you");
    circle.news(&circle.fay);
    circle.by(&ben, "retract", &[&id]);
    for words in [
        vec!["reply", &circle.room, &id, "Why?"],
        vec!["react", &circle.room, &id, "heard"],
        vec!["cover", &circle.room, &id, "anger"],
        vec!["show", &circle.room, &id],
    ] {
        let answer = circle.fay.run(&words);
        assert!(matches!(answer.code, Some(2 | 3)), "{answer:#?}");
        answer.failed(
            answer.code.unwrap(),
            if answer.code == Some(2) { "no_such_message" } else { "no_words" },
        );
    }
    ben.run(&["edit", &circle.room, &id, "I like you"]).failed(3, "no_words");
    assert!(texts(&circle, &circle.fay).is_empty());
}

#[test]
fn round_of_one_ends() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    circle.fay.run(&["round", &circle.room, "start"]).refused(3, "nobody_to_turn");
    let ben = circle.admit("Ben");
    circle.fay("round", &["start"]);
    assert_eq!(turns(&circle, &ben), ["Ben"]);
    assert_eq!(hands(&circle, &ben)["round"]["mine"], true);
    circle.say(&ben, "I am alone here");
    circle.by(&ben, "done", &[]);
    for person in [&ben, &circle.fay] {
        assert!(turns(&circle, person).is_empty());
    }
}

/// The turn of who is removed or leaves passes on; with the last one the round is over.
#[test]
fn removed_members_end_round() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let (ben, cleo, dee) = (circle.admit("Ben"), circle.admit("Cleo"), circle.admit("Dee"));
    circle.fay("round", &["start", "--order", "roster"]);
    dee.run(&["send", &circle.room, "Kept"]).refused(3, "off_turn");
    circle.fay("remove", &["Ben", "--reason", "request", "Thank you for coming."]);
    assert_eq!(turns(&circle, &cleo), ["Cleo", "Dee"]);
    circle.by(&cleo, "leave", &["--yes"]);
    circle.news(&circle.fay);
    assert_eq!(turns(&circle, &dee), ["Dee"]);
    circle.by(&dee, "outbox", &["--send", "all"]);
    circle.fay("remove", &["Dee", "--reason", "request", "Thank you for coming."]);
    assert!(turns(&circle, &circle.fay).is_empty());
    assert_eq!(texts(&circle, &circle.fay), ["Kept"]);
    circle.fay.run(&["round", &circle.room, "start"]).refused(3, "nobody_to_turn");
    for person in [&ben, &dee] {
        person.run(&["done", &circle.room]).failed(3, "not_member");
    }
}

/// Two moderators press `next` at once: each turn that is passed on was passed on by one of them.
#[test]
fn two_nexts_skip_nobody_unsaid() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let gil = circle.admit("Gil");
    let people = ["Ben", "Cleo", "Dee", "Eli"].map(|name| circle.admit(name));
    circle.fay("role", &["Gil", "cofacilitator"]);
    circle.news(&gil);
    circle.fay("round", &["start", "--order", "roster"]);
    circle.news(&gil);
    let room = &circle.room;
    let answers = thread::scope(|scope| {
        let both = [&circle.fay, &gil].map(|who| scope.spawn(move || who.run(&["next", room])));
        both.map(|one| one.join().unwrap())
    });
    let mut moved = 0;
    for answer in &answers {
        match answer.code {
            Some(0) => moved += 1,
            // Whether both came at once, or one a breath later.
            _ if answer.lines.iter().any(|line| line["error"] == "just_moved") => {}
            _ => drop(answer.failed(3, "too_late")),
        }
    }
    assert!(moved >= 1);
    let wanted = &["Ben", "Cleo", "Dee", "Eli"][moved..];
    for person in people.iter().chain([&gil, &circle.fay]) {
        assert_eq!(turns(&circle, person), wanted);
    }
}

#[test]
fn round_survives_restart_and_amendment() {
    let mut relay = Relay::start();
    let circle = Circle::open(&relay);
    let (ben, cleo) = (circle.admit("Ben"), circle.admit("Cleo"));
    circle.fay("round", &["start", "Sunday", "--order", "roster"]);
    cleo.run(&["send", &circle.room, "Kept for my turn"]).refused(3, "off_turn");
    circle.by(&cleo, "hand", &[]);
    let everybody = [&circle.fay, &ben, &cleo];
    let before = everybody.map(|person| hands(&circle, person));
    assert_eq!(before[0]["round"]["holder"], "Ben");
    assert_eq!(before[0]["round"]["topic"], "Sunday");
    relay.kill();
    // Without the relay each device still knows.
    for (person, before) in everybody.iter().zip(&before) {
        assert_eq!(hands(&circle, person), *before);
    }
    relay.restart();
    let text = text_file("# What we agree on\n\nWhat is said here stays here.\n");
    let amend = ["amend", &circle.room, text.path().to_str().unwrap(), "--editorial"];
    circle.fay.does(&[["agreement"].as_slice(), &amend].concat());
    circle.fay("rekey", &[]);
    for (person, before) in everybody.iter().zip(&before) {
        assert_eq!(hands(&circle, person), *before);
    }
    circle.by(&ben, "done", &[]);
    let held = circle.by(&cleo, "outbox", &[]);
    assert_eq!(held[0]["text"], "Kept for my turn");
    circle.by(&cleo, "outbox", &["--send", "all"]);
    circle.by(&cleo, "done", &[]);
    assert_eq!(texts(&circle, &ben), ["Kept for my turn"]);
    assert!(turns(&circle, &ben).is_empty());
}

/// The turn of a member who has not signed a new agreement passes on when it takes effect.
#[test]
fn lapsed_holder_passes_turn_on() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let (ben, cleo) = (circle.admit("Ben"), circle.admit("Cleo"));
    circle.fay("round", &["start", "--order", "roster"]);
    cleo.run(&["send", &circle.room, "Kept for my turn"]).refused(3, "off_turn");
    let text = text_file("# What we agree on\n\nWhat is said here is forgotten here.\n");
    let path = text.path().to_str().unwrap();
    let amend = ["agreement", "amend", &circle.room, path, "--material", "--effective", "8s"];
    let next = circle.fay.does(&amend)[0]["agreement"].as_str().unwrap().to_owned();
    cleo.does(&["agreement", "acknowledge", &circle.room, "--acknowledge", &next]);
    assert_eq!(turns(&circle, &cleo), ["Ben", "Cleo"], "nothing is in force yet");
    until("the change to take effect", || {
        (circle.fay("status", &[])[0]["agreement"] == *next).then_some(())
    });
    for person in [&circle.fay, &cleo] {
        assert_eq!(turns(&circle, person), ["Cleo"]);
    }
    ben.run(&["done", &circle.room]).failed(3, "not_acknowledged");
    circle.by(&cleo, "outbox", &["--send", "all"]);
    circle.by(&cleo, "done", &[]);
    assert_eq!(texts(&circle, &circle.fay), ["Kept for my turn"]);
}

/// A pause within a round: nobody's turn goes by, and what is written meanwhile stays with its author.
#[test]
fn pause_keeps_the_turn() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let (ben, cleo) = (circle.admit("Ben"), circle.admit("Cleo"));
    circle.fay("round", &["start", "--order", "roster"]);
    let before = hands(&circle, &cleo);
    circle.fay("pause", &["10m", "We breathe now"]);
    ben.run(&["send", &circle.room, "But it is my turn"]).failed(3, "paused");
    ben.run(&["done", &circle.room]).failed(3, "paused");
    ben.run(&["pass", &circle.room]).failed(3, "paused");
    cleo.run(&["send", &circle.room, "Mine, later"]).failed(3, "off_turn");
    cleo.run(&["hand", &circle.room]).failed(3, "paused");
    for person in [&circle.fay, &cleo] {
        assert_eq!(hands(&circle, person), before);
    }
    assert_eq!(circle.by(&ben, "outbox", &[]).len(), 1, "a turn that was refused does not wait");
    circle.fay("resume", &[]);
    circle.by(&ben, "outbox", &["--send", "all"]);
    circle.by(&ben, "done", &[]);
    circle.by(&cleo, "outbox", &["--send", "all"]);
    circle.by(&cleo, "done", &[]);
    assert_eq!(texts(&circle, &circle.fay), ["But it is my turn", "Mine, later"]);
    assert!(turns(&circle, &ben).is_empty());
}
