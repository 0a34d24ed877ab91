//! The agreement that a facilitator starts from, and whether a text is still that template.

use unicode_normalization::UnicodeNormalization as _;

use hearth_text::escape::{is_invisible, one_line, truncate};

/// The template, with empty blocks where the crisis contacts and the questions stand.
pub(super) const TEMPLATE: &str = include_str!("../agreement.md");

/// Longest run of words that is looked at as one bracket.
const BRACKET_BYTES_MAX: usize = 400;
/// What stands in a bracket and is right as it is, once the bracket is gone.
const PROPOSALS: [&str; 8] = [
    "English",
    "18 or over",
    "30 days",
    "3 days",
    "do / do not",
    "know / do not know",
    "one year at most; some programs ask every 90 days",
    "unless it has been since",
];
/// What the template says about itself, and what remains where the brackets were taken away around short words.
const OWN_WORDS: [&str; 8] = [
    "A template. The facilitator edits every line",
    "Delete this paragraph",
    "In effect from: date",
    "I call emergency number",
    "or go to place",
    "Facilitators do / do not write",
    "Facilitators know / do not know",
    "do / do not copy words from this room",
];

/// What stands in a bracket that may be taken away with nothing in its place.
const REMOVABLE: [&str; 7] = [
    "Or, in a room for young people only",
    "Adapt to your country, or remove.",
    "unless it has been since",
    "Choose:",
    "do / do not",
    "know / do not know",
    "How to see or correct a record.",
];
/// Words that say that something is still to come, where they stand alone in a place of the template.
const TO_COME: [&str; 6] = ["todo", "tbd", "tba", "tbc", "tbs", "fixme"];
/// Words that begin such a sign of several words.
const TO_COME_BEGINS: [&str; 5] = ["to do", "to be ", "fill in", "fill this in", "insert "];
/// Places of the template that are a choice: one of two words has to stand there, or none.
const CHOICES: [&str; 2] = ["do / do not", "know / do not know"];
/// Ways to write that a place does not apply. A place that has to be filled in is not filled in by them.
const NOT_APPLICABLE: [&str; 4] = ["n/a", "n.a.", "n.a", "n. a."];
/// Words that stand for an answer where they are all that a bracket holds.
const STAND_INS: [&str; 18] = [
    "null",
    "blank",
    "empty",
    "example",
    "sample",
    "placeholder",
    "pending",
    "later",
    "unknown",
    "to come",
    "to follow",
    "text",
    "name",
    "names",
    "number",
    "date",
    "place",
    "time",
];
/// Words that begin a bracket which says how an answer looks.
const SAMPLE_BEGINS: [&str; 6] = ["e.g", "eg ", "for example", "example:", "z.b.", "your "];
/// Columns of a line of the agreement that are quoted.
const QUOTED_COLUMNS: usize = 80;
/// Bytes between two places of the template in one sentence.
const APART_BYTES_MAX: usize = 300;

/// Says line by line what of the template is still to be filled in, each with its number; nothing if the text is somebody's own.
///
/// A bracket that is not the template's is the facilitator's.
///
/// The blocks of contacts and questions are left out: their brackets are TOML's, and their readers name what is missing there.
pub(super) fn unfilled(text: &str) -> Vec<String> {
    let text = &without_blocks(text);
    let wanted = own_brackets();
    let folded = Folded::of(text);
    let mut found = bracketed(text, &folded, &wanted);
    for (place, own) in emptied(text, &folded) {
        let line = line_of(text, place);
        // One of these says it.
        if !found.iter().any(|(at, _)| *at == line) {
            let quoted = text.lines().nth(line - 1).unwrap_or_default().trim();
            let quoted = truncate(&one_line(quoted), QUOTED_COLUMNS);
            found.push((line, format!("nothing in place of [{own}]: {quoted}")));
        }
    }
    found.sort();
    found.dedup();
    found.into_iter().map(|(line, words)| format!("line {line}: {words}")).collect()
}

/// Returns an agreement with empty lines in place of its blocks, so that the numbers of its lines stay.
fn without_blocks(text: &str) -> String {
    let (mut prose, mut from) = (String::new(), 0);
    let helps = hearth_forms::blocks_in(text);
    let mut blocks: Vec<_> = helps.chain(hearth_forms::question_blocks_in(text)).collect();
    blocks.sort_by_key(|block| block.begins);
    for block in blocks {
        // A block that is not closed reaches to the end, over others.
        if block.begins < from {
            continue;
        }
        prose.push_str(text.get(from..block.begins).unwrap_or_default());
        prose.extend(block.text.chars().filter(|c| *c == '\n'));
        from = block.begins + block.text.len();
    }
    prose.push_str(text.get(from..).unwrap_or_default());
    prose
}

/// Finds the template's own words.
fn bracketed(text: &str, folded: &Folded, wanted: &[String]) -> Vec<(usize, String)> {
    let mut found: Vec<(usize, String)> = Vec::new();
    for (at, inner) in brackets(folded, '[', ']') {
        if let Some(own) = wanted.iter().find(|own| own.to_lowercase() == inner) {
            found.push((line_of(text, at), format!("[{own}]")));
        } else if is_gap(&inner) || wanted.iter().any(|own| is_nearly(own, &inner)) {
            found.push((line_of(text, at), format!("[{inner}]")));
        }
    }
    for (at, inner) in brackets(folded, '(', ')') {
        if wanted.iter().any(|own| has_words(own) && inner.contains(&own.to_lowercase())) {
            found.push((line_of(text, at), format!("({inner})")));
        }
    }
    let plain = folded.without_brackets();
    // Short words may stand in any text; without their bracket they are looked for in their place.
    let bare = wanted.iter().map(String::as_str).filter(|inner| {
        inner.split(' ').count() > 2 && !PROPOSALS.iter().any(|p| p.eq_ignore_ascii_case(inner))
    });
    for own in bare.chain(OWN_WORDS) {
        let Some(at) = plain.text.find(&own.to_lowercase()) else { continue };
        let line = plain.places.get(at).map_or(1, |place| line_of(text, *place));
        // One of these says it.
        if !found.iter().any(|(at, words)| *at == line && words.starts_with(['[', '('])) {
            found.push((line, own.to_owned()));
        }
    }
    found
}

/// A place of the template that is to be filled in, by the words around it.
struct Place {
    before: String,
    after: String,
    own: String,
    /// Whether only the words of the place before tell where this one is.
    follows: bool,
}

/// Returns the places of the template in their order.
fn own_places() -> Vec<Place> {
    let folded = Folded::of(TEMPLATE).text;
    let mut pieces = folded.split('[');
    let mut before = pieces.next().unwrap_or_default();
    let mut places = Vec::new();
    for (piece, own) in pieces.zip(own_brackets()) {
        let Some((_, behind)) = piece.split_once(']') else { break };
        let words: Vec<&str> = before.split_whitespace().collect();
        let words = match words.as_slice() {
            [.., end, last] if end.ends_with(['.', ':']) => vec![*last],
            [.., last_but_one, last] => vec![*last_but_one, *last],
            all => all.to_vec(),
        };
        let after = match behind.strip_prefix('.') {
            Some(_) => ".".to_owned(),
            None => behind.split_whitespace().take(2).collect::<Vec<_>>().join(" "),
        };
        let before_words = words.join(" ");
        let follows = before_words.starts_with(',');
        places.push(Place { before: before_words, after, own, follows });
        before = behind;
    }
    places
}

/// Finds the places of the template in which nothing stands, or only a sign that something is to come.
fn emptied(text: &str, folded: &Folded) -> Vec<(usize, String)> {
    let places = own_places();
    let labels: Vec<&str> = places.iter().map(|place| place.before.as_str()).collect();
    let labels = labels.into_iter().filter(|before| before.ends_with(':'));
    let labels: Vec<&str> = labels.chain(["facilitator keys:"]).collect();
    let mut found = Vec::new();
    let mut previous = Vec::new();
    for place in &places {
        let ends: Vec<usize> = match place.follows {
            false => whole_words(&folded.text, &place.before),
            true => previous.iter().filter_map(|at| behind(&folded.text, *at, place)).collect(),
        };
        for end in &ends {
            let rest = folded.text.get(*end..).unwrap_or_default();
            // The words of a place may begin on the next line.
            let begins = end + (rest.len() - rest.trim_start().len());
            let at = folded.places.get(begins).copied().unwrap_or(text.len());
            let ticked = text.lines().nth(line_of(text, at) - 1).is_some_and(has_tick);
            if is_empty_place(rest, place, &labels, ticked) {
                let is_there = rest.trim_start().starts_with(['[', '_', '.']);
                let before = folded.places.get(end - 1).copied();
                found.push((before.filter(|_| !is_there).unwrap_or(at), place.own.clone()));
            }
        }
        previous = ends;
    }
    found
}

/// Returns where some words end in a text.
fn whole_words(text: &str, words: &str) -> Vec<usize> {
    let is_word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    let found = text.match_indices(words).filter(|(at, _)| {
        let end = at + words.len();
        let joined = is_word(words.chars().next()) && is_word(text[..*at].chars().next_back());
        !joined && !is_word(text[end..].chars().next())
    });
    found.map(|(at, _)| at + words.len()).collect()
}

/// Returns where the words before a place end that stands behind another place of the same sentence.
fn behind(text: &str, at: usize, place: &Place) -> Option<usize> {
    let rest = text.get(at..)?;
    let found = whole_words(rest, &place.before).into_iter().next()?;
    (found <= APART_BYTES_MAX).then_some(at + found)
}

/// Whether nothing stands in a place: no word before the template goes on, an empty bracket, a line or dots, a word that says that
/// something is to come. A ticked box is an answer where words follow it.
fn is_empty_place(rest: &str, place: &Place, labels: &[&str], ticked: bool) -> bool {
    let goes_on = |rest: &str| {
        let rest = rest.trim_start();
        let after = !matches!(place.after.as_str(), "" | ".") && rest.starts_with(&place.after);
        after
            || rest.is_empty()
            || is_clause(rest)
            || rest.starts_with("by acknowledging, i say")
            || labels.iter().any(|label| rest.starts_with(label))
    };
    let removable = REMOVABLE.iter().any(|own| place.own.starts_with(own));
    if goes_on(rest) {
        return !removable;
    }
    // The template goes on with a comma or a semicolon behind some places.
    let is_mark = |c: char| !c.is_alphanumeric() && !matches!(c, ',' | ';');
    let words_at = rest.find(|c| !is_mark(c)).unwrap_or(rest.len());
    // The bracket of the next clause is none of the place.
    let clause_at = words_at.saturating_sub(1);
    let is_clause_next = rest.get(clause_at..).is_some_and(is_clause);
    let (marks, behind) = rest.split_at(if is_clause_next { clause_at } else { words_at });
    let ends = |rest: &str| {
        let rest = rest.trim_start_matches([' ', ']', ')']);
        goes_on(rest) || rest.starts_with([',', ';', '.'])
    };
    if TO_COME_BEGINS.iter().any(|words| behind.starts_with(words)) {
        return true;
    }
    let word_end = behind.find(|c: char| !c.is_alphanumeric()).unwrap_or(behind.len());
    let (word, after_word) = behind.split_at(word_end);
    if TO_COME.contains(&word) || (word.len() > 1 && word.bytes().all(|byte| byte == b'x')) {
        return true;
    }
    if word == "x" {
        return ends(after_word);
    }
    let may_be_nothing = removable && !CHOICES.contains(&place.own.as_str());
    let stands_in = is_stand_in(marks, behind, ends)
        || (!may_be_nothing && is_not_applicable(marks, behind, ends));
    if stands_in && !ticked {
        return true;
    }
    let close: String = marks.chars().filter(|c| *c != ' ').collect();
    if ["__", "...", "--", "??", "\u{2014}\u{2014}"].iter().any(|line| close.contains(line)) {
        return true;
    }
    if close.contains("[]") || close.contains("()") {
        return !ticked;
    }
    let sentence_ends = place.after == "." && close.contains('.');
    let is_sign = sentence_ends || (!close.is_empty() && goes_on(behind));
    // A dash says that nothing has to stand there; a question mark asks.
    is_sign && (!may_be_nothing || close.starts_with('?'))
}

/// Whether the words of a place, behind some marks, say that it does not apply: "n/a", "[none]". `ends` says whether the template
/// goes on.
fn is_not_applicable(marks: &str, behind: &str, ends: impl Fn(&str) -> bool) -> bool {
    let none = if marks.contains(['[', '(']) { &["none", "nil", "na"][..] } else { &[] };
    let mut words = NOT_APPLICABLE.iter().chain(none);
    words.any(|words| behind.strip_prefix(words).is_some_and(&ends))
}

/// Whether a bracket in a place, behind some marks, only stands for an answer: "[e.g. 112]", "[blank]".
fn is_stand_in(marks: &str, behind: &str, ends: impl Fn(&str) -> bool) -> bool {
    if !marks.contains(['[', '(']) {
        return false;
    }
    let inner = behind.find([']', ')']).map_or("", |end| &behind[..end]);
    let words = inner.trim_end_matches(|c: char| !c.is_alphanumeric());
    SAMPLE_BEGINS.iter().any(|words| behind.starts_with(words))
        || (STAND_INS.contains(&words) && ends(&behind[inner.len()..]))
}

/// Whether a text begins with a clause's id, such as "(c1)".
fn is_clause(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next() == Some('(')
        && chars.next().is_some_and(|c| c.is_ascii_alphabetic())
        && chars.next().is_some_and(|c| c.is_ascii_digit())
        && chars.next() == Some(')')
}

/// Whether a box is ticked in a line.
fn has_tick(line: &str) -> bool {
    ["[x]", "[X]", "(x)", "(X)", "\u{2611}", "\u{2612}"].iter().any(|tick| line.contains(tick))
}

/// Whether words in a bracket say that something is still to come.
fn is_gap(inner: &str) -> bool {
    let line = |c| matches!(c, '_' | '.' | '-' | '?' | '\u{2026}');
    (!inner.is_empty() && inner.chars().all(line))
        || ["todo", "tbd", "tba", "fixme", "xx", "xxx"]
            .contains(&inner.trim_end_matches([':', '.', '?']))
}

/// Whether words of a bracket are the template's with a few more, or the first of them.
fn is_nearly(own: &str, inner: &str) -> bool {
    let own_lower = own.to_lowercase();
    let begins = inner.contains(' ')
        && own_lower
            .strip_prefix(inner)
            .is_some_and(|rest| !rest.starts_with(char::is_alphanumeric));
    has_words(own) && (inner.contains(&own_lower) || begins)
}

/// Whether words of the template are more than one, and no proposal.
fn has_words(own: &str) -> bool {
    own.contains(' ') && !PROPOSALS.iter().any(|p| p.eq_ignore_ascii_case(own))
}

/// Returns what stands in the template's brackets.
fn own_brackets() -> Vec<String> {
    let inner = |part: &str| part.split_once(']').map(|(inner, _)| inner.to_owned());
    let flat = |inner: String| inner.split_whitespace().collect::<Vec<_>>().join(" ");
    TEMPLATE.split('[').skip(1).filter_map(inner).map(flat).collect()
}

/// Returns what stands in brackets, and where each begins.
fn brackets(folded: &Folded, open: char, close: char) -> impl Iterator<Item = (usize, String)> {
    folded.text.match_indices(open).filter_map(move |(at, _)| {
        let inner = folded.text.get(at + 1..)?;
        let end = inner.find(close).filter(|end| *end <= BRACKET_BYTES_MAX)?;
        let place = folded.places.get(at).copied().unwrap_or_default();
        Some((place, inner[..end].trim().to_owned()))
    })
}

/// A text in small letters and one line, in which what looks alike is alike: keyboards and word processors put other brackets and
/// spaces where the template has its own.
struct Folded {
    text: String,
    /// For each byte of the text, where it was.
    places: Vec<usize>,
}

impl Folded {
    fn of(text: &str) -> Self {
        Self::from_chars(text.char_indices().flat_map(|(at, c)| {
            // Half of what is meant by full-width letters and odd spaces is in form KC; the other half are our brackets.
            let folded = std::iter::once(c).nfkc().flat_map(char::to_lowercase);
            folded.map(move |c| (at, bracket(c)))
        }))
    }

    fn without_brackets(&self) -> Self {
        let chars = self.text.char_indices().map(|(at, c)| (self.places[at], c));
        Self::from_chars(chars.filter(|(_, c)| !matches!(c, '[' | ']' | '(' | ')')))
    }

    fn from_chars(chars: impl Iterator<Item = (usize, char)>) -> Self {
        let mut folded = Self { text: String::new(), places: Vec::new() };
        for (at, c) in chars {
            let c = if c.is_whitespace() { ' ' } else { c };
            let doubled = c == ' ' && (folded.text.is_empty() || folded.text.ends_with(' '));
            if doubled || (c != ' ' && is_invisible(c)) {
                continue;
            }
            folded.text.push(c);
            folded.places.resize(folded.text.len(), at);
        }
        folded
    }
}

/// Turns a bracket that looks like one of the template's into that.
const fn bracket(c: char) -> char {
    match c {
        '{' | '<' | '\u{2045}' | '\u{2329}' | '\u{27e6}' | '\u{27e8}' | '\u{2772}' | '\u{2774}'
        | '\u{298b}' | '\u{298d}' | '\u{298f}' | '\u{2997}' | '\u{3008}' | '\u{300a}'
        | '\u{300c}' | '\u{300e}' | '\u{3010}' | '\u{3014}' | '\u{3016}' | '\u{3018}'
        | '\u{301a}' => '[',
        '}' | '>' | '\u{2046}' | '\u{232a}' | '\u{27e7}' | '\u{27e9}' | '\u{2773}' | '\u{2775}'
        | '\u{298c}' | '\u{298e}' | '\u{2990}' | '\u{2998}' | '\u{3009}' | '\u{300b}'
        | '\u{300d}' | '\u{300f}' | '\u{3011}' | '\u{3015}' | '\u{3017}' | '\u{3019}'
        | '\u{301b}' => ']',
        c => c,
    }
}

fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn template_brackets_are_named_by_line() {
        let named = unfilled(TEMPLATE);
        assert!(named.len() > 20, "{named:?}");
        for (line, number) in TEMPLATE.lines().zip(1..).filter(|(line, _)| line.contains('[')) {
            assert!(named.iter().any(|n| n.starts_with(&format!("line {number}:"))), "{line}");
        }
        assert!(named.iter().any(|n| n.ends_with("[emergency number]")), "{named:?}");
        assert!(named.iter().any(|n| n.contains("Delete this paragraph")), "{named:?}");
    }

    #[test]
    fn single_template_line_is_refused() {
        for (text, expected) in [
            ("I call [emergency number].", "line 1: [emergency number]"),
            ("One.\nI call [Emergency\n  Number].", "line 2: [emergency number]"),
            ("I call emergency number, or a friend.", "line 1: I call emergency number"),
            (
                "\nHere: exceptions of this jurisdiction\nand program, in plain words.",
                "line 2: exceptions of this jurisdiction and program, in plain words",
            ),
            ("Facilitators [do / do not] write notes", "line 1: [do / do not]"),
            ("Delete  this\nparagraph.", "line 1: Delete this paragraph"),
            ("I call (emergency number).", "line 1: (emergency number)"),
            ("I call [your emergency number].", "line 1: [your emergency number]"),
            ("Present [days and hours].", "line 1: [days and hours]"),
            ("I call [TODO].", "line 1: [todo]"),
            ("I call [____].", "line 1: [____]"),
        ] {
            let named = unfilled(text);
            assert!(named.iter().any(|n| n == expected), "{text}: {named:?}");
        }
    }

    #[test]
    fn bracket_lookalikes_are_template_brackets() {
        let named = unfilled(TEMPLATE);
        let brackets = [
            "【】", "［］", "〔〕", "〖〗", "「」", "『』", "⟦⟧", "〈〉", "《》", "❲❳", "{}", "<>",
            "﹇﹈",
        ];
        for pair in brackets {
            let (open, close) = (pair.chars().next().unwrap(), pair.chars().last().unwrap());
            let text = TEMPLATE.replace('[', &open.to_string()).replace(']', &close.to_string());
            assert_eq!(unfilled(&text), named, "{pair}");
        }
        for (space, what) in [("\u{a0}", "no-break"), ("\u{3000}", "wide"), ("\u{200b} ", "empty")]
        {
            assert_eq!(unfilled(&TEMPLATE.replace(' ', space)), named, "{what}");
        }
        assert_eq!(
            unfilled("I call 【ｅｍｅｒｇｅｎｃｙ　ｎｕｍｂｅｒ】."),
            unfilled("I call [emergency number].")
        );
    }

    /// Returns the template as a facilitator fills it in, with some words in each place, or in the one that has these words.
    fn filled(only: Option<&str>, with: &str) -> String {
        let text =
            TEMPLATE.replace("A template. The facilitator edits every line in [brackets]", "");
        let (_, text) = text.split_once("Delete this paragraph.").unwrap();
        let mut pieces = text.split('[');
        let mut out = pieces.next().unwrap().to_owned();
        for piece in pieces {
            let (own, behind) = piece.split_once(']').unwrap();
            let flat = own.split_whitespace().collect::<Vec<_>>().join(" ");
            let words = if only.is_none_or(|only| only == flat) { with } else { "what we agreed" };
            out.push_str(words);
            out.push_str(behind);
        }
        out
    }

    fn places_to_fill() -> Vec<String> {
        own_brackets().into_iter().filter(|own| own != "brackets").collect()
    }

    #[test]
    fn place_without_words_is_refused() {
        /// What says that nothing has to stand there.
        const NOTHING: [&str; 15] = [
            "\u{2014}", "-", "[-]", "n/a", "N/A", "N.A.", "[n/a]", "(n/a)", "[none]", "*", "/",
            "~", "\u{2022}", "!!!", "[ / ]",
        ];
        let gaps = [
            "[ ]",
            "[]",
            "( )",
            "___",
            "[___]",
            "…",
            "...",
            "TODO",
            "[TODO]",
            "TBD",
            "tba",
            "xxx",
            "[x]",
            "[xx]",
            "[ … ]",
            "[?]",
            "【 】",
            "??",
            "TODO: ask Sam",
            "[to be decided]",
            "fill in",
            "[insert it here]",
            "[TODO: ask Sam]",
            "—",
            "-",
            "?",
            "[?]",
            "[-]",
            "n/a",
            "N/A",
            "N.A.",
            "[n/a]",
            "(n/a)",
            "[none]",
            "[e.g. 112]",
            "(e.g., Fay)",
            "[for example Fay]",
            "[example]",
            "[blank]",
            "[empty]",
            "[your text here]",
            "[...]",
            "*",
            "/",
            "~",
            "\u{2022}",
            "!!!",
            "[ / ]",
            "[pending]",
            "[to come]",
        ];
        for own in places_to_fill() {
            for gap in gaps {
                let named = unfilled(&filled(Some(&own), gap));
                // A dash or a mark may stand where nothing has to.
                let may_be_nothing = REMOVABLE.iter().any(|may| own.starts_with(may));
                let is_choice = CHOICES.contains(&own.as_str());
                if may_be_nothing && !is_choice && NOTHING.contains(&gap) {
                    continue;
                }
                assert!(!named.is_empty(), "{gap} for {own}");
            }
            let named = unfilled(&filled(Some(&own), ""));
            let may_be_nothing = REMOVABLE.iter().any(|may| own.starts_with(may));
            assert_eq!(named.is_empty(), may_be_nothing, "nothing for {own}: {named:?}");
        }
        let named = unfilled("One.\nIn danger, I call [ ], or my sister, or go to ___.");
        assert_eq!(
            named,
            [
                "line 2: nothing in place of [emergency number]: In danger, I call [ ], or my sister, or go to ___."
            ]
        );
    }

    #[test]
    fn words_in_brackets_fill_a_place() {
        for words in [
            "[Fay]",
            "【phone】",
            "(112)",
            "- Fay",
            "\n- Fay\n- Ben",
            "112",
            "[x] yes [ ] no",
            "[ ] yes [x] no",
            "none",
            "e.g. Fay or Ben",
            "Fay (for example)",
            "+33 1 40",
            "\u{201c}Fay\u{201d}",
            "\u{260e} 112",
            "[name of Fay]",
            "None but Fay",
            "[No one but Fay]",
            "Nadia",
            "\u{5317}\u{4eac}",
            "Xaver",
        ] {
            assert_eq!(unfilled(&filled(None, words)), Vec::<String>::new(), "{words}");
        }
    }

    #[test]
    fn other_brackets_are_accepted() {
        for text in [
            "What is said here stays here [and nowhere else].",
            "(Language: English.) We keep 【this】 {here} <and> 「nowhere」 else.",
            "See [1] and [the house rules](https://example.org).",
            "Language: English. The relay deletes what it holds after 30 days. Notice: 3 days.",
            "[",
            "]",
            "[[",
            "[ ]",
            "We meet at the place that we know, by date of the calendar.",
            "This is not a crisis service. In danger, I call 112.",
        ] {
            assert_eq!(unfilled(text), Vec::<String>::new(), "{text}");
        }
    }
}
