//! Members who have not said yes yet: their place, how they come back to it, and who else cannot take it.

use hearth_protocol::{MemberKey, Secret32, codec, handshake, hash};

use super::{world::*, *};
use crate::{
    EngineError,
    act::Renewal,
    agreement::{AckError, AckTerms, Acknowledgement, Change, facilitators_hash},
    gate::Refusal,
    mls::modified::{Context, Forgery, OwnLeaf},
    policy::{Act, Leaf, RuleError, Scene, WAITING_MAX, Waiter},
    state::Standing,
};

/// Judges an admission by Fay, of a leaf that a test made.
pub(super) fn judge(
    world: &mut World,
    leaf: &Leaf,
    role: Role,
    back: bool,
) -> Result<(), RuleError> {
    let room = &mut world.rooms[FAY];
    let (policy, roster, mine) = (room.policy().unwrap(), room.roster().unwrap(), ack_of(room));
    let mut act = admission(room, leaf, role);
    if let Act::Admit { back: says, .. } = &mut act {
        *says = back;
    }
    let record = policy.record_for(room.me(), NOW, act);
    let scene = Scene {
        room: room.id(),
        members_max: Suite::X25519.members_max(),
        roster: &roster,
        added: Some(leaf),
        actor_acknowledgement: &mine,
    };
    policy.apply(scene, &record).map(|_| ())
}

pub(super) fn leaf_of(knock: &Knock) -> Leaf {
    Leaf {
        member: knock.member,
        name: knock.name.clone(),
        acknowledgement: knock.acknowledgement.clone(),
        companion: knock.companion.clone(),
    }
}

pub(super) fn leaf_with(acknowledgement: &Acknowledgement) -> Forgery<'_> {
    Forgery { leaf: OwnLeaf::Acknowledgement(acknowledgement), ..Forgery::default() }
}

pub(super) fn waiting(world: &mut World) -> Vec<String> {
    let policy = world.policy();
    policy.waiting().iter().map(|waiter| waiter.name.clone()).collect()
}

#[test]
fn lapsed_member_returns_to_their_place() {
    let mut world = World::with_lanes();
    let lane = world.lane_of(CLEO);
    world.amend(&[FAY, MAL]);
    assert_eq!(waiting(&mut world), {
        let mut both = [(world.key(BEN), "Ben"), (world.key(CLEO), "Cleo")];
        both.sort();
        both.map(|(_, name)| name.to_owned())
    });
    assert_eq!(world.policy().role(&world.key(CLEO)), Role::Member);
    world.returns(CLEO);
    let policy = world.policy();
    assert_eq!(policy.role(&world.key(CLEO)), Role::CoFacilitator, "without asking anybody");
    assert_eq!(waiting(&mut world), ["Ben"]);
    assert_eq!(world.lane_of(CLEO), lane);
    let roster = world.rooms[FAY].roster().unwrap();
    assert!(roster.iter().any(|leaf| leaf.member == world.key(CLEO) && leaf.name == "Cleo"));
    world.returns(BEN);
    assert_eq!(world.policy().more.waiting, None);
    world.goes_on();
}

#[test]
fn kept_place_takes_nobody_else() {
    let mut world = World::with_lanes();
    world.amend(&[FAY, CLEO, MAL]);
    let knock = world.says_yes(BEN);
    assert!(knock.back && knock.role == Role::Member);
    let good = leaf_of(&knock);
    assert_eq!(judge(&mut world, &good, Role::Member, true), Ok(()));
    let other = |change: fn(&mut Leaf)| {
        let mut leaf = good.clone();
        change(&mut leaf);
        leaf
    };
    let renamed = other(|leaf| leaf.name = "Benny".into());
    let moved = other(|leaf| leaf.companion.salt = [9; 16]);
    for (leaf, role, back, error) in [
        (&good, Role::Member, false, RuleError::NotReturning),
        (&good, Role::Facilitator, true, RuleError::OtherPlace),
        (&renamed, Role::Member, true, RuleError::OtherPlace),
        (&moved, Role::Member, true, RuleError::OtherPlace),
    ] {
        assert_eq!(judge(&mut world, leaf, role, back), Err(error), "{leaf:?}");
    }
    // A newcomer who calls their admission a return.
    let ghost = Ghost::new(&world, 71);
    assert_eq!(judge(&mut world, &ghost.leaf(), Role::Member, true), Err(RuleError::NotReturning));
    assert_eq!(judge(&mut world, &ghost.leaf(), Role::Member, false), Ok(()));
}

/// The name of a member who waits is taken, for every member's gate.
#[test]
fn waiting_members_name_is_taken() {
    let mut world = World::with_clocks([0; 4]);
    let signers = [FAY, CLEO, MAL];
    world.amend(&signers);
    let seed = Ghost::new(&world, 72);
    let ghost = Ghost::with(seed.key, seed.acknowledgement, "BEN");
    let leaf = ghost.leaf();
    let act = admission(&world.rooms[FAY], &leaf, Role::Member);
    let record = world.record(FAY, act);
    let policy = world.after(&record, Some(&leaf));
    let context = Context::Policy(&policy);
    let forgery = Forgery { adds: vec![&ghost.package], context, ..Forgery::default() };
    let committed = forge(&mut world.rooms[FAY], &forgery);
    world.log.append(committed.commit);
    for who in [CLEO, MAL] {
        world.log.show(&mut world.rooms[who]);
        let notices = last_row(&world.rooms[who]).notices;
        let refused = crate::state::Notice::RefusedCommit(Refusal::NameConfusable.to_string());
        assert_eq!(notices, [refused], "{who}");
    }
}

#[test]
fn removed_waiter_never_returns() {
    let mut world = World::with_lanes();
    world.amend(&[FAY, CLEO, MAL]);
    let knock = world.says_yes(BEN);
    let ben = world.key(BEN);
    world.act(CLEO, removal(ben));
    let policy = world.policy();
    assert!(policy.waiter(&ben).is_none() && policy.revoked.contains(&ben));
    assert_eq!(
        judge(&mut world, &leaf_of(&knock), Role::Member, true),
        Err(RuleError::NotAcknowledged(AckError::Revoked))
    );
    // A place of a facilitator's is not a co-facilitator's to give up.
    let mut world = World::with_lanes();
    world.appoint(BEN, Role::Facilitator);
    world.amend(&[FAY, CLEO, MAL]);
    let ben = world.key(BEN);
    let refused = world.rooms[CLEO].act(removal(ben), NOW);
    assert!(matches!(refused, Err(EngineError::Rule(RuleError::NotFacilitator))));
}

/// Nobody who left or was removed before waits.
#[test]
fn departed_member_keeps_no_place() {
    let mut world = World::with_lanes();
    let (ben, mal) = (world.key(BEN), world.key(MAL));
    world.act(FAY, removal(mal));
    world.rooms[BEN].queue_departure(true, NOW).unwrap();
    world.log.flush(&mut world.rooms[BEN]);
    world.show();
    let departure = world.rooms[FAY].open_departures().unwrap().remove(0);
    world.act(FAY, Act::Depart(departure));
    world.amend(&[FAY]);
    assert_eq!(waiting(&mut world), ["Cleo"]);
    assert!([ben, mal].iter().all(|key| world.policy().waiter(key).is_none()));
}

#[test]
fn places_are_capped_and_counted() {
    let mut world = World::with_lanes();
    let mut policy = world.policy();
    let waiter = |n: usize| {
        let mut member = [7; 32];
        member[..8].copy_from_slice(&n.to_be_bytes());
        let (name, salt, role) = (format!("Waiter {n}"), [1; 16], Role::Member);
        Waiter { member: MemberKey(member), name, salt, role, breach: None }
    };
    // A room with lanes has 100 members; those who wait are among them.
    policy.more.waiting = Some((0..96).map(waiter).collect());
    let ghost = Ghost::new(&world, 73);
    let leaf = ghost.leaf();
    let room = &mut world.rooms[FAY];
    let (roster, mine) = (room.roster().unwrap(), ack_of(room));
    let admit = |policy: &crate::policy::RoomPolicy, room: &TestRoom| {
        let record = policy.record_for(room.me(), NOW, admission(room, &leaf, Role::Member));
        let scene = Scene {
            room: room.id(),
            members_max: Suite::X25519.members_max(),
            roster: &roster,
            added: Some(&leaf),
            actor_acknowledgement: &mine,
        };
        policy.apply(scene, &record).map(|_| ())
    };
    assert_eq!(admit(&policy, room), Err(RuleError::Full(100)));
    policy.more.waiting = Some((0..95).map(waiter).collect());
    assert_eq!(admit(&policy, room), Ok(()));
    // Another lapse pushes out whoever has waited longest.
    policy.more.waiting = Some((0..WAITING_MAX).map(waiter).collect());
    policy.desk = None;
    let open = policy.record_for(
        room.me(),
        NOW,
        Act::OpenBreach { words: String::new(), return_secret: Secret32::new([1; 32]) },
    );
    let scene = |mine| Scene {
        room: room.id(),
        members_max: Suite::X25519.members_max(),
        roster: &roster,
        added: None,
        actor_acknowledgement: mine,
    };
    let policy = policy.apply(scene(&mine), &open).unwrap().policy;
    let mut again = mine.clone();
    again.more.breach = policy.more.breach;
    let close = policy.record_for(room.me(), NOW, Act::CloseBreach { words: String::new() });
    let closed = policy.apply(scene(&again), &close).unwrap();
    assert_eq!((closed.removed.len(), closed.policy.waiting().len()), (3, WAITING_MAX));
    assert_eq!(closed.policy.waiting()[0].name, "Waiter 3");
}

/// The clocks of all members are wrong by up to a year.
#[test]
fn same_version_is_acknowledged_again() {
    let mut world = World::new();
    let before = ack_of(&world.rooms[BEN]);
    let agreement = current(&world.rooms[BEN]);
    for who in [BEN, MAL] {
        let now = world.rooms[who].now();
        let ack = world.rooms[who].sign_acknowledgement(&agreement, now, Vec::new()).unwrap();
        let renewal = world.rooms[who].renew(Some(&ack), now).unwrap();
        world.log.take(renewal);
        world.show();
        assert_eq!(ack_of(&world.rooms[who]), ack);
        for room in &mut world.rooms {
            let roster = room.roster().unwrap();
            assert!(roster.iter().any(|leaf| leaf.acknowledgement == ack), "all have it");
        }
    }
    assert_ne!(ack_of(&world.rooms[BEN]), before);
    world.goes_on();
}

#[test]
fn renewal_is_due_for_a_month() {
    let mut world = World::with_clocks([0; 4]);
    let ben = &mut world.rooms[BEN];
    let expires = ack_of(ben).expires;
    let day = 24 * 3600 * 1000;
    let before = |days: u64| Millis(expires.0 - days * day);
    assert_eq!(ben.renewal_is_due(before(31)).unwrap(), None);
    for now in [before(30), before(1), expires, expires.plus(400 * day)] {
        assert_eq!(ben.renewal_is_due(now).unwrap(), Some(Renewal::Year { expires }));
    }
    // Nobody is out for not having been asked.
    assert!(ben.roster().unwrap().len() == 4);
}

/// A modified client's leaf with an acknowledgement that lasts too long, or of another text.
#[test]
fn renewal_of_anything_else_is_refused() {
    let mut world = World::with_clocks([0; 4]);
    let mal = &world.rooms[MAL];
    let (key, room, agreement) = (mal.signing_key(), mal.id(), current(mal));
    let terms = |agreement| AckTerms {
        room,
        agreement,
        facilitators: facilitators_hash(&[]),
        now: NOW,
        nonce: [5; 16],
        answers: Vec::new(),
        breach: None,
    };
    let mut lasting = Acknowledgement::sign(&key, terms(&agreement));
    lasting.expires = lasting.expires.plus(1);
    let lasting = acknowledged_by(&key, lasting);
    let other = Agreement { salt: [1; 16], ..agreement.clone() };
    let other = Acknowledgement::sign(&key, terms(&other));
    for (ack, refusal) in [
        (lasting, rule(RuleError::NotAcknowledged(AckError::TooLasting))),
        (other, Refusal::OwnLeafChanged),
    ] {
        let committed = world.forge(MAL, &leaf_with(&ack));
        world.refuses(MAL, committed.commit, &refusal);
    }
}

/// Whatever happens in whatever order: nobody is in two places, nobody who is out for good waits, and all who are in agree.
#[test]
fn random_stories_keep_one_place() {
    let mut returned = 0;
    for seed in 1..=6_u64 {
        let mut dice = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut roll = |below: u64| {
            dice ^= dice << 13;
            dice ^= dice >> 7;
            dice ^= dice << 17;
            dice % below
        };
        let mut world = World::with_lanes();
        for step in 0..14 {
            let policy = world.policy();
            let is_in =
                |world: &World, who: usize| world.rooms[who].state().standing == Standing::Member;
            let open = policy.more.breach.is_some();
            match roll(4) {
                0 if !open => {
                    let signs: Vec<usize> = [CLEO, BEN, MAL]
                        .into_iter()
                        .filter(|who| is_in(&world, *who) && roll(2) == 0)
                        .collect();
                    world.amend(&[vec![FAY], signs].concat());
                }
                1 if !open => world.open_breach(FAY),
                1 | 0 => {
                    for who in [FAY, CLEO, BEN, MAL] {
                        if is_in(&world, who) && (who == FAY || roll(2) == 0) {
                            world.say_yes_again(who);
                        }
                    }
                    world.close_breach(FAY).unwrap();
                }
                2 if !open => {
                    for who in [CLEO, BEN, MAL] {
                        // The way back of an earlier amendment leads nowhere once there was another.
                        let knows = world.rooms[who].state().agreement == policy.agreement.id;
                        let waits = world.policy().waiter(&world.key(who)).is_some();
                        if waits && knows && world.rooms[who].return_link().unwrap().is_some() {
                            world.returns(who);
                            returned += 1;
                        }
                    }
                }
                _ if step == 13 => {
                    let mal = world.key(MAL);
                    if world.policy().waiter(&mal).is_some() || is_in(&world, MAL) {
                        world.act(FAY, removal(mal));
                    }
                }
                _ => {
                    world.say(FAY, "Still here.");
                }
            }
            let (policy, roster) = (world.policy(), world.rooms[FAY].roster().unwrap());
            for waiter in policy.waiting() {
                assert!(roster.iter().all(|leaf| leaf.member != waiter.member), "{seed} {step}");
                assert!(!policy.revoked.contains(&waiter.member), "{seed} {step}");
                assert_eq!(policy.role(&waiter.member), Role::Member, "{seed} {step}");
            }
            let code = world.rooms[FAY].safety_code().unwrap();
            for who in [CLEO, BEN, MAL] {
                let (inside, key) = (is_in(&world, who), world.key(who));
                assert_eq!(inside, roster.iter().any(|leaf| leaf.member == key), "{seed} {step}");
                if inside {
                    assert_eq!(world.rooms[who].safety_code().unwrap(), code, "{seed} {step}");
                }
            }
        }
    }
    assert!(returned > 3, "{returned} came back");
}

const QUESTIONS: &str = "What is said here stays here.\n```questions\n[[question]]\nask = \"May I tell a friend?\"\nchoices = [\"Yes\", \"No, to nobody\"]\nright = 2\nwhy = \"It stays here.\"\n```\n";

#[test]
fn answers_are_those_of_the_agreement() {
    let mut world = World::with_clocks([0; 4]);
    let fay = &mut world.rooms[FAY];
    let asked = fay.queue_amendment(QUESTIONS.into(), Change::Material, NOW, NOW).unwrap();
    world.log.flush(fay);
    let submission = fay.amend(&asked, NOW).unwrap();
    world.log.take(submission);
    world.show();
    let right = asked.right_answers();
    assert_eq!(right, ["No, to nobody"]);
    // Without an answer, with another one, or with one too many: every member refuses.
    let both = ["No, to nobody", "Yes"].map(str::to_owned).to_vec();
    for answers in [Vec::new(), vec!["Yes".to_owned()], both] {
        let ack = world.rooms[MAL].sign_acknowledgement(&asked, NOW, answers).unwrap();
        let committed = world.forge(MAL, &leaf_with(&ack));
        let refusal = rule(RuleError::NotAcknowledged(AckError::WrongAnswers));
        world.refuses(MAL, committed.commit, &refusal);
    }
    for who in [MAL, FAY] {
        let room = &mut world.rooms[who];
        let ack = room.sign_acknowledgement(&asked, NOW, right.clone()).unwrap();
        let renewal = room.renew(Some(&ack), NOW).unwrap();
        world.log.take(renewal);
        world.show();
    }
    let enact = world.rooms[FAY].enact(NOW, NOW).unwrap();
    world.log.take(enact);
    world.show();
    assert_eq!(world.rooms[FAY].roster_len().unwrap(), 2);
}

/// Signs an acknowledgement again after a change.
pub(super) fn acknowledged_by(
    key: &ed25519_dalek::SigningKey,
    mut ack: Acknowledgement,
) -> Acknowledgement {
    ack.signature = hearth_protocol::Signature([0; 64]);
    let bytes = codec::encode(&ack);
    let transcript = hash::labelled("hearth acknowledgement v1", &[&bytes]);
    ack.signature = handshake::sign(key, &transcript);
    ack
}
