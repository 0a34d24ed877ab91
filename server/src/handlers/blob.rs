//! Welcomes: uploaded by a facilitator in parts, fetched by the one member they are for.

use hearth_protocol::{BlobId, RejectCode, RoomId, ServerFrame, frame::RequestId, hash};
use tokio::time::Instant;

use crate::{
    connection::{Connection, End},
    store::blobs,
    uploads::Part,
};

pub(super) async fn put(
    connection: &mut Connection,
    req: RequestId,
    room: RoomId,
    part: Part,
) -> Result<(), End> {
    let blob = part.blob;
    match take(connection, room, part) {
        Ok(None) => connection.reply(&ServerFrame::Done { req }).await,
        Ok(Some(whole)) => {
            let Some(proof) = connection.room(&room).map(|slot| slot.proof.clone()) else {
                return connection.reject(req, RejectCode::NotMember.into()).await;
            };
            let now = connection.shared.now();
            let write = connection.shared.store.write_bytes(whole.len(), move |batch| {
                blobs::put(batch, now, &proof, &blob, &whole)
            });
            match write.await.await {
                Ok(()) => connection.reply(&ServerFrame::Done { req }).await,
                Err(refusal) => connection.reject(req, refusal).await,
            }
        }
        Err(code) => connection.reject(req, code.into()).await,
    }
}

/// Takes a part; returns the blob's bytes when all are there.
fn take(
    connection: &mut Connection,
    room: RoomId,
    part: Part,
) -> Result<Option<Vec<u8>>, RejectCode> {
    let shared = connection.shared.clone();
    let slot = connection.room(&room).ok_or(RejectCode::NotMember)?;
    if !slot.moderates() {
        return Err(RejectCode::NotFacilitator);
    }
    let blob = part.blob;
    let whole = shared.uploads.take(room, *slot.proof.member(), part, Instant::now())?;
    match whole {
        Some(bytes) if hash::sha256(&bytes).0 != blob.0 => Err(RejectCode::BadPayload),
        whole => Ok(whole),
    }
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
