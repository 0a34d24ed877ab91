//! What keeps a member from posting for a time, by the room's records and the relay's clock.

use hearth_protocol::{Millis, RejectCode, frame::Door};

use super::{error::EngineError, room::Room, state::Standing};

/// What keeps a member from posting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// What stops a post meanwhile.
    pub why: Stop,
    /// When it ends by itself; `None` if it does not.
    pub until: Option<Millis>,
}

/// What stops a post.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The relay refuses it so.
    Refused(RejectCode),
    /// A round is on, and it is another member's turn.
    Turn,
    /// A pause ended while no moderator was on duty.
    Unattended,
}

impl Stop {
    /// Returns the word in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Refused(code) => code.as_str(),
            Self::Turn => "turn",
            Self::Unattended => "unattended",
        }
    }
}

impl Room<'_> {
    /// Returns what keeps this member from posting at a time of the relay, as the relay or an honest reader would say it. Pauses, hours and time-outs do not
    /// hold for those who moderate.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn block(&mut self, now: Millis) -> Result<Option<Block>, EngineError> {
        if self.state.standing != Standing::Member {
            return Ok(None);
        }
        let policy = self.policy()?;
        if policy.has_ended(now) {
            return Ok(Some(Block { why: Stop::Refused(RejectCode::Ended), until: None }));
        }
        let role = policy.role(&self.me());
        if role.moderates() || !role.posts() {
            return Ok(None);
        }
        let numbers = &policy.numbers;
        let until = |why, until| Some(Block { why: Stop::Refused(why), until: Some(until) });
        if self.state.timed_out_until > now {
            return Ok(until(RejectCode::TimedOut, self.state.timed_out_until));
        }
        if numbers.paused_until > now {
            return Ok(until(RejectCode::Paused, numbers.paused_until));
        }
        let closed = |until| Some(Block { why: Stop::Refused(RejectCode::Closed), until });
        let shut = match (numbers.door, &numbers.hours) {
            (Door::Open, _) | (Door::ByHours, None) => None,
            (Door::Closed, _) => closed(None),
            (Door::ByHours, Some(hours)) if hours.is_open(now) => None,
            (Door::ByHours, Some(hours)) => closed(hours.next_opening(now)),
        };
        if shut.is_some() {
            return Ok(shut);
        }
        if let Some(until) = self.unattended(now)? {
            return Ok(Some(Block { why: Stop::Unattended, until }));
        }
        let turn = self.waits_for_turn(now)?;
        Ok(turn.map(|(_, until)| Block { why: Stop::Turn, until: Some(until) }))
    }
}
