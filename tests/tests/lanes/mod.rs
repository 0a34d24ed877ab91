//! Check-ins: words between one member and those who moderate, with the real programs.

mod seats;
mod slips;
mod story;

use hearth_kit::{Circle, Person};
use serde_json::Value;

/// Returns what somebody reads in a check-in: who said what.
fn read(circle: &Circle, person: &Person, of: &[&str]) -> Vec<(String, String)> {
    let rows = circle.by(person, "checkin", of);
    let said = rows.iter().filter(|row| row["kind"] == "text");
    said.map(|row| (text(&row["from"]), text(&row["text"]))).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn said(from: &str, words: &str) -> (String, String) {
    (from.to_owned(), words.to_owned())
}

/// Makes somebody a co-facilitator who sits in every lane.
fn appoint(circle: &Circle, person: &Person, name: &str) {
    circle.fay("role", &[name, "cofacilitator"]);
    // They offer themselves in their own lane, are seated at the desk, and offer themselves there.
    for _ in 0..2 {
        circle.by(person, "checkin", &[]);
        circle.fay("checkin", &[]);
    }
}
