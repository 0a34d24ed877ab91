//! All frames of the wire: [`ClientFrame`] to the relay, [`ServerFrame`] to a member.
//!
//! One frame is one binary WebSocket message with one CBOR item (RFC 8949): `[number, [field, ...]]`. Fields are
//! positional; an absent optional field is `null` or missing at the end. `docs/protocol.md` section 4 is normative and
//! lists each frame's bytes.

use minicbor::{Decode, Encode};

use crate::{
    error::RejectCode,
    hours::Hours,
    id::{
        BlobId, Commitment, Digest, Epoch, InviteId, MemberKey, MessageId, Millis, NoteId, RelayId,
        RoomId, Seq, Signature, StreamId,
    },
    secret::Secret32,
};

/// A number that a client chooses for a request; the answer repeats it.
pub type RequestId = u32;

/// A frame from a client.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[non_exhaustive]
pub enum ClientFrame {
    /// Opens the connection; must be first.
    #[n(0)]
    Hello {
        /// Protocol versions of the client, best first.
        #[n(0)]
        versions: Vec<u16>,
    },
    /// Proves possession of a room key; answers the challenge of [`ServerFrame::Hello`].
    #[n(1)]
    Authenticate {
        /// Request number.
        #[n(0)]
        req: RequestId,
        /// The room.
        #[n(1)]
        room: RoomId,
        /// The key to prove.
        #[n(2)]
        member: MemberKey,
        /// Over [`crate::handshake::auth_transcript`].
        #[n(3)]
        signature: Signature,
    },
    /// Opens a room with a grant. The sender becomes its facilitator and is authenticated by this frame.
    #[n(2)]
    OpenRoom {
        /// Request number.
        #[n(0)]
        req: RequestId,
        /// The new room's id, drawn by the client.
        #[n(1)]
        room: RoomId,
        /// The founder's key.
        #[n(2)]
        member: MemberKey,
        /// Over [`crate::handshake::auth_transcript`].
        #[n(3)]
        signature: Signature,
        /// The grant's secret.
        #[n(4)]
        grant: Secret32,
        /// The rules that the relay shall enforce.
        #[n(5)]
        numbers: RoomNumbers,
        /// Commitment to the agreement that knocks must acknowledge.
        #[n(6)]
        agreement: Commitment,
    },
    /// Asks for an invite's sealed preview. Needs no authentication; rate-limited.
    #[n(3)]
    Preview {
        /// Request number.
        #[n(0)]
        req: RequestId,
        /// The room.
        #[n(1)]
        room: RoomId,
        /// Proof of holding the invite: [`crate::invite::Invite::token`].
        #[n(2)]
        token: Secret32,
    },
    /// Asks to be admitted. Authenticates the key as a knocker.
    #[n(4)]
    Knock {
        /// Request number.
        #[n(0)]
        req: RequestId,
        /// The room.
        #[n(1)]
        room: RoomId,
        /// The knocker's room key.
        #[n(2)]
        member: MemberKey,
        /// Over [`crate::handshake::auth_transcript`].
        #[n(3)]
        signature: Signature,
        /// The invite's token.
        #[n(4)]
        token: Secret32,
        /// The part of the acknowledgement that the relay may read.
        #[n(5)]
        acknowledgement: AckTriple,
        /// Sealed name, KeyPackage and acknowledgement.
        #[n(6)]
        #[cbor(with = "minicbor::bytes")]
        body: Vec<u8>,
    },
    /// Voids an unused invite. Needs only its token.
    #[n(5)]
    BurnInvite {
        /// Request number.
        #[n(0)]
        req: RequestId,
        /// The room.
        #[n(1)]
        room: RoomId,
        /// The invite's token.
        #[n(2)]
        token: Secret32,
    },
    /// Appends an entry to the room's log, changes the relay's state of the room, or both, as one atomic act.
    #[n(6)]
    Submit {
        /// Request number.
        #[n(0)]
        req: RequestId,
        /// The room.
        #[n(1)]
        room: RoomId,
        /// Drawn once per submission and the same in retries: the relay applies it once.
        #[n(2)]
        id: MessageId,
        /// An MLS PrivateMessage (RFC 9420 section 6.3), or empty for effects without an entry.
        #[n(3)]
        #[cbor(with = "minicbor::bytes")]
        payload: Vec<u8>,
        /// The room's control version that the sender knows; refused with `state_changed` if it is not the current one.
        #[n(4)]
        expect: Option<u64>,
        /// Changes of roster and rules, applied together with the entry.
        #[n(5)]
        effects: Vec<Effect>,
        /// The last entry that the sender had read when it first encoded the submission; the same in retries.
        #[n(6)]
        after: Seq,
    },
    /// Uploads one part of a blob. Parts are sent in order; the last one completes it.
    #[n(7)]
    PutBlob {
        /// Request number.
        #[n(0)]
        req: RequestId,
        /// The room.
        #[n(1)]
        room: RoomId,
        /// SHA-256 of the whole blob.
        #[n(2)]
        blob: BlobId,
        /// Size of the whole blob in bytes.
        #[n(3)]
        total: u32,
        /// Offset of this part in bytes.
        #[n(4)]
        offset: u32,
        /// The bytes of this part.
        #[n(5)]
        #[cbor(with = "minicbor::bytes")]
        part: Vec<u8>,
    },
    /// Asks for one part of the blob that is addressed to the sender.
    #[n(8)]
    GetBlob {
        /// Request number.
        #[n(0)]
        req: RequestId,
        /// The room.
        #[n(1)]
        room: RoomId,
        /// The blob.
        #[n(2)]
        blob: BlobId,
        /// Offset of the part in bytes.
        #[n(3)]
        offset: u32,
    },
    /// Asks for every entry after a position, present and future.
    #[n(9)]
    Subscribe {
        /// Request number.
        #[n(0)]
        req: RequestId,
        /// The room.
        #[n(1)]
        room: RoomId,
        /// The relay delivers entries with a greater seq.
        #[n(2)]
        after: Seq,
    },
    /// Asks for pending knocks. Facilitators only.
    #[n(10)]
    Knocks {
        /// Request number.
        #[n(0)]
        req: RequestId,
        /// The room.
        #[n(1)]
        room: RoomId,
        /// The relay continues after this knocker, in order of key.
        #[n(2)]
        after: Option<MemberKey>,
    },
    /// Asks for the room's rules and the position of its log.
    #[n(11)]
    Status {
        /// Request number.
        #[n(0)]
        req: RequestId,
        /// The room.
        #[n(1)]
        room: RoomId,
    },
    /// Cancels a pending knock.
    #[n(12)]
    CancelKnock {
        /// Request number.
        #[n(0)]
        req: RequestId,
        /// The room.
        #[n(1)]
        room: RoomId,
    },
    /// Opens a lane of a room, with its first entry and all its seats. Moderators of the room; proves the lane key.
    #[n(13)]
    OpenLane {
        /// Request number.
        #[n(0)]
        req: RequestId,
        /// The room to which the lane belongs, whose key this connection has proved.
        #[n(1)]
        room: RoomId,
        /// The lane's id.
        #[n(2)]
        lane: RoomId,
        /// The opener's lane key.
        #[n(3)]
        member: MemberKey,
        /// By the lane key, over [`crate::handshake::auth_transcript`] with the lane's id.
        #[n(4)]
        signature: Signature,
        /// The commit of epoch 0 that adds the other seats; becomes entry 1.
        #[n(5)]
        #[cbor(with = "minicbor::bytes")]
        commit: Vec<u8>,
        /// The commit's Welcome; empty if it adds nobody.
        #[n(6)]
        #[cbor(with = "minicbor::bytes")]
        welcome: Vec<u8>,
        /// The seats. The opener is among them only as the lane's owner.
        #[n(7)]
        seats: Vec<LaneSeat>,
    },
    /// Closes a lane. Facilitators of the room.
    #[n(14)]
    CloseLane {
        /// Request number.
        #[n(0)]
        req: RequestId,
        /// The room to which the lane belongs.
        #[n(1)]
        room: RoomId,
        /// The lane.
        #[n(2)]
        lane: RoomId,
        /// Whether the relay also deletes it at once.
        #[n(3)]
        forget: bool,
    },
    /// Asks for the lanes of a room. Moderators of the room.
    #[n(15)]
    Lanes {
        /// Request number.
        #[n(0)]
        req: RequestId,
        /// The room.
        #[n(1)]
        room: RoomId,
    },
    /// Leaves a sealed note for one key of a room.
    #[n(16)]
    SendNote {
        /// Request number.
        #[n(0)]
        req: RequestId,
        /// The room.
        #[n(1)]
        room: RoomId,
        /// Drawn once per note and the same in retries.
        #[n(2)]
        note: NoteId,
        /// The addressee.
        #[n(3)]
        to: MemberKey,
        /// Sealed for the addressee.
        #[n(4)]
        #[cbor(with = "minicbor::bytes")]
        sealed: Vec<u8>,
    },
    /// Asks for the notes that wait for the sender.
    #[n(17)]
    Notes {
        /// Request number.
        #[n(0)]
        req: RequestId,
        /// The room.
        #[n(1)]
        room: RoomId,
    },
    /// Deletes notes that waited for the sender.
    #[n(18)]
    DropNotes {
        /// Request number.
        #[n(0)]
        req: RequestId,
        /// The room.
        #[n(1)]
        room: RoomId,
        /// At least one; the relay passes over ids that it does not have.
        #[n(2)]
        notes: Vec<NoteId>,
    },
}

/// A frame from the relay.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[non_exhaustive]
pub enum ServerFrame {
    /// Answers [`ClientFrame::Hello`].
    #[n(0)]
    Hello {
        /// The version of the connection.
        #[n(0)]
        version: u16,
        /// The relay's identity; must equal the one in the link.
        #[n(1)]
        relay: RelayId,
        /// Fresh random bytes that every authentication on this connection signs.
        #[n(2)]
        challenge: Digest,
        /// The time by the relay's clock.
        #[n(3)]
        now: Millis,
    },
    /// The relay accepted the proof of a key (or the knock, or the new room).
    #[n(1)]
    Authenticated {
        /// Request number.
        #[n(0)]
        req: RequestId,
        /// The key's standing at the relay.
        #[n(1)]
        standing: Standing,
    },
    /// The request succeeded, without a result.
    #[n(2)]
    Done {
        /// Request number.
        #[n(0)]
        req: RequestId,
    },
    /// The submission is on disk. `seq` is 0 if it had no entry.
    #[n(3)]
    Accepted {
        /// Request number.
        #[n(0)]
        req: RequestId,
        /// The entry's position.
        #[n(1)]
        seq: Seq,
        /// Acceptance time by the relay's clock.
        #[n(2)]
        at: Millis,
        /// The room's control version after the submission.
        #[n(3)]
        control: u64,
    },
    /// A sealed preview.
    #[n(4)]
    Preview {
        /// Request number.
        #[n(0)]
        req: RequestId,
        /// Sealed with a key from the invite's secret.
        #[n(1)]
        #[cbor(with = "minicbor::bytes")]
        sealed: Vec<u8>,
    },
    /// Entries of a subscribed room, in order, without gaps other than tombstones.
    #[n(5)]
    Entries {
        /// The room.
        #[n(0)]
        room: RoomId,
        /// In order of seq.
        #[n(1)]
        entries: Vec<Entry>,
        /// The last seq of the room's log that the recipient may read.
        #[n(2)]
        head: Seq,
    },
    /// One part of a blob.
    #[n(6)]
    BlobPart {
        /// Request number.
        #[n(0)]
        req: RequestId,
        /// Size of the whole blob in bytes.
        #[n(1)]
        total: u32,
        /// The bytes of the part.
        #[n(2)]
        #[cbor(with = "minicbor::bytes")]
        part: Vec<u8>,
    },
    /// Pending knocks, in order of key.
    #[n(7)]
    Knocks {
        /// Request number.
        #[n(0)]
        req: RequestId,
        /// As many knocks as fit into the frame.
        #[n(1)]
        knocks: Vec<PendingKnock>,
        /// Whether more knocks follow after the last.
        #[n(2)]
        more: bool,
    },
    /// Answers [`ClientFrame::Status`].
    #[n(8)]
    Status {
        /// Request number.
        #[n(0)]
        req: RequestId,
        /// The state.
        #[n(1)]
        status: Box<RoomStatus>,
    },
    /// Answers [`ClientFrame::Subscribe`]; entries follow.
    #[n(9)]
    Subscribed {
        /// Request number.
        #[n(0)]
        req: RequestId,
        /// The store's stream id; a change means that the relay was restored from a copy.
        #[n(1)]
        stream: StreamId,
        /// Retention deleted entries up to this seq.
        #[n(2)]
        floor: Seq,
        /// Last seq of the log.
        #[n(3)]
        head: Seq,
        /// The epoch that the next entry must name.
        #[n(4)]
        epoch: Epoch,
    },
    /// An event that is not an entry.
    #[n(10)]
    Notice {
        /// The room.
        #[n(0)]
        room: RoomId,
        /// The event.
        #[n(1)]
        notice: Notice,
    },
    /// The relay refused the request. The connection stays open unless a close follows.
    #[n(11)]
    Reject {
        /// Request number; 0 if the refusal answers no request.
        #[n(0)]
        req: RequestId,
        /// The reason.
        #[n(1)]
        #[cbor(decode_with = "RejectCode::decode_any")]
        code: RejectCode,
        /// Time at which to retry, if known.
        #[n(2)]
        retry_at: Option<Millis>,
    },
    /// Answers [`ClientFrame::Lanes`].
    #[n(12)]
    Lanes {
        /// Request number.
        #[n(0)]
        req: RequestId,
        /// In order of id.
        #[n(1)]
        lanes: Vec<LaneRow>,
    },
    /// Answers [`ClientFrame::Notes`].
    #[n(13)]
    Notes {
        /// Request number.
        #[n(0)]
        req: RequestId,
        /// As many notes as fit into the frame, in order of arrival.
        #[n(1)]
        notes: Vec<WaitingNote>,
        /// Whether more notes wait, which the relay shows once these are dropped.
        #[n(2)]
        more: bool,
    },
}

impl ServerFrame {
    /// The greatest number that this version knows.
    pub(crate) const LAST: u32 = 13;
}

/// A key in a lane and its role there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct LaneSeat {
    /// The lane key.
    #[n(0)]
    pub member: MemberKey,
    /// [`Role::Facilitator`] for the bench, [`Role::Member`] for the owner.
    #[n(1)]
    pub role: Role,
}

/// A lane as the relay lists it to moderators of its room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct LaneRow {
    /// The lane's id.
    #[n(0)]
    pub lane: RoomId,
    /// Whether the lane takes entries.
    #[n(1)]
    pub open: bool,
}

/// A sealed note as its addressee receives it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct WaitingNote {
    /// The note's id.
    #[n(0)]
    pub note: NoteId,
    /// Time of arrival by the relay's clock.
    #[n(1)]
    pub at: Millis,
    /// Sealed for the addressee.
    #[n(2)]
    #[cbor(with = "minicbor::bytes")]
    pub sealed: Vec<u8>,
}

/// One row of a room's log.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Entry {
    /// Position in the log.
    #[n(0)]
    pub seq: Seq,
    /// Acceptance time by the relay's clock.
    #[n(1)]
    pub at: Millis,
    /// Payload, tombstone or expiry.
    #[n(2)]
    pub content: EntryContent,
}

/// Content of an entry.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum EntryContent {
    /// An MLS PrivateMessage.
    #[n(0)]
    Payload(
        #[n(0)]
        #[cbor(with = "minicbor::bytes")]
        Vec<u8>,
    ),
    /// The payload was retracted; its SHA-256 stays, so that chains over entries still verify. It is never zero, because zeros stand
    /// for an unknown payload.
    #[n(1)]
    Tombstone(
        #[n(0)]
        #[cbor(decode_with = "digest_of_something")]
        Digest,
    ),
    /// This entry expired, and so did all entries between the one delivered before and this one.
    #[n(2)]
    Expired,
}

fn digest_of_something<C>(
    decoder: &mut minicbor::Decoder<'_>,
    context: &mut C,
) -> Result<Digest, minicbor::decode::Error> {
    let digest: Digest = decoder.decode_with(context)?;
    if digest == Digest([0; 32]) {
        return Err(minicbor::decode::Error::message("a tombstone without a hash"));
    }
    Ok(digest)
}

impl EntryContent {
    /// Returns the SHA-256 of the payload, which a tombstone keeps; zeros for an expired entry.
    pub fn digest(&self) -> Digest {
        match self {
            Self::Payload(payload) => crate::hash::sha256(payload),
            Self::Tombstone(digest) => *digest,
            Self::Expired => Digest([0; 32]),
        }
    }
}

/// A member's permissions at the relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Encode, Decode)]
#[cbor(index_only)]
pub enum Role {
    /// Moderates; appoints other moderators.
    #[n(0)]
    Facilitator,
    /// Moderates; cannot change facilitators.
    #[n(1)]
    CoFacilitator,
    /// May post.
    #[n(2)]
    Member,
    /// May only read.
    #[n(3)]
    Observer,
    /// A program that lets people in by rule. It reads, and neither posts nor moderates.
    #[n(4)]
    Steward,
}

impl Role {
    /// Whether the role moderates (facilitator or co-facilitator).
    pub const fn moderates(self) -> bool {
        matches!(self, Self::Facilitator | Self::CoFacilitator)
    }

    /// Whether the role lets members in, and puts amendments in force.
    pub const fn admits(self) -> bool {
        self.moderates() || matches!(self, Self::Steward)
    }

    /// Whether the role may post.
    pub const fn posts(self) -> bool {
        !matches!(self, Self::Observer | Self::Steward)
    }

    /// Returns the role's word in messages and commands.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Facilitator => "facilitator",
            Self::CoFacilitator => "cofacilitator",
            Self::Member => "member",
            Self::Observer => "observer",
            Self::Steward => "steward",
        }
    }
}

/// The standing of a proved key at the relay.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Standing {
    /// In the roster.
    #[n(0)]
    Member {
        /// Role at the relay.
        #[n(0)]
        role: Role,
        /// The entry that admitted the member; the relay delivers only later entries. 0 for the founder.
        #[n(1)]
        joined: Seq,
        /// The Welcome, until the member has fetched it and subscribed past `joined`.
        #[n(2)]
        welcome: Option<BlobId>,
    },
    /// The knock is pending.
    #[n(1)]
    Knocking,
    /// A facilitator declined the knock.
    #[n(2)]
    Declined {
        /// Sealed for the knocker by the facilitator; may be empty.
        #[n(0)]
        #[cbor(with = "minicbor::bytes")]
        note: Vec<u8>,
    },
    /// No longer in the roster. Entries up to `at` are still served.
    #[n(3)]
    Gone {
        /// The last entry that the relay delivers.
        #[n(0)]
        at: Seq,
    },
}

/// The opaque triple by which the relay gates a knock without reading it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct AckTriple {
    /// Must equal the room's current commitment.
    #[n(0)]
    pub agreement: Commitment,
    /// SHA-256 of the signed acknowledgement; the admission must name the same digest.
    #[n(1)]
    pub digest: Digest,
    /// Signature by the knocker's room key over [`crate::handshake::knock_transcript`].
    #[n(2)]
    pub signature: Signature,
}

/// A knock as the relay delivers it to facilitators.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct PendingKnock {
    /// The knocker's room key.
    #[n(0)]
    pub member: MemberKey,
    /// The invite of the knock.
    #[n(1)]
    pub invite: InviteId,
    /// Time of arrival by the relay's clock.
    #[n(2)]
    pub at: Millis,
    /// The acknowledgement's opaque triple.
    #[n(3)]
    pub acknowledgement: AckTriple,
    /// Sealed for the facilitators.
    #[n(4)]
    #[cbor(with = "minicbor::bytes")]
    pub body: Vec<u8>,
}

/// The rules of a room that the relay enforces, as plain numbers.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct RoomNumbers {
    /// Until this time, only moderators may post. 0: not paused.
    #[n(0)]
    pub paused_until: Millis,
    /// The room admits no member and takes no knock.
    #[n(1)]
    pub locked: bool,
    /// Whether the room takes posts, by `hours` or regardless of them.
    #[n(2)]
    pub door: Door,
    /// Minimum seconds between two posts of one member. 0: none.
    #[n(3)]
    pub slow_seconds: u32,
    /// Maximum posts of one member in 24 hours. 0: unlimited.
    #[n(4)]
    pub budget_per_day: u32,
    /// Maximum bytes of one application payload. 0: the wire's limit.
    #[n(5)]
    pub payload_bytes_max: u32,
    /// Opening hours; `None`: always open.
    #[n(6)]
    pub hours: Option<Hours>,
    /// Seconds after which an entry is deleted.
    #[n(7)]
    pub retention_seconds: u64,
    /// From this time on nobody posts and nobody comes in; [`crate::limits::ENDED_KEPT_MILLIS`] later the room is deleted.
    #[n(8)]
    pub ends_at: Option<Millis>,
}

impl RoomNumbers {
    /// Whether the room has ended.
    pub fn have_ended(&self, now: Millis) -> bool {
        self.ends_at.is_some_and(|ends_at| ends_at <= now)
    }

    /// Returns when the room is deleted; `None` if it does not end.
    pub fn deleted_at(&self) -> Option<Millis> {
        self.ends_at.map(|ends_at| ends_at.plus(crate::limits::ENDED_KEPT_MILLIS))
    }
}

impl Default for RoomNumbers {
    fn default() -> Self {
        Self {
            paused_until: Millis(0),
            locked: false,
            door: Door::ByHours,
            slow_seconds: 0,
            budget_per_day: 0,
            payload_bytes_max: 0,
            hours: None,
            retention_seconds: crate::limits::RETENTION_SECONDS_DEFAULT,
            ends_at: None,
        }
    }
}

/// Whether the room takes posts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Door {
    /// By the hours; always, if there are none.
    #[n(0)]
    ByHours,
    /// Opened by a facilitator, regardless of the hours.
    #[n(1)]
    Open,
    /// Closed by a facilitator, regardless of the hours.
    #[n(2)]
    Closed,
}

/// A change of roster or rules. `docs/protocol.md` section 6 says which members may request it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[non_exhaustive]
pub enum Effect {
    /// Adds a knocker to the roster. Facilitators; the payload must be a commit.
    #[n(0)]
    Admit {
        /// Must have a pending knock.
        #[n(0)]
        member: MemberKey,
        /// The new member's role.
        #[n(1)]
        role: Role,
        /// A complete uploaded blob, delivered only to that member.
        #[n(2)]
        welcome: BlobId,
        /// Must equal the digest of the pending knock.
        #[n(3)]
        acknowledgement: Digest,
    },
    /// Removes a member. Facilitators, or any member for one who has left; the payload must be a commit.
    #[n(1)]
    Remove {
        /// Must be in the roster or have left.
        #[n(0)]
        member: MemberKey,
    },
    /// Changes a role; only facilitators may give or take a moderating role. The payload must be a commit.
    #[n(2)]
    SetRole {
        /// Must be in the roster.
        #[n(0)]
        member: MemberKey,
        /// The member's new role.
        #[n(1)]
        role: Role,
    },
    /// Replaces the numbers; only facilitators may change the retention. The payload must be a commit.
    #[n(3)]
    SetNumbers {
        /// The complete new numbers.
        #[n(0)]
        numbers: RoomNumbers,
    },
    /// Refuses a member's posts until a time; a past time ends the time-out. Facilitators; the payload must be a commit.
    #[n(4)]
    Timeout {
        /// Must be in the roster and not moderate.
        #[n(0)]
        member: MemberKey,
        /// The end of the time-out.
        #[n(1)]
        until: Millis,
    },
    /// Deletes an entry's payload. Facilitators with a commit, or its author by naming its message id.
    #[n(5)]
    Retract {
        /// The entry.
        #[n(0)]
        seq: Seq,
        /// The submission id with which the author appended it; `None` from facilitators.
        #[n(1)]
        own: Option<MessageId>,
    },
    /// Declines a pending knock. Facilitators.
    #[n(6)]
    Decline {
        /// Must have a pending knock.
        #[n(0)]
        member: MemberKey,
        /// Sealed for the knocker; may be empty.
        #[n(1)]
        #[cbor(with = "minicbor::bytes")]
        note: Vec<u8>,
    },
    /// Makes an invite. Facilitators.
    #[n(7)]
    AddInvite {
        /// The invite's id, a hash of its token.
        #[n(0)]
        invite: InviteId,
        /// Number of knocks that it permits.
        #[n(1)]
        uses: u32,
        /// End of its validity.
        #[n(2)]
        expires: Millis,
        /// Sealed preview.
        #[n(3)]
        #[cbor(with = "minicbor::bytes")]
        preview: Vec<u8>,
    },
    /// Voids an invite. Facilitators.
    #[n(8)]
    RevokeInvite {
        /// The invite.
        #[n(0)]
        invite: InviteId,
    },
    /// Makes another agreement current: the relay drops knocks for the old one and voids its invites. Facilitators.
    #[n(9)]
    SetAgreement {
        /// The new commitment.
        #[n(0)]
        agreement: Commitment,
    },
    /// Removes the sender at once: delivery stops after this entry.
    #[n(10)]
    Leave,
    /// Reopens an epoch whose commit every member refused (facilitators and co-facilitators), or tells a relay that was
    /// restored from a backup the room's epoch (facilitators).
    #[n(11)]
    Reopen {
        /// The epoch that the next entry shall name: the current one less one, or a later one. In a lane: any.
        #[n(0)]
        epoch: Epoch,
    },
    /// Seats a key in a lane. Any seat; the payload must be a commit.
    #[n(12)]
    Seat {
        /// A lane key that does not sit there.
        #[n(0)]
        member: MemberKey,
        /// [`Role::Facilitator`] for the bench, [`Role::Member`] for the owner.
        #[n(1)]
        role: Role,
        /// The commit's Welcome; empty: that of the `Seat` before this one.
        #[n(2)]
        #[cbor(with = "minicbor::bytes")]
        welcome: Vec<u8>,
    },
}

/// An event that is not an entry.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[non_exhaustive]
pub enum Notice {
    /// To facilitators: a knock has arrived.
    #[n(0)]
    Knock,
    /// To the recipient: their standing has changed (admitted, declined, gone).
    #[n(1)]
    Standing(#[n(0)] Standing),
    /// To the recipient: the relay refuses their posts until this time; a past time ends the time-out.
    #[n(2)]
    TimedOut(#[n(0)] Millis),
    /// To the addressee: a sealed note waits.
    #[n(3)]
    Note,
}

impl Notice {
    /// The greatest number that this version knows.
    pub(crate) const LAST: u32 = 3;
}

/// A room's state as one member may read it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct RoomStatus {
    /// The store's stream id.
    #[n(0)]
    pub stream: StreamId,
    /// Retention deleted entries up to this seq.
    #[n(1)]
    pub floor: Seq,
    /// Last seq of the log.
    #[n(2)]
    pub head: Seq,
    /// The epoch that the next entry must name.
    #[n(3)]
    pub epoch: Epoch,
    /// Number of changes of roster and rules; `Submit.expect` names it.
    #[n(4)]
    pub control: u64,
    /// The rules.
    #[n(5)]
    pub numbers: RoomNumbers,
    /// Commitment of the current agreement.
    #[n(6)]
    pub agreement: Commitment,
    /// End of the recipient's time-out; 0: none.
    #[n(7)]
    pub timed_out_until: Millis,
    /// Pending knocks; 0 for members who do not moderate.
    #[n(8)]
    pub knocks: u32,
    /// The roster, with time-outs; empty for members who do not moderate.
    #[n(9)]
    pub roster: Vec<RosterRow>,
}

/// A member's row in the relay's roster.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct RosterRow {
    /// Room key.
    #[n(0)]
    pub member: MemberKey,
    /// Role.
    #[n(1)]
    pub role: Role,
    /// End of a time-out; 0: none.
    #[n(2)]
    pub timed_out_until: Millis,
    /// The member has left, and no commit has removed their leaf yet.
    #[n(3)]
    pub left: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tombstone_keeps_the_entrys_digest() {
        // SHA-256 of "abc": FIPS 180-2 appendix B.1.
        let payload = EntryContent::Payload(b"abc".to_vec());
        let hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(payload.digest().to_hex(), hex);
        assert_eq!(EntryContent::Tombstone(payload.digest()).digest(), payload.digest());
    }

    /// Zeros would mean an unknown entry, which members do not compare.
    #[test]
    fn tombstone_of_nothing_is_refused() {
        let read = |digest: u8| {
            let written = crate::codec::encode(&EntryContent::Tombstone(Digest([digest; 32])));
            crate::codec::decode::<EntryContent>(&written)
        };
        assert!(read(1).is_ok());
        assert!(read(0).is_err());
    }

    #[test]
    fn roles_have_their_permissions() {
        let table = [
            (Role::Facilitator, "facilitator", true, true),
            (Role::CoFacilitator, "cofacilitator", true, true),
            (Role::Member, "member", false, true),
            (Role::Observer, "observer", false, false),
            (Role::Steward, "steward", false, false),
        ];
        for (role, word, moderates, posts) in table {
            assert_eq!((role.as_str(), role.moderates(), role.posts()), (word, moderates, posts));
            assert_eq!(role.admits(), moderates || role == Role::Steward);
        }
    }
}
