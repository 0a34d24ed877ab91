//! A profile's records of one room, as CBOR in the sealed store.

use ed25519_dalek::SigningKey;
use hearth_protocol::{
    Digest, Effect, Epoch, InviteId, MemberKey, MessageId, Millis, Pin, RejectCode, RelayId, Role,
    RoomId, Secret32, Seq, Signature, StreamId, hash,
    invite::{Grant, RelayAddress, Transport},
};
use minicbor::{Decode, Encode};

use super::{
    content::{Body, Ref},
    floor::{Ask, Change, Op, poll::Doubt},
    lane::{Offer, Seat},
    mls::Suite,
    policy::{Category, Record},
    private::Private,
    quote::Proof,
    room_key::RoomKey,
    words::Talk,
};

/// A member's standing in a room, as this profile knows it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Standing {
    /// The member has knocked and waits.
    #[n(0)]
    Knocking,
    /// A facilitator declined the knock.
    #[n(1)]
    Declined {
        /// The facilitator's words.
        #[n(0)]
        words: String,
        /// Key that signed the words; `None` if the relay alone says that the knock was declined.
        #[n(1)]
        by: Option<MemberKey>,
    },
    /// The member is in the room.
    #[n(2)]
    Member,
    /// Out of the epoch without an acknowledgement of the current agreement; the member returns by acknowledging it.
    #[n(3)]
    Lapsed,
    /// The member left or withdrew.
    #[n(4)]
    Left,
    /// A facilitator removed the member.
    #[n(5)]
    Removed,
    /// Founded here, but the relay has not confirmed it yet; with a hash of the grant.
    #[n(6)]
    Opening(#[n(0)] Digest),
    /// As lapsed, and has said yes: the knock waits for the client of somebody who moderates.
    #[n(7)]
    Returning,
    /// The stay is over, and nobody removed the member.
    #[n(8)]
    Over(#[n(0)] Over),
}

/// How a stay ended that nobody ended against its member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Over {
    /// This device was lost; its member comes back with another.
    #[n(0)]
    Device,
    /// The group ended, and this device erased what it had of it.
    #[n(1)]
    Group,
    /// The member's time in the room ended as planned.
    #[n(2)]
    Farewell,
    /// The member died.
    #[n(3)]
    Remembered,
}

impl Over {
    /// The word in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Device => "device_lost",
            Self::Group => "ended",
            Self::Farewell => "farewell",
            Self::Remembered => "closed",
        }
    }
}

/// Returns the hash of a grant in [`Standing::Opening`], which itself cannot open a room.
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
            Self::Removed => "removed",
            Self::Opening(_) => "opening",
            Self::Over(over) => over.as_str(),
            Self::Returning => "returning",
        }
    }

    /// Whether the member is out of the epoch and keeps place and lane.
    pub const fn keeps_lane(&self) -> bool {
        matches!(self, Self::Lapsed | Self::Returning)
    }

    /// Whether a knock of the member waits.
    pub const fn has_knocked(&self) -> bool {
        matches!(self, Self::Knocking | Self::Returning)
    }
}

/// The slow-changing part of a room.
#[derive(Clone, Encode, Decode)]
pub struct RoomState {
    /// Layout; 2.
    #[n(0)]
    pub format: u16,
    /// The room's name in this profile's commands.
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
    /// The Ed25519 room key.
    #[n(8)]
    pub key: RoomKey,
    /// Content of my leaf beside the acknowledgement.
    #[n(9)]
    pub companion: OwnCompanion,
    /// My display name.
    #[n(10)]
    pub name: String,
    /// MLS cipher suite.
    #[n(11)]
    pub suite: u16,
    /// My acknowledgement, as encoded in my leaf.
    #[n(12)]
    #[cbor(with = "minicbor::bytes")]
    pub acknowledgement: Vec<u8>,
    /// My standing.
    #[n(13)]
    pub standing: Standing,
    /// Keys that may admit me: from the preview, signed by the facilitator that the invite pins.
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
    /// The last entry of history that was displayed.
    #[n(19)]
    pub shown: Seq,
    /// Members whose messages this profile hides. No other member learns of it.
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
    /// What a lane has beside a room; `None` for a room.
    #[n(24)]
    pub lane: Option<Box<LaneState>>,
}

/// What the profile keeps of a lane beside what it keeps of a room. The key of its [`RoomState`] is the lane key of the seat.
#[derive(Clone, Encode, Decode)]
pub struct LaneState {
    /// Local number of the parent room.
    #[n(0)]
    pub parent: u32,
    /// The parent room.
    #[n(1)]
    pub parent_id: RoomId,
    /// The member whose lane it is; `None` for the desk.
    #[n(2)]
    pub owner: Option<MemberKey>,
    /// My room key in the parent.
    #[n(3)]
    pub member: MemberKey,
    /// The seat that I have, or had last.
    #[n(4)]
    pub seat: Option<Seat>,
    /// Number of the parent's newest record when I last made keys for my seat.
    #[n(5)]
    pub renewed: u64,
}

/// Keys drawn for a lane. A record of its own, read for each change, so that no copy in memory brings a number back: a key used twice
/// would be in two groups.
#[derive(Clone, Debug, Default, Encode, Decode)]
pub struct LaneKeys {
    /// Number of the last lane key that was drawn.
    #[n(0)]
    pub drawn: u32,
    /// Offers that may still seat me.
    #[n(1)]
    pub offers: Vec<Offered>,
    /// When I was last seated.
    #[n(2)]
    pub seated: Millis,
}

/// An offer whose keys this profile still has.
#[derive(Clone, Debug, Encode, Decode)]
pub struct Offered {
    /// Number of the seat.
    #[n(0)]
    pub number: u32,
    /// The acknowledgement in it.
    #[n(1)]
    #[cbor(with = "minicbor::bytes")]
    pub acknowledgement: Vec<u8>,
    /// When it was made.
    #[n(2)]
    pub at: Millis,
}

/// Secrets behind [`super::companion::Companion`].
#[derive(Clone, Encode, Decode)]
pub struct OwnCompanion {
    /// Drawn when knocking; never changes.
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
        self.key.signing()
    }

    /// Returns my public key in this room.
    pub fn member(&self) -> MemberKey {
        if let Some(lane) = &self.lane {
            return lane.member;
        }
        self.key.member()
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
    /// The admitting facilitator.
    #[n(0)]
    pub facilitator: MemberKey,
    /// Signature over [`super::agreement::countersign_transcript`].
    #[n(1)]
    pub signature: Signature,
    /// The time inside the transcript.
    #[n(2)]
    pub at: Millis,
}

/// The fast-changing part of a room: this profile's position in its log.
#[derive(Clone, Debug, Default, Encode, Decode)]
pub struct Cursor {
    /// The last entry that was handled.
    #[n(0)]
    pub seq: Seq,
    /// Its digest.
    #[n(1)]
    pub digest: Option<Digest>,
    /// Identity of the relay's store.
    #[n(2)]
    pub stream: Option<StreamId>,
    /// Number of my last message that the relay accepted.
    #[n(3)]
    pub counter: u64,
    /// Tombstones and expired entries, whose sender is unknown: each may explain one gap.
    #[n(4)]
    pub tombstones: u64,
    /// Points where the relay was restored from an older copy and reused its numbers, oldest first.
    #[n(5)]
    #[cbor(default)]
    pub breaks: Vec<Break>,
    /// The last epoch whose commit was refused or unreadable.
    #[n(6)]
    pub used_up: Option<Epoch>,
    /// The last epoch beyond ours that an entry named: others went on without this profile.
    #[n(7)]
    pub left_behind: Option<Epoch>,
    /// My accepted messages vouch for the entries up to here.
    #[n(8)]
    #[cbor(default)]
    pub vouched: Seq,
    /// Entry at which a member went on from a past epoch: nothing of ours goes out until the member resolves the split.
    #[n(9)]
    pub split: Option<Seq>,
    /// The relay's last word on expiry: entries up to here have expired.
    #[n(10)]
    #[cbor(default)]
    pub floor: Seq,
    /// The latest time by the own clock; an earlier one is not believed.
    #[n(11)]
    pub own_clock: Millis,
    /// The relay's clock at that time.
    #[n(12)]
    pub relay_clock: Millis,
    /// When the client last reported inconsistent times of the relay, by the own clock; 0: never.
    #[n(13)]
    pub times_told: Millis,
    /// Entries that the relay delivered as tombstones and whose retraction has not been read yet.
    #[n(14)]
    #[cbor(default)]
    pub unexplained: Vec<Seq>,
    /// Milliseconds by which the own clock was ahead of the relay's when it was last believed.
    #[n(15)]
    #[cbor(default)]
    pub ahead: u64,
    /// Time by the own clock since which it is doubted, because it ran ahead of the relay's; 0: it is believed.
    #[n(16)]
    #[cbor(default)]
    pub doubted_since: Millis,
    /// Whether the relay says that this profile is out, without a readable commit that says so.
    #[n(17)]
    #[cbor(default)]
    pub said_gone: bool,
}

/// A point after which the relay's numbers mean other entries than before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Break {
    /// Entries after this one come from the restored relay.
    #[n(0)]
    pub after: Seq,
    /// Added to their seq to get their place in this profile's history.
    #[n(1)]
    pub base: u64,
}

impl Cursor {
    /// Returns the place in this profile's history of an entry in the relay's present log.
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
    /// Acceptance time by the relay's clock, bounded by that clock and the own one.
    #[n(1)]
    pub at: Millis,
    /// SHA-256 of the payload.
    #[n(2)]
    pub digest: Digest,
    /// Sender or committer; `None` if the entry could not be read.
    #[n(3)]
    pub from: Option<MemberKey>,
    /// Their name at that time.
    #[n(4)]
    pub name: String,
    /// Message id, if the entry is a message.
    #[n(5)]
    pub id: Option<MessageId>,
    /// The content.
    #[n(6)]
    pub content: RowContent,
    /// Findings about the entry.
    #[n(7)]
    pub notices: Vec<Notice>,
    /// Place in this profile's history: the seq, unless the relay was restored from an older copy.
    #[n(8)]
    pub place: Seq,
    /// The relay's time exactly as delivered, because members compare it.
    #[n(9)]
    pub stamp: Millis,
    /// Start of its retention on this device, by the own clock: its arrival, less the time that the relay had held it by then. 0 if
    /// unknown.
    #[n(10)]
    pub arrived: Millis,
    /// The relay's time, bounded by the relay's own clock; 0 if it gave none.
    #[n(11)]
    pub said: Millis,
    /// What belongs to the words.
    #[n(12)]
    #[cbor(default)]
    pub talk: Talk,
    /// What the entry changed on the floor.
    #[n(13)]
    #[cbor(default)]
    pub changes: Vec<Change>,
    /// Places of earlier words that are shown with this entry, and not at their own place.
    #[n(14)]
    #[cbor(default)]
    pub shows: Vec<Seq>,
    /// What proves the words of a message.
    #[n(15)]
    pub proof: Option<Proof>,
}

impl Row {
    /// Whether the entry was read and accepted.
    pub(super) fn was_read(&self) -> bool {
        let unread = |notice: &Notice| {
            use Notice::{NotMine, RefusedCommit, Split, Unreadable};
            matches!(notice, Unreadable | RefusedCommit(_) | NotMine | Split)
        };
        self.from.is_some() && !self.notices.iter().any(unread)
    }

    /// Whether only the entry's existence is known, not its content.
    pub fn is_unknown(&self) -> bool {
        self.digest == Digest([0; 32])
    }
}

/// Content of a row.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum RowContent {
    /// A text message.
    #[n(0)]
    Text(#[n(0)] String),
    /// A text posted during a pause or by an observer: kept but not shown.
    #[n(1)]
    Held(#[n(0)] String),
    /// A retracted message.
    #[n(2)]
    Tombstone {
        /// The member who retracted it, if known.
        #[n(0)]
        by: Option<MemberKey>,
        /// The reason, if a facilitator retracted it.
        #[n(1)]
        category: Option<Category>,
    },
    /// A record of moderation.
    #[n(3)]
    Moderation {
        /// The record.
        #[n(0)]
        record: Record,
        /// The named member's name at that time.
        #[n(1)]
        target: String,
    },
    /// A member announced their departure.
    #[n(4)]
    Goodbye {
        /// Whether the acknowledgement was withdrawn.
        #[n(0)]
        withdrawn: bool,
    },
    /// A member renewed their keys; not shown.
    #[n(5)]
    Renewal,
    /// An invite was made.
    #[n(6)]
    InviteIssued {
        /// Number of knocks that it allows.
        #[n(0)]
        uses: u32,
        /// End of validity.
        #[n(1)]
        expires: Millis,
    },
    /// The text of a coming version of the agreement arrived.
    #[n(7)]
    AgreementText(#[n(0)] Digest),
    /// Notices only; for example an unreadable entry.
    #[n(8)]
    Nothing,
    /// A time-out addressed to me.
    #[n(9)]
    MyTimeout {
        /// The end; lifted if it is not after now.
        #[n(0)]
        until: Millis,
        /// The facilitator's words.
        #[n(1)]
        note: String,
    },
    /// A member asked for their own message to be deleted; not shown itself.
    #[n(10)]
    Retraction(#[n(0)] MessageId),
    /// A kind of message that this version does not know.
    #[n(11)]
    Unknown,
    /// A member reacted to a message.
    #[n(12)]
    Reaction {
        /// Place of that message.
        #[n(0)]
        to: Seq,
        /// See [`super::words::Reaction`]; 0: taken back.
        #[n(1)]
        kind: u32,
    },
    /// A member changed the words of an own message.
    #[n(13)]
    Edit {
        /// Place of that message.
        #[n(0)]
        of: Seq,
        /// The words.
        #[n(1)]
        text: String,
    },
    /// A moderator put a content note on a message.
    #[n(14)]
    Cover {
        /// Place of that message.
        #[n(0)]
        to: Seq,
        /// The content note; empty: taken off.
        #[n(1)]
        topic: String,
    },
    /// A moderator asked something of all.
    #[n(15)]
    Asked(#[n(0)] Ask),
    /// A member voted.
    #[n(16)]
    Vote {
        /// The question.
        #[n(0)]
        ask: Ref,
        /// Number of the option, from 0.
        #[n(1)]
        choice: u64,
        /// The option's words, if the question is known.
        #[n(2)]
        option: Option<String>,
    },
    /// A moderator is here for the room until a time of the relay; 0: no longer.
    #[n(17)]
    Duty(#[n(0)] Millis),
    /// Something about turns or questions; the row's changes say what became of it.
    #[n(18)]
    Floor(#[n(0)] Option<Op>),
    /// Seats of a lane changed.
    #[n(19)]
    Seats {
        /// Number of the parent's record that the lane follows from here on.
        #[n(0)]
        record: u64,
        /// Names of the members who read along from here on.
        #[n(1)]
        seated: Vec<String>,
        /// Names of the members who read nothing later.
        #[n(2)]
        unseated: Vec<String>,
        /// Whether this profile had lapsed at that record and could not compare the moderators with its own log.
        #[n(3)]
        unproved: bool,
    },
    /// A message that counts in lanes only.
    #[n(20)]
    Private(#[n(0)] Box<Private>),
    /// Words that a moderator showed without their author's name.
    #[n(21)]
    Shared(#[n(0)] String),
    /// My own removal from the room.
    #[n(27)]
    MyRemoval {
        /// The facilitator's words to me; empty if no sealed note of that facilitator came before.
        #[n(0)]
        words: String,
        /// The facilitator's words to the room.
        #[n(1)]
        goodbye: String,
    },
    /// In a lane: its owner's vote in a hidden poll.
    #[n(25)]
    Ballot {
        /// The poll.
        #[n(0)]
        ask: Ref,
        /// Number of the option, from 0.
        #[n(1)]
        choice: u64,
        /// The salt under which the vote is published.
        #[n(2)]
        #[cbor(with = "minicbor::bytes")]
        salt: [u8; 16],
    },
}

/// A finding about an entry that the member must be told.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Notice {
    /// Messages of this sender are missing before this one.
    #[n(0)]
    Gap(#[n(0)] u64),
    /// The sender saw other entries than this profile at that position, or from there on: the relay shows different logs.
    #[n(1)]
    Fork(#[n(0)] Seq),
    /// The relay left out entries up to this seq, exclusive.
    #[n(2)]
    Missing {
        /// The first missing entry.
        #[n(0)]
        from: Seq,
    },
    /// The entry does not decrypt or verify.
    #[n(3)]
    Unreadable,
    /// A commit that every honest member refuses; the text names the broken rule.
    #[n(4)]
    RefusedCommit(#[n(0)] String),
    /// A message of my own key that this profile did not write: a copy of the profile is in use or was restored.
    #[n(5)]
    NotMine,
    /// The sender's counter went backwards or did not advance.
    #[n(6)]
    CounterReused,
    /// The same message arrived again; it is shown once.
    #[n(7)]
    Duplicate,
    /// Entries were deleted by retention before this profile had them.
    #[n(8)]
    Expired {
        /// The first expired entry.
        #[n(0)]
        from: Seq,
    },
    /// A member went on from a past epoch: the room has split in two.
    #[n(9)]
    Split,
    /// A member broke the rules of the mark: a marked entry holds a text, or an unmarked one a retraction or a departure.
    #[n(10)]
    Mark,
    /// The relay's times are inconsistent: this one is ahead of its own clock or before an earlier entry's.
    #[n(24)]
    Times,
    /// A member announced a departure that no commit can carry out.
    #[n(20)]
    FalseDeparture,
    /// A member tried to retract another member's message, or one that does not exist.
    #[n(21)]
    FalseRetraction,
    /// Another member's message has the same id.
    #[n(22)]
    SameId {
        /// Place of that message.
        #[n(0)]
        seq: Seq,
        /// Its sender's name.
        #[n(1)]
        by: String,
    },
    /// In a lane: by this profile's copy of the room, the sender may not sit here any longer.
    #[n(25)]
    NoSeat,
    /// The published ballots of a hidden poll differ from the votes that this profile knows: by the member who closed it, or the relay.
    #[n(26)]
    Ballots(#[n(0)] Doubt),
    /// A moderator alone gave a time-out that takes two.
    #[n(27)]
    Alone,
    /// The same invite was announced before with another key or role; the first announcement counts.
    #[n(23)]
    SecondInvite {
        /// Name of the member who announced it first.
        #[n(0)]
        by: String,
    },
}

impl Notice {
    /// Whether the notice accuses a member or the relay of a lie, not only of loss or delay.
    pub const fn is_alarm(&self) -> bool {
        match self {
            Self::Ballots(doubt) => doubt.is_alarm(),
            Self::Expired { .. } | Self::Duplicate | Self::Times => false,
            _ => true,
        }
    }
}

/// A submission in the outbox.
#[derive(Clone, Encode, Decode)]
pub struct Outgoing {
    /// The submission's id; for a message its message id.
    #[n(0)]
    pub id: MessageId,
    /// When it was written.
    #[n(1)]
    pub written_at: Millis,
    /// A message or a commit.
    #[n(2)]
    pub what: OutgoingKind,
    /// Effects that go with it.
    #[n(3)]
    pub effects: Vec<Effect>,
    /// A Welcome to upload first.
    #[n(4)]
    #[cbor(with = "minicbor::bytes")]
    pub welcome: Vec<u8>,
    /// The ciphertext, once made; it is stored before anything is sent.
    #[n(5)]
    #[cbor(with = "minicbor::bytes")]
    pub payload: Vec<u8>,
    /// Whether this profile read an entry of the ciphertext's epoch whose content only the relay knew, so that it may be this one. For
    /// a held text: whether other members may have it.
    #[n(6)]
    pub doubtful: bool,
    /// The last entry read before this was first encrypted.
    #[n(7)]
    pub after: Seq,
    /// Whether the relay has refused it for now.
    #[n(8)]
    pub refused: bool,
    /// Why it waits for its author to send or drop it.
    #[n(9)]
    pub held: Option<Held>,
}

/// Why a text is held in the outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Held {
    /// The relay refused it, or a rule does.
    #[n(0)]
    Refused(#[n(0)] RejectCode),
    /// The stay in which it was written has ended.
    #[n(1)]
    Out,
    /// It was another member's turn.
    #[n(2)]
    Turn,
    /// A pause ended while no moderator was on duty, and the room stays closed until one is, or until it opens.
    #[n(3)]
    Unattended,
}

impl Held {
    /// Whether the reason ends by itself or by somebody's act, and the text can go out then.
    pub const fn passes(self) -> bool {
        match self {
            Self::Refused(code) => code.may_retry(),
            Self::Turn | Self::Unattended => true,
            Self::Out => false,
        }
    }
}

/// Kind of a submission.
#[derive(Clone, Encode, Decode)]
pub enum OutgoingKind {
    /// A message; a later epoch may require encrypting it again.
    #[n(0)]
    Message {
        /// Its content.
        #[n(0)]
        body: Body,
        /// The number in its ciphertext.
        #[n(1)]
        counter: u64,
        /// The last entry that its ciphertext vouches for.
        #[n(2)]
        #[cbor(default)]
        seen: Seq,
        /// The salt in its ciphertext.
        #[n(3)]
        #[cbor(with = "minicbor::bytes")]
        salt: [u8; 16],
    },
    /// A commit; dropped if another one comes first.
    #[n(1)]
    Commit {
        /// My acknowledgement after it, if it changes.
        #[n(0)]
        acknowledgement: Option<minicbor::bytes::ByteVec>,
        /// In a lane: what the relay is told of seats.
        #[n(1)]
        seats: Option<LaneSeats>,
    },
}

/// The seats that a lane's commit adds.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct LaneSeats {
    /// Lane keys, with facilitator's role for the bench and member's for the owner.
    #[n(0)]
    pub seated: Vec<(MemberKey, Role)>,
    /// Number of the parent's newest record when the commit was made.
    #[n(1)]
    pub follows: u64,
}

/// An invite whose knocks this room's facilitators can open.
#[derive(Clone, Encode, Decode)]
pub struct KnownInvite {
    /// Its id.
    #[n(0)]
    pub invite: InviteId,
    /// Key that opens its knocks.
    #[n(1)]
    pub knock_key: Secret32,
    /// The role its holder is admitted to.
    #[n(2)]
    pub role: Role,
    /// End of validity.
    #[n(3)]
    pub expires: Millis,
    /// The member who announced it.
    #[n(4)]
    pub by: MemberKey,
    /// The moderators when its preview was made: its holder accepts a Welcome from these only. `None` if unknown.
    #[n(5)]
    pub vouched: Option<Vec<MemberKey>>,
    /// The lost device in whose place its holder comes back.
    #[n(6)]
    pub of: Option<MemberKey>,
}

/// The invite by which a lapsed member returns.
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
    /// Keys for the knocker's own lane; none from who lapsed, whose lane is there.
    #[n(2)]
    pub offer: Option<Offer>,
    /// HPKE public key, of the room's KEM, to which the answer to the knock is sealed.
    #[n(3)]
    #[cbor(with = "minicbor::bytes")]
    pub reply_key: Vec<u8>,
}
