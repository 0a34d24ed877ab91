//! The floor of a room of this profile: kept beside the log, and what a member sends to change it.

use std::collections::BTreeMap;

use hearth_protocol::{Entry, EntryContent, MemberKey, MessageId, Millis, Seq};
use minicbor::{Decode, Encode};

use super::{
    content::{Body, Ref},
    error::EngineError,
    floor::{
        self, Ask, Asked, Change, Floor, Form, Members, Op, Verdict, What,
        wire::{ORDER_MAX, TOPIC_CHARS_MAX},
    },
    policy::{Leaf, RuleError},
    room::{Room, random, read, write},
    state::{Notice, Row, RowContent},
};
use crate::store::Kind;

/// Names the record of the floor.
const FLOOR: &[u8] = b"floor";
/// Names the record of the answers that wait for one's own.
const VEILED: &[u8] = b"veiled";
/// Names the record of the exercise.
const COURSE: &[u8] = b"exercise";
/// Names the record that others need a recap.
const RECAP_DUE: &[u8] = b"recap due";
/// Names the record of who is here for the room.
const ON_DUTY: &[u8] = b"on duty";
/// Names the record of the pause after which the room stays closed.
const CLOSES_AFTER: &[u8] = b"closes after";
/// Time for which a moderator is on duty after an act that others may need them for: an hour.
const DUTY_BY_ACT_MILLIS: u64 = 3_600_000;
/// Longest time for which somebody is here for the room.
pub const DUTY_MILLIS_MAX: u64 = 24 * 3_600_000;
/// Answers that wait at most; more are shown at once.
const VEILED_MAX: usize = 1_024;
/// Silence that ends a sitting: whose words are counted for the order of a round.
const SITTING_MILLIS: u64 = 3 * 3_600_000;
/// Time after a turn began in which a moderator's `next` may have meant the turn before: 2 seconds.
const JUST_NOW_MILLIS: u64 = 2_000;
/// Rows in which the last turn is looked for.
const MOVES_LOOKED_AT: usize = 16;
/// Rows of history read at once.
const PAGE: usize = 256;

type Result<T, E = EngineError> = std::result::Result<T, E>;

/// Why something about turns or questions cannot be done now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the words say it")]
pub enum FloorError {
    #[error("no round is on")]
    NoRound,
    #[error("a round is on already")]
    RoundOn,
    #[error("it is not your turn")]
    NotYourTurn,
    #[error("the floor has moved on just now")]
    JustMoved,
    #[error("your hand is up already")]
    HandIsUp,
    #[error("your hand is not up")]
    HandIsDown,
    #[error("nobody is here who could have a turn")]
    NobodyToTurn,
    #[error("nothing is asked now")]
    NothingAsked,
    #[error("that is not asked, or no longer")]
    NotAsked,
    #[error("four questions are open already")]
    TooManyAsks,
    #[error("that is too long, or has too few or too many options")]
    Size,
    #[error("two options of the poll are the same")]
    SameOption,
    #[error("a poll has no such option")]
    NoSuchOption,
    #[error("that question wants words, not a vote")]
    WantsWords,
    #[error("that question wants a vote, not words")]
    WantsVote,
    #[error("that question is answered to the facilitators alone, not in the room")]
    WantsLane,
    #[error("that time is past, or longer than the room keeps a round or a question open")]
    Until,
    #[error("this device did not see how the round or the question began")]
    Unknown,
    #[error("somebody else was faster")]
    TooLate,
    #[error("an exercise is on already")]
    ExerciseOn,
    #[error("another facilitator's exercise is on")]
    ExerciseElsewhere,
    #[error("no exercise is on that you began on this device")]
    NoExercise,
    #[error("nobody is here for the room now, and this exercise needs somebody who is")]
    NobodyOnDuty,
}

impl FloorError {
    /// Returns the word for programs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoRound => "no_round",
            Self::RoundOn => "round_on",
            Self::NotYourTurn => "not_your_turn",
            Self::JustMoved => "just_moved",
            Self::HandIsUp => "hand_is_up",
            Self::HandIsDown => "hand_is_down",
            Self::NobodyToTurn => "nobody_to_turn",
            Self::NothingAsked | Self::NotAsked => "not_asked",
            Self::TooManyAsks => "too_many_asks",
            Self::Size => "out_of_range",
            Self::NoSuchOption => "no_such_option",
            Self::SameOption => "same_option",
            Self::WantsWords => "wants_words",
            Self::WantsVote => "wants_vote",
            Self::WantsLane => "wants_lane",
            Self::Until => "out_of_range",
            Self::Unknown => "floor_unknown",
            Self::TooLate => "too_late",
            Self::ExerciseOn | Self::ExerciseElsewhere => "exercise_on",
            Self::NoExercise => "no_exercise",
            Self::NobodyOnDuty => "nobody_on_duty",
        }
    }
}

impl From<FloorError> for EngineError {
    fn from(error: FloorError) -> Self {
        Self::Floor(error)
    }
}

/// Order of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Raised hands first, in their order; then the others as the roster has them.
    Queue,
    /// As the roster has the members.
    Roster,
    /// Fewest words of this sitting first.
    Quiet,
}

/// Why words are shown with a later entry than their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Later {
    /// It was not their author's turn.
    #[n(0)]
    Turn,
    /// They answer a question whose answers are shown after one's own.
    #[n(1)]
    OwnAnswer,
}

/// An exercise that this moderator guides the room through.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Course {
    /// Random; the same for all its steps.
    #[n(0)]
    pub id: MessageId,
    /// Name of the file without its ending.
    #[n(1)]
    pub stem: String,
    /// The file.
    #[n(2)]
    #[cbor(with = "minicbor::bytes")]
    pub source: Vec<u8>,
    /// Number of the step, from 0.
    #[n(3)]
    pub step: u64,
    /// The entry that began the step.
    #[n(4)]
    pub seq: Seq,
}

/// A moderator who is here for the room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Duty {
    /// The moderator.
    #[n(0)]
    pub member: MemberKey,
    /// Until when, by the relay's clock.
    #[n(1)]
    pub until: Millis,
}

/// An answer that waits for one's own.
#[derive(Clone, Copy, Debug, Encode, Decode)]
struct Veiled {
    #[n(0)]
    ask: Seq,
    #[n(1)]
    place: Seq,
}

impl Room<'_> {
    /// Returns the floor: whose turn it is, who asks for one, what is asked.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn floor(&mut self) -> Result<&Floor> {
        let floor = match self.floor.take() {
            Some(floor) => floor,
            None => self.read_floor()?,
        };
        Ok(self.floor.insert(floor))
    }

    fn read_floor(&self) -> Result<Floor> {
        let kept = read(self.store, Kind::Seen, self.no, FLOOR)?;
        Ok(kept.unwrap_or_else(|| {
            let founder = self.state.joined == Seq(0) && self.cursor.breaks.is_empty();
            match self.cursor.seq {
                Seq(0) if founder => Floor::founded(),
                seq => Floor::joined(seq),
            }
        }))
    }

    /// Forgets the floor, because the log goes on from another place.
    pub(super) fn drop_floor(&mut self) -> Result<()> {
        self.floor = None;
        self.store.delete(Kind::Seen, self.no, FLOOR)?;
        Ok(())
    }

    pub(super) fn save_floor(&self) -> Result<()> {
        match &self.floor {
            Some(floor) => write(self.store, Kind::Seen, self.no, FLOOR, floor),
            None => Ok(()),
        }
    }

    /// Lets an entry change the floor; stores with its row what it changed.
    pub(super) fn advance_floor(&mut self, row: &mut Row, entry: &Entry) -> Result<()> {
        let heard = self.heard.take();
        if matches!(entry.content, EntryContent::Expired) {
            return Ok(());
        }
        // A lane has no turns.
        if self.state.lane.is_some() {
            return Ok(());
        }
        let Some(members) = self.floor_members()? else { return Ok(()) };
        let counts = row.was_read() && !row.notices.contains(&Notice::Duplicate);
        let what = match (&entry.content, heard) {
            // Only words and votes are retracted, which then count as never sent; the relay's own tombstone is told of apart.
            (EntryContent::Tombstone(_), _) => What::Other,
            // What a pause stops is not said.
            (_, Some(What::Words(_) | What::Op(_))) if !self.may_say(row)? => What::Other,
            (_, Some(what)) if counts => what,
            // Sent with this profile's key and lost here; the others read it.
            _ if row.notices.contains(&Notice::NotMine) => What::Hole,
            _ => What::Other,
        };
        let answer = match &what {
            What::Words(answer) => *answer,
            _ => None,
        };
        let entry =
            floor::Entry { seq: entry.seq, digest: row.digest, at: entry.at, from: row.from, what };
        self.floor()?;
        let Some(floor) = &mut self.floor else { return Ok(()) };
        let mut changes = floor.apply(&entry, &members);
        hide_ignored(row, &changes);
        if let What::Close(close) = &entry.what {
            self.note_close(row, close, &changes)?;
        }
        self.note_recaps(&changes)?;
        self.take_changes(row, &mut changes)?;
        if let Some(answer) = answer {
            self.take_answer(row, answer, &changes, &members)?;
        }
        row.changes = changes;
        Ok(())
    }

    fn may_say(&mut self, row: &Row) -> Result<bool> {
        match row.from {
            Some(from) => self.may_post(&from, row.said),
            None => Ok(false),
        }
    }

    /// Remembers that others need a recap, because somebody sent a false one.
    fn note_recaps(&mut self, changes: &[Change]) -> Result<()> {
        let mut due = None;
        for change in changes {
            let Change::Recap { by, verdict } = change else { continue };
            let differs = matches!(verdict, Verdict::Differs | Verdict::Unsound);
            due = Some(differs && *by != self.me());
        }
        match due {
            Some(due) => write(self.store, Kind::Seen, self.no, RECAP_DUE, &due),
            None => Ok(()),
        }
    }

    /// Whether this moderator's client sends a recap: others need one, and nobody has sent it since.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn recap_is_due(&mut self) -> Result<bool> {
        let due: Option<bool> = read(self.store, Kind::Seen, self.no, RECAP_DUE)?;
        Ok(due.unwrap_or(false) && self.my_role()?.moderates())
    }

    /// Returns who is in the room; `None` outside of it.
    fn floor_members(&mut self) -> Result<Option<Members>> {
        let policy = match self.policy() {
            Ok(policy) => policy,
            Err(EngineError::NotMember(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        let roles = self.roster()?.into_iter().map(|leaf| (leaf.member, policy.role(&leaf.member)));
        let retention_seconds = policy.numbers.retention_seconds;
        Ok(Some(Members { roles: roles.collect::<BTreeMap<_, _>>(), retention_seconds }))
    }

    /// Takes from the changes what moves words, and keeps of them what is shown.
    fn take_changes(&mut self, row: &mut Row, changes: &mut Vec<Change>) -> Result<()> {
        let mine = row.from == Some(self.me());
        for change in &*changes {
            match change {
                Change::Held => row.talk.later = Some(Later::Turn),
                Change::Released(seqs) => {
                    row.shows.extend(seqs.iter().map(|seq| self.cursor.place(*seq)));
                }
                Change::AskClosed { asked, .. } => self.unveil(row, Some(asked.ask.seq))?,
                Change::Unknown => self.unveil(row, None)?,
                _ => {}
            }
        }
        changes.retain(|change| {
            let told = mine || !change.is_for_author();
            // The engine tells of times with some slack, because a clock may be set.
            told && !matches!(change, Change::Released(_) | Change::TimesRunBack { .. })
        });
        Ok(())
    }

    /// Takes an answer that counts: others' answers show after one's own, where the question says so.
    fn take_answer(
        &mut self,
        row: &mut Row,
        answer: floor::Answer,
        changes: &[Change],
        members: &Members,
    ) -> Result<()> {
        let ask = answer.ask;
        let counts = !changes.iter().any(|change| matches!(change, Change::Ignored(_)));
        let asked = self.floor()?.state().asks.iter().find(|asked| asked.ask == ask).cloned();
        let Some(asked) = asked.filter(|_| counts && row.from.is_some()) else { return Ok(()) };
        if let RowContent::Vote { choice, option, .. } = &mut row.content {
            let words = usize::try_from(*choice).ok().and_then(|n| asked.options.get(n));
            *option = words.cloned();
        }
        let me = self.me();
        if row.from == Some(me) {
            return self.unveil(row, Some(ask.seq));
        }
        let waits =
            asked.after_own && !members.moderates(&me) && !self.floor()?.has_answered(ask.seq, &me);
        if !waits || row.talk.later.is_some() {
            return Ok(());
        }
        let mut veiled: Vec<Veiled> = self.veiled()?;
        if veiled.len() < VEILED_MAX {
            veiled.push(Veiled { ask: ask.seq, place: row.place });
            row.talk.later = Some(Later::OwnAnswer);
            write(self.store, Kind::Seen, self.no, VEILED, &veiled)?;
        }
        Ok(())
    }

    /// Returns the places of words that wait for their author's turn.
    pub(super) fn held_places(&mut self) -> Result<Vec<Seq>> {
        let held: Vec<Seq> = self.floor()?.held().iter().map(|held| held.seq).collect();
        Ok(held.into_iter().map(|seq| self.cursor.place(seq)).collect())
    }

    /// Returns the places of words that this member may not see yet.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn hidden_places(&mut self) -> Result<Vec<Seq>> {
        let mut places = self.held_places()?;
        places.extend(self.veiled()?.iter().map(|veiled| veiled.place));
        Ok(places)
    }

    fn veiled(&self) -> Result<Vec<Veiled>> {
        Ok(read(self.store, Kind::Seen, self.no, VEILED)?.unwrap_or_default())
    }

    /// Shows the answers that waited, of one question or of all.
    fn unveil(&self, row: &mut Row, ask: Option<Seq>) -> Result<()> {
        let (shown, rest): (Vec<Veiled>, Vec<Veiled>) =
            self.veiled()?.into_iter().partition(|veiled| ask.is_none_or(|ask| ask == veiled.ask));
        if !shown.is_empty() {
            row.shows.extend(shown.into_iter().map(|veiled| veiled.place));
            write(self.store, Kind::Seen, self.no, VEILED, &rest)?;
        }
        Ok(())
    }

    /// Returns whose turn it is at a time of the relay, and until when at most, if that keeps this member's words from the others.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn waits_for_turn(&mut self, now: Millis) -> Result<Option<(MemberKey, Millis)>> {
        if self.state.lane.is_some() {
            return Ok(None);
        }
        let (me, role) = (self.me(), self.my_role()?);
        let floor = self.floor()?;
        let until = floor.state().round.as_ref().map(|round| round.until);
        let holder = floor.holder().zip(until);
        Ok(holder.filter(|(_, until)| *until > now && !floor.may_speak(&me, role)))
    }

    /// Returns the relay's time, as far as it is known.
    pub(super) fn relay_time(&self) -> Millis {
        let since = self.now().0.saturating_sub(self.cursor.own_clock.0);
        self.cursor.relay_clock.plus(since)
    }

    fn check_moderates(&mut self) -> Result<()> {
        if self.my_role()?.moderates() {
            return Ok(());
        }
        Err(EngineError::Rule(RuleError::NotFacilitator))
    }

    fn queue_op(&mut self, op: Op, now: Millis) -> Result<MessageId> {
        self.queue(Body::Floor(op), Vec::new(), now)
    }

    /// Queues the raising of a hand, or its lowering.
    ///
    /// # Errors
    /// [`FloorError::HandIsUp`] or [`FloorError::HandIsDown`]; see [`EngineError`].
    pub fn queue_hand(&mut self, up: bool, now: Millis) -> Result<MessageId> {
        let me = self.me();
        let is_up = self.floor()?.state().hands.iter().any(|hand| hand.member == me);
        match (up, is_up) {
            (true, true) => Err(FloorError::HandIsUp.into()),
            (false, false) => Err(FloorError::HandIsDown.into()),
            (true, false) => self.queue_op(Op::Hand, now),
            (false, true) => self.queue_op(Op::Lower, now),
        }
    }

    /// Queues the passing on of the floor: by whose turn it is, or by who moderates.
    ///
    /// # Errors
    /// [`FloorError::NoRound`], [`FloorError::NotYourTurn`]; see [`EngineError`].
    pub fn queue_move(&mut self, after: Option<MemberKey>, now: Millis) -> Result<MessageId> {
        let (me, moderates) = (self.me(), self.my_role()?.moderates());
        let floor = self.floor()?;
        let (round, turn) = this_round(floor)?;
        let holder = floor.holder();
        if holder != Some(me) && !moderates {
            return Err(FloorError::NotYourTurn.into());
        }
        let meant = match after {
            Some(after) => holder == Some(after),
            None => holder == Some(me) || !self.moved_just_now()?,
        };
        if !meant {
            return Err(FloorError::JustMoved.into());
        }
        self.queue_op(Op::Move { round, turn }, now)
    }

    /// Queues the end of the own turn. A moderator who types it by mistake ends nobody else's.
    ///
    /// # Errors
    /// [`FloorError::NoRound`], [`FloorError::NotYourTurn`]; see [`EngineError`].
    pub fn queue_done(&mut self, now: Millis) -> Result<MessageId> {
        let me = self.me();
        let floor = self.floor()?;
        this_round(floor)?;
        if floor.holder() != Some(me) {
            return Err(FloorError::NotYourTurn.into());
        }
        self.queue_move(Some(me), now)
    }

    /// Whether another member's entry moved the floor within the last moments, so that `next` may mean the turn before.
    fn moved_just_now(&self) -> Result<bool> {
        let (me, now) = (self.me(), self.relay_time());
        let is_move = |row: &Row| {
            row.changes.iter().any(|change| {
                matches!(change, Change::Turn { .. } | Change::Began { .. } | Change::Ended { .. })
            })
        };
        let rows = self.history_back(Seq(u64::MAX), MOVES_LOOKED_AT)?;
        let last = rows.iter().rev().find(|row| is_move(row));
        Ok(last.is_some_and(|row| {
            row.from != Some(me) && now.0.saturating_sub(row.stamp.0) < JUST_NOW_MILLIS
        }))
    }

    /// Queues the passing on of the floor from a member who has a break and so can neither speak nor pass. It looks as if they had
    /// passed.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn pass_for_break(&mut self) -> Result<()> {
        let now = self.relay_time();
        let floor = self.floor()?;
        let is_on = floor.state().round.as_ref().is_some_and(|round| round.until > now);
        let Some(holder) = floor.holder().filter(|_| is_on) else { return Ok(()) };
        if self.recorded_time_out(&holder)?.is_some_and(|until| until > now) {
            let now = self.now();
            self.queue_move(Some(holder), now)?;
        }
        Ok(())
    }

    /// Queues the beginning of a round.
    ///
    /// # Errors
    /// [`FloorError::RoundOn`], [`FloorError::NobodyToTurn`], [`FloorError::Size`]; see [`EngineError`].
    pub fn queue_round(
        &mut self,
        order: Vec<MemberKey>,
        topic: String,
        seconds: u64,
        until: Millis,
        now: Millis,
    ) -> Result<MessageId> {
        self.check_moderates()?;
        let now_there = self.relay_time();
        // Its time ends it with the next entry, which is this one.
        let is_on = |round: &floor::Round| round.until > now_there;
        if self.floor()?.state().round.as_ref().is_some_and(is_on) {
            return Err(FloorError::RoundOn.into());
        }
        if order.is_empty() {
            return Err(FloorError::NobodyToTurn.into());
        }
        if topic.chars().count() > TOPIC_CHARS_MAX || order.len() > ORDER_MAX {
            return Err(FloorError::Size.into());
        }
        self.queue_op(Op::Start { order, topic, seconds, until }, now)
    }

    /// Queues another end of the round.
    ///
    /// # Errors
    /// [`FloorError::NoRound`]; see [`EngineError`].
    pub fn queue_extension(&mut self, until: Millis, now: Millis) -> Result<MessageId> {
        self.check_moderates()?;
        let (round, _) = this_round(self.floor()?)?;
        self.queue_op(Op::Extend { round, until }, now)
    }

    /// Queues the round's end.
    ///
    /// # Errors
    /// [`FloorError::NoRound`]; see [`EngineError`].
    pub fn queue_round_end(&mut self, now: Millis) -> Result<MessageId> {
        self.check_moderates()?;
        let (round, _) = this_round(self.floor()?)?;
        self.queue_op(Op::End { round }, now)
    }

    /// Queues a question to all.
    ///
    /// # Errors
    /// [`FloorError::TooManyAsks`], [`FloorError::Size`]; see [`EngineError`].
    pub fn queue_ask(&mut self, ask: Ask, now: Millis) -> Result<MessageId> {
        self.check_moderates()?;
        if self.floor()?.state().asks.len() >= floor::wire::ASKS_MAX {
            return Err(FloorError::TooManyAsks.into());
        }
        if !ask.is_bounded() || ask.text.is_empty() {
            return Err(FloorError::Size.into());
        }
        let mut options: Vec<String> =
            ask.options.iter().map(|option| option.trim().to_lowercase()).collect();
        options.sort_unstable();
        if options.windows(2).any(|pair| pair.first() == pair.last()) {
            return Err(FloorError::SameOption.into());
        }
        self.queue(ask.into(), Vec::new(), now)
    }

    /// Returns a question that is open, by the place of its entry in the relay's log.
    pub(super) fn asked(&mut self, ask: Seq) -> Result<Asked> {
        let floor = self.floor()?;
        let asked = floor.state().asks.iter().find(|asked| asked.ask.seq == ask).cloned();
        match asked {
            Some(asked) => Ok(asked),
            None if floor.is_unknown() => Err(FloorError::Unknown.into()),
            None => Err(FloorError::NotAsked.into()),
        }
    }

    /// Returns the reference to a question that can be answered with words.
    pub(super) fn answerable(&mut self, ask: Seq) -> Result<Ref> {
        let asked = self.asked(ask)?;
        // Words would take a vote's place without being one.
        if asked.form.is_poll() {
            return Err(FloorError::WantsVote.into());
        }
        // Everybody would read them.
        if asked.form == Form::Private {
            return Err(FloorError::WantsLane.into());
        }
        Ok(asked.ask)
    }

    /// Queues a vote in an open poll.
    ///
    /// # Errors
    /// [`FloorError::NotAsked`], [`FloorError::WantsWords`], [`FloorError::NoSuchOption`]; see [`EngineError`].
    pub fn queue_vote(&mut self, ask: Seq, choice: u64, now: Millis) -> Result<MessageId> {
        let asked = self.asked(ask)?;
        if asked.form != Form::Poll {
            return Err(FloorError::WantsWords.into());
        }
        if !asked.content().offers(choice) {
            return Err(FloorError::NoSuchOption.into());
        }
        let answer = Body::Answer { ask: asked.ask, choice: Some(choice), text: None, salt: None };
        self.queue(answer, Vec::new(), now)
    }

    /// Queues the end of a question.
    ///
    /// # Errors
    /// [`FloorError::NotAsked`]; [`EngineError::LanesUnread`]; see [`EngineError`].
    pub fn queue_close(&mut self, ask: Seq, now: Millis) -> Result<MessageId> {
        self.check_moderates()?;
        let asked = self.asked(ask)?;
        let ballots = self.ballots_of(&asked)?;
        self.queue(Body::Close { ask: asked.ask, ballots }, Vec::new(), now)
    }

    /// Takes a moderator's word that they are here for the room, or no longer.
    pub(super) fn take_duty(
        &mut self,
        row: &mut Row,
        sender: MemberKey,
        until: Millis,
    ) -> Result<()> {
        if !self.policy()?.role(&sender).moderates() {
            return Ok(());
        }
        let mut on_duty = self.on_duty()?;
        let is_on = until > row.stamp;
        let until = if is_on { until.min(row.stamp.plus(DUTY_MILLIS_MAX)) } else { row.stamp };
        let duty = Duty { member: sender, until };
        // Repeated for a newcomer: the others know it.
        let is_known = is_on && on_duty.contains(&duty);
        on_duty.retain(|duty| duty.member != sender);
        // What is over stays, because it says whether somebody was here when a pause ended.
        on_duty.push(duty);
        write(self.store, Kind::Seen, self.no, ON_DUTY, &on_duty)?;
        let shown = if is_on { until } else { Millis(0) };
        row.content = if is_known { RowContent::Floor(None) } else { RowContent::Duty(shown) };
        Ok(())
    }

    /// Notes that a moderator is on duty for an hour from an act on, because others may need them after it.
    pub(super) fn is_on_duty_by(&self, member: MemberKey, stamp: Millis) -> Result<()> {
        // Who is removed by the act has no policy any more, and hears of nobody's duty.
        let kept: Option<Vec<Duty>> = read(self.store, Kind::Seen, self.no, ON_DUTY)?;
        let mut on_duty = kept.unwrap_or_default();
        let until = stamp.plus(DUTY_BY_ACT_MILLIS);
        let before = on_duty.iter().find(|duty| duty.member == member).map(|duty| duty.until);
        if before.is_some_and(|before| before >= until) {
            return Ok(());
        }
        on_duty.retain(|duty| duty.member != member);
        on_duty.push(Duty { member, until });
        write(self.store, Kind::Seen, self.no, ON_DUTY, &on_duty)
    }

    /// Notes whether the room stays closed after a pause if nobody is on duty then.
    pub(super) fn note_pause(&mut self, until: Millis, reopens: bool) -> Result<()> {
        let closes = (!reopens).then_some(until);
        write(self.store, Kind::Seen, self.no, CLOSES_AFTER, &closes)
    }

    /// Returns the next opening, if the room stays closed to this member at a time of the relay because a pause ended while no
    /// moderator was on duty; `Some(None)` if no opening is known.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn unattended(&mut self, now: Millis) -> Result<Option<Option<Millis>>> {
        if self.state.lane.is_some() {
            return Ok(None);
        }
        let policy = self.policy()?;
        let ended = policy.numbers.paused_until;
        let closes: Option<Option<Millis>> = read(self.store, Kind::Seen, self.no, CLOSES_AFTER)?;
        let moderates = policy.role(&self.me()).moderates();
        if moderates || ended == Millis(0) || ended > now || closes.flatten() != Some(ended) {
            return Ok(None);
        }
        // Whoever came since is here for the others, too.
        if self.on_duty()?.iter().any(|duty| duty.until > ended) {
            return Ok(None);
        }
        let opens = policy.numbers.hours.as_ref().and_then(|hours| hours.next_opening(ended));
        Ok(opens.is_none_or(|opens| opens > now).then_some(opens))
    }

    /// Returns the moderators who said that they are here for the room, and until when by the relay's clock. Some may be over.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn on_duty(&mut self) -> Result<Vec<Duty>> {
        let kept: Option<Vec<Duty>> = read(self.store, Kind::Seen, self.no, ON_DUTY)?;
        let policy = self.policy()?;
        let mut kept = kept.unwrap_or_default();
        kept.retain(|duty| policy.role(&duty.member).moderates());
        Ok(kept)
    }

    /// Queues the word that this moderator is here for the room until a time of the relay; 0: no longer.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn queue_duty(&mut self, until: Millis, now: Millis) -> Result<MessageId> {
        self.check_moderates()?;
        self.queue(Body::Duty(until), Vec::new(), now)
    }

    /// Begins an exercise; nothing is sent.
    ///
    /// # Errors
    /// The refusal of who does not moderate; see [`EngineError`].
    pub fn begin_course(&mut self, stem: String, source: Vec<u8>) -> Result<Course> {
        self.check_moderates()?;
        let course = Course { id: MessageId(random()?), stem, source, step: 0, seq: Seq(0) };
        self.keep_course(Some(&course))?;
        Ok(course)
    }

    /// Returns the exercise that this moderator guides the room through.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn course(&self) -> Result<Option<Course>> {
        read(self.store, Kind::Preference, self.no, COURSE)
    }

    /// Keeps where an exercise is; `None`: it is over.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn keep_course(&self, course: Option<&Course>) -> Result<()> {
        match course {
            Some(course) => write(self.store, Kind::Preference, self.no, COURSE, course),
            None => {
                self.store.delete(Kind::Preference, self.no, COURSE)?;
                Ok(())
            }
        }
    }

    /// Queues the floor as this moderator has it, for who comes in now; `None` if nothing is alive, or this profile lacks entries.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn queue_recap(&mut self, now: Millis) -> Result<Option<MessageId>> {
        if !self.my_role()?.moderates() {
            return Ok(None);
        }
        let recap = self.floor()?.live().filter(|recap| !recap.state.is_empty());
        recap.map(|recap| self.queue(recap.into(), Vec::new(), now)).transpose()
    }

    /// Returns the latest ends of a round and of a question that begin at a time of the relay.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn latest_ends(&mut self, now: Millis) -> Result<(Millis, Millis)> {
        let members = self.floor_members()?.unwrap_or_default();
        // A little less, because the entry comes later than now.
        let ends = |millis: u64| now.plus(millis.saturating_sub(millis / 60));
        Ok((ends(members.life()), ends(members.half_retention())))
    }

    /// Returns the order of a round: those who can hold a turn and do not moderate.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn turn_order(&mut self, order: Order) -> Result<Vec<MemberKey>> {
        let policy = self.policy()?;
        // Also who has a break: an order without their name would tell whose it is.
        let takes_turns = |leaf: &Leaf| {
            let role = policy.role(&leaf.member);
            role.posts() && !role.moderates()
        };
        let mut members: Vec<MemberKey> = self
            .roster()?
            .iter()
            .filter(|leaf| takes_turns(leaf))
            .map(|leaf| leaf.member)
            .collect();
        match order {
            Order::Roster => {}
            Order::Queue => {
                let hands: Vec<MemberKey> =
                    self.floor()?.state().hands.iter().map(|hand| hand.member).collect();
                let place = |member: &MemberKey| hands.iter().position(|hand| hand == member);
                members.sort_by_key(|member| place(member).unwrap_or(usize::MAX));
            }
            Order::Quiet => {
                let words = self.words_of_sitting()?;
                members.sort_by_key(|member| words.get(member).copied().unwrap_or(0));
            }
        }
        members.truncate(ORDER_MAX);
        Ok(members)
    }

    /// Counts each member's words of the sitting that this moderator opened; otherwise, those since nobody wrote for [`SITTING_MILLIS`].
    fn words_of_sitting(&self) -> Result<BTreeMap<MemberKey, usize>> {
        let mut words = BTreeMap::new();
        let begun = self.mine()?.sitting;
        let (mut before, mut later) = (Seq(u64::MAX), None);
        loop {
            let rows = self.history_back(before, PAGE)?;
            let Some(first) = rows.first() else { return Ok(words) };
            before = first.place;
            for row in rows.iter().rev() {
                let (RowContent::Text(text), Some(from)) = (&row.content, row.from) else {
                    continue;
                };
                let gap = |later: Millis| later.0.saturating_sub(row.stamp.0) > SITTING_MILLIS;
                let over = match begun {
                    Some(begun) => row.place <= begun,
                    None => later.replace(row.stamp).is_some_and(gap),
                };
                if over {
                    return Ok(words);
                }
                let count: &mut usize = words.entry(from).or_default();
                *count = count.saturating_add(text.split_whitespace().count());
            }
        }
    }

    /// Returns why the floor ignored an own message.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn ignored(&self, id: &MessageId) -> Result<Option<FloorError>> {
        let row = self.own_message(id)?;
        let why = row.changes.iter().find_map(|change| match change {
            Change::Ignored(why) => Some(*why),
            _ => None,
        });
        Ok(why.map(|why| match why {
            floor::Why::RoundOn => FloorError::RoundOn,
            floor::Why::NoRound => FloorError::NoRound,
            floor::Why::NotHolder => FloorError::NotYourTurn,
            floor::Why::Until => FloorError::Until,
            floor::Why::Order => FloorError::NobodyToTurn,
            floor::Why::Size | floor::Why::TooManyAnswers => FloorError::Size,
            floor::Why::TooManyAsks => FloorError::TooManyAsks,
            floor::Why::NoAsk | floor::Why::NotInTheRoom => FloorError::NotAsked,
            floor::Why::HandIsUp => FloorError::HandIsUp,
            floor::Why::NoHand => FloorError::HandIsDown,
            floor::Why::Choice => FloorError::NoSuchOption,
            floor::Why::Unknown => FloorError::Unknown,
            floor::Why::OldTurn
            | floor::Why::MayNotPost
            | floor::Why::NotModerating
            | floor::Why::RecapPlace => FloorError::TooLate,
        }))
    }
}

/// Takes from a row what the floor ignored: nobody reads of a round, a question or a vote that there is none of.
fn hide_ignored(row: &mut Row, changes: &[Change]) {
    let has = |wanted: fn(&Change) -> bool| changes.iter().any(wanted);
    let counts = match row.content {
        RowContent::Floor(Some(Op::Start { .. })) => has(|c| matches!(c, Change::Began { .. })),
        RowContent::Asked(_) => has(|c| matches!(c, Change::AskOpened)),
        // A vote in what this reader did not see asked may count.
        RowContent::Vote { .. } => {
            !has(|c| matches!(c, Change::Ignored(why) if *why != floor::Why::Unknown))
        }
        _ => true,
    };
    if !counts {
        row.content = RowContent::Floor(None);
    }
}

/// Returns the round that is on, and the number of its turn.
fn this_round(floor: &Floor) -> Result<(Seq, u64)> {
    match &floor.state().round {
        Some(round) => Ok((round.seq, round.turn)),
        None if floor.is_unknown() => Err(FloorError::Unknown.into()),
        None => Err(FloorError::NoRound.into()),
    }
}
