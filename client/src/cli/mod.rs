//! The command line: every command with its help, and in the help who may use it and who enforces it.
//!
//! `hearth chat` parses its slash commands with the same table, so that there is one vocabulary.

#![allow(rustdoc::broken_intra_doc_links, reason = "[E], [R] and [C] are words of the help")]

use std::{
    ffi::{OsStr, OsString},
    path::PathBuf,
    sync::LazyLock,
};

use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};

pub use crate::commands::{CHAT_COMMANDS, Entry, InRoom, May, ROOM_COMMANDS, Topic, chat_commands};

use crate::{commands::tui::Options, text::when};

/// How the enforcement classes in the help are meant.
const ENFORCEMENT: &str = "\
In the help of each command:
  F facilitator, CF co-facilitator, M member: who may use it.
  [E] end to end: honest members verify it and refuse, even against a hostile relay.
  [R] relay: the relay refuses; holds against a modified client, not against a hostile relay.
  [C] cooperative: depends on the other person's device.

Exit codes: 0 done, 1 failed, 2 usage, 3 refused by a rule, 4 relay unreachable, 5 verification failed.";

/// How many people can knock with one invite.
pub const INVITE_USES_MAX: i64 = 1000;

/// Flags that take a length of time: their value is called TIME.
static TIME_FLAGS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let (mut commands, mut flags) = (vec![Cli::command()], Vec::new());
    while let Some(command) = commands.pop() {
        let timed = command.get_arguments().filter(|argument| {
            argument.get_value_names().is_some_and(|names| names.iter().any(|name| name == "TIME"))
        });
        flags.extend(timed.filter_map(|flag| Some(format!("--{}", flag.get_long()?))));
        commands.extend(command.get_subcommands().cloned());
    }
    flags
});

/// Words of a length of time: "1 week 2 days and 3 hours 4 minutes".
const TIME_WORDS_MAX: usize = 9;

/// Joins the words of a length of time behind its flag, so that `--expires 2 days` needs no quotes.
pub fn with_joined_times<W>(words: impl IntoIterator<Item = W>) -> Vec<OsString>
where
    OsString: From<W>,
{
    let words: Vec<OsString> = words.into_iter().map(OsString::from).collect();
    let mut joined = Vec::with_capacity(words.len());
    let mut rest = words.as_slice();
    while let [word, after @ ..] = rest {
        rest = after;
        let (flag, begun) = match word.to_str().and_then(|word| word.split_once('=')) {
            Some((flag, begun)) => (OsStr::new(flag), Some(begun)),
            None => (word.as_os_str(), None),
        };
        let count_max = match TIME_FLAGS.iter().any(|known| flag == known.as_str()) {
            true => rest.len().min(TIME_WORDS_MAX),
            false => 0,
        };
        let time = (1..=count_max).rev().find_map(|count| {
            let words: Option<Vec<&str>> = rest[..count].iter().map(|word| word.to_str()).collect();
            let time = begun.into_iter().chain(words?).collect::<Vec<_>>().join(" ");
            when::parse_duration(&time).is_ok().then_some((count, time))
        });
        match (time, begun) {
            (Some((count, time)), None) => {
                joined.extend([word.clone(), time.into()]);
                rest = &rest[count..];
            }
            (Some((count, time)), Some(_)) => {
                joined.extend([flag.to_owned(), time.into()]);
                rest = &rest[count..];
            }
            (None, _) => joined.push(word.clone()),
        }
        if word == "--" {
            break;
        }
    }
    joined.extend_from_slice(rest);
    joined
}

/// Encrypted peer-support rooms.
#[derive(Debug, Parser)]
#[command(name = "hearth", version, about, after_help = ENFORCEMENT, max_term_width = 100)]
pub struct Cli {
    /// Folder of the profile.
    #[arg(long, global = true, env = "HEARTH_HOME", value_name = "DIR")]
    pub home: Option<PathBuf>,
    /// Print one JSON object a line.
    #[arg(long, global = true)]
    pub json: bool,
    /// Read the profile's passphrase from the first line of a file.
    #[arg(long, global = true, env = "HEARTH_PASSPHRASE_FILE", value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
    /// Unlock the profile with this key file instead of a passphrase.
    #[arg(
        long,
        global = true,
        env = "HEARTH_KEY_FILE",
        value_name = "FILE",
        conflicts_with = "passphrase_file"
    )]
    pub key_file: Option<PathBuf>,
    /// The flags that say which profile it is, as they were typed.
    #[arg(skip)]
    pub of_profile: String,
    /// Whether no command was typed.
    #[arg(skip)]
    pub alone: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Everything `hearth` does.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Create, list or name rooms.
    #[command(subcommand)]
    Room(RoomCommand),
    /// Read an invite, acknowledge its agreement, and ask to be admitted. M [E; R]
    Join(Join),
    /// Give an unused invite back, so that nobody can use it. [R]
    BurnInvite {
        /// The invite; asked for unseen if absent, from standard input if `-`.
        link: Option<String>,
    },
    /// Show, amend or acknowledge a room's agreement.
    #[command(subcommand)]
    Agreement(AgreementCommand),
    /// Print my proof of what I acknowledged, or verify somebody's (offline). M [E]
    Receipt {
        /// The room, or the word `verify`.
        room: String,
        /// With `verify`: the receipt's file.
        file: Option<PathBuf>,
    },
    /// Talk in a room, line by line; every room command works with a leading slash.
    Chat {
        /// The room.
        room: String,
        /// End after this time without typing, because an unwatched screen shows the room to others.
        #[arg(long, default_value = "30m", value_name = "TIME")]
        lock_after: String,
        /// Show the room on a screen of its own that is cleared at the end: for a computer that others use.
        #[arg(long)]
        alternate_screen: bool,
    },
    /// Show your rooms on a full screen: talk, check-ins, turns, and all you can do. `hearth` alone does the same.
    Tui(Options),
    /// Show your rooms as a page in the browser of this computer: the full interface for screen readers, zoom and touch.
    #[cfg(feature = "web")]
    Web(crate::commands::web::Options),
    /// Admit everyone who has acknowledged, unattended, until stopped. F, CF, stewards [E; R]
    Steward {
        /// The room.
        room: String,
        /// Admit only this name (may be given more than once); everyone with a good invite if absent.
        #[arg(long, value_name = "NAME")]
        only: Vec<String>,
        /// Stop after this number of admissions.
        #[arg(long, value_name = "N")]
        count: Option<u32>,
    },
    /// Do commands from standard input and print events, for programs: one JSON object a line, see docs/lines.md.
    Lines,
    /// Show or change the profile itself.
    #[command(subcommand)]
    Profile(ProfileCommand),
    /// Say whether this device is as a member needs it: folder, disk, records, relay, clock. Exit code 0, 1 for warnings, 2 for failures.
    Doctor,
    /// Print completions for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Write manual pages into a folder.
    Man {
        /// The folder.
        dir: PathBuf,
    },
    /// A command in a room.
    #[command(flatten)]
    In(InRoom),
}

/// `hearth room ...`
#[derive(Debug, Subcommand)]
pub enum RoomCommand {
    /// Open a room with a grant from the relay's operator. Prints the room's local name.
    Create {
        /// The room's title, which invitees read.
        title: String,
        /// The grant link; asked for unseen without a value, from standard input if `-`.
        #[arg(long, value_name = "LINK", num_args = 0..=1)]
        grant: Option<Option<String>>,
        /// The agreement's text.
        #[arg(long, value_name = "FILE")]
        agreement: PathBuf,
        /// My name in the room.
        #[arg(long = "as", value_name = "NAME")]
        name: String,
        /// The language of the agreement.
        #[arg(long, default_value = "en", value_name = "TAG")]
        language: String,
        /// Cipher suite: post-quantum hybrid, or classical for rooms above 100.
        #[arg(long, default_value = "xwing")]
        suite: SuiteArg,
        /// A room without check-ins, for more than 100 members or 8 who moderate. It cannot be changed later.
        #[arg(long)]
        no_lanes: bool,
    },
    /// List the rooms of this profile.
    List,
    /// Change a room's local name, which commands take.
    Rename {
        /// The room.
        room: String,
        /// The new local name.
        name: String,
    },
    /// Erase a room from this device. You stay a member. [C]
    Wipe {
        /// The room.
        room: String,
        /// Do not ask; required without a terminal.
        #[arg(long)]
        yes: bool,
    },
}

/// Cipher suites by the words people type.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum SuiteArg {
    /// X-Wing (X25519 + ML-KEM-768).
    Xwing,
    /// X25519.
    X25519,
}

/// `hearth join`
#[derive(Debug, Default, Args)]
pub struct Join {
    /// The invite; asked for unseen if absent, from standard input if `-`.
    pub link: Option<String>,
    /// My name in the room.
    #[arg(long = "as", value_name = "NAME")]
    pub name: Option<String>,
    /// The id of the agreement that I have read and accept; asked for if absent.
    #[arg(long, value_name = "AGREEMENT_ID")]
    pub acknowledge: Option<String>,
    /// My answer to a question of the agreement, by its number; once for each, in their order. Asked for if absent.
    #[arg(long = "answer", value_name = "NUMBER")]
    pub answers: Vec<String>,
    /// Return after knocking; a later command joins.
    #[arg(long)]
    pub no_wait: bool,
}

/// `hearth agreement ...`
#[derive(Debug, Subcommand)]
pub enum AgreementCommand {
    /// Print an agreement's id and text.
    Show {
        /// A room, or an invite: asked for unseen if absent, from standard input if `-`.
        target: Option<String>,
    },
    /// Print what changed since the version I acknowledged.
    Diff {
        /// The room.
        room: String,
    },
    /// Issue a new version. Material: this signs it for me, and those who do not acknowledge it are out of the next epoch until they do. F [E; R]
    Amend {
        /// The room.
        room: String,
        /// The new text.
        file: PathBuf,
        /// The meaning changes: everyone acknowledges again.
        #[arg(long, conflicts_with = "editorial")]
        material: bool,
        /// The wording alone changes; nobody is kept out.
        #[arg(long)]
        editorial: bool,
        /// With `--material`: how long people have to acknowledge before it takes effect (3d); at once if absent.
        #[arg(long, value_name = "TIME")]
        effective: Option<String>,
    },
    /// Acknowledge the current or coming version. M [E; R]
    Acknowledge {
        /// The room.
        room: String,
        /// The id of the agreement that I have read and accept; asked for if absent.
        #[arg(long, value_name = "AGREEMENT_ID")]
        acknowledge: Option<String>,
        /// My answer to a question of the agreement, by its number; once for each, in their order. Asked for if absent.
        #[arg(long = "answer", value_name = "NUMBER")]
        answers: Vec<String>,
        /// Return after knocking, if I have to come back in.
        #[arg(long)]
        no_wait: bool,
    },
    /// Acknowledge the version that I have acknowledged again, for another year. M [E]
    Renew {
        /// The room.
        room: String,
        /// The id of the agreement that I have read and accept; asked for if absent.
        #[arg(long, value_name = "AGREEMENT_ID")]
        acknowledge: Option<String>,
        /// My answer to a question of the agreement, by its number; once for each, in their order. Asked for if absent.
        #[arg(long = "answer", value_name = "NUMBER")]
        answers: Vec<String>,
    },
    /// Put a pending version into effect whose time has come; any command of a facilitator who acknowledged it does. F [E; R]
    Enact {
        /// The room.
        room: String,
    },
    /// Withdraw a pending version before it takes effect. F [E; R]
    Withdraw {
        /// The room.
        room: String,
    },
    /// Print a template to start from.
    Template {
        /// Begin with the crisis contacts known for a country: two letters, such as GB. Nobody has checked them.
        #[arg(long, value_name = "COUNTRY")]
        country: Option<String>,
    },
    /// Say what is missing in an agreement's text, and show its crisis contacts as members will see them.
    Check {
        /// The text.
        file: PathBuf,
    },
}

/// `hearth profile ...`
#[derive(Debug, Subcommand)]
pub enum ProfileCommand {
    /// Print the profile's folder and its lock.
    Show,
    /// Change the passphrase, or the key file.
    Passphrase {
        /// Read the new passphrase from the first line of a file.
        #[arg(long, value_name = "FILE")]
        new_passphrase_file: Option<PathBuf>,
    },
    /// Check every record of the local store.
    Check,
    /// Erase the profile from this device. [C]
    Wipe {
        /// Do not ask; required without a terminal.
        #[arg(long)]
        yes: bool,
    },
}

impl Command {
    /// Returns the room that the command names.
    pub fn room(&self) -> Option<&str> {
        match self {
            Self::In(command) => Some(command.room()),
            Self::Chat { room, .. } | Self::Steward { room, .. } => Some(room),
            Self::Receipt { room, file: None } => Some(room),
            Self::Room(RoomCommand::Rename { room, .. } | RoomCommand::Wipe { room, .. }) => {
                Some(room)
            }
            Self::Agreement(command) => command.room(),
            _ => None,
        }
    }
}

impl AgreementCommand {
    fn room(&self) -> Option<&str> {
        match self {
            Self::Diff { room }
            | Self::Amend { room, .. }
            | Self::Acknowledge { room, .. }
            | Self::Renew { room, .. }
            | Self::Enact { room }
            | Self::Withdraw { room } => Some(room),
            Self::Show { target } => target.as_deref(),
            Self::Template { .. } | Self::Check { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_behind_flag_needs_no_quotes() {
        for (line, expected) in [
            ("invite room --expires 2 days", "invite|room|--expires|2 days"),
            ("invite --expires 2 days room", "invite|--expires|2 days|room"),
            ("invite room --expires=2 days --uses 3", "invite|room|--expires|2 days|--uses|3"),
            ("invite --expires=2d room", "invite|--expires=2d|room"),
            ("invite --expires 2d room", "invite|--expires|2d|room"),
            (
                "invite room --expires 1 hour and 30 minutes --uses 2",
                "invite|room|--expires|1 hour and 30 minutes|--uses|2",
            ),
            ("invite room --expires 2 Stunden", "invite|room|--expires|2|Stunden"),
            (
                "agreement amend room file --material --effective 3 days",
                "agreement|amend|room|file|--material|--effective|3 days",
            ),
            ("chat room --lock-after half an hour", "chat|room|--lock-after|half an hour"),
            ("send -- --expires 2 days", "send|--|--expires|2|days"),
            ("invite room --expires", "invite|room|--expires"),
        ] {
            let joined = with_joined_times(line.split(' '));
            let joined: Vec<&str> = joined.iter().map(|word| word.to_str().unwrap()).collect();
            assert_eq!(joined.join("|"), expected);
        }
    }
}
