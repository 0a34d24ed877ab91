//! The client at a terminal, a pipe and a signal: whatever ends it, the terminal is as it was and the words are kept.

use std::{
    fs::File,
    net::TcpListener,
    process::{Child, Command, Stdio},
    time::Instant,
};

use hearth_kit::{AtTerminal, Circle, Person, Relay, RelayOptions, end_of, wait_until};
use rustix::process::{Pid, Signal, kill_process};

/// Runs a command that prints little; returns its exit code and all it said.
fn run(command: &mut Command, output: Stdio) -> (Option<i32>, String) {
    command.stdin(Stdio::null()).stdout(output).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let code = end_of(&mut child).code();
    let ended = child.wait_with_output().unwrap();
    (code, String::from_utf8([ended.stdout, ended.stderr].concat()).unwrap())
}

const SIGNALS: [Signal; 3] = [Signal::INT, Signal::TERM, Signal::HUP];

#[test]
fn a_signal_ends_a_chat_and_restores_the_terminal() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    for (number, signal) in SIGNALS.into_iter().enumerate() {
        let mut chat = AtTerminal::start(&circle.fay, "xterm", &["chat", &circle.room]);
        chat.await_words("/quit ends");
        wait_until("single keys", || chat.is_changed());
        chat.types(&format!("words {number}\r"));
        chat.await_words(&format!("Fay: words {number}"));
        chat.types("half a li");
        chat.await_words("half a li");
        chat.signal(signal);
        let (status, screen) = chat.ends();
        assert_eq!(status.code(), Some(0), "{screen}");
        assert!(!screen.contains("panicked"), "{screen}");
    }
    let said = circle.history(&circle.fay);
    assert_eq!(said.iter().filter(|row| row["kind"] == "text").count(), SIGNALS.len());
    assert!(!said.iter().any(|row| row["text"] == "half a li"));
}

/// The relay takes connections and says nothing: as one that hangs, or a network that swallows.
#[test]
fn a_signal_while_connecting_restores_the_terminal() {
    let mut relay = Relay::start();
    let circle = Circle::open(&relay);
    relay.stop();
    let silent = TcpListener::bind(relay.address()).unwrap();
    silent.set_nonblocking(true).unwrap();
    for signal in SIGNALS {
        let chat = AtTerminal::start(&circle.fay, "xterm", &["chat", &circle.room]);
        let mut connection = None;
        wait_until("a connection", || {
            connection = silent.accept().ok();
            connection.is_some()
        });
        wait_until("single keys", || chat.is_changed());
        chat.signal(signal);
        let begun = Instant::now();
        let (status, screen) = chat.ends();
        assert_eq!(status.code(), Some(0), "{screen}");
        assert!(begun.elapsed().as_secs() < 5, "it waited for the relay");
        drop(connection);
    }
}

/// What a shell shows for a process that a signal ended.
fn ended_by(signal: Signal) -> i32 {
    128 + signal.as_raw()
}

fn locked() -> (tempfile::NamedTempFile, Person) {
    let file = hearth_kit::text_file("correct horse\n");
    let person = Person::new().with_flags(&["--passphrase-file", file.path().to_str().unwrap()]);
    (file, person)
}

/// The echo is off then: without it a person would type blindly ever after.
#[test]
fn a_signal_while_a_passphrase_is_asked_for_restores_the_terminal() {
    let relay = Relay::start();
    let (_file, fay) = locked();
    let circle = Circle::open_as(&relay, fay);
    for signal in SIGNALS {
        for args in [["room", "list"], ["chat", &circle.room], ["profile", "passphrase"]] {
            let prompt = AtTerminal::start(&circle.fay, "xterm", &args);
            prompt.await_words("Passphrase: ");
            assert!(prompt.is_changed());
            prompt.signal(signal);
            let (status, screen) = prompt.ends();
            assert_eq!(status.code(), Some(ended_by(signal)), "{args:?}: {screen}");
            assert_eq!(screen.trim_end(), "Passphrase:", "{args:?}");
        }
    }
    // Nothing was changed: the passphrase still opens it.
    assert_eq!(circle.fay.does(&["profile", "check"])[0]["ok"], true);
}

/// A new passphrase is typed twice. After the first time it is known, and shown to nobody.
#[test]
fn a_signal_between_two_passphrases_shows_and_makes_nothing() {
    let (relay, agreement) = (Relay::start(), hearth_kit::text_file(hearth_kit::AGREEMENT));
    let grant = relay.grant();
    for signal in SIGNALS {
        let new = Person::new();
        let path = agreement.path().to_str().unwrap();
        let args = ["room", "create", "Evening", "--grant", &grant, "--agreement", path];
        let args = [&args[..], &["--as", "Fay"]].concat();
        let mut prompt = AtTerminal::start(&new, "xterm", &args);
        prompt.await_words("key file beside the profile): ");
        assert!(prompt.is_changed());
        prompt.types("hunter222\r");
        prompt.await_words("The same again: ");
        wait_until("no echo", || prompt.is_changed());
        prompt.types("hunter222");
        prompt.signal(signal);
        let (status, screen) = prompt.ends();
        assert_eq!(status.code(), Some(ended_by(signal)), "{screen}");
        assert!(!screen.contains("hunter") && !screen.contains("panicked"), "{screen}");
        assert!(!new.home().exists(), "a profile was made");
    }
}

/// Who was asked for a passphrase can end what follows as ever: a chat in order, anything else at once.
#[test]
fn a_signal_after_a_passphrase_ends_what_was_begun_with_it() {
    let mut relay = Relay::start();
    let (_file, fay) = locked();
    let circle = Circle::open_as(&relay, fay);
    relay.stop();
    let silent = TcpListener::bind(relay.address()).unwrap();
    silent.set_nonblocking(true).unwrap();
    for signal in SIGNALS {
        for (command, code) in [("read", ended_by(signal)), ("follow", 0), ("chat", 0)] {
            let mut prompt = AtTerminal::start(&circle.fay, "xterm", &[command, &circle.room]);
            prompt.await_words("Passphrase: ");
            prompt.types("correct horse\r");
            let mut connection = None;
            wait_until("a connection", || {
                connection = silent.accept().ok();
                connection.is_some()
            });
            prompt.signal(signal);
            let begun = Instant::now();
            let (status, screen) = prompt.ends();
            assert_eq!(status.code(), Some(code), "{command}: {screen}");
            assert!(begun.elapsed().as_secs() < 5, "{command} waited for the relay");
            assert!(!screen.contains("horse"), "{screen}");
            drop(connection);
        }
    }
}

/// Stopped by a signal while the relay does not answer: the words are on the device, and go out once. So are those that were
/// entered behind them; a command is not done unseen.
#[test]
fn a_signal_in_the_middle_of_sending_keeps_the_words() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let mut said = Vec::new();
    for (number, signal) in SIGNALS.into_iter().enumerate() {
        let mut chat = AtTerminal::start(&circle.fay, "xterm", &["chat", &circle.room]);
        chat.await_words("/quit ends");
        chat.types(&format!("before {number}\r"));
        chat.await_words(&format!("Fay: before {number}"));
        relay.signal(Signal::STOP);
        chat.types(&format!("kept {number}\rahead {number}\r/pause 5m\rbehind {number}\rhalf a"));
        // Everything before it was entered.
        chat.await_words("> half a");
        chat.signal(signal);
        let begun = Instant::now();
        let (status, screen) = chat.ends();
        relay.signal(Signal::CONT);
        assert_eq!(status.code(), Some(0), "{screen}");
        assert!(begun.elapsed().as_secs() < 5, "it waited for the relay");
        assert!(screen.contains("-- what you typed last is kept"), "{screen}");
        assert!(screen.contains("1 line of what you typed last went nowhere"), "{screen}");
        said.extend(["before", "kept", "ahead", "behind"].map(|word| format!("{word} {number}")));
    }
    circle.news(&circle.fay);
    assert!(circle.by(&circle.fay, "outbox", &[]).is_empty());
    let history = circle.history(&circle.fay);
    let texts: Vec<_> = history.iter().filter_map(|row| row["text"].as_str()).collect();
    assert_eq!(texts, said, "{history:?}");
    assert!(!history.iter().any(|row| row["kind"] == "notice"), "{history:?}");
}

/// `send` has nothing to clean up: a signal ends it at once, and what was in its outbox goes out later, once.
#[test]
fn a_send_that_is_stopped_ended_or_suspended_loses_and_doubles_nothing() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let stopped = |child: &Child| {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
        stat.rsplit(')').next().unwrap().trim().starts_with('T')
    };
    let log = circle.fay.home().join("hearth.db");
    let start = |text: &str| {
        let mut command = Person::bare();
        command.arg("--home").arg(circle.fay.home()).args(["send", &circle.room, text]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    for signal in SIGNALS {
        relay.signal(Signal::STOP);
        let seen = || {
            ["", "-wal"].map(|end| {
                let path = format!("{}{end}", log.display());
                std::fs::metadata(path).ok().map(|m| (m.len(), m.modified().unwrap()))
            })
        };
        let earlier = seen();
        let mut sending = start("ended");
        wait_until("something on disk", || seen() != earlier);
        kill_process(Pid::from_child(&sending), signal).unwrap();
        assert!(!end_of(&mut sending).success());
        relay.signal(Signal::CONT);
    }
    let kept = circle.by(&circle.fay, "outbox", &[]).len();
    // Suspended, and the relay meanwhile goes on without it.
    let mut sending = start("suspended");
    kill_process(Pid::from_child(&sending), Signal::TSTP).unwrap();
    wait_until("the suspension", || stopped(&sending) || sending.try_wait().unwrap().is_some());
    circle.fay.run(&["read", &circle.room]).code.unwrap();
    kill_process(Pid::from_child(&sending), Signal::CONT).unwrap();
    assert!(end_of(&mut sending).success());
    circle.say(&circle.fay, "last");
    assert!(circle.by(&circle.fay, "outbox", &[]).is_empty());
    let said = circle.history(&circle.fay);
    let count = |text: &str| said.iter().filter(|row| row["text"] == text).count();
    assert_eq!((count("suspended"), count("last")), (1, 1), "{said:?}");
    assert_eq!(count("ended"), kept, "{said:?}");
    assert!(!said.iter().any(|row| row["kind"] == "notice"), "{said:?}");
    assert_eq!(circle.fay.does(&["profile", "check"])[0]["ok"], true);
}

#[test]
fn a_terminal_that_can_do_nothing_is_spoken_to_plainly() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let mut chat = AtTerminal::start(&circle.fay, "dumb", &["chat", &circle.room]);
    chat.await_words("/quit ends");
    assert!(!chat.is_changed());
    chat.types("plain words\n");
    chat.await_words("Fay: plain words");
    chat.types("/quit\n");
    let (status, screen) = chat.ends();
    assert_eq!(status.code(), Some(0));
    assert!(!screen.contains('\u{1b}'), "{screen:?}");
}

/// A pipe that nobody reads (`| head -1`), and a full disk (`> file`).
#[test]
fn an_output_that_is_closed_is_said_and_repeats_nothing() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    circle.say(&circle.fay, "first");
    let closed = || {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        Stdio::from(writer)
    };
    let full = || Stdio::from(File::options().write(true).open("/dev/full").unwrap());
    let room = circle.room.as_str();
    let commands = [
        vec!["send", room, "said once"],
        vec!["read", room, "--all"],
        vec!["who", room],
        vec!["follow", room],
        vec!["room", "list"],
        vec!["agreement", "template"],
        vec!["completions", "bash"],
    ];
    for output in [&closed as &dyn Fn() -> Stdio, &full] {
        for args in &commands {
            for json in [false, true] {
                let mut command = Person::bare();
                command.arg("--home").arg(circle.fay.home()).args(json.then_some("--json"));
                let (code, said) = run(command.args(args), output());
                assert_eq!(code, Some(1), "{args:?}: {said}");
                assert_eq!(said.lines().count(), 2, "{args:?}: {said}");
                assert!(said.starts_with("hearth: standard output cannot be written to"), "{said}");
                assert!(said.contains("do not send it again"), "{said}");
            }
        }
    }
    // It was said as often as it was asked for, and waits nowhere.
    assert!(circle.by(&circle.fay, "outbox", &[]).is_empty());
    let said = circle.history(&circle.fay);
    assert_eq!(said.iter().filter(|row| row["text"] == "said once").count(), 4);
}

#[test]
fn what_is_too_long_or_no_text_is_refused_line_by_line() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let mut chat = circle.fay.starts_plainly(&["chat", &circle.room]);
    let mut pasted = vec![b'a'; 1_000_000];
    pasted.extend(b"\na\0b\nno \xff text\n\x1b]52;c;aGk=\x07\ngood\n/quit\n");
    chat.type_bytes(&pasted);
    let ended = chat.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    for words in ["longer than 64 KiB", "U+0000", "not valid UTF-8", "U+001B", "Fay: good"] {
        assert!(ended.stdout.contains(words), "{words}: {}", ended.stdout);
    }
    assert!(ended.stdout.len() < 4096, "it is not thrown back: {}", ended.stdout.len());
    assert!(!ended.stdout.contains('\u{1b}'));
    for input in [vec![b'a'; 1_000_000], b"a\0b".to_vec(), b"\x1b]52;c;aGk=\x07".to_vec()] {
        circle.fay.run_with_input(&["send", &circle.room, "-"], &input).refused(2, "bad_text");
    }
    let said = circle.history(&circle.fay);
    let texts: Vec<_> = said.iter().filter(|row| row["kind"] == "text").collect();
    assert_eq!(texts.len(), 1, "{texts:?}");
}

/// Secrets go into files or a prompt. What a person typed in the wrong place is not repeated where it may be kept.
#[test]
fn secrets_in_the_wrong_place_are_refused_and_not_repeated() {
    const SECRET: &str = "hunter2-the-passphrase";
    let relay = Relay::start_with(RelayOptions::default());
    let locked = hearth_kit::text_file(&format!("{SECRET}\n"));
    let flags = ["--passphrase-file", locked.path().to_str().unwrap()];
    let circle = Circle::open_as(&relay, Person::new().with_flags(&flags));
    let link = circle.invite(&[]);
    let secret = link.split_once('#').unwrap().1;
    let run = |command: &mut Command| run(command, Stdio::piped());
    let home = circle.fay.home().to_str().unwrap();
    let phrase = format!("--passphrase={SECRET}");
    let cases = [
        vec!["--passphrase", SECRET, "room", "list"],
        vec![&phrase, "room", "list"],
        vec![&link],
        vec!["join", "--as", "Ben", "x", &link],
        vec!["invite", "room", "--uses", &link],
        vec!["lock", "room", &link],
        vec!["--json", &link],
    ];
    for args in cases {
        let (code, said) = run(Person::bare().args(["--home", home]).args(&args));
        assert_eq!(code, Some(2), "{args:?}: {said}");
        assert!(!said.contains(SECRET) && !said.contains(secret), "{args:?}: {said}");
    }
    // A passphrase in the environment would be every child's: it opens nothing.
    let mut command = Person::bare();
    command.args(["--home", home, "--json", "room", "list"]).env("HEARTH_PASSPHRASE", SECRET);
    let (code, said) = run(&mut command);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("passphrase_needed") && !said.contains(SECRET), "{said}");
    // A link that leads nowhere is not repeated either.
    let damaged = format!("{}x", &link[..link.len() - 1]);
    for bad in [damaged.as_str(), &link[..link.len() - 9]] {
        let (code, said) = run(Person::bare().args(["--home", home, "burn-invite", bad]));
        assert_eq!(code, Some(3), "{said}");
        assert!(!said.contains(&secret[..40]), "{said}");
    }
}
