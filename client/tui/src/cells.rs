//! Text in cells: how wide a character is, what stands for it, where lines break.

use std::{borrow::Cow, ops::Range};

use hearth_text::escape;
use unicode_width::UnicodeWidthChar as _;

/// Columns of the widest character that every terminal draws alike; joined emoji are wider on some.
const CLUSTER_COLUMNS: usize = 2;

/// Returns what is drawn for one character of anybody's text, and its columns. Nothing of it can move the cursor or reorder text.
pub(crate) fn cell(cluster: &str) -> (Cow<'_, str>, usize) {
    if let [byte @ b' '..=b'~'] = cluster.as_bytes() {
        debug_assert!(byte.is_ascii());
        return (Cow::Borrowed(cluster), 1);
    }
    let inert = escape::one_line(cluster);
    let width = escape::width(&inert);
    if inert != cluster || width <= CLUSTER_COLUMNS {
        return (Cow::Owned(inert), width);
    }
    // Terminals measure joined emoji differently; their first part is alike everywhere.
    match cluster.chars().find_map(|c| Some((c, c.width().filter(|width| *width > 0)?))) {
        Some((c, width)) => (Cow::Owned(c.to_string()), width),
        None => (Cow::Owned(inert), width),
    }
}

/// Returns the columns of a text on one line.
pub(crate) fn width(text: &str) -> usize {
    escape::clusters(text).map(|cluster| cell(cluster).1).sum()
}

/// Returns the first part of a text that fits, with an ellipsis if something is left out.
pub(crate) fn cut(text: &str, columns: usize) -> String {
    let (mut cut, mut used, mut full) = (String::new(), 0, 0);
    for cluster in escape::clusters(text) {
        let (shown, width) = cell(cluster);
        full += width;
        if full > columns {
            break;
        }
        if used + width < columns {
            cut.push_str(&shown);
            used += width;
        }
    }
    if full <= columns {
        return escape::clusters(text).map(|cluster| cell(cluster).0).collect();
    }
    if columns > 0 {
        cut.push('…');
    }
    cut
}

/// Breaks a text into lines of at most so many columns, at spaces where it can; a longer word breaks anywhere. The ranges are of bytes,
/// and cover everything but the line feeds. Spaces at the end of a line may be wider than it.
pub(crate) fn wrap(text: &str, columns: usize) -> Vec<Range<usize>> {
    let columns = columns.max(1);
    let mut lines = Vec::new();
    let mut begin = 0;
    for paragraph in text.split('\n') {
        wrap_paragraph(paragraph, begin, columns, &mut lines);
        begin += paragraph.len() + 1;
    }
    lines
}

fn wrap_paragraph(text: &str, base: usize, columns: usize, lines: &mut Vec<Range<usize>>) {
    let (mut start, mut width, mut at) = (0, 0, 0);
    // Where the word begins that is being measured, and the columns before it.
    let (mut word, mut before) = (0, 0);
    for cluster in escape::clusters(text) {
        let wide = cell(cluster).1;
        let space = cluster == " ";
        if !space && width + wide > columns && at > start {
            let end = if word > start { word } else { at };
            lines.push(base + start..base + end);
            width -= if word > start { before } else { width };
            (start, word, before) = (end, end, 0);
        }
        width += wide;
        at += cluster.len();
        if space {
            (word, before) = (at, width);
        }
    }
    lines.push(base + start..base + text.len());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str, columns: usize) -> Vec<&str> {
        wrap(text, columns).into_iter().map(|range| text[range].trim_end()).collect()
    }

    #[test]
    fn lines_break_at_spaces() {
        assert_eq!(lines("one two three", 8), ["one two", "three"]);
        assert_eq!(lines("one two\n\nthree", 80), ["one two", "", "three"]);
        assert_eq!(lines("abcdefghij", 4), ["abcd", "efgh", "ij"]);
        assert_eq!(lines("a abcdefgh", 4), ["a", "abcd", "efgh"]);
        assert_eq!(lines("日本語日本語", 4), ["日本", "語日", "本語"]);
        assert_eq!(lines("", 4), [""]);
        assert_eq!(lines("1234 5678", 4), ["1234", "5678"]);
    }

    #[test]
    fn no_line_is_wider_than_asked() {
        let text = "Same here. The first ten minutes are 日本語 the hardest: 👨‍👩‍👧‍👦 \u{202e}evil\u{202c} e\u{301}\u{301}";
        for columns in 12..60 {
            for range in wrap(text, columns) {
                assert!(width(text[range].trim_end()) <= columns);
            }
            let whole: String = wrap(text, columns).into_iter().map(|range| &text[range]).collect();
            assert_eq!(whole, text);
        }
    }

    #[test]
    fn cells_are_inert() {
        assert_eq!(cell("👨‍👩‍👧‍👦").0, "👨");
        assert_eq!(cell("a").0, "a");
        for harmful in ["\u{1b}", "\u{202e}", "\u{7f}", "\u{9b}", "\r"] {
            let (shown, width) = cell(harmful);
            assert!(shown.chars().all(|c| !c.is_control() && c != '\u{202e}'), "{shown:?}");
            assert_eq!(width, escape::width(&shown));
        }
    }

    #[test]
    fn cut_text_fits() {
        assert_eq!(cut("Tuesday evening", 13), "Tuesday even…");
        assert_eq!(cut("Tuesday", 7), "Tuesday");
        assert_eq!(cut("日本語", 4), "日…");
        assert_eq!(cut("abc", 0), "");
    }
}
