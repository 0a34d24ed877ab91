//! The agreement that a facilitator starts from, and whether a text is still that template.

/// The template.
pub(super) const TEMPLATE: &str = include_str!("../agreement.md");

/// Longest run of words that is looked at as one bracket.
const BRACKET_BYTES_MAX: usize = 400;
/// What stands in a bracket and is right as it is, once the bracket is gone.
const PROPOSALS: [&str; 7] = [
    "English",
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

/// Says line by line what of the template is still to be filled in, each with its number; nothing if the text is somebody's own.
///
/// A bracket that is not the template's is the facilitator's.
pub(super) fn unfilled(text: &str) -> Vec<String> {
    let wanted: Vec<(String, bool)> = brackets(TEMPLATE)
        .map(|(_, inner)| flat(inner))
        .map(|inner| {
            // Short words may stand in any text; without their bracket they are looked for in their place.
            let bare = inner.split(' ').count() > 2
                && !PROPOSALS.iter().any(|p| p.eq_ignore_ascii_case(&inner));
            (inner, bare)
        })
        .collect();
    let mut found: Vec<(usize, String)> = Vec::new();
    for (at, inner) in brackets(text) {
        let inner = flat(inner);
        if wanted.iter().any(|(own, _)| own.eq_ignore_ascii_case(&inner)) {
            found.push((line_of(text, at), format!("[{inner}]")));
        }
    }
    let (plain, places) = flat_with_places(text);
    let lower = plain.to_lowercase();
    let bare = wanted.iter().filter(|(_, bare)| *bare).map(|(inner, _)| inner.as_str());
    for own in bare.chain(OWN_WORDS) {
        let Some(at) = lower.find(&own.to_lowercase()) else { continue };
        let line = places.get(at).map_or(1, |place| line_of(text, *place));
        // One of these says it.
        if !found.iter().any(|(at, words)| *at == line && words.starts_with('[')) {
            found.push((line, own.to_owned()));
        }
    }
    found.sort();
    found.dedup();
    found.into_iter().map(|(line, words)| format!("line {line}: {words}")).collect()
}

/// Returns what stands in brackets, and where each begins.
fn brackets(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.match_indices('[').filter_map(|(at, _)| {
        let inner = text.get(at + 1..)?;
        let end = inner.find(']').filter(|end| *end <= BRACKET_BYTES_MAX)?;
        Some((at, &inner[..end]))
    })
}

fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Returns a text in one line without brackets, and for each of its bytes where it was.
fn flat_with_places(text: &str) -> (String, Vec<usize>) {
    let (mut plain, mut places) = (String::with_capacity(text.len()), Vec::new());
    for (at, c) in text.char_indices().filter(|(_, c)| !matches!(c, '[' | ']')) {
        let c = if c.is_whitespace() { ' ' } else { c.to_ascii_lowercase() };
        if c == ' ' && (plain.is_empty() || plain.ends_with(' ')) {
            continue;
        }
        plain.push(c);
        places.resize(plain.len(), at);
    }
    (plain, places)
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
            ("One.\nI call [Emergency\n  Number].", "line 2: [Emergency Number]"),
            ("I call emergency number, or a friend.", "line 1: I call emergency number"),
            (
                "\nHere: exceptions of this jurisdiction\nand program, in plain words.",
                "line 2: exceptions of this jurisdiction and program, in plain words",
            ),
            ("Facilitators [do / do not] write notes", "line 1: [do / do not]"),
            ("Delete  this\nparagraph.", "line 1: Delete this paragraph"),
        ] {
            let named = unfilled(text);
            assert!(named.iter().any(|n| n == expected), "{text}: {named:?}");
        }
    }

    #[test]
    fn other_brackets_are_accepted() {
        for text in [
            "What is said here stays here [and nowhere else].",
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
