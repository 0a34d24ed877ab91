//! Shares that a moderator's client shows, and what was published of hidden polls.

use hearth_engine::EngineError;
use hearth_protocol::Seq;

use super::{Live, Result};

impl Live<'_> {
    /// Puts shares that are due into the outbox, from where they go out with what waits, and takes back what was recalled.
    pub(super) fn tend_shares(&mut self) -> Result<()> {
        let now = self.earlier_now();
        self.share_due = self.room.step_shares(now, self.relay_now())?.next;
        Ok(())
    }

    /// Compares what was published of hidden polls, once all lanes are read.
    ///
    /// # Errors
    /// [`EngineError::PollDiffers`], once for each poll.
    pub(super) fn audit_polls(&mut self) -> Result<()> {
        if !self.room.has_polls_to_audit()? || !self.lanes_are_read() {
            return Ok(());
        }
        let found = self.room.audit_polls()?;
        match found.into_iter().find(|found| found.doubt.is_alarm()) {
            Some(found) => Err(EngineError::PollDiffers(found.closer).into()),
            None => Ok(()),
        }
    }

    /// Votes in a hidden poll: in my lane.
    ///
    /// # Errors
    /// See [`hearth_engine::Room::check_ballot`]; [`EngineError::NotSeated`]; see [`super::LiveError`].
    pub async fn vote_hidden(&mut self, ask: Seq, choice: u64) -> Result<()> {
        let ask = self.room.check_ballot(ask, choice)?;
        let (id, now) = (self.room.my_lane_id(), self.room.now());
        let lane = self.lane(id).filter(|lane| lane.is_seated());
        let lane = lane.ok_or(EngineError::NotSeated)?;
        lane.queue_ballot(ask, choice, now)?;
        self.flush_lane(id).await
    }

    /// Reads the lanes to their ends, so that no vote is left out.
    ///
    /// # Errors
    /// [`EngineError::LanesUnread`] if the relay does not deliver one.
    pub async fn read_lanes(&mut self) -> Result<()> {
        self.tend_lanes().await?;
        if self.lanes_are_read() { Ok(()) } else { Err(EngineError::LanesUnread(1).into()) }
    }
}
