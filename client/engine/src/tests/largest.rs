//! The largest commit of the largest room fits into an entry, so that every member can be removed.

use ed25519_dalek::SigningKey;
use hearth_protocol::{
    Digest, MemberKey,
    hours::{Hours, Offset, Window},
    limits::{HOURS_OFFSETS_MAX, HOURS_WINDOWS_MAX, PAYLOAD_BYTES_MAX},
};

use super::{world::*, *};
use crate::{
    agreement::{
        ANSWER_BYTES_MAX, ANSWERS_MAX, AckTerms, Acknowledgement, Agreement, facilitators_hash,
    },
    mls::{CommitPlan, Identity, key_package},
    more::PolicyMore,
    policy::{
        ACCEPTED_MAX, Act, AgreementRef, COMMENT_CHARS_MAX, DRAFTS_MAX, Draft, PINS_MAX, Pin,
        REVOKED_MAX, ROLES_MAX, RoleEntry, RoomPolicy, TITLE_CHARS_MAX, WAITING_MAX, Waiter,
    },
    provider::Provider,
    room::identity,
};

/// A character of four bytes.
const WIDE: &str = "\u{1f525}";

/// An acknowledgement filled to its limits.
fn acknowledged(key: &SigningKey, room: RoomId, agreement: &Agreement) -> Acknowledgement {
    let terms = AckTerms {
        room,
        agreement,
        facilitators: facilitators_hash(&[]),
        now: NOW,
        nonce: [7; 16],
        answers: vec!["a".repeat(ANSWER_BYTES_MAX); ANSWERS_MAX],
        breach: Some(Digest([7; 32])),
    };
    Acknowledgement::sign(key, terms)
}

/// A policy filled to its limits, as in an old room.
fn fullest(policy: &RoomPolicy, roles: usize, waiting: usize) -> RoomPolicy {
    // As many as a week of 10,080 minutes holds, with a gap after each.
    let starts = (60_u16..).step_by(157).take(HOURS_WINDOWS_MAX);
    let begins = (NOW.0..).take(HOURS_OFFSETS_MAX);
    let hours = Hours {
        windows: starts.map(|n| Window { start_minute: n, end_minute: n + 60 }).collect(),
        offsets: begins.map(|n| Offset { from: Millis(n), minutes: -600 }).collect(),
    };
    assert!(hours.is_well_formed());
    let answers = Some(Digest([8; 32]));
    let agreement = AgreementRef { version: u32::MAX, effective: NOW, answers, ..policy.agreement };
    let role = RoleEntry { member: MemberKey([3; 32]), role: Role::Observer };
    let mut record =
        policy.record_for(policy.record.actor, NOW, Act::Announce(WIDE.repeat(COMMENT_CHARS_MAX)));
    record.number = u64::MAX;
    let waiter = Waiter {
        member: MemberKey([9; 32]),
        name: WIDE.repeat(40),
        salt: [9; 16],
        role: Role::Observer,
        breach: Some(Digest([8; 32])),
    };
    RoomPolicy {
        title: WIDE.repeat(TITLE_CHARS_MAX),
        agreement,
        accepted: vec![Digest([2; 32]); ACCEPTED_MAX],
        pending: Some(agreement),
        roles: vec![role; roles],
        numbers: hearth_protocol::RoomNumbers {
            paused_until: NOW,
            slow_seconds: u32::MAX,
            budget_per_day: u32::MAX,
            payload_bytes_max: u32::MAX,
            hours: Some(hours),
            ..policy.numbers.clone()
        },
        message_chars_max: u32::MAX,
        hours_text: WIDE.repeat(COMMENT_CHARS_MAX),
        pins: vec![Pin { message: MessageId([4; 16]), seq: Seq(u64::MAX) }; PINS_MAX],
        drafts: vec![Draft { id: Digest([6; 32]), version: u32::MAX }; DRAFTS_MAX],
        desk: None,
        more: PolicyMore {
            waiting: Some(vec![waiter; waiting]),
            breach: Some(Digest([8; 32])),
            ..PolicyMore::default()
        },
        revoked: vec![MemberKey([5; 32]); REVOKED_MAX],
        record,
        format: policy.format,
    }
}

/// Bytes of a commit that admits a member, makes the longest record and encrypts to all members: more than any single act does. So
/// many wait, and are in no tree.
fn largest(suite: Suite, waiting: usize) -> usize {
    let mut fay = found("Fay", suite);
    let (id, agreement, policy) = (fay.id(), current(&fay), fay.policy().unwrap());
    let others = Profile::new();
    let no = others.store.create_room().unwrap();
    let provider = Provider::new(&others.crypto, &others.store, no);
    let companion = fay.companion().unwrap();
    let members = suite.members_max() - waiting;
    let packages: Vec<Vec<u8>> = (1..=members)
        .map(|number| {
            let mut seed = [6; 32];
            seed[..8].copy_from_slice(&number.to_be_bytes());
            let key = SigningKey::from_bytes(&seed);
            let acknowledgement = acknowledged(&key, id, &agreement);
            let name = "\u{8a9e}".repeat(40);
            let companion = &companion;
            let acknowledgement = &acknowledgement;
            let identity = Identity { key: &key, name: &name, acknowledgement, companion };
            key_package(&provider, suite, identity).unwrap()
        })
        .collect();
    let (newest, inside) = packages.split_last().unwrap();
    let (state, key) = (fay.state.clone(), fay.signing_key());
    let mine = acknowledged(&key, id, &agreement);
    let companion = fay.companion().unwrap();
    let (provider, group) = fay.group().unwrap();
    group.fill(&provider, &key, inside).unwrap();
    assert_eq!(group.roster().unwrap().len(), members);
    let policy = fullest(&policy, ROLES_MAX.min(members), waiting);
    let plan = CommitPlan {
        add: Some(newest),
        policy: Some(&policy),
        acknowledgement: Some(&mine),
        ..CommitPlan::default()
    };
    let committed =
        group.commit_unchecked(&provider, identity(&state, &key, &mine, &companion), &plan);
    committed.unwrap().commit.len()
}

#[test]
fn largest_commit_fits_an_entry() {
    for (suite, each) in [(Suite::XWing, 1_100), (Suite::X25519, 80)] {
        let bytes = largest(suite, 0);
        // Encrypted to each member separately, because no member has renewed their keys.
        assert!(bytes > suite.members_max() * each, "{suite:?}: {bytes}");
        assert!(bytes <= PAYLOAD_BYTES_MAX, "{suite:?}: {bytes}");
        // A place that is kept takes less than the leaf that is gone, or there are few enough.
        let waiting = WAITING_MAX.min(suite.members_max() / 2);
        let bytes = largest(suite, waiting);
        assert!(bytes <= PAYLOAD_BYTES_MAX, "{suite:?}, {waiting} wait: {bytes}");
    }
}
