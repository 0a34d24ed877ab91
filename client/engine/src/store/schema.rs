//! The database file: creating, opening and recognising it.

use std::{fs::OpenOptions, io, os::unix::fs::OpenOptionsExt as _, path::Path};

use rusqlite::{Connection, MAIN_DB, OpenFlags};

use super::StoreError;

/// The format this version writes, in the header field `user_version`.
const VERSION: i64 = 2;

/// Identifies the file as ours ("Hrth"), in the header field `application_id`.
const APPLICATION_ID: i64 = 0x4872_7468;

// A rowid table, because MLS trees reach 100 KB, and a WITHOUT ROWID table would keep them between its keys.
// AUTOINCREMENT never reuses the number of a deleted room.
const SCHEMA: &str = "
    CREATE TABLE record (
        kind  INTEGER NOT NULL,
        room  INTEGER NOT NULL,
        key   BLOB    NOT NULL,
        value BLOB    NOT NULL,
        PRIMARY KEY (kind, room, key)
    ) STRICT;
    CREATE TABLE room (no INTEGER PRIMARY KEY AUTOINCREMENT) STRICT;
";

/// Creates a database, readable by its owner only; fails if the file exists.
pub(super) fn create(path: &Path) -> Result<Connection, CreateError> {
    // SQLite gives the log beside the database the same mode.
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let db = connect(path).map_err(CreateError::Store)?;
    let make = || -> Result<(), StoreError> {
        configure(&db)?;
        db.execute_batch(&format!(
            "BEGIN IMMEDIATE; {SCHEMA} PRAGMA application_id = {APPLICATION_ID};
             PRAGMA user_version = {VERSION}; COMMIT;"
        ))?;
        Ok(())
    };
    make().map_err(CreateError::Store)?;
    Ok(db)
}

/// Why a database could not be created.
#[derive(Debug)]
pub(crate) enum CreateError {
    /// The file could not be created.
    Io(io::Error),
    /// SQLite failed.
    Store(StoreError),
}

impl From<io::Error> for CreateError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Opens an existing database, after checking that it is ours and of a known version.
pub(super) fn open(path: &Path) -> Result<Connection, StoreError> {
    let db = connect(path)?;
    let number = |name| db.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    if number("application_id")? != APPLICATION_ID {
        return Err(StoreError::DamagedFile(None));
    }
    match number("user_version")? {
        VERSION => {
            configure(&db)?;
            Ok(db)
        }
        newer if newer > VERSION => Err(StoreError::NewerVersion(newer)),
        older @ 1.. => Err(StoreError::OlderVersion(older)),
        _ => Err(StoreError::DamagedFile(None)),
    }
}

/// Oldest SQLite that may touch a profile. Versions 3.7.0 to 3.51.2 can corrupt a database whose log is moved beside a writer.
const SQLITE_MIN: i32 = 3_051_003;

fn check_library(version: i32) -> Result<(), StoreError> {
    if version < SQLITE_MIN { Err(StoreError::OldSqlite(version)) } else { Ok(()) }
}

fn connect(path: &Path) -> Result<Connection, StoreError> {
    check_library(rusqlite::version_number())?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let db = Connection::open_with_flags(path, flags)?;
    if db.is_readonly(MAIN_DB)? {
        return Err(StoreError::ReadOnly(None));
    }
    db.set_prepared_statement_cache_capacity(32);
    // The profile's lock keeps other processes out, so an exclusive lock costs nothing and saves the shared-memory
    // file. It must be set before the first access.
    db.execute_batch("PRAGMA locking_mode = EXCLUSIVE")?;
    Ok(db)
}

/// Sets options that may change the file, so only after it was found to be ours.
fn configure(db: &Connection) -> Result<(), StoreError> {
    // An emptied log keeps no old ciphertext of erased keys. Temporary tables never touch the disk.
    db.execute_batch(
        "PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         PRAGMA secure_delete = ON;
         PRAGMA journal_size_limit = 0;
         PRAGMA temp_store = MEMORY;
         PRAGMA trusted_schema = OFF;
         PRAGMA cell_size_check = ON;",
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b7_sqlite_with_wal_bug_is_refused() {
        assert!(rusqlite::version_number() >= SQLITE_MIN);
        assert!(matches!(check_library(3_051_002), Err(StoreError::OldSqlite(3_051_002))));
        assert!(check_library(SQLITE_MIN).is_ok());
    }
}
