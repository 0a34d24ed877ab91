//! Whoever is in the room has acknowledged the agreement in force, also after it changed.

use hearth_kit::{AGREEMENT, Circle, Person, Relay, text_file, until};
use serde_json::Value;

fn texts(rows: &[Value]) -> Vec<&str> {
    let text = |row: &&Value| row["kind"] == "text";
    rows.iter().filter(text).map(|row| row["text"].as_str().unwrap()).collect()
}

fn amend(circle: &Circle, more: &str, flags: &[&str]) -> String {
    let file = text_file(&format!("{AGREEMENT}{more}\n"));
    let path = file.path().to_str().unwrap();
    let args = [["agreement", "amend", &circle.room, path].as_slice(), flags].concat();
    circle.fay.does(&args)[0]["agreement"].as_str().unwrap().to_owned()
}

fn names(circle: &Circle, person: &Person) -> Vec<String> {
    let who = circle.by(person, "who", &[]);
    let inside = who.iter().filter(|m| m["waits"] != true);
    let mut names: Vec<String> = inside.map(|m| m["name"].as_str().unwrap().to_owned()).collect();
    names.sort_unstable();
    names
}

#[test]
fn an_editorial_change_blocks_nobody() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    let next = amend(&circle, "4. A typo less.", &["--editorial"]);
    let news = circle.news(&ben);
    assert!(news.iter().any(|r| r["act"] == "amend" && r["agreement"] == *next), "{news:?}");
    circle.say(&ben, "I am still here");
    let shown = ben.does(&["agreement", "show", &circle.room]);
    assert_eq!(shown[0]["id"], *next);
    assert_eq!(shown[0]["version"], 2);
    let diff = ben.does(&["agreement", "diff", &circle.room]);
    assert_eq!(diff[0]["added"][0], "4. A typo less.");
    assert_eq!(names(&circle, &ben), ["Ben", "Fay"]);
    // Newcomers acknowledge the newest words.
    let link = circle.invite(&[]);
    let cleo = Person::new();
    assert_eq!(cleo.does(&["agreement", "show", &link])[0]["agreement"], *next);
}

#[test]
fn a_material_change_puts_out_who_has_not_acknowledged_until_they_do() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    let cleo = circle.admit("Cleo");
    circle.say(&ben, "Before the change");
    circle.news(&cleo);
    let next = amend(&circle, "4. Phones stay outside.", &["--material"]);
    assert_eq!(names(&circle, &circle.fay), ["Fay"]);
    circle.say(&circle.fay, "Said while they are out");

    // Ben is told what to do, and cannot speak before he has done it.
    let refusal = ben.run(&["send", &circle.room, "Hello?"]);
    let refusal = refusal.refused(3, "not_acknowledged");
    assert_eq!(refusal["kept"], true);
    assert!(refusal["try"].as_str().unwrap().contains("hearth agreement acknowledge"));
    let shown = ben.does(&["agreement", "show", &circle.room]);
    assert_eq!(shown[0]["id"], *next);
    assert!(shown[0]["text"].as_str().unwrap().contains("Phones stay outside"));
    ben.run(&["agreement", "acknowledge", &circle.room]).refused(3, "not_acknowledged");
    let old =
        ben.run(&["agreement", "acknowledge", &circle.room, "--acknowledge", &circle.agreement]);
    old.refused(3, "not_acknowledged");

    circle.fay("announce", &["Said while Ben is out"]);
    let back = ["agreement", "acknowledge", &circle.room, "--acknowledge", &next];
    let waiting = ben.starts(&back);
    // Whatever Fay does lets him back in.
    until("Ben to be back", || {
        let news = circle.news(&circle.fay);
        news.iter().any(|row| row["text"] == "Ben is back").then_some(())
    });
    let ended = waiting.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    // What was kept is not sent unasked.
    assert_eq!(circle.by(&ben, "outbox", &[])[0]["held"], "out");
    circle.say(&ben, "I am back");
    // What was done while he was out is missing from his log, which is whole all the same.
    let log = circle.by(&ben, "log", &[]);
    let numbers: Vec<u64> = log.iter().map(|record| record["number"].as_u64().unwrap()).collect();
    assert!(numbers.windows(2).any(|pair| pair[1] > pair[0] + 1), "{numbers:?}");
    let history = circle.history(&ben);
    assert_eq!(texts(&history), ["Before the change", "I am back"]);
    assert_eq!(names(&circle, &circle.fay), ["Ben", "Fay"]);
    let who = circle.by(&ben, "who", &[]);
    let signed = |m: &Value| m["agreement"] == *next && m["acknowledged"] == true;
    assert!(who.iter().all(|m| m["waits"] == true || signed(m)), "{who:?}");
    assert_eq!(texts(&circle.news(&circle.fay)).last(), Some(&"I am back"));
    // Cleo has read nothing since.
    assert_eq!(texts(&circle.history(&cleo)), ["Before the change"]);
    cleo.run(&["send", &circle.room, "?"]).refused(3, "not_acknowledged");
}

#[test]
fn who_acknowledges_early_stays_in() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    let cleo = circle.admit("Cleo");
    let next = amend(&circle, "4. Be on time.", &["--material", "--effective", "8s"]);
    let args = ["agreement", "acknowledge", &circle.room, "--acknowledge", &next];
    assert_eq!(ben.does(&args)[0]["acknowledged"], *next);
    // At its time it takes effect with whatever a facilitator does next.
    until("the change to take effect", || {
        (circle.fay("status", &[])[0]["agreement"] == *next).then_some(())
    });
    circle.say(&ben, "Still here");
    cleo.run(&["send", &circle.room, "Oh"]).refused(3, "not_acknowledged");
    assert_eq!(names(&circle, &ben), ["Ben", "Fay"]);
    let who = circle.by(&circle.fay, "who", &[]);
    let signed = |m: &Value| m["agreement"] == *next && m["acknowledged"] == true;
    assert!(who.iter().all(|m| m["waits"] == true || signed(m)), "{who:?}");
}

#[test]
fn nothing_is_blocked_before_a_change_takes_effect() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    let next = amend(&circle, "4. Be on time.", &["--material", "--effective", "30d"]);
    circle.say(&ben, "I have time");
    assert_eq!(circle.by(&ben, "status", &[])[0]["pending_agreement"], *next);
    let diff = ben.does(&["agreement", "diff", &circle.room]);
    assert_eq!(diff[0]["added"][0], "4. Be on time.");
    ben.run(&["agreement", "enact", &circle.room]).refused(3, "not_facilitator");
    circle.fay.run(&["agreement", "enact", &circle.room]).refused(3, "not_yet");
    circle.say(&ben, "Still");
}

#[test]
fn a_change_takes_effect_by_itself_when_its_time_has_come() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    let next = amend(&circle, "4. Be kind.", &["--material", "--effective", "1s"]);
    until("the change to take effect", || {
        (circle.fay("status", &[])[0]["agreement"] == *next).then_some(())
    });
    ben.run(&["send", &circle.room, "Oh"]).refused(3, "not_acknowledged");
}

#[test]
fn an_invite_to_the_old_agreement_admits_nobody_to_the_new() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let link = circle.invite(&["--uses", "3"]);
    let (early, late) = (Person::new(), Person::new());
    circle.knock_with(&early, "Early", &link);
    let next = amend(&circle, "4. No recordings.", &["--material"]);
    // Who knocked before has acknowledged something else than what holds now.
    let knocks = circle.fay("knocks", &[]);
    assert!(knocks.iter().all(|knock| knock["acknowledged"] == false), "{knocks:?}");
    let answer = circle.fay.run(&["admit", &circle.room, "Early"]);
    assert_ne!(answer.code, Some(0));
    for ack in [circle.agreement.as_str(), next.as_str()] {
        let answer = late.run(&["join", &link, "--as", "Late", "--acknowledge", ack, "--no-wait"]);
        assert_ne!(answer.code, Some(0), "{answer:?}");
    }
    assert_eq!(names(&circle, &circle.fay), ["Fay"]);
}

#[test]
fn damage_to_a_text_is_refused_before_anybody_sees_it() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    for text in ["", "  \n ", "a\u{1b}[2Jb", &"long ".repeat(20_000)] {
        let file = text_file(text);
        let path = file.path().to_str().unwrap();
        let args = ["agreement", "amend", &circle.room, path, "--editorial"];
        circle.fay.run(&args).refused(2, "usage");
    }
    circle
        .fay
        .run(&["agreement", "amend", &circle.room, "/nonexistent", "--editorial"])
        .refused(2, "usage");
    assert_eq!(circle.fay("status", &[])[0]["agreement_version"], 1);
}
