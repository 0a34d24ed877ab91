//! One task owns one socket: it reads frames, answers them, and pulls entries when it is woken.
//!
//! A connection queues nothing beyond the bytes being written: entries stay in the store or in the shared tail
//! until the socket took the earlier ones. A slow reader costs one batch of memory for each of its
//! rooms, and is cut when its socket takes too little for [`STALL`].

use std::{collections::VecDeque, sync::Arc, sync::atomic::Ordering, time::Duration};

use futures_util::{SinkExt as _, StreamExt as _};
use hearth_protocol::{
    ClientFrame, Digest, RejectCode, ServerFrame, codec, error::close, frame::RequestId,
    handshake::ChannelBinding, limits::ROOMS_PER_CONNECTION_MAX,
};
use hearth_rules::{Refusal, submit::Accepted};
use tokio::time::{Instant, timeout};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Error as WsError, Message,
        error::CapacityError,
        protocol::{CloseFrame, frame::coding::CloseCode},
    },
};

use crate::{
    Shared,
    auth::Verifier,
    handlers::{self, Answer, Awaited},
    io::{AnyIo, BadLength, Progress},
    rate_limit::{Bucket, Place},
    room::Delivery,
    session::{Session, Stage},
    store::Submitted,
};

/// Deadline for the first proof of a key (or a preview) after the upgrade.
const AUTH_DEADLINE: Duration = Duration::from_secs(10);
/// Silence after which the relay sends a ping.
const PING_AFTER: Duration = Duration::from_secs(30);
/// Silence after which the relay counts the peer as gone.
const IDLE_MAX: Duration = Duration::from_secs(90);
/// Time in which a socket must take [`STALL_BYTES_MIN`].
const STALL: Duration = Duration::from_secs(30);
/// Minimum bytes that a peer must accept per [`STALL`].
const STALL_BYTES_MIN: u64 = 1024;
/// Deadline for the commit of a submission, after which the disk counts as failed.
const COMMIT_DEADLINE: Duration = Duration::from_secs(30);
/// Deadline for the last frames and the close.
const CLOSE_DEADLINE: Duration = Duration::from_secs(3);
/// Maximum messages read while a close is awaited, because a flooding peer may go on sending.
const LAST_WORDS_MAX: usize = 128;
/// Submissions of one connection awaiting their commit; at this number the relay stops reading from it.
const PENDING_MAX: usize = 32;
/// The same limit in bytes, so that one connection fills only its part of the writer's queue.
const PENDING_BYTES_MAX: usize = 512 * 1024;
/// Failed signatures of one connection before it is closed.
const BAD_SIGNATURES_MAX: u8 = 3;

/// An open WebSocket with its channel binding and progress.
pub(crate) struct Socket {
    pub(crate) stream: WebSocketStream<AnyIo>,
    pub(crate) channel: ChannelBinding,
    pub(crate) progress: Arc<Progress>,
}

/// Why a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Send this WebSocket close code.
    Close(u16),
    /// The peer is gone or accepts nothing, so nothing can be sent.
    Gone,
}

struct Pending {
    since: Instant,
    awaited: Awaited,
}

/// One connection.
pub(crate) struct Connection {
    stream: WebSocketStream<AnyIo>,
    progress: Arc<Progress>,
    _place: Place,
    shared: Arc<Shared>,
    session: Session,
    pending: VecDeque<Pending>,
    pending_bytes: usize,
    frames: Bucket,
    pings: Bucket,
    bad_signatures: u8,
    opened_at: Instant,
    heard_at: Instant,
    pinged_at: Instant,
}

enum Event {
    Message(Option<Result<Message, WsError>>),
    Committed(Result<Submitted, Refusal>),
    Woken,
    Time,
    Stopping,
}

impl Connection {
    pub(crate) fn new(socket: Socket, place: Place, shared: Arc<Shared>) -> Self {
        let mut challenge = [0; 32];
        // Without randomness the challenge stays zero and `run` ends at once.
        let drawn = getrandom::fill(&mut challenge).is_ok();
        let now = Instant::now();
        let relay = shared.store.relay();
        let frames = Bucket::new(
            Duration::from_secs(1) / shared.config.frames_per_second.max(1),
            shared.config.frames_burst.max(1),
        );
        shared.metrics.connections.fetch_add(1, Ordering::Relaxed);
        shared.metrics.connections_total.fetch_add(1, Ordering::Relaxed);
        let verifier = Verifier { challenge: Digest(challenge), relay, channel: socket.channel };
        Self {
            stream: socket.stream,
            progress: socket.progress,
            session: Session::new(shared.clone(), verifier, place.origin()),
            _place: place,
            pending: VecDeque::new(),
            pending_bytes: 0,
            frames,
            pings: Bucket::new(Duration::from_secs(1), 5),
            bad_signatures: if drawn { 0 } else { u8::MAX },
            opened_at: now,
            heard_at: now,
            pinged_at: now,
            shared,
        }
    }

    /// Serves the connection to its end. Boxed, because a future holds its argument twice, as argument and as variable.
    pub(crate) async fn run(mut self: Box<Self>) {
        let end = self.serve().await;
        if let End::Close(code) = end {
            Box::pin(goodbye(&mut self.stream, code)).await;
        }
        tracing::debug!(?end, "a connection ended");
    }

    async fn serve(&mut self) -> End {
        if self.bad_signatures == u8::MAX {
            return End::Gone;
        }
        loop {
            if let Err(end) = self.deliver().await {
                return end;
            }
            let event = self.next_event().await;
            if let Err(end) = self.handle(event).await {
                return end;
            }
        }
    }

    /// Serves one message to its last answer and then sends what is due, as [`Self::run`] would, for a simulation whose caller owns time
    /// and socket.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) async fn turn(&mut self, message: Option<Message>) -> Result<(), End> {
        if let Some(message) = message {
            self.handle_message(message).await?;
            self.settle().await?;
        }
        self.deliver().await
    }

    async fn next_event(&mut self) -> Event {
        let now = Instant::now();
        let frame_at = self.frames.ready_at(now);
        let may_read = frame_at <= now
            && self.pending.len() < PENDING_MAX
            && self.pending_bytes < PENDING_BYTES_MAX;
        let deadline = if frame_at > now { self.deadline().min(frame_at) } else { self.deadline() };
        let Self { stream, session, pending, shared, .. } = self;
        tokio::select! {
            message = stream.next(), if may_read => Event::Message(message),
            answer = first(pending), if !pending.is_empty() => Event::Committed(answer),
            () = session.wake.marked() => Event::Woken,
            () = tokio::time::sleep_until(deadline) => Event::Time,
            () = shared.stopping.cancelled() => Event::Stopping,
        }
    }

    /// Returns the next time at which a timeout is due.
    fn deadline(&self) -> Instant {
        let mut next =
            (self.heard_at.max(self.pinged_at) + PING_AFTER).min(self.heard_at + IDLE_MAX);
        if self.session.stage != Stage::Known {
            next = next.min(self.opened_at + AUTH_DEADLINE);
        }
        if let Some(pending) = self.pending.front() {
            next = next.min(pending.since + COMMIT_DEADLINE);
        }
        next
    }

    async fn handle(&mut self, event: Event) -> Result<(), End> {
        match event {
            Event::Message(Some(Ok(message))) => self.handle_message(message).await,
            Event::Message(Some(Err(error))) => Err(end_of(&error)),
            Event::Message(None) => Err(End::Gone),
            Event::Committed(answer) => {
                self.answer_first(answer).await?;
                // Answers of the same transaction are ready, too: one write sends them all.
                while let Some(answer) = ready(&mut self.pending) {
                    self.answer_first(answer).await?;
                }
                Ok(())
            }
            Event::Woken => Ok(()),
            Event::Time => self.handle_time().await,
            Event::Stopping => {
                self.settle().await?;
                self.reject(0, RejectCode::ShuttingDown.into()).await?;
                Err(End::Close(close::GOING_AWAY))
            }
        }
    }

    async fn handle_time(&mut self) -> Result<(), End> {
        let now = Instant::now();
        if self.session.stage != Stage::Known && now >= self.opened_at + AUTH_DEADLINE {
            return Err(End::Close(close::AUTH_TIMEOUT));
        }
        if now >= self.heard_at + IDLE_MAX {
            return Err(End::Gone);
        }
        if self.pending.front().is_some_and(|p| now >= p.since + COMMIT_DEADLINE) {
            // Whether the commit will succeed is unknown, so no answer would be true.
            return Err(End::Close(close::GOING_AWAY));
        }
        if now >= self.heard_at.max(self.pinged_at) + PING_AFTER {
            self.pinged_at = now;
            self.write(Message::Ping("".into())).await?;
        }
        Ok(())
    }

    async fn handle_message(&mut self, message: Message) -> Result<(), End> {
        let now = Instant::now();
        self.heard_at = now;
        self.progress.bore();
        match message {
            Message::Binary(bytes) => {
                let _ = self.frames.take(now);
                match codec::decode_client(&bytes) {
                    // Boxed, so that an idle connection does not hold the space of the largest handler.
                    Ok(frame) => Box::pin(self.serve_frame(frame)).await,
                    // A newer client learns that this relay does not know one request, and goes on with the others.
                    Err(_)
                        if self.session.stage != Stage::Silent
                            && let Some(req) = codec::request_of_later_version(&bytes)
                            && req != 0 =>
                    {
                        self.settle().await?;
                        self.reject(req, RejectCode::Unsupported.into()).await
                    }
                    Err(error) => {
                        tracing::debug!(%error, "a frame could not be decoded");
                        self.reject(0, RejectCode::BadFrame.into()).await?;
                        Err(End::Close(close::PROTOCOL))
                    }
                }
            }
            Message::Text(_) => Err(End::Close(close::UNSUPPORTED)),
            // The library queued the pong, which leaves with the next flush. An unasked pong (RFC 6455
            // section 5.5.3) costs as much to read as a ping.
            Message::Ping(_) | Message::Pong(_) => {
                self.pings.take(now).map_err(|_| End::Close(close::RATE))
            }
            Message::Frame(_) => Ok(()),
            Message::Close(_) => {
                // Flushes the library's reply.
                let _ = timeout(CLOSE_DEADLINE, self.stream.flush()).await;
                Err(End::Gone)
            }
        }
    }

    /// Serves a frame and writes its answer.
    async fn serve_frame(&mut self, frame: ClientFrame) -> Result<(), End> {
        // Every frame except a submission must see the effects of the submissions before it.
        if !matches!(frame, ClientFrame::Submit { .. }) {
            self.settle().await?;
        }
        let answer = handlers::handle(&mut self.session, frame).await;
        if let Answer::Awaits(awaited) = answer {
            self.pending_bytes = self.pending_bytes.saturating_add(awaited.bytes);
            self.pending.push_back(Pending { since: Instant::now(), awaited });
            return Ok(());
        }
        // The answers to earlier requests come first.
        self.settle().await?;
        match answer {
            Answer::Reply(frame) => self.reply(&frame).await,
            Answer::Refuse(req, refusal) => self.reject(req, refusal).await,
            Answer::End(refusal, code) => {
                self.reject(0, refusal).await?;
                Err(End::Close(code))
            }
            Answer::Awaits(_) => Ok(()),
        }
    }

    /// Pulls for every marked room, then flushes the socket.
    async fn deliver(&mut self) -> Result<(), End> {
        let dirty = self.session.wake.take();
        if dirty != 0 {
            for index in 0..self.session.rooms().min(ROOMS_PER_CONNECTION_MAX) {
                if dirty & (1 << index) != 0 {
                    self.deliver_room(index).await?;
                }
            }
        }
        let Self { stream, progress, .. } = self;
        progressing(progress, stream.flush()).await
    }

    /// Sends one batch of a room, and marks the room again if it has more, so that no room keeps the others waiting.
    async fn deliver_room(&mut self, index: usize) -> Result<(), End> {
        let shared = self.shared.clone();
        let Some(slot) = self.session.slot(index) else { return Ok(()) };
        let delivery = match slot.pull_now(&shared) {
            Some(delivery) => delivery,
            None => Box::pin(slot.pull(&shared)).await,
        };
        let Delivery { frames, more, failed } = delivery;
        if failed {
            // Closing is better than a silent gap: the client reconnects and resumes from its cursor.
            return Err(End::Close(close::GOING_AWAY));
        }
        if more && let Ok(index) = u8::try_from(index) {
            self.session.wake.mark(index);
        }
        for frame in frames {
            self.write(Message::Binary(frame.into())).await?;
        }
        Ok(())
    }

    /// Answers every pending submission, so that what follows sees its effects.
    async fn settle(&mut self) -> Result<(), End> {
        while !self.pending.is_empty() {
            let answer = timeout(COMMIT_DEADLINE, first(&mut self.pending)).await;
            self.answer_first(answer.map_err(|_| End::Close(close::GOING_AWAY))?).await?;
        }
        Ok(())
    }

    async fn answer_first(&mut self, answer: Result<Submitted, Refusal>) -> Result<(), End> {
        let Some(pending) = self.pending.pop_front() else { return Ok(()) };
        let Pending { since, awaited: Awaited { req, bytes, proof, .. } } = pending;
        self.pending_bytes = self.pending_bytes.saturating_sub(bytes);
        let answer = match answer {
            Ok(Submitted::Accepted(accepted)) => Ok(accepted),
            Ok(Submitted::Far(submission)) => {
                let now = self.shared.now();
                let far = Box::pin(self.shared.store.submit_far(now, proof, submission));
                let answer = tokio::time::timeout_at(since + COMMIT_DEADLINE, far).await;
                answer.map_err(|_| End::Close(close::GOING_AWAY))?
            }
            Err(refusal) => Err(refusal),
        };
        match answer {
            Ok(Accepted { seq, at, control }) => {
                self.reply(&ServerFrame::Accepted { req, seq, at, control }).await
            }
            Err(refusal) => self.reject(req, refusal).await,
        }
    }

    /// Sends a frame with the next flush.
    async fn reply(&mut self, frame: &ServerFrame) -> Result<(), End> {
        self.write(Message::Binary(codec::encode_server(frame).into())).await
    }

    /// Refuses a request.
    async fn reject(&mut self, req: RequestId, refusal: Refusal) -> Result<(), End> {
        let Refusal { code, retry_at } = refusal;
        self.shared.metrics.rejected(code);
        self.reply(&ServerFrame::Reject { req, code, retry_at }).await?;
        if code == RejectCode::BadSignature {
            self.bad_signatures += 1;
            if self.bad_signatures >= BAD_SIGNATURES_MAX {
                return Err(End::Close(close::RATE));
            }
        }
        Ok(())
    }

    async fn write(&mut self, message: Message) -> Result<(), End> {
        let Self { stream, progress, .. } = self;
        progressing(progress, stream.feed(message)).await
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.shared.metrics.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Closes with a code, and waits briefly for the peer's own close, so that a reset does not lose the last frames.
pub(crate) async fn goodbye(stream: &mut WebSocketStream<AnyIo>, code: u16) {
    let frame = CloseFrame { code: CloseCode::from(code), reason: "".into() };
    let close = async {
        let _ = stream.close(Some(frame)).await;
        for _ in 0..LAST_WORDS_MAX {
            if !matches!(stream.next().await, Some(Ok(_))) {
                break;
            }
        }
    };
    let _ = timeout(CLOSE_DEADLINE, close).await;
}

/// Waits for the first submission's commit. Cancel safe.
async fn first(pending: &mut VecDeque<Pending>) -> Result<Submitted, Refusal> {
    match pending.front_mut() {
        Some(pending) => (&mut pending.awaited.committed).await,
        None => std::future::pending().await,
    }
}

/// Returns the first submission's answer if it is ready.
fn ready(pending: &mut VecDeque<Pending>) -> Option<Result<Submitted, Refusal>> {
    use futures_util::FutureExt as _;
    (&mut pending.front_mut()?.awaited.committed).now_or_never()
}

/// Waits for a write as long as the socket accepts enough bytes.
async fn progressing(
    progress: &Progress,
    write: impl Future<Output = Result<(), WsError>>,
) -> Result<(), End> {
    tokio::pin!(write);
    loop {
        let before = progress.written();
        match timeout(STALL, &mut write).await {
            Ok(result) => return result.map_err(|error| end_of(&error)),
            Err(_) if progress.written() - before < STALL_BYTES_MIN => return Err(End::Gone),
            Err(_) => {}
        }
    }
}

/// Returns how a connection ends after an error of the socket or of the peer's WebSocket.
pub(crate) fn end_of(error: &WsError) -> End {
    match error {
        WsError::Capacity(CapacityError::MessageTooLong { .. }) => End::Close(close::TOO_BIG),
        WsError::Protocol(_) => End::Close(close::PROTOCOL),
        WsError::Io(error) if error.get_ref().is_some_and(|e| e.is::<BadLength>()) => {
            End::Close(close::PROTOCOL)
        }
        WsError::Utf8(_) => End::Close(close::NOT_UTF8),
        _ => End::Gone,
    }
}
