//! A phone is stolen, and its member comes back with another.

use hearth_kit::{Circle, Person, Relay};

use super::acts;

/// Makes the link for a member's new device.
fn link_for(circle: &Circle, name: &str) -> String {
    circle.fay("new-device", &[name])[0]["link"].as_str().unwrap().to_owned()
}

/// Knocks with a link for a new device; returns what was said beside the result.
fn comes_back(circle: &Circle, person: &Person, link: &str) -> String {
    let join = ["join", link, "--acknowledge", &circle.agreement, "--no-wait"];
    let answer = person.run(&join);
    assert_eq!(answer.code, Some(0), "{answer:#?}");
    answer.stderr
}

#[test]
fn new_device_comes_back_as_its_member() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let (old, cleo) = (circle.admit("Ben"), circle.admit("Cleo"));
    circle.by(&old, "checkin", &["Before it was stolen"]);
    let before = circle.fay("checkin", &["Ben"]);
    circle.news(&cleo);

    let link = link_for(&circle, "Ben");
    // The thief reads nothing later, and says nothing.
    circle.say(&circle.fay, "Ben's phone was stolen.");
    old.run(&["send", &circle.room, "It is me"]).refused(3, "not_member");
    assert_eq!(old.does(&["room", "list"])[0]["standing"], "device_lost");
    let seen = circle.history(&old);
    assert!(!format!("{seen:?}").contains("was stolen"), "{seen:?}");
    let told = cleo.sees(&["read", &circle.room]).stdout;
    assert!(told.contains("Ben has not left, and comes back with a new one"), "{told}");
    let waits = circle.by(&cleo, "who", &[]);
    assert!(waits.iter().any(|row| row["name"] == "Ben" && row["waits_for_device"] == true));

    let ben = Person::new();
    let said = comes_back(&circle, &ben, &link);
    assert!(said.contains("You come back as Ben, on a new device."), "{said}");
    let knock = circle.await_knock("Ben");
    assert_eq!(knock["new_device"], true);
    let digits = knock["digits"].as_str().unwrap();
    assert!(said.contains(digits), "what Ben reads aloud: {said}");
    circle.fay("admit", &["Ben"]);
    circle.news(&ben);
    circle.say(&ben, "A new phone.");
    let told = cleo.sees(&["read", &circle.room]).stdout;
    assert!(told.contains("Ben has a new device (Fay let it in)"), "{told}");
    assert!(told.contains("A new phone."), "{told}");
    assert_eq!(circle.by(&cleo, "who", &[]).len(), 3);
    assert_eq!(acts(&circle.history(&circle.fay), "device_replaced").len(), 1);

    // The line to the facilitator is a new one, and she still has what stood in the old one.
    circle.news(&circle.fay);
    circle.by(&ben, "checkin", &["From the new phone"]);
    let lane = format!("{:?}", circle.fay("checkin", &["Ben"]));
    assert!(lane.contains("From the new phone"), "{lane}");
    assert!(format!("{before:?}").contains("Before it was stolen"), "{before:?}");
}

#[test]
fn link_lets_in_its_member_alone() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    circle.admit("Ben");
    let link = link_for(&circle, "Ben");
    let other = Person::new();
    let ack = ["--acknowledge", circle.agreement.as_str(), "--no-wait"];
    let join = [["join", &link, "--as", "Gus"].as_slice(), &ack].concat();
    other.run(&join).failed(3, "other_name");
    // Nor does anybody come in as Ben by another link.
    circle.knock(&other, "Ben");
    circle.fay.run(&["admit", &circle.room, "Ben"]).failed(3, "name_taken");
    circle.fay("new-device", &["Ben", "--give-up"]);
    circle.fay("admit", &["Ben"]);
}

#[test]
fn steward_leaves_new_devices_to_people() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    circle.admit("Ben");
    let link = link_for(&circle, "Ben");
    comes_back(&circle, &Person::new(), &link);
    circle.knock(&Person::new(), "Cleo");
    let ended = circle.fay.starts(&["steward", &circle.room, "--count", "1"]).wait();
    assert!(ended.stdout.contains("Cleo") && !ended.stdout.contains("Ben"), "{ended:?}");
    let inside = circle.by(&circle.fay, "who", &[]);
    assert!(inside.iter().any(|row| row["name"] == "Ben" && row["waits_for_device"] == true));
}
