//! A full disk stops nobody's words from being there afterwards: not at a member, not at the relay.
//!
//! Needs the right to mount a small file system; says so and passes where there is none.

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use hearth_kit::{Circle, Person, Relay, RelayOptions, until};
use serde_json::Value;

/// A small file system in memory.
pub(super) struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    pub(super) fn mount(kib: u32) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={kib}k"), "tmpfs"])
            .arg(folder.path())
            .stderr(Stdio::null())
            .status();
        if mounted.is_ok_and(|status| status.success()) {
            return Some(Self(folder));
        }
        eprintln!("skipped: no right to mount a file system here");
        None
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Takes all space that is left; removing the file gives it back.
    pub(super) fn fill(&self) -> PathBuf {
        let path = self.path().join("filler");
        let mut file = File::create(&path).unwrap();
        for size in [64 * 1024, 4096, 1] {
            while file.write_all(&vec![0; size]).is_ok() {}
        }
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily, because a process of the test may still be ending.
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

fn texts(rows: &[Value]) -> Vec<&str> {
    let text = |row: &&Value| row["kind"] == "text";
    rows.iter().filter(text).map(|row| row["text"].as_str().unwrap()).collect()
}

#[test]
fn a_member_without_space_loses_nothing() {
    let Some(disk) = SmallDisk::mount(2048) else { return };
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = Person::at(disk.path().join("home"));
    circle.admit_person(&ben, "Ben");
    circle.say(&ben, "before");
    let filler = disk.fill();
    ben.run(&["send", &circle.room, "meanwhile"]).refused(1, "disk_full");
    circle.say(&circle.fay, "Ben is silent");
    ben.run(&["read", &circle.room]).failed(1, "disk_full");
    fs::remove_file(filler).unwrap();
    circle.say(&ben, "after");
    assert_eq!(ben.does(&["profile", "check"])[0]["ok"], true);
    let heard = circle.history(&circle.fay);
    assert!(heard.iter().all(|row| row["kind"] != "notice"), "{heard:?}");
    assert_eq!(texts(&heard), ["before", "Ben is silent", "after"]);
    assert_eq!(texts(&circle.history(&ben)), ["before", "Ben is silent", "after"]);

    // Nor is a profile half made.
    let filler = disk.fill();
    let late = Person::at(disk.path().join("late"));
    let link = circle.invite(&[]);
    let join = ["join", &link, "--as", "Late", "--acknowledge", &circle.agreement, "--no-wait"];
    late.run(&join).refused(1, "disk_full");
    fs::remove_file(filler).unwrap();
    late.does(&join);
}

#[test]
fn a_relay_without_space_acknowledges_nothing_and_recovers() {
    // The last 64 MiB are for those who moderate.
    let Some(disk) = SmallDisk::mount(128 * 1024) else { return };
    let data = Some(disk.path().join("relay"));
    let relay = Relay::start_with(RelayOptions { data, ..RelayOptions::default() });
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    circle.say(&ben, "before");
    let filler = disk.fill();
    // What fits into space that the store has already may still go through; soon nothing does.
    let long = "x".repeat(15_000);
    let mut sent = vec!["before".to_owned()];
    for sender in [&ben, &circle.fay] {
        let refusal = until("the disk to be full", || {
            let text = format!("{} {long}", sent.len());
            let answer = sender.run(&["send", &circle.room, &text]);
            sent.push(text);
            (answer.code != Some(0)).then_some(answer)
        });
        assert_eq!(refusal.refused(4, "store_unavailable")["kept"], true);
    }
    assert!(relay.page("/healthz").contains("200 OK"));
    assert!(relay.page("/readyz").contains("503"));
    // Reading goes on.
    circle.news(&circle.fay);
    fs::remove_file(filler).unwrap();
    until("the relay to recover", || {
        let recovered = |who| {
            let answer = Person::run(who, &["read", &circle.room]);
            answer.code == Some(0) && circle.by(who, "outbox", &[]).is_empty()
        };
        (recovered(&ben) && recovered(&circle.fay)).then_some(())
    });
    assert!(relay.page("/readyz").contains("200 OK"));
    let heard = circle.history(&circle.fay);
    let mut said = texts(&heard);
    said.sort_unstable();
    sent.sort_unstable();
    assert_eq!(said, sent);
    assert!(heard.iter().all(|row| row["kind"] != "notice"), "{heard:?}");
}
