//! Why something over the network did not work.

use hearth_engine::{EngineError, accord::Reason, state::Standing, store::StoreError};
use hearth_protocol::{Millis, RejectCode, Seq};

use crate::connection::{ConnectError, ConnectionLost, RequestError, refusal_words};

/// Why a room could not be entered or acted in.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// The engine refuses or fails.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// No connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The connection broke.
    #[error(transparent)]
    Lost(#[from] ConnectionLost),
    /// A request failed.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The connection broke after an act of a command was sent, and before its answer: the relay may have carried it out.
    #[error("{0}, and it may have been done")]
    Unanswered(RequestError),
    /// The relay refused a submission.
    #[error("{}", refusal_words(*.code))]
    Refused {
        /// Why.
        code: RejectCode,
        /// When to try again.
        retry_at: Option<Millis>,
        /// Whether it waits in the outbox.
        kept: bool,
        /// Whether the room's log says why.
        reason: Reason,
    },
    /// It is another member's turn, whose name is given here; the words are kept.
    #[error("it is {}", .0.as_ref().map_or_else(|| "not your turn".to_owned(), |name| format!("{name}'s turn")))]
    OffTurn(Option<String>),
    /// A pause ended while nobody was on duty; when the room opens, if that is known. The words are kept.
    #[error("the pause is over, and nobody from the team is here now: the room stays closed")]
    Unattended(Option<Millis>),
    /// The relay's answer is not one to the question.
    #[error("the relay gave an answer that does not fit")]
    UnexpectedReply,
    /// The relay announced entries and does not deliver them.
    #[error("the relay keeps back part of the room (up to entry {0})")]
    Withheld(Seq),
    /// The relay says that we are out, and shows no commit that says so.
    #[error("the relay says that you are no longer in the room, and no facilitator's act says so")]
    SaidGone,
    /// This profile is not in the room.
    #[error("you are not in this room ({})", .0.as_str())]
    NotInside(Standing),
    /// The relay keeps no knock of ours: it was kept for its time, or we were admitted and removed before we came.
    #[error("nobody has your knock any more")]
    KnockForgotten,
    /// We were admitted, and did not come while the relay kept the Welcome.
    #[error("you were let in, and did not come while the relay kept your key to the room")]
    WelcomeGone,
    /// Others were faster, many times in a row.
    #[error("others changed the room at the same time, again and again")]
    TooManyRaces,
    /// Nobody reads our output any more.
    #[error("the output is closed")]
    OutputClosed,
    /// Entries come from an epoch that we have no way into.
    #[error("the others went on without you: there was a change that this profile cannot read")]
    LeftBehind,
    /// A commit that everybody refuses stands in the way.
    #[error("the room waits for a facilitator: somebody made a change that everybody refuses")]
    EpochUsedUp,
    /// The relay went back to an epoch that the room has left.
    #[error(
        "the relay has gone back to keys that the room has left, and takes nothing of what is said now"
    )]
    EpochTakenBack,
    /// The relay has all that this profile has seen, and the room goes on.
    #[error("there is nothing to recover: the relay has all that you have seen")]
    NothingToRecover,
}

impl From<StoreError> for LiveError {
    fn from(error: StoreError) -> Self {
        Self::Engine(error.into())
    }
}

impl LiveError {
    /// Says of an act that was asked for, and whose answer was lost, that it may have been done.
    pub(super) fn of_own(self) -> Self {
        match self {
            Self::Request(error @ (RequestError::Timeout | RequestError::Lost(_))) => {
                Self::Unanswered(error)
            }
            Self::Lost(lost) => Self::Unanswered(RequestError::Lost(lost)),
            error => error,
        }
    }

    /// Whether what waits stays in the outbox, until people have cleared something up.
    pub const fn holds_back(&self) -> bool {
        matches!(
            self,
            Self::EpochUsedUp
                | Self::EpochTakenBack
                | Self::LeftBehind
                | Self::Engine(EngineError::Split(_))
        )
    }

    /// Whether this profile itself, or its place in the room, is what fails: no connection mends that.
    pub const fn is_final(&self) -> bool {
        match self {
            Self::Engine(error) => matches!(
                error,
                EngineError::Store(_) | EngineError::DamagedRecord | EngineError::NotMember(_)
            ),
            // Who waits to come back stays connected.
            Self::NotInside(standing) => !standing.keeps_lane(),
            Self::KnockForgotten | Self::WelcomeGone | Self::OutputClosed => true,
            _ => false,
        }
    }

    /// Whether trying again on a new connection makes sense.
    pub const fn is_connection(&self) -> bool {
        match self {
            Self::Connect(error) => error.may_retry(),
            Self::Lost(_)
            | Self::Unanswered(_)
            | Self::Request(RequestError::Timeout | RequestError::Lost(_)) => true,
            Self::Request(RequestError::Rejected { code, .. }) | Self::Refused { code, .. } => {
                matches!(code, RejectCode::ShuttingDown)
            }
            _ => false,
        }
    }
}
