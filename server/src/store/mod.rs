//! The relay's only truth: an append-only log per room, the roster and the rules.
//!
//! [`Store`] has one method a verb, behind which is a backend: [`sqlite`] today. What a verb decides is in `hearth-rules`, the same for
//! every backend.

mod sqlite;
mod verbs;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use hearth_protocol::{Digest, Millis, Pin, RejectCode, RelayId, RoomId, Secret32, Seq};
use hearth_rules::{
    Refusal,
    admission::Terms,
    submit::{Accepted, Submission},
};
use tokio::sync::oneshot;

use crate::words;

pub(crate) use sqlite::Threads;
pub(crate) use verbs::Store;

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Written by an earlier version, none of which was released.
    #[error("the store has schema {found}, older than this version's {}", sqlite::SCHEMA_VERSION)]
    OlderSchema {
        /// Version in the file.
        found: i64,
    },
    /// The SQLite in use can corrupt a database.
    #[error(
        "SQLite {0} is older than 3051003 (3.51.3), and can corrupt a database whose log is moved"
    )]
    OldSqlite(i32),
    /// The folder was a relay's, and the store is gone.
    #[error("the store is gone, though {0:?} beside it says that there was one")]
    Vanished(&'static str),
    /// Written by a newer version.
    #[error("the store has schema {found}, newer than this version's {}", sqlite::SCHEMA_VERSION)]
    Schema {
        /// Version in the file.
        found: i64,
    },
    /// Some other program's database.
    #[error("the file is a database of another program")]
    NotOurs,
    /// A value that must be there is missing or malformed.
    #[error("the store lacks its {0}")]
    Incomplete(&'static str),
    /// The write-ahead log cannot be made.
    #[error("the store's write-ahead log cannot be written")]
    NoLog,
    /// Another file, or none, is where the store was.
    #[error("the store's file is not where it was")]
    Elsewhere,
    /// The write-ahead log cannot be emptied now.
    #[error("a reader still needs the store's write-ahead log")]
    Reader,
    /// SQLite's own complaint.
    #[error("the store cannot be used: {}", words::of_sqlite(.0))]
    Sqlite(#[from] rusqlite::Error),
    /// The operating system's.
    #[error("{}", words::of_io(.0))]
    Io(#[from] std::io::Error),
}

impl OpenError {
    /// The kind of the operating system's error beneath, where it is one of those that say what to do.
    pub(crate) fn kind(&self) -> Option<std::io::ErrorKind> {
        use std::io::ErrorKind as Kind;

        use rusqlite::ErrorCode;
        match self {
            Self::Io(error) => Some(error.kind()),
            Self::Sqlite(error) => match error.sqlite_error_code()? {
                ErrorCode::DiskFull => Some(Kind::StorageFull),
                ErrorCode::CannotOpen | ErrorCode::PermissionDenied | ErrorCode::ReadOnly => {
                    Some(Kind::PermissionDenied)
                }
                _ => None,
            },
            _ => None,
        }
    }
}

/// What a commit changed, for those who wait in memory.
#[derive(Debug)]
pub(crate) struct Publication {
    pub(crate) room: RoomId,
    pub(crate) head: Seq,
    /// The appended entry, encoded.
    pub(crate) entry: Option<(Seq, Arc<[u8]>)>,
    /// Entries that became tombstones.
    pub(crate) tombstones: Vec<(Seq, Millis, Digest)>,
    /// Whether somebody's standing or time-out changed.
    pub(crate) roster: bool,
    /// Whether somebody knocked.
    pub(crate) knocked: bool,
}

/// What became of a submission in a transaction.
#[derive(Debug)]
pub(crate) enum Submitted {
    /// It is in the room, now or since an earlier attempt.
    Accepted(Accepted),
    /// Nothing happened: its earlier attempt may be further back than a transaction searches.
    Far(Submission),
}

/// Part of a blob.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) total: u32,
    pub(crate) bytes: Vec<u8>,
}

/// An answer that comes after the commit.
#[derive(Debug)]
pub(crate) struct Committed<T>(oneshot::Receiver<Result<T, Refusal>>);

impl<T> Future for Committed<T> {
    type Output = Result<T, Refusal>;

    fn poll(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Self::Output> {
        // A sender that was dropped belonged to a transaction that did not reach the disk.
        std::pin::Pin::new(&mut self.0)
            .poll(context)
            .map(|answer| answer.unwrap_or_else(|_| Err(RejectCode::StoreUnavailable.into())))
    }
}

/// Returns the database's place in a data directory.
pub(crate) fn database_path(dir: &Path) -> PathBuf {
    dir.join("hearth.db")
}

/// Refuses a folder whose store is gone: a new one in its place would be a stranger to every member.
///
/// # Errors
/// [`OpenError::Vanished`].
pub(crate) fn check_present(dir: &Path) -> Result<(), OpenError> {
    let length = |name: &str| std::fs::metadata(dir.join(name)).map_or(0, |file| file.len());
    // A start that ended before the first table was made leaves an empty file, and nothing else.
    if length("hearth.db") > 0 {
        return Ok(());
    }
    match TRACES.into_iter().find(|name| length(name) > 0) {
        Some(trace) => Err(OpenError::Vanished(trace)),
        None => Ok(()),
    }
}

/// Returns the pin that the store of a data directory remembers, before it is opened. A store that cannot be read says why when
/// it is opened.
pub(crate) fn pinned(dir: &Path) -> Option<Pin> {
    let path = database_path(dir);
    if std::fs::metadata(&path).map_or(0, |file| file.len()) == 0 {
        return None;
    }
    sqlite::schema::open_reader(&path).ok().and_then(|db| sqlite::life::pin(&db).ok().flatten())
}

/// Files that are written once there is a store. Certificates may be there before.
const TRACES: [&str; 4] = ["stream", "acknowledged", "hearth.db-wal", "address"];

/// Writes a grant into the store of a data directory, whether or not its relay is running; returns who the relay is.
///
/// # Errors
/// See [`OpenError`].
pub(crate) fn add_grant(
    dir: &Path,
    secret: &Secret32,
    terms: &Terms,
) -> Result<RelayId, OpenError> {
    check_present(dir)?;
    let db = sqlite::schema::open_writer(&database_path(dir))?;
    let relay = sqlite::life::secrets(&db)?.relay;
    sqlite::grants::add(&db, secret, terms)?;
    Ok(relay)
}

/// Copies the store of a data directory, consistently and while its relay runs, into a file that is new or empty.
///
/// # Errors
/// See [`OpenError`].
pub(crate) fn copy(dir: &Path, into: &Path) -> Result<(), OpenError> {
    let db = sqlite::schema::open_writer(&database_path(dir))?;
    db.execute("VACUUM INTO ?1", [into.to_string_lossy().as_ref()])?;
    // SQLite does not sync what it vacuums into.
    Ok(std::fs::File::open(into).and_then(|file| file.sync_all())?)
}
