//! Whatever is wrong with what a person types or was sent: one line says what, one what to try, and nothing is lost.

use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _};

use hearth_kit::{AGREEMENT, Circle, Person, Relay, RelayOptions, text_file, until};
use hearth_protocol::invite::Invite;

/// Changes a letter of a link's secret part.
fn with_changed_letter(link: &str, at: usize) -> String {
    let start = link.find('#').unwrap() + 1;
    let mut bytes = link.as_bytes().to_vec();
    bytes[start + at] = if bytes[start + at] == b'A' { b'B' } else { b'A' };
    String::from_utf8(bytes).unwrap()
}

#[test]
fn what_is_no_invite_is_told_apart_from_a_damaged_one() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let link = circle.invite(&["--uses", "9"]);
    let ben = Person::new();
    let join = |link: &str| {
        let ack = circle.agreement.as_str();
        ben.run(&["join", link, "--as", "Ben", "--acknowledge", ack, "--no-wait"])
    };
    for text in ["", " ", "hello", "https://example.org/join#x", &"x".repeat(5000), "\u{1b}[2J"] {
        join(text).refused(3, "invite_invalid");
        ben.run(&["burn-invite", text]).refused(3, "invite_invalid");
    }
    let length = link.len() - link.find('#').unwrap() - 1;
    for at in [0, 7, 40, 90, 150, length - 9] {
        let answer = join(&with_changed_letter(&link, at));
        let code = answer.lines[0]["error"].as_str().unwrap().to_owned();
        assert!(code == "invite_damaged" || code == "invite_newer", "{answer:?}");
        answer.refused(3, &code);
    }
    for cut in [1, 4, length / 2, length - 1, length] {
        join(&link[..link.len() - cut]).refused(3, "invite_damaged");
    }
    let shouted = join(&link.to_uppercase());
    let code = shouted.lines[0]["error"].as_str().unwrap().to_owned();
    assert!(code == "invite_damaged" || code == "invite_invalid", "{shouted:?}");
    shouted.refused(3, &code);
    // A link of the other kind says so, both ways round.
    let grant = relay.grant();
    join(&grant).refused(3, "invite_other");
    let rules = text_file(AGREEMENT);
    let path = rules.path().to_str().unwrap();
    let create = |grant: &str| {
        ben.run(&["room", "create", "Mine", "--grant", grant, "--agreement", path, "--as", "Ben"])
    };
    create(&link).refused(3, "invite_other");
    // A grant opens as many rooms as it says, and no more.
    assert_eq!(create(&grant).code, Some(0));
    create(&grant).refused(3, "grant_invalid");
    // The good link has suffered nothing.
    assert_eq!(join(&format!("  {link}\n")).code, Some(0));
    circle.await_knock("Ben");
}

#[test]
fn an_invite_ends_at_its_time() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let link = circle.invite(&["--expires", "1s"]);
    let ben = Person::new();
    let join = ["join", &link, "--as", "Ben", "--acknowledge", "00", "--no-wait"];
    let refusal = until("the invite to expire", || {
        let answer = ben.run(&join);
        (answer.lines[0]["error"] != "not_acknowledged").then_some(answer)
    });
    refusal.refused(3, "invite_expired");
    // A clock that is behind helps nobody: the relay looks at its own.
    let mut later = Invite::parse(&link).unwrap();
    later.expires = later.expires.plus(3_600_000);
    let answer = ben.run(&[
        "join",
        &later.to_link(),
        "--as",
        "Ben",
        "--acknowledge",
        &circle.agreement,
        "--no-wait",
    ]);
    answer.refused(3, "invite_expired");
    assert!(circle.fay("knocks", &[]).is_empty());
    for wrong in ["", "0s", "soon", "-1d", "1y", "99999999d"] {
        let expires = format!("--expires={wrong}");
        circle.fay.run(&["invite", &circle.room, &expires]).refused(2, "usage");
    }
}

#[test]
fn an_invite_of_another_room_or_relay_leads_nowhere() {
    let relay = Relay::start();
    let (circle, other) = (Circle::open(&relay), Circle::open(&relay));
    let foreign = Relay::start();
    let ben = Person::new();
    let join = |link: &Invite| {
        let ack = circle.agreement.as_str();
        let link = link.to_link();
        ben.run(&["join", &link, "--as", "Ben", "--acknowledge", ack, "--no-wait"])
    };
    let mine = Invite::parse(&circle.invite(&[])).unwrap();
    let theirs = Invite::parse(&other.invite(&[])).unwrap();
    // The secret of one room, the name of another.
    let mixed = Invite { room: theirs.room, ..mine.clone() };
    join(&mixed).refused(3, "invite_invalid");
    // Another facilitator's key, or another agreement, than what the preview holds.
    let posed = Invite { facilitator: theirs.facilitator, ..mine.clone() };
    join(&posed).refused(5, "verification_failed");
    let swapped = Invite { agreement: theirs.agreement, ..mine.clone() };
    if theirs.agreement != mine.agreement {
        join(&swapped).refused(5, "verification_failed");
    }
    // Another relay at the address.
    let mut away = mine.clone();
    away.address.authority = foreign.address().to_string();
    join(&away).refused(5, "wrong_pin");
    away.address.pin = Invite::parse(&Circle::open(&foreign).invite(&[])).unwrap().address.pin;
    join(&away).refused(5, "wrong_relay");
    // A name that nobody has, and an address where nobody listens.
    let mut nowhere = mine.clone();
    nowhere.address.authority = "no-such-relay.invalid:7443".into();
    join(&nowhere).refused(4, "unreachable");
    nowhere.address.authority = "127.0.0.1:1".into();
    join(&nowhere).refused(4, "unreachable");
    assert!(circle.fay("knocks", &[]).is_empty() && other.fay("knocks", &[]).is_empty());
    assert!(ben.does(&["room", "list"]).is_empty());
}

#[test]
fn another_relay_on_the_same_port_is_noticed() {
    for plain in [false, true] {
        let options = RelayOptions { plain, ..RelayOptions::default() };
        let mut relay = Relay::start_with(options.clone());
        let circle = Circle::open(&relay);
        let ben = circle.admit("Ben");
        let listen = Some(relay.address());
        relay.stop();
        let other = Relay::start_with(RelayOptions { listen, ..options });
        assert_eq!(other.address(), relay.address());
        ben.run(&["read", &circle.room]).failed(5, if plain { "wrong_relay" } else { "wrong_pin" });
    }
}

#[test]
fn texts_that_cannot_be_sent_are_not_sent() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    let huge = "a".repeat(20 * 1024);
    for text in
        ["", " ", "\n\t ", "a\u{0}b".replace('\0', "\u{7}").as_str(), "\u{1b}[31mred", &huge]
    {
        ben.run(&["send", &circle.room, text]).refused(2, "bad_text");
    }
    for bytes in [b"".as_slice(), b"\n", b"a\x00b", huge.as_bytes()] {
        ben.run_with_input(&["send", &circle.room, "-"], bytes).refused(2, "bad_text");
    }
    ben.run_with_input(&["send", &circle.room, "-"], b"\xff\xfe").refused(2, "usage");
    let raw = OsStr::from_bytes(b"caf\xe9");
    let answer = ben.run(&[OsStr::new("send"), OsStr::new(&circle.room), raw]);
    assert_eq!(answer.code, Some(2), "{answer:?}");
    assert_eq!(answer.lines[0]["error"], "usage");
    assert!(!answer.stderr.contains("panicked") && !answer.stderr.is_empty());
    circle.fay.run(&["announce", &circle.room, "a\u{7}"]).refused(2, "bad_text");
    circle.fay.run(&["pause", &circle.room, "1m", "a\u{7}"]).refused(2, "bad_text");

    assert!(circle.by(&ben, "outbox", &[]).is_empty());
    // What fits exactly, and what is only unusual, goes through unchanged.
    let full = "b".repeat(16 * 1024);
    let unusual = "שלום \u{1f469}\u{200d}\u{1f4bb} a\tb\nc";
    circle.say(&ben, &full);
    circle.say(&ben, unusual);
    let heard = circle.news(&circle.fay);
    let texts: Vec<_> =
        heard.iter().filter(|r| r["kind"] == "text").map(|r| r["text"].as_str().unwrap()).collect();
    assert_eq!(texts, [full.as_str(), unusual]);
}

#[test]
fn names_and_titles_that_deceive_are_refused() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let link = circle.invite(&[]);
    let ben = Person::new();
    let long = "n".repeat(41);
    for name in [
        "",
        "  ",
        "...",
        "a\u{202e}b",
        "a\u{200b}b",
        "a\nb",
        "a\u{1b}[2J",
        "Facilitator",
        "Admin Ana",
        "A\u{441}me",
        "\u{1f600}",
        &long,
    ] {
        let ack = circle.agreement.as_str();
        let answer = ben.run(&["join", &link, "--as", name, "--acknowledge", ack, "--no-wait"]);
        answer.refused(2, "usage");
    }
    let raw = OsStr::from_bytes(b"Ren\xe9");
    let args = [OsStr::new("join"), OsStr::new(&link), OsStr::new("--as"), raw];
    assert_eq!(ben.run(&args).code, Some(2));
    assert!(circle.fay("knocks", &[]).is_empty());

    let grant = relay.grant();
    let rules = text_file(AGREEMENT);
    let path = rules.path().to_str().unwrap();
    let title_long = "t".repeat(500);
    for title in ["", " ", "a\u{1b}]0;x\u{7}", "a\u{202e}b", &title_long] {
        let create = ["room", "create", title, "--grant", &grant, "--agreement", path];
        ben.run(&[&create[..], &["--as", "Ben"]].concat()).refused(2, "usage");
    }
    let create = ["room", "create", "Mine", "--grant", &grant, "--as", "Ben", "--agreement"];
    let binary = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(binary.path(), b"\xff\xfe\x00").unwrap();
    let empty = text_file("\n");
    for file in
        ["/nonexistent", "/", binary.path().to_str().unwrap(), empty.path().to_str().unwrap()]
    {
        ben.run(&[&create[..], &[file]].concat()).refused(2, "usage");
    }
    // None of that spent the grant.
    ben.does(&[&create[..], &[path]].concat());
}

#[test]
fn rooms_members_and_messages_that_are_not_there() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let nobody = Person::new();
    nobody.run(&["read", "somewhere"]).refused(2, "no_profile");
    nobody.run(&["room", "list"]).refused(2, "no_profile");
    assert!(!nobody.home().exists(), "asking makes no profile");
    let room = circle.room.as_str();
    circle.fay.run(&["read", "elsewhere"]).refused(3, "not_member");
    for command in [
        vec!["timeout", room, "Ghost", "5m", "Rest a little."],
        vec!["remove", room, "Ghost", "--reason", "conduct", "Thank you for coming."],
        vec!["role", room, "Ghost", "observer"],
        vec!["mute", room, "Ghost"],
        vec!["verify", room, "Ghost"],
        vec!["retract", room, "--all-from", "Ghost"],
    ] {
        circle.fay.run(&command).refused(2, "no_such_member");
    }
    for command in [
        vec!["pin", room, "ffff"],
        vec!["retract", room, "ffff"],
        vec!["outbox", room, "--drop", "ff"],
    ] {
        circle.fay.run(&command).refused(2, "no_such_message");
    }
    for command in [vec!["admit", room, "Ghost"], vec!["decline", room, "Ghost"]] {
        circle.fay.run(&command).refused(2, "no_such_knock");
    }
    circle.admit("Ben");
    for command in [
        vec!["timeout", room, "Ben", "soon"],
        vec!["pause", room, "soon", "x"],
        vec!["slow", room, "fast"],
        vec!["budget", room, "20"],
        vec!["len", room, "short"],
        vec!["hours", room, "always"],
        vec!["hours", room, "Mon 25:00-26:00 UTC"],
        vec!["hours", room, "Mon 10:00-11:00 Nowhere/Land"],
        vec!["expire", room, "never"],
        vec!["agreement", "amend", room, "/nonexistent", "--material"],
        vec!["receipt", "verify", "/nonexistent"],
    ] {
        circle.fay.run(&command).refused(2, "usage");
    }
    for command in [
        vec!["lock", room, "maybe"],
        vec!["role", room, "Fay", "king"],
        vec!["remove", room, "Ben"],
        vec!["frobnicate"],
        vec![],
        vec!["send", room],
        vec!["agreement", "amend", room, "/dev/null"],
    ] {
        let answer = circle.fay.run(&command);
        assert_eq!(answer.code, Some(2), "{answer:?}");
        assert!(!answer.stderr.is_empty() && !answer.stderr.contains("panicked"), "{answer:?}");
    }
}
