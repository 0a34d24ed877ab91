//! The steward: a program that lets people in by rule, and does nothing else.

use super::{world::*, *};
use crate::{
    EngineError,
    agreement::Change,
    policy::{Act, RuleError},
};

/// A room in which Ben's profile is a steward's.
fn served(mut world: World) -> World {
    let member = world.key(BEN);
    world.act(FAY, Act::SetRole { member, role: Role::Steward });
    world
}

#[test]
fn steward_lets_members_in() {
    let mut world = served(World::with_clocks([0; 4]));
    let link = invite(&mut world.rooms[FAY], &mut world.log);
    world.show();
    let (mut ann, request) = knock(Profile::new(), &link, &world.log, "Ann");
    let knock = world.rooms[BEN].open_knock(&pending(&ann, &link, &request)).unwrap();
    let submission = world.rooms[BEN].admit(&knock, NOW).unwrap();
    world.log.take(submission);
    world.show();
    let (seq, welcome) = world.log.welcomes.last().unwrap();
    ann.welcomed(welcome, *seq, NOW).unwrap();
    assert_eq!(last_row(&world.rooms[MAL]).notices, []);
    world.rooms.push(ann);
    world.say(4, "Good evening.");
    assert_eq!(texts(&world.rooms[MAL]), ["Good evening."]);
    assert!(world.rooms[4].was_admitted_by_steward().unwrap());
    assert!(!world.rooms[MAL].was_admitted_by_steward().unwrap());
}

/// An invite from before the steward's appointment does not name it, so its holder would refuse the Welcome.
#[test]
fn older_invite_is_not_the_stewards() {
    let mut world = World::with_clocks([0; 4]);
    let link = invite(&mut world.rooms[FAY], &mut world.log);
    world.show();
    let mut world = served(world);
    let (ann, request) = knock(Profile::new(), &link, &world.log, "Ann");
    let knock = world.rooms[BEN].open_knock(&pending(&ann, &link, &request)).unwrap();
    let refused = world.rooms[BEN].admit(&knock, NOW).err().unwrap();
    assert!(matches!(refused, EngineError::NotVouched(_)), "{refused:?}");
}

#[test]
fn steward_moderates_nothing() {
    let mut world = served(World::new());
    let mal = world.key(MAL);
    let acts = [
        Act::Pause { until: NOW.plus(1), comment: String::new(), reopens: false },
        Act::Remove { member: mal, goodbye: String::new() },
        Act::SetRole { member: mal, role: Role::Observer },
        Act::Announce("Hello.".into()),
        Act::Lock(true),
        Act::Rekey,
        Act::Expire(3600),
    ];
    for act in acts {
        let forged = world.forged_act(BEN, act);
        world.refuses(BEN, forged, &rule(RuleError::NotFacilitator));
    }
    for role in [Role::Observer, Role::Steward, Role::CoFacilitator] {
        let ghost = Ghost::new(&world, 50);
        let leaf = ghost.leaf();
        let act = admission(&world.rooms[BEN], &leaf, role);
        let record = world.record(BEN, act);
        let policy = world.after(&record, Some(&leaf));
        let context = crate::mls::modified::Context::Policy(&policy);
        let adds = vec![ghost.package.as_slice()];
        let forgery = crate::mls::modified::Forgery { adds, context, ..Default::default() };
        let committed = world.forge(BEN, &forgery);
        world.refuses(BEN, committed.commit, &rule(RuleError::NotFacilitator));
    }
}

#[test]
fn facilitator_alone_appoints_a_steward() {
    let mut world = served(World::new());
    let (mal, ben) = (world.key(MAL), world.key(BEN));
    let gives = |member, role| Act::SetRole { member, role };
    for act in [gives(mal, Role::Steward), gives(ben, Role::Member)] {
        let forged = world.forged_act(CLEO, act);
        world.refuses(CLEO, forged, &rule(RuleError::NotFacilitator));
    }
}

#[test]
fn steward_is_not_heard() {
    let mut world = served(World::with_clocks([0; 4]));
    world.say(BEN, "I am a program.");
    for who in [FAY, CLEO, MAL] {
        assert_eq!(texts(&world.rooms[who]), [""; 0]);
        assert!(matches!(last_row(&world.rooms[who]).content, RowContent::Held(_)));
    }
}

#[test]
fn steward_has_no_lane() {
    let mut world = served(World::with_lanes());
    let (ben, mal) = (world.key(BEN), world.key(MAL));
    let lanes = world.rooms[FAY].lane_ids().unwrap();
    let owners: Vec<_> = lanes.into_iter().filter_map(|(_, owner)| owner).collect();
    assert!(owners.contains(&mal) && !owners.contains(&ben));
    let desk = world.rooms[BEN].lane_ids().unwrap()[0].0;
    assert!(world.rooms[BEN].open_lane(desk, &[], NOW).is_err(), "it does not moderate");
}

#[test]
fn steward_puts_amendments_in_force() {
    let mut world = served(World::with_clocks([0; 4]));
    let fay = &mut world.rooms[FAY];
    let text = "What is said here stays here, always.".to_owned();
    let agreement = fay.queue_amendment(text, Change::Material, NOW, NOW).unwrap();
    world.log.flush(&mut world.rooms[FAY]);
    let submission = world.rooms[FAY].amend(&agreement, NOW).unwrap();
    world.log.take(submission);
    world.show();
    // Not before it was signed for it: nothing signs for anybody.
    let refused = world.rooms[BEN].enact(NOW, NOW).err().unwrap();
    assert!(matches!(refused, EngineError::Rule(RuleError::NotAcknowledged(_))), "{refused:?}");
    for who in [FAY, BEN, CLEO] {
        sign(&mut world.rooms[who], &mut world.log, &agreement);
        world.show();
    }
    let submission = world.rooms[BEN].enact(NOW, NOW).unwrap();
    world.log.take(submission);
    world.show();
    assert_eq!(world.policy().agreement.id, agreement.id());
    let mal = world.key(MAL);
    assert!(world.rooms[CLEO].roster().unwrap().iter().all(|leaf| leaf.member != mal));
}
