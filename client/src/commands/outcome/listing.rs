//! Lists: who is here, what was done, what waits, who knocks.

use std::{
    fs::OpenOptions,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use hearth_engine::{
    policy::{Leaf, Record},
    room::Names,
    state::Held,
};
use hearth_protocol::{MemberKey, RejectCode, Role};
use hearth_session::{
    client::{Knocker, Outcome, RoomView},
    connection::refusal_words,
};
use hearth_text::{count::counted, escape, name::Look};
use serde_json::json;

use super::say;
use crate::commands::{Result, shell::lanes::label as lane_label};
use crate::{
    failure::{Failure, exit, io_words},
    show::{self, Output},
};

/// Lists what waits in the outbox.
pub(in crate::commands) fn outbox(out: &Output, view: &RoomView) -> Result<()> {
    let in_lanes = view.lanes.iter().flat_map(|lane| lane.outbox.iter().map(move |w| (lane, w)));
    let in_lanes: Vec<_> = in_lanes.collect();
    for (lane, waiting) in &in_lanes {
        let label = lane_label(view, lane);
        let object = json!({
            "id": waiting.id.to_hex(),
            "written_at": show::rfc3339(waiting.written_at),
            "text": waiting.text,
            "lane": label,
        });
        let (id, at) = (waiting.id.short(), show::clock(waiting.written_at));
        let (label, text) = (escape::one_line(&label), escape::one_line(&waiting.text));
        out.say(&object, &format!("({label}) [{id}] {at}: {text}"))?;
    }
    if view.outbox.is_empty() && in_lanes.is_empty() {
        out.say_none("Nothing waits in your outbox.")?;
    }
    for waiting in &view.outbox {
        let mut object = json!({
            "id": waiting.id.to_hex(),
            "written_at": show::rfc3339(waiting.written_at),
            "text": waiting.text,
        });
        let mut mark = String::new();
        if let Some(why) = waiting.held {
            let (word, words) = held_words(why);
            object["held"] = json!(word);
            mark = format!(" (not sent: {words})");
        }
        if waiting.doubtful {
            object["may_be_posted"] = json!(true);
            mark.push_str(" (it may have been posted all the same: look in the room first)");
        }
        let (id, at) = (waiting.id.short(), show::clock(waiting.written_at));
        let line = format!("[{id}] {at}{mark}: {}", escape::one_line(&waiting.text));
        out.say(&object, &line)?;
    }
    Ok(())
}

/// Returns why words stay in the outbox, as a word and as words.
pub(in crate::commands) fn held_words(why: Held) -> (&'static str, &'static str) {
    match why {
        Held::Out => ("out", "you were out of the room"),
        Held::Turn => ("turn", "it was another member's turn"),
        Held::Unattended => ("unattended", "nobody from the team was here after a pause"),
        Held::Refused(code) => (
            code.as_str(),
            match code {
                RejectCode::Observer => "observers read, and do not post",
                // What held them may be over.
                RejectCode::Paused => "the room was paused",
                RejectCode::TimedOut => "you had a break",
                RejectCode::Closed => "the room was closed",
                RejectCode::BudgetSpent => "your posts of the day were spent",
                RejectCode::QuotaSpent => "the room had used up its space for messages",
                code => refusal_words(code),
            },
        ),
    }
}

/// Lists the members.
pub(in crate::commands) fn who(out: &Output, view: &RoomView) -> Result<()> {
    let Some(policy) = &view.policy else { return Err(crate::failure::not_inside(&view.standing)) };
    let names: Vec<&str> = view.roster.iter().map(|leaf| leaf.name.as_str()).collect();
    for leaf in &view.roster {
        let mut object = show::member_json(policy, &view.id, leaf);
        object["me"] = json!(leaf.member == view.me);
        object["departing"] = json!(view.departing.contains(&leaf.member));
        let good = object["acknowledged"] == json!(true);
        let clash = names.iter().filter(|name| **name == leaf.name).count() > 1;
        let suffix = if clash { format!(" #{}", leaf.member.short()) } else { String::new() };
        let text = format!(
            "{:9} {:14} {}{}{}  acknowledged version {} on {}",
            leaf.member.short(),
            policy.role(&leaf.member).as_str(),
            escape::one_line(&leaf.name),
            suffix,
            if leaf.member == view.me { " (you)" } else { "" },
            leaf.acknowledgement.version,
            show::date(leaf.acknowledgement.signed_at),
        );
        let text = match policy.role(&leaf.member) {
            Role::Steward => {
                format!(
                    "{text}  a program: it reads the room, lets people in by rule, and is in no check-in"
                )
            }
            _ => text,
        };
        let text = if view.departing.contains(&leaf.member) {
            format!("{text}  says goodbye and still has the keys")
        } else {
            text
        };
        let text = match (good, object["said_yes"] == json!(true)) {
            (false, _) => format!("{text}  !! DOES NOT VERIFY"),
            (true, false) => format!("{text}  has not said yes again yet"),
            (true, true) => text,
        };
        out.say(&object, &text)?;
    }
    for place in policy.more.kept() {
        let object = json!({
            "name": place.name, "id": place.lost.short(), "key": place.lost.to_hex(),
            "role": place.role.as_str(), "waits_for_device": true,
        });
        let (id, role) = (place.lost.short(), place.role.as_str());
        let name = escape::one_line(&place.name);
        out.say(&object, &format!("{id:9} {role:14} {name}  is away until a new device is in"))?;
    }
    for waiter in policy.waiting() {
        let (id, role) = (waiter.member.short(), waiter.role.as_str());
        let object = json!({
            "name": waiter.name, "id": id, "key": waiter.member.to_hex(), "role": role, "waits": true,
        });
        let name = escape::one_line(&waiter.name);
        out.say(&object, &format!("{id:9} {role:14} {name}  has not said yes yet"))?;
    }
    Ok(())
}

/// Lists or exports the log of moderation.
pub(in crate::commands) fn log(
    out: &Output,
    records: &[Record],
    broken: Option<u64>,
    names: &Names,
    export: Option<&Path>,
) -> Result<()> {
    let name_of = |key| names.get(&key).cloned().unwrap_or_default();
    let known = |key: MemberKey| names.get(&key).cloned().unwrap_or_else(|| key.short());
    let mut lines = Vec::new();
    for record in records {
        let mut object = show::record_json(record, &name_of(record.actor));
        let target = record.act.target();
        if let Some(name) = target.map(name_of).filter(|name| !name.is_empty()) {
            object["target"] = json!(name);
        }
        let target = target.map(known).unwrap_or_default();
        let did = show::act_sentence(record, &known(record.actor), &target);
        let (number, at) = (record.number, show::date(record.at));
        let text = format!("{number:5} {at}  {}", escape::one_line(&did));
        match export {
            Some(_) => lines.push(object.to_string()),
            None => out.say(&object, &text)?,
        }
    }
    if records.is_empty() && export.is_none() {
        out.say_none("The log is empty.")?;
    }
    if let Some(path) = export {
        let written = lines.iter().fold(String::new(), |all, line| all + line + "\n");
        write_new(path, &written)?;
        let count = counted(lines.len(), "record", "records");
        let text = format!("wrote {count} to {}", path.display());
        out.say(&json!({"exported": lines.len()}), &text)?;
    }
    match broken {
        None => Ok(()),
        Some(number) => Err(Failure::new(
            exit::LIED,
            "verification_failed",
            format!(
                "the log does not hang together at record {number}: something was altered or left out"
            ),
            "`hearth profile check` looks for damage on this device.",
        )),
    }
}

/// Writes a file that only this account can read. A file that is there already may be all that is left of an earlier log.
pub(in crate::commands) fn write_new(path: &Path, text: &str) -> Result<()> {
    let failed = |error: io::Error| {
        let shown = path.display();
        let (words, advice) = match error.kind() {
            io::ErrorKind::AlreadyExists => (
                "it is there already, and stays as it was".to_owned(),
                "Name a new file: `hearth log ROOM --export FILE`.",
            ),
            _ => (io_words(&error), "Name a file in a folder that you may write to."),
        };
        Failure::new(exit::FAILED, "not_written", format!("cannot write {shown}: {words}"), advice)
    };
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)
}

/// Prints digits to compare.
pub(in crate::commands) fn verify(
    out: &Output,
    member: Option<&Leaf>,
    became: Outcome,
) -> Result<()> {
    match (became, member) {
        (Outcome::MemberCode(code), Some(leaf)) => {
            let object = json!({"member": leaf.name, "code": code, "key": leaf.member.to_hex()});
            let name = escape::one_line(&leaf.name);
            let text =
                format!("{code}\nCompare with what {name} sees for you, by voice or in person.");
            say(out, &object, &text)
        }
        (Outcome::RoomCode { code, epoch, unconfirmed }, _) => {
            let names: Vec<&str> =
                unconfirmed.members.iter().map(|leaf| leaf.name.as_str()).collect();
            let object = json!({
                "safety_code": code,
                "epoch": epoch.0,
                "unconfirmed": names,
                "unconfirmed_since": unconfirmed.since.map(|seq| seq.0),
            });
            let mut text = format!(
                "{code}\nEverybody who is up to date sees the same digits (change {epoch} of the keys)."
            );
            if !names.is_empty() {
                let names: Vec<String> = names.into_iter().map(escape::one_line).collect();
                text += &format!(
                    "\nNothing has come since the last change of who is here from: {}.\nThey may be quiet or away, or the relay keeps the change from them. Compare the digits.",
                    names.join(", ")
                );
            }
            say(out, &object, &text)
        }
        _ => Ok(()),
    }
}

/// Lists who asks to be admitted.
pub(in crate::commands) fn knocks(
    out: &Output,
    view: &RoomView,
    knockers: &[Knocker],
) -> Result<()> {
    if knockers.is_empty() {
        out.say_none("Nobody waits at the door.")?;
    }
    let names: Vec<(MemberKey, Look)> = knockers
        .iter()
        .filter_map(|knocker| knocker.opened.as_ref().ok())
        .map(|knock| (knock.member, Look::of(&knock.name)))
        .collect();
    for knocker in knockers {
        let pending = &knocker.pending;
        let (mut object, mut text) = match &knocker.opened {
            Ok(knock) => (
                json!({
                    "name": knock.name,
                    "id": knock.member.short(),
                    "key": knock.member.to_hex(),
                    "at": show::rfc3339(knock.at),
                    "acknowledged": true,
                    "version": knock.acknowledgement.version,
                    "role": knock.role.as_str(),
                }),
                format!(
                    "{:9} {}  acknowledged version {}, verified; since {}",
                    knock.member.short(),
                    escape::one_line(&knock.name),
                    knock.acknowledgement.version,
                    show::clock(knock.at)
                ),
            ),
            Err(error) => (
                json!({
                    "id": pending.member.short(),
                    "key": pending.member.to_hex(),
                    "at": show::rfc3339(pending.at),
                    "acknowledged": false,
                    "why": error.to_string(),
                }),
                format!("{:9} !! cannot be admitted: {error}", pending.member.short()),
            ),
        };
        if let Ok(knock) = &knocker.opened
            && knock.of.is_some()
        {
            object["new_device"] = json!(true);
            let name = escape::one_line(&knock.name);
            text += &match &knocker.digits {
                Some(digits) => {
                    object["digits"] = json!(digits);
                    format!(
                        "\n          comes back on a new device: admit only after {name} has read you these digits in person or by voice: {digits}"
                    )
                }
                None => format!(
                    "\n          comes back on a new device: the facilitator who gave {name} the link compares digits first"
                ),
            };
        }
        if let Some(error) = &knocker.dates {
            object["acknowledged"] = json!(false);
            object["why"] = json!(error);
            text += &format!("\n          !! cannot be admitted: {error}");
        }
        if let Some(others) = &knocker.others_can {
            let who = match others.as_slice() {
                [] => "decline them, and give them a new invite".to_owned(),
                others => format!("{} can", escape::one_line(&others.join(" or "))),
            };
            object["can_admit"] = json!(others);
            text += &format!(
                "\n          !! you cannot admit them, because their invite is older than your role: {who}"
            );
        }
        if let Some((_, look)) = names.iter().find(|(member, _)| *member == pending.member) {
            // Before anybody tries to admit them: the gate refuses a name that looks like a member's.
            let alike = view.roster.iter().find(|leaf| look.is_like(&Look::of(&leaf.name)));
            if let Some(leaf) = alike {
                object["looks_like"] = json!(leaf.name);
                text += &format!(
                    "\n          !! looks like {}, who is in the room: cannot be admitted under this name. Decline them, and give them a new invite",
                    escape::one_line(&leaf.name)
                );
            }
            if names.iter().any(|(other, it)| *other != pending.member && it.is_like(look)) {
                object["looks_like_another_knock"] = json!(true);
                text += "\n          !! somebody else knocks under a name that looks the same: use the id";
            }
        }
        out.say(&object, &text)?;
    }
    Ok(())
}
