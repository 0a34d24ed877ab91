//! The line editor: keys in, lines out, and drawing. It is pure; the console reads and writes.

use std::collections::VecDeque;

use hearth_text::escape;

use super::{ERASE_ROW, GivenBack, LINE_BYTES_MAX, LineError};

/// Lines of history for the arrow keys. They stay in memory.
const HISTORY_LINES_MAX: usize = 100;
/// Characters on each side of the cursor that are considered in drawing; no terminal is wider.
const DRAWN_CHARS_MAX: usize = 1000;
/// Bytes of a key's escape sequence; a longer one is not a key.
const SEQUENCE_BYTES_MAX: usize = 16;

/// The terminal answers this with `ESC [ row ; column R`.
const ASK_CURSOR: &str = "\x1b[6n";
const ERASE_BELOW: &str = "\x1b[J";
const SAVE_CURSOR: &str = "\x1b7";
const RESTORE_CURSOR: &str = "\x1b8";

/// Result of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Typed {
    /// A line, or the reason to refuse it.
    Line(Result<String, LineError>),
    /// Ctrl-C in a line, which the arrow keys can recall.
    PutAway,
    /// Ctrl-D or Ctrl-C on an empty line.
    End,
    /// Ctrl-Z.
    Suspend,
    /// The terminal says in which column its cursor is, the first being 1.
    CursorAt(usize),
}

/// A line editor of one row, which scrolls sideways for a longer line.
#[derive(Debug, Default)]
pub(super) struct LineEditor {
    prompt: String,
    text: String,
    /// Byte of the text at which the cursor is.
    cursor: usize,
    too_long: bool,
    decoding: Decoding,
    pasting: bool,
    history: VecDeque<String>,
    /// Position in the history; 0 is the current line, which waits in `draft`.
    back: usize,
    draft: String,
    /// Displays only the prompt.
    unseen: bool,
    /// The row left of the cursor, as it was drawn last.
    drawn: String,
    /// The terminal was asked where its cursor is, because it became narrower than that row. Nothing is drawn until it answers.
    asks: bool,
}

/// The sequence that the bytes so far begin.
#[derive(Debug, Default)]
enum Decoding {
    #[default]
    Nothing,
    Character(Vec<u8>, usize),
    Escape,
    Sequence(Vec<u8>),
}

impl LineEditor {
    pub(super) fn new(prompt: &str) -> Self {
        Self { prompt: escape::one_line(prompt), ..Self::default() }
    }

    /// Returns an editor that does not display the typed text.
    pub(super) fn unseen(prompt: &str) -> Self {
        Self { unseen: true, ..Self::new(prompt) }
    }

    /// Returns what is being typed.
    pub(super) fn words(&self) -> String {
        self.text.clone()
    }

    /// Takes one byte from the terminal.
    pub(super) fn take(&mut self, byte: u8) -> Option<Typed> {
        match core::mem::take(&mut self.decoding) {
            Decoding::Nothing => self.begin(byte),
            Decoding::Character(mut bytes, wanted) => {
                if byte & 0xc0 != 0x80 {
                    // The byte begins something else; the worst case is a second error.
                    let _ = self.begin(byte);
                    return Some(Typed::Line(Err(LineError::NotUtf8)));
                }
                bytes.push(byte);
                if bytes.len() < wanted {
                    self.decoding = Decoding::Character(bytes, wanted);
                    return None;
                }
                match core::str::from_utf8(&bytes) {
                    Ok(text) => {
                        text.chars().for_each(|c| self.insert(c));
                        None
                    }
                    Err(_) => Some(Typed::Line(Err(LineError::NotUtf8))),
                }
            }
            Decoding::Escape => {
                if matches!(byte, b'[' | b'O') {
                    self.decoding = Decoding::Sequence(Vec::new());
                }
                None
            }
            Decoding::Sequence(mut bytes) => {
                match byte {
                    b'R' if self.asks => return column(&bytes).map(Typed::CursorAt),
                    0x40..=0x7e => self.key(&bytes, byte),
                    // A sequence that is too long for a key is still read to its end.
                    0x20..=0x3f => {
                        if bytes.len() < SEQUENCE_BYTES_MAX {
                            bytes.push(byte);
                        }
                        self.decoding = Decoding::Sequence(bytes);
                    }
                    _ => return self.begin(byte),
                }
                None
            }
        }
    }

    fn begin(&mut self, byte: u8) -> Option<Typed> {
        match byte {
            b'\r' | b'\n' if self.pasting => self.insert('\n'),
            b'\r' | b'\n' => return Some(Typed::Line(self.accept())),
            b'\t' => self.insert('\t'),
            0x1b => self.decoding = Decoding::Escape,
            // Control characters in a paste are not keys.
            0..=0x1f | 0x7f if self.pasting => {}
            // Ctrl-C, Ctrl-D.
            3 if self.text.is_empty() && !self.too_long => return Some(Typed::End),
            3 => {
                let _ = self.accept();
                return Some(Typed::PutAway);
            }
            4 if self.text.is_empty() && !self.too_long => return Some(Typed::End),
            4 => self.delete(),
            // Ctrl-A, Ctrl-E, Ctrl-B, Ctrl-F.
            1 => self.cursor = 0,
            5 => self.cursor = self.text.len(),
            2 => self.step_left(),
            6 => self.step_right(),
            8 | 0x7f => self.backspace(),
            // Ctrl-U, Ctrl-K, Ctrl-W.
            0x15 => self.remove_from(0),
            0x0b => self.text.truncate(self.cursor),
            0x17 => {
                let left = self.text[..self.cursor].trim_end();
                self.remove_from(left.trim_end_matches(|c: char| !c.is_whitespace()).len());
            }
            // Ctrl-Z.
            0x1a => return Some(Typed::Suspend),
            // Ctrl-P, Ctrl-N.
            0x10 => self.recall(self.back + 1),
            0x0e => self.recall(self.back.saturating_sub(1)),
            0..=0x1f => {}
            0x20..=0x7e => self.insert(char::from(byte)),
            0xc2..=0xdf => self.decoding = Decoding::Character(vec![byte], 2),
            0xe0..=0xef => self.decoding = Decoding::Character(vec![byte], 3),
            0xf0..=0xf4 => self.decoding = Decoding::Character(vec![byte], 4),
            0x80..=0xc1 | 0xf5..=0xff => return Some(Typed::Line(Err(LineError::NotUtf8))),
        }
        None
    }

    fn key(&mut self, parameters: &[u8], last: u8) {
        match (parameters, last) {
            (b"200", b'~') => self.pasting = true,
            (b"201", b'~') => self.pasting = false,
            _ if self.pasting => {}
            (b"", b'A') => self.recall(self.back + 1),
            (b"", b'B') => self.recall(self.back.saturating_sub(1)),
            (b"", b'C') => self.step_right(),
            (b"", b'D') => self.step_left(),
            (b"", b'H') | (b"1" | b"7", b'~') => self.cursor = 0,
            (b"", b'F') | (b"4" | b"8", b'~') => self.cursor = self.text.len(),
            (b"3", b'~') => self.delete(),
            _ => {}
        }
    }

    fn insert(&mut self, c: char) {
        // The line is refused whole when it is entered; until then it does not grow.
        if self.text.len() + c.len_utf8() > LINE_BYTES_MAX {
            self.too_long = true;
        } else {
            self.text.insert(self.cursor, c);
            self.cursor += c.len_utf8();
        }
    }

    fn accept(&mut self) -> Result<String, LineError> {
        let line = self.text.clone();
        let too_long = self.too_long;
        self.replace("");
        self.back = 0;
        self.draft = String::new();
        if too_long {
            return Err(LineError::TooLong);
        }
        if !line.trim().is_empty() && self.history.back() != Some(&line) {
            self.remember(line.clone());
        }
        Ok(line)
    }

    /// Makes a text the line's draft; if the line is not empty, adds it to the history.
    pub(super) fn give_back(&mut self, text: &str) -> GivenBack {
        if self.text.is_empty() && self.back == 0 && !self.pasting {
            self.replace(text);
            return GivenBack::Line;
        }
        if self.history.back().is_none_or(|last| last != text) {
            self.remember(text.to_owned());
        }
        GivenBack::History
    }

    /// Takes lines from the history. Where one of them was recalled and not changed, the line that was being typed comes back.
    pub(super) fn forget(&mut self, is_gone: impl Fn(&str) -> bool) {
        if self.back > 0 && is_gone(&self.text) {
            self.recall(0);
        }
        let place = self.history.len() - self.back;
        let newer = self.history.iter().skip(place).filter(|line| !is_gone(line)).count();
        if self.back > 0 {
            self.back = newer;
        }
        self.history.retain(|line| !is_gone(line));
        // A recalled and changed line that has none beside it is the line now, and the draft is not lost.
        if self.back == 0 && !self.draft.trim().is_empty() {
            let draft = core::mem::take(&mut self.draft);
            self.remember(draft);
        }
    }

    fn remember(&mut self, line: String) {
        if self.history.len() == HISTORY_LINES_MAX {
            self.history.pop_front();
        }
        self.history.push_back(line);
    }

    fn replace(&mut self, text: &str) {
        text.clone_into(&mut self.text);
        self.cursor = text.len();
        self.too_long = false;
    }

    fn recall(&mut self, back: usize) {
        if back > self.history.len() || back == self.back {
            return;
        }
        if self.back == 0 {
            self.draft.clone_from(&self.text);
        }
        self.back = back;
        let text = match back {
            0 => core::mem::take(&mut self.draft),
            back => self.history[self.history.len() - back].clone(),
        };
        self.replace(&text);
    }

    /// Moves over one character as a reader counts them: a joined emoji, a flag or a letter with its marks is one.
    fn step_left(&mut self) {
        self.cursor = escape::cluster_before(&self.text, self.cursor);
    }

    fn step_right(&mut self) {
        self.cursor = escape::cluster_after(&self.text, self.cursor);
    }

    fn backspace(&mut self) {
        self.remove_from(escape::cluster_before(&self.text, self.cursor));
        if self.text.is_empty() {
            self.too_long = false;
        }
    }

    fn delete(&mut self) {
        let end = escape::cluster_after(&self.text, self.cursor);
        self.text.replace_range(self.cursor..end, "");
    }

    /// Removes the text from a byte on up to the cursor.
    fn remove_from(&mut self, begin: usize) {
        self.text.replace_range(begin..self.cursor, "");
        self.cursor = begin;
    }

    /// Returns the output that draws the line on its own row, in fewer than that many columns, with the cursor placed.
    pub(super) fn draw(&mut self, columns: usize) -> String {
        self.asks = false;
        let columns = columns.saturating_sub(1).max(1);
        if self.unseen {
            self.drawn = escape::truncate(&self.prompt, columns);
            return format!("{ERASE_ROW}{}", self.drawn);
        }
        let prompt = escape::truncate(&self.prompt, columns / 2);
        let room = columns - escape::width(&prompt);
        let (left, right) = self.text.split_at(self.cursor);
        let from = left.char_indices().rev().nth(DRAWN_CHARS_MAX).map_or(0, |(at, _)| at);
        let (left, right) =
            (shown(left[from..].chars()), shown(right.chars().take(DRAWN_CHARS_MAX)));
        // The text right of the cursor gets a quarter of the row if the line does not fit.
        let kept = escape::width(&right).min(room / 4);
        let left = escape::truncate_start(&left, room - kept);
        let right = escape::truncate(&right, room - escape::width(&left));
        self.drawn = format!("{prompt}{left}");
        // The terminal knows how wide it drew what is left of the cursor: a count may differ where emoji are joined.
        let right = match right.as_str() {
            "" => String::new(),
            right => format!("{SAVE_CURSOR}{right}{RESTORE_CURSOR}"),
        };
        format!("{ERASE_ROW}{}{right}", self.drawn)
    }

    /// Returns the output that draws the line after a key; nothing while the terminal is asked where its cursor is.
    pub(super) fn redraw(&mut self, columns: usize) -> String {
        if self.asks { String::new() } else { self.draw(columns) }
    }

    /// Returns the output after the terminal's width changed. With `reflows`, it breaks rows that have become too long, and moves the
    /// cursor with its text: how far, only the terminal can say.
    pub(super) fn resized(&mut self, columns: usize, reflows: bool) -> String {
        if reflows && escape::width(&self.drawn) >= columns {
            self.asks = true;
            return ASK_CURSOR.to_owned();
        }
        format!("\r{ERASE_BELOW}{}", self.draw(columns))
    }

    /// Returns the output that draws the line after the terminal has said in which column its cursor is.
    pub(super) fn cursor_is_at(&mut self, column: usize, columns: usize) -> String {
        // In the last column it was held back by the edge: the row is cut off, and not broken.
        let above = if column < columns { rows_above(&self.drawn, columns) } else { 0 };
        let up = if above == 0 { String::new() } else { format!("\x1b[{above}A") };
        format!("\r{up}{ERASE_BELOW}{}", self.draw(columns))
    }

    /// Returns the output that draws the line where the terminal does not say where its cursor is.
    pub(super) fn cursor_is_unknown(&mut self, columns: usize) -> String {
        if self.asks { format!("\r{ERASE_BELOW}{}", self.draw(columns)) } else { String::new() }
    }
}

/// Returns how many rows are full before the end of a text that is broken at that many columns.
fn rows_above(text: &str, columns: usize) -> usize {
    let (mut rows, mut column) = (0, 0);
    for cluster in escape::clusters(text) {
        let width = escape::width(cluster);
        if column + width > columns {
            (rows, column) = (rows + 1, 0);
        }
        column += width;
    }
    // A cursor behind a full row is on the next one.
    rows + usize::from(column >= columns)
}

/// Reads the column out of a cursor report, `row;column`.
fn column(report: &[u8]) -> Option<usize> {
    core::str::from_utf8(report).ok()?.split_once(';')?.1.parse().ok()
}

/// Makes typed text inert too, because a paste may come from another person.
fn shown(chars: impl Iterator<Item = char>) -> String {
    let text: String = chars.map(|c| if c == '\n' { '↵' } else { c }).collect();
    escape::one_line(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(editor: &mut LineEditor, keys: &[u8]) -> Vec<Typed> {
        keys.iter().filter_map(|byte| editor.take(*byte)).collect()
    }

    fn line(text: &str) -> Typed {
        Typed::Line(Ok(text.to_owned()))
    }

    #[test]
    fn keys_edit_the_line() {
        let cases: [(&[u8], &str); 24] = [
            (b"hello\r", "hello"),
            (b"helo\x1b[Dl\r", "hello"),
            (b"ello\x01h\x05!\r", "hello!"),
            (b"ello\x1b[Hh\x1b[F!\r", "hello!"),
            (b"ello\x1bOHh\x1b[4~!\n", "hello!"),
            (b"hellp\x7fo\n", "hello"),
            (b"hxello\x01\x06\x04\r", "hello"),
            (b"hxello\x1b[1~\x1b[C\x1b[3~\r", "hello"),
            (b"wrong\x15right\r", "right"),
            (b"keep drop\x17\r", "keep "),
            (b"keepdrop\x02\x02\x02\x02\x0b\r", "keep"),
            ("né\x7fe\r".as_bytes(), "ne"),
            ("e\u{301}\x7fx\r".as_bytes(), "x"),
            ("日本\x1b[D語\r".as_bytes(), "日語本"),
            ("a👨\u{200d}👩\u{200d}👧\x7fb\r".as_bytes(), "ab"),
            ("👍🏽🇫🇷🇩🇪\x7f\x7f!\r".as_bytes(), "👍🏽!"),
            ("🇫🇷🇩🇪\x01\x04\r".as_bytes(), "🇩🇪"),
            ("x👨\u{200d}👩\u{200d}👧\x1b[D\x1b[Da\x1b[3~\r".as_bytes(), "a👨\u{200d}👩\u{200d}👧"),
            (
                "\u{1112}\u{1161}\u{11ab}\u{1100}\u{1161}\x7f\r".as_bytes(),
                "\u{1112}\u{1161}\u{11ab}",
            ),
            (
                "❤\u{fe0f}\u{200d}🔥1\u{fe0f}\u{20e3}\x02\x02\x06\x7fx\r".as_bytes(),
                "x1\u{fe0f}\u{20e3}",
            ),
            ("क्\u{200d}ष\x7f.\r".as_bytes(), "."),
            ("two  words \u{3000}\x17\x17b\r".as_bytes(), "b"),
            (b"a\x1b[1;5Cb\x1b[99999999999999999999999~c\x07\r", "abc"),
            (b"a\tb\r", "a\tb"),
        ];
        for (keys, expected) in cases {
            assert_eq!(typed(&mut LineEditor::new(""), keys), [line(expected)], "{keys:?}");
        }
    }

    #[test]
    fn paste_presses_no_keys() {
        let keys = b"\x1b[200~one\rtwo\x03\x04\x1b[A\x7f\nthree\x1b[201~!\r";
        assert_eq!(typed(&mut LineEditor::new(""), keys), [line("one\ntwo\nthree!")]);
    }

    #[test]
    fn history_restores_lines_and_draft() {
        let mut editor = LineEditor::new("");
        typed(&mut editor, b"one\rtwo\rtwo\r \r");
        assert_eq!(typed(&mut editor, b"draft\x1b[A\x1b[A\x1b[A\r"), [line("one")]);
        assert_eq!(typed(&mut editor, b"draft\x10\x10\x0e\x0e\x0e!\r"), [line("draft!")]);
        for _ in 0..300 {
            typed(&mut editor, b"x\ry\r");
        }
        assert_eq!(editor.history.len(), HISTORY_LINES_MAX);
    }

    #[test]
    fn forgotten_lines_are_not_recalled() {
        let gone = |line: &str| line == "secret";
        let mut editor = LineEditor::new("");
        typed(&mut editor, b"one\rsecret\rtwo\rsecret\r");
        editor.forget(gone);
        assert_eq!(editor.history, ["one", "two"]);
        assert_eq!(typed(&mut editor, b"draft\x10\x10\r"), [line("one")]);
        // One that is recalled gives way to the draft.
        typed(&mut editor, b"secret\rdraft\x10");
        assert_eq!(editor.words(), "secret");
        editor.forget(gone);
        assert_eq!(typed(&mut editor, b"!\r"), [line("draft!")]);
        // A changed line stays, and the keys go on from it.
        typed(&mut editor, b"older\rsecret\rnewer\r\x10\x10\x10+");
        editor.forget(gone);
        assert_eq!(editor.words(), "older+");
        typed(&mut editor, b"\x0e");
        assert_eq!(editor.words(), "newer");
    }

    #[test]
    fn returned_text_is_a_draft() {
        let mut editor = LineEditor::new("");
        assert_eq!(editor.give_back("a long\nsentence"), GivenBack::Line);
        assert_eq!(typed(&mut editor, b"\x7f!\r"), [line("a long\nsentenc!")]);
        // The current line stays.
        typed(&mut editor, b"half");
        assert_eq!(editor.give_back("refused"), GivenBack::History);
        assert_eq!(typed(&mut editor, b"\x1b[A\r"), [line("refused")]);
    }

    #[test]
    fn control_keys_end_or_suspend() {
        assert_eq!(
            typed(&mut LineEditor::new(""), b"half\x03\x1b[A\r"),
            [Typed::PutAway, line("half")]
        );
        assert_eq!(
            typed(&mut LineEditor::new(""), b"half\x1a!\r"),
            [Typed::Suspend, line("half!")]
        );
        for keys in [&b"\x04"[..], b"\x03", b"\x7f\x7f\x04"] {
            assert_eq!(typed(&mut LineEditor::new(""), keys), [Typed::End]);
        }
        assert_eq!(typed(&mut LineEditor::new(""), b"a\x04\r"), [line("a")]);
    }

    #[test]
    fn invalid_utf8_keeps_the_rest() {
        for keys in [&b"a\xffb\r"[..], b"a\xc3b\r", b"a\xed\xa0\x80b\r", b"a\xe2\x82b\r"] {
            let bad = Typed::Line(Err(LineError::NotUtf8));
            assert_eq!(typed(&mut LineEditor::new(""), keys), [bad, line("ab")], "{keys:?}");
        }
    }

    #[test]
    fn too_long_line_is_refused_whole() {
        let mut editor = LineEditor::new("");
        let mut keys = vec![b'x'; 1 << 20];
        keys.push(b'\r');
        assert_eq!(typed(&mut editor, &keys), [Typed::Line(Err(LineError::TooLong))]);
        assert_eq!(typed(&mut editor, b"next\r"), [line("next")]);
        assert_eq!(typed(&mut editor, &keys[keys.len() - LINE_BYTES_MAX - 1..]).len(), 1);
        keys.pop();
        typed(&mut editor, &keys);
        assert_eq!(typed(&mut editor, b"\x15\x04"), []);
    }

    #[test]
    fn cursor_stays_within_the_row() {
        let mut editor = LineEditor::new("a long room name> ");
        let text = "日本語 hello\te\u{301} 👨\u{200d}👩\u{200d}👧 ".repeat(20);
        for (index, byte) in text.bytes().chain([2; 200]).enumerate() {
            editor.take(byte);
            if index % 7 != 0 {
                continue;
            }
            for columns in [0, 1, 2, 10, 40, 80] {
                let drawn = editor.draw(columns);
                let row = drawn.strip_prefix("\r\x1b[K").unwrap();
                let (left, right) = row.split_once(SAVE_CURSOR).unwrap_or((row, ""));
                let right = right.trim_end_matches(RESTORE_CURSOR);
                let width = escape::width(left) + escape::width(right);
                assert!(width < columns.max(2), "{width} of {columns}: {row}");
                assert_eq!(editor.drawn, left);
            }
        }
        assert_eq!(LineEditor::new("> ").draw(80), "\r\x1b[K> ");
        let mut editor = LineEditor::new("> ");
        typed(&mut editor, b"left right\x02\x02\x02\x02\x02");
        assert_eq!(editor.draw(80), "\r\x1b[K> left \x1b7right\x1b8");
    }

    /// The row of 63 columns is broken into two of 40, or into four of 20, and the cursor is behind its end.
    #[test]
    fn narrower_terminal_keeps_no_piece() {
        let mut editor = LineEditor::new("> ");
        typed(&mut editor, format!("{}!", "word ".repeat(12)).as_bytes());
        for (columns, column, up) in
            [(40, 24, "\x1b[1A"), (20, 4, "\x1b[3A"), (64, 64, ""), (20, 20, "")]
        {
            editor.draw(80);
            let asked = editor.resized(columns, true);
            if columns == 64 {
                assert!(asked.starts_with("\r\x1b[J\r\x1b[K> word"), "{asked:?}");
                continue;
            }
            assert_eq!(asked, ASK_CURSOR);
            // Nothing is drawn until the terminal has answered.
            assert_eq!(editor.redraw(columns), "");
            let answer = format!("\x1b[24;{column}R");
            assert_eq!(typed(&mut editor, answer.as_bytes()), [Typed::CursorAt(column)]);
            let drawn = editor.cursor_is_at(column, columns);
            assert!(drawn.starts_with(&format!("\r{up}\x1b[J\r\x1b[K> …")), "{columns}: {drawn:?}");
            // A second answer is a key that nobody knows.
            assert_eq!(typed(&mut editor, answer.as_bytes()), []);
            assert_eq!(editor.cursor_is_unknown(columns), "");
        }
        editor.draw(80);
        editor.resized(40, true);
        assert!(editor.cursor_is_unknown(40).starts_with("\r\x1b[J\r\x1b[K> "));
        // A screen that cuts rows off moves nothing.
        editor.draw(80);
        assert!(editor.resized(40, false).starts_with("\r\x1b[J\r\x1b[K> "));
    }

    #[test]
    fn broken_rows_are_counted() {
        for (text, columns, rows) in [
            ("", 10, 0),
            ("123456789", 10, 0),
            ("1234567890", 10, 1),
            ("12345678901", 10, 1),
            ("日本語", 5, 1),
            ("日本語日本語", 5, 2),
        ] {
            assert_eq!(rows_above(text, columns), rows, "{text}");
        }
    }

    #[test]
    fn pasted_text_is_drawn_inert() {
        let mut editor = LineEditor::new("\x1b]0;x\x07> ");
        typed(&mut editor, "\x1b[200~a\u{202e}b\u{9b}2J\nc\x1b[201~".as_bytes());
        let drawn = editor.draw(80);
        assert!(drawn.contains("a\\u{202e}b\\u{9b}2J↵c"), "{drawn}");
        assert!(drawn.contains("\\u{1b}]0;x\\u{7}> "), "{drawn}");
    }
}
