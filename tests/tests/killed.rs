//! Whoever comes, opens a room or acts in one is killed at a change of their disk, at any of them, and types the same again.
//!
//! Needs strace; says so and passes without. `HEARTH_CALLS=1` kills at every change instead of some. Sending and reading
//! are in `trace`.

use std::{fs, path::Path};

use hearth_kit::{
    Circle, Person, Relay, Running,
    fault::{
        number,
        trace::{self, CHANGES, Fault, Injection, Record},
    },
    text_file,
};
use serde_json::Value;

fn texts(rows: &[Value]) -> Vec<&str> {
    let rows = rows.iter().filter(|row| row["kind"] == "text");
    rows.map(|row| row["text"].as_str().unwrap()).collect()
}

/// Runs a command that is killed at the n-th change of the disk; returns whether it was. If not, it must succeed.
fn killed(person: &Person, nth: usize, args: &[&str]) -> bool {
    let kill = Injection { calls: CHANGES, fault: Fault::Kill, nth, and_after: false };
    let record = Record::new();
    let answer = person.run_under(&kill.under(&record.path()), args);
    record.end();
    let killed = answer.code.is_none();
    if !killed {
        answer.done();
    }
    killed
}

/// Runs a command as somebody would who does not know what became of it: it is done then, or was done before and is
/// refused with a code given.
fn again(person: &Person, args: &[&str], done_before: Option<&str>) {
    let answer = person.run(args);
    assert!(!answer.stderr.contains("panicked"), "{answer:?}");
    if answer.code != Some(0) {
        let error = answer.lines.last().and_then(|line| line["error"].as_str());
        assert!(error.is_some() && error == done_before, "{answer:?}");
    }
}

/// Does both, if it is killed; returns whether it was.
fn killed_once(person: &Person, nth: usize, args: &[&str], done_before: Option<&str>) -> bool {
    let killed = killed(person, nth, args);
    if killed {
        again(person, args, done_before);
    }
    killed
}

/// Says that two people are in the same room and were told of nothing odd.
fn agree(circle: &Circle, people: [&Person; 2]) {
    for person in people {
        let rows = circle.history(person);
        assert!(rows.iter().all(|row| row["kind"] != "notice"), "{rows:?}");
        assert_eq!(person.does(&["profile", "check"])[0]["ok"], true);
    }
    let states = people.map(|person| {
        let state = &circle.by(person, "verify", &[])[0];
        (state["epoch"].clone(), state["safety_code"].clone())
    });
    assert_eq!(states[0], states[1]);
}

/// Takes turns that kill at one change of the disk after another, until nobody is killed any more.
///
/// A turn is given the number of the change, and says of each of its commands whether it was killed.
fn at_changes_of_the_disk<const COMMANDS: usize>(mut turn: impl FnMut(usize) -> [bool; COMMANDS]) {
    let stride = if number("HEARTH_CALLS", 0) > 0 { 1 } else { 37 };
    let mut kills = 0;
    for nth in (1..).step_by(stride) {
        let killed = turn(nth).into_iter().filter(|killed| *killed).count();
        kills += killed;
        if killed == 0 {
            break;
        }
    }
    eprintln!("{kills} kills");
    assert!(kills > COMMANDS, "{kills}");
}

#[test]
fn a_facilitator_killed_at_any_change_of_the_disk_finishes_what_was_begun() {
    if !trace::possible() {
        return;
    }
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    let (fay, room) = (&circle.fay, circle.room.as_str());
    let link = circle.invite(&["--uses", "1000"]);
    at_changes_of_the_disk(|nth| {
        let (nora, name) = (Person::new(), format!("Nora {nth}"));
        circle.knock_with(&nora, &name, &link);
        let admitted = killed_once(fay, nth, &["admit", room, &name], Some("no_such_knock"));
        circle.news(&nora);
        circle.say(&nora, "hello");
        let slowed = killed_once(fay, nth, &["slow", room, &format!("{nth}s")], None);
        let remove = ["remove", room, &name, "--reason", "request", "Thank you for coming."];
        let removed = killed_once(fay, nth, &remove, Some("no_such_member"));
        assert_eq!(circle.by(&ben, "who", &[]).len(), 2, "{nth}");
        assert_eq!(circle.by(&ben, "status", &[])[0]["slow_seconds"], nth);
        [admitted, slowed, removed]
    });
    agree(&circle, [fay, &ben]);
}

#[test]
fn a_member_killed_at_any_change_of_the_disk_gets_in_and_out() {
    if !trace::possible() {
        return;
    }
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let room = circle.room.as_str();
    at_changes_of_the_disk(|nth| {
        let (nora, name, link) = (Person::new(), format!("Nora {nth}"), circle.invite(&[]));
        let knock = ["join", &link, "--as", &name, "--acknowledge", &circle.agreement, "--no-wait"];
        let knocked = killed_once(&nora, nth, &knock, None);
        circle.fay("admit", &[&name]);
        let entered = killed_once(&nora, nth, &["read", room], None);
        circle.say(&nora, &name);
        assert_eq!(texts(&circle.news(&circle.fay)), [name.as_str()], "{nth}");
        agree(&circle, [&circle.fay, &nora]);
        let left = killed_once(&nora, nth, &["leave", room, "goodbye"], Some("not_member"));
        circle.news(&circle.fay);
        assert_eq!(circle.fay("who", &[]).len(), 1, "{nth}");
        [knocked, entered, left]
    });
}

#[test]
fn a_founder_killed_at_any_change_of_the_disk_has_one_room() {
    if !trace::possible() {
        return;
    }
    let agreement = text_file("What is said here stays here.");
    let path = agreement.path().to_str().unwrap();
    at_changes_of_the_disk(|nth| {
        // A relay for each, since it counts the questions about rooms that are not there.
        let relay = Relay::start();
        let (fay, grant) = (Person::new(), relay.grant());
        let create = ["room", "create", "Tuesday evening", "--grant", &grant];
        let create = [create.as_slice(), &["--agreement", path, "--as", "Fay"]].concat();
        if !killed(&fay, nth, &create) {
            return [false];
        }
        // Goes on with it, too, if the relay knows of it.
        let early = fay.run(&["send", "tuesday-evening", "early"]);
        again(&fay, &create, Some("grant_invalid"));
        let rooms = fay.does(&["room", "list"]);
        assert_eq!(rooms.len(), 1, "{nth}: {rooms:?}");
        let room = rooms[0]["room"].as_str().unwrap();
        fay.does(&["send", room, "hello"]);
        let rows = fay.does(&["read", room, "--all"]);
        let said = texts(&rows);
        let kept = early.code == Some(0) || early.lines.last().is_some_and(|l| l["kept"] == true);
        assert_eq!(said.contains(&"early"), kept, "{early:?}, {said:?}");
        fay.does(&["invite", room]);
        assert_eq!(fay.does(&["profile", "check"])[0]["ok"], true);
        [true]
    });
}

/// A restore is killed at each change of the disk. A relay then starts on a whole store or not at all, and the same command goes on.
#[test]
fn restore_killed_anywhere_is_finished() {
    if !trace::possible() {
        return;
    }
    let mut relay = Relay::start();
    let circle = Circle::open(&relay);
    let folder = tempfile::tempdir().unwrap();
    let backup = folder.path().join("backup");
    let operator = |data: &Path, args: &[&str]| {
        let mut command = Relay::bare();
        command.arg("--data-dir").arg(data).args(args);
        command
    };
    let ended = |command| Running::start(command, false).wait();
    assert_eq!(ended(operator(relay.data(), &["backup", backup.to_str().unwrap()])).code, Some(0));
    circle.say(&circle.fay, "after the backup");
    relay.stop();
    let restore = ["restore", "--yes", backup.to_str().unwrap()];
    let heads = |data: &Path| {
        let listed = ended(operator(data, &["rooms", "--json"]));
        let head =
            listed.stdout.lines().next().map(|line| {
                serde_json::from_str::<Value>(line).unwrap()["entries"].as_u64().unwrap()
            });
        (listed, head)
    };
    let new = heads(relay.data()).1.unwrap();
    let killed_at = |calls, nth| {
        let data = folder.path().join(format!("relay-{calls}-{nth}"));
        fs::create_dir(&data).unwrap();
        for entry in fs::read_dir(relay.data()).unwrap() {
            let path = entry.unwrap().path();
            fs::copy(&path, data.join(path.file_name().unwrap())).unwrap();
        }
        let kill = Injection { calls, fault: Fault::Kill, nth, and_after: false };
        let record = Record::new();
        let under = kill.under(&record.path());
        let alone = operator(&data, &restore);
        let mut command = std::process::Command::new(&under[0]);
        command.args(&under[1..]).arg(alone.get_program()).args(alone.get_args()).env_clear();
        let first = ended(command);
        record.end();
        if first.code.is_some() {
            assert_eq!(first.code, Some(0), "{first:?}");
            return false;
        }
        let (listed, head) = heads(&data);
        let whole =
            listed.code == Some(0) && head.is_some_and(|head| head == new || head + 1 == new);
        assert!(whole || listed.stderr.contains("is not finished"), "{nth}: {listed:?}");
        let again = ended(operator(&data, &restore));
        assert_eq!(again.code, Some(0), "{nth}: {again:?}");
        assert_eq!(heads(&data).1, Some(new - 1), "{nth}");
        assert!(!data.join("restoring").exists());
        // What was replaced is whole, too.
        let aside = fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().path());
        let aside: Vec<_> = aside.filter(|path| path.join("hearth.db").exists()).collect();
        assert!(!aside.is_empty(), "{nth}");
        fs::remove_dir_all(&data).unwrap();
        true
    };
    // strace counts the calls of each name by themselves.
    let kills: Vec<usize> = CHANGES
        .split(',')
        .map(|calls| (1..).take_while(|nth| killed_at(calls, *nth)).count())
        .collect();
    assert!(kills.iter().sum::<usize>() > 20, "{kills:?}");
}
