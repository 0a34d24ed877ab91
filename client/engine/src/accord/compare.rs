//! Comparing what the relay enforces with the log.

use std::collections::HashMap;

use hearth_protocol::{
    MemberKey, Millis, Role,
    frame::{RoomStatus, RosterRow},
};

use super::{Accord, EXCUSED_MAX, Excused, Found, MISMATCHES_MAX, Mismatch, Result};
use crate::{
    agreement::commitment,
    policy::RoomPolicy,
    room::Room,
    state::{RowContent, Standing},
};

impl Room<'_> {
    /// Compares the relay's status with what this profile has verified, and stores the mismatches.
    ///
    /// `own_role` is this member's role at the relay, if it was asked for at the same entry. Returns whether a comparison was possible:
    /// a status of another entry than the last one read is not comparable.
    ///
    /// # Errors
    /// See [`EngineError`](crate::EngineError).
    pub fn compare(
        &mut self,
        status: &RoomStatus,
        own_role: Option<Role>,
        now: Millis,
    ) -> Result<bool> {
        if !self.is_comparable(status)? {
            return Ok(false);
        }
        let mut accord = self.accord()?;
        let before = accord.clone();
        let mut found = self.find(status, own_role, now, &mut accord)?;
        if own_role.is_none() && status.roster.is_empty() {
            let me = self.me();
            let own = before
                .found
                .iter()
                .map(|f| &f.what)
                .find(|what| matches!(what, Mismatch::Role { member, .. } if *member == me));
            let known = found.iter().any(|f| matches!(f, Mismatch::Role { .. }));
            found.extend(own.filter(|_| !known).cloned());
        }
        found.truncate(MISMATCHES_MAX);
        let told = |what: &Mismatch| before.found.iter().any(|f| f.told && f.what == *what);
        accord.found = found.into_iter().map(|what| Found { told: told(&what), what }).collect();
        if accord != before {
            self.save_accord(&accord)?;
        }
        Ok(true)
    }

    pub(super) fn is_comparable(&mut self, status: &RoomStatus) -> Result<bool> {
        let cursor = &self.cursor;
        let here = self.state.standing == Standing::Member
            && cursor.split.is_none()
            && cursor.stream == Some(status.stream)
            && cursor.seq == status.head;
        Ok(here && !self.is_left_behind()? && !self.group()?.1.has_pending())
    }

    pub(super) fn find(
        &mut self,
        status: &RoomStatus,
        own_role: Option<Role>,
        now: Millis,
        accord: &mut Accord,
    ) -> Result<Vec<Mismatch>> {
        let (policy, me) = (self.policy()?, self.me());
        let mut found = numbers(status, &policy, now);
        let epoch = self.epoch()?;
        if status.epoch < epoch {
            found.push(Mismatch::Epoch { relay: status.epoch, room: epoch });
        }
        if status.agreement != commitment(&self.id(), &policy.agreement.id) {
            found.push(Mismatch::Agreement);
        }
        let excused = std::mem::take(&mut accord.excuse_own);
        let own = (me, status.timed_out_until, excused);
        found.extend(self.time_out_of(&policy, own, now, accord)?);
        let role = policy.role(&me);
        let moderates = !status.roster.is_empty();
        let own_row = status.roster.iter().find(|row| row.member == me);
        match own_row.map(|row| row.role).or(own_role) {
            Some(relay) if relay != role => {
                found.push(Mismatch::Role { member: me, relay: Some(relay), room: role });
            }
            None if role.moderates() => {
                found.push(Mismatch::Role { member: me, relay: None, room: role });
            }
            _ => {}
        }
        if moderates && role.moderates() {
            self.find_in_roster(status, &policy, now, accord, &mut found)?;
        }
        found.extend(self.find_retracted()?);
        let departing = self.departing()?;
        accord.refused.retain(|refused| departing.contains(&refused.member));
        found.extend(accord.refused.iter().map(|r| Mismatch::StillIn { member: r.member }));
        // The code that enacts it reports the obstacle; the mismatch stays here as long as the amendment does.
        let pending = policy.pending.filter(|_| role == Role::Facilitator).map(|p| p.version);
        let waits = accord.found.iter().map(|f| f.what.clone());
        found.extend(waits.filter(
            |what| matches!(what, Mismatch::Amendment { version, .. } if Some(*version) == pending),
        ));
        Ok(found)
    }

    pub(super) fn find_in_roster(
        &mut self,
        status: &RoomStatus,
        policy: &RoomPolicy,
        now: Millis,
        accord: &mut Accord,
        found: &mut Vec<Mismatch>,
    ) -> Result<()> {
        let me = self.me();
        let excused = std::mem::take(&mut accord.excuse_others);
        let departing = self.departing()?;
        let roster = self.roster()?;
        let mut rows: HashMap<MemberKey, &RosterRow> =
            status.roster.iter().map(|row| (row.member, row)).collect();
        for leaf in &roster {
            let member = leaf.member;
            let Some(row) = rows.remove(&member) else {
                found.push(Mismatch::Lacking { member });
                continue;
            };
            if member == me {
                continue;
            }
            if row.left {
                let what = Mismatch::Left { member };
                let known = accord.found.iter().any(|f| f.what == what);
                if excused && !known && accord.left.len() < EXCUSED_MAX {
                    accord.left.push(member);
                }
                if !departing.contains(&member) && !accord.left.contains(&member) {
                    found.push(what);
                }
                // The relay delivers nothing to a departed member and accepts nothing from them.
                continue;
            }
            let role = policy.role(&member);
            if row.role != role {
                found.push(Mismatch::Role { member, relay: Some(row.role), room: role });
            }
            let theirs = (member, row.timed_out_until, excused);
            found.extend(self.time_out_of(policy, theirs, now, accord)?);
        }
        let mut strangers: Vec<MemberKey> = rows.into_keys().collect();
        strangers.sort_unstable();
        found.extend(strangers.into_iter().map(|member| Mismatch::Stranger { member }));
        accord.left.retain(|member| roster.iter().any(|leaf| leaf.member == *member));
        Ok(())
    }

    /// Compares a member's time-out; an `excused` one is accepted from then on.
    pub(super) fn time_out_of(
        &self,
        policy: &RoomPolicy,
        (member, relay, excused): (MemberKey, Millis, bool),
        now: Millis,
        accord: &mut Accord,
    ) -> Result<Option<Mismatch>> {
        // Moderators have no time-out: the relay would not refuse their posts for one.
        if policy.role(&member).moderates() {
            accord.time_outs.retain(|other| other.member != member);
            return Ok(None);
        }
        let lasting = |until: Millis| if until > now { until } else { Millis(0) };
        let room = self.recorded_time_out(&member)?.map_or(Millis(0), lasting);
        let relay = lasting(relay);
        let taken = Excused { member, until: relay };
        if relay == room {
            accord.time_outs.retain(|other| other.member != member);
            return Ok(None);
        }
        let what = Mismatch::TimeOut { member, relay, room };
        let known = accord.found.iter().any(|found| found.what == what);
        if excused && !known && accord.time_outs.len() < EXCUSED_MAX {
            accord.time_outs.retain(|other| other.member != member);
            accord.time_outs.push(taken);
        }
        Ok((!accord.time_outs.contains(&taken)).then_some(what))
    }

    pub(super) fn find_retracted(&mut self) -> Result<Vec<Mismatch>> {
        let mut found = Vec::new();
        for seq in self.cursor.unexplained.clone() {
            // This device erased the row by the room's retention, so nothing is left to tell.
            let Some(row) = self.row(seq)? else { continue };
            if matches!(row.content, RowContent::Tombstone { by: None, .. }) {
                found.push(Mismatch::Retracted { place: row.place });
            }
        }
        Ok(found)
    }
}

/// Compares the numbers that the relay enforces.
pub(super) fn numbers(status: &RoomStatus, policy: &RoomPolicy, now: Millis) -> Vec<Mismatch> {
    let (relay, room) = (&status.numbers, &policy.numbers);
    let over = |until: Millis| until <= now;
    let mut found = Vec::new();
    let both_over = over(relay.paused_until) && over(room.paused_until);
    if relay.paused_until != room.paused_until && !both_over {
        found.push(Mismatch::Pause { relay: relay.paused_until, room: room.paused_until });
    }
    if relay.locked != room.locked {
        found.push(Mismatch::Lock { relay: relay.locked });
    }
    if relay.door != room.door {
        found.push(Mismatch::Door { relay: relay.door, room: room.door });
    }
    if relay.slow_seconds != room.slow_seconds {
        found.push(Mismatch::Slow { relay: relay.slow_seconds, room: room.slow_seconds });
    }
    if relay.budget_per_day != room.budget_per_day {
        found.push(Mismatch::Budget { relay: relay.budget_per_day, room: room.budget_per_day });
    }
    if relay.payload_bytes_max != room.payload_bytes_max {
        let (relay, room) = (relay.payload_bytes_max, room.payload_bytes_max);
        found.push(Mismatch::Length { relay, room });
    }
    if relay.hours != room.hours {
        found.push(Mismatch::Hours);
    }
    if relay.ends_at != room.ends_at {
        found.push(Mismatch::Ending { relay: relay.ends_at, room: room.ends_at });
    }
    if relay.retention_seconds != room.retention_seconds {
        let (relay, room) = (relay.retention_seconds, room.retention_seconds);
        found.push(Mismatch::Retention { relay, room });
    }
    found
}
