//! One profile, several windows: a second program has its command done by the one that has the profile open.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use hearth_kit::{Circle, Person, Relay, Running};
use serde_json::{Value, json};

fn enter(circle: &Circle, person: &Person) -> Running {
    let mut chat = person.starts_plainly(&["chat", &circle.room]);
    chat.type_line("/status");
    chat.await_line("the room's state", |line| line.contains("; agreement version"));
    chat
}

/// Opens a second room of Fay's.
pub fn second_room(relay: &Relay, circle: &Circle) -> String {
    let agreement = hearth_kit::text_file("What is said here stays here.");
    let path = agreement.path().to_str().unwrap().to_owned();
    let args = ["room", "create", "Skills group", "--agreement", &path, "--as", "Fay", "--grant"];
    let grant = relay.grant();
    let mut args: Vec<&str> = args.to_vec();
    args.push(&grant);
    circle.fay.does(&args)[0]["room"].as_str().unwrap().to_owned()
}

#[test]
fn second_program_uses_open_profile() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    let mut chat = enter(&circle, &circle.fay);
    let socket = circle.fay.home().join("hearth.sock");
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    circle.say(&circle.fay, "From the other window");
    chat.await_line("the words", |line| line.contains("Fay: From the other window"));
    assert_eq!(circle.fay("who", &[]).len(), 2);
    assert_eq!(circle.fay("status", &[])[0]["members"], 2);
    circle.fay("pause", &["5m", "Let us breathe."]);
    chat.await_line("the pause", |line| line.contains("paused the room"));
    circle.fay.run(&["pin", &circle.room, "nothing"]).failed(2, "no_such_message");
    // A question is asked where the command was typed; this one a program has to answer, too.
    let (args, input) = (["recover", &circle.room], b"");
    circle.fay.run_with_input(&args, input).failed(3, "nothing_to_recover");
    let from = circle.by(&ben, "read", &[]);
    assert!(from.iter().any(|row| row["text"] == "From the other window"));
    // What changes the profile itself waits for the other program.
    circle.fay.run(&["profile", "check"]).refused(1, "profile_in_use");
    chat.type_line("/quit");
    assert_eq!(chat.wait_open().code, Some(0));
    assert!(!socket.exists());
    circle.fay.does(&["profile", "check"]);
}

/// Says something again until a follower prints it, because it prints what comes once it has begun.
fn hears(follower: &mut Running, say: impl Fn() -> String + Sync) {
    let heard = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !heard.load(Ordering::SeqCst) {
                say();
            }
        });
        let line = follower.next_line(|line| line.contains('?'));
        heard.store(true, Ordering::SeqCst);
        assert!(line.is_some(), "the follower printed nothing");
    });
}

#[test]
fn second_program_follows_open_profile() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    let chat = enter(&circle, &circle.fay);
    let mut follower = circle.fay.starts(&["follow", &circle.room]);
    hears(&mut follower, || circle.say(&ben, "Is somebody there?"));
    follower.terminate();
    follower.wait_open();
    // The chat goes on, and ends its followers.
    let mut follower = circle.fay.starts(&["follow", &circle.room]);
    hears(&mut follower, || circle.say(&ben, "And now?"));
    let mut chat = chat;
    chat.type_line("/quit");
    assert_eq!(chat.wait_open().code, Some(0));
    assert_eq!(follower.wait_open().code, Some(1));
}

#[test]
fn agreement_is_amended_beside_a_chat() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let mut chat = enter(&circle, &circle.fay);
    let text = hearth_kit::text_file("What is said here stays here. I tell nobody who is here.");
    let path = text.path().to_str().unwrap();
    let rooms = circle.fay.does(&["room", "list"]);
    assert_eq!(rooms[0]["room"], json!(circle.room));
    circle.fay.does(&["agreement", "amend", &circle.room, path, "--material"]);
    chat.await_line("the amendment", |line| line.contains("issued version 2"));
    let shown = circle.fay.does(&["agreement", "show", &circle.room]);
    assert_eq!(shown[0]["version"], 2);
    chat.type_line("/quit");
    assert_eq!(chat.wait_open().code, Some(0));
}

#[test]
fn failed_room_keeps_next_words_back() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let mut chat = enter(&circle, &circle.fay);
    chat.type_line("/room nosuch");
    chat.type_line("meant for others");
    chat.await_line("that it is not said", |line| line.contains("you are still in"));
    chat.type_line("/quit");
    assert_eq!(chat.wait_open().code, Some(0));
    assert!(circle.history(&circle.fay).is_empty());
}

#[test]
fn stale_socket_is_replaced() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    fs::write(circle.fay.home().join("hearth.sock"), b"left by a program that was killed").unwrap();
    circle.say(&circle.fay, "Nobody listens there");
    let chat = enter(&circle, &circle.fay);
    circle.say(&circle.fay, "Now somebody does");
    drop(chat);
}

#[test]
fn chat_goes_to_another_room() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let other = second_room(&relay, &circle);
    let mut chat = enter(&circle, &circle.fay);
    chat.type_line("/rooms");
    chat.await_line("the other room", |line| line.starts_with(&other));
    chat.type_line(&format!("/room {other}"));
    chat.await_line("the other room", |line| line.starts_with("Skills group - you are Fay"));
    chat.type_line("Said in the second room");
    chat.await_line("the words", |line| line.contains("Fay: Said in the second room"));
    circle.say(&circle.fay, "Said in the first room");
    chat.await_line("that there is news", |line| line.contains("something new in"));
    chat.type_line(&format!("/room {}", circle.room));
    chat.await_line("the words", |line| line.contains("Fay: Said in the first room"));
    chat.type_line("/room nowhere");
    chat.await_line("that there is none", |line| line.contains("there is no such room"));
    chat.type_line("/quit");
    assert_eq!(chat.wait_open().code, Some(0));
}

/// Waits for an object of `hearth lines`.
fn told(lines: &mut Running, wanted: impl Fn(&Value) -> bool) -> Value {
    let line = lines.await_line("it", |line| {
        serde_json::from_str(line).is_ok_and(|object: Value| wanted(&object))
    });
    serde_json::from_str(&line).unwrap()
}

#[test]
fn lines_do_commands_and_tell_rows() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    let mut lines = circle.fay.starts(&["lines"]);
    lines.type_line(&json!({"id": 1, "watch": circle.room}).to_string());
    told(&mut lines, |object| object["id"] == 1 && object["end"] == 0);
    lines.type_line(
        &json!({"id": "say", "args": ["send", circle.room, "Good\nevening"]}).to_string(),
    );
    let sent = told(&mut lines, |object| object["id"] == "say" && object["out"]["sent"] == true);
    assert!(sent["out"]["id"].is_string());
    circle.say(&ben, "Good evening to you");
    let row = told(&mut lines, |object| {
        object["event"] == "row" && object["row"]["text"] == "Good evening to you"
    });
    assert_eq!((&row["room"], &row["row"]["from"]), (&json!(circle.room), &json!("Ben")));
    lines.type_line(&json!({"id": 3, "args": ["remove", circle.room, "Ben"]}).to_string());
    let asked = told(&mut lines, |object| object["id"] == 3);
    assert_eq!((&asked["end"], &asked["error"]["error"]), (&json!(2), &json!("needs_words")));
    let args = ["remove", &circle.room, "Ben", "--reason", "conduct", "Thank you for coming."];
    lines.type_line(&json!({"id": 4, "args": args}).to_string());
    let asked = told(&mut lines, |object| object["id"] == 4);
    assert_eq!(asked["error"]["error"], "needs_consent");
    lines.close_input();
    assert_eq!(lines.wait_open().code, Some(0));
    assert_eq!(circle.fay("who", &[]).len(), 2);
}

#[test]
fn bad_lines_are_answered() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let mut lines = circle.fay.starts(&["lines"]);
    let long = "x".repeat(300 * 1024);
    let bad = [
        "no object",
        "[]",
        r#"{"id": 1}"#,
        r#"{"id": 1, "args": ["chat", "x"]}"#,
        r#"{"id": 1, "args": ["follow", "x"]}"#,
        r#"{"id": 1, "args": ["who", "nowhere"]}"#,
        r#"{"id": 1, "watch": "nowhere"}"#,
        r#"{"id": 1, "unknown": 2}"#,
        &long,
    ];
    for line in bad {
        lines.type_line(line);
        let answer = told(&mut lines, |object| object["error"].is_object());
        assert!(answer["end"].as_u64().unwrap() > 0, "{line}: {answer}");
        assert!(answer["error"]["try"].is_string(), "{answer}");
        let has_id = line.starts_with('{');
        assert_eq!(answer["id"], if has_id { json!(1) } else { Value::Null }, "{line}");
    }
    lines.type_bytes(b"\xff\xfe\n");
    told(&mut lines, |object| object["error"].is_object());
    lines.type_line(&json!({"id": 9, "args": ["who", circle.room]}).to_string());
    told(&mut lines, |object| object["id"] == 9 && object["end"] == 0);
    lines.close_input();
    assert_eq!(lines.wait_open().code, Some(0));
}
