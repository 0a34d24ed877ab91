//! What of the relay is excused or refused for a while: what this profile was told, and acts that were tried in vain.

use hearth_protocol::{MemberKey, Millis, Seq};

use super::{
    Accord, DEPARTURE_RETRY_MILLIS, Found, MISMATCHES_MAX, Mismatch, RefusedDeparture, Result,
    UNEXPLAINED_MAX, Waits,
};
use crate::{agreement::Departure, room::Room};

impl Room<'_> {
    /// Whether the relay recently refused to carry a departure out.
    ///
    /// # Errors
    /// See [`EngineError`](crate::EngineError).
    pub fn is_departure_refused(&self, member: &MemberKey, now: Millis) -> Result<bool> {
        let refused = self.accord()?.refused;
        let last = refused.iter().find(|refused| refused.member == *member);
        // A clock that was set back must not delay the next attempt.
        Ok(last.is_some_and(|last| last.at <= now && now < last.at.plus(DEPARTURE_RETRY_MILLIS)))
    }

    /// Stores the relay's refusal to carry a departure out: it is told once and left to the moderators.
    ///
    /// # Errors
    /// See [`EngineError`](crate::EngineError).
    pub fn departure_refused(&mut self, departure: &Departure, now: Millis) -> Result<()> {
        let mut accord = self.accord()?;
        let member = departure.member;
        let open: Vec<MemberKey> = self.open_departures()?.iter().map(|d| d.member).collect();
        accord.refused.retain(|r| r.member != member && open.contains(&r.member));
        accord.refused.push(RefusedDeparture { member, at: now });
        let what = Mismatch::StillIn { member };
        if accord.found.len() < MISMATCHES_MAX && accord.found.iter().all(|f| f.what != what) {
            accord.found.push(Found { what, told: false });
        }
        self.save_accord(&accord)
    }

    /// Stores why a due amendment is not put in force, to be told once; `None` if none is due or nothing prevents it.
    ///
    /// # Errors
    /// See [`EngineError`](crate::EngineError).
    pub fn amendment_waits(&mut self, waits: Option<(u32, Waits)>) -> Result<()> {
        let mut accord = self.accord()?;
        let before = accord.clone();
        let what = waits.map(|(version, why)| Mismatch::Amendment { version, why });
        accord.found.retain(|found| {
            !matches!(found.what, Mismatch::Amendment { .. }) || Some(&found.what) == what.as_ref()
        });
        if let Some(what) = what.filter(|what| accord.found.iter().all(|f| f.what != *what)) {
            accord.found.push(Found { what, told: false });
        }
        if accord == before { Ok(()) } else { self.save_accord(&accord) }
    }

    /// Makes the next comparison accept other members' time-outs and departures, because this profile cannot know them.
    pub(crate) fn excuse_others(&self) -> Result<()> {
        let accord = self.accord()?;
        self.save_accord(&Accord { excuse_others: true, ..accord })
    }

    /// Does the same for the own time-out, too, because its explanation may have expired unread.
    pub(crate) fn excuse_all(&self) -> Result<()> {
        let accord = self.accord()?;
        self.save_accord(&Accord { excuse_others: true, excuse_own: true, ..accord })
    }

    /// Starts over in a new stay.
    pub(crate) fn begin_accord(&self) -> Result<()> {
        self.save_accord(&Accord { excuse_others: true, ..Accord::default() })
    }

    /// Stores a tombstone whose retraction comes later in the log.
    pub(crate) fn unexplained(&mut self, seq: Seq) {
        if self.cursor.unexplained.len() < UNEXPLAINED_MAX {
            self.cursor.unexplained.push(seq);
        }
    }
}
