//! The thread that moves the write-ahead log into the database.
//!
//! SQLite would do so inside a commit, and whoever waited for that commit would pay for a thousand pages and two more
//! syncs. Here it happens beside the commits, which are held up only for the last few pages. As a rule the file keeps
//! its length and is overwritten from its start: to cut a file of some megabytes takes the file system tens of
//! milliseconds in which nobody can commit. It is cut when bytes were deleted that must not stay in it.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    time::{Duration, Instant},
};

use rusqlite::{Connection, hooks::Action};

use super::{OpenError, schema};

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
/// Times that the log is moved beside the writers, who meanwhile add to it, before they wait for the rest.
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
    pub(super) fn watch(self: &Arc<Self>, connection: &Connection) {
        let log = self.clone();
        connection.update_hook(Some(move |action, _: &str, table: &str, _| {
            let overwrites = || matches!(table, "entries" | "knocks");
            if action == Action::SQLITE_DELETE || action == Action::SQLITE_UPDATE && overwrites() {
                log.deletes();
            }
        }));
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

pub(super) struct Checkpointer {
    connection: Connection,
    file: PathBuf,
    log: Arc<Log>,
    guard: Guard,
    ended: Receiver<()>,
}

impl Checkpointer {
    pub(super) fn new(path: &Path, log: Arc<Log>) -> Result<Self, OpenError> {
        let connection = schema::open_writer(path)?;
        connection.busy_timeout(READERS_WAIT)?;
        let file = path.with_extension("db-wal");
        let (guard, ended) = channel();
        Ok(Self { connection, file, log, guard, ended })
    }

    pub(super) fn guard(&self) -> Guard {
        self.guard.clone()
    }

    pub(super) fn run(self) {
        let Self { connection, file, log, guard, ended } = self;
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
            let moved = beside_writers(&connection)
                .and_then(|()| if cuts { truncate(&connection) } else { restart(&connection) });
            match moved {
                Ok(true) => {
                    seen = log.changes.fetch_sub(changes, Ordering::Relaxed) - changes;
                    continue;
                }
                Ok(false) => tracing::debug!("a reader still needs the write-ahead log"),
                // The log keeps everything until it works; the writer notices a full disk by itself.
                Err(error) => tracing::debug!(%error, "the write-ahead log could not be moved"),
            }
            if cuts {
                log.deleted.store(true, Ordering::Release);
            }
        }
    }
}

fn length(file: &Path) -> u64 {
    std::fs::metadata(file).map_or(0, |metadata| metadata.len())
}

/// Moves the log into the database, and goes on until little of what writers added meanwhile is left.
fn beside_writers(connection: &Connection) -> rusqlite::Result<()> {
    for _ in 0..ROUNDS_MAX {
        let rest: i64 = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
            Ok(row.get::<_, i64>(1)? - row.get::<_, i64>(2)?)
        })?;
        if rest <= REST_PAGES {
            break;
        }
    }
    Ok(())
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
