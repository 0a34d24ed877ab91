//! Verbs of the store in a time of the tests' own, and the store's failures.

use hearth_protocol::{
    BlobId, Commitment, Effect, Entry, EntryContent, Epoch, MemberKey, MessageId, RoomNumbers,
    Secret32, ServerFrame, codec, hash,
    limits::{INVITES_MAX, KNOCK_BYTES_MAX, KNOCKS_MAX},
    mls_header,
};

use super::{
    submit::{Accepted, Submission},
    *,
};
use crate::{auth::Proved, batch::BATCH_BYTES_MAX};

const ROOM: RoomId = RoomId([1; 16]);
const FOUNDER: MemberKey = MemberKey([2; 32]);
const DAY: u64 = 24 * 3_600_000;
const START: u64 = 1_000 * DAY;

struct Bench {
    dir: tempfile::TempDir,
    db: Connection,
    secrets: life::Secrets,
    pace: rules::CommitPace,
    founder: Proved,
}

impl Bench {
    fn new(numbers: RoomNumbers) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let db = schema::open_writer(&database_path(dir.path())).unwrap();
        let secrets = life::secrets(&db).unwrap();
        let pace = rules::CommitPace::default();
        let founder = Proved::assumed(ROOM, FOUNDER);
        let mut bench = Self { dir, db, secrets, pace, founder };
        let grant = Secret32::new([3; 32]);
        let terms = grants::Terms { rooms_left: 1, members_max: 9, expires: Millis::NEVER };
        grants::add(&bench.db, &grant, &terms).unwrap();
        let agreement = Commitment([4; 32]);
        let opening = door::Opening { grant, numbers, agreement };
        let founder = bench.founder.clone();
        bench.run(|batch| door::open_room(batch, Millis(START), &founder, &opening)).unwrap();
        // The spent grant is the first thing to be forgotten.
        assert_eq!(bench.forget(START), (1, 1));
        bench
    }

    fn run<T>(
        &mut self,
        verb: impl FnOnce(&mut Batch<'_>) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        self.db.execute("BEGIN IMMEDIATE", []).unwrap();
        let mut batch = Batch::new(&self.db, &self.secrets, &mut self.pace);
        let result = verb(&mut batch);
        batch.settle().unwrap();
        self.db.execute("COMMIT", []).unwrap();
        result
    }

    fn say(&mut self, now: u64, id: u64, body: &[u8]) -> Accepted {
        let founder = self.founder.clone();
        let submission = say(id, body);
        self.run(|batch| submit::submit(batch, Millis(now), &founder, submission)).unwrap()
    }

    /// Has the founder make an invite; returns its token.
    fn invite(&mut self, uses: u32, expires: Millis) -> Secret32 {
        let token = Secret32::new([7; 32]);
        self.add_invite(1, &token, uses, expires).unwrap();
        token
    }

    fn add_invite(
        &mut self,
        id: u64,
        token: &Secret32,
        uses: u32,
        expires: Millis,
    ) -> Result<Accepted, Fault> {
        let founder = self.founder.clone();
        let invite = hearth_protocol::invite::invite_id(token);
        let effects = vec![Effect::AddInvite { invite, uses, expires, preview: vec![1] }];
        let submission = Submission { effects, payload: vec![], ..say(id, b"") };
        self.run(|batch| submit::submit(batch, Millis(START), &founder, submission))
    }

    /// Has the founder invite somebody, who knocks, and admit them.
    fn admit(&mut self, number: u32) -> Proved {
        let founder = self.founder.clone();
        let token = self.invite(9, Millis::NEVER);
        let welcome = BlobId(hash::sha256(b"welcome").0);
        let (proof, knock, acknowledgement) = knocker(number, &token);
        let (member, role) = (*proof.member(), hearth_protocol::Role::Member);
        let admit = Effect::Admit { member, role, welcome, acknowledgement };
        let mut admits = Submission { effects: vec![admit], ..say(2, b"a commit") };
        admits.payload[mls_header::CONTENT_TYPE_AT] = mls_header::COMMIT;
        let now = Millis(START);
        self.run(|batch| {
            door::knock(batch, now, &proof, &knock)?;
            blobs::put(batch, now, &founder, &welcome, b"welcome")?;
            submit::submit(batch, now, &founder, admits)
        })
        .unwrap();
        proof
    }

    /// Runs retention to the end of a round; returns how many steps it took and rows it deleted.
    fn forget(&mut self, now: u64) -> (u32, u64) {
        let (mut after, mut steps, mut deleted) = (0, 0, 0);
        loop {
            let step = self.run(|batch| retention::step(batch, Millis(now), after)).unwrap();
            steps += 1;
            deleted += step.deleted;
            match step.next {
                Some(next) => after = next,
                None => return (steps, deleted),
            }
        }
    }

    fn count(&self, table: &str) -> i64 {
        let sql = format!("SELECT count(*) FROM {table}");
        self.db.query_row(&sql, [], |row| row.get(0)).unwrap()
    }

    /// Whether some bytes are anywhere in the data directory.
    fn holds(&self, bytes: &[u8]) -> bool {
        holds(self.dir.path(), bytes)
    }
}

fn say(id: u64, body: &[u8]) -> Submission {
    let mut payload = vec![0, 1, 0, 2, 16];
    payload.extend(ROOM.0);
    payload.extend(0_u64.to_be_bytes());
    payload.push(1);
    payload.extend(body);
    let mut whole = [0; 16];
    whole[..8].copy_from_slice(&id.to_be_bytes());
    Submission { id: MessageId(whole), payload, expect: None, effects: vec![] }
}

fn refusal<T: std::fmt::Debug>(result: Result<T, Fault>) -> RejectCode {
    match result {
        Err(Fault::Refused(refusal)) => refusal.code,
        other => panic!("{other:?}"),
    }
}

#[test]
fn retention_deletes_entries_their_ids_and_their_bytes() {
    let numbers = RoomNumbers { retention_seconds: 7 * DAY / 1000, ..RoomNumbers::default() };
    let mut bench = Bench::new(numbers);
    let canary = b"the canary that must be gone from every file";
    for id in 0..1_200 {
        bench.say(START, id, canary);
    }
    bench.say(START + 3 * DAY, 1_200, b"younger");
    assert!(bench.holds(canary));
    assert_eq!(bench.forget(START + 7 * DAY).1, 0);
    // Several transactions, each of which leaves a whole store.
    let (steps, deleted) = bench.forget(START + 7 * DAY + 1);
    assert!(steps >= 3, "{steps}");
    assert!(deleted >= 1_200, "{deleted}");
    assert_eq!((bench.count("entries"), bench.count("dedup")), (1, 1));
    truncate(&bench.db).unwrap();
    assert!(!bench.holds(canary));
    let position = read::position(&bench.db, &bench.founder).unwrap();
    assert_eq!((position.floor, position.head), (Seq(1_200), Seq(1_201)));
    let batch = read::entries(&bench.db, &ROOM, Seq(0), Seq(1_201)).unwrap();
    assert_eq!(batch.last(), Some(Seq(1_201)));
    // The seq goes on where it was when everything is gone.
    bench.forget(START + 30 * DAY);
    assert_eq!(bench.count("entries"), 0);
    assert_eq!(bench.say(START + 30 * DAY, 5, b"next").seq, Seq(1_202));
}

#[test]
fn an_entry_is_kept_to_the_last_moment_of_its_time() {
    let numbers = RoomNumbers { retention_seconds: 7 * DAY / 1000, ..RoomNumbers::default() };
    let mut bench = Bench::new(numbers);
    for id in 0..3 {
        bench.say(START + id, id, b"a moment after the other");
    }
    bench.forget(START + 1 + 7 * DAY);
    assert_eq!(read::position(&bench.db, &bench.founder).unwrap().floor, Seq(1));
    assert_eq!(bench.count("entries"), 2);
}

/// What is counted is cut from the log.
#[test]
fn whatever_a_room_forgets_is_counted() {
    let numbers = RoomNumbers { retention_seconds: 7 * DAY / 1000, ..RoomNumbers::default() };
    let mut bench = Bench::new(numbers);
    let ben = bench.admit(1);
    let mut removal = say(3, b"a commit");
    removal.payload[21..29].copy_from_slice(&1_u64.to_be_bytes());
    removal.payload[mls_header::CONTENT_TYPE_AT] = mls_header::COMMIT;
    removal.effects = vec![Effect::Remove { member: *ben.member() }];
    let founder = bench.founder.clone();
    bench.run(|batch| submit::submit(batch, Millis(START), &founder, removal)).unwrap();
    // What answers the same submission again: of an invite, an admission and a removal.
    assert_eq!(bench.count("dedup"), 3);
    assert_eq!(bench.forget(START + 7 * DAY + 1).1, 3);
    assert_eq!(bench.count("dedup"), 0);
    // Two commits, and who was removed.
    assert_eq!((bench.count("entries"), bench.count("members")), (2, 2));
    bench.forget(START + 366 * DAY);
    assert_eq!((bench.count("entries"), bench.count("members")), (2, 2));
    assert_eq!(bench.forget(START + 366 * DAY + 1).1, 3);
    assert_eq!((bench.count("entries"), bench.count("members")), (0, 1));
}

/// One transaction is enough for few entries, however much goes with them.
#[test]
fn few_entries_are_forgotten_in_one_step() {
    let numbers = RoomNumbers { retention_seconds: 7 * DAY / 1000, ..RoomNumbers::default() };
    let mut bench = Bench::new(numbers);
    for id in 0..300 {
        bench.say(START, id, b"words");
    }
    let (steps, _) = bench.forget(START + 7 * DAY + 1);
    assert_eq!((steps, bench.count("entries"), bench.count("dedup")), (1, 0, 0));
}

/// G7: whatever the room does meanwhile, and through another opening of the store, an id has its effect once.
/// `HEARTH_RETRIES=1000000` makes a campaign of it.
#[test]
fn a_hundred_thousand_retries_have_no_effect() {
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
            let each = (0..MESSAGES)
                .map(|id| submit::submit(batch, now, &founder, say(id, &id.to_be_bytes())));
            each.collect::<Result<Vec<_>, _>>()
        });
        assert_eq!(again.unwrap(), first);
        retries += MESSAGES;
        round += 1;
        // Another content under an id that is taken changes nothing either.
        let other =
            bench.run(|batch| submit::submit(batch, now, &founder, say(round % MESSAGES, b"!")));
        assert_eq!(refusal(other), RejectCode::IdConflict);
        match round {
            // Nothing of these epochs would be taken any more.
            20 => {
                let mut commit = say(MESSAGES, b"a commit");
                commit.payload[29] = 3;
                bench.run(|batch| submit::submit(batch, now, &founder, commit)).unwrap();
            }
            40 => {
                let path = database_path(bench.dir.path());
                bench.db = schema::open_writer(&path).unwrap();
            }
            _ => {}
        }
    }
    assert_eq!(bench.count("entries"), i64::try_from(MESSAGES).unwrap() + 1);
    assert_eq!(bench.count("dedup"), bench.count("entries"));
}

/// Without a commit nobody could follow the room who was away: it outlives the words around it.
#[test]
fn a_commit_is_kept_for_a_year_and_what_is_gone_around_it_is_said() {
    let numbers = RoomNumbers { retention_seconds: 7 * DAY / 1000, ..RoomNumbers::default() };
    let mut bench = Bench::new(numbers);
    let mut epoch = 0;
    for id in 0..9 {
        let mut submission = say(id, b"words or a commit");
        submission.payload[5 + 16..5 + 16 + 8].copy_from_slice(&u64::to_be_bytes(epoch));
        if id % 3 == 1 {
            submission.payload[mls_header::CONTENT_TYPE_AT] = mls_header::COMMIT;
            epoch += 1;
        }
        let founder = bench.founder.clone();
        bench.run(|batch| submit::submit(batch, Millis(START), &founder, submission)).unwrap();
    }
    bench.forget(START + 8 * DAY);
    let log = |bench: &Bench, after| {
        let batch = read::entries(&bench.db, &ROOM, Seq(after), Seq(9)).unwrap();
        assert_eq!(batch.last(), Some(Seq(9)));
        let frame = codec::decode_server(&batch.into_frame(&ROOM, Seq(9))).unwrap();
        let ServerFrame::Entries { entries, .. } = frame else { panic!("{frame:?}") };
        let gone = |entry: Entry| (entry.seq.0, entry.content == EntryContent::Expired);
        entries.into_iter().map(gone).collect::<Vec<_>>()
    };
    let kept = [(1, true), (2, false), (4, true), (5, false), (7, true), (8, false), (9, true)];
    assert_eq!(log(&bench, 0), kept);
    assert_eq!(log(&bench, 2), kept[2..]);
    assert_eq!(log(&bench, 5), kept[4..]);
    assert_eq!(log(&bench, 8), kept[6..]);
    assert_eq!((bench.count("entries"), bench.count("dedup")), (3, 0));
    bench.forget(START + 366 * DAY);
    assert_eq!(bench.count("entries"), 3);
    assert_eq!(bench.forget(START + 366 * DAY + 1).1, 3);
    assert_eq!(bench.count("entries"), 0);
    assert_eq!(log(&bench, 3), [(9, true)]);
}

#[test]
fn a_clock_that_jumps_deletes_nothing_early_and_does_not_panic() {
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
        let result = bench.run(|b| submit::submit(b, Millis(now), &founder, submission));
        assert_eq!(refusal(result), RejectCode::EpochConflict);
    }
}

#[test]
fn blobs_that_nobody_waits_for_make_place_for_new_ones() {
    let mut bench = Bench::new(RoomNumbers::default());
    let founder = bench.founder.clone();
    for number in 0..40_u8 {
        let bytes = vec![number; 100];
        let id = BlobId(hash::sha256(&bytes).0);
        let now = Millis(START + u64::from(number));
        bench.run(|batch| blobs::put(batch, now, &founder, &id, &bytes)).unwrap();
    }
    assert_eq!(bench.count("blobs"), 16);
    let newest = BlobId(hash::sha256(&[39; 100]).0);
    assert!(blobs::exists(&bench.db, 1, &newest).unwrap());
    bench.forget(START + 2 * DAY);
    assert_eq!(bench.count("blobs"), 0);
}

/// Invites, knocks, uploads and Welcomes: each is there to the last millisecond of its time, and then gone.
#[test]
fn what_waits_is_kept_for_its_time_and_no_longer() {
    let numbers = RoomNumbers { retention_seconds: 7 * DAY / 1000, ..RoomNumbers::default() };
    let mut bench = Bench::new(numbers);
    let founder = bench.founder.clone();
    let token = bench.invite(9, Millis(START + DAY));
    for number in 0..2 {
        let (proof, knock, _) = knocker(number, &token);
        bench.run(|batch| door::knock(batch, Millis(START), &proof, &knock)).unwrap();
    }
    let (upload, welcome) = (hash::sha256(b"upload"), hash::sha256(b"welcome"));
    for (id, bytes) in [(upload, &b"upload"[..]), (welcome, b"welcome")] {
        let id = BlobId(id.0);
        bench.run(|batch| blobs::put(batch, Millis(START), &founder, &id, bytes)).unwrap();
    }
    let (proof, _, acknowledgement) = knocker(0, &token);
    let (member, role) = (*proof.member(), hearth_protocol::Role::Member);
    let admit = Effect::Admit { member, role, welcome: BlobId(welcome.0), acknowledgement };
    let mut commit = Submission { effects: vec![admit], ..say(2, b"a commit") };
    commit.payload[mls_header::CONTENT_TYPE_AT] = mls_header::COMMIT;
    bench.run(|batch| submit::submit(batch, Millis(START), &founder, commit)).unwrap();
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
fn a_round_that_deletes_nothing_leaves_the_log_alone() {
    let mut bench = Bench::new(RoomNumbers::default());
    bench.say(START, 1, b"word");
    let forgets = |bench: &mut Bench, now| {
        bench.run(|batch| retention::step(batch, Millis(now), 0).map(|_| batch.forgot)).unwrap()
    };
    assert!(!forgets(&mut bench, START + 1));
    assert!(forgets(&mut bench, START + 400 * DAY));
}

/// New keys are no post: no rule keeps a member from making them.
#[test]
fn a_member_renews_keys_whatever_holds_posts_back() {
    let numbers =
        RoomNumbers { door: hearth_protocol::frame::Door::Closed, ..RoomNumbers::default() };
    let mut bench = Bench::new(numbers);
    let member = bench.admit(0);
    let post = say(10, b"word");
    let refused = bench.run(|batch| submit::submit(batch, Millis(START), &member, post));
    assert_eq!(refusal(refused), RejectCode::Closed);
    let mut commit = say(11, b"new keys");
    commit.payload[mls_header::CONTENT_TYPE_AT] = mls_header::COMMIT;
    commit.payload[21..29].copy_from_slice(&1_u64.to_be_bytes());
    let accepted =
        bench.run(|batch| submit::submit(batch, Millis(START), &member, commit)).unwrap();
    assert_eq!(accepted.seq, Seq(2));
}

/// A facilitator gets all knocks that wait, in parts that fit a frame.
#[test]
fn knocks_come_in_parts_that_fit_a_frame() {
    let mut bench = Bench::new(RoomNumbers::default());
    let founder = bench.founder.clone();
    let token = bench.invite(1_000, Millis::NEVER);
    let mut waiting = vec![];
    for number in 0..KNOCKS_MAX {
        let (proof, knock, _) = knocker(number as u32, &token);
        let knock = door::Knock { body: vec![1; KNOCK_BYTES_MAX], ..knock };
        bench.run(|batch| door::knock(batch, Millis(START), &proof, &knock)).unwrap();
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
    // Not one by one, either.
    let few = 2 * (KNOCKS_MAX * KNOCK_BYTES_MAX / BATCH_BYTES_MAX + 1);
    assert!((2..=few).contains(&parts), "{parts}");
    assert_eq!(got, waiting);
}

/// What somebody posted is counted for a day, by quarters of an hour, and then forgotten.
#[test]
fn how_much_somebody_posted_is_forgotten_after_a_day() {
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
fn a_room_holds_so_many_knocks_and_forgets_them_in_the_end() {
    let mut bench = Bench::new(RoomNumbers::default());
    let token = bench.invite(1_000, Millis::NEVER);
    for number in 0..=KNOCKS_MAX {
        let (proof, knock, _) = knocker(number as u32, &token);
        let result = bench.run(|batch| door::knock(batch, Millis(START), &proof, &knock));
        if number < KNOCKS_MAX {
            result.unwrap();
        } else {
            assert_eq!(refusal(result), RejectCode::RoomFull);
        }
    }
    bench.forget(START + 31 * DAY);
    assert_eq!(bench.count("knocks"), 0);
}

/// Its answer was lost; it was accepted, and is no storm.
#[test]
fn a_commit_that_comes_again_costs_its_author_no_pace() {
    let mut bench = Bench::new(RoomNumbers::default());
    let ben = bench.admit(1);
    let mut commit = |id: u64, epoch: u64| {
        let mut commit = say(id, b"a commit");
        commit.payload[mls_header::CONTENT_TYPE_AT - 8..mls_header::CONTENT_TYPE_AT]
            .copy_from_slice(&epoch.to_be_bytes());
        commit.payload[mls_header::CONTENT_TYPE_AT] = mls_header::COMMIT;
        bench.run(|batch| submit::submit(batch, Millis(START), &ben, commit)).unwrap().seq
    };
    let seq = commit(10, 1);
    for _ in 0..10 {
        assert_eq!(commit(10, 1), seq);
    }
    assert_eq!(commit(11, 2).0, seq.0 + 1);
}

#[test]
fn a_spent_invite_makes_room_for_another_unless_somebody_waits_with_it() {
    let mut bench = Bench::new(RoomNumbers::default());
    let token = |number: usize| Secret32::new([u8::try_from(number % 256).unwrap(); 32]);
    let (waited_with, burnt, late) =
        (7, 9, Secret32::new([0xab, 1].repeat(16).try_into().unwrap()));
    for number in 0..INVITES_MAX {
        bench.add_invite(number as u64, &token(number), 1, Millis::NEVER).unwrap();
    }
    let (proof, knock, _) = knocker(1, &token(waited_with));
    bench.run(|batch| door::knock(batch, Millis(START), &proof, &knock)).unwrap();
    assert_eq!(refusal(bench.add_invite(300, &late, 1, Millis::NEVER)), RejectCode::RoomFull);

    bench.run(|batch| door::burn(batch, Millis(START), &ROOM, &token(burnt))).unwrap();
    bench.add_invite(301, &late, 1, Millis::NEVER).unwrap();
    let mut shown =
        |token: &Secret32| bench.run(|batch| door::preview(batch.db, Millis(START), &ROOM, token));
    assert_eq!(refusal(shown(&token(burnt))), RejectCode::InviteInvalid);
    assert_eq!(refusal(shown(&token(waited_with))), RejectCode::InviteUsed);
    assert_eq!(shown(&late).unwrap(), [1]);
    assert_eq!(bench.count("invites"), i64::try_from(INVITES_MAX).unwrap());

    // Who waited takes it back, or is admitted or declined: nobody needs it any more.
    bench.run(|batch| door::cancel(batch, &proof)).unwrap();
    bench.add_invite(302, &token(burnt), 1, Millis::NEVER).unwrap();
    assert_eq!((bench.count("invites"), bench.count("knockers")), (256, 0));
}

/// Somebody with a key, and their knock.
fn knocker(number: u32, token: &Secret32) -> (Proved, door::Knock, Digest) {
    use hearth_protocol::{frame::AckTriple, handshake};
    let mut seed = [0x5a; 32];
    seed[..4].copy_from_slice(&number.to_be_bytes());
    let key = ed25519_dalek::SigningKey::from_bytes(&seed);
    let member = MemberKey(key.verifying_key().to_bytes());
    let (agreement, digest) = (Commitment([4; 32]), Digest([5; 32]));
    let transcript = handshake::knock_transcript(&ROOM, &member, &agreement, &digest);
    let signature = handshake::sign(&key, &transcript);
    let acknowledgement = AckTriple { agreement, digest, signature };
    let knock = door::Knock { token: token.clone(), acknowledgement, body: vec![0; 10] };
    (Proved::assumed(ROOM, member), knock, digest)
}

/// Whoever comes and goes all day costs what one does who stays, but for the entries, which have their time.
#[test]
fn of_ten_thousand_who_come_and_go_little_is_kept() {
    const TIMES: u32 = 10_000;
    let mut bench = Bench::new(RoomNumbers::default());
    // What is counted here are rows, not what a power cut leaves of them.
    bench.db.pragma_update(None, "synchronous", "OFF").unwrap();
    let founder = bench.founder.clone();
    let token = bench.invite(TIMES, Millis::NEVER);
    let uses = |bench: &Bench| -> u32 {
        bench.db.query_row("SELECT uses_left FROM invites", [], |row| row.get(0)).unwrap()
    };

    // One key at the door, again and again.
    let (proof, knock, digest) = knocker(0, &token);
    for _ in 0..TIMES {
        bench.run(|batch| door::knock(batch, Millis(START), &proof, &knock)).unwrap();
        bench.run(|batch| door::cancel(batch, &proof)).unwrap();
    }
    assert_eq!((bench.count("knocks"), bench.count("knockers")), (0, 1));
    assert_eq!(uses(&bench), TIMES - 1);

    // Many keys at the door, of whom nobody goes.
    let mut refused = 0;
    for number in 1..=TIMES / 10 {
        let (proof, knock, _) = knocker(number, &token);
        match bench.run(|batch| door::knock(batch, Millis(START), &proof, &knock)) {
            Ok(_) => {}
            refusal => {
                assert_eq!(self::refusal(refusal), RejectCode::RoomFull);
                refused += 1;
            }
        }
    }
    let waiting = i64::try_from(KNOCKS_MAX).unwrap();
    assert_eq!(i64::from(refused), i64::from(TIMES / 10) - waiting);
    assert_eq!((bench.count("knocks"), bench.count("knockers")), (waiting, waiting + 1));
    // Who was refused did not spend anything.
    assert_eq!(i64::from(uses(&bench)), i64::from(TIMES) - 1 - waiting);
    for number in 1..=u32::try_from(KNOCKS_MAX).unwrap() {
        let proof = knocker(number, &token).0;
        bench.run(|batch| door::cancel(batch, &proof)).unwrap();
    }

    // One key inside and out again.
    let blob = BlobId(hash::sha256(b"welcome").0);
    let commit = |epoch: u64, id: u64, effects: Vec<Effect>| {
        let mut submission = Submission { effects, ..say(id, b"a commit") };
        submission.payload[21..29].copy_from_slice(&epoch.to_be_bytes());
        submission.payload[29] = 3;
        submission
    };
    let (mut epoch, cycles) = (0, u64::from(TIMES / 10));
    for cycle in 0..cycles {
        let now = Millis(START + cycle);
        bench.run(|batch| door::knock(batch, now, &proof, &knock)).unwrap();
        bench.run(|batch| blobs::put(batch, now, &founder, &blob, b"welcome")).unwrap();
        let (member, role) = (*proof.member(), hearth_protocol::Role::Member);
        let admit = Effect::Admit { member, role, welcome: blob, acknowledgement: digest };
        for effect in [admit, Effect::Remove { member }] {
            let submission = commit(epoch, 2 + epoch, vec![effect]);
            bench.run(|batch| submit::submit(batch, now, &founder, submission)).unwrap();
            epoch += 1;
        }
    }
    let kept = ["members", "knocks", "knockers", "blobs"].map(|table| bench.count(table));
    assert_eq!(kept, [2, 0, waiting, 0]);
    // Every time they came by another use of the invite: one that has led in leads in no more.
    assert_eq!(
        i64::from(uses(&bench)),
        i64::from(TIMES) - waiting - i64::try_from(cycles).unwrap()
    );
    assert_eq!(bench.count("entries"), i64::try_from(2 * cycles).unwrap());
}

fn open(dir: &Path) -> (Arc<Store>, Threads, Arc<Registry>, Arc<Metrics>) {
    let (registry, metrics) = (Arc::new(Registry::default()), Arc::new(Metrics::default()));
    let (store, threads) = Store::open(dir, registry.clone(), metrics.clone()).unwrap();
    (store, threads, registry, metrics)
}

#[tokio::test]
async fn a_failed_transaction_acknowledges_nothing_and_the_store_recovers() {
    let bench = Bench::new(RoomNumbers::default());
    let Bench { dir, db, founder, .. } = bench;
    drop(db);
    let (store, threads, _registry, metrics) = open(dir.path());
    let say_it = |id: u64| store.submit(Millis(START), founder.clone(), say(id, b"word"));
    assert_eq!(say_it(1).await.await.unwrap().seq, Seq(1));
    // As a full disk or a failed sync would: in the middle of somebody's transaction.
    let failing = store
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
    // Reading goes on.
    let reader = founder.clone();
    let position = store.read(move |db| read::position(db, &reader)).await.unwrap();
    assert_eq!(position.head, Seq(1));
    let recovered = async {
        loop {
            if let Ok(accepted) = say_it(2).await.await {
                return accepted;
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
async fn one_refusal_in_a_transaction_leaves_the_others_alone() {
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
                Effect::SetNumbers { numbers: RoomNumbers::default() },
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
            let accepted = answer.unwrap();
            assert_eq!((accepted.seq, accepted.control), (Seq(expected), 0));
        }
    }
    drop(store);
    threads.join();
}

/// What comes while the writer is at work shares transactions and their syncs, 256 requests at most each.
#[tokio::test]
async fn requests_that_wait_share_a_transaction() {
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
    let first = store.write(busy).await;
    begun.recv().unwrap();
    let before = metrics.commit_latency.count();
    let mut answers = Vec::new();
    for id in 0..300 {
        answers.push(store.submit(Millis(START), founder.clone(), say(id, b"word")).await);
    }
    assert_eq!(store.queue_depth(), 300);
    ends.send(()).unwrap();
    first.await.unwrap();
    for answer in answers {
        answer.await.unwrap();
    }
    assert_eq!(metrics.commit_latency.count() - before, 3);
    drop(store);
    threads.join();
}

/// By the count a restored copy of the store is told from the store.
#[tokio::test]
async fn every_transaction_that_changes_something_is_counted() {
    let Bench { dir, db, founder, .. } = Bench::new(RoomNumbers::default());
    let (store, threads, _registry, _metrics) = open(dir.path());
    let writes =
        || db.query_row("SELECT writes FROM life", [], |row| row.get::<_, i64>(0)).unwrap();
    let before = writes();
    store.submit(Millis(START), founder.clone(), say(1, b"word")).await.await.unwrap();
    assert_eq!(writes(), before + 1);
    let effects = vec![Effect::Retract { seq: Seq(9), own: None }];
    let refused = Submission { effects, ..say(2, b"word") };
    store.submit(Millis(START), founder, refused).await.await.unwrap_err();
    assert_eq!(writes(), before + 1);
    drop(store);
    threads.join();
}

#[test]
fn posts_of_one_transaction_see_each_other_and_what_happens_between_them() {
    let numbers = RoomNumbers { slow_seconds: 60, ..RoomNumbers::default() };
    let mut bench = Bench::new(numbers.clone());
    let founder = bench.founder.clone();
    let member = Proved::assumed(ROOM, MemberKey([7; 32]));
    let row = rows::MemberRow {
        key: *member.member(),
        role: hearth_protocol::Role::Member,
        state: rows::State::In,
        joined: Seq(0),
        gone: Seq(0),
        gone_at: Millis(0),
        timeout_until: Millis(0),
        last_post_at: Millis(0),
        welcome: None,
    };
    let room = bench.db.query_row("SELECT key FROM rooms", [], |row| row.get(0)).unwrap();
    rows::save_member(&bench.db, room, &row).unwrap();
    bench
        .run(|batch| {
            let mut post =
                |proof: &Proved, id| submit::submit(batch, Millis(START), proof, say(id, b"word"));
            assert_eq!(post(&founder, 1)?.seq, Seq(1));
            assert_eq!(post(&member, 2)?.seq, Seq(2));
            // The rule holds within the transaction, and a refusal takes no number.
            assert_eq!(refusal(post(&member, 3)), RejectCode::SlowMode);
            assert_eq!(post(&founder, 1)?.seq, Seq(1), "the same id again");
            let mut numbers = numbers;
            numbers.paused_until = Millis::NEVER;
            let pause =
                Submission { effects: vec![Effect::SetNumbers { numbers }], ..say(4, b"a pause") };
            let paused = submit::submit(batch, Millis(START), &founder, pause)?;
            assert_eq!((paused.seq, paused.control), (Seq(3), 1));
            let late = Millis(START + 3_600_000);
            let refused = submit::submit(batch, late, &member, say(5, b"word"));
            assert_eq!(refusal(refused), RejectCode::Paused);
            let next = submit::submit(batch, late, &founder, say(6, b"word"))?;
            assert_eq!((next.seq, next.control), (Seq(4), 1));
            Ok(())
        })
        .unwrap();
    assert_eq!(read::position(&bench.db, &bench.founder).unwrap().head, Seq(4));
    assert_eq!(bench.count("entries"), 4);
}

/// Whether some bytes are anywhere in a data directory.
fn holds(dir: &Path, bytes: &[u8]) -> bool {
    std::fs::read_dir(dir).unwrap().any(|file| {
        let content = std::fs::read(file.unwrap().path()).unwrap();
        content.windows(bytes.len()).any(|window| window == bytes)
    })
}

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

/// Grants have no row ids, and SQLite does not tell that one was deleted.
#[tokio::test]
async fn whatever_retention_deletes_empties_the_log() {
    let Bench { dir, db, .. } = Bench::new(RoomNumbers::default());
    let (store, threads, _registry, _metrics) = open(dir.path());
    log_is_emptied(dir.path()).await;
    let terms = grants::Terms { rooms_left: 1, members_max: 9, expires: Millis(START) };
    grants::add(&db, &Secret32::new([8; 32]), &terms).unwrap();
    drop(db);
    let step = store.write(|batch| retention::step(batch, Millis(START + 1), 0)).await;
    assert_eq!(step.await.unwrap().deleted, 1);
    log_is_emptied(dir.path()).await;
    drop(store);
    threads.join();
}

/// A log that grew long while much was written is cut when nobody writes, though nothing was deleted.
#[tokio::test]
async fn a_long_log_is_cut_when_nobody_writes() {
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

#[tokio::test]
async fn what_is_retracted_is_soon_in_no_file_of_a_running_relay() {
    let Bench { dir, db, founder, .. } = Bench::new(RoomNumbers::default());
    drop(db);
    let (store, threads, _registry, _metrics) = open(dir.path());
    // Every start empties the log; what is tested is not that.
    log_is_emptied(dir.path()).await;
    let canary = b"the canary that must be gone from every file";
    // Of several pages: what is said afterwards would overwrite a short one by itself.
    let words = say(1, &canary.repeat(400));
    let said = store.submit(Millis(START), founder.clone(), words).await.await.unwrap();
    assert!(holds(dir.path(), canary));
    let id = say(1, b"").id;
    let retract = Submission {
        effects: vec![Effect::Retract { seq: said.seq, own: Some(id) }],
        ..say(2, b"a retraction")
    };
    // A reader who began before it needs the log as it was, and holds up nobody for it.
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
