//! Neither program leaves its memory to anybody: no core dump, not by a limit and not by a pipe.

use std::{fs, os::unix::process::ExitStatusExt as _, process::Command, process::Stdio};

use hearth_kit::{Circle, Relay};
use rustix::process::{Pid, Signal, kill_process};

/// Says what a process may dump, in soft and hard limit.
fn core_limits(pid: u32) -> [String; 2] {
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    let mut words = line["Max core file size".len()..].split_whitespace().map(str::to_owned);
    [words.next().unwrap(), words.next().unwrap()]
}

/// Starts something with unlimited core dumps, waits for its first line, and aborts it.
fn aborted(command: &mut Command, limited: bool) {
    use std::io::BufRead as _;
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    std::io::BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let shown = format!("{command:?}: {line}");
    assert_eq!(core_limits(child.id()) == ["0", "0"], limited, "{shown}");
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, Signal::ABORT).unwrap();
    let status = child.wait().unwrap();
    assert_eq!(status.signal(), Some(6), "{shown}");
    assert!(!limited || !status.core_dumped(), "{shown}");
}

#[test]
fn neither_program_dumps_its_memory() {
    // What is not hardened may dump: or else the test shows nothing.
    let ours = core_limits(std::process::id());
    if ours == ["0", "0"] {
        eprintln!("skipped: this machine forbids core dumps to everybody");
        return;
    }
    let mut other = Command::new("sh");
    aborted(other.args(["-c", "echo up; read x"]).stdin(Stdio::piped()), false);
    let folder = tempfile::tempdir().unwrap();
    let address = "127.0.0.1:0".parse().unwrap();
    aborted(&mut Relay::command(&folder.path().join("relay"), address), true);
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    circle.say(&circle.fay, "hello");
    let mut follow = hearth_kit::Person::bare();
    follow.arg("--home").arg(circle.fay.home()).args(["--json", "follow", &circle.room]);
    aborted(&mut follow, true);
}
