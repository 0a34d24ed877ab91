//! The store's identity, and its counters that reveal a restored backup.
//!
//! A small file beside the database, `stream`, holds the counters that the relay last saw in it; another, `acknowledged`, the
//! number of acknowledged transactions. If the database is behind either, is another file, or `stream` is missing, the log
//! that members remember may differ from the log here: the stream id changes, and every client tells its member.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use hearth_protocol::{MemberKey, MessageId, Pin, RelayId, RoomId, StreamId};
use hearth_rules::Names;
use hmac::{Hmac, Mac as _};
use rusqlite::{Connection, OptionalExtension as _, params};
use sha2::Sha256;

use super::schema::uint;
use crate::store::OpenError;

/// The store's identity and its secret key.
#[derive(Clone)]
pub(crate) struct Secrets {
    /// The relay's identity.
    pub(crate) relay: RelayId,
    /// Keyed once; cloned for each use.
    mac: Hmac<Sha256>,
}

impl Names for Secrets {
    fn submission(&self, room: &RoomId, member: &MemberKey, id: &MessageId) -> [u8; 16] {
        self.blind(b"submission", &[room.as_bytes(), member.as_bytes(), id.as_bytes()])
    }

    fn issuer(&self, room: &RoomId, member: &MemberKey) -> [u8; 16] {
        self.blind(b"issuer", &[room.as_bytes(), member.as_bytes()])
    }
}

impl Secrets {
    fn blind(&self, label: &[u8], parts: &[&[u8]]) -> [u8; 16] {
        // Every part has a fixed length under its label, so joining them is injective.
        let mut mac = self.mac.clone();
        mac.update(label);
        for part in parts {
            mac.update(part);
        }
        let whole: [u8; 32] = mac.finalize().into_bytes().into();
        *whole.first_chunk().unwrap_or(&[0; 16])
    }
}

/// Reads the store's secrets; the first start draws them.
pub(crate) fn secrets(db: &Connection) -> Result<Secrets, OpenError> {
    let relay = RelayId(value(db, "relay")?);
    let key: [u8; 32] = value(db, "dedup key")?;
    let mac = Hmac::new_from_slice(&key).map_err(|_| OpenError::Incomplete("dedup key"))?;
    Ok(Secrets { relay, mac })
}

fn value<const N: usize>(db: &Connection, name: &'static str) -> Result<[u8; N], OpenError> {
    let mut fresh = [0; N];
    getrandom::fill(&mut fresh).map_err(|_| OpenError::Incomplete(name))?;
    db.execute("INSERT OR IGNORE INTO meta VALUES (?1, ?2)", params![name, fresh.as_slice()])?;
    let bytes: Option<Vec<u8>> = db
        .query_row("SELECT value FROM meta WHERE name = ?1", [name], |row| row.get(0))
        .optional()?;
    bytes.and_then(|b| b.try_into().ok()).ok_or(OpenError::Incomplete(name))
}

/// Returns the pin that links of this store name.
pub(crate) fn pin(db: &Connection) -> rusqlite::Result<Option<Pin>> {
    let value: Option<Vec<u8>> = db
        .query_row("SELECT value FROM meta WHERE name = 'pin'", [], |row| row.get(0))
        .optional()?;
    Ok(value.and_then(|bytes| bytes.try_into().ok()).map(Pin))
}

/// Stores the pin that links name; `None` if an authority vouches for the certificate.
pub(crate) fn remember_pin(db: &Connection, now: Option<Pin>) -> rusqlite::Result<()> {
    if pin(db)? == now {
        return Ok(());
    }
    match now {
        Some(Pin(bytes)) => {
            db.execute("INSERT OR REPLACE INTO meta VALUES ('pin', ?1)", [bytes])?
        }
        None => db.execute("DELETE FROM meta WHERE name = 'pin'", [])?,
    };
    Ok(())
}

/// The store's counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Life {
    /// Number of starts and orderly ends.
    pub(crate) generation: u64,
    /// Number of transactions that changed something.
    pub(crate) writes: u64,
}

/// Reads the store's counters.
pub(crate) fn life(db: &Connection) -> rusqlite::Result<Life> {
    db.query_row("SELECT generation, writes FROM life", [], |row| {
        Ok(Life { generation: uint(row.get(0)?), writes: uint(row.get(1)?) })
    })
}

/// Begins a generation and returns the stream id, which is new if the store is not the last one here.
pub(crate) fn begin(db: &Connection, dir: &Path, database: &Path) -> Result<StreamId, OpenError> {
    let stream = StreamId(value(db, "stream")?);
    let stored = life(db)?;
    let lost = Mark::read(dir).saturating_sub(stored.writes);
    let same = lost == 0
        && match Sidecar::read(dir) {
            Some(sidecar) => sidecar.is_of(stream, stored, &file_identity(database)),
            // At a first start there is no history to lose.
            None => stored.generation == 0,
        };
    if lost > 0 {
        tracing::error!(
            lost,
            "transactions that were acknowledged are not in the store: it is an older copy, or its write-ahead log was cut"
        );
    }
    let stream = if same { stream } else { new_stream(db)? };
    advance(db, dir, database, stream)?;
    Ok(stream)
}

/// Ends a generation in an orderly way, so that a copy made during it is recognised as older.
pub(crate) fn advance(
    db: &Connection,
    dir: &Path,
    database: &Path,
    stream: StreamId,
) -> Result<(), OpenError> {
    // The store comes first: after a crash in between, it is ahead of the file, which is harmless.
    end_generation(db)?;
    note(dir, database, stream, life(db)?)?;
    Ok(())
}

pub(crate) fn end_generation(db: &Connection) -> rusqlite::Result<()> {
    db.execute("UPDATE life SET generation = generation + 1", []).map(|_| ())
}

/// Records the store's counters.
pub(crate) fn note(
    dir: &Path,
    database: &Path,
    stream: StreamId,
    life: Life,
) -> std::io::Result<()> {
    Sidecar { stream, life, file: file_identity(database) }.write(dir)
}

/// The number of acknowledged transactions, in a small file beside the database.
///
/// It is written after each of them and never synced, so it costs only a system call. The store is synced before, so that after a
/// power cut the file is behind the store and never ahead of it: a file that is ahead shows that acknowledged transactions are gone.
pub(super) struct Mark {
    /// `None` if it cannot be written; then only the sidecar can reveal a loss.
    file: Option<fs::File>,
    writes: u64,
}

impl Mark {
    const NAME: &str = "acknowledged";

    fn read(dir: &Path) -> u64 {
        let text = fs::read_to_string(dir.join(Self::NAME)).unwrap_or_default();
        text.trim().parse().unwrap_or(0)
    }

    /// Opens the file after [`begin`] has read it.
    pub(super) fn open(dir: &Path, life: Life) -> Self {
        let path = dir.join(Self::NAME);
        let mut options = fs::OpenOptions::new();
        let file = options.write(true).create(true).truncate(false).mode(0o600).open(path);
        if let Err(error) = &file {
            let error = crate::words::of_io(error);
            tracing::warn!(%error, "acknowledged transactions cannot be counted beside the store");
        }
        let mut mark = Self { file: file.ok(), writes: 0 };
        mark.resume(life);
        mark
    }

    /// Continues from the store's counter.
    pub(super) fn resume(&mut self, life: Life) {
        self.writes = life.writes;
        self.write();
    }

    /// Counts a transaction that is on disk.
    pub(super) fn acknowledged(&mut self) {
        self.writes = self.writes.saturating_add(1);
        self.write();
    }

    fn write(&self) {
        // Always the same length, so that no digit of an older number remains. Other code reports a full disk.
        if let Some(file) = &self.file {
            let _ = file.write_all_at(format!("{:020}\n", self.writes).as_bytes(), 0);
        }
    }
}

fn new_stream(db: &Connection) -> Result<StreamId, OpenError> {
    let mut fresh = [0; 16];
    getrandom::fill(&mut fresh).map_err(|_| OpenError::Incomplete("stream"))?;
    db.execute("UPDATE meta SET value = ?1 WHERE name = 'stream'", [fresh.as_slice()])?;
    tracing::warn!("the store is not the one that was last here; members will be told");
    Ok(StreamId(fresh))
}

struct Sidecar {
    stream: StreamId,
    life: Life,
    /// Inode and birth time of the database; a directory that was copied back whole has others.
    file: String,
}

impl Sidecar {
    fn path(dir: &Path) -> PathBuf {
        dir.join("stream")
    }

    fn read(dir: &Path) -> Option<Self> {
        let text = fs::read_to_string(Self::path(dir)).ok()?;
        let mut words = text.split_whitespace();
        let stream = StreamId::from_hex(words.next()?)?;
        let generation = words.next()?.parse().ok()?;
        let writes = words.next()?.parse().ok()?;
        let file = words.next()?.to_owned();
        Some(Self { stream, life: Life { generation, writes }, file })
    }

    fn is_of(&self, stream: StreamId, stored: Life, file: &str) -> bool {
        self.stream == stream
            && self.file == file
            && stored.generation >= self.life.generation
            && stored.writes >= self.life.writes
    }

    /// Replaces the file durably: the new bytes are synced before the name points to them.
    fn write(&self, dir: &Path) -> std::io::Result<()> {
        let Life { generation, writes } = self.life;
        let text = format!("{} {generation} {writes} {}\n", self.stream, self.file);
        let next = dir.join("stream.next");
        let mut file = fs::File::create(&next)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&next, Self::path(dir))?;
        fs::File::open(dir)?.sync_all()
    }
}

/// Returns a file's inode and birth time, which tell it from any replacement.
pub(super) fn file_identity(path: &Path) -> String {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata(path).map_or_else(
        |_| "absent".to_owned(),
        |metadata| {
            let born = metadata
                .created()
                .ok()
                .and_then(|at| at.duration_since(UNIX_EPOCH).ok())
                .map_or(0, |at| at.as_nanos());
            format!("{:x}-{born:x}", metadata.ino())
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{
        database_path,
        sqlite::{schema, truncate},
    };

    fn open(dir: &Path) -> (Connection, StreamId) {
        let path = database_path(dir);
        let db = schema::open_writer(&path).unwrap();
        let stream = begin(&db, dir, &path).unwrap();
        (db, stream)
    }

    #[test]
    fn restarts_and_crashes_keep_the_stream() {
        let dir = tempfile::tempdir().unwrap();
        let (db, first) = open(dir.path());
        drop(db);
        let (db, second) = open(dir.path());
        assert_eq!(first, second);
        db.execute("UPDATE life SET writes = writes + 5", []).unwrap();
        drop(db);
        assert_eq!(open(dir.path()).1, first);
    }

    #[test]
    fn restored_copy_changes_stream() {
        let dir = tempfile::tempdir().unwrap();
        let database = database_path(dir.path());
        let (db, first) = open(dir.path());
        truncate(&db).unwrap();
        let copy = fs::read(&database).unwrap();
        advance(&db, dir.path(), &database, first).unwrap();
        truncate(&db).unwrap();
        drop(db);
        // In place, so that the file keeps its identity and only its content is old.
        fs::write(&database, copy).unwrap();
        assert_ne!(open(dir.path()).1, first);
    }

    #[test]
    fn b6_cut_log_changes_stream() {
        let dir = tempfile::tempdir().unwrap();
        let (db, first) = open(dir.path());
        truncate(&db).unwrap();
        let mut mark = Mark::open(dir.path(), life(&db).unwrap());
        let kept = fs::read(database_path(dir.path())).unwrap();
        for _ in 0..3 {
            db.execute("UPDATE life SET writes = writes + 1", []).unwrap();
            mark.acknowledged();
        }
        drop(db);
        // Nothing is lost.
        let (db, second) = open(dir.path());
        assert_eq!(first, second);
        drop(db);
        fs::remove_file(dir.path().join("hearth.db-wal")).unwrap();
        fs::write(database_path(dir.path()), kept).unwrap();
        let (db, third) = open(dir.path());
        assert_ne!(first, third);
        // The new stream is kept after that.
        Mark::open(dir.path(), life(&db).unwrap());
        drop(db);
        assert_eq!(open(dir.path()).1, third);
        // An unreadable file does not count as a loss.
        fs::write(dir.path().join(Mark::NAME), "what?").unwrap();
        assert_eq!(open(dir.path()).1, third);
    }

    #[test]
    fn missing_or_foreign_sidecar_changes_stream() {
        let dir = tempfile::tempdir().unwrap();
        let (db, first) = open(dir.path());
        drop(db);
        fs::remove_file(dir.path().join("stream")).unwrap();
        let (db, second) = open(dir.path());
        assert_ne!(first, second);
        truncate(&db).unwrap();
        drop(db);
        let other = tempfile::tempdir().unwrap();
        for name in ["hearth.db", "stream"] {
            fs::copy(dir.path().join(name), other.path().join(name)).unwrap();
        }
        assert_ne!(open(other.path()).1, second);
    }

    #[test]
    fn blind_names_depend_on_every_part() {
        let dir = tempfile::tempdir().unwrap();
        let (db, _) = open(dir.path());
        let secrets = secrets(&db).unwrap();
        let base = secrets.submission(&RoomId([1; 16]), &MemberKey([2; 32]), &MessageId([3; 16]));
        for (room, member, id) in [(0, 2, 3), (1, 0, 3), (1, 2, 0)] {
            let other = secrets.submission(
                &RoomId([room; 16]),
                &MemberKey([member; 32]),
                &MessageId([id; 16]),
            );
            assert_ne!(base, other);
        }
    }
}
