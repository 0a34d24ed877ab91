//! Calling for help, and answering a call: kept before anything is sent, then sent by every way there is.

use std::sync::Arc;

use hearth_engine::{
    EngineError,
    help::Stage,
    private::{Private, Seen, SeenState},
};
use hearth_protocol::{MemberKey, MessageId};
use hearth_text::escape;
use tokio::sync::oneshot;

use super::{
    super::{
        command::{AskError, Command, Consent, Outcome},
        help::{HelpCommand, KeptCall, bench},
        lanes::{self, LaneCommand},
        view::Link,
    },
    Asked, Place, RoomTask, wait,
};
use crate::live::{Live, LiveError};

impl RoomTask<'_> {
    /// Does what is asked about a call for help. It waits for no attempt to connect before it is kept.
    pub(super) async fn about_help(
        &mut self,
        what: HelpCommand,
        reply: oneshot::Sender<Result<Outcome, AskError>>,
    ) {
        if matches!(self.link, Link::Connecting) && self.view.borrow().policy.is_none() {
            // Whom to tell is known once this member is let in.
            let (command, consent) = (Command::Help(what), Consent::Whatever);
            return wait(&mut self.pending, Asked { command, consent, reply });
        }
        self.lanes_seen = None;
        let kept = match what {
            HelpCommand::Call { words } => self.keep_call(&words, true),
            HelpCommand::Sent(kept) => Ok(kept),
            HelpCommand::Answer { call, state, words } => {
                return self.answer_call(call, state, words, reply).await;
            }
        };
        // It is shown as kept while it goes out.
        self.publish();
        let outcome = match kept {
            Ok(kept) if matches!(self.link, Link::Connecting) => {
                let command = Command::Help(HelpCommand::Sent(kept));
                let consent = Consent::Whatever;
                return wait(&mut self.pending, Asked { command, consent, reply });
            }
            Ok(kept) => self.send_kept(kept).await,
            Err(error) => Err(error),
        };
        self.publish();
        let _ = reply.send(outcome);
    }

    /// Puts a call into the lane's outbox, and into notes for those who do not sit there. Within a minute of the last one it is
    /// that one, if it `may_join`, and its words go beside it.
    fn keep_call(&mut self, words: &str, may_join: bool) -> Result<KeptCall, AskError> {
        let words = match words.trim() {
            "" => String::new(),
            words => escape::sanitize_input(words)?,
        };
        let own_lane = self.view.borrow().own_lane().filter(|lane| lane.seated).map(|l| l.id);
        if let Some(last) = self.help.too_soon().filter(|_| may_join)
            && self.may_join(&words)?
        {
            let beside = match own_lane.filter(|_| !words.is_empty()) {
                Some(lane) => self.queue_in_lane(lane, LaneCommand::Say(words.clone().into()))?,
                None => None,
            };
            return Ok(KeptCall { call: last, joins: true, words, beside });
        }
        if self.view.borrow().policy.as_ref().is_some_and(|policy| policy.desk.is_none()) {
            return Err(EngineError::NoLanes.into());
        }
        let bench = self.room()?.bench()?;
        if bench.is_empty() {
            // Who is not in the room has no copy of it that names anybody.
            self.room()?.policy()?;
            return Err(AskError::NobodyElse);
        }
        let flag = LaneCommand::Private(Private::Flag(words.clone()));
        let in_lane = own_lane.map(|lane| self.queue_in_lane(lane, flag)).transpose();
        let in_lane = match in_lane {
            Ok(call) => call.flatten(),
            // Notes have a place of their own.
            Err(AskError::Live(error)) if is_no_way(&error) => None,
            Err(error) => return Err(error),
        };
        let call = match in_lane {
            Some(call) => call,
            None => MessageId(random()?),
        };
        let seated = match (in_lane, own_lane) {
            (Some(_), Some(lane)) => self.seats_of(lane)?,
            _ => Vec::new(),
        };
        let unseated = bench.iter().map(|(key, _)| *key).filter(|key| !seated.contains(key));
        let unseated: Vec<MemberKey> = unseated.collect();
        let now = self.room()?.now();
        self.help.called(call, words.clone(), now);
        let noted = self.note(unseated, call);
        // Where the lane has it, a full list of notes is no reason to say that nothing was kept.
        if in_lane.is_none() {
            noted?;
        }
        Ok(KeptCall { call, joins: false, words, beside: None })
    }

    /// Whether words can go beside the last call: all who moderate read the lane. Without words there is nothing to read.
    fn may_join(&mut self, words: &str) -> Result<bool, AskError> {
        if words.is_empty() {
            return Ok(true);
        }
        let own_lane = self.view.borrow().own_lane().filter(|lane| lane.seated).map(|l| l.id);
        let Some(lane) = own_lane else { return Ok(false) };
        let seated = self.seats_of(lane)?;
        Ok(self.room()?.bench()?.iter().all(|(key, _)| seated.contains(key)))
    }

    /// Sends a call. One that joined a call is a new one, if that call was closed meanwhile, or not all would read its words.
    async fn send_kept(&mut self, kept: KeptCall) -> Result<Outcome, AskError> {
        let kept =
            match kept.joins && (!self.help.is_open(&kept.call) || !self.may_join(&kept.words)?) {
                true => self.keep_call(&kept.words, false)?,
                false => kept,
            };
        let mut outcome = self.send_call(kept.call).await?;
        // What it says is of the words that were just said.
        if let Some(words) = kept.beside
            && let Outcome::Called { line, .. } = &mut outcome
            && !self.is_in_lane(&words)
        {
            line.stage = Stage::Kept;
        }
        Ok(outcome)
    }

    /// Whether the own lane has a message of this member.
    fn is_in_lane(&mut self, message: &MessageId) -> bool {
        let Some(id) = self.view.borrow().own_lane().map(|lane| lane.id) else { return false };
        if let Place::Live(session) = &mut self.place
            && let Some(live) = session.live()
            && let Some(lane) = live.lane(id)
        {
            return lane.room().own_message(message).is_ok();
        }
        let kept = self.room().and_then(|room| room.lane(id));
        kept.is_ok_and(|lane| lane.is_some_and(|lane| lane.room().own_message(message).is_ok()))
    }

    /// Returns those who sit in a lane, as far as this profile has read it.
    fn seats_of(&mut self, id: hearth_protocol::RoomId) -> Result<Vec<MemberKey>, AskError> {
        if let Place::Live(session) = &mut self.place
            && let Some(live) = session.live()
            && let Some(lane) = live.lane(id)
        {
            return Ok(lane.seats()?.into_iter().map(|(member, _)| member).collect());
        }
        let lane = self.room()?.lane(id)?;
        let seats = lane.map(|mut lane| lane.seats()).transpose()?.unwrap_or_default();
        Ok(seats.into_iter().map(|(member, _)| member).collect())
    }

    /// Sends a call. Where the lane does not take it, whatever the reason, notes go to all who moderate.
    async fn send_call(&mut self, call: MessageId) -> Result<Outcome, AskError> {
        let lane = self.view.borrow().own_lane().map(|lane| lane.id);
        let mut in_lane = false;
        let mut lost = None;
        if let Some(lane) = lane
            && let Place::Live(session) = &mut self.place
            && let Some(live) = session.live()
        {
            match lanes::send(live, lane, call).await {
                Ok(Outcome::Sent { .. }) => in_lane = true,
                Ok(Outcome::Kept { why, .. }) => lost = why,
                _ => {}
            }
        }
        // Who moderates may have changed since it was kept.
        let view = Arc::clone(&self.view.borrow());
        let bench = bench(self.room()?, &view)?;
        let bench: Vec<_> = bench.into_iter().filter(|(key, _)| *key != view.me).collect();
        let seated = match lane.filter(|_| in_lane) {
            Some(lane) => self.seats_of(lane)?,
            None => Vec::new(),
        };
        if self.help.is_unseen(&call) {
            let unseated = bench.iter().map(|(key, _)| *key).filter(|key| !seated.contains(key));
            // A full list leaves those that are in it.
            let _ = self.note(unseated.collect(), call);
        }
        if let Some(error) = lost {
            self.after(&error).await;
        }
        if let Err(error) = self.send_notes().await {
            self.after(&Arc::new(error)).await;
        }
        self.lanes_seen = None;
        self.publish();
        let help = Arc::clone(&self.view.borrow().help);
        let line = help.call.clone().ok_or(AskError::Closed)?;
        let not_sent = line.stage == Stage::Kept;
        let mut reached = self.reached(&call)?;
        reached.extend(seated);
        let refused = |name: &String| help.unreached.contains(name);
        // Of a call that somebody has answered, notes are gone.
        let answered = !self.help.is_unseen(&call);
        let (told, missed): (Vec<_>, Vec<_>) = bench.into_iter().partition(|(key, name)| {
            reached.contains(key) || ((not_sent || answered) && !refused(name))
        });
        let names = |of: Vec<(MemberKey, String)>| of.into_iter().map(|(_, name)| name).collect();
        let (told, mut unreached): (Vec<String>, Vec<String>) = (names(told), names(missed));
        let gone = help.unreached.iter().filter(|name| !told.contains(name));
        unreached.extend(gone.cloned());
        unreached.sort();
        unreached.dedup();
        Ok(Outcome::Called { line, told, unreached })
    }

    fn note(&mut self, to: Vec<MemberKey>, call: MessageId) -> Result<(), EngineError> {
        let room = match &mut self.place {
            Place::Live(session) => session.room()?,
            Place::Ended(room) => room,
        };
        self.help.note(room, to, call)
    }

    fn reached(&mut self, call: &MessageId) -> Result<Vec<MemberKey>, EngineError> {
        let room = match &mut self.place {
            Place::Live(session) => session.room()?,
            Place::Ended(room) => room,
        };
        self.help.reached(room, call)
    }

    /// Sends the notes that wait, over the room's connection; from outside of the room over one of their own.
    pub(super) async fn send_notes(&mut self) -> Result<(), LiveError> {
        match &mut self.place {
            Place::Live(session) => match session.live() {
                Some(live) => live.send_notes().await,
                None => Ok(()),
            },
            Place::Ended(room) => Live::exchange_notes(&self.network, room).await,
        }
    }

    async fn answer_call(
        &mut self,
        call: MessageId,
        state: SeenState,
        words: String,
        reply: oneshot::Sender<Result<Outcome, AskError>>,
    ) {
        let open = self.view.borrow().help.open.iter().find(|open| open.id == call).cloned();
        let Some(open) = open else {
            let _ = reply.send(Err(AskError::NoSuchCall(call.short())));
            return;
        };
        if let Some(lane) = self.help.lane_of(&call) {
            let seen = Private::Seen(Seen { message: call, state, words });
            return self.in_lane(lane, LaneCommand::Private(seen), reply).await;
        }
        let outcome = self.answer_by_note(&call, &open.by, state, &words).await;
        self.publish();
        let _ = reply.send(outcome);
    }

    async fn answer_by_note(
        &mut self,
        call: &MessageId,
        from: &MemberKey,
        state: SeenState,
        words: &str,
    ) -> Result<Outcome, AskError> {
        let words =
            if words.trim().is_empty() { String::new() } else { escape::sanitize_input(words)? };
        let room = self.room()?;
        let now = room.now();
        if !room.answer_note(call, from, state, words, now)? {
            return Err(EngineError::NotSeated.into());
        }
        if let Err(error) = self.send_notes().await {
            let error = Arc::new(error);
            self.after(&error).await;
            return Ok(Outcome::Kept { id: *call, why: Some(error) });
        }
        match self.away() {
            None => Ok(Outcome::Done),
            why => Ok(Outcome::Kept { id: *call, why }),
        }
    }
}

/// Whether a lane cannot take a call, and notes still can.
fn is_no_way(error: &LiveError) -> bool {
    use EngineError::{NotForLane, NotMember, NotSeated, OutboxFull, WaitsForFacilitator};
    matches!(
        error,
        LiveError::Engine(NotForLane | NotMember(_) | NotSeated | OutboxFull | WaitsForFacilitator)
    )
}

fn random() -> Result<[u8; 16], AskError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|_| EngineError::Random)?;
    Ok(bytes)
}
