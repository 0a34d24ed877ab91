//! A profile in trouble is told what it is, and left as it was.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use hearth_kit::{Answer, Circle, Person, Relay, text_file};
use hearth_protocol::{
    hash::sha256,
    mls_header::{self, ContentType},
};

/// A profile with something in it, whose relay may be gone.
fn lived_in() -> (Relay, Circle) {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    circle.say(&circle.fay, "Something to keep");
    (relay, circle)
}

fn copy(from: &Path) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    fs::create_dir(&home).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), home.join(entry.file_name())).unwrap();
    }
    (folder, home)
}

/// Runs `who` on a copy of a profile after something was done to it; checks that nothing was changed by asking.
fn after(circle: &Circle, harm: impl FnOnce(&Path)) -> Answer {
    let (_folder, home) = copy(circle.fay.home());
    harm(&home);
    let contents = |home: &Path| -> Vec<(PathBuf, Vec<u8>)> {
        let mut files: Vec<_> = fs::read_dir(home)
            .unwrap()
            .map(|e| e.unwrap().path())
            .filter(|path| path.is_file() && !path.to_string_lossy().contains("hearth.db-"))
            .map(|path| (path.clone(), fs::read(path).unwrap()))
            .collect();
        files.sort();
        files
    };
    let before = contents(&home);
    let answer = Person::at(&home).run(&["room", "list"]);
    assert_eq!(contents(&home), before, "{answer:?}");
    answer
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    let at = at.min(bytes.len() - 1);
    bytes[at] ^= 0x20;
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_profile_in_use_is_not_shared() {
    let (_relay, circle) = lived_in();
    let mut following = circle.fay.starts(&["follow", &circle.room]);
    following.await_line("the past", |line| line.contains("Something to keep"));
    circle.fay.run(&["profile", "check"]).refused(1, "profile_in_use");
    circle.fay.run(&["receipt", &circle.room]).refused(1, "profile_in_use");
    following.close_input();
    assert_eq!(following.wait().code, Some(0));
    circle.say(&circle.fay, "x");
}

#[test]
fn damage_is_found_and_nothing_is_made_worse() {
    let (_relay, circle) = lived_in();
    for at in [0, 20, 60, 10_000] {
        after(&circle, |home| flip(&home.join("profile"), at)).refused(1, "profile_damaged");
    }
    after(&circle, |home| fs::write(home.join("profile"), b"").unwrap())
        .refused(1, "profile_damaged");
    after(&circle, |home| fs::remove_file(home.join("profile")).unwrap())
        .refused(1, "profile_damaged");
    after(&circle, |home| {
        fs::write(home.join("hearth.db"), b"not a database, surely not").unwrap()
    })
    .refused(1, "profile_damaged");
    after(&circle, |home| fs::write(home.join("hearth.db"), b"").unwrap())
        .refused(1, "profile_damaged");
    after(&circle, |home| fs::remove_file(home.join("hearth.db")).unwrap())
        .refused(1, "profile_damaged");
    after(&circle, |home| fs::write(home.join("key"), b"short").unwrap())
        .refused(1, "profile_damaged");

    // A flipped bit anywhere in the store is found by the check, if not before.
    let size =
        usize::try_from(fs::metadata(circle.fay.home().join("hearth.db")).unwrap().len()).unwrap();
    for part in [1, 3, 5, 7] {
        let (_folder, home) = copy(circle.fay.home());
        let store = rusqlite::Connection::open(home.join("hearth.db")).unwrap();
        let page: usize = store.query_row("PRAGMA page_size", [], |row| row.get(0)).unwrap();
        drop(store);
        flip(&home.join("hearth.db"), size / page * part / 8 * page + page - 9);
        let answer = Person::at(&home).run(&["profile", "check"]);
        assert_ne!(answer.code, None, "{answer:?}");
        assert!(!answer.stderr.contains("panicked"), "{answer:?}");
        if answer.code != Some(0) {
            answer.refused(1, "profile_damaged");
        }
    }
}

#[test]
fn a_key_file_is_checked() {
    let (_relay, circle) = lived_in();
    let wrong = |home: &Path| fs::write(home.join("key"), [7; 32]).unwrap();
    after(&circle, wrong).refused(1, "wrong_key_file");
    let gone = |home: &Path| fs::remove_file(home.join("key")).unwrap();
    after(&circle, gone).refused(1, "key_file_missing");
    let exposed = |home: &Path| {
        fs::set_permissions(home.join("key"), fs::Permissions::from_mode(0o644)).unwrap();
    };
    after(&circle, exposed).refused(1, "key_file_exposed");
    // A profile and its key file can live apart.
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("my key");
    let (_folder, home) = copy(circle.fay.home());
    fs::rename(home.join("key"), &key).unwrap();
    let apart = Person::at(&home).with_flags(&["--key-file", key.to_str().unwrap()]);
    assert_eq!(apart.does(&["room", "list"]).len(), 1);
}

#[test]
fn a_newer_profile_is_left_alone() {
    let (_relay, circle) = lived_in();
    after(&circle, |home| {
        let mut bytes = fs::read(home.join("profile")).unwrap();
        let body = bytes.len() - 32;
        bytes[17] = 9;
        let hash = sha256(&bytes[..body]).0;
        bytes[body..].copy_from_slice(&hash);
        fs::write(home.join("profile"), bytes).unwrap();
    })
    .refused(1, "profile_newer");
    after(&circle, |home| {
        let store = rusqlite::Connection::open(home.join("hearth.db")).unwrap();
        store.execute_batch("PRAGMA user_version = 99").unwrap();
    })
    .refused(1, "profile_newer");
}

#[test]
fn an_older_copy_of_the_store_is_not_used() {
    let (_relay, circle) = lived_in();
    let (_folder, earlier) = copy(circle.fay.home());
    circle.say(&circle.fay, "Said since");
    after(&circle, |home| {
        fs::copy(earlier.join("hearth.db"), home.join("hearth.db")).unwrap();
    })
    .refused(1, "profile_went_back");
}

/// T26: the whole folder, mark and all, as a backup of the home directory would bring it back.
#[test]
fn a_profile_restored_whole_is_told_and_uses_no_key_again() {
    let mut relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    circle.say(&ben, "before");
    let (_folder, earlier) = copy(ben.home());
    for number in 1..=3 {
        circle.say(&ben, &format!("since {number}"));
    }
    fs::remove_dir_all(ben.home()).unwrap();
    fs::create_dir(ben.home()).unwrap();
    for entry in fs::read_dir(&earlier).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), ben.home().join(entry.file_name())).unwrap();
    }
    let sent = ben.run(&["send", &circle.room, "after"]);
    assert_eq!(sent.code, Some(0), "{sent:?}");
    // Told of each of the three, at once and in the history.
    let seen = ben.run(&["read", &circle.room, "--all"]);
    assert_eq!(seen.stdout.matches("not_mine").count(), 3, "{seen:?}");
    // The others read all of it, and are told that the numbers of before come again.
    let seen = circle.fay.run(&["read", &circle.room, "--all"]);
    let all = |field: &str| -> Vec<&str> {
        let lines = seen.lines.iter().filter(|row| row["from"] == "Ben");
        lines.filter_map(|row| row[field].as_str()).collect()
    };
    let texts: Vec<&str> = all("text").into_iter().filter(|text| !text.contains('\'')).collect();
    assert_eq!(texts, ["before", "since 1", "since 2", "since 3", "after"]);
    assert_eq!(all("notice"), ["counter_reused"]);
    // The three were of one epoch. Nothing more was encrypted in it but the commit that ended it.
    relay.stop();
    let store = rusqlite::Connection::open(relay.data().join("hearth.db")).unwrap();
    let mut entries =
        store.prepare("SELECT payload FROM entries WHERE key >> 40 = 1 ORDER BY key").unwrap();
    let payloads = entries.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap();
    let log: Vec<_> = payloads.map(|p| mls_header::parse(&p.unwrap()).unwrap()).collect();
    let [.., one, two, three, renewal, after] = log.as_slice() else { panic!("{log:?}") };
    assert!(one.epoch == two.epoch && two.epoch == three.epoch && three.epoch == renewal.epoch);
    assert_eq!((three.content, renewal.content), (ContentType::Application, ContentType::Commit));
    assert_eq!((after.content, after.epoch.0), (ContentType::Application, renewal.epoch.0 + 1));
}

#[test]
fn a_passphrase_opens_and_only_it() {
    let relay = Relay::start();
    let (right, wrong) = (text_file("correct horse\n"), text_file("battery staple\n"));
    let empty = text_file("\n");
    let path = |file: &tempfile::NamedTempFile| file.path().to_str().unwrap().to_owned();
    let fay = Person::new().with_flags(&["--passphrase-file", &path(&right)]);
    let circle = Circle::open_as(&relay, fay);
    let home = circle.fay.home();
    assert!(!home.join("key").exists());
    let with = |flags: &[&str]| Person::at(home).with_flags(flags).run(&["room", "list"]);
    with(&["--passphrase-file", &path(&wrong)]).refused(1, "wrong_passphrase");
    with(&["--passphrase-file", &path(&empty)]).refused(2, "passphrase_file_empty");
    with(&["--passphrase-file", "/nonexistent"]).refused(2, "usage");
    with(&[]).refused(1, "passphrase_needed");
    circle.fay.does(&["profile", "passphrase", "--new-passphrase-file", &path(&wrong)]);
    with(&["--passphrase-file", &path(&right)]).refused(1, "wrong_passphrase");
    assert_eq!(with(&["--passphrase-file", &path(&wrong)]).done().len(), 1);
}

#[test]
fn wiping_needs_a_yes_and_leaves_nothing() {
    let (_relay, circle) = lived_in();
    circle.fay.run(&["profile", "wipe"]).refused(2, "usage");
    circle.fay.run(&["room", "wipe", &circle.room]).refused(2, "usage");
    assert_eq!(circle.fay.does(&["room", "list"]).len(), 1);
    circle.fay.does(&["room", "wipe", &circle.room, "--yes"]);
    assert!(circle.fay.does(&["room", "list"]).is_empty());
    circle.fay.does(&["profile", "wipe", "--yes"]);
    circle.fay.run(&["room", "list"]).refused(2, "no_profile");
}

#[test]
fn home_behind_link_works() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let folder = tempfile::TempDir::new().unwrap();
    let (real, link) = (folder.path().join("real"), folder.path().join("link"));
    fs::create_dir(&real).unwrap();
    std::os::unix::fs::symlink(&real, &link).unwrap();
    let ben = Person::at(link.join("deep/ben"));
    circle.admit_person(&ben, "Ben");
    circle.say(&ben, "through a link");
    assert!(real.join("deep/ben/hearth.db").exists());
}
