//! Loads the parts of a room that verbs need, besides its row and its members' (see `rows`).

use hearth_protocol::{
    BlobId, Commitment, Digest, InviteId, MemberKey, Millis, Secret32, Seq, invite, mls_header,
};
use hearth_rules::{
    Invite, Kept, Logged, Needs, Pending, Room, Spent,
    admission::{Before, Candidate, Crowd, Knock},
    blobs::Staged,
    posts,
};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{
    rows,
    schema::{entry_key, int, uint},
};

/// Loads the parts that effects need; nothing for a plain post.
pub(super) fn needed(
    db: &Connection,
    key: i64,
    room: &mut Room,
    needs: &Needs,
) -> rusqlite::Result<()> {
    if needs.roster {
        let roster = rows::roster(db, key)?;
        room.members.extend(roster.into_iter().map(|member| (member.key, Some(member))));
        room.has_roster = true;
    }
    for member in &needs.members {
        if !room.members.contains_key(member) {
            room.members.insert(*member, rows::member(db, key, member)?);
        }
    }
    if needs.invites {
        room.invites = Some(invites(db, key)?);
    }
    if needs.pending {
        room.pending = Some(pending(db, key)?);
    }
    for blob in &needs.blobs {
        room.blobs.insert(*blob, has_blob(db, key, blob)?);
    }
    for seq in &needs.entries {
        room.entries.insert(*seq, entry(db, key, *seq)?);
    }
    Ok(())
}

/// Loads a member's posts within the budget's day.
pub(super) fn spent(
    db: &Connection,
    room: i64,
    member: &MemberKey,
    now: Millis,
) -> rusqlite::Result<Spent> {
    db.prepare_cached(
        "SELECT coalesce(sum(count), 0), coalesce(min(quarter), 0) FROM posts
         WHERE room = ?1 AND member = ?2 AND quarter >= ?3 AND quarter <= ?4",
    )?
    .query_row(
        params![room, member.as_bytes(), int(posts::first_quarter(now)), int(posts::quarter(now))],
        |row| Ok(Spent { posts: uint(row.get(0)?), oldest_quarter: uint(row.get(1)?) }),
    )
}

fn invites(db: &Connection, room: i64) -> rusqlite::Result<Vec<Invite>> {
    db.prepare_cached(
        "SELECT invite, uses_left, expires, issuer FROM invites WHERE room = ?1 ORDER BY rowid",
    )?
    .query_map([room], invite_row)?
    .collect()
}

fn invite_row(row: &Row<'_>) -> rusqlite::Result<Invite> {
    Ok(Invite {
        id: InviteId(rows::bytes(row, 0)?),
        uses_left: row.get(1)?,
        expires: Millis(uint(row.get(2)?)),
        issuer: rows::bytes(row, 3)?,
    })
}

/// Loads the invite of a token.
pub(super) fn invite(
    db: &Connection,
    room: i64,
    token: &Secret32,
) -> rusqlite::Result<Option<Invite>> {
    db.prepare_cached(
        "SELECT invite, uses_left, expires, issuer FROM invites WHERE room = ?1 AND invite = ?2",
    )?
    .query_row(params![room, invite::invite_id(token).as_bytes()], invite_row)
    .optional()
}

fn pending(db: &Connection, room: i64) -> rusqlite::Result<Vec<Pending>> {
    db.prepare_cached(
        "SELECT member, invite, agreement, digest FROM knocks WHERE room = ?1 AND declined = 0",
    )?
    .query_map([room], |row| {
        Ok(Pending {
            member: MemberKey(rows::bytes(row, 0)?),
            invite: InviteId(rows::bytes(row, 1)?),
            agreement: Commitment(rows::bytes(row, 2)?),
            digest: Digest(rows::bytes(row, 3)?),
        })
    })?
    .collect()
}

/// Counts pending knocks.
pub(super) fn pending_count(db: &Connection, room: i64) -> rusqlite::Result<u32> {
    db.prepare_cached("SELECT count(*) FROM knocks WHERE room = ?1 AND declined = 0")?
        .query_row([room], |row| row.get(0))
}

/// Whether a room has a blob.
pub(crate) fn has_blob(db: &Connection, room: i64, blob: &BlobId) -> rusqlite::Result<bool> {
    db.prepare_cached("SELECT 1 FROM blobs WHERE room = ?1 AND blob = ?2")?
        .exists(params![room, blob.as_bytes()])
}

/// Loads the blobs that no member waits for.
pub(super) fn staged(db: &Connection, room: i64) -> rusqlite::Result<Staged> {
    let mut statement = db.prepare_cached(
        "SELECT blob FROM blobs WHERE room = ?1 AND blob NOT IN
           (SELECT welcome FROM members WHERE room = ?1 AND welcome IS NOT NULL)
         ORDER BY at, rowid",
    )?;
    let mut rows = statement.query([room])?;
    let mut staged = Staged::default();
    while let Some(row) = rows.next()? {
        if staged.count == 0 {
            staged.oldest = Some(BlobId(rows::bytes(row, 0)?));
        }
        staged.count += 1;
    }
    Ok(staged)
}

fn entry(db: &Connection, room: i64, seq: Seq) -> rusqlite::Result<Option<Logged>> {
    db.prepare_cached("SELECT at, digest, name, payload FROM entries WHERE key = ?1")?
        .query_row([entry_key(room, seq.0)], |row| {
            let payload = row.get_ref(3)?.as_blob_or_null()?;
            Ok(Logged {
                at: Millis(uint(row.get(0)?)),
                digest: Digest(rows::bytes(row, 1)?),
                name: rows::bytes(row, 2)?,
                kept: payload.map_or(Kept::Tombstone, |p| Kept::Payload(mls_header::parse(p))),
            })
        })
        .optional()
}

/// Loads a room's records of a key that knocks with an invite, one row each.
pub(super) fn candidate(
    db: &Connection,
    room: i64,
    key: MemberKey,
    invite: Invite,
    knock: &Knock,
) -> rusqlite::Result<Candidate> {
    let before = db
        .prepare_cached(
            "SELECT declined, at, invite = ?3 AND digest = ?4 AND body = ?5
             FROM knocks WHERE room = ?1 AND member = ?2",
        )?
        .query_row(
            params![
                room,
                key.as_bytes(),
                invite.id.as_bytes(),
                knock.acknowledgement.digest.as_bytes(),
                knock.body
            ],
            |row| {
                let at = Millis(uint(row.get(1)?));
                Ok(Before { declined: row.get(0)?, at, same: row.get(2)? })
            },
        )
        .optional()?;
    let last: Option<i64> = db
        .prepare_cached("SELECT at FROM knockers WHERE room = ?1 AND invite = ?2 AND member = ?3")?
        .query_row(params![room, invite.id.as_bytes(), key.as_bytes()], |row| row.get(0))
        .optional()?;
    let member = rows::member(db, room, &key)?;
    Ok(Candidate { key, invite, member, before, last: last.map(|at| Millis(uint(at))) })
}

/// Searches the keys that used invites of a room, and counts the pending knocks.
pub(super) fn crowd(db: &Connection, room: i64, key: &MemberKey) -> rusqlite::Result<Crowd> {
    let last: Option<i64> = db
        .prepare_cached("SELECT max(at) FROM knockers WHERE room = ?1 AND member = ?2")?
        .query_row(params![room, key.as_bytes()], |row| row.get(0))?;
    let pending = usize::try_from(pending_count(db, room)?).unwrap_or(usize::MAX);
    Ok(Crowd { last: last.map(|at| Millis(uint(at))), pending })
}

/// Returns the time of the last withdrawn knock with an invite, by any key.
pub(super) fn last_taken_back(
    db: &Connection,
    room: i64,
    invite: &InviteId,
) -> rusqlite::Result<Option<Millis>> {
    let at: Option<i64> = db
        .prepare_cached(
            "SELECT max(at) FROM knockers WHERE room = ?1 AND invite = ?2 AND NOT EXISTS
               (SELECT 1 FROM knocks WHERE room = ?1 AND knocks.member = knockers.member)",
        )?
        .query_row(params![room, invite.as_bytes()], |row| row.get(0))?;
    Ok(at.map(|at| Millis(uint(at))))
}
