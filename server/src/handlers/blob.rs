//! Handlers for Welcomes: a facilitator uploads one in parts, and its addressee fetches it.

use hearth_protocol::{BlobId, RejectCode, RoomId, ServerFrame, frame::RequestId, hash};
use hearth_rules::Refusal;
use tokio::time::Instant;

use crate::{session::Session, uploads::Part};

pub(super) async fn put(
    session: &mut Session,
    req: RequestId,
    room: RoomId,
    part: Part,
) -> Result<ServerFrame, Refusal> {
    let blob = part.blob;
    if let Some(whole) = take(session, room, part)? {
        let (proof, now) = (session.proof(&room)?, session.shared.now());
        session.shared.store.put_blob(now, proof, blob, whole).await?;
    }
    Ok(ServerFrame::Done { req })
}

/// Accepts a part; returns the blob's bytes once it is complete.
fn take(session: &mut Session, room: RoomId, part: Part) -> Result<Option<Vec<u8>>, RejectCode> {
    let shared = session.shared.clone();
    session.room_proof(&room).map_err(|refusal| refusal.code)?;
    let slot = session.room(&room).ok_or(RejectCode::NotMember)?;
    if !slot.admits() {
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
    session: &mut Session,
    req: RequestId,
    room: RoomId,
    blob: BlobId,
    offset: u32,
) -> Result<ServerFrame, Refusal> {
    let proof = session.proof(&room)?;
    let part = session.shared.store.part(proof, blob, offset).await?;
    Ok(ServerFrame::BlobPart { req, total: part.total, part: part.bytes })
}
