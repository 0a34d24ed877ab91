//! Planned goodbyes, and the place of a member who died.

use hearth_protocol::MemberKey;

use super::{world::*, *};
use crate::{
    EngineError,
    policy::{Act, FAREWELLS_MAX, Farewell, Planned, RuleError, Second, Weighty},
    state::{Over, Standing},
};

const DAY_MILLIS: u64 = 24 * 3_600_000;

fn planned(member: MemberKey) -> Act {
    let words = "Ben moves to another town.".into();
    Act::Farewell(Farewell::Announced { member, on: NOW.plus(DAY_MILLIS), words })
}

fn said(member: MemberKey) -> Act {
    Act::Farewell(Farewell::Said { member })
}

fn rule_at(world: &mut World, who: usize, act: Act, now: Millis) -> RuleError {
    match world.rooms[who].act(act, now).err().unwrap() {
        EngineError::Rule(rule) => rule,
        other => panic!("{other:?}"),
    }
}

#[test]
fn goodbye_ends_on_its_day() {
    let mut world = World::with_clocks([0; 4]);
    let ben = world.key(BEN);
    assert_eq!(rule_at(&mut world, FAY, said(ben), NOW), RuleError::NoFarewell);
    world.act(FAY, planned(ben));
    world.say(BEN, "I am still here.");
    let early = NOW.plus(DAY_MILLIS - 1);
    assert_eq!(rule_at(&mut world, FAY, said(ben), early), RuleError::NoFarewell);
    let submission = world.rooms[FAY].act(said(ben), NOW.plus(DAY_MILLIS)).unwrap();
    world.log.take(submission);
    world.show();
    assert_eq!(world.rooms[BEN].state().standing, Standing::Over(Over::Farewell));
    assert_eq!((world.policy().more.farewells(), world.policy().revoked), (&[][..], vec![ben]));
}

#[test]
fn goodbye_is_called_off_once() {
    let mut world = World::with_clocks([0; 4]);
    let ben = world.key(BEN);
    let off = || Act::Farewell(Farewell::CalledOff { member: ben });
    assert_eq!(rule_at(&mut world, FAY, off(), NOW), RuleError::NoFarewell);
    world.act(FAY, planned(ben));
    world.act(CLEO, planned(ben));
    assert_eq!(world.policy().more.farewells().len(), 1, "it was moved");
    world.act(FAY, off());
    let day = NOW.plus(DAY_MILLIS);
    assert_eq!(rule_at(&mut world, FAY, said(ben), day), RuleError::NoFarewell);
    // Whoever leaves before takes the plan along.
    world.act(FAY, planned(ben));
    world.act(FAY, removal(ben));
    assert_eq!(world.policy().more.farewells(), []);
}

#[test]
fn member_plans_no_goodbye() {
    let mut world = World::new();
    let (ben, fay) = (world.key(BEN), world.key(FAY));
    for (who, member) in [(MAL, ben), (CLEO, fay)] {
        let forged = world.forged_act(who, planned(member));
        world.refuses(who, forged, &rule(RuleError::NotFacilitator));
    }
    let forged = world.forged_act(FAY, said(ben));
    world.refuses(FAY, forged, &rule(RuleError::NoFarewell));
    let forged = world.forged_act(FAY, planned(nobody()));
    world.refuses(FAY, forged, &rule(RuleError::NoSuchMember));
}

#[test]
fn planner_ends_no_place_alone() {
    let mut world = World::with_clocks([0; 4]);
    let (ben, day) = (world.key(BEN), NOW.plus(DAY_MILLIS));
    world.act(FAY, Act::Second(Second::On));
    world.act(FAY, planned(ben));
    assert_eq!(rule_at(&mut world, FAY, said(ben), day), RuleError::OwnFarewell);
    assert!(world.rooms[CLEO].act(said(ben), day).is_ok());
}

#[test]
fn remembered_members_key_is_closed() {
    let mut world = World::with_clocks([0; 4]);
    let ben = world.key(BEN);
    let remember = |words: &str| Act::Remember { member: ben, words: words.into() };
    assert_eq!(rule_at(&mut world, FAY, remember(""), NOW), RuleError::NoWords);
    let forged = world.forged_act(MAL, remember("No."));
    world.refuses(MAL, forged, &rule(RuleError::NotFacilitator));
    world.say(BEN, "A year ago I came here.");
    world.act(FAY, remember("Ben has died. You have all heard it from me."));
    assert_eq!(world.rooms[BEN].state().standing, Standing::Over(Over::Remembered));
    assert!(world.rooms[BEN].queue_text("from the device".into(), NOW).is_err());
    assert_eq!(world.policy().revoked, [ben]);
    // What was said stays as long as everything else.
    assert_eq!(texts(&world.rooms[MAL]), ["A year ago I came here."]);
}

#[test]
fn remembering_takes_two_by_rule() {
    let mut world = World::with_clocks([0; 4]);
    let ben = world.key(BEN);
    world.act(FAY, Act::Second(Second::On));
    let words = "Ben has died.".to_owned();
    let alone = Act::Remember { member: ben, words: words.clone() };
    assert_eq!(rule_at(&mut world, FAY, alone, NOW), RuleError::NeedsSecond);
    let what = Weighty::Remember { member: ben, words };
    let digest = world.rooms[FAY].queue_proposal(what, NOW).unwrap();
    world.log.flush(&mut world.rooms[FAY]);
    let submission = world.rooms[FAY].propose(digest, NOW).unwrap();
    world.log.take(submission);
    world.show();
    let number = world.policy().more.proposals()[0].number;
    let submission = world.rooms[CLEO].confirm(number, NOW).unwrap();
    world.log.take(submission);
    world.show();
    assert_eq!(world.rooms[BEN].state().standing, Standing::Over(Over::Remembered));
}

#[test]
fn planned_goodbyes_are_bounded() {
    let mut world = World::with_clocks([0; 4]);
    let (ben, mut policy) = (world.key(BEN), world.policy());
    let by = policy.record.actor;
    let plan = |seed: u8| Planned { member: MemberKey([seed; 32]), on: NOW, by };
    policy.more.farewells =
        Some((0..FAREWELLS_MAX).map(|n| plan(u8::try_from(n).unwrap())).collect());
    let room = &mut world.rooms[FAY];
    let (roster, mine) = (room.roster().unwrap(), ack_of(room));
    let scene = crate::policy::Scene {
        room: room.id(),
        members_max: Suite::X25519.members_max(),
        roster: &roster,
        added: None,
        actor_acknowledgement: &mine,
    };
    let record = policy.record_for(by, NOW, planned(ben));
    assert_eq!(policy.apply(scene, &record).err(), Some(RuleError::TooManyFarewells));
}
