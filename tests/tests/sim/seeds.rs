//! The simulation: seeds, the same trace for the same seed, and the proof that bugs put in on purpose are found.
//!
//! `HEARTH_SIM_SEEDS=20000 cargo test -p hearth-tests sim::seeds::campaign -- --nocapture` is a campaign;
//! `HEARTH_SIM_FIRST` is its first seed, and `HEARTH_SIM_SECONDS` ends it early. `HEARTH_SIM_SEED=7 … one_seed` plays
//! one and prints its trace.

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use crate::sim::{Outcome, Switch, play};

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |value| value.parse().unwrap())
}

/// Plays a seed on a runtime whose time moves only when nothing else can; a panic is a violation.
fn run(seed: u64, switch: Option<Switch>) -> Outcome {
    let played = catch_unwind(AssertUnwindSafe(|| {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.unwrap().block_on(play(seed, switch))
    }));
    played.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or(panic.downcast_ref::<&str>().map(|t| (*t).to_owned()));
        let violations = vec![format!("panic: {}", text.unwrap_or_default())];
        Outcome { violations, ..Outcome::default() }
    })
}

/// Seeds of a run in CI.
const SEEDS: u64 = 30;
/// Seeds played at the same time.
const THREADS: usize = 2;
/// Of so many seeds one is played twice.
const TWICE: u64 = 10;

/// What a campaign adds up.
#[derive(Default)]
struct Sum {
    seeds: u64,
    twice: u64,
    millis: u64,
    entries: u64,
    views: u64,
    counts: BTreeMap<String, u64>,
    failed: Vec<(u64, Vec<String>)>,
}

impl Sum {
    fn add(&mut self, seed: u64, outcome: Outcome) {
        self.seeds += 1;
        self.millis += outcome.millis;
        self.entries += outcome.entries;
        self.views += outcome.views;
        for (what, many) in outcome.counts {
            *self.counts.entry(what).or_insert(0) += many;
        }
        if !outcome.violations.is_empty() {
            println!("seed {seed}: {:?}", outcome.violations);
            self.failed.push((seed, outcome.violations));
        }
    }
}

/// Every seed ends with everybody of one mind and of the model's; the same seed tells the same story.
#[test]
fn campaign() {
    let first = number("HEARTH_SIM_FIRST", 0);
    let end = first + number("HEARTH_SIM_SEEDS", SEEDS);
    let until = Instant::now() + Duration::from_secs(number("HEARTH_SIM_SECONDS", 24 * 3600));
    let next = AtomicU64::new(first);
    let sum = Mutex::new(Sum::default());
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end || Instant::now() > until {
                        break;
                    }
                    let mut outcome = run(seed, None);
                    let twice = seed.is_multiple_of(TWICE);
                    if twice && let Some(differs) = difference(&outcome, &run(seed, None)) {
                        outcome.violations.push(differs);
                    }
                    let mut sum = sum.lock().unwrap();
                    sum.twice += u64::from(twice);
                    sum.add(seed, outcome);
                }
            });
        }
    });
    let mut sum = sum.into_inner().unwrap();
    let Sum { seeds, twice, entries, views, .. } = sum;
    let hours = sum.millis / 3_600_000;
    println!(
        "{seeds} seeds from {first}, {twice} of them twice: {hours} hours, {entries} entries, {views} views compared"
    );
    println!("{:?}", sum.counts);
    sum.failed.sort();
    let failed: Vec<u64> = sum.failed.iter().map(|(seed, _)| *seed).collect();
    assert!(failed.is_empty(), "seeds that failed: {failed:?}");
    assert!(seeds > 0);
}

/// Where two tellings of one seed part.
fn difference(one: &Outcome, other: &Outcome) -> Option<String> {
    if one.hash == other.hash {
        return None;
    }
    let at = one.trace.iter().zip(&other.trace).position(|(a, b)| a != b);
    let at = at.unwrap_or(one.trace.len().min(other.trace.len()));
    Some(format!("two traces part: {:?} and {:?}", one.trace.get(at), other.trace.get(at)))
}

/// Bugs put in on purpose, each with a seed that found it; another is looked for if that one does not any more.
const SWITCHES: [(Switch, u64); 13] = [
    (Switch::IdsForgotten, 4),
    (Switch::OldEpochTaken, 0),
    (Switch::AckBeforeCommit, 0),
    (Switch::AckWithoutEntry, 0),
    (Switch::EntryLeftOut, 0),
    (Switch::PauseForgotten, 94),
    (Switch::TimeOutForgotten, 135),
    (Switch::SlowForgotten, 17),
    (Switch::RolesForgotten, 18),
    (Switch::RemovedStayIn, 4),
    (Switch::RetentionEarly, 22),
    (Switch::OutboxLost, 3),
    (Switch::HistoryLost, 3),
];
/// Seeds within which the simulation must notice.
const NOTICED_WITHIN: u64 = 300;

#[test]
fn a_bug_put_in_is_found() {
    let within = number("HEARTH_SIM_SEEDS", NOTICED_WITHIN);
    let next = AtomicU64::new(0);
    let missed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let at = usize::try_from(next.fetch_add(1, Ordering::Relaxed)).unwrap();
                    let Some((switch, known)) = SWITCHES.get(at).copied() else { break };
                    let found = std::iter::once(known).chain(0..within).find_map(|seed| {
                        let violations = run(seed, Some(switch)).violations;
                        violations.first().map(|first| (seed, first.clone()))
                    });
                    match found {
                        Some((seed, first)) => println!("{switch:?}: seed {seed}: {first}"),
                        None => missed.lock().unwrap().push(switch),
                    }
                }
            });
        }
    });
    let missed = missed.into_inner().unwrap();
    assert!(missed.is_empty(), "not found within {within} seeds: {missed:?}");
}

#[test]
fn one_seed() {
    let Ok(seed) = std::env::var("HEARTH_SIM_SEED") else { return };
    let started = Instant::now();
    let outcome = run(seed.parse().unwrap(), None);
    for line in &outcome.trace {
        println!("{line}");
    }
    println!("hash {} in {:?}; {:?}", outcome.hash, started.elapsed(), outcome.counts);
    assert_eq!(outcome.violations, Vec::<String>::new());
}
