//! The command line: every command with its help, and in the help who may use it and who enforces it.
//!
//! `hearth chat` parses its slash commands with the same table, so that there is one vocabulary.

#![allow(rustdoc::broken_intra_doc_links, reason = "[E], [R] and [C] are words of the help")]

use std::{
    ffi::{OsStr, OsString},
    path::PathBuf,
};

use clap::{Args, Parser, Subcommand, ValueEnum};
use hearth_protocol::Role;

use crate::text::when;

/// How the enforcement classes in the help are meant.
const ENFORCEMENT: &str = "\
In the help of each command:
  F facilitator, CF co-facilitator, M member: who may use it.
  [E] end to end: honest members verify it and refuse, even against a hostile relay.
  [R] relay: the relay refuses; holds against a modified client, not against a hostile relay.
  [C] cooperative: depends on the other person's device.

Exit codes: 0 done, 1 failed, 2 usage, 3 refused by a rule, 4 relay unreachable, 5 verification failed.";

/// How many people can knock with one invite.
pub const INVITE_USES_MAX: i64 = 1000;

/// Flags that take a length of time.
const TIME_FLAGS: [&str; 3] = ["--expires", "--effective", "--lock-after"];
/// Words of a length of time: "1 week 2 days and 3 hours 4 minutes".
const TIME_WORDS_MAX: usize = 9;

/// Joins the words of a length of time behind its flag, so that `--expires 2 days` needs no quotes.
pub fn with_joined_times<W>(words: impl IntoIterator<Item = W>) -> Vec<OsString>
where
    OsString: From<W>,
{
    let words: Vec<OsString> = words.into_iter().map(OsString::from).collect();
    let mut joined = Vec::with_capacity(words.len());
    let mut rest = words.as_slice();
    while let [word, after @ ..] = rest {
        rest = after;
        let (flag, begun) = match word.to_str().and_then(|word| word.split_once('=')) {
            Some((flag, begun)) => (OsStr::new(flag), Some(begun)),
            None => (word.as_os_str(), None),
        };
        let count_max = match TIME_FLAGS.iter().any(|known| flag == *known) {
            true => rest.len().min(TIME_WORDS_MAX),
            false => 0,
        };
        let time = (1..=count_max).rev().find_map(|count| {
            let words: Option<Vec<&str>> = rest[..count].iter().map(|word| word.to_str()).collect();
            let time = begun.into_iter().chain(words?).collect::<Vec<_>>().join(" ");
            when::parse_duration(&time).is_ok().then_some((count, time))
        });
        match (time, begun) {
            (Some((count, time)), None) => {
                joined.extend([word.clone(), time.into()]);
                rest = &rest[count..];
            }
            (Some((count, time)), Some(_)) => {
                joined.extend([flag.to_owned(), time.into()]);
                rest = &rest[count..];
            }
            (None, _) => joined.push(word.clone()),
        }
        if word == "--" {
            break;
        }
    }
    joined.extend_from_slice(rest);
    joined
}

/// Encrypted peer-support rooms.
#[derive(Debug, Parser)]
#[command(name = "hearth", version, about, after_help = ENFORCEMENT, max_term_width = 100)]
pub struct Cli {
    /// Folder of the profile.
    #[arg(long, global = true, env = "HEARTH_HOME", value_name = "DIR")]
    pub home: Option<PathBuf>,
    /// Print one JSON object a line.
    #[arg(long, global = true)]
    pub json: bool,
    /// Read the profile's passphrase from the first line of a file.
    #[arg(long, global = true, env = "HEARTH_PASSPHRASE_FILE", value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
    /// Unlock the profile with this key file instead of a passphrase.
    #[arg(
        long,
        global = true,
        env = "HEARTH_KEY_FILE",
        value_name = "FILE",
        conflicts_with = "passphrase_file"
    )]
    pub key_file: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Everything `hearth` does.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Create, list or name rooms.
    #[command(subcommand)]
    Room(RoomCommand),
    /// Read an invite, acknowledge its agreement, and ask to be admitted. M [E; R]
    Join(Join),
    /// Give an unused invite back, so that nobody can use it. [R]
    BurnInvite {
        /// The invite; asked for unseen if absent, from standard input if `-`.
        link: Option<String>,
    },
    /// Show, amend or acknowledge a room's agreement.
    #[command(subcommand)]
    Agreement(AgreementCommand),
    /// Print my proof of what I acknowledged, or verify somebody's (offline). M [E]
    Receipt {
        /// The room, or the word `verify`.
        room: String,
        /// With `verify`: the receipt's file.
        file: Option<PathBuf>,
    },
    /// Talk in a room, line by line; every room command works with a leading slash.
    Chat {
        /// The room.
        room: String,
        /// End after this time without typing, because an unwatched screen shows the room to others.
        #[arg(long, default_value = "30m", value_name = "TIME")]
        lock_after: String,
        /// Show the room on a screen of its own that is cleared at the end: for a computer that others use.
        #[arg(long)]
        alternate_screen: bool,
    },
    /// Admit everyone who has acknowledged, unattended, until stopped. F, CF [E; R]
    Steward {
        /// The room.
        room: String,
        /// Admit only this name (may be given more than once); everyone with a good invite if absent.
        #[arg(long, value_name = "NAME")]
        only: Vec<String>,
        /// Stop after this number of admissions.
        #[arg(long, value_name = "N")]
        count: Option<u32>,
    },
    /// Show or change the profile itself.
    #[command(subcommand)]
    Profile(ProfileCommand),
    /// Print completions for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Write manual pages into a folder.
    Man {
        /// The folder.
        dir: PathBuf,
    },
    /// A command in a room.
    #[command(flatten)]
    In(InRoom),
}

/// `hearth room ...`
#[derive(Debug, Subcommand)]
pub enum RoomCommand {
    /// Open a room with a grant from the relay's operator. Prints the room's local name.
    Create {
        /// The room's title, which invitees read.
        title: String,
        /// The grant link; asked for unseen without a value, from standard input if `-`.
        #[arg(long, value_name = "LINK", num_args = 0..=1)]
        grant: Option<Option<String>>,
        /// The agreement's text.
        #[arg(long, value_name = "FILE")]
        agreement: PathBuf,
        /// My name in the room.
        #[arg(long = "as", value_name = "NAME")]
        name: String,
        /// The language of the agreement.
        #[arg(long, default_value = "en", value_name = "TAG")]
        language: String,
        /// Cipher suite: post-quantum hybrid, or classical for rooms above 100.
        #[arg(long, default_value = "xwing")]
        suite: SuiteArg,
    },
    /// List the rooms of this profile.
    List,
    /// Change a room's local name, which commands take.
    Rename {
        /// The room.
        room: String,
        /// The new local name.
        name: String,
    },
    /// Erase a room from this device. You stay a member. [C]
    Wipe {
        /// The room.
        room: String,
        /// Do not ask; required without a terminal.
        #[arg(long)]
        yes: bool,
    },
}

/// Cipher suites by the words people type.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum SuiteArg {
    /// X-Wing (X25519 + ML-KEM-768).
    Xwing,
    /// X25519.
    X25519,
}

/// `hearth join`
#[derive(Debug, Args)]
pub struct Join {
    /// The invite; asked for unseen if absent, from standard input if `-`.
    pub link: Option<String>,
    /// My name in the room.
    #[arg(long = "as", value_name = "NAME")]
    pub name: Option<String>,
    /// The id of the agreement that I have read and accept; asked for if absent.
    #[arg(long, value_name = "AGREEMENT_ID")]
    pub acknowledge: Option<String>,
    /// Return after knocking; a later command joins.
    #[arg(long)]
    pub no_wait: bool,
}

/// `hearth agreement ...`
#[derive(Debug, Subcommand)]
pub enum AgreementCommand {
    /// Print an agreement's id and text.
    Show {
        /// A room, or an invite: asked for unseen if absent, from standard input if `-`.
        target: Option<String>,
    },
    /// Print what changed since the version I acknowledged.
    Diff {
        /// The room.
        room: String,
    },
    /// Issue a new version. Material: this signs it for me, and those who do not acknowledge it are out of the next epoch until they do. F [E; R]
    Amend {
        /// The room.
        room: String,
        /// The new text.
        file: PathBuf,
        /// The meaning changes: everyone acknowledges again.
        #[arg(long, conflicts_with = "editorial")]
        material: bool,
        /// The wording alone changes; nobody is kept out.
        #[arg(long)]
        editorial: bool,
        /// With `--material`: how long people have to acknowledge before it takes effect (3d); at once if absent.
        #[arg(long, value_name = "TIME")]
        effective: Option<String>,
    },
    /// Acknowledge the current or coming version. M [E; R]
    Acknowledge {
        /// The room.
        room: String,
        /// The id of the agreement that I have read and accept; asked for if absent.
        #[arg(long, value_name = "AGREEMENT_ID")]
        acknowledge: Option<String>,
        /// Return after knocking, if I have to come back in.
        #[arg(long)]
        no_wait: bool,
    },
    /// Put a pending version into effect whose time has come; any command of a facilitator who acknowledged it does. F [E; R]
    Enact {
        /// The room.
        room: String,
    },
    /// Withdraw a pending version before it takes effect. F [E; R]
    Withdraw {
        /// The room.
        room: String,
    },
    /// Print a template to start from.
    Template,
}

/// `hearth profile ...`
#[derive(Debug, Subcommand)]
pub enum ProfileCommand {
    /// Print the profile's folder and its lock.
    Show,
    /// Change the passphrase, or the key file.
    Passphrase {
        /// Read the new passphrase from the first line of a file.
        #[arg(long, value_name = "FILE")]
        new_passphrase_file: Option<PathBuf>,
    },
    /// Check every record of the local store.
    Check,
    /// Erase the profile from this device. [C]
    Wipe {
        /// Do not ask; required without a terminal.
        #[arg(long)]
        yes: bool,
    },
}

/// What is done in a room, by command or with a slash in `chat`.
#[derive(Clone, Debug, Subcommand)]
pub enum InRoom {
    /// Say something. M [E; R]
    Send {
        /// The room.
        room: String,
        /// The words; from standard input if `-`.
        text: String,
    },
    /// Print messages that are new to this profile. M
    Read {
        /// The room.
        room: String,
        /// Print the whole history.
        #[arg(long)]
        all: bool,
        /// Also print posts that were held back during a pause.
        #[arg(long)]
        held: bool,
    },
    /// Print new messages as they come, until end of input or a signal. M
    Follow {
        /// The room.
        room: String,
    },
    /// List the members and verify every acknowledgement. M [E]
    Who {
        /// The room.
        room: String,
    },
    /// Print the room's state: rules in force, knocks, waiting messages. M
    Status {
        /// The room.
        room: String,
    },
    /// Print the log of moderation and verify its hash chain. M [E]
    Log {
        /// The room.
        room: String,
        /// Write it to a file.
        #[arg(long, value_name = "FILE")]
        export: Option<PathBuf>,
    },
    /// List the messages that wait in my outbox, or drop or send one. M
    Outbox {
        /// The room.
        room: String,
        /// Drop the waiting message of this id; `all`: every message that stays there.
        #[arg(long, value_name = "ID")]
        drop: Option<String>,
        /// Send the message of this id that stays there; `all`: every such message, in order.
        #[arg(long, value_name = "ID", conflicts_with = "drop")]
        send: Option<String>,
        /// Do not ask before `--send` of a message that may have been posted already; required without a terminal.
        #[arg(long, requires = "send")]
        yes: bool,
    },
    /// Make an invite link. F, CF [E pinned key; R uses and expiry]
    Invite {
        /// The room.
        room: String,
        /// How many people can knock with it.
        #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=INVITE_USES_MAX))]
        uses: u32,
        /// How long it is valid.
        #[arg(long, default_value = "7d", value_name = "TIME")]
        expires: String,
        /// The role that an admitted holder gets.
        #[arg(long, default_value = "member", ignore_case = true)]
        role: RoleArg,
        /// Also draw it as a QR code.
        #[arg(long)]
        qr: bool,
    },
    /// Void an invite. F, CF [R]
    Revoke {
        /// The room.
        room: String,
        /// The invite's link; asked for unseen if absent, from standard input if `-`.
        link: Option<String>,
    },
    /// List people who ask to be admitted, and verify each acknowledgement. F, CF [E]
    Knocks {
        /// The room.
        room: String,
    },
    /// Admit a person who has acknowledged. F, CF [E; R]
    Admit {
        /// The room.
        room: String,
        /// Name or id from `knocks`.
        member: String,
    },
    /// Decline a knock; only the knocker learns of it. F, CF [R]
    Decline {
        /// The room.
        room: String,
        /// Name or id from `knocks`.
        member: String,
        /// Words to the knocker.
        note: Option<String>,
    },
    /// Stop all posts but those of facilitators and co-facilitators, until a time. F, CF [E held by receivers; R]
    Pause {
        /// The room.
        room: String,
        /// How long (10m, 2 hours; ten minutes if absent), then words to the room.
        #[arg(num_args = 0.., value_name = "TIME WORDS")]
        args: Vec<String>,
        /// Do not ask before a pause of more than a week. hearth never asks where standard input is not a terminal.
        #[arg(long)]
        yes: bool,
    },
    /// End the pause early. F, CF [E; R]
    Resume {
        /// The room.
        room: String,
    },
    /// Stop a member's posts until a time; they can read. Only that member and moderators learn who and why. F, CF [R]
    Timeout {
        /// The room.
        room: String,
        /// Name or id.
        member: String,
        /// How long (30m, 2 hours), then words to the member.
        #[arg(num_args = 1.., required = true, value_name = "TIME WORDS")]
        args: Vec<String>,
        /// Do not ask before a time-out of more than a week. hearth never asks where standard input is not a terminal.
        #[arg(long)]
        yes: bool,
    },
    /// End a time-out early. F, CF [R]
    Untimeout {
        /// The room.
        room: String,
        /// Name or id.
        member: String,
    },
    /// Set the least time between two posts of a member (10m, off). F, CF [R; C countdown]
    Slow {
        /// The room.
        room: String,
        /// The time, or `off`.
        #[arg(num_args = 1.., required = true, value_name = "TIME")]
        time: Vec<String>,
    },
    /// Limit the posts of each member a day (20/day, off). F, CF [R; C]
    Budget {
        /// The room.
        room: String,
        /// The number, or `off`.
        #[arg(num_args = 1.., required = true, value_name = "NUMBER/day")]
        posts: Vec<String>,
    },
    /// Limit the characters of a message (1200, off). F, CF [R by size class; C exactly]
    Len {
        /// The room.
        room: String,
        /// The number, or `off`.
        chars: String,
    },
    /// Set the opening hours ("Mon-Fri 17:00-20:00 Europe/Paris", off). F, CF [R; C]
    Hours {
        /// The room.
        room: String,
        /// The hours, or `off`.
        hours: String,
    },
    /// Open the room whatever its hours say. F, CF [R; C]
    Open {
        /// The room.
        room: String,
        /// Go back to the hours.
        #[arg(long)]
        by_hours: bool,
    },
    /// Close the room to posts whatever its hours say. F, CF [R; C]
    Close {
        /// The room.
        room: String,
    },
    /// Admit nobody while it is on. F, CF [E; R]
    Lock {
        /// The room.
        room: String,
        /// On or off.
        #[arg(ignore_case = true)]
        switch: Switch,
    },
    /// Remove a member: the room gets new keys without them. Their device keeps what it has. F, CF [E; R; C past copies]
    Remove {
        /// The room.
        room: String,
        /// Name or id.
        member: String,
        /// Category for the log.
        #[arg(long, value_name = "CATEGORY", ignore_case = true)]
        reason: CategoryArg,
        /// Words to the room.
        #[arg(long, value_name = "TEXT")]
        goodbye: Option<String>,
        /// Do not ask first. hearth never asks where standard input is not a terminal.
        #[arg(long)]
        yes: bool,
    },
    /// Change a member's role. A room keeps one facilitator. F; CF between member and observer [E; R]
    Role {
        /// The room.
        room: String,
        /// Name or id.
        member: String,
        /// The role.
        #[arg(ignore_case = true)]
        role: RoleArg,
        /// Do not ask before I give up my own role. hearth never asks where standard input is not a terminal.
        #[arg(long)]
        yes: bool,
    },
    /// Say something marked as from the facilitators. F, CF [E]
    Announce {
        /// The room.
        room: String,
        /// The words.
        text: String,
    },
    /// Keep a message at the top. F, CF [E]
    Pin {
        /// The room.
        room: String,
        /// The message's id, or its number.
        id: String,
    },
    /// Keep a message at the top no longer. F, CF [E]
    Unpin {
        /// The room.
        room: String,
        /// The message's id, or its number.
        id: String,
    },
    /// Leave a mark in a message's place; the relay deletes the ciphertext. Own: M, any: F, CF [R; C devices]
    Retract {
        /// The room.
        room: String,
        /// The message's id, or its number.
        #[arg(required_unless_present = "all_from")]
        id: Option<String>,
        /// Category for the log, where it is another's message.
        #[arg(long, value_name = "CATEGORY", default_value = "unspecified", ignore_case = true)]
        reason: CategoryArg,
        /// Retract every message of a member.
        #[arg(long, value_name = "MEMBER", conflicts_with = "id")]
        all_from: Option<String>,
        /// Do not ask before `--all-from`. hearth never asks where standard input is not a terminal.
        #[arg(long)]
        yes: bool,
    },
    /// Do not show a member's messages on this device; nobody is told. M [C local]
    Mute {
        /// The room.
        room: String,
        /// Name or id.
        member: String,
    },
    /// Show a member's messages on this device again. M [C local]
    Unmute {
        /// The room.
        room: String,
        /// Name or id.
        member: String,
    },
    /// Put the relay's rules, roles, roster and time-outs back to what the room's log says. F [E; R]
    RestoreRules {
        /// The room.
        room: String,
    },
    /// Give all members new keys; the roster stays. F, CF [E]
    Rekey {
        /// The room.
        room: String,
    },
    /// Leave the room. The duty about what I heard goes on. M [E; R]
    Leave {
        /// The room.
        room: String,
        /// Words to the room.
        goodbye: Option<String>,
        /// Do not ask first. hearth never asks where standard input is not a terminal.
        #[arg(long)]
        yes: bool,
    },
    /// Withdraw my acknowledgement and leave. The earlier proof stays valid. M [E; R]
    Withdraw {
        /// The room.
        room: String,
        /// Words to the room.
        goodbye: Option<String>,
        /// Do not ask first. hearth never asks where standard input is not a terminal.
        #[arg(long)]
        yes: bool,
    },
    /// Set how long the relay and members keep messages (30d). F [R; C]
    Expire {
        /// The room.
        room: String,
        /// The time.
        #[arg(num_args = 1.., required = true, value_name = "TIME")]
        time: Vec<String>,
        /// Do not ask first. hearth never asks where standard input is not a terminal.
        #[arg(long)]
        yes: bool,
    },
    /// Go on after a restored backup or a split of the room; take back a room that went on without you (facilitators). M
    Recover {
        /// The room.
        room: String,
        /// Do not ask; required without a terminal.
        #[arg(long)]
        yes: bool,
    },
    /// Print digits to compare by voice: with a member, or for the whole room. M [E]
    Verify {
        /// The room.
        room: String,
        /// Name or id; the room's digits if absent.
        member: Option<String>,
    },
}

/// Roles by the words people type.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum RoleArg {
    /// Holds the room; appoints others.
    Facilitator,
    /// Holds the room.
    Cofacilitator,
    /// Takes part.
    Member,
    /// Reads only.
    Observer,
}

/// Categories by the words people type.
#[derive(Clone, Copy, Debug, ValueEnum)]
#[allow(missing_docs, reason = "the words say it")]
pub enum CategoryArg {
    Unspecified,
    Confidentiality,
    Conduct,
    Safety,
    Discharge,
    Request,
}

/// On or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// On.
    On,
    /// Off.
    Off,
}

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
}

const fn entry(
    name: &'static str,
    who: Who,
    topic: Topic,
    [takes, example]: [&'static str; 2],
    does: &'static str,
) -> Entry {
    Entry { name, who, topic: Some(topic), takes, example, does }
}

/// Every room command: who may use it, and how `chat` lists it.
pub const ROOM_COMMANDS: [Entry; 38] = {
    use Topic as T;
    use Who as W;
    const NONE: [&str; 2] = ["", ""];
    [
        entry("send", W::Members, T::Talking, ["WORDS", "Hello, everybody"], "say something"),
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
        ),
        entry(
            "read",
            W::Members,
            T::Looking,
            ["[--all] [--held]", "--all"],
            "read what is new, or everything",
        ),
        entry("who", W::Members, T::Looking, NONE, "list the members"),
        entry("status", W::Members, T::Looking, NONE, "show the rules in force"),
        entry(
            "log",
            W::Members,
            T::Looking,
            ["[--export FILE]", "--export log.txt"],
            "list what facilitators did",
        ),
        entry(
            "verify",
            W::Members,
            T::Looking,
            ["[NAME]", "Ben"],
            "show digits to compare by voice",
        ),
        entry("mute", W::Members, T::Looking, ["NAME", "Ben"], "hide a member's words here"),
        entry("unmute", W::Members, T::Looking, ["NAME", "Ben"], "show a member's words again"),
        entry(
            "invite",
            W::Moderators,
            T::Door,
            ["[--uses N] [--expires TIME] [--role ROLE] [--qr]", "--uses 3 --expires 2d"],
            "make an invite link",
        ),
        entry("revoke", W::Moderators, T::Door, ["LINK", "hearth://..."], "void an invite link"),
        entry("knocks", W::Moderators, T::Door, NONE, "list people who ask to come in"),
        entry("admit", W::Moderators, T::Door, ["NAME", "Ben"], "let somebody in"),
        entry(
            "decline",
            W::Moderators,
            T::Door,
            ["NAME [WORDS]", "Ben Please call me first"],
            "decline a knock; only the knocker learns of it",
        ),
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
        ),
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
        ),
        entry("untimeout", W::Moderators, T::Members, ["NAME", "Ben"], "end a time-out early"),
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
        Entry {
            name: "follow",
            who: W::Members,
            topic: None,
            takes: "",
            example: "",
            does: "print what is new and what comes",
        },
        Entry {
            name: "recover",
            who: W::Members,
            topic: None,
            takes: "",
            example: "",
            does: "go on after a restored backup or a split",
        },
    ]
};

impl Command {
    /// Returns the room that the command names.
    pub fn room(&self) -> Option<&str> {
        match self {
            Self::In(command) => Some(command.room()),
            Self::Chat { room, .. } | Self::Steward { room, .. } => Some(room),
            Self::Receipt { room, file: None } => Some(room),
            Self::Room(RoomCommand::Rename { room, .. } | RoomCommand::Wipe { room, .. }) => {
                Some(room)
            }
            Self::Agreement(command) => command.room(),
            _ => None,
        }
    }
}

impl AgreementCommand {
    fn room(&self) -> Option<&str> {
        match self {
            Self::Diff { room }
            | Self::Amend { room, .. }
            | Self::Acknowledge { room, .. }
            | Self::Enact { room }
            | Self::Withdraw { room } => Some(room),
            Self::Show { target } => target.as_deref(),
            Self::Template => None,
        }
    }
}

impl InRoom {
    /// Whether the command line agrees to whatever there is to ask.
    pub const fn is_agreed(&self) -> bool {
        match self {
            Self::Leave { yes, .. }
            | Self::Withdraw { yes, .. }
            | Self::Retract { yes, .. }
            | Self::Remove { yes, .. }
            | Self::Expire { yes, .. }
            | Self::Pause { yes, .. }
            | Self::Timeout { yes, .. }
            | Self::Outbox { yes, .. }
            | Self::Role { yes, .. }
            | Self::Recover { yes, .. } => *yes,
            _ => false,
        }
    }

    /// Returns who may use the command, whatever it is used on.
    pub const fn who(&self) -> Who {
        match self {
            Self::Send { .. }
            | Self::Read { .. }
            | Self::Follow { .. }
            | Self::Who { .. }
            | Self::Status { .. }
            | Self::Log { .. }
            | Self::Outbox { .. }
            | Self::Retract { .. }
            | Self::Mute { .. }
            | Self::Unmute { .. }
            | Self::Leave { .. }
            | Self::Withdraw { .. }
            | Self::Recover { .. }
            | Self::Verify { .. } => Who::Members,
            Self::Invite { .. }
            | Self::Revoke { .. }
            | Self::Knocks { .. }
            | Self::Admit { .. }
            | Self::Decline { .. }
            | Self::Pause { .. }
            | Self::Resume { .. }
            | Self::Timeout { .. }
            | Self::Untimeout { .. }
            | Self::Slow { .. }
            | Self::Budget { .. }
            | Self::Len { .. }
            | Self::Hours { .. }
            | Self::Open { .. }
            | Self::Close { .. }
            | Self::Lock { .. }
            | Self::Remove { .. }
            | Self::Role { .. }
            | Self::Announce { .. }
            | Self::Pin { .. }
            | Self::Unpin { .. }
            | Self::Rekey { .. } => Who::Moderators,
            Self::RestoreRules { .. } | Self::Expire { .. } => Who::Facilitators,
        }
    }

    /// Returns the room that the command names.
    pub fn room(&self) -> &str {
        match self {
            Self::Send { room, .. }
            | Self::Read { room, .. }
            | Self::Follow { room }
            | Self::Who { room }
            | Self::Status { room }
            | Self::Log { room, .. }
            | Self::Outbox { room, .. }
            | Self::Invite { room, .. }
            | Self::Revoke { room, .. }
            | Self::Knocks { room }
            | Self::Admit { room, .. }
            | Self::Decline { room, .. }
            | Self::Pause { room, .. }
            | Self::Resume { room }
            | Self::Timeout { room, .. }
            | Self::Untimeout { room, .. }
            | Self::Slow { room, .. }
            | Self::Budget { room, .. }
            | Self::Len { room, .. }
            | Self::Hours { room, .. }
            | Self::Open { room, .. }
            | Self::Close { room }
            | Self::Lock { room, .. }
            | Self::Remove { room, .. }
            | Self::Role { room, .. }
            | Self::Announce { room, .. }
            | Self::Pin { room, .. }
            | Self::Unpin { room, .. }
            | Self::Retract { room, .. }
            | Self::Mute { room, .. }
            | Self::Unmute { room, .. }
            | Self::RestoreRules { room }
            | Self::Rekey { room }
            | Self::Leave { room, .. }
            | Self::Withdraw { room, .. }
            | Self::Expire { room, .. }
            | Self::Recover { room, .. }
            | Self::Verify { room, .. } => room,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn time_behind_flag_needs_no_quotes() {
        for (line, expected) in [
            ("invite room --expires 2 days", "invite|room|--expires|2 days"),
            ("invite --expires 2 days room", "invite|--expires|2 days|room"),
            ("invite room --expires=2 days --uses 3", "invite|room|--expires|2 days|--uses|3"),
            ("invite --expires=2d room", "invite|--expires=2d|room"),
            ("invite --expires 2d room", "invite|--expires|2d|room"),
            (
                "invite room --expires 1 hour and 30 minutes --uses 2",
                "invite|room|--expires|1 hour and 30 minutes|--uses|2",
            ),
            ("invite room --expires 2 Stunden", "invite|room|--expires|2|Stunden"),
            (
                "agreement amend room file --material --effective 3 days",
                "agreement|amend|room|file|--material|--effective|3 days",
            ),
            ("chat room --lock-after half an hour", "chat|room|--lock-after|half an hour"),
            ("send -- --expires 2 days", "send|--|--expires|2|days"),
            ("invite room --expires", "invite|room|--expires"),
        ] {
            let joined = with_joined_times(line.split(' '));
            let joined: Vec<&str> = joined.iter().map(|word| word.to_str().unwrap()).collect();
            assert_eq!(joined.join("|"), expected);
        }
    }
}
