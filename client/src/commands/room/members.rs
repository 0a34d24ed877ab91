//! One person: rest, role, removal.

use clap::Args;
use hearth_engine::policy::Act;
use hearth_protocol::Millis;
use hearth_session::client::{Command, Outcome};
use hearth_text::escape;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    Asked, CategoryArg, RoleArg, RoomCommand,
    row::{Entry, May, Topic, row},
    times::{not_off, time_and_words, time_failure},
};
use crate::{
    commands::{Result, outcome::Told, shell::Shell},
    show,
    text::when::WhenError,
};

topic! { Members: Timeout, Untimeout, Role, Remove }

/// Stop a member's posts until a time; they can read. Only that member and moderators learn who and why.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Timeout {
    /// Name or id.
    member: String,
    /// How long (30m, 2 hours), then words to the member.
    #[arg(num_args = 1.., required = true, value_name = "TIME WORDS")]
    args: Vec<String>,
    /// Do not ask before a time-out of more than a week. hearth never asks where standard input is not a terminal.
    #[arg(long)]
    yes: bool,
}

impl RoomCommand for Timeout {
    const ROW: Entry = row(Topic::Members, "timeout", May::Moderators, "let a member rest")
        .takes("NAME TIME [WORDS]", "Ben 30m Please rest a little")
        .time_and_words(1)
        .enforced("R")
        .answers();

    fn is_agreed(&self) -> bool {
        self.yes
    }

    async fn resolve(&self, shell: &Shell) -> Result<Asked> {
        let member = shell.at_rest(&self.member).await?;
        not_off(&self.args, "`hearth untimeout ROOM NAME` ends a time-out.")?;
        let (millis, note) = time_and_words(&self.args)?;
        let millis = millis.ok_or_else(|| time_failure(WhenError::Duration))?;
        Ok(Command::TimeOut { member, millis, note }.into())
    }

    fn tell(&self, told: &Told<'_>, _: &Command, outcome: Outcome) -> Result<()> {
        timed_out(told, outcome)
    }
}

/// End a time-out early.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Untimeout {
    /// Name or id.
    member: String,
}

impl RoomCommand for Untimeout {
    const ROW: Entry = row(Topic::Members, "untimeout", May::Moderators, "end a time-out early")
        .takes("NAME", "Ben")
        .enforced("R")
        .answers();

    async fn resolve(&self, shell: &Shell) -> Result<Asked> {
        let member = shell.member(&self.member).await?.member;
        Ok(Command::TimeOut { member, millis: 0, note: String::new() }.into())
    }

    fn tell(&self, told: &Told<'_>, _: &Command, outcome: Outcome) -> Result<()> {
        timed_out(told, outcome)
    }
}

/// Says until when a member rests, or that they rest no longer.
fn timed_out(told: &Told<'_>, outcome: Outcome) -> Result<()> {
    let Outcome::TimedOut { leaf, until, seq } = outcome else { return told.outcome(outcome) };
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
    told.say(&object, &text)
}

/// Change a member's role. A room keeps one facilitator.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Role {
    /// Name or id.
    member: String,
    /// The role.
    #[arg(ignore_case = true)]
    role: RoleArg,
    /// Do not ask before I give up my own role. hearth never asks where standard input is not a terminal.
    #[arg(long)]
    yes: bool,
}

impl RoomCommand for Role {
    const ROW: Entry = row(Topic::Members, "role", May::Moderators, "change a member's role")
        .takes("NAME ROLE", "Ben observer")
        .enforced("E; R")
        .letters("F; CF between member and observer");

    fn is_agreed(&self) -> bool {
        self.yes
    }

    async fn resolve(&self, shell: &Shell) -> Result<Asked> {
        let member = shell.member(&self.member).await?.member;
        Ok(Command::Act(Act::SetRole { member, role: self.role.into() }).into())
    }
}

/// Remove a member: the room gets new keys without them. Their device keeps what it has.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Remove {
    /// Name or id.
    member: String,
    /// Category for the log.
    #[arg(long, value_name = "CATEGORY", ignore_case = true)]
    reason: CategoryArg,
    /// Words to the room.
    #[arg(long, value_name = "TEXT")]
    goodbye: Option<String>,
    /// Do not ask first. hearth never asks where standard input is not a terminal.
    #[arg(long)]
    yes: bool,
}

impl RoomCommand for Remove {
    const ROW: Entry = row(Topic::Members, "remove", May::Moderators, "take a member out")
        .takes("NAME --reason CATEGORY [--goodbye WORDS]", "Ben --reason request")
        .enforced("E; R; C past copies");

    fn is_agreed(&self) -> bool {
        self.yes
    }

    async fn resolve(&self, shell: &Shell) -> Result<Asked> {
        let member = match shell.waiting_member(&self.member) {
            Some(member) => member,
            None => shell.member(&self.member).await?.member,
        };
        let goodbye = self.goodbye.clone().unwrap_or_default();
        Ok(Command::Act(Act::Remove { member, category: self.reason.into(), goodbye }).into())
    }
}
