//! Backups: a consistent copy of the store, with the key, even while the relay runs.

use std::{
    fs::{self, TryLockError},
    io::ErrorKind as Kind,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use hearth_protocol::{Millis, RelayId};

use super::{
    figures,
    manifest::{self, Manifest},
    quoted, started,
};
use crate::{
    Clock, DataDirError, OpenError, StartError, data_dir,
    store::{self, Soundness},
};

/// Whether the relay's key goes into the backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// With it, the backup is all that a new machine needs.
    Copied,
    /// The operator keeps it elsewhere.
    Left,
}

/// Files of the relay's key; an operator's own certificate lies elsewhere.
pub(super) const KEY_FILES: [&str; 2] = ["key.pem", "cert.pem"];
/// The copy while it is written.
pub(super) const NEXT: &str = "hearth.db.next";
/// File in the data directory with the time of its last backup.
const LAST: &str = "backed-up";
/// Longest search for damage in a fresh copy.
const PATIENCE: Duration = Duration::from_secs(600);

/// Copies a store consistently into a directory, even while its relay runs; returns the copy's path.
///
/// # Errors
/// See [`StartError`].
pub fn backup(dir: &Path, into: &Path) -> Result<PathBuf, StartError> {
    data_dir::check_whole(dir)?;
    self::into(dir, into, Key::Copied)
}

/// Makes a backup in a directory that is new or empty; returns the path of the store in it.
pub(super) fn into(dir: &Path, into: &Path, key: Key) -> Result<PathBuf, StartError> {
    started(dir)?;
    let taken =
        |found| StartError::BackupTaken { dir: dir.to_owned(), into: into.to_owned(), found };
    if into.exists() && !into.is_dir() {
        return Err(taken("is a file"));
    }
    let made = !into.exists();
    let failed = |source| DataDirError::Io { path: into.to_owned(), source };
    fs::create_dir_all(into).map_err(failed)?;
    let (copy, next) = (store::database_path(into), into.join(NEXT));
    // `create_new`, so that this never overwrites another backup into the same directory.
    let begun = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&next);
    match begun {
        Ok(_) => {}
        Err(error) if error.kind() == Kind::AlreadyExists => {
            return Err(taken("holds a backup that is under way, or was cut short"));
        }
        Err(source) => return Err(DataDirError::Io { path: next, source }.into()),
    }
    let empty = || -> Result<(), StartError> {
        let others = fs::read_dir(into).map_err(failed)?.count();
        if copy.exists() {
            return Err(taken("holds a store already"));
        }
        if others > 1 {
            return Err(among_others(dir, into).unwrap_or_else(|| taken("is not empty")));
        }
        Ok(())
    };
    let written = empty().and_then(|()| {
        write(dir, into, key).inspect_err(|_| {
            for name in KEY_FILES.into_iter().chain([manifest::NAME]) {
                let _ = fs::remove_file(into.join(name));
            }
        })
    });
    if let Err(error) = written {
        let _ = fs::remove_file(&next);
        if made {
            let _ = fs::remove_dir(into);
        }
        return Err(error);
    }
    Ok(copy)
}

/// Returns what to say where a directory holds backups of `--keep`, and nothing else besides the one that was begun.
fn among_others(dir: &Path, into: &Path) -> Option<StartError> {
    let _ = fs::remove_file(into.join(NEXT));
    let others = stranger(into).ok()?.is_none() && !backups(into).ok()?.is_empty();
    others.then(|| {
        StartError::refused(
            format!("{} holds backups made with --keep", into.display()),
            format!(
                "make one more, and keep the last 7: `hearthd backup --data-dir {} --keep 7 {}`",
                quoted(dir),
                quoted(into)
            ),
        )
    })
}

/// Copies, verifies, and gives the store its name last, so that a backup that was cut short is not taken for one.
fn write(dir: &Path, into: &Path, key: Key) -> Result<(), StartError> {
    let next = into.join(NEXT);
    let fault = |source: OpenError| match source.kind() {
        // The copy takes the space, and may be on another disk than the store.
        Some(Kind::StorageFull | Kind::QuotaExceeded) => {
            StartError::Store { path: into.to_owned(), source }
        }
        _ => StartError::Store { path: store::database_path(dir), source },
    };
    let made = Clock::system().now();
    store::copy(dir, &next).map_err(fault)?;
    let relay = verify(&next)?;
    let rest = || -> std::io::Result<()> {
        for name in KEY_FILES.iter().filter(|_| key == Key::Copied) {
            copy_private(&dir.join(name), &into.join(name))?;
        }
        Manifest::of(&next, &relay, made)?.write(into)?;
        fs::rename(&next, store::database_path(into))?;
        fs::File::open(into)?.sync_all()
    };
    rest().map_err(|source| DataDirError::Io { path: into.to_owned(), source })?;
    note(dir, made);
    Ok(())
}

/// Searches a copy for damage; returns whose it is.
fn verify(copy: &Path) -> Result<RelayId, StartError> {
    let fault = |source: OpenError| StartError::Store { path: copy.to_owned(), source };
    let mut db = store::open_copy(copy).map_err(fault)?;
    match store::soundness(&mut db, PATIENCE).map_err(|error| fault(error.into()))? {
        Soundness::Damaged => Err(StartError::refused(
            "the copy is damaged, so it was deleted, and older backups were kept",
            "`hearthd doctor` says whether the store is, too; look at the disk that holds the backups",
        )),
        Soundness::Sound | Soundness::Unknown => Ok(store::facts(&db).map_err(fault)?.relay),
    }
}

/// Copies a file of the key, readable by its owner alone. A relay with a certificate of its operator has none here.
pub(super) fn copy_private(from: &Path, to: &Path) -> std::io::Result<()> {
    use std::io::Write as _;
    let bytes = match fs::read(from) {
        Ok(bytes) => zeroize::Zeroizing::new(bytes),
        Err(error) if error.kind() == Kind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(to)?;
    file.write_all(&bytes)?;
    file.sync_all()
}

/// Notes the time of the last backup for `hearthd doctor`.
fn note(dir: &Path, made: Millis) {
    // Without the note the backup is good; the doctor then says that there is none.
    let _ = fs::write(dir.join(LAST), format!("{}\n", made.0));
}

/// Returns the time of a directory's last backup.
pub(super) fn last(dir: &Path) -> Option<Millis> {
    fs::read_to_string(dir.join(LAST)).ok()?.trim().parse().ok().map(Millis)
}

/// Beginning of the name of a backup among others.
const PREFIX: &str = "hearthd-";
/// End of the name of a backup that is being made.
const PARTIAL: &str = ".partial";
/// Held while a backup is made among others.
const LOCK: &str = ".hearthd-lock";
/// Folder that file systems make at their root.
const LOST_AND_FOUND: &str = "lost+found";

/// Makes a backup below a directory of backups, and then deletes this relay's oldest ones there until `keep` are left.
pub(super) fn rotate(dir: &Path, all: &Path, key: Key, keep: usize) -> Result<PathBuf, StartError> {
    started(dir)?;
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| StartError::from(DataDirError::Io { path, source })
    };
    let command = |into: &Path| {
        format!("`hearthd backup --data-dir {} --keep {keep} {}`", quoted(dir), quoted(into))
    };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(all).map_err(failed(all))?;
    if let Some(stranger) = stranger(all).map_err(failed(all))? {
        return Err(StartError::refused(
            format!("{} holds {stranger}, which is not a backup made with --keep", all.display()),
            format!(
                "give the backups a folder of their own: {}",
                command(&all.join("hearthd-backups"))
            ),
        ));
    }
    let lock_path = all.join(LOCK);
    let mut options = fs::OpenOptions::new();
    let lock = options.create(true).truncate(false).write(true).mode(0o600).open(&lock_path);
    let lock = lock.map_err(failed(&lock_path))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(StartError::refused(
                format!("another backup into {} is under way", all.display()),
                format!("when it has ended: {}", command(all)),
            ));
        }
        Err(TryLockError::Error(source)) => return Err(failed(&lock_path)(source)),
    }
    let listed = backups(all).map_err(failed(all))?;
    // The lock is held, so these were cut short.
    for name in listed.iter().filter(|name| name.ends_with(PARTIAL)) {
        fs::remove_dir_all(all.join(name)).map_err(failed(&all.join(name)))?;
    }
    let name = free_name(all);
    let (partial, whole) = (all.join(format!("{name}{PARTIAL}")), all.join(&name));
    let copy = into(dir, &partial, key)?;
    fs::rename(&partial, &whole)
        .and_then(|()| fs::File::open(all)?.sync_all())
        .map_err(failed(&whole))?;
    let copy = whole.join(copy.file_name().unwrap_or_default());
    delete_oldest(all, &whole, keep).map_err(failed(all))?;
    Ok(copy)
}

/// Returns an entry of a directory that no backup with `--keep` made.
fn stranger(all: &Path) -> std::io::Result<Option<String>> {
    for entry in fs::read_dir(all)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let ours = name.starts_with(PREFIX) && entry.file_type()?.is_dir();
        if !ours && name != LOCK && name != LOST_AND_FOUND {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// Lists the backups of a directory, oldest first, those that were cut short too.
fn backups(all: &Path) -> std::io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(all)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(PREFIX) && entry.file_type()?.is_dir() {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// Returns the newest whole backup of each relay in a directory of backups.
pub(super) fn newest(all: &Path) -> Vec<(Manifest, PathBuf)> {
    let mut newest: Vec<(Manifest, PathBuf)> = Vec::new();
    let names = backups(all).unwrap_or_default();
    for name in names.iter().filter(|name| !name.ends_with(PARTIAL)) {
        let path = all.join(name);
        let Some(manifest) = Manifest::read(&path) else { continue };
        match newest.iter_mut().find(|(other, _)| other.is_same_relay(&manifest)) {
            Some((other, _)) if other.made() > manifest.made() => {}
            Some(found) => *found = (manifest, path),
            None => newest.push((manifest, path)),
        }
    }
    newest
}

/// Returns a name by the time that no backup has. A second one of the same second gets a number.
fn free_name(all: &Path) -> String {
    let base = format!("{PREFIX}{}", figures::name(Clock::system().now()));
    let numbered =
        |number: u32| if number == 1 { base.clone() } else { format!("{base}-{number}") };
    (1..).map(numbered).find(|name| !all.join(name).exists()).unwrap_or_default()
}

/// Deletes the oldest backups of the relay whose backup was just made. What is not whole, or another relay's, stays.
fn delete_oldest(all: &Path, newest: &Path, keep: usize) -> std::io::Result<()> {
    let Some(last) = Manifest::read(newest) else { return Ok(()) };
    let mut own: Vec<(Millis, String)> = backups(all)?
        .into_iter()
        .filter_map(|name| {
            let manifest =
                Manifest::read(&all.join(&name)).filter(|other| other.is_same_relay(&last))?;
            Some((manifest.made(), name))
        })
        .collect();
    own.sort();
    let surplus = own.len().saturating_sub(keep);
    for (_, name) in own.into_iter().take(surplus).filter(|(_, name)| all.join(name) != newest) {
        // Under another name first, so that a deletion that is cut short leaves no half of a backup under a good name.
        let (old, gone) = (all.join(&name), all.join(format!("{name}{PARTIAL}")));
        fs::rename(&old, &gone)?;
        fs::remove_dir_all(&gone)?;
    }
    Ok(())
}
