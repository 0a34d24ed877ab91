//! A program at a terminal: what a person's fingers type, and what their eyes have seen.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    os::{fd::OwnedFd, unix::process::CommandExt as _},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    thread::JoinHandle,
    time::Instant,
};

use rustix::{
    process::{Pid, Signal, kill_process},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{LocalModes, Termios, Winsize, tcgetattr, tcsetwinsize},
};

use crate::{DEADLINE, Person};

/// Waits for something that another process brings about.
pub fn wait_until(what: &str, mut is: impl FnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !is() {
        assert!(Instant::now() < end, "never came true: {what}");
        std::thread::yield_now();
    }
}

/// Joins the lines that were broken between words: what goes on stands further in.
pub fn unwrapped(screen: &str) -> String {
    let mut lines = screen.split("\r\n");
    let mut joined = lines.next().unwrap_or_default().to_owned();
    for line in lines {
        match line.strip_prefix("  ") {
            Some(rest) => joined.extend([" ", rest.trim_start()]),
            None => joined.extend(["\r\n", line]),
        }
    }
    joined
}

/// Waits for the end of a process that prints little.
pub fn end_of(child: &mut Child) -> ExitStatus {
    let mut status = None;
    wait_until("its end", || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    status.unwrap()
}

/// A process at a terminal of its own. It is killed when dropped.
pub struct AtTerminal {
    child: Child,
    /// What a person's fingers and eyes have.
    outer: File,
    /// What the process has; closed at the end.
    inner: Option<OwnedFd>,
    before: Termios,
    seen: Arc<Mutex<Vec<u8>>>,
    /// Fills `seen` until nobody has the inner side.
    eyes: JoinHandle<()>,
}

impl AtTerminal {
    /// Starts a command of a person's at a terminal of 80 columns.
    pub fn start(person: &Person, term: &str, args: &[&str]) -> Self {
        Self::start_with(person, term, args, 80)
    }

    /// Starts a command of a person's at a terminal of so many columns.
    pub fn start_with(person: &Person, term: &str, args: &[&str], columns: u16) -> Self {
        Self::start_sized(person, term, args, (columns, 24))
    }

    /// Starts a command of a person's at a terminal of so many columns and rows.
    pub fn start_sized(person: &Person, term: &str, args: &[&str], size: (u16, u16)) -> Self {
        Self::start_as(person, term, args, size, true)
    }

    /// Starts a command of a person's whose standard error goes elsewhere.
    pub fn start_without_stderr(person: &Person, term: &str, args: &[&str]) -> Self {
        Self::start_as(person, term, args, (80, 24), false)
    }

    fn start_as(
        person: &Person,
        term: &str,
        args: &[&str],
        size: (u16, u16),
        stderr: bool,
    ) -> Self {
        let mut command = Person::bare();
        command.env("TERM", term).env("HEARTH_HOME", person.home()).args(args);
        Self::start_command(command, size, stderr)
    }

    /// Starts any command; its standard error goes elsewhere unless `stderr`.
    pub fn start_command(mut command: Command, (columns, rows): (u16, u16), stderr: bool) -> Self {
        let outer = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&outer).unwrap();
        unlockpt(&outer).unwrap();
        let name = ptsname(&outer, Vec::new()).unwrap();
        let open = || {
            let mut options = File::options();
            options.read(true).write(true).open(name.to_str().unwrap()).unwrap()
        };
        let inner = open();
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&inner, size).unwrap();
        let before = tcgetattr(&inner).unwrap();
        assert!(before.local_modes.contains(LocalModes::ECHO | LocalModes::ICANON));
        command.stdin(open()).stdout(open());
        command.stderr(if stderr { open().into() } else { Stdio::null() });
        // As a shell starts it: a process of a group without a parent outside of it cannot be suspended.
        command.process_group(0);
        let child = command.spawn().unwrap();
        let outer = File::from(outer);
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (mut shown, record) = (outer.try_clone().unwrap(), seen.clone());
        let eyes = std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(read @ 1..) = shown.read(&mut bytes) {
                record.lock().unwrap().extend_from_slice(&bytes[..read]);
            }
        });
        Self { child, outer, inner: Some(inner.into()), before, seen, eyes }
    }

    /// Whether some words were shown, in one line or in several.
    pub fn sees(&self, words: &str) -> bool {
        let screen = self.screen();
        screen.contains(words) || unwrapped(&screen).contains(words)
    }

    /// Everything that was shown so far.
    pub fn screen(&self) -> String {
        String::from_utf8_lossy(&self.seen.lock().unwrap()).into_owned()
    }

    /// Waits until some words are shown.
    pub fn await_words(&self, words: &str) {
        let end = Instant::now() + DEADLINE;
        while !self.sees(words) {
            assert!(Instant::now() < end, "never showed {words}: {}", self.screen());
            std::thread::yield_now();
        }
    }

    /// Gives the terminal another size, of 24 rows.
    pub fn resizes(&self, columns: u16) {
        let size = Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&self.outer, size).unwrap();
        // Of a terminal that is nobody's controlling terminal, the system tells nobody.
        self.signal(Signal::WINCH);
    }

    /// Types keys.
    pub fn types(&mut self, keys: &str) {
        self.outer.write_all(keys.as_bytes()).unwrap();
    }

    /// The modes of the terminal now.
    pub fn modes(&self) -> Termios {
        tcgetattr(self.inner.as_ref().unwrap()).unwrap()
    }

    /// Whether the terminal shows no echo.
    pub fn is_changed(&self) -> bool {
        !self.modes().local_modes.contains(LocalModes::ECHO)
    }

    /// Sends the process a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Whether the process goes on.
    pub fn goes_on(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// The number of the process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether the process is suspended.
    pub fn is_suspended(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        stat.rsplit(')').next().unwrap().trim().starts_with('T')
    }

    /// How many keys were typed that the process has not taken: a shell would get them.
    pub fn keys_left(&self) -> u64 {
        let inner = self.inner.as_ref().unwrap();
        rustix::io::ioctl_fionread(inner).unwrap()
    }

    /// Waits for the end, which must leave the terminal as it was found, and for the last words on the screen.
    pub fn ends(mut self) -> (ExitStatus, String) {
        let status = end_of(&mut self.child);
        let after = self.modes();
        assert_eq!(after.local_modes, self.before.local_modes, "{}", self.screen());
        assert_eq!(after.input_modes, self.before.input_modes);
        self.inner = None;
        wait_until("the end of the screen", || self.eyes.is_finished());
        (status, self.screen())
    }
}

impl Drop for AtTerminal {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
