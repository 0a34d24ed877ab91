//! Faults at single system calls, by `strace`: the n-th sync or write of each thread fails, or is the last thing done.

use std::{
    collections::{HashMap, HashSet},
    ffi::OsString,
    fmt, fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
};

use rustix::{
    fs::{CWD, FileType, Mode, mknodat},
    process::{Pid, Signal, kill_process},
};
use tempfile::TempDir;

use crate::DEADLINE;
use crate::skip::{lacks, skipped};

/// What makes something durable, by which a process can be enumerated.
pub const SYNCS: &str = "fsync,fdatasync";
/// What changes a disk, and what else is written: a kill may come anywhere.
pub const CHANGES: &str = "fsync,fdatasync,pwrite64,write,ftruncate,unlink,unlinkat,link,linkat,rename,renameat,renameat2";
/// What changes a disk and nothing else, so that an error is one of a disk. `write` also wakes threads, by an eventfd
/// that never fails: see [`Injection::under_at`] for it.
pub const DISK_CHANGES: &str =
    "fsync,fdatasync,pwrite64,ftruncate,unlink,unlinkat,link,linkat,rename,renameat,renameat2";

/// What happens at some calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The call fails with this error and does nothing.
    Error(&'static str),
    /// The process is killed as it enters the call.
    Kill,
}

/// Which calls, and what happens to them.
#[derive(Clone, Copy, Debug)]
pub struct Injection {
    /// Names of calls, with commas.
    pub calls: &'static str,
    /// What happens.
    pub fault: Fault,
    /// At which of them, counted from 1 for each thread by itself.
    pub nth: usize,
    /// At all later ones, too.
    pub and_after: bool,
}

impl fmt::Display for Injection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { calls, nth, .. } = self;
        match self.fault {
            Fault::Error(error) => write!(f, "{calls}:error={error}:when={nth}")?,
            Fault::Kill => write!(f, "{calls}:signal=KILL:when={nth}")?,
        }
        f.write_str(if self.and_after { "+" } else { "" })
    }
}

impl Injection {
    /// Returns the command line in front of a program's own that injects this. The program keeps its process number;
    /// who traces it is another process. The record of calls goes to a file.
    pub fn under(&self, record: &Path) -> Vec<OsString> {
        self.under_at(record, &[])
    }

    /// Does so at calls that concern one of some files alone; they need not be there yet. At all if there are none.
    pub fn under_at(&self, record: &Path, files: &[PathBuf]) -> Vec<OsString> {
        let mut words: Vec<OsString> = ["strace", "-D", "-f", "-q"].map(Into::into).into();
        if self.fault != Fault::Kill {
            // Other calls then run at full speed; a signal alone is not delivered that way (strace 6.1).
            words.push("--seccomp-bpf".into());
        }
        // What is recorded beyond it tells what became of the files.
        let trace = format!("trace={},openat,close", CHANGES);
        words.extend(["-e".into(), trace.into(), "-e".into(), format!("inject={self}").into()]);
        words.extend(["-e".into(), "signal=none".into(), "-o".into(), record.into()]);
        words.extend(files.iter().flat_map(|file| ["-P".into(), file.into()]));
        words
    }
}

/// The record of one process's calls, by a pipe: whoever traces is no child of the test and still writes when the process
/// is gone, and its end is the pipe's.
pub struct Record {
    folder: TempDir,
    text: Receiver<String>,
}

impl Record {
    /// Makes a record for one process.
    #[expect(clippy::new_without_default, reason = "it starts a thread")]
    pub fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let (path, (sender, text)) = (folder.path().join("record"), channel());
        mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        std::thread::spawn(move || {
            // The receiver is gone if nobody wants to know.
            let _ = fs::read(path).map(|bytes| sender.send(String::from_utf8_lossy(&bytes).into()));
        });
        Self { folder, text }
    }

    /// Where it is written.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("record")
    }

    /// Waits until the process and whoever traced it have ended; returns the record.
    pub fn end(self) -> String {
        self.text.recv_timeout(DEADLINE).expect("the record ends with the process")
    }
}

/// A running process whose changes of the disk all fail. They work again once this is dropped.
pub struct Meanwhile(Child);

impl Meanwhile {
    /// Begins; returns when it has begun.
    pub fn failing(pid: u32, error: &str) -> Self {
        let mut strace = Command::new("strace");
        strace.args(["-f", "-e", &format!("trace={DISK_CHANGES}"), "-e", "signal=none"]);
        strace.args(["-e", &format!("inject={DISK_CHANGES}:error={error}"), "-o", "/dev/null"]);
        strace.args(["-p", &pid.to_string()]).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut strace = strace.spawn().unwrap();
        let mut says = BufReader::new(strace.stderr.take().expect("it is piped"));
        let mut line = String::new();
        says.read_line(&mut line).unwrap();
        assert!(line.contains("attached"), "{line}");
        // What it says later is of no use, and must find a place all the same.
        std::thread::spawn(move || says.lines().for_each(drop));
        Self(strace)
    }
}

impl Drop for Meanwhile {
    fn drop(&mut self) {
        // It lets go of the process before it ends.
        let _ = kill_process(Pid::from_child(&self.0), Signal::TERM);
        let _ = self.0.wait();
    }
}

/// Whether a call of a record failed as told. A kill is no part of a record: the process's end shows it.
pub fn failed(record: &str) -> bool {
    record.contains("(INJECTED)")
}

/// Whether calls can be traced here; says so if not.
pub fn possible() -> bool {
    let mut probe = Command::new("strace");
    probe.args(["-D", "-f", "-qq", "--seccomp-bpf", "-o", "/dev/null", "true"]);
    probe.stdout(Stdio::null()).stderr(Stdio::null());
    match probe.status() {
        Ok(status) if status.success() => true,
        Ok(_) => {
            skipped("no right to trace here");
            false
        }
        Err(_) => {
            lacks("strace");
            false
        }
    }
}

/// Finds syncs of a file that had failed to sync before, with no close in between.
///
/// After a failed sync the kernel may call the pages clean that it did not write: a second one succeeds without them.
pub fn syncs_after_failure(record: &str) -> Vec<String> {
    let mut failed: HashSet<&str> = HashSet::new();
    // A call that another thread interrupts in the record is told in two lines, and only the first names the file.
    let mut under_way: HashMap<&str, &str> = HashMap::new();
    let mut found = Vec::new();
    for line in record.lines() {
        let Some((thread, call)) = line.split_once(' ') else { continue };
        let call = call.trim_start();
        let of = |name: &str| {
            let rest = call.strip_prefix(name)?.strip_prefix('(')?;
            rest.split_once([')', ',', ' ']).map(|(fd, _)| fd)
        };
        if let Some(fd) = of("close") {
            failed.remove(fd);
            continue;
        }
        if let Some(fd) = of("fsync").or_else(|| of("fdatasync")) {
            if failed.contains(fd) {
                found.push(line.to_owned());
            }
            under_way.insert(thread, fd);
        } else if !["<... fsync ", "<... fdatasync "].iter().any(|name| call.starts_with(name)) {
            continue;
        }
        if call.contains(" = -1 ")
            && let Some(fd) = under_way.get(thread)
        {
            failed.insert(fd);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sync_after_a_failed_one_is_found() {
        let failed = "7  fsync(3)    = -1 EIO (Input/output error) (INJECTED)\n";
        let in_two = "7  fsync(3 <unfinished ...>\n8  fsync(4)    = 0\n\
                      7  <... fsync resumed>)    = -1 EIO (Input/output error) (INJECTED)\n";
        for failed in [failed, in_two] {
            let after = |more: &str| syncs_after_failure(&format!("{failed}{more}")).len();
            assert_eq!(after("8  fdatasync(3)    = 0\n"), 1);
            assert_eq!(after("8  fdatasync(3 <unfinished ...>\n"), 1);
            assert_eq!(after("7  fdatasync(33)    = 0\n"), 0);
            assert_eq!(after("8  close(3 <unfinished ...>\n7  fsync(3)    = 0\n"), 0);
        }
    }
}
