//! Lanes by the verbs of honest members: who reads what, from when to when.

use std::collections::BTreeSet;

use hearth_protocol::Effect;

use super::{
    world::{BEN, CLEO, FAY, MAL, World, removal},
    *,
};
use crate::{
    EngineError,
    agreement::{Agreement, Change},
    lane::{Lane, Offer},
    policy::{Act, RuleError},
    state::{Notice, Standing},
};

pub(super) type TestLane = Lane<'static>;

/// One lane, its relay, and those who have a copy of it.
pub(super) struct Line {
    pub(super) id: RoomId,
    pub(super) log: Log,
    pub(super) lanes: Vec<Option<TestLane>>,
}

impl World {
    /// The lane of a member.
    pub(super) fn lane_of(&self, owner: usize) -> RoomId {
        self.rooms[owner].my_lane_id()
    }

    pub(super) fn offer(&mut self, who: usize, lane: RoomId) -> Offer {
        self.rooms[who].offer(lane, NOW).unwrap()
    }

    /// Opens a member's lane by a moderator's client, with the seats of others.
    pub(super) fn open(&mut self, opener: usize, owner: usize, others: &[usize]) -> Line {
        self.show();
        let id = self.lane_of(owner);
        let offers: Vec<Offer> = others.iter().map(|who| self.offer(*who, id)).collect();
        let opening = self.rooms[opener].open_lane(id, &offers, NOW).unwrap();
        assert_eq!(opening.submission.seats.len(), others.len());
        let mut line = Line { id, log: Log::default(), lanes: Vec::new() };
        line.lanes.resize_with(self.rooms.len(), || None);
        line.log.take(opening.submission);
        line.lanes[opener] = self.rooms[opener].lane(id).unwrap();
        assert_eq!(line.at(opener).lane_key(), opening.opener);
        for who in others {
            line.welcome(self, *who);
        }
        line.show();
        line
    }

    /// The end of the room's log.
    pub(super) fn head(&self) -> Seq {
        Seq(self.log.entries.len() as u64)
    }

    /// Gives a member a role.
    pub(super) fn appoint(&mut self, who: usize, role: Role) {
        let member = self.key(who);
        self.act(FAY, Act::SetRole { member, role });
    }

    /// Puts a new agreement in force; who is not named lapses.
    pub(super) fn amend(&mut self, signers: &[usize]) -> Agreement {
        let fay = &mut self.rooms[FAY];
        let agreement = fay.queue_amendment("New.".into(), Change::Material, NOW, NOW).unwrap();
        self.log.flush(fay);
        let submission = fay.amend(&agreement, NOW).unwrap();
        self.log.take(submission);
        self.show();
        for who in signers {
            sign(&mut self.rooms[*who], &mut self.log, &agreement);
            self.show();
        }
        let submission = self.rooms[FAY].enact(NOW, NOW).unwrap();
        self.log.take(submission);
        self.show();
        agreement
    }

    /// Knocks for a member who waits, and opens the knock.
    pub(super) fn says_yes(&mut self, who: usize) -> Knock {
        let link = self.rooms[who].return_link().unwrap().unwrap();
        let mut previews = self.log.previews.iter().rev();
        let preview = previews.find_map(|sealed| open_preview(&link, sealed).ok()).unwrap();
        let (store, crypto, local_name) = self.rooms[who].parts();
        // Another name than the one that is kept changes nothing.
        let joining = Joining { name: "Zoe".into(), local_name, answers: Vec::new() };
        let knocking = Room::knock(store, crypto, &link, &preview, joining, NOW).unwrap();
        let (room, request) = knocking;
        self.rooms[who] = room;
        let pending = pending(&self.rooms[who], &link, &request);
        self.rooms[FAY].open_knock(&pending).unwrap()
    }

    /// Lets a lapsed member return.
    pub(super) fn returns(&mut self, who: usize) {
        let knock = self.says_yes(who);
        assert_eq!(knock.offer, None, "the lane is there");
        let submission = self.rooms[FAY].admit(&knock, NOW).unwrap();
        self.log.take(submission);
        self.log.show(&mut self.rooms[FAY]);
        let (seq, welcome) = self.log.welcomes.last().unwrap();
        self.rooms[who].welcomed(welcome, *seq, NOW).unwrap();
        self.show();
    }
}

impl Line {
    pub(super) fn at(&mut self, who: usize) -> &mut TestLane {
        self.lanes[who].as_mut().unwrap()
    }

    /// Takes the newest Welcome.
    pub(super) fn welcome(&mut self, world: &World, who: usize) {
        let mut lane = world.rooms[who].lane(self.id).unwrap().unwrap();
        let (seq, welcome) = self.log.welcomes.last().unwrap();
        lane.welcomed(welcome, *seq, NOW).unwrap();
        self.lanes[who] = Some(lane);
    }

    pub(super) fn try_show(&mut self, who: usize, whole: bool) -> Result<(), EngineError> {
        let lane = self.lanes[who].as_mut().unwrap();
        let after = lane.room().cursor().seq;
        let new = self.log.entries.iter().filter(|entry| entry.seq > after);
        lane.take(&new.cloned().collect::<Vec<_>>(), THEN, whole)
    }

    /// Delivers every new entry to everybody who has a copy.
    pub(super) fn show(&mut self) {
        for who in 0..self.lanes.len() {
            if self.lanes[who].is_some() {
                self.try_show(who, false).unwrap();
            }
        }
    }

    pub(super) fn take(&mut self, submission: Submission) -> Seq {
        let seq = self.log.take(submission);
        self.show();
        seq
    }

    /// Returns what a member's client sends next.
    pub(super) fn next(&mut self, world: &World, who: usize) -> Option<Submission> {
        self.at(who).next(Some(world.head()), &BTreeSet::new(), NOW).unwrap()
    }

    pub(super) fn say(&mut self, world: &World, who: usize, text: &str) {
        self.at(who).queue_words(text.to_owned().into(), NOW).unwrap();
        while let Some(submission) = self.next(world, who) {
            self.take(submission);
        }
    }

    /// Lets a member's client carry the room's records over.
    pub(super) fn follow(&mut self, who: usize, offers: &[Offer]) {
        let submission = self.at(who).follow(offers, NOW).unwrap().unwrap();
        self.take(submission);
    }

    pub(super) fn texts(&mut self, who: usize) -> Vec<String> {
        texts(self.at(who).room())
    }

    /// Names of those who sit.
    pub(super) fn sit(&mut self, who: usize) -> Vec<String> {
        let lane = self.at(who);
        let mut names: Vec<String> =
            lane.room_mut().roster().unwrap().into_iter().map(|leaf| leaf.name).collect();
        names.sort();
        names
    }

    pub(super) fn last(&mut self, who: usize) -> Row {
        last_row(self.at(who).room())
    }
}

#[test]
fn lane_carries_words_of_its_seats() {
    let mut world = World::with_lanes();
    let mut line = world.open(FAY, BEN, &[BEN, CLEO]);
    line.say(&world, BEN, "I did not sleep.");
    line.say(&world, CLEO, "Tell me.");
    for who in [FAY, BEN, CLEO] {
        assert_eq!(line.texts(who), ["I did not sleep.", "Tell me."]);
        assert_eq!(line.sit(who), ["Ben", "Cleo", "Fay"]);
        let rows = rows(line.at(who).room());
        assert!(rows.iter().all(|row| row.notices.is_empty()), "{rows:?}");
    }
    // It is none of the profile's rooms, and ends with its own.
    let (store, crypto, _) = world.rooms[BEN].parts();
    assert_eq!(Room::all(store, crypto).unwrap().len(), 1);
    let id = line.id.to_hex();
    assert!(Room::open(store, crypto, &id).is_err());
    world.rooms.remove(BEN).wipe().unwrap();
    assert_eq!(store.rooms().unwrap(), []);
}

/// The admitting client opens the lane with the keys of the knock. A room without lanes keeps nothing of them.
#[test]
fn knock_brings_the_owners_keys() {
    for lanes in [true, false] {
        let mut log = Log::default();
        let mut fay = found_with("Fay", Suite::X25519, lanes);
        let link = invite(&mut fay, &mut log);
        let (mut ann, request) = knock(Profile::new(), &link, &log, "Ann");
        let knock = fay.open_knock(&pending(&ann, &link, &request)).unwrap();
        let submission = fay.admit(&knock, NOW).unwrap();
        log.take(submission);
        log.show(&mut fay);
        let (seq, welcome) = log.welcomes.last().unwrap();
        ann.welcomed(welcome, *seq, NOW).unwrap();
        let id = ann.my_lane_id();
        if !lanes {
            assert!(matches!(fay.open_lane(id, &[], NOW), Err(EngineError::NoLanes)));
            assert!(ann.lanes().unwrap().is_empty());
            continue;
        }
        assert!(fay.lane_ids().unwrap().contains(&(id, Some(ann.me()))));
        let offers: Vec<Offer> = knock.offer.into_iter().collect();
        let opening = fay.open_lane(id, &offers, NOW).unwrap();
        let (_, welcome) = opening.submission.blob.unwrap();
        let mut lane = ann.lane(id).unwrap().unwrap();
        lane.welcomed(&welcome, Seq(1), NOW).unwrap();
        assert_eq!(lane.leaves().unwrap().len(), 2);
        assert_eq!(lane.owner(), Some(ann.me()));
    }
}

/// Another's keys in a knock would let its sender sit in the knocker's lane.
#[test]
fn knock_with_anothers_keys_is_refused() {
    let mut world = World::with_lanes();
    let link = invite(&mut world.rooms[FAY], &mut world.log);
    let (_, request) = knock(Profile::new(), &link, &world.log, "Ann");
    let key = hearth_protocol::invite::knock_key(&link.secret);
    let open = |body: &[u8]| {
        let purpose = hearth_protocol::seal::Purpose::Knock;
        let bytes = hearth_protocol::seal::open(&key, purpose, &link.room, body).unwrap();
        hearth_protocol::codec::decode::<crate::state::KnockBody>(&bytes).unwrap()
    };
    let mut body = open(&request.body);
    let (other, theirs) = knock(Profile::new(), &link, &world.log, "Eve");
    let mut theirs_body = open(&theirs.body);
    std::mem::swap(&mut body.offer, &mut theirs_body.offer);
    let bytes = hearth_protocol::codec::encode(&theirs_body);
    let purpose = hearth_protocol::seal::Purpose::Knock;
    let sealed = hearth_protocol::seal::seal(&key, [1; 24], purpose, &link.room, &bytes).unwrap();
    let mut knocks = pending(&other, &link, &theirs);
    assert!(world.rooms[FAY].open_knock(&knocks).is_ok());
    knocks.body = sealed;
    let refused = world.rooms[FAY].open_knock(&knocks).unwrap_err();
    assert!(matches!(refused, EngineError::BadKnock(_)), "{refused}");
}

/// The desk has no owner: only those who moderate sit there.
#[test]
fn desk_seats_the_bench_alone() {
    let mut world = World::with_lanes();
    world.show();
    let (desk, owner) = world.rooms[FAY].lane_ids().unwrap()[0];
    assert_eq!(owner, None);
    let offers = [world.offer(CLEO, desk), world.offer(BEN, desk)];
    let opening = world.rooms[FAY].open_lane(desk, &offers, NOW).unwrap();
    assert_eq!(opening.submission.seats.len(), 1, "Ben does not moderate");
    assert!(opening.submission.seats[0].1.moderates());
    let (_, welcome) = opening.submission.blob.unwrap();
    let mut lane = world.rooms[CLEO].lane(desk).unwrap().unwrap();
    lane.welcomed(&welcome, Seq(1), NOW).unwrap();
    assert_eq!(lane.owner(), None);
}

/// The process ends after each step; what it had made goes out in the next.
#[test]
fn opening_outlasts_the_process() {
    let mut world = World::with_lanes();
    world.show();
    let id = world.lane_of(BEN);
    let offer = world.offer(BEN, id);
    let opening = world.rooms[FAY].open_lane(id, &[offer], NOW).unwrap();
    let mut again = world.rooms[FAY].lane(id).unwrap().unwrap();
    let waits = again.next(None, &BTreeSet::new(), NOW).unwrap().unwrap();
    assert_eq!(waits.payload, opening.submission.payload);
    assert_eq!(waits.seats, opening.submission.seats);
    assert_eq!(waits.blob, opening.submission.blob);
    // Another was faster: the group is dropped, and an offer leads to the other's.
    again.opened_by_another().unwrap();
    assert!(!again.is_seated());
    let mut line = world.open(CLEO, BEN, &[FAY]);
    line.say(&world, FAY, "Good evening.");
    assert_eq!(line.texts(CLEO), ["Good evening."]);
}

/// T35. The demoted moderator's copy has every key up to the removal, and the relay gives them everything.
#[test]
fn demoted_moderator_reads_no_later_word() {
    let mut world = World::with_lanes();
    let mut line = world.open(FAY, BEN, &[BEN, CLEO]);
    line.say(&world, BEN, "before");
    world.appoint(CLEO, Role::Member);
    line.say(&world, BEN, "after");
    assert_eq!(line.texts(FAY), ["before", "after"]);
    assert_eq!(line.texts(CLEO), ["before"]);
    assert_eq!(line.sit(BEN), ["Ben", "Fay"]);
    assert!(!line.at(CLEO).is_seated());
    // Nothing is sent before the room's log is read to its end.
    line.at(BEN).queue_words("more".to_owned().into(), NOW).unwrap();
    let unread = Some(Seq(world.head().0 + 1));
    let refused = line.at(BEN).next(unread, &BTreeSet::new(), NOW);
    assert!(matches!(refused, Err(EngineError::RoomUnread)));
    let refused = line.at(BEN).next(None, &BTreeSet::new(), NOW);
    assert!(matches!(refused, Err(EngineError::RoomUnread)), "Ben has not lapsed");
}

/// Encrypted before the demotion was read, and not sent: the relay could have kept the first answer back.
#[test]
fn resent_bytes_wait_for_the_removal() {
    let mut world = World::with_lanes();
    let mut line = world.open(FAY, BEN, &[BEN, CLEO]);
    line.say(&world, BEN, "before");
    line.at(BEN).queue_words("after".to_owned().into(), NOW).unwrap();
    let first = line.next(&world, BEN).unwrap();
    assert!(!first.is_commit);
    world.appoint(CLEO, Role::Member);
    let removes = line.next(&world, BEN).unwrap();
    assert!(removes.is_commit);
    line.take(removes);
    // The same bytes get their first answer, or a conflict.
    let again = line.next(&world, BEN).unwrap();
    assert_eq!(again.payload, first.payload);
    assert!(line.at(BEN).epoch_conflict(again.number).unwrap());
    // Another demotion before the next try: it waits again.
    let anew = line.next(&world, BEN).unwrap();
    assert_ne!(anew.payload, first.payload);
    line.take(anew);
    assert_eq!(line.texts(FAY), ["before", "after"]);
    assert_eq!(line.texts(CLEO), ["before"]);
}

/// A commit that every honest reader refuses uses the epoch up; the owner, alone with its author, gives it back.
#[test]
fn owner_alone_undoes_junk() {
    let mut world = World::with_lanes();
    let mut line = world.open(FAY, BEN, &[BEN]);
    let mut junk = line.at(FAY).renew(NOW).unwrap();
    line.at(FAY).room_mut().change(Room::give_up_commit).unwrap();
    *junk.payload.last_mut().unwrap() ^= 1;
    let epoch = line.at(BEN).epoch().unwrap();
    line.log.append(junk.payload);
    line.show();
    assert_eq!(line.last(BEN).notices, [Notice::Unreadable]);
    line.at(BEN).queue_words("Hello?".to_owned().into(), NOW).unwrap();
    let renewal = line.next(&world, BEN).unwrap();
    assert_eq!(renewal.effects, [Effect::Reopen { epoch }]);
    line.take(renewal);
    let words = line.next(&world, BEN).unwrap();
    line.take(words);
    assert_eq!(line.texts(FAY), ["Hello?"]);
}

#[test]
fn member_removes_departed_moderator_alone() {
    let mut world = World::with_lanes();
    let mut line = world.open(FAY, BEN, &[BEN, CLEO]);
    line.say(&world, BEN, "before");
    let act = removal(world.key(CLEO));
    world.act(FAY, act);
    line.say(&world, BEN, "after");
    assert_eq!(line.sit(BEN), ["Ben", "Fay"]);
    assert_eq!(line.texts(CLEO), ["before"]);
    // The removal stands in everybody's history.
    let told = rows(line.at(FAY).room()).into_iter().any(
        |row| matches!(row.content, RowContent::Seats { unseated, .. } if unseated == ["Cleo"]),
    );
    assert!(told);
}

/// What such a seat says is shown as such.
#[test]
fn word_without_a_seat_is_marked() {
    let mut world = World::with_lanes();
    let mut line = world.open(FAY, BEN, &[BEN, CLEO]);
    line.say(&world, CLEO, "before");
    let act = Act::SetRole { member: world.key(CLEO), role: Role::Member };
    let submission = world.rooms[FAY].act(act, NOW).unwrap();
    world.log.take(submission);
    // Cleo's client has not heard of it.
    for who in [FAY, BEN] {
        world.log.show(&mut world.rooms[who]);
    }
    line.at(CLEO).queue_words("still here".to_owned().into(), NOW).unwrap();
    let head = world.rooms[CLEO].cursor().seq;
    let sent = line.at(CLEO).next(Some(head), &BTreeSet::new(), NOW).unwrap().unwrap();
    line.take(sent);
    assert_eq!(line.last(BEN).notices, [Notice::NoSeat]);
    assert_eq!(line.last(CLEO).notices, []);
}

#[test]
fn lapsed_member_keeps_the_lane() {
    let mut world = World::with_lanes();
    let mut line = world.open(FAY, BEN, &[BEN, CLEO]);
    world.amend(&[FAY, CLEO]);
    assert_eq!(world.rooms[BEN].state().standing, Standing::Lapsed);
    line.at(BEN).queue_words("I am not ready to sign.".to_owned().into(), NOW).unwrap();
    while let Some(next) = line.at(BEN).next(None, &BTreeSet::new(), NOW).unwrap() {
        line.take(next);
    }
    line.say(&world, CLEO, "Take your time.");
    for who in [FAY, BEN, CLEO] {
        assert_eq!(line.texts(who), ["I am not ready to sign.", "Take your time."]);
        assert_eq!(line.sit(who), ["Ben", "Cleo", "Fay"]);
    }
    // Who is removed is out for good: nobody writes there.
    let mut gone = World::with_lanes();
    let mut theirs = gone.open(FAY, MAL, &[MAL]);
    let act = removal(gone.key(MAL));
    gone.act(FAY, act);
    theirs.at(FAY).queue_words("Are you well?".to_owned().into(), NOW).unwrap();
    let refused = theirs.at(FAY).next(Some(gone.head()), &BTreeSet::new(), NOW);
    assert!(matches!(refused, Err(EngineError::OwnerGone)));
}

/// T34.
#[test]
fn new_cofacilitator_reads_nothing_earlier() {
    let mut world = World::with_lanes();
    let mut line = world.open(FAY, BEN, &[BEN]);
    line.say(&world, BEN, "only Fay");
    world.appoint(MAL, Role::CoFacilitator);
    let offer = world.offer(MAL, line.id);
    line.follow(FAY, &[offer]);
    line.welcome(&world, MAL);
    line.say(&world, BEN, "both");
    assert_eq!(line.sit(MAL), ["Ben", "Fay", "Mal"]);
    assert_eq!(line.texts(MAL), ["both"]);
    // The relay gives them every entry from the first one on.
    let entries = line.log.entries.clone();
    let mal = line.at(MAL).room_mut();
    mal.cursor.seq = Seq(0);
    mal.state.joined = Seq(0);
    mal.cursor.digest = None;
    let earlier: Vec<Entry> = entries.into_iter().take(3).collect();
    mal.handle_entries(&earlier, THEN).unwrap();
    assert_eq!(line.texts(MAL), ["both"]);
}

/// Seated before an amendment is no bar to who comes after it.
#[test]
fn amended_room_seats_a_new_moderator() {
    let mut world = World::with_lanes();
    let mut line = world.open(FAY, BEN, &[BEN]);
    world.amend(&[FAY, BEN, MAL]);
    world.appoint(MAL, Role::CoFacilitator);
    let offer = world.offer(MAL, line.id);
    let before = line.at(FAY).policy().unwrap();
    line.follow(FAY, &[offer]);
    assert!(line.at(BEN).policy().unwrap().number > before.number);
    line.welcome(&world, MAL);
    let versions: BTreeSet<u32> =
        line.at(MAL).leaves().unwrap().iter().map(|leaf| leaf.acknowledgement.version).collect();
    assert_eq!(versions, [1, 2].into());
    line.say(&world, MAL, "Hello, Ben.");
    assert_eq!(line.texts(BEN), ["Hello, Ben."]);
    // The owner's next renewal carries what they signed since.
    let renewal = line.at(BEN).renew(NOW).unwrap();
    line.take(renewal);
    let own = line.at(FAY).leaves().unwrap().into_iter();
    let own = own.filter(|leaf| leaf.acknowledgement.version == 2).count();
    assert_eq!(own, 3);
}

/// The owner takes what happened meanwhile as it is, is told so, and compares again from the return on.
#[test]
fn back_from_lapse_follows_the_backlog() {
    let mut world = World::with_lanes();
    let mut line = world.open(FAY, BEN, &[BEN, CLEO]);
    world.amend(&[FAY, CLEO, MAL]);
    world.appoint(MAL, Role::CoFacilitator);
    let offer = world.offer(MAL, line.id);
    line.follow(FAY, &[offer]);
    line.welcome(&world, MAL);
    let told = line.last(BEN).content;
    assert!(
        matches!(&told, RowContent::Seats { unproved: true, seated, .. } if seated == &["Mal"]),
        "{told:?}"
    );
    line.say(&world, MAL, "We miss you.");
    world.appoint(CLEO, Role::Member);
    world.returns(BEN);
    // After the return, the same commit is compared with the own log.
    line.say(&world, BEN, "I am back.");
    for who in [FAY, BEN, MAL] {
        assert_eq!(line.texts(who), ["We miss you.", "I am back."]);
        assert_eq!(line.sit(who), ["Ben", "Fay", "Mal"]);
    }
    assert_eq!(line.texts(CLEO), ["We miss you."]);
    let proved = rows(line.at(BEN).room()).into_iter().any(|row| {
        matches!(row.content, RowContent::Seats { unproved: false, unseated, .. } if unseated == ["Cleo"])
    });
    assert!(proved);
}

/// A damaged copy gets another seat in place of the first one, and reads from there on.
#[test]
fn new_seat_replaces_the_old_one() {
    let mut world = World::with_lanes();
    let mut line = world.open(FAY, BEN, &[BEN, CLEO]);
    line.say(&world, CLEO, "before");
    let offer = world.rooms[CLEO].offer(line.id, NOW).unwrap();
    line.follow(FAY, &[offer]);
    assert_eq!(line.sit(BEN), ["Ben", "Cleo", "Fay"]);
    line.welcome(&world, CLEO);
    line.say(&world, BEN, "again");
    line.say(&world, CLEO, "Here I am.");
    assert_eq!(line.texts(CLEO), ["before", "again", "Here I am."]);
    // Her messages count from one again.
    for who in [FAY, BEN] {
        assert_eq!(line.last(who).notices, []);
    }
}

/// Junk under a lane's id: the relay forgets it, and it is opened again. What was read stays.
#[test]
fn lane_opened_again_keeps_its_words() {
    let mut world = World::with_lanes();
    let mut line = world.open(FAY, BEN, &[BEN]);
    line.say(&world, BEN, "first");
    line.say(&world, BEN, "second");
    let before = line.log.entries.len();
    let mut again = world.open(CLEO, BEN, &[BEN, FAY]);
    again.say(&world, BEN, "third");
    assert!(again.log.entries.len() < before);
    assert_eq!(again.texts(BEN), ["first", "second", "third"]);
    assert_eq!(again.texts(FAY), ["first", "second", "third"]);
    assert_eq!(again.texts(CLEO), ["third"]);
}

/// An old offer could lure a client into a second group.
#[test]
fn unused_offers_are_forgotten() {
    let mut world = World::with_lanes();
    world.show();
    let id = world.lane_of(BEN);
    let early = world.offer(CLEO, id);
    let mut line = world.open(FAY, BEN, &[BEN, CLEO]);
    let late = world.offer(CLEO, id);
    line.at(CLEO).forget_offers(NOW.plus(23 * 3_600_000)).unwrap();
    assert_eq!(line.at(CLEO).room().lane_keys().unwrap().offers.len(), 2);
    line.at(CLEO).forget_offers(NOW.plus(24 * 3_600_000)).unwrap();
    assert_eq!(line.at(CLEO).room().lane_keys().unwrap().offers.len(), 0);
    for offer in [early, late] {
        let made = line.at(FAY).follow(&[offer], NOW).unwrap();
        let Some(made) = made else { continue };
        let (_, welcome) = made.blob.clone().unwrap();
        let refused = line.at(CLEO).welcomed(&welcome, Seq(9), NOW);
        assert!(matches!(refused, Err(EngineError::BadWelcome)), "its keys are gone");
        assert!(line.at(CLEO).is_seated());
        line.at(FAY).room_mut().change(Room::give_up_commit).unwrap();
    }
}

/// Each lane has nine seats: its owner and the bench.
#[test]
fn room_with_lanes_has_eight_moderators() {
    let mut world = World::with_lanes();
    for name in ["Ann", "Ann2", "Dan", "Eve", "Kim", "Lee", "Pat"] {
        let room = join(&mut world.rooms[FAY], &mut world.log, name);
        world.rooms.push(room);
    }
    world.show();
    for who in 4..10 {
        world.appoint(who, Role::CoFacilitator);
    }
    let act = Act::SetRole { member: world.key(10), role: Role::CoFacilitator };
    let refused = world.rooms[FAY].act(act, NOW).err();
    assert!(matches!(refused, Some(EngineError::Rule(RuleError::TooManyModerators))));
    // All nine fit.
    let mut line = world.open(FAY, BEN, &[BEN, CLEO, 4, 5, 6, 7, 8, 9]);
    line.say(&world, BEN, "So many.");
    assert_eq!(line.texts(9), ["So many."]);
}

/// A rekeyed room asks for new keys before the next word: a copied device reads what is written to its old leaf.
#[test]
fn rekeyed_room_renews_before_words() {
    let mut world = World::with_lanes();
    let mut line = world.open(FAY, BEN, &[BEN]);
    line.say(&world, BEN, "one");
    world.act(FAY, Act::Rekey);
    line.at(BEN).queue_words("two".to_owned().into(), NOW).unwrap();
    let renewal = line.next(&world, BEN).unwrap();
    assert!(renewal.is_commit);
    line.take(renewal);
    let words = line.next(&world, BEN).unwrap();
    assert!(!words.is_commit);
    line.take(words);
    line.say(&world, BEN, "three");
    assert_eq!(line.texts(FAY), ["one", "two", "three"]);
}

/// Words of a lane are kept for as long as the room's.
#[test]
fn lane_erases_by_the_rooms_rule() {
    let mut world = World::with_lanes();
    let mut line = world.open(FAY, BEN, &[BEN]);
    line.say(&world, BEN, "one");
    world.act(FAY, Act::Expire(3600 * 24));
    let later = NOW.plus(25 * 3_600_000);
    let room = line.at(BEN).room_mut();
    assert_eq!(room.policy().unwrap().numbers.retention_seconds, 3600 * 24);
    room.erase_expired(Moment::agreed(later)).unwrap();
    assert_eq!(line.texts(BEN), Vec::<String>::new());
}

#[test]
fn lanes_have_ids_of_their_own() {
    let mut world = World::with_lanes();
    world.show();
    let ids = world.rooms[FAY].lane_ids().unwrap();
    let distinct: BTreeSet<RoomId> = ids.iter().map(|(id, _)| *id).collect();
    assert_eq!((ids.len(), distinct.len()), (5, 5));
    assert_eq!(world.rooms[BEN].lane_ids().unwrap(), ids);
    assert!(ids.contains(&(world.lane_of(MAL), Some(world.key(MAL)))));
    assert!(!distinct.contains(&world.rooms[FAY].id()));
}
