//! The terminal: taken for a screen, given back whatever happens.

use std::{
    io::{self, Stdout, Write as _},
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use crossterm::{
    cursor,
    event::{self, DisableBracketedPaste, EnableBracketedPaste, Event},
    execute, queue,
    terminal::{
        self, BeginSynchronizedUpdate, EndSynchronizedUpdate, EnterAlternateScreen,
        LeaveAlternateScreen, SetTitle,
    },
};
use ratatui::{Terminal, backend::CrosstermBackend};

use crate::{App, Key, Msg, draw};

/// The window's title, which names nobody.
const TITLE: &str = "hearth";

/// Whether a screen has the terminal.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// The terminal as a screen. It is given back when this is dropped.
#[derive(Debug)]
pub struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
}

impl Screen {
    /// Takes the terminal.
    ///
    /// # Errors
    /// If it is none.
    pub fn take() -> io::Result<Self> {
        enter()?;
        let terminal = Terminal::new(CrosstermBackend::new(io::stdout()));
        if terminal.is_err() {
            give_back();
        }
        Ok(Self { terminal: terminal? })
    }

    /// Returns columns and rows; those of a plain terminal where it does not say.
    pub fn size() -> (u16, u16) {
        match terminal::size() {
            Ok((columns @ 1.., rows @ 1..)) => (columns, rows),
            _ => (80, 24),
        }
    }

    /// Draws a state.
    ///
    /// # Errors
    /// If the terminal is gone.
    pub fn draw(&mut self, app: &App) -> io::Result<()> {
        queue!(io::stdout(), BeginSynchronizedUpdate)?;
        self.terminal.draw(|frame| draw(app, frame))?;
        execute!(io::stdout(), EndSynchronizedUpdate)
    }

    /// Takes everything off the screen, so that the next draw writes all of it.
    ///
    /// # Errors
    /// If the terminal is gone.
    pub fn clear(&mut self) -> io::Result<()> {
        self.terminal.clear()
    }

    /// Gives the terminal back for a while.
    pub fn leave(&mut self) {
        give_back();
    }

    /// Takes the terminal again.
    ///
    /// # Errors
    /// If it is gone.
    pub fn come_back(&mut self) -> io::Result<()> {
        enter()?;
        self.terminal.clear()
    }

    /// Rings.
    ///
    /// # Errors
    /// If the terminal is gone.
    pub fn ring(&mut self) -> io::Result<()> {
        io::stdout().write_all(b"\x07")?;
        io::stdout().flush()
    }

    /// Asks the terminal to put a text on the clipboard (OSC 52).
    ///
    /// # Errors
    /// If the terminal is gone.
    pub fn copy(&mut self, base64: &str) -> io::Result<()> {
        write!(io::stdout(), "\x1b]52;c;{base64}\x07")?;
        io::stdout().flush()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

fn enter() -> io::Result<()> {
    terminal::enable_raw_mode()?;
    TAKEN.store(true, Ordering::SeqCst);
    execute!(io::stdout(), EnterAlternateScreen, EnableBracketedPaste, SetTitle(TITLE))
}

/// Gives the terminal back, if a screen has it: also for a process that is about to end.
pub fn give_back() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        // Nothing can be done about a terminal that is gone.
        let _ = execute!(
            io::stdout(),
            EndSynchronizedUpdate,
            DisableBracketedPaste,
            LeaveAlternateScreen,
            cursor::Show
        );
        let _ = terminal::disable_raw_mode();
    }
}

/// Makes a fault of the program give the terminal back before it is told.
pub fn give_back_at_faults() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |fault| {
        give_back();
        before(fault);
    }));
}

/// Reads keys on a thread of its own; it ends with the terminal, or when nobody takes what is read. The last thing given is `None`.
///
/// # Errors
/// If there can be no thread.
pub fn read_keys(mut give: impl FnMut(Option<Msg>) -> bool + Send + 'static) -> io::Result<()> {
    thread::Builder::new().name("keys".into()).spawn(move || {
        while let Ok(event) = event::read() {
            let msg = match event {
                Event::Key(key) => Key::of(&key).map(Msg::Key),
                Event::Paste(text) => Some(Msg::Paste(text)),
                Event::Resize(columns, rows) => Some(Msg::Size(columns, rows)),
                _ => None,
            };
            if msg.is_some_and(|msg| !give(Some(msg))) {
                return;
            }
        }
        give(None);
    })?;
    Ok(())
}
