//! What leaks: into the list of processes, files that others read, the terminal, and over weak connections.

use std::{
    env, fs,
    os::unix::fs::PermissionsExt as _,
    process::{Command, Stdio},
    sync::Arc,
};

use hearth_kit::{AGREEMENT, AtTerminal, Circle, Person, Relay, text_file, wait_until};
use hearth_protocol::{Pin, hash, invite::Grant};
use rcgen::PublicKeyData as _;
use rustls::{ServerConfig, crypto::aws_lc_rs, pki_types::PrivateKeyDer, version::TLS13};

/// Whether a process has a word on its command line, as everybody on the computer sees it.
fn shows(pid: u32, word: &str) -> bool {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap();
    String::from_utf8_lossy(&line).contains(word)
}

#[test]
fn c1_links_stay_out_of_processes() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let link = circle.invite(&[]);
    let secret = link.split_once('#').unwrap().1.to_owned();
    let ben = Person::new();
    // Asked for, and not shown.
    let mut join = AtTerminal::start(&ben, "xterm", &["join", "--as", "Ben"]);
    join.await_words("The invite (paste it; it is not shown): ");
    wait_until("no echo", || join.is_changed());
    join.types(&format!("{link}\r"));
    join.await_words("key file beside the profile): ");
    join.types("\r");
    join.await_words("Type yes to go on without one");
    join.types("yes\r");
    join.await_words("I acknowledge");
    assert!(!shows(join.pid(), &secret[..20]));
    join.types("I acknowledge\r");
    join.await_words("You have knocked");
    circle.fay("admit", &["Ben"]);
    let (status, screen) = join.ends();
    assert_eq!(status.code(), Some(0), "{screen}");
    assert!(!screen.contains(&secret[..20]), "{screen}");
}

#[test]
fn c1_links_come_from_standard_input() {
    let relay = Relay::start();
    let agreement = text_file(AGREEMENT);
    let path = agreement.path().to_str().unwrap();
    let fay = Person::new();
    let grant = relay.grant();
    let create = ["room", "create", "Evening", "--agreement", path, "--as", "Fay", "--grant"];
    let made = fay.run_with_input(&[&create[..], &["-"]].concat(), grant.as_bytes()).done();
    let (room, id) = (made[0]["room"].as_str().unwrap(), made[0]["agreement"].as_str().unwrap());
    let invite = || fay.does(&["invite", room])[0]["link"].as_str().unwrap().to_owned();
    let (first, second, third) = (invite(), invite(), invite());
    let ben = Person::new();
    let shown = ben.run_with_input(&["agreement", "show", "-"], first.as_bytes()).done();
    assert_eq!(shown[0]["agreement"], id);
    let join = ["join", "-", "--as", "Ben", "--acknowledge", id, "--no-wait"];
    ben.run_with_input(&join, first.as_bytes()).done();
    fay.run_with_input(&["revoke", room, "-"], second.as_bytes()).done();
    ben.run_with_input(&["burn-invite", "-"], third.as_bytes()).done();
    // Nobody to ask: it says how.
    for args in [&["join"][..], &["burn-invite"], &["agreement", "show"], &["revoke", room]] {
        let answer = fay.run(args);
        let object = answer.refused(2, "usage");
        assert!(object["try"].as_str().unwrap().contains(" -"), "{object}");
    }
    fay.run(&[&create[..7], &[]].concat()).refused(2, "usage");
    fay.run(&create).refused(2, "usage");
}

/// A script is warned as a person is: its links are in the list of processes for as long as it runs.
#[test]
fn links_as_arguments_are_warned_about() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let link = circle.invite(&["--uses", "5"]);
    let ben = Person::new();
    let ack = circle.agreement.as_str();
    let join = ["join", &link, "--as", "Ben", "--acknowledge", ack, "--no-wait"];
    let agreement = text_file(AGREEMENT);
    let grant = relay.grant();
    let create = ["room", "create", "Evening", "--grant", &grant, "--as", "Gus", "--agreement"];
    let create = [&create[..], &[agreement.path().to_str().unwrap()]].concat();
    for (person, args, instead) in [
        (&ben, &["agreement", "show", &link][..], "`hearth agreement show -`"),
        (&ben, &join, "`hearth join -`"),
        (&Person::new(), &create, "`hearth room create TITLE --grant - "),
        (&ben, &["burn-invite", &link], "`hearth burn-invite -`"),
        (&circle.fay, &["revoke", &circle.room, &link], "`hearth revoke tuesday-evening -`"),
    ] {
        for json in [true, false] {
            let ended = if json { person.run(args).stderr } else { person.sees(args).stderr };
            assert_eq!(ended.matches("list of processes").count(), 1, "{args:?}: {ended}");
            assert!(ended.contains(instead), "{args:?}: {ended}");
            assert!(!ended.contains(link.split_once('#').unwrap().1), "{ended}");
        }
    }
    let show = ["agreement", "show", &link];
    let warned = AtTerminal::start(&ben, "xterm", &show).ends().1;
    assert_eq!(warned.matches("list of processes").count(), 1, "{warned}");
    // What is typed in the chat is on no command line.
    let mut chat = circle.fay.starts_plainly(&["chat", &circle.room]);
    chat.type_line(&format!("/revoke {link}"));
    chat.type_line("/quit");
    let ended = chat.wait_open();
    assert!(!ended.stdout.contains("list of processes"), "{ended:?}");
    let input = ben.run_with_input(&["agreement", "show", "-"], link.as_bytes());
    assert!(!input.stderr.contains("list of processes"), "{input:?}");
}

#[test]
fn c2_exposed_passphrase_files_are_refused() {
    let relay = Relay::start();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("passphrase");
    fs::write(&path, "seven quiet otters\n").unwrap();
    let mode = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    mode(0o600);
    let flags = ["--passphrase-file", path.to_str().unwrap()];
    let circle = Circle::open_as(&relay, Person::new().with_flags(&flags));
    let list = || circle.fay.run(&["room", "list"]);
    for exposed in [0o644, 0o640, 0o604, 0o660, 0o610] {
        mode(exposed);
        let answer = list();
        let object = answer.refused(1, "passphrase_file_exposed");
        assert!(object["try"].as_str().unwrap().contains("chmod 600"), "{object}");
        let new = ["profile", "passphrase", "--new-passphrase-file", path.to_str().unwrap()];
        circle.fay.run(&new).refused(1, "passphrase_file_exposed");
    }
    for good in [0o600, 0o400] {
        mode(good);
        list().done();
    }
    // What a link leads to counts; a pipe has no other readers.
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let with = |file: &str| {
        Person::at(circle.fay.home())
            .with_flags(&["--passphrase-file", file])
            .run(&["room", "list"])
    };
    with(link.to_str().unwrap()).done();
    mode(0o644);
    with(link.to_str().unwrap()).refused(1, "passphrase_file_exposed");
    mode(0o600);
    with(folder.path().to_str().unwrap()).refused(2, "usage");
    let script = "\"$1\" --home \"$2\" --json --passphrase-file <(cat \"$3\") room list";
    let hearth = Person::bare();
    let mut piped = Command::new("bash");
    piped.args(["-c", script, "bash"]).arg(hearth.get_program()).arg(circle.fay.home()).arg(&path);
    let output = piped.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn c2_short_passphrases_are_refused() {
    let relay = Relay::start();
    let (grant, agreement) = (relay.grant(), text_file(AGREEMENT));
    let path = agreement.path().to_str().unwrap();
    for short in ["a", "1234567", "aaaaaaaaaaaa", "  abc       "] {
        let file = text_file(&format!("{short}\n"));
        let flags = ["--passphrase-file", file.path().to_str().unwrap()];
        let fay = Person::new().with_flags(&flags);
        let create = ["room", "create", "Evening", "--grant", &grant, "--as", "Fay"];
        let answer = fay.run(&[&create[..], &["--agreement", path]].concat());
        let object = answer.refused(1, "passphrase_short");
        assert!(object["try"].as_str().unwrap().contains("four words"), "{object}");
        assert!(!fay.home().exists(), "a profile was made");
    }
    let circle = Circle::open(&relay);
    let file = text_file("a\n");
    let new = ["profile", "passphrase", "--new-passphrase-file", file.path().to_str().unwrap()];
    circle.fay.run(&new).refused(1, "passphrase_short");
    circle.news(&circle.fay);
    // Typed as well, where it is asked for again: what is typed after the end would go to the command line.
    let new = Person::new();
    let args = ["room", "create", "Evening", "--grant", &grant, "--as", "Fay", "--agreement", path];
    let mut prompt = AtTerminal::start(&new, "xterm", &args);
    prompt.await_words("key file beside the profile): ");
    prompt.types("short\r");
    prompt.await_words("four words");
    assert!(!new.home().exists(), "a profile was made");
    wait_until("no echo", || prompt.is_changed());
    prompt.types("long enough words\r");
    prompt.await_words("The same again: ");
    wait_until("no echo", || prompt.is_changed());
    prompt.types("long enough words\r");
    assert_eq!(prompt.ends().0.code(), Some(0));
    assert!(new.home().exists());
}

#[test]
#[ignore = "c3_panic_says_its_place_only runs it"]
fn panics_with_words() {
    if env::var_os("HEARTH_TEST_PANICS").is_some() {
        hearth_client::fault::say_place_only();
        let words = format!("the words of {}", "somebody");
        let end = words.len() + 1;
        assert_eq!(&words[..end], "out of range");
    }
}

#[test]
fn c3_panic_says_its_place_only() {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--ignored", "--exact", "found::leaks::panics_with_words", "--nocapture"]);
    let output = command.env("HEARTH_TEST_PANICS", "1").output().unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(!output.status.success(), "{said}");
    assert!(said.contains("hearth: a fault of the program at "), "{said}");
    assert!(said.contains("leaks.rs:") && !said.contains("the words"), "{said}");
    // Both programs begin with it.
    for (program, hook) in [
        (include_str!("../../../client/src/main.rs"), "fault::say_place_only();"),
        (include_str!("../../../server/src/main.rs"), "end_with_the_main_thread();"),
    ] {
        let main = program.split_once("fn main() -> ExitCode {").unwrap().1;
        assert!(main.trim_start().starts_with(hook), "{hook}");
    }
}

#[test]
fn c7_alternate_screen_keeps_no_words() {
    const SHOWN: &str = "\x1b[?1049h";
    const GONE: &str = "\x1b[?1049l";
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ends: [fn(&mut AtTerminal); 3] = [
        |chat| chat.types("/quit\r"),
        |chat| chat.types("\u{4}"),
        |chat| chat.signal(rustix::process::Signal::TERM),
    ];
    for (n, end) in ends.into_iter().enumerate() {
        let args = ["chat", &circle.room, "--alternate-screen"];
        let mut chat = AtTerminal::start(&circle.fay, "xterm", &args);
        chat.await_words("/quit ends");
        // What the program has not read when it ends, the terminal itself echoes.
        chat.types(&format!("private words {n}\r"));
        chat.await_words(&format!("Fay: private words {n}"));
        end(&mut chat);
        let (status, screen) = chat.ends();
        assert_eq!(status.code(), Some(0), "{screen}");
        let (before, rest) = screen.split_once(SHOWN).unwrap();
        let (_, after) = rest.rsplit_once(GONE).unwrap();
        for text in [before, after] {
            assert!(!text.contains("private") && !text.contains("Tuesday"), "{screen:?}");
        }
    }
    // Where there is none, it is said; a pipe is spared the sequences.
    let args = ["chat", &circle.room, "--alternate-screen"];
    let mut plain = AtTerminal::start(&circle.fay, "dumb", &args);
    plain.await_words("no alternate screen");
    plain.types("/quit\n");
    assert!(!plain.ends().1.contains('\u{1b}'));
    let mut piped = circle.fay.starts_plainly(&args);
    piped.type_line("/quit");
    assert!(!piped.wait_open().stdout.contains('\u{1b}'));
}

/// A TLS server with the right key and X25519 alone: a proxy of last year, or an attacker who records for later.
#[test]
fn a11_pinned_link_requires_post_quantum() {
    let relay = Relay::start();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let pin = Pin(hash::sha256(&made.signing_key.subject_public_key_info()).0);
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let mut provider = aws_lc_rs::default_provider();
    provider.kx_groups = vec![aws_lc_rs::kx_group::X25519];
    let config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut grant = Grant::parse(&relay.grant()).unwrap();
    grant.address.authority = listener.local_addr().unwrap().to_string();
    grant.address.pin = Some(pin);
    let serving = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut tls = rustls::ServerConnection::new(config).unwrap();
        let mut heard = Vec::new();
        let mut both = rustls::Stream::new(&mut tls, &mut stream);
        // The client ends without a goodbye.
        let _ = std::io::Read::read_to_end(&mut both, &mut heard);
        heard
    });
    let agreement = text_file(AGREEMENT);
    let link = grant.to_link();
    let args = ["room", "create", "Evening", "--grant", &link, "--as", "Fay", "--agreement"];
    let path = agreement.path().to_str().unwrap();
    let answer = Person::new().run(&[&args[..], &[path]].concat());
    let object = answer.refused(5, "not_post_quantum");
    assert!(object["message"].as_str().unwrap().contains("post-quantum"), "{object}");
    assert_eq!(serving.join().unwrap(), b"", "something was sent");
}
