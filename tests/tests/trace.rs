//! One system call fails, or is the last that a process makes: at every one of them, nothing acknowledged is lost.
//!
//! Needs strace; says so and passes without. What failed to sync is then cut off, where a disk can be mounted.
//! `HEARTH_CALLS=200` makes a campaign of it.

use std::collections::HashSet;

use hearth_kit::{
    Answer, Circle, Person, Relay, RelayOptions,
    fault::{
        crowd::{Answers, Crowd},
        cut::Disk,
        number,
        trace::{self, CHANGES, DISK_CHANGES, Fault, Injection, Record, SYNCS},
    },
    load::wire::Target,
    text_file,
};
use hearth_protocol::invite::Grant;
use serde_json::Value;
use tempfile::TempDir;

/// Messages of each writer to one fault.
const EACH: u32 = 8;

/// A relay with a crowd, on a disk whose power can be cut if there is one.
struct Stage {
    relay: Relay,
    crowd: Crowd,
    target: Target,
    // Last, because it is unmounted.
    _temporary: TempDir,
    disk: Option<Disk>,
}

impl Stage {
    fn new() -> Self {
        let (disk, temporary) = (Disk::new(), TempDir::new().unwrap());
        let data = disk.as_ref().map_or(temporary.path(), Disk::path).join("relay");
        let options = RelayOptions { data: Some(data), crowded: true, ..RelayOptions::default() };
        let mut relay = Relay::start_with(options);
        let target = Target::new(relay.address());
        let grant = Grant::parse(&relay.grant()).unwrap().secret;
        let crowd = Crowd::open(&target, &grant, 4).unwrap();
        relay.kill();
        Self { relay, crowd, target, _temporary: temporary, disk }
    }

    /// Starts the relay with a fault to come, lets everybody in the crowd write so many messages, kills it, cuts the power,
    /// and checks what is left. Returns whether the fault was met.
    fn meet(&mut self, injection: &Injection, each: u32) -> bool {
        let record = Record::new();
        self.relay.set_under(injection.under(&record.path()));
        let mut stopped = 1;
        match self.relay.try_restart() {
            Ok(()) => {
                let written = self.crowd.write(&self.target, each, usize::MAX, Answers::All, || {});
                stopped = written.1;
                self.relay.kill();
            }
            // A start that fails says so.
            Err(ended) if injection.fault != Fault::Kill => {
                assert_eq!(ended.code, Some(1), "{injection}: {ended:?}");
                let lines: Vec<&str> = ended.stderr.lines().collect();
                let [.., what, advice] = lines.as_slice() else { panic!("{injection}: {ended:?}") };
                assert!(what.starts_with("hearthd: "), "{injection}: {ended:?}");
                assert!(advice.starts_with("try: "), "{injection}: {ended:?}");
            }
            Err(ended) => assert_eq!(ended.code, None, "{injection}: {ended:?}"),
        }
        let calls = record.end();
        if let Some(disk) = &self.disk {
            disk.cut();
            disk.restore();
        }
        self.relay.set_under(vec![]);
        self.relay.restart();
        assert!(self.relay.page("/readyz").contains("200 OK"));
        if let Err(wrong) = self.crowd.check(&self.target) {
            panic!("{injection}: {wrong}\n{calls}");
        }
        let again = trace::syncs_after_failure(&calls);
        assert_eq!(again, Vec::<String>::new(), "{injection}");
        self.relay.kill();
        stopped > 0
    }
}

fn calls() -> (usize, usize) {
    match number("HEARTH_CALLS", 0) {
        0 => (40, 4),
        campaign => (usize::try_from(campaign).unwrap(), 1),
    }
}

#[test]
fn a_relay_whose_syncs_and_writes_fail_acknowledges_nothing_it_loses() {
    if !trace::possible() {
        return;
    }
    let (last, step) = calls();
    let mut stage = Stage::new();
    let mut met = 0;
    let kinds = [
        (SYNCS, "EIO", false, 1),
        (SYNCS, "EIO", true, step),
        ("pwrite64", "ENOSPC", false, step),
        ("pwrite64", "EIO", false, step),
        ("pwrite64", "EROFS", false, step),
        ("pwrite64", "ENOSPC", true, step),
    ];
    for (calls, error, and_after, step) in kinds {
        for nth in (1..=last).step_by(step) {
            let fault = Fault::Error(error);
            met += usize::from(stage.meet(&Injection { calls, fault, nth, and_after }, EACH));
        }
    }
    stage.crowd.check_order();
    eprintln!("{met} faults met, {} acknowledged", stage.crowd.acknowledged());
    assert!(met >= last, "{met}");
}

/// When the log was moved into the database and that fails to sync, only a new start moves the whole log again.
#[test]
fn a_relay_whose_database_does_not_sync_ends_and_loses_nothing() {
    if !trace::possible() {
        return;
    }
    let mut stage = Stage::new();
    // Calls are compared by the path that the system knows.
    let database = stage.relay.data().canonicalize().unwrap().join("hearth.db");
    // SQLite's own, and that beside the writers.
    for nth in 1..=2 {
        stage.relay.restart();
        stage.crowd.write(&stage.target, EACH, usize::MAX, Answers::All, || {});
        stage.relay.kill();
        let injection =
            Injection { calls: SYNCS, fault: Fault::Error("EIO"), nth, and_after: false };
        let record = Record::new();
        let files = std::slice::from_ref(&database);
        stage.relay.set_under(injection.under_at(&record.path(), files));
        // The log of the time before is moved soon after the start.
        stage.relay.restart();
        assert_eq!(stage.relay.ended(), Some(1), "{injection}");
        let calls = record.end();
        let said = stage.relay.logs().matches("the disk did not take").count();
        assert_eq!(said, nth, "{injection}\n{calls}");
        assert_eq!(trace::syncs_after_failure(&calls), Vec::<String>::new(), "{injection}");
        if let Some(disk) = &stage.disk {
            disk.cut();
            disk.restore();
        }
        stage.relay.set_under(vec![]);
        stage.relay.restart();
        if let Err(wrong) = stage.crowd.check(&stage.target) {
            panic!("{injection}: {wrong}\n{calls}");
        }
        stage.relay.kill();
    }
}

#[test]
fn a_relay_killed_at_any_change_of_the_disk_loses_nothing() {
    if !trace::possible() {
        return;
    }
    let last = calls().0 * 3;
    let mut stage = Stage::new();
    let mut met = 0;
    for nth in 1..=last {
        let kill = Injection { calls: CHANGES, fault: Fault::Kill, nth, and_after: false };
        // Enough that the change is made.
        let each = EACH + u32::try_from(nth / 8).unwrap();
        met += usize::from(stage.meet(&kill, each));
    }
    stage.crowd.check_order();
    eprintln!("{met} kills, {} acknowledged", stage.crowd.acknowledged());
    assert_eq!(met, last);
}

#[test]
fn a_first_start_that_is_killed_or_fails_anywhere_is_made_up_for() {
    /// What is written as a file and not as a database: each is made under such a name first.
    const FILES: [&str; 4] = ["cert.pem.next", "key.pem.next", "stream.next", "address.next"];
    if !trace::possible() {
        return;
    }
    let faults: [(_, _, &[&str], _, _); 5] = [
        (CHANGES, Fault::Kill, &[], 2, 20),
        (DISK_CHANGES, Fault::Error("EIO"), &[], 2, 20),
        (DISK_CHANGES, Fault::Error("ENOSPC"), &[], 2, 20),
        ("write", Fault::Error("EIO"), &FILES, 1, 4),
        ("write", Fault::Error("ENOSPC"), &FILES, 1, 4),
    ];
    for (calls, fault, files, step, least) in faults {
        let mut met = 0;
        for nth in (1..).step_by(step) {
            let injection = Injection { calls, fault, nth, and_after: false };
            let folder = TempDir::new().unwrap();
            // Calls are compared by the path that the system knows.
            let data = folder.path().canonicalize().unwrap().join("relay");
            let files: Vec<_> = files.iter().map(|name| data.join(name)).collect();
            let mut relay =
                Relay::stopped(RelayOptions { data: Some(data), ..RelayOptions::default() });
            let record = Record::new();
            relay.set_under(injection.under_at(&record.path(), &files));
            let started = relay.try_restart();
            if started.is_ok() {
                relay.kill();
            }
            let failed = trace::failed(&record.end());
            relay.set_under(vec![]);
            relay.restart();
            relay.grant();
            relay.kill();
            match (started, fault) {
                (Err(ended), Fault::Kill) => assert_eq!(ended.code, None, "{injection}: {ended:?}"),
                (Err(ended), Fault::Error(_)) => {
                    assert!(failed, "{injection}: {ended:?}");
                    assert_eq!(ended.code, Some(1), "{injection}: {ended:?}");
                    assert!(!ended.stderr.contains("panicked"), "{injection}: {ended:?}");
                }
                (Ok(()), Fault::Error(_)) if failed => {}
                (Ok(()), _) => break,
            }
            met += 1;
        }
        eprintln!("{met} faults met: {fault:?} of {calls}");
        assert!(met >= least, "{met}: {fault:?} of {calls}");
    }
}

/// A memory stick's file system, for example.
#[test]
fn a_profile_is_made_where_the_disk_knows_no_links() {
    if !trace::possible() {
        return;
    }
    let relay = Relay::start();
    let (fay, grant, agreement) = (Person::new(), relay.grant(), text_file("It stays here."));
    let fault = Fault::Error("EPERM");
    let injection = Injection { calls: "link,linkat", fault, nth: 1, and_after: true };
    let record = Record::new();
    let path = agreement.path().to_str().unwrap();
    let create =
        ["room", "create", "Evening", "--grant", &grant, "--agreement", path, "--as", "Fay"];
    fay.run_under(&injection.under(&record.path()), &create).done();
    assert!(trace::failed(&record.end()));
    fay.does(&["send", "evening", "hello"]);
    assert_eq!(fay.does(&["profile", "check"])[0]["ok"], true);
}

/// What somebody was told of each text.
#[derive(Default)]
struct Told {
    /// Accepted or kept: there once.
    once: Vec<String>,
    /// Shown: there.
    shown: HashSet<String>,
}

fn texts(rows: &[Value]) -> Vec<String> {
    let rows = rows.iter().filter(|row| row["kind"] == "text");
    rows.map(|row| row["text"].as_str().unwrap().to_owned()).collect()
}

impl Told {
    fn hear(&mut self, word: &str, answer: &Answer) {
        assert!(!answer.stderr.contains("panicked"), "{answer:?}");
        match answer.code {
            Some(0) if !word.is_empty() => self.once.push(word.to_owned()),
            Some(4) => {
                if answer.lines.last().is_some_and(|line| line["kept"] == true) {
                    self.once.push(word.to_owned());
                }
            }
            // The disk is at fault, and the command says so.
            Some(1) => {
                let line = answer.lines.last().unwrap_or_else(|| panic!("{answer:?}"));
                let code = line["error"].as_str().unwrap_or_default().to_owned();
                answer.failed(1, &code);
                assert!(["disk_full", "disk_failed"].contains(&&*code), "{answer:?}");
            }
            Some(0) | None => {}
            Some(_) => panic!("{answer:?}"),
        }
        self.shown.extend(texts(&answer.lines));
    }

    /// Compares what was told with what two people have in the end.
    fn check(&self, circle: &Circle, ben: &Person) {
        circle.say(ben, "the last word");
        circle.news(&circle.fay);
        circle.news(ben);
        let (mine, heard) = (circle.history(ben), circle.history(&circle.fay));
        for rows in [&mine, &heard] {
            // An entry encrypted with a key that was used before would be unreadable to the others.
            assert!(rows.iter().all(|row| row["kind"] != "notice"), "{rows:?}");
            let texts = texts(rows);
            let all: HashSet<&String> = texts.iter().collect();
            assert_eq!(all.len(), texts.len(), "doubled: {texts:?}");
            for text in self.once.iter().chain(&self.shown) {
                assert!(all.contains(text), "lost: {text} of {texts:?}");
            }
        }
        assert_eq!(texts(&mine), texts(&heard));
        assert_eq!(circle.by(ben, "verify", &[])[0], circle.fay("verify", &[])[0]);
        assert!(circle.by(ben, "outbox", &[]).is_empty());
    }
}

/// Lets Ben send and read with a fault at the n-th call, for every n of so many or until it is not met any more.
fn visits(faults: &[(&'static str, Fault, bool)], last: usize, step: usize) {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    let (mut told, mut met) = (Told::default(), 0);
    for (number, (calls, fault, and_after)) in faults.iter().enumerate() {
        for command in ["send", "read"] {
            for nth in (1..=last).step_by(step) {
                let injection = Injection { calls, fault: *fault, nth, and_after: *and_after };
                circle.say(&circle.fay, &format!("news {number} {command} {nth}"));
                let word =
                    if command == "send" { format!("word {number} {nth}") } else { String::new() };
                let mut args = vec![command, &circle.room];
                args.extend((!word.is_empty()).then_some(&*word));
                let record = Record::new();
                let answer = ben.run_under(&injection.under(&record.path()), &args);
                told.hear(&word, &answer);
                let failed = trace::failed(&record.end());
                let is_met = if *fault == Fault::Kill { answer.code.is_none() } else { failed };
                if !is_met {
                    break;
                }
                met += 1;
            }
        }
    }
    eprintln!("{met} faults met");
    assert!(met > 10 * faults.len(), "{met}");
    assert_eq!(ben.does(&["profile", "check"])[0]["ok"], true);
    told.check(&circle, &ben);
}

#[test]
fn a_member_killed_at_any_change_of_the_disk_loses_nothing_and_uses_no_key_twice() {
    if trace::possible() {
        visits(&[(CHANGES, Fault::Kill, false)], usize::MAX, 1);
    }
}

#[test]
fn a_member_whose_disk_fails_is_told_and_loses_nothing() {
    if !trace::possible() {
        return;
    }
    let (last, step) = calls();
    let faults = [
        (SYNCS, Fault::Error("EIO"), false),
        (SYNCS, Fault::Error("EIO"), true),
        ("pwrite64", Fault::Error("EIO"), false),
        ("pwrite64", Fault::Error("ENOSPC"), false),
        ("pwrite64", Fault::Error("EROFS"), false),
        ("pwrite64", Fault::Error("ENOSPC"), true),
    ];
    visits(&faults, last, step.min(2));
}
