//! Clocks that jump, differ, or stand still: the order of what is said is not theirs, and nobody spins.
//!
//! The programs run under `faketime` (Debian: `apt-get install faketime`), which gives a process a clock of its own.
//! Without it these tests say that they are skipped; the relay's own tests move its clock without help, see
//! `server/tests/clock.rs`.

use std::{
    ffi::OsString,
    io::Read as _,
    process::Command,
    time::{Duration, Instant},
};

use hearth_client::show::rfc3339;
use hearth_kit::{Circle, Person, Relay, RelayOptions, clock, load::machine::usage, until};
use hearth_session::live::now;
use serde_json::Value;

fn texts(rows: &[Value]) -> Vec<&str> {
    rows.iter().filter(|row| row["kind"] == "text").map(|r| r["text"].as_str().unwrap()).collect()
}

fn assert_no_alarm(rows: &[Value]) {
    assert!(!rows.iter().any(|row| row["alarm"] == true), "{rows:?}");
}

#[test]
fn a_relay_whose_clock_jumps_keeps_the_order() {
    let Some(_) = clock("+0") else { return };
    let mut relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    let mut said = Vec::new();
    // A year ahead, a day behind, past the end of 32 bits, and as a machine without a battery boots.
    let clocks = [
        "+365d",
        "-1d",
        "@2038-01-19 03:14:05",
        "@1970-01-01 00:00:10",
        "@2106-02-07 06:28:10",
        "+0",
    ];
    for spec in clocks {
        relay.stop();
        relay.set_under(clock(spec).unwrap());
        relay.restart();
        for (who, name) in [(&circle.fay, "Fay"), (&ben, "Ben")] {
            let text = format!("{name} under {spec}");
            circle.say(who, &text);
            said.push(text);
        }
        for who in [&circle.fay, &ben] {
            assert_no_alarm(&circle.news(who));
        }
    }
    for who in [&circle.fay, &ben] {
        let history = circle.history(who);
        let seen: Vec<_> = texts(&history);
        assert_eq!(seen, said);
        let places: Vec<u64> = history.iter().filter_map(|row| row["seq"].as_u64()).collect();
        assert!(places.is_sorted(), "{places:?}");
    }
    // The relay did have those clocks; what is shown of them never goes back, nor beyond the reader's own.
    let history = circle.history(&ben);
    let mut times: Vec<_> = history
        .iter()
        .filter(|row| row["kind"] == "text")
        .map(|row| row["at"].as_str().unwrap().to_owned())
        .collect();
    times.push(rfc3339(now()));
    assert!(times.is_sorted(), "{times:?}");
    let told = history.iter().filter(|row| row["notice"] == "times").count();
    assert_eq!(told, 1, "{history:?}");
    // Nothing was forgotten before its time on the way, and rules go on.
    circle.fay("pause", &["10m", "Let us breathe."]);
    ben.run(&["send", &circle.room, "held"]).refused(3, "paused");
    circle.fay("resume", &[]);
}

/// Ten minutes are nothing. Who cannot be admitted because of a wrong clock must not wait at the door for ever.
#[test]
fn who_joins_with_another_clock_gets_in_or_is_told_of_the_clock() {
    let Some(_) = clock("+0") else { return };
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    for (number, spec) in ["-10m", "+9m"].into_iter().enumerate() {
        let ben = Person::new();
        let under = clock(spec).unwrap();
        let name = ["Early", "Late"][number];
        let link = circle.invite(&[]);
        let ack = ["--acknowledge", &circle.agreement, "--no-wait"];
        let join = [["join", &link, "--as", name].as_slice(), &ack].concat();
        let joined = ben.run_under(&under, &join);
        assert_eq!(joined.code, Some(0), "{joined:?}");
        assert!(!joined.stderr.contains("clock"), "{joined:?}");
        circle.fay("admit", &[name]);
        let read = ben.run_under(&under, &["read", &circle.room]);
        assert_eq!(read.code, Some(0), "{read:?}");
        let sent = ben.run_under(&under, &["send", &circle.room, &format!("I am {name}")]);
        assert_eq!(sent.code, Some(0), "{sent:?}");
        assert_no_alarm(&circle.news(&circle.fay));
    }
    assert_eq!(texts(&circle.history(&circle.fay)), ["I am Early", "I am Late"]);
    // Two hours are a wrong time zone: it may work, and whoever waits knows for what.
    let under = clock("+2h").unwrap();
    let link = circle.invite(&[]);
    let ack = ["--acknowledge", &circle.agreement, "--no-wait"];
    let joined = Person::new()
        .run_under(&under, &[["join", &link, "--as", "Zoe"].as_slice(), &ack].concat());
    assert_eq!(joined.code, Some(0), "{joined:?}");
    assert!(joined.stderr.contains("clock is 2 h ahead of the relay's"), "{joined:?}");
    for spec in ["-400d", "+400d", "@1970-01-02 00:00:00", "@2038-01-20 00:00:00"] {
        let under = clock(spec).unwrap();
        let ben = Person::new();
        let link = circle.invite(&[]);
        let ack = ["--acknowledge", &circle.agreement, "--no-wait"];
        let join = [["join", &link, "--as", "Strange"].as_slice(), &ack].concat();
        let answer = ben.run_under(&under, &join);
        // An invite seems to have ended; of any other clock it is said that it is wrong, before a use is spent.
        match answer.lines[0]["error"].as_str() {
            Some("invite_expired") => _ = answer.refused(3, "invite_expired"),
            _ => _ = answer.refused(1, "clock_wrong"),
        }
        assert!(answer.stderr.contains("clock"), "{answer:?}");
        assert!(ben.does(&["room", "list"]).is_empty());
        // With the clock set right the same invite is good.
        ben.does(&join);
        circle.fay("admit", &["Strange"]);
        ben.does(&["read", &circle.room]);
        circle.fay("remove", &["Strange", "--reason", "conduct", "Thank you for coming."]);
    }
}

/// Returns the words that put a program under a monotonic clock that is so many seconds ahead, or says that the test is
/// skipped. The kernel gives a program such a clock, in the same process, where it may.
fn monotonic(ahead: &str) -> Option<Vec<OsString>> {
    let offset = [format!("--monotonic={ahead}"), format!("--boottime={ahead}")];
    let words = ["unshare", "--time", &offset[0], &offset[1]];
    let probe = Command::new(words[0]).args(&words[1..]).arg("true").output();
    if !probe.is_ok_and(|done| done.status.success()) {
        eprintln!("skipped: no time namespace can be made here");
        return None;
    }
    Some(words.map(OsString::from).to_vec())
}

/// Seconds since the start of the machine, as a program sees them under some words.
fn uptime(under: &[OsString]) -> f64 {
    let mut command = Command::new(&under[0]);
    let said = command.args(&under[1..]).args(["cat", "/proc/uptime"]).output().unwrap().stdout;
    let said = String::from_utf8(said).unwrap();
    said.split_whitespace().next().unwrap().parse().unwrap()
}

/// A relay and its members count time from different beginnings, and each from another one after a restart: a machine
/// that was restored from an image, or woke up. Nothing of a monotonic clock may be compared with another's, or kept.
#[test]
fn monotonic_clocks_a_year_apart_make_no_difference() {
    const YEAR: &str = "31536000";
    let Some(ahead) = monotonic(YEAR) else { return };
    let none = monotonic("0").unwrap();
    assert!(uptime(&ahead) - uptime(&none) > 31_535_000.0);
    let begun = now();
    let mut relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = Person::new();
    let link = circle.invite(&[]);
    let run = |under: &[OsString], words: &[&str]| {
        let answer = ben.run_under(under, words);
        assert_eq!(answer.code, Some(0), "{answer:?}");
        assert!(!answer.stderr.contains("clock"), "{answer:?}");
        answer.lines
    };
    let ack = circle.agreement.as_str();
    run(&ahead, &["join", &link, "--as", "Ben", "--acknowledge", ack, "--no-wait"]);
    circle.fay("admit", &["Ben"]);
    let mut said = Vec::new();
    for (turn, (relays, bens)) in
        [(&none, &ahead), (&ahead, &none), (&none, &ahead)].iter().enumerate()
    {
        relay.stop();
        relay.set_under(relays.to_vec());
        relay.restart();
        // Who follows lives through all of it with one clock, beside those who come and go with another.
        let mut following = circle.fay.starts_under(&none, &["follow", &circle.room]);
        let words = format!("turn {turn}");
        run(bens, &["send", &circle.room, &words]);
        assert!(following.next_line(|line| line.contains(&words)).is_some());
        following.close_input();
        assert_eq!(following.wait().code, Some(0));
        said.push(words);
        let answer = format!("answer {turn}");
        circle.say(&circle.fay, &answer);
        assert_no_alarm(&run(bens, &["read", &circle.room]));
        said.push(answer);
    }
    let (begun, ended) = (rfc3339(begun), rfc3339(now()));
    for who in [&circle.fay, &ben] {
        let history = circle.history(who);
        assert_eq!(texts(&history), said);
        let mut times = history.iter().map(|row| row["at"].as_str().unwrap());
        assert!(times.all(|at| (begun.as_str()..=ended.as_str()).contains(&at)), "{history:?}");
    }
    // What lasts a while has not ended early, nor does it stay.
    circle.fay("pause", &["10m", "Let us breathe."]);
    ben.run_under(&ahead, &["send", &circle.room, "held"]).refused(3, "paused");
    circle.fay("resume", &[]);
    run(&ahead, &["outbox", &circle.room, "--send", "all"]);
    assert_eq!(texts(&circle.history(&circle.fay)).last(), Some(&"held"));
}

/// A frozen clock (a suspended virtual machine, a debugger) makes every deadline wait, and none be asked for in a loop.
#[test]
fn a_clock_that_stands_still_makes_nobody_spin() {
    let Some(frozen) = clock("+0 x0.000001") else { return };
    let relay =
        Relay::start_with(RelayOptions { under: frozen.clone(), ..RelayOptions::default() });
    let circle = Circle::open(&relay);
    let mut following = circle.fay.starts_under(&frozen, &["follow", &circle.room]);
    // An idle connection to the relay, for as long as the measurement lasts.
    let mut idle = std::net::TcpStream::connect(relay.address()).unwrap();
    let watched = Duration::from_secs(2);
    idle.set_read_timeout(Some(watched)).unwrap();
    let before = [relay.pid(), following.pid()].map(|pid| usage(pid).cpu);
    let begun = Instant::now();
    // The relay's deadline does not come, because its time does not pass.
    assert!(idle.read(&mut [0]).is_err());
    assert!(begun.elapsed() >= watched);
    for (pid, before) in [relay.pid(), following.pid()].into_iter().zip(before) {
        let used = usage(pid).cpu - before;
        assert!(used < 0.3, "{used} seconds of work for nothing");
    }
    following.close_input();
    assert_eq!(following.wait().code, Some(0));
    until("the relay to answer", || relay.page("/readyz").contains("200 OK").then_some(()));
}
