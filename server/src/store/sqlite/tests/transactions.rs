//! Requests that share a transaction, are repeated or fail.

use super::*;

/// G7: an id has its effect once, through any change of the room and another opening of the store.
/// `HEARTH_RETRIES=1000000` runs a campaign.
#[test]
fn hundred_thousand_retries_have_no_effect() {
    const MESSAGES: u64 = 500;
    let wanted = std::env::var("HEARTH_RETRIES").map_or(100_000, |n| n.parse().unwrap());
    let mut bench = Bench::new(RoomNumbers::default());
    let founder = bench.founder.clone();
    let first: Vec<Accepted> =
        (0..MESSAGES).map(|id| bench.say(START + id, id, &id.to_be_bytes())).collect();
    let (mut retries, mut round) = (0, 0);
    while retries < wanted {
        let now = Millis(START + DAY + round);
        let again = bench.run(|batch| {
            let each =
                (0..MESSAGES).map(|id| submit(batch, now, &founder, say(id, &id.to_be_bytes())));
            each.collect::<Result<Vec<_>, _>>()
        });
        assert_eq!(again.unwrap(), first);
        retries += MESSAGES;
        round += 1;
        // Other content under a used id also changes nothing.
        let other = bench.run(|batch| submit(batch, now, &founder, say(round % MESSAGES, b"!")));
        assert_eq!(refusal(other), RejectCode::IdConflict);
        match round {
            // After it, the store accepts no new entry of these epochs.
            20 => {
                let mut commit = say(MESSAGES, b"a commit");
                commit.payload[29] = 3;
                bench.run(|batch| submit(batch, now, &founder, commit)).unwrap();
            }
            40 => {
                let path = database_path(bench.dir.path());
                bench.db = schema::open_writer(&path).unwrap();
            }
            _ => {}
        }
    }
    assert_eq!(bench.count("entries"), i64::try_from(MESSAGES).unwrap() + 1);
    assert_eq!(bench.count("acts"), 0);
}

/// A commit whose answer was lost was accepted, and its retry is no storm.
#[test]
fn repeated_commit_costs_no_pace() {
    let mut bench = Bench::new(RoomNumbers::default());
    let ben = bench.admit(1);
    let seq = bench.submit(&ben, commit(10, 1, vec![])).unwrap().seq;
    for _ in 0..10 {
        assert_eq!(bench.submit(&ben, commit(10, 1, vec![])).unwrap().seq, seq);
    }
    assert_eq!(bench.submit(&ben, commit(11, 2, vec![])).unwrap().seq.0, seq.0 + 1);
}

/// The store recovers by itself.
#[tokio::test]
async fn failed_transaction_acknowledges_nothing() {
    let bench = Bench::new(RoomNumbers::default());
    let Bench { dir, db, founder, .. } = bench;
    drop(db);
    let (store, threads, _registry, metrics) = open(dir.path());
    let say_it = |id: u64| store.submit(Millis(START), founder.clone(), say(id, b"word"));
    assert_eq!(say_it(1).await.await.unwrap().accepted().seq, Seq(1));
    // As with a full disk or a failed sync: in the middle of a request's transaction.
    let failing = store
        .sqlite
        .write(|batch| {
            batch.db.execute("UPDATE rooms SET head = 900", [])?;
            batch.db.execute("INSERT INTO nowhere VALUES (1)", [])?;
            Ok(())
        })
        .await;
    let beside = say_it(2).await;
    assert_eq!(failing.await.unwrap_err().code, RejectCode::StoreUnavailable);
    let beside = beside.await;
    assert_eq!(beside.unwrap_err().code, RejectCode::StoreUnavailable);
    let limit = std::time::Duration::from_secs(20);
    let noticed = async {
        while metrics.is_ready() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(limit, noticed).await.unwrap();
    // Reads are still served.
    let reader = founder.clone();
    let position = store.sqlite.read(move |db| read::position(db, &reader)).await.unwrap();
    assert_eq!(position.head, Seq(1));
    let recovered = async {
        loop {
            if let Ok(accepted) = say_it(2).await.await {
                return accepted.accepted();
            }
        }
    };
    let accepted = tokio::time::timeout(limit, recovered).await.unwrap();
    assert_eq!(accepted.seq, Seq(2));
    assert!(metrics.is_ready());
    drop(store);
    threads.join();
}

#[tokio::test]
async fn one_refusal_spares_other_requests() {
    let bench = Bench::new(RoomNumbers::default());
    let Bench { dir, db, founder, .. } = bench;
    drop(db);
    let (store, threads, _registry, _metrics) = open(dir.path());
    let mut answers = Vec::new();
    for id in 0..200_u64 {
        let proof = founder.clone();
        let mut submission = say(id, b"word");
        if id % 3 == 0 {
            // Refused after its first effect was applied.
            submission.effects = vec![
                Effect::AddInvite {
                    invite: hearth_protocol::InviteId([1; 16]),
                    uses: 1,
                    expires: Millis::NEVER,
                    preview: vec![],
                },
                Effect::RevokeInvite { invite: hearth_protocol::InviteId([0; 16]) },
            ];
        }
        answers.push(store.submit(Millis(START), proof, submission).await);
    }
    let mut expected = 0;
    for (id, answer) in answers.into_iter().enumerate() {
        let answer = answer.await;
        if id % 3 == 0 {
            assert_eq!(answer.unwrap_err().code, RejectCode::NotFound);
        } else {
            expected += 1;
            let accepted = answer.unwrap().accepted();
            assert_eq!((accepted.seq, accepted.control), (Seq(expected), 0));
        }
    }
    drop(store);
    threads.join();
}

/// Requests that arrive while the writer is busy share one transaction and its sync.
#[tokio::test]
async fn waiting_requests_share_a_transaction() {
    let Bench { dir, db, founder, .. } = Bench::new(RoomNumbers::default());
    drop(db);
    let (store, threads, _registry, metrics) = open(dir.path());
    let (begins, begun) = std::sync::mpsc::channel();
    let (ends, end) = std::sync::mpsc::channel::<()>();
    let busy = move |_: &mut Batch<'_>| {
        begins.send(()).unwrap();
        end.recv().unwrap();
        Ok(())
    };
    let first = store.sqlite.write(busy).await;
    begun.recv().unwrap();
    let before = metrics.commit_latency.count();
    let mut answers = Vec::new();
    for id in 0..3_000 {
        answers.push(store.submit(Millis(START), founder.clone(), say(id, b"word")).await);
    }
    assert_eq!(store.queue_depth(), 3_000);
    ends.send(()).unwrap();
    first.await.unwrap();
    for answer in answers {
        answer.await.unwrap();
    }
    assert_eq!(metrics.commit_latency.count() - before, 2);
    drop(store);
    threads.join();
}

/// The count distinguishes a restored copy of the store from the store.
#[tokio::test]
async fn every_changing_transaction_is_counted() {
    let Bench { dir, db, founder, .. } = Bench::new(RoomNumbers::default());
    let (store, threads, _registry, _metrics) = open(dir.path());
    let writes =
        || db.query_row("SELECT writes FROM life", [], |row| row.get::<_, i64>(0)).unwrap();
    let before = writes();
    store.submit(Millis(START), founder.clone(), say(1, b"word")).await.await.unwrap();
    assert_eq!(writes(), before + 1);
    let effects = vec![Effect::Retract { seq: Seq(9), own: None }];
    let refused = commit(2, 0, effects);
    store.submit(Millis(START), founder, refused).await.await.unwrap_err();
    assert_eq!(writes(), before + 1);
    drop(store);
    threads.join();
}

#[test]
fn posts_in_one_transaction_are_sequential() {
    let numbers = RoomNumbers { slow_seconds: 60, ..RoomNumbers::default() };
    let mut bench = Bench::new(numbers.clone());
    let founder = bench.founder.clone();
    let member = Proved::assumed(ROOM, MemberKey([7; 32]));
    let role = hearth_protocol::Role::Member;
    let row = MemberRow::joining(*member.member(), role, Seq(0));
    let room = bench.db.query_row("SELECT key FROM rooms", [], |row| row.get(0)).unwrap();
    rows::save_member(&bench.db, room, &row).unwrap();
    bench
        .run(|batch| {
            let mut post =
                |proof: &Proved, id| submit(batch, Millis(START), proof, say(id, b"word"));
            assert_eq!(post(&founder, 1)?.seq, Seq(1));
            assert_eq!(post(&member, 2)?.seq, Seq(2));
            // The rule holds within the transaction, and a refusal uses no number.
            assert_eq!(refusal(post(&member, 3)), RejectCode::SlowMode);
            assert_eq!(post(&founder, 1)?.seq, Seq(1), "the same id again");
            let mut numbers = numbers;
            numbers.paused_until = Millis::NEVER;
            let pause = commit(4, 0, vec![Effect::SetNumbers { numbers }]);
            let paused = submit(batch, Millis(START), &founder, pause)?;
            assert_eq!((paused.seq, paused.control), (Seq(3), 1));
            let late = Millis(START + 3_600_000);
            let refused = submit(batch, late, &member, say(5, b"word").of_epoch(1));
            assert_eq!(refusal(refused), RejectCode::Paused);
            let next = submit(batch, late, &founder, say(6, b"word").of_epoch(1))?;
            assert_eq!((next.seq, next.control), (Seq(4), 1));
            Ok(())
        })
        .unwrap();
    assert_eq!(read::position(&bench.db, &bench.founder).unwrap().head, Seq(4));
    assert_eq!(bench.count("entries"), 4);
}

/// A stop of the relay waits for requests that the store accepted before.
#[tokio::test]
async fn accepted_requests_are_written_before_exit() {
    use futures_util::FutureExt as _;
    let Bench { dir, db, .. } = Bench::new(RoomNumbers::default());
    drop(db);
    let (store, threads, _registry, _metrics) = open(dir.path());
    let much = store
        .sqlite
        .write(|batch| {
            let rows =
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50000)
                        INSERT INTO posts SELECT 1, x'00', i, 1 FROM n";
            Ok(batch.db.execute(rows, [])?)
        })
        .await;
    drop(store);
    threads.join();
    assert_eq!(much.now_or_never().unwrap().unwrap(), 50_000);
}

/// The ids stay with the tombstone, so that a retry is not a new message.
#[test]
fn retry_of_retracted_entry_is_answered() {
    let mut bench = Bench::new(RoomNumbers::default());
    let first = bench.say(START, 1, b"word");
    let founder = bench.founder.clone();
    let retracts = commit(2, 0, vec![Effect::Retract { seq: first.seq, own: None }]);
    let control = bench.submit(&founder, retracts).unwrap().control;
    let again = bench.submit(&founder, say(1, b"word")).unwrap();
    assert_eq!(again, Accepted { control, ..first });
    assert_eq!(refusal(bench.submit(&founder, say(1, b"other"))), RejectCode::IdConflict);
    assert_eq!(bench.count("entries"), 2);
}

/// An earlier attempt is after the position that its sender had read; a false position only repeats the sender's own post.
#[test]
fn retry_is_searched_after_its_position() {
    let mut bench = Bench::new(RoomNumbers::default());
    let founder = bench.founder.clone();
    for id in 0..10 {
        bench.say(START, id, b"word");
    }
    for (after, seq) in [(0, 5), (4, 5), (5, 11), (u64::MAX, 12)] {
        let retry = Submission { after: Seq(after), ..say(4, b"word") };
        assert_eq!(bench.submit(&founder, retry).unwrap().seq, Seq(seq), "{after}");
    }
}

#[test]
fn another_members_id_is_not_found() {
    let mut bench = Bench::new(RoomNumbers::default());
    let ben = bench.admit(1);
    let founder = bench.founder.clone();
    let word = || say(20, b"word").of_epoch(1);
    let first = bench.submit(&founder, word()).unwrap().seq;
    assert_eq!(bench.submit(&ben, word()).unwrap().seq.0, first.0 + 1);
}

/// A reader searches beyond the rows that a transaction searches.
#[tokio::test]
async fn retry_from_far_back_is_found() {
    let mut bench = Bench::new(RoomNumbers::default());
    let many = submit::SEARCH_ROWS_MAX as u64 * 12;
    let founder = bench.founder.clone();
    for id in 0..many {
        let post = Submission { after: Seq(id), ..say(id, b"word") };
        bench.submit(&founder, post).unwrap();
    }
    let Bench { dir, db, .. } = bench;
    drop(db);
    let (store, threads, _registry, _metrics) = open(dir.path());
    let post = async |id, after| {
        let submission = Submission { after: Seq(after), ..say(id, b"word") };
        let now = Millis(START);
        match store.submit(now, founder.clone(), submission).await.await.unwrap() {
            Submitted::Accepted(accepted) => (false, accepted.seq.0),
            Submitted::Far(submission) => {
                let found = store.submit_far(now, founder.clone(), submission).await.unwrap();
                (true, found.seq.0)
            }
        }
    };
    assert_eq!(post(3, 0).await, (false, 4), "found on the way");
    for id in [many / 2, many - 1] {
        assert_eq!(post(id, 0).await, (true, id + 1));
        assert_eq!(post(id, id).await, (false, id + 1));
    }
    assert_eq!(post(many, 0).await, (true, many + 1), "it is new");
    drop(store);
    threads.join();
}

/// A member may run one long search at a time.
#[tokio::test]
async fn far_searches_wait_for_each_other() {
    let Bench { dir, db, founder, .. } = Bench::new(RoomNumbers::default());
    drop(db);
    let (store, threads, _registry, _metrics) = open(dir.path());
    let far = || store.submit_far(Millis(START), founder.clone(), say(1, b"word"));
    let (first, second) = tokio::join!(far(), far());
    first.unwrap();
    let refused = second.unwrap_err();
    assert_eq!(
        (refused.code, refused.retry_at),
        (RejectCode::RateLimited, Some(Millis(START + 1_000)))
    );
    far().await.unwrap();
    drop(store);
    threads.join();
}
