//! Breaks, pauses, the end of a place, and who is here: what each reads, and what is refused.

use std::time::{SystemTime, UNIX_EPOCH};

use hearth_kit::{AGREEMENT, AtTerminal, Circle, Person, Relay, Running, text_file, until};

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// An agreement that says who is present when.
fn agreement(present: &str) -> String {
    format!(
        r#"{AGREEMENT}
```help
country = "GB"
present = ["{present}"]
complaint = "the office"

[[contact]]
kind = "emergency"
name = "Emergency"
number = "000"
hours = "always"
checked = {{ on = 2026-11-01, by = "Fay", how = "official page" }}

[[contact]]
kind = "team"
name = "The programme"
number = "001"
hours = "always"
checked = {{ on = 2026-11-01, by = "Fay", how = "dialled" }}
```
"#
    )
}

fn open(relay: &Relay, present: &str) -> Circle {
    Circle::open_under(relay, Person::new(), &agreement(present))
}

/// Returns the name of tomorrow's day.
fn tomorrow() -> &'static str {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    // 1970-01-01 was a Thursday.
    DAYS[usize::try_from((now / 86_400 + 3 + 1) % 7).unwrap()]
}

fn enter(circle: &Circle, person: &Person) -> Running {
    let mut chat = person.starts_plainly(&["chat", &circle.room]);
    chat.await_line("the chat", |line| line.contains("Type and press Enter to speak"));
    chat
}

fn quit(mut chat: Running) -> String {
    chat.type_line("/quit");
    let ended = chat.wait_open();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    ended.stdout
}

#[test]
fn nobody_there_is_told_with_the_next_time() {
    let relay = Relay::start();
    let circle = open(&relay, &format!("Fay {} 19:00-21:00 UTC", tomorrow()));
    let ben = circle.admit("Ben");
    let nobody = "-- Nobody from the team is here. Fay is expected tomorrow at 19:00. You can write; nobody is promised to read. In danger: `/help-now`.";
    let mut chat = enter(&circle, &ben);
    chat.await_line("that nobody is here", |line| line.trim_end() == nobody);
    let status = &circle.by(&ben, "status", &[])[0];
    assert_eq!(
        (&status["expected"]["name"], &status["expected"]["late"]),
        (&"Fay".into(), &false.into())
    );
    circle.fay("duty", &["on", "1h"]);
    chat.await_line("who is here", |line| line.contains("Fay is here for the room until"));
    circle.fay("duty", &["off"]);
    chat.await_line("that nobody is here", |line| line.trim_end() == nobody);
    quit(chat);
}

#[test]
fn late_team_is_named() {
    let relay = Relay::start();
    let circle = open(&relay, "Fay Mon-Sun 0:00-24:00 UTC");
    let ben = circle.admit("Ben");
    let mut chat = enter(&circle, &ben);
    let told = chat.await_line("who is late", |line| line.contains("-- We expected Fay at "));
    assert!(
        told.contains(". Nobody from the team has come yet. In danger: `/help-now`."),
        "{told}"
    );
    quit(chat);
    assert_eq!(circle.by(&ben, "status", &[])[0]["expected"]["late"], true);
}

#[test]
fn unread_hours_are_shown_as_they_are() {
    let relay = Relay::start();
    let circle = open(&relay, "Fay, Tuesdays");
    let ben = circle.admit("Ben");
    let mut chat = enter(&circle, &ben);
    chat.await_line("the agreement's words", |line| {
        line.contains(
            "Nobody from the team is here. By the agreement: Fay, Tuesdays. You can write",
        )
    });
    quit(chat);
    let file = text_file(&agreement("Fay, Tuesdays"));
    let checked = circle.fay.sees(&["agreement", "check", file.path().to_str().unwrap()]);
    assert!(checked.stderr.contains("is shown as it is"), "{checked:?}");
}

#[test]
fn unattended_room_stays_closed_after_a_pause() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    circle.fay("pause", &["1s", "We breathe."]);
    let refused = until("the end of the pause", || {
        let answer = ben.run(&["send", &circle.room, "Is anybody here?"]);
        (answer.lines.last()?["error"] == "unattended").then_some(answer)
    });
    assert_eq!(refused.lines.last().unwrap()["kept"], true, "{refused:?}");
    assert!(circle.by(&ben, "outbox", &[]).iter().any(|kept| kept["held"] == "unattended"));
    circle.by(&ben, "checkin", &["It is closed here."]);
    circle.fay("duty", &["on", "1h"]);
    circle.news(&ben);
    circle.by(&ben, "outbox", &["--send", "all"]);
    let words = |rows: Vec<serde_json::Value>| {
        rows.into_iter()
            .filter(|row| row["kind"] == "text")
            .map(|row| row["text"].clone())
            .collect::<Vec<_>>()
    };
    assert!(words(circle.news(&circle.fay)).contains(&"Is anybody here?".into()));
}

#[test]
fn duty_opens_the_room_after_a_pause() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    circle.fay("duty", &["on", "1h"]);
    let mut chat = enter(&circle, &ben);
    circle.fay("pause", &["2s", "We breathe."]);
    chat.await_line("the end", |line| {
        line.trim_end() == "-- The pause is over and the room is open."
    });
    quit(chat);
    circle.say(&ben, "Here I am");
}

#[test]
fn pause_and_break_need_words() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    let room = circle.room.as_str();
    let refused = circle.fay.run(&["pause", room, "10m"]);
    let advice = refused.refused(2, "needs_words")["try"].as_str().unwrap();
    assert_eq!(advice.matches('“').count(), 3, "{advice}");
    for args in
        [&["break", room, "Ben"][..], &["break", room, "Ben", "20m"], &["remove", room, "Ben"]]
    {
        circle.fay.run(args).refused(2, "needs_words");
    }
    for args in [
        &["pause", room, "61m", "We breathe."][..],
        &["break", room, "Ben", "25h", "Breathe first."],
        &["duty", room, "on", "25h"],
    ] {
        circle.fay.run(args).refused(3, "out_of_range");
    }
    circle.fay.run(&["break", room, "Ben", "until we meet", "Breathe first."]).refused(2, "usage");
    let hours = format!("{} 0:00-24:00 UTC", tomorrow());
    circle.fay("hours", &[&hours]);
    circle.fay("break", &["Ben", "until we meet", "Breathe first."]);
    let until = circle.by(&ben, "status", &[])[0]["timed_out_until"].clone();
    assert!(until.as_str().unwrap().contains("T00:00:0"), "{until}");
}

#[test]
fn lasting_break_is_asked_about() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    circle.fay("break", &["Ben", "20m", "Breathe first."]);
    let mut chat = enter(&circle, &circle.fay);
    chat.type_line("/break Ben 1h Breathe longer");
    chat.await_line("a question", |line| {
        line.contains("Ben has a break until") && line.contains("Change it?")
    });
    chat.type_line("no");
    chat.await_line("nothing", |line| line.contains("nothing was done"));
    quit(chat);
    assert_eq!(
        ben.sees(&["read", &circle.room, "--all"]).stdout.matches("take a break").count(),
        1
    );
}

#[test]
fn open_call_is_asked_about_twice() {
    let relay = Relay::start();
    let circle = open(&relay, "Fay, Tuesdays");
    let ben = circle.admit("Ben");
    ben.does(&["help-now", &circle.room, "--tell"]);
    let mut chat = enter(&circle, &circle.fay);
    chat.await_line("the call", |line| line.contains("Ben asks for help"));
    for (line, questions, done) in [
        (
            "/break Ben 20m Breathe first.",
            ["Give a break now?", "Then once more: give the break now?"],
            "Ben has a break until",
        ),
        (
            "/remove Ben I call you now.",
            ["Remove Ben?", "Ben has asked for help, and that is not over."],
            "Ben is no longer in this room",
        ),
    ] {
        chat.type_line(line);
        for question in questions {
            chat.await_line("a question", |told| told.contains(question));
            chat.type_line("yes");
        }
        chat.await_line("it", |told| told.contains(done));
    }
    quit(chat);
}

#[test]
fn person_reads_more_than_the_others() {
    let relay = Relay::start();
    let circle = open(&relay, "Fay, Tuesdays");
    let (ben, cleo) = (circle.admit("Ben"), circle.admit("Cleo"));
    circle.fay("remove", &["Ben", "--reason", "conduct", "I have to end your place here."]);
    let his = ben.sees(&["read", &circle.room, "--all"]).stdout;
    for words in [
        "Fay has ended your place in this room. Fay writes: “I have to end your place here.” No new messages come to you.",
        "You can talk about this with The programme, 001. If you think that it was wrong: the office.",
        "These numbers are still yours: 000",
    ] {
        assert!(his.contains(words), "{words}: {his}");
    }
    let hers = cleo.sees(&["read", &circle.room, "--all"]).stdout;
    assert!(
        hers.contains("-- Ben is no longer in this room. Fay writes: “We do not talk about why."),
        "{hers}"
    );
    let log = cleo.sees(&["log", &circle.room]).stdout;
    assert!(log.contains("Fay ended Ben's place in the room"), "{log}");
    assert!(!format!("{hers}{log}").contains("conduct"), "{hers}{log}");
    // Who does that is here for the others for an hour.
    assert_eq!(circle.by(&cleo, "status", &[])[0]["on_duty"][0]["name"], "Fay");
    ben.does(&["receipt", &circle.room]);
    assert!(ben.sees(&["help-now"]).stdout.contains("000"));
}

#[test]
fn held_words_are_changed_before_they_go() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    circle.fay("pause", &["10m", "We breathe."]);
    ben.run(&["send", &circle.room, "You always do this"]).refused(3, "paused");
    let id = circle.by(&ben, "outbox", &[])[0]["id"].as_str().unwrap().to_owned();
    ben.run(&["outbox", &circle.room, "--change", &id]).refused(2, "usage");
    circle.by(&ben, "outbox", &["--change", &id, "I", "was afraid"]);
    let kept = circle.by(&ben, "outbox", &[]);
    assert_eq!((&kept[0]["held"], kept.len()), (&"paused".into(), 1), "{kept:?}");
    circle.fay("resume", &[]);
    circle.by(&ben, "outbox", &["--send", "all"]);
    let all = format!("{:?}", circle.history(&circle.fay));
    assert!(all.contains("I was afraid") && !all.contains("You always"), "{all}");
}

#[test]
fn refused_exercise_says_nothing() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    circle.admit("Ben");
    circle.fay("round", &["start"]);
    circle.fay.run(&["exercise", &circle.room, "opening-round"]).refused(3, "round_on");
    circle.fay("round", &["end"]);
    assert!(!format!("{:?}", circle.history(&circle.fay)).contains("Opening round"));
    circle.fay("exercise", &["opening-round"]);
    let mut chat = enter(&circle, &circle.fay);
    chat.type_line("/exercise next");
    chat.await_line("a question", |line| {
        line.contains("1 turn is left in this round. End it now?")
    });
    chat.type_line("no");
    chat.await_line("nothing", |line| line.contains("nothing was done"));
    quit(chat);
    assert!(circle.fay("hands", &[])[0]["round"].is_object());
}

#[test]
fn slip_shows_the_numbers() {
    let relay = Relay::start();
    let circle = open(&relay, "Fay, Tuesdays");
    let ben = circle.admit("Ben");
    for line in
        [&["help-now", "--bogus"][..], &["help-now", "-tell"], &["help-now", &circle.room, "--tel"]]
    {
        let ended = ben.sees(line);
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(
            ended.stderr.contains("000") && ended.stderr.contains("Nothing has been sent."),
            "{ended:?}"
        );
    }
}

#[test]
fn old_numbers_are_told_at_the_start() {
    let relay = Relay::start();
    let old = agreement("Fay, Tuesdays").replace("2026-11-01", "2026-01-01");
    let (file, grant, fay) = (text_file(&old), relay.grant(), Person::new());
    let path = file.path().to_str().unwrap();
    let args = ["room", "create", "Evening", "--grant", &grant, "--agreement", path, "--as", "Fay"];
    let created = fay.sees(&args);
    assert_eq!(created.code, Some(0), "{created:?}");
    assert!(created.stderr.contains("were last checked on 2026-01-01"), "{created:?}");
}

#[test]
fn terminal_offers_three_words_for_a_pause() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    let mut screen = AtTerminal::start(&circle.fay, "xterm", &["pause", &circle.room, "5m"]);
    screen.await_words("or a number:");
    screen.types("2\r");
    screen.await_words("You paused the room until");
    assert_eq!(screen.ends().0.code(), Some(0));
    let news = circle.news(&ben);
    let pause = news.iter().find(|row| row["act"] == "pause").unwrap();
    assert!(
        pause["comment"].as_str().unwrap().starts_with("Two of us see this differently."),
        "{pause}"
    );
    assert_eq!(pause["reopens"], false);
}
