//! Who is in the room: roles, removals, departures, and the door, as every member sees them.

use hearth_kit::{Circle, Person, Relay};
use serde_json::Value;

fn acts<'a>(rows: &'a [Value], act: &str) -> Vec<&'a Value> {
    rows.iter().filter(|row| row["act"] == act).collect()
}

fn texts(rows: &[Value]) -> Vec<&str> {
    let text = |row: &&Value| row["kind"] == "text";
    rows.iter().filter(text).map(|row| row["text"].as_str().unwrap()).collect()
}

fn names(circle: &Circle, person: &Person) -> Vec<String> {
    let who = circle.by(person, "who", &[]);
    let mut names: Vec<String> =
        who.iter().map(|m| m["name"].as_str().unwrap().to_owned()).collect();
    names.sort_unstable();
    names
}

#[test]
fn removed_member_reads_nothing_later() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let (ben, cleo) = (circle.admit("Ben"), circle.admit("Cleo"));
    circle.say(&circle.fay, "Said to all three");
    circle.news(&ben);
    circle.fay(
        "remove",
        &["Ben", "--reason", "conduct", "--goodbye", "We wish you well", "Thank you for coming."],
    );
    circle.say(&cleo, "Said without him");
    circle.say(&circle.fay, "Likewise");

    // He learns of it from the facilitator's act, keeps what he had, and gets nothing more.
    let seen = circle.history(&ben);
    assert_eq!(texts(&seen), ["Said to all three"]);
    let removal = acts(&seen, "remove");
    assert_eq!(
        (&removal[0]["you"], &removal[0]["text"]),
        (&true.into(), &"Thank you for coming.".into())
    );
    assert_eq!(removal[0]["goodbye"], "We wish you well");
    ben.run(&["send", &circle.room, "Wait"]).refused(3, "not_member");
    ben.run(&["status", &circle.room]).refused(3, "not_member");
    ben.run(&["leave", &circle.room]).refused(3, "not_member");
    assert_eq!(texts(&circle.history(&ben)), ["Said to all three"]);
    assert_eq!(ben.does(&["room", "list"])[0]["standing"], "removed");

    // The others see it, and go on with new keys.
    let seen = circle.news(&cleo);
    assert_eq!(
        acts(&seen, "remove")[0]["text"],
        "Ben is no longer in this room. Fay writes: “We wish you well”"
    );
    assert_eq!(texts(&seen), ["Said to all three", "Said without him", "Likewise"]);
    assert_eq!(names(&circle, &cleo), ["Cleo", "Fay"]);
    // The log has neither the reason nor the words; what Ben read is for Ben and the notes.
    let log = format!("{:?}", circle.by(&cleo, "log", &[]));
    assert!(!log.contains("wish you well"), "{log}");
    let all = format!("{log}{seen:?}{:?}", circle.by(&cleo, "who", &[]));
    assert!(!all.contains("conduct") && !all.contains("Thank you"), "{all}");
    let notes = format!("{:?}", circle.fay("notes", &[]));
    assert!(notes.contains("Reason: conduct") && notes.contains("Thank you for coming"), "{notes}");
    circle
        .fay
        .run(&["remove", &circle.room, "Ben", "--reason", "conduct", "Thank you for coming."])
        .refused(2, "no_such_member");
}

#[test]
fn roles_give_and_take_what_they_say() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let (ben, cleo) = (circle.admit("Ben"), circle.admit("Cleo"));
    let room = circle.room.as_str();

    // The last facilitator stays, whatever she tries.
    circle.fay.run(&["role", room, "Fay", "member"]).refused(3, "last_facilitator");
    circle.fay.run(&["leave", room]).refused(3, "last_facilitator");
    circle.fay.run(&["withdraw", room]).refused(3, "last_facilitator");

    circle.fay("role", &["Ben", "cofacilitator"]);
    circle.news(&ben);
    circle.by(&ben, "pause", &["10m", "A moment"]);
    cleo.run(&["send", room, "Oh"]).refused(3, "paused");
    circle.say(&ben, "I may speak");
    circle.by(&ben, "resume", &[]);
    ben.run(&["role", room, "Cleo", "cofacilitator"]).refused(3, "not_facilitator");
    ben.run(&["role", room, "Fay", "member"]).refused(3, "not_facilitator");
    ben.run(&["role", room, "Ben", "facilitator"]).refused(3, "not_facilitator");
    ben.run(&["remove", room, "Fay", "--reason", "conduct", "Thank you for coming."])
        .failed(3, "not_facilitator");

    // Between those who do not moderate he may change it.
    circle.by(&ben, "role", &["Cleo", "observer"]);
    circle.news(&cleo);
    cleo.run(&["send", room, "May I?"]).refused(3, "observer");
    circle.say(&ben, "Cleo reads along");
    assert_eq!(texts(&circle.news(&cleo)), ["Cleo reads along"]);

    circle.fay("role", &["Ben", "facilitator"]);
    circle.fay("role", &["Fay", "member"]);
    circle.fay.run(&["lock", room, "on"]).refused(3, "not_facilitator");
    circle.by(&ben, "lock", &["on"]);
    let roles: Vec<Value> = circle
        .by(&cleo, "who", &[])
        .into_iter()
        .map(|m| serde_json::json!([m["name"], m["role"]]))
        .collect();
    for expected in [["Fay", "member"], ["Ben", "facilitator"], ["Cleo", "observer"]] {
        assert!(roles.contains(&serde_json::json!(expected)), "{roles:?}");
    }
    assert_eq!(acts(&circle.history(&cleo), "role").len(), 4);
}

#[test]
fn who_leaves_is_out_and_keeps_the_receipt() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let (ben, cleo, dora) = (circle.admit("Ben"), circle.admit("Cleo"), circle.admit("Dora"));
    let before = circle.by(&ben, "receipt", &[])[0]["receipt"].clone();
    circle.by(&ben, "withdraw", &["Thank you all"]);
    // Nobody but members is there when the next word is said: whoever speaks carries the departure out first.
    circle.say(&cleo, "Farewell, Ben");
    circle.by(&dora, "leave", &["See you"]);
    circle.news(&circle.fay);
    circle.say(&cleo, "Farewell, Dora");

    for gone in [&ben, &dora] {
        let seen = format!("{:?}", texts(&circle.history(gone)));
        assert!(!seen.contains("Farewell, Dora"), "{seen}");
        gone.run(&["send", &circle.room, "Hm"]).refused(3, "not_member");
    }
    assert_eq!(texts(&circle.history(&ben)), ["Thank you all"]);
    for person in [&circle.fay, &cleo] {
        let rows = circle.history(person);
        assert_eq!(acts(&rows, "withdraw")[0]["text"], Value::Null);
        assert_eq!(acts(&rows, "withdraw")[0]["from"], "Ben");
        assert_eq!(acts(&rows, "goodbye")[0]["from"], "Dora");
        let said = ["Thank you all", "Farewell, Ben", "See you", "Farewell, Dora"];
        assert_eq!(texts(&rows), said);
        assert_eq!(names(&circle, person), ["Cleo", "Fay"]);
    }
    // His proof from before stays good.
    let after = circle.by(&ben, "receipt", &[])[0]["receipt"].clone();
    assert_eq!(before, after);
    let file = hearth_kit::text_file(before.as_str().unwrap());
    let verified = cleo.does(&["receipt", "verify", file.path().to_str().unwrap()]);
    assert_eq!(verified[0]["verified"], true);
}

#[test]
fn a_declined_knock_is_told_to_the_knocker_alone() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let cleo = circle.admit("Cleo");
    let link = circle.invite(&[]);
    let ben = Person::new();
    let ack = circle.agreement.as_str();
    let waiting = ben.starts(&["join", &link, "--as", "Ben", "--acknowledge", ack]);
    circle.await_knock("Ben");
    circle.fay("decline", &["Ben", "Another group fits you better"]);
    let ended = waiting.wait();
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    let refusal: Value = serde_json::from_str(ended.stdout.trim()).unwrap();
    assert_eq!(refusal["error"], "declined");
    assert!(refusal["message"].as_str().unwrap().contains("Another group fits you better"));
    let others = format!("{:?}{:?}", circle.history(&cleo), circle.history(&circle.fay));
    assert!(!others.contains("Ben") && !others.contains("Another group"), "{others}");
    assert!(circle.fay("knocks", &[]).is_empty());
    circle.fay.run(&["admit", &circle.room, "Ben"]).refused(2, "no_such_knock");
    ben.run(&["send", &circle.room, "x"]).refused(3, "not_member");
}

#[test]
fn invites_can_be_voided_by_either_side() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let (ben, ack) = (Person::new(), circle.agreement.as_str());
    let refused = |link: &str, code: &str| {
        let answer = ben.run(&["join", link, "--as", "Ben", "--acknowledge", ack, "--no-wait"]);
        answer.refused(3, code);
        ben.run(&["agreement", "show", link]).refused(3, code);
    };
    let burnt = circle.invite(&["--uses", "5"]);
    assert_eq!(ben.does(&["burn-invite", &burnt])[0]["burned"], true);
    refused(&burnt, "invite_used");
    let revoked = circle.invite(&["--uses", "5"]);
    circle.fay("revoke", &[&revoked]);
    refused(&revoked, "invite_invalid");
    assert!(circle.fay("knocks", &[]).is_empty());

    // A removed member's own invites go with them.
    let cleo = circle.admit("Cleo");
    circle.fay("role", &["Cleo", "cofacilitator"]);
    let hers = circle.by(&cleo, "invite", &["--uses", "5"])[0]["link"].as_str().unwrap().to_owned();
    circle.fay("remove", &["Cleo", "--reason", "discharge", "Thank you for coming."]);
    refused(&hers, "invite_invalid");
}

#[test]
fn an_invite_can_carry_a_role() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let link = circle.invite(&["--role", "observer"]);
    let ben = Person::new();
    circle.knock_with(&ben, "Ben", &link);
    assert_eq!(circle.await_knock("Ben")["role"], "observer");
    circle.fay("admit", &["Ben"]);
    circle.news(&ben);
    ben.run(&["send", &circle.room, "May I?"]).refused(3, "observer");
}

#[test]
fn a_name_that_looks_like_anothers_is_not_admitted() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    circle.admit("Poe");
    for name in ["\u{420}\u{43e}\u{435}", "P\u{43e}e", "POE", "P-oe"] {
        let twin = Person::new();
        let link = circle.invite(&[]);
        let args = ["join", &link, "--as", name, "--acknowledge", &circle.agreement, "--no-wait"];
        let answer = twin.run(&args);
        if answer.code == Some(0) {
            let id = circle.fay("knocks", &[]).last().unwrap()["id"].as_str().unwrap().to_owned();
            circle.fay.run(&["admit", &circle.room, &id]).refused(3, "name_taken");
            circle.fay("decline", &[&id]);
        } else {
            // Some are refused before they knock.
            answer.refused(2, "usage");
        }
    }
    assert_eq!(names(&circle, &circle.fay), ["Fay", "Poe"]);
}

#[test]
fn a_steward_admits_while_nobody_watches() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let link = circle.invite(&["--uses", "3"]);
    let mut steward = circle.fay.starts(&[
        "steward",
        &circle.room,
        "--only",
        "Ben",
        "--only",
        "Cleo",
        "--count",
        "2",
    ]);
    steward.await_remark("Waiting for knocks");
    let ack = circle.agreement.as_str();
    let (ben, cleo, dora) = (Person::new(), Person::new(), Person::new());
    circle.knock_with(&dora, "Dora", &link);
    for (person, name) in [(&ben, "Ben"), (&cleo, "Cleo")] {
        let joined = person.does(&["join", &link, "--as", name, "--acknowledge", ack]);
        assert_eq!(joined[0]["standing"], "member");
    }
    let ended = steward.wait_open();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(ended.stdout.lines().count(), 2);
    assert_eq!(names(&circle, &circle.fay), ["Ben", "Cleo", "Fay"]);
    assert_eq!(circle.fay("knocks", &[])[0]["name"], "Dora");
}
