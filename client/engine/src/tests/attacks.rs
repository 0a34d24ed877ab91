//! One attack for each check of the gate, the policy and the receiver. Mutation testing shows that each check matters
//! (`docs/mutants.md`).

use hearth_protocol::{Digest, RoomNumbers};

use super::{
    acknowledged::knock_with,
    messages::{ben_sees, envelope, invite_issued, say_in_two_orders, seen_nothing_new, text},
    world::*,
    *,
};
use crate::{
    agreement::{Acknowledgement, Departure},
    content::{Envelope, Seen},
    gate::Expected,
    mls::{
        CommitPlan, Group,
        modified::{Context, Foreign, Forgery, OwnLeaf, store_psk, with_leaf_key},
    },
    policy::{Act, RoleEntry, RoomPolicy},
    state::Notice,
};

/// Runs an attack and returns whether honest members were fooled.
type Attack = fn() -> bool;

#[test]
fn attacks_fool_nobody() {
    let attacks: [(&str, Attack); 29] = [
        ("psk_in_a_commit", psk_in_a_commit),
        ("outsider_may_propose", outsider_may_propose),
        ("another_name", another_name),
        ("ghost_without_record", ghost_without_record),
        ("in_the_name_of_the_facilitator", in_the_name_of_the_facilitator),
        ("two_for_one", two_for_one),
        ("acknowledged_elsewhere", acknowledged_elsewhere),
        ("more_than_the_record", more_than_the_record),
        ("ghost_beside_an_announcement", ghost_beside_an_announcement),
        ("removal_beside_an_announcement", removal_beside_an_announcement),
        ("look_alike_name", look_alike_name),
        ("skipped_record", skipped_record),
        ("member_moderates", member_moderates),
        ("replay_after_withdrawal", replay_after_withdrawal),
        ("foreign_countersignature", foreign_countersignature),
        ("forged_departure", forged_departure),
        ("welcome_elsewhere", welcome_elsewhere),
        ("welcome_of_an_impostor", welcome_of_an_impostor),
        ("welcome_beside_an_announcement", welcome_beside_an_announcement),
        ("welcome_among_ghosts", welcome_among_ghosts),
        ("the_same_words_twice", the_same_words_twice),
        ("a_message_left_out", a_message_left_out),
        ("two_logs", two_logs),
        ("two_orders", two_orders),
        ("post_against_a_pause", post_against_a_pause),
        ("rewritten_entry", rewritten_entry),
        ("invite_of_a_member", invite_of_a_member),
        ("leaf_that_stops_others", leaf_that_stops_others),
        ("removal_in_another_room", removal_in_another_room),
    ];
    for (name, attack) in attacks {
        assert!(!attack(), "{name}");
    }
}

/// Delivers a commit to Ben and returns whether he followed it.
fn ben_follows(world: &mut World, commit: Vec<u8>) -> bool {
    let before = world.rooms[BEN].epoch().unwrap();
    world.log.append(commit);
    let log = std::mem::take(&mut world.log);
    log.show(&mut world.rooms[BEN]);
    world.rooms[BEN].epoch().is_ok_and(|epoch| epoch > before)
}

fn with_policy(who: usize, act: Act, forgery: Forgery<'_>) -> bool {
    let mut world = World::new();
    let record = world.record(who, act);
    let policy = world.after(&record, None);
    let context = Context::Policy(&policy);
    let commit = world.forge(who, &Forgery { context, ..forgery }).commit;
    ben_follows(&mut world, commit)
}

fn announcement() -> Act {
    Act::Announce("Good evening.".into())
}

fn psk_in_a_commit() -> bool {
    let mut world = World::new();
    store_psk(&world.rooms[BEN].provider());
    let forgery = Forgery { foreign: Some(Foreign::Psk), ..Forgery::default() };
    let commit = world.forge(MAL, &forgery).commit;
    ben_follows(&mut world, commit)
}

fn outsider_may_propose() -> bool {
    let mut world = World::new();
    let record = world.record(FAY, Act::Rekey);
    let policy = world.after(&record, None);
    let context = Context::Outsider(&policy);
    let forgery = Forgery { context, ..Forgery::default() };
    match try_forge(&mut world.rooms[FAY], &forgery) {
        Ok(committed) => ben_follows(&mut world, committed.commit),
        Err(_) => false,
    }
}

fn another_name() -> bool {
    let mut world = World::new();
    let leaf = OwnLeaf::Name("Fay");
    let commit = world.forge(MAL, &Forgery { leaf, ..Forgery::default() }).commit;
    ben_follows(&mut world, commit)
}

fn ghost_without_record() -> bool {
    let mut world = World::new();
    let ghost = Ghost::new(&world, 100);
    let adds = vec![ghost.package.as_slice()];
    let commit = world.forge(MAL, &Forgery { adds, ..Forgery::default() }).commit;
    ben_follows(&mut world, commit)
}

fn in_the_name_of_the_facilitator() -> bool {
    let mut world = World::new();
    let record = world.record(FAY, Act::Lock(true));
    let policy = world.after(&record, None);
    let commit = world.forged_policy(MAL, &policy);
    ben_follows(&mut world, commit)
}

fn two_for_one() -> bool {
    let mut world = World::new();
    let (one, two) = (Ghost::new(&world, 101), Ghost::new(&world, 102));
    let two = Ghost::with(two.key, two.acknowledgement, "Tom");
    let act = admission(&world.rooms[FAY], &one.leaf(), Role::Member);
    let record = world.record(FAY, act);
    let policy = world.after(&record, Some(&one.leaf()));
    let adds = vec![one.package.as_slice(), two.package.as_slice()];
    let context = Context::Policy(&policy);
    let commit = world.forge(FAY, &Forgery { adds, context, ..Forgery::default() }).commit;
    ben_follows(&mut world, commit)
}

fn acknowledged_elsewhere() -> bool {
    let mut world = World::new();
    let agreement = current(&world.rooms[FAY]);
    let ghost = Ghost::acknowledging(RoomId([1; 16]), &agreement, 103, NOW);
    let commit = world.forged_admission(FAY, &ghost).commit;
    ben_follows(&mut world, commit)
}

fn more_than_the_record() -> bool {
    let mut world = World::new();
    let record = world.record(FAY, announcement());
    let mut policy = world.after(&record, None);
    policy.numbers = RoomNumbers { slow_seconds: 3600, ..policy.numbers };
    let commit = world.forged_policy(FAY, &policy);
    ben_follows(&mut world, commit)
}

fn ghost_beside_an_announcement() -> bool {
    let ghost = Ghost::new(&World::new(), 104);
    let adds = vec![ghost.package.as_slice()];
    with_policy(FAY, announcement(), Forgery { adds, ..Forgery::default() })
}

fn removal_beside_an_announcement() -> bool {
    let mut world = World::new();
    let removes = vec![world.key(MAL)];
    let record = world.record(FAY, announcement());
    let policy = world.after(&record, None);
    let context = Context::Policy(&policy);
    let commit = world.forge(FAY, &Forgery { removes, context, ..Forgery::default() }).commit;
    ben_follows(&mut world, commit)
}

fn look_alike_name() -> bool {
    let mut world = World::new();
    let ghost = Ghost::new(&world, 105);
    let ghost = Ghost::with(ghost.key, ghost.acknowledgement, "B-en");
    let commit = world.forged_admission(FAY, &ghost).commit;
    ben_follows(&mut world, commit)
}

fn skipped_record() -> bool {
    let mut world = World::new();
    let mut record = world.record(FAY, announcement());
    record.number += 1;
    let policy = world.after(&record, None);
    let commit = world.forged_policy(FAY, &policy);
    ben_follows(&mut world, commit)
}

fn member_moderates() -> bool {
    let mut world = World::new();
    let commit = world.forged_act(MAL, Act::Lock(true));
    ben_follows(&mut world, commit)
}

fn replay_after_withdrawal() -> bool {
    let mut world = World::new();
    let mal = &world.rooms[MAL];
    let ghost = Ghost::with(mal.signing_key(), ack_of(mal), "Mal");
    let member = world.key(MAL);
    let act = Act::Remove { member, goodbye: String::new() };
    world.act(FAY, act);
    let commit = world.forged_admission(FAY, &ghost).commit;
    ben_follows(&mut world, commit)
}

fn foreign_countersignature() -> bool {
    let mut world = World::new();
    let ghost = Ghost::new(&world, 106);
    let act = admission(&world.rooms[MAL], &ghost.leaf(), Role::Member);
    let record = world.record(FAY, act);
    let policy = world.after(&record, Some(&ghost.leaf()));
    let (adds, context) = (vec![ghost.package.as_slice()], Context::Policy(&policy));
    let commit = world.forge(FAY, &Forgery { adds, context, ..Forgery::default() }).commit;
    ben_follows(&mut world, commit)
}

fn forged_departure() -> bool {
    let mut world = World::new();
    let cleo = ack_of(&world.rooms[CLEO]);
    let key = world.rooms[MAL].signing_key();
    let mut departure = Departure::sign(&key, world.rooms[MAL].id(), cleo.digest(), false, NOW);
    departure.member = cleo.member;
    let record = world.record(MAL, Act::Depart(departure));
    let policy = world.after(&record, None);
    let (removes, context) = (vec![cleo.member], Context::Policy(&policy));
    let commit = world.forge(MAL, &Forgery { removes, context, ..Forgery::default() }).commit;
    ben_follows(&mut world, commit)
}

/// Returns whether a newcomer believes a Welcome into any group.
fn believes(newcomer: &Ghost, welcome: &[u8], pinned: &[hearth_protocol::MemberKey]) -> bool {
    let expected = Expected {
        room: newcomer.acknowledgement.room,
        facilitators: pinned,
        acknowledgement: &newcomer.acknowledgement,
    };
    Group::join(&newcomer.provider(), welcome, expected).is_ok()
}

/// A Welcome into the maker's own group, with the newcomer in it and the maker in charge.
fn look_alike(world: &mut World, maker: &Ghost, newcomer: &Ghost, room: RoomId) -> Vec<u8> {
    let mut policy = world.policy();
    policy.roles.retain(|r| r.member != maker.member());
    policy.roles.push(RoleEntry { member: maker.member(), role: Role::Facilitator });
    let act = Act::Admit {
        member: newcomer.member(),
        acknowledgement: newcomer.acknowledgement.digest(),
        countersignature: hearth_protocol::Signature([0; 64]),
        role: Role::Member,
        back: false,
    };
    policy.record = policy.record_for(maker.member(), NOW, act);
    let founded = Group::found(&maker.provider(), Suite::X25519, room, maker.identity(), &policy);
    let mut group = founded.ok().unwrap();
    let plan =
        CommitPlan { add: Some(&newcomer.package), policy: Some(&policy), ..CommitPlan::default() };
    let committed = group.commit_unchecked(&maker.provider(), maker.identity(), &plan);
    committed.ok().unwrap().welcome.unwrap()
}

fn welcome_elsewhere() -> bool {
    let mut world = World::new();
    let newcomer = Ghost::new(&world, 107);
    let fay = &world.rooms[FAY];
    let maker = Ghost::with(fay.signing_key(), ack_of(fay), "Fay");
    let welcome = look_alike(&mut world, &maker, &newcomer, RoomId([1; 16]));
    believes(&newcomer, &welcome, &[maker.member()])
}

fn welcome_of_an_impostor() -> bool {
    let mut world = World::new();
    let (newcomer, maker) = (Ghost::new(&world, 108), Ghost::new(&world, 109));
    let maker = Ghost::with(maker.key, maker.acknowledgement, "Fay");
    let room = world.rooms[FAY].id();
    let welcome = look_alike(&mut world, &maker, &newcomer, room);
    believes(&newcomer, &welcome, &[world.key(FAY)])
}

fn welcome_beside_an_announcement() -> bool {
    let mut world = World::new();
    let newcomer = Ghost::new(&world, 110);
    let record = world.record(FAY, announcement());
    let policy = world.after(&record, None);
    let (adds, context) = (vec![newcomer.package.as_slice()], Context::Policy(&policy));
    let committed = world.forge(FAY, &Forgery { adds, context, ..Forgery::default() });
    believes(&newcomer, &committed.welcome.unwrap(), &[world.key(FAY)])
}

fn welcome_among_ghosts() -> bool {
    let mut world = World::new();
    let newcomer = Ghost::new(&world, 111);
    let mut forged: Acknowledgement = Ghost::new(&world, 112).acknowledgement;
    forged.answers.push("never signed".into());
    let key = ed25519_dalek::SigningKey::from_bytes(&[112; 32]);
    let ghost = Ghost::with(key, forged, "Tom");
    let act = admission(&world.rooms[FAY], &newcomer.leaf(), Role::Member);
    let record = world.record(FAY, act);
    let policy: RoomPolicy = world.after(&record, Some(&newcomer.leaf()));
    let adds = vec![newcomer.package.as_slice(), ghost.package.as_slice()];
    let context = Context::Policy(&policy);
    let committed = world.forge(FAY, &Forgery { adds, context, ..Forgery::default() });
    believes(&newcomer, &committed.welcome.unwrap(), &[world.key(FAY)])
}

/// A member beside such a leaf in the tree could make no commit.
fn leaf_that_stops_others() -> bool {
    let mut world = World::new();
    let ghost = Ghost::new(&world, 113);
    let package = with_leaf_key(&ghost.package, &[0; 32], &ghost.key);
    let Ok(knock) = knock_with(&mut world, &ghost, package) else { return false };
    world.rooms[FAY].admit(&knock, NOW).is_ok()
}

fn the_same_words_twice() -> bool {
    let mut world = World::new();
    for _ in 0..2 {
        ben_sees(&mut world, MAL, &text(1, 1, "again"));
    }
    texts(&world.rooms[BEN]).len() > 1
}

fn a_message_left_out() -> bool {
    let mut world = World::new();
    ben_sees(&mut world, MAL, &text(1, 1, "one"));
    let row = ben_sees(&mut world, MAL, &text(3, 3, "three"));
    !row.notices.contains(&Notice::Gap(1))
}

fn two_logs() -> bool {
    let mut world = World::new();
    let seq = world.rooms[BEN].cursor().seq;
    let seen = Some(Seen { digest: Digest([1; 32]), ..seen_nothing_new(seq) });
    let row = ben_sees(&mut world, MAL, &Envelope { seen, ..text(1, 1, "hm") });
    !row.notices.contains(&Notice::Fork(seq))
}

fn two_orders() -> bool {
    let mut world = World::new();
    say_in_two_orders(&mut world);
    world.rooms[FAY].queue_text("and now".into(), NOW).unwrap();
    let submission = world.rooms[FAY].next_submission().unwrap().unwrap();
    let seq = world.rooms[BEN].cursor().seq.0 + 1;
    let content = EntryContent::Payload(submission.payload);
    world.rooms[BEN].handle_entries(&[Entry { seq: Seq(seq), at: NOW, content }], THEN).unwrap();
    last_row(&world.rooms[BEN]).notices.is_empty()
}

fn post_against_a_pause() -> bool {
    let mut world = World::new();
    world.act(FAY, Act::Pause { until: NOW.plus(60_000), comment: String::new(), reopens: true });
    let row = ben_sees(&mut world, MAL, &text(1, 1, "all the same"));
    matches!(row.content, RowContent::Text(_))
}

fn rewritten_entry() -> bool {
    let mut world = World::new();
    let seq = world.rooms[BEN].cursor().seq;
    let forged = Entry { seq, at: NOW, content: EntryContent::Payload(vec![1]) };
    world.rooms[BEN].handle_entries(&[forged], THEN).is_ok()
}

/// Ben and Mal took Mal's renewal; the relay spoilt it for Fay, who reopened the epoch and removed Mal.
fn removal_in_another_room() -> bool {
    let mut world = World::new();
    let renewal = world.rooms[MAL].renew(None, NOW).unwrap();
    let member = world.key(MAL);
    let act = Act::Remove { member, goodbye: String::new() };
    let removal = world.rooms[FAY].act(act, NOW).unwrap();
    for submission in [renewal, removal] {
        world.log.take(submission);
        world.log.show(&mut world.rooms[BEN]);
        world.log.show(&mut world.rooms[MAL]);
    }
    world.rooms[BEN].queue_text("Mal must not hear of this".into(), NOW).unwrap();
    let Ok(Some(submission)) = world.rooms[BEN].next_submission() else { return false };
    world.log.take(submission);
    world.log.show(&mut world.rooms[MAL]);
    !texts(&world.rooms[MAL]).is_empty()
}

fn invite_of_a_member() -> bool {
    let mut world = World::new();
    let row = ben_sees(&mut world, MAL, &envelope(1, 1, invite_issued(Role::Facilitator)));
    matches!(row.content, RowContent::InviteIssued { .. })
}
