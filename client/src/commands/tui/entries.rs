//! The palette: the rows of the one table, with the fields that their parser has.

use std::sync::LazyLock;

use clap::{Arg, ArgAction, Subcommand as _};
use hearth_protocol::Role;
use hearth_session::client::{Link, RoomView};
use hearth_tui::{Entry as Shown, Field, Native};

use crate::commands::{
    Entry, InRoom, May, chat_commands,
    room::{Needs, Tail},
};

/// The parser of room commands, which knows what each takes.
static PARSER: LazyLock<clap::Command> =
    LazyLock::new(|| InRoom::augment_subcommands(clap::Command::new("hearth")));

/// Commands that come before the others.
const FIRST: [&str; 5] = ["help-now", "checkin", "hand", "pass", "done"];

/// Returns what a member can do now, help-now first. `knockers` are names of those who knock.
pub(super) fn entries(view: &RoomView, knockers: &[String]) -> Vec<Shown> {
    let role = view.role().unwrap_or(Role::Observer);
    let connected = !matches!(view.link, Link::Down { .. } | Link::Ended(_));
    let may = |entry: &&Entry| {
        let now = connected || entry.needs != Needs::Relay || entry.name == "help-now";
        let posts = role.posts() || !matches!(entry.name, "retract" | "outbox" | "send");
        entry.topic.is_some()
            && entry.who.includes(role)
            && now
            && posts
            && fits_now(view, entry.name)
    };
    // A plain line does the same, and the palette lists rooms by itself.
    let all = chat_commands().filter(|entry| !matches!(entry.name, "send" | "room")).filter(may);
    let mut shown: Vec<Shown> = all.map(|entry| shown_as(view, entry, knockers)).collect();
    shown.sort_by_key(|entry| {
        FIRST.iter().position(|first| *first == entry.name).unwrap_or(FIRST.len())
    });
    for (name, does, native) in [
        ("hide", "hide this at once and lock", Native::Hide),
        ("help", "list the keys", Native::Keys),
        ("quit", "end", Native::Quit),
    ] {
        let (name, does) = (name.to_owned(), does.to_owned());
        shown.push(Shown { name, does, native: Some(native), ..Shown::default() });
    }
    shown
}

/// Whether a command can do something as things are; the others only crowd the list.
fn fits_now(view: &RoomView, name: &str) -> bool {
    let round = view.floor.round.is_some() || view.floor_unknown;
    let mine = view.holder() == Some(view.me);
    let paused = view.policy.as_ref().is_some_and(|policy| policy.numbers.paused_until.0 > 0);
    match name {
        "next" | "skip" | "extend" => round,
        "pass" | "done" => mine || view.floor_unknown,
        "lower" => view.floor.hands.iter().any(|hand| hand.member == view.me),
        "resume" => paused,
        "answer" | "vote" | "close-ask" => !view.floor.asks.is_empty(),
        "acknowledge" => view.coming.is_some(),
        "outbox" => !view.outbox.is_empty(),
        "unmute" => !view.muted.is_empty(),
        "back" => view.mine.away.is_some(),
        "flag" => !view.help.open.is_empty(),
        _ => true,
    }
}

fn shown_as(view: &RoomView, entry: &Entry, knockers: &[String]) -> Shown {
    let native = match entry.name {
        "help-now" => Some(Native::Help),
        "mood" if !view.moderates() => Some(Native::Mood),
        "rooms" => Some(Native::Rooms),
        "acknowledge" => Some(Native::Sign),
        _ => None,
    };
    let (who, enforced) = letters(entry);
    Shown {
        name: entry.name.to_owned(),
        does: entry.does.to_owned(),
        who,
        enforced,
        fields: fields(view, entry, knockers),
        native,
    }
}

/// Returns who may, and who enforces it, in the letters of the help.
fn letters(entry: &Entry) -> (String, String) {
    let codes = entry.codes();
    let enforced = codes.split_once('[').map_or("", |(_, enforced)| enforced);
    // Of what is said beside the letters there is no room here; `/help COMMAND` says all.
    let mut letters: Vec<&str> = enforced
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| matches!(*word, "E" | "R" | "C"))
        .collect();
    letters.dedup();
    let who = match entry.who {
        May::Members => "M",
        May::Moderators => "F CF",
        May::Facilitators => "F",
    };
    (who.to_owned(), letters.join(" "))
}

fn fields(view: &RoomView, entry: &Entry, knockers: &[String]) -> Vec<Field> {
    let Some(command) = PARSER.find_subcommand(entry.name) else { return Vec::new() };
    let arguments = command.get_arguments().filter(|argument| {
        let is_ours = !matches!(argument.get_id().as_str(), "room" | "help" | "version");
        // Behind free words no flag is read.
        is_ours && (argument.is_positional() || entry.tail == Tail::Arguments)
    });
    let (positional, flags): (Vec<&Arg>, Vec<&Arg>) = arguments.partition(|a| a.is_positional());
    let last = positional.len().saturating_sub(1);
    let positional = positional.into_iter().enumerate().map(|(at, argument)| {
        let ends = at == last && entry.tail != Tail::Arguments;
        Field { words: ends || is_many(argument), ..field(view, argument, knockers) }
    });
    let flags = flags.into_iter().map(|argument| Field {
        flag: argument.get_long().map(|long| format!("--{long}")).unwrap_or_default(),
        switch: !argument.get_action().takes_values(),
        ..field(view, argument, knockers)
    });
    positional.chain(flags.filter(|field| !field.flag.is_empty())).collect()
}

fn is_many(argument: &Arg) -> bool {
    argument.get_num_args().is_some_and(|range| range.max_values() > 1)
}

fn field(view: &RoomView, argument: &Arg, knockers: &[String]) -> Field {
    let names: Vec<String> = argument
        .get_value_names()
        .map(|names| names.iter().map(ToString::to_string).collect())
        .unwrap_or_default();
    let name = match argument.get_long() {
        Some(long) => long.to_owned(),
        None if names.is_empty() => argument.get_id().to_string().to_uppercase(),
        None => names.join(" "),
    };
    let takes = argument.get_action().takes_values();
    let possible = argument.get_possible_values();
    let mut choices: Vec<String> =
        possible.iter().map(|value| value.get_name().to_owned()).filter(|_| takes).collect();
    let free = choices.is_empty();
    if matches!(argument.get_action(), ArgAction::SetTrue) {
        choices = vec!["yes".to_owned()];
    }
    let names_a_person = names
        .iter()
        .chain([&name])
        .any(|name| name.split(' ').next().is_some_and(|word| matches!(word, "NAME" | "MEMBER")));
    if choices.is_empty() && names_a_person {
        let others = view.roster.iter().filter(|leaf| leaf.member != view.me);
        choices = knockers.iter().cloned().chain(others.map(|leaf| leaf.name.clone())).collect();
    }
    Field {
        name,
        help: argument.get_help().map(ToString::to_string).unwrap_or_default(),
        choices,
        free,
        optional: !argument.is_required_set(),
        ..Field::default()
    }
}
