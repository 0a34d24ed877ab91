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
        self, BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate,
        EnterAlternateScreen, LeaveAlternateScreen, SetTitle,
    },
};
use ratatui::{Terminal, TerminalOptions, Viewport, backend::CrosstermBackend, layout::Rect};

use crate::{App, Key, Msg, app::drawn_size, draw};

/// The window's title, which names nobody.
const TITLE: &str = "hearth";

/// Whether a screen has the terminal.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// The terminal as a screen. It is given back when this is dropped.
#[derive(Debug)]
pub struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
    size: (u16, u16),
}

/// Returns a screen on which nothing is drawn yet.
fn blank((columns, rows): (u16, u16)) -> io::Result<Terminal<CrosstermBackend<Stdout>>> {
    // Of fixed size, because a terminal may claim any, and every cell costs memory.
    let viewport = Viewport::Fixed(Rect::new(0, 0, columns, rows));
    Terminal::with_options(CrosstermBackend::new(io::stdout()), TerminalOptions { viewport })
}

impl Screen {
    /// Takes the terminal.
    ///
    /// # Errors
    /// If it is none.
    pub fn take() -> io::Result<Self> {
        enter()?;
        let terminal = blank(Self::size());
        if terminal.is_err() {
            give_back();
        }
        Ok(Self { terminal: terminal?, size: Self::size() })
    }

    /// Returns columns and rows; those of a plain terminal where it does not say.
    pub fn size() -> (u16, u16) {
        let (columns, rows) = terminal::size().unwrap_or((0, 0));
        if columns == 0 || rows == 0 { (80, 24) } else { drawn_size(columns, rows) }
    }

    /// Draws a state.
    ///
    /// # Errors
    /// If the terminal is gone.
    pub fn draw(&mut self, app: &App) -> io::Result<()> {
        if self.size != app.size {
            self.size = app.size;
            self.clear()?;
        }
        queue!(io::stdout(), BeginSynchronizedUpdate)?;
        self.terminal.draw(|frame| draw(app, frame))?;
        execute!(io::stdout(), EndSynchronizedUpdate)
    }

    /// Takes everything off the screen, so that the next draw writes all of it.
    ///
    /// # Errors
    /// If the terminal is gone.
    pub fn clear(&mut self) -> io::Result<()> {
        // Not the library's own: that asks the terminal where the cursor is, and the answer would be read as keys.
        execute!(io::stdout(), Clear(ClearType::All))?;
        self.terminal = blank(self.size)?;
        Ok(())
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
        self.clear()
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
