//! Handlers for sealed notes: leaving, reading and dropping them.

use hearth_protocol::{
    NoteId, RejectCode, RoomId, ServerFrame, frame::RequestId, limits::NOTES_DROPPED_MAX,
};
use hearth_rules::Refusal;

use crate::{session::Session, store::Note};

pub(super) async fn send(
    session: &mut Session,
    req: RequestId,
    room: RoomId,
    note: Note,
) -> Result<ServerFrame, Refusal> {
    let (sender, now) = (session.room_proof(&room)?, session.shared.now());
    session.shared.store.send_note(now, sender, note).await?;
    Ok(ServerFrame::Done { req })
}

pub(super) async fn waiting(
    session: &mut Session,
    req: RequestId,
    room: RoomId,
) -> Result<ServerFrame, Refusal> {
    let proof = session.room_proof(&room)?;
    let (notes, more) = session.shared.store.notes(proof).await?;
    Ok(ServerFrame::Notes { req, notes, more })
}

pub(super) async fn drop(
    session: &mut Session,
    req: RequestId,
    room: RoomId,
    notes: Vec<NoteId>,
) -> Result<ServerFrame, Refusal> {
    let proof = session.room_proof(&room)?;
    if notes.is_empty() {
        return Err(RejectCode::BadFrame.into());
    }
    if notes.len() > NOTES_DROPPED_MAX {
        return Err(RejectCode::TooLarge.into());
    }
    session.shared.store.drop_notes(proof, notes).await?;
    Ok(ServerFrame::Done { req })
}
