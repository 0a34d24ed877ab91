//! Tests of requests and replies as values, without a socket.

use std::net::IpAddr;

use ed25519_dalek::SigningKey;
use hearth_protocol::{
    BlobId, Commitment, Digest, MemberKey, MessageId, Millis, NoteId, RoomId, RoomNumbers,
    Secret32, Seq, Signature,
    frame::{AckTriple, Standing},
    handshake::{self, AuthContext},
    limits::ROOMS_PER_CONNECTION_MAX,
};

use super::*;
use crate::{Clock, auth::Verifier, store, testing::simulated};

struct Stage {
    session: Session,
    key: SigningKey,
    grant: Secret32,
    _dir: tempfile::TempDir,
}

impl Stage {
    /// A session before its first frame, and a grant of its relay.
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let shared = simulated::alone(dir.path(), Clock::system()).unwrap();
        let grant = Secret32::new([3; 32]);
        let terms = hearth_rules::admission::Terms {
            rooms_left: 9,
            members_max: 9,
            expires: Millis::NEVER,
        };
        let relay = store::add_grant(dir.path(), &grant, &terms).unwrap();
        let verifier = Verifier { challenge: Digest([5; 32]), relay, channel: [6; 32] };
        let origin = IpAddr::from([127, 0, 0, 1]).into();
        let session = Session::new(shared, verifier, origin);
        Self { session, key: SigningKey::from_bytes(&[7; 32]), grant, _dir: dir }
    }

    fn greeted() -> Self {
        let mut stage = Self::new();
        stage.session.stage = crate::session::Stage::Greeted;
        stage
    }

    async fn ask(&mut self, frame: ClientFrame) -> Answer {
        handle(&mut self.session, frame).await
    }

    async fn refusal(&mut self, frame: ClientFrame) -> RejectCode {
        match self.ask(frame).await {
            Answer::Refuse(_, refusal) => refusal.code,
            other => panic!("{other:?}"),
        }
    }

    fn sign(&self, room: RoomId) -> (MemberKey, Signature) {
        let verifier = &self.session.verifier;
        let member = MemberKey(self.key.verifying_key().to_bytes());
        let transcript = handshake::auth_transcript(&AuthContext {
            challenge: &verifier.challenge,
            relay: &verifier.relay,
            channel: &verifier.channel,
            room: &room,
            member: &member,
        });
        (member, handshake::sign(&self.key, &transcript))
    }

    fn opening(&self, room: RoomId, grant: Secret32) -> ClientFrame {
        let (member, signature) = self.sign(room);
        let (numbers, agreement) = (RoomNumbers::default(), Commitment([4; 32]));
        ClientFrame::OpenRoom { req: 1, room, member, signature, grant, numbers, agreement }
    }

    async fn open(&mut self, room: RoomId) {
        let opening = self.opening(room, self.grant.clone());
        let answer = self.ask(opening).await;
        let Answer::Reply(ServerFrame::Authenticated { standing, .. }) = answer else {
            panic!("{answer:?}")
        };
        assert!(matches!(standing, Standing::Member { joined: Seq(0), .. }));
    }
}

const ROOM: RoomId = RoomId([1; 16]);

fn submit(req: RequestId, room: RoomId) -> ClientFrame {
    let mut payload = [&[0, 1, 0, 2, 16][..], &room.0, &0_u64.to_be_bytes(), &[1, 0]].concat();
    payload.extend([0x5a; 40]);
    let (id, expect, effects, after) = (MessageId([8; 16]), None, vec![], Seq(0));
    ClientFrame::Submit { req, room, id, payload, expect, effects, after }
}

#[tokio::test]
async fn first_frame_is_hello() {
    let mut stage = Stage::new();
    let silent = stage.ask(ClientFrame::Status { req: 1, room: ROOM }).await;
    assert!(matches!(
        silent,
        Answer::End(Refusal { code: RejectCode::BadFrame, .. }, close::PROTOCOL)
    ));
    let many = vec![PROTOCOL_VERSION; VERSIONS_MAX + 1];
    for (versions, wanted) in [(vec![1, 3], RejectCode::BadVersion), (many, RejectCode::BadFrame)] {
        let answer = stage.ask(ClientFrame::Hello { versions }).await;
        let Answer::End(Refusal { code, .. }, close::PROTOCOL) = answer else {
            panic!("{answer:?}")
        };
        assert_eq!(code, wanted);
    }
    let hello = || ClientFrame::Hello { versions: vec![7, PROTOCOL_VERSION] };
    assert!(matches!(stage.ask(hello()).await, Answer::Reply(ServerFrame::Hello { .. })));
    assert!(matches!(stage.ask(hello()).await, Answer::End(..)), "it is said once");
}

#[tokio::test]
async fn number_zero_ends_the_session() {
    let mut stage = Stage::greeted();
    for frame in [ClientFrame::Status { req: 0, room: ROOM }, submit(0, ROOM)] {
        assert!(matches!(stage.ask(frame).await, Answer::End(_, close::PROTOCOL)));
    }
}

#[tokio::test]
async fn rooms_without_a_proof_are_refused() {
    let mut stage = Stage::greeted();
    let (room, blob, note) = (ROOM, BlobId([2; 32]), NoteId([3; 16]));
    for frame in [
        submit(1, ROOM),
        ClientFrame::Status { req: 1, room },
        ClientFrame::Subscribe { req: 1, room, after: Seq(0) },
        ClientFrame::Knocks { req: 1, room, after: None },
        ClientFrame::CancelKnock { req: 1, room },
        ClientFrame::GetBlob { req: 1, room, blob, offset: 0 },
        ClientFrame::PutBlob { req: 1, room, blob, total: 1, offset: 0, part: vec![1] },
        ClientFrame::CloseLane { req: 1, room, lane: ROOM, forget: false },
        ClientFrame::Lanes { req: 1, room },
        ClientFrame::SendNote { req: 1, room, note, to: MemberKey([8; 32]), sealed: vec![1] },
        ClientFrame::Notes { req: 1, room },
        ClientFrame::DropNotes { req: 1, room, notes: vec![note] },
    ] {
        assert_eq!(stage.refusal(frame).await, RejectCode::NotMember);
    }
    let (member, _) = stage.sign(ROOM);
    let signature = Signature([0; 64]);
    let forged = ClientFrame::Authenticate { req: 1, room, member, signature };
    assert_eq!(stage.refusal(forged).await, RejectCode::BadSignature);
    let (member, signature) = stage.sign(ROOM);
    let stranger = ClientFrame::Authenticate { req: 1, room, member, signature };
    assert_eq!(stage.refusal(stranger).await, RejectCode::NotMember);
    assert_eq!(stage.session.rooms(), 0);
}

#[tokio::test]
async fn founder_opens_posts_and_reads() {
    let mut stage = Stage::greeted();
    stage.open(ROOM).await;
    let answer = stage.ask(submit(2, ROOM)).await;
    let Answer::Awaits(Awaited { req: 2, bytes, committed, .. }) = answer else {
        panic!("{answer:?}")
    };
    assert!(bytes > 40);
    let Ok(Submitted::Accepted(accepted)) = committed.await else { panic!("it is accepted") };
    assert_eq!((accepted.seq, accepted.control), (Seq(1), 0));
    let subscribed = stage.ask(ClientFrame::Subscribe { req: 3, room: ROOM, after: Seq(0) }).await;
    assert!(matches!(
        subscribed,
        Answer::Reply(ServerFrame::Subscribed { req: 3, head: Seq(1), floor: Seq(0), .. })
    ));
    assert_eq!(stage.session.wake.take(), 1, "what was said before is due");
    let status = stage.ask(ClientFrame::Status { req: 4, room: ROOM }).await;
    let Answer::Reply(ServerFrame::Status { req: 4, status }) = status else {
        panic!("{status:?}")
    };
    assert_eq!((status.head, status.roster.len()), (Seq(1), 1));
    // Repeating it gives the same answer.
    stage.open(ROOM).await;
    assert_eq!(stage.session.rooms(), 1);
}

#[tokio::test]
async fn wrong_secrets_are_limited() {
    let mut stage = Stage::greeted();
    let wrong = || Secret32::new([9; 32]);
    let preview = || ClientFrame::Preview { req: 1, room: ROOM, token: wrong() };
    let mut codes = vec![];
    for _ in 0..12 {
        codes.push(stage.refusal(preview()).await);
    }
    assert_eq!(codes[0], RejectCode::InviteInvalid);
    assert_eq!(codes[11], RejectCode::RateLimited);
    let (member, signature) = stage.sign(ROOM);
    let acknowledgement = AckTriple {
        agreement: Commitment([4; 32]),
        digest: Digest([5; 32]),
        signature: Signature([0; 64]),
    };
    let (token, body) = (wrong(), vec![]);
    let knock =
        ClientFrame::Knock { req: 1, room: ROOM, member, signature, token, acknowledgement, body };
    for frame in [
        knock,
        ClientFrame::BurnInvite { req: 1, room: ROOM, token: wrong() },
        stage.opening(ROOM, wrong()),
    ] {
        assert_eq!(stage.refusal(frame).await, RejectCode::RateLimited);
    }
    // A right secret still opens a room.
    stage.open(ROOM).await;
}

#[tokio::test]
async fn rooms_of_a_session_are_bounded() {
    let mut stage = Stage::greeted();
    stage.open(ROOM).await;
    let (_, signature) = stage.sign(ROOM);
    let member = MemberKey([8; 32]);
    let other = ClientFrame::Authenticate { req: 1, room: ROOM, member, signature };
    assert_eq!(stage.refusal(other).await, RejectCode::BadSignature);
    for number in stage.session.rooms()..ROOMS_PER_CONNECTION_MAX {
        let slot_room = RoomId([u8::try_from(number).unwrap() + 100; 16]);
        let proof = Proved::assumed(slot_room, MemberKey([8; 32]));
        let attachment =
            stage.session.shared.registry.attach(&proof, &stage.session.wake, number as u8);
        let view = hearth_rules::reading::View { standing: Standing::Knocking, row: None };
        let versions = attachment.versions();
        let slot = crate::room::RoomSlot::new(proof, attachment, versions, &view);
        stage.session.add_room(slot);
    }
    let opening = stage.opening(RoomId([2; 16]), stage.grant.clone());
    assert_eq!(stage.refusal(opening).await, RejectCode::RateLimited);
    // Another key for a held room.
    let held = RoomId([101; 16]);
    let (member, signature) = stage.sign(held);
    let second = ClientFrame::Authenticate { req: 1, room: held, member, signature };
    assert_eq!(stage.refusal(second).await, RejectCode::BadFrame);
}
