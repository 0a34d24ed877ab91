//! The HTTP/1.1 request that opens a WebSocket (RFC 6455 section 4.2), and the answers to all other requests.

use hearth_protocol::limits::{PATH, SUBPROTOCOL};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// Maximum bytes of a request head.
const HEAD_BYTES_MAX: usize = 8 * 1024;
/// Maximum header lines of a request.
const HEADERS_MAX: usize = 64;

/// A request head, parsed strictly.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) version: String,
    headers: Vec<(String, String)>,
}

/// Why no head was read.
#[derive(Debug)]
pub(crate) enum HeadError {
    /// The peer left or the socket failed, so no answer can be sent.
    Gone,
    /// The head is refused with this answer.
    Refused(Answer),
}

/// An answer that ends the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Status code.
    pub(crate) status: u16,
    reason: &'static str,
    headers: &'static str,
    body: &'static str,
}

impl Answer {
    const fn new(status: u16, reason: &'static str, body: &'static str) -> Self {
        Self { status, reason, headers: "", body }
    }

    const fn with(mut self, headers: &'static str) -> Self {
        self.headers = headers;
        self
    }

    /// Returns the bytes of the answer.
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        let Self { status, reason, headers, body } = self;
        let length = body.len();
        format!(
            "HTTP/1.1 {status} {reason}\r\nContent-Type: text/plain; charset=utf-8\r\n\
             Content-Length: {length}\r\nCache-Control: no-store\r\nConnection: close\r\n{headers}\r\n{body}"
        )
        .into_bytes()
    }
}

// Answers match those of any WebSocket server, so that a scan of the network does not recognise relays.
const BAD_REQUEST: Answer = Answer::new(400, "Bad Request", "Bad Request\n");
const NOT_FOUND: Answer = Answer::new(404, "Not Found", "Not Found\n");
const TOO_LARGE: Answer =
    Answer::new(431, "Request Header Fields Too Large", "Request Header Fields Too Large\n");
const UPGRADE_REQUIRED: Answer = Answer::new(426, "Upgrade Required", "Upgrade Required\n")
    .with("Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n");
/// Answer to too many connections from one address.
pub(crate) const TOO_MANY: Answer =
    Answer::new(429, "Too Many Requests", "Too Many Requests\n").with("Retry-After: 1\r\n");

/// Reads a request head. Returns the bytes after it, too.
///
/// It has no deadline of its own; the caller has one.
pub(crate) async fn read_head<S: AsyncRead + Unpin>(
    stream: &mut S,
) -> Result<(Head, Vec<u8>), HeadError> {
    let mut bytes = Vec::with_capacity(1024);
    loop {
        let seen = bytes.len();
        let read = stream.read_buf(&mut bytes).await.map_err(|_| HeadError::Gone)?;
        if read == 0 {
            return Err(HeadError::Gone);
        }
        if bytes.starts_with(b"PRI * HTTP/2") {
            return Err(HeadError::Refused(VERSION));
        }
        // The end of the head may straddle two reads.
        let from = seen.saturating_sub(3);
        let end = bytes.get(from..).and_then(|rest| rest.windows(4).position(|w| w == b"\r\n\r\n"));
        match end {
            Some(position) if from + position + 4 <= HEAD_BYTES_MAX => {
                let rest = bytes.split_off(from + position + 4);
                bytes.truncate(from + position);
                let head = Head::parse(&bytes).map_err(HeadError::Refused)?;
                return Ok((head, rest));
            }
            Some(_) => return Err(HeadError::Refused(TOO_LARGE)),
            None if bytes.len() >= HEAD_BYTES_MAX => return Err(HeadError::Refused(TOO_LARGE)),
            None => {}
        }
    }
}

const VERSION: Answer =
    Answer::new(505, "HTTP Version Not Supported", "HTTP Version Not Supported\n");

impl Head {
    /// Parses the lines of a head, without the empty line after it.
    fn parse(bytes: &[u8]) -> Result<Self, Answer> {
        let text = std::str::from_utf8(bytes).map_err(|_| BAD_REQUEST)?;
        // A lone CR or LF, or any other control character, could smuggle a second request.
        let mut lines = text.split("\r\n");
        let mut words = lines.next().ok_or(BAD_REQUEST)?.split(' ');
        let (Some(method), Some(target), Some(version), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(BAD_REQUEST);
        };
        if text.split("\r\n").any(|line| line.chars().any(|c| c.is_control() && c != '\t')) {
            return Err(BAD_REQUEST);
        }
        let mut headers = Vec::new();
        for line in lines {
            if headers.len() >= HEADERS_MAX {
                return Err(TOO_LARGE);
            }
            let (name, value) = line.split_once(':').ok_or(BAD_REQUEST)?;
            if name.is_empty() || !name.bytes().all(is_token) {
                return Err(BAD_REQUEST);
            }
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        Ok(Self {
            method: method.to_owned(),
            target: target.to_owned(),
            version: version.to_owned(),
            headers,
        })
    }

    fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers.iter().filter(move |(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// Returns a header that may occur at most once.
    fn single<'a>(&'a self, name: &'a str) -> Result<Option<&'a str>, Answer> {
        let mut values = self.all(name);
        let value = values.next();
        if values.next().is_some() { Err(BAD_REQUEST) } else { Ok(value) }
    }

    fn has_token(&self, name: &str, token: &str) -> bool {
        self.all(name)
            .flat_map(|value| value.split(','))
            .any(|word| word.trim().eq_ignore_ascii_case(token))
    }

    /// Returns the address for which the nearest proxy speaks: the last one, which is the only one that it wrote itself.
    pub(crate) fn forwarded_for(&self) -> Option<std::net::IpAddr> {
        self.all("x-forwarded-for").last()?.rsplit(',').next()?.trim().parse().ok()
    }

    /// Answers an opening handshake: the bytes of a 101, or a refusal.
    pub(crate) fn upgrade(&self, origins: &[String]) -> Result<Vec<u8>, Answer> {
        if self.version != "HTTP/1.1" {
            return Err(if self.version.starts_with("HTTP/") { VERSION } else { BAD_REQUEST });
        }
        // If two servers could read a head in two ways, it could smuggle requests past a proxy (RFC 9112 sections 3.2 and 6.1).
        if !self.single("host")?.is_some_and(is_host)
            || !self.target.starts_with('/')
            || self.target.contains('#')
            || self.all("transfer-encoding").next().is_some()
            || self.single("content-length")?.is_some_and(|l| l != "0")
        {
            return Err(BAD_REQUEST);
        }
        if self.method != "GET" {
            return Err(Answer::new(405, "Method Not Allowed", "Method Not Allowed\n")
                .with("Allow: GET\r\n"));
        }
        if !self.has_token("upgrade", "websocket") || !self.has_token("connection", "upgrade") {
            return Err(UPGRADE_REQUIRED);
        }
        if self.target.contains('?') {
            // A secret in an address would end up in a log.
            return Err(BAD_REQUEST);
        }
        if self.target != PATH {
            return Err(NOT_FOUND);
        }
        // Our own programs send no Origin. A browser always does, so a stranger's page is recognised.
        if let Some(origin) = self.single("origin")?
            && !origins.iter().any(|allowed| allowed == origin)
        {
            return Err(Answer::new(403, "Forbidden", "Forbidden\n"));
        }
        if self.single("sec-websocket-version")? != Some("13") {
            return Err(UPGRADE_REQUIRED);
        }
        let key = self.single("sec-websocket-key")?.ok_or(BAD_REQUEST)?;
        let nonce = data_encoding::BASE64.decode(key.as_bytes()).map_err(|_| BAD_REQUEST)?;
        if nonce.len() != 16 {
            return Err(BAD_REQUEST);
        }
        let offers = self.all("sec-websocket-protocol").next().is_some();
        if offers && !self.has_token("sec-websocket-protocol", SUBPROTOCOL) {
            return Err(BAD_REQUEST);
        }
        let subprotocol = if offers {
            format!("Sec-WebSocket-Protocol: {SUBPROTOCOL}\r\n")
        } else {
            String::new()
        };
        // The relay negotiates no extension, because compression together with encryption leaks content.
        Ok(format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {}\r\n{subprotocol}\r\n",
            derive_accept_key(key.as_bytes())
        )
        .into_bytes())
    }
}

/// Whether a byte may be in a header's name (RFC 9110 section 5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Whether a text can be a host, with or without a port (RFC 9110 section 7.2).
fn is_host(text: &str) -> bool {
    let host = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+;=:[]".contains(&byte);
    !text.is_empty() && text.bytes().all(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "GET /v2 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";

    fn status(head: &str) -> u16 {
        let origins = ["https://good.example".to_owned()];
        match Head::parse(head.as_bytes()).and_then(|head| head.upgrade(&origins)) {
            Ok(_) => 101,
            Err(answer) => answer.status,
        }
    }

    #[test]
    fn rfc_6455_sample_handshake_is_answered() {
        let head = Head::parse(GOOD.as_bytes()).unwrap();
        let answer = String::from_utf8(head.upgrade(&[]).unwrap()).unwrap();
        assert!(answer.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
    }

    #[test]
    fn bad_requests_get_their_status() {
        let with = |line: &str| format!("{GOOD}\r\n{line}");
        let cases = [
            (GOOD.to_owned(), 101),
            (with("Origin: https://good.example"), 101),
            (with("Origin: https://evil.example"), 403),
            (with("Origin: null"), 403),
            (with("Origin: https://good.example\r\nOrigin: https://evil.example"), 400),
            (with("Sec-WebSocket-Protocol: chat"), 400),
            (with("Sec-WebSocket-Protocol: chat, hearth.v2"), 101),
            (with("Sec-WebSocket-Extensions: permessage-deflate"), 101),
            (with("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="), 400),
            (with("Host: y"), 400),
            (with("Content-Length: 5"), 400),
            (with("Content-Length: 0"), 101),
            (with("Content-Length: 0\r\nContent-Length: 0"), 400),
            (with("Transfer-Encoding: chunked"), 400),
            (with("transfer-encoding: identity"), 400),
            (with("Transfer-Encoding:"), 400),
            (with("Transfer-Encoding : chunked"), 400),
            (with("(x): y"), 400),
            (GOOD.replace("Host: x", "Host:"), 400),
            (GOOD.replace("Host: x", "Host: x, y"), 400),
            (GOOD.replace("Host: x", "Host: user@x"), 400),
            (GOOD.replace("Host: x", "Host: [::1]:7443"), 101),
            (GOOD.replace("/v2", "http://x/v2"), 400),
            (GOOD.replace("/v2", "x:443"), 400),
            (GOOD.replace("/v2", "*"), 400),
            (GOOD.replace("/v2", "/v2#a"), 400),
            (GOOD.replace("GET", "POST").replace("Host: x\r\n", ""), 400),
            (with(" folded: x"), 400),
            (with("lone\n: x"), 400),
            (GOOD.replace("GET", "POST"), 405),
            (GOOD.replace("HTTP/1.1", "HTTP/1.0"), 505),
            (GOOD.replace("HTTP/1.1", "HTTPS"), 400),
            (GOOD.replace("/v2", "/"), 404),
            (GOOD.replace("/v2", "/v2?token=x"), 400),
            (GOOD.replace("13", "8"), 426),
            (GOOD.replace("dGhlIHNhbXBsZSBub25jZQ==", "c2hvcnQ="), 400),
            (GOOD.replace("Upgrade: websocket\r\n", ""), 426),
            (GOOD.replace("Host: x\r\n", ""), 400),
            ("GET / HTTP/1.1\r\nHost: x".to_owned(), 426),
            (String::new(), 400),
            (format!("{GOOD}{}", "\r\na: b".repeat(125)), 431),
        ];
        for (head, expected) in cases {
            assert_eq!(status(&head), expected, "{head}");
        }
    }

    #[test]
    fn c4_answers_name_no_program() {
        let heads =
            ["GET / HTTP/1.1\r\nHost: x", "POST / HTTP/1.1\r\nHost: x", "GET / HTTP/1.0", "", "x"];
        let mut answers = vec![TOO_MANY, TOO_LARGE, VERSION];
        let upgrades = [("/v2", "/"), ("/v2", "/v2?a"), ("Host: x", "Origin: y\r\nHost: x")]
            .map(|(from, to)| GOOD.replace(from, to));
        for head in heads.into_iter().map(str::to_owned).chain(upgrades) {
            let answer = Head::parse(head.as_bytes()).and_then(|head| head.upgrade(&[]));
            answers.push(answer.unwrap_err());
        }
        for answer in answers {
            let text = String::from_utf8(answer.to_bytes()).unwrap();
            let (_, body) = text.split_once("\r\n\r\n").unwrap();
            assert_eq!(body.trim_end(), answer.reason);
            let text = text.to_ascii_lowercase();
            assert!(
                !["hearth", "relay", "server:", "v2"].iter().any(|word| text.contains(word)),
                "{text}"
            );
        }
    }

    #[tokio::test]
    async fn endless_head_is_refused() {
        let endless = vec![b'a'; 70 * 1024];
        let result = read_head(&mut endless.as_slice()).await;
        assert!(matches!(result, Err(HeadError::Refused(TOO_LARGE))));
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
        let result = read_head(&mut preface.as_slice()).await;
        assert!(matches!(result, Err(HeadError::Refused(answer)) if answer.status == 505));
    }
}
