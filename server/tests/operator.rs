//! What an operator types before the relay and beside it.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::{
    fs,
    io::{BufRead as _, BufReader},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use hearth_protocol::invite::Grant;
use serde_json::Value;

fn hearthd(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hearthd"));
    command.env_clear().args(args).stdin(Stdio::null()).output().unwrap()
}

fn out(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Two lines: what stands against it, and what to try.
fn refused(output: &Output, code: i32, says: &str) -> String {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(code), "{text}");
    assert!(text.contains(says), "{text}");
    assert_eq!(text.lines().count(), 2, "{text}");
    text.lines().nth(1).unwrap().to_owned()
}

/// A relay on a free port. It is killed when dropped.
struct Running(Child, String);

impl Running {
    fn start(dir: &Path, more: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hearthd"));
        command.env_clear().arg("--data-dir").arg(dir).args(["--listen", "127.0.0.1:0"]).args(more);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with("hearthd ready"), "{line}");
        Self(child, line)
    }

    fn stop(mut self) {
        let pid = rustix::process::Pid::from_child(&self.0);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        assert!(self.0.wait().unwrap().success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// Runs a command beside the relay in the folder `relay`.
    fn run(&self, args: &[&str]) -> Output {
        hearthd(&[&["--data-dir", &self.text("relay")], args].concat())
    }

    /// Starts the relay once, so that there is a store.
    fn start_once(&self) {
        Running::start(&self.path("relay"), &[]).stop();
    }
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn init_writes_settings_that_start() {
    let place = Place::new();
    let (file, data) = (place.text("etc/hearthd.toml"), place.text("data"));
    let init = |file: &str| {
        hearthd(&["init", "--address", "relay.example.org:7999", "--data", &data, "--config", file])
    };
    let said = out(&init(&file));
    assert!(said.contains("relay.example.org:7999") && said.contains("TCP port 7999"), "{said}");
    let next: Vec<&str> = said.lines().filter_map(|line| line.strip_prefix("  hearthd ")).collect();
    assert_eq!(next, [format!("--config {file}"), format!("--config {file} grant")]);
    let mode = |path: &str| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&file), mode(&data)), (0o600, 0o700));

    // The first grant may come before the first start.
    let link = out(&hearthd(&["--config", &file, "grant"]));
    assert_eq!(Grant::parse(&link).unwrap().address.authority, "relay.example.org:7999");
    let running = Running::start(Path::new(&data), &["--config", &file]);
    assert!(running.1.contains(&Grant::parse(&link).unwrap().address.pin.unwrap().to_hex()));
    running.stop();

    // It never writes over a file.
    let before = fs::read(&file).unwrap();
    let advice = refused(&init(&file), 1, "is there already, and was not changed");
    assert!(advice.contains(&format!("--config {file}-2`")), "{advice}");
    assert_eq!(fs::read(&file).unwrap(), before);
}

#[test]
fn init_without_address_asks_nobody() {
    let place = Place::new();
    let file = place.text("hearthd.toml");
    let advice = refused(&hearthd(&["init", "--config", &file]), 2, "nobody can be asked here");
    assert!(advice.contains("`hearthd init --address "), "{advice}");
    let wrong = hearthd(&["init", "--config", &file, "--address", "a b"]);
    refused(&wrong, 2, "is not a host");
    assert!(!Path::new(&file).exists());
}

fn report(place: &Place, more: &[&str]) -> (Option<i32>, Value) {
    let output = place.run(&[more, &["doctor", "--json"]].concat());
    (output.status.code(), serde_json::from_slice(&output.stdout).unwrap())
}

fn state(report: &Value, check: &str) -> String {
    let findings = report["findings"].as_array().unwrap();
    let found = findings.iter().find(|finding| finding["check"] == check);
    found.unwrap_or_else(|| panic!("{check} in {report}"))["state"].as_str().unwrap().to_owned()
}

/// Each check in both its outcomes, beside a running relay and without one.
#[test]
fn doctor_finds_what_is_wrong() {
    let place = Place::new();
    let (code, missing) = report(&place, &[]);
    assert_eq!((code, state(&missing, "folder").as_str()), (Some(2), "failure"));
    let relay = place.path("relay");
    let running = Running::start(&relay, &[]);
    out(&place.run(&["backup", &place.text("backup")]));
    let (code, well) = report(&place, &["--listen", "127.0.0.1:0"]);
    for check in [
        "settings",
        "modes",
        "disk",
        "open files",
        "store",
        "backup",
        "relay",
        "certificate",
        "outside",
    ] {
        assert_ne!(state(&well, check), "failure", "{check}: {well}");
    }
    for check in ["modes", "store", "backup", "relay", "certificate", "outside"] {
        assert_eq!(state(&well, check), "ok", "{check}: {well}");
    }
    // The machine of the test may lack a time service or space, which are warnings.
    assert_ne!(code, Some(2), "{well}");
    running.stop();

    let (_, stopped) = report(&place, &["--listen", "127.0.0.1:0"]);
    assert_eq!(state(&stopped, "relay"), "warning");
    assert_eq!(state(&stopped, "port"), "ok");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (code, busy) = report(&place, &["--listen", &taken.local_addr().unwrap().to_string()]);
    assert_eq!((code, state(&busy, "port").as_str()), (Some(2), "failure"));

    let fails = |check: &str, spoil: &dyn Fn(), mend: &dyn Fn()| {
        spoil();
        let (code, report) = report(&place, &["--listen", "127.0.0.1:0"]);
        assert_eq!((code, state(&report, check).as_str()), (Some(2), "failure"), "{report}");
        mend();
    };
    let mode = |name: &'static str, mode| {
        let path = relay.join(name);
        move || fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap()
    };
    fails("modes", &mode("hearth.db", 0o644), &mode("hearth.db", 0o600));
    fails("certificate", &mode("key.pem", 0o604), &mode("key.pem", 0o600));
    let (key, aside) = (relay.join("key.pem"), place.path("aside"));
    fails("certificate", &|| fs::rename(&key, &aside).unwrap(), &|| {
        fs::rename(&aside, &key).unwrap()
    });
    let marker = relay.join("restoring");
    fails("restore", &|| fs::write(&marker, "/b\n/a\nmoving\n").unwrap(), &|| {
        fs::remove_file(&marker).unwrap()
    });
    let store = relay.join("hearth.db");
    let sound = fs::read(&store).unwrap();
    let mut spoilt = sound.clone();
    let half = spoilt.len() / 2;
    spoilt[half..].fill(7);
    fails("store", &|| fs::write(&store, &spoilt).unwrap(), &|| fs::write(&store, &sound).unwrap());
    let later = std::time::SystemTime::now() + std::time::Duration::from_secs(3600);
    let file = fs::File::options().write(true).open(&store).unwrap();
    fails("clock", &|| file.set_modified(later).unwrap(), &|| {
        file.set_modified(std::time::SystemTime::now()).unwrap()
    });
}

#[test]
fn doctor_report_holds_no_secret() {
    let place = Place::new();
    let running = Running::start(&place.path("relay"), &["--public-url", "localhost:9"]);
    let grant = Grant::parse(&out(&place.run(&["grant"]))).unwrap();
    for args in [["doctor"].as_slice(), &["doctor", "--json"]] {
        let output = place.run(&[&["--public-url", "localhost:9"], args].concat());
        let text = String::from_utf8(output.stdout).unwrap().to_lowercase();
        let secrets = [
            grant.address.pin.unwrap().to_hex(),
            grant.address.relay.to_hex(),
            "localhost".into(),
            "127.0.0.1".into(),
        ];
        for secret in secrets {
            assert!(!text.contains(&secret), "{secret}: {text}");
        }
        assert!(text.contains("outside"), "{text}");
    }
    running.stop();
}

/// The messages that a start gives name the address; the report does not.
#[test]
fn doctor_failures_name_no_address() {
    let place = Place::new();
    place.start_once();
    let file = place.text("live/relay.example.org/privkey.pem");
    let own = ["--tls-cert", &file, "--tls-key", &file];
    for (settings, check) in [
        (["--public-url", "relay.example.org"].as_slice(), "settings"),
        (&["--listen", "203.0.113.7:7443"], "port"),
        (&["--listen", "203.0.113.7:7443", "--plain"], "settings"),
        (&["--admin-listen", "203.0.113.7:7443"], "settings"),
        (&own, "certificate"),
    ] {
        let (_, report) = report(&place, settings);
        assert_eq!(state(&report, check), "failure", "{report}");
        for address in ["relay.example.org", "203.0.113.7"] {
            assert!(!report.to_string().contains(address), "{report}");
        }
    }
}

#[test]
fn grants_are_listed_and_revoked() {
    let place = Place::new();
    let running = Running::start(&place.path("relay"), &[]);
    assert!(out(&place.run(&["grant", "list"])).contains("No grant"));
    out(&place.run(&["grant", "--rooms", "3", "--members", "20"]));
    let link = out(&place.run(&["grant"]));
    let list = out(&place.run(&["grant", "list"]));
    assert_eq!(list.lines().count(), 2, "{list}");
    let three = list.lines().find(|line| line.contains("3 rooms of 20 members")).unwrap();
    let name = three.split_whitespace().next().unwrap();
    refused(&place.run(&["grant", "revoke", &name[..3]]), 2, "no grant, or more than one");
    out(&place.run(&["grant", "revoke", name]));
    refused(&place.run(&["grant", "revoke", name]), 2, "no grant, or more than one");
    // The link itself comes over standard input, so that no other account reads it.
    let mut command = Command::new(env!("CARGO_BIN_EXE_hearthd"));
    command.env_clear().args(["--data-dir", &place.text("relay"), "grant", "revoke", "-"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), link.as_bytes()).unwrap();
    assert!(child.wait_with_output().unwrap().status.success());
    assert!(out(&place.run(&["grant", "list"])).contains("No grant"));
    running.stop();
}

/// Older backups of this relay go once the new one is whole; what is not ours stays and stops it.
#[test]
fn backups_beyond_keep_are_deleted() {
    let place = Place::new();
    place.start_once();
    let all = place.text("all");
    let backup = || place.run(&["backup", "--keep", "2", &all]);
    let mut made = Vec::new();
    for _ in 0..4 {
        made.push(PathBuf::from(out(&backup()).trim()));
        assert!(made.last().unwrap().is_file());
    }
    let of =
        |path: &PathBuf| path.parent().unwrap().file_name().unwrap().to_str().unwrap().to_owned();
    let kept: Vec<String> =
        names(Path::new(&all)).into_iter().filter(|name| name.starts_with("hearthd-")).collect();
    let mut last: Vec<String> = made[2..].iter().map(of).collect();
    last.sort();
    assert_eq!(kept, last);

    // Another relay's backups in the same folder stay.
    let other = place.text("other");
    Running::start(Path::new(&other), &[]).stop();
    out(&hearthd(&["--data-dir", &other, "backup", "--keep", "1", &all]));
    out(&backup());
    assert_eq!(
        names(Path::new(&all)).iter().filter(|name| name.starts_with("hearthd-")).count(),
        3
    );

    // What was cut short goes.
    fs::create_dir(place.path("all/hearthd-2026-01-01T00-00-00Z.partial")).unwrap();
    out(&backup());
    assert!(!names(Path::new(&all)).iter().any(|name| name.ends_with(".partial")));

    // Without --keep, the advice fits the folder.
    let advice = refused(&place.run(&["backup", &all]), 1, "holds backups made with --keep");
    assert!(advice.contains(&format!("--keep 7 {all}`")), "{advice}");
    fs::write(place.path("all/notes"), "mine").unwrap();
    let before = names(Path::new(&all));
    let advice = refused(&backup(), 1, "holds notes, which is not a backup");
    assert!(advice.contains(&format!("{all}/hearthd-backups`")), "{advice}");
    assert_eq!(names(Path::new(&all)), before);
}

#[test]
fn restore_takes_whole_backups_only() {
    let place = Place::new();
    place.start_once();
    let backup = place.text("backup");
    let store = PathBuf::from(out(&place.run(&["backup", &backup])).trim());
    let restore = |from: &str| place.run(&["restore", "--yes", from]);
    let whole = fs::read(&store).unwrap();
    let before = fs::read(place.path("relay/hearth.db")).unwrap();
    for bad in
        [whole[..whole.len() / 2].to_vec(), [&whole[..], b"x"].concat(), vec![7; whole.len()]]
    {
        fs::write(&store, bad).unwrap();
        refused(&restore(&backup), 1, "is not whole");
    }
    fs::write(&store, &whole).unwrap();
    let note = place.path("backup/backup.toml");
    let said = fs::read_to_string(&note).unwrap();
    for bad in ["", &said[..said.len() / 2], &said.replace("format = 1", "format = 2")] {
        fs::write(&note, bad).unwrap();
        refused(&restore(&backup), 1, "is not whole");
    }
    fs::write(&note, said).unwrap();
    fs::rename(&store, place.path("backup/hearth.db.next")).unwrap();
    refused(&restore(&backup), 1, "is not whole");
    refused(&restore(&place.text("relay-not")), 1, "there is no such file");
    fs::create_dir(place.path("empty")).unwrap();
    refused(&restore(&place.text("empty")), 1, "holds no backup");
    fs::remove_file(place.path("backup/hearth.db.next")).unwrap();
    fs::write(&store, &whole).unwrap();

    // Another relay's backup, and a relay that runs.
    let other = place.text("other");
    Running::start(Path::new(&other), &[]).stop();
    out(&hearthd(&["--data-dir", &other, "backup", &place.text("foreign")]));
    refused(&restore(&place.text("foreign")), 1, "the store of another relay");
    refused(&restore(&place.text("relay")), 1, "is the relay's own directory");
    // Without the key that members pinned, nobody could connect.
    let key = place.path("relay/key.pem");
    fs::rename(&key, place.path("key")).unwrap();
    fs::remove_file(place.path("backup/key.pem")).unwrap();
    refused(&restore(&backup), 1, "has the key that members pinned");
    fs::rename(place.path("key"), &key).unwrap();
    let running = Running::start(&place.path("relay"), &[]);
    refused(&restore(&backup), 1, "another relay is running");
    running.stop();
    assert_eq!(fs::read(place.path("relay/hearth.db")).unwrap().len(), before.len());
    // Nobody can be asked here.
    let advice = refused(&place.run(&["restore", &backup]), 2, "nothing was done");
    assert!(advice.contains("--yes"), "{advice}");
    assert!(!place.path("relay/restoring").exists());
}

/// Both relays make their backups into one folder.
#[test]
fn restore_tells_relays_apart() {
    let place = Place::new();
    place.start_once();
    let (other, all) = (place.text("other"), place.text("all"));
    Running::start(Path::new(&other), &[]).stop();
    let own = out(&place.run(&["backup", "--keep", "3", &all]));
    out(&hearthd(&["--data-dir", &other, "backup", "--keep", "3", &all]));
    out(&place.run(&["restore", "--yes", &all]));
    place.start_once();
    fs::remove_dir_all(place.path("relay")).unwrap();
    let advice = refused(&place.run(&["restore", "--yes", &all]), 1, "of several relays");
    assert!(advice.contains(&format!("{all}/hearthd-")), "{advice}");
    let own = Path::new(own.trim()).parent().unwrap().to_str().unwrap();
    out(&place.run(&["restore", "--yes", own]));
    place.start_once();
}

/// A machine that has nothing but the backup.
#[test]
fn restored_relay_keeps_identity_and_key() {
    let place = Place::new();
    let running = Running::start(&place.path("relay"), &["--public-url", "localhost:9"]);
    let before = Grant::parse(&out(&place.run(&["grant"]))).unwrap().address;
    let store = out(&place.run(&["backup", "--keep", "3", &place.text("all")]));
    running.stop();
    fs::rename(place.path("relay"), place.path("lost")).unwrap();
    // As on a disk that knows no modes.
    fs::set_permissions(store.trim(), fs::Permissions::from_mode(0o755)).unwrap();
    let said = out(&place.run(&["restore", "--yes", &place.text("all")]));
    assert!(said.contains("has no store that can be read"), "{said}");
    assert!(said.contains("hearth recover ROOM"), "{said}");
    for name in names(&place.path("relay")) {
        let mode = fs::metadata(place.path("relay").join(&name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{name}");
    }
    let running = Running::start(&place.path("relay"), &["--public-url", "localhost:9"]);
    let after = Grant::parse(&out(&place.run(&["grant"]))).unwrap().address;
    assert_eq!((after.relay, after.pin), (before.relay, before.pin));
    running.stop();
}

/// Killed at each step, told by the traces that it leaves, and finished by the same command.
#[test]
fn killed_restore_is_finished() {
    let place = Place::new();
    place.start_once();
    let backup = place.text("backup");
    out(&place.run(&["backup", &backup]));
    out(&place.run(&["backup", &place.text("second")]));
    let backup = fs::canonicalize(&backup).unwrap();
    let backup = backup.to_str().unwrap();
    let relay = place.path("relay");
    let aside = relay.join("replaced-then");
    let journal = |step: &str| {
        fs::write(relay.join("restoring"), format!("{backup}\n{}\n{step}\n", aside.display()))
            .unwrap();
    };
    for step in 0..4 {
        // 0: before anything moved, 1: half moved, 2: half copied, 3: all but the note gone.
        match step {
            0 => journal("moving"),
            1 => {
                journal("moving");
                fs::create_dir_all(&aside).unwrap();
                fs::rename(relay.join("hearth.db"), aside.join("hearth.db")).unwrap();
            }
            2 => {
                journal("placing");
                fs::remove_file(relay.join("hearth.db")).unwrap();
                fs::write(relay.join("hearth.db.restored"), "half").unwrap();
            }
            _ => journal("placing"),
        }
        for args in [
            ["--listen", "127.0.0.1:0"].as_slice(),
            &["grant", "--url", "wss://a.example:1"],
            &["rooms"],
            &["backup", &place.text("more")],
        ] {
            let advice = refused(&place.run(args), 1, "is not finished");
            assert!(advice.contains(&format!("{backup}`")), "{advice}");
        }
        refused(&place.run(&["restore", "--yes", &place.text("second")]), 1, "not finished");
        out(&place.run(&["restore", backup]));
        assert!(!relay.join("restoring").exists());
        if step < 2 {
            assert!(aside.join("hearth.db").exists(), "step {step}");
            fs::remove_dir_all(&aside).unwrap();
        }
        place.start_once();
    }
}

/// The stick with the backup breaks half-way; another backup takes its place.
#[test]
fn lost_backup_is_replaced_by_another() {
    let place = Place::new();
    place.start_once();
    let other = place.text("other one");
    out(&place.run(&["backup", &other]));
    let relay = place.path("relay");
    let aside = relay.join("replaced-then");
    fs::create_dir(&aside).unwrap();
    fs::rename(relay.join("hearth.db"), aside.join("hearth.db")).unwrap();
    let marker = relay.join("restoring");
    for text in [format!("/media/stick\n{}\nplacing\n", aside.display()), "\n".to_owned()] {
        fs::write(&marker, text).unwrap();
        let advice = refused(&place.run(&["restore", "--yes", &other]), 1, "restor");
        assert!(advice.contains(&format!("`rm {}`", marker.display())), "{advice}");
    }
    fs::remove_file(&marker).unwrap();
    refused(&place.run(&["--listen", "127.0.0.1:0"]), 1, "the store is gone");
    out(&place.run(&["restore", "--yes", &other]));
    place.start_once();
    // What is typed fits the shell.
    let advice = refused(&place.run(&["backup", &other]), 1, "holds a store already");
    assert!(advice.contains(&format!(" '{other}-2'`")), "{advice}");
}

#[test]
fn completions_and_pages_are_printed() {
    for shell in ["bash", "zsh", "fish"] {
        let text = out(&hearthd(&["completions", shell]));
        assert!(text.contains("hearthd") && text.contains("restore"), "{shell}");
    }
    let place = Place::new();
    out(&hearthd(&["man", &place.text("man")]));
    for page in ["hearthd.1", "hearthd-backup.1", "hearthd-doctor.1"] {
        assert!(place.path("man").join(page).is_file(), "{page}");
    }
}

/// The package refuses an upgrade by the number that this version needs.
#[test]
fn package_knows_the_store_format() {
    let place = Place::new();
    place.start_once();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/debian/preinst");
    let text = fs::read_to_string(script).unwrap();
    let needed = text.lines().find_map(|line| line.strip_prefix("NEEDED=")).unwrap();
    let header = fs::read(place.path("relay/hearth.db")).unwrap();
    let found = u32::from_be_bytes(header[60..64].try_into().unwrap());
    assert_eq!(needed, found.to_string());
}
