//! The server: connections from this computer, requests, and the one page.

use std::{
    convert::Infallible,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use hyper::{
    Request, StatusCode,
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::json;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, mpsc, oneshot},
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use zeroize::Zeroizing;

use super::{
    assets, body,
    body::Answer,
    feed::Feed,
    gate::{CODE_LIFE, Gate, Refused},
    guard::{Guard, Refusal, Target},
    peer::{self, Peer},
    words,
};

/// Connections at one time. A browser opens six.
const CONNECTIONS_MAX: usize = 16;
/// Longest wait for a request's head, and for the next request of a connection.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// Bytes of a request's head.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Requests of the page that wait for the shell.
const ASKED_MAX: usize = 64;
/// Pause after a connection could not be taken, because the system has no descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

const JSON_LINES: &str = "application/x-ndjson; charset=utf-8";

/// What a page asks of its shell.
#[derive(Debug)]
pub enum Asked {
    /// A page is there and is to be told everything. An earlier one is over.
    Opened(Feed),
    /// The page does something: JSON that was not read yet.
    Act(Bytes),
    /// The stream of this number ended.
    Gone(u64),
    /// Somebody has used the code, and the system does not say who. They are let in if a person sees these words on the page, too.
    Words {
        /// Three words.
        words: String,
        /// Takes whether they agree.
        agree: oneshot::Sender<bool>,
    },
}

/// The requests of the page.
#[derive(Debug)]
pub struct Page(mpsc::Receiver<Asked>);

impl Page {
    /// Waits for the next request; `None` once the server is gone. Cancel safe.
    pub async fn next(&mut self) -> Option<Asked> {
        self.0.recv().await
    }
}

/// Says whose process is at the other end of a connection, given both ends: first the other, then this.
type Whose = fn(SocketAddr, SocketAddr) -> Peer;

/// A server on loopback for one page.
#[derive(Clone)]
pub struct Server(Arc<Shared>);

struct Shared {
    guard: Guard,
    gate: Mutex<Gate>,
    asked: mpsc::Sender<Asked>,
    /// The stream that is open, and the number of the last one.
    open: Mutex<(Option<Feed>, u64)>,
    whose: Whose,
}

/// What ends with a stream.
struct Gone(u64, mpsc::Sender<Asked>);

impl Drop for Gone {
    fn drop(&mut self) {
        // A shell that has 64 requests to take hears of the next stream, which ends this one.
        let _ = self.1.try_send(Asked::Gone(self.0));
    }
}

impl Server {
    /// Takes a free port of 127.0.0.1. Drives the server with [`Self::run`].
    ///
    /// # Errors
    /// If the system gives no port.
    pub async fn bind() -> io::Result<(Self, TcpListener, Page)> {
        Self::bind_with(peer::of).await
    }

    pub(crate) async fn bind_with(whose: Whose) -> io::Result<(Self, TcpListener, Page)> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let guard = Guard::new(listener.local_addr()?.port());
        let (asked, page) = mpsc::channel(ASKED_MAX);
        let (gate, open) = (Mutex::default(), Mutex::default());
        Ok((Self(Arc::new(Shared { guard, gate, asked, open, whose })), listener, Page(page)))
    }

    /// Makes a link that lets one page in, once and for a minute. The link before it opens nothing from now on.
    ///
    /// # Errors
    /// If the system gives no randomness.
    pub fn link(&self) -> io::Result<Zeroizing<String>> {
        let code = lock(&self.0.gate)
            .offer(Instant::now())
            .map_err(|e| io::Error::other(e.to_string()))?;
        // The fragment of a link is not sent with a request.
        Ok(Zeroizing::new(format!("{}/#{}", self.0.guard.origin, &*code)))
    }

    /// Serves until it is dropped.
    pub async fn run(self, listener: TcpListener) -> Infallible {
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let mut connections = JoinSet::new();
        loop {
            while connections.try_join_next().is_some() {}
            let (socket, peer) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(_) => {
                    sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
            let server = self.clone();
            connections.spawn(async move {
                server.connection(socket, peer).await;
                drop(place);
            });
        }
    }

    async fn connection(self, socket: TcpStream, peer: SocketAddr) {
        let Ok(here) = socket.local_addr() else { return };
        let whose = (self.0.whose)(peer, here);
        // Nothing is read of another user of this computer.
        if whose == Peer::Other {
            return;
        }
        let serve = service_fn(move |request| {
            let server = self.clone();
            async move { Ok::<_, Infallible>(server.answer(request, whose).await) }
        });
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME).max_buf_size(HEAD_BYTES_MAX);
        // A browser that drops a connection is told nothing.
        let _ = http.serve_connection(TokioIo::new(socket), serve).await;
    }

    async fn answer(self, request: Request<Incoming>, whose: Peer) -> Answer {
        match self.take(request, whose).await {
            Ok(answer) => answer,
            Err(refusal) => body::refuse(&refusal),
        }
    }

    async fn take(&self, request: Request<Incoming>, whose: Peer) -> Result<Answer, Refusal> {
        let (parts, incoming) = request.into_parts();
        match self.0.guard.judge(&parts)? {
            Target::File(path) => match assets::asset(path) {
                Some(asset) => Ok(body::text(StatusCode::OK, asset.kind, asset.bytes)),
                None => Err(Refusal(StatusCode::NOT_FOUND, "there is nothing here")),
            },
            Target::Enter(code) => {
                read_json(incoming).await?;
                self.enter(code, whose)
            }
            Target::Stream(key) => {
                self.knows(key)?;
                read_json(incoming).await?;
                self.stream()
            }
            Target::Act(key) => {
                self.knows(key)?;
                let act = read_json(incoming).await?;
                match self.0.asked.try_send(Asked::Act(act)) {
                    Ok(()) => Ok(body::text(StatusCode::ACCEPTED, "application/json", "{}")),
                    Err(_) => Err(Refusal(
                        StatusCode::TOO_MANY_REQUESTS,
                        "too much waits; nothing was done",
                    )),
                }
            }
        }
    }

    fn knows(&self, key: &str) -> Result<(), Refusal> {
        match lock(&self.0.gate).knows(key) {
            true => Ok(()),
            false => Err(Refusal(StatusCode::UNAUTHORIZED, "this key opens nothing")),
        }
    }

    /// Exchanges a code for a key. Where the system does not say who asks, a person compares words first.
    fn enter(&self, code: &str, whose: Peer) -> Result<Answer, Refusal> {
        match lock(&self.0.gate).redeem(code, Instant::now()) {
            Ok(()) => {}
            Err(Refused::Late) => {
                return Err(Refusal(StatusCode::GONE, "this link was good for a minute"));
            }
            Err(Refused::Unknown) => {
                return Err(Refusal(
                    StatusCode::UNAUTHORIZED,
                    "this link was used, or there is a newer one",
                ));
            }
        }
        let (feed, lines) = Feed::new(0, ());
        if whose == Peer::Ours {
            self.admit(&feed)?;
        } else {
            let words = words::three().map_err(no_randomness)?;
            let (agree, agreed) = oneshot::channel();
            feed.tell(json!({ "words": words }).to_string());
            self.0.asked.try_send(Asked::Words { words, agree }).map_err(|_| {
                Refusal(StatusCode::TOO_MANY_REQUESTS, "too much waits; nothing was done")
            })?;
            let server = self.clone();
            tokio::spawn(async move {
                // An answer that does not come in time is none.
                if matches!(timeout(CODE_LIFE, agreed).await, Ok(Ok(true))) {
                    let _ = server.admit(&feed);
                }
                feed.end();
            });
        }
        Ok(body::answer(StatusCode::OK, JSON_LINES, lines))
    }

    fn admit(&self, feed: &Feed) -> Result<(), Refusal> {
        let key = lock(&self.0.gate).admit().map_err(no_randomness)?;
        // The page before this one has no key any more, so it has no stream either.
        if let (Some(before), _) = &mut *lock(&self.0.open) {
            over(before);
        }
        feed.tell(json!({ "key": *key }).to_string());
        feed.end();
        Ok(())
    }

    fn stream(&self) -> Result<Answer, Refusal> {
        let mut open = lock(&self.0.open);
        open.1 += 1;
        let number = open.1;
        let (feed, lines) = Feed::new(number, Gone(number, self.0.asked.clone()));
        self.0.asked.try_send(Asked::Opened(feed.clone())).map_err(|_| {
            Refusal(StatusCode::TOO_MANY_REQUESTS, "too much waits; nothing was done")
        })?;
        if let Some(before) = open.0.replace(feed) {
            over(&before);
        }
        Ok(body::answer(StatusCode::OK, JSON_LINES, lines))
    }
}

/// Ends the stream of an earlier page, which empties itself.
fn over(feed: &Feed) {
    feed.tell(json!("Elsewhere").to_string());
    feed.end();
}

async fn read_json(incoming: Incoming) -> Result<Bytes, Refusal> {
    let bytes = body::read(incoming).await?;
    match serde_json::from_slice::<serde::de::IgnoredAny>(&bytes) {
        Ok(_) => Ok(bytes),
        Err(_) => Err(Refusal(StatusCode::BAD_REQUEST, "the body is not JSON")),
    }
}

fn no_randomness(_: getrandom::Error) -> Refusal {
    Refusal(StatusCode::SERVICE_UNAVAILABLE, "the system gives no randomness")
}

fn lock<T>(value: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}
