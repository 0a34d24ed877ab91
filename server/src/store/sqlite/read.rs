//! Reads for members: entries, knocks, the room's state.

use hearth_protocol::{
    Commitment, Digest, Entry, EntryContent, InviteId, MemberKey, Millis, RejectCode, Seq,
    Signature, StreamId, codec,
    frame::{AckTriple, PendingKnock, RoomStatus},
    limits::FRAME_BYTES_MAX,
};
use hearth_rules::{
    reading::{self, Position},
    submit::{Accepted, Print},
};
use rusqlite::{Connection, params};

use super::{
    Fault, load, rows,
    schema::{entry_key, seq_of, uint},
    submit::{self, Search},
};
use crate::{
    auth::Proved,
    batch::{BATCH_BYTES_MAX, EntryBatch},
    store::Place,
};

/// Returns the position of a room's log, for a present or former member.
pub(crate) fn position(db: &Connection, proof: &Proved) -> Result<Position, Fault> {
    let (key, room) = rows::room(db, proof.place())?.ok_or(RejectCode::NotMember)?;
    let member = rows::member(db, key, proof.member())?.ok_or(RejectCode::NotMember)?;
    Ok(Position { floor: room.floor, head: room.head, epoch: room.epoch, member })
}

/// Reads entries in `(after, upto]`, as many as fit into one frame.
///
/// The batch ends at `upto` if nothing before it is left out for size. A row of entries that retention deleted is represented by its
/// last one, as expired.
pub(crate) fn entries(
    db: &Connection,
    place: &Place,
    after: Seq,
    upto: Seq,
) -> Result<EntryBatch, Fault> {
    let (key, room) = rows::room(db, place)?.ok_or(RejectCode::NotMember)?;
    let mut batch = EntryBatch::new();
    let mut statement = db.prepare_cached(
        "SELECT key, at, payload, digest FROM entries WHERE key > ?1 AND key <= ?2 ORDER BY key",
    )?;
    let mut rows = statement.query(params![entry_key(key, after.0), entry_key(key, upto.0)])?;
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
    let gone = upto.min(room.floor);
    if gone.0 > last && !batch.push(gone, &expired(gone)) {
        return Ok(batch);
    }
    batch.reach(upto);
    Ok(batch)
}

/// Maximum rows that a reader searches in one step.
const SEARCH_ROWS_MAX: usize = 4096;

/// Result of one step of a search.
pub(crate) enum Earlier {
    Found(Accepted),
    /// Not found yet; continue after this seq.
    More(Seq),
    /// Absent up to this head.
    Nothing(Seq),
}

/// Searches the entries after a seq for a submission, one step towards the head.
pub(crate) fn earlier(
    db: &Connection,
    place: &Place,
    after: Seq,
    print: &Print,
) -> Result<Earlier, Fault> {
    let (key, room) = rows::room(db, place)?.ok_or(RejectCode::NotMember)?;
    let (from, upto) = (entry_key(key, after.0), entry_key(key, room.head.0));
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
    let (room, _) = rows::room(db, proof.place())?.ok_or(RejectCode::NotMember)?;
    reading::doorkeeper(rows::member(db, room, proof.member())?)?;
    let mut statement = db.prepare_cached(
        "SELECT member, invite, at, agreement, digest, signature, body FROM knocks
         WHERE room = ?1 AND declined = 0 AND (?2 IS NULL OR member > ?2) ORDER BY member",
    )?;
    let mut rows = statement.query(params![room, after.map(|key| key.0)])?;
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
        // Besides the body: two keys, a hash, a signature, an invite and their CBOR heads.
        bytes += knock.body.len() + 256;
        if bytes > BATCH_BYTES_MAX && !knocks.is_empty() {
            return Ok((knocks, true));
        }
        knocks.push(knock);
    }
    Ok((knocks, false))
}

const _: () = assert!(BATCH_BYTES_MAX + 4096 <= FRAME_BYTES_MAX);

/// Returns the room's state as a member may read it.
pub(crate) fn status(
    db: &Connection,
    proof: &Proved,
    stream: StreamId,
) -> Result<RoomStatus, Fault> {
    // Read in one transaction, because members compare the rest with the log up to the head.
    let db = &*db.unchecked_transaction()?;
    let (key, row) = rows::room(db, proof.place())?.ok_or(RejectCode::NotMember)?;
    let member = reading::member(rows::member(db, key, proof.member())?)?;
    let desk = if row.is_lane() || member.role.moderates() {
        Some((load::pending_count(db, key)?, rows::roster(db, key)?))
    } else {
        None
    };
    Ok(reading::status(row, &member, desk, stream))
}
