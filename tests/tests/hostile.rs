//! The hostile relay: seeds, and the proof that the harness notices when a defence is off.
//!
//! `HEARTH_HOSTILE_SEEDS=20000 cargo test -p hearth-tests --test hostile campaign -- --nocapture` is a campaign;
//! `HEARTH_HOSTILE_FIRST` is its first seed. `HEARTH_HOSTILE_SEED=7 … one_seed` plays one and prints everything.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use hearth_tests::hostile::{Backend, Outcome, run, run_honest};

/// Seeds of a run in CI.
const SEEDS: u64 = 60;
/// Seeds played at the same time.
const THREADS: usize = 2;
/// Seeds after which a thread starts a new relay, so that its store stays small.
const RELAY_EVERY: u64 = 100;
/// Failing seeds that are shown.
const SHOWN: usize = 20;

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |value| value.parse().unwrap())
}

/// Plays a seed; a panic is a violation (I8).
fn play(seed: u64, backend: &Backend) -> Outcome {
    catch_unwind(AssertUnwindSafe(|| run(seed, backend))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or(panic.downcast_ref::<&str>().map(|t| (*t).to_owned()));
        let violations = vec![format!("I8: panic: {}", text.unwrap_or_default())];
        Outcome { violations, ..Outcome::default() }
    })
}

#[test]
fn without_lies_nobody_is_warned() {
    let backend = Backend::start();
    for seed in 0..3 {
        let outcome = run_honest(seed, &backend);
        assert_eq!(outcome.violations, Vec::<String>::new(), "seed {seed}");
    }
}

#[test]
fn campaign() {
    let first = number("HEARTH_HOSTILE_FIRST", 0);
    let end = first + number("HEARTH_HOSTILE_SEEDS", SEEDS);
    let next = AtomicU64::new(first);
    let failed = Mutex::new(Vec::new());
    let total = Mutex::new((0, 0, 0, BTreeMap::new()));
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                'relay: loop {
                    let backend = Backend::start();
                    for _ in 0..RELAY_EVERY {
                        let seed = next.fetch_add(1, Ordering::Relaxed);
                        if seed >= end {
                            break 'relay;
                        }
                        let outcome = play(seed, &backend);
                        let mut total = total.lock().unwrap();
                        total.0 += outcome.events;
                        total.1 += outcome.warned;
                        total.2 += outcome.honest;
                        for (op, many) in outcome.lies {
                            *total.3.entry(format!("{op:?}")).or_insert(0) += many;
                        }
                        if !outcome.violations.is_empty() {
                            failed.lock().unwrap().push((seed, outcome.violations));
                        }
                    }
                }
            });
        }
    });
    let (events, warned, honest, lies) = total.into_inner().unwrap();
    println!("seeds {first}..{end}: {events} hostile events, {warned} of {honest} people warned");
    println!("lies: {lies:?}");
    let mut failed = failed.into_inner().unwrap();
    failed.sort();
    for (seed, violations) in failed.iter().take(SHOWN) {
        println!("seed {seed}: {violations:?}");
    }
    assert!(failed.is_empty(), "{} seeds failed", failed.len());
}

#[test]
fn one_seed() {
    let Ok(seed) = std::env::var("HEARTH_HOSTILE_SEED") else { return };
    let seed: u64 = seed.parse().unwrap();
    let outcome = run(seed, &Backend::start());
    println!("{outcome:#?}");
    assert_eq!(outcome.violations, Vec::<String>::new(), "seed {seed}");
}
