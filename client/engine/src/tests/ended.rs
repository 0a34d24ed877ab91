//! The end of a group: announced in time, kept by everybody, followed by this device only when both clocks say so.

use hearth_protocol::{RejectCode, limits::ENDED_KEPT_MILLIS};

use super::{world::*, *};
use crate::{
    EngineError,
    block::{Block, Stop},
    policy::{Act, Closing, NOTICE_MILLIS, RuleError},
    state::{Over, Standing},
};

const WEEK: u64 = 7 * 24 * 3_600_000;

fn at(ends: Millis) -> Act {
    let words = "The programme's phone".into();
    Act::CloseGroup(Closing::At { ends, sooner: String::new(), words })
}

fn rule_of(world: &mut World, who: usize, act: Act, now: Millis) -> Option<RuleError> {
    match world.rooms[who].act(act, now) {
        Ok(_) => panic!("it is allowed"),
        Err(EngineError::Rule(rule)) => Some(rule),
        Err(_) => None,
    }
}

#[test]
fn end_needs_two_weeks_of_notice() {
    let mut world = World::with_clocks([0; 4]);
    let early = NOW.plus(NOTICE_MILLIS - 1);
    assert_eq!(rule_of(&mut world, FAY, at(early), NOW), Some(RuleError::TooSoon));
    let sooner = |ends| {
        let (sooner, words) = ("The programme closes".into(), String::new());
        Act::CloseGroup(Closing::At { ends, sooner, words })
    };
    assert_eq!(rule_of(&mut world, FAY, sooner(NOW), NOW), Some(RuleError::OutOfRange));
    world.act(FAY, sooner(early));
    assert_eq!(world.policy().numbers.ends_at, Some(early));
    world.act(FAY, at(NOW.plus(NOTICE_MILLIS)));
    let policy = world.policy();
    assert_eq!(policy.numbers.ends_at, Some(NOW.plus(NOTICE_MILLIS)));
    assert_eq!(policy.more.ending.unwrap().words, "The programme's phone");
}

#[test]
fn end_is_called_off_only_before() {
    let mut world = World::with_clocks([0; 4]);
    let off = || Act::CloseGroup(Closing::CalledOff);
    assert_eq!(rule_of(&mut world, FAY, off(), NOW), Some(RuleError::Nothing));
    let ends = NOW.plus(2 * WEEK);
    world.act(FAY, at(ends));
    world.act(FAY, off());
    assert_eq!((world.policy().numbers.ends_at, world.policy().more.ending), (None, None));
    world.act(FAY, at(ends));
    assert_eq!(rule_of(&mut world, FAY, off(), ends), Some(RuleError::Ended));
    assert_eq!(rule_of(&mut world, FAY, at(ends.plus(4 * WEEK)), ends), Some(RuleError::Ended));
    // People go on leaving.
    let ben = world.key(BEN);
    assert!(world.rooms[FAY].act(removal(ben), ends).is_ok());
}

#[test]
fn facilitator_alone_ends_the_group() {
    let mut world = World::new();
    for who in [CLEO, BEN, MAL] {
        let forged = world.forged_act(who, at(NOW.plus(3 * WEEK)));
        world.refuses(who, forged, &rule(RuleError::NotFacilitator));
    }
    let forged = world.forged_act(FAY, at(NOW.plus(WEEK)));
    world.refuses(FAY, forged, &rule(RuleError::TooSoon));
}

#[test]
fn nobody_is_heard_after_the_end() {
    let mut world = World::with_clocks([0; 4]);
    let ends = NOW.plus(2 * WEEK);
    world.act(FAY, at(ends));
    world.say(BEN, "Goodbye.");
    let ended = Block { why: Stop::Refused(RejectCode::Ended), until: None };
    for who in [FAY, BEN] {
        assert_eq!(world.rooms[who].block(NOW).unwrap(), None);
        assert_eq!(world.rooms[who].block(ends).unwrap(), Some(ended));
    }
    // A relay that takes it all the same changes nothing.
    world.log.later = 2 * WEEK;
    for who in [FAY, BEN] {
        world.say(who, "One more thing.");
    }
    for room in &world.rooms {
        assert_eq!(texts(room), ["Goodbye."]);
    }
}

#[test]
fn neither_clock_alone_erases() {
    let mut world = World::with_lanes();
    let ends = NOW.plus(2 * WEEK);
    world.act(FAY, at(ends));
    world.say(BEN, "Goodbye.");
    let receipt = world.rooms[BEN].receipt().unwrap();
    let over = ends.plus(ENDED_KEPT_MILLIS);
    let before = Millis(over.0 - 1);
    let ben = &mut world.rooms[BEN];
    for (own, relay) in [(over, before), (before, over)] {
        assert!(!ben.end_if_over(Moment { own, relay }).unwrap());
        assert_eq!(texts(ben), ["Goodbye."]);
    }
    assert!(ben.end_if_over(Moment { own: over, relay: over }).unwrap());
    assert_eq!(rows(ben), []);
    assert!(ben.log().unwrap().is_empty() && ben.lanes().unwrap().is_empty());
    assert_eq!(ben.state().standing, Standing::Over(Over::Group));
    assert!(ben.policy().is_err(), "its keys are gone");
    assert_eq!(ben.receipt().unwrap(), receipt);
    receipt.verify().unwrap();
    // Once is enough, and a room that goes on is left alone.
    assert!(!ben.end_if_over(Moment { own: over, relay: over }).unwrap());
    let fay = &mut world.rooms[FAY];
    let submission = fay.act(Act::CloseGroup(Closing::CalledOff), NOW).unwrap();
    world.log.take(submission);
    world.log.show(&mut world.rooms[FAY]);
    assert!(!world.rooms[FAY].end_if_over(Moment { own: over, relay: over }).unwrap());
}

/// A facilitator's record dates itself and the end into last year.
#[test]
fn end_in_the_past_erases_later() {
    let mut world = World::with_clocks([0; 4]);
    world.say(BEN, "Goodbye.");
    let ends = Millis(NOW.0 - 20 * WEEK);
    let submission = world.rooms[FAY].act(at(ends), Millis(NOW.0 - 30 * WEEK)).unwrap();
    world.log.take(submission);
    world.show();
    assert_eq!(world.policy().numbers.ends_at, Some(ends));
    let ben = &mut world.rooms[BEN];
    let both = |at| Moment { own: at, relay: at };
    assert!(!ben.end_if_over(both(NOW.plus(ENDED_KEPT_MILLIS - 1))).unwrap());
    assert_eq!(texts(ben), ["Goodbye."]);
    assert!(ben.end_if_over(both(NOW.plus(ENDED_KEPT_MILLIS))).unwrap());
}
