//! What a member has set for one room on this device. Nothing of it leaves the device.

use hearth_protocol::{MemberKey, Millis, Seq};
use hearth_text::words::{has_words, words};
use minicbor::{Decode, Encode};

use super::{
    course::{Cadence, Unasked},
    error::EngineError,
    lane::MEMBERS_MAX,
    room::{Room, read, write},
    state::{Row, RowContent},
    words::{Quote, check_topic},
};
use crate::store::Kind;

/// Filters of one room at most.
pub const FILTERS_MAX: usize = 64;

/// Names the record.
const MINE: &[u8] = b"mine";

type Result<T, E = EngineError> = std::result::Result<T, E>;

/// What is set for a room.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Mine {
    /// Topics of content notes whose words are hidden.
    #[n(0)]
    #[cbor(default)]
    pub filters: Vec<String>,
    /// Until when the member is away, by the own clock; [`Millis::NEVER`]: until they are back.
    #[n(1)]
    pub away: Option<Millis>,
    /// When no bell rings.
    #[n(2)]
    pub quiet: Option<Quiet>,
    /// Whether the bell rings; `None`: as the terminal is.
    #[n(3)]
    pub bell: Option<bool>,
    /// What the member has said about being asked for a mood.
    #[n(4)]
    #[cbor(default)]
    pub unasked: Unasked,
    /// How often a moderator means to write with members.
    #[n(5)]
    #[cbor(default)]
    pub cadence: Cadence,
    /// The last place in the history before the sitting that this moderator opened.
    #[n(6)]
    pub sitting: Option<Seq>,
}

/// Hours of the day in which no bell rings. They may go past midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Quiet {
    /// First minute of the day.
    #[n(0)]
    pub from: u16,
    /// First minute after it.
    #[n(1)]
    pub to: u16,
}

impl Quiet {
    /// Whether a minute of the day is in them.
    pub const fn holds(self, minute: u16) -> bool {
        match self.from <= self.to {
            true => self.from <= minute && minute < self.to,
            false => self.from <= minute || minute < self.to,
        }
    }
}

/// A change of what is set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Setting {
    /// Hide words under a content note.
    Filter(String),
    /// Hide them no longer.
    NoFilter(String),
    /// See [`Mine::away`].
    Away(Option<Millis>),
    /// See [`Mine::quiet`].
    Quiet(Option<Quiet>),
    /// See [`Mine::bell`].
    Bell(bool),
    /// The mood that was asked for up to then is skipped.
    SkipMood(Millis),
    /// Moods are asked for no longer, as far as it was set up to then.
    StopMood(Millis),
    /// See [`Mine::sitting`].
    Sitting(Option<Seq>),
    /// Days between check-ins, with a member or with all; 0: no plan.
    CheckIn {
        /// The member; `None`: all.
        member: Option<MemberKey>,
        /// The days.
        days: u32,
    },
}

impl Mine {
    /// Whether a filter hides the words of a row: those that it says, or those into which it changes an earlier message.
    pub fn filters_row(&self, row: &Row) -> bool {
        let (talk, quote) = (&row.talk, row.talk.quote.as_ref());
        match row.content {
            RowContent::Edit { .. } => quote.is_some_and(|quote| self.filters_quote(quote)),
            _ => {
                let cover = talk.cover.as_ref().map(|cover| cover.topic.as_str());
                self.filters_any(talk.topic.as_deref().into_iter().chain(cover))
            }
        }
    }

    fn filters_quote(&self, quote: &Quote) -> bool {
        self.filters_any(quote.note.as_deref().into_iter().chain(quote.topic.as_deref()))
    }

    fn filters_any<'a>(&self, notes: impl Iterator<Item = &'a str>) -> bool {
        if self.filters.is_empty() {
            return false;
        }
        let filters: Vec<Vec<String>> = self.filters.iter().map(|topic| words(topic)).collect();
        notes.into_iter().any(|note| filters.iter().any(|filter| has_words(note, filter)))
    }

    /// Makes a change; returns whether anything is different.
    fn set(&mut self, setting: Setting) -> Result<bool> {
        let before = self.clone();
        match setting {
            Setting::Filter(topic) => {
                check_topic(&topic)?;
                let wanted = words(&topic);
                let is_new = self.filters.iter().all(|filter| words(filter) != wanted);
                if is_new && self.filters.len() >= FILTERS_MAX {
                    return Err(EngineError::TooManyFilters);
                }
                if is_new && !wanted.is_empty() {
                    self.filters.push(topic);
                }
            }
            Setting::NoFilter(topic) => {
                let wanted = words(&topic);
                self.filters.retain(|filter| words(filter) != wanted);
            }
            Setting::Away(until) => self.away = until,
            Setting::Quiet(quiet) => self.quiet = quiet,
            Setting::Bell(on) => self.bell = Some(on),
            Setting::Sitting(after) => self.sitting = after,
            Setting::SkipMood(now) => self.unasked.skipped = now,
            Setting::StopMood(now) => self.unasked = Unasked { skipped: now, stopped: now },
            Setting::CheckIn { member: None, days } => self.cadence.days = days,
            Setting::CheckIn { member: Some(member), days } => {
                let plans = &mut self.cadence.members;
                plans.retain(|(other, _)| *other != member);
                if plans.len() >= MEMBERS_MAX {
                    // The oldest plan is of somebody who is gone: a room with lanes has no more members.
                    plans.remove(0);
                }
                plans.push((member, days));
            }
        }
        Ok(*self != before)
    }
}

impl Room<'_> {
    /// Returns what is set for the room.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn mine(&self) -> Result<Mine> {
        Ok(read(self.store, Kind::Preference, self.no, MINE)?.unwrap_or_default())
    }

    /// Changes what is set for the room; returns whether anything is different.
    ///
    /// # Errors
    /// [`EngineError::TooManyFilters`], [`EngineError::TopicTooLong`]; see [`EngineError`].
    pub fn set(&self, setting: Setting) -> Result<bool> {
        let mut mine = self.mine()?;
        let changed = mine.set(setting)?;
        if changed {
            write(self.store, Kind::Preference, self.no, MINE, &mine)?;
        }
        Ok(changed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quiet_hours_pass_midnight() {
        let quiet = Quiet { from: 22 * 60, to: 7 * 60 };
        for (minute, holds) in [
            (21 * 60 + 59, false),
            (22 * 60, true),
            (0, true),
            (6 * 60 + 59, true),
            (7 * 60, false),
        ] {
            assert_eq!(quiet.holds(minute), holds, "{minute}");
        }
        let noon = Quiet { from: 12 * 60, to: 13 * 60 };
        assert!(noon.holds(12 * 60) && !noon.holds(13 * 60) && !noon.holds(0));
    }

    #[test]
    fn filters_are_kept_once() {
        let mut mine = Mine::default();
        assert_eq!(mine.set(Setting::Filter("Drinking".into())).ok(), Some(true));
        assert_eq!(mine.set(Setting::Filter("drinking!".into())).ok(), Some(false));
        assert_eq!(mine.filters, ["Drinking"]);
        assert!(mine.filters_any(["old drinking stories"].into_iter()));
        assert!(!mine.filters_any(["food"].into_iter()));
        for number in 1..FILTERS_MAX {
            assert_eq!(mine.set(Setting::Filter(format!("topic {number}"))).ok(), Some(true));
        }
        assert!(matches!(
            mine.set(Setting::Filter("one more".into())),
            Err(EngineError::TooManyFilters)
        ));
        assert_eq!(mine.set(Setting::NoFilter("DRINKING".into())).ok(), Some(true));
        assert_eq!(mine.set(Setting::NoFilter("drinking".into())).ok(), Some(false));
        assert!(matches!(
            mine.set(Setting::Filter("x".repeat(81))),
            Err(EngineError::TopicTooLong(81))
        ));
    }
}
