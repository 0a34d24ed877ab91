//! The thread that moves the write-ahead log into the database.
//!
//! SQLite would do so inside a commit, and the request waiting for that commit would pay for a thousand pages and two more
//! syncs. Here it happens beside the commits, which wait only for the last few pages. As a rule the file keeps
//! its length and is overwritten from its start, because truncating a file of some megabytes takes the file system tens of
//! milliseconds in which nothing can commit. It is truncated when deleted bytes must not stay in it.
//!
//! A failed sync of the database ends the process. After it the kernel treats the unwritten pages as clean, so that a later
//! sync would succeed without them, and the log, which still has them, would be overwritten (Rebello et al., "Can
//! Applications Recover from fsync Failures?", USENIX ATC 2020). The next start applies the log from its beginning.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    process,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    time::{Duration, Instant},
};

use rusqlite::{Connection, ffi, hooks::Action};

use super::schema;
use crate::store::OpenError;

/// Pause between two checks of the log.
const PAUSE: Duration = Duration::from_millis(100);
/// Changed rows that trigger a move of the log. A page is moved once however often it changed, so more changes make it cheaper.
const MOVE_CHANGES: u64 = 8_192;
/// Maximum bytes of the log's file while no member writes.
const QUIET_BYTES: u64 = 16 * 1024 * 1024;
/// Minimum pause between two truncations, however often content is deleted.
const CUT_PAUSE: Duration = Duration::from_secs(1);
/// Pages for which writers may wait: at some microseconds each, plus a sync, members do not notice.
const REST_PAGES: i64 = 512;
/// Maximum rounds of moving and syncing beside the writers before they wait for the rest.
const ROUNDS_MAX: u32 = 3;
/// Time for which writers wait for a reader that still needs the log. The next round tries again.
const READERS_WAIT: Duration = Duration::from_millis(20);

/// The writer's notes about the log.
#[derive(Debug, Default)]
pub(super) struct Log {
    /// Rows changed by commits.
    changes: AtomicU64,
    /// Whether the present transaction deletes content.
    deleting: AtomicBool,
    /// Whether a commit deleted content that the log may still hold.
    deleted: AtomicBool,
}

impl Log {
    /// Makes the connection note deletions of content.
    ///
    /// SQLite reports changes of tables with row ids only. Those are the ones with content: entries, knocks, invites, blobs. Retention
    /// deletes from other tables, too, and calls [`Self::deletes`] itself.
    pub(super) fn watch(self: &Arc<Self>, connection: &mut Connection) -> rusqlite::Result<()> {
        let log = self.clone();
        connection.update_hook(Some(move |action, _: &str, table: &str, _| {
            let overwrites = || matches!(table, "entries" | "knocks");
            if action == Action::SQLITE_DELETE || action == Action::SQLITE_UPDATE && overwrites() {
                log.deletes();
            }
        }))
    }

    /// Notes that the present transaction deletes content that must not stay in the log.
    pub(super) fn deletes(&self) {
        self.deleting.store(true, Ordering::Relaxed);
    }

    /// Notes a commit that changed this many rows.
    pub(super) fn committed(&self, changes: u64) {
        self.changes.fetch_add(changes, Ordering::Relaxed);
        if self.deleting.swap(false, Ordering::Relaxed) {
            self.deleted.store(true, Ordering::Release);
        }
    }
}

/// Keeps the checkpointer running while it exists.
pub(super) type Guard = Sender<()>;

/// Why the log was not moved.
#[derive(Debug, thiserror::Error)]
enum MoveError {
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// The log could not be synced; the database is untouched.
    #[error(transparent)]
    Log(io::Error),
    /// The database could not be synced.
    #[error(transparent)]
    Sync(io::Error),
}

pub(super) struct Checkpointer {
    connection: Connection,
    /// Handle that syncs the database without SQLite, which syncs only while writers wait. Closing it would release SQLite's locks,
    /// because POSIX counts them by process and file.
    database: Arc<File>,
    file: PathBuf,
    log: Arc<Log>,
    guard: Guard,
    ended: Receiver<()>,
}

impl Checkpointer {
    pub(super) fn new(path: &Path, log: Arc<Log>) -> Result<Self, OpenError> {
        let connection = schema::open_writer(path)?;
        connection.busy_timeout(READERS_WAIT)?;
        let database = Arc::new(File::open(path)?);
        let file = log_path(path);
        let (guard, ended) = channel();
        Ok(Self { connection, database, file, log, guard, ended })
    }

    /// Returns the handle that must stay open until every connection is closed.
    pub(super) fn database(&self) -> Arc<File> {
        self.database.clone()
    }

    pub(super) fn guard(&self) -> Guard {
        self.guard.clone()
    }

    pub(super) fn run(self) {
        let Self { connection, database, file, log, guard, ended } = self;
        drop(guard);
        // The log may still hold content that was deleted just before the last end.
        log.deleted.store(true, Ordering::Release);
        let (mut cut_at, mut seen): (Option<Instant>, _) = (None, 0);
        while ended.recv_timeout(PAUSE) == Err(RecvTimeoutError::Timeout) {
            let changes = log.changes.load(Ordering::Relaxed);
            let quiet = changes == std::mem::replace(&mut seen, changes);
            let rests = cut_at.is_some_and(|at| at.elapsed() < CUT_PAUSE);
            let cuts = !rests
                && (log.deleted.load(Ordering::Acquire) || quiet && length(&file) > QUIET_BYTES);
            if !cuts && changes < MOVE_CHANGES {
                continue;
            }
            if cuts {
                cut_at = Some(Instant::now());
                // Reset first, so that a deletion meanwhile counts for the next truncation.
                log.deleted.store(false, Ordering::Release);
            }
            let moved = sync_log(&file)
                .map_err(MoveError::Log)
                .and_then(|()| beside_writers(&connection, &database))
                .and_then(|()| {
                    Ok(if cuts { truncate(&connection) } else { restart(&connection) }?)
                });
            match moved {
                Ok(true) => {
                    seen = log.changes.fetch_sub(changes, Ordering::Relaxed) - changes;
                    continue;
                }
                Ok(false) => tracing::debug!("a reader still needs the write-ahead log"),
                Err(MoveError::Sync(error)) => end_process(&error),
                Err(MoveError::Sqlite(error)) if is_sync(&error) => end_process(&error),
                // The log keeps everything until it works; the writer itself notices a full disk.
                Err(error) => tracing::debug!(%error, "the write-ahead log could not be moved"),
            }
            if cuts {
                log.deleted.store(true, Ordering::Release);
            }
        }
    }
}

/// Returns the path of a database's log.
pub(super) fn log_path(database: &Path) -> PathBuf {
    database.with_extension("db-wal")
}

fn length(file: &Path) -> u64 {
    std::fs::metadata(file).map_or(0, |metadata| metadata.len())
}

/// Syncs the log through its own handle. After a failure the database is untouched, and the caller may try again.
pub(super) fn sync_log(file: &Path) -> io::Result<()> {
    File::open(file)?.sync_data()
}

/// Moves the log into the database and syncs that, and repeats until writers added little meanwhile, because SQLite itself would
/// sync all of it while they wait.
fn beside_writers(connection: &Connection, database: &File) -> Result<(), MoveError> {
    let mut before = 0;
    for _ in 0..ROUNDS_MAX {
        let now: i64 =
            connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get(2))?;
        database.sync_data().map_err(MoveError::Sync)?;
        if now - before <= REST_PAGES {
            break;
        }
        before = now;
    }
    Ok(())
}

/// Whether a sync failed.
pub(super) fn is_sync(error: &rusqlite::Error) -> bool {
    matches!(error, rusqlite::Error::SqliteFailure(error, _)
        if error.extended_code == ffi::SQLITE_IOERR_FSYNC)
}

/// Ends the process after a failed sync during a move of the log.
pub(super) fn end_process(error: &dyn std::error::Error) -> ! {
    tracing::error!(
        %error,
        "the disk did not take what it was given; nothing acknowledged is lost if the relay ends now. \
         See what the system's log says of the disk, then start the relay again"
    );
    process::exit(1)
}

/// Moves the whole log into the database, so that the next commit overwrites it from its start. `false` if a reader
/// prevents it.
fn restart(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("PRAGMA wal_checkpoint(RESTART)", [], |row| Ok(row.get::<_, i64>(0)? == 0))
}

/// Moves the whole log into the database and empties it, so that deleted bytes are gone from both. `false` if a reader
/// prevents it.
pub(crate) fn truncate(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row(
        "PRAGMA wal_checkpoint(TRUNCATE)",
        [],
        |row| Ok(row.get::<_, i64>(0)? == 0),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reader_of_the_log_is_reported() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        let writer = schema::open_writer(&path).unwrap();
        writer.busy_timeout(READERS_WAIT).unwrap();
        let reader = schema::open_reader(&path).unwrap();
        let count = |reader: &Connection| {
            reader.query_row("SELECT count(*) FROM entries", [], |row| row.get::<_, i64>(0))
        };
        reader.execute_batch("BEGIN").unwrap();
        count(&reader).unwrap();
        writer.execute("UPDATE life SET writes = writes + 1", []).unwrap();
        assert!(!restart(&writer).unwrap());
        assert!(!truncate(&writer).unwrap());
        assert!(length(&log_path(&path)) > 0);
        reader.execute_batch("COMMIT").unwrap();
        assert!(restart(&writer).unwrap());
        assert!(length(&log_path(&path)) > 0);
        assert!(truncate(&writer).unwrap());
        assert_eq!(length(&log_path(&path)), 0);
    }

    #[test]
    fn content_left_in_log_is_noted() {
        let dir = tempfile::tempdir().unwrap();
        let mut connection = schema::open_writer(&dir.path().join("a.db")).unwrap();
        let log = Arc::new(Log::default());
        log.watch(&mut connection).unwrap();
        for (told, sql) in [
            (false, "INSERT INTO entries VALUES (1, 0, x'', x'02', NULL, x'01')"),
            (true, "UPDATE entries SET payload = NULL WHERE key = 1"),
            (true, "DELETE FROM entries WHERE key = 1"),
            (false, "INSERT INTO knocks VALUES (1, x'', x'', x'', x'', x'', x'01', 0, 0, x'')"),
            (true, "UPDATE knocks SET declined = 1, body = x'' WHERE room = 1"),
            (true, "DELETE FROM knocks WHERE room = 1"),
            (false, "INSERT INTO invites VALUES (1, x'', 1, 0, x'', x'01')"),
            (false, "UPDATE invites SET uses_left = 0 WHERE room = 1"),
            (true, "DELETE FROM invites WHERE room = 1"),
            (false, "INSERT INTO blobs VALUES (1, x'', 0, x'01')"),
            (true, "DELETE FROM blobs WHERE room = 1"),
            (false, "UPDATE life SET writes = writes + 1"),
        ] {
            connection.execute(sql, []).unwrap();
            log.committed(1);
            assert_eq!(log.deleted.swap(false, Ordering::Relaxed), told, "{sql}");
        }
        assert_eq!(log.changes.load(Ordering::Relaxed), 12);
    }

    #[test]
    fn log_moved_beside_writers_reaches_database() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        let writer = schema::open_writer(&path).unwrap();
        writer.execute_batch("CREATE TABLE a(b); INSERT INTO a VALUES ('canary')").unwrap();
        let file = File::open(&path).unwrap();
        let is_there = || std::fs::read(&path).unwrap().windows(6).any(|part| part == b"canary");
        assert!(!is_there());
        beside_writers(&writer, &file).unwrap();
        assert!(is_there());
    }

    #[test]
    fn only_failed_syncs_count_as_such() {
        let failure = |code| rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
        assert!(is_sync(&failure(ffi::SQLITE_IOERR_FSYNC)));
        assert!(!is_sync(&failure(ffi::SQLITE_IOERR_WRITE)));
        assert!(!is_sync(&failure(ffi::SQLITE_FULL)));
    }
}
