//! Lines that break between words, because a terminal breaks them anywhere.

use crate::escape;

/// Columns by which what continues a line stands further in.
const HANGING: usize = 2;

/// Breaks every line that does not fit into less than that many columns at its spaces. A longer word stays whole, and so does a command
/// in backquotes that fits into a line, because it is copied. Spaces at the beginning of a line and inside of it stay.
pub fn lines(text: &str, columns: usize) -> String {
    let wrapped: Vec<String> = text.split('\n').map(|text| line(text, columns)).collect();
    wrapped.join("\n")
}

fn line(text: &str, columns: usize) -> String {
    if escape::width(text) < columns {
        return text.to_owned();
    }
    let words = text.trim_start_matches(' ');
    let indent = text.len() - words.len();
    // A narrow terminal has no room for a deep indent.
    let (first, rest) = (indent.min(columns / 4), (indent + HANGING).min(columns / 4));
    let mut wrapped = " ".repeat(first);
    let (mut width, mut begun) = (first, false);
    for word in units(words, columns.saturating_sub(rest)) {
        let wanted = escape::width(word);
        if begun && width + 1 + wanted >= columns {
            wrapped.truncate(wrapped.trim_end_matches(' ').len());
            wrapped.push('\n');
            wrapped.push_str(&" ".repeat(rest));
            (width, begun) = (rest, false);
        }
        // Spaces that fill a column end with the line.
        if word.is_empty() && !begun {
            continue;
        }
        if begun {
            wrapped.push(' ');
            width += 1;
        }
        wrapped.push_str(word);
        (width, begun) = (width + wanted, true);
    }
    wrapped
}

/// Splits a line at its spaces, but for those in a command of less than that many columns.
fn units(line: &str, columns: usize) -> impl Iterator<Item = &str> {
    let mut left = Some(line);
    core::iter::from_fn(move || {
        let text = left?;
        let mut end = text.find(' ');
        if let Some(space) = end
            && let Some(begin) = text[..space].find('`')
            && text[begin + 1..space].find('`').is_none()
            && let Some(close) = text[space..].find('`')
        {
            let behind = space + close + 1;
            let whole = text[behind..].find(' ').map(|space| behind + space);
            if escape::width(&text[..whole.unwrap_or(text.len())]) < columns {
                end = whole;
            }
        }
        left = end.map(|end| &text[end + 1..]);
        Some(&text[..end.unwrap_or(text.len())])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words() {
        let text = "Calm\n  /pause [TIME] [WORDS]  stop everybody for a moment\n\nshort";
        let expected =
            "Calm\n  /pause [TIME]\n    [WORDS]  stop\n    everybody for a\n    moment\n\nshort";
        assert_eq!(lines(text, 20), expected);
        assert_eq!(lines(text, 80), text);
        assert_eq!(lines("a sesquipedalian word", 8), "a\n  sesquipedalian\n  word");
    }

    #[test]
    fn commands_stay_whole() {
        let text = "Go on with (`hearth join -`), or `hearth agreement show ROOM` here.";
        let expected =
            "Go on with\n  (`hearth join -`), or\n  `hearth agreement\n  show ROOM` here.";
        assert_eq!(lines(text, 24), expected);
        assert_eq!(lines("one ` two three", 9), "one `\n  two\n  three");
    }

    #[test]
    fn no_line_is_too_wide() {
        let text = "      one two  three four    five six seven eight nine ten eleven twelve";
        for columns in 10..80 {
            let wrapped = lines(text, columns);
            let words: Vec<&str> = wrapped.split_whitespace().collect();
            assert_eq!(words, text.split_whitespace().collect::<Vec<_>>());
            for line in wrapped.lines() {
                assert!(escape::width(line) < columns, "{columns}: {line:?}");
            }
        }
    }
}
