//! Numbers with their nouns and verbs in agreement.

use core::fmt::Display;

/// Renders a number with its words: `1 message waits`, `2 messages wait`.
pub fn counted<N: Copy + Display + PartialEq + From<u8>>(
    count: N,
    one: &str,
    many: &str,
) -> String {
    let words = if count == N::from(1) { one } else { many };
    format!("{count} {words}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_agree_with_their_words() {
        let said = |count: usize| counted(count, "message waits", "messages wait");
        assert_eq!(
            [said(0), said(1), said(2)],
            ["0 messages wait", "1 message waits", "2 messages wait"]
        );
    }
}
