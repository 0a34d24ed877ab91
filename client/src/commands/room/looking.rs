//! Looking: what is in the room and in force, as this device has it.

use std::path::PathBuf;

use clap::Args;
use hearth_session::client::{Command, Outcome};
use hearth_text::escape;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    Asked, RoomCommand,
    row::{Entry, May, Topic, row},
};
use crate::{
    advice::shell_word,
    commands::{
        Context, Result,
        outcome::{self, Told},
        shell::{Shell, unexpected},
    },
    failure::Failure,
};

topic! { Looking: Read, Who, Status, Log, Verify, Mute, Unmute, Follow }

/// Print messages that are new to this profile.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Read {
    /// Print the whole history.
    #[arg(long)]
    all: bool,
    /// Also print posts that were held back during a pause.
    #[arg(long)]
    held: bool,
}

impl RoomCommand for Read {
    const ROW: Entry = row(Topic::Looking, "read", May::Members, "read what is new, or everything")
        .takes("[--all] [--held]", "--all")
        .looks();

    async fn resolve(&self, shell: &Shell) -> Result<Asked> {
        shell.read(self.all, self.held).await?;
        Ok(Asked::Nothing)
    }
}

/// List the members and verify every acknowledgement.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Who {}

impl RoomCommand for Who {
    const ROW: Entry =
        row(Topic::Looking, "who", May::Members, "list the members").enforced("E").looks();

    async fn resolve(&self, shell: &Shell) -> Result<Asked> {
        shell.refresh().await?;
        outcome::who(&shell.out, &shell.view())?;
        Ok(Asked::Nothing)
    }
}

/// Print the room's state: rules in force, knocks, waiting messages.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Status {}

impl RoomCommand for Status {
    const ROW: Entry =
        row(Topic::Looking, "status", May::Members, "show the rules in force").looks();

    async fn resolve(&self, shell: &Shell) -> Result<Asked> {
        shell.status().await?;
        Ok(Asked::Nothing)
    }
}

/// Print the log of moderation and verify its hash chain.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Log {
    /// Write it to a file.
    #[arg(long, value_name = "FILE")]
    export: Option<PathBuf>,
}

impl RoomCommand for Log {
    const ROW: Entry = row(Topic::Looking, "log", May::Members, "list what facilitators did")
        .takes("[--export FILE]", "--export log.txt")
        .enforced("E")
        .looks();

    fn complete(&mut self, _: &str, _: &Context) -> Result<()> {
        if let Some(file) = &mut self.export {
            *file = std::path::absolute(&file)?;
        }
        Ok(())
    }

    async fn resolve(&self, shell: &Shell) -> Result<Asked> {
        shell.refresh().await?;
        let Outcome::Log { records, broken } = shell.ask(Command::Log).await? else {
            return Err(unexpected());
        };
        let names = shell.client.names(&shell.room).await?;
        outcome::log(&shell.out, &records, broken, &names, self.export.as_deref())?;
        Ok(Asked::Nothing)
    }
}

/// Print digits to compare by voice: with a member, or for the whole room.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Verify {
    /// Name or id; the room's digits if absent.
    member: Option<String>,
}

impl RoomCommand for Verify {
    const ROW: Entry =
        row(Topic::Looking, "verify", May::Members, "show digits to compare by voice")
            .takes("[NAME]", "Ben")
            .enforced("E")
            .looks();

    async fn resolve(&self, shell: &Shell) -> Result<Asked> {
        shell.verify(self.member.as_deref()).await?;
        Ok(Asked::Nothing)
    }
}

/// Do not show a member's messages on this device; nobody is told.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Mute {
    /// Name or id.
    member: String,
}

impl RoomCommand for Mute {
    const ROW: Entry = row(Topic::Looking, "mute", May::Members, "hide a member's words here")
        .takes("NAME", "Ben")
        .enforced("C local")
        .answers()
        .offline();

    async fn resolve(&self, shell: &Shell) -> Result<Asked> {
        let member = shell.member(&self.member).await?.member;
        if member == shell.view().me {
            return Err(Failure::usage(
                "that is you: your own words would vanish from your screen",
                "Nothing was done. `hearth mute ROOM NAME` hides somebody else's words here.",
            ));
        }
        Ok(Command::Mute { member, muted: true }.into())
    }

    fn tell(&self, told: &Told<'_>, asked: &Command, outcome: Outcome) -> Result<()> {
        hidden(told, asked, outcome, true)
    }
}

/// Show a member's messages on this device again.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Unmute {
    /// Name or id.
    member: String,
}

impl RoomCommand for Unmute {
    const ROW: Entry = row(Topic::Looking, "unmute", May::Members, "show a member's words again")
        .takes("NAME", "Ben")
        .enforced("C local")
        .answers()
        .offline();

    async fn resolve(&self, shell: &Shell) -> Result<Asked> {
        let member = shell.member(&self.member).await?.member;
        Ok(Command::Mute { member, muted: false }.into())
    }

    fn tell(&self, told: &Told<'_>, asked: &Command, outcome: Outcome) -> Result<()> {
        hidden(told, asked, outcome, false)
    }
}

/// Print new messages as they come, until end of input or a signal.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Follow {
    /// Facilitators: run this command, by `sh -c`, once for each call for help that nobody has seen. It gets no name and no words.
    #[arg(long, value_name = "COMMAND")]
    on_flag: Option<String>,
}

impl Follow {
    pub(super) fn on_flag(&self) -> Option<&str> {
        self.on_flag.as_deref()
    }
}

impl RoomCommand for Follow {
    const ROW: Entry =
        row(Topic::Looking, "follow", May::Members, "print what is new and what comes")
            .takes("[--on-flag COMMAND]", "--on-flag ./page-the-ward")
            .outside();

    async fn resolve(&self, _: &Shell) -> Result<Asked> {
        // A shell of its own prints what comes; see `follow`.
        Ok(Command::Refresh.into())
    }
}

/// Says whose messages this device hides, or shows again.
fn hidden(told: &Told<'_>, asked: &Command, outcome: Outcome, muted: bool) -> Result<()> {
    let Command::Mute { member, .. } = asked else { return told.outcome(outcome) };
    let name = told.before.roster.iter().find(|leaf| leaf.member == *member);
    let name = name.map(|leaf| leaf.name.clone()).unwrap_or_default();
    let object = json!({"done": if muted { "mute" } else { "unmute" }, "member": name});
    let name = escape::one_line(&name);
    let text = match muted {
        true => told.out.advice(&format!(
            "This device hides {name}'s messages; nobody is told. You may miss a call for help. `hearth show ROOM --from {}` reads what {name} said.",
            shell_word(&name)
        )),
        false => format!("This device shows {name}'s messages again."),
    };
    told.say(&object, &text)
}
