//! A room as a value: what was loaded of it, and what of that changed.

use std::collections::BTreeMap;

use hearth_protocol::{
    BlobId, Commitment, Digest, Epoch, InviteId, MemberKey, Millis, RejectCode, Role, RoomId,
    RoomNumbers, Seq,
    frame::{AckTriple, Standing},
    mls_header::MlsHeader,
};

use crate::Refusal;

#[derive(Clone, Debug)]
pub struct RoomRow {
    pub id: RoomId,
    pub epoch: Epoch,
    pub control: u64,
    pub agreement: Commitment,
    pub numbers: RoomNumbers,
    pub head: Seq,
    pub floor: Seq,
    pub members_max: u32,
    /// When the next entry or act expires, less the time for which it is kept.
    pub oldest_at: Millis,
    /// Bytes that the room keeps, as loaded.
    pub bytes: u64,
    /// Bytes added since.
    pub added: u64,
}

/// Whether a member is in the roster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    In,
    /// Left by themselves; the commit that makes it so for all is awaited.
    Left,
    /// Removed.
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
    /// When the member's allowance of bytes is whole again, see `quota`; 0 while little is spent.
    pub full_at: Millis,
    /// When the member's last marked entry came; 0 if that is long ago.
    pub marked_at: Millis,
}

impl MemberRow {
    /// A member who comes in with an entry.
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

    /// Whether two rows of one member agree in what their own posts change.
    pub fn has_pace_of(&self, other: &Self) -> bool {
        let pace = |row: &Self| (row.last_post_at, row.full_at, row.marked_at);
        pace(self) == pace(other)
    }

    /// Returns what the wire says of this row.
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

/// A knock that waits, without its body.
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

/// A member's posts within the budget's day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    pub posts: u64,
    /// The first quarter of an hour with one of them.
    pub oldest_quarter: u64,
}

/// What effects need of a room beside its row and the sender's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Members who are in or left.
    pub roster: bool,
    pub invites: bool,
    pub pending: bool,
    /// Members whose rows are needed whatever their state.
    pub members: Vec<MemberKey>,
    pub blobs: Vec<BlobId>,
    pub entries: Vec<Seq>,
}

/// One change beside the room's row, in the order in which it is saved.
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
    /// With the record of the keys that used it.
    ForgetInvite(InviteId),
    /// All invites of an issuer, with the record of the keys that used them.
    ForgetInvitesOf([u8; 16]),
    /// Inserts or replaces a knock.
    Knock {
        member: MemberKey,
        invite: InviteId,
        acknowledgement: AckTriple,
        body: Vec<u8>,
        at: Millis,
    },
    /// Notes that a key used an invite.
    Knocker {
        invite: InviteId,
        member: MemberKey,
        at: Millis,
    },
    ForgetKnocker(MemberKey),
    DropKnock(MemberKey),
    /// Pending knocks by an invite.
    DropKnocksBy(InviteId),
    Decline {
        member: MemberKey,
        note: Vec<u8>,
    },
    /// Drops pending knocks and all invites, which were for another agreement.
    DropInvitesAndKnocks,
    Blob {
        blob: BlobId,
        at: Millis,
        bytes: Vec<u8>,
    },
    DropBlob(BlobId),
    /// Drops a blob that no member waits for.
    DropUnusedBlob(BlobId),
    /// Deletes an entry's payload.
    Tombstone(Seq),
}

/// The submission's own entry, or the memory of a submission without one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Append {
    /// 0 without an entry.
    pub seq: Seq,
    pub at: Millis,
    pub payload: Vec<u8>,
}

/// What connections must hear of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// A standing or a time-out changed.
    pub roster: bool,
    pub knocked: bool,
    /// Entries that became tombstones.
    pub tombstones: Vec<(Seq, Millis, Digest)>,
}

/// What was loaded of a room, and what of it changed.
///
/// Depth *post*: the row, the sender, their budget. Depth *whole*: what [`Needs`] names, too.
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
    /// Whether a blob that was asked for is there.
    pub blobs: BTreeMap<BlobId, bool>,
    pub entries: BTreeMap<Seq, Option<Logged>>,

    /// Saved in this order, before all that follows.
    pub changes: Vec<Change>,
    /// The quarter of an hour in which a post is counted for a member.
    pub counted: Option<(MemberKey, u64)>,
    /// The sender's row, of which the pace is saved.
    pub paced: Option<MemberRow>,
    pub append: Option<Append>,
    /// Whether agreement or numbers are saved.
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

    /// Returns the row of a member that was asked for.
    pub(crate) fn member(&self, key: &MemberKey) -> Result<Option<&MemberRow>, Refusal> {
        self.members.get(key).map(Option::as_ref).ok_or_else(|| unloaded("member"))
    }

    /// Returns those who are in, or left and are not yet removed.
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

/// The answer where a rule reads what its verb did not ask for: a fault of this program, which must not let anything in.
fn unloaded(what: &str) -> Refusal {
    debug_assert!(false, "the {what} was not loaded");
    RejectCode::StoreUnavailable.into()
}
