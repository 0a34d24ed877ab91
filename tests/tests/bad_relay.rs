//! A relay that cannot start says why and what to try, in one line each.

use std::{fs, net::SocketAddr, process::Command};

use hearth_kit::{Ended, Relay, Running};

fn fails(command: Command, exit: i32, words: &str) {
    let shown = format!("{command:?}");
    let Ended { code, stdout, stderr } = Running::start(command, false).wait();
    assert_eq!(code, Some(exit), "{shown}\n{stderr}");
    assert!(stdout.is_empty(), "{shown}\n{stdout}");
    let lines: Vec<&str> = stderr.lines().collect();
    let [what, advice] = lines.as_slice() else { panic!("not two lines: {shown}\n{stderr}") };
    assert!(what.starts_with("hearthd: ") && what.contains(words), "{shown}\n{stderr}");
    assert!(advice.starts_with("try: ") && advice.len() > 12, "{shown}\n{stderr}");
    assert!(!stderr.contains("os error"), "{shown}\n{stderr}");
}

const ANY: SocketAddr =
    SocketAddr::V4(std::net::SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, 0));

#[test]
fn two_relays_do_not_share_a_folder_or_a_port() {
    let relay = Relay::start();
    fails(Relay::command(relay.data(), ANY), 1, "another relay is running");
    let folder = tempfile::tempdir().unwrap();
    let elsewhere = folder.path().join("relay");
    fails(Relay::command(&elsewhere, relay.address()), 1, "cannot listen on");
    // The first has not suffered.
    assert!(relay.page("/readyz").contains("200 OK"));
    relay.grant();
}

#[test]
fn settings_that_are_wrong_or_unsafe_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("relay");
    let with = |args: &[&str]| {
        let mut command = Relay::bare();
        command.arg("--data-dir").arg(&data).args(args);
        command
    };
    fails(with(&["--plain", "--listen", "0.0.0.0:0"]), 2, "loopback only");
    fails(with(&["--plain", "--listen", "[::]:0"]), 2, "loopback only");
    fails(with(&["--listen", "127.0.0.1:0", "--admin-listen", "0.0.0.0:0"]), 2, "loopback only");
    fails(with(&["--listen", "127.0.0.1:0", "--tls-cert", "x.pem"]), 2, "go together");
    fails(with(&["--listen", "127.0.0.1:0", "--frames-burst", "0"]), 2, "more than zero");
    fails(with(&["--listen", "127.0.0.1:0", "--public-url", "nowhere"]), 2, "no host:port");

    let file = folder.path().join("hearthd.toml");
    let path = file.to_str().unwrap().to_owned();
    for (text, words) in [
        ("listen_port = 1\n", "line 1"),
        ("\nlisten = 5\n", "line 2"),
        ("plain = true\nplain = false\n", "line 2"),
        ("listen = \"127.0.0.1:0\"\n[table\n", "line 2"),
        ("plain = true\nlisten = \"0.0.0.0:7443\"\n", "loopback only"),
        ("workers = 0\n", "line 1: unknown field `workers`"),
        ("plain = true\nconnections_per_ip = -1\n", "line 2"),
        ("frames_per_second = 99999999999999999999\n", "line 1"),
        ("frames_burst = \"10 MiB\"\n", "line 1"),
        ("frames_burst = 1.5\n", "line 1"),
        ("frames_burst = 0\n", "more than zero"),
        ("connections_max = 0\n", "more than zero"),
        ("log_format = \"xml\"\n", "line 1"),
        ("\u{feff}\u{0}", "line 1"),
    ] {
        fs::write(&file, text).unwrap();
        fails(with(&["--config", &path]), 2, words);
    }
    fails(with(&["--config", "/nonexistent.toml"]), 2, "/nonexistent.toml");
    let not_text = folder.path().join("latin1.toml");
    fs::write(&not_text, b"public_url = \"caf\xe9:1\"\n").unwrap();
    fails(with(&["--config", not_text.to_str().unwrap()]), 2, "latin1.toml");
    fails(with(&["grant"]), 1, "no relay was started");
    fails(with(&["grant", "--rooms", "0"]), 2, "one room at least");
    fails(
        with(&["backup", folder.path().join("copy").to_str().unwrap()]),
        1,
        "no relay was started",
    );
    assert!(!data.exists(), "a refused start leaves nothing");
    let files = ["--tls-cert", "/nonexistent", "--tls-key", "/nonexistent"];
    fails(with(&[&["--listen", "127.0.0.1:0"], &files[..]].concat()), 1, "/nonexistent");
    let usage = Running::start(with(&["--no-such-flag"]), false).wait();
    assert_eq!(usage.code, Some(2));
}

/// A flag and a variable are judged like a line of the file.
#[test]
fn flags_and_variables_that_are_no_settings_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("relay");
    let refused = |mut command: Command| {
        command.arg("--data-dir").arg(&data);
        let ended = Running::start(command, false).wait();
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(ended.stdout.is_empty() && ended.stderr.starts_with("error: "), "{ended:?}");
        assert!(!ended.stderr.contains("panicked"), "{ended:?}");
    };
    for (flag, variable, wrong) in [
        ("--frames-burst", "HEARTHD_FRAMES_BURST", "-1"),
        ("--frames-per-second", "HEARTHD_FRAMES_PER_SECOND", "20/s"),
        ("--connections-per-ip", "HEARTHD_CONNECTIONS_PER_IP", "4294967296"),
        ("--connections-max", "HEARTHD_CONNECTIONS_MAX", "many"),
        ("--listen", "HEARTHD_LISTEN", "localhost"),
        ("--listen", "HEARTHD_LISTEN", "127.0.0.1:70000"),
        ("--admin-listen", "HEARTHD_ADMIN_LISTEN", ""),
        ("--log-format", "HEARTHD_LOG_FORMAT", "xml"),
    ] {
        let mut by_flag = Relay::bare();
        by_flag.arg(format!("{flag}={wrong}"));
        refused(by_flag);
        let mut by_variable = Relay::bare();
        by_variable.env(variable, wrong);
        refused(by_variable);
    }
    for expires in ["30", "30y", "-1d", "0d", "99999999999999999w"] {
        let mut grant = Relay::bare();
        grant.args(["grant", &format!("--expires={expires}")]);
        refused(grant);
    }
    // Given twice is not "the last one wins".
    let mut twice = Relay::bare();
    twice.args(["--listen", "127.0.0.1:1", "--listen", "127.0.0.1:2"]);
    refused(twice);
    assert!(!data.exists(), "a refused start leaves nothing");
}

/// What is to be logged cannot be shown as asked for: that is said, and the relay runs.
#[test]
fn a_log_level_that_is_none_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Relay::command(&folder.path().join("relay"), ANY);
    command.env("HEARTHD_LOG", "hearth_server=loud");
    let mut running = Running::start(command, false);
    running.await_line("that it is ready", |line| line.starts_with("hearthd ready "));
    running.await_remark("HEARTHD_LOG");
    running.terminate();
    assert_eq!(running.wait().code, Some(0));
}

#[test]
fn a_folder_that_cannot_be_used_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "x").unwrap();
    fails(Relay::command(&file, ANY), 1, "file");
    fails(Relay::command(&file.join("below"), ANY), 1, "below");
}

#[test]
fn a_damaged_or_newer_store_is_not_opened() {
    let mut relay = Relay::start();
    relay.stop();
    let store = relay.data().join("hearth.db");
    let good = fs::read(&store).unwrap();
    let db = rusqlite::Connection::open(&store).unwrap();
    db.execute_batch("PRAGMA user_version = 99").unwrap();
    drop(db);
    fails(Relay::command(relay.data(), ANY), 1, "hearth.db");
    fs::write(&store, b"this is no database at all, whatever its name is").unwrap();
    fails(Relay::command(relay.data(), ANY), 1, "hearth.db");
    fs::write(&store, good).unwrap();
    relay.restart();
}

#[test]
fn a_key_that_others_can_read_is_not_used() {
    use std::os::unix::fs::PermissionsExt as _;
    let mut relay = Relay::start();
    relay.stop();
    let key = relay.data().join("key.pem");
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    fails(Relay::command(relay.data(), ANY), 1, "key.pem");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    relay.restart();
}
