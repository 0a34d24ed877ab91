//! What takes two who moderate, through the real programs.

use hearth_kit::{Circle, Person, Relay};

use super::acts;

/// A room with a co-facilitator and the rule.
fn ruled(relay: &Relay) -> (Circle, Person) {
    let circle = Circle::open(relay);
    let gil = circle.admit("Gil");
    circle.fay("role", &["Gil", "cofacilitator"]);
    circle.fay("two-person", &["on"]);
    (circle, gil)
}

#[test]
fn removal_waits_for_the_second() {
    let relay = Relay::start();
    let (circle, gil) = ruled(&relay);
    let (ben, cleo) = (circle.admit("Ben"), circle.admit("Cleo"));
    circle.news(&cleo);
    let proposed = circle.fay("remove", &["Ben", "--goodbye", "Take care", "I call you"]);
    let number = proposed[0]["proposal"].to_string();
    assert_eq!(proposed[0]["others"], serde_json::json!(["Gil"]));
    // The talk says nothing, and nothing has happened.
    let seen = format!("{:?}", circle.history(&cleo));
    assert!(!seen.contains("propose") && !seen.contains("Take care"), "{seen}");
    circle.say(&ben, "I am here");
    cleo.run(&["proposals", &circle.room]).failed(3, "not_facilitator");
    let log = format!("{:?}", circle.by(&cleo, "log", &[]));
    assert!(log.contains("propose") && !log.contains("\"target\": String(\"Ben\")"), "{log}");
    circle.fay.run(&["confirm", &circle.room, &number]).failed(3, "own_proposal");

    let told = gil.sees(&["read", &circle.room]).stderr;
    assert!(told.contains("Fay proposes something that takes you, too"), "{told}");
    let waits = circle.by(&gil, "proposals", &[]);
    assert_eq!((&waits[0]["by"], &waits[0]["about"]), (&"Fay".into(), &"Ben".into()));
    let told = gil.sees(&["proposals", &circle.room]).stdout;
    assert!(told.contains("words to Ben: I call you"), "{told}");
    circle.by(&gil, "confirm", &[&number]);
    ben.run(&["send", &circle.room, "Wait"]).refused(3, "not_member");
    let told = ben.sees(&["read", &circle.room, "--all"]).stdout;
    assert!(told.contains("Gil has ended your place") && told.contains("I call you"), "{told}");
    let seen = circle.history(&cleo);
    assert_eq!(acts(&seen, "remove")[0]["target"], "Ben");
    assert!(circle.by(&gil, "proposals", &[]).is_empty());
}

#[test]
fn day_long_break_waits_for_the_second() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let (gil, ben) = (circle.admit("Gil"), circle.admit("Ben"));
    circle.fay.run(&["break", &circle.room, "Ben", "2d", "We"]).failed(3, "out_of_range");
    circle.fay("role", &["Gil", "cofacilitator"]);
    circle.news(&gil);
    let proposed = circle.fay("break", &["Ben", "2d", "We", "talk", "first"]);
    let number = proposed[0]["proposal"].to_string();
    circle.say(&ben, "Still here");
    assert_eq!(circle.by(&gil, "proposals", &[])[0]["about"], "Ben");
    circle.by(&gil, "confirm", &[&number]);
    ben.run(&["send", &circle.room, "Hello"]).failed(3, "timed_out");
    let seen = format!("{:?}", circle.history(&ben));
    assert!(seen.contains("We talk first"), "{seen}");
}

#[test]
fn rule_ends_by_two() {
    let relay = Relay::start();
    let (circle, gil) = ruled(&relay);
    circle.admit("Ben");
    let number = circle.fay("two-person", &["off"])[0]["proposal"].to_string();
    circle.fay("withdraw-proposal", &[&number]);
    gil.run(&["confirm", &circle.room, &number]).failed(3, "no_proposal");
    let number = circle.fay("two-person", &["off"])[0]["proposal"].to_string();
    circle.by(&gil, "confirm", &[&number]);
    circle.fay("remove", &["Ben", "--reason", "request", "As you wished"]);
}
