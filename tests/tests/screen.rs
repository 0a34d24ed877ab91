//! The full screen in a real terminal: what a person sees and types, and that the terminal is as it was whatever ends it.

use hearth_kit::{Circle, Person, Relay, Tmux, text_file};
use rustix::process::{Pid, Signal, kill_process};

const SIZE: (u16, u16) = (80, 24);

/// An agreement with numbers, long enough to be read in pages.
fn agreement() -> String {
    let clauses: String =
        (1..=30).map(|n| format!("{n}. What is said here stays here.\n")).collect();
    let contact = "[[contact]]\nkind = \"emergency\"\nname = \"Emergency\"\nnumber = \"999\"\nhours = \"always\"\n\
                   checked = { on = 2026-11-20, by = \"Fay\", how = \"official page\" }\nsource = \"made up\"\n";
    format!(
        "# What we agree on\n\n{clauses}\n```help\ncountry = \"GB\"\nminutes_unseen = 5\n{contact}```\n"
    )
}

/// A room with Fay and Ben.
struct Evening {
    circle: Circle,
    ben: Person,
    _relay: Relay,
}

fn evening() -> Option<Evening> {
    if !Tmux::is_there() {
        return None;
    }
    let relay = Relay::start();
    let circle = Circle::open_under(&relay, Person::new(), &agreement());
    let ben = circle.admit("Ben");
    circle.say(&circle.fay, "Thursday we meet at six.");
    Some(Evening { circle, ben, _relay: relay })
}

impl Evening {
    fn said(&self, words: &str) -> bool {
        self.circle.history(&self.circle.fay).iter().any(|row| row["text"] == words)
    }
}

#[test]
fn newcomer_joins_by_pasted_link() {
    let Some(evening) = evening() else { return };
    let link = evening.circle.invite(&[]);
    let cleo = Person::new();
    let screen = Tmux::start(&cleo, &[], (80, 60));
    screen.awaits("Do you have an invite link?");
    screen.types("yes");
    screen.presses(&["Enter"]);
    screen.awaits("it is not shown");
    screen.pastes(&link);
    screen.presses(&["Enter"]);
    screen.awaits("New passphrase");
    screen.types("correct horse");
    screen.presses(&["Enter"]);
    screen.awaits("The same again");
    screen.types("correct horse");
    screen.presses(&["Enter"]);
    screen.awaits("To accept all of the above");
    screen.types("I acknowledge");
    screen.presses(&["Enter"]);
    screen.awaits("Your name in the room");
    screen.types("Cleo");
    screen.presses(&["Enter"]);
    evening.circle.await_knock("Cleo");
    // The facilitator lets her in from the screen.
    let fay = Tmux::start(&evening.circle.fay, &["tui"], (120, 40));
    fay.awaits("1 knock");
    fay.types("/admit Cleo");
    fay.presses(&["Enter"]);
    // The keys come first, once.
    screen.awaits("Ctrl-Q");
    screen.awaits("all you can do here");
    screen.presses(&["Escape"]);
    screen.awaits_no("all you can do here");
    screen.awaits("you are Cleo");
    screen.types("Hello, I am new here.");
    screen.presses(&["Enter"]);
    fay.awaits("Hello, I am new here.");
    // Leaving is asked about; the screen stays, and says so.
    screen.types("/leave");
    screen.presses(&["Enter", "Enter"]);
    screen.awaits("Are you sure?");
    screen.types("y");
    screen.awaits("left this room");
    screen.types("/quit");
    screen.presses(&["Enter"]);
    screen.awaits("ended 0");
    assert!(!screen.everything().contains("I am new here"), "{}", screen.everything());
}

#[test]
fn paste_of_many_lines_is_not_sent() {
    let Some(evening) = evening() else { return };
    let screen = Tmux::start(&evening.ben, &["tui"], SIZE);
    screen.awaits("Thursday we meet at six.");
    let lines: Vec<String> = (1..=20).map(|n| format!("pasted line {n}")).collect();
    screen.pastes(&lines.join("\n"));
    screen.awaits("pasted line 20");
    assert!(!evening.said(&lines.join("\n")));
    screen.presses(&["Enter"]);
    screen.awaits("Ben");
    screen.awaits_no("> pasted");
    hearth_kit::wait_until("the words at the others", || evening.said(&lines.join("\n")));
}

#[test]
fn resized_screen_keeps_the_line() {
    let Some(evening) = evening() else { return };
    let screen = Tmux::start(&evening.ben, &["tui"], SIZE);
    screen.awaits("Thursday we meet at six.");
    screen.types("half a sen");
    screen.awaits("half a sen");
    for (columns, rows) in [(30, 10), (120, 40), (1, 1), (40, 20), (3, 50), (80, 24)] {
        screen.resizes(columns, rows);
    }
    screen.awaits("> half a sen");
    screen.awaits("Thursday we meet at six.");
    screen.types("tence");
    screen.awaits("> half a sentence");
}

#[test]
fn suspended_screen_gives_the_terminal_back() {
    let Some(evening) = evening() else { return };
    let screen = Tmux::start(&evening.ben, &["tui"], SIZE);
    screen.awaits("Thursday we meet at six.");
    screen.types("half a sen");
    screen.awaits("half a sen");
    screen.presses(&["C-z"]);
    screen.awaits("ended");
    assert!(!screen.has_own_screen());
    assert!(!screen.everything().contains("Thursday"), "{}", screen.everything());
    screen.types("fg");
    screen.presses(&["Enter"]);
    screen.awaits("> half a sen");
    screen.awaits("Thursday we meet at six.");
    screen.types("tence");
    screen.awaits("> half a sentence");
}

#[test]
fn signal_gives_the_terminal_back() {
    let Some(evening) = evening() else { return };
    for signal in [Signal::TERM, Signal::HUP, Signal::INT] {
        let screen = Tmux::start(&evening.ben, &["tui"], SIZE);
        screen.awaits("Thursday we meet at six.");
        screen.presses(&["C-u"]);
        screen.types("half a sen");
        screen.awaits("> half a sen");
        let program = Pid::from_raw(screen.program()).unwrap();
        kill_process(program, signal).unwrap();
        screen.awaits("ended 0");
        assert!(!screen.has_own_screen());
        let all = screen.everything();
        assert!(!all.contains("Thursday") && !all.contains("half a"), "{all}");
        // What is typed then is echoed: the terminal is as it was.
        screen.types("echo works");
        screen.presses(&["Enter"]);
        screen.awaits("\nworks");
    }
    let screen = Tmux::start(&evening.ben, &["tui"], SIZE);
    screen.awaits("> half a sen");
    assert!(!evening.said("half a sen"));
}

#[test]
fn hidden_screen_needs_the_passphrase() {
    if !Tmux::is_there() {
        return;
    }
    let (relay, file) = (Relay::start(), text_file("correct horse\n"));
    let flags = ["--passphrase-file", file.path().to_str().unwrap()];
    let fay = Person::new();
    let circle = Circle::open_as(&relay, Person::at(fay.home()).with_flags(&flags));
    circle.say(&circle.fay, "Thursday we meet at six.");
    let screen = Tmux::start(&fay, &["tui"], SIZE);
    screen.awaits("Passphrase:");
    screen.types("correct horse");
    screen.presses(&["Enter"]);
    screen.awaits("Thursday we meet at six.");
    screen.types("half a sen");
    screen.awaits("> half a sen");
    screen.presses(&["C-q"]);
    screen.awaits_no("Thursday");
    let all = screen.everything();
    assert!(!all.contains("Tuesday") && !all.contains("half a"), "{all}");
    // The profile is free for others meanwhile.
    circle.say(&circle.fay, "Said while it was hidden.");
    screen.types("wrong horse");
    screen.presses(&["Enter"]);
    screen.awaits("not the passphrase");
    screen.types("correct horse");
    screen.presses(&["Enter"]);
    screen.awaits("Said while it was hidden.");
    screen.awaits("> half a sen");
}

#[test]
fn pause_keeps_words_and_asks() {
    let Some(evening) = evening() else { return };
    let fay = Tmux::start(&evening.circle.fay, &["tui"], (120, 40));
    let ben = Tmux::start(&evening.ben, &["tui"], SIZE);
    fay.awaits("Thursday we meet at six.");
    ben.awaits("Thursday we meet at six.");
    fay.types("/pause 10m Let us breathe.");
    fay.presses(&["Enter"]);
    ben.awaits("Paused by Fay");
    ben.types("I am sick of walking");
    ben.presses(&["Enter"]);
    ben.awaits("kept, the room was paused: I am sick of walking");
    fay.presses(&["Tab"]);
    fay.types("r");
    ben.awaits("You wrote this meanwhile");
    assert!(!evening.said("I am sick of walking"));
    ben.presses(&["Tab"]);
    ben.types("s");
    fay.awaits("I am sick of walking");
    ben.awaits_no("You wrote this meanwhile");
}

#[test]
fn help_is_two_acts() {
    let Some(evening) = evening() else { return };
    let fay = Tmux::start(&evening.circle.fay, &["tui"], (120, 40));
    let ben = Tmux::start(&evening.ben, &["tui"], SIZE);
    fay.awaits("Thursday we meet at six.");
    ben.awaits("Thursday we meet at six.");
    ben.types("help");
    ben.presses(&["Enter"]);
    ben.awaits("999 Emergency");
    ben.awaits("Nobody knows that you opened this.");
    assert!(!fay.screen().contains("asks for help"));
    ben.presses(&["Enter"]);
    fay.awaits("Ben asks for help");
    fay.presses(&["Tab"]);
    fay.types("s");
    ben.awaits("Fay saw this at");
    assert!(!evening.said("help"));
}

#[test]
fn round_and_poll_run_from_the_screen() {
    let Some(evening) = evening() else { return };
    let fay = Tmux::start(&evening.circle.fay, &["tui"], (120, 40));
    let ben = Tmux::start(&evening.ben, &["tui"], SIZE);
    fay.awaits("Thursday we meet at six.");
    ben.awaits("Thursday we meet at six.");
    fay.types("/round start How do you come in?");
    fay.presses(&["Enter"]);
    ben.awaits("You have the floor");
    ben.types("I slept badly.");
    ben.presses(&["Enter"]);
    fay.awaits("I slept badly.");
    ben.presses(&["Tab"]);
    ben.types("d");
    fay.awaits("The round is over");
    fay.types("/poll \"When?\" \"at six\" \"at eight\"");
    fay.presses(&["Enter"]);
    ben.awaits("? When?");
    ben.presses(&["Tab"]);
    ben.types("v");
    ben.awaits("Everybody sees who votes for what.");
    ben.types("2");
    fay.awaits("votes: at eight");
}

#[test]
fn lane_is_no_place_for_the_room() {
    let Some(evening) = evening() else { return };
    let ben = Tmux::start(&evening.ben, &["tui"], SIZE);
    ben.awaits("Thursday we meet at six.");
    ben.awaits("Check-in");
    ben.presses(&["M-Down"]);
    ben.awaits("to Fay only >");
    ben.types("Could we talk?");
    ben.presses(&["Enter"]);
    ben.awaits_no("> Could we talk?");
    ben.awaits("Could we talk?");
    // An unfinished sentence for the lane is not for the room.
    ben.types("half a sen");
    ben.awaits("> half a sen");
    ben.presses(&["M-Up"]);
    ben.awaits("Thursday we meet at six.");
    ben.awaits_no("half a sen");
    ben.presses(&["M-Down"]);
    ben.awaits("> half a sen");
    assert!(!evening.said("Could we talk?"));
}
