//! The two-person rule: what one moderator proposes, another confirms.

use hearth_protocol::{Effect, MemberKey};

use super::{world::*, *};
use crate::{
    EngineError,
    act::Removing,
    policy::{
        Act, Category, LONG_TIMEOUT_MILLIS, PROPOSAL_MILLIS, PROPOSALS_MAX, Proposal, RuleError,
        Second, Weighty,
    },
    state::{Notice, RowContent, Standing},
};

fn ends_place_of(member: MemberKey) -> Weighty {
    Weighty::Remove { member, goodbye: "Take care.".into() }
}

/// A room of which somebody has turned the rule on.
fn ruled() -> World {
    let mut world = World::with_clocks([0; 4]);
    world.act(FAY, Act::Second(Second::On));
    world
}

/// Proposes something and shows it to all; returns its number.
fn proposes(world: &mut World, who: usize, what: Weighty) -> u64 {
    let room = &mut world.rooms[who];
    let digest = match what {
        Weighty::Remove { member, goodbye } => {
            let removing = Removing { words: "I call you.".into(), category: Category::Conduct };
            room.queue_proposed_removal(member, goodbye, removing, NOW)
        }
        what => room.queue_proposal(what, NOW),
    };
    let digest = digest.unwrap();
    made_official(world, who, digest)
}

fn made_official(world: &mut World, who: usize, digest: hearth_protocol::Digest) -> u64 {
    world.log.flush(&mut world.rooms[who]);
    world.show();
    let submission = world.rooms[who].propose(digest, NOW).unwrap();
    world.log.take(submission);
    world.show();
    let proposals = world.policy().more.proposals().to_vec();
    proposals.iter().find(|proposal| proposal.digest == digest).unwrap().number
}

fn confirms(world: &mut World, who: usize, number: u64) {
    let submission = world.rooms[who].confirm(number, NOW).unwrap();
    world.log.take(submission);
    world.show();
}

/// The confirmation of a proposal as the proposer's client knows it.
fn confirmation(world: &mut World, number: u64, what: Option<Weighty>) -> Act {
    let proposed = world.rooms[FAY].proposal(number).unwrap();
    let what = what.unwrap_or(proposed.what);
    Act::Second(Second::Confirm { proposal: number, salt: proposed.salt, what })
}

fn rule_of(error: EngineError) -> RuleError {
    match error {
        EngineError::Rule(rule) => rule,
        other => panic!("{other:?}"),
    }
}

#[test]
fn two_moderators_remove_together() {
    let mut world = ruled();
    let ben = world.key(BEN);
    let number = proposes(&mut world, FAY, ends_place_of(ben));
    assert_eq!(world.rooms[BEN].state().standing, Standing::Member, "nothing is done yet");
    let known = world.rooms[CLEO].proposals(NOW).unwrap();
    assert_eq!(known[0].1.as_ref().unwrap().member(), Some(ben));
    confirms(&mut world, CLEO, number);
    assert_eq!(world.rooms[BEN].state().standing, Standing::Removed);
    let policy = world.policy();
    assert_eq!((policy.more.proposals(), policy.revoked), (&[][..], vec![ben]));
    assert!(world.rooms[MAL].roster().unwrap().iter().all(|leaf| leaf.member != ben));
}

/// What the room sees of a proposal is a commitment.
#[test]
fn proposal_names_nobody_to_members() {
    let mut world = ruled();
    let ben = world.key(BEN);
    proposes(&mut world, FAY, ends_place_of(ben));
    for who in [BEN, MAL] {
        let known = world.rooms[who].proposals(NOW).unwrap();
        assert!(known[0].1.is_none());
        let seen = hearth_protocol::codec::encode(&world.rooms[who].policy().unwrap().more);
        assert!(!seen.windows(32).any(|part| part == ben.as_bytes()));
        assert!(rows(&world.rooms[who]).iter().all(|row| row.notices.is_empty()));
    }
}

#[test]
fn one_moderator_removes_nobody_alone() {
    let mut world = ruled();
    let ben = world.key(BEN);
    let refused = world.rooms[FAY].act(removal(ben), NOW).err().unwrap();
    assert_eq!(rule_of(refused), RuleError::NeedsSecond);
    for who in [FAY, CLEO] {
        let forged = world.forged_act(who, removal(ben));
        world.refuses(who, forged, &rule(RuleError::NeedsSecond));
    }
    // Nor by confirming what they proposed themselves.
    let number = proposes(&mut world, FAY, ends_place_of(ben));
    let refused = world.rooms[FAY].confirm(number, NOW).err().unwrap();
    assert_eq!(rule_of(refused), RuleError::OwnProposal);
    let alone = confirmation(&mut world, number, None);
    let forged = world.forged_act(FAY, alone);
    world.refuses(FAY, forged, &rule(RuleError::OwnProposal));
}

#[test]
fn confirmation_is_of_what_was_proposed() {
    let mut world = ruled();
    let (ben, mal) = (world.key(BEN), world.key(MAL));
    let number = proposes(&mut world, FAY, ends_place_of(ben));
    let other = confirmation(&mut world, number, Some(ends_place_of(mal)));
    let forged = world.forged_act(CLEO, other);
    world.refuses(CLEO, forged, &rule(RuleError::OtherProposal));
    let unknown = Act::Second(Second::Confirm { proposal: 99, salt: [0; 16], what: Weighty::Off });
    let forged = world.forged_act(CLEO, unknown);
    world.refuses(CLEO, forged, &rule(RuleError::NoProposal));
    let by_member = confirmation(&mut world, number, None);
    let forged = world.forged_act(MAL, by_member);
    world.refuses(MAL, forged, &rule(RuleError::NotFacilitator));
    let proposing = Act::Second(Second::Propose(zero()));
    let forged = world.forged_act(MAL, proposing);
    world.refuses(MAL, forged, &rule(RuleError::NotFacilitator));
}

/// A co-facilitator confirms no removal of somebody who moderates.
#[test]
fn confirmer_needs_the_acts_role() {
    let mut world = ruled();
    let mal = world.key(MAL);
    world.act(FAY, Act::SetRole { member: mal, role: Role::CoFacilitator });
    let number = proposes(&mut world, FAY, ends_place_of(mal));
    let refused = world.rooms[CLEO].confirm(number, NOW).err().unwrap();
    assert_eq!(rule_of(refused), RuleError::NotFacilitator);
}

#[test]
fn lapsed_proposal_changes_nothing() {
    let mut world = ruled();
    let ben = world.key(BEN);
    let number = proposes(&mut world, FAY, ends_place_of(ben));
    let late = NOW.plus(PROPOSAL_MILLIS + 1);
    assert!(world.rooms[CLEO].confirm(number, NOW.plus(PROPOSAL_MILLIS)).is_ok());
    world.rooms[CLEO].change(Room::give_up_commit).unwrap();
    let refused = world.rooms[CLEO].confirm(number, late).err().unwrap();
    assert_eq!(rule_of(refused), RuleError::NoProposal);
    assert!(world.rooms[CLEO].proposals(late).unwrap().is_empty());
}

#[test]
fn demoted_proposer_decides_nothing() {
    let mut world = ruled();
    let (ben, cleo) = (world.key(BEN), world.key(CLEO));
    let number = proposes(&mut world, CLEO, ends_place_of(ben));
    world.act(FAY, Act::SetRole { member: cleo, role: Role::Member });
    let refused = world.rooms[FAY].confirm(number, NOW).err().unwrap();
    assert_eq!(rule_of(refused), RuleError::NoProposal);
}

#[test]
fn proposal_is_taken_back_once() {
    let mut world = ruled();
    let ben = world.key(BEN);
    let back = |proposal| Act::Second(Second::Withdraw { proposal });
    let number = proposes(&mut world, FAY, ends_place_of(ben));
    // A co-facilitator takes back their own alone.
    let forged = world.forged_act(CLEO, back(number));
    world.refuses(CLEO, forged, &rule(RuleError::NotFacilitator));
    world.act(FAY, back(number));
    let refused = world.rooms[CLEO].confirm(number, NOW).err().unwrap();
    assert_eq!(rule_of(refused), RuleError::NoProposal);
    let refused = world.rooms[FAY].act(back(number), NOW).err().unwrap();
    assert_eq!(rule_of(refused), RuleError::NoProposal);
}

#[test]
fn rule_ends_by_two_alone() {
    let mut world = ruled();
    let number = proposes(&mut world, CLEO, Weighty::Off);
    assert!(world.policy().takes_two());
    confirms(&mut world, FAY, number);
    assert!(!world.policy().takes_two());
    let ben = world.key(BEN);
    world.act(FAY, removal(ben));
}

#[test]
fn single_moderator_has_no_second() {
    let mut world = World::with_clocks([0; 4]);
    let (ben, cleo) = (world.key(BEN), world.key(CLEO));
    world.act(FAY, Act::SetRole { member: cleo, role: Role::Member });
    let refused = world.rooms[FAY].act(Act::Second(Second::On), NOW).err().unwrap();
    assert_eq!(rule_of(refused), RuleError::NoSecond);
    let refused = world.rooms[FAY].queue_proposal(ends_place_of(ben), NOW).err().unwrap();
    assert_eq!(rule_of(refused), RuleError::NoSecond);
}

#[test]
fn long_time_out_takes_two() {
    let mut world = World::with_clocks([0; 4]);
    let (ben, until) = (world.key(BEN), NOW.plus(2 * LONG_TIMEOUT_MILLIS));
    let words = "Until we have talked.";
    let digest = world.rooms[FAY].queue_proposed_time_out(ben, until, words.into(), NOW).unwrap();
    let number = made_official(&mut world, FAY, digest);
    assert_eq!(world.rooms[BEN].state().timed_out_until, Millis(0));
    assert!(world.rooms[CLEO].queue_confirmed_time_out(number, NOW).unwrap().is_some());
    world.log.flush(&mut world.rooms[CLEO]);
    world.show();
    let submission = world.rooms[CLEO].confirm(number, NOW).unwrap();
    assert!(submission.effects.contains(&Effect::Timeout { member: ben, until }));
    world.log.take(submission);
    world.show();
    assert_eq!(world.rooms[BEN].state().timed_out_until, until);
    let row = last_row(&world.rooms[BEN]);
    assert_eq!(row.content, RowContent::MyTimeout { until, note: words.into() });
    assert_eq!(row.notices, []);
    for who in [FAY, CLEO] {
        assert_eq!(world.rooms[who].recorded_time_out(&ben).unwrap(), Some(until));
    }
}

/// Whoever learns of a long time-out that a moderator gave alone is told.
#[test]
fn long_time_out_alone_is_told() {
    let mut world = World::with_clocks([0; 4]);
    let (ben, until) = (world.key(BEN), NOW.plus(2 * LONG_TIMEOUT_MILLIS));
    let time_out = world.rooms[FAY].queue_time_out(ben, until, String::new(), NOW).unwrap();
    world.log.flush(&mut world.rooms[FAY]);
    let submission = world.rooms[FAY].time_out(&time_out, NOW).unwrap();
    world.log.take(submission);
    world.show();
    for who in [CLEO, BEN] {
        assert_eq!(last_row(&world.rooms[who]).notices, [Notice::Alone]);
    }
    assert_eq!(last_row(&world.rooms[MAL]).notices, []);
}

/// A record that calls a proposal a time-out, or the other way round, is read all the same.
#[test]
fn notes_of_another_kind_stop_nobody() {
    let mut world = World::with_clocks([0; 4]);
    let ben = world.key(BEN);
    let digest = world.rooms[CLEO].queue_proposal(Weighty::Off, NOW).unwrap();
    world.log.flush(&mut world.rooms[CLEO]);
    world.show();
    world.act(CLEO, Act::Timeout(digest));
    let time_out = world.rooms[CLEO].queue_time_out(ben, NOW.plus(1000), String::new(), NOW);
    let commitment = time_out.unwrap().commitment();
    world.log.flush(&mut world.rooms[CLEO]);
    world.show();
    let number = made_official(&mut world, CLEO, commitment);
    assert!(world.rooms[FAY].proposals(NOW).unwrap()[0].1.is_none());
    assert!(matches!(world.rooms[FAY].proposal(number), Err(EngineError::NotTold)));
    world.goes_on();
}

#[test]
fn proposals_are_bounded() {
    let mut world = ruled();
    let mut policy = world.policy();
    let by = policy.record.actor;
    let proposal = |number| Proposal { number, by, at: NOW, digest: zero() };
    policy.more.proposals = Some((0..PROPOSALS_MAX as u64).map(proposal).collect());
    let room = &mut world.rooms[FAY];
    let (roster, mine) = (room.roster().unwrap(), ack_of(room));
    let scene = crate::policy::Scene {
        room: room.id(),
        members_max: Suite::X25519.members_max(),
        roster: &roster,
        added: None,
        actor_acknowledgement: &mine,
    };
    let propose = |at| policy.record_for(by, at, Act::Second(Second::Propose(zero())));
    let full = policy.apply(scene, &propose(NOW)).err();
    assert_eq!(full, Some(RuleError::TooManyProposals));
    // Those that lapsed give place.
    let later = policy.apply(scene, &propose(NOW.plus(PROPOSAL_MILLIS + 1))).unwrap();
    assert_eq!(later.policy.more.proposals().len(), 1);
}
