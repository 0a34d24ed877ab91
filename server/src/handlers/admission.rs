//! Handlers for proving keys, opening rooms, showing invites and knocking.

use hearth_protocol::{
    MemberKey, RejectCode, RoomId, Secret32, ServerFrame, Signature,
    frame::{RequestId, Standing},
    limits::ROOMS_PER_CONNECTION_MAX,
};
use hearth_rules::{
    Refusal,
    admission::{Knock, Opening},
};

use crate::{
    auth::Proved,
    room::RoomSlot,
    session::{Session, Stage},
};

/// A peer's claim to a key.
pub(super) struct Claim {
    pub(super) room: RoomId,
    pub(super) member: MemberKey,
    pub(super) signature: Signature,
}

/// Verifies a claim, and that the connection may hold the room.
pub(super) fn prove(session: &mut Session, claim: &Claim) -> Result<Proved, RejectCode> {
    let proved = session.verifier.verify(claim.room, claim.member, &claim.signature)?;
    let full = session.rooms() >= ROOMS_PER_CONNECTION_MAX;
    match session.room(&claim.room) {
        // One key for each room of a connection, because an entry's sender would be ambiguous otherwise.
        Some(slot) if *slot.proof.member() != claim.member => Err(RejectCode::BadFrame),
        None if full => Err(RejectCode::RateLimited),
        _ => Ok(proved),
    }
}

/// Attaches the room and answers with the key's standing.
pub(super) async fn enter(
    session: &mut Session,
    req: RequestId,
    proved: Proved,
) -> Result<ServerFrame, Refusal> {
    let place = *proved.place();
    let standing = match session.room(&place.id).map(|slot| slot.proof.clone()) {
        Some(proof) if *proof.place() == place => {
            let view = session.shared.store.standing(proof).await?;
            if let Some(slot) = session.room(&place.id) {
                slot.observe(&view);
            }
            view.standing
        }
        _ => attach(session, proved).await?,
    };
    session.stage = Stage::Known;
    Ok(ServerFrame::Authenticated { req, standing })
}

/// Adds the room to the session, in place of one with the same id; returns the key's standing.
async fn attach(session: &mut Session, proved: Proved) -> Result<Standing, Refusal> {
    let shared = session.shared.clone();
    let index = u8::try_from(session.index(proved.room())).unwrap_or(u8::MAX);
    let attachment = shared.registry.attach(&proved, &session.wake, index);
    // Versions are read before the store, so that a change in between is read again.
    let versions = attachment.versions();
    let view = shared.store.standing(proved.clone()).await?;
    session.add_room(RoomSlot::new(proved, attachment, versions, &view));
    Ok(view.standing)
}

pub(super) async fn authenticate(
    session: &mut Session,
    req: RequestId,
    claim: &Claim,
) -> Result<ServerFrame, Refusal> {
    let proved = prove(session, claim)?;
    let held = session.room(&claim.room).map(|slot| slot.proof.clone());
    // A lane that was deleted may have been opened again, so its number is looked up once more.
    let lane = held.as_ref().is_some_and(|proof| proof.place().lane.is_some());
    if !lane {
        match enter(session, req, proved.clone()).await {
            Err(refusal) if refusal.code == RejectCode::NotMember && held.is_none() => {}
            answer => return answer,
        }
    }
    // No room has this id and key: it may be a lane's.
    let (store, rooms) = (session.shared.store.clone(), session.held());
    let lane = store.find_lane(claim.room, claim.member, rooms).await?;
    enter(session, req, proved.at(lane)).await
}

pub(super) async fn open_room(
    session: &mut Session,
    req: RequestId,
    claim: &Claim,
    opening: Opening,
) -> Result<ServerFrame, Refusal> {
    let proved = prove(session, claim)?;
    let (store, now) = (session.shared.store.clone(), session.shared.now());
    let checked = store.check_grant(now, proved.clone(), opening.grant.clone()).await;
    checked.map_err(|refusal| guessed(session, refusal))?;
    let opened = store.open_room(now, proved.clone(), opening).await;
    opened.map_err(|refusal| guessed(session, refusal))?;
    enter(session, req, proved).await
}

pub(super) async fn preview(
    session: &mut Session,
    req: RequestId,
    room: RoomId,
    token: Secret32,
) -> Result<ServerFrame, Refusal> {
    let now = session.shared.now();
    let sealed = session.shared.store.preview(now, room, token).await;
    let sealed = sealed.map_err(|refusal| guessed(session, refusal))?;
    // The person now reads the agreement, which takes longer than the deadline for a proof.
    session.stage = Stage::Known;
    Ok(ServerFrame::Preview { req, sealed })
}

pub(super) async fn knock(
    session: &mut Session,
    req: RequestId,
    claim: &Claim,
    knock: Knock,
) -> Result<ServerFrame, Refusal> {
    let proved = prove(session, claim)?;
    shown(session, claim.room, &knock.token).await?;
    let now = session.shared.now();
    let taken = session.shared.store.knock(now, proved.clone(), knock).await;
    taken.map_err(|refusal| guessed(session, refusal))?;
    enter(session, req, proved).await
}

pub(super) async fn burn_invite(
    session: &mut Session,
    req: RequestId,
    room: RoomId,
    token: Secret32,
) -> Result<ServerFrame, Refusal> {
    shown(session, room, &token).await?;
    let now = session.shared.now();
    let burnt = session.shared.store.burn(now, room, token).await;
    burnt.map_err(|refusal| guessed(session, refusal))?;
    Ok(ServerFrame::Done { req })
}

pub(super) async fn cancel_knock(
    session: &mut Session,
    req: RequestId,
    room: RoomId,
) -> Result<ServerFrame, Refusal> {
    let proof = session.room_proof(&room)?;
    session.shared.store.cancel(proof).await?;
    Ok(ServerFrame::Done { req })
}

pub(super) async fn knocks(
    session: &mut Session,
    req: RequestId,
    room: RoomId,
    after: Option<MemberKey>,
) -> Result<ServerFrame, Refusal> {
    let proof = session.room_proof(&room)?;
    let (knocks, more) = session.shared.store.knocks(proof, after).await?;
    Ok(ServerFrame::Knocks { req, knocks, more })
}

/// Checks a token without the writer, so that a wrong one costs no place in its queue.
async fn shown(session: &mut Session, room: RoomId, token: &Secret32) -> Result<(), Refusal> {
    let checked = session.shared.store.check_token(room, token.clone()).await;
    checked.map_err(|refusal| guessed(session, refusal))
}

/// Counts a possible guess. A right secret of 256 bits is never counted, so no number of wrong
/// guesses from the same address blocks it.
fn guessed(session: &Session, refusal: Refusal) -> Refusal {
    if matches!(refusal.code, RejectCode::InviteInvalid | RejectCode::GrantInvalid)
        && let Err(at) = session.shared.guesses.count(session.origin, session.shared.now())
    {
        return Refusal::until(RejectCode::RateLimited, Some(at));
    }
    refusal
}
