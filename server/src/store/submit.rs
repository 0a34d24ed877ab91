//! Appending an entry, changing the rules, or both: the one verb by which a room moves.

use std::sync::Arc;

use hearth_protocol::{
    Digest, Effect, Entry, EntryContent, Epoch, MemberKey, MessageId, Millis, RejectCode, Seq,
    codec, hash,
    limits::{EFFECTS_MAX, MARKED_BYTES_MAX, PAYLOAD_BYTES_MAX},
    mls_header::{self, ContentType},
};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{
    Batch, Fault, Publication, effects,
    life::Secrets,
    quota::{self, ROW_BYTES, Share},
    rows::{self, RoomRow, State},
    rules,
    schema::{SEQ_MAX, entry_key, int, seq_of, uint},
};
use crate::auth::Proved;

/// Rows that one submission is searched for within a transaction, which holds up all others meanwhile. Further back, a reader
/// searches, see [`super::Store::submit_far`].
pub(crate) const SEARCH_ROWS_MAX: usize = 512;

/// A submission as it came.
#[derive(Clone, Debug)]
pub(crate) struct Submission {
    pub(crate) id: MessageId,
    pub(crate) payload: Vec<u8>,
    pub(crate) expect: Option<u64>,
    pub(crate) effects: Vec<Effect>,
    /// The last entry that the sender had read when it first encrypted the payload: an earlier attempt can only be behind it.
    pub(crate) after: Seq,
}

impl Submission {
    /// Bytes that it takes in memory.
    pub(crate) fn bytes(&self) -> usize {
        let content = usize::try_from(quota::content(&self.effects)).unwrap_or(usize::MAX);
        let effects = self.effects.len() * size_of::<Effect>();
        self.payload.len().saturating_add(content).saturating_add(effects)
    }
}

/// What the submitter is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Accepted {
    pub(crate) seq: Seq,
    pub(crate) at: Millis,
    pub(crate) control: u64,
}

/// What became of a submission in a transaction.
#[derive(Debug)]
pub(crate) enum Submitted {
    /// It is in the room, now or since an earlier attempt.
    Accepted(Accepted),
    /// Nothing happened: its earlier attempt may be further back than a transaction searches.
    Far(Submission),
}

/// Applies a submission.
///
/// Atomic: entry, epoch, every effect and the submission's name are one, or nothing happened. The same id again is answered with
/// the entry's seq and time and the present control version, for as long as the entry is kept; with another payload it is
/// refused.
pub(crate) fn submit(
    batch: &mut Batch<'_>,
    now: Millis,
    proof: &Proved,
    submission: Submission,
) -> Result<Submitted, Fault> {
    let Some(room) = rows::room(batch.db, proof.room())? else {
        return Err(RejectCode::NotMember.into());
    };
    let print = Print::of(batch.secrets, proof, &submission);
    // Before anything else, because a retry whose first answer was lost must not be judged by a later state.
    let found = if submission.payload.is_empty() {
        act(batch.db, room.key, &print)?
    } else {
        let from = entry_key(room.key, submission.after.0);
        match search(batch.db, from, entry_key(room.key, room.head.0), SEARCH_ROWS_MAX, &print)? {
            Search::More(_) => return Ok(Submitted::Far(submission)),
            Search::Found(seq, at) => Some((seq, at)),
            Search::Nothing => None,
        }
    };
    if let Some((seq, at)) = found {
        return Ok(Submitted::Accepted(Accepted { seq, at, control: room.control }));
    }
    if submission.effects.is_empty() {
        return apply(batch, now, proof, room, submission, &print).map(Submitted::Accepted);
    }
    // Effects write before the last of them is judged.
    let act = |batch: &mut Batch<'_>| apply(batch, now, proof, room, submission, &print);
    batch.atomically(act).map(Submitted::Accepted)
}

/// What a submission is found and told apart by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Print {
    /// Its id, keyed by the store's secret.
    name: [u8; 16],
    /// SHA-256 of the payload.
    digest: Digest,
    /// A hash of the effects; `None` without any.
    effects: Option<[u8; 16]>,
}

impl Print {
    pub(crate) fn of(secrets: &Secrets, proof: &Proved, submission: &Submission) -> Self {
        let name = secrets.submission(proof.room(), proof.member(), &submission.id);
        let digest = hash::sha256(&submission.payload);
        let effects = (!submission.effects.is_empty()).then(|| {
            let whole = hash::sha256(&codec::encode(&submission.effects)).0;
            *whole.first_chunk().unwrap_or(&[0; 16])
        });
        Self { name, digest, effects }
    }

    /// Refuses what has the name of another submission.
    fn check(&self, effects: Option<&[u8]>) -> Result<(), Fault> {
        let same = self.effects.as_ref().map(<[u8; 16]>::as_slice) == effects;
        if same { Ok(()) } else { Err(RejectCode::IdConflict.into()) }
    }
}

/// Where a submission was found.
pub(crate) enum Search {
    Found(Seq, Millis),
    /// Not in these rows; the search goes on after this key.
    More(i64),
    Nothing,
}

/// Looks for a submission among the entries with keys in `(from, upto]`, in so many rows.
pub(crate) fn search(
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
            if rows::bytes::<32>(row, 3)? != print.digest.0 {
                return Err(RejectCode::IdConflict.into());
            }
            print.check(row.get_ref(4)?.as_blob_or_null().map_err(rusqlite::Error::from)?)?;
            return Ok(Search::Found(Seq(seq_of(row.get(0)?)), Millis(uint(row.get(2)?))));
        }
    }
    match found.next()? {
        // The last of the rows that were looked at is the one before.
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
    print.check(effects.as_deref())?;
    Ok(Some((Seq(0), at)))
}

fn apply(
    batch: &mut Batch<'_>,
    now: Millis,
    proof: &Proved,
    mut room: RoomRow,
    submission: Submission,
    print: &Print,
) -> Result<Accepted, Fault> {
    let Submission { payload, expect, effects, .. } = submission;
    let sender = rows::member(batch.db, room.key, proof.member())?
        .filter(|member| member.state == State::In)
        .ok_or(RejectCode::NotMember)?;
    if payload.is_empty() && effects.is_empty() {
        return Err(RejectCode::BadFrame.into());
    }
    if payload.len() > PAYLOAD_BYTES_MAX || effects.len() > EFFECTS_MAX {
        return Err(RejectCode::TooLarge.into());
    }
    let header = if payload.is_empty() {
        None
    } else {
        let header = mls_header::parse(&payload).filter(|header| header.room == room.id);
        Some(header.ok_or(RejectCode::BadPayload)?)
    };
    let commits = header.is_some_and(|h| h.content == ContentType::Commit);
    if expect.is_some_and(|expect| expect != room.control) {
        return Err(RejectCode::StateChanged.into());
    }
    effects::check_rights(&room, &sender, &effects, header)?;
    let marked = header.is_some_and(|h| h.marked);
    let leaves = effects.contains(&Effect::Leave);
    // The mark says to every reader that the entry holds no words.
    let retracts = |e: &Effect| matches!(e, Effect::Retract { own: Some(_), .. });
    if marked && (payload.len() > MARKED_BYTES_MAX || !leaves && !effects.iter().any(retracts)) {
        return Err(RejectCode::BadPayload.into());
    }
    let moderates = sender.role.moderates();
    let bytes = payload.len() as u64 + ROW_BYTES;
    let paced = !moderates && header.is_some() && !marked;
    if marked && !leaves {
        rules::check_marked(&sender, now)?;
    } else if paced && !commits {
        rules::check_post(batch.db, &room, &sender, payload.len(), now)?;
    }
    if paced {
        batch.quota.check_member(room.key, &sender, bytes, now)?;
        batch.quota.check_room(&room, Share::Member, bytes, now)?;
        batch.quota.check_disk(bytes, now)?;
    } else if moderates && !marked {
        let content = quota::content(&effects);
        let share = match (header.is_some(), commits) {
            (_, true) => Share::Act,
            (true, false) => Share::Moderator,
            (false, false) if content > 0 => Share::Moderator,
            (false, false) => Share::Rule,
        };
        batch.quota.check_room(&room, share, bytes.saturating_add(content), now)?;
    }
    if commits && !moderates {
        batch.pace.take(room.key, &sender.key, now)?;
    }

    let seq = if header.is_some() { Seq(room.head.0 + 1) } else { Seq(0) };
    if seq.0 > SEQ_MAX {
        return Err(RejectCode::RoomFull.into());
    }
    let mut outcome = effects::Outcome::default();
    let at_entry = if header.is_some() { seq } else { room.head };
    for effect in &effects {
        let act = effects::Act { now, sender: &sender, entry: at_entry };
        effects::apply(batch, &mut room, &act, effect, &mut outcome)?;
    }
    // After the effects: a reopened epoch is the one that the commit beside it names.
    if header.is_some_and(|header| header.epoch != room.epoch) {
        return Err(RejectCode::EpochConflict.into());
    }
    if !effects.is_empty() {
        room.control += 1;
    }
    if commits {
        room.epoch = Epoch(room.epoch.0.saturating_add(1));
    }
    room.added = room.added.saturating_add(bytes);
    if header.is_some() && (marked || !moderates) {
        let mut spent = sender.clone();
        if marked {
            spent.marked_at = now;
        } else {
            if !commits {
                rules::count_post(batch.db, &room, &mut spent, now)?;
            }
            if let Some(full_at) = batch.quota.take(room.key, &sender, bytes, now) {
                spent.full_at = full_at;
            }
        }
        if !spent.has_pace_of(&sender) {
            rows::save_member_pace(batch.db, room.key, &spent)?;
        }
    }
    let entry =
        if header.is_some() {
            room.head = seq;
            Some(append(batch, &room, now, print, payload)?)
        } else {
            batch
                .db
                .prepare_cached("INSERT INTO acts VALUES (?1, ?2, ?3, ?4)")?
                .execute(params![room.key, print.name, int(now.0), print.effects])?;
            None
        };
    if room.oldest_at > now {
        room.oldest_at = now;
    }
    rows::save_room_head(batch.db, &room)?;
    if outcome.rules {
        rows::save_room_rules(batch.db, &room)?;
    }
    batch.published.push(Publication {
        room: room.id,
        head: room.head,
        entry: entry.map(|bytes| (seq, bytes)),
        tombstones: outcome.tombstones,
        roster: outcome.roster,
        knocked: false,
    });
    Ok(Accepted { seq, at: now, control: room.control })
}

/// Writes the entry at the room's head; returns it as members get it.
fn append(
    batch: &Batch<'_>,
    room: &RoomRow,
    at: Millis,
    print: &Print,
    payload: Vec<u8>,
) -> Result<Arc<[u8]>, Fault> {
    let seq = room.head;
    batch.db.prepare_cached("INSERT INTO entries VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?.execute(
        params![
            entry_key(room.key, seq.0),
            int(at.0),
            print.name,
            print.digest.as_bytes(),
            print.effects,
            payload
        ],
    )?;
    Ok(codec::encode(&Entry { seq, at, content: EntryContent::Payload(payload) }).into())
}

/// Deletes an entry's payload and keeps its hash. Returns its time and hash; `None` if there is no payload.
///
/// A commit is refused as not found, because a member who was away could not follow the room without it. So is a marked entry: without
/// it, the tombstone that it explains would look like the relay's own work.
pub(crate) fn tombstone(
    batch: &Batch<'_>,
    room: &RoomRow,
    seq: Seq,
) -> Result<Option<(Millis, Digest)>, Fault> {
    let key = entry_key(room.key, seq.0);
    let found = batch
        .db
        .prepare_cached(
            "SELECT at, payload, digest FROM entries WHERE key = ?1 AND payload IS NOT NULL",
        )?
        .query_row([key], |row| {
            let stays = mls_header::parse(row.get_ref(1)?.as_blob()?)
                .is_some_and(|h| h.marked || h.content == ContentType::Commit);
            Ok((Millis(uint(row.get(0)?)), Digest(rows::bytes(row, 2)?), stays))
        })
        .optional()?;
    if found.is_some_and(|(_, _, stays)| stays) {
        return Err(RejectCode::NotFound.into());
    }
    let found = found.map(|(at, digest, _)| (at, digest));
    if found.is_some() {
        batch
            .db
            .prepare_cached("UPDATE entries SET payload = NULL WHERE key = ?1")?
            .execute([key])?;
    }
    Ok(found)
}

/// Whether a member appended an entry, whose seq is not 0, under a submission id.
pub(crate) fn is_own(
    batch: &Batch<'_>,
    room: &RoomRow,
    member: &MemberKey,
    id: &MessageId,
    seq: Seq,
) -> Result<bool, Fault> {
    let name = batch.secrets.submission(&room.id, member, id);
    let found: Option<[u8; 16]> = batch
        .db
        .prepare_cached("SELECT name FROM entries WHERE key = ?1")?
        .query_row([entry_key(room.key, seq.0)], |row| rows::bytes(row, 0))
        .optional()?;
    Ok(found.is_some_and(|found| found == name))
}
