//! What members and those who moderate tell each other beside the room: shares without a name, hidden votes, reports, notes.

mod lawless;
mod polls;
mod reports;
mod roles;
mod sharing;

use hearth_kit::{Circle, Person, Relay};
use serde_json::Value;

/// A room of Fay's with members, each of whom has a lane.
struct Scene {
    circle: Circle,
    people: Vec<(&'static str, Person)>,
}

impl Scene {
    fn of(relay: &Relay, names: &[&'static str]) -> Self {
        let circle = Circle::open(relay);
        let people = names.iter().map(|name| (*name, circle.admit(name))).collect();
        let scene = Self { circle, people };
        scene.settle();
        scene
    }

    /// The same with Gil as co-facilitator, who sits in every lane.
    fn with_gil(relay: &Relay, names: &[&'static str]) -> Self {
        let circle = Circle::open(relay);
        let gil = circle.admit("Gil");
        circle.fay("role", &["Gil", "cofacilitator"]);
        let mut people = vec![("Gil", gil)];
        people.extend(names.iter().map(|name| (*name, circle.admit(name))));
        let scene = Self { circle, people };
        // Gil offers himself, Fay seats him, Gil enters.
        for _ in 0..2 {
            scene.settle();
        }
        scene
    }

    /// Lets everybody's program do what is due.
    fn settle(&self) {
        for (_, person) in &self.people {
            self.circle.news(person);
        }
        self.circle.news(&self.circle.fay);
        for (_, person) in &self.people {
            self.circle.news(person);
        }
    }

    fn person(&self, name: &str) -> &Person {
        match name {
            "Fay" => &self.circle.fay,
            _ => &self.people.iter().find(|(other, _)| *other == name).unwrap().1,
        }
    }

    /// Runs a room command of somebody's that must succeed.
    fn by(&self, name: &str, command: &str, rest: &[&str]) -> Vec<Value> {
        self.circle.by(self.person(name), command, rest)
    }

    /// Returns what somebody sees of a command.
    fn sees(&self, name: &str, command: &str, rest: &[&str]) -> String {
        let ended = self.person(name).sees(&[&[command, &*self.circle.room], rest].concat());
        assert_eq!(ended.code, Some(0), "{ended:?}");
        ended.stdout
    }

    /// Returns the rows of a kind in somebody's whole history of the room.
    fn rows(&self, name: &str, kind: &str) -> Vec<Value> {
        let all = self.circle.history(self.person(name)).into_iter();
        all.filter(|row| row["kind"] == kind).collect()
    }
}
