//! Requests before admission: opening a room, previewing and burning an invite, knocking.

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

/// Terms of a grant.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// Rooms that may still be opened.
    pub rooms_left: u32,
    /// Maximum members of each room.
    pub members_max: u32,
    pub expires: Millis,
}

impl Terms {
    pub fn is_usable(&self, now: Millis) -> bool {
        self.rooms_left > 0 && self.expires > now
    }
}

/// A founder's request.
pub struct Opening {
    pub grant: Secret32,
    pub numbers: RoomNumbers,
    pub agreement: Commitment,
}

/// Outcome of an opening.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opened {
    /// The same key has opened the room already.
    Already(Standing),
    /// The room is to be opened with this limit and founder, and the grant to be spent once.
    New { members_max: u32, founder: MemberRow },
}

/// Decides whether a room opens. `existing` is the room with this id, with the row of the founder's key in it.
///
/// The same key gets the same answer again, so that a founder whose answer was lost can repeat the request.
///
/// # Errors
/// The grant's refusal comes first, so that a stranger without a grant does not learn whether a room exists.
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

/// Checks that a grant opens a room, or that its founder repeats the request for an open room.
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

/// Checks that an invite shows its preview.
///
/// # Errors
/// Missing rooms and missing invites get the same answer.
pub fn preview(invite: Option<Invite>, now: Millis) -> Result<Invite, Refusal> {
    let invite = burn(invite, now)?;
    if invite.uses_left == 0 {
        return Err(RejectCode::InviteUsed.into());
    }
    Ok(invite)
}

/// Checks that the uses of an invite may be spent.
///
/// # Errors
/// Missing rooms and missing invites get the same answer.
pub fn burn(invite: Option<Invite>, now: Millis) -> Result<Invite, Refusal> {
    let invite = invite.ok_or(RejectCode::InviteInvalid)?;
    if invite.expires <= now {
        return Err(RejectCode::InviteExpired.into());
    }
    Ok(invite)
}

/// Returns the oldest invite without uses left and without a pending knock.
///
/// A spent invite is kept as long as there is space, so that a late visitor is told that it is spent.
pub(crate) fn spent_invite(room: &mut Room) -> Result<Option<InviteId>, Refusal> {
    let waited_with: Vec<InviteId> = room.pending()?.iter().map(|knock| knock.invite).collect();
    let mut spent = room.invites()?.iter().filter(|invite| invite.uses_left == 0);
    Ok(spent.find(|invite| !waited_with.contains(&invite.id)).map(|invite| invite.id))
}

/// A knock as received.
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
    /// Whether the new knock has the same invite, digest and body.
    pub same: bool,
}

/// A room's records of a key that knocks with an invite.
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

/// Records of a knocking key that cost more to load.
#[derive(Clone, Copy, Debug, Default)]
pub struct Crowd {
    /// Time of the key's last knock with any invite.
    pub last: Option<Millis>,
    /// Pending knocks of the room.
    pub pending: usize,
}

/// An accepted knock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Whether it replaces a pending one.
    replaces: bool,
    /// Whether it spends a use of the invite.
    spends: bool,
}

/// Judges a knock by its invite, key and acknowledgement: the gate at the relay. Returns the key's standing if that is the answer.
///
/// # Errors
/// With any invite, a knock without proof of acknowledging the current agreement is refused.
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
    // A declined key needs another invite to knock again.
    if (!spent && candidate.invite.uses_left == 0) || (spent && candidate.is_declined()) {
        return Err(RejectCode::InviteUsed.into());
    }
    if row.numbers.have_ended(now) {
        return Err(RejectCode::Ended.into());
    }
    if row.numbers.locked {
        return Err(RejectCode::Locked.into());
    }
    let ack = &knock.acknowledgement;
    if ack.agreement != row.agreement || !is_signed(&row.id, &candidate.key, ack) {
        return Err(RejectCode::NotAcknowledged.into());
    }
    // The same knock again, because its first answer was lost.
    Ok(candidate.waits().filter(|before| before.same).map(|_| Standing::Knocking))
}

/// Judges a knock that passed the gate by its pace and by the pending knocks.
///
/// The first knock of a key with an invite spends a use. The same key may replace its pending knock, once in [`KNOCK_MILLIS`].
///
/// # Errors
/// The key knocks too often, too many knocks are pending, or the room or the disk is full.
pub fn pace_knock(
    room: &Room,
    context: &mut Context<'_>,
    candidate: &Candidate,
    crowd: Crowd,
    knock: &Knock,
) -> Result<Taken, Refusal> {
    let (row, now, pending_before) = (&room.row, context.now, candidate.waits());
    // Neither withdrawing a knock nor another invite allows the next one sooner. A declined key with another invite has had its
    // answer.
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

/// Accepts a knock. `taken_back` is the time of the last withdrawn knock with the invite, by any key, because new keys cost
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
    // No notice of a replacement, nor of a knock soon after a withdrawn one with the same invite.
    let quiet = taken_back.is_some_and(|at| at <= now && at.plus(KNOCK_QUIET_MILLIS) > now);
    room.news.knocked = !taken.replaces && !quiet;
    Standing::Knocking
}
