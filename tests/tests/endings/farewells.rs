//! A planned goodbye, and a member who died.

use hearth_kit::{Circle, Relay, until};

use super::acts;

#[test]
fn farewell_is_never_a_removal() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let (ben, cleo) = (circle.admit("Ben"), circle.admit("Cleo"));
    circle.news(&cleo);
    circle.fay("farewell", &["Ben", "2s", "Ben moves to another town"]);
    let told = cleo.sees(&["read", &circle.room]);
    assert!(told.stdout.contains("we say goodbye to Ben on"), "{}", told.stdout);
    assert!(told.stdout.contains("Ben moves to another town"), "{}", told.stdout);
    ben.run(&["farewell", &circle.room, "Cleo", "7d"]).failed(3, "not_facilitator");
    // Nothing ends by itself: a person says so.
    let said = ["farewell", circle.room.as_str(), "Ben", "--said"];
    until("the day of the goodbye", || {
        let told = circle.fay.sees(&["read", &circle.room]).stderr;
        told.contains("It is time to say goodbye to Ben").then_some(())
    });
    circle.say(&ben, "Thank you all.");
    circle.fay.run(&said).done();
    let seen = circle.history(&cleo);
    let gone = acts(&seen, "farewell_said");
    assert_eq!((&gone[0]["target"], &gone[0]["kind"]), (&"Ben".into(), &"roster".into()));
    let everything = format!("{seen:?}{:?}", circle.by(&cleo, "log", &[]));
    assert!(!everything.contains("removed"), "{everything}");
    let answer = ben.run(&["send", &circle.room, "Wait"]);
    let refusal = answer.refused(3, "not_member");
    assert!(refusal["message"].as_str().unwrap().contains("as it was planned"), "{refusal}");
    assert_eq!(ben.does(&["room", "list"])[0]["standing"], "farewell");
}

#[test]
fn remembered_member_is_asked_nothing() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let (dee, cleo) = (circle.admit("Dee"), circle.admit("Cleo"));
    circle.say(&dee, "I was here.");
    circle.by(&dee, "checkin", &["Good night"]);
    circle.news(&cleo);
    circle.fay.run(&["remember", &circle.room, "Dee"]).failed(2, "usage");
    circle.fay("remember", &["Dee", "Dee has died. You have all heard it from me."]);
    let told = cleo.sees(&["read", &circle.room]).stdout;
    assert!(told.contains("** Fay: Dee has died. You have all heard it from me. **"), "{told}");
    assert!(!told.contains("removed") && !told.contains("left the room"), "{told}");
    // The device may be in other hands: it reads and says nothing later.
    dee.run(&["send", &circle.room, "It is me"]).refused(3, "not_member");
    let due = format!("{:?}", circle.fay("checkin", &["due"]));
    assert!(!due.contains("Dee"), "{due}");
    let seen = format!("{:?}", circle.history(&cleo));
    assert!(seen.contains("I was here."), "{seen}");
}
