//! A disk without space: the relay acknowledges nothing that it does not keep, serves reads, and recovers with the disk.

#![allow(clippy::unwrap_used, clippy::panic, clippy::cast_possible_truncation)]

mod common;

use std::{io::Write as _, path::Path, process::Command};

use common::*;
use hearth_protocol::{RejectCode, ServerFrame};

struct Mounted<'a>(&'a Path);

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

fn mount<'a>(path: &'a Path, size: &str) -> Option<Mounted<'a>> {
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
        .arg(path)
        .stderr(std::process::Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !mounted {
        eprintln!("skipped: a file system of a fixed size cannot be mounted here");
    }
    mounted.then_some(Mounted(path))
}

/// The store's own disk has space.
#[tokio::test]
async fn full_backup_disk_is_named() {
    let relay = TestRelay::start().await;
    let all = tempfile::tempdir().unwrap();
    let Some(_mounted) = mount(all.path(), "64k") else { return };
    let mut backup = Command::new(env!("CARGO_BIN_EXE_hearthd"));
    backup.env_clear().arg("--data-dir").arg(relay.path());
    let output = backup.args(["backup", "--keep", "2"]).arg(all.path()).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    let disk = all.path().to_str().unwrap();
    assert!(text.starts_with(&format!("hearthd: {disk}/hearthd-")), "{text}");
    assert!(text.contains("no space is left"), "{text}");
    let kept: Vec<_> =
        std::fs::read_dir(all.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(kept, [".hearthd-lock"]);
    relay.stop().await;
}

#[tokio::test]
async fn full_disk_loses_nothing_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_owned();
    let Some(_mounted) = mount(&path, "2m") else { return };
    let clock = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(START));
    let relay = TestRelay::start_in(dir, clock, |_| {}).await;
    let mut room = TestRoom::open(&relay).await;
    let filler = path.join("filler");
    let mut file = std::fs::File::create(&filler).unwrap();
    while file.write_all(&[0; 4096]).is_ok() {}
    drop(file);
    let keep = std::fs::metadata(&filler).unwrap().len() - 200 * 1024;
    std::fs::File::options().write(true).open(&filler).unwrap().set_len(keep).unwrap();

    let mut kept = Vec::new();
    let refused = loop {
        let payload = text(room.id, 0, &"x".repeat(4000));
        let id = random_id();
        match room.founder.submit_as(room.id, id, payload.clone(), vec![]).await {
            ServerFrame::Accepted { seq, .. } => kept.push(seq),
            answer => {
                assert_eq!(code(&answer), RejectCode::StoreUnavailable);
                break (id, payload);
            }
        }
        assert!(kept.len() < 1000, "the disk never filled");
    };
    assert!(!kept.is_empty());
    assert!(relay.admin("/readyz").await.starts_with("HTTP/1.1 503 "));
    let mut reader = relay.connect().await;
    reader.enter(room.id, &room.key).await;
    reader.subscribe(room.id, 0).await;
    assert_eq!(reader.entries_to(kept.len() as u64).await.len(), kept.len());

    std::fs::remove_file(&filler).unwrap();
    let (id, payload) = refused;
    let again = async {
        loop {
            let answer = room.founder.submit_as(room.id, id, payload.clone(), vec![]).await;
            match answer {
                ServerFrame::Accepted { seq, .. } => return seq,
                answer => assert_eq!(code(&answer), RejectCode::StoreUnavailable),
            }
        }
    };
    let seq = tokio::time::timeout(PATIENCE, again).await.unwrap();
    assert_eq!(seq.0, kept.len() as u64 + 1);
    // Members who were subscribed throughout get it too.
    assert_eq!(reader.entries_to(seq.0).await.len(), 1);
    assert!(relay.admin("/readyz").await.starts_with("HTTP/1.1 200 "));
    let relay = relay.restart().await;
    let mut after = relay.connect().await;
    after.enter(room.id, &room.key).await;
    after.subscribe(room.id, 0).await;
    assert_eq!(after.entries_to(seq.0).await.len(), kept.len() + 1);
}
