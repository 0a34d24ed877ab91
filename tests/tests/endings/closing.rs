//! The end of a group: announced, kept by relay and members, and erased.
//!
//! The programs run under clocks of their own, where `faketime` is there.

use hearth_kit::{Circle, Person, Relay, clock, until};
use serde_json::Value;

use super::acts;

#[test]
fn end_is_announced_and_called_off() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    circle.news(&ben);
    circle.fay.run(&["close-group", &circle.room, "13d"]).failed(3, "too_soon");
    ben.run(&["close-group", &circle.room, "21d"]).failed(3, "not_facilitator");
    circle.fay.run(&["close-group", &circle.room, "soon"]).failed(2, "usage");
    circle.fay("close-group", &["21d", "The programme's phone"]);
    let told = ben.sees(&["read", &circle.room]);
    assert!(told.stdout.contains("After that nobody can write"), "{}", told.stdout);
    assert!(told.stdout.contains("you can turn to: The programme's phone"), "{}", told.stdout);
    // It is said again at each look.
    for _ in 0..2 {
        let told = ben.sees(&["read", &circle.room]).stderr;
        assert!(told.contains("This group ends on"), "{told}");
    }
    let cleo = circle.admit("Cleo");
    let told = cleo.sees(&["read", &circle.room]).stderr;
    assert!(told.contains("This group ends on"), "{told}");
    circle.fay("close-group", &["9d", "--sooner", "The programme closes"]);
    circle.fay("close-group", &["--call-off"]);
    let seen = circle.news(&ben);
    assert_eq!(acts(&seen, "close_group_called_off").len(), 1);
    assert!(!ben.sees(&["read", &circle.room]).stderr.contains("This group ends"));
    circle.say(&ben, "We go on.");
}

fn refused(person: &Person, spec: &str, args: &[&str]) -> String {
    let answer = person.run_under(&clock(spec).unwrap(), args);
    assert_ne!(answer.code, Some(0), "{answer:#?}");
    let last = answer.lines.last().unwrap_or(&Value::Null);
    last["error"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn ended_room_is_erased_everywhere() {
    let Some(_) = clock("+0") else { return };
    let mut relay = Relay::start();
    let circle = Circle::open(&relay);
    let (ben, cleo) = (circle.admit("Ben"), circle.admit("Cleo"));
    let room = circle.room.as_str();
    circle.fay("close-group", &["21d", "The programme's phone"]);
    circle.say(&ben, "Thank you all.");
    circle.news(&cleo);
    circle.by(&ben, "checkin", &["And to you."]);
    let mine = ben.home().parent().unwrap().join("mine.txt");
    circle.by(&ben, "export-mine", &[mine.to_str().unwrap()]);
    let kept = std::fs::read_to_string(&mine).unwrap();
    assert!(kept.contains("Thank you all.") && kept.contains("And to you."), "{kept}");
    let receipt = ben.does(&["receipt", room]);

    relay.stop();
    relay.set_under(clock("+22d").unwrap());
    relay.restart();
    for person in [&ben, &circle.fay] {
        assert_eq!(refused(person, "+22d", &["send", room, "One more"]), "ended");
    }
    assert_eq!(refused(&circle.fay, "+22d", &["close-group", room, "--call-off"]), "ended");
    // The line to the facilitators works until the room is erased.
    ben.run_under(&clock("+22d").unwrap(), &["checkin", room, "Are you there?"]).done();

    relay.stop();
    relay.set_under(clock("+29d").unwrap());
    relay.restart();
    until("the room to be deleted", || {
        // A clock of their own that is behind erases nothing.
        let code = refused(&cleo, "+1d", &["send", room, "Hello"]);
        (code == "not_member").then_some(())
    });
    let seen = format!("{:?}", cleo.run(&["read", room, "--all"]));
    assert!(seen.contains("Thank you all."), "{seen}");
    assert_eq!(refused(&ben, "+29d", &["send", room, "Hello"]), "not_member");
    assert_eq!(ben.does(&["room", "list"])[0]["standing"], "ended");
    let seen = format!("{:?}", ben.run(&["read", room, "--all"]));
    assert!(!seen.contains("Thank you all."), "{seen}");
    assert_eq!(ben.does(&["receipt", room]), receipt);
    let held = std::fs::read(relay.data().join("hearth.db")).unwrap();
    assert!(!held.is_empty());
}

/// Ben's device knows the day on which the room is deleted, and not yet that it is not.
#[test]
fn called_off_end_erases_nothing() {
    let Some(_) = clock("+0") else { return };
    let mut relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    circle.fay("close-group", &["21d", "The programme's phone"]);
    circle.news(&ben);
    circle.fay("close-group", &["--call-off"]);
    relay.stop();
    relay.set_under(clock("+29d").unwrap());
    relay.restart();
    let room = circle.room.as_str();
    ben.run_under(&clock("+29d").unwrap(), &["send", room, "I am back."]).done();
    assert_eq!(ben.does(&["room", "list"])[0]["standing"], "member");
}
