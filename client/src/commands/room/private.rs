//! Between a member and those who moderate: what the room does not see.

use clap::Args;
use hearth_engine::{EngineError, mine::Setting, room::find_member};
use hearth_protocol::{MemberKey, RoomId};
use hearth_session::client::{Command, LaneCommand, LaneView, Outcome, RoomView};
use hearth_text::{count::counted, escape};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    Asked, RoomCommand,
    row::{Entry, May, Topic, row},
    talking::read_last,
};
use crate::{
    commands::{
        Context, Result,
        outcome::{Told, name_of},
        shell::Shell,
    },
    failure::Failure,
    text::when,
};

const DAY_SECONDS: u64 = 24 * 3600;

topic! { Private: Checkin }

/// Talk with the facilitators alone; facilitators: with the member who is named first, or plan with `due` and `every 7d`. Without words,
/// show what was said there
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Checkin {
    /// The words; facilitators: the member, then the words.
    #[arg(num_args = 0.., value_name = "NAME WORDS")]
    args: Vec<String>,
}

impl Checkin {
    /// Returns what is typed behind an @ as a check-in.
    pub(super) fn new(args: Vec<String>) -> Self {
        Self { args }
    }
}

impl RoomCommand for Checkin {
    const ROW: Entry =
        row(Topic::Private, "checkin", May::Members, "talk with the facilitators alone")
            .takes("[NAME] [WORDS] | due | every 7d [NAME]", "I would like to talk before Thursday")
            .words(1)
            .enforced("E")
            .answers()
            .offline();

    fn complete(&mut self, _: &str, _: &Context) -> Result<()> {
        read_last(&mut self.args)
    }

    async fn resolve(&self, shell: &Shell) -> Result<Asked> {
        shell.news_of_lanes().await?;
        let view = shell.view();
        let (lane, words) = if view.moderates() {
            let Some((name, words)) = self.args.split_first() else {
                shell.list_lanes()?;
                return Ok(Asked::Nothing);
            };
            if let Some(asked) = planned(shell, &self.args).await? {
                return Ok(asked);
            }
            let name = name.trim_start_matches('@');
            let id = match find_member(&view.roster, name) {
                Ok(leaf) => lane_of(shell, Some(leaf.member))?,
                // Who has left is looked for by the name that they had.
                Err(error) => left(&view, name).ok_or(error)?,
            };
            (id, words)
        } else {
            (lane_of(shell, Some(view.me))?, mine(&view, &self.args)?)
        };
        let words = words.join(" ");
        if words.trim().is_empty() {
            shell.print_lane(lane, true).await?;
            return Ok(Asked::Nothing);
        }
        Ok(Command::Lane { lane, what: LaneCommand::Say(words.into()) }.into())
    }

    fn tell(&self, told: &Told<'_>, asked: &Command, outcome: Outcome) -> Result<()> {
        match asked {
            Command::Set(Setting::CheckIn { member, days }) => {
                tell_plan(told, member.as_ref(), *days)
            }
            _ => told.in_lane(asked, outcome),
        }
    }
}

/// Finds the check-in of somebody who is no longer in the room.
fn left(view: &RoomView, name: &str) -> Option<RoomId> {
    let gone = view.lanes.iter().filter(|lane| {
        let owner = lane.owner.filter(|owner| *owner != view.me);
        owner.is_some_and(|owner| view.roster.iter().all(|leaf| leaf.member != owner))
    });
    let named = |lane: &&LaneView| lane.name.to_lowercase() == name.to_lowercase();
    gone.filter(named).max_by_key(|lane| lane.last_at).map(|lane| lane.id)
}

/// Returns what a member says to the facilitators: without the name of one before it. Words for another member are refused, because
/// they would not reach that one.
fn mine<'a>(view: &RoomView, args: &'a [String]) -> Result<&'a [String]> {
    let Some((first, rest)) = args.split_first().filter(|(_, rest)| !rest.is_empty()) else {
        return Ok(args);
    };
    let name = first.trim_start_matches('@').to_lowercase();
    let leaf = view.roster.iter().find(|leaf| leaf.name.to_lowercase() == name);
    let Some(leaf) = leaf.filter(|leaf| leaf.member != view.me) else { return Ok(args) };
    if view.policy.as_ref().is_some_and(|policy| policy.role(&leaf.member).moderates()) {
        return Ok(rest);
    }
    Err(Failure::usage(
        format!("a check-in goes to the facilitators, and not to {}", escape::one_line(&leaf.name)),
        "Nothing was sent. Without the name it goes to them: `hearth checkin ROOM WORDS`.",
    ))
}

/// Does what begins with a word for the list of check-ins: `due`, or `every 7d`. `None` for everything else.
async fn planned(shell: &Shell, args: &[String]) -> Result<Option<Asked>> {
    let Some((word, rest)) = args.split_first() else { return Ok(None) };
    let (view, rest) = (shell.view(), rest.join(" "));
    // A member may have that name.
    if find_member(&view.roster, word).is_ok() {
        return Ok(None);
    }
    match word.to_lowercase().as_str() {
        "due" if rest.is_empty() => {
            shell.show_check_ins().await?;
            Ok(Some(Asked::Nothing))
        }
        "every" => {
            let (days, name) = days_and_name(&rest)?;
            let member = match name.trim() {
                "" => None,
                name => Some(find_member(&view.roster, name.trim_start_matches('@'))?.member),
            };
            Ok(Some(Command::Set(Setting::CheckIn { member, days }).into()))
        }
        _ => Ok(None),
    }
}

/// Reads days, and a name behind them; 0 days for `off`.
fn days_and_name(text: &str) -> Result<(u32, &str)> {
    let (first, behind) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    if when::is_off(first) {
        return Ok((0, behind));
    }
    let wrong = || {
        Failure::usage(
            format!("\"{}\" is no number of days", escape::one_line(text)),
            "Nothing was changed. It is from 1d to 365d: `hearth checkin ROOM every 7d`.",
        )
    };
    let (time, behind) = when::split_duration(text).map_err(|_| wrong())?;
    let seconds = time.ok_or_else(wrong)?.as_secs();
    let days = u32::try_from(seconds / DAY_SECONDS).ok().filter(|days| (1..=365).contains(days));
    let days = days.filter(|_| seconds % DAY_SECONDS == 0).ok_or_else(wrong)?;
    Ok((days, behind))
}

fn tell_plan(told: &Told<'_>, member: Option<&MemberKey>, days: u32) -> Result<()> {
    let name = member.map(|member| name_of(told.view, member));
    let object = json!({"done": "checkin_every", "member": name, "days": days});
    let whom = name.unwrap_or_else(|| "each member".to_owned());
    let text = match days {
        0 => format!("You plan no check-ins with {whom}. Nobody is told."),
        days => format!(
            "You plan to write with {whom} every {}. It stays on this device. `hearth checkin ROOM due` shows what is due.",
            counted(days, "day", "days")
        ),
    };
    told.say(&object, &told.out.advice(&text))
}

/// Returns the lane of a member, or the desk.
pub(super) fn lane_of(shell: &Shell, owner: Option<MemberKey>) -> Result<RoomId> {
    let view = shell.view();
    if view.policy.as_ref().is_some_and(|policy| policy.desk.is_none()) {
        return Err(EngineError::NoLanes.into());
    }
    let lane = view.lanes.iter().find(|lane| lane.owner == owner);
    let lane = lane.ok_or_else(|| Failure::from(EngineError::NotSeated))?;
    Ok(lane.id)
}
