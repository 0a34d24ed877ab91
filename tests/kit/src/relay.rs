//! A real relay on a free port of this computer.

use std::{
    ffi::OsString,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use crate::{
    DEADLINE,
    binary::binary,
    process::{Ended, Running},
};

/// How a relay is started.
#[derive(Clone, Debug, Default)]
pub struct RelayOptions {
    /// Plain WebSocket instead of TLS.
    pub plain: bool,
    /// What links name instead of the address listened on.
    pub public_url: Option<String>,
    /// Further arguments.
    pub more: Vec<String>,
    /// Where it listens; a free port of this computer if absent.
    pub listen: Option<SocketAddr>,
    /// Where it keeps its data; a temporary folder if absent.
    pub data: Option<PathBuf>,
    /// Another program than `hearthd`, with the same command line.
    pub program: Option<PathBuf>,
    /// A program, with its arguments, that runs the relay in a process of the same number; see `fault::trace`.
    pub under: Vec<OsString>,
    /// Logs only what is wrong, and sets no limits that one address alone would meet.
    pub crowded: bool,
}

/// A running relay. It is killed when dropped.
pub struct Relay {
    options: RelayOptions,
    data: PathBuf,
    _temporary: Option<TempDir>,
    address: SocketAddr,
    admin: SocketAddr,
    process: Option<Running>,
    logs: String,
}

impl Relay {
    /// Starts a relay in a new folder.
    pub fn start() -> Self {
        Self::start_with(RelayOptions::default())
    }

    /// Starts a relay as told.
    pub fn start_with(options: RelayOptions) -> Self {
        let mut relay = Self::stopped(options);
        relay.restart();
        relay
    }

    /// Returns a relay that was not started yet; see [`Self::try_restart`].
    pub fn stopped(options: RelayOptions) -> Self {
        let temporary = options.data.is_none().then(|| TempDir::new().unwrap());
        let data = match (&options.data, &temporary) {
            (Some(data), _) => data.clone(),
            (None, Some(folder)) => folder.path().join("relay"),
            (None, None) => unreachable!("one of the two is there"),
        };
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        Self {
            address: options.listen.unwrap_or(any),
            options,
            data,
            _temporary: temporary,
            admin: any,
            process: None,
            logs: String::new(),
        }
    }

    /// Returns the command that serves a folder, without starting it.
    pub fn command(data: &Path, listen: SocketAddr) -> Command {
        let mut command = Command::new(binary("hearthd"));
        Self::arguments(&mut command, data, listen);
        command
    }

    fn arguments(command: &mut Command, data: &Path, listen: SocketAddr) {
        command.env_clear().env("HEARTHD_LOG", "trace");
        command.arg("--data-dir").arg(data);
        command.args(["--listen", &listen.to_string(), "--admin-listen", "127.0.0.1:0"]);
    }

    /// Returns a bare `hearthd`.
    pub fn bare() -> Command {
        let mut command = Command::new(binary("hearthd"));
        command.env_clear();
        command
    }

    /// Starts it again on the same port and folder, after it was stopped or killed.
    pub fn restart(&mut self) {
        if let Err(ended) = self.try_restart() {
            panic!("it does not start: {ended:?}");
        }
    }

    /// Starts it again, or returns what it left when it ended before it was ready.
    ///
    /// # Errors
    /// What it left.
    pub fn try_restart(&mut self) -> Result<(), Ended> {
        assert!(self.process.is_none(), "it runs");
        let program = self.options.program.clone().unwrap_or_else(|| binary("hearthd"));
        let mut command = match self.options.under.split_first() {
            Some((runner, more)) => {
                let mut command = Command::new(runner);
                command.args(more).arg(program);
                command
            }
            None => Command::new(program),
        };
        let level = if self.options.crowded { "warn" } else { "trace" };
        Self::arguments(&mut command, &self.data, self.address);
        command.env("HEARTHD_LOG", level);
        if self.options.crowded {
            command.args(["--connections-per-ip", "100000", "--frames-per-second", "1000000"]);
            command.args(["--frames-burst", "1000000"]);
            for name in ["--member-bytes-per-second", "--member-bytes-burst", "--room-bytes-max"] {
                command.args([name, "1099511627776"]);
            }
        } else {
            // All people of a test come from one address, and ask again and again for what they wait for.
            command.args(["--connections-per-ip", "1000"]);
        }
        if self.options.plain {
            command.arg("--plain");
        }
        if let Some(url) = &self.options.public_url {
            command.args(["--public-url", url]);
        }
        command.args(&self.options.more);
        let mut process = Running::start(command, false);
        let Some(ready) = process.next_line(|l| l.starts_with("hearthd ready ")) else {
            return Err(process.wait());
        };
        let part = |prefix: &str| {
            let word = ready.split_whitespace().find_map(|word| word.strip_prefix(prefix));
            word.and_then(|word| word.parse().ok())
        };
        self.address = part("wss://").or_else(|| part("ws://")).expect("it names its address");
        self.admin = part("admin=http://").expect("it names its admin address");
        self.process = Some(process);
        Ok(())
    }

    /// Runs it from now on under a program, or under none; see [`RelayOptions::under`].
    pub fn set_under(&mut self, under: Vec<OsString>) {
        self.options.under = under;
    }

    /// Waits until it has ended by itself; returns its exit code.
    pub fn ended(&mut self) -> Option<i32> {
        let ended = self.process.take().expect("it runs").wait();
        self.keep(&ended);
        ended.code
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.as_ref().expect("it runs").pid()
    }

    /// Sends it a signal: to stop it in its tracks, and to let it go on.
    pub fn signal(&self, signal: rustix::process::Signal) {
        self.process.as_ref().expect("it runs").signal(signal);
    }

    /// Kills it, as a power cut does.
    pub fn kill(&mut self) {
        let ended = self.process.take().expect("it runs").kill();
        self.keep(&ended);
    }

    /// Asks it to stop and waits until it has; returns its exit code.
    pub fn stop(&mut self) -> Option<i32> {
        let process = self.process.take().expect("it runs");
        process.terminate();
        let ended = process.wait();
        self.keep(&ended);
        ended.code
    }

    fn keep(&mut self, ended: &Ended) {
        self.logs.push_str(&ended.stdout);
        self.logs.push_str(&ended.stderr);
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its folder.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Everything it printed and logged so far, at the most talkative level.
    pub fn logs(&mut self) -> String {
        let (out, err) = self.process.as_mut().map(Running::said).unwrap_or_default();
        format!("{}{out}{err}", self.logs)
    }

    /// Prints a grant and returns it.
    pub fn grant(&self) -> String {
        self.grant_with(&[])
    }

    /// Prints a grant with more arguments and returns it.
    pub fn grant_with(&self, more: &[&str]) -> String {
        let mut command = Self::bare();
        command.arg("grant").arg("--data-dir").arg(&self.data).args(more);
        let ended = Running::start(command, false).wait();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        ended.stdout.trim().to_owned()
    }

    /// Asks the admin listener for a page and returns its body.
    pub fn page(&self, path: &str) -> String {
        let mut stream = TcpStream::connect_timeout(&self.admin, DEADLINE).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: relay\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}
