//! Members who have not said yes yet: what they can do meanwhile, and how they come back.

use hearth_kit::{AGREEMENT, Circle, Relay, text_file};

use super::{acts, amend, say_yes, seen};

/// Two wait, one of them a co-facilitator. Both write in their check-ins, and both are back without anybody deciding it.
#[test]
fn lapsed_members_are_back_at_night() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let (ben, cleo) = (circle.admit("Ben"), circle.admit("Cleo"));
    circle.fay("role", &["Cleo", "cofacilitator"]);
    circle.news(&cleo);
    let next = amend(&circle);
    // Everybody reads who has not said yes yet, and nobody reads a fault.
    let row = circle.history(&circle.fay).into_iter().rfind(|row| row["act"] == "enact").unwrap();
    let text = row["text"].as_str().unwrap();
    assert!(text.contains("have not said yes yet"), "{text}");
    assert!(text.contains("Ben") && text.contains("Cleo"), "{text}");
    assert_eq!(seen(&circle, &circle.fay, "Cleo")["waits"], true);
    // New messages do not reach Ben, who can write to Fay.
    circle.say(&circle.fay, "Said while they wait");
    let refused = ben.run(&["send", &circle.room, "Hello?"]);
    let refused = refused.refused(3, "not_acknowledged");
    assert!(refused["message"].as_str().unwrap().contains("You have done nothing wrong"));
    assert!(refused["try"].as_str().unwrap().contains("hearth checkin"));
    let sent = circle.by(&ben, "checkin", &["I am not sure about the phones"]);
    assert_eq!(sent[0]["sent"], true);
    let read = circle.fay("checkin", &["Ben"]);
    assert!(read.iter().any(|row| row["text"] == "I am not sure about the phones"), "{read:?}");
    circle.fay("checkin", &["Ben", "Take your time."]);
    let read = circle.by(&ben, "checkin", &[]);
    assert!(read.iter().any(|row| row["text"] == "Take your time."), "{read:?}");
    // They say yes while nobody is there, and still have their check-ins.
    say_yes(&circle, &ben, &next);
    say_yes(&circle, &cleo, &next);
    let waits = ben.run(&["send", &circle.room, "Hello?"]);
    waits.refused(3, "not_back_yet");
    assert_eq!(circle.by(&ben, "checkin", &["I have said yes"])[0]["sent"], true);
    // Fay's next command, whatever it is, lets them in.
    let told = circle.news(&circle.fay);
    let back: Vec<_> = acts(&told).into_iter().filter(|(act, _)| *act == "admit").collect();
    assert_eq!(back.len(), 2, "{told:?}");
    let words: Vec<&str> = told.iter().filter_map(|row| row["text"].as_str()).collect();
    assert!(words.contains(&"Ben is back") && words.contains(&"Cleo is back"), "{words:?}");
    circle.say(&ben, "I am back");
    circle.say(&cleo, "Me too");
    assert_eq!(seen(&circle, &ben, "Cleo")["role"], "cofacilitator");
    assert_eq!(seen(&circle, &ben, "Ben")["role"], "member");
    // The same check-in, with all that was said there.
    let read = circle.by(&ben, "checkin", &[]);
    let texts: Vec<&str> = read.iter().filter_map(|row| row["text"].as_str()).collect();
    assert!(texts.contains(&"I have said yes") && texts.contains(&"Take your time."), "{texts:?}");
    circle.by(&ben, "checkin", &["Good to be here"]);
    assert!(
        circle.fay("checkin", &["Ben"]).iter().any(|row| row["text"] == "Good to be here"),
        "the line goes on"
    );
}

/// A co-facilitator's client lets a member back in; a place that moderates waits for a facilitator's.
#[test]
fn cofacilitators_client_lets_members_in() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let [ben, cleo, dee] = ["Ben", "Cleo", "Dee"].map(|name| circle.admit(name));
    for name in ["Cleo", "Dee"] {
        circle.fay("role", &[name, "cofacilitator"]);
    }
    circle.news(&cleo);
    let file = text_file(&format!("{AGREEMENT}4. Phones stay outside.\n"));
    let path = file.path().to_str().unwrap();
    let args = ["agreement", "amend", &circle.room, path, "--material", "--effective", "6s"];
    let next = circle.fay.does(&args)[0]["agreement"].as_str().unwrap().to_owned();
    say_yes(&circle, &cleo, &next);
    hearth_kit::until("the change to take effect", || {
        (circle.fay("status", &[])[0]["agreement"] == *next).then_some(())
    });
    say_yes(&circle, &ben, &next);
    say_yes(&circle, &dee, &next);
    circle.news(&cleo);
    circle.say(&ben, "Back by Cleo's program");
    dee.run(&["send", &circle.room, "?"]).refused(3, "not_back_yet");
    circle.news(&circle.fay);
    circle.say(&dee, "Back by Fay's");
    assert_eq!(seen(&circle, &ben, "Dee")["role"], "cofacilitator");
}

#[test]
fn removed_waiter_stays_out() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    let next = amend(&circle);
    circle.fay("remove", &["Ben", "--reason", "request", "Thank you for coming."]);
    assert_eq!(seen(&circle, &circle.fay, "Ben"), serde_json::Value::Null);
    say_yes(&circle, &ben, &next);
    circle.news(&circle.fay);
    ben.run(&["send", &circle.room, "?"]).refused(3, "not_back_yet");
    let knocks = circle.fay("knocks", &[]);
    assert_eq!((knocks.len(), &knocks[0]["acknowledged"]), (1, &false.into()), "{knocks:?}");
}

/// Both have a chat open. Ben's tells him where he is, and Fay's lets him in when he says yes.
#[test]
fn open_chats_wait_and_return() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    circle.news(&ben);
    let mut at_bens = ben.starts_plainly(&["chat", &circle.room]);
    at_bens.await_line("/help lists", |line| line.contains("/help lists"));
    amend(&circle);
    let mut at_fays = circle.fay.starts_plainly(&["chat", &circle.room]);
    at_bens.await_line("you have not said yes to the new one yet", |line| {
        line.contains("you have not said yes to the new one yet")
    });
    at_bens.type_line("@Fay May I keep mine?");
    at_bens.await_line("that it was sent", |line| line.starts_with("sent to Fay"));
    at_fays.await_line("Ben's words", |line| line.contains("Ben: May I keep mine?"));
    at_bens.type_line("/acknowledge");
    at_bens.await_line("type I acknowledge", |line| line.contains("type I acknowledge"));
    at_bens.type_line("I acknowledge");
    at_bens
        .await_line("You are back in the room", |line| line.contains("You are back in the room"));
    at_fays.await_line("that Ben is back", |line| line.contains("Ben is back"));
    at_bens.type_line("Here again");
    at_fays.await_line("Ben's words", |line| line.contains("Ben: Here again"));
    at_bens.type_line("/quit");
    at_fays.type_line("/quit");
    assert_eq!((at_bens.wait_open().code, at_fays.wait_open().code), (Some(0), Some(0)));
}
