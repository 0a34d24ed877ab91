//! `hearth chat` over pipes: what is typed goes out, what comes in is shown, and nothing in it drives a terminal.

use std::net::TcpListener;

use hearth_kit::{Circle, Person, Relay, Running, until};
use serde_json::Value;

fn texts(rows: &[Value]) -> Vec<&str> {
    let text = |row: &&Value| row["kind"] == "text";
    rows.iter().filter(text).map(|row| row["text"].as_str().unwrap()).collect()
}

/// Enters the chat and waits until it is there.
fn enter(circle: &Circle, person: &Person) -> Running {
    let mut chat = person.starts_plainly(&["chat", &circle.room]);
    chat.type_line("/status");
    chat.await_line("the room's state", |line| line.contains("; agreement version"));
    chat
}

#[test]
fn two_people_talk() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    let (mut his, mut hers) = (enter(&circle, &ben), enter(&circle, &circle.fay));
    his.type_line("Hello over there");
    hers.await_line("his words", |line| line.contains("Ben: Hello over there"));
    hers.type_line("Hello, Ben");
    his.await_line("her words", |line| line.contains("Fay: Hello, Ben"));
    // A line that starts with a slash is no command if it has two.
    his.type_line("//me waves");
    hers.await_line("his words", |line| line.contains("Ben: /me waves"));
    hers.type_line("/pause 10m Let us breathe");
    his.await_line("the pause", |line| line.contains("Let us breathe"));
    his.type_line("But");
    his.await_line("the refusal", |line| line.contains("paused"));
    hers.type_line("/resume");
    his.await_line("the end of the pause", |line| line.contains("ended the pause"));
    his.await_line("what sends it", |line| line.contains("/outbox --send "));
    his.type_line("/outbox --send all");
    hers.await_line("his words", |line| line.contains("Ben: But"));
    his.type_line("/quit");
    assert_eq!(his.wait_open().code, Some(0));
    hers.close_input();
    assert_eq!(hers.wait().code, Some(0));
    circle.news(&ben);
    let all = circle.history(&circle.fay);
    assert_eq!(texts(&all), ["Hello over there", "Hello, Ben", "/me waves", "But"]);
}

#[test]
fn every_kind_of_command_works_with_a_slash() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    let mut chat = enter(&circle, &circle.fay);
    chat.type_line("/help");
    chat.await_line("the help", |line| line.contains("/pause") && line.contains('['));
    chat.type_line("/who");
    chat.await_line("Ben", |line| line.contains("Ben") && line.contains("acknowledged"));
    chat.type_line("/announce Back at six, as always");
    chat.await_line("it", |line| line.contains("Back at six, as always"));
    chat.type_line("/timeout Ben 10m Please rest a little");
    chat.await_line("it", |line| line.contains("Ben has a break until"));
    chat.type_line("/no-such-command");
    chat.await_line("that it did not fit", |line| line.contains("nothing was sent"));
    chat.type_line("/remove Ben");
    chat.await_line("what it lacks", |line| line.contains("Your words to that member?"));
    chat.type_line("");
    chat.await_line("that nothing was done", |line| line.contains("nothing was done"));
    chat.type_line("/verify");
    chat.await_line("the code", |line| line.contains("Everybody who is up to date"));
    chat.close_input();
    assert_eq!(chat.wait().code, Some(0));
    let news = circle.news(&ben);
    assert!(news.iter().any(|row| row["text"] == "Please rest a little"), "{news:?}");
    assert!(texts(&news).is_empty());
}

#[test]
fn words_wait_while_the_relay_is_away() {
    let mut relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    let mut chat = enter(&circle, &ben);
    relay.kill();
    chat.await_line("that it is away", |line| line.contains("is kept"));
    chat.type_line("Said meanwhile");
    chat.await_line("that it is kept", |line| line.contains("-- kept"));
    // Attempts that fail alike are told once.
    let nobody = TcpListener::bind(relay.address()).unwrap();
    for _ in 0..3 {
        drop(nobody.accept().unwrap());
    }
    drop(nobody);
    relay.restart();
    chat.await_line("that it is back", |line| line.contains("-- connected again"));
    until("his words", || {
        let rows = circle.news(&circle.fay);
        texts(&rows).contains(&"Said meanwhile").then_some(())
    });
    chat.close_input();
    let ended = chat.wait();
    assert_eq!(ended.code, Some(0));
    let remarks = ended.stdout.lines().filter(|line| line.contains("Trying again"));
    let mut told: Vec<&str> = remarks.collect();
    let all = told.len();
    told.dedup();
    assert_eq!(told.len(), all, "{ended:?}");
}

#[test]
fn what_others_wrote_is_shown_inert() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    let mut chat = enter(&circle, &ben);
    circle.say(&circle.fay, "one\n12:00 Ben: I resign\n\u{202e}desrever\u{2066}");
    circle.fay("timeout", &["Ben", "1m", "\u{1b}]0;owned\u{7}\u{1b}[2Jrest"]);
    circle.say(&circle.fay, "the end of it");
    chat.await_line("the last words", |line| line.contains("the end of it"));
    chat.close_input();
    let ended = chat.wait();
    let seen = format!("{}{}", ended.stdout, ended.stderr);
    assert!(seen.contains("desrever") && seen.contains("I resign"), "{seen}");
    assert!(seen.lines().all(|line| !line.starts_with("12:00 Ben: I resign")), "{seen}");
    let dangerous = |c: char| (c.is_control() && c != '\n') || matches!(c, '\u{202e}' | '\u{2066}');
    assert!(!seen.contains(dangerous), "{seen:?}");
    // The same in `read`, for people and for programs.
    let plain = ben.sees(&["read", &circle.room, "--all"]);
    assert!(plain.stdout.contains("I resign") && plain.stdout.contains("rest"), "{plain:?}");
    assert!(!plain.stdout.contains(dangerous), "{plain:?}");
    assert!(plain.stdout.lines().all(|line| !line.starts_with("12:00 Ben")), "{plain:?}");
    let json = ben.run(&["read", &circle.room, "--all"]);
    assert!(!json.stdout.contains(|c: char| c.is_control() && c != '\n'), "{json:?}");
}
