//! Commands in a room, as they are typed: on the command line, with a slash in a chat, and by programs.
//!
//! A command is one block in its topic's file: what is typed behind its word, its row in the table, and what it asks of the
//! room. Help, the chat's list, the check of the role and the parser are assembled from the blocks here.

#![allow(rustdoc::broken_intra_doc_links, reason = "[E], [R] and [C] are words of the help")]

/// Gathers a topic's commands.
macro_rules! topic {
    ($topic:ident: $($command:ident),+ $(,)?) => {
        /// The commands of this topic.
        #[derive(Clone, Debug, clap::Subcommand, serde::Serialize, serde::Deserialize)]
        #[allow(missing_docs, reason = "words here would stand in the help, in place of the command's own")]
        pub enum $topic {
            $($command(super::At<$command>)),+
        }

        impl $topic {
            /// Their rows, in the order of the chat's list.
            pub(super) const ROWS: &[super::Entry] = &[$(<$command as super::RoomCommand>::ROW),+];

            pub(super) fn typed(&self) -> &dyn super::Typed {
                match self {
                    $(Self::$command(typed) => typed),+
                }
            }

            pub(super) fn typed_mut(&mut self) -> &mut dyn super::Typed {
                match self {
                    $(Self::$command(typed) => typed),+
                }
            }
        }
    };
}

pub(super) mod asking;
pub(super) mod breach;
pub(super) mod calm;
pub(super) mod care;
pub(super) mod door;
mod find;
mod forms;
pub(super) mod going;
pub(super) mod help;
mod lack;
pub(super) mod looking;
pub(super) mod members;
pub(super) mod mine;
pub(super) mod places;
pub(super) mod private;
pub(super) mod reporting;
mod row;
pub(super) mod sharing;
pub(super) mod sitting;
pub(super) mod talking;
mod times;
pub(super) mod turns;

use clap::{ArgMatches, Args, FromArgMatches, Subcommand, ValueEnum, error::ErrorKind};
use futures_util::{FutureExt as _, future::LocalBoxFuture};
use hearth_console::line;
use hearth_engine::{
    EngineError,
    policy::{Category, RuleError},
};
use hearth_protocol::{MessageId, Role};
use hearth_session::client::{AskError, Command, Consent, Link, Outcome};
use serde::{Deserialize, Serialize};

use self::{
    asking::Asking, calm::Calm, care::Care, door::Door, going::Going, help::Danger,
    looking::Looking, members::Members, mine::Mine, places::Places, private::Private,
    reporting::Reporting, sharing::Sharing, talking::Talking, turns::Turns,
};

pub use self::row::{CHAT_COMMANDS, Entry, May, Topic};
pub(super) use self::{
    lack::{Lack, NEEDS_WORDS},
    row::{Needs, Tail},
    times::parse_millis,
};

use super::{
    Context, Result,
    care::questions::Sending,
    interactive,
    outcome::Told,
    shell::{Did, Shell, nothing_done, unexpected},
};

/// A command in a room: its fields are what is typed behind its word and the room, and its comment is its help.
pub(super) trait RoomCommand {
    /// Its row in the table.
    const ROW: Entry;

    /// Whether the command line agrees to whatever there is to ask.
    fn is_agreed(&self) -> bool {
        false
    }

    /// Completes it with what the command line alone has: standard input, the working folder.
    fn complete(&mut self, _room: &str, _context: &Context) -> Result<()> {
        Ok(())
    }

    /// Returns which words to people it cannot do without, if they were not typed.
    fn lacks(&self) -> Option<Lack> {
        None
    }

    /// Takes the words that it lacks.
    fn give(&mut self, _words: String) {}

    /// Resolves its words into what is asked of the room.
    async fn resolve(&self, shell: &Shell) -> Result<Asked>;

    /// Prints what became of it. Words that were sent or kept, and acts, are told alike for every command.
    fn tell(&self, told: &Told<'_>, _asked: &Command, outcome: Outcome) -> Result<()> {
        told.outcome(outcome)
    }
}

/// What a command asks of the room.
pub(super) enum Asked {
    /// This, once.
    One(Box<Command>),
    /// This of each message that waits for its author, oldest first, up to the first failure.
    EachHeld(fn(MessageId) -> Command),
    /// Answers to questions, once a person has seen them again.
    Answers(Box<Sending>),
    /// Nothing: it has printed what there is to see.
    Nothing,
}

impl From<Command> for Asked {
    fn from(command: Command) -> Self {
        Self::One(Box::new(command))
    }
}

// A command with the room that it names. A doc comment would stand in the help, in place of the command's own.
#[derive(Clone, Debug, Args, Serialize, Deserialize)]
#[allow(missing_docs, reason = "it would stand in the help")]
pub struct At<C: Args> {
    /// The room.
    room: String,
    #[command(flatten)]
    command: C,
}

/// Any command with its room: [`RoomCommand`] as a value.
pub(super) trait Typed {
    fn room(&self) -> &str;
    fn entry(&self) -> &'static Entry;
    fn is_agreed(&self) -> bool;
    fn complete(&mut self, context: &Context) -> Result<()>;
    fn lacks(&self) -> Option<Lack>;
    fn give(&mut self, words: String);
    fn resolve<'a>(&'a self, shell: &'a Shell) -> LocalBoxFuture<'a, Result<Asked>>;
    fn tell(&self, told: &Told<'_>, asked: &Command, outcome: Outcome) -> Result<()>;
}

impl<C: RoomCommand + Args> Typed for At<C> {
    fn room(&self) -> &str {
        &self.room
    }

    fn entry(&self) -> &'static Entry {
        const { &C::ROW }
    }

    fn is_agreed(&self) -> bool {
        self.command.is_agreed()
    }

    fn complete(&mut self, context: &Context) -> Result<()> {
        self.command.complete(&self.room, context)?;
        let asks = interactive() && !context.out.is_json();
        if let Some(lack) = self.command.lacks().filter(|_| asks) {
            for line in lack.list() {
                context.out.remark(&line);
            }
            let number = if lack.choices.is_empty() { "" } else { ", or a number" };
            let typed = line::ask(&format!("{}{number}: ", lack.prompt))?;
            self.command.give(lack.chosen(&typed).to_owned());
        }
        Ok(())
    }

    fn lacks(&self) -> Option<Lack> {
        self.command.lacks()
    }

    fn give(&mut self, words: String) {
        self.command.give(words);
    }

    fn resolve<'a>(&'a self, shell: &'a Shell) -> LocalBoxFuture<'a, Result<Asked>> {
        self.command.resolve(shell).boxed_local()
    }

    fn tell(&self, told: &Told<'_>, asked: &Command, outcome: Outcome) -> Result<()> {
        self.command.tell(told, asked, outcome)
    }
}

/// Assembles the topics, in the order of the chat's list.
macro_rules! topics {
    ($($topic:ident),+ $(,)?) => {
        /// What is done in a room, by command or with a slash in `chat`.
        #[derive(Clone, Debug, Serialize, Deserialize)]
        #[allow(missing_docs, reason = "each topic's file says it")]
        pub enum InRoom {
            $($topic($topic)),+
        }

        /// The rows of each topic.
        const ROWS: &[&[Entry]] = &[$($topic::ROWS),+];

        impl InRoom {
            fn typed(&self) -> &dyn Typed {
                match self {
                    $(Self::$topic(command) => command.typed()),+
                }
            }

            fn typed_mut(&mut self) -> &mut dyn Typed {
                match self {
                    $(Self::$topic(command) => command.typed_mut()),+
                }
            }
        }

        impl FromArgMatches for InRoom {
            fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
                Self::from_arg_matches_mut(&mut matches.clone())
            }

            fn from_arg_matches_mut(matches: &mut ArgMatches) -> Result<Self, clap::Error> {
                let name = matches.subcommand_name().unwrap_or_default();
                $(if $topic::has_subcommand(name) {
                    return $topic::from_arg_matches_mut(matches).map(Self::$topic);
                })+
                Err(clap::Error::new(ErrorKind::MissingSubcommand))
            }

            fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
                *self = Self::from_arg_matches(matches)?;
                Ok(())
            }
        }

        impl Subcommand for InRoom {
            fn augment_subcommands(parent: clap::Command) -> clap::Command {
                let by_topic = clap::Command::new("room");
                $(let by_topic = $topic::augment_subcommands(by_topic);)+
                parent.subcommands(in_help_order(&by_topic))
            }

            fn augment_subcommands_for_update(parent: clap::Command) -> clap::Command {
                Self::augment_subcommands(parent)
            }

            fn has_subcommand(name: &str) -> bool {
                ROOM_COMMANDS.iter().any(|entry| entry.name == name_of_command(name))
            }
        }
    };
}

topics!(
    Talking, Private, Danger, Sharing, Reporting, Care, Turns, Asking, Looking, Mine, Door, Calm,
    Members, Places, Going
);

/// Every room command: who may use it, and how `chat` lists it.
pub static ROOM_COMMANDS: [Entry; COUNT] = {
    let mut all = [Talking::ROWS[0]; COUNT];
    let (mut topic, mut filled) = (0, 0);
    while topic < ROWS.len() {
        let mut at = 0;
        while at < ROWS[topic].len() {
            all[filled] = ROWS[topic][at];
            (at, filled) = (at + 1, filled + 1);
        }
        topic += 1;
    }
    all
};

/// Number of room commands.
const COUNT: usize = {
    let (mut topic, mut count) = (0, 0);
    while topic < ROWS.len() {
        (topic, count) = (topic + 1, count + ROWS[topic].len());
    }
    count
};

/// Returns every command that a chat lists or names.
pub fn chat_commands() -> impl Iterator<Item = &'static Entry> {
    ROOM_COMMANDS.iter().chain(&CHAT_COMMANDS)
}

/// Older names of commands, which work as the newer ones.
const ALIASES: [(&str, &str); 2] = [("timeout", "break"), ("untimeout", "break-end")];

/// Returns the name of the command that a word stands for.
pub(super) fn name_of_command(word: &str) -> &str {
    ALIASES.iter().find(|(older, _)| *older == word).map_or(word, |(_, name)| name)
}

/// Order of `hearth --help`, of the completions and of the manual page. A command that is not named here follows, by its topic.
#[rustfmt::skip]
const HELP_ORDER: [&str; 38] = [
    "send", "read", "follow", "who", "status", "log", "outbox", "invite", "revoke", "knocks", "admit", "decline", "pause",
    "resume", "break", "break-end", "slow", "budget", "len", "hours", "open", "close", "lock", "remove", "role", "announce",
    "pin", "unpin", "retract", "mute", "unmute", "restore-rules", "rekey", "leave", "withdraw", "expire", "recover", "verify",
];

/// Returns the commands in the order of the help, each with who may use it and who enforces it at the end of what it says.
fn in_help_order(by_topic: &clap::Command) -> Vec<clap::Command> {
    let place = |name: &str| HELP_ORDER.iter().position(|known| *known == name);
    let mut commands: Vec<clap::Command> = by_topic.get_subcommands().cloned().collect();
    commands.sort_by_key(|command| place(command.get_name()).unwrap_or(HELP_ORDER.len()));
    let commands = commands.into_iter().map(|command| {
        let entry = ROOM_COMMANDS.iter().find(|entry| entry.name == command.get_name());
        let codes = entry.map(Entry::codes).unwrap_or_default();
        // Numbers need no room.
        let command = match ALIASES.iter().find(|(_, name)| *name == command.get_name()) {
            Some((older, _)) => command.alias(*older),
            None => command,
        };
        let command = match command.get_name() {
            "help-now" => command.mut_arg("room", |room| room.required(false).default_value("-")),
            _ => command,
        };
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        command.about(format!("{about}. {codes}")).display_order(None)
    });
    commands.collect()
}

impl InRoom {
    /// Returns what says something in a room.
    pub(super) fn say(room: &str, text: &str) -> Self {
        let command = talking::Send::new(text);
        Self::Talking(Talking::Send(At { room: room.to_owned(), command }))
    }

    /// Returns the command that a follower runs for each call for help.
    pub(super) fn on_flag(&self) -> Option<&str> {
        match self {
            Self::Looking(Looking::Follow(at)) => at.command.on_flag(),
            _ => None,
        }
    }

    /// Returns what shows the numbers, or tells the facilitators.
    pub(super) fn help_now(room: &str, command: help::HelpNow) -> Self {
        Self::Danger(Danger::HelpNow(At { room: room.to_owned(), command }))
    }

    /// Returns the command that shows the numbers, with its room.
    pub(super) const fn as_help_now(&self) -> Option<(&String, &help::HelpNow)> {
        match self {
            Self::Danger(Danger::HelpNow(at)) => Some((&at.room, &at.command)),
            _ => None,
        }
    }

    /// Returns what says something in a lane.
    pub(super) fn check_in(room: &str, args: Vec<String>) -> Self {
        let command = private::Checkin::new(args);
        Self::Private(Private::Checkin(At { room: room.to_owned(), command }))
    }

    /// Returns the words that it says to the room, if that is what it does.
    pub(super) fn words(&self) -> Option<&str> {
        match self {
            Self::Talking(Talking::Send(at)) => Some(at.command.words()),
            _ => None,
        }
    }

    /// Returns the answers that it gives to the facilitators' questions, if that is what it does.
    pub(super) fn answers(&self) -> Option<&[String]> {
        match self {
            Self::Care(Care::Answers(at)) => Some(at.command.given()),
            _ => None,
        }
    }

    /// Whether it goes on until it is stopped.
    pub(super) const fn follows(&self) -> bool {
        matches!(self, Self::Looking(Looking::Follow(_)))
    }

    /// Returns the command's row.
    pub fn entry(&self) -> &'static Entry {
        self.typed().entry()
    }

    /// Returns the room that the command names.
    pub fn room(&self) -> &str {
        self.typed().room()
    }

    /// Whether the command line agrees to whatever there is to ask.
    pub fn is_agreed(&self) -> bool {
        self.typed().is_agreed()
    }

    /// Whether what waits goes out, and what is due is done, before the command.
    pub(super) fn catches_up(&self) -> bool {
        self.entry().needs != Needs::Nothing
    }

    /// Returns which words to people the command cannot do without, if they were not typed.
    pub(super) fn lacks(&self) -> Option<Lack> {
        self.typed().lacks()
    }

    /// Returns the command with the words that it lacks.
    pub(super) fn with_words(&self, words: String) -> Self {
        let mut command = self.clone();
        command.typed_mut().give(words);
        command
    }

    /// Completes the command with what the command line alone has.
    pub(super) fn complete(&mut self, context: &Context) -> Result<()> {
        self.typed_mut().complete(context)
    }
}

impl Shell {
    /// Does a command and prints what became of it.
    pub(super) async fn act(&self, command: &InRoom, consent: Consent) -> Result<Did> {
        self.check(command.entry())?;
        let typed = command.typed();
        match typed.resolve(self).await? {
            Asked::One(asked) => self.do_one(typed, *asked, consent).await,
            Asked::Answers(sending) => self.send_answers(typed, *sending, consent).await,
            Asked::EachHeld(each) => self.each_held(typed, each, consent).await,
            Asked::Nothing => Ok(Did::Done),
        }
    }

    /// Refuses what this member's role or the missing connection does not allow, before another mistake is told.
    fn check(&self, entry: &Entry) -> Result<()> {
        let view = self.view();
        if view.role().is_some_and(|role| !entry.who.includes(role)) {
            return Err(EngineError::Rule(RuleError::NotFacilitator).into());
        }
        match &view.link {
            Link::Down { why, .. } if self.follows && entry.needs == Needs::Relay => {
                Err(nothing_done(why))
            }
            _ => Ok(()),
        }
    }

    /// Sends answers, and tells what their member reads at once, whether they could go out now or wait.
    async fn send_answers(
        &self,
        typed: &dyn Typed,
        sending: Sending,
        consent: Consent,
    ) -> Result<Did> {
        let Sending { command, question, after: (object, words) } = sending;
        if consent != Consent::Whatever && consent != Consent::To(question.clone()) {
            return Ok(Did::Asks(question));
        }
        let did = self.do_one(typed, command, consent).await;
        if did.as_ref().map_or_else(|failure| failure.kept, |_| true) {
            self.out.say(&object, &self.out.advice(&words))?;
        }
        did
    }

    /// Does the same to each message that waits for its author, oldest first, up to the first failure.
    async fn each_held(
        &self,
        typed: &dyn Typed,
        each: fn(MessageId) -> Command,
        consent: Consent,
    ) -> Result<Did> {
        let view = self.view();
        let mut held = view.outbox.iter().filter(|waiting| waiting.held.is_some()).peekable();
        if held.peek().is_none() {
            self.out.say_none("Nothing in your outbox waits for you.")?;
        }
        for waiting in held {
            match self.do_one(typed, each(waiting.id), consent.clone()).await? {
                Did::Done => {}
                asks @ Did::Asks(_) => return Ok(asks),
            }
        }
        Ok(Did::Done)
    }

    async fn do_one(&self, typed: &dyn Typed, asked: Command, consent: Consent) -> Result<Did> {
        let before = self.view();
        match self.client.ask(&self.room, asked.clone(), consent).await {
            Ok(became) => {
                let told = Told { out: &self.out, view: &self.view(), before: &before };
                typed.tell(&told, &asked, became)?;
                Ok(Did::Done)
            }
            Err(AskError::NeedsConsent(question)) => Ok(Did::Asks(question)),
            Err(AskError::NeedsWords) if typed.lacks().is_some() => {
                Err(typed.lacks().map_or_else(unexpected, |lack| lack.failure()))
            }
            Err(AskError::Unreachable(why)) if self.follows => Err(nothing_done(&why)),
            Err(error) => Err(error.into()),
        }
    }
}

/// Roles by the words people type.
#[derive(Clone, Copy, Debug, ValueEnum, Serialize, Deserialize)]
pub enum RoleArg {
    /// Holds the room; appoints others.
    Facilitator,
    /// Holds the room.
    Cofacilitator,
    /// Takes part.
    Member,
    /// Reads only.
    Observer,
    /// A program that lets people in by rule; it reads along.
    Steward,
}

impl From<RoleArg> for Role {
    fn from(role: RoleArg) -> Self {
        match role {
            RoleArg::Facilitator => Self::Facilitator,
            RoleArg::Cofacilitator => Self::CoFacilitator,
            RoleArg::Member => Self::Member,
            RoleArg::Observer => Self::Observer,
            RoleArg::Steward => Self::Steward,
        }
    }
}

/// Categories by the words people type.
#[derive(Clone, Copy, Debug, ValueEnum, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the words say it")]
pub enum CategoryArg {
    Unspecified,
    Confidentiality,
    Conduct,
    Safety,
    Discharge,
    Request,
}

impl From<CategoryArg> for Category {
    fn from(category: CategoryArg) -> Self {
        match category {
            CategoryArg::Unspecified => Self::Unspecified,
            CategoryArg::Confidentiality => Self::Confidentiality,
            CategoryArg::Conduct => Self::Conduct,
            CategoryArg::Safety => Self::Safety,
            CategoryArg::Discharge => Self::Discharge,
            CategoryArg::Request => Self::Request,
        }
    }
}

/// On or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
pub(super) enum Switch {
    /// On.
    On,
    /// Off.
    Off,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parser() -> clap::Command {
        InRoom::augment_subcommands(clap::Command::new("room"))
    }

    #[test]
    fn row_bears_its_commands_name() {
        let parser = parser();
        let (mut parsed, mut rows): (Vec<&str>, Vec<&str>) = (
            parser.get_subcommands().map(clap::Command::get_name).collect(),
            ROOM_COMMANDS.iter().map(|entry| entry.name).collect(),
        );
        parsed.sort_unstable();
        rows.sort_unstable();
        assert_eq!(parsed, rows);
        rows.dedup();
        assert_eq!(rows.len(), COUNT);
    }

    /// A command takes its topic from its row, and its place in the list from its file.
    #[test]
    fn row_stands_in_its_topics_file() {
        for (rows, topic) in ROWS.iter().zip(Topic::ALL) {
            for entry in *rows {
                assert!(entry.topic.is_none_or(|own| own == topic), "{}", entry.name);
            }
        }
        assert_eq!(ROWS.len(), Topic::ALL.len());
    }

    #[test]
    fn help_ends_with_the_rows_role() {
        let parser = parser();
        for (name, end) in [
            ("read", ". M"),
            ("announce", ". F, CF [E]"),
            ("expire", ". F [R; C]"),
            ("pause", ". F, CF [E held by receivers; R; C what follows]"),
            ("role", ". F; CF between member and observer [E; R]"),
        ] {
            let command = parser.find_subcommand(name).unwrap();
            let about = command.get_about().unwrap().to_string();
            assert!(about.ends_with(end), "{name}: {about}");
        }
    }
}
