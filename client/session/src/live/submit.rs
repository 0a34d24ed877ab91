//! Submitting: retries, refusals and their reasons, and what became of a submission.

use hearth_engine::{
    accord::Reason,
    block::{Block, Stop},
    outbox::Submission,
    state::{Held, Standing},
};
use hearth_protocol::{
    ClientFrame, Effect, MessageId, Millis, RejectCode, Role, RoomId, Seq, ServerFrame,
    limits::BLOB_PART_BYTES_MAX,
};
use tokio::time::timeout;

use super::{ENTRIES_DEADLINE, Live, LiveError, Result};
use crate::connection::{Connection, RequestError};

impl<'s> Live<'s> {
    pub(super) async fn submit(&mut self, submission: &Submission) -> Result<Outcome> {
        let room = self.room.id();
        if let Some((blob, bytes)) = &submission.blob {
            upload(&mut self.connection, room, *blob, bytes).await?;
        }
        let sent = self
            .connection
            .request(|req| ClientFrame::Submit {
                req,
                room,
                id: submission.id,
                payload: submission.payload.clone(),
                expect: None,
                effects: submission.effects.clone(),
                after: submission.after,
            })
            .await;
        match sent {
            Ok(ServerFrame::Accepted { seq, at, .. }) => {
                if !submission.is_commit && !submission.is_marked {
                    self.last_post = Some(Ok(()));
                }
                self.await_own(submission, seq, at).await?;
                Ok(Outcome::Accepted(seq))
            }
            Ok(_) => Err(LiveError::UnexpectedReply),
            Err(RequestError::Rejected { code: RejectCode::EpochConflict, .. }) => {
                self.after_conflict(submission).await
            }
            Err(RequestError::Rejected { code, retry_at }) => {
                // Words that a rule forbids stay for the person who wrote them.
                let kept = self.room.refused(submission.number, code)?;
                if kept && code.holds_text() {
                    self.last_post = Some(Err(Block { why: Stop::Refused(code), until: retry_at }));
                }
                let reason = self.reason(code, retry_at).await?;
                Err(LiveError::Refused { code, retry_at, kept, reason })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Returns why a text is held that this profile sent.
    ///
    /// # Errors
    /// See [`LiveError`].
    pub async fn refusal_of(&mut self, id: &MessageId) -> Result<Option<LiveError>> {
        let held = self.room.held_texts()?.into_iter().find(|(held, _)| held == id);
        Ok(match held {
            None => None,
            Some((_, Held::Out)) => Some(LiveError::NotInside(self.room.state().standing.clone())),
            Some((_, Held::Turn)) => {
                let now = self.relay_now();
                let holder = self.room.waits_for_turn(now)?.map(|(holder, _)| holder);
                let roster = self.room.roster()?;
                let holder = roster.into_iter().find(|leaf| Some(leaf.member) == holder);
                Some(LiveError::OffTurn(holder.map(|leaf| leaf.name)))
            }
            Some((_, Held::Unattended)) => {
                let now = self.relay_now();
                Some(LiveError::Unattended(self.room.unattended(now)?.flatten()))
            }
            Some((_, Held::Refused(code))) => {
                // The relay said so of this text, or of one before it.
                let said = self
                    .last_post
                    .and_then(Result::err)
                    .filter(|said| said.why == Stop::Refused(code));
                let retry_at = said.and_then(|said| said.until);
                let reason = self.reason(code, retry_at).await?;
                Some(LiveError::Refused { code, retry_at, kept: true, reason })
            }
        })
    }

    /// Looks for the record that says why something is refused: it may have come just now.
    pub(super) async fn reason(
        &mut self,
        code: RejectCode,
        retry_at: Option<Millis>,
    ) -> Result<Reason> {
        if self.room.state().standing != Standing::Member {
            return Ok(Reason::Unknown);
        }
        if code == RejectCode::NotMember {
            self.look_for_removal().await?;
            return Ok(Reason::Unknown);
        }
        match self.room.reason(code, retry_at, self.earlier_now())? {
            Reason::Unrecorded => {}
            known => return Ok(known),
        }
        if code == RejectCode::Observer {
            self.role = None;
        }
        self.compare().await?;
        if self.room.state().standing != Standing::Member {
            return Ok(Reason::Unknown);
        }
        Ok(self.room.reason(code, retry_at, self.earlier_now())?)
    }

    /// Takes entries in up to our own, so that what was accepted is also part of this profile's history.
    pub(super) async fn await_own(
        &mut self,
        submission: &Submission,
        seq: Seq,
        at: Millis,
    ) -> Result<()> {
        while self.room.is_waiting(submission.number)? && self.room.cursor().seq < seq {
            match timeout(ENTRIES_DEADLINE, self.next_entry()).await {
                Ok(entered) => entered?,
                // Delivery to somebody who left may stop right before the entry that says so.
                Err(_) if submission.effects.contains(&Effect::Leave) => {
                    let moment = self.moment();
                    return Ok(self.room.accepted_last(submission.number, seq, at, moment)?);
                }
                // A network or a relay that stalls: it stays in the outbox, and goes out under its id until it comes back.
                Err(_) => return Err(RequestError::Timeout.into()),
            }
        }
        // A place that we are past of: ours may have expired or been retracted there, or the relay lies.
        Ok(self.room.accepted_before(submission.number, seq)?)
    }

    pub(super) async fn after_conflict(&mut self, submission: &Submission) -> Result<Outcome> {
        let status = self.status().await?;
        self.head = self.head.max(status.head);
        self.catch_up().await?;
        let epoch = self.room.epoch()?;
        if !self.room.is_waiting(submission.number)? {
            // It was ours all along: the relay had taken it, and the answer was lost.
            return Ok(if submission.is_commit { Outcome::Lost } else { Outcome::Again });
        }
        if status.epoch < epoch {
            // Nobody went on from there, as far as the log goes: the relay alone is there.
            if submission.is_commit {
                self.room.epoch_conflict(submission.number)?;
            }
            return Err(LiveError::EpochTakenBack);
        }
        if status.epoch != epoch {
            if status.epoch > epoch && !self.room.saw_epoch_used_up()? {
                // To give the epoch back now would tear the room: there may be a good commit that we are not shown.
                let left_behind = self.room.is_left_behind()?;
                return Err(if left_behind {
                    LiveError::LeftBehind
                } else {
                    LiveError::Withheld(status.head)
                });
            }
            // A commit that everybody refuses used the epoch up; a facilitator gives it back.
            let facilitates = self.room.my_role()? == Role::Facilitator;
            if status.epoch.0 != epoch.0.saturating_add(1) || !facilitates {
                return Err(LiveError::EpochUsedUp);
            }
            match self.reopen(epoch, status.control).await {
                // Another facilitator may have been faster.
                Ok(_)
                | Err(LiveError::Request(RequestError::Rejected {
                    code: RejectCode::StateChanged,
                    ..
                })) => {}
                Err(error) => return Err(error),
            }
        }
        let again = self.room.epoch_conflict(submission.number)?;
        Ok(if again { Outcome::Again } else { Outcome::Lost })
    }
}

/// What became of a submission.
pub(super) enum Outcome {
    /// On disk at the relay, and handled here.
    Accepted(Seq),
    /// A commit that lost its race.
    Lost,
    /// A message that goes out again.
    Again,
}

/// Uploads a blob in parts.
pub(super) async fn upload(
    connection: &mut Connection,
    room: RoomId,
    blob: hearth_protocol::BlobId,
    bytes: &[u8],
) -> Result<()> {
    let total = u32::try_from(bytes.len()).map_err(|_| LiveError::UnexpectedReply)?;
    let mut offset = 0;
    for part in bytes.chunks(BLOB_PART_BYTES_MAX) {
        let part = part.to_vec();
        let length = u32::try_from(part.len()).map_err(|_| LiveError::UnexpectedReply)?;
        connection
            .request(|req| ClientFrame::PutBlob { req, room, blob, total, offset, part })
            .await?;
        offset += length;
    }
    Ok(())
}
