//! What can go wrong between a member and the relay, whose fault it is, and what to try next.

use std::io;

use hearth_protocol::{
    error::{RejectCode, close},
    id::Millis,
};
use rustls::CertificateError;

/// Exit code of a relay that cannot be reached.
const EXIT_UNREACHABLE: u8 = 4;
/// Exit code of a verification that failed: something lied.
const EXIT_LIED: u8 = 5;
/// Exit code of a request that a rule refused.
const EXIT_REFUSED: u8 = 3;

/// Why no connection came about.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    // Something lied.
    /// The TLS key is not the one that the link pins.
    #[error("the relay's TLS key is not the one in the link")]
    WrongPin,
    /// The certificate does not verify, or its holder could not prove the key.
    #[error("the relay's certificate {}", flaw(.0).what())]
    BadCertificate(#[source] rustls::Error),
    /// The link pins the relay's key, and the key exchange would not stand against a quantum computer.
    #[error("the relay offers no post-quantum encryption, which a link with a pinned key asks for")]
    NotPostQuantum,
    /// The relay names another identity than the link does.
    #[error("another relay answered than the one in the link")]
    WrongRelay,

    // The address cannot be used.
    /// Without TLS only this computer may be addressed.
    #[error("the link asks for an unencrypted connection to another computer")]
    PlainNotLoopback,
    /// Not `host:port`.
    #[error("the relay's address is malformed")]
    BadAddress,
    /// No common protocol version.
    #[error("the relay speaks no protocol version that this program knows")]
    BadVersion,
    /// What answers is no relay: a captive portal, some web server, noise.
    #[error("what answers at that address is not a Hearth relay")]
    NotARelay {
        /// The HTTP status, where it spoke HTTP.
        status: Option<u16>,
    },
    /// It speaks TLS, but not as we must insist: below 1.3, say.
    #[error("no encrypted connection that is safe enough could be agreed on (TLS 1.3)")]
    NoTls13(#[source] rustls::Error),

    // Not now.
    /// The network or the relay is down.
    #[error("the relay cannot be reached: {}", network_words(.0.kind()))]
    Unreachable(#[source] io::Error),
    /// No answer in time.
    #[error("the relay did not answer in time")]
    Timeout,
    /// The relay, or a proxy before it, says that it cannot serve now.
    #[error("the relay is not available now")]
    Unavailable {
        /// The HTTP status, where a proxy said so.
        status: Option<u16>,
    },
    /// Too many connections or requests from here.
    #[error("the relay asks to slow down")]
    RateLimited {
        /// When to try again, where that is known.
        retry_at: Option<Millis>,
    },
}

impl ConnectError {
    /// The process exit code.
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::WrongPin | Self::BadCertificate(_) | Self::NotPostQuantum | Self::WrongRelay => {
                EXIT_LIED
            }
            Self::PlainNotLoopback
            | Self::BadAddress
            | Self::BadVersion
            | Self::NotARelay { .. }
            | Self::NoTls13(_)
            | Self::Unreachable(_)
            | Self::Timeout
            | Self::Unavailable { .. }
            | Self::RateLimited { .. } => EXIT_UNREACHABLE,
        }
    }

    /// The code in JSON output.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::WrongPin => "wrong_pin",
            Self::BadCertificate(_) => "bad_certificate",
            Self::NotPostQuantum => "not_post_quantum",
            Self::WrongRelay => "wrong_relay",
            Self::PlainNotLoopback => "plain_not_loopback",
            Self::BadAddress => "bad_address",
            Self::BadVersion => "bad_version",
            Self::NotARelay { .. } => "not_a_relay",
            Self::NoTls13(_) => "no_tls13",
            Self::Unreachable(_) => "unreachable",
            Self::Timeout => "timeout",
            Self::Unavailable { .. } => "unavailable",
            Self::RateLimited { .. } => "rate_limited",
        }
    }

    /// What to try next, in one line.
    pub const fn advice(&self) -> &'static str {
        match self {
            Self::WrongPin | Self::WrongRelay => {
                "Nothing was sent. Somebody may be in between, or the relay was set up anew: ask your facilitator for a new link."
            }
            Self::BadCertificate(error) => flaw(error).advice(),
            Self::NotPostQuantum => {
                "Nothing was sent. The operator of the relay has to let X25519MLKEM768 through, in hearthd or in what stands before it: tell your facilitator."
            }
            Self::PlainNotLoopback | Self::BadAddress => "Ask your facilitator for a new link.",
            Self::BadVersion => "Update Hearth, or ask the operator to update the relay.",
            Self::NotARelay { .. } | Self::NoTls13(_) => {
                "If this network has a sign-in page (hotel, train, clinic), sign in with a browser first, then try again."
            }
            Self::Unreachable(_) | Self::Timeout => {
                "Check your network and try again; nothing that you wrote is lost."
            }
            Self::Unavailable { .. } => "Try again in a minute; nothing that you wrote is lost.",
            Self::RateLimited { .. } => "Wait a minute, then try again.",
        }
    }

    /// Whether the same attempt may succeed later without anybody changing anything.
    pub const fn may_retry(&self) -> bool {
        matches!(
            self,
            Self::Unreachable(_)
                | Self::Timeout
                | Self::Unavailable { .. }
                | Self::RateLimited { .. }
                | Self::NotARelay { .. }
                | Self::NoTls13(_)
        )
    }
}

/// Why an open connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectionLost {
    /// The relay sent what is no frame of this protocol.
    #[error("the relay sent something that is not understood")]
    BadFrame,
    /// The relay sent more than the bounds allow while an answer was awaited.
    #[error("the relay sent too much at once")]
    Overflow,
    /// The relay does not take what is sent to it.
    #[error("the relay does not take what is sent")]
    Stalled,
    /// The relay closed the connection.
    #[error("{}", closed_words(*.code))]
    Closed {
        /// The WebSocket close code; see [`hearth_protocol::error::close`].
        code: Option<u16>,
    },
    /// Nothing came for too long.
    #[error("the relay fell silent")]
    Silent,
    /// The network failed.
    #[error("the connection broke: {}", network_words(*.0))]
    Broken(io::ErrorKind),
}

impl ConnectionLost {
    /// The process exit code.
    pub const fn exit_code(self) -> u8 {
        EXIT_UNREACHABLE
    }

    /// What to try next, in one line.
    pub const fn advice(self) -> &'static str {
        match self {
            Self::Closed { code: Some(close::RATE) } => "Wait a minute, then try again.",
            Self::BadFrame | Self::Overflow => {
                "Try again; if it happens every time, update Hearth or tell the operator of the relay."
            }
            Self::Stalled | Self::Closed { .. } | Self::Silent | Self::Broken(_) => {
                "Check your network and try again; nothing that you wrote is lost."
            }
        }
    }
}

/// Why a request has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The frame exceeds the wire's limit and was not sent.
    #[error("that is too long to be sent at once: {0} bytes")]
    TooLarge(usize),
    /// The relay refused.
    #[error("{}", refusal_words(*.code))]
    Rejected {
        /// Why.
        code: RejectCode,
        /// When to try again, where that is known.
        retry_at: Option<Millis>,
    },
    /// No answer in time. Whether the relay acted is unknown; repeat with the same message id.
    #[error("the relay did not answer in time")]
    Timeout,
    /// The connection ended. Whether the relay acted is unknown; repeat with the same message id.
    #[error(transparent)]
    Lost(#[from] ConnectionLost),
}

impl RequestError {
    /// The process exit code.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::TooLarge(_) | Self::Rejected { .. } => EXIT_REFUSED,
            Self::Timeout | Self::Lost(_) => EXIT_UNREACHABLE,
        }
    }

    /// What to try next, in one line.
    pub const fn advice(self) -> &'static str {
        match self {
            Self::TooLarge(_) => "Send it in smaller parts.",
            Self::Rejected { code, .. } if code.may_retry() => "Try again later.",
            Self::Rejected { .. } => "Repeating it will not help.",
            Self::Timeout => "Check your network and try again; nothing that you wrote is lost.",
            Self::Lost(lost) => lost.advice(),
        }
    }
}

/// What is wrong with a certificate, as far as people can do something about it.
enum Flaw {
    Expired,
    NotYetValid,
    OtherName,
    Other,
}

impl Flaw {
    const fn what(&self) -> &'static str {
        match self {
            Self::Expired => "has expired",
            Self::NotYetValid => "is not valid yet",
            Self::OtherName => "is for another name than the link's",
            Self::Other => "does not verify",
        }
    }

    const fn advice(&self) -> &'static str {
        match self {
            Self::Expired | Self::NotYetValid => {
                "Nothing was sent. Check this computer's clock; if it is right, the operator of the relay has to renew the certificate."
            }
            Self::OtherName => {
                "Nothing was sent. Somebody may be in between, or the operator has to get a certificate for this name: tell your facilitator."
            }
            Self::Other => {
                "Nothing was sent. Check this computer's clock and network; if both are right, tell your facilitator."
            }
        }
    }
}

const fn flaw(error: &rustls::Error) -> Flaw {
    let rustls::Error::InvalidCertificate(error) = error else { return Flaw::Other };
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => Flaw::Expired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            Flaw::NotYetValid
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            Flaw::OtherName
        }
        _ => Flaw::Other,
    }
}

/// Says what went wrong with a network, without the operating system's numbers and names.
pub const fn network_words(kind: io::ErrorKind) -> &'static str {
    use io::ErrorKind as Kind;
    match kind {
        Kind::ConnectionRefused => "nothing answers at its address",
        Kind::ConnectionReset
        | Kind::ConnectionAborted
        | Kind::BrokenPipe
        | Kind::NotConnected
        | Kind::UnexpectedEof => "the connection was cut",
        Kind::TimedOut | Kind::WouldBlock => "nothing came back in time",
        Kind::HostUnreachable | Kind::NetworkUnreachable | Kind::NetworkDown => {
            "this network has no way to it"
        }
        Kind::AddrNotAvailable | Kind::AddrInUse => "this computer has no address to call from",
        Kind::PermissionDenied => "this computer does not allow the connection",
        Kind::NotFound => "its name is not found; is this computer online?",
        // A resolver's failure has no kind of its own.
        _ => "its name is not found, or the network fails; is this computer online?",
    }
}

const fn closed_words(code: Option<u16>) -> &'static str {
    match code {
        Some(close::GOING_AWAY) => "the relay is stopping",
        Some(close::RATE) => "the relay asks to slow down",
        _ => "the relay closed the connection",
    }
}

/// Says why the relay refused, in words for people.
pub const fn refusal_words(code: RejectCode) -> &'static str {
    match code {
        RejectCode::BadFrame
        | RejectCode::BadVersion
        | RejectCode::BadPayload
        | RejectCode::TooLarge
        | RejectCode::Unsupported => "the relay does not understand what this program asks",
        RejectCode::BadSignature => "the relay does not take the proof of your key",
        RejectCode::NotMember => "the relay does not know you in this room",
        RejectCode::NotFacilitator => "only a facilitator may do that",
        RejectCode::NotAcknowledged => "no acknowledgement of the current agreement",
        RejectCode::InviteInvalid => "the relay does not know this invite",
        RejectCode::InviteUsed => "the invite was used already",
        RejectCode::InviteExpired => "the invite has expired",
        RejectCode::GrantInvalid => "the grant is unknown, spent or expired",
        RejectCode::RoomExists => "the relay has this room already",
        RejectCode::RoomFull => "the room is full",
        RejectCode::Observer => "observers read, and do not post",
        RejectCode::LastFacilitator => "the room would be left without a facilitator",
        RejectCode::NotFound => "it is no longer there",
        RejectCode::LaneClosed => "the lane is closed",
        RejectCode::Ended => "the group has ended",
        RejectCode::Paused => "the room is paused",
        // Nothing that a facilitator signed says so: the relay alone does.
        RejectCode::TimedOut => "the relay refuses your posts for a time, as in a break",
        RejectCode::SlowMode => "slow mode: your next post has to wait",
        RejectCode::BudgetSpent => "your posts of the day are spent",
        RejectCode::TooLong => "the message is longer than the room allows",
        RejectCode::Closed => "the room is closed",
        RejectCode::Locked => "the room is locked: nobody is admitted",
        RejectCode::EpochConflict | RejectCode::StateChanged => "the room changed meanwhile",
        RejectCode::IdConflict => "the relay has something else under this message's number",
        RejectCode::RateLimited => "the relay asks to slow down",
        RejectCode::QuotaSpent => "the room has used up its space for messages",
        RejectCode::DoorBusy => "too many people are waiting at the door",
        RejectCode::StoreUnavailable => "the relay cannot store anything now",
        RejectCode::ShuttingDown => "the relay is stopping",
        _ => "the relay refuses, for a reason that this version of hearth does not know",
    }
}
