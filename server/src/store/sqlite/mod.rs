//! The store in one SQLite file.
//!
//! One thread writes and commits many requests at once; an answer leaves only after its commit is on disk. Reading
//! uses its own connections and goes on when writing fails. A verb is a function of a [`Batch`] (or a read connection), its
//! arguments and a `now` that is passed in: it loads, lets `hearth-rules` decide, and saves.

pub(super) mod admission;
pub(super) mod blobs;
mod bounds;
mod checkpoint;
pub(super) mod grants;
pub(super) mod lanes;
pub(super) mod life;
mod load;
pub(super) mod notes;
pub(super) mod operator;
pub(super) mod read;
pub(super) mod retention;
mod rows;
mod save;
pub(super) mod schema;
pub(super) mod submit;
mod writer;

#[cfg(test)]
mod tests;

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use hearth_protocol::{Millis, RejectCode, StreamId};
use hearth_rules::{Context, Refusal, Room, quota::Limits};
use rusqlite::Connection;
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::{Committed, OpenError, Place, Publication, check_present, database_path};
use crate::{metrics::Metrics, registry::Registry};

use bounds::Bounds;
#[cfg(test)]
use checkpoint::truncate;
pub(crate) use schema::SCHEMA_VERSION;

/// Maximum requests that wait for the writer; beyond it, senders wait at their sockets.
const WRITE_QUEUE: usize = 4096;
/// Maximum bytes of the requests that wait for the writer or are in its transaction; beyond it, senders wait at their sockets.
const WRITE_QUEUE_BYTES: usize = 8 * 1024 * 1024;
/// Bytes that a request costs besides its content.
const JOB_BYTES: usize = 512;
/// Maximum requests that wait for one reader.
const READ_QUEUE: usize = 256;
/// Threads that read. One core's copying limits catch-up, not seeking.
const READERS: usize = 2;

/// Why a verb changed nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// A rule refused it before anything was written.
    #[error("refused")]
    Refused(Refusal),
    /// The store failed; the whole transaction is dropped.
    #[error("the store failed")]
    Store(#[from] rusqlite::Error),
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<RejectCode> for Fault {
    fn from(code: RejectCode) -> Self {
        Self::Refused(code.into())
    }
}

/// One open transaction that verbs write to.
pub(super) struct Batch<'a> {
    pub(super) db: &'a Connection,
    secrets: &'a life::Secrets,
    bounds: &'a mut Bounds,
    published: Vec<Publication>,
    /// Whether expired rows were deleted.
    forgot: bool,
}

impl<'a> Batch<'a> {
    fn new(db: &'a Connection, secrets: &'a life::Secrets, bounds: &'a mut Bounds) -> Self {
        Self { db, secrets, bounds, published: Vec::new(), forgot: false }
    }

    /// Lets a rule decide. A refusal needs no undo, because nothing was written yet.
    fn decide<T>(
        &mut self,
        now: Millis,
        rule: impl FnOnce(&mut Context<'_>) -> Result<T, Refusal>,
    ) -> Result<T, Fault> {
        let Bounds { pace, notes, quota, disk, .. } = &mut *self.bounds;
        let decided = rule(&mut Context { now, pace, notes, quota, disk, names: self.secrets });
        self.bounds.note_refused();
        Ok(decided?)
    }

    /// Notifies listeners in memory once the transaction is on disk.
    fn publish(&mut self, place: &Place, room: &mut Room, entry: Option<Arc<[u8]>>) {
        let hearth_rules::News { roster, knocked, tombstones } = std::mem::take(&mut room.news);
        let (place, head) = (*place, room.row.head);
        let entry = entry.map(|bytes| (head, bytes));
        let note = None;
        let publication = Publication { place, head, entry, tombstones, roster, knocked, note };
        self.published.push(publication);
    }
}

/// Sends the answer once the transaction is on disk; dropped if it never gets there.
type Finish = Box<dyn FnOnce() + Send>;
/// One request to the writer.
type Job = Box<dyn FnOnce(&mut Batch<'_>) -> rusqlite::Result<Finish> + Send>;
/// One request to a reader.
type ReadJob = Box<dyn FnOnce(&Connection) + Send>;

/// The writer and the readers of an open database.
pub(super) struct Sqlite {
    /// The writer and reader that run on the caller's thread; in a simulation only.
    here: Option<std::sync::Mutex<Here>>,
    writer: mpsc::Sender<Job>,
    /// Permits for bytes that wait for the writer.
    places: Arc<Semaphore>,
    readers: Vec<mpsc::Sender<ReadJob>>,
    next_reader: AtomicUsize,
    pub(super) secrets: life::Secrets,
    pub(super) stream: StreamId,
    pub(super) path: PathBuf,
    pub(super) metrics: Arc<Metrics>,
    /// Ends the checkpointer when dropped.
    _open: checkpoint::Guard,
}

/// A writer and a reader without threads.
struct Here {
    writer: writer::Writer,
    reader: Connection,
}

/// The threads of an open store, to be joined at the end.
pub(crate) struct Threads {
    threads: Vec<std::thread::JoinHandle<()>>,
    /// Closed when no connection is left; see [`checkpoint::Checkpointer::database`].
    _database: Arc<std::fs::File>,
}

impl Threads {
    /// Waits for the threads, which end when the last [`Store`] handle is dropped.
    pub(crate) fn join(self) {
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a thread of the store had panicked");
            }
        }
    }
}

impl Sqlite {
    /// Opens the store of a data directory and starts its threads.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub(super) fn open(
        dir: &Path,
        registry: Arc<Registry>,
        metrics: Arc<Metrics>,
        limits: Limits,
    ) -> Result<(Self, Threads), OpenError> {
        let path = database_path(dir);
        check_present(dir)?;
        let connection = schema::open_writer(&path)?;
        let secrets = life::secrets(&connection)?;
        let stream = life::begin(&connection, dir, &path)?;
        let (writer, jobs) = mpsc::channel(WRITE_QUEUE);
        let mut threads = Vec::with_capacity(READERS + 2);
        let log = Arc::new(checkpoint::Log::default());
        let writer_thread = writer::Writer::new(
            path.clone(),
            connection,
            secrets.clone(),
            registry,
            metrics.clone(),
            log.clone(),
            limits,
        )?;
        threads.push(spawn("store-writer", move || writer_thread.run(jobs))?);
        let checkpointer = checkpoint::Checkpointer::new(&path, log)?;
        let open_end = checkpointer.guard();
        let database = checkpointer.database();
        threads.push(spawn("store-checkpoint", move || checkpointer.run())?);
        let mut readers = Vec::with_capacity(READERS);
        for _ in 0..READERS {
            let connection = schema::open_reader(&path)?;
            let (sender, mut jobs) = mpsc::channel::<ReadJob>(READ_QUEUE);
            threads.push(spawn("store-reader", move || {
                while let Some(job) = jobs.blocking_recv() {
                    job(&connection);
                }
            })?);
            readers.push(sender);
        }
        let next_reader = AtomicUsize::new(0);
        let store = Self {
            here: None,
            writer,
            places: Arc::new(Semaphore::new(WRITE_QUEUE_BYTES)),
            readers,
            next_reader,
            secrets,
            stream,
            path,
            metrics,
            _open: open_end,
        };
        Ok((store, Threads { threads, _database: database }))
    }

    /// Opens a store whose verbs run on the caller's thread, each in its own transaction, so that a simulation depends on no
    /// thread.
    ///
    /// # Errors
    /// See [`OpenError`].
    #[cfg(any(test, feature = "testing"))]
    pub(super) fn open_here(
        dir: &Path,
        registry: Arc<Registry>,
        metrics: Arc<Metrics>,
        limits: Limits,
    ) -> Result<Self, OpenError> {
        let path = database_path(dir);
        check_present(dir)?;
        let connection = schema::open_writer(&path)?;
        let secrets = life::secrets(&connection)?;
        let stream = life::begin(&connection, dir, &path)?;
        let reader = schema::open_reader(&path)?;
        let log = Arc::default();
        let (file, counted) = (path.clone(), metrics.clone());
        let writer =
            writer::Writer::new(file, connection, secrets.clone(), registry, counted, log, limits)?;
        let (nobody, _) = mpsc::channel(1);
        let (_open, _) = std::sync::mpsc::channel();
        Ok(Self {
            here: Some(std::sync::Mutex::new(Here { writer, reader })),
            writer: nobody,
            places: Arc::new(Semaphore::new(WRITE_QUEUE_BYTES)),
            readers: Vec::new(),
            next_reader: AtomicUsize::new(0),
            secrets,
            stream,
            path,
            metrics,
            _open,
        })
    }

    /// Returns the number of requests that wait for the writer.
    pub(super) fn queue_depth(&self) -> usize {
        WRITE_QUEUE - self.writer.capacity()
    }

    /// Returns the bytes of the requests that wait for the writer or are in its transaction.
    pub(super) fn queue_bytes(&self) -> usize {
        WRITE_QUEUE_BYTES - self.places.available_permits()
    }

    /// Hands a verb to the writer. The returned answer comes after its commit is on disk.
    ///
    /// Waits only for a place in the writer's queue; requests of one caller are applied in order.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        verb: impl FnOnce(&mut Batch<'_>) -> Result<T, Fault> + Send + 'static,
    ) -> Committed<T> {
        self.write_bytes(0, verb).await
    }

    /// Hands a verb with its number of bytes to the writer, like [`Self::write`].
    pub(super) async fn write_bytes<T: Send + 'static>(
        &self,
        bytes: usize,
        verb: impl FnOnce(&mut Batch<'_>) -> Result<T, Fault> + Send + 'static,
    ) -> Committed<T> {
        self.enqueue(bytes, verb).await
    }

    async fn enqueue<T: Send + 'static>(
        &self,
        bytes: usize,
        verb: impl FnOnce(&mut Batch<'_>) -> Result<T, Fault> + Send + 'static,
    ) -> Committed<T> {
        let (answer, committed) = oneshot::channel();
        let bytes = bytes.saturating_add(JOB_BYTES).min(WRITE_QUEUE_BYTES);
        let place = match (&self.here, u32::try_from(bytes)) {
            (None, Ok(bytes)) => self.places.clone().acquire_many_owned(bytes).await.ok(),
            _ => None,
        };
        let job: Job = Box::new(move |batch| {
            let result = match verb(batch) {
                Ok(value) => Ok(value),
                Err(Fault::Refused(refusal)) => Err(refusal),
                Err(Fault::Store(error)) => return Err(error),
            };
            Ok(Box::new(move || {
                drop(place);
                // If the connection is gone, nothing waits for the answer; the entry stays.
                let _ = answer.send(result);
            }))
        });
        if let Some(here) = &self.here {
            let mut here = here.lock().unwrap_or_else(PoisonError::into_inner);
            here.writer.serve(&mut vec![job]);
        } else if self.writer.send(job).await.is_err() {
            tracing::error!("the store's writer is gone");
        }
        Committed(committed)
    }

    /// Runs a verb on a read connection.
    ///
    /// # Errors
    /// The verb's refusal, or [`RejectCode::StoreUnavailable`].
    pub(super) async fn read<T: Send + 'static>(
        &self,
        verb: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Refusal> {
        let (answer, result) = oneshot::channel();
        let index = self.next_reader.fetch_add(1, Ordering::Relaxed) % self.readers.len().max(1);
        let job: ReadJob = Box::new(move |db| {
            let _ = answer.send(verb(db));
        });
        let unavailable = || Refusal::from(RejectCode::StoreUnavailable);
        if let Some(here) = &self.here {
            job(&here.lock().unwrap_or_else(PoisonError::into_inner).reader);
        } else {
            let reader = self.readers.get(index).ok_or_else(unavailable)?;
            reader.send(job).await.map_err(|_| unavailable())?;
        }
        match result.await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(Fault::Refused(refusal))) => Err(refusal),
            Ok(Err(Fault::Store(error))) => {
                self.metrics.read_failures.fetch_add(1, Ordering::Relaxed);
                tracing::error!(%error, "reading from the store failed");
                Err(unavailable())
            }
            Err(_) => Err(unavailable()),
        }
    }
}

fn spawn(
    name: &str,
    body: impl FnOnce() + Send + 'static,
) -> std::io::Result<std::thread::JoinHandle<()>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(body)
}
