//! Lanes: opening, closing, listing and finding them: loads, lets the rules decide, saves.

use hearth_protocol::{
    Digest, MemberKey, Millis, RejectCode, RoomId, Seq, codec, frame::LaneRow, hash,
};
use hearth_rules::{
    Room,
    lanes::{self, Earlier, Opened, Opening, Seated},
    reading,
    submit::Print,
};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{
    Batch, Fault, rows, save,
    schema::{ROOM_KEY_MAX, entry_key, int},
};
use crate::{
    auth::Proved,
    store::{LaneNumber, Place, Publication},
};

/// Opens a lane for a moderator of its parent. Returns its number, and whether it is new.
pub(crate) fn open(
    batch: &mut Batch<'_>,
    now: Millis,
    moderator: &Proved,
    opener: &Proved,
    opening: Opening,
) -> Result<(LaneNumber, bool), Fault> {
    let (parent, row) = rows::room(batch.db, moderator.place())?.ok_or(RejectCode::NotMember)?;
    reading::moderator(rows::member(batch.db, parent, moderator.member())?)?;
    let (lane, key) = (*opener.room(), *opener.member());
    let (numbers, earlier) = earlier(batch.db, parent, &lane, &key)?;
    let open = count(batch.db, parent, true)?;
    let digest = hash::sha256(&opening.commit);
    let opened = batch
        .decide(now, |context| lanes::open(context, &row, (lane, key), opening, &earlier, open))?;
    let mut room = match opened {
        Opened::Already(index) => {
            let number = numbers.get(index).copied().ok_or(RejectCode::StoreUnavailable)?;
            return Ok((number, false));
        }
        Opened::New(room) => room,
    };
    let number = insert(batch.db, parent, &room)?;
    // The opening has no submission id, so no submission has this name.
    let print = Print { name: [0; 16], digest, effects: None };
    save::submission(batch.db, number, &mut room, &print)?;
    Ok((LaneNumber(number), true))
}

fn insert(db: &Connection, parent: i64, room: &Room) -> Result<i64, Fault> {
    let row = &room.row;
    db.prepare_cached(
        "INSERT INTO rooms(room, epoch, control, agreement, numbers, head, floor, members_max, oldest_at, parent)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?
    .execute(params![
        row.id.as_bytes(),
        int(row.epoch.0),
        int(row.control),
        row.agreement.as_bytes(),
        codec::encode(&row.numbers),
        int(row.head.0),
        int(row.floor.0),
        row.members_max,
        int(row.oldest_at.0),
        parent
    ])?;
    let key = db.last_insert_rowid();
    if key > ROOM_KEY_MAX {
        // No further keys for entries exist; one relay never reaches this number.
        return Err(Fault::Store(rusqlite::Error::StatementChangedRows(0)));
    }
    Ok(key)
}

/// Loads the lanes of a room with one id, as far as the rules compare an opening with them.
fn earlier(
    db: &Connection,
    parent: i64,
    lane: &RoomId,
    opener: &MemberKey,
) -> rusqlite::Result<(Vec<LaneNumber>, Vec<Earlier>)> {
    let lanes: Vec<(i64, bool)> = db
        .prepare_cached(
            "SELECT key, closed_at > 0 FROM rooms WHERE parent = ?1 AND room = ?2 AND parent > 0 ORDER BY key",
        )?
        .query_map(params![parent, lane.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    let (mut numbers, mut earlier) = (Vec::new(), Vec::new());
    for (key, closed) in lanes {
        let member = rows::member(db, key, opener)?;
        let opened_with = match member.filter(|member| member.joined == Seq(0)) {
            Some(_) => first_digest(db, key)?,
            None => None,
        };
        numbers.push(LaneNumber(key));
        earlier.push(Earlier { closed, opened_with });
    }
    Ok((numbers, earlier))
}

fn first_digest(db: &Connection, key: i64) -> rusqlite::Result<Option<Digest>> {
    db.prepare_cached("SELECT digest FROM entries WHERE key = ?1")?
        .query_row([entry_key(key, 1)], |row| Ok(Digest(rows::bytes(row, 0)?)))
        .optional()
}

/// Counts the open or the closed lanes of a room.
fn count(db: &Connection, parent: i64, open: bool) -> rusqlite::Result<u32> {
    db.prepare_cached(
        "SELECT count(*) FROM rooms WHERE parent = ?1 AND parent > 0 AND (closed_at = 0) = ?2",
    )?
    .query_row(params![parent, open], |row| row.get(0))
}

/// Closes a lane for a facilitator of its parent, or deletes it with what was closed under its id.
pub(crate) fn close(
    batch: &mut Batch<'_>,
    now: Millis,
    facilitator: &Proved,
    lane: &RoomId,
    forget: bool,
) -> Result<(), Fault> {
    let (parent, row) = rows::room(batch.db, facilitator.place())?.ok_or(RejectCode::NotMember)?;
    reading::facilitator(rows::member(batch.db, parent, facilitator.member())?)?;
    let known: Vec<i64> = batch
        .db
        .prepare_cached("SELECT key FROM rooms WHERE parent = ?1 AND room = ?2 AND parent > 0")?
        .query_map(params![parent, lane.as_bytes()], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    if known.is_empty() {
        return Err(RejectCode::NotFound.into());
    }
    if forget {
        for key in known {
            detach(batch.db, &mut batch.published, key, *lane)?;
        }
        return Ok(());
    }
    batch
        .db
        .prepare_cached(
            "UPDATE rooms SET closed_at = ?3 WHERE parent = ?1 AND room = ?2 AND parent > 0 AND closed_at = 0",
        )?
        .execute(params![parent, lane.as_bytes(), int(now.0.max(1))])?;
    // A facilitator who opens and closes lanes must not fill the disk with closed ones.
    if count(batch.db, parent, false)? > lanes::lanes_max(&row) {
        let oldest = batch
            .db
            .prepare_cached(
                "SELECT key, room FROM rooms WHERE parent = ?1 AND parent > 0 AND closed_at > 0
                 ORDER BY closed_at, key LIMIT 1",
            )?
            .query_row([parent], |row| Ok((row.get(0)?, RoomId(rows::bytes(row, 1)?))))?;
        detach(batch.db, &mut batch.published, oldest.0, oldest.1)?;
    }
    Ok(())
}

/// Takes a lane out of everybody's reach at once. Retention deletes its rows step by step, because one transaction with all of
/// them would hold up the others.
pub(super) fn detach(
    db: &Connection,
    published: &mut Vec<Publication>,
    key: i64,
    lane: RoomId,
) -> rusqlite::Result<()> {
    db.prepare_cached("UPDATE rooms SET parent = -key WHERE key = ?1")?.execute([key])?;
    db.prepare_cached("DELETE FROM members WHERE room = ?1")?.execute([key])?;
    published.push(Publication::roster(Place { id: lane, lane: Some(LaneNumber(key)) }));
    Ok(())
}

/// Returns the lanes of a room in order of id, for its moderators. A lane that was opened again is listed once.
pub(crate) fn list(db: &Connection, moderator: &Proved) -> Result<Vec<LaneRow>, Fault> {
    let (parent, _) = rows::room(db, moderator.place())?.ok_or(RejectCode::NotMember)?;
    reading::moderator(rows::member(db, parent, moderator.member())?)?;
    let lanes = db
        .prepare_cached(
            "SELECT room, min(closed_at) = 0 FROM rooms WHERE parent = ?1 AND parent > 0
             GROUP BY room ORDER BY room",
        )?
        .query_map([parent], |row| {
            Ok(LaneRow { lane: RoomId(rows::bytes(row, 0)?), open: row.get(1)? })
        })?
        .collect::<Result<_, _>>()?;
    Ok(lanes)
}

/// Finds the lane with an id that a key means; missing lanes and unknown keys get the same answer.
pub(crate) fn find(
    db: &Connection,
    lane: &RoomId,
    member: &MemberKey,
    held: &[RoomId],
) -> Result<LaneNumber, Fault> {
    let found: Vec<(LaneNumber, Seated)> = db
        .prepare_cached(
            "SELECT r.key, p.room, m.state = 0, r.closed_at > 0
             FROM rooms r JOIN members m ON m.room = r.key JOIN rooms p ON p.key = r.parent
             WHERE r.room = ?1 AND r.parent > 0 AND m.member = ?2 ORDER BY r.key",
        )?
        .query_map(params![lane.as_bytes(), member.as_bytes()], |row| {
            let held = held.contains(&RoomId(rows::bytes(row, 1)?));
            let seated = Seated { held, is_in: row.get(2)?, closed: row.get(3)? };
            Ok((LaneNumber(row.get(0)?), seated))
        })?
        .collect::<Result<_, _>>()?;
    let (numbers, seated): (Vec<_>, Vec<_>) = found.into_iter().unzip();
    let chosen = lanes::choose(&seated).and_then(|index| numbers.get(index).copied());
    chosen.ok_or_else(|| RejectCode::NotMember.into())
}
