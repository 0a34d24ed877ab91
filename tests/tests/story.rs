//! The whole story: three people, from the operator's grant to words that all of them read in the same order.

use std::fs;

use hearth_kit::{AGREEMENT, Circle, Person, Relay, text_file};
use serde_json::Value;

fn texts(rows: &[Value]) -> Vec<(&str, &str)> {
    let text = |row: &'_ Value| row["kind"] == "text";
    rows.iter()
        .filter(|row| text(row))
        .map(|row| (row["from"].as_str().unwrap(), row["text"].as_str().unwrap()))
        .collect()
}

#[test]
fn three_people_and_a_relay_hold_a_room() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let (ben, cleo) = (Person::new(), Person::new());

    // Whoever holds an invite reads the agreement first; nothing else is there to be seen.
    let link = circle.invite(&["--uses", "2"]);
    let shown = ben.does(&["agreement", "show", &link]);
    assert_eq!(shown[0]["text"], AGREEMENT);
    assert_eq!(shown[0]["agreement"], *circle.agreement);
    assert_eq!(shown[0]["title"], "Tuesday evening");

    // No acknowledgement, no room: neither without one, nor with that of something else.
    ben.run(&["join", &link, "--as", "Ben"]).refused(3, "not_acknowledged");
    for wrong in ["00", "yes", &circle.agreement[..63], &"0".repeat(64)] {
        let answer = ben.run(&["join", &link, "--as", "Ben", "--acknowledge", wrong]);
        answer.refused(3, "not_acknowledged");
    }
    assert!(circle.fay("knocks", &[]).is_empty());

    // With it, Ben waits until Fay lets him in; she sees that his acknowledgement verifies.
    let id = circle.agreement.clone();
    let join = |name| ["join", link.as_str(), "--as", name, "--acknowledge", id.as_str()];
    let waiting = ben.starts(&join("Ben"));
    let knock = circle.await_knock("Ben");
    assert_eq!(knock["acknowledged"], true);
    circle.fay("admit", &["Ben"]);
    let joined = waiting.wait();
    assert_eq!(joined.code, Some(0), "{}", joined.stderr);
    let joined: Value = serde_json::from_str(joined.stdout.trim()).unwrap();
    assert_eq!(joined["standing"], "member");
    assert_eq!(joined["room"], *circle.room);

    // Talk in both directions.
    circle.say(&ben, "Hello, I am here");
    assert_eq!(texts(&circle.news(&circle.fay)), [("Ben", "Hello, I am here")]);
    circle.say(&circle.fay, "Welcome, Ben");
    assert_eq!(texts(&circle.news(&ben)), [("Ben", "Hello, I am here"), ("Fay", "Welcome, Ben")]);
    assert!(circle.news(&ben).is_empty());

    // Cleo joins later, and reads nothing of what was said before.
    let waiting = cleo.starts(&join("Cleo"));
    circle.await_knock("Cleo");
    circle.fay("admit", &["Cleo"]);
    assert_eq!(waiting.wait().code, Some(0));
    assert!(texts(&circle.history(&cleo)).is_empty());

    // The invite is spent.
    let late = Person::new();
    late.run(&join("Late")).refused(3, "invite_used");

    // Ben is away while the others talk; he returns and has it all, in order, once.
    for n in 1..=4 {
        circle.say(&circle.fay, &format!("Fay says {n}"));
        circle.say(&cleo, &format!("Cleo says {n}"));
    }
    let caught_up = circle.news(&ben);
    let expected: Vec<(&str, String)> = (1..=4)
        .flat_map(|n| [("Fay", format!("Fay says {n}")), ("Cleo", format!("Cleo says {n}"))])
        .collect();
    let expected: Vec<(&str, &str)> =
        expected.iter().map(|(who, text)| (*who, text.as_str())).collect();
    assert_eq!(texts(&caught_up), expected);
    let seqs: Vec<u64> = caught_up.iter().map(|row| row["seq"].as_u64().unwrap()).collect();
    assert!(seqs.is_sorted(), "{seqs:?}");
    assert!(caught_up.iter().all(|row| row["kind"] != "notice"), "{caught_up:?}");

    // All see the same people, each acknowledgement verified; the same log; the same safety code.
    circle.news(&circle.fay);
    circle.news(&cleo);
    let people = [&circle.fay, &ben, &cleo];
    for person in people {
        let who = circle.by(person, "who", &[]);
        let mut names: Vec<&str> = who.iter().map(|m| m["name"].as_str().unwrap()).collect();
        names.sort_unstable();
        assert_eq!(names, ["Ben", "Cleo", "Fay"]);
        assert!(
            who.iter().all(|m| m["acknowledged"] == true && m["agreement"] == *circle.agreement)
        );
    }
    let mut codes = people.map(|person| circle.by(person, "verify", &[])[0]["safety_code"].clone());
    assert!(codes[0].as_str().is_some_and(|code| code.len() >= 20));
    codes.iter().for_each(|code| assert_eq!(*code, codes[0]));
    codes.sort_by_key(Value::to_string);
    let fays = circle.by(&circle.fay, "verify", &["Ben"])[0]["code"].clone();
    assert_eq!(fays, circle.by(&ben, "verify", &["Fay"])[0]["code"]);
    assert_ne!(fays, circle.by(&ben, "verify", &["Cleo"])[0]["code"]);
}

#[test]
fn everybody_reads_the_same_chained_log() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    circle.fay("announce", &["Tea at four"]);
    let cleo = circle.admit("Cleo");
    circle.fay("slow", &["5m"]);
    circle.fay("slow", &["off"]);

    let log = circle.fay("log", &[]);
    let acts: Vec<&str> = log.iter().map(|r| r["act"].as_str().unwrap()).collect();
    assert!(acts.ends_with(&["admit", "announce", "admit", "slow", "slow"]), "{acts:?}");
    for pair in log.windows(2) {
        assert_eq!(pair[1]["previous"], pair[0]["digest"]);
        assert_eq!(pair[1]["number"].as_u64(), pair[0]["number"].as_u64().map(|n| n + 1));
    }
    // Ben has it from his own admission on, Cleo from hers; where they overlap it is the same chain.
    for person in [&ben, &cleo] {
        let theirs = circle.by(person, "log", &[]);
        assert!(theirs.len() >= 3);
        let digests = |log: &[Value]| log.iter().map(|r| r["digest"].clone()).collect::<Vec<_>>();
        let all = digests(&log);
        assert!(all.ends_with(&digests(&theirs)), "{theirs:?}");
        assert!(theirs.iter().all(|r| r["actor"] == "Fay"));
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("log.jsonl");
    circle.fay("log", &["--export", file.to_str().unwrap()]);
    assert_eq!(fs::read_to_string(&file).unwrap().lines().count(), log.len());
}

#[test]
fn a_receipt_verifies_offline_and_a_forged_one_does_not() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    let receipt = circle.by(&ben, "receipt", &[])[0]["receipt"].as_str().unwrap().to_owned();
    drop(relay);

    // A stranger without a profile and without a relay verifies it.
    let stranger = Person::new();
    let good = text_file(&receipt);
    let answer = stranger.does(&["receipt", "verify", good.path().to_str().unwrap()]);
    assert_eq!(answer[0]["verified"], true);
    assert_eq!(answer[0]["agreement"], *circle.agreement);
    assert_eq!(answer[0]["text"], AGREEMENT);
    assert!(answer[0]["countersigned_by"].is_string());

    // Any letter of its body changed makes it a lie, or no receipt at all.
    let letters: Vec<usize> = receipt
        .char_indices()
        .filter(|(_, c)| c.is_ascii_alphanumeric())
        .map(|(at, _)| at)
        .collect();
    for part in 1..8 {
        let at = letters[letters.len() * part / 8];
        let mut forged = receipt.clone().into_bytes();
        forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
        let file = text_file(std::str::from_utf8(&forged).unwrap());
        let answer = stranger.run(&["receipt", "verify", file.path().to_str().unwrap()]);
        answer.refused(5, "verification_failed");
    }
    for wrong in ["", "hello", &receipt[..receipt.len() / 2]] {
        let file = text_file(wrong);
        let answer = stranger.run(&["receipt", "verify", file.path().to_str().unwrap()]);
        answer.refused(5, "verification_failed");
    }
}
