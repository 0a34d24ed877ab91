//! What a shell gives to be shown. Texts are as people wrote them; they are made inert where they are drawn. A page is shown the same,
//! so all of it can be written as JSON.

/// A room, or a lane of one: what the shell calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
pub struct PlaceId(pub u64);

/// One line of the left pane.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Place {
    /// Which.
    pub id: PlaceId,
    /// Its title.
    pub title: String,
    /// Whether it is a lane of the room above it.
    pub lane: bool,
    /// Messages that were not read.
    pub unread: usize,
    /// A word beside it, such as the days since the last check-in.
    pub note: String,
}

/// How it is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// Nothing is dim.
    pub contrast: bool,
    /// Lines and signs are ASCII.
    pub ascii: bool,
}

/// What is around the talk of one place.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Scene {
    /// The room's title.
    pub title: String,
    /// The member's name.
    pub me: String,
    /// What holds in the room, such as for how long messages are kept.
    pub status: String,
    /// Whom what is typed here goes to: `>` in a room, `to Fay only >` in a lane.
    pub prompt: String,
    /// Characters of a message at most; 0: the relay's own limit.
    pub limit: usize,
    /// What stands over the talk, the most urgent first.
    pub bands: Vec<Band>,
    /// What waits for this person, the most urgent first.
    pub for_you: Vec<Todo>,
    /// Messages that are not sent yet, oldest first.
    pub waiting: Vec<Wait>,
    /// What can be done now, help-now first.
    pub entries: Vec<Entry>,
    /// The crisis contacts.
    pub numbers: Numbers,
    /// The last message that was read before this window opened the place; `None`: nothing is new.
    pub new_after: Option<u64>,
}

/// A line over the talk.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Band {
    /// What tells it from others, so that it can be put away.
    pub key: String,
    /// Its sign, such as `‖`.
    pub sign: char,
    /// Its words; `{left}` is the time until `until`.
    pub text: String,
    /// Further lines.
    pub lines: Vec<String>,
    /// When it ends, by the relay's clock in milliseconds; 0: not by itself.
    pub until: u64,
    /// Whether it is drawn reversed: it is this person's turn, or something does not verify.
    pub strong: bool,
    /// What can be done about it.
    pub actions: Vec<Action>,
}

/// A line of what waits for this person.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Todo {
    /// What it is, in a word.
    pub what: String,
    /// The rest.
    pub text: String,
    /// Whether it comes before all others.
    pub urgent: bool,
    /// What Enter does.
    pub does: Option<Does>,
}

/// A message that waits.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Wait {
    /// Its words.
    pub text: String,
    /// Why it waits for its author; `None`: it goes out by itself.
    pub held: Option<String>,
}

/// Something that a key does.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Action {
    /// The letter.
    pub key: char,
    /// What it does, in a word or two.
    pub label: String,
    /// What it does.
    pub does: Does,
}

/// What a choice does.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub enum Does {
    /// Runs a command line.
    Run(String),
    /// Runs a command line once the person has typed what goes behind it.
    Compose {
        /// What stands before the line meanwhile.
        label: String,
        /// The command and its first arguments.
        command: String,
        /// What stands in the line already.
        text: String,
    },
    /// Opens the form of a command, with its first fields filled.
    Form(String, Vec<String>),
    /// Puts a text on the clipboard.
    Copy(String),
    /// Shows the words behind a content note.
    Uncover,
    /// Goes to the message at this place.
    Jump(u64),
    /// Goes to another place.
    Go(PlaceId),
    /// Shows the agreement, and asks to sign it.
    Sign,
    /// Asks for a number from 0 to 10.
    Mood(Mood),
    /// Shows the numbers.
    Help,
    /// Asks which of these.
    Choose {
        /// Over the choices.
        title: String,
        /// What stands below them.
        lines: Vec<String>,
        /// The choices.
        choices: Vec<Action>,
    },
    /// Puts the band away.
    Dismiss,
}

/// What is asked with a mood.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Mood {
    /// The question, and who reads the answer.
    pub lines: Vec<String>,
}

/// The crisis contacts, and whom Enter tells.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Numbers {
    /// The contacts, and that nothing was sent.
    pub lines: Vec<String>,
    /// Names of those who are told; empty if there is nobody.
    pub tells: String,
}

/// A row of the palette.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Entry {
    /// The command's word.
    pub name: String,
    /// What it does.
    pub does: String,
    /// Who may, in letters.
    pub who: String,
    /// Who enforces it, in letters.
    pub enforced: String,
    /// What it takes.
    pub fields: Vec<Field>,
    /// What this program does by itself for it.
    pub native: Option<Native>,
}

/// One argument of a command.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// What it is.
    pub help: String,
    /// What can be chosen; empty: anything.
    pub choices: Vec<String>,
    /// Whether something else can be typed, too.
    pub free: bool,
    /// Whether it may be left out.
    pub optional: bool,
    /// The flag before it, with its dashes; empty for what stands by itself.
    pub flag: String,
    /// Whether the flag stands alone.
    pub switch: bool,
    /// Whether it is free words to the end of the line.
    pub words: bool,
}

/// What the screen does by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub enum Native {
    /// Shows the numbers, then asks whether to tell.
    Help,
    /// Asks for a mood.
    Mood,
    /// Lists the rooms.
    Rooms,
    /// Shows the agreement and asks to sign it.
    Sign,
    /// Hides the room and locks.
    Hide,
    /// Lists the keys.
    Keys,
    /// Ends.
    Quit,
}

/// One entry of the talk.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Item {
    /// Its place in the history.
    pub place: u64,
    /// The day, in words.
    pub day: String,
    /// The time of day.
    pub time: String,
    /// What it is.
    pub kind: Kind,
    /// Who said it.
    pub name: String,
    /// What stands behind the name: whom it answers, or that it is to everybody.
    pub head: String,
    /// The words.
    pub text: String,
    /// A content note that covers them.
    pub note: Option<String>,
    /// What stands below them: reactions, that they were changed.
    pub after: String,
    /// Whether it is this person's.
    pub mine: bool,
    /// What can be done with it.
    pub actions: Vec<Action>,
}

/// What an entry of the talk is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub enum Kind {
    /// Somebody's words.
    #[default]
    Said,
    /// What somebody did.
    Done,
    /// Something that does not verify.
    Alarm,
}

/// A text that is read in pages.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Text {
    /// Over it.
    pub title: String,
    /// The text.
    pub body: String,
    /// Whether it is to be signed at its end.
    pub signs: bool,
}

impl Look {
    /// Returns how a sign is drawn.
    pub(crate) const fn sign(self, sign: char) -> char {
        if !self.ascii {
            return sign;
        }
        match sign {
            '‖' => '=',
            '○' => 'o',
            '⧖' => '~',
            '▼' => 'v',
            '▌' => '>',
            '─' | '–' => '-',
            '│' => '|',
            '┌' | '┐' | '└' | '┘' => '+',
            '·' => '-',
            '…' => '.',
            other => other,
        }
    }
}
