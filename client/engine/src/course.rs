//! What a lane's rows say over time: moods, answers to questionnaires, what is asked, and when people last wrote to each other.
//!
//! Everything here is computed from rows, so what was retracted or has expired is in none of it. Times are the relay's.

use hearth_protocol::{Digest, MemberKey, Millis, Seq, hash};

use super::{
    private::{ASKED_DAYS, Inquiry, Mood, Private, Wanted},
    state::{Row, RowContent},
};

/// How many moods may be asked for in a week.
pub const ASKS_PER_WEEK_MAX: usize = 3;

/// How long questions can be answered: a week.
const OPEN_MILLIS: u64 = 7 * DAY;
const DAY: u64 = 24 * 3600 * 1000;
const WEEK: u64 = 7 * DAY;

/// A mood of a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MoodEntry {
    /// Place of its row.
    pub place: Seq,
    /// When it came.
    pub at: Millis,
    /// The mood.
    pub mood: Mood,
}

/// A member's answers to a questionnaire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sitting {
    /// Place of its row.
    pub place: Seq,
    /// When it came.
    pub at: Millis,
    /// Hash of the questionnaire's file.
    pub form: Digest,
    /// The score of each answer; `None`: skipped. Nothing says yet that they fit the questionnaire.
    pub answers: Vec<Option<u32>>,
}

/// A questionnaire that a moderator sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sheet {
    /// Place of its row.
    pub place: Seq,
    /// When it came.
    pub at: Millis,
    /// The moderator.
    pub by: MemberKey,
    /// Hash of its file.
    pub form: Digest,
    /// Name of its file without the ending.
    pub stem: String,
    /// Its file. Nothing says yet that it can be read.
    pub source: Vec<u8>,
    /// When a moderator has read the answers.
    pub read_by: Millis,
}

/// A mood that is asked for and was not told yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MoodAsked {
    /// Place of the row that asks, or began the asking.
    pub place: Seq,
    /// The moderator.
    pub by: MemberKey,
    /// Since when.
    pub at: Millis,
    /// When a moderator has read it. After that it is not asked for.
    pub read_by: Millis,
}

/// What a member has said on this device about being asked. Nobody is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Unasked {
    /// Moods asked for up to then were skipped.
    #[n(0)]
    #[cbor(default)]
    pub skipped: Millis,
    /// What was set up to then asks no longer.
    #[n(1)]
    #[cbor(default)]
    pub stopped: Millis,
}

/// Returns a member's moods, oldest first. Each counts; none stands for a day.
pub fn moods<'r>(rows: impl IntoIterator<Item = &'r Row>, owner: &MemberKey) -> Vec<MoodEntry> {
    let mood = |(row, private): (&Row, &Private)| match private {
        Private::Mood(mood) if row.from == Some(*owner) => {
            Some(MoodEntry { place: row.place, at: row.at, mood: mood.clone() })
        }
        _ => None,
    };
    privates(rows).filter_map(mood).collect()
}

/// Returns a member's answers to questionnaires, oldest first.
pub fn sittings<'r>(rows: impl IntoIterator<Item = &'r Row>, owner: &MemberKey) -> Vec<Sitting> {
    let sitting = |(row, private): (&Row, &Private)| match private {
        Private::Answers { form, answers } if row.from == Some(*owner) => {
            let (form, answers) = (*form, answers.clone());
            Some(Sitting { place: row.place, at: row.at, form, answers })
        }
        _ => None,
    };
    privates(rows).filter_map(sitting).collect()
}

/// Returns the questionnaires that were sent, oldest first.
pub fn sheets<'r>(rows: impl IntoIterator<Item = &'r Row>) -> Vec<Sheet> {
    let sheet = |(row, private): (&Row, &Private)| {
        let Private::Inquiry(Inquiry { wanted: Wanted::Form { stem, source }, within }) = private
        else {
            return None;
        };
        Some(Sheet {
            place: row.place,
            at: row.at,
            by: row.from?,
            form: hash::sha256(source),
            stem: stem.clone(),
            source: source.clone(),
            read_by: row.at.plus(millis(*within)),
        })
    };
    privates(rows).filter_map(sheet).collect()
}

/// Returns the questionnaire that is asked and was not answered: the last one, for a week.
pub fn sheet_asked<'r>(
    rows: impl IntoIterator<Item = &'r Row> + Clone,
    owner: &MemberKey,
    now: Millis,
) -> Option<Sheet> {
    let last = sheets(rows.clone()).pop()?;
    let answered =
        sittings(rows, owner).iter().any(|s| s.place > last.place && s.form == last.form);
    (!answered && now < last.at.plus(OPEN_MILLIS)).then_some(last)
}

/// Returns the times at which moods were asked for up to now, with who asked and until when: a repeated asking ends after
/// [`ASKED_DAYS`], at the next one that repeats, and when moods are asked for no longer. More than [`ASKS_PER_WEEK_MAX`] in a
/// week do not count.
pub fn mood_asks<'r>(
    rows: impl IntoIterator<Item = &'r Row>,
    stopped: Millis,
    now: Millis,
) -> Vec<MoodAsked> {
    let mut asks: Vec<MoodAsked> = Vec::new();
    let mut repeated: Option<Vec<MoodAsked>> = None;
    let mut single: Vec<MoodAsked> = Vec::new();
    for (row, private) in privates(rows) {
        let Private::Inquiry(Inquiry { wanted, within }) = private else { continue };
        let Some(by) = row.from else { continue };
        let (place, within) = (row.place, millis(*within));
        let ask = |at: Millis| MoodAsked { place, by, at, read_by: at.plus(within) };
        let ends = matches!(wanted, Wanted::NoMood | Wanted::Mood { every: 1.. });
        if let Some(on) = repeated.take_if(|_| ends) {
            asks.extend(on.into_iter().take_while(|ask| ask.at < row.at));
        }
        match wanted {
            Wanted::Mood { .. } if row.at <= stopped => {}
            Wanted::Mood { every: 0 } => single.push(ask(row.at)),
            Wanted::Mood { every } => {
                let step = u64::from(*every).max(1).saturating_mul(DAY);
                let count = u64::from(ASKED_DAYS.div_ceil((*every).max(1)));
                let at = |n: u64| row.at.plus(n.saturating_mul(step));
                let on = (0..count).map(|n| ask(at(n))).take_while(|ask| ask.at <= now);
                repeated = Some(on.collect());
            }
            Wanted::NoMood | Wanted::Form { .. } => {}
        }
    }
    asks.extend(repeated.into_iter().flatten());
    asks.append(&mut single);
    asks.sort_by_key(|ask| ask.at);
    at_most_three_a_week(asks)
}

fn at_most_three_a_week(asks: Vec<MoodAsked>) -> Vec<MoodAsked> {
    let mut kept: Vec<MoodAsked> = Vec::new();
    for ask in asks {
        let within_a_week = |earlier: &&MoodAsked| ask.at < earlier.at.plus(WEEK);
        if kept.iter().filter(within_a_week).count() < ASKS_PER_WEEK_MAX {
            kept.push(ask);
        }
    }
    kept
}

/// Returns the mood that is asked for now, if the member has not told one since, skipped it, or stopped the asking.
pub fn mood_asked<'r>(
    rows: impl IntoIterator<Item = &'r Row> + Clone,
    owner: &MemberKey,
    unasked: Unasked,
    now: Millis,
) -> Option<MoodAsked> {
    let last = mood_asks(rows.clone(), unasked.stopped, now).pop()?;
    let told = moods(rows, owner).last().is_some_and(|mood| mood.at >= last.at);
    (!told && last.at > unasked.skipped && now < last.read_by).then_some(last)
}

/// When a member and those who moderate last wrote in a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// The lane's owner.
    pub member: MemberKey,
    /// When the owner last wrote words.
    pub theirs: Option<Millis>,
    /// When somebody on the bench last wrote words to the owner.
    pub ours: Option<Millis>,
}

impl Exchange {
    /// Reads it from a lane's rows.
    pub fn of<'r>(rows: impl IntoIterator<Item = &'r Row>, member: MemberKey) -> Self {
        let mut exchange = Self { member, theirs: None, ours: None };
        for row in rows.into_iter().filter(|row| row.was_read() && has_words(row)) {
            let side = match row.from == Some(member) {
                true => &mut exchange.theirs,
                false => &mut exchange.ours,
            };
            *side = (*side).max(Some(row.at));
        }
        exchange
    }

    /// Returns when the two last wrote to each other: both had written by the earlier of the two times. An unanswered word is not an
    /// exchange.
    pub fn last(&self) -> Option<Millis> {
        self.theirs.zip(self.ours).map(|(theirs, ours)| theirs.min(ours))
    }
}

/// How often a moderator means to write with members. Of this device alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Cadence {
    /// Days between two check-ins with any member; 0: none are planned.
    #[n(0)]
    #[cbor(default)]
    pub days: u32,
    /// Days for one member; 0: no plan.
    #[n(1)]
    #[cbor(default)]
    pub members: Vec<(MemberKey, u32)>,
}

impl Cadence {
    /// Returns the days for a member, if there is a plan.
    pub fn of(&self, member: &MemberKey) -> Option<u32> {
        let own = self.members.iter().find(|(other, _)| other == member).map(|(_, days)| *days);
        Some(own.unwrap_or(self.days)).filter(|days| *days > 0)
    }
}

/// A line of the list of check-ins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckIn {
    /// The member.
    pub member: MemberKey,
    /// Whole days since the two last wrote to each other; `None`: they have not, as far as this device keeps words.
    pub days: Option<u64>,
    /// The days that were planned.
    pub planned: Option<u32>,
    /// Whether the last words are the member's.
    pub waits_for_us: bool,
}

impl CheckIn {
    /// Whether more days have passed than were planned.
    pub fn is_due(&self) -> bool {
        self.planned.is_some_and(|planned| self.days.is_none_or(|days| days >= u64::from(planned)))
    }
}

/// Lists the days since the last exchange of each lane, longest first; equal ones stay in their order. Those who never wrote to each
/// other come first.
pub fn check_ins(exchanges: &[Exchange], cadence: &Cadence, now: Millis) -> Vec<CheckIn> {
    let mut lines: Vec<(Option<Millis>, CheckIn)> = exchanges
        .iter()
        .map(|exchange| {
            let (last, member) = (exchange.last(), exchange.member);
            let days = last.map(|last| now.0.saturating_sub(last.0) / DAY);
            let waits_for_us = exchange.theirs > exchange.ours;
            (last, CheckIn { member, days, planned: cadence.of(&member), waits_for_us })
        })
        .collect();
    lines.sort_by_key(|(last, _)| *last);
    lines.into_iter().map(|(_, line)| line).collect()
}

fn has_words(row: &Row) -> bool {
    match &row.content {
        RowContent::Text(text) => !text.is_empty(),
        RowContent::Private(private) => {
            let to_all = matches!(**private, Private::Inquiry(_));
            !to_all && private.words().is_some_and(|words| !words.is_empty())
        }
        _ => false,
    }
}

fn privates<'r>(
    rows: impl IntoIterator<Item = &'r Row>,
) -> impl Iterator<Item = (&'r Row, &'r Private)> {
    rows.into_iter().filter(|row| row.was_read()).filter_map(|row| match &row.content {
        RowContent::Private(private) => Some((row, &**private)),
        _ => None,
    })
}

fn millis(seconds: u32) -> u64 {
    u64::from(seconds).saturating_mul(1000)
}

#[cfg(test)]
mod tests;
