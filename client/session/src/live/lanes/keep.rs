//! What moderators' clients do in the background: open lanes, offer themselves, seat others, close what is over.

use hearth_engine::{
    EngineError,
    content::Body,
    lane::{OFFERS_MAX, Offer, Opening},
    note::Purpose,
};
use hearth_protocol::{
    ClientFrame, MemberKey, MessageId, RejectCode, Role, RoomId, ServerFrame,
    frame::{LaneRow, LaneSeat},
};

use super::{Live, LiveError, Result, passes, send::breaks};
use crate::connection::RequestError;

/// How long a member waits for their lane before they ask for it: an hour.
const ASK_AFTER_MILLIS: u64 = 3_600_000;
/// How long a client waits for a seat before it offers itself again: a day.
const OFFER_AGAIN_MILLIS: u64 = 24 * 3_600_000;

impl Live<'_> {
    /// Does what the room's records ask for in its lanes, where anything has changed since.
    pub(super) async fn keep_lanes(&mut self) -> Result<()> {
        let record = self.room.policy()?.record.number;
        if self.lanes.kept_at == Some((record, self.lanes.changes)) {
            return Ok(());
        }
        let open = self.open_lanes().await?;
        let lanes = self.room.lane_ids()?;
        let mut wanted = Vec::new();
        for (id, owner) in lanes {
            let seated = self.lanes.link(id).is_some_and(|link| link.lane.is_seated());
            let is_open = open.iter().any(|row| row.lane == id && row.open);
            if seated {
                self.seat_others(id).await?;
            } else if is_open {
                wanted.push(id);
            } else {
                self.open_missing(id, owner).await?;
            }
        }
        self.offer_for(wanted)?;
        if self.room.my_role()? == Role::Facilitator {
            self.close_ended(&open).await?;
        }
        self.lanes.kept_at = Some((record, self.lanes.changes));
        Ok(())
    }

    async fn open_lanes(&mut self) -> Result<Vec<LaneRow>> {
        let room = self.room.id();
        match self.request(|req| ClientFrame::Lanes { req, room }).await? {
            ServerFrame::Lanes { lanes, .. } => Ok(lanes),
            _ => Err(LiveError::UnexpectedReply),
        }
    }

    /// Carries the room's records over into a lane where I sit, with the offers that came for it.
    async fn seat_others(&mut self, id: RoomId) -> Result<()> {
        let kept = self.room.kept_offers(&id)?;
        let offers: Vec<Offer> = kept.into_iter().map(|kept| kept.offer).collect();
        let now = self.room.now();
        let Some(link) = self.lanes.link_mut(id) else { return Ok(()) };
        if link.entered.is_none() || link.stuck.is_some() {
            return Ok(());
        }
        link.lane.forget_offers(now)?;
        match link.lane.follow(&offers, now) {
            Ok(None) => {}
            Ok(Some(submission)) => match self.submit_in_lane(id, &submission).await {
                Err(error) if breaks(&error) => return Err(error),
                // It is looked at again with the next change.
                _ => self.lanes.changes += 1,
            },
            Err(EngineError::Busy | EngineError::WaitsForFacilitator) => {}
            Err(error) => link.put_aside(error)?,
        }
        Ok(())
    }

    /// Opens a lane that the relay does not have: the desk, my own, or one whose owner's keys I hold.
    async fn open_missing(&mut self, id: RoomId, owner: Option<MemberKey>) -> Result<()> {
        let kept = self.room.kept_offers(&id)?;
        let mine = owner.is_none_or(|owner| owner == self.room.me());
        if !mine && !kept.iter().any(|kept| Some(kept.from) == owner) {
            return Ok(());
        }
        let offers: Vec<Offer> = kept.into_iter().map(|kept| kept.offer).collect();
        let now = self.room.now();
        let opening = match self.room.open_lane(id, &offers, now) {
            Ok(opening) => opening,
            Err(EngineError::Busy | EngineError::NoLanes) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let with_owner = mine || opening.submission.seats.iter().any(|(_, r)| *r == Role::Member);
        self.load_lanes()?;
        if !with_owner {
            // Their keys are of no use any more: they offer others.
            if let Some(link) = self.lanes.link_mut(id) {
                link.lane.opened_by_another()?;
            }
            return Ok(self.room.drop_kept_offers(&id)?);
        }
        if self.ask_to_open(opening).await? {
            self.room.drop_kept_offers(&id)?;
            self.read_opening(id).await?;
        }
        self.lanes.changes += 1;
        Ok(())
    }

    /// Goes on with an opening that the relay has not answered; returns whether there was one, and the lane is there.
    pub(super) async fn resume_opening(&mut self, id: RoomId) -> Result<bool> {
        let Some(link) = self.lanes.link_mut(id) else { return Ok(false) };
        match link.lane.waiting_opening()? {
            Some(opening) => self.ask_to_open(opening).await,
            None => Ok(false),
        }
    }

    async fn ask_to_open(&mut self, opening: Opening) -> Result<bool> {
        let (room, lane, member) = (self.room.id(), opening.lane, opening.opener);
        let Some(link) = self.lanes.link_mut(lane) else { return Ok(false) };
        let signature = self.connection.auth_signature(&link.lane.signing_key(), lane);
        let owns = (opening.role == Role::Member).then_some((member, Role::Member));
        let seats = opening.submission.seats.iter().copied().chain(owns);
        let seats: Vec<LaneSeat> = seats.map(|(member, role)| LaneSeat { member, role }).collect();
        let (commit, welcome) = (opening.submission.payload, opening.submission.blob);
        let welcome = welcome.map(|(_, bytes)| bytes).unwrap_or_default();
        let asked = self
            .connection
            .request(|req| ClientFrame::OpenLane {
                req,
                room,
                lane,
                member,
                signature,
                commit,
                welcome,
                seats,
            })
            .await;
        match asked {
            Ok(ServerFrame::Authenticated { .. }) => Ok(true),
            Ok(_) => Err(LiveError::UnexpectedReply),
            Err(RequestError::Rejected { code: RejectCode::RoomExists, .. }) => {
                // I wait to be seated.
                link.lane.opened_by_another()?;
                Ok(false)
            }
            Err(error) => passes(error).map(|()| false),
        }
    }

    /// Offers myself for lanes where I do not sit: at the desk, or in my own lane while I do not sit at the desk.
    fn offer_for(&mut self, lanes: Vec<RoomId>) -> Result<()> {
        let now = self.room.now();
        let mut offers = Vec::new();
        for id in lanes {
            let last = match self.lanes.link(id) {
                Some(link) => link.lane.offered_at()?,
                None => None,
            };
            if last.is_none_or(|at| now < at || now >= at.plus(OFFER_AGAIN_MILLIS)) {
                offers.push(self.room.offer(id, now)?);
            }
        }
        if offers.is_empty() {
            return Ok(());
        }
        self.load_lanes()?;
        // They are tried from the start.
        self.lanes.retry = None;
        let desk = self.room.lane_ids()?.first().map(|(id, _)| *id);
        let places = desk.into_iter().chain([self.room.my_lane_id()]);
        for id in places {
            let Some(link) = self.lanes.link_mut(id).filter(|l| l.lane.is_seated()) else {
                continue;
            };
            for part in offers.chunks(OFFERS_MAX) {
                link.lane.queue_offers(part.to_vec(), now)?;
            }
            break;
        }
        Ok(())
    }

    /// Asks each moderator by note for a seat in my own lane, where an offer of mine has led to none: the client that admitted me may
    /// have been killed before it opened the lane.
    pub(super) async fn ask_for_lane(&mut self) -> Result<()> {
        let (id, now) = (self.room.my_lane_id(), self.room.now());
        // A steward opens no lane, so nobody has used the keys of the knock.
        let by_steward = self.room.was_admitted_by_steward()?;
        let (seated, last) = match self.lanes.link(id) {
            Some(link) if by_steward && !link.lane.has_offered_again()? => {
                (link.lane.is_seated(), None)
            }
            Some(link) => (link.lane.is_seated(), link.lane.offered_at()?),
            None => (false, None),
        };
        let waits = last.is_some_and(|at| now >= at && now < at.plus(ASK_AFTER_MILLIS));
        if seated || waits {
            return Ok(());
        }
        let offer = self.room.offer(id, now)?;
        let mut note = [0; 16];
        getrandom::fill(&mut note).map_err(|_| EngineError::Random)?;
        let bench: Vec<MemberKey> =
            self.room.bench()?.into_iter().map(|(member, _)| member).collect();
        let (note, body) = (MessageId(note), Body::Offers(vec![offer]));
        match self.room.write_notes(&bench, Purpose::Offer, note, &body, now) {
            // It is asked again in an hour.
            Ok(_) | Err(EngineError::OutboxFull) => {}
            Err(error) => return Err(error.into()),
        }
        self.load_lanes()?;
        self.lanes.retry = None;
        self.send_notes().await
    }

    /// Closes the lanes of those who are gone.
    async fn close_ended(&mut self, open: &[LaneRow]) -> Result<()> {
        let room = self.room.id();
        for lane in self.lanes.ids() {
            let is_open = open.iter().any(|row| row.lane == lane && row.open);
            let Some(link) = self.lanes.link(lane).filter(|_| is_open) else { continue };
            if !link.lane.owner_is_gone()? {
                continue;
            }
            let asked = self
                .connection
                .request(|req| ClientFrame::CloseLane { req, room, lane, forget: false })
                .await;
            if let Err(error) = asked {
                passes(error)?;
            }
        }
        Ok(())
    }
}
