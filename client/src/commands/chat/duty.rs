//! Whether a moderator who is on duty is still at the keys, and whether the time of a turn is over.

use std::time::Duration;

use hearth_protocol::Seq;
use tokio::time::Instant;

/// Time without a key after which a moderator on duty is asked: 25 minutes.
const ASKS_AFTER: Duration = Duration::from_secs(25 * 60);
/// Time without a key after which their duty ends: 30 minutes.
const ENDS_AFTER: Duration = Duration::from_secs(30 * 60);

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::commands) enum Due {
    /// To ask whether they are still here.
    Ask,
    /// To end their duty.
    End,
}

/// When a moderator pressed a key last.
#[derive(Clone, Copy, Debug)]
pub(in crate::commands) struct Keys {
    last: Instant,
    asked: bool,
}

impl Keys {
    pub(in crate::commands) const fn new(now: Instant) -> Self {
        Self { last: now, asked: false }
    }

    /// Notes a key.
    pub(in crate::commands) const fn pressed(&mut self, now: Instant) {
        *self = Self::new(now);
    }

    /// Returns when something is due, if they are on duty.
    pub(in crate::commands) fn next(&self, on_duty: bool) -> Option<Instant> {
        let after = if self.asked { ENDS_AFTER } else { ASKS_AFTER };
        on_duty.then(|| self.last + after)
    }

    /// Returns what is due now.
    pub(in crate::commands) fn due(&mut self, now: Instant, on_duty: bool) -> Option<Due> {
        let rested = now.duration_since(self.last);
        if !on_duty || rested < ASKS_AFTER {
            return None;
        }
        if rested >= ENDS_AFTER {
            self.pressed(now);
            return Some(Due::End);
        }
        (!std::mem::replace(&mut self.asked, true)).then_some(Due::Ask)
    }
}

/// A turn whose time is watched from when it was seen first.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::commands) struct Turn {
    of: Option<(Seq, u64)>,
    ends: Option<Instant>,
    told: bool,
}

impl Turn {
    /// Looks at the turn that is on; returns when its time is over, `None` if it is.
    pub(in crate::commands) fn look(
        &mut self,
        of: (Seq, u64),
        limit: Duration,
        now: Instant,
    ) -> Option<Instant> {
        if self.of != Some(of) {
            *self = Self { of: Some(of), ends: Some(now + limit), told: false };
        }
        self.ends.filter(|ends| *ends > now)
    }

    /// Whether it is to be told that the time is over: once for each turn.
    pub(in crate::commands) const fn tells(&mut self) -> bool {
        !std::mem::replace(&mut self.told, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duty_asks_once_then_ends() {
        let start = Instant::now();
        let at = |minutes: u64| start + Duration::from_secs(minutes * 60);
        let mut keys = Keys::new(start);
        assert_eq!(keys.next(false), None);
        assert_eq!(keys.next(true), Some(at(25)));
        assert_eq!(keys.due(at(24), true), None);
        assert_eq!(keys.due(at(25), false), None);
        assert_eq!(keys.due(at(25), true), Some(Due::Ask));
        assert_eq!(keys.due(at(26), true), None);
        assert_eq!(keys.next(true), Some(at(30)));
        assert_eq!(keys.due(at(30), true), Some(Due::End));
    }

    #[test]
    fn turn_is_over_once() {
        let start = Instant::now();
        let at = |minutes: u64| start + Duration::from_secs(minutes * 60);
        let (limit, mut turn) = (Duration::from_secs(300), Turn::default());
        assert_eq!(turn.look((Seq(7), 0), limit, start), Some(at(5)));
        assert_eq!(turn.look((Seq(7), 0), limit, at(4)), Some(at(5)));
        assert_eq!(turn.look((Seq(7), 0), limit, at(5)), None);
        assert!(turn.tells() && !turn.tells());
        assert_eq!(turn.look((Seq(7), 1), limit, at(6)), Some(at(11)));
        assert!(turn.tells());
    }

    #[test]
    fn key_prolongs_the_duty() {
        let start = Instant::now();
        let at = |minutes: u64| start + Duration::from_secs(minutes * 60);
        let mut keys = Keys::new(start);
        assert_eq!(keys.due(at(25), true), Some(Due::Ask));
        keys.pressed(at(26));
        assert_eq!(keys.due(at(31), true), None);
        assert_eq!(keys.next(true), Some(at(51)));
    }
}
