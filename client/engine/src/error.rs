//! Why the engine could not do something, by whose fault.

use hearth_protocol::Seq;

use super::{
    agreement::AckError, content::ContentError, gate::Refusal, mls::MlsError, policy::RuleError,
};
use crate::store::StoreError;

/// Why the engine refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    // Somebody lied, or something was rolled back.
    /// The relay's log is another or shorter than the one this profile has seen.
    #[error("history went backwards: the relay no longer has what it showed before (entry {0})")]
    HistoryBackwards(Seq),
    /// The relay's store is not the one it was.
    #[error("history went backwards: the relay was restored from a copy")]
    StreamChanged,
    /// The room is two, and those whom somebody removed in the other may read on in ours.
    #[error("somebody went on from an earlier state of this room at entry {0}: it may have split")]
    Split(Seq),
    /// The gate refuses.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// An invite's preview does not verify.
    #[error("the invite's preview is not what its facilitator signed")]
    BadPreview,
    /// A knock does not hold what it says.
    #[error("the knock does not verify: {0}")]
    BadKnock(&'static str),
    /// A Welcome cannot be opened: its sender's program or the relay is at fault.
    #[error("what a facilitator's program sent to let you in cannot be opened")]
    BadWelcome,
    /// A receipt does not verify.
    #[error("the receipt does not verify: {0}")]
    BadReceipt(&'static str),

    // A rule forbids it.
    /// The room's rules.
    #[error(transparent)]
    Rule(#[from] RuleError),
    /// The acknowledgement is not good.
    #[error(transparent)]
    Acknowledgement(#[from] AckError),
    /// Not in the room (any more, or yet).
    #[error("you are not in this room: {0}")]
    NotMember(&'static str),
    /// The agreement named is not the one in force.
    #[error("that is not the agreement's id")]
    AgreementMismatch,
    /// The text of a version of the agreement is not in this profile.
    #[error("the text of that version has not reached this device")]
    NoText,
    /// The name looks like that of somebody in the room.
    #[error("that name looks like the name of somebody in the room")]
    NameTaken,
    /// The invite is older than my role: its holder takes a Welcome only from those who moderated then, of whom these still do.
    #[error(
        "the invite is older than your role: the knocker's program lets in nobody whom you admit"
    )]
    NotVouched(Vec<String>),
    /// Nobody of that name or id.
    #[error("nobody in the room is called {0:?}")]
    NoSuchMember(String),
    /// More than one fits.
    #[error("more than one fits {0:?}")]
    Ambiguous(String),
    /// No message of that id or number.
    #[error("no message has the id or number {0:?}")]
    NoSuchMessage(String),
    /// Several messages fit.
    #[error("more than one message fits {wanted:?}: {fits}")]
    SeveralMessages {
        /// What was asked for.
        wanted: String,
        /// Those that fit.
        fits: Fits,
    },
    /// Only the author or a facilitator may.
    #[error("only its author or a facilitator can retract a message")]
    NotAuthor,
    /// Too long, or malformed.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// Longer than the room allows.
    #[error("the message has {chars} characters, and the room allows {max}")]
    TooLong {
        /// Characters of the message.
        chars: usize,
        /// Characters allowed.
        max: u32,
    },
    /// As many messages wait as the outbox takes.
    #[error("{} messages wait to be sent already", super::outbox::OUTBOX_MAX)]
    OutboxFull,
    /// A commit of ours is already on its way.
    #[error("another change of the room is still on its way")]
    Busy,

    // Ours.
    /// The local store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A record of the local store does not decode.
    #[error("the profile's record of this room is damaged")]
    DamagedRecord,
    /// MLS refuses or fails.
    #[error(transparent)]
    Mls(MlsError),
    /// The system's random generator failed.
    #[error("the system gives no random numbers")]
    Random,
}

/// Messages by number and sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fits(pub Vec<(Seq, String)>);

impl std::fmt::Display for Fits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, (number, name)) in self.0.iter().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            write!(f, "{comma}number {number} by {name}")?;
        }
        Ok(())
    }
}

impl From<MlsError> for EngineError {
    fn from(error: MlsError) -> Self {
        match error {
            MlsError::Refused(refusal) => refusal.into(),
            other => Self::Mls(other),
        }
    }
}

impl EngineError {
    /// Whether somebody lied, as opposed to a rule or a failure: exit code 5.
    pub fn is_verification_failure(&self) -> bool {
        match self {
            Self::HistoryBackwards(_)
            | Self::StreamChanged
            | Self::Split(_)
            | Self::BadPreview
            | Self::BadKnock(_)
            | Self::BadWelcome
            | Self::BadReceipt(_) => true,
            // A rule that forbids our own act is no lie.
            Self::Refused(refusal) => {
                !matches!(refusal, Refusal::Rule(_) | Refusal::NameConfusable)
            }
            _ => false,
        }
    }
}
