//! A breach: the room stops, everybody acknowledges again, and those who have go on.

use hearth_protocol::{MemberKey, Millis};

use super::{Act, Device, Record, RoomPolicy, RuleError, Scene};
use crate::agreement::AckError;

/// The end of the pause while a breach is open: the last second of the year 9999.
pub const BREACH_UNTIL: Millis = Millis(253_402_300_799_000);

impl RoomPolicy {
    /// Refuses what would pass an open breach by: to let somebody in, to end or move the pause, to put an amendment in force.
    pub(super) fn check_breach(&self, act: &Act) -> Result<(), RuleError> {
        let passes_by = matches!(
            act,
            Act::Admit { .. }
                | Act::Device(Device::Replaced { .. })
                | Act::Pause { .. }
                | Act::Resume
                | Act::Enact
                | Act::OpenBreach { .. }
        );
        if self.more.breach.is_some() && passes_by {
            return Err(RuleError::BreachOpen);
        }
        Ok(())
    }

    pub(super) fn open_breach(&mut self, record: &Record) {
        self.more.breach = Some(record.digest());
        self.numbers.paused_until = BREACH_UNTIL;
    }

    /// Ends a breach in the next policy; returns the members who have not acknowledged again, sorted.
    pub(super) fn close_breach(
        &self,
        next: &mut Self,
        scene: Scene<'_>,
    ) -> Result<Vec<MemberKey>, RuleError> {
        let breach = self.more.breach.ok_or(RuleError::Nothing)?;
        if scene.actor_acknowledgement.more.breach != Some(breach) {
            return Err(RuleError::NotAcknowledged(AckError::BeforeBreach));
        }
        next.more.breach = None;
        next.numbers.paused_until = Millis(0);
        let actor = scene.actor_acknowledgement.member;
        let waits = scene.roster.iter().filter(|leaf| {
            leaf.member != actor && leaf.acknowledgement.more.breach != Some(breach)
        });
        Ok(self.put_out(next, waits, Some(breach)))
    }
}
