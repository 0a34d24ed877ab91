//! What members read: entries, knocks, the room's state.

use hearth_protocol::{
    Commitment, Digest, Entry, EntryContent, Epoch, InviteId, MemberKey, Millis, RejectCode,
    RoomId, Seq, Signature, StreamId, codec,
    frame::{AckTriple, PendingKnock, RoomStatus, RosterRow},
    limits::FRAME_BYTES_MAX,
};
use rusqlite::{Connection, params};

use super::{
    Fault, door,
    rows::{self, MemberRow, State},
    schema::{entry_key, seq_of, uint},
    submit::{self, Accepted, Search},
};
use crate::{
    auth::Proved,
    batch::{BATCH_BYTES_MAX, EntryBatch},
};

/// What a subscriber needs before the first entry.
#[derive(Clone, Debug)]
pub(crate) struct Position {
    pub(crate) floor: Seq,
    pub(crate) head: Seq,
    pub(crate) epoch: Epoch,
    pub(crate) member: MemberRow,
}

/// Returns where a room's log stands, for somebody who is or was in the roster.
pub(crate) fn position(db: &Connection, proof: &Proved) -> Result<Position, Fault> {
    let room = rows::room(db, proof.room())?.ok_or(RejectCode::NotMember)?;
    let member = rows::member(db, room.key, proof.member())?.ok_or(RejectCode::NotMember)?;
    Ok(Position { floor: room.floor, head: room.head, epoch: room.epoch, member })
}

/// Reads entries in `(after, upto]`, as many as fit into one frame.
///
/// The batch ends at `upto` if nothing up to there is left out for size. Of entries that retention deleted in a row, the last
/// is said to have expired.
pub(crate) fn entries(
    db: &Connection,
    room: &RoomId,
    after: Seq,
    upto: Seq,
) -> Result<EntryBatch, Fault> {
    let room_row = rows::room(db, room)?.ok_or(RejectCode::NotMember)?;
    let mut batch = EntryBatch::new();
    let mut statement = db.prepare_cached(
        "SELECT key, at, payload, digest FROM entries WHERE key > ?1 AND key <= ?2 ORDER BY key",
    )?;
    let mut rows = statement
        .query(params![entry_key(room_row.key, after.0), entry_key(room_row.key, upto.0)])?;
    let expired =
        |seq| codec::encode(&Entry { seq, at: Millis(0), content: EntryContent::Expired });
    let mut last = after.0;
    while let Some(row) = rows.next()? {
        let seq = Seq(seq_of(row.get(0)?));
        let before = Seq(seq.0.saturating_sub(1));
        if before.0 > last && !batch.push(before, &expired(before)) {
            return Ok(batch);
        }
        last = seq.0;
        let at = Millis(uint(row.get(1)?));
        let content = match row.get_ref(2)? {
            rusqlite::types::ValueRef::Null => {
                EntryContent::Tombstone(Digest(rows::bytes(row, 3)?))
            }
            value => {
                EntryContent::Payload(value.as_blob().map_err(rusqlite::Error::from)?.to_vec())
            }
        };
        if !batch.push(seq, &codec::encode(&Entry { seq, at, content })) {
            return Ok(batch);
        }
    }
    let gone = upto.min(room_row.floor);
    if gone.0 > last && !batch.push(gone, &expired(gone)) {
        return Ok(batch);
    }
    batch.reach(upto);
    Ok(batch)
}

/// Rows that a reader looks at in one step.
const SEARCH_ROWS_MAX: usize = 4096;

/// What a reader found of a submission.
pub(crate) enum Earlier {
    Found(Accepted),
    /// Not yet; to be continued after this seq.
    More(Seq),
    /// It is not there up to this head.
    Nothing(Seq),
}

/// Looks for a submission among the entries after a seq, one step of the way to the head.
pub(crate) fn earlier(
    db: &Connection,
    room: &RoomId,
    after: Seq,
    print: &submit::Print,
) -> Result<Earlier, Fault> {
    let room = rows::room(db, room)?.ok_or(RejectCode::NotMember)?;
    let (from, upto) = (entry_key(room.key, after.0), entry_key(room.key, room.head.0));
    Ok(match submit::search(db, from, upto, SEARCH_ROWS_MAX, print)? {
        Search::Found(seq, at) => Earlier::Found(Accepted { seq, at, control: room.control }),
        Search::More(key) => Earlier::More(Seq(seq_of(key))),
        Search::Nothing => Earlier::Nothing(room.head),
    })
}

/// Returns pending knocks in order of key, as many as fit into one frame, and whether there are more.
pub(crate) fn knocks(
    db: &Connection,
    proof: &Proved,
    after: Option<MemberKey>,
) -> Result<(Vec<PendingKnock>, bool), Fault> {
    let room = rows::room(db, proof.room())?.ok_or(RejectCode::NotMember)?;
    moderator(db, room.key, proof)?;
    let mut statement = db.prepare_cached(
        "SELECT member, invite, at, agreement, digest, signature, body FROM knocks
         WHERE room = ?1 AND declined = 0 AND (?2 IS NULL OR member > ?2) ORDER BY member",
    )?;
    let mut rows = statement.query(params![room.key, after.map(|key| key.0)])?;
    let (mut knocks, mut bytes) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        let knock = PendingKnock {
            member: MemberKey(rows::bytes(row, 0)?),
            invite: InviteId(rows::bytes(row, 1)?),
            at: Millis(uint(row.get(2)?)),
            acknowledgement: AckTriple {
                agreement: Commitment(rows::bytes(row, 3)?),
                digest: Digest(rows::bytes(row, 4)?),
                signature: Signature(rows::bytes(row, 5)?),
            },
            body: row.get(6)?,
        };
        // Beside the body: two keys, a hash, a signature, an invite and their CBOR heads.
        bytes += knock.body.len() + 256;
        if bytes > BATCH_BYTES_MAX && !knocks.is_empty() {
            return Ok((knocks, true));
        }
        knocks.push(knock);
    }
    Ok((knocks, false))
}

const _: () = assert!(BATCH_BYTES_MAX + 4096 <= FRAME_BYTES_MAX);

fn moderator(db: &Connection, room: i64, proof: &Proved) -> Result<MemberRow, Fault> {
    let member = rows::member(db, room, proof.member())?
        .filter(|member| member.state == State::In)
        .ok_or(RejectCode::NotMember)?;
    if member.role.moderates() { Ok(member) } else { Err(RejectCode::NotFacilitator.into()) }
}

/// Returns the room's state as a member may see it.
pub(crate) fn status(
    db: &Connection,
    proof: &Proved,
    stream: StreamId,
) -> Result<RoomStatus, Fault> {
    // One state of the room: members compare the rest with the log up to the head.
    let db = &*db.unchecked_transaction()?;
    let room = rows::room(db, proof.room())?.ok_or(RejectCode::NotMember)?;
    let member = rows::member(db, room.key, proof.member())?
        .filter(|member| member.state == State::In)
        .ok_or(RejectCode::NotMember)?;
    let (knocks, roster) = if member.role.moderates() {
        let row = |m: MemberRow| RosterRow {
            member: m.key,
            role: m.role,
            timed_out_until: m.timeout_until,
            left: m.state == State::Left,
        };
        let roster = rows::roster(db, room.key)?.into_iter().map(row).collect();
        (door::pending(db, room.key)?, roster)
    } else {
        (0, Vec::new())
    };
    Ok(RoomStatus {
        stream,
        floor: room.floor,
        head: room.head,
        epoch: room.epoch,
        control: room.control,
        numbers: room.numbers,
        agreement: room.agreement,
        timed_out_until: member.timeout_until,
        knocks,
        roster,
    })
}
