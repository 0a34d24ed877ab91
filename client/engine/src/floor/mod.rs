//! The floor: rounds, hands, prompts and polls as a pure state machine over the room's log. `docs/floor.md`.
//!
//! Every reader of the same entries has the same floor. [`Floor::apply`] takes the entries one by one, says what each changes, and
//! reads no clock. The caller stores the floor in the transaction that stores the entry.

mod change;
mod entry;
mod fold;
pub mod poll;
mod recap;
pub mod wire;

pub use change::{Change, Down, Ending, Outcome, Verdict, Why};
pub use entry::{Entry, LIFE_MILLIS, Members, What};
pub use fold::{ANSWERS_MAX, HELD_MAX, Held};
pub use recap::RECAP_BACK;
pub use wire::{Answer, Ask, Asked, Ballot, Close, Form, Hand, Op, Part, Recap, Ref, Round, State};

use fold::{Fold, Place};
use hearth_protocol::{MemberKey, Millis, Role, Seq};
use minicbor::{Decode, Encode};
use recap::{History, Hole, Standing};

/// One reader's floor.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Floor {
    #[n(0)]
    fold: Fold,
    /// The last entry that was taken in.
    #[n(1)]
    seq: Seq,
    /// The latest time of an entry.
    #[n(2)]
    at: Millis,
    #[n(3)]
    standing: Standing,
    #[n(4)]
    history: History,
}

impl Floor {
    /// Returns the floor of a room whose first entry is 1, as its founder knows it.
    pub fn founded() -> Self {
        let mut floor = Self::default();
        floor.history.note(floor.seq, &floor.fold.state);
        floor
    }

    /// Returns the floor of a newcomer, who has no entries up to and including `seq`.
    pub fn joined(seq: Seq) -> Self {
        let standing = Standing::Hole(Hole::new(seq, None, false));
        Self { seq, standing, ..Self::default() }
    }

    /// Takes in the next entry, with what is true of the members after it, and returns what it changes, in order.
    ///
    /// An entry that was taken in before changes nothing.
    pub fn apply(&mut self, entry: &Entry, members: &Members) -> Vec<Change> {
        let mut out = Vec::new();
        if entry.seq <= self.seq {
            return out;
        }
        if entry.at < self.at {
            out.push(Change::TimesRunBack { said: entry.at, counted: self.at });
        }
        let at = entry.at.max(self.at);
        let place = Place { seq: entry.seq, digest: entry.digest, at, from: entry.from };
        self.fold.expire(at, members, &mut out);
        self.age(at, members);
        let before = Seq(entry.seq.0.saturating_sub(1));
        if before > self.seq {
            self.lose(before, at, &mut out);
        }
        (self.seq, self.at) = (entry.seq, at);
        if entry.what == What::Hole {
            self.lose(entry.seq, at, &mut out);
        }
        self.judge(place, &entry.what, members, &mut out);
        if matches!(entry.what, What::Words(_)) {
            self.fold.hold(place, members, &mut out);
        }
        if let What::Recap(recap) = &entry.what {
            self.compare(place, recap, members, &mut out);
        }
        self.fold.settle(members, &mut out);
        match &mut self.standing {
            Standing::Hole(hole) => hole.note(place, &entry.what, members),
            Standing::Whole | Standing::Told { .. } => {
                self.history.note(entry.seq, &self.fold.state);
            }
            Standing::Disputed { .. } => {}
        }
        out
    }

    /// Ends a doubt about items that are over by now, whatever they were.
    fn age(&mut self, now: Millis, members: &Members) {
        if let Standing::Hole(hole) = &mut self.standing {
            let at = *hole.at.get_or_insert(now);
            hole.lost &= at.plus(members.life()) > now;
        }
        let since = match &self.standing {
            Standing::Whole => return,
            Standing::Hole(hole) => hole.at.unwrap_or(now),
            Standing::Told { at, .. } | Standing::Disputed { at } => *at,
        };
        if since.plus(members.half_retention()) <= now {
            self.standing = Standing::Whole;
            self.history = History::default();
        }
    }

    /// Calls what is alive unknown, because an entry up to `seq` is missing.
    fn lose(&mut self, seq: Seq, at: Millis, out: &mut Vec<Change>) {
        let alive = !self.fold.state.is_empty();
        let lost = alive || self.is_unknown();
        self.forget(out);
        if alive {
            out.push(Change::Unknown);
        }
        self.standing = Standing::Hole(Hole::new(seq, Some(at), lost));
    }

    fn forget(&mut self, out: &mut Vec<Change>) {
        self.fold.release(|_| true, out);
        self.fold = Fold::default();
        self.history = History::default();
    }

    fn judge(&mut self, place: Place, what: &What, members: &Members, out: &mut Vec<Change>) {
        let mut changes = Vec::new();
        self.fold.judge(place, what, members, &mut changes);
        let began = changes.iter().any(|change| matches!(change, Change::Began { .. }));
        match &mut self.standing {
            Standing::Hole(hole) if began => hole.lost = false,
            Standing::Disputed { .. } if began => {
                self.standing = Standing::Hole(Hole::new(place.seq, Some(place.at), false));
            }
            Standing::Hole(hole) if what.item().is_some_and(|item| item <= hole.seq) => {
                for change in &mut changes {
                    if matches!(change, Change::Ignored(Why::NoRound | Why::NoAsk)) {
                        *change = Change::Ignored(Why::Unknown);
                        hole.lost = true;
                    }
                }
            }
            _ => {}
        }
        out.append(&mut changes);
    }

    fn compare(&mut self, place: Place, recap: &Recap, members: &Members, out: &mut Vec<Change>) {
        let Some(by) = place.from.filter(|from| members.moderates(from)) else {
            out.push(Change::Ignored(Why::NotModerating));
            return;
        };
        let back = place.seq.0.saturating_sub(recap.upto.0);
        if !(1..=RECAP_BACK).contains(&back) {
            out.push(Change::Ignored(Why::RecapPlace));
            return;
        }
        let agrees = self.history.agrees(recap);
        let verdict = match &self.standing {
            Standing::Disputed { .. } => Verdict::Early,
            Standing::Hole(hole) if !hole.is_filled_by(recap) => Verdict::Early,
            Standing::Hole(_) if !recap::is_sound(recap) => Verdict::Unsound,
            Standing::Hole(_) if recap::is_ahead(&recap.state, place.at) => Verdict::Early,
            Standing::Hole(hole) => {
                let at = hole.at.unwrap_or(place.at);
                let (mut fold, history) = hole.replay(recap);
                fold.expire(place.at, members, &mut Vec::new());
                recap::keep_tallies(&mut fold, &self.fold);
                let mut before = std::mem::replace(&mut self.fold, fold);
                (self.standing, self.history) = (Standing::Told { by, at }, history);
                out.push(Change::Recap { by, verdict: Verdict::Taken });
                return recap::keep_held(&mut self.fold, &mut before, out);
            }
            Standing::Whole | Standing::Told { .. } if agrees.is_none() => Verdict::Early,
            Standing::Whole | Standing::Told { .. } if agrees == Some(true) => Verdict::Agrees,
            Standing::Whole => Verdict::Differs,
            Standing::Told { by: other, .. } => Verdict::Contradicts { other: *other },
        };
        out.push(Change::Recap { by, verdict });
        if matches!(verdict, Verdict::Contradicts { .. }) {
            self.forget(out);
            self.standing = Standing::Disputed { at: place.at };
        }
    }

    /// Returns the last entry that was taken in.
    pub const fn seq(&self) -> Seq {
        self.seq
    }

    /// Returns what is alive, as far as this reader knows.
    pub const fn state(&self) -> &State {
        &self.fold.state
    }

    /// Whether a round may be on that this reader does not know.
    pub fn is_unknown(&self) -> bool {
        match &self.standing {
            Standing::Disputed { .. } => true,
            Standing::Hole(hole) => hole.lost && self.fold.state.round.is_none(),
            Standing::Whole | Standing::Told { .. } => false,
        }
    }

    /// Returns whose turn it is.
    pub fn holder(&self) -> Option<MemberKey> {
        self.fold.holder()
    }

    /// Whether a member's words are shown at once.
    pub fn may_speak(&self, member: &MemberKey, role: Role) -> bool {
        let own_turn = self.holder().is_none_or(|holder| holder == *member);
        role.moderates() || (role.posts() && own_turn)
    }

    /// Returns the members who have a turn after the current one, in order.
    pub fn next_candidates(&self, members: &Members) -> Vec<MemberKey> {
        let Some(round) = self.fold.state.round.as_ref() else { return Vec::new() };
        let later = (0..).zip(&round.order).filter(|(turn, _)| *turn > round.turn);
        later.map(|(_, member)| *member).filter(|member| members.may_post(member)).collect()
    }

    /// Returns the words that wait, in the order of the log.
    pub fn held(&self) -> &[Held] {
        &self.fold.held
    }

    /// Whether a member answered an open ask, as far as this reader knows.
    pub fn has_answered(&self, ask: Seq, member: &MemberKey) -> bool {
        let tally = self.fold.tallies.iter().find(|tally| tally.ask == ask);
        tally.is_some_and(|tally| tally.answers.iter().any(|mark| mark.member == *member))
    }

    /// Returns the votes of an open poll so far; `None` if it is hidden, or this reader lacks answers.
    pub fn totals(&self, ask: Seq) -> Option<Vec<u64>> {
        let mut polls = self.fold.state.asks.iter().zip(&self.fold.tallies);
        let (asked, tally) =
            polls.find(|(asked, _)| asked.ask.seq == ask && asked.form == Form::Poll)?;
        tally.totals(asked.options.len())
    }

    /// Returns the recap that this reader may send; `None` if something may be alive that the reader does not know.
    pub fn live(&self) -> Option<Recap> {
        let known = match &self.standing {
            Standing::Whole | Standing::Told { .. } => true,
            Standing::Hole(hole) => !hole.lost,
            Standing::Disputed { .. } => false,
        };
        known.then(|| Recap { upto: self.seq, state: self.fold.state.clone() })
    }
}

#[cfg(test)]
mod tests;
