use hearth_protocol::{
    BlobId, Commitment, Digest, Effect, MemberKey, MessageId, Millis, RejectCode, Role, Seq, hash,
    limits::{INVITES_MAX, NOTE_BYTES_MAX, PREVIEW_BYTES_MAX},
    mls_header::{ContentType, MlsHeader},
};

use crate::{
    Change, Invite, Kept, MemberRow, Names, Needs, Refusal, Room, RoomRow, State, admission, lanes,
    posts,
};

/// The actor, the time and the entry of an effect.
#[derive(Clone, Copy)]
pub(crate) struct Act<'a> {
    pub(crate) now: Millis,
    /// The sender's row before the first effect.
    pub(crate) sender: &'a MemberRow,
    /// The submission's own entry, or the last one if it has none.
    pub(crate) entry: Seq,
    pub(crate) names: &'a dyn Names,
    /// Whether a steward puts another agreement in force with this submission.
    pub(crate) enacts: bool,
}

/// Returns the parts of the room that effects need.
pub(crate) fn needs(row: &RoomRow, sender: &MemberRow, effects: &[Effect]) -> Needs {
    let mut needs = Needs::default();
    for effect in effects {
        match effect {
            Effect::Admit { member, welcome, .. } => {
                needs.roster = true;
                needs.pending = true;
                needs.members.push(*member);
                needs.blobs.push(*welcome);
            }
            Effect::Remove { member } | Effect::Timeout { member, .. } => {
                needs.roster |= row.is_lane();
                needs.members.push(*member);
            }
            Effect::Seat { member, welcome, .. } => {
                needs.roster = true;
                needs.members.push(*member);
                if !welcome.is_empty() {
                    needs.blobs.push(BlobId(hash::sha256(welcome).0));
                }
            }
            Effect::SetRole { .. } => needs.roster = true,
            Effect::Leave => needs.roster |= sender.role == Role::Facilitator,
            Effect::Retract { seq, .. } if is_logged(row, *seq) => needs.entries.push(*seq),
            Effect::Decline { .. } => needs.pending = true,
            Effect::AddInvite { .. } | Effect::RevokeInvite { .. } => {
                needs.invites = true;
                needs.pending = true;
            }
            _ => {}
        }
    }
    needs
}

fn is_logged(row: &RoomRow, seq: Seq) -> bool {
    seq.0 > 0 && seq <= row.head
}

/// Checks effects by the sender's role and the entry's kind alone.
pub(crate) fn check_rights(
    room: &RoomRow,
    sender: &MemberRow,
    effects: &[Effect],
    entry: Option<MlsHeader>,
) -> Result<(), Refusal> {
    if room.is_lane() {
        return lanes::check_rights(effects, entry);
    }
    let commits = entry.is_some_and(|header| header.content == ContentType::Commit);
    let marked = entry.is_some_and(|header| header.marked);
    for (index, effect) in effects.iter().enumerate() {
        // An effect with a record in the policy needs the commit with that record, so that every member sees it.
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
        // Only the entry shows the other members who did these. Without it they would blame the relay.
        let needs_mark = matches!(effect, Effect::Leave | Effect::Retract { own: Some(_), .. });
        if needs_commit && !commits || needs_mark && !marked {
            return Err(RejectCode::BadPayload.into());
        }
        let allowed = match effect {
            // A member who has left must not act.
            Effect::Leave => {
                if index + 1 != effects.len() {
                    return Err(RejectCode::BadFrame.into());
                }
                true
            }
            Effect::Retract { own: Some(_), .. } => true,
            Effect::Seat { .. } => return Err(RejectCode::BadFrame.into()),
            // Any member may remove a member who has left; `remove` checks that against the roster.
            Effect::Remove { .. } => true,
            // Reopening an epoch that others have left splits the room, so it is not for co-facilitators.
            Effect::Reopen { .. } => sender.role == Role::Facilitator,
            Effect::SetRole { role, .. } if role.admits() => sender.role == Role::Facilitator,
            Effect::Admit { .. } => sender.role.admits(),
            // Beside each other only: the members who have not acknowledged go with the new agreement.
            Effect::SetAgreement { .. } | Effect::AddInvite { .. } if enacts(effects) => {
                sender.role.admits()
            }
            // Both delete what everybody said.
            Effect::SetNumbers { numbers }
                if numbers.retention_seconds != room.numbers.retention_seconds
                    || numbers.ends_at != room.numbers.ends_at =>
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

/// Whether a submission puts another agreement in force, as far as the relay can tell.
pub(crate) fn enacts(effects: &[Effect]) -> bool {
    effects.iter().any(|effect| matches!(effect, Effect::SetAgreement { .. }))
}

/// Applies one effect, after the earlier effects of its submission.
pub(crate) fn apply(room: &mut Room, act: &Act<'_>, effect: &Effect) -> Result<(), Refusal> {
    match effect {
        Effect::Admit { member, role, welcome, acknowledgement } => {
            room.news.roster = true;
            let admission = Admission { member, role: *role, welcome, acknowledgement };
            admit(room, act, &admission)
        }
        Effect::Remove { member } => {
            room.news.roster = true;
            if room.row.is_lane() {
                lanes::remove(room, act, member)
            } else {
                remove(room, act, member)
            }
        }
        Effect::Seat { member, role, welcome } => {
            room.news.roster = true;
            lanes::seat(room, act, (member, *role), welcome)
        }
        Effect::SetRole { member, role } => {
            room.news.roster = true;
            set_role(room, act, member, *role)
        }
        Effect::SetNumbers { numbers } => {
            if !posts::well_formed(numbers) {
                return Err(RejectCode::BadFrame.into());
            }
            room.rules_changed = true;
            room.row.numbers = numbers.clone();
            Ok(())
        }
        Effect::Timeout { member, until } => {
            room.news.roster = true;
            time_out(room, member, *until)
        }
        Effect::Retract { seq, own } => retract(room, act, *seq, own.as_ref()),
        Effect::Decline { member, note } => {
            room.news.roster = true;
            decline(room, member, note)
        }
        Effect::AddInvite { invite, uses, expires, preview } => {
            if *uses == 0 || *expires <= act.now {
                return Err(RejectCode::BadFrame.into());
            }
            if preview.len() > PREVIEW_BYTES_MAX {
                return Err(RejectCode::TooLarge.into());
            }
            let issuer = act.names.issuer(&room.row.id, &act.sender.key);
            let (id, uses_left, expires) = (*invite, *uses, *expires);
            add_invite(room, Invite { id, uses_left, expires, issuer }, preview)
        }
        Effect::RevokeInvite { invite } => {
            let pending = room.pending()?;
            let before = pending.len();
            pending.retain(|knock| knock.invite != *invite);
            let dropped = before - pending.len();
            let invites = room.invites()?;
            let known = invites.iter().any(|known| known.id == *invite);
            if !known && dropped == 0 {
                return Err(RejectCode::NotFound.into());
            }
            invites.retain(|known| known.id != *invite);
            room.changes.push(Change::ForgetInvite(*invite));
            room.changes.push(Change::DropKnocksBy(*invite));
            room.news.roster |= dropped > 0;
            Ok(())
        }
        Effect::SetAgreement { agreement } => {
            room.news.roster = true;
            room.rules_changed = true;
            set_agreement(room, *agreement);
            Ok(())
        }
        Effect::Leave => {
            room.news.roster = true;
            leave(room, act)
        }
        Effect::Reopen { epoch } => {
            // Back by one, after a commit that every member refused; or ahead, after a restored backup. In a lane, back to any,
            // so that one commit of any seat undoes a storm of others.
            let back = room.row.epoch.0.checked_sub(1) == Some(epoch.0);
            if !back && *epoch <= room.row.epoch && !room.row.is_lane() {
                return Err(RejectCode::EpochConflict.into());
            }
            room.row.epoch = *epoch;
            Ok(())
        }
        // A later version of the wire may have more effects; this version applies only those that it knows.
        _ => Err(RejectCode::Unsupported.into()),
    }
}

struct Admission<'a> {
    member: &'a MemberKey,
    role: Role,
    welcome: &'a BlobId,
    acknowledgement: &'a Digest,
}

fn admit(room: &mut Room, act: &Act<'_>, admission: &Admission<'_>) -> Result<(), Refusal> {
    let appoints = admission.role.admits() && act.sender.role != Role::Facilitator;
    if appoints || (!act.sender.role.moderates() && admission.role != Role::Member) {
        return Err(RejectCode::NotFacilitator.into());
    }
    if room.row.numbers.locked {
        return Err(RejectCode::Locked.into());
    }
    let agreement = room.row.agreement;
    let pending = room.pending()?;
    let knock = pending.iter().find(|knock| knock.member == *admission.member);
    let knock = knock.ok_or(RejectCode::NotFound)?;
    if knock.agreement != agreement || knock.digest != *admission.acknowledgement {
        return Err(RejectCode::NotAcknowledged.into());
    }
    let former = room.member(admission.member)?;
    if former.is_some_and(|m| m.state != State::Gone) {
        // A present member, or one who left but is still a leaf of the group: a commit must remove that leaf first.
        return Err(RejectCode::NotFound.into());
    }
    let mut member = MemberRow::joining(*admission.member, admission.role, act.entry);
    member.welcome = Some(*admission.welcome);
    if let Some(former) = former {
        // A member cannot escape a time-out by leaving and returning.
        member.timeout_until = former.timeout_until;
        member.full_at = former.full_at;
        member.marked_at = former.marked_at;
    }
    if room.roster()?.count() >= usize::try_from(room.row.members_max).unwrap_or(usize::MAX) {
        return Err(RejectCode::RoomFull.into());
    }
    if !room.has_blob(admission.welcome)? {
        return Err(RejectCode::NotFound.into());
    }
    room.save_member(member);
    // The spent use has led to an admission. If the member is removed later, they need another one.
    room.changes.push(Change::ForgetKnocker(*admission.member));
    room.changes.push(Change::DropKnock(*admission.member));
    room.pending()?.retain(|knock| knock.member != *admission.member);
    Ok(())
}

fn remove(room: &mut Room, act: &Act<'_>, member: &MemberKey) -> Result<(), Refusal> {
    let target = room.member(member)?.filter(|m| m.state != State::Gone).cloned();
    if !act.sender.role.moderates() && !act.enacts {
        // Any member may commit the departure of a member who has left; missing and forbidden get the same answer.
        let left = target.as_ref().is_some_and(|m| m.state == State::Left);
        if !left {
            return Err(RejectCode::NotFacilitator.into());
        }
    }
    // The leaf may have no row, or one already gone, after a restored backup: the commit that removes it is accepted.
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
    depart(room, act, target);
    Ok(())
}

fn leave(room: &mut Room, act: &Act<'_>) -> Result<(), Refusal> {
    // Earlier effects of the submission may have changed the row.
    let current = room.member(&act.sender.key)?;
    let mut sender = current.unwrap_or(act.sender).clone();
    if sender.role == Role::Facilitator {
        let others =
            || Ok::<_, Refusal>(room.roster()?.filter(|m| m.is_in() && m.key != sender.key));
        let held = others()?.any(|m| m.role == Role::Facilitator);
        if !held && others()?.next().is_some() {
            return Err(RejectCode::LastFacilitator.into());
        }
    }
    sender.state = State::Left;
    sender.gone = act.entry;
    sender.gone_at = act.now;
    depart(room, act, sender);
    Ok(())
}

/// Saves a member who is no longer present, and deletes their Welcome and invites.
fn depart(room: &mut Room, act: &Act<'_>, mut member: MemberRow) {
    let welcome = member.welcome.take();
    let issuer = act.names.issuer(&room.row.id, &member.key);
    room.save_member(member);
    if let Some(welcome) = welcome {
        room.changes.push(Change::DropUnusedBlob(welcome));
    }
    if let Some(invites) = &mut room.invites {
        invites.retain(|invite| invite.issuer != issuer);
    }
    room.changes.push(Change::ForgetInvitesOf(issuer));
}

fn set_role(room: &mut Room, act: &Act<'_>, member: &MemberKey, role: Role) -> Result<(), Refusal> {
    let target = room.roster()?.find(|m| m.is_in() && m.key == *member);
    let mut target = target.cloned().ok_or(RejectCode::NotFound)?;
    if target.role.admits() && act.sender.role != Role::Facilitator {
        return Err(RejectCode::NotFacilitator.into());
    }
    let others =
        room.roster()?.any(|m| m.is_in() && m.key != *member && m.role == Role::Facilitator);
    if target.role == Role::Facilitator && role != Role::Facilitator && !others {
        return Err(RejectCode::LastFacilitator.into());
    }
    target.role = role;
    if role.moderates() {
        target.timeout_until = Millis(0);
    }
    room.save_member(target);
    Ok(())
}

fn time_out(room: &mut Room, member: &MemberKey, until: Millis) -> Result<(), Refusal> {
    let target = room.member(member)?.filter(|m| m.is_in() && !m.role.moderates());
    let mut target = target.cloned().ok_or(RejectCode::NotFound)?;
    target.timeout_until = until;
    room.save_member(target);
    Ok(())
}

fn retract(
    room: &mut Room,
    act: &Act<'_>,
    seq: Seq,
    own: Option<&MessageId>,
) -> Result<(), Refusal> {
    if !is_logged(&room.row, seq) {
        return Err(RejectCode::NotFound.into());
    }
    let name = own.map(|id| act.names.submission(&room.row.id, &act.sender.key, id));
    let entry = room.entry(seq)?;
    if name.is_some_and(|name| entry.as_ref().is_none_or(|entry| entry.name != name)) {
        return Err(RejectCode::NotFound.into());
    }
    let Some(entry) = entry.filter(|entry| entry.kept != Kept::Tombstone) else {
        // Already retracted: a facilitator has the wanted result. A member must not bypass the rules with an empty retraction.
        let moderates = room.row.moderates(act.sender);
        return if moderates { Ok(()) } else { Err(RejectCode::NotFound.into()) };
    };
    // Without a commit, a returning member could not follow the room. Without a marked entry, the tombstone that it explains
    // would look like the relay's own act.
    if let Kept::Payload(Some(header)) = entry.kept
        && (header.marked || header.content == ContentType::Commit)
    {
        return Err(RejectCode::NotFound.into());
    }
    entry.kept = Kept::Tombstone;
    let told = (seq, entry.at, entry.digest);
    room.changes.push(Change::Tombstone(seq));
    room.news.tombstones.push(told);
    Ok(())
}

fn decline(room: &mut Room, member: &MemberKey, note: &[u8]) -> Result<(), Refusal> {
    if note.len() > NOTE_BYTES_MAX {
        return Err(RejectCode::TooLarge.into());
    }
    let pending = room.pending()?;
    let at = pending.iter().position(|knock| knock.member == *member);
    pending.swap_remove(at.ok_or(RejectCode::NotFound)?);
    room.changes.push(Change::Decline { member: *member, note: note.to_vec() });
    Ok(())
}

fn add_invite(room: &mut Room, invite: Invite, preview: &[u8]) -> Result<(), Refusal> {
    let invites = room.invites()?;
    if invites.iter().any(|known| known.id == invite.id) {
        return Err(RejectCode::IdConflict.into());
    }
    if invites.len() >= INVITES_MAX {
        let spent = admission::spent_invite(room)?.ok_or(RejectCode::RoomFull)?;
        room.invites()?.retain(|known| known.id != spent);
        room.changes.push(Change::ForgetInvite(spent));
    }
    room.invites()?.push(invite);
    room.changes.push(Change::AddInvite { invite, preview: preview.to_vec() });
    Ok(())
}

fn set_agreement(room: &mut Room, agreement: Commitment) {
    if room.row.agreement == agreement {
        return;
    }
    room.row.agreement = agreement;
    if let Some(pending) = &mut room.pending {
        pending.clear();
    }
    if let Some(invites) = &mut room.invites {
        invites.clear();
    }
    room.changes.push(Change::DropInvitesAndKnocks);
}
