//! Each command of talking, turns and questions, tried by each role: it does something, or is refused and changes nothing.

use hearth_client::cli::{Entry, May, ROOM_COMMANDS, Topic};
use hearth_kit::{Answer, Circle, Person, Relay};
use hearth_protocol::Role;

/// What a command comes to that the role may use.
enum Comes {
    /// The others read something new.
    News,
    /// It shows something, or changes something of this device.
    Here,
    /// It is refused: exit code and word.
    Refused(i32, &'static str),
}

use Comes::{Here, News, Refused};

/// One command: what Fay prepares for it, what follows its word, and what it comes to for facilitators, members and observers.
struct Try {
    name: &'static str,
    before: &'static [&'static [&'static str]],
    args: &'static [&'static str],
    moderators: Comes,
    members: Comes,
    observers: Comes,
}

const NO: Comes = Refused(3, "not_facilitator");
const READS: Comes = Refused(3, "observer");

const fn by_moderators(
    name: &'static str,
    before: &'static [&'static [&'static str]],
    args: &'static [&'static str],
) -> Try {
    Try { name, before, args, moderators: News, members: NO, observers: NO }
}

const fn by_members(
    name: &'static str,
    before: &'static [&'static [&'static str]],
    args: &'static [&'static str],
) -> Try {
    Try { name, before, args, moderators: News, members: News, observers: READS }
}

const fn by_all(name: &'static str, args: &'static [&'static str]) -> Try {
    Try { name, before: &[], args, moderators: Here, members: Here, observers: Here }
}

const PROMPT: &[&[&str]] = &[&["prompt", "How are you?"]];
const POLL: &[&[&str]] = &[&["poll", "When?", "at six", "at eight"]];
const BENS_TURN: &[&[&str]] = &[&["call", "Ben"]];
const NOT_HIS: Comes = Refused(3, "not_your_turn");

#[rustfmt::skip]
const TRIES: &[Try] = &[
    by_members("send", &[], &["Hello"]),
    by_members("reply", &[], &["last", "Hello"]),
    by_members("react", &[], &["heard"]),
    by_members("edit", &[], &["Hello again"]),
    by_members("cw", &[], &["drinking", "Hello"]),
    // Whoever may not write any more may take back what they wrote.
    Try { observers: News, ..by_members("retract", &[], &["OWN"]) },
    by_all("show", &["last"]),
    by_moderators("cover", &[], &["last", "drinking"]),
    by_moderators("announce", &[], &["We meet at six"]),
    by_all("outbox", &[]),
    by_members("hand", &[], &[]),
    Try { observers: Refused(3, "hand_is_down"), ..by_members("lower", &[], &[]) },
    Try { moderators: NOT_HIS, observers: NOT_HIS, ..by_members("pass", BENS_TURN, &[]) },
    Try { moderators: NOT_HIS, observers: NOT_HIS, ..by_members("done", BENS_TURN, &[]) },
    by_all("hands", &[]),
    by_moderators("sitting", &[], &["open", "Sunday"]),
    by_moderators("round", &[], &["start", "How are you?"]),
    by_moderators("next", BENS_TURN, &["Ben"]),
    by_moderators("skip", BENS_TURN, &["Ben"]),
    by_moderators("extend", BENS_TURN, &["30m"]),
    by_moderators("call", &[], &["Ben"]),
    by_moderators("prompt", &[], &["How are you?"]),
    by_members("answer", PROMPT, &["Well"]),
    by_all("asks", &[]),
    by_moderators("poll", &[], &["When?", "at six", "at eight"]),
    by_members("vote", POLL, &["1"]),
    by_moderators("close-ask", PROMPT, &[]),
    by_moderators("exercise", &[], &["opening-round"]),
    by_moderators("duty", &[], &["on", "1h"]),
];

/// A room with somebody of each role.
struct Scene {
    circle: Circle,
    people: Vec<(&'static str, Role, Person)>,
    ben: Person,
}

impl Scene {
    fn set(relay: &Relay) -> Self {
        let circle = Circle::open(relay);
        let (gil, ben, otto) = (circle.admit("Gil"), circle.admit("Ben"), circle.admit("Otto"));
        // Otto has said something before he only observes.
        circle.say(&otto, "I was here");
        circle.fay("role", &["Gil", "cofacilitator"]);
        circle.fay("role", &["Otto", "observer"]);
        let reader = Person::at(ben.home());
        let fay = Person::at(circle.fay.home());
        let people = vec![
            ("Otto", Role::Observer, otto),
            ("Ben", Role::Member, ben),
            ("Gil", Role::CoFacilitator, gil),
            ("Fay", Role::Facilitator, fay),
        ];
        Self { circle, people, ben: reader }
    }

    /// Ends what is on, says something of everybody's who may write, and prepares what a command needs.
    fn prepare(&self, tried: &Try, actor: &Person) {
        let room = &self.circle.room;
        let ended = self.circle.fay.run(&["round", room, "end"]);
        assert!(matches!(ended.code, Some(0 | 3)), "{ended:#?}");
        for ask in self.circle.fay("asks", &[]) {
            let number = format!("#{}", ask["number"]);
            self.circle.fay("close-ask", &[&number]);
        }
        let raised = matches!(tried.name, "lower");
        let hand = if raised { "hand" } else { "lower" };
        let hand = actor.run(&[hand, room]);
        assert!(matches!(hand.code, Some(0 | 3)), "{hand:#?}");
        for words in tried.before {
            self.circle.fay(words[0], &words[1..]);
        }
    }

    /// Reads as Ben, or as Fay if it is Ben who acts; returns the number of new lines.
    fn news(&self, actor: &str) -> usize {
        let reader = if actor == "Ben" { &self.circle.fay } else { &self.ben };
        self.circle.news(reader).len()
    }

    fn tries(&self, tried: &Try, person: &Person) -> Answer {
        let mut words = vec![tried.name.to_owned(), self.circle.room.clone()];
        for word in tried.args {
            words.push(if *word == "OWN" { self.last_of(person) } else { (*word).to_owned() });
        }
        person.run(&words)
    }

    fn last_of(&self, person: &Person) -> String {
        let all = self.circle.history(person);
        let own = all.iter().rfind(|row| row["kind"] == "text" && row["mine"] == true).unwrap();
        own["id"].as_str().unwrap().to_owned()
    }
}

fn rows() -> Vec<&'static Entry> {
    let topics = [Topic::Talking, Topic::Turns, Topic::Asking];
    let ours = |entry: &&Entry| entry.topic.is_some_and(|topic| topics.contains(&topic));
    ROOM_COMMANDS.iter().filter(ours).collect()
}

#[test]
fn every_row_is_tried() {
    let (mut tried, mut rows): (Vec<_>, Vec<_>) = (
        TRIES.iter().map(|tried| tried.name).collect(),
        rows().into_iter().map(|entry| entry.name).collect(),
    );
    tried.sort_unstable();
    rows.sort_unstable();
    assert_eq!(tried, rows);
}

/// What the table here expects of members is what the row of the command says.
#[test]
fn rows_say_who_may() {
    for entry in rows() {
        let tried = TRIES.iter().find(|tried| tried.name == entry.name).unwrap();
        let refused = matches!(tried.members, Refused(3, "not_facilitator"));
        assert_eq!(refused, entry.who != May::Members, "{}", entry.name);
    }
}

#[test]
fn role_decides_what_is_done() {
    let relay = Relay::start();
    let scene = Scene::set(&relay);
    for tried in TRIES {
        for (name, role, person) in &scene.people {
            scene.prepare(tried, person);
            if role.posts() {
                scene.circle.say(person, "Before it");
            }
            scene.news(name);
            let answer = scene.tries(tried, person);
            let comes = match role {
                Role::Observer | Role::Steward => &tried.observers,
                Role::Member => &tried.members,
                Role::CoFacilitator | Role::Facilitator => &tried.moderators,
            };
            let (done, news) = (answer.code, scene.news(name));
            let what = format!("{} by {name}: {news} new\n{answer:#?}", tried.name);
            match comes {
                News => assert!(done == Some(0) && news > 0, "{what}"),
                Here => assert!(done == Some(0) && news == 0, "{what}"),
                Refused(exit, word) => {
                    answer.failed(*exit, word);
                    assert_eq!(news, 0, "{what}");
                    assert!(!answer.stderr.contains("kept") || *word == "observer", "{what}");
                }
            }
        }
    }
}
