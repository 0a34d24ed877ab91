//! The gates of honest members: admissions, removals and self-updates.

use crate::companion::{Companion, NoteKey};
use hearth_protocol::Digest;
use hearth_protocol::codec;

use super::{
    messages::{posts, text},
    world::*,
    *,
};
use crate::{
    agreement::{Change, Departure},
    gate::{LeafError, Refusal},
    mls::{
        Processed,
        modified::{Context, Forgery, OwnLeaf},
    },
    policy::{Act, RuleError},
    state::Standing,
};

/// Offset of the epoch in a PrivateMessage.
const EPOCH_AT: usize = mls_header::CONTENT_TYPE_AT - 8;

#[test]
fn removed_members_later_commit_is_refused() {
    let mut world = World::new();
    let member = world.key(MAL);
    let in_time = world.forge(MAL, &Forgery::default()).commit;
    let removed = world.rooms[FAY].act(removal(member), NOW).unwrap();
    world.log.take(removed);
    let mut mal = world.rooms.pop().unwrap();
    world.show();
    // Mal's client keeps its keys; the relay accepts its posts.
    let again = forge(&mut mal, &Forgery::default()).commit;
    let text = mal.queue_text("I am still here".into(), NOW).unwrap();
    let message = mal.next_submission().unwrap().unwrap();
    assert_eq!(message.id, text);
    for payload in [in_time, again] {
        world.comes_too_late(None, payload);
    }
    world.nobody_reads(message.payload);
    assert_eq!(mal.state.standing, Standing::Member, "nobody told Mal's client");
    assert!(!texts(&world.rooms[FAY]).contains(&"I am still here".to_owned()));
}

/// T19: Mal keeps every key, has the commit that removed him, and gets a thousand messages from the relay.
#[test]
fn removed_member_cannot_read_later_messages() {
    let mut world = World::new();
    let (mal, before) = (world.key(MAL), world.rooms[MAL].epoch().unwrap());
    let submission = world.rooms[FAY].act(removal(mal), NOW).unwrap();
    let commit = submission.payload.clone();
    world.log.take(submission);
    for who in [FAY, CLEO, BEN] {
        world.log.show(&mut world.rooms[who]);
    }
    let later: Vec<Vec<u8>> = (0..1_000)
        .map(|number| posts(&mut world.rooms[[FAY, CLEO][number % 2]], &text(1, 1, "Between us.")))
        .collect();
    let read = |room: &mut TestRoom, payload: &[u8]| {
        let id = room.id();
        let (provider, group) = room.group().unwrap();
        let processed = group.process(&provider, id, payload);
        matches!(processed, Ok(Processed::Application { .. }))
    };
    let mut reads = |who: usize, payloads: &[Vec<u8>]| {
        payloads.iter().filter(|payload| read(&mut world.rooms[who], payload)).count()
    };
    assert_eq!(reads(BEN, &later), 1_000);
    assert_eq!(reads(MAL, &later), 0);
    // The messages relabelled with the epoch whose keys Mal has.
    let mut relabelled = later.clone();
    for payload in &mut relabelled {
        payload[EPOCH_AT..EPOCH_AT + 8].copy_from_slice(&before.0.to_be_bytes());
        assert_eq!(mls_header::parse(payload).unwrap().epoch, before);
    }
    assert_eq!(reads(MAL, &relabelled), 0);
    // And after merging the commit, with whatever remains of the group.
    let room = &mut world.rooms[MAL];
    let id = room.id();
    let (provider, group) = room.group().unwrap();
    let Processed::Commit { staged, removes_me, .. } =
        group.process(&provider, id, &commit).unwrap()
    else {
        panic!("it is the commit")
    };
    assert!(removes_me);
    group.merge(&provider, *staged).unwrap();
    let mut decrypts = |payload: &Vec<u8>| {
        let processed = group.process(&provider, id, payload);
        matches!(processed, Ok(Processed::Application { .. }))
    };
    assert_eq!(later.iter().chain(&relabelled).filter(|payload| decrypts(payload)).count(), 0);
}

#[test]
fn roster_change_without_record_is_refused() {
    let mut world = World::new();
    let mut ghost = Ghost::new(&world, 41);
    for who in [MAL, CLEO, FAY] {
        let adds = vec![ghost.package.as_slice()];
        let committed = world.forge(who, &Forgery { adds, ..Forgery::default() });
        if who == FAY {
            ghost.haunt(committed.welcome.as_ref().unwrap());
        }
        world.refuses(who, committed.commit, &Refusal::Unrecorded);
        let removes = vec![world.key(BEN)];
        let forged = world.forge(who, &Forgery { removes, ..Forgery::default() }).commit;
        world.refuses(who, forged, &Refusal::Unrecorded);
    }
    world.say(BEN, "Between us.");
    assert_eq!(ghost.reads(&world.log), 0);
}

#[test]
fn commit_adds_only_its_records_member() {
    let mut world = World::new();
    let (one, mut two) = (Ghost::new(&world, 42), Ghost::new(&world, 43));
    two.name = "Tom".into();
    let two = Ghost::with(two.key, two.acknowledgement, "Tom");
    let act = admission(&world.rooms[FAY], &one.leaf(), Role::Member);
    let record = world.record(FAY, act);
    let policy = world.after(&record, Some(&one.leaf()));
    let other_ack = rule(RuleError::NotAcknowledged(crate::agreement::AckError::OtherMember));
    let announce = world.record(FAY, Act::Announce("Hello.".into()));
    let announced = world.after(&announce, None);
    let cases: [(&_, Vec<&[u8]>, Refusal); 4] = [
        (&policy, vec![&one.package, &two.package], Refusal::AddMismatch),
        (&policy, vec![&two.package], other_ack),
        (&policy, vec![], rule(RuleError::NoSuchMember)),
        (&announced, vec![&one.package], Refusal::AddMismatch),
    ];
    for (policy, adds, refusal) in cases {
        let context = Context::Policy(policy);
        let forged = world.forge(FAY, &Forgery { adds, context, ..Forgery::default() }).commit;
        world.refuses(FAY, forged, &refusal);
    }
}

#[test]
fn commit_removes_only_its_records_member() {
    let mut world = World::new();
    let (ben, mal) = (world.key(BEN), world.key(MAL));
    let record = world.record(CLEO, removal(mal));
    let policy = world.after(&record, None);
    let rekey = world.record(CLEO, Act::Rekey);
    let rekeyed = world.after(&rekey, None);
    let cases =
        [(&policy, vec![ben]), (&policy, vec![ben, mal]), (&policy, vec![]), (&rekeyed, vec![ben])];
    for (policy, removes) in cases {
        let context = Context::Policy(policy);
        let forged = world.forge(CLEO, &Forgery { removes, context, ..Forgery::default() }).commit;
        world.refuses(CLEO, forged, &Refusal::RemoveMismatch);
    }
}

#[test]
fn enactment_removes_exactly_the_unacknowledged() {
    let mut world = World::new();
    let forged = world.forged_act(FAY, Act::Enact);
    world.refuses(FAY, forged, &rule(RuleError::Nothing));

    let room = &mut world.rooms[FAY];
    let agreement = room.queue_amendment("New.".into(), Change::Material, NOW, NOW).unwrap();
    world.log.flush(&mut world.rooms[FAY]);
    let amend = world.rooms[FAY].amend(&agreement, NOW).unwrap();
    world.log.take(amend);
    world.show();
    for who in [FAY, CLEO, BEN] {
        let ack = world.rooms[who].sign_acknowledgement(&agreement, NOW, Vec::new()).unwrap();
        if who == BEN {
            continue;
        }
        let renewal = world.rooms[who].renew(Some(&ack), NOW).unwrap();
        world.log.take(renewal);
        world.show();
    }
    // Fay and Cleo have acknowledged; Ben and Mal have not.
    let (fay, cleo, ben, mal) = (world.key(FAY), world.key(CLEO), world.key(BEN), world.key(MAL));
    let record = world.record(FAY, Act::Enact);
    let policy = world.after(&record, None);
    for removes in [vec![cleo, ben, mal], vec![ben], vec![mal], vec![cleo], vec![]] {
        let context = Context::Policy(&policy);
        let forged = world.forge(FAY, &Forgery { removes, context, ..Forgery::default() }).commit;
        world.refuses(FAY, forged, &Refusal::RemoveMismatch);
    }
    // Before its time, it does not take effect at all.
    let mut early = record;
    early.at = Millis(0);
    let policy = world.after(&early, None);
    let removes = vec![ben, mal];
    let context = Context::Policy(&policy);
    let forged = world.forge(FAY, &Forgery { removes, context, ..Forgery::default() }).commit;
    world.refuses(FAY, forged, &rule(RuleError::OutOfRange));
    let enact = world.rooms[FAY].enact(NOW, NOW).unwrap();
    world.log.take(enact);
    world.show();
    let keys: Vec<_> = world.rooms[CLEO].roster().unwrap().into_iter().map(|l| l.member).collect();
    assert_eq!(keys, [fay, cleo]);
}

#[test]
fn departure_must_be_signed_by_member() {
    let mut world = World::new();
    let (room, ben) = (world.rooms[BEN].id(), world.key(BEN));
    let digest = ack_of(&world.rooms[BEN]).digest();
    let (mals, bens) = (world.rooms[MAL].signing_key(), world.rooms[BEN].signing_key());
    let mut forged = Departure::sign(&mals, room, digest, false, NOW);
    forged.member = ben;
    let elsewhere = Departure::sign(&bens, RoomId([1; 16]), digest, false, NOW);
    let earlier_stay = Departure::sign(&bens, room, Digest([1; 32]), false, NOW);
    let stranger =
        Departure::sign(&ed25519_dalek::SigningKey::from_bytes(&[9; 32]), room, digest, false, NOW);
    let cases = [
        (forged, RuleError::BadSignature),
        (elsewhere, RuleError::BadSignature),
        (earlier_stay, RuleError::NoSuchMember),
        (stranger, RuleError::NoSuchMember),
    ];
    for (departure, error) in cases {
        for who in [MAL, FAY] {
            let record = world.record(who, Act::Depart(departure.clone()));
            let policy = world.after(&record, None);
            let (removes, context) = (vec![ben], Context::Policy(&policy));
            let forged =
                world.forge(who, &Forgery { removes, context, ..Forgery::default() }).commit;
            world.refuses(who, forged, &rule(error.clone()));
        }
    }
}

#[test]
fn look_alike_names_are_refused() {
    let mut world = World::new();
    for (name, refusal) in [
        ("Ben", Refusal::NameConfusable),
        ("BEN", Refusal::NameConfusable),
        ("B-en", Refusal::NameConfusable),
        ("\u{415}va", Refusal::BadLeaf(LeafError::Name)),
        ("Be\u{200b}n", Refusal::BadLeaf(LeafError::Name)),
        ("Ben\u{202e}", Refusal::BadLeaf(LeafError::Name)),
        ("Facilitator", Refusal::BadLeaf(LeafError::Name)),
        (" Gus", Refusal::BadLeaf(LeafError::Name)),
        ("", Refusal::BadLeaf(LeafError::Name)),
    ] {
        let honest = Ghost::new(&world, 45);
        let mut ghost = Ghost::with(honest.key, honest.acknowledgement, name);
        world.keeps_out(FAY, &mut ghost, &refusal);
    }
}

/// A self-update keeps name, key and acknowledgement.
#[test]
fn self_update_cannot_change_identity() {
    let mut world = World::new();
    let bens = ack_of(&world.rooms[BEN]);
    let mine = ack_of(&world.rooms[MAL]);
    let other = ed25519_dalek::SigningKey::from_bytes(&[77; 32]);
    let mut altered = mine.clone();
    altered.answers.push("changed".into());
    let mut newer = mine.clone();
    newer.version = 2;
    newer.signature = crate::agreement::Acknowledgement::sign(
        &world.rooms[MAL].signing_key(),
        crate::agreement::AckTerms {
            room: world.rooms[MAL].id(),
            agreement: &current(&world.rooms[FAY]),
            facilitators: zero(),
            now: NOW,
            nonce: [1; 16],
            answers: Vec::new(),
            breach: None,
        },
    )
    .signature;
    let changed = Refusal::OwnLeafChanged;
    let companion = world.rooms[MAL].companion().unwrap();
    let salted = Companion { salt: [1; 16], ..companion.clone() };
    let note = |key| Some(NoteKey { number: 1, key });
    let rekeyed = Companion { note: note(vec![9; 32]), ..companion.clone() };
    let keyless = codec::encode(&Companion { note: note(vec![0; 32]), ..companion });
    let missing = Refusal::BadLeaf(LeafError::Acknowledgement);
    let forged = rule(RuleError::NotAcknowledged(crate::agreement::AckError::BadSignature));
    let theirs = rule(RuleError::NotAcknowledged(crate::agreement::AckError::OtherMember));
    let cases = [
        (OwnLeaf::Name("Fay"), changed.clone()),
        (OwnLeaf::Name("Malory"), changed.clone()),
        (OwnLeaf::Key(&other), changed.clone()),
        (OwnLeaf::Acknowledgement(&bens), theirs.clone()),
        (OwnLeaf::Acknowledgement(&altered), forged.clone()),
        (OwnLeaf::Acknowledgement(&newer), forged),
        (OwnLeaf::AcknowledgementBytes(b"yes"), missing.clone()),
        (OwnLeaf::AcknowledgementBytes(b""), missing),
        (OwnLeaf::NoAcknowledgement, Refusal::BadLeaf(LeafError::Acknowledgement)),
        (OwnLeaf::Companion(&salted), changed.clone()),
        (OwnLeaf::Companion(&rekeyed), changed.clone()),
        (OwnLeaf::CompanionBytes(b"yes"), Refusal::BadLeaf(LeafError::Companion)),
        (OwnLeaf::CompanionBytes(&keyless), Refusal::BadLeaf(LeafError::Companion)),
        (OwnLeaf::NoCompanion, Refusal::BadLeaf(LeafError::Companion)),
        (OwnLeaf::OtherOrder, Refusal::BadLeaf(LeafError::Extensions)),
        (OwnLeaf::ExtraExtension, Refusal::BadLeaf(LeafError::Extensions)),
    ];
    for (leaf, refusal) in cases {
        let committed = world.forge(MAL, &Forgery { leaf, ..Forgery::default() });
        world.refuses(MAL, committed.commit, &refusal);
    }
    // A facilitator cannot slip it in beside an act, either.
    let record = world.record(FAY, Act::Rekey);
    let policy = world.after(&record, None);
    let (leaf, context) = (OwnLeaf::Acknowledgement(&bens), Context::Policy(&policy));
    let forged = world.forge(FAY, &Forgery { leaf, context, ..Forgery::default() }).commit;
    world.refuses(FAY, forged, &theirs);
}
