//! What each command does. One file per family; `shell` serves the command line and `chat` alike.

mod agreement;
mod bell;
mod care;
mod catchup;
mod chat;
mod contacts;
mod displayed;
mod doctor;
mod door;
mod follow;
mod help_now;
mod inside;
mod lines;
mod outcome;
mod profile;
mod room;
mod rooms;
mod search;
mod shell;
mod slip;
mod socket;
mod steward;
mod template;
pub(crate) mod tui;
mod understood;
pub mod usage;
#[cfg(feature = "web")]
pub(crate) mod web;
mod yes;

use std::{
    cell::RefCell,
    fs::File,
    io::{IsTerminal as _, Read as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use hearth_console::line;
use hearth_engine::{
    Crypto,
    clock::Clock,
    profile::{Profile, ProfileError, ProfileState, Unlock},
    store::Store,
};
use hearth_protocol::{
    Millis,
    invite::{Grant, Invite},
};
use hearth_session::client::Client;
use zeroize::Zeroizing;

pub use self::room::{CHAT_COMMANDS, Entry, InRoom, May, ROOM_COMMANDS, Topic, chat_commands};

use crate::{
    cli::{AgreementCommand, Cli, Command},
    failure::{Failure, exit, io_words},
    show::{self, Output},
    text::link,
};

/// Times that a passphrase is asked for.
const PASSPHRASE_SLIPS_MAX: u32 = 10;

type Result<T, E = Failure> = std::result::Result<T, E>;

/// Bytes of a passphrase file that are read.
const PASSPHRASE_BYTES_MAX: u64 = 4096;

/// Longest wait for a command of the same profile that is about to end, such as `read` in another window.
const PROFILE_PATIENCE: Duration = Duration::from_secs(2);
/// Time between two looks at it.
const PROFILE_LOOKS: Duration = Duration::from_millis(50);

/// Opens a profile; waits for a command that has it for a moment.
fn open_when_free(home: &Path, unlock: Option<&Unlock>) -> Result<Profile, ProfileError> {
    let deadline = Instant::now() + PROFILE_PATIENCE;
    loop {
        match Profile::open(home, unlock) {
            Err(ProfileError::InUse) if Instant::now() < deadline => {
                std::thread::sleep(PROFILE_LOOKS);
            }
            opened => return opened,
        }
    }
}

/// Says that a connection could be recorded now and read later, by somebody with a quantum computer.
const NOT_POST_QUANTUM: &str = "The connection to the relay is encrypted, but not against a quantum computer that comes later. What is said stays \
     protected in a room with the post-quantum suite; who connects when may be seen then.";

/// Bits of a file's mode that let others read or change it.
const EXPOSED: u32 = 0o077;

/// What every command gets.
pub(crate) struct Context {
    /// Where output goes.
    pub(crate) out: Output,
    home: Option<PathBuf>,
    passphrase_file: Option<PathBuf>,
    key_file: Option<PathBuf>,
    /// What opens a profile that this command has made, so that nobody is asked for it again at once.
    made: RefCell<Option<Unlock>>,
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
    let room = cli.command.room().filter(|room| is_plain(room)).map(str::to_owned);
    let flags = cli.of_profile.clone();
    let failed = |failure: Failure| match room {
        Some(room) => failure.in_room(&room),
        None => failure,
    };
    dispatch(cli).await.map_err(|failure| failed(failure).with_flags(&flags))
}

/// Whether a room's name can be put into a command as it is.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

async fn dispatch(cli: Cli) -> Result<()> {
    // No clock stands between a person and a number.
    if !matches!(&cli.command, Command::In(command) if command.as_help_now().is_some()) {
        check_system_clock()?;
    }
    let context = Context {
        out: Output::stdout(cli.json).with_flags(&cli.of_profile),
        home: cli.home,
        passphrase_file: cli.passphrase_file,
        key_file: cli.key_file,
        made: RefCell::default(),
    };
    match cli.command {
        Command::Room(command) => Box::pin(rooms::run(&context, command)).await,
        Command::Join(join) => drop_typed(Box::pin(door::join(&context, join)).await),
        Command::BurnInvite { link } => Box::pin(door::burn(&context, link)).await,
        Command::Agreement(AgreementCommand::Template { country }) => {
            contacts::print_template(&context.out, country.as_deref())
        }
        Command::Agreement(AgreementCommand::Check { file }) => {
            contacts::check(&context.out, &file)
        }
        Command::Agreement(command @ AgreementCommand::Acknowledge { .. }) => {
            drop_typed(Box::pin(door::agreement(&context, command)).await)
        }
        Command::Agreement(command) => Box::pin(door::agreement(&context, command)).await,
        Command::Receipt { room, file } => profile::receipt(&context, &room, file.as_deref()),
        Command::Chat { room, lock_after, alternate_screen } => {
            Box::pin(chat::run(&context, &room, &lock_after, alternate_screen)).await
        }
        #[cfg(feature = "web")]
        Command::Web(options) => Box::pin(web::run(&context, &options)).await,
        Command::Tui(options) => Box::pin(tui::first::run(&context, &options, cli.alone)).await,
        Command::Steward { room, only, count } => {
            Box::pin(steward::run(&context, &room, only, count)).await
        }
        Command::Lines => Box::pin(lines::run(&context)).await,
        Command::Profile(command) => profile::run(&context, command),
        Command::Doctor => Box::pin(doctor::run(&context)).await,
        Command::Completions { shell } => Ok(profile::completions(shell)?),
        Command::Man { dir } => profile::manual(&dir),
        Command::In(command) => match command.as_help_now() {
            Some((room, help)) => Box::pin(help_now::run(&context, room, help)).await,
            None => Box::pin(inside::run(&context, command)).await,
        },
    }
}

/// Shows the crisis contacts where a command line that asks for them was not understood. `words` are those behind `hearth`.
pub fn numbers_after_slip(words: &[String]) {
    if !words.iter().any(|word| word.eq_ignore_ascii_case("help-now")) {
        return;
    }
    let after = |flag: &str| words.iter().skip_while(|word| *word != flag).nth(1);
    let home = after("--home").map(PathBuf::from);
    let home = home.or_else(|| std::env::var_os("HEARTH_HOME").map(PathBuf::from));
    let out = Output::stdout(false);
    let (passphrase_file, key_file, made) = Default::default();
    help_now::after_slip(&Context { out, home, passphrase_file, key_file, made });
}

/// Keeps what a person typed while a command waited from the shell.
fn drop_typed(done: Result<()>) -> Result<()> {
    line::drop_typed(
        "What you typed meanwhile was dropped; it was sent to nobody. Press Enter alone to leave: ",
    )?;
    done
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

/// Resolves the links in a path, as far as it exists: the store follows none.
fn without_links(path: &Path) -> PathBuf {
    let Ok(path) = std::path::absolute(path) else { return path.to_owned() };
    let real = path.ancestors().find_map(|above| {
        let rest = path.strip_prefix(above).ok()?;
        Some(above.canonicalize().ok()?.join(rest))
    });
    real.unwrap_or(path)
}

impl Context {
    pub(crate) fn home(&self) -> Result<PathBuf> {
        if let Some(home) = &self.home {
            return Ok(without_links(home));
        }
        let base = std::env::var_os("XDG_DATA_HOME")
            .map(PathBuf::from)
            .or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".local/share")));
        base.map(|base| without_links(&base.join("hearth"))).ok_or_else(|| {
            Failure::usage("no folder for the profile", "Give one with --home or HEARTH_HOME.")
        })
    }

    /// Opens the profile, which must exist.
    pub(crate) fn open(&self) -> Result<Open> {
        let home = self.home()?;
        match Profile::inspect(&home)? {
            ProfileState::New => Err(Failure::new(
                exit::USAGE,
                "no_profile",
                format!("there is no profile in {}", home.display()),
                "Create or join a room first, or name the folder with --home.",
            )),
            state => self.open_existing(&home, &state),
        }
    }

    /// Opens the profile, which must exist, and starts a client of it.
    pub(crate) fn client(&self) -> Result<Client> {
        let Open { profile, crypto } = self.open()?;
        Ok(Client::start(profile, crypto)?)
    }

    /// Opens the profile, or makes a new one.
    pub(crate) fn open_or_create(&self) -> Result<Open> {
        let home = self.home()?;
        match Profile::inspect(&home)? {
            ProfileState::New => {
                let unlock = self.new_unlock()?;
                let profile = Profile::open_or_create(&home, unlock.as_ref())?;
                self.made.replace(unlock);
                Ok(Open { profile, crypto: Crypto::default() })
            }
            state => self.open_existing(&home, &state),
        }
    }

    /// Opens a profile. A person is asked again after a wrong passphrase, because the next one that they type would go to the
    /// command line.
    fn open_existing(&self, home: &Path, state: &ProfileState) -> Result<Open> {
        let asks = self.asks_passphrase(state);
        for slips in 1.. {
            let unlock = self.unlock(state)?;
            match open_when_free(home, unlock.as_ref()) {
                Err(ProfileError::WrongPassphrase) if asks && slips < PASSPHRASE_SLIPS_MAX => {
                    self.out.remark("That is not the passphrase. Type it again, or press Ctrl-C.");
                }
                opened => return Ok(Open { profile: opened?, crypto: Crypto::default() }),
            }
        }
        Err(ProfileError::WrongPassphrase.into())
    }

    fn asks_passphrase(&self, state: &ProfileState) -> bool {
        let given = self.passphrase_file.is_some() || self.key_file.is_some();
        matches!(state, ProfileState::NeedsPassphrase) && !given && interactive()
    }

    fn unlock(&self, state: &ProfileState) -> Result<Option<Unlock>> {
        match (state, &self.passphrase_file, &self.key_file) {
            (_, Some(file), _) => Ok(Some(Unlock::Passphrase(passphrase_of(file)?))),
            (_, _, Some(file)) => Ok(Some(Unlock::KeyFile(file.clone()))),
            _ if self.made.borrow().is_some() => Ok(self.made.take()),
            _ if self.asks_passphrase(state) => {
                let typed = line::read_secret("Passphrase: ")?;
                Ok(Some(Unlock::Passphrase(typed)))
            }
            _ => Ok(None),
        }
    }

    /// Asks a person how the new profile shall be locked; a program that says nothing gets a key file, and is told.
    fn new_unlock(&self) -> Result<Option<Unlock>> {
        if self.passphrase_file.is_some() || self.key_file.is_some() {
            return self.unlock(&ProfileState::New);
        }
        if !interactive() {
            self.out.remark(&self.out.advice("The new profile has no passphrase: who gets this device can read what is said. `hearth profile passphrase` sets one."));
            return Ok(None);
        }
        self.out.remark("This makes a new profile on this device. A passphrase keeps what is said from whoever gets the device.");
        let prompt = "New passphrase (empty: a key file beside the profile): ";
        self.new_passphrase(prompt, || {
            Ok(line::ask("Without a passphrase, who gets this device can read what is said. Type yes to go on without one: ")?
                .trim()
                .eq_ignore_ascii_case("yes"))
        })
    }

    /// Asks for a new passphrase twice; nothing if it is empty, and `empty` agrees.
    pub(crate) fn new_passphrase(
        &self,
        prompt: &str,
        empty: impl Fn() -> Result<bool>,
    ) -> Result<Option<Unlock>> {
        // A slip asks again: what is typed after the end would go to the command line, and into its history.
        let mut slips = 0;
        loop {
            let first = line::read_secret(prompt)?;
            if first.is_empty() && empty()? {
                return Ok(None);
            }
            let is_empty = first.is_empty();
            let unlock = Unlock::Passphrase(first);
            let slip = match unlock.check_new() {
                Err(_) if is_empty => Failure::usage(
                    "there is no passphrase yet",
                    "Type one of eight characters at least.",
                ),
                Err(error) => Failure::from(error),
                Ok(()) => {
                    let second = line::read_secret("The same again: ")?;
                    if matches!(&unlock, Unlock::Passphrase(first) if *first == second) {
                        return Ok(Some(unlock));
                    }
                    Failure::usage("the passphrases differ", "Type it again; nothing was made.")
                }
            };
            slips += 1;
            if slips == PASSPHRASE_SLIPS_MAX {
                return Err(slip);
            }
            self.out.remark(&format!("{}. {}", slip.message, slip.advice));
        }
    }

    /// Returns what was given as a link: from the command line, from standard input for `-`, or from a person, unseen.
    ///
    /// Whoever else uses the computer reads a command line in the list of processes, and a link is as good as its holder.
    pub(crate) fn link(&self, given: Option<&str>, what: Wanted<'_>) -> Result<Zeroizing<String>> {
        match given.map(str::trim) {
            None if interactive() => what.ask(),
            None => Err(Failure::usage(
                format!("no {} was given", what.name()),
                format!("Give it on standard input: `{}`.", what.on_input()),
            )),
            Some("-") if std::io::stdin().is_terminal() => what.ask(),
            Some("-") => pasted(),
            Some(link) => {
                // Also where no person is: a script shows its links to the others for as long as it runs.
                self.out.remark(&self.out.advice(&format!(
                    "Other users of this computer can read the {} in the list of processes. Next time, `{}` takes it from standard input; or leave it out, and hearth asks for it.",
                    what.name(),
                    what.on_input()
                )));
                Ok(Zeroizing::new(link.to_owned()))
            }
        }
    }

    /// Returns the invite that was given.
    pub(crate) fn invite(&self, given: Option<&str>, what: Wanted<'_>) -> Result<Invite> {
        Ok(link::find(&self.link(given, what)?, Invite::parse)?)
    }

    /// Returns the grant that was given.
    pub(crate) fn grant(&self, given: Option<&str>) -> Result<Grant> {
        Ok(link::find(&self.link(given, Wanted::Grant)?, Grant::parse)?)
    }
}

/// A link that a command needs.
#[derive(Clone, Copy)]
pub(crate) enum Wanted<'a> {
    Grant,
    /// For `hearth COMMAND -`.
    Invite(&'a str),
}

impl Wanted<'_> {
    const fn name(self) -> &'static str {
        match self {
            Self::Grant => "grant",
            Self::Invite(_) => "invite",
        }
    }

    fn on_input(self) -> String {
        match self {
            Self::Grant => "hearth room create TITLE --grant - --agreement FILE --as NAME".into(),
            Self::Invite(command) => format!("hearth {command} -"),
        }
    }

    /// Asks a person, who may paste a link of several lines.
    fn ask(self) -> Result<Zeroizing<String>> {
        let whole = |text: &str| match self {
            Self::Grant => link::find(text, Grant::parse).is_ok(),
            Self::Invite(_) => link::find(text, Invite::parse).is_ok(),
        };
        let prompt = format!("The {} (paste it; it is not shown): ", self.name());
        Ok(line::read_pasted(&prompt, link::PASTED_BYTES_MAX, link::is_meant, whole)?)
    }
}

/// Reads a link from standard input.
fn pasted() -> Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    let limit = link::PASTED_BYTES_MAX as u64;
    let read = std::io::stdin().take(limit).read_to_string(&mut text);
    read.map_err(|error| {
        Failure::usage(
            format!("standard input cannot be read: {}", io_words(&error)),
            "Nothing was done; give the link as text.",
        )
    })?;
    Ok(text)
}

/// Whether a person can be asked.
pub(crate) fn interactive() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Reads a passphrase from the first line of a file, which nobody else may read; a pipe has no other readers.
pub(crate) fn passphrase_of(path: &Path) -> Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    let opened = File::open(path).and_then(|file| Ok((file.metadata()?, file)));
    let (metadata, file) = opened.map_err(|error| unreadable(path, &error))?;
    let others = if metadata.mode() & EXPOSED != 0 {
        Some("can be read by others")
    } else if ![0, rustix::process::geteuid().as_raw()].contains(&metadata.uid()) {
        Some("belongs to another account")
    } else {
        None
    };
    if let Some(others) = others.filter(|_| metadata.is_file()) {
        return Err(Failure::new(
            exit::FAILED,
            "passphrase_file_exposed",
            format!("the passphrase file {} {others}", path.display()),
            "Nothing was opened. Make it yours alone (chmod 600 FILE), and change the passphrase: `hearth profile passphrase`.",
        ));
    }
    let read = file.take(PASSPHRASE_BYTES_MAX).read_to_string(&mut text);
    read.map_err(|error| unreadable(path, &error))?;
    if text.lines().next().unwrap_or_default().trim().is_empty() {
        return Err(Failure::new(
            exit::USAGE,
            "passphrase_file_empty",
            format!("the first line of the passphrase file {} is empty", path.display()),
            "Nothing was opened. Write the passphrase on the first line of that file.",
        ));
    }
    Ok(Zeroizing::new(text.lines().next().unwrap_or_default().to_owned()))
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::usage(
        format!("cannot read {}: {}", path.display(), io_words(error)),
        "Name a readable text file.",
    )
}

/// Reads a file up to a bound; nothing if it is longer.
pub(crate) fn read_bytes(path: &Path, bytes_max: u64) -> Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|f| f.take(bytes_max + 1).read_to_end(&mut bytes));
    read.map_err(|error| unreadable(path, &error))?;
    Ok((bytes.len() as u64 <= bytes_max).then_some(bytes))
}

/// Reads a text file up to a bound.
pub(crate) fn read_text(path: &Path, bytes_max: u64) -> Result<String> {
    let bytes = read_bytes(path, bytes_max)?.ok_or_else(|| {
        Failure::usage(
            format!("{} is longer than {bytes_max} bytes", path.display()),
            "Shorten it, then repeat the command.",
        )
    })?;
    String::from_utf8(bytes).map_err(|_| {
        Failure::usage(format!("{} is not UTF-8 text", path.display()), "Save it as UTF-8.")
    })
}
