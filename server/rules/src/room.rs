//! A room as a value: its loaded parts and their changes.

use std::collections::BTreeMap;

use hearth_protocol::{
    BlobId, Commitment, Digest, Epoch, InviteId, MemberKey, Millis, RejectCode, Role, RoomId,
    RoomNumbers, Seq,
    frame::{AckTriple, Standing},
    mls_header::MlsHeader,
};

use crate::Refusal;

/// A room, or a lane of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Room,
    Lane,
    /// It takes no entry, and is deleted after the retention.
    ClosedLane,
}

#[derive(Clone, Debug)]
pub struct RoomRow {
    pub id: RoomId,
    pub kind: Kind,
    pub epoch: Epoch,
    pub control: u64,
    /// Zeros in a lane.
    pub agreement: Commitment,
    /// A lane has the defaults, with the retention of its room.
    pub numbers: RoomNumbers,
    pub head: Seq,
    pub floor: Seq,
    pub members_max: u32,
    /// Time at which the next entry or act expires, less the retention.
    pub oldest_at: Millis,
    /// Stored bytes of the room when it was loaded.
    pub bytes: u64,
    /// Bytes added since.
    pub added: u64,
}

impl RoomRow {
    pub const fn is_lane(&self) -> bool {
        !matches!(self.kind, Kind::Room)
    }

    /// Whether a member has rights that others lack. In a lane nobody has.
    pub const fn moderates(&self, member: &MemberRow) -> bool {
        !self.is_lane() && member.role.moderates()
    }
}

/// Whether a member is in the roster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    In,
    /// The member left; the commit that removes their leaf is still to come.
    Left,
    /// A commit removed the member.
    Gone,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberRow {
    pub key: MemberKey,
    pub role: Role,
    pub state: State,
    pub joined: Seq,
    pub gone: Seq,
    pub gone_at: Millis,
    pub timeout_until: Millis,
    pub last_post_at: Millis,
    pub welcome: Option<BlobId>,
    /// Time at which the member's allowance of bytes is full again, see `quota`; 0 while little is spent.
    pub full_at: Millis,
    /// Time of the member's last marked entry; 0 if it was long ago.
    pub marked_at: Millis,
}

impl MemberRow {
    /// The row of a member whom an entry admits.
    pub const fn joining(key: MemberKey, role: Role, joined: Seq) -> Self {
        Self {
            key,
            role,
            state: State::In,
            joined,
            gone: Seq(0),
            gone_at: Millis(0),
            timeout_until: Millis(0),
            last_post_at: Millis(0),
            welcome: None,
            full_at: Millis(0),
            marked_at: Millis(0),
        }
    }

    pub fn is_in(&self) -> bool {
        self.state == State::In
    }

    /// Whether two rows of one member agree in the fields that the member's own posts change.
    pub fn has_pace_of(&self, other: &Self) -> bool {
        let pace = |row: &Self| (row.last_post_at, row.full_at, row.marked_at);
        pace(self) == pace(other)
    }

    /// Returns the member's standing on the wire.
    pub fn standing(&self) -> Standing {
        match self.state {
            State::In => {
                Standing::Member { role: self.role, joined: self.joined, welcome: self.welcome }
            }
            State::Left | State::Gone => Standing::Gone { at: self.gone },
        }
    }
}

/// An invite without its preview.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invite {
    pub id: InviteId,
    pub uses_left: u32,
    pub expires: Millis,
    /// See [`crate::Names::issuer`].
    pub issuer: [u8; 16],
}

/// A pending knock without its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending {
    pub member: MemberKey,
    pub invite: InviteId,
    pub agreement: Commitment,
    pub digest: Digest,
}

/// An entry that a submission names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Logged {
    pub at: Millis,
    pub digest: Digest,
    /// See [`crate::Names::submission`].
    pub name: [u8; 16],
    pub kept: Kept,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// The payload, whose header is `None` if it cannot be parsed.
    Payload(Option<MlsHeader>),
    Tombstone,
}

/// A member's posts within one day of the budget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    pub posts: u64,
    /// The first quarter of an hour with one of these posts.
    pub oldest_quarter: u64,
}

/// Parts of a room that effects need, besides its row and the sender's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Present members, and those who left but are not removed yet.
    pub roster: bool,
    pub invites: bool,
    pub pending: bool,
    /// Members whose rows are needed in any state.
    pub members: Vec<MemberKey>,
    pub blobs: Vec<BlobId>,
    pub entries: Vec<Seq>,
}

/// One change besides the room's row; changes are saved in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Inserts or replaces a member.
    Member(MemberRow),
    AddInvite {
        invite: Invite,
        preview: Vec<u8>,
    },
    InviteUses {
        invite: InviteId,
        left: u32,
    },
    /// Also deletes the record of the keys that used it.
    ForgetInvite(InviteId),
    /// Deletes all invites of an issuer, with the record of the keys that used them.
    ForgetInvitesOf([u8; 16]),
    /// Inserts or replaces a knock.
    Knock {
        member: MemberKey,
        invite: InviteId,
        acknowledgement: AckTriple,
        body: Vec<u8>,
        at: Millis,
    },
    /// Records that a key used an invite.
    Knocker {
        invite: InviteId,
        member: MemberKey,
        at: Millis,
    },
    ForgetKnocker(MemberKey),
    DropKnock(MemberKey),
    /// Deletes the pending knocks with an invite.
    DropKnocksBy(InviteId),
    Decline {
        member: MemberKey,
        note: Vec<u8>,
    },
    /// Deletes pending knocks and all invites, because they were for another agreement.
    DropInvitesAndKnocks,
    Blob {
        blob: BlobId,
        at: Millis,
        bytes: Vec<u8>,
    },
    DropBlob(BlobId),
    /// Deletes a blob unless a member waits for it.
    DropUnusedBlob(BlobId),
    /// Deletes an entry's payload.
    Tombstone(Seq),
}

/// The submission's entry, or the record of a submission without one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Append {
    /// 0 without an entry.
    pub seq: Seq,
    pub at: Millis,
    pub payload: Vec<u8>,
}

/// Changes that connections must be notified of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// A standing or a time-out changed.
    pub roster: bool,
    pub knocked: bool,
    /// Entries that became tombstones.
    pub tombstones: Vec<(Seq, Millis, Digest)>,
}

/// The loaded parts of a room and their changes.
///
/// Depth *post*: the row, the sender, their budget. Depth *whole*: the parts in [`Needs`], too.
#[derive(Clone, Debug)]
pub struct Room {
    pub row: RoomRow,
    pub spent: Option<Spent>,
    /// Whether `members` holds the roster.
    pub has_roster: bool,
    pub members: BTreeMap<MemberKey, Option<MemberRow>>,
    /// Oldest first.
    pub invites: Option<Vec<Invite>>,
    pub pending: Option<Vec<Pending>>,
    /// Whether each requested blob exists.
    pub blobs: BTreeMap<BlobId, bool>,
    pub entries: BTreeMap<Seq, Option<Logged>>,

    /// Saved in this order, before all fields below.
    pub changes: Vec<Change>,
    /// The member and the quarter of an hour for which a post is counted.
    pub counted: Option<(MemberKey, u64)>,
    /// The sender's row, of which only the pace is saved.
    pub paced: Option<MemberRow>,
    pub append: Option<Append>,
    /// Whether agreement or numbers must be saved.
    pub rules_changed: bool,
    pub news: News,
}

impl Room {
    pub const fn new(row: RoomRow) -> Self {
        Self {
            row,
            spent: None,
            has_roster: false,
            members: BTreeMap::new(),
            invites: None,
            pending: None,
            blobs: BTreeMap::new(),
            entries: BTreeMap::new(),
            changes: Vec::new(),
            counted: None,
            paced: None,
            append: None,
            rules_changed: false,
            news: News { roster: false, knocked: false, tombstones: Vec::new() },
        }
    }

    pub(crate) fn spent(&self) -> Result<Spent, Refusal> {
        self.spent.ok_or_else(|| unloaded("budget"))
    }

    /// Returns the row of a requested member.
    pub(crate) fn member(&self, key: &MemberKey) -> Result<Option<&MemberRow>, Refusal> {
        self.members.get(key).map(Option::as_ref).ok_or_else(|| unloaded("member"))
    }

    /// Returns present members, and those who left but are not removed yet.
    pub(crate) fn roster(&self) -> Result<impl Iterator<Item = &MemberRow>, Refusal> {
        if !self.has_roster {
            return Err(unloaded("roster"));
        }
        Ok(self.members.values().flatten().filter(|member| member.state != State::Gone))
    }

    pub(crate) fn invites(&mut self) -> Result<&mut Vec<Invite>, Refusal> {
        self.invites.as_mut().ok_or_else(|| unloaded("invites"))
    }

    pub(crate) fn pending(&mut self) -> Result<&mut Vec<Pending>, Refusal> {
        self.pending.as_mut().ok_or_else(|| unloaded("pending knocks"))
    }

    pub(crate) fn has_blob(&self, blob: &BlobId) -> Result<bool, Refusal> {
        self.blobs.get(blob).copied().ok_or_else(|| unloaded("blob"))
    }

    pub(crate) fn entry(&mut self, seq: Seq) -> Result<Option<&mut Logged>, Refusal> {
        self.entries.get_mut(&seq).map(Option::as_mut).ok_or_else(|| unloaded("entry"))
    }

    /// Changes a member here and in the store.
    pub(crate) fn save_member(&mut self, member: MemberRow) {
        self.members.insert(member.key, Some(member.clone()));
        self.changes.push(Change::Member(member));
    }
}

/// Refuses a request whose rule reads a part that its verb did not load: a bug of this program must not let anything pass.
fn unloaded(what: &str) -> Refusal {
    debug_assert!(false, "the {what} was not loaded");
    RejectCode::StoreUnavailable.into()
}
