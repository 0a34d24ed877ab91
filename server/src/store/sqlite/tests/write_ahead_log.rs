//! Contents of the write-ahead log, and for how long.

use super::*;

/// Waits until the write-ahead log of a running store is empty.
async fn log_is_emptied(dir: &Path) {
    let log = database_path(dir).with_extension("db-wal");
    let emptied = async {
        while std::fs::metadata(&log).is_ok_and(|log| log.len() > 0) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), emptied).await.unwrap();
}

/// Grants have no row ids, and SQLite does not report their deletion.
#[tokio::test]
async fn retention_empties_the_log() {
    let Bench { dir, db, .. } = Bench::new(RoomNumbers::default());
    let (store, threads, _registry, _metrics) = open(dir.path());
    log_is_emptied(dir.path()).await;
    let terms = Terms { rooms_left: 1, members_max: 9, expires: Millis(START) };
    grants::add(&db, &Secret32::new([8; 32]), &terms).unwrap();
    drop(db);
    let step = store.sqlite.write(|batch| retention::step(batch, Millis(START + 1), 0)).await;
    assert_eq!(step.await.unwrap().deleted, 1);
    log_is_emptied(dir.path()).await;
    drop(store);
    threads.join();
}

/// A log that grew long is cut when nobody writes, even if nothing was deleted.
#[tokio::test]
async fn long_log_is_cut_when_idle() {
    let Bench { dir, db, founder, .. } = Bench::new(RoomNumbers::default());
    drop(db);
    let (store, threads, _registry, _metrics) = open(dir.path());
    log_is_emptied(dir.path()).await;
    let log = database_path(dir.path()).with_extension("db-wal");
    let length = || std::fs::metadata(&log).unwrap().len();
    let body = vec![1; 40_000];
    let mut longest = 0;
    for id in 0..600 {
        store.submit(Millis(START), founder.clone(), say(id, &body)).await.await.unwrap();
        longest = longest.max(length());
    }
    assert!(longest > 16 * 1024 * 1024, "{longest}");
    log_is_emptied(dir.path()).await;
    drop(store);
    threads.join();
}

/// The relay moves the log into the database after many changes, cuts it after deletions, and otherwise leaves it.
#[tokio::test]
async fn log_moves_and_cuts_are_paced() {
    use std::time::{Duration, Instant};
    const CUT_PAUSE: Duration = Duration::from_secs(1);
    /// The time of several checks of the log.
    const LOOKS: Duration = Duration::from_millis(500);
    let Bench { dir, db, founder, .. } = Bench::new(RoomNumbers::default());
    drop(db);
    let (store, threads, _registry, _metrics) = open(dir.path());
    let database = database_path(dir.path());
    let length = || std::fs::metadata(database.with_extension("db-wal")).unwrap().len();
    let is_moved = |words: &[u8]| {
        std::fs::read(&database).unwrap().windows(words.len()).any(|part| part == words)
    };
    let say = async |id, words: &[u8], effects| {
        let submission = Submission { effects, ..say(id, words) };
        store.submit(Millis(START), founder.clone(), submission).await.await.unwrap()
    };
    let until = async |condition: &dyn Fn() -> bool| {
        let met = async {
            while !condition() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), met).await.unwrap();
    };

    // Few writes and no deletions: the log is left alone, during writes and without them.
    log_is_emptied(dir.path()).await;
    let (began, mut longest, mut id) = (Instant::now(), 0, 0);
    while began.elapsed() < CUT_PAUSE + 2 * LOOKS {
        if began.elapsed() < CUT_PAUSE + LOOKS && id < 200 {
            id += 1;
            say(id, b"words that are in the log alone", vec![]).await;
        }
        assert!(length() >= longest, "cut without need");
        longest = length();
        tokio::task::yield_now().await;
    }
    assert!(!is_moved(b"words that are in the log alone"));

    // Many changes: the log is moved and keeps its length.
    store
        .sqlite
        .write(|batch| {
            let rows =
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 8192)
                        INSERT INTO posts SELECT 1, x'00', i, 1 FROM n";
            Ok(batch.db.execute(rows, [])?)
        })
        .await
        .await
        .unwrap();
    until(&|| is_moved(b"words that are in the log alone")).await;
    assert!(length() >= longest, "cut without need");

    // Two deletions of content: the log is cut after each, and not twice in one second.
    let began = Instant::now();
    for seq in [1, 2] {
        let own = Some(self::say(seq, b"").id);
        let retract = vec![Effect::Retract { seq: Seq(seq), own }];
        let now = Millis(START + seq * MARKED_MILLIS);
        let submission = marked(1_000 + seq, 500, retract).of_epoch(0);
        store.submit(now, founder.clone(), submission).await.await.unwrap();
        log_is_emptied(dir.path()).await;
    }
    assert!(began.elapsed() >= CUT_PAUSE, "{:?}", began.elapsed());
    drop(store);
    threads.join();
}

#[tokio::test]
async fn retracted_entry_leaves_every_file_soon() {
    let Bench { dir, db, founder, .. } = Bench::new(RoomNumbers::default());
    drop(db);
    let (store, threads, _registry, _metrics) = open(dir.path());
    // Every start empties the log; the test waits for that first.
    log_is_emptied(dir.path()).await;
    let canary = b"the canary that must be gone from every file";
    // Several pages, because later entries would overwrite a short one anyway.
    let words = say(1, &canary.repeat(400));
    let said = store.submit(Millis(START), founder.clone(), words).await.await.unwrap();
    assert!(holds(dir.path(), canary));
    let id = say(1, b"").id;
    let retract = marked(2, 500, vec![Effect::Retract { seq: said.accepted().seq, own: Some(id) }])
        .of_epoch(0);
    // A reader that began earlier needs the old log, and delays no writer.
    let reader = schema::open_reader(&database_path(dir.path())).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM entries;").unwrap();
    let _: i64 = reader.query_row("SELECT count(*) FROM entries", [], |row| row.get(0)).unwrap();
    store.submit(Millis(START), founder.clone(), retract).await.await.unwrap();
    let began = std::time::Instant::now();
    for id in 3..60 {
        store.submit(Millis(START), founder.clone(), say(id, b"word")).await.await.unwrap();
    }
    assert!(began.elapsed() < std::time::Duration::from_secs(4), "{:?}", began.elapsed());
    assert!(holds(dir.path(), canary));
    reader.execute_batch("COMMIT").unwrap();
    let gone = async {
        while holds(dir.path(), canary) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), gone).await.unwrap();
    drop(store);
    threads.join();
}

/// SQLite does not report a row that another replaces.
#[tokio::test]
async fn replaced_knock_leaves_every_file_soon() {
    let mut bench = Bench::new(RoomNumbers::default());
    let token = bench.invite(1, Millis::NEVER);
    let Bench { dir, db, .. } = bench;
    drop(db);
    let (store, threads, _registry, _metrics) = open(dir.path());
    log_is_emptied(dir.path()).await;
    let canary = b"the canary that must be gone from every file";
    for (now, body) in [(START, canary.repeat(100)), (START + 30_000, b"another knock".to_vec())] {
        let (proof, knock, _) = knocker(1, &token);
        let knock = Knock { body, ..knock };
        let knocked = store
            .sqlite
            .write(move |batch| admission::knock(batch, Millis(now), &proof, knock.clone()));
        assert_eq!(knocked.await.await.unwrap(), hearth_protocol::frame::Standing::Knocking);
    }
    log_is_emptied(dir.path()).await;
    assert!(!holds(dir.path(), canary));
    assert!(holds(dir.path(), b"another knock"));
    drop(store);
    threads.join();
}
