//! What the map at the end of a policy holds for ends and proposals.

use hearth_protocol::MemberKey;

use super::{KeptPlace, Planned, PolicyMore, Proposal};

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
