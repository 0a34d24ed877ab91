//! Blobs: Welcomes on their way to one member.

use hearth_protocol::{BlobId, Millis, RejectCode, Seq, limits::BLOB_PART_BYTES_MAX};
use hearth_rules::{Room, blobs, reading};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{Batch, Fault, load, rows, save};
use crate::{auth::Proved, store::Part};

/// Stores a whole blob, whose bytes the caller checked against its id. Facilitators only.
pub(crate) fn put(
    batch: &mut Batch<'_>,
    now: Millis,
    proof: &Proved,
    blob: &BlobId,
    bytes: Vec<u8>,
) -> Result<(), Fault> {
    let (key, row) = rows::room(batch.db, proof.place())?.ok_or(RejectCode::NotMember)?;
    reading::doorkeeper(rows::member(batch.db, key, proof.member())?)?;
    if load::has_blob(batch.db, key, blob)? {
        return Ok(());
    }
    let staged = load::staged(batch.db, key)?;
    let mut room = Room::new(row);
    batch.decide(now, |context| blobs::put(&mut room, context, staged, *blob, bytes))?;
    Ok(save::changes(batch.db, key, &room)?)
}

/// Reads a part of the blob that is addressed to a member.
pub(crate) fn part(
    db: &Connection,
    proof: &Proved,
    blob: &BlobId,
    offset: u32,
) -> Result<Part, Fault> {
    let (key, _) = rows::room(db, proof.place())?.ok_or(RejectCode::NotMember)?;
    let member = rows::member(db, key, proof.member())?.ok_or(RejectCode::NotMember)?;
    blobs::check_fetch(&member, blob)?;
    let part = db
        .prepare_cached(
            "SELECT length(bytes), substr(bytes, ?3 + 1, ?4) FROM blobs WHERE room = ?1 AND blob = ?2",
        )?
        .query_row(
            params![key, blob.as_bytes(), offset, BLOB_PART_BYTES_MAX as i64],
            |row| Ok(Part { total: row.get(0)?, bytes: row.get(1)? }),
        )
        .optional()?;
    part.ok_or_else(|| RejectCode::NotFound.into())
}

/// Deletes a member's Welcome once they have subscribed past their admission.
pub(crate) fn fetched(batch: &mut Batch<'_>, proof: &Proved, after: Seq) -> Result<(), Fault> {
    let (key, row) = rows::room(batch.db, proof.place())?.ok_or(RejectCode::NotMember)?;
    let member = rows::member(batch.db, key, proof.member())?.ok_or(RejectCode::NotMember)?;
    let mut room = Room::new(row);
    blobs::fetched(&mut room, member, after);
    Ok(save::changes(batch.db, key, &room)?)
}
