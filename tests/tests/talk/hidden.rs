//! Words that a device hides: under a filter, or of a muted member.

use hearth_kit::{Circle, Person, Relay};
use serde_json::Value;

use super::{id_of, sees};

/// Returns what a person can read of the whole history, as a person and as a program do.
fn all(circle: &Circle, person: &Person) -> (String, Vec<Value>) {
    (sees(circle, person, "read", &["--all"]), circle.history(person))
}

fn is_nowhere(words: &str, (text, rows): &(String, Vec<Value>)) {
    assert!(!text.contains(words), "{text}");
    assert!(!rows.iter().any(|row| row.to_string().contains(words)), "{rows:#?}");
}

#[test]
fn filter_hides_words_under_note() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    circle.by(&ben, "filter", &["drinking"]);
    circle.fay("cw", &["Drinking again", "I had wine"]);
    circle.fay("cw", &["food", "I had soup"]);
    let id = id_of(&circle.history(&circle.fay), "I had wine");
    circle.by(&ben, "reply", &[&id, "Thank you"]);
    circle.fay("edit", &[&id, "I had wine twice"]);
    let seen = all(&circle, &ben);
    is_nowhere("wine", &seen);
    let short = sees(&circle, &circle.fay, "read", &["--all"]);
    let short = short.lines().find(|line| line.contains("I had wine twice")).unwrap();
    let short = short.split_once("  [").unwrap().1.split(']').next().unwrap();
    let shows = format!("`hearth show {} {short}` reads it", circle.room);
    assert!(seen.0.contains(&format!("Fay [Drinking again]: {shows}")), "{}", seen.0);
    assert!(seen.0.contains("[Drinking again]: `hearth show"), "{}", seen.0);
    assert!(seen.0.contains("Fay [food]: I had soup"), "{}", seen.0);
    let row = seen.1.iter().find(|row| row["id"] == id.as_str()).unwrap();
    assert_eq!((&row["filtered"], &row["topic"]), (&true.into(), &"Drinking again".into()));
    let edit = seen.1.iter().find(|row| row["kind"] == "edit").unwrap();
    assert_eq!((&edit["filtered"], &edit["words"]), (&true.into(), &Value::Null));
    // To ask for it is to see it.
    let shown = circle.by(&ben, "show", &[&id]);
    assert_eq!(shown[0]["text"], "I had wine twice");
    assert!(sees(&circle, &ben, "show", &[&id]).contains("I had wine twice"));
    // Fay, who has set nothing, sees everything.
    assert!(sees(&circle, &circle.fay, "read", &["--all"]).contains("I had wine twice"));
    circle.by(&ben, "filter", &["DRINKING", "--off"]);
    assert!(sees(&circle, &ben, "read", &["--all"]).contains("I had wine twice"));
}

/// A moderator's note and the author's count alike, whichever is shown.
#[test]
fn filter_heeds_both_notes() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    circle.by(&ben, "filter", &["self", "harm"]);
    circle.fay("cw", &["self-harm", "words below"]);
    circle.say(&circle.fay, "plain words");
    let rows = circle.history(&circle.fay);
    circle.fay("cover", &[&id_of(&rows, "words below"), "evenings"]);
    circle.fay("cover", &[&id_of(&rows, "plain words"), "on self harm"]);
    circle.fay("pin", &[&id_of(&rows, "plain words")]);
    let seen = all(&circle, &ben);
    is_nowhere("words below", &seen);
    is_nowhere("plain words", &seen);
    let status = sees(&circle, &ben, "status", &[]);
    assert!(status.contains("Fay: [on self harm]") && !status.contains("plain words"), "{status}");
}

#[test]
fn filters_are_listed_and_bounded() {
    let mut relay = Relay::start();
    let circle = Circle::open(&relay);
    // Nothing of it needs the relay, or reaches it.
    relay.kill();
    let fay = &circle.fay;
    assert!(sees(&circle, fay, "filter", &[]).contains("You have set no filter."));
    for topic in ["food", "drinking", "Food"] {
        circle.fay("filter", &[topic]);
    }
    let listed = circle.fay("filter", &[]);
    let listed: Vec<&str> = listed.iter().map(|row| row["filter"].as_str().unwrap()).collect();
    assert_eq!(listed, ["food", "drinking"]);
    assert!(sees(&circle, fay, "filter", &["work", "--off"]).contains("You have no filter"));
    fay.run(&["filter", &circle.room, "!?"]).failed(2, "usage");
    let long = "x".repeat(81);
    fay.run(&["filter", &circle.room, &long]).failed(3, "topic_too_long");
    for number in 2..64 {
        circle.fay("filter", &[&format!("topic {number}")]);
    }
    fay.run(&["filter", &circle.room, "one", "more"]).failed(3, "too_many_filters");
}

#[test]
fn muted_words_can_be_read() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let (ben, eli) = (circle.admit("Ben"), circle.admit("Eli"));
    let told = sees(&circle, &ben, "mute", &["Eli"]);
    assert!(told.contains("You may miss a call for help"), "{told}");
    let how = format!("hearth show {} --from Eli", circle.room);
    assert!(told.contains(&how), "{told}");
    circle.fay("round", &["start", "How are you?", "--order", "roster"]);
    circle.by(&ben, "done", &[]);
    let turn = sees(&circle, &ben, "read", &[]);
    assert!(turn.contains("Next: Eli (you muted Eli)") && turn.contains(&how), "{turn}");
    for n in 1..=6 {
        circle.say(&eli, &format!("word {n}"));
    }
    circle.by(&circle.fay, "reply", &["I hear you"]);
    let seen = all(&circle, &ben);
    is_nowhere("word ", &seen);
    assert!(seen.0.contains("Fay (to Eli): I hear you"), "{}", seen.0);
    let read = sees(&circle, &ben, "show", &["--from", "Eli"]);
    let read: Vec<&str> =
        read.lines().filter_map(|line| line.split_once("Eli: ")?.1.split("  [").next()).collect();
    assert_eq!(read, ["word 2", "word 3", "word 4", "word 5", "word 6"]);
    let id = id_of(&circle.history(&circle.fay), "word 1");
    assert!(sees(&circle, &ben, "show", &[&id]).contains("word 1"));
    let nothing = circle.by(&circle.fay, "round", &["end"]);
    assert_eq!(nothing.len(), 0);
    let none = circle.fay.run(&["show", &circle.room, "--from", "Ben"]);
    none.failed(2, "no_such_message");
}

/// The round's first holder has no line of their own unless they are muted.
#[test]
fn muted_first_holder_is_named() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let (ben, _eli) = (circle.admit("Ben"), circle.admit("Eli"));
    circle.by(&ben, "mute", &["Eli"]);
    circle.fay("call", &["Eli"]);
    let seen = sees(&circle, &ben, "read", &[]);
    assert!(seen.contains("Eli has the floor (you muted Eli)"), "{seen}");
}

/// An answer that waits for one's own is not shown by its id either.
#[test]
fn veiled_answer_is_not_shown_early() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let (ben, eli) = (circle.admit("Ben"), circle.admit("Eli"));
    circle.fay("prompt", &["What was it like?", "--after-own"]);
    circle.news(&eli);
    circle.by(&eli, "answer", &["like a closed door"]);
    let id = id_of(&circle.history(&circle.fay), "like a closed door");
    circle.news(&ben);
    for args in [["show", &circle.room, &id].as_slice(), &["show", &circle.room, "--from", "Eli"]] {
        let early = ben.sees(args);
        assert!(!early.stdout.contains("closed door"), "{early:?}");
    }
    circle.by(&ben, "answer", &["like rain"]);
    for args in [[id.as_str()].as_slice(), &["--from", "Eli"]] {
        let shown = sees(&circle, &ben, "show", args);
        assert!(shown.contains("like a closed door"), "{shown}");
    }
}
