//! Changes of roster and rules: who may ask for which, and what each does.

use hearth_protocol::{
    BlobId, Commitment, Digest, Effect, MemberKey, MessageId, Millis, RejectCode, Role, Seq,
    limits::{INVITES_MAX, NOTE_BYTES_MAX, PREVIEW_BYTES_MAX},
    mls_header::{ContentType, MlsHeader},
};
use rusqlite::{OptionalExtension as _, params};

use super::{
    Batch, Fault, blobs, door,
    rows::{self, MemberRow, RoomRow, State},
    rules,
    schema::int,
    submit,
};

/// Who acts, when, and beside which entry.
#[derive(Clone, Copy)]
pub(crate) struct Act<'a> {
    pub(crate) now: Millis,
    pub(crate) sender: &'a MemberRow,
    /// The entry of the same submission, or the last one if it has none.
    pub(crate) entry: Seq,
}

/// What effects touched beside the tables.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) roster: bool,
    pub(crate) rules: bool,
    pub(crate) tombstones: Vec<(Seq, Millis, Digest)>,
}

/// Checks what follows from the sender's role and the entry's kind alone.
pub(crate) fn check_rights(
    room: &RoomRow,
    sender: &MemberRow,
    effects: &[Effect],
    entry: Option<MlsHeader>,
) -> Result<(), Fault> {
    let commits = entry.is_some_and(|header| header.content == ContentType::Commit);
    let marked = entry.is_some_and(|header| header.marked);
    for (index, effect) in effects.iter().enumerate() {
        // An effect with a record in the policy needs the commit that carries the record, so that no member misses it.
        let needs_commit = matches!(
            effect,
            Effect::Admit { .. }
                | Effect::Remove { .. }
                | Effect::SetRole { .. }
                | Effect::SetNumbers { .. }
                | Effect::Timeout { .. }
                | Effect::Retract { own: None, .. }
                | Effect::SetAgreement { .. }
        );
        // The other members see who did these only in the entry. Without it they would blame the relay.
        let needs_mark = matches!(effect, Effect::Leave | Effect::Retract { own: Some(_), .. });
        if needs_commit && !commits || needs_mark && !marked {
            return Err(RejectCode::BadPayload.into());
        }
        let allowed = match effect {
            // Nobody acts after having left.
            Effect::Leave => {
                if index + 1 != effects.len() {
                    return Err(RejectCode::BadFrame.into());
                }
                true
            }
            Effect::Retract { own: Some(_), .. } => true,
            // Of those who have left, by anyone: checked against the roster when applied.
            Effect::Remove { .. } => true,
            // An epoch that others have left tears the room: it is not for co-facilitators.
            Effect::Reopen { .. } => sender.role == Role::Facilitator,
            Effect::SetRole { role, .. } if role.moderates() => sender.role == Role::Facilitator,
            Effect::SetNumbers { numbers }
                if numbers.retention_seconds != room.numbers.retention_seconds =>
            {
                sender.role == Role::Facilitator
            }
            _ => sender.role.moderates(),
        };
        if !allowed {
            return Err(RejectCode::NotFacilitator.into());
        }
    }
    Ok(())
}

/// Applies one effect; effects of a submission see what those before them did.
pub(crate) fn apply(
    batch: &mut Batch<'_>,
    room: &mut RoomRow,
    act: &Act<'_>,
    effect: &Effect,
    outcome: &mut Outcome,
) -> Result<(), Fault> {
    match effect {
        Effect::Admit { member, role, welcome, acknowledgement } => {
            outcome.roster = true;
            let admission = Admission { member, role: *role, welcome, acknowledgement };
            admit(batch, room, act, &admission)
        }
        Effect::Remove { member } => {
            outcome.roster = true;
            remove(batch, room, act, member)
        }
        Effect::SetRole { member, role } => {
            outcome.roster = true;
            set_role(batch, room, act, member, *role)
        }
        Effect::SetNumbers { numbers } => {
            if !rules::well_formed(numbers) {
                return Err(RejectCode::BadFrame.into());
            }
            outcome.rules = true;
            room.numbers = numbers.clone();
            Ok(())
        }
        Effect::Timeout { member, until } => {
            outcome.roster = true;
            time_out(batch, room, member, *until)
        }
        Effect::Retract { seq, own } => retract(batch, room, act, *seq, own.as_ref(), outcome),
        Effect::Decline { member, note } => {
            outcome.roster = true;
            decline(batch, room, member, note)
        }
        Effect::AddInvite { invite, uses, expires, preview } => {
            if *uses == 0 || *expires <= act.now {
                return Err(RejectCode::BadFrame.into());
            }
            if preview.len() > PREVIEW_BYTES_MAX {
                return Err(RejectCode::TooLarge.into());
            }
            let (count, taken): (i64, bool) = batch
                .db
                .prepare_cached(
                    "SELECT count(*), coalesce(max(invite = ?2), 0) FROM invites WHERE room = ?1",
                )?
                .query_row(params![room.key, invite.as_bytes()], |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })?;
            if taken {
                return Err(RejectCode::IdConflict.into());
            }
            if usize::try_from(count).unwrap_or(usize::MAX) >= INVITES_MAX
                && !door::forget_a_spent_invite(batch.db, room.key)?
            {
                return Err(RejectCode::RoomFull.into());
            }
            let issuer = batch.secrets.issuer(&room.id, &act.sender.key);
            batch
                .db
                .prepare_cached("INSERT INTO invites VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
                .execute(params![
                    room.key,
                    invite.as_bytes(),
                    uses,
                    int(expires.0),
                    issuer,
                    preview
                ])?;
            Ok(())
        }
        Effect::RevokeInvite { invite } => {
            let forgotten = door::forget_invite(batch.db, room.key, invite)?;
            let dropped = door::drop_knocks(batch.db, room.key, invite)?;
            outcome.roster |= dropped > 0;
            if forgotten || dropped > 0 { Ok(()) } else { Err(RejectCode::NotFound.into()) }
        }
        Effect::SetAgreement { agreement } => {
            outcome.roster = true;
            outcome.rules = true;
            set_agreement(batch, room, *agreement)
        }
        Effect::Leave => {
            outcome.roster = true;
            leave(batch, room, act)
        }
        Effect::Reopen { epoch } => {
            // Back by one, after a commit that everybody refused; or ahead, after a restored backup.
            let back = room.epoch.0.checked_sub(1) == Some(epoch.0);
            if !back && *epoch <= room.epoch {
                return Err(RejectCode::EpochConflict.into());
            }
            room.epoch = *epoch;
            Ok(())
        }
        // A later version of the wire may know more effects; this one applies none that it does not know.
        _ => Err(RejectCode::Unsupported.into()),
    }
}

struct Admission<'a> {
    member: &'a MemberKey,
    role: Role,
    welcome: &'a BlobId,
    acknowledgement: &'a Digest,
}

fn admit(
    batch: &Batch<'_>,
    room: &RoomRow,
    act: &Act<'_>,
    admission: &Admission<'_>,
) -> Result<(), Fault> {
    if admission.role.moderates() && act.sender.role != Role::Facilitator {
        return Err(RejectCode::NotFacilitator.into());
    }
    if room.numbers.locked {
        return Err(RejectCode::Locked.into());
    }
    let knock = batch
        .db
        .prepare_cached(
            "SELECT agreement, digest FROM knocks WHERE room = ?1 AND member = ?2 AND declined = 0",
        )?
        .query_row(params![room.key, admission.member.as_bytes()], |row| {
            Ok((Commitment(rows::bytes(row, 0)?), Digest(rows::bytes(row, 1)?)))
        })
        .optional()?;
    let Some((agreement, digest)) = knock else {
        return Err(RejectCode::NotFound.into());
    };
    if agreement != room.agreement || digest != *admission.acknowledgement {
        return Err(RejectCode::NotAcknowledged.into());
    }
    let former = rows::member(batch.db, room.key, admission.member)?;
    if former.as_ref().is_some_and(|m| m.state != State::Gone) {
        // In already, or left and still a leaf of the group: the commit must remove that leaf first.
        return Err(RejectCode::NotFound.into());
    }
    let (count,): (u32,) = batch
        .db
        .prepare_cached("SELECT count(*) FROM members WHERE room = ?1 AND state < 2")?
        .query_row([room.key], |row| Ok((row.get(0)?,)))?;
    if count >= room.members_max {
        return Err(RejectCode::RoomFull.into());
    }
    if !blobs::exists(batch.db, room.key, admission.welcome)? {
        return Err(RejectCode::NotFound.into());
    }
    let member = MemberRow {
        key: *admission.member,
        role: admission.role,
        state: State::In,
        joined: act.entry,
        gone: Seq(0),
        gone_at: Millis(0),
        // A time-out is not shaken off by leaving and coming back.
        timeout_until: former.as_ref().map_or(Millis(0), |m| m.timeout_until),
        last_post_at: Millis(0),
        welcome: Some(*admission.welcome),
        full_at: former.as_ref().map_or(Millis(0), |m| m.full_at),
        marked_at: former.as_ref().map_or(Millis(0), |m| m.marked_at),
    };
    rows::save_member(batch.db, room.key, &member)?;
    // The use that was spent has led in. Whoever is out again one day needs another.
    batch
        .db
        .prepare_cached("DELETE FROM knockers WHERE room = ?1 AND member = ?2")?
        .execute(params![room.key, admission.member.as_bytes()])?;
    drop_knock(batch, room, admission.member)
}

fn remove(
    batch: &Batch<'_>,
    room: &RoomRow,
    act: &Act<'_>,
    member: &MemberKey,
) -> Result<(), Fault> {
    let target = rows::member(batch.db, room.key, member)?.filter(|m| m.state != State::Gone);
    if !act.sender.role.moderates() {
        // Anyone may commit the departure of somebody who has left; absent and forbidden are one answer.
        let left = target.as_ref().is_some_and(|m| m.state == State::Left);
        if !left {
            return Err(RejectCode::NotFacilitator.into());
        }
    }
    // The leaf may have no row, after a restored backup, or one that is out already: the commit that removes it is taken.
    let Some(mut target) = target else { return Ok(()) };
    if target.state == State::In {
        if target.key == act.sender.key {
            // MLS has no commit that removes its committer (RFC 9420 section 12.2).
            return Err(RejectCode::BadFrame.into());
        }
        if target.role.moderates() && act.sender.role != Role::Facilitator {
            return Err(RejectCode::NotFacilitator.into());
        }
        target.gone = act.entry;
        target.gone_at = act.now;
    }
    target.state = State::Gone;
    depart(batch, room, &mut target)
}

fn leave(batch: &Batch<'_>, room: &RoomRow, act: &Act<'_>) -> Result<(), Fault> {
    let mut sender = act.sender.clone();
    // The row as effects of the same submission may have changed it.
    if let Some(current) = rows::member(batch.db, room.key, &sender.key)? {
        sender = current;
    }
    if sender.role == Role::Facilitator {
        let others = rows::roster(batch.db, room.key)?
            .into_iter()
            .filter(|m| m.state == State::In && m.key != sender.key)
            .collect::<Vec<_>>();
        let held = others.iter().any(|m| m.role == Role::Facilitator);
        if !held && !others.is_empty() {
            return Err(RejectCode::LastFacilitator.into());
        }
    }
    sender.state = State::Left;
    sender.gone = act.entry;
    sender.gone_at = act.now;
    depart(batch, room, &mut sender)
}

/// Saves somebody who is no longer in, without their Welcome and their invites.
fn depart(batch: &Batch<'_>, room: &RoomRow, member: &mut MemberRow) -> Result<(), Fault> {
    let welcome = member.welcome.take();
    rows::save_member(batch.db, room.key, member)?;
    if let Some(welcome) = welcome {
        blobs::drop_unused(batch.db, room.key, &welcome)?;
    }
    let issuer = batch.secrets.issuer(&room.id, &member.key);
    batch
        .db
        .prepare_cached(
            "DELETE FROM knockers WHERE room = ?1 AND invite IN
               (SELECT invite FROM invites WHERE room = ?1 AND issuer = ?2)",
        )?
        .execute(params![room.key, issuer])?;
    batch
        .db
        .prepare_cached("DELETE FROM invites WHERE room = ?1 AND issuer = ?2")?
        .execute(params![room.key, issuer])?;
    Ok(())
}

fn set_role(
    batch: &Batch<'_>,
    room: &RoomRow,
    act: &Act<'_>,
    member: &MemberKey,
    role: Role,
) -> Result<(), Fault> {
    let roster = rows::roster(batch.db, room.key)?;
    let in_roster = |m: &&MemberRow| m.state == State::In;
    let target = roster.iter().filter(in_roster).find(|m| m.key == *member);
    let mut target = target.cloned().ok_or(RejectCode::NotFound)?;
    if target.role.moderates() && act.sender.role != Role::Facilitator {
        return Err(RejectCode::NotFacilitator.into());
    }
    let others =
        roster.iter().filter(in_roster).any(|m| m.key != *member && m.role == Role::Facilitator);
    if target.role == Role::Facilitator && role != Role::Facilitator && !others {
        return Err(RejectCode::LastFacilitator.into());
    }
    target.role = role;
    if role.moderates() {
        target.timeout_until = Millis(0);
    }
    rows::save_member(batch.db, room.key, &target)?;
    Ok(())
}

fn time_out(
    batch: &Batch<'_>,
    room: &RoomRow,
    member: &MemberKey,
    until: Millis,
) -> Result<(), Fault> {
    let mut target = rows::member(batch.db, room.key, member)?
        .filter(|m| m.state == State::In && !m.role.moderates())
        .ok_or(RejectCode::NotFound)?;
    target.timeout_until = until;
    rows::save_member(batch.db, room.key, &target)?;
    Ok(())
}

fn retract(
    batch: &Batch<'_>,
    room: &RoomRow,
    act: &Act<'_>,
    seq: Seq,
    own: Option<&MessageId>,
    outcome: &mut Outcome,
) -> Result<(), Fault> {
    if seq.0 == 0 || seq > room.head {
        return Err(RejectCode::NotFound.into());
    }
    if let Some(id) = own
        && !submit::is_own(batch, room, &act.sender.key, id, seq)?
    {
        return Err(RejectCode::NotFound.into());
    }
    match submit::tombstone(batch, room, seq)? {
        Some((at, digest)) => {
            outcome.tombstones.push((seq, at, digest));
            Ok(())
        }
        // Gone already: what a facilitator wants is so. A member gets no exemption from the rules for nothing.
        None if act.sender.role.moderates() => Ok(()),
        None => Err(RejectCode::NotFound.into()),
    }
}

fn decline(
    batch: &Batch<'_>,
    room: &RoomRow,
    member: &MemberKey,
    note: &[u8],
) -> Result<(), Fault> {
    if note.len() > NOTE_BYTES_MAX {
        return Err(RejectCode::TooLarge.into());
    }
    let changed = batch
        .db
        .prepare_cached(
            "UPDATE knocks SET declined = 1, note = ?3, body = x'' WHERE room = ?1 AND member = ?2
             AND declined = 0",
        )?
        .execute(params![room.key, member.as_bytes(), note])?;
    if changed == 0 { Err(RejectCode::NotFound.into()) } else { Ok(()) }
}

fn set_agreement(
    batch: &Batch<'_>,
    room: &mut RoomRow,
    agreement: Commitment,
) -> Result<(), Fault> {
    if room.agreement == agreement {
        return Ok(());
    }
    room.agreement = agreement;
    for statement in [
        "DELETE FROM knocks WHERE room = ?1 AND declined = 0",
        "DELETE FROM knockers WHERE room = ?1",
        "DELETE FROM invites WHERE room = ?1",
    ] {
        batch.db.prepare_cached(statement)?.execute([room.key])?;
    }
    Ok(())
}

fn drop_knock(batch: &Batch<'_>, room: &RoomRow, member: &MemberKey) -> Result<(), Fault> {
    batch
        .db
        .prepare_cached("DELETE FROM knocks WHERE room = ?1 AND member = ?2")?
        .execute(params![room.key, member.as_bytes()])?;
    Ok(())
}
