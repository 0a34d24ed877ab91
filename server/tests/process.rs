//! The program as an operator meets it.

#![allow(clippy::unwrap_used, clippy::panic, clippy::cast_possible_truncation)]

use std::{
    io::{BufRead as _, BufReader, Read as _},
    net::TcpListener,
    path::Path,
    process::{Child, Command, Output, Stdio},
};

use hearth_protocol::invite::{Grant, Transport};

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

    fn stop(mut self) -> (Option<i32>, String) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
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
fn a_grant_can_be_made_before_the_first_start() {
    let dir = tempfile::tempdir().unwrap();
    let relay = dir.path().join("relay");
    let url = ["grant", "--url", "wss://relay.example:443"];
    let granted = hearthd(&relay).args(url).output().unwrap();
    let grant = Grant::parse(&String::from_utf8(granted.stdout).unwrap()).unwrap();
    let running = Running::start(hearthd(&relay).args(["--listen", "0.0.0.0:0"]));
    assert_eq!(field(&running.line, "pin=", ' '), grant.address.pin.unwrap().to_hex());
    // Nobody can connect to every address.
    refused(&hearthd(&relay).arg("grant").output().unwrap(), 2, "name one with --url");
    running.stop();
}

fn field<'a>(line: &'a str, start: &str, end: char) -> &'a str {
    let from = line.find(start).unwrap() + start.len();
    line[from..].split(end).next().unwrap().trim()
}

#[test]
fn it_starts_grants_refuses_a_second_and_stops_in_order() {
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

/// One line on what failed and one on what to try, and nothing on standard output.
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
fn what_keeps_it_from_starting_is_said_in_two_lines() {
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

#[test]
fn settings_come_from_flags_then_the_environment_then_the_file() {
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

#[test]
fn a_backup_is_taken_from_a_running_relay_and_not_over_another() {
    let dir = tempfile::tempdir().unwrap();
    let relay = dir.path().join("relay");
    let running = Running::start(hearthd(&relay).args(["--listen", "127.0.0.1:0"]));
    let into = dir.path().join("backup");
    let output = hearthd(&relay).arg("backup").arg(&into).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(into.join("hearth.db").exists());
    let output = hearthd(&relay).arg("backup").arg(&into).output().unwrap();
    refused(&output, 1, "hearth.db");
    running.stop();
}
