//! A room and the people in it.

use std::io::Write as _;

use serde_json::Value;
use tempfile::NamedTempFile;

use crate::{Person, Relay, until};

/// Ground rules for tests.
pub const AGREEMENT: &str = "\
# What we agree on

1. What is said here stays here.
2. I may speak of myself, and never of another.
3. This is not a crisis service.
";

/// A room, as its founder calls it.
pub struct Circle {
    /// The local name, the same for everybody here.
    pub room: String,
    /// The id of the agreement in force.
    pub agreement: String,
    /// The facilitator who founded it.
    pub fay: Person,
}

/// Writes a text into a file that is gone when the value is dropped.
pub fn text_file(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

impl Circle {
    /// Opens a room on a relay, with Fay as its facilitator.
    pub fn open(relay: &Relay) -> Self {
        Self::open_as(relay, Person::new())
    }

    /// Opens a room on a relay with a given facilitator.
    pub fn open_as(relay: &Relay, fay: Person) -> Self {
        Self::open_under(relay, fay, AGREEMENT)
    }

    /// Opens a room on a relay with a given facilitator and agreement.
    pub fn open_under(relay: &Relay, fay: Person, agreement: &str) -> Self {
        let agreement = text_file(agreement);
        let path = agreement.path().to_str().unwrap();
        let grant = relay.grant();
        let args = ["room", "create", "Tuesday evening", "--grant", &grant];
        let created = fay.does(&[args.as_slice(), &["--agreement", path, "--as", "Fay"]].concat());
        let word = |field: &str| created[0][field].as_str().unwrap().to_owned();
        Self { room: word("room"), agreement: word("agreement"), fay }
    }

    /// Makes an invite and returns its link.
    pub fn invite(&self, more: &[&str]) -> String {
        let answer = self.fay.does(&[&["invite", &self.room], more].concat());
        answer[0]["link"].as_str().unwrap().to_owned()
    }

    /// Lets somebody knock with a new invite, and returns at once.
    pub fn knock(&self, person: &Person, name: &str) {
        let link = self.invite(&[]);
        self.knock_with(person, name, &link);
    }

    /// Lets somebody knock with an invite, and returns at once.
    pub fn knock_with(&self, person: &Person, name: &str, link: &str) {
        let ack = ["--acknowledge", &self.agreement, "--no-wait"];
        person.does(&[["join", link, "--as", name].as_slice(), &ack].concat());
    }

    /// Lets somebody in: invite, knock, admission, first look at the room.
    pub fn admit(&self, name: &str) -> Person {
        let person = Person::new();
        self.admit_person(&person, name);
        person
    }

    /// Lets a given person in.
    pub fn admit_person(&self, person: &Person, name: &str) {
        self.knock(person, name);
        self.fay.does(&["admit", &self.room, name]);
        person.does(&["read", &self.room]);
    }

    /// Runs a room command of Fay's that must succeed: the command's word, then what follows the room's name.
    pub fn fay(&self, command: &str, rest: &[&str]) -> Vec<Value> {
        self.by(&self.fay, command, rest)
    }

    /// Runs a room command of somebody's that must succeed.
    pub fn by(&self, person: &Person, command: &str, rest: &[&str]) -> Vec<Value> {
        person.does(&[&[command, &self.room], rest].concat())
    }

    /// Sends a text as somebody and returns its id.
    pub fn say(&self, person: &Person, text: &str) -> String {
        self.by(person, "send", &[text])[0]["id"].as_str().unwrap().to_owned()
    }

    /// Returns what is new to somebody.
    pub fn news(&self, person: &Person) -> Vec<Value> {
        self.by(person, "read", &[])
    }

    /// Returns the whole history of somebody, without what of it is new to them.
    pub fn history(&self, person: &Person) -> Vec<Value> {
        let mut rows = self.by(person, "read", &["--all"]);
        rows.iter_mut().filter_map(Value::as_object_mut).for_each(|row| drop(row.remove("new")));
        rows
    }

    /// Waits until somebody of a name knocks.
    pub fn await_knock(&self, name: &str) -> Value {
        until("a knock", || self.fay("knocks", &[]).into_iter().find(|knock| knock["name"] == name))
    }
}
