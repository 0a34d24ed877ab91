//! Lanes and sealed notes at the wire: one request for each refusal, and what a connection is told.

#![allow(clippy::unwrap_used, clippy::panic, clippy::cast_possible_truncation)]

mod common;

use common::*;
use ed25519_dalek::SigningKey;
use hearth_protocol::{
    ClientFrame, Effect, MemberKey, MessageId, NoteId, RejectCode, Role, RoomId, Secret32, Seq,
    ServerFrame,
    frame::{LaneRow, LaneSeat, Notice, Standing, WaitingNote},
};

/// An opening of a lane that can be changed and sent again.
struct Opening {
    room: RoomId,
    lane: RoomId,
    key: SigningKey,
    commit: Vec<u8>,
    seats: Vec<LaneSeat>,
}

impl Opening {
    fn new(room: RoomId, seats: &[(&SigningKey, Role)]) -> Self {
        let lane = RoomId(random());
        let seats =
            seats.iter().map(|(key, role)| LaneSeat { member: key_of(key), role: *role }).collect();
        Self { room, lane, key: key(), commit: commit(lane, 0), seats }
    }

    async fn ask(&self, client: &mut Client) -> ServerFrame {
        let (req, signature) = (client.req(), client.sign(&self.lane, &self.key));
        let welcome = if self.seats.is_empty() { vec![] } else { b"Welcome".to_vec() };
        client
            .ask(ClientFrame::OpenLane {
                req,
                room: self.room,
                lane: self.lane,
                member: key_of(&self.key),
                signature,
                commit: self.commit.clone(),
                welcome,
                seats: self.seats.clone(),
            })
            .await
    }
}

async fn close(client: &mut Client, room: RoomId, lane: RoomId, forget: bool) -> ServerFrame {
    let req = client.req();
    client.ask(ClientFrame::CloseLane { req, room, lane, forget }).await
}

async fn lanes(client: &mut Client, room: RoomId) -> ServerFrame {
    let req = client.req();
    client.ask(ClientFrame::Lanes { req, room }).await
}

async fn leave_note(client: &mut Client, room: RoomId, id: u8, to: MemberKey) -> ServerFrame {
    let (req, note) = (client.req(), NoteId([id; 16]));
    client.ask(ClientFrame::SendNote { req, room, note, to, sealed: vec![id; 40] }).await
}

async fn notes(client: &mut Client, room: RoomId) -> Vec<WaitingNote> {
    let req = client.req();
    match client.ask(ClientFrame::Notes { req, room }).await {
        ServerFrame::Notes { notes, more: false, .. } => notes,
        other => panic!("{other:?}"),
    }
}

fn standing(frame: &ServerFrame) -> Standing {
    match frame {
        ServerFrame::Authenticated { standing, .. } => standing.clone(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn lane_is_opened_seated_and_read() {
    let relay = TestRelay::start().await;
    let mut room = TestRoom::open(&relay).await;
    let mut ben = room.join(&relay, Role::Member).await;
    let owner = key();
    let opening = Opening::new(room.id, &[(&owner, Role::Member)]);
    let bench = Standing::Member { role: Role::Facilitator, joined: Seq(0), welcome: None };
    for _ in 0..2 {
        assert_eq!(standing(&opening.ask(&mut room.founder).await), bench);
    }
    // The owner finds it by id and key, on the connection of the room.
    let found = ben.client.enter(opening.lane, &owner).await;
    let Standing::Member { role: Role::Member, joined: Seq(1), welcome: Some(blob) } = found else {
        panic!("{found:?}")
    };
    let req = ben.client.req();
    let part =
        ben.client.ask(ClientFrame::GetBlob { req, room: opening.lane, blob, offset: 0 }).await;
    assert!(matches!(part, ServerFrame::BlobPart { total: 7, .. }));
    ben.client.subscribe(opening.lane, 1).await;
    room.founder.subscribe(opening.lane, 0).await;
    assert_eq!(room.founder.entries_to(1).await.len(), 1);
    let said = ben.client.submit(opening.lane, text(opening.lane, 1, "words"), vec![]).await;
    assert_eq!(accepted(&said), Seq(2));
    assert_eq!(room.founder.entries_to(2).await.len(), 1);
    // A later seat, whom the commit's Welcome reaches.
    let late = key();
    let welcome = b"another Welcome".to_vec();
    let seat = Effect::Seat { member: key_of(&late), role: Role::Facilitator, welcome };
    let seated = ben.client.submit(opening.lane, commit(opening.lane, 1), vec![seat]).await;
    assert_eq!(accepted(&seated), Seq(3));
    let mut other = relay.connect().await;
    let sits = other.enter(opening.lane, &late).await;
    assert!(matches!(sits, Standing::Member { joined: Seq(3), welcome: Some(_), .. }));
    // A removed seat is told.
    let removes = Effect::Remove { member: key_of(&late) };
    let removed = ben.client.submit(opening.lane, commit(opening.lane, 2), vec![removes]).await;
    assert_eq!(accepted(&removed), Seq(4));
    let notice = Notice::Standing(Standing::Gone { at: Seq(4) });
    assert_eq!(other.event().await, ServerFrame::Notice { room: opening.lane, notice });
    // The room heard of nothing.
    let listed = lanes(&mut room.founder, room.id).await;
    let row = LaneRow { lane: opening.lane, open: true };
    assert!(matches!(listed, ServerFrame::Lanes { lanes, .. } if lanes == [row]));
    let status = room.founder.status(room.id).await;
    assert_eq!((status.head, status.roster.len()), (Seq(1), 2));
}

#[tokio::test]
async fn member_cannot_open_a_lane() {
    let relay = TestRelay::start().await;
    let mut room = TestRoom::open(&relay).await;
    let mut cleo = room.join(&relay, Role::CoFacilitator).await;
    let opening = Opening::new(room.id, &[]);
    for role in [Role::Member, Role::Observer] {
        let mut member = room.join(&relay, role).await;
        let refused = opening.ask(&mut member.client).await;
        assert_eq!(code(&refused), RejectCode::NotFacilitator);
        let refused = lanes(&mut member.client, room.id).await;
        assert_eq!(code(&refused), RejectCode::NotFacilitator);
        let refused = close(&mut member.client, room.id, opening.lane, false).await;
        assert_eq!(code(&refused), RejectCode::NotFacilitator);
    }
    // A moderator who has not proved the room's key here.
    let mut stranger = relay.connect().await;
    for answer in [
        opening.ask(&mut stranger).await,
        lanes(&mut stranger, room.id).await,
        close(&mut stranger, room.id, opening.lane, false).await,
    ] {
        assert_eq!(code(&answer), RejectCode::NotMember);
    }
    // A co-facilitator opens lanes and closes none.
    standing(&opening.ask(&mut cleo.client).await);
    let refused = close(&mut cleo.client, room.id, opening.lane, true).await;
    assert_eq!(code(&refused), RejectCode::NotFacilitator);
    assert!(matches!(lanes(&mut cleo.client, room.id).await, ServerFrame::Lanes { .. }));
}

#[tokio::test]
async fn wrong_openings_are_refused() {
    let relay = TestRelay::start().await;
    let mut room = TestRoom::open(&relay).await;
    let owner = key();
    let opening = Opening::new(room.id, &[(&owner, Role::Member)]);
    let mut forged = Opening::new(room.id, &[]);
    // Signed for another lane's id.
    (forged.commit, forged.seats) = (opening.commit.clone(), vec![]);
    assert_eq!(code(&forged.ask(&mut room.founder).await), RejectCode::BadPayload);
    let (req, signature) = (room.founder.req(), room.founder.sign(&room.id, &opening.key));
    let unproved = ClientFrame::OpenLane {
        req,
        room: room.id,
        lane: opening.lane,
        member: key_of(&opening.key),
        signature,
        commit: opening.commit.clone(),
        welcome: vec![],
        seats: vec![],
    };
    assert_eq!(code(&room.founder.ask(unproved).await), RejectCode::BadSignature);
    standing(&opening.ask(&mut room.founder).await);
    // Another moderator was slower.
    let mut cleo = room.join(&relay, Role::CoFacilitator).await;
    let slower = Opening { lane: opening.lane, ..Opening::new(room.id, &[]) };
    let slower = Opening { commit: commit(slower.lane, 0), ..slower };
    assert_eq!(code(&slower.ask(&mut cleo.client).await), RejectCode::RoomExists);
    // A lane has no lanes, knocks, blobs or notes of its own, and a room no seats.
    let (lane, founder) = (opening.lane, &mut room.founder);
    let nested = Opening::new(lane, &[]);
    assert_eq!(code(&nested.ask(founder).await), RejectCode::NotMember);
    assert_eq!(code(&lanes(founder, lane).await), RejectCode::NotMember);
    assert_eq!(code(&leave_note(founder, lane, 1, key_of(&owner)).await), RejectCode::NotMember);
    let (req, token) = (founder.req(), Secret32::new([1; 32]));
    for frame in [
        ClientFrame::Knocks { req, room: lane, after: None },
        ClientFrame::CancelKnock { req, room: lane },
        ClientFrame::Notes { req, room: lane },
        ClientFrame::DropNotes { req, room: lane, notes: vec![NoteId([1; 16])] },
    ] {
        assert_eq!(code(&founder.ask(frame).await), RejectCode::NotMember);
    }
    let (blob, part) = (hearth_protocol::BlobId([1; 32]), vec![1]);
    let upload = ClientFrame::PutBlob { req, room: lane, blob, total: 1, offset: 0, part };
    assert_eq!(code(&founder.ask(upload).await), RejectCode::NotMember);
    let preview = founder.ask(ClientFrame::Preview { req, room: lane, token }).await;
    assert_eq!(code(&preview), RejectCode::InviteInvalid);
    let seat = Effect::Seat { member: key_of(&owner), role: Role::Member, welcome: vec![1] };
    assert_eq!(code(&room.commit(vec![seat]).await), RejectCode::BadFrame);
    // One grant of 50 members has 52 lanes.
    for _ in 1..52 {
        let other = Opening::new(room.id, &[]);
        let mut client = relay.connect().await;
        client.enter(room.id, &room.key).await;
        standing(&other.ask(&mut client).await);
    }
    let last = Opening::new(room.id, &[]).ask(&mut cleo.client).await;
    assert_eq!(code(&last), RejectCode::RoomFull);
}

#[tokio::test]
async fn closed_lane_tells_its_seats() {
    let relay = TestRelay::start().await;
    let mut room = TestRoom::open(&relay).await;
    let owner = key();
    let opening = Opening::new(room.id, &[(&owner, Role::Member)]);
    let (id, lane) = (room.id, opening.lane);
    standing(&opening.ask(&mut room.founder).await);
    let mut client = relay.connect().await;
    client.enter(lane, &owner).await;
    client.subscribe(lane, 0).await;
    let words = || text(lane, 1, "words");
    accepted(&client.submit(lane, words(), vec![]).await);
    assert!(matches!(close(&mut room.founder, id, lane, false).await, ServerFrame::Done { .. }));
    let refused = client.submit(lane, words(), vec![]).await;
    assert_eq!(code(&refused), RejectCode::LaneClosed);
    client.entries_to(2).await;
    // Deleted: the connection is told, and its requests find nothing.
    assert!(matches!(close(&mut room.founder, id, lane, true).await, ServerFrame::Done { .. }));
    let notice = Notice::Standing(Standing::Gone { at: Seq(0) });
    assert_eq!(client.event().await, ServerFrame::Notice { room: lane, notice });
    let refused = client.submit(lane, words(), vec![]).await;
    assert_eq!(code(&refused), RejectCode::NotMember);
    assert_eq!(code(&client.authenticate(lane, &owner).await), RejectCode::NotMember);
    assert_eq!(code(&close(&mut room.founder, id, lane, true).await), RejectCode::NotFound);
    // Opened again with new keys; the connection finds the new one once it proves a key again.
    let next = key();
    let again =
        Opening { lane, commit: commit(lane, 0), ..Opening::new(id, &[(&owner, Role::Member)]) };
    standing(&again.ask(&mut relay_client(&relay, id, &room.key).await).await);
    assert!(matches!(client.enter(lane, &owner).await, Standing::Member { joined: Seq(1), .. }));
    client.subscribe(lane, 0).await;
    accepted(&client.submit(lane, text(lane, 1, "again"), vec![]).await);
    assert_eq!(client.entries_to(2).await.last().unwrap().seq, Seq(2));
    assert_eq!(code(&client.authenticate(lane, &next).await), RejectCode::BadFrame);
}

async fn relay_client(relay: &TestRelay, room: RoomId, key: &SigningKey) -> Client {
    let mut client = relay.connect().await;
    client.enter(room, key).await;
    client
}

/// Two rooms have lanes of one id, and the same key sits in both: neither hears of the other.
#[tokio::test]
async fn lanes_of_one_id_stay_apart() {
    let relay = TestRelay::start().await;
    let (mut ours, mut theirs) = (TestRoom::open(&relay).await, TestRoom::open(&relay).await);
    let owner = key();
    let opening = Opening::new(theirs.id, &[(&owner, Role::Member)]);
    standing(&opening.ask(&mut theirs.founder).await);
    let mut ben = ours.join(&relay, Role::Member).await;
    let opening = Opening { room: ours.id, key: key(), ..opening };
    standing(&opening.ask(&mut ours.founder).await);
    ben.client.enter(opening.lane, &owner).await;
    ben.client.subscribe(opening.lane, 1).await;
    ours.founder.subscribe(opening.lane, 1).await;
    theirs.founder.subscribe(opening.lane, 1).await;
    let say = |body: &str| text(opening.lane, 1, body);
    accepted(&theirs.founder.submit(opening.lane, say("there"), vec![]).await);
    accepted(&ours.founder.submit(opening.lane, say("here"), vec![]).await);
    let entries = ben.client.entries_to(2).await;
    assert_eq!(entries.len(), 1);
    let hearth_protocol::EntryContent::Payload(payload) = &entries[0].content else { panic!() };
    assert!(payload.ends_with(b"here"));
}

#[tokio::test]
async fn note_reaches_its_addressee_alone() {
    let relay = TestRelay::start().await;
    let mut room = TestRoom::open(&relay).await;
    let (mut ben, mut cleo) =
        (room.join(&relay, Role::Member).await, room.join(&relay, Role::Member).await);
    let (id, founder) = (room.id, key_of(&room.key));
    room.founder.subscribe(id, 2).await;
    let sent = leave_note(&mut ben.client, id, 1, founder).await;
    assert!(matches!(sent, ServerFrame::Done { .. }), "{sent:?}");
    let waits = ServerFrame::Notice { room: id, notice: Notice::Note };
    while room.founder.event().await != waits {}
    let read = notes(&mut room.founder, id).await;
    assert_eq!((read.len(), read[0].note, read[0].sealed.len()), (1, NoteId([1; 16]), 40));
    assert!(notes(&mut cleo.client, id).await.is_empty());
    let req = room.founder.req();
    let dropped = ClientFrame::DropNotes { req, room: id, notes: vec![NoteId([1; 16])] };
    assert!(matches!(room.founder.ask(dropped).await, ServerFrame::Done { .. }));
    assert!(notes(&mut room.founder, id).await.is_empty());
    // An answer, which the others do not hear of.
    let sent = leave_note(&mut room.founder, id, 2, key_of(&ben.key)).await;
    assert!(matches!(sent, ServerFrame::Done { .. }), "{sent:?}");
    while ben.client.event().await != waits {}
    cleo.client.status(id).await;
    assert!(cleo.client.events.iter().all(|event| *event != waits));
    // A removed member may still call for help.
    let gone = key_of(&ben.key);
    accepted(&room.commit(vec![Effect::Remove { member: gone }]).await);
    let sent = leave_note(&mut ben.client, id, 3, founder).await;
    assert!(matches!(sent, ServerFrame::Done { .. }), "{sent:?}");
    let again = leave_note(&mut ben.client, id, 4, founder).await;
    assert_eq!(code(&again), RejectCode::RateLimited);
    relay.advance(30 * 24 * 3_600_000);
    let late = leave_note(&mut ben.client, id, 5, founder).await;
    assert_eq!(code(&late), RejectCode::NotMember);
}

#[tokio::test]
async fn note_for_another_is_refused() {
    let relay = TestRelay::start().await;
    let mut room = TestRoom::open(&relay).await;
    let (mut ben, cleo) =
        (room.join(&relay, Role::Member).await, room.join(&relay, Role::Member).await);
    let (id, founder) = (room.id, key_of(&room.key));
    for to in [key_of(&cleo.key), key_of(&ben.key), key_of(&key())] {
        let refused = leave_note(&mut ben.client, id, 1, to).await;
        assert_eq!(code(&refused), RejectCode::NotFound);
    }
    let unknown = leave_note(&mut room.founder, id, 1, key_of(&key())).await;
    assert_eq!(code(&unknown), RejectCode::NotFound);
    let mut stranger = relay.connect().await;
    let refused = leave_note(&mut stranger, id, 1, founder).await;
    assert_eq!(code(&refused), RejectCode::NotMember);
    let (req, note) = (ben.client.req(), NoteId([2; 16]));
    for (sealed, wanted) in
        [(vec![], RejectCode::BadFrame), (vec![1; 18 * 1024 + 1], RejectCode::TooLarge)]
    {
        let frame = ClientFrame::SendNote { req, room: id, note, to: founder, sealed };
        assert_eq!(code(&ben.client.ask(frame).await), wanted);
    }
    leave_note(&mut ben.client, id, 2, founder).await;
    let sealed = vec![9];
    let other = ClientFrame::SendNote { req, room: id, note, to: founder, sealed };
    assert_eq!(code(&ben.client.ask(other).await), RejectCode::IdConflict);
    for (notes, wanted) in [(vec![], RejectCode::BadFrame), (vec![note; 257], RejectCode::TooLarge)]
    {
        let frame = ClientFrame::DropNotes { req, room: id, notes };
        assert_eq!(code(&ben.client.ask(frame).await), wanted);
    }
}

#[tokio::test]
async fn note_flood_is_paced_and_named() {
    let relay = TestRelay::start().await;
    let mut room = TestRoom::open(&relay).await;
    let mut ben = room.join(&relay, Role::Member).await;
    let (id, founder) = (room.id, key_of(&room.key));
    for note in 0..16 {
        let sent = leave_note(&mut ben.client, id, note, founder).await;
        assert!(matches!(sent, ServerFrame::Done { .. }), "{sent:?}");
    }
    let answer = leave_note(&mut ben.client, id, 16, founder).await;
    let ServerFrame::Reject { code: RejectCode::RateLimited, retry_at: Some(at), .. } = answer
    else {
        panic!("{answer:?}")
    };
    assert_eq!(at.0, START + 60_000);
    relay.advance(60_000);
    let sent = leave_note(&mut ben.client, id, 16, founder).await;
    assert!(matches!(sent, ServerFrame::Done { .. }), "{sent:?}");
    let metrics = relay.admin("/metrics").await;
    assert!(metrics.contains("hearthd_notes_stored_total 17"), "{metrics}");
}

/// Notes and lanes survive a restart; the pace of notes begins again.
#[tokio::test]
async fn lanes_and_notes_survive_restart() {
    let relay = TestRelay::start().await;
    let mut room = TestRoom::open(&relay).await;
    let mut ben = room.join(&relay, Role::Member).await;
    let owner = key();
    let opening = Opening::new(room.id, &[(&owner, Role::Member)]);
    standing(&opening.ask(&mut room.founder).await);
    leave_note(&mut ben.client, room.id, 1, key_of(&room.key)).await;
    let relay = relay.restart().await;
    let mut client = relay_client(&relay, room.id, &room.key).await;
    assert_eq!(notes(&mut client, room.id).await.len(), 1);
    assert!(matches!(client.enter(opening.lane, &owner).await, Standing::Member { .. }));
}

#[tokio::test]
async fn lane_refusals_reach_the_wire() {
    let relay = TestRelay::start().await;
    let mut room = TestRoom::open(&relay).await;
    let owner = key();
    let opening = Opening::new(room.id, &[(&owner, Role::Member)]);
    let (lane, founder) = (opening.lane, &mut room.founder);
    standing(&opening.ask(founder).await);
    let seat = |key: &SigningKey, role| Effect::Seat {
        member: key_of(key),
        role,
        welcome: b"Welcome".to_vec(),
    };
    let removes = |key: &SigningKey| Effect::Remove { member: key_of(key) };
    let leaves = founder.submit(lane, marked(lane, 1, 900), vec![Effect::Leave]).await;
    assert_eq!(code(&leaves), RejectCode::BadFrame);
    for (effects, wanted) in [
        (vec![removes(&owner)], RejectCode::LastFacilitator),
        (vec![removes(&opening.key)], RejectCode::BadFrame),
        (vec![seat(&owner, Role::Member)], RejectCode::NotFound),
        (vec![seat(&key(), Role::Member)], RejectCode::RoomFull),
        ((0..8).map(|_| seat(&key(), Role::Facilitator)).collect(), RejectCode::RoomFull),
    ] {
        let refused = founder.submit(lane, commit(lane, 1), effects).await;
        assert_eq!(code(&refused), wanted);
    }
    let paced = founder.submit(lane, commit(lane, 1), vec![]).await;
    assert_eq!(code(&paced), RejectCode::RateLimited, "a refused commit spends its pace, too");
    relay.advance(10_000);
    let late = founder.submit(lane, commit(lane, 0), vec![]).await;
    assert_eq!(code(&late), RejectCode::EpochConflict);
    let alone = founder.submit(lane, vec![], vec![seat(&key(), Role::Facilitator)]).await;
    assert_eq!(code(&alone), RejectCode::BadPayload);
    let back = Effect::Reopen { epoch: hearth_protocol::Epoch(0) };
    let undone = founder.submit(lane, commit(lane, 0), vec![back]).await;
    assert_eq!(accepted(&undone), Seq(2));
}

/// With 60 frames at once, 50 lanes would wait for the pace of frames.
#[tokio::test]
async fn fifty_lanes_are_entered_at_once() {
    let relay = TestRelay::start_with(|config| {
        config.frames_burst = hearth_server::Config::new("any").frames_burst;
        config.frames_per_second = 1;
    })
    .await;
    let mut room = TestRoom::open(&relay).await;
    let mut opened = vec![];
    for _ in 0..50 {
        let opening = Opening::new(room.id, &[]);
        standing(&opening.ask(&mut room.founder).await);
        opened.push(opening);
    }
    let mut client = relay.connect().await;
    client.enter(room.id, &room.key).await;
    for opening in &opened {
        let (req, room, member) = (client.req(), opening.lane, key_of(&opening.key));
        let signature = client.sign(&room, &opening.key);
        client.say(&ClientFrame::Authenticate { req, room, member, signature }).await;
        let req = client.req();
        client.say(&ClientFrame::Subscribe { req, room, after: Seq(0) }).await;
    }
    for _ in 0..50 {
        standing(&client.answer().await);
        assert!(matches!(client.answer().await, ServerFrame::Subscribed { head: Seq(1), .. }));
    }
}

/// T33: what a peer receives is the same, whether or not lanes and notes are used. The peer is subscribed throughout.
#[tokio::test]
async fn peers_hear_nothing_of_lanes() {
    let mut heard = Vec::new();
    for used in [false, true] {
        let relay = TestRelay::start().await;
        let mut room = TestRoom::open(&relay).await;
        let (mut ben, mut peer) =
            (room.join(&relay, Role::Member).await, room.join(&relay, Role::Member).await);
        peer.client.subscribe(room.id, 0).await;
        let before = peer.client.status(room.id).await;
        if used {
            let owner = key();
            let opening = Opening::new(room.id, &[(&owner, Role::Member)]);
            standing(&opening.ask(&mut room.founder).await);
            // One more that is refused.
            assert_eq!(code(&opening.ask(&mut ben.client).await), RejectCode::NotFacilitator);
            let lane = opening.lane;
            ben.client.enter(lane, &owner).await;
            ben.client.subscribe(lane, 1).await;
            for n in 0..3 {
                accepted(
                    &ben.client.submit(lane, text(lane, 1, &format!("words {n}")), vec![]).await,
                );
            }
            let seat = Effect::Seat {
                member: key_of(&key()),
                role: Role::Facilitator,
                welcome: b"Welcome".to_vec(),
            };
            accepted(&room.founder.submit(lane, commit(lane, 1), vec![seat]).await);
            let refused = ben.client.submit(lane, text(lane, 1, "late"), vec![]).await;
            assert_eq!(code(&refused), RejectCode::EpochConflict);
            let own = Effect::Retract { seq: Seq(2), own: Some(MessageId([9; 16])) };
            let refused = ben.client.submit(lane, marked(lane, 2, 900), vec![own]).await;
            code(&refused);
            leave_note(&mut ben.client, room.id, 1, key_of(&room.key)).await;
            leave_note(&mut room.founder, room.id, 2, key_of(&ben.key)).await;
            assert!(matches!(
                close(&mut room.founder, room.id, lane, false).await,
                ServerFrame::Done { .. }
            ));
            lanes(&mut room.founder, room.id).await;
        }
        let after = peer.client.status(room.id).await;
        assert_eq!((before.head, before.control), (after.head, after.control));
        // Something in the room, behind which nothing else may stand.
        let id = room.id;
        accepted(&room.founder.submit(id, text(id, before.epoch.0, "to all"), vec![]).await);
        let last = after.head.0 + 1;
        peer.client.entries_to(last).await;
        peer.client.status(id).await;
        heard.push((last, peer.client.events.len(), after.roster.len()));
    }
    assert_eq!(heard[0], heard[1]);
    assert_eq!(heard[0].1, 0, "every event was an entry of the room");
}
