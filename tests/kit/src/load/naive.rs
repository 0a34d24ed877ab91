//! The naive relay: a WebSocket broadcast over the same TLS with the libraries' defaults, written in an afternoon.
//!
//! Every socket has a writing task and an unbounded channel, as in the server among the examples of tokio-tungstenite.
//! It checks nobody and keeps nothing. The first message of a connection names its room and is echoed; every further one
//! goes to all connections of the room, the sender's own included.

use std::{
    collections::HashMap,
    io::{self, Write as _},
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use futures_util::{StreamExt as _, stream};
use rustls::{
    ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc::{UnboundedSender, unbounded_channel},
};
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::tungstenite::{
    Bytes, Message,
    handshake::server::{Request, Response},
};

use super::floor;

/// The channel of each socket in a room.
type Room = Arc<Mutex<Vec<UnboundedSender<Message>>>>;
type Rooms = Arc<Mutex<HashMap<Bytes, Room>>>;

/// What the relay is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Baseline {
    /// Keeps nothing.
    Naive,
    /// Has every message on disk before it passes the message on.
    Floor,
}

impl Baseline {
    /// Its name, also as an argument of `load`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Naive => "naive",
            Self::Floor => "floor",
        }
    }

    /// Serves until it is killed; prints one line when it is ready.
    pub fn serve(self) {
        match self {
            Self::Naive => serve(),
            Self::Floor => floor::serve().unwrap(),
        }
    }
}

/// Says where a baseline listens.
pub(super) fn announce(baseline: Baseline, address: SocketAddr) {
    let mut out = io::stdout();
    writeln!(out, "{} ready wss://{address}", baseline.name()).unwrap();
    out.flush().unwrap();
}

/// Returns TLS 1.3 with a certificate of its own.
pub(super) fn config() -> ServerConfig {
    let key = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let private = PrivatePkcs8KeyDer::from(key.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![key.cert.der().clone()], PrivateKeyDer::Pkcs8(private))
        .unwrap()
}

fn serve() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let acceptor = TlsAcceptor::from(Arc::new(config()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        announce(Baseline::Naive, listener.local_addr().unwrap());
        let rooms = Rooms::default();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (acceptor, rooms) = (acceptor.clone(), rooms.clone());
            tokio::spawn(async move {
                // A connection that fails is over.
                let _ = Box::pin(connection(stream, acceptor, rooms)).await;
            });
        }
    });
}

async fn connection(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    rooms: Rooms,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    stream.set_nodelay(true)?;
    let stream = acceptor.accept(stream).await?;
    #[expect(clippy::result_large_err, reason = "the library's own type")]
    let subprotocol = |_: &Request, mut response: Response| {
        response.headers_mut().insert("Sec-WebSocket-Protocol", "hearth.v2".parse().unwrap());
        Ok(response)
    };
    let socket = tokio_tungstenite::accept_hdr_async(stream, subprotocol).await?;
    let (sink, mut source) = socket.split();
    let Some(first) = source.next().await else { return Ok(()) };
    let first = first?;
    let (own, mut waiting) = unbounded_channel();
    tokio::spawn(stream::poll_fn(move |cx| waiting.poll_recv(cx)).map(Ok).forward(sink));
    let room = rooms.lock().unwrap().entry(first.clone().into_data()).or_default().clone();
    own.send(first)?;
    room.lock().unwrap().push(own.clone());
    while let Some(Ok(message)) = source.next().await {
        if message.is_binary() {
            // A channel whose socket is gone is left out below.
            room.lock().unwrap().iter().for_each(|other| drop(other.send(message.clone())));
        }
    }
    room.lock().unwrap().retain(|other| !other.same_channel(&own));
    Ok(())
}
