//! What takes two moderators: proposals, told to the other moderators alone, and their confirmation.

use hearth_protocol::{Digest, Effect, MemberKey, MessageId, Millis, codec};
use minicbor::{Decode, Encode};

use super::{Result, by_bytes};
use crate::{
    content::Body,
    error::EngineError,
    note::{Purpose, TimeOut},
    outbox::Submission,
    policy::{
        Act, COMMENT_CHARS_MAX, Category, LONG_TIMEOUT_MILLIS, Proposal, RuleError, Second,
        Weighty, proposal_digest,
    },
    receive::proposed_name,
    room::{Room, random, read},
    store::Kind,
};

/// What a proposal is about, as moderators' clients keep it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Proposed {
    /// The salt of the commitment.
    #[n(0)]
    #[cbor(with = "minicbor::bytes")]
    pub salt: [u8; 16],
    /// What is proposed.
    #[n(1)]
    pub what: Weighty,
    /// The time-out to which it commits, if it is one.
    #[n(2)]
    pub time_out: Option<TimeOut>,
    /// What stays out of the record of a removal, if it is one.
    #[n(3)]
    pub removal: Option<Removing>,
}

/// What a moderator says of a removal to its member and to those who moderate, and to no others.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Removing {
    /// Words to the member.
    #[n(0)]
    pub words: String,
    /// The reason.
    #[n(1)]
    pub category: Category,
}

impl Proposed {
    /// Returns the commitment in the proposing record; `None` if what comes with it belongs to something else.
    pub(crate) fn digest(&self) -> Option<Digest> {
        let commits = match (&self.what, &self.time_out, &self.removal) {
            (Weighty::Timeout(commitment), Some(time_out), None) => {
                time_out.commitment() == *commitment
            }
            (Weighty::Remove { .. }, None, Some(removing)) => {
                removing.words.chars().count() <= COMMENT_CHARS_MAX
            }
            (Weighty::Remember { .. } | Weighty::Off, None, None) => true,
            _ => false,
        };
        commits.then(|| proposal_digest(&self.salt, &self.what))
    }

    /// Returns the member whom it is about.
    pub fn member(&self) -> Option<MemberKey> {
        let time_out = self.time_out.as_ref().map(|time_out| time_out.member);
        self.what.takes_out().or(time_out)
    }
}

impl Room<'_> {
    /// Queues what is proposed as sealed notes for the other moderators. [`Self::propose`] makes it official afterwards.
    ///
    /// # Errors
    /// [`RuleError::NoSecond`] if nobody else moderates; [`RuleError::NotFacilitator`]; see [`EngineError`].
    pub fn queue_proposal(&mut self, what: Weighty, now: Millis) -> Result<Digest> {
        self.queue_proposed(&Proposed { salt: random()?, what, time_out: None, removal: None }, now)
    }

    /// Does the same for a removal. Its member reads the words once it is confirmed.
    ///
    /// # Errors
    /// [`RuleError::TooLong`]; see [`Self::queue_proposal`].
    pub fn queue_proposed_removal(
        &mut self,
        member: MemberKey,
        goodbye: String,
        removing: Removing,
        now: Millis,
    ) -> Result<Digest> {
        if removing.words.chars().count() > COMMENT_CHARS_MAX {
            return Err(RuleError::TooLong.into());
        }
        let what = Weighty::Remove { member, goodbye };
        let removal = Some(removing);
        self.queue_proposed(&Proposed { salt: random()?, what, time_out: None, removal }, now)
    }

    /// Does the same for a time-out that lasts longer than a day. Its member learns of it once it is confirmed.
    ///
    /// # Errors
    /// [`RuleError::TooLong`]; see [`Self::queue_proposal`].
    pub fn queue_proposed_time_out(
        &mut self,
        member: MemberKey,
        until: Millis,
        words: String,
        now: Millis,
    ) -> Result<Digest> {
        if words.chars().count() > COMMENT_CHARS_MAX {
            return Err(RuleError::TooLong.into());
        }
        if self.policy()?.role(&member).moderates() {
            return Err(RuleError::NotFacilitator.into());
        }
        self.leaf(&member)?;
        let time_out = TimeOut { member, until, salt: random()?, words };
        let what = Weighty::Timeout(time_out.commitment());
        self.queue_proposed(
            &Proposed { salt: random()?, what, time_out: Some(time_out), removal: None },
            now,
        )
    }

    fn queue_proposed(&mut self, proposed: &Proposed, now: Millis) -> Result<Digest> {
        let policy = self.policy()?;
        if !policy.role(&self.me()).moderates() {
            return Err(RuleError::NotFacilitator.into());
        }
        if policy.moderators().len() < 2 {
            return Err(RuleError::NoSecond.into());
        }
        let me = self.me();
        let others = self.roster()?.into_iter();
        let others =
            others.filter(|leaf| leaf.member != me && policy.role(&leaf.member).moderates());
        let digest = proposed.digest().ok_or(EngineError::DamagedRecord)?;
        let content = codec::encode(proposed);
        let mut notes = Vec::new();
        for leaf in others {
            notes.extend(self.seal_note(&leaf, Purpose::Proposal, &content, now)?);
        }
        notes.sort_unstable();
        self.change(|room| {
            room.save_proposed(proposed)?;
            for notes in by_bytes(notes) {
                let notes = notes.into_iter().map(Into::into).collect();
                room.queue_within(Body::Sealed { notes }, Vec::new(), now)?;
            }
            Ok(())
        })?;
        Ok(digest)
    }

    /// Makes a proposal official.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn propose(&mut self, digest: Digest, now: Millis) -> Result<Submission> {
        self.act(Act::Second(Second::Propose(digest)), now)
    }

    /// Returns the proposals that can still be confirmed at a time of the relay, with what they are about, where this profile was told.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn proposals(&mut self, now: Millis) -> Result<Vec<(Proposal, Option<Proposed>)>> {
        let policy = self.policy()?;
        let open = policy.more.proposals().iter().filter(|proposal| !proposal.has_lapsed(now));
        open.map(|proposal| Ok((*proposal, self.proposed(&proposal.digest)?))).collect()
    }

    fn proposed(&self, digest: &Digest) -> Result<Option<Proposed>> {
        read(self.store, Kind::Note, self.no, &proposed_name(digest))
    }

    /// Returns what a proposal is about.
    ///
    /// # Errors
    /// [`RuleError::NoProposal`]; [`EngineError::NotTold`] if its note has not reached this profile.
    pub fn proposal(&mut self, number: u64) -> Result<Proposed> {
        let proposal = self.policy()?.proposal(number).copied().ok_or(RuleError::NoProposal)?;
        self.proposed(&proposal.digest)?.ok_or(EngineError::NotTold)
    }

    /// Confirms a proposal of another moderator's, and does what it proposes. The notes of a time-out come before,
    /// see [`Self::queue_confirmed_time_out`].
    ///
    /// # Errors
    /// [`RuleError::NoProposal`]; [`RuleError::OwnProposal`]; see [`EngineError`].
    pub fn confirm(&mut self, number: u64, now: Millis) -> Result<Submission> {
        let Proposed { salt, what, time_out, .. } = self.proposal(number)?;
        let timeout = |TimeOut { member, until, .. }| Effect::Timeout { member, until };
        let effects = time_out.map(timeout).into_iter().collect();
        let act = Act::Second(Second::Confirm { proposal: number, salt, what });
        self.commit_act(act, now, None, effects)
    }

    /// Queues the notes of a time-out that was proposed, for its member and the other moderators; returns whether the proposal is one.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn queue_confirmed_time_out(
        &mut self,
        number: u64,
        now: Millis,
    ) -> Result<Option<MessageId>> {
        match self.proposal(number)?.time_out {
            Some(time_out) => self.queue_time_out_notes(&time_out, now),
            None => Ok(None),
        }
    }
}

/// Whether a time-out takes two moderators.
pub const fn is_long(millis: u64) -> bool {
    millis > LONG_TIMEOUT_MILLIS
}
