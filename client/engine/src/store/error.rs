//! Reasons why the local store failed.

use rusqlite::ErrorCode;

use super::Kind;

/// Why the local store refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A row was altered, moved, or written under another key.
    #[error("a stored record ({0}) is damaged")]
    Damaged(Kind),
    /// The file is not a database, or its structure is broken.
    #[error("the local database is damaged")]
    DamagedFile(#[source] Option<rusqlite::Error>),
    /// The database is whole but older than before: it is an earlier copy, or its log was cut.
    #[error("the local database has lost its latest changes")]
    WentBack,
    /// The database was written by a later version of the program.
    #[error("the local database has format {0}, which this version does not know")]
    NewerVersion(i64),
    /// The database was written by version 0.1, which was never released.
    #[error("the local database has format {0} of Hearth 0.1, which this version does not read")]
    OlderVersion(i64),
    /// The SQLite in use can corrupt a database.
    #[error("SQLite {0} is older than 3051003 (3.51.3), and can corrupt a database")]
    OldSqlite(i32),
    /// The database is write-protected.
    #[error("the local database is read-only")]
    ReadOnly(#[source] Option<rusqlite::Error>),
    /// No space is left; nothing of the transaction was kept.
    #[error("no space is left for the local database")]
    DiskFull(#[source] rusqlite::Error),
    /// The disk did not write or read correctly. The next opening shows whether the transaction was kept.
    #[error("the disk fails under the local database")]
    DiskFailed(#[source] Option<rusqlite::Error>),
    /// A transaction was begun inside another one.
    #[error("a transaction is already open")]
    Nested,
    /// The operating system gave no randomness.
    #[error("the operating system gave no randomness")]
    Randomness,
    /// Any other error of SQLite.
    #[error("the local database failed")]
    Sqlite(#[source] rusqlite::Error),
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Self::DamagedFile(Some(error))
            }
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => Self::ReadOnly(Some(error)),
            Some(ErrorCode::DiskFull) => Self::DiskFull(error),
            Some(ErrorCode::SystemIoFailure) => Self::DiskFailed(Some(error)),
            _ => Self::Sqlite(error),
        }
    }
}

impl From<getrandom::Error> for StoreError {
    fn from(_: getrandom::Error) -> Self {
        Self::Randomness
    }
}
