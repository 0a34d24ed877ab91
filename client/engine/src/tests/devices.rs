//! Lost devices: the old key is out at once, and only its member's new device takes the place.

use hearth_protocol::{MemberKey, handshake};

use super::{world::*, *};
use crate::{
    EngineError,
    agreement::countersign_transcript,
    gate::Refusal,
    mls::modified::{Context, Forgery},
    policy::{Act, Device, KEPT_MAX, KeptPlace, Leaf, RuleError},
    state::{Over, Standing},
};

fn lost(member: MemberKey) -> Act {
    Act::Device(Device::Lost { member })
}

/// Makes the link by which a lost device's member comes back.
fn link_back(world: &mut World, member: MemberKey) -> Invite {
    let (link, _) = world.rooms[FAY].invite_back(member, NOW.plus(1000), NOW).unwrap();
    world.log.flush(&mut world.rooms[FAY]);
    world.show();
    link
}

/// The act that lets a leaf in, in a lost device's place.
fn replacing(actor: &TestRoom, leaf: &Leaf, lost: MemberKey) -> Act {
    let acknowledgement = leaf.acknowledgement.digest();
    let transcript = countersign_transcript(&actor.id(), &acknowledgement, NOW);
    let countersignature = handshake::sign(&actor.signing_key(), &transcript);
    let member = leaf.member;
    Act::Device(Device::Replaced { lost, member, acknowledgement, countersignature })
}

/// Every member refuses to let a ghost in, in a lost device's place.
fn keeps_out(world: &mut World, who: usize, ghost: &mut Ghost, of: MemberKey, refusal: &Refusal) {
    let leaf = ghost.leaf();
    let act = replacing(&world.rooms[who], &leaf, of);
    let record = world.record(who, act);
    let policy = world.after(&record, Some(&leaf));
    let context = Context::Policy(&policy);
    let forgery = Forgery { adds: vec![&ghost.package], context, ..Forgery::default() };
    let committed = world.forge(who, &forgery);
    ghost.haunt(committed.welcome.as_ref().unwrap());
    world.refuses(who, committed.commit, refusal);
    world.say(FAY, "Among us.");
    assert_eq!(ghost.reads(&world.log), 0);
}

#[test]
fn lost_device_is_out_at_once() {
    let mut world = World::with_clocks([0; 4]);
    let ben = world.key(BEN);
    world.act(FAY, lost(ben));
    assert_eq!(world.rooms[BEN].state().standing, Standing::Over(Over::Device));
    assert!(world.rooms[BEN].queue_text("from the thief".into(), NOW).is_err());
    let policy = world.policy();
    let place = KeptPlace { lost: ben, name: "Ben".into(), role: Role::Member };
    assert_eq!((policy.more.kept(), policy.revoked), (&[place][..], vec![ben]));
}

#[test]
fn new_device_takes_name_and_role() {
    let mut world = World::with_clocks([0; 4]);
    let old = world.key(CLEO);
    world.act(FAY, lost(old));
    assert_eq!(world.policy().role(&old), Role::Member, "the old key moderates nothing");
    let link = link_back(&mut world, old);
    let preview = open_preview(&link, world.log.previews.last().unwrap()).unwrap();
    assert_eq!(preview.name.as_deref(), Some("Cleo"));
    let (mut cleo, request) = knock(Profile::new(), &link, &world.log, "Cleo");
    let pending = pending(&cleo, &link, &request);
    let knock = world.rooms[FAY].open_knock(&pending).unwrap();
    assert_eq!((knock.of, knock.invited_by_me), (Some(old), true));
    assert_eq!(
        world.rooms[FAY].verification_code(&knock.member),
        cleo.verification_code(&link.facilitator),
        "what both read aloud"
    );
    let submission = world.rooms[FAY].admit(&knock, NOW).unwrap();
    world.log.take(submission);
    for who in [FAY, BEN, MAL] {
        world.log.show(&mut world.rooms[who]);
    }
    let (seq, welcome) = world.log.welcomes.last().unwrap();
    cleo.welcomed(welcome, *seq, NOW).unwrap();
    let (new, policy) = (cleo.me(), cleo.policy().unwrap());
    world.rooms[CLEO] = cleo;
    assert_ne!(new, old);
    assert_eq!((policy.role(&new), policy.more.kept()), (Role::CoFacilitator, &[][..]));
    world.say(CLEO, "I am here again.");
    assert_eq!(texts(&world.rooms[BEN]).last().unwrap(), "I am here again.");
    assert_eq!(last_row(&world.rooms[BEN]).notices, []);
    // The link serves once: the place is taken.
    let (again, request) = super::knock(Profile::new(), &link, &world.log, "Cleo");
    let pending = super::pending(&again, &link, &request);
    let refused = world.rooms[FAY].open_knock(&pending).unwrap_err();
    assert!(matches!(refused, EngineError::BadKnock(_)), "{refused:?}");
}

#[test]
fn kept_name_is_nobody_elses() {
    let mut world = World::new();
    let ben = world.key(BEN);
    world.act(FAY, lost(ben));
    let link = invite(&mut world.rooms[FAY], &mut world.log);
    let (other, request) = knock(Profile::new(), &link, &world.log, "Ben");
    let pending = pending(&other, &link, &request);
    let knock = world.rooms[FAY].open_knock(&pending).unwrap();
    let refused = world.rooms[FAY].admit(&knock, NOW).err().unwrap();
    assert!(matches!(refused, EngineError::NameTaken), "{refused:?}");
    world.rooms.remove(BEN);
    let ghost = Ghost::new(&world, 42);
    let mut ghost = Ghost::with(ghost.key, ghost.acknowledgement, "Ben");
    let committed = world.forged_admission(FAY, &ghost);
    ghost.haunt(committed.welcome.as_ref().unwrap());
    let notice = crate::state::Notice::RefusedCommit(Refusal::NameConfusable.to_string());
    world.log.append(committed.commit);
    for who in [1, 2] {
        world.log.show(&mut world.rooms[who]);
        assert_eq!(last_row(&world.rooms[who]).notices, std::slice::from_ref(&notice));
    }
}

#[test]
fn new_device_keeps_the_name() {
    let mut world = World::with_clocks([0; 4]);
    let ben = world.key(BEN);
    world.act(FAY, lost(ben));
    let link = link_back(&mut world, ben);
    let (other, request) = knock(Profile::new(), &link, &world.log, "Gus");
    let refused = world.rooms[FAY].open_knock(&pending(&other, &link, &request)).unwrap_err();
    assert!(matches!(refused, EngineError::BadKnock(_)), "{refused:?}");
}

#[test]
fn stranger_takes_no_place() {
    let mut world = World::new();
    let mal = world.key(MAL);
    world.act(FAY, lost(mal));
    world.rooms.truncate(MAL);
    let mut gus = Ghost::new(&world, 43);
    keeps_out(&mut world, FAY, &mut gus, mal, &rule(RuleError::OtherName));
    // Without a place, the name alone is worth nothing.
    let ghost = Ghost::new(&world, 44);
    let mut ghost = Ghost::with(ghost.key, ghost.acknowledgement, "Mal");
    keeps_out(&mut world, FAY, &mut ghost, nobody(), &rule(RuleError::NoSuchMember));
    // A member lets nobody in.
    let ghost = Ghost::new(&world, 45);
    let mut ghost = Ghost::with(ghost.key, ghost.acknowledgement, "Mal");
    keeps_out(&mut world, BEN, &mut ghost, mal, &rule(RuleError::NotFacilitator));
}

#[test]
fn member_takes_no_device_out() {
    let mut world = World::new();
    for (who, target) in [(MAL, BEN), (MAL, FAY), (CLEO, FAY)] {
        let member = world.key(target);
        let forged = world.forged_act(who, lost(member));
        world.refuses(who, forged, &rule(RuleError::NotFacilitator));
    }
    let ben = world.key(BEN);
    assert!(world.rooms[FAY].invite_back(ben, NOW.plus(1000), NOW).is_err(), "Ben is here");
}

#[test]
fn place_is_given_up_once() {
    let mut world = World::with_clocks([0; 4]);
    let ben = world.key(BEN);
    let give_up = || Act::Device(Device::GivenUp { lost: ben });
    assert!(world.rooms[FAY].act(give_up(), NOW).is_err(), "Ben's device is not lost");
    world.act(FAY, lost(ben));
    let link = link_back(&mut world, ben);
    world.act(FAY, give_up());
    assert_eq!(world.policy().more.kept(), []);
    let (again, request) = knock(Profile::new(), &link, &world.log, "Ben");
    let refused = world.rooms[FAY].open_knock(&pending(&again, &link, &request)).unwrap_err();
    assert!(matches!(refused, EngineError::BadKnock(_)), "{refused:?}");
}

/// A member who waits, and has somebody else's link for a new device, is let back in by no client on its own.
#[test]
fn waiting_member_takes_no_second_place() {
    let mut world = World::with_lanes();
    world.amend(&[FAY, CLEO, MAL]);
    let cleo = world.key(CLEO);
    world.act(FAY, lost(cleo));
    let link = link_back(&mut world, cleo);
    let preview = open_preview(&link, world.log.previews.last().unwrap()).unwrap();
    let ben = &mut world.rooms[BEN];
    ben.state.name = "Cleo".into();
    ben.save_state().unwrap();
    let (store, crypto, local_name) = ben.parts();
    let joining = Joining { name: "Cleo".into(), local_name, answers: Vec::new() };
    let (ben, request) = Room::knock(store, crypto, &link, &preview, joining, NOW).unwrap();
    let pending = pending(&ben, &link, &request);
    world.rooms[BEN] = ben;
    let refused = world.rooms[FAY].open_knock(&pending).unwrap_err();
    assert!(matches!(refused, EngineError::BadKnock(_)), "{refused:?}");
    // Nor do the others take it from a modified facilitator.
    let ben = &world.rooms[BEN];
    let (key, acknowledgement) = (ben.signing_key(), ack_of(ben));
    let leaf = Ghost::with(key, acknowledgement, "Cleo").leaf();
    let act = replacing(&world.rooms[FAY], &leaf, cleo);
    let room = &mut world.rooms[FAY];
    let (policy, roster, mine) = (room.policy().unwrap(), room.roster().unwrap(), ack_of(room));
    let scene = crate::policy::Scene {
        room: room.id(),
        members_max: Suite::X25519.members_max(),
        roster: &roster,
        added: Some(&leaf),
        actor_acknowledgement: &mine,
    };
    let record = policy.record_for(room.me(), NOW, act);
    assert_eq!(policy.apply(scene, &record).err(), Some(RuleError::NotReturning));
}

#[test]
fn kept_places_are_bounded() {
    let mut world = World::new();
    let mut policy = world.policy();
    let place = |seed: u8| KeptPlace {
        lost: MemberKey([seed; 32]),
        name: String::new(),
        role: Role::Member,
    };
    policy.more.kept = Some((0..KEPT_MAX).map(|n| place(u8::try_from(n).unwrap())).collect());
    let room = &mut world.rooms[FAY];
    let (roster, mine) = (room.roster().unwrap(), ack_of(room));
    let scene = crate::policy::Scene {
        room: room.id(),
        members_max: Suite::X25519.members_max(),
        roster: &roster,
        added: None,
        actor_acknowledgement: &mine,
    };
    let member = roster.iter().find(|leaf| leaf.name == "Ben").unwrap().member;
    let record = policy.record_for(room.me(), NOW, lost(member));
    assert_eq!(policy.apply(scene, &record).err(), Some(RuleError::TooManyKept));
}
