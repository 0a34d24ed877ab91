//! Holes, and the recaps that fill them. `docs/floor.md` section 3.

use std::collections::BTreeSet;

use hearth_protocol::{Digest, MemberKey, Millis, Seq, codec, hash};
use minicbor::{Decode, Encode};

use super::{
    change::Change,
    entry::{LIFE_MILLIS, Members, What},
    fold::{Fold, Place, is_order},
    wire::{ASKS_MAX, Close, HANDS_MAX, Op, Recap, State, TOPIC_CHARS_MAX, within},
};

/// Entries between a recap and the last one that it includes, at most: so far back all readers can compare it.
pub const RECAP_BACK: u64 = 64;
/// Rosters that a reader who lacks entries remembers.
const CROWDS_MAX: usize = 4;

/// How a reader knows the floor.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub(super) enum Standing {
    /// From all entries on which it rests.
    #[default]
    #[n(0)]
    Whole,
    /// An entry is missing, and no recap came since.
    #[n(1)]
    Hole(#[n(0)] Hole),
    /// By a recap.
    #[n(2)]
    Told {
        /// Its sender.
        #[n(0)]
        by: MemberKey,
        /// Time of the hole.
        #[n(1)]
        at: Millis,
    },
    /// Two recaps differ.
    #[n(3)]
    Disputed {
        /// Time of the second.
        #[n(0)]
        at: Millis,
    },
}

/// A missing entry, and what came after it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct Hole {
    /// The last missing entry.
    #[n(0)]
    pub(super) seq: Seq,
    /// No missing entry has a later time; absent until the first entry after a newcomer's admission.
    #[n(1)]
    pub(super) at: Option<Millis>,
    /// Whether something that is unknown was, or may be, alive.
    #[n(2)]
    pub(super) lost: bool,
    /// All entries after this one are in the notes.
    #[n(3)]
    from: Seq,
    /// What came after the hole, to be judged again from a recap on.
    #[n(4)]
    notes: Vec<Note>,
    /// The rosters that the notes name.
    #[n(5)]
    crowds: Vec<Members>,
}

/// An entry after the hole.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct Note {
    #[n(0)]
    seq: Seq,
    #[n(1)]
    at: Millis,
    /// Number in the list of rosters.
    #[n(2)]
    crowd: u64,
    /// Absent if the entry let time pass and did no more.
    #[n(3)]
    said: Option<Said>,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct Said {
    #[n(0)]
    digest: Digest,
    #[n(1)]
    from: MemberKey,
    #[n(2)]
    what: What,
}

impl Hole {
    pub(super) const fn new(seq: Seq, at: Option<Millis>, lost: bool) -> Self {
        Self { seq, at, lost, from: seq, notes: Vec::new(), crowds: Vec::new() }
    }

    /// Whether a recap includes all that is missing, and what came since is noted.
    pub(super) fn is_filled_by(&self, recap: &Recap) -> bool {
        recap.upto >= self.from
    }

    /// Remembers an entry.
    pub(super) fn note(&mut self, place: Place, what: &What, members: &Members) {
        if place.seq <= self.seq {
            return;
        }
        if self.crowds.last() != Some(members) {
            self.crowds.push(members.clone());
        }
        let crowd = self.crowds.len().saturating_sub(1) as u64;
        let said = said(place, what, members);
        self.notes.push(Note { seq: place.seq, at: place.at, crowd, said });
        while self.notes.len() as u64 > RECAP_BACK {
            self.forget();
        }
        while self.crowds.len() > CROWDS_MAX {
            self.forget();
        }
    }

    /// Forgets the oldest entry, and the rosters that no other names.
    fn forget(&mut self) {
        if self.notes.is_empty() {
            self.crowds.clear();
            return;
        }
        self.from = self.notes.remove(0).seq;
        let first = self.notes.first().map_or(0, |note| note.crowd);
        let unused = usize::try_from(first).unwrap_or(0).min(self.crowds.len());
        self.crowds.drain(..unused);
        for note in &mut self.notes {
            note.crowd = note.crowd.saturating_sub(first);
        }
    }

    /// Returns the floor from a recap on, and its states.
    pub(super) fn replay(&self, recap: &Recap) -> (Fold, History) {
        let mut fold = Fold::told(recap.state.clone());
        let mut history = History::default();
        history.note(recap.upto, &fold.state);
        let mut changes = Vec::new();
        for note in self.notes.iter().filter(|note| note.seq > recap.upto) {
            let crowd = usize::try_from(note.crowd).ok().and_then(|n| self.crowds.get(n));
            let Some(members) = crowd else { continue };
            fold.expire(note.at, members, &mut changes);
            if let Some(Said { digest, from, what }) = &note.said {
                let place =
                    Place { seq: note.seq, digest: *digest, at: note.at, from: Some(*from) };
                fold.judge(place, what, members, &mut changes);
            }
            fold.settle(members, &mut changes);
            changes.clear();
            history.note(note.seq, &fold.state);
        }
        (fold, history)
    }
}

/// Returns what of an entry may count, depending on what is alive; `None` if nothing.
fn said(place: Place, what: &What, members: &Members) -> Option<Said> {
    let from = place.from?;
    let moderates = members.moderates(&from);
    let what = match what {
        What::Op(Op::Start { order, topic, .. })
            if !moderates || !is_order(order) || !within(topic, TOPIC_CHARS_MAX) =>
        {
            return None;
        }
        What::Ask(ask) if !moderates || !ask.is_bounded() => return None,
        What::Close(Close { ask, .. }) => What::Close(Close { ask: *ask, ballots: None }),
        What::Op(_) | What::Ask(_) | What::Words(Some(_)) | What::Retract(_) => what.clone(),
        What::Words(None) | What::Recap(_) | What::Other | What::Hole => return None,
    };
    Some(Said { digest: place.digest, from, what })
}

/// The last states, by hash.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub(super) struct History {
    /// Ascending; a state lasts until the next one.
    #[n(0)]
    pasts: Vec<Past>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
struct Past {
    /// The first entry after which the state was this one.
    #[n(0)]
    from: Seq,
    #[n(1)]
    #[cbor(with = "minicbor::bytes")]
    hash: [u8; 16],
}

impl History {
    /// Remembers the state after an entry.
    pub(super) fn note(&mut self, seq: Seq, state: &State) {
        let hash = state_hash(state);
        if self.pasts.last().is_none_or(|past| past.hash != hash) {
            self.pasts.push(Past { from: seq, hash });
        }
        // Keep the state of the earliest entry that a recap after this one may name.
        let earliest = Seq(seq.0.saturating_sub(RECAP_BACK));
        let known = self.pasts.iter().take_while(|past| past.from <= earliest).count();
        self.pasts.drain(..known.saturating_sub(1));
    }

    /// Whether a recap's state is this reader's; `None` if this reader does not know it.
    pub(super) fn agrees(&self, recap: &Recap) -> Option<bool> {
        let past = self.pasts.iter().rfind(|past| past.from <= recap.upto)?;
        Some(past.hash == state_hash(&recap.state))
    }
}

fn state_hash(state: &State) -> [u8; 16] {
    let hash = hash::labelled("hearth floor state v1", &[&codec::encode(state)]);
    hash.first_chunk().copied().unwrap_or_default()
}

/// Whether a recap has times that this reader does not have yet, because the relay's ran back before they joined.
pub(super) fn is_ahead(state: &State, now: Millis) -> bool {
    let times = state.round.iter().map(|round| round.at);
    let times = times.chain(state.hands.iter().map(|hand| hand.at));
    times.chain(state.asks.iter().map(|asked| asked.at)).any(|at| at > now)
}

/// Whether a recap keeps the rules of any floor, so that a reader who cannot compare it may go on from it.
pub(super) fn is_sound(recap: &Recap) -> bool {
    let State { round, hands, asks } = &recap.state;
    let round_is = round.as_ref().is_none_or(|round| {
        round.seq <= recap.upto
            && round.until <= round.at.plus(LIFE_MILLIS)
            && is_order(&round.order)
            && usize::try_from(round.turn).is_ok_and(|turn| turn < round.order.len())
            && within(&round.topic, TOPIC_CHARS_MAX)
    });
    let keys: BTreeSet<&MemberKey> = hands.iter().map(|hand| &hand.member).collect();
    let hands_are = hands.len() <= HANDS_MAX
        && keys.len() == hands.len()
        && hands.is_sorted_by_key(|hand| hand.at);
    let asks_are = asks.len() <= ASKS_MAX
        && asks.iter().zip(asks.iter().skip(1)).all(|(a, b)| a.ask.seq < b.ask.seq)
        && asks.iter().all(|asked| asked.ask.seq <= recap.upto && asked.content().is_bounded());
    round_is && hands_are && asks_are
}

/// Keeps the answers that this reader has all of, though the ask comes from a recap, too.
pub(super) fn keep_tallies(fold: &mut Fold, before: &Fold) {
    let Fold { state, tallies, .. } = fold;
    for (asked, tally) in state.asks.iter().zip(tallies) {
        let mut known = before.state.asks.iter().zip(&before.tallies);
        if let Some((_, own)) = known.find(|(own, _)| *own == asked)
            && tally.told
        {
            tally.clone_from(own);
        }
    }
}

/// Shows the words that do not wait any more, after the floor was replaced.
pub(super) fn keep_held(fold: &mut Fold, before: &mut Fold, out: &mut Vec<Change>) {
    let round = |fold: &Fold| fold.state.round.as_ref().map(|round| round.seq);
    let (same, holder) = (round(fold) == round(before), fold.holder());
    fold.held = std::mem::take(&mut before.held);
    fold.release(|held| !same || holder.is_none_or(|holder| holder == held.author), out);
}
