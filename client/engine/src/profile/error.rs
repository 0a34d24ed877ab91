//! Reasons why a profile cannot be opened or created, so that a shell can say what to try next.

use std::{fmt, io, path::PathBuf};

use hearth_text::count::counted;

use super::PASSPHRASE_CHARS_MIN;
use crate::store::{CreateError, StoreError};

/// A file of a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProfileFile {
    /// `profile`, which holds the wrapped data key.
    Profile,
    /// The key file.
    Key,
    /// `hearth.db`, the sealed store.
    Database,
}

impl fmt::Display for ProfileFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Profile => "profile",
            Self::Key => "key",
            Self::Database => "hearth.db",
        })
    }
}

/// Why a profile cannot be opened or created. Nothing was overwritten.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// Another process has the profile open.
    #[error("the profile is in use by another process")]
    InUse,
    /// There is no profile in this folder.
    #[error("there is no profile here")]
    Missing,
    /// There already is a profile in this folder.
    #[error("there already is a profile here")]
    Exists,
    /// The profile is locked with a passphrase, and none was given.
    #[error("the profile is locked with a passphrase")]
    PassphraseNeeded,
    /// A passphrase was given for a profile that is locked with a key file.
    #[error("the profile is locked with the key file {0}, not with a passphrase")]
    KeyFileNeeded(PathBuf),
    /// An empty passphrase protects nothing.
    #[error("the passphrase is empty")]
    EmptyPassphrase,
    /// A person with the device could guess the passphrase.
    #[error(
        "the passphrase counts as {}; it needs {PASSPHRASE_CHARS_MIN} or more",
        counted(*.0, "character", "characters")
    )]
    ShortPassphrase(usize),
    /// The passphrase is not this profile's.
    #[error("the passphrase is wrong")]
    WrongPassphrase,
    /// The key file is not this profile's.
    #[error("the key file {0} is not the one of this profile")]
    WrongKeyFile(PathBuf),
    /// The key file is not at its recorded place.
    #[error("the key file {0} is missing")]
    KeyFileMissing(PathBuf),
    /// Other users can read the key file, so it protects nothing.
    #[error("the key file {0} can be read by others: make it readable by its owner only")]
    KeyFileExposed(PathBuf),
    /// A file was altered, truncated or lost.
    #[error("the file {0} of the profile is damaged or missing")]
    Damaged(ProfileFile),
    /// The store is whole but older than it was: an earlier copy, or its log was cut.
    #[error("the profile has lost its latest changes")]
    WentBack,
    /// A later version of the program wrote the profile.
    #[error("the profile has format {0}, which this version does not know")]
    NewerVersion(i64),
    /// Version 0.1, which was never released, wrote the profile.
    #[error("the profile has format {0} of Hearth 0.1, which this version does not read")]
    OlderVersion(i64),
    /// The folder or a file in it cannot be written.
    #[error("the profile is read-only")]
    ReadOnly,
    /// No space is left.
    #[error("no space is left for the profile")]
    DiskFull,
    /// The operating system gave no randomness.
    #[error("the operating system gave no randomness")]
    Randomness,
    /// Any other failure of the file system.
    #[error("a file of the profile cannot be used")]
    Io(#[source] io::Error),
    /// Any other failure of the store.
    #[error(transparent)]
    Store(StoreError),
}

impl From<io::Error> for ProfileError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull,
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => Self::ReadOnly,
            _ => Self::Io(error),
        }
    }
}

impl From<StoreError> for ProfileError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Damaged(_) | StoreError::DamagedFile(_) => {
                Self::Damaged(ProfileFile::Database)
            }
            StoreError::WentBack => Self::WentBack,
            StoreError::NewerVersion(version) => Self::NewerVersion(version),
            StoreError::OlderVersion(version) => Self::OlderVersion(version),
            StoreError::ReadOnly(_) => Self::ReadOnly,
            StoreError::DiskFull(_) => Self::DiskFull,
            StoreError::Randomness => Self::Randomness,
            other => Self::Store(other),
        }
    }
}

impl From<CreateError> for ProfileError {
    fn from(error: CreateError) -> Self {
        match error {
            CreateError::Io(error) => error.into(),
            CreateError::Store(error) => error.into(),
        }
    }
}

impl From<getrandom::Error> for ProfileError {
    fn from(_: getrandom::Error) -> Self {
        Self::Randomness
    }
}
