//! The relay's only truth: an append-only log per room, the roster and the rules.
//!
//! [`Store`] has one method per verb, over one backend: [`sqlite`] today. `hearth-rules` decides each verb, the same for
//! every backend.

mod sqlite;
mod verbs;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use hearth_protocol::{Digest, MemberKey, Millis, Pin, RejectCode, RelayId, RoomId, Secret32, Seq};
use hearth_rules::{
    Refusal,
    admission::Terms,
    submit::{Accepted, Submission},
};
use tokio::sync::oneshot;

use crate::words;

pub(crate) use sqlite::{
    SCHEMA_VERSION, Threads,
    grants::{Granted, list as grants, name as grant_name, revoke as revoke_grant},
    notes::Note,
    operator::{
        RoomFacts, Soundness, StoreFacts, check_version, detach_room, facts, open_copy, purge,
        rooms, soundness,
    },
    schema::{open_reader, reopen_writer},
};
pub(crate) use verbs::Store;

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// An earlier, never released version wrote it.
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
    /// A newer version wrote it.
    #[error("the store has schema {found}, newer than this version's {}", sqlite::SCHEMA_VERSION)]
    Schema {
        /// Version in the file.
        found: i64,
    },
    /// The file is another program's database.
    #[error("the file is a database of another program")]
    NotOurs,
    /// A required value is missing or malformed.
    #[error("the store lacks its {0}")]
    Incomplete(&'static str),
    /// The write-ahead log cannot be created.
    #[error("the store's write-ahead log cannot be written")]
    NoLog,
    /// The store's file is gone or was replaced.
    #[error("the store's file is not where it was")]
    Elsewhere,
    /// The write-ahead log cannot be emptied now.
    #[error("a reader still needs the store's write-ahead log")]
    Reader,
    /// SQLite reports an error.
    #[error("the store cannot be used: {}", words::of_sqlite(.0))]
    Sqlite(#[from] rusqlite::Error),
    /// The operating system reports an error.
    #[error("{}", words::of_io(.0))]
    Io(#[from] std::io::Error),
}

impl OpenError {
    /// Returns the kind of the operating system's error, if it suggests what to do.
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

/// The number of a lane in the store, which no later lane gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct LaneNumber(i64);

/// A room, or a lane of one. A lane has a number besides its id, because lanes of two rooms may have one id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    pub(crate) id: RoomId,
    pub(crate) lane: Option<LaneNumber>,
}

impl From<RoomId> for Place {
    fn from(id: RoomId) -> Self {
        Self { id, lane: None }
    }
}

/// A commit's changes, for listeners in memory.
#[derive(Debug)]
pub(crate) struct Publication {
    pub(crate) place: Place,
    pub(crate) head: Seq,
    /// The appended entry, encoded.
    pub(crate) entry: Option<(Seq, Arc<[u8]>)>,
    /// Entries that became tombstones.
    pub(crate) tombstones: Vec<(Seq, Millis, Digest)>,
    /// Whether any standing or time-out changed.
    pub(crate) roster: bool,
    /// Whether a knock arrived.
    pub(crate) knocked: bool,
    /// The key for which a sealed note arrived.
    pub(crate) note: Option<MemberKey>,
}

impl Publication {
    /// States that the standings in a place changed, and nothing else.
    pub(crate) fn roster(place: Place) -> Self {
        let (head, tombstones) = (Seq(0), Vec::new());
        Self { place, head, entry: None, tombstones, roster: true, knocked: false, note: None }
    }

    /// States that a sealed note arrived.
    pub(crate) fn note(place: Place, to: MemberKey) -> Self {
        Self { roster: false, note: Some(to), ..Self::roster(place) }
    }
}

/// Outcome of a submission in a transaction.
#[derive(Debug)]
pub(crate) enum Submitted {
    /// The room has it, now or since an earlier attempt.
    Accepted(Accepted),
    /// Nothing happened: an earlier attempt may be further back than a transaction searches.
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
        // A dropped sender means that its transaction did not reach the disk.
        std::pin::Pin::new(&mut self.0)
            .poll(context)
            .map(|answer| answer.unwrap_or_else(|_| Err(RejectCode::StoreUnavailable.into())))
    }
}

/// Returns the database's path in a data directory.
pub(crate) fn database_path(dir: &Path) -> PathBuf {
    dir.join("hearth.db")
}

/// Refuses a folder whose store is gone, because a new one in its place would be a stranger to every member.
///
/// # Errors
/// [`OpenError::Vanished`].
pub(crate) fn check_present(dir: &Path) -> Result<(), OpenError> {
    let length = |name: &str| std::fs::metadata(dir.join(name)).map_or(0, |file| file.len());
    // A start that ended before it made the first table leaves an empty file and nothing else.
    if length("hearth.db") > 0 {
        return Ok(());
    }
    match TRACES.into_iter().find(|name| length(name) > 0) {
        Some(trace) => Err(OpenError::Vanished(trace)),
        None => Ok(()),
    }
}

/// Returns the pin in the store of a data directory, before the store is opened. An unreadable store reports its error when
/// it is opened.
pub(crate) fn pinned(dir: &Path) -> Option<Pin> {
    let path = database_path(dir);
    if std::fs::metadata(&path).map_or(0, |file| file.len()) == 0 {
        return None;
    }
    open_reader(&path).ok().and_then(|db| sqlite::life::pin(&db).ok().flatten())
}

/// Files that exist only beside a store. Certificates may be there before.
const TRACES: [&str; 4] = ["stream", "acknowledged", "hearth.db-wal", "address"];

/// Writes a grant into the store of a data directory, whether or not its relay runs; returns the relay's identity.
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

/// Copies the store of a data directory consistently, even while its relay runs, into a file that is new or empty.
///
/// # Errors
/// See [`OpenError`].
pub(crate) fn copy(dir: &Path, into: &Path) -> Result<(), OpenError> {
    let db = sqlite::schema::open_writer(&database_path(dir))?;
    db.execute("VACUUM INTO ?1", [into.to_string_lossy().as_ref()])?;
    // SQLite does not sync the target of VACUUM INTO.
    Ok(std::fs::File::open(into).and_then(|file| file.sync_all())?)
}
