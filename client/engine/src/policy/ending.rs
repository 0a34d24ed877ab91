//! The end of the group: announced in time, held by the relay as a number, and followed by every client.

use hearth_protocol::Millis;
use minicbor::{Decode, Encode};

use super::{Act, Applied, COMMENT_CHARS_MAX, Record, RoomPolicy, RuleError, act::bounded};

/// Least time between the announcement and the end: 14 days, less an hour in which a command may be under way.
pub const NOTICE_MILLIS: u64 = (14 * 24 - 1) * 3_600_000;

/// What a facilitator says of the end of the group.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Closing {
    /// The group ends at a time.
    #[n(0)]
    At {
        /// From then on nobody posts.
        #[n(0)]
        ends: Millis,
        /// Why it ends sooner than after [`NOTICE_MILLIS`]; empty: it does not.
        #[n(1)]
        sooner: String,
        /// Words to the room: where to turn next.
        #[n(2)]
        words: String,
    },
    /// The group goes on.
    #[n(1)]
    CalledOff,
}

/// The announced end. Its time is among the numbers.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Ending {
    /// The announcing facilitator's words.
    #[n(0)]
    pub words: String,
    /// Why it ends sooner than the notice allows; empty: it does not.
    #[n(1)]
    pub sooner: String,
}

impl Closing {
    /// Returns the word in logs and JSON.
    pub(super) const fn as_str(&self) -> &'static str {
        match self {
            Self::At { .. } => "close_group",
            Self::CalledOff => "close_group_called_off",
        }
    }
}

impl RoomPolicy {
    /// Whether the group has ended at a time.
    pub fn has_ended(&self, at: Millis) -> bool {
        self.numbers.have_ended(at)
    }

    /// Refuses what nobody does after the end. People go on leaving, and what was said can be taken down.
    pub(super) fn check_ended(&self, record: &Record) -> Result<(), RuleError> {
        let goes_on = record.act.takes_out().is_some()
            || matches!(record.act, Act::Retract { .. } | Act::Rekey | Act::Untimeout(_));
        if self.has_ended(record.at) && !goes_on { Err(RuleError::Ended) } else { Ok(()) }
    }

    /// Announces, moves or calls off the end.
    pub(super) fn close_group(
        &self,
        record: &Record,
        closing: &Closing,
        applied: &mut Applied,
    ) -> Result<(), RuleError> {
        let next = &mut applied.policy;
        match closing {
            Closing::At { ends, sooner, words } => {
                bounded(words, COMMENT_CHARS_MAX)?;
                bounded(sooner, COMMENT_CHARS_MAX)?;
                if *ends <= record.at {
                    return Err(RuleError::OutOfRange);
                }
                if sooner.is_empty() && *ends < record.at.plus(NOTICE_MILLIS) {
                    return Err(RuleError::TooSoon);
                }
                next.numbers.ends_at = Some(*ends);
                next.more.ending = Some(Ending { words: words.clone(), sooner: sooner.clone() });
            }
            Closing::CalledOff => {
                next.numbers.ends_at.take().ok_or(RuleError::Nothing)?;
                next.more.ending = None;
            }
        }
        Ok(())
    }
}
