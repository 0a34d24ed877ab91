//! Tests of the floor: its bytes, its rules by name, and random logs against a naive model.

#![expect(clippy::cast_possible_truncation, reason = "logs of tests are short")]

mod naive;
mod polls;
mod random;
mod rules;
mod wire;

use hearth_protocol::{Digest, MemberKey, Millis, Role, Seq};

use super::*;

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
const NOW: u64 = 1_800_000_000_000;

const FAY: MemberKey = MemberKey([1; 32]);
const GIL: MemberKey = MemberKey([2; 32]);
const BEN: MemberKey = MemberKey([3; 32]);
const CLEO: MemberKey = MemberKey([4; 32]);
const DEE: MemberKey = MemberKey([5; 32]);
/// An observer.
const OMAR: MemberKey = MemberKey([6; 32]);

/// A room's log, with the members after each entry.
#[derive(Clone, Debug)]
struct Log {
    entries: Vec<(Entry, Members)>,
    members: Members,
    /// Milliseconds after [`NOW`].
    clock: u64,
}

impl Log {
    fn new() -> Self {
        let roles = [
            (FAY, Role::Facilitator),
            (GIL, Role::CoFacilitator),
            (BEN, Role::Member),
            (CLEO, Role::Member),
            (DEE, Role::Member),
            (OMAR, Role::Observer),
        ];
        let members = Members { roles: roles.into(), retention_seconds: 30 * 24 * 3600 };
        Self { entries: Vec::new(), members, clock: 0 }
    }

    fn wait(&mut self, millis: u64) -> &mut Self {
        self.clock += millis;
        self
    }

    fn now(&self) -> Millis {
        Millis(NOW + self.clock)
    }

    fn head(&self) -> Seq {
        Seq(self.entries.len() as u64)
    }

    fn push(&mut self, from: Option<MemberKey>, what: What) -> Seq {
        let seq = Seq(self.head().0 + 1);
        let entry = Entry { seq, digest: digest(seq), at: self.now(), from, what };
        self.entries.push((entry, self.members.clone()));
        seq
    }

    fn op(&mut self, from: MemberKey, op: Op) -> Seq {
        self.push(Some(from), What::Op(op))
    }

    fn says(&mut self, from: MemberKey) -> Seq {
        self.push(Some(from), What::Words(None))
    }

    fn start(&mut self, from: MemberKey, order: &[MemberKey]) -> Seq {
        let until = self.now().plus(HOUR);
        let order = order.to_vec();
        self.op(from, Op::Start { order, topic: "tonight".into(), seconds: 300, until })
    }

    fn moves(&mut self, from: MemberKey, round: Seq, turn: u64) -> Seq {
        self.op(from, Op::Move { round, turn })
    }

    fn asks(&mut self, from: MemberKey, form: Form) -> Ref {
        let options = if form.is_poll() { vec!["yes".into(), "no".into()] } else { Vec::new() };
        let until = self.now().plus(24 * HOUR);
        let ask = Ask { form, text: "now?".into(), options, until, after_own: false, part: None };
        reference(self.push(Some(from), What::Ask(ask)))
    }

    fn answers(&mut self, from: MemberKey, ask: Ref, choice: Option<u64>) -> Seq {
        self.push(Some(from), What::Words(Some(Answer { ask, choice })))
    }

    fn closes(&mut self, from: MemberKey, ask: Ref, ballots: Option<Vec<Ballot>>) -> Seq {
        self.push(Some(from), What::Close(Close { ask, ballots }))
    }

    /// Sends the recap of a reader's present floor.
    fn recaps(&mut self, from: MemberKey, floor: &Floor) -> Seq {
        self.push(Some(from), What::Recap(floor.live().unwrap()))
    }

    /// A commit that removes somebody, or changes their role.
    fn role(&mut self, member: MemberKey, role: Option<Role>) -> Seq {
        self.commit(|members| {
            members.roles.remove(&member);
            members.roles.extend(role.map(|role| (member, role)));
        })
    }

    /// A commit that changes the roster.
    fn commit(&mut self, change: impl FnOnce(&mut Members)) -> Seq {
        change(&mut self.members);
        self.push(Some(FAY), What::Other)
    }
}

/// One reader, and all that they were told.
#[derive(Clone, Debug)]
struct Reader {
    floor: Floor,
    told: Vec<(Seq, Change)>,
}

impl Reader {
    fn new() -> Self {
        Self { floor: Floor::founded(), told: Vec::new() }
    }

    fn joined(seq: Seq) -> Self {
        Self { floor: Floor::joined(seq), told: Vec::new() }
    }

    /// Reads up to the log's end, and returns the changes of its last entry.
    fn reads(&mut self, log: &Log) -> Vec<Change> {
        let mut last = Vec::new();
        for (entry, members) in &log.entries {
            if entry.seq > self.floor.seq() {
                last = self.takes(entry, members);
            }
        }
        last
    }

    fn takes(&mut self, entry: &Entry, members: &Members) -> Vec<Change> {
        let changes = self.floor.apply(entry, members);
        self.told.extend(changes.iter().map(|change| (entry.seq, change.clone())));
        changes
    }

    /// Reads the next entry as a tombstone.
    fn misses(&mut self, log: &Log) -> Vec<Change> {
        let (entry, members) = log.entries.get(self.floor.seq().0 as usize).unwrap();
        self.takes(&Entry { from: None, what: What::Hole, ..entry.clone() }, members)
    }

    /// Returns the places of words that were held, and of those shown later, in the order of showing.
    fn held_and_shown(&self) -> (Vec<Seq>, Vec<Seq>) {
        let held = self.told.iter().filter(|(_, change)| *change == Change::Held);
        let shown = self.told.iter().filter_map(|(_, change)| match change {
            Change::Released(places) => Some(places.clone()),
            _ => None,
        });
        (held.map(|(seq, _)| *seq).collect(), shown.flatten().collect())
    }
}

fn digest(seq: Seq) -> Digest {
    Digest([seq.0 as u8; 32])
}

const fn reference(seq: Seq) -> Ref {
    Ref { seq, digest: Digest([seq.0 as u8; 32]) }
}

const fn ignored(why: Why) -> Change {
    Change::Ignored(why)
}

const fn recap(by: MemberKey, verdict: Verdict) -> Change {
    Change::Recap { by, verdict }
}
