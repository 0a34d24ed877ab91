//! What the store keeps, hides and refuses.

use std::{fs, panic::AssertUnwindSafe, path::Path};

use tempfile::TempDir;

use super::*;

const KEY: [u8; 32] = [7; 32];
const ROOM: RoomNo = RoomNo(3);
const OTHER: RoomNo = RoomNo(4);

fn store() -> (TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::create(&folder.path().join("hearth.db"), &KEY).map_err(|_| ()).unwrap();
    (folder, store)
}

fn open(path: &Path, key: &[u8; 32]) -> Result<Store> {
    Store::open(path, key).map_err(|error| match error {
        CreateError::Store(error) => error,
        CreateError::Io(error) => panic!("{error}"),
    })
}

/// Kind, room and name together identify a record.
#[test]
fn named_records_are_kept_apart() {
    let (folder, store) = store();
    store.put(Kind::Room, ROOM, b"name", b"old").unwrap();
    store.put(Kind::Room, ROOM, b"name", b"new").unwrap();
    store.put(Kind::Room, OTHER, b"name", b"other").unwrap();
    store.put(Kind::Note, ROOM, b"name", b"note").unwrap();
    store.put(Kind::Room, ROOM, b"", b"").unwrap();
    drop(store);
    let store = open(&folder.path().join("hearth.db"), &KEY).unwrap();
    assert_eq!(store.get(Kind::Room, ROOM, b"name").unwrap().unwrap(), b"new");
    assert_eq!(store.get(Kind::Room, OTHER, b"name").unwrap().unwrap(), b"other");
    assert_eq!(store.get(Kind::Note, ROOM, b"name").unwrap().unwrap(), b"note");
    assert_eq!(store.get(Kind::Room, ROOM, b"").unwrap().unwrap(), b"");
    assert_eq!(store.get(Kind::Room, ROOM, b"nam").unwrap(), None);
    assert_eq!(store.list_named(Kind::Room, ROOM).unwrap(), [b"new".to_vec(), b"".to_vec()]);
    assert!(store.delete(Kind::Room, ROOM, b"name").unwrap());
    assert!(!store.delete(Kind::Room, ROOM, b"name").unwrap());
    assert_eq!(store.get(Kind::Room, OTHER, b"name").unwrap().unwrap(), b"other");
}

#[test]
fn ordered_records_range_numerically() {
    let (_folder, store) = store();
    let numbers = [0, 1, 255, 256, 65_536, u64::from(u32::MAX), u64::MAX - 1];
    for n in numbers.into_iter().rev() {
        store.put_at(Kind::History, ROOM, n, &n.to_string().into_bytes()).unwrap();
    }
    // No other room's record and no named record of the same kind appears.
    store.put_at(Kind::History, OTHER, 2, b"other").unwrap();
    store.put(Kind::History, ROOM, b"cursor", b"named").unwrap();

    let found = |records: Vec<(u64, Vec<u8>)>| -> Vec<u64> {
        for (n, value) in &records {
            assert_eq!(*value, n.to_string().into_bytes());
        }
        records.into_iter().map(|(n, _)| n).collect()
    };
    let range = |from, limit| found(store.range(Kind::History, ROOM, from, limit).unwrap());
    let back = |before, limit| found(store.range_back(Kind::History, ROOM, before, limit).unwrap());
    assert_eq!(range(0, usize::MAX), numbers);
    assert_eq!(range(2, 2), [255, 256]);
    assert_eq!(range(0, 0), [0_u64; 0]);
    assert_eq!(back(u64::MAX, 2), numbers[5..]);
    assert_eq!(back(256, 2), [1, 255]);
    assert_eq!(store.first(Kind::History, ROOM).unwrap().unwrap().0, 0);
    assert_eq!(store.last(Kind::History, ROOM).unwrap().unwrap().0, u64::MAX - 1);
    assert_eq!(store.last(Kind::Outbox, ROOM).unwrap(), None);

    assert_eq!(store.delete_before(Kind::History, ROOM, 256).unwrap(), 3);
    assert_eq!(range(0, 10), numbers[3..]);
    assert!(store.delete_at(Kind::History, ROOM, 256).unwrap());
    assert_eq!(store.get_at(Kind::History, ROOM, 256).unwrap(), None);
    assert_eq!(store.get(Kind::History, ROOM, b"cursor").unwrap().unwrap(), b"named");
    assert_eq!(store.clear(Kind::History, ROOM).unwrap(), 4);
    assert_eq!(store.get_at(Kind::History, OTHER, 2).unwrap().unwrap(), b"other");
}

#[test]
fn room_numbers_are_never_reused() {
    let (_folder, store) = store();
    let (first, second) = (store.create_room().unwrap(), store.create_room().unwrap());
    assert!(RoomNo::NONE < first && first < second);
    for kind in Kind::ALL {
        store.put(kind, second, b"x", b"x").unwrap();
        store.put_at(kind, second, 1, b"x").unwrap();
        store.put(kind, first, b"x", b"kept").unwrap();
    }
    store.delete_room(second).unwrap();
    assert_eq!(store.rooms().unwrap(), [first]);
    for kind in Kind::ALL {
        assert_eq!(store.get(kind, second, b"x").unwrap(), None);
        assert_eq!(store.get_at(kind, second, 1).unwrap(), None);
        assert_eq!(store.get(kind, first, b"x").unwrap().unwrap(), b"kept");
    }
    assert!(store.create_room().unwrap() > second);
}

#[test]
fn transaction_is_kept_or_dropped_whole() {
    let (_folder, store) = store();
    let put = |value: &[u8]| store.put(Kind::Meta, ROOM, b"x", value);
    let get = || store.get(Kind::Meta, ROOM, b"x").unwrap();
    let failed = store.transaction(|_| {
        put(b"1")?;
        assert!(store.in_transaction());
        Err::<(), _>(StoreError::Randomness)
    });
    assert!(matches!(failed, Err(StoreError::Randomness)));
    assert_eq!(get(), None);

    let panicked = std::panic::catch_unwind(AssertUnwindSafe(|| {
        store.transaction(|_| -> Result<()> {
            put(b"2")?;
            panic!("on purpose");
        })
    }));
    assert!(panicked.is_err());
    assert!(!store.in_transaction());
    assert_eq!(get(), None);

    let nested = store.transaction(|_| {
        put(b"3")?;
        assert!(matches!(store.transaction(|_| put(b"4")), Err(StoreError::Nested)));
        Ok::<_, StoreError>(5)
    });
    assert_eq!(nested.unwrap(), 5);
    assert_eq!(get().unwrap(), b"3");
}

/// The error names the kind of the row.
#[test]
fn altered_or_moved_row_is_damaged() {
    let (_folder, store) = store();
    let seal = |value: &[u8]| store.keys.seal(Kind::History, ROOM, &1_u64.to_be_bytes(), value);
    let place = |kind: Kind, room: RoomNo, n: u64, sealed: &[u8]| {
        store
            .db
            .execute(
                "INSERT OR REPLACE INTO record (kind, room, key, value) VALUES (?1, ?2, ?3, ?4)",
                params![kind as u8, room.0, n.to_be_bytes(), sealed],
            )
            .unwrap();
        store.get_at(kind, room, n)
    };
    let sealed = seal(b"kind words").unwrap();
    assert_eq!(place(Kind::History, ROOM, 1, &sealed).unwrap().unwrap(), b"kind words");
    for bit in 0..sealed.len() * 8 {
        let mut altered = sealed.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        let outcome = place(Kind::History, ROOM, 1, &altered);
        assert!(matches!(outcome, Err(StoreError::Damaged(Kind::History))), "bit {bit}");
    }
    for length in 0..sealed.len() {
        assert!(place(Kind::History, ROOM, 1, &sealed[..length]).is_err(), "{length} bytes");
    }
    for (kind, room, n) in
        [(Kind::Outbox, ROOM, 1), (Kind::History, OTHER, 1), (Kind::History, ROOM, 2)]
    {
        let outcome = place(kind, room, n, &sealed);
        assert!(matches!(outcome, Err(StoreError::Damaged(found)) if found == kind));
        assert!(store.verify().is_err());
    }
}

#[test]
fn disk_holds_no_plaintext() {
    let (folder, store) = store();
    let canary = b"canary-7f3a";
    let long = canary.repeat(20_000);
    store.put(Kind::Room, ROOM, canary, &long).unwrap();
    store.put_at(Kind::History, ROOM, 1, canary).unwrap();
    assert!(fs::metadata(folder.path().join("hearth.db-wal")).unwrap().len() > 0);
    let search = || {
        for entry in fs::read_dir(folder.path()).unwrap() {
            let path = entry.unwrap().path();
            let bytes = fs::read(&path).unwrap();
            assert!(!bytes.windows(canary.len()).any(|part| part == canary), "{path:?}");
            assert!(!bytes.windows(KEY.len()).any(|part| part == KEY), "{path:?}");
        }
    };
    search();
    store.checkpoint().unwrap();
    search();
}

/// T25: checked by the types of the fields, so a plain key would not compile.
#[test]
fn row_keys_are_wiped_when_dropped() {
    fn is_wiped<S, T: zeroize::ZeroizeOnDrop>(_: fn(&S) -> &T) -> bool {
        std::mem::needs_drop::<T>()
    }
    assert!(is_wiped(|keys: &RowKeys| &keys.value));
    assert!(is_wiped(|keys: &RowKeys| &keys.name));
}

#[test]
fn a_deleted_record_leaves_no_ciphertext() {
    let (folder, store) = store();
    store.put_at(Kind::History, ROOM, 1, &[1; 20_000]).unwrap();
    store.checkpoint().unwrap();
    let sealed: Vec<u8> = store
        .db
        .query_row("SELECT value FROM record WHERE kind = 4", [], |row| row.get(0))
        .unwrap();
    let on_disk = || {
        fs::read_dir(folder.path()).unwrap().any(|entry| {
            let bytes = fs::read(entry.unwrap().path()).unwrap();
            bytes.windows(64).any(|part| sealed.chunks_exact(64).any(|chunk| chunk == part))
        })
    };
    assert!(on_disk());
    store.delete_at(Kind::History, ROOM, 1).unwrap();
    store.checkpoint().unwrap();
    assert!(!on_disk());
}

#[test]
fn other_key_or_version_is_refused() {
    let (folder, store) = store();
    let path = folder.path().join("hearth.db");
    drop(store);
    assert!(matches!(open(&path, &[8; 32]), Err(StoreError::DamagedFile(_))));
    let db = Connection::open(&path).unwrap();
    db.execute_batch("PRAGMA user_version = 9").unwrap();
    drop(db);
    let before = fs::read(&path).unwrap();
    assert!(matches!(open(&path, &KEY), Err(StoreError::NewerVersion(9))));
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn full_disk_drops_transaction_with_error() {
    let (_folder, store) = store();
    store.put(Kind::Meta, ROOM, b"x", b"before").unwrap();
    let pages: i64 = store.db.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
    store.db.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(())).unwrap();
    let outcome = store.transaction(|store| {
        store.put(Kind::Meta, ROOM, b"x", b"after")?;
        store.put_at(Kind::History, ROOM, 1, &[0; 100_000])
    });
    assert!(matches!(outcome, Err(StoreError::DiskFull(_))));
    assert!(!store.in_transaction());
    assert_eq!(store.get(Kind::Meta, ROOM, b"x").unwrap().unwrap(), b"before");
}

/// Flips bytes all over the file; a read gives the right value or an error. `HEARTH_FLIPS=10000` makes it a campaign.
#[test]
fn flipped_byte_is_harmless_or_found() {
    let (folder, store) = store();
    let path = folder.path().join("hearth.db");
    let value = |n: u64| vec![u8::try_from(n).unwrap(); 300];
    for n in 0..20 {
        store.put_at(Kind::History, ROOM, n, &value(n)).unwrap();
    }
    store.put(Kind::Mls, ROOM, b"tree", &[9; 9_000]).unwrap();
    drop(store);
    let whole = fs::read(&path).unwrap();
    let damaged = folder.path().join("damaged.db");
    let mut silent = Vec::new();
    // A step that does not divide the page size visits every offset of a page.
    let step = std::env::var("HEARTH_FLIPS")
        .map_or(83, |flips| (whole.len() / flips.parse::<usize>().unwrap()).max(1));
    for at in (0..whole.len()).step_by(step) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x55;
        fs::write(&damaged, &bytes).unwrap();
        let read = || -> Result<bool> {
            let store = open(&damaged, &KEY)?;
            store.verify()?;
            let history = store.range(Kind::History, ROOM, 0, 100)?;
            Ok(history.len() == 20
                && history.iter().all(|(n, found)| *found == value(*n))
                && store.get(Kind::Mls, ROOM, b"tree")?.as_deref() == Some(&[9; 9_000]))
        };
        if let Ok(false) = read() {
            silent.push(at);
        }
        for log in ["damaged.db-wal", "damaged.db-shm", "damaged.db-journal"] {
            let _ = fs::remove_file(folder.path().join(log));
        }
    }
    assert_eq!(silent, [0; 0]);
}

/// The files of a killed process, with every part of the log damaged in turn: no change may go missing unnoticed.
#[test]
fn damaged_or_lost_log_is_found() {
    const CHANGES: u64 = 12;
    let (folder, store) = store();
    store.checkpoint().unwrap();
    for n in 0..CHANGES {
        store.put_at(Kind::History, ROOM, n, &[1; 500]).unwrap();
    }
    let copy = tempfile::tempdir().unwrap();
    let [from, to] = [folder.path(), copy.path()]
        .map(|path| ["hearth.db", "hearth.db-wal", "hearth.mark"].map(|name| path.join(name)));
    let [database, log, mark] = from.map(|path| fs::read(path).unwrap());
    assert!(log.len() > 4_096 * 12);
    let outcome = |log: &[u8]| {
        for (path, bytes) in to.iter().zip([&database, log, &mark]) {
            fs::write(path, bytes).unwrap();
        }
        let store = open(&to[0], &KEY)?;
        store.range(Kind::History, ROOM, 0, 100)
    };
    assert_eq!(outcome(&log).unwrap().len(), 12);
    for at in (0..log.len()).step_by(97) {
        let mut damaged = log.clone();
        damaged[at] ^= 0x10;
        match outcome(&damaged) {
            Err(StoreError::WentBack) => {}
            Ok(records) => assert_eq!(records.len(), 12, "byte {at}"),
            Err(error) => panic!("byte {at}: {error}"),
        }
    }
    for length in [0, 1, 31, 32, 4_096, log.len() / 2, log.len() - 1] {
        assert!(matches!(outcome(&log[..length]), Err(StoreError::WentBack)), "{length} bytes");
    }
}

#[test]
fn mark_may_lag_or_be_lost() {
    let (folder, store) = store();
    store.put(Kind::Meta, ROOM, b"x", b"x").unwrap();
    let changes = store.changes.get();
    // Reading does not count as a change.
    store.transaction(|store| store.get(Kind::Meta, ROOM, b"x")).unwrap();
    assert_eq!(store.changes.get(), changes);
    drop(store);
    let (path, mark) = (folder.path().join("hearth.db"), folder.path().join("hearth.mark"));
    assert_eq!(fs::read(&mark).unwrap(), changes.to_be_bytes());
    for content in [&(changes - 1).to_be_bytes()[..], b"", b"abc"] {
        fs::write(&mark, content).unwrap();
        assert!(open(&path, &KEY).is_ok());
    }
    fs::remove_file(&mark).unwrap();
    drop(open(&path, &KEY).unwrap());
    fs::write(&mark, (changes + 1).to_be_bytes()).unwrap();
    assert!(matches!(open(&path, &KEY), Err(StoreError::WentBack)));
}
