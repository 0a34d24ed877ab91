//! Whoever is away while the room is moderated gets every act when they return, in the order in which it happened.

use hearth_kit::{AGREEMENT, Circle, Relay, text_file};
use serde_json::Value;

/// Returns seq and act of each row that tells of one.
fn acts(rows: &[Value]) -> Vec<(u64, String)> {
    let act = |row: &Value| Some((row["seq"].as_u64()?, row["act"].as_str()?.to_owned()));
    rows.iter().filter_map(act).collect()
}

#[test]
fn every_act_reaches_everybody_in_order() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let (ben, cleo, dora) = (circle.admit("Ben"), circle.admit("Cleo"), circle.admit("Dora"));
    circle.news(&ben);
    circle.news(&cleo);
    circle.news(&circle.fay);
    let mut following = cleo.starts(&["follow", &circle.room]);
    let id = circle.say(&circle.fay, "Ben is away from here on");
    following.await_line("the start", |line| line.contains("away from here on"));

    for act in [
        ["pause", "10m", "A moment of silence"].as_slice(),
        &["resume"],
        &["timeout", "Dora", "10m", "Rest a little"],
        &["untimeout", "Dora"],
        &["slow", "10m"],
        &["slow", "off"],
        &["budget", "20/day"],
        &["budget", "off"],
        &["len", "1200"],
        &["len", "off"],
        &["hours", "Mon-Fri 17:00-20:00 Europe/Paris"],
        &["hours", "off"],
        &["close"],
        &["open"],
        &["lock", "on"],
        &["lock", "off"],
        &["announce", "Back at six"],
        &["pin", &id],
        &["unpin", &id],
        &["role", "Cleo", "cofacilitator"],
        &["role", "Cleo", "member"],
        &["rekey"],
        &["expire", "20d"],
    ] {
        circle.fay(act[0], &act[1..]);
    }
    let slip = circle.say(&dora, "A slip");
    circle.fay("retract", &[&slip, "--reason", "request"]);
    circle.by(&dora, "leave", &["So long"]);
    circle.admit("Ella");
    circle.fay("remove", &["Ella", "--reason", "discharge", "Thank you for coming."]);
    let text = text_file(&format!("{AGREEMENT}4. A comma.\n"));
    let path = text.path().to_str().unwrap();
    circle.fay.does(&["agreement", "amend", &circle.room, path, "--editorial"]);
    circle.say(&circle.fay, "The last word");

    following.await_line("the end", |line| line.contains("The last word"));
    let ended = following.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let online: Vec<Value> =
        ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let away = circle.news(&ben);
    let mut hers = circle.news(&circle.fay);
    // Of a break those who moderate read, and nobody else.
    let is_break = |row: &Value| row["act"] == "timeout" || row["act"] == "untimeout";
    assert_eq!(hers.iter().filter(|row| is_break(row) && row["target"] == "Dora").count(), 2);
    hers.retain(|row| !is_break(row));

    let expected = [
        "pause", "resume", "slow", "slow", "budget", "budget", "len", "len", "hours", "hours",
        "close", "open", "lock", "unlock", "announce", "pin", "unpin", "role", "role", "rekey",
        "expire", "retract", "goodbye", "leave", "invite", "admit", "remove", "amend",
    ];
    let names: Vec<String> = acts(&away).into_iter().map(|(_, act)| act).collect();
    assert_eq!(names, expected);
    assert_eq!(acts(&away), acts(&hers));
    assert_eq!(acts(&away), acts(&online));
    for rows in [&away, &hers, &online] {
        let seqs: Vec<u64> = rows.iter().map(|row| row["seq"].as_u64().unwrap()).collect();
        assert!(seqs.is_sorted(), "{seqs:?}");
        assert!(rows.iter().all(|row| row["kind"] != "notice"), "{rows:?}");
        let last = rows.iter().rfind(|row| row["kind"] == "text").unwrap();
        assert_eq!(last["text"], "The last word");
    }
    // Ben never sees the words that were taken back before he returned.
    assert!(!format!("{away:?}").contains("A slip"));
    let logs = [&circle.fay, &ben, &cleo].map(|person| {
        let log = circle.by(person, "log", &[]);
        log.iter().rev().take(28).map(|r| r["digest"].clone()).collect::<Vec<_>>()
    });
    assert_eq!(logs[0], logs[1]);
    assert_eq!(logs[0], logs[2]);
}
