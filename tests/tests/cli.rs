//! The command line itself: help that never overstates, completions, manual pages, exit codes.

use hearth_kit::{Circle, Ended, Person, Relay, Running};
use serde_json::Value;

fn hearth(args: &[&str]) -> Ended {
    let mut command = Person::bare();
    command.args(args);
    Running::start(command, false).wait()
}

/// Returns the commands that a help text lists.
fn commands(help: &str) -> Vec<String> {
    let (_, rest) = help.split_once("Commands:\n").expect("a list of commands");
    rest.lines()
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next().map(str::to_owned))
        .filter(|name| name != "help")
        .collect()
}

#[test]
fn help_needs_no_profile_and_names_who_enforces() {
    let top = hearth(&["--help"]);
    assert_eq!(top.code, Some(0));
    assert!(top.stdout.contains("Exit codes:") && top.stdout.contains("[E] end to end"));
    let all = commands(&top.stdout);
    assert!(all.len() > 40, "{all:?}");
    // Everything that acts on a room says who keeps the rule; what only reads or is local may not.
    let silent = [
        "room",
        "agreement",
        "chat",
        "tui",
        "doctor",
        "lines",
        "profile",
        "completions",
        "man",
        "read",
        "show",
        "hands",
        "asks",
        "follow",
        "status",
        "outbox",
        "recover",
        "show",
        "hands",
        "asks",
        "search",
        "catchup",
    ];
    for name in &all {
        let help = hearth(&[name, "--help"]);
        assert_eq!(help.code, Some(0), "{name}");
        assert!(help.stderr.is_empty(), "{name}");
        let classed = ["[E", "[R", "[C"].iter().any(|class| help.stdout.contains(class));
        assert!(classed || silent.contains(&name.as_str()), "{name}:\n{}", help.stdout);
    }
    for (name, class) in [
        ("pause", "[E held by receivers; R; C what follows]"),
        ("timeout", "[R]"),
        ("mute", "[C local]"),
        ("remove", "[E; R; C past copies]"),
        ("retract", "[R; C devices]"),
        ("lock", "[E; R]"),
        ("verify", "[E]"),
    ] {
        let help =
            hearth(&[name, "--help"]).stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(help.contains(class), "{name}: {help}");
    }
    for family in ["room", "agreement", "profile"] {
        for name in commands(&hearth(&[family, "--help"]).stdout) {
            assert_eq!(hearth(&[family, &name, "--help"]).code, Some(0), "{family} {name}");
        }
    }
    assert!(hearth(&["--version"]).stdout.starts_with("hearth "));
    assert!(hearth(&["agreement", "template"]).stdout.contains("crisis"));
}

#[test]
fn completions_and_manual_pages_are_written() {
    for shell in ["bash", "zsh", "fish"] {
        let ended = hearth(&["completions", shell]);
        assert_eq!(ended.code, Some(0));
        assert!(ended.stdout.contains("hearth") && ended.stdout.contains("break-end"), "{shell}");
    }
    let folder = tempfile::tempdir().unwrap();
    let man = folder.path().join("man");
    assert_eq!(hearth(&["man", man.to_str().unwrap()]).code, Some(0));
    for page in ["hearth.1", "hearth-pause.1", "hearth-agreement-amend.1"] {
        let text = std::fs::read_to_string(man.join(page)).unwrap();
        assert!(text.contains(".SH NAME") || text.contains(".SH"), "{page}");
    }
    assert_eq!(hearth(&["man", "/dev/null/x"]).code, Some(1));
}

#[test]
fn wrong_usage_is_told_with_exit_code_two() {
    for args in [
        ["frobnicate"].as_slice(),
        &[],
        &["send"],
        &["lock", "room", "maybe"],
        &["--no-such-flag", "room", "list"],
        &["completions", "cmd"],
        &["invite", "room", "--uses", "0"],
        &["--key-file", "a", "--passphrase-file", "b", "room", "list"],
    ] {
        let ended = hearth(args);
        assert_eq!(ended.code, Some(2), "{args:?}");
        assert!(ended.stdout.is_empty() && !ended.stderr.is_empty(), "{args:?}");
        let ended = hearth(&[&["--json"], args].concat());
        assert_eq!(ended.code, Some(2), "{args:?}");
        let object: Value = serde_json::from_str(ended.stdout.trim()).unwrap();
        assert_eq!(object["error"], "usage", "{args:?}");
    }
    for (typed, meant) in [("paus", "pause"), ("retrct", "retract")] {
        let ended = hearth(&[typed, "room"]);
        assert!(ended.stderr.contains(&format!("Did you mean `hearth {meant}`?")), "{ended:?}");
    }
}

#[test]
fn the_profile_is_where_the_environment_says() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("chosen");
    let shown = |variable: &str, value: &std::path::Path| {
        let mut command = Person::bare();
        command.env(variable, value).args(["--json", "profile", "show"]);
        let ended = Running::start(command, false).wait();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        serde_json::from_str::<Value>(ended.stdout.trim()).unwrap()["home"].clone()
    };
    assert_eq!(shown("HEARTH_HOME", &home), home.to_str().unwrap());
    assert_eq!(
        shown("XDG_DATA_HOME", folder.path()),
        folder.path().join("hearth").to_str().unwrap()
    );
    let below = folder.path().join(".local/share/hearth");
    assert_eq!(shown("HOME", folder.path()), below.to_str().unwrap());
    let nowhere = hearth(&["profile", "show"]);
    assert_eq!(nowhere.code, Some(2), "{nowhere:?}");
}

#[test]
fn people_read_lines_and_not_json() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    circle.say(&circle.fay, "Hello, Ben");
    circle.fay("announce", &["Tea at four"]);
    let seen = ben.sees(&["read", &circle.room]);
    assert_eq!(seen.code, Some(0));
    assert!(seen.stdout.lines().any(|line| line.contains("Fay: Hello, Ben")), "{seen:?}");
    assert!(seen.stdout.contains("Tea at four") && !seen.stdout.contains('{'), "{seen:?}");
    let who = ben.sees(&["who", &circle.room]);
    assert!(who.stdout.contains("Ben (you)") && who.stdout.contains("acknowledged version 1"));
    let refused = ben.sees(&["pause", &circle.room, "5m", "Let us breathe."]);
    assert_eq!(refused.code, Some(3));
    assert!(refused.stdout.is_empty());
    assert_eq!(refused.stderr, "hearth: only a facilitator may do that\n  Ask a facilitator.\n");
    let link = circle.fay.sees(&["invite", &circle.room, "--qr"]);
    assert!(link.stdout.starts_with("hearth://"), "{link:?}");
    assert!(link.stdout.lines().count() > 10, "{link:?}");
    // The local name is what a person chooses to type.
    ben.does(&["room", "rename", &circle.room, "tuesdays"]);
    assert_eq!(ben.sees(&["read", "tuesdays"]).code, Some(0));
    ben.run(&["room", "rename", "tuesdays", "Not A Name"]).refused(2, "usage");
}
