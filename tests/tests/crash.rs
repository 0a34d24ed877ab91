//! Nothing that was acknowledged is lost or doubled, whoever is killed in the middle.

use std::{
    collections::{BTreeMap, HashSet},
    sync::mpsc,
};

use hearth_kit::{Circle, Person, Relay, until};
use serde_json::Value;

/// Returns seq, id and text of each message, in the order in which it was shown.
fn messages(rows: &[Value]) -> Vec<(u64, String, String)> {
    rows.iter()
        .filter(|row| row["kind"] == "text")
        .map(|row| {
            let word = |field: &str| row[field].as_str().unwrap().to_owned();
            (row["seq"].as_u64().unwrap(), word("id"), word("text"))
        })
        .collect()
}

fn has_notice(rows: &[Value]) -> bool {
    rows.iter().any(|row| row["kind"] == "notice")
}

/// Sends texts as one person, one after the other; reports each acknowledged id; goes on over failures.
fn stream(circle: &Circle, person: &Person, name: &str, count: usize, said: &mpsc::Sender<String>) {
    for n in 0..count {
        let answer = person.run(&["send", &circle.room, &format!("{name} {n}")]);
        match answer.code {
            Some(0) => said.send(answer.lines[0]["id"].as_str().unwrap().to_owned()).unwrap(),
            // Kept: it goes out with the next one.
            Some(4) => assert_eq!(answer.lines[0]["kept"], true, "{answer:?}"),
            _ => panic!("{answer:?}"),
        }
    }
}

#[test]
fn a_killed_relay_loses_and_doubles_nothing() {
    const EACH: usize = 8;
    let mut relay = Relay::start();
    let circle = Circle::open(&relay);
    let people = [("Ben", circle.admit("Ben")), ("Cleo", circle.admit("Cleo"))];
    let (said, heard) = mpsc::channel();
    let mut acknowledged = HashSet::new();
    std::thread::scope(|scope| {
        for (name, person) in &people {
            let (said, circle) = (said.clone(), &circle);
            scope.spawn(move || stream(circle, person, name, EACH, &said));
        }
        drop(said);
        // Killed in the middle of the streams, and again.
        for _ in 0..2 {
            for _ in 0..3 {
                acknowledged.extend(heard.recv().ok());
            }
            relay.kill();
            relay.restart();
        }
        acknowledged.extend(&heard);
    });

    // What was kept goes out; then all read the same, once, in the same order.
    for (_, person) in &people {
        circle.news(person);
        assert!(circle.by(person, "outbox", &[]).is_empty());
    }
    let all = circle.history(&circle.fay);
    assert!(!has_notice(&all), "{all:?}");
    let all = messages(&all);
    let ids: HashSet<String> = all.iter().map(|(_, id, _)| id.clone()).collect();
    assert_eq!(ids.len(), all.len(), "doubled: {all:?}");
    assert!(acknowledged.is_subset(&ids), "lost: {:?}", acknowledged.difference(&ids));
    for (name, person) in &people {
        let expected: Vec<String> = (0..EACH).map(|n| format!("{name} {n}")).collect();
        let of_one: Vec<&str> =
            all.iter().map(|(_, _, t)| t.as_str()).filter(|t| t.starts_with(name)).collect();
        assert_eq!(of_one, expected);
        let history = circle.history(person);
        assert!(!has_notice(&history), "{history:?}");
        assert_eq!(messages(&history), all);
    }
}

#[test]
fn a_relay_that_is_down_costs_time_and_no_words() {
    let mut relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    relay.kill();
    for text in ["first", "second"] {
        let answer = ben.run(&["send", &circle.room, text]);
        assert_eq!(answer.refused(4, "unreachable")["kept"], true);
    }
    assert_eq!(circle.by(&ben, "outbox", &[]).len(), 2);
    ben.run(&["read", &circle.room]).failed(4, "unreachable");
    // What is on the device stays readable.
    assert_eq!(circle.by(&ben, "who", &[]).len(), 2);
    relay.restart();
    circle.say(&ben, "third");
    assert!(circle.by(&ben, "outbox", &[]).is_empty());
    circle.news(&ben);
    let heard = messages(&circle.history(&circle.fay));
    let texts: Vec<&str> = heard.iter().map(|(_, _, text)| text.as_str()).collect();
    assert_eq!(texts, ["first", "second", "third"]);
}

#[test]
fn a_killed_client_goes_on_where_it_was() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    // Killed ever later: before it queued, before it sent, before it heard the answer.
    for n in 0..12u32 {
        let text = format!("word {n}");
        let sending = ben.starts(&["send", &circle.room, &text]);
        // Work that takes about as long as a part of the other's, instead of a sleep.
        for _ in 0..n {
            std::hint::black_box(hearth_kit::text_file("pace").path().metadata().is_ok());
        }
        if n % 2 == 1 {
            circle.fay("status", &[]);
        }
        sending.kill();
    }
    // The profile is whole, and what had been queued goes out once.
    assert_eq!(ben.does(&["profile", "check"])[0]["ok"], true);
    circle.say(&ben, "the last word");
    let mine = messages(&circle.history(&ben));
    let rows = circle.history(&circle.fay);
    assert!(!has_notice(&rows), "{rows:?}");
    let heard = messages(&rows);
    assert_eq!(heard, mine);
    let mut times = BTreeMap::new();
    for (_, _, text) in &heard {
        *times.entry(text.as_str()).or_insert(0) += 1;
    }
    assert!(times.values().all(|n| *n == 1), "doubled: {times:?}");
    assert_eq!(heard.last().unwrap().2, "the last word");
    let order: Vec<u32> =
        heard.iter().filter_map(|(_, _, text)| text.strip_prefix("word ")?.parse().ok()).collect();
    assert!(order.is_sorted(), "{order:?}");
}

#[test]
fn a_killed_facilitator_finishes_what_was_begun() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    for n in 0..6 {
        let acting = circle.fay.starts(&["slow", &circle.room, &format!("{}m", n + 1)]);
        if n % 2 == 0 {
            circle.news(&ben);
        }
        acting.kill();
    }
    circle.fay("slow", &["off"]);
    circle.news(&circle.fay);
    let news = circle.history(&ben);
    assert!(!has_notice(&news), "{news:?}");
    let codes = [&circle.fay, &ben].map(|p| circle.by(p, "verify", &[])[0].clone());
    assert_eq!(codes[0], codes[1]);
    assert_eq!(circle.by(&ben, "status", &[])[0]["slow_seconds"], 0);
}

#[test]
fn whoever_follows_or_waits_survives_the_relay() {
    let mut relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    let cleo = Person::new();
    let link = circle.invite(&[]);
    let mut following = ben.starts(&["follow", &circle.room]);
    circle.say(&circle.fay, "before");
    following.await_line("before", |line| line.contains("before"));
    let waiting = cleo.starts(&["join", &link, "--as", "Cleo", "--acknowledge", &circle.agreement]);
    circle.await_knock("Cleo");
    relay.kill();
    following.await_remark("trying again");
    relay.restart();
    circle.say(&circle.fay, "after");
    following.await_line("after", |line| line.contains("after"));
    circle.fay("admit", &["Cleo"]);
    let joined = waiting.wait();
    assert_eq!(joined.code, Some(0), "{}", joined.stderr);
    let ended = following.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(ended.stdout.matches("before").count(), 1);
}

#[test]
fn a_relay_that_is_asked_to_stop_says_goodbye() {
    let mut relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    let mut following = ben.starts(&["follow", &circle.room]);
    circle.say(&circle.fay, "before");
    following.await_line("before", |line| line.contains("before"));
    assert_eq!(relay.stop(), Some(0));
    relay.restart();
    circle.say(&circle.fay, "after");
    following.await_line("after", |line| line.contains("after"));
    until("ready", || relay.page("/readyz").contains("200 OK").then_some(()));
}
