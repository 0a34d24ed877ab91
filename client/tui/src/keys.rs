//! Keys as a person means them.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

/// One key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Key {
    Char(char),
    Ctrl(char),
    Alt(char),
    Enter,
    /// Breaks the line: Ctrl-J or Alt-Enter.
    Break,
    Esc,
    Tab,
    BackTab,
    Backspace,
    Delete,
    Left,
    Right,
    WordLeft,
    WordRight,
    Up,
    Down,
    AltUp,
    AltDown,
    Home,
    End,
    PageUp,
    PageDown,
    F1,
}

impl Key {
    /// Returns what an event of the terminal means; `None` if nothing.
    pub fn of(event: &KeyEvent) -> Option<Self> {
        if event.kind == KeyEventKind::Release {
            return None;
        }
        let alt = event.modifiers.contains(KeyModifiers::ALT);
        let ctrl = event.modifiers.contains(KeyModifiers::CONTROL);
        Some(match event.code {
            KeyCode::Char('j') if ctrl => Self::Break,
            KeyCode::Char('m') if ctrl => Self::Enter,
            KeyCode::Char('i') if ctrl => Self::Tab,
            KeyCode::Char('h') if ctrl => Self::Backspace,
            KeyCode::Char(c) if ctrl => Self::Ctrl(c.to_ascii_lowercase()),
            KeyCode::Char(c) if alt => Self::Alt(c),
            KeyCode::Char(c) => Self::Char(c),
            KeyCode::Enter if alt || event.modifiers.contains(KeyModifiers::SHIFT) => Self::Break,
            KeyCode::Enter => Self::Enter,
            KeyCode::Esc => Self::Esc,
            KeyCode::Tab if event.modifiers.contains(KeyModifiers::SHIFT) => Self::BackTab,
            KeyCode::Tab => Self::Tab,
            KeyCode::BackTab => Self::BackTab,
            KeyCode::Backspace if alt => Self::Ctrl('w'),
            KeyCode::Backspace => Self::Backspace,
            KeyCode::Delete => Self::Delete,
            KeyCode::Left if ctrl || alt => Self::WordLeft,
            KeyCode::Right if ctrl || alt => Self::WordRight,
            KeyCode::Left => Self::Left,
            KeyCode::Right => Self::Right,
            KeyCode::Up if alt => Self::AltUp,
            KeyCode::Down if alt => Self::AltDown,
            KeyCode::Up => Self::Up,
            KeyCode::Down => Self::Down,
            KeyCode::Home => Self::Home,
            KeyCode::End => Self::End,
            KeyCode::PageUp => Self::PageUp,
            KeyCode::PageDown => Self::PageDown,
            KeyCode::F(1) => Self::F1,
            _ => return None,
        })
    }
}
