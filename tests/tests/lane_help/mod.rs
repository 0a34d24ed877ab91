//! Help now: numbers that always open, calls that a person sees, with the real programs.

mod agreement;
mod calls;
mod minutes;
mod numbers;
mod unseated;

use hearth_kit::{AGREEMENT, Answer, Circle, Person, Relay};
use serde_json::Value;

/// A help block whose numbers are made up.
const HELP: &str = r#"
```help
country = "GB"
minutes_unseen = 5
present = ["Fay, Tuesdays"]
complaint = "the office"

[[contact]]
kind = "call"
name = "Night line"
number = "00 116"
hours = "always"
cost = "free"
checked = { on = 2026-11-01, by = "Fay", how = "dialled" }

[[contact]]
kind = "emergency"
name = "Emergency"
number = "000"
hours = "always"
checked = { on = 2026-11-01, by = "Fay", how = "official page" }
```
"#;

/// What is said where no number is known.
const NO_NUMBER: &str = "Call the emergency number of the country you are in.";

fn agreement() -> String {
    format!("{AGREEMENT}{HELP}")
}

/// Opens a room whose agreement has numbers.
fn open(relay: &Relay) -> Circle {
    Circle::open_under(relay, Person::new(), &agreement())
}

/// Calls for help without waiting; returns what became of it.
fn calls(circle: &Circle, person: &Person, words: &str) -> Value {
    let lines = person.does(&["help-now", &circle.room, "--tell", words]);
    let [numbers, call] = &lines[..] else { panic!("{lines:#?}") };
    assert!(numbers["help"].is_array(), "{numbers}");
    call.clone()
}

/// Returns how far somebody's last call is, as they read it.
fn stage(circle: &Circle, person: &Person) -> Option<Value> {
    circle.by(person, "read", &[]).into_iter().rfind(|row| row["kind"] == "help")
}

/// Returns the open calls, as somebody who moderates sees them.
fn flags(circle: &Circle, person: &Person) -> Vec<Value> {
    circle.by(person, "flags", &[])
}

/// Returns the numbers that were printed.
fn numbers(answer: &Answer) -> Vec<String> {
    let blocks = answer.lines[0]["help"].as_array().unwrap();
    let lines = blocks.iter().flat_map(|block| block["contacts"].as_array().unwrap());
    lines.map(|contact| contact["line"].as_str().unwrap().to_owned()).collect()
}
