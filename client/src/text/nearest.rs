//! The word that somebody meant who mistyped one.

/// Letters of the longest word that is compared.
const LETTERS_MAX: usize = 32;

/// Finds the word of a list that a typed one is a slip or the beginning of; the first among equals.
pub fn nearest<'a>(typed: &str, words: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let scored = words.filter_map(|word| {
        let begins = typed.chars().count() > 1 && word.starts_with(typed);
        let slips = slips(typed, word);
        // One slip in three letters, and most of the letters, are still the word that was meant.
        let like = slips <= (word.len() / 3).clamp(1, 2) && slips + 1 < word.len();
        // A beginning has no letter wrong, so it counts before a slip.
        (begins || like).then_some((if begins { 0 } else { slips }, slips, word))
    });
    scored.min_by_key(|(score, slips, _)| (*score, *slips)).map(|(.., word)| word)
}

/// Counts the slips between two words: a letter too many, too few, another, or two in the wrong order (optimal string alignment).
fn slips(typed: &str, meant: &str) -> usize {
    let (typed, meant): (Vec<char>, Vec<char>) = (typed.chars().collect(), meant.chars().collect());
    if typed.len().max(meant.len()) > LETTERS_MAX {
        return usize::MAX;
    }
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=meant.len()).collect();
    for (row, one) in typed.iter().enumerate() {
        let mut next = vec![row + 1];
        for (column, other) in meant.iter().enumerate() {
            let change = last[column] + usize::from(one != other);
            let mut least = change.min(last[column + 1] + 1).min(next[column] + 1);
            let swapped =
                row > 0 && column > 0 && typed[row - 1] == *other && meant[column - 1] == *one;
            if swapped {
                least = least.min(before[column - 1] + 1);
            }
            next.push(least);
        }
        before = std::mem::replace(&mut last, next);
    }
    last[meant.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_counted() {
        for (typed, meant, count) in [
            ("pause", "pause", 0),
            ("paus", "pause", 1),
            ("puase", "pause", 1),
            ("pausee", "pause", 1),
            ("pabse", "pause", 1),
            ("", "who", 3),
            ("status", "pause", 4),
        ] {
            assert_eq!(slips(typed, meant), count, "{typed} {meant}");
        }
        assert_eq!(slips(&"a".repeat(33), "pause"), usize::MAX);
    }

    #[test]
    fn beginnings_count_before_slips() {
        let words = ["status", "pause", "unpin", "pin", "unmute"];
        for (typed, word) in
            [("paus", Some("pause")), ("un", Some("unpin")), ("pni", Some("pin")), ("x", None)]
        {
            assert_eq!(nearest(typed, words.into_iter()), word, "{typed}");
        }
    }
}
