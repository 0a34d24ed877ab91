//! What somebody would write in an afternoon: a WebSocket broadcast over the same TLS, with the libraries' defaults.
//!
//! It keeps nothing, checks nobody and acknowledges nothing. The first message of a connection names its room, and
//! is echoed; every further one goes to everybody there, its sender included.

use std::{
    collections::HashMap,
    io::Write as _,
    sync::{Arc, Mutex},
};

use futures_util::{SinkExt as _, StreamExt as _};
use rustls::{
    ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::broadcast,
};
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::tungstenite::{
    Bytes, Message,
    handshake::server::{Request, Response},
};

/// Messages that a slow reader may be behind before it loses some.
const CHANNEL: usize = 1024;

type Rooms = Arc<Mutex<HashMap<Vec<u8>, broadcast::Sender<Bytes>>>>;

/// Serves until it is killed; prints one line when it is ready.
pub fn serve() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let key = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let private = PrivatePkcs8KeyDer::from(key.signing_key.serialize_der());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![key.cert.der().clone()], PrivateKeyDer::Pkcs8(private))
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut out = std::io::stdout();
        writeln!(out, "naive ready wss://{}", listener.local_addr().unwrap()).unwrap();
        out.flush().unwrap();
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
        response.headers_mut().insert("Sec-WebSocket-Protocol", "hearth.v1".parse().unwrap());
        Ok(response)
    };
    let socket = tokio_tungstenite::accept_hdr_async(stream, subprotocol).await?;
    let (mut sink, mut source) = socket.split();
    let Some(first) = source.next().await else { return Ok(()) };
    let room = first?.into_data();
    let sender = rooms
        .lock()
        .unwrap()
        .entry(room.to_vec())
        .or_insert_with(|| broadcast::channel(CHANNEL).0)
        .clone();
    let mut receiver = sender.subscribe();
    sink.send(Message::Binary(room)).await?;
    loop {
        tokio::select! {
            message = source.next() => match message {
                Some(Ok(Message::Binary(bytes))) => {
                    sender.send(bytes)?;
                }
                Some(Ok(_)) => {}
                _ => return Ok(()),
            },
            received = receiver.recv() => match received {
                Ok(bytes) => sink.send(Message::Binary(bytes)).await?,
                // Lost: it is naive.
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return Ok(()),
            },
        }
    }
}
