//! Every `hearth` command that the manuals and the program's own advice name is one that the program takes.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::{fs, path::PathBuf};

use clap::Parser as _;
use hearth_client::cli::Cli;

const MANUALS: [(&str, &str); 6] = [
    ("participants.md", include_str!("../../docs/participants.md")),
    ("facilitators.md", include_str!("../../docs/facilitators.md")),
    ("exercises.md", include_str!("../../docs/exercises.md")),
    ("help.md", include_str!("../../docs/help.md")),
    ("threat-model.md", include_str!("../../docs/threat-model.md")),
    ("agreement.md", include_str!("../src/agreement.md")),
];

/// Returns what stands in code spans and code blocks, line by line.
fn code(manual: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut block = false;
    for line in manual.lines() {
        if line.contains("```") {
            block = !block;
        } else if block {
            found.push(line.trim().to_owned());
        } else {
            found.extend(line.split('`').skip(1).step_by(2).map(str::to_owned));
        }
    }
    found
}

/// Splits a command line as a shell does, up to a comment or a redirection.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in line.chars() {
        match (quote, c) {
            (Some(open), _) if c == open => quote = None,
            (Some(_), _) => word.get_or_insert_default().push(c),
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, ' ') => words.extend(word.take()),
            (None, '#' | '>') if word.is_none() => return words,
            (None, _) => word.get_or_insert_default().push(c),
        }
    }
    assert_eq!(quote, None, "an open quote in {line:?}");
    words.extend(word);
    words
}

#[test]
fn every_command_of_the_manuals_is_taken() {
    let mut checked = 0;
    for (name, manual) in MANUALS {
        for line in code(manual) {
            // Lines of files may hold any quotes.
            if !line.trim_start().starts_with("hearth") {
                continue;
            }
            let words = words(&line);
            let is_command = words.first().is_some_and(|w| w == "hearth");
            // The bare name, and `hearth help COMMAND`, which stands for all.
            if !is_command || words.get(1).is_none_or(|w| w == "help") {
                continue;
            }
            // A command may be named without its arguments; then it must at least exist.
            let bare = words.len() == 2;
            match Cli::try_parse_from(&words) {
                Ok(_) => {}
                Err(error) if bare && error.kind() != clap::error::ErrorKind::InvalidSubcommand => {
                }
                Err(error) => panic!("{name}: {line}\n{error}"),
            }
            checked += 1;
        }
    }
    assert!(checked > 60, "only {checked} commands were found");
}

/// Returns the sources in which advice stands, each with its path.
fn sources() -> Vec<(String, String)> {
    let mut folders = vec![PathBuf::from("src"), PathBuf::from("session/src")];
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                sources.push((path.display().to_string(), fs::read_to_string(&path).unwrap()));
            }
        }
    }
    sources
}

/// Advice is a command with all that it needs: a reader at night repeats it as it stands.
#[test]
fn advice_names_whole_commands() {
    let mut checked = 0;
    for (name, source) in sources() {
        let lines = source.lines().take_while(|line| !line.contains("#[cfg(test)]"));
        for line in lines.filter(|line| !line.trim_start().starts_with("//")) {
            let spans = line.split('`').skip(1).step_by(2);
            for span in spans.filter(|span| span.starts_with("hearth ") && !span.contains('{')) {
                let words = words(span);
                if words.get(1).is_some_and(|word| word == "help") {
                    continue;
                }
                if let Err(error) = Cli::try_parse_from(&words) {
                    panic!("{name}: {span}\n{error}");
                }
                checked += 1;
            }
        }
    }
    assert!(checked > 40, "only {checked} commands were found");
}
