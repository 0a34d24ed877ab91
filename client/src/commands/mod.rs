//! What each command does. One file per family; `inside` serves the command line and `chat` alike.

mod chat;
mod door;
mod inside;
mod listing;
mod profile;
mod read;
mod rooms;
mod steward;

use std::{
    fs::File,
    io::{IsTerminal as _, Read as _},
    path::{Path, PathBuf},
};

use hearth_protocol::Millis;
use zeroize::Zeroizing;

use crate::{
    cli::{AgreementCommand, Cli, Command},
    clock::Clock,
    engine::Crypto,
    failure::{Failure, exit},
    line,
    profile::{Profile, ProfileState, Unlock},
    show::{self, Output},
    store::Store,
};

type Result<T, E = Failure> = std::result::Result<T, E>;

/// Bytes of a passphrase file that are read.
const PASSPHRASE_BYTES_MAX: u64 = 4096;

/// What every command gets.
pub(crate) struct Context {
    /// Where output goes.
    pub(crate) out: Output,
    home: Option<PathBuf>,
    passphrase_file: Option<PathBuf>,
    key_file: Option<PathBuf>,
}

/// An unlocked profile and the primitives.
pub(crate) struct Open {
    /// The profile; its lock is held while this lives.
    pub(crate) profile: Profile,
    /// Made once.
    pub(crate) crypto: Crypto,
}

impl Open {
    pub(crate) fn store(&self) -> &Store {
        self.profile.store()
    }
}

/// Runs one command line.
///
/// # Errors
/// What failed and what to try next.
pub async fn run(cli: Cli) -> Result<()> {
    check_system_clock()?;
    let context = Context {
        out: Output::stdout(cli.json),
        home: cli.home,
        passphrase_file: cli.passphrase_file,
        key_file: cli.key_file,
    };
    match cli.command {
        Command::Room(command) => Box::pin(rooms::run(&context, command)).await,
        Command::Join(join) => Box::pin(door::join(&context, join)).await,
        Command::BurnInvite { link } => Box::pin(door::burn(&context, &link)).await,
        Command::Agreement(AgreementCommand::Template) => {
            Ok(context.out.line(rooms::TEMPLATE.trim_end())?)
        }
        Command::Agreement(command) => Box::pin(door::agreement(&context, command)).await,
        Command::Receipt { room, file } => profile::receipt(&context, &room, file.as_deref()),
        Command::Chat { room, lock_after } => {
            Box::pin(chat::run(&context, &room, &lock_after)).await
        }
        Command::Steward { room, only, count } => {
            Box::pin(steward::run(&context, &room, only, count)).await
        }
        Command::Profile(command) => profile::run(&context, command),
        Command::Completions { shell } => Ok(profile::completions(shell)?),
        Command::Man { dir } => profile::manual(&dir),
        Command::In(command) => Box::pin(inside::run(&context, command)).await,
    }
}

/// Refuses a clock that TLS and MLS take no time from: before 1970, or in its first hours, to which they go back.
fn check_system_clock() -> Result<()> {
    const EARLIEST: Millis = Millis(2 * 3_600_000);
    let now = Clock::system().now();
    if now < EARLIEST {
        return Err(Failure::new(
            exit::FAILED,
            "clock_wrong",
            format!("this computer's clock says {}", show::rfc3339(now)),
            "Set the clock, then repeat the command; nothing was changed.",
        ));
    }
    Ok(())
}

impl Context {
    pub(crate) fn home(&self) -> Result<PathBuf> {
        if let Some(home) = &self.home {
            return Ok(home.clone());
        }
        let base = std::env::var_os("XDG_DATA_HOME")
            .map(PathBuf::from)
            .or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".local/share")));
        base.map(|base| base.join("hearth")).ok_or_else(|| {
            Failure::usage("no folder for the profile", "Give one with --home or HEARTH_HOME.")
        })
    }

    /// Opens the profile, which must exist.
    pub(crate) fn open(&self) -> Result<Open> {
        let home = self.home()?;
        let unlock = match Profile::inspect(&home)? {
            ProfileState::New => {
                return Err(Failure::new(
                    exit::USAGE,
                    "no_profile",
                    format!("there is no profile in {}", home.display()),
                    "Create or join a room first, or name the folder with --home.",
                ));
            }
            state => self.unlock(&state)?,
        };
        Ok(Open { profile: Profile::open(&home, unlock.as_ref())?, crypto: Crypto::default() })
    }

    /// Opens the profile, or makes a new one.
    pub(crate) fn open_or_create(&self) -> Result<Open> {
        let home = self.home()?;
        let state = Profile::inspect(&home)?;
        let unlock = match state {
            ProfileState::New => self.new_unlock()?,
            state => self.unlock(&state)?,
        };
        let profile = Profile::open_or_create(&home, unlock.as_ref())?;
        Ok(Open { profile, crypto: Crypto::default() })
    }

    fn unlock(&self, state: &ProfileState) -> Result<Option<Unlock>> {
        match (state, &self.passphrase_file, &self.key_file) {
            (_, Some(file), _) => Ok(Some(Unlock::Passphrase(first_line(file)?))),
            (_, _, Some(file)) => Ok(Some(Unlock::KeyFile(file.clone()))),
            (ProfileState::NeedsPassphrase, None, None) if interactive() => {
                let typed = line::read_secret("Passphrase: ")?;
                Ok(Some(Unlock::Passphrase(typed)))
            }
            _ => Ok(None),
        }
    }

    /// Asks a person how the new profile shall be locked; a program that says nothing gets a key file.
    fn new_unlock(&self) -> Result<Option<Unlock>> {
        if self.passphrase_file.is_some() || self.key_file.is_some() || !interactive() {
            return self.unlock(&ProfileState::New);
        }
        self.out.remark("This makes a new profile on this device. A passphrase keeps what is said from whoever gets the device.");
        let first = line::read_secret("New passphrase (empty: a key file beside the profile): ")?;
        if first.is_empty() {
            return Ok(None);
        }
        let second = line::read_secret("The same again: ")?;
        if first != second {
            return Err(Failure::usage("the passphrases differ", "Start again; nothing was made."));
        }
        Ok(Some(Unlock::Passphrase(first)))
    }
}

/// Whether a person can be asked.
pub(crate) fn interactive() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Reads the first line of a file that holds a secret.
pub(crate) fn first_line(path: &Path) -> Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    let read =
        File::open(path).and_then(|file| file.take(PASSPHRASE_BYTES_MAX).read_to_string(&mut text));
    if let Err(error) = read {
        return Err(Failure::usage(
            format!("cannot read {}: {error}", path.display()),
            "Name a readable text file.",
        ));
    }
    Ok(Zeroizing::new(text.lines().next().unwrap_or_default().to_owned()))
}

/// Reads a text file up to a bound.
pub(crate) fn read_text(path: &Path, bytes_max: u64) -> Result<String> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|f| f.take(bytes_max + 1).read_to_end(&mut bytes));
    if let Err(error) = read {
        return Err(Failure::usage(
            format!("cannot read {}: {error}", path.display()),
            "Name a readable text file.",
        ));
    }
    if bytes.len() as u64 > bytes_max {
        return Err(Failure::usage(
            format!("{} is longer than {bytes_max} bytes", path.display()),
            "Shorten it.",
        ));
    }
    String::from_utf8(bytes).map_err(|_| {
        Failure::usage(format!("{} is not UTF-8 text", path.display()), "Save it as UTF-8.")
    })
}
