//! One order for all members, and each submission once.

#![allow(clippy::unwrap_used, clippy::panic, clippy::cast_possible_truncation)]

mod common;

use std::time::{Duration, Instant};

use common::*;
use hearth_protocol::{
    ClientFrame, Effect, Epoch, Millis, RejectCode, Role, RoomId, RoomNumbers, Seq, ServerFrame,
    limits::PAYLOAD_BYTES_MAX,
};

/// Also after the epoch has advanced.
#[tokio::test]
async fn repeated_submission_is_applied_once() {
    let relay = TestRelay::start().await;
    let mut room = TestRoom::open(&relay).await;
    let id = random_id();
    let payload = text(room.id, 0, "once");
    let first = room.founder.submit_as(room.id, id, payload.clone(), vec![]).await;
    let seq = accepted(&first);
    accepted(&room.commit(vec![]).await);
    relay.advance(60_000);
    let again = room.founder.submit_as(room.id, id, payload.clone(), vec![]).await;
    let (ServerFrame::Accepted { at: a, .. }, ServerFrame::Accepted { at: b, .. }) =
        (&first, &again)
    else {
        panic!()
    };
    assert_eq!((accepted(&again), a), (seq, b));
    let other = text(room.id, 1, "another content");
    let answer = room.founder.submit_as(room.id, id, other, vec![]).await;
    assert_eq!(code(&answer), RejectCode::IdConflict);
    let answer = room.founder.submit_as(room.id, id, payload.clone(), vec![Effect::Leave]).await;
    assert_eq!(code(&answer), RejectCode::IdConflict);
    // Each member has their own ids.
    let mut member = room.join(&relay, Role::Member).await;
    let payload = text(room.id, room.epoch, "mine");
    let answer = member.client.submit_as(room.id, id, payload, vec![]).await;
    assert!(accepted(&answer) > seq);
    assert_eq!(room.founder.status(room.id).await.head, accepted(&answer));
}

#[tokio::test]
async fn effects_without_entry_apply_once() {
    let relay = TestRelay::start().await;
    let mut room = TestRoom::open(&relay).await;
    let id = random_id();
    let token = hearth_protocol::Secret32::new(random());
    let effect = room.invite_effect(&token, 1, Millis::NEVER);
    let first = room.founder.submit_as(room.id, id, vec![], vec![effect.clone()]).await;
    let again = room.founder.submit_as(room.id, id, vec![], vec![effect]).await;
    let of = |frame: &ServerFrame| match frame {
        ServerFrame::Accepted { seq, at, control, .. } => (*seq, *at, *control),
        other => panic!("{other:?}"),
    };
    assert_eq!(of(&first), of(&again));
    assert_eq!((of(&first).0, of(&first).2), (Seq(0), 1));
}

/// Of two commits in one epoch, one wins.
#[tokio::test]
async fn only_current_epoch_is_accepted() {
    let relay = TestRelay::start().await;
    let mut room = TestRoom::open(&relay).await;
    let mut member = room.join(&relay, Role::Member).await;
    let (id, epoch) = (room.id, room.epoch);
    for wrong in [epoch - 1, epoch + 1, u64::MAX] {
        for payload in [text(id, wrong, "x"), commit(id, wrong)] {
            let answer = room.founder.submit(id, payload, vec![]).await;
            assert_eq!(code(&answer), RejectCode::EpochConflict);
        }
    }
    let (mine, theirs) = (commit(id, epoch), commit(id, epoch));
    let (a, b) = tokio::join!(
        room.founder.submit(id, mine, vec![]),
        member.client.submit(id, theirs, vec![])
    );
    let won = [&a, &b].iter().filter(|f| matches!(f, ServerFrame::Accepted { .. })).count();
    assert_eq!(won, 1);
    let lost = if matches!(a, ServerFrame::Accepted { .. }) { &b } else { &a };
    assert_eq!(code(lost), RejectCode::EpochConflict);
    assert_eq!(room.founder.status(id).await.epoch, Epoch(epoch + 1));
}

#[tokio::test]
async fn facilitator_can_reopen_used_up_epoch() {
    let relay = TestRelay::start().await;
    let mut room = TestRoom::open(&relay).await;
    accepted(&room.commit(vec![]).await);
    accepted(&room.commit(vec![]).await);
    for wrong in [0, 2] {
        let effect = Effect::Reopen { epoch: Epoch(wrong) };
        assert_eq!(code(&room.act(vec![effect]).await), RejectCode::EpochConflict);
    }
    let reopen = Effect::Reopen { epoch: Epoch(1) };
    let payload = commit(room.id, 1);
    accepted(&room.founder.submit(room.id, payload, vec![reopen]).await);
    assert_eq!(room.founder.status(room.id).await.epoch, Epoch(2));
    // An epoch ahead, after a restored backup: only a facilitator may reopen it.
    let mut second = room.join_at(&relay, Role::CoFacilitator, 2).await;
    let ahead = Effect::Reopen { epoch: Epoch(9) };
    let answer = second.client.submit(room.id, vec![], vec![ahead.clone()]).await;
    assert_eq!(code(&answer), RejectCode::NotFacilitator);
    accepted(&room.act(vec![ahead]).await);
    assert_eq!(room.founder.status(room.id).await.epoch, Epoch(9));
}

#[tokio::test]
async fn foreign_payloads_are_refused() {
    let relay = TestRelay::start().await;
    let mut room = TestRoom::open(&relay).await;
    let id = room.id;
    let proposal = message(id, 0, 2, b"x");
    let mut public = text(id, 0, "x");
    public[3] = 1;
    for payload in [text(RoomId([9; 16]), 0, "x"), proposal, public, vec![0; 64], vec![1]] {
        let answer = room.founder.submit(id, payload, vec![]).await;
        assert_eq!(code(&answer), RejectCode::BadPayload);
    }
    let empty = room.founder.submit(id, vec![], vec![]).await;
    assert_eq!(code(&empty), RejectCode::BadFrame);
    let long = message(id, 0, 1, &vec![7; PAYLOAD_BYTES_MAX]);
    assert_eq!(code(&room.founder.submit(id, long, vec![]).await), RejectCode::TooLarge);
}

#[tokio::test]
async fn submission_expecting_another_state_is_refused() {
    let relay = TestRelay::start().await;
    let mut room = TestRoom::open(&relay).await;
    let numbers = RoomNumbers { slow_seconds: 5, ..RoomNumbers::default() };
    let effect = Effect::SetNumbers { numbers };
    let frame = |req, expect, epoch| ClientFrame::Submit {
        req,
        room: room.id,
        id: random_id(),
        payload: commit(room.id, epoch),
        expect: Some(expect),
        effects: vec![effect.clone()],
        after: Seq(0),
    };
    let (first, second, third) = (frame(1, 0, 0), frame(2, 0, 1), frame(3, 1, 1));
    accepted(&room.founder.ask(first).await);
    assert_eq!(code(&room.founder.ask(second).await), RejectCode::StateChanged);
    accepted(&room.founder.ask(third).await);
    room.epoch = 2;
    // A failed effect cancels the effects before it.
    let before = room.founder.status(room.id).await;
    let effects = vec![
        Effect::SetNumbers { numbers: RoomNumbers::default() },
        Effect::Timeout { member: key_of(&key()), until: Millis::NEVER },
    ];
    assert_eq!(code(&room.act(effects).await), RejectCode::NotFound);
    assert_eq!(room.founder.status(room.id).await, before);
}

#[tokio::test]
async fn members_commits_are_paced() {
    let relay = TestRelay::start().await;
    let mut room = TestRoom::open(&relay).await;
    let mut member = room.join(&relay, Role::Member).await;
    for _ in 0..5 {
        let payload = commit(room.id, room.epoch);
        accepted(&member.client.submit(room.id, payload, vec![]).await);
        room.epoch += 1;
    }
    let payload = commit(room.id, room.epoch);
    let answer = member.client.submit(room.id, payload.clone(), vec![]).await;
    assert_eq!(code(&answer), RejectCode::RateLimited);
    relay.advance(2_000);
    accepted(&member.client.submit(room.id, payload, vec![]).await);
}

/// Counts the rows of all tables.
fn rows(relay: &TestRelay) -> i64 {
    let db = rusqlite::Connection::open(relay.path().join("hearth.db")).unwrap();
    let mut names = db.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").unwrap();
    let names = names.query_map([], |row| row.get::<_, String>(0)).unwrap();
    let count = |name: String| {
        db.query_row(&format!("SELECT count(*) FROM \"{name}\""), [], |row| row.get::<_, i64>(0))
    };
    names.map(|name| count(name.unwrap()).unwrap()).sum()
}

/// Time that the relay takes to accept the founder's posts.
async fn time_to_say(room: &mut TestRoom) -> Duration {
    let begun = Instant::now();
    room.say("as ever").await;
    begun.elapsed()
}

/// Also without a pace. Every member would have to keep a proposal, and could not send until a commit covers it.
#[tokio::test]
async fn refused_proposals_leave_nothing() {
    const PROPOSAL: u8 = 2;
    const TURNS: usize = 100;
    let unpaced = |config: &mut hearth_server::Config| {
        (config.frames_per_second, config.frames_burst) = (1_000_000, 1_000_000);
    };
    let relay = TestRelay::start_with(unpaced).await;
    let mut room = TestRoom::open(&relay).await;
    let mut member = room.join(&relay, Role::Member).await;
    let mut quiet = Vec::new();
    for _ in 0..TURNS {
        quiet.push(time_to_say(&mut room).await);
    }
    let before = rows(&relay);
    let mut beside = Vec::new();
    for _ in 0..TURNS {
        for _ in 0..TURNS {
            let (room, id, req) = (room.id, random_id(), member.client.req());
            let payload = message(room, 1, PROPOSAL, &random::<16>());
            let effects = vec![];
            let submit = ClientFrame::Submit {
                req,
                room,
                id,
                payload,
                expect: None,
                effects,
                after: Seq(0),
            };
            member.client.say(&submit).await;
        }
        beside.push(time_to_say(&mut room).await);
        for _ in 0..TURNS {
            assert_eq!(code(&member.client.answer().await), RejectCode::BadPayload);
        }
    }
    // At most two rows for each post of the founder; the store may delete expired rows meanwhile.
    assert!(rows(&relay) <= before + 2 * i64::try_from(TURNS).unwrap());
    let median = |times: &mut Vec<Duration>| {
        times.sort_unstable();
        times[TURNS / 2]
    };
    let (quiet, beside) = (median(&mut quiet), median(&mut beside));
    eprintln!("half of the founder's words are taken in {quiet:.1?}, in the storm in {beside:.1?}");
    // The target is a factor of two; the bound leaves room for a busy machine.
    assert!(beside <= 4 * quiet.max(Duration::from_millis(2)), "{beside:?}, not {quiet:?}");
    // The sender is still a member, and the relay accepts their posts.
    let words = text(room.id, room.epoch, "well");
    accepted(&member.client.submit(room.id, words, vec![]).await);
}

#[tokio::test]
async fn all_members_get_one_order() {
    let relay = TestRelay::start().await;
    let mut room = TestRoom::open(&relay).await;
    let mut writers = Vec::new();
    for _ in 0..4 {
        writers.push(room.join(&relay, Role::Member).await);
    }
    let from = room.founder.status(room.id).await.head.0;
    room.founder.subscribe(room.id, from).await;
    let mut tasks = tokio::task::JoinSet::new();
    for mut writer in writers {
        let (id, epoch) = (room.id, room.epoch);
        tasks.spawn(async move {
            writer.client.subscribe(id, from).await;
            // Pipelined: the client sends the next request before the answer.
            for index in 0..100 {
                let payload = text(id, epoch, &format!("{index}"));
                let frame = ClientFrame::Submit {
                    req: 1000 + index,
                    room: id,
                    id: random_id(),
                    payload,
                    expect: None,
                    effects: vec![],
                    after: Seq(0),
                };
                writer.client.say(&frame).await;
            }
            let mut answers = Vec::new();
            let mut entries = Vec::new();
            while answers.len() < 100 || entries.len() < 400 {
                match writer.client.hear().await {
                    ServerFrame::Accepted { req, seq, .. } => answers.push((req, seq)),
                    ServerFrame::Entries { entries: some, .. } => entries.extend(some),
                    other => panic!("{other:?}"),
                }
            }
            assert!(answers.is_sorted());
            entries
        });
    }
    let expected = room.founder.entries_to(from + 400).await;
    let seqs: Vec<u64> = expected.iter().map(|entry| entry.seq.0).collect();
    assert_eq!(seqs, (from + 1..=from + 400).collect::<Vec<_>>());
    while let Some(entries) = tasks.join_next().await {
        assert_eq!(entries.unwrap(), expected);
    }
    // A member who connects later reads the same from the store.
    let mut late = relay.connect().await;
    late.enter(room.id, &room.key).await;
    late.subscribe(room.id, from).await;
    assert_eq!(late.entries_to(from + 400).await, expected);
}

#[tokio::test]
async fn largest_entries_arrive() {
    let relay = TestRelay::start().await;
    let mut room = TestRoom::open(&relay).await;
    room.founder.subscribe(room.id, 0).await;
    let body = vec![7; PAYLOAD_BYTES_MAX - 31];
    for _ in 0..5 {
        let payload = message(room.id, 0, 1, &body);
        accepted(&room.founder.submit(room.id, payload, vec![]).await);
    }
    assert_eq!(room.founder.entries_to(5).await.len(), 5);
    let mut late = relay.connect().await;
    late.enter(room.id, &room.key).await;
    late.subscribe(room.id, 0).await;
    assert_eq!(late.entries_to(5).await.len(), 5);
}
