//! Lanes in the store: what is kept, by which key it is found, and when it is deleted.

use hearth_protocol::{
    Role,
    frame::{LaneRow, LaneSeat, Standing},
};
use hearth_rules::{admission::Opening as RoomOpening, lanes::Opening, quota::ROW_BYTES};

use super::*;
use crate::store::{
    LaneNumber, Publication,
    sqlite::{lanes, notes},
};

const LANE: RoomId = RoomId([0xee; 16]);
/// The opener's lane key, and that of the lane's owner.
const OPENER: MemberKey = MemberKey([0xa1; 32]);
const OWNER: MemberKey = MemberKey([0xa2; 32]);
const WELCOME: &[u8] = b"a Welcome for all seats";

fn in_lane(mut submission: Submission) -> Submission {
    submission.payload[5..21].copy_from_slice(&LANE.0);
    submission
}

fn opening() -> Opening {
    let seats = vec![LaneSeat { member: OWNER, role: Role::Member }];
    Opening { commit: in_lane(commit(0, 0, vec![])).payload, welcome: WELCOME.to_vec(), seats }
}

impl Bench {
    fn open_lane(&mut self, by: &Proved, now: u64) -> Result<Proved, Fault> {
        let opener = Proved::assumed(LANE, OPENER);
        let (claim, by) = (opener.clone(), by.clone());
        let opened = self.run(|batch| lanes::open(batch, Millis(now), &by, &claim, opening()));
        opened.map(|(lane, _)| opener.at(lane))
    }

    /// Opens a lane of the founder's room; returns the proofs of opener and owner.
    fn lane(&mut self) -> (Proved, Proved) {
        let founder = self.founder.clone();
        let opener = self.open_lane(&founder, START).unwrap();
        let lane = opener.place().lane.unwrap();
        (opener, Proved::assumed(LANE, OWNER).at(lane))
    }

    fn close(&mut self, now: u64, lane: RoomId, forget: bool) -> Result<Vec<Publication>, Fault> {
        let founder = self.founder.clone();
        self.run(|batch| {
            lanes::close(batch, Millis(now), &founder, &lane, forget)?;
            Ok(std::mem::take(&mut batch.published))
        })
    }

    fn find(&self, member: MemberKey, held: &[RoomId]) -> Result<LaneNumber, Fault> {
        lanes::find(&self.db, &LANE, &member, held)
    }

    fn say_there(
        &mut self,
        who: &Proved,
        now: u64,
        id: u64,
        body: &[u8],
    ) -> Result<Accepted, Fault> {
        let submission = in_lane(say(id, body).of_epoch(1));
        self.run(|batch| submit(batch, Millis(now), who, submission))
    }

    /// Opens another room with the same store, whose founder has the same key.
    fn other_room(&mut self, room: RoomId) -> Proved {
        let grant = Secret32::new([room.0[0]; 32]);
        let terms = Terms { rooms_left: 1, members_max: 9, expires: Millis::NEVER };
        grants::add(&self.db, &grant, &terms).unwrap();
        let (numbers, agreement) = (RoomNumbers::default(), Commitment([4; 32]));
        let founder = Proved::assumed(room, FOUNDER);
        let (proof, opening) = (founder.clone(), RoomOpening { grant, numbers, agreement });
        self.run(|batch| admission::open_room(batch, Millis(START), &proof, &opening)).unwrap();
        founder
    }

    /// Returns every value of the store's tables, by table and column.
    fn dump(&self) -> Vec<(String, String, rusqlite::types::Value)> {
        let mut tables =
            self.db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").unwrap();
        let names: Vec<String> =
            tables.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
        let mut values = vec![];
        for table in names {
            let mut rows = self.db.prepare(&format!("SELECT * FROM {table}")).unwrap();
            let columns: Vec<String> = rows.column_names().map(ToString::to_string).collect();
            let mut rows = rows.query([]).unwrap();
            while let Some(row) = rows.next().unwrap() {
                for (index, column) in columns.iter().enumerate() {
                    values.push((table.clone(), column.clone(), row.get(index).unwrap()));
                }
            }
        }
        values
    }
}

#[test]
fn lane_opens_with_all_its_seats() {
    let mut bench = Bench::new(RoomNumbers::default());
    let (opener, owner) = bench.lane();
    let welcome = BlobId(hash::sha256(WELCOME).0);
    let standing = |who: &Proved| admission::standing(&bench.db, who.place(), who.member());
    let sits = |role, joined, welcome| Standing::Member { role, joined: Seq(joined), welcome };
    let wanted = sits(Role::Member, 1, Some(welcome));
    assert_eq!(standing(&owner).unwrap().standing, wanted);
    assert_eq!(standing(&opener).unwrap().standing, sits(Role::Facilitator, 0, None));
    let part = blobs::part(&bench.db, &owner, &welcome, 0).unwrap();
    assert_eq!(part.bytes, WELCOME);
    assert!(blobs::part(&bench.db, &opener, &welcome, 0).is_err());
    let position = read::position(&bench.db, &owner).unwrap();
    assert_eq!((position.head, position.epoch), (Seq(1), Epoch(1)));
    // Every seat reads the roster, and the retention of the room.
    let status = read::status(&bench.db, &owner, StreamId([0; 16])).unwrap();
    assert_eq!((status.roster.len(), status.numbers), (2, RoomNumbers::default()));
    // A subscriber no longer needs the Welcome.
    bench.run(|batch| blobs::fetched(batch, &owner, Seq(1))).unwrap();
    assert_eq!(bench.count("blobs"), 0);
}

#[test]
fn opening_can_be_repeated() {
    let mut bench = Bench::new(RoomNumbers::default());
    let (opener, _) = bench.lane();
    let founder = bench.founder.clone();
    let rows =
        |bench: &Bench| (bench.count("rooms"), bench.count("entries"), bench.count("members"));
    let before = rows(&bench);
    let again = bench.open_lane(&founder, START + 1).unwrap();
    assert_eq!((again.place(), rows(&bench)), (opener.place(), before));
    let other = Opening { commit: in_lane(commit(9, 0, vec![])).payload, ..opening() };
    let mut other_commit = other.clone();
    other_commit.commit.push(7);
    for (key, opening) in [(OPENER, other_commit), (MemberKey([0xa3; 32]), other)] {
        let opener = Proved::assumed(LANE, key);
        let refused =
            bench.run(|batch| lanes::open(batch, Millis(START), &founder, &opener, opening));
        assert_eq!(refusal(refused), RejectCode::RoomExists);
    }
}

#[test]
fn foreign_room_takes_no_lane_id() {
    let mut bench = Bench::new(RoomNumbers::default());
    // A stranger is first, with the keys of the others.
    let stranger = bench.other_room(RoomId([7; 16]));
    let foreign = bench.open_lane(&stranger, START).unwrap();
    let (opener, owner) = bench.lane();
    assert_ne!(foreign.place(), opener.place());
    // A room with that id is another one, too.
    let room = bench.other_room(LANE);
    let number = |proof: &Proved| proof.place().lane.unwrap();
    assert_eq!(bench.find(OWNER, &[ROOM]).unwrap(), number(&owner));
    assert_eq!(bench.find(OWNER, &[RoomId([7; 16])]).unwrap(), number(&foreign));
    assert_eq!(refusal(bench.find(FOUNDER, &[ROOM])), RejectCode::NotMember);
    bench.say_there(&owner, START, 5, b"here").unwrap();
    let heads = [&foreign, &owner, &room].map(|who| read::position(&bench.db, who).unwrap().head);
    assert_eq!(heads, [Seq(1), Seq(2), Seq(0)]);
    let listed = |who: &Proved| lanes::list(&bench.db, who).unwrap();
    assert_eq!(listed(&bench.founder), [LaneRow { lane: LANE, open: true }]);
    assert_eq!(listed(&room), []);
    // A lane of one room is no lane of another.
    let founder = Proved::assumed(LANE, FOUNDER);
    let closed = bench.run(|batch| lanes::close(batch, Millis(START), &founder, &LANE, true));
    assert_eq!(refusal(closed), RejectCode::NotFound);
}

#[test]
fn lanes_leave_the_room_unchanged() {
    let mut bench = Bench::new(RoomNumbers::default());
    bench.say(START, 1, b"in the room");
    let of_room = |bench: &Bench| {
        let parent = |table: &str, sql: &str| {
            let mut rows = bench.db.prepare(&format!("SELECT * FROM {table} WHERE {sql}")).unwrap();
            let columns = rows.column_count();
            rows.query_map([], |row| {
                (0..columns).map(|index| row.get(index)).collect::<Result<Vec<_>, _>>()
            })
            .unwrap()
            .collect::<Result<Vec<Vec<rusqlite::types::Value>>, _>>()
            .unwrap()
        };
        [
            parent("rooms", "key = 1"),
            parent("members", "room = 1"),
            parent("entries", "key >> 40 = 1"),
            parent("acts", "room = 1"),
        ]
    };
    let before = of_room(&bench);
    let (opener, owner) = bench.lane();
    bench.say_there(&owner, START, 5, b"words").unwrap();
    let removal = in_lane(commit(6, 1, vec![Effect::Remove { member: OPENER }]));
    assert!(bench.submit(&owner, removal).is_ok());
    assert!(bench.say_there(&opener, START, 7, b"words").is_err());
    bench.close(START, LANE, false).unwrap();
    assert_eq!(of_room(&bench), before);
    bench.close(START, LANE, true).unwrap();
    bench.forget(START);
    assert_eq!(of_room(&bench), before);
    assert_eq!(bench.count("rooms"), 1);
}

/// T40: no word, and no column that says whose a lane or a note is.
#[test]
fn dump_says_not_whose_lane() {
    let mut bench = Bench::new(RoomNumbers::default());
    let (ben, founder) = (bench.admit(1), bench.founder.clone());
    let (_, owner) = bench.lane();
    bench.say_there(&owner, START, 5, b"sealed words").unwrap();
    let note = crate::store::Note {
        id: hearth_protocol::NoteId([8; 16]),
        to: FOUNDER,
        sealed: vec![9; 40],
    };
    bench.run(|batch| notes::send(batch, Millis(START), &ben, &note)).unwrap();
    let lane = bench.db.query_row("SELECT key FROM rooms WHERE parent > 0", [], |row| row.get(0));
    let lane: i64 = lane.unwrap();
    let of_lane = |table: &str| {
        let column = if table == "entries" { "key >> 40" } else { "room" };
        let sql = format!("SELECT count(*) FROM {table} WHERE {column} = ?1");
        bench.db.query_row(&sql, [lane], |row| row.get::<_, i64>(0)).unwrap()
    };
    assert_eq!(["members", "entries", "notes", "boxes"].map(of_lane), [2, 2, 0, 0]);
    let key_of_room =
        |value: &[u8]| [founder.member(), ben.member()].iter().any(|key| value == key.0);
    let mut held = vec![];
    for (table, column, value) in bench.dump() {
        for word in ["owner", "sender", "author", "from"] {
            assert!(!column.contains(word), "{table}.{column}");
        }
        if let rusqlite::types::Value::Blob(bytes) = value
            && key_of_room(&bytes)
        {
            held.push(format!("{table}.{column}"));
        }
    }
    held.sort();
    // Room keys stand in the roster and as addressees; the sender of the note, and those of the lane's entries, nowhere.
    assert_eq!(held, ["boxes.member", "members.member", "members.member", "notes.member"]);
    let names: i64 = bench
        .db
        .query_row(
            "SELECT count(*) FROM entries WHERE name IN (?1, ?2)",
            [&OWNER.0[..16], &ben.member().0[..16]],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(names, 0);
}

#[test]
fn full_lane_refuses_no_post() {
    let mut bench = Bench::new(RoomNumbers::default());
    let (opener, owner) = bench.lane();
    let large = vec![7; 150_000];
    let refused = (0..200).find_map(|id| {
        bench
            .say_there(&owner, START + id * 60_000, 100 + id, &large)
            .err()
            .map(|fault| (id, fault))
    });
    let Some((count, Fault::Refused(refused))) = refused else { panic!("{refused:?}") };
    assert_eq!((refused.code, count), (RejectCode::QuotaSpent, 100));
    let refused = bench.say_there(&opener, START, 900, &large);
    assert_eq!(refusal(refused), RejectCode::QuotaSpent, "the bench has the same share");
    // A commit still fits, and so does a post in the room.
    bench.submit(&opener, in_lane(commit(901, 1, vec![]))).unwrap();
    let room: i64 =
        bench.db.query_row("SELECT bytes FROM rooms WHERE key = 1", [], |row| row.get(0)).unwrap();
    assert_eq!(room, 0);
    bench.say(START, 902, &large);
    // The count is that of the rows.
    let sum = "SELECT sum(128 + length(payload)) FROM entries WHERE key >> 40 = 2";
    let held: i64 = bench.db.query_row(sum, [], |row| row.get(0)).unwrap();
    let kept: i64 =
        bench.db.query_row("SELECT bytes FROM rooms WHERE key = 2", [], |row| row.get(0)).unwrap();
    assert_eq!(kept, held + WELCOME.len() as i64 + ROW_BYTES as i64);
}

#[test]
fn lane_keeps_as_long_as_room() {
    let week = RoomNumbers { retention_seconds: 7 * DAY / 1000, ..RoomNumbers::default() };
    let mut bench = Bench::new(week.clone());
    let (_, owner) = bench.lane();
    bench.say_there(&owner, START, 5, b"words of a lane").unwrap();
    bench.forget(START + 7 * DAY);
    assert_eq!(bench.count("entries"), 2);
    bench.forget(START + 7 * DAY + 1);
    // The commit stays for a year.
    assert_eq!(bench.count("entries"), 1);
    bench.say_there(&owner, START + 8 * DAY, 6, b"more").unwrap();
    // The room now keeps for a day.
    let founder = bench.founder.clone();
    let numbers = RoomNumbers { retention_seconds: DAY / 1000, ..week };
    bench.submit(&founder, commit(7, 0, vec![Effect::SetNumbers { numbers }])).unwrap();
    bench.forget(START + 9 * DAY);
    assert_eq!(read::position(&bench.db, &owner).unwrap().floor, Seq(2));
    bench.forget(START + 9 * DAY + 1);
    assert_eq!(read::position(&bench.db, &owner).unwrap().floor, Seq(3));
}

#[test]
fn closed_lane_is_read_then_deleted() {
    let week = RoomNumbers { retention_seconds: 7 * DAY / 1000, ..RoomNumbers::default() };
    let mut bench = Bench::new(week);
    let (opener, owner) = bench.lane();
    let canary = b"a canary of the closed lane";
    let said = bench.say_there(&owner, START, 5, canary).unwrap();
    assert!(bench.close(START + 1, LANE, false).unwrap().is_empty());
    // A second time changes nothing.
    bench.close(START + DAY, LANE, false).unwrap();
    assert_eq!(refusal(bench.say_there(&owner, START, 6, b"more")), RejectCode::LaneClosed);
    assert_eq!(bench.say_there(&owner, START, 5, canary).unwrap().seq, said.seq, "a retry");
    assert_eq!(
        lanes::list(&bench.db, &bench.founder).unwrap(),
        [LaneRow { lane: LANE, open: false }]
    );
    let batch = read::entries(&bench.db, opener.place(), Seq(0), Seq(2)).unwrap();
    assert_eq!(batch.last(), Some(Seq(2)));
    assert_eq!(bench.find(OWNER, &[]).unwrap(), owner.place().lane.unwrap());
    bench.forget(START + 1 + 7 * DAY);
    assert_eq!(bench.count("rooms"), 2);
    bench.forget(START + 2 + 7 * DAY);
    assert_eq!(["rooms", "entries", "members", "blobs"].map(|t| bench.count(t)), [1, 0, 1, 0]);
    assert_eq!(refusal(bench.find(OWNER, &[])), RejectCode::NotMember);
    truncate(&bench.db).unwrap();
    assert!(!bench.holds(canary));
}

#[test]
fn forgotten_lane_is_opened_again() {
    let mut bench = Bench::new(RoomNumbers::default());
    let (opener, owner) = bench.lane();
    for id in 0..1_200 {
        let submission = in_lane(say(10 + id, b"junk").of_epoch(1));
        let submission = Submission { after: Seq(1 + id), ..submission };
        bench.submit(&owner, submission).unwrap();
    }
    let told = bench.close(START, LANE, true).unwrap();
    let places: Vec<_> = told.iter().map(|told| (told.place, told.roster)).collect();
    assert_eq!(places, [(*owner.place(), true)]);
    // No key finds it, though its rows are still there.
    assert!(admission::standing(&bench.db, owner.place(), &OWNER).is_err());
    assert!(read::position(&bench.db, &owner).is_err());
    assert!(bench.find(OWNER, &[ROOM]).is_err());
    assert_eq!(lanes::list(&bench.db, &bench.founder).unwrap(), []);
    assert!(bench.count("entries") > 1_000);
    let founder = bench.founder.clone();
    let again = bench.open_lane(&founder, START + 1).unwrap();
    assert_ne!(again.place(), opener.place());
    let (steps, deleted) = bench.forget(START + 2);
    assert!(steps > 2 && deleted > 1_200, "{steps} {deleted}");
    assert_eq!((bench.count("entries"), bench.count("rooms")), (1, 2));
    assert_eq!(refusal(bench.close(START, RoomId([9; 16]), true)), RejectCode::NotFound);
}

/// A member who lapsed comes back: the lane is opened beside the closed one.
#[test]
fn closed_lane_bars_no_opening() {
    let mut bench = Bench::new(RoomNumbers::default());
    let (_, before) = bench.lane();
    bench.close(START, LANE, false).unwrap();
    let founder = bench.founder.clone();
    let opener = Proved::assumed(LANE, MemberKey([0xb1; 32]));
    let seats = vec![LaneSeat { member: MemberKey([0xb2; 32]), role: Role::Member }];
    let opening = Opening { seats, ..opening() };
    let (lane, new) =
        bench.run(|batch| lanes::open(batch, Millis(START), &founder, &opener, opening)).unwrap();
    assert!(new);
    assert_eq!(bench.find(MemberKey([0xb2; 32]), &[]).unwrap(), lane);
    assert_eq!(bench.find(OWNER, &[]).unwrap(), before.place().lane.unwrap());
    assert_eq!(lanes::list(&bench.db, &founder).unwrap(), [LaneRow { lane: LANE, open: true }]);
    // Both go together.
    assert_eq!(bench.close(START, LANE, true).unwrap().len(), 2);
}

#[test]
fn closed_lanes_are_bounded() {
    let mut bench = Bench::new(RoomNumbers::default());
    let founder = bench.founder.clone();
    let most = 9 + 2;
    for number in 0..most + 5 {
        let (lane, now) = (RoomId([100 + number; 16]), START + u64::from(number) * 60_000);
        let mut opening = opening();
        opening.commit[5..21].copy_from_slice(&lane.0);
        let opener = Proved::assumed(lane, OPENER);
        bench.run(|batch| lanes::open(batch, Millis(now), &founder, &opener, opening)).unwrap();
        bench.close(now, lane, false).unwrap();
    }
    let kept = lanes::list(&bench.db, &founder).unwrap();
    let wanted = (5..most + 5).map(|n| LaneRow { lane: RoomId([100 + n; 16]), open: false });
    assert_eq!(kept, wanted.collect::<Vec<_>>());
    bench.forget(START + DAY);
    assert_eq!(bench.count("rooms"), 1 + i64::from(most));
}

#[test]
fn ended_room_goes_with_its_lanes() {
    let ends = START + DAY;
    let numbers = RoomNumbers { ends_at: Some(Millis(ends)), ..RoomNumbers::default() };
    let mut bench = Bench::new(numbers);
    let other = bench.other_room(RoomId([0x77; 16]));
    let (opener, owner) = bench.lane();
    bench.say_there(&owner, START, 5, b"words of a lane").unwrap();
    // Nobody writes in the room after the end; the lane goes on until the room is deleted.
    let founder = bench.founder.clone();
    bench.run(|batch| submit(batch, Millis(ends - 1), &founder, say(8, b"goodbye"))).unwrap();
    let late = bench.run(|batch| submit(batch, Millis(ends), &founder, say(9, b"late")));
    assert_eq!(refusal(late), RejectCode::Ended);
    bench.say_there(&owner, ends, 6, b"still here").unwrap();
    let over = ends + hearth_protocol::limits::ENDED_KEPT_MILLIS;
    bench.forget(over - 1);
    assert!(read::position(&bench.db, &founder).is_ok());
    bench.forget(over);
    for who in [&founder, &opener, &owner] {
        assert_eq!(refusal(read::position(&bench.db, who)), RejectCode::NotMember);
    }
    // The other room stays.
    assert!(read::position(&bench.db, &other).is_ok());
    let left = ["rooms", "entries", "members", "blobs", "invites", "knocks", "notes"];
    assert_eq!(left.map(|table| bench.count(table)), [1, 0, 1, 0, 0, 0, 0]);
}
