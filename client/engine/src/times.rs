//! Times of entries: the relay's claim, compared with its hello and the member's own clock.
//!
//! A relay can date an entry as it likes, and a member's clock can be wrong. So displayed times are bounded by both clocks, erasing
//! goes by the time of arrival, and no member is excluded from anything because of either clock.

use hearth_protocol::{Entry, MemberKey, Millis, Seq};

use super::{
    error::EngineError,
    room::Room,
    state::{Cursor, Notice, Row, RowContent},
};
use crate::{clock::Moment, store::Kind, words::Talk};

type Result<T, E = EngineError> = std::result::Result<T, E>;

/// Tolerated difference between two times of one clock: ten minutes.
const SLACK_MILLIS: u64 = 10 * 60 * 1000;
/// A setback of the own clock beyond a correction of its drift: an hour.
const SET_BACK_MILLIS: u64 = 3_600_000;
/// Inconsistent times are told once a day.
const TOLD_MILLIS: u64 = 24 * 3_600_000;
/// A lead of the own clock over the relay's beyond the drift of both: a day.
const RUN_AHEAD_MILLIS: u64 = 24 * 3_600_000;
/// How long, by itself, an own clock that ran ahead deletes nothing that the relay's clock calls new: three days.
const DOUBT_MILLIS: u64 = 3 * 24 * 3_600_000;
/// Rows read at a time.
const PAGE: usize = 256;

/// An entry's time, judged by both clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// See [`Row::at`].
    pub(super) shown: Millis,
    /// See [`Row::arrived`].
    pub(super) arrived: Millis,
    /// Time of the entry by the relay's clock, with which a pause is compared.
    pub(super) said: Millis,
    /// Whether the relay contradicts itself.
    pub(super) contradict: bool,
}

impl Room<'_> {
    /// Advances the own clock. An earlier time is not believed, unless it is closer to the relay's: then the own clock was
    /// ahead before, and the entries that arrived meanwhile are dated again.
    pub(super) fn take_clocks(&mut self, moment: Moment) -> Result<()> {
        let corrected = self.is_corrected(moment);
        if moment.own >= self.cursor.own_clock || corrected {
            (self.cursor.own_clock, self.cursor.relay_clock) = (moment.own, moment.relay);
        }
        if corrected {
            self.date_anew(moment)?;
        }
        Ok(())
    }

    fn is_corrected(&self, moment: Moment) -> bool {
        let before = Moment { own: self.cursor.own_clock, relay: self.cursor.relay_clock };
        let set_back = before.own.0.saturating_sub(moment.own.0) > SET_BACK_MILLIS;
        set_back && moment.apart() < before.apart()
    }

    /// Returns whether the own clock is doubted because it ran ahead of the relay's, and stores it.
    fn doubts_own_clock(&mut self, moment: Moment) -> Result<bool> {
        let since = doubt(&self.cursor, moment);
        let ahead = match since {
            Some(_) => self.cursor.ahead,
            None => moment.own.0.saturating_sub(moment.relay.0) / SET_BACK_MILLIS * SET_BACK_MILLIS,
        };
        let doubted_since = since.unwrap_or_default();
        if (ahead, doubted_since) != (self.cursor.ahead, self.cursor.doubted_since) {
            self.change(|room| {
                (room.cursor.ahead, room.cursor.doubted_since) = (ahead, doubted_since);
                room.save_cursor()
            })?;
        }
        Ok(since.is_some())
    }

    /// Dates rows that seem to have arrived in the future again, by their age on the relay's clock.
    fn date_anew(&self, moment: Moment) -> Result<()> {
        let mut from = Seq(0);
        loop {
            let rows = self.history(from, PAGE)?;
            let Some(last) = rows.last() else { return Ok(()) };
            from = Seq(last.place.0.saturating_add(1));
            for mut row in rows.into_iter().filter(|r| r.arrived.max(r.at) > moment.own) {
                if row.arrived > moment.own {
                    row.arrived = arrival(moment.own, moment.relay, row.said);
                }
                row.at = row.at.min(moment.own);
                self.save_row(&row)?;
            }
        }
    }

    /// Judges an entry's time. Call [`Self::take_clocks`] first.
    pub(super) fn times_of(&self, entry: &Entry, moment: Moment) -> Result<Times> {
        let last = self.row(self.cursor.seq)?;
        let (last_said, last_arrived) =
            last.map_or((Millis(0), Millis(0)), |row| (row.said, row.arrived));
        let own = self.cursor.own_clock;
        // The relay's clock may have been set back since; its earlier statements still count.
        let said = entry.at.max(last_said).min(moment.relay.max(last_said));
        let beyond = entry.at > moment.relay.plus(SLACK_MILLIS);
        let back = entry.at.plus(SLACK_MILLIS) < last_said;
        Ok(Times {
            shown: said.min(own),
            // It arrived after the previous entry, so it must not be erased before that.
            arrived: arrival(own, moment.relay, said).max(last_arrived).min(own).max(Millis(1)),
            said,
            contradict: beyond || back,
        })
    }

    /// Holds back texts of observers, and texts posted during a pause, because a relay that accepts them by mistake must not change the
    /// room's rules.
    ///
    /// Neither the own clock, which may be wrong, nor a time beyond the relay's own clock has any influence.
    pub(super) fn hold_back(&mut self, row: &mut Row, said: Millis) -> Result<()> {
        let (RowContent::Text(text), Some(sender)) = (&row.content, row.from) else {
            return Ok(());
        };
        if !self.may_post(&sender, said)? {
            row.content = RowContent::Held(text.clone());
        }
        Ok(())
    }

    /// Whether the room's rules let a member post at a time of the relay: neither a pause nor their role forbids it.
    pub(super) fn may_post(&mut self, member: &MemberKey, said: Millis) -> Result<bool> {
        let policy = self.policy()?;
        let role = policy.role(member);
        let paused = policy.numbers.paused_until > said && !role.moderates();
        Ok(!paused && !policy.has_ended(said) && role.posts())
    }

    /// Tells, at most once a day, that the relay's times are inconsistent.
    pub(super) fn tell_of_times(&mut self, row: &mut Row) {
        let (now, told) = (self.cursor.own_clock, self.cursor.times_told);
        if told == Millis(0) || now >= told.plus(TOLD_MILLIS) || now < told {
            self.cursor.times_told = now.max(Millis(1));
            row.notices.push(Notice::Times);
        }
    }

    /// Returns the time of arrival, by the own clock, before which the room keeps no history.
    ///
    /// # Errors
    /// [`EngineError::NotMember`] if this profile is not in the room, and so keeps what it has.
    pub fn kept_since(&mut self) -> Result<Millis> {
        let kept = self.policy()?.numbers.retention_seconds.saturating_mul(1000);
        Ok(Millis(self.now().0.saturating_sub(kept)))
    }

    /// Erases history beyond the room's retention on this device: by the time of arrival on the own clock, whatever time the relay
    /// gave it.
    ///
    /// While the own clock is behind its earlier time, the relay's clock decides alone. An own clock that ran ahead of the relay's by
    /// more than a day deletes only rows that both clocks call old, until it has stayed ahead for three days, because a clock that is
    /// wrong for one visit must not delete a history. [`Self::kept_since`] hides the other old rows meanwhile.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn erase_expired(&mut self, moment: Moment) -> Result<()> {
        if self.is_corrected(moment) {
            self.change(|room| {
                room.take_clocks(moment)?;
                room.save_cursor()
            })?;
        }
        let doubted = self.doubts_own_clock(moment)?;
        let kept = self.policy()?.numbers.retention_seconds.saturating_mul(1000);
        let behind = self.cursor.own_clock.0.saturating_sub(moment.own.0) > SET_BACK_MILLIS;
        let old_by_relay = |row: &Row| row.said < Millis(moment.relay.0.saturating_sub(kept));
        let old_by_own = |row: &Row| row.arrived < Millis(moment.own.0.saturating_sub(kept));
        let is_old = |row: &Row| match (behind, doubted) {
            (true, _) => old_by_relay(row),
            (false, true) => old_by_relay(row) && old_by_own(row),
            (false, false) => old_by_own(row),
        };
        if !self.history(Seq(0), 1)?.iter().any(is_old) {
            return Ok(());
        }
        // The row at the cursor stays without its content, because the next subscription compares it with the relay's.
        let newest = self.cursor.place(self.cursor.seq);
        loop {
            let rows = self.history(Seq(0), PAGE)?;
            let old = rows.iter().take_while(|r| is_old(r) && r.place < newest);
            // A row about expired entries has no time of its own, so it goes with the next older row behind it.
            let has_time = |row: &&Row| row.arrived > Millis(0);
            let Some(last) = old.filter(has_time).last().map(|row| row.place) else { break };
            self.store.transaction(|store| {
                for row in rows.iter().take_while(|row| row.place <= last) {
                    store.delete(Kind::Commit, self.no, &row.digest.0)?;
                }
                store.delete_before(Kind::History, self.no, last.0.saturating_add(1))
            })?;
            self.recent.get_mut().clear();
        }
        if let Some(mut row) = self.row(self.cursor.seq)?
            && row.arrived > Millis(0)
            && is_old(&row)
            && row.content != RowContent::Nothing
        {
            (row.content, row.name, row.from) = (RowContent::Nothing, String::new(), None);
            row.talk = Talk::default();
            self.save_row(&row)?;
        }
        Ok(())
    }
}

/// Returns the time since which the own clock is doubted; `None` if it is believed.
fn doubt(cursor: &Cursor, moment: Moment) -> Option<Millis> {
    let ahead = moment.own.0.saturating_sub(moment.relay.0);
    if ahead <= cursor.ahead.saturating_add(RUN_AHEAD_MILLIS) {
        return None;
    }
    let since = cursor.doubted_since;
    if since == Millis(0) || moment.own < since {
        return Some(moment.own);
    }
    (moment.own < since.plus(DOUBT_MILLIS)).then_some(since)
}

/// Returns when an entry reached the relay, by the own clock: as long before now as the relay's clock says. A future time by
/// the relay's own clock counts as now.
fn arrival(own: Millis, relay: Millis, said: Millis) -> Millis {
    Millis(own.0.saturating_sub(relay.0.saturating_sub(said.0)).max(1))
}
