//! A real relay on a free port of this computer.

use std::{
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
        let temporary = options.data.is_none().then(|| TempDir::new().unwrap());
        let data = match (&options.data, &temporary) {
            (Some(data), _) => data.clone(),
            (None, Some(folder)) => folder.path().join("relay"),
            (None, None) => unreachable!("one of the two is there"),
        };
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut relay = Self {
            address: options.listen.unwrap_or(any),
            options,
            data,
            _temporary: temporary,
            admin: any,
            process: None,
            logs: String::new(),
        };
        relay.restart();
        relay
    }

    /// Returns the command that serves a folder, without starting it.
    pub fn command(data: &Path, listen: SocketAddr) -> Command {
        let mut command = Command::new(binary("hearthd"));
        command.env_clear().env("HEARTHD_LOG", "trace");
        command.arg("--data-dir").arg(data);
        command.args(["--listen", &listen.to_string(), "--admin-listen", "127.0.0.1:0"]);
        command
    }

    /// Returns a bare `hearthd`.
    pub fn bare() -> Command {
        let mut command = Command::new(binary("hearthd"));
        command.env_clear();
        command
    }

    /// Starts it again on the same port and folder, after it was stopped or killed.
    pub fn restart(&mut self) {
        assert!(self.process.is_none(), "it runs");
        let mut command = Self::command(&self.data, self.address);
        if self.options.plain {
            command.arg("--plain");
        }
        if let Some(url) = &self.options.public_url {
            command.args(["--public-url", url]);
        }
        command.args(&self.options.more);
        let mut process = Running::start(command, false);
        let ready = process.await_line("that it is ready", |l| l.starts_with("hearthd ready "));
        let part = |prefix: &str| {
            let word = ready.split_whitespace().find_map(|word| word.strip_prefix(prefix));
            word.and_then(|word| word.parse().ok())
        };
        self.address = part("wss://").or_else(|| part("ws://")).expect("it names its address");
        self.admin = part("admin=http://").expect("it names its admin address");
        self.process = Some(process);
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
