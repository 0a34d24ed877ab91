//! What was found about an entry, and what the relay does that no record says.

use hearth_engine::{
    accord::{Mismatch, Waits},
    floor::poll::Doubt,
    policy::Act,
    room::Names,
    state::{Notice, Row},
};
use hearth_protocol::MemberKey;
use hearth_text::count::counted;

use super::{clock, role_words, rule_text, span};

pub(super) fn notice_text(row: &Row, notice: &Notice) -> (&'static str, String) {
    let name = if row.name.is_empty() { "somebody" } else { &row.name };
    match notice {
        Notice::Gap(n) => {
            let messages = counted(*n, "message", "messages");
            let verb = if *n == 1 { "is" } else { "are" };
            ("gap", format!("{messages} of {name} before this one {verb} missing"))
        }
        Notice::Fork(seq) => (
            "fork",
            format!("{name} saw something else than you at entry {seq}, or from there on: the relay shows different histories; compare `hearth verify ROOM` by another way"),
        ),
        Notice::Missing { from } => {
            ("missing", format!("the relay left out entries from {from} to {}", row.seq))
        }
        Notice::Times => (
            "times",
            "the relay's times do not add up: its clock was set, or it lies about when this was said. \
             What is erased goes by this device's clock"
                .into(),
        ),
        Notice::Split => (
            "split",
            "somebody went on from an earlier state of this room: it may have split, and whoever was removed there may read on here. Nothing of yours goes out until you have compared `hearth verify ROOM` with a facilitator by another way".into(),
        ),
        Notice::Unreadable => ("unreadable", format!("entry {} cannot be read", row.seq)),
        Notice::RefusedCommit(why) => {
            ("refused_commit", format!("a change by {name} is refused: {why}"))
        }
        Notice::NotMine => (
            "not_mine",
            "a message came under your key that this profile did not write: is a copy of the profile in use?".into(),
        ),
        Notice::Mark => (
            "mark",
            format!("{name} sent something past the room's rules, disguised as leaving or taking a message back; it is not shown"),
        ),
        Notice::FalseDeparture => (
            "false_departure",
            format!("{name} says that they leave, by a statement that ends no stay here: they are still in the room"),
        ),
        Notice::FalseRetraction => (
            "false_retraction",
            format!("{name} says that they take back a message which is not theirs: it stays"),
        ),
        Notice::SameId { seq, by } => (
            "same_id",
            format!("this message of {name} bears the same id as entry {seq} by {by}: name either by its number, {} or {seq}", row.seq),
        ),
        Notice::NoSeat => (
            "no_seat",
            format!("by the room's records {name} may not read along here any longer: nothing of yours goes out before they are out"),
        ),
        Notice::SecondInvite { by } => (
            "second_invite",
            format!("{name} announced an invite again that {by} had announced: the first announcement counts"),
        ),
        Notice::Alone => (
            "alone",
            format!("{name} gave a break of more than a day alone, and it takes two who moderate: ask the others"),
        ),
        Notice::Ballots(doubt) => ("ballots", ballots_text(name, *doubt)),
        Notice::CounterReused => {
            ("counter_reused", format!("{name}'s messages are numbered wrongly: one may be missing"))
        }
        Notice::Duplicate => ("duplicate", String::new()),
        Notice::Expired { from } => {
            ("expired", format!("entries {from} to {} were deleted before you read them", row.seq))
        }
    }
}

/// Says how published votes differ from those that this device knows.
fn ballots_text(closer: &str, doubt: Doubt) -> String {
    let vote = |member: &MemberKey| format!("the vote of {}", member.short());
    match doubt {
        Doubt::LeftOut(member) => format!(
            "{} is not among those that {closer} published: {closer} left it out, or the relay kept it back",
            vote(&member)
        ),
        Doubt::Late(member) => format!("{} came too late to be counted", vote(&member)),
        Doubt::Altered(member) => format!(
            "{} was published by {closer} with another choice: {closer} changed it, or the relay kept a later one back",
            vote(&member)
        ),
        Doubt::Stuffed(more) => format!(
            "{closer} published {}: {closer} added some, or the relay keeps some from this device",
            counted(more, "vote that nobody here cast", "votes that nobody here cast")
        ),
        Doubt::Withheld => format!(
            "{closer} published no votes, although enough were cast: {closer} keeps them back, or the relay kept them from {closer}"
        ),
    }
}

/// Says what the relay does and no record says, and what helps.
pub fn mismatch_text(what: &Mismatch, me: MemberKey, names: &Names) -> String {
    let known = |key: &MemberKey| names.get(key).cloned().unwrap_or_else(|| key.short());
    let name = what.member().as_ref().map(known).unwrap_or_default();
    let own = what.member() == Some(me);
    let rule = |relay: &Act, room: &Act| {
        let (relay, room) = (rule_text(relay), rule_text(room));
        format!(
            "the relay keeps to \"{relay}\", and no record says why: the last one says \"{room}\""
        )
    };
    let text = match what {
        Mismatch::Pause { relay, room } if *room > *relay => {
            format!("the relay takes posts during the pause until {}", clock(*room))
        }
        Mismatch::Pause { relay, .. } => {
            format!("the relay refuses posts until {}, and no record says why", clock(*relay))
        }
        Mismatch::Lock { relay: true } => {
            "the relay takes no knocks, and no record says why: the room is not locked".into()
        }
        Mismatch::Lock { relay: false } => "the relay takes knocks, and the room is locked".into(),
        Mismatch::Door { relay, room } => rule(&Act::Door(*relay), &Act::Door(*room)),
        Mismatch::Slow { relay, room } => rule(&Act::Slow(*relay), &Act::Slow(*room)),
        Mismatch::Budget { relay, room } => rule(&Act::Budget(*relay), &Act::Budget(*room)),
        Mismatch::Length { relay: 0, .. } => {
            "the relay takes messages that are longer than the room allows".into()
        }
        Mismatch::Length { relay, .. } => format!(
            "the relay refuses messages of more than {relay} bytes, and no record says why"
        ),
        Mismatch::Hours => {
            "the relay keeps to other opening hours than the room's, and no record says why".into()
        }
        Mismatch::Ending { relay, room } => {
            let when = |at: &Option<_>| match at {
                Some(at) => format!("ends the group on {}", clock(*at)),
                None => "does not end the group".to_owned(),
            };
            format!("the relay {}, and the last record says that it {}", when(relay), when(room))
        }
        Mismatch::Retention { relay, room } => format!(
            "the relay deletes messages after {}, and no record says why: the last one says {}",
            span(*relay),
            span(*room)
        ),
        Mismatch::Agreement => {
            "the relay asks newcomers for another agreement than the one in force, and no record says why".into()
        }
        Mismatch::TimeOut { relay, room, .. } if *relay > *room => {
            let whose = if own { "your".to_owned() } else { format!("{name}'s") };
            format!("the relay refuses {whose} posts until {}, and no record says why", clock(*relay))
        }
        Mismatch::TimeOut { room, .. } => {
            let whose = if own { "your".to_owned() } else { format!("{name}'s") };
            format!("the relay ends {whose} break before {}, and no record says why", clock(*room))
        }
        Mismatch::Role { relay, room, .. } => {
            let (who, is) = if own { ("you".to_owned(), "are") } else { (name, "is") };
            let relay = relay.map_or("somebody who does not moderate", role_words);
            format!("the relay treats {who} as {relay}, and no record says why: {who} {is} {}", role_words(*room))
        }
        Mismatch::Lacking { .. } => {
            format!("the relay keeps {name} out, and no record says why: {name} is in the room")
        }
        Mismatch::Stranger { .. } => format!(
            "the relay delivers the room's entries to {name}, who is not in the room and cannot read them; no record says why"
        ),
        Mismatch::Epoch { .. } => {
            "the relay has gone back to keys that the room has left, and no record says why: it takes nothing of what is said now".into()
        }
        Mismatch::Left { .. } => format!(
            "the relay says that {name} has left, and {name} has not said so: {name} gets nothing of what is said"
        ),
        Mismatch::Retracted { place } => {
            format!("the relay deleted the message at entry {place}, and no record says why")
        }
        Mismatch::StillIn { .. } => format!(
            "{name} says goodbye and still has the keys: the relay does not let them go. A facilitator's next command takes them out"
        ),
        Mismatch::Amendment { version, why: Waits::Unsigned } => format!(
            "version {version} of the agreement is due, and you have not signed it: another facilitator's next command puts it in force, and you are out then until you sign. Read it with `hearth agreement show ROOM`, then `hearth agreement acknowledge ROOM`"
        ),
        Mismatch::Amendment { version, why: Waits::NoText } => format!(
            "version {version} of the agreement is due, and its text has not reached this device: another facilitator's next command sends it"
        ),
        Mismatch::Amendment { version, why: Waits::Refused } => format!(
            "version {version} of the agreement is due, and is refused: `hearth agreement enact ROOM` says why, `hearth agreement withdraw ROOM` takes it back"
        ),
    };
    let advice = match what {
        Mismatch::StillIn { .. } | Mismatch::Amendment { .. } => return text,
        Mismatch::Retracted { .. } => "nothing brings it back; ask its author",
        Mismatch::Lacking { .. } | Mismatch::Left { .. } => {
            "a facilitator removes and invites them anew"
        }
        _ => "a facilitator puts it back with `hearth restore-rules ROOM`",
    };
    format!(
        "{text}. The operator did it, or somebody who moderates with a changed program; {advice}"
    )
}
