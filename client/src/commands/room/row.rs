//! What a row says of a command in a room: who may use it, how it is listed, and what it needs of the connection.

use hearth_protocol::Role;

/// Who may use a command in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum May {
    /// Every member.
    Members,
    /// Facilitators and co-facilitators.
    Moderators,
    /// Facilitators.
    Facilitators,
}

impl May {
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
    Private,
    Danger,
    Care,
    Sharing,
    Reporting,
    Turns,
    Asking,
    Looking,
    Mine,
    Door,
    Calm,
    Members,
    Places,
    Going,
}

impl Topic {
    /// Every topic, in the order of a list.
    pub const ALL: [Self; 15] = [
        Self::Talking,
        Self::Private,
        Self::Danger,
        Self::Sharing,
        Self::Reporting,
        Self::Care,
        Self::Turns,
        Self::Asking,
        Self::Looking,
        Self::Mine,
        Self::Door,
        Self::Calm,
        Self::Members,
        Self::Places,
        Self::Going,
    ];

    /// Whether what is typed behind its commands is not for the room.
    pub const fn is_private(self) -> bool {
        matches!(self, Self::Private | Self::Sharing | Self::Reporting | Self::Care | Self::Danger)
    }

    /// Returns its heading.
    pub const fn heading(self) -> &'static str {
        match self {
            Self::Talking => "Talking",
            Self::Private => "With the facilitators alone",
            Self::Danger => "In danger",
            Self::Care => "How people are",
            Self::Sharing => "Without a name",
            Self::Reporting => "Reports and notes",
            Self::Turns => "Taking turns",
            Self::Asking => "Asking and answering",
            Self::Looking => "Looking",
            Self::Mine => "On this device alone",
            Self::Door => "Letting people in",
            Self::Calm => "Holding the room",
            Self::Members => "One person",
            Self::Places => "Places and endings",
            Self::Going => "Leaving",
        }
    }
}

/// What a command needs of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// A connection: without one, a chat refuses it.
    Relay,
    /// What is new, if the relay can be reached; without a connection it shows what this device has.
    News,
    /// Nothing: it is of this device alone, or waits in the outbox.
    Nothing,
}

/// How what is typed behind a command's word ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tail {
    /// In arguments like the others.
    Arguments,
    /// In words to people, which need no quotes, behind so many arguments.
    Words(usize),
    /// In a length of time, and words behind it, behind so many arguments.
    TimeAndWords(usize),
}

/// A command's row in the table.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The command's word.
    pub name: &'static str,
    /// Who may use it.
    pub who: May,
    /// The letters for it in the help, where those of [`May`] do not tell all.
    pub letters: Option<&'static str>,
    /// Who enforces it, in the letters of the help; empty if nobody needs to.
    pub enforced: &'static str,
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
    /// What it needs of the connection.
    pub needs: Needs,
    /// How what is typed behind it ends.
    pub tail: Tail,
}

/// Begins a row: what is said of every command.
pub(super) const fn row(topic: Topic, name: &'static str, who: May, does: &'static str) -> Entry {
    Entry {
        name,
        who,
        letters: None,
        enforced: "",
        topic: Some(topic),
        takes: "",
        example: "",
        does,
        answers: false,
        needs: Needs::Relay,
        tail: Tail::Arguments,
    }
}

impl Entry {
    /// Says what follows the word in a chat, and gives an example of it.
    pub(super) const fn takes(self, takes: &'static str, example: &'static str) -> Self {
        Self { takes, example, ..self }
    }

    /// Says who enforces it: `E`, `R` and `C` of the help, with words where there is more to say.
    pub(super) const fn enforced(self, enforced: &'static str) -> Self {
        Self { enforced, ..self }
    }

    /// Says by letters who may use it, where that depends on what it is used for.
    pub(super) const fn letters(self, letters: &'static str) -> Self {
        Self { letters: Some(letters), ..self }
    }

    /// It ends in words to people, behind so many arguments.
    pub(super) const fn words(self, behind: usize) -> Self {
        Self { tail: Tail::Words(behind), ..self }
    }

    /// It ends in a length of time and words to people, behind so many arguments.
    pub(super) const fn time_and_words(self, behind: usize) -> Self {
        Self { tail: Tail::TimeAndWords(behind), ..self }
    }

    /// It has an answer of its own.
    pub(super) const fn answers(self) -> Self {
        Self { answers: true, ..self }
    }

    /// It shows what this device has, and what is new if the relay can be reached.
    pub(super) const fn looks(self) -> Self {
        Self { answers: true, needs: Needs::News, ..self }
    }

    /// It needs no connection.
    pub(super) const fn offline(self) -> Self {
        Self { needs: Needs::Nothing, ..self }
    }

    /// Leaves it to the command line: a chat does not take it.
    pub(super) const fn outside(self) -> Self {
        Self { topic: None, ..self }
    }

    /// Returns the end of its help: who may use it, and who enforces it.
    pub(in crate::commands) fn codes(&self) -> String {
        let who = self.letters.unwrap_or(match self.who {
            May::Members => "M",
            May::Moderators => "F, CF",
            May::Facilitators => "F",
        });
        match self.enforced {
            "" => who.to_owned(),
            enforced => format!("{who} [{enforced}]"),
        }
    }
}

/// Commands that only a chat has, because the command line has them in another form.
pub const CHAT_COMMANDS: [Entry; 4] = [
    row(Topic::Looking, "agreement", May::Members, "read the agreement, or what changed in it")
        .takes("[diff]", "diff"),
    row(Topic::Looking, "acknowledge", May::Members, "sign the new agreement"),
    row(Topic::Looking, "rooms", May::Members, "list your rooms"),
    row(Topic::Looking, "room", May::Members, "go to another room").takes("NAME", "skills-group"),
];
