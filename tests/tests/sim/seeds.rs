//! The simulation: seeds, the same trace for the same seed, and the proof that bugs put in on purpose are found.

use std::sync::Mutex;

use super::play;
use crate::world::{
    Outcome, Switch,
    play::{self as seeds, each, number},
};

/// Seeds of a run in CI.
const SEEDS: u64 = 30;

fn run(seed: u64, switch: Option<Switch>) -> Outcome {
    seeds::play(play(seed, switch))
}

/// Every seed ends with everybody of one mind and of the model's; the same seed tells the same story.
#[test]
fn campaign() {
    seeds::campaign("SIM", SEEDS, true, |seed| run(seed, None));
}

#[test]
fn one_seed() {
    seeds::one_seed("SIM", |seed| run(seed, None));
}

/// Bugs put in on purpose, each with a seed that found it; another is looked for if that one does not any more.
const SWITCHES: [(Switch, u64); 13] = [
    (Switch::IdsForgotten, 15),
    (Switch::OldEpochTaken, 0),
    (Switch::AckBeforeCommit, 0),
    (Switch::AckWithoutEntry, 0),
    (Switch::EntryLeftOut, 0),
    (Switch::PauseForgotten, 174),
    (Switch::TimeOutForgotten, 57),
    (Switch::SlowForgotten, 138),
    (Switch::RolesForgotten, 66),
    (Switch::RemovedStayIn, 23),
    (Switch::RetentionEarly, 2),
    (Switch::OutboxLost, 1),
    (Switch::HistoryLost, 1),
];
/// Seeds within which the simulation must notice.
const NOTICED_WITHIN: u64 = 300;

#[test]
fn planted_bug_is_found() {
    let within = number("HEARTH_SIM_SEEDS", NOTICED_WITHIN);
    let missed = Mutex::new(Vec::new());
    each(seeds::THREADS, 0..SWITCHES.len() as u64, |at| {
        let (switch, known) = SWITCHES[usize::try_from(at).unwrap()];
        let found = std::iter::once(known).chain(0..within).find_map(|seed| {
            let violations = run(seed, Some(switch)).violations;
            violations.first().map(|first| (seed, first.clone()))
        });
        match found {
            Some((seed, first)) => println!("{switch:?}: seed {seed}: {first}"),
            None => missed.lock().unwrap().push(switch),
        }
    });
    let missed = missed.into_inner().unwrap();
    assert!(missed.is_empty(), "not found within {within} seeds: {missed:?}");
}
