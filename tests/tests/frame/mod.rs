//! Who may be in: members who have not said yes yet and their way back, renewal, a breach, questions about the agreement.

mod breach;
mod questions;
mod renewal;
mod waiting;

use hearth_kit::{AGREEMENT, Circle, Person, text_file};
use serde_json::Value;

/// Puts another agreement in force at once; returns its id.
fn amend(circle: &Circle) -> String {
    let file = text_file(&format!("{AGREEMENT}4. Phones stay outside.\n"));
    let path = file.path().to_str().unwrap();
    let amended = circle.fay.does(&["agreement", "amend", &circle.room, path, "--material"]);
    amended[0]["agreement"].as_str().unwrap().to_owned()
}

/// Says yes to an agreement, and waits for nobody.
fn say_yes(circle: &Circle, person: &Person, agreement: &str) {
    person.does(&yes(circle, agreement));
}

fn yes<'a>(circle: &'a Circle, agreement: &'a str) -> [&'a str; 6] {
    ["agreement", "acknowledge", &circle.room, "--acknowledge", agreement, "--no-wait"]
}

/// Returns what somebody's list of the members says of another.
fn seen(circle: &Circle, person: &Person, name: &str) -> Value {
    let who = circle.by(person, "who", &[]);
    who.into_iter().find(|member| member["name"] == name).unwrap_or_default()
}

/// Returns the acts that somebody reads, each with the one it names.
fn acts(rows: &[Value]) -> Vec<(&str, &str)> {
    let acts = rows.iter().filter_map(|row| Some((row["act"].as_str()?, row["target"].as_str())));
    acts.map(|(act, target)| (act, target.unwrap_or_default())).collect()
}
