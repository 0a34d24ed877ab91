//! Each command of sharing and reporting by each role: it goes where it belongs, or is refused and says nothing to anybody.

use hearth_client::cli::{May, ROOM_COMMANDS, Topic};
use hearth_kit::Relay;

use super::Scene;

/// What follows each command's word, and what it comes to for a member: `None`, it is done.
/// A command, what follows it, and with what it is refused.
type Try = (&'static str, &'static [&'static str], Option<(i32, &'static str)>);

const TRIES: &[Try] = &[
    ("anon", &["Hello"], Some((3, "too_few"))),
    ("take-back", &[], Some((2, "no_share"))),
    ("anon-queue", &[], Some((3, "not_facilitator"))),
    ("anon-release", &["1"], Some((3, "not_facilitator"))),
    ("anon-return", &["1", "No"], Some((3, "not_facilitator"))),
    ("report", &["last", "It hurts"], None),
    ("concern", &["Cleo", "She is sad"], None),
    ("reports", &[], None),
    ("report-close", &["abcd2345", "Done"], Some((3, "not_facilitator"))),
    ("note", &["room", "Hm"], Some((3, "not_facilitator"))),
    ("notes", &[], Some((3, "not_facilitator"))),
    ("note-export", &["Cleo", "/tmp/never"], Some((3, "not_facilitator"))),
];

#[test]
fn every_private_row_is_tried() {
    let topics = [Topic::Sharing, Topic::Reporting];
    let rows: Vec<&str> = ROOM_COMMANDS
        .iter()
        .filter(|entry| entry.topic.is_some_and(|topic| topics.contains(&topic)))
        .map(|entry| {
            let tried = TRIES.iter().find(|(name, ..)| *name == entry.name).unwrap();
            let refused = matches!(tried.2, Some((3, "not_facilitator")));
            assert_eq!(refused, entry.who != May::Members, "{}", entry.name);
            entry.name
        })
        .collect();
    assert_eq!(rows.len(), TRIES.len());
}

#[test]
fn role_decides_who_reports() {
    let relay = Relay::start();
    let scene = Scene::of(&relay, &["Ben", "Cleo", "Otto"]);
    scene.circle.say(scene.person("Cleo"), "Hello");
    scene.by("Fay", "role", &["Otto", "observer"]);
    scene.settle();
    let room = &scene.circle.room;
    // Somebody who only observes is in the group and hears what is said: they report like a member.
    for name in ["Ben", "Otto"] {
        for (command, args, refused) in TRIES {
            let answer = scene.person(name).run(&[&[*command, room.as_str()], *args].concat());
            match refused {
                Some((exit, code)) => drop(answer.refused(*exit, code).clone()),
                None => drop(answer.done()),
            }
        }
    }
    // Nothing of it is in the room.
    let news = scene.by("Cleo", "read", &[]);
    assert!(news.is_empty(), "{news:#?}");
    assert_eq!(scene.by("Fay", "reports", &[]).len(), 4);
}
