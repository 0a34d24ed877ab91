//! A lost device: the old key goes at once, and the member's place is kept until a new device takes it.

use hearth_protocol::{Digest, MemberKey, Role, Signature};
use minicbor::{Decode, Encode};

use super::{Applied, Record, RoomPolicy, RuleError, Scene, act::Admission};

/// Places that are kept at one time.
pub const KEPT_MAX: usize = 16;

/// A step by which a member changes to another device.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Device {
    /// The old device is out, and the member's name and role are kept for a new one. The commit removes exactly that leaf.
    #[n(0)]
    Lost {
        /// The old device's key.
        #[n(0)]
        member: MemberKey,
    },
    /// A new device takes the place. The commit adds exactly that leaf.
    #[n(1)]
    Replaced {
        /// The old device's key.
        #[n(0)]
        lost: MemberKey,
        /// The new leaf's key.
        #[n(1)]
        member: MemberKey,
        /// Digest of the acknowledgement in that leaf.
        #[n(2)]
        acknowledgement: Digest,
        /// The actor's signature over [`crate::agreement::countersign_transcript`].
        #[n(3)]
        countersignature: Signature,
    },
    /// The place is kept no longer.
    #[n(2)]
    GivenUp {
        /// The old device's key.
        #[n(0)]
        lost: MemberKey,
    },
}

/// The place of a member whose device is lost.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct KeptPlace {
    /// The old device's key.
    #[n(0)]
    pub lost: MemberKey,
    /// The member's name, which nobody else can take meanwhile.
    #[n(1)]
    pub name: String,
    /// The member's role.
    #[n(2)]
    pub role: Role,
}

impl Device {
    /// Returns the word in logs and JSON.
    pub(super) const fn as_str(&self) -> &'static str {
        match self {
            Self::Lost { .. } => "device_lost",
            Self::Replaced { .. } => "device_replaced",
            Self::GivenUp { .. } => "device_given_up",
        }
    }

    /// Returns the member that the step names.
    pub const fn target(&self) -> MemberKey {
        match self {
            Self::Lost { member } | Self::Replaced { member, .. } => *member,
            Self::GivenUp { lost } => *lost,
        }
    }

    /// Returns the admission that the step is, if it is one.
    pub(super) const fn admission(&self) -> Option<Admission> {
        match self {
            Self::Replaced { member, acknowledgement, countersignature, .. } => Some(Admission {
                member: *member,
                acknowledgement: *acknowledgement,
                countersignature: *countersignature,
            }),
            Self::Lost { .. } | Self::GivenUp { .. } => None,
        }
    }
}

impl RoomPolicy {
    /// Returns the place that is kept for a lost device's member.
    pub fn kept_place(&self, lost: &MemberKey) -> Option<&KeptPlace> {
        self.more.kept().iter().find(|place| place.lost == *lost)
    }

    /// Returns the role of the member whose device a step is about.
    pub(super) fn role_of_device(&self, step: &Device) -> Role {
        match step {
            Device::Lost { member } => self.role(member),
            Device::Replaced { lost, .. } | Device::GivenUp { lost } => {
                self.kept_place(lost).map_or(Role::Member, |place| place.role)
            }
        }
    }

    /// Carries out one step.
    pub(super) fn change_device(
        &self,
        scene: Scene<'_>,
        record: &Record,
        step: &Device,
        applied: &mut Applied,
    ) -> Result<(), RuleError> {
        let next = &mut applied.policy;
        match step {
            Device::Lost { member } => {
                let leaf = scene.roster.iter().find(|leaf| leaf.member == *member);
                let name = leaf.ok_or(RuleError::NoSuchMember)?.name.clone();
                let (lost, role) = (*member, self.role(member));
                next.take_out(scene, lost)?;
                let kept = next.more.kept.get_or_insert_default();
                kept.push(KeptPlace { lost, name, role });
                if kept.len() > KEPT_MAX {
                    return Err(RuleError::TooManyKept);
                }
                applied.removed = vec![lost];
            }
            Device::Replaced { lost, .. } => {
                let place = next.give_up_place(lost)?;
                let leaf = scene.added.ok_or(RuleError::NoSuchMember)?;
                // Nobody comes back as somebody else.
                if leaf.name != place.name {
                    return Err(RuleError::OtherName);
                }
                if self.waiter(&leaf.member).is_some() {
                    return Err(RuleError::NotReturning);
                }
                let admission = step.admission().ok_or(RuleError::Nothing)?;
                // Judged by the policy without the place, which would count as one more member.
                next.admit(scene, record, leaf, admission)?;
                next.give_role(leaf.member, place.role)?;
                applied.added = Some(leaf.member);
            }
            Device::GivenUp { lost } => {
                next.give_up_place(lost)?;
            }
        }
        Ok(())
    }

    fn give_up_place(&mut self, lost: &MemberKey) -> Result<KeptPlace, RuleError> {
        let mut kept = self.more.kept.take().unwrap_or_default();
        let at = kept.iter().position(|place| place.lost == *lost);
        let place = at.map(|at| kept.remove(at));
        self.more.kept = (!kept.is_empty()).then_some(kept);
        place.ok_or(RuleError::NoSuchMember)
    }
}
