//! A bench that runs verbs of the store with a clock that the tests set.

mod forgetting;
mod lanes;
mod membership;
mod notes;
mod quotas;
mod transactions;
mod verbs;
mod write_ahead_log;

use hearth_protocol::{
    BlobId, Commitment, Effect, Entry, EntryContent, Epoch, MemberKey, MessageId, RoomNumbers,
    Secret32, ServerFrame, codec, hash,
    limits::{INVITES_MAX, KNOCK_BYTES_MAX, KNOCKS_MAX, MARKED_MILLIS},
    mls_header,
};

use hearth_protocol::{Digest, RoomId, Seq};
use hearth_rules::{
    MemberRow,
    admission::{Knock, Opening, Terms},
    posts,
    submit::{Accepted, SEQ_MAX, Submission},
};

use super::*;
use crate::{
    auth::Proved,
    batch::BATCH_BYTES_MAX,
    store::{Store, Submitted},
};

const ROOM: RoomId = RoomId([1; 16]);
const FOUNDER: MemberKey = MemberKey([2; 32]);
const DAY: u64 = 24 * 3_600_000;
const START: u64 = 1_000 * DAY;

struct Bench {
    dir: tempfile::TempDir,
    db: Connection,
    secrets: life::Secrets,
    bounds: Bounds,
    founder: Proved,
}

impl Bench {
    fn new(numbers: RoomNumbers) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let db = schema::open_writer(&database_path(dir.path())).unwrap();
        let secrets = life::secrets(&db).unwrap();
        let bounds = Bounds::new(Limits::NONE, dir.path().to_owned(), Arc::default());
        let founder = Proved::assumed(ROOM, FOUNDER);
        let mut bench = Self { dir, db, secrets, bounds, founder };
        let grant = Secret32::new([3; 32]);
        let terms = Terms { rooms_left: 1, members_max: 9, expires: Millis::NEVER };
        grants::add(&bench.db, &grant, &terms).unwrap();
        let agreement = Commitment([4; 32]);
        let opening = Opening { grant, numbers, agreement };
        let founder = bench.founder.clone();
        bench.run(|batch| admission::open_room(batch, Millis(START), &founder, &opening)).unwrap();
        // Retention deletes the spent grant first.
        assert_eq!(bench.forget(START), (1, 1));
        bench
    }

    fn run<T>(
        &mut self,
        verb: impl FnOnce(&mut Batch<'_>) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        self.db.execute("BEGIN IMMEDIATE", []).unwrap();
        let mut batch = Batch::new(&self.db, &self.secrets, &mut self.bounds);
        let result = verb(&mut batch);
        self.db.execute("COMMIT", []).unwrap();
        result
    }

    fn say(&mut self, now: u64, id: u64, body: &[u8]) -> Accepted {
        let founder = self.founder.clone();
        let after = read::position(&self.db, &founder).unwrap().head;
        let submission = Submission { after, ..say(id, body) };
        self.run(|batch| submit(batch, Millis(now), &founder, submission)).unwrap()
    }

    fn submit(&mut self, who: &Proved, submission: Submission) -> Result<Accepted, Fault> {
        self.run(|batch| submit(batch, Millis(START), who, submission))
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
        self.submit(&founder, submission)
    }

    /// Has the founder invite and admit a new member, who knocks.
    fn admit(&mut self, number: u32) -> Proved {
        self.admit_in(0, number, b"welcome")
    }

    /// The same in a later epoch, with another Welcome.
    fn admit_in(&mut self, epoch: u64, number: u32, bytes: &[u8]) -> Proved {
        let founder = self.founder.clone();
        let token = Secret32::new([number as u8; 32]);
        self.add_invite(1_000 + epoch, &token, 9, Millis::NEVER).unwrap();
        let welcome = BlobId(hash::sha256(bytes).0);
        let (proof, knock, acknowledgement) = knocker(number, &token);
        let (member, role) = (*proof.member(), hearth_protocol::Role::Member);
        let admit = Effect::Admit { member, role, welcome, acknowledgement };
        let admits = commit(2_000 + epoch, epoch, vec![admit]);
        let now = Millis(START);
        self.run(|batch| {
            admission::knock(batch, now, &proof, knock.clone())?;
            blobs::put(batch, now, &founder, &welcome, bytes.to_vec())?;
            submit(batch, now, &founder, admits)
        })
        .unwrap();
        proof
    }

    /// Runs a whole round of retention; returns its number of steps and of deleted rows.
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

    /// Returns whether any file in the data directory holds some bytes.
    fn holds(&self, bytes: &[u8]) -> bool {
        holds(self.dir.path(), bytes)
    }
}

fn say(id: u64, body: &[u8]) -> Submission {
    let mut payload = vec![0, 1, 0, 2, 16];
    payload.extend(ROOM.0);
    payload.extend(0_u64.to_be_bytes());
    payload.extend([1, 0]);
    payload.extend(body);
    let mut whole = [0; 16];
    whole[..8].copy_from_slice(&id.to_be_bytes());
    Submission { id: MessageId(whole), payload, expect: None, effects: vec![], after: Seq(0) }
}

/// A marked entry of epoch 1 and a given size: an own retraction or a departure.
fn marked(id: u64, bytes: usize, effects: Vec<Effect>) -> Submission {
    let mut submission = Submission { effects, ..say(id, b"") }.of_epoch(1);
    submission.payload.pop();
    submission.payload.extend([1, mls_header::MARK[0]]);
    submission.payload.resize(bytes, 0x5a);
    submission
}

/// A commit of an epoch.
fn commit(id: u64, epoch: u64, effects: Vec<Effect>) -> Submission {
    let mut submission = Submission { effects, ..say(id, b"a commit") }.of_epoch(epoch);
    submission.payload[mls_header::CONTENT_TYPE_AT] = mls_header::COMMIT;
    submission
}

trait OfEpoch {
    fn of_epoch(self, epoch: u64) -> Self;
}

impl OfEpoch for Submission {
    fn of_epoch(mut self, epoch: u64) -> Self {
        let at = mls_header::CONTENT_TYPE_AT;
        self.payload[at - 8..at].copy_from_slice(&epoch.to_be_bytes());
        self
    }
}

impl Submitted {
    fn accepted(self) -> Accepted {
        match self {
            Self::Accepted(accepted) => accepted,
            Self::Far(submission) => panic!("a reader must search from {:?}", submission.after),
        }
    }
}

/// Submits an entry whose retry, if any, is within the rows that a transaction searches.
fn submit(
    batch: &mut Batch<'_>,
    now: Millis,
    who: &Proved,
    submission: Submission,
) -> Result<Accepted, Fault> {
    submit::submit(batch, now, who, submission).map(Submitted::accepted)
}

fn refusal<T: std::fmt::Debug>(result: Result<T, Fault>) -> RejectCode {
    match result {
        Err(Fault::Refused(refusal)) => refusal.code,
        other => panic!("{other:?}"),
    }
}

/// A newcomer's key and knock.
fn knocker(number: u32, token: &Secret32) -> (Proved, Knock, Digest) {
    use hearth_protocol::{frame::AckTriple, handshake};
    let mut seed = [0x5a; 32];
    seed[..4].copy_from_slice(&number.to_be_bytes());
    let key = ed25519_dalek::SigningKey::from_bytes(&seed);
    let member = MemberKey(key.verifying_key().to_bytes());
    let (agreement, digest) = (Commitment([4; 32]), Digest([5; 32]));
    let transcript = handshake::knock_transcript(&ROOM, &member, &agreement, &digest);
    let signature = handshake::sign(&key, &transcript);
    let acknowledgement = AckTriple { agreement, digest, signature };
    let knock = Knock { token: token.clone(), acknowledgement, body: vec![0; 10] };
    (Proved::assumed(ROOM, member), knock, digest)
}

fn open(dir: &Path) -> (Arc<Store>, Threads, Arc<Registry>, Arc<Metrics>) {
    let (registry, metrics) = (Arc::new(Registry::default()), Arc::new(Metrics::default()));
    let (store, threads) =
        Store::open(dir, registry.clone(), metrics.clone(), Limits::NONE).unwrap();
    (store, threads, registry, metrics)
}

/// Returns whether any file in a data directory holds some bytes.
fn holds(dir: &Path, bytes: &[u8]) -> bool {
    std::fs::read_dir(dir).unwrap().any(|file| {
        let content = std::fs::read(file.unwrap().path()).unwrap();
        content.windows(bytes.len()).any(|window| window == bytes)
    })
}
