//! From an accepted socket to an open WebSocket, with a deadline on every step.

use std::{
    sync::{Arc, PoisonError, atomic::Ordering},
    time::Duration,
};

use hearth_protocol::limits::FRAME_BYTES_MAX;
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout},
};
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::protocol::{Role, WebSocketConfig},
};

use crate::{
    Shared,
    connection::{Connection, Socket},
    http::{self, Answer, HeadError},
    io::{AnyIo, CheckedLengths, Metered, Progress, Turns},
    rate_limit::{Origin, Place},
    tls, words,
};

/// Deadline for the TLS handshake.
const TLS_DEADLINE: Duration = Duration::from_secs(10);
/// Deadline for the request head.
const HEAD_DEADLINE: Duration = Duration::from_secs(10);
/// Deadline for an answer that ends the connection.
const ANSWER_DEADLINE: Duration = Duration::from_secs(5);
/// Deadline for each step of a connection that only gets a refusal.
const REFUSAL_DEADLINE: Duration = Duration::from_secs(4);
/// Connections that may get a refusal at the same time.
const REFUSALS_MAX: usize = 128;
/// Minimum limit on new connections per second from one address; `connections_per_ip` if that is more.
const ARRIVALS_MIN: u32 = 64;
/// Pause after the system refused to accept (no more descriptors), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Bytes read from TLS at once. Every connection holds this buffer for its whole life; TLS has further bytes
/// in memory already, so a small buffer costs no system call.
const READ_BUFFER_BYTES: usize = 1024;
/// Bytes of frames collected before a write to the socket.
const WRITE_BUFFER_BYTES: usize = 64 * 1024;
/// Maximum bytes of frames that wait for a socket.
const WRITE_BUFFER_BYTES_MAX: usize = 1024 * 1024;

/// Accepts connections until the relay stops.
pub(crate) async fn accept(listener: TcpListener, shared: Arc<Shared>, tls: Option<TlsAcceptor>) {
    // Permits for connections that only get a refusal.
    let refusals = Arc::new(Semaphore::new(REFUSALS_MAX));
    loop {
        let accepted = tokio::select! {
            () = shared.stopping.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                let error = words::of_io(&error);
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let per_ip = shared.config.connections_per_ip;
        let (place, count) = shared.occupancy.enter(peer.ip().into());
        // With a trusted proxy, the head names the real address.
        let proxied = shared.config.trust_forwarded && peer.ip().is_loopback();
        let full = shared.tasks.len() >= shared.config.connections_max;
        let crowded = !proxied && (count > per_ip || is_hasty(&shared, place.origin()));
        let told = if crowded { may_tell(&shared, &refusals) } else { None };
        if full || crowded && told.is_none() {
            shared.metrics.connections_refused.fetch_add(1, Ordering::Relaxed);
            continue;
        }
        let caller = Caller { crowded, place, proxied, _told: told };
        let task = serve(stream, caller, shared.clone(), tls.clone());
        let killed = shared.killed.clone();
        shared.tasks.spawn(async move {
            tokio::select! {
                () = killed.cancelled() => {}
                () = task => {}
            }
        });
    }
}

/// Whether an address opens connections too fast, because reconnecting clients hold few sockets but cost a handshake each.
fn is_hasty(shared: &Shared, origin: Origin) -> bool {
    let mut arrivals = shared.arrivals.lock().unwrap_or_else(PoisonError::into_inner);
    let arrived = arrivals.count(origin, Instant::now());
    arrived > shared.config.connections_per_ip.max(ARRIVALS_MIN)
}

/// Returns a permit to answer a refusal with 429, which costs a handshake. `None` above a number per second and at the same
/// time.
fn may_tell(shared: &Shared, refusals: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
    let mut arrivals = shared.arrivals.lock().unwrap_or_else(PoisonError::into_inner);
    arrivals.may_refuse().then(|| refusals.clone().try_acquire_owned().ok())?
}

/// A connecting peer, as limits count it.
struct Caller {
    place: Place,
    /// Whether the address has too many connections, or opens them too fast.
    crowded: bool,
    /// A permit to be told so.
    _told: Option<OwnedSemaphorePermit>,
    /// Whether the address is a trusted proxy's.
    proxied: bool,
}

async fn serve(stream: TcpStream, caller: Caller, shared: Arc<Shared>, tls: Option<TlsAcceptor>) {
    // On failure, small answers only wait for each other.
    let _ = stream.set_nodelay(true);
    // Boxed, because the future of a handshake is large and an idle connection no longer needs it.
    let opened = Box::pin(async {
        tokio::select! {
            () = shared.stopping.cancelled() => None,
            opened = open(stream, &shared, tls, caller) => opened,
        }
    })
    .await;
    match opened {
        Some((socket, place)) => Box::new(Connection::new(socket, place, shared)).run().await,
        None => tracing::debug!("no WebSocket came of a connection"),
    }
}

async fn open(
    stream: TcpStream,
    shared: &Arc<Shared>,
    tls: Option<TlsAcceptor>,
    mut caller: Caller,
) -> Option<(Socket, Place)> {
    let (metered, progress) = Metered::new(stream, shared.metrics.clone());
    let (tls_deadline, head_deadline) = if caller.crowded {
        (REFUSAL_DEADLINE, REFUSAL_DEADLINE)
    } else {
        (TLS_DEADLINE, HEAD_DEADLINE)
    };
    let (mut io, channel): (AnyIo, _) = match tls {
        Some(acceptor) => {
            let stream = timeout(tls_deadline, acceptor.accept(metered)).await.ok()?.ok()?;
            let channel = tls::channel_binding(stream.get_ref().1).ok()?;
            (Box::new(Turns::new(stream)), channel)
        }
        None => (Box::new(metered), [0; 32]),
    };
    let head = timeout(head_deadline, http::read_head(&mut io)).await.ok()?;
    let (head, rest) = match head {
        Ok(head) => head,
        Err(HeadError::Refused(answer)) => return refuse(io, answer).await,
        Err(HeadError::Gone) => return None,
    };
    if caller.proxied
        && let Some(address) = head.forwarded_for()
    {
        let (place, count) = shared.occupancy.enter(address.into());
        let hasty = is_hasty(shared, place.origin());
        caller.crowded = hasty || count > shared.config.connections_per_ip;
        caller.place = place;
    }
    if caller.crowded {
        shared.metrics.connections_refused.fetch_add(1, Ordering::Relaxed);
        return refuse(io, http::TOO_MANY).await;
    }
    let switching = match head.upgrade(&shared.config.allow_origin) {
        Ok(bytes) => bytes,
        Err(answer) => return refuse(io, answer).await,
    };
    let write = async {
        io.write_all(&switching).await?;
        io.flush().await
    };
    timeout(ANSWER_DEADLINE, write).await.ok()?.ok()?;
    Some((upgrade(io, rest, channel, progress).await, caller.place))
}

pub(crate) async fn upgrade(
    io: AnyIo,
    rest: Vec<u8>,
    channel: [u8; 32],
    progress: Arc<Progress>,
) -> Socket {
    // The library's defaults hold 128 KiB for each idle connection and accept messages of 64 MiB.
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(WRITE_BUFFER_BYTES)
        .max_write_buffer_size(WRITE_BUFFER_BYTES_MAX)
        .max_message_size(Some(FRAME_BYTES_MAX))
        .max_frame_size(Some(FRAME_BYTES_MAX))
        .accept_unmasked_frames(false);
    let (io, rest) = CheckedLengths::after(io, rest);
    let stream = WebSocketStream::from_partially_read(io, rest, Role::Server, Some(config)).await;
    Socket { stream, channel, progress }
}

async fn refuse(mut io: AnyIo, answer: Answer) -> Option<(Socket, Place)> {
    let bytes = answer.to_bytes();
    let write = async {
        io.write_all(&bytes).await?;
        io.shutdown().await
    };
    // A refused peer may miss the answer.
    let _ = timeout(ANSWER_DEADLINE, write).await;
    None
}
