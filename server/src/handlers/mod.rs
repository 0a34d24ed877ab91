//! From a request to its handler. Every variant has its arm; a handler answers, or ends the connection.

mod blob;
mod door;
mod log;

use hearth_protocol::{
    ClientFrame, RejectCode, ServerFrame,
    error::close,
    frame::RequestId,
    limits::{PROTOCOL_VERSION, VERSIONS_MAX},
};

use crate::connection::{Connection, End, Stage};

/// Serves one frame.
pub(crate) async fn handle(connection: &mut Connection, frame: ClientFrame) -> Result<(), End> {
    if let ClientFrame::Hello { versions } = frame {
        return hello(connection, &versions).await;
    }
    // An answer under the number 0 answers no request.
    if connection.stage == Stage::Silent || request_of(&frame) == Some(0) {
        connection.settle().await?;
        connection.reject(0, RejectCode::BadFrame.into()).await?;
        return Err(End::Close(close::PROTOCOL));
    }
    if let ClientFrame::Submit { req, room, id, payload, expect, effects, after } = frame {
        let submission = crate::store::submit::Submission { id, payload, expect, effects, after };
        return log::submit(connection, req, room, submission).await;
    }
    // Everything else sees what the submissions before it did.
    connection.settle().await?;
    match frame {
        ClientFrame::Authenticate { req, room, member, signature } => {
            door::authenticate(connection, req, room, member, &signature).await
        }
        ClientFrame::OpenRoom { req, room, member, signature, grant, numbers, agreement } => {
            let opening = crate::store::door::Opening { grant, numbers, agreement };
            let claim = door::Claim { req, room, member, signature };
            door::open_room(connection, claim, opening).await
        }
        ClientFrame::Preview { req, room, token } => {
            door::preview(connection, req, room, token).await
        }
        ClientFrame::Knock { req, room, member, signature, token, acknowledgement, body } => {
            let knock = crate::store::door::Knock { token, acknowledgement, body };
            door::knock(connection, door::Claim { req, room, member, signature }, knock).await
        }
        ClientFrame::BurnInvite { req, room, token } => {
            door::burn_invite(connection, req, room, token).await
        }
        ClientFrame::CancelKnock { req, room } => door::cancel_knock(connection, req, room).await,
        ClientFrame::PutBlob { req, room, blob, total, offset, part } => {
            let part = crate::uploads::Part { blob, total, offset, bytes: part };
            blob::put(connection, req, room, part).await
        }
        ClientFrame::GetBlob { req, room, blob, offset } => {
            blob::get(connection, req, room, blob, offset).await
        }
        ClientFrame::Subscribe { req, room, after } => {
            log::subscribe(connection, req, room, after).await
        }
        ClientFrame::Knocks { req, room, after } => {
            door::knocks(connection, req, room, after).await
        }
        ClientFrame::Status { req, room } => log::status(connection, req, room).await,
        // `Hello` and `Submit` do not come here; a variant of a later version does not decode.
        _ => connection.reject(0, RejectCode::BadFrame.into()).await,
    }
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
        | ClientFrame::CancelKnock { req, .. } => Some(*req),
        _ => None,
    }
}

async fn hello(connection: &mut Connection, versions: &[u16]) -> Result<(), End> {
    let code = if connection.stage != Stage::Silent || versions.len() > VERSIONS_MAX {
        RejectCode::BadFrame
    } else if !versions.contains(&PROTOCOL_VERSION) {
        RejectCode::BadVersion
    } else {
        connection.stage = Stage::Greeted;
        let frame = ServerFrame::Hello {
            version: PROTOCOL_VERSION,
            relay: connection.verifier.relay,
            challenge: connection.verifier.challenge,
            now: connection.shared.now(),
        };
        return connection.reply(&frame).await;
    };
    connection.reject(0, code.into()).await?;
    Err(End::Close(close::PROTOCOL))
}
