//! Roles, removals, departures and permissions.

#![allow(clippy::unwrap_used, clippy::panic, clippy::cast_possible_truncation)]

mod common;

use common::*;
use hearth_protocol::{
    ClientFrame, Effect, EntryContent, Epoch, Millis, RejectCode, Role, RoomNumbers, Seq,
    ServerFrame,
    frame::{Notice, Standing},
    hash,
};

#[tokio::test]
async fn removed_member_gets_no_later_entries() {
    let relay = TestRelay::start().await;
    let mut room = TestRoom::open(&relay).await;
    let mut member = room.join(&relay, Role::Member).await;
    member.client.subscribe(room.id, member.joined.0).await;
    room.say("still here").await;
    let gone = key_of(&member.key);
    let removal = accepted(&room.commit(vec![Effect::Remove { member: gone }]).await);
    for index in 0..20 {
        room.say(&format!("later {index}")).await;
    }
    let mut last = Seq(0);
    loop {
        match member.client.event().await {
            ServerFrame::Entries { entries, head, .. } => {
                last = entries.last().unwrap().seq;
                assert!(last <= removal && head <= removal);
            }
            ServerFrame::Notice { notice: Notice::Standing(standing), .. } => {
                assert_eq!(standing, Standing::Gone { at: removal });
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(last, removal);
    // The removed member gets nothing more on this connection or another, and may post nothing.
    let payload = text(room.id, room.epoch, "let me back");
    let answer = member.client.submit(room.id, payload, vec![]).await;
    assert_eq!(code(&answer), RejectCode::NotMember);
    assert!(member.client.events.is_empty());
    let mut again = relay.connect().await;
    assert_eq!(again.enter(room.id, &member.key).await, Standing::Gone { at: removal });
    let answer = again.subscribe(room.id, 0).await;
    let ServerFrame::Subscribed { head, .. } = answer else { panic!("{answer:?}") };
    assert_eq!(head, removal);
    let entries = again.entries_to(removal.0).await;
    // Entries before the admission are not served either.
    assert_eq!(entries.first().unwrap().seq, Seq(member.joined.0 + 1));
    let req = again.req();
    let answer = again.ask(ClientFrame::Status { req, room: room.id }).await;
    assert_eq!(code(&answer), RejectCode::NotMember);
    assert!(again.events.is_empty());
}

/// T19: tests the connection that was open at the removal.
#[tokio::test]
async fn removed_member_is_told_and_silenced() {
    let relay = TestRelay::start().await;
    let mut room = TestRoom::open(&relay).await;
    let token = room.invite(5).await;
    let id = room.id;
    for role in [Role::Member, Role::Observer, Role::CoFacilitator] {
        let mut member = room.join(&relay, role).await;
        let gone = key_of(&member.key);
        member.client.subscribe(id, member.joined.0).await;
        let said = member.client.submit(id, text(id, room.epoch, "mine"), vec![]).await;
        let own = Effect::Retract { seq: Seq(room.epoch), own: Some(random_id()) };
        assert_eq!(matches!(said, ServerFrame::Accepted { .. }), role != Role::Observer);
        let removal = accepted(&room.commit(vec![Effect::Remove { member: gone }]).await);
        let removed_at = std::time::Instant::now();
        loop {
            let event = member.client.event().await;
            if let ServerFrame::Notice { notice: Notice::Standing(standing), .. } = event {
                assert_eq!(standing, Standing::Gone { at: removal });
                break;
            }
        }
        let told_after = removed_at.elapsed();
        assert!(told_after < std::time::Duration::from_secs(1), "{role:?}: {told_after:?}");
        let before = room.founder.status(id).await;
        let invite = room.invite_effect(&hearth_protocol::Secret32::new([1; 32]), 1, Millis::NEVER);
        let numbers = vec![Effect::SetNumbers { numbers: RoomNumbers::default() }];
        for (payload, effects) in [
            (text(id, room.epoch, "still here"), vec![]),
            (commit(id, room.epoch), vec![]),
            (commit(id, room.epoch), vec![Effect::Remove { member: key_of(&room.key) }]),
            (marked(id, room.epoch, 900), vec![Effect::Leave]),
            (marked(id, room.epoch, 900), vec![own]),
            (vec![], vec![invite]),
            (commit(id, room.epoch), numbers),
        ] {
            let answer = member.client.submit(id, payload, effects).await;
            assert_eq!(code(&answer), RejectCode::NotMember, "{role:?}");
        }
        let blob = hearth_protocol::BlobId([0; 32]);
        let part = vec![1];
        for frame in [
            ClientFrame::Status { req: 1, room: id },
            ClientFrame::Knocks { req: 1, room: id, after: None },
            ClientFrame::PutBlob { req: 1, room: id, blob, total: 1, offset: 0, part },
            ClientFrame::GetBlob { req: 1, room: id, blob, offset: 0 },
            ClientFrame::CancelKnock { req: 1, room: id },
        ] {
            let answer = member.client.ask(frame).await;
            assert!(matches!(answer, ServerFrame::Reject { .. }), "{role:?}: {answer:?}");
        }
        // The refused requests changed nothing, and later entries do not reach this connection.
        assert_eq!(room.founder.status(id).await, before);
        let later = room.say("later").await;
        let answer = member.client.subscribe(id, 0).await;
        let ServerFrame::Subscribed { head, .. } = answer else { panic!("{answer:?}") };
        assert!(head == removal && removal < later);
        let entries = member.client.entries_to(removal.0).await;
        assert_eq!(entries.last().unwrap().seq, removal);
        assert!(member.client.events.is_empty());
    }
    // A link that they kept works as any member's: it lets them knock, and no more.
    let key = key();
    let mut client = relay.connect().await;
    let answer = client.knock(id, &key, &token, acknowledge(id, &key, AGREEMENT)).await;
    assert!(matches!(answer, ServerFrame::Authenticated { standing: Standing::Knocking, .. }));
}

/// Any member may commit the removal.
#[tokio::test]
async fn departed_member_is_out_at_once() {
    let relay = TestRelay::start().await;
    let mut room = TestRoom::open(&relay).await;
    let mut leaver = room.join(&relay, Role::Member).await;
    let mut other = room.join(&relay, Role::Member).await;
    let gone = key_of(&leaver.key);
    // The commit is refused before the member has left.
    let payload = commit(room.id, room.epoch);
    let remove = vec![Effect::Remove { member: gone }];
    let answer = other.client.submit(room.id, payload.clone(), remove.clone()).await;
    assert_eq!(code(&answer), RejectCode::NotFacilitator);

    let id = random_id();
    let goodbye = marked(room.id, room.epoch, 900);
    let answer = leaver.client.submit_as(room.id, id, goodbye.clone(), vec![Effect::Leave]).await;
    let left = accepted(&answer);
    // A retry of the departure gets the same answer as the first.
    let again = goodbye.clone();
    let answer = leaver.client.submit_as(room.id, id, again, vec![Effect::Leave]).await;
    assert_eq!(accepted(&answer), left);
    let another = marked(room.id, room.epoch, 900);
    let answer = leaver.client.submit(room.id, another, vec![Effect::Leave]).await;
    assert_eq!(code(&answer), RejectCode::NotMember);
    assert!(room.founder.status(room.id).await.roster.iter().any(|row| row.left));
    let answer = other.client.submit(room.id, payload, remove).await;
    accepted(&answer);
    room.epoch += 1;
    assert_eq!(room.founder.status(room.id).await.roster.len(), 2);
    let mut again = relay.connect().await;
    assert_eq!(again.enter(room.id, &leaver.key).await, Standing::Gone { at: left });
    // The retry may come after the commit that removed the leaf.
    let answer = again.submit_as(room.id, id, goodbye, vec![Effect::Leave]).await;
    assert_eq!(accepted(&answer), left);
}

#[tokio::test]
async fn readmitted_member_reads_from_there() {
    let relay = TestRelay::start().await;
    let mut room = TestRoom::open(&relay).await;
    let member = room.join(&relay, Role::Member).await;
    let key = member.key;
    accepted(&room.commit(vec![Effect::Remove { member: key_of(&key) }]).await);
    room.say("meanwhile").await;
    let token = room.invite(1).await;
    let mut client = relay.connect().await;
    let triple = acknowledge(room.id, &key, AGREEMENT);
    let answer = client.knock(room.id, &key, &token, triple).await;
    assert!(matches!(answer, ServerFrame::Authenticated { standing: Standing::Knocking, .. }));
    let admit = room.admit_effect(&key, Role::Member).await;
    let joined = accepted(&room.commit(vec![admit]).await);
    let seq = room.say("welcome back").await;
    client.subscribe(room.id, 0).await;
    let entries = client.entries_to(seq.0).await;
    assert_eq!(entries.first().unwrap().seq, Seq(joined.0 + 1));
}

/// An invite admits once. A removed member cannot knock with the invite that they had.
#[tokio::test]
async fn former_member_needs_a_new_invite() {
    let relay = TestRelay::start().await;
    let mut room = TestRoom::open(&relay).await;
    for removed in [true, false] {
        let token = room.invite(1).await;
        let key = key();
        let mut client = relay.connect().await;
        let triple = acknowledge(room.id, &key, AGREEMENT);
        client.knock(room.id, &key, &token, triple.clone()).await;
        let admit = room.admit_effect(&key, Role::Member).await;
        let joined = accepted(&room.commit(vec![admit]).await);
        // A retry of the knock is answered with its result.
        let answer = client.knock(room.id, &key, &token, triple.clone()).await;
        let ServerFrame::Authenticated { standing, .. } = answer else { panic!("{answer:?}") };
        assert!(matches!(standing, Standing::Member { joined: at, .. } if at == joined));
        if !removed {
            let goodbye = marked(room.id, room.epoch, 900);
            accepted(&client.submit(room.id, goodbye, vec![Effect::Leave]).await);
        }
        accepted(&room.commit(vec![Effect::Remove { member: key_of(&key) }]).await);
        let mut again = relay.connect().await;
        let answer = again.knock(room.id, &key, &token, triple.clone()).await;
        assert_eq!(code(&answer), RejectCode::InviteUsed);
        let another = room.invite(1).await;
        let answer = again.knock(room.id, &key, &another, triple).await;
        assert!(matches!(answer, ServerFrame::Authenticated { standing: Standing::Knocking, .. }));
    }
}

/// A post is before its author's removal in every member's log, and acknowledged; or it is refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn racing_post_and_removal_are_ordered() {
    const POSTS: u32 = 8;
    let relay = TestRelay::start().await;
    let mut room = TestRoom::open(&relay).await;
    let (mut taken, mut refused) = (Vec::new(), 0);
    let mut last = Seq(0);
    for round in 0..3 * POSTS {
        let mut member = room.join(&relay, Role::Member).await;
        let gone = key_of(&member.key);
        let (id, epoch) = (room.id, room.epoch);
        let (begin, begun) = tokio::sync::oneshot::channel();
        let posting = tokio::spawn(async move {
            // Pipelined. The facilitator asks for the removal after the first answers, at another moment in every round.
            for req in 1..=POSTS {
                let payload = text(id, epoch, &format!("{round} {req}"));
                let (expect, effects) = (None, vec![]);
                let submit = ClientFrame::Submit {
                    req: 1000 + req,
                    room: id,
                    id: random_id(),
                    payload,
                    expect,
                    effects,
                    after: Seq(0),
                };
                member.client.say(&submit).await;
            }
            let (mut answers, mut begin) = (Vec::new(), Some(begin));
            for heard in 0..POSTS {
                if heard == round % POSTS {
                    begin.take().unwrap().send(()).unwrap();
                }
                answers.push(member.client.answer().await);
            }
            answers
        });
        begun.await.unwrap();
        let removal = accepted(&room.commit(vec![Effect::Remove { member: gone }]).await);
        last = removal;
        for answer in posting.await.unwrap() {
            if let ServerFrame::Accepted { seq, .. } = answer {
                assert!(seq < removal, "{seq:?} comes after {removal:?}");
                taken.push(seq);
            } else {
                assert_eq!(code(&answer), RejectCode::NotMember);
                refused += 1;
            }
        }
    }
    assert!(!taken.is_empty() && refused > 0, "{} taken, {refused} refused", taken.len());
    // The log holds exactly the acknowledged posts.
    room.founder.subscribe(room.id, 0).await;
    let entries = room.founder.entries_to(last.0).await;
    let is_text = |content: &EntryContent| match content {
        EntryContent::Payload(payload) => payload[29] == 1,
        _ => panic!("{content:?}"),
    };
    let texts = entries.iter().filter(|entry| is_text(&entry.content)).map(|entry| entry.seq);
    assert_eq!(texts.collect::<Vec<_>>(), taken);
}

#[tokio::test]
async fn the_last_facilitator_stays() {
    let relay = TestRelay::start().await;
    let mut room = TestRoom::open(&relay).await;
    let founder = key_of(&room.key);
    let mut second = room.join(&relay, Role::CoFacilitator).await;
    let demote = Effect::SetRole { member: founder, role: Role::Member };
    assert_eq!(code(&room.commit(vec![demote.clone()]).await), RejectCode::LastFacilitator);
    assert_eq!(code(&room.act(vec![Effect::Leave]).await), RejectCode::LastFacilitator);
    // A co-facilitator removes no facilitator and gives no role.
    for effect in [Effect::Remove { member: founder }, demote.clone()] {
        let payload = commit(room.id, room.epoch);
        let answer = second.client.submit(room.id, payload, vec![effect]).await;
        assert_eq!(code(&answer), RejectCode::NotFacilitator);
    }
    let member = key_of(&second.key);
    let promote = Effect::SetRole { member, role: Role::Facilitator };
    accepted(&room.commit(vec![promote]).await);
    accepted(&room.commit(vec![demote]).await);
    accepted(&room.act(vec![Effect::Leave]).await);
}

#[tokio::test]
async fn lone_facilitator_may_leave() {
    let relay = TestRelay::start().await;
    let mut room = TestRoom::open(&relay).await;
    accepted(&room.act(vec![Effect::Leave]).await);
    assert_eq!(code(&room.act(vec![Effect::Leave]).await), RejectCode::NotMember);
}

#[tokio::test]
async fn members_moderate_nothing() {
    let relay = TestRelay::start().await;
    let mut room = TestRoom::open(&relay).await;
    let mut member = room.join(&relay, Role::Member).await;
    let other = room.join(&relay, Role::Member).await;
    let target = key_of(&other.key);
    let said = room.say("a sentence").await;
    let effects = [
        Effect::SetNumbers { numbers: RoomNumbers::default() },
        Effect::Timeout { member: target, until: Millis::NEVER },
        Effect::Retract { seq: said, own: None },
        Effect::Decline { member: target, note: vec![] },
        room.invite_effect(&hearth_protocol::Secret32::new([1; 32]), 1, Millis::NEVER),
        Effect::RevokeInvite { invite: hearth_protocol::InviteId([0; 16]) },
        Effect::Reopen { epoch: Epoch(room.epoch - 1) },
        Effect::SetAgreement { agreement: AGREEMENT },
        Effect::SetRole { member: key_of(&member.key), role: Role::Facilitator },
        Effect::Remove { member: target },
        room.admit_effect(&key(), Role::Facilitator).await,
    ];
    let before = room.founder.status(room.id).await;
    for effect in effects {
        let payload = commit(room.id, room.epoch);
        let answer = member.client.submit(room.id, payload, vec![effect]).await;
        assert_eq!(code(&answer), RejectCode::NotFacilitator);
    }
    // Nothing changed, nor did the epoch.
    assert_eq!(room.founder.status(room.id).await, before);
    // They see neither roster nor knocks, and cannot upload.
    assert!(member.client.status(room.id).await.roster.is_empty());
    for req in [1, 2] {
        let frame = match req {
            1 => ClientFrame::Knocks { req, room: room.id, after: None },
            _ => ClientFrame::PutBlob {
                req,
                room: room.id,
                blob: hearth_protocol::BlobId([0; 32]),
                total: 1,
                offset: 0,
                part: vec![1],
            },
        };
        assert_eq!(code(&member.client.ask(frame).await), RejectCode::NotFacilitator);
    }
}

#[tokio::test]
async fn removed_facilitator_loses_power_and_invites() {
    let relay = TestRelay::start().await;
    let mut room = TestRoom::open(&relay).await;
    let mut second = room.join(&relay, Role::CoFacilitator).await;
    let token = hearth_protocol::Secret32::new(random());
    let invite = room.invite_effect(&token, 1, Millis::NEVER);
    accepted(&second.client.submit(room.id, vec![], vec![invite.clone()]).await);
    accepted(&room.commit(vec![Effect::Remove { member: key_of(&second.key) }]).await);
    let answer = second.client.submit(room.id, vec![], vec![invite]).await;
    assert_eq!(code(&answer), RejectCode::NotMember);
    let key = key();
    let triple = acknowledge(room.id, &key, AGREEMENT);
    let answer = relay.connect().await.knock(room.id, &key, &token, triple).await;
    assert_eq!(code(&answer), RejectCode::InviteInvalid);
}

#[tokio::test]
async fn retraction_deletes_bytes_keeps_hash() {
    let relay = TestRelay::start().await;
    let mut room = TestRoom::open(&relay).await;
    let mut member = room.join(&relay, Role::Member).await;
    let mut other = room.join(&relay, Role::Member).await;
    let (id, foreign) = (random_id(), random_id());
    let payload = text(room.id, room.epoch, "mine");
    let mine = accepted(&member.client.submit_as(room.id, id, payload.clone(), vec![]).await);
    let theirs = text(room.id, room.epoch, "theirs");
    let theirs = accepted(&other.client.submit_as(room.id, foreign, theirs, vec![]).await);
    for retract in [
        Effect::Retract { seq: theirs, own: Some(foreign) },
        Effect::Retract { seq: theirs, own: Some(id) },
        Effect::Retract { seq: Seq(900), own: Some(id) },
        Effect::Retract { seq: Seq(0), own: Some(id) },
    ] {
        let entry = marked(room.id, room.epoch, 900);
        let answer = member.client.submit(room.id, entry, vec![retract]).await;
        assert_eq!(code(&answer), RejectCode::NotFound);
    }
    let retract = vec![Effect::Retract { seq: mine, own: Some(id) }];
    for entry in [vec![], text(room.id, room.epoch, "taken back")] {
        let answer = member.client.submit(room.id, entry, retract.clone()).await;
        assert_eq!(code(&answer), RejectCode::BadPayload);
    }
    let entry = marked(room.id, room.epoch, 900);
    accepted(&member.client.submit(room.id, entry, retract).await);
    accepted(&room.act(vec![Effect::Retract { seq: theirs, own: None }]).await);
    // Both from the tail in memory and from the store.
    for _ in 0..2 {
        let mut reader = relay.connect().await;
        reader.enter(room.id, &room.key).await;
        reader.subscribe(room.id, mine.0 - 1).await;
        let entries = reader.entries_to(theirs.0).await;
        assert_eq!(entries[0].content, EntryContent::Tombstone(hash::sha256(&payload)));
    }
    let raw = std::fs::read(relay.path().join("hearth.db-wal")).unwrap();
    assert!(!raw.is_empty());
    let (dir, _) = relay.stop().await;
    let raw = std::fs::read(dir.path().join("hearth.db")).unwrap();
    let canary = text(room.id, 2, "mine");
    assert!(!raw.windows(canary.len()).any(|window| window == canary));
}

/// An absent member could never follow the room without the commit.
#[tokio::test]
async fn commit_cannot_be_retracted() {
    let relay = TestRelay::start().await;
    let mut room = TestRoom::open(&relay).await;
    let mut member = room.join(&relay, Role::Member).await;
    let id = random_id();
    let payload = commit(room.id, room.epoch);
    let seq = accepted(&member.client.submit_as(room.id, id, payload, vec![]).await);
    let own = Effect::Retract { seq, own: Some(id) };
    let entry = marked(room.id, room.epoch, 900);
    let answer = member.client.submit(room.id, entry, vec![own]).await;
    assert_eq!(code(&answer), RejectCode::NotFound);
    let answer = room.act(vec![Effect::Retract { seq, own: None }]).await;
    assert_eq!(code(&answer), RejectCode::NotFound);
    member.client.subscribe(room.id, member.joined.0).await;
    let kept = member.client.entries_to(seq.0).await;
    assert!(matches!(kept.last().unwrap().content, EntryContent::Payload(_)));
}
