//! Retention: what expires, when, and what the relay says about it.

use super::*;

#[test]
fn retention_deletes_entries_ids_and_bytes() {
    let numbers = RoomNumbers { retention_seconds: 7 * DAY / 1000, ..RoomNumbers::default() };
    let mut bench = Bench::new(numbers);
    let canary = b"the canary that must be gone from every file";
    for id in 0..1_200 {
        bench.say(START, id, canary);
    }
    bench.say(START + 3 * DAY, 1_200, b"younger");
    assert!(bench.holds(canary));
    assert_eq!(bench.forget(START + 7 * DAY).1, 0);
    // Several transactions, each of which leaves a consistent store.
    let (steps, deleted) = bench.forget(START + 7 * DAY + 1);
    assert!(steps >= 3, "{steps}");
    assert!(deleted >= 1_200, "{deleted}");
    assert_eq!((bench.count("entries"), bench.count("acts")), (1, 0));
    truncate(&bench.db).unwrap();
    assert!(!bench.holds(canary));
    let position = read::position(&bench.db, &bench.founder).unwrap();
    assert_eq!((position.floor, position.head), (Seq(1_200), Seq(1_201)));
    let batch = read::entries(&bench.db, &ROOM.into(), Seq(0), Seq(1_201)).unwrap();
    assert_eq!(batch.last(), Some(Seq(1_201)));
    // The seq continues after all entries were deleted.
    bench.forget(START + 30 * DAY);
    assert_eq!(bench.count("entries"), 0);
    assert_eq!(bench.say(START + 30 * DAY, 5, b"next").seq, Seq(1_202));
}

#[test]
fn entry_is_kept_to_last_millisecond() {
    let numbers = RoomNumbers { retention_seconds: 7 * DAY / 1000, ..RoomNumbers::default() };
    let mut bench = Bench::new(numbers);
    for id in 0..3 {
        bench.say(START + id, id, b"a moment after the other");
    }
    bench.forget(START + 1 + 7 * DAY);
    assert_eq!(read::position(&bench.db, &bench.founder).unwrap().floor, Seq(1));
    assert_eq!(bench.count("entries"), 2);
}

/// Counted deletions are cut from the write-ahead log.
#[test]
fn every_expired_row_is_counted() {
    let numbers = RoomNumbers { retention_seconds: 7 * DAY / 1000, ..RoomNumbers::default() };
    let mut bench = Bench::new(numbers);
    let ben = bench.admit(1);
    let (founder, member) = (bench.founder.clone(), *ben.member());
    bench.submit(&founder, commit(3, 1, vec![Effect::Remove { member }])).unwrap();
    // The invite has no entry.
    assert_eq!(bench.count("acts"), 1);
    assert_eq!(bench.forget(START + 7 * DAY + 1).1, 1);
    assert_eq!(bench.count("acts"), 0);
    // Two commits, and the removed member's row.
    assert_eq!((bench.count("entries"), bench.count("members")), (2, 2));
    bench.forget(START + 366 * DAY);
    assert_eq!((bench.count("entries"), bench.count("members")), (2, 2));
    assert_eq!(bench.forget(START + 366 * DAY + 1).1, 3);
    assert_eq!((bench.count("entries"), bench.count("members")), (0, 1));
}

#[test]
fn later_entries_expire_in_their_time() {
    let numbers = RoomNumbers { retention_seconds: 7 * DAY / 1000, ..RoomNumbers::default() };
    let mut bench = Bench::new(numbers);
    for round in 0..3 {
        let now = START + round * 10 * DAY;
        bench.say(now, round, b"words");
        bench.forget(now + 7 * DAY);
        assert_eq!(bench.count("entries"), 1);
        bench.forget(now + 7 * DAY + 1);
        assert_eq!((bench.count("entries"), bench.count("acts")), (0, 0));
    }
}

/// One transaction suffices for few entries, however many rows are deleted with them.
#[test]
fn few_entries_expire_in_one_step() {
    let numbers = RoomNumbers { retention_seconds: 7 * DAY / 1000, ..RoomNumbers::default() };
    let mut bench = Bench::new(numbers);
    for id in 0..300 {
        bench.say(START, id, b"words");
    }
    let (steps, _) = bench.forget(START + 7 * DAY + 1);
    assert_eq!((steps, bench.count("entries"), bench.count("acts")), (1, 0, 0));
}

/// An absent member could not follow the room without the commits, so that they outlive the entries around them.
/// The relay says which entries around them expired.
#[test]
fn commits_are_kept_for_a_year() {
    let numbers = RoomNumbers { retention_seconds: 7 * DAY / 1000, ..RoomNumbers::default() };
    let mut bench = Bench::new(numbers);
    let mut epoch = 0;
    for id in 0..9 {
        let submission = if id % 3 == 1 {
            epoch += 1;
            commit(id, epoch - 1, vec![])
        } else {
            say(id, b"words").of_epoch(epoch)
        };
        let founder = bench.founder.clone();
        bench.submit(&founder, submission).unwrap();
    }
    bench.forget(START + 8 * DAY);
    let part = |bench: &Bench, after, upto| {
        let batch = read::entries(&bench.db, &ROOM.into(), Seq(after), Seq(upto)).unwrap();
        assert_eq!(batch.last(), Some(Seq(upto)));
        let frame = codec::decode_server(&batch.into_frame(&ROOM, Seq(9))).unwrap();
        let ServerFrame::Entries { entries, .. } = frame else { panic!("{frame:?}") };
        let gone = |entry: Entry| (entry.seq.0, entry.content == EntryContent::Expired);
        entries.into_iter().map(gone).collect::<Vec<_>>()
    };
    let log = |bench: &Bench, after| part(bench, after, 9);
    let kept = [(1, true), (2, false), (4, true), (5, false), (7, true), (8, false), (9, true)];
    assert_eq!(log(&bench, 0), kept);
    assert_eq!(log(&bench, 2), kept[2..]);
    assert_eq!(log(&bench, 5), kept[4..]);
    assert_eq!(log(&bench, 8), kept[6..]);
    assert_eq!(part(&bench, 2, 8), kept[2..6]);
    assert_eq!(part(&bench, 2, 7), kept[2..5]);
    assert_eq!((bench.count("entries"), bench.count("acts")), (3, 0));
    bench.forget(START + 366 * DAY);
    assert_eq!(bench.count("entries"), 3);
    assert_eq!(bench.forget(START + 366 * DAY + 1).1, 3);
    assert_eq!(bench.count("entries"), 0);
    assert_eq!(log(&bench, 3), [(9, true)]);
}

#[test]
fn clock_jump_deletes_nothing_early() {
    let mut bench = Bench::new(RoomNumbers::default());
    bench.say(START, 1, b"now");
    bench.say(0, 2, b"in 1970");
    bench.say(u64::MAX, 3, b"at the end of time");
    assert_eq!(bench.forget(0).1, 0);
    bench.forget(START + DAY);
    assert_eq!(bench.count("entries"), 3);
    bench.forget(u64::MAX);
    let founder = bench.founder.clone();
    for now in [0, START, u64::MAX] {
        let submission = Submission {
            effects: vec![Effect::Reopen { epoch: Epoch(0) }],
            payload: vec![],
            ..say(9, b"")
        };
        let result = bench.run(|b| submit(b, Millis(now), &founder, submission));
        assert_eq!(refusal(result), RejectCode::EpochConflict);
    }
}

/// Invites, knocks, uploads and Welcomes are kept to the last millisecond of their time, and then deleted.
#[test]
fn waiting_items_expire_on_time() {
    let numbers = RoomNumbers { retention_seconds: 7 * DAY / 1000, ..RoomNumbers::default() };
    let mut bench = Bench::new(numbers);
    let founder = bench.founder.clone();
    let token = bench.invite(9, Millis(START + DAY));
    for number in 0..2 {
        let (proof, knock, _) = knocker(number, &token);
        bench.run(|batch| admission::knock(batch, Millis(START), &proof, knock.clone())).unwrap();
    }
    let (upload, welcome) = (hash::sha256(b"upload"), hash::sha256(b"welcome"));
    for (id, bytes) in [(upload, &b"upload"[..]), (welcome, b"welcome")] {
        let id = BlobId(id.0);
        bench.run(|batch| blobs::put(batch, Millis(START), &founder, &id, bytes.to_vec())).unwrap();
    }
    let (proof, _, acknowledgement) = knocker(0, &token);
    let (member, role) = (*proof.member(), hearth_protocol::Role::Member);
    let admit = Effect::Admit { member, role, welcome: BlobId(welcome.0), acknowledgement };
    bench.submit(&founder, commit(2, 0, vec![admit])).unwrap();
    let rows = |bench: &Bench| ["invites", "knockers", "knocks", "blobs"].map(|t| bench.count(t));
    let (all, mut before) = (rows(&bench), START);
    assert_eq!(all, [1, 1, 1, 2]);
    let mut kept = all;
    for (days, gone) in
        [(1, [0, 0, 0, 1]), (2, [1, 1, 0, 0]), (30, [0, 0, 1, 0]), (84, [0, 0, 0, 1])]
    {
        let last = START + days * DAY;
        assert!(last > before);
        bench.forget(last);
        assert_eq!(rows(&bench), kept, "after {days} days");
        assert_eq!(bench.forget(last + 1).1, 1, "after {days} days");
        for (kept, gone) in kept.iter_mut().zip(gone) {
            *kept -= gone;
        }
        assert_eq!(rows(&bench), kept, "a moment later");
        before = last;
    }
}

#[test]
fn empty_retention_round_keeps_the_log() {
    let mut bench = Bench::new(RoomNumbers::default());
    bench.say(START, 1, b"word");
    let forgets = |bench: &mut Bench, now| {
        bench.run(|batch| retention::step(batch, Millis(now), 0).map(|_| batch.forgot)).unwrap()
    };
    assert!(!forgets(&mut bench, START + 1));
    assert!(forgets(&mut bench, START + 400 * DAY));
}

/// A member's posts are counted for a day, in quarters of an hour, and the counts then deleted.
#[test]
fn post_counts_expire_after_a_day() {
    const QUARTER: u64 = 15 * 60 * 1000;
    let mut bench = Bench::new(RoomNumbers::default());
    for at in [START, START + QUARTER] {
        let row = rusqlite::params![FOUNDER.0, (at / QUARTER) as i64];
        bench.db.execute("INSERT INTO posts VALUES (1, ?1, ?2, 1)", row).unwrap();
    }
    assert_eq!(bench.count("posts"), 2);
    bench.forget(START + DAY + 2 * QUARTER - 1);
    assert_eq!(bench.count("posts"), 2);
    assert_eq!(bench.forget(START + DAY + 2 * QUARTER).1, 1);
    assert_eq!(bench.count("posts"), 1);
    bench.forget(START + DAY + 3 * QUARTER);
    assert_eq!(bench.count("posts"), 0);
}

#[test]
fn knocks_are_capped_and_expire() {
    let mut bench = Bench::new(RoomNumbers::default());
    let token = bench.invite(1_000, Millis::NEVER);
    for number in 0..=KNOCKS_MAX {
        let (proof, knock, _) = knocker(number as u32, &token);
        let result =
            bench.run(|batch| admission::knock(batch, Millis(START), &proof, knock.clone()));
        if number < KNOCKS_MAX {
            result.unwrap();
        } else {
            assert_eq!(refusal(result), RejectCode::DoorBusy);
        }
    }
    bench.forget(START + 31 * DAY);
    assert_eq!(bench.count("knocks"), 0);
}

/// A member who leaves and returns all day leaves as many rows as one who stays, except for entries, which expire.
#[test]
fn returning_members_leave_few_rows() {
    const TIMES: u32 = 10_000;
    let mut bench = Bench::new(RoomNumbers::default());
    // The test counts rows and not what survives a power cut.
    bench.db.pragma_update(None, "synchronous", "OFF").unwrap();
    let founder = bench.founder.clone();
    let token = bench.invite(TIMES, Millis::NEVER);
    let uses = |bench: &Bench| -> u32 {
        bench.db.query_row("SELECT uses_left FROM invites", [], |row| row.get(0)).unwrap()
    };

    // One key that knocks repeatedly.
    let (proof, knock, digest) = knocker(0, &token);
    for time in 0..u64::from(TIMES) {
        let now = Millis(START + time * 30_000);
        bench.run(|batch| admission::knock(batch, now, &proof, knock.clone())).unwrap();
        bench.run(|batch| admission::cancel(batch, &proof)).unwrap();
    }
    assert_eq!((bench.count("knocks"), bench.count("knockers")), (0, 1));
    assert_eq!(uses(&bench), TIMES - 1);

    // Many keys that knock and do not cancel.
    let mut refused = 0;
    for number in 1..=TIMES / 10 {
        let (proof, knock, _) = knocker(number, &token);
        match bench.run(|batch| admission::knock(batch, Millis(START), &proof, knock.clone())) {
            Ok(_) => {}
            refusal => {
                assert_eq!(self::refusal(refusal), RejectCode::DoorBusy);
                refused += 1;
            }
        }
    }
    let waiting = i64::try_from(KNOCKS_MAX).unwrap();
    assert_eq!(i64::from(refused), i64::from(TIMES / 10) - waiting);
    assert_eq!((bench.count("knocks"), bench.count("knockers")), (waiting, waiting + 1));
    // A refused knock spends no use.
    assert_eq!(i64::from(uses(&bench)), i64::from(TIMES) - 1 - waiting);
    for number in 1..=u32::try_from(KNOCKS_MAX).unwrap() {
        let proof = knocker(number, &token).0;
        bench.run(|batch| admission::cancel(batch, &proof)).unwrap();
    }

    // One key that is admitted and removed repeatedly.
    let blob = BlobId(hash::sha256(b"welcome").0);
    let (mut epoch, cycles) = (0, u64::from(TIMES / 10));
    for cycle in 0..cycles {
        let now = Millis(START + cycle);
        bench.run(|batch| admission::knock(batch, now, &proof, knock.clone())).unwrap();
        bench.run(|batch| blobs::put(batch, now, &founder, &blob, b"welcome".to_vec())).unwrap();
        let (member, role) = (*proof.member(), hearth_protocol::Role::Member);
        let admit = Effect::Admit { member, role, welcome: blob, acknowledgement: digest };
        for effect in [admit, Effect::Remove { member }] {
            let submission = commit(2 + epoch, epoch, vec![effect]);
            let submission = Submission { after: Seq(epoch), ..submission };
            bench.run(|batch| submit(batch, now, &founder, submission)).unwrap();
            epoch += 1;
        }
    }
    let kept = ["members", "knocks", "knockers", "blobs"].map(|table| bench.count(table));
    assert_eq!(kept, [2, 0, waiting, 0]);
    // Every admission spent another use: a knock that was admitted does not admit twice.
    assert_eq!(
        i64::from(uses(&bench)),
        i64::from(TIMES) - waiting - i64::try_from(cycles).unwrap()
    );
    assert_eq!(bench.count("entries"), i64::try_from(2 * cycles).unwrap());
}
