//! The thread that moves the write-ahead log into the database.
//!
//! SQLite would do so inside a commit, and whoever waited for that commit would pay for a thousand pages and two
//! more syncs. Here it happens beside the commits; only when the log outgrows its bound are they held up.

use std::{
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    time::Duration,
};

use rusqlite::Connection;

use super::{OpenError, schema};

/// Between two looks at the log's size.
const PAUSE: Duration = Duration::from_millis(500);
/// Bytes of the log from which on it is worth moving.
const PASSIVE_BYTES: u64 = 4 * 1024 * 1024;
/// Bytes of the log from which on writers wait until it is moved.
const TRUNCATE_BYTES: u64 = 64 * 1024 * 1024;

/// Keeps the checkpointer running as long as it lives.
pub(super) type Guard = Sender<()>;

pub(super) struct Checkpointer {
    connection: Connection,
    log: PathBuf,
    guard: Guard,
    ended: Receiver<()>,
}

impl Checkpointer {
    pub(super) fn new(path: &Path) -> Result<Self, OpenError> {
        let connection = schema::open_writer(path)?;
        let log = path.with_extension("db-wal");
        let (guard, ended) = channel();
        Ok(Self { connection, log, guard, ended })
    }

    pub(super) fn guard(&self) -> Guard {
        self.guard.clone()
    }

    pub(super) fn run(self) {
        let Self { connection, log, guard, ended } = self;
        drop(guard);
        while ended.recv_timeout(PAUSE) == Err(RecvTimeoutError::Timeout) {
            let bytes = std::fs::metadata(&log).map_or(0, |metadata| metadata.len());
            let moved = match bytes {
                TRUNCATE_BYTES.. => truncate(&connection),
                PASSIVE_BYTES.. => {
                    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
                }
                _ => Ok(()),
            };
            if let Err(error) = moved {
                // The log keeps everything until it works; the writer notices a full disk by itself.
                tracing::debug!(%error, "the write-ahead log could not be moved");
            }
        }
    }
}

/// Moves the log into the database and empties it, so that deleted bytes are gone from both.
pub(crate) fn truncate(connection: &Connection) -> rusqlite::Result<()> {
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| {
        let busy: i64 = row.get(0)?;
        if busy != 0 {
            tracing::debug!("a reader kept the checkpoint from finishing");
        }
        Ok(())
    })
}
