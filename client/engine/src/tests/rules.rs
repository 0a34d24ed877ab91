//! Limits of single acts, tested on the policy alone.

use crate::policy::{ACCEPTED_MAX, DRAFTS_MAX, Draft, Pin};
use hearth_protocol::{
    Digest, MemberKey,
    hours::{Hours, Offset, Window as Opening},
    limits::PADDING_BUCKETS,
};

use super::{world::*, *};
use crate::{
    agreement::{AckError, Change},
    content::{Body, Envelope, Seen, WINDOWS_MAX, Window},
    policy::{
        Act, AgreementRef, COMMENT_CHARS_MAX, Category, PINS_MAX, REVOKED_MAX, ROLES_MAX,
        RoleEntry, RoomPolicy, RuleError, Scene,
    },
};

/// A policy and a room to judge it in.
struct Bench {
    world: World,
    policy: RoomPolicy,
}

impl Bench {
    fn new() -> Self {
        let mut world = World::new();
        let policy = world.policy();
        Self { world, policy }
    }

    /// Applies an act of Fay's to the policy without committing it.
    fn judge(&mut self, act: Act) -> Result<RoomPolicy, RuleError> {
        let room = &mut self.world.rooms[FAY];
        let (roster, mine) = (room.roster().unwrap(), ack_of(room));
        let scene = Scene {
            room: room.id(),
            members_max: Suite::X25519.members_max(),
            roster: &roster,
            added: None,
            actor_acknowledgement: &mine,
        };
        let record = self.policy.record_for(room.me(), NOW, act);
        self.policy.apply(scene, &record).map(|applied| applied.policy)
    }

    /// Applies an act and keeps the result.
    fn act(&mut self, act: Act) {
        self.policy = self.judge(act).unwrap();
    }

    fn refuses(&mut self, act: Act, error: &RuleError) {
        let shown = format!("{act:?}");
        assert_eq!(self.judge(act).as_ref().err(), Some(error), "{shown}");
    }
}

fn letters(many: usize) -> String {
    "é".repeat(many)
}

#[test]
fn texts_of_acts_are_bounded() {
    let mut bench = Bench::new();
    let ben = bench.world.key(BEN);
    let acts: [fn(String, MemberKey) -> Act; 4] = [
        |text, _| Act::Announce(text),
        |text, _| Act::Pause { until: NOW.plus(1), comment: text, reopens: true },
        |text, _| Act::Hours { text, hours: None },
        |text, member| Act::Remove { member, goodbye: text },
    ];
    for act in acts {
        assert!(bench.judge(act(letters(COMMENT_CHARS_MAX), ben)).is_ok());
        bench.refuses(act(letters(COMMENT_CHARS_MAX + 1), ben), &RuleError::TooLong);
    }
}

#[test]
fn pause_ends_later_and_resumes_once() {
    let mut bench = Bench::new();
    let pause = |until| Act::Pause { until, comment: String::new(), reopens: true };
    bench.refuses(Act::Resume, &RuleError::Nothing);
    bench.refuses(pause(NOW), &RuleError::OutOfRange);
    bench.act(pause(NOW.plus(1)));
    assert_eq!(bench.policy.numbers.paused_until, NOW.plus(1));
    bench.act(Act::Resume);
    assert_eq!(bench.policy.numbers.paused_until, Millis(0));
    bench.refuses(Act::Lock(false), &RuleError::Nothing);
    bench.act(Act::Lock(true));
    bench.refuses(Act::Lock(true), &RuleError::Nothing);
}

#[test]
fn malformed_hours_are_refused() {
    let mut bench = Bench::new();
    let hours = |start_minute, end_minute| Hours {
        windows: vec![Opening { start_minute, end_minute }],
        offsets: vec![Offset { from: Millis(0), minutes: 60 }],
    };
    let act = |hours| Act::Hours { text: "evenings".into(), hours: Some(hours) };
    bench.refuses(act(hours(60, 60)), &RuleError::OutOfRange);
    bench.act(act(hours(60, 120)));
    assert_eq!(bench.policy.numbers.hours, Some(hours(60, 120)));
    assert_eq!(bench.policy.hours_text, "evenings");
}

#[test]
fn pins_are_capped_oldest_first() {
    let mut bench = Bench::new();
    let id = |number: usize| {
        let message = MessageId([u8::try_from(number).unwrap(); 16]);
        Pin { message, seq: Seq(2) }
    };
    let pins = |numbers: &[usize]| numbers.iter().map(|n| id(*n)).collect::<Vec<_>>();
    for number in 1..=PINS_MAX {
        bench.act(Act::Pin(id(number)));
    }
    assert_eq!(bench.policy.pins, pins(&[1, 2, 3, 4, 5]));
    // Pinned again, it becomes the newest.
    bench.act(Act::Pin(id(2)));
    assert_eq!(bench.policy.pins, pins(&[1, 3, 4, 5, 2]));
    bench.act(Act::Pin(id(6)));
    assert_eq!(bench.policy.pins, pins(&[3, 4, 5, 2, 6]));
    bench.refuses(Act::Unpin(id(1)), &RuleError::Nothing);
    bench.act(Act::Unpin(id(4)));
    assert_eq!(bench.policy.pins, pins(&[3, 5, 2, 6]));
    let retract = |pin: Pin| {
        let Pin { message, seq } = pin;
        Act::Retract { message, seq, category: Category::Conduct }
    };
    bench.act(retract(id(5)));
    assert_eq!(bench.policy.pins, pins(&[3, 2, 6]));
    bench.act(retract(id(9)));
    // Another message with the same id.
    bench.act(retract(Pin { seq: Seq(3), ..id(3) }));
    assert_eq!(bench.policy.pins, pins(&[3, 2, 6]));
}

#[test]
fn retention_is_hour_to_ten_years() {
    let mut bench = Bench::new();
    let ten_years = 10 * 365 * 24 * 3600;
    for seconds in [3600, ten_years] {
        bench.act(Act::Expire(seconds));
        assert_eq!(bench.policy.numbers.retention_seconds, seconds);
    }
    for seconds in [0, 3599, ten_years + 1] {
        bench.refuses(Act::Expire(seconds), &RuleError::OutOfRange);
    }
}

#[test]
fn agreement_versions_are_consecutive() {
    let mut bench = Bench::new();
    let next = |version, id: u8| AgreementRef {
        id: Digest([id; 32]),
        version,
        effective: NOW,
        answers: None,
    };
    let amend = |agreement, change| Act::Amend { agreement, change };
    for version in [0, 1, 3] {
        let act = amend(next(version, 3), Change::Editorial);
        bench.refuses(act, &RuleError::NotNextVersion);
    }
    bench.refuses(amend(next(2, 3), Change::Initial), &RuleError::OutOfRange);
    bench.refuses(Act::Enact, &RuleError::Nothing);
    bench.act(amend(next(2, 3), Change::Editorial));
    assert_eq!(bench.policy.agreement, next(2, 3));
    assert_eq!(bench.policy.accepted.last(), Some(&Digest([3; 32])));
    // Editorial changes wait while a material change is pending.
    let later = AgreementRef { effective: NOW.plus(1), ..next(3, 4) };
    bench.act(amend(later, Change::Material));
    assert_eq!((bench.policy.agreement, bench.policy.pending), (next(2, 3), Some(later)));
    bench.refuses(amend(next(3, 5), Change::Editorial), &RuleError::NotNextVersion);
    bench.refuses(amend(next(4, 5), Change::Editorial), &RuleError::OutOfRange);
    bench.refuses(Act::Enact, &RuleError::OutOfRange);
    // The next draft needs its own number.
    bench.refuses(amend(next(3, 6), Change::Material), &RuleError::NotNextVersion);
    bench.act(amend(next(4, 6), Change::Material));
    assert_eq!(bench.policy.drafts, [Draft { id: Digest([4; 32]), version: 3 }]);
    let unsigned = RuleError::NotAcknowledged(AckError::OtherAgreement);
    bench.refuses(Act::Enact, &unsigned);
    bench.act(Act::Withdraw);
    assert_eq!((bench.policy.pending, bench.policy.drafts.len()), (None, 2));
    bench.refuses(Act::Withdraw, &RuleError::Nothing);
    bench.act(amend(next(5, 7), Change::Editorial));
    assert_eq!(bench.policy.agreement, next(5, 7));
}

#[test]
fn accepted_versions_are_bounded() {
    let mut bench = Bench::new();
    let amend = |version: u8| {
        let id = Digest([version; 32]);
        let agreement = AgreementRef { id, version: version.into(), effective: NOW, answers: None };
        Act::Amend { agreement, change: Change::Editorial }
    };
    let last = u8::try_from(ACCEPTED_MAX).unwrap();
    for version in 2..=last {
        bench.act(amend(version));
    }
    assert_eq!(bench.policy.accepted.len(), ACCEPTED_MAX);
    bench.refuses(amend(last + 1), &RuleError::OutOfRange);
}

#[test]
fn drafts_are_bounded() {
    let mut bench = Bench::new();
    let mut version = 2;
    let mut amend = |bench: &mut Bench| {
        let id = Digest([u8::try_from(version).unwrap(); 32]);
        let agreement = AgreementRef { id, version, effective: NOW, answers: None };
        version += 1;
        bench.judge(Act::Amend { agreement, change: Change::Material })
    };
    for _ in 0..=DRAFTS_MAX {
        bench.policy = amend(&mut bench).unwrap();
    }
    assert_eq!(bench.policy.drafts.len(), DRAFTS_MAX);
    assert_eq!(amend(&mut bench).unwrap_err(), RuleError::TooManyDrafts);
    bench.refuses(Act::Withdraw, &RuleError::TooManyDrafts);
}

/// The relay's length limit must fit the longest permitted text with the largest envelope around it.
#[test]
fn longest_text_fits_the_relays_limit() {
    /// MLS around the padded content: header, tag, signature and sender data, with room to spare.
    const MLS_BYTES: usize = 512;
    let mut bench = Bench::new();
    let window = Window { since: Seq(u64::MAX), hash: Digest([1; 32]) };
    let seen =
        Seen { seq: Seq(u64::MAX), digest: Digest([1; 32]), windows: vec![window; WINDOWS_MAX] };
    for chars in (1..=1200).chain([2000, 3900, 4000]) {
        bench.act(Act::Length(chars));
        let envelope = Envelope {
            format: 2,
            salt: [1; 16],
            id: MessageId([1; 16]),
            counter: u64::MAX,
            seen: Some(seen.clone()),
            sent_at: Millis(u64::MAX),
            body: Body::Text("🫂".repeat(usize::try_from(chars).unwrap())),
        };
        let padded = envelope.to_padded().unwrap().len();
        let allowed = usize::try_from(bench.policy.numbers.payload_bytes_max).unwrap();
        assert!(padded + MLS_BYTES <= allowed, "{chars} characters: {padded} of {allowed} bytes");
        assert!(PADDING_BUCKETS.contains(&(allowed - MLS_BYTES)), "{chars} characters: {allowed}");
    }
    bench.act(Act::Length(0));
    assert_eq!(bench.policy.numbers.payload_bytes_max, 0);
}

#[test]
fn full_room_admits_nobody() {
    let mut bench = Bench::new();
    let room = &mut bench.world.rooms[FAY];
    let (mut roster, mine) = (room.roster().unwrap(), ack_of(room));
    let fay = room.me();
    let other = roster.iter().position(|leaf| leaf.member != fay).unwrap();
    let added = roster.remove(other);
    let act = admission(room, &added, Role::Member);
    let record = bench.policy.record_for(room.me(), NOW, act);
    let judge = |members_max| {
        let scene = Scene {
            room: room.id(),
            members_max,
            roster: &roster,
            added: Some(&added),
            actor_acknowledgement: &mine,
        };
        bench.policy.apply(scene, &record).err()
    };
    assert_eq!(judge(roster.len()), Some(RuleError::Full(roster.len())));
    assert_eq!(judge(roster.len() + 1), None);
}

#[test]
fn roles_are_capped() {
    let mut bench = Bench::new();
    let ben = bench.world.key(BEN);
    let observes = Act::SetRole { member: ben, role: Role::Observer };
    let role = |n: u8| RoleEntry { member: MemberKey([n; 32]), role: Role::Observer };
    let others = ROLES_MAX - bench.policy.roles.len();
    bench.policy.roles.extend((0..).map(role).take(others));
    bench.policy.roles.sort_unstable_by_key(|entry| entry.member);
    bench.refuses(observes.clone(), &RuleError::TooManyRoles);
    let one = bench.policy.roles.iter().position(|entry| entry.role == Role::Observer).unwrap();
    bench.policy.roles.remove(one);
    assert!(bench.judge(observes).is_ok());
}

#[test]
fn revoked_keys_are_capped_oldest_first() {
    let key = |n: usize| {
        let mut key = MemberKey([0; 32]);
        key.0[..8].copy_from_slice(&n.to_be_bytes());
        key
    };
    for (before, first) in [(REVOKED_MAX - 1, key(0)), (REVOKED_MAX, key(1))] {
        let mut bench = Bench::new();
        let ben = bench.world.key(BEN);
        bench.policy.revoked = (0..before).map(key).collect();
        bench.act(Act::Remove { member: ben, goodbye: String::new() });
        let revoked = &bench.policy.revoked;
        assert_eq!((revoked.len(), revoked[0], revoked.last()), (REVOKED_MAX, first, Some(&ben)));
    }
}

#[test]
fn roles_are_sorted_by_key() {
    let mut bench = Bench::new();
    let ben = bench.world.key(BEN);
    let ends = [MemberKey([0; 32]), MemberKey([255; 32])];
    bench.policy.roles.extend(ends.map(|member| RoleEntry { member, role: Role::Observer }));
    bench.policy.roles.sort_unstable_by_key(|entry| entry.member);
    bench.act(Act::SetRole { member: ben, role: Role::CoFacilitator });
    assert_eq!(bench.policy.role(&ben), Role::CoFacilitator);
    assert!(bench.policy.roles.is_sorted_by_key(|entry| entry.member));
}
