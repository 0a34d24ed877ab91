//! The sealed local store: one SQLite file with every value encrypted and every name hidden.
//!
//! A copy of the file without its key still shows how many records of which kind each numbered room has, their sizes, and the
//! positions of ordered records.

mod error;
mod mark;
mod schema;
mod seal;

use std::{
    cell::Cell,
    fmt, io,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, params};

pub use self::error::StoreError;
#[cfg(feature = "testing")]
pub(crate) use self::seal::{open_with, seal_with};
use self::{
    mark::Mark,
    seal::{NAME_BYTES, RowKeys},
};

pub(crate) use self::schema::CreateError;

/// Kind of a record. The numbers are stored: add, never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Kind {
    /// Facts of the profile itself.
    Meta = 1,
    /// A room: name, relay, keys, cursor.
    Room = 2,
    /// State of the MLS group.
    Mls = 3,
    /// Rows of history, by position.
    History = 4,
    /// Submissions that the relay has not acknowledged yet.
    Outbox = 5,
    /// Message ids seen, to find duplicates.
    Seen = 6,
    /// Acts that await an answer or a time.
    Pending = 7,
    /// Invites that this profile issued or accepted.
    Invite = 8,
    /// Knocks that await a decision.
    Knock = 9,
    /// Acknowledgements and receipts.
    Receipt = 10,
    /// Agreements, by id.
    Agreement = 11,
    /// Private notes of facilitators.
    Note = 12,
    /// Unfinished texts.
    Draft = 13,
    /// Local preferences: filters, mutes, quiet hours.
    Preference = 14,
    /// Check-ins, moods, flags, reports and other collections of a facilitator.
    Care = 15,
    /// The log of moderation, by number of the record.
    Log = 16,
    /// Commits in the history, by digest.
    Commit = 17,
    /// Who was in a room with lanes, and who moderated it, by number of the record.
    Roll = 18,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Meta => "profile",
            Self::Room => "room",
            Self::Mls => "group state",
            Self::History => "history",
            Self::Outbox => "outbox",
            Self::Seen => "seen ids",
            Self::Pending => "pending act",
            Self::Invite => "invite",
            Self::Knock => "knock",
            Self::Receipt => "receipt",
            Self::Agreement => "agreement",
            Self::Note => "note",
            Self::Draft => "draft",
            Self::Preference => "preference",
            Self::Care => "care",
            Self::Log => "log of moderation",
            Self::Commit => "commit",
            Self::Roll => "roll",
        })
    }
}

/// The local number of a room, without meaning outside this profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RoomNo(pub u32);

impl RoomNo {
    /// Number of the records that belong to no room.
    pub const NONE: Self = Self(0);
}

type Result<T, E = StoreError> = std::result::Result<T, E>;

/// The sealed store of one profile. It has no `Debug`, because it holds keys.
///
/// Records are *named* (an arbitrary byte string, which is stored only as a keyed hash) or *ordered* (a number,
/// which can be ranged over). Each call outside [`Store::transaction`] is a transaction of its own.
pub struct Store {
    db: Connection,
    keys: RowKeys,
    mark: Mark,
    folder: PathBuf,
    /// Number of changes committed to the database.
    changes: Cell<u64>,
    /// Whether the open transaction has changed anything.
    dirty: Cell<bool>,
}

impl Store {
    /// Makes a new store; fails if the file exists.
    pub(crate) fn create(path: &Path, data_key: &[u8; 32]) -> Result<Self, CreateError> {
        let db = schema::create(path)?;
        let store = Self::new(db, path, data_key)?;
        // A mark may remain from an earlier database at this path.
        store.mark.write(0);
        store.put(Kind::Meta, RoomNo::NONE, CHECK_NAME, CHECK_VALUE).map_err(CreateError::Store)?;
        Ok(store)
    }

    /// Opens an existing store and checks that it belongs to the data key and has lost no change.
    pub(crate) fn open(path: &Path, data_key: &[u8; 32]) -> Result<Self, CreateError> {
        let db = schema::open(path).map_err(CreateError::Store)?;
        let store = Self::new(db, path, data_key)?;
        store.check().map_err(CreateError::Store)?;
        Ok(store)
    }

    fn new(db: Connection, path: &Path, data_key: &[u8; 32]) -> io::Result<Self> {
        Ok(Self {
            db,
            keys: RowKeys::derive(data_key),
            mark: Mark::open(path)?,
            folder: path.parent().unwrap_or(path).to_owned(),
            changes: Cell::new(0),
            dirty: Cell::new(false),
        })
    }

    /// Returns the folder of the profile.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn check(&self) -> Result<()> {
        let fact = |name| self.get(Kind::Meta, RoomNo::NONE, name);
        if fact(CHECK_NAME)?.as_deref() != Some(CHECK_VALUE) {
            return Err(StoreError::DamagedFile(None));
        }
        let changes = fact(CHANGES_NAME)?.and_then(|bytes| bytes.try_into().ok());
        let changes = changes.map(u64::from_be_bytes).ok_or(StoreError::DamagedFile(None))?;
        if changes < self.mark.read() {
            return Err(StoreError::WentBack);
        }
        self.changes.set(changes);
        Ok(())
    }

    /// Runs a closure whose changes are all kept (on `Ok`, durably) or all dropped (on `Err` and on panic).
    ///
    /// After an error the MLS group in memory no longer matches the store: drop it and load it again.
    ///
    /// # Errors
    /// The closure's error or the store's own; [`StoreError::Nested`] inside another transaction.
    pub fn transaction<T, E: From<StoreError>>(
        &self,
        f: impl FnOnce(&Self) -> Result<T, E>,
    ) -> Result<T, E> {
        if !self.db.is_autocommit() {
            return Err(StoreError::Nested.into());
        }
        self.db.execute_batch("BEGIN IMMEDIATE").map_err(StoreError::from)?;
        let rollback = Rollback(&self.db);
        self.dirty.set(false);
        let value = f(self)?;
        let changes = self.changes.get() + u64::from(self.dirty.get());
        if self.dirty.get() {
            self.put(Kind::Meta, RoomNo::NONE, CHANGES_NAME, &changes.to_be_bytes())?;
        }
        self.db.execute_batch("COMMIT").map_err(StoreError::from)?;
        drop(rollback);
        if self.dirty.get() {
            self.changes.set(changes);
            self.mark.write(changes);
        }
        Ok(value)
    }

    /// Runs a change in the open transaction, or in its own.
    fn change<T>(&self, f: impl FnOnce() -> Result<T>) -> Result<T> {
        let marked = || {
            self.dirty.set(true);
            f()
        };
        if self.in_transaction() { marked() } else { self.transaction(|_| marked()) }
    }

    /// Returns whether a transaction is open.
    pub fn in_transaction(&self) -> bool {
        !self.db.is_autocommit()
    }

    /// Reads a named record.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if it does not open.
    pub fn get(&self, kind: Kind, room: RoomNo, name: &[u8]) -> Result<Option<Vec<u8>>> {
        self.read(kind, room, &self.keys.name(kind, room, name))
    }

    /// Writes a named record, replacing an earlier one.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn put(&self, kind: Kind, room: RoomNo, name: &[u8], value: &[u8]) -> Result<()> {
        self.write(kind, room, &self.keys.name(kind, room, name), value)
    }

    /// Deletes a named record and returns whether it was there.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn delete(&self, kind: Kind, room: RoomNo, name: &[u8]) -> Result<bool> {
        self.remove(kind, room, &self.keys.name(kind, room, name))
    }

    /// Returns the values of all named records of a kind, in the order of their first writing.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if one does not open.
    pub fn list_named(&self, kind: Kind, room: RoomNo) -> Result<Vec<Vec<u8>>> {
        let mut statement = self.db.prepare_cached(
            "SELECT key, value FROM record
             WHERE kind = ?1 AND room = ?2 AND length(key) = ?3 ORDER BY rowid",
        )?;
        let mut rows = statement.query(params![kind as u8, room.0, NAME_BYTES])?;
        let mut values = Vec::new();
        while let Some(row) = rows.next()? {
            values.push(self.keys.open(kind, room, blob(kind, row, 0)?, blob(kind, row, 1)?)?);
        }
        Ok(values)
    }

    /// Reads an ordered record.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if it does not open.
    pub fn get_at(&self, kind: Kind, room: RoomNo, n: u64) -> Result<Option<Vec<u8>>> {
        self.read(kind, room, &n.to_be_bytes())
    }

    /// Writes an ordered record, replacing an earlier one.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn put_at(&self, kind: Kind, room: RoomNo, n: u64, value: &[u8]) -> Result<()> {
        self.write(kind, room, &n.to_be_bytes(), value)
    }

    /// Deletes an ordered record and returns whether it was there.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn delete_at(&self, kind: Kind, room: RoomNo, n: u64) -> Result<bool> {
        self.remove(kind, room, &n.to_be_bytes())
    }

    /// Returns up to `limit` ordered records from a number on, ascending.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if one does not open.
    pub fn range(
        &self,
        kind: Kind,
        room: RoomNo,
        from: u64,
        limit: usize,
    ) -> Result<Vec<(u64, Vec<u8>)>> {
        self.ordered(
            "SELECT key, value FROM record
             WHERE kind = ?1 AND room = ?2 AND key >= ?3 AND length(key) = 8
             ORDER BY key LIMIT ?4",
            kind,
            room,
            from,
            limit,
        )
    }

    /// Returns the last `limit` ordered records before a number, ascending.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if one does not open.
    pub fn range_back(
        &self,
        kind: Kind,
        room: RoomNo,
        before: u64,
        limit: usize,
    ) -> Result<Vec<(u64, Vec<u8>)>> {
        let mut records = self.ordered(
            "SELECT key, value FROM record
             WHERE kind = ?1 AND room = ?2 AND key < ?3 AND length(key) = 8
             ORDER BY key DESC LIMIT ?4",
            kind,
            room,
            before,
            limit,
        )?;
        records.reverse();
        Ok(records)
    }

    /// Returns the ordered record with the lowest number.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if it does not open.
    pub fn first(&self, kind: Kind, room: RoomNo) -> Result<Option<(u64, Vec<u8>)>> {
        Ok(self.range(kind, room, 0, 1)?.pop())
    }

    /// Returns the ordered record with the highest number.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if it does not open.
    pub fn last(&self, kind: Kind, room: RoomNo) -> Result<Option<(u64, Vec<u8>)>> {
        // No number reaches `u64::MAX`, so the exclusive bound misses nothing.
        Ok(self.range_back(kind, room, u64::MAX, 1)?.pop())
    }

    /// Deletes the ordered records below a number and returns how many there were.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn delete_before(&self, kind: Kind, room: RoomNo, n: u64) -> Result<usize> {
        let mut statement = self.db.prepare_cached(
            "DELETE FROM record WHERE kind = ?1 AND room = ?2 AND key < ?3 AND length(key) = 8",
        )?;
        self.change(|| Ok(statement.execute(params![kind as u8, room.0, n.to_be_bytes()])?))
    }

    /// Deletes every record of one kind in a room and returns how many there were.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn clear(&self, kind: Kind, room: RoomNo) -> Result<usize> {
        let mut statement =
            self.db.prepare_cached("DELETE FROM record WHERE kind = ?1 AND room = ?2")?;
        self.change(|| Ok(statement.execute(params![kind as u8, room.0])?))
    }

    /// Gives out a room number that was never used in this profile.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn create_room(&self) -> Result<RoomNo> {
        let no = self.change(|| {
            Ok(self.db.prepare_cached("INSERT INTO room DEFAULT VALUES")?.insert([])?)
        })?;
        u32::try_from(no).map(RoomNo).map_err(|_| StoreError::Damaged(Kind::Room))
    }

    /// Returns the numbers of all rooms, oldest first.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn rooms(&self) -> Result<Vec<RoomNo>> {
        let mut statement = self.db.prepare_cached("SELECT no FROM room ORDER BY no")?;
        let mut rows = statement.query([])?;
        let mut rooms = Vec::new();
        while let Some(row) = rows.next()? {
            let no = row.get::<_, u32>(0).map_err(|_| StoreError::Damaged(Kind::Room))?;
            rooms.push(RoomNo(no));
        }
        Ok(rooms)
    }

    /// Deletes every record of a room and its number. Zeroes overwrite the deleted records; call
    /// [`Store::checkpoint`] afterwards to empty the log as well.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn delete_room(&self, room: RoomNo) -> Result<()> {
        self.change(|| {
            self.db.prepare_cached("DELETE FROM record WHERE room = ?1")?.execute([room.0])?;
            self.db.prepare_cached("DELETE FROM room WHERE no = ?1")?.execute([room.0])?;
            Ok(())
        })
    }

    /// Moves the log into the database and empties it, so that no earlier state remains on disk.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn checkpoint(&self) -> Result<()> {
        self.db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        Ok(())
    }

    /// Checks the structure of the file and opens every record. The time it takes grows with the size of the file.
    ///
    /// # Errors
    /// [`StoreError::DamagedFile`] or [`StoreError::Damaged`] for the first damage found.
    pub fn verify(&self) -> Result<()> {
        let report: String =
            self.db.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
        if report != "ok" {
            return Err(StoreError::DamagedFile(None));
        }
        let mut statement = self.db.prepare("SELECT kind, room, key, value FROM record")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let kind = row.get(0).ok().and_then(Kind::from_number);
            let (Some(kind), Ok(room)) = (kind, row.get(1)) else {
                return Err(StoreError::DamagedFile(None));
            };
            self.keys.open(kind, RoomNo(room), blob(kind, row, 2)?, blob(kind, row, 3)?)?;
        }
        Ok(())
    }

    /// Returns the number of records of a kind in a room, and their bytes.
    #[cfg(test)]
    pub(crate) fn size(&self, kind: Kind, room: RoomNo) -> (u64, u64) {
        let sum = "SELECT count(*), coalesce(sum(length(key) + length(value)), 0) FROM record
                   WHERE kind = ?1 AND room = ?2";
        let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
        self.db.query_row(sum, params![kind as u8, room.0], read).unwrap()
    }

    /// Returns the number of records opened so far.
    #[cfg(test)]
    pub(crate) fn opened(&self) -> usize {
        self.keys.opened.get()
    }

    fn read(&self, kind: Kind, room: RoomNo, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let mut statement = self.db.prepare_cached(
            "SELECT value FROM record WHERE kind = ?1 AND room = ?2 AND key = ?3",
        )?;
        let mut rows = statement.query(params![kind as u8, room.0, key])?;
        match rows.next()? {
            Some(row) => self.keys.open(kind, room, key, blob(kind, row, 0)?).map(Some),
            None => Ok(None),
        }
    }

    fn write(&self, kind: Kind, room: RoomNo, key: &[u8], value: &[u8]) -> Result<()> {
        let sealed = self.keys.seal(kind, room, key, value)?;
        let mut statement = self.db.prepare_cached(
            "INSERT INTO record (kind, room, key, value) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (kind, room, key) DO UPDATE SET value = excluded.value",
        )?;
        self.change(|| {
            statement.execute(params![kind as u8, room.0, key, sealed])?;
            Ok(())
        })
    }

    fn remove(&self, kind: Kind, room: RoomNo, key: &[u8]) -> Result<bool> {
        let mut statement = self
            .db
            .prepare_cached("DELETE FROM record WHERE kind = ?1 AND room = ?2 AND key = ?3")?;
        self.change(|| Ok(statement.execute(params![kind as u8, room.0, key])? > 0))
    }

    fn ordered(
        &self,
        sql: &str,
        kind: Kind,
        room: RoomNo,
        bound: u64,
        limit: usize,
    ) -> Result<Vec<(u64, Vec<u8>)>> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut statement = self.db.prepare_cached(sql)?;
        let mut rows = statement.query(params![kind as u8, room.0, bound.to_be_bytes(), limit])?;
        let mut records = Vec::new();
        while let Some(row) = rows.next()? {
            let key = blob(kind, row, 0)?;
            let n = key.try_into().map_err(|_| StoreError::Damaged(kind))?;
            let value = self.keys.open(kind, room, key, blob(kind, row, 1)?)?;
            records.push((u64::from_be_bytes(n), value));
        }
        Ok(records)
    }
}

impl Kind {
    /// Every kind, in the order of the numbers.
    pub const ALL: [Self; 18] = [
        Self::Meta,
        Self::Room,
        Self::Mls,
        Self::History,
        Self::Outbox,
        Self::Seen,
        Self::Pending,
        Self::Invite,
        Self::Knock,
        Self::Receipt,
        Self::Agreement,
        Self::Note,
        Self::Draft,
        Self::Preference,
        Self::Care,
        Self::Log,
        Self::Commit,
        Self::Roll,
    ];

    fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == number)
    }
}

/// A record that only the right data key can find and open.
const CHECK_NAME: &[u8] = b"check";
const CHECK_VALUE: &[u8] = b"hearth store";

/// Name of the record with the number of changes.
const CHANGES_NAME: &[u8] = b"changes";

/// Rolls back a transaction that did not commit, even when the stack unwinds.
struct Rollback<'a>(&'a Connection);

impl Drop for Rollback<'_> {
    fn drop(&mut self) {
        // SQLite has already rolled back after some failures, such as a full disk.
        if !self.0.is_autocommit() {
            // If this fails too, the connection stays in the transaction and refuses further ones.
            let _ = self.0.execute_batch("ROLLBACK");
        }
    }
}

fn blob<'r>(kind: Kind, row: &'r rusqlite::Row<'_>, column: usize) -> Result<&'r [u8]> {
    row.get_ref(column)?.as_blob().map_err(|_| StoreError::Damaged(kind))
}

#[cfg(test)]
mod tests;
