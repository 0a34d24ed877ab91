//! Every rule that a facilitator sets is seen by all, and holds.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hearth_kit::{Circle, Person, Relay, until};
use serde_json::Value;

/// Returns the rows that tell of an act.
fn acts<'a>(rows: &'a [Value], act: &str) -> Vec<&'a Value> {
    rows.iter().filter(|row| row["act"] == act).collect()
}

fn texts(rows: &[Value]) -> Vec<&str> {
    let text = |row: &&Value| row["kind"] == "text";
    rows.iter().filter(text).map(|row| row["text"].as_str().unwrap()).collect()
}

fn send(circle: &Circle, person: &Person, text: &str) -> hearth_kit::Answer {
    person.run(&["send", &circle.room, text])
}

fn outbox(circle: &Circle, person: &Person) -> usize {
    circle.by(person, "outbox", &[]).len()
}

/// Sends everything that is held for its author.
fn sends_held(circle: &Circle, person: &Person) {
    circle.by(person, "outbox", &["--send", "all"]);
}

#[test]
fn pause_holds_posts_until_sent() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    circle.fay("pause", &["10m", "Let us breathe together"]);
    let answer = send(&circle, &ben, "But I want to say");
    let refusal = answer.refused(3, "paused");
    assert_eq!(refusal["kept"], true);
    assert!(refusal["retry_at"].is_string());
    let advice = refusal["try"].as_str().unwrap();
    assert!(advice.contains(&format!("hearth outbox {}", circle.room)), "{advice}");
    assert!(advice.contains("do not go out by themselves after the pause"), "{advice}");
    assert_eq!(circle.by(&ben, "outbox", &[])[0]["held"], "paused");
    let news = circle.news(&ben);
    let pause = acts(&news, "pause");
    assert_eq!(pause[0]["comment"], "Let us breathe together");
    assert_eq!(pause[0]["from"], "Fay");
    assert!(circle.by(&ben, "status", &[])[0]["paused_until"].is_string());
    // Facilitators go on speaking.
    circle.say(&circle.fay, "Feet on the ground");
    assert_eq!(texts(&circle.news(&ben)), ["Feet on the ground"]);
    let answer = ben.run(&["resume", &circle.room]);
    answer.failed(3, "not_facilitator");
    // Sent too early, it stays.
    let id = circle.by(&ben, "outbox", &[])[0]["id"].as_str().unwrap().to_owned();
    let early = ben.run(&["outbox", &circle.room, "--send", &id]);
    assert_eq!(early.refused(3, "paused")["kept"], true);
    send(&circle, &ben, "And this").refused(3, "paused");

    circle.fay("resume", &[]);
    // No command takes them along.
    assert!(texts(&circle.news(&ben)).is_empty());
    circle.say(&ben, "Said after it");
    assert_eq!(outbox(&circle, &ben), 2);
    sends_held(&circle, &ben);
    assert_eq!(outbox(&circle, &ben), 0);
    assert_eq!(
        texts(&circle.news(&circle.fay)),
        ["Feet on the ground", "Said after it", "But I want to say", "And this"]
    );
}

#[test]
fn a_pause_ends_by_itself() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    circle.fay("pause", &["2s", "--reopen", "Let us breathe."]);
    send(&circle, &ben, "Was that long?").refused(3, "paused");
    until("the end of the pause", || {
        let sent = ben.run(&["outbox", &circle.room, "--send", "all"]);
        (sent.code == Some(0)).then_some(())
    });
    assert_eq!(outbox(&circle, &ben), 0);
    let news = circle.news(&circle.fay);
    assert_eq!(texts(&news), ["Was that long?"]);
    assert!(acts(&news, "resume").is_empty());
}

#[test]
fn a_time_out_is_known_to_its_member_alone() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let (ben, cleo) = (circle.admit("Ben"), circle.admit("Cleo"));
    circle.news(&ben);
    circle.news(&cleo);
    circle.fay("timeout", &["Ben", "30m", "Please rest a little"]);

    let refusal = send(&circle, &ben, "Why?");
    assert_eq!(refusal.refused(3, "timed_out")["kept"], true);
    let news = circle.news(&ben);
    let mine = news.iter().find(|row| row["you"] == true).unwrap();
    assert_eq!(mine["text"], "Please rest a little");
    assert!(mine["until"].is_string());
    assert!(circle.by(&ben, "status", &[])[0]["timed_out_until"].is_string());

    // Cleo reads nothing of it; the log says that it happened, and not to whom or why.
    let news =
        format!("{:?}{}", circle.news(&cleo), cleo.sees(&["read", &circle.room, "--all"]).stdout);
    assert!(!news.contains("timeout") && !news.contains("break"), "{news}");
    let seen = format!("{:?}", circle.by(&cleo, "log", &[]));
    assert!(seen.contains("timeout"), "{seen}");
    assert!(
        !seen.contains("rest a little") && !seen.contains("\"target\": String(\"Ben\")"),
        "{seen}"
    );
    // Her own posts are free; facilitators cannot be sent to rest.
    circle.say(&cleo, "I go on");
    circle
        .fay
        .run(&["timeout", &circle.room, "Fay", "30m", "Rest a little."])
        .refused(3, "is_facilitator");
    ben.run(&["timeout", &circle.room, "Cleo", "30m", "Rest a little."])
        .failed(3, "not_facilitator");
    assert_eq!(circle.fay("status", &[])[0]["timed_out"][0]["name"], "Ben");

    circle.fay("untimeout", &["Ben"]);
    assert_eq!(texts(&circle.news(&ben)), ["I go on"]);
    sends_held(&circle, &ben);
    assert_eq!(texts(&circle.news(&ben)), ["Why?"]);
    circle.say(&ben, "I am back");
    assert_eq!(texts(&circle.news(&cleo)), ["I go on", "Why?", "I am back"]);
}

#[test]
fn slow_mode_and_budget_hold_members_and_not_facilitators() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    circle.fay("slow", &["10m"]);
    circle.say(&ben, "one");
    let refusal = send(&circle, &ben, "two");
    let refusal = refusal.refused(3, "slow_mode");
    assert_eq!(refusal["kept"], true);
    assert!(refusal["retry_at"].is_string());
    circle.say(&circle.fay, "I may");
    circle.say(&circle.fay, "and again");
    assert_eq!(acts(&circle.news(&ben), "slow")[0]["seconds"], 600);
    circle.fay("slow", &["off"]);
    circle.news(&ben);

    // Posts are counted from then on.
    circle.fay("budget", &["1/day"]);
    circle.say(&ben, "three");
    let refusal = send(&circle, &ben, "four");
    assert_eq!(refusal.refused(3, "budget_spent")["kept"], true);
    assert_eq!(acts(&circle.news(&ben), "budget")[0]["per_day"], 1);
    circle.say(&circle.fay, "I still may");
    let waiting = circle.by(&ben, "outbox", &[])[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(circle.by(&ben, "outbox", &["--drop", &waiting])[0]["dropped"], true);
    circle.fay("budget", &["off"]);
    circle.say(&ben, "five");
    assert_eq!(
        texts(&circle.history(&circle.fay)),
        ["one", "I may", "and again", "two", "three", "I still may", "five"]
    );
}

#[test]
fn a_limit_of_length_is_told_before_anything_is_sent() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    circle.fay("len", &["40"]);
    circle.news(&ben);
    send(&circle, &ben, &"é".repeat(41)).refused(3, "too_long");
    assert_eq!(outbox(&circle, &ben), 0);
    circle.say(&ben, &"é".repeat(40));
    circle.fay("len", &["off"]);
    circle.news(&ben);
    circle.say(&ben, &"é".repeat(41));
    assert_eq!(texts(&circle.news(&circle.fay)).len(), 2);
}

/// Returns hours that have no minute within a day of now, by the clock of this computer.
fn hours_of_another_day() -> String {
    let today =
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs() / 86_400;
    // 1970-01-01 was a Thursday.
    let days = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    let index = usize::try_from((today + 3) % 7).unwrap();
    format!("{} 10:00-11:00 Europe/Paris", days[index])
}

#[test]
fn hours_and_the_door_open_and_close_the_room() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    let hours = hours_of_another_day();
    circle.fay("hours", &[&hours]);
    let refusal = send(&circle, &ben, "Is anybody here?");
    let refusal = refusal.refused(3, "closed");
    assert_eq!(refusal["kept"], true);
    assert!(refusal["retry_at"].is_string(), "the next opening is told");
    let news = circle.news(&ben);
    assert!(acts(&news, "hours")[0]["text"].as_str().unwrap().contains(&hours));
    assert_eq!(circle.by(&ben, "status", &[])[0]["hours"], *hours);

    // Opened against the hours; closed; by the hours again.
    circle.fay("open", &[]);
    assert!(texts(&circle.news(&ben)).is_empty());
    sends_held(&circle, &ben);
    circle.fay("open", &["--by-hours"]);
    send(&circle, &ben, "And now?").refused(3, "closed");
    circle.fay("hours", &["off"]);
    circle.news(&ben);
    circle.say(&ben, "Yes");
    let waiting = circle.by(&ben, "outbox", &["--drop", "all"]);
    assert_eq!(waiting[0]["dropped"], true);
    circle.fay("close", &[]);
    send(&circle, &ben, "And now again?").refused(3, "closed");
    assert_eq!(circle.by(&ben, "status", &[])[0]["door"], "closed");
    circle.fay("open", &[]);
    sends_held(&circle, &ben);
    assert_eq!(texts(&circle.news(&circle.fay)), ["Is anybody here?", "Yes", "And now again?"]);
}

#[test]
fn nobody_is_admitted_to_a_locked_room() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    let link = circle.invite(&["--uses", "2"]);
    let cleo = Person::new();
    circle.knock_with(&cleo, "Cleo", &link);
    circle.fay("lock", &["on"]);
    circle.fay.run(&["admit", &circle.room, "Cleo"]).refused(3, "locked_room");
    let dora = Person::new();
    let ack = circle.agreement.as_str();
    let answer = dora.run(&["join", &link, "--as", "Dora", "--acknowledge", ack, "--no-wait"]);
    answer.refused(3, "locked_room");
    assert!(!acts(&circle.news(&ben), "lock").is_empty());
    circle.fay("lock", &["off"]);
    circle.fay("admit", &["Cleo"]);
    circle.news(&cleo);
    assert_eq!(circle.by(&ben, "who", &[]).len(), 3);
}

#[test]
fn announcements_and_pins_are_for_facilitators_and_seen_by_all() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    let id = circle.say(&ben, "Breathe out longer than in");
    ben.run(&["announce", &circle.room, "Hear me"]).refused(3, "not_facilitator");
    ben.run(&["pin", &circle.room, &id]).refused(3, "not_facilitator");
    circle.fay("announce", &["No meeting on Friday"]);
    circle.fay("pin", &[&id]);
    let news = circle.news(&ben);
    assert_eq!(acts(&news, "announce")[0]["text"], "No meeting on Friday");
    assert_eq!(acts(&news, "pin")[0]["message"], *id);
    assert_eq!(circle.by(&ben, "status", &[])[0]["pins"][0], *id);
    circle.fay("unpin", &[&id]);
    assert!(!acts(&circle.news(&ben), "unpin").is_empty());
    assert!(circle.by(&ben, "status", &[])[0]["pins"].as_array().unwrap().is_empty());
    circle.fay.run(&["pin", &circle.room, "0000000000"]).refused(2, "no_such_message");
}

#[test]
fn a_retracted_message_is_gone_everywhere() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let (ben, cleo) = (circle.admit("Ben"), circle.admit("Cleo"));
    let his = circle.say(&ben, "His slip of the tongue");
    let own = circle.say(&cleo, "Her own regret");
    let stays = circle.say(&cleo, "This stays");
    for person in [&circle.fay, &ben, &cleo] {
        assert_eq!(texts(&circle.history(person)).len(), 3);
    }
    // Nobody retracts another's words without the role.
    ben.run(&["retract", &circle.room, &own]).refused(3, "not_author");
    circle.fay("retract", &[&his, "--reason", "confidentiality"]);
    circle.by(&cleo, "retract", &[&own]);
    for person in [&circle.fay, &ben, &cleo] {
        let rows = circle.history(person);
        assert_eq!(texts(&rows), ["This stays"]);
        let tombstones: Vec<&Value> = rows.iter().filter(|r| r["kind"] == "tombstone").collect();
        assert_eq!(tombstones.len(), 2, "{rows:?}");
        assert!(tombstones.iter().any(|t| t["category"] == "confidentiality"));
        assert_eq!(acts(&rows, "retract")[0]["category"], "confidentiality");
    }
    // Everything of one member at once; what is retracted already is not counted again.
    circle.say(&cleo, "More of hers");
    let answer = circle.fay("retract", &["--all-from", "Cleo", "--reason", "conduct"]);
    assert_eq!(answer[0]["count"], 2);
    for person in [&circle.fay, &ben, &cleo] {
        assert!(texts(&circle.history(person)).is_empty());
    }
    circle.fay.run(&["retract", &circle.room, &stays]).refused(3, "nothing_to_change");

    // The relay keeps the rows and not the ciphertext.
    let data = relay.data().to_owned();
    let seqs: Vec<i64> = circle
        .history(&ben)
        .iter()
        .filter(|row| row["kind"] == "tombstone")
        .map(|row| row["seq"].as_i64().unwrap())
        .collect();
    assert_eq!(seqs.len(), 4);
    let mut relay = relay;
    relay.stop();
    let database = std::fs::read_dir(&data)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|e| e == "db"))
        .expect("the relay's store");
    let store = rusqlite::Connection::open(database).unwrap();
    for seq in seqs {
        // The lower 40 bits of the key are the seq; the store holds one room.
        let sql =
            "SELECT payload IS NULL FROM entries WHERE key & 0xffffffffff = ?1 AND key >> 40 = 1";
        let gone: bool = store.query_row(sql, [seq], |row| row.get(0)).unwrap();
        assert!(gone, "entry {seq}");
    }
}

#[test]
fn a_mute_is_local_and_spares_control_messages() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let (ben, cleo) = (circle.admit("Ben"), circle.admit("Cleo"));
    circle.news(&ben);
    circle.by(&ben, "mute", &["Cleo"]);
    circle.by(&ben, "mute", &["Fay"]);
    circle.say(&cleo, "Can you hear me?");
    circle.say(&circle.fay, "And me?");
    circle.fay("announce", &["This is heard"]);
    let news = circle.news(&ben);
    assert!(texts(&news).is_empty(), "{news:?}");
    assert_eq!(acts(&news, "announce").len(), 1);
    circle.by(&ben, "unmute", &["Cleo"]);
    assert_eq!(texts(&circle.history(&ben)), ["Can you hear me?"]);
    // Nobody was told.
    let seen = format!("{:?}{:?}", circle.history(&cleo), circle.history(&circle.fay));
    assert!(!seen.contains("mute"), "{seen}");
}

#[test]
fn members_see_what_is_in_force_and_cannot_change_it() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    let before = circle.fay("status", &[])[0]["epoch"].as_u64().unwrap();
    circle.fay("rekey", &[]);
    circle.fay("expire", &["14d"]);
    let status = circle.by(&ben, "status", &[]);
    assert_eq!(status[0]["epoch"].as_u64(), Some(before + 2));
    assert_eq!(status[0]["retention_seconds"], 14 * 24 * 3600);
    let news = circle.history(&ben);
    assert_eq!(acts(&news, "expire")[0]["seconds"], 14 * 24 * 3600);
    assert_eq!(acts(&news, "rekey").len(), 1);

    let room = circle.room.as_str();
    for command in [
        vec!["pause", room, "5m", "Let us breathe."],
        vec!["resume", room],
        vec!["slow", room, "5m"],
        vec!["budget", room, "5/day"],
        vec!["len", room, "100"],
        vec!["hours", room, "Mon 10:00-11:00 UTC"],
        vec!["open", room],
        vec!["close", room],
        vec!["lock", room, "on"],
        vec!["remove", room, "Fay", "--reason", "conduct", "Thank you for coming."],
        vec!["role", room, "Ben", "facilitator"],
        vec!["rekey", room],
        vec!["expire", room, "1d"],
        vec!["knocks", room],
        vec!["admit", room, "Dora"],
        vec!["decline", room, "Dora"],
        vec!["invite", room],
    ] {
        ben.run(&command).refused(3, "not_facilitator");
    }
    assert_eq!(circle.by(&ben, "status", &[])[0]["epoch"].as_u64(), Some(before + 2));
}
