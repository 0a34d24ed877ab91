//! The rules of the server, each tried over a real connection. A rule that is taken out of the code fails its test.

mod bounds;

use std::{net::SocketAddr, time::Duration};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::{
    Asked, Page, Server,
    peer::{self, Peer},
};

/// Longest wait for an answer. Nothing here takes a tenth of it.
const PATIENCE: Duration = Duration::from_secs(20);

struct Running {
    server: Server,
    page: Page,
    port: u16,
}

async fn start_with(whose: fn(SocketAddr, SocketAddr) -> Peer) -> Running {
    let (server, listener, page) = Server::bind_with(whose).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    assert!(listener.local_addr().unwrap().ip().is_loopback());
    tokio::spawn(server.clone().run(listener));
    Running { server, page, port }
}

async fn start() -> Running {
    start_with(peer::of).await
}

struct Got {
    status: u16,
    head: String,
    body: String,
}

/// A request as the page sends it, so that a test changes one line of it.
struct Ask {
    first: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl Ask {
    fn post(running: &Running, path: &str, secret: &str, body: &str) -> Self {
        let port = running.port;
        let mut ask =
            Self { first: format!("POST {path} HTTP/1.1"), headers: Vec::new(), body: body.into() };
        for (name, value) in [
            ("Host", format!("127.0.0.1:{port}")),
            ("Origin", format!("http://127.0.0.1:{port}")),
            ("Sec-Fetch-Site", "same-origin".into()),
            ("Content-Type", "application/json".into()),
            ("Authorization", format!("Bearer {secret}")),
            ("Content-Length", body.len().to_string()),
        ] {
            ask.headers.push((name.into(), value));
        }
        ask
    }

    fn get(running: &Running, path: &str) -> Self {
        let headers = vec![("Host".into(), format!("127.0.0.1:{}", running.port))];
        Self { first: format!("GET {path} HTTP/1.1"), headers, body: String::new() }
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self.headers.push((name.into(), value.into()));
        self
    }

    fn and(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self
    }

    fn text(&self) -> String {
        let headers: String =
            self.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        format!("{}\r\n{headers}Connection: close\r\n\r\n{}", self.first, self.body)
    }

    async fn send(&self, running: &Running) -> Got {
        let mut socket = open(running, &self.text()).await;
        let mut bytes = Vec::new();
        timeout(PATIENCE, socket.read_to_end(&mut bytes)).await.unwrap().unwrap();
        got(&bytes)
    }

    /// Sends what may be cut off at any moment.
    async fn send_or_cut(&self, running: &Running) -> Got {
        let mut socket = TcpStream::connect(("127.0.0.1", running.port)).await.unwrap();
        let _ = socket.write_all(self.text().as_bytes()).await;
        let mut bytes = Vec::new();
        let _ = timeout(PATIENCE, socket.read_to_end(&mut bytes)).await.unwrap();
        got(&bytes)
    }
}

async fn open(running: &Running, text: &str) -> TcpStream {
    let mut socket = TcpStream::connect(("127.0.0.1", running.port)).await.unwrap();
    socket.write_all(text.as_bytes()).await.unwrap();
    socket
}

fn got(bytes: &[u8]) -> Got {
    let text = String::from_utf8_lossy(bytes);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    Got { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
}

/// Reads a stream until a line says something.
async fn read_until(socket: &mut TcpStream, wanted: &str) -> String {
    // Signs of life keep a stream from ending, so the whole wait has one bound.
    timeout(PATIENCE, async {
        let mut all = Vec::new();
        loop {
            let mut part = [0; 4096];
            let read = socket.read(&mut part).await.unwrap();
            all.extend_from_slice(&part[..read]);
            let text = String::from_utf8_lossy(&all).into_owned();
            assert!(read > 0 || text.contains(wanted), "ended without {wanted}: {text}");
            if text.contains(wanted) {
                return text;
            }
        }
    })
    .await
    .unwrap()
}

fn code(running: &Running) -> String {
    let link = running.server.link().unwrap();
    link.split_once("/#").unwrap().1.to_owned()
}

fn key_in(body: &str) -> Option<String> {
    let line = body.lines().find(|line| line.contains("\"key\""))?;
    let value: Value = serde_json::from_str(line).unwrap();
    Some(value["key"].as_str()?.to_owned())
}

async fn enter(running: &Running) -> String {
    let got = Ask::post(running, "/api/enter", &code(running), "{}").send(running).await;
    assert_eq!(got.status, 200, "{}", got.body);
    key_in(&got.body).unwrap()
}

async fn opened(running: &mut Running) -> crate::Feed {
    match timeout(PATIENCE, running.page.next()).await.unwrap() {
        Some(Asked::Opened(feed)) => feed,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn page_is_let_in_and_talks() {
    let mut running = start().await;
    let key = enter(&running).await;
    let mut stream = open(&running, &Ask::post(&running, "/api/stream", &key, "{}").text()).await;
    let feed = opened(&mut running).await;
    assert!(feed.tell(json!({"Remark": "hello"}).to_string()));
    read_until(&mut stream, r#"{"Remark":"hello"}"#).await;
    let act = Ask::post(&running, "/api/act", &key, r#"{"Say":"hi"}"#).send(&running).await;
    assert_eq!(act.status, 202);
    match timeout(PATIENCE, running.page.next()).await.unwrap() {
        Some(Asked::Act(act)) => assert_eq!(act, r#"{"Say":"hi"}"#),
        other => panic!("{other:?}"),
    }
    drop(stream);
    assert!(matches!(
        timeout(PATIENCE, async {
            loop {
                // A dropped stream is noticed when something is told.
                feed.tell("1".into());
                tokio::select! {
                    asked = running.page.next() => break asked,
                    () = tokio::task::yield_now() => {}
                }
            }
        })
        .await
        .unwrap(),
        Some(Asked::Gone(1))
    ));
}

#[tokio::test]
async fn foreign_host_is_misdirected() {
    let running = start().await;
    let port = running.port;
    let hosts = [
        "evil.test".to_owned(),
        format!("evil.test:{port}"),
        format!("127.0.0.1.evil.test:{port}"),
        format!("127.0.0.1:{port}.evil.test"),
        format!("localhost:{port}"),
        "127.0.0.1".to_owned(),
        format!("127.0.0.1:{}", port.wrapping_add(1)),
    ];
    for host in hosts {
        for path in ["/", "/page.js"] {
            assert_eq!(
                Ask::get(&running, path).with("Host", &host).send(&running).await.status,
                421,
                "{host}"
            );
        }
        let code = code(&running);
        let post = Ask::post(&running, "/api/enter", &code, "{}").with("Host", &host);
        assert_eq!(post.send(&running).await.status, 421, "{host}");
    }
    let twice = Ask::get(&running, "/").and("Host", "evil.test");
    assert!(matches!(twice.send(&running).await.status, 400 | 421));
    let absolute = Ask::get(&running, &format!("http://evil.test:{port}/"));
    assert_eq!(absolute.send(&running).await.status, 421);
    assert_eq!(Ask::get(&running, "/").send(&running).await.status, 200);
}

#[tokio::test]
async fn foreign_origin_is_refused() {
    let running = start().await;
    let key = enter(&running).await;
    for origin in ["http://evil.test", "null", "http://127.0.0.1", "https://127.0.0.1"] {
        let ask = Ask::post(&running, "/api/act", &key, "{}").with("Origin", origin);
        assert_eq!(ask.send(&running).await.status, 403, "{origin}");
    }
    let twice = Ask::post(&running, "/api/act", &key, "{}").and("Origin", "http://evil.test");
    assert_eq!(twice.send(&running).await.status, 403);
    let absent = Ask::post(&running, "/api/act", &key, "{}").without("Origin");
    assert_eq!(absent.send(&running).await.status, 202);
}

#[tokio::test]
async fn cross_site_fetch_is_refused() {
    let running = start().await;
    let key = enter(&running).await;
    for site in ["cross-site", "same-site", "none", ""] {
        let ask = Ask::post(&running, "/api/act", &key, "{}").with("Sec-Fetch-Site", site);
        assert_eq!(ask.send(&running).await.status, 403, "{site}");
    }
    let absent = Ask::post(&running, "/api/act", &key, "{}").without("Sec-Fetch-Site");
    assert_eq!(absent.send(&running).await.status, 403);
    for (site, status) in
        [("cross-site", 403), ("same-site", 403), ("none", 200), ("same-origin", 200)]
    {
        let file = Ask::get(&running, "/page.js").with("Sec-Fetch-Site", site);
        assert_eq!(file.send(&running).await.status, status, "{site}");
    }
}

#[tokio::test]
async fn only_json_is_taken() {
    let running = start().await;
    let key = enter(&running).await;
    let kinds = [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "application/json; charset=utf-8",
    ];
    for kind in kinds {
        let ask = Ask::post(&running, "/api/act", &key, "{}").with("Content-Type", kind);
        assert_eq!(ask.send(&running).await.status, 415, "{kind}");
    }
    let absent = Ask::post(&running, "/api/act", &key, "{}").without("Content-Type");
    assert_eq!(absent.send(&running).await.status, 415);
    assert_eq!(Ask::post(&running, "/api/act", &key, "{").send(&running).await.status, 400);
}

#[tokio::test]
async fn guessed_key_opens_nothing() {
    let running = start().await;
    let key = enter(&running).await;
    let mut near = key.clone();
    let last = if near.pop() == Some('A') { 'B' } else { 'A' };
    near.push(last);
    for guess in [near.as_str(), "x", &key[1..], &code(&running)] {
        for path in ["/api/act", "/api/stream"] {
            assert_eq!(
                Ask::post(&running, path, guess, "{}").send(&running).await.status,
                401,
                "{guess}"
            );
        }
    }
    for value in
        [key.clone(), format!("bearer {key}"), format!("Basic {key}"), "Bearer ".to_owned()]
    {
        let ask = Ask::post(&running, "/api/act", &key, "{}").with("Authorization", &value);
        assert_eq!(ask.send(&running).await.status, 401, "{value}");
    }
    let absent = Ask::post(&running, "/api/act", &key, "{}").without("Authorization");
    assert_eq!(absent.send(&running).await.status, 401);
    let in_query = Ask::post(&running, &format!("/api/act?key={key}"), "x", "{}");
    assert_eq!(in_query.send(&running).await.status, 401);
}

#[tokio::test]
async fn replayed_code_opens_nothing() {
    let running = start().await;
    let code = code(&running);
    let first = Ask::post(&running, "/api/enter", &code, "{}").send(&running).await;
    assert!(key_in(&first.body).is_some());
    let again = Ask::post(&running, "/api/enter", &code, "{}").send(&running).await;
    assert_eq!((again.status, key_in(&again.body)), (401, None));
}

#[tokio::test(start_paused = true)]
async fn late_code_opens_nothing() {
    let running = start_with(|_, _| Peer::Ours).await;
    let code = code(&running);
    tokio::time::advance(Duration::from_secs(60)).await;
    let late = Ask::post(&running, "/api/enter", &code, "{}").send(&running).await;
    assert_eq!((late.status, key_in(&late.body)), (410, None));
}

#[tokio::test]
async fn other_user_is_told_nothing() {
    let running = start_with(|_, _| Peer::Other).await;
    let got = Ask::get(&running, "/").send_or_cut(&running).await;
    assert_eq!((got.status, got.body.as_str()), (0, ""));
}

/// A real process of another user asks. Only root can start one, so others see the test above alone.
#[tokio::test]
async fn process_of_other_user_is_cut_off() {
    use std::os::unix::process::CommandExt as _;
    if !rustix::process::geteuid().is_root() {
        assert!(std::env::var_os("HEARTH_TOOLS").is_none(), "this test needs root");
        return;
    }
    let running = start().await;
    let ask = |uid: u32| {
        let script = format!(
            "exec 3<>/dev/tcp/127.0.0.1/{0}; printf 'GET / HTTP/1.1\\r\\nHost: 127.0.0.1:{0}\\r\\nConnection: close\\r\\n\\r\\n' >&3; cat <&3",
            running.port
        );
        let mut command = std::process::Command::new("bash");
        command.arg("-c").arg(script).uid(uid);
        tokio::task::spawn_blocking(move || command.output().unwrap().stdout)
    };
    let ours = ask(0).await.unwrap();
    assert!(String::from_utf8_lossy(&ours).contains("200 OK"));
    let other = ask(65_534).await.unwrap();
    assert!(other.is_empty(), "{}", String::from_utf8_lossy(&other));
}

#[tokio::test]
async fn unknown_peer_waits_for_words() {
    let mut running = start_with(|_, _| Peer::Unknown).await;
    for agrees in [true, false] {
        let ask = Ask::post(&running, "/api/enter", &code(&running), "{}");
        let mut stream = open(&running, &ask.text()).await;
        let asked = timeout(PATIENCE, running.page.next()).await.unwrap();
        let Some(Asked::Words { words, agree }) = asked else { panic!("{asked:?}") };
        assert_eq!(words.split(' ').count(), 3);
        let seen = read_until(&mut stream, &words).await;
        assert!(!seen.contains("\"key\""));
        agree.send(agrees).unwrap();
        let mut rest = Vec::new();
        timeout(PATIENCE, stream.read_to_end(&mut rest)).await.unwrap().unwrap();
        assert_eq!(key_in(&String::from_utf8_lossy(&rest)).is_some(), agrees);
    }
}

#[tokio::test]
async fn second_page_ends_the_first() {
    let mut running = start().await;
    let key = enter(&running).await;
    let mut first = open(&running, &Ask::post(&running, "/api/stream", &key, "{}").text()).await;
    let feed = opened(&mut running).await;
    feed.tell("\"first\"".into());
    read_until(&mut first, "first").await;
    // The same key: a tab that was duplicated.
    let mut second = open(&running, &Ask::post(&running, "/api/stream", &key, "{}").text()).await;
    read_until(&mut first, "\"Elsewhere\"").await;
    let mut rest = Vec::new();
    timeout(PATIENCE, first.read_to_end(&mut rest)).await.unwrap().unwrap();
    // A new link: the key before it opens nothing, and its stream ends.
    let newer = enter(&running).await;
    assert_ne!(newer, key);
    read_until(&mut second, "\"Elsewhere\"").await;
    assert_eq!(Ask::post(&running, "/api/act", &key, "{}").send(&running).await.status, 401);
    assert_eq!(Ask::post(&running, "/api/act", &newer, "{}").send(&running).await.status, 202);
}

#[tokio::test]
async fn every_answer_has_the_headers() {
    let running = start().await;
    let key = enter(&running).await;
    let answers = [
        Ask::get(&running, "/").send(&running).await,
        Ask::get(&running, "/none").send(&running).await,
        Ask::get(&running, "/").with("Host", "evil.test").send(&running).await,
        Ask::post(&running, "/api/act", &key, "{}").send(&running).await,
        Ask::post(&running, "/api/act", "x", "{}").send(&running).await,
        Ask::post(&running, "/api/enter", &code(&running), "{}").send(&running).await,
    ];
    for got in answers {
        for wanted in [
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
            "cache-control: no-store",
            "referrer-policy: no-referrer",
            "x-content-type-options: nosniff",
            "x-frame-options: deny",
            "cross-origin-opener-policy: same-origin",
            "cross-origin-resource-policy: same-origin",
        ] {
            assert!(got.head.contains(wanted), "{} lacks {wanted}: {}", got.status, got.head);
        }
        assert!(
            !got.head.contains("access-control") && !got.head.contains("set-cookie"),
            "{}",
            got.head
        );
    }
}

#[tokio::test]
async fn only_post_acts() {
    let running = start().await;
    let key = enter(&running).await;
    for method in ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"] {
        for path in ["/api/act", "/api/enter", "/api/stream"] {
            let mut ask = Ask::post(&running, path, &key, "{}");
            ask.first = format!("{method} {path} HTTP/1.1");
            assert_eq!(ask.send(&running).await.status, 405, "{method} {path}");
        }
    }
    let file = Ask { first: "POST / HTTP/1.1".into(), ..Ask::post(&running, "/", &key, "{}") };
    assert_eq!(file.send(&running).await.status, 405);
    // No preflight is ever answered, so no other site can send these headers.
    let mut preflight = Ask::get(&running, "/api/act").and("Origin", "http://evil.test");
    preflight.first = "OPTIONS /api/act HTTP/1.1".into();
    let got = preflight.and("Access-Control-Request-Method", "POST").send(&running).await;
    assert_eq!((got.status, got.head.contains("access-control")), (405, false));
}
