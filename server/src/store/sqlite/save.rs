//! Saves the changes that the rules marked.

use std::sync::Arc;

use hearth_protocol::{Entry, EntryContent, InviteId, codec};
use hearth_rules::{Append, Change, Invite, Room, posts, submit::Print};
use rusqlite::{Connection, params};

use super::{
    rows,
    schema::{entry_key, int},
};

/// Saves a submission; returns its entry as delivered to members.
pub(super) fn submission(
    db: &Connection,
    key: i64,
    room: &mut Room,
    print: &Print,
) -> rusqlite::Result<Option<Arc<[u8]>>> {
    changes(db, key, room)?;
    if let Some((member, quarter)) = room.counted {
        db.prepare_cached(
            "INSERT INTO posts VALUES (?1, ?2, ?3, 1)
             ON CONFLICT(room, member, quarter) DO UPDATE SET count = count + 1",
        )?
        .execute(params![key, member.as_bytes(), int(quarter)])?;
        db.prepare_cached("DELETE FROM posts WHERE room = ?1 AND member = ?2 AND quarter < ?3")?
            .execute(params![
                key,
                member.as_bytes(),
                int(quarter.saturating_sub(posts::QUARTERS_PER_DAY))
            ])?;
    }
    if let Some(member) = &room.paced {
        rows::save_member_pace(db, key, member)?;
    }
    let entry = match room.append.take() {
        Some(append) if append.seq.0 > 0 => Some(entry(db, key, append, print)?),
        Some(Append { at, .. }) => {
            db.prepare_cached("INSERT INTO acts VALUES (?1, ?2, ?3, ?4)")?.execute(params![
                key,
                print.name,
                int(at.0),
                print.effects
            ])?;
            None
        }
        None => None,
    };
    rows::save_room_head(db, key, &room.row)?;
    if room.rules_changed {
        rows::save_room_rules(db, key, &room.row)?;
    }
    Ok(entry)
}

fn entry(db: &Connection, key: i64, append: Append, print: &Print) -> rusqlite::Result<Arc<[u8]>> {
    let Append { seq, at, payload } = append;
    db.prepare_cached("INSERT INTO entries VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?.execute(params![
        entry_key(key, seq.0),
        int(at.0),
        print.name,
        print.digest.as_bytes(),
        print.effects,
        payload
    ])?;
    Ok(codec::encode(&Entry { seq, at, content: EntryContent::Payload(payload) }).into())
}

/// Saves the changes besides the room's row, in order.
pub(super) fn changes(db: &Connection, key: i64, room: &Room) -> rusqlite::Result<()> {
    room.changes.iter().try_for_each(|change| self::change(db, key, change))
}

/// Saves one change.
pub(super) fn change(db: &Connection, key: i64, change: &Change) -> rusqlite::Result<()> {
    let run = |sql: &str, params: &[&dyn rusqlite::ToSql]| -> rusqlite::Result<()> {
        db.prepare_cached(sql)?.execute(params).map(|_| ())
    };
    match change {
        Change::Member(member) => rows::save_member(db, key, member),
        Change::AddInvite { invite: Invite { id, uses_left, expires, issuer }, preview } => run(
            "INSERT INTO invites VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![key, id.as_bytes(), uses_left, int(expires.0), issuer, preview],
        ),
        Change::InviteUses { invite, left } => run(
            "UPDATE invites SET uses_left = ?3 WHERE room = ?1 AND invite = ?2",
            params![key, invite.as_bytes(), left],
        ),
        Change::ForgetInvite(invite) => forget_invite(db, key, invite),
        Change::ForgetInvitesOf(issuer) => {
            run(
                "DELETE FROM knockers WHERE room = ?1 AND invite IN
                   (SELECT invite FROM invites WHERE room = ?1 AND issuer = ?2)",
                params![key, issuer],
            )?;
            run("DELETE FROM invites WHERE room = ?1 AND issuer = ?2", params![key, issuer])
        }
        // An update and not `REPLACE`, which SQLite would not report: the old body must leave the log (`checkpoint::Log`).
        Change::Knock { member, invite, acknowledgement: ack, body, at } => run(
            "INSERT INTO knocks VALUES (?1,?2,?3,?4,?5,?6,?7,?8,0,x'')
             ON CONFLICT(room, member) DO UPDATE SET invite = ?3, agreement = ?4, digest = ?5,
               signature = ?6, body = ?7, at = ?8, declined = 0, note = x''",
            params![
                key,
                member.as_bytes(),
                invite.as_bytes(),
                ack.agreement.as_bytes(),
                ack.digest.as_bytes(),
                ack.signature.as_bytes(),
                body,
                int(at.0)
            ],
        ),
        Change::Knocker { invite, member, at } => run(
            "INSERT INTO knockers VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT(room, invite, member) DO UPDATE SET at = ?4",
            params![key, invite.as_bytes(), member.as_bytes(), int(at.0)],
        ),
        Change::ForgetKnocker(member) => run(
            "DELETE FROM knockers WHERE room = ?1 AND member = ?2",
            params![key, member.as_bytes()],
        ),
        Change::DropKnock(member) => run(
            "DELETE FROM knocks WHERE room = ?1 AND member = ?2",
            params![key, member.as_bytes()],
        ),
        Change::DropKnocksBy(invite) => run(
            "DELETE FROM knocks WHERE room = ?1 AND invite = ?2 AND declined = 0",
            params![key, invite.as_bytes()],
        ),
        Change::Decline { member, note } => run(
            "UPDATE knocks SET declined = 1, note = ?3, body = x'' WHERE room = ?1 AND member = ?2
             AND declined = 0",
            params![key, member.as_bytes(), note],
        ),
        Change::DropInvitesAndKnocks => {
            run("DELETE FROM knocks WHERE room = ?1 AND declined = 0", &[&key])?;
            run("DELETE FROM knockers WHERE room = ?1", &[&key])?;
            run("DELETE FROM invites WHERE room = ?1", &[&key])
        }
        Change::Blob { blob, at, bytes } => run(
            "INSERT INTO blobs VALUES (?1, ?2, ?3, ?4)",
            params![key, blob.as_bytes(), int(at.0), bytes],
        ),
        Change::DropBlob(blob) => {
            run("DELETE FROM blobs WHERE room = ?1 AND blob = ?2", params![key, blob.as_bytes()])
        }
        Change::DropUnusedBlob(blob) => run(
            "DELETE FROM blobs WHERE room = ?1 AND blob = ?2 AND NOT EXISTS
               (SELECT 1 FROM members WHERE room = ?1 AND welcome = ?2)",
            params![key, blob.as_bytes()],
        ),
        Change::Tombstone(seq) => {
            run("UPDATE entries SET payload = NULL WHERE key = ?1", &[&entry_key(key, seq.0)])
        }
    }
}

/// Deletes an invite and the record of the keys that used it.
pub(super) fn forget_invite(db: &Connection, room: i64, invite: &InviteId) -> rusqlite::Result<()> {
    db.prepare_cached("DELETE FROM knockers WHERE room = ?1 AND invite = ?2")?
        .execute(params![room, invite.as_bytes()])?;
    db.prepare_cached("DELETE FROM invites WHERE room = ?1 AND invite = ?2")?
        .execute(params![room, invite.as_bytes()])?;
    Ok(())
}
