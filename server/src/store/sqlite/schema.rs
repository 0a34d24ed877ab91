//! The tables, and opening a database file.

use std::path::Path;

use hearth_rules::submit::{SEQ_BITS, SEQ_MAX};
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, config::DbConfig};

use crate::store::OpenError;

/// Version of the tables; kept in `PRAGMA user_version`.
pub(crate) const SCHEMA_VERSION: i64 = 4;

/// Milliseconds for which a statement waits for another process (`hearthd grant`, `hearthd backup`).
const BUSY_MILLIS: u64 = 5_000;

/// The tables.
///
/// - `entries.key` combines the room's number and the seq in one integer (see [`entry_key`]): one B-tree, clustered by
///   room, without a second index to write. No column names an entry's author, on purpose.
/// - `entries.name` and `acts.name` are a submission's id, hashed under a secret of the store, so that a stolen table alone does
///   not show the author. A name stands before the payload, so that a search of names reads no long payload.
/// - `entries.digest` is the payload's SHA-256, which a tombstone keeps; `effects` tells one submission's effects from another's.
/// - `acts` holds the submissions without an entry.
/// - `posts` counts in quarters of an hour, and only in rooms with a budget; `members.last_post_at` is written
///   only in rooms with slow mode, `members.full_at` only for members who send fast (see `quota`), `members.marked_at` only
///   for members who retract; the last two are reset once they have no effect.
/// - `rooms` holds lanes, too: `parent` is the number of the room to which one belongs, 0 for a room, and the negative of the
///   row's own number for a deleted room or lane, whose rows retention deletes step by step. `closed_at` is 0 while a
///   lane is open. No column says whose a lane is.
/// - `notes` has an addressee and no sender; `boxes.bytes` counts what waits for a key, by triggers.
/// - `rooms.bytes` counts the bytes that the room keeps. Submissions add to it; triggers do the rest, so that no deletion can
///   be forgotten. 128 is [`hearth_rules::quota::ROW_BYTES`], 40 is [`SEQ_BITS`].
const TABLES: &str = "
CREATE TABLE meta(name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE life(id INTEGER PRIMARY KEY CHECK(id = 1), generation INTEGER NOT NULL, writes INTEGER NOT NULL) STRICT;
INSERT INTO life VALUES (1, 0, 0);
CREATE TABLE grants(
  hash BLOB PRIMARY KEY, rooms_left INTEGER NOT NULL, members_max INTEGER NOT NULL, expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE rooms(
  key INTEGER PRIMARY KEY AUTOINCREMENT, room BLOB NOT NULL, epoch INTEGER NOT NULL, control INTEGER NOT NULL,
  agreement BLOB NOT NULL, numbers BLOB NOT NULL, head INTEGER NOT NULL, floor INTEGER NOT NULL,
  members_max INTEGER NOT NULL, oldest_at INTEGER NOT NULL, bytes INTEGER NOT NULL DEFAULT 0,
  parent INTEGER NOT NULL DEFAULT 0, closed_at INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE UNIQUE INDEX rooms_by_id ON rooms(room) WHERE parent = 0;
CREATE UNIQUE INDEX open_lanes ON rooms(parent, room) WHERE parent > 0 AND closed_at = 0;
CREATE INDEX lanes_by_parent ON rooms(parent, room, closed_at) WHERE parent > 0;
CREATE INDEX lanes_by_id ON rooms(room) WHERE parent > 0;
CREATE TABLE members(
  room INTEGER NOT NULL, member BLOB NOT NULL, role INTEGER NOT NULL, state INTEGER NOT NULL,
  joined INTEGER NOT NULL, gone INTEGER NOT NULL, gone_at INTEGER NOT NULL, timeout_until INTEGER NOT NULL,
  last_post_at INTEGER NOT NULL, welcome BLOB, full_at INTEGER NOT NULL, marked_at INTEGER NOT NULL,
  PRIMARY KEY(room, member)
) STRICT, WITHOUT ROWID;
CREATE TABLE posts(
  room INTEGER NOT NULL, member BLOB NOT NULL, quarter INTEGER NOT NULL, count INTEGER NOT NULL,
  PRIMARY KEY(room, member, quarter)
) STRICT, WITHOUT ROWID;
CREATE TABLE invites(
  room INTEGER NOT NULL, invite BLOB NOT NULL, uses_left INTEGER NOT NULL, expires INTEGER NOT NULL,
  issuer BLOB NOT NULL, preview BLOB NOT NULL, PRIMARY KEY(room, invite)
) STRICT;
CREATE TABLE knockers(
  room INTEGER NOT NULL, invite BLOB NOT NULL, member BLOB NOT NULL, at INTEGER NOT NULL,
  PRIMARY KEY(room, invite, member)
) STRICT, WITHOUT ROWID;
CREATE TABLE knocks(
  room INTEGER NOT NULL, member BLOB NOT NULL, invite BLOB NOT NULL, agreement BLOB NOT NULL, digest BLOB NOT NULL,
  signature BLOB NOT NULL, body BLOB NOT NULL, at INTEGER NOT NULL, declined INTEGER NOT NULL, note BLOB NOT NULL,
  PRIMARY KEY(room, member)
) STRICT;
CREATE TABLE entries(
  key INTEGER PRIMARY KEY, at INTEGER NOT NULL, name BLOB NOT NULL, digest BLOB NOT NULL, effects BLOB, payload BLOB
) STRICT;
CREATE TABLE acts(
  room INTEGER NOT NULL, name BLOB NOT NULL, at INTEGER NOT NULL, effects BLOB, PRIMARY KEY(room, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE blobs(
  room INTEGER NOT NULL, blob BLOB NOT NULL, at INTEGER NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY(room, blob)
) STRICT;
CREATE TABLE notes(
  key INTEGER PRIMARY KEY, room INTEGER NOT NULL, member BLOB NOT NULL, note BLOB NOT NULL, at INTEGER NOT NULL,
  sealed BLOB NOT NULL, UNIQUE(room, member, note)
) STRICT;
CREATE INDEX notes_by_time ON notes(at);
CREATE INDEX notes_by_box ON notes(room, member);
CREATE TABLE boxes(
  room INTEGER NOT NULL, member BLOB NOT NULL, bytes INTEGER NOT NULL, PRIMARY KEY(room, member)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER note_taken AFTER INSERT ON notes BEGIN
  INSERT INTO boxes VALUES (new.room, new.member, 128 + length(new.sealed))
  ON CONFLICT(room, member) DO UPDATE SET bytes = bytes + excluded.bytes;
END;
CREATE TRIGGER note_gone AFTER DELETE ON notes BEGIN
  UPDATE boxes SET bytes = bytes - 128 - length(old.sealed) WHERE room = old.room AND member = old.member;
  DELETE FROM boxes WHERE room = old.room AND member = old.member AND bytes <= 0;
END;
CREATE TRIGGER entry_gone AFTER DELETE ON entries BEGIN
  UPDATE rooms SET bytes = max(0, bytes - 128 - coalesce(length(old.payload), 0)) WHERE key = old.key >> 40;
END;
CREATE TRIGGER entry_retracted AFTER UPDATE OF payload ON entries BEGIN
  UPDATE rooms SET bytes = max(0, bytes - coalesce(length(old.payload), 0) + coalesce(length(new.payload), 0))
  WHERE key = new.key >> 40;
END;
CREATE TRIGGER invite_made AFTER INSERT ON invites BEGIN
  UPDATE rooms SET bytes = bytes + 128 + length(new.preview) WHERE key = new.room;
END;
CREATE TRIGGER invite_gone AFTER DELETE ON invites BEGIN
  UPDATE rooms SET bytes = max(0, bytes - 128 - length(old.preview)) WHERE key = old.room;
END;
CREATE TRIGGER knock_made AFTER INSERT ON knocks BEGIN
  UPDATE rooms SET bytes = bytes + 128 + length(new.body) + length(new.note) WHERE key = new.room;
END;
CREATE TRIGGER knock_changed AFTER UPDATE OF body, note ON knocks BEGIN
  UPDATE rooms SET bytes = max(0, bytes - length(old.body) - length(old.note) + length(new.body) + length(new.note))
  WHERE key = new.room;
END;
CREATE TRIGGER knock_gone AFTER DELETE ON knocks BEGIN
  UPDATE rooms SET bytes = max(0, bytes - 128 - length(old.body) - length(old.note)) WHERE key = old.room;
END;
CREATE TRIGGER blob_stored AFTER INSERT ON blobs BEGIN
  UPDATE rooms SET bytes = bytes + 128 + length(new.bytes) WHERE key = new.room;
END;
CREATE TRIGGER blob_gone AFTER DELETE ON blobs BEGIN
  UPDATE rooms SET bytes = max(0, bytes - 128 - length(old.bytes)) WHERE key = old.room;
END;
";

/// Highest number of a room: [`entry_key`] has space for 4 million rooms beside the seq.
pub(crate) const ROOM_KEY_MAX: i64 = (1 << (62 - SEQ_BITS)) - 1;

/// Returns the key of an entry: the room's number in the upper bits, the seq in the lower ones.
pub(crate) fn entry_key(room: i64, seq: u64) -> i64 {
    (room << SEQ_BITS) | int(seq.min(SEQ_MAX))
}

/// Returns the seq in an entry's key.
pub(crate) fn seq_of(key: i64) -> u64 {
    uint(key) & SEQ_MAX
}

/// Converts a number to SQLite's type, saturating.
pub(crate) fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Converts a number from SQLite's type; the maximum stands for "never", as [`int`] made it.
pub(crate) fn uint(value: i64) -> u64 {
    if value == i64::MAX { u64::MAX } else { u64::try_from(value).unwrap_or(0) }
}

/// Opens the database for writing, and creates the tables in a new file.
pub(crate) fn open_writer(path: &Path) -> Result<Connection, OpenError> {
    open_with(path, OpenFlags::SQLITE_OPEN_CREATE)
}

/// Opens an earlier database for writing again. If it is gone, none is created in its place.
pub(crate) fn reopen_writer(path: &Path) -> Result<Connection, OpenError> {
    open_with(path, OpenFlags::empty())
}

fn open_with(path: &Path, create: OpenFlags) -> Result<Connection, OpenError> {
    check_library(rusqlite::version_number())?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | create;
    let mut connection = Connection::open_with_flags(path, flags)?;
    configure(&connection)?;
    // SQLite reports a failed switch only by the mode that stays in effect. Without the WAL, a power cut can undo a commit that is
    // on disk, because the journal's deletion is not synced.
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode != "wal" {
        return Err(OpenError::NoLog);
    }
    connection.pragma_update(None, "synchronous", synchronous())?;
    connection.pragma_update(None, "secure_delete", "ON")?;
    // A separate thread checkpoints, see `checkpoint`.
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    let transaction =
        connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let version: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    match version {
        SCHEMA_VERSION => {}
        0 => {
            let strangers: Option<String> = transaction
                .query_row("SELECT name FROM sqlite_schema LIMIT 1", [], |row| row.get(0))
                .optional()?;
            if strangers.is_some() {
                return Err(OpenError::NotOurs);
            }
            transaction.execute_batch(TABLES)?;
            transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
        }
        found @ 1..SCHEMA_VERSION => return Err(OpenError::OlderSchema { found }),
        other => return Err(OpenError::Schema { found: other }),
    }
    transaction.commit()?;
    Ok(connection)
}

/// Oldest SQLite that may touch a store. Versions 3.7.0 to 3.51.2 can corrupt a database in WAL mode when one connection
/// checkpoints while another writes, as the relay's do (`checkpoint`).
const SQLITE_MIN: i32 = 3_051_003;

fn check_library(version: i32) -> Result<(), OpenError> {
    if version < SQLITE_MIN { Err(OpenError::OldSqlite(version)) } else { Ok(()) }
}

/// Opens the database for reading.
pub(crate) fn open_reader(path: &Path) -> Result<Connection, OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    configure(&connection)?;
    connection.pragma_update(None, "query_only", "ON")?;
    Ok(connection)
}

fn configure(connection: &Connection) -> Result<(), rusqlite::Error> {
    // The connection that closes last would sync the log and move it, even after a failed sync: the second sync succeeds without
    // the pages that the kernel gave up, and half a transaction could reach the tables. Orderly ends move the
    // log themselves, see `checkpoint`; otherwise it waits for the next start.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.busy_timeout(std::time::Duration::from_millis(BUSY_MILLIS))?;
    connection.set_prepared_statement_cache_capacity(128);
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    distrust(connection)
}

/// Keeps a damaged or hostile file from running code.
pub(super) fn distrust(connection: &Connection) -> Result<(), rusqlite::Error> {
    connection.pragma_update(None, "trusted_schema", "OFF")?;
    connection.pragma_update(None, "cell_size_check", "ON")
}

/// FULL syncs the WAL at every commit, so that an acknowledged entry survives a power cut.
fn synchronous() -> &'static str {
    #[cfg(any(test, feature = "testing"))]
    if crate::testing::careless::syncs_rarely() {
        return "NORMAL";
    }
    "FULL"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entry_keys_separate_room_and_seq() {
        assert_eq!(seq_of(entry_key(7, 12)), 12);
        assert!(entry_key(7, SEQ_MAX) < entry_key(8, 0));
        assert!(entry_key(ROOM_KEY_MAX, SEQ_MAX) > 0);
        assert_eq!((ROOM_KEY_MAX, SEQ_MAX), (4_194_303, 1_099_511_627_775));
        assert_eq!(uint(int(u64::MAX)), u64::MAX);
    }

    #[test]
    fn b7_sqlite_with_wal_bug_is_refused() {
        assert!(rusqlite::version_number() >= SQLITE_MIN);
        for (version, good) in [(3_050_002, false), (3_051_002, false), (3_051_003, true)] {
            let checked = check_library(version);
            assert_eq!(checked.is_ok(), good, "{version}");
            if let Err(error) = checked {
                assert!(error.to_string().contains(&version.to_string()), "{error}");
            }
        }
    }

    #[test]
    fn triggers_know_the_rows_and_keys() {
        assert_eq!((hearth_rules::quota::ROW_BYTES, SEQ_BITS), (128, 40));
    }

    #[test]
    fn last_closing_connection_keeps_the_log() {
        let dir = tempfile::tempdir().unwrap();
        let (path, log) = (dir.path().join("a.db"), dir.path().join("a.db-wal"));
        drop(open_writer(&path).unwrap());
        let written = std::fs::read(&log).unwrap();
        assert!(!written.is_empty());
        drop(open_reader(&path).unwrap());
        assert_eq!(std::fs::read(&log).unwrap(), written);
        let again = open_writer(&path).unwrap();
        crate::store::sqlite::truncate(&again).unwrap();
        assert_eq!(std::fs::metadata(&log).unwrap().len(), 0);
    }

    #[test]
    fn other_schemas_and_files_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let newer = dir.path().join("newer.db");
        open_writer(&newer).unwrap().pragma_update(None, "user_version", 5).unwrap();
        assert!(matches!(open_writer(&newer), Err(OpenError::Schema { found: 5 })));
        for version in [1, 2, 3] {
            let older = dir.path().join(format!("{version}.db"));
            open_writer(&older).unwrap().pragma_update(None, "user_version", version).unwrap();
            let refused = open_writer(&older).unwrap_err();
            assert!(matches!(refused, OpenError::OlderSchema { found } if found == version));
        }
        let foreign = dir.path().join("foreign.db");
        Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE x(y)").unwrap();
        assert!(matches!(open_writer(&foreign), Err(OpenError::NotOurs)));
        let damaged = dir.path().join("damaged.db");
        std::fs::write(&damaged, vec![7; 8192]).unwrap();
        assert!(matches!(open_writer(&damaged), Err(OpenError::Sqlite(_))));
    }
}
