//! Reasons why the engine refused or failed.

use hearth_protocol::Seq;

use super::{
    agreement::AckError, content::ContentError, gate::Refusal, mls::MlsError, policy::RuleError,
    turns::FloorError,
};
use crate::store::StoreError;

/// Why the engine refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// This profile was not told what a proposal is about.
    #[error("this device was not told what that proposal is about")]
    NotTold,
    // The relay or a member lied, or a state was rolled back.
    /// The relay's log is another or shorter than the one this profile has seen.
    #[error("history went backwards: the relay no longer has what it showed before (entry {0})")]
    HistoryBackwards(Seq),
    /// The relay's store has a new identity.
    #[error("history went backwards: the relay was restored from a copy")]
    StreamChanged,
    /// The room has split, so members removed in the other part may read on in ours.
    #[error("somebody went on from an earlier state of this room at entry {0}: it may have split")]
    Split(Seq),
    /// The gate refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// An invite's preview does not verify.
    #[error("the invite's preview is not what its facilitator signed")]
    BadPreview,
    /// A knock does not verify.
    #[error("the knock does not verify: {0}")]
    BadKnock(&'static str),
    /// A Welcome cannot be opened: the facilitator's client or the relay is at fault.
    #[error("what a facilitator's program sent to let you in cannot be opened")]
    BadWelcome,
    /// A receipt does not verify.
    #[error("the receipt does not verify: {0}")]
    BadReceipt(&'static str),

    // A rule forbids it.
    /// A rule of the room forbids it.
    #[error(transparent)]
    Rule(#[from] RuleError),
    /// The acknowledgement is invalid.
    #[error(transparent)]
    Acknowledgement(#[from] AckError),
    /// This profile is not in the room, no longer or not yet.
    #[error("you are not in this room: {0}")]
    NotMember(&'static str),
    /// The agreement's id is not that of the one in force.
    #[error("that is not the agreement's id")]
    AgreementMismatch,
    /// This profile lacks the text of a version of the agreement.
    #[error("the text of that version has not reached this device")]
    NoText,
    /// Turns or questions do not allow it now.
    #[error("{0}")]
    Floor(FloorError),
    /// The entry at a place has no words that could be answered, or no longer.
    #[error("entry {0} has no words: they were taken back or have expired, or it is not a message")]
    NoWords(Seq),
    /// An edit comes too late.
    #[error("a message can be changed for 15 minutes")]
    TooLateToEdit,
    /// The message was edited as often as counts.
    #[error("a message can be changed five times")]
    TooManyEdits,
    /// A content note is too long; its characters are given here.
    #[error("a content note has at most 80 characters, this one has {0}")]
    TopicTooLong(usize),
    /// As many filters are set as one room has.
    #[error("a room has at most {max} filters", max = super::mine::FILTERS_MAX)]
    TooManyFilters,
    /// The name looks like a present member's.
    #[error("that name looks like the name of somebody in the room")]
    NameTaken,
    /// The invite is older than my role, so the knocker accepts a Welcome only from its moderators. These still moderate.
    #[error(
        "the invite is older than your role: the knocker's program lets in nobody whom you admit"
    )]
    NotVouched(Vec<String>),
    /// No member has that name or key.
    #[error("nobody in the room is called {0:?}")]
    NoSuchMember(String),
    /// Several rooms or members fit.
    #[error("more than one fits {0:?}")]
    Ambiguous(String),
    /// No message has that id or number.
    #[error("no message has the id or number {0:?}")]
    NoSuchMessage(String),
    /// Several messages fit.
    #[error("more than one message fits {wanted:?}: {fits}")]
    SeveralMessages {
        /// The id or number asked for.
        wanted: String,
        /// The messages that fit.
        fits: Fits,
    },
    /// Only the author or a facilitator can retract a message.
    #[error("only its author or a facilitator can retract a message")]
    NotAuthor,
    /// The content is too long or malformed.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// The text is longer than the room allows.
    #[error("the message has {chars} characters, and the room allows {max}")]
    TooLong {
        /// Characters of the message.
        chars: usize,
        /// Characters allowed.
        max: u32,
    },
    /// The outbox is full.
    #[error("{} messages wait to be sent already", super::outbox::OUTBOX_MAX)]
    OutboxFull,
    /// The room has no lanes.
    #[error("this room has no private lines to its moderators")]
    NoLanes,
    /// A lane follows a record of its room that has not arrived.
    #[error("this line follows record {0} of its room, which has not arrived yet")]
    LaneWaits(u64),
    /// Nothing goes out in a lane before the room's log is read to its end.
    #[error("the room has entries that this device has not read")]
    RoomUnread,
    /// A member who left or was removed has nobody to write to in their lane.
    #[error("its member is no longer in the room")]
    OwnerGone,
    /// The lane of a lapsed member follows the room only by a facilitator's commit.
    #[error("a facilitator's device has to bring this line up to date first")]
    WaitsForFacilitator,
    /// A report that came by a note was answered; its key is used once.
    #[error("that report was answered already")]
    ReportAnswered,
    /// A report is about a member, named here, who would read it.
    #[error("{0} moderates and would read it")]
    AboutModerator(String),
    /// What was published of a hidden poll is not what this device knows; with the name of the member who closed it.
    #[error(
        "{0} closed a hidden poll, and the published votes are not those that this device knows"
    )]
    PollDiffers(String),
    /// This member does not sit in so many lanes of those who can vote.
    #[error(
        "this device cannot read {0} of the lines where votes are, so it would leave votes out"
    )]
    LanesUnread(usize),
    /// Fewer members than [`crate::share::WRITERS_MIN`] could have written a share.
    #[error("{0} members could have written it, and it takes six so that nobody can tell who did")]
    TooFewWriters(usize),
    /// A share is not there, was taken back, or is shown already or by another moderator's device.
    #[error("that share is not there any more, or is on its way already")]
    NoShare,
    /// A report quotes more messages than one report can.
    #[error("a report quotes at most {0} messages")]
    TooManyQuotes(usize),
    /// This member has no seat in a lane yet.
    #[error("this line is not open yet: a facilitator's device opens it")]
    NotSeated,
    /// A message means nothing in that lane from this member.
    #[error("that cannot be said in this line")]
    NotForLane,
    /// A commit of ours is still pending.
    #[error("another change of the room is still on its way")]
    Busy,

    // This device failed.
    /// The local store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A record of the local store does not decode.
    #[error("the profile's record of this room is damaged")]
    DamagedRecord,
    /// MLS refused or failed.
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
    /// Whether the relay or a member lied, so that the exit code is 5.
    pub fn is_verification_failure(&self) -> bool {
        match self {
            Self::HistoryBackwards(_)
            | Self::StreamChanged
            | Self::Split(_)
            | Self::BadPreview
            | Self::BadKnock(_)
            | Self::BadWelcome
            | Self::BadReceipt(_) => true,
            // A rule that forbids our own act is not a lie.
            Self::Refused(refusal) => {
                !matches!(refusal, Refusal::Rule(_) | Refusal::NameConfusable)
            }
            _ => false,
        }
    }
}
