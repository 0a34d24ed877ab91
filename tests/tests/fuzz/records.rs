//! What members read inside the encryption, from files, and from their own disk.

use std::cell::OnceCell;

use hearth_client::text::when::{parse_duration, parse_hours, parse_rate};
use hearth_engine::{
    agreement::{Acknowledgement, Agreement, Change, Departure, Preview},
    companion::Companion,
    content::{ContentError, Envelope},
    fuzzing,
    lane::{LanePolicy, Offer, Seat},
    more::PolicyMore,
    note::{Note, TimeOut},
    policy::{
        Act, AgreementRef, Applied, Category, Closing, Device, Farewell, Leaf, Pin, Record,
        RoleEntry, RoomPolicy, Scene, Second, Waiter,
    },
    profile::Profile,
    receipt::Receipt,
    state::{Cursor, KnockBody, KnownInvite, Outgoing, ReturnInvite, RoomState, Row},
    store::Kind,
};
use hearth_protocol::{Digest, MemberKey, Millis, Role, RoomId, Seq, codec, hash, padding};
use hearth_text::{
    escape::{many_lines, one_line, sanitize_input, truncate, width},
    name::parse_name,
};

use super::{choice, chosen, mls, record, wire::example_bytes, wire::use_numbers};

const ROOM: RoomId = RoomId([0x11; 16]);
const KEY: [u8; 32] = [0xee; 32];
/// 2026-11-23T00:00Z.
const NOW: Millis = Millis(1_795_392_000_000);

thread_local! {
    static ACKNOWLEDGEMENT: OnceCell<Acknowledgement> = const { OnceCell::new() };
}

/// Returns the acknowledgement of the worked examples.
fn example_acknowledgement() -> Acknowledgement {
    let make = || Acknowledgement::parse(&example_bytes("acknowledgement")[0]).unwrap();
    ACKNOWLEDGEMENT.with(|ack| ack.get_or_init(make).clone())
}

/// An acknowledgement, an agreement, a departure, a preview, or the body of a knock.
pub(super) fn agreement(bytes: &[u8]) -> bool {
    let mut known = false;
    if let Ok(ack) = Acknowledgement::parse(bytes) {
        assert_eq!(ack.to_bytes(), bytes, "an acknowledgement has one encoding");
        let (room, member) = (ack.room, ack.member);
        assert!(ack.verify(&RoomId([0xfe; 16]), &member).is_err() || room == RoomId([0xfe; 16]));
        known = true;
    }
    if let Some(agreement) = record::<Agreement>(bytes) {
        assert_ne!(agreement.commitment(&ROOM), agreement.commitment(&RoomId([0; 16])));
        known = true;
    }
    if let Some(departure) = record::<Departure>(bytes) {
        assert!(!(departure.verify(&ROOM) && departure.verify(&RoomId([0; 16]))));
        known = true;
    }
    if let Some(preview) = record::<Preview>(bytes) {
        let by = preview.facilitators.first().copied().unwrap_or(MemberKey([0; 32]));
        assert!(!preview.verify(&ROOM, &by) || preview.facilitators.contains(&by));
        known = true;
    }
    known
        | companion(bytes)
        | lane(bytes)
        | record::<KnockBody>(bytes).is_some()
        | record::<TimeOut>(bytes).is_some()
        | record::<Note>(bytes).is_some()
}

/// The companion of an acknowledgement, in a leaf of either suite.
fn companion(bytes: &[u8]) -> bool {
    let read = [32, 1216].into_iter().find_map(|length| Companion::parse(bytes, length));
    read.is_some_and(|companion| {
        assert_eq!(codec::encode(&companion), bytes, "a companion has one encoding");
        assert!(companion.may_become(&companion));
        true
    })
}

/// A seat in a lane, its policy, or an offer.
fn lane(bytes: &[u8]) -> bool {
    let mut known = record::<Offer>(bytes).is_some();
    if let Some(seat) = Seat::parse(bytes) {
        assert_eq!(codec::encode(&seat), bytes, "a seat has one encoding");
        assert!(!seat.verify(&MemberKey([0; 32])));
        known = true;
    }
    if let Some(policy) = LanePolicy::parse(bytes) {
        assert_eq!(codec::encode(&policy), bytes, "a policy has one encoding");
        assert!(policy.bench.iter().all(|chair| policy.seats(&chair.member)));
        known = true;
    }
    known
}

pub(super) fn agreement_seeds() -> Vec<Vec<u8>> {
    [
        "agreement",
        "acknowledgement",
        "departure",
        "preview",
        "knock body",
        "companion",
        "time-out",
        "sealed note, before sealing",
        "seat",
        "lane policy",
        "offer",
    ]
    .iter()
    .map(|name| example_bytes(name)[0].clone())
    .collect()
}

/// A policy and a record that is applied to it. Two bytes say how long the policy is; the first bit, that the
/// record's number and hash are made right.
pub(super) fn policy(bytes: &[u8]) -> bool {
    let Some((len, rest)) = bytes.split_first_chunk::<2>() else { return false };
    let len = u16::from_be_bytes(*len);
    let Some((policy, act)) = rest.split_at_checked(usize::from(len & 0x7fff)) else {
        return false;
    };
    let (Some(policy), Some(mut record)) = (record::<RoomPolicy>(policy), record::<Record>(act))
    else {
        return false;
    };
    use_numbers(&policy.numbers);
    if len & 0x8000 != 0 {
        record = policy.record_for(record.actor, record.at, record.act);
    }
    let mut ack = example_acknowledgement();
    // Everybody has acknowledged again, or nobody could close a breach.
    ack.more.breach = policy.more.breach;
    let leaf = |member| Leaf {
        member,
        name: "Ana".to_owned(),
        acknowledgement: ack.clone(),
        companion: Companion { format: 1, salt: [7; 16], note: None },
    };
    let newcomer = leaf(ack.member);
    let mut roster: Vec<Leaf> = policy.roles.iter().map(|entry| leaf(entry.member)).collect();
    let admits = record.act.admission().is_some();
    if !admits {
        roster.push(newcomer.clone());
    }
    let added = admits.then_some(&newcomer);
    let members_max = hearth_protocol::limits::MEMBERS_MAX as usize;
    let actor_acknowledgement = &ack;
    let scene = Scene { room: ROOM, members_max, roster: &roster, added, actor_acknowledgement };
    let Ok(applied) = policy.apply(scene, &record) else { return false };
    assert_eq!(policy.apply(scene, &record).as_ref(), Ok(&applied), "all members decide alike");
    follows(&policy, &record, &roster, &applied);
    true
}

/// Checks what must be true after any act that the rules allow.
fn follows(before: &RoomPolicy, record: &Record, roster: &[Leaf], applied: &Applied) {
    let after = &applied.policy;
    let founds = |policy: &RoomPolicy| policy.roles.iter().any(|r| r.role == Role::Facilitator);
    assert!(founds(after) || !founds(before), "the room lost its last facilitator");
    let role = before.role(&record.actor);
    let served = role.admits() && matches!(record.act, Act::Admit { .. } | Act::Enact);
    let may = role.moderates() || served || matches!(record.act, Act::Depart(_));
    assert!(may, "a member moderates");
    assert_eq!(after.record, *record);
    assert_eq!(
        (record.number, record.previous),
        (before.record.number.saturating_add(1), before.record.digest(),)
    );
    assert!(applied.removed.is_sorted());
    assert!(applied.removed.iter().all(|out| roster.iter().any(|leaf| leaf.member == *out)));
    assert!(applied.removed.iter().all(|out| after.roles.iter().all(|r| r.member != *out)));
    // A place is kept for who goes out by this act, and for nobody else.
    let kept =
        |waiter| before.waiting().contains(waiter) || applied.removed.contains(&waiter.member);
    assert!(after.waiting().iter().all(kept));
    assert!(after.pins.len() <= before.pins.len().max(5));
    assert!(after.revoked.len() <= before.revoked.len().max(1000));
    assert_eq!(codec::decode::<RoomPolicy>(&codec::encode(after)).ok().as_ref(), Some(after));
}

pub(super) fn policy_seeds() -> Vec<Vec<u8>> {
    let founding = &example_bytes("founding policy")[0];
    let policy: RoomPolicy = codec::decode(founding).unwrap();
    let admitting: RoomPolicy = codec::decode(&example_bytes("admitting policy")[0]).unwrap();
    let facilitator = policy.record.actor;
    let ack = example_acknowledgement();
    let departure: Departure = codec::decode(&example_bytes("departure")[0]).unwrap();
    let hours = parse_hours("Mon-Fri 17:00-20:00 Europe/Paris", NOW).unwrap();
    let acts = vec![
        admitting.record.act.clone(),
        Act::Remove { member: ack.member, goodbye: "Bye.".into() },
        Act::Depart(departure),
        Act::SetRole { member: ack.member, role: Role::CoFacilitator },
        Act::Pause { until: Millis::NEVER, comment: "Breathe.".into(), reopens: true },
        Act::Slow(60),
        Act::Budget(20),
        Act::Length(1000),
        Act::Lock(true),
        Act::Hours { text: "Mon-Fri 17:00-20:00 Europe/Paris".into(), hours },
        Act::Door(hearth_protocol::frame::Door::Open),
        Act::Timeout(Digest([3; 32])),
        Act::Untimeout(Digest([3; 32])),
        Act::Announce("On Tuesday there is cake.".into()),
        Act::Pin(Pin { message: hearth_protocol::MessageId([4; 16]), seq: Seq(40) }),
        Act::Retract {
            message: hearth_protocol::MessageId([4; 16]),
            seq: Seq(40),
            category: Category::Safety,
        },
        Act::Rekey,
        Act::Expire(3600),
        Act::Device(Device::Lost { member: ack.member }),
        Act::CloseGroup(Closing::At {
            ends: Millis::NEVER,
            sooner: String::new(),
            words: "The programme's phone.".into(),
        }),
        Act::Farewell(Farewell::Announced {
            member: ack.member,
            on: Millis::NEVER,
            words: "Ana moves away.".into(),
        }),
        Act::Remember { member: ack.member, words: "Ana has died.".into() },
    ];
    let seed = |policy: &RoomPolicy, act| {
        let record = policy.record_for(facilitator, admitting.record.at, act);
        let policy = codec::encode(policy);
        let len = u16::try_from(policy.len()).unwrap() | 0x8000;
        [&len.to_be_bytes()[..], &policy, &codec::encode(&record)].concat()
    };
    let mut seeds: Vec<Vec<u8>> = acts.into_iter().map(|act| seed(&policy, act)).collect();
    // A proposal needs a second who moderates.
    let mut of_two = policy.clone();
    of_two.roles.push(RoleEntry { member: ack.member, role: Role::CoFacilitator });
    of_two.roles.sort_unstable_by_key(|entry| entry.member);
    seeds.push(seed(&of_two, Act::Second(Second::Propose(Digest([3; 32])))));
    let coming = AgreementRef { id: Digest([5; 32]), version: 2, effective: NOW, answers: None };
    let act = Act::Amend { agreement: coming, change: Change::Material };
    seeds.push(seed(&policy, act));
    let amended = RoomPolicy { pending: Some(coming), ..policy.clone() };
    seeds.push(seed(&amended, Act::Withdraw));
    let return_secret = hearth_protocol::Secret32::new([9; 32]);
    seeds.push(seed(&policy, Act::OpenBreach { words: "I write to each.".into(), return_secret }));
    let waiter = Waiter {
        member: ack.member,
        name: "Ana".into(),
        salt: [7; 16],
        role: Role::CoFacilitator,
        breach: Some(Digest([8; 32])),
    };
    let (waiting, breach) = (Some(vec![waiter]), Some(Digest([8; 32])));
    let more = PolicyMore { waiting, breach, ..PolicyMore::default() };
    let stopped = RoomPolicy { more, ..policy.clone() };
    seeds.push(seed(&stopped, Act::CloseBreach { words: "We go on.".into() }));
    let remove = Act::Remove { member: ack.member, goodbye: String::new() };
    seeds.push(seed(&stopped, remove));
    seeds
}

/// The content of an application message: 0 with its padding, 1 without; 2 and 3 the same of a marked one.
pub(super) fn envelope(bytes: &[u8]) -> bool {
    let (way, rest) = choice(bytes);
    let marked = way & 2 != 0;
    let padded;
    let read = if way & 1 == 0 {
        Envelope::from_padded(rest, marked)
    } else {
        let bytes = if marked { padding::pad_marked(rest) } else { padding::pad(rest) };
        let Some(bytes) = bytes else { return false };
        padded = bytes;
        Envelope::from_padded(&padded, marked)
    };
    match read {
        Ok(envelope) => {
            let again = envelope.to_padded().expect("what was read can be sent");
            assert_eq!(Envelope::from_padded(&again, marked).as_ref(), Ok(&envelope));
            true
        }
        Err(ContentError::TooLong) => unreachable!("reading is not sending"),
        // It counts, whatever is in it.
        Err(ContentError::Later(head, kind)) => {
            assert_eq!(kind.format == 2, kind.body.is_some());
            assert!(kind.format == 2 || head.seen.is_none());
            true
        }
        Err(_) => false,
    }
}

/// An envelope whose format, or the number of whose body, is of a later version.
fn later(example: &[u8], format: u8, body: Option<u8>) -> Vec<u8> {
    let mut bytes = example.to_vec();
    // An array head, and then the format.
    bytes[1] = format;
    if let Some(number) = body {
        // Before the body: time of sending, nine bytes of it.
        let at =
            bytes.windows(9).position(|nine| nine[0] == 0x1b && nine[1..] == NOW.0.to_be_bytes());
        bytes[at.unwrap() + 10] = number;
    }
    bytes
}

pub(super) fn envelope_seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for example in example_bytes("envelope ") {
        let envelope: Envelope = codec::decode(&example).unwrap();
        let (way, padded) = if envelope.body.is_marked() {
            (2, padding::pad_marked(&example))
        } else {
            (0, padding::pad(&example))
        };
        seeds.extend([chosen(way, &padded.unwrap()), chosen(way | 1, &example)]);
    }
    let text = &example_bytes("envelope text")[0];
    for later in [later(text, 3, None), later(text, 1, None), later(text, 2, Some(14))] {
        seeds.extend([chosen(1, &later), chosen(3, &later)]);
    }
    seeds
}

/// A receipt: 0 its text, 1 the record in it.
pub(super) fn receipt(bytes: &[u8]) -> bool {
    let (way, rest) = choice(bytes);
    let text = if way & 1 == 0 {
        String::from_utf8_lossy(rest).into_owned()
    } else {
        let body = data_encoding::BASE64.encode(rest);
        format!("-----BEGIN HEARTH RECEIPT-----\n{body}\n-----END HEARTH RECEIPT-----\n")
    };
    let Ok(receipt) = Receipt::from_text(&text) else { return false };
    assert_eq!(Receipt::from_text(&receipt.to_text()).unwrap(), receipt);
    if receipt.verify().is_ok() {
        let ack = &receipt.acknowledgement;
        assert_eq!((receipt.agreement.id(), receipt.room), (ack.agreement, ack.room));
    }
    true
}

pub(super) fn receipt_seeds() -> Vec<Vec<u8>> {
    let bytes = &example_bytes("receipt")[0];
    let receipt: Receipt = codec::decode(bytes).unwrap();
    vec![chosen(0, receipt.to_text().as_bytes()), chosen(1, bytes)]
}

/// A record of the client's store, unsealed: whatever kind it may be.
pub(super) fn row(bytes: &[u8]) -> bool {
    let mut known = record::<Row>(bytes).is_some();
    if let Some(state) = record::<RoomState>(bytes) {
        assert_eq!(state.address().authority, state.authority);
        assert_eq!(state.member().0, state.signing_key().verifying_key().to_bytes());
        state.suite();
        known = true;
    }
    if let Some(cursor) = record::<Cursor>(bytes) {
        for seq in [0, 1, u64::MAX] {
            assert!(cursor.place(Seq(seq)).0 >= seq, "a place lies before its seq");
        }
        known = true;
    }
    if let Some(written) = fuzzing::accord(bytes) {
        assert_eq!(
            fuzzing::accord(&written).as_ref(),
            Some(&written),
            "a record changes when it is read"
        );
        known = true;
    }
    known
        | record::<Outgoing>(bytes).is_some()
        | record::<KnownInvite>(bytes).is_some()
        | record::<ReturnInvite>(bytes).is_some()
        | record::<Record>(bytes).is_some()
}

pub(super) fn row_seeds() -> Vec<Vec<u8>> {
    let mut seeds = mls::store_rows();
    seeds.push(codec::encode(&ReturnInvite {
        agreement: Digest([1; 32]),
        secret: hearth_protocol::Secret32::new([2; 32]),
        expires: NOW,
    }));
    seeds
}

/// A sealed row of the client's store: 0 opens the bytes, 1 seals them and damages that.
pub(super) fn sealed_row(bytes: &[u8]) -> bool {
    let (way, rest) = choice(bytes);
    let place = (Kind::History, 1, b"12345678".as_slice());
    if way & 1 == 0 {
        return fuzzing::open_row(&KEY, place, rest).is_some();
    }
    let sealed = fuzzing::seal_row(&KEY, place, rest).expect("a value is sealed");
    assert_eq!(fuzzing::open_row(&KEY, place, &sealed).as_deref(), Some(rest));
    for other in [(Kind::Log, place.1, place.2), (place.0, 2, place.2), (place.0, place.1, b"1")] {
        assert_eq!(fuzzing::open_row(&KEY, other, &sealed), None, "a row opens elsewhere");
    }
    let mut damaged = sealed;
    let at = usize::from(way) * damaged.len() / 256;
    damaged[at] ^= 1 << (rest.len() % 8);
    assert_eq!(fuzzing::open_row(&KEY, place, &damaged), None, "a damaged row opens");
    true
}

pub(super) fn sealed_row_seeds() -> Vec<Vec<u8>> {
    let place = (Kind::History, 1, b"12345678".as_slice());
    let sealed = fuzzing::seal_row(&KEY, place, b"hello").unwrap();
    vec![chosen(0, &sealed), chosen(1, b"hello"), chosen(255, &[7; 300])]
}

/// The file `profile`: 0 as it is, 1 before its hash.
pub(super) fn profile(bytes: &[u8]) -> bool {
    let (way, rest) = choice(bytes);
    let file =
        if way & 1 == 0 { rest.to_vec() } else { [rest, hash::sha256(rest).as_bytes()].concat() };
    let Some(written) = fuzzing::profile_header(&file) else { return false };
    assert_eq!(fuzzing::profile_header(&written).as_ref(), Some(&written));
    true
}

pub(super) fn profile_seeds() -> Vec<Vec<u8>> {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("home");
    drop(Profile::create(&home, None).unwrap());
    let file = std::fs::read(home.join("profile")).unwrap();
    let mut seeds = vec![chosen(0, &file), chosen(1, &file[..file.len() - 32])];
    // The lock of a passphrase: a cost of three numbers, and a salt.
    let mut stretched = file[..18].to_vec();
    stretched.extend([0x83, 0x82, 0x00, 0x82, 0x83, 0x08, 0x01, 0x01, 0x50]);
    stretched.extend([7; 16]);
    stretched.extend([&[0x58, 24][..], &[8; 24], &[0x58, 48], &[9; 48]].concat());
    seeds.push(chosen(1, &stretched));
    seeds
}

/// What a stranger wrote, and what somebody typed. The first byte is the width of the screen.
pub(super) fn text(bytes: &[u8]) -> bool {
    let (columns, rest) = choice(bytes);
    let columns = usize::from(columns);
    let text = String::from_utf8_lossy(rest);
    let line = one_line(&text);
    is_inert(&line);
    assert!(!line.contains('\n'));
    let shown = many_lines(&text, "  ");
    is_inert(&shown);
    assert!(shown.split('\n').skip(1).all(|line| line.starts_with("  ")), "a line is not indented");
    for inert in [&line, &shown.replace('\n', " ")] {
        let cut = truncate(inert, columns);
        is_inert(&cut);
        assert!(width(&cut) <= columns, "{cut:?} is wider than {columns}");
    }
    if let Ok(name) = parse_name(&text) {
        assert_eq!(parse_name(name.as_str()).as_ref(), Ok(&name), "a name changes when read again");
        assert_eq!(one_line(name.as_str()), name.as_str(), "a name is not inert");
    }
    if let Ok(typed) = sanitize_input(&text) {
        assert_eq!(sanitize_input(&typed).as_ref(), Ok(&typed));
    }
    let _ = (parse_duration(&text), parse_rate(&text));
    if let Ok(Some(hours)) = parse_hours(&text, NOW) {
        assert!(hours.is_well_formed());
    }
    true
}

/// Checks that text cannot do anything to a terminal but take space.
fn is_inert(text: &str) {
    let harmful = |c: char| {
        (c.is_control() && c != '\n')
            || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{200b}' | '\u{200e}' | '\u{200f}')
            || matches!(c, '\u{feff}' | '\u{e0000}'..='\u{e007f}' | '\u{61c}')
    };
    assert!(!text.contains(harmful), "{text:?}");
}

pub(super) fn text_seeds() -> Vec<Vec<u8>> {
    [
        "Ana",
        "What is said here stays here.\nAnd nowhere else.",
        "\u{1b}]52;c;aGVsbG8=\u{7}\u{202e}evil\u{200b}",
        "👨‍👩‍👧‍👦 e\u{301}\u{301}\u{301}\u{301}\u{301} नमस्ते",
        "Mon-Fri 17:00-20:00 Europe/Paris",
        "90m",
        "20/d",
    ]
    .iter()
    .map(|text| chosen(20, text.as_bytes()))
    .collect()
}
