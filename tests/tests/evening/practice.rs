//! The evening of the practice as a whole, with check-ins, a mood, a share and a call for help: who reads what, and who reads nothing.

use hearth_kit::{Circle, Person, Relay};
use serde_json::Value;

use super::cast::bare;

const NAMES: [&str; 7] = ["Gil", "Ben", "Cleo", "Dee", "Eli", "Hana", "Omar"];

/// Everybody of the evening.
struct Evening {
    circle: Circle,
    people: Vec<(&'static str, Person)>,
}

impl Evening {
    fn open(relay: &Relay) -> Self {
        let circle = Circle::open(relay);
        let people = NAMES.map(|name| (name, circle.admit(name))).into();
        circle.fay("role", &["Gil", "cofacilitator"]);
        let evening = Self { circle, people };
        // Seats of a new co-facilitator: Gil's device offers, Fay's seats, Gil's reads.
        for name in ["Gil", "Fay", "Gil", "Fay"] {
            evening.does(name, "read", &[]);
        }
        evening
    }

    fn person(&self, name: &str) -> &Person {
        let found = self.people.iter().find(|(other, _)| *other == name);
        found.map_or(&self.circle.fay, |(_, person)| person)
    }

    fn does(&self, name: &str, command: &str, rest: &[&str]) -> Vec<Value> {
        self.circle.by(self.person(name), command, rest)
    }

    /// Runs a command that is refused, and keeps the words.
    fn is_kept(&self, name: &str, words: &str) {
        let answer = self.person(name).run(&["send", &self.circle.room, words]);
        assert_eq!((answer.code, &answer.lines.last().unwrap()["kept"]), (Some(3), &true.into()));
    }

    /// Returns all that a member has on the screen: the room, the roster, the state, the log.
    fn sees(&self, name: &str) -> String {
        let person = self.person(name);
        person.sees(&["read", &self.circle.room]);
        let seen = ["read --all", "who", "hands", "asks"].map(|line| {
            let mut words: Vec<&str> = line.split(' ').collect();
            words.insert(1, &self.circle.room);
            person.sees(&words).stdout
        });
        seen.concat()
    }

    /// Does something in private, and checks that nobody but `readers` sees anything of it.
    fn alone(&self, readers: &[&str], does: impl FnOnce(&Self)) {
        let others: Vec<&str> =
            NAMES.into_iter().filter(|name| !readers.contains(name) && *name != "Gil").collect();
        let before: Vec<String> = others.iter().map(|name| self.sees(name)).collect();
        does(self);
        for (name, before) in others.iter().zip(before) {
            assert_eq!(self.sees(name), before, "{name}");
        }
    }

    /// Returns the last lines of a check-in as somebody reads it.
    fn check_in(&self, name: &str, whose: &[&str]) -> String {
        let args = [&["checkin", &self.circle.room], whose].concat();
        self.person(name).sees(&args).stdout
    }

    /// Returns the lines of the room as somebody reads them.
    fn room(&self, name: &str) -> Vec<String> {
        let ended = self.person(name).sees(&["read", &self.circle.room, "--all"]);
        ended.stdout.lines().map(bare).collect()
    }
}

#[test]
fn evening_tells_each_their_own() {
    let relay = Relay::start();
    let evening = Evening::open(&relay);
    let (fay, room) = ("Fay", evening.circle.room.clone());
    evening.does(fay, "duty", &["on", "2h"]);
    let opened = &evening.does(fay, "sitting", &["open", "Sunday"])[0];
    assert_eq!(opened["members"].as_array().unwrap().len(), 7, "{opened}");

    // 19:15: a pause with words. What Eli writes stays with Eli; Omar and Fay talk, and Gil reads it.
    evening.does("Omar", "send", &["At least you have a brother who calls."]);
    evening.does(fay, "pause", &["10m", "Two of us are hurt, and it matters."]);
    evening.alone(&["Eli", "Omar"], |evening| {
        evening.is_kept("Eli", "I am sick of walking on eggshells");
        evening.does(fay, "checkin", &["Omar", "I saw that it hit you."]);
        evening.does("Omar", "checkin", &["My brother is dead. I only heard the word."]);
        evening.does(fay, "checkin", &["Eli", "You stood up for Ben."]);
    });
    for reader in [fay, "Gil"] {
        let read = evening.check_in(reader, &["Omar"]);
        assert!(read.contains("Omar: My brother is dead"), "{reader}: {read}");
    }
    let pause = evening.room("Cleo").into_iter().find(|line| line.contains("has paused")).unwrap();
    for words in [
        "Fay has paused the room until ",
        "“Two of us are hurt, and it matters.” Nobody has to go. You can read.",
        "it stays with you until you decide.",
    ] {
        assert!(pause.contains(words), "{pause}");
    }
    let resumed = evening.person(fay).sees(&["resume", &room]).stdout;
    assert!(
        resumed.contains(&format!("hearth round {room} start \"What was that like?\"")),
        "{resumed}"
    );
    evening.does("Eli", "outbox", &["--drop", "all"]);

    // A break is for one alone: the others read nothing, and no turn of theirs tells it.
    evening.alone(&["Dee"], |evening| {
        evening.does(fay, "break", &["Dee", "20m", "Breathe first. I write to you."]);
        let mine = evening.room("Dee").pop().unwrap();
        assert!(mine.contains("Fay asks you to take a break from the room until "), "{mine}");
        assert!(mine.contains("(20 min). Fay writes: “Breathe first. I write to you.”"), "{mine}");
        assert!(
            mine.contains("you can talk with Gil and Fay")
                || mine.contains("you can talk with Fay and Gil"),
            "{mine}"
        );
    });
    evening.does(fay, "round", &["start", "What was that like?", "--order", "roster"]);
    let order =
        evening.room("Ben").into_iter().rfind(|line| line.contains("begins a round")).unwrap();
    assert!(order.contains("Ben has the floor, then Cleo, Dee, Eli, Hana, Omar"), "{order}");
    evening.does("Ben", "done", &[]);
    evening.does("Cleo", "done", &[]);
    // Fay's device passes for Dee, who can say nothing now.
    evening.does(fay, "read", &[]);
    let hands = evening.does("Omar", "hands", &[]);
    assert_eq!(hands[0]["round"]["holder"], "Eli", "{hands:?}");
    let lines = evening.room("Omar");
    assert!(lines.ends_with(&["-- Next: Dee.".into(), "-- Next: Eli.".into()]), "{lines:?}");
    evening.does(fay, "round", &["end"]);
    evening.alone(&["Dee"], |evening| {
        evening.does(fay, "break-end", &["Dee"]);
    });

    // 19:40: a mood, a share on its way, a call for help: the room reads nothing of them.
    evening.alone(&["Dee", "Hana"], |evening| {
        evening.does(fay, "mood", &["ask", "--to", "Dee"]);
        evening.does("Dee", "mood", &["2", "evenings"]);
        evening.does("Hana", "anon", &["--yes", "I have started to drink again."]);
        evening.does(fay, "checkin", &["Hana", "Shall I share it now?"]);
        evening.does("Hana", "checkin", &["Yes. Please do."]);
        let told = &evening.does("Dee", "help-now", &["--tell"])[1];
        assert_eq!(told["stage"], "sent", "{told}");
        let told = evening.person("Dee").sees(&["help-now", &room, "--tell"]).stdout;
        assert!(told.contains("Gil is off duty, and is not rung."), "{told}");
        evening.does(fay, "flag", &["seen"]);
        evening.does(fay, "checkin", &["Dee", "I'm here. Are you in danger now?"]);
        evening.does(fay, "flag", &["resolve", "Your sister is with you. I call at nine."]);
    });
    let told = evening.check_in("Dee", &[]);
    assert!(told.contains("Your sister is with you. I call at nine."), "{told}");

    // 21:00
    let closed = evening.person(fay).sees(&["sitting", &room, "close"]).stdout;
    assert!(closed.contains(&format!("hearth exercise {room} closing-round")), "{closed}");
    let over = evening.person(fay).sees(&["duty", &room, "off"]).stdout;
    assert!(
        over.starts_with("Your duty is over.") && over.ends_with("Check-ins due: none.\n"),
        "{over}"
    );
    let status = evening.person("Ben").sees(&["status", &room]).stdout;
    assert!(status.contains("Nobody from the team is here."), "{status}");
}
