//! The thread that moves the write-ahead log into the database.
//!
//! SQLite would do so inside a commit, and whoever waited for that commit would pay for a thousand pages and two
//! more syncs. Here it happens beside the commits; only when the log outgrows its bound are they held up.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::Ordering,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    time::Duration,
};

use rusqlite::Connection;

use super::{OpenError, schema};
use crate::metrics::Metrics;

/// Between two looks at what was written.
const PAUSE: Duration = Duration::from_millis(500);
/// Looks after which even a little is moved, and the log emptied.
const LOOKS_MAX: u32 = 20;
/// Pages written, as far as can be guessed, from which on they are worth moving: 8 MiB.
const PASSIVE_PAGES: u64 = 2048;
/// Pages of the log from which on writers wait until all of it is moved: 64 MiB.
const RESTART_PAGES: u64 = 16 * 1024;

/// Keeps the checkpointer running as long as it lives.
pub(super) type Guard = Sender<()>;

pub(super) struct Checkpointer {
    connection: Connection,
    metrics: Arc<Metrics>,
    guard: Guard,
    ended: Receiver<()>,
}

impl Checkpointer {
    pub(super) fn new(path: &Path, metrics: Arc<Metrics>) -> Result<Self, OpenError> {
        let connection = schema::open_writer(path)?;
        let (guard, ended) = channel();
        Ok(Self { connection, metrics, guard, ended })
    }

    pub(super) fn guard(&self) -> Guard {
        self.guard.clone()
    }

    pub(super) fn run(self) {
        let Self { connection, metrics, guard, ended } = self;
        drop(guard);
        let (mut moved, mut looks) = (0, 0);
        while ended.recv_timeout(PAUSE) == Err(RecvTimeoutError::Timeout) {
            let written = pages_written(&metrics);
            looks += 1;
            let result = if written - moved >= PASSIVE_PAGES {
                advance(&connection)
            } else if looks >= LOOKS_MAX && written > moved {
                // Little to move and few who wait: what was deleted goes from the log as well.
                truncate(&connection)
            } else {
                continue;
            };
            (moved, looks) = (written, 0);
            if let Err(error) = result {
                // The log keeps everything until it works; the writer notices a full disk by itself.
                tracing::debug!(%error, "the write-ahead log could not be moved");
            }
        }
    }
}

/// Guesses the pages that went into the log: a few for each transaction, and one for each entry's id.
fn pages_written(metrics: &Metrics) -> u64 {
    metrics.commit_latency.count() * 4 + metrics.entries_appended.load(Ordering::Relaxed)
}

/// Moves what can be moved beside the writer; everything, if the log has outgrown its bound.
///
/// The file keeps its length and is written from its start again: growing it with every round, and freeing it, took
/// more of the processor than the entries themselves.
fn advance(connection: &Connection) -> rusqlite::Result<()> {
    let pages: i64 =
        connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get(1))?;
    if u64::try_from(pages).unwrap_or(0) > RESTART_PAGES {
        connection.query_row("PRAGMA wal_checkpoint(RESTART)", [], |_| Ok(()))?;
    }
    Ok(())
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
