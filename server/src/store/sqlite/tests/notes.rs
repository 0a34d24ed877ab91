//! Sealed notes in the store: by addressee, without a sender, until they are dropped.

use hearth_protocol::{
    NoteId, Role,
    limits::{NOTE_KEPT_MILLIS, NOTE_MILLIS, SEALED_NOTE_BYTES_MAX},
};
use hearth_rules::quota::ROW_BYTES;

use super::*;
use crate::store::{Note, sqlite::notes};

fn note(id: u64, to: MemberKey, sealed: &[u8]) -> Note {
    let mut whole = [0; 16];
    whole[..8].copy_from_slice(&id.to_be_bytes());
    Note { id: NoteId(whole), to, sealed: sealed.to_vec() }
}

impl Bench {
    fn leave(&mut self, who: &Proved, now: u64, note: &Note) -> Result<bool, Fault> {
        self.run(|batch| notes::send(batch, Millis(now), who, note))
    }

    /// Returns the ids that wait for a key.
    fn waiting(&self, who: &Proved) -> Vec<NoteId> {
        notes::waiting(&self.db, who).unwrap().0.into_iter().map(|note| note.note).collect()
    }

    /// Compares the recorded bytes of boxes with the notes in them.
    fn check_boxes(&self) {
        let sql = "SELECT room, member, sum(length(sealed) + 128) FROM notes GROUP BY room, member";
        let rows = |sql: &str| -> Vec<(i64, Vec<u8>, i64)> {
            let mut rows = self.db.prepare(sql).unwrap();
            let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
            rows.unwrap().collect::<Result<_, _>>().unwrap()
        };
        assert_eq!(rows("SELECT room, member, bytes FROM boxes"), rows(sql));
    }
}

#[test]
fn notes_wait_until_they_are_dropped() {
    let mut bench = Bench::new(RoomNumbers::default());
    let (ben, founder) = (bench.admit(1), bench.founder.clone());
    let canary = b"a canary in a sealed note";
    for id in [3, 1, 2] {
        assert!(bench.leave(&ben, START + id, &note(id, FOUNDER, canary)).unwrap());
    }
    bench.leave(&founder, START, &note(1, *ben.member(), b"an answer")).unwrap();
    // In order of arrival, each to its addressee.
    let ids = |ids: &[u64]| ids.iter().map(|id| note(*id, FOUNDER, b"").id).collect::<Vec<_>>();
    assert_eq!(bench.waiting(&founder), ids(&[3, 1, 2]));
    assert_eq!(bench.waiting(&ben), ids(&[1]));
    let (read, more) = notes::waiting(&bench.db, &founder).unwrap();
    assert_eq!(
        (read[0].sealed.as_slice(), read[0].at, more),
        (&canary[..], Millis(START + 3), false)
    );
    // Nobody drops another's note, and an id that is gone already is passed over.
    bench.run(|batch| notes::drop(batch, &ben, &ids(&[2, 3]))).unwrap();
    bench.run(|batch| notes::drop(batch, &founder, &ids(&[3, 1, 2, 9]))).unwrap();
    assert_eq!((bench.waiting(&founder).len(), bench.waiting(&ben).len()), (0, 1));
    bench.check_boxes();
    assert_eq!(bench.count("boxes"), 1);
    truncate(&bench.db).unwrap();
    assert!(!bench.holds(canary));
}

#[test]
fn repeated_note_waits_once() {
    let mut bench = Bench::new(RoomNumbers::default());
    let ben = bench.admit(1);
    assert!(bench.leave(&ben, START, &note(1, FOUNDER, b"help")).unwrap());
    for _ in 0..40 {
        // It costs no pace, and the addressee gets another notice.
        assert!(!bench.leave(&ben, START, &note(1, FOUNDER, b"help")).unwrap());
    }
    let told = bench.run(|batch| {
        notes::send(batch, Millis(START), &ben, &note(1, FOUNDER, b"help"))?;
        Ok(batch.published.iter().filter_map(|told| told.note).collect::<Vec<_>>())
    });
    assert_eq!(told.unwrap(), [FOUNDER]);
    let other = bench.leave(&ben, START, &note(1, FOUNDER, b"another"));
    assert_eq!(refusal(other), RejectCode::IdConflict);
    assert_eq!(bench.count("notes"), 1);
}

#[test]
fn notes_expire_after_thirty_days() {
    let mut bench = Bench::new(RoomNumbers::default());
    let ben = bench.admit(1);
    bench.leave(&ben, START, &note(1, FOUNDER, b"first")).unwrap();
    bench.leave(&ben, START + 1, &note(2, FOUNDER, b"second")).unwrap();
    bench.forget(START + NOTE_KEPT_MILLIS);
    assert_eq!(bench.count("notes"), 2);
    bench.forget(START + NOTE_KEPT_MILLIS + 1);
    assert_eq!(bench.count("notes"), 1);
    bench.check_boxes();
}

#[test]
fn frame_of_notes_says_more() {
    let mut bench = Bench::new(RoomNumbers::default());
    let (ben, founder) = (bench.admit(1), bench.founder.clone());
    for id in 0..15 {
        bench.leave(&ben, START, &note(id, FOUNDER, &vec![7; SEALED_NOTE_BYTES_MAX])).unwrap();
    }
    let (mut read, mut rounds) = (0, 0);
    loop {
        let (notes, more) = notes::waiting(&bench.db, &founder).unwrap();
        let frame = ServerFrame::Notes { req: 7, notes: notes.clone(), more };
        assert!(codec::encode_server(&frame).len() < hearth_protocol::limits::FRAME_BYTES_MAX);
        (read, rounds) = (read + notes.len(), rounds + 1);
        let ids: Vec<_> = notes.iter().map(|note| note.note).collect();
        bench.run(|batch| notes::drop(batch, &founder, &ids)).unwrap();
        if !more {
            break;
        }
    }
    assert_eq!((read, rounds), (15, 2));
}

#[test]
fn full_box_is_told() {
    let mut bench = Bench::new(RoomNumbers::default());
    let (ben, cleo) = (bench.admit(1), bench.admit_in(1, 2, b"another welcome"));
    let founder = bench.founder.clone();
    let (member, role) = (*cleo.member(), Role::CoFacilitator);
    bench.submit(&founder, commit(50, 2, vec![Effect::SetRole { member, role }])).unwrap();
    let large = vec![7; SEALED_NOTE_BYTES_MAX];
    let fits = 4 * 1024 * 1024 / (SEALED_NOTE_BYTES_MAX as u64 + ROW_BYTES);
    for id in 0..fits {
        let now = START + id * 4 * 3_600_000;
        bench.leave(&ben, now, &note(id, FOUNDER, &large)).unwrap();
    }
    let late = START + fits * 4 * 3_600_000;
    let refused = bench.leave(&ben, late, &note(999, FOUNDER, &large));
    assert_eq!(refusal(refused), RejectCode::RoomFull);
    // Another moderator's box, and the room, have place.
    bench.leave(&ben, late, &note(999, member, &large)).unwrap();
    bench.submit(&founder, say(60, b"words").of_epoch(3)).unwrap();
    bench.check_boxes();
}

#[test]
fn flood_of_notes_is_paced() {
    let mut bench = Bench::new(RoomNumbers::default());
    let ben = bench.admit(1);
    for id in 0..16 {
        bench.leave(&ben, START, &note(id, FOUNDER, b"flood")).unwrap();
    }
    let refused = bench.leave(&ben, START, &note(16, FOUNDER, b"flood"));
    assert_eq!(refusal(refused), RejectCode::RateLimited);
    bench.leave(&ben, START + NOTE_MILLIS, &note(16, FOUNDER, b"flood")).unwrap();
}

#[test]
fn backup_holds_notes_and_lanes() {
    let mut bench = Bench::new(RoomNumbers::default());
    let ben = bench.admit(1);
    bench.leave(&ben, START, &note(1, FOUNDER, b"help")).unwrap();
    bench.db.execute("INSERT INTO rooms SELECT 9, room, 1, 0, agreement, numbers, 1, 0, 9, 0, 0, 1, 0 FROM rooms", []).unwrap();
    let copy = bench.dir.path().join("copy.db");
    crate::store::copy(bench.dir.path(), &copy).unwrap();
    let db = Connection::open(copy).unwrap();
    let count = |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(count("SELECT count(*) FROM notes"), 1);
    assert_eq!(count("SELECT bytes FROM boxes"), 132);
    assert_eq!(count("SELECT count(*) FROM rooms WHERE parent = 1"), 1);
}
