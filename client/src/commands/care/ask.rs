//! A moderator asks members for something, each in their lane.

use std::sync::Arc;

use hearth_engine::{
    course::{ASKS_PER_WEEK_MAX, mood_asks},
    policy::Leaf,
    private::{Inquiry, Private, WITHIN_SECONDS, Wanted},
    room::find_member,
};
use hearth_protocol::Millis;
use hearth_session::{
    client::{Command, LaneCommand, Outcome},
    live::LiveError,
};
use hearth_text::{count::counted, escape};
use serde_json::json;

use super::is_anybody_here;
use crate::{
    commands::{Result, room::parse_millis, shell::Shell},
    failure::Failure,
    show::{self, help::people, presence},
    text::when,
};

const WEEK: u64 = 7 * 24 * 3600 * 1000;
const DAY_SECONDS: u32 = 24 * 3600;

/// Who was asked, and who was not.
#[derive(Default)]
struct Round {
    asked: Vec<String>,
    waits: Vec<String>,
    why: Option<Arc<LiveError>>,
    /// With the reason.
    not: Vec<(String, String)>,
}

/// Refuses to ask while nobody is on duty, nor expected within a time in seconds.
pub(in crate::commands) fn check_duty(shell: &Shell, within: u32) -> Result<()> {
    let (view, now) = (shell.view(), shell.relay_now());
    let due = now.plus(u64::from(within) * 1000);
    let expected = || presence::next_expected(&view, now).is_some_and(|(_, at)| at <= due);
    if is_anybody_here(&view, now) || (within > 0 && expected()) {
        return Ok(());
    }
    Err(Failure::usage(
        "nobody is on duty now",
        "Nothing was sent: what members answer needs a person who reads it. `hearth duty ROOM on 2h` says that you are here; then ask again.",
    ))
}

/// Returns how long members wait until the answers are read and talked about, in seconds: the time that is given, else the agreement's, else a
/// day.
pub(in crate::commands) fn within(shell: &Shell, given: Option<&str>) -> Result<u32> {
    let fits = |seconds: u64| u32::try_from(seconds).ok().filter(|s| WITHIN_SECONDS.contains(s));
    let Some(given) = given else {
        let view = shell.view();
        let agreed = view.help.contacts.iter().find_map(|help| help.answers_read_within.as_deref());
        // It may be in words for people: "1 working day".
        let agreed = agreed.and_then(|agreed| when::parse_duration(agreed).ok());
        return Ok(agreed.and_then(|agreed| fits(agreed.as_secs())).unwrap_or(DAY_SECONDS));
    };
    let seconds = parse_millis(given)? / 1000;
    fits(seconds).ok_or_else(|| {
        Failure::usage(
            format!("{} is not a time in which answers are read", show::span(seconds)),
            "Nothing was sent. It is from 1h to 7d: `--within 1d`.",
        )
    })
}

/// Asks members in their lanes: those who are named, or all who do not moderate.
pub(in crate::commands) async fn ask(shell: &Shell, to: &[String], inquiry: Inquiry) -> Result<()> {
    let view = shell.view();
    let leaves: Vec<Leaf> = match to {
        [] => {
            let policy = view.policy.as_ref();
            let takes_part =
                |leaf: &&Leaf| policy.is_some_and(|policy| !policy.role(&leaf.member).admits());
            view.roster.iter().filter(takes_part).cloned().collect()
        }
        names => {
            let found = names.iter().map(|name| find_member(&view.roster, name).cloned());
            found.collect::<Result<_, _>>()?
        }
    };
    let mut round = Round::default();
    for leaf in &leaves {
        let name = leaf.name.clone();
        match ask_one(shell, leaf, &inquiry).await {
            Ok(Outcome::Kept { why, .. }) => {
                round.why = round.why.or(why);
                round.waits.push(name);
            }
            Ok(_) => round.asked.push(name),
            Err(failure) => round.not.push((name, failure.message.clone())),
        }
    }
    tell(shell, &inquiry, &round)
}

async fn ask_one(shell: &Shell, leaf: &Leaf, inquiry: &Inquiry) -> Result<Outcome> {
    let view = shell.view();
    let policy = view.policy.as_ref();
    if policy.is_some_and(|policy| policy.role(&leaf.member).moderates()) {
        return Err(Failure::usage("they moderate, and are not asked", ""));
    }
    let lane = view.lane_of(leaf.member).filter(|lane| lane.seated);
    let lane = lane.ok_or_else(|| Failure::usage("their check-in is not open yet", ""))?.id;
    if matches!(inquiry.wanted, Wanted::Mood { .. }) {
        let (rows, now) = (shell.rows_of_lane(lane).await?, shell.relay_now());
        let asks = mood_asks(&rows, Millis(0), now);
        let week = asks.iter().filter(|ask| now < ask.at.plus(WEEK)).count();
        if week >= ASKS_PER_WEEK_MAX {
            return Err(Failure::usage(
                format!("they were asked {ASKS_PER_WEEK_MAX} times within a week"),
                "",
            ));
        }
    }
    let what = LaneCommand::Private(Private::Inquiry(inquiry.clone()));
    shell.ask(Command::Lane { lane, what }).await
}

fn tell(shell: &Shell, inquiry: &Inquiry, round: &Round) -> Result<()> {
    let within = u64::from(inquiry.within);
    let by = shell.relay_now().plus(within.saturating_mul(1000));
    let not: Vec<_> =
        round.not.iter().map(|(name, why)| json!({"name": name, "why": why})).collect();
    let object = json!({
        "room": shell.room,
        "done": "asked",
        "asked": round.asked,
        "waits": round.waits,
        "not": not,
        "read_by": show::rfc3339(by),
    });
    let mut lines = Vec::new();
    let ends = inquiry.wanted == Wanted::NoMood;
    match &round.asked[..] {
        [] => {}
        names if ends => lines.push(format!("Moods of {} are asked for no longer.", people(names))),
        names => {
            let each = if names.len() == 1 { "It is" } else { "It is for each" };
            lines.push(format!(
                "Asked {}. {each} in their check-in, and nobody else sees it. They read that it is seen by {}: please look by then, with `hearth mood ROOM view`.",
                people(names),
                show::clock(by)
            ));
        }
    }
    if !round.waits.is_empty() {
        let questions = counted(round.waits.len(), "question waits", "questions wait");
        lines.push(format!(
            "{questions} on this device for the connection: {}.",
            people(&round.waits)
        ));
    }
    lines.extend(
        round
            .not
            .iter()
            .map(|(name, why)| format!("Not asked: {}, because {why}.", escape::one_line(name))),
    );
    if round.asked.is_empty() && round.waits.is_empty() && round.not.is_empty() {
        lines.push("Nobody was asked: nobody here takes part without moderating.".to_owned());
    }
    shell.out.say(&object, &shell.out.advice(&lines.join("\n")))?;
    match &round.why {
        Some(why) if round.asked.is_empty() => Err(Failure::from(&**why)),
        _ => Ok(()),
    }
}
