//! Opening a room, previewing and burning an invite, knocking: loads, lets the rules decide, saves.

use hearth_protocol::{MemberKey, Millis, RejectCode, RoomId, Secret32, codec, frame::Standing};
use hearth_rules::{
    Change, Room,
    admission::{self, Knock, Opened, Opening},
    reading::{self, View},
};
use rusqlite::{Connection, params};

use super::{
    Batch, Fault, grants, load, rows, save,
    schema::{ROOM_KEY_MAX, int},
};
use crate::{auth::Proved, store::Place};

/// Opens a room and makes the sender its facilitator.
pub(crate) fn open_room(
    batch: &mut Batch<'_>,
    now: Millis,
    proof: &Proved,
    opening: &Opening,
) -> Result<Standing, Fault> {
    let existing = match rows::room(batch.db, proof.place())? {
        Some((key, _)) => Some(rows::member(batch.db, key, proof.member())?),
        None => None,
    };
    let grant = grants::terms(batch.db, &opening.grant)?;
    let existing = existing.as_ref().map(Option::as_ref);
    let opened = admission::open_room(existing, grant, *proof.member(), &opening.numbers, now)?;
    let (members_max, founder) = match opened {
        Opened::Already(standing) => return Ok(standing),
        Opened::New { members_max, founder } => (members_max, founder),
    };
    batch
        .db
        .prepare_cached(
            "INSERT INTO rooms(room, epoch, control, agreement, numbers, head, floor, members_max, oldest_at)
             VALUES (?1, 0, 0, ?2, ?3, 0, 0, ?4, ?5)",
        )?
        .execute(params![
            proof.room().as_bytes(),
            opening.agreement.as_bytes(),
            codec::encode(&opening.numbers),
            members_max,
            int(now.0)
        ])?;
    let key = batch.db.last_insert_rowid();
    if key > ROOM_KEY_MAX {
        // No further keys for entries exist; one relay never reaches this number.
        return Err(Fault::Store(rusqlite::Error::StatementChangedRows(0)));
    }
    grants::spend(batch.db, &opening.grant)?;
    rows::save_member(batch.db, key, &founder)?;
    Ok(founder.standing())
}

/// Checks that a token is an invite's. Missing rooms and missing invites get the same answer.
pub(crate) fn check_token(db: &Connection, room: &RoomId, token: &Secret32) -> Result<(), Fault> {
    let key = rows::room_or_none(db, room)?;
    load::invite(db, key, token)?.map(|_| ()).ok_or_else(|| RejectCode::InviteInvalid.into())
}

/// Checks that a grant opens a room, or that its founder repeats the request for an open room.
pub(crate) fn check_grant(
    db: &Connection,
    now: Millis,
    proof: &Proved,
    grant: &Secret32,
) -> Result<(), Fault> {
    let terms = grants::terms(db, grant)?;
    let key = rows::room_or_none(db, proof.room())?;
    let founder = rows::member(db, key, proof.member())?;
    Ok(admission::check_grant(terms, founder.as_ref(), now)?)
}

/// Returns an invite's sealed preview. Missing rooms and missing invites get the same answer.
pub(crate) fn preview(
    db: &Connection,
    now: Millis,
    room: &RoomId,
    token: &Secret32,
) -> Result<Vec<u8>, Fault> {
    let key = rows::room_or_none(db, room)?;
    let invite = admission::preview(load::invite(db, key, token)?, now)?;
    let sealed = db
        .prepare_cached("SELECT preview FROM invites WHERE room = ?1 AND invite = ?2")?
        .query_row(params![key, invite.id.as_bytes()], |row| row.get(0))?;
    Ok(sealed)
}

/// Spends every use of an invite.
pub(crate) fn burn(
    batch: &mut Batch<'_>,
    now: Millis,
    room: &RoomId,
    token: &Secret32,
) -> Result<(), Fault> {
    let key = rows::room_or_none(batch.db, room)?;
    let invite = admission::burn(load::invite(batch.db, key, token)?, now)?;
    save::change(batch.db, key, &Change::InviteUses { invite: invite.id, left: 0 })?;
    Ok(())
}

/// Accepts a knock: the gate at the relay.
pub(crate) fn knock(
    batch: &mut Batch<'_>,
    now: Millis,
    proof: &Proved,
    knock: Knock,
) -> Result<Standing, Fault> {
    let db = batch.db;
    let key = rows::room_or_none(db, proof.room())?;
    let invite = load::invite(db, key, &knock.token)?.ok_or(RejectCode::InviteInvalid)?;
    let (key, row) = rows::room(db, proof.place())?.ok_or(RejectCode::InviteInvalid)?;
    let mut room = Room::new(row);
    let candidate = load::candidate(db, key, *proof.member(), invite, &knock)?;
    if let Some(standing) = admission::check_knock(&room, now, &candidate, &knock)? {
        return Ok(standing);
    }
    // Each search runs only after the refusals before it, because many keys may have used an invite.
    let crowd = load::crowd(db, key, &candidate.key)?;
    let taken = batch
        .decide(now, |context| admission::pace_knock(&room, context, &candidate, crowd, &knock))?;
    let taken_back = load::last_taken_back(db, key, &invite.id)?;
    let standing = admission::take_knock(&mut room, now, &candidate, taken, taken_back, knock);
    save::changes(db, key, &room)?;
    if room.news.knocked {
        batch.publish(proof.place(), &mut room, None);
    }
    Ok(standing)
}

/// Withdraws a pending knock.
pub(crate) fn cancel(batch: &mut Batch<'_>, proof: &Proved) -> Result<(), Fault> {
    let (key, _) = rows::room(batch.db, proof.place())?.ok_or(RejectCode::NotMember)?;
    let deleted = batch
        .db
        .prepare_cached("DELETE FROM knocks WHERE room = ?1 AND member = ?2 AND declined = 0")?
        .execute(params![key, proof.member().as_bytes()])?;
    if deleted == 0 { Err(RejectCode::NotFound.into()) } else { Ok(()) }
}

/// Returns a key's standing in a room; missing rooms and unknown keys get the same answer.
pub(crate) fn standing(db: &Connection, place: &Place, member: &MemberKey) -> Result<View, Fault> {
    let key = rows::place_or_none(db, place)?;
    let row = rows::member(db, key, member)?;
    let is_in = row.as_ref().is_some_and(hearth_rules::MemberRow::is_in);
    let knock = if is_in { None } else { rows::knock_standing(db, key, member)? };
    Ok(reading::standing(row, knock)?)
}
