//! A relay that was moved goes on; one that was restored from an older copy is noticed, and goes on by decision.

use std::{fs, path::Path};

use crate::world;
use hearth_engine::{
    policy::Act,
    state::{Row, RowContent},
};
use hearth_kit::{Circle, Person, Relay, Running, fault::number};
use hearth_protocol::invite::Grant;
use hearth_session::{
    live::{Live, LiveError, Recovery},
    network::Network,
};
use tempfile::TempDir;

/// Copies the files of a stopped relay's folder.
fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
        }
    }
}

/// Puts a copy in place of a stopped relay's store, as new files.
fn put_back(saved: &Path, data: &Path) {
    for entry in fs::read_dir(data).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            fs::remove_file(path).unwrap();
        }
    }
    copy(saved, data);
}

fn texts(person: &Person, circle: &Circle) -> Vec<String> {
    let rows = person.does(&["read", &circle.room, "--all"]);
    let texts = rows.iter().filter(|r| r["kind"] == "text");
    texts.map(|r| r["text"].as_str().unwrap().to_owned()).collect()
}

fn text_of(row: Row) -> Option<String> {
    match row.content {
        RowContent::Text(text) => Some(text),
        _ => None,
    }
}

#[test]
fn a_moved_relay_goes_on() {
    let mut relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    circle.fay.does(&["send", &circle.room, "before"]);
    ben.does(&["read", &circle.room]);
    relay.stop();
    let saved = TempDir::new().unwrap();
    copy(relay.data(), saved.path());
    put_back(saved.path(), relay.data());
    relay.restart();
    let seen = ben.sees(&["--json", "read", &circle.room]);
    assert_eq!(seen.code, Some(0), "{}", seen.stderr);
    assert!(seen.stderr.contains("moved or restored"), "{}", seen.stderr);
    circle.fay.does(&["send", &circle.room, "after"]);
    assert_eq!(texts(&ben, &circle), ["before", "after"]);
}

#[test]
fn a_relay_restored_from_an_older_copy_is_noticed_and_recovered() {
    let mut relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    ben.does(&["send", &circle.room, "kept by all"]);
    relay.stop();
    let saved = TempDir::new().unwrap();
    copy(relay.data(), saved.path());
    relay.restart();
    circle.fay.does(&["pause", &circle.room, "1m", "a commit that the copy lacks"]);
    circle.fay.does(&["resume", &circle.room]);
    circle.fay.does(&["send", &circle.room, "kept by members"]);
    ben.does(&["read", &circle.room]);
    relay.stop();
    put_back(saved.path(), relay.data());
    relay.restart();

    for person in [&circle.fay, &ben] {
        person.run(&["read", &circle.room]).failed(5, "verification_failed");
        person.run(&["send", &circle.room, "not yet"]).failed(5, "verification_failed");
    }
    // A member cannot go on before a facilitator has told the relay which epoch the room is in.
    ben.run(&["recover", &circle.room, "--yes"]).failed(1, "epoch_used_up");
    for person in [&circle.fay, &ben] {
        assert_eq!(circle.by(person, "recover", &["--yes"])[0]["rules_differ"], false);
    }
    circle.fay.does(&["send", &circle.room, "on we go"]);
    ben.does(&["read", &circle.room]);
    let seen = texts(&ben, &circle);
    for text in ["kept by all", "kept by members", "on we go"] {
        assert!(seen.iter().any(|t| t == text), "{text} of {seen:?}");
    }
    let code = |person: &Person| person.does(&["verify", &circle.room])[0]["safety_code"].clone();
    assert_eq!(code(&circle.fay), code(&ben));
}

/// The rules of the copy are told, and one command puts them back once everybody goes on.
#[test]
fn rules_of_a_restored_relay_are_put_back() {
    let mut relay = Relay::start();
    let circle = Circle::open(&relay);
    let (ben, _cleo) = (circle.admit("Ben"), circle.admit("Cleo"));
    relay.stop();
    let saved = TempDir::new().unwrap();
    copy(relay.data(), saved.path());
    relay.restart();
    circle.fay("slow", &["1h"]);
    circle.fay("role", &["Ben", "cofacilitator"]);
    circle.news(&ben);
    circle.fay("timeout", &["Cleo", "1h", "Rest a little."]);
    circle.fay("pause", &["1h", "Let us breathe."]);
    circle.news(&ben);
    relay.stop();
    put_back(saved.path(), relay.data());
    relay.restart();
    let alarms = |person: &Person| {
        let status = person.run(&["status", &circle.room]);
        let alarms = status.lines[0]["alarms"].as_array().unwrap().clone();
        let mut words: Vec<String> =
            alarms.iter().map(|alarm| alarm["notice"].as_str().unwrap().to_owned()).collect();
        words.sort();
        (status.code, words)
    };
    let recovered = circle.fay.sees(&["recover", &circle.room, "--yes"]);
    assert_eq!(recovered.code, Some(0), "{}", recovered.stderr);
    let next = format!("put them back: `hearth restore-rules {}`", circle.room);
    assert!(recovered.stdout.contains(&next), "{}", recovered.stdout);
    assert_eq!(circle.by(&ben, "recover", &["--yes"])[0]["rules_differ"], true);
    let words = ["relay_pause", "relay_role", "relay_slow", "relay_timeout"].map(str::to_owned);
    assert_eq!(alarms(&circle.fay), (Some(5), words.to_vec()));
    // The relay tells time-outs to moderators only, and takes Ben for a member.
    assert_eq!(alarms(&ben), (Some(5), words[..3].to_vec()));
    assert_eq!(circle.fay("restore-rules", &[])[0]["remain"], serde_json::json!([]));
    for person in [&circle.fay, &ben] {
        assert_eq!(alarms(person), (Some(0), Vec::new()));
    }
    circle.by(&ben, "slow", &["off"]);
}

/// G12: the copy is taken while everybody writes, and it is whole. `HEARTH_RESTORES=50` makes a campaign of it.
#[test]
fn a_backup_taken_under_load_is_whole_and_its_use_is_noticed() {
    let mut relay = Relay::start();
    let circle = Circle::open(&relay);
    let people = [circle.admit("Ben"), circle.admit("Cleo")];
    for round in 0..number("HEARTH_RESTORES", 2) {
        let saved = TempDir::new().unwrap();
        std::thread::scope(|scope| {
            for person in &people {
                let circle = &circle;
                scope.spawn(move || {
                    for n in 0..4 {
                        circle.say(person, &format!("{round} {n}"));
                    }
                });
            }
            let mut backup = Relay::bare();
            backup.arg("--data-dir").arg(relay.data()).arg("backup").arg(saved.path());
            assert_eq!(Running::start(backup, false).wait().code, Some(0));
        });
        // What the copy lacks in any case, and everybody has seen.
        circle.fay("pause", &["1m", "Let us breathe."]);
        circle.fay("resume", &[]);
        for person in &people {
            circle.news(person);
        }
        let db = rusqlite::Connection::open(saved.path().join("hearth.db")).unwrap();
        let whole: String =
            db.pragma_query_value(None, "integrity_check", |row| row.get(0)).unwrap();
        assert_eq!(whole, "ok");
        drop(db);
        let before = texts(&people[0], &circle);
        relay.stop();
        // As docs/operations.md says: the keys stay, the store is another.
        for name in ["hearth.db", "hearth.db-wal", "hearth.db-shm"] {
            let _ = fs::remove_file(relay.data().join(name));
        }
        copy(saved.path(), relay.data());
        relay.restart();
        for person in people.iter().chain([&circle.fay]) {
            person.run(&["read", &circle.room]).failed(5, "verification_failed");
        }
        for person in [&circle.fay].into_iter().chain(&people) {
            person.does(&["recover", &circle.room, "--yes"]);
        }
        let text = format!("on we go {round}");
        circle.say(&circle.fay, &text);
        for person in &people {
            // Their own history is what it was, and goes on.
            assert_eq!(
                texts(person, &circle),
                [before.as_slice(), std::slice::from_ref(&text)].concat()
            );
        }
    }
}

/// A member uses an epoch up and speaks on in the next one; then the relay is restored from a copy that knows nothing of it.
/// What is asked before going on is about the relay as it is.
#[test]
fn what_recover_asks_is_what_the_relay_has_and_nothing_else_is_done() {
    let mut relay = Relay::start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let [mut fay, mut mal] = ["Fay", "Mal"].map(world::Person::new);
    let say = |person: &world::Person, words: &str| {
        let said = person.visit(async |live| live.send(words.into()).await);
        runtime.block_on(Box::pin(said))
    };
    runtime.block_on(Box::pin(async {
        fay.found(&Grant::parse(&relay.grant()).unwrap()).await.unwrap();
        mal.knock(&fay.invite(1).await.unwrap()).await.unwrap();
        assert!(fay.admit("Mal").await.unwrap());
        mal.visit(async |_| Ok(())).await.unwrap();
    }));
    relay.stop();
    let saved = TempDir::new().unwrap();
    copy(relay.data(), saved.path());
    relay.restart();
    say(&fay, "what the copy lacks").unwrap();
    runtime.block_on(Box::pin(async {
        let act = Act::Announce("I hold this room now.".into());
        mal.break_laws(true);
        let ran = mal.visit(async |live| {
            live.act(act).await?;
            live.send("and on I go".into()).await
        });
        ran.await.unwrap();
    }));
    let alone = say(&fay, "still here?");
    assert!(matches!(alone, Err(LiveError::LeftBehind)), "{alone:?}");
    let asked = |fay: &world::Person| {
        let (room, asked) = runtime
            .block_on(Box::pin(Live::recovery(&Network::machine(), fay.room().unwrap())))
            .unwrap();
        drop(room);
        asked
    };
    assert_eq!(asked(&fay), Recovery::LeftBehind);
    relay.stop();
    put_back(saved.path(), relay.data());
    relay.restart();
    assert_eq!(asked(&fay), Recovery::Restored);
    assert!(fay.room().unwrap().is_left_behind().unwrap(), "that is not forgotten");
    let recover = |agreed| {
        let network = Network::machine();
        let live = Live::recover(&network, fay.room().unwrap(), Some(agreed));
        runtime.block_on(Box::pin(async { live.await.map(Live::into_room).map(drop) }))
    };
    for other in [Recovery::LeftBehind, Recovery::Split] {
        let refused = recover(other);
        assert!(matches!(refused, Err(LiveError::UnexpectedReply)), "{refused:?}");
        assert_eq!(asked(&fay), Recovery::Restored);
    }
    recover(Recovery::Restored).unwrap();
    say(&fay, "and on we go").unwrap();
    let texts: Vec<String> = fay.rows().into_iter().filter_map(text_of).collect();
    assert_eq!(texts, ["what the copy lacks", "still here?", "and on we go"]);
}

/// Members go on from the last entry that they and the relay both have, whatever the facilitator did meanwhile.
#[test]
fn later_recoveries_read_what_came_between() {
    let mut relay = Relay::start();
    let circle = Circle::open(&relay);
    let people = ["Ben", "Cleo", "Dan"].map(|name| circle.admit(name));
    circle.say(&circle.fay, "before");
    people.iter().for_each(|person| drop(circle.news(person)));
    relay.stop();
    let saved = TempDir::new().unwrap();
    copy(relay.data(), saved.path());
    relay.restart();
    circle.say(&circle.fay, "lost with the disk");
    circle.say(&people[0], "lost as well");
    for person in people.iter().chain([&circle.fay]) {
        circle.news(person);
    }
    relay.stop();
    put_back(saved.path(), relay.data());
    relay.restart();
    circle.by(&circle.fay, "recover", &["--yes"]);
    circle.say(&circle.fay, "we lost an hour");
    circle.fay("rekey", &[]);
    circle.fay("pause", &["10m", "Let us breathe."]);
    for (number, person) in people.iter().enumerate() {
        let recovered = circle.by(person, "recover", &["--yes"]);
        assert_eq!(recovered[0]["rules_differ"], false, "{recovered:?}");
        circle.fay("resume", &[]);
        let words = format!("here again, {number}");
        circle.say(person, &words);
        circle.fay("pause", &["10m", "Let us breathe."]);
        let history = circle.history(person);
        assert!(history.iter().any(|row| row["text"] == "we lost an hour"), "{history:?}");
        assert!(history.iter().any(|row| row["text"] == "lost with the disk"), "{history:?}");
        assert!(!history.iter().any(|row| row["alarm"] == true), "{history:?}");
        let heard = circle.news(&circle.fay);
        assert!(heard.iter().any(|row| row["text"] == words.as_str()), "{heard:?}");
    }
}

/// Nothing is skipped in a room that gets on.
#[test]
fn recovery_of_whole_room_is_refused() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    circle.news(&ben);
    circle.say(&circle.fay, "unread");
    circle.fay("pause", &["10m", "Let us breathe."]);
    circle.fay("resume", &[]);
    ben.run(&["recover", &circle.room, "--yes"]).refused(3, "nothing_to_recover");
    let news = circle.news(&ben);
    assert!(news.iter().any(|row| row["text"] == "unread"), "{news:?}");
    circle.say(&ben, "I read it");
}
