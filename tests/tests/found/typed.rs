//! What is typed where nobody waits for it, and commands that can be run as they are advised.

use hearth_kit::{AtTerminal, Circle, Person, Relay, text_file, unwrapped, wait_until};
use serde_json::Value;

use super::keyboard::{texts, with_long_agreement};

/// A person whose profile is named on the command line is told commands that find it.
#[test]
fn advice_repeats_the_home() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("my files");
    let typed = format!("--home \"{}\"", home.display());
    let (ben, link) = (Person::at(home.to_str().unwrap()), circle.invite(&[]));
    let at_home = |args: &[&str]| -> Vec<String> {
        let flags = ["--home", home.to_str().unwrap()];
        flags.iter().chain(args).map(|word| (*word).to_owned()).collect()
    };
    let elsewhere = Person::new();
    let run = |args: &[&str]| elsewhere.sees(&at_home(args));
    let made =
        run(&["join", &link, "--as", "Ben", "--acknowledge", &circle.agreement, "--no-wait"]);
    assert_eq!(made.code, Some(0), "{made:?}");
    assert!(made.stderr.contains(&format!("`hearth {typed} profile passphrase`")), "{made:?}");
    circle.fay("admit", &["Ben"]);
    let join = at_home(&["join", &link]);
    let join: Vec<&str> = join.iter().map(String::as_str).collect();
    let (status, screen) = AtTerminal::start_with(&elsewhere, "xterm", &join, 200).ends();
    assert_eq!(status.code(), Some(0), "{screen}");
    assert!(screen.contains(&format!("\n  hearth {typed} chat {}\r\n", circle.room)), "{screen}");
    let refused = run(&["mute", &circle.room, "Nobody"]);
    let advice = format!("`hearth {typed} who {}`", circle.room);
    assert!(refused.stderr.contains(&advice), "{refused:?}");
    // Also what another program did.
    let mut chat = ben.starts_plainly(&["chat", &circle.room]);
    chat.type_line("/status");
    chat.await_line("the room's state", |line| line.contains("; agreement version"));
    let refused = run(&["mute", &circle.room, "Nobody"]);
    assert!(refused.stderr.contains(&advice), "{refused:?}");
    chat.type_line("/quit");
    assert_eq!(chat.wait_open().code, Some(0));
}

/// The terminal keeps a line until Enter; the lock takes it from there, and the next chat shows it.
#[test]
fn plain_lock_keeps_draft() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let args = ["chat", &circle.room, "--lock-after", "1s"];
    let mut chat = AtTerminal::start_with(&circle.fay, "dumb", &args, 200);
    chat.await_words("/quit ends");
    chat.types("I was about to");
    chat.await_words("-- locked");
    chat.await_words("kept for the next chat");
    chat.types(" tell it\r");
    wait_until("the question", || chat.screen().matches("Press Enter alone").count() > 1);
    chat.types("\r");
    assert_eq!(chat.ends().0.code(), Some(0));
    assert!(texts(&circle.history(&circle.fay)).is_empty());
    let mut again = AtTerminal::start_with(&circle.fay, "dumb", &["chat", &circle.room], 200);
    again.await_words("was not sent; copy it from here: I was about to");
    again.types("/quit\r");
    assert_eq!(again.ends().0.code(), Some(0));
    // It is told once.
    let mut chat = AtTerminal::start_with(&circle.fay, "dumb", &["chat", &circle.room], 200);
    chat.await_words("/quit ends");
    chat.types("/quit\r");
    assert!(!chat.ends().1.contains("copy it from here"));
}

/// A person who types on is not locked out, and every word is said.
#[test]
fn plain_typing_puts_lock_off() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let args = ["chat", &circle.room, "--lock-after", "2s"];
    let mut chat = AtTerminal::start_with(&circle.fay, "dumb", &args, 200);
    chat.await_words("/quit ends");
    let begun = std::time::Instant::now();
    let mut words = String::new();
    while begun.elapsed() < std::time::Duration::from_secs(7) {
        words.push('x');
        chat.types("x");
        wait_until("the key", || chat.screen().matches('x').count() >= words.len());
        // A person's pace: the terminal holds a line of 4 KiB.
        let pressed = std::time::Instant::now();
        wait_until("the next key", || pressed.elapsed() > std::time::Duration::from_millis(150));
    }
    assert!(chat.sees("Backspace no longer reaches"), "{}", chat.screen());
    assert!(!chat.sees("-- locked"), "{}", chat.screen());
    chat.types("\r");
    chat.await_words(&format!("Fay: {words}"));
    chat.await_words("-- locked");
    chat.types("\r");
    assert_eq!(chat.ends().0.code(), Some(0));
}

#[test]
fn taken_name_needs_new_invite() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let other = Person::new();
    circle.knock(&other, "Fay");
    let refused = circle.fay.sees(&["admit", &circle.room, "Fay"]);
    assert!(refused.stderr.contains("new invite"), "{refused:?}");
    let knocks = circle.fay.sees(&["knocks", &circle.room]).stdout;
    assert!(knocks.contains("give them a new invite"), "{knocks}");
    circle.fay("decline", &["Fay", "That name is taken"]);
    let told = other.sees(&["read", &circle.room]).stderr;
    assert!(told.contains("That name is taken") && told.contains("for a new one"), "{told}");
}

/// Words that are typed where a text goes on are not said by a slip, and not lost.
#[test]
fn words_at_pages_are_asked_about() {
    let relay = Relay::start();
    let (circle, _) = with_long_agreement(&relay);
    let args = ["chat", &circle.room];
    let mut chat = AtTerminal::start_sized(&circle.fay, "xterm", &args, (80, 20));
    chat.await_words("/quit ends");
    chat.types("/agreement\r");
    chat.await_words("there is more: press Enter alone");
    chat.types("I have a question\r");
    chat.await_words("was not said to the room. To say it, enter the same again");
    chat.types("/who\r");
    chat.await_words("acknowledged version 1");
    chat.types("I have a question\r");
    chat.await_words("Fay: I have a question");
    let more = chat.screen().matches("there is more").count();
    chat.types("\r");
    wait_until("the next page", || {
        chat.screen().matches("there is more").count() > more || chat.sees("last rule")
    });
    chat.types("/quit\r");
    assert_eq!(chat.ends().0.code(), Some(0));
    assert_eq!(texts(&circle.history(&circle.fay)), ["I have a question"]);
    // At the door nothing can be said: it is told, and the page stays.
    let link = circle.invite(&[]);
    // A profile is there already, so that nothing asks for a passphrase.
    let ben = Circle::open(&relay).fay;
    let mut join = AtTerminal::start_sized(&ben, "xterm", &["join", &link], (80, 20));
    join.await_words("-- page 1 of ");
    join.types("What is this?\r");
    join.await_words("answers nothing and went nowhere");
    assert!(!join.sees("-- page 2 of"), "{}", join.screen());
    for page in 1.. {
        if join.sees("type \"I acknowledge\": ") {
            break;
        }
        let prompt = format!("-- page {} of ", page + 1);
        join.types("\r");
        wait_until("the next", || join.sees(&prompt) || join.sees("type \"I acknowledge\": "));
    }
    // One Enter too many ends nothing.
    join.types("\r");
    join.await_words("That accepts nothing yet. To stop, press Enter alone");
    let question = "type \"I acknowledge\": ";
    wait_until("the question", || unwrapped(&join.screen()).matches(question).count() > 1);
    join.types("\r");
    let (status, screen) = join.ends();
    assert_eq!(status.code(), Some(3));
    assert!(unwrapped(&screen).contains("run the same command"), "{screen}");
}

#[test]
fn retracted_words_leave_the_history() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let mut chat = AtTerminal::start(&circle.fay, "xterm", &["chat", &circle.room]);
    chat.await_words("/quit ends");
    for words in ["stays here", "what I regret"] {
        chat.types(&format!("{words}\r"));
        chat.await_words(&format!("Fay: {words}"));
    }
    let rows = circle.history(&circle.fay);
    let id = rows.iter().find(|row| row["text"] == "what I regret").unwrap()["id"].clone();
    circle.fay("retract", &[id.as_str().unwrap()]);
    chat.await_words("was taken back");
    chat.await_words("so that the words are off it");
    chat.types("\x1b[A");
    chat.types("!\r");
    chat.await_words("Fay: stays here!");
    chat.types("\x04");
    assert_eq!(chat.ends().0.code(), Some(0));
    assert!(texts(&circle.history(&circle.fay)).contains(&"stays here!"));
}

#[test]
fn second_chat_is_told_of_room() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let mut chat = circle.fay.starts_plainly(&["chat", &circle.room]);
    chat.type_line("/status");
    chat.await_line("the room's state", |line| line.contains("; agreement version"));
    let refused = circle.fay.sees(&["chat", "skills-group"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("type /room skills-group there"), "{refused:?}");
    chat.type_line("/quit");
    assert_eq!(chat.wait_open().code, Some(0));
}

/// A terminal breaks lines anywhere; a pipe and a screen reader get them whole.
#[test]
fn results_break_between_words() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let breaks = |screen: &str, columns: usize| {
        for line in screen.split("\r\n") {
            let fits = line.chars().count() <= columns;
            assert!(fits || !line.trim().contains(' '), "{columns}: {line:?}");
        }
    };
    for args in [["who", &circle.room], ["status", &circle.room], ["log", &circle.room]] {
        let (_, screen) = AtTerminal::start_with(&circle.fay, "xterm", &args, 40).ends();
        breaks(&screen, 40);
        let piped = circle.fay.sees(&args).stdout;
        let longest = piped.lines().map(|line| line.chars().count()).max();
        assert!(longest > Some(40), "{piped}");
    }
    let mut chat = circle.fay.starts_plainly(&["chat", &circle.room]);
    chat.type_line("/status");
    chat.await_line("the room's state", |line| line.contains("; agreement version"));
    let (_, screen) =
        AtTerminal::start_with(&circle.fay, "xterm", &["who", &circle.room], 40).ends();
    breaks(&screen, 40);
    chat.type_line("/quit");
    assert_eq!(chat.wait_open().code, Some(0));
}

/// A steward who has not signed learns why it is out.
#[test]
fn steward_put_out_is_told_why() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let kim = circle.admit("Kim");
    circle.fay("role", &["Kim", "facilitator"]);
    circle.news(&kim);
    let mut steward = kim.starts_plainly(&["steward", &circle.room]);
    steward.await_remark("Waiting for knocks.");
    let text = text_file("What is said here stays here, and nobody writes it down.");
    let path = text.path().to_str().unwrap();
    let amend = ["agreement", "amend", &circle.room, path, "--material", "--effective"];
    circle.fay.does(&[&amend[..], &["3d"]].concat());
    let told = steward.await_line("the amendment", |line| line.contains("version 2"));
    assert!(!told.contains("Not signed yet by: Fay"), "{told}");
    circle.fay.does(&["agreement", "withdraw", &circle.room]);
    circle.fay.does(&amend[..5]);
    let ended = steward.wait_open();
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(ended.stderr.contains("you have not said yes to the agreement yet"), "{ended:?}");
    assert!(!ended.stderr.contains("does not know you"), "{ended:?}");
}

#[test]
fn slips_of_commands_are_asked_about() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    circle.admit("Ben");
    let mut chat = circle.fay.starts_plainly(&["chat", &circle.room]);
    chat.type_line("/status");
    chat.await_line("the room's state", |line| line.contains("; agreement version"));
    for (line, command) in [
        ("\u{ff0f}pause 10m", "/pause 10m"),
        ("\\pause", "/pause"),
        ("kick Ben", "/remove Ben"),
        ("`/leave`", "/leave"),
    ] {
        chat.type_line(line);
        let told = chat.await_line("a question", |told| told.contains("was not said"));
        assert!(told.contains(&format!("Did you mean {command}?")), "{told}");
    }
    chat.type_line("\u{200b}/pause now");
    chat.await_line("the words to choose from", |line| line.starts_with("   3 "));
    chat.type_line("3");
    chat.await_line("the pause", |line| line.contains("paused the room"));
    chat.type_line("/pause off");
    let told = chat.await_line("what ends it", |line| line.contains("/resume"));
    assert!(told.contains("\"off\" is not a length of time"), "{told}");
    chat.type_line("/timeout Ben off");
    chat.await_line("what ends it", |line| line.contains("/break-end NAME"));
    chat.type_line("/quit");
    assert_eq!(chat.wait_open().code, Some(0));
    let rows: Vec<Value> = circle.history(&circle.fay);
    assert!(texts(&rows).is_empty(), "{rows:?}");
    let pause = rows.iter().find(|row| row["act"] == "pause").unwrap();
    assert!(!pause.to_string().contains("now"), "{pause}");
}
