//! Talking: what is said to the room, and taken back.

use std::io::Read as _;

use clap::Args;
use hearth_engine::{
    EngineError,
    content::TEXT_BYTES_MAX,
    policy::{Act, RuleError},
};
use hearth_session::client::{Command, Outcome};
use hearth_text::{count::counted, escape};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    Asked, CategoryArg, RoomCommand,
    row::{Entry, May, Topic, row},
};
use crate::{
    commands::{
        Context, Result,
        outcome::{self, Told},
        shell::Shell,
    },
    failure::Failure,
};

/// Stands for every message of the outbox that waits for its author.
const ALL: &str = "all";

topic! { Talking: Send, Announce, Retract, Outbox }

/// Say something.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Send {
    /// The words; from standard input if `-`.
    text: String,
}

impl Send {
    pub(super) fn new(text: &str) -> Self {
        Self { text: text.to_owned() }
    }

    pub(super) fn words(&self) -> &str {
        &self.text
    }
}

impl RoomCommand for Send {
    const ROW: Entry = row(Topic::Talking, "send", May::Members, "say something")
        .takes("WORDS", "Hello, everybody")
        .enforced("E; R")
        .offline();

    fn complete(&mut self, _: &str, _: &Context) -> Result<()> {
        self.text = read_words(&self.text)?;
        Ok(())
    }

    async fn resolve(&self, _: &Shell) -> Result<Asked> {
        Ok(Command::Say { text: self.text.clone() }.into())
    }

    fn tell(&self, told: &Told<'_>, _: &Command, outcome: Outcome) -> Result<()> {
        let Outcome::Sent { id, place } = outcome else { return told.outcome(outcome) };
        let object =
            json!({"room": *told.view.room, "id": id.to_hex(), "seq": place.0, "sent": true});
        told.say(&object, &format!("sent [{}]", id.short()))
    }
}

/// Takes the words of the command line, or of standard input if they are `-`.
fn read_words(text: &str) -> Result<String> {
    if text != "-" {
        return Ok(escape::sanitize_input(text)?);
    }
    let mut bytes = Vec::new();
    std::io::stdin().take(TEXT_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    let text = String::from_utf8(bytes)
        .map_err(|_| Failure::usage("standard input is not UTF-8 text", "Nothing was sent."))?;
    Ok(escape::sanitize_input(text.trim_end_matches('\n'))?)
}

/// Say something marked as from the facilitators.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Announce {
    /// The words.
    text: String,
}

impl RoomCommand for Announce {
    const ROW: Entry =
        row(Topic::Talking, "announce", May::Moderators, "say something as from the facilitators")
            .takes("WORDS", "We meet at six")
            .enforced("E");

    async fn resolve(&self, _: &Shell) -> Result<Asked> {
        Ok(Command::Act(Act::Announce(self.text.clone())).into())
    }
}

/// Leave a mark in a message's place; the relay deletes the ciphertext.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Retract {
    /// The message's id, or its number.
    #[arg(required_unless_present = "all_from")]
    id: Option<String>,
    /// Category for the log, where it is another's message.
    #[arg(long, value_name = "CATEGORY", default_value = "unspecified", ignore_case = true)]
    reason: CategoryArg,
    /// Retract every message of a member.
    #[arg(long, value_name = "MEMBER", conflicts_with = "id")]
    all_from: Option<String>,
    /// Do not ask before `--all-from`. hearth never asks where standard input is not a terminal.
    #[arg(long)]
    yes: bool,
}

impl RoomCommand for Retract {
    const ROW: Entry = row(
        Topic::Talking,
        "retract",
        May::Members,
        "take a message back; facilitators: anybody's",
    )
    .takes("ID | --all-from NAME [--reason CATEGORY]", "ab12 --reason conduct")
    .enforced("R; C devices")
    .letters("Own: M, any: F, CF");

    fn is_agreed(&self) -> bool {
        self.yes
    }

    async fn resolve(&self, shell: &Shell) -> Result<Asked> {
        let category = self.reason.into();
        Ok(match (&self.id, &self.all_from) {
            (Some(id), _) => Command::Retract { place: shell.to_retract(id).await?, category },
            (None, Some(member)) => {
                Command::RetractAll { member: shell.sender(member).await?, category }
            }
            (None, None) => return Err(EngineError::Rule(RuleError::Nothing).into()),
        }
        .into())
    }

    fn tell(&self, told: &Told<'_>, _: &Command, outcome: Outcome) -> Result<()> {
        let Outcome::Retracted(count) = outcome else { return told.outcome(outcome) };
        let object = json!({"done": "retract", "count": count});
        let messages = counted(count, "message", "messages");
        let text = format!("You retracted {messages}; a mark stays. Copies on devices may remain.");
        told.say(&object, &text)
    }
}

/// List the messages that wait in my outbox, or drop or send one.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Outbox {
    /// Drop the waiting message of this id; `all`: every message that stays there.
    #[arg(long, value_name = "ID")]
    drop: Option<String>,
    /// Send the message of this id that stays there; `all`: every such message, in order.
    #[arg(long, value_name = "ID", conflicts_with = "drop")]
    send: Option<String>,
    /// Do not ask before `--send` of a message that may have been posted already; required without a terminal.
    #[arg(long, requires = "send")]
    yes: bool,
}

impl RoomCommand for Outbox {
    const ROW: Entry =
        row(Topic::Talking, "outbox", May::Members, "list messages that wait to be sent")
            .takes("[--drop ID | --send ID]", "--drop ab12")
            .answers()
            .offline();

    fn is_agreed(&self) -> bool {
        self.yes
    }

    async fn resolve(&self, shell: &Shell) -> Result<Asked> {
        Ok(match (self.drop.as_deref(), self.send.as_deref()) {
            (Some(ALL), _) => Asked::EachHeld(Command::DropWaiting),
            (Some(wanted), _) => Command::DropWaiting(shell.waiting(wanted)?).into(),
            (None, Some(ALL)) => Asked::EachHeld(Command::SendHeld),
            (None, Some(wanted)) => Command::SendHeld(shell.waiting(wanted)?).into(),
            (None, None) => {
                outcome::outbox(&shell.out, &shell.view())?;
                Asked::Nothing
            }
        })
    }

    fn tell(&self, told: &Told<'_>, asked: &Command, outcome: Outcome) -> Result<()> {
        match (outcome, asked) {
            (Outcome::Dropped(dropped), Command::DropWaiting(id)) => {
                let text = format!("Dropped the message {}; nobody gets it.", id.short());
                told.say(&json!({"dropped": dropped, "id": id.to_hex()}), &text)
            }
            (Outcome::Released(id), _) => {
                told.say(&json!({"released": true, "id": id.to_hex()}), "It goes out now.")
            }
            (outcome, _) => told.outcome(outcome),
        }
    }
}
