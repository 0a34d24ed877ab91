//! Rows that the plain posts of one transaction read once and write once.
//!
//! Most of what a relay does is to append posts that change nothing but the head of their room. Under load a transaction
//! holds several of one room, and often of one member. Every other verb reads and writes the tables themselves, so it
//! must come after [`SharedRows::settle`]: [`super::Store::write`] sees to that.

use std::collections::HashMap;

use hearth_protocol::{MemberKey, RoomId};
use rusqlite::Connection;

use super::rows::{self, MemberRow, RoomRow};

/// Empty at the beginning of a transaction; to be settled before its end.
#[derive(Default)]
pub(crate) struct SharedRows {
    rooms: HashMap<RoomId, Shared>,
    members: HashMap<(i64, MemberKey), SharedMember>,
}

struct Shared {
    row: RoomRow,
    changed: bool,
}

struct SharedMember {
    row: MemberRow,
    changed: bool,
}

impl SharedRows {
    /// Returns a room as the posts before this one left it.
    pub(crate) fn room(
        &mut self,
        db: &Connection,
        id: &RoomId,
    ) -> rusqlite::Result<Option<RoomRow>> {
        if let Some(shared) = self.rooms.get(id) {
            return Ok(Some(shared.row.clone()));
        }
        let found = rows::room(db, id)?;
        if let Some(row) = &found {
            self.rooms.insert(*id, Shared { row: row.clone(), changed: false });
        }
        Ok(found)
    }

    /// Returns a member.
    pub(crate) fn member(
        &mut self,
        db: &Connection,
        room: i64,
        key: &MemberKey,
    ) -> rusqlite::Result<Option<MemberRow>> {
        if let Some(shared) = self.members.get(&(room, *key)) {
            return Ok(Some(shared.row.clone()));
        }
        let found = rows::member(db, room, key)?;
        if let Some(row) = &found {
            let shared = SharedMember { row: row.clone(), changed: false };
            self.members.insert((room, *key), shared);
        }
        Ok(found)
    }

    /// Keeps what a post changed of its room, for the next one and for [`Self::settle`].
    pub(crate) fn keep(&mut self, row: RoomRow) {
        self.rooms.insert(row.id, Shared { row, changed: true });
    }

    /// Keeps what a post changed of its sender's pace.
    pub(crate) fn keep_member(&mut self, room: i64, row: MemberRow) {
        self.members.insert((room, row.key), SharedMember { row, changed: true });
    }

    /// Writes what was kept and forgets everything, so that the tables are the truth again.
    pub(crate) fn settle(&mut self, db: &Connection) -> rusqlite::Result<()> {
        for ((room, _), shared) in self.members.drain() {
            if shared.changed {
                rows::save_member_pace(db, room, &shared.row)?;
            }
        }
        for (_, shared) in self.rooms.drain() {
            if shared.changed {
                rows::save_room_head(db, &shared.row)?;
            }
        }
        Ok(())
    }
}
