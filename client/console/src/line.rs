//! The interactive console of `hearth chat`: it reads typed lines, and prints arriving lines above the typed one.
//!
//! On a capable terminal the typed line is edited and redrawn below the output. Where that cannot work (standard input or
//! output is not a terminal, `TERM=dumb`) or is unwelcome (`HEARTH_PLAIN` is set, for example for a screen reader) lines
//! are read and printed plainly. The history for the arrow keys is kept in memory only.

mod ask;
mod edit;
mod plain;

use std::{
    env,
    io::{self, IsTerminal as _, Read as _, Write as _},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use edit::{LineEditor, Typed};
use rustix::termios::tcgetwinsize;
use tokio::{
    signal::unix::Signal,
    sync::{Notify, mpsc},
    time::{sleep, timeout},
};

pub use ask::leave_terminal_and_exit;
pub use ask::{
    AskError, ask, confirm, drop_typed, leave_alternate_screen, read_pasted, read_secret,
    restore_terminal, show_pages,
};

use hearth_text::escape;

use crate::signals;

/// Bytes of one line. A longer line is refused whole, because half a message may mean the opposite.
pub const LINE_BYTES_MAX: usize = 64 * 1024;
/// Lines typed ahead. The thread stops reading at this number.
const LINES_AHEAD_MAX: usize = 16;
/// Undecodable reads in a row after which reading ends.
const FAILURES_IN_A_ROW_MAX: usize = 1024;
/// Bytes of one read. The line is drawn once for all of them.
const READ_BYTES: usize = 4096;
/// Columns of a terminal that does not report its width.
const COLUMNS_DEFAULT: usize = 80;
/// Makes the terminal mark a paste, so that a pasted line feed sends nothing.
const BRACKETED_PASTE_ON: &str = "\x1b[?2004h";
const BRACKETED_PASTE_OFF: &str = "\x1b[?2004l";
/// Message after Ctrl-C in a line.
const PUT_AWAY: &str =
    "-- the line was put away: the Up key brings it back. Ctrl-C again ends the chat.";
/// Takes everything from the screen, and the cursor to its top.
const ERASE_SCREEN: &str = "\x1b[H\x1b[2J";
const BELL: &str = "\x07";
const ERASE_ROW: &str = "\r\x1b[K";
/// Takes the rows that have left the screen, too: after [`ERASE_SCREEN`], which moves the rows there on some terminals.
const ERASE_SCROLLBACK: &str = "\x1b[3J";
/// Time within which a terminal says where its cursor is.
const CURSOR_WAIT: Duration = Duration::from_secs(1);
/// Time within which a terminal hands over the beginning of a line.
const BEGUN_WAIT: Duration = Duration::from_millis(200);

/// Reasons to refuse a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// More than [`LINE_BYTES_MAX`]; refused whole.
    #[error("the line is longer than {} KiB; nothing of it was taken", LINE_BYTES_MAX / 1024)]
    TooLong,
    /// Not UTF-8; refused whole.
    #[error("the line is not valid UTF-8; nothing of it was taken")]
    NotUtf8,
    /// Reading failed; no more lines follow.
    #[error("what is typed cannot be read any more")]
    Broken(io::ErrorKind),
}

/// The console; see [`Console::start`].
#[derive(Debug)]
pub struct Console;

impl Console {
    /// Starts a thread that reads lines. A process has one console, and while it is open nothing else may read standard
    /// input.
    ///
    /// With `alternate`, a terminal that can edit lines displays its alternate screen meanwhile.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub fn start(prompt: &str, alternate: bool) -> io::Result<(ConsoleReader, Printer)> {
        let (lines, receiver) = mpsc::channel(LINES_AHEAD_MAX);
        let editor = if capable_terminal() && ask::key_by_key() {
            Some(LineEditor::new(prompt))
        } else {
            None
        };
        let edits = editor.is_some();
        let alternate = edits && alternate;
        let shared =
            Arc::new(Shared { editor: Mutex::new(editor), alternate, ..Shared::default() });
        // From here on, dropping the reader restores the terminal.
        let console = ConsoleReader { lines: receiver, received: 0, shared: shared.clone() };
        if edits {
            if alternate {
                ask::show_alternate_screen();
            }
            shared.write(BRACKETED_PASTE_ON);
        }
        let reader = Reader { lines, shared: shared.clone() };
        if edits {
            let shared = Arc::downgrade(&shared);
            signals::follow_size(|sizes| Shared::follow_size(shared, sizes))?;
        }
        let prompt = escape::one_line(prompt);
        thread::Builder::new()
            .name("console".into())
            .spawn(move || if edits { reader.edit() } else { reader.read(&prompt) })?;
        Ok((console, Printer { shared }))
    }
}

/// The typed lines. Dropping it restores the terminal.
#[derive(Debug)]
pub struct ConsoleReader {
    lines: mpsc::Receiver<Result<String, LineError>>,
    /// Number of lines returned.
    received: usize,
    shared: Arc<Shared>,
}

impl ConsoleReader {
    /// Waits for the next line, without its line feed; a pasted text may hold several. `None` at the end of input, after
    /// Ctrl-C or Ctrl-D on an empty line, and when standard output is closed. Cancel safe.
    pub async fn next(&mut self) -> Option<Result<String, LineError>> {
        tokio::select! {
            biased;
            line = self.lines.recv() => {
                self.received += 1;
                line
            }
            () = self.shared.closed.notified() => None,
        }
    }

    /// Ends the console, and returns the lines that were entered and not yet returned.
    pub async fn typed_ahead(mut self) -> Vec<String> {
        self.shared.finish();
        self.take_typed_ahead().await
    }

    /// Whether a person types at a terminal, so that later keys would go to the shell.
    pub fn is_at_terminal(&self) -> bool {
        io::stdin().is_terminal() && io::stdout().is_terminal()
    }

    /// Whether lines are edited in place, so that an unfinished line can be dropped.
    pub fn edits(&self) -> bool {
        lock(&self.shared.editor).is_some()
    }

    /// Returns what tells that a key is pressed.
    pub fn keys(&self) -> Keys {
        Keys { shared: self.shared.clone() }
    }

    /// Whether more of a line was typed since the last call at a terminal that edits lines by itself, and keeps them until Enter.
    /// The terminal cannot delete that part of the line after this.
    pub async fn has_more_begun(&self) -> bool {
        if self.edits() || !self.is_at_terminal() || ask::hand_over_line().is_err() {
            return false;
        }
        let more = timeout(BEGUN_WAIT, self.shared.keys.notified()).await.is_ok();
        ask::edit_lines_again();
        more
    }

    /// Takes the line that is being typed from the screen and goes back from the alternate screen: nothing more is said here.
    /// Lines go on to come, so that they do not go to the shell. Returns what was being typed.
    pub async fn stop_talking(&self, prompt: &str) -> String {
        self.has_more_begun().await;
        let mut editor = lock(&self.shared.editor);
        let words = match editor.as_ref() {
            Some(editor) => editor.words(),
            None => String::from_utf8_lossy(&std::mem::take(&mut *lock(&self.shared.begun))).into(),
        };
        if editor.is_some() {
            *editor = Some(LineEditor::unseen(prompt));
            self.shared.write(ERASE_ROW);
        }
        leave_alternate_screen();
        words
    }

    /// Takes what is on the screen from it, where lines are edited.
    pub fn hide(&self) {
        if self.edits() {
            self.shared.write(ERASE_SCREEN);
        }
    }

    /// Waits for Enter on an empty line, asking again after any other line, or for the end of the input. Keys until then are
    /// dropped.
    pub async fn await_enter(mut self, ask: impl Fn()) {
        loop {
            match self.next().await {
                None | Some(Err(LineError::Broken(_))) => break,
                Some(Ok(line)) if line.trim().is_empty() => break,
                Some(_) => ask(),
            }
        }
        ask::forget_typed();
    }

    /// Returns the lines that were entered and not yet returned.
    pub async fn take_typed_ahead(&mut self) -> Vec<String> {
        // A line entered before the end is in the channel, or the thread is about to put it there.
        let count = self.shared.entered.load(Ordering::SeqCst).saturating_sub(self.received);
        let mut lines = Vec::new();
        for _ in 0..count {
            let Some(line) = self.lines.recv().await else { break };
            self.received += 1;
            lines.extend(line);
        }
        lines
    }
}

impl Drop for ConsoleReader {
    fn drop(&mut self) {
        self.shared.finish();
    }
}

/// Tells that keys are pressed, where lines are edited.
#[derive(Debug)]
pub struct Keys {
    shared: Arc<Shared>,
}

impl Keys {
    /// Waits for a key, or for several at once. Cancel safe.
    pub async fn pressed(&self) {
        self.shared.keys.notified().await;
    }
}

/// Where a text is that was given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GivenBack {
    /// In the line, as a draft.
    Line,
    /// In the history, because something else is being typed.
    History,
}

/// Prints above the line that is being typed. Clones print to the same terminal, one text at a time.
#[derive(Clone, Debug)]
pub struct Printer {
    shared: Arc<Shared>,
}

impl Printer {
    /// Puts an entered text back into the line as a draft; if the line is not empty, into the history. Returns `None` if lines are
    /// not edited.
    pub fn give_back(&self, text: &str) -> Option<GivenBack> {
        let mut editor = lock(&self.shared.editor);
        let editor = editor.as_mut()?;
        let place = editor.give_back(text);
        self.shared.write(&editor.draw(drawn_columns()));
        Some(place)
    }

    /// Takes lines from the history of the arrow keys, and the one that is recalled if it is among them.
    pub fn forget(&self, is_gone: impl Fn(&str) -> bool) {
        if let Some(editor) = &mut *lock(&self.shared.editor) {
            editor.forget(is_gone);
            self.shared.write(&editor.draw(drawn_columns()));
        }
    }

    /// Takes everything from the screen but the line that is being typed, and from the rows that have left it; false if lines
    /// are not edited.
    pub fn clear(&self) -> bool {
        let mut editor = lock(&self.shared.editor);
        let Some(editor) = &mut *editor else { return false };
        // Nothing leaves the alternate screen; what has left the main one was there before the chat.
        let left = if self.shared.alternate { "" } else { ERASE_SCROLLBACK };
        let line = editor.draw(drawn_columns());
        self.shared.write(&format!("{ERASE_SCREEN}{left}{line}"));
        true
    }

    /// Returns the columns of the terminal, where lines are edited.
    pub fn columns(&self) -> Option<usize> {
        lock(&self.shared.editor).as_ref().map(|_| drawn_columns())
    }

    /// Rings the terminal's bell.
    pub fn ring(&self) {
        let _editor = lock(&self.shared.editor);
        if io::stdout().is_terminal() {
            self.shared.write(BELL);
        }
    }

    /// Prints a text of one or more lines. It must be inert: see [`escape`].
    ///
    /// If standard output is closed, [`ConsoleReader::next`] ends instead of an error here.
    pub fn print(&self, text: &str) {
        let mut editor = lock(&self.shared.editor);
        match &mut *editor {
            Some(editor) => {
                let line = editor.draw(drawn_columns());
                self.shared.write(&format!("{ERASE_ROW}{text}\n{line}"));
            }
            // Late output must not be all that remains on a screen that other programs use.
            None if self.shared.alternate => {}
            None => self.shared.write(&format!("{text}\n")),
        }
    }
}

/// State that the reader and all printers share. Writing to the terminal needs the editor's lock.
#[derive(Debug, Default)]
struct Shared {
    /// The line on the screen; `None` for plain lines, and after the end.
    editor: Mutex<Option<LineEditor>>,
    /// What was handed over of a plain line that is not ended.
    begun: Mutex<Vec<u8>>,
    /// Whether the alternate screen was displayed; it ends with the editor, and later output is dropped.
    alternate: bool,
    /// Number of entered lines.
    entered: AtomicUsize,
    /// Reading should end.
    stopped: AtomicBool,
    /// A key was pressed.
    keys: Notify,
    /// Standard output is gone.
    closed: Notify,
}

impl Shared {
    fn write(&self, text: &str) {
        let mut out = io::stdout().lock();
        if out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err() {
            self.closed.notify_one();
        }
    }

    /// Writes what the editor returns for the columns of the terminal.
    fn draw(&self, what: impl FnOnce(&mut LineEditor, usize) -> String) {
        if let Some(editor) = &mut *lock(&self.editor) {
            self.write(&what(editor, drawn_columns()));
        }
    }

    /// Draws the line again whenever the terminal's size changes, as long as there is a console.
    async fn follow_size(shared: Weak<Self>, mut sizes: Signal) {
        let mut asked = false;
        loop {
            let changed = tokio::select! {
                size = sizes.recv() => size,
                () = sleep(CURSOR_WAIT), if asked => None,
            };
            let Some(shared) = shared.upgrade() else { return };
            asked = changed.is_some();
            match changed {
                // Few terminals break the rows of the alternate screen.
                Some(()) => shared.draw(|e, columns| e.resized(columns, !shared.alternate)),
                None => shared.draw(LineEditor::cursor_is_unknown),
            }
        }
    }

    /// Restores the terminal as before, with the cursor below the typed line.
    fn finish(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        let mut editor = lock(&self.editor);
        if editor.take().is_some() {
            self.write(&format!("{BRACKETED_PASTE_OFF}\n"));
            restore_terminal();
        }
    }
}

/// The reading thread's side.
struct Reader {
    lines: mpsc::Sender<Result<String, LineError>>,
    shared: Arc<Shared>,
}

impl Reader {
    fn edit(self) {
        self.edit_until_end();
        self.shared.finish();
    }

    fn edit_until_end(&self) {
        let mut failures = 0;
        let mut bytes = [0; READ_BYTES];
        self.redraw();
        loop {
            let count = match io::stdin().lock().read(&mut bytes) {
                Ok(0) => return,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    self.deliver(Err(LineError::Broken(error.kind())));
                    return;
                }
            };
            self.shared.keys.notify_one();
            for byte in &bytes[..count] {
                let Some(typed) = self.take(*byte) else {
                    continue;
                };
                let line = match typed {
                    Typed::Line(line) => line,
                    Typed::CursorAt(column) => {
                        self.shared.draw(|editor, columns| editor.cursor_is_at(column, columns));
                        continue;
                    }
                    Typed::PutAway => {
                        self.shared.write(&format!("{ERASE_ROW}{PUT_AWAY}\n"));
                        continue;
                    }
                    Typed::End => return,
                    Typed::Suspend => {
                        self.suspend();
                        continue;
                    }
                };
                failures = if line.is_ok() { 0 } else { failures + 1 };
                if !self.deliver(line) || failures > FAILURES_IN_A_ROW_MAX {
                    return;
                }
            }
            self.redraw();
        }
    }

    /// Gives a byte to the editor; an accepted line stays on the screen, on a row of its own.
    fn take(&self, byte: u8) -> Option<Typed> {
        let mut editor = lock(&self.shared.editor);
        // The console may have been dropped after the key was pressed.
        let Some(editor) = &mut *editor else {
            return Some(Typed::End);
        };
        let before = matches!(byte, b'\r' | b'\n').then(|| editor.draw(drawn_columns()));
        let typed = editor.take(byte);
        if let Some(Typed::Line(_)) = typed {
            self.shared.entered.fetch_add(1, Ordering::SeqCst);
        }
        if let (Some(before), Some(Typed::Line(_))) = (before, &typed) {
            self.shared.write(&format!("{before}\n"));
        }
        typed
    }

    /// Stops the process as Ctrl-Z does in other programs, with the terminal restored and the line erased.
    fn suspend(&self) {
        let mut editor = lock(&self.shared.editor);
        let Some(shown) = &mut *editor else { return };
        self.shared.write(&format!("{ERASE_ROW}{BRACKETED_PASTE_OFF}"));
        restore_terminal();
        signals::suspend();
        if self.shared.alternate {
            ask::show_alternate_screen();
        }
        ask::key_by_key();
        self.shared.write(&format!("{BRACKETED_PASTE_ON}{}", shown.draw(drawn_columns())));
    }

    fn redraw(&self) {
        self.shared.draw(LineEditor::redraw);
    }

    fn read(&self, prompt: &str) {
        let prompts = io::stdin().is_terminal() && io::stdout().is_terminal();
        while !self.shared.stopped.load(Ordering::SeqCst) {
            if prompts {
                let _order = lock(&self.shared.editor);
                self.shared.write(prompt);
            }
            let begun = |line: &[u8]| {
                line.clone_into(&mut lock(&self.shared.begun));
                self.shared.keys.notify_one();
            };
            let read = plain::read_line(&mut io::stdin().lock(), LINE_BYTES_MAX, begun);
            lock(&self.shared.begun).clear();
            let line = match read {
                Ok(None) => return,
                Ok(Some(line)) => line,
                Err(error) => Err(LineError::Broken(error.kind())),
            };
            self.shared.entered.fetch_add(1, Ordering::SeqCst);
            if !self.deliver(line) {
                return;
            }
        }
    }

    /// Delivers a line; false if reading should end.
    fn deliver(&self, line: Result<String, LineError>) -> bool {
        let broken = matches!(line, Err(LineError::Broken(_)));
        self.lines.blocking_send(line).is_ok() && !broken
    }
}

/// Returns the columns of the terminal; `None` if it does not report them, or standard output is not a terminal.
pub fn columns() -> Option<usize> {
    let size = tcgetwinsize(io::stdout()).ok()?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
}

/// Returns the columns of the terminal of standard output; `None` if there is none, or text for the eye is unwelcome.
pub fn columns_for_the_eye() -> Option<usize> {
    columns().filter(|_| !is_plain())
}

/// Returns columns and rows of the terminal of standard error; `None` if it does not report them, or is not a terminal.
pub fn size_of_stderr() -> Option<(usize, usize)> {
    let size = tcgetwinsize(io::stderr()).ok()?;
    let (columns, rows) = (usize::from(size.ws_col), usize::from(size.ws_row));
    (columns > 0 && rows > 0).then_some((columns, rows))
}

/// Returns the columns of the terminal of standard error; `None` if there is none, or text for the eye is unwelcome.
pub fn columns_of_stderr() -> Option<usize> {
    size_of_stderr().filter(|_| !is_plain()).map(|(columns, _)| columns)
}

/// Returns the rows of the terminal; `None` if it does not report them, or standard output is not a terminal.
pub fn rows() -> Option<usize> {
    let size = tcgetwinsize(io::stdout()).ok()?;
    Some(usize::from(size.ws_row)).filter(|rows| *rows > 0)
}

/// Returns the columns for drawing the line.
fn drawn_columns() -> usize {
    columns().unwrap_or(COLUMNS_DEFAULT)
}

/// Whether lines can be edited in place.
fn capable_terminal() -> bool {
    let named = env::var("TERM").is_ok_and(|term| is_capable(&term));
    named && !is_plain() && io::stdin().is_terminal() && io::stdout().is_terminal()
}

fn is_plain() -> bool {
    env::var_os("HEARTH_PLAIN").is_some_and(|value| !value.is_empty())
}

fn is_capable(term: &str) -> bool {
    !["", "dumb", "unknown", "cons25", "emacs"].contains(&term)
}

/// Takes a lock even after another thread's panic, because a terminal has no invariant that a panic breaks.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn console() -> (Reader, ConsoleReader) {
        let (lines, receiver) = mpsc::channel(LINES_AHEAD_MAX);
        let shared = Arc::new(Shared::default());
        let console = ConsoleReader { lines: receiver, received: 0, shared: shared.clone() };
        (Reader { lines, shared }, console)
    }

    #[test]
    fn terminals_without_cursor_movement_are_plain() {
        assert!(is_capable("xterm-256color") && is_capable("screen"));
        for term in ["dumb", "", "unknown"] {
            assert!(!is_capable(term));
        }
    }

    /// The input ends when its sender is dropped.
    #[tokio::test]
    async fn lines_arrive_in_order() {
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
    async fn closed_output_ends_the_input() {
        let (reader, mut console) = console();
        reader.shared.closed.notify_one();
        assert_eq!(console.next().await, None);
    }

    #[tokio::test]
    async fn typed_ahead_lines_survive_the_end() {
        let (reader, mut console) = console();
        let entered = ["one", "two", "three"];
        for line in &entered[..2] {
            reader.shared.entered.fetch_add(1, Ordering::SeqCst);
            reader.lines.send(Ok((*line).into())).await.unwrap();
        }
        assert_eq!(console.next().await, Some(Ok("one".into())));
        // Entered, and not yet delivered.
        reader.shared.entered.fetch_add(1, Ordering::SeqCst);
        let late = thread::spawn(move || assert!(reader.deliver(Ok("three".into()))));
        assert_eq!(console.typed_ahead().await, entered[1..]);
        late.join().unwrap();
    }

    #[tokio::test]
    async fn dropped_console_stops_its_thread() {
        let (reader, console) = console();
        drop(console);
        assert!(reader.shared.stopped.load(Ordering::SeqCst));
        let stopped = thread::spawn(move || reader.deliver(Ok("late".into())));
        assert!(!stopped.join().unwrap());
    }
}
