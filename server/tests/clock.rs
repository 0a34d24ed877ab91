//! A relay whose clock jumps. Entries are ordered by number, waits use the monotonic clock, and sums of times saturate.

#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::sync::atomic::Ordering;

use common::*;
use hearth_protocol::{Millis, RejectCode, Role, RoomNumbers, ServerFrame};

const DAY: u64 = 24 * 3_600_000;
/// 2038-01-19T03:14:07Z, where 32 bits end.
const END_OF_32_BITS: u64 = 2_147_483_647_000;

/// Times to which a clock may jump.
const JUMPS: [u64; 7] =
    [START + 365 * DAY, START - DAY, END_OF_32_BITS, END_OF_32_BITS + 1_000, 0, u64::MAX, START];

#[tokio::test]
async fn clock_jump_keeps_order_and_connections() {
    let relay = TestRelay::start().await;
    let mut room = TestRoom::open(&relay).await;
    let mut member = room.join(&relay, Role::Member).await;
    let mut last = member.joined.0;
    member.client.subscribe(room.id, last).await;
    for now in JUMPS {
        relay.clock.store(now, Ordering::Relaxed);
        let seq = room.say(&format!("at {now}")).await;
        assert_eq!(seq.0, last + 1, "{now}");
        last = seq.0;
        let read = member.client.entries_to(last).await;
        assert_eq!(read.len(), 1);
        // A new connection gets in, and reads the same.
        let mut again = relay.connect().await;
        again.enter(room.id, &member.key).await;
        again.subscribe(room.id, last - 1).await;
        assert_eq!(again.entries_to(last).await, read);
        let answer =
            member.client.submit(room.id, text(room.id, room.epoch, "me, too"), vec![]).await;
        last = accepted(&answer).0;
        assert_eq!(member.client.entries_to(last).await.len(), 1);
    }
}

/// A time limit ends even if the clock goes back.
#[tokio::test]
async fn clock_jump_keeps_rules_bounded() {
    let relay = TestRelay::start().await;
    let mut room = TestRoom::open(&relay).await;
    let mut member = room.join(&relay, Role::Member).await;
    let numbers = RoomNumbers { slow_seconds: 60, ..RoomNumbers::default() };
    accepted(&room.act(vec![hearth_protocol::Effect::SetNumbers { numbers }]).await);
    for now in JUMPS {
        relay.clock.store(now, Ordering::Relaxed);
        let post = || text(room.id, room.epoch, "word");
        let answer = member.client.submit(room.id, post(), vec![]).await;
        if let ServerFrame::Reject { code, retry_at, .. } = &answer {
            assert_eq!(*code, RejectCode::SlowMode, "{now}");
            let wait = retry_at.unwrap().0.saturating_sub(now);
            assert!(wait <= 60_000, "at {now} the member waits for {wait} ms");
            relay.advance(wait);
            accepted(&member.client.submit(room.id, post(), vec![]).await);
        }
        // A second post at the same time is too soon at any time, except at the end of time, where sums saturate.
        let second = member.client.submit(room.id, post(), vec![]).await;
        assert!(now == u64::MAX || code(&second) == RejectCode::SlowMode, "{now}: {second:?}");
    }
}

/// An expired invite stays expired as long as the clock says so, and an invite without an end never expires.
#[tokio::test]
async fn invite_expires_by_relay_clock() {
    let relay = TestRelay::start().await;
    let mut room = TestRoom::open(&relay).await;
    let token = hearth_protocol::Secret32::new(random());
    let expires = Millis(START + DAY);
    let effect = room.invite_effect(&token, 5, expires);
    accepted(&room.act(vec![effect]).await);
    let endless = room.invite(100).await;
    for now in JUMPS {
        relay.clock.store(now, Ordering::Relaxed);
        for (token, good) in [(&token, now < expires.0), (&endless, now < Millis::NEVER.0)] {
            let key = key();
            let mut client = relay.connect().await;
            let triple = acknowledge(room.id, &key, AGREEMENT);
            let answer = client.knock(room.id, &key, token, triple).await;
            let taken = matches!(answer, ServerFrame::Authenticated { .. });
            assert_eq!(taken, good, "{now}: {answer:?}");
        }
    }
}
