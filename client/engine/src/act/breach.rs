//! A breach, opened and closed; acknowledging the agreement again.

use hearth_protocol::{Digest, MemberKey, Millis, Role, invite};

use super::{RETURN_MILLIS, Result};
use crate::{
    agreement::AckError,
    error::EngineError,
    outbox::Submission,
    policy::{Act, Record, RuleError},
    receive::return_name,
    room::{Room, random_secret, write},
    state::{KnownInvite, ReturnInvite},
    store::Kind,
};

/// An acknowledgement is renewed in its last 30 days.
pub const RENEW_MILLIS: u64 = 30 * 24 * 3600 * 1000;

impl Room<'_> {
    /// Opens a breach: the room is paused, with new keys, until it is closed.
    ///
    /// # Errors
    /// [`RuleError::BreachOpen`] if one is open; see [`EngineError`].
    pub fn open_breach(&mut self, words: String, now: Millis) -> Result<Submission> {
        let return_secret = random_secret()?;
        self.commit_act(Act::OpenBreach { words, return_secret }, now, None, Vec::new())
    }

    /// Closes a breach: members who have not acknowledged again go out and keep their places. Their return invite expires by the
    /// relay's clock.
    ///
    /// # Errors
    /// [`RuleError::Nothing`] if none is open; [`RuleError::NotAcknowledged`] if this profile has not acknowledged again; see
    /// [`EngineError`].
    pub fn close_breach(
        &mut self,
        words: String,
        now: Millis,
        relay_now: Millis,
    ) -> Result<Submission> {
        let policy = self.policy()?;
        let breach = policy.more.breach.ok_or(RuleError::Nothing)?;
        if policy.role(&self.me()) != Role::Facilitator {
            return Err(RuleError::NotFacilitator.into());
        }
        if self.acknowledgement()?.more.breach != Some(breach) {
            return Err(RuleError::NotAcknowledged(AckError::BeforeBreach).into());
        }
        let agreement = self.agreement(&policy.agreement.id)?.ok_or(EngineError::NoText)?;
        let back = self.return_invite_of(&policy.agreement.id)?.ok_or(EngineError::NoText)?;
        let roster = self.roster()?;
        let (stay, go): (Vec<_>, Vec<_>) =
            roster.into_iter().partition(|leaf| leaf.acknowledgement.more.breach == Some(breach));
        let mut effects = Vec::new();
        if !go.is_empty() {
            let stays = |key: &MemberKey| stay.iter().any(|leaf| leaf.member == *key);
            let facilitators = policy.doorkeepers().into_iter().filter(stays).collect();
            // Two for each, because a knock may be declined once.
            let uses = u32::try_from(go.len()).unwrap_or(u32::MAX).saturating_mul(2);
            let expires = relay_now.plus(RETURN_MILLIS);
            effects.push(self.invite_effect(
                &back.secret,
                agreement,
                uses,
                expires,
                facilitators,
            )?);
        }
        self.commit_act(Act::CloseBreach { words }, now, None, effects)
    }

    /// Stores the invite by which members return who are out when a breach is closed.
    pub(crate) fn take_return_invite(&mut self, record: &Record, agreement: Digest) -> Result<()> {
        let Act::OpenBreach { return_secret, .. } = &record.act else { return Ok(()) };
        let (secret, expires) = (return_secret.clone(), record.at.plus(RETURN_MILLIS));
        let id = invite::invite_id(&invite::invite_token(&secret));
        let known = KnownInvite {
            invite: id,
            knock_key: invite::knock_key(&secret),
            role: Role::Member,
            expires,
            by: record.actor,
            // Its preview is made when the breach is closed.
            vouched: None,
            of: None,
        };
        write(self.store, Kind::Invite, self.no, id.as_bytes(), &known)?;
        let back = ReturnInvite { agreement, secret, expires };
        write(self.store, Kind::Pending, self.no, &return_name(&agreement), &back)
    }

    /// Returns the breach that my next acknowledgement names: the one that put me out, if the log ends with it.
    pub(crate) fn breach_of_mine(&self) -> Result<Option<Digest>> {
        let mut newest = self.log()?.into_iter().rev();
        if !matches!(newest.next().map(|record| record.act), Some(Act::CloseBreach { .. })) {
            return Ok(None);
        }
        let opened = newest.find(|record| matches!(record.act, Act::OpenBreach { .. }));
        Ok(opened.map(|record| record.digest()))
    }

    /// Returns why this member is asked for another acknowledgement of the version that they acknowledged, if they are. `now` is read by
    /// nobody else.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn renewal_is_due(&mut self, now: Millis) -> Result<Option<Renewal>> {
        let (policy, mine) = (self.policy()?, self.acknowledgement()?);
        if policy.more.breach.is_some() && mine.more.breach != policy.more.breach {
            return Ok(Some(Renewal::Breach));
        }
        // Another version that waits takes its place.
        if self.coming_agreement()?.is_some() {
            return Ok(None);
        }
        let due = mine.expires <= now.plus(RENEW_MILLIS);
        Ok(due.then_some(Renewal::Year { expires: mine.expires }))
    }
}

/// Why a member is asked to acknowledge again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// A breach is open.
    Breach,
    /// The acknowledgement ends at this time, or has ended.
    Year {
        /// The end.
        expires: Millis,
    },
}
