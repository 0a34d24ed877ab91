//! Why the program ends, and what to try next.

use std::{
    io::ErrorKind as Kind,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use crate::{DataDirError, OpenError, TlsError, commands::quoted, config::ConfigError, words};

/// Why a relay does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A setting is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The data directory cannot be used.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// The database cannot be used.
    #[error("{path}: {source}")]
    Store {
        /// Path of the database.
        path: PathBuf,
        /// The error.
        source: OpenError,
    },
    /// The certificate cannot be used.
    #[error("{}", words::of_tls(.0))]
    Tls(#[from] TlsError),
    /// An address cannot be bound.
    #[error("cannot listen on {address}: {}", words::of_io(.source))]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The error.
        source: std::io::Error,
    },
    /// The terms of a grant are wrong.
    #[error("{0}")]
    Grant(&'static str),
    /// The link of a grant could not be printed.
    #[error("standard output cannot be written to: {}", words::of_io(.0))]
    GrantUnprinted(std::io::Error),
    /// The destination of a backup is not free.
    #[error("{into} {found}")]
    BackupTaken {
        /// Data directory of the copied relay.
        dir: PathBuf,
        /// The destination.
        into: PathBuf,
        /// What the destination is or holds.
        found: &'static str,
    },
    /// An answer could not be printed.
    #[error("standard output cannot be written to: {}", words::of_io(.0))]
    Unprinted(std::io::Error),
    /// A command of the operator changes nothing, and says why.
    #[error("{said}")]
    Refused {
        /// What stands against it.
        said: String,
        /// The next thing to try.
        advice: String,
        /// Whether the command line is at fault.
        usage: bool,
    },
    /// The path of a backup could not be printed.
    #[error("standard output cannot be written to: {}", words::of_io(.0))]
    BackupUnprinted(std::io::Error),
}

impl StartError {
    /// Returns the next thing to try, in one line.
    pub fn advice(&self) -> String {
        match self {
            Self::Config(ConfigError::Read { source, .. }) if source.kind() == Kind::InvalidData => {
                "save the file as UTF-8".into()
            }
            Self::Config(ConfigError::Read { path, source }) => file_advice(path, source.kind()),
            Self::Config(_) => "correct the setting; `hearthd --help` lists them all".into(),
            Self::DataDir(DataDirError::InUse(_)) => {
                "stop the other relay, or choose another directory with --data-dir".into()
            }
            Self::DataDir(DataDirError::HalfRestored { dir, from }) => format!(
                "finish it: `hearthd restore --data-dir {} {}`",
                quoted(dir),
                quoted(from)
            ),
            Self::DataDir(DataDirError::Empty(path)) => format!(
                "start the relay once: `hearthd --data-dir {}`; or name its address with --url wss://HOST:PORT",
                quoted(path)
            ),
            Self::DataDir(DataDirError::Io { path, source }) => file_advice(path, source.kind()),
            Self::Store { source: OpenError::OlderSchema { .. }, .. } => {
                "no released version wrote it: move the folder away and start a new relay".into()
            }
            Self::Store { source: OpenError::Vanished(_), .. } => {
                "put the last backup in its place with `hearthd restore`; for a new relay, move the folder away or choose another with --data-dir".into()
            }
            Self::Store { source: OpenError::OldSqlite(_), .. } => {
                "build hearthd with the SQLite that Cargo.lock names: cargo build --locked".into()
            }
            Self::Store { source: OpenError::Schema { .. }, .. } => {
                "install the newer version again, or restore the backup from before the upgrade"
                    .into()
            }
            Self::Store { path, source } => {
                source.kind().map_or_else(|| DAMAGED.into(), |kind| file_advice(path, kind))
            }
            Self::Tls(TlsError::KeyExposed(path)) => {
                format!("take the right away: `chmod 600 {}`", quoted(path))
            }
            Self::Tls(TlsError::OwnKey(..)) => {
                "copy key.pem there from where you keep it, from the relay's old folder or from a backup; if it is lost, move the folder away, start a new relay and give everybody new links".into()
            }
            Self::Tls(TlsError::OwnCertificate(..)) => {
                "delete cert.pem there and start again: the relay makes another from key.pem, and links stay as they are".into()
            }
            Self::Tls(TlsError::File { path, source }) => file_advice(path, source.kind()),
            Self::Tls(_) => "check the files given with --tls-cert and --tls-key".into(),
            Self::Listen { source, .. } => match source.kind() {
                Kind::AddrInUse => {
                    "stop what listens there, or choose another address with --listen or --admin-listen"
                }
                Kind::PermissionDenied => {
                    "choose a port from 1024 up, or allow the lower one to this account"
                }
                _ => "choose an address of this machine with --listen or --admin-listen",
            }
            .into(),
            Self::Grant(_) => "`hearthd grant --help` says what it takes".into(),
            Self::Unprinted(_) => "run it again where its output is read".into(),
            Self::Refused { advice, .. } => advice.clone(),
            Self::GrantUnprinted(error) => {
                let how = match error.kind() {
                    Kind::StorageFull | Kind::QuotaExceeded => "free some space and run it again",
                    _ => "run it again where its output is read",
                };
                format!("{how}; the unprinted grant is harmless")
            }
            Self::BackupTaken { dir, into, .. } => format!(
                "name a directory that is new or empty: `hearthd backup --data-dir {} {}`",
                quoted(dir),
                quoted(&unused(into))
            ),
            Self::BackupUnprinted(_) => {
                "do not run it again: the backup is whole, in the directory that was named".into()
            }
        }
    }

    /// States what stands against a command, and what to try.
    pub(crate) fn refused(said: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::Refused { said: said.into(), advice: advice.into(), usage: false }
    }

    /// States what is wrong with a command line, and what to try.
    pub(crate) fn usage(said: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::Refused { said: said.into(), advice: advice.into(), usage: true }
    }

    /// Whether the settings are at fault, not the state of the machine.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Config(_) | Self::Grant(_) | Self::Refused { usage: true, .. })
    }
}

const DAMAGED: &str = "check the disk; if the file is damaged, put the last backup in its place with `hearthd restore`";

/// Returns a free path beside another.
pub(crate) fn unused(path: &Path) -> PathBuf {
    let numbered = |number: u32| {
        // Drop a trailing slash.
        let mut name = path.components().as_path().as_os_str().to_owned();
        name.push(format!("-{number}"));
        PathBuf::from(name)
    };
    (2..).map(numbered).find(|path| !path.exists()).unwrap_or_default()
}

/// Returns a path, or one beside it if it is taken.
pub(crate) fn free(path: &Path) -> PathBuf {
    if path.exists() { unused(path) } else { path.to_owned() }
}

/// Returns the next thing to try for a file or a directory.
fn file_advice(path: &Path, kind: Kind) -> String {
    match kind {
        Kind::ReadOnlyFilesystem => {
            "see what the system's log says of this disk, then mount it so that it can be written to"
                .into()
        }
        Kind::StorageFull | Kind::QuotaExceeded => "free some space there and run it again".into(),
        Kind::PermissionDenied => format!(
            "`ls -ld {}` shows whose it is: run hearthd as that account, or change the owner",
            quoted(path)
        ),
        Kind::NotFound => {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            let folder = folder.unwrap_or(Path::new("."));
            format!("check the path: `ls -l {}` shows what is there", quoted(folder))
        }
        Kind::AlreadyExists => "name another directory".into(),
        _ => "give this account a directory that it owns, with --data-dir".into(),
    }
}
