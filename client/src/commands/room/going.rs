//! Leaving, and going on.

use clap::Args;
use hearth_protocol::Role;
use hearth_session::client::{Command, Outcome};
use hearth_text::count::counted;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    Asked, RoomCommand,
    row::{Entry, May, Topic, row},
};
use crate::{
    commands::{Result, outcome::Told, shell::Shell},
    failure::Failure,
};

topic! { Going: Leave, Withdraw, Recover }

/// Leave the room. The duty about what I heard goes on.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Leave {
    /// Words to the room.
    goodbye: Option<String>,
    /// Do not ask first. hearth never asks where standard input is not a terminal.
    #[arg(long)]
    yes: bool,
}

impl RoomCommand for Leave {
    const ROW: Entry = row(Topic::Going, "leave", May::Members, "leave the room for good")
        .takes("[WORDS]", "Thank you all")
        .words(0)
        .enforced("E; R");

    fn is_agreed(&self) -> bool {
        self.yes
    }

    async fn resolve(&self, _: &Shell) -> Result<Asked> {
        Ok(Command::Depart { withdrawn: false, goodbye: self.goodbye.clone() }.into())
    }

    fn tell(&self, told: &Told<'_>, _: &Command, outcome: Outcome) -> Result<()> {
        departed(told, outcome, "leave")
    }
}

/// Withdraw my acknowledgement and leave. The earlier proof stays valid.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Withdraw {
    /// Words to the room.
    goodbye: Option<String>,
    /// Do not ask first. hearth never asks where standard input is not a terminal.
    #[arg(long)]
    yes: bool,
}

impl RoomCommand for Withdraw {
    const ROW: Entry =
        row(Topic::Going, "withdraw", May::Members, "leave, and take your signature back")
            .takes("[WORDS]", "Thank you all")
            .words(0)
            .enforced("E; R");

    fn is_agreed(&self) -> bool {
        self.yes
    }

    async fn resolve(&self, _: &Shell) -> Result<Asked> {
        Ok(Command::Depart { withdrawn: true, goodbye: self.goodbye.clone() }.into())
    }

    fn tell(&self, told: &Told<'_>, _: &Command, outcome: Outcome) -> Result<()> {
        departed(told, outcome, "withdraw")
    }
}

/// Says that this member has left, and what of theirs went nowhere.
fn departed(told: &Told<'_>, outcome: Outcome, word: &str) -> Result<()> {
    let Outcome::Departed { dropped, unsaid } = outcome else { return told.outcome(outcome) };
    if let Some(error) = unsaid {
        let why = Failure::from(&error).message;
        told.out.remark(&format!("Your words were not sent: {why}."));
    }
    if dropped > 0 {
        let dropped = counted(dropped, "message that waited", "messages that waited");
        told.out.remark(&format!("Your departure dropped {dropped} in your outbox."));
    }
    let text = "You have left. The duty about what you heard goes on; your receipt stays here.";
    told.say(&json!({"done": word}), text)
}

/// Go on after a restored backup or a split of the room; take back a room that went on without you (facilitators).
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Recover {
    /// Do not ask; required without a terminal.
    #[arg(long)]
    yes: bool,
}

impl RoomCommand for Recover {
    const ROW: Entry =
        row(Topic::Going, "recover", May::Members, "go on after a restored backup or a split")
            .offline()
            .outside();

    fn is_agreed(&self) -> bool {
        self.yes
    }

    async fn resolve(&self, _: &Shell) -> Result<Asked> {
        Ok(Command::Recover.into())
    }

    fn tell(&self, told: &Told<'_>, _: &Command, outcome: Outcome) -> Result<()> {
        let Outcome::Recovered { rules_differ } = outcome else { return told.outcome(outcome) };
        let facilitates = told.view.role() == Some(Role::Facilitator);
        let next = match (rules_differ, facilitates) {
            (false, _) => "",
            (true, true) => {
                " The relay does not keep to the room's rules. You put them back: `hearth restore-rules ROOM`."
            }
            (true, false) => {
                " The relay does not keep to the room's rules. A facilitator puts them back: `hearth restore-rules ROOM`."
            }
        };
        let text = format!(
            "You go on. Compare `hearth verify ROOM` with the others by another way.{next}"
        );
        let object = json!({"done": "recover", "rules_differ": rules_differ});
        told.say(&object, &told.out.advice(&text))
    }
}
