//! Grants: the operator's permission to open rooms. Only a hash of the secret is kept.

use hearth_protocol::{Millis, Secret32, hash};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::schema::{int, uint};

/// What a grant allows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// Rooms that may still be opened.
    pub(crate) rooms_left: u32,
    /// Members of each room.
    pub(crate) members_max: u32,
    /// End of validity.
    pub(crate) expires: Millis,
}

fn name(secret: &Secret32) -> [u8; 32] {
    hash::labelled("hearth relay grant v1", &[secret.expose()])
}

/// Writes a grant down.
pub(crate) fn add(db: &Connection, secret: &Secret32, terms: &Terms) -> rusqlite::Result<()> {
    db.execute(
        "INSERT INTO grants VALUES (?1, ?2, ?3, ?4)",
        params![name(secret), terms.rooms_left, terms.members_max, int(terms.expires.0)],
    )?;
    Ok(())
}

/// Returns a grant that may be used now.
pub(crate) fn usable(
    db: &Connection,
    secret: &Secret32,
    now: Millis,
) -> rusqlite::Result<Option<Terms>> {
    let terms = db
        .prepare_cached("SELECT rooms_left, members_max, expires FROM grants WHERE hash = ?1")?
        .query_row([name(secret)], |row| {
            Ok(Terms {
                rooms_left: row.get(0)?,
                members_max: row.get(1)?,
                expires: Millis(uint(row.get(2)?)),
            })
        })
        .optional()?;
    Ok(terms.filter(|terms| terms.rooms_left > 0 && terms.expires > now))
}

/// Uses a grant once.
pub(crate) fn spend(db: &Connection, secret: &Secret32) -> rusqlite::Result<()> {
    db.prepare_cached("UPDATE grants SET rooms_left = rooms_left - 1 WHERE hash = ?1")?
        .execute([name(secret)])?;
    Ok(())
}
