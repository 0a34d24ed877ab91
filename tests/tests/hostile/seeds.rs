//! The hostile relay: seeds, and the proof that the harness notices when a defence is off.

use std::time::Duration;

use super::scene::{Lies, Scene};
use crate::world::{
    Outcome, Person, WRONG_CLOCKS, World,
    lies::Op,
    play::{self, block_on},
};
use hearth_engine::{
    Room,
    accord::{Mismatch, Waits},
    act::InviteTerms,
    agreement::Change,
    policy::Act,
    state::{Notice, Row, RowContent},
};
use hearth_protocol::{RejectCode, Role};
use hearth_session::live::{Live, LiveError};
use tokio::time::Instant;

/// Seeds of a run where none is asked for.
const SEEDS: u64 = 50;

/// Plays a seed; a panic is a violation (I8). The relay's clock is each of the wrong ones in turn, and of 16
/// seeds the last 8 have faults of relay and network besides.
fn run(seed: u64, lies: Lies<'_>) -> Outcome {
    let clocks = WRONG_CLOCKS.len();
    let (at, has_faults) = (usize::try_from(seed).unwrap(), !(seed / 8).is_multiple_of(2));
    play::play(Scene::play(seed, lies, WRONG_CLOCKS[at % clocks], has_faults))
}

fn assert_passes(seed: u64, lies: Lies<'_>) -> Outcome {
    let outcome = run(seed, lies);
    assert_eq!(outcome.violations, Vec::<String>::new(), "{lies:?}, seed {seed}");
    outcome
}

#[test]
fn without_lies_nobody_is_warned() {
    for seed in 0..2 * WRONG_CLOCKS.len() as u64 {
        assert_passes(seed, Lies::None);
    }
}

#[test]
fn campaign() {
    play::campaign("HOSTILE", SEEDS, false, |seed| run(seed, Lies::Planned));
}

#[test]
fn one_seed() {
    play::one_seed("HOSTILE", |seed| run(seed, Lies::Planned));
}

/// Plays some seeds with a few lies only, told very often.
fn only(ops: &[Op]) {
    let outcomes = (0..4).map(|seed| assert_passes(seed, Lies::Only(ops)));
    let lies = outcomes.flat_map(|outcome| outcome.counts);
    let told: u64 = lies.filter(|(what, _)| what.starts_with("lie ")).map(|(_, many)| many).sum();
    assert!(told > 0, "{ops:?} came to nothing");
}

// Found by seeds of earlier plans. A plan changes with every new lie, so what was found stays as the lies that did it.

/// The client submitted forever, because the relay answered with a place past which the client was, and showed nothing there.
#[test]
fn submission_accepted_elsewhere_ends() {
    only(&[Op::AcceptElsewhere]);
}

/// The log holds it twice then, for everybody alike.
#[test]
fn forgotten_submission_is_shown_once() {
    only(&[Op::AcceptAgain]);
}

/// A rewritten history was taken: the frame with the entry that must come again came after the new ones.
#[test]
fn rewritten_log_is_noticed() {
    only(&[Op::Rewrite, Op::FrameSwap]);
}

/// A facilitator, told that a commit had expired, gave its epoch back and tore the room.
#[test]
fn hidden_commit_reopens_no_epoch() {
    only(&[Op::Floor]);
}

/// The first message of a newcomer could be dropped unnoticed.
#[test]
fn dropped_first_message_is_missed() {
    only(&[Op::Drop]);
}

/// A message that its author took for refused kept no number, and the next one could be withheld unnoticed.
#[test]
fn refused_message_keeps_its_number() {
    only(&[Op::AcceptElsewhere, Op::ConflictLie]);
}

/// Another store was believed although it did not show the last entry again.
#[test]
fn other_store_shows_its_last_entry() {
    only(&[Op::Stream, Op::FrameSwap, Op::Rewrite]);
}

/// A member uses an epoch up with a commit that everybody refuses, and speaks on in the next one: it looks as if others had gone
/// on. No client believes it, each names the member, and the facilitator takes the room back with one command.
#[test]
fn runaway_room_is_taken_back() {
    block_on(async {
        let world = World::hostile(1, &["Fay", "Ben", "Mal"], 0);
        let [mut fay, mut ben, mut mal] = [0, 1, 2].map(|who| Person::in_world(&world, who));
        fay.found(&world.grant).await.unwrap();
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
        let member = mal.key.unwrap();
        let act = Act::Remove { member, goodbye: String::new() };
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
    });
}

/// The relay refuses every enactment: it is told, and everything else goes on.
#[test]
fn a6_refused_enactment_stops_nothing() {
    block_on(async {
        let world = World::hostile(1, &["Fay", "Ben"], 0);
        let [mut fay, mut ben] = [0, 1].map(|who| Person::in_world(&world, who));
        fay.found(&world.grant).await.unwrap();
        ben.knock(&fay.invite(1).await.unwrap()).await.unwrap();
        assert!(fay.admit("Ben").await.unwrap());
        world.stage().refuses_agreements = true;
        let amended = fay.visit(async |live| {
            let now = live.moment().earlier();
            let text = "What is said here stays here. Phones stay outside.".to_owned();
            let change = Change::Material;
            let agreement =
                live.send_own(|room| room.queue_amendment(text, change, now, now)).await?;
            live.amend(&agreement, false).await
        });
        amended.await.unwrap();
        for words in ["Still here.", "And now."] {
            let went_on = fay.visit(async |live| {
                live.tend().await?;
                live.act(Act::Announce(words.into())).await?;
                live.send(words.into()).await
            });
            went_on.await.unwrap();
            let told = fay.room().unwrap().mismatches().unwrap();
            assert!(
                told.iter()
                    .any(|what| matches!(what, Mismatch::Amendment { why: Waits::Refused, .. })),
                "{told:?}"
            );
        }
        world.stage().refuses_agreements = false;
        fay.visit(async |live| live.tend().await).await.unwrap();
        assert_eq!(fay.room().unwrap().policy().unwrap().agreement.version, 2);
    });
}

/// The relay refuses a long text because the room is full: what else waits goes out, and commands answer for themselves.
#[test]
fn refused_text_fails_no_command() {
    block_on(async {
        let world = World::hostile(1, &["Fay", "Ben"], 0);
        let [mut fay, mut ben] = [0, 1].map(|who| Person::in_world(&world, who));
        fay.found(&world.grant).await.unwrap();
        ben.knock(&fay.invite(1).await.unwrap()).await.unwrap();
        assert!(fay.admit("Ben").await.unwrap());
        world.stage().message_bytes_max = 9_000;
        fay.room().unwrap().queue_text("long ".repeat(2_000), fay.now()).unwrap();
        let full = |sent: Result<(), LiveError>| {
            let full = RejectCode::QuotaSpent;
            assert!(
                matches!(sent, Err(LiveError::Refused { code, kept: true, .. }) if code == full)
            );
        };
        let did = fay.visit(async |live| {
            full(live.flush().await);
            let (now, ben) = (live.room.now(), live.room.find_member("Ben")?.member);
            let until = live.relay_now().plus(60_000);
            let queue = |room: &mut Room<'_>| room.queue_time_out(ben, until, String::new(), now);
            let time_out = live.send_own(queue).await?;
            live.commit(|room, now| room.time_out(&time_out, now)).await?;
            let terms = InviteTerms { uses: 1, expires: until, role: Role::Member };
            live.send_own(|room| room.invite(terms, now)).await?;
            live.act(Act::Announce("All goes on.".into())).await?;
            Ok(())
        });
        did.await.unwrap();
        // The long text waits for its author, and what is short goes out.
        fay.visit(async |live| live.send("short".into()).await).await.unwrap();
        world.stage().message_bytes_max = usize::MAX;
        let sent = fay.visit(async |live| {
            let held = live.room.held_texts()?;
            assert_eq!(held.len(), 1);
            let now = live.room.now();
            live.room.release(&held[0].0, now)?;
            live.flush().await
        });
        sent.await.unwrap();
        ben.visit(async |live| live.tend().await).await.unwrap();
        let texts: Vec<usize> = ben
            .rows()
            .iter()
            .filter_map(|row| match &row.content {
                RowContent::Text(text) => Some(text.len()),
                _ => None,
            })
            .collect();
        assert_eq!(texts, [5, 10_000]);
        assert!(!ben.warned(), "{:?}", ben.rows());
    });
}

/// A long history over a slow network is compared to its end, because each arrival gives the relay more time.
#[test]
fn slow_history_is_compared_whole() {
    block_on(async {
        let world = World::hostile(1, &["Fay", "Ben"], 0);
        let [mut fay, mut ben] = [0, 1].map(|who| Person::in_world(&world, who));
        fay.found(&world.grant).await.unwrap();
        ben.knock(&fay.invite(1).await.unwrap()).await.unwrap();
        assert!(fay.admit("Ben").await.unwrap());
        let words = (0..40).map(|number| format!("{number} ").repeat(3_000));
        for text in words {
            fay.visit(async |live| live.send(text).await).await.unwrap();
        }
        world.links[0].slow_down(Duration::from_secs(15));
        let before = Instant::now();
        let answer = Live::recovery(&fay.network, fay.room().unwrap()).await;
        assert!(matches!(answer, Err(LiveError::NothingToRecover)), "{:?}", answer.err());
        assert!(before.elapsed() > Duration::from_secs(40), "{:?}", before.elapsed());
    });
}

/// Seeds within which the harness must notice.
const NOTICED_WITHIN: u64 = 50;

/// The control: an honest person with a client that keeps no law is deceived, and the harness says so.
#[test]
fn lawless_client_is_deceived() {
    let deceived = (0..NOTICED_WITHIN)
        .map(|seed| run(seed, Lies::AgainstLawless).violations)
        .any(|violations| violations.iter().any(|what| what.contains("I6")));
    assert!(deceived, "not noticed within {NOTICED_WITHIN} seeds");
}
