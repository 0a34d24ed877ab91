//! The thread that moves the write-ahead log into the database.
//!
//! SQLite would do so inside a commit, and whoever waited for that commit would pay for a thousand pages and two more
//! syncs. Here it happens beside the commits, which are held up only for the last few pages. As a rule the file keeps
//! its length and is overwritten from its start: to cut a file of some megabytes takes the file system tens of
//! milliseconds in which nobody can commit. It is cut when bytes were deleted that must not stay in it.
//!
//! A sync of the database that fails ends the process. The kernel then calls the pages clean that it could not write, so that a later
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

/// Between two looks at the log.
const PAUSE: Duration = Duration::from_millis(100);
/// Changed rows from which on the log is moved. A page that many of them changed is moved once: the more, the cheaper.
const MOVE_CHANGES: u64 = 8_192;
/// Bytes that the log's file may keep when nobody writes.
const QUIET_BYTES: u64 = 16 * 1024 * 1024;
/// Between two cuts, however often something is deleted.
const CUT_PAUSE: Duration = Duration::from_secs(1);
/// Pages for which writers may wait: at some microseconds each, and a sync, they do not notice.
const REST_PAGES: i64 = 512;
/// Times that the log is moved and synced beside the writers, who meanwhile add to it, before they wait for the rest.
const ROUNDS_MAX: u32 = 3;
/// For how long writers are held up for a reader who still needs the log. The next look tries again.
const READERS_WAIT: Duration = Duration::from_millis(20);

/// What the writer tells about the log.
#[derive(Debug, Default)]
pub(super) struct Log {
    /// Rows changed by commits.
    changes: AtomicU64,
    /// Whether the transaction under way deletes content.
    deleting: AtomicBool,
    /// Whether a commit deleted content which the log may still hold.
    deleted: AtomicBool,
}

impl Log {
    /// Has the connection tell when it deletes what somebody wrote.
    ///
    /// SQLite tells of tables with row ids. Those are the ones with content: entries, knocks, invites, blobs. Retention
    /// deletes from the others, too, and says so itself, see [`Self::deletes`].
    pub(super) fn watch(self: &Arc<Self>, connection: &mut Connection) -> rusqlite::Result<()> {
        let log = self.clone();
        connection.update_hook(Some(move |action, _: &str, table: &str, _| {
            let overwrites = || matches!(table, "entries" | "knocks");
            if action == Action::SQLITE_DELETE || action == Action::SQLITE_UPDATE && overwrites() {
                log.deletes();
            }
        }))
    }

    /// Notes that the transaction under way deletes what must not stay in the log.
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

/// Keeps the checkpointer running as long as it lives.
pub(super) type Guard = Sender<()>;

/// Why the log was not moved.
#[derive(Debug, thiserror::Error)]
enum MoveError {
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// The log could not be synced; the database was not touched.
    #[error(transparent)]
    Log(io::Error),
    /// The database could not be synced.
    #[error(transparent)]
    Sync(io::Error),
}

pub(super) struct Checkpointer {
    connection: Connection,
    /// To sync the database without SQLite, which does it only while writers wait. Closing it would end SQLite's locks:
    /// POSIX counts them by process and file.
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

    /// What must not be closed before every connection is.
    pub(super) fn database(&self) -> Arc<File> {
        self.database.clone()
    }

    pub(super) fn guard(&self) -> Guard {
        self.guard.clone()
    }

    pub(super) fn run(self) {
        let Self { connection, database, file, log, guard, ended } = self;
        drop(guard);
        // What was deleted just before the last end may be in the log still.
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
                // Before: what is deleted meanwhile counts for the next cut.
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
                // The log keeps everything until it works; the writer notices a full disk by itself.
                Err(error) => tracing::debug!(%error, "the write-ahead log could not be moved"),
            }
            if cuts {
                log.deleted.store(true, Ordering::Release);
            }
        }
    }
}

/// The log of a database.
pub(super) fn log_path(database: &Path) -> PathBuf {
    database.with_extension("db-wal")
}

fn length(file: &Path) -> u64 {
    std::fs::metadata(file).map_or(0, |metadata| metadata.len())
}

/// Syncs the log, on a handle of its own. Where that fails, the database was not touched yet, and it may be tried again.
pub(super) fn sync_log(file: &Path) -> io::Result<()> {
    File::open(file)?.sync_data()
}

/// Moves the log into the database and syncs that, and goes on until writers added little meanwhile. SQLite itself would
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

/// Ends the process after a sync that failed while the log was moved.
pub(super) fn end_process(error: &dyn std::error::Error) -> ! {
    tracing::error!(
        %error,
        "the disk did not take what it was given; nothing acknowledged is lost if the relay ends now. \
         See what the system's log says of the disk, then start the relay again"
    );
    process::exit(1)
}

/// Moves the whole log into the database, so that the next commit overwrites it from its start. `false` if a reader is in
/// the way.
fn restart(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("PRAGMA wal_checkpoint(RESTART)", [], |row| Ok(row.get::<_, i64>(0)? == 0))
}

/// Moves the whole log into the database and empties it, so that deleted bytes are gone from both. `false` if a reader is
/// in the way.
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
    fn a_reader_who_needs_the_log_is_told_of() {
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
    fn what_leaves_content_in_the_log_is_told() {
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
    fn what_is_moved_beside_writers_is_in_the_database() {
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
    fn only_a_sync_that_failed_is_one() {
        let failure = |code| rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
        assert!(is_sync(&failure(ffi::SQLITE_IOERR_FSYNC)));
        assert!(!is_sync(&failure(ffi::SQLITE_IOERR_WRITE)));
        assert!(!is_sync(&failure(ffi::SQLITE_FULL)));
    }
}
