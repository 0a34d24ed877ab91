//! Worked examples of what members exchange inside their encryption, compared with appendix B of
//! `docs/protocol.md`, so that text and code cannot drift apart.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::fmt::Write as _;

use data_encoding::HEXLOWER;
use ed25519_dalek::SigningKey;
use hearth_engine::{
    Crypto, Room,
    act::InviteTerms,
    agreement::{
        AckTerms, Acknowledgement, Agreement, Change, Departure, Preview, countersign_transcript,
        facilitators_hash,
    },
    clock::Moment,
    companion::{Companion, NoteKey},
    content::{Body, Envelope, Seen, Window},
    join::{Founding, Joining, open_preview},
    lane::{Chair, LanePolicy, Offer, Seat, desk_id, lane_id, lane_key_seed},
    mls::Suite,
    more::{AckMore, PolicyMore},
    note::{Note, Purpose, TimeOut},
    policy::{
        Act, AgreementRef, Category, Closing, Device, Ending, Farewell, KeptPlace, Leaf, Pin,
        Planned, Proposal, RoomPolicy, Scene, Second, Waiter, Weighty, proposal_digest,
    },
    private::{Quote, SeenState, Wanted},
    profile::Profile,
    receipt::Receipt,
    state::{Countersignature, KnockBody},
};
use hearth_protocol::{
    Digest, Effect, Entry, EntryContent, InviteId, MemberKey, MessageId, Millis, RelayId, Role,
    RoomId, RoomNumbers, Secret32, Seq, codec,
    frame::PendingKnock,
    handshake, hash,
    invite::{self, Grant, RelayAddress, Transport},
    seal,
};
use openmls::prelude::{
    Extension, ExtensionType, KeyPackageIn, MlsMessageBodyIn, MlsMessageIn, ProtocolVersion,
};
use tls_codec::Deserialize as _;

const PROTOCOL: &str = include_str!("../../docs/protocol.md");
const LINE_CHARS: usize = 96;

const ROOM: RoomId = RoomId([0x11; 16]);
const ID: MessageId = MessageId([0x44; 16]);
const DIGEST: Digest = Digest([0x77; 32]);
/// 2026-11-23T00:00Z.
const NOW: Millis = Millis(1_795_392_000_000);

fn key() -> SigningKey {
    SigningKey::from_bytes(&[9; 32])
}

fn member() -> MemberKey {
    MemberKey(key().verifying_key().to_bytes())
}

/// The facilitator of the examples, another key than the member's.
fn facilitator_key() -> SigningKey {
    SigningKey::from_bytes(&[10; 32])
}

fn facilitator() -> MemberKey {
    MemberKey(facilitator_key().verifying_key().to_bytes())
}

fn agreement() -> Agreement {
    Agreement {
        format: 1,
        version: 1,
        previous: None,
        change: Change::Initial,
        effective: NOW,
        language: "en".into(),
        signer: facilitator(),
        salt: [0xab; 16],
        text: "What is said here stays here.\n```questions\n[[question]]\nask = \"Does it?\"\nchoices = [\"yes\", \"no\"]\nright = 1\nwhy = \"We agreed.\"\n```\n".into(),
    }
}

fn acknowledgement(key: &SigningKey) -> Acknowledgement {
    Acknowledgement::sign(
        key,
        AckTerms {
            room: ROOM,
            agreement: &agreement(),
            facilitators: facilitators_hash(&[facilitator()]),
            now: NOW,
            nonce: [0xcd; 16],
            answers: vec!["yes".into()],
            breach: None,
        },
    )
}

fn policy() -> RoomPolicy {
    let numbers = RoomNumbers::default();
    let agreement = AgreementRef::from(&agreement());
    RoomPolicy::found("Evening group".into(), agreement, facilitator(), NOW, numbers)
}

fn envelope(seen: Option<Seen>, body: Body) -> Envelope {
    Envelope { format: 2, id: ID, counter: 3, seen, sent_at: NOW, body, salt: [0xba; 16] }
}

fn hex<T: minicbor::Encode<()>>(value: &T) -> String {
    HEXLOWER.encode(&codec::encode(value))
}

/// Renders an example as the appendix shows it.
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

#[test]
fn records_are_as_documented() {
    let ack = acknowledgement(&key());
    let departure = Departure::sign(&key(), ROOM, ack.digest(), true, NOW);
    let countersigning = countersign_transcript(&ROOM, &ack.digest(), NOW);
    let countersignature = handshake::sign(&facilitator_key(), &countersigning);
    let preview = Preview::sign(
        &facilitator_key(),
        &ROOM,
        "Evening group".into(),
        agreement(),
        vec![facilitator()],
        0x004d,
        None,
    );
    let policy = policy();
    let act = Act::Admit {
        member: member(),
        acknowledgement: ack.digest(),
        countersignature,
        role: Role::Member,
        back: false,
    };
    let record = policy.record_for(facilitator(), NOW, act);
    let companion = Companion {
        format: 1,
        salt: [0xef; 16],
        note: Some(NoteKey { number: 1, key: vec![9; 32] }),
    };
    let added = Leaf {
        member: member(),
        name: "Ana".into(),
        acknowledgement: ack.clone(),
        companion: companion.clone(),
    };
    let founder = acknowledgement(&facilitator_key());
    let roster = [Leaf {
        member: facilitator(),
        name: "Ben".into(),
        acknowledgement: founder.clone(),
        companion: Companion { note: None, ..companion.clone() },
    }];
    let scene = Scene {
        room: ROOM,
        members_max: 100,
        roster: &roster,
        added: Some(&added),
        actor_acknowledgement: &founder,
    };
    let admitted = policy.apply(scene, &record).unwrap().policy;
    let pause = policy.record_for(
        facilitator(),
        NOW,
        Act::Pause { until: NOW.plus(600_000), comment: "Breathe.".into(), reopens: true },
    );
    let receipt = Receipt {
        format: 2,
        room: ROOM,
        agreement: agreement(),
        acknowledgement: ack.clone(),
        countersigned: Some(Countersignature {
            facilitator: facilitator(),
            signature: countersignature,
            at: NOW,
        }),
    };
    receipt.verify().unwrap();
    assert_eq!(Receipt::from_text(&receipt.to_text()).unwrap(), receipt);
    let window = Window::of(Seq(39), &[(Seq(40), DIGEST, NOW), (Seq(41), DIGEST, NOW)]);
    let seen = Seen { seq: Seq(41), digest: DIGEST, windows: vec![window] };
    let issued = Body::InviteIssued {
        invite: InviteId([0x88; 16]),
        knock_key: Secret32::new([0xcc; 32]),
        uses: 1,
        expires: NOW,
        role: Role::Member,
        of: None,
    };
    let text = Body::AgreementText {
        agreement: agreement(),
        return_secret: Secret32::new([0xcc; 32]),
        return_expires: NOW,
    };
    let retract = Act::Retract { message: ID, seq: Seq(40), category: Category::Confidentiality };
    let time_out =
        TimeOut { member: member(), until: NOW, salt: [0xda; 16], words: "Rest a little.".into() };
    let content = codec::encode(&time_out);
    let note = Note::sign(&facilitator_key(), ID, ROOM, member(), Purpose::TimeOut, NOW, content);
    let (key_package, reply_key) = (vec![1, 2, 3], vec![9; 32]);
    let knock = KnockBody { name: "Ana".into(), key_package, offer: None, reply_key };
    let pin = Act::Pin(Pin { message: ID, seq: Seq(40) });
    let return_secret = Secret32::new([0xcc; 32]);
    let opened = Act::OpenBreach { words: "I write to each.".into(), return_secret };
    let waiter = Waiter {
        member: member(),
        name: "Ana".into(),
        salt: [0xef; 16],
        role: Role::Member,
        breach: None,
    };
    let more =
        PolicyMore { waiting: Some(vec![waiter]), breach: Some(DIGEST), ..PolicyMore::default() };
    let sealed = Body::Sealed { notes: vec![vec![1, 2, 3].into()] };
    check(&[
        ("member key", member().to_hex()),
        ("facilitator key", facilitator().to_hex()),
        ("agreement", hex(&agreement())),
        ("agreement id", agreement().id().to_hex()),
        ("answers digest", AgreementRef::from(&agreement()).answers.unwrap().to_hex()),
        ("agreement commitment", agreement().commitment(&ROOM).to_hex()),
        ("facilitators hash", facilitators_hash(&[facilitator()]).to_hex()),
        ("acknowledgement", hex(&ack)),
        ("acknowledgement digest", ack.digest().to_hex()),
        ("countersignature transcript", HEXLOWER.encode(&countersigning)),
        ("countersignature", countersignature.to_hex()),
        ("departure", hex(&departure)),
        ("preview", hex(&preview)),
        ("knock body", hex(&knock)),
        ("companion without a note key", hex(&Companion { note: None, ..companion.clone() })),
        ("founding policy", hex(&policy)),
        ("founding record digest", policy.record.digest().to_hex()),
        ("admitting policy", hex(&admitted)),
        ("pausing record", hex(&pause)),
        ("act retract", hex(&retract)),
        ("act rekey", hex(&Act::Rekey)),
        ("act pin", hex(&pin)),
        ("act time-out", hex(&Act::Timeout(time_out.commitment()))),
        ("act withdraw", hex(&Act::Withdraw)),
        ("act open-breach", hex(&opened)),
        ("act close-breach", hex(&Act::CloseBreach { words: "We go on.".into() })),
        ("map of a policy", hex(&more)),
        ("map of an acknowledgement", hex(&AckMore { breach: Some(DIGEST) })),
        ("companion", hex(&companion)),
        ("time-out", hex(&time_out)),
        ("time-out commitment", time_out.commitment().to_hex()),
        ("sealed note, before sealing", hex(&note)),
        ("window of entries 40 and 41", window.hash.to_hex()),
        ("envelope text", hex(&envelope(Some(seen.clone()), Body::Text("hello".into())))),
        (
            "envelope retract, nothing seen",
            hex(&envelope(None, Body::Retract { message: ID, seq: Seq(40), edits: None })),
        ),
        ("envelope depart", hex(&envelope(Some(seen.clone()), Body::Depart { departure }))),
        ("envelope invite-issued", hex(&envelope(Some(seen.clone()), issued))),
        ("envelope agreement-text", hex(&envelope(Some(seen.clone()), text))),
        ("envelope sealed", hex(&envelope(None, sealed))),
        ("receipt", hex(&receipt)),
    ]);
}

#[test]
fn records_of_lanes_are_as_documented() {
    let lane = lane_id(&ROOM, &member(), &[0xef; 16]);
    let with_desk = RoomPolicy { desk: Some([0xdd; 16].into()), ..policy() };
    let desk = desk_id(&ROOM, &with_desk).unwrap();
    assert_eq!(desk_id(&ROOM, &policy()), None);
    let seed = lane_key_seed(&Secret32::new([9; 32]), &lane, 1);
    let lane_key = SigningKey::from_bytes(seed.expose());
    let lane_key = MemberKey(lane_key.verifying_key().to_bytes());
    let seat = Seat::sign(&key(), &lane_key, ROOM, lane, 1);
    assert!(seat.verify(&lane_key));
    let chair = Chair { member: facilitator(), role: Role::Facilitator, name: "Ben".into() };
    let lane_policy = LanePolicy {
        format: 1,
        parent: ROOM,
        owner: Some(member()),
        number: 2,
        record: DIGEST,
        bench: vec![chair],
    };
    assert!(LanePolicy::parse(&codec::encode(&lane_policy)).is_some());
    let quote = Quote {
        seq: Seq(40),
        digest: DIGEST,
        author: facilitator(),
        message: ID,
        salt: [0xab; 16],
        body: codec::encode(&Body::Text("hello".into())),
    };
    let report = Body::Report {
        quotes: vec![quote],
        about: vec![facilitator()],
        category: Category::Conduct,
        words: "This hurt.".into(),
    };
    let inquire = |wanted| hex(&Body::Inquire { wanted, within: 86_400 });
    check(&[
        ("body shared", hex(&Body::Shared("Hello.".into()))),
        ("body offers", hex(&Body::Offers(vec![Offer { lane, key_package: vec![1, 2, 3] }]))),
        ("body note", hex(&Body::Note { about: Some(member()), text: "Call on Monday.".into() })),
        ("body anon", hex(&Body::Anon("Hello.".into()))),
        ("body recall", hex(&Body::Recall(ID))),
        ("body mood", hex(&Body::Mood { score: 2, words: "evenings".into() })),
        (
            "body questionnaire",
            hex(&Body::Questionnaire { form: DIGEST, answers: vec![Some(1), None] }),
        ),
        ("body report", hex(&report)),
        ("body flag", hex(&Body::Flag("The night.".into()))),
        (
            "body seen",
            hex(&Body::Seen { message: ID, state: SeenState::Resolved, words: "Talked.".into() }),
        ),
        ("body inquire, mood", inquire(Wanted::Mood { every: 3 })),
        ("body inquire, no mood", inquire(Wanted::NoMood)),
        (
            "body inquire, questions",
            inquire(Wanted::Form { stem: "week".into(), source: b"items".to_vec() }),
        ),
        ("lane id", lane.to_hex()),
        ("lane id of the desk", desk.to_hex()),
        ("seed of lane key 1", HEXLOWER.encode(seed.expose())),
        ("lane key 1", lane_key.to_hex()),
        ("seat", hex(&seat)),
        ("lane policy", hex(&lane_policy)),
        ("lane policy of the desk", hex(&LanePolicy { owner: None, ..lane_policy })),
        ("offer", hex(&Offer { lane, key_package: vec![1, 2, 3] })),
    ]);
}

#[test]
fn records_of_ends_are_as_documented() {
    let ends = NOW.plus(21 * 86_400_000);
    let lost = Act::Device(Device::Lost { member: member() });
    let replaced = Act::Device(Device::Replaced {
        lost: member(),
        member: facilitator(),
        acknowledgement: DIGEST,
        countersignature: handshake::sign(&facilitator_key(), &[0; 32]),
    });
    let words = || "The programme's phone".to_owned();
    let closing = Closing::At { ends, sooner: String::new(), words: words() };
    let what = Weighty::Remove { member: member(), goodbye: "Take care.".into() };
    let salt = [0xda; 16];
    let digest = proposal_digest(&salt, &what);
    let confirm = Second::Confirm { proposal: 7, salt, what };
    let farewell = Farewell::Announced { member: member(), on: ends, words: words() };
    let place = KeptPlace { lost: member(), name: "Ana".into(), role: Role::Member };
    let mut more = policy().more;
    more.two_person = Some(true);
    more.proposals = Some(vec![Proposal { number: 7, by: facilitator(), at: NOW, digest }]);
    more.kept = Some(vec![place]);
    more.ending = Some(Ending { words: words(), sooner: String::new() });
    more.farewells = Some(vec![Planned { member: member(), on: ends, by: facilitator() }]);
    let numbers = RoomNumbers { ends_at: Some(ends), ..RoomNumbers::default() };
    check(&[
        ("act device lost", hex(&lost)),
        ("act device replaced", hex(&replaced)),
        ("act device given up", hex(&Act::Device(Device::GivenUp { lost: member() }))),
        ("act close-group", hex(&Act::CloseGroup(closing))),
        ("act close-group called off", hex(&Act::CloseGroup(Closing::CalledOff))),
        ("proposal digest", digest.to_hex()),
        ("act second on", hex(&Act::Second(Second::On))),
        ("act second propose", hex(&Act::Second(Second::Propose(digest)))),
        ("act second confirm", hex(&Act::Second(confirm))),
        ("act second withdraw", hex(&Act::Second(Second::Withdraw { proposal: 7 }))),
        ("act farewell announced", hex(&Act::Farewell(farewell))),
        ("act farewell said", hex(&Act::Farewell(Farewell::Said { member: member() }))),
        ("act remember", hex(&Act::Remember { member: member(), words: "Ana has died.".into() })),
        ("policy's map with ends", hex(&more)),
        ("numbers with an end", hex(&numbers)),
    ]);
}

fn check(examples: &[(&str, String)]) {
    let rendered: Vec<String> = examples.iter().map(|(name, value)| render(name, value)).collect();
    let missing = rendered.iter().filter(|text| !PROTOCOL.contains(text.as_str())).count();
    assert!(
        missing == 0,
        "{missing} examples of docs/protocol.md are missing or outdated; it should hold:\n{}",
        rendered.concat()
    );
}

/// Returns an example of the text by its name.
fn example(name: &str) -> Vec<u8> {
    let mut lines = PROTOCOL.lines().skip_while(|line| *line != name).skip(1);
    let mut hex = String::new();
    for line in lines.by_ref().take_while(|line| line.starts_with("  ")) {
        hex.push_str(line.trim());
    }
    assert!(!hex.is_empty(), "there is no example {name:?}");
    HEXLOWER.decode(hex.as_bytes()).unwrap()
}

/// They are random, so what is there is read: a knock holds the bare KeyPackage, a blob the Welcome as an MLSMessage.
#[test]
fn real_messages_are_wrapped_as_documented() {
    let bytes = example("key package in a knock");
    // ProtocolVersion mls10 and the suite: no wire format stands before them (RFC 9420 section 10).
    assert_eq!(bytes[..4], [0, 1, 0, 3]);
    let package = KeyPackageIn::tls_deserialize_exact(&bytes).unwrap();
    let package = package.validate(&Crypto::default(), ProtocolVersion::Mls10).unwrap();
    let leaf = package.leaf_node();
    assert_eq!(leaf.credential().serialized_content(), b"Ana");
    let kinds = [ExtensionType::Unknown(0xff02), ExtensionType::Unknown(0xff03)];
    assert!(leaf.extensions().iter().map(Extension::extension_type).eq(kinds));
    let content = |number| leaf.extensions().unknown(number).unwrap().0.clone();
    let acknowledgement = Acknowledgement::parse(&content(0xff02)).unwrap();
    let member = MemberKey::from_slice(leaf.signature_key().as_slice()).unwrap();
    acknowledgement.verify(&acknowledgement.room, &member).unwrap();
    assert!(Companion::parse(&content(0xff03), 32).unwrap().note.is_some());
    let lifetime = package.life_time();
    assert_eq!((lifetime.not_before(), lifetime.not_after()), (0, u64::MAX));

    let bytes = example("Welcome in a blob");
    // ProtocolVersion mls10, then the wire format mls_welcome, then the suite (RFC 9420 sections 6 and 12.4.3.1).
    assert_eq!(bytes[..6], [0, 1, 0, 3, 0, 3]);
    let message = MlsMessageIn::tls_deserialize_exact(&bytes).unwrap();
    assert!(matches!(message.extract(), MlsMessageBodyIn::Welcome(_)));
    assert!(KeyPackageIn::tls_deserialize_exact(&bytes).is_err());
}

/// Prints another pair of real messages for the text.
#[test]
#[expect(clippy::print_stdout, reason = "it prints what the text holds")]
#[ignore = "prints, does not check"]
fn print_real_messages() {
    let dir = tempfile::tempdir().unwrap();
    let profile = |name: &str| Profile::create(&dir.path().join(name), None).unwrap();
    let (bens, anas, crypto) = (profile("ben"), profile("ana"), Crypto::default());
    let mut ben = Room::found(bens.store(), &crypto, &grant(), founding(), NOW).unwrap();
    ben.opened().unwrap();
    let terms = InviteTerms { uses: 1, expires: NOW.plus(1000), role: Role::Member };
    let (link, _) = ben.invite(terms, NOW).unwrap();
    let sent = ben.next_submission().unwrap().unwrap();
    let Some(Effect::AddInvite { preview, .. }) = sent.effects.first() else { panic!("no invite") };
    let preview = open_preview(&link, preview).unwrap();
    let joining =
        Joining { name: "Ana".into(), local_name: "room".into(), answers: vec!["yes".into()] };
    let knocking = Room::knock(anas.store(), &crypto, &link, &preview, joining, NOW).unwrap();
    let (ana, request) = knocking;
    let key = invite::knock_key(&link.secret);
    let body = seal::open(&key, seal::Purpose::Knock, &link.room, &request.body).unwrap();
    let package = codec::decode::<KnockBody>(&body).unwrap().key_package;
    let pending = PendingKnock {
        member: ana.me(),
        invite: invite::invite_id(&link.token()),
        at: NOW,
        acknowledgement: request.acknowledgement,
        body: request.body,
    };
    let entry = EntryContent::Payload(sent.payload);
    let entries = [Entry { seq: Seq(1), at: NOW, content: entry }];
    ben.handle_entries(&entries, Moment { own: NOW, relay: NOW }).unwrap();
    let knock = ben.open_knock(&pending).unwrap();
    let (_, welcome) = ben.admit(&knock, NOW).unwrap().blob.unwrap();
    print!("{}", render("key package in a knock", &HEXLOWER.encode(&package)));
    print!("{}", render("Welcome in a blob", &HEXLOWER.encode(&welcome)));
}

fn grant() -> Grant {
    Grant {
        address: RelayAddress {
            authority: "relay.example:7443".into(),
            transport: Transport::Tls,
            relay: RelayId([0xaa; 32]),
            pin: None,
        },
        secret: Secret32::new([0xcc; 32]),
    }
}

fn founding() -> Founding {
    Founding {
        title: "Evening group".into(),
        agreement: agreement().text,
        language: "en".into(),
        name: "Ben".into(),
        local_name: "evening".into(),
        suite: Suite::X25519,
        numbers: RoomNumbers::default(),
        lanes: false,
    }
}

#[test]
fn verification_codes_are_made_as_documented() {
    let dir = tempfile::tempdir().unwrap();
    let profile = Profile::create(&dir.path().join("profile"), None).unwrap();
    let crypto = Crypto::default();
    let room = Room::found(profile.store(), &crypto, &grant(), founding(), NOW).unwrap();
    let (low, high) = (room.me().min(member()), room.me().max(member()));
    let id = room.id();
    let parts: [&[u8]; 3] = [id.as_bytes(), low.as_bytes(), high.as_bytes()];
    let hash = hash::labelled("hearth member code v1", &parts);
    let groups: Vec<String> = (0..6)
        .map(|group| {
            let bytes = &hash[group * 5..group * 5 + 5];
            let number = bytes.iter().fold(0_u64, |n, b| n * 256 + u64::from(*b));
            format!("{:05}", number % 100_000)
        })
        .collect();
    assert_eq!(room.verification_code(&member()), groups.join(" "));
}
