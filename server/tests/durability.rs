//! Accepted entries survive; expired entries are deleted.

#![allow(clippy::unwrap_used, clippy::panic, clippy::cast_possible_truncation)]

mod common;

use common::*;
use hearth_protocol::{
    Effect, RejectCode, Role, RoomNumbers, ServerFrame, StreamId, error::close, frame::Standing,
};
use hearth_server::{Config, Relay, StartError};

async fn stream_of(client: &mut Client, room: hearth_protocol::RoomId) -> StreamId {
    client.status(room).await.stream
}

#[tokio::test]
async fn restart_keeps_everything() {
    let relay = TestRelay::start().await;
    let mut room = TestRoom::open(&relay).await;
    let mut member = room.join(&relay, Role::Member).await;
    let numbers = RoomNumbers { slow_seconds: 5, ..RoomNumbers::default() };
    accepted(&room.act(vec![Effect::SetNumbers { numbers }]).await);
    let id = random_id();
    let payload = text(room.id, room.epoch, "kept");
    let answer = member.client.submit_as(room.id, id, payload.clone(), vec![]).await;
    let seq = accepted(&answer);
    let token = room.invite(1).await;
    let before = room.founder.status(room.id).await;

    let relay = relay.restart().await;
    let mut founder = relay.connect().await;
    founder.enter(room.id, &room.key).await;
    assert_eq!(founder.status(room.id).await, before);
    founder.subscribe(room.id, 0).await;
    assert_eq!(founder.entries_to(seq.0).await.len(), seq.0 as usize);
    let mut again = relay.connect().await;
    assert!(matches!(again.enter(room.id, &member.key).await, Standing::Member { .. }));
    assert_eq!(accepted(&again.submit_as(room.id, id, payload, vec![]).await), seq);
    let key = key();
    let triple = acknowledge(room.id, &key, AGREEMENT);
    let answer = relay.connect().await.knock(room.id, &key, &token, triple).await;
    assert!(matches!(answer, ServerFrame::Authenticated { .. }));
}

#[tokio::test]
async fn restored_copy_is_another_stream() {
    let relay = TestRelay::start().await;
    let mut room = TestRoom::open(&relay).await;
    room.say("one").await;
    let first = stream_of(&mut room.founder, room.id).await;
    let copy = tempfile::tempdir().unwrap();
    hearth_server::backup(relay.path(), copy.path()).unwrap();
    room.say("two").await;
    let (dir, clock) = relay.stop().await;
    for name in ["hearth.db-wal", "hearth.db-shm"] {
        let _ = std::fs::remove_file(dir.path().join(name));
    }
    std::fs::copy(copy.path().join("hearth.db"), dir.path().join("hearth.db")).unwrap();
    let relay = TestRelay::start_in(dir, clock, |_| {}).await;
    let mut founder = relay.connect().await;
    founder.enter(room.id, &room.key).await;
    let second = stream_of(&mut founder, room.id).await;
    assert_ne!(first, second);
    assert_eq!(founder.status(room.id).await.head, hearth_protocol::Seq(1));
    // The stream does not change after that.
    let relay = relay.restart().await;
    let mut founder = relay.connect().await;
    founder.enter(room.id, &room.key).await;
    assert_eq!(stream_of(&mut founder, room.id).await, second);
}

#[tokio::test]
async fn second_relay_in_directory_is_refused() {
    let relay = TestRelay::start().await;
    let mut config = Config::new(relay.path());
    config.listen.set_port(0);
    config.admin_listen.set_port(0);
    match Relay::bind(config).await {
        Err(error @ StartError::DataDir(_)) => {
            assert!(error.to_string().contains("another relay"));
            assert!(!error.advice().is_empty());
        }
        _ => panic!("two relays on one directory"),
    }
}

#[tokio::test]
async fn grant_works_running_or_stopped() {
    let relay = TestRelay::start().await;
    let running = relay.grant();
    let (dir, clock) = relay.stop().await;
    let terms = hearth_server::Grant {
        rooms: 1,
        members: 5,
        expires: hearth_protocol::Millis(START + 1000),
        url: Some("wss://relay.example:443".to_owned()),
    };
    let link = hearth_server::grant(dir.path(), &terms).unwrap();
    let stopped = hearth_protocol::invite::Grant::parse(&link).unwrap();
    assert_eq!(stopped.address.authority, "relay.example:443");
    assert!(stopped.address.pin.is_some());
    let relay = TestRelay::start_in(dir, clock, |_| {}).await;
    assert_eq!(stopped.address.relay, relay.id);
    for (grant, expected) in [(running, true), (stopped.secret.clone(), true)] {
        let mut client = relay.connect().await;
        let id = hearth_protocol::RoomId(random());
        let answer = client.open_room(id, &key(), grant, RoomNumbers::default()).await;
        assert_eq!(matches!(answer, ServerFrame::Authenticated { .. }), expected);
    }
    let link = hearth_server::grant(relay.path(), &terms).unwrap();
    let late = hearth_protocol::invite::Grant::parse(&link).unwrap().secret;
    relay.advance(1000);
    let mut client = relay.connect().await;
    let id = hearth_protocol::RoomId(random());
    let answer = client.open_room(id, &key(), late, RoomNumbers::default()).await;
    assert_eq!(code(&answer), RejectCode::GrantInvalid);
}

#[tokio::test]
async fn members_are_told_of_a_stop() {
    use futures_util::StreamExt as _;
    let relay = TestRelay::start().await;
    let mut room = TestRoom::open(&relay).await;
    let id = random_id();
    let payload = text(room.id, 0, "the last word");
    let frame = hearth_protocol::ClientFrame::Submit {
        req: 77,
        room: room.id,
        id,
        payload,
        expect: None,
        effects: vec![],
        after: hearth_protocol::Seq(0),
    };
    room.founder.say(&frame).await;
    assert_eq!(accepted(&room.founder.answer().await), hearth_protocol::Seq(1));
    let (stopped, closed) = tokio::join!(relay.stop(), async {
        let reject = room.founder.hear().await;
        assert_eq!(code(&reject), RejectCode::ShuttingDown);
        match room.founder.stream.next().await {
            Some(Ok(tokio_tungstenite::tungstenite::Message::Close(Some(frame)))) => {
                u16::from(frame.code)
            }
            other => panic!("{other:?}"),
        }
    });
    assert_eq!(closed, close::GOING_AWAY);
    drop(stopped);
}
