//! What was wrong with a command line: what is missing or not understood, and an example that can be run.

use clap::{
    CommandFactory as _,
    error::{ContextKind, ContextValue, ErrorKind},
};
use hearth_text::escape;

use super::{
    chat::arguments,
    is_plain,
    slip::{alias_of, listed, mistake},
};
use crate::{
    advice::shell_word,
    cli::{Cli, Entry, ROOM_COMMANDS},
    failure::Failure,
    text::nearest,
};

/// Examples of the commands that are not in a room, without `hearth`.
const EXAMPLES: [(&str, &str); 15] = [
    ("room create", "\"Tuesday evening\" --grant --agreement agreement.txt --as Fay"),
    ("room list", ""),
    ("room rename", "ROOM skills-group"),
    ("room wipe", "ROOM"),
    ("join", "--as Ben"),
    ("burn-invite", ""),
    ("agreement show", "ROOM"),
    ("agreement diff", "ROOM"),
    ("agreement amend", "ROOM agreement.txt --editorial"),
    ("agreement acknowledge", "ROOM"),
    ("receipt", "ROOM"),
    ("chat", "ROOM"),
    ("steward", "ROOM"),
    ("completions", "bash"),
    ("man", "manual"),
];
/// The name that the examples of room commands begin with.
const EXAMPLE_NAME: &str = "Ben";

/// Says what was wrong with a command line, of which `words` are those behind `hearth`.
pub fn failure(error: &clap::Error, words: &[String]) -> Failure {
    let root = Cli::command();
    let Typed { command, path, rest } = typed(&root, words);
    let form = ["hearth"].into_iter().chain(path.iter().copied()).collect::<Vec<_>>().join(" ");
    let entry = match path.as_slice() {
        [name] => ROOM_COMMANDS.iter().find(|entry| entry.name == *name),
        _ => None,
    };
    let takes = entry.map_or("", |entry| entry.takes);
    let (what, mut advice) = match error.kind() {
        ErrorKind::InvalidSubcommand => no_such_command(error, &form, command),
        ErrorKind::MissingSubcommand => {
            let names = command.get_subcommands().map(|sub| sub.get_name().to_owned());
            let names: Vec<String> = names.filter(|name| name != "help").collect();
            let what = match path.is_empty() {
                true => format!("{form} needs a command"),
                false => format!("{form} needs a command: {}", listed(&names, "or")),
            };
            let help = form.replacen("hearth", "hearth help", 1);
            (what, format!("Nothing was done. `{help}` lists the commands."))
        }
        _ => (mistake(&form, takes, error), "Nothing was done.".to_owned()),
    };
    if entry.is_some() {
        let usage = format!("{form} ROOM {takes}");
        advice.push_str(&format!(" It goes: `{}`.", usage.trim_end()));
    }
    let example = match entry {
        Some(entry) => Some(example_of(entry, &rest)),
        None => EXAMPLES.iter().find(|(command, _)| format!("hearth {command}") == form).map(
            |(command, example)| {
                let room = rest.first().filter(|room| is_plain(room)).map_or("ROOM", |room| room);
                format!("{command} {}", example.replace("ROOM", room))
            },
        ),
    };
    if let Some(example) = example {
        advice.push_str(&format!(" For example: `hearth {}`.", example.trim_end()));
        if example.contains("ROOM") {
            advice.push_str(" `hearth room list` shows your rooms.");
        }
    }
    let shown = |text: &str| escape::one_line(&escape::without_link_secrets(text, words));
    Failure::usage(shown(&what), shown(&advice))
}

/// A command line as far as it is understood.
struct Typed<'a> {
    command: &'a clap::Command,
    /// The words of the command.
    path: Vec<&'a str>,
    /// The words behind it that belong to no flag.
    rest: Vec<&'a str>,
}

fn typed<'a>(root: &'a clap::Command, words: &'a [String]) -> Typed<'a> {
    let (mut command, mut path, mut rest) = (root, Vec::new(), Vec::new());
    let mut words = words.iter().map(String::as_str);
    while let Some(word) = words.next() {
        if let Some(flag) = word.strip_prefix("--").filter(|flag| !flag.is_empty()) {
            let known = command.get_arguments().chain(root.get_arguments());
            let takes_value = known
                .filter(|argument| argument.get_long() == Some(flag))
                .any(|argument| argument.get_action().takes_values());
            if takes_value {
                words.next();
            }
        } else if let Some(sub) = command.find_subcommand(word).filter(|_| rest.is_empty()) {
            path.push(sub.get_name());
            command = sub;
        } else if !word.starts_with('-') {
            rest.push(word);
        }
    }
    Typed { command, path, rest }
}

fn no_such_command(error: &clap::Error, form: &str, command: &clap::Command) -> (String, String) {
    let typed = match error.get(ContextKind::InvalidSubcommand) {
        Some(ContextValue::String(typed)) => typed.as_str(),
        _ => "",
    };
    let names: Vec<&str> = command.get_subcommands().map(clap::Command::get_name).collect();
    let meant = nearest::nearest(typed, names.iter().copied());
    let meant = meant.or_else(|| alias_of(typed).filter(|name| names.contains(name)));
    let meant = meant.map(|name| format!(" Did you mean `{form} {name}`?")).unwrap_or_default();
    let help = form.replacen("hearth", "hearth help", 1);
    (
        format!("there is no command `{form} {typed}`"),
        format!("Nothing was done.{meant} `{help}` lists the commands."),
    )
}

/// Returns an example of a room command, with the room and the name that were typed.
fn example_of(entry: &Entry, rest: &[&str]) -> String {
    let room = rest.first().filter(|room| is_plain(room)).map_or("ROOM", |room| room);
    // Its link is asked for, and not typed where others read it.
    let example = if entry.name == "revoke" { "" } else { entry.example };
    let mut words = arguments(entry.name, example);
    if let ([first, ..], Some(name)) = (words.as_mut_slice(), rest.get(1))
        && first == EXAMPLE_NAME
    {
        (*name).clone_into(first);
    }
    let words = words.iter().map(|word| format!(" {}", shell_word(word)));
    format!("{} {room}{}", entry.name, words.collect::<String>())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    fn told(line: &[&str]) -> Failure {
        let words: Vec<String> = line.iter().map(|word| (*word).to_owned()).collect();
        let error = Cli::try_parse_from(["hearth"].iter().chain(line)).unwrap_err();
        failure(&error, &words)
    }

    #[test]
    fn command_line_slips_are_named() {
        for (line, what, example) in [
            (
                &["remove", "evening"][..],
                "hearth remove needs NAME",
                "`hearth remove evening Ben --reason request Thank you",
            ),
            (
                &["remove", "evening", "Cleo B", "--reason", "rude"],
                "--reason takes unspecified, confidentiality, conduct, safety, discharge or request, not \"rude\"",
                "`hearth remove evening \"Cleo B\" --reason request Thank you",
            ),
            (
                &["send"],
                "hearth send needs ROOM and WORDS",
                "`hearth send ROOM \"Hello, everybody\"`",
            ),
            (
                &["send", "evening", "Hello", "all"],
                "\"all\" is one word too many for hearth send; several words stand in quotes",
                "`hearth send evening \"Hello, everybody\"`",
            ),
            (
                &["lock", "evening", "maybe"],
                "takes on or off, not \"maybe\"",
                "`hearth lock evening on`",
            ),
            (&["chat"], "hearth chat needs ROOM", "`hearth chat ROOM`"),
            (
                &["room", "create", "Evening"],
                "hearth room create needs --agreement FILE and --as NAME",
                "`hearth room create \"Tuesday evening\" --grant --agreement agreement.txt --as Fay`",
            ),
            (
                &["room", "rename", "evening"],
                "needs NAME",
                "`hearth room rename evening skills-group`",
            ),
            (&["completions", "cmd"], "hearth completions takes bash", "`hearth completions bash`"),
            (
                &["invite", "evening", "--uses", "0"],
                "--uses takes a number from 1 to 1000, not \"0\"",
                "",
            ),
            (&["who", "evening", "--loud"], "hearth who has no --loud", "`hearth who evening`"),
            (&["paus", "evening"], "there is no command `hearth paus`", "`hearth pause`"),
            (&["kick", "evening", "Ben"], "there is no command `hearth kick`", "`hearth remove`"),
            (&["room", "lst"], "there is no command `hearth room lst`", "`hearth room list`"),
            (&["frobnicate"], "there is no command `hearth frobnicate`", "`hearth help`"),
            (
                &["--key-file", "a", "--passphrase-file", "b", "room", "list"],
                "not both",
                "`hearth room list`",
            ),
        ] {
            let Failure { message, advice, .. } = told(line);
            assert!(message.contains(what), "{line:?}: {message}");
            assert!(
                advice.contains(example) && advice.contains("Nothing was done"),
                "{line:?}: {advice}"
            );
            for theirs in ["argument", "provided", "unexpected", "invalid", "Usage", "<", "MEMBER"]
            {
                assert!(
                    !format!("{message} {advice}").contains(theirs),
                    "{theirs}: {message} {advice}"
                );
            }
        }
    }

    /// Each example is a command line that is understood.
    #[test]
    fn command_line_examples_are_taken() {
        for entry in &ROOM_COMMANDS {
            let words =
                arguments(entry.name, if entry.name == "revoke" { "" } else { entry.example });
            let line =
                ["hearth", entry.name, "evening"].map(str::to_owned).into_iter().chain(words);
            assert!(Cli::try_parse_from(line).is_ok(), "{}", entry.name);
        }
        for (command, example) in EXAMPLES {
            let line =
                format!("hearth {command} {}", example.replace("\"Tuesday evening\"", "Tuesday"));
            assert!(Cli::try_parse_from(line.split_whitespace()).is_ok(), "{line}");
        }
    }
}
