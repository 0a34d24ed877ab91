//! The numeric rules of a room, enforced at acceptance, with a clock that the tests set.

#![allow(clippy::unwrap_used, clippy::panic, clippy::cast_possible_truncation)]

mod common;

use common::*;
use hearth_protocol::{
    Effect, Millis, RejectCode, Role, RoomNumbers, Seq, ServerFrame,
    frame::{Door, Notice},
    hours::{Hours, Offset, Window},
};

fn refusal(frame: &ServerFrame) -> (RejectCode, Option<u64>) {
    match frame {
        ServerFrame::Reject { code, retry_at, .. } => (*code, retry_at.map(|at| at.0)),
        other => panic!("{other:?}"),
    }
}

struct Scene {
    relay: TestRelay,
    room: TestRoom,
    member: TestMember,
}

impl Scene {
    async fn new(role: Role) -> Self {
        let relay = TestRelay::start().await;
        let mut room = TestRoom::open(&relay).await;
        let member = room.join(&relay, role).await;
        Self { relay, room, member }
    }

    async fn set(&mut self, numbers: RoomNumbers) {
        accepted(&self.room.act(vec![Effect::SetNumbers { numbers }]).await);
    }

    async fn post(&mut self) -> ServerFrame {
        self.post_bytes(10).await
    }

    async fn post_bytes(&mut self, body: usize) -> ServerFrame {
        let payload = text(self.room.id, self.room.epoch, &"x".repeat(body));
        self.member.client.submit(self.room.id, payload, vec![]).await
    }
}

#[tokio::test]
async fn pause_stops_members_until_its_end() {
    let mut scene = Scene::new(Role::Member).await;
    let until = scene.relay.now() + 600_000;
    let paused = RoomNumbers { paused_until: Millis(until), ..RoomNumbers::default() };
    scene.set(paused).await;
    assert_eq!(refusal(&scene.post().await), (RejectCode::Paused, Some(until)));
    scene.room.say("a word on the process").await;
    scene.relay.advance(600_000);
    accepted(&scene.post().await);
}

#[tokio::test]
async fn time_out_stops_and_tells_member() {
    let mut scene = Scene::new(Role::Member).await;
    let until = scene.relay.now() + 60_000;
    let member = key_of(&scene.member.key);
    let effect = Effect::Timeout { member, until: Millis(until) };
    accepted(&scene.room.act(vec![effect]).await);
    assert_eq!(refusal(&scene.post().await), (RejectCode::TimedOut, Some(until)));
    loop {
        if let ServerFrame::Notice { notice: Notice::TimedOut(end), .. } =
            scene.member.client.event().await
        {
            assert_eq!(end, Millis(until));
            break;
        }
    }
    // The rule holds for the member on another connection too.
    let mut second = scene.relay.connect().await;
    second.enter(scene.room.id, &scene.member.key).await;
    let payload = text(scene.room.id, scene.room.epoch, "round it");
    let answer = second.submit(scene.room.id, payload, vec![]).await;
    assert_eq!(code(&answer), RejectCode::TimedOut);
    assert_eq!(second.status(scene.room.id).await.timed_out_until, Millis(until));
    let lift = Effect::Timeout { member, until: Millis(0) };
    accepted(&scene.room.act(vec![lift]).await);
    accepted(&scene.post().await);
    // Facilitators cannot be timed out.
    let founder = key_of(&scene.room.key);
    let effect = Effect::Timeout { member: founder, until: Millis(until) };
    assert_eq!(code(&scene.room.act(vec![effect]).await), RejectCode::NotFound);
}

#[tokio::test]
async fn slow_mode_spaces_posts() {
    let mut scene = Scene::new(Role::Member).await;
    scene.set(RoomNumbers { slow_seconds: 600, ..RoomNumbers::default() }).await;
    let first = scene.relay.now();
    accepted(&scene.post().await);
    scene.relay.advance(1_000);
    assert_eq!(refusal(&scene.post().await), (RejectCode::SlowMode, Some(first + 600_000)));
    scene.relay.advance(599_000);
    accepted(&scene.post().await);
    scene.room.say("facilitators are exempt").await;
    scene.room.say("always").await;
}

#[tokio::test]
async fn budget_returns_after_a_day() {
    let mut scene = Scene::new(Role::Member).await;
    scene.set(RoomNumbers { budget_per_day: 3, ..RoomNumbers::default() }).await;
    for _ in 0..3 {
        accepted(&scene.post().await);
    }
    let (code, retry_at) = refusal(&scene.post().await);
    assert_eq!(code, RejectCode::BudgetSpent);
    let retry_at = retry_at.unwrap();
    let day = 24 * 3_600_000;
    assert!(retry_at > scene.relay.now() + day && retry_at <= scene.relay.now() + day + 900_000);
    scene.relay.advance(retry_at - scene.relay.now() - 1);
    assert_eq!(common::code(&scene.post().await), RejectCode::BudgetSpent);
    scene.relay.advance(1);
    accepted(&scene.post().await);
}

#[tokio::test]
async fn length_limit_is_enforced() {
    let mut scene = Scene::new(Role::Member).await;
    scene.set(RoomNumbers { payload_bytes_max: 200, ..RoomNumbers::default() }).await;
    accepted(&scene.post_bytes(100).await);
    assert_eq!(code(&scene.post_bytes(300).await), RejectCode::TooLong);
}

#[tokio::test]
async fn hours_and_the_door_decide_together() {
    let mut scene = Scene::new(Role::Member).await;
    // The clock starts on a Monday at midnight; the room is open from nine to ten.
    let hours = Hours {
        windows: vec![Window { start_minute: 540, end_minute: 600 }],
        offsets: vec![Offset { from: Millis(0), minutes: 0 }],
    };
    let by_hours = RoomNumbers { hours: Some(hours), ..RoomNumbers::default() };
    scene.set(by_hours.clone()).await;
    assert_eq!(refusal(&scene.post().await), (RejectCode::Closed, Some(START + 540 * 60_000)));
    scene.set(RoomNumbers { door: Door::Open, ..by_hours.clone() }).await;
    accepted(&scene.post().await);
    scene.set(by_hours.clone()).await;
    scene.relay.advance(540 * 60_000);
    accepted(&scene.post().await);
    scene.set(RoomNumbers { door: Door::Closed, ..by_hours }).await;
    assert_eq!(refusal(&scene.post().await), (RejectCode::Closed, None));
    scene.room.say("the house rules still stand").await;
}

#[tokio::test]
async fn observers_read_only_and_may_leave() {
    let mut scene = Scene::new(Role::Observer).await;
    assert_eq!(code(&scene.post().await), RejectCode::Observer);
    let (id, epoch) = (scene.room.id, scene.room.epoch);
    let client = &mut scene.member.client;
    for entry in [vec![], text(id, epoch, "and another thing")] {
        let answer = client.submit(id, entry, vec![Effect::Leave]).await;
        assert_eq!(code(&answer), RejectCode::BadPayload);
    }
    accepted(&client.submit(id, marked(id, epoch, 900), vec![Effect::Leave]).await);
}

#[tokio::test]
async fn no_rule_stops_leaving_or_retracting() {
    let mut scene = Scene::new(Role::Member).await;
    let id = random_id();
    let payload = text(scene.room.id, scene.room.epoch, "regretted");
    let seq = accepted(&scene.member.client.submit_as(scene.room.id, id, payload, vec![]).await);
    let until = Millis(scene.relay.now() + 600_000);
    let paused = RoomNumbers {
        paused_until: until,
        slow_seconds: 600,
        budget_per_day: 1,
        door: Door::Closed,
        ..RoomNumbers::default()
    };
    scene.set(paused).await;
    let member = key_of(&scene.member.key);
    accepted(&scene.room.act(vec![Effect::Timeout { member, until }]).await);
    let retract = Effect::Retract { seq, own: Some(id) };
    let payload = marked(scene.room.id, scene.room.epoch, 900);
    let client = &mut scene.member.client;
    accepted(&client.submit(scene.room.id, payload, vec![retract.clone()]).await);
    // Only once: a retraction without effect does not evade the rules.
    scene.relay.advance(10_000);
    let payload = marked(scene.room.id, scene.room.epoch, 900);
    let answer = client.submit(scene.room.id, payload, vec![retract]).await;
    assert_eq!(code(&answer), RejectCode::NotFound);
    // A facilitator's effect may find its state already there; but an absent entry cannot be retracted.
    accepted(&scene.room.act(vec![Effect::Retract { seq, own: None }]).await);
    for seq in [Seq(0), Seq(seq.0 + 9)] {
        let answer = scene.room.act(vec![Effect::Retract { seq, own: None }]).await;
        assert_eq!(code(&answer), RejectCode::NotFound);
    }
    let (id, epoch) = (scene.room.id, scene.room.epoch);
    let client = &mut scene.member.client;
    let answer = client.submit(id, text(id, epoch, "words"), vec![]).await;
    assert_eq!(code(&answer), RejectCode::TimedOut);
    accepted(&client.submit(id, marked(id, epoch, 900), vec![Effect::Leave]).await);
}

#[tokio::test]
async fn unenforceable_numbers_are_refused() {
    let mut scene = Scene::new(Role::Member).await;
    let hours = Hours { windows: vec![], offsets: vec![] };
    for numbers in [
        RoomNumbers { hours: Some(hours), ..RoomNumbers::default() },
        RoomNumbers { retention_seconds: 1, ..RoomNumbers::default() },
        RoomNumbers { retention_seconds: u64::MAX, ..RoomNumbers::default() },
    ] {
        let effect = Effect::SetNumbers { numbers };
        assert_eq!(code(&scene.room.act(vec![effect]).await), RejectCode::BadFrame);
    }
}
