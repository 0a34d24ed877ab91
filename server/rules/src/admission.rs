//! Before admission: opening a room, previewing and burning an invite, knocking.

use hearth_protocol::{
    Commitment, InviteId, MemberKey, Millis, RejectCode, Role, RoomId, RoomNumbers, Secret32, Seq,
    frame::{AckTriple, Standing},
    handshake,
    limits::{KNOCK_BYTES_MAX, KNOCK_MILLIS, KNOCK_QUIET_MILLIS, KNOCKS_MAX},
};

use crate::{
    Change, Context, Invite, MemberRow, Refusal, Room, posts,
    quota::{ROW_BYTES, Share},
};

/// What a grant allows.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// Rooms that may still be opened.
    pub rooms_left: u32,
    /// Members of each room.
    pub members_max: u32,
    pub expires: Millis,
}

impl Terms {
    pub fn is_usable(&self, now: Millis) -> bool {
        self.rooms_left > 0 && self.expires > now
    }
}

/// What a founder asks for.
pub struct Opening {
    pub grant: Secret32,
    pub numbers: RoomNumbers,
    pub agreement: Commitment,
}

/// How an opening is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opened {
    /// It is open already, by the same key.
    Already(Standing),
    /// It is to be opened, with so many members and this founder, and the grant to be spent once.
    New { members_max: u32, founder: MemberRow },
}

/// Whether a room opens. `existing` is the room of this id, with the row of the founder's key there.
///
/// The same again by the same key is answered alike, so that a founder whose answer was lost can ask once more.
///
/// # Errors
/// The grant's refusal first: without one, a stranger does not learn whether a room exists.
pub fn open_room(
    existing: Option<Option<&MemberRow>>,
    grant: Option<Terms>,
    founder: MemberKey,
    numbers: &RoomNumbers,
    now: Millis,
) -> Result<Opened, Refusal> {
    if !posts::well_formed(numbers) {
        return Err(RejectCode::BadFrame.into());
    }
    if let Some(Some(member)) = existing
        && member.joined == Seq(0)
    {
        return Ok(Opened::Already(member.standing()));
    }
    let grant = grant.filter(|terms| terms.is_usable(now)).ok_or(RejectCode::GrantInvalid)?;
    if existing.is_some() {
        return Err(RejectCode::RoomExists.into());
    }
    let founder = MemberRow::joining(founder, Role::Facilitator, Seq(0));
    Ok(Opened::New { members_max: grant.members_max, founder })
}

/// Whether a grant opens a room, or the room is open already and its founder asks again.
///
/// # Errors
/// [`RejectCode::GrantInvalid`].
pub fn check_grant(
    grant: Option<Terms>,
    founder: Option<&MemberRow>,
    now: Millis,
) -> Result<(), Refusal> {
    let opens = grant.is_some_and(|terms| terms.is_usable(now));
    if opens || founder.is_some_and(|member| member.joined == Seq(0)) {
        Ok(())
    } else {
        Err(RejectCode::GrantInvalid.into())
    }
}

/// Whether an invite shows its preview.
///
/// # Errors
/// Absent rooms and absent invites are one answer.
pub fn preview(invite: Option<Invite>, now: Millis) -> Result<Invite, Refusal> {
    let invite = burn(invite, now)?;
    if invite.uses_left == 0 {
        return Err(RejectCode::InviteUsed.into());
    }
    Ok(invite)
}

/// Whether the uses of an invite may be spent.
///
/// # Errors
/// Absent rooms and absent invites are one answer.
pub fn burn(invite: Option<Invite>, now: Millis) -> Result<Invite, Refusal> {
    let invite = invite.ok_or(RejectCode::InviteInvalid)?;
    if invite.expires <= now {
        return Err(RejectCode::InviteExpired.into());
    }
    Ok(invite)
}

/// Returns the oldest invite that has no uses left and that no pending knock names.
///
/// A spent invite is kept as long as there is room for it, so that a person who comes too late is told so.
pub(crate) fn spent_invite(room: &mut Room) -> Result<Option<InviteId>, Refusal> {
    let waited_with: Vec<InviteId> = room.pending()?.iter().map(|knock| knock.invite).collect();
    let mut spent = room.invites()?.iter().filter(|invite| invite.uses_left == 0);
    Ok(spent.find(|invite| !waited_with.contains(&invite.id)).map(|invite| invite.id))
}

/// A knock as it came.
#[derive(Clone)]
pub struct Knock {
    pub token: Secret32,
    pub acknowledgement: AckTriple,
    pub body: Vec<u8>,
}

/// An earlier knock of the same key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Before {
    pub declined: bool,
    pub at: Millis,
    /// Whether the new one has the same invite, digest and body.
    pub same: bool,
}

/// What a room holds of a key that knocks with an invite.
#[derive(Clone, Debug)]
pub struct Candidate {
    pub key: MemberKey,
    pub invite: Invite,
    pub member: Option<MemberRow>,
    pub before: Option<Before>,
    /// When the key last knocked with this invite.
    pub last: Option<Millis>,
}

impl Candidate {
    fn is_declined(&self) -> bool {
        self.before.is_some_and(|before| before.declined)
    }

    fn waits(&self) -> Option<Before> {
        self.before.filter(|before| !before.declined)
    }
}

/// What takes longer to find of a key that knocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Crowd {
    /// When the key last knocked, with whatever invite.
    pub last: Option<Millis>,
    /// Knocks of the room that wait.
    pub pending: usize,
}

/// A knock that is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Whether it replaces one that waits.
    replaces: bool,
    /// Whether it spends a use of the invite.
    spends: bool,
}

/// Judges a knock by its invite, its key and its acknowledgement: the gate at the relay. Returns how the key stands, if that answers it.
///
/// # Errors
/// Whatever the invite says, a knock without a proof of having acknowledged the current agreement is refused.
pub fn check_knock(
    room: &Room,
    now: Millis,
    candidate: &Candidate,
    knock: &Knock,
) -> Result<Option<Standing>, Refusal> {
    let row = &room.row;
    if candidate.invite.expires <= now {
        return Err(RejectCode::InviteExpired.into());
    }
    if knock.body.len() > KNOCK_BYTES_MAX {
        return Err(RejectCode::TooLarge.into());
    }
    if let Some(member) = candidate.member.as_ref().filter(|member| member.is_in()) {
        return Ok(Some(member.standing()));
    }
    let spent = candidate.last.is_some();
    // A declined key needs another invite to ask again.
    if (!spent && candidate.invite.uses_left == 0) || (spent && candidate.is_declined()) {
        return Err(RejectCode::InviteUsed.into());
    }
    if row.numbers.locked {
        return Err(RejectCode::Locked.into());
    }
    let ack = &knock.acknowledgement;
    if ack.agreement != row.agreement || !is_signed(&row.id, &candidate.key, ack) {
        return Err(RejectCode::NotAcknowledged.into());
    }
    // The same again: its first answer was lost.
    Ok(candidate.waits().filter(|before| before.same).map(|_| Standing::Knocking))
}

/// Judges a knock that passed the gate by its pace and by what waits already.
///
/// The first knock of a key with an invite spends a use. The same key may replace its pending knock, once in [`KNOCK_MILLIS`].
///
/// # Errors
/// A key that knocks too often, a busy door, a full room or disk.
pub fn pace_knock(
    room: &Room,
    context: &mut Context<'_>,
    candidate: &Candidate,
    crowd: Crowd,
    knock: &Knock,
) -> Result<Taken, Refusal> {
    let (row, now, pending_before) = (&room.row, context.now, candidate.waits());
    // Neither taking a knock back nor another invite allows the next one sooner. A declined key that has another invite was
    // answered meanwhile.
    let other = crowd.last.filter(|_| !candidate.is_declined());
    let latest = pending_before.map(|before| before.at).max(candidate.last).max(other);
    if let Some(latest) = latest.filter(|at| *at <= now && at.plus(KNOCK_MILLIS) > now) {
        return Err(Refusal::until(RejectCode::RateLimited, Some(latest.plus(KNOCK_MILLIS))));
    }
    if pending_before.is_none() && crowd.pending >= KNOCKS_MAX {
        return Err(RejectCode::DoorBusy.into());
    }
    let bytes = knock.body.len() as u64 + ROW_BYTES;
    context.quota.check_room(row, Share::Member, bytes, now)?;
    context.quota.check_disk(context.disk, bytes, now)?;
    Ok(Taken { replaces: pending_before.is_some(), spends: candidate.last.is_none() })
}

fn is_signed(room: &RoomId, key: &MemberKey, ack: &AckTriple) -> bool {
    let transcript = handshake::knock_transcript(room, key, &ack.agreement, &ack.digest);
    handshake::verify(key, &transcript, &ack.signature)
}

/// Takes a knock. `taken_back` is when the last knock by the invite came that was taken back since, by whatever key: a key costs
/// nothing.
pub fn take_knock(
    room: &mut Room,
    now: Millis,
    candidate: &Candidate,
    taken: Taken,
    taken_back: Option<Millis>,
    knock: Knock,
) -> Standing {
    let (invite, member, at) = (candidate.invite.id, candidate.key, now);
    if taken.spends {
        let left = candidate.invite.uses_left.saturating_sub(1);
        room.changes.push(Change::InviteUses { invite, left });
    }
    room.changes.push(Change::Knocker { invite, member, at });
    let Knock { acknowledgement, body, .. } = knock;
    room.changes.push(Change::Knock { member, invite, acknowledgement, body, at });
    // No notice of a replacement, nor of a knock soon after one by the same invite that was taken back.
    let quiet = taken_back.is_some_and(|at| at <= now && at.plus(KNOCK_QUIET_MILLIS) > now);
    room.news.knocked = !taken.replaces && !quiet;
    Standing::Knocking
}
