//! Help in the chat: what the reader may use, one command in full, and what was wrong with a line.

use clap::{
    CommandFactory as _, FromArgMatches as _, Subcommand as _,
    error::{ContextKind, ContextValue, ErrorKind},
};
use hearth_protocol::Role;
use hearth_text::escape;

use crate::{
    cli::{
        CHAT_COMMANDS, Cli, Entry, INVITE_USES_MAX, InRoom, Topic, chat_commands, with_joined_times,
    },
    text::link,
    text::nearest,
    text::when,
};

use super::room::name_of_command;

/// Columns of a command and what it takes, where that is short.
const COLUMN: usize = 30;

/// Columns of a line that is shown to the person who typed it.
const SHOWN_COLUMNS: usize = 50;

/// Words that somebody types who looks for the way out, or for help.
const ASKING: [&str; 6] = ["help", "quit", "exit", "q", "?", "logout"];

/// Whether a line is the bare word for help, which may be meant for a person.
pub(super) fn asks_for_help(line: &str) -> bool {
    let line = line.trim().trim_end_matches(['.', '!', '?']).to_lowercase();
    ["help", "help me", "help now", "please help", "please help me", "i need help"]
        .contains(&&*line)
}

/// What stands for a slash on some keyboards.
const SLASHES: [char; 6] = ['\\', '\u{ff0f}', '\u{ff3c}', '\u{2044}', '\u{2215}', '\u{29f8}'];
/// What begins a command in other programs.
const MARKS: [char; 5] = ['!', '.', ':', '-', '#'];
/// What a command stands in where somebody copied it from advice.
const QUOTES: [(char, char); 5] =
    [('"', '"'), ('\'', '\''), ('`', '`'), ('\u{201c}', '\u{201d}'), ('\u{2018}', '\u{2019}')];
/// What other programs call our commands.
const ALIASES: [(&str, &[&str]); 14] = [
    ("remove", &["kick", "ban", "expel"]),
    ("admit", &["accept", "approve", "let"]),
    ("decline", &["reject", "refuse", "deny"]),
    ("break", &["silence"]),
    ("mute", &["hide", "ignore", "block"]),
    ("unmute", &["unhide", "unignore", "unblock"]),
    ("retract", &["delete", "undo", "unsend"]),
    ("pause", &["freeze", "stop"]),
    ("resume", &["unpause", "continue"]),
    ("who", &["members", "names", "users", "people"]),
    ("send", &["say", "msg"]),
    ("acknowledge", &["sign"]),
    ("search", &["find", "grep"]),
    ("away", &["afk", "brb"]),
];

/// Finds our command by the word that another program has for it.
pub(super) fn alias_of(word: &str) -> Option<&'static str> {
    ALIASES.iter().find(|(_, words)| words.contains(&word)).map(|(name, _)| *name)
}

/// Finds a command that works in the chat.
pub(super) fn find(word: &str) -> Option<&'static Entry> {
    let word = name_of_command(word);
    chat_commands().find(|entry| entry.name.eq_ignore_ascii_case(word))
}

/// Whether the command line has the command in another form.
pub(super) fn is_of_chat_alone(entry: &Entry) -> bool {
    CHAT_COMMANDS.iter().any(|other| other.name == entry.name)
}

/// Returns the command that a line without a slash may have been meant as: a command's word alone, or with what the command
/// takes. `names` are those of the members.
pub(super) fn meant(line: &str, names: impl FnOnce() -> Vec<String>) -> Option<String> {
    let line = line.trim();
    if let Some(slashed) = slashed(line) {
        return nearly(slashed);
    }
    let line = match line.strip_prefix(MARKS) {
        Some(rest) if rest.starts_with(|c: char| c.is_ascii_alphabetic()) => rest,
        _ => line,
    };
    if let Some((word, rest)) = line.split_once(char::is_whitespace) {
        let (word, rest) = (word.to_lowercase(), rest.trim());
        if let Some(name) = alias_of(&word).filter(|name| of_room(name)) {
            let person = find(name).is_some_and(|entry| entry.takes.contains("NAME"));
            return (person && is_name(rest, &names())).then(|| format!("{name} {rest}"));
        }
        let takes = match word.as_str() {
            "help" => find(rest.trim_end_matches(['?', '.', '!'])).is_some(),
            // Copied from a text about the command line.
            "hearth" => {
                return nearly(rest).map(|line| first_word(&line).to_owned());
            }
            word => {
                let entry = find(word).filter(|entry| entry.topic.is_some())?;
                // What was meant for few must not be read by all for want of a slash.
                entry.topic.is_some_and(Topic::is_private) || takes(entry, rest, names)
            }
        };
        return takes.then(|| escape::truncate(&format!("{word} {rest}"), SHOWN_COLUMNS));
    }
    let word = line.trim_end_matches(['.', '!']);
    let lower = word.to_lowercase();
    let asks = ASKING.contains(&if word.is_empty() { line } else { lower.trim_end_matches('?') });
    let command = find(word).is_some_and(|entry| entry.topic.is_some());
    match lower.as_str() {
        "?" => Some("help".into()),
        _ if !asks && !command => None,
        "exit" | "q" | "logout" => Some("quit".into()),
        _ => Some(lower.trim_end_matches('?').to_owned()),
    }
}

/// Returns a line without what stands in place of the slash, where it begins with that.
fn slashed(line: &str) -> Option<&str> {
    if let Some(rest) = line.strip_prefix(SLASHES) {
        return Some(rest);
    }
    let (_, close) = QUOTES.iter().find(|(open, _)| line.starts_with(*open))?;
    let inner = line.strip_suffix(*close)?.get(line.chars().next()?.len_utf8()..)?;
    inner.strip_prefix('/').or_else(|| inner.strip_prefix(SLASHES))
}

/// Returns a line whose first word is a command, or nearly one, with the command's word.
fn nearly(line: &str) -> Option<String> {
    let first = first_word(line);
    let is_word = !first.is_empty() && first.chars().all(|c| c.is_ascii_alphabetic() || c == '-');
    let name = nearest_name(&first.to_lowercase()).filter(|_| is_word)?;
    let rest = line.trim_start().get(first.len()..).unwrap_or_default();
    Some(escape::truncate(&format!("{name}{rest}"), SHOWN_COLUMNS))
}

fn first_word(line: &str) -> &str {
    line.split_whitespace().next().unwrap_or_default()
}

/// Whether a command works in the chat.
fn of_room(name: &str) -> bool {
    find(name).is_some_and(|entry| entry.topic.is_some())
}

/// Whether a text is one of these names.
fn is_name(text: &str, names: &[String]) -> bool {
    let text = text.trim_matches('"').to_lowercase();
    names.iter().any(|name| name.to_lowercase() == text)
}

/// Whether words behind a command's word have the shape of what it takes. Free words have none.
fn takes(entry: &Entry, rest: &str, names: impl FnOnce() -> Vec<String>) -> bool {
    let first = rest.split_whitespace().next().unwrap_or_default();
    let alone = first.len() == rest.len();
    if first.starts_with("--") && entry.takes.contains("--") {
        return true;
    }
    let off = entry.takes.contains("off") && alone && when::is_off(first);
    let begins = entry.takes.split(' ').next().unwrap_or_default();
    match begins.trim_matches(['[', ']']) {
        _ if entry.name == "vote" => {
            !rest.is_empty() && rest.chars().all(|c| c.is_ascii_digit() || c == '#' || c == ' ')
        }
        "on|off" => alone && ["on", "off"].iter().any(|word| first.eq_ignore_ascii_case(word)),
        "TIME" if entry.name == "pause" && when::is_now(rest) => true,
        "TIME" | "TIME|off" => off || matches!(when::split_duration(rest), Ok((Some(_), _))),
        "N/day|off" => off || when::parse_rate(rest).is_ok(),
        "N|off" => off || (alone && first.parse::<u32>().is_ok()),
        "HOURS-HOURS|off" => off || when::parse_quiet(rest).is_ok(),
        "HOURS|off" => off || rest.contains(':'),
        "ID" => alone && first.chars().any(|c| c.is_ascii_digit()),
        "LINK" => link::is_meant(rest),
        // The knocker is not a member yet.
        "NAME" if entry.topic == Some(Topic::Door) && (alone || entry.takes != "NAME") => {
            first.chars().next().is_some_and(char::is_uppercase) || begins_with_name(rest, &names())
        }
        "NAME" => begins_with_name(rest, &names()),
        _ => false,
    }
}

/// Whether a text begins with one of these names, or a word of a name of several.
fn begins_with_name(text: &str, names: &[String]) -> bool {
    let folded = |text: &str| text.trim_start_matches('"').to_lowercase();
    let text = folded(text);
    let first = text.split(|c: char| c.is_whitespace() || c == '"').next().unwrap_or_default();
    names.iter().any(|name| folded(name).split_whitespace().next() == Some(first))
}

/// Lists what a role may use, by topic. Where a command and what it does are wider than the terminal, they get a line each.
pub(super) fn list(role: Role, columns: Option<usize>) -> String {
    let mut lines = Vec::new();
    for topic in Topic::ALL {
        let of_topic = chat_commands()
            .filter(|entry| entry.topic == Some(topic) && entry.who.includes(role))
            // A plain line does the same.
            .filter(|entry| entry.name != "send")
            .filter(|entry| role.posts() || !matches!(entry.name, "retract" | "outbox"))
            .map(|entry| {
                let usage = usage(entry);
                let line = format!("  {usage:COLUMN$}  {}", entry.does);
                let fits = columns.is_none_or(|columns| escape::width(&line) < columns);
                if fits { line } else { format!("  {usage}\n      {}", entry.does) }
            });
        let of_topic: Vec<String> = of_topic.collect();
        if !of_topic.is_empty() {
            lines.push(topic.heading().to_owned());
            lines.extend(of_topic);
        }
    }
    lines.push("/help COMMAND says more; /quit ends.".into());
    lines.join("\n")
}

/// Explains one command.
pub(super) fn one(word: &str) -> String {
    let word = word.trim_start_matches('/');
    if matches!(word, "help" | "quit") {
        return format!(
            "/{word}\n{}",
            if word == "quit" { "Ends the chat." } else { "Lists the commands." }
        );
    }
    let Some(entry) = find(word) else { return unknown(word) };
    let cli = Cli::command();
    let mut lines = vec![usage(entry)];
    if is_of_chat_alone(entry) {
        lines.push(format!("{}{}.", entry.does[..1].to_uppercase(), &entry.does[1..]));
        lines.push(format!("For {}.", entry.who.words()));
    } else if let Some(command) = cli.find_subcommand(entry.name) {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        lines.push(without_codes(&about).to_owned());
        lines.push(format!("For {}.", entry.who.words()));
        for argument in
            command.get_arguments().filter(|a| a.get_id() != "room" && !a.is_global_set())
        {
            let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
            let name = match argument.get_long() {
                Some(long) => format!("--{long}"),
                None => argument.get_value_names().and_then(|names| names.first()).map_or_else(
                    || argument.get_id().to_string().to_uppercase(),
                    ToString::to_string,
                ),
            };
            let possible: Vec<String> = argument
                .get_possible_values()
                .iter()
                .map(|value| value.get_name().to_owned())
                .filter(|_| argument.get_action().takes_values())
                .collect();
            let possible = match possible.as_slice() {
                [] => String::new(),
                all => format!(" ({})", all.join(", ")),
            };
            lines.push(format!("  {name:14}  {help}{possible}"));
        }
    }
    if !entry.example.is_empty() {
        lines.push(format!("For example: /{} {}", entry.name, entry.example));
    }
    if entry.topic.is_none() {
        lines.push(format!("Type /quit first, then `hearth {} ROOM`.", entry.name));
    }
    lines.join("\n")
}

/// Parses a command with its arguments, the room among them.
///
/// # Errors
/// See [`wrong`].
pub(super) fn parse(words: Vec<String>) -> Result<InRoom, clap::Error> {
    // Not the whole command line: the chat has its profile, and prints as it does.
    let parser = InRoom::augment_subcommands(clap::Command::new("hearth"));
    let words = std::iter::once("hearth".to_owned()).chain(words);
    InRoom::from_arg_matches(&parser.try_get_matches_from(with_joined_times(words))?)
}

/// Says what was wrong with a line: what the command takes, and an example.
pub(super) fn wrong(entry: &Entry, error: &clap::Error) -> String {
    if error.kind() == ErrorKind::DisplayHelp {
        return one(entry.name);
    }
    let what = mistake(&format!("/{}", entry.name), entry.takes, error);
    let typed = error.to_string();
    let what = escape::one_line(&escape::without_link_secrets(&what, std::slice::from_ref(&typed)));
    let example = match (entry.takes, entry.example) {
        ("", _) | (_, "") => String::new(),
        (_, example) => format!(", for example: /{} {example}", entry.name),
    };
    format!("{what}; nothing was sent. It goes: {}{example}", usage(entry))
}

/// Names the mistake in a line. `form` is the command as it is typed, `takes` what follows it.
pub(super) fn mistake(form: &str, takes: &str, error: &clap::Error) -> String {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.as_str(),
        _ => "",
    };
    let list = |kind| match error.get(kind) {
        Some(ContextValue::Strings(all)) => all.as_slice(),
        Some(ContextValue::String(one)) => std::slice::from_ref(one),
        _ => &[],
    };
    let (argument, value) = (text(ContextKind::InvalidArg), text(ContextKind::InvalidValue));
    match error.kind() {
        ErrorKind::MissingRequiredArgument => {
            let missing: Vec<String> =
                list(ContextKind::InvalidArg).iter().map(|word| ours(word)).collect();
            format!("{form} needs {}", listed(&missing, "and"))
        }
        ErrorKind::InvalidValue => {
            let taker = taker(form, argument);
            let takes = match list(ContextKind::ValidValue) {
                [] => ours(argument).rsplit(' ').next().unwrap_or_default().to_owned(),
                values => listed(values, "or"),
            };
            match value {
                "" => format!("{taker} needs {takes}"),
                value => format!("{taker} takes {takes}, not \"{value}\""),
            }
        }
        ErrorKind::ValueValidation if argument.starts_with("--uses") => {
            format!("--uses takes a number from 1 to {INVITE_USES_MAX}, not \"{value}\"")
        }
        ErrorKind::ValueValidation => {
            format!("{} does not take \"{value}\"", taker(form, argument))
        }
        ErrorKind::UnknownArgument if argument.starts_with('-') => {
            format!("{form} has no {argument}")
        }
        ErrorKind::UnknownArgument if takes.contains("NAME") => format!(
            "\"{argument}\" is one word too many for {form}; a name of several words stands in quotes"
        ),
        ErrorKind::UnknownArgument if takes.contains("WORDS") => {
            format!("\"{argument}\" is one word too many for {form}; several words stand in quotes")
        }
        ErrorKind::UnknownArgument => {
            format!("\"{argument}\" is one word too many for {form}")
        }
        ErrorKind::ArgumentConflict => {
            let other = list(ContextKind::PriorArg).first().map(|word| ours(word));
            let (one, other) = (ours(argument), other.unwrap_or_default());
            match one == other {
                true => format!("{form} takes {one} once"),
                false => format!("{form} takes {one} or {other}, not both"),
            }
        }
        _ => format!("{form} does not take that"),
    }
}

/// Names what takes a value: the flag, or the command itself.
fn taker(form: &str, argument: &str) -> String {
    match argument.split(' ').next().filter(|word| word.starts_with("--")) {
        Some(flag) => flag.to_owned(),
        None => form.to_owned(),
    }
}

/// Returns an argument in the words of [`Entry::takes`].
fn ours(argument: &str) -> String {
    let plain = argument.replace(['<', '>', '[', ']'], "");
    let plain = plain.trim_end_matches('.');
    let (flag, value) = match plain.split_once(' ').filter(|_| plain.starts_with("--")) {
        Some((flag, value)) => (format!("{flag} "), value),
        None => (String::new(), plain),
    };
    let value = match value {
        "MEMBER" => "NAME",
        "TIME WORDS" => "TIME",
        "SWITCH" => "on or off",
        "CHARS" => "N or off",
        "NUMBER/day" => "N/day or off",
        "TEXT" | "NOTE" | "GOODBYE" => "WORDS",
        value => value,
    };
    format!("{flag}{value}")
}

/// Lists words as people do: `a, b and c`.
pub(super) fn listed(words: &[String], last: &str) -> String {
    match words {
        [] => "more".into(),
        [one] => one.clone(),
        [before @ .., end] => format!("{} {last} {end}", before.join(", ")),
    }
}

/// Says that there is no such command, with the one that is nearest.
pub(super) fn unknown(word: &str) -> String {
    let word = escape::one_line(word);
    let outside = Cli::command().get_subcommands().any(|c| c.get_name() == word);
    if outside {
        let room =
            if matches!(word.as_str(), "steward" | "chat" | "receipt") { " ROOM" } else { "" };
        return format!(
            "/{word} does not work in the chat; nothing was sent. Type /quit, then `hearth {word}{room}`."
        );
    }
    match nearest_usage(&word) {
        Some(usage) => {
            format!("there is no command /{word}; nothing was sent. Did you mean {usage}?")
        }
        None => format!("there is no command /{word}; nothing was sent. /help lists all."),
    }
}

/// Finds the command that a word is, is a slip or the beginning of, or stands for in other programs.
fn nearest_name(word: &str) -> Option<&'static str> {
    let names = || {
        let of_room = chat_commands().filter(|entry| entry.topic.is_some());
        of_room.map(|entry| entry.name).chain(["help", "quit"])
    };
    let exact = names().find(|name| *name == word);
    exact.or_else(|| alias_of(word)).or_else(|| nearest::nearest(word, names()))
}

fn nearest_usage(word: &str) -> Option<String> {
    let name = nearest_name(word)?;
    Some(find(name).map_or_else(|| format!("/{name}"), usage))
}

/// Returns a command as it is typed in the chat.
pub(super) fn usage(entry: &Entry) -> String {
    format!("/{} {}", entry.name, entry.takes).trim_end().to_owned()
}

/// Leaves out who may use a command, and who enforces it, by letters.
fn without_codes(about: &str) -> &str {
    let letters = ["F, CF", "F; CF", "F [", "M [", "Own: M", "M"];
    let end = about.rfind(". ").filter(|at| {
        let rest = about.get(at + 2..).unwrap_or_default();
        letters.iter().any(|l| rest.starts_with(l))
    });
    about.get(..end.map_or(about.len(), |at| at + 1)).unwrap_or(about)
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::cli::ROOM_COMMANDS;

    #[test]
    fn help_lists_what_the_role_may() {
        let (facilitator, member, observer) =
            (list(Role::Facilitator, None), list(Role::Member, None), list(Role::Observer, None));
        for word in ["/pause", "/admit", "/expire", "/who", "/leave"] {
            assert!(facilitator.contains(word), "{word}: {facilitator}");
        }
        assert!(!list(Role::CoFacilitator, None).contains("/expire"));
        for word in ["/pause", "/admit", "/remove", "/expire", "/role"] {
            assert!(!member.contains(word), "{word}: {member}");
        }
        assert!(member.contains("/retract") && !observer.contains("/retract"));
        for text in [facilitator, member, observer] {
            assert!(!text.contains("[E") && !text.contains("CF"), "{text}");
        }
    }

    #[test]
    fn every_command_is_explained_without_codes() {
        for entry in chat_commands() {
            let text = crate::advice::in_chat(&one(entry.name), "tuesday");
            assert!(text.starts_with(&usage(entry)) && text.lines().count() > 2, "{text}");
            assert!(text.contains(entry.who.words()), "{text}");
            for code in ["CF", "[E]", "[R]", "F [", "M [", "ROOM"] {
                assert!(!text.contains(code), "{code}: {text}");
            }
            assert_eq!(meant(entry.name, Vec::new).is_some(), entry.topic.is_some());
        }
    }

    fn told(line: &str) -> String {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let words = [word, "room"].into_iter().chain(rest.split_whitespace());
        wrong(find(word).unwrap(), &parse(words.map(str::to_owned).collect()).unwrap_err())
    }

    #[test]
    fn slip_is_named_with_an_example() {
        for (line, words) in [
            (
                "remove",
                "/remove needs NAME; nothing was sent. It goes: /remove NAME [--reason CATEGORY]",
            ),
            (
                "remove Ben --reason rude",
                "--reason takes unspecified, confidentiality, conduct, safety, discharge or request, not \"rude\"",
            ),
            ("remove Ben --reason", "--reason needs unspecified,"),
            (
                "lock maybe",
                "/lock takes on or off, not \"maybe\"; nothing was sent. It goes: /lock on|off, for example: /lock on",
            ),
            (
                "role Ben boss",
                "/role takes facilitator, cofacilitator, member or observer, not \"boss\"",
            ),
            (
                "admit",
                "/admit needs NAME; nothing was sent. It goes: /admit NAME, for example: /admit Ben",
            ),
            ("slow", "/slow needs TIME"),
            ("break", "/break needs NAME"),
            ("budget", "/budget needs N/day or off"),
            ("who --loud", "/who has no --loud; nothing was sent. It goes: /who"),
            ("who --json", "/who has no --json"),
            ("resume now", "\"now\" is one word too many for /resume"),
            ("mute Ben B", "a name of several words stands in quotes"),
            ("invite --uses many", "--uses takes a number from 1 to 1000, not \"many\""),
            ("invite --expires", "--expires needs TIME"),
            ("retract ab12 --all-from Ben", "not both"),
            ("read --all --all", "/read takes --all once"),
        ] {
            let told = told(line);
            assert!(told.contains(words), "{line}: {told}");
            for theirs in
                ["argument", "possible values", "invalid", "Usage", "--help", "<", "MEMBER", "'"]
            {
                assert!(!told.contains(theirs), "{theirs}: {told}");
            }
            assert!(!told.contains('\n'), "{told}");
        }
        assert_eq!(told("pause --help"), one("pause"));
    }

    #[test]
    fn examples_are_taken() {
        for entry in &ROOM_COMMANDS {
            let words = super::super::chat::arguments(entry.name, entry.example);
            let line = [entry.name, "room"].map(str::to_owned).into_iter().chain(words);
            let parsed = parse(line.collect());
            assert!(parsed.is_ok(), "{}: {parsed:?}", entry.name);
            assert_eq!(parsed.unwrap().entry().name, entry.name, "{}", entry.name);
        }
    }

    #[test]
    fn nearest_command_is_suggested() {
        for (word, command) in [
            ("paus", "/pause ["),
            ("puase", "/pause ["),
            ("pausee", "/pause ["),
            ("retrct", "/retract "),
            ("stat", "/status?"),
            ("anounce", "/announce "),
            ("unmut", "/unmute "),
            ("mut", "/mute "),
            ("whoo", "/who?"),
            ("hepl", "/help?"),
            ("quti", "/quit?"),
            ("knock", "/knocks?"),
            ("kick", "/remove NAME"),
            ("members", "/who?"),
        ] {
            let told = unknown(word);
            assert!(told.contains(&format!("Did you mean {command}")), "{word}: {told}");
        }
        for word in ["xyzzy", "x", "", "grant", "\u{1b}[2J", &"pause".repeat(100)] {
            let told = unknown(word);
            assert!(told.contains("/help lists all"), "{word}: {told}");
        }
        assert!(unknown("agreement").contains("`hearth agreement`"));
    }

    #[test]
    fn bare_command_words_are_asked_about() {
        for (line, command) in [
            ("help", "help"),
            ("Help", "help"),
            (" quit ", "quit"),
            ("Quit.", "quit"),
            ("exit", "quit"),
            ("?", "help"),
            ("who", "who"),
            ("leave", "leave"),
            ("Leave", "leave"),
            ("help?", "help"),
            ("help pause", "help pause"),
            ("\\pause", "pause"),
            ("\u{ff0f}pause 10m", "pause 10m"),
            ("\u{2044}who", "who"),
            ("\\paus 10m", "pause 10m"),
            ("\\QUIT", "quit"),
            ("\u{ff0f}kick Ben", "remove Ben"),
            ("\"/pause 10m\"", "pause 10m"),
            ("`/leave`", "leave"),
            ("\u{201c}/who\u{201d}", "who"),
            ("!pause 10m", "pause 10m"),
            (".leave", "leave"),
            ("-help", "help"),
            ("hearth pause evening 10m", "pause"),
            ("hearth quit", "quit"),
        ] {
            assert_eq!(meant(line, Vec::new).as_deref(), Some(command), "{line}");
        }
        for line in [
            "help me",
            "Who?",
            "I quit",
            "quit smoking",
            "follow",
            "",
            ".",
            "\\o/",
            "\\o/ hurray",
            "\\_(o)_/",
            "\\",
            "\u{ff0f}",
            "!",
            "... leave me alone",
            "!leave me alone",
            "- leave me alone",
            "-who is that",
            "\"leave\" is what he said",
            "\"/who\" lists the members",
            "hearth is quiet today",
            "kick the habit",
            "ban it all",
            "ignore them",
            "stop it",
            "people",
            "let me think",
        ] {
            assert_eq!(meant(line, Vec::new), None, "{line}");
        }
    }

    #[test]
    fn commands_without_slash_are_asked_about() {
        let names = || ["Dan", "Ben B", "Zoë"].map(str::to_owned).to_vec();
        for line in [
            "timeout Dan 30m you were drunk",
            "Timeout dan 30m",
            "remove Dan --reason conduct",
            "remove \"Ben B\" --reason conduct",
            "mute zoë",
            "admit Eve",
            "admit Dan",
            "decline Eve Please call me first",
            "role Dan observer",
            "pause 10m",
            "pause 2 hours let us breathe",
            "slow off",
            "expire 30d",
            "lock on",
            "len 400",
            "budget 20/day",
            "hours Mon-Fri 17:00-20:00 UTC",
            "pin ab12",
            "read --all",
            "retract --all-from Dan",
            "invite --uses 3",
            "kick Dan",
            "Kick ben b",
            "ban \"Ben B\"",
            "ignore Zoë",
            "silence Dan",
            "pause now",
        ] {
            assert!(meant(line, names).is_some(), "{line}");
        }
        for line in [
            "remove the pain",
            "admit it",
            "admit I was wrong",
            "pause and breathe",
            "slow down",
            "read this book",
            "open up to me",
            "leave me alone",
            "announce nothing",
            "Dan, remove it",
            "role models help",
            "lock the door",
            "pin it",
            "close to Dan",
            "ignore Dan, he is joking",
            "accept that Dan left",
            "silence is golden",
        ] {
            assert_eq!(meant(line, names), None, "{line}");
        }
    }
}
