//! Maps each request to its handler. A handler returns a reply or a refusal and writes to no socket.

mod admission;
mod blob;
mod lanes;
mod log;
mod notes;

#[cfg(test)]
mod tests;

use hearth_protocol::{
    ClientFrame, RejectCode, ServerFrame,
    error::close,
    frame::RequestId,
    limits::{PROTOCOL_VERSION, VERSIONS_MAX},
};
use hearth_rules::{
    Refusal,
    admission::{Knock, Opening},
    submit::Submission,
};

use crate::{
    auth::Proved,
    session::{Session, Stage},
    store::{Committed, Submitted},
};

/// A connection's reaction to a frame.
#[derive(Debug)]
pub(crate) enum Answer {
    Reply(ServerFrame),
    Refuse(RequestId, Refusal),
    /// Answers once the commit is on disk, and reads on meanwhile.
    Awaits(Awaited),
    /// Refuses under the number 0 and closes with a code.
    End(Refusal, u16),
}

/// A submission whose commit is awaited.
#[derive(Debug)]
pub(crate) struct Awaited {
    pub(crate) req: RequestId,
    pub(crate) bytes: usize,
    pub(crate) proof: Proved,
    pub(crate) committed: Committed<Submitted>,
}

/// Serves one frame. Before any other request, the pending submissions must be answered, because the request sees their effects.
pub(crate) async fn handle(session: &mut Session, frame: ClientFrame) -> Answer {
    if let ClientFrame::Hello { versions } = frame {
        return hello(session, &versions);
    }
    let req = request_of(&frame);
    // Number 0 is reserved for answers to no request.
    if session.stage == Stage::Silent || req == Some(0) {
        return Answer::End(RejectCode::BadFrame.into(), close::PROTOCOL);
    }
    let req = req.unwrap_or(0);
    match serve(session, req, frame).await {
        Ok(answer) => answer,
        Err(refusal) => Answer::Refuse(req, refusal),
    }
}

async fn serve(
    session: &mut Session,
    req: RequestId,
    frame: ClientFrame,
) -> Result<Answer, Refusal> {
    let reply = match frame {
        ClientFrame::Submit { room, id, payload, expect, effects, after, .. } => {
            let submission = Submission { id, payload, expect, effects, after };
            return log::submit(session, req, room, submission).await.map(Answer::Awaits);
        }
        ClientFrame::Authenticate { room, member, signature, .. } => {
            let claim = admission::Claim { room, member, signature };
            admission::authenticate(session, req, &claim).await
        }
        ClientFrame::OpenRoom { room, member, signature, grant, numbers, agreement, .. } => {
            let opening = Opening { grant, numbers, agreement };
            let claim = admission::Claim { room, member, signature };
            admission::open_room(session, req, &claim, opening).await
        }
        ClientFrame::Preview { room, token, .. } => {
            admission::preview(session, req, room, token).await
        }
        ClientFrame::Knock { room, member, signature, token, acknowledgement, body, .. } => {
            let knock = Knock { token, acknowledgement, body };
            let claim = admission::Claim { room, member, signature };
            admission::knock(session, req, &claim, knock).await
        }
        ClientFrame::BurnInvite { room, token, .. } => {
            admission::burn_invite(session, req, room, token).await
        }
        ClientFrame::CancelKnock { room, .. } => admission::cancel_knock(session, req, room).await,
        ClientFrame::PutBlob { room, blob, total, offset, part, .. } => {
            let part = crate::uploads::Part { blob, total, offset, bytes: part };
            blob::put(session, req, room, part).await
        }
        ClientFrame::GetBlob { room, blob, offset, .. } => {
            blob::get(session, req, room, blob, offset).await
        }
        ClientFrame::Subscribe { room, after, .. } => {
            log::subscribe(session, req, room, after).await
        }
        ClientFrame::Knocks { room, after, .. } => {
            admission::knocks(session, req, room, after).await
        }
        ClientFrame::Status { room, .. } => log::status(session, req, room).await,
        ClientFrame::OpenLane { room, lane, member, signature, commit, welcome, seats, .. } => {
            let opening = hearth_rules::lanes::Opening { commit, welcome, seats };
            let claim = admission::Claim { room: lane, member, signature };
            lanes::open(session, req, room, &claim, opening).await
        }
        ClientFrame::CloseLane { room, lane, forget, .. } => {
            lanes::close(session, req, room, lane, forget).await
        }
        ClientFrame::Lanes { room, .. } => lanes::list(session, req, room).await,
        ClientFrame::SendNote { room, note, to, sealed, .. } => {
            let note = crate::store::Note { id: note, to, sealed };
            notes::send(session, req, room, note).await
        }
        ClientFrame::Notes { room, .. } => notes::waiting(session, req, room).await,
        ClientFrame::DropNotes { room, notes, .. } => notes::drop(session, req, room, notes).await,
        // `Hello` is handled above; a variant of a later version does not decode.
        _ => Err(RejectCode::BadFrame.into()),
    };
    reply.map(Answer::Reply)
}

/// Returns a request's number.
const fn request_of(frame: &ClientFrame) -> Option<RequestId> {
    match frame {
        ClientFrame::Authenticate { req, .. }
        | ClientFrame::OpenRoom { req, .. }
        | ClientFrame::Preview { req, .. }
        | ClientFrame::Knock { req, .. }
        | ClientFrame::BurnInvite { req, .. }
        | ClientFrame::Submit { req, .. }
        | ClientFrame::PutBlob { req, .. }
        | ClientFrame::GetBlob { req, .. }
        | ClientFrame::Subscribe { req, .. }
        | ClientFrame::Knocks { req, .. }
        | ClientFrame::Status { req, .. }
        | ClientFrame::CancelKnock { req, .. }
        | ClientFrame::OpenLane { req, .. }
        | ClientFrame::CloseLane { req, .. }
        | ClientFrame::Lanes { req, .. }
        | ClientFrame::SendNote { req, .. }
        | ClientFrame::Notes { req, .. }
        | ClientFrame::DropNotes { req, .. } => Some(*req),
        _ => None,
    }
}

fn hello(session: &mut Session, versions: &[u16]) -> Answer {
    let code = if session.stage != Stage::Silent || versions.len() > VERSIONS_MAX {
        RejectCode::BadFrame
    } else if !versions.contains(&PROTOCOL_VERSION) {
        RejectCode::BadVersion
    } else {
        session.stage = Stage::Greeted;
        return Answer::Reply(ServerFrame::Hello {
            version: PROTOCOL_VERSION,
            relay: session.verifier.relay,
            challenge: session.verifier.challenge,
            now: session.shared.now(),
        });
    };
    Answer::End(code.into(), close::PROTOCOL)
}
