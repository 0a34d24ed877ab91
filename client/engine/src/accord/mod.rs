//! Compares what the relay enforces with what members have verified.
//!
//! A relay, or a moderator who bypasses the room's log, can change what the relay enforces without a record. [`Room::compare`]
//! compares every status with this profile's state, once the profile has read all entries up to the status's head:
//!
//! - pause, lock, door, slow mode, budget, length, hours and retention with the policy's numbers;
//! - the agreement's commitment with the policy's agreement;
//! - the own role and time-out with the policy and the signed note;
//! - for moderators: every key, role, departure and time-out of the relay's roster with the group's tree, the policy, the signed
//!   departures and the signed notes;
//! - the epoch, if the relay's is earlier;
//! - entries that the relay delivered as tombstones with signed retractions and records.
//!
//! A difference that no record explains is a [`Mismatch`]. The profile cannot judge a difference from before its time, or one whose
//! explanation may have expired unread: it accepts the relay's state once, at the next comparison, and compares it from then on.

mod compare;
mod excuse;

use hearth_protocol::{
    Effect, Epoch, MemberKey, Millis, RejectCode, Role, Seq,
    frame::{Door, RoomStatus},
    limits::EFFECTS_MAX,
};
use minicbor::{Decode, Encode};

use super::{
    agreement::commitment,
    error::EngineError,
    outbox::Submission,
    policy::{Act, RuleError},
    room::{Room, read, write},
};
use crate::store::Kind;

type Result<T, E = EngineError> = std::result::Result<T, E>;

const ACCORD: &[u8] = b"accord";

/// Mismatches that are stored and told at one time.
pub const MISMATCHES_MAX: usize = 64;
/// Tombstones that wait for their retraction.
pub(super) const UNEXPLAINED_MAX: usize = 64;
/// Time-outs and departures of members that are accepted unexplained.
const EXCUSED_MAX: usize = 1_000;
/// Pause before the client tries a refused departure again: an hour.
const DEPARTURE_RETRY_MILLIS: u64 = 3_600_000;

/// A difference between the relay and the room that no record explains.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Mismatch {
    /// The relay refuses posts until another time.
    #[n(0)]
    Pause {
        /// The relay's value.
        #[n(0)]
        relay: Millis,
        /// The room's value, from the log.
        #[n(1)]
        room: Millis,
    },
    /// The relay admits members to a locked room, or refuses them in an open one.
    #[n(1)]
    Lock {
        /// Whether the relay locks the room.
        #[n(0)]
        relay: bool,
    },
    /// The relay opens or closes the room differently.
    #[n(2)]
    Door {
        /// The relay's value.
        #[n(0)]
        relay: Door,
        /// The room's value, from the log.
        #[n(1)]
        room: Door,
    },
    /// Minimum seconds between two posts.
    #[n(3)]
    Slow {
        /// The relay's value.
        #[n(0)]
        relay: u32,
        /// The room's value, from the log.
        #[n(1)]
        room: u32,
    },
    /// Posts a day.
    #[n(4)]
    Budget {
        /// The relay's value.
        #[n(0)]
        relay: u32,
        /// The room's value, from the log.
        #[n(1)]
        room: u32,
    },
    /// Maximum bytes of a payload.
    #[n(5)]
    Length {
        /// The relay's value.
        #[n(0)]
        relay: u32,
        /// The room's value, from the log.
        #[n(1)]
        room: u32,
    },
    /// Opening hours.
    #[n(6)]
    Hours,
    /// Seconds for which the relay keeps entries.
    #[n(7)]
    Retention {
        /// The relay's value.
        #[n(0)]
        relay: u64,
        /// The room's value, from the log.
        #[n(1)]
        room: u64,
    },
    /// The relay makes knocks acknowledge another agreement than the one in force.
    #[n(8)]
    Agreement,
    /// The relay gives a member another time-out than the room, or none. 0: no time-out.
    #[n(9)]
    TimeOut {
        /// The member's key.
        #[n(0)]
        member: MemberKey,
        /// The relay's value.
        #[n(1)]
        relay: Millis,
        /// The room's value, from the last signed note.
        #[n(2)]
        room: Millis,
    },
    /// A member has another role at the relay.
    #[n(10)]
    Role {
        /// The member's key.
        #[n(0)]
        member: MemberKey,
        /// The relay's value; `None` if it does not say.
        #[n(1)]
        relay: Option<Role>,
        /// The room's value, from the log.
        #[n(2)]
        room: Role,
    },
    /// The relay's roster lacks a member.
    #[n(11)]
    Lacking {
        /// The missing member's key.
        #[n(0)]
        member: MemberKey,
    },
    /// The relay's roster has a key that is not in the group.
    #[n(12)]
    Stranger {
        /// The foreign key.
        #[n(0)]
        member: MemberKey,
    },
    /// The relay says that a member left, without a signed departure.
    #[n(13)]
    Left {
        /// The member's key.
        #[n(0)]
        member: MemberKey,
    },
    /// The relay delivered a tombstone, and no member retracted the entry.
    #[n(14)]
    Retracted {
        /// The entry's place in this profile's history.
        #[n(0)]
        place: Seq,
    },
    /// A member announced their departure, and the relay accepts no commit that carries it out.
    #[n(15)]
    StillIn {
        /// The departing member's key.
        #[n(0)]
        member: MemberKey,
    },
    /// An amendment is due, and this facilitator's profile cannot put it in force.
    #[n(16)]
    Amendment {
        /// Number of the version.
        #[n(0)]
        version: u32,
        /// The obstacle.
        #[n(1)]
        why: Waits,
    },
    /// The relay ends the group at another time than the room, or not.
    #[n(18)]
    Ending {
        /// The relay's value.
        #[n(0)]
        relay: Option<Millis>,
        /// The room's value, from the log.
        #[n(1)]
        room: Option<Millis>,
    },
    /// The relay accepts entries only of an epoch that the room has left.
    #[n(17)]
    Epoch {
        /// The relay's epoch.
        #[n(0)]
        relay: Epoch,
        /// The room's epoch.
        #[n(1)]
        room: Epoch,
    },
}

/// Why a due amendment is not put in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Waits {
    /// This facilitator has not acknowledged it.
    #[n(0)]
    Unsigned,
    /// Its text has not reached this device.
    #[n(1)]
    NoText,
    /// The relay or a rule refuses it.
    #[n(2)]
    Refused,
}

impl Mismatch {
    /// Returns the word in JSON.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Pause { .. } => "relay_pause",
            Self::Lock { .. } => "relay_lock",
            Self::Door { .. } => "relay_door",
            Self::Slow { .. } => "relay_slow",
            Self::Budget { .. } => "relay_budget",
            Self::Length { .. } => "relay_length",
            Self::Hours => "relay_hours",
            Self::Retention { .. } => "relay_retention",
            Self::Agreement => "relay_agreement",
            Self::TimeOut { .. } => "relay_timeout",
            Self::Role { .. } => "relay_role",
            Self::Lacking { .. } => "relay_lacks_member",
            Self::Stranger { .. } => "relay_adds_key",
            Self::Left { .. } => "relay_says_left",
            Self::Retracted { .. } => "relay_retracted",
            Self::StillIn { .. } => "departure_waits",
            Self::Amendment { why: Waits::Unsigned, .. } => "amendment_unsigned",
            Self::Amendment { why: Waits::NoText, .. } => "amendment_without_text",
            Self::Amendment { why: Waits::Refused, .. } => "amendment_refused",
            Self::Epoch { .. } => "relay_epoch",
            Self::Ending { .. } => "relay_ending",
        }
    }

    /// Whether it accuses the relay or a moderator of bypassing the log, not only of work that waits for a facilitator.
    pub const fn is_alarm(&self) -> bool {
        !matches!(self, Self::StillIn { .. } | Self::Amendment { .. })
    }

    /// Whether no act can repair it, so that it lasts as long as its entry.
    pub const fn lasts(&self) -> bool {
        matches!(self, Self::Retracted { .. })
    }

    /// Returns the member concerned, if any.
    pub const fn member(&self) -> Option<MemberKey> {
        match self {
            Self::TimeOut { member, .. }
            | Self::Role { member, .. }
            | Self::Lacking { member }
            | Self::Stranger { member }
            | Self::Left { member }
            | Self::StillIn { member } => Some(*member),
            _ => None,
        }
    }
}

/// Why the relay refused a request, as far as this profile can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A record or a signed note explains it.
    Recorded,
    /// All entries are read, and none explains it.
    Unrecorded,
    /// Unknown, or not a matter of records.
    Unknown,
}

/// The profile's memory of its comparisons.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
struct Accord {
    /// Mismatches at the last comparison.
    #[n(0)]
    found: Vec<Found>,
    /// Time-outs that are accepted unexplained, by member.
    #[n(1)]
    time_outs: Vec<Excused>,
    /// Members whose departure this profile never saw and accepts.
    #[n(2)]
    left: Vec<MemberKey>,
    /// Whether the next comparison accepts other members' time-outs and departures.
    #[n(3)]
    excuse_others: bool,
    /// Whether the next comparison accepts the own time-out.
    #[n(4)]
    excuse_own: bool,
    /// Departures that the relay refused to carry out.
    #[n(5)]
    refused: Vec<RefusedDeparture>,
}

/// Decodes and encodes the stored memory of comparisons.
#[cfg(feature = "testing")]
pub(crate) fn reencode(bytes: &[u8]) -> Option<Vec<u8>> {
    let accord: Accord = hearth_protocol::codec::decode(bytes).ok()?;
    Some(hearth_protocol::codec::encode(&accord))
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct Found {
    #[n(0)]
    what: Mismatch,
    #[n(1)]
    told: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
struct Excused {
    #[n(0)]
    member: MemberKey,
    #[n(1)]
    until: Millis,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
struct RefusedDeparture {
    #[n(0)]
    member: MemberKey,
    #[n(1)]
    at: Millis,
}

impl Room<'_> {
    /// Returns the mismatches of the last comparison.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn mismatches(&self) -> Result<Vec<Mismatch>> {
        Ok(self.accord()?.found.into_iter().map(|found| found.what).collect())
    }

    /// Returns the mismatches that the member was not told yet.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn untold(&self) -> Result<Vec<Mismatch>> {
        let untold = self.accord()?.found.into_iter().filter(|found| !found.told);
        Ok(untold.map(|found| found.what).collect())
    }

    /// Marks all mismatches as told, so that each is told once while it lasts.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn mark_told(&mut self) -> Result<()> {
        let mut accord = self.accord()?;
        if accord.found.iter().all(|found| found.told) {
            return Ok(());
        }
        accord.found.iter_mut().for_each(|found| found.told = true);
        self.save_accord(&accord)
    }

    /// Makes the commit that restores the relay's rules, roles, roster, time-outs and agreement to what members have verified.
    ///
    /// # Errors
    /// [`RuleError::NotFacilitator`]; [`RuleError::Nothing`] if nothing can be restored; see [`EngineError`].
    pub fn restore(&mut self, status: &RoomStatus, now: Millis) -> Result<Submission> {
        if self.my_role()? != Role::Facilitator {
            return Err(RuleError::NotFacilitator.into());
        }
        let effects = self.restoration(status, now)?;
        if effects.is_empty() {
            return Err(RuleError::Nothing.into());
        }
        self.commit_act(Act::Rekey, now, None, effects)
    }

    fn restoration(&mut self, status: &RoomStatus, now: Millis) -> Result<Vec<Effect>> {
        let policy = self.policy()?;
        let mut accord = self.accord()?;
        let found = self.find(status, None, now, &mut accord)?;
        let (me, mut numbers, mut effects) = (self.me(), false, Vec::new());
        for what in found {
            match what {
                Mismatch::Pause { .. }
                | Mismatch::Lock { .. }
                | Mismatch::Door { .. }
                | Mismatch::Slow { .. }
                | Mismatch::Budget { .. }
                | Mismatch::Length { .. }
                | Mismatch::Hours
                | Mismatch::Retention { .. }
                | Mismatch::Ending { .. } => numbers = true,
                Mismatch::Agreement => {
                    let agreement = commitment(&self.id(), &policy.agreement.id);
                    effects.push(Effect::SetAgreement { agreement });
                }
                Mismatch::TimeOut { member, room, .. } => {
                    effects.push(Effect::Timeout { member, until: room });
                }
                Mismatch::Role { member, room, .. } if member != me => {
                    effects.push(Effect::SetRole { member, role: room });
                }
                Mismatch::Stranger { member } => effects.push(Effect::Remove { member }),
                // A member missing from the relay has to knock again, and a deleted entry is lost.
                _ => {}
            }
        }
        if numbers {
            effects.push(Effect::SetNumbers { numbers: policy.numbers });
        }
        // Grant roles before taking others, so that a facilitator remains. A time-out comes last, because its member must not moderate.
        effects.sort_by_key(|effect| match effect {
            Effect::SetRole { role, .. } => (0, *role),
            Effect::Remove { .. } => (1, Role::Observer),
            _ => (2, Role::Observer),
        });
        effects.truncate(EFFECTS_MAX);
        Ok(effects)
    }

    /// Judges whether a record or a signed note explains a refusal of the relay.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn reason(
        &mut self,
        code: RejectCode,
        retry_at: Option<Millis>,
        now: Millis,
    ) -> Result<Reason> {
        let policy = self.policy()?;
        let me = self.me();
        let numbers = &policy.numbers;
        let recorded = match code {
            RejectCode::TimedOut => {
                let until = self.recorded_time_out(&me)?;
                until.is_some_and(|until| retry_at.map_or(until > now, |at| at == until))
            }
            RejectCode::Paused => {
                let until = numbers.paused_until;
                retry_at.map_or(until > now, |at| at == until)
            }
            RejectCode::SlowMode => numbers.slow_seconds > 0,
            RejectCode::BudgetSpent => numbers.budget_per_day > 0,
            RejectCode::TooLong => numbers.payload_bytes_max > 0,
            RejectCode::Closed => match numbers.door {
                Door::Closed => true,
                Door::ByHours => numbers.hours.is_some(),
                Door::Open => false,
            },
            RejectCode::Observer => !policy.role(&me).posts(),
            RejectCode::Locked => numbers.locked,
            RejectCode::Ended => numbers.have_ended(now),
            _ => return Ok(Reason::Unknown),
        };
        Ok(if recorded { Reason::Recorded } else { Reason::Unrecorded })
    }

    /// Returns the members who announced their departure and whom no commit has removed yet.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn departing(&mut self) -> Result<Vec<MemberKey>> {
        Ok(self.open_departures()?.iter().map(|departure| departure.member).collect())
    }

    fn accord(&self) -> Result<Accord> {
        Ok(read(self.store, Kind::Room, self.no, ACCORD)?.unwrap_or_default())
    }

    fn save_accord(&self, accord: &Accord) -> Result<()> {
        write(self.store, Kind::Room, self.no, ACCORD, accord)
    }
}
