//! What a proof of a key is bound to.

#![allow(clippy::unwrap_used, clippy::panic, clippy::cast_possible_truncation)]

mod common;

use common::*;
use hearth_protocol::{
    ClientFrame, Digest, RejectCode, RelayId, RoomId, ServerFrame, codec, frame::Standing,
};

#[tokio::test]
async fn a_signature_is_bound_to_challenge_relay_channel_room_and_key() {
    let relay = TestRelay::start().await;
    let room = TestRoom::open(&relay).await;
    let good = |client: &Client| client.sign(&room.id, &room.key);
    for part in 0..6 {
        let mut client = relay.connect().await;
        let (challenge, id, channel) = (client.challenge, client.relay, client.channel);
        let signature = match part {
            0 => {
                client.challenge = Digest([0; 32]);
                good(&client)
            }
            1 => {
                client.relay = RelayId([0; 32]);
                good(&client)
            }
            // As a man in the middle would have it, who ends TLS himself.
            2 => {
                client.channel = [0; 32];
                good(&client)
            }
            3 => client.sign(&RoomId([0; 16]), &room.key),
            4 => client.sign(&room.id, &key()),
            // Recorded on another connection.
            _ => good(&relay.connect().await),
        };
        (client.challenge, client.relay, client.channel) = (challenge, id, channel);
        let member = key_of(&room.key);
        let frame = ClientFrame::Authenticate { req: 1, room: room.id, member, signature };
        assert_eq!(code(&client.ask(frame).await), RejectCode::BadSignature, "part {part}");
        // And the room stays closed to it.
        assert_eq!(code(&client.subscribe(room.id, 0).await), RejectCode::NotMember);
        assert!(matches!(client.enter(room.id, &room.key).await, Standing::Member { .. }));
    }
}

#[tokio::test]
async fn the_third_bad_signature_ends_the_connection() {
    let relay = TestRelay::start().await;
    let room = TestRoom::open(&relay).await;
    let mut client = relay.connect().await;
    let signature = client.sign(&room.id, &key());
    let member = key_of(&room.key);
    let frame = ClientFrame::Authenticate { req: 1, room: room.id, member, signature };
    for _ in 0..3 {
        assert_eq!(code(&client.ask(frame.clone()).await), RejectCode::BadSignature);
    }
    assert!(client.next_frame().await.is_none());
}

#[tokio::test]
async fn absent_and_forbidden_rooms_are_one_answer() {
    let relay = TestRelay::start().await;
    let room = TestRoom::open(&relay).await;
    let stranger = key();
    let mut client = relay.connect().await;
    let mut answers = Vec::new();
    for id in [room.id, RoomId(random())] {
        let (member, signature) = (key_of(&stranger), client.sign(&id, &stranger));
        let frame = ClientFrame::Authenticate { req: 5, room: id, member, signature };
        answers.push(codec::encode_server(&client.ask(frame).await));
        for frame in [
            ClientFrame::Status { req: 6, room: id },
            ClientFrame::Subscribe { req: 6, room: id, after: hearth_protocol::Seq(0) },
        ] {
            answers.push(codec::encode_server(&client.ask(frame).await));
        }
    }
    assert_eq!(answers[..3], answers[3..]);
}

#[tokio::test]
async fn a_connection_holds_many_rooms_and_one_key_for_each() {
    let relay = TestRelay::start().await;
    let mut first = TestRoom::open(&relay).await;
    let second = TestRoom::open(&relay).await;
    let mut client = relay.connect().await;
    client.enter(first.id, &first.key).await;
    client.enter(second.id, &second.key).await;
    client.enter(first.id, &first.key).await;
    let member = first.join(&relay, hearth_protocol::Role::Member).await;
    let answer = client.authenticate(first.id, &member.key).await;
    assert_eq!(code(&answer), RejectCode::BadFrame);
    // A key of one room is none in another.
    let answer = relay.connect().await.authenticate(second.id, &first.key).await;
    assert_eq!(code(&answer), RejectCode::NotMember);
    let payload = text(second.id, 0, "x");
    let answer = client.submit(first.id, payload, vec![]).await;
    assert_eq!(code(&answer), RejectCode::BadPayload);
}

#[tokio::test]
async fn the_hello_comes_first_once_and_with_a_common_version() {
    let relay = TestRelay::start().await;
    let cases = [
        (vec![ClientFrame::Status { req: 1, room: RoomId([0; 16]) }], RejectCode::BadFrame),
        (vec![ClientFrame::Hello { versions: vec![2, 3] }], RejectCode::BadVersion),
        (vec![ClientFrame::Hello { versions: vec![1; 17] }], RejectCode::BadFrame),
        (
            vec![
                ClientFrame::Hello { versions: vec![7, 1] },
                ClientFrame::Hello { versions: vec![1] },
            ],
            RejectCode::BadFrame,
        ),
    ];
    for (frames, expected) in cases {
        let mut client = relay.connect_silent().await;
        for frame in &frames {
            client.say(frame).await;
        }
        let mut answer = client.hear().await;
        if matches!(answer, ServerFrame::Hello { .. }) {
            answer = client.hear().await;
        }
        assert_eq!(code(&answer), expected);
        assert!(client.next_frame().await.is_none());
    }
}
