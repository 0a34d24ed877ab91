//! Retention: expired content is overwritten, not only unlinked (`secure_delete`, then a checkpoint).

use hearth_protocol::{
    InviteId, Millis, RoomId, RoomNumbers, codec,
    limits::{MARKED_MILLIS, NOTE_KEPT_MILLIS},
    mls_header,
};
use hearth_rules::{
    posts,
    quota::ROW_BYTES,
    retention::{
        Expiry, INVITE_KEPT_MILLIS, KNOCK_KEPT_MILLIS, STAGED_KEPT_MILLIS, WELCOME_KEPT_MILLIS,
        lane_is_over, room_is_over,
    },
};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{
    Batch, Fault, lanes, rows, save,
    schema::{entry_key, int, seq_of, uint},
};
use crate::store::{Place, Publication};

/// Maximum entries deleted in one step, so that its transaction holds other requests up only briefly.
const ENTRIES_PER_STEP: usize = 500;
/// Maximum rooms checked in one step.
const ROOMS_PER_STEP: usize = 200;

/// Result of one step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Step {
    /// Continue after this room; `None` when the round is over.
    pub(crate) next: Option<i64>,
    /// Number of deleted rows.
    pub(crate) deleted: u64,
}

/// Deletes some expired rows, starting after a room. An interrupted round leaves the store whole, because the next round starts
/// again.
pub(crate) fn step(batch: &mut Batch<'_>, now: Millis, after: i64) -> Result<Step, Fault> {
    let step = delete(batch, now, after)?;
    batch.forgot |= step.deleted > 0;
    Ok(step)
}

fn delete(batch: &mut Batch<'_>, now: Millis, after: i64) -> Result<Step, Fault> {
    let mut deleted = if after == 0 { purge_others(batch.db, now)? } else { 0 };
    let rooms: Vec<Kept> = batch
        .db
        .prepare_cached(
            "SELECT r.key, r.floor, r.head, r.oldest_at, coalesce(p.numbers, r.numbers), r.room, r.parent, r.closed_at
             FROM rooms r LEFT JOIN rooms p ON p.key = r.parent WHERE r.key > ?1 ORDER BY r.key LIMIT ?2",
        )?
        .query_map(params![after, ROOMS_PER_STEP as i64], |row| {
            Ok(Kept {
                key: row.get(0)?,
                floor: uint(row.get(1)?),
                head: uint(row.get(2)?),
                oldest_at: uint(row.get(3)?),
                numbers: row.get(4)?,
                id: RoomId(rows::bytes(row, 5)?),
                parent: row.get(6)?,
                closed_at: uint(row.get(7)?),
            })
        })?
        .collect::<Result<_, _>>()?;
    let mut next = None;
    let full = rooms.len() == ROOMS_PER_STEP;
    for Kept { key, floor, head, oldest_at, numbers, id, parent, closed_at } in rooms {
        next = Some(key);
        let Ok(numbers) = codec::decode::<RoomNumbers>(&numbers) else { continue };
        // Its room may have been detached in this step, after the list was read.
        let over =
            parent > 0 && (lane_is_over(&numbers, closed_at, now) || room_is_over(&numbers, now));
        if over {
            lanes::detach(batch.db, &mut batch.published, key, id)?;
        }
        let ended = parent == 0 && room_is_over(&numbers, now);
        if ended {
            detach_room(batch.db, &mut batch.published, key, id)?;
        }
        let purged = if over || ended || parent < 0 {
            purge_detached(batch.db, key)?
        } else {
            let Some(expiry) = Expiry::of(&numbers, oldest_at, now) else { continue };
            purge_room(batch.db, &Room { key, floor, head, expiry })?
        };
        deleted += purged;
        if purged >= ENTRIES_PER_STEP as u64 {
            // Continue with the same room in another transaction.
            return Ok(Step { next: Some(key - 1), deleted });
        }
    }
    Ok(Step { next: next.filter(|_| full), deleted })
}

/// A room or a lane, as far as retention reads it. The numbers of a lane are those of its parent.
struct Kept {
    key: i64,
    floor: u64,
    head: u64,
    oldest_at: u64,
    numbers: Vec<u8>,
    id: RoomId,
    parent: i64,
    closed_at: u64,
}

struct Room {
    key: i64,
    floor: u64,
    head: u64,
    expiry: Expiry,
}

/// Deletes the expired part of a room's log: all entries up to the floor, commits later.
fn purge_room(db: &Connection, room: &Room) -> Result<u64, Fault> {
    // Times follow seqs closely; a clock that was set back keeps an entry longer, never shorter.
    let expired: Vec<(i64, i64)> = db
        .prepare_cached(
            "SELECT key, at FROM entries WHERE key > ?1 AND key <= ?2 ORDER BY key LIMIT ?3",
        )?
        .query_map(
            params![
                entry_key(room.key, room.floor),
                entry_key(room.key, room.head),
                ENTRIES_PER_STEP as i64
            ],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?
        .collect::<Result<_, _>>()?;
    let last = expired.iter().take_while(|(_, at)| uint(*at) < room.expiry.cutoff).last();
    let floor = last.map_or(room.floor, |(key, _)| seq_of(*key));
    let passed = last.map_or(0, |(key, _)| expired.iter().filter(|(k, _)| k <= key).count());
    let more = passed >= ENTRIES_PER_STEP;
    // `substr` counts from 1. A tombstone has no payload, so it is deleted.
    let mut deleted = db
        .prepare_cached(
            "DELETE FROM entries WHERE key > ?1 AND key <= ?2 AND substr(payload, ?3, 1) IS NOT ?4",
        )?
        .execute(params![
            entry_key(room.key, room.floor),
            entry_key(room.key, floor),
            mls_header::CONTENT_TYPE_AT as i64 + 1,
            [mls_header::COMMIT].as_slice()
        ])?;
    let commits_cutoff = int(room.expiry.commits_cutoff());
    deleted += db
        .prepare_cached(
            "DELETE FROM entries WHERE key IN
               (SELECT key FROM entries WHERE key > ?1 AND key <= ?2 AND at < ?3 LIMIT ?4)",
        )?
        .execute(params![
            entry_key(room.key, 0),
            entry_key(room.key, floor),
            commits_cutoff,
            ENTRIES_PER_STEP as i64
        ])?;
    // The record of a submission without an entry is kept as long as an entry.
    let acts = db
        .prepare_cached("DELETE FROM acts WHERE room = ?1 AND at < ?2")?
        .execute(params![room.key, int(room.expiry.cutoff)])?;
    deleted += acts;
    // Triggers subtract the bytes of entries.
    db.prepare_cached("UPDATE rooms SET bytes = max(0, bytes - ?2) WHERE key = ?1")?
        .execute(params![room.key, int((acts as u64).saturating_mul(ROW_BYTES))])?;
    // A removed member is told so for as long as the commit that removed them can be read.
    deleted += db
        .prepare_cached("DELETE FROM members WHERE room = ?1 AND state = 2 AND gone_at < ?2")?
        .execute(params![room.key, commits_cutoff])?;
    let act: Option<i64> = db
        .prepare_cached("SELECT min(at) FROM acts WHERE room = ?1")?
        .query_row([room.key], |row| row.get(0))?;
    // The next entry to expire: entries expire in order, so a later one waits for it.
    let entry: Option<i64> = db
        .prepare_cached("SELECT at FROM entries WHERE key > ?1 AND key <= ?2 ORDER BY key LIMIT 1")?
        .query_row(params![entry_key(room.key, floor), entry_key(room.key, room.head)], |row| {
            row.get(0)
        })
        .optional()?;
    let commit: Option<i64> = db
        .prepare_cached("SELECT min(at) FROM entries WHERE key > ?1 AND key <= ?2")?
        .query_row(params![entry_key(room.key, 0), entry_key(room.key, floor)], |row| row.get(0))?;
    let commit_due = commit.map(|at| int(uint(at).saturating_add(room.expiry.longer)));
    let oldest = act.into_iter().chain(entry).chain(commit_due).min();
    db.prepare_cached("UPDATE rooms SET floor = ?2, oldest_at = ?3 WHERE key = ?1")?
        .execute(params![room.key, int(floor), oldest.unwrap_or(i64::MAX)])?;
    Ok(if more { deleted.max(ENTRIES_PER_STEP) } else { deleted.min(ENTRIES_PER_STEP - 1) } as u64)
}

/// Takes a room with its lanes, and all that waits at its door, out of everybody's reach. [`purge_detached`] deletes the other rows.
pub(super) fn detach_room(
    db: &Connection,
    published: &mut Vec<Publication>,
    key: i64,
    id: RoomId,
) -> rusqlite::Result<()> {
    let lanes: Vec<(i64, RoomId)> = db
        .prepare_cached("SELECT key, room FROM rooms WHERE parent = ?1 AND parent > 0")?
        .query_map([key], |row| Ok((row.get(0)?, RoomId(rows::bytes(row, 1)?))))?
        .collect::<Result<_, _>>()?;
    for (lane, id) in lanes {
        lanes::detach(db, published, lane, id)?;
    }
    for table in ["invites", "knockers", "knocks", "notes", "posts", "members"] {
        db.prepare_cached(&format!("DELETE FROM {table} WHERE room = ?1"))?.execute([key])?;
    }
    db.prepare_cached("UPDATE rooms SET parent = -key WHERE key = ?1")?.execute([key])?;
    published.push(Publication::roster(Place { id, lane: None }));
    Ok(())
}

/// Deletes some rows of a deleted room or lane, its own row last.
pub(super) fn purge_detached(db: &Connection, key: i64) -> rusqlite::Result<u64> {
    let entries = db
        .prepare_cached(
            "DELETE FROM entries WHERE key IN
               (SELECT key FROM entries WHERE key > ?1 AND key < ?2 LIMIT ?3)",
        )?
        .execute(params![entry_key(key, 0), entry_key(key + 1, 0), ENTRIES_PER_STEP as i64])?;
    if entries >= ENTRIES_PER_STEP {
        return Ok(entries as u64);
    }
    let mut deleted = entries;
    deleted += db.prepare_cached("DELETE FROM acts WHERE room = ?1")?.execute([key])?;
    deleted += db.prepare_cached("DELETE FROM blobs WHERE room = ?1")?.execute([key])?;
    deleted += db.prepare_cached("DELETE FROM rooms WHERE key = ?1")?.execute([key])?;
    Ok(deleted.min(ENTRIES_PER_STEP - 1) as u64)
}

fn purge_others(db: &Connection, now: Millis) -> Result<u64, Fault> {
    let before = |kept: u64| int(now.0.saturating_sub(kept));
    let expired: Vec<(i64, InviteId)> = db
        .prepare_cached("SELECT room, invite FROM invites WHERE expires < ?1 LIMIT 500")?
        .query_map([before(INVITE_KEPT_MILLIS)], |row| {
            Ok((row.get(0)?, InviteId(rows::bytes(row, 1)?)))
        })?
        .collect::<Result<_, _>>()?;
    let mut deleted = expired.len();
    for (room, invite) in &expired {
        save::forget_invite(db, *room, invite)?;
    }
    deleted += db
        .prepare_cached("DELETE FROM knocks WHERE at < ?1")?
        .execute([before(KNOCK_KEPT_MILLIS)])?;
    deleted += db
        .prepare_cached("DELETE FROM notes WHERE at < ?1")?
        .execute([before(NOTE_KEPT_MILLIS)])?;
    deleted += db
        .prepare_cached("DELETE FROM grants WHERE expires < ?1 OR rooms_left = 0")?
        .execute([before(0)])?;
    deleted += db
        .prepare_cached("DELETE FROM posts WHERE quarter < ?1")?
        .execute([int(posts::first_quarter(now)) - 1])?;
    // Members' pace is kept only while a rule needs it.
    db.prepare_cached(
        "UPDATE members SET full_at = 0, marked_at = 0
         WHERE (full_at > 0 OR marked_at > 0) AND full_at < ?1 AND marked_at < ?2",
    )?
    .execute([before(0), before(MARKED_MILLIS)])?;
    db.prepare_cached(
        "UPDATE members SET welcome = NULL WHERE welcome IS NOT NULL AND (room, welcome) IN
           (SELECT room, blob FROM blobs WHERE at < ?1)",
    )?
    .execute([before(WELCOME_KEPT_MILLIS)])?;
    deleted += db
        .prepare_cached(
            "DELETE FROM blobs WHERE at < ?1 AND NOT EXISTS
               (SELECT 1 FROM members m WHERE m.room = blobs.room AND m.welcome = blobs.blob)",
        )?
        .execute([before(STAGED_KEPT_MILLIS)])?;
    Ok(deleted as u64)
}
