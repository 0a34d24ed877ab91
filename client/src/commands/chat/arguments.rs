//! What follows a slash command, split into words.

use crate::{
    commands::room::{ROOM_COMMANDS, Tail, Topic, name_of_command},
    text::when,
};

/// Splits what follows a slash command. Double quotes group; where a command ends in free words, quotes are not
/// needed: `/announce Back at six` is one announcement.
pub(in crate::commands) fn arguments(word: &str, rest: &str) -> Vec<String> {
    let rest = rest.trim();
    let word = name_of_command(word);
    let row = ROOM_COMMANDS.iter().find(|entry| entry.name == word);
    // Who leaves can say in the same line that they mean it.
    let agrees = row.is_some_and(|entry| entry.topic == Some(Topic::Going));
    let (mut words, tail) = match row.map_or(Tail::Arguments, |entry| entry.tail) {
        Tail::Arguments => return split_words(rest, usize::MAX).0,
        Tail::Words(0) if agrees => match rest.strip_prefix("--yes") {
            Some(after) if after.is_empty() || after.starts_with(char::is_whitespace) => {
                (vec!["--yes".to_owned()], after)
            }
            _ => (Vec::new(), rest),
        },
        Tail::Words(behind) => split_words(rest, behind),
        Tail::TimeAndWords(behind) => {
            let (mut words, rest) = split_words(rest, behind);
            let rest = flags_first(&mut words, rest);
            let (mut words, rest) = time_first(words, rest);
            let rest = flags_first(&mut words, rest);
            (words, rest)
        }
    };
    let tail = tail.trim();
    let tail = tail.strip_prefix('"').and_then(|t| t.strip_suffix('"')).unwrap_or(tail);
    if !tail.is_empty() {
        if tail.starts_with('-') {
            // Words, and no flag.
            words.push("--".to_owned());
        }
        words.push(tail.to_owned());
    }
    words
}

/// Takes flags from the front: words behind two dashes.
fn flags_first<'a>(words: &mut Vec<String>, rest: &'a str) -> &'a str {
    let mut rest = rest.trim_start();
    while rest.strip_prefix("--").is_some_and(|flag| flag.starts_with(char::is_alphabetic)) {
        let (flag, behind) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        words.push(flag.to_owned());
        rest = behind.trim_start();
    }
    rest
}

/// Takes a time of one or several words from the front. What is none stays whole, for the command to judge.
pub(super) fn time_first(mut words: Vec<String>, rest: &str) -> (Vec<String>, &str) {
    match when::split_duration(rest) {
        Ok((Some(_), behind)) => {
            let time = rest.get(..rest.len() - behind.len()).unwrap_or(rest);
            words.push(time.trim().to_owned());
            (words, behind)
        }
        _ => (words, rest),
    }
}

const QUOTES: [char; 4] = ['"', '“', '”', '„'];
const DASHES: [char; 2] = ['–', '—'];

/// Takes up to `count` words, and returns what remains.
pub(super) fn split_words(text: &str, count: usize) -> (Vec<String>, &str) {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while words.len() < count && !rest.is_empty() {
        // Phones write curly quotes and long dashes for what is typed; a quote that is not closed ends with the line.
        let (word, after) = match rest.strip_prefix(QUOTES) {
            Some(quoted) => quoted.split_once(QUOTES).unwrap_or((quoted, "")),
            None => rest.split_once(char::is_whitespace).unwrap_or((rest, "")),
        };
        match word.strip_prefix(DASHES).filter(|flag| flag.starts_with(char::is_alphabetic)) {
            Some(flag) => words.push(format!("--{flag}")),
            None => words.push(word.to_owned()),
        }
        rest = after.trim_start();
    }
    (words, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(line: &str) -> Vec<String> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        arguments(word, rest)
    }

    #[test]
    fn free_words_need_no_quotes() {
        assert_eq!(split("announce Back at six, don't worry"), ["Back at six, don't worry"]);
        assert_eq!(split("pause 5m let us breathe"), ["5m", "let us breathe"]);
        assert_eq!(split("pause 5m \"let us breathe\""), ["5m", "let us breathe"]);
        assert_eq!(split("pause \"let us breathe\""), ["let us breathe"]);
        assert_eq!(split("timeout \"Ben B\" 30m rest a little"), ["Ben B", "30m", "rest a little"]);
        assert_eq!(split("pause --reopen 10m breathe"), ["--reopen", "10m", "breathe"]);
        assert_eq!(split("pause 10m --reopen We -- breathe"), ["10m", "--reopen", "We -- breathe"]);
        assert_eq!(split("remove Ben --reason conduct"), ["Ben", "--reason", "conduct"]);
        assert_eq!(split("resume"), Vec::<String>::new());
        assert_eq!(split("announce - one - two"), ["--", "- one - two"]);
        assert_eq!(split("leave --yes so long"), ["--yes", "so long"]);
        assert_eq!(split("leave so long"), ["so long"]);
    }

    #[test]
    fn quotes_and_dashes_of_phones() {
        assert_eq!(split("poll “When?” “at six” “at eight”"), ["When?", "at six", "at eight"]);
        assert_eq!(
            split("prompt \"What was it like?\" —after-own"),
            ["What was it like?", "--after-own"]
        );
        assert_eq!(split("poll \"When?\" six \"at eight"), ["When?", "six", "at eight"]);
        assert_eq!(split("call Ben — now"), ["Ben", "—", "now"]);
    }

    #[test]
    fn a_time_may_have_several_words() {
        assert_eq!(split("pause 2 hours"), ["2 hours"]);
        assert_eq!(split("pause 10 min. Let us breathe"), ["10 min.", "Let us breathe"]);
        assert_eq!(
            split("timeout Ben 1 hour and 30 minutes rest"),
            ["Ben", "1 hour and 30 minutes", "rest"]
        );
        assert_eq!(split("pause 1h 30"), ["1h 30"]);
        // Not a time, and not taken for words either: the command refuses it.
        assert_eq!(split("pause 2 Stunden"), ["2 Stunden"]);
        assert_eq!(split("timeout Ben 2 Stunden"), ["Ben", "2 Stunden"]);
    }
}
