//! Words to people that a command cannot do without.

use crate::failure::Failure;

/// Words to people that a command cannot do without.
#[derive(Clone, Copy)]
pub(in crate::commands) struct Lack {
    /// Says so.
    pub(super) what: &'static str,
    /// Asks for them.
    pub(in crate::commands) prompt: &'static str,
    /// Words to choose from.
    pub(in crate::commands) choices: &'static [&'static str],
    /// A whole command.
    pub(super) example: &'static str,
}

impl Lack {
    /// Lists the words to choose from, by number.
    pub(in crate::commands) fn list(&self) -> Vec<String> {
        (1..).zip(self.choices).map(|(number, words)| format!("{number}  {words}")).collect()
    }

    /// Returns the words that a line chooses by their number, or the line itself.
    pub(in crate::commands) fn chosen<'a>(&self, line: &'a str) -> &'a str {
        let line = line.trim();
        let number = line.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
        number.and_then(|at| self.choices.get(at).copied()).unwrap_or(line)
    }

    pub(super) fn failure(&self) -> Failure {
        let choices: Vec<String> =
            self.choices.iter().map(|words| format!("\u{201c}{words}\u{201d}")).collect();
        let choices = match &choices[..] {
            [] => String::new(),
            choices => format!(" Words to choose from: {}", choices.join(", ")),
        };
        let advice = format!("Nothing was done. For example: {}.{choices}", self.example);
        Failure { code: NEEDS_WORDS.into(), ..Failure::usage(self.what, advice) }
    }
}

/// The code of a command that lacks words to people.
pub(in crate::commands) const NEEDS_WORDS: &str = "needs_words";
