//! A program on a full screen: a terminal of its own in tmux, which shows what a person sees.

use std::process::Command;

use tempfile::TempDir;

use crate::{Person, at_terminal::wait_until, skip};

/// A terminal with one program in it. It is closed when dropped.
pub struct Tmux {
    folder: TempDir,
}

impl Tmux {
    /// Whether tmux is there; says so if not.
    pub fn is_there() -> bool {
        let there = Command::new("tmux").arg("-V").output().is_ok_and(|tmux| tmux.status.success());
        if !there {
            skip::lacks("tmux");
        }
        there
    }

    /// Opens a shell on a screen of so many columns and rows, and types a command of a person's. When it has ended, the screen says
    /// `ended` and its code.
    pub fn start(person: &Person, args: &[&str], size: (u16, u16)) -> Self {
        let tmux = Self { folder: TempDir::new().unwrap() };
        let (columns, rows) = (size.0.to_string(), size.1.to_string());
        let start = ["-f", "/dev/null", "new-session", "-d", "-x", &columns, "-y", &rows];
        let script = tmux.folder.path().join("run");
        std::fs::write(&script, person.command_line(args)).unwrap();
        // Of a shell with job control, as a person has.
        let shell = ["env", "PS1=$ ", "ENV=", "sh", "-i"];
        tmux.run(&[&start[..], &shell].concat());
        tmux.awaits("$");
        tmux.types(&format!(". {}; echo ended $?", script.display()));
        tmux.presses(&["Enter"]);
        tmux
    }

    fn command(&self) -> Command {
        let mut tmux = Command::new("tmux");
        tmux.arg("-S").arg(self.folder.path().join("tmux"));
        tmux.env("LANG", "C.UTF-8").env("LC_ALL", "C.UTF-8").env_remove("TMUX");
        tmux
    }

    fn run(&self, args: &[&str]) -> String {
        let done = self.command().args(args).output().unwrap();
        assert!(done.status.success(), "tmux {args:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    }

    /// Types text as it is.
    pub fn types(&self, text: &str) {
        self.run(&["send-keys", "-l", "--", text]);
    }

    /// Presses keys by tmux's names: `Enter`, `C-q`.
    pub fn presses(&self, keys: &[&str]) {
        self.run(&[&["send-keys"], keys].concat());
    }

    /// Pastes a text, as terminals do that tell a paste from typing.
    pub fn pastes(&self, text: &str) {
        self.run(&["set-buffer", "--", text]);
        self.run(&["paste-buffer", "-p"]);
    }

    /// Gives the screen another size.
    pub fn resizes(&self, columns: u16, rows: u16) {
        self.run(&["resize-window", "-x", &columns.to_string(), "-y", &rows.to_string()]);
    }

    /// Returns what is on the screen.
    pub fn screen(&self) -> String {
        self.run(&["capture-pane", "-p"])
    }

    /// Returns what is on the screen and above it.
    pub fn everything(&self) -> String {
        self.run(&["capture-pane", "-p", "-S", "-"])
    }

    /// Waits until words are on the screen.
    pub fn awaits(&self, words: &str) {
        let mut seen = String::new();
        let is_there = || {
            seen = self.screen();
            seen.contains(words)
        };
        if std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| wait_until(words, is_there)))
            .is_err()
        {
            panic!("{words:?} never came: {}", self.screen());
        }
    }

    /// Waits until words are no longer on the screen.
    pub fn awaits_no(&self, words: &str) {
        wait_until(&format!("no {words}"), || !self.screen().contains(words));
    }

    /// Returns the process of the program: the child of the shell.
    pub fn program(&self) -> i32 {
        let shell = self.run(&["display-message", "-p", "#{pane_pid}"]);
        let children = format!("/proc/{0}/task/{0}/children", shell.trim());
        let children = std::fs::read_to_string(children).unwrap();
        children.split_whitespace().next().unwrap().parse().unwrap()
    }

    /// Whether the program has switched to a screen of its own.
    pub fn has_own_screen(&self) -> bool {
        self.run(&["display-message", "-p", "#{alternate_on}"]).trim() == "1"
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.command().arg("kill-server").output();
    }
}
