//! The people of an evening, each in a chat of their own, and what each of them reads.

use std::collections::BTreeMap;

use hearth_kit::{Circle, Person, Running};
use serde_json::Value;

/// The room and everybody who was let in, by name.
pub(super) struct Cast {
    pub(super) circle: Circle,
    people: BTreeMap<&'static str, Person>,
    chats: BTreeMap<&'static str, Running>,
}

impl Cast {
    /// Lets people into a room of Fay's; nobody chats yet.
    pub(super) fn of(circle: Circle, names: &[&'static str]) -> Self {
        let people = names.iter().map(|name| (*name, circle.admit(name))).collect();
        Self { circle, people, chats: BTreeMap::new() }
    }

    pub(super) fn person(&self, name: &str) -> &Person {
        if name == "Fay" { &self.circle.fay } else { &self.people[name] }
    }

    /// Adds somebody who has knocked and not been let in yet.
    pub(super) fn knocks(&mut self, name: &'static str) {
        let person = Person::new();
        self.circle.knock(&person, name);
        self.people.insert(name, person);
    }

    /// Opens the chat of somebody, and waits until it is there.
    pub(super) fn comes(&mut self, name: &'static str) {
        let mut chat = self.person(name).starts_plainly(&["chat", &self.circle.room]);
        chat.type_line("/status");
        chat.await_line("the room's state", |line| line.contains("; agreement version"));
        self.chats.insert(name, chat);
    }

    /// Closes the chat of somebody; returns all that it said.
    pub(super) fn goes(&mut self, name: &str) -> String {
        let mut chat = self.chats.remove(name).unwrap();
        chat.type_line("/quit");
        let ended = chat.wait_open();
        assert_eq!(ended.code, Some(0), "{name}: {ended:?}");
        ended.stdout
    }

    pub(super) fn is_here(&self, name: &str) -> bool {
        self.chats.contains_key(name)
    }

    pub(super) fn types(&mut self, name: &str, line: &str) {
        self.chats.get_mut(name).unwrap().type_line(line);
    }

    /// Waits until somebody's chat shows a line, without its time and ids.
    pub(super) fn hears(&mut self, name: &str, wanted: &str) {
        let chat = self.chats.get_mut(name).unwrap();
        chat.await_line(&format!("to {name}: {wanted}"), |line| fits(wanted, &bare(line)));
    }

    /// Returns the lines of somebody's whole history, without times and ids.
    pub(super) fn transcript(&self, name: &str) -> Vec<String> {
        let ended = self.person(name).sees(&["read", &self.circle.room, "--all"]);
        assert_eq!(ended.code, Some(0), "{name}: {ended:?}");
        ended.stdout.lines().map(|line| self.as_in_chat(&bare(line))).collect()
    }

    /// Returns a line with its commands as a chat advises them.
    fn as_in_chat(&self, line: &str) -> String {
        let mut parts = line.split("`hearth ");
        let first = parts.next().unwrap_or_default().to_owned();
        parts.fold(first, |line, part| {
            let (word, rest) = part.split_once(' ').unwrap();
            format!("{line}`/{word}{}", rest.strip_prefix(&self.circle.room).unwrap())
        })
    }

    /// Returns whose turn it is and who asks for one, as somebody knows it.
    pub(super) fn hands(&self, name: &str) -> Value {
        self.circle.by(self.person(name), "hands", &[]).remove(0)
    }

    /// Returns the objects of somebody's whole history.
    pub(super) fn objects(&self, name: &str) -> Vec<Value> {
        self.circle.history(self.person(name))
    }
}

/// Returns a line without the time before it, and with the same word for every id and number of an entry.
pub(super) fn bare(line: &str) -> String {
    let mut rest = without_time(line.trim_end());
    let mut bare = String::new();
    while let Some(at) = rest.find(['[', '#']) {
        let (before, mark) = rest.split_at(at);
        let behind = &mark[1..];
        let len = behind.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(behind.len());
        let word = match (&mark[..1], len) {
            ("[", 8) => "ID",
            ("#", 1..) => "N",
            _ => &behind[..len],
        };
        bare.extend([before, &mark[..1], word]);
        rest = &behind[len..];
    }
    bare.push_str(rest);
    bare
}

/// Takes `17:05`, or `Tue 24 Nov 17:05` once the day is over, from the front of a line.
fn without_time(line: &str) -> &str {
    const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    let dated = DAYS.iter().any(|day| line.starts_with(&format!("{day} ")));
    let mut rest = line;
    for _ in 0..if dated { 4 } else { 1 } {
        let Some((word, behind)) = rest.split_once(' ') else { return line };
        let digits = |text: &str| text.len() == 2 && text.chars().all(|c| c.is_ascii_digit());
        if word.split_once(':').is_some_and(|(hour, minute)| digits(hour) && digits(minute)) {
            return behind;
        }
        rest = behind;
    }
    line
}

/// Whether a line is the one of a table, which may end in `…` for whatever follows.
pub(super) fn fits(wanted: &str, line: &str) -> bool {
    match wanted.strip_suffix('…') {
        Some(begin) => line.starts_with(begin),
        None => line == wanted,
    }
}
