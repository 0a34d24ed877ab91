//! What is of one device alone: what it hides, finds, keeps for later and rings for. Nobody else learns of it.

mod bell;
mod found;
mod hidden;
mod missed;

use hearth_kit::{Circle, Person, Running};
use serde_json::Value;

/// Enters the chat over pipes and waits until it is there.
fn enter(circle: &Circle, person: &Person) -> Running {
    let mut chat = person.starts_plainly(&["chat", &circle.room]);
    chat.type_line("/status");
    chat.await_line("the room's state", |line| line.contains("; agreement version"));
    chat
}

/// Returns what a command of a room prints to a person.
fn sees(circle: &Circle, person: &Person, command: &str, rest: &[&str]) -> String {
    let ended = person.sees(&[&[command, circle.room.as_str()], rest].concat());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    ended.stdout
}

/// Returns the id of the row with some words.
fn id_of(rows: &[Value], words: &str) -> String {
    let row = rows.iter().find(|row| row["text"] == words).unwrap();
    row["id"].as_str().unwrap().to_owned()
}
