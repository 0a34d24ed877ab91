//! Words of texts, compared whatever their case and however their accents are encoded.

use unicode_normalization::{UnicodeNormalization as _, char::is_combining_mark};

/// Returns a text in the form in which texts are compared.
pub fn folded(text: &str) -> String {
    text.nfkc().flat_map(char::to_lowercase).nfkc().collect()
}

/// Returns the words of a text, folded.
pub fn words(text: &str) -> Vec<String> {
    let folded = folded(text);
    let parts = folded.split(|c: char| !c.is_alphanumeric() && !is_combining_mark(c));
    parts.filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

/// Whether a text has some words, whole and one behind the other. No words are in no text.
pub fn has_words(text: &str, wanted: &[String]) -> bool {
    !wanted.is_empty() && words(text).windows(wanted.len()).any(|part| part == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_whole() {
        let wanted = |text: &str| words(text);
        for (text, topic) in [
            ("Drinking", "drinking"),
            ("drinking, again", "DRINKING"),
            ("about self-harm and food", "Self Harm"),
            ("cafe\u{301}", "CAFÉ"),
            ("प्रिया", "प्रिया"),
        ] {
            assert!(has_words(text, &wanted(topic)), "{topic} in {text}");
        }
        for (text, topic) in [
            ("drinking", "drink"),
            ("harm to self", "self harm"),
            ("", "drink"),
            ("drinking", ""),
            ("drinking", "-"),
        ] {
            assert!(!has_words(text, &wanted(topic)), "{topic} in {text}");
        }
    }
}
