//! The writer thread: many requests, one transaction, one sync.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use hearth_rules::quota::Limits;
use rusqlite::{Connection, ErrorCode};
use tokio::sync::mpsc;

use super::{
    Batch, Bounds, Finish, Job, checkpoint,
    life::{self, Mark, Secrets},
    rows, schema,
};
use crate::{metrics::Metrics, registry::Registry, store::OpenError};

/// Maximum requests of one transaction: all waiting ones, so that they share a sync. The queue bounds them in bytes, see
/// [`super::WRITE_QUEUE_BYTES`].
const BATCH_MAX: usize = super::WRITE_QUEUE;
/// Pause of a failed store before the next attempt to open it.
const RECOVERY_PAUSE: Duration = Duration::from_millis(500);

pub(super) struct Writer {
    path: PathBuf,
    /// Identity of the file, see [`life::file_identity`].
    file: String,
    /// `None` after a failure, until the database is open again.
    connection: Option<Connection>,
    failed_at: Instant,
    /// Whether the log has reported that the file is gone or replaced.
    missed: bool,
    secrets: Secrets,
    memory: Memory,
    registry: Arc<Registry>,
    metrics: Arc<Metrics>,
    log: Arc<checkpoint::Log>,
}

/// State that outlives a transaction.
struct Memory {
    bounds: Bounds,
    mark: Mark,
}

impl Writer {
    pub(super) fn new(
        path: PathBuf,
        mut connection: Connection,
        secrets: Secrets,
        registry: Arc<Registry>,
        metrics: Arc<Metrics>,
        log: Arc<checkpoint::Log>,
        limits: Limits,
    ) -> rusqlite::Result<Self> {
        let dir = path.parent().unwrap_or(Path::new("")).to_owned();
        let memory = Memory {
            mark: Mark::open(&dir, life::life(&connection)?),
            bounds: Bounds::new(limits, dir, metrics.clone()),
        };
        let failed_at = Instant::now();
        log.watch(&mut connection)?;
        let file = life::file_identity(&path);
        Ok(Self {
            path,
            file,
            connection: Some(connection),
            failed_at,
            missed: false,
            secrets,
            memory,
            registry,
            metrics,
            log,
        })
    }

    /// Commits batches until every handle of the store is dropped.
    pub(super) fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        let mut batch: Vec<Job> = Vec::new();
        while jobs.blocking_recv_many(&mut batch, BATCH_MAX) > 0 {
            self.serve(&mut batch);
        }
        if let Some(connection) = &self.connection
            && let Err(error) = checkpoint::truncate(connection)
        {
            tracing::warn!(%error, "the last checkpoint failed; the next start repeats it");
        }
    }

    /// Commits requests in one transaction and answers them.
    pub(super) fn serve(&mut self, batch: &mut Vec<Job>) {
        if self.connection.is_none() {
            self.recover();
        }
        let started = Instant::now();
        let mut finishes = Vec::with_capacity(batch.len());
        let result = match &self.connection {
            Some(connection) => commit(
                connection,
                &self.secrets,
                &mut self.memory,
                &self.registry,
                &self.log,
                batch,
                &mut finishes,
            ),
            None => {
                // Dropping the requests answers them with `StoreUnavailable`.
                batch.clear();
                return;
            }
        };
        match result {
            Ok(appended) => {
                self.metrics.commit_latency.observe(started.elapsed());
                self.metrics.entries_appended.fetch_add(appended, Ordering::Relaxed);
                for finish in finishes {
                    finish();
                }
            }
            Err(error) => {
                let advice = advice(&error);
                tracing::error!(%error, "nothing can be stored; what asks for it is refused. {advice}");
                self.metrics.commit_failures.fetch_add(1, Ordering::Relaxed);
                self.metrics.store_ready.store(false, Ordering::Release);
                // Dropping the requests answers them.
                finishes.clear();
                batch.clear();
                // After a failed sync the kernel may treat the same pages as clean: never sync on that handle
                // again, and never continue a failed transaction.
                self.connection = None;
                self.failed_at = Instant::now();
                self.memory.bounds.forget();
            }
        }
    }

    fn recover(&mut self) {
        if self.failed_at.elapsed() < RECOVERY_PAUSE {
            return;
        }
        self.failed_at = Instant::now();
        let watched = reopen(&self.path, &self.file).and_then(|mut connection| {
            self.log.watch(&mut connection)?;
            let life = life::life(&connection)?;
            Ok((connection, life))
        });
        match watched {
            Ok((connection, life)) => {
                self.memory.mark.resume(life);
                self.registry.resynchronise(|place| {
                    rows::room(&connection, place).ok().flatten().map(|(_, row)| row.head)
                });
                self.connection = Some(connection);
                self.missed = false;
                self.metrics.store_ready.store(true, Ordering::Release);
                tracing::warn!("the store takes entries again");
            }
            Err(OpenError::Sqlite(error)) if checkpoint::is_sync(&error) => {
                checkpoint::end_process(&error)
            }
            Err(error @ OpenError::Elsewhere) if !std::mem::replace(&mut self.missed, true) => {
                tracing::error!("{error}; see whether its disk is mounted, then restart the relay");
            }
            Err(error) => tracing::debug!(%error, "the store is still not usable"),
        }
    }
}

/// Returns advice about a failed transaction, in one line for the log.
fn advice(error: &rusqlite::Error) -> &'static str {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => {
            "Free some space for the data directory; then it goes on by itself"
        }
        Some(ErrorCode::SystemIoFailure | ErrorCode::ReadOnly | ErrorCode::CannotOpen) => {
            "The disk fails or has turned read-only: see what the system's log says of it. \
             It goes on by itself once it can write again"
        }
        _ => "Check the disk; it tries again with the next request",
    }
}

/// Opens the store again after a failure. It must be the same file, because the readers still have it open. After a disk vanished,
/// an empty folder may be in its place, and a new store there would refuse every member as a stranger.
fn reopen(path: &Path, file: &str) -> Result<Connection, OpenError> {
    if life::file_identity(path) != file {
        return Err(OpenError::Elsewhere);
    }
    let connection = schema::reopen_writer(path)?;
    checkpoint::sync_log(&checkpoint::log_path(path))?;
    // With an empty WAL, nothing acknowledged from now on depends on bytes whose sync failed.
    if !checkpoint::truncate(&connection)? {
        return Err(OpenError::Reader);
    }
    connection.execute("UPDATE life SET writes = writes + 1", [])?;
    Ok(connection)
}

/// Applies requests in one transaction and returns the number of appended entries. The transaction is on disk when this
/// returns, so `finishes` may run then.
fn commit(
    connection: &Connection,
    secrets: &Secrets,
    memory: &mut Memory,
    registry: &Registry,
    log: &checkpoint::Log,
    jobs: &mut Vec<Job>,
    finishes: &mut Vec<Finish>,
) -> rusqlite::Result<u64> {
    let changes = connection.total_changes();
    connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
    let mut batch = Batch::new(connection, secrets, &mut memory.bounds);
    for job in jobs.drain(..) {
        finishes.push(job(&mut batch)?);
    }
    if batch.forgot {
        log.deletes();
    }
    let published = batch.published;
    let changed = connection.total_changes() != changes;
    if changed {
        connection.prepare_cached("UPDATE life SET writes = writes + 1")?.execute([])?;
    }
    connection.prepare_cached("COMMIT")?.execute([])?;
    if changed {
        memory.mark.acknowledged();
    }
    log.committed(connection.total_changes() - changes);
    let appended = published.iter().filter(|p| p.entry.is_some()).count();
    for publication in published {
        registry.publish(publication);
    }
    Ok(appended as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_store_is_reopened() {
        let dir = tempfile::tempdir().unwrap();
        let (path, away) = (dir.path().join("a.db"), dir.path().join("away"));
        let connection = schema::open_writer(&path).unwrap();
        let secrets = life::secrets(&connection).unwrap();
        let (registry, metrics, log) = Default::default();
        let file = path.clone();
        let mut writer =
            Writer::new(file, connection, secrets, registry, metrics, log, Limits::NONE).unwrap();
        let opens = |writer: &mut Writer, failed_at: Instant| {
            (writer.connection, writer.failed_at) = (None, failed_at);
            writer.recover();
            writer.connection.is_some()
        };
        let long_ago = || Instant::now().checked_sub(RECOVERY_PAUSE).unwrap();
        assert!(opens(&mut writer, long_ago()));
        // Not before the pause is over.
        assert!(!opens(&mut writer, Instant::now()));

        // The file is gone, as with an unmounted disk.
        std::fs::rename(&path, &away).unwrap();
        assert!(!opens(&mut writer, long_ago()));
        assert!(!path.exists());
        assert!(writer.missed);
        // A folder or another store is in its place.
        std::fs::create_dir(&path).unwrap();
        assert!(!opens(&mut writer, long_ago()));
        std::fs::remove_dir(&path).unwrap();
        drop(schema::open_writer(&path).unwrap());
        assert!(!opens(&mut writer, long_ago()));

        // The file is back.
        std::fs::rename(&away, &path).unwrap();
        assert!(opens(&mut writer, long_ago()));
        assert!(!writer.missed);
        // The same file is damaged.
        writer.connection = None;
        std::fs::remove_file(path.with_extension("db-wal")).unwrap();
        std::fs::write(&path, [7; 8192]).unwrap();
        assert!(!opens(&mut writer, long_ago()));
    }

    #[test]
    fn advice_matches_the_failure() {
        let said =
            |code| advice(&rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None));
        assert!(said(rusqlite::ffi::SQLITE_FULL).starts_with("Free some space"));
        assert!(said(rusqlite::ffi::SQLITE_IOERR_WRITE).starts_with("The disk fails"));
        assert!(said(rusqlite::ffi::SQLITE_CORRUPT).starts_with("Check the disk"));
    }
}
