//! Versions of the agreement: issuing, repeating, putting in force, acknowledging.

use hearth_protocol::{Digest, Effect, MemberKey, Millis, Role, Seq};

use super::{Due, RETURN_MILLIS, Result};
use crate::{
    accord::Waits,
    agreement::{AckError, AckTerms, Acknowledgement, Agreement, Change, facilitators_hash},
    content::Body,
    error::EngineError,
    outbox::Submission,
    policy::{Act, AgreementRef, RuleError},
    receive::{ADMITTED, text_name},
    room::{Room, random, random_secret, read},
    state::{OutgoingKind, Standing},
    store::Kind,
};

impl Room<'_> {
    /// Queues the text of a new version of the agreement; [`Act::Amend`] makes it official afterwards.
    ///
    /// # Errors
    /// [`RuleError::NotFacilitator`].
    pub fn queue_amendment(
        &mut self,
        text: String,
        change: Change,
        effective: Millis,
        now: Millis,
    ) -> Result<Agreement> {
        let policy = self.policy()?;
        if policy.role(&self.me()) != Role::Facilitator {
            return Err(RuleError::NotFacilitator.into());
        }
        let old = self.agreement(&policy.agreement.id)?.ok_or(EngineError::DamagedRecord)?;
        let agreement = Agreement {
            format: 1,
            version: policy.next_version(),
            previous: Some(policy.agreement.id),
            change,
            effective,
            language: old.language,
            signer: self.me(),
            salt: random()?,
            text,
        };
        let body = Body::AgreementText {
            agreement: agreement.clone(),
            return_secret: random_secret()?,
            return_expires: now.max(effective).plus(RETURN_MILLIS),
        };
        self.queue(body, Vec::new(), now)?;
        Ok(agreement)
    }

    /// Makes a queued amendment official.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn amend(&mut self, agreement: &Agreement, now: Millis) -> Result<Submission> {
        let act = Act::Amend { agreement: AgreementRef::from(agreement), change: agreement.change };
        let effects = match agreement.change {
            Change::Editorial => {
                vec![Effect::SetAgreement { agreement: agreement.commitment(&self.id()) }]
            }
            _ => Vec::new(),
        };
        self.commit_act(act, now, None, effects)
    }

    /// Puts the pending version into effect: members who did not acknowledge it lapse. Their return invite expires by the relay's
    /// clock.
    ///
    /// # Errors
    /// [`RuleError::NotAcknowledged`] if this profile has not acknowledged it, because enacting signs nothing; [`EngineError::NoText`]
    /// if its text is unknown; see [`EngineError`].
    pub fn enact(&mut self, now: Millis, relay_now: Millis) -> Result<Submission> {
        let policy = self.policy()?;
        let pending = policy.pending.ok_or(RuleError::Nothing)?;
        if !enacts(policy.role(&self.me())) {
            return Err(RuleError::NotFacilitator.into());
        }
        if self.acknowledgement()?.agreement != pending.id {
            return Err(RuleError::NotAcknowledged(AckError::OtherAgreement).into());
        }
        let agreement = self.agreement(&pending.id)?.ok_or(EngineError::NoText)?;
        let back = self.return_invite_of(&pending.id)?.ok_or(EngineError::NoText)?;
        let roster = self.roster()?;
        let stays = |key: &MemberKey| {
            roster.iter().any(|l| l.member == *key && l.acknowledgement.agreement == pending.id)
        };
        let facilitators = policy.doorkeepers().into_iter().filter(stays).collect();
        // Two for each member, because a knock may be declined once.
        let uses = u32::try_from(roster.len()).unwrap_or(u32::MAX).saturating_mul(2);
        let commitment = agreement.commitment(&self.id());
        let mut effects = vec![Effect::SetAgreement { agreement: commitment }];
        let expires = relay_now.plus(RETURN_MILLIS);
        effects.push(self.invite_effect(&back.secret, agreement, uses, expires, facilitators)?);
        self.commit_act(Act::Enact, now, None, effects)
    }

    /// Returns the amendment that is due, if this member is a facilitator and so can put it in force.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn due_amendment(&mut self, now: Millis) -> Result<Option<Due>> {
        let policy = self.policy()?;
        // An open breach comes first.
        let closed = policy.more.breach.is_none();
        let Some(pending) = policy.pending.filter(|pending| closed && pending.effective <= now)
        else {
            return Ok(None);
        };
        if !enacts(policy.role(&self.me())) {
            return Ok(None);
        }
        let known =
            self.agreement(&pending.id)?.is_some() && self.return_invite_of(&pending.id)?.is_some();
        let waits = if !known {
            Some(Waits::NoText)
        } else if self.acknowledgement()?.agreement != pending.id {
            Some(Waits::Unsigned)
        } else {
            None
        };
        Ok(Some(Due { version: pending.version, waits }))
    }

    /// Returns the version of the agreement that awaits my acknowledgement, if any.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn coming_agreement(&mut self) -> Result<Option<Digest>> {
        let mine = self.acknowledgement()?;
        let (current, pending, breach) = match self.policy() {
            Ok(policy) => (policy.agreement, policy.pending, policy.more.breach),
            Err(EngineError::NotMember(_)) => {
                let waits = self.state.standing == Standing::Lapsed;
                return Ok(waits.then_some(self.state.agreement));
            }
            Err(error) => return Err(error),
        };
        // The same version again.
        if breach.is_some() && mine.more.breach != breach {
            return Ok(Some(current.id));
        }
        // A withdrawn draft has a later number than the version in force and counts as much.
        let newest = pending.filter(|p| p.version > mine.version).or(Some(current));
        Ok(newest.filter(|a| a.version > mine.version).map(|a| a.id))
    }

    /// Queues the text of the pending amendment for a newcomer, who joined after it was issued; returns whether there is one.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn queue_coming_text(&mut self, now: Millis) -> Result<bool> {
        let Some(pending) = self.policy()?.pending else { return Ok(false) };
        let back = self.return_invite_of(&pending.id)?;
        let (Some(agreement), Some(back)) = (self.agreement(&pending.id)?, back) else {
            return Ok(false);
        };
        let (return_secret, return_expires) = (back.secret, back.expires);
        let body = Body::AgreementText { agreement, return_secret, return_expires };
        self.queue(body, Vec::new(), now)?;
        Ok(true)
    }

    /// Whether a member was admitted after the last text of the pending amendment in the log, and no moderator repeated it.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn newcomers_lack_text(&mut self) -> Result<bool> {
        let policy = self.policy()?;
        let Some(pending) = policy.pending else { return Ok(false) };
        if !policy.role(&self.me()).moderates() {
            return Ok(false);
        }
        let waits = self.outgoing()?.into_iter().any(|(_, outgoing)| match outgoing.what {
            OutgoingKind::Message { body: Body::AgreementText { agreement, .. }, .. } => {
                agreement.id() == pending.id
            }
            _ => false,
        });
        let text: Option<Seq> = read(self.store, Kind::Pending, self.no, &text_name(&pending.id))?;
        let admitted: Option<Seq> = read(self.store, Kind::Pending, self.no, ADMITTED)?;
        Ok(!waits && admitted > text)
    }

    /// Withdraws the pending amendment; acknowledgements of it stay valid.
    ///
    /// # Errors
    /// [`RuleError::Nothing`] if there is none; see [`EngineError`].
    pub fn withdraw_amendment(&mut self, now: Millis) -> Result<Submission> {
        self.act(Act::Withdraw, now)
    }

    /// Signs an acknowledgement of a version with this room's key.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn sign_acknowledgement(
        &mut self,
        agreement: &Agreement,
        now: Millis,
        answers: Vec<String>,
    ) -> Result<Acknowledgement> {
        let (facilitators, breach) = match self.policy() {
            Ok(policy) => (policy.moderators(), policy.more.breach),
            Err(EngineError::NotMember(_)) => (self.state.pinned.clone(), None),
            Err(error) => return Err(error),
        };
        let terms = AckTerms {
            room: self.id(),
            agreement,
            facilitators: facilitators_hash(&facilitators),
            now,
            nonce: random()?,
            answers,
            breach,
        };
        Ok(Acknowledgement::sign(&self.signing_key(), terms))
    }
}

/// Whether a role puts amendments in force.
const fn enacts(role: Role) -> bool {
    matches!(role, Role::Facilitator | Role::Steward)
}
