//! Members who have not said yes yet: the place that is kept for them, and how they come back to it.

use hearth_protocol::{Digest, MemberKey, Role};
use hearth_text::name::Look;
use minicbor::{Decode, Encode};

use super::{Leaf, ROLES_MAX, RoomPolicy, RuleError};
use crate::{agreement::AckError, lane};

/// Places that are kept at most. The one that is kept longest gives way: its member comes back as a newcomer does.
pub const WAITING_MAX: usize = 256;

/// The place that the room keeps for a member until they acknowledge the agreement in force.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Waiter {
    /// The room key.
    #[n(0)]
    pub member: MemberKey,
    /// The display name.
    #[n(1)]
    pub name: String,
    /// The companion's salt, on which the id of the member's lane hangs.
    #[n(2)]
    #[cbor(with = "minicbor::bytes")]
    pub salt: [u8; 16],
    /// The role.
    #[n(3)]
    pub role: Role,
    /// The breach that the next acknowledgement names, if the member waits because of one.
    #[n(4)]
    pub breach: Option<Digest>,
}

impl Waiter {
    /// Checks that a leaf and a role are those that the member had, with the acknowledgement that the room waits for.
    pub(super) fn check(&self, leaf: &Leaf, role: Role) -> Result<(), RuleError> {
        let same = self.name == leaf.name && self.salt == leaf.companion.salt && self.role == role;
        if !same {
            return Err(RuleError::OtherPlace);
        }
        if self.breach.is_some() && leaf.acknowledgement.more.breach != self.breach {
            return Err(RuleError::NotAcknowledged(AckError::BeforeBreach));
        }
        Ok(())
    }
}

impl RoomPolicy {
    /// Returns the members who have not said yes yet.
    pub fn waiting(&self) -> &[Waiter] {
        self.more.waiting.as_deref().unwrap_or_default()
    }

    /// Returns the place that is kept for a member.
    pub fn waiter(&self, member: &MemberKey) -> Option<&Waiter> {
        self.waiting().iter().find(|waiter| waiter.member == *member)
    }

    /// Returns the role of a member, or the one that is kept for them.
    pub fn role_or_kept(&self, member: &MemberKey) -> Role {
        self.waiter(member).map_or_else(|| self.role(member), |waiter| waiter.role)
    }

    /// Whether a name looks like that of a member who waits, `member` apart.
    pub fn waits_alike(&self, member: &MemberKey, name: &Look) -> bool {
        let others = self.waiting().iter().filter(|waiter| waiter.member != *member);
        others.into_iter().any(|waiter| name.is_like(&Look::of(&waiter.name)))
    }

    /// Keeps places for members who go out without having said yes; `before` is the policy in which they had their roles.
    pub(super) fn keep_places(&mut self, leaves: &[&Leaf], before: &Self, breach: Option<Digest>) {
        let mut waiting = self.more.waiting.take().unwrap_or_default();
        waiting.extend(leaves.iter().map(|leaf| Waiter {
            member: leaf.member,
            name: leaf.name.clone(),
            salt: leaf.companion.salt,
            role: before.role(&leaf.member),
            breach,
        }));
        let over = waiting.len().saturating_sub(WAITING_MAX);
        waiting.drain(..over);
        self.more.waiting = (!waiting.is_empty()).then_some(waiting);
    }

    /// Gives up the place that is kept for a member; returns whether there was one.
    pub(super) fn drop_place(&mut self, member: &MemberKey) -> bool {
        let mut waiting = self.more.waiting.take().unwrap_or_default();
        let before = waiting.len();
        waiting.retain(|waiter| waiter.member != *member);
        let dropped = waiting.len() < before;
        self.more.waiting = (!waiting.is_empty()).then_some(waiting);
        dropped
    }

    /// Checks that members, those who wait or whose device is lost among them, have no more roles than the room allows, and leave a seat in each lane for its
    /// owner.
    pub(super) fn keeps_the_bench(&self) -> Result<(), RuleError> {
        let waiting = self.waiting().iter().map(|waiter| waiter.role);
        let roles: Vec<Role> =
            waiting.chain(self.more.kept().iter().map(|place| place.role)).collect();
        let kept = |of: fn(Role) -> bool| roles.iter().filter(|role| of(**role)).count();
        let moderators = self.moderators().len() + kept(Role::moderates);
        if self.desk.is_some() && moderators > lane::BENCH_MAX {
            return Err(RuleError::TooManyModerators);
        }
        if self.roles.len() + kept(|role| role != Role::Member) > ROLES_MAX {
            return Err(RuleError::TooManyRoles);
        }
        Ok(())
    }
}
