//! A process whose output is read line by line, with deadlines.

use std::{
    io::{BufRead as _, BufReader, Read, Write as _},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::DEADLINE;

/// What a process said or did.
enum Event {
    Out(Vec<u8>),
    Err(Vec<u8>),
    /// One of the two outputs is closed.
    Closed,
}

/// A process under way. Dropping it kills it.
pub struct Running {
    what: String,
    child: Child,
    stdin: Option<ChildStdin>,
    events: Receiver<Event>,
    open: u8,
    out: Vec<Vec<u8>>,
    err: Vec<Vec<u8>>,
    /// Lines of standard output that were waited for already.
    seen: usize,
}

/// What is left of a process.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Exit code; `None` after a signal.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Running {
    /// Starts a command; its standard input is a pipe or closed.
    pub fn start(mut command: Command, with_input: bool) -> Self {
        let what = format!("{command:?}");
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.stdin(if with_input { Stdio::piped() } else { Stdio::null() });
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{what}: {error}"));
        let (sender, events) = channel();
        read(child.stdout.take().expect("it is piped"), sender.clone(), Event::Out);
        read(child.stderr.take().expect("it is piped"), sender, Event::Err);
        let stdin = child.stdin.take();
        Self { what, child, stdin, events, open: 2, out: vec![], err: vec![], seen: 0 }
    }

    /// Writes a line to standard input.
    pub fn type_line(&mut self, line: &str) {
        self.type_bytes(format!("{line}\n").as_bytes());
    }

    /// Writes bytes to standard input.
    pub fn type_bytes(&mut self, bytes: &[u8]) {
        let stdin = self.stdin.as_mut().expect("started with an input that is still open");
        // The process may be gone; what it left shows why.
        let _ = stdin.write_all(bytes).and_then(|()| stdin.flush());
    }

    /// Closes standard input.
    pub fn close_input(&mut self) {
        self.stdin = None;
    }

    /// Waits for the next line of standard output that fits; earlier ones are skipped.
    pub fn await_line(&mut self, wanted: &str, fits: impl FnMut(&str) -> bool) -> String {
        self.next_line(fits).unwrap_or_else(|| {
            let (out, err) = self.texts();
            panic!("{}\nnever said {wanted}\nout: {out}\nerr: {err}", self.what)
        })
    }

    /// Waits for the next line of standard output that fits; nothing if it ends, or lets the deadline pass.
    pub fn next_line(&mut self, mut fits: impl FnMut(&str) -> bool) -> Option<String> {
        let end = Instant::now() + DEADLINE;
        loop {
            while let Some(line) = self.out.get(self.seen) {
                self.seen += 1;
                let line = String::from_utf8_lossy(line);
                if fits(&line) {
                    return Some(line.into_owned());
                }
            }
            if self.step(end) != Step::More {
                return None;
            }
        }
    }

    /// Waits for a line of standard error that holds some words.
    pub fn await_remark(&mut self, words: &str) {
        let end = Instant::now() + DEADLINE;
        loop {
            let (out, err) = self.texts();
            if err.contains(words) {
                return;
            }
            if self.step(end) != Step::More {
                panic!("{}\nnever remarked {words}\nout: {out}\nerr: {err}", self.what);
            }
        }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to stop.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Kills it, as a power cut does.
    pub fn kill(mut self) -> Ended {
        // It may be gone already.
        let _ = self.child.kill();
        self.wait()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        // It may be gone already; it is not reaped before `wait`, so the number is still its own.
        let _ = kill_process(pid.expect("a child has a process id"), signal);
    }

    /// Waits for its end; kills it and fails at the deadline.
    pub fn wait(mut self) -> Ended {
        self.close_input();
        self.wait_open()
    }

    /// Waits for its end with standard input left open.
    pub fn wait_open(mut self) -> Ended {
        let end = Instant::now() + DEADLINE;
        loop {
            match self.step(end) {
                Step::More => {}
                Step::Ended => break,
                Step::Late => {
                    let _ = self.child.kill();
                    let (out, err) = self.texts();
                    panic!("{}\ndid not end\nout: {out}\nerr: {err}", self.what);
                }
            }
        }
        // Both outputs are closed: it ends now.
        let code = self.child.wait().expect("a child can be waited for").code();
        let (stdout, stderr) = self.texts();
        Ended { code, stdout, stderr }
    }

    /// Takes in what it said so far, without waiting; returns standard output and standard error.
    pub fn said(&mut self) -> (String, String) {
        while self.step(Instant::now()) == Step::More {}
        self.texts()
    }

    fn texts(&self) -> (String, String) {
        let text = |lines: &[Vec<u8>]| String::from_utf8_lossy(&lines.concat()).into_owned();
        (text(&self.out), text(&self.err))
    }

    fn step(&mut self, end: Instant) -> Step {
        if self.open == 0 {
            return Step::Ended;
        }
        let left = end.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        match self.events.recv_timeout(left) {
            Ok(Event::Out(line)) => self.out.push(line),
            Ok(Event::Err(line)) => self.err.push(line),
            Ok(Event::Closed) => self.open -= 1,
            Err(RecvTimeoutError::Timeout) => return Step::Late,
            Err(RecvTimeoutError::Disconnected) => self.open = 0,
        }
        Step::More
    }
}

#[derive(PartialEq, Eq)]
enum Step {
    More,
    Ended,
    Late,
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read(from: impl Read + Send + 'static, to: Sender<Event>, event: fn(Vec<u8>) -> Event) {
    std::thread::spawn(move || {
        let mut reader = BufReader::new(from);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
            // Nobody waits any more when the receiver is gone; reading on keeps the process from blocking.
            let _ = to.send(event(std::mem::take(&mut line)));
        }
        let _ = to.send(Event::Closed);
    });
}
