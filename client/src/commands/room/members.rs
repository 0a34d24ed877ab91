//! One person: a break, a role, the end of a place.

use clap::Args;
use hearth_engine::policy::Act;
use hearth_protocol::Millis;
use hearth_session::{
    client::{Command, Outcome},
    live::now,
};
use hearth_text::escape;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    Asked, CategoryArg, Lack, RoleArg, RoomCommand,
    row::{Entry, May, Topic, row},
    times::{not_off, time_and_words, time_failure},
};
use crate::{
    commands::{Result, outcome::Told, shell::Shell},
    failure::Failure,
    show::{self, calm},
    text::when::{self, WhenError},
};

topic! { Members: Break, BreakEnd, Role, Remove }

/// Length of a break where none is given: half an hour.
const BREAK_MILLIS: u64 = 30 * 60 * 1000;
/// Words for a break that lasts until the room opens next.
const WE_MEET: &str = "until we meet";

/// Ask a member to take a break from the room until a time; they can read along, and talk in their check-in. Only that member and
/// those who moderate learn of it.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Break {
    /// Name or id.
    member: String,
    /// How long (20m, 30m, 1h, or "until we meet"; 30 minutes if absent), then words to the member.
    #[arg(num_args = 1.., value_name = "TIME WORDS")]
    args: Vec<String>,
    /// Do not ask first. hearth never asks where standard input is not a terminal.
    #[arg(long)]
    yes: bool,
}

impl Break {
    /// Returns how long it lasts, or `None` until the room opens next; and the words.
    fn asked(&self) -> Result<(Option<u64>, String)> {
        let text = self.args.join(" ");
        let until = text.get(..WE_MEET.len()).filter(|begin| begin.eq_ignore_ascii_case(WE_MEET));
        if until.is_some() {
            let words = text.get(WE_MEET.len()..).unwrap_or_default();
            return Ok((None, words.trim().to_owned()));
        }
        let (millis, words) = time_and_words(&self.args)?;
        if millis.is_none() && !words.trim().is_empty() && !words.trim().contains(' ') {
            // One word where a time stands is a slip, and no message to somebody.
            return Err(time_failure(WhenError::Duration));
        }
        Ok((Some(millis.unwrap_or(BREAK_MILLIS)), words))
    }
}

impl RoomCommand for Break {
    const ROW: Entry =
        row(Topic::Members, "break", May::Moderators, "ask one member to take a break")
            .takes("NAME [TIME|until we meet] WORDS", "Ben 30m I would like you to breathe first")
            .time_and_words(1)
            .enforced("R")
            .answers();

    fn is_agreed(&self) -> bool {
        self.yes
    }

    fn lacks(&self) -> Option<Lack> {
        let words = self.asked().ok()?.1;
        words.trim().is_empty().then_some(Lack {
            what: "a break needs words to the member: they are what the member reads of it",
            prompt: "Your words to the member",
            choices: &[],
            example: "`hearth break ROOM NAME 30m \"I would like you to breathe first.\"`",
        })
    }

    fn give(&mut self, words: String) {
        let time = self.args.join(" ");
        self.args = if time.is_empty() { vec![words] } else { vec![time, words] };
    }

    async fn resolve(&self, shell: &Shell) -> Result<Asked> {
        let member = shell.at_rest(&self.member).await?;
        not_off(&self.args, "`hearth break-end ROOM NAME` ends a break.")?;
        let (millis, note) = self.asked()?;
        let millis = match millis {
            Some(millis) => millis,
            None => until_we_meet(shell)?,
        };
        Ok(Command::TimeOut { member, millis, note }.into())
    }

    fn tell(&self, told: &Told<'_>, _: &Command, outcome: Outcome) -> Result<()> {
        break_told(told, outcome)
    }
}

/// Returns how long it is until the room opens next by its hours.
fn until_we_meet(shell: &Shell) -> Result<u64> {
    let (view, now) = (shell.view(), shell.relay_now());
    let hours = view.policy.as_ref().and_then(|policy| policy.numbers.hours.clone());
    let opens = hours.and_then(|hours| hours.next_opening(now));
    let millis = opens.map(|opens| opens.0.saturating_sub(now.0));
    millis.ok_or_else(|| {
        Failure::usage(
            "this room has no opening hours, so nobody knows when you meet",
            "Nothing was done. `hearth break ROOM NAME 1h WORDS` gives a break of an hour; `hearth hours ROOM HOURS` sets the hours.",
        )
    })
}

/// End a break early.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct BreakEnd {
    /// Name or id.
    member: String,
}

impl RoomCommand for BreakEnd {
    const ROW: Entry = row(Topic::Members, "break-end", May::Moderators, "end a break early")
        .takes("NAME", "Ben")
        .enforced("R")
        .answers();

    async fn resolve(&self, shell: &Shell) -> Result<Asked> {
        let member = shell.member(&self.member).await?.member;
        Ok(Command::TimeOut { member, millis: 0, note: String::new() }.into())
    }

    fn tell(&self, told: &Told<'_>, _: &Command, outcome: Outcome) -> Result<()> {
        break_told(told, outcome)
    }
}

/// Says until when a member has a break, or that it is over, and where to talk with them.
fn break_told(told: &Told<'_>, outcome: Outcome) -> Result<()> {
    let Outcome::TimedOut { leaf, until, seq } = outcome else { return told.outcome(outcome) };
    let ended = until == Millis(0);
    let word = if ended { "untimeout" } else { "timeout" };
    let object = json!({
        "done": word, "seq": seq.0, "until": show::rfc3339(until),
        "name": leaf.name, "key": leaf.member.to_hex(),
    });
    let name = escape::one_line(&leaf.name);
    let learns = format!("only {name} and those who moderate learn of it");
    let lane = match told.view.lane_of(leaf.member) {
        Some(_) => {
            format!(
                " You can talk in the check-in: `hearth checkin ROOM {}`.",
                crate::advice::shell_word(&leaf.name)
            )
        }
        None => String::new(),
    };
    let text = match ended {
        true => format!("the break of {name} is over; {learns}.{lane}"),
        false => format!(
            "{name} has a break until {}; {learns}.{lane}",
            calm::until_words(until, told.view.relay_now(now()))
        ),
    };
    told.say(&object, &told.out.advice(&text))
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

/// Remove a member: the room gets new keys without them. Their device keeps what it has. The others read no reason.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Remove {
    /// Name or id.
    member: String,
    /// Words to that member; nobody else reads them.
    #[arg(num_args = 0.., value_name = "WORDS")]
    words: Vec<String>,
    /// Reason, for the notes of those who moderate.
    #[arg(long, value_name = "CATEGORY", default_value = "unspecified", ignore_case = true)]
    reason: CategoryArg,
    /// Words to the room, in place of those that hearth proposes.
    #[arg(long, value_name = "TEXT")]
    goodbye: Option<String>,
    /// Do not ask first. hearth never asks where standard input is not a terminal.
    #[arg(long)]
    yes: bool,
}

impl RoomCommand for Remove {
    const ROW: Entry =
        row(Topic::Members, "remove", May::Moderators, "end somebody's place in the room")
            .takes(
                "NAME [--reason CATEGORY] [--goodbye \"WORDS\"] WORDS",
                "Ben --reason request Thank you for telling us. I call you on Friday",
            )
            .enforced("E; R; C past copies");

    fn is_agreed(&self) -> bool {
        self.yes
    }

    fn lacks(&self) -> Option<Lack> {
        self.words.iter().all(|words| words.trim().is_empty()).then_some(Lack {
            what: "the end of somebody's place needs words to them: nobody else reads these",
            prompt: "Your words to that member",
            choices: &[],
            example: "`hearth remove ROOM NAME --reason conduct \"I have to end your place here. I call you tomorrow.\"`",
        })
    }

    fn give(&mut self, words: String) {
        self.words = vec![words];
    }

    async fn resolve(&self, shell: &Shell) -> Result<Asked> {
        let member = match shell.waiting_member(&self.member) {
            Some(member) => member,
            None => shell.member(&self.member).await?.member,
        };
        let goodbye = self.goodbye.clone().unwrap_or_else(|| calm::GOODBYE_WORDS.to_owned());
        Ok(Command::Remove {
            member,
            words: self.words.join(" "),
            goodbye,
            category: self.reason.into(),
            at_night: when::is_night(when::minute_of_day()),
        }
        .into())
    }
}
