//! The bell of a chat: it rings for who is called, and has no words.

use std::time::{SystemTime, UNIX_EPOCH};

use hearth_kit::{AtTerminal, Circle, Person, Relay};

use super::id_of;

/// Opens a chat at a terminal, and waits until it is there.
fn enter(circle: &Circle, person: &Person, term: &str) -> AtTerminal {
    let mut chat = AtTerminal::start_with(person, term, &["chat", &circle.room], 200);
    chat.await_words("/quit ends");
    chat.types("/status\r");
    chat.await_words("; agreement version");
    chat
}

fn rings(chat: &AtTerminal) -> usize {
    chat.screen().matches('\u{7}').count()
}

fn quits(mut chat: AtTerminal) -> usize {
    chat.types("/quit\r");
    let (status, screen) = chat.ends();
    assert_eq!(status.code(), Some(0), "{screen}");
    screen.matches('\u{7}').count()
}

/// One bell for several calls within ten seconds; none for words that call nobody, and none for what was there before.
#[test]
fn bell_rings_for_a_mention() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    circle.say(&circle.fay, "@Ben before the chat");
    let chat = enter(&circle, &ben, "xterm");
    circle.say(&circle.fay, "Ben, @Benny and me@ben.example");
    chat.await_words("me@ben.example");
    assert_eq!(rings(&chat), 0, "{}", chat.screen());
    circle.say(&circle.fay, "@ben: are you there?");
    circle.say(&circle.fay, "And @Ben again");
    chat.await_words("And @Ben again");
    assert_eq!(quits(chat), 1);
}

#[test]
fn bell_rings_for_answer_and_turn() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    circle.say(&ben, "A question");
    let id = id_of(&circle.history(&ben), "A question");
    let chat = enter(&circle, &ben, "xterm");
    circle.fay("reply", &[&id, "An answer"]);
    chat.await_words("An answer");
    assert_eq!(quits(chat), 1);
    let chat = enter(&circle, &ben, "xterm");
    circle.fay("call", &["Ben"]);
    chat.await_words("It is your turn");
    assert_eq!(quits(chat), 1);
}

/// A person who types what hearth rings for can be spared it: by hours, for good, or by a screen reader.
#[test]
fn bell_is_silent_when_unwanted() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    let called = |words: &str, term: &str| {
        let chat = enter(&circle, &ben, term);
        circle.say(&circle.fay, words);
        chat.await_words(words);
        quits(chat)
    };
    assert_eq!(called("@Ben one", "dumb"), 0);
    let hour = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() / 3600 % 24;
    let hours = format!("{}-{}", (hour + 23) % 24, (hour + 3) % 24);
    circle.by(&ben, "quiet", &[&hours]);
    assert_eq!(called("@Ben two", "xterm"), 0);
    circle.by(&ben, "quiet", &["off"]);
    circle.by(&ben, "bell", &["off"]);
    assert_eq!(called("@Ben three", "xterm"), 0);
    circle.by(&ben, "bell", &["on"]);
    assert_eq!(called("@Ben four", "dumb"), 1);
    ben.run(&["quiet", &circle.room, "at night"]).failed(2, "usage");
}

/// Words of a muted member call nobody, and nobody who is away is called.
#[test]
fn bell_heeds_mute_and_away() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let (ben, eli) = (circle.admit("Ben"), circle.admit("Eli"));
    circle.by(&ben, "mute", &["Eli"]);
    let mut chat = enter(&circle, &ben, "xterm");
    circle.say(&eli, "@Ben!");
    circle.say(&circle.fay, "the next line");
    chat.await_words("the next line");
    chat.types("/away\r");
    chat.await_words("You are away");
    circle.say(&circle.fay, "@Ben?");
    chat.await_words("1 line waits");
    assert_eq!(quits(chat), 0);
}
