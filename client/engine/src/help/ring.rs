//! How often a moderator's device rings for a call for help.

use std::{collections::BTreeMap, time::Duration};

use hearth_protocol::{MemberKey, Millis};

use super::OpenCall;

/// Time between two rings.
pub const RING_EVERY: Duration = Duration::from_secs(60);
/// How long it rings for a member's calls, from the first one that nobody has seen.
pub const RING_FOR: Duration = Duration::from_secs(30 * 60);

/// How a moderator is reached.
#[derive(Clone, Copy, Debug)]
pub struct Reach {
    /// Whether they are on duty.
    pub on_duty: bool,
    /// Whether somebody else is.
    pub others: bool,
    /// Minutes after which a call that nobody has seen says so.
    pub minutes: u32,
}

impl Reach {
    /// Returns when their device begins to ring for a call of some time: at once, or, while somebody else alone is on duty, once the call
    /// was left unseen.
    pub fn rings_from(self, at: Millis) -> Millis {
        match self.on_duty || !self.others {
            true => Millis(0),
            false => at.plus(u64::from(self.minutes) * 60_000),
        }
    }

    /// Returns the members for whom it rings at a time of the relay, of those whose call nobody has seen.
    pub fn rung_for(self, open: &[OpenCall], now: Millis) -> Vec<MemberKey> {
        let unseen = open.iter().filter(|call| call.has.is_none());
        let rung = unseen.filter(|call| self.rings_from(call.at) <= now);
        let mut members: Vec<MemberKey> = rung.map(|call| call.by).collect();
        members.sort_unstable();
        members.dedup();
        members
    }
}

/// Members who called, and when it rang for them, on the steady clock. All open calls of a member ring as one.
#[derive(Clone, Debug, Default)]
pub struct Ringing(BTreeMap<MemberKey, Rung>);

#[derive(Clone, Copy, Debug)]
struct Rung {
    first: Duration,
    last: Duration,
}

impl Ringing {
    /// Returns the members for whom it rings now. `unseen` are those who have a call that nobody has seen.
    pub fn rings(&mut self, unseen: &[MemberKey], now: Duration) -> Vec<MemberKey> {
        self.0.retain(|member, _| unseen.contains(member));
        let mut rings = Vec::new();
        for member in unseen {
            match self.0.get_mut(member) {
                None => {
                    self.0.insert(*member, Rung { first: now, last: now });
                    rings.push(*member);
                }
                Some(rung) => {
                    let over = now.saturating_sub(rung.first) >= RING_FOR;
                    if !over && now.saturating_sub(rung.last) >= RING_EVERY {
                        rung.last = now;
                        rings.push(*member);
                    }
                }
            }
        }
        rings
    }

    /// Returns when it rings next.
    pub fn next(&self, now: Duration) -> Option<Duration> {
        let lasts = |rung: &&Rung| now.saturating_sub(rung.first) < RING_FOR;
        self.0.values().filter(lasts).map(|rung| rung.last + RING_EVERY).min()
    }
}
