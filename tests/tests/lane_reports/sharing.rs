//! A share without a name, from the member who asks for it to the group that reads it, and back.

use hearth_kit::{Relay, clock};

use super::Scene;

const SIX: [&str; 6] = ["Ben", "Cleo", "Dee", "Eli", "Hana", "Omar"];
const WORDS: &str = "I have started to drink again and didn't dare to say it.";

#[test]
fn share_shows_without_its_author() {
    let Some(_) = clock("+0") else { return };
    let mut relay = Relay::start();
    let scene = Scene::of(&relay, &SIX);
    let sent = scene.by("Hana", "anon", &[WORDS]);
    assert_eq!((&sent[0]["sent"], &sent[0]["to"][0]), (&true.into(), &"Fay".into()));
    let queue = scene.by("Fay", "anon-queue", &[]);
    assert_eq!(queue.len(), 1, "{queue:#?}");
    assert_eq!((&queue[0]["from"], &queue[0]["state"]), (&"Hana".into(), &"waits".into()));
    assert_eq!(queue[0]["text"], WORDS);
    // Nobody is there who could look after the group.
    let room = &scene.circle.room;
    scene.person("Fay").run(&["anon-release", room, "1"]).refused(3, "nobody_on_duty");
    scene.by("Fay", "duty", &["on", "2h"]);
    scene.by("Fay", "anon-release", &["1"]);
    let read = scene.sees("Hana", "checkin", &[]);
    assert!(
        read.contains("Fay has said yes. It will show in the next half hour, with no name."),
        "{read}"
    );
    scene.by("Fay", "read", &[]);
    assert!(scene.rows("Ben", "shared").is_empty(), "not at once");
    assert_eq!(scene.by("Fay", "anon-queue", &[])[0]["state"], "planned");
    // Fay's program ends and begins again; half an hour passes.
    relay.stop();
    relay.set_under(clock("+31m").unwrap());
    relay.restart();
    for _ in 0..3 {
        scene.by("Fay", "read", &[]);
    }
    for name in SIX {
        let rows = scene.rows(name, "shared");
        assert_eq!(rows.len(), 1, "{name}: {rows:#?}");
        assert_eq!((&rows[0]["from"], &rows[0]["text"]), (&"Fay".into(), &WORDS.into()));
        let lines = scene.sees(name, "read", &["--all"]);
        assert!(lines.contains(&format!("Shared through Fay, without a name: {WORDS}")), "{lines}");
        assert!(!lines.contains("anon"), "{lines}");
    }
    assert_eq!(scene.by("Fay", "anon-queue", &[])[0]["state"], "shown");
    // She takes it back: the group reads what it reads of Fay's own words.
    scene.by("Hana", "take-back", &[]);
    scene.by("Fay", "read", &[]);
    for name in SIX {
        assert!(scene.rows(name, "shared").is_empty(), "{name}");
        let lines = scene.sees(name, "read", &["--all"]);
        assert!(lines.contains("-- Fay took this back"), "{lines}");
    }
    assert!(scene.by("Fay", "anon-queue", &[]).is_empty());
    scene.person("Hana").run(&["take-back", room]).refused(2, "no_share");
}

#[test]
fn peers_learn_nothing_of_a_share() {
    let relay = Relay::start();
    let scene = Scene::of(&relay, &SIX);
    for name in SIX {
        scene.by(name, "read", &[]);
    }
    scene.by("Hana", "anon", &[WORDS]);
    scene.by("Fay", "duty", &["on"]);
    let duty = scene.by("Ben", "read", &[]).len();
    assert_eq!(duty, 1);
    scene.by("Fay", "anon-return", &["1", "I would rather talk with you first."]);
    for name in ["Ben", "Cleo", "Dee", "Eli", "Omar"] {
        let rows = scene.by(name, "read", &[]);
        assert!(rows.len() <= 1 && rows.iter().all(|row| row["kind"] == "duty"), "{rows:#?}");
        let lane = scene.by(name, "checkin", &[]);
        assert!(lane.iter().all(|row| row["text"] != WORDS), "{lane:#?}");
    }
    let read = scene.sees("Hana", "checkin", &[]);
    let told =
        "Fay has not shared this: “I would rather talk with you first.” Nobody else has seen it";
    assert!(read.contains(told), "{read}");
    assert!(scene.by("Fay", "anon-queue", &[]).is_empty());
}

/// With five, everybody could guess.
#[test]
fn share_among_five_goes_nowhere() {
    let relay = Relay::start();
    let scene = Scene::of(&relay, &SIX[..5]);
    let room = &scene.circle.room;
    scene.person("Hana").run(&["anon", room, WORDS]).refused(3, "too_few");
    assert!(scene.by("Fay", "anon-queue", &[]).is_empty());
    let lane = scene.by("Fay", "checkin", &["Hana"]);
    assert!(lane.iter().all(|row| row["text"] != WORDS), "{lane:#?}");
}
