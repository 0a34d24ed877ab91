//! What hearth checks before it asks, what it takes as typed, and what it advises.

use std::{fs, os::unix::fs::PermissionsExt as _};

use hearth_kit::{AtTerminal, Circle, Person, Relay, Running, text_file, unwrapped, wait_until};

fn enter(circle: &Circle, person: &Person) -> Running {
    let mut chat = person.starts_plainly(&["chat", &circle.room]);
    chat.type_line("/status");
    chat.await_line("the room's state", |line| line.contains("; agreement version"));
    chat
}

/// Types lines of which each is answered by one with some words.
fn answers(chat: &mut Running, lines: &[(&str, &str)]) {
    for (line, words) in lines {
        chat.type_line(line);
        let answer = chat.await_line(words, |answer| answer.contains(words));
        assert!(!answer.contains("Type yes") || words.ends_with('?'), "{line}: {answer}");
    }
}

fn quit(mut chat: Running) -> hearth_kit::Ended {
    chat.type_line("/quit");
    let ended = chat.wait_open();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    ended
}

#[test]
fn checks_come_before_questions() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let [ben, kim] = ["Ben", "Kim"].map(|name| circle.admit(name));
    circle.fay("role", &["Kim", "cofacilitator"]);
    circle.news(&kim);
    let mut chat = enter(&circle, &circle.fay);
    answers(
        &mut chat,
        &[
            ("/remove Nobody --reason conduct", "nobody in the room is called"),
            ("/remove Fay --reason conduct", "without a facilitator"),
            ("/timeout Kim 400d", "cannot be given a break"),
            ("/timeout Nobody 400d", "nobody in the room is called"),
            ("/retract --all-from Nobody", "nobody in the room is called"),
            ("/role Fay member", "without a facilitator"),
            ("/leave", "without a facilitator"),
            ("/pause 7d1m", "60 minutes at most"),
            ("/break Ben 25h rest", "24 hours at most"),
        ],
    );
    quit(chat);
    let mut chat = enter(&circle, &kim);
    answers(
        &mut chat,
        &[
            ("/remove Kim --reason conduct", "you cannot remove yourself"),
            ("/remove Fay --reason conduct", "only a facilitator"),
            ("/role Fay member", "only a facilitator"),
            ("/expire 30d", "only a facilitator"),
        ],
    );
    quit(chat);
    let mut chat = enter(&circle, &ben);
    let only = "only a facilitator may do that";
    for line in
        ["/timeout Fay", "/timeout", "/pause 2 Stunden", "/remove Fay", "/role", "/pause 400d"]
    {
        answers(&mut chat, &[(line, only)]);
    }
    answers(&mut chat, &[("/retract --all-from Fay", "Ask a facilitator to retract it")]);
    quit(chat);
    // On the command line, too, at a terminal, at which people are asked.
    let room = circle.room.as_str();
    for (person, args, words) in [
        (
            &circle.fay,
            ["remove", room, "Nobody", "--reason", "conduct", "Thank you for coming."].as_slice(),
            "Nobody",
        ),
        (
            &circle.fay,
            &["remove", room, "Fay", "--reason", "conduct", "Thank you for coming."],
            "without a facilitator",
        ),
        (
            &kim,
            &["remove", room, "Kim", "--reason", "conduct", "Thank you for coming."],
            "hearth leave",
        ),
        (&ben, &["pause", room, "400d", "Let us breathe."], only),
        (&ben, &["pause", room, "2", "Stunden"], only),
    ] {
        let (status, screen) = AtTerminal::start(person, "xterm", args).ends();
        assert!(matches!(status.code(), Some(2 | 3)), "{screen}");
        assert!(screen.contains(words) && !screen.contains("Type yes"), "{screen}");
    }
}

#[test]
fn stepping_down_asks_first() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let kim = circle.admit("Kim");
    circle.fay("role", &["Kim", "facilitator"]);
    circle.news(&kim);
    let mut chat = enter(&circle, &circle.fay);
    answers(
        &mut chat,
        &[
            ("/role Fay member", "Give up your own role and become a member?"),
            ("no", "nothing was done"),
            ("/role fay cofacilitator", "become a co-facilitator?"),
            ("no", "nothing was done"),
        ],
    );
    quit(chat);
    let role = ["role", &circle.room, "Fay", "member"];
    let (status, _) = AtTerminal::start_without_stderr(&circle.fay, "xterm", &role).ends();
    assert_eq!(status.code(), Some(2));
    assert_eq!(circle.fay("status", &[])[0]["role"], "facilitator");
    let sure = [role.as_slice(), &["--yes"]].concat();
    let (status, screen) = AtTerminal::start(&circle.fay, "xterm", &sure).ends();
    assert_eq!(status.code(), Some(0), "{screen}");
    assert_eq!(circle.fay("status", &[])[0]["role"], "member");
    // A program means what it types.
    circle.by(&kim, "role", &["Fay", "facilitator"]);
    circle.by(&kim, "role", &["Kim", "observer"]);
}

#[test]
fn shown_ids_and_times_are_taken() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    circle.say(&circle.fay, "One");
    let mut chat = enter(&circle, &circle.fay);
    chat.type_line("/read --all");
    let line = chat.await_line("the message", |line| line.contains("Fay: One"));
    let id = line.trim_end().rsplit(' ').next().unwrap().to_owned();
    assert!(id.starts_with('[') && id.ends_with(']'), "{line}");
    answers(
        &mut chat,
        &[
            (&format!("/pin {id}"), "pinned the message"),
            (&format!("/unpin {id}"), "unpinned the message"),
            (&format!("/retract {id}"), "took back the message"),
            ("/invite --expires 2 days --uses 3", "hearth://"),
        ],
    );
    quit(chat);
    let made = circle.fay("invite", &["--expires", "1", "hour", "and", "5", "minutes"]);
    assert!(made[0]["link"].is_string());
    let slip = circle.fay.run(&["invite", &circle.room, "--expires", "2", "Stunden"]);
    assert_eq!(slip.code, Some(2), "{slip:?}");
    circle.fay("close", &[]);
    circle.news(&ben);
    ben.run(&["send", &circle.room, "waits"]).failed(3, "closed");
    let shown = ben.sees(&["outbox", &circle.room]).stdout;
    let id = shown.split(' ').next().unwrap();
    assert!(id.starts_with('['), "{shown}");
    for none in ["", "[]", "[ ]"] {
        ben.run(&["outbox", &circle.room, "--drop", none]).refused(2, "no_such_message");
    }
    ben.run(&["outbox", &circle.room, "--send", id]).refused(3, "closed");
    assert_eq!(circle.by(&ben, "outbox", &["--drop", id])[0]["dropped"], true);
}

#[test]
fn exported_log_overwrites_nothing() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("log");
    let path = file.to_str().unwrap();
    circle.fay("log", &["--export", path]);
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    fs::write(&file, "mine").unwrap();
    let refused = circle.fay.run(&["log", &circle.room, "--export", path]);
    let object = refused.refused(1, "not_written");
    assert!(object["message"].as_str().unwrap().contains("there already"), "{object}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    let nowhere = folder.path().join("none/log");
    let args = ["log", &circle.room, "--export", nowhere.to_str().unwrap()];
    circle.fay.run(&args).refused(1, "not_written");
}

#[test]
fn empty_passphrase_file_is_named() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let room = circle.room.as_str();
    for text in ["", "\n", "  \nsecond line"] {
        let file = text_file(text);
        let path = file.path().to_str().unwrap();
        for args in [
            ["--passphrase-file", path, "read", room].as_slice(),
            &["profile", "passphrase", "--new-passphrase-file", path],
        ] {
            let refused = circle.fay.run(args);
            let object = refused.refused(2, "passphrase_file_empty");
            assert!(object["message"].as_str().unwrap().contains(path), "{object}");
        }
    }
}

/// The relay is restored from an older copy while the chat is open.
#[test]
fn chat_says_why_nothing_goes() {
    let mut relay = Relay::start();
    let circle = Circle::open(&relay);
    relay.stop();
    let saved = tempfile::tempdir().unwrap();
    let copy = |from: &std::path::Path, to: &std::path::Path| {
        for entry in fs::read_dir(from).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_file() {
                fs::copy(&entry, to.join(entry.file_name().unwrap())).unwrap();
            }
        }
    };
    copy(relay.data(), saved.path());
    relay.restart();
    circle.say(&circle.fay, "After the backup");
    let mut chat = enter(&circle, &circle.fay);
    relay.stop();
    chat.await_line("the loss", |line| line.contains("what you write meanwhile is kept"));
    answers(&mut chat, &[("/knocks", "the relay cannot be reached now")]);
    for entry in fs::read_dir(relay.data()).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_file() {
            fs::remove_file(entry).unwrap();
        }
    }
    copy(saved.path(), relay.data());
    relay.restart();
    chat.await_line("what is wrong", |line| line.contains("Trying again from time to time"));
    answers(&mut chat, &[("/status", "not up to date: history went backwards")]);
    for line in ["/pause 5m", "/pause 400d", "/remove Nobody --reason conduct"] {
        chat.type_line(line);
        let answer = chat.await_line("why", |line| line.contains("nothing was done"));
        assert!(answer.contains("backwards") && answer.contains("/quit"), "{answer}");
        assert!(!answer.contains("reached"), "{answer}");
    }
    quit(chat);
}

#[test]
fn plain_terminal_names_no_key() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    for (term, names) in [("dumb", false), ("xterm", true)] {
        let mut chat = AtTerminal::start(&circle.fay, term, &["chat", &circle.room]);
        chat.await_words("/quit ends");
        chat.types("pause 10m\r\n");
        chat.await_words("enter the same again");
        wait_until("the end of the remark", || chat.sees("the Up key brings it") == names);
        chat.types("/quit\r\n");
        let (_, screen) = chat.ends();
        assert_eq!(unwrapped(&screen).contains("Up key"), names, "{screen}");
    }
}

#[test]
fn chat_breaks_between_words() {
    const WORDS: &str = "I could not say on Tuesday what I wanted to say to everybody, because my \
        voice went away, and somebody had to hold my hand for a long time.";
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    circle.say(&circle.fay, WORDS);
    for columns in [40, 80] {
        let args = ["chat", &circle.room];
        let mut chat = AtTerminal::start_with(&circle.fay, "xterm", &args, columns);
        chat.await_words("/quit ends");
        chat.await_words(WORDS);
        chat.types("/invite\r");
        chat.await_words("hearth://");
        chat.types("/quit\r");
        let (_, screen) = chat.ends();
        for line in screen.split("\r\n") {
            let line = line.rsplit('\r').next().unwrap().replace("\x1b[K", "");
            let fits = line.chars().count() <= usize::from(columns);
            // A link stays whole, so that it can be copied.
            assert!(fits || line.starts_with("hearth://"), "{columns}: {line:?}");
        }
        // A line that is not edited goes to a screen reader or a file.
        let mut chat = AtTerminal::start_with(&circle.fay, "dumb", &args, columns);
        chat.await_words("/quit ends");
        wait_until("the whole line", || chat.screen().contains(WORDS));
        chat.types("/quit\r");
        chat.ends();
    }
}
