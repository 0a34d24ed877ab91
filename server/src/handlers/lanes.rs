//! Handlers for lanes of a room: opening, closing, listing.

use hearth_protocol::{RoomId, ServerFrame, frame::RequestId};
use hearth_rules::{Refusal, lanes::Opening};

use super::admission::{Claim, enter, prove};
use crate::session::Session;

/// Opens a lane. The claim is to the lane's id and the opener's lane key; the room's key was proved before.
pub(super) async fn open(
    session: &mut Session,
    req: RequestId,
    room: RoomId,
    claim: &Claim,
    opening: Opening,
) -> Result<ServerFrame, Refusal> {
    let moderator = session.room_proof(&room)?;
    let opener = prove(session, claim)?;
    let (store, now) = (session.shared.store.clone(), session.shared.now());
    let lane = store.open_lane(now, moderator, opener.clone(), opening).await?;
    enter(session, req, opener.at(lane)).await
}

pub(super) async fn close(
    session: &mut Session,
    req: RequestId,
    room: RoomId,
    lane: RoomId,
    forget: bool,
) -> Result<ServerFrame, Refusal> {
    let (facilitator, now) = (session.room_proof(&room)?, session.shared.now());
    session.shared.store.close_lane(now, facilitator, lane, forget).await?;
    Ok(ServerFrame::Done { req })
}

pub(super) async fn list(
    session: &mut Session,
    req: RequestId,
    room: RoomId,
) -> Result<ServerFrame, Refusal> {
    let moderator = session.room_proof(&room)?;
    let lanes = session.shared.store.lanes(moderator).await?;
    Ok(ServerFrame::Lanes { req, lanes })
}
