//! Texts of a file: checked for what screens do not show, and compared as a reader does.

use hearth_text::escape::{is_blank, many_lines};
use unicode_normalization::UnicodeNormalization as _;

use crate::Reason;
use crate::fault::quoted;

/// How long a text may be, and whether it is one line.
#[derive(Clone, Copy)]
pub(crate) struct Limit {
    pub(crate) chars: usize,
    pub(crate) lines: bool,
}

/// Checks a text and returns it as it is displayed: in NFC, without white space at its ends, with plain spaces for tabs.
///
/// # Errors
/// Names what a screen would display otherwise than it stands there, because members would read other words than the author.
pub(crate) fn check(key: &'static str, text: &str, limit: Limit) -> Result<String, Reason> {
    let plain = text.replace("\r\n", "\n").replace('\t', " ");
    let plain: String = plain.trim().nfc().collect();
    let chars = plain.chars().count();
    if chars > limit.chars {
        return Err(Reason::TooLong { key, chars, max: limit.chars });
    }
    if let Some(character) = changed(&plain) {
        return Err(Reason::Character { key, character });
    }
    if is_blank(&plain) {
        return Err(Reason::Blank { key });
    }
    if !limit.lines && plain.contains('\n') {
        return Err(Reason::ManyLines { key });
    }
    Ok(plain)
}

/// Returns the first character that is not displayed as it stands.
fn changed(text: &str) -> Option<char> {
    let shown = many_lines(text, "");
    let mut shown = shown.chars();
    text.chars().find(|c| shown.next() != Some(*c))
}

/// Reduces a text to what a reader compares: no case, white space as single spaces.
pub(crate) fn alike(text: &str) -> String {
    text.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Returns the position of the first text that repeats an earlier one, with the earlier one's; both from 0.
pub(crate) fn repeated<'a>(texts: impl Iterator<Item = &'a str>) -> Option<(usize, usize)> {
    let mut before = Vec::new();
    for (at, text) in texts.enumerate() {
        let text = alike(text);
        if let Some(first) = before.iter().position(|earlier| *earlier == text) {
            return Some((first, at));
        }
        before.push(text);
    }
    None
}

/// Returns the known word with the fewest typing slips between it and a word.
pub(crate) fn nearest(word: &str, known: &[&'static str]) -> &'static str {
    // Slips past the longest known word cannot matter.
    let word: Vec<char> = word.to_lowercase().replace('-', "_").chars().take(64).collect();
    let slips = |name: &&&'static str| {
        let name: Vec<char> = name.chars().collect();
        // A front such as "min" for "minutes" is an abbreviation, no matter how many letters it lacks.
        let front = word.len() > 1 && (name.starts_with(&word) || word.starts_with(&name));
        if front { 0 } else { distance(&word, &name) }
    };
    known.iter().min_by_key(slips).copied().unwrap_or_default()
}

/// Counts insertions, deletions and replacements between two words.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut corner = i;
        let mut left = i + 1;
        for (j, y) in b.iter().enumerate() {
            let above = row.get(j + 1).copied().unwrap_or(left);
            let cost = (corner + usize::from(x != y)).min(above + 1).min(left + 1);
            if let Some(cell) = row.get_mut(j) {
                *cell = left;
            }
            corner = above;
            left = cost;
        }
        if let Some(cell) = row.last_mut() {
            *cell = left;
        }
    }
    row.last().copied().unwrap_or_default()
}

/// Checks an id.
pub(crate) fn check_id(text: &str) -> Result<String, Reason> {
    let text: String = text.nfc().collect();
    if is_id(&text) { Ok(text) } else { Err(Reason::Id { value: quoted(&text) }) }
}

fn is_id(text: &str) -> bool {
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_');
    let length = text.chars().count();
    (1..=crate::ID_CHARS_MAX).contains(&length)
        && text.chars().all(fits)
        && text.chars().any(char::is_alphanumeric)
        && changed(text).is_none()
}

/// Makes an id of the name of a file without its ending: `My round` becomes `my-round`.
pub(crate) fn id_of_stem(stem: &str) -> Option<String> {
    let mut id = String::new();
    for c in stem.nfc().flat_map(char::to_lowercase) {
        if c.is_alphanumeric() || c == '_' {
            id.push(c);
        } else if !id.is_empty() && !id.ends_with('-') {
            id.push('-');
        }
        if id.chars().count() == crate::ID_CHARS_MAX {
            break;
        }
    }
    let id: String = id.trim_end_matches('-').nfc().collect();
    is_id(&id).then_some(id)
}

/// Whether a text has the shape of a language tag (BCP 47): `en`, `pt-BR`, `zh-Hant-TW`.
pub(crate) fn is_language(text: &str) -> bool {
    let mut parts = text.split('-');
    let first = parts.next().unwrap_or_default();
    let is_tag = (2..=3).contains(&first.len()) && first.bytes().all(|b| b.is_ascii_alphabetic());
    let fits = |part: &str| {
        (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric())
    };
    is_tag && text.len() <= 35 && parts.all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_key_is_found() {
        let known = ["title", "minutes", "who", "evidence", "after_own", "opens_after"];
        for (word, key) in [
            ("titel", "title"),
            ("Minutes", "minutes"),
            ("min", "minutes"),
            ("after-own", "after_own"),
            ("afterown", "after_own"),
            ("evidnce", "evidence"),
        ] {
            assert_eq!(nearest(word, &known), key, "{word}");
        }
        assert_eq!(nearest("", &known), "who");
        assert_eq!(nearest("x", &[]), "");
    }

    #[test]
    fn slips_are_counted() {
        let chars = |word: &str| word.chars().collect::<Vec<_>>();
        for (a, b, slips) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("kitten", "sitting", 3),
            ("ask", "say", 3),
        ] {
            assert_eq!(distance(&chars(a), &chars(b)), slips, "{a} {b}");
        }
    }

    #[test]
    fn stems_become_ids() {
        for (stem, id) in [
            ("My round", Some("my-round")),
            ("evening_2", Some("evening_2")),
            ("Übung (neu)", Some("übung-neu")),
            ("...", None),
            ("", None),
            ("\u{202e}", None),
        ] {
            assert_eq!(id_of_stem(stem).as_deref(), id, "{stem}");
        }
        let long = id_of_stem(&"long ".repeat(100)).unwrap();
        assert!(long.chars().count() <= crate::ID_CHARS_MAX, "{long}");
    }

    #[test]
    fn language_tags_are_told_apart() {
        for tag in ["en", "de", "pt-BR", "zh-Hant-TW", "gsw"] {
            assert!(is_language(tag), "{tag}");
        }
        for text in ["", "e", "english", "en_US", "en-", "-en", "1n", "en-toolongsubtag"] {
            assert!(!is_language(text), "{text}");
        }
    }

    #[test]
    fn unshown_characters_are_refused() {
        let limit = Limit { chars: 20, lines: true };
        for (text, character) in [
            ("a\u{1b}[2J", '\u{1b}'),
            ("a\u{202e}b", '\u{202e}'),
            ("a\u{200b}b", '\u{200b}'),
            ("a\rb", '\r'),
            ("a\u{2028}b", '\u{2028}'),
            ("a\u{e000}", '\u{e000}'),
            ("a\u{feff}b", '\u{feff}'),
            ("a\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}", '\u{301}'),
        ] {
            let refused = Err(Reason::Character { key: "ask", character });
            assert_eq!(check("ask", text, limit), refused, "{text:?}");
        }
        // A family, Persian with a joiner, an accent in two parts, a tab and line feeds.
        for (text, shown) in [
            ("👨\u{200d}👩\u{200d}👧", "👨\u{200d}👩\u{200d}👧"),
            ("می\u{200c}خواهم", "می\u{200c}خواهم"),
            ("e\u{301}", "é"),
            ("a\tb\r\nc\n", "a b\nc"),
        ] {
            assert_eq!(check("ask", text, limit).as_deref(), Ok(shown), "{text:?}");
        }
    }
}
