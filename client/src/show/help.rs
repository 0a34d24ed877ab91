//! The sentences about a call for help: what happened, what still works, what to do next.

use hearth_engine::help::{Line, OpenCall, Stage};
use hearth_session::client::HelpView;
use hearth_text::escape::one_line;
use serde_json::{Value, json};

use super::{clock, rfc3339};

/// What stands in place of a number where none is known.
pub const NO_NUMBER: &str = "the emergency number of the country you are in";

/// Names people: `Fay and Gil`.
pub fn people(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| one_line(name)).collect();
    match &names[..] {
        [] => "the facilitators".into(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// Returns the first line of the numbers.
pub fn number(help: &HelpView) -> String {
    help.contacts.first().map_or_else(|| NO_NUMBER.to_owned(), hearth_forms::Help::first_line)
}

/// Says who is there to be told.
pub fn presence(help: &HelpView) -> String {
    let here = match &help.on_duty[..] {
        [] => return "Nobody is on duty now: phoning is quicker.".into(),
        [one] => format!("{} is on duty.", one_line(one)),
        more => format!("{} are on duty.", people(more)),
    };
    match off_duty(help) {
        Some(off) => format!("{here} {off}"),
        None => here,
    }
}

/// Names those who are off duty, and whose devices do not ring while somebody is on duty.
pub fn off_duty(help: &HelpView) -> Option<String> {
    if help.on_duty.is_empty() {
        return None;
    }
    let off = help.bench.iter().filter(|name| !help.on_duty.contains(name));
    let off: Vec<String> = off.cloned().collect();
    match &off[..] {
        [] => None,
        [one] => Some(format!("{} is off duty, and is not rung.", one_line(one))),
        more => Some(format!("{} are off duty, and are not rung.", people(more))),
    }
}

/// Says how far a call is, to the one who called.
pub fn call(line: &Line, help: &HelpView) -> String {
    let number = number(help);
    let quoted = |words: &str| match words.trim() {
        "" => String::new(),
        words => format!(" \u{201c}{}\u{201d}", one_line(words)),
    };
    match &line.stage {
        Stage::Kept => format!(
            "Not sent: there is no connection. It goes out when there is one. Do not wait for it. A phone may still work: {number}"
        ),
        Stage::Sent if line.unseen => {
            let always = help.contacts.first().is_some_and(hearth_forms::Help::first_always);
            let always = if always { " They answer day and night." } else { "" };
            format!(
                "Nobody has seen this yet. It is not because of you. Please call {number} now.{always} We keep trying {}.",
                people(&help.bench)
            )
        }
        Stage::Sent => format!("Not seen yet. Do not wait if you are in danger: {number}"),
        Stage::Seen { by, .. } | Stage::HandedOver { by } if line.silent => {
            format!("{} has not written yet. You need not wait: {number}", one_line(by))
        }
        Stage::Seen { by, at } => {
            let by = one_line(by);
            format!(
                "{by} saw this at {}. If it gets worse before {by} writes: {number}",
                clock(*at)
            )
        }
        Stage::WithYou { by } => {
            format!("{} is with you now, in your check-in: `hearth checkin ROOM`", one_line(by))
        }
        Stage::HandedOver { by } => {
            let by = one_line(by);
            format!("{by} goes on from here. {by} has read what you wrote.")
        }
        Stage::Closed { by, words } => format!(
            "{} has marked this as talked through:{} You can open `hearth help-now ROOM` again at any time, as often as you need.",
            one_line(by),
            quoted(words)
        ),
    }
}

/// Says to whom a call went.
pub fn sent(line: &Line, told: &[String], unreached: &[String]) -> Option<String> {
    if line.stage == Stage::Kept {
        return None;
    }
    let missed = match unreached {
        [] => String::new(),
        names => format!(" It did not reach {}.", people(names)),
    };
    Some(format!("Sent to {} at {}.{missed}", people(told), clock(line.at)))
}

/// Returns how far a call is, for programs.
pub fn to_json(line: &Line) -> Value {
    let (stage, by, at) = match &line.stage {
        Stage::Kept => ("kept", None, None),
        Stage::Sent => ("sent", None, None),
        Stage::Seen { by, at } => ("seen", Some(by), Some(*at)),
        Stage::WithYou { by } => ("with_you", Some(by), None),
        Stage::HandedOver { by } => ("handed_over", Some(by), None),
        Stage::Closed { by, .. } => ("closed", Some(by), None),
    };
    json!({
        "call": line.call.to_hex(),
        "stage": stage,
        "by": by,
        "seen_at": at.map(rfc3339),
        "unseen": line.unseen,
        "silent": line.silent,
    })
}

/// Says that somebody calls, to those who moderate.
pub fn open(call: &OpenCall) -> String {
    let (name, id) = (one_line(&call.name), call.id.short());
    let words = match call.words.trim() {
        "" => String::new(),
        words => format!(": \u{201c}{}\u{201d}", one_line(words)),
    };
    let has = match &call.has {
        Some(said) => format!(" {} has this.", one_line(&said.name)),
        None => format!(" `hearth flag ROOM seen {id}` says that you have read it."),
    };
    format!("{name} asks for help, {}{words}.{has}", clock(call.at))
}

/// Returns a call for programs of those who moderate.
pub fn open_json(call: &OpenCall) -> Value {
    json!({
        "flag": call.id.to_hex(),
        "from": call.name,
        "key": call.by.to_hex(),
        "at": rfc3339(call.at),
        "text": call.words,
        "seen_by": call.has.as_ref().map(|said| &said.name),
    })
}
