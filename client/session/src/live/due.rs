//! What is due and nobody asked for: departures, renewals, amendments, comparing the relay with the log.

use hearth_engine::{
    EngineError, Room,
    accord::Waits,
    policy::{Act, RuleError},
    state::Standing,
};
use hearth_protocol::{RejectCode, Role};

use super::{Live, LiveError, Result};
use crate::connection::RequestError;

impl<'s> Live<'s> {
    /// Does what is due and nobody asked for: carries out departures, renews keys, enacts an amendment.
    ///
    /// # Errors
    /// See [`LiveError`].
    pub async fn tend(&mut self) -> Result<()> {
        if self.room.state().standing.keeps_lane() {
            return Box::pin(self.tend_waiting()).await;
        }
        if self.room.state().standing != Standing::Member {
            return Ok(());
        }
        let moment = self.moment();
        if self.room.end_if_over(moment)? {
            return Err(LiveError::NotInside(self.room.state().standing.clone()));
        }
        self.room.erase_expired(moment)?;
        if self.room.cursor().split.is_some() {
            // What is due would be done in a room that may not be the others'.
            return Ok(());
        }
        match self.do_what_is_due().await {
            // What does not agree is told, and nothing is due before a facilitator has put it back.
            Ok(()) | Err(LiveError::EpochTakenBack) => {}
            // Nobody asked for it, and it goes on by itself.
            Err(LiveError::Unanswered(error)) => return Err(error.into()),
            Err(error) => return Err(error),
        }
        self.compare_if_due().await?;
        if self.room.state().standing != Standing::Member {
            return Ok(());
        }
        self.let_back_in().await?;
        // First, because a note may bring keys for a seat in a lane.
        self.tend_notes().await?;
        self.tend_lanes().await
    }

    pub(super) async fn do_what_is_due(&mut self) -> Result<()> {
        // What a killed process left behind comes first: a commit of ours may stand in the way of everything.
        self.flush_commits_first().await?;
        let role = self.room.my_role()?;
        let moderates = role.moderates();
        if role.admits() {
            self.carry_out_departures().await?;
            self.enact_if_due().await?;
            if self.room.state().standing != Standing::Member {
                return Ok(());
            }
        }
        if moderates {
            // Once over each connection, because whoever admits somebody, or amends, repeats the text first. It goes out with what waits.
            if !std::mem::replace(&mut self.looked_for_newcomers, true)
                && self.room.newcomers_lack_text()?
            {
                self.room.queue_coming_text(self.earlier_now())?;
            }
            self.room.pass_for_break()?;
            if self.room.recap_is_due()? {
                self.room.queue_recap(self.earlier_now())?;
            }
        }
        let (renewed, now) = (self.room.state().renewed_at, self.room.now());
        // A clock that was ahead at the last one must not put the next one off.
        let due = renewed.plus(RENEWAL_MILLIS) <= now || renewed > now.plus(RENEWAL_MILLIS);
        if due && self.room.roster()?.len() > 1 {
            match self.commit_unasked(|room, now| room.renew(None, now)).await {
                // A renewal is not worth failing a command for: it is due again with the next one.
                Ok(_)
                | Err(
                    LiveError::TooManyRaces
                    | LiveError::Refused { .. }
                    | LiveError::LeftBehind
                    | LiveError::Engine(EngineError::Rule(_) | EngineError::Refused(_)),
                ) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Puts an amendment in force that is due. One that waits for a signature, or that the relay or a rule refuses, is told once and
    /// stops nothing else.
    pub(super) async fn enact_if_due(&mut self) -> Result<()> {
        let Some(due) = self.room.due_amendment(self.moment().earlier())? else {
            return Ok(self.room.amendment_waits(None)?);
        };
        if let Some(waits) = due.waits {
            return Ok(self.room.amendment_waits(Some((due.version, waits)))?);
        }
        if self.refused_version == Some(due.version) {
            return Ok(());
        }
        match self.enact().await {
            // Somebody else may have been faster.
            Ok(_) | Err(LiveError::Engine(EngineError::Rule(RuleError::Nothing))) => {
                Ok(self.room.amendment_waits(None)?)
            }
            Err(error) if error.is_connection() => Err(error),
            // It is due still when this profile comes again.
            Err(
                LiveError::TooManyRaces
                | LiveError::Refused {
                    code:
                        RejectCode::RateLimited | RejectCode::QuotaSpent | RejectCode::StoreUnavailable,
                    ..
                },
            ) => Ok(()),
            Err(
                LiveError::Refused { .. }
                | LiveError::Engine(EngineError::Rule(_) | EngineError::Refused(_)),
            ) => {
                if self.room.state().standing != Standing::Member {
                    return Ok(());
                }
                // The relay looks at its roster before it compares epochs.
                self.head = self.head.max(self.status().await?.head);
                self.catch_up().await?;
                let standing = &self.room.state().standing;
                if *standing == Standing::Member
                    && self.room.due_amendment(self.moment().earlier())? == Some(due)
                {
                    self.refused_version = Some(due.version);
                    self.room.amendment_waits(Some((due.version, Waits::Refused)))?;
                }
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Lets members back in who wait and have said yes: nobody has to see to it. One whose knock is not good, or that a rule refuses, is
    /// left to a person.
    pub(super) async fn let_back_in(&mut self) -> Result<()> {
        let policy = self.room.policy()?;
        let mine = policy.role(&self.room.me());
        let idle = policy.waiting().is_empty() || policy.more.breach.is_some();
        if !mine.admits() || idle || !std::mem::take(&mut self.knocked) {
            return Ok(());
        }
        for (_, opened) in self.knocks().await? {
            let Some(knock) = opened.ok().filter(|knock| knock.back) else { continue };
            let may = mine == Role::Facilitator
                || (mine.moderates() && !knock.role.admits())
                || knock.role == Role::Member;
            if !may {
                continue;
            }
            match Box::pin(self.admit(&knock)).await {
                // Somebody else may have been faster.
                Ok(_)
                | Err(
                    LiveError::TooManyRaces
                    | LiveError::Refused { .. }
                    | LiveError::Request(RequestError::Rejected { .. })
                    | LiveError::Engine(
                        EngineError::Rule(_)
                        | EngineError::Refused(_)
                        | EngineError::NotVouched(_)
                        | EngineError::NameTaken
                        | EngineError::Acknowledgement(_),
                    ),
                ) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Carries out open departures. One that the relay or a rule refuses is told once and left to those who moderate: it stops
    /// neither the others nor anything else.
    pub(super) async fn carry_out_departures(&mut self) -> Result<()> {
        for departure in self.room.open_departures()? {
            let lately = self.room.is_departure_refused(&departure.member, self.room.now())?;
            // Who moderates may do what plain members may not: their client tries once over each connection.
            let leave_it = lately && !self.room.my_role()?.moderates();
            if leave_it || self.refused.contains(&departure) {
                continue;
            }
            let act = |room: &mut Room<'s>, now| {
                let still_open = room.open_departures()?.contains(&departure);
                let act = Act::Depart(departure.clone());
                if still_open { room.act(act, now) } else { Err(EngineError::Busy) }
            };
            match self.commit_unasked(act).await {
                // Somebody else carried it out meanwhile.
                Ok(_) | Err(LiveError::Engine(EngineError::Busy)) => {}
                // The others are as fast, or the relay is busy: it is open still when this profile comes again.
                Err(
                    LiveError::TooManyRaces
                    | LiveError::Refused {
                        code:
                            RejectCode::RateLimited
                            | RejectCode::QuotaSpent
                            | RejectCode::StoreUnavailable
                            | RejectCode::ShuttingDown,
                        ..
                    },
                ) => break,
                Err(
                    LiveError::Refused { .. }
                    | LiveError::Engine(EngineError::Rule(_) | EngineError::Refused(_)),
                ) => {
                    // Somebody may have been faster: the relay looks at its roster before it compares epochs.
                    self.head = self.head.max(self.status().await?.head);
                    self.catch_up().await?;
                    if self.room.open_departures()?.contains(&departure) {
                        self.room.departure_refused(&departure, self.room.now())?;
                        self.refused.push(departure);
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Compares if something says that it is time.
    pub(super) async fn compare_if_due(&mut self) -> Result<()> {
        let due = self.compared.is_none_or(|(at, seq)| {
            let now = self.room.now();
            let is_over = now < at || now >= at.plus(COMPARE_MILLIS);
            is_over && self.room.cursor().seq > seq
        });
        if due {
            self.compare().await?;
        }
        Ok(())
    }
}

/// Members renew their leaf this often: a week. (A leaf that never commits can't be joined to after 84 days.)
pub(super) const RENEWAL_MILLIS: u64 = 7 * 24 * 3600 * 1000;

/// While entries come, what the relay enforces is compared with the log this often: a minute.
pub(super) const COMPARE_MILLIS: u64 = 60 * 1000;
