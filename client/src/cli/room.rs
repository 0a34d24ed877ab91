//! Commands in a room, as they are typed: on the command line, and with a slash in a chat.
//!
//! A command is a variant here, a row of the table, and an arm of `commands::shell`, which says what is asked of the room.

#![allow(rustdoc::broken_intra_doc_links, reason = "[E], [R] and [C] are words of the help")]

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};

use super::{
    INVITE_USES_MAX,
    table::{Entry, entry_of},
};

/// What is done in a room, by command or with a slash in `chat`.
#[derive(Clone, Debug, Subcommand, Serialize, Deserialize)]
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

/// On or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
pub enum Switch {
    /// On.
    On,
    /// Off.
    Off,
}

impl InRoom {
    /// Returns the command's word, the room that it names, and whether the command line agrees to whatever there is to ask.
    fn parts(&self) -> (&'static str, &str, bool) {
        match self {
            Self::Send { room, .. } => ("send", room, false),
            Self::Read { room, .. } => ("read", room, false),
            Self::Follow { room } => ("follow", room, false),
            Self::Who { room } => ("who", room, false),
            Self::Status { room } => ("status", room, false),
            Self::Log { room, .. } => ("log", room, false),
            Self::Outbox { room, yes, .. } => ("outbox", room, *yes),
            Self::Invite { room, .. } => ("invite", room, false),
            Self::Revoke { room, .. } => ("revoke", room, false),
            Self::Knocks { room } => ("knocks", room, false),
            Self::Admit { room, .. } => ("admit", room, false),
            Self::Decline { room, .. } => ("decline", room, false),
            Self::Pause { room, yes, .. } => ("pause", room, *yes),
            Self::Resume { room } => ("resume", room, false),
            Self::Timeout { room, yes, .. } => ("timeout", room, *yes),
            Self::Untimeout { room, .. } => ("untimeout", room, false),
            Self::Slow { room, .. } => ("slow", room, false),
            Self::Budget { room, .. } => ("budget", room, false),
            Self::Len { room, .. } => ("len", room, false),
            Self::Hours { room, .. } => ("hours", room, false),
            Self::Open { room, .. } => ("open", room, false),
            Self::Close { room } => ("close", room, false),
            Self::Lock { room, .. } => ("lock", room, false),
            Self::Remove { room, yes, .. } => ("remove", room, *yes),
            Self::Role { room, yes, .. } => ("role", room, *yes),
            Self::Announce { room, .. } => ("announce", room, false),
            Self::Pin { room, .. } => ("pin", room, false),
            Self::Unpin { room, .. } => ("unpin", room, false),
            Self::Retract { room, yes, .. } => ("retract", room, *yes),
            Self::Mute { room, .. } => ("mute", room, false),
            Self::Unmute { room, .. } => ("unmute", room, false),
            Self::RestoreRules { room } => ("restore-rules", room, false),
            Self::Rekey { room } => ("rekey", room, false),
            Self::Leave { room, yes, .. } => ("leave", room, *yes),
            Self::Withdraw { room, yes, .. } => ("withdraw", room, *yes),
            Self::Expire { room, yes, .. } => ("expire", room, *yes),
            Self::Recover { room, yes } => ("recover", room, *yes),
            Self::Verify { room, .. } => ("verify", room, false),
        }
    }

    /// Returns the command's row.
    pub fn entry(&self) -> &'static Entry {
        entry_of(self.parts().0)
    }

    /// Returns the room that the command names.
    pub fn room(&self) -> &str {
        self.parts().1
    }

    /// Whether the command line agrees to whatever there is to ask.
    pub fn is_agreed(&self) -> bool {
        self.parts().2
    }
}
