//! Grants: the operator's permission to open rooms. The store keeps only a hash of the secret.

use hearth_protocol::{Millis, Secret32, hash};
use hearth_rules::admission::Terms;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::schema::{int, uint};

/// Returns a grant's name in the store, which does not open rooms.
pub(crate) fn name(secret: &Secret32) -> [u8; 32] {
    hash::labelled("hearth relay grant v1", &[secret.expose()])
}

/// Stores a grant.
pub(crate) fn add(db: &Connection, secret: &Secret32, terms: &Terms) -> rusqlite::Result<()> {
    db.execute(
        "INSERT INTO grants VALUES (?1, ?2, ?3, ?4)",
        params![name(secret), terms.rooms_left, terms.members_max, int(terms.expires.0)],
    )?;
    Ok(())
}

/// Loads the terms of a grant.
pub(super) fn terms(db: &Connection, secret: &Secret32) -> rusqlite::Result<Option<Terms>> {
    db.prepare_cached("SELECT rooms_left, members_max, expires FROM grants WHERE hash = ?1")?
        .query_row([name(secret)], |row| {
            Ok(Terms {
                rooms_left: row.get(0)?,
                members_max: row.get(1)?,
                expires: Millis(uint(row.get(2)?)),
            })
        })
        .optional()
}

/// Spends one use of a grant.
pub(super) fn spend(db: &Connection, secret: &Secret32) -> rusqlite::Result<()> {
    db.prepare_cached("UPDATE grants SET rooms_left = rooms_left - 1 WHERE hash = ?1")?
        .execute([name(secret)])?;
    Ok(())
}

/// A grant as the operator sees it; the secret is not in the store.
#[derive(Clone, Debug)]
pub(crate) struct Granted {
    /// A hash of the secret.
    pub(crate) name: [u8; 32],
    pub(crate) terms: Terms,
}

/// Lists the grants that retention has not deleted yet, by end of validity.
pub(crate) fn list(db: &Connection) -> rusqlite::Result<Vec<Granted>> {
    db.prepare("SELECT hash, rooms_left, members_max, expires FROM grants ORDER BY expires, hash")?
        .query_map([], |row| {
            let terms = Terms {
                rooms_left: row.get(1)?,
                members_max: row.get(2)?,
                expires: Millis(uint(row.get(3)?)),
            };
            Ok(Granted { name: super::rows::bytes(row, 0)?, terms })
        })?
        .collect()
}

/// Deletes a grant; rooms that it opened stay.
pub(crate) fn revoke(db: &Connection, name: &[u8; 32]) -> rusqlite::Result<bool> {
    Ok(db.execute("DELETE FROM grants WHERE hash = ?1", [name.as_slice()])? > 0)
}
