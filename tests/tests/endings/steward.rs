//! A steward of its own: a profile that lets people in by rule and holds no check-in.

use hearth_kit::{Circle, Person, Relay, until};

#[test]
fn steward_admits_and_says_nothing() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let sam = Person::new();
    let link = circle.invite(&["--role", "steward"]);
    circle.knock_with(&sam, "Sam", &link);
    circle.fay("admit", &["Sam"]);
    circle.by(&sam, "read", &[]);
    let told = circle.fay.sees(&["who", &circle.room]).stdout;
    assert!(
        told.contains("reads the room, lets people in by rule, and is in no check-in"),
        "{told}"
    );
    sam.run(&["send", &circle.room, "I am a program"]).failed(3, "observer");
    sam.run(&["pause", &circle.room, "10m", "No"]).failed(3, "not_facilitator");

    let cleo = Person::new();
    circle.knock(&cleo, "Cleo");
    let ended = sam.starts(&["steward", &circle.room, "--count", "1"]).wait();
    assert!(ended.stdout.contains("\"admitted\":\"Cleo\""), "{ended:?}");
    circle.news(&cleo);
    circle.say(&cleo, "Good evening.");
    // The next client of somebody who moderates opens her check-in.
    circle.by(&cleo, "checkin", &[]);
    until("a check-in that somebody reads", || {
        circle.fay("checkin", &[]);
        let sent = cleo.run(&["checkin", &circle.room, "Are you there?"]);
        let to = sent.lines.last().is_some_and(|line| line["to"] == serde_json::json!(["Fay"]));
        to.then_some(())
    });
    let lanes = format!("{:?}", circle.fay("checkin", &[]));
    assert!(lanes.contains("Cleo") && !lanes.contains("Sam"), "{lanes}");
}
