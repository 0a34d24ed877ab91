//! Tests of the rules without a database: a table of refusals, and invariants of every room and submission.

mod lanes;
mod notes;

use std::collections::BTreeMap;

use ed25519_dalek::SigningKey;
use hearth_protocol::{
    BlobId, Commitment, Digest, Effect, Epoch, InviteId, MemberKey, MessageId, Millis, RejectCode,
    Role, RoomId, RoomNumbers, Secret32, Seq, Signature,
    frame::{AckTriple, Door, Standing},
    handshake,
    hours::{Hours, Offset, Window},
    limits::{
        EFFECTS_MAX, INVITES_MAX, KNOCK_BYTES_MAX, KNOCKS_MAX, MARKED_BYTES_MAX, MARKED_MILLIS,
        NOTE_BYTES_MAX, PAYLOAD_BYTES_MAX, PREVIEW_BYTES_MAX,
    },
    mls_header::{self, MARK},
};

use super::*;
use crate::{
    admission::{Before, Candidate, Crowd, Knock, Opened, Taken, Terms},
    quota::Limits,
    submit::{Accepted, Print, SEQ_MAX, Submission, apply, check},
};

const ROOM: RoomId = RoomId([1; 16]);
const NOW: Millis = Millis(1_000_000_000_000);
const HEAD: Seq = Seq(8);
const EPOCH: Epoch = Epoch(3);
const AGREEMENT: Commitment = Commitment([4; 32]);

struct Plain;

impl Names for Plain {
    fn submission(&self, _: &RoomId, member: &MemberKey, id: &MessageId) -> [u8; 16] {
        let mut name = id.0;
        name[15] = member.0[0];
        name
    }

    fn issuer(&self, _: &RoomId, member: &MemberKey) -> [u8; 16] {
        [member.0[0]; 16]
    }
}

struct Roomy;

impl Disk for Roomy {
    fn is_low(&mut self) -> bool {
        false
    }
}

/// Lets a rule decide with nothing spent before.
fn decide<T>(rule: impl FnOnce(&mut Context<'_>) -> T) -> T {
    decide_within(Limits::NONE, rule)
}

fn decide_within<T>(limits: Limits, rule: impl FnOnce(&mut Context<'_>) -> T) -> T {
    let (mut pace, mut quota) = (CommitPace::default(), Quota::new(limits));
    let (pace, quota, notes) = (&mut pace, &mut quota, &mut NotePace::default());
    rule(&mut Context { now: NOW, pace, notes, quota, disk: &mut Roomy, names: &Plain })
}

fn key(number: u8) -> MemberKey {
    MemberKey([number; 32])
}

fn row() -> RoomRow {
    RoomRow {
        id: ROOM,
        kind: Kind::Room,
        epoch: EPOCH,
        control: 5,
        agreement: AGREEMENT,
        numbers: RoomNumbers::default(),
        head: HEAD,
        floor: Seq(0),
        members_max: 9,
        oldest_at: NOW,
        bytes: 0,
        added: 0,
    }
}

fn member(number: u8, role: Role) -> MemberRow {
    MemberRow::joining(key(number), role, Seq(1))
}

/// A store's records of a room.
#[derive(Clone)]
struct World {
    row: RoomRow,
    members: Vec<MemberRow>,
    invites: Vec<Invite>,
    pending: Vec<Pending>,
    blobs: Vec<BlobId>,
    entries: BTreeMap<Seq, Logged>,
    spent: Spent,
}

impl World {
    /// Ann facilitates, Ben co-facilitates, Cleo is a member, Dan observes, Eve left and Fay was removed. Gil knocks.
    fn new() -> Self {
        let mut members: Vec<MemberRow> =
            [Role::Facilitator, Role::CoFacilitator, Role::Member, Role::Observer]
                .into_iter()
                .zip(1..)
                .map(|(role, number)| member(number, role))
                .collect();
        members.push(MemberRow { state: State::Left, ..member(5, Role::Member) });
        members.push(MemberRow { state: State::Gone, ..member(6, Role::Member) });
        let invite = |id, issuer, uses_left| Invite {
            id: InviteId([id; 16]),
            uses_left,
            expires: Millis::NEVER,
            issuer: [issuer; 16],
        };
        let pending = |number, invite| Pending {
            member: key(number),
            invite: InviteId([invite; 16]),
            agreement: AGREEMENT,
            digest: Digest([number; 32]),
        };
        let logged = |author, kept| {
            let name = Plain.submission(&ROOM, &key(author), &MessageId([author; 16]));
            Logged { at: NOW, digest: Digest([author; 32]), name, kept }
        };
        let header = |payload: &[u8]| Kept::Payload(mls_header::parse(payload));
        let entries = BTreeMap::from([
            (Seq(1), logged(1, header(&commit(0)))),
            (Seq(2), logged(3, header(&post(0)))),
            (Seq(3), logged(3, Kept::Tombstone)),
            (Seq(4), logged(3, header(&marked(0)))),
            (Seq(5), logged(1, header(&post(0)))),
        ]);
        Self {
            row: row(),
            members,
            invites: vec![invite(1, 1, 1), invite(2, 2, 0), invite(3, 1, 0)],
            pending: vec![pending(7, 2), pending(6, 1)],
            blobs: vec![BlobId([1; 32])],
            entries,
            spent: Spent::default(),
        }
    }

    /// Loads the parts that a verb needs, as a store does.
    fn load(&self, needs: &Needs) -> Room {
        let mut room = Room::new(self.row.clone());
        room.spent = Some(self.spent);
        let find = |key: &MemberKey| self.members.iter().find(|m| m.key == *key).cloned();
        if needs.roster {
            let roster = self.members.iter().filter(|m| m.state != State::Gone);
            room.members.extend(roster.map(|m| (m.key, Some(m.clone()))));
            room.has_roster = true;
        }
        for key in &needs.members {
            room.members.entry(*key).or_insert_with(|| find(key));
        }
        room.invites = needs.invites.then(|| self.invites.clone());
        room.pending = needs.pending.then(|| self.pending.clone());
        room.blobs = needs.blobs.iter().map(|blob| (*blob, self.blobs.contains(blob))).collect();
        let entry = |seq: &Seq| (*seq, self.entries.get(seq).copied());
        room.entries = needs.entries.iter().map(entry).collect();
        room
    }

    /// Returns all parts that any submission may need.
    fn all(&self) -> Needs {
        Needs {
            roster: true,
            invites: true,
            pending: true,
            members: (1..=9).map(key).collect(),
            blobs: (1..=3).map(|number| BlobId([number; 32])).collect(),
            entries: (1..=HEAD.0).map(Seq).collect(),
        }
    }

    fn submit(&self, sender: u8, submission: Submission) -> Result<(Accepted, Room), Refusal> {
        self.submit_with(sender, submission, None)
    }

    fn submit_with(
        &self,
        sender: u8,
        submission: Submission,
        needs: Option<&Needs>,
    ) -> Result<(Accepted, Room), Refusal> {
        let sender = self.members.iter().find(|m| m.key == key(sender)).cloned();
        let sender = reading::member(sender)?;
        decide(|context| {
            let room = self.load(&Needs::default());
            let checked = check(&room, context, sender, submission)?;
            let mut room = self.load(needs.unwrap_or(&checked.needs(&room)));
            let accepted = apply(&mut room, context, checked)?;
            Ok((accepted, room))
        })
    }

    /// Returns the refusal of a submission.
    fn refusal(&self, sender: u8, submission: Submission) -> (RejectCode, Option<Millis>) {
        let refusal = self.submit(sender, submission).unwrap_err();
        (refusal.code, refusal.retry_at)
    }
}

fn payload(epoch: u64, content: u8, data: &[u8]) -> Vec<u8> {
    let mut bytes = [&[0, 1, 0, 2, 16][..], &ROOM.0, &epoch.to_be_bytes(), &[content]].concat();
    bytes.push(data.len() as u8);
    bytes.extend(data);
    bytes.extend([0x5a; 40]);
    bytes
}

fn post(epoch: u64) -> Vec<u8> {
    payload(epoch, 1, &[])
}

fn commit(epoch: u64) -> Vec<u8> {
    payload(epoch, mls_header::COMMIT, &[])
}

fn marked(epoch: u64) -> Vec<u8> {
    payload(epoch, 1, &MARK)
}

fn submission(payload: Vec<u8>, effects: Vec<Effect>) -> Submission {
    Submission { id: MessageId([9; 16]), payload, expect: None, effects, after: HEAD }
}

fn says() -> Submission {
    submission(post(EPOCH.0), vec![])
}

fn commits(effects: Vec<Effect>) -> Submission {
    submission(commit(EPOCH.0), effects)
}

fn acts(effects: Vec<Effect>) -> Submission {
    submission(vec![], effects)
}

/// Returns a world with other numbers.
fn ruled(change: impl FnOnce(&mut RoomNumbers)) -> World {
    let mut world = World::new();
    change(&mut world.row.numbers);
    world
}

const CLEO: u8 = 3;
const DAY: u64 = 24 * 3_600_000;

#[test]
fn numbers_refuse_posts_of_members() {
    let soon = NOW.plus(5_000);
    let quarter = posts::quarter(NOW);
    let mut tired = ruled(|numbers| numbers.budget_per_day = 2);
    tired.spent = Spent { posts: 2, oldest_quarter: quarter - 3 };
    let free = Millis((quarter - 3 + posts::QUARTERS_PER_DAY + 1) * 15 * 60 * 1000);
    let mut quick = ruled(|numbers| numbers.slow_seconds = 60);
    quick.members[2].last_post_at = Millis(NOW.0 - 55_000);
    let mut timed_out = World::new();
    timed_out.members[2].timeout_until = soon;
    for (world, code, retry_at) in [
        (ruled(|n| n.paused_until = soon), RejectCode::Paused, Some(soon)),
        (ruled(|n| n.door = Door::Closed), RejectCode::Closed, None),
        (ruled(|n| n.payload_bytes_max = 10), RejectCode::TooLong, None),
        (tired, RejectCode::BudgetSpent, Some(free)),
        (quick, RejectCode::SlowMode, Some(soon)),
        (timed_out, RejectCode::TimedOut, Some(soon)),
        (ruled(|n| n.paused_until = NOW.plus(1)), RejectCode::Paused, Some(NOW.plus(1))),
    ] {
        assert_eq!(world.refusal(CLEO, says()), (code, retry_at));
        // A commit is not a post, and moderators are exempt.
        world.submit(CLEO, commits(vec![])).unwrap();
        world.submit(1, says()).unwrap();
    }
    let mut over = ruled(|numbers| numbers.paused_until = NOW);
    over.members[2].timeout_until = NOW;
    over.submit(CLEO, says()).unwrap();
    assert_eq!(World::new().refusal(4, says()).0, RejectCode::Observer);
    for former in [5, 6, 9] {
        assert_eq!(World::new().refusal(former, says()).0, RejectCode::NotMember);
    }
}

#[test]
fn malformed_submissions_are_refused() {
    let world = World::new();
    let mut full = World::new();
    full.row.head = Seq(SEQ_MAX);
    let other_room = [&post(EPOCH.0)[..5], &[7; 16], &post(EPOCH.0)[21..]].concat();
    let long = [post(EPOCH.0), vec![0; PAYLOAD_BYTES_MAX]].concat();
    for (world, submission, code) in [
        (&world, acts(vec![]), RejectCode::BadFrame),
        (&world, submission(long, vec![]), RejectCode::TooLarge),
        (&world, submission(other_room, vec![]), RejectCode::BadPayload),
        (&world, submission(vec![7; 50], vec![]), RejectCode::BadPayload),
        (&world, submission(marked(EPOCH.0), vec![]), RejectCode::BadPayload),
        (&world, submission(post(EPOCH.0 + 1), vec![]), RejectCode::EpochConflict),
        (&world, Submission { expect: Some(4), ..says() }, RejectCode::StateChanged),
        (&full, says(), RejectCode::RoomFull),
    ] {
        assert_eq!(world.refusal(1, submission).0, code);
    }
}

#[test]
fn effects_depend_on_role_and_state() {
    use RejectCode::{
        BadFrame, BadPayload, IdConflict, LastFacilitator, Locked, NotAcknowledged, NotFacilitator,
        NotFound, RoomFull,
    };
    let admit = |number: u8, welcome, digest| Effect::Admit {
        member: key(number),
        role: Role::Member,
        welcome: BlobId([welcome; 32]),
        acknowledgement: Digest([digest; 32]),
    };
    let role = |number, role| Effect::SetRole { member: key(number), role };
    let remove = |number| Effect::Remove { member: key(number) };
    let invite = |id| Effect::AddInvite {
        invite: InviteId([id; 16]),
        uses: 1,
        expires: Millis::NEVER,
        preview: vec![],
    };
    let retract = |seq, own: Option<u8>| Effect::Retract {
        seq: Seq(seq),
        own: own.map(|own| MessageId([own; 16])),
    };
    let numbers = |seconds| {
        let numbers = RoomNumbers { retention_seconds: seconds, ..RoomNumbers::default() };
        Effect::SetNumbers { numbers }
    };
    let world = World::new();
    for (sender, effect, code) in [
        (1, admit(8, 1, 8), NotFound),
        (1, admit(7, 2, 7), NotFound),
        (1, admit(7, 1, 8), NotAcknowledged),
        (1, remove(1), BadFrame),
        (2, remove(1), NotFacilitator),
        (CLEO, remove(4), NotFacilitator),
        (CLEO, remove(9), NotFacilitator),
        (2, role(CLEO, Role::CoFacilitator), NotFacilitator),
        (1, role(1, Role::Member), LastFacilitator),
        (1, role(5, Role::Member), NotFound),
        (1, numbers(59), BadFrame),
        (2, numbers(60), NotFacilitator),
        (1, Effect::Timeout { member: key(2), until: NOW }, NotFound),
        (1, retract(1, None), NotFound),
        (1, retract(4, None), NotFound),
        (1, retract(HEAD.0 + 1, None), NotFound),
        (CLEO, Effect::SetAgreement { agreement: AGREEMENT }, NotFacilitator),
    ] {
        assert_eq!(world.refusal(sender, commits(vec![effect.clone()])).0, code, "{effect:?}");
    }
    for (sender, effect, code) in [
        (1, admit(7, 1, 7), BadPayload),
        (1, invite(1), IdConflict),
        (CLEO, invite(9), NotFacilitator),
        (1, Effect::RevokeInvite { invite: InviteId([9; 16]) }, NotFound),
        (1, Effect::Decline { member: key(8), note: vec![] }, NotFound),
        (1, Effect::Leave, BadPayload),
    ] {
        assert_eq!(world.refusal(sender, acts(vec![effect.clone()])).0, code, "{effect:?}");
    }
    for (sender, effect, code) in [
        (1, Effect::Leave, LastFacilitator),
        (CLEO, retract(5, Some(3)), NotFound),
        (CLEO, retract(3, Some(3)), NotFound),
    ] {
        let submission = submission(marked(EPOCH.0), vec![effect.clone()]);
        assert_eq!(world.refusal(sender, submission).0, code, "{effect:?}");
    }
    let locked = ruled(|numbers| numbers.locked = true);
    assert_eq!(locked.refusal(1, commits(vec![admit(7, 1, 7)])).0, Locked);
    let mut full = World::new();
    full.row.members_max = 5;
    assert_eq!(full.refusal(1, commits(vec![admit(7, 1, 7)])).0, RoomFull);
    world.submit(1, commits(vec![admit(7, 1, 7)])).unwrap();
}

#[test]
fn spent_invites_yield_oldest_first() {
    let mut world = World::new();
    let filler = world.invites[0];
    let more = (10..).take(INVITES_MAX - world.invites.len());
    let id =
        |number: u16| InviteId([&number.to_be_bytes()[..], &[0; 14]].concat().try_into().unwrap());
    world.invites.extend(more.map(|number| Invite { id: id(number), ..filler }));
    let add = || {
        let (invite, uses, expires) = (id(9_999), 1, Millis::NEVER);
        acts(vec![Effect::AddInvite { invite, uses, expires, preview: vec![] }])
    };
    // Gil waits with invite 2, so invite 3 goes.
    let (_, room) = world.submit(1, add()).unwrap();
    assert_eq!(room.changes[0], Change::ForgetInvite(InviteId([3; 16])));
    let mut left = world.invites.clone();
    left.remove(2);
    assert_eq!(room.invites.unwrap()[..INVITES_MAX - 1], left);
    world.invites[2].uses_left = 1;
    assert_eq!(world.refusal(1, add()).0, RejectCode::RoomFull);
}

fn knocking() -> (SigningKey, Candidate, Knock) {
    let signing = SigningKey::from_bytes(&[0x5a; 32]);
    let key = MemberKey(signing.verifying_key().to_bytes());
    let digest = Digest([5; 32]);
    let transcript = handshake::knock_transcript(&ROOM, &key, &AGREEMENT, &digest);
    let signature = handshake::sign(&signing, &transcript);
    let acknowledgement = AckTriple { agreement: AGREEMENT, digest, signature };
    let (invite, member, before, last) = (World::new().invites[0], None, None, None);
    let candidate = Candidate { key, invite, member, before, last };
    let knock = Knock { token: Secret32::new([7; 32]), acknowledgement, body: vec![0; 10] };
    (signing, candidate, knock)
}

#[test]
fn knocks_are_refused_by_the_gate() {
    let (_, open, knock) = knocking();
    let judge = |candidate: &Candidate, crowd: Crowd, knock: &Knock, numbers: RoomNumbers| {
        let room = Room::new(RoomRow { numbers, ..row() });
        match admission::check_knock(&room, NOW, candidate, knock)? {
            Some(standing) => Ok(Err(standing)),
            None => {
                decide(|context| admission::pace_knock(&room, context, candidate, crowd, knock))
                    .map(Ok)
            }
        }
    };
    let refusal = |change: &dyn Fn(&mut Candidate, &mut Knock, &mut RoomNumbers)| {
        let (mut candidate, mut knock, mut numbers) =
            (open.clone(), knock.clone(), RoomNumbers::default());
        change(&mut candidate, &mut knock, &mut numbers);
        judge(&candidate, Crowd::default(), &knock, numbers).unwrap_err()
    };
    let crowded = |crowd| judge(&open, crowd, &knock, RoomNumbers::default()).unwrap_err();
    let recent = Millis(NOW.0 - 10_000);
    let waits = Before { declined: false, at: recent, same: false };
    let soon = Some(Millis(NOW.0 + 20_000));
    assert_eq!(refusal(&|d, _, _| d.invite.expires = NOW), RejectCode::InviteExpired.into());
    assert_eq!(
        refusal(&|_, k, _| k.body = vec![0; KNOCK_BYTES_MAX + 1]),
        RejectCode::TooLarge.into()
    );
    assert_eq!(refusal(&|d, _, _| d.invite.uses_left = 0), RejectCode::InviteUsed.into());
    let declined = |d: &mut Candidate, _: &mut Knock, _: &mut RoomNumbers| {
        d.before = Some(Before { declined: true, at: Millis(0), same: true });
        d.last = Some(Millis(0));
    };
    assert_eq!(refusal(&declined), RejectCode::InviteUsed.into());
    assert_eq!(refusal(&|_, _, n| n.locked = true), RejectCode::Locked.into());
    let wrong = |_: &mut Candidate, k: &mut Knock, _: &mut RoomNumbers| {
        k.acknowledgement.signature = Signature([0; 64]);
    };
    assert_eq!(refusal(&wrong), RejectCode::NotAcknowledged.into());
    let other = |_: &mut Candidate, k: &mut Knock, _: &mut RoomNumbers| {
        k.acknowledgement.agreement = Commitment([9; 32]);
    };
    assert_eq!(refusal(&other), RejectCode::NotAcknowledged.into());
    let rated = Refusal::until(RejectCode::RateLimited, soon);
    assert_eq!(refusal(&|d, _, _| d.before = Some(waits)), rated);
    assert_eq!(refusal(&|d, _, _| d.last = Some(recent)), rated);
    // The pace holds to the last millisecond, but not for a clock that was set back.
    let last = |at| {
        let candidate = Candidate { last: Some(Millis(at)), ..open.clone() };
        judge(&candidate, Crowd::default(), &knock, RoomNumbers::default()).is_ok()
    };
    assert_eq!(
        [NOW.0, NOW.0 - 29_999, NOW.0 - 30_000, NOW.0 + 1].map(last),
        [false, false, true, true]
    );
    assert_eq!(crowded(Crowd { last: Some(recent), pending: 0 }), rated);
    let busy = Crowd { last: None, pending: KNOCKS_MAX };
    assert_eq!(crowded(busy), RejectCode::DoorBusy.into());

    // A member, and a knocker whose answer was lost, get their standing.
    let mut candidate = open.clone();
    candidate.before = Some(Before { same: true, ..waits });
    let stands = |candidate: &Candidate| {
        let judged = judge(candidate, Crowd::default(), &knock, RoomNumbers::default());
        judged.unwrap().unwrap_err()
    };
    assert_eq!(stands(&candidate), Standing::Knocking);
    candidate.member = Some(member(3, Role::Member));
    assert!(matches!(stands(&candidate), Standing::Member { .. }));
    let taken: Taken =
        judge(&open, Crowd::default(), &knock, RoomNumbers::default()).unwrap().unwrap();
    let quiet = [NOW.0, NOW.0 - 599_999].map(|at| (Some(Millis(at)), false));
    let told = [NOW.0 - 600_000, NOW.0 + 1].map(|at| (Some(Millis(at)), true));
    for (taken_back, told) in [(None, true)].into_iter().chain(quiet).chain(told) {
        let mut room = Room::new(row());
        admission::take_knock(&mut room, NOW, &open, taken, taken_back, knock.clone());
        assert_eq!(room.news.knocked, told);
        let invite = open.invite.id;
        assert_eq!(room.changes[0], Change::InviteUses { invite, left: 0 });
        assert_eq!(room.changes.len(), 3);
    }
}

#[test]
fn rooms_open_by_a_usable_grant() {
    let terms = |rooms_left, expires| Some(Terms { rooms_left, members_max: 9, expires });
    let good = terms(1, Millis::NEVER);
    let founder = MemberRow { joined: Seq(0), ..member(1, Role::Facilitator) };
    let numbers = RoomNumbers::default();
    let open = |existing: Option<Option<&MemberRow>>, grant, numbers: &RoomNumbers| {
        admission::open_room(existing, grant, key(1), numbers, NOW)
    };
    assert!(matches!(open(None, good, &numbers), Ok(Opened::New { members_max: 9, .. })));
    for grant in [None, terms(0, Millis::NEVER), terms(1, NOW)] {
        assert_eq!(open(None, grant, &numbers), Err(RejectCode::GrantInvalid.into()));
        // Without a grant, a stranger does not learn that the room exists.
        assert_eq!(open(Some(None), grant, &numbers), Err(RejectCode::GrantInvalid.into()));
        assert_eq!(
            open(Some(Some(&founder)), grant, &numbers),
            Ok(Opened::Already(founder.standing()))
        );
    }
    let later = member(1, Role::Facilitator);
    for existing in [None, Some(&later)] {
        assert_eq!(open(Some(existing), good, &numbers), Err(RejectCode::RoomExists.into()));
    }
    let brief = RoomNumbers { retention_seconds: 59, ..numbers };
    assert_eq!(open(None, good, &brief), Err(RejectCode::BadFrame.into()));
}

/// Each rule holds to its last millisecond and its last byte.
#[test]
fn rules_hold_to_the_last_byte() {
    let long = |bytes| {
        let mut payload = post(EPOCH.0);
        payload.resize(bytes, 0x5a);
        submission(payload, vec![])
    };
    let world = World::new();
    world.submit(1, long(PAYLOAD_BYTES_MAX)).unwrap();
    assert_eq!(world.refusal(1, long(PAYLOAD_BYTES_MAX + 1)).0, RejectCode::TooLarge);
    let short = ruled(|numbers| numbers.payload_bytes_max = 100);
    short.submit(CLEO, long(100)).unwrap();
    assert_eq!(short.refusal(CLEO, long(101)).0, RejectCode::TooLong);
    let numbers = |count| {
        let numbers = RoomNumbers::default();
        commits(vec![Effect::SetNumbers { numbers }; count])
    };
    let (_, room) = world.submit(1, numbers(EFFECTS_MAX)).unwrap();
    assert!(room.rules_changed && !room.news.roster);
    assert_eq!(world.refusal(1, numbers(EFFECTS_MAX + 1)).0, RejectCode::TooLarge);
    let note = |bytes| acts(vec![Effect::Decline { member: key(7), note: vec![0; bytes] }]);
    world.submit(1, note(NOTE_BYTES_MAX)).unwrap();
    assert_eq!(world.refusal(1, note(NOTE_BYTES_MAX + 1)).0, RejectCode::TooLarge);
    let invite = |uses, expires, preview| {
        let (invite, preview) = (InviteId([9; 16]), vec![0; preview]);
        acts(vec![Effect::AddInvite { invite, uses, expires, preview }])
    };
    let later = NOW.plus(1);
    let (_, room) = world.submit(1, invite(1, later, PREVIEW_BYTES_MAX)).unwrap();
    assert!(!room.news.roster && !room.rules_changed);
    assert_eq!(world.refusal(1, invite(1, later, PREVIEW_BYTES_MAX + 1)).0, RejectCode::TooLarge);
    assert_eq!(world.refusal(1, invite(0, later, 0)).0, RejectCode::BadFrame);
    assert_eq!(world.refusal(1, invite(1, NOW, 0)).0, RejectCode::BadFrame);
    let mut last = World::new();
    assert_eq!(SEQ_MAX, 0xff_ffff_ffff);
    last.row.head = Seq(SEQ_MAX - 1);
    assert_eq!(last.submit(1, says()).unwrap().0.seq, Seq(SEQ_MAX));
}

/// A pace ends in time, and a clock that was set back silences no member.
#[test]
fn paces_end_with_their_time() {
    let own = |bytes| {
        let mut payload = marked(EPOCH.0);
        payload.resize(bytes, 0x5a);
        submission(payload, vec![Effect::Retract { seq: Seq(2), own: Some(MessageId([3; 16])) }])
    };
    let leaves = || submission(marked(EPOCH.0), vec![Effect::Leave]);
    for (ago, marked_free, slow_free) in [
        (0, false, false),
        (MARKED_MILLIS - 1, false, false),
        (MARKED_MILLIS, true, false),
        (59_999, true, false),
        (60_000, true, true),
    ] {
        let mut world = ruled(|numbers| numbers.slow_seconds = 60);
        world.members[2].marked_at = Millis(NOW.0 - ago);
        world.members[2].last_post_at = Millis(NOW.0 - ago);
        assert_eq!(world.submit(CLEO, own(MARKED_BYTES_MAX)).is_ok(), marked_free, "{ago}");
        assert_eq!(world.submit(CLEO, says()).is_ok(), slow_free, "{ago}");
        // A departure waits for nothing.
        world.submit(CLEO, leaves()).unwrap();
    }
    let mut ahead = ruled(|numbers| numbers.slow_seconds = 60);
    ahead.members[2].marked_at = NOW.plus(1);
    ahead.members[2].last_post_at = NOW.plus(1);
    let (_, room) = ahead.submit(CLEO, own(200)).unwrap();
    assert_eq!(room.paced.unwrap().marked_at, NOW);
    let (_, room) = ahead.submit(CLEO, says()).unwrap();
    assert_eq!(room.paced.unwrap().last_post_at, NOW);
    let refused = ahead.refusal(CLEO, own(MARKED_BYTES_MAX + 1));
    assert_eq!(refused.0, RejectCode::BadPayload);
}

/// The store learns when and how much a member posted only if a rule needs it.
#[test]
fn posts_are_counted_only_if_needed() {
    let (_, room) = World::new().submit(CLEO, says()).unwrap();
    assert_eq!((room.counted, room.paced), (None, None));
    let world = ruled(|numbers| (numbers.slow_seconds, numbers.budget_per_day) = (1, 9));
    let (_, room) = world.submit(CLEO, says()).unwrap();
    assert_eq!(room.counted, Some((key(CLEO), posts::quarter(NOW))));
    assert_eq!(room.paced.unwrap().last_post_at, NOW);
    for (sender, submission) in [(1, says()), (CLEO, commits(vec![]))] {
        let (_, room) = world.submit(sender, submission).unwrap();
        assert_eq!((room.counted, room.paced), (None, None));
    }
    assert!(posts::needs_budget(&world.row, &world.members[2]));
    assert!(!posts::needs_budget(&world.row, &world.members[0]));
    assert!(!posts::needs_budget(&row(), &world.members[2]));
}

/// Effects of one submission see the results of earlier ones.
#[test]
fn effects_see_earlier_effects() {
    let world = World::new();
    let admit = || Effect::Admit {
        member: key(7),
        role: Role::Member,
        welcome: BlobId([1; 32]),
        acknowledgement: Digest([7; 32]),
    };
    let revoke = |id| Effect::RevokeInvite { invite: InviteId([id; 16]) };
    let remove = |number| Effect::Remove { member: key(number) };
    let decline = |number| Effect::Decline { member: key(number), note: vec![] };
    let agree = |number| Effect::SetAgreement { agreement: Commitment([number; 32]) };
    use RejectCode::NotFound;
    for (effects, code) in [
        (vec![admit(), admit()], Some(NotFound)),
        (vec![admit(), remove(7)], None),
        (vec![admit(), decline(7)], Some(NotFound)),
        (vec![admit(), decline(6)], None),
        (vec![decline(7), admit()], Some(NotFound)),
        // Ben made invite 2, and Gil waits with it.
        (vec![remove(2), revoke(2)], None),
        (vec![remove(2), revoke(2), revoke(2)], Some(NotFound)),
        (vec![remove(2), revoke(1)], None),
        (vec![remove(2), revoke(3)], None),
        (vec![revoke(3), revoke(3)], Some(NotFound)),
        (vec![agree(9), decline(7)], Some(NotFound)),
        (vec![agree(9), revoke(1)], Some(NotFound)),
        (vec![agree(4), revoke(1)], None),
    ] {
        let result = world.submit(1, commits(effects.clone()));
        assert_eq!(result.err().map(|refusal| refusal.code), code, "{effects:?}");
    }
}

#[test]
fn invites_show_until_used_or_expired() {
    let good = Invite { uses_left: 1, expires: NOW.plus(1), ..World::new().invites[0] };
    let used = Invite { uses_left: 0, ..good };
    let old = Invite { expires: NOW, ..good };
    let codes = |invite| {
        let code = |result: Result<Invite, Refusal>| result.err().map(|refusal| refusal.code);
        (code(admission::preview(invite, NOW)), code(admission::burn(invite, NOW)))
    };
    use RejectCode::{InviteExpired, InviteInvalid, InviteUsed};
    assert_eq!(codes(Some(good)), (None, None));
    assert_eq!(codes(Some(used)), (Some(InviteUsed), None));
    assert_eq!(codes(Some(old)), (Some(InviteExpired), Some(InviteExpired)));
    assert_eq!(codes(None), (Some(InviteInvalid), Some(InviteInvalid)));
    let grant = Some(Terms { rooms_left: 1, members_max: 9, expires: NOW.plus(1) });
    let founder = MemberRow { joined: Seq(0), ..member(1, Role::Facilitator) };
    let later = member(1, Role::Facilitator);
    for (grant, founder, opens) in [
        (grant, None, true),
        (None, Some(&founder), true),
        (None, Some(&later), false),
        (None, None, false),
    ] {
        assert_eq!(admission::check_grant(grant, founder, NOW).is_ok(), opens);
    }
}

/// A blob is deleted once its member has subscribed past their admission.
#[test]
fn oldest_unclaimed_blob_is_evicted() {
    let put = |count| {
        let mut room = Room::new(row());
        let staged = blobs::Staged { count, oldest: Some(BlobId([1; 32])) };
        let blob = BlobId([2; 32]);
        decide(|context| blobs::put(&mut room, context, staged, blob, vec![7])).unwrap();
        room.changes.len()
    };
    assert_eq!((put(15), put(16)), (1, 2));
    let mut welcomed = member(CLEO, Role::Member);
    welcomed.welcome = Some(BlobId([1; 32]));
    let fetched = |after| {
        let mut room = Room::new(row());
        blobs::fetched(&mut room, welcomed.clone(), Seq(after));
        room.changes.len()
    };
    assert_eq!((fetched(0), fetched(1)), (0, 2));
}

/// Only the same payload and the same effects are the same submission.
#[test]
fn prints_tell_submissions_apart() {
    let print = |submission: &Submission| Print::of(&Plain, &ROOM, &key(CLEO), submission);
    let effects = vec![Effect::Reopen { epoch: Epoch(1) }];
    let (plain, acting) = (says(), submission(post(EPOCH.0), effects));
    let first = print(&plain);
    first.check_entry(&print(&plain).digest, None).unwrap();
    let conflict = Err(RejectCode::IdConflict.into());
    assert_eq!(first.check_entry(&Digest([0; 32]), None), conflict);
    let other = print(&acting).effects;
    assert_eq!(
        first.check_entry(&first.digest, other.as_ref().map(<[u8; 16]>::as_slice)),
        conflict
    );
    print(&acting).check_effects(other.as_ref().map(<[u8; 16]>::as_slice)).unwrap();
    assert_eq!(print(&acting).check_effects(None), conflict);
}

#[test]
fn epochs_reopen_by_one_or_ahead() {
    let world = World::new();
    let reopen = |epoch| acts(vec![Effect::Reopen { epoch: Epoch(epoch) }]);
    for (epoch, opens) in [(EPOCH.0 - 2, false), (EPOCH.0, false), (EPOCH.0 - 1, true)] {
        let result = world.submit(1, reopen(epoch));
        assert_eq!(result.as_ref().err().map(|refusal| refusal.code).is_none(), opens);
        if let Ok((_, room)) = result {
            assert_eq!(room.row.epoch, Epoch(epoch));
        }
    }
    world.submit(1, reopen(EPOCH.0 + 1)).unwrap();
    for epoch in [EPOCH.0 - 1, EPOCH.0 + 1] {
        assert_eq!(world.refusal(2, reopen(epoch)).0, RejectCode::NotFacilitator);
    }
}

#[test]
fn roles_are_granted_from_above() {
    let mut world = World::new();
    world.pending.push(Pending { member: key(5), digest: Digest([5; 32]), ..world.pending[0] });
    let admit = |number: u8, role| {
        let (member, acknowledgement) = (key(number), Digest([number; 32]));
        let welcome = BlobId([1; 32]);
        commits(vec![Effect::Admit { member, role, welcome, acknowledgement }])
    };
    world.submit(1, admit(7, Role::CoFacilitator)).unwrap();
    world.submit(2, admit(7, Role::Observer)).unwrap();
    let refused = world.refusal(2, admit(7, Role::CoFacilitator));
    assert_eq!(refused.0, RejectCode::NotFacilitator);
    // A removed member can return; a member who left is still a leaf of the group.
    world.members[5].timeout_until = NOW.plus(9);
    let (_, room) = world.submit(1, admit(6, Role::Member)).unwrap();
    let Some(Change::Member(row)) = room.changes.first() else { panic!("{:?}", room.changes) };
    assert_eq!((row.joined, row.timeout_until), (Seq(HEAD.0 + 1), NOW.plus(9)));
    assert_eq!(world.refusal(1, admit(5, Role::Member)).0, RejectCode::NotFound);
    // A facilitator may keep the role, and may leave if no other member remains.
    let stays = Effect::SetRole { member: key(1), role: Role::Facilitator };
    world.submit(1, commits(vec![stays])).unwrap();
    let leaves = || submission(marked(EPOCH.0), vec![Effect::Leave]);
    assert_eq!(world.refusal(1, leaves()).0, RejectCode::LastFacilitator);
    world.members.retain(|member| member.key == key(1) || !member.is_in());
    world.submit(1, leaves()).unwrap();
}

#[test]
fn permitted_effects_are_accepted() {
    let world = World::new();
    // Eve left, so any member may commit her departure.
    for (sender, effect) in [
        (CLEO, Effect::Remove { member: key(5) }),
        (2, Effect::SetRole { member: key(CLEO), role: Role::Observer }),
        (2, Effect::SetNumbers { numbers: RoomNumbers::default() }),
    ] {
        world.submit(sender, commits(vec![effect])).unwrap();
    }
}

#[test]
fn departure_is_saved_with_its_traces() {
    let mut world = World::new();
    world.members[1].welcome = Some(BlobId([1; 32]));
    let removal = commits(vec![Effect::Remove { member: key(2) }]);
    let (_, room) = world.submit(1, removal).unwrap();
    let gone = MemberRow {
        state: State::Gone,
        gone: Seq(HEAD.0 + 1),
        gone_at: NOW,
        welcome: None,
        ..world.members[1].clone()
    };
    let traces = [
        Change::Member(gone),
        Change::DropUnusedBlob(BlobId([1; 32])),
        Change::ForgetInvitesOf([2; 16]),
    ];
    assert_eq!(room.changes, traces);
}

/// Moderators learn that a knock went with its invite.
#[test]
fn revoked_invite_reports_its_knocks() {
    let told = [1, 3].map(|id| {
        let revoke = acts(vec![Effect::RevokeInvite { invite: InviteId([id; 16]) }]);
        World::new().submit(1, revoke).unwrap().1.news.roster
    });
    assert_eq!(told, [true, false]);
}

/// A knock and a Welcome cost their bytes and a row, to the last byte of a room.
#[test]
fn rows_count_against_the_room() {
    const MAX: u64 = 1_000_000;
    let limits = Limits { room_bytes_max: MAX, ..Limits::NONE };
    let (_, open, mut knock) = knocking();
    knock.body = vec![0; KNOCK_BYTES_MAX];
    let filled = |bytes| Room::new(RoomRow { bytes, ..row() });
    let knocks = |bytes| {
        let room = filled(bytes);
        assert_eq!(admission::check_knock(&room, NOW, &open, &knock), Ok(None));
        decide_within(limits, |context| {
            admission::pace_knock(&room, context, &open, Crowd::default(), &knock).is_ok()
        })
    };
    let last = MAX - MAX / 10 - KNOCK_BYTES_MAX as u64 - quota::ROW_BYTES;
    assert_eq!([last, last + 1].map(knocks), [true, false]);
    let puts = |bytes| {
        let (mut room, staged) = (filled(bytes), blobs::Staged::default());
        decide_within(limits, |context| {
            blobs::put(&mut room, context, staged, BlobId([2; 32]), vec![7; 10]).is_ok()
        })
    };
    let last = MAX - 10 - quota::ROW_BYTES;
    assert_eq!([last, last + 1].map(puts), [true, false]);
}

/// A room that is full for posts can still be moderated.
#[test]
fn shares_of_a_full_room_differ() {
    const MAX: u64 = 1_000_000;
    let limits = Limits { room_bytes_max: MAX, ..Limits::NONE };
    let takes = |bytes, sender: u8, submission: Submission| {
        let sender = World::new().members[usize::from(sender) - 1].clone();
        let mut room = Room::new(row());
        room.row.bytes = bytes;
        let checked = decide_within(limits, |context| check(&room, context, sender, submission));
        checked.map_err(|refusal| refusal.code).err()
    };
    let invite = || {
        let (invite, expires) = (InviteId([9; 16]), Millis::NEVER);
        acts(vec![Effect::AddInvite { invite, uses: 1, expires, preview: vec![] }])
    };
    let revoke = || acts(vec![Effect::RevokeInvite { invite: InviteId([1; 16]) }]);
    let own = || {
        let own = Some(MessageId([1; 16]));
        submission(marked(EPOCH.0), vec![Effect::Retract { seq: Seq(5), own }])
    };
    let full = Some(RejectCode::QuotaSpent);
    for (bytes, cleo, ann, invites, commit, rule) in [
        (MAX / 2, None, None, None, None, None),
        (MAX - MAX / 10, full, None, None, None, None),
        (MAX - MAX / 100, full, full, full, None, None),
        (MAX, full, full, full, full, None),
        (MAX + MAX / 100, full, full, full, full, full),
    ] {
        assert_eq!(takes(bytes, CLEO, says()), cleo, "{bytes}");
        assert_eq!(takes(bytes, 1, says()), ann, "{bytes}");
        assert_eq!(takes(bytes, 1, invite()), invites, "{bytes}");
        assert_eq!(takes(bytes, 1, commits(vec![])), commit, "{bytes}");
        assert_eq!(takes(bytes, 1, revoke()), rule, "{bytes}");
        // Retractions are always accepted, because they make the room smaller.
        assert_eq!((takes(bytes, 1, own()), takes(bytes, CLEO, own())), (None, None), "{bytes}");
    }
}

#[test]
fn commits_of_members_are_paced() {
    let world = World::new();
    let burst = |sender: u8, submission: fn() -> Submission| {
        decide(|context| {
            let sender = &world.members[usize::from(sender) - 1];
            let room = world.load(&Needs::default());
            let taken = |_: &u32| check(&room, context, sender.clone(), submission()).is_ok();
            (0..20).take_while(taken).count()
        })
    };
    assert_eq!(burst(CLEO, || commits(vec![])), 5);
    assert_eq!((burst(CLEO, says), burst(1, || commits(vec![]))), (20, 20));
}

#[test]
fn reading_depends_on_standing() {
    let world = World::new();
    let desk = (2, world.members[..5].to_vec());
    let status =
        reading::status(row(), &world.members[0], Some(desk), hearth_protocol::StreamId([0; 16]));
    let left: Vec<bool> = status.roster.iter().map(|row| row.left).collect();
    assert_eq!((status.knocks, left), (2, vec![false, false, false, false, true]));
    let mut cleo = world.members[2].clone();
    cleo.welcome = Some(BlobId([1; 32]));
    blobs::check_fetch(&cleo, &BlobId([1; 32])).unwrap();
    assert!(blobs::check_fetch(&cleo, &BlobId([2; 32])).is_err());
    let standing = |row: Option<&MemberRow>, knock: Option<Standing>| {
        reading::standing(row.cloned(), knock).map(|view| view.standing)
    };
    let (knocking, former) = (Some(Standing::Knocking), &world.members[5]);
    assert_eq!(standing(Some(&cleo), knocking.clone()), Ok(cleo.standing()));
    assert_eq!(standing(Some(former), knocking), Ok(Standing::Knocking));
    assert_eq!(standing(Some(former), None), Ok(former.standing()));
    assert_eq!(standing(None, None), Err(RejectCode::NotMember.into()));
    assert!(reading::moderator(Some(world.members[1].clone())).is_ok());
    assert!(reading::moderator(Some(cleo)).is_err());
}

#[test]
fn entries_expire_to_the_moment() {
    let numbers = RoomNumbers { retention_seconds: 60, ..RoomNumbers::default() };
    let expiry = |oldest| retention::Expiry::of(&numbers, oldest, NOW);
    let cutoff = NOW.0 - 60_000;
    assert_eq!((expiry(cutoff), expiry(u64::MAX)), (None, None));
    let due = expiry(cutoff - 1).unwrap();
    assert_eq!(due.cutoff, cutoff);
    assert_eq!(due.commits_cutoff(), NOW.0 - 366 * DAY);
    assert_eq!(retention::STAGED_KEPT_MILLIS, DAY);
    assert_eq!(retention::INVITE_KEPT_MILLIS, DAY);
    assert_eq!(retention::WELCOME_KEPT_MILLIS, 84 * DAY);
    assert_eq!(retention::KNOCK_KEPT_MILLIS, 30 * DAY);
}

#[test]
fn budget_counts_by_the_quarter() {
    const QUARTER: u64 = DAY / 96;
    let quarters = |now| (posts::quarter(Millis(now)), posts::first_quarter(Millis(now)));
    assert_eq!(quarters(DAY), (96, 0));
    assert_eq!(quarters(DAY + 2 * QUARTER - 1), (97, 1));
    assert_eq!(quarters(DAY + 2 * QUARTER), (98, 2));
}

#[test]
fn hours_close_the_room_between() {
    // 2001-09-09T01:46:40Z, a Sunday.
    let minute = 6 * 24 * 60 + 106;
    let hours = |start_minute, end_minute| Hours {
        windows: vec![Window { start_minute, end_minute }],
        offsets: vec![Offset { from: Millis(0), minutes: 0 }],
    };
    let by_hours =
        |hours| ruled(|numbers| (numbers.door, numbers.hours) = (Door::ByHours, Some(hours)));
    by_hours(hours(minute, minute + 1)).submit(CLEO, says()).unwrap();
    let closed = by_hours(hours(minute + 60, minute + 61)).refusal(CLEO, says());
    assert_eq!(closed, (RejectCode::Closed, Some(Millis(NOW.0 - 40_000 + 3_600_000))));
}

#[test]
fn submission_counts_its_whole_memory() {
    let note = vec![0; 100];
    let whole = submission(vec![0; 1000], vec![Effect::Decline { member: key(7), note }]);
    assert_eq!(whole.bytes(), 1000 + 100 + size_of::<Effect>());
    assert_eq!(acts(vec![Effect::Leave, Effect::Leave]).bytes(), 2 * size_of::<Effect>());
}

/// A deterministic source of choices (xorshift64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }

    fn key(&mut self) -> MemberKey {
        key(1 + self.roll(9) as u8)
    }

    fn role(&mut self) -> Role {
        [Role::Facilitator, Role::CoFacilitator, Role::Member, Role::Observer]
            [self.roll(4) as usize]
    }

    fn effect(&mut self) -> Effect {
        let id = |dice: &mut Self| InviteId([1 + dice.roll(4) as u8; 16]);
        match self.roll(12) {
            0 | 1 => {
                let member = if self.roll(2) == 0 { key(7) } else { self.key() };
                Effect::Admit {
                    member,
                    role: self.role(),
                    welcome: BlobId([1 + (self.roll(4) / 3) as u8; 32]),
                    acknowledgement: Digest(member.0),
                }
            }
            2 => Effect::Remove { member: self.key() },
            3 => Effect::SetRole { member: self.key(), role: self.role() },
            4 => Effect::Timeout { member: self.key(), until: NOW.plus(9) },
            5 => {
                let own =
                    (self.roll(2) == 0).then(|| MessageId(self.key().0[..16].try_into().unwrap()));
                Effect::Retract { seq: Seq(self.roll(HEAD.0 + 2)), own }
            }
            6 => Effect::Decline { member: self.key(), note: vec![] },
            7 => {
                let (invite, expires) = (id(self), Millis::NEVER);
                Effect::AddInvite { invite, uses: 1, expires, preview: vec![] }
            }
            8 => Effect::RevokeInvite { invite: id(self) },
            9 => Effect::SetAgreement { agreement: Commitment([4 + self.roll(2) as u8; 32]) },
            10 => Effect::Leave,
            _ => Effect::Reopen { epoch: Epoch(EPOCH.0 - 1 + self.roll(4)) },
        }
    }

    fn submission(&mut self) -> Submission {
        let effects = (0..self.roll(4)).map(|_| self.effect()).collect();
        let epoch = if self.roll(8) == 0 { EPOCH.0 + 1 } else { EPOCH.0 };
        let payload = match self.roll(6) {
            0 => vec![],
            1 => post(epoch),
            2 => marked(epoch),
            _ => commit(epoch),
        };
        submission(payload, effects)
    }
}

/// A decision depends only on the parts that its verb needs; and every accepted submission moves the room by one step.
#[test]
fn decisions_depend_only_on_their_needs() {
    let world = World::new();
    let (mut dice, mut accepted) = (Dice(0x9e37_79b9_7f4a_7c15), 0);
    for _ in 0..60_000 {
        let (sender, submission) = (1 + dice.roll(6) as u8, dice.submission());
        let part = world.submit(sender, submission.clone());
        let whole = world.submit_with(sender, submission.clone(), Some(&world.all()));
        let outcome = |result: &Result<(Accepted, Room), Refusal>| {
            result.as_ref().map_err(|refusal| *refusal).map(|(accepted, room)| {
                let row = &room.row;
                let saved = (row.head, row.epoch, row.control, row.agreement, row.added);
                (*accepted, saved, room.changes.clone(), room.news.clone(), room.paced.clone())
            })
        };
        assert_eq!(outcome(&part), outcome(&whole), "{submission:?}");
        let Ok((answer, room)) = part else { continue };
        accepted += 1;
        let entry = !submission.payload.is_empty();
        assert_eq!(answer.seq, if entry { Seq(HEAD.0 + 1) } else { Seq(0) });
        assert_eq!(room.row.head.0 - HEAD.0, u64::from(entry));
        assert_eq!(room.row.control - 5, u64::from(!submission.effects.is_empty()));
        assert_eq!(room.append.unwrap().payload, submission.payload);
        let reopened = submission.effects.iter().rev().find_map(|effect| match effect {
            Effect::Reopen { epoch } => Some(epoch.0),
            _ => None,
        });
        let is_commit =
            submission.payload.get(mls_header::CONTENT_TYPE_AT) == Some(&mls_header::COMMIT);
        assert_eq!(room.row.epoch.0, reopened.unwrap_or(EPOCH.0) + u64::from(is_commit));
        let agreed = submission.effects.iter().any(|e| matches!(e, Effect::SetAgreement { .. }));
        assert_eq!(room.rules_changed, agreed);
        let dropped = room.changes.iter().any(|change| match change {
            Change::DropKnocksBy(invite) => {
                world.pending.iter().any(|knock| knock.invite == *invite)
            }
            _ => false,
        });
        let touches = |effect: &Effect| {
            use Effect::{AddInvite, Reopen, Retract, RevokeInvite};
            let quiet = matches!(
                effect,
                AddInvite { .. } | Reopen { .. } | Retract { .. } | RevokeInvite { .. }
            );
            !quiet
        };
        let roster = submission.effects.iter().any(touches);
        assert!(room.news.roster == roster || room.news.roster && dropped, "{submission:?}");
        assert!(!room.news.knocked && room.counted.is_none());
        let is_marked = submission.payload.get(mls_header::CONTENT_TYPE_AT + 1) == Some(&1);
        assert_eq!(room.paced.is_some(), is_marked, "{submission:?}");
        // Members who do not moderate can only leave, retract their own entries, and carry out departures.
        let moderates = world.members[usize::from(sender) - 1].role.moderates();
        let own = |effect: &Effect| match effect {
            Effect::Leave | Effect::Retract { own: Some(_), .. } => true,
            Effect::Remove { member } => *member == key(5),
            _ => false,
        };
        assert!(moderates || submission.effects.iter().all(own), "{submission:?}");
        // The room keeps a facilitator as long as it has a member.
        let mut after = world.members.clone();
        for change in &room.changes {
            if let Change::Member(row) = change {
                after.retain(|member| member.key != row.key);
                after.push(row.clone());
            }
        }
        let is_in = |member: &&MemberRow| member.is_in();
        let led = after.iter().filter(is_in).any(|member| member.role == Role::Facilitator);
        assert!(led || !after.iter().any(|member| member.is_in()), "{submission:?}");
    }
    assert!(accepted > 3_000, "{accepted}");
}

#[test]
fn ended_room_takes_no_words() {
    let ended = ruled(|numbers| numbers.ends_at = Some(NOW));
    let open = ruled(|numbers| numbers.ends_at = Some(NOW.plus(1)));
    for who in [1, CLEO] {
        open.submit(who, says()).unwrap();
        assert_eq!(ended.refusal(who, says()).0, RejectCode::Ended);
    }
    let numbers = |ends_at| {
        let numbers = RoomNumbers { ends_at, ..RoomNumbers::default() };
        commits(vec![Effect::SetNumbers { numbers }])
    };
    let invite = || {
        let (invite, preview) = (InviteId([9; 16]), Vec::new());
        acts(vec![Effect::AddInvite { invite, uses: 1, expires: NOW.plus(1), preview }])
    };
    for late in [numbers(None), numbers(Some(NOW.plus(9))), invite()] {
        assert_eq!(ended.refusal(1, late).0, RejectCode::Ended);
    }
    open.submit(1, numbers(None)).unwrap();
    // Members renew their keys, and leave.
    ended.submit(CLEO, commits(vec![])).unwrap();
    ended.submit(CLEO, submission(marked(EPOCH.0), vec![Effect::Leave])).unwrap();
    ended.submit(1, numbers(Some(NOW))).unwrap();
}

#[test]
fn steward_lets_in_and_enacts_alone() {
    let mut world = World::new();
    world.members.push(member(9, Role::Steward));
    let admit = |role| {
        let (member, acknowledgement) = (key(7), Digest([7; 32]));
        let welcome = BlobId([1; 32]);
        commits(vec![Effect::Admit { member, role, welcome, acknowledgement }])
    };
    world.submit(9, admit(Role::Member)).unwrap();
    for role in [Role::Observer, Role::Steward, Role::CoFacilitator] {
        assert_eq!(world.refusal(9, admit(role)).0, RejectCode::NotFacilitator);
    }
    assert_eq!(world.refusal(9, says()).0, RejectCode::Observer);
    let agreement = Commitment([9; 32]);
    let remove = || Effect::Remove { member: key(CLEO) };
    let invite = || {
        let (invite, preview) = (InviteId([9; 16]), Vec::new());
        Effect::AddInvite { invite, uses: 1, expires: NOW.plus(1), preview }
    };
    world.submit(9, commits(vec![remove(), Effect::SetAgreement { agreement }, invite()])).unwrap();
    for alone in [remove(), invite()] {
        assert_eq!(world.refusal(9, commits(vec![alone])).0, RejectCode::NotFacilitator);
    }
    let others = [
        Effect::SetRole { member: key(CLEO), role: Role::Observer },
        Effect::SetNumbers { numbers: RoomNumbers::default() },
        Effect::Timeout { member: key(CLEO), until: NOW.plus(1) },
    ];
    for effect in others {
        assert_eq!(world.refusal(9, commits(vec![effect])).0, RejectCode::NotFacilitator);
    }
    // A co-facilitator makes no steward, and unmakes none.
    let gives = |member, role| commits(vec![Effect::SetRole { member: key(member), role }]);
    for submission in [gives(CLEO, Role::Steward), gives(9, Role::Member)] {
        assert_eq!(world.refusal(2, submission).0, RejectCode::NotFacilitator);
    }
    world.submit(1, gives(9, Role::Member)).unwrap();
}
