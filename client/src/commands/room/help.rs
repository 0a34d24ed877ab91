//! Help now: the numbers first, then the facilitators, if the person says so; and what facilitators do about a call.

use clap::Args;
use hearth_engine::{help::OpenCall, private::SeenState};
use hearth_session::client::{AskError, Command, HelpCommand, Outcome};
use serde::{Deserialize, Serialize};

use super::{
    Asked, RoomCommand,
    row::{Entry, May, Topic, row},
};
use crate::{
    commands::{Result, contacts, outcome::Told, shell::Shell},
    failure::Failure,
};

topic! { Danger: HelpNow, Flags, Flag }

/// Show the crisis contacts: nothing is sent, and nobody learns of it. Works without network and passphrase.
///
/// Enter, or `--tell`, tells the facilitators.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct HelpNow {
    /// Tell the facilitators, too, with words if you like.
    #[arg(long, num_args = 0.., value_name = "WORDS")]
    tell: Option<Vec<String>>,
    /// Show the numbers of another country, and remember it.
    #[arg(long, value_name = "COUNTRY")]
    country: Option<String>,
    /// Show the numbers of every country and room.
    #[arg(long)]
    all: bool,
    /// With `--tell`: stay, and say when somebody has seen it.
    #[arg(long, requires = "tell")]
    wait: bool,
}

impl HelpNow {
    /// Returns what tells the facilitators.
    pub(in crate::commands) fn telling(words: &str) -> Self {
        let tell = Some(vec![words.to_owned()]);
        Self { tell, country: None, all: false, wait: false }
    }

    pub(in crate::commands) fn words(&self) -> Option<String> {
        self.tell.as_ref().map(|words| words.join(" ").trim().to_owned())
    }

    pub(in crate::commands) fn country(&self) -> Option<&str> {
        self.country.as_deref()
    }

    pub(in crate::commands) const fn shows_all(&self) -> bool {
        self.all
    }

    pub(in crate::commands) const fn waits(&self) -> bool {
        self.wait
    }
}

impl RoomCommand for HelpNow {
    const ROW: Entry = row(
        Topic::Danger,
        "help-now",
        May::Members,
        "numbers to call now; Enter tells the facilitators",
    )
    .takes("[--tell [WORDS]]", "--tell I am not safe tonight")
    .enforced("E")
    .answers()
    .offline();

    async fn resolve(&self, shell: &Shell) -> Result<Asked> {
        if let Some(words) = self.words() {
            return Ok(Command::Help(HelpCommand::Call { words }).into());
        }
        contacts::show_of_room(shell)?;
        Ok(Asked::Nothing)
    }

    fn tell(&self, told: &Told<'_>, _: &Command, outcome: Outcome) -> Result<()> {
        told.called(outcome)
    }
}

/// List the calls for help that are not over.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Flags {}

impl RoomCommand for Flags {
    const ROW: Entry =
        row(Topic::Danger, "flags", May::Moderators, "list the calls for help that are not over")
            .enforced("E")
            .looks();

    async fn resolve(&self, shell: &Shell) -> Result<Asked> {
        shell.refresh().await?;
        shell.list_calls()?;
        Ok(Asked::Nothing)
    }
}

/// Say that you have seen a call for help, that you go on with it, or that it was talked through.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Flag {
    /// `seen`: you have read it. `take`: you go on with it in place of another. `resolve`: it was talked through, with words.
    #[arg(value_enum)]
    what: What,
    /// The first characters of its id; the only call if absent.
    id: Option<String>,
    /// Words to the one who called.
    #[arg(num_args = 0..)]
    words: Vec<String>,
}

/// What a facilitator says of a call.
#[derive(Clone, Copy, Debug, clap::ValueEnum, Serialize, Deserialize)]
enum What {
    Seen,
    Take,
    Resolve,
}

impl RoomCommand for Flag {
    const ROW: Entry = row(
        Topic::Danger,
        "flag",
        May::Moderators,
        "say that you have seen a call for help, or close it",
    )
    .takes("seen|take|resolve [ID] [WORDS]", "seen 3f2a")
    .enforced("E")
    .words(2)
    .answers()
    .offline();

    async fn resolve(&self, shell: &Shell) -> Result<Asked> {
        shell.refresh().await?;
        let words = self.words.join(" ");
        let state = match self.what {
            What::Seen => SeenState::Seen,
            What::Take => SeenState::Closed,
            What::Resolve => SeenState::Resolved,
        };
        if matches!(self.what, What::Resolve) && words.trim().is_empty() {
            return Err(Failure::usage(
                "closing a call for help needs words: they are the last that its author reads of it",
                "For example: `hearth flag ROOM resolve ID \"Your sister is with you. I call at nine.\"`",
            ));
        }
        let open = &shell.view().help.open;
        let call = one(open, self.id.as_deref())?.id;
        Ok(Command::Help(HelpCommand::Answer { call, state, words }).into())
    }

    fn tell(&self, told: &Told<'_>, _: &Command, outcome: Outcome) -> Result<()> {
        told.answered(outcome)
    }
}

/// Finds the call that is meant.
fn one<'a>(open: &'a [OpenCall], wanted: Option<&str>) -> Result<&'a OpenCall> {
    let wanted = wanted.unwrap_or_default().trim_start_matches('#').to_ascii_lowercase();
    let fits = |call: &&OpenCall| {
        call.id.to_hex().starts_with(&wanted) || call.id.short().starts_with(&wanted)
    };
    let found: Vec<&OpenCall> = open.iter().filter(fits).collect();
    match found[..] {
        [one] => Ok(one),
        [] => Err(AskError::NoSuchCall(wanted).into()),
        _ => Err(Failure::usage(
            format!("{} calls for help are open", found.len()),
            "`hearth flags ROOM` lists them with their ids.",
        )),
    }
}
