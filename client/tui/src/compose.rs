//! The line in which one types: several lines of text, edited as in a shell.

use std::ops::Range;

use hearth_text::escape;

use crate::{cells, keys::Key};

/// Longest text that is typed; the relay takes less.
const BYTES_MAX: usize = 64 * 1024;

/// A text with a cursor.
#[derive(Clone, Debug, Default)]
pub(crate) struct Composer {
    text: String,
    /// In bytes, at the border of a character.
    cursor: usize,
    /// What was cut last.
    cut: String,
}

impl Composer {
    pub(crate) fn with(text: &str) -> Self {
        let mut composer = Self::default();
        composer.insert(text);
        composer
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Takes the text out.
    pub(crate) fn take(&mut self) -> String {
        self.cursor = 0;
        std::mem::take(&mut self.text)
    }

    /// Puts a text at the cursor; returns false if it is too long, and then nothing is different.
    pub(crate) fn insert(&mut self, text: &str) -> bool {
        let plain = plain(text);
        if self.text.len() + plain.len() > BYTES_MAX {
            return false;
        }
        self.text.insert_str(self.cursor, &plain);
        self.cursor += plain.len();
        true
    }

    /// Edits; returns false if the key is none of an editor's.
    pub(crate) fn key(&mut self, key: Key) -> bool {
        match key {
            Key::Char(c) => drop(self.insert(c.encode_utf8(&mut [0; 4]))),
            Key::Break => drop(self.insert("\n")),
            Key::Left | Key::Ctrl('b') => {
                self.cursor = escape::cluster_before(&self.text, self.cursor);
            }
            Key::Right | Key::Ctrl('f') => {
                self.cursor = escape::cluster_after(&self.text, self.cursor);
            }
            Key::WordLeft | Key::Alt('b') => self.cursor = self.word_before(),
            Key::WordRight | Key::Alt('f') => self.cursor = self.word_after(),
            Key::Home | Key::Ctrl('a') => self.cursor = self.line_begin(),
            Key::End | Key::Ctrl('e') => self.cursor = self.line_end(),
            Key::Backspace => {
                let begin = escape::cluster_before(&self.text, self.cursor);
                self.delete(begin..self.cursor);
            }
            Key::Delete | Key::Ctrl('d') => {
                let end = escape::cluster_after(&self.text, self.cursor);
                self.delete(self.cursor..end);
            }
            Key::Ctrl('u') => self.kill(self.line_begin()..self.cursor),
            Key::Ctrl('k') => self.kill(self.cursor..self.line_end()),
            Key::Ctrl('w') => self.kill(self.word_before()..self.cursor),
            Key::Alt('d') => self.kill(self.cursor..self.word_after()),
            Key::Ctrl('y') => {
                let cut = self.cut.clone();
                self.insert(&cut);
            }
            _ => return false,
        }
        true
    }

    /// Moves the cursor to the line above or below; returns false at the first or last one.
    pub(crate) fn moves(&mut self, key: Key, columns: usize) -> bool {
        let lines = self.lines(columns);
        let (row, column) = self.place(&lines);
        let to = match key {
            Key::Up => row.checked_sub(1),
            Key::Down => Some(row + 1).filter(|row| *row < lines.len()),
            _ => None,
        };
        let Some(line) = to.and_then(|to| lines.get(to)) else { return false };
        let (mut at, mut width) = (line.start, 0);
        for cluster in escape::clusters(&self.text[line.clone()]) {
            let wide = cells::cell(cluster).1;
            if width + wide > column {
                break;
            }
            (at, width) = (at + cluster.len(), width + wide);
        }
        self.cursor = at;
        true
    }

    /// Returns the lines as they are shown in so many columns.
    pub(crate) fn lines(&self, columns: usize) -> Vec<Range<usize>> {
        // One column stays free for the cursor.
        cells::wrap(&self.text, columns.saturating_sub(1))
    }

    /// Returns line and column of the cursor.
    pub(crate) fn place(&self, lines: &[Range<usize>]) -> (usize, usize) {
        let row = lines.iter().rposition(|line| line.start <= self.cursor).unwrap_or(0);
        let begin = lines.get(row).map_or(0, |line| line.start);
        (row, cells::width(self.text.get(begin..self.cursor).unwrap_or_default()))
    }

    fn delete(&mut self, range: Range<usize>) {
        self.cursor = range.start;
        self.text.drain(range);
    }

    fn kill(&mut self, range: Range<usize>) {
        if !range.is_empty() {
            self.text[range.clone()].clone_into(&mut self.cut);
            self.delete(range);
        }
    }

    fn line_begin(&self) -> usize {
        self.text[..self.cursor].rfind('\n').map_or(0, |at| at + 1)
    }

    fn line_end(&self) -> usize {
        self.text[self.cursor..].find('\n').map_or(self.text.len(), |at| self.cursor + at)
    }

    fn word_before(&self) -> usize {
        let before = self.text[..self.cursor].trim_end();
        before
            .rfind(char::is_whitespace)
            .map_or(0, |at| at + before[at..].chars().next().map_or(0, char::len_utf8))
    }

    fn word_after(&self) -> usize {
        let rest = &self.text[self.cursor..];
        let word = rest.trim_start();
        let skipped = rest.len() - word.len();
        self.cursor + skipped + word.find(char::is_whitespace).unwrap_or(word.len())
    }
}

/// Returns a typed or pasted text without what a terminal would obey.
fn plain(text: &str) -> String {
    let text = text.replace("\r\n", "\n").replace('\r', "\n").replace('\t', "    ");
    text.chars().filter(|c| *c == '\n' || !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Types keys; the bar is the cursor.
    fn after(text: &str, keys: &[Key]) -> String {
        let (before, behind) = text.split_once('|').unwrap();
        let mut composer = Composer::with(&format!("{before}{behind}"));
        composer.cursor = before.len();
        for key in keys {
            composer.key(*key);
        }
        let mut shown = composer.text.clone();
        shown.insert(composer.cursor, '|');
        shown
    }

    #[test]
    fn keys_edit_as_in_a_shell() {
        for (text, keys, expected) in [
            ("one two|", &[Key::Ctrl('w')][..], "one |"),
            ("one two|", &[Key::Ctrl('a'), Key::Ctrl('k')], "|"),
            ("one| two", &[Key::Ctrl('u'), Key::Ctrl('e'), Key::Ctrl('y')], " twoone|"),
            ("one| two", &[Key::Alt('d'), Key::Backspace], "on|"),
            ("|one two", &[Key::Alt('f'), Key::Alt('f'), Key::Alt('b')], "one |two"),
            ("a|", &[Key::Break, Key::Char('b')], "a\nb|"),
            ("a\nb|c", &[Key::Home], "a\n|bc"),
            ("a\nb|c", &[Key::Ctrl('u'), Key::Backspace], "a|c"),
            ("👨‍👩‍👧‍👦|", &[Key::Left], "|👨‍👩‍👧‍👦"),
            ("👨‍👩‍👧‍👦|", &[Key::Backspace], "|"),
            ("ab|", &[Key::Left, Key::Delete, Key::Delete], "a|"),
        ] {
            assert_eq!(after(text, keys), expected, "{text} {keys:?}");
        }
    }

    #[test]
    fn cursor_moves_between_wrapped_lines() {
        let mut composer = Composer::with("one two three");
        assert_eq!(composer.place(&composer.lines(9)), (1, 5));
        assert!(composer.moves(Key::Up, 9));
        assert_eq!(composer.cursor, 5);
        assert!(!composer.moves(Key::Up, 9));
        assert!(composer.moves(Key::Down, 9));
        assert!(!composer.moves(Key::Down, 9));
    }

    #[test]
    fn pasted_controls_are_dropped() {
        let mut composer = Composer::default();
        assert!(composer.insert("a\r\nb\u{1b}[2J\u{7}\tc"));
        assert_eq!(composer.text(), "a\nb[2J    c");
        assert!(!composer.insert(&"x".repeat(1 << 20)));
        assert_eq!(composer.text(), "a\nb[2J    c");
    }
}
