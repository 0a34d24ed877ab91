//! The gates of honest members refuse the commits of modified members and facilitators.

use crate::policy::Pin;
use hearth_protocol::Digest;

use super::{world::*, *};
use crate::{
    agreement::{Change, Departure},
    gate::{PolicyError, Refusal},
    mls::modified::{Context, Forgery},
    policy::{Act, AgreementRef, Category, Record, RoleEntry, RoomPolicy, RuleError},
    state::{Notice, Standing},
};

const NOT_FACILITATOR: Refusal = Refusal::Rule(RuleError::NotFacilitator);
const BROKEN: Refusal = Refusal::Rule(RuleError::BrokenChain);

/// One act of every kind that a member may not do.
fn acts(world: &World) -> Vec<Act> {
    let (fay, ben, mal) = (world.key(FAY), world.key(BEN), world.key(MAL));
    let ghost = Ghost::new(world, 40);
    vec![
        Act::Announce("I am in charge.".into()),
        Act::Lock(true),
        Act::Pause { until: NOW.plus(60_000), comment: "Silence.".into(), reopens: true },
        Act::Slow(3600),
        Act::Budget(1),
        Act::Length(1),
        Act::Expire(3600),
        Act::Rekey,
        Act::Door(hearth_protocol::frame::Door::Closed),
        Act::Timeout(Digest([8; 32])),
        Act::Pin(Pin { message: MessageId([1; 16]), seq: Seq(2) }),
        Act::Retract { message: MessageId([1; 16]), seq: Seq(2), category: Category::Safety },
        Act::SetRole { member: mal, role: Role::Facilitator },
        Act::SetRole { member: mal, role: Role::CoFacilitator },
        Act::SetRole { member: fay, role: Role::Member },
        removal(ben),
        admission(&world.rooms[MAL], &ghost.leaf(), Role::Member),
        Act::Amend {
            agreement: AgreementRef {
                id: Digest([3; 32]),
                version: 2,
                effective: NOW,
                answers: None,
            },
            change: Change::Editorial,
        },
        Act::Enact,
        Act::Withdraw,
    ]
}

#[test]
fn members_acts_change_nothing() {
    let mut world = World::new();
    for act in acts(&world) {
        let forged = world.forged_act(MAL, act);
        world.refuses(MAL, forged, &NOT_FACILITATOR);
    }
}

#[test]
fn member_cannot_impersonate_a_facilitator() {
    let mut world = World::new();
    let record = world.record(FAY, Act::Lock(true));
    let policy = world.after(&record, None);
    let forged = world.forged_policy(MAL, &policy);
    world.refuses(MAL, forged, &NOT_FACILITATOR);
}

#[test]
fn member_cannot_edit_roles() {
    let mut world = World::new();
    let mut policy = world.policy();
    policy.roles.push(RoleEntry { member: world.key(MAL), role: Role::Facilitator });
    let forged = world.forged_policy(MAL, &policy);
    // The record in force is unchanged: Fay made it.
    world.refuses(MAL, forged, &NOT_FACILITATOR);
    policy.record.actor = world.key(MAL);
    let forged = world.forged_policy(MAL, &policy);
    world.refuses(MAL, forged, &BROKEN);
}

#[test]
fn ex_facilitator_cannot_act() {
    let mut world = World::new();
    let member = world.key(CLEO);
    let before = world.forged_act(CLEO, Act::Lock(true));
    world.act(FAY, Act::SetRole { member, role: Role::Member });
    // A commit that Cleo made as facilitator comes too late; a new one is a member's.
    world.comes_too_late(Some(CLEO), before);
    let forged = world.forged_act(CLEO, Act::Lock(true));
    world.refuses(CLEO, forged, &NOT_FACILITATOR);
}

#[test]
fn record_off_the_chain_is_refused() {
    let mut world = World::new();
    let old = world.policy();
    world.act(FAY, Act::Announce("first".into()));
    let good = world.record(FAY, Act::Announce("second".into()));
    let mut forgeries = Vec::new();
    for edit in 0..5 {
        let mut record = good.clone();
        match edit {
            0 => record.number += 1,
            1 => record.number -= 1,
            2 => record.previous = old.record.digest(),
            3 => record.previous = Digest([0; 32]),
            _ => record = world.policy().record,
        }
        forgeries.push(record);
    }
    // And the next record of another room.
    let mut other = World::new();
    let mut foreign = other.record(FAY, Act::Announce("elsewhere".into()));
    foreign.actor = world.key(FAY);
    forgeries.push(foreign);
    for record in forgeries {
        let policy = world.after(&record, None);
        let forged = world.forged_policy(FAY, &policy);
        world.refuses(FAY, forged, &BROKEN);
    }
    // The whole older policy, restored.
    let forged = world.forged_policy(FAY, &old);
    world.refuses(FAY, forged, &BROKEN);
    // Every member's log is one chain.
    let log = world.rooms[BEN].log().unwrap();
    assert!(
        log.windows(2).all(|w| w[1].previous == w[0].digest() && w[1].number == w[0].number + 1)
    );
}

/// T28: one record of a log is left out, altered or inserted, at every place.
#[test]
fn tampered_record_is_found_by_number() {
    let mut world = World::new();
    for number in 0..20 {
        world.act(FAY, Act::Announce(format!("number {number}")));
    }
    let (cleo, fay) = (world.key(CLEO), world.key(FAY));
    // Fay's log starts at the founding, Ben's at his admission; Mal, who was removed, has his up to the removal.
    world.act(FAY, removal(world.key(MAL)));
    for who in [FAY, BEN, MAL] {
        let room = &mut world.rooms[who];
        let whole = room.log().unwrap();
        assert!(whole.len() > 20);
        let mut found = |records: &[Record]| room.broken_record(records).unwrap();
        assert_eq!(found(&whole), None);
        // Nothing vouches for Mal's last record, because his policy was deleted with the keys.
        let known = whole.len() - usize::from(who == MAL);
        for at in 0..known {
            let number = whole[at].number;
            let mut dropped = whole.clone();
            dropped.remove(at);
            assert_eq!(found(&dropped), Some(number), "{number} dropped at {who}");
            for part in 0..4 {
                let mut altered = whole.clone();
                let record = &mut altered[at];
                match part {
                    0 => record.actor = if record.actor == cleo { fay } else { cleo },
                    1 => record.at.0 += 1,
                    2 => record.act = Act::Rekey,
                    _ => record.previous.0[31] ^= 1,
                }
                assert_eq!(found(&altered), Some(number), "part {part} of {number} at {who}");
            }
            // A record as well made as a forger can: it names the one before it.
            let mut more = whole.clone();
            let (previous, act) = (whole[at].digest(), Act::Announce("never".into()));
            let number = number + 1;
            more.insert(at + 1, Record { number, previous, actor: fay, at: NOW, act });
            assert_eq!(found(&more), Some(number), "{number} put in at {who}");
        }
    }
}

/// A member who rejoins a room that a facilitator rolled back holds records that never happened for the others.
#[test]
fn rejoining_drops_rolled_back_records() {
    let mut world = World::new();
    for number in 0..4 {
        world.act(FAY, Act::Announce(format!("number {number}")));
    }
    let room = &mut world.rooms[BEN];
    let whole = room.log().unwrap();
    let (kept, dropped) = whole.split_at(whole.len() - 2);
    room.begin_log(dropped[0].number).unwrap();
    assert_eq!(room.log().unwrap(), kept);
}

#[test]
fn record_of_another_room_is_refused() {
    let mut world = World::new();
    let mut other = World::new();
    let policy = other.policy();
    let forged = world.forged_policy(MAL, &policy);
    world.refuses(MAL, forged, &NOT_FACILITATOR);
    // A whole commit of another room.
    let record = other.record(FAY, Act::Lock(true));
    let policy = other.after(&record, None);
    let forged = other.forged_policy(FAY, &policy);
    world.cannot_read(MAL, forged);
}

#[test]
fn policy_must_match_its_record() {
    let mut world = World::new();
    let nobody = nobody();
    let announce = world.record(FAY, Act::Announce("Good evening.".into()));
    let plain = world.after(&announce, None);
    let mut forgeries = Vec::new();
    let edits: [&dyn Fn(&mut RoomPolicy); 13] = [
        &|p| p.title.push('!'),
        &|p| p.roles.push(RoleEntry { member: nobody, role: Role::Facilitator }),
        &|p| p.roles.retain(|r| r.role == Role::Facilitator),
        &|p| p.numbers.slow_seconds = 10,
        &|p| p.numbers.locked = true,
        &|p| p.numbers.paused_until = NOW.plus(1),
        &|p| p.message_chars_max = 1,
        &|p| p.desk = Some([1; 16].into()),
        &|p| p.hours_text = "never".into(),
        &|p| p.pins.push(Pin { message: MessageId([1; 16]), seq: Seq(2) }),
        &|p| p.revoked.push(nobody),
        &|p| p.accepted.push(Digest([7; 32])),
        &|p| p.agreement.id = Digest([7; 32]),
    ];
    for edit in edits {
        let mut policy = plain.clone();
        edit(&mut policy);
        forgeries.push(policy);
    }
    // The record holds announced text; here the displayed hours differ from the enforced hours.
    let hours = Act::Hours { text: "Mon-Fri 17:00-20:00".into(), hours: None };
    let record = world.record(FAY, hours);
    let mut policy = world.after(&record, None);
    policy.hours_text = "always".into();
    forgeries.push(policy);
    for policy in forgeries {
        // A refusal changes nothing, so the chain stays where it was.
        let forged = world.forged_policy(FAY, &policy);
        world.refuses(FAY, forged, &Refusal::PolicyMismatch);
    }
}

#[test]
fn a_malformed_policy_is_refused() {
    let mut world = World::new();
    let record = world.record(FAY, Act::Rekey);
    let policy = world.after(&record, None);
    let bytes = hearth_protocol::codec::encode(&policy);
    // Not canonical: a trailing byte would hash and compare differently for the same meaning.
    let mut longer = bytes.clone();
    longer.push(0xf6);
    let empty = Vec::new();
    let later = hearth_protocol::codec::encode(&RoomPolicy { format: 3, ..policy.clone() });
    let short = bytes[..bytes.len() - 1].to_vec();
    for bytes in [longer, empty, vec![0xff; 40], short, later] {
        let context = Context::PolicyBytes(bytes);
        let forged = world.forge(FAY, &Forgery { context, ..Forgery::default() }).commit;
        world.refuses(FAY, forged, &PolicyError.into());
    }
    let contexts = [Context::NoPolicy, Context::NoRequirement(&policy), Context::Outsider(&policy)];
    for context in contexts {
        let forged = world.forge(FAY, &Forgery { context, ..Forgery::default() }).commit;
        world.refuses(FAY, forged, &PolicyError.into());
    }
}

/// A co-facilitator changes neither facilitators nor the agreement.
#[test]
fn co_facilitator_powers_are_limited() {
    let mut world = World::new();
    let (fay, ben) = (world.key(FAY), world.key(BEN));
    let cleo = world.key(CLEO);
    let agreement = AgreementRef { id: Digest([3; 32]), version: 2, effective: NOW, answers: None };
    let ghost = Ghost::new(&world, 44);
    let acts = [
        Act::SetRole { member: ben, role: Role::CoFacilitator },
        Act::SetRole { member: ben, role: Role::Facilitator },
        Act::SetRole { member: cleo, role: Role::Facilitator },
        Act::SetRole { member: fay, role: Role::Member },
        removal(fay),
        Act::Amend { agreement, change: Change::Editorial },
        Act::Amend { agreement, change: Change::Material },
        Act::Enact,
        Act::Expire(3600),
    ];
    for act in acts {
        let removes = if let Act::Remove { member, .. } = act { vec![member] } else { vec![] };
        let record = world.record(CLEO, act);
        let policy = world.after(&record, None);
        let context = Context::Policy(&policy);
        let forged = world.forge(CLEO, &Forgery { removes, context, ..Forgery::default() }).commit;
        world.refuses(CLEO, forged, &NOT_FACILITATOR);
    }
    for role in [Role::CoFacilitator, Role::Facilitator] {
        let leaf = ghost.leaf();
        let act = admission(&world.rooms[CLEO], &leaf, role);
        let record = world.record(CLEO, act);
        let policy = world.after(&record, Some(&leaf));
        let (adds, context) = (vec![ghost.package.as_slice()], Context::Policy(&policy));
        let forged = world.forge(CLEO, &Forgery { adds, context, ..Forgery::default() }).commit;
        world.refuses(CLEO, forged, &NOT_FACILITATOR);
    }
}

#[test]
fn the_last_facilitator_stays() {
    let mut world = World::new();
    let fay = world.key(FAY);
    let forged = world.forged_act(FAY, Act::SetRole { member: fay, role: Role::Member });
    world.refuses(FAY, forged, &rule(RuleError::LastFacilitator));
    let digest = ack_of(&world.rooms[FAY]).digest();
    let key = world.rooms[FAY].signing_key();
    let departure = Departure::sign(&key, world.rooms[FAY].id(), digest, false, NOW);
    let record = world.record(MAL, Act::Depart(departure));
    let policy = world.after(&record, None);
    let (removes, context) = (vec![fay], Context::Policy(&policy));
    let forged = world.forge(MAL, &Forgery { removes, context, ..Forgery::default() }).commit;
    world.refuses(MAL, forged, &rule(RuleError::LastFacilitator));
}

#[test]
fn mute_hides_only_messages() {
    let mut world = World::new();
    let fay = world.key(FAY);
    world.rooms[BEN].set_muted(fay, true).unwrap();
    let id = world.say(FAY, "Ben does not want to read this.");
    let seq = world.rooms[BEN].find_message(&id.short()).unwrap().seq;
    world.act(FAY, Act::Pause { until: NOW.plus(60_000), comment: String::new(), reopens: true });
    assert_eq!(world.rooms[BEN].policy().unwrap().numbers.paused_until, NOW.plus(60_000));
    world.act(FAY, Act::Retract { message: id, seq, category: Category::Request });
    let member = world.key(MAL);
    let seen = world.act(FAY, removal(member));
    // For Ben, who muted Fay, the tombstone names actor and category too.
    for who in [CLEO, BEN] {
        let row = world.rooms[who].history(seq, 1).unwrap().remove(0);
        let tombstone = RowContent::Tombstone { by: Some(fay), category: Some(Category::Request) };
        assert_eq!(row.content, tombstone);
        let row = world.rooms[who].history(seen, 1).unwrap().remove(0);
        let RowContent::Moderation { record, target } = row.content else { panic!("{row:?}") };
        assert_eq!((record.actor, target.as_str()), (fay, "Mal"));
        assert_eq!(world.rooms[who].roster().unwrap().len(), 3);
    }
    world.say(FAY, "And Mal reads no more.");
    assert_eq!(world.rooms[MAL].state.standing, Standing::Removed);
}

#[test]
fn limits_do_not_break_catching_up() {
    let mut world = World::new();
    world.act(FAY, Act::Slow(3600));
    world.act(FAY, Act::Budget(1));
    world.act(FAY, Act::Length(5));
    let mut ben = world.rooms.remove(BEN);
    // The relay accepted these over days and delivers them to Ben at once, among commits.
    for round in 0..4 {
        for who in [0, 1, 2] {
            let text = format!("{round}{who}");
            let id = world.rooms[who].queue_text(text, NOW).unwrap();
            world.log.flush(&mut world.rooms[who]);
            world.show();
            assert!(world.rooms[0].find_message(&id.short()).is_ok());
        }
        world.act(0, Act::Rekey);
    }
    world.log.show(&mut ben);
    assert_eq!(texts(&ben).len(), 12);
    assert!(rows(&ben).iter().all(|r| r.notices.is_empty()));
    assert!(rows(&ben).iter().all(|r| !r.notices.contains(&Notice::Unreadable)));
}
