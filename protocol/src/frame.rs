//! The whole vocabulary of the wire: [`ClientFrame`] towards the relay, [`ServerFrame`] towards a member.
//!
//! One frame is one binary WebSocket message holding one CBOR item (RFC 8949): `[number, [field, ...]]`. Fields
//! are positional; an absent optional field is `null` or missing at the end. `docs/protocol.md` section 4 is
//! normative and shows each frame's bytes.

use minicbor::{Decode, Encode};

use crate::{
    error::RejectCode,
    hours::Hours,
    id::{
        BlobId, Commitment, Digest, Epoch, InviteId, MemberKey, MessageId, Millis, RelayId, RoomId,
        Seq, Signature, StreamId,
    },
    secret::Secret32,
};

/// Number that a client chooses for a request; the reply repeats it.
pub type RequestId = u32;

/// What a client says.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[non_exhaustive]
pub enum ClientFrame {
    /// Opens the conversation; must be first.
    #[n(0)]
    Hello {
        /// Protocol versions the client speaks, best first.
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
        /// The key being proved.
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
        /// What the relay shall enforce.
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
        /// What the relay may know of the acknowledgement.
        #[n(5)]
        acknowledgement: AckTriple,
        /// Sealed name, KeyPackage and acknowledgement.
        #[n(6)]
        #[cbor(with = "minicbor::bytes")]
        body: Vec<u8>,
    },
    /// Gives an invite back unused, so that nobody can use it. Needs its token only.
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
    /// Appends an entry to the room's log, changes what the relay enforces, or both, as one atomic act.
    #[n(6)]
    Submit {
        /// Request number.
        #[n(0)]
        req: RequestId,
        /// The room.
        #[n(1)]
        room: RoomId,
        /// Drawn once per submission and kept over retries: the relay applies it once.
        #[n(2)]
        id: MessageId,
        /// An MLS PrivateMessage (RFC 9420 section 6.3), or empty for effects without an entry.
        #[n(3)]
        #[cbor(with = "minicbor::bytes")]
        payload: Vec<u8>,
        /// The room's control version that the sender saw; refused with `state_changed` if another stands.
        #[n(4)]
        expect: Option<u64>,
        /// Changes of roster and rules, applied together with the append.
        #[n(5)]
        effects: Vec<Effect>,
        /// The last entry that the sender had read when it first made these bytes; the same over retries.
        #[n(6)]
        after: Seq,
    },
    /// Uploads one part of a blob. Parts go in order; the last one makes it whole.
    #[n(7)]
    PutBlob {
        /// Request number.
        #[n(0)]
        req: RequestId,
        /// The room.
        #[n(1)]
        room: RoomId,
        /// SHA-256 of the whole.
        #[n(2)]
        blob: BlobId,
        /// Bytes of the whole.
        #[n(3)]
        total: u32,
        /// Where this part starts, in bytes.
        #[n(4)]
        offset: u32,
        /// The part.
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
        /// Where the part starts, in bytes.
        #[n(3)]
        offset: u32,
    },
    /// Asks for every entry after a position, those there now and those to come.
    #[n(9)]
    Subscribe {
        /// Request number.
        #[n(0)]
        req: RequestId,
        /// The room.
        #[n(1)]
        room: RoomId,
        /// Deliver entries with a greater seq.
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
        /// Continue after this knocker, in order of key.
        #[n(2)]
        after: Option<MemberKey>,
    },
    /// Asks what the relay enforces and where the log stands.
    #[n(11)]
    Status {
        /// Request number.
        #[n(0)]
        req: RequestId,
        /// The room.
        #[n(1)]
        room: RoomId,
    },
    /// Takes a pending knock back.
    #[n(12)]
    CancelKnock {
        /// Request number.
        #[n(0)]
        req: RequestId,
        /// The room.
        #[n(1)]
        room: RoomId,
    },
}

/// What the relay says.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[non_exhaustive]
pub enum ServerFrame {
    /// Answers [`ClientFrame::Hello`].
    #[n(0)]
    Hello {
        /// The version that will be spoken.
        #[n(0)]
        version: u16,
        /// Who the relay is; must equal the one in the link.
        #[n(1)]
        relay: RelayId,
        /// Fresh random bytes that every authentication of this connection signs.
        #[n(2)]
        challenge: Digest,
        /// The relay's clock.
        #[n(3)]
        now: Millis,
    },
    /// The key was proved (or the knock accepted, or the room opened).
    #[n(1)]
    Authenticated {
        /// Request number.
        #[n(0)]
        req: RequestId,
        /// What the relay holds that key to be.
        #[n(1)]
        standing: Standing,
    },
    /// Done; nothing more to say.
    #[n(2)]
    Done {
        /// Request number.
        #[n(0)]
        req: RequestId,
    },
    /// The submission is on disk. `seq` is 0 where it had no entry.
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
        /// The room's control version afterwards.
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
    /// Some entries of a subscribed room, in order and without holes other than tombstones.
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
    /// Part of a blob.
    #[n(6)]
    BlobPart {
        /// Request number.
        #[n(0)]
        req: RequestId,
        /// Bytes of the whole.
        #[n(1)]
        total: u32,
        /// The part.
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
        /// As many as fit.
        #[n(1)]
        knocks: Vec<PendingKnock>,
        /// Whether there are more after the last.
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
        /// Life of the store; a change means that the relay was restored from a copy.
        #[n(1)]
        stream: StreamId,
        /// Entries up to this seq are gone by retention.
        #[n(2)]
        floor: Seq,
        /// Last seq of the log.
        #[n(3)]
        head: Seq,
        /// The epoch that the next entry must name.
        #[n(4)]
        epoch: Epoch,
    },
    /// Something happened that is no entry.
    #[n(10)]
    Notice {
        /// The room.
        #[n(0)]
        room: RoomId,
        /// What.
        #[n(1)]
        notice: Notice,
    },
    /// The request was refused. The connection goes on unless a close follows.
    #[n(11)]
    Reject {
        /// Request number; 0 if the refusal answers no request.
        #[n(0)]
        req: RequestId,
        /// Why.
        #[n(1)]
        #[cbor(decode_with = "RejectCode::decode_any")]
        code: RejectCode,
        /// When to try again, where that is known.
        #[n(2)]
        retry_at: Option<Millis>,
    },
}

impl ServerFrame {
    /// The greatest number that this version knows.
    pub(crate) const LAST: u32 = 11;
}

/// One row of a room's log.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Entry {
    /// Position.
    #[n(0)]
    pub seq: Seq,
    /// Acceptance time by the relay's clock.
    #[n(1)]
    pub at: Millis,
    /// Payload, tombstone, or that it is gone.
    #[n(2)]
    pub content: EntryContent,
}

/// What an entry holds.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum EntryContent {
    /// An MLS PrivateMessage.
    #[n(0)]
    Payload(
        #[n(0)]
        #[cbor(with = "minicbor::bytes")]
        Vec<u8>,
    ),
    /// The payload was retracted; its SHA-256 stays, so that chains over entries still verify. It is never zeros, which stand
    /// for what nobody knows.
    #[n(1)]
    Tombstone(
        #[n(0)]
        #[cbor(decode_with = "digest_of_something")]
        Digest,
    ),
    /// This entry expired, and so did all between it and the one delivered before it.
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
    /// Returns the SHA-256 of the payload, which a tombstone keeps; zeros for what expired.
    pub fn digest(&self) -> Digest {
        match self {
            Self::Payload(payload) => crate::hash::sha256(payload),
            Self::Tombstone(digest) => *digest,
            Self::Expired => Digest([0; 32]),
        }
    }
}

/// What a member may do at the relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Encode, Decode)]
#[cbor(index_only)]
pub enum Role {
    /// Holds the room; appoints others.
    #[n(0)]
    Facilitator,
    /// Holds the room; cannot change facilitators.
    #[n(1)]
    CoFacilitator,
    /// Takes part.
    #[n(2)]
    Member,
    /// Reads only.
    #[n(3)]
    Observer,
}

impl Role {
    /// Whether the role moderates (facilitator or co-facilitator).
    pub const fn moderates(self) -> bool {
        matches!(self, Self::Facilitator | Self::CoFacilitator)
    }

    /// Whether the role may post.
    pub const fn posts(self) -> bool {
        !matches!(self, Self::Observer)
    }

    /// The word people read and type.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Facilitator => "facilitator",
            Self::CoFacilitator => "cofacilitator",
            Self::Member => "member",
            Self::Observer => "observer",
        }
    }
}

/// What the relay holds a proved key to be.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Standing {
    /// In the roster.
    #[n(0)]
    Member {
        /// Role at the relay.
        #[n(0)]
        role: Role,
        /// The entry that admitted the member; nothing before it is delivered. 0 for the founder.
        #[n(1)]
        joined: Seq,
        /// The Welcome, until the member has fetched it and subscribed past `joined`.
        #[n(2)]
        welcome: Option<BlobId>,
    },
    /// Waiting at the door.
    #[n(1)]
    Knocking,
    /// Was declined.
    #[n(2)]
    Declined {
        /// Sealed for the knocker by the facilitator; may be empty.
        #[n(0)]
        #[cbor(with = "minicbor::bytes")]
        note: Vec<u8>,
    },
    /// No longer in the roster. Entries up to `at` may still be read.
    #[n(3)]
    Gone {
        /// The last entry that is delivered.
        #[n(0)]
        at: Seq,
    },
}

/// The opaque triple by which the relay gates a knock without reading it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct AckTriple {
    /// Must equal the room's current one.
    #[n(0)]
    pub agreement: Commitment,
    /// SHA-256 of the signed acknowledgement; the admission must name the same.
    #[n(1)]
    pub digest: Digest,
    /// By the knocker's room key over [`crate::handshake::knock_transcript`].
    #[n(2)]
    pub signature: Signature,
}

/// A knock as facilitators get it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct PendingKnock {
    /// The knocker's room key.
    #[n(0)]
    pub member: MemberKey,
    /// The invite used.
    #[n(1)]
    pub invite: InviteId,
    /// When it came.
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

/// The rules of a room as the relay enforces them: plain numbers only.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct RoomNumbers {
    /// Until then only facilitators post. 0: not paused.
    #[n(0)]
    pub paused_until: Millis,
    /// Nobody is admitted and no knock is taken.
    #[n(1)]
    pub locked: bool,
    /// Whether posts are accepted outside of `hours`.
    #[n(2)]
    pub door: Door,
    /// Least seconds between two posts of one member. 0: none.
    #[n(3)]
    pub slow_seconds: u32,
    /// Posts of one member in 24 hours. 0: unlimited.
    #[n(4)]
    pub budget_per_day: u32,
    /// Bytes of one application payload. 0: the wire's limit.
    #[n(5)]
    pub payload_bytes_max: u32,
    /// Opening hours; `None`: always open.
    #[n(6)]
    pub hours: Option<Hours>,
    /// Seconds after which an entry is deleted.
    #[n(7)]
    pub retention_seconds: u64,
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
        }
    }
}

/// Whether the room takes posts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Door {
    /// As the hours say; always, if there are none.
    #[n(0)]
    ByHours,
    /// Opened by a facilitator whatever the hours say.
    #[n(1)]
    Open,
    /// Closed by a facilitator whatever the hours say.
    #[n(2)]
    Closed,
}

/// A change of roster or rules. See `docs/protocol.md` section 6 for who may ask for which.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[non_exhaustive]
pub enum Effect {
    /// Puts a knocker into the roster. Facilitators; the payload must be a commit.
    #[n(0)]
    Admit {
        /// Must have a pending knock.
        #[n(0)]
        member: MemberKey,
        /// From then on.
        #[n(1)]
        role: Role,
        /// A whole blob uploaded before, delivered to that member alone.
        #[n(2)]
        welcome: BlobId,
        /// Must equal the digest of the pending knock.
        #[n(3)]
        acknowledgement: Digest,
    },
    /// Takes a member out. Facilitators, or anyone for a member who has left; the payload must be a commit.
    #[n(1)]
    Remove {
        /// Must be in the roster or have left.
        #[n(0)]
        member: MemberKey,
    },
    /// Changes a role; of and to moderating roles by facilitators only. The payload must be a commit.
    #[n(2)]
    SetRole {
        /// Must be in the roster.
        #[n(0)]
        member: MemberKey,
        /// From then on.
        #[n(1)]
        role: Role,
    },
    /// Replaces the numbers; the retention by facilitators only. The payload must be a commit.
    #[n(3)]
    SetNumbers {
        /// All of them.
        #[n(0)]
        numbers: RoomNumbers,
    },
    /// Refuses a member's posts until a time; in the past: lifts it. Facilitators; the payload must be a commit.
    #[n(4)]
    Timeout {
        /// Must be in the roster and not moderate.
        #[n(0)]
        member: MemberKey,
        /// The end.
        #[n(1)]
        until: Millis,
    },
    /// Deletes an entry's payload. Facilitators beside a commit, or its author by naming its message id.
    #[n(5)]
    Retract {
        /// The entry.
        #[n(0)]
        seq: Seq,
        /// The submission id with which the author appended it; `None` from facilitators.
        #[n(1)]
        own: Option<MessageId>,
    },
    /// Refuses a pending knock. Facilitators.
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
        /// Knocks it is good for.
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
    /// Makes another agreement current: pending knocks for the old one are dropped, invites voided. Facilitators.
    #[n(9)]
    SetAgreement {
        /// The new commitment.
        #[n(0)]
        agreement: Commitment,
    },
    /// Takes the sender out at once: delivery stops after this entry.
    #[n(10)]
    Leave,
    /// Gives back an epoch that a commit refused by everybody used up (facilitators and co-facilitators), or tells a
    /// relay that was restored from a backup which epoch the room is in (facilitators).
    #[n(11)]
    Reopen {
        /// The epoch that the next entry shall name: the current one less one, or a later one.
        #[n(0)]
        epoch: Epoch,
    },
}

/// Something that is no entry.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[non_exhaustive]
pub enum Notice {
    /// To facilitators: somebody knocks.
    #[n(0)]
    Knock,
    /// To the recipient: standing changed (admitted, declined, gone).
    #[n(1)]
    Standing(#[n(0)] Standing),
    /// To the recipient: posts are refused until then; a time in the past: no longer.
    #[n(2)]
    TimedOut(#[n(0)] Millis),
}

impl Notice {
    /// The greatest number that this version knows.
    pub(crate) const LAST: u32 = 2;
}

/// A room's state as one member may see it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct RoomStatus {
    /// Life of the store.
    #[n(0)]
    pub stream: StreamId,
    /// Entries up to this seq are gone by retention.
    #[n(1)]
    pub floor: Seq,
    /// Last seq.
    #[n(2)]
    pub head: Seq,
    /// The epoch that the next entry must name.
    #[n(3)]
    pub epoch: Epoch,
    /// Counts changes of roster and rules; named by `Submit.expect`.
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
    /// Pending knocks; 0 for those who don't moderate.
    #[n(8)]
    pub knocks: u32,
    /// The roster, with time-outs; empty for those who don't moderate.
    #[n(9)]
    pub roster: Vec<RosterRow>,
}

/// A member as the relay knows them.
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
    /// Has left and awaits the commit that makes it so.
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

    /// Zeros would make it an entry that nobody knows, which no member compares with what others saw.
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
        ];
        for (role, word, moderates, posts) in table {
            assert_eq!((role.as_str(), role.moderates(), role.posts()), (word, moderates, posts));
        }
    }
}
