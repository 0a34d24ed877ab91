//! The verbs on a lane: offer, open, seat, be welcomed, follow the parent, speak, take entries.

use std::collections::BTreeSet;

use ed25519_dalek::SigningKey;
use hearth_protocol::{
    Effect, Entry, Epoch, MemberKey, MessageId, Millis, RejectCode, Role, RoomId, Seq,
};

use super::{
    gate::{
        AsOf, ExpectedSeat, LaneLeaf, LaneView, Parent, Whereabouts, check_lane_commit,
        check_lane_welcome, check_offer,
    },
    record::{LanePolicy, Offer, Seat, desk_id, lane_id, lane_key_seed},
    take::{bench_now, role_of},
};
use crate::{
    agreement::Acknowledgement,
    clock::Moment,
    error::EngineError,
    gate::Refusal,
    join::blank_state,
    mls::{
        Group, MlsError,
        lane::{LaneIdentity, LanePlan, forget_package, key_package},
    },
    outbox::{Submission, submission},
    room::{CURSOR, Room, STATE, random, read, write},
    room_key::RoomKey,
    state::{
        Cursor, LaneSeats, LaneState, Offered, Outgoing, OutgoingKind, RoomState, Row, RowContent,
        Standing,
    },
    store::{Kind, RoomNo},
    words::{Talk, Words},
};

type Result<T, E = EngineError> = std::result::Result<T, E>;

/// Age at which a leaf is renewed before the next word: a week. A lane in which nobody speaks costs nothing.
const RENEW_MILLIS: u64 = 7 * 24 * 3600 * 1000;
/// How long after it was seated a client keeps the keys of its other offers: a day. An old one could lure it into a second group.
const OFFERS_MILLIS: u64 = 24 * 3600 * 1000;
/// Offers whose keys are kept for one lane.
const OFFERS_MAX: usize = 8;

/// A lane of one of this profile's rooms.
pub struct Lane<'s> {
    room: Room<'s>,
}

/// A new lane for the relay.
pub struct Opening {
    /// The lane.
    pub lane: RoomId,
    /// Lane key of the opener, who proves it to the relay.
    pub opener: MemberKey,
    /// The role of the opener's seat.
    pub role: Role,
    /// The first entry, with the Welcome and the seats of the others.
    pub submission: Submission,
}

impl<'s> Room<'s> {
    /// Returns the lanes that the room has by its records, with their owners; first the desk, which has none.
    ///
    /// # Errors
    /// [`EngineError::NoLanes`]; see [`EngineError`].
    pub fn lane_ids(&mut self) -> Result<Vec<(RoomId, Option<MemberKey>)>> {
        let (id, policy) = (self.id(), self.policy()?);
        let desk = desk_id(&id, &policy).ok_or(EngineError::NoLanes)?;
        let own = |leaf: crate::policy::Leaf| {
            (lane_id(&id, &leaf.member, &leaf.companion.salt), Some(leaf.member))
        };
        // Who waits keeps the lane, and a facilitator's client keeps it up to date.
        let waiting = policy.waiting().iter();
        let kept = waiting.map(|w| (lane_id(&id, &w.member, &w.salt), Some(w.member)));
        // A steward is a program: there is nobody to talk with.
        let people = self.roster()?.into_iter();
        let present = people.filter(|leaf| policy.role(&leaf.member) != Role::Steward).map(own);
        Ok([(desk, None)].into_iter().chain(present).chain(kept).collect())
    }

    /// Returns the id of my own lane.
    pub fn my_lane_id(&self) -> RoomId {
        lane_id(&self.id(), &self.me(), &self.state.companion.salt)
    }

    /// Opens the lanes that this profile keeps of this room.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn lanes(&self) -> Result<Vec<Lane<'s>>> {
        let mut rooms = Room::all_kinds(self.store, self.crypto)?;
        let mine =
            |room: &Room<'_>| room.state.lane.as_ref().is_some_and(|lane| lane.parent == self.no.0);
        rooms.retain(mine);
        Ok(rooms.into_iter().map(|room| Lane { room }).collect())
    }

    /// Opens a lane that this profile keeps.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn lane(&self, id: RoomId) -> Result<Option<Lane<'s>>> {
        Ok(self.lanes()?.into_iter().find(|lane| lane.id() == id))
    }

    /// Makes keys with which I can be seated in a lane, and stores their private part.
    ///
    /// # Errors
    /// [`EngineError::NoLanes`] if the room has no such lane; see [`EngineError`].
    pub fn offer(&mut self, lane: RoomId, now: Millis) -> Result<Offer> {
        let owner = self.owner_of(lane)?;
        self.change(|room| room.kept_lane(lane, owner)?.draw_offer(now))
    }

    /// Makes the offer of a knock: for the lane that the knocker will own. Forgets lanes of earlier knocks, where nobody sat.
    pub(crate) fn own_offer(&self, now: Millis) -> Result<Offer> {
        for lane in self.lanes()? {
            if lane.me() != self.me() && lane.room.lane_state()?.seat.is_none() {
                self.store.delete_room(lane.room.no)?;
            }
        }
        self.kept_lane(self.my_lane_id(), Some(self.me()))?.draw_offer(now)
    }

    /// Returns the owner of a lane of this room; `None` for the desk.
    fn owner_of(&mut self, lane: RoomId) -> Result<Option<MemberKey>> {
        let (id, desk) = (self.id(), self.policy()?);
        let desk = desk_id(&id, &desk).ok_or(EngineError::NoLanes)?;
        if lane == desk {
            return Ok(None);
        }
        self.roll().owner_of(&id, &lane)?.map(Some).ok_or(EngineError::NoLanes)
    }

    /// Opens the lane of a member, or the desk, with everybody seated whose offer is good. Group and entry are stored before anything is
    /// sent. The owner's offer came in their knock; those of other moderators are at the desk.
    ///
    /// # Errors
    /// [`EngineError::NoLanes`] if the room has no such lane; [`EngineError::Busy`] if this profile sits there already; see
    /// [`EngineError`].
    pub fn open_lane(&mut self, lane: RoomId, offers: &[Offer], now: Millis) -> Result<Opening> {
        let owner = self.owner_of(lane)?;
        if !self.my_role()?.moderates() {
            return Err(crate::policy::RuleError::NotFacilitator.into());
        }
        self.change(|room| {
            let mut line = room.kept_lane(lane, owner)?;
            if line.room.state.standing == Standing::Member {
                return Err(EngineError::Busy);
            }
            line.found(now)?;
            let submission = line.commit(offers, true, now)?.ok_or(EngineError::Busy)?;
            line.opening(submission)
        })
    }

    /// Checks the offer in a knock as the gate will.
    pub(crate) fn check_own_offer(&mut self, knocker: &crate::policy::Leaf, offer: &Offer) -> bool {
        let parent = self.id();
        let provider = self.provider();
        let Ok((_, group)) = self.group() else { return false };
        let Ok(leaf) = group.read_lane_offer(&provider, &offer.key_package) else { return false };
        let lane = lane_id(&parent, &knocker.member, &knocker.companion.salt);
        offer.lane == lane
            && (leaf.seat.lane, leaf.seat.parent) == (lane, parent)
            && leaf.seat.member == knocker.member
            && leaf.seat.verify(&leaf.key)
            && leaf.acknowledgement == knocker.acknowledgement
    }

    /// Deletes what was kept for lanes that the room turns out not to have.
    pub(crate) fn drop_lanes(&self) -> Result<()> {
        for lane in self.lanes()? {
            self.store.delete_room(lane.room.no)?;
        }
        Ok(())
    }

    /// Returns this profile's copy of a lane, new if there is none. Runs within a change.
    fn kept_lane(&self, id: RoomId, owner: Option<MemberKey>) -> Result<Lane<'s>> {
        if let Some(mut lane) = self.lane(id)? {
            if lane.me() != self.me() {
                // An earlier stay's, under another room key. What was read stays.
                lane.room.leave_group()?;
                let state = lane.room.lane_state_mut()?;
                (state.member, state.seat) = (self.me(), None);
                lane.room.save_state()?;
                for kind in [Kind::Mls, Kind::Pending] {
                    self.store.clear(kind, lane.room.no)?;
                }
            }
            return Ok(lane);
        }
        let no = self.store.create_room()?;
        let mut state = blank_state(&self.state.address(), id, self.state.key.clone())?;
        state.name.clone_from(&self.state.name);
        state.suite = self.state.suite;
        state.acknowledgement.clone_from(&self.state.acknowledgement);
        state.lane = Some(Box::new(LaneState {
            parent: self.no.0,
            parent_id: self.id(),
            owner,
            member: self.me(),
            seat: None,
            renewed: 0,
        }));
        let room = Room::of_parts(self.store, self.crypto, no, state, Cursor::default());
        room.save_state()?;
        room.save_cursor()?;
        Ok(Lane { room })
    }
}

impl<'s> Lane<'s> {
    /// Returns the lane as a room, for its history and outbox.
    pub const fn room(&self) -> &Room<'s> {
        &self.room
    }

    pub(crate) const fn room_mut(&mut self) -> &mut Room<'s> {
        &mut self.room
    }

    /// Returns the lane's id.
    pub fn id(&self) -> RoomId {
        self.room.id()
    }

    /// Returns my room key in the parent.
    pub fn me(&self) -> MemberKey {
        self.room.me()
    }

    /// Returns the owner; `None` for the desk.
    pub fn owner(&self) -> Option<MemberKey> {
        self.room.state.lane.as_ref().and_then(|lane| lane.owner)
    }

    /// Returns the key that signs for my seat and proves it to the relay.
    pub fn signing_key(&self) -> SigningKey {
        self.room.signing_key()
    }

    /// Returns my lane key.
    pub fn lane_key(&self) -> MemberKey {
        MemberKey(self.signing_key().verifying_key().to_bytes())
    }

    /// Whether I have a seat, as far as this profile knows.
    pub fn is_seated(&self) -> bool {
        self.room.state.standing == Standing::Member
    }

    /// Returns the epoch.
    ///
    /// # Errors
    /// [`EngineError::NotMember`] if I have no seat.
    pub fn epoch(&mut self) -> Result<Epoch> {
        self.room.epoch()
    }

    /// Returns the policy of the current epoch.
    ///
    /// # Errors
    /// [`EngineError::NotMember`] if I have no seat.
    pub fn policy(&mut self) -> Result<LanePolicy> {
        self.room.lane_policy()
    }

    /// Returns all leaves of the current epoch.
    ///
    /// # Errors
    /// [`EngineError::NotMember`] if I have no seat.
    pub fn leaves(&mut self) -> Result<Vec<LaneLeaf>> {
        self.room.lane_leaves()
    }

    /// Returns the parent's state, which only the parent changes.
    pub(super) fn parent(&self) -> Result<RoomState> {
        let no = RoomNo(self.room.lane_state()?.parent);
        read(self.room.store, Kind::Room, no, STATE)?.ok_or(EngineError::DamagedRecord)
    }

    /// Returns lane key, seat and leaf of a numbered seat of mine.
    fn leaf_of(
        &self,
        parent: &RoomState,
        number: u32,
        acknowledgement: Acknowledgement,
    ) -> Result<(hearth_protocol::Secret32, LaneLeaf)> {
        let seed = lane_key_seed(parent.key.seed(), &self.id(), number);
        let key = MemberKey(SigningKey::from_bytes(seed.expose()).verifying_key().to_bytes());
        let parent_id = self.room.lane_state()?.parent_id;
        let seat = Seat::sign(&parent.signing_key(), &key, parent_id, self.id(), number);
        Ok((seed, LaneLeaf { key, acknowledgement, seat }))
    }

    /// Draws the next lane key. No key is used twice.
    fn draw(&self) -> Result<u32> {
        let mut keys = self.room.lane_keys()?;
        keys.drawn = keys.drawn.checked_add(1).ok_or(EngineError::Random)?;
        self.room.save_lane_keys(&keys)?;
        Ok(keys.drawn)
    }

    fn draw_offer(&self, now: Millis) -> Result<Offer> {
        let parent = self.parent()?;
        let number = self.draw()?;
        let acknowledgement = acknowledgement_of(&parent)?;
        let (seed, leaf) = self.leaf_of(&parent, number, acknowledgement)?;
        let key = SigningKey::from_bytes(seed.expose());
        let identity =
            LaneIdentity { key: &key, acknowledgement: &leaf.acknowledgement, seat: &leaf.seat };
        let provider = self.room.provider();
        let package = key_package(&provider, parent.suite(), identity)?;
        let (store, no) = (self.room.store, self.room.no);
        write(store, Kind::Pending, no, &offer_name(number), &package_record(&package))?;
        let offered = Offered { number, acknowledgement: leaf.acknowledgement.to_bytes(), at: now };
        let mut keys = self.room.lane_keys()?;
        keys.offers.push(offered);
        while keys.offers.len() > OFFERS_MAX {
            self.forget_offer(&keys.offers.remove(0))?;
        }
        self.room.save_lane_keys(&keys)?;
        Ok(Offer { lane: self.id(), key_package: package })
    }

    /// Deletes the keys of an offer.
    fn forget_offer(&self, offer: &Offered) -> Result<()> {
        let number = offer.number;
        let (store, no) = (self.room.store, self.room.no);
        let package: Option<minicbor::bytes::ByteVec> =
            read(store, Kind::Pending, no, &offer_name(number))?;
        if let Some(package) = package {
            forget_package(&self.room.provider(), &package)?;
            store.delete(Kind::Pending, no, &offer_name(number))?;
        }
        Ok(())
    }

    /// Deletes the keys of the offers that did not seat me, a day after another did.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn forget_offers(&mut self, now: Millis) -> Result<()> {
        if !self.is_seated() {
            return Ok(());
        }
        self.change(|lane| {
            let mut keys = lane.room.lane_keys()?;
            let (offers, seated) = (keys.offers.into_iter(), keys.seated);
            let (old, kept): (Vec<_>, Vec<_>) =
                offers.partition(|offer| now >= offer.at.max(seated).plus(OFFERS_MILLIS));
            old.iter().try_for_each(|offer| lane.forget_offer(offer))?;
            keys.offers = kept;
            lane.room.save_lane_keys(&keys)
        })
    }

    /// Founds the group with me as its only leaf.
    fn found(&mut self, now: Millis) -> Result<()> {
        let parent = self.parent()?;
        let present = self.room.parent_now()?;
        let number = self.draw()?;
        let (seed, leaf) = self.leaf_of(&parent, number, acknowledgement_of(&parent)?)?;
        let policy = LanePolicy {
            format: 1,
            parent: parent.room,
            owner: self.owner(),
            number: present.number,
            record: present.record,
            bench: present.bench,
        };
        let id = self.id();
        self.room.leave_group()?;
        self.room.begin_lane(Seq(0))?;
        let state = &mut self.room.state;
        state.key = RoomKey::new(seed);
        state.acknowledgement = leaf.acknowledgement.to_bytes();
        state.standing = Standing::Member;
        state.renewed_at = now;
        let key = self.room.signing_key();
        let identity =
            LaneIdentity { key: &key, acknowledgement: &leaf.acknowledgement, seat: &leaf.seat };
        let provider = self.room.provider();
        let group = Group::found_lane(&provider, parent.suite(), id, identity, &policy)?;
        self.room.group = Some(group);
        let lane = self.room.lane_state_mut()?;
        lane.seat = Some(leaf.seat);
        lane.renewed = policy.number;
        self.room.save_state()
    }

    /// Drops my own opening, because another's was faster: I wait to be seated.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn opened_by_another(&mut self) -> Result<()> {
        self.change(|lane| {
            if lane.room.cursor.seq > Seq(0) {
                return Err(EngineError::Busy);
            }
            lane.room.hold_waiting_texts(true)?;
            lane.room.leave_group()
        })
    }

    /// Takes the seat of a Welcome that passes the gate; after a refusal the offer stays good.
    ///
    /// # Errors
    /// [`EngineError::Refused`]; [`EngineError::LaneWaits`] if it follows a record that has not arrived; [`EngineError::BadWelcome`].
    pub fn welcomed(&mut self, welcome: &[u8], joined: Seq, now: Millis) -> Result<()> {
        let parent = self.parent()?;
        let lane = self.room.lane_state()?.clone();
        let mut offered = Vec::new();
        let mut keys = self.room.lane_keys()?;
        for offer in &keys.offers {
            let acknowledgement = Acknowledgement::parse(&offer.acknowledgement)
                .map_err(|_| EngineError::DamagedRecord)?;
            offered.push(self.leaf_of(&parent, offer.number, acknowledgement)?.1);
        }
        self.change(|line| {
            let room = &mut line.room;
            // A group of the same id would be in the way; a refusal brings it back with the rest.
            room.leave_group()?;
            let provider = room.provider();
            let (group, view) =
                Group::enter_lane(&provider, welcome).map_err(|error| match error {
                    MlsError::Invalid => EngineError::BadWelcome,
                    other => other.into(),
                })?;
            let number = view.policy.as_ref().map_or(0, |policy| policy.number);
            let as_of = room.parent_roll()?.as_of(number, lane.owner.as_ref())?;
            let behind = as_of == AsOf::Unknown && number > room.parent_now()?.number;
            if behind {
                return Err(EngineError::LaneWaits(number));
            }
            let expected = ExpectedSeat {
                lane: room.id(),
                owner: lane.owner,
                offered: &offered,
                number: lane.seat.as_ref().map_or(0, |seat| seat.number),
            };
            let parent_view = Parent { room: lane.parent_id, as_of: &as_of };
            let (_, _, mine) = check_lane_welcome(view, expected, parent_view)?;
            room.group = Some(group);
            let seed = lane_key_seed(parent.key.seed(), &room.id(), mine.seat.number);
            room.state.key = RoomKey::new(seed);
            room.state.acknowledgement = mine.acknowledgement.to_bytes();
            room.state.standing = Standing::Member;
            // Due with the next word, because its first keys travelled in an offer.
            room.state.renewed_at = Millis(0);
            keys.offers.retain(|offer| offer.number != mine.seat.number);
            keys.seated = now;
            room.save_lane_keys(&keys)?;
            room.lane_state_mut()?.seat = Some(mine.seat);
            room.begin_lane(joined)?;
            let place = room.cursor.place(joined);
            let row = Row {
                place,
                seq: joined,
                at: now,
                digest: hearth_protocol::Digest([0; 32]),
                from: None,
                name: String::new(),
                id: None,
                content: RowContent::Nothing,
                notices: Vec::new(),
                stamp: Millis(0),
                arrived: now,
                said: Millis(0),
                talk: Talk::default(),
                changes: Vec::new(),
                shows: Vec::new(),
                proof: None,
            };
            room.save_row(&row)?;
            (room.cursor.own_clock, room.cursor.relay_clock) = (now, now);
            room.save_cursor()?;
            room.save_state()
        })
    }

    /// Handles entries of the lane's log. Those before one that follows a record that this profile lacks are kept; `whole` says that the
    /// parent's log was read to its end in vain, so that such an entry is refused.
    ///
    /// # Errors
    /// [`EngineError::LaneWaits`]: catch up with the parent and hand in the rest again; see [`Room::handle_entries`].
    pub fn take(&mut self, entries: &[Entry], moment: Moment, whole: bool) -> Result<()> {
        self.room.whole = whole;
        let taken = match self.room.handle_entries(entries, moment) {
            Err(EngineError::LaneWaits(_)) if entries.len() > 1 => entries
                .iter()
                .filter(|entry| entry.seq >= self.room.cursor.seq)
                .cloned()
                .collect::<Vec<_>>()
                .iter()
                .try_for_each(|entry| {
                    self.room.handle_entries(std::slice::from_ref(entry), moment)
                }),
            taken => taken,
        };
        self.room.whole = false;
        taken
    }

    /// Queues words.
    ///
    /// # Errors
    /// See [`Room::queue_words`].
    pub fn queue_words(&mut self, words: Words, now: Millis) -> Result<MessageId> {
        self.room.queue_words(words, now)
    }

    /// Queues the retraction of an own message.
    ///
    /// # Errors
    /// See [`Room::queue_own_retraction`].
    pub fn retract(&mut self, seq: Seq, now: Millis) -> Result<MessageId> {
        self.room.queue_own_retraction(seq, now)
    }

    /// Returns what goes out next: a commit that waits, then what the sender's rule asks for, then the oldest message.
    ///
    /// `head` is the end of the parent's log by the relay's word of this connection; `None` from a lapsed member, to whom the relay shows
    /// no log. Bytes that were encrypted before go out again only by the same rule.
    ///
    /// # Errors
    /// [`EngineError::RoomUnread`] if the parent is not read up to there; [`EngineError::OwnerGone`];
    /// [`EngineError::WaitsForFacilitator`]; see [`EngineError`].
    pub fn next(
        &mut self,
        head: Option<Seq>,
        refused: &BTreeSet<u64>,
        now: Millis,
    ) -> Result<Option<Submission>> {
        if let Some(commit) = self.room.waiting_commit()? {
            return Ok(Some(commit));
        }
        if self.room.waiting_numbers()?.iter().all(|number| refused.contains(number)) {
            return Ok(None);
        }
        self.check_parent(head)?;
        let (policy, present) = (self.policy()?, self.room.parent_now()?);
        if self.owner_at(present.number)? == Whereabouts::Gone {
            return Err(EngineError::OwnerGone);
        }
        let bench = bench_now(&policy, &present);
        let strangers = self.leaves()?.into_iter().map(|leaf| leaf.seat.member).any(|member| {
            policy.owner != Some(member) && bench.iter().all(|chair| chair.member != member)
        });
        let renewed = self.room.state.renewed_at;
        let old = now < renewed || now >= renewed.plus(RENEW_MILLIS);
        let rekeyed = present.rekeyed > self.room.lane_state()?.renewed;
        if strangers || old || rekeyed {
            return self.change(|lane| lane.commit(&[], true, now));
        }
        self.room.next_beside(refused)
    }

    fn check_parent(&self, head: Option<Seq>) -> Result<()> {
        let no = RoomNo(self.room.lane_state()?.parent);
        let cursor: Cursor = read(self.room.store, Kind::Room, no, CURSOR)?.unwrap_or_default();
        let read_to_end = match head {
            Some(head) => cursor.seq >= head,
            None => self.parent()?.standing.keeps_lane(),
        };
        read_to_end.then_some(()).ok_or(EngineError::RoomUnread)
    }

    pub(super) fn owner_at(&self, number: u64) -> Result<Whereabouts> {
        let owner = self.owner();
        let at = owner.map(|owner| self.room.parent_roll()?.whereabouts(number, &owner));
        Ok(at.transpose()?.unwrap_or(Whereabouts::In))
    }

    /// Carries the parent's records over: seats those whose offers are good, and removes who may not be here. `None` if nothing is to be
    /// done.
    ///
    /// # Errors
    /// [`EngineError::Busy`] if a commit waits; [`EngineError::WaitsForFacilitator`]; see [`EngineError`].
    pub fn follow(&mut self, offers: &[Offer], now: Millis) -> Result<Option<Submission>> {
        self.change(|lane| lane.commit(offers, false, now))
    }

    /// Makes new keys for my seat, and carries the parent's records over with them.
    ///
    /// # Errors
    /// See [`Self::follow`].
    pub fn renew(&mut self, now: Millis) -> Result<Submission> {
        self.change(|lane| lane.commit(&[], true, now)?.ok_or(EngineError::Busy))
    }

    /// Handles the relay's refusal of a submission for a past epoch, after catching up: a message is encrypted again by
    /// [`Self::next`], a commit is dropped. Returns whether it goes out again.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn epoch_conflict(&mut self, number: u64) -> Result<bool> {
        self.room.lane_conflict(number)
    }

    /// See [`Room::refused`].
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn refused(&mut self, number: u64, code: RejectCode) -> Result<bool> {
        self.room.refused(number, code)
    }

    /// See [`Room::accepted_before`].
    ///
    /// # Errors
    /// See [`Room::accepted_before`].
    pub fn accepted_before(&mut self, number: u64, seq: Seq) -> Result<()> {
        self.room.accepted_before(number, seq)
    }

    /// Makes a commit, which the gate has judged, and puts it into the outbox. `None` if nothing is to be done, unless `anyway`.
    fn commit(
        &mut self,
        offers: &[Offer],
        anyway: bool,
        now: Millis,
    ) -> Result<Option<Submission>> {
        self.room.check_whole()?;
        if self.room.group()?.1.has_pending() {
            return Err(EngineError::Busy);
        }
        let (id, me) = (self.id(), self.me());
        let (policy, leaves) = (self.policy()?, self.leaves()?);
        let present = self.room.parent_now()?;
        let parent = self.parent()?;
        let behind = present.number > policy.number;
        let bench_changes = behind && present.bench != policy.bench;
        // A lapsed owner's lane moves with a facilitator only: see the gate.
        let lapsed = self.owner_at(present.number)? == Whereabouts::Lapsed;
        let facilitates = policy.chair(&me).is_some_and(|chair| chair.role == Role::Facilitator);
        let may_move = behind && (!lapsed || facilitates);
        if bench_changes && !may_move {
            return Err(EngineError::WaitsForFacilitator);
        }
        let old = self.room.acknowledgement()?;
        let newest = acknowledgement_of(&parent)?;
        let signs = newest.version > old.version && (may_move || !behind);
        let acknowledgement = if signs { newest } else { old };
        let moves = bench_changes || (may_move && (signs || !offers.is_empty()));
        let next = if moves {
            let (record, bench) = (present.record, present.bench.clone());
            LanePolicy { number: present.number, record, bench, ..policy.clone() }
        } else {
            policy.clone()
        };
        let as_of = self.room.parent_roll()?.as_of(next.number, next.owner.as_ref())?;
        let parent_view = Parent { room: next.parent, as_of: &as_of };
        let seats = self.good_offers(offers, &leaves, &next, parent_view)?;
        let gone = leaves.iter().filter(|leaf| {
            let replaced = seats.iter().any(|(new, _)| new.seat.member == leaf.seat.member);
            replaced || !next.seats(&leaf.seat.member)
        });
        let remove: Vec<MemberKey> = gone.map(|leaf| leaf.key).collect();
        if remove.contains(&self.lane_key()) {
            return Err(EngineError::NotMember("you no longer moderate it"));
        }
        if !anyway && !bench_changes && seats.is_empty() {
            return Ok(None);
        }
        let seat = self.room.lane_state()?.seat.clone().ok_or(EngineError::DamagedRecord)?;
        let key = self.room.signing_key();
        let identity = LaneIdentity { key: &key, acknowledgement: &acknowledgement, seat: &seat };
        let plan = LanePlan {
            add: seats.iter().map(|(_, offer)| offer.key_package.as_slice()).collect(),
            remove: &remove,
            policy: moves.then_some(&next),
        };
        let used_up = self.room.saw_epoch_used_up()?;
        let epoch = self.room.epoch()?;
        let (provider, group) = self.room.group()?;
        let (committed, view) = group.commit_lane(&provider, identity, &plan)?;
        let view_of = LaneView { lane: id, policy: &policy, leaves: &leaves };
        if self.room.crypto.laws().are_kept() {
            check_lane_commit(view_of, &view, parent_view)?;
        }
        let mut effects: Vec<Effect> =
            remove.iter().map(|member| Effect::Remove { member: *member }).collect();
        if used_up {
            // A commit that every honest reader refuses used this epoch up at the relay.
            effects.push(Effect::Reopen { epoch });
        }
        let seated = seats.iter().map(|(leaf, _)| (leaf.key, role_of(&next, &leaf.seat.member)));
        let lane_seats = LaneSeats { seated: seated.collect(), follows: present.number };
        let outgoing = Outgoing {
            id: MessageId(random()?),
            written_at: now,
            what: OutgoingKind::Commit {
                acknowledgement: signs.then(|| acknowledgement.to_bytes().into()),
                seats: Some(lane_seats),
            },
            effects,
            welcome: committed.welcome.unwrap_or_default(),
            payload: committed.commit,
            doubtful: false,
            after: self.room.cursor.seq,
            refused: false,
            held: None,
        };
        let number = self.room.push_outgoing(&outgoing)?;
        Ok(Some(submission(number, outgoing)))
    }

    /// Returns the offers for this lane that pass the gate, with their leaves: the newest of each member, and no older than the seat that
    /// they have. Others are left out, because nobody else's fault may keep somebody from a seat.
    fn good_offers<'o>(
        &mut self,
        offers: &'o [Offer],
        leaves: &[LaneLeaf],
        policy: &LanePolicy,
        parent: Parent<'_>,
    ) -> Result<Vec<(LaneLeaf, &'o Offer)>> {
        let (id, me) = (self.id(), self.me());
        let mut good: Vec<(LaneLeaf, &Offer)> = Vec::new();
        for offer in offers.iter().filter(|offer| offer.lane == id) {
            let (provider, group) = self.room.group()?;
            let Ok(leaf) = group.read_lane_offer(&provider, &offer.key_package) else { continue };
            let member = leaf.seat.member;
            let sits = leaves.iter().find(|other| other.seat.member == member);
            let newer = sits.is_none_or(|sits| leaf.seat.number > sits.seat.number);
            if member == me || !newer || check_offer(id, &leaf, policy, parent).is_err() {
                continue;
            }
            match good.iter().position(|(other, _)| other.seat.member == member) {
                Some(at) if good[at].0.seat.number >= leaf.seat.number => {}
                Some(at) => good[at] = (leaf, offer),
                None => good.push((leaf, offer)),
            }
        }
        Ok(good)
    }

    /// Runs a change that is kept whole or dropped whole.
    fn change<T>(&mut self, run: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let (state, cursor) = (self.room.state.clone(), self.room.cursor.clone());
        let store = self.room.store;
        let result = store.transaction(|_| run(self));
        if result.is_err() {
            self.room.forget_change(state, cursor);
        }
        result
    }
}

fn acknowledgement_of(state: &RoomState) -> Result<Acknowledgement> {
    Acknowledgement::parse(&state.acknowledgement).map_err(|_| EngineError::DamagedRecord)
}

/// Names the record of an offer's key package, by which its keys are found again.
fn offer_name(number: u32) -> Vec<u8> {
    [b"offer".as_slice(), &number.to_be_bytes()].concat()
}

fn package_record(package: &[u8]) -> minicbor::bytes::ByteVec {
    package.to_vec().into()
}

impl From<super::gate::LaneRefusal> for EngineError {
    fn from(refusal: super::gate::LaneRefusal) -> Self {
        Self::Refused(Refusal::Lane(refusal))
    }
}
