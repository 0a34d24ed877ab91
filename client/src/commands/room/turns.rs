//! Taking turns: hands, and rounds in which one member after the other has the floor.

use clap::{Args, ValueEnum};
use hearth_engine::turns::Order;
use hearth_session::client::{Command, Outcome, Turn};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    Asked, RoomCommand,
    row::{Entry, May, Topic, row},
    sitting::Sitting,
    times::parse_millis,
};
use crate::commands::{
    Result,
    outcome::{self, Told},
    shell::Shell,
};

/// Length of a round where none is given: two hours.
const ROUND: &str = "2h";

topic! { Turns: Hand, Lower, Pass, Done, Hands, Sitting, Round, Next, Skip, Extend, Call }

/// Ask for a turn.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Hand {}

impl RoomCommand for Hand {
    const ROW: Entry = row(Topic::Turns, "hand", May::Members, "ask for a turn").enforced("E");

    async fn resolve(&self, _: &Shell) -> Result<Asked> {
        Ok(Command::Turn(Turn::Hand).into())
    }
}

/// Take your hand down again.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Lower {}

impl RoomCommand for Lower {
    const ROW: Entry =
        row(Topic::Turns, "lower", May::Members, "take your hand down").enforced("E");

    async fn resolve(&self, _: &Shell) -> Result<Asked> {
        Ok(Command::Turn(Turn::Lower).into())
    }
}

/// Let your turn go by; that is always fine, and the others do not learn that it was you who passed.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Pass {}

impl RoomCommand for Pass {
    const ROW: Entry = row(Topic::Turns, "pass", May::Members, "let your turn go by; always fine")
        .enforced("E")
        .answers();

    async fn resolve(&self, _: &Shell) -> Result<Asked> {
        Ok(Command::Turn(Turn::Pass).into())
    }

    fn tell(&self, told: &Told<'_>, _: &Command, _: Outcome) -> Result<()> {
        told.say(&json!({"done": "pass"}), "You passed. That is always fine.")
    }
}

/// End your turn.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Done {}

impl RoomCommand for Done {
    const ROW: Entry = row(Topic::Turns, "done", May::Members, "end your turn").enforced("E");

    async fn resolve(&self, _: &Shell) -> Result<Asked> {
        Ok(Command::Turn(Turn::Done).into())
    }
}

/// Show whose turn it is, who comes next, and who asks for a turn.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Hands {}

impl RoomCommand for Hands {
    const ROW: Entry =
        row(Topic::Turns, "hands", May::Members, "show whose turn it is, and who asks for one")
            .looks();

    async fn resolve(&self, shell: &Shell) -> Result<Asked> {
        shell.refresh().await?;
        outcome::turns(&shell.out, &shell.view())?;
        Ok(Asked::Nothing)
    }
}

/// What to do with a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
enum RoundVerb {
    /// Begin one.
    Start,
    /// End the one that is on.
    End,
}

/// Order of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
enum OrderArg {
    /// Those who ask for a turn first, as they asked; then the others.
    Queue,
    /// As `who` lists the members.
    Roster,
    /// Those who have written least first; the number is never shown.
    Quiet,
}

/// Begin a round, in which one after the other has the floor; or end it.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Round {
    /// `start` or `end`.
    #[arg(value_enum, ignore_case = true)]
    verb: RoundVerb,
    /// What the round is about.
    #[arg(num_args = 0.., value_name = "TOPIC")]
    topic: Vec<String>,
    /// Time of a turn, which is shown; when it is over, nothing is cut off.
    #[arg(long, value_name = "TIME")]
    time: Option<String>,
    /// Who comes first.
    #[arg(long, value_enum, default_value = "queue", ignore_case = true)]
    order: OrderArg,
    /// The round ends by itself after this time.
    #[arg(long, value_name = "TIME", default_value = ROUND)]
    ends: String,
}

impl RoomCommand for Round {
    const ROW: Entry = row(Topic::Turns, "round", May::Moderators, "begin or end a round")
        .takes("start [TOPIC] [--time 3m] [--order queue|roster|quiet] | end", "start How are you?")
        .enforced("E holder");

    async fn resolve(&self, _: &Shell) -> Result<Asked> {
        if self.verb == RoundVerb::End {
            return Ok(Command::Turn(Turn::End).into());
        }
        let seconds = self.time.as_deref().map(parse_millis).transpose()?.unwrap_or(0) / 1000;
        let order = match self.order {
            OrderArg::Queue => Order::Queue,
            OrderArg::Roster => Order::Roster,
            OrderArg::Quiet => Order::Quiet,
        };
        let (topic, millis) = (self.topic.join(" "), parse_millis(&self.ends)?);
        Ok(Command::Turn(Turn::Start { order, topic, seconds, millis }).into())
    }
}

/// Asks for the next turn, after that of a member if one is named.
async fn next(shell: &Shell, member: Option<&str>) -> Result<Asked> {
    let after = match member {
        Some(member) => Some(shell.member(member).await?.member),
        None => None,
    };
    Ok(Command::Turn(Turn::Next { after }).into())
}

/// Go on to the next one in the round.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Next {
    /// Whose turn is over: who meanwhile has the floor is not skipped.
    member: Option<String>,
}

impl RoomCommand for Next {
    const ROW: Entry = row(Topic::Turns, "next", May::Moderators, "go on to the next one")
        .takes("[NAME]", "Ben")
        .enforced("E holder");

    async fn resolve(&self, shell: &Shell) -> Result<Asked> {
        next(shell, self.member.as_deref()).await
    }
}

/// Pass over whose turn it is; on every screen it looks as if they had passed.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Skip {
    /// Whose turn is over: who meanwhile has the floor is not skipped.
    member: Option<String>,
}

impl RoomCommand for Skip {
    const ROW: Entry =
        row(Topic::Turns, "skip", May::Moderators, "pass over whose turn it is, silently")
            .takes("[NAME]", "Ben")
            .enforced("E holder");

    async fn resolve(&self, shell: &Shell) -> Result<Asked> {
        next(shell, self.member.as_deref()).await
    }
}

/// Let the round go on for longer.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Extend {
    /// How long from now.
    #[arg(num_args = 1.., required = true, value_name = "TIME")]
    time: Vec<String>,
}

impl RoomCommand for Extend {
    const ROW: Entry =
        row(Topic::Turns, "extend", May::Moderators, "let the round go on for longer")
            .takes("TIME", "30m")
            .enforced("E holder");

    async fn resolve(&self, _: &Shell) -> Result<Asked> {
        Ok(Command::Turn(Turn::Extend { millis: parse_millis(&self.time.join(" "))? }).into())
    }
}

/// Give one member the floor: a round of one.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Call {
    /// Name or id.
    member: String,
}

impl RoomCommand for Call {
    const ROW: Entry = row(Topic::Turns, "call", May::Moderators, "give one member the floor")
        .takes("NAME", "Ben")
        .enforced("E holder");

    async fn resolve(&self, shell: &Shell) -> Result<Asked> {
        let member = shell.member(&self.member).await?.member;
        let millis = parse_millis(ROUND)?;
        Ok(Command::Turn(Turn::Call { member, millis }).into())
    }
}
