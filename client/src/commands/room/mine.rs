//! What is of this device alone: nothing here is sent, and nobody is told.

use clap::Args;
use hearth_engine::mine::{Quiet as Hours, Setting};
use hearth_protocol::Millis;
use hearth_session::{
    client::{Command, Outcome},
    live::now,
};
use hearth_text::{escape, words::words};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    Asked, RoomCommand, Switch,
    row::{Entry, May, Topic, row},
    times::parse_millis,
};
use crate::{
    commands::{Result, outcome::Told, shell::Shell},
    failure::Failure,
    show,
    text::when::{self, WhenError},
};

topic! { Mine: Search, Catchup, Filter, Away, Back, Quiet, Bell }

/// Find messages in this device's history.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Search {
    /// The words, whole or in part; a message has all of them.
    #[arg(num_args = 1.., required = true)]
    words: Vec<String>,
    /// Find this member's messages only.
    #[arg(long, value_name = "NAME")]
    from: Option<String>,
}

impl RoomCommand for Search {
    const ROW: Entry = row(Topic::Mine, "search", May::Members, "find messages by their words")
        .takes("WORDS [--from NAME]", "kitchen --from Ben")
        .answers()
        .offline();

    async fn resolve(&self, shell: &Shell) -> Result<Asked> {
        let from = match &self.from {
            Some(name) => Some(shell.sender(name).await?),
            None => None,
        };
        shell.search(&self.words, from).await?;
        Ok(Asked::Nothing)
    }
}

/// Print what you missed, by round and question, and mark it as read; nobody is told.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Catchup {
    /// How far back (2d, 3h); from the last line that was read if absent.
    #[arg(num_args = 0.., value_name = "TIME")]
    since: Vec<String>,
}

impl RoomCommand for Catchup {
    const ROW: Entry = row(Topic::Mine, "catchup", May::Members, "read what you missed, in short")
        .takes("[TIME]", "2d")
        .looks();

    async fn resolve(&self, shell: &Shell) -> Result<Asked> {
        let since = self.since.join(" ");
        let since = since.strip_prefix("since ").unwrap_or(&since);
        let since = match since {
            "" => None,
            since => Some(Millis(now().0.saturating_sub(parse_millis(since)?))),
        };
        shell.refresh().await?;
        shell.catchup(since).await?;
        Ok(Asked::Nothing)
    }
}

/// Hide words under a content note of a topic; list the topics.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Filter {
    /// The topic, in a word or several; without one, your filters are listed.
    #[arg(num_args = 0..)]
    topic: Vec<String>,
    /// Hide them no longer.
    #[arg(long, requires = "topic")]
    off: bool,
}

impl RoomCommand for Filter {
    const ROW: Entry = row(Topic::Mine, "filter", May::Members, "hide words about a topic here")
        .takes("[TOPIC] [--off]", "drinking")
        .enforced("C local")
        .answers()
        .offline();

    async fn resolve(&self, shell: &Shell) -> Result<Asked> {
        let topic = self.topic.join(" ").trim().to_owned();
        if self.topic.is_empty() {
            let view = shell.view();
            if view.mine.filters.is_empty() {
                shell.out.say_none("You have set no filter.")?;
            }
            for filter in &view.mine.filters {
                shell.out.say(&json!({"filter": filter}), &escape::one_line(filter))?;
            }
            return Ok(Asked::Nothing);
        }
        if words(&topic).is_empty() {
            return Err(Failure::usage(
                format!("\"{}\" is not a topic", escape::one_line(&topic)),
                "Nothing was changed. For example: `hearth filter ROOM drinking`.",
            ));
        }
        Ok(Command::Set(match self.off {
            true => Setting::NoFilter(topic),
            false => Setting::Filter(topic),
        })
        .into())
    }

    fn tell(&self, told: &Told<'_>, asked: &Command, outcome: Outcome) -> Result<()> {
        let (Outcome::Set(changed), Command::Set(setting)) = (&outcome, asked) else {
            return told.outcome(outcome);
        };
        let (topic, on) = match setting {
            Setting::Filter(topic) => (topic, true),
            Setting::NoFilter(topic) => (topic, false),
            _ => return Ok(()),
        };
        let object = json!({"done": "filter", "filter": topic, "on": on, "changed": changed});
        let topic = escape::one_line(topic);
        told.say(
            &object,
            &match (on, changed) {
                (true, true) => format!(
                    "This device hides words under the content note \"{topic}\"; nobody is told. Words without a note are shown."
                ),
                (true, false) => format!("This device hides words about \"{topic}\" already."),
                (false, true) => format!("This device shows words about \"{topic}\" again."),
                (false, false) => told.out.advice(&format!(
                    "You have no filter \"{topic}\"; `hearth filter ROOM` lists yours."
                )),
            },
        )
    }
}

/// Show nothing new in the chat for a time; nobody is told.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Away {
    /// For how long (2h), or until when (18:30); until you are back if absent.
    #[arg(num_args = 0.., value_name = "TIME")]
    until: Vec<String>,
}

impl RoomCommand for Away {
    const ROW: Entry = row(Topic::Mine, "away", May::Members, "show nothing new for a time")
        .takes("[TIME]", "2h")
        .enforced("C local")
        .answers()
        .offline();

    async fn resolve(&self, _: &Shell) -> Result<Asked> {
        let until = match self.until.join(" ").as_str() {
            "" => Millis::NEVER,
            until => {
                let zone = jiff::tz::TimeZone::system();
                when::parse_until(until, now(), &zone).map_err(|error| {
                    Failure::usage(
                        error.to_string(),
                        "Nothing was changed. For example: `hearth away ROOM 2h`.",
                    )
                })?
            }
        };
        Ok(Command::Set(Setting::Away(Some(until))).into())
    }

    fn tell(&self, told: &Told<'_>, _: &Command, outcome: Outcome) -> Result<()> {
        let (Outcome::Set(_), Some(until)) = (&outcome, told.view.mine.away) else {
            return told.outcome(outcome);
        };
        let object = json!({
            "done": "away", "until": (until != Millis::NEVER).then(|| show::rfc3339(until)),
        });
        let until = match until {
            Millis::NEVER => String::new(),
            until => format!(" until {}", show::clock(until)),
        };
        told.say(
            &object,
            &told.out.advice(&format!(
                "You are away{until}; nobody is told. The chat shows nothing new. `hearth back ROOM`, or to say something, ends it and shows what you missed."
            )),
        )
    }
}

/// Be back: print what you missed.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Back {}

impl RoomCommand for Back {
    const ROW: Entry = row(Topic::Mine, "back", May::Members, "be back, and see what you missed")
        .enforced("C local")
        .looks();

    async fn resolve(&self, shell: &Shell) -> Result<Asked> {
        shell.ask(Command::Set(Setting::Away(None))).await?;
        shell.refresh().await?;
        shell.catchup(None).await?;
        Ok(Asked::Nothing)
    }
}

/// Set the hours of the day in which no bell rings.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Quiet {
    /// From when to when by this device's clock (22-07, 22:30-7:15), or `off`.
    #[arg(num_args = 1.., required = true, value_name = "HOURS")]
    hours: Vec<String>,
}

impl RoomCommand for Quiet {
    const ROW: Entry = row(Topic::Mine, "quiet", May::Members, "set hours without a bell")
        .takes("HOURS-HOURS|off", "22-07")
        .enforced("C local")
        .answers()
        .offline();

    async fn resolve(&self, _: &Shell) -> Result<Asked> {
        let quiet = when::parse_quiet(&self.hours.join(" ")).map_err(quiet_failure)?;
        let quiet = quiet.map(|(from, to)| Hours { from, to });
        Ok(Command::Set(Setting::Quiet(quiet)).into())
    }

    fn tell(&self, told: &Told<'_>, asked: &Command, outcome: Outcome) -> Result<()> {
        let Command::Set(Setting::Quiet(quiet)) = asked else { return told.outcome(outcome) };
        let times = quiet.map(|quiet| (when::of_day(quiet.from), when::of_day(quiet.to)));
        let object = json!({
            "done": "quiet",
            "from": times.as_ref().map(|(from, _)| from),
            "to": times.as_ref().map(|(_, to)| to),
        });
        told.say(
            &object,
            &match times {
                Some((from, to)) => format!(
                    "No bell rings from {from} to {to} by this device's clock. Alarms ring all the same."
                ),
                None => "The bell has no quiet hours.".to_owned(),
            },
        )
    }
}

fn quiet_failure(error: WhenError) -> Failure {
    Failure::usage(
        error.to_string(),
        "Nothing was changed. For example: `hearth quiet ROOM 22-07`, or off.",
    )
}

/// Ring the terminal's bell when somebody names you (`@Ben`), answers you, or it is your turn; or never.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Bell {
    /// `on` or `off`.
    #[arg(value_enum, ignore_case = true)]
    bell: Switch,
}

impl RoomCommand for Bell {
    const ROW: Entry = row(Topic::Mine, "bell", May::Members, "ring when somebody calls you")
        .takes("on|off", "off")
        .enforced("C local")
        .answers()
        .offline();

    async fn resolve(&self, _: &Shell) -> Result<Asked> {
        Ok(Command::Set(Setting::Bell(self.bell == Switch::On)).into())
    }

    fn tell(&self, told: &Told<'_>, _: &Command, _: Outcome) -> Result<()> {
        let on = self.bell == Switch::On;
        let text = match on {
            true => {
                "The chat rings when somebody names you with @, answers you, or it is your turn."
            }
            false => "The chat does not ring.",
        };
        told.say(&json!({"done": "bell", "on": on}), text)
    }
}
