//! A room's state and standings, and the members who may read them.

use hearth_protocol::{
    Epoch, RejectCode, Role, Seq, StreamId,
    frame::{RoomStatus, RosterRow, Standing},
};

use crate::{MemberRow, Refusal, RoomRow, State};

/// A subscriber's position before the first entry.
#[derive(Clone, Debug)]
pub struct Position {
    pub floor: Seq,
    pub head: Seq,
    pub epoch: Epoch,
    pub member: MemberRow,
}

/// A key's standing in a room, and the row behind it.
#[derive(Clone, Debug)]
pub struct View {
    pub standing: Standing,
    /// The roster's row, also beside a pending knock of a former member.
    pub row: Option<MemberRow>,
}

/// Returns a key's standing in a room. A knock counts for keys of absent members.
///
/// # Errors
/// Unknown keys and missing rooms get the same answer.
pub fn standing(row: Option<MemberRow>, knock: Option<Standing>) -> Result<View, Refusal> {
    let standing = match (&row, knock) {
        (Some(row), _) if row.is_in() => row.standing(),
        (_, Some(knock)) => knock,
        (Some(row), None) => row.standing(),
        (None, None) => return Err(RejectCode::NotMember.into()),
    };
    Ok(View { standing, row })
}

/// Returns the row of a present member.
///
/// # Errors
/// [`RejectCode::NotMember`].
pub fn member(row: Option<MemberRow>) -> Result<MemberRow, Refusal> {
    row.filter(MemberRow::is_in).ok_or_else(|| RejectCode::NotMember.into())
}

/// Returns the row of a present moderator.
///
/// # Errors
/// [`RejectCode::NotMember`] or [`RejectCode::NotFacilitator`].
pub fn moderator(row: Option<MemberRow>) -> Result<MemberRow, Refusal> {
    let row = member(row)?;
    if row.role.moderates() { Ok(row) } else { Err(RejectCode::NotFacilitator.into()) }
}

/// Returns the row of a present member who lets others in.
///
/// # Errors
/// [`RejectCode::NotMember`] or [`RejectCode::NotFacilitator`].
pub fn doorkeeper(row: Option<MemberRow>) -> Result<MemberRow, Refusal> {
    let row = member(row)?;
    if row.role.admits() { Ok(row) } else { Err(RejectCode::NotFacilitator.into()) }
}

/// Returns the row of a present facilitator.
///
/// # Errors
/// [`RejectCode::NotMember`] or [`RejectCode::NotFacilitator`].
pub fn facilitator(row: Option<MemberRow>) -> Result<MemberRow, Refusal> {
    let row = member(row)?;
    if row.role == Role::Facilitator { Ok(row) } else { Err(RejectCode::NotFacilitator.into()) }
}

/// Returns the room's state as a member may read it; `desk` is the number of pending knocks and the roster, for
/// moderators and the seats of a lane.
pub fn status(
    row: RoomRow,
    member: &MemberRow,
    desk: Option<(u32, Vec<MemberRow>)>,
    stream: StreamId,
) -> RoomStatus {
    let roster_row = |m: MemberRow| RosterRow {
        member: m.key,
        role: m.role,
        timed_out_until: m.timeout_until,
        left: m.state == State::Left,
    };
    let (knocks, roster) = desk.unwrap_or_default();
    RoomStatus {
        stream,
        floor: row.floor,
        head: row.head,
        epoch: row.epoch,
        control: row.control,
        numbers: row.numbers,
        agreement: row.agreement,
        timed_out_until: member.timeout_until,
        knocks,
        roster: roster.into_iter().map(roster_row).collect(),
    }
}
