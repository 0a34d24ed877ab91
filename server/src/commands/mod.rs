//! What an operator runs before the relay and beside it.

mod account;
pub(crate) mod backup;
mod doctor;
mod figures;
pub(crate) mod grants;
mod init;
mod manifest;
mod restore;
mod rooms;
mod shell;

use std::{
    io::{BufRead as _, IsTerminal as _, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, Subcommand};

use crate::{
    Clock, Config, DataDirError, StartError,
    cli::{parse_duration, print},
    data_dir, store,
};

pub(crate) use account::SETTINGS;

/// A command besides serving.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Writes the settings of a new relay
    Init(init::Init),
    /// Says whether everything is as a relay needs it; exit code 0, 1 for warnings, 2 for failures
    Doctor {
        /// One JSON object instead of lines
        #[arg(long)]
        json: bool,
    },
    /// Prints a link with which somebody may open rooms
    #[command(args_conflicts_with_subcommands = true)]
    Grant {
        #[command(subcommand)]
        command: Option<GrantCommand>,
        #[command(flatten)]
        new: NewGrant,
    },
    /// Lists the rooms by number: members, size, ages; the relay knows no names
    Rooms {
        /// A JSON object for each room
        #[arg(long)]
        json: bool,
    },
    /// Deletes a room
    #[command(subcommand)]
    Room(RoomCommand),
    /// Copies the store and the key, also of a running relay, into a directory
    Backup {
        /// Where to; a directory that is new or empty, or with --keep the directory of all backups
        into: PathBuf,
        /// Makes a backup below the directory, and deletes its older ones but the last N
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
        keep: Option<u32>,
        /// Leaves key.pem out, because it is kept elsewhere
        #[arg(long)]
        without_key: bool,
    },
    /// Puts a backup in place of the store of a stopped relay
    Restore {
        /// A backup, or the directory of all backups: then the newest
        from: PathBuf,
        /// Does not ask
        #[arg(long)]
        yes: bool,
    },
    /// Prints completions for a shell
    #[command(hide = true)]
    Completions {
        /// bash, zsh or fish
        shell: shell::Shell,
    },
    /// Writes the manual pages into a directory
    #[command(hide = true)]
    Man {
        /// The directory
        dir: PathBuf,
    },
}

/// What happens to grants that were made.
#[derive(Debug, Subcommand)]
pub(crate) enum GrantCommand {
    /// Lists the grants that can still open a room
    List,
    /// Voids a grant; rooms that it opened stay
    Revoke {
        /// Its name in the list, or the link itself on standard input for -
        name: String,
    },
}

/// The terms of a new grant.
#[derive(Debug, Args)]
pub(crate) struct NewGrant {
    /// What the link names, where it is not what the relay wrote down
    #[arg(long, value_name = "wss://HOST:PORT")]
    url: Option<String>,
    /// Rooms that it opens
    #[arg(long, value_name = "N", default_value_t = 1)]
    rooms: u32,
    /// Members of each room
    #[arg(long, value_name = "N", default_value_t = 50)]
    members: u32,
    /// For how long it is good: 45m, 12h, 30d, 8w
    #[arg(long, value_name = "TIME", default_value = "30d", value_parser = parse_duration)]
    expires: u64,
}

/// What happens to a room.
#[derive(Debug, Subcommand)]
pub(crate) enum RoomCommand {
    /// Deletes a room with its lanes for good; its members are not asked
    Delete {
        /// Its number in `hearthd rooms`, or the beginning of it
        room: String,
        /// Does not ask
        #[arg(long)]
        yes: bool,
    },
}

/// What is known before a command runs.
pub(crate) struct Ground {
    /// The file that `--config` names, or the installed one.
    pub(crate) file: Option<PathBuf>,
    /// The data directory.
    pub(crate) dir: PathBuf,
}

impl Command {
    /// Whether it works before there are settings.
    pub(crate) const fn needs_no_settings(&self) -> bool {
        matches!(self, Self::Init(_) | Self::Completions { .. } | Self::Man { .. })
    }
}

/// Runs a command for which no settings are read.
pub(crate) fn run_bare(
    command: &Command,
    config: Option<PathBuf>,
    data_dir: Option<PathBuf>,
) -> Result<(), StartError> {
    match command {
        Command::Init(init) => init::run(init, config, data_dir),
        Command::Completions { shell } => shell::completions(*shell),
        Command::Man { dir } => shell::manual(dir),
        _ => Ok(()),
    }
}

/// Runs a command beside the relay of a directory. As root it runs as the directory's owner, so that no file of the relay
/// becomes root's.
pub(crate) fn run(
    command: Command,
    ground: &Ground,
    config: impl FnOnce() -> Result<Config, StartError>,
) -> Result<ExitCode, StartError> {
    let dir = ground.dir.as_path();
    account::become_owner(dir)?;
    if !matches!(command, Command::Restore { .. } | Command::Doctor { .. }) {
        data_dir::check_whole(dir)?;
    }
    let done = match command {
        Command::Doctor { json } => return doctor::run(ground, config, json),
        Command::Grant { command: None, new: NewGrant { url, rooms, members, expires } } => {
            let expires = Clock::system().now().plus(expires);
            let url = grants::url(dir, url, config)?;
            let link = grants::grant(dir, &grants::Grant { rooms, members, expires, url })?;
            print(&link).map_err(StartError::GrantUnprinted)
        }
        Command::Grant { command: Some(GrantCommand::List), .. } => grants::list(dir),
        Command::Grant { command: Some(GrantCommand::Revoke { name }), .. } => {
            grants::revoke(dir, &name)
        }
        Command::Rooms { json } => rooms::list(dir, json),
        Command::Room(RoomCommand::Delete { room, yes }) => rooms::delete(dir, &room, yes),
        Command::Backup { into, keep, without_key } => {
            let key = if without_key { backup::Key::Left } else { backup::Key::Copied };
            let copy = match keep {
                None => backup::into(dir, &into, key)?,
                Some(keep) => backup::rotate(dir, &into, key, keep as usize)?,
            };
            print(&copy.display().to_string()).map_err(StartError::BackupUnprinted)
        }
        Command::Restore { from, yes } => restore::run(dir, &from, yes),
        bare => run_bare(&bare, None, None),
    };
    done.map(|()| ExitCode::SUCCESS)
}

/// Returns the path of a directory's store; refuses a directory in which no relay was started.
fn started(dir: &Path) -> Result<PathBuf, StartError> {
    let path = store::database_path(dir);
    store::check_present(dir).map_err(|source| StartError::Store { path: path.clone(), source })?;
    if path.exists() { Ok(path) } else { Err(DataDirError::Empty(dir.to_owned()).into()) }
}

/// Prints lines; a reader that is gone is an error of its own.
fn say(text: &str) -> Result<(), StartError> {
    print(text.trim_end()).map_err(StartError::Unprinted)
}

/// Longest answer that is read.
const ANSWER_BYTES_MAX: u64 = 1024;

/// Whether a person can be asked.
fn interactive() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Asks a person for one line.
fn ask(question: &str) -> Result<String, StartError> {
    let mut stderr = std::io::stderr().lock();
    // Where the question cannot be shown, the answer is empty, which agrees to nothing.
    let _ = write!(stderr, "{question} ").and_then(|()| stderr.flush());
    let mut answer = String::new();
    let mut stdin = std::io::Read::take(std::io::stdin().lock(), ANSWER_BYTES_MAX);
    match stdin.read_line(&mut answer) {
        Ok(_) => Ok(answer.trim().to_owned()),
        Err(_) => Ok(String::new()),
    }
}

/// Asks before something that cannot be undone.
fn confirm(yes: bool, question: &str, command: &str) -> Result<(), StartError> {
    if yes {
        return Ok(());
    }
    if !interactive() {
        return Err(StartError::usage(
            "nothing was done, because nobody can be asked here",
            format!("`{command} --yes` does not ask"),
        ));
    }
    if ask(&format!("{question} Type yes:"))?.eq_ignore_ascii_case("yes") {
        return Ok(());
    }
    Err(StartError::refused("nothing was done", format!("type the word yes; or `{command} --yes`")))
}

/// Returns a path as part of a command.
pub(crate) fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '-' | '_' | '+' | ':');
    if !text.is_empty() && text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}
