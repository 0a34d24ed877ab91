//! Whether a client keeps the room's laws. Every released client does: the other kind exists in tests only, to
//! play a member or a facilitator with a modified client.

use hearth_protocol::RoomId;

use super::{
    gate::{self, CommitView, Expected, Refusal, Verdict, WelcomeView},
    policy::{Applied, Leaf, RoomPolicy, RuleError, Scene},
    record::Record,
};

/// Judge of commits, Welcomes and own acts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Laws {
    /// The gate and the policy judge.
    #[default]
    Kept,
    /// Nothing is judged.
    #[cfg(any(test, feature = "testing"))]
    Broken,
}

impl Laws {
    pub(super) fn are_kept(self) -> bool {
        self == Self::Kept
    }

    /// See [`RoomPolicy::apply`].
    pub(super) fn apply(
        self,
        policy: &RoomPolicy,
        scene: Scene<'_>,
        record: &Record,
    ) -> Result<Applied, RuleError> {
        match self {
            Self::Kept => policy.apply(scene, record),
            #[cfg(any(test, feature = "testing"))]
            Self::Broken => policy.carry_out(scene, record),
        }
    }

    /// See [`gate::check_commit`].
    pub(super) fn check_commit(
        self,
        room: RoomId,
        members_max: usize,
        policy: &RoomPolicy,
        roster: &[Leaf],
        commit: &CommitView,
    ) -> Result<Verdict, Refusal> {
        match self {
            Self::Kept => gate::check_commit(room, members_max, policy, roster, commit),
            #[cfg(any(test, feature = "testing"))]
            Self::Broken => super::lawless::believe_commit(commit),
        }
    }

    /// See [`gate::check_welcome`].
    pub(super) fn check_welcome(
        self,
        view: WelcomeView,
        expected: Expected<'_>,
    ) -> Result<(RoomPolicy, Vec<Leaf>), Refusal> {
        match self {
            Self::Kept => gate::check_welcome(view, expected),
            #[cfg(any(test, feature = "testing"))]
            Self::Broken => super::lawless::believe_welcome(view),
        }
    }
}
