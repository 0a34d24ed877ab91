//! What a policy has besides: a map at its end, so that a later version adds a key and changes no other.

use hearth_protocol::MemberKey;
use minicbor::{Decode, Encode};

use super::{device::KeptPlace, ending::Ending, farewell::Planned, second::Proposal};

/// The map. A key that this version does not know makes the policy another than its canonical bytes, and is refused by that.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct PolicyMore {
    /// Whether a removal takes two moderators; absent: it does not.
    #[n(10)]
    pub two_person: Option<bool>,
    /// What moderators propose; none: absent.
    #[n(11)]
    pub proposals: Option<Vec<Proposal>>,
    /// Places of members whose device is lost; none: absent.
    #[n(12)]
    pub kept: Option<Vec<KeptPlace>>,
    /// The announced end of the group.
    #[n(13)]
    pub ending: Option<Ending>,
    /// Planned goodbyes; none: absent.
    #[n(14)]
    pub farewells: Option<Vec<Planned>>,
}

impl PolicyMore {
    /// Returns the places that are kept for members whose device is lost.
    pub fn kept(&self) -> &[KeptPlace] {
        self.kept.as_deref().unwrap_or_default()
    }

    /// Returns what moderators propose.
    pub fn proposals(&self) -> &[Proposal] {
        self.proposals.as_deref().unwrap_or_default()
    }

    /// Returns the planned goodbyes.
    pub fn farewells(&self) -> &[Planned] {
        self.farewells.as_deref().unwrap_or_default()
    }

    /// Drops a member's planned goodbye.
    pub(super) fn drop_farewell(&mut self, member: &MemberKey) {
        let mut farewells = self.farewells.take().unwrap_or_default();
        farewells.retain(|planned| planned.member != *member);
        self.farewells = (!farewells.is_empty()).then_some(farewells);
    }

    /// Drops a proposal.
    pub(super) fn drop_proposal(&mut self, number: u64) {
        let mut proposals = self.proposals.take().unwrap_or_default();
        proposals.retain(|proposal| proposal.number != number);
        self.proposals = (!proposals.is_empty()).then_some(proposals);
    }
}
