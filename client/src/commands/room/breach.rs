//! A breach: something that was said here may have got outside.

use clap::{Args, ValueEnum};
use hearth_session::client::{Command, Outcome};
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

/// What to do about a breach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
enum BreachVerb {
    /// Stop the room, with new keys, and ask everybody to acknowledge the agreement again.
    Open,
    /// Let talk go on among those who have.
    Close,
}

/// Stop the room after something got outside, or let talk go on. Everybody acknowledges the agreement again before that.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Breach {
    /// `open` or `close`; facilitators close.
    #[arg(ignore_case = true)]
    verb: BreachVerb,
    /// Words to the room.
    #[arg(num_args = 1.., required = true, value_name = "WORDS")]
    words: Vec<String>,
    /// Do not ask before somebody waits who has not said yes yet. hearth never asks where standard input is not a terminal.
    #[arg(long)]
    yes: bool,
}

impl RoomCommand for Breach {
    const ROW: Entry =
        row(Topic::Calm, "breach", May::Moderators, "stop the room after something got outside")
            .takes("open|close WORDS", "open Something said here may have got outside")
            .words(1)
            .enforced("E; R")
            .letters("F; CF open")
            .answers();

    fn is_agreed(&self) -> bool {
        self.yes
    }

    async fn resolve(&self, _: &Shell) -> Result<Asked> {
        let words = self.words.join(" ").trim().to_owned();
        if words.is_empty() {
            return Err(Failure::usage(
                "the room gets no words",
                "Say what happened, and when you write to each: `hearth breach ROOM open WORDS`.",
            ));
        }
        Ok(Command::Breach { opens: self.verb == BreachVerb::Open, words }.into())
    }

    fn tell(&self, told: &Told<'_>, _: &Command, outcome: Outcome) -> Result<()> {
        let Outcome::Breach { seq } = outcome else { return told.outcome(outcome) };
        let (done, text) = match self.verb {
            BreachVerb::Open => (
                "breach_open",
                "The room is stopped, with new keys. Everybody is asked to acknowledge the agreement again; `hearth who ROOM` shows who has. Write to each in their check-in: `hearth checkin ROOM NAME WORDS`. Then `hearth breach ROOM close WORDS`.",
            ),
            BreachVerb::Close => ("breach_close", "The room is open again, with new keys."),
        };
        told.say(&json!({"done": done, "seq": seq.0}), &told.out.advice(text))
    }
}
