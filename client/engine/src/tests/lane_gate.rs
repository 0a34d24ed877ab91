//! The gate of lanes, against seats whose client is modified.

use ed25519_dalek::SigningKey;
use hearth_protocol::{Digest, MemberKey};

use super::{
    lanes::Line,
    world::{BEN, CLEO, FAY, Ghost, MAL, World},
    *,
};
use crate::{
    EngineError,
    agreement::{AckError, AckTerms, Acknowledgement, Agreement, facilitators_hash},
    gate::{Expected, PolicyError, Refusal},
    lane::{
        AsOf, Chair, ExpectedSeat, LanePolicy, LaneRefusal, Offer, Parent, Seat,
        check_lane_welcome, lane_id, lane_key_seed,
    },
    mls::{
        Committed, Group,
        lane::{LaneIdentity, LanePlan, key_package},
    },
    policy::Act,
    state::Notice,
};

impl Line {
    /// A commit that no honest client makes; its author forgets it.
    fn forge(&mut self, who: usize, plan: &LanePlan<'_>) -> Committed {
        let room = self.at(who).room_mut();
        let (key, mine) = (room.signing_key(), room.acknowledgement().unwrap());
        let seat = room.state.lane.clone().unwrap().seat.unwrap();
        self.forge_as(who, plan, (&key, &mine, &seat)).unwrap()
    }

    fn forge_as(
        &mut self,
        who: usize,
        plan: &LanePlan<'_>,
        (key, acknowledgement, seat): (&SigningKey, &Acknowledgement, &Seat),
    ) -> Result<Committed, crate::mls::MlsError> {
        let identity = LaneIdentity { key, acknowledgement, seat };
        let room = self.at(who).room_mut();
        let (provider, group) = room.group().unwrap();
        let made = group.commit_lane(&provider, identity, plan);
        if made.is_ok() {
            group.clear_pending(&provider).unwrap();
        }
        made.map(|(committed, _)| committed)
    }

    /// Everybody who sits refuses a commit, names its author, and goes on.
    fn refuses(&mut self, world: &World, culprit: usize, payload: Vec<u8>, refusal: &LaneRefusal) {
        self.is_refused(world, culprit, payload, &Refusal::from(refusal.clone()));
    }

    fn is_refused(&mut self, world: &World, culprit: usize, payload: Vec<u8>, refusal: &Refusal) {
        self.show();
        self.log.append(payload);
        for who in 0..self.lanes.len() {
            if self.lanes[who].as_ref().is_none_or(|lane| !lane.is_seated()) {
                continue;
            }
            let lane = self.at(who);
            let before = (lane.epoch().unwrap(), lane.policy().unwrap(), lane.leaves().unwrap());
            self.try_show(who, true).unwrap();
            let lane = self.at(who);
            let after = (lane.epoch().unwrap(), lane.policy().unwrap(), lane.leaves().unwrap());
            assert_eq!(before, after, "at {who}");
            if who != culprit {
                let row = self.last(who);
                assert_eq!(row.notices, [Notice::RefusedCommit(refusal.to_string())], "at {who}");
                assert_eq!(row.from, Some(world.key(culprit)));
            }
        }
    }

    /// Words of the owner reach everybody who sits.
    fn goes_on(&mut self, world: &World, owner: usize, text: &str) {
        self.say(world, owner, text);
        for who in 0..self.lanes.len() {
            if self.lanes[who].as_ref().is_some_and(lanes::TestLane::is_seated) {
                assert_eq!(self.texts(who).last().map(String::as_str), Some(text), "at {who}");
            }
        }
    }
}

/// The policy that follows the room's newest record.
fn newest(world: &mut World, line: &mut Line) -> LanePolicy {
    let policy = world.policy();
    let before = line.at(FAY).policy().unwrap();
    let roster = world.rooms[FAY].roster().unwrap();
    let chairs = policy.moderators().into_iter().map(|member| Chair {
        member,
        role: policy.role(&member),
        name: roster.iter().find(|leaf| leaf.member == member).unwrap().name.clone(),
    });
    LanePolicy {
        number: policy.record.number,
        record: policy.record.digest(),
        bench: chairs.collect(),
        ..before
    }
}

fn by_key(mut bench: Vec<Chair>) -> Vec<Chair> {
    bench.sort_by_key(|chair| chair.member);
    bench
}

#[test]
fn stranger_is_never_seated() {
    let mut world = World::with_lanes();
    let mut line = world.open(FAY, BEN, &[BEN, CLEO]);
    let offer = world.offer(MAL, line.id);
    // An honest client leaves the offer alone.
    assert!(line.at(FAY).follow(std::slice::from_ref(&offer), NOW).unwrap().is_none());
    let plan = LanePlan { add: vec![&offer.key_package], ..LanePlan::default() };
    let forged = line.forge(CLEO, &plan);
    line.refuses(&world, CLEO, forged.commit, &LaneRefusal::Stranger);
    // And their own client does not take the seat.
    let mut lane = world.rooms[MAL].lane(line.id).unwrap().unwrap();
    let refused = lane.welcomed(&forged.welcome.unwrap(), Seq(2), NOW).unwrap_err();
    assert!(matches!(refused, EngineError::Refused(Refusal::Lane(_))), "{refused}");
    line.goes_on(&world, BEN, "Among us.");
}

#[test]
fn seat_of_other_lane_is_refused() {
    let mut world = World::with_lanes();
    let mut line = world.open(FAY, BEN, &[BEN]);
    let theirs = world.lane_of(MAL);
    let offer = world.offer(CLEO, theirs);
    let here = Offer { lane: line.id, ..offer };
    assert!(line.at(FAY).follow(std::slice::from_ref(&here), NOW).unwrap().is_none());
    let plan = LanePlan { add: vec![&here.key_package], ..LanePlan::default() };
    let forged = line.forge(FAY, &plan);
    line.refuses(&world, FAY, forged.commit, &LaneRefusal::OtherSeat);
    line.goes_on(&world, BEN, "Here.");
}

/// Keys of a member for a seat of theirs, with any acknowledgement and signature.
fn package(
    world: &World,
    who: usize,
    lane: RoomId,
    acknowledgement: &Acknowledgement,
    signed: bool,
) -> Vec<u8> {
    let room = &world.rooms[who];
    let key = SigningKey::from_bytes(lane_key_seed(room.state.key.seed(), &lane, 77).expose());
    let lane_key = MemberKey(key.verifying_key().to_bytes());
    let mut seat = Seat::sign(&room.signing_key(), &lane_key, room.id(), lane, 77);
    if !signed {
        seat.signature.0[0] ^= 1;
    }
    let profile = Profile::new();
    let no = profile.store.create_room().unwrap();
    let provider = crate::provider::Provider::new(&profile.crypto, &profile.store, no);
    let identity = LaneIdentity { key: &key, acknowledgement, seat: &seat };
    key_package(&provider, Suite::X25519, identity).unwrap()
}

#[test]
fn unacknowledged_leaf_is_refused() {
    let mut world = World::with_lanes();
    let mut line = world.open(FAY, BEN, &[BEN]);
    let room = &world.rooms[CLEO];
    let agreement = world::current(room);
    let terms = |agreement| AckTerms {
        room: room.id(),
        agreement,
        facilitators: facilitators_hash(&[]),
        now: NOW,
        nonce: [1; 16],
        answers: Vec::new(),
        breach: None,
    };
    let other = Agreement { text: "Nothing is promised.".into(), ..agreement.clone() };
    let nothing = Acknowledgement::sign(&room.signing_key(), terms(&other));
    let elsewhere = Acknowledgement::sign(
        &room.signing_key(),
        AckTerms { room: RoomId([7; 16]), ..terms(&agreement) },
    );
    let anothers = world.rooms[MAL].acknowledgement().unwrap();
    let good = room.acknowledgement().unwrap();
    let refused = LaneRefusal::NotAcknowledged;
    for (acknowledgement, signed, refusal) in [
        (&nothing, true, refused(AckError::OtherAgreement)),
        (&elsewhere, true, refused(AckError::OtherRoom)),
        (&anothers, true, refused(AckError::OtherMember)),
        (&good, false, LaneRefusal::UnsignedSeat),
    ] {
        let bytes = package(&world, CLEO, line.id, acknowledgement, signed);
        let offer = Offer { lane: line.id, key_package: bytes };
        assert!(line.at(FAY).follow(std::slice::from_ref(&offer), NOW).unwrap().is_none());
        let plan = LanePlan { add: vec![&offer.key_package], ..LanePlan::default() };
        let forged = line.forge(FAY, &plan);
        line.refuses(&world, FAY, forged.commit, &refusal);
    }
    let bytes = package(&world, CLEO, line.id, &good, true);
    line.follow(FAY, &[Offer { lane: line.id, key_package: bytes }]);
    assert_eq!(line.sit(BEN), ["Ben", "Cleo", "Fay"]);
}

#[test]
fn forged_bench_is_refused() {
    let mut world = World::with_lanes();
    let mut line = world.open(FAY, BEN, &[BEN, CLEO]);
    let offer = world.offer(MAL, line.id);
    world.act(FAY, Act::Announce("A record.".into()));
    let honest = newest(&mut world, &mut line);
    let mal = Chair { member: world.key(MAL), role: Role::CoFacilitator, name: "Mal".into() };
    let bench = by_key([honest.bench.clone(), vec![mal]].concat());
    let with_mal = LanePolicy { bench, ..honest.clone() };
    let mut promoted = honest.clone();
    for chair in &mut promoted.bench {
        chair.role = Role::Facilitator;
    }
    let mut renamed = honest.clone();
    renamed.bench[0].name = "Somebody".into();
    let other_record = LanePolicy { record: Digest([9; 32]), ..honest.clone() };
    let owned = LanePolicy { owner: Some(world.key(CLEO)), ..honest.clone() };
    let moved = LanePolicy { parent: RoomId([3; 16]), ..honest.clone() };
    let number = honest.number;
    for (policy, add, refusal) in [
        (&with_mal, true, LaneRefusal::OtherBench(number)),
        (&with_mal, false, LaneRefusal::OtherBench(number)),
        (&promoted, false, LaneRefusal::OtherBench(number)),
        (&renamed, false, LaneRefusal::OtherBench(number)),
        (&other_record, false, LaneRefusal::OtherRecord(number)),
        (&owned, false, LaneRefusal::OtherLane),
        (&moved, false, LaneRefusal::OtherLane),
    ] {
        let add = if add { vec![offer.key_package.as_slice()] } else { Vec::new() };
        let forged = line.forge(CLEO, &LanePlan { add, policy: Some(policy), remove: &[] });
        line.refuses(&world, CLEO, forged.commit, &refusal);
    }
    line.goes_on(&world, BEN, "Among us.");
}

/// A demoted moderator keeps the lane where it was, or leads it past the demotion with the old bench.
#[test]
fn stale_bench_is_refused() {
    let mut world = World::with_lanes();
    let mut line = world.open(FAY, BEN, &[BEN, CLEO]);
    let old = line.at(FAY).policy().unwrap();
    world.appoint(CLEO, Role::Member);
    let honest = newest(&mut world, &mut line);
    let stale = LanePolicy { bench: old.bench.clone(), ..honest.clone() };
    let forged = line.forge(CLEO, &LanePlan { policy: Some(&stale), ..LanePlan::default() });
    line.refuses(&world, CLEO, forged.commit, &LaneRefusal::OtherBench(honest.number));
    let back = LanePolicy { number: old.number - 1, ..old.clone() };
    let forged = line.forge(CLEO, &LanePlan { policy: Some(&back), ..LanePlan::default() });
    let refusal = LaneRefusal::NumberBack { from: old.number, to: old.number - 1 };
    line.refuses(&world, CLEO, forged.commit, &refusal);
    // The right bench with the wrong seats: somebody stays, or goes too far.
    let bens = line.at(BEN).lane_key();
    let forged = line.forge(FAY, &LanePlan { policy: Some(&honest), ..LanePlan::default() });
    line.refuses(&world, FAY, forged.commit, &LaneRefusal::RemoveMismatch);
    let cleos = line.at(CLEO).lane_key();
    let plan = LanePlan { policy: Some(&honest), remove: &[bens, cleos], ..LanePlan::default() };
    let forged = line.forge(FAY, &plan);
    line.refuses(&world, FAY, forged.commit, &LaneRefusal::RemoveMismatch);
    let plan = LanePlan { remove: &[bens], ..LanePlan::default() };
    let forged = line.forge(FAY, &plan);
    line.refuses(&world, FAY, forged.commit, &LaneRefusal::RemoveMismatch);
    line.goes_on(&world, BEN, "Without her.");
    assert_eq!(line.sit(BEN), ["Ben", "Fay"]);
}

#[test]
fn committer_keeps_key_and_seat() {
    let mut world = World::with_lanes();
    let mut line = world.open(FAY, BEN, &[BEN, CLEO]);
    let (key, seat) = {
        let lane = line.at(CLEO);
        (lane.signing_key(), lane.room().state().lane.clone().unwrap().seat.unwrap())
    };
    let mine = world.rooms[CLEO].acknowledgement().unwrap();
    let bens = world.rooms[BEN].acknowledgement().unwrap();
    let renumbered = Seat { number: seat.number + 1, ..seat.clone() };
    let anothers = Seat { member: world.key(MAL), ..seat.clone() };
    for (acknowledgement, seat) in [(&mine, &renumbered), (&mine, &anothers), (&bens, &seat)] {
        let as_whom = (&key, acknowledgement, seat);
        let forged = line.forge_as(CLEO, &LanePlan::default(), as_whom).unwrap();
        line.refuses(&world, CLEO, forged.commit, &LaneRefusal::OwnLeafChanged);
    }
    line.goes_on(&world, BEN, "Still the same.");
}

/// Neither by a Welcome nor by a leaf.
#[test]
fn room_never_passes_for_lane() {
    let mut world = World::with_lanes();
    let mut line = world.open(FAY, BEN, &[BEN]);
    // A room's leaf has no seat, and does not know the extensions of lanes.
    let ghost = Ghost::new(&world, 42);
    let plan = LanePlan { add: vec![&ghost.package], ..LanePlan::default() };
    let room = line.at(FAY).room_mut();
    let (key, mine) = (room.signing_key(), room.acknowledgement().unwrap());
    let seat = room.state.lane.clone().unwrap().seat.unwrap();
    assert!(line.forge_as(FAY, &plan, (&key, &mine, &seat)).is_err());
    let (provider, group) = line.at(FAY).room_mut().group().unwrap();
    assert!(group.read_lane_offer(&provider, &ghost.package).is_err());
    // A lane's leaf has no name in a room.
    let offer = world.offer(CLEO, line.id);
    let (provider, group) = world.rooms[FAY].group().unwrap();
    assert!(group.read_key_package(&provider, &offer.key_package).is_err());

    // A room's Welcome leads to no lane.
    let forged = world.forged_admission(FAY, &ghost);
    let (_, view) = Group::enter_lane(&ghost.provider(), &forged.welcome.unwrap()).unwrap();
    let room = world.rooms[FAY].id();
    let expected = ExpectedSeat { lane: room, owner: None, offered: &[], number: 0 };
    let parent = Parent { room, as_of: &AsOf::Unknown };
    assert_eq!(check_lane_welcome(view, expected, parent).unwrap_err(), PolicyError.into());
    // A lane's Welcome leads to no room, whoever signed it.
    let submission = line.at(FAY).follow(&[offer], NOW).unwrap().unwrap();
    let (_, welcome) = submission.blob.unwrap();
    let mine = world.rooms[CLEO].acknowledgement().unwrap();
    let signer = line.at(FAY).lane_key();
    let expected = Expected { room: line.id, facilitators: &[signer], acknowledgement: &mine };
    let lane = world.rooms[CLEO].lane(line.id).unwrap().unwrap();
    let refused = Group::join(&lane.room().provider(), &welcome, expected).err().unwrap();
    assert!(matches!(refused, crate::mls::MlsError::Refused(Refusal::BadPolicy(_))), "{refused}");
}

#[test]
fn older_offer_replaces_nothing() {
    let mut world = World::with_lanes();
    world.show();
    let id = world.lane_of(BEN);
    let older = world.offer(CLEO, id);
    // Opening draws another offer of Cleo's.
    let mut line = world.open(FAY, BEN, &[BEN, CLEO]);
    assert!(line.at(FAY).follow(std::slice::from_ref(&older), NOW).unwrap().is_none());
    let remove = [line.at(CLEO).lane_key()];
    let plan = LanePlan { add: vec![&older.key_package], remove: &remove, policy: None };
    let forged = line.forge(FAY, &plan);
    let welcome = forged.welcome.unwrap();
    line.refuses(&world, FAY, forged.commit, &LaneRefusal::OlderSeat);
    let refused = line.at(CLEO).welcomed(&welcome, Seq(3), NOW).unwrap_err();
    let missing = Refusal::from(LaneRefusal::OwnSeatMissing).to_string();
    assert_eq!(refused.to_string(), missing);
    // Beside the seat that they have, it would make two.
    let plan = LanePlan { add: vec![&older.key_package], ..LanePlan::default() };
    let forged = line.forge(FAY, &plan);
    line.refuses(&world, FAY, forged.commit, &LaneRefusal::OlderSeat);
    let newer = world.offer(CLEO, id);
    let plan = LanePlan { add: vec![&newer.key_package], ..LanePlan::default() };
    let forged = line.forge(FAY, &plan);
    line.refuses(&world, FAY, forged.commit, &LaneRefusal::RemoveMismatch);
    line.goes_on(&world, BEN, "One each.");
}

/// A lane's id hangs on its owner's key, so that nobody can claim another's.
#[test]
fn copied_salt_names_another_lane() {
    let mut world = World::with_lanes();
    let mut line = world.open(FAY, BEN, &[BEN]);
    let salt = world.rooms[BEN].state.companion.salt;
    let room = world.rooms[BEN].id();
    assert_ne!(lane_id(&room, &world.key(MAL), &salt), line.id);
    assert_eq!(lane_id(&room, &world.key(BEN), &salt), line.id);
    // With the id of Ben's lane and another owner, the group is none of Cleo's lanes.
    let fay = line.at(FAY).room_mut();
    let (key, mine) = (fay.signing_key(), fay.acknowledgement().unwrap());
    let seat = fay.state.lane.clone().unwrap().seat.unwrap();
    let policy = LanePolicy { owner: Some(world.key(MAL)), ..line.at(FAY).policy().unwrap() };
    let profile = Profile::new();
    let no = profile.store.create_room().unwrap();
    let provider = crate::provider::Provider::new(&profile.crypto, &profile.store, no);
    let identity = LaneIdentity { key: &key, acknowledgement: &mine, seat: &seat };
    let mut twin = Group::found_lane(&provider, Suite::X25519, line.id, identity, &policy).unwrap();
    let offer = world.offer(CLEO, line.id);
    let plan = LanePlan { add: vec![&offer.key_package], ..LanePlan::default() };
    let (committed, _) = twin.commit_lane(&provider, identity, &plan).unwrap();
    let mut lane = world.rooms[CLEO].lane(line.id).unwrap().unwrap();
    let refused = lane.welcomed(&committed.welcome.unwrap(), Seq(1), NOW).unwrap_err();
    assert_eq!(refused.to_string(), LaneRefusal::OtherLane.to_string());
    // The keys stay good for the right one.
    line.follow(FAY, &[offer]);
    line.welcome(&world, CLEO);
    line.goes_on(&world, BEN, "Here.");
}

/// A reader who is behind waits for the record; one who has read the room to its end refuses it.
#[test]
fn unknown_record_is_refused_later() {
    let mut world = World::with_lanes();
    let mut line = world.open(FAY, BEN, &[BEN, CLEO]);
    line.say(&world, BEN, "before");
    // The relay delivers the lane ahead of the room.
    let act = Act::SetRole { member: world.key(CLEO), role: Role::Member };
    let submission = world.rooms[FAY].act(act, NOW).unwrap();
    world.log.take(submission);
    world.log.show(&mut world.rooms[FAY]);
    line.at(FAY).queue_words("one".to_owned().into(), NOW).unwrap();
    while let Some(next) = line.next(&world, FAY) {
        line.log.take(next);
        line.try_show(FAY, false).unwrap();
    }
    let cursor = line.at(BEN).room().cursor().seq;
    let waits = line.try_show(BEN, false);
    assert!(matches!(waits, Err(EngineError::LaneWaits(_))), "{waits:?}");
    assert_eq!(line.at(BEN).room().cursor().seq, cursor);
    world.show();
    line.try_show(BEN, false).unwrap();
    assert_eq!(line.texts(BEN), ["before", "one"]);

    let honest = newest(&mut world, &mut line);
    let invented = LanePolicy { number: honest.number + 7, ..honest.clone() };
    let forged = line.forge(FAY, &LanePlan { policy: Some(&invented), ..LanePlan::default() });
    line.show();
    let waits = {
        line.log.append(forged.commit.clone());
        line.try_show(BEN, false)
    };
    assert!(matches!(waits, Err(EngineError::LaneWaits(n)) if n == invented.number));
    line.log.entries.pop();
    line.refuses(&world, FAY, forged.commit, &LaneRefusal::UnknownRecord(invented.number));
    line.goes_on(&world, BEN, "after");
}

/// An owner who is out cannot compare the moderators with their own log, so a co-facilitator could take them into a fork.
#[test]
fn facilitators_alone_move_lapsed_lanes() {
    let mut world = World::with_lanes();
    let mut line = world.open(FAY, BEN, &[BEN, CLEO]);
    world.amend(&[FAY, CLEO, MAL]);
    world.appoint(MAL, Role::CoFacilitator);
    let refused = line.at(CLEO).follow(&[], NOW).err();
    assert!(matches!(refused, Some(EngineError::WaitsForFacilitator)), "{refused:?}");
    let honest = newest(&mut world, &mut line);
    let forged = line.forge(CLEO, &LanePlan { policy: Some(&honest), ..LanePlan::default() });
    line.refuses(&world, CLEO, forged.commit, &LaneRefusal::OnlyFacilitator);
    line.follow(FAY, &[]);
    assert_eq!(line.at(BEN).policy().unwrap(), honest);
}
