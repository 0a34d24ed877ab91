//! Calls for help: what their author and those who moderate know of each. Pure: no store, no clock.
//!
//! Only a person who moderates makes a call *seen*, by a word on it or by words behind it in the lane: a delivery, an open window or the relay never do. How long nobody has seen it goes by
//! the device's steady clock, so that no clock that is set, and no relay, shortens or lengthens it.

mod read;
mod ring;
#[cfg(test)]
mod tests;

use std::time::Duration;

use hearth_protocol::{MemberKey, MessageId, Millis};

pub use self::{
    read::{OpenCall, Said, open_calls, said_of},
    ring::{RING_EVERY, RING_FOR, Reach, Ringing},
};
use crate::private::SeenState;

/// Calls of one member that are followed; of more, those that are over go first, then the oldest.
pub const CALLS_MAX: usize = 64;
/// A moderator has seen a call and written nothing: after so long the numbers are shown again.
pub const SILENT: Duration = Duration::from_secs(5 * 60);
/// Shortest time between two calls of one member.
pub const CALL_EVERY: Duration = Duration::from_secs(60);

/// Something about a call that became known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// The member called.
    Called {
        /// Id of the message.
        call: MessageId,
        /// When, as it is displayed.
        at: Millis,
        /// How long ago, at most.
        age: Duration,
        /// Whether this is its entry in the lane: who writes behind it has it before them.
        in_lane: bool,
    },
    /// The relay has it.
    Delivered(MessageId),
    /// Somebody said how far it is.
    Said {
        /// The call.
        call: MessageId,
        /// Who.
        who: Person,
        /// When, as it is displayed.
        at: Millis,
        /// How far.
        state: SeenState,
        /// Their words.
        words: String,
    },
    /// Somebody wrote in the lane.
    Spoke(Person),
}

/// Somebody who said or wrote something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// Their room key.
    pub key: MemberKey,
    /// Their name.
    pub name: String,
    /// Whether they moderate by this profile's copy of the room, or answered the note that carried the call. What others say of a
    /// call is nothing.
    pub moderates: bool,
}

/// How far a call is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It is on this device only.
    Kept,
    /// The relay has it.
    Sent,
    /// A person has read it, and has not written yet.
    Seen {
        /// Their name.
        by: String,
        /// When, as it is displayed.
        at: Millis,
    },
    /// Somebody has written in the lane since.
    WithYou {
        /// Their name.
        by: String,
    },
    /// Another one goes on, and has not written yet.
    HandedOver {
        /// Their name.
        by: String,
    },
    /// It was talked through.
    Closed {
        /// Their name.
        by: String,
        /// Their words.
        words: String,
    },
}

/// A call at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Id of the message.
    pub call: MessageId,
    /// When it was made, as it is displayed.
    pub at: Millis,
    /// How far it is.
    pub stage: Stage,
    /// Whether it has waited so long that its author is asked to turn elsewhere.
    pub unseen: bool,
    /// Whether the one who has seen it has been silent for [`SILENT`].
    pub silent: bool,
}

/// How long a call may be unseen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// While somebody is on duty.
    pub minutes: u32,
    /// Whether somebody is.
    pub on_duty: bool,
}

impl Patience {
    /// Returns the time after which nobody has seen a call; none where nobody is expected.
    pub fn limit(self) -> Duration {
        if self.on_duty {
            Duration::from_secs(u64::from(self.minutes) * 60)
        } else {
            Duration::ZERO
        }
    }
}

#[derive(Clone, Debug)]
struct Call {
    id: MessageId,
    at: Millis,
    age: Duration,
    heard: Duration,
    delivered: bool,
    /// Whether its entry in the lane was read.
    in_lane: bool,
    stage: Option<Stage>,
    /// When the stage was heard of.
    since: Duration,
    /// Who wrote in the lane since the call.
    spoke: Option<String>,
}

/// The calls of one member, oldest first.
#[derive(Clone, Debug, Default)]
pub struct Calls(Vec<Call>);

impl Calls {
    /// Takes in what became known at a time of the steady clock. The same thing may come twice.
    pub fn hear(&mut self, heard: Heard, now: Duration) {
        match heard {
            Heard::Called { call, at, age, in_lane } => {
                self.called(call, at, age, now);
                if let Some(call) = self.find(&call).filter(|call| in_lane && !call.in_lane) {
                    // Words before it crossed it.
                    (call.in_lane, call.spoke) = (true, None);
                }
            }
            Heard::Delivered(call) => {
                if let Some(call) = self.find(&call) {
                    call.delivered = true;
                }
            }
            Heard::Said { who, .. } | Heard::Spoke(who) if !who.moderates => {}
            Heard::Said { call, who, at, state, words } => {
                if let Some(call) = self.find(&call) {
                    call.said(who.name, at, state, words, now);
                }
            }
            Heard::Spoke(who) => {
                for call in &mut self.0 {
                    call.spoken(&who.name);
                }
            }
        }
    }

    fn called(&mut self, id: MessageId, at: Millis, age: Duration, now: Duration) {
        if self.find(&id).is_some() {
            return;
        }
        if self.0.len() >= CALLS_MAX {
            let over = self.0.iter().position(|c| matches!(c.stage, Some(Stage::Closed { .. })));
            self.0.remove(over.unwrap_or(0));
        }
        let (delivered, stage, spoke) = (false, None, None);
        let (heard, since, in_lane) = (now, now, false);
        self.0.push(Call { id, at, age, heard, delivered, in_lane, stage, since, spoke });
    }

    fn find(&mut self, id: &MessageId) -> Option<&mut Call> {
        self.0.iter_mut().find(|call| call.id == *id)
    }

    /// Returns a call at a moment.
    pub fn line(&self, id: &MessageId, patience: Patience, now: Duration) -> Option<Line> {
        self.0.iter().find(|call| call.id == *id).map(|call| call.line(patience, now))
    }

    /// Returns the last call at a moment, if it is not over.
    pub fn open(&self, patience: Patience, now: Duration) -> Option<Line> {
        let last = self.0.last()?;
        (!matches!(last.stage, Some(Stage::Closed { .. }))).then(|| last.line(patience, now))
    }

    /// Returns the ids of the calls that nobody has seen, oldest first.
    pub fn unseen(&self) -> Vec<MessageId> {
        self.0.iter().filter(|call| call.stage.is_none()).map(|call| call.id).collect()
    }

    /// Returns the id of the last call.
    pub fn last(&self) -> Option<MessageId> {
        self.0.last().map(|call| call.id)
    }

    /// Returns how long a member has to wait before they can call again; none once the last call is closed.
    pub fn wait(&self, now: Duration) -> Option<Duration> {
        let last = self.0.last()?;
        // What was talked through takes nothing in: more is a call of its own.
        if matches!(last.stage, Some(Stage::Closed { .. })) {
            return None;
        }
        CALL_EVERY.checked_sub(last.elapsed(now)).filter(|left| !left.is_zero())
    }

    /// Returns when the last call's line changes by itself, on the steady clock.
    pub fn changes_at(&self, patience: Patience, now: Duration) -> Option<Duration> {
        let call = self.0.last()?;
        let at = match &call.stage {
            None => call.heard + patience.limit().saturating_sub(call.age),
            Some(Stage::Seen { .. } | Stage::HandedOver { .. }) => call.since + SILENT,
            Some(_) => return None,
        };
        (at > now).then_some(at)
    }
}

impl Call {
    fn said(&mut self, by: String, at: Millis, state: SeenState, words: String, now: Duration) {
        let spoke = || self.spoke.clone();
        let stage = match (state, &self.stage) {
            // The first word that it is over stays.
            (_, Some(Stage::Closed { .. })) => return,
            (SeenState::Resolved, _) => Stage::Closed { by, words },
            // One takes it; that others have read it, too, changes nothing.
            (SeenState::Seen, Some(_)) => return,
            (SeenState::Seen, None) => match spoke() {
                Some(by) => Stage::WithYou { by },
                None => Stage::Seen { by, at },
            },
            (SeenState::Closed, Some(Stage::HandedOver { by: before })) if *before == by => return,
            (SeenState::Closed, _) => Stage::HandedOver { by },
        };
        (self.stage, self.since) = (Some(stage), now);
    }

    fn spoken(&mut self, by: &str) {
        match &self.stage {
            Some(Stage::Closed { .. }) => {}
            // Words alone may have crossed the call.
            None if !self.in_lane => self.spoke = Some(by.to_owned()),
            _ => self.stage = Some(Stage::WithYou { by: by.to_owned() }),
        }
    }

    fn elapsed(&self, now: Duration) -> Duration {
        self.age + now.saturating_sub(self.heard)
    }

    fn line(&self, patience: Patience, now: Duration) -> Line {
        let unsaid = if self.delivered { Stage::Sent } else { Stage::Kept };
        let waits = matches!(self.stage, Some(Stage::Seen { .. } | Stage::HandedOver { .. }));
        Line {
            call: self.id,
            at: self.at,
            stage: self.stage.clone().unwrap_or(unsaid),
            unseen: self.stage.is_none() && self.elapsed(now) >= patience.limit(),
            silent: waits && now.saturating_sub(self.since) >= SILENT,
        }
    }
}
