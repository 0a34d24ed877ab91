//! Where output goes: standard output and error, above the line that is typed, or another process.

use std::{
    collections::VecDeque,
    io::{self, Write as _},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use hearth_console::line;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::Notify;

use super::remark;
use crate::{advice, text::wrap};

/// Where output goes, and in which form.
#[derive(Clone)]
pub struct Output {
    json: bool,
    quiet: bool,
    printer: Option<line::Printer>,
    sink: Option<Arc<Sink>>,
    place: Place,
    /// What the commands of advice begin with, see [`advice::flags_of`].
    flags: Arc<str>,
}

/// Lines for a reader in another process.
#[derive(Default)]
pub struct Sink {
    lines: Mutex<VecDeque<Printed>>,
    printed: Notify,
    /// Columns of the reader's terminal.
    columns: Option<usize>,
}

/// One printed line, by where it belongs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Printed {
    /// For standard output.
    Out(String),
    /// For standard error.
    Err(String),
}

impl Sink {
    /// Makes one for a reader whose terminal has so many columns, if it has any.
    pub fn new(columns: Option<usize>) -> Self {
        Self { columns, ..Self::default() }
    }

    /// Waits until something was printed. Cancel safe.
    pub async fn printed(&self) {
        self.printed.notified().await;
    }

    /// Returns what was printed since the last call, oldest first.
    pub fn take(&self) -> Vec<Printed> {
        self.lock().drain(..).collect()
    }

    fn put(&self, line: Printed) {
        self.lock().push_back(line);
        self.printed.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Printed>> {
        // A panic elsewhere leaves whole lines.
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where the reader types commands.
#[derive(Clone, Default)]
pub(super) enum Place {
    /// On the command line, of no room or of several.
    #[default]
    Anywhere,
    /// On the command line, of the room of this local name.
    Room(Arc<str>),
    /// In the chat of the room of this local name.
    Chat(Arc<str>),
}

impl Output {
    /// Prints to standard output.
    pub fn stdout(json: bool) -> Self {
        let (place, flags) = Default::default();
        Self { json, quiet: false, printer: None, sink: None, place, flags }
    }

    /// Prints to a reader in another process.
    pub fn to(json: bool, sink: Arc<Sink>) -> Self {
        Self { sink: Some(sink), ..Self::stdout(json) }
    }

    /// Repeats the flags that say which profile it is in the commands of its advice.
    pub fn with_flags(self, flags: &str) -> Self {
        Self { flags: flags.into(), ..self }
    }

    /// Returns those flags.
    pub fn flags(&self) -> &str {
        &self.flags
    }

    /// Returns the columns of the terminal that results are printed to; those of a plain one where it does not tell.
    pub fn terminal_columns(&self) -> usize {
        const PLAIN: usize = 80;
        let columns = match &self.sink {
            Some(sink) => sink.columns,
            None => {
                let size = rustix::termios::tcgetwinsize(io::stdout());
                size.ok().map(|size| usize::from(size.ws_col)).filter(|columns| *columns > 0)
            }
        };
        columns.unwrap_or(PLAIN)
    }

    /// Returns the rows of the terminal that results are printed to; none where there is no terminal to tell.
    pub fn terminal_rows(&self) -> Option<usize> {
        if self.sink.is_some() {
            return None;
        }
        let size = rustix::termios::tcgetwinsize(io::stdout());
        size.ok().map(|size| usize::from(size.ws_row)).filter(|rows| *rows > 0)
    }

    /// Prints above the line that is being typed.
    pub fn above(self, printer: line::Printer) -> Self {
        Self { json: false, printer: Some(printer), ..self }
    }

    /// Whether the line that is being typed is edited in place.
    pub fn edits(&self) -> bool {
        self.columns().is_some()
    }

    /// Returns the columns of a screen on which lines are edited.
    fn columns(&self) -> Option<usize> {
        self.printer.as_ref().and_then(line::Printer::columns)
    }

    /// Breaks the lines of a text between words where that is for the eye: not for a pipe, nor for a screen reader.
    fn wrapped(&self, text: &str) -> String {
        let columns = match (&self.printer, &self.sink) {
            (Some(_), _) => self.columns(),
            // The reader's process breaks them.
            (_, Some(_)) => None,
            // A line may fill its row: nothing is typed behind it.
            (None, None) => line::columns_for_the_eye().map(|columns| columns + 1),
        };
        columns.map_or_else(|| text.to_owned(), |columns| wrap::lines(text, columns))
    }

    /// Takes everything but the typed line from the screen and its scrollback; false where lines are not edited.
    pub fn clear(&self) -> bool {
        self.printer.as_ref().is_some_and(line::Printer::clear)
    }

    /// Rings the terminal's bell in a chat.
    pub fn ring(&self) {
        if let Some(printer) = &self.printer {
            printer.ring();
        }
    }

    /// Gives words back to the person who types, where lines are edited.
    pub fn give_back(&self, text: &str) -> Option<line::GivenBack> {
        self.printer.as_ref().and_then(|printer| printer.give_back(text))
    }

    /// Takes lines that were typed from the history of the arrow keys.
    pub fn forget(&self, is_gone: impl Fn(&str) -> bool) {
        if let Some(printer) = &self.printer {
            printer.forget(is_gone);
        }
    }

    /// Names the room in the commands of its advice.
    pub fn in_room(self, room: &str) -> Self {
        Self { place: Place::Room(room.into()), ..self }
    }

    /// Names slash commands in its advice.
    pub fn in_chat(self, room: &str) -> Self {
        Self { place: Place::Chat(room.into()), ..self }
    }

    /// Prints no results: the room's own lines say enough.
    pub fn quiet(self) -> Self {
        Self { quiet: true, ..self }
    }

    /// Returns some advice with its commands as the reader types them here.
    pub fn advice(&self, text: &str) -> String {
        let text = match &self.place {
            Place::Anywhere => text.to_owned(),
            Place::Room(room) => advice::in_room(text, room),
            Place::Chat(room) => advice::in_chat(text, room),
        };
        advice::with_flags(&text, &self.flags)
    }

    /// Whether output is JSON.
    pub const fn is_json(&self) -> bool {
        self.json
    }

    /// Prints one result: an object for programs, or text for people. Text may have several lines.
    ///
    /// # Errors
    /// If standard output is closed.
    pub fn say(&self, object: &Value, text: &str) -> io::Result<()> {
        if self.quiet {
            Ok(())
        } else if self.json {
            self.line(&object.to_string())
        } else if text.is_empty() {
            Ok(())
        } else {
            self.line(&self.wrapped(text))
        }
    }

    /// Says to people that a list is empty. Programs see an empty list.
    ///
    /// # Errors
    /// If standard output is closed.
    pub fn say_none(&self, text: &str) -> io::Result<()> {
        if self.quiet || self.json { Ok(()) } else { self.line(&self.wrapped(text)) }
    }

    /// Prints what another process made for this output.
    ///
    /// # Errors
    /// If standard output is closed.
    pub fn made(&self, text: &str) -> io::Result<()> {
        if self.json { self.line(text) } else { self.line(&self.wrapped(text)) }
    }

    /// Prints one line as it is.
    ///
    /// # Errors
    /// If standard output is closed.
    pub fn line(&self, text: &str) -> io::Result<()> {
        if let Some(sink) = &self.sink {
            sink.put(Printed::Out(text.to_owned()));
            return Ok(());
        }
        if let Some(printer) = &self.printer {
            printer.print(text);
            return Ok(());
        }
        print(format!("{text}\n").as_bytes())
    }

    /// Prints a remark that is no result: to standard error, so that a program's input stays clean.
    pub fn remark(&self, text: &str) {
        if let Some(sink) = &self.sink {
            return sink.put(Printed::Err(text.to_owned()));
        }
        if let Some(printer) = &self.printer {
            printer.print(&self.wrapped(text));
            return;
        }
        remark(text);
    }

    /// Prints a command as a remark, alone on its line and whole, so that it can be copied.
    pub fn command(&self, text: &str) {
        let text = self.advice(&format!("`{text}`"));
        // Nobody can be told that standard error is closed.
        let _ = writeln!(io::stderr(), "\n  {}\n", text.trim_matches('`'));
    }
}

/// Standard output takes nothing more: a pipe that nobody reads, or a full disk.
#[derive(Debug, thiserror::Error)]
#[error("standard output cannot be written to: {}", crate::failure::io_words(.0))]
pub struct OutputLost(io::Error);

/// Writes to standard output.
///
/// # Errors
/// With [`OutputLost`] inside, so that it is not taken for a failure of what was asked for.
pub fn print(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)
        .and_then(|()| out.flush())
        .map_err(|error| io::Error::new(error.kind(), OutputLost(error)))
}
