//! A room's whole life over a real socket.

#![allow(clippy::unwrap_used, clippy::panic, clippy::cast_possible_truncation)]

mod common;

use common::*;
use hearth_protocol::{
    BlobId, ClientFrame, EntryContent, Role, Seq, ServerFrame,
    frame::{Notice, Standing},
};

#[tokio::test]
async fn newcomer_is_invited_admitted_and_talks() {
    let relay = TestRelay::start().await;
    let mut room = TestRoom::open(&relay).await;
    let token = room.invite(1).await;

    let key = key();
    let mut client = relay.connect().await;
    let req = client.req();
    let preview =
        client.ask(ClientFrame::Preview { req, room: room.id, token: token.clone() }).await;
    assert_eq!(preview, ServerFrame::Preview { req, sealed: b"sealed preview".to_vec() });

    let triple = acknowledge(room.id, &key, AGREEMENT);
    let answer = client.knock(room.id, &key, &token, triple.clone()).await;
    assert!(matches!(answer, ServerFrame::Authenticated { standing: Standing::Knocking, .. }));
    let notice = room.founder.event().await;
    assert!(matches!(notice, ServerFrame::Notice { notice: Notice::Knock, .. }));
    let req = room.founder.req();
    let knocks = room.founder.ask(ClientFrame::Knocks { req, room: room.id, after: None }).await;
    let ServerFrame::Knocks { knocks, more: false, .. } = knocks else { panic!() };
    assert_eq!(knocks[0].member, key_of(&key));
    assert_eq!(knocks[0].acknowledgement, triple);
    assert_eq!(knocks[0].body, b"sealed knock");

    let welcome: Vec<u8> = (0..200_000_u32).map(|n| n as u8).collect();
    let blob = room.founder.put_blob(room.id, &welcome).await;
    let admit = hearth_protocol::Effect::Admit {
        member: key_of(&key),
        role: Role::Member,
        welcome: blob,
        acknowledgement: triple.digest,
    };
    assert_eq!(accepted(&room.commit(vec![admit]).await), Seq(1));

    let ServerFrame::Notice { notice: Notice::Standing(standing), .. } = client.event().await
    else {
        panic!()
    };
    let Standing::Member { role: Role::Member, joined: Seq(1), welcome: Some(named) } = standing
    else {
        panic!("{standing:?}")
    };
    assert_eq!(named, blob);
    assert_eq!(fetch(&mut client, room.id, blob).await, welcome);

    let answer = client.subscribe(room.id, 1).await;
    assert!(matches!(answer, ServerFrame::Subscribed { head: Seq(1), .. }), "{answer:?}");
    let answer = room.founder.subscribe(room.id, 0).await;
    assert!(matches!(answer, ServerFrame::Subscribed { .. }));
    assert_eq!(room.founder.entries_to(1).await.len(), 1);

    let payload = text(room.id, 1, "hello");
    assert_eq!(accepted(&client.submit(room.id, payload.clone(), vec![]).await), Seq(2));
    for who in [&mut client, &mut room.founder] {
        let entries = who.entries_to(2).await;
        assert_eq!(entries[0].content, EntryContent::Payload(payload.clone()));
    }
    // The relay does not offer the Welcome again after its reader has read past the admission.
    let mut again = relay.connect().await;
    let standing = again.enter(room.id, &key).await;
    assert!(matches!(standing, Standing::Member { welcome: None, .. }), "{standing:?}");
}

async fn fetch(client: &mut Client, room: hearth_protocol::RoomId, blob: BlobId) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let req = client.req();
        let offset = bytes.len() as u32;
        let part = client.ask(ClientFrame::GetBlob { req, room, blob, offset }).await;
        let ServerFrame::BlobPart { total, part, .. } = part else { panic!("{part:?}") };
        bytes.extend(part);
        if bytes.len() == total as usize {
            return bytes;
        }
    }
}
