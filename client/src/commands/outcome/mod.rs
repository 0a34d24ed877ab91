//! What a line shell prints of an outcome: who is here, what was done, what is in force, what waits.

mod listing;
mod status;
mod turns;

use hearth_engine::{
    accord::Mismatch,
    block::{Block, Stop},
    policy::{Act, Leaf},
};
use hearth_protocol::{Millis, RejectCode, invite::Invite};
use hearth_session::{
    client::{Command, Outcome, RoomView, Turn, Waiting},
    connection::refusal_words,
    live::{Recovery, now},
};
use hearth_text::{count::counted, escape};
use serde_json::{Value, json};

use self::listing::knocks;

use super::Result;
use crate::{
    failure::{Failure, exit, kept_until},
    show::{self, Output},
    text::qr,
};

pub(super) use self::{
    listing::{log, outbox, verify, who},
    status::status,
    turns::{asks, turns},
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
    pub(super) fn outcome(&self, asked: &Command, outcome: Outcome) -> Result<()> {
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
            // A shell or a command prints these by functions of their own.
            Outcome::Fresh(_)
            | Outcome::Status { .. }
            | Outcome::Log { .. }
            | Outcome::MemberCode(_)
            | Outcome::RoomCode { .. }
            | Outcome::Draft(_)
            | Outcome::Agreements { .. }
            | Outcome::Amended { .. }
            | Outcome::Invited { .. } => Ok(()),
        }
    }

    /// Prints an invite, and draws it if the member asked for that.
    pub(super) fn invited(
        &self,
        link: &Invite,
        expires: Millis,
        uses: u32,
        is_drawn: bool,
    ) -> Result<()> {
        let text = link.to_link();
        let object = json!({
            "link": text, "uses": uses, "expires": show::rfc3339(expires),
            "agreement": link.agreement.to_hex(),
        });
        say(self.out, &object, &text)?;
        if is_drawn && !self.out.is_json() { draw_code(self.out, &text) } else { Ok(()) }
    }

    fn done(&self, asked: &Command) -> Result<()> {
        match asked {
            Command::Turn(Turn::Pass) => {
                say(self.out, &json!({"done": "pass"}), "You passed. That is always fine.")
            }
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
        Stop::Turn if view.holder() == Some(view.me) => "it is your turn",
        Stop::Turn => "the round is over",
        Stop::Refused(RejectCode::Paused) => "the pause is over",
        Stop::Refused(RejectCode::TimedOut) => "your time-out is over",
        Stop::Refused(RejectCode::Closed) => "the room is open again",
        Stop::Refused(RejectCode::QuotaSpent) => "the room has space for messages again",
        Stop::Refused(_) => "you can post again",
    };
    match view.blocked.map(|block| block.why) {
        None => format!("-- {ended}"),
        Some(Stop::Turn) => format!("-- {ended}; a round is on, and it is another member's turn"),
        Some(Stop::Refused(RejectCode::TimedOut)) => format!("-- {ended}; you are in a time-out"),
        Some(Stop::Refused(why)) => format!("-- {ended}; {}", refusal_words(why)),
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
