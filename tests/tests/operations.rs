//! What the operator's guide promises, typed as it says: a restore with members on both sides of the gap, a room deleted beside a running
//! relay, a text to forward that leads into the room, a doctor for each side.

use std::{fs, path::PathBuf};

use hearth_kit::{AtTerminal, Circle, Ended, Person, Relay, Running};
use serde_json::Value;
use tempfile::TempDir;

/// Runs a command of the operator's beside a relay's folder.
fn operator(relay: &Relay, args: &[&str]) -> Ended {
    let mut command = Relay::bare();
    command.arg("--data-dir").arg(relay.data()).args(args);
    Running::start(command, false).wait()
}

fn done(ended: Ended) -> String {
    assert_eq!(ended.code, Some(0), "{ended:?}");
    ended.stdout
}

fn texts(person: &Person, room: &str) -> Vec<String> {
    let rows = person.does(&["read", room, "--all"]);
    let texts = rows.iter().filter(|row| row["kind"] == "text");
    texts.map(|row| row["text"].as_str().unwrap().to_owned()).collect()
}

fn room_id(person: &Person) -> String {
    person.does(&["room", "list"])[0]["id"].as_str().unwrap().to_owned()
}

/// The disk is lost. Three rooms: in one a member was let in after the backup; in one only words are lost, and a member had not read
/// them; in one nothing happened.
#[test]
fn restore_is_survived_on_both_sides() {
    let mut relay = Relay::start();
    let deep = Circle::open(&relay);
    let [ben, cleo] = ["Ben", "Cleo"].map(|name| deep.admit(name));
    let light = Circle::open_as(&relay, Person::new());
    let [ida, jo] = ["Ida", "Jo"].map(|name| light.admit(name));
    let quiet = Circle::open_as(&relay, Person::new());
    let gil = quiet.admit("Gil");
    for (circle, people) in [(&deep, [&ben, &cleo]), (&light, [&ida, &jo]), (&quiet, [&gil, &gil])]
    {
        circle.say(&circle.fay, "kept by all");
        for person in people.into_iter().chain([&circle.fay]) {
            circle.news(person);
        }
    }
    let backups = TempDir::new().unwrap();
    let all = backups.path().join("all");
    let all = all.to_str().unwrap();
    done(operator(&relay, &["backup", "--keep", "3", all]));

    let dan = deep.admit("Dan");
    deep.say(&ben, "lost with the disk");
    light.say(&ida, "lost as well");
    for (circle, person) in [(&deep, &ben), (&light, &ida)] {
        circle.news(&circle.fay);
        circle.news(person);
    }
    relay.stop();
    let said = done(operator(&relay, &["restore", "--yes", all]));
    let needs = |circle: &Circle| {
        let id = room_id(&circle.fay);
        said.lines().any(|line| line.contains(&id) && line.contains("needs `hearth recover`"))
    };
    assert_eq!([&deep, &light, &quiet].map(needs), [true, true, false], "{said}");
    assert!(said.contains("replaced-"), "{said}");
    relay.restart();

    // Nobody of the quiet room needs to do anything.
    quiet.say(&gil, "nothing happened here");
    quiet.news(&quiet.fay);
    assert_eq!(texts(&quiet.fay, &quiet.room), ["kept by all", "nothing happened here"]);

    for (circle, person) in [(&deep, &ben), (&light, &ida)] {
        for person in [&circle.fay, person] {
            person.run(&["read", &circle.room]).failed(5, "verification_failed");
        }
        for person in [&circle.fay, person] {
            circle.by(person, "recover", &["--yes"]);
        }
        circle.say(&circle.fay, "on we go");
        circle.news(person);
    }
    for person in [&deep.fay, &ben] {
        assert_eq!(texts(person, &deep.room), ["kept by all", "lost with the disk", "on we go"]);
    }
    // Jo never saw the words that are lost, and goes on by himself.
    light.news(&jo);
    assert_eq!(texts(&jo, &light.room), ["kept by all", "on we go"]);
    light.say(&jo, "I am here, too");
    light.news(&light.fay);

    // Cleo had not seen that Dan came, and has no key for what was said after it. Dan is unknown to the relay, and is told so.
    cleo.run(&["read", &deep.room]).failed(5, "verification_failed");
    dan.run(&["read", &deep.room]).refused(3, "not_member");
    for (person, name) in [(&cleo, "Cleo"), (&dan, "Dan")] {
        deep.fay(
            "remove",
            &[name, "--reason", "request", "The relay lost its disk. I invite you again."],
        );
        deep.knock(person, name);
        deep.fay("admit", &[name]);
        // What they cannot read of the time between is told once.
        person.run(&["read", &deep.room]);
        if name == "Dan" {
            // He has seen what the relay lost.
            deep.by(person, "recover", &["--yes"]);
        }
        deep.say(&deep.fay, "here you are");
        let news = deep.news(person);
        assert!(news.iter().any(|row| row["text"] == "here you are"), "{news:?}");
    }
}

/// The old store is kept whole beside the new one, and can be put back the same way.
#[test]
fn replaced_store_can_be_put_back() {
    let mut relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    let folder = TempDir::new().unwrap();
    let backup = folder.path().join("backup");
    done(operator(&relay, &["backup", backup.to_str().unwrap()]));
    circle.say(&ben, "after the backup");
    circle.news(&circle.fay);
    relay.stop();
    done(operator(&relay, &["restore", "--yes", backup.to_str().unwrap()]));
    let replaced: Vec<PathBuf> = fs::read_dir(relay.data())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("replaced-"))
        .collect();
    assert_eq!(replaced.len(), 1, "{replaced:?}");
    let said = done(operator(&relay, &["restore", "--yes", replaced[0].to_str().unwrap()]));
    assert!(said.contains("No room loses a message"), "{said}");
    relay.restart();
    for person in [&circle.fay, &ben] {
        assert_eq!(texts(person, &circle.room), ["after the backup"]);
    }
    circle.say(&ben, "and on");
}

#[test]
fn deleted_room_is_gone_beside_the_relay() {
    let mut relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    let other = Circle::open_as(&relay, Person::new());
    circle.say(&ben, "words");
    circle.news(&circle.fay);
    let listed = |more: &[&str]| -> Vec<Value> {
        let text = done(operator(&relay, &[&["rooms", "--json"], more].concat()));
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let rooms = listed(&[]);
    assert_eq!(rooms.len(), 2);
    let id = room_id(&circle.fay);
    let facts = rooms.iter().find(|room| room["room"] == id.as_str()).unwrap();
    assert_eq!(facts["members"], 2, "{facts}");
    assert!(facts["bytes"].as_u64().unwrap() > 1000, "{facts}");
    let table = done(operator(&relay, &["rooms"]));
    assert!(table.contains(&id) && table.contains("2 rooms"), "{table}");
    assert!(!table.contains("Tuesday"), "{table}");

    let asked = operator(&relay, &["room", "delete", &id]);
    assert_eq!(asked.code, Some(2), "{asked:?}");
    assert_eq!(listed(&[]).len(), 2);
    done(operator(&relay, &["room", "delete", &id[..8], "--yes"]));
    assert_eq!(listed(&[]).len(), 1);
    for person in [&circle.fay, &ben] {
        person.run(&["read", &circle.room]).failed(3, "not_member");
        person.run(&["send", &circle.room, "still there?"]).failed(3, "not_member");
    }
    other.say(&other.fay, "here all is well");
    assert_eq!(relay.stop(), Some(0));
    assert!(!relay.logs().contains("ERROR"), "{}", relay.logs());
    // Without a relay the rows go at once.
    let last = room_id(&other.fay);
    done(operator(&relay, &["room", "delete", &last, "--yes"]));
    let db = rusqlite::Connection::open(relay.data().join("hearth.db")).unwrap();
    for table in
        ["rooms", "members", "entries", "acts", "blobs", "invites", "knocks", "notes", "boxes"]
    {
        let rows: i64 =
            db.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap();
        assert_eq!(rows, 0, "{table}");
    }
}

const AGREEMENT: &str = "\
# What we agree on

1. What is said here stays here.

```help
country = \"GB\"

[[contact]]
kind = \"emergency\"
name = \"999\"
number = \"999\"
hours = \"always\"
checked = { on = \"2026-11-01\", by = \"Fay\", how = \"official page\" }

[[contact]]
kind = \"team\"
name = \"the practice\"
number = \"01632 960001\"
hours = \"Mon to Fri 9-12\"
checked = { on = \"2026-11-01\", by = \"Fay\", how = \"dialled\" }
```
";

/// The whole text is pasted, as somebody does who has never done this.
#[test]
fn forwarded_message_leads_into_the_room() {
    let relay = Relay::start();
    let circle = Circle::open_under(&relay, Person::new(), AGREEMENT);
    let seen = circle.fay.sees(&["invite", &circle.room, "--message"]);
    assert_eq!(seen.code, Some(0), "{}", seen.stderr);
    let message = seen.stdout;
    for part in
        ["01632 960001 the practice", "Call 999", "hearth join", "apt install", "works once"]
    {
        assert!(message.contains(part), "{part}: {message}");
    }
    for private in ["Tuesday", "Fay", &circle.room] {
        assert!(!message.contains(private), "{private}: {message}");
    }
    let ben = Person::new();
    let join = ["join", "-", "--as", "Ben", "--acknowledge", &circle.agreement, "--no-wait"];
    ben.run_with_input(&join, message.as_bytes()).done();
    circle.fay("admit", &["Ben"]);
    circle.say(&circle.fay, "welcome");
    circle.news(&ben);
    assert_eq!(texts(&ben, &circle.room), ["welcome"]);
}

#[test]
fn member_doctor_names_nobody() {
    let mut relay = Relay::start();
    let circle = Circle::open(&relay);
    let host = relay.address().to_string();
    let report = |code: i32| {
        let answer = circle.fay.run(&["doctor"]);
        assert_eq!(answer.code, Some(code), "{answer:?}");
        for private in ["Tuesday", "tuesday", "Fay", &host] {
            assert!(!answer.stdout.contains(private), "{private}: {}", answer.stdout);
        }
        answer.lines
    };
    let state = |lines: &[Value], check: &str| {
        let found = lines.iter().find(|line| line["check"] == check);
        found.unwrap_or_else(|| panic!("{check}: {lines:?}"))["state"].as_str().unwrap().to_owned()
    };
    let well = report(0);
    for check in ["folder", "disk", "records", "relay", "clock"] {
        assert_eq!(state(&well, check), "ok", "{well:?}");
    }
    relay.stop();
    assert_eq!(state(&report(2), "relay"), "failure");
    let nobody = Person::new();
    assert_eq!(nobody.run(&["doctor"]).code, Some(0));
}

/// A slip asks again, and nothing is written before the address is one.
#[test]
fn init_asks_at_a_terminal() {
    let folder = TempDir::new().unwrap();
    let [file, data] = ["hearthd.toml", "data"].map(|name| folder.path().join(name));
    let mut command = Relay::bare();
    command.arg("--config").arg(&file).arg("--data-dir").arg(&data).arg("init");
    let mut asked = AtTerminal::start_command(command, (80, 24), true);
    asked.await_words("What will members connect to?");
    asked.types("relay.example.org:port\n");
    asked.await_words("is not a host");
    assert!(!file.exists());
    asked.types("relay.example.org\n");
    let (status, screen) = asked.ends();
    assert!(status.success(), "{screen}");
    assert!(fs::read_to_string(&file).unwrap().contains("\"relay.example.org:7443\""));
}

/// Nothing but the word agrees to a deletion and to a restore.
#[test]
fn deletion_and_restore_ask_first() {
    let mut relay = Relay::start();
    let circle = Circle::open(&relay);
    let id = room_id(&circle.fay);
    let folder = TempDir::new().unwrap();
    let backup = folder.path().join("backup");
    let backup = backup.to_str().unwrap();
    done(operator(&relay, &["backup", backup]));
    relay.stop();
    for (args, question) in [
        (["room", "delete", &id].as_slice(), "Delete the room"),
        (&["restore", backup], "Put this backup in place?"),
    ] {
        for (answer, code) in [("no\n", 1), ("\n", 1), ("yes\n", 0)] {
            let mut command = Relay::bare();
            command.arg("--data-dir").arg(relay.data()).args(args);
            let mut asked = AtTerminal::start_command(command, (80, 24), true);
            asked.await_words(question);
            asked.types(answer);
            let (status, screen) = asked.ends();
            assert_eq!(status.code(), Some(code), "{answer:?}: {screen}");
            assert_eq!(screen.contains("come back"), args[0] == "restore", "{screen}");
        }
    }
    // The restore brought the room back.
    assert!(done(operator(&relay, &["rooms"])).contains(&id));
}

#[test]
fn invite_code_fits_the_screen() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let drawn = |size| {
        let mut command = Person::bare();
        command.env("HEARTH_HOME", circle.fay.home()).args(["invite", &circle.room, "--qr"]);
        let (status, screen) = AtTerminal::start_command(command, size, true).ends();
        assert!(status.success(), "{screen}");
        let blocks = |line: &&str| line.chars().any(|c| c >= '\u{2580}');
        screen
            .lines()
            .filter(blocks)
            .map(|line| line.trim_end().chars().count())
            .collect::<Vec<_>>()
    };
    for (size, rows) in [((80, 24), 20..=23), ((80, 50), 30..=40)] {
        let code = drawn(size);
        assert!(rows.contains(&code.len()), "{size:?}: {code:?}");
        assert!(code.iter().all(|columns| *columns <= 80), "{size:?}: {code:?}");
    }
}
