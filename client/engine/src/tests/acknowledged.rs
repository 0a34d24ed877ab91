//! No member is admitted without an acknowledgement: the facilitator's client refuses it, and so does every member's gate if the
//! facilitator's client is modified and the relay helps.

use ed25519_dalek::SigningKey;
use hearth_protocol::{MemberKey, Signature, codec, handshake, hash, invite, seal, seal::Purpose};

use super::{world::*, *};
use crate::{
    EngineError,
    agreement::{
        ACKNOWLEDGEMENT_MILLIS, AckError, AckTerms, Acknowledgement, Agreement, Change, Departure,
    },
    gate::{LeafError, Refusal},
    mls::{
        self,
        modified::{Context, Forgery, PackageForgery, forged_package},
    },
    policy::{Act, RuleError},
    state::KnockBody,
};

pub(super) fn not_acknowledged(error: AckError) -> Refusal {
    rule(RuleError::NotAcknowledged(error))
}

fn terms(agreement: &Agreement, room: RoomId, now: Millis) -> AckTerms<'_> {
    AckTerms {
        room,
        agreement,
        facilitators: zero(),
        now,
        nonce: [3; 16],
        answers: Vec::new(),
        breach: None,
    }
}

/// Signs an altered acknowledgement again, as the owner of the key can.
fn signed(key: &SigningKey, mut ack: Acknowledgement) -> Acknowledgement {
    ack.signature = Signature([0; 64]);
    let transcript = hash::labelled("hearth acknowledgement v1", &[&codec::encode(&ack)]);
    ack.signature = handshake::sign(key, &transcript);
    ack
}

/// Knocks with any key package through one of Fay's invites.
pub(super) fn knock_with(
    world: &mut World,
    ghost: &Ghost,
    package: Vec<u8>,
) -> Result<Knock, EngineError> {
    let link = invite(&mut world.rooms[FAY], &mut world.log);
    world.show();
    let name = ghost.name.clone();
    let body = KnockBody { name, key_package: package, offer: None, reply_key: vec![9; 32] };
    let key = invite::knock_key(&link.secret);
    let body = seal::seal(&key, [1; 24], Purpose::Knock, &link.room, &codec::encode(&body));
    let pending = PendingKnock {
        member: ghost.member(),
        invite: invite::invite_id(&link.token()),
        at: NOW,
        acknowledgement: hearth_protocol::frame::AckTriple {
            agreement: current(&world.rooms[FAY]).commitment(&link.room),
            digest: ghost.acknowledgement.digest(),
            signature: Signature([0; 64]),
        },
        body: body.unwrap(),
    };
    world.rooms[FAY].open_knock(&pending)
}

/// A bad acknowledgement: Fay's client does not admit it, and if her client is modified, no member follows.
fn never_admits(world: &mut World, mut ghost: Ghost, error: AckError) {
    let package = ghost.package.clone();
    let admitted = knock_with(world, &ghost, package)
        .and_then(|knock| world.rooms[FAY].admit(&knock, NOW).map(|_| ()));
    assert!(admitted.is_err(), "{error:?}");
    world.keeps_out(FAY, &mut ghost, &not_acknowledged(error));
}

#[test]
fn a_good_acknowledgement_admits() {
    let mut world = World::new();
    let ghost = Ghost::new(&world, 50);
    let committed = world.forged_admission(FAY, &ghost);
    world.log.append(committed.commit);
    let mal = world.rooms.pop().unwrap();
    for room in &mut world.rooms[CLEO..] {
        world.log.show(room);
        assert_eq!(room.roster().unwrap().len(), 5);
    }
    drop(mal);
    let mut world = World::new();
    let ghost = Ghost::new(&world, 50);
    let knock = knock_with(&mut world, &ghost, ghost.package.clone()).unwrap();
    let admitted = world.rooms[FAY].admit(&knock, NOW).unwrap();
    world.log.take(admitted);
    world.show();
    assert_eq!(world.rooms[BEN].roster().unwrap().len(), 5);
}

/// A newcomer who acknowledged version 1 is not admitted under version 2.
#[test]
fn acknowledging_version_1_misses_version_2() {
    let mut world = World::new();
    let first = current(&world.rooms[FAY]);
    let room = world.rooms[FAY].id();
    // Editorial: members stay with version 1, newcomers take version 2.
    let agreement = {
        let fay = &mut world.rooms[FAY];
        fay.queue_amendment("Clearer words.".into(), Change::Editorial, NOW, NOW).unwrap()
    };
    world.log.flush(&mut world.rooms[FAY]);
    let amend = world.rooms[FAY].amend(&agreement, NOW).unwrap();
    world.log.take(amend);
    world.show();
    assert_eq!(world.policy().agreement.version, 2);
    let old = Ghost::acknowledging(room, &first, 51, NOW);
    never_admits(&mut world, old, AckError::OtherAgreement);
    // Version 1 under the number of version 2, and the reverse.
    for (id, version) in [(&first, 2), (&agreement, 1), (&agreement, 3)] {
        let key = SigningKey::from_bytes(&[52; 32]);
        let mut ack = Acknowledgement::sign(&key, terms(id, room, NOW));
        ack.version = version;
        let ghost = Ghost::with(key.clone(), signed(&key, ack), "Gus");
        never_admits(&mut world, ghost, AckError::OtherAgreement);
    }
    // A current member may stay with version 1 under its own number, and with no text that was never in force.
    let policy = world.policy();
    let key = SigningKey::from_bytes(&[52; 32]);
    let member = MemberKey(key.verifying_key().to_bytes());
    let judge = |agreement: &Agreement, version: u32| {
        let mut ack = Acknowledgement::sign(&key, terms(agreement, room, NOW));
        ack.version = version;
        policy.judge_acknowledgement(&room, &member, &signed(&key, ack))
    };
    assert_eq!(judge(&first, 1), Ok(()));
    let mut foreign = first.clone();
    foreign.text = "Anything goes.".into();
    for (agreement, version) in [(&first, 2), (&first, 3), (&foreign, 1)] {
        assert_eq!(judge(agreement, version), Err(AckError::OtherAgreement), "{version}");
    }
    let good = Ghost::acknowledging(room, &agreement, 53, NOW);
    let admitted = world.forged_admission(FAY, &good);
    world.log.append(admitted.commit);
    for room in &mut world.rooms[CLEO..] {
        world.log.show(room);
        assert_eq!(room.roster().unwrap().len(), 5);
    }
}

#[test]
fn acknowledgement_of_another_room_admits_nobody() {
    let mut world = World::new();
    let agreement = current(&world.rooms[FAY]);
    // The same text and the same id; only the room differs.
    let mut ghost = Ghost::acknowledging(RoomId([1; 16]), &agreement, 54, NOW);
    let package = ghost.package.clone();
    assert!(knock_with(&mut world, &ghost, package).is_err());
    let committed = world.forged_admission(FAY, &ghost);
    ghost.haunt(committed.welcome.as_ref().unwrap());
    world.refuses(FAY, committed.commit, &not_acknowledged(AckError::OtherRoom));
    world.say(BEN, "Here.");
    assert_eq!(ghost.reads(&world.log), 0);
}

#[test]
fn unknown_agreement_admits_nobody() {
    let mut world = World::new();
    let room = world.rooms[FAY].id();
    let mut agreement = current(&world.rooms[FAY]);
    agreement.text = "Tell everybody.".into();
    let ghost = Ghost::acknowledging(room, &agreement, 55, NOW);
    never_admits(&mut world, ghost, AckError::OtherAgreement);
}

#[test]
fn expired_or_future_acknowledgement_admits_nobody() {
    let mut world = World::new();
    let room = world.rooms[FAY].id();
    let agreement = current(&world.rooms[FAY]);
    let year_ago = Millis(NOW.0 - ACKNOWLEDGEMENT_MILLIS - 1);
    let expired = Ghost::acknowledging(room, &agreement, 56, year_ago);
    never_admits(&mut world, expired, AckError::Expired);
    let future = Ghost::acknowledging(room, &agreement, 57, NOW.plus(600_001));
    never_admits(&mut world, future, AckError::Future);
    // Signed once and valid forever: the signer cannot choose the expiry.
    let key = SigningKey::from_bytes(&[58; 32]);
    let mut ack = Acknowledgement::sign(&key, terms(&agreement, room, year_ago));
    ack.expires = Millis::NEVER;
    let ghost = Ghost::with(key.clone(), signed(&key, ack), "Gus");
    never_admits(&mut world, ghost, AckError::TooLasting);
    // A clock ten minutes ahead does not prevent an admission, nor does the last moment of the year.
    for signed_at in [NOW.plus(600_000), year_ago.plus(1)] {
        let mut world = World::new();
        let (room, agreement) = (world.rooms[FAY].id(), current(&world.rooms[FAY]));
        let ghost = Ghost::acknowledging(room, &agreement, 59, signed_at);
        let knock = knock_with(&mut world, &ghost, ghost.package.clone()).unwrap();
        assert!(world.rooms[FAY].admit(&knock, NOW).is_ok());
    }
}

#[test]
fn acknowledgement_of_another_admits_nobody() {
    let mut world = World::new();
    let bens = ack_of(&world.rooms[BEN]);
    let ghost = Ghost::with(SigningKey::from_bytes(&[59; 32]), bens.clone(), "Gus");
    never_admits(&mut world, ghost, AckError::OtherMember);
    let key = SigningKey::from_bytes(&[60; 32]);
    let mut renamed = bens;
    renamed.member = MemberKey(key.verifying_key().to_bytes());
    let ghost = Ghost::with(key, renamed, "Gus");
    never_admits(&mut world, ghost, AckError::BadSignature);
}

#[test]
fn replay_after_withdrawal_fails() {
    let mut world = World::new();
    let (key, ack) = (world.rooms[MAL].signing_key(), ack_of(&world.rooms[MAL]));
    world.rooms[MAL].queue_departure(true, NOW).unwrap();
    world.log.flush(&mut world.rooms[MAL]);
    world.rooms.pop();
    world.show();
    let departure = world.rooms[CLEO].open_departures().unwrap().remove(0);
    world.act(CLEO, Act::Depart(departure));
    let again = Ghost::with(key.clone(), ack, "Mal");
    never_admits(&mut world, again, AckError::Revoked);
    // A fresh acknowledgement under the old key fails, too: a returning member makes a new key.
    let agreement = current(&world.rooms[FAY]);
    let room = world.rooms[FAY].id();
    let fresh = Acknowledgement::sign(&key, terms(&agreement, room, NOW));
    never_admits(&mut world, Ghost::with(key, fresh, "Mal"), AckError::Revoked);
}

#[test]
fn departure_revokes_acknowledgements_of_all_versions() {
    let mut world = World::new();
    let room = world.rooms[FAY].id();
    let (key, first) = (world.rooms[MAL].signing_key(), ack_of(&world.rooms[MAL]));
    let agreement = {
        let fay = &mut world.rooms[FAY];
        fay.queue_amendment("New rules.".into(), Change::Material, NOW, NOW).unwrap()
    };
    world.log.flush(&mut world.rooms[FAY]);
    let amend = world.rooms[FAY].amend(&agreement, NOW).unwrap();
    world.log.take(amend);
    world.show();
    // Mal has acknowledged both versions before he withdraws.
    let second = world.rooms[MAL].sign_acknowledgement(&agreement, NOW, Vec::new()).unwrap();
    let renewal = world.rooms[MAL].renew(Some(&second), NOW).unwrap();
    world.log.take(renewal);
    world.show();
    let departure = Departure::sign(&key, room, second.digest(), true, NOW);
    world.act(FAY, Act::Depart(departure));
    world.rooms.pop();
    for ack in [&first, &second] {
        let ghost = Ghost::with(key.clone(), ack.clone(), "Mal");
        never_admits(&mut world, ghost, AckError::Revoked);
    }
    sign(&mut world.rooms[FAY], &mut world.log, &agreement);
    world.show();
    let enact = world.rooms[FAY].enact(NOW, NOW).unwrap();
    world.log.take(enact);
    world.log.show(&mut world.rooms[FAY]);
    world.rooms.truncate(1);
    let mut ghost = Ghost::with(key, second, "Mal");
    let committed = world.forged_admission(FAY, &ghost);
    ghost.haunt(committed.welcome.as_ref().unwrap());
    let knocked = knock_with(&mut world, &ghost, ghost.package.clone());
    assert!(matches!(knocked, Err(EngineError::Acknowledgement(AckError::Revoked))));
}

#[test]
fn role_grant_admits_nobody() {
    let mut world = World::new();
    let stranger = nobody();
    for role in [Role::Facilitator, Role::CoFacilitator, Role::Observer, Role::Member] {
        let forged = world.forged_act(FAY, Act::SetRole { member: stranger, role });
        world.refuses(FAY, forged, &rule(RuleError::NoSuchMember));
    }
    // With the stranger's leaf in the same commit.
    let ghost = Ghost::new(&world, 62);
    let record = world.record(FAY, Act::SetRole { member: ghost.member(), role: Role::Observer });
    let policy = world.after(&record, None);
    let (adds, context) = (vec![ghost.package.as_slice()], Context::Policy(&policy));
    let forged = world.forge(FAY, &Forgery { adds, context, ..Forgery::default() }).commit;
    world.refuses(FAY, forged, &rule(RuleError::NoSuchMember));
}

#[test]
fn imported_leaf_admits_nobody() {
    let mut world = World::new();
    // A member of another room with the same people, with the leaf and the acknowledgement made there.
    let other = World::new();
    let bens = &other.rooms[BEN];
    let mut ghost = Ghost::with(bens.signing_key(), ack_of(bens), "Bob");
    let committed = world.forged_admission(FAY, &ghost);
    ghost.haunt(committed.welcome.as_ref().unwrap());
    world.refuses(FAY, committed.commit, &not_acknowledged(AckError::OtherRoom));
    // A leaf as another product makes it: a name and a key.
    let forgeries = [
        PackageForgery { no_acknowledgement: true, ..PackageForgery::default() },
        PackageForgery { extra_extension: true, ..PackageForgery::default() },
        PackageForgery { acknowledgement: Some(b""), ..PackageForgery::default() },
        PackageForgery { acknowledgement: Some(b"true"), ..PackageForgery::default() },
    ];
    let refusals = [
        LeafError::Acknowledgement,
        LeafError::Extensions,
        LeafError::Acknowledgement,
        LeafError::Acknowledgement,
    ];
    for (forgery, error) in forgeries.into_iter().zip(refusals) {
        let mut ghost = Ghost::new(&world, 63);
        ghost.package =
            forged_package(&ghost.provider(), Suite::X25519, ghost.identity(), &forgery);
        assert!(knock_with(&mut world, &ghost, ghost.package.clone()).is_err());
        world.keeps_out(FAY, &mut ghost, &Refusal::BadLeaf(error));
    }
}

#[test]
fn removed_member_cannot_rejoin_unacknowledged() {
    let mut world = World::new();
    let (key, ack, mal) =
        (world.rooms[MAL].signing_key(), ack_of(&world.rooms[MAL]), world.key(MAL));
    let act = Act::Remove { member: mal, goodbye: String::new() };
    world.act(FAY, act);
    world.rooms.pop();
    never_admits(&mut world, Ghost::with(key, ack, "Mal"), AckError::Revoked);
}

#[test]
fn second_device_needs_its_own_acknowledgement() {
    let mut world = World::new();
    let (key, ack) = (world.rooms[BEN].signing_key(), ack_of(&world.rooms[BEN]));
    // The same key twice is refused by OpenMLS already, when the commit is made and when it is read.
    let twin = Ghost::with(key, ack.clone(), "Benjamin");
    let knock = knock_with(&mut world, &twin, twin.package.clone()).unwrap();
    let refused = world.rooms[FAY].admit(&knock, NOW);
    assert!(matches!(refused, Err(EngineError::Rule(RuleError::AlreadyMember))));
    let leaf = twin.leaf();
    let act = admission(&world.rooms[FAY], &leaf, Role::Member);
    let record = world.record(FAY, act);
    let policy = world.after(&record, Some(&leaf));
    let (adds, context) = (vec![twin.package.as_slice()], Context::Policy(&policy));
    let forgery = Forgery { adds, context, ..Forgery::default() };
    assert!(try_forge(&mut world.rooms[FAY], &forgery).is_err());
    world.goes_on();
    // Another key under the first device's acknowledgement.
    let second = Ghost::with(SigningKey::from_bytes(&[64; 32]), ack, "Benjamin");
    never_admits(&mut world, second, AckError::OtherMember);
}

#[test]
fn racing_admissions_admit_no_unacknowledged_leaf() {
    let mut world = World::new();
    let room = world.rooms[FAY].id();
    let agreement = current(&world.rooms[FAY]);
    let good = Ghost::acknowledging(room, &agreement, 65, NOW);
    let mut bad = Ghost::acknowledging(RoomId([1; 16]), &agreement, 66, NOW);
    bad.name = "Tom".into();
    let mut bad = Ghost::with(bad.key, bad.acknowledgement, "Tom");
    // Fay admits the one, Cleo's modified client the other, both from the same state.
    let knock = knock_with(&mut world, &good, good.package.clone()).unwrap();
    let first = world.rooms[FAY].admit(&knock, NOW).unwrap();
    let second = world.forged_admission(CLEO, &bad);
    bad.haunt(second.welcome.as_ref().unwrap());
    // In either order: what names another state than the one that stands goes nowhere.
    world.log.append(second.commit.clone());
    world.log.take(first);
    world.log.append(second.commit);
    world.show();
    for who in [FAY, BEN, MAL] {
        let names: Vec<String> =
            world.rooms[who].roster().unwrap().into_iter().map(|l| l.name).collect();
        assert_eq!(names, ["Fay", "Cleo", "Ben", "Mal", "Gus"]);
    }
    world.say(FAY, "Welcome, Gus.");
    assert_eq!(bad.reads(&world.log), 0);
    // The same person, admitted by both: one leaf, one record.
    let again = world.rooms[CLEO].admit(&knock, NOW);
    assert!(again.is_err());
}

#[test]
fn relay_without_gate_yields_no_key() {
    let mut world = World::new();
    let agreement = current(&world.rooms[FAY]);
    let room = world.rooms[FAY].id();
    let mut ghost = Ghost::acknowledging(room, &agreement, 67, NOW);
    // The relay calls the stranger a member, hands over every entry and every Welcome it has, and delivers what the
    // stranger posts. Mal, who is in the room, adds the stranger as well as he can.
    for (_, welcome) in world.log.welcomes.clone() {
        let joined = mls::Group::join_unchecked(&ghost.provider(), &welcome);
        assert!(joined.is_none());
    }
    let adds = vec![ghost.package.as_slice()];
    let committed = world.forge(MAL, &Forgery { adds, ..Forgery::default() });
    ghost.haunt(committed.welcome.as_ref().unwrap());
    world.refuses(MAL, committed.commit, &Refusal::Unrecorded);
    for round in 0..20 {
        world.say(if round % 2 == 0 { FAY } else { BEN }, &format!("secret {round}"));
    }
    assert_eq!(ghost.reads(&world.log), 0);
    // No member reads the ghost's post.
    let (provider, key) = (ghost.provider(), ghost.key.clone());
    let post = ghost.group.as_mut().unwrap().encrypt(&provider, &key, b"boo", false).unwrap();
    world.nobody_reads(post);
}
