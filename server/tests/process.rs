//! The `hearthd` program, as an operator runs it.

#![allow(clippy::unwrap_used, clippy::panic, clippy::cast_possible_truncation)]

mod common;

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, ChildStderr, Command, Output, Stdio},
};

use common::PATIENCE;
use hearth_protocol::invite::{Grant, Transport};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

fn hearthd(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hearthd"));
    command.env_clear().arg("--data-dir").arg(dir);
    command
}

struct Running {
    child: Child,
    line: String,
}

impl Running {
    fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        Self { child, line }
    }

    fn address(&self) -> SocketAddr {
        field(&self.line, "//", ' ').parse().unwrap()
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    fn stop(mut self) -> (Option<i32>, String) {
        self.signal(rustix::process::Signal::TERM);
        let mut log = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        (self.child.wait().unwrap().code(), log)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn grant_works_before_first_start() {
    let dir = tempfile::tempdir().unwrap();
    let relay = dir.path().join("relay");
    let url = ["grant", "--url", "wss://relay.example:443"];
    let granted = hearthd(&relay).args(url).output().unwrap();
    let grant = Grant::parse(&String::from_utf8(granted.stdout).unwrap()).unwrap();
    let running = Running::start(hearthd(&relay).args(["--listen", "0.0.0.0:0"]));
    assert_eq!(field(&running.line, "pin=", ' '), grant.address.pin.unwrap().to_hex());
    // A client cannot connect to the unspecified address.
    refused(&hearthd(&relay).arg("grant").output().unwrap(), 2, "name one with --url");
    running.stop();
}

fn field<'a>(line: &'a str, start: &str, end: char) -> &'a str {
    let from = line.find(start).unwrap() + start.len();
    line[from..].split(end).next().unwrap().trim()
}

/// A second relay on its directory is refused.
#[test]
fn relay_starts_grants_and_stops() {
    let dir = tempfile::tempdir().unwrap();
    let relay = dir.path().join("relay");
    let running = Running::start(hearthd(&relay).args(["--listen", "127.0.0.1:0"]));
    let address = field(&running.line, "hearthd ready wss://", ' ');
    let pin = field(&running.line, "pin=", ' ');
    assert!(running.line.contains(" admin=http://127.0.0.1:"), "{}", running.line);

    let granted = hearthd(&relay).arg("grant").output().unwrap();
    assert_eq!(granted.status.code(), Some(0));
    let grant = Grant::parse(&String::from_utf8(granted.stdout).unwrap()).unwrap();
    assert_eq!(grant.address.authority, address);
    assert_eq!(grant.address.transport, Transport::Tls);
    assert_eq!(grant.address.pin.unwrap().to_hex(), pin);

    let second = hearthd(&relay).args(["--listen", "127.0.0.1:0"]).output().unwrap();
    refused(&second, 1, "another relay");
    let (code, log) = running.stop();
    assert_eq!(code, Some(0));
    assert!(!log.contains("ERROR"), "{log}");

    let again = hearthd(&relay).args(["grant", "--url", "wss://a.example:1"]).output().unwrap();
    let grant = Grant::parse(&String::from_utf8(again.stdout).unwrap()).unwrap();
    assert_eq!(grant.address.authority, "a.example:1");
}

/// One line for the failure and one for the remedy, and nothing on standard output.
fn refused(output: &Output, code: i32, says: &str) {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(code), "{text}");
    assert!(output.stdout.is_empty());
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert!(lines[0].starts_with("hearthd: ") && lines[0].contains(says), "{text}");
    assert!(lines[1].starts_with("try: "), "{text}");
}

#[test]
fn start_errors_take_two_lines() {
    let dir = tempfile::tempdir().unwrap();
    let relay = dir.path().join("relay");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = hearthd(&relay).args(["--listen", &address]).output().unwrap();
    refused(&output, 1, "cannot listen on");
    let output =
        hearthd(&relay).args(["--listen", "127.0.0.1:0", "--admin-listen", &address]).output();
    refused(&output.unwrap(), 1, "cannot listen on");
    let output = hearthd(&relay).args(["--plain", "--listen", "0.0.0.0:0"]).output().unwrap();
    refused(&output, 2, "loopback");
    let output = hearthd(&relay).args(["--tls-cert", "/nowhere"]).output().unwrap();
    refused(&output, 2, "go together");
    let files = ["--listen", "127.0.0.1:0", "--tls-cert", "/nowhere", "--tls-key", "/nowhere"];
    refused(&hearthd(&relay).args(files).output().unwrap(), 1, "/nowhere");
    refused(&hearthd(&relay).arg("grant").output().unwrap(), 1, "no relay was started");

    let config = dir.path().join("hearthd.toml");
    std::fs::write(&config, "listen = \"127.0.0.1:0\"\nworkers = 0\n").unwrap();
    let output = hearthd(&relay).arg("--config").arg(&config).output().unwrap();
    refused(&output, 2, "line 2: unknown field `workers`");
    let output = hearthd(&relay).args(["--config", "/nowhere"]).output().unwrap();
    refused(&output, 2, "/nowhere");
    assert_eq!(hearthd(&relay).arg("--nonsense").output().unwrap().status.code(), Some(2));
    assert_eq!(hearthd(&relay).arg("--help").output().unwrap().status.code(), Some(0));

    let running = Running::start(hearthd(&relay).args(["--listen", "127.0.0.1:0"]));
    assert_eq!(running.stop().0, Some(0));
    let start = || hearthd(&relay).args(["--listen", "127.0.0.1:0"]).output().unwrap();
    let key = relay.join("key.pem");
    let exposed = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    std::fs::set_permissions(&key, exposed).unwrap();
    refused(&start(), 1, "key.pem");
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&key, private).unwrap();
    let database = relay.join("hearth.db");
    rusqlite::Connection::open(&database).unwrap().pragma_update(None, "user_version", 99).unwrap();
    refused(&start(), 1, "newer");
    std::fs::write(&database, [7; 9000]).unwrap();
    refused(&start(), 1, "hearth.db");
}

/// Starts a relay and stops it; returns its pin.
fn pin_after_start(relay: &Path) -> String {
    let running = Running::start(hearthd(relay).args(["--listen", "127.0.0.1:0"]));
    let pin = field(&running.line, "pin=", ' ').to_owned();
    assert_eq!(running.stop().0, Some(0));
    pin
}

/// With a new key, every member would refuse the relay.
#[test]
fn lost_key_stops_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let relay = dir.path().join("relay");
    let pin = pin_after_start(&relay);
    let [key, certificate, address] = ["key.pem", "cert.pem", "address"].map(|f| relay.join(f));
    let is_refused = || {
        let output = hearthd(&relay).args(["--listen", "127.0.0.1:0"]).output().unwrap();
        refused(&output, 1, "key.pem is missing or empty, and members pinned it");
        let text = String::from_utf8(output.stderr).unwrap();
        let advice = text.lines().nth(1).unwrap();
        assert!(advice.contains("copy key.pem there from where you keep it"), "{advice}");
        assert!(advice.contains("move the folder away, start a new relay"), "{advice}");
    };
    let backup = dir.path().join("backup.pem");
    std::fs::rename(&key, &backup).unwrap();
    is_refused();
    std::fs::write(&key, "").unwrap();
    is_refused();
    std::fs::remove_file(&certificate).unwrap();
    is_refused();
    assert_eq!(std::fs::metadata(&key).unwrap().len(), 0);
    std::fs::rename(&backup, &key).unwrap();
    assert_eq!(pin_after_start(&relay), pin);
    // The advice for an operator without a backup.
    for file in [key, certificate, address] {
        std::fs::remove_file(file).unwrap();
    }
    is_refused();
    std::fs::rename(&relay, dir.path().join("away")).unwrap();
    assert_ne!(pin_after_start(&relay), pin);
}

/// A folder restored from `hearth.db` alone: the store records the pin that members have.
#[test]
fn restored_store_demands_its_key() {
    let dir = tempfile::tempdir().unwrap();
    let (relay, restored) = (dir.path().join("relay"), dir.path().join("restored"));
    let pin = pin_after_start(&relay);
    let output =
        hearthd(&relay).arg("backup").arg(&restored).arg("--without-key").output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let listen = ["--listen", "127.0.0.1:0"];
    let url = ["grant", "--url", "wss://relay.example:443"];
    for args in [listen.as_slice(), &url] {
        let output = hearthd(&restored).args(args).output().unwrap();
        refused(&output, 1, "key.pem is missing or empty, and members pinned it");
        assert!(!restored.join("key.pem").exists());
    }
    // Another relay's key and certificate.
    let other = dir.path().join("other");
    pin_after_start(&other);
    for file in ["key.pem", "cert.pem"] {
        std::fs::copy(other.join(file), restored.join(file)).unwrap();
    }
    let output = hearthd(&restored).args(listen).output().unwrap();
    refused(&output, 1, "key.pem is not the key that members pinned");
    // The key alone is enough.
    std::fs::copy(relay.join("key.pem"), restored.join("key.pem")).unwrap();
    std::fs::remove_file(restored.join("cert.pem")).unwrap();
    assert_eq!(pin_after_start(&restored), pin);
}

#[test]
fn lost_certificate_is_made_from_key() {
    let dir = tempfile::tempdir().unwrap();
    let relay = dir.path().join("relay");
    let pin = pin_after_start(&relay);
    let [key, certificate] = ["key.pem", "cert.pem"].map(|file| relay.join(file));
    let start = || hearthd(&relay).args(["--listen", "127.0.0.1:0"]).output().unwrap();
    std::fs::remove_file(&certificate).unwrap();
    assert_eq!(pin_after_start(&relay), pin);
    std::fs::write(&certificate, "").unwrap();
    assert_eq!(pin_after_start(&relay), pin);
    std::fs::write(&certificate, "nonsense").unwrap();
    refused(&start(), 1, "cert.pem holds no usable certificate");
    std::fs::remove_file(&certificate).unwrap();
    assert_eq!(pin_after_start(&relay), pin);
    // Another relay's key, with and without the certificate beside it.
    let other = dir.path().join("other");
    pin_after_start(&other);
    std::fs::copy(other.join("key.pem"), &key).unwrap();
    refused(&start(), 1, "key.pem does not belong to cert.pem");
    std::fs::remove_file(&certificate).unwrap();
    refused(&start(), 1, "key.pem is not the key that members pinned");
}

/// Returns `hearthd` without the right to low ports, or says why the test is skipped.
fn without_low_ports(dir: &Path) -> Option<Command> {
    // The first port that needs no permission.
    let first = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").ok();
    if first.and_then(|text| text.trim().parse::<u16>().ok()).is_none_or(|first| first < 1024) {
        eprintln!("skipped: every account of this machine may listen on low ports");
        return None;
    }
    if !rustix::process::geteuid().is_root() {
        return Some(hearthd(dir));
    }
    // Root keeps its files and loses only this capability; `exec` restores none that the bounding set lacks.
    let drop = ["--inh-caps=-net_bind_service", "--bounding-set=-net_bind_service"];
    let probe = Command::new("setpriv").args(drop).arg("true").output();
    if !probe.is_ok_and(|done| done.status.success()) {
        eprintln!("skipped: there is no setpriv (util-linux) that can take the right away");
        return None;
    }
    let mut command = Command::new("setpriv");
    command.args(drop).arg(env!("CARGO_BIN_EXE_hearthd")).env_clear().arg("--data-dir").arg(dir);
    Some(command)
}

#[test]
fn low_port_without_permission_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let relay = dir.path().join("relay");
    let Some(mut command) = without_low_ports(&relay) else { return };
    let output = command.args(["--listen", "127.0.0.1:1023"]).output().unwrap();
    refused(&output, 1, "cannot listen on 127.0.0.1:1023");
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("try: choose a port from 1024 up"), "{text}");
    let mut command = without_low_ports(&relay).unwrap();
    let listen = ["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:1023"];
    refused(&command.args(listen).output().unwrap(), 1, "cannot listen on 127.0.0.1:1023");
    // The account and the folder are otherwise valid.
    let mut command = without_low_ports(&relay).unwrap();
    let running = Running::start(command.args(["--listen", "127.0.0.1:0"]));
    assert_eq!(running.stop().0, Some(0));
}

#[test]
fn flags_override_environment_and_file() {
    let dir = tempfile::tempdir().unwrap();
    let relay = dir.path().join("relay");
    let config = dir.path().join("hearthd.toml");
    std::fs::write(&config, "listen = \"127.0.0.1:0\"\nplain = true\n").unwrap();
    let running = Running::start(hearthd(&relay).arg("--config").arg(&config));
    assert!(running.line.starts_with("hearthd ready ws://127.0.0.1:"), "{}", running.line);
    assert!(!running.line.contains("pin="));
    running.stop();
    let running = Running::start(
        hearthd(&relay)
            .arg("--config")
            .arg(&config)
            .env("HEARTHD_LISTEN", "127.0.0.2:0")
            .env("HEARTHD_PUBLIC_URL", "relay.example:443"),
    );
    assert!(running.line.contains("ws://127.0.0.2:"), "{}", running.line);
    running.stop();
    let granted = hearthd(&relay).arg("grant").output().unwrap();
    let link = String::from_utf8(granted.stdout).unwrap();
    assert!(link.starts_with("hearth+plain://relay.example:443/grant#"), "{link}");
}

/// It overwrites no other backup.
#[test]
fn backup_works_beside_running_relay() {
    let dir = tempfile::tempdir().unwrap();
    let relay = dir.path().join("relay");
    let running = Running::start(hearthd(&relay).args(["--listen", "127.0.0.1:0"]));
    let into = dir.path().join("backup");
    let output = hearthd(&relay).arg("backup").arg(&into).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(into.join("hearth.db").exists());
    let kept = std::fs::read(into.join("hearth.db")).unwrap();
    let output = hearthd(&relay).arg("backup").arg(&into).output().unwrap();
    refused(&output, 1, "backup holds a store already");
    assert_eq!(std::fs::read(into.join("hearth.db")).unwrap(), kept);
    running.stop();
}

/// A folder that does not exist is made.
#[test]
fn backup_needs_an_empty_folder() {
    let dir = tempfile::tempdir().unwrap();
    let relay = dir.path().join("relay");
    pin_after_start(&relay);
    let (empty, used, file) =
        (dir.path().join("empty"), dir.path().join("used"), dir.path().join("file"));
    std::fs::create_dir(&empty).unwrap();
    std::fs::create_dir(&used).unwrap();
    std::fs::write(used.join("notes"), "mine").unwrap();
    std::fs::write(&file, "mine").unwrap();
    let backup = |into: &Path| hearthd(&relay).arg("backup").arg(into).output().unwrap();
    assert_eq!(backup(&empty).status.code(), Some(0));
    let names = |folder: &Path| -> Vec<_> {
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect()
    };
    let mut whole = names(&empty);
    whole.sort();
    assert_eq!(whole, ["backup.toml", "cert.pem", "hearth.db", "key.pem"]);
    for (into, words) in [
        (&empty, "empty holds a store already"),
        (&used, "used is not empty"),
        (&file, "file is a file"),
        (&relay, "relay holds a store already"),
    ] {
        let output = backup(into);
        refused(&output, 1, words);
        let text = String::from_utf8(output.stderr).unwrap();
        let other = format!("{}-2`", into.display());
        assert!(text.contains("name a directory that is new or empty: `hearthd backup "), "{text}");
        assert!(text.contains(&other), "{text}");
    }
    assert_eq!(names(&used), ["notes"]);
    assert_eq!(std::fs::read(&file).unwrap(), b"mine");
    assert!(!relay.join("hearth.db.next").exists());
    // A truncated link, and one with a slash at the end.
    std::fs::write(used.join("hearth.db.next"), "half").unwrap();
    std::fs::create_dir(dir.path().join("used-2")).unwrap();
    let output = backup(&used.join(""));
    refused(&output, 1, "under way, or was cut short");
    assert!(String::from_utf8(output.stderr).unwrap().contains("used-3`"));
    assert_eq!(std::fs::read(used.join("hearth.db.next")).unwrap(), b"half");
}

/// A link printed to a full disk is lost, and the operator must learn of it.
#[test]
fn unprintable_answer_is_a_failure() {
    let dir = tempfile::tempdir().unwrap();
    let relay = dir.path().join("relay");
    let running = Running::start(hearthd(&relay).args(["--listen", "127.0.0.1:0"]));
    let into = dir.path().join("backup");
    for args in [["grant"].as_slice(), &["backup", into.to_str().unwrap()]] {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let output = hearthd(&relay).args(args).stdout(full).output().unwrap();
        refused(&output, 1, "standard output");
    }
    running.stop();
    // The relay itself runs on without a reader of its one line.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut command = hearthd(&relay);
    command.args(["--listen", &free.to_string(), "--admin-listen", "127.0.0.1:0"]);
    let child = command.stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
    let running = Running { child, line: String::new() };
    let end = std::time::Instant::now() + PATIENCE;
    while TcpStream::connect(free).is_err() {
        assert!(std::time::Instant::now() < end, "it does not listen");
        std::thread::yield_now();
    }
    assert_eq!(running.stop().0, Some(0));
}

/// Returns the lines of a log as they come; waiting for one has a deadline.
struct Log(std::sync::mpsc::Receiver<String>);

impl Log {
    fn of(stderr: ChildStderr) -> Self {
        let (sender, lines) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                // The receiver may be gone; reading on keeps the relay from blocking.
                let _ = sender.send(line);
            }
        });
        Self(lines)
    }

    fn wait_for(&self, words: &str) {
        while !self.0.recv_timeout(PATIENCE).unwrap().contains(words) {}
    }
}

fn make_certificate(dir: &Path) -> String {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    std::fs::write(dir.join("cert.pem"), made.cert.pem()).unwrap();
    std::fs::write(dir.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    use rcgen::PublicKeyData as _;
    let pin = hearth_protocol::hash::sha256(&made.signing_key.subject_public_key_info());
    hearth_protocol::Pin(pin.0).to_hex()
}

/// Asks over TLS for a page and returns the first line; the stream stays open until its end is read.
async fn status_line(stream: &mut common::TlsStream) -> String {
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut bytes = Vec::new();
    // The relay may close without TLS's close_notify.
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.unwrap();
    String::from_utf8(bytes).unwrap().lines().next().unwrap().to_owned()
}

fn certificate_of(stream: &common::TlsStream) -> Vec<u8> {
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

/// A bad certificate does not.
#[tokio::test]
async fn new_certificate_replaces_old_in_place() {
    let dir = tempfile::tempdir().unwrap();
    let relay = dir.path().join("relay");
    let mut running = Running::start(hearthd(&relay).args(["--listen", "127.0.0.1:0"]));
    let log = Log::of(running.child.stderr.take().unwrap());
    let address = running.address();
    let mut before = common::tls_connect(address).await;
    let first = certificate_of(&before);

    let good = std::fs::read(relay.join("cert.pem")).unwrap();
    for bad in [b"".as_slice(), b"nonsense", &good[..good.len() / 2]] {
        std::fs::write(relay.join("cert.pem"), bad).unwrap();
        running.signal(rustix::process::Signal::HUP);
        log.wait_for("the old certificate stays in use");
        assert_eq!(certificate_of(&common::tls_connect(address).await), first);
    }

    let pin = make_certificate(&relay);
    running.signal(rustix::process::Signal::HUP);
    log.wait_for("the certificate was replaced");
    let after = common::tls_connect(address).await;
    assert_ne!(certificate_of(&after), first);
    // Connected members notice nothing.
    assert_eq!(status_line(&mut before).await, "HTTP/1.1 426 Upgrade Required");
    // New links must name the key that the relay serves now.
    let granted = hearthd(&relay).arg("grant").output().unwrap();
    let grant = Grant::parse(&String::from_utf8(granted.stdout).unwrap()).unwrap();
    assert_eq!(grant.address.pin.unwrap().to_hex(), pin);
}

/// Network scans must not fill the disk.
#[tokio::test]
async fn network_scans_leave_no_log_lines() {
    let dir = tempfile::tempdir().unwrap();
    let relay = dir.path().join("relay");
    let more = ["--listen", "127.0.0.1:0", "--connections-per-ip", "1000"];
    let running = Running::start(hearthd(&relay).args(more));
    let address = running.address();
    let nonsense: [&[u8]; 6] = [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        &[0x5a; 4096],
        // An alert, a record with too large a length, and a truncated hello.
        &[21, 3, 3, 0, 2, 2, 40],
        &[22, 3, 1, 0xff, 0xff, 1],
        &[22, 3, 1, 0, 5, 1, 0],
        b"",
    ];
    for turn in 0..120 {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        // The relay may have closed the connection already.
        let _ = stream.write_all(nonsense[turn % nonsense.len()]);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let _ = stream.read_to_end(&mut Vec::new());
    }
    for _ in 0..20 {
        let mut stream = common::tls_connect(address).await;
        stream.write_all(b"\xff\xfe\r\n\r\n").await.unwrap();
        let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut Vec::new())).await.unwrap();
    }
    assert_eq!(
        status_line(&mut common::tls_connect(address).await).await,
        "HTTP/1.1 426 Upgrade Required"
    );
    let (code, log) = running.stop();
    assert_eq!(code, Some(0));
    assert!(log.lines().count() <= 3, "{log}");
}

/// At the most verbose level, including its libraries, the log holds nothing that a client sent and no address.
#[tokio::test]
async fn sent_content_is_never_logged() {
    const CANARY: &str = "HearthCanaryToken";
    use futures_util::{SinkExt as _, StreamExt as _};
    use hearth_protocol::{ClientFrame, codec};
    use tokio_tungstenite::tungstenite::Message;
    let dir = tempfile::tempdir().unwrap();
    let relay = dir.path().join("relay");
    let all = "trace,tungstenite::protocol=trace,tokio_tungstenite=trace,rustls::server=trace,hearth_server=trace";
    let mut command = hearthd(&relay);
    let running = Running::start(command.args(["--listen", "127.0.0.1:0"]).env("HEARTHD_LOG", all));
    // A unique address, so that a search of the log finds no other.
    let from_elsewhere = async || {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.77:0".parse().unwrap()).unwrap();
        let stream = socket.connect(running.address()).await.unwrap();
        let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(common::tls_config()));
        let name = rustls::pki_types::ServerName::try_from("hearthcanarytoken.example").unwrap();
        connector.connect(name, stream).await.unwrap()
    };
    for request in [
        format!("GET /v2?token={CANARY} HTTP/1.1\r\nHost: {CANARY}\r\n\r\n"),
        format!("GET /{CANARY} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {CANARY}\r\n\r\n"),
        format!("{CANARY} / HTTP/1.1\r\nCookie: {CANARY}\r\nX-Forwarded-For: {CANARY}\r\n\r\n"),
        format!("{CANARY}\r\n\r\n"),
    ] {
        let mut stream = from_elsewhere().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut Vec::new())).await.unwrap();
    }
    let say = async |message: Message| {
        let stream = from_elsewhere().await;
        let (mut socket, _) =
            tokio_tungstenite::client_async(common::request(), stream).await.unwrap();
        // The pong returns the payload, through the writer.
        socket.send(Message::Ping(CANARY.into())).await.unwrap();
        socket.send(message).await.unwrap();
        let rest = async { while let Some(Ok(_)) = socket.next().await {} };
        tokio::time::timeout(PATIENCE, rest).await.unwrap();
    };
    say(Message::Binary(CANARY.into())).await;
    say(Message::Text(CANARY.into())).await;
    let mut token = [0; 32];
    token[..CANARY.len()].copy_from_slice(CANARY.as_bytes());
    let room = hearth_protocol::RoomId([0x4c; 16]);
    let token = hearth_protocol::Secret32::new(token);
    let preview = ClientFrame::Preview { req: 1, room, token: token.clone() };
    // Before the hello: the relay decodes the message, refuses it and closes the connection.
    say(Message::Binary(codec::encode_client(&preview).into())).await;
    // After it, the relay looks for an invite's token and a grant, in the store as well.
    let (mut socket, _) =
        tokio_tungstenite::client_async(common::request(), from_elsewhere().await).await.unwrap();
    let burn = ClientFrame::BurnInvite { req: 2, room, token };
    for frame in [ClientFrame::Hello { versions: vec![2] }, preview, burn] {
        socket.send(Message::Binary(codec::encode_client(&frame).into())).await.unwrap();
        let answer = tokio::time::timeout(PATIENCE, socket.next()).await.unwrap();
        assert!(matches!(answer, Some(Ok(Message::Binary(_)))), "{answer:?}");
    }
    drop(socket);
    let (_, log) = running.stop();
    assert!(log.contains("DEBUG") || log.contains("TRACE"), "{log}");
    let log = log.to_lowercase();
    let hex: String = CANARY.bytes().map(|byte| format!("{byte:02x}")).collect();
    let debug = format!("{:?}", CANARY.as_bytes());
    for form in
        ["hearthcanarytoken", &hex, debug.trim_matches(['[', ']']), &"4c".repeat(16), "127.0.0.77"]
    {
        assert!(!log.contains(form), "{form} is in the log:\n{log}");
    }
}
