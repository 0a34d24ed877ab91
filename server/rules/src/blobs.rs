//! Blobs: Welcomes on their way to one member.

use hearth_protocol::{BlobId, RejectCode, Seq};

use crate::{
    Change, Context, MemberRow, Refusal, Room,
    quota::{ROW_BYTES, Share},
};

/// Maximum number of a room's blobs that no member waits for yet.
const STAGED_MAX: usize = 16;

/// The blobs of a room that no member waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Staged {
    pub count: usize,
    pub oldest: Option<BlobId>,
}

/// Stores a whole blob. The caller has checked its bytes against its id, and that the room does not have it.
///
/// # Errors
/// The room is full.
pub fn put(
    room: &mut Room,
    context: &mut Context<'_>,
    staged: Staged,
    blob: BlobId,
    bytes: Vec<u8>,
) -> Result<(), Refusal> {
    let (cost, at) = (bytes.len() as u64 + ROW_BYTES, context.now);
    context.quota.check_room(&room.row, Share::Act, cost, at)?;
    // Evict the oldest blob that no member waits for: a commit that lost its race leaves one behind.
    if let Some(oldest) = staged.oldest.filter(|_| staged.count >= STAGED_MAX) {
        room.changes.push(Change::DropBlob(oldest));
    }
    room.changes.push(Change::Blob { blob, at, bytes });
    Ok(())
}

/// Checks that a blob is addressed to a member.
///
/// # Errors
/// [`RejectCode::NotFound`], also for other members' blobs.
pub fn check_fetch(member: &MemberRow, blob: &BlobId) -> Result<(), Refusal> {
    if member.welcome == Some(*blob) { Ok(()) } else { Err(RejectCode::NotFound.into()) }
}

/// Forgets a member's Welcome once they have subscribed past their admission.
pub fn fetched(room: &mut Room, mut member: MemberRow, after: Seq) {
    let past = after >= member.joined;
    let Some(welcome) = member.welcome.take().filter(|_| past) else { return };
    room.save_member(member);
    room.changes.push(Change::DropUnusedBlob(welcome));
}
