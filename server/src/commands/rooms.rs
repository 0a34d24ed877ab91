//! The rooms of a relay by number, and their deletion, whether or not the relay runs.

use std::path::Path;

use hearth_protocol::{Millis, RoomId};

use super::{
    confirm, figures,
    grants::{DIGITS_MIN, broken},
    quoted, say, started,
};
use crate::{
    Clock, DataDirError, OpenError, StartError,
    data_dir::DataDir,
    store::{self, RoomFacts},
};

fn all(dir: &Path) -> Result<Vec<RoomFacts>, StartError> {
    let path = started(dir)?;
    let fault = |source: OpenError| StartError::Store { path: path.clone(), source };
    let db = store::open_reader(&path).map_err(fault)?;
    store::check_version(&db).map_err(fault)?;
    store::rooms(&db).map_err(broken(dir))
}

/// Prints every room, and the sum.
pub(super) fn list(dir: &Path, json: bool) -> Result<(), StartError> {
    let rooms = all(dir)?;
    let now = Clock::system().now();
    if json {
        let lines: Vec<String> = rooms.iter().map(object).collect();
        return if lines.is_empty() { Ok(()) } else { say(&lines.join("\n")) };
    }
    if rooms.is_empty() {
        return say("This relay has no room. `hearthd grant` prints a link that opens one.");
    }
    let ago = |at: Option<Millis>| {
        at.map_or_else(|| "-".to_owned(), |at| figures::span(now.0.saturating_sub(at.0)))
    };
    let mut text = format!(
        "{:32} {:>7} {:>5} {:>10} {:>12} {:>12}\n",
        "ROOM", "MEMBERS", "LANES", "SIZE", "OLDEST KEPT", "LAST ENTRY"
    );
    for room in &rooms {
        text.push_str(&format!(
            "{} {:>7} {:>5} {:>10} {:>12} {:>12}\n",
            room.id.to_hex(),
            room.members,
            room.lanes,
            figures::size(room.bytes),
            ago(room.oldest),
            ago(room.last)
        ));
    }
    let bytes = rooms.iter().map(|room| room.bytes).sum();
    let count = figures::counted(rooms.len() as u64, "room");
    text.push_str(&format!(
        "{count}, {}. Titles and names of members are not known here.",
        figures::size(bytes)
    ));
    say(&text)
}

fn object(room: &RoomFacts) -> String {
    let RoomFacts { id, members, lanes, bytes, head, oldest, last } = room;
    let at = |at: &Option<Millis>| at.map(|at| at.0);
    serde_json::json!({
        "room": id.to_hex(), "members": members, "lanes": lanes, "bytes": bytes, "entries": head.0,
        "oldest_kept_ms": at(oldest), "last_entry_ms": at(last),
    })
    .to_string()
}

/// Deletes a room by the beginning of its number.
pub(super) fn delete(dir: &Path, number: &str, yes: bool) -> Result<(), StartError> {
    let rooms = all(dir)?;
    let wanted = number.to_ascii_lowercase();
    let mut found = rooms.iter().filter(|room| room.id.to_hex().starts_with(&wanted));
    let (Some(room), None, true) = (found.next(), found.next(), wanted.len() >= DIGITS_MIN) else {
        return Err(StartError::usage(
            format!("no room, or more than one, has a number that begins with {number:?}"),
            format!("`hearthd rooms --data-dir {}` shows the numbers", quoted(dir)),
        ));
    };
    let question = format!(
        "Delete the room {} ({}, {}) with its lanes for good? Its members are not asked; what is on their devices stays.",
        room.id.to_hex(),
        figures::counted(room.members, "member"),
        figures::size(room.bytes)
    );
    let command = format!("hearthd room delete --data-dir {} {}", quoted(dir), room.id.to_hex());
    confirm(yes, &question, &command)?;
    // Where the directory is free no relay runs, so that this process deletes the rows. Held until they are gone.
    let free = match DataDir::take(dir) {
        Ok(free) => Some(free),
        Err(DataDirError::InUse(_)) => None,
        Err(error) => return Err(error.into()),
    };
    remove(dir, &room.id, free.is_some())?;
    let rest = if free.is_some() {
        "Its entries are overwritten."
    } else {
        "Nobody can use it any more; the relay overwrites its entries within a minute or two."
    };
    say(&format!("The room is deleted. {rest} Backups still hold it."))
}

fn remove(dir: &Path, room: &RoomId, free: bool) -> Result<(), StartError> {
    let path = store::database_path(dir);
    let fault = |source: OpenError| StartError::Store { path: path.clone(), source };
    let mut db = store::reopen_writer(&path).map_err(fault)?;
    if !store::detach_room(&mut db, room).map_err(broken(dir))? {
        return Err(StartError::refused(
            "the room was deleted meanwhile",
            "`hearthd rooms` shows the others",
        ));
    }
    if free {
        store::purge(&mut db).map_err(fault)?;
    }
    Ok(())
}
