//! The outbox: a submission is stored and encrypted before a byte of it is sent.
//!
//! Messages go out one at a time and in order. A message keeps its id over retries; after an epoch conflict it is
//! encrypted again under the next epoch with the same id and counter. A commit that lost its race is dropped.

use std::{
    cell::RefMut,
    collections::{BTreeMap, BTreeSet},
};

use hearth_protocol::{
    BlobId, Digest, Effect, MemberKey, MessageId, Millis, RejectCode, Role, Seq, codec,
    frame::Entry, hash, mls_header,
};

use super::{
    agreement::Departure,
    content::{Body, Envelope, TEXT_BYTES_MAX},
    error::EngineError,
    policy::RoomPolicy,
    room::{Room, decode, random},
    state::{Held, Outgoing, OutgoingKind, Standing},
    words::Words,
};
use crate::{clock::Moment, store::Kind};

/// Messages in the outbox at most. Queueing a text reads each of them.
pub const OUTBOX_MAX: usize = 1_000;

type Result<T, E = EngineError> = std::result::Result<T, E>;

/// A submission ready for the wire.
#[derive(Clone)]
pub struct Submission {
    /// Its place in the outbox.
    pub number: u64,
    /// The submission's id.
    pub id: MessageId,
    /// MLS ciphertext.
    pub payload: Vec<u8>,
    /// Effects that the relay carries out with it.
    pub effects: Vec<Effect>,
    /// The last entry read before it was first encrypted.
    pub after: Seq,
    /// A blob to upload first: the Welcome.
    pub blob: Option<(BlobId, Vec<u8>)>,
    /// In a lane: lane keys of the seats that a commit adds, with facilitator's role for the bench and member's for the owner. `blob` is
    /// their Welcome.
    pub seats: Vec<(MemberKey, Role)>,
    /// Whether it is a commit, which cannot be encrypted again.
    pub is_commit: bool,
    /// Whether it is an own retraction or a departure, of which the relay accepts one in
    /// [`hearth_protocol::limits::MARKED_MILLIS`].
    pub is_marked: bool,
}

impl Room<'_> {
    /// Queues a text and returns its id. A text that already waits is not queued twice.
    ///
    /// # Errors
    /// [`EngineError::TooLong`] if the room's rules forbid the length; [`EngineError::NotMember`] if a departure waits;
    /// [`EngineError::OutboxFull`] if [`OUTBOX_MAX`] wait; see [`EngineError`].
    pub fn queue_text(&mut self, text: String, now: Millis) -> Result<MessageId> {
        self.queue_words(text.into(), now)
    }

    /// Does the same with words that answer a message or carry a content note.
    ///
    /// # Errors
    /// [`EngineError::NoWords`] if there is nothing to answer at that place; [`EngineError::TopicTooLong`]; see [`Self::queue_text`].
    pub fn queue_words(&mut self, words: Words, now: Millis) -> Result<MessageId> {
        self.check_length(&words.text)?;
        let body = self.body_of(words)?;
        if let Some(waits) = self.check_words(&body)? {
            return Ok(waits);
        }
        let waiting = self.outgoing()?;
        if waiting.len() >= OUTBOX_MAX {
            return Err(EngineError::OutboxFull);
        }
        // The same text was held; it is sent now.
        let held = waiting.iter().find(|(_, o)| o.held.is_some() && body_of(o) == Some(&body));
        let held = held.map(|(number, _)| *number);
        self.queue_anew(held, body, now)
    }

    /// Queues a message of a lane, which no rule of a room limits.
    pub(crate) fn queue_body(&mut self, body: Body, now: Millis) -> Result<MessageId> {
        if self.outgoing()?.len() >= OUTBOX_MAX {
            return Err(EngineError::OutboxFull);
        }
        self.queue(body, Vec::new(), now)
    }

    /// Checks whether words may be queued; returns the id of the same words if they already wait.
    fn check_words(&mut self, wanted: &Body) -> Result<Option<MessageId>> {
        self.check_length(wanted.words().map_or("", String::as_str))?;
        for (_, outgoing) in &self.outgoing()? {
            let OutgoingKind::Message { body, .. } = &outgoing.what else { continue };
            match body {
                _ if body == wanted && outgoing.held.is_none() => return Ok(Some(outgoing.id)),
                // The text would follow the departure, after which the relay accepts nothing of ours, and be lost silently.
                Body::Depart { .. } => {
                    return Err(EngineError::NotMember("your goodbye is already on its way"));
                }
                _ => {}
            }
        }
        Ok(None)
    }

    /// Queues words and deletes their held copy.
    fn queue_anew(&mut self, held: Option<u64>, body: Body, now: Millis) -> Result<MessageId> {
        self.change(|room| {
            if let Some(number) = held {
                room.delete_outgoing(number)?;
            }
            room.queue_within(body, Vec::new(), now)
        })
    }

    /// Queues a held text again, as a new message unless it was refused for a time only; returns its id, or `None` if no held text has the given id.
    ///
    /// # Errors
    /// See [`Self::queue_text`].
    pub fn release(&mut self, id: &MessageId, now: Millis) -> Result<Option<MessageId>> {
        let held = self.outgoing()?.into_iter().find(|(_, o)| o.id == *id && o.held.is_some());
        let Some((number, outgoing)) = held else { return Ok(None) };
        let body = body_of(&outgoing).filter(|body| body.words().is_some()).cloned();
        let Some(body) = body else { return Ok(None) };
        if let Some(waits) = self.check_words(&body)? {
            self.delete_outgoing(number)?;
            return Ok(Some(waits));
        }
        // One that a relay refused for a time keeps its id, so that a relay that took it all the same shows it once.
        let again = match outgoing.held {
            Some(Held::Refused(code)) if code.may_retry() && !outgoing.doubtful => outgoing.id.0,
            _ => random()?,
        };
        // In its place, so that texts keep their order if they are held again.
        let outgoing = unsent(again, body, Vec::new(), now);
        self.change(|room| room.save_outgoing(number, &outgoing))?;
        Ok(Some(outgoing.id))
    }

    /// Puts other words in place of those of a held text, which stays held; returns its new id, or `None` if no held text has the given
    /// id. One that others may have stays as it is.
    ///
    /// # Errors
    /// [`EngineError::TooLong`] if the room's rules forbid the length; see [`EngineError`].
    pub fn change_held(
        &mut self,
        id: &MessageId,
        text: String,
        now: Millis,
    ) -> Result<Option<MessageId>> {
        self.check_length(&text)?;
        let mut waiting = self.outgoing()?.into_iter();
        let held = waiting.find(|(_, o)| o.id == *id && o.held.is_some() && !o.doubtful);
        let Some((number, before)) = held else { return Ok(None) };
        let Some(mut body) = body_of(&before).cloned() else { return Ok(None) };
        let Some(words) = body.words_mut() else { return Ok(None) };
        *words = text;
        let mut changed = unsent(random()?, body, Vec::new(), now);
        changed.held = before.held;
        self.change(|room| room.save_outgoing(number, &changed))?;
        Ok(Some(changed.id))
    }

    /// Returns the texts that wait for their author to send or drop them, with the reason.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn held_texts(&self) -> Result<Vec<(MessageId, Held)>> {
        let all = self.outgoing()?;
        Ok(all.into_iter().filter_map(|(_, o)| Some((o.id, o.held?))).collect())
    }

    /// Returns the held texts that other members may have nevertheless: the relay has an entry under the id, or its answer was lost and
    /// its later entries cannot be read.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn doubtful_texts(&self) -> Result<Vec<MessageId>> {
        let all = self.outgoing()?.into_iter();
        Ok(all.filter(|(_, o)| o.held.is_some() && o.doubtful).map(|(_, o)| o.id).collect())
    }

    /// Handles a refusal after which nothing goes out by itself: a text is held for its author, anything else is dropped. Returns whether it
    /// was a text.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn hold(&mut self, number: u64, code: RejectCode) -> Result<bool> {
        let Some(mut outgoing) = self.outgoing_at(number)? else { return Ok(false) };
        self.change(|room| {
            room.give_up_within(number, &outgoing, code)?;
            if text_of(&outgoing).is_none() {
                return Ok(false);
            }
            outgoing.doubtful |= code == RejectCode::IdConflict;
            hold(&mut outgoing, Held::Refused(code));
            room.save_outgoing(number, &outgoing)?;
            // The relay would refuse the texts behind it for the same reason; or take them before it, if the reason ends meanwhile.
            if code == RejectCode::Observer || code.may_retry() {
                room.hold_unsent_texts(Held::Refused(code))?;
            }
            Ok(true)
        })
    }

    /// Handles the relay's refusal of a submission. A text is held for its author, or goes out again by itself if the refusal is about
    /// pace; another message goes out again if the refusal passes, and is dropped otherwise, as a commit is. Returns whether it stays in
    /// the outbox.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn refused(&mut self, number: u64, code: RejectCode) -> Result<bool> {
        let Some(outgoing) = self.outgoing_at(number)? else { return Ok(false) };
        let goes_again = match &outgoing.what {
            OutgoingKind::Commit { .. } => false,
            OutgoingKind::Message { body, .. } if body.words().is_some() => !code.holds_text(),
            // Nobody means a reaction or an edit that comes when the pause is over.
            OutgoingKind::Message { body, .. } if body.is_of_the_moment() => false,
            OutgoingKind::Message { .. } => code.may_retry(),
        };
        if goes_again {
            self.refused_for_now(number)?;
            return Ok(true);
        }
        self.hold(number, code)
    }

    fn hold_unsent_texts(&self, why: Held) -> Result<()> {
        for (number, mut outgoing) in self.outgoing()? {
            let unsent = outgoing.payload.is_empty() && outgoing.held.is_none();
            if unsent && text_of(&outgoing).is_some() {
                hold(&mut outgoing, why);
                self.save_outgoing(number, &outgoing)?;
            }
        }
        Ok(())
    }

    /// Queues any message and returns its id.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub(super) fn queue(
        &mut self,
        body: Body,
        effects: Vec<Effect>,
        now: Millis,
    ) -> Result<MessageId> {
        self.change(|room| room.queue_within(body, effects, now))
    }

    /// Queues any message, within a change.
    pub(super) fn queue_within(
        &mut self,
        body: Body,
        effects: Vec<Effect>,
        now: Millis,
    ) -> Result<MessageId> {
        let outgoing = unsent(random()?, body, effects, now);
        self.push_outgoing(&outgoing)?;
        Ok(outgoing.id)
    }

    /// Queues the retraction of an own message.
    ///
    /// # Errors
    /// [`EngineError::NotAuthor`] if it is another member's.
    pub fn queue_own_retraction(&mut self, seq: Seq, now: Millis) -> Result<MessageId> {
        let row = self.row(seq)?.ok_or(EngineError::NotAuthor)?;
        let message = row.id.filter(|_| row.from == Some(self.me()));
        let message = message.ok_or(EngineError::NotAuthor)?;
        // Its edits hold the same words, so their ciphertext goes, too.
        let edits = row.talk.edits.iter().map(|edit| (edit.seq, edit.message));
        let all = std::iter::once((seq, message)).chain(edits);
        let effects = all.map(|(seq, own)| Effect::Retract { seq, own: Some(own) }).collect();
        let edits: Vec<Seq> = row.talk.edits.iter().map(|edit| edit.seq).collect();
        let edits = (!edits.is_empty()).then_some(edits);
        self.queue(Body::Retract { message, seq, edits }, effects, now)
    }

    /// Returns the texts in the outbox, oldest first.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn waiting_texts(&self) -> Result<Vec<(MessageId, Millis, String)>> {
        let texts = self.outgoing()?.into_iter();
        Ok(texts.filter_map(|(_, o)| Some((o.id, o.written_at, text_of(&o)?.clone()))).collect())
    }

    /// Returns the calls for help that wait, oldest first: id and time of writing.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn waiting_calls(&self) -> Result<Vec<(MessageId, Millis)>> {
        let calls = self.outgoing()?.into_iter().map(|(_, outgoing)| outgoing);
        let calls = calls.filter(|outgoing| matches!(body_of(outgoing), Some(Body::Flag(_))));
        Ok(calls.map(|outgoing| (outgoing.id, outgoing.written_at)).collect())
    }

    /// Whether a waiting text was encrypted and may have reached the relay, which has not refused it.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn is_under_way(&self, id: &MessageId) -> Result<bool> {
        let mut waiting = self.outgoing()?.into_iter().map(|(_, outgoing)| outgoing);
        Ok(waiting.any(|o| o.id == *id && o.held.is_none() && !o.refused && !o.payload.is_empty()))
    }

    /// Drops a waiting text; returns whether it was there.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn drop_waiting(&mut self, id: &MessageId) -> Result<bool> {
        for (number, outgoing) in self.outgoing()? {
            if outgoing.id == *id && text_of(&outgoing).is_some() {
                return self.delete_outgoing(number);
            }
        }
        Ok(false)
    }

    /// Returns the oldest submission of the outbox, encrypted for the current epoch if it was not yet. In a room that has split, only a
    /// departure goes out.
    ///
    /// # Errors
    /// [`EngineError::Split`] if something waits in such a room; see [`EngineError`].
    pub fn next_submission(&mut self) -> Result<Option<Submission>> {
        self.next_beside(&BTreeSet::new())
    }

    /// Does the same beside submissions that the relay refused just now. Texts stay behind a refused text, because their order is
    /// their author's; anything else goes.
    ///
    /// # Errors
    /// See [`Self::next_submission`].
    pub fn next_beside(&mut self, refused: &BTreeSet<u64>) -> Result<Option<Submission>> {
        let next = match (self.cursor.split, self.under_way()?) {
            (Some(_), _) => self.departure()?,
            // It has used its number, so nothing goes out before it.
            (None, Some(under_way)) => Some(under_way),
            (None, None) => self.first_unsent(refused)?,
        };
        let next = next.filter(|(number, _)| !refused.contains(number));
        let Some((number, outgoing)) = next else { return Ok(None) };
        if outgoing.payload.is_empty() && !self.may_still_say(&outgoing)? {
            self.delete_outgoing(number)?;
            return self.next_beside(refused);
        }
        if outgoing.payload.is_empty() && text_of(&outgoing).is_some() {
            let now = self.relay_time();
            // Nobody's words go out unasked when their turn comes, or when somebody is here again.
            let held = match self.unattended(now)? {
                Some(_) => Some(Held::Unattended),
                None => self.waits_for_turn(now)?.map(|_| Held::Turn),
            };
            if let Some(why) = held {
                let mut kept = outgoing;
                hold(&mut kept, why);
                self.change(|room| room.save_outgoing(number, &kept))?;
                return self.next_beside(refused);
            }
        }
        let outgoing = if outgoing.payload.is_empty() {
            self.encrypt_outgoing(number, outgoing)?
        } else {
            outgoing
        };
        Ok(Some(submission(number, outgoing)))
    }

    /// Returns the oldest submission that may have reached the relay.
    fn under_way(&self) -> Result<Option<(u64, Outgoing)>> {
        let numbers: Vec<u64> = self.sent()?.keys().copied().collect();
        for number in numbers {
            if let Some(outgoing) = self.outgoing_at(number)?.filter(|o| o.held.is_none()) {
                return Ok(Some((number, outgoing)));
            }
        }
        Ok(None)
    }

    /// Returns the departure that waits in a room that has split.
    fn departure(&self) -> Result<Option<(u64, Outgoing)>> {
        let mut waiting = self.outgoing()?;
        waiting.retain(|(_, outgoing)| outgoing.held.is_none());
        let any = !waiting.is_empty();
        let departs = |outgoing: &Outgoing| {
            matches!(outgoing.what, OutgoingKind::Message { body: Body::Depart { .. }, .. })
        };
        let departure = waiting.into_iter().find(|(_, outgoing)| departs(outgoing));
        if any && departure.is_none() {
            self.check_whole()?;
        }
        Ok(departure)
    }

    /// Returns the first submission to encrypt, if none is under way. A retraction or a departure goes before texts that the relay has
    /// refused for now, because a rule that stops texts must not stop these.
    fn first_unsent(&self, refused: &BTreeSet<u64>) -> Result<Option<(u64, Outgoing)>> {
        // Load the first one only, because many may wait.
        let mut waiting = self.outgoing_up_to(1)?;
        if waiting.first().is_none_or(|(_, first)| first.held.is_none() && !first.refused) {
            return Ok(waiting.pop());
        }
        waiting = self.outgoing()?;
        // Held texts wait for their author.
        waiting.retain(|(_, outgoing)| outgoing.held.is_none());
        let stops = waiting.iter().any(|(n, o)| refused.contains(n) && text_of(o).is_some());
        waiting.retain(|(n, o)| !(refused.contains(n) || stops && text_of(o).is_some()));
        let at = match waiting.first() {
            Some((_, first)) if first.refused && text_of(first).is_some() => {
                waiting.iter().position(|(_, outgoing)| is_marked(outgoing)).unwrap_or(0)
            }
            _ => 0,
        };
        Ok((at < waiting.len()).then(|| waiting.swap_remove(at)))
    }

    /// Whether a message still counts from this member in the current epoch: their role may have changed since it was queued. A message
    /// that others would report as false is not sent; the act that it belongs to fails with the reason.
    fn may_still_say(&mut self, outgoing: &Outgoing) -> Result<bool> {
        let OutgoingKind::Message { body, .. } = &outgoing.what else { return Ok(true) };
        Ok(match body {
            Body::Sealed { .. } | Body::Shared(_) => self.my_role()?.moderates(),
            Body::AgreementText { agreement, .. } => {
                let pending = self.policy()?.pending.is_some_and(|p| p.id == agreement.id());
                let role = self.my_role()?;
                role == Role::Facilitator || (role.moderates() && pending)
            }
            _ => true,
        })
    }

    /// Holds the texts that a rule makes too long, so that none goes out by itself once the rule is lifted. One that may have reached
    /// the relay stays until the relay answers.
    pub(super) fn hold_overlong_texts(&mut self, policy: &RoomPolicy) -> Result<()> {
        let Some(max) = length_limit(policy, &self.me()) else { return Ok(()) };
        for (number, mut outgoing) in self.outgoing()? {
            let unsent = outgoing.payload.is_empty() && outgoing.held.is_none();
            if unsent && chars_of(&outgoing) > max as usize {
                hold(&mut outgoing, TOO_LONG);
                self.save_outgoing(number, &outgoing)?;
            }
        }
        Ok(())
    }

    /// Removes and returns a text that is held because of its length, so that its author can shorten it. One that others
    /// may have stays.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn take_overlong(&mut self, id: &MessageId) -> Result<Option<String>> {
        let all = self.outgoing()?;
        let overlong = |o: &Outgoing| o.id == *id && o.held == Some(TOO_LONG) && !o.doubtful;
        let Some((number, outgoing)) = all.into_iter().find(|(_, o)| overlong(o)) else {
            return Ok(None);
        };
        self.delete_outgoing(number)?;
        Ok(text_of(&outgoing).cloned())
    }

    /// Checks a text against the room's limit on the length of my messages.
    ///
    /// # Errors
    /// [`EngineError::TooLong`] if it is longer; see [`EngineError`].
    pub fn check_length(&mut self, text: &str) -> Result<()> {
        let max = length_limit(&self.policy()?, &self.me());
        let chars = text.chars().count();
        match max {
            Some(max) if chars > max as usize => Err(EngineError::TooLong { chars, max }),
            _ if text.len() > TEXT_BYTES_MAX => {
                let bytes = u32::try_from(TEXT_BYTES_MAX).unwrap_or(u32::MAX);
                Err(EngineError::TooLong { chars, max: max.unwrap_or(bytes) })
            }
            _ => Ok(()),
        }
    }

    /// Returns the numbers of the submissions that are not held, oldest first.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn waiting_numbers(&self) -> Result<Vec<u64>> {
        let all = self.outgoing()?.into_iter();
        Ok(all.filter(|(_, outgoing)| outgoing.held.is_none()).map(|(number, _)| number).collect())
    }

    /// Returns the number of a text in the outbox.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn number_of(&self, id: &MessageId) -> Result<Option<u64>> {
        let found = self.outgoing()?.into_iter().find(|(_, outgoing)| outgoing.id == *id);
        Ok(found.map(|(number, _)| number))
    }

    /// Handles a refusal after which a message goes out again by itself: its number is unused, so the message is encrypted again when it goes
    /// out.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn refused_for_now(&mut self, number: u64) -> Result<()> {
        let Some(mut outgoing) = self.outgoing_at(number)? else { return Ok(()) };
        if outgoing.doubtful {
            return Ok(());
        }
        if let OutgoingKind::Message { counter, seen, .. } = &mut outgoing.what {
            (*counter, *seen) = (0, Seq(0));
            outgoing.payload.clear();
            (outgoing.after, outgoing.refused) = (Seq(0), true);
            self.change(|room| room.save_outgoing(number, &outgoing))?;
        }
        Ok(())
    }

    /// Checks that the room has not split as far as entries show, because in a split room removed members may read on.
    ///
    /// # Errors
    /// [`EngineError::Split`] if it has.
    pub(super) fn check_whole(&self) -> Result<()> {
        self.cursor.split.map_or(Ok(()), |seq| Err(EngineError::Split(seq)))
    }

    /// Holds the waiting texts when a stay ends and drops everything else, so that no text enters another stay unasked. If this profile
    /// has not read its stay to the end, an encrypted text may have been posted.
    pub(super) fn hold_waiting_texts(&self, read_to_end: bool) -> Result<()> {
        for (number, mut outgoing) in self.outgoing()? {
            if text_of(&outgoing).is_none() {
                self.delete_outgoing(number)?;
            } else if outgoing.held.is_none_or(Held::passes) {
                outgoing.doubtful |= !read_to_end && !outgoing.payload.is_empty();
                hold(&mut outgoing, Held::Out);
                self.save_outgoing(number, &outgoing)?;
            }
        }
        Ok(())
    }

    /// Drops waiting retractions: after the relay was restored, their places mean other entries.
    pub(super) fn drop_retractions(&self) -> Result<()> {
        for (number, outgoing) in self.outgoing()? {
            if matches!(outgoing.what, OutgoingKind::Message { body: Body::Retract { .. }, .. }) {
                self.delete_outgoing(number)?;
            }
        }
        Ok(())
    }

    /// Returns the commit that an earlier process left in the outbox, if any.
    ///
    /// # Errors
    /// [`EngineError::Split`] if the room has split; see [`EngineError`].
    pub fn waiting_commit(&self) -> Result<Option<Submission>> {
        self.check_whole()?;
        let mut commits = self
            .outgoing()?
            .into_iter()
            .filter(|(_, o)| matches!(o.what, OutgoingKind::Commit { .. }));
        Ok(commits.next().map(|(number, outgoing)| submission(number, outgoing)))
    }

    /// Handles the relay's refusal of a submission for a past epoch, after catching up.
    ///
    /// Returns whether it will go out again: a message is encrypted again, a commit is dropped.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn epoch_conflict(&mut self, number: u64) -> Result<bool> {
        let Some(outgoing) = self.outgoing_at(number)? else { return Ok(false) };
        match outgoing.what {
            OutgoingKind::Message { .. } => {
                // The epoch may have ended with a rule that forbids the text.
                let max = length_limit(&self.policy()?, &self.me());
                if max.is_some_and(|max| chars_of(&outgoing) > max as usize) {
                    self.hold(number, RejectCode::TooLong)?;
                    return Ok(false);
                }
                if !self.may_still_say(&outgoing)? {
                    self.give_up(number, RejectCode::EpochConflict)?;
                    return Ok(false);
                }
                self.encrypt_outgoing(number, outgoing)?;
                Ok(true)
            }
            OutgoingKind::Commit { .. } => {
                self.change(Self::give_up_commit)?;
                Ok(false)
            }
        }
    }

    /// Does the same in a lane, where the message is encrypted again only once the sender's rule lets it out.
    pub(crate) fn lane_conflict(&mut self, number: u64) -> Result<bool> {
        let Some(mut outgoing) = self.outgoing_at(number)? else { return Ok(false) };
        self.change(|room| match outgoing.what {
            OutgoingKind::Message { .. } => {
                outgoing.payload.clear();
                room.save_outgoing(number, &outgoing)?;
                Ok(true)
            }
            OutgoingKind::Commit { .. } => {
                room.give_up_commit()?;
                Ok(false)
            }
        })
    }

    /// Drops a submission that the relay refuses for good.
    ///
    /// The number of a message becomes free again, so that no member misses a message that never existed. It stays used if other members
    /// may have the message: the relay says that it has an entry under the id, or may have accepted it as an entry of the ciphertext's
    /// epoch that this profile could no longer read, and forgotten it since.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn give_up(&mut self, number: u64, code: RejectCode) -> Result<()> {
        let Some(outgoing) = self.outgoing_at(number)? else { return Ok(()) };
        self.change(|room| room.give_up_within(number, &outgoing, code))
    }

    fn give_up_within(&mut self, number: u64, outgoing: &Outgoing, code: RejectCode) -> Result<()> {
        match outgoing.what {
            OutgoingKind::Message { counter, seen, .. } => {
                let forgotten = outgoing.doubtful && self.cursor.floor > seen;
                if code == RejectCode::IdConflict || forgotten {
                    self.cursor.counter = self.cursor.counter.max(counter);
                    self.save_cursor()?;
                }
                self.delete_outgoing(number)?;
                Ok(())
            }
            OutgoingKind::Commit { .. } => self.give_up_commit(),
        }
    }

    /// Whether a submission still waits in the outbox.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn is_waiting(&self, number: u64) -> Result<bool> {
        Ok(self.store.get_at(Kind::Outbox, self.no, number)?.is_some())
    }

    /// Handles the relay's acceptance of a submission whose entry will never be delivered to this profile.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn accepted_last(
        &mut self,
        number: u64,
        seq: Seq,
        at: Millis,
        moment: Moment,
    ) -> Result<()> {
        let Some(outgoing) = self.outgoing_at(number)? else { return Ok(()) };
        let next = Seq(self.cursor.seq.0.saturating_add(1)).max(seq);
        let content = hearth_protocol::EntryContent::Payload(outgoing.payload);
        self.handle_entries(&[Entry { seq: next, at, content }], moment)
    }

    /// Handles the relay's acceptance of a submission at a place that this profile has already passed.
    ///
    /// The entry may have been retracted or have expired before this profile read it. Its number stays used, so that other members notice
    /// if it was never there.
    ///
    /// # Errors
    /// [`EngineError::HistoryBackwards`] if another entry is at that place.
    pub fn accepted_before(&mut self, number: u64, seq: Seq) -> Result<()> {
        let Some(outgoing) = self.outgoing_at(number)? else { return Ok(()) };
        let ours = hash::sha256(&outgoing.payload);
        let possible = match self.row(seq)? {
            Some(row) => row.digest == ours || row.is_unknown(),
            None => seq > self.state.joined && seq <= self.cursor.seq,
        };
        if !possible {
            return Err(EngineError::HistoryBackwards(seq));
        }
        self.change(|room| match outgoing.what {
            OutgoingKind::Message { counter, .. } => {
                room.cursor.counter = room.cursor.counter.max(counter);
                room.save_cursor()?;
                room.delete_outgoing(number)?;
                Ok(())
            }
            OutgoingKind::Commit { .. } => room.give_up_commit(),
        })
    }

    /// Drops our own pending commit, from the group and from the outbox.
    pub(super) fn give_up_commit(&mut self) -> Result<()> {
        for (number, outgoing) in self.outgoing()? {
            if matches!(outgoing.what, OutgoingKind::Commit { .. }) {
                self.delete_outgoing(number)?;
            }
        }
        if self.state.standing == Standing::Member {
            let (provider, group) = self.group()?;
            if group.has_pending() {
                group.clear_pending(&provider)?;
            }
        }
        Ok(())
    }

    pub(super) fn push_outgoing(&mut self, outgoing: &Outgoing) -> Result<u64> {
        let last = self.store.last(Kind::Outbox, self.no)?.map_or(0, |(number, _)| number);
        let number = last.saturating_add(1);
        self.save_outgoing(number, outgoing)?;
        Ok(number)
    }

    pub(super) fn outgoing(&self) -> Result<Vec<(u64, Outgoing)>> {
        self.outgoing_up_to(usize::MAX)
    }

    fn outgoing_up_to(&self, limit: usize) -> Result<Vec<(u64, Outgoing)>> {
        let rows = self.store.range(Kind::Outbox, self.no, 0, limit)?;
        rows.into_iter().map(|(number, bytes)| Ok((number, decode(&bytes)?))).collect()
    }

    fn outgoing_at(&self, number: u64) -> Result<Option<Outgoing>> {
        let bytes = self.store.get_at(Kind::Outbox, self.no, number)?;
        bytes.map(|bytes| decode(&bytes)).transpose()
    }

    pub(super) fn save_outgoing(&self, number: u64, outgoing: &Outgoing) -> Result<()> {
        self.store.put_at(Kind::Outbox, self.no, number, &codec::encode(outgoing))?;
        if let Some(sent) = &mut *self.sent.borrow_mut() {
            match digest_of(outgoing) {
                Some(digest) => sent.insert(number, digest),
                None => sent.remove(&number),
            };
        }
        Ok(())
    }

    pub(super) fn delete_outgoing(&self, number: u64) -> Result<bool> {
        let deleted = self.store.delete_at(Kind::Outbox, self.no, number)?;
        if let Some(sent) = &mut *self.sent.borrow_mut() {
            sent.remove(&number);
        }
        Ok(deleted)
    }

    pub(super) fn clear_outgoing(&mut self) -> Result<()> {
        *self.sent.get_mut() = None;
        self.store.clear(Kind::Outbox, self.no)?;
        Ok(())
    }

    /// Returns the hashes of all ciphertexts in the outbox that may have reached the relay. Every entry is compared with them.
    fn sent(&self) -> Result<RefMut<'_, BTreeMap<u64, Digest>>> {
        let mut sent = self.sent.borrow_mut();
        if sent.is_none() {
            let all = self.outgoing()?;
            let sent_ones = all.iter().filter_map(|(number, o)| Some((*number, digest_of(o)?)));
            *sent = Some(sent_ones.collect());
        }
        Ok(RefMut::map(sent, |sent| sent.get_or_insert_default()))
    }

    /// Finds the outgoing submission whose ciphertext has this hash.
    pub(super) fn own_outgoing(&self, digest: Digest) -> Result<Option<(u64, Outgoing)>> {
        let number = self.sent()?.iter().find(|(_, sent)| **sent == digest).map(|(n, _)| *n);
        let Some(number) = number else { return Ok(None) };
        Ok(self.outgoing_at(number)?.map(|outgoing| (number, outgoing)))
    }

    /// Marks every sent submission of this epoch as doubtful, because an unreadable entry may have been any of them.
    pub(super) fn doubt_outgoing(&mut self) -> Result<()> {
        let numbers: Vec<u64> = self.sent()?.keys().copied().collect();
        for number in numbers {
            let Some(mut outgoing) = self.outgoing_at(number)? else { continue };
            let epoch = mls_header::parse(&outgoing.payload).map(|header| header.epoch);
            if !outgoing.doubtful && epoch.is_some() && epoch == Some(self.epoch()?) {
                outgoing.doubtful = true;
                self.save_outgoing(number, &outgoing)?;
            }
        }
        Ok(())
    }

    /// Encrypts a message of the outbox for the current epoch; stores ciphertext and ratchet together.
    fn encrypt_outgoing(&mut self, number: u64, mut outgoing: Outgoing) -> Result<Outgoing> {
        self.change(|room| {
            let seen = room.seen()?;
            let next = room.cursor.counter.saturating_add(1);
            let OutgoingKind::Message { body, counter, seen: said, salt } = &mut outgoing.what
            else {
                return Err(EngineError::DamagedRecord);
            };
            if *counter == 0 {
                *counter = next;
            }
            *said = seen.as_ref().map_or(room.cursor.vouched, |seen| seen.seq);
            if let Body::Depart { departure } = body {
                // My leaf may have changed since the departure was queued.
                let (digest, at) = (room.acknowledgement()?.digest(), outgoing.written_at);
                let key = room.signing_key();
                *departure = Departure::sign(&key, room.id(), digest, departure.withdrawn, at);
            }
            *salt = random()?;
            let marked = body.is_marked();
            let envelope = Envelope {
                format: 2,
                id: outgoing.id,
                counter: *counter,
                seen,
                sent_at: outgoing.written_at,
                body: body.clone(),
                salt: *salt,
            };
            let content = envelope.to_padded()?;
            let key = room.signing_key();
            let (provider, group) = room.group()?;
            outgoing.payload = group.encrypt(&provider, &key, &content, marked)?;
            if outgoing.after == Seq(0) {
                outgoing.after = room.cursor.seq;
            }
            room.save_outgoing(number, &outgoing)?;
            Ok(outgoing)
        })
    }
}

/// Makes a message that was not encrypted yet.
const fn unsent(id: [u8; 16], body: Body, effects: Vec<Effect>, now: Millis) -> Outgoing {
    Outgoing {
        id: MessageId(id),
        written_at: now,
        what: OutgoingKind::Message { body, counter: 0, seen: Seq(0), salt: [0; 16] },
        effects,
        welcome: Vec::new(),
        payload: Vec::new(),
        doubtful: false,
        after: Seq(0),
        refused: false,
        held: None,
    }
}

/// Why a text is held that is longer than the room allows, whether the record or the relay says so first.
const TOO_LONG: Held = Held::Refused(RejectCode::TooLong);

/// Returns the room's limit on the length of a member's messages, if any.
fn length_limit(policy: &RoomPolicy, member: &MemberKey) -> Option<u32> {
    let exempt = policy.message_chars_max == 0 || policy.role(member).moderates();
    (!exempt).then_some(policy.message_chars_max)
}

/// Returns the characters of a text; 0 for other messages.
fn chars_of(outgoing: &Outgoing) -> usize {
    text_of(outgoing).map_or(0, |text| text.chars().count())
}

const fn body_of(outgoing: &Outgoing) -> Option<&Body> {
    match &outgoing.what {
        OutgoingKind::Message { body, .. } => Some(body),
        OutgoingKind::Commit { .. } => None,
    }
}

fn text_of(outgoing: &Outgoing) -> Option<&String> {
    body_of(outgoing).and_then(Body::words)
}

/// Holds a text: it would go out as a new message. One that others may have keeps its ciphertext, so that its entry is recognised if it
/// comes.
fn hold(outgoing: &mut Outgoing, why: Held) {
    outgoing.held = Some(why);
    outgoing.refused = false;
    if outgoing.doubtful {
        return;
    }
    if let OutgoingKind::Message { counter, seen, .. } = &mut outgoing.what {
        (*counter, *seen) = (0, Seq(0));
    }
    outgoing.payload.clear();
    outgoing.after = Seq(0);
}

/// Whether a message is an own retraction or a departure.
fn is_marked(outgoing: &Outgoing) -> bool {
    matches!(&outgoing.what, OutgoingKind::Message { body, .. } if body.is_marked())
}

/// Returns the hash of a ciphertext; none before encryption, so that an empty entry does not match.
fn digest_of(outgoing: &Outgoing) -> Option<Digest> {
    (!outgoing.payload.is_empty()).then(|| hash::sha256(&outgoing.payload))
}

pub(super) fn submission(number: u64, outgoing: Outgoing) -> Submission {
    let is_marked = is_marked(&outgoing);
    let is_commit = matches!(outgoing.what, OutgoingKind::Commit { .. });
    let seats = match outgoing.what {
        OutgoingKind::Commit { seats: Some(seats), .. } => seats.seated,
        _ => Vec::new(),
    };
    let blob = (!outgoing.welcome.is_empty())
        .then(|| (BlobId(hash::sha256(&outgoing.welcome).0), outgoing.welcome));
    Submission {
        number,
        is_marked,
        id: outgoing.id,
        payload: outgoing.payload,
        effects: outgoing.effects,
        blob,
        after: outgoing.after,
        seats,
        is_commit,
    }
}
