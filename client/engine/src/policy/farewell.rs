//! Planned goodbyes, and the place of a member who died.

use hearth_protocol::{MemberKey, Millis};
use minicbor::{Decode, Encode};

use super::{Applied, COMMENT_CHARS_MAX, Record, RoomPolicy, RuleError, Scene, act::bounded};

/// Goodbyes that are planned at one time.
pub const FAREWELLS_MAX: usize = 16;

/// A step of a planned goodbye.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Farewell {
    /// The member's time in the room ends at a time.
    #[n(0)]
    Announced {
        /// The member's key.
        #[n(0)]
        member: MemberKey,
        /// The time from which the place can be ended.
        #[n(1)]
        on: Millis,
        /// Words to the room.
        #[n(2)]
        words: String,
    },
    /// The member stays.
    #[n(1)]
    CalledOff {
        /// The member's key.
        #[n(0)]
        member: MemberKey,
    },
    /// The goodbye was said: the place ends. The commit removes exactly that leaf.
    #[n(2)]
    Said {
        /// The member's key.
        #[n(0)]
        member: MemberKey,
    },
}

/// A goodbye that is planned.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Planned {
    /// The member's key.
    #[n(0)]
    pub member: MemberKey,
    /// The time from which the place can be ended.
    #[n(1)]
    pub on: Millis,
    /// The moderator who announced it.
    #[n(2)]
    pub by: MemberKey,
}

impl Farewell {
    /// Returns the word in logs and JSON.
    pub(super) const fn as_str(&self) -> &'static str {
        match self {
            Self::Announced { .. } => "farewell",
            Self::CalledOff { .. } => "farewell_called_off",
            Self::Said { .. } => "farewell_said",
        }
    }

    /// Returns the member.
    pub const fn member(&self) -> MemberKey {
        match self {
            Self::Announced { member, .. } | Self::CalledOff { member } | Self::Said { member } => {
                *member
            }
        }
    }

    /// Returns the member whom it takes out.
    pub(super) const fn takes_out(&self) -> Option<MemberKey> {
        match self {
            Self::Said { member } => Some(*member),
            Self::Announced { .. } | Self::CalledOff { .. } => None,
        }
    }
}

impl RoomPolicy {
    /// Carries out one step of a planned goodbye.
    pub(super) fn farewell(
        &self,
        scene: Scene<'_>,
        record: &Record,
        step: &Farewell,
        applied: &mut Applied,
    ) -> Result<(), RuleError> {
        let (next, member) = (&mut applied.policy, step.member());
        let planned = self.more.farewells().iter().find(|planned| planned.member == member);
        match step {
            Farewell::Announced { on, words, .. } => {
                bounded(words, COMMENT_CHARS_MAX)?;
                if scene.roster.iter().all(|leaf| leaf.member != member) {
                    return Err(RuleError::NoSuchMember);
                }
                if *on <= record.at {
                    return Err(RuleError::OutOfRange);
                }
                next.more.drop_farewell(&member);
                let farewells = next.more.farewells.get_or_insert_default();
                farewells.push(Planned { member, on: *on, by: record.actor });
                if farewells.len() > FAREWELLS_MAX {
                    return Err(RuleError::TooManyFarewells);
                }
            }
            Farewell::CalledOff { .. } => {
                planned.ok_or(RuleError::NoFarewell)?;
                next.more.drop_farewell(&member);
            }
            Farewell::Said { .. } => {
                let planned = planned.ok_or(RuleError::NoFarewell)?;
                if record.at < planned.on {
                    return Err(RuleError::NoFarewell);
                }
                // A goodbye that one moderator planned and ended would be a removal by one.
                if self.takes_two() && planned.by == record.actor {
                    return Err(RuleError::OwnFarewell);
                }
                next.take_out(scene, member)?;
                applied.removed = vec![member];
            }
        }
        Ok(())
    }

    /// Closes the place of a member who died.
    pub(super) fn remember(
        scene: Scene<'_>,
        member: MemberKey,
        words: &str,
        applied: &mut Applied,
    ) -> Result<(), RuleError> {
        bounded(words, COMMENT_CHARS_MAX)?;
        if words.is_empty() {
            return Err(RuleError::NoWords);
        }
        applied.policy.take_out(scene, member)?;
        applied.removed = vec![member];
        Ok(())
    }
}
