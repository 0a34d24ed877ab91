//! A breach with six members.

use hearth_kit::{Circle, Relay};

use super::{acts, say_yes, seen};

#[test]
fn breach_closes_among_six() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let names = ["Ben", "Cleo", "Dee", "Eli", "Hana"];
    let people = names.map(|name| circle.admit(name));
    let [ben, cleo, _, eli, hana] = &people;
    circle.fay("role", &["Cleo", "cofacilitator"]);
    circle.news(cleo);
    ben.run(&["breach", &circle.room, "open", "I heard"]).refused(3, "not_facilitator");
    circle.by(cleo, "breach", &["open", "Somebody told. I write to each of you by six."]);
    for person in &people {
        let news = circle.news(person);
        let row = news.iter().rfind(|row| row["act"] == "breach_open").unwrap();
        let text = row["text"].as_str().unwrap();
        assert!(text.ends_with("I write to each of you by six."), "{text}");
    }
    // Talk stops; check-ins and help-now go on.
    ben.run(&["send", &circle.room, "What?"]).failed(3, "paused");
    assert_eq!(circle.by(ben, "checkin", &["Was it about me?"])[0]["sent"], true);
    ben.does(&["help-now", &circle.room, "--tell", "Please"]);
    circle.fay("flag", &["seen"]);
    for command in [&["resume"][..], &["pause", "10m", "Breathe"]] {
        let args = [&[command[0], circle.room.as_str()], &command[1..]].concat();
        circle.fay.run(&args).refused(3, "breach_open");
    }
    // Whoever closes it has said yes again.
    let close = ["breach", &circle.room, "close", "We go on. You decide what you share."];
    cleo.run(&close).refused(3, "not_facilitator");
    circle.fay.run(&close).refused(3, "not_acknowledged");
    assert_eq!(circle.fay("status", &[])[0]["breach"], true);
    for person in [&circle.fay, ben, &people[2], eli] {
        say_yes(&circle, person, &circle.agreement);
    }
    let yes = |name: &str| seen(&circle, &circle.fay, name)["said_yes"] == true;
    assert_eq!(names.map(yes), [true, true, true, true, false]);
    circle.fay.does(&close);
    let news = circle.news(ben);
    assert!(acts(&news).contains(&("breach_close", "Hana")), "{news:?}");
    circle.by(ben, "outbox", &["--drop", "all"]);
    circle.say(ben, "I will be careful");
    circle.say(cleo, "So will I");
    // Hana waits, and is back by one step.
    circle.news(hana);
    hana.run(&["send", &circle.room, "?"]).refused(3, "not_acknowledged");
    assert_eq!(circle.by(hana, "checkin", &["I was asleep"])[0]["sent"], true);
    say_yes(&circle, hana, &circle.agreement);
    circle.news(&circle.fay);
    circle.say(hana, "Here now");
    assert_eq!(seen(&circle, eli, "Hana")["role"], "member");
    let log = circle.by(eli, "log", &[]);
    let logged: Vec<&str> = log.iter().filter_map(|record| record["act"].as_str()).collect();
    assert!(logged.contains(&"breach_open") && logged.contains(&"breach_close"), "{logged:?}");
    // The log has no words.
    assert!(!serde_json::to_string(&log).unwrap().contains("by six"), "{log:?}");
    assert_eq!(circle.fay("status", &[])[0]["alarms"], serde_json::json!([]));
}
