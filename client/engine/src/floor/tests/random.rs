//! Random logs, read by members who were there, who came later, and who lack entries.

use std::collections::BTreeSet;

use hearth_protocol::codec;

use super::{naive::Naive, *};

/// SplitMix64, so that a failing seed fails on every machine.
struct Dice(u64);

impl Dice {
    const fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    const fn below(&mut self, bound: u64) -> u64 {
        self.roll() % bound
    }

    const fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> Option<T> {
        from.get(self.below(from.len().max(1) as u64) as usize).copied()
    }
}

const PEOPLE: [MemberKey; 6] = [FAY, GIL, BEN, CLEO, DEE, OMAR];

/// What a log may contain besides honest entries in order.
#[derive(Clone, Copy)]
struct Spice {
    times_run_back: bool,
    false_recaps: bool,
}

/// A random log, with the state after each entry by the naive model.
struct World {
    dice: Dice,
    log: Log,
    /// Somebody who reads everything, as clients do before they send.
    reader: Reader,
    states: Vec<State>,
    spice: Spice,
    /// Recaps that are not the sender's state.
    lies: BTreeSet<Seq>,
}

impl World {
    fn new(seed: u64, spice: Spice) -> Self {
        let mut dice = Dice(seed);
        let mut log = Log::new();
        log.members.retention_seconds = [4, 24, 24 * 30][dice.below(3) as usize] * 3600;
        let states = vec![State::default()];
        Self { dice, log, reader: Reader::new(), states, spice, lies: BTreeSet::new() }
    }

    fn grow(&mut self, entries: usize) {
        for _ in 0..entries {
            let pause = [0, 1, 3, 10, 40, 90, 400][self.dice.below(7) as usize];
            self.log.wait(pause * MINUTE);
            let before = self.log.clock;
            if self.spice.times_run_back && self.dice.chance(10) {
                self.log.clock = before.saturating_sub(self.dice.below(3 * HOUR));
            }
            self.add();
            self.log.clock = before;
            self.reader.reads(&self.log);
            self.states.push(Naive(&self.log.entries).state());
        }
    }

    fn add(&mut self) {
        let dice = &mut self.dice;
        let from = dice.pick(&PEOPLE).unwrap();
        let steward = if dice.chance(90) { dice.pick(&[FAY, GIL]).unwrap() } else { from };
        let state = self.reader.floor.state().clone();
        let head = self.log.head().0;
        match dice.below(27) {
            0..5 => {
                let ask = state.asks.get(dice.below(3) as usize).map(|asked| asked.ask);
                let choice = dice.chance(80).then(|| dice.below(3));
                match ask.filter(|_| dice.chance(60)) {
                    Some(ask) => self.log.answers(from, ask, choice),
                    None => self.log.says(from),
                }
            }
            5..8 => {
                let now = self.log.now();
                let order: Vec<MemberKey> =
                    PEOPLE.into_iter().filter(|_| self.dice.chance(55)).collect();
                let until = now.plus(self.dice.below(13 * HOUR));
                self.log.op(steward, Op::Start { order, topic: String::new(), seconds: 0, until })
            }
            8..13 => {
                let holder = self.reader.floor.holder().unwrap_or(from);
                let from = dice.pick(&[holder, steward, from]).unwrap();
                let (round, turn) = match &state.round {
                    Some(round) if dice.chance(85) => (round.seq, round.turn),
                    _ => (Seq(1 + dice.below(head + 1)), dice.below(3)),
                };
                self.log.op(from, Op::Move { round, turn })
            }
            13 | 14 => {
                let round = state.round.as_ref().map_or(Seq(1), |round| round.seq);
                let until = self.log.now().plus(dice.below(13 * HOUR));
                let op =
                    if dice.chance(60) { Op::Extend { round, until } } else { Op::End { round } };
                self.log.op(steward, op)
            }
            15 | 16 => self.log.op(from, if dice.chance(70) { Op::Hand } else { Op::Lower }),
            17 | 24..27 => {
                let form = dice
                    .pick(&[Form::Prompt, Form::Poll, Form::HiddenPoll, Form::Private])
                    .unwrap();
                self.log.asks(steward, form).seq
            }
            18 => match state.asks.first() {
                Some(asked) if dice.chance(50) => self.log.closes(steward, asked.ask, None),
                _ => self.log.says(from),
            },
            19 => {
                let words = |(entry, _): &(Entry, Members)| {
                    let is = matches!(entry.what, What::Words(_));
                    is.then_some((entry.seq, entry.from))
                };
                let words: Vec<_> = self.log.entries.iter().rev().filter_map(words).collect();
                match words.get(dice.below(3) as usize) {
                    Some((seq, from)) => self.log.push(*from, What::Retract(*seq)),
                    None => self.log.says(from),
                }
            }
            20 => self.commit(from),
            _ => self.recap(steward),
        };
    }

    fn commit(&mut self, target: MemberKey) -> Seq {
        let dice = &mut self.dice;
        let role =
            dice.pick(&[Some(Role::Observer), Some(Role::Member), Some(Role::CoFacilitator), None]);
        let hours = dice.pick(&[2, 4, 24, 24 * 30]).unwrap();
        let roster = dice.chance(70);
        self.log.commit(|members| match role.flatten() {
            _ if !roster => members.retention_seconds = hours * 3600,
            _ if target == FAY => {}
            Some(role) => {
                members.roles.insert(target, role);
            }
            None => {
                members.roles.remove(&target);
            }
        })
    }

    fn recap(&mut self, from: MemberKey) -> Seq {
        let head = self.log.head().0;
        let back = self.dice.below(6).min(head);
        let mut state = self.states[(head - back) as usize].clone();
        let lies = self.spice.false_recaps && self.dice.chance(40);
        if lies {
            let lie = Hand { member: MemberKey([9; 32]), at: Millis(NOW) };
            state.hands.insert(0, lie);
        }
        let recap = Recap { upto: Seq(head - back), state };
        let seq = self.log.push(Some(from), What::Recap(recap));
        if lies {
            self.lies.insert(seq);
        }
        seq
    }
}

/// Feeds one entry to a floor, and to a copy of it that was stored and read again.
fn apply(reader: &mut Reader, entry: &Entry, members: &Members) -> Vec<Change> {
    let stored = codec::encode(&reader.floor);
    let mut again: Floor = codec::decode(&stored).unwrap();
    let changes = reader.takes(entry, members);
    assert_eq!(again.apply(entry, members), changes, "a stored floor goes on alike");
    assert_eq!(again, reader.floor, "a stored floor goes on alike");
    assert_eq!(reader.floor.apply(entry, members), [], "an entry counts once");
    changes
}

/// Whether words are shown once: those that waited, later; a retracted one, never.
fn shows_all_words(reader: &Reader, log: &Log) {
    let (held, shown) = reader.held_and_shown();
    let waiting: Vec<Seq> = reader.floor.held().iter().map(|held| held.seq).collect();
    let gone = |seq: &Seq| log.entries.iter().any(|(e, _)| e.what == What::Retract(*seq));
    let mut seen = BTreeSet::new();
    assert!(shown.iter().all(|seq| seen.insert(*seq)), "words are shown once: {shown:?}");
    for seq in &held {
        let ends = [shown.contains(seq), waiting.contains(seq)];
        let places = ends.iter().filter(|is| **is).count();
        assert!(places == 1 || (places == 0 && gone(seq)), "words at {seq} have one end: {ends:?}");
    }
    assert!(shown.iter().chain(&waiting).all(|seq| held.contains(seq)));
}

fn seeds() -> std::ops::Range<u64> {
    0..300
}

/// What random logs must bring about, or the comparison with the naive model says little.
const SEEN: [&str; 30] = [
    "AskClosed Time Totals",
    "AskClosed By Totals",
    "AskOpened",
    "Began",
    "Ended By",
    "Ended Time",
    "Ended Turns",
    "Extended",
    "HandDown Called",
    "HandDown Fell",
    "HandDown Gone",
    "HandDown Lowered",
    "HandUp",
    "Held",
    "Ignored Choice",
    "Ignored HandIsUp",
    "Ignored MayNotPost",
    "Ignored NoHand",
    "Ignored NoRound",
    "Ignored NotHolder",
    "Ignored NotInTheRoom",
    "Ignored NotModerating",
    "Ignored OldTurn",
    "Ignored Order",
    "Ignored RoundOn",
    "Ignored TooManyAsks",
    "Ignored Until",
    "Released",
    "TimesRunBack",
    "Turn",
];

fn name(change: &Change) -> String {
    let debug = format!("{change:?}");
    let kind: String = debug.chars().take_while(char::is_ascii_alphabetic).collect();
    let detail = match change {
        Change::Ended { how: Ending::By(_), .. } => " By".into(),
        Change::Ended { how, .. } => format!(" {how:?}"),
        Change::HandDown { why, .. } => format!(" {why:?}"),
        Change::Ignored(why) => format!(" {why:?}"),
        Change::AskClosed { by, outcome, .. } => {
            let by = if by.is_some() { "By" } else { "Time" };
            let outcome = format!("{outcome:?}");
            format!(" {by} {}", outcome.split('(').next().unwrap())
        }
        _ => String::new(),
    };
    kind + &detail
}

#[test]
fn whole_reader_equals_naive_model() {
    let mut seen = BTreeSet::new();
    for seed in seeds() {
        let spice = Spice { times_run_back: seed % 2 == 0, false_recaps: true };
        let mut world = World::new(seed, spice);
        world.grow(70);
        let mut reader = Reader::new();
        for (n, (entry, members)) in world.log.entries.iter().enumerate() {
            let changes = apply(&mut reader, entry, members);
            let (floor, naive) = (&reader.floor, Naive(&world.log.entries[..=n]));
            assert_eq!(*floor.state(), world.states[n + 1], "seed {seed}, entry {}", n + 1);
            for (ask, totals) in naive.totals() {
                assert_eq!(floor.totals(ask), Some(totals), "seed {seed}, entry {}", n + 1);
            }
            if let Some(holder) = floor.holder() {
                assert!(members.may_post(&holder), "seed {seed}, entry {}", n + 1);
                assert!(floor.may_speak(&holder, Role::Member));
            }
            let naive_held = naive.held();
            let waits = naive_held.iter().filter(|(_, shown)| shown.is_none());
            let waits: Vec<Seq> = waits.map(|(seq, _)| *seq).collect();
            let held: Vec<Seq> = floor.held().iter().map(|held| held.seq).collect();
            assert_eq!(held, waits, "seed {seed}, entry {}", n + 1);
            let shows = naive_held.iter().filter(|(_, shown)| *shown == Some(entry.seq));
            let released = changes.iter().find_map(|change| match change {
                Change::Released(places) => Some(places.clone()),
                _ => None,
            });
            let shows: Vec<Seq> = shows.map(|(seq, _)| *seq).collect();
            assert_eq!(released.unwrap_or_default(), shows, "seed {seed}, entry {}", n + 1);
            let verdict = changes.iter().find_map(|change| match change {
                Change::Recap { verdict, .. } => Some(*verdict),
                _ => None,
            });
            let truth =
                if world.lies.contains(&entry.seq) { Verdict::Differs } else { Verdict::Agrees };
            assert!(verdict.is_none_or(|v| v == truth), "seed {seed}, entry {}", n + 1);
        }
        shows_all_words(&reader, &world.log);
        seen.extend(reader.told.iter().map(|(_, change)| name(change)));
    }
    let unseen: Vec<&str> = SEEN.into_iter().filter(|name| !seen.contains(*name)).collect();
    assert!(unseen.is_empty(), "random logs never bring about {unseen:?}, only {seen:?}");
}

#[test]
fn newcomers_agree_after_a_recap() {
    let mut taken = 0;
    for seed in seeds() {
        let spice = Spice { times_run_back: false, false_recaps: false };
        let mut world = World::new(seed, spice);
        world.grow(70);
        for joined in (0..60).step_by(7) {
            let mut reader = Reader::joined(Seq(joined));
            let mut knows = world.states[joined as usize].is_empty();
            for (entry, members) in &world.log.entries[joined as usize..] {
                let changes = apply(&mut reader, entry, members);
                if changes
                    .iter()
                    .any(|c| matches!(c, Change::Recap { verdict: Verdict::Taken, .. }))
                {
                    (knows, taken) = (true, taken + 1);
                }
                assert!(
                    !changes.iter().any(Change::is_alarm) || !knows,
                    "seed {seed}, joined {joined}, {}: {changes:?}",
                    entry.seq
                );
                if knows {
                    let state = &world.states[entry.seq.0 as usize];
                    assert_eq!(
                        reader.floor.state(),
                        state,
                        "seed {seed}, joined {joined}, entry {}",
                        entry.seq
                    );
                }
            }
            shows_all_words(&reader, &world.log);
        }
    }
    assert!(taken > 500, "newcomers took {taken} recaps");
}

#[test]
fn holes_agree_after_a_recap() {
    let mut taken = 0;
    for seed in seeds() {
        let spice = Spice { times_run_back: seed % 3 == 0, false_recaps: false };
        let mut world = World::new(seed, spice);
        world.grow(70);
        let mut reader = Reader::new();
        let mut knows = true;
        for (n, (entry, members)) in world.log.entries.iter().enumerate() {
            let changes = match world.dice.below(25) {
                0 => {
                    knows = false;
                    let entry = Entry { from: None, what: What::Hole, ..entry.clone() };
                    apply(&mut reader, &entry, members)
                }
                1 => {
                    knows = false;
                    continue;
                }
                _ => apply(&mut reader, entry, members),
            };
            if changes.iter().any(|c| matches!(c, Change::Recap { verdict: Verdict::Taken, .. })) {
                (knows, taken) = (true, taken + 1);
            }
            if knows {
                assert_eq!(
                    *reader.floor.state(),
                    world.states[n + 1],
                    "seed {seed}, entry {}",
                    n + 1
                );
            }
        }
        shows_all_words(&reader, &world.log);
    }
    assert!(taken > 200, "readers took {taken} recaps");
}

#[test]
fn false_recaps_are_always_named() {
    let mut named = 0;
    for seed in seeds() {
        let mut world = World::new(seed, Spice { times_run_back: false, false_recaps: true });
        world.grow(70);
        let mut reader = Reader::joined(Seq(20));
        for (entry, members) in &world.log.entries[20..] {
            apply(&mut reader, entry, members);
        }
        shows_all_words(&reader, &world.log);
        let lies = world.lies.iter().filter(|seq| {
            let (entry, members) = &world.log.entries[seq.0 as usize - 1];
            entry.from.is_some_and(|from| members.moderates(&from))
        });
        let alarms: BTreeSet<Seq> =
            world.reader.told.iter().filter(|(_, c)| c.is_alarm()).map(|(seq, _)| *seq).collect();
        for lie in lies {
            let (Entry { what: What::Recap(recap), .. }, _) =
                &world.log.entries[lie.0 as usize - 1]
            else {
                panic!()
            };
            if recap.upto < *lie {
                assert!(alarms.contains(lie), "seed {seed}: the recap at {lie} is named");
                named += 1;
            }
        }
    }
    assert!(named > 100, "{named} false recaps");
}
