//! Between a member and those who moderate: what the room does not see.

use clap::Args;
use hearth_engine::{EngineError, room::find_member};
use hearth_protocol::RoomId;
use hearth_session::client::{Command, LaneCommand, Outcome};
use serde::{Deserialize, Serialize};

use super::{
    Asked, RoomCommand,
    row::{Entry, May, Topic, row},
};
use crate::{
    commands::{Result, outcome::Told, shell::Shell},
    failure::Failure,
};

topic! { Private: Checkin }

/// Talk with the facilitators alone; facilitators: with the member who is named first. Without words, show what was said there
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
            .takes("[NAME] [WORDS]", "I would like to talk before Thursday")
            .words(1)
            .enforced("E")
            .answers()
            .offline();

    async fn resolve(&self, shell: &Shell) -> Result<Asked> {
        shell.news_of_lanes().await?;
        let view = shell.view();
        let (lane, words) = if view.moderates() {
            let Some((name, words)) = self.args.split_first() else {
                shell.list_lanes()?;
                return Ok(Asked::Nothing);
            };
            let leaf = find_member(&view.roster, name.trim_start_matches('@'))?;
            (lane_of(shell, Some(leaf.member))?, words)
        } else {
            (lane_of(shell, Some(view.me))?, &self.args[..])
        };
        let words = words.join(" ");
        if words.trim().is_empty() {
            shell.print_lane(lane, true).await?;
            return Ok(Asked::Nothing);
        }
        Ok(Command::Lane { lane, what: LaneCommand::Say(words.into()) }.into())
    }

    fn tell(&self, told: &Told<'_>, asked: &Command, outcome: Outcome) -> Result<()> {
        told.in_lane(asked, outcome)
    }
}

/// Returns the lane of a member, or the desk.
pub(super) fn lane_of(shell: &Shell, owner: Option<hearth_protocol::MemberKey>) -> Result<RoomId> {
    let view = shell.view();
    if view.policy.as_ref().is_some_and(|policy| policy.desk.is_none()) {
        return Err(EngineError::NoLanes.into());
    }
    let lane = view.lanes.iter().find(|lane| lane.owner == owner);
    let lane = lane.ok_or_else(|| Failure::from(EngineError::NotSeated))?;
    Ok(lane.id)
}
