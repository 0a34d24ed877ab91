//! What is said in a lane beside texts, and the offers that arrive there.

use ed25519_dalek::SigningKey;
use hearth_protocol::{MemberKey, MessageId, Millis, Role, RoomId, Seq, StreamId};
use minicbor::{Decode, Encode};

use super::{
    gate::Whereabouts,
    line::{Lane, Opening},
    record::{Offer, SEATS_MAX, lane_key_seed},
    take::role_of,
};
use crate::{
    clock::Moment,
    content::{Body, Ref},
    error::EngineError,
    outbox::Submission,
    private::{Private, Writer},
    room::{Room, read, write},
    state::{Notice, Row, RowContent},
    store::{Kind, RoomNo},
};

type Result<T, E = EngineError> = std::result::Result<T, E>;

/// Offers in one message.
pub const OFFERS_MAX: usize = 16;

/// An offer of another member that this profile may act on.
#[derive(Clone, Debug, Encode, Decode)]
pub struct KeptOffer {
    /// Whose it is.
    #[n(0)]
    pub from: MemberKey,
    /// The offer.
    #[n(1)]
    pub offer: Offer,
    /// When it came.
    #[n(2)]
    pub at: Millis,
}

impl<'s> Room<'s> {
    /// Handles a message that counts in lanes only.
    pub(crate) fn take_lane_body(
        &mut self,
        row: &mut Row,
        sender: MemberKey,
        body: Body,
    ) -> Result<()> {
        let policy = self.lane_policy()?;
        let writer = Writer {
            owns: policy.owner == Some(sender),
            moderates: policy.chair(&sender).is_some(),
            at_desk: policy.owner.is_none(),
        };
        match Private::of(body) {
            Ok(private) if private.counts_from(writer) && private.is_well_formed() => {
                row.content = RowContent::Private(Box::new(private));
            }
            Err(body) if writer.owns || writer.moderates => match *body {
                Body::Answer { ask, choice: None, text: Some(text), salt: None } if writer.owns => {
                    row.content = RowContent::Text(text);
                    row.talk.answers = Some(ask);
                }
                Body::Offers(offers) => {
                    let parent = RoomNo(self.lane_state()?.parent);
                    for offer in offers.into_iter().take(OFFERS_MAX) {
                        self.keep_offer_of(parent, sender, offer, row.arrived)?;
                    }
                }
                Body::Answer { ask, choice: Some(choice), text: None, salt: Some(salt) }
                    if writer.owns =>
                {
                    row.content = RowContent::Ballot { ask, choice, salt: *salt };
                }
                _ => row.notices.push(Notice::Unreadable),
            },
            _ => row.notices.push(Notice::Unreadable),
        }
        Ok(())
    }

    /// Whether a steward let this member in, who opens no lane.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn was_admitted_by_steward(&mut self) -> Result<bool> {
        let Some(by) = self.state().countersigned.map(|c| c.facilitator) else { return Ok(false) };
        Ok(self.policy()?.role(&by) == Role::Steward)
    }

    /// Keeps the offer of a knocker before they are admitted: the lane is opened with it afterwards, by a later process if need be.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn expect_lane(&self, from: MemberKey, offer: &Offer, now: Millis) -> Result<()> {
        let kept = vec![KeptOffer { from, offer: offer.clone(), at: now }];
        write(self.store, Kind::Care, self.no, &kept_name(&offer.lane), &kept)
    }

    /// Keeps an offer that came in a lane or in a note, in place of an earlier one of that member for that lane.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn keep_offer(&self, from: MemberKey, offer: Offer, now: Millis) -> Result<()> {
        self.keep_offer_of(self.no, from, offer, now)
    }

    /// Offers for lanes that the room does not have are dropped, so that what is kept is bounded by its lanes.
    fn keep_offer_of(
        &self,
        parent: RoomNo,
        from: MemberKey,
        offer: Offer,
        at: Millis,
    ) -> Result<()> {
        let (room, roll) = match &self.state.lane {
            Some(lane) => (lane.parent_id, self.parent_roll()?),
            None => (self.id(), self.roll()),
        };
        let is_desk = || {
            let kept = Room::all_kinds(self.store, self.crypto)?.into_iter();
            let lanes = kept.filter_map(|room| Some((room.id(), room.state.lane?)));
            let mut desks =
                lanes.filter(|(_, lane)| lane.parent == parent.0 && lane.owner.is_none());
            Ok::<_, EngineError>(desks.any(|(id, _)| id == offer.lane))
        };
        let owner = roll.owner_of(&room, &offer.lane)?;
        if owner.is_none() && !is_desk()? {
            return Ok(());
        }
        let name = kept_name(&offer.lane);
        let mut kept: Vec<KeptOffer> =
            read(self.store, Kind::Care, parent, &name)?.unwrap_or_default();
        kept.retain(|kept| kept.from != from);
        kept.push(KeptOffer { from, offer, at });
        if kept.len() > SEATS_MAX {
            // Members whom nothing seats there keep nobody from a seat by their offers.
            let bench = roll.present()?.map(|present| present.bench).unwrap_or_default();
            let useless = kept.iter().position(|kept| {
                Some(kept.from) != owner && bench.iter().all(|chair| chair.member != kept.from)
            });
            kept.remove(useless.unwrap_or(0));
        }
        write(self.store, Kind::Care, parent, &name, &kept)
    }

    /// Returns the offers of others for a lane that were not used yet.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn kept_offers(&self, lane: &RoomId) -> Result<Vec<KeptOffer>> {
        let kept = read(self.store, Kind::Care, self.no, &kept_name(lane))?;
        Ok(kept.unwrap_or_default())
    }

    /// Forgets the offers for a lane: they were used, or no longer seat anybody.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn drop_kept_offers(&self, lane: &RoomId) -> Result<()> {
        self.store.delete(Kind::Care, self.no, &kept_name(lane))?;
        Ok(())
    }
}

/// Names the record of the offers for a lane.
fn kept_name(lane: &RoomId) -> Vec<u8> {
    [b"offers".as_slice(), lane.as_bytes()].concat()
}

impl Lane<'_> {
    /// Queues a message that counts in lanes only.
    ///
    /// # Errors
    /// [`EngineError::NotForLane`] if it would not count from me, or its numbers are out of range; [`EngineError::NotMember`] if I have
    /// no seat; [`EngineError::OutboxFull`].
    pub fn queue_private(&mut self, private: Private, now: Millis) -> Result<MessageId> {
        let (policy, me) = (self.policy()?, self.me());
        let writer = Writer {
            owns: policy.owner == Some(me),
            moderates: policy.chair(&me).is_some(),
            at_desk: policy.owner.is_none(),
        };
        if !private.counts_from(writer) || !private.is_well_formed() {
            return Err(EngineError::NotForLane);
        }
        self.room_mut().queue_body(private.into(), now)
    }

    /// Queues an answer, of mine as the owner, to what was asked in the room to be answered here.
    ///
    /// # Errors
    /// [`EngineError::NotForLane`] in another's lane; [`EngineError::NotMember`] if I have no seat; see [`EngineError`].
    pub fn queue_answer(&mut self, ask: Ref, text: String, now: Millis) -> Result<MessageId> {
        if self.policy()?.owner != Some(self.me()) {
            return Err(EngineError::NotForLane);
        }
        let answer = Body::Answer { ask, choice: None, text: Some(text), salt: None };
        self.room_mut().queue_body(answer, now)
    }

    /// Queues keys with which I can be seated in other lanes.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn queue_offers(&mut self, offers: Vec<Offer>, now: Millis) -> Result<MessageId> {
        self.room_mut().queue_body(Body::Offers(offers), now)
    }

    /// Returns the keys that may be seated by now, newest first: the seat's, then those of my offers.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn keys_to_try(&self) -> Result<Vec<SigningKey>> {
        let parent = self.parent()?;
        let offers = self.room().lane_keys()?.offers;
        let offered = offers.iter().rev().map(|offer| {
            SigningKey::from_bytes(
                lane_key_seed(parent.key.seed(), &self.id(), offer.number).expose(),
            )
        });
        let seated = self.is_seated().then(|| self.signing_key());
        Ok(seated.into_iter().chain(offered).collect())
    }

    /// See [`Room::check_stream`].
    ///
    /// # Errors
    /// See [`Room::check_stream`].
    pub fn check_stream(&mut self, stream: StreamId, head: Seq, floor: Seq) -> Result<bool> {
        self.room_mut().check_stream(stream, head, floor)
    }

    /// See [`Room::accept_stream`].
    ///
    /// # Errors
    /// See [`Room::accept_stream`].
    pub fn accept_stream(&mut self, stream: StreamId) -> Result<()> {
        self.room_mut().accept_stream(stream)
    }

    /// See [`Room::drop_waiting`].
    ///
    /// # Errors
    /// See [`Room::drop_waiting`].
    pub fn drop_waiting(&mut self, id: &MessageId) -> Result<bool> {
        self.room_mut().drop_waiting(id)
    }

    /// See [`Room::mark_shown`].
    ///
    /// # Errors
    /// See [`Room::mark_shown`].
    pub fn mark_shown(&mut self, place: Seq) -> Result<()> {
        self.room_mut().mark_shown(place)
    }

    /// See [`Room::erase_expired`].
    ///
    /// # Errors
    /// See [`Room::erase_expired`].
    pub fn erase_expired(&mut self, moment: Moment) -> Result<()> {
        self.room_mut().erase_expired(moment)
    }

    /// Returns an opening of mine that the relay has not answered.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn waiting_opening(&mut self) -> Result<Option<Opening>> {
        if !self.is_seated() || self.room().cursor().seq > Seq(0) {
            return Ok(None);
        }
        let Some(submission) = self.room().waiting_commit()? else { return Ok(None) };
        self.opening(submission).map(Some)
    }

    pub(super) fn opening(&mut self, submission: Submission) -> Result<Opening> {
        let role = role_of(&self.policy()?, &self.me());
        Ok(Opening { lane: self.id(), opener: self.lane_key(), role, submission })
    }

    /// Returns those who sit here, with their names.
    ///
    /// # Errors
    /// [`EngineError::NotMember`] if I have no seat.
    pub fn seats(&mut self) -> Result<Vec<(MemberKey, String)>> {
        let roster = self.room_mut().lane_as_roster()?.into_iter();
        Ok(roster.map(|leaf| (leaf.member, leaf.name)).collect())
    }

    /// Whether the room has lost its member for good.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn owner_is_gone(&self) -> Result<bool> {
        let present = self.room().parent_now()?;
        Ok(self.owner_at(present.number)? == Whereabouts::Gone)
    }

    /// Whether I drew keys for a seat here after those of my knock.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn has_offered_again(&self) -> Result<bool> {
        Ok(self.room().lane_keys()?.drawn > 1)
    }

    /// Returns when I last drew keys for a seat here that I do not have.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn offered_at(&self) -> Result<Option<Millis>> {
        Ok(self.room().lane_keys()?.offers.last().map(|offer| offer.at))
    }
}
