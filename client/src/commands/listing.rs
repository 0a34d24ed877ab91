//! Listings: who is here, what was done, what is in force, what waits.

use hearth_protocol::frame::Door;
use serde_json::{Value, json};

use super::Result;
use crate::{
    cli::InRoom,
    engine::{
        EngineError, Room,
        policy::{Act, RuleError},
    },
    failure::{Failure, exit},
    live::Live,
    show::{self, Output},
    text::escape,
};

/// Does what needs no connection.
pub(super) fn local(room: &mut Room<'_>, out: &Output, command: &InRoom) -> Result<()> {
    match command {
        InRoom::Who { .. } => who(room, out),
        InRoom::Log { export, .. } => log(room, out, export.as_deref()),
        InRoom::Verify { member, .. } => verify(room, out, member.as_deref()),
        InRoom::Outbox { drop, .. } => outbox(room, out, drop.as_deref()),
        InRoom::Mute { member, .. } => mute(room, out, member, true),
        InRoom::Unmute { member, .. } => mute(room, out, member, false),
        _ => Ok(()),
    }
}

fn mute(room: &mut Room<'_>, out: &Output, member: &str, muted: bool) -> Result<()> {
    let leaf = room.find_member(member)?;
    room.set_muted(leaf.member, muted)?;
    let object = json!({"done": if muted { "mute" } else { "unmute" }, "member": leaf.name});
    let text = if muted { "not shown on this device; nobody is told" } else { "shown again" };
    Ok(out.say(&object, text)?)
}

fn outbox(room: &mut Room<'_>, out: &Output, drop: Option<&str>) -> Result<()> {
    let waiting = room.waiting_texts()?;
    if let Some(wanted) = drop {
        let wanted = wanted.to_ascii_lowercase();
        let found = waiting
            .iter()
            .find(|(id, _, _)| id.to_hex().starts_with(&wanted) || id.short().starts_with(&wanted));
        let (id, _, _) = found.ok_or_else(|| EngineError::NoSuchMessage(wanted.clone()))?;
        let dropped = room.drop_waiting(id)?;
        return Ok(out.say(&json!({"dropped": dropped, "id": id.to_hex()}), "dropped")?);
    }
    for (id, at, text) in waiting {
        let object = json!({"id": id.to_hex(), "written_at": show::rfc3339(at), "text": text});
        let line = format!("[{}] {}: {}", id.short(), show::clock(at), escape::one_line(&text));
        out.say(&object, &line)?;
    }
    Ok(())
}

fn who(room: &mut Room<'_>, out: &Output) -> Result<()> {
    let (policy, roster, id, me) = (room.policy()?, room.roster()?, room.id(), room.me());
    let names: Vec<&str> = roster.iter().map(|l| l.name.as_str()).collect();
    for leaf in &roster {
        let mut object = show::member_json(&policy, &id, leaf);
        object["me"] = json!(leaf.member == me);
        let good = object["acknowledged"] == json!(true);
        let clash = names.iter().filter(|n| **n == leaf.name).count() > 1;
        let suffix = if clash { format!(" #{}", leaf.member.short()) } else { String::new() };
        let text = format!(
            "{:9} {:14} {}{}{}  acknowledged version {} on {}",
            leaf.member.short(),
            policy.role(&leaf.member).as_str(),
            escape::one_line(&leaf.name),
            suffix,
            if leaf.member == me { " (you)" } else { "" },
            leaf.acknowledgement.version,
            show::clock(leaf.acknowledgement.signed_at),
        );
        let text = if good { text } else { format!("{text}  !! DOES NOT VERIFY") };
        out.say(&object, &text)?;
    }
    Ok(())
}

fn log(room: &mut Room<'_>, out: &Output, export: Option<&std::path::Path>) -> Result<()> {
    let records = room.log()?;
    let broken = room.broken_record(&records)?;
    let names = room.known_names()?;
    let name_of = |key| names.get(&key).cloned().unwrap_or_default();
    let mut lines = Vec::new();
    for record in &records {
        let actor = name_of(record.actor);
        let mut object = show::record_json(record, &actor);
        let target = record.act.target().map(name_of).unwrap_or_default();
        if !target.is_empty() {
            object["target"] = json!(target);
        }
        let text = format!(
            "{:5} {} {} {} {}",
            record.number,
            show::clock(record.at),
            escape::one_line(&actor),
            record.act.as_str(),
            escape::one_line(&target)
        );
        match export {
            Some(_) => lines.push(object.to_string()),
            None => out.say(&object, text.trim_end())?,
        }
    }
    if let Some(path) = export {
        std::fs::write(path, lines.join("\n") + "\n")?;
        out.say(&json!({"exported": lines.len()}), &format!("{} records written", lines.len()))?;
    }
    if let Some(number) = broken {
        return Err(Failure::new(
            exit::LIED,
            "verification_failed",
            format!("the log's hash chain is broken at record {number}"),
            "`hearth profile check` looks for damage on this device.",
        ));
    }
    Ok(())
}

fn verify(room: &mut Room<'_>, out: &Output, member: Option<&str>) -> Result<()> {
    match member {
        Some(member) => {
            let leaf = room.find_member(member)?;
            let code = room.verification_code(&leaf.member);
            let object = json!({"member": leaf.name, "code": code, "key": leaf.member.to_hex()});
            let text = format!(
                "{code}\nCompare with what {} sees for you, by voice or in person.",
                escape::one_line(&leaf.name)
            );
            Ok(out.say(&object, &text)?)
        }
        None => {
            let (code, epoch) = (room.safety_code()?, room.epoch()?);
            let unconfirmed = room.unconfirmed()?;
            let names: Vec<&str> = unconfirmed.members.iter().map(|l| l.name.as_str()).collect();
            let object = json!({
                "safety_code": code,
                "epoch": epoch.0,
                "unconfirmed": names,
                "unconfirmed_since": unconfirmed.since.map(|seq| seq.0),
            });
            let mut text = format!(
                "{code}\nEverybody who is up to date sees the same digits (epoch {epoch})."
            );
            if !names.is_empty() {
                let names: Vec<String> = names.into_iter().map(escape::one_line).collect();
                text += &format!(
                    "\nNothing has come since the last change of who is here from: {}.\nThey may be quiet or away, or the relay keeps the change from them. Compare the digits.",
                    names.join(", ")
                );
            }
            Ok(out.say(&object, &text)?)
        }
    }
}

pub(super) async fn knocks(live: &mut Live<'_>, out: &Output) -> Result<()> {
    if !live.room.my_role()?.moderates() {
        return Err(EngineError::Rule(RuleError::NotFacilitator).into());
    }
    for (pending, opened) in live.knocks().await? {
        let (object, text) = match opened {
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
        out.say(&object, &text)?;
    }
    Ok(())
}

pub(super) async fn status(live: &mut Live<'_>, out: &Output) -> Result<()> {
    let status = live.status().await?;
    let now = live.relay_now();
    let room = &mut live.room;
    let (policy, me, epoch) = (room.policy()?, room.me(), room.epoch()?);
    let names = room.known_names()?;
    let timed_out: Vec<Value> = status
        .roster
        .iter()
        .filter(|r| r.timed_out_until > now)
        .map(|r| json!({"name": names.get(&r.member), "until": show::rfc3339(r.timed_out_until)}))
        .collect();
    let numbers = &policy.numbers;
    let paused = numbers.paused_until > now;
    let state = room.state();
    let object = json!({
        "room": state.local_name,
        "title": policy.title,
        "standing": state.standing.as_str(),
        "role": policy.role(&me).as_str(),
        "epoch": epoch.0,
        "relay_epoch": status.epoch.0,
        "seq": room.cursor().seq.0,
        "members": room.roster_len()?,
        "agreement": policy.agreement.id.to_hex(),
        "agreement_version": policy.agreement.version,
        "pending_agreement": policy.pending.map(|p| p.id.to_hex()),
        "paused_until": paused.then(|| show::rfc3339(numbers.paused_until)),
        "locked": numbers.locked,
        "door": match numbers.door {
            Door::ByHours => "by_hours", Door::Open => "open", Door::Closed => "closed",
        },
        "slow_seconds": numbers.slow_seconds,
        "budget_per_day": numbers.budget_per_day,
        "message_chars_max": policy.message_chars_max,
        "hours": policy.hours_text,
        "retention_seconds": numbers.retention_seconds,
        "pins": policy.pins.iter().map(|p| p.message.to_hex()).collect::<Vec<_>>(),
        "timed_out_until": (status.timed_out_until > now)
            .then(|| show::rfc3339(status.timed_out_until)),
        "timed_out": timed_out,
        "knocks": status.knocks,
        "outbox": room.waiting_texts()?.len(),
    });
    let mut lines = vec![format!(
        "{} - you are {}; {} members; agreement version {}",
        escape::one_line(&policy.title),
        policy.role(&me).as_str(),
        object["members"],
        policy.agreement.version
    )];
    if paused {
        lines.push(format!("paused until {}", show::clock(numbers.paused_until)));
    }
    if numbers.locked {
        lines.push("locked: nobody is admitted".into());
    }
    if numbers.slow_seconds > 0 {
        lines.push(show::act_text(&Act::Slow(numbers.slow_seconds), ""));
    }
    if numbers.budget_per_day > 0 {
        lines.push(show::act_text(&Act::Budget(numbers.budget_per_day), ""));
    }
    if policy.message_chars_max > 0 {
        lines.push(show::act_text(&Act::Length(policy.message_chars_max), ""));
    }
    if !policy.hours_text.is_empty() {
        lines.push(format!("opening hours: {}", escape::one_line(&policy.hours_text)));
    }
    lines.push(format!("messages are kept for {}", show::span(numbers.retention_seconds)));
    if status.knocks > 0 {
        lines.push(format!("{} knock(s) wait: `hearth knocks`", status.knocks));
    }
    if object["outbox"] != json!(0) {
        lines.push(format!("{} message(s) wait in your outbox", object["outbox"]));
    }
    Ok(out.say(&object, &lines.join("\n"))?)
}
