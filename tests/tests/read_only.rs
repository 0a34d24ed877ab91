//! A disk that turns read-only while it is used: nothing is promised that is not kept, and whoever it happens to is told.
//!
//! Needs the right to mount an ext4 of its own, or strace; says so and passes where there is neither.

use hearth_kit::{
    Circle, Person, Relay, RelayOptions, Running,
    fault::{
        read_only::FragileDisk,
        trace::{self, Meanwhile},
    },
    until,
};
use serde_json::Value;

fn texts(rows: &[Value]) -> Vec<&str> {
    let text = |row: &&Value| row["kind"] == "text";
    rows.iter().filter(text).map(|row| row["text"].as_str().unwrap()).collect()
}

/// What a relay's log says to whoever has to do something.
fn complaints(logs: &str) -> Vec<&str> {
    logs.lines().filter(|line| line.contains(" ERROR ")).collect()
}

/// Checks that both have the same texts, and were warned of nothing.
fn both_have(circle: &Circle, ben: &Person, said: &[&str]) {
    for who in [ben, &circle.fay] {
        let history = circle.history(who);
        assert_eq!(texts(&history), said);
        assert!(history.iter().all(|row| row["kind"] != "notice"), "{history:?}");
    }
}

/// Sends what the relay cannot store; reading goes on.
fn refused(relay: &mut Relay, circle: &Circle, ben: &Person, earlier: &str) {
    for text in ["one", "two", "three"] {
        let answer = ben.run(&["send", &circle.room, text]);
        assert_eq!(answer.refused(4, "store_unavailable")["kept"], true);
    }
    assert!(relay.page("/healthz").contains("200 OK"));
    assert!(relay.page("/readyz").contains("503"));
    assert_eq!(texts(&circle.news(&circle.fay)), [earlier]);
    let logs = relay.logs();
    let [once] = complaints(&logs)[..] else { panic!("{:?}", complaints(&logs)) };
    assert!(once.contains("nothing can be stored") && once.contains("read-only"), "{once}");
}

fn recovers(circle: &Circle, ben: &Person) {
    until("the relay to recover", || {
        let answer = ben.run(&["read", &circle.room]);
        (answer.code == Some(0) && circle.by(ben, "outbox", &[]).is_empty()).then_some(())
    });
    circle.news(&circle.fay);
}

#[test]
fn a_relay_whose_disk_turns_read_only_acknowledges_nothing_and_says_so_once() {
    let Some(disk) = FragileDisk::new() else { return };
    let data = Some(disk.join("relay"));
    let mut relay = Relay::start_with(RelayOptions { data, ..RelayOptions::default() });
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    circle.say(&ben, "before");
    disk.turn_read_only();
    refused(&mut relay, &circle, &ben, "before");
    assert_eq!(relay.stop(), Some(0));
    assert_eq!(complaints(&relay.logs()).len(), 1);
    // Nor does it start, and it says what is the matter.
    let ended = relay.try_restart().unwrap_err();
    assert_eq!(ended.code, Some(1));
    let lines: Vec<_> = ended.stderr.lines().collect();
    let [what, advice] = lines[..] else { panic!("{ended:?}") };
    assert!(what.starts_with("hearthd: ") && what.contains("the disk is read-only"), "{ended:?}");
    assert!(advice.starts_with("try: ") && advice.contains("disk"), "{ended:?}");
    disk.repair();
    relay.restart();
    recovers(&circle, &ben);
    both_have(&circle, &ben, &["before", "one", "two", "three"]);
}

/// The same where a disk can be written to again while the relay runs: it goes on by itself.
#[test]
fn a_relay_whose_disk_was_read_only_goes_on_by_itself() {
    if !trace::possible() {
        return;
    }
    let mut relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    circle.say(&ben, "before");
    let meanwhile = Meanwhile::failing(relay.pid(), "EROFS");
    refused(&mut relay, &circle, &ben, "before");
    drop(meanwhile);
    recovers(&circle, &ben);
    assert!(relay.page("/readyz").contains("200 OK"));
    assert!(relay.logs().contains("the store takes entries again"));
    both_have(&circle, &ben, &["before", "one", "two", "three"]);
}

/// Opens a chat in which something was said, and which has nothing more to write.
fn open_chat(circle: &Circle, ben: &Person, text: &str) -> Running {
    let mut chat = ben.starts_plainly(&["chat", &circle.room]);
    chat.type_line(text);
    chat.await_line("it", |line| line.contains(&format!("Ben: {text}")));
    // It answers in order.
    chat.type_line("/who");
    chat.await_line("an answer", |line| line.contains("Ben (you)"));
    chat
}

/// Types what cannot be written down; the chat says so and goes on.
fn is_not_sent(chat: &mut Running, text: &str) {
    chat.type_line(text);
    let told = chat.await_line("what became of it", |line| line.starts_with("-- the disk fails"));
    assert!(told.contains("; nothing was sent."), "{told}");
    assert!(told.contains("read-only") && told.contains("send it again"), "{told}");
}

#[test]
fn a_member_whose_disk_turns_read_only_is_told_what_was_not_sent_and_loses_nothing() {
    let Some(disk) = FragileDisk::new() else { return };
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = Person::at(disk.join("home"));
    circle.admit_person(&ben, "Ben");
    circle.say(&ben, "before");
    let mut chat = open_chat(&circle, &ben, "in a chat");
    disk.turn_read_only();
    is_not_sent(&mut chat, "not sent");
    chat.type_line("/quit");
    let ended = chat.wait_open();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(!ended.stdout.contains("Ben: not sent"), "{ended:?}");
    let unsent = || {
        let answer = ben.run(&["send", &circle.room, "not sent"]);
        let object = answer.refused(1, "read_only");
        assert!(object["message"].as_str().unwrap().ends_with("; nothing was sent"), "{answer:?}");
        assert!(object["try"].as_str().unwrap().contains("writable"), "{answer:?}");
        ben.run(&["read", &circle.room]).refused(1, "read_only");
    };
    unsent();
    disk.repair();
    // Mounted so by an administrator, between two commands.
    disk.remount(true);
    unsent();
    disk.remount(false);
    assert_eq!(ben.does(&["profile", "check"])[0]["ok"], true);
    assert!(circle.by(&ben, "outbox", &[]).is_empty());
    circle.say(&ben, "after");
    circle.news(&circle.fay);
    both_have(&circle, &ben, &["before", "in a chat", "after"]);
}

/// Nothing is said twice either, by whoever does as they are told and sends it again.
#[test]
fn a_chat_whose_disk_was_read_only_for_a_while_sends_what_is_sent_again_once() {
    if !trace::possible() {
        return;
    }
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    let mut chat = open_chat(&circle, &ben, "before");
    let meanwhile = Meanwhile::failing(chat.pid(), "EROFS");
    is_not_sent(&mut chat, "again");
    is_not_sent(&mut chat, "again");
    drop(meanwhile);
    chat.type_line("again");
    chat.await_line("it", |line| line.contains("Ben: again"));
    chat.type_line("/quit");
    assert_eq!(chat.wait_open().code, Some(0));
    assert!(circle.by(&ben, "outbox", &[]).is_empty());
    circle.news(&circle.fay);
    both_have(&circle, &ben, &["before", "again"]);
}
