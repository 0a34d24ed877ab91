//! What a line shell prints of an outcome: who is here, what was done, what is in force, what waits.

mod listing;
mod status;
mod turns;

use hearth_engine::help::Stage;
use hearth_engine::{
    block::{Block, Stop},
    policy::{Act, Leaf},
};
use hearth_protocol::RejectCode;
use hearth_session::{
    client::{Command, Outcome, RoomView, Waiting},
    connection::refusal_words,
    live::{Recovery, now},
};
use hearth_text::{count::counted, escape};
use serde_json::{Value, json};

use super::Result;
use crate::{
    failure::{Failure, exit, kept_until},
    show::{self, Output, calm, help},
};

pub(super) use self::{
    listing::{held_words, knocks, log, outbox, verify, who, write_new},
    status::{openness, round_words, status},
    turns::{asks, exercises, guided, name_of, turns},
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
    /// Prints what most commands come to. Words that wait for the relay are a failure, because they are not said yet.
    pub(super) fn outcome(&self, outcome: Outcome) -> Result<()> {
        match outcome {
            Outcome::Sent { id, place } => {
                let object = json!({
                    "room": *self.view.room, "id": id.to_hex(), "seq": place.0, "sent": true,
                });
                self.say(&object, &format!("sent [{}]", id.short()))
            }
            Outcome::Proposed { .. } => self.proposed(outcome),
            Outcome::Acted { act, target, seq } => acted(self.out, &act, target.as_ref(), seq.0),
            Outcome::Kept { why, .. } => Err(kept(why.as_deref())),
            // What one command alone comes to, that command prints.
            _ => Ok(()),
        }
    }

    /// Prints that something waits for a second moderator.
    pub(super) fn proposed(&self, outcome: Outcome) -> Result<()> {
        let Outcome::Proposed { number, until, others } = outcome else {
            return self.outcome(outcome);
        };
        let object = json!({
            "done": "propose", "proposal": number, "until": show::rfc3339(until), "others": others,
        });
        let names: Vec<String> = others.iter().map(|name| escape::one_line(name)).collect();
        let text = format!(
            "proposed; {} confirms with `hearth confirm ROOM {number}`, until {}. The others read nothing of it.",
            names.join(" or "),
            show::clock(until)
        );
        self.say(&object, &self.out.advice(&text))
    }

    /// Prints what became of a call for help.
    pub(super) fn called(&self, outcome: Outcome) -> Result<()> {
        let Outcome::Called { line, told, unreached } = outcome else {
            return self.outcome(outcome);
        };
        let mut object = help::to_json(&line);
        if let Value::Object(fields) = &mut object {
            fields.insert("room".into(), json!(*self.view.room));
            fields.insert("sent".into(), json!(line.stage != Stage::Kept));
            fields.insert("to".into(), json!(told));
            fields.insert("unreached".into(), json!(unreached));
        }
        let off = help::off_duty(&self.view.help).map(|off| format!("{off} ")).unwrap_or_default();
        let sent = help::sent(&line, &told, &unreached).map(|sent| format!("{sent} {off}"));
        let text = format!("{}{}", sent.unwrap_or_default(), help::call(&line, &self.view.help));
        self.say(&object, &self.out.advice(&text))
    }

    /// Prints what became of what a facilitator said of a call.
    pub(super) fn answered(&self, outcome: Outcome) -> Result<()> {
        let (sent, text) = match &outcome {
            Outcome::Sent { .. } | Outcome::Done => (true, "Said."),
            Outcome::Kept { .. } => {
                (false, "Not said yet: there is no connection. It goes out when there is one.")
            }
            _ => return self.outcome(outcome),
        };
        let object = json!({"room": *self.view.room, "done": "flag", "sent": sent});
        self.say(&object, text)
    }

    /// Prints what became of words in a lane.
    pub(super) fn in_lane(&self, asked: &Command, outcome: Outcome) -> Result<()> {
        let Outcome::Sent { id, place } = outcome else { return self.outcome(outcome) };
        let Command::Lane { lane, .. } = asked else { return Ok(()) };
        let lane = self.view.lanes.iter().find(|other| other.id == *lane);
        let readers = lane.map(|lane| lane.readers.clone()).unwrap_or_default();
        let object = json!({
            "room": *self.view.room, "id": id.to_hex(), "seq": place.0, "sent": true, "to": readers,
        });
        let text = match &readers[..] {
            [] => "nobody reads it yet: it waits there for a facilitator".to_owned(),
            names => {
                let names: Vec<String> = names.iter().map(|name| escape::one_line(name)).collect();
                format!("sent to {}", names.join(" and "))
            }
        };
        self.say(&object, &format!("{text} [{}]", id.short()))
    }

    pub(super) fn say(&self, object: &Value, text: &str) -> Result<()> {
        say(self.out, object, text)
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
        Recovery::UsedUp => {
            "Somebody made a change that every member's program refuses, and the relay waits behind it. Take the relay back to \
             where everybody is? Nothing is lost."
        }
        Recovery::TakenBack => {
            "The relay has gone back to keys that the room has left, though its log is whole. Tell it where everybody is? \
             Nothing is lost."
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
            "-- {messages} in your outbox {were} not sent: `hearth outbox ROOM` says why, `hearth outbox ROOM --send ID` sends a message, `hearth outbox ROOM --change ID WORDS` changes it, `hearth outbox ROOM --drop ID` drops it"
        )));
    }
}

/// Says that what kept this member from posting has ended, and what still does; `None` if the row of it said so.
pub(super) fn over_words(over: &Block, view: &RoomView) -> Option<String> {
    let told = view.holder().is_none_or(|holder| holder == view.me);
    if over.why == Stop::Turn && told && view.blocked.is_none() {
        return None;
    }
    let ended = match over.why {
        // Their role changed, and the rule is still there.
        _ if view.moderates() => "you can post now",
        Stop::Turn if view.holder() == Some(view.me) => "it is your turn",
        Stop::Turn => "the round is over",
        Stop::Refused(RejectCode::Paused) if view.blocked.is_none() => {
            let nobody = !view.on_duty.iter().any(|duty| duty.until > view.relay_now(now()));
            let nobody = if nobody { format!(" {}", calm::NOBODY_NOW) } else { String::new() };
            return Some(format!("-- {}{nobody}", calm::PAUSE_OVER));
        }
        Stop::Refused(RejectCode::TimedOut) if view.blocked.is_none() => {
            return Some(format!("-- {}", calm::BREAK_OVER));
        }
        Stop::Refused(RejectCode::Paused) => "the pause is over",
        Stop::Refused(RejectCode::TimedOut) => "your break is over",
        Stop::Unattended => "the room is open again",
        Stop::Refused(RejectCode::Closed) => "the room is open again",
        Stop::Refused(RejectCode::QuotaSpent) => "the room has space for messages again",
        Stop::Refused(_) => "you can post again",
    };
    Some(match view.blocked.map(|block| block.why) {
        None => format!("-- {ended}"),
        Some(Stop::Turn) => format!("-- {ended}; a round is on, and it is another member's turn"),
        Some(Stop::Refused(RejectCode::TimedOut)) => format!("-- {ended}; you have a break"),
        Some(Stop::Unattended) => {
            let opens = match view.blocked.and_then(|block| block.until) {
                Some(at) => format!("until it opens {}", show::clock(at)),
                None => "until somebody is".to_owned(),
            };
            format!(
                "-- {ended}. Nobody from the team is here now, and the room stays closed {opens}. `hearth checkin ROOM` and `hearth help-now ROOM` work."
            )
        }
        Some(Stop::Refused(why)) => format!("-- {ended}; {}", refusal_words(why)),
    })
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
