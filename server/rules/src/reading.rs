//! What members read of a room: its state, its standings, and who may.

use hearth_protocol::{
    Epoch, RejectCode, Seq, StreamId,
    frame::{RoomStatus, RosterRow, Standing},
};

use crate::{MemberRow, Refusal, RoomRow, State};

/// What a subscriber needs before the first entry.
#[derive(Clone, Debug)]
pub struct Position {
    pub floor: Seq,
    pub head: Seq,
    pub epoch: Epoch,
    pub member: MemberRow,
}

/// What the relay holds a key to be, and the row behind it.
#[derive(Clone, Debug)]
pub struct View {
    pub standing: Standing,
    /// The roster's row, also beside a pending knock of a former member.
    pub row: Option<MemberRow>,
}

/// Returns what a key is to a room. A knock counts for keys that are not in.
///
/// # Errors
/// Unknown keys; absent rooms are the same answer.
pub fn standing(row: Option<MemberRow>, knock: Option<Standing>) -> Result<View, Refusal> {
    let standing = match (&row, knock) {
        (Some(row), _) if row.is_in() => row.standing(),
        (_, Some(knock)) => knock,
        (Some(row), None) => row.standing(),
        (None, None) => return Err(RejectCode::NotMember.into()),
    };
    Ok(View { standing, row })
}

/// Returns a member who is in.
///
/// # Errors
/// [`RejectCode::NotMember`].
pub fn member(row: Option<MemberRow>) -> Result<MemberRow, Refusal> {
    row.filter(MemberRow::is_in).ok_or_else(|| RejectCode::NotMember.into())
}

/// Returns a member who is in and moderates.
///
/// # Errors
/// [`RejectCode::NotMember`] or [`RejectCode::NotFacilitator`].
pub fn moderator(row: Option<MemberRow>) -> Result<MemberRow, Refusal> {
    let row = member(row)?;
    if row.role.moderates() { Ok(row) } else { Err(RejectCode::NotFacilitator.into()) }
}

/// Returns the room's state as a member may see it; `desk` is the number of pending knocks and the roster, for those who
/// moderate.
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
