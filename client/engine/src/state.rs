//! What the profile keeps of one room, as CBOR records in the sealed store.

use ed25519_dalek::SigningKey;
use hearth_protocol::{
    Digest, Effect, Epoch, InviteId, MemberKey, MessageId, Millis, Pin, RejectCode, RelayId, Role,
    RoomId, Secret32, Seq, Signature, StreamId, hash,
    invite::{Grant, RelayAddress, Transport},
};
use minicbor::{Decode, Encode};

use super::{
    content::Body,
    mls::Suite,
    policy::{Category, Record},
};

/// Where a member stands in a room, as this profile knows it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Standing {
    /// Has knocked and waits.
    #[n(0)]
    Knocking,
    /// Was refused.
    #[n(1)]
    Declined {
        /// What the facilitator wrote.
        #[n(0)]
        words: String,
        /// Who signed it; `None` if the relay alone says that the knock was declined.
        #[n(1)]
        by: Option<MemberKey>,
    },
    /// In the room.
    #[n(2)]
    Member,
    /// Out of the epoch for want of acknowledging the current agreement; comes back by acknowledging.
    #[n(3)]
    Lapsed,
    /// Left, or withdrew.
    #[n(4)]
    Left,
    /// Was removed.
    #[n(5)]
    Removed(#[n(0)] Category),
    /// Founded here, and the relay has not said yet that it is open; with a hash of the grant.
    #[n(6)]
    Opening(#[n(0)] Digest),
}

/// Returns the hash of a grant in [`Standing::Opening`], which opens no room.
pub(super) fn opening(grant: &Grant) -> Digest {
    Digest(hash::labelled("hearth local opening v1", &[grant.secret.expose()]))
}

impl Standing {
    /// The word in JSON.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Knocking => "knocking",
            Self::Declined { .. } => "declined",
            Self::Member => "member",
            Self::Lapsed => "lapsed",
            Self::Left => "left",
            Self::Removed(_) => "removed",
            Self::Opening(_) => "opening",
        }
    }
}

/// The slow-changing part of a room.
#[derive(Clone, Encode, Decode)]
pub struct RoomState {
    /// Layout; 2.
    #[n(0)]
    pub format: u16,
    /// The name by which commands call it.
    #[n(1)]
    pub local_name: String,
    /// The room's title.
    #[n(2)]
    pub title: String,
    /// `host:port` of the relay.
    #[n(3)]
    pub authority: String,
    /// Whether the relay is reached without TLS.
    #[n(4)]
    pub plain: bool,
    /// The relay's identity.
    #[n(5)]
    pub relay: RelayId,
    /// The relay's TLS key, if pinned.
    #[n(6)]
    pub pin: Option<Pin>,
    /// The room.
    #[n(7)]
    pub room: RoomId,
    /// Seed of the Ed25519 room key.
    #[n(8)]
    pub key: Secret32,
    /// What rides in my leaf beside the acknowledgement.
    #[n(9)]
    pub companion: OwnCompanion,
    /// My display name.
    #[n(10)]
    pub name: String,
    /// MLS cipher suite.
    #[n(11)]
    pub suite: u16,
    /// My acknowledgement, as it rides in my leaf.
    #[n(12)]
    #[cbor(with = "minicbor::bytes")]
    pub acknowledgement: Vec<u8>,
    /// Where I stand.
    #[n(13)]
    pub standing: Standing,
    /// Keys that may admit me: from the preview, signed by the facilitator whom the invite pins.
    #[n(14)]
    pub pinned: Vec<MemberKey>,
    /// Id of the agreement in force, as I know it.
    #[n(15)]
    pub agreement: Digest,
    /// The admitting facilitator's countersignature.
    #[n(16)]
    pub countersigned: Option<Countersignature>,
    /// When I last renewed my leaf.
    #[n(17)]
    pub renewed_at: Millis,
    /// End of my time-out by the last signed note; 0: none.
    #[n(18)]
    pub timed_out_until: Millis,
    /// The last entry of history that was shown.
    #[n(19)]
    pub shown: Seq,
    /// Members whose messages I do not want shown. Nobody is told.
    #[n(20)]
    pub muted: Vec<MemberKey>,
    /// The entry that admitted me; 0 for the founder.
    #[n(21)]
    pub joined: Seq,
    /// Numbers of the records that admitted me.
    #[n(22)]
    pub admissions: Vec<u64>,
    /// Seed of the HPKE key to which the answer to my knock is sealed; deleted with the answer.
    #[n(23)]
    pub reply_seed: Option<Secret32>,
}

/// What [`super::companion::Companion`] is made of.
#[derive(Clone, Encode, Decode)]
pub struct OwnCompanion {
    /// Drawn when knocking; it never changes.
    #[n(0)]
    #[cbor(with = "minicbor::bytes")]
    pub salt: [u8; 16],
    /// Number of the note key, from 1.
    #[n(1)]
    pub number: u32,
    /// Seed of the note key.
    #[n(2)]
    pub seed: Secret32,
}

impl RoomState {
    /// Returns the room key.
    pub fn signing_key(&self) -> SigningKey {
        SigningKey::from_bytes(self.key.expose())
    }

    /// Returns my public key in this room.
    pub fn member(&self) -> MemberKey {
        MemberKey(self.signing_key().verifying_key().to_bytes())
    }

    /// Returns how to reach the relay.
    pub fn address(&self) -> RelayAddress {
        RelayAddress {
            authority: self.authority.clone(),
            transport: if self.plain { Transport::Plain } else { Transport::Tls },
            relay: self.relay,
            pin: self.pin,
        }
    }

    /// Returns the cipher suite; the default if a damaged record names none of ours.
    pub fn suite(&self) -> Suite {
        Suite::from_number(self.suite).unwrap_or(Suite::XWing)
    }
}

/// A facilitator's signature under my acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Countersignature {
    /// Who admitted me.
    #[n(0)]
    pub facilitator: MemberKey,
    /// Over [`super::agreement::countersign_transcript`].
    #[n(1)]
    pub signature: Signature,
    /// The time inside the transcript.
    #[n(2)]
    pub at: Millis,
}

/// The fast-changing part of a room: where I am in its log.
#[derive(Clone, Debug, Default, Encode, Decode)]
pub struct Cursor {
    /// The last entry that was handled.
    #[n(0)]
    pub seq: Seq,
    /// Its digest.
    #[n(1)]
    pub digest: Option<Digest>,
    /// Life of the relay's store.
    #[n(2)]
    pub stream: Option<StreamId>,
    /// My messages so far, accepted by the relay.
    #[n(3)]
    pub counter: u64,
    /// Tombstones and expired entries, whose sender is unknown: each may explain one gap.
    #[n(4)]
    pub tombstones: u64,
    /// Where the relay was restored from an older copy and counts anew, oldest first.
    #[n(5)]
    #[cbor(default)]
    pub breaks: Vec<Break>,
    /// The last epoch whose commit was refused, or could not be read.
    #[n(6)]
    pub used_up: Option<Epoch>,
    /// The last epoch, beyond ours, that an entry named: others went on without us.
    #[n(7)]
    pub left_behind: Option<Epoch>,
    /// My accepted messages told what I had seen up to here.
    #[n(8)]
    #[cbor(default)]
    pub vouched: Seq,
    /// Where somebody went on from an epoch that this profile is past of: nothing of ours goes out until that is cleared up.
    #[n(9)]
    pub split: Option<Seq>,
    /// What expired at the relay, by its last word, goes up to here.
    #[n(10)]
    #[cbor(default)]
    pub floor: Seq,
    /// The latest time by the own clock, which is not believed when it goes back.
    #[n(11)]
    pub own_clock: Millis,
    /// The relay's clock at that time.
    #[n(12)]
    pub relay_clock: Millis,
    /// When it was last told that the relay's times do not add up, by the own clock; 0: never.
    #[n(13)]
    pub times_told: Millis,
    /// Entries that the relay gave out as retracted, and whose retraction was not read yet.
    #[n(14)]
    #[cbor(default)]
    pub unexplained: Vec<Seq>,
    /// Milliseconds by which the own clock was ahead of the relay's when it was last believed.
    #[n(15)]
    #[cbor(default)]
    pub ahead: u64,
    /// Since when the own clock is not believed because it ran ahead of the relay's, by itself; 0: it is believed.
    #[n(16)]
    #[cbor(default)]
    pub doubted_since: Millis,
    /// Whether the relay says that this profile is out, and no commit that it can read says so.
    #[n(17)]
    #[cbor(default)]
    pub said_gone: bool,
}

/// A point from which on the relay's numbers mean other entries than before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Break {
    /// Entries after this one are of the restored relay.
    #[n(0)]
    pub after: Seq,
    /// What is added to their seq to get their place in this profile's history.
    #[n(1)]
    pub base: u64,
}

impl Cursor {
    /// Returns the place in this profile's history of an entry that the relay has now.
    pub fn place(&self, seq: Seq) -> Seq {
        let last = self.breaks.iter().rev().find(|b| seq > b.after);
        Seq(seq.0.saturating_add(last.map_or(0, |b| b.base)))
    }
}

/// One row of the room's history, by place.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Row {
    /// Position in the log.
    #[n(0)]
    pub seq: Seq,
    /// Acceptance time by the relay's clock, as far as that clock and the own one allow it.
    #[n(1)]
    pub at: Millis,
    /// SHA-256 of the payload.
    #[n(2)]
    pub digest: Digest,
    /// Sender or committer; `None` where it could not be read.
    #[n(3)]
    pub from: Option<MemberKey>,
    /// Their name at that time.
    #[n(4)]
    pub name: String,
    /// Message id, where it is a message.
    #[n(5)]
    pub id: Option<MessageId>,
    /// The content.
    #[n(6)]
    pub content: RowContent,
    /// What was noticed about it.
    #[n(7)]
    pub notices: Vec<Notice>,
    /// Place in this profile's history: the seq, unless the relay was restored from an older copy.
    #[n(8)]
    pub place: Seq,
    /// The relay's time as it said it, which others compare with theirs.
    #[n(9)]
    pub stamp: Millis,
    /// From when on it is kept on this device, by the own clock: when it arrived, less the time that the relay had had it by
    /// then. 0 where nothing says what it was.
    #[n(10)]
    pub arrived: Millis,
    /// The relay's time, as far as the relay's own clock allowed it; 0 where it gave none.
    #[n(11)]
    pub said: Millis,
}

impl Row {
    /// Whether the entry itself is not known, only that something is there.
    pub fn is_unknown(&self) -> bool {
        self.digest == Digest([0; 32])
    }
}

/// What a row shows.
#[expect(clippy::large_enum_variant, reason = "rows are read a page at a time")]
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum RowContent {
    /// Words.
    #[n(0)]
    Text(#[n(0)] String),
    /// Words posted against a pause, or by an observer: kept back, not lost.
    #[n(1)]
    Held(#[n(0)] String),
    /// A retracted message.
    #[n(2)]
    Tombstone {
        /// Who retracted it, if known.
        #[n(0)]
        by: Option<MemberKey>,
        /// Why, if a facilitator did.
        #[n(1)]
        category: Option<Category>,
    },
    /// A record of moderation.
    #[n(3)]
    Moderation {
        /// The record.
        #[n(0)]
        record: Record,
        /// For members named in it: their names at that time.
        #[n(1)]
        target: String,
    },
    /// Somebody said that they leave.
    #[n(4)]
    Goodbye {
        /// Whether the acknowledgement was withdrawn.
        #[n(0)]
        withdrawn: bool,
    },
    /// Somebody renewed their keys; not shown.
    #[n(5)]
    Renewal,
    /// An invite was made.
    #[n(6)]
    InviteIssued {
        /// Knocks it is good for.
        #[n(0)]
        uses: u32,
        /// End of validity.
        #[n(1)]
        expires: Millis,
    },
    /// The text of a coming version of the agreement arrived.
    #[n(7)]
    AgreementText(#[n(0)] Digest),
    /// Nothing but the notices; for example an entry that could not be read.
    #[n(8)]
    Nothing,
    /// A time-out addressed to me.
    #[n(9)]
    MyTimeout {
        /// The end; not after now: lifted.
        #[n(0)]
        until: Millis,
        /// The facilitator's words.
        #[n(1)]
        note: String,
    },
    /// Somebody asked for an own message to be deleted; not shown itself.
    #[n(10)]
    Retraction(#[n(0)] MessageId),
    /// A kind of message that this version does not know.
    #[n(11)]
    Unknown,
}

/// Something that a member must be told about an entry.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Notice {
    /// Messages of this sender are missing before this one.
    #[n(0)]
    Gap(#[n(0)] u64),
    /// The sender saw other entries than I at that position, or from there on: the relay shows us different logs.
    #[n(1)]
    Fork(#[n(0)] Seq),
    /// The relay left out entries up to this seq, exclusive.
    #[n(2)]
    Missing {
        /// The first that is missing.
        #[n(0)]
        from: Seq,
    },
    /// The entry does not decrypt or verify.
    #[n(3)]
    Unreadable,
    /// A commit that every honest member refuses; the text names the rule.
    #[n(4)]
    RefusedCommit(#[n(0)] String),
    /// A message of my own key that this profile did not write: a copy of the profile is in use, or was restored.
    #[n(5)]
    NotMine,
    /// The sender's counter went backwards or stood still.
    #[n(6)]
    CounterReused,
    /// The same message came again; it is shown once.
    #[n(7)]
    Duplicate,
    /// Entries were deleted by retention before this profile had them.
    #[n(8)]
    Expired {
        /// The first that is gone.
        #[n(0)]
        from: Seq,
    },
    /// Somebody went on from an epoch that this profile is past of: the room is two.
    #[n(9)]
    Split,
    /// A member sent words past the room's rules: the entry bore the mark of a retraction or a departure, or was one without.
    #[n(10)]
    Mark,
    /// The relay's times do not add up: this one is beyond its own clock, or before an earlier entry's.
    #[n(24)]
    Times,
    /// A member said that they leave, by a statement that no commit can carry out.
    #[n(20)]
    FalseDeparture,
    /// A member said that they take back what is another's, or is not there.
    #[n(21)]
    FalseRetraction,
    /// Another's message has the same id.
    #[n(22)]
    SameId {
        /// Where that is.
        #[n(0)]
        seq: Seq,
        /// Its sender's name.
        #[n(1)]
        by: String,
    },
    /// The same invite was announced before, with another key or role; that one counts.
    #[n(23)]
    SecondInvite {
        /// Who announced it first.
        #[n(0)]
        by: String,
    },
}

impl Notice {
    /// Whether it says that somebody lied, as opposed to something being lost or late.
    pub const fn is_alarm(&self) -> bool {
        !matches!(self, Self::Expired { .. } | Self::Duplicate | Self::Times)
    }
}

/// Something to send, and what became of it.
#[derive(Clone, Encode, Decode)]
pub struct Outgoing {
    /// The submission's id; for a message its message id.
    #[n(0)]
    pub id: MessageId,
    /// When it was written.
    #[n(1)]
    pub written_at: Millis,
    /// What it is.
    #[n(2)]
    pub what: OutgoingKind,
    /// Effects that go with it.
    #[n(3)]
    pub effects: Vec<Effect>,
    /// A Welcome to upload first.
    #[n(4)]
    #[cbor(with = "minicbor::bytes")]
    pub welcome: Vec<u8>,
    /// The ciphertext, once made; made and stored before anything is sent.
    #[n(5)]
    #[cbor(with = "minicbor::bytes")]
    pub payload: Vec<u8>,
    /// Whether an entry of the ciphertext's epoch was read of which only the relay knew what it had been. For a held text: whether
    /// the others may have it.
    #[n(6)]
    pub doubtful: bool,
    /// The last entry that was read when this was first encrypted.
    #[n(7)]
    pub after: Seq,
    /// Whether the relay has refused it for now.
    #[n(8)]
    pub refused: bool,
    /// Why it stays until its author sends or drops it.
    #[n(9)]
    pub held: Option<Held>,
}

/// Why words stay in the outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Held {
    /// The relay refused them for good.
    #[n(0)]
    Refused(#[n(0)] RejectCode),
    /// The stay in which they were written has ended.
    #[n(1)]
    Out,
}

/// What something to send is.
#[derive(Clone, Encode, Decode)]
pub enum OutgoingKind {
    /// A message; may be encrypted anew for a later epoch.
    #[n(0)]
    Message {
        /// Its content.
        #[n(0)]
        body: Body,
        /// The number it was encrypted with.
        #[n(1)]
        counter: u64,
        /// The last entry that it says was seen.
        #[n(2)]
        #[cbor(default)]
        seen: Seq,
    },
    /// A commit; given up if another comes first.
    #[n(1)]
    Commit {
        /// My acknowledgement after it, if it changes.
        #[n(0)]
        acknowledgement: Option<minicbor::bytes::ByteVec>,
    },
}

/// An invite that this room's facilitators can open knocks of.
#[derive(Clone, Encode, Decode)]
pub struct KnownInvite {
    /// Its id.
    #[n(0)]
    pub invite: InviteId,
    /// Opens its knocks.
    #[n(1)]
    pub knock_key: Secret32,
    /// The role its holder is admitted to.
    #[n(2)]
    pub role: Role,
    /// End of validity.
    #[n(3)]
    pub expires: Millis,
    /// Who announced it.
    #[n(4)]
    pub by: MemberKey,
    /// Those who moderated when its preview was made: its holder takes a Welcome from nobody else. `None` where that is not known.
    #[n(5)]
    pub vouched: Option<Vec<MemberKey>>,
}

/// How somebody who lapsed comes back.
#[derive(Clone, Encode, Decode)]
pub struct ReturnInvite {
    /// The new agreement.
    #[n(0)]
    pub agreement: Digest,
    /// Secret of the invite.
    #[n(1)]
    pub secret: Secret32,
    /// End of validity.
    #[n(2)]
    pub expires: Millis,
}

/// The sealed body of a knock.
#[derive(Clone, Debug, Encode, Decode)]
pub struct KnockBody {
    /// The name asked for.
    #[n(0)]
    pub name: String,
    /// MLS key package; holds name and acknowledgement in its leaf.
    #[n(1)]
    #[cbor(with = "minicbor::bytes")]
    pub key_package: Vec<u8>,
    /// An offer for a lane; absent in this version.
    #[n(2)]
    pub offer: Option<minicbor::bytes::ByteVec>,
    /// HPKE public key, of the room's KEM, to which the answer to the knock is sealed.
    #[n(3)]
    #[cbor(with = "minicbor::bytes")]
    pub reply_key: Vec<u8>,
}
