//! The store: its version, damage, and the age of its last backup.

use std::{path::Path, time::Duration};

use super::{
    super::{backup, figures, quoted},
    finding::{Finding, Report},
};
use crate::{
    Clock, OpenError, StartError,
    store::{self, Soundness},
};

/// Longest search for damage; a monitor waits for it.
const PATIENCE: Duration = Duration::from_secs(30);
/// Age of a backup above which the operator should act.
const BACKUP_OLD: u64 = 8 * 24 * 3_600_000;

pub(super) fn check(report: &mut Report, dir: &Path) {
    let path = store::database_path(dir);
    let fault = |source: OpenError| {
        let said = source.to_string();
        let advice = StartError::Store { path: path.clone(), source }.advice();
        Finding::failure("store", said, advice)
    };
    if let Err(error) = store::check_present(dir) {
        report.add(fault(error));
        return;
    }
    if std::fs::metadata(&path).map_or(0, |file| file.len()) == 0 {
        report.add(Finding::ok("store", "is made by the first start"));
        return;
    }
    match look(&path) {
        Err(error) => report.add(fault(error)),
        Ok((Soundness::Sound, rooms)) => {
            let rooms = figures::counted(rooms, "room");
            let version = store::SCHEMA_VERSION;
            report.add(Finding::ok("store", format!("is sound, has version {version} and {rooms}")));
        }
        Ok((Soundness::Unknown, _)) => report.add(Finding::warning(
            "store",
            format!("is too large to be searched for damage in {} seconds", PATIENCE.as_secs()),
            "make a backup, which is searched whole: `hearthd backup`",
        )),
        Ok((Soundness::Damaged, _)) => report.add(Finding::failure(
            "store",
            "is damaged",
            format!(
                "stop the relay, look at the disk (`dmesg | tail`), then `hearthd restore --data-dir {} BACKUP`",
                quoted(dir)
            ),
        )),
    }
    backups(report, dir);
}

fn look(path: &Path) -> Result<(Soundness, u64), OpenError> {
    let mut db = store::open_reader(path)?;
    let soundness = store::soundness(&mut db, PATIENCE)?;
    if soundness == Soundness::Damaged {
        return Ok((soundness, 0));
    }
    let facts = store::facts(&db)?;
    Ok((soundness, facts.rooms.len() as u64))
}

fn backups(report: &mut Report, dir: &Path) {
    let advice =
        format!("`hearthd backup --data-dir {} --keep 7 DIR`, each day by a timer", quoted(dir));
    let now = Clock::system().now();
    report.add(match backup::last(dir) {
        None => Finding::warning("backup", "there was none yet", advice),
        Some(at) => {
            let age = now.0.saturating_sub(at.0);
            let said = format!("the last is {} old", figures::span(age));
            if age > BACKUP_OLD {
                Finding::warning("backup", said, advice)
            } else {
                Finding::ok("backup", said)
            }
        }
    });
}
