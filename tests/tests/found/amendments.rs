//! Row A6: amendments that are late, refused, unsigned or misdated.

use hearth_client::show::rfc3339;
use hearth_kit::{AGREEMENT, Circle, Person, Relay, clock, text_file, until};
use serde_json::Value;

fn amend(circle: &Circle, author: &Person, more: &[&str]) -> String {
    let file = text_file(&format!("{AGREEMENT}4. Phones stay outside.\n"));
    let path = file.path().to_str().unwrap();
    let args = [["agreement", "amend", &circle.room, path, "--material"].as_slice(), more].concat();
    author.does(&args)[0]["agreement"].as_str().unwrap().to_owned()
}

fn sign(circle: &Circle, person: &Person, agreement: &str) {
    person.does(&acknowledge(circle, agreement));
}

fn acknowledge<'a>(circle: &'a Circle, agreement: &'a str) -> [&'a str; 6] {
    ["agreement", "acknowledge", &circle.room, "--acknowledge", agreement, "--no-wait"]
}

fn under(person: &Person, spec: &str, args: &[&str]) -> Vec<Value> {
    person.run_under(&clock(spec).unwrap(), args).done()
}

/// No facilitator comes for longer than the invite was good that was drawn when the amendment was issued.
#[test]
fn a6_amendment_due_for_months_works() {
    let Some(late) = clock("+70d") else { return };
    let mut relay = Relay::start();
    let circle = Circle::open(&relay);
    let [ann, ben] = ["Ann", "Ben"].map(|name| circle.admit(name));
    let next = amend(&circle, &circle.fay, &["--effective", "1d"]);
    sign(&circle, &ann, &next);
    relay.stop();
    relay.set_under(late);
    relay.restart();
    let room = circle.room.as_str();
    under(&ann, "+70d", &["send", room, "Anybody?"]);
    assert_eq!(under(&circle.fay, "+70d", &["status", room])[0]["agreement"], *next);
    let back = acknowledge(&circle, &next);
    under(&ben, "+70d", &back);
    under(&circle.fay, "+70d", &["admit", room, "Ben"]);
    under(&ben, "+70d", &["send", room, "Back"]);
}

#[test]
fn a6_wrong_clock_amends_nothing() {
    let Some(_) = clock("+0") else { return };
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let file = text_file(AGREEMENT);
    let path = file.path().to_str().unwrap();
    for spec in ["-60d", "+60d"] {
        for kind in ["--material", "--editorial"] {
            let args = ["agreement", "amend", &circle.room, path, kind];
            circle.fay.run_under(&clock(spec).unwrap(), &args).refused(1, "clock_wrong");
        }
    }
    assert_eq!(circle.fay("status", &[])[0]["agreement_version"], 1);
}

/// Kim writes the amendment and is no facilitator any more when Fay puts it in force.
#[test]
fn a6_lapsed_return_whoever_enacts() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let [kim, ben] = ["Kim", "Ben"].map(|name| circle.admit(name));
    circle.fay("role", &["Kim", "facilitator"]);
    circle.news(&kim);
    let next = amend(&circle, &kim, &["--effective", "4s"]);
    sign(&circle, &circle.fay, &next);
    circle.fay("role", &["Kim", "member"]);
    until("the change to take effect", || {
        (circle.fay("status", &[])[0]["agreement"] == *next).then_some(())
    });
    sign(&circle, &ben, &next);
    circle.fay("admit", &["Ben"]);
    circle.say(&ben, "Back");
    circle.say(&kim, "Here all along");
}

/// Nothing is signed for Fay, and nobody is put out until a facilitator has signed.
#[test]
fn a6_unsigned_facilitator_enacts_nothing() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let [kim, ben] = ["Kim", "Ben"].map(|name| circle.admit(name));
    circle.fay("role", &["Kim", "facilitator"]);
    circle.news(&kim);
    let next = amend(&circle, &kim, &["--effective", "1s"]);
    assert_eq!(circle.by(&kim, "who", &[]).iter().filter(|m| m["agreement"] == *next).count(), 1);
    let before = circle.fay("status", &[]);
    assert_eq!(before[0]["pending_unsigned"], serde_json::json!(["Ben"]));
    let waits = |rows: &[Value]| rows.iter().any(|row| row["notice"] == "amendment_unsigned");
    until("the amendment to be due", || waits(&circle.news(&circle.fay)).then_some(()));
    assert!(!waits(&circle.news(&circle.fay)));
    let status = circle.fay("status", &[]);
    assert_eq!(status[0]["agreement_version"], 1);
    assert_eq!(status[0]["alarms"][0]["notice"], "amendment_unsigned");
    let refused = circle.fay.run(&["agreement", "enact", &circle.room]);
    let advice = refused.refused(3, "not_acknowledged")["try"].as_str().unwrap().to_owned();
    assert!(advice.contains("hearth agreement acknowledge"), "{advice}");
    circle.say(&ben, "Nobody has put me out");
    sign(&circle, &circle.fay, &next);
    circle.say(&circle.fay, "Signed");
    let status = circle.fay("status", &[]);
    assert_eq!(
        (&status[0]["agreement"], &status[0]["alarms"]),
        (&next.into(), &Value::Array(vec![]))
    );
    ben.run(&["send", &circle.room, "Oh"]).refused(3, "not_acknowledged");
    circle.say(&kim, "In");
}

/// Nothing comes from the relay at the moment at which the amendment is due.
#[test]
fn open_programs_tell_what_falls_due() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let kim = circle.admit("Kim");
    circle.fay("role", &["Kim", "facilitator"]);
    circle.news(&kim);
    for command in ["steward", "chat", "follow"] {
        amend(&circle, &kim, &["--effective", "2s"]);
        let mut open = circle.fay.starts(&[command, &circle.room]);
        open.await_line(command, |line| line.contains("amendment_unsigned"));
        open.terminate();
        assert_eq!(open.wait_open().code, Some(0), "{command}");
        kim.does(&["agreement", "withdraw", &circle.room]);
    }
}

#[test]
fn a6_misdated_return_knocks_again() {
    let Some(later) = clock("+2m") else { return };
    let mut relay = Relay::start();
    let circle = Circle::open(&relay);
    let [ann, ben, cleo] = ["Ann", "Ben", "Cleo"].map(|name| circle.admit(name));
    let room = circle.room.as_str();
    let next = amend(&circle, &circle.fay, &[]);
    let back = acknowledge(&circle, &next);
    for spec in ["+85d", "-365d"] {
        let answer = ann.run_under(&clock(spec).unwrap(), &back);
        let advice = answer.refused(1, "clock_wrong")["try"].as_str().unwrap().to_owned();
        assert!(advice.contains("Set the clock"), "{spec}: {advice}");
    }
    // Ahead by less than a day: knocks, and is marked.
    under(&ben, "+3h", &back);
    cleo.does(&back);
    ann.does(&back);
    // Those whose date is good are back by Fay's next command.
    let knocks = circle.fay("knocks", &[]);
    let listed: Vec<_> = knocks.iter().map(|k| (&k["name"], &k["acknowledged"])).collect();
    assert_eq!(listed, [(&"Ben".into(), &false.into())], "{knocks:?}");
    circle.fay.run(&["admit", room, "Ben"]).refused(3, "clock_wrong");
    circle.say(&ann, "Back");
    circle.say(&cleo, "Back");
    // The relay lets a key knock again after half a minute.
    relay.stop();
    relay.set_under(later);
    relay.restart();
    ben.does(&back);
    let knocks = circle.fay("knocks", &[]);
    assert!(knocks.is_empty(), "{knocks:?} at {}", rfc3339(hearth_session::live::now()));
    circle.say(&ben, "Back");
}

#[test]
fn steward_says_what_it_does() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let [kim, ben] = ["Kim", "Ben"].map(|name| circle.admit(name));
    circle.fay("role", &["Kim", "cofacilitator"]);
    circle.news(&kim);
    let next = amend(&circle, &circle.fay, &["--effective", "8s"]);
    // Kim has not signed, and may not put it in force.
    let mut helpless = kim.starts_plainly(&["steward", &circle.room]);
    let line = helpless.await_line("what waits", |line| line.contains("version 2"));
    for words in
        ["cannot put it in force", "you have not signed it", "hearth agreement acknowledge"]
    {
        assert!(line.contains(words), "{line}");
    }
    helpless.terminate();
    assert_eq!(helpless.wait_open().code, Some(0));
    sign(&circle, &kim, &next);
    sign(&circle, &ben, &next);
    let mut steward = circle.fay.starts_plainly(&["steward", &circle.room]);
    steward.await_line("what waits", |line| line.contains("this steward puts it in force then"));
    let line = steward.await_line("what it did", |line| line.contains("in force;"));
    assert_eq!(line.trim_end(), "put version 2 of the agreement in force; everybody had signed it");
    steward.terminate();
    assert_eq!(steward.wait_open().code, Some(0));
}

#[test]
fn steward_names_members_put_out() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    let next = amend(&circle, &circle.fay, &["--effective", "2s"]);
    let mut steward = circle.fay.starts(&["steward", &circle.room]);
    let line = steward.await_line("what it did", |line| line.contains("\"enact\""));
    let object: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&object["version"], &object["out"]), (&2.into(), &serde_json::json!(["Ben"])));
    sign(&circle, &ben, &next);
    steward.await_line("Ben is back", |line| line.contains("\"returned\""));
    ben.does(&["leave", &circle.room, "--yes"]);
    let line = steward.await_line("a departure", |line| line.contains("\"depart\""));
    assert!(line.contains("Ben"), "{line}");
    steward.terminate();
    assert_eq!(steward.wait_open().code, Some(0));
}

#[test]
fn steward_says_whom_it_leaves() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let cleo = Person::new();
    circle.knock(&cleo, "Cleo");
    let mut steward = circle.fay.starts(&["steward", &circle.room, "--only", "Ben"]);
    steward.await_remark("Cleo is not named with --only");
    steward.terminate();
    assert_eq!(steward.wait_open().code, Some(0));
    assert_eq!(circle.fay("knocks", &[])[0]["name"], "Cleo");
}
