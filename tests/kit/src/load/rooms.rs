//! Rooms with everybody in them: opened by a grant, knocked at, admitted, subscribed, as real members do.

use std::io;

use ed25519_dalek::SigningKey;
use hearth_protocol::{
    BlobId, ClientFrame, Commitment, Digest, Effect, MemberKey, MessageId, Millis, RelayId, Role,
    RoomId, RoomNumbers, Secret32, Seq, ServerFrame, codec,
    frame::{AckTriple, RequestId},
    handshake::{self, AuthContext},
    hash, invite,
    limits::PROTOCOL_VERSION,
};

use super::{
    machine::{Server, Usage},
    wire::{Target, Wire},
};

/// Bytes of the MLS ciphertext of a short text: what `hearth` makes of anything up to some 180 bytes.
pub const PAYLOAD_BYTES: usize = 452;
/// Bytes before the content: version, wire format, group id, epoch, content type, no authenticated data.
const HEADER_BYTES: usize = 31;
/// Knocks that wait for one commit; the relay takes 64.
const ADMITTED_AT_ONCE: usize = 60;

/// A room key and its room.
#[derive(Clone)]
pub struct Member {
    /// The room.
    pub room: RoomId,
    /// The key.
    pub key: SigningKey,
}

/// A member with an open connection on which the key is proved.
pub struct Seat {
    /// The connection.
    pub wire: Wire,
    /// Who sits there.
    pub member: Member,
    relay: RelayId,
    challenge: Digest,
    request: RequestId,
}

/// Draws random bytes.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).unwrap();
    bytes
}

impl Member {
    /// Draws a key for a room.
    pub fn new(room: RoomId) -> Self {
        Self { room, key: SigningKey::from_bytes(&random()) }
    }

    /// The public key.
    pub fn public(&self) -> MemberKey {
        MemberKey(self.key.verifying_key().to_bytes())
    }
}

impl Seat {
    /// Connects and says hello.
    pub fn greet(target: &Target, member: Member) -> io::Result<Self> {
        let mut wire = Wire::connect(target)?;
        wire.queue(&codec::encode_client(&ClientFrame::Hello { versions: vec![PROTOCOL_VERSION] }));
        wire.flush()?;
        let hello = codec::decode_server(&wire.next()?).map_err(io::Error::other)?;
        let ServerFrame::Hello { relay, challenge, .. } = hello else {
            return Err(io::Error::other(format!("{hello:?}")));
        };
        Ok(Self { wire, member, relay, challenge, request: 0 })
    }

    /// Connects and proves the key.
    pub fn enter(target: &Target, member: Member) -> io::Result<Self> {
        let mut seat = Self::greet(target, member)?;
        let (room, public, signature) = (seat.member.room, seat.member.public(), seat.signature());
        seat.ask(|req| ClientFrame::Authenticate { req, room, member: public, signature })?;
        Ok(seat)
    }

    /// Follows the room's log.
    pub fn subscribe(&mut self, after: Seq) -> io::Result<()> {
        let room = self.member.room;
        self.ask(|req| ClientFrame::Subscribe { req, room, after }).map(|_| ())
    }

    fn signature(&self) -> hearth_protocol::Signature {
        let transcript = handshake::auth_transcript(&AuthContext {
            challenge: &self.challenge,
            relay: &self.relay,
            channel: &self.wire.channel(),
            room: &self.member.room,
            member: &self.member.public(),
        });
        handshake::sign(&self.member.key, &transcript)
    }

    /// The number that the next request may use.
    pub fn next_request(&mut self) -> RequestId {
        self.request += 1;
        self.request
    }

    /// Sends a request and waits for its answer; entries and notices meanwhile are dropped.
    pub fn ask(&mut self, make: impl FnOnce(RequestId) -> ClientFrame) -> io::Result<ServerFrame> {
        let req = self.next_request();
        self.wire.queue(&codec::encode_client(&make(req)));
        self.wire.flush()?;
        loop {
            let frame = codec::decode_server(&self.wire.next()?).map_err(io::Error::other)?;
            match frame {
                ServerFrame::Entries { .. } | ServerFrame::Notice { .. } => {}
                ServerFrame::Reject { .. } => return Err(io::Error::other(format!("{frame:?}"))),
                frame => return Ok(frame),
            }
        }
    }

    /// Sends a request; returns its answer, also a refusal, and what came before it.
    pub fn exchange(
        &mut self,
        make: impl FnOnce(RequestId) -> ClientFrame,
    ) -> io::Result<(ServerFrame, Vec<ServerFrame>)> {
        let req = self.next_request();
        self.wire.queue(&codec::encode_client(&make(req)));
        self.wire.flush()?;
        let mut before = Vec::new();
        loop {
            let frame = codec::decode_server(&self.wire.next()?).map_err(io::Error::other)?;
            match frame {
                ServerFrame::Entries { .. } | ServerFrame::Notice { .. } => before.push(frame),
                answer => return Ok((answer, before)),
            }
        }
    }

    /// Submits a payload and effects; returns the answer, also a refusal.
    pub fn submit(&mut self, payload: Vec<u8>, effects: Vec<Effect>) -> io::Result<ServerFrame> {
        self.submit_as(MessageId(random()), payload, effects)
    }

    /// The same under a given id.
    pub fn submit_as(
        &mut self,
        id: MessageId,
        payload: Vec<u8>,
        effects: Vec<Effect>,
    ) -> io::Result<ServerFrame> {
        let (room, after, expect) = (self.member.room, Seq(0), None);
        let submit = |req| ClientFrame::Submit { req, room, id, payload, expect, effects, after };
        self.exchange(submit).map(|(answer, _)| answer)
    }

    /// Knocks with a token, for the agreement that a room has.
    pub fn knock(
        &mut self,
        token: &Secret32,
        agreement: Commitment,
        body: Vec<u8>,
    ) -> io::Result<ServerFrame> {
        let (room, member, own) = (self.member.room, self.member.public(), self.signature());
        let digest = Digest(hash::sha256(&member.0).0);
        let transcript = handshake::knock_transcript(&room, &member, &agreement, &digest);
        let signature = handshake::sign(&self.member.key, &transcript);
        let acknowledgement = AckTriple { agreement, digest, signature };
        let token = token.clone();
        let knock = |req| ClientFrame::Knock {
            req,
            room,
            member,
            signature: own,
            token,
            acknowledgement,
            body,
        };
        self.exchange(knock).map(|(answer, _)| answer)
    }

    /// Gives up the rest for the connection and the number of its last request.
    pub fn into_parts(self) -> (Wire, RequestId) {
        (self.wire, self.request)
    }

    /// Appends a payload and waits until it is on disk.
    pub fn append(&mut self, payload: Vec<u8>, effects: Vec<Effect>) -> io::Result<Seq> {
        let (room, id) = (self.member.room, MessageId(random()));
        let accepted = self.ask(|req| ClientFrame::Submit {
            req,
            room,
            id,
            payload,
            expect: None,
            effects,
            after: Seq(0),
        })?;
        match accepted {
            ServerFrame::Accepted { seq, .. } => Ok(seq),
            other => Err(io::Error::other(format!("{other:?}"))),
        }
    }
}

/// Lets everybody of some rooms leave the connection they knocked on, restarts the relay, and lets them come back.
///
/// Returns the relay, what its process used with `warm` of them there, and all seats: what is measured on top is what
/// each further member costs who is there and silent.
pub fn come_back(
    server: Server,
    core: Option<usize>,
    rooms: Vec<LoadRoom>,
    warm: usize,
) -> io::Result<(Server, Usage, Vec<Seat>)> {
    let members: Vec<(Member, Seq)> = rooms
        .into_iter()
        .flat_map(|room| room.seats.into_iter().map(move |seat| (seat.member, room.head)))
        .collect();
    let server = server.restart(core);
    let (mut seats, mut before) = (Vec::with_capacity(members.len()), Usage::default());
    for (member, head) in members {
        if seats.len() == warm {
            before = server.usage();
        }
        let mut seat = Seat::enter(&server.target, member)?;
        seat.subscribe(head)?;
        seat.wire.shrink();
        seats.push(seat);
    }
    Ok((server, before, seats))
}

/// Makes what looks like an MLS PrivateMessage of a room.
pub fn payload(
    room: &RoomId,
    epoch: u64,
    content_type: u8,
    content: &[u8],
    total: usize,
) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(total);
    bytes.extend([0, 1, 0, 2, 16]);
    bytes.extend(room.0);
    bytes.extend(epoch.to_be_bytes());
    bytes.extend([content_type, 0]);
    bytes.extend(content);
    bytes.resize(total.max(bytes.len()), 0x5c);
    bytes
}

/// Returns the content that [`payload`] took.
pub fn content(payload: &[u8]) -> &[u8] {
    payload.get(HEADER_BYTES..).unwrap_or_default()
}

/// An open room.
pub struct LoadRoom {
    /// Its id.
    pub id: RoomId,
    /// The epoch that messages must name.
    pub epoch: u64,
    /// The last seq so far.
    pub head: Seq,
    /// Everybody, connected and subscribed; the founder first.
    pub seats: Vec<Seat>,
}

/// Opens a room and fills it.
pub fn open(target: &Target, grant: &Secret32, size: usize) -> io::Result<LoadRoom> {
    const APPLICATION: u8 = 1;
    const COMMIT: u8 = 3;
    let id = RoomId(random());
    let agreement = Commitment(random());
    let mut founder = Seat::greet(target, Member::new(id))?;
    let (member, signature) = (founder.member.public(), founder.signature());
    founder.ask(|req| ClientFrame::OpenRoom {
        req,
        room: id,
        member,
        signature,
        grant: grant.clone(),
        numbers: RoomNumbers::default(),
        agreement,
    })?;
    let token = Secret32::new(random());
    let add = Effect::AddInvite {
        invite: invite::invite_id(&token),
        uses: u32::try_from(size).unwrap(),
        expires: Millis::NEVER,
        preview: vec![0; 300],
    };
    let mut head = founder.append(payload(&id, 0, APPLICATION, &[], 100), vec![add])?;
    let mut epoch = 0;
    let mut seats = vec![];
    while seats.len() + 1 < size {
        let mut knockers = vec![];
        let mut effects = vec![];
        let welcome = vec![7; 1000];
        let blob = BlobId(hash::sha256(&welcome).0);
        while knockers.len() < ADMITTED_AT_ONCE && seats.len() + knockers.len() + 1 < size {
            let mut seat = Seat::greet(target, Member::new(id))?;
            let (member, signature) = (seat.member.public(), seat.signature());
            let digest = Digest(random());
            let transcript = handshake::knock_transcript(&id, &member, &agreement, &digest);
            let signed = handshake::sign(&seat.member.key, &transcript);
            seat.ask(|req| ClientFrame::Knock {
                req,
                room: id,
                member,
                signature,
                token: token.clone(),
                acknowledgement: AckTriple { agreement, digest, signature: signed },
                body: vec![0; 1000],
            })?;
            let role = Role::Member;
            effects.push(Effect::Admit { member, role, welcome: blob, acknowledgement: digest });
            knockers.push(seat);
        }
        let total = u32::try_from(welcome.len()).unwrap();
        let put =
            |req| ClientFrame::PutBlob { req, room: id, blob, total, offset: 0, part: welcome };
        founder.ask(put)?;
        head = founder.append(payload(&id, epoch, COMMIT, &[], 1000), effects)?;
        epoch += 1;
        for mut seat in knockers {
            seat.subscribe(head)?;
            seats.push(seat);
        }
    }
    founder.subscribe(head)?;
    seats.insert(0, founder);
    // Whatever was admitted last is the head for all.
    for seat in &mut seats {
        seat.wire.shrink();
    }
    Ok(LoadRoom { id, epoch, head, seats })
}
