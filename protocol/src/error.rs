//! Refusals as codes. The cause stays in the relay's log; the wire carries only the code.

use minicbor::{Decode, Decoder, Encode, decode};

/// Reasons of the relay to refuse a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode)]
#[cbor(index_only)]
#[non_exhaustive]
pub enum RejectCode {
    // The peer broke a rule of the wire.
    /// This protocol version does not allow the frame here.
    #[n(0)]
    BadFrame,
    /// No common protocol version.
    #[n(1)]
    BadVersion,
    /// The signature does not prove the key.
    #[n(2)]
    BadSignature,
    /// A field exceeds a bound of the wire.
    #[n(3)]
    TooLarge,
    /// The payload is not an MLS PrivateMessage of this room.
    #[n(4)]
    BadPayload,
    /// The number of the frame, or of an effect in it, is of a later version. The connection stays open.
    #[n(5)]
    Unsupported,

    // The request is well formed but not allowed. Absent and forbidden rooms get one answer.
    /// No such room, or not for this key.
    #[n(16)]
    NotMember,
    /// Allowed only for facilitators.
    #[n(17)]
    NotFacilitator,
    /// The acknowledgement is missing or not for the current agreement.
    #[n(18)]
    NotAcknowledged,
    /// The invite does not exist or is void.
    #[n(19)]
    InviteInvalid,
    /// All uses of the invite are spent.
    #[n(20)]
    InviteUsed,
    /// The invite has expired.
    #[n(21)]
    InviteExpired,
    /// The grant is unknown, spent or expired.
    #[n(22)]
    GrantInvalid,
    /// The room already exists.
    #[n(23)]
    RoomExists,
    /// The room is full, or holds its maximum of invites.
    #[n(24)]
    RoomFull,
    /// Observers may not post.
    #[n(25)]
    Observer,
    /// The act would leave the room without a facilitator.
    #[n(26)]
    LastFacilitator,
    /// The object of the change does not exist.
    #[n(27)]
    NotFound,
    /// The lane is closed and takes no entry.
    #[n(28)]
    LaneClosed,
    /// The group has ended: nobody posts, and nobody comes in.
    #[n(29)]
    Ended,

    // The request may succeed later.
    /// A facilitator paused the room; `retry_at` is the end.
    #[n(32)]
    Paused,
    /// The sender is in a time-out; `retry_at` is the end.
    #[n(33)]
    TimedOut,
    /// Too soon after the sender's last post; `retry_at` is the next possible time.
    #[n(34)]
    SlowMode,
    /// The sender's daily budget is spent; `retry_at` is the time of the next free post.
    #[n(35)]
    BudgetSpent,
    /// The payload exceeds the room's limit.
    #[n(36)]
    TooLong,
    /// The room is closed; `retry_at` is the next opening, if there is one.
    #[n(37)]
    Closed,
    /// The room is locked and admits no member.
    #[n(38)]
    Locked,
    /// The epoch is not the room's current one; the sender has to catch up and retry.
    #[n(39)]
    EpochConflict,
    /// The room's control version is not the expected one; the sender has to read the state and retry.
    #[n(40)]
    StateChanged,
    /// The id was used for another submission.
    #[n(41)]
    IdConflict,
    /// Too many requests; `retry_at` is the next possible time.
    #[n(42)]
    RateLimited,
    /// The room holds its maximum of bytes; `retry_at` is the time when some expire.
    #[n(43)]
    QuotaSpent,
    /// The room holds its maximum of pending knocks.
    #[n(44)]
    DoorBusy,

    // The relay's own failures.
    /// The relay cannot write to its store (full disk, failed write); it accepted nothing.
    #[n(48)]
    StoreUnavailable,
    /// The relay is stopping.
    #[n(49)]
    ShuttingDown,
}

impl RejectCode {
    /// Whether the same request may succeed later, unchanged or after catching up.
    pub const fn may_retry(self) -> bool {
        (self as u8) >= Self::Paused as u8 && !matches!(self, Self::TooLong | Self::IdConflict)
    }

    /// Whether a client holds a text that was refused so until its author sends or drops it. What ends after hours or by a
    /// person's act does, because the words may no longer fit then; what is about pace does not.
    pub const fn holds_text(self) -> bool {
        let lasts = matches!(
            self,
            Self::Paused | Self::TimedOut | Self::BudgetSpent | Self::Closed | Self::QuotaSpent
        );
        lasts || !self.may_retry()
    }

    /// Decodes a code; a code of a later version means what its range means (`docs/protocol.md` section 8).
    pub(crate) fn decode_any<C>(
        decoder: &mut Decoder<'_>,
        context: &mut C,
    ) -> Result<Self, decode::Error> {
        const RETRY_FROM: u32 = 32;
        let number = decoder.clone().u32()?;
        match Self::decode(decoder, context) {
            Err(error) if error.is_unknown_variant() && number < RETRY_FROM => Ok(Self::BadFrame),
            Err(error) if error.is_unknown_variant() => Ok(Self::RateLimited),
            known => known,
        }
    }

    /// The name in logs, JSON and `docs/protocol.md` section 8.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadFrame => "bad_frame",
            Self::BadVersion => "bad_version",
            Self::BadSignature => "bad_signature",
            Self::TooLarge => "too_large",
            Self::BadPayload => "bad_payload",
            Self::Unsupported => "unsupported",
            Self::NotMember => "not_member",
            Self::NotFacilitator => "not_facilitator",
            Self::NotAcknowledged => "not_acknowledged",
            Self::InviteInvalid => "invite_invalid",
            Self::InviteUsed => "invite_used",
            Self::InviteExpired => "invite_expired",
            Self::GrantInvalid => "grant_invalid",
            Self::RoomExists => "room_exists",
            Self::RoomFull => "room_full",
            Self::Observer => "observer",
            Self::LastFacilitator => "last_facilitator",
            Self::NotFound => "not_found",
            Self::LaneClosed => "lane_closed",
            Self::Ended => "ended",
            Self::Paused => "paused",
            Self::TimedOut => "timed_out",
            Self::SlowMode => "slow_mode",
            Self::BudgetSpent => "budget_spent",
            Self::TooLong => "too_long",
            Self::Closed => "closed",
            Self::Locked => "locked_room",
            Self::EpochConflict => "epoch_conflict",
            Self::StateChanged => "state_changed",
            Self::IdConflict => "id_conflict",
            Self::RateLimited => "rate_limited",
            Self::QuotaSpent => "quota_spent",
            Self::DoorBusy => "door_busy",
            Self::StoreUnavailable => "store_unavailable",
            Self::ShuttingDown => "shutting_down",
        }
    }
}

/// WebSocket close codes of the relay (RFC 6455 section 7.4).
pub mod close {
    /// The relay stops, or the peer left.
    pub const GOING_AWAY: u16 = 1001;
    /// The peer violated RFC 6455 or sent bytes that are not a Hearth frame.
    pub const PROTOCOL: u16 = 1002;
    /// Text where binary is expected.
    pub const UNSUPPORTED: u16 = 1003;
    /// Text that is not UTF-8.
    pub const NOT_UTF8: u16 = 1007;
    /// The message exceeds the limits.
    pub const TOO_BIG: u16 = 1009;
    /// The peer did not authenticate in time.
    pub const AUTH_TIMEOUT: u16 = 4001;
    /// Too many frames, pings or failed authentications.
    pub const RATE: u16 = 4002;
    /// The reader is too slow or gone.
    pub const SLOW: u16 = 4003;
}
