//! Hidden polls: nobody but those who moderate sees a vote, and a closer who cheats is found out.

use hearth_engine::{content::Body, floor::Ballot};
use hearth_kit::{Relay, forged};
use hearth_protocol::{MessageId, Seq};

use super::Scene;
use crate::found::members::modified;

const VOTERS: [&str; 5] = ["Ben", "Cleo", "Dee", "Eli", "Hana"];

fn asked(scene: &Scene) -> String {
    scene.by("Fay", "poll", &["Sundays, too?", "yes", "no", "--hidden"]);
    let asks = scene.by("Ben", "asks", &[]);
    format!("#{}", asks[0]["number"])
}

#[test]
fn hidden_poll_shows_totals_alone() {
    let relay = Relay::start();
    let scene = Scene::of(&relay, &VOTERS);
    let ask = asked(&scene);
    for (name, option) in [("Ben", "no"), ("Ben", "yes"), ("Cleo", "yes"), ("Dee", "no")] {
        let voted = scene.by(name, "vote", &[&ask, option]);
        assert_eq!((&voted[0]["voted"], &voted[0]["to"][0]), (&true.into(), &"Fay".into()));
    }
    for name in ["Eli", "Hana"] {
        scene.by(name, "vote", &[&ask, "2"]);
    }
    scene.by("Fay", "close-ask", &[&ask]);
    for name in VOTERS.into_iter().chain(["Fay"]) {
        scene.by(name, "read", &[]);
        let all = scene.circle.history(scene.person(name));
        let closed = all.iter().rfind(|row| row["floor"] == "ask_closed").unwrap();
        assert_eq!(closed["totals"][0]["votes"], 2, "{closed}");
        assert_eq!(closed["totals"][1]["votes"], 3, "{closed}");
        assert!(all.iter().all(|row| row["kind"] != "vote" && row["kind"] != "ballot"));
        assert!(all.iter().all(|row| row["alarm"] != true), "{name}: {all:#?}");
    }
    let lane = scene.by("Fay", "checkin", &["Ben"]);
    assert!(lane.iter().any(|row| row["kind"] == "ballot" && row["choice"] == 1), "{lane:#?}");
}

#[test]
fn four_votes_show_nothing() {
    let relay = Relay::start();
    let scene = Scene::of(&relay, &VOTERS);
    let ask = asked(&scene);
    for name in &VOTERS[..4] {
        scene.by(name, "vote", &[&ask, "yes"]);
    }
    scene.by("Fay", "close-ask", &[&ask]);
    let lines = scene.sees("Hana", "read", &["--all"]);
    assert!(lines.contains("too few votes to show any"), "{lines}");
}

/// Fay's modified client publishes five votes of its own.
#[test]
fn invented_votes_alarm_each_voter() {
    let relay = Relay::start();
    let scene = Scene::of(&relay, &VOTERS);
    let ask = asked(&scene);
    for name in VOTERS {
        scene.by(name, "vote", &[&ask, "yes"]);
        scene.by(name, "read", &[]);
    }
    // A vote of the last minute may have come too late.
    let long_ago = hearth_kit::clock("+2m").is_some();
    let mut relay = relay;
    if long_ago {
        relay.stop();
        relay.set_under(hearth_kit::clock("+2m").unwrap());
        relay.restart();
    }
    modified(&scene.circle, scene.person("Fay"), async |live| {
        let ask = live.room.floor()?.state().asks[0].ask;
        let ballots = (0..5).map(|n| Ballot { hash: [n; 16], choice: 1 }).collect();
        let body = Body::Close { ask, ballots: Some(ballots) };
        let id = MessageId([9; 16]);
        let payload = live.room.forge_message(id, body, false, hearth_session::live::now())?;
        forged::submit(live, id, payload, Vec::new()).await
    })
    .map(|seq| assert!(seq > Seq(0)))
    .unwrap();
    if !long_ago {
        return;
    }
    for name in VOTERS {
        // What it reads first does not differ yet: its lane is compared behind it.
        let first = scene.person(name).run(&["read", &scene.circle.room]);
        assert!(first.stderr.contains("Fay closed a hidden poll") || first.code == Some(0));
        let all = scene.person(name).run(&["read", &scene.circle.room, "--all"]);
        let alarms: Vec<_> = all.lines.iter().filter(|row| row["notice"] == "ballots").collect();
        assert_eq!(alarms.len(), 1, "{name}: {all:#?}");
        assert_eq!((&alarms[0]["alarm"], &alarms[0]["from"]), (&true.into(), &"Fay".into()));
    }
}
