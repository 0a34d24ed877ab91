//! Anonymous shares of a room of this profile: offering, releasing, showing and taking back.

use hearth_protocol::{MemberKey, MessageId, Millis, Role, RoomId, Seq};

use super::{
    APART_MILLIS, Plan, STALE_MILLIS, Share, Stage, Step, WRITERS_MIN, apart_from, due_at,
    shared_text, shares, writers,
};
use crate::{
    content::Body,
    error::EngineError,
    lane::Lane,
    private::{Private, Seen, SeenState},
    room::{Room, random, read, write},
    state::{Row, RowContent},
    store::Kind,
    turns::FloorError,
};

type Result<T, E = EngineError> = std::result::Result<T, E>;

/// Names the record of the shares that this moderator said yes to.
const PLANS: &[u8] = b"shares";
/// Plans kept at most.
const PLANS_MAX: usize = 64;
/// Rows of history read at once.
const PAGE: usize = 256;

/// What a moderator's client did about shares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShareStep {
    /// Whether messages went into the outbox.
    pub queued: bool,
    /// When the next share is due, by the relay's clock.
    pub next: Option<Millis>,
}

/// Where a share is, as a moderator's device knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// No moderator has answered.
    Waits,
    /// This device shows it, not before that time of the relay.
    Planned(Millis),
    /// This device would have shown it, but too few could have written it.
    TooFew,
    /// This device has shown it, or it is in the outbox.
    Here,
    /// A moderator said yes; that moderator's device shows it.
    Elsewhere(MemberKey),
}

impl Room<'_> {
    /// Checks that a share of this member would not name them.
    ///
    /// # Errors
    /// [`EngineError::TooFewWriters`]; see [`EngineError`].
    pub fn check_share(&mut self) -> Result<()> {
        let me = self.me();
        let could = self.writers_since(None)?;
        let enough = could.contains(&me) && could.len() >= WRITERS_MIN;
        enough.then_some(()).ok_or(EngineError::TooFewWriters(could.len()))
    }

    /// Returns the shares that wait for an answer or for their time, in the order of their writing; in my own lane if I do not moderate.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn open_shares(&mut self) -> Result<Vec<(Share, Shown)>> {
        let plans = self.share_plans()?;
        let policy = self.policy()?;
        let mut all = Vec::new();
        for lane in self.lanes()? {
            for share in lane.shares()? {
                let plan = plans.iter().find(|plan| plan.message == share.message);
                let shown = match (&share.stage, plan.map(|plan| (plan.step, plan.due))) {
                    (Stage::Recalled | Stage::Returned { .. }, _) => continue,
                    (Stage::Waits, _) => Shown::Waits,
                    // Nobody shows what somebody said yes to who no longer moderates.
                    (Stage::Released { by, .. }, None) if !policy.role(by).moderates() => {
                        Shown::Waits
                    }
                    (Stage::Released { by, .. }, plan) if *by == self.me() => match plan {
                        Some((Step::Waits, due)) => Shown::Planned(due),
                        Some((Step::TooFew, _)) => Shown::TooFew,
                        Some((Step::Shown(_), _)) => Shown::Here,
                        None => Shown::Elsewhere(*by),
                    },
                    (Stage::Released { by, .. }, _) => Shown::Elsewhere(*by),
                };
                all.push((share, shown));
            }
        }
        all.sort_by_key(|(share, _)| (share.at, share.message));
        Ok(all)
    }

    /// Says yes to a share: this device shows it after a random time, once the returned word is in its lane's log, where its author reads
    /// it.
    ///
    /// # Errors
    /// [`FloorError::NobodyOnDuty`]; [`EngineError::TooFewWriters`]; [`EngineError::NoShare`] if it is not there, was taken back, or
    /// another moderator's device is about to show it.
    pub fn release_share(&mut self, lane: RoomId, message: &MessageId) -> Result<Private> {
        self.check_moderates_shares()?;
        let there = self.relay_time();
        self.check_duty(there)?;
        let lane = self.lane(lane)?.ok_or(EngineError::NoLanes)?;
        let known = lane.shares()?.into_iter().find(|known| known.message == *message);
        let known = known.ok_or(EngineError::NoShare)?;
        let mut plans = self.share_plans()?;
        let plan = plans.iter().position(|plan| plan.message == *message);
        let free = match known.stage {
            Stage::Waits | Stage::Returned { .. } => true,
            Stage::Recalled => false,
            Stage::Released { by, at } => {
                let mine = by == self.me() && plan.is_none();
                mine || !self.policy()?.role(&by).moderates() || at.plus(STALE_MILLIS) <= there
            }
        };
        let is_shown = plan.and_then(|at| plans.get(at));
        let is_shown = is_shown.is_some_and(|plan| matches!(plan.step, Step::Shown(_)));
        if !free || is_shown {
            return Err(EngineError::NoShare);
        }
        self.check_writers(&known)?;
        plans.retain(|plan| plan.message != *message);
        if plans.len() >= PLANS_MAX {
            return Err(EngineError::OutboxFull);
        }
        let due = due_at(there, u64::from_be_bytes(random()?));
        let Share { lane: id, message, place, .. } = known;
        plans.push(Plan { lane: id, message, place, due, step: Step::Waits });
        // First on disk: without the lane's word for it, a plan shows nothing.
        write(self.store, Kind::Care, self.no, PLANS, &plans)?;
        Ok(Private::Seen(Seen { message, state: SeenState::Resolved, words: String::new() }))
    }

    /// Shows what is due, and takes back what its author took back. A moderator's client calls it after each entry, and when
    /// [`ShareStep::next`] comes; `there` is the relay's time as it says now.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn step_shares(&mut self, now: Millis, there: Millis) -> Result<ShareStep> {
        let mut plans = self.share_plans()?;
        let mut step = ShareStep::default();
        if plans.is_empty() || !self.my_role()?.moderates() {
            return Ok(step);
        }
        // Several that are due at once come in no order of theirs.
        for at in (1..plans.len()).rev() {
            let other = u64::from_be_bytes(random()?) % (at as u64 + 1);
            plans.swap(at, usize::try_from(other).unwrap_or(at));
        }
        let lanes = self.lanes()?;
        for plan in plans {
            let lane = lanes.iter().find(|lane| lane.id() == plan.lane);
            let fate = self.fate(&plan, lane, there)?;
            match fate {
                Fate::Later(due) => {
                    step.next = Some(step.next.map_or(due, |next| next.min(due)));
                }
                Fate::Stays => {}
                Fate::Forget => self.replan(&plan, None)?,
                Fate::TooFew => self.replan(&plan, Some(Plan { step: Step::TooFew, ..plan }))?,
                Fate::Show(text) => {
                    step.queued = true;
                    self.change(|room| {
                        let id = room.queue_within(Body::Shared(text), Vec::new(), now)?;
                        room.replan(&plan, Some(Plan { step: Step::Shown(id), ..plan }))
                    })?;
                }
                Fate::TakeBack(id) => step.queued |= self.take_back(&plan, &id, now)?,
            }
        }
        Ok(step)
    }

    /// Decides what becomes of a plan.
    fn fate(&mut self, plan: &Plan, lane: Option<&Lane<'_>>, there: Millis) -> Result<Fate> {
        let Some(lane) = lane else { return Ok(Fate::Forget) };
        let share = lane.shares()?.into_iter().find(|share| share.message == plan.message);
        let recalled = match &share {
            Some(share) => share.stage == Stage::Recalled,
            // Retracted in the lane, which says the same; or expired there.
            None => lane.has_row(plan.place)?,
        };
        Ok(match (plan.step, share) {
            (Step::Shown(id), _) if recalled => Fate::TakeBack(id),
            (Step::Shown(_), Some(_)) => Fate::Stays,
            (_, None) => Fate::Forget,
            (_, Some(_)) if recalled => Fate::Forget,
            (Step::TooFew, _) => Fate::Stays,
            (Step::Waits, Some(share)) => match share.stage {
                // My yes is not in the lane's log yet.
                Stage::Waits => Fate::Stays,
                Stage::Released { by, .. } if by == self.me() => {
                    self.fate_of(plan, &share, there)?
                }
                _ => Fate::Forget,
            },
        })
    }

    fn fate_of(&mut self, plan: &Plan, share: &Share, there: Millis) -> Result<Fate> {
        let due = apart_from(plan.due, self.last_post(&share.author, there)?);
        if due > there {
            return Ok(Fate::Later(due));
        }
        if self.check_duty(there).is_err() {
            return Ok(Fate::Stays);
        }
        match self.check_writers(share) {
            Ok(()) => Ok(Fate::Show(shared_text(&share.text))),
            Err(EngineError::TooFewWriters(_)) => Ok(Fate::TooFew),
            Err(error) => Err(error),
        }
    }

    /// Takes a share back that went out: from the outbox if nobody has it yet, otherwise as any own message. Returns whether a
    /// retraction waits to be sent.
    fn take_back(&mut self, plan: &Plan, id: &MessageId, now: Millis) -> Result<bool> {
        match self.own_message(id) {
            Ok(row) if matches!(row.content, RowContent::Shared(_)) => {
                let seq = self.present_seq(&row)?.unwrap_or(row.seq);
                self.queue_own_retraction(seq, now)?;
                self.replan(plan, None)?;
                Ok(true)
            }
            Ok(_) => self.replan(plan, None).map(|()| false),
            Err(EngineError::NoSuchMessage(_)) => {
                let waits = self.number_of(id)?;
                if waits.is_none() || (!self.is_under_way(id)? && self.drop_shared(id)?) {
                    self.replan(plan, None)?;
                }
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Drops a share from the outbox; returns whether it was there.
    fn drop_shared(&mut self, id: &MessageId) -> Result<bool> {
        match self.number_of(id)? {
            Some(number) => self.change(|room| room.delete_outgoing(number)),
            None => Ok(false),
        }
    }

    fn share_plans(&self) -> Result<Vec<Plan>> {
        Ok(read(self.store, Kind::Care, self.no, PLANS)?.unwrap_or_default())
    }

    fn replan(&self, plan: &Plan, to: Option<Plan>) -> Result<()> {
        let mut plans = self.share_plans()?;
        plans.retain(|other| other.message != plan.message);
        plans.extend(to);
        write(self.store, Kind::Care, self.no, PLANS, &plans)
    }

    fn check_moderates_shares(&mut self) -> Result<()> {
        let moderates = self.my_role()?.moderates();
        moderates.then_some(()).ok_or_else(|| crate::policy::RuleError::NotFacilitator.into())
    }

    fn check_duty(&mut self, there: Millis) -> Result<()> {
        let on_duty = self.on_duty()?.iter().any(|duty| duty.until > there);
        on_duty.then_some(()).ok_or_else(|| FloorError::NobodyOnDuty.into())
    }

    fn check_writers(&mut self, share: &Share) -> Result<()> {
        let could = self.writers_since(Some(share.at))?;
        let enough = could.contains(&share.author) && could.len() >= WRITERS_MIN;
        enough.then_some(()).ok_or(EngineError::TooFewWriters(could.len()))
    }

    /// Returns those who could have written something at a time of the relay; `None`: now.
    fn writers_since(&mut self, since: Option<Millis>) -> Result<Vec<MemberKey>> {
        let policy = self.policy()?;
        let leaves = self.roster()?.into_iter();
        let members: Vec<(MemberKey, Role)> =
            leaves.map(|leaf| (leaf.member, policy.role(&leaf.member))).collect();
        let Some(since) = since else { return Ok(writers(&members, &[], Millis(0))) };
        let rows = self.rows_since(since)?;
        Ok(writers(&members, &rows, since))
    }

    /// Returns when a member last posted in the room, within the time that matters.
    fn last_post(&self, member: &MemberKey, there: Millis) -> Result<Option<Millis>> {
        let since = Millis(there.0.saturating_sub(APART_MILLIS));
        let rows = self.rows_since(since)?;
        let posts = rows.iter().filter(|row| row.from == Some(*member) && row.id.is_some());
        Ok(posts.map(|row| row.stamp).max())
    }

    /// Returns the rows of the history from a time of the relay on, newest first.
    fn rows_since(&self, since: Millis) -> Result<Vec<Row>> {
        let (mut before, mut found) = (Seq(u64::MAX), Vec::new());
        loop {
            let rows = self.history_back(before, PAGE)?;
            let Some(first) = rows.first() else { return Ok(found) };
            before = first.place;
            for row in rows.into_iter().rev() {
                // What expired unread has no time.
                if row.stamp < since && row.stamp > Millis(0) {
                    return Ok(found);
                }
                found.push(row);
            }
        }
    }
}

/// What becomes of a plan now.
enum Fate {
    /// It waits until that time at least.
    Later(Millis),
    /// It waits for somebody's act, or is done.
    Stays,
    /// It is over.
    Forget,
    /// It does not show.
    TooFew,
    /// It shows, with these words.
    Show(String),
    /// It showed under this id, and its author took it back.
    TakeBack(MessageId),
}

impl Lane<'_> {
    /// Returns the shares of this lane.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn shares(&self) -> Result<Vec<Share>> {
        let rows = self.room().history(Seq(0), usize::MAX)?;
        Ok(shares(self.id(), &rows))
    }

    fn has_row(&self, place: Seq) -> Result<bool> {
        Ok(self.room().row_at(place)?.is_some())
    }
}
