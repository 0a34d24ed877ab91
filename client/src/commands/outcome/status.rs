//! What is in force in a room.

use hearth_engine::{
    accord::Mismatch,
    policy::Act,
    room::Names,
    state::{Row, RowContent},
};
use hearth_protocol::{
    Millis, RoomNumbers,
    frame::{Door, RoomStatus},
};
use hearth_session::{client::RoomView, live::now};
use hearth_text::{count::counted, escape};
use serde_json::{Value, json};

use super::{not_verified, turns::name_of};
use crate::commands::Result;
use crate::{
    show::{self, Output, presence::presence},
    text::when,
};

/// Prints what is in force. `relay` is what the relay enforces, and `told` what does not agree with the log and what of it was not
/// displayed before; without a connection both are missing.
pub(in crate::commands) fn status(
    out: &Output,
    view: &RoomView,
    relay: Option<&RoomStatus>,
    told: Option<(&[Mismatch], &[Mismatch])>,
    names: &Names,
    pinned: &[Row],
) -> Result<()> {
    let Some(policy) = &view.policy else { return Err(crate::failure::not_inside(&view.standing)) };
    let now = view.relay_now(now());
    let me = view.me;
    let (mismatches, untold) = told.unwrap_or((&view.mismatches, &[]));
    let roster = relay.map(|status| status.roster.as_slice()).unwrap_or_default();
    let knocks = relay.map_or(0, |status| status.knocks);
    let timed_out: Vec<Value> = roster
        .iter()
        .filter(|r| r.timed_out_until > now)
        .map(|r| json!({"name": names.get(&r.member), "until": show::rfc3339(r.timed_out_until)}))
        .collect();
    let texts = mismatches.iter().map(|what| {
        let mark = if what.is_alarm() { "!!" } else { "--" };
        (what, mark, out.advice(&show::mismatch_text(what, me, names)))
    });
    let texts: Vec<_> = texts.collect();
    let alarms: Vec<Value> = texts
        .iter()
        .map(|(what, _, text)| {
            json!({"notice": what.as_str(), "text": text, "alarm": what.is_alarm()})
        })
        .collect();
    let numbers = &policy.numbers;
    let paused = numbers.paused_until > now;
    let (open, opens) = openness(numbers, now);
    let signed = view.acknowledged;
    let held = view.outbox.iter().filter(|waiting| waiting.held.is_some()).count();
    let (members, waiting) = (view.roster.len(), view.outbox.len());
    let epoch = view.epoch.map(|epoch| epoch.0);
    let relay_epoch = relay.map(|status| status.epoch.0);
    let mut object = json!({
        "room": *view.room,
        "title": policy.title,
        "standing": view.standing.as_str(),
        "role": policy.role(&me).as_str(),
        "epoch": epoch,
        "relay_epoch": relay_epoch,
        "seq": view.seq.0,
        "members": members,
        "agreement": policy.agreement.id.to_hex(),
        "agreement_version": policy.agreement.version,
        "pending_agreement": policy.pending.map(|p| p.id.to_hex()),
        "breach": policy.more.breach.is_some(),
        "waiting": policy.waiting().iter().map(|waiter| waiter.name.as_str()).collect::<Vec<_>>(),
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
        "ends_at": numbers.ends_at.map(show::rfc3339),
        "two_person": policy.takes_two(),
        "farewells": policy.more.farewells().iter()
            .map(|planned| json!({
                "name": name_of(view, &planned.member), "on": show::rfc3339(planned.on),
            }))
            .collect::<Vec<_>>(),
        "pins": policy.pins.iter().map(|p| p.message.to_hex()).collect::<Vec<_>>(),
        "timed_out_until": (view.timed_out_until > now)
            .then(|| show::rfc3339(view.timed_out_until)),
        "alarms": alarms,
        "timed_out": timed_out,
        "knocks": knocks,
        "outbox": waiting,
        "held": held,
        "on_duty": on_duty(view, now)
            .map(|(name, until)| json!({"name": name, "until": show::rfc3339(until)}))
            .collect::<Vec<_>>(),
        "expected": presence(view, now).to_json(),
        "turn_of": view.holder().map(|holder| name_of(view, &holder)),
        "asks": view.floor.asks.len(),
    });
    let mut unsigned = Vec::new();
    if let Some(pending) = policy.pending.filter(|_| policy.role(&me).moderates()) {
        let others = view.roster.iter().filter(|leaf| leaf.member != me);
        let others = others.filter(|leaf| leaf.acknowledgement.agreement != pending.id);
        unsigned.extend(others.map(|leaf| leaf.name.clone()));
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
        escape::one_line(&view.room),
        show::role_words(policy.role(&me)),
        counted(members, "member", "members"),
        policy.agreement.version
    )];
    lines.extend(show::ending(view, now).map(|words| out.advice(words.trim_start_matches("-- "))));
    for planned in policy.more.farewells() {
        let name = name_of(view, &planned.member);
        lines.push(format!("we say goodbye to {name} on {}", show::date(planned.on)));
    }
    if policy.takes_two() {
        lines.push("a removal takes two who moderate".to_owned());
    }
    // In a pause nobody but those who moderate posts, whatever the hours say.
    if !(paused && open) {
        lines.push(openness_words(numbers, now));
    }
    if paused {
        lines.push(match policy.more.breach {
            Some(_) => "stopped, because something said here may have got outside; it opens when a facilitator closes the breach".to_owned(),
            None => format!("paused until {}", show::clock(numbers.paused_until)),
        });
    }
    if view.timed_out_until > now {
        lines.push(format!(
            "you have a break until {}: you can read along, and talk in your check-in",
            show::clock(view.timed_out_until)
        ));
    }
    for row in roster.iter().filter(|r| r.timed_out_until > now && r.member != me) {
        let name = names.get(&row.member).cloned().unwrap_or_else(|| row.member.short());
        let until = show::clock(row.timed_out_until);
        lines.push(format!("{} has a break until {until}", escape::one_line(&name)));
    }
    lines.push(presence(view, now).line(now));
    lines.extend(round_words(view));
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
        let row = pinned.iter().find(|row| row.id == Some(pin.message));
        let words = match row {
            Some(Row { name, content: RowContent::Text(text), .. }) => {
                format!(" {}: {}", escape::one_line(name), escape::one_line(text))
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
    if knocks > 0 {
        let knocks = counted(knocks, "knock waits", "knocks wait");
        lines.push(out.advice(&format!("{knocks} for an answer: `hearth knocks ROOM`")));
    }
    if waiting > 0 {
        let messages = counted(waiting, "message waits", "messages wait");
        lines.push(format!("{messages} in your outbox"));
    }
    if held > 0 {
        let held = format!("{held} of them stay there until you send or drop them");
        lines.push(out.advice(&format!("{held}: `hearth outbox ROOM`")));
    }
    let number = |number: Option<u64>| number.map_or("unknown".to_owned(), |n| n.to_string());
    lines.push(format!(
        "for support: entry {}, keys {} here and {} at the relay",
        view.seq,
        number(epoch),
        number(relay_epoch)
    ));
    lines.extend(texts.iter().map(|(_, mark, text)| format!("{mark} {}", escape::one_line(text))));
    out.say(&object, &lines.join("\n"))?;
    // What nobody can put right fails this once, and is shown for as long as it lasts.
    let fails = |what: &Mismatch| what.is_alarm() && (!what.lasts() || untold.contains(what));
    if told.is_some() && mismatches.iter().any(fails) { Err(not_verified()) } else { Ok(()) }
}

/// Says whether posts are taken now, as far as door and hours say, and when they will be if not.
pub(in crate::commands) fn openness(numbers: &RoomNumbers, now: Millis) -> (bool, Option<Millis>) {
    match (numbers.door, &numbers.hours) {
        (Door::Open, _) | (Door::ByHours, None) => (true, None),
        (Door::Closed, _) => (false, None),
        (Door::ByHours, Some(hours)) if hours.is_open(now) => (true, None),
        (Door::ByHours, Some(hours)) => (false, hours.next_opening(now)),
    }
}

pub(super) fn openness_words(numbers: &RoomNumbers, now: Millis) -> String {
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

/// Returns the moderators who are here for the room, and until when.
fn on_duty(view: &RoomView, now: Millis) -> impl Iterator<Item = (String, Millis)> {
    let here = view.on_duty.iter().filter(move |duty| duty.until > now);
    here.map(|duty| (name_of(view, &duty.member), duty.until))
}

/// Says whose turn it is, and how many questions are open.
pub(in crate::commands) fn round_words(view: &RoomView) -> Vec<String> {
    let mut lines = Vec::new();
    match view.holder() {
        Some(holder) if holder == view.me => {
            lines.push("a round is on, and it is your turn".to_owned())
        }
        Some(holder) => {
            lines.push(format!("a round is on: {} has the floor", name_of(view, &holder)))
        }
        None => {}
    }
    let asks = view.floor.asks.len();
    if asks > 0 {
        lines.push(format!("{} open", counted(asks, "question is", "questions are")));
    }
    lines
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
