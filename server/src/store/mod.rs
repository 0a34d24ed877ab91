//! The relay's only truth: an append-only log per room, the roster and the rules, in SQLite.
//!
//! One thread writes, and commits many requests at once; an answer leaves only after the commit that holds it is
//! on disk. Reading has connections of its own and goes on when writing cannot. Verbs are functions of a
//! [`Batch`] (or a read connection), their arguments and a `now` that is passed in, so that rules are tested
//! without waiting.

pub(crate) mod blobs;
mod checkpoint;
pub(crate) mod door;
pub(crate) mod effects;
pub(crate) mod grants;
pub(crate) mod life;
pub(crate) mod quota;
pub(crate) mod read;
pub(crate) mod retention;
pub(crate) mod rows;
pub(crate) mod rules;
pub(crate) mod schema;
pub(crate) mod submit;
mod writer;

#[cfg(test)]
pub(crate) use checkpoint::truncate;

#[cfg(test)]
mod tests;

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::{
        Arc, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use hearth_protocol::{Digest, MemberKey, Millis, Pin, RejectCode, RelayId, RoomId, Seq, StreamId};
use rusqlite::Connection;
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::{auth::Proved, metrics::Metrics, registry::Registry, words};

/// Requests that wait for the writer; beyond it, senders wait at their sockets.
const WRITE_QUEUE: usize = 4096;
/// Bytes of the requests that wait for the writer or are in its transaction; beyond it, senders wait at their sockets.
const WRITE_QUEUE_BYTES: usize = 8 * 1024 * 1024;
/// Bytes that a request costs beside its content.
const JOB_BYTES: usize = 512;
/// Requests that wait for one reader.
const READ_QUEUE: usize = 256;
/// Times that a submission is searched for again because the log went on meanwhile.
const SEARCHES_MAX: usize = 3;
/// When a member whose search still runs may try again.
const SEARCH_MILLIS: u64 = 1_000;
/// Threads that read. Catch-up is bound by one core's copying, not by seeking.
const READERS: usize = 2;

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Written by an earlier version, none of which was released.
    #[error("the store has schema {found}, older than this version's {}", schema::SCHEMA_VERSION)]
    OlderSchema {
        /// Version in the file.
        found: i64,
    },
    /// The SQLite in use can corrupt a database.
    #[error(
        "SQLite {0} is older than 3051003 (3.51.3), and can corrupt a database whose log is moved"
    )]
    OldSqlite(i32),
    /// The folder was a relay's, and the store is gone.
    #[error("the store is gone, though {0:?} beside it says that there was one")]
    Vanished(&'static str),
    /// Written by a newer version.
    #[error("the store has schema {found}, newer than this version's {}", schema::SCHEMA_VERSION)]
    Schema {
        /// Version in the file.
        found: i64,
    },
    /// Some other program's database.
    #[error("the file is a database of another program")]
    NotOurs,
    /// A value that must be there is missing or malformed.
    #[error("the store lacks its {0}")]
    Incomplete(&'static str),
    /// The write-ahead log cannot be made.
    #[error("the store's write-ahead log cannot be written")]
    NoLog,
    /// Another file, or none, is where the store was.
    #[error("the store's file is not where it was")]
    Elsewhere,
    /// The write-ahead log cannot be emptied now.
    #[error("a reader still needs the store's write-ahead log")]
    Reader,
    /// SQLite's own complaint.
    #[error("the store cannot be used: {}", words::of_sqlite(.0))]
    Sqlite(#[from] rusqlite::Error),
    /// The operating system's.
    #[error("{}", words::of_io(.0))]
    Io(#[from] std::io::Error),
}

/// A refusal as it goes onto the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// Why.
    pub(crate) code: RejectCode,
    /// When to try again, where that is known.
    pub(crate) retry_at: Option<Millis>,
}

impl From<RejectCode> for Refusal {
    fn from(code: RejectCode) -> Self {
        Self { code, retry_at: None }
    }
}

/// Why a verb did nothing: by a rule, or because the store failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// By a rule. Nothing was written.
    #[error("refused")]
    Refused(Refusal),
    /// The store failed; the whole transaction is given up.
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

/// What a commit changed, for those who wait in memory.
#[derive(Debug)]
pub(crate) struct Publication {
    pub(crate) room: RoomId,
    pub(crate) head: Seq,
    /// The appended entry, encoded.
    pub(crate) entry: Option<(Seq, Arc<[u8]>)>,
    /// Entries that became tombstones.
    pub(crate) tombstones: Vec<(Seq, Millis, Digest)>,
    /// Whether somebody's standing or time-out changed.
    pub(crate) roster: bool,
    /// Whether somebody knocked.
    pub(crate) knocked: bool,
}

/// One transaction being filled: what verbs write to.
pub(crate) struct Batch<'a> {
    pub(crate) db: &'a Connection,
    pub(crate) secrets: &'a life::Secrets,
    pub(crate) pace: &'a mut rules::CommitPace,
    pub(crate) quota: &'a mut quota::Quota,
    pub(crate) published: Vec<Publication>,
    /// Whether something was deleted for its age.
    pub(crate) forgot: bool,
}

impl<'a> Batch<'a> {
    fn new(
        db: &'a Connection,
        secrets: &'a life::Secrets,
        pace: &'a mut rules::CommitPace,
        quota: &'a mut quota::Quota,
    ) -> Self {
        Self { db, secrets, pace, quota, published: Vec::new(), forgot: false }
    }

    /// Runs several steps as one: on a refusal none of them happened.
    pub(crate) fn atomically<T>(
        &mut self,
        steps: impl FnOnce(&mut Self) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let published = self.published.len();
        self.db.prepare_cached("SAVEPOINT act")?.execute([])?;
        let result = steps(self);
        if let Err(Fault::Refused(_)) = &result {
            self.published.truncate(published);
            self.db.prepare_cached("ROLLBACK TO act")?.execute([])?;
        }
        self.db.prepare_cached("RELEASE act")?.execute([])?;
        result
    }
}

/// What answers once the transaction is on disk; dropped if it never gets there.
type Finish = Box<dyn FnOnce() + Send>;
/// One request to the writer.
type Job = Box<dyn FnOnce(&mut Batch<'_>) -> rusqlite::Result<Finish> + Send>;
/// One request to a reader.
type ReadJob = Box<dyn FnOnce(&Connection) + Send>;

/// An answer that comes after the commit.
#[derive(Debug)]
pub(crate) struct Committed<T>(oneshot::Receiver<Result<T, Refusal>>);

impl<T> Future for Committed<T> {
    type Output = Result<T, Refusal>;

    fn poll(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Self::Output> {
        // A sender that was dropped belonged to a transaction that did not reach the disk.
        std::pin::Pin::new(&mut self.0)
            .poll(context)
            .map(|answer| answer.unwrap_or_else(|_| Err(RejectCode::StoreUnavailable.into())))
    }
}

/// Members for whom a reader searches.
type Searching = std::sync::Mutex<HashSet<(RoomId, MemberKey)>>;

/// A member's turn to have a reader search for them; one at a time.
struct Turn<'a> {
    searching: &'a Searching,
    member: (RoomId, MemberKey),
}

impl<'a> Turn<'a> {
    fn take(searching: &'a Searching, proof: &Proved) -> Option<Self> {
        let member = (*proof.room(), *proof.member());
        let mut taken = searching.lock().unwrap_or_else(PoisonError::into_inner);
        taken.insert(member).then(|| Self { searching, member })
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut taken = self.searching.lock().unwrap_or_else(PoisonError::into_inner);
        taken.remove(&self.member);
    }
}

/// The store's handle: cheap to share, verbs go through [`Store::write`] and [`Store::read`].
pub(crate) struct Store {
    /// Where the caller's thread does the work instead of the store's threads; a simulation only.
    here: Option<std::sync::Mutex<Here>>,
    writer: mpsc::Sender<Job>,
    /// Bytes that may still wait for the writer.
    places: Arc<Semaphore>,
    readers: Vec<mpsc::Sender<ReadJob>>,
    next_reader: AtomicUsize,
    secrets: life::Secrets,
    searching: Searching,
    stream: StreamId,
    path: PathBuf,
    metrics: Arc<Metrics>,
    /// Ends the checkpointer when dropped.
    _open: checkpoint::Guard,
}

/// The writer and a reader without threads of their own.
struct Here {
    writer: writer::Writer,
    reader: Connection,
}

/// The threads of an open store; joined at the end.
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

impl Store {
    /// Opens the store of a data directory and starts its threads.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub(crate) fn open(
        dir: &Path,
        registry: Arc<Registry>,
        metrics: Arc<Metrics>,
        limits: quota::Limits,
    ) -> Result<(Arc<Self>, Threads), OpenError> {
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
            searching: Searching::default(),
            stream,
            path,
            metrics,
            _open: open_end,
        };
        Ok((Arc::new(store), Threads { threads, _database: database }))
    }

    /// Opens a store whose verbs run where they are called, each in a transaction of its own: in a simulation, what
    /// happens depends on no thread.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub(crate) fn open_here(
        dir: &Path,
        registry: Arc<Registry>,
        metrics: Arc<Metrics>,
        limits: quota::Limits,
    ) -> Result<Arc<Self>, OpenError> {
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
        Ok(Arc::new(Self {
            here: Some(std::sync::Mutex::new(Here { writer, reader })),
            writer: nobody,
            places: Arc::new(Semaphore::new(WRITE_QUEUE_BYTES)),
            readers: Vec::new(),
            next_reader: AtomicUsize::new(0),
            secrets,
            searching: Searching::default(),
            stream,
            path,
            metrics,
            _open,
        }))
    }

    /// Who this relay is.
    pub(crate) fn relay(&self) -> RelayId {
        self.secrets.relay
    }

    /// Which life of the store this is.
    pub(crate) fn stream(&self) -> StreamId {
        self.stream
    }

    /// The database file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Requests that wait for the writer.
    pub(crate) fn queue_depth(&self) -> usize {
        WRITE_QUEUE - self.writer.capacity()
    }

    /// Bytes of the requests that wait for the writer or are in its transaction.
    pub(crate) fn queue_bytes(&self) -> usize {
        WRITE_QUEUE_BYTES - self.places.available_permits()
    }

    /// Hands a verb to the writer. The returned answer comes after the commit that holds it is on disk.
    ///
    /// Waits only for a place in the writer's queue; requests of one caller are applied in order.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        verb: impl FnOnce(&mut Batch<'_>) -> Result<T, Fault> + Send + 'static,
    ) -> Committed<T> {
        self.write_bytes(0, verb).await
    }

    /// Hands a verb that holds so many bytes to the writer, like [`Self::write`].
    pub(crate) async fn write_bytes<T: Send + 'static>(
        &self,
        bytes: usize,
        verb: impl FnOnce(&mut Batch<'_>) -> Result<T, Fault> + Send + 'static,
    ) -> Committed<T> {
        self.enqueue(bytes, verb).await
    }

    /// Hands a submission to the writer, like [`Self::write`].
    pub(crate) async fn submit(
        &self,
        now: Millis,
        proof: Proved,
        submission: submit::Submission,
    ) -> Committed<submit::Submitted> {
        let bytes = submission.bytes();
        let verb = move |batch: &mut Batch<'_>| submit::submit(batch, now, &proof, submission);
        self.enqueue(bytes, verb).await
    }

    /// Submits what a transaction did not find within its bound: a reader searches all that was there, then it is submitted as if
    /// its sender had read that.
    ///
    /// # Errors
    /// [`RejectCode::RateLimited`] while another such search of the same member runs.
    pub(crate) async fn submit_far(
        &self,
        now: Millis,
        proof: Proved,
        mut submission: submit::Submission,
    ) -> Result<submit::Accepted, Refusal> {
        let busy =
            Refusal { code: RejectCode::RateLimited, retry_at: Some(now.plus(SEARCH_MILLIS)) };
        let _turn = Turn::take(&self.searching, &proof).ok_or(busy)?;
        for _ in 0..SEARCHES_MAX {
            match self.search(&proof, &submission).await? {
                Ok(accepted) => return Ok(accepted),
                Err(searched) => submission.after = searched,
            }
            match self.submit(now, proof.clone(), submission).await.await? {
                submit::Submitted::Accepted(accepted) => return Ok(accepted),
                submit::Submitted::Far(again) => submission = again,
            }
        }
        Err(busy)
    }

    /// Searches the whole log for a submission, a few rows at a time. Returns the head up to which it is not there.
    async fn search(
        &self,
        proof: &Proved,
        submission: &submit::Submission,
    ) -> Result<Result<submit::Accepted, Seq>, Refusal> {
        let print = submit::Print::of(&self.secrets, proof, submission);
        let (room, mut after) = (*proof.room(), submission.after);
        loop {
            match self.read(move |db| read::earlier(db, &room, after, &print)).await? {
                read::Earlier::Found(accepted) => return Ok(Ok(accepted)),
                read::Earlier::Nothing(head) => return Ok(Err(head)),
                read::Earlier::More(searched) => after = searched,
            }
        }
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
                // Nobody waits for it any more if the connection is gone; the entry stays.
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
    pub(crate) async fn read<T: Send + 'static>(
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

/// Returns the database's place in a data directory.
pub(crate) fn database_path(dir: &Path) -> PathBuf {
    dir.join("hearth.db")
}

/// Refuses a folder whose store is gone: a new one in its place would be a stranger to every member.
///
/// # Errors
/// [`OpenError::Vanished`].
pub(crate) fn check_present(dir: &Path) -> Result<(), OpenError> {
    let length = |name: &str| std::fs::metadata(dir.join(name)).map_or(0, |file| file.len());
    // A start that ended before the first table was made leaves an empty file, and nothing else.
    if length("hearth.db") > 0 {
        return Ok(());
    }
    match TRACES.into_iter().find(|name| length(name) > 0) {
        Some(trace) => Err(OpenError::Vanished(trace)),
        None => Ok(()),
    }
}

/// Returns the pin that the store of a data directory remembers, before it is opened. A store that cannot be read says why when
/// it is opened.
pub(crate) fn pinned(dir: &Path) -> Option<Pin> {
    let path = database_path(dir);
    if std::fs::metadata(&path).map_or(0, |file| file.len()) == 0 {
        return None;
    }
    schema::open_reader(&path).ok().and_then(|db| life::pin(&db).ok().flatten())
}

/// Files that are written once there is a store. Certificates may be there before.
const TRACES: [&str; 4] = ["stream", "acknowledged", "hearth.db-wal", "address"];

fn spawn(
    name: &str,
    body: impl FnOnce() + Send + 'static,
) -> std::io::Result<std::thread::JoinHandle<()>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(body)
}
