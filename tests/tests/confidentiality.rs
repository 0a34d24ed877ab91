//! What people type is nowhere at the relay: not in its files, its log, its metrics or its traffic; nor in the clear
//! in the members' own files.

use std::{fs, path::Path};

use hearth_kit::{Circle, Person, Proxy, Relay, RelayOptions, text_file, until};
use hearth_protocol::invite::Invite;

/// What every planted string begins with. Letters only, so that it can be part of a name.
const CANARY: &str = "HearthCanary";

/// Returns the string that is planted in one field.
fn canary(field: &str) -> String {
    format!("{CANARY}{field}")
}

fn files(folder: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.is_file() {
            found.push((path.display().to_string(), fs::read(&path).unwrap()));
        }
    }
}

/// Returns the forms in which bytes may hide a canary: in any case, in UTF-16, in hex, in base64 at each alignment.
fn forms() -> Vec<Vec<u8>> {
    let bytes = CANARY.as_bytes();
    let mut forms = vec![bytes.to_vec(), bytes.to_ascii_lowercase(), bytes.to_ascii_uppercase()];
    forms.push(bytes.iter().flat_map(|b| [*b, 0]).collect());
    forms.push(bytes.iter().flat_map(|b| format!("{b:02x}").into_bytes()).collect());
    for skip in 0..3 {
        forms.push(base64(&bytes[skip..skip + (bytes.len() - skip) / 3 * 3]));
    }
    forms
}

fn base64(bytes: &[u8]) -> Vec<u8> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let letter = |n: usize| LETTERS[n & 63];
    bytes
        .chunks_exact(3)
        .flat_map(|c| {
            let n = usize::from(c[0]) << 16 | usize::from(c[1]) << 8 | usize::from(c[2]);
            [letter(n >> 18), letter(n >> 12), letter(n >> 6), letter(n)]
        })
        .collect()
}

fn contains(hay: &[u8], needle: &[u8]) -> bool {
    let first = needle[0];
    hay.iter().enumerate().any(|(at, byte)| *byte == first && hay[at..].starts_with(needle))
}

fn leaks(bytes: &[u8]) -> bool {
    forms().iter().any(|form| contains(bytes, form))
}

fn assert_clean(place: &str, bytes: &[u8]) {
    if leaks(bytes) {
        let at = forms().iter().find_map(|form| {
            bytes.windows(form.len()).position(|window| window == form.as_slice())
        });
        let from = at.unwrap_or_default();
        let shown = String::from_utf8_lossy(&bytes[from..bytes.len().min(from + 80)]);
        panic!("what somebody typed is in {place}: {shown}");
    }
}

#[test]
fn the_search_finds_what_is_there() {
    for form in forms() {
        assert!(form.len() >= 12);
        assert!(leaks(&[b"\x00some bytes".as_slice(), &form, b"and more\xff"].concat()));
        assert!(!leaks(&form[1..form.len() - 1]));
    }
    let text = canary("Text");
    let base64_of_all = base64(format!("x{text}").as_bytes());
    assert!(leaks(&base64_of_all), "{}", String::from_utf8_lossy(&base64_of_all));
}

/// Types a canary into every field there is. Returns everybody, for their files, and an invite that was used.
fn live_a_whole_life(relay: &Relay) -> (Vec<Person>, Invite) {
    let fay = Person::new();
    let rules = text_file(&format!("What is said here stays here. {}\n", canary("Rules")));
    let grant = relay.grant();
    let created = fay.does(&[
        "room",
        "create",
        &canary("Title"),
        "--grant",
        &grant,
        "--agreement",
        rules.path().to_str().unwrap(),
        "--as",
        &canary("Founder"),
        "--language",
        &canary("Language"),
    ]);
    let word = |field: &str| created[0][field].as_str().unwrap().to_owned();
    let circle = Circle { room: word("room"), agreement: word("agreement"), fay };
    let fay = &circle.fay;
    let ben = circle.admit(&canary("Member"));
    let cleo = circle.admit(&canary("Second"));
    let (gus, link) = (Person::new(), circle.invite(&[]));
    circle.knock_with(&gus, &canary("Fourth"), &link);
    circle.fay("admit", &[&canary("Fourth")]);
    gus.does(&["read", &circle.room]);
    // Hers is locked with a passphrase.
    let secret = text_file(&canary("Passphrase"));
    let dora = Person::new().with_flags(&["--passphrase-file", secret.path().to_str().unwrap()]);
    circle.knock(&dora, &canary("Declined"));
    circle.fay("decline", &[&canary("Declined"), &canary("Refusal")]);
    dora.run(&["join", &circle.invite(&[]), "--as", "x", "--acknowledge", &canary("Waiting")]);

    let mut following = cleo.starts(&["follow", &circle.room]);
    let id = circle.say(&ben, &canary("Text"));
    following.await_line("the text", |line| line.contains(&canary("Text")));
    drop(following);
    let mut chat = cleo.starts_plainly(&["chat", &circle.room]);
    chat.type_line(&canary("Chat"));
    chat.await_line("the words", |line| line.contains(&canary("Chat")));
    // T11: the store's log as well, which is gone when the program has ended.
    let (mut found, log) = (Vec::new(), cleo.home().join("hearth.db-wal"));
    files(cleo.home(), &mut found);
    assert!(fs::metadata(&log).unwrap().len() > 4096);
    assert!(found.iter().any(|(path, _)| *path == log.display().to_string()));
    for (path, bytes) in &found {
        assert_clean(&format!("{path} (in use)"), bytes);
    }
    chat.type_line("/quit");
    assert_eq!(chat.wait().code, Some(0));
    let answer = ben.run_with_input(&["send", &circle.room, "-"], canary("Stdin").as_bytes());
    assert_eq!(answer.code, Some(0), "{answer:?}");
    circle.fay("pause", &["10m", &canary("Process")]);
    ben.run(&["send", &circle.room, &canary("Held")]).refused(3, "paused");
    circle.fay("resume", &[]);
    circle.by(&ben, "outbox", &["--send", "all"]);
    circle.fay("timeout", &[&canary("Member"), "10m", &canary("Rest")]);
    circle.fay("untimeout", &[&canary("Member")]);
    circle.news(&ben);
    circle.by(&ben, "filter", &[&canary("Filter")]);
    circle.by(&ben, "search", &[&canary("Search")]);
    circle.fay("announce", &[&canary("Announce")]);
    circle.fay("hours", &["Mon-Fri 17:00-20:00 Europe/Paris"]);
    circle.fay("hours", &["off"]);
    circle.fay("pin", &[&id]);
    circle.fay("retract", &[&id, "--reason", "conduct"]);
    fay.does(&["room", "rename", &circle.room, "hearthcanarylocal"]);
    let circle = Circle { room: "hearthcanarylocal".into(), ..circle };
    let fay = &circle.fay;
    let room = canary("Title").to_lowercase();
    cleo.does(&["withdraw", &room, &canary("Farewell")]);
    circle.fay("status", &[]);
    gus.does(&["leave", &room, &canary("Leaving")]);
    circle.fay("status", &[]);
    for (field, flag) in [("Amended", "--editorial"), ("Material", "--material")] {
        let text = text_file(&format!("What is said here stays here. {}\n", canary(field)));
        fay.does(&["agreement", "amend", &circle.room, text.path().to_str().unwrap(), flag]);
    }
    ben.does(&["read", &room]);
    // They all did read it.
    let seen = format!("{:?}", ben.does(&["read", &room, "--all"]));
    for field in ["Text", "Stdin", "Held", "Process", "Announce", "Farewell", "Chat", "Member"] {
        assert!(seen.contains(&canary(field)) || field == "Text", "{field} in {seen}");
    }
    (vec![circle.fay, ben, cleo, dora, gus], Invite::parse(&link).unwrap())
}

/// T20: neither what a link holds, nor what is shown of it to the relay, is kept or logged, as bytes or as text.
fn assert_no_invite(invite: &Invite, place: &str, bytes: &[u8]) {
    let token = invite.token();
    for secret in [invite.secret.expose(), token.expose()] {
        let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
        let list = format!("{secret:?}");
        let texts = [base64(&secret[..30]), hex.into_bytes(), list.as_bytes()[1..60].to_vec()];
        for form in texts.iter().map(Vec::as_slice).chain([secret.as_slice()]) {
            assert!(!contains(bytes, form), "an invite is in {place}");
        }
    }
}

fn assert_relay_knows_nothing(mut relay: Relay, invite: &Invite) {
    let metrics = relay.page("/metrics");
    assert!(metrics.contains("hearthd"), "{metrics}");
    let assert_clean = |place: &str, bytes: &[u8]| {
        assert_clean(place, bytes);
        assert_no_invite(invite, place, bytes);
    };
    assert_clean("/metrics", metrics.as_bytes());
    let check = |when: &str, relay: &Relay| {
        let mut found = Vec::new();
        files(relay.data(), &mut found);
        assert!(found.iter().any(|(path, _)| path.ends_with(".db-wal")) || when == "stopped");
        assert!(found.iter().map(|(_, bytes)| bytes.len()).sum::<usize>() > 50_000);
        for (path, bytes) in &found {
            assert_clean(&format!("{path} ({when})"), bytes);
        }
    };
    check("running", &relay);
    relay.kill();
    check("killed", &relay);
    relay.restart();
    relay.stop();
    check("stopped", &relay);
    let logs = relay.logs();
    assert!(
        logs.contains("TRACE") || logs.contains("DEBUG"),
        "the log is at its most talkative: {logs}"
    );
    assert_clean("the log", logs.as_bytes());
}

#[test]
fn nothing_typed_reaches_the_relay_over_tls() {
    let relay = Relay::start();
    let (people, invite) = live_a_whole_life(&relay);
    assert_relay_knows_nothing(relay, &invite);
    for person in &people {
        let mut found = Vec::new();
        files(person.home(), &mut found);
        assert!(found.len() >= 3, "{found:?}");
        for (path, bytes) in &found {
            assert_clean(path, bytes);
        }
    }
}

#[test]
fn nothing_typed_is_in_the_traffic_even_without_tls() {
    let proxy = Proxy::new();
    let relay = Relay::start_with(RelayOptions {
        plain: true,
        public_url: Some(proxy.address().to_string()),
        ..RelayOptions::default()
    });
    proxy.set_target(relay.address());
    let (_, invite) = live_a_whole_life(&relay);
    let seen = until("the traffic", || {
        let bytes = proxy.bytes();
        (bytes.len() > 100_000).then_some(bytes)
    });
    // The proxy did see the conversation of the wire.
    assert!(contains(&seen, b"GET /v2 HTTP/1.1"));
    assert!(contains(&seen, b"101 Switching Protocols"));
    // Frames of members are masked (RFC 6455 section 5.3), so the masks are taken off before the search.
    assert_clean("the traffic", &seen);
    let unmasked = unmasked(&seen);
    assert_clean("the unmasked traffic", &unmasked);
    // The relay is shown the token; so the search would find it.
    assert!(contains(&unmasked, invite.token().expose()));
    assert_relay_knows_nothing(relay, &invite);
}

/// T25: what opened the room's messages is in no file after somebody has left, were removed, or erased the room; neither
/// what they had last nor what they had before.
#[test]
fn the_keys_of_a_room_are_in_no_file_of_who_is_out() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let people = ["Ben", "Cleo", "Gus"].map(|name| circle.admit(name));
    let mut keys: Vec<Vec<Vec<u8>>> = people.iter().map(|_| Vec::new()).collect();
    for turn in 0..2 {
        for (person, keys) in people.iter().zip(&mut keys) {
            circle.say(person, &format!("words {turn}"));
            let sealed = sealed_keys(person);
            assert!(sealed.len() > 10, "{}", sealed.len());
            keys.extend(sealed);
        }
    }
    let [ben, cleo, gus] = &people;
    circle.by(ben, "leave", &["Goodbye"]);
    circle.fay("remove", &["Cleo", "--reason", "conduct", "Thank you for coming."]);
    cleo.run(&["read", &circle.room]);
    gus.does(&["room", "wipe", &circle.room, "--yes"]);
    for (person, keys) in people.iter().zip(&keys) {
        assert!(sealed_keys(person).is_empty());
        for part in keys {
            assert!(!is_in_a_file(person, part), "something of {} bytes", part.len());
        }
    }
}

/// The state of the group as it stands in somebody's store, sealed: of each record the beginning, with its nonce, and the end.
fn sealed_keys(person: &Person) -> Vec<Vec<u8>> {
    const MLS: u8 = 3;
    const PART: usize = 41;
    let store = rusqlite::Connection::open(person.home().join("hearth.db")).unwrap();
    let mut records = store.prepare("SELECT value FROM record WHERE kind = ?1").unwrap();
    let values = records.query_map([MLS], |row| row.get::<_, Vec<u8>>(0)).unwrap();
    let parts = values.flat_map(|value| {
        let value = value.unwrap();
        [value[..PART].to_vec(), value[value.len() - PART..].to_vec()]
    });
    // What a page of the file divides cannot be found as one.
    parts.filter(|part| is_in_a_file(person, part)).collect()
}

fn is_in_a_file(person: &Person, bytes: &[u8]) -> bool {
    let mut found = Vec::new();
    files(person.home(), &mut found);
    found.iter().any(|(_, content)| contains(content, bytes))
}

/// Takes the masks off wherever something looks like the head of a masked binary frame.
fn unmasked(bytes: &[u8]) -> Vec<u8> {
    let mut clear = Vec::new();
    for at in 0..bytes.len().saturating_sub(14) {
        let (0x82, second) = (bytes[at], bytes[at + 1]) else { continue };
        let (length, head) = match second {
            0xfe => (usize::from(u16::from_be_bytes([bytes[at + 2], bytes[at + 3]])), 4),
            0xff => {
                let long: [u8; 8] = bytes[at + 2..at + 10].try_into().unwrap();
                (usize::try_from(u64::from_be_bytes(long)).unwrap_or(usize::MAX), 10)
            }
            short @ 0x80.. => (usize::from(short & 0x7f), 2),
            _ => continue,
        };
        let Some(mask) = bytes.get(at + head..at + head + 4) else { continue };
        let body = &bytes[at + head + 4..];
        if length > 200_000 {
            continue;
        }
        clear.extend(body.iter().take(length).zip(mask.iter().cycle()).map(|(b, m)| b ^ m));
    }
    clear
}
