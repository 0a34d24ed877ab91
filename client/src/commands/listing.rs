//! Listings: who is here, what was done, what is in force, what waits.

use hearth_engine::{
    EngineError, Room,
    accord::Mismatch,
    policy::{Act, RuleError},
    state::{Held, Row, RowContent},
};
use hearth_protocol::{MemberKey, MessageId, Millis, RejectCode, RoomNumbers, frame::Door};
use hearth_session::{
    connection::refusal_words,
    live::{Live, now},
};
use hearth_text::{count::counted, escape, name::Look};
use serde_json::{Value, json};

use super::{Result, read::not_verified};
use crate::{
    cli::InRoom,
    failure::{Failure, exit},
    show::{self, Output},
    text::when,
};

/// Does what needs no connection.
pub(super) fn local(room: &mut Room<'_>, out: &Output, command: &InRoom) -> Result<()> {
    match command {
        InRoom::Who { .. } => who(room, out),
        InRoom::Log { export, .. } => log(room, out, export.as_deref()),
        InRoom::Verify { member, .. } => verify(room, out, member.as_deref()),
        InRoom::Outbox { drop, send, .. } => outbox(room, out, (drop.as_deref(), send.as_deref())),
        InRoom::Mute { member, .. } => mute(room, out, member, true),
        InRoom::Unmute { member, .. } => mute(room, out, member, false),
        _ => Ok(()),
    }
}

fn mute(room: &mut Room<'_>, out: &Output, member: &str, muted: bool) -> Result<()> {
    let leaf = room.find_member(member)?;
    room.set_muted(leaf.member, muted)?;
    let object = json!({"done": if muted { "mute" } else { "unmute" }, "member": leaf.name});
    let name = escape::one_line(&leaf.name);
    let text = match muted {
        true => format!("This device hides {name}'s messages; nobody is told."),
        false => format!("This device shows {name}'s messages again."),
    };
    Ok(out.say(&object, &text)?)
}

/// Finds a message that waits in the outbox.
fn find_waiting(room: &Room<'_>, wanted: &str) -> Result<MessageId, EngineError> {
    let wanted = wanted.to_ascii_lowercase();
    let mut ids = room.waiting_texts()?.into_iter().map(|(id, ..)| id);
    ids.find(|id| id.to_hex().starts_with(&wanted) || id.short().starts_with(&wanted))
        .ok_or(EngineError::NoSuchMessage(wanted))
}

/// Returns what a person is asked before a held message goes out that the others may have already, and whether they said yes.
pub(super) fn question_about_posted(
    room: &Room<'_>,
    command: &InRoom,
) -> Result<Option<(bool, String)>> {
    let InRoom::Outbox { send: Some(wanted), yes, .. } = command else { return Ok(None) };
    let id = find_waiting(room, wanted)?;
    let is_doubtful = room.doubtful_texts()?.contains(&id);
    Ok(is_doubtful.then(|| {
        let question = format!(
            "The message {} may have been posted already. Send it, so that the others may read it twice?",
            id.short()
        );
        (*yes, question)
    }))
}

fn outbox(room: &mut Room<'_>, out: &Output, asked: (Option<&str>, Option<&str>)) -> Result<()> {
    match asked {
        (Some(wanted), _) => {
            let id = find_waiting(room, wanted)?;
            if room.is_under_way(&id)? {
                return Err(Failure::new(
                    exit::REFUSED,
                    "under_way",
                    format!("the message {} may be in the room already", id.short()),
                    "`hearth read ROOM` shows whether it is; `hearth retract ROOM ID` takes it back there.",
                ));
            }
            let dropped = room.drop_waiting(&id)?;
            let text = format!("Dropped the message {}; nobody gets it.", id.short());
            return Ok(out.say(&json!({"dropped": dropped, "id": id.to_hex()}), &text)?);
        }
        (None, Some(wanted)) => {
            let id = find_waiting(room, wanted)?;
            // One that is not held goes out by itself.
            let id = room.release(&id, now())?.unwrap_or(id);
            return Ok(out.say(&json!({"released": true, "id": id.to_hex()}), "It goes out now.")?);
        }
        (None, None) => {}
    }
    let (waiting, held) = (room.waiting_texts()?, room.held_texts()?);
    let doubtful = room.doubtful_texts()?;
    if waiting.is_empty() {
        out.say_none("Nothing waits in your outbox.")?;
    }
    for (id, at, text) in waiting {
        let held = held.iter().find(|(other, _)| *other == id).map(|(_, why)| *why);
        let mut object = json!({"id": id.to_hex(), "written_at": show::rfc3339(at), "text": text});
        let mut mark = String::new();
        if let Some(why) = held {
            let (word, words) = held_words(why);
            object["held"] = json!(word);
            mark = format!(" (not sent: {words})");
        }
        if doubtful.contains(&id) {
            object["may_be_posted"] = json!(true);
            mark.push_str(" (it may have been posted all the same: look in the room first)");
        }
        let line =
            format!("[{}] {}{mark}: {}", id.short(), show::clock(at), escape::one_line(&text));
        out.say(&object, &line)?;
    }
    Ok(())
}

/// Returns why words stay in the outbox, as a word and as words.
fn held_words(why: Held) -> (&'static str, &'static str) {
    match why {
        Held::Out => ("out", "you were out of the room"),
        Held::Refused(RejectCode::Observer) => ("observer", "observers read, and do not post"),
        Held::Refused(code) => (code.as_str(), refusal_words(code)),
    }
}

fn who(room: &mut Room<'_>, out: &Output) -> Result<()> {
    let (policy, roster, id, me) = (room.policy()?, room.roster()?, room.id(), room.me());
    let departing = room.departing()?;
    let names: Vec<&str> = roster.iter().map(|l| l.name.as_str()).collect();
    for leaf in &roster {
        let mut object = show::member_json(&policy, &id, leaf);
        object["me"] = json!(leaf.member == me);
        object["departing"] = json!(departing.contains(&leaf.member));
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
            show::date(leaf.acknowledgement.signed_at),
        );
        let text = if departing.contains(&leaf.member) {
            format!("{text}  says goodbye and still has the keys")
        } else {
            text
        };
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
    let known = |key: MemberKey| names.get(&key).cloned().unwrap_or_else(|| key.short());
    let mut lines = Vec::new();
    for record in &records {
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
        std::fs::write(path, written)?;
        let count = counted(lines.len(), "record", "records");
        let text = format!("wrote {count} to {}", path.display());
        out.say(&json!({"exported": lines.len()}), &text)?;
    }
    if let Some(number) = broken {
        return Err(Failure::new(
            exit::LIED,
            "verification_failed",
            format!(
                "the log does not hang together at record {number}: something was altered or left out"
            ),
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
                "{code}\nEverybody who is up to date sees the same digits (change {epoch} of the keys)."
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
    let roster = live.room.roster()?;
    let knocks = live.knocks().await?;
    if knocks.is_empty() {
        out.say_none("Nobody waits at the door.")?;
    }
    let moment = live.moment();
    let names: Vec<(MemberKey, Look)> = knocks
        .iter()
        .filter_map(|(_, opened)| opened.as_ref().ok())
        .map(|knock| (knock.member, Look::of(&knock.name)))
        .collect();
    for (pending, opened) in knocks {
        // As an admission does, by whichever clock it is good.
        let dates = opened.as_ref().ok().and_then(|knock| {
            let judge = |at| knock.acknowledgement.judge_dates(at);
            judge(moment.earlier()).or_else(|_| judge(moment.own.max(moment.relay))).err()
        });
        let unvouched = match opened.as_ref().map(|knock| live.room.check_vouched(knock)) {
            Ok(Err(EngineError::NotVouched(names))) => Some(names),
            _ => None,
        };
        let (mut object, mut text) = match opened {
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
        if let Some(error) = dates {
            object["acknowledged"] = json!(false);
            object["why"] = json!(error.to_string());
            text += &format!("\n          !! cannot be admitted: {error}");
        }
        if let Some(others) = unvouched {
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
            if let Some(leaf) = roster.iter().find(|leaf| look.is_like(&Look::of(&leaf.name))) {
                object["looks_like"] = json!(leaf.name);
                text += &format!(
                    "\n          !! looks like {}, who is in the room: cannot be admitted under this name",
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

pub(super) async fn status(live: &mut Live<'_>, out: &Output) -> Result<()> {
    live.compare().await?;
    let status = live.status().await?;
    let now = live.relay_now();
    let room = &mut live.room;
    let untold = room.untold()?;
    let mismatches = room.mismatches()?;
    let (policy, me, epoch) = (room.policy()?, room.me(), room.epoch()?);
    let names = room.known_names()?;
    let timed_out: Vec<Value> = status
        .roster
        .iter()
        .filter(|r| r.timed_out_until > now)
        .map(|r| json!({"name": names.get(&r.member), "until": show::rfc3339(r.timed_out_until)}))
        .collect();
    let texts = mismatches.iter().map(|what| {
        let mark = if what.is_alarm() { "!!" } else { "--" };
        (what, mark, out.advice(&show::mismatch_text(what, me, &names)))
    });
    let texts: Vec<_> = texts.collect();
    let alarms: Vec<Value> = texts
        .iter()
        .map(|(what, _, text)| {
            json!({"notice": what.as_str(), "text": text, "alarm": what.is_alarm()})
        })
        .collect();
    let (numbers, state) = (&policy.numbers, room.state().clone());
    let paused = numbers.paused_until > now;
    let (open, opens) = openness(numbers, now);
    let signed = room.acknowledgement()?.agreement;
    let (members, waiting) = (room.roster_len()?, room.waiting_texts()?.len());
    let mut object = json!({
        "room": state.local_name,
        "title": policy.title,
        "standing": state.standing.as_str(),
        "role": policy.role(&me).as_str(),
        "epoch": epoch.0,
        "relay_epoch": status.epoch.0,
        "seq": room.cursor().seq.0,
        "members": members,
        "agreement": policy.agreement.id.to_hex(),
        "agreement_version": policy.agreement.version,
        "pending_agreement": policy.pending.map(|p| p.id.to_hex()),
        "paused_until": paused.then(|| show::rfc3339(numbers.paused_until)),
        "locked": numbers.locked,
        "door": match numbers.door {
            Door::ByHours => "by_hours", Door::Open => "open", Door::Closed => "closed",
        },
        "open": open,
        "opens_at": opens.map(show::rfc3339),
        "slow_seconds": numbers.slow_seconds,
        "budget_per_day": numbers.budget_per_day,
        "message_chars_max": policy.message_chars_max,
        "hours": policy.hours_text,
        "retention_seconds": numbers.retention_seconds,
        "pins": policy.pins.iter().map(|p| p.message.to_hex()).collect::<Vec<_>>(),
        "timed_out_until": (state.timed_out_until > now)
            .then(|| show::rfc3339(state.timed_out_until)),
        "alarms": alarms,
        "timed_out": timed_out,
        "knocks": status.knocks,
        "outbox": waiting,
        "held": room.held_texts()?.len(),
    });
    let mut unsigned = Vec::new();
    if let Some(pending) = policy.pending.filter(|_| policy.role(&me).moderates()) {
        let others = room.roster()?.into_iter().filter(|leaf| leaf.member != me);
        let others = others.filter(|leaf| leaf.acknowledgement.agreement != pending.id);
        unsigned.extend(others.map(|leaf| leaf.name));
        object["pending_unsigned"] = json!(unsigned);
    }
    if let Some(pending) = &policy.pending {
        object["pending_version"] = json!(pending.version);
        object["pending_effective"] = json!(show::rfc3339(pending.effective));
        object["pending_acknowledged"] = json!(signed == pending.id);
    }
    let mut lines = vec![format!(
        "{} ({}) - you are {}; {}; agreement version {}",
        escape::one_line(&policy.title),
        escape::one_line(&state.local_name),
        show::role_words(policy.role(&me)),
        counted(members, "member", "members"),
        policy.agreement.version
    )];
    // In a pause nobody but those who moderate posts, whatever the hours say.
    if !(paused && open) {
        lines.push(openness_words(numbers, now));
    }
    if paused {
        lines.push(format!("paused until {}", show::clock(numbers.paused_until)));
    }
    if state.timed_out_until > now {
        lines.push(format!(
            "you are in a time-out until {}: you can read, and not post",
            show::clock(state.timed_out_until)
        ));
    }
    for row in status.roster.iter().filter(|r| r.timed_out_until > now && r.member != me) {
        let name = names.get(&row.member).cloned().unwrap_or_else(|| row.member.short());
        let until = show::clock(row.timed_out_until);
        lines.push(format!("{} is in a time-out until {until}", escape::one_line(&name)));
    }
    lines.push(match numbers.locked {
        true => "locked: nobody is admitted".into(),
        false => "not locked".into(),
    });
    if numbers.slow_seconds > 0 {
        lines.push(show::rule_text(&Act::Slow(numbers.slow_seconds)));
    }
    if numbers.budget_per_day > 0 {
        lines.push(show::rule_text(&Act::Budget(numbers.budget_per_day)));
    }
    if policy.message_chars_max > 0 {
        lines.push(show::rule_text(&Act::Length(policy.message_chars_max)));
    }
    if !policy.hours_text.is_empty() {
        lines.push(format!("opening hours: {}", escape::one_line(&policy.hours_text)));
    }
    lines.push(format!("messages are kept for {}", show::span(numbers.retention_seconds)));
    for pin in &policy.pins {
        let words = match room.row(pin.seq)? {
            Some(Row { id: Some(id), name, content: RowContent::Text(text), .. })
                if id == pin.message =>
            {
                format!(" {}: {}", escape::one_line(&name), escape::one_line(&text))
            }
            _ => String::new(),
        };
        lines.push(format!("pinned: [{}]{words}", pin.message.short()));
    }
    lines.push(format!("agreement in force: id {}", policy.agreement.id));
    if let Some(pending) = &policy.pending {
        let mine = match signed == pending.id {
            true => "you have acknowledged it",
            false => {
                "please read and acknowledge it: `hearth agreement diff ROOM`, then `hearth agreement acknowledge ROOM`; who has not by then is out until they do, facilitators too"
            }
        };
        let mine = out.advice(mine);
        lines.push(format!(
            "a new agreement waits, version {}, in force from {}: {mine} (id {})",
            pending.version,
            show::date(pending.effective),
            pending.id
        ));
        if !unsigned.is_empty() {
            let names: Vec<String> = unsigned.iter().map(|n| escape::one_line(n)).collect();
            lines.push(format!("not signed yet by: {}", names.join(", ")));
        }
    }
    if status.knocks > 0 {
        let knocks = counted(status.knocks, "knock waits", "knocks wait");
        lines.push(out.advice(&format!("{knocks} for an answer: `hearth knocks ROOM`")));
    }
    if waiting > 0 {
        let messages = counted(waiting, "message waits", "messages wait");
        lines.push(format!("{messages} in your outbox"));
    }
    if object["held"] != json!(0) {
        let held = format!("{} of them stay there until you send or drop them", object["held"]);
        lines.push(out.advice(&format!("{held}: `hearth outbox ROOM`")));
    }
    lines.push(format!(
        "for support: entry {}, keys {} here and {} at the relay",
        object["seq"], object["epoch"], object["relay_epoch"]
    ));
    lines.extend(texts.iter().map(|(_, mark, text)| format!("{mark} {}", escape::one_line(text))));
    out.say(&object, &lines.join("\n"))?;
    room.mark_told()?;
    // What nobody can put right fails this once, and is shown for as long as it lasts.
    let fails = |what: &Mismatch| what.is_alarm() && (!what.lasts() || untold.contains(what));
    if mismatches.iter().any(fails) { Err(not_verified()) } else { Ok(()) }
}

/// Says whether posts are taken now, as far as door and hours say, and when they will be if not.
fn openness(numbers: &RoomNumbers, now: Millis) -> (bool, Option<Millis>) {
    match (numbers.door, &numbers.hours) {
        (Door::Open, _) | (Door::ByHours, None) => (true, None),
        (Door::Closed, _) => (false, None),
        (Door::ByHours, Some(hours)) if hours.is_open(now) => (true, None),
        (Door::ByHours, Some(hours)) => (false, hours.next_opening(now)),
    }
}

fn openness_words(numbers: &RoomNumbers, now: Millis) -> String {
    let (open, opens) = openness(numbers, now);
    match (open, numbers.door, opens) {
        (true, Door::Open, _) if numbers.hours.is_some() => {
            "open now: a facilitator opened it whatever the hours say".into()
        }
        (true, Door::ByHours, _) if numbers.hours.is_some() => "open now, by its hours".into(),
        (true, ..) => "open now".into(),
        (false, Door::Closed, _) => "closed now: a facilitator closed it".into(),
        (false, _, Some(at)) => format!(
            "closed now, by its hours; it opens {} ({})",
            when::remaining(at, now),
            show::clock(at)
        ),
        (false, ..) => "closed now, by its hours".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_says_whether_open_now() {
        // 2026-11-23T12:00Z, a Monday.
        let noon = Millis(1_795_435_200_000);
        let hours = when::parse_hours("Mon 17:00-20:00 UTC", noon).unwrap();
        let mut numbers = RoomNumbers::default();
        assert_eq!(openness(&numbers, noon), (true, None));
        assert_eq!(openness_words(&numbers, noon), "open now");
        numbers.hours = hours;
        let five = noon.plus(5 * 3_600_000);
        assert_eq!(openness(&numbers, noon), (false, Some(five)));
        assert!(
            openness_words(&numbers, noon).starts_with("closed now, by its hours; it opens in 5 h")
        );
        assert_eq!(openness(&numbers, five), (true, None));
        numbers.door = Door::Open;
        assert_eq!(openness(&numbers, noon), (true, None));
        numbers.door = Door::Closed;
        assert_eq!(openness(&numbers, five), (false, None));
        assert!(openness_words(&numbers, five).starts_with("closed now: a facilitator"));
    }
}
