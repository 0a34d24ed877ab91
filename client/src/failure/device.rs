//! What this device refuses: the profile, its store, files and links.

use std::io;

use hearth_console::line::AskError;
use hearth_engine::{
    profile::{ProfileError, ProfileFile},
    store::StoreError,
};
use hearth_protocol::invite::LinkError;
use hearth_session::{client, connection::network_words};
use hearth_text::{
    escape::{TextError, one_line},
    name::NameError,
};

use super::{Failure, clock_wrong, exit, text_missing};
use crate::show::{self, OutputLost};

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::from(&error)
    }
}

impl From<&StoreError> for Failure {
    fn from(error: &StoreError) -> Self {
        let profile = match error {
            StoreError::Damaged(_) | StoreError::DamagedFile(_) => {
                ProfileError::Damaged(ProfileFile::Database)
            }
            StoreError::WentBack => ProfileError::WentBack,
            StoreError::NewerVersion(version) => ProfileError::NewerVersion(*version),
            StoreError::OlderVersion(version) => ProfileError::OlderVersion(*version),
            StoreError::ReadOnly(_) => ProfileError::ReadOnly,
            StoreError::DiskFull(_) => ProfileError::DiskFull,
            StoreError::Randomness => ProfileError::Randomness,
            StoreError::DiskFailed(_) => {
                return Self::new(exit::FAILED, "disk_failed", error.to_string(), DISK_FAILED);
            }
            StoreError::OldSqlite(_) | StoreError::Nested | StoreError::Sqlite(_) => {
                return Self::new(exit::FAILED, "profile", error.to_string(), PROFILE_FAILED);
            }
        };
        profile.into()
    }
}

/// Advice where a disk fails.
pub(super) const DISK_FAILED: &str =
    "Check the disk. Look at the room and your outbox before you repeat what you did.";
/// Advice where nothing better is known.
pub(super) const PROFILE_FAILED: &str = "Check the folder given with --home; nothing was changed.";

impl From<client::AskError> for Failure {
    fn from(error: client::AskError) -> Self {
        use client::AskError as Ask;
        let message = error.to_string();
        match error {
            Ask::Form(_) => Self::new(
                exit::USAGE,
                "bad_exercise",
                message,
                "Nothing was done. Mend that line; docs/exercises.md shows a whole example.",
            ),
            Ask::NeedsConsent(_) => Self::usage(message, "Repeat it with --yes."),
            Ask::Text(error) => error.into(),
            Ask::Unreachable(error) | Ask::Live(error) => Self::from(&*error),
            Ask::Knock(error) => Self::from(&*error),
            Ask::Held(error) => {
                let mut failure = Self::from(&*error);
                failure.kept = true;
                failure.advice.push_str(" Your words stay in your outbox: `hearth outbox ROOM`.");
                failure
            }
            Ask::ModeratorTimeOut => Self::new(
                exit::REFUSED,
                "is_facilitator",
                message,
                "Change the role first: `hearth role ROOM NAME member`.",
            ),
            Ask::IsYou => {
                Self::new(exit::REFUSED, "is_you", message, "You leave with `hearth leave ROOM`.")
            }
            Ask::NobodyElse => Self::new(
                exit::REFUSED,
                "nobody_else",
                message,
                "Nobody was told. The numbers still answer: `hearth help-now`.",
            ),
            Ask::NoSuchCall(wanted) => Self::new(
                exit::USAGE,
                "no_such_call",
                format!("no open call for help begins with \"{}\"", one_line(&wanted)),
                "`hearth flags ROOM` lists those that are open.",
            ),
            Ask::NoTimeOut(name) => Self::new(
                exit::REFUSED,
                "nothing_to_change",
                format!("{} has no break", one_line(&name)),
                "`hearth status ROOM` shows who has one.",
            ),
            Ask::NeedsWords => Self::new(
                exit::USAGE,
                "needs_words",
                message,
                "Nothing was done. `hearth help COMMAND` shows where they stand.",
            ),
            Ask::PauseTooLong => Self::new(
                exit::REFUSED,
                "out_of_range",
                message,
                "Nothing was done. `hearth pause ROOM 20m WORDS` pauses for 20 minutes; `hearth close ROOM` closes the room until you open it.",
            ),
            Ask::BreakTooLong => Self::new(
                exit::REFUSED,
                "out_of_range",
                message,
                "Nothing was done. `hearth break ROOM NAME 1h WORDS` gives a break of an hour.",
            ),
            Ask::NoSuchKnock => Self::new(
                exit::USAGE,
                "no_such_knock",
                message,
                "`hearth knocks ROOM` lists who knocks.",
            ),
            Ask::UnderWay(_) => Self::new(
                exit::REFUSED,
                "under_way",
                message,
                "`hearth read ROOM` shows whether it is; `hearth retract ROOM ID` takes it back there.",
            ),
            Ask::AmendmentPending => Self::new(
                exit::REFUSED,
                "amendment_pending",
                message,
                "Wait until it takes effect, or withdraw it first: `hearth agreement withdraw ROOM`.",
            ),
            Ask::NotYet(effective) => Self::new(
                exit::REFUSED,
                "not_yet",
                format!("people have until {} to acknowledge", show::clock(effective)),
                "It takes effect by itself then; a new amendment can set another time.",
            ),
            Ask::Unsigned(_) => Self::new(
                exit::REFUSED,
                "not_acknowledged",
                message,
                "Read it with `hearth agreement show ROOM`, then `hearth agreement acknowledge ROOM`.",
            ),
            Ask::NoText(standing) => text_missing(&standing),
            Ask::ClockWrong(moment) => {
                clock_wrong(moment, "Set the clock, then repeat the command.")
            }
            Ask::Busy => Self::new(
                exit::FAILED,
                "busy",
                message,
                "Repeat the command in a moment; this one was not done.",
            ),
            Ask::Closed => Self::new(
                exit::FAILED,
                "closed",
                message,
                "Start hearth again; what you wrote is kept.",
            ),
        }
    }
}

impl From<LinkError> for Failure {
    fn from(error: LinkError) -> Self {
        let (code, advice) = match error {
            LinkError::Damaged => (
                "invite_damaged",
                "Copy the whole link again, from hearth:// to its end, exactly as it was sent.",
            ),
            LinkError::OtherKind => (
                "invite_other",
                "`hearth join` takes an invite, `hearth room create TITLE --grant --agreement FILE --as NAME` takes a grant.",
            ),
            LinkError::NewerVersion => ("invite_newer", "Update hearth."),
            LinkError::OlderVersion => ("invite_older", "Ask your facilitator for a new link."),
            _ => ("invite_invalid", "A link begins with hearth:// ; ask your facilitator for it."),
        };
        Self::new(exit::REFUSED, code, error.to_string(), advice)
    }
}

impl From<NameError> for Failure {
    fn from(error: NameError) -> Self {
        Self::usage(error.to_string(), "Choose another name with --as.")
    }
}

impl From<TextError> for Failure {
    fn from(error: TextError) -> Self {
        Self::new(
            exit::USAGE,
            "bad_text",
            error.to_string(),
            "Nothing was sent; write it again without that.",
        )
    }
}

impl From<AskError> for Failure {
    fn from(error: AskError) -> Self {
        Self::usage(
            error.to_string(),
            "Nothing was done; run it in a terminal, or give the answer as a flag or file.",
        )
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.get_ref().is_some_and(|inner| inner.is::<OutputLost>()) {
            return Self::new(
                exit::FAILED,
                "output_lost",
                error.to_string(),
                "What was asked for is done as far as it does not print; do not send it again.",
            );
        }
        let message = io_words(&error);
        Self::new(exit::FAILED, "io", message, "Check the file, the disk and permissions.")
    }
}

/// Says what is wrong with a file or a disk, without the operating system's numbers.
pub(crate) fn io_words(error: &io::Error) -> String {
    use io::ErrorKind as Kind;
    let words = match error.kind() {
        Kind::NotFound => "there is no such file or folder",
        Kind::PermissionDenied => "this account may not use it",
        Kind::IsADirectory => "it is a folder",
        Kind::NotADirectory => "a part of its path is not a folder",
        Kind::AlreadyExists => "it is there already",
        Kind::StorageFull | Kind::QuotaExceeded => "no space is left",
        Kind::ReadOnlyFilesystem => "the disk is read-only",
        Kind::InvalidData => "it is not UTF-8 text",
        Kind::BrokenPipe => "nobody reads it any more",
        Kind::UnexpectedEof => "it ends too early",
        kind @ (Kind::ConnectionRefused | Kind::ConnectionReset | Kind::TimedOut) => {
            network_words(kind)
        }
        // What has no number is said by ourselves or a library.
        _ if error.raw_os_error().is_none() && error.get_ref().is_some() => {
            return one_line(&error.to_string());
        }
        _ => "the disk or device failed",
    };
    words.to_owned()
}

impl From<ProfileError> for Failure {
    fn from(error: ProfileError) -> Self {
        let (code, advice) = match &error {
            ProfileError::InUse => (
                "profile_in_use",
                "Nothing was done, and nothing was kept. Close the other hearth (a chat, follow or steward), or use its window.",
            ),
            ProfileError::PassphraseNeeded => {
                ("passphrase_needed", "Give it with --passphrase-file, or run from a terminal.")
            }
            ProfileError::WrongPassphrase => {
                ("wrong_passphrase", "Try again; nothing was changed. It cannot be recovered.")
            }
            ProfileError::KeyFileNeeded(_) | ProfileError::KeyFileMissing(_) => {
                ("key_file_missing", "Put the key file back, or name it with --key-file.")
            }
            ProfileError::WrongKeyFile(_) => {
                ("wrong_key_file", "Name the key file of this profile with --key-file.")
            }
            ProfileError::KeyFileExposed(_) => (
                "key_file_exposed",
                "Others can read it: chmod 600 the file, then think about a new profile.",
            ),
            ProfileError::ShortPassphrase(_) => (
                "passphrase_short",
                "Nothing was changed. Take a longer one: four words that have nothing to do with each other are easy to remember.",
            ),
            ProfileError::OlderVersion(_) => (
                "profile_older",
                "Make a new profile with another --home, and ask your facilitator for a new invite; this one was left as it is.",
            ),
            ProfileError::NewerVersion(_) => {
                ("profile_newer", "Update hearth; nothing was changed.")
            }
            ProfileError::DiskFull => {
                ("disk_full", "Free some space and repeat the command; nothing was changed.")
            }
            ProfileError::ReadOnly => (
                "read_only",
                "Make the disk or folder writable, then repeat the command; nothing was changed.",
            ),
            ProfileError::Damaged(ProfileFile::Key) => (
                "profile_damaged",
                "Nothing was changed. Put a copy of the key file in its place. Without a copy the profile stays closed: move its folder away (the one given with --home, or ~/.local/share/hearth), ask a facilitator to remove you, and join by a new invite.",
            ),
            ProfileError::Damaged(_) | ProfileError::Store(StoreError::Damaged(_)) => (
                "profile_damaged",
                "Nothing was changed, and no command mends it. Move the folder away (the one given with --home, or ~/.local/share/hearth), ask a facilitator to remove you, and join by a new invite. Put no older copy in its place: it would use keys twice.",
            ),
            ProfileError::WentBack | ProfileError::Store(StoreError::WentBack) => (
                "profile_went_back",
                "An older copy must not be used: keys would be used twice. Join anew with a new invite.",
            ),
            ProfileError::Store(StoreError::DiskFull(_)) => {
                ("disk_full", "Free some space and repeat the command; nothing was changed.")
            }
            ProfileError::Io(_) | ProfileError::Store(StoreError::DiskFailed(_)) => {
                ("disk_failed", DISK_FAILED)
            }
            ProfileError::Missing => ("no_profile", "Create or join a room first."),
            _ => ("profile", PROFILE_FAILED),
        };
        let exit = match error {
            ProfileError::Missing => exit::USAGE,
            _ => exit::FAILED,
        };
        Self::new(exit, code, error.to_string(), advice)
    }
}
