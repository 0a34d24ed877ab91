//! A member with a modified client says in the room what counts in lanes only: nobody takes it, and all read whose it was.

use hearth_engine::{content::Body, policy::Category, private::SeenState};
use hearth_kit::{Relay, forged};
use hearth_protocol::{Digest, MessageId};

use super::Scene;
use crate::found::members::modified;

fn forbidden() -> Vec<(&'static str, Body)> {
    let message = MessageId([4; 16]);
    vec![
        ("words shown by a member", Body::Shared("I heard that Ben drinks".into())),
        ("a share in the room", Body::Anon("it was me".into())),
        ("a recall in the room", Body::Recall(message)),
        ("a note in the room", Body::Note { about: None, text: "Ben is ill".into() }),
        (
            "a report in the room",
            Body::Report {
                quotes: Vec::new(),
                about: Vec::new(),
                category: Category::Conduct,
                words: "Ben is to blame".into(),
            },
        ),
        (
            "an answer in the room",
            Body::Seen { message, state: SeenState::Resolved, words: "Fay says yes".into() },
        ),
        (
            "a questionnaire in the room",
            Body::Questionnaire { form: Digest([5; 32]), answers: vec![Some(3)] },
        ),
    ]
}

#[test]
fn lane_bodies_in_rooms_are_named() {
    let relay = Relay::start();
    let scene = Scene::of(&relay, &["Ben", "Mal"]);
    scene.settle();
    for (n, (what, body)) in (1..).zip(forbidden()) {
        modified(&scene.circle, scene.person("Mal"), async |live| {
            let id = MessageId([n; 16]);
            let payload = live.room.forge_message(id, body, false, hearth_session::live::now())?;
            forged::submit(live, id, payload, Vec::new()).await
        })
        .unwrap();
        for name in ["Fay", "Ben"] {
            let answer = scene.person(name).run(&["read", &scene.circle.room]);
            let rows: Vec<_> = answer.lines.iter().filter(|row| row["error"].is_null()).collect();
            assert_eq!(rows.len(), 1, "{what}: {answer:#?}");
            assert_eq!(
                (&rows[0]["notice"], &rows[0]["from"]),
                (&"unreadable".into(), &"Mal".into())
            );
            assert_eq!(rows[0]["alarm"], true, "{what}");
        }
    }
    assert!(scene.by("Fay", "anon-queue", &[]).is_empty());
    assert!(scene.by("Fay", "reports", &[]).is_empty());
    assert!(scene.by("Fay", "notes", &[]).is_empty());
}
