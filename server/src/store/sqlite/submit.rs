//! Submissions: finds an earlier attempt, loads the room, lets the rules decide, saves.

use hearth_protocol::{Digest, Millis, RejectCode, Seq};
use hearth_rules::{
    Room, posts,
    submit::{self, Accepted, Print, Submission},
};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{
    Batch, Fault, load, rows, save,
    schema::{entry_key, seq_of, uint},
};
use crate::{auth::Proved, store::Submitted};

/// Maximum rows searched for one submission within a transaction, which holds up all other requests. A reader searches
/// further back, see [`crate::store::Store::submit_far`].
pub(crate) const SEARCH_ROWS_MAX: usize = 512;

/// Applies a submission.
///
/// Atomic: entry, epoch, every effect and the submission's name are stored together or not at all. A repeated id is answered with
/// the entry's seq and time and the present control version, for as long as the entry is kept; with another payload it is
/// refused.
pub(crate) fn submit(
    batch: &mut Batch<'_>,
    now: Millis,
    proof: &Proved,
    submission: Submission,
) -> Result<Submitted, Fault> {
    let Some((key, row)) = rows::room(batch.db, proof.place())? else {
        return Err(RejectCode::NotMember.into());
    };
    let print = Print::of(batch.secrets, proof.room(), proof.member(), &submission);
    // Checked first, because a retry whose first answer was lost must not be judged by a later state.
    let found = if submission.payload.is_empty() {
        act(batch.db, key, &print)?
    } else {
        let from = entry_key(key, submission.after.0);
        match search(batch.db, from, entry_key(key, row.head.0), SEARCH_ROWS_MAX, &print)? {
            Search::More(_) => return Ok(Submitted::Far(submission)),
            Search::Found(seq, at) => Some((seq, at)),
            Search::Nothing => None,
        }
    };
    if let Some((seq, at)) = found {
        return Ok(Submitted::Accepted(Accepted { seq, at, control: row.control }));
    }
    let sender = rows::member(batch.db, key, proof.member())?;
    let sender = sender.filter(hearth_rules::MemberRow::is_in).ok_or(RejectCode::NotMember)?;
    let mut room = Room::new(row);
    if posts::needs_budget(&room.row, &sender) {
        room.spent = Some(load::spent(batch.db, key, &sender.key, now)?);
    }
    let checked = batch.decide(now, |context| submit::check(&room, context, sender, submission))?;
    let needs = checked.needs(&room);
    load::needed(batch.db, key, &mut room, &needs)?;
    let accepted = batch.decide(now, |context| submit::apply(&mut room, context, checked))?;
    let entry = save::submission(batch.db, key, &mut room, &print)?;
    batch.publish(proof.place(), &mut room, entry);
    Ok(Submitted::Accepted(accepted))
}

/// Result of a search for a submission.
pub(super) enum Search {
    Found(Seq, Millis),
    /// Not in these rows; continue after this key.
    More(i64),
    Nothing,
}

/// Searches the entries with keys in `(from, upto]` for a submission, up to a number of rows.
pub(super) fn search(
    db: &Connection,
    from: i64,
    upto: i64,
    rows_max: usize,
    print: &Print,
) -> Result<Search, Fault> {
    let mut statement = db.prepare_cached(
        "SELECT key, name, at, digest, effects FROM entries WHERE key > ?1 AND key <= ?2 ORDER BY key",
    )?;
    let mut found = statement.query([from, upto])?;
    for _ in 0..rows_max {
        let Some(row) = found.next()? else { return Ok(Search::Nothing) };
        if row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)? == print.name {
            let effects = row.get_ref(4)?.as_blob_or_null().map_err(rusqlite::Error::from)?;
            print.check_entry(&Digest(rows::bytes(row, 3)?), effects)?;
            return Ok(Search::Found(Seq(seq_of(row.get(0)?)), Millis(uint(row.get(2)?))));
        }
    }
    match found.next()? {
        // The last row searched is the one before.
        Some(row) => Ok(Search::More(row.get::<_, i64>(0)? - 1)),
        None => Ok(Search::Nothing),
    }
}

/// Looks for a submission without an entry.
fn act(db: &Connection, room: i64, print: &Print) -> Result<Option<(Seq, Millis)>, Fault> {
    let found = db
        .prepare_cached("SELECT at, effects FROM acts WHERE room = ?1 AND name = ?2")?
        .query_row(params![room, print.name], |row| {
            Ok((Millis(uint(row.get(0)?)), row.get::<_, Option<Vec<u8>>>(1)?))
        })
        .optional()?;
    let Some((at, effects)) = found else { return Ok(None) };
    print.check_effects(effects.as_deref())?;
    Ok(Some((Seq(0), at)))
}
