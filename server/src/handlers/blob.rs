//! Welcomes: uploaded by a facilitator in parts, fetched by the one member they are for.

use hearth_protocol::{
    BlobId, RejectCode, RoomId, ServerFrame,
    frame::RequestId,
    hash,
    limits::{BLOB_BYTES_MAX, BLOB_PART_BYTES_MAX},
};

use crate::{
    connection::{Connection, End},
    room::Upload,
    store::{Refusal, blobs},
};

/// One part of an upload.
pub(super) struct Put {
    pub(super) blob: BlobId,
    pub(super) total: u32,
    pub(super) offset: u32,
    pub(super) part: Vec<u8>,
}

pub(super) async fn put(
    connection: &mut Connection,
    req: RequestId,
    room: RoomId,
    put: Put,
) -> Result<(), End> {
    match take(connection, room, &put) {
        Ok(None) => connection.reply(&ServerFrame::Done { req }).await,
        Ok(Some(whole)) => {
            let Some(proof) = connection.room(&room).map(|slot| slot.proof.clone()) else {
                return connection.reject(req, RejectCode::NotMember.into()).await;
            };
            let now = connection.shared.now();
            let write = connection
                .shared
                .store
                .write(move |batch| blobs::put(batch, now, &proof, &whole.blob, &whole.bytes));
            match write.await.await {
                Ok(()) => connection.reply(&ServerFrame::Done { req }).await,
                Err(refusal) => connection.reject(req, refusal).await,
            }
        }
        Err(refusal) => connection.reject(req, refusal).await,
    }
}

/// Takes a part; returns the upload when it is whole.
fn take(connection: &mut Connection, room: RoomId, put: &Put) -> Result<Option<Upload>, Refusal> {
    let shared = connection.shared.clone();
    let slot = connection.room(&room).ok_or(RejectCode::NotMember)?;
    if !slot.moderates() {
        return Err(RejectCode::NotFacilitator.into());
    }
    let total = put.total as usize;
    if total > BLOB_BYTES_MAX || put.part.len() > BLOB_PART_BYTES_MAX {
        return Err(RejectCode::TooLarge.into());
    }
    if total == 0 || put.part.is_empty() {
        return Err(RejectCode::BadFrame.into());
    }
    if put.offset == 0 {
        slot.upload = None;
        let share = shared.uploads.clone().try_acquire_many_owned(put.total).map_err(|_| {
            let retry_at = Some(shared.now().plus(1_000));
            Refusal { code: RejectCode::RateLimited, retry_at }
        })?;
        slot.upload = Some(Upload { blob: put.blob, total, bytes: Vec::new(), _share: share });
    }
    let Some(upload) = &mut slot.upload else {
        return Err(RejectCode::BadFrame.into());
    };
    let fits = upload.blob == put.blob
        && upload.total == total
        && upload.bytes.len() == put.offset as usize
        && upload.bytes.len() + put.part.len() <= total;
    if !fits {
        slot.upload = None;
        return Err(RejectCode::BadFrame.into());
    }
    upload.bytes.extend_from_slice(&put.part);
    if upload.bytes.len() < total {
        return Ok(None);
    }
    let whole = slot.upload.take().filter(|u| hash::sha256(&u.bytes).0 == u.blob.0);
    whole.map(Some).ok_or_else(|| RejectCode::BadPayload.into())
}

pub(super) async fn get(
    connection: &mut Connection,
    req: RequestId,
    room: RoomId,
    blob: BlobId,
    offset: u32,
) -> Result<(), End> {
    let Some(proof) = connection.room(&room).map(|slot| slot.proof.clone()) else {
        return connection.reject(req, RejectCode::NotMember.into()).await;
    };
    match connection.shared.store.read(move |db| blobs::part(db, &proof, &blob, offset)).await {
        Ok(part) => {
            let frame = ServerFrame::BlobPart { req, total: part.total, part: part.bytes };
            connection.reply(&frame).await
        }
        Err(refusal) => connection.reject(req, refusal).await,
    }
}
