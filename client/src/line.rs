//! The interactive console of `hearth chat`: lines that are typed come in, lines that arrive are printed above.
//!
//! On a capable terminal the line being typed is edited and redrawn below whatever arrives. Where that cannot work
//! (standard input or output is no terminal, `TERM=dumb`) or is unwelcome (`HEARTH_PLAIN` is set, for a screen
//! reader, say) lines are read and printed plainly. Typed lines are remembered in memory only, for the arrow keys.

mod ask;
mod plain;

use std::{
    env,
    io::{self, IsTerminal as _, Write as _},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use rustyline::{Config, Editor, ExternalPrinter as _, error::ReadlineError, history::MemHistory};
use tokio::sync::{Notify, mpsc};

pub use ask::{AskError, ask, confirm, read_secret, restore_terminal};

use crate::text::escape;

/// Bytes of one line. Longer ones are refused whole: half a message may say the opposite.
pub const LINE_BYTES_MAX: usize = 64 * 1024;
/// Lines typed ahead. Beyond that reading waits.
const LINES_AHEAD_MAX: usize = 16;
/// Lines that the arrow keys bring back.
const HISTORY_LINES_MAX: usize = 100;
/// Undecodable reads in a row after which the input is given up.
const FAILURES_IN_A_ROW_MAX: usize = 64;
/// Ends the mode in which a terminal marks what is pasted.
const BRACKETED_PASTE_OFF: &str = "\x1b[?2004l";

/// Why a line was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LineError {
    /// More than [`LINE_BYTES_MAX`]; nothing of it was taken.
    #[error("the line is longer than {} KiB; nothing of it was taken", LINE_BYTES_MAX / 1024)]
    TooLong,
    /// Not UTF-8; nothing of it was taken.
    #[error("the line is not valid UTF-8; nothing of it was taken")]
    NotUtf8,
    /// Reading failed; no more lines follow.
    #[error("input failed: {0}")]
    Broken(io::ErrorKind),
}

/// The console; see [`Console::start`].
#[derive(Debug)]
pub struct Console;

impl Console {
    /// Starts reading lines in a thread of its own. There is one console in a process, and while it is open nothing
    /// else reads standard input.
    ///
    /// # Errors
    /// If no thread can be started.
    pub fn start(prompt: &str) -> io::Result<(ConsoleReader, Printer)> {
        ask::remember_terminal();
        let prompt = escape::one_line(prompt);
        let (lines, receiver) = mpsc::channel(LINES_AHEAD_MAX);
        let state = Arc::new(State::default());
        let (editor, sink) = match capable_terminal().then(open_editor).flatten() {
            Some((editor, sink)) => (Some(editor), sink),
            None => (None, Sink::Plain),
        };
        let reader = Reader { prompt, lines, state: state.clone() };
        thread::Builder::new().name("console".into()).spawn(move || match editor {
            Some(editor) => reader.edit(editor),
            None => reader.read(),
        })?;
        let printer = Printer { sink: Arc::new(Mutex::new(sink)), state: state.clone() };
        Ok((ConsoleReader { lines: receiver, state }, printer))
    }
}

/// The lines that are typed. Dropping it restores the terminal.
#[derive(Debug)]
pub struct ConsoleReader {
    lines: mpsc::Receiver<Result<String, LineError>>,
    state: Arc<State>,
}

impl ConsoleReader {
    /// Waits for the next line, without its line feed; a pasted text may hold several. `None` at the end of input,
    /// after Ctrl-C or Ctrl-D, and when standard output is closed. Cancel safe.
    pub async fn next(&mut self) -> Option<Result<String, LineError>> {
        tokio::select! {
            biased;
            line = self.lines.recv() => line,
            () = self.state.closed.notified() => None,
        }
    }
}

impl Drop for ConsoleReader {
    fn drop(&mut self) {
        self.state.stopped.store(true, Ordering::SeqCst);
        restore_terminal();
        if self.state.editing.load(Ordering::SeqCst) {
            // The thread still waits for a key: leave its line and its mode as it would.
            let mut out = io::stdout().lock();
            let _ = writeln!(out, "{BRACKETED_PASTE_OFF}").and_then(|()| out.flush());
        }
    }
}

/// Prints above the line that is being typed. Clones print to the same terminal, one text at a time.
#[derive(Clone)]
pub struct Printer {
    sink: Arc<Mutex<Sink>>,
    state: Arc<State>,
}

impl Printer {
    /// Prints a text of one or more lines. It must be inert: see [`escape`].
    ///
    /// If standard output is closed, [`ConsoleReader::next`] ends instead of an error here.
    pub fn print(&self, text: &str) {
        let mut sink = lock(&self.sink);
        let printed = match &mut *sink {
            Sink::Editor(print) if !self.state.stopped.load(Ordering::SeqCst) => {
                print(format!("{text}\n"))
            }
            Sink::Editor(_) | Sink::Plain => {
                let mut out = io::stdout().lock();
                writeln!(out, "{text}").and_then(|()| out.flush()).is_ok()
            }
        };
        if !printed {
            self.state.closed.notify_one();
        }
    }
}

impl core::fmt::Debug for Printer {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Printer").finish_non_exhaustive()
    }
}

/// Where printed text goes.
enum Sink {
    Plain,
    /// rustyline's printer; its type has no name outside of rustyline.
    Editor(Box<dyn FnMut(String) -> bool + Send>),
}

#[derive(Debug, Default)]
struct State {
    /// The reading thread waits for keys, with the terminal in its own mode.
    editing: AtomicBool,
    /// Nobody wants more lines.
    stopped: AtomicBool,
    /// Standard output is gone.
    closed: Notify,
}

/// The reading thread's side.
struct Reader {
    prompt: String,
    lines: mpsc::Sender<Result<String, LineError>>,
    state: Arc<State>,
}

type LineEditor = Editor<(), MemHistory>;

impl Reader {
    fn edit(self, mut editor: LineEditor) {
        let mut failures = 0;
        while !self.state.stopped.load(Ordering::SeqCst) {
            self.state.editing.store(true, Ordering::SeqCst);
            let read = editor.readline(&self.prompt);
            self.state.editing.store(false, Ordering::SeqCst);
            let line = match read {
                Ok(line) if line.len() > LINE_BYTES_MAX => Err(LineError::TooLong),
                Ok(line) => Ok(line),
                Err(ReadlineError::Io(error)) if error.kind() == io::ErrorKind::InvalidData => {
                    Err(LineError::NotUtf8)
                }
                Err(ReadlineError::Io(error)) => Err(LineError::Broken(error.kind())),
                Err(ReadlineError::Eof | ReadlineError::Interrupted) => return,
                Err(_) => Err(LineError::Broken(io::ErrorKind::Other)),
            };
            failures = if line.is_ok() { 0 } else { failures + 1 };
            if !self.deliver(line) || failures > FAILURES_IN_A_ROW_MAX {
                return;
            }
        }
    }

    fn read(self) {
        let prompts = io::stdin().is_terminal() && io::stdout().is_terminal();
        while !self.state.stopped.load(Ordering::SeqCst) {
            if prompts {
                let mut out = io::stdout().lock();
                let _ = write!(out, "{}", self.prompt).and_then(|()| out.flush());
            }
            let line = match plain::read_line(&mut io::stdin().lock(), LINE_BYTES_MAX) {
                Ok(None) => return,
                Ok(Some(line)) => line,
                Err(error) => Err(LineError::Broken(error.kind())),
            };
            if !self.deliver(line) {
                return;
            }
        }
    }

    /// Hands a line over; false if there is no use in reading on.
    fn deliver(&self, line: Result<String, LineError>) -> bool {
        let broken = matches!(line, Err(LineError::Broken(_)));
        self.lines.blocking_send(line).is_ok() && !broken
    }
}

fn open_editor() -> Option<(LineEditor, Sink)> {
    let config = Config::builder()
        .auto_add_history(true)
        .max_history_size(HISTORY_LINES_MAX)
        .ok()?
        .history_ignore_space(true)
        .build();
    let history = MemHistory::with_config(&config);
    let mut editor = LineEditor::with_history(config, history).ok()?;
    let mut printer = editor.create_external_printer().ok()?;
    Some((editor, Sink::Editor(Box::new(move |text| printer.print(text).is_ok()))))
}

/// Whether lines can be edited in place.
fn capable_terminal() -> bool {
    let named = env::var("TERM").is_ok_and(|term| is_capable(&term));
    let wanted = env::var_os("HEARTH_PLAIN").is_none_or(|value| value.is_empty());
    named && wanted && io::stdin().is_terminal() && io::stdout().is_terminal()
}

fn is_capable(term: &str) -> bool {
    !["", "dumb", "unknown", "cons25", "emacs"].contains(&term)
}

/// Takes a lock even after a panic elsewhere: a terminal has no invariant that a panic breaks.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn console() -> (Reader, ConsoleReader) {
        let (lines, receiver) = mpsc::channel(LINES_AHEAD_MAX);
        let state = Arc::new(State::default());
        let reader = Reader { prompt: String::new(), lines, state: state.clone() };
        (reader, ConsoleReader { lines: receiver, state })
    }

    #[test]
    fn terminals_that_cannot_move_the_cursor_are_plain() {
        assert!(is_capable("xterm-256color") && is_capable("screen"));
        for term in ["dumb", "", "unknown"] {
            assert!(!is_capable(term));
        }
    }

    #[tokio::test]
    async fn lines_come_in_order_and_end_with_their_sender() {
        let (reader, mut console) = console();
        let thread = thread::spawn(move || {
            assert!(reader.deliver(Ok("one".into())));
            assert!(reader.deliver(Err(LineError::TooLong)));
            assert!(!reader.deliver(Err(LineError::Broken(io::ErrorKind::Other))));
        });
        assert_eq!(console.next().await, Some(Ok("one".into())));
        assert_eq!(console.next().await, Some(Err(LineError::TooLong)));
        assert_eq!(console.next().await, Some(Err(LineError::Broken(io::ErrorKind::Other))));
        assert_eq!(console.next().await, None);
        thread.join().unwrap();
    }

    #[tokio::test]
    async fn a_closed_output_ends_the_input() {
        let (reader, mut console) = console();
        let sink = Arc::new(Mutex::new(Sink::Editor(Box::new(|_| false))));
        let printer = Printer { sink, state: reader.state.clone() };
        printer.print("into the void");
        assert_eq!(console.next().await, None);
    }

    #[tokio::test]
    async fn a_dropped_console_stops_its_thread() {
        let (reader, console) = console();
        drop(console);
        assert!(reader.state.stopped.load(Ordering::SeqCst));
        let stopped = thread::spawn(move || reader.deliver(Ok("late".into())));
        assert!(!stopped.join().unwrap());
    }
}
