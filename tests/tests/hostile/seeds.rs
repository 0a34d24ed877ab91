//! The hostile relay: seeds, and the proof that the harness notices when a defence is off.
//!
//! `HEARTH_HOSTILE_SEEDS=20000 cargo test -p hearth-tests hostile::seeds::campaign -- --nocapture` is a campaign;
//! `HEARTH_HOSTILE_FIRST` is its first seed, `HEARTH_HOSTILE_THREADS` how many are played at once, and
//! `HEARTH_HOSTILE_SECONDS` ends it early. `HEARTH_HOSTILE_SEED=7 … one_seed` plays one and prints everything.

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use crate::hostile::{Backend, Lies, Op, Outcome, Person, WRONG_CLOCKS, run};
use hearth_engine::{
    policy::{Act, Category},
    state::{Notice, Row, RowContent},
};
use hearth_session::live::LiveError;

/// Seeds of a run where none is asked for.
const SEEDS: u64 = 50;
/// Seeds played at the same time: they wait for much longer than they compute.
const THREADS: u64 = 24;
/// Seeds after which a thread starts a new relay, so that its store stays small.
const RELAY_EVERY: u64 = 100;

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |value| value.parse().unwrap())
}

/// Plays a seed; a panic is a violation (I8).
fn play(seed: u64, lies: Lies<'_>, backend: &Backend) -> Outcome {
    catch_unwind(AssertUnwindSafe(|| run(seed, lies, backend))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or(panic.downcast_ref::<&str>().map(|t| (*t).to_owned()));
        let violations = vec![format!("I8: panic: {}", text.unwrap_or_default())];
        Outcome { violations, ..Outcome::default() }
    })
}

#[test]
fn without_lies_nobody_is_warned() {
    for (seed, ahead) in (0..).zip(WRONG_CLOCKS) {
        let outcome = run(seed, Lies::None, &Backend::start_ahead(ahead));
        assert_eq!(outcome.violations, Vec::<String>::new(), "seed {seed}");
    }
}

#[test]
fn campaign() {
    let first = number("HEARTH_HOSTILE_FIRST", 0);
    let end = first + number("HEARTH_HOSTILE_SEEDS", SEEDS);
    let next = AtomicU64::new(first);
    let seconds = number("HEARTH_HOSTILE_SECONDS", 24 * 3600);
    let until = Instant::now() + Duration::from_secs(seconds);
    let failed = Mutex::new(Vec::new());
    let total = Mutex::new((0, 0, 0, BTreeMap::new(), 0_u64, BTreeMap::new()));
    std::thread::scope(|scope| {
        for _ in 0..number("HEARTH_HOSTILE_THREADS", THREADS) {
            scope.spawn(|| {
                'relay: loop {
                    let relay = next.load(Ordering::Relaxed) / RELAY_EVERY;
                    let relay = usize::try_from(relay).unwrap() % WRONG_CLOCKS.len();
                    let backend = Backend::start_ahead(WRONG_CLOCKS[relay]);
                    for _ in 0..RELAY_EVERY {
                        let seed = next.fetch_add(1, Ordering::Relaxed);
                        if seed >= end || Instant::now() > until {
                            break 'relay;
                        }
                        let outcome = play(seed, Lies::Planned, &backend);
                        let mut total = total.lock().unwrap();
                        total.0 += outcome.events;
                        total.1 += outcome.warned;
                        total.2 += outcome.honest;
                        total.4 += 1;
                        for what in outcome.reached {
                            *total.5.entry(what).or_insert(0_u64) += 1;
                        }
                        for (op, many) in outcome.lies {
                            *total.3.entry(format!("{op:?}")).or_insert(0) += many;
                        }
                        if !outcome.violations.is_empty() {
                            println!("seed {seed}: {:?}", outcome.violations);
                            failed.lock().unwrap().push((seed, outcome.violations));
                        }
                    }
                }
            });
        }
    });
    let (events, warned, honest, lies, played, reached) = total.into_inner().unwrap();
    let told: u64 = lies.values().sum();
    println!(
        "{played} seeds from {first}: {told} lies, {events} hostile events, {warned} of {honest} people warned"
    );
    println!("lies: {lies:?}");
    println!("reached: {reached:?}");
    let mut failed = failed.into_inner().unwrap();
    failed.sort();
    let seeds: Vec<u64> = failed.iter().map(|(seed, _)| *seed).collect();
    assert!(seeds.is_empty(), "seeds that failed: {seeds:?}");
}

/// Plays some seeds with a few lies only, told very often.
fn only(ops: &[Op]) {
    let backend = Backend::start();
    let mut told = 0;
    for seed in 0..4 {
        let outcome = play(seed, Lies::Only(ops), &backend);
        assert_eq!(outcome.violations, Vec::<String>::new(), "{ops:?}, seed {seed}");
        told += outcome.lies.values().sum::<u64>();
    }
    assert!(told > 0, "{ops:?} came to nothing");
}

// Found by seeds of earlier plans. A plan changes with every new lie, so what was found stays as the lies that did it.

/// The client submitted for ever: the relay answered with a place that it was past of, and showed nothing there.
#[test]
fn a_submission_accepted_somewhere_else_ends() {
    only(&[Op::AcceptElsewhere]);
}

/// The log holds it twice then, for everybody alike.
#[test]
fn forgotten_submission_is_shown_once() {
    only(&[Op::AcceptAgain]);
}

/// A rewritten history was taken: the frame with the entry that must come again came after the new ones.
#[test]
fn a_rewritten_log_is_noticed_in_any_order_of_frames() {
    only(&[Op::Rewrite, Op::FrameSwap]);
}

/// A facilitator, told that a commit had expired, gave its epoch back and tore the room.
#[test]
fn a_commit_hidden_from_a_facilitator_does_not_reopen_its_epoch() {
    only(&[Op::Floor]);
}

/// The first message of somebody who had just come could be dropped unnoticed.
#[test]
fn the_first_message_of_a_sender_is_missed_too() {
    only(&[Op::Drop]);
}

/// A message that its author took for refused kept no number, and the next one could be withheld unnoticed.
#[test]
fn a_message_under_an_id_that_is_taken_keeps_its_number() {
    only(&[Op::AcceptElsewhere, Op::ConflictLie]);
}

/// Another store was believed without its showing the last entry again.
#[test]
fn another_store_shows_what_it_has() {
    only(&[Op::Stream, Op::FrameSwap, Op::Rewrite]);
}

/// A member uses an epoch up with a commit that everybody refuses, and speaks on in the next one: it looks as if others had gone
/// on. Nothing of it is believed, it is said whose it was, and the facilitator takes the room back with one command.
#[test]
fn a_room_that_a_member_ran_away_with_is_taken_back() {
    let backend = Backend::start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(Box::pin(async {
        let [mut fay, mut ben, mut mal] = ["Fay", "Ben", "Mal"].map(Person::new);
        fay.found(&backend.grant_via(backend.address())).await.unwrap();
        let link = fay.invite(3).await.unwrap();
        for person in [&mut ben, &mut mal] {
            person.knock(&link).await.unwrap();
            assert!(fay.admit(&person.name).await.unwrap());
            person.visit(async |_| Ok(())).await.unwrap();
        }
        let act = Act::Announce("I hold this room now.".into());
        mal.break_laws(true);
        let ran = mal.visit(async |live| {
            live.act(act).await?;
            live.send("and on I go".into()).await
        });
        ran.await.unwrap();
        for person in [&fay, &ben] {
            let said = person.visit(async |live| live.send("still here?".into()).await).await;
            assert!(matches!(said, Err(LiveError::LeftBehind)), "{said:?}");
            let named = |row: &Row| row.name == "Mal" && row.notices.iter().any(Notice::is_alarm);
            assert!(person.rows().iter().any(named), "{} is told who", person.name);
        }
        assert!(matches!(ben.recover().await, Err(LiveError::LeftBehind)), "only a facilitator");
        fay.recover().await.unwrap();
        let (member, category) = (mal.key.unwrap(), Category::Conduct);
        let act = Act::Remove { member, category, goodbye: String::new() };
        fay.visit(async |live| live.act(act).await).await.unwrap();
        for person in [&fay, &ben, &fay] {
            person.visit(async |live| live.send_waiting().await).await.unwrap();
        }
        let texts = |person: &Person| {
            let said = person.rows().into_iter().filter_map(|row| match row.content {
                RowContent::Text(text) => Some((row.name, text)),
                _ => None,
            });
            said.collect::<Vec<_>>()
        };
        let still = |name: &str| (name.to_owned(), "still here?".to_owned());
        assert_eq!(texts(&fay), [still("Fay"), still("Ben")]);
        assert_eq!(texts(&ben), texts(&fay));
    }));
}

/// Seeds within which the harness must notice.
const NOTICED_WITHIN: u64 = 50;

/// The control: an honest person with a client that keeps no law is deceived, and the harness says so.
#[test]
fn lawless_client_is_deceived() {
    let backend = Backend::start();
    let deceived = (0..NOTICED_WITHIN)
        .map(|seed| play(seed, Lies::AgainstLawless, &backend).violations)
        .any(|violations| violations.iter().any(|what| what.contains("I6")));
    assert!(deceived, "not noticed within {NOTICED_WITHIN} seeds");
}

#[test]
fn one_seed() {
    let Ok(seed) = std::env::var("HEARTH_HOSTILE_SEED") else { return };
    let seed: u64 = seed.parse().unwrap();
    let outcome = run(seed, Lies::Planned, &Backend::start());
    println!("{outcome:#?}");
    assert_eq!(outcome.violations, Vec::<String>::new(), "seed {seed}");
}
