//! A relay on a free port, and clients that speak only the wire protocol.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_possible_truncation
)]

use std::{
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use ed25519_dalek::SigningKey;
use futures_util::{SinkExt as _, StreamExt as _};
use hearth_protocol::{
    BlobId, ClientFrame, Commitment, Digest, Effect, Entry, Epoch, MemberKey, MessageId, Millis,
    RejectCode, RelayId, Role, RoomId, RoomNumbers, Secret32, Seq, ServerFrame, Signature, codec,
    frame::{AckTriple, RoomStatus, Standing},
    handshake::{self, AuthContext},
    hash, invite,
    limits::{PATH, PROTOCOL_VERSION, SUBPROTOCOL},
    mls_header::MARK,
};
use hearth_server::{Clock, Config, Relay};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::oneshot,
    task::JoinHandle,
    time::timeout,
};
use tokio_tungstenite::{WebSocketStream, tungstenite::Message};

/// Timeout of a test for an expected event.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A stream of any kind.
pub trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// A running relay; stopped on request, or when its runtime ends.
pub struct TestRelay {
    pub address: SocketAddr,
    pub admin: SocketAddr,
    pub id: RelayId,
    pub clock: Arc<AtomicU64>,
    pub dir: tempfile::TempDir,
    stop: Option<oneshot::Sender<()>>,
    task: Option<JoinHandle<()>>,
}

/// 2026-11-23T00:00Z, a Monday.
pub const START: u64 = 1_795_392_000_000;

impl TestRelay {
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub async fn start_with(set: impl FnOnce(&mut Config)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self::start_in(dir, Arc::new(AtomicU64::new(START)), set).await
    }

    pub async fn start_in(
        dir: tempfile::TempDir,
        clock: Arc<AtomicU64>,
        set: impl FnOnce(&mut Config),
    ) -> Self {
        let mut config = Config::new(dir.path());
        config.listen = SocketAddr::from(([127, 0, 0, 1], 0));
        config.admin_listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let time = clock.clone();
        config.clock = Clock::from_fn(move || Millis(time.load(Ordering::Relaxed)));
        config.connections_per_ip = 1000;
        config.frames_per_second = 10_000;
        config.frames_burst = 10_000;
        set(&mut config);
        let relay = Relay::bind(config).await.unwrap();
        let (address, admin, id) = (relay.local_addr(), relay.admin_addr(), relay.id());
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            relay
                .run(async {
                    let _ = stopped.await;
                })
                .await;
        });
        Self { address, admin, id, clock, dir, stop: Some(stop), task: Some(task) }
    }

    /// Stops the relay and returns its data directory.
    pub async fn stop(mut self) -> (tempfile::TempDir, Arc<AtomicU64>) {
        drop(self.stop.take());
        timeout(PATIENCE, self.task.take().unwrap()).await.unwrap().unwrap();
        (self.dir, self.clock)
    }

    pub async fn restart(self) -> Self {
        let (dir, clock) = self.stop().await;
        Self::start_in(dir, clock, |_| {}).await
    }

    pub fn advance(&self, millis: u64) {
        self.clock.fetch_add(millis, Ordering::Relaxed);
    }

    pub fn now(&self) -> u64 {
        self.clock.load(Ordering::Relaxed)
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn grant(&self) -> Secret32 {
        self.grant_for(1, 50)
    }

    pub fn grant_for(&self, rooms: u32, members: u32) -> Secret32 {
        let terms = hearth_server::Grant { rooms, members, expires: Millis::NEVER, url: None };
        let link = hearth_server::grant(self.dir.path(), &terms).unwrap();
        invite::Grant::parse(&link).unwrap().secret
    }

    pub async fn connect(&self) -> Client {
        let mut client = self.connect_silent().await;
        client.greet().await;
        client
    }

    /// Connects from another address of this computer.
    pub async fn connect_from(&self, from: SocketAddr) -> Client {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(from).unwrap();
        let stream = tls_over(socket.connect(self.address).await.unwrap()).await;
        let mut client = Client::open(stream, self.id).await;
        client.greet().await;
        client
    }

    /// Connects without a hello.
    pub async fn connect_silent(&self) -> Client {
        let stream = tls_connect(self.address).await;
        Client::open(stream, self.id).await
    }

    /// Asks the admin listener for a page and returns the whole answer.
    pub async fn admin(&self, path: &str) -> String {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let mut stream = TcpStream::connect(self.admin).await.unwrap();
        stream.write_all(format!("GET {path} HTTP/1.1\r\n\r\n").as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text
    }
}

pub fn tls_config() -> rustls::ClientConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anyone))
        .with_no_client_auth()
}

pub type TlsStream = tokio_rustls::client::TlsStream<TcpStream>;

pub async fn tls_connect(address: SocketAddr) -> TlsStream {
    tls_over(TcpStream::connect(address).await.unwrap()).await
}

pub async fn tls_over(stream: TcpStream) -> TlsStream {
    let connector = tokio_rustls::TlsConnector::from(Arc::new(tls_config()));
    let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
    connector.connect(name, stream).await.unwrap()
}

/// Accepts any certificate, because these tests examine the protocol and not the server's identity.
#[derive(Debug)]
struct Anyone;

impl rustls::client::danger::ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &[rustls::pki_types::CertificateDer<'_>],
        _: &rustls::pki_types::ServerName<'_>,
        _: &[u8],
        _: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.2".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        rustls::crypto::aws_lc_rs::default_provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// A member's key and a connection.
pub struct Client {
    pub stream: WebSocketStream<Box<dyn Io>>,
    pub challenge: Digest,
    pub relay: RelayId,
    pub channel: [u8; 32],
    next: u32,
    /// Frames that answer no request, in order.
    pub events: std::collections::VecDeque<ServerFrame>,
}

pub fn request() -> tokio_tungstenite::tungstenite::handshake::client::Request {
    use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
    let mut request = format!("wss://localhost{PATH}").into_client_request().unwrap();
    request.headers_mut().insert("Sec-WebSocket-Protocol", SUBPROTOCOL.parse().unwrap());
    request
}

impl Client {
    pub async fn open(stream: TlsStream, relay: RelayId) -> Self {
        let channel = stream
            .get_ref()
            .1
            .export_keying_material([0; 32], handshake::CHANNEL_BINDING_LABEL, None)
            .unwrap();
        let io: Box<dyn Io> = Box::new(stream);
        let (stream, _) = tokio_tungstenite::client_async(request(), io).await.unwrap();
        let events = std::collections::VecDeque::new();
        Self { stream, challenge: Digest([0; 32]), relay, channel, next: 0, events }
    }

    pub async fn greet(&mut self) {
        self.say(&ClientFrame::Hello { versions: vec![PROTOCOL_VERSION] }).await;
        match self.hear().await {
            ServerFrame::Hello { version: PROTOCOL_VERSION, relay, challenge, .. } => {
                assert_eq!(relay, self.relay);
                self.challenge = challenge;
            }
            other => panic!("{other:?}"),
        }
    }

    pub fn req(&mut self) -> u32 {
        self.next += 1;
        self.next
    }

    pub async fn say(&mut self, frame: &ClientFrame) {
        self.stream.send(Message::Binary(codec::encode_client(frame).into())).await.unwrap();
    }

    /// Returns the next frame, or `None` when the relay closed.
    pub async fn next_frame(&mut self) -> Option<ServerFrame> {
        loop {
            let message = timeout(PATIENCE, self.stream.next()).await.expect("nothing came");
            match message {
                Some(Ok(Message::Binary(bytes))) => {
                    return Some(codec::decode_server(&bytes).unwrap());
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(_) | Err(_)) | None => return None,
            }
        }
    }

    pub async fn hear(&mut self) -> ServerFrame {
        self.next_frame().await.expect("the relay closed")
    }

    /// Sends a request and returns its answer; what comes in between is kept as events.
    pub async fn ask(&mut self, frame: ClientFrame) -> ServerFrame {
        self.say(&frame).await;
        self.answer().await
    }

    pub async fn answer(&mut self) -> ServerFrame {
        loop {
            match self.hear().await {
                event @ (ServerFrame::Entries { .. } | ServerFrame::Notice { .. }) => {
                    self.events.push_back(event);
                }
                answer => return answer,
            }
        }
    }

    pub async fn event(&mut self) -> ServerFrame {
        match self.events.pop_front() {
            Some(event) => event,
            None => self.hear().await,
        }
    }

    /// Returns entries until one with this seq.
    pub async fn entries_to(&mut self, seq: u64) -> Vec<Entry> {
        let mut all = Vec::new();
        while all.last().is_none_or(|entry: &Entry| entry.seq.0 < seq) {
            if let ServerFrame::Entries { entries, .. } = self.event().await {
                all.extend(entries);
            }
        }
        all
    }

    pub fn sign(&self, room: &RoomId, key: &SigningKey) -> Signature {
        let member = key_of(key);
        let context = AuthContext {
            challenge: &self.challenge,
            relay: &self.relay,
            channel: &self.channel,
            room,
            member: &member,
        };
        handshake::sign(key, &handshake::auth_transcript(&context))
    }

    pub async fn authenticate(&mut self, room: RoomId, key: &SigningKey) -> ServerFrame {
        let req = self.req();
        let signature = self.sign(&room, key);
        self.ask(ClientFrame::Authenticate { req, room, member: key_of(key), signature }).await
    }

    pub async fn enter(&mut self, room: RoomId, key: &SigningKey) -> Standing {
        match self.authenticate(room, key).await {
            ServerFrame::Authenticated { standing, .. } => standing,
            other => panic!("{other:?}"),
        }
    }

    pub async fn open_room(
        &mut self,
        room: RoomId,
        key: &SigningKey,
        grant: Secret32,
        numbers: RoomNumbers,
    ) -> ServerFrame {
        let req = self.req();
        let signature = self.sign(&room, key);
        let member = key_of(key);
        let agreement = AGREEMENT;
        self.ask(ClientFrame::OpenRoom { req, room, member, signature, grant, numbers, agreement })
            .await
    }

    pub async fn subscribe(&mut self, room: RoomId, after: u64) -> ServerFrame {
        let req = self.req();
        self.ask(ClientFrame::Subscribe { req, room, after: Seq(after) }).await
    }

    pub async fn status(&mut self, room: RoomId) -> RoomStatus {
        let req = self.req();
        match self.ask(ClientFrame::Status { req, room }).await {
            ServerFrame::Status { status, .. } => *status,
            other => panic!("{other:?}"),
        }
    }

    pub async fn submit(
        &mut self,
        room: RoomId,
        payload: Vec<u8>,
        effects: Vec<Effect>,
    ) -> ServerFrame {
        let id = random_id();
        self.submit_as(room, id, payload, effects).await
    }

    pub async fn submit_as(
        &mut self,
        room: RoomId,
        id: MessageId,
        payload: Vec<u8>,
        effects: Vec<Effect>,
    ) -> ServerFrame {
        let req = self.req();
        self.ask(ClientFrame::Submit {
            req,
            room,
            id,
            payload,
            expect: None,
            effects,
            after: Seq(0),
        })
        .await
    }

    pub async fn knock(
        &mut self,
        room: RoomId,
        key: &SigningKey,
        token: &Secret32,
        acknowledgement: AckTriple,
    ) -> ServerFrame {
        let req = self.req();
        let signature = self.sign(&room, key);
        self.ask(ClientFrame::Knock {
            req,
            room,
            member: key_of(key),
            signature,
            token: token.clone(),
            acknowledgement,
            body: b"sealed knock".to_vec(),
        })
        .await
    }

    pub async fn put_blob(&mut self, room: RoomId, bytes: &[u8]) -> BlobId {
        let blob = BlobId(hash::sha256(bytes).0);
        for (index, part) in bytes.chunks(90_000).enumerate() {
            let req = self.req();
            let answer = self
                .ask(ClientFrame::PutBlob {
                    req,
                    room,
                    blob,
                    total: bytes.len() as u32,
                    offset: (index * 90_000) as u32,
                    part: part.to_vec(),
                })
                .await;
            assert!(matches!(answer, ServerFrame::Done { .. }), "{answer:?}");
        }
        blob
    }
}

pub const AGREEMENT: Commitment = Commitment([0xa1; 32]);

pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).unwrap();
    bytes
}

pub fn random_id() -> MessageId {
    MessageId(random())
}

pub fn key() -> SigningKey {
    SigningKey::from_bytes(&random())
}

pub fn key_of(key: &SigningKey) -> MemberKey {
    MemberKey(key.verifying_key().to_bytes())
}

/// An MLS PrivateMessage as far as a relay can parse it.
pub fn message(room: RoomId, epoch: u64, content: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 1, 0, 2, 16];
    bytes.extend(room.0);
    bytes.extend(epoch.to_be_bytes());
    bytes.extend([content, 0]);
    bytes.extend(body);
    bytes
}

/// The same for an own retraction or a departure.
pub fn marked(room: RoomId, epoch: u64, bytes: usize) -> Vec<u8> {
    let mut payload = message(room, epoch, 1, b"");
    payload.pop();
    payload.extend([1, MARK[0]]);
    payload.resize(bytes, 0x5a);
    payload
}

/// Returns whether an effect needs a commit.
pub fn needs_commit(effect: &Effect) -> bool {
    matches!(
        effect,
        Effect::Admit { .. }
            | Effect::Remove { .. }
            | Effect::SetRole { .. }
            | Effect::SetNumbers { .. }
            | Effect::Timeout { .. }
            | Effect::Retract { own: None, .. }
            | Effect::SetAgreement { .. }
    )
}

/// Returns whether an effect needs a marked entry.
pub fn needs_mark(effect: &Effect) -> bool {
    matches!(effect, Effect::Leave | Effect::Retract { own: Some(_), .. })
}

pub fn text(room: RoomId, epoch: u64, body: &str) -> Vec<u8> {
    message(room, epoch, 1, body.as_bytes())
}

pub fn commit(room: RoomId, epoch: u64) -> Vec<u8> {
    message(room, epoch, 3, &random::<16>())
}

pub fn acknowledge(room: RoomId, key: &SigningKey, agreement: Commitment) -> AckTriple {
    let digest = hash::sha256(&key_of(key).0);
    let transcript = handshake::knock_transcript(&room, &key_of(key), &agreement, &digest);
    AckTriple { agreement, digest, signature: handshake::sign(key, &transcript) }
}

pub fn code(frame: &ServerFrame) -> RejectCode {
    match frame {
        ServerFrame::Reject { code, .. } => *code,
        other => panic!("{other:?}"),
    }
}

pub fn accepted(frame: &ServerFrame) -> Seq {
    match frame {
        ServerFrame::Accepted { seq, .. } => *seq,
        other => panic!("{other:?}"),
    }
}

/// A room with a connected facilitator.
pub struct TestRoom {
    pub id: RoomId,
    pub key: SigningKey,
    pub founder: Client,
    pub epoch: u64,
}

/// A connected member.
pub struct TestMember {
    pub key: SigningKey,
    pub client: Client,
    pub joined: Seq,
}

impl TestRoom {
    pub async fn open(relay: &TestRelay) -> Self {
        Self::open_with(relay, RoomNumbers::default()).await
    }

    pub async fn open_with(relay: &TestRelay, numbers: RoomNumbers) -> Self {
        let (id, key) = (RoomId(random()), key());
        let mut founder = relay.connect().await;
        let answer = founder.open_room(id, &key, relay.grant(), numbers).await;
        assert!(matches!(answer, ServerFrame::Authenticated { .. }), "{answer:?}");
        Self { id, key, founder, epoch: 0 }
    }

    /// Makes an invite and returns its token.
    pub async fn invite(&mut self, uses: u32) -> Secret32 {
        let token = Secret32::new(random());
        let effect = self.invite_effect(&token, uses, Millis::NEVER);
        accepted(&self.founder.submit(self.id, vec![], vec![effect]).await);
        token
    }

    pub fn invite_effect(&self, token: &Secret32, uses: u32, expires: Millis) -> Effect {
        let invite = invite::invite_id(token);
        Effect::AddInvite { invite, uses, expires, preview: b"sealed preview".to_vec() }
    }

    /// Submits effects with the entry that they need.
    pub async fn act(&mut self, effects: Vec<Effect>) -> ServerFrame {
        if effects.iter().any(needs_commit) {
            return self.commit(effects).await;
        }
        let marks = effects.iter().any(needs_mark);
        let payload = if marks { marked(self.id, self.epoch, 900) } else { vec![] };
        self.founder.submit(self.id, payload, effects).await
    }

    /// Submits a commit with effects; the epoch advances if it is accepted.
    pub async fn commit(&mut self, effects: Vec<Effect>) -> ServerFrame {
        let payload = commit(self.id, self.epoch);
        let answer = self.founder.submit(self.id, payload, effects).await;
        if matches!(answer, ServerFrame::Accepted { .. }) {
            self.epoch += 1;
        }
        answer
    }

    pub async fn admit_effect(&mut self, key: &SigningKey, role: Role) -> Effect {
        let welcome = self.founder.put_blob(self.id, &random::<64>()).await;
        let acknowledgement = acknowledge(self.id, key, AGREEMENT).digest;
        Effect::Admit { member: key_of(key), role, welcome, acknowledgement }
    }

    /// Admits a new member, from invite to Welcome.
    pub async fn join(&mut self, relay: &TestRelay, role: Role) -> TestMember {
        let key = key();
        let token = self.invite(1).await;
        let mut client = relay.connect().await;
        let triple = acknowledge(self.id, &key, AGREEMENT);
        let answer = client.knock(self.id, &key, &token, triple).await;
        assert!(matches!(answer, ServerFrame::Authenticated { standing: Standing::Knocking, .. }));
        let admit = self.admit_effect(&key, role).await;
        let joined = accepted(&self.commit(vec![admit]).await);
        loop {
            if let ServerFrame::Notice {
                notice: hearth_protocol::frame::Notice::Standing(Standing::Member { .. }),
                ..
            } = client.event().await
            {
                break;
            }
        }
        TestMember { key, client, joined }
    }

    /// As [`Self::join`], at an epoch that the room did not follow.
    pub async fn join_at(&mut self, relay: &TestRelay, role: Role, epoch: u64) -> TestMember {
        self.epoch = epoch;
        self.join(relay, role).await
    }

    pub async fn say(&mut self, body: &str) -> Seq {
        let payload = text(self.id, self.epoch, body);
        accepted(&self.founder.submit(self.id, payload, vec![]).await)
    }

    pub fn epoch(&self) -> Epoch {
        Epoch(self.epoch)
    }
}
