//! The commands that advice names, as the reader types them: with the room's name, and in the chat with a slash.
//!
//! Advice is written once, for the command line, with `ROOM` for the room.

use hearth_text::escape::is_invisible;

use crate::cli::ROOM_COMMANDS;

/// Stands for the room in advice.
const ROOM: &str = "ROOM";
/// What a command line begins with.
const PROGRAM: &str = "hearth ";

/// Flags of a command line that the next command needs as well, because they say which profile it is.
const OF_PROFILE: [&str; 3] = ["--home", "--passphrase-file", "--key-file"];
/// What a shell takes as it is in a word, beside letters and digits.
const PLAIN_SIGNS: &str = "/._-+,:@%=";

/// Returns the flags of a command line that say which profile it is, as they are typed again; empty if none was given.
pub fn flags_of(words: &[String]) -> String {
    let mut flags = String::new();
    let mut words = words.iter().take_while(|word| *word != "--");
    while let Some(word) = words.next() {
        let (flag, joined) = match word.split_once('=') {
            Some((flag, value)) => (flag, Some(value)),
            None => (word.as_str(), None),
        };
        if OF_PROFILE.contains(&flag)
            && let Some(value) = joined.or_else(|| words.next().map(String::as_str))
        {
            flags.push_str(&format!("{flag} {} ", value_of(flag, value)));
        }
    }
    flags
}

/// Returns the value of a flag as it is typed to a shell. One that no line can hold is named by its kind.
fn value_of(flag: &str, value: &str) -> String {
    // A backquote would end the command in the advice.
    let is_strange = |c: char| matches!(c, '`' | '\u{fffd}') || c.is_control() || is_invisible(c);
    match (value.chars().any(is_strange), flag) {
        (true, "--home") => "DIR".to_owned(),
        (true, _) => "FILE".to_owned(),
        (false, _) => shell_word(value),
    }
}

/// Returns a word as it is typed to a shell.
pub fn shell_word(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || PLAIN_SIGNS.contains(c);
    match word {
        word if !word.is_empty() && word.chars().all(is_plain) => word.to_owned(),
        word if word.contains(['$', '`', '\\', '"', '!']) => {
            format!("'{}'", word.replace('\'', r"'\''"))
        }
        word => format!("\"{word}\""),
    }
}

/// Puts the flags of [`flags_of`] into the commands of some advice that are for the command line.
pub fn with_flags(advice: &str, flags: &str) -> String {
    rewritten(advice, |command| match command.strip_prefix(PROGRAM) {
        Some(rest) if !rest.starts_with('-') => format!("{PROGRAM}{flags}{rest}"),
        _ => command.to_owned(),
    })
}

/// Puts the room's name into the commands of some advice.
pub fn in_room(advice: &str, room: &str) -> String {
    rewritten(advice, |command| with_room(command, room))
}

/// Turns the commands of some advice into what is typed in the chat of a room. A command that the chat does not take stays as it
/// is, and the advice says how to get to it.
pub fn in_chat(advice: &str, room: &str) -> String {
    let mut outside = false;
    let mut text = rewritten(advice, |command| {
        in_chat_alone(command).unwrap_or_else(|| {
            outside = true;
            with_room(command, room)
        })
    });
    if outside && !text.contains("/quit") {
        text.push_str(" (Type /quit first: it works outside of the chat.)");
    }
    text
}

/// Rewrites each command between backticks.
fn rewritten(advice: &str, mut rewrite: impl FnMut(&str) -> String) -> String {
    let pieces = advice.split('`').enumerate().map(|(number, piece)| {
        let is_command = number % 2 == 1 && piece.starts_with(PROGRAM);
        if is_command { rewrite(piece) } else { piece.to_owned() }
    });
    pieces.collect::<Vec<_>>().join("`")
}

fn with_room(command: &str, room: &str) -> String {
    let words = command.split(' ').map(|word| if word == ROOM { room } else { word });
    words.collect::<Vec<_>>().join(" ")
}

/// Returns a room command as it is typed in the chat; nothing if the chat does not take it.
fn in_chat_alone(command: &str) -> Option<String> {
    let mut words = command.strip_prefix(PROGRAM)?.split(' ');
    let name = match words.next()? {
        "room" if words.next() == Some("list") => return Some("/rooms".to_owned()),
        // The chat has these two by themselves.
        "agreement" => match words.next()? {
            "show" => "agreement",
            "diff" => "agreement diff",
            "acknowledge" | "renew" => "acknowledge",
            _ => return None,
        },
        name => name,
    };
    if name.starts_with("agreement") || name == "acknowledge" {
        return Some(format!("/{name}"));
    }
    let taken = ROOM_COMMANDS.iter().any(|entry| entry.topic.is_some() && entry.name == name);
    if !taken && name != "help" {
        return None;
    }
    let rest = words.filter(|word| *word != ROOM).map(|word| format!(" {word}"));
    Some(format!("/{name}{}", rest.collect::<String>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chat_names_slash_commands() {
        for (advice, expected) in [
            ("`hearth status ROOM` shows who is.", "`/status` shows who is."),
            ("Type `hearth pause ROOM 10m`.", "Type `/pause 10m`."),
            (
                "`hearth lock ROOM off`, then `hearth admit ROOM NAME`.",
                "`/lock off`, then `/admit NAME`.",
            ),
            ("`hearth help COMMAND` says more.", "`/help COMMAND` says more."),
            ("Ask a facilitator.", "Ask a facilitator."),
            ("Take `--as NAME`.", "Take `--as NAME`."),
            (
                "Read it with `hearth agreement show ROOM`, then `hearth agreement acknowledge ROOM`.",
                "Read it with `/agreement`, then `/acknowledge`.",
            ),
            (
                "Run `hearth agreement enact ROOM`.",
                "Run `hearth agreement enact tuesday`. (Type /quit first: it works outside of the chat.)",
            ),
            ("Type /quit, then `hearth follow ROOM`.", "Type /quit, then `hearth follow tuesday`."),
        ] {
            assert_eq!(in_chat(advice, "tuesday"), expected);
        }
    }

    #[test]
    fn advice_repeats_the_profile() {
        for (line, flags) in [
            ("hearth room list", ""),
            ("hearth --home /media/stick/me chat room", "--home /media/stick/me "),
            ("hearth chat room --home=me", "--home me "),
            ("hearth --home me --key-file k --json who room", "--home me --key-file k "),
            ("hearth send room -- --home me", ""),
            ("hearth who room --home", ""),
        ] {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            assert_eq!(flags_of(&words), flags, "{line}");
        }
        for (path, typed) in [
            ("my files/me", "\"my files/me\""),
            ("$HOME", "'$HOME'"),
            ("Zoë's", "\"Zoë's\""),
            ("Zoë's $1", r"'Zoë'\''s $1'"),
            ("a`b", "DIR"),
            ("a\nb", "DIR"),
            ("", "\"\""),
        ] {
            let words = ["hearth", "--home", path].map(str::to_owned);
            assert_eq!(flags_of(&words), format!("--home {typed} "));
        }
        let advice = "`hearth who ROOM` lists names; `--as NAME`, `/who`.";
        let expected = "`hearth --home me who ROOM` lists names; `--as NAME`, `/who`.";
        let told = with_flags(advice, "--home me ");
        assert_eq!(told, expected);
        assert_eq!(with_flags(&told, "--home me "), expected);
        assert_eq!(with_flags(advice, ""), advice);
    }

    #[test]
    fn command_line_names_the_room() {
        assert_eq!(
            in_room("`hearth pause ROOM 10m`; the ROOM is quiet.", "tuesday"),
            "`hearth pause tuesday 10m`; the ROOM is quiet."
        );
    }
}
