//! The machine: which core runs what, and what a process used of it.

use std::{
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    time::Duration,
};

use hearth_protocol::{Secret32, invite::Grant};
use rustix::{
    process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit},
    thread::{CpuSet, sched_setaffinity},
};

use super::{naive::Baseline, wire::Target};
use crate::binary::binary;

/// Ticks of `/proc/PID/stat` in a second (`USER_HZ`, fixed on Linux).
const TICKS_PER_SECOND: f64 = 100.0;

/// Runs this thread, and what it starts from now on, on one core.
pub fn pin_to(core: usize) {
    let mut set = CpuSet::new();
    set.set(core);
    // A machine with one core has nothing to choose.
    let _ = sched_setaffinity(None, &set);
}

/// Lets everybody else go first with this thread's processor time.
pub fn be_modest() {
    // Linux counts niceness by thread; where it cannot be changed, the machine is only busier.
    let _ = rustix::process::nice(19);
}

/// Lets this process, and what it starts, open as many files as the system allows.
pub fn raise_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    // Where the limit stands already, there is nothing to raise.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}

/// Whether the relay under test lies beside a program, so that one build made both.
pub fn is_built_beside(program: &Path) -> bool {
    let folder = |path: &Path| path.parent().and_then(|folder| folder.canonicalize().ok());
    folder(&binary("hearthd")).is_some_and(|relay| folder(program) == Some(relay))
}

/// What a process used so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// Seconds of processor time, in user and kernel mode.
    pub cpu: f64,
    /// Bytes resident.
    pub resident: u64,
    /// Bytes of these that are the process's own: not pages of files, which come and go with what else the machine does.
    pub own: u64,
    /// Bytes that it caused to be written to disk; `None` where this machine does not tell.
    pub written: Option<u64>,
}

/// A thread of a process.
#[derive(Clone, Debug)]
pub struct Thread {
    /// Its number.
    pub id: u32,
    /// Its name, as far as the kernel keeps it: 15 bytes.
    pub name: String,
    /// Seconds of processor time, in user and kernel mode.
    pub cpu: f64,
}

/// Reads what a process used.
pub fn usage(pid: u32) -> Usage {
    let read =
        |file: &str| std::fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let (_, ticks) = parsed(&read("stat")).unwrap_or_default();
    let statm = read("statm");
    let bytes = |index: usize| {
        let pages = statm.split_whitespace().nth(index).and_then(|p| p.parse::<u64>().ok());
        pages.unwrap_or(0) * rustix::param::page_size() as u64
    };
    let io = read("io");
    let written = io.lines().find_map(|line| line.strip_prefix("write_bytes: "));
    Usage {
        // The threads' own count is finer, and misses threads that ended.
        cpu: threads(pid).iter().map(|thread| thread.cpu).sum::<f64>().max(ticks),
        resident: bytes(1),
        own: bytes(1).saturating_sub(bytes(2)),
        written: written.and_then(|bytes| bytes.parse().ok()),
    }
}

/// Reads what each thread of a process used, those that ended left out.
pub fn threads(pid: u32) -> Vec<Thread> {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return vec![] };
    let thread = |task: std::fs::DirEntry| {
        let (name, ticks) = parsed(&std::fs::read_to_string(task.path().join("stat")).ok()?)?;
        // The scheduler's own count in nanoseconds, where the kernel keeps it.
        let nanos = std::fs::read_to_string(task.path().join("schedstat"))
            .ok()
            .and_then(|text| text.split_whitespace().next()?.parse::<f64>().ok());
        let id = task.file_name().to_str()?.parse().ok()?;
        Some(Thread { id, name, cpu: nanos.map_or(ticks, |nanos| nanos / 1e9) })
    };
    tasks.flatten().filter_map(thread).collect()
}

/// Takes a name and seconds of processor time out of a `stat` file.
fn parsed(stat: &str) -> Option<(String, f64)> {
    // The name may hold anything, parentheses too.
    let (before, after) = stat.rsplit_once(')')?;
    let (_, name) = before.split_once('(')?;
    let ticks = after.split_whitespace().skip(11).take(2).map(|field| field.parse::<f64>().ok());
    Some((name.to_owned(), ticks.sum::<Option<f64>>()? / TICKS_PER_SECOND))
}

/// A server under test, in a process of its own; stopped when dropped.
pub struct Server {
    child: Child,
    // Kept open: a server that prints must not meet a closed pipe.
    _out: BufReader<ChildStdout>,
    /// Where it listens.
    pub target: Target,
    data: Option<tempfile::TempDir>,
}

impl Server {
    /// Starts a real relay on a core, without limits that one address would meet.
    pub fn hearthd(core: Option<usize>) -> Self {
        Self::hearthd_in(core, tempfile::tempdir().unwrap())
    }

    fn hearthd_in(core: Option<usize>, data: tempfile::TempDir) -> Self {
        let mut command = Command::new(binary("hearthd"));
        command.env_clear().env("HEARTHD_LOG", "error").arg("--data-dir").arg(data.path());
        command.args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]);
        command.args(["--connections-per-ip", "1000000", "--frames-per-second", "1000000"]);
        command.args(["--frames-burst", "1000000"]);
        // In the environment, so that a relay that has no such limits can be measured alike.
        for name in ["MEMBER_BYTES_PER_SECOND", "MEMBER_BYTES_BURST", "ROOM_BYTES_MAX"] {
            command.env(format!("HEARTHD_{name}"), (1_u64 << 40).to_string());
        }
        Self::start(command, core, Some(data), "hearthd ready wss://")
    }

    /// Starts a real relay with the limits it has by itself, or others given as flags.
    pub fn limited(more: &[&str]) -> Self {
        let data = tempfile::tempdir().unwrap();
        let mut command = Command::new(binary("hearthd"));
        command.env_clear().arg("--data-dir").arg(data.path()).args(more);
        command.args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]);
        command.stderr(Stdio::null());
        Self::start(command, None, Some(data), "hearthd ready wss://")
    }

    /// Stops the relay and starts it again with what it has stored, on another port.
    pub fn restart(mut self, core: Option<usize>) -> Self {
        let data = self.data.take().unwrap();
        drop(self);
        Self::hearthd_in(core, data)
    }

    /// Kills the relay and starts it again with what it has stored, on another port.
    pub fn killed_and_started(mut self) -> Self {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let data = self.data.take().unwrap();
        drop(self);
        Self::hearthd_in(None, data)
    }

    /// Starts a baseline on a core, out of the program `load`.
    pub fn baseline(load: &Path, baseline: Baseline, core: Option<usize>) -> Self {
        let mut command = Command::new(load);
        command.arg(baseline.name());
        Self::start(command, core, None, &format!("{} ready wss://", baseline.name()))
    }

    fn start(
        mut command: Command,
        core: Option<usize>,
        data: Option<tempfile::TempDir>,
        ready: &str,
    ) -> Self {
        raise_descriptors();
        command.stdout(Stdio::piped()).stdin(Stdio::null());
        // A thread of its own: the child keeps the core that the thread was pinned to, and we do not.
        let starter = std::thread::spawn(move || {
            if let Some(core) = core {
                pin_to(core);
            }
            command.spawn().unwrap()
        });
        let mut child = starter.join().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        let address: SocketAddr = line
            .strip_prefix(ready)
            .and_then(|rest| rest.split_whitespace().next()?.parse().ok())
            .unwrap_or_else(|| panic!("it said {line:?}"));
        Self { child, _out: out, target: Target::new(address), data }
    }

    /// Makes a grant for many large rooms.
    pub fn grant(&self) -> Secret32 {
        Grant::parse(&self.grant_link()).unwrap().secret
    }

    /// Makes a grant for many large rooms, as a link.
    pub fn grant_link(&self) -> String {
        let mut command = Command::new(binary("hearthd"));
        command.args(["grant", "--rooms", "100000", "--members", "1000", "--data-dir"]);
        let out = command.arg(self.data().unwrap()).output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap().trim().to_owned()
    }

    /// Its folder, if it keeps anything.
    pub fn data(&self) -> Option<&Path> {
        self.data.as_ref().map(tempfile::TempDir::path)
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Descriptors that it has open; `None` where this machine does not let others count them.
    pub fn descriptors(&self) -> Option<usize> {
        Some(std::fs::read_dir(format!("/proc/{}/fd", self.pid())).ok()?.count())
    }

    /// What it used so far.
    pub fn usage(&self) -> Usage {
        usage(self.child.id())
    }

    /// What each of its threads used so far.
    pub fn threads(&self) -> Vec<Thread> {
        threads(self.child.id())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // It may be gone already.
            let _ = kill_process(pid, Signal::TERM);
        }
        let end = std::time::Instant::now() + Duration::from_secs(10);
        while std::time::Instant::now() < end {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::yield_now();
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thread_name_may_hold_parentheses() {
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194560 97 0 0 0 250 50 0 0 20 0 1 0 5";
        assert_eq!(parsed(stat), Some(("a) b (c)".to_owned(), 3.0)));
        assert_eq!(parsed("7 (a) S 1"), Some(("a".to_owned(), 0.0)));
        assert_eq!(parsed(""), None);
    }

    #[test]
    fn own_threads_are_told_by_name() {
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let named = std::thread::Builder::new().name("seen-by-name".to_owned());
        let thread = named.spawn(move || stopped.recv()).unwrap();
        let seen = || threads(std::process::id()).iter().any(|t| t.name == "seen-by-name");
        // A thread takes its name once it runs.
        let end = std::time::Instant::now() + Duration::from_secs(10);
        while !seen() && std::time::Instant::now() < end {
            std::thread::yield_now();
        }
        assert!(seen());
        drop(stop);
        assert!(thread.join().unwrap().is_err());
    }
}
