//! The numbers open whatever is wrong, and showing them tells nobody.

use std::{fs, os::unix::fs::PermissionsExt as _};

use hearth_kit::{Person, Proxy, Relay, RelayOptions, text_file};

use super::{NO_NUMBER, numbers, open};
use crate::full_disk::SmallDisk;

const NUMBERS: [&str; 2] = ["000 Emergency", "00 116 Night line, free"];

#[test]
fn numbers_open_without_passphrase_or_network() {
    let mut relay = Relay::start();
    let circle = open(&relay);
    let secret = text_file("a long passphrase\n");
    let ben = Person::new().with_flags(&["--passphrase-file", secret.path().to_str().unwrap()]);
    circle.admit_person(&ben, "Ben");
    let locked = Person::at(ben.home());
    locked.run(&["read", &circle.room]).failed(1, "passphrase_needed");
    // While a window has the profile open.
    let mut chat = ben.starts_plainly(&["chat", &circle.room]);
    chat.await_line("the chat", |line| line.contains("you are Ben"));
    assert_eq!(numbers(&locked.run(&["help-now", &circle.room])), NUMBERS);
    drop(chat.kill());
    relay.stop();
    for args in [&["help-now"][..], &["help-now", &circle.room], &["help-now", "no-such-room"]] {
        let answer = locked.run(args);
        assert_eq!((answer.code, numbers(&answer)), (Some(0), NUMBERS.map(str::to_owned).to_vec()));
        assert_eq!(answer.lines[0]["sent"], false);
    }
    let seen = locked.sees(&["help-now"]).stdout;
    assert_eq!(
        seen,
        "000 Emergency\n00 116 Night line, free\nNothing has been sent. Nobody knows that you opened this.\n"
    );
    // One screen of a phone.
    assert!(seen.lines().count() <= 20);
}

#[test]
fn numbers_stay_after_leaving_and_wiping() {
    let relay = Relay::start();
    let circle = open(&relay);
    let (ben, cleo) = (circle.admit("Ben"), circle.admit("Cleo"));
    circle.fay("remove", &["Cleo", "--reason", "request", "Thank you for coming."]);
    cleo.run(&["read", &circle.room]);
    assert_eq!(numbers(&cleo.run(&["help-now"])), NUMBERS);
    circle.by(&ben, "leave", &[]);
    assert_eq!(numbers(&ben.run(&["help-now"])), NUMBERS);
    ben.does(&["room", "wipe", &circle.room, "--yes"]);
    assert_eq!(numbers(&ben.run(&["help-now"])), NUMBERS);
    let copy = ben.home().join("contacts");
    assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
    // It names nobody, and no room.
    let text = fs::read_to_string(&copy).unwrap();
    for word in ["Fay", "Ben", "Tuesday", "tuesday", "office", &circle.room, &circle.agreement] {
        assert!(!text.contains(word), "{word}: {text}");
    }
    ben.does(&["profile", "wipe", "--yes"]);
    assert!(!copy.exists());
    assert_eq!(ben.sees(&["help-now"]).stdout.lines().next(), Some(NO_NUMBER));
}

/// Who only knocked may need a number before anybody lets them in.
#[test]
fn knocker_has_the_numbers() {
    let relay = Relay::start();
    let circle = open(&relay);
    let ben = Person::new();
    circle.knock(&ben, "Ben");
    assert_eq!(numbers(&ben.run(&["help-now"])), NUMBERS);
    circle.fay("decline", &["Ben", "Not now"]);
    ben.run(&["read", &circle.room]);
    assert_eq!(numbers(&ben.run(&["help-now"])), NUMBERS);
}

#[test]
fn person_without_a_room_reads_whom() {
    let nobody = Person::new();
    let seen = nobody.sees(&["help-now"]);
    assert_eq!(seen.code, Some(0));
    assert_eq!(seen.stdout.lines().next(), Some(NO_NUMBER));
    assert!(!nobody.home().exists(), "no profile is made");
    let refused = nobody.run(&["help-now", "--tell", "please"]);
    let tries = refused.failed(2, "no_profile")["try"].as_str().unwrap().to_owned();
    assert!(tries.ends_with(&format!("Nobody was told. {NO_NUMBER}")), "{tries}");
}

#[test]
fn two_rooms_have_two_commands() {
    let relay = Relay::start();
    let (one, other) = (open(&relay), open(&relay));
    let ben = one.admit("Ben");
    other.admit_person(&ben, "Ben");
    let rooms = ben.does(&["room", "list"]);
    for room in &rooms {
        // In the second one, too, Ben hears that he was let in.
        ben.does(&["read", room["room"].as_str().unwrap()]);
    }
    let refused = ben.run(&["help-now", "--tell"]);
    let tries = refused.failed(2, "usage")["try"].as_str().unwrap().to_owned();
    for room in &rooms {
        let name = room["room"].as_str().unwrap();
        assert!(tries.contains(&format!("`hearth help-now {name} --tell`")), "{tries}");
    }
    let waits = ben.run(&["help-now", "--wait"]);
    assert_eq!(numbers(&waits), NUMBERS);
    waits.failed(2, "usage");
}

#[test]
fn showing_the_numbers_sends_no_byte() {
    let proxy = Proxy::new();
    let relay = Relay::start_with(RelayOptions {
        public_url: Some(proxy.address().to_string()),
        ..RelayOptions::default()
    });
    proxy.set_target(relay.address());
    let circle = open(&relay);
    let ben = circle.admit("Ben");
    let mut chat = ben.starts_plainly(&["chat", &circle.room]);
    chat.type_line("/status");
    chat.await_line("the room's state", |line| line.contains("; agreement version"));
    let before = proxy.bytes().len();
    chat.type_line("/help-now");
    chat.await_line("the numbers", |line| line.trim_end() == NUMBERS[0]);
    chat.await_line("that nothing was sent", |line| line.starts_with("Nothing has been sent."));
    chat.type_line("help");
    chat.await_line("the numbers again", |line| line.trim_end() == NUMBERS[0]);
    chat.await_line("who is there", |line| {
        line.trim_end() == "Nobody is on duty now: phoning is quicker."
    });
    ben.run(&["help-now", &circle.room]);
    assert_eq!(proxy.bytes().len(), before);
    chat.type_line("/quit");
    assert_eq!(chat.wait_open().code, Some(0));
}

#[test]
fn numbers_open_on_a_full_disk() {
    let Some(disk) = SmallDisk::mount(2048) else { return };
    let relay = Relay::start();
    let circle = open(&relay);
    let ben = Person::at(disk.path().join("home"));
    circle.admit_person(&ben, "Ben");
    let filler = disk.fill();
    assert_eq!(numbers(&ben.run(&["help-now", &circle.room])), NUMBERS);
    let told = ben.run(&["help-now", &circle.room, "--tell"]);
    assert_eq!(numbers(&told), NUMBERS);
    let tries = told.failed(1, "disk_full")["try"].as_str().unwrap().to_owned();
    assert!(tries.ends_with(" Nobody was told. Call 000 Emergency."), "{tries}");
    fs::remove_file(filler).unwrap();
    ben.does(&["help-now", &circle.room, "--tell"]);
}

#[test]
fn another_country_is_remembered() {
    let relay = Relay::start();
    let two = super::agreement();
    let other = super::HELP.replace("\"GB\"", "\"IE\"").replace("\"000\"", "\"001\"");
    let circle = hearth_kit::Circle::open_under(&relay, Person::new(), &format!("{two}{other}"));
    let ben = circle.admit("Ben");
    let first = |args: &[&str]| numbers(&ben.run(args))[0].clone();
    assert_eq!(first(&["help-now"]), "000 Emergency");
    assert_eq!(first(&["help-now", "--country", "ie"]), "001 Emergency");
    assert_eq!(first(&["help-now"]), "001 Emergency");
    assert_eq!(numbers(&ben.run(&["help-now", "--all"])).len(), 4);
    let unknown = ben.sees(&["help-now", "--country", "FR"]).stdout;
    assert!(unknown.contains("No numbers for FR are known here."), "{unknown}");
}
