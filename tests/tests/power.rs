//! The power goes while a relay or a member writes: what was acknowledged or shown is there afterwards, once.
//!
//! Needs root, loop devices and xfsprogs; says so and passes where one is missing. `HEARTH_CUTS=1000` makes a campaign of it.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

use hearth_kit::{
    Circle, Dice, Person, Relay, RelayOptions,
    fault::{
        crowd::{Answers, Crowd},
        cut::Disk,
        number,
        trace::{self, CHANGES, Fault, Injection, Record},
    },
    load::wire::Target,
};
use hearth_protocol::invite::Grant;
use serde_json::Value;

/// Writers at the same time.
const WRITERS: usize = 6;
/// Cuts after which a relay gets a new disk, so that the store stays small.
const CUTS_OF_A_DISK: u64 = 50;

/// What some cuts did.
#[derive(Debug, Default)]
struct Toll {
    cuts: u64,
    acknowledged: usize,
    /// What was wrong, of each cut that had something.
    wrong: Vec<String>,
}

fn whole(database: &Path) -> bool {
    let db = rusqlite::Connection::open(database).unwrap();
    let report = db.query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0));
    report.is_ok_and(|report| report == "ok")
}

/// Cuts the power of a relay's disk again and again while a crowd writes; stops at the first loss if told to.
fn cut_relay(program: Option<&Path>, cuts: u64, seed: u64, until_wrong: bool) -> Option<Toll> {
    let mut dice = Dice::new(seed);
    let mut toll = Toll::default();
    while toll.cuts < cuts {
        let disk = Disk::new()?;
        let data = disk.join("relay");
        let mut relay = Relay::start_with(RelayOptions {
            data: Some(data.clone()),
            program: program.map(Path::to_owned),
            crowded: true,
            ..RelayOptions::default()
        });
        let target = Target::new(relay.address());
        let grant = Grant::parse(&relay.grant()).unwrap().secret;
        let mut crowd = Crowd::open(&target, &grant, WRITERS).unwrap();
        for _ in 0..CUTS_OF_A_DISK.min(cuts - toll.cuts) {
            let after = 1 + dice.below(300);
            let (acknowledged, _) =
                crowd.write(&target, 10_000, after, Answers::BeforeFault, || disk.cut());
            assert!(acknowledged >= after, "{acknowledged}");
            relay.kill();
            disk.restore();
            relay.restart();
            assert!(relay.page("/readyz").contains("200 OK"));
            toll.cuts += 1;
            toll.acknowledged += acknowledged;
            let checked = crowd.check(&target);
            let wrong = match checked {
                Ok(()) if whole(&data.join("hearth.db")) => continue,
                Ok(()) => "the store is damaged".to_owned(),
                Err(wrong) => wrong,
            };
            toll.wrong.push(wrong);
            if until_wrong {
                return Some(toll);
            }
            break;
        }
        crowd.check_order();
    }
    Some(toll)
}

#[test]
fn a_relay_without_power_loses_nothing_it_acknowledged() {
    let (cuts, seed) = (number("HEARTH_CUTS", 30), number("HEARTH_SEED", 1));
    let Some(toll) = cut_relay(None, cuts, seed, false) else { return };
    eprintln!("{} cuts, {} acknowledged, wrong: {:?}", toll.cuts, toll.acknowledged, toll.wrong);
    assert_eq!(toll.wrong, Vec::<String>::new());
    assert_eq!(toll.cuts, cuts);
}

/// Returns the relay of `examples/careless.rs`, which Cargo builds beside the tests.
fn careless() -> PathBuf {
    let this = std::env::current_exe().unwrap();
    this.ancestors().nth(2).unwrap().join("examples/careless")
}

#[test]
fn a_relay_that_syncs_rarely_loses_what_it_acknowledged() {
    let Some(toll) = cut_relay(Some(&careless()), 20, 2, true) else { return };
    eprintln!("cut {}: {:?}", toll.cuts, toll.wrong);
    // The room itself can be gone.
    let lost = |wrong: &String| wrong.contains("are lost") || wrong.contains("NotMember");
    assert!(toll.wrong.iter().any(lost), "{toll:?}");
}

#[test]
fn a_member_without_power_loses_nothing_and_uses_no_key_twice() {
    let Some(disk) = Disk::new() else { return };
    if !trace::possible() {
        return;
    }
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = Person::at(disk.join("home"));
    circle.admit_person(&ben, "Ben");
    // A campaign cuts at every call, otherwise at some.
    let campaign = std::env::var_os("HEARTH_CUTS").is_some();
    let (first, step) = if campaign { (1, 1) } else { (2, 5) };
    let (mut told, mut shown, mut cuts) = (Vec::new(), Vec::new(), 0);
    for command in ["send", "read"] {
        for nth in (first..).step_by(step) {
            let news = format!("for Ben {command} {nth}");
            circle.say(&circle.fay, &news);
            let word = format!("word {command} {nth}");
            let args = if command == "send" {
                vec!["send", &circle.room, &word]
            } else {
                vec!["read", &circle.room]
            };
            let kill = Injection { calls: CHANGES, fault: Fault::Kill, nth, and_after: false };
            let record = Record::new();
            let answer = ben.run_under(&kill.under(&record.path()), &args);
            record.end();
            disk.cut();
            disk.restore();
            cuts += 1;
            assert!(!answer.stderr.contains("panicked"), "{answer:?}");
            match (command, answer.code) {
                ("send", Some(0)) => told.push(word),
                ("send", Some(4)) => {
                    assert_eq!(answer.lines.last().unwrap()["kept"], true, "{answer:?}");
                    told.push(word);
                }
                ("read", Some(0)) | (_, None) => shown.extend(texts(&answer.lines)),
                _ => panic!("{answer:?}"),
            }
            assert_eq!(ben.does(&["profile", "check"])[0]["ok"], true);
            if answer.code.is_some() {
                break;
            }
        }
    }
    circle.say(&ben, "the last word");
    told.push("the last word".to_owned());
    circle.news(&circle.fay);
    let (mine, heard) = (circle.history(&ben), circle.history(&circle.fay));
    eprintln!("{cuts} cuts of a member");
    assert!(cuts > 10, "{cuts}");
    for rows in [&mine, &heard] {
        // An entry encrypted with a key that was used before would be unreadable here.
        assert!(rows.iter().all(|row| row["kind"] != "notice"), "{rows:?}");
        let texts = texts(rows);
        let once: HashSet<&String> = texts.iter().collect();
        assert_eq!(once.len(), texts.len(), "doubled: {texts:?}");
        for text in told.iter().chain(&shown) {
            assert!(once.contains(text), "lost: {text} of {texts:?}");
        }
    }
    assert_eq!(texts(&mine), texts(&heard));
}

fn texts(rows: &[Value]) -> Vec<String> {
    let rows = rows.iter().filter(|row| row["kind"] == "text");
    rows.map(|row| row["text"].as_str().unwrap().to_owned()).collect()
}
