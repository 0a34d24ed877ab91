//! Against relays made up on the spot: honest, lying, foreign and silent ones.

use std::sync::Arc;

use futures_util::{SinkExt as _, StreamExt as _};
use hearth_protocol::{
    frame::{Notice, Role, Standing},
    hash,
    id::{Pin, Seq},
};
use rcgen::PublicKeyData as _;
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex},
    join,
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::{
    accept_hdr_async,
    tungstenite::handshake::server::{ErrorResponse, Request, Response},
};

use super::*;
use crate::network::Network;

async fn open(address: &RelayAddress) -> Result<Connection, ConnectError> {
    Connection::open(&Network::machine(), address).await
}

const RELAY: RelayId = RelayId([7; 32]);
const ROOM: RoomId = RoomId([3; 16]);
const CHALLENGE: Digest = Digest([5; 32]);

fn hello(relay: RelayId) -> ServerFrame {
    ServerFrame::Hello {
        version: PROTOCOL_VERSION,
        relay,
        challenge: CHALLENGE,
        now: Millis(1_000_000),
    }
}

fn notice() -> ServerFrame {
    ServerFrame::Notice { room: ROOM, notice: Notice::Knock }
}

fn entries() -> ServerFrame {
    ServerFrame::Entries { room: ROOM, entries: vec![], head: Seq(4) }
}

fn binary(frame: &ServerFrame) -> Message {
    Message::Binary(codec::encode_server(frame).into())
}

fn status(req: RequestId) -> ClientFrame {
    ClientFrame::Status { req, room: ROOM }
}

// The callback's type is tungstenite's.
#[expect(clippy::result_large_err, clippy::unnecessary_wraps)]
fn with_subprotocol(request: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
    assert_eq!(request.uri().path(), PATH);
    let offered = request.headers().get("sec-websocket-protocol").unwrap();
    assert_eq!(offered, SUBPROTOCOL);
    response.headers_mut().insert("sec-websocket-protocol", offered.clone());
    Ok(response)
}

async fn accept<S: AsyncRead + AsyncWrite + Unpin>(stream: S) -> WebSocketStream<S> {
    let mut socket = accept_hdr_async(stream, with_subprotocol).await.unwrap();
    let first = socket.next().await.unwrap().unwrap();
    let ClientFrame::Hello { versions } = codec::decode_client(&first.into_data()).unwrap() else {
        panic!("the first frame is no hello");
    };
    assert_eq!(versions, [PROTOCOL_VERSION]);
    socket
}

async fn next_request<S: AsyncRead + AsyncWrite + Unpin>(
    socket: &mut WebSocketStream<S>,
) -> ClientFrame {
    codec::decode_client(&socket.next().await.unwrap().unwrap().into_data()).unwrap()
}

struct TestCertificate {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
    pin: Pin,
}

fn certificate() -> TestCertificate {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let certificate = made.cert.der().clone();
    let pin = Pin(hash::sha256(&made.signing_key.subject_public_key_info()).0);
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    TestCertificate { certificate, key, pin }
}

fn acceptor(certificate: &TestCertificate) -> TlsAcceptor {
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.certificate.clone()], certificate.key.clone_key())
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let authority = listener.local_addr().unwrap().to_string();
    (listener, authority)
}

fn tls_address(authority: String, pin: Option<Pin>) -> RelayAddress {
    RelayAddress { authority, transport: Transport::Tls, relay: RELAY, pin }
}

fn plain_address(authority: &str) -> RelayAddress {
    RelayAddress {
        authority: authority.to_owned(),
        transport: Transport::Plain,
        relay: RELAY,
        pin: None,
    }
}

/// Opens a connection to a TLS server that answers every connection with fixed bytes, without TLS.
async fn open_against_raw(answer: &[u8]) -> ConnectError {
    let (listener, authority) = listen().await;
    let address = tls_address(authority, Some(Pin([0; 32])));
    let server = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = [0; 5];
        stream.read_exact(&mut head).await.unwrap();
        assert_eq!(head[0], 22, "the client must begin with a TLS handshake");
        stream.write_all(answer).await.unwrap();
        stream.shutdown().await.unwrap();
        let _ = stream.read_to_end(&mut Vec::new()).await;
    };
    let (opened, ()) = join!(open(&address), server);
    opened.unwrap_err()
}

/// Upgrades both ends of an in-memory pipe; virtual time stays exact.
async fn in_memory() -> (Connection, WebSocketStream<DuplexStream>) {
    let (near, far) = duplex(64 * 1024);
    let address = plain_address("localhost:1");
    let relay = async {
        let mut socket = accept(far).await;
        socket.send(binary(&hello(RELAY))).await.unwrap();
        socket
    };
    let (opened, socket) = join!(Connection::greet(&address, Box::new(near), [0; 32]), relay);
    (opened.unwrap(), socket)
}

#[tokio::test]
async fn the_pinned_key_opens_and_binds_the_channel() {
    let certificate = certificate();
    let (listener, authority) = listen().await;
    let address = tls_address(authority, Some(certificate.pin));
    let server = async {
        let (stream, _) = listener.accept().await.unwrap();
        let tls = acceptor(&certificate).accept(stream).await.unwrap();
        let group = tls.get_ref().1.negotiated_key_exchange_group().unwrap().name();
        assert_eq!(group, rustls::NamedGroup::X25519MLKEM768);
        let channel: ChannelBinding = tls
            .get_ref()
            .1
            .export_keying_material([0; 32], handshake::CHANNEL_BINDING_LABEL, None)
            .unwrap();
        let mut socket = accept(tls).await;
        socket.send(binary(&hello(RELAY))).await.unwrap();
        let ClientFrame::Authenticate { req, room, member, signature } =
            next_request(&mut socket).await
        else {
            panic!("not an authentication");
        };
        let transcript = handshake::auth_transcript(&AuthContext {
            challenge: &CHALLENGE,
            relay: &RELAY,
            channel: &channel,
            room: &room,
            member: &member,
        });
        assert!(handshake::verify(&member, &transcript, &signature));
        // What comes before the answer is not lost.
        socket.send(binary(&entries())).await.unwrap();
        let standing = Standing::Member { role: Role::Member, joined: Seq(1), welcome: None };
        socket.send(binary(&ServerFrame::Authenticated { req, standing })).await.unwrap();
        assert!(matches!(socket.next().await, Some(Ok(Message::Close(_)))));
    };
    let client = async {
        let mut connection = open(&address).await.unwrap();
        assert!(connection.server_now() >= Millis(1_000_000));
        let key = SigningKey::from_bytes(&[9; 32]);
        let member = MemberKey(key.verifying_key().to_bytes());
        let signature = connection.auth_signature(&key, ROOM);
        let answer = connection
            .request(|req| ClientFrame::Authenticate { req, room: ROOM, member, signature })
            .await
            .unwrap();
        assert!(matches!(answer, ServerFrame::Authenticated { .. }));
        assert_eq!(connection.next().await, Ok(entries()));
        connection.close().await;
    };
    join!(client, server);
}

#[tokio::test]
async fn another_key_is_refused_before_anything_is_sent() {
    let certificate = certificate();
    for (pin, expected) in [(Some(Pin([1; 32])), "wrong_pin"), (None, "bad_certificate")] {
        let (listener, authority) = listen().await;
        let address = tls_address(authority, pin);
        let server = async {
            let (stream, _) = listener.accept().await.unwrap();
            acceptor(&certificate).accept(stream).await.map(|_| ()).unwrap_err();
        };
        let (opened, ()) = join!(open(&address), server);
        let error = opened.unwrap_err();
        assert_eq!((error.code(), error.exit_code()), (expected, 5));
    }
}

#[tokio::test]
async fn the_pinned_certificate_without_its_key_is_refused() {
    #[derive(Debug)]
    struct Thief(Arc<CertifiedKey>);
    impl ResolvesServerCert for Thief {
        fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
            Some(self.0.clone())
        }
    }
    let (stolen, own) = (certificate(), certificate());
    let signing_key = aws_lc_rs::sign::any_supported_type(&own.key).unwrap();
    let thief = Thief(Arc::new(CertifiedKey::new(vec![stolen.certificate], signing_key)));
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(thief));
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let (listener, authority) = listen().await;
    let address = tls_address(authority, Some(stolen.pin));
    let server = async {
        let (stream, _) = listener.accept().await.unwrap();
        let _ = acceptor.accept(stream).await;
    };
    let (opened, ()) = join!(open(&address), server);
    assert!(matches!(opened.unwrap_err(), ConnectError::BadCertificate(_)));
}

#[tokio::test]
async fn another_relay_identity_is_refused() {
    let (near, far) = duplex(64 * 1024);
    let address = plain_address("localhost:1");
    let relay = async {
        let mut socket = accept(far).await;
        socket.send(binary(&hello(RelayId([8; 32])))).await.unwrap();
        socket
    };
    let (opened, _socket) = join!(Connection::greet(&address, Box::new(near), [0; 32]), relay);
    let error = opened.unwrap_err();
    assert!(matches!(error, ConnectError::WrongRelay));
    assert_eq!(error.exit_code(), 5);
}

#[tokio::test]
async fn what_answers_instead_of_a_hello_is_named() {
    let reject = |code| binary(&ServerFrame::Reject { req: 0, code, retry_at: Some(Millis(9)) });
    let old_version =
        ServerFrame::Hello { version: 1, relay: RELAY, challenge: CHALLENGE, now: Millis(0) };
    let cases = [
        (reject(RejectCode::BadVersion), "bad_version"),
        (reject(RejectCode::RateLimited), "rate_limited"),
        (reject(RejectCode::ShuttingDown), "unavailable"),
        (binary(&old_version), "bad_version"),
        (binary(&notice()), "not_a_relay"),
        (Message::Binary(vec![0xff; 40].into()), "not_a_relay"),
        (Message::Text("hello".into()), "not_a_relay"),
    ];
    for (answer, expected) in cases {
        let (near, far) = duplex(64 * 1024);
        let address = plain_address("localhost:1");
        let relay = async {
            let mut socket = accept(far).await;
            socket.send(answer).await.unwrap();
            socket
        };
        let (opened, _socket) = join!(Connection::greet(&address, Box::new(near), [0; 32]), relay);
        assert_eq!(opened.unwrap_err().code(), expected);
    }
}

#[tokio::test]
async fn an_http_answer_is_no_relay() {
    let page = |status: &str| {
        format!("HTTP/1.1 {status}\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>")
    };
    let cases = [
        (page("200 OK"), "not_a_relay"),
        (page("302 Found"), "not_a_relay"),
        (page("429 Too Many Requests"), "rate_limited"),
        (page("503 Service Unavailable"), "unavailable"),
        ("SSH-2.0-OpenSSH_9.6\r\n\r\n".to_owned(), "not_a_relay"),
        ("HTTP/1.1 101 Switching Protocols\r\n\r\n".to_owned(), "not_a_relay"),
        (String::new(), "not_a_relay"),
    ];
    for (answer, expected) in cases {
        let (listener, authority) = listen().await;
        let address = plain_address(&authority);
        let server = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            stream.write_all(answer.as_bytes()).await.unwrap();
        };
        let (opened, ()) = join!(open(&address), server);
        let error = opened.unwrap_err();
        assert_eq!((error.code(), error.exit_code()), (expected, 4), "{answer}");
        assert!(!error.to_string().contains('\n'));
    }
}

#[tokio::test]
async fn what_is_not_tls_13_is_named() {
    let html = b"HTTP/1.1 400 Bad Request\r\n\r\n<html>";
    assert_eq!(open_against_raw(html).await.code(), "not_a_relay");
    assert_eq!(open_against_raw(&[0x80; 200]).await.code(), "not_a_relay");
    // A TLS 1.2 server's alert protocol_version.
    assert_eq!(open_against_raw(&[21, 3, 3, 0, 2, 2, 70]).await.code(), "no_tls13");
    // A TLS 1.2 ServerHello: ECDHE-RSA-AES128-GCM-SHA256, no supported_versions.
    let mut server_hello = vec![22, 3, 3, 0, 42, 2, 0, 0, 38, 3, 3];
    server_hello.extend([0x11; 32]);
    server_hello.extend([0, 0xc0, 0x2f, 0]);
    assert_eq!(open_against_raw(&server_hello).await.code(), "no_tls13");
    // Nothing at all.
    assert_eq!(open_against_raw(&[]).await.exit_code(), 4);
}

#[tokio::test]
async fn a_closed_port_is_unreachable_in_one_line() {
    let (listener, authority) = listen().await;
    drop(listener);
    let error = open(&tls_address(authority, None)).await.unwrap_err();
    assert!(matches!(error, ConnectError::Unreachable(_)), "{error:?}");
    assert_eq!(error.exit_code(), 4);
    assert!(!error.to_string().contains('\n'));
}

#[tokio::test]
async fn plain_is_for_loopback_only() {
    for authority in ["192.0.2.1:80", "relay.example:80", "[2001:db8::1]:80", "127.0.0.1.nip.io:1"]
    {
        let error = open(&plain_address(authority)).await.unwrap_err();
        assert!(matches!(error, ConnectError::PlainNotLoopback), "{authority}");
    }
    for authority in ["127.0.0.1:1", "[::1]:1", "localhost:1", "LOCALHOST:1"] {
        assert!(names_loopback(host(authority).unwrap()), "{authority}");
    }
}

#[test]
fn malformed_addresses_are_refused() {
    for authority in
        ["", ":", "host", "host:", ":80", "host:+80", "host:65536", "::1:80", "[::1:80"]
    {
        assert!(matches!(host(authority), Err(ConnectError::BadAddress)), "{authority}");
    }
    assert_eq!(host("[::1]:80").unwrap(), "::1");
}

#[tokio::test(start_paused = true)]
async fn a_silent_relay_is_lost_after_45_seconds() {
    let (mut connection, socket) = in_memory().await;
    let start = Instant::now();
    assert_eq!(connection.next().await, Err(ConnectionLost::Silent));
    assert_eq!(start.elapsed().as_secs(), 45);
    // And stays lost.
    assert_eq!(connection.next().await, Err(ConnectionLost::Silent));
    assert_eq!(connection.request(status).await, Err(ConnectionLost::Silent.into()));
    drop(socket);
}

#[tokio::test(start_paused = true)]
async fn a_relay_that_answers_pings_is_kept() {
    let (mut connection, mut socket) = in_memory().await;
    let relay = async {
        let start = Instant::now();
        for round in 1..=3 {
            assert!(matches!(socket.next().await, Some(Ok(Message::Ping(_)))));
            assert_eq!(start.elapsed().as_secs(), 30 * round);
            socket.flush().await.unwrap();
        }
        socket.send(binary(&notice())).await.unwrap();
    };
    let (received, ()) = join!(connection.next(), relay);
    assert_eq!(received, Ok(notice()));
}

#[tokio::test(start_paused = true)]
async fn time_not_spent_waiting_is_no_silence() {
    let (mut connection, mut socket) = in_memory().await;
    tokio::time::advance(Duration::from_secs(600)).await;
    let relay = async {
        assert!(matches!(socket.next().await, Some(Ok(Message::Ping(_)))));
        socket.send(binary(&notice())).await.unwrap();
    };
    let (received, ()) = join!(connection.next(), relay);
    assert_eq!(received, Ok(notice()));
}

#[tokio::test(start_paused = true)]
async fn pings_of_the_relay_are_answered() {
    let (mut connection, mut socket) = in_memory().await;
    let relay = async {
        socket.send(Message::Ping(vec![1, 2].into())).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), Message::Pong(vec![1, 2].into()));
        socket.send(binary(&notice())).await.unwrap();
    };
    let (received, ()) = join!(connection.next(), relay);
    assert_eq!(received, Ok(notice()));
}

#[tokio::test(start_paused = true)]
async fn a_request_without_an_answer_times_out_and_its_late_answer_is_ignored() {
    let (mut connection, mut socket) = in_memory().await;
    let start = Instant::now();
    assert_eq!(connection.request(status).await, Err(RequestError::Timeout));
    assert_eq!(start.elapsed(), REQUEST_DEADLINE);
    let relay = async {
        assert_eq!(next_request(&mut socket).await, status(1));
        socket.send(binary(&ServerFrame::Done { req: 1 })).await.unwrap();
        assert_eq!(next_request(&mut socket).await, status(2));
        socket.send(binary(&ServerFrame::Done { req: 2 })).await.unwrap();
        socket.send(binary(&ServerFrame::Done { req: 1 })).await.unwrap();
        socket.send(binary(&notice())).await.unwrap();
    };
    let client = async {
        assert_eq!(connection.request(status).await, Ok(ServerFrame::Done { req: 2 }));
        assert_eq!(connection.next().await, Ok(notice()));
    };
    join!(client, relay);
}

#[tokio::test(start_paused = true)]
async fn refusals_become_errors() {
    for named in [0, 1] {
        let (mut connection, mut socket) = in_memory().await;
        let relay = async {
            let _ = next_request(&mut socket).await;
            let (code, retry_at) = (RejectCode::SlowMode, Some(Millis(5)));
            socket.send(binary(&ServerFrame::Reject { req: named, code, retry_at })).await.unwrap();
        };
        let (answer, ()) = join!(connection.request(status), relay);
        let error = answer.unwrap_err();
        let (code, retry_at) = (RejectCode::SlowMode, Some(Millis(5)));
        assert_eq!(error, RequestError::Rejected { code, retry_at });
        assert_eq!(error.exit_code(), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn a_relay_that_floods_while_asked_is_cut_off() {
    let (mut connection, mut socket) = in_memory().await;
    let relay = async {
        while socket.send(binary(&notice())).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    let client = async {
        let answer = connection.request(status).await;
        assert_eq!(answer, Err(RequestError::Lost(ConnectionLost::Overflow)));
        assert_eq!(connection.queue.len(), QUEUE_FRAMES_MAX);
        drop(connection);
    };
    join!(client, relay);
}

#[tokio::test(start_paused = true)]
async fn dropping_next_loses_nothing() {
    let (mut connection, mut socket) = in_memory().await;
    for _ in 0..3 {
        let relay = async {
            socket.send(binary(&entries())).await.unwrap();
            socket.send(binary(&notice())).await.unwrap();
        };
        tokio::select! {
            biased;
            _ = connection.next() => panic!("nothing was sent"),
            () = relay => {}
        }
        assert_eq!(connection.next().await, Ok(entries()));
        assert_eq!(connection.next().await, Ok(notice()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_frame_above_the_limit_is_neither_sent_nor_taken() {
    let (mut connection, mut socket) = in_memory().await;
    let large = |req| ClientFrame::PutBlob {
        req,
        room: ROOM,
        blob: hearth_protocol::BlobId([0; 32]),
        total: 0,
        offset: 0,
        part: vec![0; FRAME_BYTES_MAX],
    };
    assert!(matches!(connection.request(large).await, Err(RequestError::TooLarge(_))));
    let huge = Message::Binary(vec![0; FRAME_BYTES_MAX + 1].into());
    tokio::select! {
        received = connection.next() => assert_eq!(received, Err(ConnectionLost::BadFrame)),
        sent = socket.send(huge) => sent.unwrap(),
    }
}

#[tokio::test(start_paused = true)]
async fn the_close_code_is_kept() {
    let (mut connection, mut socket) = in_memory().await;
    let frame = tungstenite::protocol::CloseFrame {
        code: close::SLOW.into(),
        reason: tungstenite::Utf8Bytes::default(),
    };
    let (received, _) = join!(connection.next(), socket.close(Some(frame)));
    assert_eq!(received, Err(ConnectionLost::Closed { code: Some(close::SLOW) }));
}

#[tokio::test(start_paused = true)]
async fn a_stalled_upgrade_is_cut() {
    let (near, far) = duplex(64 * 1024);
    let address = plain_address("localhost:1");
    let opened =
        timeout(HELLO_DEADLINE, Connection::greet(&address, Box::new(near), [0; 32])).await;
    assert!(opened.is_err());
    drop(far);
}
