//! What the operator's commands read and change, in a process of their own.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use hearth_protocol::{Millis, Pin, RelayId, RoomId, Seq};
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, TransactionBehavior, params};

use super::{
    checkpoint, life, retention, rows,
    schema::{self, ROOM_KEY_MAX, SCHEMA_VERSION, entry_key, uint},
};
use crate::store::OpenError;

/// A room, as far as the relay knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RoomFacts {
    pub(crate) id: RoomId,
    pub(crate) members: u64,
    /// Open lanes.
    pub(crate) lanes: u64,
    /// Bytes kept, with those of its lanes.
    pub(crate) bytes: u64,
    /// Entries appended so far, deleted ones too.
    pub(crate) head: Seq,
    /// Time of the oldest kept entry.
    pub(crate) oldest: Option<Millis>,
    /// Time of the last entry.
    pub(crate) last: Option<Millis>,
}

/// Reads every room in order of its opening.
pub(crate) fn rooms(db: &Connection) -> rusqlite::Result<Vec<RoomFacts>> {
    // One transaction, so that a room that is deleted meanwhile is listed whole or not at all.
    let db = &*db.unchecked_transaction()?;
    let listed: Vec<(i64, RoomFacts)> = db
        .prepare(
            "SELECT key, room, head,
               bytes + (SELECT coalesce(sum(bytes), 0) FROM rooms l WHERE l.parent = r.key),
               (SELECT count(*) FROM members m WHERE m.room = r.key AND m.state = 0),
               (SELECT count(*) FROM rooms l WHERE l.parent = r.key AND l.closed_at = 0)
             FROM rooms r WHERE parent = 0 ORDER BY key",
        )?
        .query_map([], |row| {
            let facts = RoomFacts {
                id: RoomId(rows::bytes(row, 1)?),
                head: Seq(uint(row.get(2)?)),
                bytes: uint(row.get(3)?),
                members: uint(row.get(4)?),
                lanes: uint(row.get(5)?),
                oldest: None,
                last: None,
            };
            Ok((row.get(0)?, facts))
        })?
        .collect::<Result<_, _>>()?;
    let mut oldest =
        db.prepare("SELECT at FROM entries WHERE key > ?1 AND key < ?2 ORDER BY key LIMIT 1")?;
    let mut last =
        db.prepare("SELECT at FROM entries WHERE key > ?1 AND key < ?2 ORDER BY key DESC LIMIT 1")?;
    let mut all = Vec::with_capacity(listed.len());
    for (key, mut facts) in listed {
        let within = params![entry_key(key, 0), entry_key(key + 1, 0)];
        let at = |row: &rusqlite::Row<'_>| row.get(0).map(|at| Millis(uint(at)));
        facts.oldest = oldest.query_row(within, at).optional()?;
        let within = params![entry_key(key, 0), entry_key(key + 1, 0)];
        facts.last = last.query_row(within, at).optional()?;
        all.push(facts);
    }
    Ok(all)
}

/// Takes a room with its lanes out of everybody's reach; its rows are deleted by [`purge`] or by the relay's retention. Returns
/// whether there is such a room.
pub(crate) fn detach_room(db: &mut Connection, room: &RoomId) -> rusqlite::Result<bool> {
    let db = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let key = rows::room_or_none(&db, room)?;
    if key == 0 {
        return Ok(false);
    }
    // Connections belong to the relay's process, which reads the store with their next request.
    retention::detach_room(&db, &mut Vec::new(), key, *room)?;
    db.commit()?;
    Ok(true)
}

/// Deletes the rows of all detached rooms and lanes, and overwrites what the log still holds of them. For a store without a relay.
pub(crate) fn purge(db: &mut Connection) -> Result<(), OpenError> {
    loop {
        let step = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let key: Option<i64> = step
            .query_row("SELECT key FROM rooms WHERE parent < 0 LIMIT 1", [], |row| row.get(0))
            .optional()?;
        let Some(key) = key.filter(|key| *key <= ROOM_KEY_MAX) else { break };
        retention::purge_detached(&step, key)?;
        step.commit()?;
    }
    checkpoint::truncate(db)?;
    Ok(())
}

/// What tells one store from another, and an older copy from a newer one.
#[derive(Clone, Debug)]
pub(crate) struct StoreFacts {
    pub(crate) relay: RelayId,
    pub(crate) pin: Option<Pin>,
    /// Transactions that changed something.
    pub(crate) writes: u64,
    pub(crate) rooms: Vec<RoomFacts>,
    /// The head of each lane, by its room and its number in the store.
    pub(crate) lanes: BTreeMap<(RoomId, i64), Seq>,
}

/// Reads what tells a store from others.
pub(crate) fn facts(db: &Connection) -> Result<StoreFacts, OpenError> {
    check_version(db)?;
    let life::Life { writes, .. } = life::life(db)?;
    let relay: Option<Vec<u8>> = db
        .query_row("SELECT value FROM meta WHERE name = 'relay'", [], |row| row.get(0))
        .optional()?;
    let relay =
        relay.and_then(|bytes| bytes.try_into().ok()).ok_or(OpenError::Incomplete("relay"))?;
    let lanes = db
        .prepare(
            "SELECT p.room, l.key, l.head FROM rooms l JOIN rooms p ON p.key = l.parent WHERE l.parent > 0",
        )?
        .query_map([], |row| {
            Ok(((RoomId(rows::bytes(row, 0)?), row.get(1)?), Seq(uint(row.get(2)?))))
        })?
        .collect::<Result<_, _>>()?;
    let (pin, rooms) = (life::pin(db)?, rooms(db)?);
    Ok(StoreFacts { relay: RelayId(relay), pin, writes, rooms, lanes })
}

/// Refuses the tables of another version and of another program.
pub(crate) fn check_version(db: &Connection) -> Result<(), OpenError> {
    match db.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0))? {
        SCHEMA_VERSION => Ok(()),
        0 => Err(OpenError::NotOurs),
        found @ 1..SCHEMA_VERSION => Err(OpenError::OlderSchema { found }),
        found => Err(OpenError::Schema { found }),
    }
}

/// Opens a file that no relay writes to, and leaves no file beside it.
pub(crate) fn open_copy(path: &Path) -> Result<Connection, OpenError> {
    let path = std::path::absolute(path)?;
    let mut uri = String::from("file:");
    for byte in path.to_string_lossy().bytes() {
        match byte {
            b'?' | b'#' | b'%' => uri.push_str(&format!("%{byte:02x}")),
            byte if byte.is_ascii() => uri.push(char::from(byte)),
            byte => uri.push_str(&format!("%{byte:02x}")),
        }
    }
    uri.push_str("?immutable=1");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(uri, flags)?;
    schema::distrust(&db)?;
    Ok(db)
}

/// Outcome of a search for damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Soundness {
    Sound,
    Damaged,
    /// The search took too long.
    Unknown,
}

/// Virtual instructions between two looks at the clock.
const LOOK_EVERY: i32 = 100_000;

/// Searches a database for damage for some time at most.
pub(crate) fn soundness(db: &mut Connection, patience: Duration) -> rusqlite::Result<Soundness> {
    let deadline = Instant::now() + patience;
    let late = std::sync::Arc::new(AtomicBool::new(false));
    let told = late.clone();
    db.progress_handler(
        LOOK_EVERY,
        Some(move || {
            let is_late = Instant::now() > deadline;
            told.fetch_or(is_late, Ordering::Relaxed);
            is_late
        }),
    )?;
    let found: rusqlite::Result<String> =
        db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0));
    db.progress_handler(0, None::<fn() -> bool>)?;
    match found {
        _ if late.load(Ordering::Relaxed) => Ok(Soundness::Unknown),
        Ok(word) if word == "ok" => Ok(Soundness::Sound),
        Ok(_) => Ok(Soundness::Damaged),
        Err(error)
            if matches!(
                error.sqlite_error_code(),
                Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase)
            ) =>
        {
            Ok(Soundness::Damaged)
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copy_is_read_without_traces() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a #1?%.db");
        let db = schema::open_writer(&path).unwrap();
        life::secrets(&db).unwrap();
        checkpoint::truncate(&db).unwrap();
        drop(db);
        let copies = dir.path().join("copies");
        std::fs::create_dir(&copies).unwrap();
        let copy = copies.join("b #1?%é.db");
        std::fs::copy(&path, &copy).unwrap();
        let mut db = open_copy(&copy).unwrap();
        assert!(facts(&db).unwrap().rooms.is_empty());
        let patience = Duration::from_secs(60);
        assert_eq!(soundness(&mut db, patience).unwrap(), Soundness::Sound);
        drop(db);
        assert_eq!(std::fs::read_dir(&copies).unwrap().count(), 1);
    }

    #[test]
    fn damaged_pages_are_found() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        let db = schema::open_writer(&path).unwrap();
        checkpoint::truncate(&db).unwrap();
        drop(db);
        let mut bytes = std::fs::read(&path).unwrap();
        let half = bytes.len() / 2;
        bytes[half..].fill(7);
        std::fs::write(&path, bytes).unwrap();
        let mut db = open_copy(&path).unwrap();
        let patience = Duration::from_secs(60);
        assert_eq!(soundness(&mut db, patience).unwrap(), Soundness::Damaged);
    }
}
