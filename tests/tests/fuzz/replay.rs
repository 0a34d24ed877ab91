//! Whatever comes from outside, nothing panics and no property is violated: the fuzz targets, over the committed
//! corpus and over mutations of it. `CONTRIBUTING.md` says how to run them under libFuzzer.

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    time::Duration,
};

use hearth_engine::content::TEXT_BYTES_MAX;
use hearth_kit::Dice;
use rustix::time::{ClockId, clock_gettime};

use crate::fuzz::{TARGETS, Target, corpus};

/// Mutations of each target in continuous integration.
const TRIES: usize = 2_000;

/// Returns how long this thread has been computing; others on the machine do not count.
fn computing() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap()
}

/// Runs one input, and prints it if it fails.
fn try_one(target: &Target, bytes: &[u8]) -> Duration {
    let start = computing();
    let result = catch_unwind(AssertUnwindSafe(|| (target.run)(bytes)));
    if let Err(panic) = result {
        eprintln!("{} fails with {}", target.name, data_encoding::HEXLOWER.encode(bytes));
        resume_unwind(panic);
    }
    computing().saturating_sub(start)
}

fn number(variable: &str) -> Option<usize> {
    std::env::var(variable).ok().map(|text| text.parse().expect(variable))
}

/// Replays the corpus of a target and tries mutations of it; the slowest input is told, not judged.
fn replay(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name).unwrap();
    let mut entries = corpus::entries(name);
    assert!(!entries.is_empty(), "{name} has no corpus");
    let seeds = (target.seeds)();
    // Whatever is made once is made now, and not counted.
    (target.run)(&seeds[0]);
    entries.extend(seeds);
    let mut slowest = Duration::ZERO;
    for entry in &entries {
        slowest = slowest.max(try_one(target, entry));
    }
    let tries = number("HEARTH_FUZZ_N").unwrap_or(TRIES / target.slowness);
    let seed = u64::try_from(number("HEARTH_FUZZ_SEED").unwrap_or(1)).unwrap();
    let mut dice = Dice::new(seed);
    for _ in 0..tries {
        let bytes = corpus::mutate(&entries, &mut dice);
        slowest = slowest.max(try_one(target, &bytes));
    }
    eprintln!("{name}: {} entries and {tries} mutations, slowest {slowest:?}", entries.len());
}

macro_rules! replays {
    ($($name:ident)*) => {
        $(#[test] fn $name() { replay(stringify!($name)); })*

        #[test]
        fn every_target_is_replayed() {
            let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
            assert_eq!(names, [$(stringify!($name)),*]);
        }
    };
}

replays! {
    frame_client frame_server link sealed http_head config numbers agreement policy envelope receipt row sealed_row
    profile text mls_header mls_entry mls_key_package mls_welcome mls_group_info
}

#[test]
fn every_target_accepts_what_the_product_makes() {
    for target in TARGETS {
        for (number, seed) in (target.seeds)().iter().enumerate() {
            assert!((target.run)(seed), "seed {number} of {} is not accepted", target.name);
        }
    }
}

/// What a peer may send at once: it costs the sender nothing, and must cost the reader little.
const LARGEST: usize = hearth_protocol::limits::FRAME_BYTES_MAX;

/// How long a reader may take for it. More without optimization: what grows too fast with the size is noticed all the same.
const QUICK: Duration = Duration::from_millis(if cfg!(debug_assertions) { 100 } else { 10 });

/// Who reads nothing that a peer has sent, but files of this computer.
const LOCAL: [&str; 5] = ["config", "numbers", "row", "sealed_row", "profile"];

/// Makes what is as large as it may be: heads and tails of many kinds, and what a target knows, with more behind it.
fn largest(entries: &[Vec<u8>], size: usize) -> Vec<Vec<u8>> {
    /// Of the corpus of a target.
    const ENTRIES: usize = 24;
    let heads = [0x00, 0x01, 0x41, 0x5f, 0x80, 0x81, 0x9b, 0x9f, 0xa1, 0xbf, 0xcc, 0xd8, 0xff];
    let mut all: Vec<Vec<u8>> = heads.iter().map(|byte| vec![*byte; size]).collect();
    for entry in entries.iter().take(ENTRIES).filter(|entry| (2..size).contains(&entry.len())) {
        let mut behind = entry.clone();
        behind.resize(size, 0x41);
        let tail = entry[entry.len() / 2..].iter().cycle();
        let again = entry.iter().chain(tail).take(size).copied().collect();
        all.extend([behind, again]);
    }
    all
}

#[test]
fn no_reader_takes_long_for_whatever_a_peer_may_send() {
    for target in TARGETS.iter().filter(|target| !LOCAL.contains(&target.name)) {
        let mut entries = (target.seeds)();
        // Whatever is made once is made now, and not counted.
        (target.run)(&entries[0]);
        entries.extend(corpus::entries(target.name));
        // A longer text does not come out of an envelope.
        let size = if target.name == "text" { TEXT_BYTES_MAX } else { LARGEST };
        let mut slowest = Duration::ZERO;
        for bytes in largest(&entries, size) {
            // The best of three: the machine may be busy with something else.
            let took = (0..3).map(|_| try_one(target, &bytes)).min().unwrap();
            slowest = slowest.max(took);
        }
        eprintln!("{}: slowest {slowest:?}", target.name);
        assert!(slowest < QUICK, "{} takes {slowest:?}", target.name);
    }
}

#[test]
fn the_corpus_stays_small() {
    let mut bytes = 0;
    for target in TARGETS {
        let entries = corpus::entries(target.name);
        assert!(entries.len() <= corpus::FILES_MAX, "{} has {} files", target.name, entries.len());
        bytes += entries.iter().map(|entry| u64::try_from(entry.len()).unwrap()).sum::<u64>();
    }
    assert!(bytes <= corpus::BYTES_MAX, "the corpus has {bytes} bytes");
}

#[test]
#[ignore = "writes into the source tree"]
fn write_the_seeds() {
    for target in TARGETS {
        corpus::write_seeds(target);
        assert!(!corpus::entries(target.name).is_empty());
    }
}
