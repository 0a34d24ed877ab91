//! Seeds: one in virtual time, and campaigns of many.
//!
//! `HEARTH_HOSTILE_SEEDS=20000 cargo test -p hearth-tests hostile::seeds::campaign -- --nocapture` is a campaign, and `HEARTH_SIM_…
//! sim::…` the other one. `…_FIRST` is the first seed, `…_THREADS` how many are played at once, `…_SECONDS` ends it early.
//! `HEARTH_HOSTILE_SEED=7 … hostile::seeds::one_seed` plays one and prints its trace.

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{runtime::Builder, task::LocalSet};

use super::Outcome;

/// Seeds played at once: as many as the smallest machine has cores.
pub const THREADS: u64 = 2;
/// A campaign that compares traces plays every tenth seed twice.
const TWICE: u64 = 10;

pub fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |value| value.parse().unwrap())
}

/// Runs something in one thread, whose time moves only when nothing else can.
pub fn block_on<T>(story: impl Future<Output = T>) -> T {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    LocalSet::new().block_on(&runtime, Box::pin(story))
}

/// Plays a seed; a panic is a violation.
pub fn play(story: impl Future<Output = Outcome>) -> Outcome {
    catch_unwind(AssertUnwindSafe(|| block_on(story))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or(panic.downcast_ref::<&str>().map(|t| (*t).to_owned()));
        let violations = vec![format!("panic: {}", text.unwrap_or_default())];
        Outcome { violations, ..Outcome::default() }
    })
}

/// Does something for each number below a bound, on several threads.
pub fn each(threads: u64, numbers: std::ops::Range<u64>, act: impl Fn(u64) + Sync) {
    let next = AtomicU64::new(numbers.start);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= numbers.end {
                        break;
                    }
                    act(number);
                }
            });
        }
    });
}

/// Plays many seeds, of which none may end with a violation.
pub fn campaign(
    name: &str,
    seeds: u64,
    compares_traces: bool,
    play: impl Fn(u64) -> Outcome + Sync,
) {
    let set = |what: &str, otherwise| number(&format!("HEARTH_{name}_{what}"), otherwise);
    let first = set("FIRST", 0);
    let until = Instant::now() + Duration::from_secs(set("SECONDS", 24 * 3600));
    let sum = Mutex::new((0_u64, BTreeMap::<String, u64>::new(), Vec::new()));
    each(set("THREADS", THREADS), first..first + set("SEEDS", seeds), |seed| {
        if Instant::now() > until {
            return;
        }
        let mut outcome = play(seed);
        if compares_traces && seed.is_multiple_of(TWICE) {
            outcome.violations.extend(difference(&outcome, &play(seed)));
        }
        let mut sum = sum.lock().unwrap();
        sum.0 += 1;
        for (what, many) in outcome.counts {
            *sum.1.entry(what).or_insert(0) += many;
        }
        if !outcome.violations.is_empty() {
            println!("seed {seed}: {:?}", outcome.violations);
            sum.2.push(seed);
        }
    });
    let (played, counts, mut failed) = sum.into_inner().unwrap();
    println!("{played} seeds from {first}: {counts:#?}");
    failed.sort_unstable();
    assert!(failed.is_empty(), "seeds that failed: {failed:?}");
    assert!(played > 0);
}

/// Describes the first difference of two traces of one seed.
fn difference(one: &Outcome, other: &Outcome) -> Option<String> {
    if one.hash == other.hash {
        return None;
    }
    let at = one.trace.iter().zip(&other.trace).position(|(a, b)| a != b);
    let at = at.unwrap_or(one.trace.len().min(other.trace.len()));
    Some(format!("two traces part: {:?} and {:?}", one.trace.get(at), other.trace.get(at)))
}

/// Plays the seed that the environment names, if it names one, and prints everything.
pub fn one_seed(name: &str, play: impl Fn(u64) -> Outcome) {
    let Ok(seed) = std::env::var(format!("HEARTH_{name}_SEED")) else { return };
    let started = Instant::now();
    let outcome = play(seed.parse().unwrap());
    for line in &outcome.trace {
        println!("{line}");
    }
    println!("hash {} in {:?}; {:#?}", outcome.hash, started.elapsed(), outcome.counts);
    assert_eq!(outcome.violations, Vec::<String>::new());
}
