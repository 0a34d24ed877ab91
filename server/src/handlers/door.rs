//! Keys proved, rooms opened, invites shown, knocks.

use hearth_protocol::{
    MemberKey, RejectCode, RoomId, Secret32, ServerFrame, Signature, frame::RequestId,
    limits::ROOMS_PER_CONNECTION_MAX,
};

use crate::{
    auth::Proved,
    connection::{Connection, End, Stage},
    room::RoomSlot,
    store::{Batch, Refusal, door, read},
};

/// A key that somebody says is theirs.
pub(super) struct Claim {
    pub(super) req: RequestId,
    pub(super) room: RoomId,
    pub(super) member: MemberKey,
    pub(super) signature: Signature,
}

/// Verifies a claim and that the connection may hold the room; the refusal otherwise.
fn prove(connection: &mut Connection, claim: &Claim) -> Result<Proved, RejectCode> {
    let proved = connection.verifier.verify(claim.room, claim.member, &claim.signature)?;
    let full = connection.rooms() >= ROOMS_PER_CONNECTION_MAX;
    match connection.room(&claim.room) {
        // One key for each room of a connection: whose entry it is would be ambiguous.
        Some(slot) if *slot.proof.member() != claim.member => Err(RejectCode::BadFrame),
        None if full => Err(RejectCode::RateLimited),
        _ => Ok(proved),
    }
}

/// Attaches the room and answers with what the key is there.
async fn enter(connection: &mut Connection, req: RequestId, proved: Proved) -> Result<(), End> {
    let (room, member) = (*proved.room(), *proved.member());
    let read = move |db: &rusqlite::Connection| door::standing(db, &room, &member);
    let standing = if connection.room(&room).is_some() {
        let view = connection.shared.store.read(read).await;
        view.map(|view| {
            if let Some(slot) = connection.room(&room) {
                slot.observe(&view);
            }
            view.standing
        })
    } else {
        let index = u8::try_from(connection.rooms()).unwrap_or(u8::MAX);
        let attachment = connection.shared.registry.attach(room, &connection.wake, index);
        // Before the store is read: what changes in between is looked at again.
        let versions = attachment.versions();
        match connection.shared.store.read(read).await {
            Ok(view) => {
                connection.add_room(RoomSlot::new(proved, attachment, versions, &view));
                Ok(view.standing)
            }
            Err(refusal) => Err(refusal),
        }
    };
    match standing {
        Ok(standing) => {
            connection.stage = Stage::Known;
            connection.reply(&ServerFrame::Authenticated { req, standing }).await
        }
        Err(refusal) => connection.reject(req, refusal).await,
    }
}

pub(super) async fn authenticate(
    connection: &mut Connection,
    req: RequestId,
    room: RoomId,
    member: MemberKey,
    signature: &Signature,
) -> Result<(), End> {
    let claim = Claim { req, room, member, signature: *signature };
    match prove(connection, &claim) {
        Ok(proved) => enter(connection, req, proved).await,
        Err(code) => connection.reject(req, code.into()).await,
    }
}

pub(super) async fn open_room(
    connection: &mut Connection,
    claim: Claim,
    opening: door::Opening,
) -> Result<(), End> {
    let req = claim.req;
    let proved = match prove(connection, &claim) {
        Ok(proved) => proved,
        Err(code) => return connection.reject(req, code.into()).await,
    };
    let now = connection.shared.now();
    let (proof, grant) = (proved.clone(), opening.grant.clone());
    let read = move |db: &rusqlite::Connection| door::check_grant(db, now, &proof, &grant);
    if let Err(refusal) = connection.shared.store.read(read).await {
        return guessed(connection, req, refusal).await;
    }
    let proof = proved.clone();
    let write =
        connection.shared.store.write(move |batch| door::open_room(batch, now, &proof, &opening));
    match write.await.await {
        Ok(_) => enter(connection, req, proved).await,
        Err(refusal) => guessed(connection, req, refusal).await,
    }
}

pub(super) async fn preview(
    connection: &mut Connection,
    req: RequestId,
    room: RoomId,
    token: Secret32,
) -> Result<(), End> {
    let now = connection.shared.now();
    let read = move |db: &rusqlite::Connection| door::preview(db, now, &room, &token);
    match connection.shared.store.read(read).await {
        Ok(sealed) => {
            // Somebody is reading the agreement: that takes longer than proving a key.
            connection.stage = Stage::Known;
            connection.reply(&ServerFrame::Preview { req, sealed }).await
        }
        Err(refusal) => guessed(connection, req, refusal).await,
    }
}

pub(super) async fn knock(
    connection: &mut Connection,
    claim: Claim,
    knock: door::Knock,
) -> Result<(), End> {
    let req = claim.req;
    let proved = match prove(connection, &claim) {
        Ok(proved) => proved,
        Err(code) => return connection.reject(req, code.into()).await,
    };
    if let Err(refusal) = shown(connection, claim.room, &knock.token).await {
        return guessed(connection, req, refusal).await;
    }
    let now = connection.shared.now();
    let (proof, bytes) = (proved.clone(), knock.body.len());
    let verb = move |batch: &mut Batch<'_>| door::knock(batch, now, &proof, &knock);
    let write = connection.shared.store.write_bytes(bytes, verb);
    match write.await.await {
        Ok(_) => enter(connection, req, proved).await,
        Err(refusal) => guessed(connection, req, refusal).await,
    }
}

pub(super) async fn burn_invite(
    connection: &mut Connection,
    req: RequestId,
    room: RoomId,
    token: Secret32,
) -> Result<(), End> {
    if let Err(refusal) = shown(connection, room, &token).await {
        return guessed(connection, req, refusal).await;
    }
    let now = connection.shared.now();
    let write = connection.shared.store.write(move |batch| door::burn(batch, now, &room, &token));
    match write.await.await {
        Ok(()) => connection.reply(&ServerFrame::Done { req }).await,
        Err(refusal) => guessed(connection, req, refusal).await,
    }
}

pub(super) async fn cancel_knock(
    connection: &mut Connection,
    req: RequestId,
    room: RoomId,
) -> Result<(), End> {
    let Some(proof) = connection.room(&room).map(|slot| slot.proof.clone()) else {
        return connection.reject(req, RejectCode::NotMember.into()).await;
    };
    let write = connection.shared.store.write(move |batch| door::cancel(batch, &proof));
    match write.await.await {
        Ok(()) => connection.reply(&ServerFrame::Done { req }).await,
        Err(refusal) => connection.reject(req, refusal).await,
    }
}

pub(super) async fn knocks(
    connection: &mut Connection,
    req: RequestId,
    room: RoomId,
    after: Option<MemberKey>,
) -> Result<(), End> {
    let Some(proof) = connection.room(&room).map(|slot| slot.proof.clone()) else {
        return connection.reject(req, RejectCode::NotMember.into()).await;
    };
    let read = move |db: &rusqlite::Connection| read::knocks(db, &proof, after);
    match connection.shared.store.read(read).await {
        Ok((knocks, more)) => connection.reply(&ServerFrame::Knocks { req, knocks, more }).await,
        Err(refusal) => connection.reject(req, refusal).await,
    }
}

/// Looks whether a token is an invite's, without the writer: a wrong one costs no place in its queue.
async fn shown(connection: &mut Connection, room: RoomId, token: &Secret32) -> Result<(), Refusal> {
    let token = token.clone();
    let read = move |db: &rusqlite::Connection| door::check_token(db, &room, &token);
    connection.shared.store.read(read).await
}

/// Refuses, and counts what may have been a guess. A right secret of 256 bits never comes here, so that no number of wrong
/// ones from the same address stops it.
async fn guessed(
    connection: &mut Connection,
    req: RequestId,
    mut refusal: Refusal,
) -> Result<(), End> {
    if matches!(refusal.code, RejectCode::InviteInvalid | RejectCode::GrantInvalid) {
        let (origin, now) = (connection.origin(), connection.shared.now());
        if let Err(at) = connection.shared.guesses.count(origin, now) {
            refusal = Refusal { code: RejectCode::RateLimited, retry_at: Some(at) };
        }
    }
    connection.reject(req, refusal).await
}
