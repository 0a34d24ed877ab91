//! One person: a profile, and commands run with it.

use std::{
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    binary::binary,
    process::{Ended, Running},
};

/// A person with a profile of their own.
pub struct Person {
    home: PathBuf,
    _temporary: Option<TempDir>,
    flags: Vec<String>,
}

/// What a command answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// What was asked.
    pub asked: String,
    /// Exit code; `None` after a signal.
    pub code: Option<i32>,
    /// The objects on standard output.
    pub lines: Vec<Value>,
    /// Standard output as it came.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Default for Person {
    fn default() -> Self {
        Self::new()
    }
}

impl Person {
    /// Returns somebody without a profile yet.
    pub fn new() -> Self {
        let temporary = TempDir::new().unwrap();
        let home = temporary.path().join("home");
        Self { home, _temporary: Some(temporary), flags: Vec::new() }
    }

    /// Returns somebody whose profile is, or will be, in a given folder.
    pub fn at(home: impl Into<PathBuf>) -> Self {
        Self { home: home.into(), _temporary: None, flags: Vec::new() }
    }

    /// Gives every command more global flags.
    #[must_use]
    pub fn with_flags(mut self, flags: &[&str]) -> Self {
        self.flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        self
    }

    /// The profile's folder.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Returns a bare `hearth`, with nothing of this computer in its environment.
    pub fn bare() -> Command {
        let mut command = Command::new(binary("hearth"));
        command.env_clear().env("TZ", "UTC").env("LANG", "C.UTF-8");
        command
    }

    fn command<S: AsRef<OsStr>>(&self, form: &[&str], args: &[S]) -> Command {
        let mut command = Self::bare();
        command.env("HEARTH_HOME", &self.home).args(form).args(&self.flags).args(args);
        command
    }

    /// Returns a command as it is typed to a shell, with nothing else of this computer in its environment than the terminal.
    pub fn command_line(&self, args: &[&str]) -> String {
        let quoted = |word: &OsStr| format!("'{}'", word.to_string_lossy().replace('\'', r"'\''"));
        let command = self.command(&[], args);
        let set = command.get_envs().filter_map(|(name, value)| Some((name, value?)));
        let set = set.map(|(name, value)| format!("{}={}", name.to_string_lossy(), quoted(value)));
        let words = std::iter::once(command.get_program()).chain(command.get_args()).map(quoted);
        let words: Vec<String> = set.chain(words).collect();
        format!("env -i TERM=\"$TERM\" {}", words.join(" "))
    }

    /// Runs a command to its end, with nothing on standard input.
    pub fn run<S: AsRef<OsStr>>(&self, args: &[S]) -> Answer {
        let command = self.command(&["--json"], args);
        Answer::new(format!("{command:?}"), Running::start(command, false).wait())
    }

    /// Runs a command to its end under another program; see `fault::trace`.
    pub fn run_under<S: AsRef<OsStr>>(&self, under: &[OsString], args: &[S]) -> Answer {
        let command = self.command_under(under, args);
        Answer::new(format!("{command:?}"), Running::start(command, false).wait())
    }

    /// Starts a command that goes on by itself under another program, with an open standard input.
    pub fn starts_under<S: AsRef<OsStr>>(&self, under: &[OsString], args: &[S]) -> Running {
        Running::start(self.command_under(under, args), true)
    }

    fn command_under<S: AsRef<OsStr>>(&self, under: &[OsString], args: &[S]) -> Command {
        let alone = self.command(&["--json"], args);
        let (runner, more) = under.split_first().expect("a program to run it under");
        let mut command = Command::new(runner);
        command.args(more).arg(alone.get_program()).args(alone.get_args()).env_clear();
        command.envs(alone.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command
    }

    /// Runs a command that must succeed; returns what it printed.
    pub fn does<S: AsRef<OsStr>>(&self, args: &[S]) -> Vec<Value> {
        self.run(args).done()
    }

    /// Runs a command with words on standard input.
    pub fn run_with_input<S: AsRef<OsStr>>(&self, args: &[S], input: &[u8]) -> Answer {
        let command = self.command(&["--json"], args);
        let asked = format!("{command:?}");
        let mut running = Running::start(command, true);
        running.type_bytes(input);
        Answer::new(asked, running.wait())
    }

    /// Runs a command as a person sees it, without `--json`.
    pub fn sees<S: AsRef<OsStr>>(&self, args: &[S]) -> Ended {
        Running::start(self.command(&[], args), false).wait()
    }

    /// Starts a command that goes on by itself, with an open standard input.
    pub fn starts<S: AsRef<OsStr>>(&self, args: &[S]) -> Running {
        Running::start(self.command(&["--json"], args), true)
    }

    /// Starts a command that goes on by itself as a person sees it, without `--json`.
    pub fn starts_plainly<S: AsRef<OsStr>>(&self, args: &[S]) -> Running {
        Running::start(self.command(&[], args), true)
    }
}

impl Answer {
    /// Takes apart what a process left.
    pub fn new(asked: String, ended: Ended) -> Self {
        let Ended { code, stdout, stderr } = ended;
        let parsed: Result<Vec<Value>, _> = stdout.lines().map(serde_json::from_str).collect();
        let lines = parsed.unwrap_or_else(|e| panic!("{asked}\nprinted no JSON ({e}): {stdout}"));
        Self { asked, code, lines, stdout, stderr }
    }

    /// Returns what was printed, if it succeeded.
    pub fn done(self) -> Vec<Value> {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self.lines
    }

    /// Checks that it was refused: exit code, code word, and one line each of what failed and what to try.
    pub fn failed(&self, exit: i32, code: &str) -> &Value {
        assert_eq!(self.code, Some(exit), "{self:#?}");
        let object = self.lines.last().unwrap_or_else(|| panic!("says nothing: {self:#?}"));
        assert_eq!(object["error"], code, "{self:#?}");
        for field in ["message", "try"] {
            let text = object[field].as_str().unwrap_or_default();
            assert!(!text.is_empty() && !text.contains('\n'), "{field}: {self:#?}");
        }
        let lines: Vec<&str> = self.stderr.lines().collect();
        let [.., what, advice] = lines.as_slice() else { panic!("too few words: {self:#?}") };
        assert!(what.starts_with("hearth: ") && what.len() > 12, "{self:#?}");
        assert!(advice.starts_with("  ") && advice.len() > 8, "{self:#?}");
        let complaints = lines.iter().filter(|line| line.starts_with("hearth: ")).count();
        assert_eq!(complaints, 1, "{self:#?}");
        assert!(!self.stderr.contains("panicked"), "{self:#?}");
        object
    }

    /// Checks a refusal that says nothing else.
    pub fn refused(&self, exit: i32, code: &str) -> &Value {
        // A link as an argument is warned about, whatever comes of it.
        // So is a new profile without a passphrase.
        let warnings = ["in the list of processes", "new profile has no passphrase"];
        let said = self.stderr.lines().filter(|line| !warnings.iter().any(|w| line.contains(w)));
        assert_eq!(said.count(), 2, "{self:#?}");
        assert_eq!(self.lines.len(), 1, "{self:#?}");
        self.failed(exit, code)
    }
}
