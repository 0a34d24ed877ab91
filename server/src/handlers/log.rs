//! Handlers for the room's log: submitting, subscribing, and its status.

use hearth_protocol::{RoomId, Seq, ServerFrame, frame::RequestId};
use hearth_rules::{Refusal, submit::Submission};

use super::Awaited;
use crate::session::Session;

pub(super) async fn submit(
    session: &mut Session,
    req: RequestId,
    room: RoomId,
    submission: Submission,
) -> Result<Awaited, Refusal> {
    let proof = session.proof(&room)?;
    let (now, bytes) = (session.shared.now(), submission.bytes());
    let committed = session.shared.store.submit(now, proof.clone(), submission).await;
    Ok(Awaited { req, bytes, proof, committed })
}

pub(super) async fn subscribe(
    session: &mut Session,
    req: RequestId,
    room: RoomId,
    after: Seq,
) -> Result<ServerFrame, Refusal> {
    let proof = session.proof(&room)?;
    let store = session.shared.store.clone();
    let position = store.position(proof.clone()).await?;
    if position.member.welcome.is_some() && after >= position.member.joined {
        // A member who asks for entries after the admission has joined, so the Welcome is no longer needed.
        store.fetched(proof, after).await?;
    }
    let is_in = position.member.is_in();
    let head = if is_in { position.head } else { position.member.gone.min(position.head) };
    // Delivery starts after the reply.
    if let Some(slot) = session.room(&room) {
        slot.subscribe(after, &position);
        slot.mark();
    }
    Ok(ServerFrame::Subscribed {
        req,
        stream: store.stream(),
        // A former member may read nothing above the head.
        floor: position.floor.min(head),
        head,
        epoch: position.epoch,
    })
}

pub(super) async fn status(
    session: &mut Session,
    req: RequestId,
    room: RoomId,
) -> Result<ServerFrame, Refusal> {
    let proof = session.proof(&room)?;
    let status = session.shared.store.status(proof).await?;
    Ok(ServerFrame::Status { req, status: Box::new(status) })
}
