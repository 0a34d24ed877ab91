//! Words found in a device's own history.

use hearth_kit::{Circle, Person, Relay};
use serde_json::Value;

use super::{id_of, sees};

fn texts(rows: &[Value]) -> Vec<&str> {
    rows.iter().filter_map(|row| row["text"].as_str()).collect()
}

fn found(circle: &Circle, person: &Person, words: &[&str]) -> Vec<String> {
    let rows = circle.by(person, "search", words);
    texts(&rows).into_iter().map(str::to_owned).collect()
}

#[test]
fn search_finds_all_words() {
    let mut relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    for text in ["The kitchen was cold", "Cold outside", "I sat in my KITCHEN, cold and tired"] {
        circle.say(&circle.fay, text);
    }
    circle.say(&ben, "A cold kitchen, too");
    circle.say(&circle.fay, "Taken back: cold kitchen");
    let id = id_of(&circle.history(&circle.fay), "Taken back: cold kitchen");
    circle.fay("retract", &[&id]);
    circle.fay("announce", &["The kitchen is cold today"]);
    circle.news(&ben);
    // What is here is found without the relay.
    relay.kill();
    let wanted = [
        "The kitchen was cold",
        "I sat in my KITCHEN, cold and tired",
        "A cold kitchen, too",
        "The kitchen is cold today",
    ];
    let said = |found: Vec<String>| -> Vec<String> {
        found.into_iter().map(|text| text.replace("announces: ", "")).collect()
    };
    assert_eq!(said(found(&circle, &ben, &["cold", "Kitchen"])), wanted);
    assert_eq!(found(&circle, &ben, &["kitch cold", "--from", "ben"]), wanted[2..3]);
    let nothing = sees(&circle, &ben, "search", &["attic"]);
    assert_eq!(nothing.trim_end(), "Nothing on this device has the words \"attic\".");
    assert!(circle.by(&ben, "search", &["attic"]).is_empty());
    // To search is not to read on.
    let shown = sees(&circle, &ben, "search", &["cold kitchen too"]);
    assert!(shown.contains("Ben: A cold kitchen, too"), "{shown}");
}

#[test]
fn search_shows_the_newest_fifty() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let lines: String = (1..=53)
        .map(|n| {
            format!(
                "{}\n",
                serde_json::json!({"id": n, "args": ["send", circle.room, format!("note {n}.")]})
            )
        })
        .collect();
    let sent = circle.fay.run_with_input(&["lines"], lines.as_bytes());
    assert_eq!(sent.code, Some(0), "{sent:?}");
    let rows = circle.fay("search", &["note"]);
    assert_eq!(rows[0]["earlier"], 3);
    assert_eq!(texts(&rows[1..]).len(), 50);
    let shown = sees(&circle, &circle.fay, "search", &["note"]);
    assert!(shown.starts_with("-- and 3 earlier messages"), "{shown}");
}

/// Nobody finds what the room does not show them yet.
#[test]
fn search_finds_no_veiled_words() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let (ben, eli) = (circle.admit("Ben"), circle.admit("Eli"));
    circle.fay("prompt", &["What was it like?", "--after-own"]);
    circle.news(&eli);
    circle.by(&eli, "answer", &["like a closed door"]);
    circle.news(&ben);
    assert!(found(&circle, &ben, &["door"]).is_empty());
    assert_eq!(found(&circle, &eli, &["door"]), ["like a closed door"]);
    circle.by(&ben, "answer", &["like rain"]);
    assert_eq!(found(&circle, &ben, &["door"]), ["like a closed door"]);
}

/// A filter and a mute hide what is found, too; outside of the room the history stays one's own.
#[test]
fn search_respects_what_is_hidden() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let (ben, eli) = (circle.admit("Ben"), circle.admit("Eli"));
    circle.fay("cw", &["drinking", "red wine"]);
    circle.say(&eli, "wine again");
    circle.news(&ben);
    circle.by(&ben, "filter", &["drinking"]);
    circle.by(&ben, "mute", &["Eli"]);
    circle.by(&ben, "leave", &["--yes"]);
    let shown = sees(&circle, &ben, "search", &["wine"]);
    assert!(shown.contains("Fay [drinking]: ") && !shown.contains("wine"), "{shown}");
    circle.by(&ben, "filter", &["drinking", "--off"]);
    assert_eq!(found(&circle, &ben, &["wine"]), ["red wine"]);
}
