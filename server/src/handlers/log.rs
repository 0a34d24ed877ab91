//! The room's log: submitting, following, and where it stands.

use hearth_protocol::{RejectCode, RoomId, Seq, ServerFrame, frame::RequestId};

use crate::{
    connection::{Connection, End},
    store::{blobs, read, submit::Submission},
};

pub(super) async fn submit(
    connection: &mut Connection,
    req: RequestId,
    room: RoomId,
    submission: Submission,
) -> Result<(), End> {
    let Some(proof) = connection.room(&room).map(|slot| slot.proof.clone()) else {
        // Not before the answers to what was asked earlier.
        connection.settle().await?;
        return connection.reject(req, RejectCode::NotMember.into()).await;
    };
    let now = connection.shared.now();
    let bytes = submission.bytes();
    let committed = connection.shared.store.submit(now, proof.clone(), submission).await;
    connection.await_commit(req, bytes, proof, committed);
    Ok(())
}

pub(super) async fn subscribe(
    connection: &mut Connection,
    req: RequestId,
    room: RoomId,
    after: Seq,
) -> Result<(), End> {
    let Some(proof) = connection.room(&room).map(|slot| slot.proof.clone()) else {
        return connection.reject(req, RejectCode::NotMember.into()).await;
    };
    let store = connection.shared.store.clone();
    let reader = proof.clone();
    let position = match store.read(move |db| read::position(db, &reader)).await {
        Ok(position) => position,
        Err(refusal) => return connection.reject(req, refusal).await,
    };
    if position.member.welcome.is_some() && after >= position.member.joined {
        // Who asks for what comes after the admission has joined: the Welcome is not needed any more.
        let fetched = store.write(move |batch| blobs::fetched(batch, &proof, after)).await.await;
        if let Err(refusal) = fetched {
            return connection.reject(req, refusal).await;
        }
    }
    let head = match position.member.state {
        crate::store::rows::State::In => position.head,
        _ => position.member.gone.min(position.head),
    };
    let frame = ServerFrame::Subscribed {
        req,
        stream: store.stream(),
        // Of the log that somebody who is out may read, there is nothing above the head.
        floor: position.floor.min(head),
        head,
        epoch: position.epoch,
    };
    connection.reply(&frame).await?;
    if let Some(slot) = connection.room(&room) {
        slot.subscribe(after, &position);
        slot.mark();
    }
    Ok(())
}

pub(super) async fn status(
    connection: &mut Connection,
    req: RequestId,
    room: RoomId,
) -> Result<(), End> {
    let Some(proof) = connection.room(&room).map(|slot| slot.proof.clone()) else {
        return connection.reject(req, RejectCode::NotMember.into()).await;
    };
    let stream = connection.shared.store.stream();
    match connection.shared.store.read(move |db| read::status(db, &proof, stream)).await {
        Ok(status) => {
            connection.reply(&ServerFrame::Status { req, status: Box::new(status) }).await
        }
        Err(refusal) => connection.reject(req, refusal).await,
    }
}
