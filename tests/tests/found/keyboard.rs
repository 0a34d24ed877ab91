//! People at the keyboard: what ends a chat, what is asked first, and what is said.

use std::fs;

use hearth_kit::{
    AtTerminal, Circle, Person, Proxy, Relay, RelayOptions, clock, text_file, unwrapped, wait_until,
};
use rustix::process::Signal;
use serde_json::{Value, json};

/// Enters the chat over pipes and waits until it is there.
fn enter(circle: &Circle, person: &Person) -> hearth_kit::Running {
    let mut chat = person.starts_plainly(&["chat", &circle.room]);
    chat.type_line("/status");
    chat.await_line("the room's state", |line| line.contains("; agreement version"));
    chat
}

/// A relay behind a proxy, and a room at it.
fn behind_proxy() -> (Proxy, Relay, Circle) {
    let proxy = Proxy::new();
    let public_url = Some(proxy.address().to_string());
    let relay = Relay::start_with(RelayOptions { public_url, ..RelayOptions::default() });
    proxy.set_target(relay.address());
    let circle = Circle::open(&relay);
    (proxy, relay, circle)
}

pub(super) fn texts(rows: &[Value]) -> Vec<&str> {
    rows.iter().filter(|row| row["kind"] == "text").map(|r| r["text"].as_str().unwrap()).collect()
}

/// On 0.1 the chat ended with code 4 as soon as a connection broke right after "connected again", and the next private
/// sentence went to the shell.
#[test]
fn d1_broken_connections_end_no_chat() {
    let (proxy, _relay, circle) = behind_proxy();
    let mut chat = AtTerminal::start(&circle.fay, "xterm", &["chat", &circle.room]);
    chat.await_words("/quit ends");
    chat.types("first\r");
    chat.await_words("Fay: first");
    let mut said = vec!["first".to_owned()];
    for pieces in [5, 3, 4, 6, 7, 8] {
        let (cuts, words) = (proxy.cuts(), format!("behind {pieces} pieces"));
        proxy.cut_after_pieces(pieces);
        chat.types(&format!("{words}\r"));
        said.push(words);
        wait_until("a connection that is cut", || proxy.cuts() > cuts || chat.sees("is kept"));
        assert!(chat.goes_on(), "{}", chat.screen());
    }
    let cuts = proxy.cuts();
    wait_until("another connection that is cut", || proxy.cuts() > cuts);
    assert!(chat.goes_on(), "{}", chat.screen());
    proxy.cut_after_pieces(usize::MAX);
    chat.await_words("Fay: behind 8 pieces");
    chat.types("/quit\r");
    let (status, screen) = chat.ends();
    assert_eq!(status.code(), Some(0), "{screen}");
    assert_eq!(texts(&circle.history(&circle.fay)), said);
}

/// The relay may have carried an act out when its answer is lost: the words say so, with the command that shows it, and a second run
/// does no harm.
#[test]
fn lost_answer_may_mean_done() {
    let (proxy, _relay, circle) = behind_proxy();
    circle.knock(&Person::new(), "Ben");
    for (command, shown) in [(["announce", "Tea"], "announcement"), (["admit", "Ben"], "Ben")] {
        let args = [command[0], &circle.room, command[1]];
        let lost = (1..80).find_map(|pieces| {
            proxy.cut_after_pieces(pieces);
            let ended = circle.fay.sees(&args);
            assert_ne!(ended.code, Some(0), "no answer was lost: {ended:?}");
            ended.stderr.contains("may have been done").then_some(ended)
        });
        proxy.cut_after_pieces(usize::MAX);
        let lost = lost.unwrap();
        assert_eq!(lost.code, Some(4), "{lost:?}");
        for advice in ["hearth log", "hearth who"] {
            assert!(lost.stderr.contains(&format!("{advice} {}", circle.room)), "{lost:?}");
        }
        let log = circle.fay.sees(&["log", &circle.room]);
        assert!(log.stdout.contains(shown), "{log:?}");
        let again = circle.fay.sees(&args);
        assert_eq!(again.code, Some(0), "{again:?}");
        assert_eq!(again.stderr, "", "{again:?}");
    }
    assert_eq!(circle.fay("who", &[]).len(), 2);
    assert_eq!(circle.fay("admit", &["Ben"])[0]["already"], true);
}

/// Whoever is in the middle of a sentence when the chat ends against their will must not tell it to the shell.
#[test]
fn d1_removed_member_leaves_by_enter() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    for term in ["xterm", "dumb"] {
        let mut chat = AtTerminal::start(&ben, term, &["chat", &circle.room]);
        chat.await_words("/quit ends");
        chat.types("here\r");
        chat.await_words("Ben: here");
        chat.types("a private sent");
        circle.fay("remove", &["Ben", "--reason", "request", "Thank you for coming."]);
        chat.await_words("your place in this room has ended");
        chat.await_words("Press Enter alone");
        // The profile is free while the screen waits.
        assert_eq!(ben.does(&["room", "list"])[0]["standing"], "removed");
        let asked = chat.screen().matches("Press Enter alone").count();
        chat.types("ence\rand another\r");
        let more = if term == "xterm" { 2 } else { 1 };
        wait_until("that it asks again", || {
            chat.screen().matches("Press Enter alone").count() >= asked + more
        });
        assert!(chat.goes_on(), "{}", chat.screen());
        wait_until("that every key is read", || chat.keys_left() == 0);
        chat.types("\r");
        let (status, screen) = chat.ends();
        assert_eq!(status.code(), Some(3), "{screen}");
        assert_eq!(screen.matches("your place in this room has ended").count(), 1, "{screen}");
        assert!(texts(&circle.history(&circle.fay)).iter().all(|text| !text.contains("private")));
        circle.admit_person(&ben, "Ben");
    }
}

#[test]
fn d1_idle_lock_waits_for_enter() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let args = ["chat", &circle.room, "--lock-after", "1s"];
    let mut chat = AtTerminal::start(&circle.fay, "xterm", &args);
    chat.await_words("-- locked");
    chat.await_words("Press Enter alone");
    assert!(chat.goes_on());
    chat.types("\r");
    assert_eq!(chat.ends().0.code(), Some(0));
    // A pipe has nobody to wait for.
    let ended = circle.fay.starts_plainly(&args).wait_open();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains("-- locked"), "{ended:?}");
}

/// The lock takes the screen away, and the sentence that was not finished comes back in the next chat.
#[test]
fn d2_idle_lock_keeps_draft() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    circle.say(&circle.fay, "said in private");
    let args = ["chat", &circle.room, "--lock-after", "1s"];
    let mut chat = AtTerminal::start(&circle.fay, "xterm", &args);
    chat.await_words("said in private");
    chat.types("I was about to");
    chat.await_words("Press Enter alone");
    let screen = chat.screen();
    let (_, hidden) = screen.rsplit_once("\x1b[H\x1b[2J").unwrap();
    assert!(!hidden.contains("private") && !hidden.contains("about"), "{hidden:?}");
    chat.types("\r");
    assert_eq!(chat.ends().0.code(), Some(0));
    let mut again = AtTerminal::start(&circle.fay, "xterm", &["chat", &circle.room]);
    again.await_words("back in the line");
    again.types(" say it.\r");
    again.await_words("Fay: I was about to say it.");
    again.types("\x04");
    assert_eq!(again.ends().0.code(), Some(0));
    assert!(texts(&circle.history(&circle.fay)).contains(&"I was about to say it."));
}

#[test]
fn d2_keys_put_lock_off() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let args = ["chat", &circle.room, "--lock-after", "2s"];
    let mut chat = AtTerminal::start(&circle.fay, "xterm", &args);
    chat.await_words("/quit ends");
    let begun = std::time::Instant::now();
    let mut words = String::new();
    while begun.elapsed() < std::time::Duration::from_secs(4) {
        words.push('x');
        chat.types("x");
        chat.await_words(&words);
        words.truncate(40);
    }
    assert!(!chat.sees("-- locked"));
    chat.await_words("-- locked");
    chat.types("\r");
    assert_eq!(chat.ends().0.code(), Some(0));
}

#[test]
fn d4_untouched_template_is_refused() {
    let relay = Relay::start();
    let template = Person::new().sees(&["agreement", "template"]).stdout;
    let grant = relay.grant();
    let fay = Person::new();
    let create = |text: &str| {
        let file = text_file(text);
        let path = file.path().to_str().unwrap().to_owned();
        let args = ["room", "create", "Evening", "--grant", &grant, "--as", "Fay", "--agreement"];
        fay.run(&[&args[..], &[&path]].concat())
    };
    let refusal = create(&template);
    let object = refusal.refused(2, "agreement_template");
    let message = object["message"].as_str().unwrap();
    for words in ["[emergency number]", "line 67", "[names or roles, and the program]", "line 7:"] {
        assert!(message.contains(words), "{words}: {message}");
    }
    let one_left = "We agree.\n\nIn danger, I call [emergency number].\n";
    let message = create(one_left).refused(2, "agreement_template")["message"].clone();
    assert!(message.as_str().unwrap().contains("line 3: [emergency number]"), "{message}");
    // Brackets that are taken away fill in nothing.
    let stripped = template.replace(['[', ']'], "");
    create(&stripped).refused(2, "agreement_template");
    assert!(!fay.home().exists(), "a profile was made for a room that there is not");
    // The facilitator's own brackets are theirs.
    create("What is said here stays here [and nowhere else], see [1].\n").done();
    let circle = Circle::open(&relay);
    let file = text_file(&template);
    let path = file.path().to_str().unwrap();
    for kind in ["--editorial", "--material"] {
        circle
            .fay
            .run(&["agreement", "amend", &circle.room, path, kind])
            .refused(2, "agreement_template");
    }
}

#[test]
fn d8_leaving_asks_first() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let (ben, cleo) = (circle.admit("Ben"), circle.admit("Cleo"));
    circle.say(&ben, "kept");
    let mut chat = enter(&circle, &ben);
    for (line, question) in [
        ("/leave So long", "Leave this room?"),
        ("/withdraw", "Withdraw your acknowledgement"),
        ("/retract --all-from Ben", "every message of Ben"),
    ] {
        chat.type_line(line);
        chat.await_line("a question", |line| line.contains(question));
        chat.type_line("no, wait");
        chat.await_line("that nothing was done", |line| line.contains("nothing was done"));
    }
    chat.type_line("/leave So long");
    chat.await_line("a question", |line| line.contains("Leave this room?"));
    chat.type_line("yes");
    assert_eq!(chat.wait_open().code, Some(0));
    let said = circle.history(&circle.fay);
    assert!(texts(&said).contains(&"kept") && !texts(&said).contains(&"no, wait"), "{said:?}");
    assert_eq!(ben.does(&["room", "list"])[0]["standing"], "left");
    // On a terminal the command asks as well; a program is not asked.
    let mut leave = AtTerminal::start(&cleo, "xterm", &["leave", &circle.room]);
    leave.await_words("Type yes");
    leave.types("no\r");
    assert_eq!(leave.ends().0.code(), Some(1));
    assert_eq!(cleo.does(&["room", "list"])[0]["standing"], "member");
    circle.by(&cleo, "leave", &["--yes", "So long"]);
    let dora = circle.admit("Dora");
    circle.by(&dora, "withdraw", &[]);
    assert_eq!(dora.does(&["room", "list"])[0]["standing"], "left");
}

#[test]
fn d8_times_are_understood_or_refused() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    let until_in = |words: &[&str]| {
        circle.fay("pause", &[&[&*words.join(" ")], &["We breathe."][..]].concat());
        let until = circle.fay("status", &[])[0]["paused_until"].as_str().unwrap().to_owned();
        let until: u64 = millis(&until);
        (until - hearth_session::live::now().0).div_ceil(60_000)
    };
    for (words, minutes) in [
        (&["1", "hour"][..], 60),
        (&["1 hour"], 60),
        (&["10", "min"], 10),
        (&["50 minutes"], 50),
        (&["half", "an", "hour"], 30),
    ] {
        assert_eq!(until_in(words), minutes, "{words:?}");
    }
    circle.fay("resume", &[]);
    for words in [
        &["2", "Stunden"][..],
        &["2 Stunden"],
        &["soon"],
        &["until", "18:00"],
        &["10"],
        &["forty-five minutes"],
        &["ten"],
        &["a couple of hours"],
        &["about 10 min"],
        &["1h 30"],
    ] {
        // A single word that is no number is a remark.
        if words != ["soon"] {
            circle.fay.run(&[&["pause", &circle.room], words].concat()).refused(2, "usage");
        }
        circle.fay.run(&[&["timeout", &circle.room, "Ben"], words].concat()).refused(2, "usage");
        circle.fay.run(&[&["slow", &circle.room], words].concat()).refused(2, "usage");
        circle.fay.run(&[&["expire", &circle.room], words].concat()).refused(2, "usage");
    }
    assert_eq!(circle.fay("status", &[])[0]["paused_until"], Value::Null);
    circle.fay("slow", &["10", "minutes"]);
    circle.fay("expire", &["20", "days"]);
    let status = &circle.fay("status", &[])[0];
    assert_eq!(
        (&status["slow_seconds"], &status["retention_seconds"]),
        (&600.into(), &1_728_000.into())
    );
    let mut chat = enter(&circle, &circle.fay);
    chat.type_line("/pause 2 Stunden");
    chat.await_line("that it is no time", |line| line.contains("a length of time"));
    chat.type_line("/timeout ben 2 hours rest a little");
    chat.await_line("it", |line| line.contains("Ben has a break until"));
    chat.close_input();
    assert_eq!(chat.wait().code, Some(0));
    let mine = circle.news(&ben);
    assert!(mine.iter().any(|row| row["text"] == "rest a little"), "{mine:?}");
}

fn millis(rfc3339: &str) -> u64 {
    let time = |at: &str| at.parse::<u64>().unwrap();
    let (date, clock) = rfc3339.split_once('T').unwrap();
    let mut date = date.split('-').map(time);
    let (year, month, day) = (date.next().unwrap(), date.next().unwrap(), date.next().unwrap());
    // Days from civil, by Howard Hinnant.
    let year = if month <= 2 { year - 1 } else { year };
    let of_era = year % 400;
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    let days = year / 400 * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    let clock = clock.trim_end_matches('Z');
    let (clock, milli) = clock.split_once('.').unwrap();
    let seconds = clock.split(':').map(time).fold(0, |sum, part| sum * 60 + part);
    (days * 86_400 + seconds) * 1000 + time(milli)
}

#[test]
fn d8_names_are_printed_and_found() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = Person::new();
    circle.knock(&ben, "Ben");
    let admitted = circle.fay("admit", &["ben"]);
    assert_eq!(admitted[0]["name"], "Ben");
    let cleo = Person::new();
    circle.knock(&cleo, "Cleo");
    assert_eq!(circle.fay("decline", &["CLEO"])[0]["name"], "Cleo");
    let sees = |args: &[&str]| {
        let ended = circle.fay.sees(args);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        ended.stdout
    };
    let room = circle.room.as_str();
    assert!(sees(&["role", room, "ben", "observer"]).contains("You made Ben an observer."));
    assert!(
        sees(&["timeout", room, "BEN", "10m", "Rest a little."]).contains("Ben has a break until")
    );
    assert!(sees(&["untimeout", room, "ben"]).contains("the break of Ben is over"));
    assert!(
        sees(&["remove", room, "ben", "--reason", "request", "Thank you for coming."])
            .contains("You ended Ben's place in the room.")
    );
    // Two who look alike are told apart by id.
    let (dora, other) = (Person::new(), Person::new());
    circle.knock(&dora, "Dora");
    circle.knock(&other, "DORA");
    circle.fay.run(&["admit", room, "dora"]).refused(2, "ambiguous");
    assert_eq!(circle.fay("admit", &["DORA"])[0]["name"], "DORA");
}

#[test]
fn d9_status_text_hides_nothing() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    let id = circle.say(&circle.fay, "The number is 116 123");
    circle.fay("pin", &[&id]);
    circle.fay("timeout", &["Ben", "2 hours", "Rest a little."]);
    let text = text_file("Another text.\n");
    let path = text.path().to_str().unwrap();
    let amend = ["agreement", "amend", &circle.room, path, "--material", "--effective", "3d"];
    circle.fay.does(&amend);
    circle.news(&ben);
    let (mine, hers) = (
        ben.sees(&["status", &circle.room]).stdout,
        circle.fay.sees(&["status", &circle.room]).stdout,
    );
    let pending = circle.fay("status", &[])[0]["pending_agreement"].as_str().unwrap().to_owned();
    for text in [&mine, &hers] {
        for words in ["open now", "pinned: [", "116 123", "a new agreement waits", &pending] {
            assert!(text.contains(words), "{words}: {text}");
        }
        assert!(text.contains(&circle.agreement), "{text}");
    }
    assert!(mine.contains("you have a break until"), "{mine}");
    assert!(hers.contains("Ben has a break until"), "{hers}");
    for (command, words, open) in [
        (&["close"][..], "closed now", false),
        (&["open"], "open now", true),
        (&["open", "--by-hours"], "open now", true),
    ] {
        circle.fay(command[0], &command[1..]);
        let text = ben.sees(&["status", &circle.room]).stdout;
        assert!(text.contains(words), "{words}: {text}");
        assert_eq!(circle.by(&ben, "status", &[])[0]["open"], open);
    }
}

#[test]
fn d10_slips_are_named_and_asked_about() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    let mut chat = enter(&circle, &circle.fay);
    for (line, what, usage, example) in [
        ("/remove", "/remove needs NAME", "/remove NAME [--reason CATEGORY]", "/remove Ben"),
        ("/lock maybe", "/lock takes on or off, not \"maybe\"", "/lock on|off", "/lock on"),
        ("/admit", "/admit needs NAME", "/admit NAME", "/admit Ben"),
        ("/who --loud", "/who has no --loud", "/who", ""),
        ("/puase 5m", "no command /puase", "/pause [TIME]", ""),
        ("/paus", "no command /paus", "/pause [TIME]", ""),
        ("/retrct ab12", "no command /retrct", "/retract ID", ""),
    ] {
        chat.type_line(line);
        let told = chat.await_line("the slip", |line| line.contains("nothing was sent"));
        for words in [what, usage, example] {
            assert!(told.contains(words), "{words}: {told}");
        }
        for theirs in ["argument", "possible values", "invalid value"] {
            assert!(!told.contains(theirs), "{told}");
        }
    }
    for (line, command) in [("help", "/help"), ("Quit", "/quit"), ("who", "/who")] {
        chat.type_line(line);
        chat.await_line("a question", |told| told.contains("not said") && told.contains(command));
    }
    chat.type_line("quit");
    chat.await_line("a question", |told| told.contains("not said"));
    chat.type_line("quit");
    chat.await_line("the word", |line| line.contains("Fay: quit"));
    chat.type_line("/quit");
    assert_eq!(chat.wait_open().code, Some(0));
    circle.news(&ben);
    assert_eq!(texts(&circle.history(&ben)), ["quit"]);
}

#[test]
fn d10_help_is_for_the_reader() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    let help = |person: &Person| {
        let mut chat = enter(&circle, person);
        chat.type_line("/help");
        chat.type_line("/help pause");
        chat.await_line("one command", |line| line.starts_with("For facilitators"));
        chat.type_line("/quit");
        let ended = chat.wait_open();
        ended.stdout.lines().filter(|l| l.starts_with("  /")).map(str::to_owned).collect::<Vec<_>>()
    };
    let (hers, his) = (help(&circle.fay), help(&ben));
    let has = |lines: &[String], word: &str| lines.iter().any(|line| line.trim().starts_with(word));
    for word in ["/pause", "/admit", "/expire", "/who", "/leave"] {
        assert!(has(&hers, word), "{word}: {hers:?}");
    }
    for word in ["/pause", "/admit", "/expire", "/remove", "/role"] {
        assert!(!has(&his, word), "{word}: {his:?}");
    }
    assert!(has(&his, "/who") && has(&his, "/leave") && his.len() < hers.len(), "{his:?}");
    for line in hers.iter().chain(&his) {
        assert!(!line.contains("[E") && !line.contains("CF"), "{line}");
    }
}

#[test]
fn d11_pasted_links_are_taken() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let link = circle.invite(&["--uses", "20"]);
    let wrapped = |with: &str| {
        let pieces = (0..link.len()).step_by(50).map(|i| &link[i..link.len().min(i + 50)]);
        pieces.collect::<Vec<_>>().join(with)
    };
    let pasted = [
        wrapped("\n"),
        wrapped("\r\n> "),
        wrapped(" "),
        format!("<{link}>"),
        format!("\u{201c}{link}\u{201d}."),
        format!("'{link}',"),
        format!("Here it is: {link}\nSee you on Tuesday!"),
        link.replace("hearth://", "Hearth://"),
    ];
    for text in pasted {
        let ben = Person::new();
        let shown = ben.does(&["agreement", "show", &text]);
        assert_eq!(shown[0]["agreement"], *circle.agreement, "{text}");
        let ack = circle.agreement.as_str();
        ben.does(&["join", &text, "--as", "Ben", "--acknowledge", ack, "--no-wait"]);
    }
    let cut = &link[..link.len() - 5];
    Person::new().run(&["agreement", "show", &format!("<{cut}>")]).refused(3, "invite_damaged");
    // And typed by a person, in several lines, unseen.
    let cleo = Person::new();
    let mut join = AtTerminal::start(&cleo, "xterm", &["agreement", "show"]);
    join.await_words("it is not shown");
    join.types(&wrapped("\r"));
    join.types("\r");
    join.await_words(&circle.agreement);
    let (status, screen) = join.ends();
    assert_eq!(status.code(), Some(0), "{screen}");
    let secret = link.split_once('#').unwrap().1;
    assert!(!screen.contains(&secret[..20]), "{screen}");
}

#[test]
fn d11_code_fits_or_is_left_out() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    for (columns, drawn) in [(80, true), (40, true), (30, false)] {
        let args = ["invite", &circle.room, "--qr"];
        let invite = AtTerminal::start_with(&circle.fay, "xterm", &args, columns);
        let (status, screen) = invite.ends();
        assert_eq!(status.code(), Some(0), "{screen}");
        assert_eq!(screen.contains('█'), drawn, "{screen}");
        assert_eq!(screen.contains("The QR code is left out"), !drawn, "{screen}");
        let widest =
            screen.lines().filter(|l| l.contains('█')).map(|l| l.trim_end().chars().count());
        assert!(widest.max().unwrap_or(0) <= usize::from(columns), "{screen}");
        assert!(screen.contains("hearth://"), "{screen}");
    }
}

#[test]
fn d13_nobody_reads_engineers_words() {
    let mut relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    let receipt = ben.sees(&["receipt", &circle.room]).stdout;
    let file = text_file(&receipt);
    let verified = ben.sees(&["receipt", "verify", file.path().to_str().unwrap()]).stdout;
    let signed = verified.lines().find(|line| line.contains("acknowledged version")).unwrap();
    let year = signed.split_whitespace().any(|word| word.len() == 4 && word.starts_with("20"));
    assert!(year && signed.contains("UTC"), "{signed}");
    let mut chat = enter(&circle, &ben);
    relay.stop();
    chat.await_line("that it is away", |line| line.contains("is kept"));
    let mut said = Vec::new();
    for args in [
        vec!["send", circle.room.as_str(), "hello"],
        vec!["read", &circle.room],
        vec!["knocks", &circle.room],
        vec!["receipt", "verify", "/nonexistent"],
        vec!["receipt", "verify", "/"],
        vec!["--passphrase-file", "/nonexistent", "room", "list"],
    ] {
        // The chat has Ben's profile.
        let ended = circle.fay.sees(&args);
        assert_ne!(ended.code, Some(0), "{ended:?}");
        said.push(ended.stderr);
    }
    let nobody = std::net::TcpListener::bind(relay.address()).unwrap();
    let closing = std::thread::spawn(move || drop(nobody.accept().unwrap()));
    said.push(circle.fay.sees(&["status", &circle.room]).stderr);
    closing.join().unwrap();
    chat.type_line("/quit");
    let ended = chat.wait_open();
    said.push(ended.stdout);
    for text in &said {
        for word in ["os error", "http", "shutting_down", "errno", "Connection refused", "(code"] {
            assert!(!text.contains(word), "{word}: {text}");
        }
        let codes = text.split_whitespace().filter(|word| word.contains('_'));
        assert_eq!(codes.count(), 0, "{text}");
    }
}

#[test]
fn d14_new_limit_holds_the_next_message() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    circle.fay("len", &["5"]);
    // Ben has not heard of it yet.
    let answer = ben.run(&["send", &circle.room, "Far too long"]);
    answer.refused(3, "too_long");
    assert!(circle.by(&ben, "outbox", &[]).is_empty());
    circle.fay("len", &["off"]);
    circle.say(&ben, "long enough");
    let mut chat = enter(&circle, &ben);
    circle.fay("len", &["5"]);
    chat.type_line("Far too long again");
    chat.await_line("the refusal", |line| line.contains("the room allows 5"));
    chat.close_input();
    assert_eq!(chat.wait().code, Some(0));
    circle.news(&circle.fay);
    assert_eq!(texts(&circle.history(&circle.fay)), ["long enough"]);
}

/// What was written before the rule, without a connection, stays for the person, and stops nothing.
#[test]
fn d14_waiting_words_are_not_lost() {
    let mut relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    relay.stop();
    for text in ["Written without a connection", "Hi"] {
        ben.run(&["send", &circle.room, text]).failed(4, "unreachable");
    }
    relay.restart();
    circle.fay("len", &["5"]);
    circle.news(&ben);
    let waiting = circle.by(&ben, "outbox", &[]);
    assert_eq!(waiting.len(), 1, "{waiting:?}");
    assert_eq!(waiting[0]["text"], "Written without a connection");
    assert_eq!(waiting[0]["held"], "too_long");
    circle.say(&ben, "Well");
    circle.news(&circle.fay);
    assert_eq!(texts(&circle.history(&circle.fay)), ["Hi", "Well"]);
    assert!(ben.sees(&["status", &circle.room]).stdout.contains("until you send or drop them"));
    assert!(ben.sees(&["outbox", &circle.room]).stdout.contains("longer than the room allows"));
    let id = waiting[0]["id"].as_str().unwrap();
    ben.run(&["outbox", &circle.room, "--send", id]).refused(3, "too_long");
    // Lifted weeks later, the rule sends nothing that its author has long forgotten.
    circle.fay("len", &["off"]);
    circle.news(&ben);
    circle.news(&circle.fay);
    assert_eq!(texts(&circle.history(&circle.fay)), ["Hi", "Well"]);
    circle.by(&ben, "outbox", &["--send", id]);
    circle.news(&circle.fay);
    let said = circle.history(&circle.fay);
    assert_eq!(texts(&said), ["Hi", "Well", "Written without a connection"]);
    assert!(!said.iter().any(|row| row["kind"] == "notice"), "{said:?}");
}

#[test]
fn d14_expired_words_are_not_shown() {
    let Some(later) = clock("+31d") else { return };
    let mut relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    circle.say(&circle.fay, "read in time");
    circle.news(&ben);
    relay.stop();
    let offline = ben.run_under(&later, &["read", &circle.room, "--all"]);
    offline.failed(4, "unreachable");
    assert!(texts(&offline.lines[..offline.lines.len() - 1]).is_empty(), "{offline:?}");
    relay.restart();
    for _ in 0..2 {
        let rows = ben.run_under(&later, &["read", &circle.room, "--all"]);
        assert!(!rows.stdout.contains("in time"), "{rows:?}");
    }
    let mut chat = ben.starts_under(&later, &["chat", &circle.room]);
    chat.type_line("/who");
    chat.await_line("an answer", |line| line.contains("Ben"));
    chat.close_input();
    let shown = chat.wait();
    assert!(!shown.stdout.contains("in time"), "{shown:?}");
}

#[test]
fn e13_future_acknowledgement_blames_its_clock() {
    let Some(ahead) = clock("+3h") else { return };
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let (ben, link) = (Person::new(), circle.invite(&[]));
    let join = ["join", &link, "--as", "Ben", "--acknowledge", &circle.agreement, "--no-wait"];
    ben.run_under(&ahead, &join).done();
    let answer = circle.fay.run(&["admit", &circle.room, "Ben"]);
    let object = answer.failed(3, "clock_wrong");
    let (message, advice) = (object["message"].as_str().unwrap(), object["try"].as_str().unwrap());
    assert!(message.contains("clock") && !message.contains("expired"), "{message}");
    assert!(advice.contains("clock"), "{advice}");
}

#[test]
fn e14_knocks_mark_names_like_members() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    circle.admit("Ben");
    for name in ["BEN", "Dora"] {
        circle.knock(&Person::new(), name);
    }
    let knocks = circle.fay("knocks", &[]);
    let of = |name: &str| knocks.iter().find(|knock| knock["name"] == name).unwrap();
    assert_eq!(of("BEN")["looks_like"], "Ben");
    assert_eq!(of("Dora")["looks_like"], Value::Null);
    let text = circle.fay.sees(&["knocks", &circle.room]).stdout;
    assert!(text.contains("!! looks like Ben, who is in the room"), "{text}");
    circle.fay.run(&["admit", &circle.room, "BEN"]).refused(3, "name_taken");
}

#[test]
fn b4_knocks_are_told_once() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let mut chat = enter(&circle, &circle.fay);
    let link = circle_invite(&mut chat);
    let knock = |name: &str| {
        let ack = circle.agreement.as_str();
        Person::new().does(&["join", &link, "--as", name, "--acknowledge", ack, "--no-wait"]);
    };
    for name in ["Ben", "Cleo", "Dora"] {
        knock(name);
    }
    chat.type_line("/knocks");
    for _ in 0..3 {
        chat.await_line("a knock", |line| line.contains("acknowledged version 1, verified"));
    }
    knock("Eve");
    chat.await_line("that somebody knocks", |line| line.contains("somebody knocks"));
    chat.type_line("/quit");
    let ended = chat.wait_open();
    assert_eq!(ended.stdout.matches("somebody knocks").count(), 2, "{}", ended.stdout);
}

/// Makes an invite in a chat.
fn circle_invite(chat: &mut hearth_kit::Running) -> String {
    chat.type_line("/invite --uses 9");
    chat.await_line("a link", |line| line.starts_with("hearth://")).trim().to_owned()
}

#[test]
fn profiles_of_0_1_are_refused() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let file = circle.fay.home().join("hearth.db");
    let store = rusqlite::Connection::open(&file).unwrap();
    store.execute_batch("PRAGMA user_version = 1").unwrap();
    drop(store);
    let answer = circle.fay.run(&["room", "list"]);
    let object = answer.refused(1, "profile_older");
    assert!(object["try"].as_str().unwrap().contains("--home"), "{object}");
}

/// What a command prints for a person.
fn seen(person: &Person, args: &[&str]) -> String {
    let ended = person.sees(args);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    ended.stdout
}

#[test]
fn acts_read_as_sentences() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let (ben, cleo) = (circle.admit("Ben"), circle.admit("Cleo"));
    let id = circle.say(&ben, "The number is 116 123");
    circle.fay("role", &["Ben", "cofacilitator"]);
    circle.fay("pause", &["1h", "Let us breathe"]);
    circle.fay("resume", &[]);
    circle.fay("slow", &["10m"]);
    circle.fay("budget", &["1/day"]);
    circle.fay("hours", &["Mon 17:00-20:00 UTC"]);
    circle.fay("open", &[]);
    circle.fay("timeout", &["Cleo", "10m", "Rest a little."]);
    circle.fay("announce", &["Tea at four"]);
    circle.fay("retract", &[&id, "--reason", "conduct"]);
    circle.by(&cleo, "leave", &[]);
    circle.news(&ben);
    let room = circle.room.as_str();
    let (log, read) =
        (seen(&circle.fay, &["log", room]), seen(&circle.fay, &["read", room, "--all"]));
    for sentence in [
        "Fay admitted Cleo as a member",
        "Fay made Ben a co-facilitator",
        "Fay paused the room until ",
        "Fay ended the pause",
        "Fay set slow mode to one post every 10 min",
        "Fay limited each member to 1 post a day",
        "Fay set the opening hours to Mon 17:00-20:00 UTC",
        "Fay opened the room whatever its hours say",
        "Fay took down ",
        "Cleo left the room (Ben's program carried it out)",
    ] {
        for text in [&log, &read] {
            assert!(text.contains(sentence), "{sentence}: {text}");
        }
    }
    assert!(log.contains("Fay opened the room\n"), "{log}");
    assert!(log.contains("Fay gave a member a break"), "{log}");
    // The log has no words; the room has them.
    assert!(!log.contains("breathe") && !log.contains("Tea"), "{log}");
    assert!(read.contains("“Let us breathe”") && read.contains("Fay: Tea at four"), "{read}");
    assert!(log.contains("Fay made an announcement"), "{log}");
    let paused = seen(&circle.fay, &["pause", room, "1h", "Let us breathe."]);
    assert!(paused.starts_with("You paused the room until "), "{paused}");
}

#[test]
fn empty_lists_are_said() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let room = circle.room.as_str();
    circle.news(&circle.fay);
    for (args, words) in [
        (["knocks", room], "Nobody waits at the door.\n"),
        (["outbox", room], "Nothing waits in your outbox.\n"),
        (["read", room], "You have read everything.\n"),
    ] {
        assert_eq!(seen(&circle.fay, &args), words);
        // Programs see an empty list.
        assert!(circle.fay.does(&args).is_empty());
    }
    circle.fay.does(&["room", "wipe", room, "--yes"]);
    assert!(seen(&circle.fay, &["room", "list"]).contains("no room"));
    assert!(circle.fay.does(&["room", "list"]).is_empty());
}

#[test]
fn chat_advice_names_slash_commands() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let mut chat = enter(&circle, &circle.fay);
    for (line, advice) in [
        ("/resume", "`/status` shows"),
        ("/admit Nobody", "`/knocks` lists"),
        ("/role Nobody member", "`/who` lists"),
        ("/pin zzzz", "`/read --all` shows"),
        ("/follow", "Type /quit, then `hearth follow tuesday-evening`"),
        ("/profile", "Type /quit, then `hearth profile`"),
    ] {
        chat.type_line(line);
        let advises = |told: &str| told.contains('`') && !told.contains("from the team");
        let told = chat.await_line("advice", advises);
        assert!(told.contains(advice), "{line}: {told}");
        assert!(!told.contains("ROOM"), "{line}: {told}");
    }
    chat.type_line("/quit");
    assert_eq!(chat.wait_open().code, Some(0));
    // On the command line it names the room.
    let told = circle.fay.sees(&["resume", &circle.room]).stderr;
    assert!(told.contains("`hearth status tuesday-evening`"), "{told}");
}

#[test]
fn agreement_advice_can_be_run() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    let text = text_file("Another text.\n");
    let path = text.path().to_str().unwrap();
    let answer = circle.fay.run(&["agreement", "amend", &circle.room, path]);
    let advice = answer.refused(2, "usage")["try"].as_str().unwrap().to_owned();
    for flag in ["--material", "--editorial"] {
        let command = format!("`hearth agreement amend {} {path} {flag}`", circle.room);
        assert!(advice.contains(&command), "{command}: {advice}");
    }
    circle.fay.does(&["agreement", "amend", &circle.room, path, "--material", "--effective", "3d"]);
    let answer = ben.run(&["agreement", "acknowledge", &circle.room]);
    let advice = answer.refused(3, "not_acknowledged")["try"].as_str().unwrap().to_owned();
    let show = format!("`hearth agreement show {}`", circle.room);
    assert!(advice.contains(&show) && !advice.contains("show -"), "{advice}");
    let again = format!("`hearth agreement acknowledge {} --acknowledge ", circle.room);
    assert!(advice.contains(&again), "{advice}");
    // A version with the same text says so.
    let id = ben.does(&["agreement", "show", &circle.room])[0]["id"].as_str().unwrap().to_owned();
    ben.does(&["agreement", "acknowledge", &circle.room, "--acknowledge", &id]);
    circle.fay.does(&["agreement", "amend", &circle.room, path, "--material", "--effective", "3d"]);
    let same = seen(&ben, &["agreement", "diff", &circle.room]);
    assert!(same.contains("Version 3 has the lines that you acknowledged."), "{same}");
}

#[test]
fn file_without_receipt_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("letter.pdf");
    for bytes in [b"A letter.".to_vec(), vec![0xff; 100], vec![b'a'; 300_000], Vec::new()] {
        fs::write(&path, bytes).unwrap();
        let answer = Person::new().run(&["receipt", "verify", path.to_str().unwrap()]);
        let object = answer.refused(5, "verification_failed");
        let message = object["message"].as_str().unwrap();
        assert!(message.ends_with("letter.pdf is not a receipt"), "{message}");
        assert!(object["try"].as_str().unwrap().contains("`hearth receipt ROOM > "), "{object}");
    }
}

#[test]
fn kept_words_follow_one_rule() {
    const RULE: &str = "They do not go out by themselves after";
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    let refused = |words: &str| {
        let answer = ben.run(&["send", &circle.room, words]);
        answer.lines.last().unwrap()["try"].as_str().unwrap().to_owned()
    };
    circle.fay("pause", &["10m", "Let us breathe."]);
    let paused = refused("one");
    assert!(paused.contains(&format!("{RULE} the pause.")), "{paused}");
    circle.fay("resume", &[]);
    circle.fay("timeout", &["Ben", "10m", "Rest a little."]);
    let resting = refused("two");
    assert!(resting.contains(&format!("{RULE} the break.")), "{resting}");
    circle.fay("untimeout", &["Ben"]);
    circle.fay("close", &[]);
    let closed = refused("three");
    assert!(closed.contains(&format!("{RULE} the opening.")), "{closed}");
    // In the chat as well, whatever held them.
    let mut chat = enter(&circle, &ben);
    circle.fay("open", &[]);
    chat.await_line("the opening", |line| line.contains("opened the room"));
    chat.await_line("what sends them", |line| line.contains("`/outbox --send all` sends them"));
    chat.type_line("/outbox --send all");
    chat.await_line("the kept words", |line| line.contains("Ben: three"));
    chat.type_line("/quit");
    assert_eq!(chat.wait_open().code, Some(0));
    assert!(circle.by(&ben, "outbox", &[]).is_empty());
}

#[test]
fn leaving_counts_waiting_messages() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    circle.fay("close", &[]);
    for words in ["one", "two"] {
        ben.run(&["send", &circle.room, words]).failed(3, "closed");
    }
    let question = "2 messages wait in your outbox and would be dropped.";
    let mut leave = AtTerminal::start(&ben, "xterm", &["leave", &circle.room]);
    leave.await_words("Type yes");
    assert!(leave.sees(question), "{}", leave.screen());
    leave.types("no\r");
    assert_eq!(leave.ends().0.code(), Some(1));
    let mut chat = enter(&circle, &ben);
    chat.type_line("/leave");
    chat.await_line("the question", |line| line.contains(question));
    chat.type_line("no");
    chat.await_line("that nothing was done", |line| line.contains("nothing was done"));
    chat.type_line("/quit");
    assert_eq!(chat.wait_open().code, Some(0));
    // What went out is not counted.
    circle.fay("open", &[]);
    circle.by(&ben, "outbox", &["--send", "all"]);
    let mut leave = AtTerminal::start(&ben, "xterm", &["leave", &circle.room]);
    leave.await_words("Type yes");
    assert!(!leave.sees("would be dropped"), "{}", leave.screen());
    leave.types("no\r");
    assert_eq!(leave.ends().0.code(), Some(1));
    circle.news(&circle.fay);
    assert_eq!(texts(&circle.history(&circle.fay)), ["one", "two"]);
    circle.fay("close", &[]);
    ben.run(&["send", &circle.room, "three"]).failed(3, "closed");
    let left = ben.sees(&["leave", &circle.room]);
    assert_eq!(left.code, Some(0), "{left:?}");
    assert!(left.stderr.contains("dropped 1 message that waited"), "{left:?}");
}

/// A paste brings more line feeds than the question has: the rest answers nothing and reaches no shell.
#[test]
fn pasted_rest_answers_nothing() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let link = circle.invite(&["--uses", "9"]);
    let mail = format!(
        "Dear Ben,\r\rhere is the link:\r{link}\r\ryes\rI acknowledge\r\rFay\rrm -r notes\r"
    );
    for pasted in [format!("{link}\r\r"), format!("{link}\r\ryes\rI acknowledge\r"), mail] {
        let ben = Person::new();
        let mut join = AtTerminal::start(&ben, "xterm", &["join", "--as", "Ben"]);
        join.await_words("it is not shown");
        wait_until("no echo", || join.is_changed());
        join.types(&pasted);
        join.await_words("key file beside the profile): ");
        wait_until("that all was taken", || join.keys_left() == 0);
        assert!(!ben.home().exists(), "a profile was made unasked");
        join.types("\r");
        join.await_words("Type yes to go on without one");
        join.types("no\r");
        join.await_words("no passphrase yet");
        wait_until("no echo", || join.is_changed());
        join.types("\x03");
        let (status, screen) = join.ends();
        assert_eq!(status.code(), Some(2), "{screen}");
        assert!(!ben.home().exists(), "a profile was made unasked");
    }
    // Words without a link, and a link that was cut: nothing behind the end goes to a shell.
    let ben = Person::new();
    let mut join = AtTerminal::start(&ben, "xterm", &["join", "--as", "Ben"]);
    join.await_words("it is not shown");
    wait_until("no echo", || join.is_changed());
    join.types("Dear Ben,\r\rwe look forward\r\r");
    join.await_words("no link yet");
    join.types(&format!("{}\r\rrm -r notes\rrm -r letters\r", &link[..link.len() - 9]));
    let (status, screen) = join.ends();
    assert_eq!(status.code(), Some(3), "{screen}");
    assert!(screen.contains("Copy the whole link again"), "{screen}");
}

#[test]
fn profile_without_passphrase_is_told() {
    let relay = Relay::start();
    let agreement = text_file(hearth_kit::AGREEMENT);
    let path = agreement.path().to_str().unwrap();
    let fay = Person::new();
    let create = ["room", "create", "Evening", "--agreement", path, "--as", "Fay", "--grant", "-"];
    let made = fay.run_with_input(&create, relay.grant().as_bytes());
    assert!(made.stderr.contains("The new profile has no passphrase"), "{made:?}");
    made.done();
    let again = fay.run(&["room", "list"]);
    assert!(!again.stderr.contains("passphrase"), "{again:?}");
}

/// Starts a join that waits at the door.
fn waiting_join(circle: &Circle, person: &Person, name: &str) -> AtTerminal {
    let link = circle.invite(&[]);
    let ack = circle.agreement.as_str();
    let args = ["join", &link, "--as", name, "--acknowledge", ack];
    let mut join = AtTerminal::start(person, "xterm", &args);
    join.await_words("key file beside the profile): ");
    join.types("\r");
    join.await_words("Type yes to go on without one");
    join.types("yes\r");
    join.await_words("You have knocked");
    join
}

#[test]
fn waiting_join_keeps_typed_words() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = Person::new();
    let mut join = waiting_join(&circle, &ben, "Ben");
    join.types("echo my brother\rand my fath");
    wait_until("the keys", || join.keys_left() > 0);
    circle.fay("admit", &["Ben"]);
    join.await_words("Press Enter alone to leave");
    join.types("er hit me\r");
    wait_until("that it asks again", || join.screen().matches("Press Enter alone").count() > 1);
    assert!(join.goes_on());
    assert_eq!(join.keys_left(), 0);
    join.types("\r");
    let (status, screen) = join.ends();
    assert_eq!(status.code(), Some(0), "{screen}");
    assert!(screen.contains("sent to nobody"), "{screen}");
    // Nobody is asked who typed nothing.
    let join = waiting_join(&circle, &Person::new(), "Cleo");
    circle.fay("admit", &["Cleo"]);
    let (status, screen) = join.ends();
    assert_eq!(status.code(), Some(0), "{screen}");
    assert!(!screen.contains("Press Enter"), "{screen}");
}

#[test]
fn wrong_passphrase_is_asked_again() {
    let relay = Relay::start();
    let file = text_file("correct horse\n");
    let flags = ["--passphrase-file", file.path().to_str().unwrap()];
    let circle = Circle::open_as(&relay, Person::new().with_flags(&flags));
    let mut list = AtTerminal::start(&circle.fay, "xterm", &["room", "list"]);
    for (number, words) in ["correct house", "", "correct horse"].iter().enumerate() {
        wait_until("a question", || list.screen().matches("Passphrase: ").count() > number);
        wait_until("no echo", || list.is_changed());
        list.types(&format!("{words}\r"));
    }
    let (status, screen) = list.ends();
    assert_eq!(status.code(), Some(0), "{screen}");
    assert_eq!(screen.matches("That is not the passphrase").count(), 2, "{screen}");
    assert!(!screen.contains("horse") && !screen.contains("house"), "{screen}");
    // A file is not asked again.
    let wrong = text_file("correct house\n");
    let flags = ["--passphrase-file", wrong.path().to_str().unwrap()];
    let fay = Person::at(circle.fay.home()).with_flags(&flags);
    fay.run(&["room", "list"]).refused(1, "wrong_passphrase");
}

#[test]
fn overlong_words_return_as_draft() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    circle.fay("len", &["40"]);
    circle.news(&ben);
    let mut chat = AtTerminal::start(&ben, "xterm", &["chat", &circle.room]);
    chat.await_words("/quit ends");
    chat.types("hello\r");
    chat.await_words("Ben: hello");
    chat.types("This is what I could not say on Tuesday, when you asked\r");
    chat.await_words("your words are back in the line");
    chat.types("\x17\x17\x17\r");
    chat.await_words("Ben: This is what I could not say on Tuesday,");
    chat.types("/quit\r");
    let (status, screen) = chat.ends();
    assert_eq!(status.code(), Some(0), "{screen}");
    circle.news(&circle.fay);
    let said = circle.history(&circle.fay);
    assert_eq!(texts(&said), ["hello", "This is what I could not say on Tuesday,"]);
}

#[test]
fn removed_members_words_are_retracted() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let dan = circle.admit("Dan");
    circle.say(&dan, "hurtful");
    circle.news(&circle.fay);
    circle.fay("remove", &["Dan", "--reason", "conduct", "Thank you for coming."]);
    circle
        .fay
        .run(&["retract", &circle.room, "--all-from", "Eve", "--yes"])
        .refused(2, "no_such_member");
    assert_eq!(circle.fay("retract", &["--all-from", "dan", "--yes"])[0]["count"], 1);
    circle.news(&circle.fay);
    assert!(texts(&circle.history(&circle.fay)).is_empty());
}

#[test]
fn commands_without_slash_are_not_said() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    let mut chat = enter(&circle, &circle.fay);
    for line in [
        "timeout Ben 30m you were drunk",
        "remove Ben --reason conduct",
        "admit Eve",
        "help pause",
        "help?",
        "Leave",
    ] {
        chat.type_line(line);
        let told = chat.await_line("a question", |told| told.contains("not said"));
        let shows = told.contains("Did you mean /") || told.contains("/help lists the commands");
        assert!(shows, "{told}");
    }
    chat.type_line("admit Eve");
    chat.await_line("a question", |told| told.contains("not said"));
    chat.type_line("admit Eve");
    chat.await_line("the words", |line| line.contains("Fay: admit Eve"));
    chat.type_line("remove the table, please");
    chat.await_line("the words", |line| line.contains("Fay: remove the table"));
    chat.type_line("/quit");
    assert_eq!(chat.wait_open().code, Some(0));
    circle.news(&ben);
    assert_eq!(texts(&circle.history(&ben)), ["admit Eve", "remove the table, please"]);
}

#[test]
fn grave_commands_ask_first() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    let mut chat = enter(&circle, &circle.fay);
    for (line, question) in [
        ("/remove Ben --reason Conduct Good bye", "Remove Ben?"),
        ("/expire 1 day", "Keep messages for 1 day?"),
    ] {
        chat.type_line(line);
        chat.await_line("a question", |line| line.contains(question));
        chat.type_line("no");
        chat.await_line("that nothing was done", |line| line.contains("nothing was done"));
    }
    chat.type_line("/lock ON");
    chat.await_line("the lock", |line| line.contains("locked"));
    chat.type_line("/remove Ben --reason Conduct Good bye");
    chat.await_line("a question", |line| line.contains("Remove Ben?"));
    chat.type_line("yes");
    // At night it asks again.
    let told = chat.await_line("the removal", |line| {
        line.contains("Ben is no longer in this room") || line.contains("Remove Ben all the same?")
    });
    if told.contains("all the same?") {
        chat.type_line("yes");
        chat.await_line("the removal", |line| line.contains("Ben is no longer in this room"));
    }
    chat.type_line("/quit");
    assert_eq!(chat.wait_open().code, Some(0));
    assert_eq!(ben.run(&["read", &circle.room]).code, Some(0));
    assert_eq!(ben.does(&["room", "list"])[0]["standing"], "removed");
}

#[test]
fn d3_agreement_is_signed_in_chat() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    let text = text_file("What is said here stays here. I tell nobody who is here.");
    let path = text.path().to_str().unwrap();
    let mut chat = enter(&circle, &ben);
    circle.fay.does(&["agreement", "amend", &circle.room, path, "--material", "--effective", "3d"]);
    chat.await_line("the amendment", |line| line.contains("issued version 2"));
    chat.type_line("/agreement diff");
    chat.await_line("what is new", |line| line.starts_with("+ ") && line.contains("who is here"));
    chat.type_line("/acknowledge");
    chat.await_line("the text", |line| line.contains("I tell nobody who is here"));
    chat.await_line("the question", |line| line.contains("type I acknowledge"));
    chat.type_line("I acknowlege");
    chat.await_line("that nothing was signed", |line| line.contains("nothing was signed"));
    chat.type_line("");
    chat.await_line("that nothing was signed", |line| line.contains("nothing was signed"));
    // Nobody posts that sentence by a slip.
    chat.type_line("I acknowledge");
    chat.await_line("where it is signed", |line| line.contains("not said to the room"));
    assert_eq!(circle.fay("status", &[])[0]["pending_unsigned"], json!(["Ben"]));
    chat.type_line("/acknowledge");
    chat.await_line("the question", |line| line.contains("type I acknowledge"));
    chat.type_line("I acknowledge");
    chat.await_line("that it is signed", |line| line.contains("you have signed it"));
    assert_eq!(circle.fay("status", &[])[0]["pending_unsigned"], json!([]));
    chat.type_line("/agreement");
    chat.await_line("the text", |line| line.contains("Agreement id:"));
    chat.type_line("/quit");
    assert_eq!(chat.wait_open().code, Some(0));
}

#[test]
fn d3_amending_at_once_is_asked() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    circle.admit("Ben");
    let text = text_file("What is said here stays here. I tell nobody who is here.");
    let path = text.path().to_str().unwrap();
    let args = ["agreement", "amend", &circle.room, path, "--material"];
    let mut terminal = AtTerminal::start(&circle.fay, "xterm", &args);
    terminal.await_words("out of the room then until they acknowledge it");
    terminal.types("no\r");
    let (status, _) = terminal.ends();
    assert_eq!(status.code(), Some(1));
    assert_eq!(circle.fay("status", &[])[0]["agreement_version"], 1);
}

#[test]
fn d12_local_data_is_readable_offline() {
    let mut relay = Relay::start();
    let circle = Circle::open(&relay);
    circle.say(&circle.fay, "Said before");
    let mut chat = enter(&circle, &circle.fay);
    relay.stop();
    chat.await_line("the loss", |line| line.contains("what you write meanwhile is kept"));
    chat.type_line("/read --all");
    chat.await_line("the past", |line| line.contains("Said before"));
    chat.type_line("/status");
    chat.await_line("the rules", |line| line.contains("; agreement version"));
    // A second window reads and writes, too.
    assert_eq!(texts(&circle.fay.run(&["read", &circle.room, "--all"]).lines), ["Said before"]);
    let kept = circle.fay.run(&["send", &circle.room, "For later"]);
    assert_eq!((kept.code, &kept.lines[0]["kept"]), (Some(4), &json!(true)));
    chat.type_line("/outbox");
    chat.await_line("what waits", |line| line.contains("For later"));
    chat.type_line("/quit");
    assert_eq!(chat.wait_open().code, Some(0));
}

#[test]
fn unseen_question_leaves_no_room() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    for args in [["withdraw", &circle.room], ["leave", &circle.room]] {
        let (status, _) = AtTerminal::start_without_stderr(&ben, "xterm", &args).ends();
        assert_eq!(status.code(), Some(2));
    }
    assert_eq!(ben.does(&["room", "list"])[0]["standing"], "member");
}

#[test]
fn interrupted_line_is_put_away() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let mut chat = AtTerminal::start(&circle.fay, "xterm", &["chat", &circle.room]);
    chat.await_words("/quit ends");
    chat.types("half a sentence\x03");
    chat.await_words("the line was put away");
    chat.types("\x1b[A and the rest\r");
    chat.await_words("Fay: half a sentence and the rest");
    chat.types("\x03");
    assert_eq!(chat.ends().0.code(), Some(0));
}

#[test]
fn locked_chat_shows_no_keys() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let args = ["chat", &circle.room, "--lock-after", "1s"];
    let mut chat = AtTerminal::start(&circle.fay, "xterm", &args);
    chat.await_words("Press Enter alone");
    chat.types("my brother\r");
    wait_until("that it asks again", || chat.screen().matches("Press Enter alone").count() > 1);
    chat.types("\r");
    let (status, screen) = chat.ends();
    assert_eq!(status.code(), Some(0), "{screen}");
    assert!(!screen.contains("brother"), "{screen}");
}

#[test]
fn slips_of_case_are_taken() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    circle.fay.does(&["lock", "Tuesday-Evening", "ON"]);
    let short = circle.fay.run(&["expire", &circle.room, "1m"]);
    let message = short.refused(3, "out_of_range")["message"].as_str().unwrap().to_owned();
    assert!(message.contains("1 h at least"), "{message}");
    let status = circle.fay.sees(&["status", &circle.room]).stdout;
    assert!(!status.contains("standing"), "{status}");
    let other = text_file("no key");
    let flags = ["--key-file", other.path().to_str().unwrap()];
    let fay = Person::at(circle.fay.home()).with_flags(&flags);
    fay.run(&["room", "list"]).refused(1, "wrong_key_file");
}

#[test]
fn mistyped_acknowledgement_is_asked_again() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    let text = text_file("Another text.\n");
    let path = text.path().to_str().unwrap();
    circle.fay.does(&["agreement", "amend", &circle.room, path, "--material", "--effective", "3d"]);
    let args = ["agreement", "acknowledge", &circle.room];
    for (words, code) in [("", Some(3)), ("I acknowledge.", Some(0))] {
        let mut again = AtTerminal::start(&ben, "xterm", &args);
        again.await_words("type \"I acknowledge\": ");
        again.types("I aknowledge\r");
        again.await_words("That accepts nothing yet");
        let question = "type \"I acknowledge\": ";
        wait_until("a question", || again.screen().matches(question).count() > 1);
        again.types(&format!("{words}\r"));
        let (status, screen) = again.ends();
        assert_eq!(status.code(), code, "{screen}");
        assert!(!screen.contains("burn-invite"), "{screen}");
    }
}

#[test]
fn unseen_question_wants_yes() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    circle.admit("Ben");
    let room = circle.room.as_str();
    let before = circle.fay("status", &[])[0]["retention_seconds"].clone();
    for command in [["remove", room, "Ben", "Good bye"].as_slice(), &["expire", room, "2d"]] {
        let (status, _) = AtTerminal::start_without_stderr(&circle.fay, "xterm", command).ends();
        assert_eq!(status.code(), Some(2), "{command:?}");
        assert_eq!(circle.fay("status", &[])[0]["retention_seconds"], before);
        let command = [command, &["--yes"]].concat();
        let (status, _) = AtTerminal::start_without_stderr(&circle.fay, "xterm", &command).ends();
        assert_eq!(status.code(), Some(0), "{command:?}");
    }
}

/// A terminal of 40 columns breaks a longer line in the middle of a word.
#[test]
fn help_breaks_between_words() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    for columns in [40, 80] {
        let mut chat =
            AtTerminal::start_with(&circle.fay, "xterm", &["chat", &circle.room], columns);
        chat.await_words("/quit ends");
        chat.types("/help\r");
        // A page at a time.
        chat.await_words("there is more");
        chat.types(&"\r".repeat(30));
        chat.await_words("/help COMMAND says more");
        chat.types("/help remove\r");
        chat.await_words("For example: /remove");
        chat.types("/quit\r");
        let (_, screen) = chat.ends();
        let help = screen.split_once("Talking").unwrap().1.replace("\x1b[K", "");
        let help = help.split_once("For example").unwrap().0;
        assert!(help.contains("/help COMMAND says more; /quit ends."), "{help}");
        for line in help.lines().map(str::trim_end) {
            let line = line.rsplit('\r').next().unwrap();
            assert!(line.chars().count() < usize::from(columns), "{columns}: {line:?}");
        }
        for args in
            [["help"].as_slice(), &["help", "remove"], &["help", "join"], &["room", "--help"]]
        {
            let help = AtTerminal::start_with(&circle.fay, "xterm", args, columns);
            let (status, screen) = help.ends();
            assert_eq!(status.code(), Some(0));
            for line in screen.lines() {
                let fits = line.chars().count() <= usize::from(columns);
                assert!(fits || !line.trim().contains(' '), "{columns} {args:?}: {line:?}");
            }
        }
    }
}

#[test]
fn suspended_chat_hides_half_typed_words() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let mut chat = AtTerminal::start(&circle.fay, "xterm", &["chat", &circle.room]);
    chat.await_words("/quit ends");
    chat.types("half a thought");
    chat.await_words("> half a thought");
    chat.types("\x1a");
    wait_until("the suspension", || chat.is_suspended());
    wait_until("the end of the screen", || chat.screen().ends_with("\r\x1b[K\x1b[?2004l"));
    assert!(!chat.is_changed());
    let drawn = chat.screen().matches("> half a thought").count();
    chat.signal(Signal::CONT);
    wait_until("the line", || chat.screen().matches("> half a thought").count() > drawn);
    assert!(chat.is_changed());
    chat.types(" ends here\r");
    chat.await_words("Fay: half a thought ends here");
    chat.types("/quit\r");
    assert_eq!(chat.ends().0.code(), Some(0));
}

/// A terminal whose lines are not edited takes no draft.
#[test]
fn refused_words_are_shown_plainly() {
    const WORDS: &str = "This is what I could not say on Tuesday, when you asked";
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    circle.fay("len", &["40"]);
    circle.news(&ben);
    let shown = format!("your words are kept nowhere; copy them from here: {WORDS}");
    let mut chat = AtTerminal::start_with(&ben, "dumb", &["chat", &circle.room], 200);
    chat.await_words("/quit ends");
    chat.types(&format!("{WORDS}\n"));
    chat.await_words(&shown);
    chat.types("/quit\n");
    assert_eq!(chat.ends().0.code(), Some(0));
    let mut chat = enter(&circle, &ben);
    chat.type_line(WORDS);
    chat.await_line("the words", |line| line.contains(&shown));
    chat.type_line("/quit");
    assert_eq!(chat.wait_open().code, Some(0));
}

/// The terminal of a person breaks rows that are too long; this one answers in its place. On 0.1 a piece stayed above.
#[test]
fn d15_narrowed_window_keeps_no_piece() {
    const DRAFT: &str = "this is a sentence of more than forty columns";
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let mut chat = AtTerminal::start(&circle.fay, "xterm", &["chat", &circle.room]);
    chat.await_words("/quit ends");
    chat.await_words("says that you are.");
    chat.types(DRAFT);
    chat.await_words(&format!("> {DRAFT}"));
    chat.resizes(40);
    chat.await_words("\x1b[6n");
    let asked = chat.screen().len();
    // Nothing is drawn where the line may not be.
    chat.types("!");
    chat.types(&format!("\x1b[24;{}R", 2 + DRAFT.len() - 40 + 1));
    chat.await_words("than forty columns!");
    assert!(
        chat.screen()[asked..].starts_with("\r\x1b[1A\x1b[J\r\x1b[K> …"),
        "{:?}",
        chat.screen()
    );
    // What fits is drawn at once; what waits for a terminal that says nothing is drawn later.
    let shown = chat.screen().len();
    chat.resizes(60);
    wait_until("the line", || chat.screen()[shown..].contains(&format!("> {DRAFT}!")));
    let shown = chat.screen().len();
    chat.resizes(30);
    wait_until("the line", || chat.screen()[shown..].contains("\r\x1b[J\r\x1b[K> …"));
    chat.types("\r");
    chat.await_words(&format!("Fay: {DRAFT}!"));
    chat.types("/quit\r");
    assert_eq!(chat.ends().0.code(), Some(0));
}

#[test]
fn d15_backspace_removes_joined_emoji() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let mut chat = AtTerminal::start(&circle.fay, "xterm", &["chat", &circle.room]);
    chat.await_words("/quit ends");
    chat.types("with 👨\u{200d}👩\u{200d}👧🇫🇷\x7f\x7fyou\r");
    chat.await_words("Fay: with you");
    chat.types("/quit\r");
    assert_eq!(chat.ends().0.code(), Some(0));
    assert_eq!(texts(&circle.history(&circle.fay)), ["with you"]);
}

/// What a terminal takes for an order to empty its screen, and the rows that have left it.
const CLEARED: &str = "\x1b[H\x1b[2J\x1b[3J";

#[test]
fn d5_retracted_words_leave_open_screens() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let (ben, cleo) = (circle.admit("Ben"), circle.admit("Cleo"));
    circle.say(&circle.fay, "said before");
    circle.say(&cleo, "my brother drinks");
    circle.say(&cleo, "he shouts at night");
    let id = |text: &str| {
        let rows = circle.history(&circle.fay);
        let row = rows.iter().find(|row| row["text"] == text).unwrap();
        row["id"].as_str().unwrap().to_owned()
    };
    for more in [&[][..], &["--alternate-screen"]] {
        let args = [&["chat", &circle.room][..], more].concat();
        let mut chat = AtTerminal::start(&ben, "xterm", &args);
        chat.await_words("/quit ends");
        let own = format!("of mine {}", more.len());
        chat.types(&format!("{own}\r"));
        chat.await_words(&format!("Ben: {own}"));
        chat.types("half a sent");
        chat.await_words("> half a sent");
        // By its author, then by a facilitator.
        let (words, by) = match more {
            [] => ("my brother drinks", &cleo),
            _ => ("he shouts at night", &circle.fay),
        };
        assert!(chat.sees(words), "{}", chat.screen());
        circle.by(by, "retract", &[&id(words)]);
        chat.await_words("1 message was taken back (of Cleo, ");
        let screen = chat.screen();
        let cleared = if more.is_empty() { CLEARED } else { "\x1b[H\x1b[2J" };
        let (before, after) = screen.rsplit_once(cleared).unwrap();
        assert!(before.contains(words), "{screen:?}");
        assert!(!after.contains(words), "{screen:?}");
        // What else stood there is there again, and the line goes on.
        assert!(after.contains("said before") && after.contains(&own), "{after:?}");
        assert!(after.contains(" took this back"), "{after:?}");
        assert!(after.contains("> half a sent"), "{after:?}");
        // One's own words go, too, and with them the line in which they were typed.
        chat.types(&format!("ence {}\r", more.len()));
        chat.await_words(&format!("Ben: half a sentence {}", more.len()));
        chat.types(&format!("/retract {}\r", id(&own)));
        chat.await_words("1 message was taken back (of Ben, ");
        chat.types("/quit\r");
        let (status, screen) = chat.ends();
        assert_eq!(status.code(), Some(0), "{screen}");
        let (_, after) = screen.rsplit_once(cleared).unwrap();
        assert!(!after.contains(&own), "{after:?}");
        assert!(after.contains(&format!("half a sentence {}", more.len())), "{after:?}");
    }
}

/// A question that waits for an answer stands below the words that are left.
#[test]
fn d5_cleared_screen_repeats_the_question() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    circle.say(&ben, "something of mine");
    let mut chat = AtTerminal::start(&circle.fay, "xterm", &["chat", &circle.room]);
    chat.await_words("something of mine");
    chat.types("/expire 2d\r");
    chat.await_words("Type yes to go on.");
    let id = circle.history(&ben).last().unwrap()["id"].as_str().unwrap().to_owned();
    circle.by(&ben, "retract", &[&id]);
    chat.await_words("1 message was taken back (of Ben, ");
    wait_until("the question", || {
        let screen = chat.screen();
        screen.rsplit_once(CLEARED).unwrap().1.contains("Type yes to go on.")
    });
    chat.types("yes\r");
    chat.await_words("limited how long messages are kept");
    chat.types("/quit\r");
    assert_eq!(chat.ends().0.code(), Some(0));
}

/// A plain terminal, a screen reader and a pipe take nothing back; they say it.
#[test]
fn d5_plain_screens_tell_of_retractions() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let (ben, cleo) = (circle.admit("Ben"), circle.admit("Cleo"));
    let first = circle.say(&circle.fay, "something of mine");
    let second = circle.say(&circle.fay, "another of mine");
    let told = |screen: &str| screen.matches("The words may still stand above").count();
    let mut chat = AtTerminal::start(&ben, "dumb", &["chat", &circle.room]);
    chat.await_words("another of mine");
    circle.fay("retract", &[&first]);
    chat.await_words("1 message was taken back (of Fay, ");
    chat.types("/quit\n");
    let (status, screen) = chat.ends();
    assert_eq!(status.code(), Some(0), "{screen}");
    assert_eq!(told(&screen), 1, "{screen}");
    assert!(!screen.contains('\x1b'), "{screen:?}");
    let mut chat = enter(&circle, &ben);
    let mut follow = cleo.starts_plainly(&["follow", &circle.room]);
    follow.await_line("the words", |line| line.contains("another of mine"));
    circle.fay("retract", &[&second]);
    chat.await_line("the retraction", |line| told(line) == 1);
    follow.await_remark("The words may still stand above");
    chat.type_line("/quit");
    assert_eq!(chat.wait_open().code, Some(0));
    follow.close_input();
    assert_eq!(follow.wait_open().code, Some(0));
}

/// A shorter time for which words are kept clears the screen only if some on it are older.
#[test]
fn d5_young_words_stay_on_screen() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    circle.say(&circle.fay, "something of mine");
    let mut chat = AtTerminal::start(&ben, "xterm", &["chat", &circle.room]);
    chat.await_words("something of mine");
    circle.fay("expire", &["30d", "--yes"]);
    chat.await_words("limited how long messages are kept");
    // Nothing is that old.
    chat.types("/status\r");
    chat.await_words("; agreement version");
    assert!(!chat.screen().contains(CLEARED), "{}", chat.screen());
    chat.types("/quit\r");
    assert_eq!(chat.ends().0.code(), Some(0));
}

/// Opens a room with an agreement of many rules.
pub(super) fn with_long_agreement(relay: &Relay) -> (Circle, String) {
    let rules: Vec<String> = (1..=40)
        .map(|n| format!("{n}. What is said here in confidence stays among those who heard it."))
        .collect();
    let text = format!("# What we agree on\n\n{}\n\nThis was the last rule.\n", rules.join("\n\n"));
    let (file, fay) = (text_file(&text), Person::new());
    let grant = relay.grant();
    let path = file.path().to_str().unwrap();
    let args = [
        "room",
        "create",
        "Tuesday evening",
        "--grant",
        &grant,
        "--agreement",
        path,
        "--as",
        "Fay",
    ];
    let made = fay.does(&args);
    let word = |field: &str| made[0][field].as_str().unwrap().to_owned();
    (Circle { room: word("room"), agreement: word("agreement"), fay }, text)
}

/// The agreement is read page by page to its end, every slip asks again, and the newcomer learns what comes next.
#[test]
fn d7_newcomer_is_led_to_chat() {
    let relay = Relay::start();
    let (circle, text) = with_long_agreement(&relay);
    for (name, columns, rows) in [("Ben", 40, 20), ("Cleo", 80, 24)] {
        let (link, person) = (circle.invite(&[]), Person::new());
        let size = (columns, rows);
        let mut join = AtTerminal::start_sized(&person, "xterm", &["join", &link], size);
        join.await_words("key file beside the profile): ");
        join.types("\r");
        join.await_words("Type yes to go on without one");
        join.types("yes\r");
        let question = "type \"I acknowledge\": ";
        for page in 1.. {
            let prompt = format!("-- page {page} of ");
            wait_until("a page", || join.sees(&prompt) || join.sees(question));
            if join.sees(question) {
                assert!(page > 3, "{}", join.screen());
                break;
            }
            let last = join.sees(", the end: press Enter");
            assert_eq!(join.sees("This was the last rule."), last, "{}", join.screen());
            // Whatever is typed here accepts nothing.
            if page == 2 {
                join.types("I acknowledge\r");
                join.await_words("answers nothing and went nowhere");
                let again = || join.screen().matches(&prompt).count() > 1;
                wait_until("the page's question", again);
            }
            join.types("\r");
        }
        let read = join.screen();
        let times = |join: &AtTerminal, words| unwrapped(&join.screen()).matches(words).count();
        assert_eq!(times(&join, question), 1, "{read}");
        let shown: Vec<&str> = read.split_whitespace().collect();
        for (number, rule) in (1..).zip(text.split("\n\n").skip(1).take(40)) {
            let words: Vec<&str> = rule.split_whitespace().collect();
            assert!(shown.contains(&format!("{number}.").as_str()), "{read}");
            assert!(words.iter().all(|word| shown.contains(word)), "{rule}: {read}");
        }
        for slip in ["I aknowledge", "yes", "ok", "what?"] {
            let asked = times(&join, question);
            join.types(&format!("{slip}\r"));
            wait_until("the question", || times(&join, question) > asked);
        }
        join.types("\"I acknowledge.\"\r");
        join.await_words("Your name in the room (not your real one): ");
        for (slip, why) in [
            ("", "at least one letter"),
            ("facilitator", "could be mistaken"),
            (&"x".repeat(100)[..], "at most"),
        ] {
            join.types(&format!("{slip}\r"));
            join.await_words(why);
            let refused = times(&join, "Type another name");
            wait_until("the question", || times(&join, "real one): ") > refused);
        }
        join.types(&format!("{name}\r"));
        join.await_words("You have knocked");
        join.await_words("`hearth join` with the same link goes on waiting");
        circle.fay("admit", &[name]);
        let (status, screen) = join.ends();
        assert_eq!(status.code(), Some(0), "{screen}");
        assert_eq!(screen.matches("You have knocked").count(), 1, "{screen}");
        let (_, next) = screen.split_once("You are in: Tuesday evening").unwrap();
        assert!(next.contains(&format!("\n  hearth chat {}\r\n", circle.room)), "{next}");
        assert!(next.contains("/help") && next.contains("/quit"), "{next}");
        // What was typed stands behind its question.
        let told =
            screen.lines().filter(|line| !line.contains("I acknowledge") && !line.contains("xxx"));
        for line in told.map(str::trim_end) {
            let fits = line.chars().count() <= usize::from(columns);
            assert!(fits || !line.trim().contains(' '), "{columns}: {line:?}");
        }
    }
}

#[test]
fn d7_standard_output_stays_the_room() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let (link, ben) = (circle.invite(&[]), Person::new());
    let args = ["join", &link, "--as", "Ben", "--acknowledge", &circle.agreement];
    let waiting = ben.starts_plainly(&args);
    circle.await_knock("Ben");
    circle.fay("admit", &["Ben"]);
    let ended = waiting.wait_open();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.stdout, format!("{}\n", circle.room), "{ended:?}");
    assert!(!ended.stderr.contains("hearth chat"), "{ended:?}");
    // A name that cannot be asked for again is refused.
    let args = ["join", &circle.invite(&[]), "--as", "facilitator", "--acknowledge"];
    let refused = Person::new().run(&[&args[..], &[&circle.agreement]].concat());
    assert_ne!(refused.code, Some(0), "{}", refused.stderr);
}

/// A bad name of the command line costs nobody what they have read.
#[test]
fn d7_bad_given_name_asks_again() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    // A profile is there already, so that nothing asks for a passphrase.
    let ben = circle.admit("Ben");
    let other = Circle::open(&relay);
    let link = other.invite(&[]);
    let args = ["join", &link, "--as", "moderator", "--acknowledge", &other.agreement];
    let mut join = AtTerminal::start_with(&ben, "xterm", &args, 40);
    join.await_words("could be mistaken");
    join.await_words("Your name in the room");
    join.types("Ben\r");
    join.await_words("You have knocked");
    other.fay("admit", &["Ben"]);
    let (status, screen) = join.ends();
    assert_eq!(status.code(), Some(0), "{screen}");
}

/// Says something that a rule holds, and waits until that was told.
fn is_held(chat: &mut hearth_kit::Running, text: &str) {
    chat.type_line(text);
    chat.await_line("that it stays", |line| line.contains("do not go out by themselves"));
}

/// On 0.1 nobody was told when a pause was over, and what had waited went out late with the next line.
#[test]
fn d6_command_sends_what_pause_held() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    let mut chat = enter(&circle, &ben);
    circle.fay("pause", &["10m", "Let us breathe."]);
    let said = ["one", "two", "three", "four"];
    for text in said {
        is_held(&mut chat, text);
    }
    circle.fay("resume", &[]);
    chat.await_line("the record", |line| line.contains("ended the pause"));
    chat.await_line("the end", |line| line.starts_with("-- The pause is over"));
    for text in &said[..3] {
        chat.await_line("the words", |line| {
            line.contains("not sent: [") && line.contains(&format!("\"{text}\""))
        });
    }
    chat.await_line("the rest", |line| line.contains("and 1 more message"));
    chat.await_line("the question", |line| {
        line.contains("`/outbox --send all` sends them") && line.contains("/outbox --drop all")
    });
    assert!(texts(&circle.history(&circle.fay)).is_empty());
    // To look does not answer.
    chat.type_line("/outbox");
    chat.await_line("the list", |line| line.contains("the room was paused): four"));
    chat.type_line("/outbox --send all");
    chat.await_line("the last of them", |line| line.contains("Ben: four"));
    chat.type_line("on we go");
    chat.await_line("it", |line| line.contains("Ben: on we go"));
    chat.type_line("/quit");
    let ended = chat.wait_open();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.stdout.matches("The pause is over").count(), 1, "{ended:?}");
    assert_eq!(texts(&circle.history(&circle.fay)), ["one", "two", "three", "four", "on we go"]);
    assert!(circle.by(&ben, "outbox", &[]).is_empty());
}

/// A pause that ends by time is told as well. Whoever talks on sends nothing late, now or in the next chat.
#[test]
fn d6_talking_on_sends_nothing_late() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    let mut chat = enter(&circle, &ben);
    circle.fay("pause", &["3s", "--reopen", "Let us breathe."]);
    is_held(&mut chat, "meant for then");
    chat.await_line("the end", |line| line.starts_with("-- The pause is over"));
    chat.await_line("the question", |line| line.contains("changes it, `/outbox --drop"));
    chat.type_line("good evening");
    chat.await_line("it", |line| line.contains("Ben: good evening"));
    // No answer to a question, but words to somebody else.
    chat.type_line("yes");
    chat.await_line("it", |line| line.contains("Ben: yes"));
    chat.type_line("/quit");
    assert_eq!(chat.wait_open().code, Some(0));
    circle.say(&ben, "and from outside");
    assert_eq!(texts(&circle.history(&circle.fay)), ["good evening", "yes", "and from outside"]);
    // The next chat asks again, because it is still there.
    let mut chat = ben.starts_plainly(&["chat", &circle.room]);
    chat.await_line("the question", |line| line.contains("changes it, `/outbox --drop"));
    let id = waiting_id(&mut chat);
    chat.type_line(&format!("/outbox --drop {id}"));
    chat.await_line("that it is dropped", |line| line.contains("nobody gets it"));
    chat.type_line("/quit");
    assert_eq!(chat.wait_open().code, Some(0));
    assert!(circle.by(&ben, "outbox", &[]).is_empty());
}

/// Returns the id of the one message that the outbox lists.
fn waiting_id(chat: &mut hearth_kit::Running) -> String {
    chat.type_line("/outbox");
    let line = chat.await_line("the list", |line| line.starts_with('[')).to_owned();
    line.trim_start_matches('[').split(']').next().unwrap().to_owned()
}

/// A time-out, and a room that opens again, are told as a pause is; also to whoever was away, and to `follow`.
#[test]
fn d6_every_end_is_told() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    let ends = [
        (
            "break",
            vec!["Ben", "10m", "Breathe first."],
            "break-end",
            vec!["Ben"],
            "-- Your break is over. You can write in the room again. If you would like to talk first: `/checkin`.",
        ),
        ("close", vec![], "open", vec![], "-- the room is open again"),
    ];
    for (begin, args, end, back, told) in ends {
        let mut chat = enter(&circle, &ben);
        circle.fay(begin, &args);
        chat.await_line("the record", |line| {
            line.contains("to take a break") || line.contains("closed")
        });
        let words = format!("said against {begin}");
        is_held(&mut chat, &words);
        circle.fay(end, &back);
        chat.await_line("the end", |line| line.trim_end() == told);
        chat.await_line("the question", |line| line.contains("changes it, `/outbox --drop"));
        chat.type_line("/outbox --send all");
        chat.await_line("it", |line| line.contains(&format!("Ben: {words}")));
        chat.type_line("/quit");
        assert_eq!(chat.wait_open().code, Some(0));
    }
    circle.fay("pause", &["10m", "Let us breathe."]);
    let refused = ben.sees(&["send", &circle.room, "kept"]);
    assert_eq!(refused.code, Some(3), "{refused:?}");
    circle.fay("resume", &[]);
    let mut chat = ben.starts_plainly(&["chat", &circle.room]);
    chat.await_line("the end", |line| line.starts_with("-- The pause is over"));
    chat.await_line("the question", |line| line.contains("changes it, `/outbox --drop"));
    chat.type_line("/quit");
    assert_eq!(chat.wait_open().code, Some(0));
    circle.fay("pause", &["10m", "Let us breathe."]);
    circle.news(&ben);
    let mut following = ben.starts(&["follow", &circle.room]);
    circle.say(&circle.fay, "in the pause");
    following.await_line("that it follows", |line| line.contains("in the pause"));
    circle.fay("resume", &[]);
    following.await_line("the record", |line| line.contains("resume"));
    circle.say(&circle.fay, "after it");
    following.await_line("the rest", |line| line.contains("after it"));
    following.close_input();
    let ended = following.wait();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.stderr.matches("The pause is over").count(), 1, "{ended:?}");
    assert!(!ended.stderr.contains("Type yes"), "{ended:?}");
    assert_eq!(
        texts(&circle.history(&circle.fay)),
        ["said against break", "said against close", "in the pause", "after it"]
    );
}
