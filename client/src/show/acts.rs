//! What was done and what is in force, in words and as JSON.

use hearth_engine::{
    agreement::Change,
    policy::{Act, Closing, Device, Farewell, Leaf, Record, RoomPolicy, Second, Weighty},
    state::{Row, RowContent},
};
use hearth_protocol::{Millis, Role, frame::Door, limits::ENDED_KEPT_MILLIS};
use hearth_session::client::RoomView;
use hearth_text::{count::counted, escape};
use serde_json::{Map, Value, json};

use super::{calm::gone, date, rfc3339, span};
use crate::text::when;

/// Says in a sentence who did what, without words to the room. Moments are told as seen from the record's own.
pub fn act_sentence(record: &Record, actor: &str, target: &str) -> String {
    let text = act_text(&record.act, target, record.at);
    about_target(&record.act, &text, actor).unwrap_or_else(|| format!("{actor} {text}"))
}

/// Returns the sentence of an act whose words have the named member for their subject, with the record's actor behind it.
pub(super) fn about_target(act: &Act, text: &str, actor: &str) -> Option<String> {
    match act {
        Act::Depart(_) => Some(format!("{text} ({actor}'s program carried it out)")),
        // Nobody had to see to it.
        Act::Admit { back: true, .. } => Some(format!("{text} ({actor}'s program let them in)")),
        Act::Device(Device::Replaced { .. }) => Some(format!("{text} ({actor} let it in)")),
        _ => None,
    }
}

/// Says what an act did, to follow its actor's name: verb, object, values. `about_target` has those with another subject.
pub fn act_text(act: &Act, target: &str, seen_from: Millis) -> String {
    let whose = if target.is_empty() { "the".to_owned() } else { format!("{target}'s") };
    let names = target;
    let target = if target.is_empty() { "somebody" } else { target };
    let moment = |at| when::local_moment(at, seen_from);
    match act {
        Act::Found => "opened the room".into(),
        Act::Admit { back: true, .. } => format!("{target} is back"),
        Act::Admit { role, .. } => format!("admitted {target} as {}", role_words(*role)),
        Act::Remove { .. } => format!("ended {target}'s place in the room"),
        Act::Depart(_) => format!("{target} left the room"),
        Act::SetRole { role, .. } => format!("made {target} {}", role_words(*role)),
        Act::Pause { until, .. } => format!("paused the room until {}", moment(*until)),
        Act::Resume => "ended the pause".into(),
        Act::Slow(0) => "ended slow mode".into(),
        Act::Slow(s) => format!("set slow mode to one post every {}", span(u64::from(*s))),
        Act::Budget(0) => "lifted the daily limit of posts".into(),
        Act::Budget(n) => {
            format!("limited each member to {} a day", counted(*n, "post", "posts"))
        }
        Act::Length(0) => "lifted the limit of length".into(),
        Act::Length(n) => {
            format!("limited each message to {}", counted(*n, "character", "characters"))
        }
        Act::Lock(true) => "locked the room: nobody is admitted".into(),
        Act::Lock(false) => "unlocked the room".into(),
        Act::Hours { text, hours: Some(_) } => format!("set the opening hours to {text}"),
        Act::Hours { .. } => "lifted the opening hours".into(),
        Act::Door(Door::Open) => "opened the room whatever its hours say".into(),
        Act::Door(Door::Closed) => "closed the room to posts".into(),
        Act::Door(Door::ByHours) => "put the room back to its opening hours".into(),
        Act::Timeout(_) if target == "somebody" => "gave a member a break".into(),
        Act::Timeout(_) => format!("asked {target} to take a break"),
        Act::Untimeout(_) if target == "somebody" => "ended a member's break".into(),
        Act::Untimeout(_) => format!("ended {target}'s break"),
        Act::Announce(_) => "made an announcement".into(),
        Act::Pin(pin) => format!("pinned the message {}", pin.message.short()),
        Act::Unpin(pin) => format!("unpinned the message {}", pin.message.short()),
        Act::Retract { message, category, .. } => {
            format!("took down {whose} message {} (reason: {})", message.short(), category.as_str())
        }
        Act::Rekey => "renewed the room's keys".into(),
        Act::Amend { agreement, change: Change::Material } if agreement.effective <= seen_from => {
            format!(
                "issued version {} of the agreement: everyone acknowledges it to stay in",
                agreement.version
            )
        }
        Act::Amend { agreement, change: Change::Material } => format!(
            "issued version {} of the agreement: everyone acknowledges it by {}",
            agreement.version,
            moment(agreement.effective)
        ),
        Act::Amend { agreement, .. } => {
            format!("edited the wording of the agreement (version {})", agreement.version)
        }
        Act::Enact => format!("put the new agreement into force{}", not_yet(names)),
        Act::OpenBreach { .. } => {
            "stopped the room: something said here may have got outside".into()
        }
        Act::CloseBreach { .. } => {
            format!("opened the room again, with new keys{}", not_yet(names))
        }
        Act::Withdraw => "withdrew the coming version of the agreement".into(),
        Act::Expire(s) => format!("limited how long messages are kept to {}", span(*s)),
        Act::Second(Second::On) => "made it a rule that a removal takes two who moderate".into(),
        Act::Second(Second::Propose(_)) => "proposed something that takes two who moderate".into(),
        Act::Second(Second::Withdraw { .. }) => "took a proposal back".into(),
        Act::Second(Second::Confirm { what, .. }) => match what.act() {
            Some(act) => {
                format!("{} (two who moderate decided it)", act_text(&act, target, seen_from))
            }
            None => "ended the rule that a removal takes two who moderate (two decided it)".into(),
        },
        Act::Farewell(Farewell::Announced { on, .. }) => {
            format!("planned a goodbye: we say goodbye to {target} on {}", date(*on))
        }
        Act::Farewell(Farewell::CalledOff { .. }) => {
            format!("called the goodbye to {target} off: {target} stays")
        }
        Act::Farewell(Farewell::Said { .. }) => {
            format!("closed {whose} time in this room with the goodbye that was planned")
        }
        Act::Remember { .. } => format!("wrote about {target}"),
        Act::CloseGroup(Closing::At { ends, sooner, .. }) => {
            let why = match sooner.as_str() {
                "" => String::new(),
                why => format!(" It comes sooner than two weeks: {why}."),
            };
            format!(
                "set the end of this group: {}.{why} After that nobody can write, and on {} the room is erased here and at the relay. Your receipt and the numbers stay. So does your promise about the others",
                date(*ends),
                date(erased_at(*ends))
            )
        }
        Act::CloseGroup(Closing::CalledOff) => "called the end of this group off".into(),
        Act::Device(Device::Lost { .. }) => format!(
            "took {whose} lost device out: {target} has not left, and comes back with a new one"
        ),
        Act::Device(Device::Replaced { .. }) => format!("{target} has a new device"),
        Act::Device(Device::GivenUp { .. }) => format!("keeps the place of {target} no longer"),
    }
}

/// Says who waits, by their names.
fn not_yet(names: &str) -> String {
    match names.rsplit_once(", ") {
        Some((first, last)) => format!("; {first} and {last} have not said yes yet"),
        None if names.is_empty() => String::new(),
        None => format!("; {names} has not said yes yet"),
    }
}

/// Adds an act's words to the room. The log leaves them out.
pub(super) fn with_words(text: String, row: &Row, act: &Act, target: &str) -> String {
    match act {
        Act::Announce(words) => words.clone(),
        Act::Pause { comment: words, .. }
        | Act::OpenBreach { words, .. }
        | Act::CloseBreach { words }
            if !words.is_empty() =>
        {
            format!("{text}: {words}")
        }
        Act::Second(Second::Confirm { what, .. }) => match what.act() {
            Some(act) => with_words(text, row, &act, target),
            None => text,
        },
        Act::Farewell(Farewell::Announced { words, .. }) if !words.is_empty() => {
            format!("{text}: {words}")
        }
        Act::Remember { words, .. } => words.clone(),
        Act::CloseGroup(Closing::At { words, .. }) if !words.is_empty() => {
            format!("{text}. From then on you can turn to: {words}")
        }
        Act::Remove { goodbye, .. } => gone(target, &row.name, goodbye),
        _ => text,
    }
}

/// Says what a rule is while it is in force.
pub fn rule_text(act: &Act) -> String {
    match act {
        Act::Slow(0) => "no slow mode".into(),
        Act::Slow(s) => format!("slow mode: one post every {}", span(u64::from(*s))),
        Act::Budget(0) => "no daily limit of posts".into(),
        Act::Budget(n) => format!("limit: {} a day for each member", counted(*n, "post", "posts")),
        Act::Length(0) => "no limit of length".into(),
        Act::Length(n) => format!("limit: {} a message", counted(*n, "character", "characters")),
        Act::Door(Door::Open) => "open whatever its hours say".into(),
        Act::Door(Door::Closed) => "closed to posts".into(),
        Act::Door(Door::ByHours) => "open by its hours".into(),
        other => act_text(other, "", Millis(0)),
    }
}

/// Whether a row is a proposal.
pub fn proposes(row: &Row) -> bool {
    matches!(&row.content, RowContent::Moderation { record, .. }
        if matches!(record.act, Act::Second(Second::Propose(_))))
}

/// Says what is proposed, to follow the proposer's name and "proposes".
pub fn weighty_text(what: &Weighty, name: &str, until: Option<Millis>) -> String {
    match what {
        Weighty::Remove { goodbye, .. } => {
            let words = match goodbye.as_str() {
                "" => String::new(),
                words => format!("; words to the room: {}", escape::one_line(words)),
            };
            format!("to end the place of {name}{words}")
        }
        Weighty::Timeout(_) => {
            let until = until.map(|until| format!(" until {}", date(until))).unwrap_or_default();
            format!("a break for {name}{until}")
        }
        Weighty::Remember { words, .. } => {
            format!(
                "to close the place of {name}, who died; words to the room: {}",
                escape::one_line(words)
            )
        }
        Weighty::Off => "to end the rule that a removal takes two who moderate".to_owned(),
    }
}

/// Returns when a room that ends at a time is erased.
pub const fn erased_at(ends: Millis) -> Millis {
    ends.plus(ENDED_KEPT_MILLIS)
}

/// Reminds of the announced end of a group; `None` if none is announced.
pub fn ending(view: &RoomView, relay_now: Millis) -> Option<String> {
    let policy = view.policy.as_ref()?;
    let ends = policy.numbers.ends_at?;
    let erased = date(erased_at(ends));
    let turn_to = match policy.more.ending.as_ref().map(|ending| ending.words.as_str()) {
        None | Some("") => String::new(),
        Some(words) => format!(" From then on you can turn to: {}", escape::one_line(words)),
    };
    let keep = "`hearth export-mine ROOM FILE` keeps your own words.";
    Some(match ends > relay_now {
        true => format!(
            "-- This group ends on {} ({}). After that nobody can write, and on {erased} the room is erased here and at the relay. {keep}{turn_to}",
            date(ends),
            when::remaining(ends, relay_now)
        ),
        false => format!(
            "-- This group has ended. Nobody can write in the room any more, and on {erased} it is erased here and at the relay. {keep}{turn_to}"
        ),
    })
}

/// Names a role, with its article.
pub const fn role_words(role: Role) -> &'static str {
    match role {
        Role::Facilitator => "a facilitator",
        Role::CoFacilitator => "a co-facilitator",
        Role::Member => "a member",
        Role::Observer => "an observer",
        Role::Steward => "a steward",
    }
}

pub(super) fn act_fields(act: &Act, more: &mut Map<String, Value>) {
    match act {
        Act::Admit { member, role, back, .. } => {
            more.insert("member".into(), json!(member.to_hex()));
            more.insert("role".into(), json!(role.as_str()));
            more.insert("back".into(), json!(back));
        }
        Act::SetRole { member, role } => {
            more.insert("member".into(), json!(member.to_hex()));
            more.insert("role".into(), json!(role.as_str()));
        }
        Act::Remove { member, .. } => {
            more.insert("member".into(), json!(member.to_hex()));
        }
        Act::Pause { until, comment, reopens } => {
            more.insert("until".into(), json!(rfc3339(*until)));
            more.insert("comment".into(), json!(comment));
            more.insert("reopens".into(), json!(reopens));
        }
        Act::Slow(seconds) => {
            more.insert("seconds".into(), json!(seconds));
        }
        Act::Budget(posts) => {
            more.insert("per_day".into(), json!(posts));
        }
        Act::Length(chars) => {
            more.insert("chars".into(), json!(chars));
        }
        Act::Pin(pin) | Act::Unpin(pin) => {
            more.insert("message".into(), json!(pin.message.to_hex()));
        }
        Act::Retract { message, category, .. } => {
            more.insert("message".into(), json!(message.to_hex()));
            more.insert("category".into(), json!(category.as_str()));
        }
        Act::Amend { agreement, .. } => {
            more.insert("agreement".into(), json!(agreement.id.to_hex()));
            more.insert("effective".into(), json!(rfc3339(agreement.effective)));
        }
        Act::Expire(seconds) => {
            more.insert("seconds".into(), json!(seconds));
        }
        Act::Farewell(step) => {
            more.insert("member".into(), json!(step.member().to_hex()));
            if let Farewell::Announced { on, .. } = step {
                more.insert("on".into(), json!(rfc3339(*on)));
            }
        }
        Act::Remember { member, .. } => {
            more.insert("member".into(), json!(member.to_hex()));
        }
        Act::Second(Second::Confirm { proposal, what, .. }) => {
            if let Some(act) = what.act() {
                act_fields(&act, more);
            }
            more.insert("proposal".into(), json!(proposal));
        }
        Act::Second(Second::Withdraw { proposal }) => {
            more.insert("proposal".into(), json!(proposal));
        }
        Act::CloseGroup(Closing::At { ends, .. }) => {
            more.insert("ends".into(), json!(rfc3339(*ends)));
            more.insert("erased".into(), json!(rfc3339(erased_at(*ends))));
        }
        Act::Device(step) => {
            more.insert("member".into(), json!(step.target().to_hex()));
            if let Device::Replaced { lost, .. } = step {
                more.insert("lost".into(), json!(lost.to_hex()));
            }
        }
        // The word says it, or it is for people alone.
        Act::Found
        | Act::Depart(_)
        | Act::Resume
        | Act::Lock(_)
        | Act::Hours { .. }
        | Act::Door(_)
        | Act::Timeout(_)
        | Act::Untimeout(_)
        | Act::Announce(_)
        | Act::Rekey
        | Act::Enact
        | Act::Withdraw
        | Act::OpenBreach { .. }
        | Act::CloseBreach { .. }
        | Act::CloseGroup(Closing::CalledOff)
        | Act::Second(Second::On | Second::Propose(_)) => {}
    }
}

/// Returns a record of moderation as JSON.
pub fn record_json(record: &Record, name: &str) -> Value {
    let mut object = Map::new();
    object.insert("number".into(), json!(record.number));
    object.insert("at".into(), json!(rfc3339(record.at)));
    object.insert("actor".into(), json!(name));
    object.insert("actor_key".into(), json!(record.actor.to_hex()));
    object.insert("act".into(), json!(record.act.as_str()));
    object.insert("previous".into(), json!(record.previous.to_hex()));
    object.insert("digest".into(), json!(record.digest().to_hex()));
    act_fields(&record.act, &mut object);
    // The log shows that something was done and its category; words are in the room.
    object.remove("comment");
    Value::Object(object)
}

/// Returns a member as JSON, with their acknowledgement judged.
pub fn member_json(policy: &RoomPolicy, room: &hearth_protocol::RoomId, leaf: &Leaf) -> Value {
    let judged = policy.judge_acknowledgement(room, &leaf.member, &leaf.acknowledgement);
    json!({
        "name": leaf.name,
        "id": leaf.member.short(),
        "key": leaf.member.to_hex(),
        "role": policy.role(&leaf.member).as_str(),
        "acknowledged": judged.is_ok(),
        "said_yes": judged.is_ok() && policy.more.breach.is_none_or(|breach| {
            leaf.acknowledgement.more.breach == Some(breach)
        }),
        "agreement": leaf.acknowledgement.agreement.to_hex(),
        "version": leaf.acknowledgement.version,
        "signed_at": rfc3339(leaf.acknowledgement.signed_at),
        "expires": rfc3339(leaf.acknowledgement.expires),
    })
}
