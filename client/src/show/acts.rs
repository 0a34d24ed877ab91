//! What was done and what is in force, in words and as JSON.

use hearth_engine::{
    agreement::Change,
    policy::{Act, Leaf, Record, RoomPolicy},
    state::Row,
};
use hearth_protocol::{Millis, Role, frame::Door};
use hearth_text::count::counted;
use serde_json::{Map, Value, json};

use super::{calm::gone, rfc3339, span};
use crate::text::when;

/// Says in a sentence who did what, without words to the room. Moments are told as seen from the record's own.
pub fn act_sentence(record: &Record, actor: &str, target: &str) -> String {
    let text = act_text(&record.act, target, record.at);
    match &record.act {
        Act::Depart(_) => departed(&text, actor),
        Act::Admit { back: true, .. } => returned(&text, actor),
        _ => format!("{actor} {text}"),
    }
}

/// Names whose program carried a departure out: it is the record's actor, and not the member who leaves.
pub(super) fn departed(text: &str, actor: &str) -> String {
    format!("{text} ({actor}'s program carried it out)")
}

/// Names whose program let a member back in, because nobody had to see to it.
pub(super) fn returned(text: &str, actor: &str) -> String {
    format!("{text} ({actor}'s program let them in)")
}

/// Says what an act did, to follow its actor's name: verb, object, values. Only a departure and a return have the member for their subject.
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

/// Names a role, with its article.
pub const fn role_words(role: Role) -> &'static str {
    match role {
        Role::Facilitator => "a facilitator",
        Role::CoFacilitator => "a co-facilitator",
        Role::Member => "a member",
        Role::Observer => "an observer",
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
        | Act::OpenBreach { .. }
        | Act::CloseBreach { .. }
        | Act::Withdraw => {}
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
