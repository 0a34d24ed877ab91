//! Sending in lanes: words behind the room's log, commits that are made anew for each epoch that they lose.

use std::collections::BTreeSet;

use hearth_engine::{EngineError, accord::Reason, outbox::Submission};
use hearth_protocol::{
    ClientFrame, Effect, RejectCode, RoomId, Seq, ServerFrame, frame::RoomStatus,
};

use super::{Live, LiveError, Result, is_of_store};
use crate::{connection::RequestError, live::act::TRIES_MAX};

/// What became of a submission in a lane.
pub(super) enum Sent {
    /// On disk at the relay, and read here.
    Accepted,
    /// It goes out again, or was made anew.
    Again,
}

impl<'s> Live<'s> {
    /// Sends what waits in every lane. What is refused stays, and stops nothing else.
    pub(super) async fn flush_lanes(&mut self) -> Result<()> {
        let ids: Vec<RoomId> = self.lanes.ids();
        for id in ids {
            match Box::pin(self.flush_lane(id)).await {
                Ok(()) => {}
                Err(error) if breaks(&error) => return Err(error),
                Err(LiveError::Engine(error)) => {
                    if let Some(link) = self.lanes.link_mut(id) {
                        link.stuck.get_or_insert(error);
                    }
                }
                Err(_) => {}
            }
        }
        Ok(())
    }

    /// Sends what waits in a lane, oldest first.
    ///
    /// # Errors
    /// [`LiveError::Refused`], the first refusal; see [`hearth_engine::lane::Lane::next`] and [`LiveError`].
    pub async fn flush_lane(&mut self, id: RoomId) -> Result<()> {
        let (mut tries, mut refused, mut first) = (0, BTreeSet::new(), None);
        while let Some(link) = self.lanes.link_mut(id) {
            if link.entered.is_none()
                || !link.lane.is_seated()
                || link.lane.room().cursor().seq == Seq(0)
                || link.lane.room().waiting_numbers()?.is_empty()
            {
                break;
            }
            // Whoever may not be here any longer reads nothing that is written after the room says so.
            let head = match self.room.state().standing.keeps_lane() {
                true => None,
                false => Some(self.caught_up_status().await?.head),
            };
            // By the own clock, as every renewal is.
            let now = self.room.now();
            let Some(link) = self.lanes.link_mut(id) else { break };
            let submission = match link.lane.next(head, &refused, now) {
                Ok(Some(submission)) => submission,
                Ok(None) => break,
                Err(EngineError::RoomUnread) if tries < TRIES_MAX => {
                    tries += 1;
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            match self.submit_in_lane(id, &submission).await {
                Ok(Sent::Accepted) => tries = 0,
                Ok(Sent::Again) => tries += 1,
                Err(error @ LiveError::Refused { .. }) if !error.is_connection() => {
                    refused.insert(submission.number);
                    first.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
            if tries >= TRIES_MAX {
                return Err(LiveError::TooManyRaces);
            }
        }
        first.map_or(Ok(()), Err)
    }

    /// Submits a message or a commit of a lane.
    pub(super) async fn submit_in_lane(
        &mut self,
        id: RoomId,
        submission: &Submission,
    ) -> Result<Sent> {
        let sent = self
            .connection
            .request(|req| ClientFrame::Submit {
                req,
                room: id,
                id: submission.id,
                payload: submission.payload.clone(),
                expect: None,
                effects: effects_of(submission),
                after: submission.after,
            })
            .await;
        match sent {
            Ok(ServerFrame::Accepted { seq, .. }) => {
                self.await_in_lane(id, submission, seq).await?;
                Ok(Sent::Accepted)
            }
            Ok(_) => Err(LiveError::UnexpectedReply),
            Err(RequestError::Rejected { code: RejectCode::EpochConflict, .. }) => {
                self.after_lane_conflict(id, submission).await
            }
            Err(RequestError::Rejected { code, retry_at }) => {
                let Some(link) = self.lanes.link_mut(id) else {
                    return Err(LiveError::UnexpectedReply);
                };
                let kept = link.lane.refused(submission.number, code)?;
                Err(LiveError::Refused { code, retry_at, kept, reason: Reason::Unknown })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Takes entries in up to our own.
    async fn await_in_lane(&mut self, id: RoomId, submission: &Submission, seq: Seq) -> Result<()> {
        while self.waits_in_lane(id, submission.number, seq)? {
            // It stays in the outbox, and goes out under its id until it comes back.
            if !self.step_in_lanes().await? {
                return Err(RequestError::Timeout.into());
            }
        }
        if let Some(link) = self.lanes.link_mut(id)
            && link.entered.is_some()
        {
            link.lane.accepted_before(submission.number, seq)?;
        }
        Ok(())
    }

    /// Reads the entry that opened a lane: before that, its commit would seem to wait still.
    pub(super) async fn read_opening(&mut self, id: RoomId) -> Result<()> {
        self.subscribe_lane(id).await?;
        while self
            .lanes
            .link(id)
            .is_some_and(|link| link.entered.is_some() && link.lane.room().cursor().seq < Seq(1))
        {
            if !self.step_in_lanes().await? {
                return Err(LiveError::Withheld(Seq(1)));
            }
        }
        Ok(())
    }

    fn waits_in_lane(&self, id: RoomId, number: u64, until: Seq) -> Result<bool> {
        let Some(link) = self.lanes.link(id) else { return Ok(false) };
        let behind = link.lane.room().cursor().seq < until;
        Ok(link.entered.is_some() && behind && link.lane.room().is_waiting(number)?)
    }

    /// Reads on, and makes anew what was made for an epoch that is over.
    async fn after_lane_conflict(&mut self, id: RoomId, submission: &Submission) -> Result<Sent> {
        let status = self.lane_status(id).await?;
        while self.lanes.link(id).is_some_and(|link| {
            link.entered.is_some() && link.lane.room().cursor().seq < status.head
        }) {
            if !self.step_in_lanes().await? {
                return Err(LiveError::Withheld(status.head));
            }
        }
        let now = self.room.now();
        let Some(link) = self.lanes.link_mut(id) else {
            return Err(LiveError::UnexpectedReply);
        };
        if !link.lane.is_seated() || !link.lane.room().is_waiting(submission.number)? {
            return Ok(Sent::Again);
        }
        let epoch = link.lane.epoch()?;
        link.lane.epoch_conflict(submission.number)?;
        if status.epoch == epoch {
            return Ok(Sent::Again);
        }
        // A commit that every honest member refuses used the epoch up: one of ours goes back there.
        let renewal = link.lane.renew(now)?;
        if !renewal.effects.iter().any(|effect| matches!(effect, Effect::Reopen { .. })) {
            return Err(LiveError::Withheld(status.head));
        }
        Box::pin(self.submit_in_lane(id, &renewal)).await
    }

    async fn lane_status(&mut self, id: RoomId) -> Result<RoomStatus> {
        match self.request(|req| ClientFrame::Status { req, room: id }).await? {
            ServerFrame::Status { status, .. } => Ok(*status),
            _ => Err(LiveError::UnexpectedReply),
        }
    }
}

/// Returns what the relay is told beside a commit: first what the commit says, then its seats, with one Welcome for all.
fn effects_of(submission: &Submission) -> Vec<Effect> {
    let mut welcome = submission.blob.as_ref().map(|(_, bytes)| bytes.clone()).unwrap_or_default();
    let seats = submission.seats.iter().map(|(member, role)| Effect::Seat {
        member: *member,
        role: *role,
        welcome: std::mem::take(&mut welcome),
    });
    submission.effects.iter().cloned().chain(seats).collect()
}

/// Whether an error ends the connection, or is about the whole profile.
pub(super) fn breaks(error: &LiveError) -> bool {
    let ends = matches!(
        error,
        LiveError::UnexpectedReply
            | LiveError::Request(RequestError::Timeout | RequestError::Lost(_))
    );
    let of_store = matches!(error, LiveError::Engine(error) if is_of_store(error));
    ends || of_store || error.is_connection()
}
