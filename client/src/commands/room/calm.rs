//! Holding the room: its rules, and what stands at its top.

use clap::Args;
use hearth_engine::{accord::Mismatch, policy::Act};
use hearth_protocol::{frame, limits::EXPIRE_SECONDS_MIN};
use hearth_session::{
    client::{Command, Outcome},
    live::now,
};
use hearth_text::escape;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    Asked, Lack, RoomCommand,
    breach::Breach,
    row::{Entry, May, Topic, row},
    times::{not_off, parse_millis, time_and_words, time_failure},
};
use crate::{
    commands::{Result, outcome::Told, shell::Shell},
    failure::{Failure, exit},
    show::calm,
    text::when,
};

/// Length of a pause where none is given.
const PAUSE: &str = "10m";

topic! {
    Calm: Pause, Resume, Breach, Slow, Budget, Len, Hours, Open, Close, Pin, Unpin, Rekey, RestoreRules, Expire
}

/// Stop all posts but those of facilitators and co-facilitators, until a time: 10 minutes, or 5m, 20m, 60m at most.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Pause {
    /// How long (5m, 10m, 20m; ten minutes if absent), then words to the room.
    #[arg(num_args = 0.., value_name = "TIME WORDS")]
    args: Vec<String>,
    /// Open the room at the end even if nobody is on duty then. Without it the room stays closed until it opens by its hours, or until
    /// somebody is on duty.
    #[arg(long)]
    reopen: bool,
}

impl RoomCommand for Pause {
    const ROW: Entry = row(Topic::Calm, "pause", May::Moderators, "stop everybody for a moment")
        .takes("[TIME] [--reopen] WORDS", "10m Let us breathe")
        .time_and_words(0)
        .enforced("E held by receivers; R; C what follows");

    fn lacks(&self) -> Option<Lack> {
        not_off(&self.args, "").ok()?;
        let (_, words) = time_and_words(&self.args).ok()?;
        words.trim().is_empty().then_some(Lack {
            what: "a pause needs words to the room: people read them first",
            prompt: "Your words to the room",
            choices: &calm::PAUSE_WORDS,
            example: "`hearth pause ROOM 10m WORDS`",
        })
    }

    fn give(&mut self, words: String) {
        let time = match self.args.join(" ") {
            time if time.trim().is_empty() || when::is_now(&time) => PAUSE.to_owned(),
            time => time,
        };
        self.args = vec![time, words];
    }

    async fn resolve(&self, _: &Shell) -> Result<Asked> {
        not_off(&self.args, "`hearth resume ROOM` ends the pause.")?;
        let (millis, comment) = time_and_words(&self.args)?;
        let millis = millis.unwrap_or(parse_millis(PAUSE)?);
        Ok(Command::Pause { millis, comment, reopens: self.reopen }.into())
    }
}

/// End the pause early.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Resume {}

impl RoomCommand for Resume {
    const ROW: Entry =
        row(Topic::Calm, "resume", May::Moderators, "end the pause").enforced("E; R").answers();

    async fn resolve(&self, _: &Shell) -> Result<Asked> {
        Ok(Command::Act(Act::Resume).into())
    }

    fn tell(&self, told: &Told<'_>, _: &Command, outcome: Outcome) -> Result<()> {
        let Outcome::Acted { act, seq, .. } = outcome else { return told.outcome(outcome) };
        let object = json!({"done": act.as_str(), "seq": seq.0});
        let text = format!(
            "You ended the pause. A round asks how it was: `hearth round ROOM start \"{}\"`.",
            calm::AFTER_PAUSE
        );
        told.say(&object, &told.out.advice(&text))
    }
}

/// Set the least time between two posts of a member (10m, off).
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Slow {
    /// The time, or `off`.
    #[arg(num_args = 1.., required = true, value_name = "TIME")]
    time: Vec<String>,
}

impl RoomCommand for Slow {
    const ROW: Entry =
        row(Topic::Calm, "slow", May::Moderators, "set the least time between two posts")
            .takes("TIME|off", "10m")
            .enforced("R; C countdown");

    async fn resolve(&self, _: &Shell) -> Result<Asked> {
        let time = when::parse_duration_or_off(&self.time.join(" ")).map_err(time_failure)?;
        let seconds = time.map_or(0, |t| u32::try_from(t.as_secs()).unwrap_or(u32::MAX));
        Ok(Command::Act(Act::Slow(seconds)).into())
    }
}

/// Limit the posts of each member a day (20/day, off).
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Budget {
    /// The number, or `off`.
    #[arg(num_args = 1.., required = true, value_name = "NUMBER/day")]
    posts: Vec<String>,
}

impl RoomCommand for Budget {
    const ROW: Entry =
        row(Topic::Calm, "budget", May::Moderators, "limit each member's posts a day")
            .takes("N/day|off", "20/day")
            .enforced("R; C");

    async fn resolve(&self, _: &Shell) -> Result<Asked> {
        let posts = when::parse_rate(&self.posts.join(" "))
            .map_err(|error| Failure::usage(error.to_string(), "For example: 20/day, or off."))?;
        Ok(Command::Act(Act::Budget(posts.unwrap_or(0))).into())
    }
}

/// Limit the characters of a message (1200, off).
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Len {
    /// The number, or `off`.
    chars: String,
}

impl RoomCommand for Len {
    const ROW: Entry =
        row(Topic::Calm, "len", May::Moderators, "limit the characters of a message")
            .takes("N|off", "1200")
            .enforced("R by size class; C exactly");

    async fn resolve(&self, _: &Shell) -> Result<Asked> {
        let number = if when::is_off(&self.chars) { Ok(0) } else { self.chars.parse() };
        let number = number.map_err(|_| {
            Failure::usage(
                format!("{} is not a number of characters", escape::one_line(&self.chars)),
                "For example: 1200, or off.",
            )
        })?;
        Ok(Command::Act(Act::Length(number)).into())
    }
}

/// Set the opening hours ("Mon-Fri 17:00-20:00 Europe/Paris", off).
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Hours {
    /// The hours, or `off`.
    hours: String,
}

impl RoomCommand for Hours {
    const ROW: Entry = row(Topic::Calm, "hours", May::Moderators, "set the opening hours")
        .takes("HOURS|off", "Mon-Fri 17:00-20:00 Europe/Paris")
        .words(0)
        .enforced("R; C");

    async fn resolve(&self, shell: &Shell) -> Result<Asked> {
        let now = shell.view().relay_now(now());
        let hours = when::parse_hours(&self.hours, now).map_err(time_failure)?;
        let text = if hours.is_some() { self.hours.clone() } else { String::new() };
        Ok(Command::Act(Act::Hours { text, hours }).into())
    }
}

/// Open the room whatever its hours say.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Open {
    /// Go back to the hours.
    #[arg(long)]
    by_hours: bool,
}

impl RoomCommand for Open {
    const ROW: Entry = row(Topic::Calm, "open", May::Moderators, "open the room against its hours")
        .takes("[--by-hours]", "--by-hours")
        .enforced("R; C");

    async fn resolve(&self, _: &Shell) -> Result<Asked> {
        let door = if self.by_hours { frame::Door::ByHours } else { frame::Door::Open };
        Ok(Command::Act(Act::Door(door)).into())
    }
}

/// Close the room to posts whatever its hours say.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Close {}

impl RoomCommand for Close {
    const ROW: Entry =
        row(Topic::Calm, "close", May::Moderators, "close the room against its hours")
            .enforced("R; C");

    async fn resolve(&self, _: &Shell) -> Result<Asked> {
        Ok(Command::Act(Act::Door(frame::Door::Closed)).into())
    }
}

/// Keep a message at the top.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Pin {
    /// The message's id, or its number.
    id: String,
}

impl RoomCommand for Pin {
    const ROW: Entry = row(Topic::Calm, "pin", May::Moderators, "keep a message at the top")
        .takes("ID", "ab12")
        .enforced("E");

    async fn resolve(&self, shell: &Shell) -> Result<Asked> {
        Ok(Command::Act(Act::Pin(shell.pin(&self.id).await?)).into())
    }
}

/// Keep a message at the top no longer.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Unpin {
    /// The message's id, or its number.
    id: String,
}

impl RoomCommand for Unpin {
    const ROW: Entry =
        row(Topic::Calm, "unpin", May::Moderators, "keep a message at the top no longer")
            .takes("ID", "ab12")
            .enforced("E");

    async fn resolve(&self, shell: &Shell) -> Result<Asked> {
        Ok(Command::Act(Act::Unpin(shell.pin(&self.id).await?)).into())
    }
}

/// Give all members new keys; the roster stays.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Rekey {}

impl RoomCommand for Rekey {
    const ROW: Entry =
        row(Topic::Calm, "rekey", May::Moderators, "give everybody new keys").enforced("E");

    async fn resolve(&self, _: &Shell) -> Result<Asked> {
        Ok(Command::Act(Act::Rekey).into())
    }
}

/// Put the relay's rules, roles, roster and breaks back to what the room's log says.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct RestoreRules {}

impl RoomCommand for RestoreRules {
    const ROW: Entry =
        row(Topic::Calm, "restore-rules", May::Facilitators, "make the relay do what the log says")
            .enforced("E; R")
            .answers();

    async fn resolve(&self, _: &Shell) -> Result<Asked> {
        Ok(Command::RestoreRules.into())
    }

    fn tell(&self, told: &Told<'_>, _: &Command, outcome: Outcome) -> Result<()> {
        let Outcome::Restored { restored, remain } = outcome else {
            return told.outcome(outcome);
        };
        let words: Vec<&str> = remain.iter().map(Mismatch::as_str).collect();
        let object = json!({"done": "restore-rules", "restored": restored, "remain": words});
        let text = match (restored, remain.is_empty()) {
            (true, true) => "The relay keeps to the room's rules again.",
            (true, false) => {
                "The relay keeps to some of the room's rules again; `hearth status ROOM` shows what remains."
            }
            (false, true) => "The relay keeps to the room's rules already.",
            (false, false) => {
                "No command can put the differences back; `hearth status ROOM` shows them."
            }
        };
        told.say(&object, &told.out.advice(text))
    }
}

/// Set how long the relay and members keep messages (30d).
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Expire {
    /// The time.
    #[arg(num_args = 1.., required = true, value_name = "TIME")]
    time: Vec<String>,
    /// Do not ask first. hearth never asks where standard input is not a terminal.
    #[arg(long)]
    yes: bool,
}

impl RoomCommand for Expire {
    const ROW: Entry =
        row(Topic::Calm, "expire", May::Facilitators, "set how long messages are kept")
            .takes("TIME", "30d")
            .enforced("R; C");

    fn is_agreed(&self) -> bool {
        self.yes
    }

    async fn resolve(&self, _: &Shell) -> Result<Asked> {
        let seconds = parse_millis(&self.time.join(" "))? / 1000;
        if seconds < EXPIRE_SECONDS_MIN {
            return Err(Failure::new(
                exit::REFUSED,
                "out_of_range",
                format!("messages are kept for 1 h at least, not {}", when::span(seconds)),
                "Nothing was done. For example: `hearth expire ROOM 30d`.",
            ));
        }
        Ok(Command::Act(Act::Expire(seconds)).into())
    }
}
