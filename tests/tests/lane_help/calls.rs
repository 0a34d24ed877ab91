//! A call for help: to whom it goes, who makes it seen, and what its author reads.

use hearth_kit::{AtTerminal, Relay, until};

use super::{calls, flags, open, stage};

#[test]
fn call_goes_from_sent_to_closed() {
    let relay = Relay::start();
    let circle = open(&relay);
    let (ben, cleo) = (circle.admit("Ben"), circle.admit("Cleo"));
    let before = circle.history(&cleo);
    let call = calls(&circle, &ben, "I am not safe tonight");
    assert_eq!((&call["stage"], &call["sent"]), (&"sent".into(), &true.into()));
    assert_eq!(call["to"], serde_json::json!(["Fay"]));
    // Nobody said that they are on duty: it is told at once that nobody is expected.
    assert_eq!(call["unseen"], true);
    let open = flags(&circle, &circle.fay);
    assert_eq!(
        (&open[0]["from"], &open[0]["text"]),
        (&"Ben".into(), &"I am not safe tonight".into())
    );
    assert_eq!(open[0]["flag"], call["call"]);
    assert!(open[0]["seen_by"].is_null());
    // Reading a list is no person's word.
    assert_eq!(stage(&circle, &ben).unwrap()["stage"], "sent");
    circle.fay("flag", &["seen"]);
    let seen = stage(&circle, &ben).unwrap();
    assert_eq!((&seen["stage"], &seen["by"]), (&"seen".into(), &"Fay".into()));
    assert!(seen["text"].as_str().unwrap().starts_with("Fay saw this at "), "{seen}");
    assert!(seen["text"].as_str().unwrap().contains("000 Emergency"), "{seen}");
    assert_eq!(flags(&circle, &circle.fay)[0]["seen_by"], "Fay");
    circle.fay("checkin", &["Ben", "I", "am", "here"]);
    assert_eq!(stage(&circle, &ben).unwrap()["stage"], "with_you");
    let id = call["call"].as_str().unwrap();
    circle.fay.run(&["flag", &circle.room, "resolve", id]).failed(2, "usage");
    circle.fay("flag", &["resolve", id, "Your sister is with you."]);
    assert!(flags(&circle, &circle.fay).is_empty());
    // It is over, so nothing more is told of it; nobody else learned of any of it.
    assert_eq!(stage(&circle, &ben), None);
    assert_eq!(circle.history(&cleo), before);
    cleo.run(&["flags", &circle.room]).failed(3, "not_facilitator");
    cleo.run(&["flag", &circle.room, "seen", id]).failed(3, "not_facilitator");
}

#[test]
fn call_waits_for_a_connection() {
    let mut relay = Relay::start();
    let circle = open(&relay);
    let ben = circle.admit("Ben");
    relay.stop();
    let call = calls(&circle, &ben, "Please");
    assert_eq!((&call["stage"], &call["sent"]), (&"kept".into(), &false.into()));
    relay.restart();
    assert_eq!(stage(&circle, &ben).unwrap()["stage"], "sent");
    // By lane and by note it is one call.
    let open = flags(&circle, &circle.fay);
    assert_eq!(open.len(), 1, "{open:#?}");
    assert_eq!(open[0]["flag"], call["call"]);
}

#[test]
fn second_call_within_a_minute_joins() {
    let relay = Relay::start();
    let circle = open(&relay);
    let ben = circle.admit("Ben");
    let mut chat = ben.starts_plainly(&["chat", &circle.room]);
    chat.type_line("/help-now");
    chat.await_line("the numbers", |line| line.trim_end() == "000 Emergency");
    chat.await_line("Enter alone tells Fay", |line| line.contains("Enter alone tells Fay"));
    chat.type_line("");
    chat.await_line("that it went out", |line| line.starts_with("Sent to Fay at "));
    chat.type_line("/help-now --tell It is worse now");
    chat.await_line("that it went out", |line| line.starts_with("Sent to Fay at "));
    let open = flags(&circle, &circle.fay);
    assert_eq!(open.len(), 1, "{open:#?}");
    let said = circle.fay("checkin", &["Ben"]);
    assert!(said.iter().any(|row| row["text"] == "It is worse now"), "{said:#?}");
    circle.fay("flag", &["seen"]);
    chat.await_line("who saw it", |line| line.contains("Fay saw this at "));
    circle.fay("checkin", &["Ben", "I am here."]);
    chat.await_line("who is there", |line| line.contains("Fay is with you now"));
    circle.fay("flag", &["resolve", "We talk at nine."]);
    chat.await_line("that it is over", |line| {
        line.contains("Fay has marked this as talked through: \u{201c}We talk at nine.\u{201d}")
    });
    chat.type_line("/quit");
    assert_eq!(chat.wait_open().code, Some(0));
}

#[test]
fn closed_call_takes_no_new_one() {
    let relay = Relay::start();
    let circle = open(&relay);
    let ben = circle.admit("Ben");
    let first = calls(&circle, &ben, "");
    circle.fay("flag", &["resolve", "We talk at nine."]);
    // The device has not heard that it was closed.
    let second = calls(&circle, &ben, "It is worse now");
    assert_ne!(first["call"], second["call"]);
    let open = flags(&circle, &circle.fay);
    assert_eq!(open.len(), 1, "{open:#?}");
    assert_eq!((&open[0]["flag"], &open[0]["text"]), (&second["call"], &"It is worse now".into()));
    circle.fay("flag", &["resolve", "I am here."]);
    circle.news(&ben);
    let third = calls(&circle, &ben, "");
    assert_eq!(flags(&circle, &circle.fay)[0]["flag"], third["call"]);
}

#[test]
fn words_alone_are_with_you() {
    let relay = Relay::start();
    let circle = open(&relay);
    let ben = circle.admit("Ben");
    calls(&circle, &ben, "");
    calls(&circle, &ben, "I took pills");
    let open = flags(&circle, &circle.fay);
    assert_eq!((open.len(), &open[0]["text"]), (1, &"I took pills".into()), "{open:#?}");
    circle.fay("checkin", &["Ben", "I am here."]);
    assert_eq!(stage(&circle, &ben).unwrap()["stage"], "with_you");
    assert_eq!(flags(&circle, &circle.fay)[0]["seen_by"], "Fay");
}

#[test]
fn waiting_words_are_not_sent() {
    let mut relay = Relay::start();
    let circle = open(&relay);
    let ben = circle.admit("Ben");
    assert_eq!(calls(&circle, &ben, "")["sent"], true);
    relay.stop();
    let words = calls(&circle, &ben, "I took pills");
    assert_eq!((&words["sent"], &words["stage"]), (&false.into(), &"kept".into()));
    relay.restart();
    circle.news(&ben);
    assert_eq!(flags(&circle, &circle.fay)[0]["text"], "I took pills");
}

/// Somebody who meant the facilitators must not find it read by all.
#[test]
fn words_after_the_numbers_wait() {
    let relay = Relay::start();
    let circle = open(&relay);
    let ben = circle.admit("Ben");
    let mut chat = ben.starts_plainly(&["chat", &circle.room]);
    chat.type_line("help");
    chat.await_line("Enter alone tells Fay", |line| line.contains("Enter alone tells Fay"));
    chat.type_line("I want to die");
    chat.await_line("nobody was told", |line| line.contains("nobody was told"));
    chat.type_line("");
    chat.await_line("that it went out", |line| line.starts_with("Sent to Fay at "));
    chat.type_line("/quit");
    assert_eq!(chat.wait_open().code, Some(0));
    assert_eq!(flags(&circle, &circle.fay)[0]["text"], "I want to die");
    assert!(circle.history(&circle.fay).iter().all(|row| row["kind"] != "text"));
}

#[test]
fn only_moderator_has_nobody_to_tell() {
    let relay = Relay::start();
    let circle = open(&relay);
    let alone = circle.fay.run(&["help-now", &circle.room, "--tell"]);
    alone.failed(3, "nobody_else");
}

#[test]
fn duty_gives_a_call_its_minutes() {
    let relay = Relay::start();
    let circle = open(&relay);
    let ben = circle.admit("Ben");
    circle.fay("duty", &["1h"]);
    circle.news(&ben);
    let call = calls(&circle, &ben, "");
    assert_eq!((&call["stage"], &call["unseen"]), (&"sent".into(), &false.into()));
}

/// A clinic's pager gets no name and no words; it is called once for each call.
#[test]
fn follower_calls_the_pager() {
    let relay = Relay::start();
    let circle = open(&relay);
    let ben = circle.admit("Ben");
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("pages");
    let command = format!("echo called \"$#\" >> {}", pages.display());
    let mut following = circle.fay.starts(&["follow", &circle.room, "--on-flag", &command]);
    let call = calls(&circle, &ben, "Please call me");
    following.await_line("the call", |line| line.contains("\"kind\":\"call\""));
    let paged = || std::fs::read_to_string(&pages).unwrap_or_default();
    until("a page", || {
        flags(&circle, &circle.fay);
        (!paged().is_empty()).then_some(())
    });
    assert_eq!(paged(), "called 0\n");
    let id = call["call"].as_str().unwrap().to_owned();
    circle.fay("flag", &["seen", &id]);
    following.close_input();
    let ended = following.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(paged(), "called 0\n");
}

/// The two acts at a phone's terminal: numbers, then Enter, then a window that says who is there.
#[test]
fn enter_tells_after_the_numbers() {
    let relay = Relay::start();
    let circle = open(&relay);
    let ben = circle.admit("Ben");
    let args = ["help-now", &circle.room];
    let mut screen = AtTerminal::start_sized(&ben, "xterm", &args, (40, 20));
    screen.await_words("[Enter: tell the facilitators]");
    assert!(screen.sees("000 Emergency") && screen.sees("Nothing has been sent."));
    assert!(screen.screen().lines().count() <= 20, "{}", screen.screen());
    assert!(flags(&circle, &circle.fay).is_empty());
    screen.types("\n");
    screen.await_words("Sent to Fay at");
    screen.await_words("Nobody has seen this yet. It is not because of you.");
    circle.fay("flag", &["seen"]);
    screen.await_words("Fay saw this at");
    circle.fay("checkin", &["Ben", "I", "am", "here"]);
    screen.await_words("Fay is with you now");
    let (status, _) = screen.ends();
    assert!(status.success());
}

#[test]
fn no_at_the_numbers_tells_nobody() {
    let relay = Relay::start();
    let circle = open(&relay);
    let ben = circle.admit("Ben");
    let mut screen = AtTerminal::start(&ben, "xterm", &["help-now", &circle.room]);
    screen.await_words("[Enter: tell the facilitators]");
    screen.types("no\n");
    let (_, shown) = screen.ends();
    assert!(!shown.contains("Sent to"), "{shown}");
    assert!(flags(&circle, &circle.fay).is_empty());
}
