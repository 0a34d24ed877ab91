//! What a line shell prints of an outcome: who is here, what was done, what is in force, what waits.

use std::{
    fs::OpenOptions,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use hearth_engine::{
    accord::Mismatch,
    block::Block,
    policy::{Act, Leaf, Record},
    room::Names,
    state::{Held, Row, RowContent},
};
use hearth_protocol::{
    MemberKey, Millis, RejectCode, RoomNumbers,
    frame::{Door, RoomStatus},
};
use hearth_session::{
    client::{Command, Knocker, Outcome, RoomView, Waiting},
    connection::refusal_words,
    live::{Recovery, now},
};
use hearth_text::{count::counted, escape, name::Look};
use serde_json::{Value, json};

use super::Result;
use crate::{
    cli::InRoom,
    failure::{Failure, exit, io_words, kept_until},
    show::{self, Output},
    text::{qr, when},
};

/// Held messages that are quoted at once.
const QUOTED_MAX: usize = 3;
/// Columns of a quoted message.
const QUOTED_COLUMNS: usize = 50;

/// Prints what became of a command.
pub(super) struct Told<'a> {
    pub(super) out: &'a Output,
    /// The room after the command.
    pub(super) view: &'a RoomView,
    /// The room before it.
    pub(super) before: &'a RoomView,
}

impl Told<'_> {
    /// Prints one outcome. Words that wait for the relay are a failure, because they are not said yet.
    pub(super) fn outcome(&self, typed: &InRoom, asked: &Command, outcome: Outcome) -> Result<()> {
        let out = self.out;
        match outcome {
            Outcome::Sent { id, place } => {
                let object = json!({
                    "room": *self.view.room, "id": id.to_hex(), "seq": place.0, "sent": true,
                });
                say(out, &object, &format!("sent [{}]", id.short()))
            }
            Outcome::Kept { why, .. } => Err(kept(why.as_deref())),
            Outcome::Acted { act, target, seq } => acted(out, &act, target.as_ref(), seq.0),
            Outcome::TimedOut { leaf, until, seq } => {
                let ended = until == Millis(0);
                let word = if ended { "untimeout" } else { "timeout" };
                let object = json!({
                    "done": word, "seq": seq.0, "until": show::rfc3339(until),
                    "name": leaf.name, "key": leaf.member.to_hex(),
                });
                let name = escape::one_line(&leaf.name);
                let learns = format!("only {name} and those who moderate learn of it");
                let text = match ended {
                    true => format!("the time-out of {name} is over; {learns}"),
                    false => format!("{name} rests until {}; {learns}", show::clock(until)),
                };
                say(out, &object, &text)
            }
            Outcome::Invited { link, expires } => {
                let InRoom::Invite { uses, qr: draw, .. } = typed else { return Ok(()) };
                let text = link.to_link();
                let object = json!({
                    "link": text, "uses": uses, "expires": show::rfc3339(expires),
                    "agreement": link.agreement.to_hex(),
                });
                say(out, &object, &text)?;
                if *draw && !out.is_json() { draw_code(out, &text) } else { Ok(()) }
            }
            Outcome::Knocks(knockers) => knocks(out, self.view, &knockers),
            Outcome::Admitted { name, member, seq } => {
                let object = json!({
                    "done": "admit", "name": name, "key": member.to_hex(), "seq": seq.0,
                });
                say(out, &object, &format!("{} is in the room.", escape::one_line(&name)))
            }
            Outcome::InAlready { leaf } => {
                let object = json!({
                    "done": "admit", "already": true, "name": leaf.name, "key": leaf.member.to_hex(),
                });
                let text = format!("{} is in the room already.", escape::one_line(&leaf.name));
                say(out, &object, &text)
            }
            Outcome::Declined { name, unsaid } => declined(out, name.as_deref(), unsaid),
            Outcome::Retracted(count) => {
                let object = json!({"done": "retract", "count": count});
                let messages = counted(count, "message", "messages");
                let text = format!(
                    "You retracted {messages}; a mark stays. Copies on devices may remain."
                );
                say(out, &object, &text)
            }
            Outcome::Restored { restored, remain } => restored_rules(out, restored, &remain),
            Outcome::Departed { dropped, unsaid } => {
                if let Some(error) = unsaid {
                    let why = Failure::from(&error).message;
                    out.remark(&format!("Your words were not sent: {why}."));
                }
                if dropped > 0 {
                    let dropped = counted(dropped, "message that waited", "messages that waited");
                    out.remark(&format!("Your departure dropped {dropped} in your outbox."));
                }
                let withdrawn = matches!(asked, Command::Depart { withdrawn: true, .. });
                let word = if withdrawn { "withdraw" } else { "leave" };
                let text = "You have left. The duty about what you heard goes on; your receipt stays here.";
                say(out, &json!({"done": word}), text)
            }
            Outcome::Recovered { rules_differ } => recovered(out, self.view, rules_differ),
            Outcome::Dropped(dropped) => {
                let Command::DropWaiting(id) = asked else { return Ok(()) };
                let text = format!("Dropped the message {}; nobody gets it.", id.short());
                say(out, &json!({"dropped": dropped, "id": id.to_hex()}), &text)
            }
            Outcome::Released(id) => {
                say(out, &json!({"released": true, "id": id.to_hex()}), "It goes out now.")
            }
            Outcome::Done => self.done(asked),
            // A shell prints these by functions of their own.
            Outcome::Fresh(_)
            | Outcome::Status { .. }
            | Outcome::Log { .. }
            | Outcome::MemberCode(_)
            | Outcome::RoomCode { .. }
            | Outcome::Draft(_)
            | Outcome::Agreements { .. }
            | Outcome::Amended { .. } => Ok(()),
        }
    }

    fn done(&self, asked: &Command) -> Result<()> {
        match asked {
            Command::Revoke(_) => say(self.out, &json!({"done": "revoke"}), "The invite is void."),
            Command::Mute { member, muted } => {
                let name = self.before.roster.iter().find(|leaf| leaf.member == *member);
                let name = name.map(|leaf| leaf.name.clone()).unwrap_or_default();
                let object =
                    json!({"done": if *muted { "mute" } else { "unmute" }, "member": name});
                let name = escape::one_line(&name);
                let text = match muted {
                    true => format!("This device hides {name}'s messages; nobody is told."),
                    false => format!("This device shows {name}'s messages again."),
                };
                say(self.out, &object, &text)
            }
            _ => Ok(()),
        }
    }
}

/// Why a command that showed alarms fails.
pub(super) fn not_verified() -> Failure {
    Failure::new(
        exit::LIED,
        "verification_failed",
        "something in the room does not verify; the lines marked !! say what",
        "What verifies was shown. Tell a facilitator by another way.",
    )
}

fn say(out: &Output, object: &Value, text: &str) -> Result<()> {
    Ok(out.say(object, text)?)
}

/// Says that words are in the outbox, and why.
fn kept(why: Option<&hearth_session::live::LiveError>) -> Failure {
    let failure = why.map_or_else(
        || Failure::new(exit::UNREACHABLE, "unreachable", "the relay cannot be reached now", ""),
        Failure::from,
    );
    let advice = match failure.exit {
        exit::UNREACHABLE => kept_until(true, None),
        _ => failure.advice.clone(),
    };
    Failure { kept: true, advice, ..failure }
}

fn acted(out: &Output, act: &Act, target: Option<&Leaf>, seq: u64) -> Result<()> {
    let name = target.map(|leaf| leaf.name.as_str()).unwrap_or_default();
    let text = show::act_text(act, name, now());
    let mut object = json!({"done": act.as_str(), "seq": seq});
    if let Some(leaf) = target {
        object["name"] = json!(leaf.name);
        object["key"] = json!(leaf.member.to_hex());
    }
    say(out, &object, &format!("You {}.", escape::one_line(&text)))
}

fn declined(out: &Output, name: Option<&str>, unsaid: bool) -> Result<()> {
    let without = if unsaid {
        " without your words (the knock does not open, so nothing can be sealed to it)"
    } else {
        ""
    };
    let (whom, learns, object) = match name {
        Some(name) => {
            let shown = escape::one_line(name);
            (shown.clone(), shown, json!({"done": "decline", "name": name}))
        }
        None => ("the knock".into(), "the knocker".into(), json!({"done": "decline"})),
    };
    say(out, &object, &format!("You declined {whom}{without}; only {learns} learns of it."))
}

fn draw_code(out: &Output, link: &str) -> Result<()> {
    match qr::draw(link, qr::Drawing::HalfBlocks, out.terminal_columns()) {
        Ok(drawn) => Ok(out.line(&drawn)?),
        Err(error) => {
            out.remark(&format!("The QR code is left out: {error}. The link above says the same."));
            Ok(())
        }
    }
}

/// Says what of the relay's rules was put back, and what remains.
fn restored_rules(out: &Output, restored: bool, remain: &[Mismatch]) -> Result<()> {
    let words: Vec<&str> = remain.iter().map(Mismatch::as_str).collect();
    let object = json!({"done": "restore-rules", "restored": restored, "remain": words});
    let text = match (restored, remain.is_empty()) {
        (true, true) => "The relay keeps to the room's rules again.",
        (true, false) => {
            "The relay keeps to some of the room's rules again; `hearth status ROOM` shows what remains."
        }
        (false, true) => "The relay keeps to the room's rules already.",
        (false, false) => {
            "No command can put the differences back; `hearth status ROOM` shows them."
        }
    };
    say(out, &object, &out.advice(text))
}

fn recovered(out: &Output, view: &RoomView, rules_differ: bool) -> Result<()> {
    let facilitates = view.role() == Some(hearth_protocol::Role::Facilitator);
    let next = match (rules_differ, facilitates) {
        (false, _) => "",
        (true, true) => {
            " The relay does not keep to the room's rules. You put them back: `hearth restore-rules ROOM`."
        }
        (true, false) => {
            " The relay does not keep to the room's rules. A facilitator puts them back: `hearth restore-rules ROOM`."
        }
    };
    let text =
        format!("You go on. Compare `hearth verify ROOM` with the others by another way.{next}");
    let object = json!({"done": "recover", "rules_differ": rules_differ});
    say(out, &object, &out.advice(&text))
}

/// Returns what a member is asked before they go on.
pub(super) const fn recovery_question(recovery: Recovery) -> &'static str {
    match recovery {
        Recovery::LeftBehind => {
            "Only if no other facilitator can invite you anew: take the room back to where this profile is? Everybody who went \
             on without you can then neither read nor write, until you have removed them and they have joined by a new invite."
        }
        Recovery::Split => {
            "Only if the others have the same `hearth verify ROOM` digits as you: go on? If the room has split, whoever was \
             removed in the other part may read what you write."
        }
        Recovery::Restored => {
            "Only if the operator says that the relay was restored from a backup: go on from what it has now? \
             Your history stays; what others wrote since the backup may be missing."
        }
    }
}

/// Tells of words in the outbox that nothing sends but their author.
pub(super) fn held(out: &Output, view: &RoomView) {
    let count = view.outbox.iter().filter(|waiting| waiting.held.is_some()).count();
    if count > 0 {
        let messages = counted(count, "message", "messages");
        let were = if count == 1 { "was" } else { "were" };
        out.remark(&out.advice(&format!(
            "-- {messages} in your outbox {were} not sent: `hearth outbox ROOM` says why, `hearth outbox ROOM --send ID` sends a message, `hearth outbox ROOM --drop ID` drops it"
        )));
    }
}

/// Says that what kept this member from posting has ended, and what still does.
pub(super) fn over_words(over: &Block, view: &RoomView) -> String {
    let ended = match over.why {
        // Their role changed, and the rule is still there.
        _ if view.moderates() => "you can post now",
        RejectCode::Paused => "the pause is over",
        RejectCode::TimedOut => "your time-out is over",
        RejectCode::Closed => "the room is open again",
        RejectCode::QuotaSpent => "the room has space for messages again",
        _ => "you can post again",
    };
    match view.blocked.map(|block| block.why) {
        None => format!("-- {ended}"),
        Some(RejectCode::TimedOut) => format!("-- {ended}; you are in a time-out"),
        Some(why) => format!("-- {ended}; {}", refusal_words(why)),
    }
}

/// Quotes messages that wait for their author, a line each, and the number of the rest.
pub(super) fn quoted(out: &Output, waiting: &[&Waiting]) {
    for waiting in waiting.iter().take(QUOTED_MAX) {
        let text = escape::truncate(&escape::one_line(&waiting.text), QUOTED_COLUMNS);
        out.remark(&format!("-- not sent: [{}] \"{text}\"", waiting.id.short()));
    }
    let more = waiting.len().saturating_sub(QUOTED_MAX);
    if more > 0 {
        let more = counted(more, "more message", "more messages");
        out.remark(&out.advice(&format!("-- and {more}: `hearth outbox ROOM` lists them")));
    }
}

/// Lists what waits in the outbox.
pub(super) fn outbox(out: &Output, view: &RoomView) -> Result<()> {
    if view.outbox.is_empty() {
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
fn held_words(why: Held) -> (&'static str, &'static str) {
    match why {
        Held::Out => ("out", "you were out of the room"),
        Held::Refused(code) => (
            code.as_str(),
            match code {
                RejectCode::Observer => "observers read, and do not post",
                // What held them may be over.
                RejectCode::Paused => "the room was paused",
                RejectCode::TimedOut => "the relay refused your posts for a time, as in a time-out",
                RejectCode::Closed => "the room was closed",
                RejectCode::BudgetSpent => "your posts of the day were spent",
                RejectCode::QuotaSpent => "the room had used up its space for messages",
                code => refusal_words(code),
            },
        ),
    }
}

/// Lists the members.
pub(super) fn who(out: &Output, view: &RoomView) -> Result<()> {
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
        let text = if view.departing.contains(&leaf.member) {
            format!("{text}  says goodbye and still has the keys")
        } else {
            text
        };
        let text = if good { text } else { format!("{text}  !! DOES NOT VERIFY") };
        out.say(&object, &text)?;
    }
    Ok(())
}

/// Lists or exports the log of moderation.
pub(super) fn log(
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
fn write_new(path: &Path, text: &str) -> Result<()> {
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
pub(super) fn verify(out: &Output, member: Option<&Leaf>, became: Outcome) -> Result<()> {
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

fn knocks(out: &Output, view: &RoomView, knockers: &[Knocker]) -> Result<()> {
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

/// Prints what is in force. `relay` is what the relay enforces, and `told` what does not agree with the log and what of it was not
/// displayed before; without a connection both are missing.
pub(super) fn status(
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
        "timed_out_until": (view.timed_out_until > now)
            .then(|| show::rfc3339(view.timed_out_until)),
        "alarms": alarms,
        "timed_out": timed_out,
        "knocks": knocks,
        "outbox": waiting,
        "held": held,
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
    // In a pause nobody but those who moderate posts, whatever the hours say.
    if !(paused && open) {
        lines.push(openness_words(numbers, now));
    }
    if paused {
        lines.push(format!("paused until {}", show::clock(numbers.paused_until)));
    }
    if view.timed_out_until > now {
        lines.push(format!(
            "you are in a time-out until {}: you can read, and not post",
            show::clock(view.timed_out_until)
        ));
    }
    for row in roster.iter().filter(|r| r.timed_out_until > now && r.member != me) {
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
