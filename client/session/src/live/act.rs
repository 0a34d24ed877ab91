//! Acting in a room: sending what waits, and commits that are made anew for each epoch that they lose.

use std::{collections::BTreeSet, time::Duration};

use hearth_engine::{
    EngineError, Room,
    accord::Reason,
    act::Knock,
    agreement::{AckError, Agreement, Change},
    clock::Moment,
    outbox::Submission,
    policy::{Act, RuleError},
};
use hearth_protocol::{
    ClientFrame, Effect, MessageId, Millis, RejectCode, Seq, ServerFrame, limits::MARKED_MILLIS,
};

use super::{Live, LiveError, Result, submit::Outcome};

impl<'s> Live<'s> {
    /// Sends everything that waits in the outbox, oldest first. A refused submission stops only the texts behind a text.
    ///
    /// # Errors
    /// [`LiveError::Refused`], the first of something that is dropped, or else the first; see [`LiveError`].
    pub async fn flush(&mut self) -> Result<()> {
        let refusals = self.flush_all().await?.into_iter().map(|(_, error)| error);
        let first =
            refusals.min_by_key(|error| matches!(error, LiveError::Refused { kept: true, .. }));
        first.map_or(Ok(()), Err)
    }

    /// Sends everything that waits; returns what the relay refused, by its number in the outbox.
    pub(super) async fn flush_all(&mut self) -> Result<Vec<(u64, LiveError)>> {
        let (mut tries, mut refused, mut refusals) = (0, BTreeSet::new(), Vec::new());
        if self.room.state().standing.keeps_lane() {
            return Ok(refusals);
        }
        while let Some(submission) = self.room.next_beside(&refused)? {
            match Box::pin(self.submit(&submission)).await {
                Ok(Outcome::Accepted(_)) => tries = 0,
                Ok(Outcome::Lost | Outcome::Again) => tries += 1,
                Err(LiveError::Refused { code: RejectCode::RateLimited, kept: true, .. })
                    if submission.is_marked =>
                {
                    tries += 1;
                    tokio::time::sleep(Duration::from_millis(MARKED_MILLIS)).await;
                }
                Err(error @ LiveError::Refused { code, .. }) if !error.is_connection() => {
                    refused.insert(submission.number);
                    refusals.push((submission.number, error));
                    // The relay takes nothing of a stranger.
                    if code == RejectCode::NotMember {
                        break;
                    }
                }
                Err(error) => return Err(error),
            }
            if tries >= TRIES_MAX {
                return Err(LiveError::TooManyRaces);
            }
        }
        Ok(refusals)
    }

    /// Sends what waits; fails only by what became of the caller's own submissions, because others are told of beside it.
    pub(super) async fn flush_for(&mut self, own: impl Fn(u64) -> bool) -> Result<()> {
        let mut refusals = self.flush_all().await?;
        let at = refusals.iter().position(|(number, _)| own(*number));
        // What waits behind a refused text has that text's reason.
        let waits = at.is_none() && self.room.waiting_numbers()?.into_iter().any(own);
        match at {
            Some(at) => Err(refusals.swap_remove(at).1),
            None if waits => refusals.into_iter().next().map_or(Ok(()), |(_, error)| Err(error)),
            None => Ok(()),
        }
    }

    /// Queues a message of a command and sends it. A refusal of what waited before is not the command's.
    ///
    /// # Errors
    /// [`LiveError::Unanswered`] if the relay's answer was lost; see [`LiveError`].
    pub async fn send_own<T>(
        &mut self,
        queue: impl FnOnce(&mut Room<'s>) -> Result<T, EngineError>,
    ) -> Result<T> {
        let before = self.room.waiting_numbers()?;
        let queued = queue(&mut self.room)?;
        let sent = self.flush_for(|number| !before.contains(&number)).await;
        sent.map_err(LiveError::of_own).map(|()| queued)
    }

    /// Sends a text and returns its id, after it is on the relay's disk.
    ///
    /// # Errors
    /// See [`LiveError`]; what is kept in the outbox goes out with the next command.
    pub async fn send(&mut self, text: String) -> Result<MessageId> {
        let id = self.room.queue_text(text, self.room.now())?;
        self.send_queued(&id).await?;
        Ok(id)
    }

    /// Sends what waits, with a text that was queued for the person who is there. If a rule that was not known when it was
    /// queued forbids its length, it goes back to that person, and does not wait.
    ///
    /// # Errors
    /// [`EngineError::TooLong`], or the relay's word for it; see [`LiveError`].
    pub async fn send_queued(&mut self, id: &MessageId) -> Result<()> {
        let own = self.room.number_of(id)?;
        self.carry_out_departures().await?;
        let sent = self.flush_for(|number| own == Some(number)).await;
        let Some(text) = self.room.take_overlong(id)? else { return sent };
        self.room.check_length(&text)?;
        // The relay alone says so.
        let (retry_at, reason) = match sent {
            Err(LiveError::Refused { retry_at, reason, .. }) => (retry_at, reason),
            _ => (None, Reason::Unknown),
        };
        Err(LiveError::Refused { code: RejectCode::TooLong, retry_at, kept: false, reason })
    }

    /// Sends what waits, after carrying out open departures: whoever has left is out before more is said.
    ///
    /// # Errors
    /// See [`LiveError`].
    pub async fn send_waiting(&mut self) -> Result<()> {
        self.carry_out_departures().await?;
        self.flush().await
    }

    /// Makes a commit and gets it ordered, making it anew for each epoch it loses.
    ///
    /// It is dated by the earlier of the own clock and the relay's: so a pause that the relay ends by its clock does not end before
    /// its own record, and no amendment takes effect while either clock says that there is time.
    ///
    /// # Errors
    /// [`LiveError::Unanswered`] if the relay's answer was lost; see [`LiveError`].
    pub async fn commit(
        &mut self,
        make: impl FnMut(&mut Room<'s>, Millis) -> Result<Submission, EngineError>,
    ) -> Result<Seq> {
        self.commit_unasked(make).await.map_err(LiveError::of_own)
    }

    /// Does the same for what is due and nobody asked for.
    pub(super) async fn commit_unasked(
        &mut self,
        mut make: impl FnMut(&mut Room<'s>, Millis) -> Result<Submission, EngineError>,
    ) -> Result<Seq> {
        for _ in 0..TRIES_MAX {
            self.flush_commits_first().await?;
            let now = self.moment().earlier();
            let submission = make(&mut self.room, now)?;
            if let Outcome::Accepted(seq) = Box::pin(self.submit(&submission)).await? {
                return Ok(seq);
            }
        }
        Err(LiveError::TooManyRaces)
    }

    /// Does an act of moderation.
    ///
    /// # Errors
    /// See [`LiveError`].
    pub async fn act(&mut self, act: Act) -> Result<Seq> {
        self.commit(|room, now| room.act(act.clone(), now)).await
    }

    /// Admits somebody who knocks. Their acknowledgement is held against the own clock and against the relay's: one that is wrong
    /// keeps nobody out.
    ///
    /// # Errors
    /// See [`LiveError`].
    pub async fn admit(&mut self, knock: &Knock) -> Result<Seq> {
        let Moment { own, relay } = self.moment();
        let later = own.max(relay);
        let moderates = self.room.my_role()?.moderates();
        if let Some(offer) = knock.offer.as_ref().filter(|_| moderates) {
            self.room.expect_lane(knock.member, offer, own)?;
        }
        let seq = self
            .commit(|room, now| match room.admit(knock, now) {
                Err(EngineError::Rule(RuleError::NotAcknowledged(
                    AckError::Future | AckError::Expired,
                ))) => room.admit(knock, later),
                result => result,
            })
            .await?;
        if !moderates {
            // A steward says nothing: the next moderator's client tells newcomers, and opens their lane.
            return Ok(seq);
        }
        let text = self.room.queue_coming_text(own.min(relay))?;
        // Newcomers read nothing from before, so they are told whose turn it is and what is asked.
        if self.room.queue_recap(own.min(relay))?.is_some() || text {
            self.flush_text().await?;
        }
        // Nor would they know that somebody is here for them.
        let (me, relay_now) = (self.room.me(), self.relay_now());
        let duty = self.room.on_duty()?.into_iter().find(|duty| duty.member == me);
        if let Some(duty) = duty.filter(|duty| duty.until > relay_now) {
            self.room.queue_duty(duty.until, own.min(relay))?;
            self.flush_text().await?;
        }
        self.tend_lanes().await?;
        Ok(seq)
    }

    /// Issues an amendment, whose text was sent, and signs it for its author, who wrote it; one that is to take effect at once does.
    ///
    /// # Errors
    /// [`RuleError::NotNextVersion`] if another amendment was made at the same time; see [`LiveError`].
    pub async fn amend(&mut self, agreement: &Agreement, at_once: bool) -> Result<()> {
        self.commit(|room, now| room.amend(agreement, now)).await?;
        if agreement.change != Change::Material {
            return Ok(());
        }
        // Whoever was admitted between the two has not read the text.
        if self.room.newcomers_lack_text()? && self.room.queue_coming_text(self.earlier_now())? {
            self.flush_text().await?;
        }
        self.acknowledge(agreement).await?;
        if at_once {
            self.enact().await?;
        }
        Ok(())
    }

    /// Acknowledges a version of the agreement by a renewal of the own leaf.
    ///
    /// # Errors
    /// See [`LiveError`].
    pub async fn acknowledge(&mut self, agreement: &Agreement) -> Result<Seq> {
        self.commit(|room, now| {
            // Whoever acknowledges has given these: another answer is asked for again.
            let answers = agreement.right_answers();
            let acknowledgement = room.sign_acknowledgement(agreement, now, answers)?;
            room.renew(Some(&acknowledgement), now)
        })
        .await
    }

    /// Opens a breach: the room is paused, with new keys, and asks everybody for their acknowledgement again.
    ///
    /// # Errors
    /// See [`LiveError`].
    pub async fn open_breach(&mut self, words: &str) -> Result<Seq> {
        let seq = self.commit(|room, now| room.open_breach(words.to_owned(), now)).await?;
        // Whoever opens it has read the agreement, as whoever issues one has.
        let id = self.room.policy()?.agreement.id;
        if let Some(agreement) = self.room.agreement(&id)? {
            self.acknowledge(&agreement).await?;
        }
        Ok(seq)
    }

    /// Closes a breach: talk goes on among those who have acknowledged again.
    ///
    /// # Errors
    /// See [`LiveError`].
    pub async fn close_breach(&mut self, words: &str) -> Result<Seq> {
        let relay_now = self.relay_now();
        let seq =
            self.commit(|room, now| room.close_breach(words.to_owned(), now, relay_now)).await?;
        self.tend_lanes().await?;
        Ok(seq)
    }

    /// Puts the pending amendment in force.
    ///
    /// # Errors
    /// See [`LiveError`].
    pub async fn enact(&mut self) -> Result<Seq> {
        let relay_now = self.relay_now();
        let seq = self.commit(|room, now| room.enact(now, relay_now)).await?;
        // Who waits from now on writes in their line, which moves with a facilitator's client only.
        self.tend_lanes().await?;
        Ok(seq)
    }

    /// Sends a text that is repeated for newcomers: what nobody waits for fails nothing.
    pub(super) async fn flush_text(&mut self) -> Result<()> {
        match self.flush().await {
            Err(error @ LiveError::Refused { .. }) if !error.is_connection() => Ok(()),
            flushed => flushed,
        }
    }

    /// Asks the relay for effects that need no entry.
    ///
    /// # Errors
    /// See [`LiveError`].
    pub async fn effects_only(&mut self, effects: Vec<Effect>) -> Result<()> {
        self.effects_if(None, effects).await.map(|_| ()).map_err(LiveError::of_own)
    }

    pub(super) async fn effects_if(
        &mut self,
        expect: Option<u64>,
        effects: Vec<Effect>,
    ) -> Result<ServerFrame> {
        let (room, after) = (self.room.id(), self.room.cursor().seq);
        let mut id = [0; 16];
        getrandom::fill(&mut id).map_err(|_| EngineError::Random)?;
        let frame = |req| ClientFrame::Submit {
            req,
            room,
            id: MessageId(id),
            payload: Vec::new(),
            expect,
            effects,
            after,
        };
        Ok(self.request(frame).await?)
    }

    /// Sends on a commit that an earlier process left in the outbox. One that the relay refuses is given up, and stops nothing
    /// else: nobody waits for its answer any more.
    pub(super) async fn flush_commits_first(&mut self) -> Result<()> {
        while let Some(submission) = self.room.waiting_commit()? {
            match Box::pin(self.submit(&submission)).await {
                Ok(_) | Err(LiveError::Refused { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Races lost in a row before a command gives up.
pub(super) const TRIES_MAX: usize = 8;
