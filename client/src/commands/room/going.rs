//! Leaving, and going on.

use clap::Args;
use hearth_session::client::Command;
use serde::{Deserialize, Serialize};

use super::{
    Asked, RoomCommand,
    row::{Entry, May, Topic, row},
};
use crate::commands::{Result, shell::Shell};

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
}
