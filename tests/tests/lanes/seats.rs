//! Who sits in a check-in after appointments, demotions and departures.

use hearth_kit::{Circle, Relay};

use super::{appoint, read, said};

#[test]
fn appointed_moderator_reads_later_words_alone() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let (ben, gil) = (circle.admit("Ben"), circle.admit("Gil"));
    circle.by(&ben, "checkin", &["Before"]);
    appoint(&circle, &gil, "Gil");
    let sent = circle.by(&ben, "checkin", &["After"]);
    assert_eq!(sent[0]["to"], serde_json::json!(["Fay", "Gil"]));
    assert_eq!(read(&circle, &gil, &["Ben"]), [said("Ben", "After")]);
    circle.by(&gil, "checkin", &["Ben", "I read that"]);
    assert_eq!(read(&circle, &ben, &[]).last(), Some(&said("Gil", "I read that")));
}

#[test]
fn demoted_moderator_reads_no_later_word() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let (ben, gil) = (circle.admit("Ben"), circle.admit("Gil"));
    appoint(&circle, &gil, "Gil");
    circle.by(&ben, "checkin", &["To both"]);
    assert_eq!(read(&circle, &gil, &["Ben"]), [said("Ben", "To both")]);
    circle.fay("role", &["Gil", "member"]);
    // Ben's own client takes the seat away, before his next word.
    let sent = circle.by(&ben, "checkin", &["To Fay alone"]);
    assert_eq!(sent[0]["to"], serde_json::json!(["Fay"]));
    circle.news(&gil);
    assert_eq!(read(&circle, &gil, &[]), []);
    assert_eq!(read(&circle, &circle.fay, &["Ben"]).len(), 2);
}

#[test]
fn removed_moderator_reads_no_later_word() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let (ben, gil) = (circle.admit("Ben"), circle.admit("Gil"));
    appoint(&circle, &gil, "Gil");
    circle.fay("remove", &["Gil", "--reason", "conduct", "Thank you for coming."]);
    let sent = circle.by(&ben, "checkin", &["To Fay alone"]);
    assert_eq!(sent[0]["to"], serde_json::json!(["Fay"]));
}

#[test]
fn nobody_writes_where_the_member_left() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    circle.by(&ben, "checkin", &["Good bye"]);
    circle.fay("checkin", &["Ben"]);
    circle.by(&ben, "leave", &["--yes"]);
    circle.news(&circle.fay);
    circle.fay.run(&["checkin", &circle.room, "Ben", "Come back"]).failed(3, "owner_gone");
    // Who comes back has a new lane.
    circle.admit_person(&ben, "Ben");
    circle.by(&ben, "checkin", &["Hello again"]);
    assert_eq!(read(&circle, &circle.fay, &["Ben"]), [said("Ben", "Hello again")]);
}

#[test]
fn desk_is_open_from_the_start() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let gil = circle.admit("Gil");
    appoint(&circle, &gil, "Gil");
    // Both sit in both check-ins.
    let lanes = circle.by(&gil, "checkin", &[]);
    assert!(lanes.iter().all(|lane| lane["seated"] == true), "{lanes:?}");
    let lanes = circle.fay("checkin", &[]);
    assert!(lanes.iter().all(|lane| lane["seated"] == true), "{lanes:?}");
}
