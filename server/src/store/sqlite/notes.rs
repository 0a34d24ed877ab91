//! Sealed notes: kept by addressee, without a sender.

use hearth_protocol::{MemberKey, Millis, NoteId, RejectCode, frame::WaitingNote};
use hearth_rules::notes::{self, Parties, Waiting};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{
    Batch, Fault, rows,
    schema::{int, uint},
};
use crate::{auth::Proved, batch::BATCH_BYTES_MAX, store::Publication};

/// A note as received.
#[derive(Clone, Debug)]
pub(crate) struct Note {
    pub(crate) id: NoteId,
    pub(crate) to: MemberKey,
    pub(crate) sealed: Vec<u8>,
}

/// Stores a note; `false` if it waits already.
pub(crate) fn send(
    batch: &mut Batch<'_>,
    now: Millis,
    sender: &Proved,
    note: &Note,
) -> Result<bool, Fault> {
    let (key, row) = rows::room(batch.db, sender.place())?.ok_or(RejectCode::NotMember)?;
    let parties = Parties {
        sender: rows::member(batch.db, key, sender.member())?,
        addressee: rows::member(batch.db, key, &note.to)?,
        knocks: rows::knock_standing(batch.db, key, &note.to)?.is_some(),
    };
    let waiting = waiting_before(batch.db, key, note)?;
    let new = batch.decide(now, |context| {
        notes::send(context, row.id, &parties, &note.to, &note.sealed, waiting)
    })?;
    if new {
        batch
            .db
            .prepare_cached(
                "INSERT INTO notes(room, member, note, at, sealed) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![
                key,
                note.to.as_bytes(),
                note.id.as_bytes(),
                int(now.0),
                note.sealed
            ])?;
    }
    batch.published.push(Publication::note(*sender.place(), note.to));
    Ok(new)
}

fn waiting_before(db: &Connection, key: i64, note: &Note) -> rusqlite::Result<Waiting> {
    let same = db
        .prepare_cached(
            "SELECT sealed = ?4 FROM notes WHERE room = ?1 AND member = ?2 AND note = ?3",
        )?
        .query_row(params![key, note.to.as_bytes(), note.id.as_bytes(), note.sealed], |row| {
            row.get(0)
        })
        .optional()?;
    let bytes: Option<i64> = db
        .prepare_cached("SELECT bytes FROM boxes WHERE room = ?1 AND member = ?2")?
        .query_row(params![key, note.to.as_bytes()], |row| row.get(0))
        .optional()?;
    let others: i64 = db
        .prepare_cached(
            "SELECT coalesce(sum(bytes), 0) FROM boxes b WHERE room = ?1 AND NOT EXISTS
               (SELECT 1 FROM members m WHERE m.room = ?1 AND m.member = b.member AND m.state = 0
                AND m.role < 2)",
        )?
        .query_row([key], |row| row.get(0))?;
    Ok(Waiting { same, bytes: uint(bytes.unwrap_or(0)), others: uint(others) })
}

/// Returns the notes that wait for a key in order of arrival, as many as fit into one frame, and whether there are more.
pub(crate) fn waiting(db: &Connection, proof: &Proved) -> Result<(Vec<WaitingNote>, bool), Fault> {
    let (key, _) = rows::room(db, proof.place())?.ok_or(RejectCode::NotMember)?;
    let mut statement = db.prepare_cached(
        "SELECT note, at, sealed FROM notes WHERE room = ?1 AND member = ?2 ORDER BY key",
    )?;
    let mut rows = statement.query(params![key, proof.member().as_bytes()])?;
    let (mut notes, mut bytes) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        let note = WaitingNote {
            note: NoteId(rows::bytes(row, 0)?),
            at: Millis(uint(row.get(1)?)),
            sealed: row.get(2)?,
        };
        // Besides the sealed bytes: an id, a time and their CBOR heads.
        bytes += note.sealed.len() + 40;
        if bytes > BATCH_BYTES_MAX {
            return Ok((notes, true));
        }
        notes.push(note);
    }
    Ok((notes, false))
}

/// Deletes notes that wait for a key, and passes over ids that it has no note of.
pub(crate) fn drop(batch: &mut Batch<'_>, proof: &Proved, ids: &[NoteId]) -> Result<(), Fault> {
    let (key, _) = rows::room(batch.db, proof.place())?.ok_or(RejectCode::NotMember)?;
    let mut statement = batch
        .db
        .prepare_cached("DELETE FROM notes WHERE room = ?1 AND member = ?2 AND note = ?3")?;
    for id in ids {
        statement.execute(params![key, proof.member().as_bytes(), id.as_bytes()])?;
    }
    Ok(())
}
