//! Rows C4 to C6: what somebody who scans for rooms finds, and odd ways to say hello.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

use hearth_kit::{
    DEADLINE, Relay, RelayOptions,
    load::{machine::Server, wire::Wire},
};

fn plain() -> Relay {
    Relay::start_with(RelayOptions { plain: true, ..RelayOptions::default() })
}

/// Sends bytes to a relay without TLS and reads to the end, or as much as is asked for.
fn answer(relay: &Relay, bytes: &[u8], most: usize) -> Vec<u8> {
    let mut stream = TcpStream::connect(relay.address()).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.write_all(bytes).unwrap();
    let (mut seen, mut part) = (Vec::new(), [0; 4096]);
    while seen.len() < most {
        match stream.read(&mut part) {
            Ok(0) | Err(_) => break,
            Ok(read) => seen.extend(&part[..read]),
        }
    }
    seen
}

const UPGRADE: &str = "GET /v2 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

fn names_us(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes).to_ascii_lowercase();
    ["hearth", "relay", "/v1", "/v2", "facilitat"].iter().any(|word| text.contains(word))
}

/// Whoever scans a network finds a WebSocket server among others.
#[test]
fn c4_scan_finds_no_name() {
    let relay = plain();
    let requests = [
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
        "GET / HTTP/1.0\r\n\r\n".to_owned(),
        "GET /v1 HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
        "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
        "POST /v2 HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
        "GET http://x/ HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
        "\r\n\r\n".to_owned(),
        format!("{UPGRADE}Origin: https://scan.example\r\n\r\n"),
        format!("{}\r\n", UPGRADE.replace("/v2", "/chat")),
        format!("{}\r\n", UPGRADE.replace("/v2", "/v2?x")),
        format!("{UPGRADE}Sec-WebSocket-Protocol: chat\r\n\r\n"),
        format!("{UPGRADE}X: {}\r\n\r\n", "x".repeat(9_000)),
    ];
    for request in requests {
        let seen = answer(&relay, request.as_bytes(), usize::MAX);
        assert!(seen.starts_with(b"HTTP/1.1 ") && seen.len() > 20, "{request}");
        assert!(!names_us(&seen), "{request}: {}", String::from_utf8_lossy(&seen));
    }
    // And the certificate: no name, and no dates that only a Hearth relay has.
    let relay = Relay::start();
    let pem = std::fs::read_to_string(relay.data().join("cert.pem")).unwrap();
    let base64: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let certificate = data_encoding::BASE64.decode(base64.as_bytes()).unwrap();
    assert!(!names_us(&certificate));
    for date in [&b"200101000000Z"[..], b"21200101000000Z"] {
        assert!(!certificate.windows(date.len()).any(|part| part == date));
    }
}

/// What a proxy and the relay could read in two ways is refused.
#[test]
fn c5_smuggled_heads_are_refused() {
    let relay = plain();
    let with = |from: &str, to: &str| format!("{}\r\n", UPGRADE.replacen(from, to, 1));
    for request in [
        with("Host: x\r\n", "Host: x\r\nTransfer-Encoding: chunked\r\n"),
        with("Host: x\r\n", "Host: x\r\ntransfer-encoding: gzip, chunked\r\n"),
        with("Host: x\r\n", "Host: x\r\nTransfer-Encoding:\tchunked\r\n"),
        with("Host: x\r\n", "Host: x\r\nHost: y\r\n"),
        with("Host: x\r\n", "Host: x\r\nHost: x\r\n"),
        with("Host: x\r\n", "Host: x, y\r\n"),
        with("Host: x\r\n", "Host:\r\n"),
        with("Host: x\r\n", ""),
        with("/v2", "http://x/v2"),
        with("/v2", "//x/v2").replace("//x/v2", "x:80"),
        with("/v2", "*"),
    ] {
        let seen = answer(&relay, request.as_bytes(), usize::MAX);
        let seen = String::from_utf8_lossy(&seen);
        assert!(seen.starts_with("HTTP/1.1 400 "), "{request}: {seen}");
    }
}

/// RFC 6455 section 5.2: a length is written in the fewest bytes, and its top bit is 0.
#[test]
fn c5_long_lengths_close_1002() {
    let relay = plain();
    let hello = [0x82, 0, 0x81, 0x81, 2];
    for length in [
        vec![0x80 | 126, 0, 5],
        vec![0x80 | 127, 0, 0, 0, 0, 0, 0, 0, 5],
        vec![0x80 | 127, 0x80, 0, 0, 0, 0, 0, 0, 5],
    ] {
        let mut bytes = format!("{UPGRADE}\r\n").into_bytes();
        bytes.push(0x82);
        bytes.extend(&length);
        bytes.extend([0, 0, 0, 0]);
        bytes.extend(hello);
        let seen = answer(&relay, &bytes, usize::MAX);
        let end = seen.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
        let [high, low] = 1002_u16.to_be_bytes();
        assert_eq!(&seen[end..], [0x88, 2, high, low], "{length:?}");
    }
}

/// Whoever comes too fast is told so.
#[test]
fn c6_hasty_arrivals_get_429() {
    const ARRIVALS: usize = 140;
    let server = Server::limited(&[]);
    let threads: Vec<_> = (0..ARRIVALS)
        .map(|_| {
            let target = server.target.clone();
            std::thread::spawn(move || Wire::connect(&target).map(drop))
        })
        .collect();
    let refused: Vec<String> = threads
        .into_iter()
        .filter_map(|thread| thread.join().unwrap().err())
        .map(|error| error.to_string())
        .collect();
    assert!(!refused.is_empty());
    for error in &refused {
        assert!(
            error.starts_with("HTTP/1.1 429 ") && error.contains("\r\nRetry-After: "),
            "{error}"
        );
    }
}
