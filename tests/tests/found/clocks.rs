//! Rows A1 and A8: clocks that are wrong, and times that are lies.
//!
//! The programs run under `faketime`, see [`hearth_kit::clock`].

use hearth_client::show::rfc3339;
use hearth_kit::{Circle, Person, Relay, clock, text_file};
use hearth_session::live::now;
use serde_json::Value;

/// Wrong by hours, months and years, in both directions.
const WRONG: [&str; 5] = ["-3h", "+85d", "+300d", "-365d", "+365d"];
const NEWCOMERS: [&str; 5] = ["Dora", "Emil", "Gina", "Hugo", "Ines"];

fn under(person: &Person, spec: &str, args: &[&str]) -> Vec<Value> {
    person.run_under(&clock(spec).unwrap(), args).done()
}

fn texts(rows: &[Value]) -> Vec<&str> {
    rows.iter().filter(|row| row["kind"] == "text").map(|r| r["text"].as_str().unwrap()).collect()
}

fn assert_no_alarm(rows: &[Value]) {
    assert!(!rows.iter().any(|row| row["alarm"] == true), "{rows:?}");
}

/// Cleo admits somebody while the reader has a wrong clock; the reader is still there afterwards, with any clock.
fn stays(spec: &str, number: usize, relay: &Relay, facilitates: bool) {
    let circle = Circle::open(relay);
    let cleo = circle.admit("Cleo");
    circle.fay("role", &["Cleo", "cofacilitator"]);
    let ben = circle.admit("Ben");
    let reader = if facilitates { &circle.fay } else { &ben };
    let name = NEWCOMERS[number];
    let dan = Person::new();
    circle.knock(&dan, name);
    circle.by(&cleo, "admit", &[name]);
    let room = circle.room.as_str();
    assert_no_alarm(&under(reader, spec, &["read", room]));
    circle.news(&dan);
    under(reader, spec, &["send", room, "still here"]);
    circle.say(reader, "and again with the right time");
    for person in [&cleo, &dan] {
        let news = circle.news(person);
        assert_no_alarm(&news);
        assert_eq!(texts(&news), ["still here", "and again with the right time"], "{spec}");
    }
    circle.say(&dan, "welcome me");
    let news = circle.news(reader);
    assert_no_alarm(&news);
    assert!(texts(&news).contains(&"welcome me"), "{spec}: {news:?}");
}

#[test]
fn a1_reader_with_wrong_clock_stays() {
    let Some(_) = clock("+0") else { return };
    let relay = Relay::start();
    for (number, spec) in WRONG.into_iter().enumerate() {
        stays(spec, number, &relay, false);
    }
}

#[test]
fn a1_facilitator_with_wrong_clock_stays() {
    let Some(_) = clock("+0") else { return };
    let relay = Relay::start();
    for (number, spec) in WRONG.into_iter().enumerate() {
        stays(spec, number, &relay, true);
    }
}

/// A clock that lost its battery starts in 1970: nothing is decided by it, and nothing is lost.
#[test]
fn a1_clock_before_1970_decides_nothing() {
    let Some(early) = clock("@1969-12-31 12:00:00") else { return };
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    circle.knock(&Person::new(), "Dora");
    circle.fay("admit", &["Dora"]);
    let read = ben.run_under(&early, &["read", &circle.room]);
    read.refused(1, "clock_wrong");
    assert_no_alarm(&circle.news(&ben));
    circle.say(&ben, "here");
    assert_eq!(texts(&circle.news(&circle.fay)), ["here"]);
}

/// A facilitator with a wrong clock admits, invites, pauses and asks to rest, and each ends by the relay's clock.
#[test]
fn a1_wrong_clock_moderates_all_the_same() {
    let Some(_) = clock("+0") else { return };
    let relay = Relay::start();
    for (number, spec) in WRONG.into_iter().enumerate() {
        let circle = Circle::open(&relay);
        let ben = circle.admit("Ben");
        let room = circle.room.as_str();
        let link = under(&circle.fay, spec, &["invite", room, "--expires", "2h"]);
        let link = link[0]["link"].as_str().unwrap();
        let (dan, name) = (Person::new(), NEWCOMERS[number]);
        circle.knock_with(&dan, name, link);
        under(&circle.fay, spec, &["admit", room, name]);
        circle.news(&dan);
        under(&circle.fay, spec, &["pause", room, "10m", "Let us breathe."]);
        let ended = rfc3339(now().plus(11 * 60_000));
        let refused = ben.run(&["send", room, "held"]);
        refused.refused(3, "paused");
        let status = circle.by(&ben, "status", &[]);
        assert!(status[0]["paused_until"].as_str().unwrap() < ended.as_str(), "{spec}: {status:?}");
        under(&circle.fay, spec, &["resume", room]);
        under(&circle.fay, spec, &["timeout", room, name, "10m", "Rest a little."]);
        dan.run(&["send", room, "held"]).refused(3, "timed_out");
        let status = circle.by(&dan, "status", &[]);
        let until = status[0]["timed_out_until"].as_str().unwrap();
        assert!(until < ended.as_str(), "{spec}: {status:?}");
        under(&circle.fay, spec, &["untimeout", room, name]);
        circle.say(&dan, "rested");
        for person in [&circle.fay, &ben, &dan] {
            assert_no_alarm(&circle.news(person));
        }
    }
}

/// Nobody is put out early because a facilitator's computer thinks that the time has come.
#[test]
fn a1_fast_clock_enacts_nothing_early() {
    let Some(_) = clock("+0") else { return };
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    let room = circle.room.as_str();
    let file = text_file("# What we agree on from next month\n\n1. We start on time.\n");
    let amend = ["agreement", "amend", room, file.path().to_str().unwrap()];
    let amend = [amend.as_slice(), &["--material", "--effective", "7d"]].concat();
    for spec in ["-365d", "+365d"] {
        let answer = circle.fay.run_under(&clock(spec).unwrap(), &amend);
        answer.refused(1, "clock_wrong");
    }
    circle.fay.does(&amend);
    for spec in ["+30d", "+365d"] {
        under(&circle.fay, spec, &["read", room]);
        let enact = ["agreement", "enact", room];
        circle.fay.run_under(&clock(spec).unwrap(), &enact).refused(3, "not_yet");
    }
    circle.say(&ben, "I have a week");
    assert!(texts(&circle.news(&circle.fay)).contains(&"I have a week"));
}

#[test]
fn a1_newcomer_a_year_off_is_told() {
    let Some(_) = clock("+0") else { return };
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let link = circle.invite(&[]);
    let ack = ["--acknowledge", &circle.agreement, "--no-wait"];
    let join = [["join", &link, "--as", "Ben"].as_slice(), &ack].concat();
    let ben = Person::new();
    for spec in ["+365d", "-365d", "+85d"] {
        let answer = ben.run_under(&clock(spec).unwrap(), &join);
        let advice = answer.refused(1, "clock_wrong")["try"].as_str().unwrap().to_owned();
        assert!(advice.contains("Set the clock"), "{spec}: {advice}");
    }
    ben.does(&join);
    circle.fay("admit", &["Ben"]);
    circle.news(&ben);
}

/// The relay puts a time on the newest entry.
fn date_last(relay: &mut Relay, at: i64) {
    relay.stop();
    let db = rusqlite::Connection::open(relay.data().join("hearth.db")).unwrap();
    let newest = "UPDATE entries SET at = ?1 WHERE key = (SELECT max(key) FROM entries
         WHERE key >> 40 = (SELECT max(key) FROM rooms WHERE parent = 0))";
    assert_eq!(db.execute(newest, [at]).unwrap(), 1);
    drop(db);
    relay.restart();
}

fn millis(days: i64) -> i64 {
    i64::try_from(now().0).unwrap() + days * 24 * 3_600_000
}

#[test]
fn a8_far_time_still_erases() {
    let Some(_) = clock("+0") else { return };
    let mut relay = Relay::start();
    for far in [i64::MAX, millis(365), millis(20), millis(1)] {
        let circle = Circle::open(&relay);
        // Cleo sees what Ben sees: the relay lies to everybody alike.
        let [ben, cleo] = ["Ben", "Cleo"].map(|name| circle.admit(name));
        let room = circle.room.as_str();
        circle.say(&circle.fay, "between us");
        date_last(&mut relay, far);
        let news = circle.news(&ben);
        let row = news.iter().find(|row| row["text"] == "between us").unwrap();
        assert!(row["at"].as_str().unwrap() <= rfc3339(now()).as_str(), "{far}: {row}");
        assert!(news.iter().any(|row| row["notice"] == "times"), "{far}: {news:?}");
        circle.say(&cleo, "and more");
        circle.news(&ben);
        assert_eq!(
            texts(&under(&ben, "+29d", &["read", room, "--all"])),
            ["between us", "and more"]
        );
        assert_eq!(texts(&under(&ben, "+31d", &["read", room, "--all"])), [""; 0], "{far}");
        under(&ben, "+400d", &["read", room]);
        assert_eq!(texts(&circle.history(&ben)), [""; 0], "{far}");
    }
}

/// It came when the clock was a year ahead, and goes when the room says all the same.
#[test]
fn a8_clock_ahead_then_right_erases() {
    let Some(_) = clock("+0") else { return };
    let mut relay = Relay::start();
    for far in [i64::MAX, millis(0)] {
        let circle = Circle::open(&relay);
        let [ben, cleo] = ["Ben", "Cleo"].map(|name| circle.admit(name));
        let room = circle.room.as_str();
        circle.say(&circle.fay, "between us");
        date_last(&mut relay, far);
        circle.say(&cleo, "and more");
        under(&ben, "+365d", &["read", room]);
        assert_eq!(texts(&circle.history(&ben)), ["between us", "and more"]);
        assert_eq!(texts(&under(&ben, "+31d", &["read", room, "--all"])), [""; 0], "{far}");
    }
}

/// What is read with a clock that is behind is not a year old when the clock is right again.
#[test]
fn a8_clock_behind_then_right_keeps() {
    let Some(_) = clock("+0") else { return };
    let relay = Relay::start();
    for spec in ["-3h", "-85d", "-365d"] {
        let circle = Circle::open(&relay);
        let ben = circle.admit("Ben");
        let room = circle.room.as_str();
        circle.say(&circle.fay, "between us");
        circle.say(&circle.fay, "and more");
        let news = under(&ben, spec, &["read", room]);
        assert_eq!(texts(&news), ["between us", "and more"]);
        assert_no_alarm(&news);
        assert_eq!(texts(&circle.history(&ben)), ["between us", "and more"], "{spec}");
        assert_eq!(texts(&under(&ben, "+31d", &["read", room, "--all"])), [""; 0], "{spec}");
    }
}

/// A clock that is wrong for one visit hides what it calls old, and deletes nothing.
#[test]
fn a8_clock_ahead_once_deletes_nothing() {
    let Some(_) = clock("+0") else { return };
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    for text in ["between us", "and more"] {
        circle.say(&circle.fay, text);
        circle.news(&ben);
    }
    for spec in ["+31d", "+85d", "+365d"] {
        let seen = under(&ben, spec, &["read", &circle.room, "--all"]);
        assert_eq!(texts(&seen), [""; 0], "{spec}");
        assert_eq!(texts(&circle.history(&ben)), ["between us", "and more"], "{spec}");
    }
}
