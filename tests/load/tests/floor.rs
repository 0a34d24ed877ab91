//! The relay does not become more expensive, measured against the naive baseline in one run, and loses nothing under load.
//!
//! Both are built with one profile and take turns on one core. Noise only adds to what a turn costs, so the cheapest
//! turn of each counts, and there are more turns as long as that of the relay is too dear: a change that made it dearer
//! stays so.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::{
    path::Path,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use hearth_kit::load::{
    drive::{Dialect, Field, Shape},
    idle,
    machine::{Server, is_built_beside, pin_to},
    naive::Baseline,
    reference::{CONNECTION, DELIVERY},
};

/// Holds the baseline, and lies beside the relay.
const LOAD: &str = env!("CARGO_BIN_EXE_load");
const NAIVE: Dialect = Dialect::Baseline(Baseline::Naive);
/// Cores of the servers and of this test. A machine with one core has nothing to choose.
const CORES: (usize, usize) = (0, 1);
/// Messages in a second: so few that hardly two share a sync, however slow the disk is.
const RATE: f64 = 500.0;
const TURN: Duration = Duration::from_millis(1500);
const TURNS_MIN: usize = 3;
const TURNS_MAX: usize = 7;
/// No further turn begins after it.
const PATIENCE: Duration = Duration::from_secs(25);

/// One measurement at a time, where tests are threads of one process.
static ALONE: Mutex<()> = Mutex::new(());

/// Whether the two may be compared.
fn is_fair() -> bool {
    let fair = is_built_beside(Path::new(LOAD));
    if !fair {
        eprintln!(
            "skipped: the relay is from elsewhere, and may be of another profile than the baseline"
        );
    }
    fair
}

fn server(dialect: Dialect) -> Server {
    match dialect {
        Dialect::Hearth => Server::hearthd(Some(CORES.0)),
        Dialect::Baseline(baseline) => Server::baseline(Path::new(LOAD), baseline, Some(CORES.0)),
    }
}

#[test]
fn delivery_stays_as_cheap() {
    if !is_fair() {
        return;
    }
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    pin_to(CORES.1);
    let started = Instant::now();
    let mut sides = [Dialect::Hearth, NAIVE].map(|dialect| {
        let server = server(dialect);
        let field = Field::open(&server, dialect, Shape::default());
        (server, field, f64::INFINITY)
    });
    let mut turns = 0;
    loop {
        for (server, field, least) in &mut sides {
            let outcome = field.run(server, RATE, TURN);
            assert!(outcome.is_clean(), "lost, twice, out of order or refused: {outcome:?}");
            // The first turn brings in what all later ones use.
            if turns > 0 {
                *least = least.min(outcome.micros_per_delivery());
            }
        }
        turns += 1;
        let [(.., relay), (.., naive)] = &sides;
        let allowed = DELIVERY.allows(*relay, *naive);
        let over = turns >= TURNS_MAX || started.elapsed() > PATIENCE;
        if turns > TURNS_MIN && allowed || over {
            eprintln!("{}, after {turns} turns", DELIVERY.tell(*relay, *naive));
            assert!(allowed, "{}", DELIVERY.tell(*relay, *naive));
            return;
        }
    }
}

#[test]
fn idle_connection_stays_as_small() {
    if !is_fair() {
        return;
    }
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    pin_to(CORES.1);
    let [relay, naive] = [Dialect::Hearth, NAIVE].map(|dialect| {
        idle::measure(server(dialect), dialect, Shape::default(), Some(CORES.0)).unwrap().bytes_each
    });
    eprintln!("{}", CONNECTION.tell(relay, naive));
    assert!(CONNECTION.allows(relay, naive), "{}", CONNECTION.tell(relay, naive));
}
