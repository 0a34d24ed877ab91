//! Display names, with rules that keep members from impersonating one another.

use core::fmt;
use std::sync::LazyLock;

use unicode_normalization::{UnicodeNormalization as _, char::is_combining_mark};
use unicode_security::{RestrictionLevel, RestrictionLevelDetection as _, skeleton};

use super::escape::is_invisible;

/// The version of the data that decides about names; see `docs/protocol.md` section 7.9.
pub const UNICODE_VERSION: (u8, u8, u8) = unicode_normalization::UNICODE_VERSION;
/// Characters of a name after normalisation.
pub const NAME_CHARS_MAX: usize = 40;
/// Bytes of a name before normalisation; longer text cannot be a name.
const NAME_BYTES_MAX: usize = 1024;
/// Marks in a row. Pointed Hebrew has up to three.
const MARKS_MAX: usize = 3;
/// Characters that a name may contain besides letters, marks and digits.
const PUNCTUATION: [char; 8] = [' ', '-', '\'', '’', '.', ',', '_', '·'];

/// Words that no part of a name may look like, because they claim authority.
const TITLES: [&str; 10] = [
    "facilitator",
    "cofacilitator",
    "moderator",
    "admin",
    "administrator",
    "hearth",
    "hearthd",
    "relay",
    "server",
    "system",
];
/// Words that a whole name may not look like, because they have a meaning where names are displayed or typed.
const WORDS: [&str; 12] = [
    "you",
    "me",
    "all",
    "everyone",
    "everybody",
    "nobody",
    "room",
    "member",
    "observer",
    "steward",
    "anonymous",
    "unknown",
];

/// A valid name: NFC, one line, one script or a usual mixture, no invisible character.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(String);

impl Name {
    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the text by value.
    pub fn into_string(self) -> String {
        self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Reasons to refuse a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// No letter and no digit.
    #[error("a name needs at least one letter or digit")]
    Empty,
    /// More than [`NAME_CHARS_MAX`].
    #[error("a name has at most {NAME_CHARS_MAX} characters")]
    TooLong,
    /// A control or invisible character, or a line break.
    #[error("a name must not contain the invisible character U+{:04X}", u32::from(*.0))]
    Invisible(char),
    /// A symbol.
    #[error("a name has letters, digits, spaces and - ' . , _ only, not U+{:04X}", u32::from(*.0))]
    Character(char),
    /// Too many marks in a row, or a mark without a letter.
    #[error("a name must not pile up accents")]
    Marks,
    /// Letters that look like others, from scripts that no language mixes.
    #[error("a name must not mix alphabets or use letters made to look like others")]
    Mixed,
    /// Looks like a reserved word.
    #[error("this name could be mistaken for \"{0}\"; please choose another")]
    Reserved(&'static str),
}

/// Parses a name.
///
/// # Errors
/// See [`NameError`].
pub fn parse_name(text: &str) -> Result<Name, NameError> {
    if text.len() > NAME_BYTES_MAX {
        return Err(NameError::TooLong);
    }
    let name: String = text.trim().nfc().collect();
    let name = name.split(' ').filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
    if name.chars().count() > NAME_CHARS_MAX {
        return Err(NameError::TooLong);
    }
    let mut marks = 0;
    let mut last = ' ';
    for c in name.chars() {
        if c.is_control() || is_invisible(c) || matches!(c, '\u{2028}' | '\u{2029}') {
            return Err(NameError::Invisible(c));
        }
        let mark = is_combining_mark(c);
        if !(is_letter(c) || mark || PUNCTUATION.contains(&c)) {
            return Err(NameError::Character(c));
        }
        marks = if mark { marks + 1 } else { 0 };
        // A mark without a letter would attach to the output before the name.
        if marks > MARKS_MAX || (mark && PUNCTUATION.contains(&last)) {
            return Err(NameError::Marks);
        }
        last = c;
    }
    if !name.chars().any(char::is_alphanumeric) {
        return Err(NameError::Empty);
    }
    // The level is defined for identifiers, so the check covers only the letters.
    let letters: String = name.chars().filter(|c| !PUNCTUATION.contains(c)).collect();
    if !letters.as_str().check_restriction_level(RestrictionLevel::ModeratelyRestrictive) {
        return Err(NameError::Mixed);
    }
    match reserved(&name) {
        Some(word) => Err(NameError::Reserved(word)),
        None => Ok(Name(name)),
    }
}

/// Whether a character is a letter or digit of names. One letter of Unicode 18 is excluded, because only later versions of Rust
/// know it, and all members must decide alike, with any version.
fn is_letter(c: char) -> bool {
    c.is_alphanumeric() && c != '\u{11b0a}'
}

/// Whether two names look alike: "Ana" and "Аna" with a Cyrillic letter, "Ana" and "ANA", "An-na" and "Anna", "Iris" and
/// "lris" (UTS 39 section 4, after case folding and without punctuation).
pub fn confusable(a: &str, b: &str) -> bool {
    Look::of(a).is_like(&Look::of(b))
}

/// The look of a name, for comparison with many others.
#[derive(Debug)]
pub struct Look([String; 2]);

impl Look {
    /// Computes the look of a name.
    ///
    /// It has two forms, because folding case first hides that a capital I looks like an l, and folding it last hides likenesses
    /// of small letters between alphabets.
    pub fn of(name: &str) -> Self {
        let letters: String =
            name.chars().filter(|c| c.is_alphanumeric() || is_combining_mark(*c)).collect();
        let seen: String = skeleton(&letters).collect();
        Self([letters, seen].map(|text| skeleton(&text.to_lowercase()).collect()))
    }

    /// Whether the two are [`confusable`].
    pub fn is_like(&self, other: &Self) -> bool {
        self.0.iter().any(|look| other.0.contains(look))
    }
}

/// Calls that are looked at in one text.
const CALLS_MAX: usize = 32;

/// Whether a text calls somebody: `@` and a name, or what looks like it, as whole words. A longer name that fits one of the others
/// calls the other: "@Ben K" is not for Ben if there is a Ben K.
pub fn calls(text: &str, name: &Look, others: &[Look]) -> bool {
    let in_word = |c: char| c.is_alphanumeric() || is_combining_mark(c);
    let begins = text.match_indices('@').filter(|(at, _)| {
        !text.get(..*at).and_then(|before| before.chars().next_back()).is_some_and(in_word)
    });
    begins.take(CALLS_MAX).any(|(at, sign)| {
        let called = text.get(at + sign.len()..).unwrap_or_default();
        let line = called.lines().next().unwrap_or_default();
        let line = if line.starts_with(char::is_whitespace) { "" } else { line };
        let ends = line.char_indices().take(NAME_CHARS_MAX).filter_map(|(at, c)| {
            let end = at + c.len_utf8();
            let next = line.get(end..).and_then(|rest| rest.chars().next());
            (in_word(c) && !next.is_some_and(in_word)).then_some(end)
        });
        // The longest name that fits counts.
        let mut looks: Vec<Look> = ends.filter_map(|end| line.get(..end)).map(Look::of).collect();
        looks.reverse();
        looks.iter().find_map(|look| {
            let mine = look.is_like(name);
            (mine || others.iter().any(|other| look.is_like(other))).then_some(mine)
        }) == Some(true)
    })
}

/// A reserved word and its look.
type Reserved = (&'static str, Look);

/// Computed once, because every leaf of a room is compared with them at each new epoch.
static RESERVED_TITLES: LazyLock<Vec<Reserved>> = LazyLock::new(|| looks_of(&TITLES));
static RESERVED_WORDS: LazyLock<Vec<Reserved>> = LazyLock::new(|| looks_of(&WORDS));

fn looks_of(words: &[&'static str]) -> Vec<Reserved> {
    words.iter().map(|word| (*word, Look::of(word))).collect()
}

fn reserved(name: &str) -> Option<&'static str> {
    let among = |look: &Look, words: &[Reserved]| {
        words.iter().find(|(_, word)| look.is_like(word)).map(|(word, _)| *word)
    };
    let whole = Look::of(name);
    let mut parts = name.split(|c: char| !c.is_alphanumeric() && !is_combining_mark(c));
    among(&whole, &RESERVED_TITLES)
        .or_else(|| among(&whole, &RESERVED_WORDS))
        .or_else(|| parts.find_map(|part| among(&Look::of(part), &RESERVED_TITLES)))
}

#[cfg(test)]
mod tests {
    use hearth_protocol::hash;
    use unicode_security::GeneralSecurityProfile;

    use super::*;

    const PROTOCOL: &str = include_str!("../../../docs/protocol.md");

    /// Names decide which commits members refuse, so all members need the same data: another version of it is another format of the
    /// policy (`docs/protocol.md` section 7.9). The test compares the tables too, because letters and lower case come from Rust's own
    /// data, which any version of Rust may change.
    #[test]
    fn names_rest_on_unicode_18() {
        assert_eq!(unicode_normalization::UNICODE_VERSION, (18, 0, 0));
        assert_eq!(unicode_security::UNICODE_VERSION, (18, 0, 0));
        let stands_in_names = |c: &char| {
            (is_letter(*c) || is_combining_mark(*c))
                && GeneralSecurityProfile::identifier_allowed(*c)
        };
        let all: Vec<char> = ('\0'..=char::MAX).filter(stands_in_names).collect();
        assert!(all.iter().all(|c| !is_invisible(*c) && !c.is_control()));
        let each = |to: &dyn Fn(char) -> String| -> String { all.iter().map(|c| to(*c)).collect() };
        let mixes = |c: char| -> String {
            let fits = |script: &&&str| {
                let both = format!("{script}{c}");
                both.as_str().check_restriction_level(RestrictionLevel::ModeratelyRestrictive)
            };
            ["a", "α", "я", "漢", "か", "한", "ㄅ", "א"].iter().filter(fits).copied().collect()
        };
        let tables = [
            ("characters", each(&String::from)),
            ("normalised", each(&|c| c.nfc().collect())),
            ("lower case", each(&|c| c.to_lowercase().collect())),
            ("skeletons", each(&|c| skeleton(c.encode_utf8(&mut [0; 4])).collect())),
            ("mixes", each(&mixes)),
        ];
        let shown = tables.map(|(name, table)| {
            format!("names, {name}\n  {}\n", hash::sha256(table.as_bytes()).to_hex())
        });
        let shown = shown.concat();
        assert!(PROTOCOL.contains(&shown), "{} characters:\n{shown}", all.len());
    }

    #[test]
    fn called_name_is_a_whole_word() {
        let (ben, others) = (Look::of("Ben"), [Look::of("Ben K."), Look::of("Dee")]);
        for text in [
            "@Ben",
            "Thank you, @ben!",
            "@BEN, are you there?",
            "(@Ben)",
            "@Dee and @Ben",
            "@Ben Hur",
            "one\n@B\u{435}n",
            "@Ben's",
        ] {
            assert!(calls(text, &ben, &others), "{text}");
        }
        for text in
            ["Ben", "@Benny", "me@Ben.example", "@ Ben", "@Ben K", "@Ben K. said", "@Dee", "@", ""]
        {
            assert!(!calls(text, &ben, &others), "{text}");
        }
        assert!(calls("@ben k: yes", &others[0], &[ben]));
        assert!(!calls(&"@".repeat(1 << 16), &others[0], &[]));
    }

    #[test]
    fn names_of_people_are_taken() {
        for name in [
            "Ana",
            "José María",
            "O'Brien",
            "Jean-Luc",
            "Dr. Ana W.",
            "Nguyễn Thị Minh",
            "Αλέξανδρος",
            "Мария",
            "محمد",
            "דוד",
            "प्रिया",
            "สมชาย",
            "さくら 桜",
            "김철수",
            "river_7",
            "7",
            "Relaya",
        ] {
            assert_eq!(parse_name(name).map(Name::into_string).as_deref(), Ok(name), "{name}");
        }
        assert_eq!(parse_name("Ana   W").unwrap().as_str(), "Ana W");
        assert_eq!(parse_name("  Zoe\u{308} ").unwrap().as_str(), "Zoë");
        assert_eq!(parse_name(&"x".repeat(40)).unwrap().as_str().len(), 40);
    }

    #[test]
    fn invalid_names_are_refused_with_reason() {
        let zalgo = format!("Z{}", "\u{302}\u{323}".repeat(4));
        let cases = [
            ("", NameError::Empty),
            (" \t ", NameError::Empty),
            ("-.-", NameError::Empty),
            ("\u{301}", NameError::Marks),
            (zalgo.as_str(), NameError::Marks),
            ("Ana\nBen", NameError::Invisible('\n')),
            ("Ana\x1b[31m", NameError::Invisible('\x1b')),
            ("A\u{202e}na", NameError::Invisible('\u{202e}')),
            ("A\u{200d}na", NameError::Invisible('\u{200d}')),
            ("Ana\u{e0041}", NameError::Invisible('\u{e0041}')),
            ("Ana\u{fe0f}x", NameError::Invisible('\u{fe0f}')),
            ("\u{3164}", NameError::Invisible('\u{3164}')),
            ("/leave", NameError::Character('/')),
            ("@Ana", NameError::Character('@')),
            ("Ana: hi", NameError::Character(':')),
            ("Ana 👑", NameError::Character('👑')),
            ("Ana\u{a0}Ben", NameError::Character('\u{a0}')),
            ("Аna", NameError::Mixed),
            ("Αna", NameError::Mixed),
            ("𝐀𝐧𝐚", NameError::Mixed),
            ("Ａｎａ", NameError::Mixed),
            ("Ana\u{11b0a}", NameError::Character('\u{11b0a}')),
        ];
        for (text, error) in cases {
            assert_eq!(parse_name(text), Err(error), "{text:?}");
        }
        assert_eq!(parse_name(&"x".repeat(41)), Err(NameError::TooLong));
        assert_eq!(parse_name(&"e\u{301}".repeat(100_000)), Err(NameError::TooLong));
    }

    #[test]
    fn authority_words_are_reserved() {
        for (text, word) in [
            ("Facilitator", "facilitator"),
            ("FACILITATOR", "facilitator"),
            ("faci1itator", "facilitator"),
            ("FaciIitator", "facilitator"),
            ("co-facilitator", "cofacilitator"),
            ("Ana, facilitator", "facilitator"),
            ("The Relay", "relay"),
            ("Hearth", "hearth"),
            ("You", "you"),
            ("уоu", "you"),
            ("a.l.l", "all"),
        ] {
            let parsed = parse_name(text);
            assert!(
                matches!(parsed, Err(NameError::Reserved(found)) if found == word)
                    || parsed == Err(NameError::Mixed),
                "{text}: {parsed:?}"
            );
        }
    }

    #[test]
    fn look_alike_names_are_found() {
        for (a, b) in [
            ("Ana", "Аna"),
            ("Ana", "ANA"),
            ("Ana", "ana"),
            ("Сосо", "Coco"),
            ("Iris", "lris"),
            ("Bob", "B0b"),
            ("Anna", "An-na"),
            ("Mary Jane", "MaryJane"),
            ("Ana", "Ana."),
            ("José", "Jose\u{301}"),
        ] {
            assert!(confusable(a, b) && confusable(b, a), "{a} {b}");
        }
        for (a, b) in [("Ana", "Anna"), ("Ana", "Ben"), ("Jose", "Josef"), ("Ana 1", "Ana 2")] {
            assert!(!confusable(a, b), "{a} {b}");
        }
    }
}
