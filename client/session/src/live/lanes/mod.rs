//! The lanes of a room, over the room's connection: docs/protocol.md section 7.13.
//!
//! A lane that is out of order stops neither the room nor another lane: its link says why, until the next connection.

mod keep;
mod send;

use std::time::Duration;

use hearth_engine::{EngineError, lane::Lane};
use hearth_protocol::{
    ClientFrame, Entry, EntryContent, MemberKey, RejectCode, Role, RoomId, Seq, ServerFrame,
    StreamId, frame::Standing as RelayStanding,
};
use tokio::time::{Instant, timeout};

use super::{ENTRIES_DEADLINE, Live, LiveError, Result, door};
use crate::connection::RequestError;

/// Waits between the first attempts to take a seat, which may be given at once.
const SEAT_WAITS: [Duration; 3] =
    [Duration::from_secs(2), Duration::from_secs(10), Duration::from_secs(60)];
/// Wait between later ones: who gives it may come at any time, and tells nobody.
const SEAT_WAIT_LATER: Duration = Duration::from_secs(600);
/// How often a lane is read again after the room's log, before an entry that names an unknown record is refused.
const CATCH_UPS: u32 = 3;

/// The lanes of a room over one connection.
#[derive(Default)]
pub(super) struct Lanes<'s> {
    /// In the order in which this profile began to keep them.
    links: Vec<Link<'s>>,
    /// When the next attempt to take a seat is due, and which one it is.
    retry: Option<(Instant, usize)>,
    /// The room's record and the changes that were seen when it was last looked what there is to do.
    kept_at: Option<(u64, u64)>,
    /// Grows with everything that a shell may show.
    changes: u64,
    /// Grows with each entry that is taken in, and with each lane that is put aside.
    steps: u64,
}

impl Lanes<'_> {
    /// Something changed beside the lanes that a shell shows with them, or that seats somebody.
    pub(super) const fn changed_beside(&mut self) {
        self.changes += 1;
    }
}

/// A lane that this profile keeps.
pub(super) struct Link<'s> {
    lane: Lane<'s>,
    /// The end of its log, by the relay's word.
    head: Seq,
    /// The store of the relay that delivers its entries over this connection.
    entered: Option<StreamId>,
    /// The entry that must be shown again before any other, and whether the relay's store is another than before.
    overlap: Option<(Seq, bool)>,
    /// How often an entry waited for a record of the room.
    waits: u32,
    /// Why nothing comes in or goes out.
    stuck: Option<EngineError>,
    /// The entry up to which the relay announced entries, and did not deliver them.
    withheld: Option<Seq>,
}

impl<'s> Live<'s> {
    /// Does what is due in lanes, and sends what waits there.
    ///
    /// # Errors
    /// What ends the connection; see [`LiveError`].
    pub(super) async fn tend_lanes(&mut self) -> Result<()> {
        if self.room.policy()?.desk.is_none() {
            return Ok(());
        }
        self.load_lanes()?;
        self.enter_lanes().await?;
        // An entry may follow a record that the room had not shown yet: read the room, then the lane again.
        for _ in 0..CATCH_UPS {
            if !self.lanes.links.iter().any(Link::waits_for_room) {
                break;
            }
            self.enter_lanes().await?;
        }
        match self.room.my_role()? {
            role if role.moderates() => self.keep_lanes().await?,
            // It is a program, and has nobody to talk with.
            Role::Steward => {}
            _ => self.ask_for_lane().await?,
        }
        self.flush_lanes().await?;
        self.tend_shares()?;
        self.audit_polls()
    }

    /// Talks in the lane of a member who is out of the room and keeps it.
    pub(super) async fn tend_waiting_lanes(&mut self) -> Result<()> {
        self.load_lanes()?;
        self.enter_lanes().await?;
        self.flush_lanes().await
    }

    /// Whether every lane where I sit is read to its end.
    pub(super) fn lanes_are_read(&self) -> bool {
        let mut seated = self.lanes.links.iter().filter(|link| link.lane.is_seated());
        seated.all(|link| link.entered.is_some() && link.lane.room().cursor().seq >= link.head)
    }

    /// Returns how often something changed that a shell may show of lanes.
    pub const fn lane_changes(&self) -> u64 {
        self.lanes.changes
    }

    /// Returns a lane's copy over this connection, so that all of a process write to one outbox.
    pub fn lane(&mut self, id: RoomId) -> Option<&mut Lane<'s>> {
        self.lanes.link_mut(id).map(|link| &mut link.lane)
    }

    /// Returns why nothing comes in or goes out in a lane, until the next connection.
    pub fn lane_trouble(&self, id: RoomId) -> Option<String> {
        let link = self.lanes.link(id)?;
        let withheld = link.withheld.map(|head| LiveError::Withheld(head).to_string());
        withheld.or_else(|| link.stuck.as_ref().map(ToString::to_string))
    }

    /// Returns when the next attempt to take a seat is due.
    pub(super) fn lanes_due(&self) -> Option<Instant> {
        self.lanes.retry.map(|(at, _)| at)
    }

    /// Takes in lanes that this profile has begun to keep.
    fn load_lanes(&mut self) -> Result<()> {
        for lane in self.room.lanes()? {
            if self.lanes.link(lane.id()).is_none() {
                self.lanes.links.push(Link::of(lane));
            }
        }
        Ok(())
    }

    /// Enters the lanes that are not entered yet: where a seat waits for me, and where I sit.
    async fn enter_lanes(&mut self) -> Result<()> {
        let now = Instant::now();
        let seats_due = self.lanes.retry.is_none_or(|(at, _)| at <= now);
        let ids: Vec<RoomId> = self.lanes.ids();
        let mut unseated = false;
        for id in ids {
            let Some(link) = self.lanes.link(id) else { continue };
            if link.entered.is_some() || link.stuck.is_some() || link.withheld.is_some() {
                continue;
            }
            if link.lane.is_seated() || seats_due {
                self.enter_lane(id).await?;
            }
            unseated |= self.lanes.link(id).is_some_and(|link| !link.lane.is_seated());
        }
        if !unseated {
            self.lanes.retry = None;
        } else if seats_due {
            let tries = self.lanes.retry.map_or(0, |(_, tries)| tries + 1);
            let wait = SEAT_WAITS.get(tries).copied().unwrap_or(SEAT_WAIT_LATER);
            self.lanes.retry = Some((Instant::now() + wait, tries));
        }
        self.catch_up_lanes().await
    }

    /// Takes in what is in the lanes that were entered. A relay that stops short in a lane holds up nothing else.
    async fn catch_up_lanes(&mut self) -> Result<()> {
        let behind =
            |link: &Link<'_>| link.entered.is_some() && link.lane.room().cursor().seq < link.head;
        while self.lanes.links.iter().any(behind) {
            if !self.step_in_lanes().await? {
                for link in self.lanes.links.iter_mut().filter(|link| behind(link)) {
                    link.entered = None;
                    link.withheld = Some(link.head);
                }
                break;
            }
        }
        Ok(())
    }

    /// Waits until an entry of a lane is taken in. Frames that bring none do not prolong the wait; `false`: none came in time.
    async fn step_in_lanes(&mut self) -> Result<bool> {
        let before = self.lanes.steps;
        let come = async {
            while self.lanes.steps == before {
                self.next().await?;
            }
            Ok(())
        };
        let come: Result<Result<()>, _> = timeout(ENTRIES_DEADLINE, come).await;
        come.map_or(Ok(false), |done| done.map(|()| true))
    }

    /// Proves my key in a lane, takes the seat that waits there, and reads on.
    async fn enter_lane(&mut self, id: RoomId) -> Result<()> {
        let Some(link) = self.lanes.link_mut(id) else { return Ok(()) };
        if link.waits > 0 && !self.room.state().standing.keeps_lane() {
            // It was waiting for a record of the room.
            self.caught_up_status().await?;
        }
        if self.resume_opening(id).await? {
            return self.read_opening(id).await;
        }
        let Some(link) = self.lanes.link_mut(id) else { return Ok(()) };
        for key in link.lane.keys_to_try()? {
            let member = MemberKey(key.verifying_key().to_bytes());
            let mine = link.lane.is_seated() && member == link.lane.lane_key();
            let signature = self.connection.auth_signature(&key, id);
            let asked = self
                .connection
                .request(|req| ClientFrame::Authenticate { req, room: id, member, signature })
                .await;
            let standing = match asked {
                Ok(ServerFrame::Authenticated { standing, .. }) => standing,
                Ok(_) => return Err(LiveError::UnexpectedReply),
                Err(RequestError::Rejected { code: RejectCode::NotMember, .. }) => continue,
                Err(error) => return passes(error),
            };
            match standing {
                RelayStanding::Member { .. } | RelayStanding::Gone { .. } if mine => {
                    return self.subscribe_lane(id).await;
                }
                RelayStanding::Member { joined, welcome: Some(blob), .. } => {
                    let welcome = door::fetch(&mut self.connection, id, blob).await?;
                    let now = self.room.now();
                    if link.lane.welcomed(&welcome, joined, now).err_of(&mut link.stuck)? {
                        self.lanes.changes += 1;
                        return self.subscribe_lane(id).await;
                    }
                    return Ok(());
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Asks for a lane's entries from where this profile is.
    async fn subscribe_lane(&mut self, id: RoomId) -> Result<()> {
        let Some(link) = self.lanes.link_mut(id) else { return Ok(()) };
        let after = link.lane.room().subscribe_after();
        let asked =
            self.connection.request(|req| ClientFrame::Subscribe { req, room: id, after }).await;
        let (stream, floor, head) = match asked {
            Ok(ServerFrame::Subscribed { stream, floor, head, .. }) => (stream, floor, head),
            Ok(_) => return Err(LiveError::UnexpectedReply),
            Err(error) => return passes(error),
        };
        let last = link.lane.room().cursor().seq;
        match link.lane.check_stream(stream, head, floor) {
            Ok(moved) => {
                let overlaps = after < last && floor < last;
                link.overlap = overlaps.then_some((last, moved));
                link.head = head;
                link.entered = Some(stream);
                if moved && !overlaps {
                    link.lane.accept_stream(stream)?;
                }
            }
            Err(error) => link.put_aside(error)?,
        }
        Ok(())
    }

    /// Takes in entries of a lane; returns whether it is one of mine.
    pub(super) fn take_lane_entries(
        &mut self,
        id: RoomId,
        entries: &[Entry],
        head: Seq,
    ) -> Result<bool> {
        let moment = self.moment();
        self.lanes.changes += 1;
        let Some(link) = self.lanes.link_mut(id) else { return Ok(false) };
        if link.entered.is_none() {
            return Ok(true);
        }
        link.head = link.head.max(head);
        let before = link.lane.room().cursor().seq;
        match link.take(entries, moment) {
            Ok(()) => link.waits = 0,
            Err(EngineError::LaneWaits(_)) => {
                link.waits += 1;
                link.entered = None;
            }
            Err(error) => link.put_aside(error)?,
        }
        if link.lane.room().cursor().seq != before || link.entered.is_none() {
            self.lanes.steps += 1;
        }
        Ok(true)
    }

    /// Takes the relay's word that a seat of mine is gone: what is left to read says why.
    pub(super) fn lane_standing(&mut self, id: RoomId) {
        if let Some(link) = self.lanes.link_mut(id) {
            link.entered = None;
            self.lanes.changes += 1;
            self.lanes.steps += 1;
        }
    }
}

impl<'s> Lanes<'s> {
    fn link(&self, id: RoomId) -> Option<&Link<'s>> {
        self.links.iter().find(|link| link.lane.id() == id)
    }

    fn link_mut(&mut self, id: RoomId) -> Option<&mut Link<'s>> {
        self.links.iter_mut().find(|link| link.lane.id() == id)
    }

    fn ids(&self) -> Vec<RoomId> {
        self.links.iter().map(|link| link.lane.id()).collect()
    }
}

impl<'s> Link<'s> {
    const fn of(lane: Lane<'s>) -> Self {
        let (entered, overlap, stuck, withheld) = (None, None, None, None);
        Self { lane, head: Seq(0), entered, overlap, waits: 0, stuck, withheld }
    }
    /// Whether an entry waits for a record of the room.
    const fn waits_for_room(&self) -> bool {
        self.waits > 0 && self.entered.is_none() && self.stuck.is_none()
    }

    fn take(
        &mut self,
        entries: &[Entry],
        moment: hearth_engine::clock::Moment,
    ) -> Result<(), EngineError> {
        if let (Some((overlap, moved)), Some(first)) = (self.overlap, entries.first()) {
            let expired = first.content == EntryContent::Expired && first.seq > overlap;
            if first.seq != overlap && !expired {
                return Err(EngineError::HistoryBackwards(overlap));
            }
            if moved && first.content == EntryContent::Expired {
                return Err(EngineError::StreamChanged);
            }
        }
        self.lane.take(entries, moment, self.waits >= CATCH_UPS)?;
        if let Some((_, true)) = self.overlap
            && let Some(stream) = self.entered
        {
            self.lane.accept_stream(stream)?;
        }
        self.overlap = None;
        Ok(())
    }

    /// Leaves the lane alone until the next connection. What fails in the store fails everything.
    fn put_aside(&mut self, error: EngineError) -> Result<()> {
        self.entered = None;
        if is_of_store(&error) {
            return Err(error.into());
        }
        self.stuck = Some(error);
        Ok(())
    }
}

/// Whether an error is about the profile, and not about one lane.
const fn is_of_store(error: &EngineError) -> bool {
    matches!(error, EngineError::Store(_) | EngineError::DamagedRecord | EngineError::Random)
}

/// Lets the room go on where the relay refuses something in a lane.
fn passes(error: RequestError) -> Result<()> {
    match error {
        RequestError::Rejected { code, .. } if code != RejectCode::ShuttingDown => Ok(()),
        error => Err(error.into()),
    }
}

/// Sets aside an error that is about one lane.
trait ErrOf {
    fn err_of(self, stuck: &mut Option<EngineError>) -> Result<bool>;
}

impl ErrOf for Result<(), EngineError> {
    fn err_of(self, stuck: &mut Option<EngineError>) -> Result<bool> {
        match self {
            Ok(()) => Ok(true),
            // The room is read on before the next attempt.
            Err(EngineError::LaneWaits(_)) => Ok(false),
            Err(error) if is_of_store(&error) => Err(error.into()),
            Err(error) => {
                *stuck = Some(error);
                Ok(false)
            }
        }
    }
}
