//! What a modified client sends over an honest client's connection.

use hearth_protocol::{ClientFrame, Effect, MessageId, Seq, ServerFrame};
use hearth_session::live::{Live, LiveError};

/// Sends any submission; returns its place.
///
/// # Errors
/// See [`LiveError`].
pub async fn submit(
    live: &mut Live<'_>,
    id: MessageId,
    payload: Vec<u8>,
    effects: Vec<Effect>,
) -> Result<Seq, LiveError> {
    let (room, after) = (live.room.id(), live.room.cursor().seq);
    let frame = |req| ClientFrame::Submit { req, room, id, payload, expect: None, effects, after };
    match live.request(frame).await? {
        ServerFrame::Accepted { seq, .. } => Ok(seq),
        _ => Err(LiveError::UnexpectedReply),
    }
}
