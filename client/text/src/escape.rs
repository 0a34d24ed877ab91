//! Makes untrusted text inert for a terminal, and refuses typed text that would need it.
//!
//! Text from another member, a facilitator or the relay is displayed through [`one_line`] or [`many_lines`]. After
//! that it cannot move the cursor, set the clipboard or the window's title (OSC 52, OSC 0), fake a link (OSC 8),
//! reverse the reading order (bidirectional controls), hide words (zero-width characters, tags), begin a line that
//! looks like another member's, or overlap other lines (stacked marks). Removed characters stay visible, as
//! `\u{202e}`; `\u{+12}` stands for twelve more such characters.

use std::fmt::Write as _;

use unicode_normalization::{UnicodeNormalization as _, char::is_combining_mark};
use unicode_segmentation::{GraphemeCursor, UnicodeSegmentation as _};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr as _};

/// Bytes of one typed message; leaves room for its envelope in the largest padding bucket.
pub const INPUT_BYTES_MAX: usize = 16 * 1024;
/// Marks displayed on one base character. Written languages use up to three.
const MARKS_MAX: usize = 4;
/// Joiners in one emoji. A family of four has three.
const JOINS_MAX: usize = 6;
/// Escapes displayed in a row; further ones are counted, so that the output is bounded by a multiple of the input.
const ESCAPES_IN_A_ROW_MAX: usize = 8;
/// Columns of a tab in displayed text.
const TAB: &str = "    ";

const ZWNJ: char = '\u{200c}';
const ZWJ: char = '\u{200d}';
const DOTTED_CIRCLE: char = '\u{25cc}';

/// Reasons to refuse typed text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// No visible character.
    #[error("there is nothing in it")]
    Empty,
    /// More than [`INPUT_BYTES_MAX`].
    #[error("it has {bytes} bytes, more than the {INPUT_BYTES_MAX} that one message holds")]
    TooLong {
        /// Its number of bytes.
        bytes: usize,
    },
    /// NUL, ESC and the like.
    #[error("it contains the control character U+{:04X}", u32::from(*.0))]
    Control(char),
}

/// Returns untrusted text as one inert line: for names, titles, and prompts.
pub fn one_line(text: &str) -> String {
    Escaper::new(None, text.len()).run(text)
}

/// Returns untrusted text as inert lines; every line but the first begins with `indent`, which the caller trusts.
pub fn many_lines(text: &str, indent: &str) -> String {
    Escaper::new(Some(indent), text.len()).run(text)
}

/// Returns a text without the secret part of a Hearth link that is among some words.
///
/// For messages about a command line that does not parse, because standard error may be kept in a log.
pub fn without_link_secrets(text: &str, words: &[String]) -> String {
    words
        .iter()
        .filter_map(|word| word.get(word.find("hearth")?..)?.split_once('#'))
        .filter(|(place, secret)| place.contains("://") && !secret.is_empty())
        .fold(text.to_owned(), |text, (_, secret)| text.replace(secret, "..."))
}

/// Returns the columns that inert text takes on a terminal, at most: many terminals draw the parts of a joined emoji side by side.
pub fn width(text: &str) -> usize {
    text.graphemes(true).map(cluster_width).sum()
}

fn cluster_width(cluster: &str) -> usize {
    let parts: usize = cluster.chars().filter_map(UnicodeWidthChar::width).sum();
    parts.max(cluster.width())
}

/// Splits a text into characters as a reader counts them.
pub fn clusters(text: &str) -> impl Iterator<Item = &str> {
    text.graphemes(true)
}

/// Returns where the character begins that ends at a byte of a text; a joined emoji, a flag, a syllable or a letter with its marks
/// is one.
pub fn cluster_before(text: &str, at: usize) -> usize {
    // The text is whole, so the boundary is known.
    GraphemeCursor::new(at, text.len(), true).prev_boundary(text, 0).ok().flatten().unwrap_or(0)
}

/// Returns where the character ends that begins at a byte of a text.
pub fn cluster_after(text: &str, at: usize) -> usize {
    let next = GraphemeCursor::new(at, text.len(), true).next_boundary(text, 0);
    next.ok().flatten().unwrap_or(text.len())
}

/// Cuts inert text to a number of columns, with an ellipsis for the omitted part. Keeps emoji and marks whole.
pub fn truncate(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let Some(room) = columns.checked_sub(1) else {
        return String::new();
    };
    let mut used = 0;
    let mut end = 0;
    for cluster in text.graphemes(true) {
        used += cluster_width(cluster);
        if used > room {
            break;
        }
        end += cluster.len();
    }
    let mut cut = text[..end].to_owned();
    cut.push('…');
    cut
}

/// Cuts inert text to its last columns, with an ellipsis for the omitted part.
pub fn truncate_start(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let Some(room) = columns.checked_sub(1) else {
        return String::new();
    };
    let mut used = 0;
    let mut begin = text.len();
    for (at, cluster) in text.grapheme_indices(true).rev() {
        used += cluster_width(cluster);
        if used > room {
            break;
        }
        begin = at;
    }
    format!("…{}", &text[begin..])
}

/// Checks and normalises (NFC) a member's typed text. Line feeds and tabs are kept, trailing white space is removed.
///
/// # Errors
/// See [`TextError`].
pub fn sanitize_input(text: &str) -> Result<String, TextError> {
    let too_long = |bytes| if bytes > INPUT_BYTES_MAX { Err(bytes) } else { Ok(()) };
    // First, so that a pasted megabyte costs nothing.
    too_long(text.len()).map_err(|bytes| TextError::TooLong { bytes })?;
    let text = text.replace("\r\n", "\n");
    if let Some(control) = text.chars().find(|c| c.is_control() && !matches!(c, '\n' | '\t')) {
        return Err(TextError::Control(control));
    }
    if is_blank(&text) {
        return Err(TextError::Empty);
    }
    let normal: String = text.trim_end().nfc().collect();
    too_long(normal.len()).map_err(|bytes| TextError::TooLong { bytes })?;
    Ok(normal)
}

/// Whether the text has no visible character.
pub fn is_blank(text: &str) -> bool {
    text.chars().all(|c| c.is_whitespace() || c.is_control() || is_invisible(c))
}

/// Whether a character is invisible or reorders text; names may not contain one.
pub fn is_invisible(c: char) -> bool {
    is_variation_selector(c)
        || matches!(c,
            // Bidirectional controls and isolates.
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
            // Joiners, zero-width and deprecated format characters, invisible operators.
            | '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2065}' | '\u{206a}'..='\u{206f}' | '\u{feff}'
            // Soft hyphen, grapheme joiner, fillers, inherent vowels, Mongolian separators, blank Braille.
            | '\u{ad}' | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}'
            | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{2800}'
            // Annotation, shorthand and musical controls.
            | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            // Tags and the rest of their plane.
            | '\u{e0000}'..='\u{e0fff}')
}

/// Whether a character is always displayed as its number.
fn is_harmful(c: char) -> bool {
    let number = u32::from(c);
    c.is_control()
        || is_invisible(c)
        // Line and paragraph separators.
        || matches!(c, '\u{2028}' | '\u{2029}')
        // Private use: a font may display anything for it, such as a facilitator's mark.
        || matches!(number, 0xe000..=0xf8ff | 0xf_0000..)
        // Noncharacters.
        || matches!(number, 0xfdd0..=0xfdef) || number & 0xfffe == 0xfffe
}

const fn is_variation_selector(c: char) -> bool {
    matches!(c, '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}')
}

/// Whether a character may be part of an emoji sequence with joiners.
const fn is_pictograph(c: char) -> bool {
    matches!(c, '\u{a9}' | '\u{ae}' | '\u{203c}' | '\u{2049}' | '\u{2190}'..='\u{21ff}'
        | '\u{2300}'..='\u{23ff}' | '\u{2600}'..='\u{27bf}' | '\u{2b00}'..='\u{2bff}'
        | '\u{3030}' | '\u{303d}' | '\u{3297}' | '\u{3299}' | '\u{1f000}'..='\u{1faff}')
}

/// Whether joiners change the letter forms of a character's script: Arabic, the scripts of India, and related ones.
const fn takes_joiners(c: char) -> bool {
    matches!(c, '\u{600}'..='\u{8ff}' | '\u{900}'..='\u{dff}' | '\u{f00}'..='\u{109f}'
        | '\u{1780}'..='\u{18af}' | '\u{fb50}'..='\u{fdcf}' | '\u{fe70}'..='\u{fefc}')
}

struct Escaper<'a> {
    out: String,
    /// Replaces line feeds; `None` keeps the text on one line.
    indent: Option<&'a str>,
    /// The last character displayed unchanged; `None` at the start of a line and after an escape.
    last: Option<char>,
    marks: usize,
    joins: usize,
    /// Escapes in a row so far.
    escapes: usize,
    /// Characters counted instead of displayed.
    hidden: usize,
}

impl<'a> Escaper<'a> {
    fn new(indent: Option<&'a str>, capacity: usize) -> Self {
        let out = String::with_capacity(capacity);
        Self { out, indent, last: None, marks: 0, joins: 0, escapes: 0, hidden: 0 }
    }

    fn run(mut self, text: &str) -> String {
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            let next = chars.peek().copied();
            match c {
                '\r' if next == Some('\n') => {}
                '\n' => self.line_feed(),
                '\t' => self.plain_text(TAB),
                ZWJ | ZWNJ if self.joins_well(c, next) => {
                    self.joins += 1;
                    self.show(c);
                }
                // One selector after a visible character selects its form; more could carry hidden bytes.
                '\u{fe0e}' | '\u{fe0f}' if self.last.is_some_and(|l| !is_invisible(l)) => {
                    self.show(c);
                }
                c if is_harmful(c) => self.escape(c),
                c if is_combining_mark(c) => self.mark(c),
                c => {
                    if self.last != Some(ZWJ) {
                        self.joins = 0;
                    }
                    self.marks = 0;
                    self.show(c);
                }
            }
        }
        self.count_hidden();
        self.out
    }

    /// Whether a script or an emoji needs the joiner at this place.
    fn joins_well(&self, joiner: char, next: Option<char>) -> bool {
        let (Some(last), Some(next)) = (self.last, next) else {
            return false;
        };
        let in_word = takes_joiners(last) && takes_joiners(next);
        let in_emoji = joiner == ZWJ
            && self.joins < JOINS_MAX
            && (is_pictograph(last) || last == '\u{fe0f}')
            && is_pictograph(next);
        in_word || in_emoji
    }

    fn line_feed(&mut self) {
        match self.indent {
            Some(indent) => {
                self.count_hidden();
                self.out.push('\n');
                self.out.push_str(indent);
                self.last = None;
                self.marks = 0;
                self.escapes = 0;
            }
            None => self.plain_text("\\n"),
        }
    }

    fn mark(&mut self, mark: char) {
        if self.marks >= MARKS_MAX {
            self.hidden += 1;
            return;
        }
        if self.last.is_none() {
            // Without a base, the mark would attach to the output before it.
            self.show(DOTTED_CIRCLE);
        }
        self.marks += 1;
        self.show(mark);
    }

    fn escape(&mut self, c: char) {
        if self.escapes >= ESCAPES_IN_A_ROW_MAX {
            self.hidden += 1;
            return;
        }
        self.count_hidden();
        self.escapes += 1;
        self.last = None;
        self.marks = 0;
        // Writing into a String cannot fail.
        let _ = write!(self.out, "\\u{{{:x}}}", u32::from(c));
    }

    fn show(&mut self, c: char) {
        self.count_hidden();
        self.escapes = 0;
        self.out.push(c);
        self.last = Some(c);
    }

    fn plain_text(&mut self, text: &str) {
        self.count_hidden();
        self.escapes = 0;
        self.marks = 0;
        self.out.push_str(text);
        self.last = Some(' ');
    }

    fn count_hidden(&mut self) {
        if self.hidden > 0 {
            let _ = write!(self.out, "\\u{{+{}}}", self.hidden);
            self.hidden = 0;
            self.last = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Asserts that a terminal gets no harmful character.
    fn assert_inert(shown: &str) {
        for (index, c) in shown.char_indices() {
            let alone = matches!(c, ZWJ | ZWNJ | '\u{fe0e}' | '\u{fe0f}');
            assert!(!is_harmful(c) || alone, "U+{:04X} at {index} of {shown:?}", u32::from(c));
        }
    }

    #[test]
    fn hostile_text_is_inert() {
        let cases = [
            ("\x1b]52;c;cm0gLXJm\x07", "\\u{1b}]52;c;cm0gLXJm\\u{7}"),
            (
                "\x1b]8;;https://evil\x1b\\ok\x1b]8;;\x1b\\",
                "\\u{1b}]8;;https://evil\\u{1b}\\ok\\u{1b}]8;;\\u{1b}\\",
            ),
            ("\x1b[2J\x1b[1;1H", "\\u{1b}[2J\\u{1b}[1;1H"),
            ("\u{9b}2J\u{9d}0;x\u{9c}", "\\u{9b}2J\\u{9d}0;x\\u{9c}"),
            ("\x1bP+q544e\x1b\\", "\\u{1b}P+q544e\\u{1b}\\"),
            ("\u{90}x", "\\u{90}x"),
            ("a\x08\x08b\x7f\0", "a\\u{8}\\u{8}b\\u{7f}\\u{0}"),
            ("over\rwritten", "over\\u{d}written"),
            ("\u{85}next", "\\u{85}next"),
            ("a\u{2028}b\u{2029}", "a\\u{2028}b\\u{2029}"),
            ("abc\u{202e}txt.exe", "abc\\u{202e}txt.exe"),
            ("\u{2066}x\u{2069}\u{200f}\u{61c}", "\\u{2066}x\\u{2069}\\u{200f}\\u{61c}"),
            (
                "pass\u{200b}word\u{feff}\u{2060}\u{ad}",
                "pass\\u{200b}word\\u{feff}\\u{2060}\\u{ad}",
            ),
            ("a\u{200d}b\u{200c}c", "a\\u{200d}b\\u{200c}c"),
            ("\u{e0041}\u{e0042}", "\\u{e0041}\\u{e0042}"),
            ("a\u{e0100}b", "a\\u{e0100}b"),
            ("a\u{fe0f}\u{fe0f}b\u{fe01}", "a\u{fe0f}\\u{fe0f}b\\u{fe01}"),
            ("\u{fe0f}x", "\\u{fe0f}x"),
            ("\u{e001}\u{f0000}\u{10fffd}", "\\u{e001}\\u{f0000}\\u{10fffd}"),
            ("\u{fdd0}\u{ffff}\u{1fffe}", "\\u{fdd0}\\u{ffff}\\u{1fffe}"),
            ("\u{301}x", "\u{25cc}\u{301}x"),
            ("\u{3164}\u{2800}", "\\u{3164}\\u{2800}"),
        ];
        for (hostile, shown) in cases {
            assert_eq!(one_line(hostile), shown);
            assert_inert(&one_line(hostile));
            assert_inert(&many_lines(hostile, "  ").replace("\n  ", ""));
        }
    }

    #[test]
    fn messages_omit_the_links_secret() {
        let said = "unrecognized subcommand 'hearth://a.example:1/join#secret' (see #1)";
        let words = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
        for link in ["hearth://a.example:1/join#secret", "--link=hearth://a.example:1/join#secret"]
        {
            let shown = without_link_secrets(said, &words(&["x", link]));
            assert_eq!(shown, "unrecognized subcommand 'hearth://a.example:1/join#...' (see #1)");
        }
        for other in ["hearth", "#1", "hearth://a.example:1/join#", "https://a.example/#secret"] {
            assert_eq!(without_link_secrets(said, &words(&[other])), said);
        }
    }

    #[test]
    fn every_single_character_is_inert() {
        for c in (0..=0x10_ffff).filter_map(char::from_u32) {
            let shown = one_line(&format!("a{c}{c}b"));
            assert!(!shown.chars().any(char::is_control), "U+{:04X}", u32::from(c));
            let doubled = shown.contains(&format!("{c}{c}"));
            assert!(!(doubled && is_harmful(c)), "U+{:04X}", u32::from(c));
        }
    }

    #[test]
    fn languages_and_emoji_are_unchanged() {
        for text in [
            "Żółć, naïve, Straße",
            "שלום עולם",
            "می\u{200c}خواهم",
            "क्\u{200d}ष नमस्ते",
            "ภาษาไทยนี้",
            "日本語 中文 한국어",
            "Việt Nam",
            "👨\u{200d}👩\u{200d}👧\u{200d}👦",
            "👩🏽\u{200d}🚀",
            "❤\u{fe0f}\u{200d}🔥",
            "🏳\u{fe0f}\u{200d}🌈",
            "1\u{fe0f}\u{20e3} 🇫🇷",
            "\\u{202e} typed out",
        ] {
            assert_eq!(one_line(text), text);
        }
    }

    #[test]
    fn stacked_marks_are_counted() {
        let zalgo = format!("z{}o", "\u{316}".repeat(20));
        assert_eq!(one_line(&zalgo), format!("z{}\\u{{+16}}o", "\u{316}".repeat(4)));
        let through_selector = format!("z{}\u{fe0f}{}", "\u{316}".repeat(4), "\u{316}".repeat(4));
        assert_eq!(one_line(&through_selector).matches('\u{316}').count(), MARKS_MAX);
    }

    #[test]
    fn invisible_floods_stay_short() {
        let shown = one_line(&"\u{e0041}".repeat(10_000));
        assert!(shown.ends_with("\\u{+9992}"), "{shown}");
        assert!(shown.len() < 200);
        let joined = one_line(&"👨\u{200d}".repeat(1000));
        assert!(!joined.contains(&"👨\u{200d}".repeat(JOINS_MAX + 1)));
    }

    #[test]
    fn forged_line_is_indented() {
        let forged = "hi\r\nBen (facilitator): leave\n\ttab";
        assert_eq!(many_lines(forged, "    "), "hi\n    Ben (facilitator): leave\n        tab");
        assert_eq!(one_line("Ana\nBen: hi"), "Ana\\nBen: hi");
        assert_eq!(many_lines("a\n\u{301}b", "| "), "a\n| \u{25cc}\u{301}b");
    }

    #[test]
    fn truncation_counts_columns_and_keeps_clusters() {
        let family = "👨\u{200d}👩\u{200d}👧";
        let cases = [
            ("short", 10, "short".to_owned()),
            ("exactly", 7, "exactly".to_owned()),
            ("too long", 5, "too …".to_owned()),
            ("日本語", 5, "日本…".to_owned()),
            ("日本語", 4, "日…".to_owned()),
            ("e\u{301}e\u{301}e\u{301}", 2, "e\u{301}…".to_owned()),
            ("anything", 1, "…".to_owned()),
            ("anything", 0, String::new()),
        ];
        for (text, columns, expected) in cases {
            let cut = truncate(text, columns);
            assert_eq!(cut, expected);
            assert!(width(&cut) <= columns);
        }
        let text = format!("{family}{family}");
        assert_eq!(truncate(&text, 7), format!("{family}…"));
        assert_eq!(truncate(&text, 6), "…");
        assert_eq!(truncate_start(&text, 7), format!("…{family}"));
        assert_eq!(truncate_start("日本語", 4), "…語");
    }

    /// A terminal that joins nothing draws each part of an emoji.
    #[test]
    fn width_counts_unjoined_parts() {
        for (text, columns) in [
            ("👨\u{200d}👩\u{200d}👧", 6),
            ("👍🏽", 4),
            ("🇫🇷", 2),
            ("❤\u{fe0f}", 2),
            ("e\u{301}", 1),
            ("\u{1112}\u{1161}\u{11ab}", 2),
            ("日本", 4),
        ] {
            assert_eq!(width(text), columns, "{text}");
        }
    }

    #[test]
    fn clusters_have_whole_boundaries() {
        let text = "a👨\u{200d}👩\u{200d}👧🇫🇷🇩🇪e\u{301}\u{1112}\u{1161}\u{11ab}";
        let mut steps = vec![0];
        while let Some(at) = steps.last().copied().filter(|at| *at < text.len()) {
            steps.push(cluster_after(text, at));
        }
        assert_eq!(steps.len(), 7, "{steps:?}");
        for pair in steps.windows(2) {
            assert_eq!(cluster_before(text, pair[1]), pair[0]);
        }
        assert_eq!((cluster_before(text, 0), cluster_after(text, text.len())), (0, text.len()));
    }

    #[test]
    fn typed_text_is_normalised() {
        assert_eq!(sanitize_input("Cafe\u{301}\r\n\tx \n").unwrap(), "Café\n\tx");
        assert_eq!(sanitize_input("  indented").unwrap(), "  indented");
        let full = "x".repeat(INPUT_BYTES_MAX);
        assert_eq!(sanitize_input(&full).unwrap(), full);
    }

    #[test]
    fn harmful_or_blank_text_is_refused() {
        for blank in ["", " \n\t ", "\u{200b}\u{feff}", "\u{3000}", "\u{2800}\u{e0041}"] {
            assert_eq!(sanitize_input(blank), Err(TextError::Empty), "{blank:?}");
        }
        for (text, control) in
            [("a\0b", '\0'), ("\x1b[0m", '\x1b'), ("a\rb", '\r'), ("\u{9b}x", '\u{9b}')]
        {
            assert_eq!(sanitize_input(text), Err(TextError::Control(control)));
        }
        let bytes = INPUT_BYTES_MAX + 1;
        assert_eq!(sanitize_input(&"x".repeat(bytes)), Err(TextError::TooLong { bytes }));
        // Composition makes it three times as long.
        let growing = "\u{1d160}".repeat(INPUT_BYTES_MAX / 4);
        assert!(matches!(sanitize_input(&growing), Err(TextError::TooLong { .. })));
        assert_eq!(
            TextError::Control('\x1b').to_string(),
            "it contains the control character U+001B"
        );
    }
}
