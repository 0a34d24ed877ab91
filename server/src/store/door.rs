//! Before admission: opening a room, previewing and burning an invite, knocking.

use hearth_protocol::{
    Commitment, InviteId, MemberKey, Millis, RejectCode, Role, RoomId, RoomNumbers, Secret32, Seq,
    codec,
    frame::{AckTriple, Standing},
    handshake, invite,
    limits::{KNOCK_BYTES_MAX, KNOCKS_MAX},
};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{
    Batch, Fault, Publication, Refusal, grants,
    quota::{ROW_BYTES, Share},
    rows::{self, MemberRow, State},
    rules,
    schema::{ROOM_KEY_MAX, int, uint},
};
use crate::auth::Proved;

/// What a founder asks for.
pub(crate) struct Opening {
    pub(crate) grant: Secret32,
    pub(crate) numbers: RoomNumbers,
    pub(crate) agreement: Commitment,
}

/// Opens a room and makes the sender its facilitator.
///
/// The same again by the same key returns the same, so that a founder whose answer was lost can ask once more.
pub(crate) fn open_room(
    batch: &mut Batch<'_>,
    now: Millis,
    proof: &Proved,
    opening: &Opening,
) -> Result<Standing, Fault> {
    if !rules::well_formed(&opening.numbers) {
        return Err(RejectCode::BadFrame.into());
    }
    let existing = rows::room(batch.db, proof.room())?;
    if let Some(room) = &existing
        && let Some(member) = rows::member(batch.db, room.key, proof.member())?
        && member.joined == Seq(0)
    {
        return Ok(member.standing());
    }
    // The grant first: without one, nobody learns whether a room exists.
    let grant = grants::usable(batch.db, &opening.grant, now)?.ok_or(RejectCode::GrantInvalid)?;
    if existing.is_some() {
        return Err(RejectCode::RoomExists.into());
    }
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
            grant.members_max,
            int(now.0)
        ])?;
    let key = batch.db.last_insert_rowid();
    if key > ROOM_KEY_MAX {
        // The keys of entries have no more room; not reached in the life of one relay.
        return Err(Fault::Store(rusqlite::Error::StatementChangedRows(0)));
    }
    grants::spend(batch.db, &opening.grant)?;
    let founder = MemberRow {
        key: *proof.member(),
        role: Role::Facilitator,
        state: State::In,
        joined: Seq(0),
        gone: Seq(0),
        gone_at: Millis(0),
        timeout_until: Millis(0),
        last_post_at: Millis(0),
        welcome: None,
        full_at: Millis(0),
        marked_at: Millis(0),
    };
    rows::save_member(batch.db, key, &founder)?;
    Ok(founder.standing())
}

struct InviteRow {
    id: InviteId,
    uses_left: u32,
    expires: Millis,
}

fn invite_row(db: &Connection, room: i64, token: &Secret32) -> Result<Option<InviteRow>, Fault> {
    let id = invite::invite_id(token);
    let row = db
        .prepare_cached("SELECT uses_left, expires FROM invites WHERE room = ?1 AND invite = ?2")?
        .query_row(params![room, id.as_bytes()], |row| {
            Ok(InviteRow { id, uses_left: row.get(0)?, expires: Millis(uint(row.get(1)?)) })
        })
        .optional()?;
    Ok(row)
}

/// Whether a token is an invite's. An absent room and an absent invite are one answer.
pub(crate) fn check_token(db: &Connection, room: &RoomId, token: &Secret32) -> Result<(), Fault> {
    let room = rows::room_or_none(db, room)?;
    invite_row(db, room, token)?.map(|_| ()).ok_or_else(|| RejectCode::InviteInvalid.into())
}

/// Whether a grant opens a room, or the room is open already and its founder asks again.
pub(crate) fn check_grant(
    db: &Connection,
    now: Millis,
    proof: &Proved,
    grant: &Secret32,
) -> Result<(), Fault> {
    if grants::usable(db, grant, now)?.is_some() {
        return Ok(());
    }
    let room = rows::room_or_none(db, proof.room())?;
    let founder = rows::member(db, room, proof.member())?.filter(|m| m.joined == Seq(0));
    founder.map(|_| ()).ok_or_else(|| RejectCode::GrantInvalid.into())
}

/// Returns an invite's sealed preview. An absent room and an absent invite are one answer.
pub(crate) fn preview(
    db: &Connection,
    now: Millis,
    room: &RoomId,
    token: &Secret32,
) -> Result<Vec<u8>, Fault> {
    let room = rows::room_or_none(db, room)?;
    let invite = invite_row(db, room, token)?.ok_or(RejectCode::InviteInvalid)?;
    if invite.expires <= now {
        return Err(RejectCode::InviteExpired.into());
    }
    if invite.uses_left == 0 {
        return Err(RejectCode::InviteUsed.into());
    }
    let sealed = db
        .prepare_cached("SELECT preview FROM invites WHERE room = ?1 AND invite = ?2")?
        .query_row(params![room, invite.id.as_bytes()], |row| row.get(0))?;
    Ok(sealed)
}

/// Spends every use of an invite.
pub(crate) fn burn(
    batch: &mut Batch<'_>,
    now: Millis,
    room: &RoomId,
    token: &Secret32,
) -> Result<(), Fault> {
    let room = rows::room_or_none(batch.db, room)?;
    let invite = invite_row(batch.db, room, token)?.ok_or(RejectCode::InviteInvalid)?;
    if invite.expires <= now {
        return Err(RejectCode::InviteExpired.into());
    }
    batch
        .db
        .prepare_cached("UPDATE invites SET uses_left = 0 WHERE room = ?1 AND invite = ?2")?
        .execute(params![room, invite.id.as_bytes()])?;
    Ok(())
}

/// A knock as it came.
pub(crate) struct Knock {
    pub(crate) token: Secret32,
    pub(crate) acknowledgement: AckTriple,
    pub(crate) body: Vec<u8>,
}

/// Takes a knock: the gate at the relay.
///
/// Refuses without a proof of having acknowledged the current agreement, whatever the invite says. The first
/// knock of a key with an invite spends a use; the same key may replace its pending knock, once in [`KNOCK_MILLIS`].
pub(crate) fn knock(
    batch: &mut Batch<'_>,
    now: Millis,
    proof: &Proved,
    knock: &Knock,
) -> Result<Standing, Fault> {
    let invite = invite_row(batch.db, rows::room_or_none(batch.db, proof.room())?, &knock.token)?;
    let invite = invite.ok_or(RejectCode::InviteInvalid)?;
    let room = rows::room(batch.db, proof.room())?.ok_or(RejectCode::InviteInvalid)?;
    if invite.expires <= now {
        return Err(RejectCode::InviteExpired.into());
    }
    if knock.body.len() > KNOCK_BYTES_MAX {
        return Err(RejectCode::TooLarge.into());
    }
    let member = rows::member(batch.db, room.key, proof.member())?;
    if let Some(member) = member.filter(|m| m.state == State::In) {
        return Ok(member.standing());
    }
    let ack = &knock.acknowledgement;
    let before: Option<Before> = batch
        .db
        .prepare_cached(
            "SELECT declined, at, invite = ?3 AND digest = ?4 AND body = ?5
             FROM knocks WHERE room = ?1 AND member = ?2",
        )?
        .query_row(
            params![
                room.key,
                proof.member().as_bytes(),
                invite.id.as_bytes(),
                ack.digest.as_bytes(),
                knock.body
            ],
            |row| {
                let at = Millis(uint(row.get(1)?));
                Ok(Before { declined: row.get(0)?, at, same: row.get(2)? })
            },
        )
        .optional()?;
    let knocked = before.as_ref().map(|before| before.declined);
    let last: Option<Millis> = batch
        .db
        .prepare_cached("SELECT at FROM knockers WHERE room = ?1 AND invite = ?2 AND member = ?3")?
        .query_row(params![room.key, invite.id.as_bytes(), proof.member().as_bytes()], |row| {
            Ok(Millis(uint(row.get(0)?)))
        })
        .optional()?;
    let spent = last.is_some();
    // Who was declined needs another invite to ask again.
    if (!spent && invite.uses_left == 0) || (spent && knocked == Some(true)) {
        return Err(RejectCode::InviteUsed.into());
    }
    if room.numbers.locked {
        return Err(RejectCode::Locked.into());
    }
    let transcript =
        handshake::knock_transcript(proof.room(), proof.member(), &ack.agreement, &ack.digest);
    if ack.agreement != room.agreement
        || !handshake::verify(proof.member(), &transcript, &ack.signature)
    {
        return Err(RejectCode::NotAcknowledged.into());
    }
    let pending_before = before.filter(|before| !before.declined);
    if pending_before.as_ref().is_some_and(|before| before.same) {
        // Its first answer was lost.
        return Ok(Standing::Knocking);
    }
    // Neither taking a knock back nor another invite allows the next one sooner.
    let other: Option<i64> = batch
        .db
        .prepare_cached("SELECT max(at) FROM knockers WHERE room = ?1 AND member = ?2")?
        .query_row(params![room.key, proof.member().as_bytes()], |row| row.get(0))?;
    // Whoever was declined and has another invite was answered meanwhile.
    let other = other.filter(|_| knocked != Some(true)).map(|at| Millis(uint(at)));
    let latest = pending_before.as_ref().map(|before| before.at).max(last).max(other);
    if let Some(latest) = latest.filter(|at| *at <= now && at.plus(KNOCK_MILLIS) > now) {
        let retry_at = Some(latest.plus(KNOCK_MILLIS));
        return Err(Refusal { code: RejectCode::RateLimited, retry_at }.into());
    }
    if pending_before.is_none() && pending(batch.db, room.key)? as usize >= KNOCKS_MAX {
        return Err(RejectCode::DoorBusy.into());
    }
    let bytes = knock.body.len() as u64 + ROW_BYTES;
    batch.quota.check_room(&room, Share::Member, bytes, now)?;
    batch.quota.check_disk(bytes, now)?;
    let taken_back = last_taken_back(batch.db, room.key, &invite.id)?;
    if !spent {
        batch
            .db
            .prepare_cached(
                "UPDATE invites SET uses_left = uses_left - 1 WHERE room = ?1 AND invite = ?2",
            )?
            .execute(params![room.key, invite.id.as_bytes()])?;
    }
    batch
        .db
        .prepare_cached(
            "INSERT INTO knockers VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT(room, invite, member) DO UPDATE SET at = ?4",
        )?
        .execute(params![room.key, invite.id.as_bytes(), proof.member().as_bytes(), int(now.0)])?;
    // An update, and no `REPLACE`, of which SQLite would not tell: the old body must leave the log (`checkpoint::Log`).
    batch
        .db
        .prepare_cached(
            "INSERT INTO knocks VALUES (?1,?2,?3,?4,?5,?6,?7,?8,0,x'')
             ON CONFLICT(room, member) DO UPDATE SET invite = ?3, agreement = ?4, digest = ?5,
               signature = ?6, body = ?7, at = ?8, declined = 0, note = x''",
        )?
        .execute(params![
            room.key,
            proof.member().as_bytes(),
            invite.id.as_bytes(),
            ack.agreement.as_bytes(),
            ack.digest.as_bytes(),
            ack.signature.as_bytes(),
            knock.body,
            int(now.0)
        ])?;
    // No notice of a replacement, nor of a knock soon after one by the same invite that was taken back.
    let quiet = taken_back.is_some_and(|at| at <= now && at.plus(NOTICE_MILLIS) > now);
    if pending_before.is_none() && !quiet {
        batch.published.push(Publication {
            room: room.id,
            head: room.head,
            entry: None,
            tombstones: Vec::new(),
            roster: false,
            knocked: true,
        });
    }
    Ok(Standing::Knocking)
}

/// An earlier knock of the same key.
struct Before {
    declined: bool,
    at: Millis,
    /// Whether the new one is the same.
    same: bool,
}

/// Least milliseconds between two knocks of one key.
const KNOCK_MILLIS: u64 = 30_000;
/// Milliseconds after a knock that was taken back in which others by the same invite make no notice.
const NOTICE_MILLIS: u64 = 10 * 60_000;

/// Returns when the last knock by an invite came that was taken back since, by whatever key: a key costs nothing.
fn last_taken_back(db: &Connection, room: i64, invite: &InviteId) -> Result<Option<Millis>, Fault> {
    let at: Option<i64> = db
        .prepare_cached(
            "SELECT max(at) FROM knockers WHERE room = ?1 AND invite = ?2 AND NOT EXISTS
               (SELECT 1 FROM knocks WHERE room = ?1 AND knocks.member = knockers.member)",
        )?
        .query_row(params![room, invite.as_bytes()], |row| row.get(0))?;
    Ok(at.map(|at| Millis(uint(at))))
}

/// Drops the pending knocks of an invite; returns how many there were.
pub(crate) fn drop_knocks(
    db: &Connection,
    room: i64,
    invite: &InviteId,
) -> rusqlite::Result<usize> {
    db.prepare_cached("DELETE FROM knocks WHERE room = ?1 AND invite = ?2 AND declined = 0")?
        .execute(params![room, invite.as_bytes()])
}

/// Counts pending knocks.
pub(crate) fn pending(db: &Connection, room: i64) -> Result<u32, Fault> {
    let count = db
        .prepare_cached("SELECT count(*) FROM knocks WHERE room = ?1 AND declined = 0")?
        .query_row([room], |row| row.get(0))?;
    Ok(count)
}

/// Takes a pending knock back.
pub(crate) fn cancel(batch: &mut Batch<'_>, proof: &Proved) -> Result<(), Fault> {
    let room = rows::room(batch.db, proof.room())?.ok_or(RejectCode::NotMember)?;
    let deleted = batch
        .db
        .prepare_cached("DELETE FROM knocks WHERE room = ?1 AND member = ?2 AND declined = 0")?
        .execute(params![room.key, proof.member().as_bytes()])?;
    if deleted == 0 { Err(RejectCode::NotFound.into()) } else { Ok(()) }
}

/// Forgets an invite and which keys used it; returns whether there was one.
pub(crate) fn forget_invite(
    db: &Connection,
    room: i64,
    invite: &InviteId,
) -> rusqlite::Result<bool> {
    db.prepare_cached("DELETE FROM knockers WHERE room = ?1 AND invite = ?2")?
        .execute(params![room, invite.as_bytes()])?;
    let forgotten = db
        .prepare_cached("DELETE FROM invites WHERE room = ?1 AND invite = ?2")?
        .execute(params![room, invite.as_bytes()])?;
    Ok(forgotten > 0)
}

/// Forgets the oldest invite that has no uses left and nobody waits with; returns whether there was one.
///
/// A spent invite is kept as long as there is room for it, so that whoever comes too late is told so.
pub(crate) fn forget_a_spent_invite(db: &Connection, room: i64) -> rusqlite::Result<bool> {
    let spent = db
        .prepare_cached(
            "SELECT invite FROM invites WHERE room = ?1 AND uses_left = 0 AND NOT EXISTS
               (SELECT 1 FROM knocks
                WHERE room = ?1 AND knocks.invite = invites.invite AND declined = 0)
             ORDER BY rowid LIMIT 1",
        )?
        .query_row([room], |row| rows::bytes(row, 0))
        .optional()?;
    spent.map_or(Ok(false), |invite| forget_invite(db, room, &InviteId(invite)))
}

/// Whether a key is known to a room at all; absent rooms and unknown keys are one answer.
pub(crate) fn standing(db: &Connection, room: &RoomId, member: &MemberKey) -> Result<View, Fault> {
    let room = rows::room_or_none(db, room)?;
    let (standing, row) = rows::standing(db, room, member)?.ok_or(RejectCode::NotMember)?;
    Ok(View { standing, row })
}

/// What the relay holds a key to be, and the row behind it.
#[derive(Clone, Debug)]
pub(crate) struct View {
    pub(crate) standing: Standing,
    /// The roster's row, also beside a pending knock of somebody who was in before.
    pub(crate) row: Option<MemberRow>,
}
