//! Hostile input below the protocol: TLS, HTTP and WebSocket.

#![allow(clippy::unwrap_used, clippy::panic, clippy::cast_possible_truncation)]

mod common;

use common::*;
use futures_util::SinkExt as _;
use hearth_protocol::{
    ClientFrame, RejectCode, RoomId, ServerFrame, codec, error::close, limits::FRAME_BYTES_MAX,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    time::timeout,
};
use tokio_tungstenite::tungstenite::{Bytes, Message};

const UPGRADE: &str = "GET /v2 HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: hearth.v2\r\n";

async fn answer_to(relay: &TestRelay, request: &str) -> String {
    let mut stream = tls_connect(relay.address).await;
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    // The stream may end in a reset if the request was cut off.
    let _ = timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[tokio::test]
async fn plain_requests_get_a_body() {
    let relay = TestRelay::start().await;
    let answer = answer_to(&relay, "GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 426 "), "{answer}");
    assert!(answer.ends_with("\r\n\r\nUpgrade Required\n"), "{answer}");
    let long = format!("{UPGRADE}X: {}\r\n\r\n", "a".repeat(70 * 1024));
    let many = format!("{UPGRADE}{}\r\n", "X: y\r\n".repeat(125));
    let cases = [
        ("POST /v2 HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), 405),
        ("TRACE / HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), 405),
        ("CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.0\r\n\r\n".to_owned(), 505),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), 505),
        ("nonsense\r\n\r\n".to_owned(), 400),
        (format!("{UPGRADE}Origin: https://evil.example\r\n\r\n"), 403),
        (format!("{UPGRADE}Origin: null\r\n\r\n"), 403),
        (long, 431),
        (many, 431),
    ];
    for (request, status) in cases {
        let answer = answer_to(&relay, &request).await;
        let shown = &request[..request.len().min(60)];
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{shown:?}: {answer}");
    }
}

/// Each required line exactly once and valid (RFC 6455 section 4.2.1); the answer quotes nothing of the request.
#[tokio::test]
async fn wrong_opening_handshakes_get_their_status() {
    const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    const SECRET: &str = "a-token-in-the-wrong-place";
    let relay = TestRelay::start().await;
    let with = |from: &str, to: &str| format!("{}\r\n", UPGRADE.replacen(from, to, 1));
    let cases = [
        ("no key", with(KEY, ""), 400),
        ("a short key", with("dGhlIHNhbXBsZSBub25jZQ==", "c2hvcnQ="), 400),
        (
            "a key that is no base64",
            with("dGhlIHNhbXBsZSBub25jZQ==", "~~~~~~~~~~~~~~~~~~~~~~=="),
            400,
        ),
        ("two keys", with(KEY, &KEY.repeat(2)), 400),
        ("an older version", with("Version: 13", "Version: 8"), 426),
        ("no version", with("Sec-WebSocket-Version: 13\r\n", ""), 426),
        (
            "two versions",
            with("Version: 13\r\n", "Version: 13\r\nSec-WebSocket-Version: 13\r\n"),
            400,
        ),
        ("another subprotocol", with("hearth.v2", SECRET), 400),
        ("another place", with("/v2", &format!("/{SECRET}")), 404),
        ("a token in the query", with("/v2", &format!("/v2?token={SECRET}")), 400),
        ("a token in the method", with("GET", SECRET), 405),
        ("a body", with(KEY, &format!("{KEY}Content-Length: 9\r\n")), 400),
        ("two hosts", with("Host: localhost\r\n", "Host: localhost\r\nHost: other\r\n"), 400),
        ("no host", with("Host: localhost\r\n", ""), 400),
        ("a body in chunks", with(KEY, &format!("{KEY}Transfer-Encoding: chunked\r\n")), 400),
        ("a whole address", with("/v2", "https://localhost/v2"), 400),
        ("a bare line feed", with("Host: localhost\r\n", "Host: localhost\nX: y\r\n"), 400),
        ("a NUL", with("Host: localhost", "Host: local\0host"), 400),
    ];
    for (name, request, status) in cases {
        let answer = answer_to(&relay, &request).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{name}: {answer}");
        assert!(
            answer.contains("\r\nContent-Length: ") && answer.ends_with('\n'),
            "{name}: {answer}"
        );
        assert!(!answer.contains(SECRET), "{name}: {answer}");
        // RFC 6455 section 4.4: the answer to another version names the supported one.
        assert_eq!(answer.contains("Sec-WebSocket-Version: 13"), status == 426, "{name}: {answer}");
    }
    // The relay ignores a browser's cookies and sets none.
    let mut stream = tls_connect(relay.address).await;
    let request = format!("{UPGRADE}Cookie: session={SECRET}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(timeout(PATIENCE, stream.read_u8()).await.unwrap().unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    assert!(head.starts_with("HTTP/1.1 101 ") && !head.to_lowercase().contains("cookie"), "{head}");
}

/// A byte a second would never trigger a timeout between two bytes.
#[tokio::test]
async fn trickling_head_or_handshake_is_cut() {
    let relay = TestRelay::start().await;
    let mut head = tls_connect(relay.address).await;
    head.write_all(b"GET /v2 HTTP/1.1\r\nHost: localhost\r\nX: ").await.unwrap();
    let mut handshake = TcpStream::connect(relay.address).await.unwrap();
    // The start of a record of 512 bytes with a hello that never ends.
    handshake.write_all(&[22, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]).await.unwrap();
    tokio::time::pause();
    let begun = tokio::time::Instant::now();
    tokio::join!(trickle(head, begun), trickle(handshake, begun));
}

/// Sends a byte in every second of virtual time until the relay cuts the stream, which must happen in time.
async fn trickle(
    mut stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    begun: tokio::time::Instant,
) {
    let second = std::time::Duration::from_secs(1);
    for _ in 0..20 {
        // A cut stream may accept one more byte before it fails.
        let _ = stream.write_all(b"a").await;
        let _ = stream.flush().await;
        if let Ok(end) = timeout(second, stream.read(&mut [0])).await {
            assert!(!matches!(end, Ok(1)), "it is cut without an answer");
            let after = begun.elapsed().as_secs();
            assert!((9..=11).contains(&after), "{after}");
            return;
        }
    }
    panic!("it still listens");
}

#[tokio::test]
async fn stalled_head_or_handshake_is_cut() {
    let relay = TestRelay::start().await;
    let mut tls = tls_connect(relay.address).await;
    tls.write_all(b"GET /v2 HTTP/1.1\r\nHo").await.unwrap();
    let mut silent = TcpStream::connect(relay.address).await.unwrap();
    silent.write_all(&[22, 3, 1]).await.unwrap();
    // From here on, only time passes.
    tokio::time::pause();
    let begun = tokio::time::Instant::now();
    let mut bytes = Vec::new();
    let _ = tls.read_to_end(&mut bytes).await;
    let _ = silent.read_to_end(&mut bytes).await;
    assert!(bytes.is_empty());
    assert!(begun.elapsed() <= std::time::Duration::from_secs(11));
}

#[tokio::test]
async fn unproved_connection_is_closed_in_time() {
    let relay = TestRelay::start().await;
    let mut client = relay.connect().await;
    tokio::time::pause();
    assert_eq!(close_code(&mut client).await, Some(close::AUTH_TIMEOUT));
}

/// Garbage on the port ends the connection.
#[tokio::test]
async fn tls_uses_the_hybrid_group() {
    let relay = TestRelay::start().await;
    let mut stream = TcpStream::connect(relay.address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut bytes = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.unwrap();
    assert!(!bytes.starts_with(b"HTTP"));
    let tls = tls_connect(relay.address).await;
    let connection = tls.get_ref().1;
    let group = connection.negotiated_key_exchange_group().unwrap().name();
    assert_eq!(group, rustls::NamedGroup::X25519MLKEM768);
    assert_eq!(connection.protocol_version(), Some(rustls::ProtocolVersion::TLSv1_3));
}

/// A hello of TLS 1.2 (RFC 5246 section 7.4.1.2): no supported_versions, and one suite known to both sides.
#[tokio::test]
async fn older_tls_gets_its_alert() {
    const ALERT: u8 = 21;
    const PROTOCOL_VERSION: u8 = 70;
    let relay = TestRelay::start().await;
    for version in [[3, 0], [3, 1], [3, 2], [3, 3]] {
        let mut hello = version.to_vec();
        hello.extend([7; 32]);
        hello.extend([0, 0, 2, 0xc0, 0x2f, 1, 0]);
        // signature_algorithms and supported_groups, without which no suite could be chosen.
        hello.extend([0, 16, 0, 13, 0, 4, 0, 2, 4, 3, 0, 10, 0, 4, 0, 2, 0, 29]);
        let mut record = vec![22, 3, 1, 0, hello.len() as u8 + 4, 1, 0, 0, hello.len() as u8];
        record.extend(hello);
        let mut stream = TcpStream::connect(relay.address).await.unwrap();
        stream.write_all(&record).await.unwrap();
        let mut answer = Vec::new();
        timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap().unwrap();
        assert_eq!(answer.first(), Some(&ALERT), "{version:?}: {answer:?}");
        assert_eq!(answer.get(5..7), Some(&[2, PROTOCOL_VERSION][..]), "{version:?}: {answer:?}");
    }
}

/// Any observer can replay early data (RFC 8446 section 8), so the relay accepts none, with any ticket; and it issues no ticket, so
/// that nothing links two connections of a member.
#[tokio::test]
async fn early_data_and_resumption_are_refused() {
    use rustls::{HandshakeKind, ServerConfig};
    let relay = TestRelay::start().await;
    let mut config = tls_config();
    config.enable_early_data = true;
    let config = std::sync::Arc::new(config);
    // Another server at the same name issues a ticket that permits early data.
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut generous = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    generous.max_early_data_size = 16 * 1024;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let giver = listener.local_addr().unwrap();
    let giving = tokio::task::spawn_blocking(move || {
        use std::io::Write as _;
        let (mut socket, _) = listener.accept().unwrap();
        let mut server = rustls::ServerConnection::new(generous.into()).unwrap();
        while server.is_handshaking() {
            server.complete_io(&mut socket).unwrap();
        }
        server.writer().write_all(b"x").unwrap();
        server.complete_io(&mut socket).unwrap();
    });
    let taking = tokio::task::spawn_blocking(move || {
        let (mut taker, _, _) = talk(giver, &config, None);
        assert_eq!(taker.read_some(), b"x");
        assert!(taker.tls.tls13_tickets_received() > 0);
        // The relay does not know the ticket; it discards the early data, and a full handshake follows.
        let early = b"GET / HTTP/1.1\r\nHost: early\r\n\r\n";
        let (mut stream, offered, kind) = talk(relay.address, &config, Some(early));
        assert!(offered, "the ticket was of no use");
        assert!(!stream.tls.is_early_data_accepted());
        assert_eq!(kind, HandshakeKind::Full);
        let answer = stream.ask(b"POST /v2 HTTP/1.1\r\nHost: x\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
        assert!(!answer.contains("HTTP/1.1 426"), "{answer}");
        assert_eq!(stream.tls.tls13_tickets_received(), 0);
        // A second connection has nothing to resume either.
        let fresh = std::sync::Arc::new(tls_config());
        for _ in 0..2 {
            let (mut stream, _, kind) = talk(relay.address, &fresh, None);
            stream.ask(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
            assert_eq!(kind, HandshakeKind::Full);
            assert_eq!(stream.tls.tls13_tickets_received(), 0);
        }
    });
    timeout(PATIENCE, giving).await.unwrap().unwrap();
    timeout(PATIENCE, taking).await.unwrap().unwrap();
}

/// A blocking TLS client, for control of early data.
struct Talk {
    tls: rustls::ClientConnection,
    socket: std::net::TcpStream,
}

/// Performs the handshake, with early data if there is some and a ticket allows it; returns whether it was sent.
fn talk(
    address: std::net::SocketAddr,
    config: &std::sync::Arc<rustls::ClientConfig>,
    early: Option<&[u8]>,
) -> (Talk, bool, rustls::HandshakeKind) {
    use std::io::Write as _;
    let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
    let mut tls = rustls::ClientConnection::new(config.clone(), name).unwrap();
    let mut socket = std::net::TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut offered = false;
    if let (Some(bytes), Some(mut writer)) = (early, tls.early_data()) {
        writer.write_all(bytes).unwrap();
        offered = true;
    }
    while tls.is_handshaking() {
        tls.complete_io(&mut socket).unwrap();
    }
    let kind = tls.handshake_kind().unwrap();
    (Talk { tls, socket }, offered, kind)
}

impl Talk {
    fn read_some(&mut self) -> Vec<u8> {
        use std::io::Read as _;
        let mut bytes = [0; 1024];
        let read = rustls::Stream::new(&mut self.tls, &mut self.socket).read(&mut bytes).unwrap();
        bytes[..read].to_vec()
    }

    fn ask(&mut self, request: &[u8]) -> String {
        use std::io::{Read as _, Write as _};
        let mut stream = rustls::Stream::new(&mut self.tls, &mut self.socket);
        stream.write_all(request).unwrap();
        let mut answer = Vec::new();
        // A socket that is closed below TLS also ends the answer here.
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8(answer).unwrap()
    }
}

async fn close_code(client: &mut Client) -> Option<u16> {
    use futures_util::StreamExt as _;
    loop {
        match client.stream.next().await {
            Some(Ok(Message::Close(Some(frame)))) => return Some(frame.code.into()),
            Some(Ok(_)) => {}
            _ => return None,
        }
    }
}

#[tokio::test]
async fn text_and_malformed_frames_close_connection() {
    let relay = TestRelay::start().await;
    let mut client = relay.connect().await;
    client.stream.send(Message::Text("hello".into())).await.unwrap();
    assert_eq!(close_code(&mut client).await, Some(close::UNSUPPORTED));
    let mut nested = vec![0x82, 0x06];
    nested.extend([0x81; 10_000]);
    for bytes in [vec![], vec![0xff; 40], vec![0x82, 0x18, 0xff, 0x80], nested] {
        let mut client = relay.connect().await;
        client.stream.send(Message::Binary(bytes.into())).await.unwrap();
        assert!(matches!(client.hear().await, ServerFrame::Reject { req: 0, .. }));
        assert_eq!(close_code(&mut client).await, Some(close::PROTOCOL));
    }
}

/// An answer with the number 0 would answer no request.
#[tokio::test]
async fn request_number_zero_is_refused() {
    let relay = TestRelay::start().await;
    let room = RoomId([1; 16]);
    let asks = codec::encode_client(&ClientFrame::Status { req: 0, room });
    // Also of a later version.
    for bytes in [asks, vec![0x82, 0x18, 0x1e, 0x81, 0x00]] {
        let mut client = relay.connect().await;
        client.stream.send(Message::Binary(bytes.into())).await.unwrap();
        let answer = client.hear().await;
        assert!(matches!(answer, ServerFrame::Reject { req: 0, code: RejectCode::BadFrame, .. }));
        assert_eq!(close_code(&mut client).await, Some(close::PROTOCOL));
    }
}

#[tokio::test]
async fn excess_pings_close_the_connection() {
    let relay = TestRelay::start().await;
    let mut client = relay.connect().await;
    for _ in 0..20 {
        if client.stream.send(Message::Ping(Bytes::new())).await.is_err() {
            break;
        }
    }
    assert_eq!(close_code(&mut client).await, Some(close::RATE));
}

#[tokio::test]
async fn unasked_pongs_close_the_connection() {
    let relay = TestRelay::start().await;
    let mut client = relay.connect().await;
    for _ in 0..20 {
        if client.stream.send(Message::Pong(Bytes::new())).await.is_err() {
            break;
        }
    }
    assert_eq!(close_code(&mut client).await, Some(close::RATE));
}

/// Endless fragments and TLS key updates are not frames, so the frame rate does not count them.
#[tokio::test]
async fn bytes_without_message_close_connection() {
    let relay = TestRelay::start().await;
    let mut fragments = raw(&relay).await;
    let begin = frame(0x02, b"");
    let go_on = frame(0x00, b"").repeat(1000);
    let mut sent = begin.len();
    let flood = async {
        fragments.write_all(&begin).await?;
        loop {
            fragments.write_all(&go_on).await?;
            fragments.flush().await?;
            sent += go_on.len();
            if sent > 64 << 20 {
                return Ok::<(), std::io::Error>(());
            }
        }
    };
    assert!(timeout(PATIENCE, flood).await.unwrap().is_err(), "{sent} bytes were taken");

    let mut keys = raw(&relay).await;
    let flood = async {
        for _ in 0..1_000_000 {
            keys.get_mut().1.refresh_traffic_keys().map_err(std::io::Error::other)?;
            keys.write_all(b"").await?;
            keys.flush().await?;
        }
        Ok::<(), std::io::Error>(())
    };
    assert!(timeout(PATIENCE, flood).await.unwrap().is_err(), "a million keys were taken");
    // Complete frames may go on without a limit.
    let mut whole = relay.connect().await;
    let room = RoomId([0; 16]);
    for _ in 0..5_000 {
        let req = whole.req();
        let answer = whole.ask(ClientFrame::Status { req, room }).await;
        assert!(matches!(answer, ServerFrame::Reject { .. }));
    }
}

/// Opens a WebSocket and returns the stream below it.
async fn raw(relay: &TestRelay) -> TlsStream {
    let mut stream = tls_connect(relay.address).await;
    stream.write_all(format!("{UPGRADE}\r\n").as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(timeout(PATIENCE, stream.read_u8()).await.unwrap().unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert!(head.contains("Sec-WebSocket-Protocol: hearth.v2\r\n"));
    assert!(!head.to_lowercase().contains("extensions"));
    stream
}

/// A client's frame, masked with zeros.
fn frame(first: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match body.len() {
        len @ 0..126 => bytes.push(0x80 | len as u8),
        len => {
            bytes.push(0x80 | 127);
            bytes.extend((len as u64).to_be_bytes());
        }
    }
    bytes.extend([0; 4]);
    bytes.extend(body);
    bytes
}

#[tokio::test]
async fn broken_frames_get_their_close_code() {
    let relay = TestRelay::start().await;
    let announced = |len: u64| {
        let mut bytes = vec![0x82, 0x80 | 127];
        bytes.extend(len.to_be_bytes());
        bytes.extend([0; 4]);
        bytes
    };
    let mut fragments = frame(0x02, &vec![0; FRAME_BYTES_MAX / 2]);
    fragments.extend(frame(0x00, &vec![0; FRAME_BYTES_MAX / 2]));
    fragments.extend(frame(0x00, b"x"));
    let cases = [
        ("unmasked", vec![0x82, 1, 0], close::PROTOCOL),
        ("announces 17 MiB", announced(17 << 20), close::TOO_BIG),
        ("announces a byte too many", announced(FRAME_BYTES_MAX as u64 + 1), close::TOO_BIG),
        ("announces all of 63 bits", announced((1 << 63) - 1), close::TOO_BIG),
        ("announces 64 bits", announced(1 << 63), close::PROTOCOL),
        ("grows beyond by fragments", fragments, close::TOO_BIG),
        ("continues nothing", frame(0x80, b"x"), close::PROTOCOL),
        ("reserved bits", frame(0xc2, b"x"), close::PROTOCOL),
        ("reserved opcode", frame(0x83, b"x"), close::PROTOCOL),
        ("long ping", frame(0x89, &[0; 126]), close::PROTOCOL),
        ("fragmented ping", frame(0x09, b"x"), close::PROTOCOL),
        ("text", frame(0x81, b"x"), close::UNSUPPORTED),
        ("text that is no UTF-8", frame(0x81, b"\xff\xfe"), close::NOT_UTF8),
        ("a close with half a code", frame(0x88, &[3]), close::PROTOCOL),
        (
            "a close with a code that no one may send",
            frame(0x88, &1005_u16.to_be_bytes()),
            close::PROTOCOL,
        ),
        ("a close with a code below all", frame(0x88, &999_u16.to_be_bytes()), close::PROTOCOL),
        (
            "data between fragments",
            [frame(0x02, b"x"), frame(0x82, b"y")].concat(),
            close::PROTOCOL,
        ),
    ];
    for (name, bytes, expected) in cases {
        let mut stream = raw(&relay).await;
        // The relay may close before it has read everything.
        let _ = stream.write_all(&bytes).await;
        let mut reply = [0; 4];
        timeout(PATIENCE, stream.read_exact(&mut reply)).await.unwrap().unwrap();
        assert_eq!(reply[0], 0x88, "{name}");
        assert_eq!(u16::from_be_bytes([reply[2], reply[3]]), expected, "{name}");
    }
}

/// Returns whether a connection from an address reaches TLS: bytes that are not TLS are then answered with an alert.
async fn is_served(relay: &TestRelay, from: [u8; 4]) -> bool {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((from, 0).into()).unwrap();
    let mut stream = socket.connect(relay.address).await.unwrap();
    let mut answer = Vec::new();
    // The relay may cut it at once.
    let _ = stream.write_all(b"not a record of TLS").await;
    let _ = timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap();
    !answer.is_empty()
}

#[tokio::test]
async fn hasty_address_waits_a_second() {
    let relay = TestRelay::start_with(|config| config.connections_per_ip = 3).await;
    let (hasty, other) = ([127, 0, 0, 1], [127, 0, 0, 2]);
    let mut count = 0;
    while is_served(&relay, hasty).await {
        count += 1;
        assert!(count < 2_000, "served as often as it comes");
    }
    assert!(count >= 64, "{count}");
    assert!(is_served(&relay, other).await);
    let again = async { while !is_served(&relay, hasty).await {} };
    timeout(PATIENCE, again).await.unwrap();
}

#[tokio::test]
async fn connections_per_address_are_capped() {
    let relay = TestRelay::start_with(|config| config.connections_per_ip = 3).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(relay.connect().await);
    }
    let request = format!("{UPGRADE}X-Forwarded-For: 192.0.2.1\r\n\r\n");
    let answer = answer_to(&relay, &request).await;
    assert!(answer.starts_with("HTTP/1.1 429 "), "{answer}");
    drop(held.pop());
    // The place is free once the relay has seen the end.
    let again = async {
        loop {
            let mut stream = tls_connect(relay.address).await;
            stream.write_all(format!("{UPGRADE}\r\n").as_bytes()).await.unwrap();
            let mut start = [0; 12];
            stream.read_exact(&mut start).await.unwrap();
            if &start == b"HTTP/1.1 101" {
                break;
            }
        }
    };
    timeout(PATIENCE, again).await.unwrap();
}

#[tokio::test]
async fn trusted_proxy_addresses_count_separately() {
    let relay = TestRelay::start_with(|config| {
        config.connections_per_ip = 1;
        config.trust_forwarded = true;
    })
    .await;
    let mut held = Vec::new();
    // Only the last address is the proxy's; the client may have written those before it.
    let cases = [
        ("192.0.2.1", 101),
        ("192.0.2.2", 101),
        ("192.0.2.3, 192.0.2.1", 429),
        ("192.0.2.1, 192.0.2.4", 101),
        ("192.0.2.4", 429),
    ];
    for (forwarded, status) in cases {
        let mut stream = tls_connect(relay.address).await;
        let request = format!("{UPGRADE}X-Forwarded-For: {forwarded}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut start = [0; 12];
        timeout(PATIENCE, stream.read_exact(&mut start)).await.unwrap().unwrap();
        assert_eq!(start, *format!("HTTP/1.1 {status}").as_bytes(), "{forwarded}");
        held.push(stream);
    }
}

#[tokio::test]
async fn excess_frames_are_paced_not_lost() {
    let relay = TestRelay::start_with(|config| {
        config.frames_per_second = 200;
        config.frames_burst = 5;
    })
    .await;
    let mut client = relay.connect().await;
    let begun = std::time::Instant::now();
    for req in 1..45 {
        client.say(&ClientFrame::Status { req, room: RoomId([0; 16]) }).await;
    }
    for expected in 1..45 {
        let ServerFrame::Reject { req, .. } = client.hear().await else { panic!() };
        assert_eq!(req, expected);
    }
    // The hello and four frames at once, then one every five milliseconds.
    assert!(begun.elapsed() >= std::time::Duration::from_millis(190));
}

#[tokio::test]
async fn allowed_origin_may_connect() {
    let relay = TestRelay::start_with(|config| {
        config.allow_origin = vec!["https://good.example".to_owned()];
    })
    .await;
    let mut stream = tls_connect(relay.address).await;
    let request = format!("{UPGRADE}Origin: https://good.example\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut start = [0; 12];
    timeout(PATIENCE, stream.read_exact(&mut start)).await.unwrap().unwrap();
    assert_eq!(&start, b"HTTP/1.1 101");
}

#[tokio::test]
async fn stuck_reader_is_cut_delaying_nobody() {
    let relay = TestRelay::start().await;
    let mut room = TestRoom::open(&relay).await;
    let mut stuck = relay.connect().await;
    stuck.enter(room.id, &room.key).await;
    stuck.subscribe(room.id, 0).await;
    let mut reader = relay.connect().await;
    reader.enter(room.id, &room.key).await;
    reader.subscribe(room.id, 0).await;
    // More than the kernel buffers for the stuck reader.
    let body = vec![7; 100 * 1024];
    for _ in 0..150 {
        let payload = message(room.id, 0, 1, &body);
        accepted(&room.founder.submit(room.id, payload, vec![]).await);
    }
    assert_eq!(reader.entries_to(150).await.len(), 150);
    let connections = |text: String| {
        let line = text.lines().find(|l| l.starts_with("hearthd_connections ")).unwrap();
        line.rsplit(' ').next().unwrap().parse::<u32>().unwrap()
    };
    assert_eq!(connections(relay.admin("/metrics").await), 3);
    tokio::time::pause();
    tokio::time::advance(std::time::Duration::from_secs(31)).await;
    tokio::time::resume();
    let cut = async { while connections(relay.admin("/metrics").await) != 2 {} };
    timeout(PATIENCE, cut).await.unwrap();
    room.say("the others go on").await;
    assert_eq!(reader.entries_to(151).await.len(), 1);
}

/// A half-open connection: the peer is gone, and no packet announces it.
#[tokio::test]
async fn silent_peer_is_pinged_then_cut() {
    use futures_util::StreamExt as _;
    let relay = TestRelay::start().await;
    let room = TestRoom::open(&relay).await;
    let mut polite = relay.connect().await;
    polite.enter(room.id, &room.key).await;
    // Reading answers the pings. The founder no longer reads.
    let reading = tokio::spawn(async move {
        let mut pings = 0;
        while let Some(Ok(message)) = polite.stream.next().await {
            pings += u32::from(matches!(message, Message::Ping(_)));
            if pings == 3 {
                break;
            }
        }
        (pings, polite)
    });
    tokio::time::pause();
    let (pings, mut polite) = reading.await.unwrap();
    assert_eq!(pings, 3, "after 30, 60 and 90 seconds");
    tokio::time::advance(std::time::Duration::from_secs(1)).await;
    tokio::time::resume();
    let alone =
        async { while !relay.admin("/metrics").await.contains("\nhearthd_connections 1\n") {} };
    timeout(PATIENCE, alone).await.unwrap();
    polite.status(room.id).await;
}

#[tokio::test]
async fn operator_sees_health_and_sums() {
    let relay = TestRelay::start().await;
    let mut room = TestRoom::open(&relay).await;
    room.say("one").await;
    assert!(relay.admin("/healthz").await.starts_with("HTTP/1.1 200 "));
    assert!(relay.admin("/readyz").await.starts_with("HTTP/1.1 200 "));
    assert!(relay.admin("/else").await.starts_with("HTTP/1.1 404 "));
    let metrics = relay.admin("/metrics").await;
    assert!(metrics.contains("\nhearthd_entries_appended_total 1\n"), "{metrics}");
    assert!(!metrics.contains(&room.id.to_hex()));
    // T27: sums over the whole relay. The only labels are a refusal's code and a bound of the histogram.
    let labels = metrics.split('{').skip(1).filter_map(|rest| rest.split_once("=\""));
    let names: std::collections::BTreeSet<&str> = labels.map(|(name, _)| name).collect();
    assert_eq!(names.into_iter().collect::<Vec<_>>(), ["code", "le"], "{metrics}");
}
