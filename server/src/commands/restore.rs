//! Puts a backup in place of a stopped relay's store.
//!
//! A note in the data directory, `restoring`, stands there from before the first change until after the last, so that no relay starts on
//! half a copy. Every step can be repeated: the same command goes on where a killed one ended.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{ErrorKind as Kind, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use hearth_protocol::{Millis, RoomId};

use super::{
    backup::{self, KEY_FILES, NEXT},
    confirm, figures,
    manifest::{self, Manifest},
    quoted, say,
};
use crate::{
    Clock, DataDirError, OpenError, StartError,
    data_dir::{DataDir, RESTORING},
    store::{self, Soundness, StoreFacts},
    tls,
};

/// Files of the store that is replaced. Without `stream` and `acknowledged` the next start tells every member.
const REPLACED: [&str; 5] =
    ["hearth.db", "hearth.db-wal", "hearth.db-shm", "stream", "acknowledged"];
/// The copy before it gets its name.
const COPY: &str = "hearth.db.restored";
/// Longest search for damage.
const PATIENCE: Duration = Duration::from_secs(600);
/// Rooms that are named one by one.
const ROOMS_SHOWN_MAX: usize = 50;

/// A backup that was found whole.
struct Backup {
    dir: PathBuf,
    facts: StoreFacts,
    made: Millis,
    bytes: u64,
}

pub(super) fn run(dir: &Path, from: &Path, yes: bool) -> Result<(), StartError> {
    // Taken first: a relay that runs would write to what is moved.
    let data = DataDir::take(dir)?;
    let dir = data.path();
    let earlier = Journal::read(dir)?;
    let old = present(dir);
    let backup = find(dir, from, old.as_ref())?;
    if fs::canonicalize(dir).is_ok_and(|own| own == backup.dir) {
        return Err(StartError::refused(
            format!("{} is the relay's own directory, not a backup", from.display()),
            "name a directory that `hearthd backup` made",
        ));
    }
    if let Some(journal) = earlier.as_ref().filter(|journal| journal.from != backup.dir) {
        return Err(StartError::refused(
            format!(
                "a restore of {} into {} is not finished",
                journal.from.display(),
                dir.display()
            ),
            format!(
                "finish it: `{}`; if that backup is lost: `rm {}`, then restore another",
                command(dir, &journal.from),
                quoted(&dir.join(RESTORING))
            ),
        ));
    }
    let key = choose_key(dir, &backup)?;
    let journal = match earlier {
        Some(journal) => journal,
        None => {
            check_space(dir, &backup)?;
            if let Some(old) = old.as_ref().filter(|old| old.relay != backup.facts.relay) {
                return Err(foreign(dir, old, &backup));
            }
            say(&prospect(dir, old.as_ref(), &backup))?;
            confirm(yes, "Put this backup in place?", &command(dir, from))?;
            Journal::begin(dir, &backup)?
        }
    };
    carry_out(dir, journal, &backup, key)
        .map_err(|source| StartError::from(DataDirError::Io { path: dir.to_owned(), source }))
        .and_then(|aside| say(&done(dir, &aside)))
}

fn command(dir: &Path, from: &Path) -> String {
    format!("hearthd restore --data-dir {} {}", quoted(dir), quoted(from))
}

/// Finds the backup in a directory, or this relay's newest below it, and refuses one that is not whole.
fn find(dir: &Path, from: &Path, old: Option<&StoreFacts>) -> Result<Backup, StartError> {
    let failed = |source| DataDirError::Io { path: from.to_owned(), source };
    let named = fs::canonicalize(from).map_err(failed)?;
    let dir = if store::database_path(&named).exists() || named.join(NEXT).exists() {
        named
    } else {
        let is_own =
            |(note, _): &(Manifest, PathBuf)| old.is_some_and(|old| note.is_of(&old.relay));
        let (own, others): (Vec<_>, Vec<_>) = backup::newest(&named).into_iter().partition(is_own);
        let mut found = if own.is_empty() { others } else { own }.into_iter();
        match (found.next(), found.next()) {
            (Some((_, backup)), None) => backup,
            (None, _) => {
                return Err(StartError::refused(
                    format!("{} holds no backup", from.display()),
                    "name a directory that `hearthd backup` made: it holds hearth.db",
                ));
            }
            // Without the old store, nothing says which of them this relay was.
            (Some((_, backup)), Some(_)) => {
                return Err(StartError::refused(
                    format!("{} holds backups of several relays", from.display()),
                    format!("name one of them, as in `{}`", command(dir, &backup)),
                ));
            }
        }
    };
    let path = store::database_path(&dir);
    let fault = |source: OpenError| StartError::Store { path: path.clone(), source };
    let cut = || {
        StartError::refused(
            format!("{} is not whole: its copy was cut short or changed later", dir.display()),
            "take another backup; `hearthd backup --keep` keeps several",
        )
    };
    if !path.exists() {
        return Err(cut());
    }
    // A store that a relay used, such as one that a restore replaced: what its log holds is not in the file.
    if fs::metadata(dir.join("hearth.db-wal")).is_ok_and(|log| log.len() > 0) {
        return Err(StartError::refused(
            format!("{} is a store with a log, not a backup", dir.display()),
            format!(
                "make a backup of it first: `hearthd backup --data-dir {} {}`",
                quoted(&dir),
                quoted(&crate::failure::unused(&dir))
            ),
        ));
    }
    let manifest = Manifest::read(&dir);
    if manifest.is_none() && dir.join(manifest::NAME).exists() {
        return Err(cut());
    }
    if let Some(manifest) = &manifest
        && !manifest.describes(&path).map_err(failed)?
    {
        return Err(cut());
    }
    let mut db = store::open_copy(&path).map_err(fault)?;
    let facts = store::facts(&db).map_err(fault)?;
    if store::soundness(&mut db, PATIENCE).map_err(|error| fault(error.into()))?
        == Soundness::Damaged
    {
        return Err(cut());
    }
    if manifest.as_ref().is_some_and(|manifest| !manifest.is_of(&facts.relay)) {
        return Err(cut());
    }
    let file = fs::metadata(&path).map_err(failed)?;
    // A copy made by hand has no note; then the file's own time is the best guess.
    let changed = || {
        let since = file.modified().ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
        Some(Millis(u64::try_from(since.as_millis()).ok()?))
    };
    let made = manifest.map(|manifest| manifest.made()).or_else(changed).unwrap_or(Millis(0));
    Ok(Backup { dir, facts, made, bytes: file.len() })
}

/// Where the key comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    /// The directory has it, or the operator's own certificate is used.
    Stays,
    /// The backup has it.
    FromBackup,
}

/// Looks for the key that members pinned, so that the relay starts afterwards.
fn choose_key(dir: &Path, backup: &Backup) -> Result<Key, StartError> {
    let Some(pin) = backup.facts.pin else { return Ok(Key::Stays) };
    let has =
        |folder: &Path| tls::pin_of_key(&folder.join("key.pem")).is_some_and(|own| own == pin);
    if has(dir) {
        Ok(Key::Stays)
    } else if has(&backup.dir) {
        Ok(Key::FromBackup)
    } else {
        Err(StartError::refused(
            format!("neither {} nor the backup has the key that members pinned", dir.display()),
            format!(
                "copy key.pem from where you keep it into {}; without it nobody can connect",
                quoted(dir)
            ),
        ))
    }
}

fn check_space(dir: &Path, backup: &Backup) -> Result<(), StartError> {
    let Ok(disk) = rustix::fs::statvfs(dir) else { return Ok(()) };
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    if free >= backup.bytes.saturating_add(SPARE_BYTES) {
        return Ok(());
    }
    Err(StartError::refused(
        format!(
            "{} has {} free, and the backup takes {}, beside the store that is kept",
            dir.display(),
            figures::size(free),
            figures::size(backup.bytes)
        ),
        "free some space there, or name another directory with --data-dir",
    ))
}

/// Bytes that stay free.
const SPARE_BYTES: u64 = 64 * 1024 * 1024;

/// Reads the store that is to be replaced, if there is one that can be read.
fn present(dir: &Path) -> Option<StoreFacts> {
    let path = store::database_path(dir);
    if fs::metadata(&path).map_or(0, |file| file.len()) == 0 {
        return None;
    }
    store::open_reader(&path).ok().and_then(|db| store::facts(&db).ok())
}

fn foreign(dir: &Path, old: &StoreFacts, backup: &Backup) -> StartError {
    let short = |facts: &StoreFacts| facts.relay.to_hex().chars().take(8).collect::<String>();
    StartError::refused(
        format!(
            "{} is the store of another relay ({}) than the backup ({})",
            dir.display(),
            short(old),
            short(&backup.facts)
        ),
        "name that relay's own directory with --data-dir, or a new one",
    )
}

/// Says what the backup is and what its use means for members.
fn prospect(dir: &Path, old: Option<&StoreFacts>, backup: &Backup) -> String {
    let now = Clock::system().now();
    let mut text = format!(
        "The backup is of {} UTC, {} old, and has {}.\n",
        figures::time(backup.made),
        figures::span(now.0.saturating_sub(backup.made.0)),
        figures::counted(backup.facts.rooms.len() as u64, "room")
    );
    match old {
        Some(old) => {
            text.push_str(&returning(old, &backup.facts));
            text.push_str(&losses(old, &backup.facts));
        }
        None => text.push_str(&format!(
            "{} has no store that can be read, so what the backup lacks is not known. It lacks what was sent after {} UTC.\n\
             A room whose members saw nothing later goes on by itself, with a remark.\n",
            dir.display(),
            figures::time(backup.made)
        )),
    }
    text.push_str(
        "Members who saw what the backup lacks are told that history went backwards, send nothing and stop (exit code 5).\n\
         Tell the facilitators first, by phone or mail: each types `hearth recover ROOM`, and then each member does.\n\
         A member who was let in after the backup, or had not seen a change of the room that is lost, is removed and invited again;\n\
         a member who was let in after it then types `hearth recover ROOM`, too.\n\
         Words that are on members' devices stay there.\n",
    );
    text
}

/// Says which rooms were deleted since the backup.
fn returning(old: &StoreFacts, new: &StoreFacts) -> String {
    let kept: BTreeSet<RoomId> = old.rooms.iter().map(|room| room.id).collect();
    let rooms = new.rooms.iter().filter(|room| !kept.contains(&room.id));
    let lines: Vec<String> = rooms
        .map(|room| {
            format!("  room {} ({})", room.id.to_hex(), figures::counted(room.members, "member"))
        })
        .collect();
    if lines.is_empty() {
        return String::new();
    }
    format!(
        "Rooms that were deleted since then and come back; `hearthd room delete` deletes them again:\n{}\n",
        shown(lines)
    )
}

/// Joins lines about rooms, as many as a person reads.
fn shown(mut lines: Vec<String>) -> String {
    let more = lines.len().saturating_sub(ROOMS_SHOWN_MAX);
    lines.truncate(ROOMS_SHOWN_MAX);
    if more > 0 {
        lines.push(format!("  and {} more", figures::counted(more as u64, "room")));
    }
    lines.join("\n")
}

/// Says which rooms the backup would take back, and by how much.
fn losses(old: &StoreFacts, new: &StoreFacts) -> String {
    if old.writes == new.writes {
        return "It has everything that the store here has: nothing is lost, and no room needs `recover`.\n".into();
    }
    let kept: BTreeMap<RoomId, u64> = new.rooms.iter().map(|room| (room.id, room.head.0)).collect();
    let mut lanes: BTreeMap<RoomId, u64> = BTreeMap::new();
    for ((room, number), head) in &old.lanes {
        let lost = head.0.saturating_sub(new.lanes.get(&(*room, *number)).map_or(0, |head| head.0));
        *lanes.entry(*room).or_default() += lost;
    }
    let mut lines = Vec::new();
    for room in &old.rooms {
        let in_lanes = lanes.get(&room.id).copied().unwrap_or(0);
        let lost = kept.get(&room.id).map(|head| room.head.0.saturating_sub(*head));
        let words = match lost {
            None => "is gone: its facilitator opens a new one with a new grant".to_owned(),
            Some(0) if in_lanes == 0 => continue,
            Some(0) => format!(
                "loses {} of its lanes: needs `hearth recover`",
                figures::counted(in_lanes, "message")
            ),
            Some(lost) => format!(
                "loses {}: needs `hearth recover`",
                figures::counted(lost + in_lanes, "message")
            ),
        };
        lines.push(format!(
            "  room {} ({}) {words}",
            room.id.to_hex(),
            figures::counted(room.members, "member")
        ));
    }
    if lines.is_empty() {
        return "No room loses a message. Invites, knocks and notes since the backup are gone.\n"
            .into();
    }
    format!(
        "Rooms that lose something (a facilitator finds the number of a room with `hearth --json room list`):\n{}\nThe others go on by themselves.\n",
        shown(lines)
    )
}

/// The note of a restore under way.
struct Journal {
    from: PathBuf,
    /// Folder for what is replaced.
    aside: PathBuf,
    /// Whether everything old is aside, so that what stands in its place is the copy.
    placing: bool,
}

impl Journal {
    fn begin(dir: &Path, backup: &Backup) -> Result<Self, StartError> {
        let name = format!("replaced-{}", figures::name(Clock::system().now()));
        let aside = crate::failure::free(&dir.join(name));
        let journal = Self { from: backup.dir.clone(), aside, placing: false };
        journal
            .write(dir)
            .map_err(|source| DataDirError::Io { path: dir.join(RESTORING), source })?;
        Ok(journal)
    }

    fn read(dir: &Path) -> Result<Option<Self>, StartError> {
        let path = dir.join(RESTORING);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == Kind::NotFound => return Ok(None),
            Err(source) => return Err(DataDirError::Io { path, source }.into()),
        };
        let mut lines = text.lines();
        match (lines.next(), lines.next(), lines.next()) {
            (Some(from), Some(aside), Some(step)) => Ok(Some(Self {
                from: from.into(),
                aside: aside.into(),
                placing: step == "placing",
            })),
            _ => Err(StartError::refused(
                format!("{} cannot be understood", path.display()),
                format!(
                    "`rm {}`, then restore again; the store that was there is beside it, in a folder named replaced-TIME",
                    quoted(&path)
                ),
            )),
        }
    }

    fn write(&self, dir: &Path) -> std::io::Result<()> {
        let step = if self.placing { "placing" } else { "moving" };
        let next = dir.join("restoring.next");
        let mut file = fs::File::create(&next)?;
        file.write_all(
            format!("{}\n{}\n{step}\n", self.from.display(), self.aside.display()).as_bytes(),
        )?;
        file.sync_all()?;
        fs::rename(&next, dir.join(RESTORING))?;
        sync(dir)
    }
}

fn sync(dir: &Path) -> std::io::Result<()> {
    fs::File::open(dir)?.sync_all()
}

/// Moves the old store aside and copies the backup in its place; returns where the old one is, if there was one.
fn carry_out(
    dir: &Path,
    mut journal: Journal,
    backup: &Backup,
    key: Key,
) -> std::io::Result<Option<PathBuf>> {
    if !journal.placing {
        let keys = KEY_FILES.iter().filter(|_| key == Key::FromBackup);
        for name in REPLACED.iter().chain(keys) {
            let (old, kept) = (dir.join(name), journal.aside.join(name));
            if old.exists() {
                fs::create_dir_all(&journal.aside)?;
                fs::rename(&old, &kept)?;
            }
        }
        if journal.aside.exists() {
            sync(&journal.aside)?;
        }
        sync(dir)?;
        journal.placing = true;
        journal.write(dir)?;
    }
    for name in KEY_FILES.iter().filter(|_| key == Key::FromBackup) {
        backup::copy_private(&backup.dir.join(name), &dir.join(name))?;
    }
    let copy = dir.join(COPY);
    let from = store::database_path(&backup.dir);
    let _ = fs::remove_file(&copy);
    // With a mode of its own, because a backup on a disk without modes is readable by everybody.
    let mut options = fs::OpenOptions::new();
    let mut placed = options.write(true).create_new(true).mode(0o600).open(&copy)?;
    std::io::copy(&mut fs::File::open(&from)?, &mut placed)?;
    placed.sync_all()?;
    fs::rename(&copy, store::database_path(dir))?;
    sync(dir)?;
    fs::remove_file(dir.join(RESTORING))?;
    sync(dir)?;
    Ok(Some(journal.aside).filter(|aside| aside.exists()))
}

fn done(dir: &Path, aside: &Option<PathBuf>) -> String {
    let mut text = format!("{} has the backup's store now.\n", dir.display());
    if let Some(aside) = aside {
        text.push_str(&format!(
            "What it replaced is in {}; delete it once everybody goes on.\n",
            aside.display()
        ));
    }
    text.push_str("Start the relay, and tell the facilitators: `hearth recover ROOM`.");
    text
}
