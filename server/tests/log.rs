//! One order for all, each submission once.

#![allow(clippy::unwrap_used, clippy::panic, clippy::cast_possible_truncation)]

mod common;

use common::*;
use hearth_protocol::{
    ClientFrame, Effect, Epoch, Millis, RejectCode, Role, RoomId, RoomNumbers, Seq, ServerFrame,
    limits::PAYLOAD_BYTES_MAX,
};

#[tokio::test]
async fn the_same_submission_is_applied_once_also_after_the_epoch_moved_on() {
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
    // Ids are each member's own.
    let mut member = room.join(&relay, Role::Member).await;
    let payload = text(room.id, room.epoch, "mine");
    let answer = member.client.submit_as(room.id, id, payload, vec![]).await;
    assert!(accepted(&answer) > seq);
    assert_eq!(room.founder.status(room.id).await.head, accepted(&answer));
}

#[tokio::test]
async fn effects_without_an_entry_are_applied_once_too() {
    let relay = TestRelay::start().await;
    let mut room = TestRoom::open(&relay).await;
    let id = random_id();
    let effect = Effect::SetNumbers { numbers: RoomNumbers::default() };
    let first = room.founder.submit_as(room.id, id, vec![], vec![effect.clone()]).await;
    let again = room.founder.submit_as(room.id, id, vec![], vec![effect]).await;
    let of = |frame: &ServerFrame| match frame {
        ServerFrame::Accepted { seq, at, control, .. } => (*seq, *at, *control),
        other => panic!("{other:?}"),
    };
    assert_eq!(of(&first), of(&again));
    assert_eq!((of(&first).0, of(&first).2), (Seq(0), 1));
}

#[tokio::test]
async fn only_the_current_epoch_is_taken_and_one_commit_wins() {
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
async fn a_used_up_epoch_can_be_reopened_by_facilitators() {
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
    // Ahead, after a restored backup, by the facilitator alone.
    let mut second = room.join_at(&relay, Role::CoFacilitator, 2).await;
    let ahead = Effect::Reopen { epoch: Epoch(9) };
    let answer = second.client.submit(room.id, vec![], vec![ahead.clone()]).await;
    assert_eq!(code(&answer), RejectCode::EpochConflict);
    accepted(&room.act(vec![ahead]).await);
    assert_eq!(room.founder.status(room.id).await.epoch, Epoch(9));
}

#[tokio::test]
async fn what_is_no_private_message_of_the_room_is_refused() {
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
async fn a_submission_that_expects_another_state_is_refused_whole() {
    let relay = TestRelay::start().await;
    let mut room = TestRoom::open(&relay).await;
    let numbers = RoomNumbers { slow_seconds: 5, ..RoomNumbers::default() };
    let effect = Effect::SetNumbers { numbers };
    let frame = |req, expect| ClientFrame::Submit {
        req,
        room: room.id,
        id: random_id(),
        payload: vec![],
        expect: Some(expect),
        effects: vec![effect.clone()],
    };
    let (first, second, third) = (frame(1, 0), frame(2, 0), frame(3, 1));
    accepted(&room.founder.ask(first).await);
    assert_eq!(code(&room.founder.ask(second).await), RejectCode::StateChanged);
    accepted(&room.founder.ask(third).await);
    // An effect that fails takes those before it along.
    let before = room.founder.status(room.id).await;
    let effects = vec![
        Effect::SetNumbers { numbers: RoomNumbers::default() },
        Effect::Timeout { member: key_of(&key()), until: Millis::NEVER },
    ];
    assert_eq!(code(&room.act(effects).await), RejectCode::NotFound);
    assert_eq!(room.founder.status(room.id).await, before);
}

#[tokio::test]
async fn a_member_s_commits_are_paced() {
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

#[tokio::test]
async fn everybody_gets_every_entry_in_one_order() {
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
            // Pipelined: nothing waits for an answer before the next is said.
            for index in 0..100 {
                let payload = text(id, epoch, &format!("{index}"));
                let frame = ClientFrame::Submit {
                    req: 1000 + index,
                    room: id,
                    id: random_id(),
                    payload,
                    expect: None,
                    effects: vec![],
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
    // Who comes later reads the same from the store.
    let mut late = relay.connect().await;
    late.enter(room.id, &room.key).await;
    late.subscribe(room.id, from).await;
    assert_eq!(late.entries_to(from + 400).await, expected);
}

#[tokio::test]
async fn entries_of_the_greatest_size_arrive() {
    let relay = TestRelay::start().await;
    let mut room = TestRoom::open(&relay).await;
    room.founder.subscribe(room.id, 0).await;
    let body = vec![7; PAYLOAD_BYTES_MAX - 30];
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
