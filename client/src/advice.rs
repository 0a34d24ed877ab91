//! The commands that advice names, as the reader types them: with the room's name, and in the chat with a slash.
//!
//! Advice is written once, for the command line, with `ROOM` for the room.

use crate::cli::ROOM_COMMANDS;

/// Stands for the room in advice.
const ROOM: &str = "ROOM";
/// What a command line begins with.
const PROGRAM: &str = "hearth ";

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
            "acknowledge" => "acknowledge",
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
    fn command_line_names_the_room() {
        assert_eq!(
            in_room("`hearth pause ROOM 10m`; the ROOM is quiet.", "tuesday"),
            "`hearth pause tuesday 10m`; the ROOM is quiet."
        );
    }
}
