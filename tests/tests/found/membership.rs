//! Who is in, who may let in, and what becomes of words that wait while that changes.

use hearth_protocol::{Effect, Epoch};
use hearth_tests::{Circle, Relay};
use serde_json::json;

use crate::members::{cofacilitator, modified, operator};

#[test]
fn a5_epoch_taken_back_is_told() {
    let mut relay = Relay::start();
    let circle = Circle::open(&relay);
    let (cleo, ben) = (cofacilitator(&circle), circle.admit("Ben"));
    circle.news(&cleo);
    let refused = modified(&circle, &cleo, async |live| {
        let epoch = Epoch(live.room.epoch()?.0 - 1);
        live.effects_only(vec![Effect::Reopen { epoch }]).await
    });
    assert!(format!("{refused:?}").contains("NotFacilitator"), "{refused:?}");
    circle.say(&ben, "as before");
    for person in [&circle.fay, &cleo] {
        circle.news(person);
    }
    operator(&mut relay, |db| {
        db.execute("UPDATE rooms SET epoch = epoch - 1", []).unwrap();
    });
    for person in [&ben, &cleo, &circle.fay] {
        let sent = person.run(&["send", &circle.room, "are you there?"]);
        let failure = sent.failed(5, "epoch_taken_back");
        assert_eq!(failure["kept"], true);
        assert!(failure["try"].as_str().unwrap().contains("hearth restore-rules"), "{failure}");
        let status = person.run(&["status", &circle.room]);
        assert_eq!(status.code, Some(5), "{status:#?}");
        assert_eq!(status.lines[0]["alarms"][0]["notice"], "relay_epoch", "{status:#?}");
    }
    // What a facilitator tries is given up, and stands in the way of nothing.
    circle.fay.run(&["pause", &circle.room, "1m"]).failed(5, "epoch_taken_back");
    ben.run(&["recover", &circle.room, "--yes"]).failed(5, "epoch_taken_back");
    let restored = circle.fay("restore-rules", &[]);
    assert_eq!((&restored[0]["restored"], &restored[0]["remain"]), (&json!(true), &json!([])));
    for person in [&ben, &cleo, &circle.fay] {
        circle.say(person, "yes, I am");
        assert_eq!(circle.by(person, "status", &[])[0]["alarms"], json!([]));
    }
    let texts = |lines: Vec<serde_json::Value>| {
        lines.iter().filter(|line| line["kind"] == "text").count()
    };
    assert_eq!(texts(circle.history(&ben)), 7);
}

/// A member uses an epoch up: a facilitator gives it back by what they do next, a co-facilitator waits for one.
#[test]
fn a5_used_up_epoch_waits_for_facilitator() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let (cleo, mal) = (cofacilitator(&circle), circle.admit("Mal"));
    circle.news(&cleo);
    crate::members::silently(&circle, &mal, Vec::new()).unwrap();
    cleo.run(&["send", &circle.room, "and now?"]).failed(1, "epoch_used_up");
    circle.fay.run(&["read", &circle.room]);
    circle.say(&circle.fay, "on we go");
    circle.say(&cleo, "thank you");
}
