//! Moderators who do not sit in a member's line get the call by a note, and answer by one.

use hearth_kit::{AGREEMENT, Circle, Person, Relay, text_file};

use super::{calls, flags, open, stage};

/// A co-facilitator whose program has not come back since: nobody could seat them.
fn unseated(circle: &Circle, name: &str) -> Person {
    let person = circle.admit(name);
    circle.fay("role", &[name, "cofacilitator"]);
    person
}

#[test]
fn unseated_moderator_gets_the_flag() {
    let relay = Relay::start();
    let circle = open(&relay);
    let ben = circle.admit("Ben");
    let gil = unseated(&circle, "Gil");
    circle.news(&ben);
    let call = calls(&circle, &ben, "Please");
    assert_eq!(call["unreached"], serde_json::json!([]));
    let at_gils = flags(&circle, &gil);
    assert_eq!((&at_gils[0]["flag"], &at_gils[0]["text"]), (&call["call"], &"Please".into()));
    circle.by(&gil, "flag", &["seen"]);
    let seen = stage(&circle, &ben).unwrap();
    assert_eq!((&seen["stage"], &seen["by"]), (&"seen".into(), &"Gil".into()));
    // Fay has it in the line, once.
    assert_eq!(flags(&circle, &circle.fay).len(), 1);
}

/// Gil was appointed while the caller's device was away, and the call is the first that it does.
#[test]
fn unheard_of_moderator_gets_it() {
    let relay = Relay::start();
    let circle = open(&relay);
    let ben = circle.admit("Ben");
    let gil = unseated(&circle, "Gil");
    let call = calls(&circle, &ben, "Please");
    assert_eq!(
        (&call["to"], &call["unreached"]),
        (&serde_json::json!(["Fay", "Gil"]), &serde_json::json!([]))
    );
    assert_eq!(flags(&circle, &gil)[0]["flag"], call["call"]);
}

#[test]
fn two_answers_at_once_name_one() {
    let relay = Relay::start();
    let circle = open(&relay);
    let ben = circle.admit("Ben");
    let gil = unseated(&circle, "Gil");
    circle.news(&ben);
    calls(&circle, &ben, "Please");
    // Neither knows of the other's answer.
    flags(&circle, &gil);
    circle.fay("flag", &["seen"]);
    circle.by(&gil, "flag", &["seen"]);
    let first = stage(&circle, &ben).unwrap();
    let again = stage(&circle, &ben).unwrap();
    assert_eq!((&first["stage"], &first["by"]), (&"seen".into(), &again["by"]));
}

/// With nobody in the line yet, the call goes to all who moderate.
#[test]
fn call_before_the_line_is_open() {
    let relay = Relay::start();
    let circle = open(&relay);
    let ben = Person::new();
    circle.knock(&ben, "Ben");
    circle.fay("admit", &["Ben"]);
    // The first thing that Ben does in the room.
    let call = calls(&circle, &ben, "Now");
    assert_eq!(call["stage"], "sent");
    assert_eq!(flags(&circle, &circle.fay)[0]["flag"], call["call"]);
}

/// Who has not signed yet has no keys of the room; the call goes by notes, and so does the answer.
#[test]
fn lapsed_member_can_still_call() {
    let relay = Relay::start();
    let circle = open(&relay);
    let ben = circle.admit("Ben");
    circle.news(&ben);
    let text = text_file(&format!("{AGREEMENT}\n4. We begin on time.\n"));
    let path = text.path().to_str().unwrap();
    circle.fay.does(&["agreement", "amend", &circle.room, path, "--material"]);
    ben.run(&["read", &circle.room]);
    let call = calls(&circle, &ben, "Please");
    assert_eq!((&call["stage"], &call["to"]), (&"sent".into(), &serde_json::json!(["Fay"])));
    assert_eq!(flags(&circle, &circle.fay)[0]["flag"], call["call"]);
    circle.fay("flag", &["seen"]);
    let read = ben.run(&["read", &circle.room]);
    let seen = read.lines.iter().rfind(|row| row["kind"] == "help").unwrap();
    assert_eq!((&seen["stage"], &seen["by"]), (&"seen".into(), &"Fay".into()));
}
