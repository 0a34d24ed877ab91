//! The two-person rule: one moderator proposes, another confirms.
//!
//! A proposal is a commitment, so that one that lapses tells no member whom it was about. The confirmation opens it, and every member
//! compares.

use hearth_protocol::{Digest, MemberKey, Millis, codec, hash};
use minicbor::{Decode, Encode};

use super::{Act, Applied, Record, RoomPolicy, RuleError, Scene};

/// Time in which a proposal can be confirmed, by the dates of both records: a day.
pub const PROPOSAL_MILLIS: u64 = 24 * 3_600_000;
/// Proposals that wait at one time.
pub const PROPOSALS_MAX: usize = 16;
/// Length from which a time-out takes two, whatever the room has set: a day.
pub const LONG_TIMEOUT_MILLIS: u64 = 24 * 3_600_000;

/// What two moderators do together.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Weighty {
    /// See [`Act::Remove`].
    #[n(0)]
    Remove {
        /// The member's key.
        #[n(0)]
        member: MemberKey,
        /// Words to the room.
        #[n(1)]
        goodbye: String,
    },
    /// See [`Act::Timeout`]; it lasts longer than [`LONG_TIMEOUT_MILLIS`].
    #[n(1)]
    Timeout(#[n(0)] Digest),
    /// The two-person rule ends.
    #[n(2)]
    Off,
    /// See [`Act::Remember`].
    #[n(3)]
    Remember {
        /// The member's key.
        #[n(0)]
        member: MemberKey,
        /// Words to the room.
        #[n(1)]
        words: String,
    },
}

/// A step of the two-person rule.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Second {
    /// From now on a removal takes two.
    #[n(0)]
    On,
    /// A moderator proposes something. This is [`proposal_digest`] of it.
    #[n(1)]
    Propose(#[n(0)] Digest),
    /// Another moderator confirms it; it is done with this record.
    #[n(2)]
    Confirm {
        /// Number of the proposing record.
        #[n(0)]
        proposal: u64,
        /// The salt of the commitment.
        #[n(1)]
        #[cbor(with = "minicbor::bytes")]
        salt: [u8; 16],
        /// What was proposed.
        #[n(2)]
        what: Weighty,
    },
    /// The proposal is taken back.
    #[n(3)]
    Withdraw {
        /// Number of the proposing record.
        #[n(0)]
        proposal: u64,
    },
}

/// A proposal that waits for a second moderator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Proposal {
    /// Number of the proposing record.
    #[n(0)]
    pub number: u64,
    /// Who proposes.
    #[n(1)]
    pub by: MemberKey,
    /// Date of the proposing record.
    #[n(2)]
    pub at: Millis,
    /// See [`proposal_digest`].
    #[n(3)]
    pub digest: Digest,
}

impl Proposal {
    /// Whether it can be confirmed no longer.
    pub const fn has_lapsed(&self, at: Millis) -> bool {
        self.at.plus(PROPOSAL_MILLIS).0 < at.0
    }
}

/// Returns the commitment to what is proposed.
pub fn proposal_digest(salt: &[u8; 16], what: &Weighty) -> Digest {
    Digest(hash::labelled("hearth proposal v1", &[salt, &codec::encode(what)]))
}

impl Weighty {
    /// Returns the act that it is.
    pub fn act(&self) -> Option<Act> {
        match self {
            Self::Remove { member, goodbye } => {
                Some(Act::Remove { member: *member, goodbye: goodbye.clone() })
            }
            Self::Timeout(commitment) => Some(Act::Timeout(*commitment)),
            Self::Remember { member, words } => {
                Some(Act::Remember { member: *member, words: words.clone() })
            }
            Self::Off => None,
        }
    }

    /// Returns the member whom it takes out.
    pub const fn takes_out(&self) -> Option<MemberKey> {
        match self {
            Self::Remove { member, .. } | Self::Remember { member, .. } => Some(*member),
            Self::Timeout(_) | Self::Off => None,
        }
    }
}

impl Second {
    /// Returns the word in logs and JSON.
    pub(super) const fn as_str(&self) -> &'static str {
        match self {
            Self::On => "two_person_on",
            Self::Propose(_) => "propose",
            Self::Confirm { what: Weighty::Remove { .. }, .. } => "remove",
            Self::Confirm { what: Weighty::Timeout(_), .. } => "timeout",
            Self::Confirm { what: Weighty::Off, .. } => "two_person_off",
            Self::Confirm { what: Weighty::Remember { .. }, .. } => "remember",
            Self::Withdraw { .. } => "withdraw_proposal",
        }
    }

    /// Returns the member whom it takes out.
    pub const fn takes_out(&self) -> Option<MemberKey> {
        match self {
            Self::Confirm { what, .. } => what.takes_out(),
            Self::On | Self::Propose(_) | Self::Withdraw { .. } => None,
        }
    }
}

impl RoomPolicy {
    /// Whether a removal takes two moderators.
    pub fn takes_two(&self) -> bool {
        self.more.two_person == Some(true)
    }

    /// Returns a proposal that waits.
    pub fn proposal(&self, number: u64) -> Option<&Proposal> {
        self.more.proposals().iter().find(|proposal| proposal.number == number)
    }

    /// Whether the actor's role allows a step.
    pub(super) fn allows_second(&self, record: &Record, step: &Second) -> bool {
        let by = |number: &u64| self.proposal(*number).map(|proposal| proposal.by);
        let role = self.role(&record.actor);
        match step {
            Second::On | Second::Propose(_) => role.moderates(),
            Second::Withdraw { proposal } => {
                role.moderates() && by(proposal).is_none_or(|by| by == record.actor)
                    || role == hearth_protocol::Role::Facilitator
            }
            Second::Confirm { what, .. } => match what.act() {
                None => role.moderates(),
                Some(act) => self.allows(&Record { act, ..record.clone() }),
            },
        }
    }

    /// Carries out one step.
    pub(super) fn second(
        &self,
        scene: Scene<'_>,
        record: &Record,
        step: &Second,
        applied: &mut Applied,
    ) -> Result<(), RuleError> {
        match step {
            Second::On => {
                if self.takes_two() {
                    return Err(RuleError::Nothing);
                }
                self.has_two()?;
                applied.policy.more.two_person = Some(true);
            }
            Second::Propose(digest) => {
                self.has_two()?;
                let waits = |proposal: &&Proposal| !proposal.has_lapsed(record.at);
                let mut kept: Vec<Proposal> =
                    self.more.proposals().iter().filter(waits).copied().collect();
                let (by, at) = (record.actor, record.at);
                kept.push(Proposal { number: record.number, by, at, digest: *digest });
                if kept.len() > PROPOSALS_MAX {
                    return Err(RuleError::TooManyProposals);
                }
                applied.policy.more.proposals = Some(kept);
            }
            Second::Withdraw { proposal } => {
                self.proposal(*proposal).ok_or(RuleError::NoProposal)?;
                applied.policy.more.drop_proposal(*proposal);
            }
            Second::Confirm { proposal, salt, what } => {
                self.check_confirmation(record, *proposal, salt, what)?;
                if let Some(act) = what.act() {
                    let inner = Record { act, ..record.clone() };
                    *applied = self.carry_out(scene, &inner)?;
                    applied.policy.record = record.clone();
                } else {
                    applied.policy.more.two_person = None;
                }
                applied.policy.more.drop_proposal(*proposal);
            }
        }
        Ok(())
    }

    /// Checks that another moderator proposed exactly this, not longer than a day before.
    fn check_confirmation(
        &self,
        record: &Record,
        number: u64,
        salt: &[u8; 16],
        what: &Weighty,
    ) -> Result<(), RuleError> {
        let proposal = self.proposal(number).ok_or(RuleError::NoProposal)?;
        if proposal.by == record.actor {
            return Err(RuleError::OwnProposal);
        }
        // Whoever moderates no longer decides nothing any more.
        if !self.role(&proposal.by).moderates() || proposal.has_lapsed(record.at) {
            return Err(RuleError::NoProposal);
        }
        if proposal.digest != proposal_digest(salt, what) {
            return Err(RuleError::OtherProposal);
        }
        Ok(())
    }

    fn has_two(&self) -> Result<(), RuleError> {
        (self.moderators().len() >= 2).then_some(()).ok_or(RuleError::NoSecond)
    }
}
