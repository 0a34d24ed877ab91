//! The table of the commands in a room: who may use each, how it is listed, and where it works.

use hearth_protocol::Role;

/// Who may use a command in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Every member.
    Members,
    /// Facilitators and co-facilitators.
    Moderators,
    /// Facilitators.
    Facilitators,
}

impl Who {
    /// Whether a role may.
    pub const fn includes(self, role: Role) -> bool {
        match self {
            Self::Members => true,
            Self::Moderators => role.moderates(),
            Self::Facilitators => matches!(role, Role::Facilitator),
        }
    }

    /// Returns the words for it.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Members => "every member",
            Self::Moderators => "facilitators and co-facilitators",
            Self::Facilitators => "facilitators",
        }
    }
}

/// What a command in a room is about: the heading under which it is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the words say it")]
pub enum Topic {
    Talking,
    Looking,
    Door,
    Calm,
    Members,
    Going,
}

impl Topic {
    /// Every topic, in the order of a list.
    pub const ALL: [Self; 6] =
        [Self::Talking, Self::Looking, Self::Door, Self::Calm, Self::Members, Self::Going];

    /// Returns its heading.
    pub const fn heading(self) -> &'static str {
        match self {
            Self::Talking => "Talking",
            Self::Looking => "Looking",
            Self::Door => "Letting people in",
            Self::Calm => "Holding the room",
            Self::Members => "One person",
            Self::Going => "Leaving",
        }
    }
}

/// A room command as `chat` lists it.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The command's word.
    pub name: &'static str,
    /// Who may use it.
    pub who: Who,
    /// Where it is listed; `None` for what works outside of a chat only.
    pub topic: Option<Topic>,
    /// What follows the word in a chat.
    pub takes: &'static str,
    /// What follows the word, for example.
    pub example: &'static str,
    /// What it does, in a few words.
    pub does: &'static str,
    /// Whether it has an answer of its own; of the others, the room's new line says enough in a chat.
    pub answers: bool,
    /// Whether it is of this device alone, or waits in the outbox for a connection.
    pub offline: bool,
}

impl Entry {
    const fn answers(self) -> Self {
        Self { answers: true, ..self }
    }

    const fn offline(self) -> Self {
        Self { offline: true, ..self }
    }

    /// Leaves it to the command line: a chat does not take it.
    const fn outside(self) -> Self {
        Self { topic: None, ..self }
    }
}

const fn entry(
    name: &'static str,
    who: Who,
    topic: Topic,
    [takes, example]: [&'static str; 2],
    does: &'static str,
) -> Entry {
    let (answers, offline) = (false, false);
    Entry { name, who, topic: Some(topic), takes, example, does, answers, offline }
}

/// Every room command: who may use it, and how `chat` lists it.
pub const ROOM_COMMANDS: [Entry; 38] = {
    use Topic as T;
    use Who as W;
    const NONE: [&str; 2] = ["", ""];
    [
        entry("send", W::Members, T::Talking, ["WORDS", "Hello, everybody"], "say something")
            .offline(),
        entry(
            "announce",
            W::Moderators,
            T::Talking,
            ["WORDS", "We meet at six"],
            "say something as from the facilitators",
        ),
        entry(
            "retract",
            W::Members,
            T::Talking,
            ["ID | --all-from NAME [--reason CATEGORY]", "ab12 --reason conduct"],
            "take a message back; facilitators: anybody's",
        ),
        entry(
            "outbox",
            W::Members,
            T::Talking,
            ["[--drop ID | --send ID]", "--drop ab12"],
            "list messages that wait to be sent",
        )
        .answers()
        .offline(),
        entry(
            "read",
            W::Members,
            T::Looking,
            ["[--all] [--held]", "--all"],
            "read what is new, or everything",
        )
        .answers(),
        entry("who", W::Members, T::Looking, NONE, "list the members").answers(),
        entry("status", W::Members, T::Looking, NONE, "show the rules in force").answers(),
        entry(
            "log",
            W::Members,
            T::Looking,
            ["[--export FILE]", "--export log.txt"],
            "list what facilitators did",
        )
        .answers(),
        entry(
            "verify",
            W::Members,
            T::Looking,
            ["[NAME]", "Ben"],
            "show digits to compare by voice",
        )
        .answers(),
        entry("mute", W::Members, T::Looking, ["NAME", "Ben"], "hide a member's words here")
            .answers()
            .offline(),
        entry("unmute", W::Members, T::Looking, ["NAME", "Ben"], "show a member's words again")
            .answers()
            .offline(),
        entry(
            "invite",
            W::Moderators,
            T::Door,
            ["[--uses N] [--expires TIME] [--role ROLE] [--qr]", "--uses 3 --expires 2d"],
            "make an invite link",
        )
        .answers(),
        entry("revoke", W::Moderators, T::Door, ["LINK", "hearth://..."], "void an invite link")
            .answers(),
        entry("knocks", W::Moderators, T::Door, NONE, "list people who ask to come in").answers(),
        entry("admit", W::Moderators, T::Door, ["NAME", "Ben"], "let somebody in"),
        entry(
            "decline",
            W::Moderators,
            T::Door,
            ["NAME [WORDS]", "Ben Please call me first"],
            "decline a knock; only the knocker learns of it",
        )
        .answers(),
        entry(
            "lock",
            W::Moderators,
            T::Door,
            ["on|off", "on"],
            "let nobody in, or let people in again",
        ),
        entry(
            "pause",
            W::Moderators,
            T::Calm,
            ["[TIME] [WORDS]", "10m Let us breathe"],
            "stop everybody for a moment",
        ),
        entry("resume", W::Moderators, T::Calm, NONE, "end the pause"),
        entry(
            "slow",
            W::Moderators,
            T::Calm,
            ["TIME|off", "10m"],
            "set the least time between two posts",
        ),
        entry(
            "budget",
            W::Moderators,
            T::Calm,
            ["N/day|off", "20/day"],
            "limit each member's posts a day",
        ),
        entry(
            "len",
            W::Moderators,
            T::Calm,
            ["N|off", "1200"],
            "limit the characters of a message",
        ),
        entry(
            "hours",
            W::Moderators,
            T::Calm,
            ["HOURS|off", "Mon-Fri 17:00-20:00 Europe/Paris"],
            "set the opening hours",
        ),
        entry(
            "open",
            W::Moderators,
            T::Calm,
            ["[--by-hours]", "--by-hours"],
            "open the room against its hours",
        ),
        entry("close", W::Moderators, T::Calm, NONE, "close the room against its hours"),
        entry("pin", W::Moderators, T::Calm, ["ID", "ab12"], "keep a message at the top"),
        entry(
            "unpin",
            W::Moderators,
            T::Calm,
            ["ID", "ab12"],
            "keep a message at the top no longer",
        ),
        entry("rekey", W::Moderators, T::Calm, NONE, "give everybody new keys"),
        entry(
            "restore-rules",
            W::Facilitators,
            T::Calm,
            NONE,
            "make the relay do what the log says",
        )
        .answers(),
        entry(
            "expire",
            W::Facilitators,
            T::Calm,
            ["TIME", "30d"],
            "set how long messages are kept",
        ),
        entry(
            "timeout",
            W::Moderators,
            T::Members,
            ["NAME TIME [WORDS]", "Ben 30m Please rest a little"],
            "let a member rest",
        )
        .answers(),
        entry("untimeout", W::Moderators, T::Members, ["NAME", "Ben"], "end a time-out early")
            .answers(),
        entry(
            "role",
            W::Moderators,
            T::Members,
            ["NAME ROLE", "Ben observer"],
            "change a member's role",
        ),
        entry(
            "remove",
            W::Moderators,
            T::Members,
            ["NAME --reason CATEGORY [--goodbye WORDS]", "Ben --reason request"],
            "take a member out",
        ),
        entry(
            "leave",
            W::Members,
            T::Going,
            ["[WORDS]", "Thank you all"],
            "leave the room for good",
        ),
        entry(
            "withdraw",
            W::Members,
            T::Going,
            ["[WORDS]", "Thank you all"],
            "leave, and take your signature back",
        ),
        entry("follow", W::Members, T::Looking, NONE, "print what is new and what comes").outside(),
        entry("recover", W::Members, T::Going, NONE, "go on after a restored backup or a split")
            .offline()
            .outside(),
    ]
};

/// Returns a room command's row.
///
/// A word without a row would be a fault of the table, which a test finds; the first row stands in then.
pub(super) fn entry_of(name: &str) -> &'static Entry {
    let [first, ..] = &ROOM_COMMANDS;
    ROOM_COMMANDS.iter().find(|entry| entry.name == name).unwrap_or(first)
}

/// Commands that only a chat has, because the command line has them in another form.
pub const CHAT_COMMANDS: [Entry; 4] = {
    use Topic as T;
    use Who as W;
    [
        entry(
            "agreement",
            W::Members,
            T::Looking,
            ["[diff]", "diff"],
            "read the agreement, or what changed in it",
        ),
        entry("acknowledge", W::Members, T::Looking, ["", ""], "sign the new agreement"),
        entry("rooms", W::Members, T::Looking, ["", ""], "list your rooms"),
        entry("room", W::Members, T::Looking, ["NAME", "skills-group"], "go to another room"),
    ]
};

/// Returns every command that a chat lists or names.
pub fn chat_commands() -> impl Iterator<Item = &'static Entry> {
    ROOM_COMMANDS.iter().chain(&CHAT_COMMANDS)
}

#[cfg(test)]
mod tests {
    use clap::Subcommand;

    use super::{super::InRoom, *};

    #[test]
    fn command_table_agrees_with_the_help() {
        let commands = <InRoom as Subcommand>::augment_subcommands(clap::Command::new("room"));
        let mut names = Vec::new();
        for command in commands.get_subcommands() {
            let name = command.get_name();
            names.push(name.to_owned());
            let entry = ROOM_COMMANDS.iter().find(|entry| entry.name == name);
            let entry = entry.unwrap_or_else(|| panic!("{name} is not in the table"));
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            // "F, CF [E; R]", "M [E]", "F [R; C]" at the end of the help text.
            let who = about.rsplit('.').next().unwrap_or_default().trim();
            let expected = match who {
                who if who.contains(" M") || who.starts_with('M') => Who::Members,
                who if who.contains("CF") => Who::Moderators,
                who if who.starts_with('F') || who.contains(" F ") => Who::Facilitators,
                // "(facilitators). M"
                _ => panic!("{name}: {about}"),
            };
            assert_eq!(entry.who, expected, "{name}: {about}");
        }
        assert_eq!(names.len(), ROOM_COMMANDS.len());
    }
}
