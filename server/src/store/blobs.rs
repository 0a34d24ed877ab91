//! Blobs: Welcomes on their way to one member.

use hearth_protocol::{BlobId, Millis, RejectCode, Seq, limits::BLOB_PART_BYTES_MAX};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{
    Batch, Fault,
    quota::{ROW_BYTES, Share},
    rows,
    rows::State,
    schema::int,
};
use crate::auth::Proved;

/// Blobs of one room that no member waits for yet.
const STAGED_MAX: usize = 16;

/// Whether a room has a blob.
pub(crate) fn exists(db: &Connection, room: i64, blob: &BlobId) -> Result<bool, Fault> {
    Ok(db
        .prepare_cached("SELECT 1 FROM blobs WHERE room = ?1 AND blob = ?2")?
        .exists(params![room, blob.as_bytes()])?)
}

/// Stores a whole blob; its bytes were checked against its id. Facilitators only.
pub(crate) fn put(
    batch: &mut Batch<'_>,
    now: Millis,
    proof: &Proved,
    blob: &BlobId,
    bytes: &[u8],
) -> Result<(), Fault> {
    let room = rows::room(batch.db, proof.room())?.ok_or(RejectCode::NotMember)?;
    let sender = rows::member(batch.db, room.key, proof.member())?
        .filter(|member| member.state == State::In)
        .ok_or(RejectCode::NotMember)?;
    if !sender.role.moderates() {
        return Err(RejectCode::NotFacilitator.into());
    }
    if exists(batch.db, room.key, blob)? {
        return Ok(());
    }
    batch.quota.check_room(&room, Share::Act, bytes.len() as u64 + ROW_BYTES, now)?;
    let staged: i64 = batch
        .db
        .prepare_cached(
            "SELECT count(*) FROM blobs WHERE room = ?1 AND blob NOT IN
               (SELECT welcome FROM members WHERE room = ?1 AND welcome IS NOT NULL)",
        )?
        .query_row([room.key], |row| row.get(0))?;
    if usize::try_from(staged).unwrap_or(usize::MAX) >= STAGED_MAX {
        // The oldest of those that led to nothing makes place: a commit that lost its race leaves one behind.
        batch
            .db
            .prepare_cached(
                "DELETE FROM blobs WHERE rowid = (SELECT rowid FROM blobs WHERE room = ?1 AND blob NOT IN
                   (SELECT welcome FROM members WHERE room = ?1 AND welcome IS NOT NULL)
                 ORDER BY at, rowid LIMIT 1)",
            )?
            .execute([room.key])?;
    }
    batch.db.prepare_cached("INSERT INTO blobs VALUES (?1, ?2, ?3, ?4)")?.execute(params![
        room.key,
        blob.as_bytes(),
        int(now.0),
        bytes
    ])?;
    Ok(())
}

/// Part of a blob.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) total: u32,
    pub(crate) bytes: Vec<u8>,
}

/// Reads part of the blob that is addressed to a member.
pub(crate) fn part(
    db: &Connection,
    proof: &Proved,
    blob: &BlobId,
    offset: u32,
) -> Result<Part, Fault> {
    let room = rows::room(db, proof.room())?.ok_or(RejectCode::NotMember)?;
    let member = rows::member(db, room.key, proof.member())?.ok_or(RejectCode::NotMember)?;
    if member.welcome != Some(*blob) {
        return Err(RejectCode::NotFound.into());
    }
    let part = db
        .prepare_cached(
            "SELECT length(bytes), substr(bytes, ?3 + 1, ?4) FROM blobs WHERE room = ?1 AND blob = ?2",
        )?
        .query_row(
            params![room.key, blob.as_bytes(), offset, BLOB_PART_BYTES_MAX as i64],
            |row| Ok(Part { total: row.get(0)?, bytes: row.get(1)? }),
        )
        .optional()?;
    part.ok_or_else(|| RejectCode::NotFound.into())
}

/// Forgets a member's Welcome once they have subscribed past their admission.
pub(crate) fn fetched(batch: &mut Batch<'_>, proof: &Proved, after: Seq) -> Result<(), Fault> {
    let room = rows::room(batch.db, proof.room())?.ok_or(RejectCode::NotMember)?;
    let member = rows::member(batch.db, room.key, proof.member())?.ok_or(RejectCode::NotMember)?;
    let Some(welcome) = member.welcome.filter(|_| after >= member.joined) else {
        return Ok(());
    };
    rows::save_member(batch.db, room.key, &rows::MemberRow { welcome: None, ..member })?;
    drop_unused(batch.db, room.key, &welcome)
}

/// Deletes a blob that no member waits for any more.
pub(crate) fn drop_unused(db: &Connection, room: i64, blob: &BlobId) -> Result<(), Fault> {
    db.prepare_cached(
        "DELETE FROM blobs WHERE room = ?1 AND blob = ?2 AND NOT EXISTS
           (SELECT 1 FROM members WHERE room = ?1 AND welcome = ?2)",
    )?
    .execute(params![room, blob.as_bytes()])?;
    Ok(())
}
