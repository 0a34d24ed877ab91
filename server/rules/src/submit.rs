//! Appending an entry, changing the rules, or both: every change of a room is a submission.

use hearth_protocol::{
    Digest, Effect, Epoch, MemberKey, MessageId, Millis, RejectCode, RoomId, Seq, codec, hash,
    limits::{EFFECTS_MAX, MARKED_BYTES_MAX, PAYLOAD_BYTES_MAX},
    mls_header::{self, ContentType, MlsHeader},
};

use crate::{
    Append, Context, Kind, MemberRow, Names, Needs, Refusal, Room, RoomRow, effects, lanes, posts,
    quota::{self, ROW_BYTES, Share},
};

/// Bits of a seq: 10^12 entries a room.
pub const SEQ_BITS: u32 = 40;
/// Highest seq of a room.
pub const SEQ_MAX: u64 = (1 << SEQ_BITS) - 1;

/// A submission as received.
#[derive(Clone, Debug)]
pub struct Submission {
    pub id: MessageId,
    pub payload: Vec<u8>,
    pub expect: Option<u64>,
    pub effects: Vec<Effect>,
    /// The last entry that the sender had read before first encrypting the payload, so that an earlier attempt can only follow it.
    pub after: Seq,
}

impl Submission {
    /// Returns the bytes that it takes in memory.
    pub fn bytes(&self) -> usize {
        let content = usize::try_from(quota::content(&self.effects)).unwrap_or(usize::MAX);
        let effects = self.effects.len() * size_of::<Effect>();
        self.payload.len().saturating_add(content).saturating_add(effects)
    }
}

/// The answer to the submitter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    pub seq: Seq,
    pub at: Millis,
    pub control: u64,
}

/// Fingerprint that finds a submission and tells it from others.
#[derive(Clone, Copy, Debug)]
pub struct Print {
    /// See [`Names::submission`].
    pub name: [u8; 16],
    /// SHA-256 of the payload.
    pub digest: Digest,
    /// Hash of the effects; `None` without effects.
    pub effects: Option<[u8; 16]>,
}

impl Print {
    pub fn of(
        names: &dyn Names,
        room: &RoomId,
        member: &MemberKey,
        submission: &Submission,
    ) -> Self {
        let name = names.submission(room, member, &submission.id);
        let digest = hash::sha256(&submission.payload);
        let effects = (!submission.effects.is_empty()).then(|| {
            let whole = hash::sha256(&codec::encode(&submission.effects)).0;
            *whole.first_chunk().unwrap_or(&[0; 16])
        });
        Self { name, digest, effects }
    }

    /// Refuses a submission that shares its name with another one's entry.
    pub fn check_entry(&self, digest: &Digest, effects: Option<&[u8]>) -> Result<(), Refusal> {
        if self.digest != *digest {
            return Err(RejectCode::IdConflict.into());
        }
        self.check_effects(effects)
    }

    /// Refuses a submission that shares its name with one that had other effects.
    pub fn check_effects(&self, effects: Option<&[u8]>) -> Result<(), Refusal> {
        let same = self.effects.as_ref().map(<[u8; 16]>::as_slice) == effects;
        if same { Ok(()) } else { Err(RejectCode::IdConflict.into()) }
    }
}

/// A checked submission, to be applied once the parts that its effects need are loaded.
#[derive(Debug)]
pub struct Checked {
    submission: Submission,
    sender: MemberRow,
    header: Option<MlsHeader>,
    /// 0 without an entry.
    seq: Seq,
    /// Bytes that the entry costs.
    bytes: u64,
    /// Bytes that count against the sender's allowance.
    spent: u64,
}

impl Checked {
    /// Returns the parts of the room that the effects need; none without effects.
    pub fn needs(&self, room: &Room) -> Needs {
        effects::needs(&room.row, &self.sender, &self.submission.effects)
    }

    fn commits(&self) -> bool {
        self.header.is_some_and(|header| header.content == ContentType::Commit)
    }

    fn marked(&self) -> bool {
        self.header.is_some_and(|header| header.marked)
    }
}

/// Checks a submission by the room's row, the sender's row and their budget: depth *post*.
///
/// # Errors
/// The first rule that forbids the submission. It still spends the sender's pace of commits.
pub fn check(
    room: &Room,
    context: &mut Context<'_>,
    sender: MemberRow,
    submission: Submission,
) -> Result<Checked, Refusal> {
    let Submission { payload, expect, effects, .. } = &submission;
    let (row, now) = (&room.row, context.now);
    if row.kind == Kind::ClosedLane {
        return Err(RejectCode::LaneClosed.into());
    }
    if payload.is_empty() && effects.is_empty() {
        return Err(RejectCode::BadFrame.into());
    }
    if payload.len() > PAYLOAD_BYTES_MAX || effects.len() > EFFECTS_MAX {
        return Err(RejectCode::TooLarge.into());
    }
    let header = if payload.is_empty() {
        None
    } else {
        let header = mls_header::parse(payload).filter(|header| header.room == row.id);
        Some(header.ok_or(RejectCode::BadPayload)?)
    };
    let commits = header.is_some_and(|h| h.content == ContentType::Commit);
    // The numbers of a lane have no end: it goes on until its room is deleted.
    if row.numbers.have_ended(now) {
        check_ended(row, header, effects)?;
    }
    if expect.is_some_and(|expect| expect != row.control) {
        return Err(RejectCode::StateChanged.into());
    }
    effects::check_rights(row, &sender, effects, header)?;
    let marked = header.is_some_and(|h| h.marked);
    let leaves = effects.contains(&Effect::Leave);
    // The mark tells every reader that the entry holds no text.
    let retracts = |e: &Effect| matches!(e, Effect::Retract { own: Some(_), .. });
    if marked && (payload.len() > MARKED_BYTES_MAX || !leaves && !effects.iter().any(retracts)) {
        return Err(RejectCode::BadPayload.into());
    }
    let moderates = row.moderates(&sender);
    let bytes = payload.len() as u64 + ROW_BYTES;
    let content = quota::content(effects);
    let spent = if row.is_lane() { bytes.saturating_add(content) } else { bytes };
    let paced = !moderates && header.is_some() && !marked;
    if marked && !leaves {
        posts::check_marked(&sender, now)?;
    } else if paced && !commits && !row.is_lane() {
        posts::check_post(room, &sender, payload.len(), now)?;
    }
    if row.is_lane() && !marked {
        let share = match (header.is_some(), commits) {
            (_, true) => Share::Act,
            (true, false) => Share::Member,
            (false, false) => Share::Rule,
        };
        if header.is_some() {
            context.quota.check_member(row.id, &sender, spent, now)?;
        }
        context.quota.check_room(row, share, spent, now)?;
        context.quota.check_disk(context.disk, spent, now)?;
    } else if paced {
        context.quota.check_member(row.id, &sender, bytes, now)?;
        context.quota.check_room(row, Share::Member, bytes, now)?;
        context.quota.check_disk(context.disk, bytes, now)?;
    } else if moderates && !marked {
        let share = match (header.is_some(), commits) {
            (_, true) => Share::Act,
            (true, false) => Share::Moderator,
            (false, false) if content > 0 => Share::Moderator,
            (false, false) => Share::Rule,
        };
        context.quota.check_room(row, share, bytes.saturating_add(content), now)?;
    }
    // In a lane every seat may reopen an epoch, which undoes a commit, so it has the pace of one.
    let reopens = row.is_lane() && effects.iter().any(|e| matches!(e, Effect::Reopen { .. }));
    if commits && !moderates || reopens {
        context.pace.take(row.id, &sender.key, now)?;
    }
    let seq = if header.is_some() { Seq(row.head.0 + 1) } else { Seq(0) };
    if seq.0 > SEQ_MAX {
        return Err(RejectCode::RoomFull.into());
    }
    Ok(Checked { submission, sender, header, seq, bytes, spent })
}

/// Refuses what nobody does after the end of the group. Members go on renewing, leaving and taking back what is theirs.
fn check_ended(
    row: &RoomRow,
    header: Option<MlsHeader>,
    effects: &[Effect],
) -> Result<(), Refusal> {
    let posts =
        header.is_some_and(|header| header.content != ContentType::Commit && !header.marked);
    let goes_on = |effect: &Effect| match effect {
        Effect::Admit { .. } | Effect::AddInvite { .. } => false,
        Effect::SetNumbers { numbers } => numbers.ends_at == row.numbers.ends_at,
        _ => true,
    };
    if posts || !effects.iter().all(goes_on) {
        return Err(RejectCode::Ended.into());
    }
    Ok(())
}

/// Applies a submission to a room with the parts in [`Checked::needs`]: entry, epoch and all effects together.
///
/// # Errors
/// The first effect that the room refuses, or [`RejectCode::EpochConflict`] for another epoch than the room's.
pub fn apply(
    room: &mut Room,
    context: &mut Context<'_>,
    checked: Checked,
) -> Result<Accepted, Refusal> {
    let now = context.now;
    let (commits, marked) = (checked.commits(), checked.marked());
    let Checked { submission, sender, header, seq, bytes, spent: cost } = checked;
    let Submission { payload, effects, .. } = submission;
    let entry = if header.is_some() { seq } else { room.row.head };
    if !effects.is_empty() {
        room.members.entry(sender.key).or_insert_with(|| Some(sender.clone()));
    }
    let had_owner = room.row.is_lane() && lanes::has_owner(room)?;
    for effect in effects.iter() {
        let enacts = sender.role.admits() && effects::enacts(&effects);
        let act = effects::Act { now, sender: &sender, entry, names: context.names, enacts };
        effects::apply(room, &act, effect)?;
    }
    if room.row.is_lane() {
        lanes::check_seats(room, had_owner)?;
    }
    // Checked after the effects, because the commit beside a `Reopen` names the reopened epoch.
    if header.is_some_and(|header| header.epoch != room.row.epoch) {
        return Err(RejectCode::EpochConflict.into());
    }
    if !effects.is_empty() {
        room.row.control += 1;
    }
    if commits {
        room.row.epoch = Epoch(room.row.epoch.0.saturating_add(1));
    }
    room.row.added = room.row.added.saturating_add(bytes);
    if header.is_some() && (marked || !room.row.moderates(&sender)) {
        let mut spent = sender.clone();
        if marked {
            spent.marked_at = now;
        } else {
            if !commits {
                posts::count_post(room, &mut spent, now);
            }
            if let Some(full_at) = context.quota.take(room.row.id, &sender, cost, now) {
                spent.full_at = full_at;
            }
        }
        room.paced = (!spent.has_pace_of(&sender)).then_some(spent);
    }
    if header.is_some() {
        room.row.head = seq;
    }
    room.append = Some(Append { seq, at: now, payload });
    room.row.oldest_at = room.row.oldest_at.min(now);
    Ok(Accepted { seq, at: now, control: room.row.control })
}
