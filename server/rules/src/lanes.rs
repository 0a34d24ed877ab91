//! Lanes: small rooms that belong to a room and have no rules of their own. Every seat has the same rights, because the
//! clients judge by the log of the room, which the relay cannot read.

use hearth_protocol::{
    BlobId, Commitment, Digest, Effect, Epoch, MemberKey, RejectCode, Role, RoomId, RoomNumbers,
    Seq,
    frame::LaneSeat,
    hash,
    limits::{LANE_SEATS_MAX, LANES_BEYOND_MEMBERS, PAYLOAD_BYTES_MAX},
    mls_header::{self, ContentType, MlsHeader},
};

use crate::{
    Append, Change, Context, Kind, MemberRow, Refusal, Room, RoomRow, State, effects::Act,
    quota::ROW_BYTES,
};

/// A lane's first entry and seats, as received.
#[derive(Clone, Debug)]
pub struct Opening {
    pub commit: Vec<u8>,
    pub welcome: Vec<u8>,
    pub seats: Vec<LaneSeat>,
}

impl Opening {
    /// Returns the bytes that it takes in memory.
    pub fn bytes(&self) -> usize {
        self.commit.len().saturating_add(self.welcome.len())
    }
}

/// A lane of the same room with the same id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Earlier {
    pub closed: bool,
    /// SHA-256 of its first entry, if the key that proves itself opened it.
    pub opened_with: Option<Digest>,
}

/// Outcome of an opening.
#[derive(Debug)]
pub enum Opened {
    /// The same key opened it with the same commit: its index among the earlier lanes.
    Already(usize),
    /// The lane is to be stored.
    New(Box<Room>),
}

/// Returns the number of lanes of a room that may be open, and of those that are kept closed.
pub const fn lanes_max(parent: &RoomRow) -> u32 {
    parent.members_max.saturating_add(LANES_BEYOND_MEMBERS)
}

/// Decides whether a moderator opens a lane. `earlier` are the lanes of the parent with this id, `open` is the number of its
/// open lanes.
///
/// # Errors
/// The form comes first, then the repetition of an opening, then what the room has.
pub fn open(
    context: &mut Context<'_>,
    parent: &RoomRow,
    (lane, opener): (RoomId, MemberKey),
    opening: Opening,
    earlier: &[Earlier],
    open: u32,
) -> Result<Opened, Refusal> {
    let rows = check_form(lane, opener, &opening)?;
    let digest = hash::sha256(&opening.commit);
    if let Some(index) = earlier.iter().position(|lane| lane.opened_with == Some(digest)) {
        return Ok(Opened::Already(index));
    }
    if lane == parent.id || earlier.iter().any(|lane| !lane.closed) {
        return Err(RejectCode::RoomExists.into());
    }
    if open >= lanes_max(parent) {
        return Err(RejectCode::RoomFull.into());
    }
    let now = context.now;
    context.pace.open_lane(parent.id, lanes_max(parent), now)?;
    let Opening { commit, welcome, .. } = opening;
    let retention_seconds = parent.numbers.retention_seconds;
    let mut room = Room::new(RoomRow {
        id: lane,
        kind: Kind::Lane,
        epoch: Epoch(1),
        control: 0,
        agreement: Commitment([0; 32]),
        numbers: RoomNumbers { retention_seconds, ..RoomNumbers::default() },
        head: Seq(1),
        floor: Seq(0),
        members_max: u32::try_from(LANE_SEATS_MAX).unwrap_or(u32::MAX),
        oldest_at: now,
        bytes: 0,
        added: commit.len() as u64 + ROW_BYTES,
    });
    for row in rows {
        room.save_member(row);
    }
    if !welcome.is_empty() {
        let blob = BlobId(hash::sha256(&welcome).0);
        room.changes.push(Change::Blob { blob, at: now, bytes: welcome });
    }
    room.append = Some(Append { seq: Seq(1), at: now, payload: commit });
    Ok(Opened::New(Box::new(room)))
}

/// Checks an opening without the room, and returns the rows of its seats.
fn check_form(
    lane: RoomId,
    opener: MemberKey,
    opening: &Opening,
) -> Result<Vec<MemberRow>, Refusal> {
    let Opening { commit, welcome, seats } = opening;
    let others = seats.iter().filter(|seat| seat.member != opener).count();
    if commit.len() > PAYLOAD_BYTES_MAX || others >= LANE_SEATS_MAX {
        return Err(RejectCode::TooLarge.into());
    }
    let first = |header: &MlsHeader| {
        header.room == lane && header.epoch == Epoch(0) && header.content == ContentType::Commit
    };
    if mls_header::parse(commit).is_none_or(|header| !first(&header)) {
        return Err(RejectCode::BadPayload.into());
    }
    // The opener came before the first entry; the others come with it.
    let mut rows = vec![MemberRow::joining(opener, Role::Facilitator, Seq(0))];
    let blob = BlobId(hash::sha256(welcome).0);
    for seat in seats {
        let own = seat.member == opener;
        if !seats_in(seat.role) || own && seat.role != Role::Member {
            return Err(RejectCode::BadFrame.into());
        }
        match rows.iter_mut().find(|row| row.key == seat.member) {
            Some(row) if own && row.role == Role::Facilitator => row.role = Role::Member,
            Some(_) => return Err(RejectCode::BadFrame.into()),
            None => {
                let row = MemberRow::joining(seat.member, seat.role, Seq(1));
                rows.push(MemberRow { welcome: Some(blob), ..row });
            }
        }
    }
    let owners = rows.iter().filter(|row| row.role == Role::Member).count();
    if owners > 1 || welcome.is_empty() != (others == 0) {
        return Err(RejectCode::BadFrame.into());
    }
    Ok(rows)
}

/// Whether a lane has seats of a role.
const fn seats_in(role: Role) -> bool {
    matches!(role, Role::Facilitator | Role::Member)
}

/// A lane in which a key has a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seated {
    /// Whether the connection has proved a key of the lane's parent.
    pub held: bool,
    /// Whether the key sits there.
    pub is_in: bool,
    pub closed: bool,
}

/// Returns the index of the lane that a key means, of those with one id in the order in which they were opened.
///
/// A stranger can seat another's key in a lane of a room of their own, so a parent that the connection holds comes first.
pub fn choose(seated: &[Seated]) -> Option<usize> {
    let rank = |lane: &Seated| (lane.held, lane.is_in, !lane.closed);
    let best = seated.iter().map(rank).max()?;
    seated.iter().position(|lane| rank(lane) == best)
}

/// Checks the effects of a submission to a lane by their form and the entry's kind.
pub(crate) fn check_rights(effects: &[Effect], entry: Option<MlsHeader>) -> Result<(), Refusal> {
    let commits = entry.is_some_and(|header| header.content == ContentType::Commit);
    let marked = entry.is_some_and(|header| header.marked);
    for effect in effects {
        let fits = match effect {
            Effect::Seat { role, .. } if !seats_in(*role) => {
                return Err(RejectCode::BadFrame.into());
            }
            Effect::Seat { .. } | Effect::Remove { .. } => commits,
            Effect::Retract { own: Some(_), .. } => marked,
            Effect::Reopen { .. } => true,
            _ => return Err(RejectCode::BadFrame.into()),
        };
        if !fits {
            return Err(RejectCode::BadPayload.into());
        }
    }
    Ok(())
}

/// Whether a lane has an owner, if its roster is loaded.
pub(crate) fn has_owner(room: &Room) -> Result<bool, Refusal> {
    Ok(room.has_roster && seats(room)?.any(|row| row.role == Role::Member))
}

fn seats(room: &Room) -> Result<impl Iterator<Item = &MemberRow>, Refusal> {
    Ok(room.roster()?.filter(|row| row.is_in()))
}

/// Checks the seats of a lane after all effects.
pub(crate) fn check_seats(room: &Room, had_owner: bool) -> Result<(), Refusal> {
    if !room.has_roster {
        return Ok(());
    }
    let owners = seats(room)?.filter(|row| row.role == Role::Member).count();
    if seats(room)?.count() > LANE_SEATS_MAX || owners > 1 {
        return Err(RejectCode::RoomFull.into());
    }
    // The bench alone must not shut the owner out.
    if had_owner && owners == 0 {
        return Err(RejectCode::LastFacilitator.into());
    }
    Ok(())
}

/// Seats a key.
pub(crate) fn seat(
    room: &mut Room,
    act: &Act<'_>,
    (member, role): (&MemberKey, Role),
    welcome: &[u8],
) -> Result<(), Refusal> {
    let former = room.member(member)?;
    if former.is_some_and(MemberRow::is_in) {
        return Err(RejectCode::NotFound.into());
    }
    let mut row = MemberRow::joining(*member, role, act.entry);
    if let Some(former) = former {
        // A key cannot escape its pace by a new seat.
        row.full_at = former.full_at;
        row.marked_at = former.marked_at;
    }
    let blob = if welcome.is_empty() {
        last_welcome(room, act.entry).ok_or(RejectCode::BadFrame)?
    } else {
        let blob = BlobId(hash::sha256(welcome).0);
        if !room.has_blob(&blob)? {
            let (at, bytes) = (act.now, welcome.to_vec());
            room.changes.push(Change::Blob { blob, at, bytes });
            room.blobs.insert(blob, true);
        }
        blob
    };
    row.welcome = Some(blob);
    room.save_member(row);
    Ok(())
}

/// Returns the Welcome of the last seat that a submission added. One commit has one Welcome for all that it adds.
fn last_welcome(room: &Room, entry: Seq) -> Option<BlobId> {
    room.changes.iter().rev().find_map(|change| match change {
        Change::Member(row) if row.is_in() && row.joined == entry => row.welcome,
        _ => None,
    })
}

/// Takes a key's seat. A key without one changes nothing, because the commit removes a leaf that the relay may not know.
pub(crate) fn remove(room: &mut Room, act: &Act<'_>, member: &MemberKey) -> Result<(), Refusal> {
    let target = room.member(member)?.filter(|row| row.is_in()).cloned();
    let Some(mut target) = target else { return Ok(()) };
    if target.key == act.sender.key {
        // MLS has no commit that removes its committer (RFC 9420 section 12.2).
        return Err(RejectCode::BadFrame.into());
    }
    target.state = State::Gone;
    target.gone = act.entry;
    target.gone_at = act.now;
    let welcome = target.welcome.take();
    room.save_member(target);
    room.changes.extend(welcome.map(Change::DropUnusedBlob));
    Ok(())
}
