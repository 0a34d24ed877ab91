//! Help in the chat: what the reader may use, one command in full, and what was wrong with a line.

use clap::CommandFactory as _;
use hearth_protocol::Role;

use crate::{
    cli::{Cli, Entry, ROOM_COMMANDS, Topic},
    text::escape,
};

/// Columns of a command and what it takes, where that is short.
const COLUMN: usize = 30;

/// Words that somebody types who looks for the way out, or for help.
const ASKING: [&str; 6] = ["help", "quit", "exit", "q", "?", "logout"];

/// Finds a command that works in the chat.
pub(super) fn find(word: &str) -> Option<&'static Entry> {
    ROOM_COMMANDS.iter().find(|entry| entry.name.eq_ignore_ascii_case(word))
}

/// Returns the command that a line without a slash may have been meant as.
pub(super) fn meant(line: &str) -> Option<String> {
    let word = line.trim().trim_end_matches(['.', '!']);
    let lower = word.to_lowercase();
    let asks = ASKING.contains(&if word.is_empty() { line.trim() } else { lower.as_str() });
    let command = ROOM_COMMANDS.iter().any(|entry| entry.topic.is_some() && entry.name == word);
    match lower.as_str() {
        _ if !asks && !command => None,
        "?" => Some("help".into()),
        "exit" | "q" | "logout" => Some("quit".into()),
        _ => Some(lower),
    }
}

/// Lists what somebody of a role may use, by topic.
pub(super) fn list(role: Role) -> String {
    let mut lines = Vec::new();
    for topic in Topic::ALL {
        let of_topic = ROOM_COMMANDS
            .iter()
            .filter(|entry| entry.topic == Some(topic) && entry.who.includes(role))
            // A plain line does the same.
            .filter(|entry| entry.name != "send")
            .filter(|entry| role.posts() || !matches!(entry.name, "retract" | "outbox"))
            .map(|entry| {
                let usage = usage(entry);
                format!("  {usage:COLUMN$}  {}", entry.does)
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
    let Some(entry) = find(word) else { return unknown(word, None) };
    let cli = Cli::command();
    let mut lines = vec![usage(entry)];
    if let Some(command) = cli.find_subcommand(entry.name) {
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
    if entry.topic.is_none() {
        lines.push(
            "It works outside of the chat only: `hearth` and the command, then the room.".into(),
        );
    }
    lines.join("\n")
}

/// Says what was wrong with a line: the command, the mistake, how it goes.
pub(super) fn wrong(word: &str, error: &clap::Error) -> String {
    let Some(entry) = find(word) else { return unknown(word, Some(error)) };
    let text = error.to_string();
    let first = text.split("\n\n").next().unwrap_or_default();
    let what = flat(first.strip_prefix("error: ").unwrap_or(first)).replace(['<', '>'], "");
    let what = what.replace("the following required arguments were not provided:", "missing:");
    let what = escape::one_line(&escape::without_link_secrets(&what, std::slice::from_ref(&text)));
    format!(
        "/{}: {what}. It goes: {} - nothing was sent. /help {} says more.",
        entry.name,
        usage(entry),
        entry.name
    )
}

/// Says that there is no such command, with one that is like it.
fn unknown(word: &str, error: Option<&clap::Error>) -> String {
    let word = escape::one_line(word);
    let outside = Cli::command().get_subcommands().any(|c| c.get_name() == word);
    if outside {
        return format!("/{word} does not work in the chat: use `hearth {word}` outside of it.");
    }
    let like = error.and_then(|error| {
        use clap::error::{ContextKind, ContextValue};
        match error.get(ContextKind::SuggestedSubcommand)? {
            ContextValue::Strings(all) => all.iter().find_map(|name| find(name)),
            ContextValue::String(one) => find(one),
            _ => None,
        }
    });
    match like {
        Some(entry) => {
            format!("there is no command /{word}; nothing was sent. Did you mean {}?", usage(entry))
        }
        None => format!("there is no command /{word}; nothing was sent. /help lists all."),
    }
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

fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[test]
    fn help_lists_what_the_role_may() {
        let (facilitator, member, observer) =
            (list(Role::Facilitator), list(Role::Member), list(Role::Observer));
        for word in ["/pause", "/admit", "/expire", "/who", "/leave"] {
            assert!(facilitator.contains(word), "{word}: {facilitator}");
        }
        assert!(!list(Role::CoFacilitator).contains("/expire"));
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
        for entry in ROOM_COMMANDS {
            let text = one(entry.name);
            assert!(text.starts_with(&usage(&entry)) && text.lines().count() > 2, "{text}");
            assert!(text.contains(entry.who.words()), "{text}");
            for code in ["CF", "[E]", "[R]", "F [", "M [", "ROOM"] {
                assert!(!text.contains(code), "{code}: {text}");
            }
            assert_eq!(meant(entry.name).is_some(), entry.topic.is_some());
        }
    }

    #[test]
    fn a_slip_is_named() {
        for (line, words) in [
            ("remove room Ben", "missing: --reason CATEGORY"),
            ("lock room maybe", "'maybe'"),
            ("admit room", "missing: MEMBER"),
            ("who room --loud", "--loud"),
            ("invite room --uses many", "'many'"),
            ("puase room", "Did you mean /pause"),
            ("xyzzy room", "no command /xyzzy"),
        ] {
            let mut words_of = vec!["hearth"];
            words_of.extend(line.split(' '));
            let error = Cli::try_parse_from(&words_of).unwrap_err();
            let told = wrong(line.split(' ').next().unwrap(), &error);
            assert!(told.contains(words), "{line}: {told}");
            assert!(told.contains("nothing was sent") && !told.contains('\n'), "{told}");
        }
        let error = Cli::try_parse_from(["hearth", "remove", "room", "Ben"]).unwrap_err();
        let told = wrong("remove", &error);
        assert!(told.contains("/remove NAME --reason CATEGORY"), "{told}");
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
        ] {
            assert_eq!(meant(line).as_deref(), Some(command), "{line}");
        }
        for line in ["help me", "Who?", "I quit", "quit smoking", "Leave", "follow", "", "."] {
            assert_eq!(meant(line), None, "{line}");
        }
    }
}
