//! Single verbs and their bounds.

use hearth_protocol::{
    InviteId, Role,
    limits::{
        BLOB_PART_BYTES_MAX, EFFECTS_MAX, NOTE_BYTES_MAX, PAYLOAD_BYTES_MAX, PREVIEW_BYTES_MAX,
    },
};

use super::*;

#[test]
fn unclaimed_blobs_yield_to_new_ones() {
    let mut bench = Bench::new(RoomNumbers::default());
    let founder = bench.founder.clone();
    for number in 0..40_u8 {
        let bytes = vec![number; 100];
        let id = BlobId(hash::sha256(&bytes).0);
        let now = Millis(START + u64::from(number));
        bench.run(|batch| blobs::put(batch, now, &founder, &id, bytes)).unwrap();
    }
    assert_eq!(bench.count("blobs"), 16);
    let newest = BlobId(hash::sha256(&[39; 100]).0);
    assert!(load::has_blob(&bench.db, 1, &newest).unwrap());
    bench.forget(START + 2 * DAY);
    assert_eq!(bench.count("blobs"), 0);
}

/// New keys are not a post, so that no rule stops a member from making them.
#[test]
fn member_renews_keys_despite_post_rules() {
    let numbers =
        RoomNumbers { door: hearth_protocol::frame::Door::Closed, ..RoomNumbers::default() };
    let mut bench = Bench::new(numbers);
    let member = bench.admit(0);
    assert_eq!(refusal(bench.submit(&member, say(10, b"word"))), RejectCode::Closed);
    let accepted = bench.submit(&member, commit(11, 1, vec![])).unwrap();
    assert_eq!(accepted.seq, Seq(2));
}

/// A facilitator gets all pending knocks, in parts that fit a frame.
#[test]
fn knocks_are_paged_by_frame_size() {
    let mut bench = Bench::new(RoomNumbers::default());
    let founder = bench.founder.clone();
    let token = bench.invite(1_000, Millis::NEVER);
    let mut waiting = vec![];
    for number in 0..KNOCKS_MAX {
        let (proof, knock, _) = knocker(number as u32, &token);
        let knock = Knock { body: vec![1; KNOCK_BYTES_MAX], ..knock };
        bench.run(|batch| admission::knock(batch, Millis(START), &proof, knock.clone())).unwrap();
        waiting.push(*proof.member());
    }
    waiting.sort_unstable();
    let (mut got, mut parts, mut after) = (vec![], 0, None);
    loop {
        let (knocks, more) = read::knocks(&bench.db, &founder, after).unwrap();
        assert!(knocks.iter().map(|knock| knock.body.len()).sum::<usize>() <= BATCH_BYTES_MAX);
        got.extend(knocks.iter().map(|knock| knock.member));
        after = got.last().copied();
        parts += 1;
        if !more {
            break;
        }
        assert!(!knocks.is_empty());
    }
    // The parts are not single knocks either.
    let few = 2 * (KNOCKS_MAX * KNOCK_BYTES_MAX / BATCH_BYTES_MAX + 1);
    assert!((2..=few).contains(&parts), "{parts}");
    assert_eq!(got, waiting);
}

#[test]
fn spent_invite_yields_unless_knock_pends() {
    let mut bench = Bench::new(RoomNumbers::default());
    let token = |number: usize| Secret32::new([u8::try_from(number % 256).unwrap(); 32]);
    let (waited_with, burnt, late) =
        (7, 9, Secret32::new([0xab, 1].repeat(16).try_into().unwrap()));
    for number in 0..INVITES_MAX {
        bench.add_invite(number as u64, &token(number), 1, Millis::NEVER).unwrap();
    }
    let (proof, knock, _) = knocker(1, &token(waited_with));
    bench.run(|batch| admission::knock(batch, Millis(START), &proof, knock.clone())).unwrap();
    assert_eq!(refusal(bench.add_invite(300, &late, 1, Millis::NEVER)), RejectCode::RoomFull);

    bench.run(|batch| admission::burn(batch, Millis(START), &ROOM, &token(burnt))).unwrap();
    bench.add_invite(301, &late, 1, Millis::NEVER).unwrap();
    let mut shown = |token: &Secret32| {
        bench.run(|batch| admission::preview(batch.db, Millis(START), &ROOM, token))
    };
    assert_eq!(refusal(shown(&token(burnt))), RejectCode::InviteInvalid);
    assert_eq!(refusal(shown(&token(waited_with))), RejectCode::InviteUsed);
    assert_eq!(shown(&late).unwrap(), [1]);
    assert_eq!(bench.count("invites"), i64::try_from(INVITES_MAX).unwrap());

    // After a cancelled, admitted or declined knock, the spent invite is no longer needed.
    bench.run(|batch| admission::cancel(batch, &proof)).unwrap();
    bench.add_invite(302, &token(burnt), 1, Millis::NEVER).unwrap();
    assert_eq!((bench.count("invites"), bench.count("knockers")), (256, 0));
}

/// A Welcome is for one member, who gets it in parts until they have read past their admission.
#[test]
fn welcome_is_for_its_member_only() {
    const SIZE: usize = 2 * BLOB_PART_BYTES_MAX + 1;
    let mut bench = Bench::new(RoomNumbers::default());
    let welcome: Vec<u8> = (0..SIZE).map(|at| at as u8).collect();
    let ben = bench.admit_in(0, 1, &welcome);
    let (founder, blob) = (bench.founder.clone(), BlobId(hash::sha256(&welcome).0));
    let part = |bench: &Bench, who: &Proved, offset: usize| {
        blobs::part(&bench.db, who, &blob, offset as u32)
    };
    for from in [0, BLOB_PART_BYTES_MAX, 2 * BLOB_PART_BYTES_MAX, SIZE] {
        let to = SIZE.min(from + BLOB_PART_BYTES_MAX);
        let got = part(&bench, &ben, from).unwrap();
        assert_eq!((got.total as usize, &got.bytes[..]), (SIZE, &welcome[from..to]));
    }
    assert_eq!(refusal(part(&bench, &founder, 0)), RejectCode::NotFound);
    let stranger = Proved::assumed(ROOM, MemberKey([9; 32]));
    assert_eq!(refusal(part(&bench, &stranger, 0)), RejectCode::NotMember);

    // Their admission is entry 1.
    bench.run(|batch| blobs::fetched(batch, &ben, Seq(0))).unwrap();
    assert!(part(&bench, &ben, 0).is_ok());
    bench.run(|batch| blobs::fetched(batch, &ben, Seq(1))).unwrap();
    assert_eq!(refusal(part(&bench, &ben, 0)), RejectCode::NotFound);
    assert_eq!(bench.count("blobs"), 0);
    // A repetition changes nothing.
    bench.run(|batch| blobs::fetched(batch, &ben, Seq(1))).unwrap();
}

/// Each rule holds to its last moment and its last byte, and no further.
#[test]
fn post_rules_end_on_time() {
    let mut bench = Bench::new(RoomNumbers::default());
    let (ben, founder) = (bench.admit(1), bench.founder.clone());
    let epoch = std::cell::Cell::new(1);
    let mut ids = 100..;
    let mut set = |bench: &mut Bench, effect: Effect| {
        bench.submit(&founder, commit(ids.next().unwrap(), epoch.get(), vec![effect])).unwrap();
        epoch.set(epoch.get() + 1);
    };
    let mut ids = 1_000..;
    let mut post = |bench: &mut Bench, at: u64, body: &[u8]| {
        let words = say(ids.next().unwrap(), body).of_epoch(epoch.get());
        match bench.run(|batch| submit(batch, Millis(START + at), &ben, words)) {
            Ok(_) => None,
            Err(Fault::Refused(refusal)) => {
                Some((refusal.code, refusal.retry_at.map(|at| at.0 - START)))
            }
            Err(fault) => panic!("{fault:?}"),
        }
    };

    let until = Millis(START + 100);
    set(&mut bench, Effect::Timeout { member: *ben.member(), until });
    assert_eq!(post(&mut bench, 99, b""), Some((RejectCode::TimedOut, Some(100))));
    assert_eq!(post(&mut bench, 100, b""), None);

    let numbers = RoomNumbers { paused_until: Millis(START + 200), ..RoomNumbers::default() };
    set(&mut bench, Effect::SetNumbers { numbers });
    assert_eq!(post(&mut bench, 199, b""), Some((RejectCode::Paused, Some(200))));
    assert_eq!(post(&mut bench, 200, b""), None);

    let numbers = RoomNumbers { slow_seconds: 2, ..RoomNumbers::default() };
    set(&mut bench, Effect::SetNumbers { numbers });
    assert_eq!(post(&mut bench, 5_000, b""), None);
    assert_eq!(post(&mut bench, 5_000, b""), Some((RejectCode::SlowMode, Some(7_000))));
    assert_eq!(post(&mut bench, 6_999, b""), Some((RejectCode::SlowMode, Some(7_000))));
    assert_eq!(post(&mut bench, 7_000, b""), None);
    // A clock that went back silences no member.
    assert_eq!(post(&mut bench, 6_000, b""), None);

    let whole = say(0, b"words").payload.len() as u32;
    let numbers = RoomNumbers { payload_bytes_max: whole, ..RoomNumbers::default() };
    set(&mut bench, Effect::SetNumbers { numbers });
    assert_eq!(post(&mut bench, 9_000, b"words"), None);
    assert_eq!(post(&mut bench, 9_000, b"words."), Some((RejectCode::TooLong, None)));

    let numbers = RoomNumbers { budget_per_day: 1, ..RoomNumbers::default() };
    set(&mut bench, Effect::SetNumbers { numbers });
    const QUARTER: u64 = 15 * 60 * 1000;
    let free = DAY + QUARTER;
    assert_eq!(post(&mut bench, QUARTER - 1, b""), None);
    assert_eq!(post(&mut bench, QUARTER, b""), Some((RejectCode::BudgetSpent, Some(free))));
    assert_eq!(post(&mut bench, free - 1, b""), Some((RejectCode::BudgetSpent, Some(free))));
    assert_eq!(post(&mut bench, free, b""), None);
}

#[test]
fn retention_is_minute_to_ten_years() {
    let years = 3_660 * DAY / 1000;
    for (seconds, taken) in [(59, false), (60, true), (years, true), (years + 1, false)] {
        let numbers = RoomNumbers { retention_seconds: seconds, ..RoomNumbers::default() };
        assert_eq!(posts::well_formed(&numbers), taken, "{seconds}");
    }
}

/// The key of an entry bounds the number of rooms.
#[test]
fn room_beyond_the_last_is_refused() {
    let mut bench = Bench::new(RoomNumbers::default());
    let grant = Secret32::new([8; 32]);
    let terms = Terms { rooms_left: 2, members_max: 9, expires: Millis::NEVER };
    grants::add(&bench.db, &grant, &terms).unwrap();
    let before_last = rusqlite::params![schema::ROOM_KEY_MAX - 1];
    bench
        .db
        .execute("UPDATE sqlite_sequence SET seq = ?1 WHERE name = 'rooms'", before_last)
        .unwrap();
    let mut open = |room| {
        let founder = Proved::assumed(RoomId([room; 16]), FOUNDER);
        let (numbers, agreement) = (RoomNumbers::default(), Commitment([4; 32]));
        let opening = Opening { grant: grant.clone(), numbers, agreement };
        bench.run(|batch| admission::open_room(batch, Millis(START), &founder, &opening))
    };
    assert!(open(11).is_ok());
    assert!(matches!(open(12), Err(Fault::Store(_))));
}

/// The largest permitted submission is accepted, and nothing beyond it.
#[test]
fn submission_size_is_bounded() {
    let mut bench = Bench::new(RoomNumbers::default());
    let founder = bench.founder.clone();
    let room_for = PAYLOAD_BYTES_MAX - say(0, b"").payload.len();
    let set = |count| vec![Effect::SetNumbers { numbers: RoomNumbers::default() }; count];
    let lock = |count| commit(10 + count as u64, 0, set(count));
    assert!(bench.submit(&founder, say(1, &vec![0; room_for])).is_ok());
    let refused = bench.submit(&founder, say(2, &vec![0; room_for + 1]));
    assert_eq!(refusal(refused), RejectCode::TooLarge);
    assert!(bench.submit(&founder, lock(EFFECTS_MAX)).is_ok());
    assert_eq!(refusal(bench.submit(&founder, lock(EFFECTS_MAX + 1))), RejectCode::TooLarge);
    let nothing = Submission { payload: vec![], ..say(9, b"") };
    assert_eq!(refusal(bench.submit(&founder, nothing)), RejectCode::BadFrame);
}

/// The key of an entry bounds the number of entries of a room.
#[test]
fn entry_beyond_the_last_is_refused() {
    let mut bench = Bench::new(RoomNumbers::default());
    let founder = bench.founder.clone();
    let before_last = [schema::int(SEQ_MAX - 1)];
    bench.db.execute("UPDATE rooms SET head = ?1", before_last).unwrap();
    assert_eq!(bench.submit(&founder, say(1, b"")).unwrap().seq, Seq(SEQ_MAX));
    assert_eq!(refusal(bench.submit(&founder, say(2, b""))), RejectCode::RoomFull);
}

#[test]
fn unusable_or_large_invites_are_refused() {
    let mut bench = Bench::new(RoomNumbers::default());
    let founder = bench.founder.clone();
    let mut ids = 1_u8..;
    let mut invite = |uses, expires, preview| {
        let id = ids.next().unwrap();
        let (invite, preview) = (InviteId([id; 16]), vec![0; preview]);
        let effects = vec![Effect::AddInvite { invite, uses, expires: Millis(expires), preview }];
        let submission = Submission { effects, payload: vec![], ..say(u64::from(id), b"") };
        bench.submit(&founder, submission).map_err(|fault| refusal::<()>(Err(fault))).err()
    };
    assert_eq!(invite(1, START + 1, PREVIEW_BYTES_MAX), None);
    assert_eq!(invite(1, START + 1, PREVIEW_BYTES_MAX + 1), Some(RejectCode::TooLarge));
    assert_eq!(invite(0, START + 1, 0), Some(RejectCode::BadFrame));
    assert_eq!(invite(1, START, 0), Some(RejectCode::BadFrame));
}

/// Facilitators appoint moderators; co-facilitators may set the other roles.
#[test]
fn co_facilitator_sets_only_lesser_roles() {
    let mut bench = Bench::new(RoomNumbers::default());
    let (founder, ben) = (bench.founder.clone(), bench.admit(1));
    let set = |member: &Proved, role| vec![Effect::SetRole { member: *member.member(), role }];
    bench.submit(&founder, commit(20, 1, set(&ben, Role::CoFacilitator))).unwrap();
    let cleo = bench.admit_in(2, 2, b"another welcome");
    for role in [Role::CoFacilitator, Role::Facilitator] {
        let refused = bench.submit(&ben, commit(21, 3, set(&cleo, role)));
        assert_eq!(refusal(refused), RejectCode::NotFacilitator);
    }
    bench.submit(&ben, commit(22, 3, set(&cleo, Role::Observer))).unwrap();
}

#[test]
fn members_retract_only_own_entries() {
    let mut bench = Bench::new(RoomNumbers::default());
    let (ben, cleo) = (bench.admit(1), bench.admit_in(1, 2, b"another welcome"));
    let words = say(1, b"words").of_epoch(2);
    let retract =
        |id, seq, own| marked(id, 500, vec![Effect::Retract { seq, own: Some(own) }]).of_epoch(2);
    let bens = bench.submit(&ben, words.clone()).unwrap().seq;
    let cleos = bench.submit(&cleo, words.clone()).unwrap().seq;
    for (seq, own) in [(bens, words.id), (bens, say(9, b"").id), (Seq(1), words.id)] {
        assert_eq!(refusal(bench.submit(&cleo, retract(2, seq, own))), RejectCode::NotFound);
    }
    bench.submit(&cleo, retract(2, cleos, words.id)).unwrap();
    let payloads = "SELECT count(*) FROM entries WHERE payload IS NULL";
    assert_eq!(bench.db.query_row(payloads, [], |row| row.get::<_, i64>(0)).unwrap(), 1);
}

#[test]
fn note_of_declined_knock_is_bounded() {
    let mut bench = Bench::new(RoomNumbers::default());
    let (founder, token) = (bench.founder.clone(), bench.invite(9, Millis::NEVER));
    let (proof, knock, _) = knocker(1, &token);
    bench.run(|batch| admission::knock(batch, Millis(START), &proof, knock.clone())).unwrap();
    let decline = |id, length| Submission {
        effects: vec![Effect::Decline { member: *proof.member(), note: vec![0; length] }],
        payload: vec![],
        ..say(id, b"")
    };
    let refused = bench.submit(&founder, decline(20, NOTE_BYTES_MAX + 1));
    assert_eq!(refusal(refused), RejectCode::TooLarge);
    assert!(bench.submit(&founder, decline(21, NOTE_BYTES_MAX)).is_ok());
}

/// Times and sizes of posts are stored only where a rule needs them.
#[test]
fn posts_are_recorded_only_for_rules() {
    let mut bench = Bench::new(RoomNumbers::default());
    let (ben, founder) = (bench.admit(1), bench.founder.clone());
    let account = |bench: &Bench| -> (i64, i64) {
        let last = "SELECT max(last_post_at) FROM members";
        let last = bench.db.query_row(last, [], |row| row.get(0)).unwrap();
        (bench.count("posts"), last)
    };
    bench.submit(&ben, say(20, b"words").of_epoch(1)).unwrap();
    assert_eq!(account(&bench), (0, 0));
    let numbers = RoomNumbers { slow_seconds: 1, budget_per_day: 9, ..RoomNumbers::default() };
    let effects = vec![Effect::SetNumbers { numbers }];
    bench.submit(&founder, commit(21, 1, effects)).unwrap();
    bench.submit(&founder, say(22, b"words").of_epoch(2)).unwrap();
    assert_eq!(account(&bench), (0, 0));
    bench.submit(&ben, say(23, b"words").of_epoch(2)).unwrap();
    assert_eq!(account(&bench), (1, schema::int(START)));
}

/// A facilitator sees departed members who are still leaves of the group.
#[test]
fn facilitator_sees_departures_and_knocks() {
    let mut bench = Bench::new(RoomNumbers::default());
    let (ben, founder) = (bench.admit(1), bench.founder.clone());
    let cleo = bench.admit_in(1, 2, b"another welcome");
    let token = bench.invite(9, Millis::NEVER);
    let (dana, knock, _) = knocker(3, &token);
    bench.run(|batch| admission::knock(batch, Millis(START), &dana, knock.clone())).unwrap();
    bench.submit(&ben, marked(20, 500, vec![Effect::Leave]).of_epoch(2)).unwrap();
    let stream = StreamId([0; 16]);
    let status = read::status(&bench.db, &founder, stream).unwrap();
    let left = |who: &Proved| {
        status.roster.iter().find(|row| row.member == *who.member()).map(|row| row.left)
    };
    assert_eq!(
        [&founder, &ben, &cleo, &dana].map(left),
        [Some(false), Some(true), Some(false), None]
    );
    assert_eq!(status.knocks, 1);
    // A short list is served too.
    let (knocks, more) = read::knocks(&bench.db, &founder, None).unwrap();
    assert_eq!((knocks.len(), more), (1, false));
    // Members see no roster, and former members see nothing.
    assert!(read::status(&bench.db, &cleo, stream).unwrap().roster.is_empty());
    assert_eq!(refusal(read::status(&bench.db, &ben, stream)), RejectCode::NotMember);
    assert_eq!(refusal(read::knocks(&bench.db, &cleo, None)), RejectCode::NotFacilitator);
}

/// An invite admits only to its own room, whatever the room's number.
#[test]
fn invite_works_for_one_room() {
    let mut bench = Bench::new(RoomNumbers::default());
    let grant = Secret32::new([8; 32]);
    let terms = Terms { rooms_left: 1, members_max: 9, expires: Millis::NEVER };
    grants::add(&bench.db, &grant, &terms).unwrap();
    let other = RoomId([9; 16]);
    let host = Proved::assumed(other, MemberKey([8; 32]));
    let (numbers, agreement) = (RoomNumbers::default(), Commitment([4; 32]));
    let opening = Opening { grant, numbers, agreement };
    bench.run(|batch| admission::open_room(batch, Millis(START), &host, &opening)).unwrap();
    let tokens = [Secret32::new([21; 32]), Secret32::new([22; 32])];
    bench.add_invite(1, &tokens[0], 1, Millis::NEVER).unwrap();
    let invite = hearth_protocol::invite::invite_id(&tokens[1]);
    let (uses, expires, preview) = (1, Millis::NEVER, vec![2]);
    let effects = vec![Effect::AddInvite { invite, uses, expires, preview }];
    bench.submit(&host, Submission { effects, payload: vec![], ..say(1, b"") }).unwrap();

    let preview = |bench: &Bench, room: &RoomId, token| {
        admission::preview(&bench.db, Millis(START), room, token)
    };
    assert_eq!(preview(&bench, &ROOM, &tokens[0]).unwrap(), [1]);
    assert_eq!(preview(&bench, &other, &tokens[1]).unwrap(), [2]);
    let crossed = [(ROOM, &tokens[1]), (other, &tokens[0]), (RoomId([7; 16]), &tokens[0])];
    for (room, token) in crossed {
        assert_eq!(refusal(preview(&bench, &room, token)), RejectCode::InviteInvalid);
        let burnt = bench.run(|batch| admission::burn(batch, Millis(START), &room, token));
        assert_eq!(refusal(burnt), RejectCode::InviteInvalid);
    }
    for (room, who, is_in) in
        [(ROOM, &FOUNDER, true), (other, &FOUNDER, false), (other, host.member(), true)]
    {
        assert_eq!(admission::standing(&bench.db, &room.into(), who).is_ok(), is_in);
    }
}
