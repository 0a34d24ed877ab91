//! What people type wrong, and what must not be lost or read by others for that.

use hearth_kit::{Circle, Relay};

use super::{read, said};

#[test]
fn private_words_are_never_said_unasked() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let (ben, cleo) = (circle.admit("Ben"), circle.admit("Cleo"));
    let before = circle.history(&cleo).len();
    let mut chat = ben.starts_plainly(&["chat", &circle.room]);
    for line in [
        "mood 2 evenings are hard",
        "checkin I am lost",
        "anon I drink",
        "report last he lies",
        "concern Cleo she is sad",
        "answers 0 0 2",
        "vote 2",
        "@Fayy I want to die",
        "@ Fay2 I relapsed",
        "@Cleo tell nobody",
    ] {
        chat.type_line(line);
        chat.await_line(line, |said| said.starts_with("-- ") && said.contains("not said"));
    }
    chat.type_line("/quit");
    assert_eq!(chat.wait_open().code, Some(0));
    assert_eq!(circle.history(&cleo).len(), before);
    assert_eq!(read(&circle, &circle.fay, &["Ben"]), []);
}

#[test]
fn muted_moderator_stays_in_check_ins() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    circle.by(&ben, "mute", &["Fay"]);
    circle.fay("checkin", &["Ben", "Are you in danger now?"]);
    assert_eq!(read(&circle, &ben, &[]), [said("Fay", "Are you in danger now?")]);
}

#[test]
fn words_come_from_standard_input() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    let sent = ben.run_with_input(&["checkin", &circle.room, "-"], b"Seen by nobody else\n");
    assert_eq!(sent.code, Some(0), "{sent:?}");
    circle.fay.run_with_input(&["checkin", &circle.room, "Ben", "-"], b"I read it\n").done();
    let both = [said("Ben", "Seen by nobody else"), said("Fay", "I read it")];
    assert_eq!(read(&circle, &ben, &[]), both);
}

#[test]
fn waiting_words_can_be_dropped() {
    let mut relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    relay.stop();
    ben.run(&["checkin", &circle.room, "regretted"]).failed(4, "unreachable");
    let waits = circle.by(&ben, "outbox", &[]);
    assert_eq!((&waits[0]["text"], &waits[0]["lane"]), (&"regretted".into(), &"check-in".into()));
    let id = waits[0]["id"].as_str().unwrap();
    circle.by(&ben, "outbox", &["--drop", &id[..8]]);
    assert!(circle.by(&ben, "outbox", &[]).is_empty());
    relay.restart();
    circle.by(&ben, "checkin", &["kept"]);
    assert_eq!(read(&circle, &circle.fay, &["Ben"]), [said("Ben", "kept")]);
}

#[test]
fn words_for_a_peer_are_refused() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let (ben, _cleo) = (circle.admit("Ben"), circle.admit("Cleo"));
    let refused = ben.run(&["checkin", &circle.room, "Cleo", "are you there?"]);
    refused.failed(2, "usage");
    circle.by(&ben, "checkin", &["Fay", "are you there?"]);
    assert_eq!(read(&circle, &circle.fay, &["Ben"]), [said("Ben", "are you there?")]);
}

#[test]
fn former_members_check_in_stays_readable() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    circle.by(&ben, "checkin", &["Good bye"]);
    circle.fay("checkin", &[]);
    circle.by(&ben, "leave", &["--yes"]);
    circle.news(&circle.fay);
    let list = circle.fay("checkin", &[]);
    assert_eq!(list[0]["checkin"], "Ben");
    assert_eq!(read(&circle, &circle.fay, &["Ben"]), [said("Ben", "Good bye")]);
}

#[test]
fn newcomer_knows_who_is_here() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    circle.fay("duty", &["on", "2h"]);
    let ben = circle.admit("Ben");
    let status = ben.sees(&["status", &circle.room]).stdout;
    assert!(status.contains("Fay is here for the room until"), "{status}");
}
