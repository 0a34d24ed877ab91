//! The command line: every command with its help, and in the help who may use it and who enforces it.
//!
//! `hearth chat` parses its slash commands with the same table, so that there is one vocabulary.

#![allow(rustdoc::broken_intra_doc_links, reason = "[E], [R] and [C] are words of the help")]

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use hearth_protocol::Role;

/// How the enforcement classes in the help are meant.
const ENFORCEMENT: &str = "\
In the help of each command:
  F facilitator, CF co-facilitator, M member: who may use it.
  [E] end to end: honest members verify it and refuse, even against a hostile relay.
  [R] relay: the relay refuses; holds against a modified client, not against a hostile relay.
  [C] cooperative: depends on the other person's device.

Exit codes: 0 done, 1 failed, 2 usage, 3 refused by a rule, 4 relay unreachable, 5 verification failed.";

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
    /// Give an invite back unused, so that nobody can use it. [R]
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
        /// End when nobody has typed for so long, so that an unwatched screen does not go on showing the room.
        #[arg(long, default_value = "30m", value_name = "TIME")]
        lock_after: String,
        /// Show the room on a screen of its own, which is gone at the end, with all words: for a computer that others use.
        #[arg(long)]
        alternate_screen: bool,
    },
    /// Admit whoever has acknowledged, without anybody watching, until stopped. F, CF [E; R]
    Steward {
        /// The room.
        room: String,
        /// Admit only these names (may be given more than once); anybody with a good invite if absent.
        #[arg(long, value_name = "NAME")]
        only: Vec<String>,
        /// Stop after so many admissions.
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
    /// Everything that is done in a room.
    #[command(flatten)]
    In(InRoom),
}

/// `hearth room ...`
#[derive(Debug, Subcommand)]
pub enum RoomCommand {
    /// Open a room with a grant from the relay's operator. Prints the room's local name.
    Create {
        /// What the room is called.
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
    /// Change the name by which commands call a room.
    Rename {
        /// The room.
        room: String,
        /// The new local name.
        name: String,
    },
    /// Erase everything of a room from this device. It does not leave the room. [C]
    Wipe {
        /// The room.
        room: String,
        /// Needed where nobody can be asked.
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
    /// Issue a new version. Material: those who do not acknowledge it are out of the next epoch until they do. F [E; R]
    Amend {
        /// The room.
        room: String,
        /// The new text.
        file: PathBuf,
        /// Everyone acknowledges anew.
        #[arg(long, required_unless_present = "editorial", conflicts_with = "editorial")]
        material: bool,
        /// Wording only; nothing is blocked.
        #[arg(long)]
        editorial: bool,
        /// Material: how long people have to acknowledge before it takes effect (3d); at once if absent.
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
    /// Put a pending version into effect whose time has come; any command of a facilitator does. F [E; R]
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
    /// Where it is and how it is unlocked.
    Show,
    /// Change the passphrase, or the key file.
    Passphrase {
        /// Read the new passphrase from the first line of a file.
        #[arg(long, value_name = "FILE")]
        new_passphrase_file: Option<PathBuf>,
    },
    /// Check every record of the local store.
    Check,
    /// Erase everything of this profile from this device. [C]
    Wipe {
        /// Needed where nobody can be asked.
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
    /// Print what is new. M
    Read {
        /// The room.
        room: String,
        /// Print the whole history.
        #[arg(long)]
        all: bool,
        /// Print posts, too, that were held back during a pause.
        #[arg(long)]
        held: bool,
    },
    /// Print what is new, and what comes, until end of input or a signal. M
    Follow {
        /// The room.
        room: String,
    },
    /// List the members; every acknowledgement is verified. M [E]
    Who {
        /// The room.
        room: String,
    },
    /// Print the room's state: rules in force, knocks, what waits in the outbox. M
    Status {
        /// The room.
        room: String,
    },
    /// Print the log of moderation, with its hash chain verified. M [E]
    Log {
        /// The room.
        room: String,
        /// Write it to a file.
        #[arg(long, value_name = "FILE")]
        export: Option<PathBuf>,
    },
    /// List what waits in my outbox, or drop or send something of it. M
    Outbox {
        /// The room.
        room: String,
        /// Drop the waiting message of this id.
        #[arg(long, value_name = "ID")]
        drop: Option<String>,
        /// Send the message of this id that stays there.
        #[arg(long, value_name = "ID", conflicts_with = "drop")]
        send: Option<String>,
    },
    /// Make an invite link. F, CF [E pinned key; R uses and expiry]
    Invite {
        /// The room.
        room: String,
        /// Knocks it is good for.
        #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
        uses: u32,
        /// End of validity.
        #[arg(long, default_value = "7d", value_name = "TIME")]
        expires: String,
        /// The role its holder is admitted to.
        #[arg(long, default_value = "member")]
        role: RoleArg,
        /// Draw it as a QR code, too.
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
    /// List who asks to be admitted; each acknowledgement is verified. F, CF [E]
    Knocks {
        /// The room.
        room: String,
    },
    /// Admit somebody who has acknowledged. F, CF [E; R]
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
    /// Nobody but facilitators and co-facilitators posts, for a time; it ends by itself. F, CF [E held by receivers; R]
    Pause {
        /// The room.
        room: String,
        /// How long (10m, 2 hours; ten minutes if absent), then words to the room.
        #[arg(num_args = 0.., value_name = "TIME WORDS")]
        args: Vec<String>,
    },
    /// End the pause early. F, CF [E; R]
    Resume {
        /// The room.
        room: String,
    },
    /// A member reads, but does not post, for a time. Only that member learns who and why. F, CF [R]
    Timeout {
        /// The room.
        room: String,
        /// Name or id.
        member: String,
        /// How long (30m, 2 hours), then words to the member.
        #[arg(num_args = 1.., required = true, value_name = "TIME WORDS")]
        args: Vec<String>,
    },
    /// End a time-out early. F, CF [R]
    Untimeout {
        /// The room.
        room: String,
        /// Name or id.
        member: String,
    },
    /// Least time between two posts of one member (10m, off). F, CF [R; C countdown]
    Slow {
        /// The room.
        room: String,
        /// The time, or `off`.
        #[arg(num_args = 1.., required = true, value_name = "TIME")]
        time: Vec<String>,
    },
    /// Posts of one member a day (20/day, off). F, CF [R; C]
    Budget {
        /// The room.
        room: String,
        /// The number, or `off`.
        #[arg(num_args = 1.., required = true, value_name = "NUMBER/day")]
        posts: Vec<String>,
    },
    /// Characters of one message (1200, off). F, CF [R by size class; C exactly]
    Len {
        /// The room.
        room: String,
        /// The number, or `off`.
        chars: String,
    },
    /// Opening hours ("Mon-Fri 17:00-20:00 Europe/Paris", off). F, CF [R; C]
    Hours {
        /// The room.
        room: String,
        /// The hours, or `off`.
        hours: String,
    },
    /// Open the room whatever the hours say. F, CF [R; C]
    Open {
        /// The room.
        room: String,
        /// Back to the hours.
        #[arg(long)]
        by_hours: bool,
    },
    /// Close the room to posts whatever the hours say. F, CF [R; C]
    Close {
        /// The room.
        room: String,
    },
    /// Admit nobody while on. F, CF [E; R]
    Lock {
        /// The room.
        room: String,
        /// On or off.
        switch: Switch,
    },
    /// Take a member out: new keys without them. What their device kept stays there. F, CF [E; R; C past copies]
    Remove {
        /// The room.
        room: String,
        /// Name or id.
        member: String,
        /// Category for the log.
        #[arg(long, value_name = "CATEGORY")]
        reason: CategoryArg,
        /// Words to the room.
        #[arg(long, value_name = "TEXT")]
        goodbye: Option<String>,
    },
    /// Change a role, from then on. The last facilitator stays. F; CF between member and observer [E; R]
    Role {
        /// The room.
        room: String,
        /// Name or id.
        member: String,
        /// The role.
        role: RoleArg,
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
    /// No longer keep it there. F, CF [E]
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
        #[arg(long, value_name = "CATEGORY", default_value = "unspecified")]
        reason: CategoryArg,
        /// Retract every message of a member.
        #[arg(long, value_name = "MEMBER", conflicts_with = "id")]
        all_from: Option<String>,
        /// Do not ask before `--all-from`. A program that nobody can be asked through is never asked.
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
    /// Show them again. M [C local]
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
    /// New keys, same roster. F, CF [E]
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
        /// Do not ask before. A program that nobody can be asked through is never asked.
        #[arg(long)]
        yes: bool,
    },
    /// Withdraw my acknowledgement and leave. The earlier proof stays valid. M [E; R]
    Withdraw {
        /// The room.
        room: String,
        /// Words to the room.
        goodbye: Option<String>,
        /// Do not ask before. A program that nobody can be asked through is never asked.
        #[arg(long)]
        yes: bool,
    },
    /// How long the relay and members keep messages (30d). F [R; C]
    Expire {
        /// The room.
        room: String,
        /// The time.
        #[arg(num_args = 1.., required = true, value_name = "TIME")]
        time: Vec<String>,
    },
    /// Go on after a restored backup or a split of the room; take back a room that went on without you (facilitators). M
    Recover {
        /// The room.
        room: String,
        /// Needed where nobody can be asked.
        #[arg(long)]
        yes: bool,
    },
    /// Codes to compare out of band: with a member, or for the whole epoch. M [E]
    Verify {
        /// The room.
        room: String,
        /// Name or id; the epoch's safety code if absent.
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
    /// What it does, in a few words.
    pub does: &'static str,
}

const fn entry(
    name: &'static str,
    who: Who,
    topic: Topic,
    takes: &'static str,
    does: &'static str,
) -> Entry {
    Entry { name, who, topic: Some(topic), takes, does }
}

/// Every room command: who may use it, and how `chat` lists it.
pub const ROOM_COMMANDS: [Entry; 38] = {
    use Topic as T;
    use Who as W;
    [
        entry("send", W::Members, T::Talking, "WORDS", "say something"),
        entry("announce", W::Moderators, T::Talking, "WORDS", "say it as from the facilitators"),
        entry(
            "retract",
            W::Members,
            T::Talking,
            "ID | --all-from NAME [--reason CATEGORY]",
            "take a message back; facilitators: anybody's",
        ),
        entry("outbox", W::Members, T::Talking, "[--drop ID] [--send ID]", "what waits to be sent"),
        entry("read", W::Members, T::Looking, "[--all] [--held]", "what is new, or everything"),
        entry("who", W::Members, T::Looking, "", "who is here"),
        entry("status", W::Members, T::Looking, "", "the rules in force, and yours"),
        entry("log", W::Members, T::Looking, "[--export FILE]", "what facilitators did"),
        entry("verify", W::Members, T::Looking, "[NAME]", "digits to compare by voice"),
        entry("mute", W::Members, T::Looking, "NAME", "hide somebody's words here"),
        entry("unmute", W::Members, T::Looking, "NAME", "show them again"),
        entry(
            "invite",
            W::Moderators,
            T::Door,
            "[--uses N] [--expires TIME] [--role ROLE] [--qr]",
            "make a link",
        ),
        entry("revoke", W::Moderators, T::Door, "LINK", "void a link"),
        entry("knocks", W::Moderators, T::Door, "", "who asks to come in"),
        entry("admit", W::Moderators, T::Door, "NAME", "let somebody in"),
        entry("decline", W::Moderators, T::Door, "NAME [WORDS]", "do not; only they learn of it"),
        entry("lock", W::Moderators, T::Door, "on|off", "let nobody in for now"),
        entry("pause", W::Moderators, T::Calm, "[TIME] [WORDS]", "stop everybody for a moment"),
        entry("resume", W::Moderators, T::Calm, "", "go on"),
        entry("slow", W::Moderators, T::Calm, "TIME|off", "least time between two posts"),
        entry("budget", W::Moderators, T::Calm, "N/day|off", "posts a day for each"),
        entry("len", W::Moderators, T::Calm, "N|off", "longest message, in characters"),
        entry("hours", W::Moderators, T::Calm, "HOURS|off", "opening hours"),
        entry("open", W::Moderators, T::Calm, "[--by-hours]", "open against the hours"),
        entry("close", W::Moderators, T::Calm, "", "close against the hours"),
        entry("pin", W::Moderators, T::Calm, "ID", "keep a message at the top"),
        entry("unpin", W::Moderators, T::Calm, "ID", "keep it there no longer"),
        entry("rekey", W::Moderators, T::Calm, "", "new keys for everybody"),
        entry("restore-rules", W::Facilitators, T::Calm, "", "make the relay do what the log says"),
        entry("expire", W::Facilitators, T::Calm, "TIME", "how long messages are kept"),
        entry("timeout", W::Moderators, T::Members, "NAME TIME [WORDS]", "let somebody rest"),
        entry("untimeout", W::Moderators, T::Members, "NAME", "end that early"),
        entry("role", W::Moderators, T::Members, "NAME ROLE", "change somebody's role"),
        entry(
            "remove",
            W::Moderators,
            T::Members,
            "NAME --reason CATEGORY [--goodbye WORDS]",
            "take somebody out",
        ),
        entry("leave", W::Members, T::Going, "[WORDS]", "leave the room for good"),
        entry("withdraw", W::Members, T::Going, "[WORDS]", "leave, and take back your signature"),
        Entry {
            name: "follow",
            who: W::Members,
            topic: None,
            takes: "",
            does: "print what is new and what comes",
        },
        Entry {
            name: "recover",
            who: W::Members,
            topic: None,
            takes: "",
            does: "go on after a restored backup or a split",
        },
    ]
};

impl InRoom {
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
}
