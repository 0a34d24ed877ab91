//! What calls the reader by the terminal's bell. The bell has no words.

use std::time::Duration;

use hearth_engine::{
    floor::Change,
    mine::Mine,
    room::any_alarm,
    state::{Row, RowContent},
};
use hearth_session::client::RoomView;
use hearth_text::name::{self, Look};
use tokio::time::Instant;

use crate::text::when;

/// Time between two rings at least.
const RING_EVERY: Duration = Duration::from_secs(10);

/// Why a row calls the reader, the most urgent last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Call {
    /// Somebody named the reader: `@Ben`.
    Named,
    /// Somebody answered the reader.
    Answered,
    /// It is the reader's turn.
    Turn,
    /// Something does not verify.
    Alarm,
    /// A member asks for help, and nobody has seen it.
    Help,
}

impl Call {
    /// Whether it rings in quiet hours, and reaches a reader who is away.
    pub(super) const fn is_urgent(self) -> bool {
        matches!(self, Self::Alarm | Self::Help)
    }
}

/// Returns why a row calls the reader, if it does. Words of muted members call nobody.
pub(super) fn call(view: &RoomView, row: &Row) -> Option<Call> {
    if any_alarm(std::slice::from_ref(row)) || row.changes.iter().any(Change::is_alarm) {
        return Some(Call::Alarm);
    }
    let is_my_turn = row.changes.iter().any(|change| {
        matches!(change, Change::Began { holder, .. } | Change::Turn { holder, .. } if *holder == view.me)
    });
    if is_my_turn {
        return Some(Call::Turn);
    }
    let by_another = row.from.is_some_and(|from| from != view.me && !view.muted.contains(&from));
    let RowContent::Text(text) = &row.content else { return None };
    if !by_another || row.talk.later.is_some() {
        return None;
    }
    if row.talk.quote.as_ref().is_some_and(|quote| quote.from == Some(view.me)) {
        return Some(Call::Answered);
    }
    // Looks are computed where there is a sign only.
    let named = text.contains('@') && {
        let others = view.roster.iter().filter(|leaf| leaf.member != view.me);
        let others: Vec<Look> = others.map(|leaf| Look::of(&leaf.name)).collect();
        name::calls(text, &Look::of(&view.name), &others)
    };
    named.then_some(Call::Named)
}

/// Returns why a row of a check-in calls the reader: what is written there is to them.
pub(super) fn call_in_lane(view: &RoomView, row: &Row) -> Option<Call> {
    if any_alarm(std::slice::from_ref(row)) {
        return Some(Call::Alarm);
    }
    let by_another = row.id.is_some() && row.from.is_some_and(|from| from != view.me);
    by_another.then_some(Call::Named)
}

/// When the bell rang last.
#[derive(Debug, Default)]
pub(super) struct Bell {
    rang: Option<Instant>,
}

impl Bell {
    /// Whether the bell is to ring for a call now; it counts as rung then. `edits` says whether the terminal edits lines: a plain one,
    /// as for a screen reader, reads each line aloud, and has no bell unless its reader wants one.
    pub(super) fn rings(&mut self, call: Call, mine: &Mine, edits: bool) -> bool {
        let quiet = mine.quiet.is_some_and(|quiet| quiet.holds(when::minute_of_day()));
        // A call for help rings wherever its reader has not turned the bell off.
        let on = mine.bell.unwrap_or(edits || call == Call::Help);
        self.rings_at(call, on, quiet, Instant::now())
    }

    fn rings_at(&mut self, call: Call, on: bool, quiet: bool, now: Instant) -> bool {
        let rested = self.rang.is_none_or(|rang| now.duration_since(rang) >= RING_EVERY);
        let rings = on && rested && (!quiet || call.is_urgent());
        if rings {
            self.rang = Some(now);
        }
        rings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bell_rests_between_rings() {
        let (mut bell, start) = (Bell::default(), Instant::now());
        assert!(bell.rings_at(Call::Named, true, false, start));
        assert!(!bell.rings_at(Call::Alarm, true, false, start + RING_EVERY / 2));
        assert!(bell.rings_at(Call::Turn, true, false, start + RING_EVERY));
    }

    #[test]
    fn plain_terminal_rings_for_help_alone() {
        let mine = Mine::default();
        assert!(Bell::default().rings(Call::Help, &mine, false));
        assert!(!Bell::default().rings(Call::Alarm, &mine, false));
        let off = Mine { bell: Some(false), ..mine };
        assert!(!Bell::default().rings(Call::Help, &off, false));
    }

    #[test]
    fn quiet_hours_let_alarms_through() {
        let now = Instant::now();
        for call in [Call::Named, Call::Answered, Call::Turn] {
            assert!(!Bell::default().rings_at(call, true, true, now), "{call:?}");
        }
        assert!(Bell::default().rings_at(Call::Alarm, true, true, now));
        assert!(Bell::default().rings_at(Call::Help, true, true, now));
        assert!(!Bell::default().rings_at(Call::Alarm, false, false, now));
    }
}
