//! Lanes as values: openings, seats, and what every seat may do.

use hearth_protocol::{
    frame::LaneSeat,
    hash,
    limits::{LANE_BYTES_MAX, LANE_SEATS_MAX},
};

use super::*;
use crate::lanes::{self, Earlier, Opened, Opening, Seated};

const LANE: RoomId = RoomId([0xee; 16]);

fn in_lane(mut payload: Vec<u8>) -> Vec<u8> {
    payload[5..21].copy_from_slice(&LANE.0);
    payload
}

fn seat(number: u8, role: Role) -> LaneSeat {
    LaneSeat { member: key(number), role }
}

fn opening(seats: Vec<LaneSeat>) -> Opening {
    let welcome = if seats.iter().any(|seat| seat.member != key(1)) { vec![7; 9] } else { vec![] };
    Opening { commit: in_lane(commit(0)), welcome, seats }
}

fn open(opening: Opening, earlier: &[Earlier], count: u32) -> Result<Opened, RejectCode> {
    let parent = row();
    let opened =
        decide(|context| lanes::open(context, &parent, (LANE, key(1)), opening, earlier, count));
    opened.map_err(|refusal| refusal.code)
}

#[test]
fn opening_seats_all_at_once() {
    let seats = vec![seat(2, Role::Facilitator), seat(3, Role::Member)];
    let Ok(Opened::New(room)) = open(opening(seats), &[], 0) else { panic!("it opens") };
    assert_eq!((room.row.epoch, room.row.head, room.row.kind), (Epoch(1), Seq(1), Kind::Lane));
    let welcome = Some(BlobId(hash::sha256(&[7; 9]).0));
    let rows: Vec<_> = room.members.values().flatten().collect();
    let told: Vec<_> = rows.iter().map(|row| (row.role, row.joined, row.welcome)).collect();
    assert_eq!(
        told,
        [
            (Role::Facilitator, Seq(0), None),
            (Role::Facilitator, Seq(1), welcome),
            (Role::Member, Seq(1), welcome)
        ]
    );
    assert_eq!(room.append.unwrap().payload, in_lane(commit(0)));
    assert!(room.changes.iter().any(|change| matches!(change, Change::Blob { .. })));
    // The opener of their own lane is its owner; nobody else has to sit there.
    let Ok(Opened::New(own)) = open(opening(vec![seat(1, Role::Member)]), &[], 0) else {
        panic!("it opens")
    };
    assert_eq!(own.members[&key(1)].as_ref().unwrap().role, Role::Member);
    assert!(matches!(open(opening(vec![]), &[], 0), Ok(Opened::New(_))));
}

#[test]
fn malformed_openings_are_refused() {
    let bench = |count: u8| (2..2 + count).map(|n| seat(n, Role::Facilitator)).collect::<Vec<_>>();
    let with = |change: fn(&mut Opening)| {
        let mut opening = opening(bench(1));
        change(&mut opening);
        opening
    };
    for (opening, code) in [
        (with(|o| o.commit = commit(0)), RejectCode::BadPayload),
        (with(|o| o.commit = in_lane(commit(1))), RejectCode::BadPayload),
        (with(|o| o.commit = in_lane(post(0))), RejectCode::BadPayload),
        (with(|o| o.commit = vec![]), RejectCode::BadPayload),
        (with(|o| o.commit.resize(PAYLOAD_BYTES_MAX + 1, 0)), RejectCode::TooLarge),
        (with(|o| o.welcome = vec![]), RejectCode::BadFrame),
        (with(|o| o.seats = vec![]), RejectCode::BadFrame),
        (opening(vec![seat(2, Role::CoFacilitator)]), RejectCode::BadFrame),
        (opening(vec![seat(2, Role::Observer)]), RejectCode::BadFrame),
        (opening(vec![seat(2, Role::Member), seat(3, Role::Member)]), RejectCode::BadFrame),
        (opening([bench(1), bench(1)].concat()), RejectCode::BadFrame),
        (opening(vec![seat(1, Role::Facilitator)]), RejectCode::BadFrame),
        (opening(vec![seat(1, Role::Member); 2]), RejectCode::BadFrame),
        (opening(bench(LANE_SEATS_MAX as u8)), RejectCode::TooLarge),
    ] {
        assert_eq!(open(opening.clone(), &[], 0).unwrap_err(), code, "{opening:?}");
    }
    assert!(open(opening(bench(LANE_SEATS_MAX as u8 - 1)), &[], 0).is_ok());
}

#[test]
fn two_openers_leave_one_lane() {
    let digest = Some(hash::sha256(&in_lane(commit(0))));
    let before = |closed, opened_with| Earlier { closed, opened_with };
    let other = Some(Digest([9; 32]));
    for opened_with in [None, other] {
        let refused = open(opening(vec![]), &[before(false, opened_with)], 1);
        assert_eq!(refused.unwrap_err(), RejectCode::RoomExists);
    }
    // The same key with the same commit gets the same answer, also when the room has no place for another lane.
    let earlier = [before(true, None), before(false, digest)];
    assert!(matches!(open(opening(vec![]), &earlier, u32::MAX), Ok(Opened::Already(1))));
    // A closed lane is no bar to a new one.
    let opened = open(opening(vec![]), &[before(true, other)], 0);
    assert!(matches!(opened, Ok(Opened::New(_))));
}

#[test]
fn lanes_are_counted_per_room() {
    let most = row().members_max + 2;
    assert!(open(opening(vec![]), &[], most - 1).is_ok());
    assert_eq!(open(opening(vec![]), &[], most).unwrap_err(), RejectCode::RoomFull);
}

#[test]
fn openings_of_a_room_are_paced() {
    let (mut pace, mut quota) = (CommitPace::default(), Quota::new(Limits::NONE));
    let mut opened = || {
        let (pace, quota, notes) = (&mut pace, &mut quota, &mut NotePace::default());
        let mut context = Context { now: NOW, pace, notes, quota, disk: &mut Roomy, names: &Plain };
        lanes::open(&mut context, &row(), (LANE, key(1)), opening(vec![]), &[], 0).map(|_| ())
    };
    for _ in 0..row().members_max + 2 {
        opened().unwrap();
    }
    let refusal = Refusal::until(RejectCode::RateLimited, Some(NOW.plus(60_000)));
    assert_eq!(opened().unwrap_err(), refusal);
}

/// Ann (1), Ben (2) and the owner Cleo (3) sit in a lane; Fay (6) did.
fn lane() -> World {
    let mut world = World::new();
    world.row.id = LANE;
    world.row.kind = Kind::Lane;
    world.members = vec![
        member(1, Role::Facilitator),
        member(2, Role::Facilitator),
        member(3, Role::Member),
        MemberRow { state: State::Gone, ..member(6, Role::Facilitator) },
    ];
    world.entries.clear();
    world.invites.clear();
    world.pending.clear();
    world
}

fn says_there() -> Submission {
    submission(in_lane(post(EPOCH.0)), vec![])
}

fn commits_there(effects: Vec<Effect>) -> Submission {
    submission(in_lane(commit(EPOCH.0)), effects)
}

fn seats(number: u8, role: Role) -> Effect {
    Effect::Seat { member: key(number), role, welcome: vec![number; 5] }
}

fn removes(number: u8) -> Effect {
    Effect::Remove { member: key(number) }
}

#[test]
fn every_seat_has_the_same_rights() {
    for sender in 1..=3 {
        let world = lane();
        world.submit(sender, says_there()).unwrap();
        world.submit(sender, commits_there(vec![])).unwrap();
        world.submit(sender, commits_there(vec![seats(9, Role::Facilitator)])).unwrap();
        world.submit(sender, acts(vec![Effect::Reopen { epoch: EPOCH }])).unwrap();
        let other = if sender == 2 { 1 } else { 2 };
        let (_, room) = world.submit(sender, commits_there(vec![removes(other)])).unwrap();
        assert!(room.news.roster);
        assert_eq!(room.members[&key(other)].as_ref().unwrap().state, State::Gone);
    }
    assert_eq!(lane().refusal(6, says_there()).0, RejectCode::NotMember);
}

#[test]
fn lane_knows_few_effects() {
    let world = lane();
    let marked = |effects| submission(in_lane(marked(EPOCH.0)), effects);
    let admit = Effect::Admit {
        member: key(9),
        role: Role::Member,
        welcome: BlobId([1; 32]),
        acknowledgement: Digest([9; 32]),
    };
    let bad = RejectCode::BadFrame;
    for effect in [
        admit,
        Effect::SetRole { member: key(2), role: Role::Member },
        Effect::SetNumbers { numbers: RoomNumbers::default() },
        Effect::Timeout { member: key(3), until: Millis::NEVER },
        Effect::Retract { seq: Seq(2), own: None },
        Effect::Decline { member: key(3), note: vec![] },
        Effect::RevokeInvite { invite: InviteId([1; 16]) },
        Effect::SetAgreement { agreement: AGREEMENT },
        seats(9, Role::CoFacilitator),
        seats(9, Role::Observer),
    ] {
        assert_eq!(world.refusal(1, commits_there(vec![effect.clone()])).0, bad, "{effect:?}");
    }
    assert_eq!(world.refusal(1, marked(vec![Effect::Leave])).0, bad);
    for effect in [seats(9, Role::Facilitator), removes(2)] {
        for submission in
            [acts(vec![effect.clone()]), submission(in_lane(post(EPOCH.0)), vec![effect])]
        {
            assert_eq!(world.refusal(1, submission).0, RejectCode::BadPayload);
        }
    }
    let own = Effect::Retract { seq: Seq(2), own: Some(MessageId([3; 16])) };
    assert_eq!(world.refusal(3, commits_there(vec![own])).0, RejectCode::BadPayload);
    // A room has no seats.
    let seated = World::new().refusal(1, commits(vec![seats(9, Role::Facilitator)])).0;
    assert_eq!(seated, bad);
}

#[test]
fn own_words_are_retracted_in_lanes() {
    let mut world = lane();
    let (id, digest) = (MessageId([3; 16]), Digest([3; 32]));
    let name = Plain.submission(&LANE, &key(3), &id);
    let kept = Kept::Payload(mls_header::parse(&in_lane(post(0))));
    world.entries.insert(Seq(2), Logged { at: NOW, digest, name, kept });
    let own = vec![Effect::Retract { seq: Seq(2), own: Some(id) }];
    let marked = submission(in_lane(marked(EPOCH.0)), own);
    assert_eq!(world.refusal(1, marked.clone()).0, RejectCode::NotFound);
    let (_, room) = world.submit(3, marked).unwrap();
    assert_eq!(room.news.tombstones, [(Seq(2), NOW, digest)]);
}

#[test]
fn owner_goes_beside_another_owner() {
    let world = lane();
    let alone = world.refusal(1, commits_there(vec![removes(3)])).0;
    assert_eq!(alone, RejectCode::LastFacilitator);
    let bench = vec![removes(3), seats(9, Role::Facilitator)];
    assert_eq!(world.refusal(1, commits_there(bench)).0, RejectCode::LastFacilitator);
    for effects in [
        vec![removes(3), seats(9, Role::Member)],
        vec![seats(9, Role::Member), removes(3)],
        // The same key again, with another Welcome.
        vec![removes(3), seats(3, Role::Member)],
    ] {
        world.submit(1, commits_there(effects)).unwrap();
    }
    assert_eq!(
        world.refusal(1, commits_there(vec![seats(9, Role::Member)])).0,
        RejectCode::RoomFull,
        "a lane has one owner"
    );
    // The desk has none.
    let mut desk = lane();
    desk.members.retain(|row| row.role != Role::Member);
    desk.submit(1, commits_there(vec![removes(2)])).unwrap();
}

#[test]
fn lane_seats_nine_at_most() {
    let mut world = lane();
    world.members.extend((10..16).map(|number| member(number, Role::Facilitator)));
    let full = world.refusal(1, commits_there(vec![seats(20, Role::Facilitator)])).0;
    assert_eq!(full, RejectCode::RoomFull);
    let replaces = vec![seats(20, Role::Facilitator), removes(10)];
    world.submit(1, commits_there(replaces)).unwrap();
    // A key that sits, one's own leaf, and a leaf without a row.
    let twice = world.refusal(1, commits_there(vec![seats(2, Role::Facilitator)])).0;
    assert_eq!(twice, RejectCode::NotFound);
    assert_eq!(world.refusal(1, commits_there(vec![removes(1)])).0, RejectCode::BadFrame);
    for absent in [6, 77] {
        world.submit(1, commits_there(vec![removes(absent)])).unwrap();
    }
}

#[test]
fn one_welcome_serves_all_seats() {
    let also =
        |number| Effect::Seat { member: key(number), role: Role::Facilitator, welcome: vec![] };
    let world = lane();
    let effects = vec![seats(9, Role::Facilitator), also(10), also(11)];
    let (_, room) = world.submit(1, commits_there(effects)).unwrap();
    let blob = Some(BlobId(hash::sha256(&[9; 5]).0));
    for number in 9..=11 {
        let row = room.members[&key(number)].as_ref().unwrap();
        assert_eq!((row.welcome, row.joined), (blob, Seq(HEAD.0 + 1)));
    }
    let blobs = room.changes.iter().filter(|change| matches!(change, Change::Blob { .. }));
    assert_eq!(blobs.count(), 1);
    assert_eq!(world.refusal(1, commits_there(vec![also(9)])).0, RejectCode::BadFrame);
}

/// One commit of the owner undoes a storm of others.
#[test]
fn any_seat_reopens_any_epoch() {
    let mut world = lane();
    world.row.epoch = Epoch(EPOCH.0 + 9);
    let back = || vec![Effect::Reopen { epoch: EPOCH }, removes(1)];
    let (accepted, room) = world.submit(3, commits_there(back())).unwrap();
    assert_eq!((accepted.seq, room.row.epoch), (Seq(HEAD.0 + 1), Epoch(EPOCH.0 + 1)));
    // The epoch in force, and one that is ahead.
    world.row.epoch = EPOCH;
    world.submit(3, commits_there(back())).unwrap();
    world.submit(3, acts(vec![Effect::Reopen { epoch: Epoch(99) }])).unwrap();
}

#[test]
fn bench_is_paced_as_members_are() {
    let (world, mut pace, mut quota) = (lane(), CommitPace::default(), Quota::new(Limits::NONE));
    let reopens = || acts(vec![Effect::Reopen { epoch: EPOCH }]);
    let mut taken = |submission: Submission| {
        let (pace, quota, notes) = (&mut pace, &mut quota, &mut NotePace::default());
        let mut context = Context { now: NOW, pace, notes, quota, disk: &mut Roomy, names: &Plain };
        let room = world.load(&Needs::default());
        check(&room, &mut context, world.members[0].clone(), submission).map_err(|r| r.code)
    };
    for _ in 0..5 {
        taken(commits_there(vec![])).unwrap();
    }
    for submission in [commits_there(vec![]), reopens()] {
        assert_eq!(taken(submission).unwrap_err(), RejectCode::RateLimited);
    }
    taken(says_there()).unwrap();
}

#[test]
fn closed_lane_takes_nothing() {
    let mut world = lane();
    world.row.kind = Kind::ClosedLane;
    let reopen = Effect::Reopen { epoch: EPOCH };
    for submission in [says_there(), commits_there(vec![]), acts(vec![reopen])] {
        assert_eq!(world.refusal(1, submission).0, RejectCode::LaneClosed);
    }
}

#[test]
fn lane_holds_sixteen_megabytes() {
    let mut world = lane();
    for (bytes, post, act) in [
        (LANE_BYTES_MAX - LANE_BYTES_MAX / 10 - 1_000, true, true),
        (LANE_BYTES_MAX - LANE_BYTES_MAX / 10, false, true),
        (LANE_BYTES_MAX, false, false),
    ] {
        world.row.bytes = bytes;
        for sender in [1, 3] {
            assert_eq!(world.submit(sender, says_there()).is_ok(), post, "{bytes}");
            let commit = world.submit(sender, commits_there(vec![]));
            assert_eq!(commit.is_ok(), act, "{bytes}");
        }
    }
    assert_eq!(world.refusal(1, says_there()).0, RejectCode::QuotaSpent);
    let welcome = vec![0; 9_000];
    let seat = Effect::Seat { member: key(9), role: Role::Facilitator, welcome };
    world.row.bytes = LANE_BYTES_MAX - 8_000;
    assert_eq!(world.refusal(1, commits_there(vec![seat])).0, RejectCode::QuotaSpent);
}

#[test]
fn lane_words_need_free_disk() {
    struct Low;
    impl Disk for Low {
        fn is_low(&mut self) -> bool {
            true
        }
    }
    let world = lane();
    let room = world.load(&Needs::default());
    let (mut pace, mut quota) = (CommitPace::default(), Quota::new(Limits::NONE));
    let mut context = Context {
        now: NOW,
        pace: &mut pace,
        notes: &mut NotePace::default(),
        quota: &mut quota,
        disk: &mut Low,
        names: &Plain,
    };
    let refused = check(&room, &mut context, world.members[0].clone(), says_there());
    assert_eq!(refused.unwrap_err().code, RejectCode::StoreUnavailable);
}

/// A stranger seats another's key in a lane with the same id, in a room of their own.
#[test]
fn key_means_the_lane_it_holds() {
    let seated = |held, is_in, closed| Seated { held, is_in, closed };
    let (foreign, own) = (seated(false, true, false), seated(true, true, false));
    let cases: [(&[Seated], Option<usize>); 7] = [
        (&[], None),
        (&[foreign], Some(0)),
        (&[foreign, own], Some(1)),
        (&[foreign, seated(true, false, true)], Some(1)),
        (&[foreign, foreign], Some(0)),
        (&[seated(true, false, false), own], Some(1)),
        (&[seated(true, true, true), own], Some(1)),
    ];
    for (lanes, chosen) in cases {
        assert_eq!(lanes::choose(lanes), chosen, "{lanes:?}");
    }
}

/// However commits come, a lane keeps at most nine seats and the owner that it has.
#[test]
fn seats_hold_after_random_commits() {
    let mut state: u64 = 7;
    let mut draw = |below: u64| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let (mut world, mut taken) = (lane(), 0);
    for _ in 0..4_000 {
        let effects = (0..=draw(3))
            .map(|_| {
                let number = 1 + draw(14) as u8;
                let role = if draw(4) == 0 { Role::Member } else { Role::Facilitator };
                if draw(2) == 0 { removes(number) } else { seats(number, role) }
            })
            .collect();
        let sender = 1 + draw(14) as u8;
        let Ok((_, room)) = world.submit(sender, commits_there(effects)) else { continue };
        taken += 1;
        for row in room.members.into_values().flatten() {
            world.members.retain(|old| old.key != row.key);
            world.members.push(row);
        }
        let seated: Vec<_> = world.members.iter().filter(|row| row.is_in()).collect();
        assert!(seated.len() <= LANE_SEATS_MAX);
        assert_eq!(seated.iter().filter(|row| row.role == Role::Member).count(), 1);
        assert!(world.members.iter().any(|row| row.is_in() && row.key == key(sender)));
    }
    assert!(taken > 100, "{taken}");
}
