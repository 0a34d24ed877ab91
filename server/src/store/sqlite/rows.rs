//! Loads and saves the rows of rooms and members.

use hearth_protocol::{
    BlobId, Commitment, Epoch, MemberKey, Millis, Role, RoomId, RoomNumbers, Seq, codec,
    frame::Standing,
};
use hearth_rules::{Kind, MemberRow, RoomRow, State};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::schema::{int, uint};
use crate::store::{LaneNumber, Place};

/// Reads a fixed number of bytes from a column.
pub(crate) fn bytes<const N: usize>(row: &Row<'_>, column: usize) -> rusqlite::Result<[u8; N]> {
    row.get_ref(column)?.as_blob()?.try_into().map_err(|_| damaged(column))
}

fn damaged(column: usize) -> rusqlite::Error {
    rusqlite::Error::InvalidColumnType(column, "value".to_owned(), rusqlite::types::Type::Blob)
}

fn role_from(value: i64, column: usize) -> rusqlite::Result<Role> {
    match value {
        0 => Ok(Role::Facilitator),
        1 => Ok(Role::CoFacilitator),
        2 => Ok(Role::Member),
        3 => Ok(Role::Observer),
        4 => Ok(Role::Steward),
        _ => Err(damaged(column)),
    }
}

const fn role_to(role: Role) -> i64 {
    match role {
        Role::Facilitator => 0,
        Role::CoFacilitator => 1,
        Role::Member => 2,
        Role::Observer => 3,
        Role::Steward => 4,
    }
}

fn state_from(value: i64, column: usize) -> rusqlite::Result<State> {
    match value {
        0 => Ok(State::In),
        1 => Ok(State::Left),
        2 => Ok(State::Gone),
        _ => Err(damaged(column)),
    }
}

const fn state_to(state: State) -> i64 {
    match state {
        State::In => 0,
        State::Left => 1,
        State::Gone => 2,
    }
}

/// A number that no room has.
const NO_ROOM: i64 = 0;

/// Returns the number of a room, or one that no room has.
///
/// For callers that must not learn whether a room exists: both cases take the same steps, and the index alone answers.
pub(crate) fn room_or_none(db: &Connection, id: &RoomId) -> rusqlite::Result<i64> {
    let key = db
        .prepare_cached("SELECT key FROM rooms WHERE room = ?1 AND parent = 0")?
        .query_row([id.as_bytes()], |row| row.get(0))
        .optional()?;
    Ok(key.unwrap_or(NO_ROOM))
}

/// Returns the number of a room, or one that no room has; a lane has its own.
pub(crate) fn place_or_none(db: &Connection, place: &Place) -> rusqlite::Result<i64> {
    match place.lane {
        Some(LaneNumber(key)) => Ok(key),
        None => room_or_none(db, &place.id),
    }
}

/// Loads a room or a lane with its number.
pub(crate) fn room(db: &Connection, place: &Place) -> rusqlite::Result<Option<(i64, RoomRow)>> {
    let Some(LaneNumber(key)) = place.lane else {
        return db
            .prepare_cached(
                "SELECT key, epoch, control, agreement, numbers, head, floor, members_max, oldest_at, bytes
                 FROM rooms WHERE room = ?1 AND parent = 0",
            )?
            .query_row([place.id.as_bytes()], |row| room_row(row, place.id, Kind::Room))
            .optional();
    };
    // The numbers are those of the parent, of which a lane has the retention.
    db.prepare_cached(
        "SELECT key, epoch, control, agreement, (SELECT numbers FROM rooms p WHERE p.key = r.parent),
           head, floor, members_max, oldest_at, bytes, closed_at
         FROM rooms r WHERE key = ?1 AND room = ?2 AND parent > 0",
    )?
    .query_row(params![key, place.id.as_bytes()], |row| {
        let kind = if row.get::<_, i64>(10)? == 0 { Kind::Lane } else { Kind::ClosedLane };
        let (key, mut lane) = room_row(row, place.id, kind)?;
        let retention_seconds = lane.numbers.retention_seconds;
        lane.numbers = RoomNumbers { retention_seconds, ..RoomNumbers::default() };
        Ok((key, lane))
    })
    .optional()
}

fn room_row(row: &Row<'_>, id: RoomId, kind: Kind) -> rusqlite::Result<(i64, RoomRow)> {
    let numbers = codec::decode(row.get_ref(4)?.as_blob()?).map_err(|_| damaged(4))?;
    let room = RoomRow {
        id,
        kind,
        epoch: Epoch(uint(row.get(1)?)),
        control: uint(row.get(2)?),
        agreement: Commitment(bytes(row, 3)?),
        numbers,
        head: Seq(uint(row.get(5)?)),
        floor: Seq(uint(row.get(6)?)),
        members_max: row.get(7)?,
        oldest_at: Millis(uint(row.get(8)?)),
        bytes: uint(row.get(9)?),
        added: 0,
    };
    Ok((row.get(0)?, room))
}

/// Saves the columns that plain posts change.
pub(super) fn save_room_head(db: &Connection, key: i64, room: &RoomRow) -> rusqlite::Result<()> {
    db.prepare_cached(
        "UPDATE rooms SET epoch = ?2, control = ?3, head = ?4, oldest_at = ?5, bytes = bytes + ?6
         WHERE key = ?1",
    )?
    .execute(params![
        key,
        int(room.epoch.0),
        int(room.control),
        int(room.head.0),
        int(room.oldest_at.0),
        int(room.added)
    ])?;
    Ok(())
}

/// Saves the sender's columns that plain posts change.
pub(crate) fn save_member_pace(
    db: &Connection,
    room: i64,
    member: &MemberRow,
) -> rusqlite::Result<()> {
    db.prepare_cached(
        "UPDATE members SET last_post_at = ?3, full_at = ?4, marked_at = ?5
         WHERE room = ?1 AND member = ?2",
    )?
    .execute(params![
        room,
        member.key.as_bytes(),
        int(member.last_post_at.0),
        int(member.full_at.0),
        int(member.marked_at.0)
    ])?;
    Ok(())
}

/// Saves the columns that effects change.
pub(super) fn save_room_rules(db: &Connection, key: i64, room: &RoomRow) -> rusqlite::Result<()> {
    db.prepare_cached("UPDATE rooms SET agreement = ?2, numbers = ?3 WHERE key = ?1")?
        .execute(params![key, room.agreement.as_bytes(), codec::encode(&room.numbers)])?;
    Ok(())
}

/// Loads a member.
pub(crate) fn member(
    db: &Connection,
    room: i64,
    key: &MemberKey,
) -> rusqlite::Result<Option<MemberRow>> {
    db.prepare_cached(
        "SELECT member, role, state, joined, gone, gone_at, timeout_until, last_post_at, welcome,
           full_at, marked_at
         FROM members WHERE room = ?1 AND member = ?2",
    )?
    .query_row(params![room, key.as_bytes()], member_row)
    .optional()
}

/// Loads present members, and those who left but are not removed yet.
pub(crate) fn roster(db: &Connection, room: i64) -> rusqlite::Result<Vec<MemberRow>> {
    db.prepare_cached(
        "SELECT member, role, state, joined, gone, gone_at, timeout_until, last_post_at, welcome,
           full_at, marked_at
         FROM members WHERE room = ?1 AND state < 2 ORDER BY member",
    )?
    .query_map([room], member_row)?
    .collect()
}

fn member_row(row: &Row<'_>) -> rusqlite::Result<MemberRow> {
    let welcome = match row.get_ref(8)? {
        rusqlite::types::ValueRef::Null => None,
        _ => Some(BlobId(bytes(row, 8)?)),
    };
    Ok(MemberRow {
        key: MemberKey(bytes(row, 0)?),
        role: role_from(row.get(1)?, 1)?,
        state: state_from(row.get(2)?, 2)?,
        joined: Seq(uint(row.get(3)?)),
        gone: Seq(uint(row.get(4)?)),
        gone_at: Millis(uint(row.get(5)?)),
        timeout_until: Millis(uint(row.get(6)?)),
        last_post_at: Millis(uint(row.get(7)?)),
        welcome,
        full_at: Millis(uint(row.get(9)?)),
        marked_at: Millis(uint(row.get(10)?)),
    })
}

/// Inserts or replaces a member.
pub(crate) fn save_member(db: &Connection, room: i64, member: &MemberRow) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT OR REPLACE INTO members VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12)",
    )?
    .execute(params![
        room,
        member.key.as_bytes(),
        role_to(member.role),
        state_to(member.state),
        int(member.joined.0),
        int(member.gone.0),
        int(member.gone_at.0),
        int(member.timeout_until.0),
        int(member.last_post_at.0),
        member.welcome.as_ref().map(BlobId::as_bytes),
        int(member.full_at.0),
        int(member.marked_at.0),
    ])?;
    Ok(())
}

/// Loads the standing of a key that knocked.
pub(super) fn knock_standing(
    db: &Connection,
    room: i64,
    key: &MemberKey,
) -> rusqlite::Result<Option<Standing>> {
    db.prepare_cached("SELECT declined, note FROM knocks WHERE room = ?1 AND member = ?2")?
        .query_row(params![room, key.as_bytes()], |row| {
            Ok(if row.get(0)? {
                Standing::Declined { note: row.get(1)? }
            } else {
                Standing::Knocking
            })
        })
        .optional()
}
