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
    #[arg(long)]
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
    /// Whose call it is, or the first characters of its id; the only call if absent. Then words to the one who called.
    #[arg(num_args = 0.., value_name = "NAME WORDS")]
    args: Vec<String>,
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
    .takes("seen|take|resolve [NAME] [WORDS]", "seen Dee")
    .enforced("E")
    .words(2)
    .answers()
    .offline();

    async fn resolve(&self, shell: &Shell) -> Result<Asked> {
        shell.refresh().await?;
        let open = &shell.view().help.open;
        let (call, words) = meant(open, &self.args)?;
        let (call, words) = (call.id, words.join(" "));
        let state = match self.what {
            What::Seen => SeenState::Seen,
            What::Take => SeenState::Closed,
            What::Resolve => SeenState::Resolved,
        };
        if matches!(self.what, What::Resolve) && words.trim().is_empty() {
            return Err(Failure::usage(
                "closing a call for help needs words: they are the last that its author reads of it",
                "For example: `hearth flag ROOM resolve Dee \"Your sister is with you. I call at nine.\"`",
            ));
        }
        Ok(Command::Help(HelpCommand::Answer { call, state, words }).into())
    }

    fn tell(&self, told: &Told<'_>, _: &Command, outcome: Outcome) -> Result<()> {
        told.answered(outcome)
    }
}

/// Finds the call that is meant, by its author's name or its id, and the words behind it. Without either it is the only one.
fn meant<'a, 'b>(open: &'a [OpenCall], args: &'b [String]) -> Result<(&'a OpenCall, &'b [String])> {
    let first = args.first().map(|first| first.trim_start_matches(['#', '@']).to_lowercase());
    let names = |call: &OpenCall, first: &str| {
        let id = first.len() >= 3
            && (call.id.to_hex().starts_with(first) || call.id.short().starts_with(first));
        id || call.name.to_lowercase() == first
    };
    let named: Vec<&OpenCall> =
        first.iter().flat_map(|first| open.iter().filter(|call| names(call, first))).collect();
    match (&named[..], open) {
        ([one], _) => Ok((one, args.get(1..).unwrap_or_default())),
        // What looks like an id is not sent to anybody as words.
        ([], _) if first.as_deref().is_some_and(looks_like_id) => {
            Err(AskError::NoSuchCall(first.unwrap_or_default()).into())
        }
        ([], [one]) => Ok((one, args)),
        ([], []) => Err(AskError::NoSuchCall(first.unwrap_or_default()).into()),
        _ => Err(Failure::usage(
            format!("{} calls for help are open", open.len()),
            "`hearth flags ROOM` lists them with their ids.",
        )),
    }
}

/// Whether a word is one of letters and digits, as ids are and words are not.
fn looks_like_id(word: &str) -> bool {
    let all = |fits: fn(char) -> bool| word.chars().all(fits);
    word.len() >= 3
        && all(|c| c.is_ascii_alphanumeric())
        && word.contains(|c: char| c.is_ascii_digit())
}
