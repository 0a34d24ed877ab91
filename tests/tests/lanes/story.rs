//! What is said in check-ins, and who reads it.

use hearth_kit::{Circle, Relay};

use super::{read, said};

#[test]
fn check_in_reaches_moderators_alone() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let (ben, cleo) = (circle.admit("Ben"), circle.admit("Cleo"));
    let before = circle.history(&cleo);
    let sent = circle.by(&ben, "checkin", &["Could we talk before Thursday?"]);
    assert_eq!(sent[0]["to"], serde_json::json!(["Fay"]));
    let asked = said("Ben", "Could we talk before Thursday?");
    assert_eq!(read(&circle, &circle.fay, &["Ben"]), std::slice::from_ref(&asked));
    circle.fay("checkin", &["Ben", "Tomorrow", "at", "noon"]);
    assert_eq!(read(&circle, &ben, &[]), [asked, said("Fay", "Tomorrow at noon")]);
    // Nobody else: not in the room, not in their own line, not by name.
    assert_eq!(circle.history(&cleo), before);
    assert_eq!(read(&circle, &cleo, &[]), []);
    let sees = cleo.sees(&["checkin", &circle.room]).stdout;
    assert_eq!(sees.trim(), "-- check-in: only you and Fay read it");
}

#[test]
fn facilitator_sees_where_words_are_new() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let (ben, _cleo) = (circle.admit("Ben"), circle.admit("Cleo"));
    circle.by(&ben, "checkin", &["One"]);
    circle.by(&ben, "checkin", &["Two"]);
    let list = circle.fay("checkin", &[]);
    let of = |name: &str| list.iter().find(|lane| lane["checkin"] == name).unwrap().clone();
    assert_eq!((of("Ben")["new"].clone(), of("Cleo")["new"].clone()), (2.into(), 0.into()));
    assert!(of("Ben")["last_at"].is_string() && of("Cleo")["last_at"].is_null());
    let told = circle.fay.sees(&["read", &circle.room]).stderr;
    assert!(told.contains("something new in Ben's check-in"), "{told}");
    circle.fay("checkin", &["Ben"]);
    let list = circle.fay("checkin", &[]);
    assert!(list.iter().all(|lane| lane["new"] == 0), "{list:?}");
}

#[test]
fn check_in_works_while_the_room_rests() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let (ben, cleo) = (circle.admit("Ben"), circle.admit("Cleo"));
    circle.fay("timeout", &["Cleo", "30m", "Take a breath"]);
    circle.fay("pause", &["10m", "We rest now"]);
    circle.fay("slow", &["10m"]);
    for (person, name) in [(&ben, "Ben"), (&cleo, "Cleo")] {
        person
            .run(&["send", &circle.room, "Hello"])
            .failed(3, if name == "Ben" { "paused" } else { "timed_out" });
        circle.by(person, "checkin", &["It", "is", "hard"]);
        assert_eq!(read(&circle, &circle.fay, &[name]), [said(name, "It is hard")]);
    }
}

#[test]
fn words_without_a_connection_are_kept() {
    let mut relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    circle.by(&ben, "checkin", &["One"]);
    relay.stop();
    for words in ["Two", "Three"] {
        let kept = ben.run(&["checkin", &circle.room, words]);
        kept.failed(4, "unreachable");
    }
    relay.restart();
    circle.news(&ben);
    let all = ["One", "Two", "Three"].map(|words| said("Ben", words));
    assert_eq!(read(&circle, &circle.fay, &["Ben"]), all);
}

#[test]
fn relay_holds_no_word_of_it() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    circle.by(&ben, "checkin", &["about-my-brother"]);
    circle.fay("checkin", &["Ben", "brother-it-is"]);
    for entry in std::fs::read_dir(relay.data()).unwrap() {
        let path = entry.unwrap().path();
        let Ok(bytes) = std::fs::read(&path) else { continue };
        for word in ["about-my-brother", "brother-it-is", "Ben"] {
            let found = bytes.windows(word.len()).any(|part| part == word.as_bytes());
            assert!(!found, "{word} in {}", path.display());
        }
    }
}

#[test]
fn line_behind_a_name_goes_to_lane() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let (ben, cleo) = (circle.admit("Ben"), circle.admit("Cleo"));
    let mut at_bens = ben.starts_plainly(&["chat", &circle.room]);
    at_bens.type_line("@Fay: I lied in the round.");
    at_bens.await_line("that it was sent", |line| line.starts_with("sent to Fay"));
    let mut at_fays = circle.fay.starts_plainly(&["chat", &circle.room]);
    at_fays.await_line("Ben's words", |line| {
        line.ends_with("Ben: I lied in the round.") || line.contains("(Ben's check-in)")
    });
    at_fays.type_line("@ben Thank you for saying so.");
    at_bens.await_line("Fay's answer", |line| {
        line.starts_with("(check-in)") && line.contains("Fay: Thank you for saying so.")
    });
    // Between two members there is no such line: everybody would read it, so it is asked about.
    at_bens.type_line("@Cleo are you there?");
    at_bens.await_line("that nothing was said", |line| {
        line.starts_with("-- that was not said: Hearth has no messages between two members")
    });
    at_bens.type_line("@Cleo are you there?");
    at_bens.await_line("the words in the room", |line| line.contains("Ben: @Cleo are you there?"));
    at_bens.type_line("/quit");
    at_fays.type_line("/quit");
    assert_eq!((at_bens.wait_open().code, at_fays.wait_open().code), (Some(0), Some(0)));
    let cleos = circle.history(&cleo);
    let heard: Vec<_> = cleos.iter().filter(|row| row["kind"] == "text").collect();
    assert_eq!(heard.len(), 1, "{heard:?}");
}
