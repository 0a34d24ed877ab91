//! Appending an entry, changing the rules, or both: the one verb by which a room moves.

use std::sync::Arc;

use hearth_protocol::{
    Digest, Effect, Entry, EntryContent, Epoch, MemberKey, MessageId, Millis, RejectCode, Seq,
    codec, hash,
    limits::{EFFECTS_MAX, MARKED_BYTES_MAX, PAYLOAD_BYTES_MAX},
    mls_header::{self, ContentType},
};
use rusqlite::{OptionalExtension as _, params};

use super::{
    Batch, Fault, Publication, effects,
    quota::{self, ROW_BYTES, Share},
    rows::{self, RoomRow, State},
    rules,
    schema::{SEQ_MAX, entry_key, int, uint},
    shared_rows::SharedRows,
};
use crate::auth::Proved;

/// A submission as it came.
#[derive(Clone, Debug)]
pub(crate) struct Submission {
    pub(crate) id: MessageId,
    pub(crate) payload: Vec<u8>,
    pub(crate) expect: Option<u64>,
    pub(crate) effects: Vec<Effect>,
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

/// Applies a submission.
///
/// Atomic: entry, epoch, every effect and the memory of the submission's id are one, or nothing happened. The
/// same id again returns what the first returned, for as long as the entry is kept; with another content it is
/// refused.
pub(crate) fn submit(
    batch: &mut Batch<'_>,
    now: Millis,
    proof: &Proved,
    submission: Submission,
) -> Result<Accepted, Fault> {
    // Effects read and write more than the posts of a transaction share.
    if !submission.effects.is_empty() {
        batch.settle()?;
    }
    let Some(room) = batch.shared.room(batch.db, proof.room())? else {
        return Err(RejectCode::NotMember.into());
    };
    let name = batch.secrets.submission(proof.room(), proof.member(), &submission.id);
    let digest = fingerprint(&submission);
    // A retry whose first answer was lost must not be judged by a later state. Most submissions are messages that come for the
    // first time, and of those the insertion of the id says so without a search before it.
    if is_message(&submission) {
        let key = room.key;
        return match apply(batch, now, proof, room, submission, &name, &digest) {
            Err(Fault::Refused(refusal)) => {
                earlier(batch, key, &name, &digest)?.ok_or(Fault::Refused(refusal))
            }
            result => result,
        };
    }
    if let Some(earlier) = earlier(batch, room.key, &name, &digest)? {
        return Ok(earlier);
    }
    if submission.effects.is_empty() {
        apply(batch, now, proof, room, submission, &name, &digest)
    } else {
        let act = |batch: &mut Batch<'_>| {
            let accepted = apply(batch, now, proof, room, submission, &name, &digest)?;
            batch.settle()?;
            Ok(accepted)
        };
        let result = batch.atomically(act);
        // Of what was refused nothing may stay.
        batch.shared = SharedRows::default();
        result
    }
}

/// Whether a submission is a message and nothing else: what is refused of it has changed nothing, not even a commit's pace.
fn is_message(submission: &Submission) -> bool {
    submission.effects.is_empty()
        && mls_header::parse(&submission.payload).is_some_and(|h| h.content != ContentType::Commit)
}

fn fingerprint(submission: &Submission) -> [u8; 16] {
    let effects = codec::encode(&submission.effects);
    let whole = hash::labelled("hearth relay submission v1", &[&submission.payload, &effects]);
    *whole.first_chunk().unwrap_or(&[0; 16])
}

fn earlier(
    batch: &Batch<'_>,
    room: i64,
    name: &[u8; 16],
    digest: &[u8; 16],
) -> Result<Option<Accepted>, Fault> {
    let found = batch
        .db
        .prepare_cached("SELECT seq, at, control, digest FROM dedup WHERE room = ?1 AND hash = ?2")?
        .query_row(params![room, name], |row| {
            let accepted = Accepted {
                seq: Seq(uint(row.get(0)?)),
                at: Millis(uint(row.get(1)?)),
                control: uint(row.get(2)?),
            };
            Ok((accepted, rows::bytes::<16>(row, 3)?))
        })
        .optional()?;
    match found {
        Some((accepted, found)) if found == *digest => Ok(Some(accepted)),
        Some(_) => Err(RejectCode::IdConflict.into()),
        None => Ok(None),
    }
}

fn apply(
    batch: &mut Batch<'_>,
    now: Millis,
    proof: &Proved,
    mut room: RoomRow,
    submission: Submission,
    name: &[u8; 16],
    digest: &[u8; 16],
) -> Result<Accepted, Fault> {
    let Submission { payload, expect, effects, .. } = submission;
    let sender = batch
        .shared
        .member(batch.db, room.key, proof.member())?
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
    // Of a message, the first thing that is written.
    let accepted = Accepted { seq, at: now, control: room.control };
    if !remember(batch, &room, name, digest, &accepted)? {
        return earlier(batch, room.key, name, digest)?.ok_or(RejectCode::IdConflict.into());
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
            batch.shared.keep_member(room.key, spent);
        }
    }
    let entry = if header.is_some() {
        room.head = seq;
        Some(append(batch, &room, seq, now, payload)?)
    } else {
        None
    };
    if room.oldest_at > now {
        room.oldest_at = now;
    }
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
    batch.shared.keep(room);
    Ok(accepted)
}

fn append(
    batch: &Batch<'_>,
    room: &RoomRow,
    seq: Seq,
    at: Millis,
    payload: Vec<u8>,
) -> Result<Arc<[u8]>, Fault> {
    batch
        .db
        .prepare_cached("INSERT INTO entries(key, at, payload) VALUES (?1, ?2, ?3)")?
        .execute(params![entry_key(room.key, seq.0), int(at.0), payload])?;
    Ok(codec::encode(&Entry { seq, at, content: EntryContent::Payload(payload) }).into())
}

/// Writes a submission's id down; returns whether it is new.
fn remember(
    batch: &Batch<'_>,
    room: &RoomRow,
    name: &[u8; 16],
    digest: &[u8; 16],
    accepted: &Accepted,
) -> Result<bool, Fault> {
    let written = batch
        .db
        .prepare_cached("INSERT INTO dedup VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING")?
        .execute(params![
            room.key,
            name,
            int(accepted.seq.0),
            int(accepted.at.0),
            int(accepted.control),
            digest
        ])?;
    Ok(written == 1)
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
        .prepare_cached("SELECT at, payload FROM entries WHERE key = ?1 AND payload IS NOT NULL")?
        .query_row([key], |row| {
            let payload = row.get_ref(1)?.as_blob()?;
            let stays = mls_header::parse(payload)
                .is_some_and(|h| h.marked || h.content == ContentType::Commit);
            Ok((Millis(uint(row.get(0)?)), hash::sha256(payload), stays))
        })
        .optional()?;
    if found.is_some_and(|(_, _, stays)| stays) {
        return Err(RejectCode::NotFound.into());
    }
    let found = found.map(|(at, digest, _)| (at, digest));
    if let Some((_, digest)) = &found {
        batch
            .db
            .prepare_cached("UPDATE entries SET payload = NULL, digest = ?2 WHERE key = ?1")?
            .execute(params![key, digest.as_bytes()])?;
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
    let found: Option<i64> = batch
        .db
        .prepare_cached("SELECT seq FROM dedup WHERE room = ?1 AND hash = ?2")?
        .query_row(params![room.key, name], |row| row.get(0))
        .optional()?;
    Ok(found.is_some_and(|found| uint(found) == seq.0))
}
