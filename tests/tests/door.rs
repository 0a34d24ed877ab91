//! Who waits at the door is let in, told, or can knock again: nobody waits for what nobody keeps any more.

use hearth_kit::{Circle, Person, Proxy, Relay, RelayOptions};

/// Bytes with which a knock begins beyond what an invite's preview takes.
const KNOCK_BEGUN: usize = 200;

/// Bytes of a connection's opening handshake, and less than those and a request for a room.
const OPENING_BEGUN: usize = 400;

fn relay_behind(proxy: &Proxy) -> Relay {
    let url = proxy.address().to_string();
    let options = RelayOptions { plain: true, public_url: Some(url), ..RelayOptions::default() };
    let relay = Relay::start_with(options);
    proxy.set_target(relay.address());
    relay
}

/// A single use is spent, and the answer never comes: the same link leads to the same place at the door.
#[test]
fn a_knock_whose_answer_is_lost_is_still_that_person_s() {
    let proxy = Proxy::new();
    let relay = relay_behind(&proxy);
    let circle = Circle::open(&relay);
    let link = circle.invite(&[]);
    let ben = Person::new();
    let before = proxy.bytes().len();
    ben.does(&["agreement", "show", &link]);
    let preview = proxy.bytes().len() - before;
    proxy.lose_one_answer_after(preview + KNOCK_BEGUN);
    let join = ["join", &link, "--as", "Ben", "--acknowledge", &circle.agreement, "--no-wait"];
    let lost = ben.run(&join);
    assert_eq!(lost.code, Some(4), "{lost:?}");
    assert!(proxy.has_lost_one());
    // The relay has it.
    circle.await_knock("Ben");
    ben.does(&join);
    circle.fay("admit", &["Ben"]);
    circle.say(&ben, "here I am");
    assert_eq!(circle.news(&circle.fay).last().unwrap()["text"], "here I am");
}

/// The grant is spent by what arrived; the founder is not told to ask the operator for another.
#[test]
fn a_room_whose_opening_is_not_answered_is_asked_for_again() {
    let proxy = Proxy::new();
    let relay = relay_behind(&proxy);
    let fay = Person::new();
    proxy.lose_one_answer_after(OPENING_BEGUN);
    let circle = Circle::open_as(&relay, fay);
    assert!(proxy.has_lost_one());
    circle.say(&circle.fay, "a room all the same");
}

/// A refused knock leaves everything as it was, whatever that was.
#[test]
fn a_knock_that_is_refused_changes_nothing() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    circle.say(&ben, "so far");
    circle.fay("remove", &["Ben", "--reason", "discharge", "Thank you for coming."]);
    circle.news(&ben);
    let spent = circle.invite(&[]);
    circle.knock_with(&Person::new(), "Zoe", &spent);
    let join = ["join", &spent, "--as", "Ben", "--acknowledge", &circle.agreement, "--no-wait"];
    let standing = || ben.does(&["room", "list"])[0]["standing"].clone();
    let was = standing();
    ben.run(&join).refused(3, "invite_used");
    assert_eq!(standing(), was);
    assert!(circle.history(&ben).iter().any(|row| row["text"] == "so far"));
}

/// Does to a relay what retention does in a month, or in three.
fn forget(relay: &mut Relay, what: &str) {
    relay.stop();
    let db = rusqlite::Connection::open(relay.data().join("hearth.db")).unwrap();
    assert_eq!(db.execute(what, []).unwrap(), 1);
    drop(db);
    relay.restart();
}

#[test]
fn a_knock_that_the_relay_forgot_is_made_again() {
    let mut relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = Person::new();
    circle.knock(&ben, "Ben");
    forget(&mut relay, "DELETE FROM knocks");
    let read = ben.run(&["read", &circle.room]);
    assert!(read.refused(3, "knock_forgotten")["try"].as_str().unwrap().contains("join"));
    circle.knock(&ben, "Ben");
    circle.fay("admit", &["Ben"]);
    circle.say(&ben, "at last");
    assert_eq!(circle.news(&circle.fay).last().unwrap()["text"], "at last");
}

/// Somebody who was let in and came too late is in the roster, without any key. They are told what to ask for.
#[test]
fn who_comes_after_their_welcome_is_gone_can_be_invited_again() {
    let mut relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = Person::new();
    circle.knock(&ben, "Ben");
    circle.fay("admit", &["Ben"]);
    forget(&mut relay, "UPDATE members SET welcome = NULL WHERE welcome IS NOT NULL AND room = 1");
    ben.run(&["read", &circle.room]).refused(3, "welcome_gone");
    let link = circle.invite(&[]);
    let join = ["join", &link, "--as", "Ben", "--acknowledge", &circle.agreement, "--no-wait"];
    ben.run(&join).refused(3, "welcome_gone");
    circle.fay("remove", &["Ben", "--reason", "request", "Thank you for coming."]);
    ben.run(&["read", &circle.room]).refused(3, "knock_forgotten");
    ben.does(&join);
    circle.fay("admit", &["Ben"]);
    circle.say(&ben, "at last");
    let rows = circle.news(&circle.fay);
    assert_eq!(rows.last().unwrap()["text"], "at last");
    assert!(!rows.iter().any(|row| row["alarm"] == true), "{rows:?}");
}
