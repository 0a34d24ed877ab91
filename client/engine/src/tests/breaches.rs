//! A breach: what stops, who says yes again, and how those come back who had not.

use hearth_protocol::Secret32;

use super::{
    places::{acknowledged_by, judge, leaf_of, leaf_with, waiting},
    world::*,
    *,
};
use crate::{
    EngineError,
    act::Renewal,
    agreement::AckError,
    gate::Refusal,
    policy::{Act, BREACH_UNTIL, Leaf, RuleError},
    state::Standing,
};

impl World {
    pub(super) fn open_breach(&mut self, who: usize) {
        let submission = self.rooms[who].open_breach("Somebody told.".into(), NOW).unwrap();
        self.log.take(submission);
        self.show();
    }

    pub(super) fn say_yes_again(&mut self, who: usize) {
        let agreement = current(&self.rooms[who]);
        sign(&mut self.rooms[who], &mut self.log, &agreement);
        self.show();
    }

    pub(super) fn close_breach(&mut self, who: usize) -> Result<(), EngineError> {
        let closed = self.rooms[who].close_breach("We go on.".into(), NOW, NOW);
        self.log.take(closed?);
        self.show();
        Ok(())
    }
}

#[test]
fn breach_waits_for_everybody() {
    let mut world = World::with_lanes();
    world.open_breach(CLEO);
    let policy = world.policy();
    assert_eq!(policy.numbers.paused_until, BREACH_UNTIL);
    for room in &mut world.rooms {
        assert_eq!(room.renewal_is_due(NOW).unwrap(), Some(Renewal::Breach));
    }
    // A co-facilitator may open a breach, and only a facilitator may close it, after acknowledging again.
    assert!(matches!(world.close_breach(CLEO), Err(EngineError::Rule(RuleError::NotFacilitator))));
    assert!(matches!(
        world.close_breach(FAY),
        Err(EngineError::Rule(RuleError::NotAcknowledged(AckError::BeforeBreach)))
    ));
    for who in [FAY, BEN, MAL] {
        world.say_yes_again(who);
    }
    world.close_breach(FAY).unwrap();
    assert_eq!(waiting(&mut world), ["Cleo"]);
    assert_eq!(world.rooms[CLEO].state().standing, Standing::Lapsed);
    let policy = world.policy();
    assert_eq!((policy.numbers.paused_until, policy.more.breach), (Millis(0), None));
    world.say(BEN, "I am glad that we go on.");
    world.returns(CLEO);
    assert_eq!(world.policy().role(&world.key(CLEO)), Role::CoFacilitator);
    world.say(CLEO, "I needed a day.");
    for who in [FAY, BEN, MAL] {
        assert_eq!(texts(&world.rooms[who]), ["I am glad that we go on.", "I needed a day."]);
    }
    assert_eq!(texts(&world.rooms[CLEO]), ["I needed a day."]);
}

#[test]
fn return_after_breach_names_it() {
    let mut world = World::with_lanes();
    world.open_breach(FAY);
    for who in [FAY, BEN, CLEO] {
        world.say_yes_again(who);
    }
    world.close_breach(FAY).unwrap();
    let knock = world.says_yes(MAL);
    let good = leaf_of(&knock);
    assert!(good.acknowledgement.more.breach.is_some());
    assert_eq!(judge(&mut world, &good, Role::Member, true), Ok(()));
    let key = world.rooms[MAL].signing_key();
    let mut old = good.acknowledgement.clone();
    old.more.breach = None;
    let old = acknowledged_by(&key, old);
    let leaf = Leaf { acknowledgement: old, ..good };
    assert_eq!(
        judge(&mut world, &leaf, Role::Member, true),
        Err(RuleError::NotAcknowledged(AckError::BeforeBreach))
    );
}

#[test]
fn open_breach_lets_nothing_pass() {
    let mut world = World::with_lanes();
    let mut ghost = Ghost::new(&world, 74);
    world.open_breach(FAY);
    let secret = Secret32::new([1; 32]);
    for act in [
        Act::Resume,
        Act::Pause { until: NOW.plus(1), comment: String::new(), reopens: false },
        Act::Enact,
        Act::OpenBreach { words: String::new(), return_secret: secret },
    ] {
        let refused = world.rooms[FAY].act(act, NOW).err();
        assert!(matches!(refused, Some(EngineError::Rule(RuleError::BreachOpen))), "{refused:?}");
    }
    world.keeps_out(FAY, &mut ghost, &rule(RuleError::BreachOpen));
}

/// An acknowledgement from before the breach does not come back into the leaf.
#[test]
fn yes_after_breach_stays() {
    let mut world = World::with_lanes();
    let before = ack_of(&world.rooms[MAL]);
    world.open_breach(FAY);
    world.say_yes_again(MAL);
    let committed = world.forge(MAL, &leaf_with(&before));
    world.refuses(MAL, committed.commit, &Refusal::OwnLeafChanged);
}
