//! Quotas of a member, a room and the disk: exemptions, and what gives bytes back.

use std::sync::atomic::Ordering;

use hearth_protocol::{InviteId, limits::MARKED_BYTES_MAX};

use super::*;
use hearth_rules::quota::ROW_BYTES;

const LIMITS: Limits = Limits {
    member_bytes_per_second: 64 * 1024,
    member_bytes_burst: 4 * 1024 * 1024,
    room_bytes_max: 64 * 1024 * 1024,
};

/// A post of a given size.
fn large(id: u64, bytes: usize) -> Submission {
    let header = say(0, b"").payload.len();
    say(id, &vec![7; bytes - header]).of_epoch(1)
}

fn retract(seq: Seq, id: u64) -> Vec<Effect> {
    vec![Effect::Retract { seq, own: Some(say(id, b"").id) }]
}

impl Bench {
    fn at(
        &mut self,
        now: u64,
        who: &Proved,
        submission: Submission,
    ) -> Result<Accepted, (RejectCode, Option<u64>)> {
        match self.run(|batch| submit(batch, Millis(now), who, submission)) {
            Ok(accepted) => Ok(accepted),
            Err(Fault::Refused(refusal)) => {
                Err((refusal.code, refusal.retry_at.map(|at| at.0 - START)))
            }
            Err(fault) => panic!("{fault:?}"),
        }
    }

    /// The bytes that a room records, and those that it holds.
    fn bytes(&self) -> (u64, u64) {
        let number = |sql: &str| -> i64 { self.db.query_row(sql, [], |row| row.get(0)).unwrap() };
        let rows = self.count("entries")
            + self.count("invites")
            + self.count("knocks")
            + self.count("blobs")
            + number("SELECT count(*) FROM acts");
        let content = number("SELECT coalesce(sum(length(payload)), 0) FROM entries")
            + number("SELECT coalesce(sum(length(preview)), 0) FROM invites")
            + number("SELECT coalesce(sum(length(body) + length(note)), 0) FROM knocks")
            + number("SELECT coalesce(sum(length(bytes)), 0) FROM blobs");
        let held = content + rows * ROW_BYTES as i64;
        (schema::uint(number("SELECT bytes FROM rooms")), schema::uint(held))
    }

    /// Simulates a restart of the relay, which clears memory.
    fn restart(&mut self, limits: Limits) {
        self.bounds = Bounds::new(limits, self.dir.path().to_owned(), Arc::default());
        self.bounds.fill_disk(false);
    }
}

/// A2: no effect exempts a post. Exempt entries are marked, small and rare.
#[test]
fn a2_effects_exempt_no_words() {
    let mut bench = Bench::new(RoomNumbers { slow_seconds: 600, ..RoomNumbers::default() });
    let ben = bench.admit(1);
    let said = bench.at(START, &ben, say(1, b"words").of_epoch(1)).unwrap().seq;
    let slow = Err((RejectCode::SlowMode, Some(600_000)));
    assert_eq!(bench.at(START, &ben, say(2, b"more words").of_epoch(1)), slow);
    let bad = Err((RejectCode::BadPayload, None));
    for effects in [retract(said, 1), vec![Effect::Leave]] {
        let words = Submission { effects, ..say(2, b"more words") }.of_epoch(1);
        assert_eq!(bench.at(START, &ben, words), bad);
    }
    let founder = bench.founder.clone();
    for who in [&ben, &founder] {
        assert_eq!(bench.at(START, who, marked(3, 500, vec![])), bad);
        let facilitators = vec![Effect::Retract { seq: said, own: None }];
        assert_eq!(bench.at(START, who, marked(3, 500, facilitators)), bad);
        let large = marked(3, MARKED_BYTES_MAX + 1, retract(said, 1));
        assert_eq!(bench.at(START, who, large), bad);
    }
    bench.at(START, &ben, marked(4, MARKED_BYTES_MAX, retract(said, 1))).unwrap();
}

/// A2: members see in the marked entry who retracted or left; without it they would blame the relay.
#[test]
fn a2_unmarked_effects_are_refused() {
    let mut bench = Bench::new(RoomNumbers::default());
    let (ben, founder) = (bench.admit(1), bench.founder.clone());
    let bad = Err((RejectCode::BadPayload, None));
    for who in [&ben, &founder] {
        let said = bench.at(START, who, say(1, b"words").of_epoch(1)).unwrap().seq;
        for effects in [
            retract(said, 1),
            vec![Effect::Leave],
            [retract(said, 1), vec![Effect::Leave]].concat(),
        ] {
            let alone = Submission { effects: effects.clone(), payload: vec![], ..say(2, b"") };
            let words = Submission { effects: effects.clone(), ..say(2, b"words") }.of_epoch(1);
            for submission in [alone, words, commit(2, 1, effects)] {
                assert_eq!(bench.at(START, who, submission), bad);
            }
        }
        bench.at(START, who, marked(2, 500, retract(said, 1))).unwrap();
    }
    // A moderator retracts another member's entry with a commit that records it.
    let said = bench.at(START, &ben, say(3, b"words").of_epoch(1)).unwrap().seq;
    let moderates = vec![Effect::Retract { seq: said, own: None }];
    bench.at(START, &founder, commit(3, 1, moderates)).unwrap();
}

/// The answer to a departure may be lost. Its retry is a duplicate, also after the commit that removes the leaf.
#[test]
fn departure_can_be_retried_after_removal() {
    let mut bench = Bench::new(RoomNumbers::default());
    let (ben, founder) = (bench.admit(1), bench.founder.clone());
    let departure = marked(2, 500, vec![Effect::Leave]);
    let left = bench.at(START, &ben, departure.clone()).unwrap();
    assert_eq!(bench.at(START, &ben, departure.clone()), Ok(left));
    let remove = vec![Effect::Remove { member: *ben.member() }];
    let control = bench.at(START, &founder, commit(3, 1, remove)).unwrap().control;
    let again = bench.at(START + DAY, &ben, departure.clone());
    assert_eq!(again, Ok(Accepted { control, ..left }));
    let another = Submission { id: say(4, b"").id, ..departure };
    assert_eq!(bench.at(START, &ben, another), Err((RejectCode::NotMember, None)));
}

/// A2: the store records the pace of marked entries, so that a restart does not reset it. A departure has no pace.
#[test]
fn a2_marked_entries_have_a_pace() {
    let mut bench = Bench::new(RoomNumbers::default());
    let ben = bench.admit(1);
    let mut said = Vec::new();
    for id in 1..=3 {
        said.push(bench.at(START, &ben, say(id, b"words").of_epoch(1)).unwrap().seq);
    }
    bench.at(START, &ben, marked(10, 500, retract(said[0], 1))).unwrap();
    let soon = Err((RejectCode::RateLimited, Some(MARKED_MILLIS)));
    assert_eq!(bench.at(START + 9_999, &ben, marked(11, 500, retract(said[1], 2))), soon);
    bench.restart(Limits::NONE);
    assert_eq!(bench.at(START + 9_999, &ben, marked(11, 500, retract(said[1], 2))), soon);
    // A retry of the first one, whose answer was lost.
    bench.at(START + 9_999, &ben, marked(10, 500, retract(said[0], 1))).unwrap();
    bench.at(START + MARKED_MILLIS, &ben, marked(11, 500, retract(said[1], 2))).unwrap();
    // A clock that went back.
    bench.at(START, &ben, marked(12, 500, retract(said[2], 3))).unwrap();
    bench.at(START, &ben, marked(13, 500, vec![Effect::Leave])).unwrap();
    // The pace binds moderators too, because no rule and no bound of the room stops these entries.
    let founder = bench.founder.clone();
    let said: Vec<_> = (1..=2)
        .map(|id| bench.at(START, &founder, say(id, b"words").of_epoch(1)).unwrap().seq)
        .collect();
    bench.at(START, &founder, marked(20, 500, retract(said[0], 1))).unwrap();
    assert_eq!(bench.at(START + 1, &founder, marked(21, 500, retract(said[1], 2))), soon);
}

/// A2: without the entry, its tombstone would look like the relay's own work.
#[test]
fn a2_marked_entry_cannot_be_retracted() {
    let mut bench = Bench::new(RoomNumbers::default());
    let (ben, founder) = (bench.admit(1), bench.founder.clone());
    let said = bench.at(START, &ben, say(1, b"words").of_epoch(1)).unwrap().seq;
    let record = bench.at(START, &ben, marked(2, 500, retract(said, 1))).unwrap().seq;
    let later = START + MARKED_MILLIS;
    let absent = Err((RejectCode::NotFound, None));
    assert_eq!(bench.at(later, &ben, marked(3, 500, retract(record, 2))), absent);
    let retract = vec![Effect::Retract { seq: record, own: None }];
    assert_eq!(bench.at(later, &founder, commit(4, 1, retract)), absent);
}

/// The time of the last marked entry and the spent bytes are deleted once they have no effect.
#[test]
fn paces_are_forgotten() {
    let mut bench = Bench::new(RoomNumbers::default());
    bench.restart(LIMITS);
    let ben = bench.admit(1);
    let said = bench.at(START, &ben, large(1, 150_000)).unwrap().seq;
    let paces = |bench: &Bench| -> (i64, i64) {
        let sql = "SELECT max(full_at), max(marked_at) FROM members";
        bench.db.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
    };
    assert_eq!(paces(&bench), (0, 0), "who writes as people do leaves nothing");
    bench.at(START, &ben, large(2, 150_000)).unwrap();
    bench.at(START, &ben, marked(3, 500, retract(said, 1))).unwrap();
    let (full_at, marked_at) = paces(&bench);
    assert!(full_at > START as i64 && marked_at == START as i64);
    bench.forget(full_at as u64);
    assert_eq!(paces(&bench), (full_at, marked_at));
    bench.forget(START + MARKED_MILLIS + 1);
    assert_eq!(paces(&bench), (0, 0));
}

/// A5: an effect with a record needs the commit that carries it.
#[test]
fn a5_acts_with_records_need_commits() {
    let mut bench = Bench::new(RoomNumbers::default());
    let (ben, founder) = (bench.admit(1), bench.founder.clone());
    let said = bench.at(START, &ben, say(1, b"words").of_epoch(1)).unwrap().seq;
    let numbers = RoomNumbers { slow_seconds: 9, ..RoomNumbers::default() };
    let acts = [
        Effect::SetNumbers { numbers },
        Effect::Timeout { member: *ben.member(), until: Millis(START + 1) },
        Effect::Retract { seq: said, own: None },
        Effect::Remove { member: *ben.member() },
    ];
    for (epoch, act) in (1..).zip(acts) {
        let alone = Submission { effects: vec![act.clone()], payload: vec![], ..say(9, b"") };
        let beside = Submission { effects: vec![act.clone()], ..say(9, b"words") }.of_epoch(epoch);
        for silent in [alone, beside] {
            let refused = bench.at(START, &founder, silent);
            assert_eq!(refused, Err((RejectCode::BadPayload, None)), "{act:?}");
        }
        bench.at(START, &founder, commit(10 + epoch, epoch, vec![act])).unwrap();
    }
}

/// A5: a co-facilitator who shortened the retention could have every entry deleted unread.
#[test]
fn a5_facilitators_alone_set_retention() {
    let mut bench = Bench::new(RoomNumbers::default());
    let (ben, founder) = (bench.admit(1), bench.founder.clone());
    let promote =
        Effect::SetRole { member: *ben.member(), role: hearth_protocol::Role::CoFacilitator };
    bench.at(START, &founder, commit(20, 1, vec![promote])).unwrap();
    let set = |seconds, slow| {
        let base = RoomNumbers::default();
        let numbers = RoomNumbers { retention_seconds: seconds, slow_seconds: slow, ..base };
        vec![Effect::SetNumbers { numbers }]
    };
    let month = RoomNumbers::default().retention_seconds;
    for seconds in [60, month - 1, month + 1] {
        let refused = bench.at(START, &ben, commit(21, 2, set(seconds, 0)));
        assert_eq!(refused, Err((RejectCode::NotFacilitator, None)), "{seconds}");
    }
    bench.at(START, &ben, commit(21, 2, set(month, 9))).unwrap();
    bench.at(START, &founder, commit(22, 3, set(60, 9))).unwrap();
}

/// B1: a member's bytes in a room, commits and posts alike. A restart gives little back, and every member may leave.
#[test]
fn b1_member_has_burst_and_rate() {
    const POST: usize = 100_000;
    let mut bench = Bench::new(RoomNumbers::default());
    bench.restart(LIMITS);
    let (ben, founder) = (bench.admit(1), bench.founder.clone());
    let flood = |bench: &mut Bench, first: u64| {
        let mut seqs = Vec::new();
        for id in first.. {
            match bench.at(START, &ben, large(id, POST)) {
                Ok(accepted) => seqs.push(accepted.seq),
                Err((code, retry_at)) => {
                    assert_eq!(code, RejectCode::RateLimited);
                    return (seqs, retry_at.unwrap());
                }
            }
        }
        unreachable!("the numbers of posts have no end")
    };
    let (seqs, retry_at) = flood(&mut bench, 1);
    assert_eq!(seqs.len(), 4 * 1024 * 1024 / (POST + ROW_BYTES as usize));
    assert!(retry_at < 2_000, "{retry_at}");
    // Part of it was on disk.
    bench.restart(LIMITS);
    let (more, _) = flood(&mut bench, 1_000);
    assert!(more.len() <= 3, "{more:?}");
    // A commit of the member counts.
    let mut renewal = commit(2_000, 1, vec![]);
    renewal.payload.resize(POST, 7);
    let refused = bench.at(START, &ben, renewal);
    assert!(matches!(refused, Err((RejectCode::RateLimited, Some(_)))), "{refused:?}");
    // The member can retract their entries, and leave.
    bench.at(START, &ben, marked(3_000, 500, retract(seqs[0], 1))).unwrap();
    bench.at(START, &ben, marked(3_001, 500, vec![Effect::Leave])).unwrap();
    // A moderator is bounded only by the room's bytes.
    for id in 4_000..4_050 {
        bench.at(START, &founder, large(id, POST)).unwrap();
    }
    let (said, held) = bench.bytes();
    assert_eq!(said, held);
}

/// B1: the last tenth of a room is reserved for moderators, and retention gives it back.
#[test]
fn b1_room_has_a_bound() {
    let limits = Limits { room_bytes_max: 4 * 1024 * 1024, ..Limits::NONE };
    let mut bench = Bench::new(RoomNumbers::default());
    bench.restart(limits);
    let (ben, founder) = (bench.admit(1), bench.founder.clone());
    let fill = |bench: &mut Bench, who: &Proved, first: u64| {
        let end = (first..).find_map(|id| bench.at(START, who, large(id, 50_000)).err());
        (end.unwrap(), bench.bytes().0)
    };
    let month = RoomNumbers::default().retention_seconds * 1000;
    let spent = (RejectCode::QuotaSpent, Some(month));
    let (refused, held) = fill(&mut bench, &ben, 1);
    assert_eq!(refused, spent);
    let most = limits.room_bytes_max;
    assert!(held <= most - most / 10 && held > most - most / 10 - 60_000, "{held}");
    // Strangers and members who renew their keys are refused too.
    let token = bench.invite(9, Millis::NEVER);
    let (stranger, knock, _) = knocker(7, &token);
    let knock = Knock { body: vec![0; 24_000], ..knock };
    let knocks = |bench: &mut Bench| {
        let mut answer = Ok(hearth_protocol::frame::Standing::Knocking);
        for number in 0..4_u64 {
            let again = Proved::assumed(ROOM, *stranger.member());
            let at = Millis(START + number * 30_000);
            answer =
                answer.and(bench.run(|batch| admission::knock(batch, at, &again, knock.clone())));
        }
        answer
    };
    let mut renewal = commit(900, 1, vec![]);
    renewal.payload.resize(60_000, 7);
    assert_eq!(bench.at(START, &ben, renewal.clone()), Err(spent));
    // Small entries still fit; a moderator may go on posting.
    let (refused, held) = fill(&mut bench, &founder, 10_000);
    assert_eq!(refused, spent);
    assert!(held > most - most / 100 - 60_000, "{held}");
    assert_eq!(refusal(knocks(&mut bench)), RejectCode::QuotaSpent);
    // A moderator can still moderate when no member can post.
    let removal = commit(20_000, 1, vec![Effect::Remove { member: *ben.member() }]);
    bench.at(START, &founder, removal).unwrap();
    let revoke = vec![Effect::RevokeInvite { invite: hearth_protocol::invite::invite_id(&token) }];
    bench
        .at(START, &founder, Submission { effects: revoke, payload: vec![], ..say(20_001, b"") })
        .unwrap();
    let (said, counted) = bench.bytes();
    assert_eq!(said, counted);
    bench.forget(START + month + 1);
    let (said, counted) = bench.bytes();
    assert!(said == counted && said < 10_000, "{said} {counted}");
    let later = say(30_000, b"words again").of_epoch(2);
    bench.at(START + month + 1, &founder, later).unwrap();
}

/// B1: the room's count equals what it holds, after any addition and deletion.
#[test]
fn b1_room_counts_what_it_holds() {
    let mut bench = Bench::new(RoomNumbers::default());
    let check = |bench: &Bench, what: &str| {
        let (said, held) = bench.bytes();
        assert_eq!(said, held, "{what}");
        said
    };
    check(&bench, "opened");
    let (ben, founder) = (bench.admit(1), bench.founder.clone());
    check(&bench, "admitted");
    let said = bench.at(START, &ben, large(1, 50_000)).unwrap().seq;
    let before = check(&bench, "said");
    bench.at(START, &ben, marked(2, 500, retract(said, 1))).unwrap();
    assert_eq!(check(&bench, "retracted"), before - 50_000 + 500 + ROW_BYTES);
    let token = bench.invite(9, Millis::NEVER);
    let (stranger, knock, _) = knocker(7, &token);
    for (at, bytes) in [(START, 10), (START + 30_000, 20_000)] {
        let knock = Knock {
            body: vec![0; bytes],
            token: token.clone(),
            acknowledgement: knock.acknowledgement.clone(),
        };
        bench.run(|batch| admission::knock(batch, Millis(at), &stranger, knock.clone())).unwrap();
        check(&bench, "knocked");
    }
    let decline = vec![Effect::Decline { member: *stranger.member(), note: b"not today".to_vec() }];
    let declines = Submission { effects: decline, payload: vec![], ..say(30, b"") };
    bench.at(START, &founder, declines).unwrap();
    check(&bench, "declined");
    for number in 0..20_u8 {
        let (bytes, now) = ([number; 100], Millis(START));
        let blob = BlobId(hash::sha256(&bytes).0);
        bench.run(|batch| blobs::put(batch, now, &founder, &blob, bytes.to_vec())).unwrap();
    }
    check(&bench, "blobs");
    bench.run(|batch| blobs::fetched(batch, &ben, Seq(9))).unwrap();
    check(&bench, "fetched");
    let refused = Submission {
        effects: vec![
            Effect::AddInvite {
                invite: InviteId([9; 16]),
                uses: 1,
                expires: Millis::NEVER,
                preview: vec![0; 300],
            },
            Effect::RevokeInvite { invite: InviteId([8; 16]) },
        ],
        payload: vec![],
        ..say(40, b"")
    };
    bench.at(START, &founder, refused).unwrap_err();
    check(&bench, "refused");
    bench
        .at(START, &founder, commit(50, 1, vec![Effect::Remove { member: *ben.member() }]))
        .unwrap();
    check(&bench, "removed");
    bench.forget(START + 400 * DAY);
    // The invite does not expire.
    assert!(check(&bench, "forgotten") < 1_000);
}

/// B1: the last of the disk is reserved for moderators.
#[test]
fn b1_low_disk_stops_members_alone() {
    let mut bench = Bench::new(RoomNumbers::default());
    let (ben, founder) = (bench.admit(1), bench.founder.clone());
    let said = bench.at(START, &ben, say(1, b"words").of_epoch(1)).unwrap().seq;
    let token = bench.invite(9, Millis::NEVER);
    bench.bounds.fill_disk(true);
    let full = Err((RejectCode::StoreUnavailable, Some(60_000)));
    assert_eq!(bench.at(START, &ben, say(2, b"words").of_epoch(1)), full);
    assert_eq!(bench.at(START, &ben, commit(3, 1, vec![])), full);
    let (stranger, knock, _) = knocker(7, &token);
    let refused =
        bench.run(|batch| admission::knock(batch, Millis(START), &stranger, knock.clone()));
    assert_eq!(refusal(refused), RejectCode::StoreUnavailable);
    bench.at(START, &founder, say(4, b"words").of_epoch(1)).unwrap();
    bench.at(START, &ben, marked(5, 500, retract(said, 1))).unwrap();
    bench.bounds.fill_disk(false);
    bench.at(START, &ben, say(2, b"words").of_epoch(1)).unwrap();
}

/// B4: replacements of a knock are paced, and moderators are not notified of them.
#[test]
fn b4_replaced_knock_is_paced_and_silent() {
    let mut bench = Bench::new(RoomNumbers::default());
    let token = bench.invite(2, Millis::NEVER);
    let (ann, template, _) = knocker(1, &token);
    let knock = |bench: &mut Bench, at: u64, body: u8| {
        let knock = Knock {
            token: template.token.clone(),
            acknowledgement: template.acknowledgement.clone(),
            body: vec![body],
        };
        bench
            .run(|batch| {
                let answer = admission::knock(batch, Millis(START + at), &ann, knock.clone());
                let told = batch.published.iter().any(|published| published.knocked);
                Ok((
                    answer.map_err(|fault| match fault {
                        Fault::Refused(refusal) => {
                            (refusal.code, refusal.retry_at.unwrap().0 - START)
                        }
                        Fault::Store(error) => panic!("{error}"),
                    }),
                    told,
                ))
            })
            .unwrap()
    };
    let knocking = || Ok(hearth_protocol::frame::Standing::Knocking);
    let soon = |at| Err((RejectCode::RateLimited, at));
    assert_eq!(knock(&mut bench, 0, 1), (knocking(), true));
    // A retry; the answer was lost.
    assert_eq!(knock(&mut bench, 1, 1), (knocking(), false));
    assert_eq!(knock(&mut bench, 29_999, 2), (soon(30_000), false));
    assert_eq!(knock(&mut bench, 30_000, 2), (knocking(), false));
    assert_eq!(knock(&mut bench, 59_999, 3), (soon(60_000), false));
    // A cancelled knock makes the next one neither sooner nor newly notified.
    bench.run(|batch| admission::cancel(batch, &ann)).unwrap();
    assert_eq!(knock(&mut bench, 59_999, 3), (soon(60_000), false));
    assert_eq!(knock(&mut bench, 60_000, 3), (knocking(), false));
    bench.run(|batch| admission::cancel(batch, &ann)).unwrap();
    assert_eq!(knock(&mut bench, 660_000, 3), (knocking(), true));
}

/// E12: the knocks of an invite are deleted with it.
#[test]
fn e12_revoked_invite_drops_its_knocks() {
    let mut bench = Bench::new(RoomNumbers::default());
    let founder = bench.founder.clone();
    let tokens = [Secret32::new([21; 32]), Secret32::new([22; 32])];
    for (id, token) in (1..).zip(&tokens) {
        bench.add_invite(id, token, 9, Millis::NEVER).unwrap();
    }
    for number in 0..KNOCKS_MAX {
        let (proof, knock, _) = knocker(number as u32, &tokens[usize::from(number < 60)]);
        bench.run(|batch| admission::knock(batch, Millis(START), &proof, knock.clone())).err();
    }
    let waiting = bench.count("knocks");
    let revoke = |id, token: &Secret32| {
        let invite = hearth_protocol::invite::invite_id(token);
        Submission {
            effects: vec![Effect::RevokeInvite { invite }],
            payload: vec![],
            ..say(id, b"")
        }
    };
    bench
        .run(|batch| {
            submit(batch, Millis(START), &founder, revoke(100, &tokens[1]))?;
            assert!(batch.published.iter().any(|published| published.roster), "they are told");
            Ok(())
        })
        .unwrap();
    assert_eq!((waiting, bench.count("knocks")), (13, 4));
    let (proof, knock, _) = knocker(200, &tokens[0]);
    bench.run(|batch| admission::knock(batch, Millis(START), &proof, knock.clone())).unwrap();
    let twice = bench.at(START, &founder, revoke(101, &tokens[1]));
    assert_eq!(twice, Err((RejectCode::NotFound, None)));
}

/// B7: with SQLite 3.51.2 and older, checkpoints beside a writer can corrupt the file.
#[test]
fn b7_checkpoints_beside_writer_corrupt_nothing() {
    const ROUNDS: u64 = 400;
    let dir = tempfile::tempdir().unwrap();
    let path = database_path(dir.path());
    let writer = schema::open_writer(&path).unwrap();
    writer.pragma_update(None, "synchronous", "OFF").unwrap();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for mode in ["PASSIVE", "RESTART", "TRUNCATE"] {
            let (path, done) = (&path, &done);
            scope.spawn(move || {
                let mover = schema::open_writer(path).unwrap();
                while !done.load(Ordering::Relaxed) {
                    // A writer may block it.
                    let sql = format!("PRAGMA wal_checkpoint({mode})");
                    let _ = mover.query_row(&sql, [], |row| row.get::<_, i64>(0));
                }
            });
        }
        for round in 0..ROUNDS {
            let at = schema::int(round);
            writer
                .execute(
                    "INSERT INTO entries VALUES (?1, 0, x'', x'', NULL, randomblob(20000))",
                    [at],
                )
                .unwrap();
            writer.execute("DELETE FROM entries WHERE key = ?1 - 20", [at]).unwrap();
        }
        done.store(true, Ordering::Relaxed);
    });
    let found: String = writer.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(found, "ok");
    let count: i64 =
        writer.query_row("SELECT count(*) FROM entries", [], |row| row.get(0)).unwrap();
    assert_eq!(count, 20);
}

/// B5: the queue is bounded by bytes, for any number of requests.
#[tokio::test]
async fn b5_queue_is_bounded_by_bytes() {
    let Bench { dir, db, founder, .. } = Bench::new(RoomNumbers::default());
    drop(db);
    let (store, threads, _registry, _metrics) = open(dir.path());
    let (begins, begun) = std::sync::mpsc::channel();
    let (ends, end) = std::sync::mpsc::channel::<()>();
    let busy = move |_: &mut Batch<'_>| {
        begins.send(()).unwrap();
        end.recv().unwrap();
        Ok(())
    };
    let first = store.sqlite.write(busy).await;
    begun.recv().unwrap();
    let mut answers = Vec::new();
    let mut waiting = None;
    for id in 0..200 {
        let post = store.submit(Millis(START), founder.clone(), large(id, 150_000).of_epoch(0));
        let mut post = Box::pin(post);
        match futures_util::FutureExt::now_or_never(post.as_mut()) {
            Some(answer) => answers.push(answer),
            None => {
                waiting = Some(post);
                break;
            }
        }
    }
    assert_eq!(answers.len(), WRITE_QUEUE_BYTES / (150_000 + JOB_BYTES));
    assert!(store.queue_bytes() > WRITE_QUEUE_BYTES - 151_000);
    ends.send(()).unwrap();
    first.await.unwrap();
    answers.push(waiting.unwrap().await);
    for answer in answers {
        answer.await.unwrap();
    }
    assert_eq!(store.queue_bytes(), 0);
    drop(store);
    threads.join();
}

/// B6: the relay makes no new store in a folder that belonged to a relay.
#[test]
fn b6_vanished_store_is_not_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let (store, threads, ..) = open(dir.path());
    drop(store);
    threads.join();
    for name in ["hearth.db", "hearth.db-wal", "hearth.db-shm"] {
        let _ = std::fs::remove_file(dir.path().join(name));
    }
    let opened = || {
        let (registry, metrics) = Default::default();
        match Store::open(dir.path(), registry, metrics, Limits::NONE) {
            Err(OpenError::Vanished(trace)) => trace,
            Err(error) => panic!("{error}"),
            Ok(_) => panic!("a new store was made"),
        }
    };
    assert_eq!(opened(), "stream");
    std::fs::write(database_path(dir.path()), "").unwrap();
    assert_eq!(opened(), "stream");
    std::fs::remove_file(dir.path().join("stream")).unwrap();
    assert_eq!(opened(), "acknowledged");
    std::fs::remove_file(dir.path().join("acknowledged")).unwrap();
    std::fs::write(dir.path().join("address"), "wss://x:1 -\n").unwrap();
    assert_eq!(opened(), "address");
    std::fs::remove_file(dir.path().join("address")).unwrap();
    let (store, threads, ..) = open(dir.path());
    drop(store);
    threads.join();
}
