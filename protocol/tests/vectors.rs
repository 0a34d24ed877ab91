//! Worked examples: every frame, link, transcript and sealing, built from fixed inputs and compared with the
//! appendix of `docs/protocol.md`, so that text and code agree.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::fmt::Write as _;

use data_encoding::HEXLOWER;
use ed25519_dalek::SigningKey;
use hearth_protocol::{
    BlobId, ClientFrame, Commitment, Digest, Effect, Entry, EntryContent, Epoch, InviteId,
    MemberKey, MessageId, Millis, NoteId, Pin, RejectCode, RelayId, Role, RoomId, RoomNumbers,
    Secret32, Seq, ServerFrame, Signature, StreamId, codec,
    frame::{
        AckTriple, Door, LaneRow, LaneSeat, Notice, PendingKnock, RoomStatus, RosterRow, Standing,
        WaitingNote,
    },
    handshake::{self, AuthContext},
    hash,
    hours::{Hours, Offset, Window},
    invite::{self, Grant, Invite, RelayAddress, Transport},
    limits, padding,
    seal::{self, Purpose},
};

const PROTOCOL: &str = include_str!("../../docs/protocol.md");
/// Hexadecimal digits on one line of the appendix.
const LINE_CHARS: usize = 96;

const ROOM: RoomId = RoomId([0x11; 16]);
const MEMBER: MemberKey = MemberKey([0x22; 32]);
const SIGNATURE: Signature = Signature([0x33; 64]);
const ID: MessageId = MessageId([0x44; 16]);
const BLOB: BlobId = BlobId([0x55; 32]);
const COMMITMENT: Commitment = Commitment([0x66; 32]);
const DIGEST: Digest = Digest([0x77; 32]);
const INVITE: InviteId = InviteId([0x88; 16]);
const STREAM: StreamId = StreamId([0x99; 16]);
const RELAY: RelayId = RelayId([0xaa; 32]);
const PIN: Pin = Pin([0xbb; 32]);
const LANE: RoomId = RoomId([0xee; 16]);
const NOTE: NoteId = NoteId([0xff; 16]);
/// 2026-11-23T00:00Z.
const NOW: Millis = Millis(1_795_392_000_000);

fn secret() -> Secret32 {
    Secret32::new([0xcc; 32])
}

fn triple() -> AckTriple {
    AckTriple { agreement: COMMITMENT, digest: DIGEST, signature: SIGNATURE }
}

fn hours() -> Hours {
    Hours {
        windows: vec![Window { start_minute: 1020, end_minute: 1200 }],
        offsets: vec![Offset { from: Millis(0), minutes: 60 }],
    }
}

fn numbers() -> RoomNumbers {
    RoomNumbers {
        paused_until: NOW,
        locked: true,
        door: Door::Closed,
        slow_seconds: 600,
        budget_per_day: 20,
        payload_bytes_max: 4608,
        hours: Some(hours()),
        retention_seconds: limits::RETENTION_SECONDS_DEFAULT,
        ends_at: None,
    }
}

fn seat(role: Role) -> LaneSeat {
    LaneSeat { member: MEMBER, role }
}

fn opening(welcome: Vec<u8>, seats: Vec<LaneSeat>) -> ClientFrame {
    ClientFrame::OpenLane {
        req: 7,
        room: ROOM,
        lane: LANE,
        member: MEMBER,
        signature: SIGNATURE,
        commit: vec![0, 1, 0, 2],
        welcome,
        seats,
    }
}

fn client_frames() -> Vec<(&'static str, ClientFrame)> {
    let (req, room, member, signature) = (7, ROOM, MEMBER, SIGNATURE);
    let submit = |effects| ClientFrame::Submit {
        req,
        room,
        id: ID,
        payload: vec![0, 1, 0, 2],
        expect: Some(5),
        effects,
        after: Seq(41),
    };
    vec![
        ("client hello", ClientFrame::Hello { versions: vec![2] }),
        ("client authenticate", ClientFrame::Authenticate { req, room, member, signature }),
        (
            "client open-room",
            ClientFrame::OpenRoom {
                req,
                room,
                member,
                signature,
                grant: secret(),
                numbers: RoomNumbers::default(),
                agreement: COMMITMENT,
            },
        ),
        ("client preview", ClientFrame::Preview { req, room, token: secret() }),
        (
            "client knock",
            ClientFrame::Knock {
                req,
                room,
                member,
                signature,
                token: secret(),
                acknowledgement: triple(),
                body: vec![1, 2, 3],
            },
        ),
        ("client burn-invite", ClientFrame::BurnInvite { req, room, token: secret() }),
        ("client submit, no effects", submit(vec![])),
        (
            "client submit, effects without an entry",
            ClientFrame::Submit {
                req,
                room,
                id: ID,
                payload: vec![],
                expect: None,
                effects: vec![Effect::Reopen { epoch: Epoch(4) }],
                after: Seq(41),
            },
        ),
        (
            "client put-blob",
            ClientFrame::PutBlob {
                req,
                room,
                blob: BLOB,
                total: 3,
                offset: 0,
                part: vec![1, 2, 3],
            },
        ),
        ("client get-blob", ClientFrame::GetBlob { req, room, blob: BLOB, offset: 98_304 }),
        ("client subscribe", ClientFrame::Subscribe { req, room, after: Seq(41) }),
        ("client knocks, from the first", ClientFrame::Knocks { req, room, after: None }),
        ("client knocks, after a member", ClientFrame::Knocks { req, room, after: Some(MEMBER) }),
        ("client status", ClientFrame::Status { req, room }),
        ("client cancel-knock", ClientFrame::CancelKnock { req, room }),
        ("client open-lane", opening(vec![1, 2, 3], vec![seat(Role::Member)])),
        ("client open-lane, nobody is added", opening(vec![], vec![])),
        ("client close-lane", ClientFrame::CloseLane { req, room, lane: LANE, forget: false }),
        (
            "client close-lane, forget",
            ClientFrame::CloseLane { req, room, lane: LANE, forget: true },
        ),
        ("client lanes", ClientFrame::Lanes { req, room }),
        (
            "client send-note",
            ClientFrame::SendNote { req, room, note: NOTE, to: MEMBER, sealed: vec![1, 2, 3] },
        ),
        ("client notes", ClientFrame::Notes { req, room }),
        ("client drop-notes", ClientFrame::DropNotes { req, room, notes: vec![NOTE] }),
    ]
}

fn effects() -> Vec<(&'static str, Effect)> {
    let member = MEMBER;
    vec![
        (
            "effect admit",
            Effect::Admit { member, role: Role::Member, welcome: BLOB, acknowledgement: DIGEST },
        ),
        ("effect remove", Effect::Remove { member }),
        ("effect set-role", Effect::SetRole { member, role: Role::CoFacilitator }),
        ("effect set-numbers", Effect::SetNumbers { numbers: numbers() }),
        ("effect timeout", Effect::Timeout { member, until: NOW }),
        ("effect retract, by a facilitator", Effect::Retract { seq: Seq(40), own: None }),
        ("effect retract, own", Effect::Retract { seq: Seq(40), own: Some(ID) }),
        ("effect decline", Effect::Decline { member, note: vec![] }),
        (
            "effect add-invite",
            Effect::AddInvite { invite: INVITE, uses: 1, expires: NOW, preview: vec![1, 2, 3] },
        ),
        ("effect revoke-invite", Effect::RevokeInvite { invite: INVITE }),
        ("effect set-agreement", Effect::SetAgreement { agreement: COMMITMENT }),
        ("effect leave", Effect::Leave),
        ("effect reopen", Effect::Reopen { epoch: Epoch(4) }),
        ("effect seat", Effect::Seat { member, role: Role::Facilitator, welcome: vec![1, 2, 3] }),
        (
            "effect seat, the Welcome of the one before",
            Effect::Seat { member, role: Role::Member, welcome: vec![] },
        ),
    ]
}

fn server_frames() -> Vec<(&'static str, ServerFrame)> {
    let (req, room) = (7, ROOM);
    let authenticated = |standing| ServerFrame::Authenticated { req, standing };
    let payload = Entry { seq: Seq(42), at: NOW, content: EntryContent::Payload(vec![0, 1, 0, 2]) };
    let tombstone = Entry { seq: Seq(43), at: NOW, content: EntryContent::Tombstone(DIGEST) };
    let knock = PendingKnock {
        member: MEMBER,
        invite: INVITE,
        at: NOW,
        acknowledgement: triple(),
        body: vec![1, 2, 3],
    };
    let row =
        RosterRow { member: MEMBER, role: Role::Member, timed_out_until: Millis(0), left: false };
    let status = RoomStatus {
        stream: STREAM,
        floor: Seq(0),
        head: Seq(43),
        epoch: Epoch(5),
        control: 9,
        numbers: RoomNumbers::default(),
        agreement: COMMITMENT,
        timed_out_until: Millis(0),
        knocks: 1,
        roster: vec![row],
    };
    vec![
        (
            "server hello",
            ServerFrame::Hello { version: 2, relay: RELAY, challenge: DIGEST, now: NOW },
        ),
        (
            "server authenticated, newly admitted",
            authenticated(Standing::Member {
                role: Role::Member,
                joined: Seq(41),
                welcome: Some(BLOB),
            }),
        ),
        (
            "server authenticated, member",
            authenticated(Standing::Member {
                role: Role::Facilitator,
                joined: Seq(0),
                welcome: None,
            }),
        ),
        ("server authenticated, knocking", authenticated(Standing::Knocking)),
        (
            "server authenticated, declined",
            authenticated(Standing::Declined { note: vec![1, 2, 3] }),
        ),
        ("server authenticated, gone", authenticated(Standing::Gone { at: Seq(42) })),
        ("server done", ServerFrame::Done { req }),
        ("server accepted", ServerFrame::Accepted { req, seq: Seq(42), at: NOW, control: 9 }),
        ("server preview", ServerFrame::Preview { req, sealed: vec![1, 2, 3] }),
        (
            "server entries",
            ServerFrame::Entries { room, entries: vec![payload, tombstone], head: Seq(43) },
        ),
        ("server blob-part", ServerFrame::BlobPart { req, total: 3, part: vec![1, 2, 3] }),
        ("server knocks", ServerFrame::Knocks { req, knocks: vec![knock], more: false }),
        ("server status", ServerFrame::Status { req, status: Box::new(status) }),
        (
            "server subscribed",
            ServerFrame::Subscribed {
                req,
                stream: STREAM,
                floor: Seq(0),
                head: Seq(43),
                epoch: Epoch(5),
            },
        ),
        ("server notice, knock", ServerFrame::Notice { room, notice: Notice::Knock }),
        (
            "server notice, standing",
            ServerFrame::Notice { room, notice: Notice::Standing(Standing::Knocking) },
        ),
        ("server notice, timed out", ServerFrame::Notice { room, notice: Notice::TimedOut(NOW) }),
        (
            "server reject",
            ServerFrame::Reject { req, code: RejectCode::BadSignature, retry_at: None },
        ),
        (
            "server reject, with a time",
            ServerFrame::Reject { req, code: RejectCode::SlowMode, retry_at: Some(NOW) },
        ),
        ("server notice, note", ServerFrame::Notice { room, notice: Notice::Note }),
        (
            "server lanes",
            ServerFrame::Lanes { req, lanes: vec![LaneRow { lane: LANE, open: true }] },
        ),
        (
            "server notes",
            ServerFrame::Notes {
                req,
                notes: vec![WaitingNote { note: NOTE, at: NOW, sealed: vec![1, 2, 3] }],
                more: true,
            },
        ),
    ]
}

/// Formats an example as in the appendix.
fn render(name: &str, value: &str) -> String {
    let mut text = format!("{name}\n");
    let mut rest = value;
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(LINE_CHARS));
        let _ = writeln!(text, "  {line}");
        rest = after;
    }
    text
}

/// Asserts that the appendix holds every example; prints the expected text.
fn check(examples: &[(&str, String)]) {
    let rendered: Vec<String> = examples.iter().map(|(name, value)| render(name, value)).collect();
    let missing = rendered.iter().filter(|text| !PROTOCOL.contains(text.as_str())).count();
    assert!(
        missing == 0,
        "{missing} examples of docs/protocol.md are missing or outdated; it should hold:\n{}",
        rendered.concat()
    );
}

#[test]
fn client_frames_are_as_documented() {
    let frames = client_frames();
    for (name, frame) in &frames {
        let bytes = codec::encode_client(frame);
        assert_eq!(&codec::decode_client(&bytes).unwrap(), frame, "{name}");
    }
    let hex = |frame| HEXLOWER.encode(&codec::encode_client(frame));
    check(&frames.iter().map(|(name, frame)| (*name, hex(frame))).collect::<Vec<_>>());
}

#[test]
fn effects_are_as_documented() {
    let effects = effects();
    for (name, effect) in &effects {
        assert_eq!(&codec::decode::<Effect>(&codec::encode(effect)).unwrap(), effect, "{name}");
    }
    let hex = |effect| HEXLOWER.encode(&codec::encode(effect));
    check(&effects.iter().map(|(name, effect)| (*name, hex(effect))).collect::<Vec<_>>());
}

#[test]
fn server_frames_are_as_documented() {
    let frames = server_frames();
    for (name, frame) in &frames {
        let bytes = codec::encode_server(frame);
        assert_eq!(&codec::decode_server(&bytes).unwrap(), frame, "{name}");
    }
    let hex = |frame| HEXLOWER.encode(&codec::encode_server(frame));
    check(&frames.iter().map(|(name, frame)| (*name, hex(frame))).collect::<Vec<_>>());
}

#[test]
fn links_are_as_documented() {
    let address = |transport, pin| RelayAddress {
        authority: "relay.example:7443".into(),
        transport,
        relay: RELAY,
        pin,
    };
    let invite = Invite {
        address: address(Transport::Tls, Some(PIN)),
        room: ROOM,
        facilitator: MEMBER,
        agreement: DIGEST,
        secret: secret(),
        expires: NOW,
    };
    let grant =
        |transport, pin| Grant { address: address(transport, pin), secret: secret() }.to_link();
    check(&[
        ("link invite, self-signed certificate", invite.to_link()),
        ("link grant, self-signed certificate", grant(Transport::Tls, Some(PIN))),
        ("link grant, plain transport, no pin", grant(Transport::Plain, None)),
    ]);
    let token = invite.token();
    let hex = |secret: &Secret32| HEXLOWER.encode(secret.expose());
    check(&[
        ("invite token", hex(&token)),
        ("invite id", invite::invite_id(&token).to_hex()),
        ("invite preview key", hex(&invite::preview_key(&invite.secret))),
        ("invite knock key", hex(&invite::knock_key(&invite.secret))),
    ]);
}

#[test]
fn hashes_and_transcripts_are_as_documented() {
    let key = SigningKey::from_bytes(&[9; 32]);
    let member = MemberKey(key.verifying_key().to_bytes());
    let transcript = handshake::auth_transcript(&AuthContext {
        challenge: &DIGEST,
        relay: &RELAY,
        channel: &[0xdd; 32],
        room: &ROOM,
        member: &member,
    });
    let knock = handshake::knock_transcript(&ROOM, &member, &COMMITMENT, &DIGEST);
    check(&[
        ("labelled hash", HEXLOWER.encode(&hash::labelled("example", &[b"ab", b"c"]))),
        ("room key", member.to_hex()),
        ("auth transcript", HEXLOWER.encode(&transcript)),
        ("auth signature", handshake::sign(&key, &transcript).to_hex()),
        ("knock transcript", HEXLOWER.encode(&knock)),
        ("knock signature", handshake::sign(&key, &knock).to_hex()),
    ]);
}

/// Key and signature over 32 bytes of 0x77, and whether a member accepts it. A separate program made them from the seed of the
/// room key and a point of order 8.
const SIGNATURES: [(&str, bool, &str); 9] = [
    (
        "ordinary",
        true,
        "fd1724385aa0c75b64fb78cd602fa1d991fdebf76b13c58ed702eac835e9f6183e54c441927f9f0ee5e13e34f0b0404c5043651a8f4b7ef087a1c42262a85d0aed59ddcc31a960b5bb17b896bf34708bb465a170c686565a4b63f9c292b56203",
    ),
    (
        "key with a part of small order, equation without the cofactor",
        true,
        "d0d31a3cb4bf59a067bce65dbb4e453eb75450b39b1f8a15bd2cce95fa47c95811ccce83ca3b5044a6a64de6fae8425536317faac5d5f49b9ecdeda4db2332ededa2498ec76775801b18629e99a844f4c37bcfa63b3618e13a755fa857be7b01",
    ),
    (
        "key with a part of small order, equation with the cofactor alone",
        false,
        "d0d31a3cb4bf59a067bce65dbb4e453eb75450b39b1f8a15bd2cce95fa47c95840024ddfa7db4985d6ea08a21e9c93d88118d2cbf6fc4360d41847e7fb3faf5769cd503f4f52e1ed93e2ddc8713dd2e4647025de8669a64170fa2e13f166010b",
    ),
    (
        "R with a part of small order, equation with the cofactor alone",
        false,
        "fd1724385aa0c75b64fb78cd602fa1d991fdebf76b13c58ed702eac835e9f61888505292eb8f39a64ad95b56214e38cafed2494165134d73fa12e29fd1cd27d08bd8f6f0cd9d0de4b0962521d65e1e2477459fa07a4976d7a3a0448b49241f01",
    ),
    (
        "S is not below the order of the group",
        false,
        "fd1724385aa0c75b64fb78cd602fa1d991fdebf76b13c58ed702eac835e9f6183e54c441927f9f0ee5e13e34f0b0404c5043651a8f4b7ef087a1c42262a85d0ada2dd3294c0c730d92b4af399e2e4fa0b465a170c686565a4b63f9c292b56213",
    ),
    (
        "key of small order",
        false,
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a91d6fdb5fada615c0d3cf55f5043a462d2ab06ff28c3a9e785b20f1a9ba090da44a3061332b7e674eee78aa88f40694758e1c7b73df2dc229f31a45a29e7f504",
    ),
    (
        "key of small order in its second encoding",
        false,
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7fdeab45a0fb00013d366dd9208939abb4a2f1a1c86981fcee59345dc7239e63e094c25b5de0102f0b06a30e8afde6ffd8d5cfe7540571992561b7396ab217930c",
    ),
    (
        "R of small order",
        false,
        "fd1724385aa0c75b64fb78cd602fa1d991fdebf76b13c58ed702eac835e9f618010000000000000000000000000000000000000000000000000000000000000052354c5705dc060ffd1e6b683acb887c448ecf4f4eafae4fbb4a5b0342f30504",
    ),
    (
        "R of small order in its second encoding",
        false,
        "fd1724385aa0c75b64fb78cd602fa1d991fdebf76b13c58ed702eac835e9f618eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7fc8b313739f5eec67323528b01b1c0ea95588801581839a4e70a5f4311eac2800",
    ),
];

#[test]
fn signatures_are_verified_as_documented() {
    let example = |(name, good, hex): (&str, bool, &str)| {
        let bytes = HEXLOWER.decode(hex.as_bytes()).unwrap();
        let (key, signature) = bytes.split_first_chunk::<32>().unwrap();
        let signature = Signature(signature.try_into().unwrap());
        assert_eq!(handshake::verify(&MemberKey(*key), &DIGEST.0, &signature), good, "{name}");
        let verdict = if good { "signature that verifies" } else { "signature that fails" };
        (format!("{verdict}: {name}"), hex.to_owned())
    };
    let examples: Vec<(String, String)> = SIGNATURES.into_iter().map(example).collect();
    let examples: Vec<(&str, String)> =
        examples.iter().map(|(name, hex)| (name.as_str(), hex.clone())).collect();
    check(&examples);
}

#[test]
fn padding_and_sealing_are_as_documented() {
    let padded = padding::pad(b"hello").unwrap();
    let key = Secret32::new([0xee; 32]);
    let sealed =
        |purpose| HEXLOWER.encode(&seal::seal(&key, [0xff; 24], purpose, &ROOM, b"hello").unwrap());
    check(&[
        ("padding", HEXLOWER.encode(&padded)),
        ("padding of a marked entry", HEXLOWER.encode(&padding::pad_marked(b"hello").unwrap())),
        ("sealed preview", sealed(Purpose::Preview)),
        ("sealed knock", sealed(Purpose::Knock)),
    ]);
}

/// Finds the line of a table that starts with a cell, and the cell after it.
fn cell_after<'a>(first: &str) -> Option<&'a str> {
    let start = format!("| {first} | ");
    let line = PROTOCOL.lines().find(|line| line.starts_with(&start))?;
    line.get(start.len()..)?.split(" | ").next()
}

#[test]
fn reject_codes_are_as_documented() {
    let codes = [
        RejectCode::BadFrame,
        RejectCode::BadVersion,
        RejectCode::BadSignature,
        RejectCode::TooLarge,
        RejectCode::BadPayload,
        RejectCode::Unsupported,
        RejectCode::NotMember,
        RejectCode::NotFacilitator,
        RejectCode::NotAcknowledged,
        RejectCode::InviteInvalid,
        RejectCode::InviteUsed,
        RejectCode::InviteExpired,
        RejectCode::GrantInvalid,
        RejectCode::RoomExists,
        RejectCode::RoomFull,
        RejectCode::Observer,
        RejectCode::LastFacilitator,
        RejectCode::NotFound,
        RejectCode::LaneClosed,
        RejectCode::Paused,
        RejectCode::TimedOut,
        RejectCode::SlowMode,
        RejectCode::BudgetSpent,
        RejectCode::TooLong,
        RejectCode::Closed,
        RejectCode::Locked,
        RejectCode::EpochConflict,
        RejectCode::StateChanged,
        RejectCode::IdConflict,
        RejectCode::RateLimited,
        RejectCode::QuotaSpent,
        RejectCode::DoorBusy,
        RejectCode::StoreUnavailable,
        RejectCode::ShuttingDown,
    ];
    for code in codes {
        let number: u64 = minicbor::decode(&codec::encode(&code)).unwrap();
        let name = format!("`{}`", code.as_str());
        assert_eq!(cell_after(&number.to_string()), Some(name.as_str()));
        let line = PROTOCOL.lines().find(|l| l.starts_with(&format!("| {number} | {name}")));
        let retry = if code.may_retry() { "| yes |" } else { "| no |" };
        assert!(line.is_some_and(|l| l.contains(retry)), "{name} may be retried: {retry}");
    }
}

#[test]
fn limits_are_as_documented() {
    let documented = [
        ("`FRAME_BYTES_MAX`", limits::FRAME_BYTES_MAX as u64),
        ("`PAYLOAD_BYTES_MAX`", limits::PAYLOAD_BYTES_MAX as u64),
        ("`PREVIEW_BYTES_MAX`", limits::PREVIEW_BYTES_MAX as u64),
        ("`KNOCK_BYTES_MAX`", limits::KNOCK_BYTES_MAX as u64),
        ("`NOTE_BYTES_MAX`", limits::NOTE_BYTES_MAX as u64),
        ("`BLOB_BYTES_MAX`", limits::BLOB_BYTES_MAX as u64),
        ("`BLOB_PART_BYTES_MAX`", limits::BLOB_PART_BYTES_MAX as u64),
        ("`EFFECTS_MAX`", limits::EFFECTS_MAX as u64),
        ("`HOURS_WINDOWS_MAX`", limits::HOURS_WINDOWS_MAX as u64),
        ("`HOURS_OFFSETS_MAX`", limits::HOURS_OFFSETS_MAX as u64),
        ("`KNOCKS_MAX`", limits::KNOCKS_MAX as u64),
        ("`INVITES_MAX`", limits::INVITES_MAX as u64),
        ("`MEMBERS_MAX`", u64::from(limits::MEMBERS_MAX)),
        ("`MARKED_BYTES_MAX`", limits::MARKED_BYTES_MAX as u64),
        ("`MARKED_MILLIS`", limits::MARKED_MILLIS),
        ("`MARKED_PADDING`", limits::MARKED_PADDING as u64),
        ("`ROOMS_PER_CONNECTION_MAX`", limits::ROOMS_PER_CONNECTION_MAX as u64),
        ("`VERSIONS_MAX`", limits::VERSIONS_MAX as u64),
        ("`LINK_CHARS_MAX`", limits::LINK_CHARS_MAX as u64),
        ("`ADDRESS_BYTES_MAX`", limits::ADDRESS_BYTES_MAX as u64),
        ("`RETENTION_SECONDS_DEFAULT`", limits::RETENTION_SECONDS_DEFAULT),
        ("`RETENTION_SECONDS_MIN`", limits::RETENTION_SECONDS_MIN),
        ("`RETENTION_SECONDS_MAX`", limits::RETENTION_SECONDS_MAX),
        ("`ENDED_KEPT_MILLIS`", limits::ENDED_KEPT_MILLIS),
        ("`EXPIRE_SECONDS_MIN`", limits::EXPIRE_SECONDS_MIN),
        ("`EXPIRE_SECONDS_MAX`", limits::EXPIRE_SECONDS_MAX),
        ("`LANE_SEATS_MAX`", limits::LANE_SEATS_MAX as u64),
        ("`LANES_BEYOND_MEMBERS`", u64::from(limits::LANES_BEYOND_MEMBERS)),
        ("`LANE_MILLIS`", limits::LANE_MILLIS),
        ("`LANE_BYTES_MAX`", limits::LANE_BYTES_MAX),
        ("`SEALED_NOTE_BYTES_MAX`", limits::SEALED_NOTE_BYTES_MAX as u64),
        ("`NOTES_BYTES_MAX`", limits::NOTES_BYTES_MAX),
        ("`NOTES_OTHERS_BYTES_MAX`", limits::NOTES_OTHERS_BYTES_MAX),
        ("`NOTE_KEPT_MILLIS`", limits::NOTE_KEPT_MILLIS),
        ("`NOTES_BURST`", limits::NOTES_BURST),
        ("`NOTE_MILLIS`", limits::NOTE_MILLIS),
        ("`NOTE_GONE_MILLIS`", limits::NOTE_GONE_MILLIS),
        ("`NOTES_PER_DAY_MAX`", u64::from(limits::NOTES_PER_DAY_MAX)),
        ("`NOTES_DROPPED_MAX`", limits::NOTES_DROPPED_MAX as u64),
    ];
    for (name, value) in documented {
        assert_eq!(cell_after(name), Some(value.to_string().as_str()), "{name}");
    }
}
