//! One connection to the relay: reached, verified, and then a request with its answer, or the next frame.
//!
//! The owner of a [`Connection`] drives it: nothing runs in the background. While [`Connection::next`] or
//! [`Connection::request`] is being awaited, pings are answered and silence is noticed; so whoever holds an open
//! connection keeps `next` in its `select!`.

mod error;
mod tls;

#[cfg(test)]
mod tests;

use core::{fmt, future::poll_fn, task::Poll, time::Duration};
use std::{
    collections::VecDeque,
    io,
    net::{IpAddr, SocketAddr},
};

use ed25519_dalek::SigningKey;
use futures_util::{SinkExt as _, StreamExt as _, stream::FuturesUnordered};
use hearth_protocol::{
    codec,
    error::{RejectCode, close},
    frame::{ClientFrame, RequestId, ServerFrame},
    handshake::{self, AuthContext, ChannelBinding},
    id::{Digest, MemberKey, Millis, RelayId, RoomId, Signature},
    invite::{RelayAddress, Transport},
    limits::{FRAME_BYTES_MAX, PATH, PROTOCOL_VERSION, SUBPROTOCOL},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::{Instant, sleep, timeout, timeout_at},
};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{
        self, ClientRequestBuilder, Message,
        error::Error as SocketError,
        http::{StatusCode, Uri},
        protocol::WebSocketConfig,
    },
};

pub use error::{ConnectError, ConnectionLost, RequestError};
pub use error::{network_words, refusal_words};
use tls::Trust;

use crate::{backoff::Backoff, network::Network};

/// Reaching one of the relay's addresses, resolving its name included.
const REACH_DEADLINE: Duration = Duration::from_secs(10);
/// The TLS handshake.
const TLS_DEADLINE: Duration = Duration::from_secs(10);
/// The HTTP upgrade and the hello.
const HELLO_DEADLINE: Duration = Duration::from_secs(10);
/// The answer to one request.
const REQUEST_DEADLINE: Duration = Duration::from_secs(20);
/// Saying goodbye.
const CLOSE_DEADLINE: Duration = Duration::from_secs(2);
/// Silence after which we ask whether the relay is still there.
const SILENCE_BEFORE_PING: Duration = Duration::from_secs(30);
/// Time that the relay has to answer: half-open connections are noticed within 45 s.
const PING_DEADLINE: Duration = Duration::from_secs(15);
/// Head start of one address before the next one is tried beside it (RFC 8305 section 5).
const ADDRESS_HEAD_START: Duration = Duration::from_millis(250);
/// Addresses tried; a resolver's answer is not ours to trust.
const ADDRESSES_MAX: usize = 16;

/// tungstenite's default of 128 KiB is zeroed and kept per connection; frames are mostly small.
const READ_BUFFER_BYTES: usize = 8 * 1024;
/// What may wait to be sent; a few frames, as there is one request at a time.
const WRITE_BUFFER_BYTES_MAX: usize = 4 * FRAME_BYTES_MAX;

/// Frames that may queue while an answer is awaited.
const QUEUE_FRAMES_MAX: usize = 1024;
/// Bytes that may queue while an answer is awaited.
const QUEUE_BYTES_MAX: usize = 8 * 1024 * 1024;

trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Stream for T {}

/// An open, verified connection. Room keys are proved on it one by one, with [`Self::auth_signature`].
pub struct Connection {
    socket: WebSocketStream<Box<dyn Stream>>,
    /// Something was written that a flush must still push out.
    unflushed: bool,
    relay: RelayId,
    challenge: Digest,
    channel: ChannelBinding,
    /// Whether the key exchange stands against a quantum computer; so does a connection that never leaves this computer.
    post_quantum: bool,
    relay_time: Millis,
    relay_time_at: Instant,
    last_request: RequestId,
    queue: VecDeque<(ServerFrame, usize)>,
    queue_bytes: usize,
    /// When something last arrived.
    heard: Instant,
    /// When we asked whether the relay is still there, unless something arrived since.
    pinged: Option<Instant>,
    /// Set once the connection is of no more use.
    lost: Option<ConnectionLost>,
}

impl Connection {
    /// Connects, verifies who answers, and exchanges hellos. Sends nothing before the TLS key is verified.
    ///
    /// # Errors
    /// See [`ConnectError`]. Every step has a deadline; together they take 30 seconds at most.
    pub async fn open(network: &Network, address: &RelayAddress) -> Result<Self, ConnectError> {
        let host = host(&address.authority)?;
        if address.transport == Transport::Plain && !names_loopback(host) {
            return Err(ConnectError::PlainNotLoopback);
        }
        let stream = reach_over(network, address).await?;
        let (stream, channel, post_quantum): (Box<dyn Stream>, _, _) = match address.transport {
            Transport::Plain => (stream, [0; 32], true),
            Transport::Tls => {
                let negotiation =
                    Box::pin(tls::negotiate(stream, host, Trust::of_link(address.pin)));
                let agreed = timeout(TLS_DEADLINE, negotiation)
                    .await
                    .map_err(|_| ConnectError::Timeout)??;
                (Box::new(agreed.stream), agreed.channel, agreed.post_quantum)
            }
        };
        let greeted = timeout(HELLO_DEADLINE, Box::pin(Self::greet(address, stream, channel)));
        let mut connection = greeted.await.map_err(|_| ConnectError::Timeout)??;
        connection.post_quantum = post_quantum;
        Ok(connection)
    }

    /// Opens a connection after one was lost: waits, and tries again for as long as that makes sense.
    ///
    /// # Errors
    /// What trying again does not mend; see [`ConnectError::may_retry`].
    pub async fn open_again(
        network: &Network,
        address: &RelayAddress,
    ) -> Result<Self, ConnectError> {
        let mut backoff = Backoff::new();
        loop {
            sleep(backoff.next_delay()).await;
            match Box::pin(Self::open(network, address)).await {
                Err(error) if error.may_retry() => {}
                opened => return opened,
            }
        }
    }

    /// Upgrades a verified stream and exchanges hellos. The caller sets the deadline.
    async fn greet(
        address: &RelayAddress,
        stream: Box<dyn Stream>,
        channel: ChannelBinding,
    ) -> Result<Self, ConnectError> {
        let socket = upgrade(address, stream).await?;
        let now = Instant::now();
        let mut connection = Self {
            socket,
            unflushed: false,
            relay: address.relay,
            challenge: Digest([0; 32]),
            channel,
            post_quantum: true,
            relay_time: Millis(0),
            relay_time_at: now,
            last_request: 0,
            queue: VecDeque::new(),
            queue_bytes: 0,
            heard: now,
            pinged: None,
            lost: None,
        };
        let hello = ClientFrame::Hello { versions: vec![PROTOCOL_VERSION] };
        connection.write(codec::encode_client(&hello)).map_err(hello_lost)?;
        match connection.receive().await.map_err(hello_lost)?.0 {
            ServerFrame::Hello { version, .. } if version != PROTOCOL_VERSION => {
                Err(ConnectError::BadVersion)
            }
            ServerFrame::Hello { relay, .. } if relay != address.relay => {
                Err(ConnectError::WrongRelay)
            }
            ServerFrame::Hello { challenge, now, .. } => {
                connection.challenge = challenge;
                connection.relay_time = now;
                connection.relay_time_at = Instant::now();
                Ok(connection)
            }
            ServerFrame::Reject { code, retry_at, .. } => Err(match code {
                RejectCode::BadVersion => ConnectError::BadVersion,
                RejectCode::RateLimited => ConnectError::RateLimited { retry_at },
                code if code.may_retry() => ConnectError::Unavailable { status: None },
                _ => ConnectError::NotARelay { status: None },
            }),
            _ => Err(ConnectError::NotARelay { status: None }),
        }
    }

    /// Who the relay is; equal to what the link says.
    pub const fn relay(&self) -> RelayId {
        self.relay
    }

    /// Whether what passes stays secret from a quantum computer that comes later. Always so where a link pins the key.
    pub const fn is_post_quantum(&self) -> bool {
        self.post_quantum
    }

    /// Signs this connection's challenge with a room's key: what `Authenticate`, `OpenRoom` and `Knock` carry.
    pub fn auth_signature(&self, key: &SigningKey, room: RoomId) -> Signature {
        let member = MemberKey(key.verifying_key().to_bytes());
        let transcript = handshake::auth_transcript(&AuthContext {
            challenge: &self.challenge,
            relay: &self.relay,
            channel: &self.channel,
            room: &room,
            member: &member,
        });
        handshake::sign(key, &transcript)
    }

    /// The relay's clock now: its hello plus the time that passed since, whatever this computer's clock says.
    pub fn server_now(&self) -> Millis {
        let passed = self.relay_time_at.elapsed().as_millis();
        self.relay_time.plus(u64::try_from(passed).unwrap_or(u64::MAX))
    }

    /// Sends one request and waits for its answer; never returns a `Reject`.
    ///
    /// Entries and notices that arrive meanwhile are queued for [`Self::next`]. If the future is dropped, the
    /// request may have been sent; its answer is then ignored when it comes.
    ///
    /// # Errors
    /// See [`RequestError`]. After `Lost` the connection is of no more use; after the others it goes on.
    pub async fn request(
        &mut self,
        make: impl FnOnce(RequestId) -> ClientFrame,
    ) -> Result<ServerFrame, RequestError> {
        // 0 means "no request" in a reject.
        self.last_request = self.last_request.checked_add(1).unwrap_or(1);
        let req = self.last_request;
        let bytes = codec::encode_client(&make(req));
        if bytes.len() > FRAME_BYTES_MAX {
            return Err(RequestError::TooLarge(bytes.len()));
        }
        self.write(bytes)?;
        let deadline = Instant::now() + REQUEST_DEADLINE;
        loop {
            let received = timeout_at(deadline, self.receive()).await;
            let (frame, bytes) = received.map_err(|_| RequestError::Timeout)??;
            match (answers(&frame), frame) {
                // A refusal that names no request is about the only one under way.
                (Some(0), ServerFrame::Reject { code, retry_at, .. }) => {
                    return Err(RequestError::Rejected { code, retry_at });
                }
                (Some(answered), frame) if answered == req => {
                    return match frame {
                        ServerFrame::Reject { code, retry_at, .. } => {
                            Err(RequestError::Rejected { code, retry_at })
                        }
                        frame => Ok(frame),
                    };
                }
                // Answers a request whose caller went away.
                (Some(_), _) => {}
                (None, frame) => self.enqueue(frame, bytes)?,
            }
        }
    }

    /// Waits for the next frame that answers no request: entries, a notice, or a reject with request number 0.
    ///
    /// Cancel safe: dropping the future loses nothing. Returns what is queued first.
    ///
    /// # Errors
    /// See [`ConnectionLost`]; the connection is then of no more use.
    pub async fn next(&mut self) -> Result<ServerFrame, ConnectionLost> {
        if let Some((frame, bytes)) = self.queue.pop_front() {
            self.queue_bytes = self.queue_bytes.saturating_sub(bytes);
            return Ok(frame);
        }
        loop {
            let (frame, _) = self.receive().await?;
            if answers(&frame).is_none_or(|req| req == 0) {
                return Ok(frame);
            }
        }
    }

    /// Says goodbye, for two seconds at most, and closes.
    pub async fn close(mut self) {
        let goodbye = async {
            if self.socket.close(None).await.is_ok() {
                while let Some(Ok(_)) = self.socket.next().await {}
            }
        };
        // A relay that does not answer the goodbye is left without one.
        let _ = timeout(CLOSE_DEADLINE, goodbye).await;
    }

    /// Hands a frame to the socket's buffer; `receive` pushes it out.
    fn write(&mut self, frame: Vec<u8>) -> Result<(), ConnectionLost> {
        if let Some(lost) = self.lost {
            return Err(lost);
        }
        let message = Message::Binary(frame.into());
        let written = self.socket.start_send_unpin(message);
        self.unflushed = true;
        written.map_err(|error| self.lose(socket_lost(&error)))
    }

    /// Waits for the next frame and its size in bytes. Cancel safe.
    async fn receive(&mut self) -> Result<(ServerFrame, usize), ConnectionLost> {
        if let Some(lost) = self.lost {
            return Err(lost);
        }
        loop {
            let deadline = match self.pinged {
                None => self.heard + SILENCE_BEFORE_PING,
                Some(pinged) => pinged + PING_DEADLINE,
            };
            let Ok(message) = timeout_at(deadline, self.message()).await else {
                if self.pinged.is_some() {
                    return Err(self.lose(ConnectionLost::Silent));
                }
                self.ping()?;
                continue;
            };
            self.heard = Instant::now();
            self.pinged = None;
            match message {
                Ok(Message::Binary(bytes)) => {
                    match codec::decode_server(&bytes) {
                        Ok(frame) => return Ok((frame, bytes.len())),
                        // A newer relay says what only newer clients ask for.
                        Err(codec::DecodeError::Later) => {}
                        Err(_) => return Err(self.lose(ConnectionLost::BadFrame)),
                    }
                }
                // Reading has queued the pong already.
                Ok(Message::Ping(_) | Message::Pong(_)) => {}
                Ok(Message::Close(frame)) => {
                    let code = frame.map(|frame| frame.code.into());
                    return Err(self.lose(ConnectionLost::Closed { code }));
                }
                Ok(Message::Text(_) | Message::Frame(_)) => {
                    return Err(self.lose(ConnectionLost::BadFrame));
                }
                Err(lost) => return Err(self.lose(lost)),
            }
        }
    }

    /// Flushes and reads at once, so that two sides that both wait to write cannot wait for each other.
    async fn message(&mut self) -> Result<Message, ConnectionLost> {
        poll_fn(|cx| {
            if self.unflushed {
                match self.socket.poll_flush_unpin(cx) {
                    Poll::Ready(Ok(())) => self.unflushed = false,
                    // What the relay said before it went away is worth reading; a read tells of the end.
                    Poll::Ready(Err(_)) => self.unflushed = false,
                    Poll::Pending => {}
                }
            }
            self.socket.poll_next_unpin(cx).map(|message| match message {
                None => Err(ConnectionLost::Closed { code: None }),
                Some(message) => message.map_err(|error| socket_lost(&error)),
            })
        })
        .await
    }

    fn ping(&mut self) -> Result<(), ConnectionLost> {
        let written = self.socket.start_send_unpin(Message::Ping(tungstenite::Bytes::new()));
        self.unflushed = true;
        self.pinged = Some(Instant::now());
        written.map_err(|error| self.lose(socket_lost(&error)))
    }

    fn enqueue(&mut self, frame: ServerFrame, bytes: usize) -> Result<(), ConnectionLost> {
        if self.queue.len() >= QUEUE_FRAMES_MAX || self.queue_bytes + bytes > QUEUE_BYTES_MAX {
            return Err(self.lose(ConnectionLost::Overflow));
        }
        self.queue_bytes += bytes;
        self.queue.push_back((frame, bytes));
        Ok(())
    }

    /// Remembers why the connection is of no more use.
    fn lose(&mut self, lost: ConnectionLost) -> ConnectionLost {
        *self.lost.get_or_insert(lost)
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("relay", &self.relay)
            .field("queued", &self.queue.len())
            .field("lost", &self.lost)
            .finish_non_exhaustive()
    }
}

/// Returns the request number that a frame answers; `None` for frames that answer none.
fn answers(frame: &ServerFrame) -> Option<RequestId> {
    match frame {
        ServerFrame::Authenticated { req, .. }
        | ServerFrame::Done { req }
        | ServerFrame::Accepted { req, .. }
        | ServerFrame::Preview { req, .. }
        | ServerFrame::BlobPart { req, .. }
        | ServerFrame::Knocks { req, .. }
        | ServerFrame::Status { req, .. }
        | ServerFrame::Subscribed { req, .. }
        | ServerFrame::Lanes { req, .. }
        | ServerFrame::Notes { req, .. }
        | ServerFrame::Reject { req, .. } => Some(*req),
        _ => None,
    }
}

/// Takes the host out of `host:port`, without the brackets of an IPv6 address.
fn host(authority: &str) -> Result<&str, ConnectError> {
    let (host, port) = authority.rsplit_once(':').ok_or(ConnectError::BadAddress)?;
    let bare = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').ok_or(ConnectError::BadAddress)?,
        None if host.contains(':') => return Err(ConnectError::BadAddress),
        None => host,
    };
    // `u16::from_str` takes a plus sign.
    let port_ok = port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
    if bare.is_empty() || !port_ok {
        return Err(ConnectError::BadAddress);
    }
    Ok(bare)
}

fn names_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

async fn reach_over(
    network: &Network,
    address: &RelayAddress,
) -> Result<Box<dyn Stream>, ConnectError> {
    if let Some(stream) = network.dial(address) {
        return Ok(Box::new(stream.map_err(ConnectError::Unreachable)?));
    }
    let stream = timeout(REACH_DEADLINE, reach(address))
        .await
        .map_err(|_| ConnectError::Timeout)?
        .map_err(ConnectError::Unreachable)?;
    // Frames are small and each is awaited: waiting to fill a segment only adds delay.
    stream.set_nodelay(true).map_err(ConnectError::Unreachable)?;
    Ok(Box::new(stream))
}

/// Connects to whichever of the relay's addresses answers first, each with a small head start.
async fn reach(address: &RelayAddress) -> io::Result<TcpStream> {
    let addresses = tokio::net::lookup_host(&address.authority).await?;
    let mut waiting: VecDeque<SocketAddr> = addresses
        // Whoever answers for "localhost" may say anything.
        .filter(|found| address.transport == Transport::Tls || found.ip().is_loopback())
        .take(ADDRESSES_MAX)
        .collect();
    let mut attempts = FuturesUnordered::new();
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    loop {
        if let Some(next) = waiting.pop_front() {
            attempts.push(TcpStream::connect(next));
        }
        if attempts.is_empty() {
            return Err(failure);
        }
        tokio::select! {
            Some(attempt) = attempts.next() => match attempt {
                Ok(stream) => return Ok(stream),
                Err(error) => failure = error,
            },
            () = sleep(ADDRESS_HEAD_START), if !waiting.is_empty() => {}
        }
    }
}

/// The bounds of a WebSocket of ours.
fn socket_config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(0)
        .max_write_buffer_size(WRITE_BUFFER_BYTES_MAX)
        .max_message_size(Some(FRAME_BYTES_MAX))
        .max_frame_size(Some(FRAME_BYTES_MAX))
}

async fn upgrade(
    address: &RelayAddress,
    stream: Box<dyn Stream>,
) -> Result<WebSocketStream<Box<dyn Stream>>, ConnectError> {
    let uri: Uri = format!("{address}{PATH}").parse().map_err(|_| ConnectError::BadAddress)?;
    let request = ClientRequestBuilder::new(uri).with_sub_protocol(SUBPROTOCOL);
    match client_async_with_config(request, stream, Some(socket_config())).await {
        Ok((socket, _)) => Ok(socket),
        Err(SocketError::Http(answer)) => Err(http_refusal(answer.status())),
        Err(SocketError::Io(error)) => Err(ConnectError::Unreachable(error)),
        Err(_) => Err(ConnectError::NotARelay { status: None }),
    }
}

fn http_refusal(status: StatusCode) -> ConnectError {
    let number = Some(status.as_u16());
    match status {
        StatusCode::TOO_MANY_REQUESTS => ConnectError::RateLimited { retry_at: None },
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
            ConnectError::Unavailable { status: number }
        }
        _ => ConnectError::NotARelay { status: number },
    }
}

/// What a connection that ends before the hello means.
fn hello_lost(lost: ConnectionLost) -> ConnectError {
    match lost {
        ConnectionLost::Closed { code: Some(close::RATE) } => {
            ConnectError::RateLimited { retry_at: None }
        }
        ConnectionLost::Closed { code: Some(close::GOING_AWAY) } => {
            ConnectError::Unavailable { status: None }
        }
        ConnectionLost::Broken(kind) => ConnectError::Unreachable(kind.into()),
        ConnectionLost::Silent | ConnectionLost::Stalled => ConnectError::Timeout,
        ConnectionLost::Closed { .. } | ConnectionLost::BadFrame | ConnectionLost::Overflow => {
            ConnectError::NotARelay { status: None }
        }
    }
}

fn socket_lost(error: &SocketError) -> ConnectionLost {
    match error {
        SocketError::ConnectionClosed | SocketError::AlreadyClosed => {
            ConnectionLost::Closed { code: None }
        }
        SocketError::Io(error) => ConnectionLost::Broken(error.kind()),
        SocketError::Protocol(tungstenite::error::ProtocolError::ResetWithoutClosingHandshake) => {
            ConnectionLost::Broken(io::ErrorKind::ConnectionReset)
        }
        SocketError::WriteBufferFull(_) => ConnectionLost::Stalled,
        _ => ConnectionLost::BadFrame,
    }
}
