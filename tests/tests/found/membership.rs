//! Who is in, who may let in, and what becomes of words that wait while that changes.

use hearth_kit::{Circle, Person, Relay};
use hearth_protocol::{Effect, Epoch, RejectCode};
use serde_json::{Value, json};

use super::members::{cofacilitator, key_of, modified, operator, silently};

#[test]
fn a5_epoch_taken_back_is_told() {
    let mut relay = Relay::start();
    let circle = Circle::open(&relay);
    let (cleo, ben) = (cofacilitator(&circle), circle.admit("Ben"));
    circle.news(&cleo);
    let refused = modified(&circle, &cleo, async |live| {
        let epoch = Epoch(live.room.epoch()?.0 - 1);
        live.effects_only(vec![Effect::Reopen { epoch }]).await
    });
    assert!(format!("{refused:?}").contains("NotFacilitator"), "{refused:?}");
    circle.say(&ben, "as before");
    for person in [&circle.fay, &cleo] {
        circle.news(person);
    }
    operator(&mut relay, |db| {
        db.execute("UPDATE rooms SET epoch = epoch - 1 WHERE parent = 0", []).unwrap();
    });
    for person in [&ben, &cleo, &circle.fay] {
        let sent = person.run(&["send", &circle.room, "are you there?"]);
        let failure = sent.failed(5, "epoch_taken_back");
        assert_eq!(failure["kept"], true);
        assert!(failure["try"].as_str().unwrap().contains("hearth restore-rules"), "{failure}");
        let status = person.run(&["status", &circle.room]);
        assert_eq!(status.code, Some(5), "{status:#?}");
        assert_eq!(status.lines[0]["alarms"][0]["notice"], "relay_epoch", "{status:#?}");
    }
    // What a facilitator tries is given up, and stands in the way of nothing.
    circle.fay.run(&["pause", &circle.room, "1m", "Let us breathe."]).failed(5, "epoch_taken_back");
    ben.run(&["recover", &circle.room, "--yes"]).failed(5, "epoch_taken_back");
    let restored = circle.fay("restore-rules", &[]);
    assert_eq!((&restored[0]["restored"], &restored[0]["remain"]), (&json!(true), &json!([])));
    for person in [&ben, &cleo, &circle.fay] {
        circle.say(person, "yes, I am");
        assert_eq!(circle.by(person, "status", &[])[0]["alarms"], json!([]));
    }
    assert_eq!(texts(&circle.history(&ben)).len(), 7);
}

/// A member uses an epoch up: a facilitator gives it back by what they do next, a co-facilitator waits for one.
#[test]
fn a5_used_epoch_waits_for_facilitator() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let (cleo, mal) = (cofacilitator(&circle), circle.admit("Mal"));
    circle.news(&cleo);
    silently(&circle, &mal, Vec::new()).unwrap();
    cleo.run(&["send", &circle.room, "and now?"]).failed(1, "epoch_used_up");
    // Whoever would recover instead is told what happened, not that the relay was restored.
    cleo.run(&["recover", &circle.room, "--yes"]).failed(1, "epoch_used_up");
    circle.fay.run(&["read", &circle.room]);
    let asked = circle.fay.run(&["recover", &circle.room]);
    let question = asked.lines.last().unwrap()["message"].as_str().unwrap().to_owned();
    assert!(question.contains("a change that every member's program refuses"), "{question}");
    circle.say(&circle.fay, "on we go");
    circle.say(&cleo, "thank you");
}

fn outbox(circle: &Circle, person: &Person) -> Vec<(String, Value)> {
    let waiting = circle.by(person, "outbox", &[]);
    waiting.iter().map(|o| (o["text"].as_str().unwrap().to_owned(), o["held"].clone())).collect()
}

fn texts(lines: &[Value]) -> Vec<&str> {
    let texts = lines.iter().filter(|line| line["kind"] == "text");
    texts.map(|line| line["text"].as_str().unwrap()).collect()
}

#[test]
fn observers_waiting_words_are_kept() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    circle.fay("slow", &["1h"]);
    circle.say(&ben, "zero");
    for text in ["one", "two"] {
        ben.run(&["send", &circle.room, text]).failed(3, "slow_mode");
    }
    circle.fay("role", &["Ben", "observer"]);
    circle.fay("slow", &["off"]);
    let read = ben.sees(&["read", &circle.room]);
    assert_eq!(read.code, Some(0), "{}", read.stderr);
    assert!(read.stderr.contains("2 messages in your outbox were not sent"), "{}", read.stderr);
    let both = [("one".to_owned(), json!("observer")), ("two".to_owned(), json!("observer"))];
    assert_eq!(outbox(&circle, &ben), both);
    // What an observer writes stays as well.
    let refused = ben.run(&["send", &circle.room, "three"]);
    let failure = refused.failed(3, "observer");
    assert_eq!(failure["kept"], true);
    assert!(failure["try"].as_str().unwrap().contains("--send ID"), "{failure}");
    circle.fay("role", &["Ben", "member"]);
    circle.say(&ben, "and now");
    let waiting = circle.by(&ben, "outbox", &[]);
    assert_eq!(waiting.len(), 3, "{waiting:?}");
    let id = |at: usize| waiting[at]["id"].as_str().unwrap();
    circle.by(&ben, "outbox", &["--send", id(0)]);
    circle.by(&ben, "outbox", &["--drop", id(1)]);
    // The same words once more are those that were kept.
    circle.say(&ben, "three");
    assert!(outbox(&circle, &ben).is_empty());
    assert_eq!(texts(&circle.history(&circle.fay)), ["zero", "and now", "one", "three"]);
}

#[test]
fn removed_members_waiting_words_are_kept() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    circle.fay("pause", &["1h", "Let us breathe."]);
    ben.run(&["send", &circle.room, "waiting"]).failed(3, "paused");
    circle.fay("remove", &["Ben", "--reason", "request", "Thank you for coming."]);
    circle.fay("resume", &[]);
    let read = ben.sees(&["read", &circle.room]);
    assert!(read.stderr.contains("1 message in your outbox was not sent"), "{}", read.stderr);
    let kept = [("waiting".to_owned(), json!("out"))];
    assert_eq!(outbox(&circle, &ben), kept);
    circle.admit_person(&ben, "Ben");
    circle.say(&ben, "back again");
    assert_eq!(outbox(&circle, &ben), kept);
    let status = circle.by(&ben, "status", &[]);
    assert_eq!((&status[0]["outbox"], &status[0]["held"]), (&json!(1), &json!(1)));
    let id = circle.by(&ben, "outbox", &[])[0]["id"].as_str().unwrap().to_owned();
    circle.by(&ben, "outbox", &["--send", &id]);
    assert_eq!(texts(&circle.history(&circle.fay)), ["back again", "waiting"]);
}

/// Who leaves is asked, or told, and finds nothing that waits in a later stay.
#[test]
fn departure_drops_waiting_words() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    circle.fay("pause", &["1h", "Let us breathe."]);
    ben.run(&["send", &circle.room, "waiting"]).failed(3, "paused");
    let left = ben.sees(&["leave", &circle.room, "--yes"]);
    assert_eq!(left.code, Some(0), "{}", left.stderr);
    assert!(left.stderr.contains("dropped 1 message that waited"), "{}", left.stderr);
    assert!(outbox(&circle, &ben).is_empty());
}

/// An invite names those from whom its holder takes a Welcome: whoever moderates since then cannot let them in.
#[test]
fn newer_moderator_admits_no_earlier_invite() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let (ann, ben) = (circle.admit("Ann"), Person::new());
    circle.knock(&ben, "Ben");
    for role in ["cofacilitator", "facilitator"] {
        circle.fay("role", &["Ann", role]);
        circle.news(&ann);
        let refused = ann.run(&["admit", &circle.room, "Ben"]);
        let failure = refused.failed(3, "not_vouched");
        assert!(failure["try"].as_str().unwrap().starts_with("Fay can admit them"), "{failure}");
        assert_eq!(circle.by(&ann, "knocks", &[])[0]["can_admit"], json!(["Fay"]));
        let mut steward = ann.starts(&["steward", &circle.room]);
        steward.await_remark("Fay can admit them");
        steward.terminate();
        assert_eq!(steward.wait_open().code, Some(0));
    }
    circle.fay("admit", &["Ben"]);
    circle.say(&ben, "here I am");
    // By a newer invite Ann admits, too.
    let cleo = Person::new();
    circle.knock(&cleo, "Cleo");
    circle.by(&ann, "admit", &["Cleo"]);
    circle.say(&cleo, "and I");
    // Nobody whom the invite names moderates any more.
    let dora = Person::new();
    circle.fay("role", &["Ann", "member"]);
    circle.knock(&dora, "Dora");
    circle.fay("role", &["Ann", "facilitator"]);
    circle.news(&ann);
    circle.by(&ann, "role", &["Fay", "member"]);
    assert_eq!(circle.by(&ann, "knocks", &[])[0]["can_admit"], json!([]));
    let refused = ann.run(&["admit", &circle.room, "Dora"]);
    let failure = refused.failed(3, "not_vouched");
    assert!(failure["try"].as_str().unwrap().starts_with("`hearth decline"), "{failure}");
}

/// Has somebody join by a new link, and says what they were told.
fn joins_again(circle: &Circle, person: &Person, name: &str) -> Value {
    let link = circle.invite(&[]);
    let ack = ["--acknowledge", &circle.agreement, "--no-wait"];
    person.does(&[["join", link.as_str(), "--as", name].as_slice(), &ack].concat())[0].clone()
}

#[test]
fn removed_member_knocks_by_new_link() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    assert_eq!(joins_again(&circle, &ben, "Ben")["standing"], "member");
    circle.fay("remove", &["Ben", "--reason", "request", "Thank you for coming."]);
    // He has not read since.
    assert_eq!(joins_again(&circle, &ben, "Ben")["standing"], "knocking");
    circle.fay("admit", &["Ben"]);
    circle.say(&ben, "back again");
}

/// A leaf without a row at the relay: whoever it is can be removed, and comes back.
#[test]
fn a5_silent_removal_is_mended() {
    let mut relay = Relay::start();
    let circle = Circle::open(&relay);
    let (cleo, ben, dan) = (cofacilitator(&circle), circle.admit("Ben"), circle.admit("Dan"));
    circle.news(&cleo);
    let member = modified(&circle, &ben, async |live| Ok(live.room.me())).unwrap();
    silently(&circle, &cleo, vec![Effect::Remove { member }]).unwrap();
    let key = key_of(&circle, "Dan");
    operator(&mut relay, |db| {
        assert_eq!(db.execute("DELETE FROM members WHERE member = ?1", [&key]).unwrap(), 1);
    });
    assert_eq!(circle.fay.run(&["read", &circle.room]).code, Some(5));
    for (person, name) in [(&ben, "Ben"), (&dan, "Dan")] {
        circle.fay("remove", &[name, "--reason", "request", "Thank you for coming."]);
        assert_eq!(joins_again(&circle, person, name)["standing"], "knocking");
        circle.fay("admit", &[name]);
        circle.say(person, "back again");
    }
    assert_eq!(circle.fay("status", &[])[0]["alarms"], json!([]));
}

#[test]
fn unanswered_knocker_learns_what_to_ask() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let (ben, link) = (Person::new(), circle.invite(&[]));
    circle.knock_with(&ben, "Ben", &link);
    let args = ["join", &link, "--as", "Ben", "--acknowledge", &circle.agreement, "--no-wait"];
    let again = ben.sees(&args);
    assert_eq!(again.code, Some(0), "{}", again.stderr);
    assert!(
        again.stderr.contains("to decline this knock and give you a new invite"),
        "{}",
        again.stderr
    );
    circle.fay("admit", &["Ben"]);
    let joined = ben.sees(&args);
    assert!(!joined.stderr.contains("decline this knock"), "{}", joined.stderr);
}

/// The relay holds another entry under the id of a text, so the others may have the text from an answer that was lost.
#[test]
fn doubtful_words_go_out_by_yes() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    modified(&circle, &ben, async |live| {
        for (text, code) in [("once", RejectCode::IdConflict), ("never", RejectCode::Unsupported)] {
            live.room.queue_text(text.into(), live.room.now())?;
            let number = live.room.next_submission()?.unwrap().number;
            live.room.hold(number, code)?;
        }
        Ok(())
    })
    .unwrap();
    let waiting = circle.by(&ben, "outbox", &[]);
    let marks: Vec<&Value> = waiting.iter().map(|text| &text["may_be_posted"]).collect();
    assert_eq!(marks, [&json!(true), &Value::Null]);
    let listed = ben.sees(&["outbox", &circle.room]);
    assert_eq!(listed.stdout.matches("may have been posted").count(), 1, "{}", listed.stdout);
    let id = |at: usize| waiting[at]["id"].as_str().unwrap();
    ben.run(&["outbox", &circle.room, "--send", id(0)]).refused(2, "usage");
    circle.by(&ben, "outbox", &["--send", id(1)]);
    assert_eq!(texts(&circle.history(&ben)), ["never"]);
    // In the chat it is asked.
    let mut chat = ben.starts_plainly(&["chat", &circle.room]);
    let send = format!("/outbox --send {}", id(0));
    chat.type_line(&send);
    chat.await_line("the question", |line| line.contains("may have been posted already"));
    chat.type_line("no");
    chat.await_line("the end of it", |line| line.contains("nothing was done"));
    chat.type_line("/quit");
    assert_eq!(chat.wait_open().code, Some(0));
    assert_eq!(circle.by(&ben, "outbox", &[]).len(), 1);
    circle.by(&ben, "outbox", &["--send", id(0), "--yes"]);
    assert_eq!(texts(&circle.history(&ben)), ["never", "once"]);
}

/// The words of a decline stay, whichever command hears of it first.
#[test]
fn words_of_decline_are_kept() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let link = circle.invite(&[]);
    let eve = Person::new();
    let ack = ["--acknowledge", &circle.agreement, "--no-wait"];
    eve.does(&[["join", &link, "--as", "Eve"].as_slice(), &ack].concat());
    circle.fay("decline", &["Eve", "Please call me first."]);
    for _ in 0..2 {
        let read = eve.sees(&["read", &circle.room]);
        let said = format!("{}{}", read.stdout, read.stderr);
        assert!(
            said.contains("cannot let you in now, and writes: “Please call me first.”"),
            "{said}"
        );
        assert!(!said.contains("read everything"), "{said}");
    }
    let refused = eve.run(&["send", &circle.room, "Hello?"]);
    let message = refused.failed(3, "not_member")["message"].as_str().unwrap().to_owned();
    assert!(message.contains("Please call me first."), "{message}");
}
