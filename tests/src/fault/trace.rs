//! Faults at single system calls, by `strace`: the n-th sync or write of each thread fails, or is the last thing done.

use std::{
    ffi::OsString,
    fmt,
    path::Path,
    process::{Command, Stdio},
};

use super::skipped;

/// What makes something durable, by which a process can be enumerated.
pub const SYNCS: &str = "fsync,fdatasync";
/// What changes a disk.
pub const CHANGES: &str =
    "fsync,fdatasync,pwrite64,write,ftruncate,unlink,unlinkat,rename,renameat,renameat2";

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
        let mut words: Vec<OsString> = ["strace", "-D", "-f", "-q"].map(Into::into).into();
        if self.fault != Fault::Kill {
            // Other calls then run at full speed; a signal alone is not delivered that way (strace 6.1).
            words.push("--seccomp-bpf".into());
        }
        // What is recorded beyond it tells what became of the files.
        let trace = format!("trace={},openat,close", CHANGES);
        words.extend(["-e".into(), trace.into(), "-e".into(), format!("inject={self}").into()]);
        words.extend(["-e".into(), "signal=none".into(), "-o".into(), record.into()]);
        words
    }
}

/// Whether the fault of a record was met; not to be asked after a process was killed from outside.
pub fn met(record: &str) -> bool {
    record.contains("(INJECTED)") || record.contains("+++ killed by SIGKILL")
}

/// Whether calls can be traced here; says so if not.
pub fn possible() -> bool {
    let mut probe = Command::new("strace");
    probe.args(["-D", "-f", "-qq", "--seccomp-bpf", "-o", "/dev/null", "true"]);
    probe.stdout(Stdio::null()).stderr(Stdio::null());
    let possible = probe.status().is_ok_and(|status| status.success());
    if !possible {
        skipped("no strace here, or no right to trace");
    }
    possible
}

/// Finds syncs of a file that had failed to sync before, with no close in between.
///
/// After a failed sync the kernel may call the pages clean that it did not write: a second one succeeds without them.
pub fn syncs_after_failure(record: &str) -> Vec<String> {
    let mut failed: Vec<&str> = Vec::new();
    let mut found = Vec::new();
    for line in record.lines() {
        let Some((_, call)) = line.split_once(' ') else { continue };
        let call = call.trim_start();
        let of = |name: &str| {
            let rest = call.strip_prefix(name)?.strip_prefix('(')?;
            rest.split_once([')', ',']).map(|(fd, _)| fd.trim_end_matches(" <unfinished ..."))
        };
        if let Some(fd) = of("close") {
            failed.retain(|other| *other != fd);
        } else if let Some(fd) = of("fsync").or_else(|| of("fdatasync")) {
            if failed.contains(&fd) {
                found.push(line.to_owned());
            }
            if call.contains("(INJECTED)") {
                failed.push(fd);
            }
        }
    }
    found
}
