//! What somebody would write in an afternoon: a WebSocket broadcast over the same TLS, with the libraries' defaults.
//!
//! It checks nobody. The first message of a connection names its room, and is echoed; every further one goes to
//! everybody there, its sender included. The naive one keeps nothing. The floor is the least that keeps a promise after a
//! power cut: one write and one fdatasync for each message before anybody gets it, and the sender's own copy says that it
//! is on disk.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, Seek as _, Write as _},
    sync::{Arc, Mutex},
};

use futures_util::{SinkExt as _, StreamExt as _};
use rustls::{
    ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{broadcast, mpsc},
};
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::tungstenite::{
    Bytes, Message,
    handshake::server::{Request, Response},
};

/// Messages that a slow reader may be behind before it loses some.
const CHANNEL: usize = 1024;

/// Messages that wait for the disk before their senders have to.
const WAITING: usize = 1024;
/// Bytes of the floor's log before it begins again at the start.
const LOG_BYTES: u64 = 16 << 20;

type Room = broadcast::Sender<Bytes>;
type Rooms = Arc<Mutex<HashMap<Vec<u8>, Room>>>;

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Baseline {
    /// Keeps nothing.
    Naive,
    /// Has every message on disk before it passes it on.
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
}

/// A file that is written round and round.
struct Log {
    file: File,
    at: u64,
}

impl Log {
    /// Makes one in the folder for temporary files; it goes with the process.
    fn new() -> io::Result<Self> {
        let mut file = tempfile::tempfile()?;
        // Overwriting what is there needs no commit of the file system's journal: a floor must not be too high.
        file.write_all(&vec![0; usize::try_from(LOG_BYTES).unwrap_or_default()])?;
        file.sync_all()?;
        file.rewind()?;
        Ok(Self { file, at: 0 })
    }

    fn append(&mut self, message: &[u8]) -> io::Result<()> {
        let length = message.len() as u64;
        if self.at + length > LOG_BYTES {
            self.file.rewind()?;
            self.at = 0;
        }
        self.file.write_all(message)?;
        self.at += length;
        self.file.sync_data()
    }
}

/// Where messages go from the socket.
#[derive(Clone)]
enum Way {
    ToAll,
    ByDisk(mpsc::Sender<(Room, Bytes)>),
}

impl Way {
    fn of(baseline: Baseline) -> Self {
        if baseline == Baseline::Naive {
            return Self::ToAll;
        }
        let (sender, mut waiting) = mpsc::channel::<(Room, Bytes)>(WAITING);
        let mut log = Log::new().unwrap();
        std::thread::spawn(move || {
            while let Some((room, message)) = waiting.blocking_recv() {
                log.append(&message).unwrap();
                // A room that everybody left needs nothing.
                let _ = room.send(message);
            }
        });
        Self::ByDisk(sender)
    }

    async fn send(
        &self,
        room: &Room,
        message: Bytes,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        match self {
            Self::ToAll => room.send(message).map(|_| ())?,
            Self::ByDisk(disk) => disk.send((room.clone(), message)).await?,
        }
        Ok(())
    }
}

/// Serves until it is killed; prints one line when it is ready.
pub fn serve(baseline: Baseline) {
    let way = Way::of(baseline);
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
        let mut out = io::stdout();
        writeln!(out, "{} ready wss://{}", baseline.name(), listener.local_addr().unwrap())
            .unwrap();
        out.flush().unwrap();
        let rooms = Rooms::default();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (acceptor, rooms, way) = (acceptor.clone(), rooms.clone(), way.clone());
            tokio::spawn(async move {
                // A connection that fails is over.
                let _ = Box::pin(connection(stream, acceptor, rooms, way)).await;
            });
        }
    });
}

async fn connection(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    rooms: Rooms,
    way: Way,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    stream.set_nodelay(true)?;
    let stream = acceptor.accept(stream).await?;
    #[expect(clippy::result_large_err, reason = "the library's own type")]
    let subprotocol = |_: &Request, mut response: Response| {
        response.headers_mut().insert("Sec-WebSocket-Protocol", "hearth.v2".parse().unwrap());
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
                    way.send(&sender, bytes).await?;
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
