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

use std::collections::HashMap;

use hearth_protocol::{
    Effect, Epoch, MemberKey, Millis, RejectCode, Role, Seq,
    frame::{Door, RoomStatus, RosterRow},
    limits::EFFECTS_MAX,
};
use minicbor::{Decode, Encode};

use super::{
    agreement::{Departure, commitment},
    error::EngineError,
    outbox::Submission,
    policy::{Act, RoomPolicy, RuleError},
    room::{Room, read, write},
    state::{RowContent, Standing},
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
    /// Compares the relay's status with what this profile has verified, and stores the mismatches.
    ///
    /// `own_role` is this member's role at the relay, if it was asked for at the same entry. Returns whether a comparison was possible:
    /// a status of another entry than the last one read is not comparable.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn compare(
        &mut self,
        status: &RoomStatus,
        own_role: Option<Role>,
        now: Millis,
    ) -> Result<bool> {
        if !self.is_comparable(status)? {
            return Ok(false);
        }
        let mut accord = self.accord()?;
        let before = accord.clone();
        let mut found = self.find(status, own_role, now, &mut accord)?;
        if own_role.is_none() && status.roster.is_empty() {
            let me = self.me();
            let own = before
                .found
                .iter()
                .map(|f| &f.what)
                .find(|what| matches!(what, Mismatch::Role { member, .. } if *member == me));
            let known = found.iter().any(|f| matches!(f, Mismatch::Role { .. }));
            found.extend(own.filter(|_| !known).cloned());
        }
        found.truncate(MISMATCHES_MAX);
        let told = |what: &Mismatch| before.found.iter().any(|f| f.told && f.what == *what);
        accord.found = found.into_iter().map(|what| Found { told: told(&what), what }).collect();
        if accord != before {
            self.save_accord(&accord)?;
        }
        Ok(true)
    }

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
                | Mismatch::Retention { .. } => numbers = true,
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
            RejectCode::Observer => policy.role(&me) == Role::Observer,
            RejectCode::Locked => numbers.locked,
            _ => return Ok(Reason::Unknown),
        };
        Ok(if recorded { Reason::Recorded } else { Reason::Unrecorded })
    }

    /// Whether the relay recently refused to carry a departure out.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn is_departure_refused(&self, member: &MemberKey, now: Millis) -> Result<bool> {
        let refused = self.accord()?.refused;
        let last = refused.iter().find(|refused| refused.member == *member);
        // A clock that was set back must not delay the next attempt.
        Ok(last.is_some_and(|last| last.at <= now && now < last.at.plus(DEPARTURE_RETRY_MILLIS)))
    }

    /// Stores the relay's refusal to carry a departure out: it is told once and left to the moderators.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn departure_refused(&mut self, departure: &Departure, now: Millis) -> Result<()> {
        let mut accord = self.accord()?;
        let member = departure.member;
        let open: Vec<MemberKey> = self.open_departures()?.iter().map(|d| d.member).collect();
        accord.refused.retain(|r| r.member != member && open.contains(&r.member));
        accord.refused.push(RefusedDeparture { member, at: now });
        let what = Mismatch::StillIn { member };
        if accord.found.len() < MISMATCHES_MAX && accord.found.iter().all(|f| f.what != what) {
            accord.found.push(Found { what, told: false });
        }
        self.save_accord(&accord)
    }

    /// Stores why a due amendment is not put in force, to be told once; `None` if none is due or nothing prevents it.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn amendment_waits(&mut self, waits: Option<(u32, Waits)>) -> Result<()> {
        let mut accord = self.accord()?;
        let before = accord.clone();
        let what = waits.map(|(version, why)| Mismatch::Amendment { version, why });
        accord.found.retain(|found| {
            !matches!(found.what, Mismatch::Amendment { .. }) || Some(&found.what) == what.as_ref()
        });
        if let Some(what) = what.filter(|what| accord.found.iter().all(|f| f.what != *what)) {
            accord.found.push(Found { what, told: false });
        }
        if accord == before { Ok(()) } else { self.save_accord(&accord) }
    }

    /// Makes the next comparison accept other members' time-outs and departures, because this profile cannot know them.
    pub(super) fn excuse_others(&self) -> Result<()> {
        let accord = self.accord()?;
        self.save_accord(&Accord { excuse_others: true, ..accord })
    }

    /// Does the same for the own time-out, too, because its explanation may have expired unread.
    pub(super) fn excuse_all(&self) -> Result<()> {
        let accord = self.accord()?;
        self.save_accord(&Accord { excuse_others: true, excuse_own: true, ..accord })
    }

    /// Starts over in a new stay.
    pub(super) fn begin_accord(&self) -> Result<()> {
        self.save_accord(&Accord { excuse_others: true, ..Accord::default() })
    }

    /// Stores a tombstone whose retraction comes later in the log.
    pub(super) fn unexplained(&mut self, seq: Seq) {
        if self.cursor.unexplained.len() < UNEXPLAINED_MAX {
            self.cursor.unexplained.push(seq);
        }
    }

    fn is_comparable(&mut self, status: &RoomStatus) -> Result<bool> {
        let cursor = &self.cursor;
        let here = self.state.standing == Standing::Member
            && cursor.split.is_none()
            && cursor.stream == Some(status.stream)
            && cursor.seq == status.head;
        Ok(here && !self.is_left_behind()? && !self.group()?.1.has_pending())
    }

    fn find(
        &mut self,
        status: &RoomStatus,
        own_role: Option<Role>,
        now: Millis,
        accord: &mut Accord,
    ) -> Result<Vec<Mismatch>> {
        let (policy, me) = (self.policy()?, self.me());
        let mut found = numbers(status, &policy, now);
        let epoch = self.epoch()?;
        if status.epoch < epoch {
            found.push(Mismatch::Epoch { relay: status.epoch, room: epoch });
        }
        if status.agreement != commitment(&self.id(), &policy.agreement.id) {
            found.push(Mismatch::Agreement);
        }
        let excused = std::mem::take(&mut accord.excuse_own);
        let own = (me, status.timed_out_until, excused);
        found.extend(self.time_out_of(&policy, own, now, accord)?);
        let role = policy.role(&me);
        let moderates = !status.roster.is_empty();
        let own_row = status.roster.iter().find(|row| row.member == me);
        match own_row.map(|row| row.role).or(own_role) {
            Some(relay) if relay != role => {
                found.push(Mismatch::Role { member: me, relay: Some(relay), room: role });
            }
            None if role.moderates() => {
                found.push(Mismatch::Role { member: me, relay: None, room: role });
            }
            _ => {}
        }
        if moderates && role.moderates() {
            self.find_in_roster(status, &policy, now, accord, &mut found)?;
        }
        found.extend(self.find_retracted()?);
        let departing = self.departing()?;
        accord.refused.retain(|refused| departing.contains(&refused.member));
        found.extend(accord.refused.iter().map(|r| Mismatch::StillIn { member: r.member }));
        // The code that enacts it reports the obstacle; the mismatch stays here as long as the amendment does.
        let pending = policy.pending.filter(|_| role == Role::Facilitator).map(|p| p.version);
        let waits = accord.found.iter().map(|f| f.what.clone());
        found.extend(waits.filter(
            |what| matches!(what, Mismatch::Amendment { version, .. } if Some(*version) == pending),
        ));
        Ok(found)
    }

    fn find_in_roster(
        &mut self,
        status: &RoomStatus,
        policy: &RoomPolicy,
        now: Millis,
        accord: &mut Accord,
        found: &mut Vec<Mismatch>,
    ) -> Result<()> {
        let me = self.me();
        let excused = std::mem::take(&mut accord.excuse_others);
        let departing = self.departing()?;
        let roster = self.roster()?;
        let mut rows: HashMap<MemberKey, &RosterRow> =
            status.roster.iter().map(|row| (row.member, row)).collect();
        for leaf in &roster {
            let member = leaf.member;
            let Some(row) = rows.remove(&member) else {
                found.push(Mismatch::Lacking { member });
                continue;
            };
            if member == me {
                continue;
            }
            if row.left {
                let what = Mismatch::Left { member };
                let known = accord.found.iter().any(|f| f.what == what);
                if excused && !known && accord.left.len() < EXCUSED_MAX {
                    accord.left.push(member);
                }
                if !departing.contains(&member) && !accord.left.contains(&member) {
                    found.push(what);
                }
                // The relay delivers nothing to a departed member and accepts nothing from them.
                continue;
            }
            let role = policy.role(&member);
            if row.role != role {
                found.push(Mismatch::Role { member, relay: Some(row.role), room: role });
            }
            let theirs = (member, row.timed_out_until, excused);
            found.extend(self.time_out_of(policy, theirs, now, accord)?);
        }
        let mut strangers: Vec<MemberKey> = rows.into_keys().collect();
        strangers.sort_unstable();
        found.extend(strangers.into_iter().map(|member| Mismatch::Stranger { member }));
        accord.left.retain(|member| roster.iter().any(|leaf| leaf.member == *member));
        Ok(())
    }

    /// Compares a member's time-out; an `excused` one is accepted from then on.
    fn time_out_of(
        &self,
        policy: &RoomPolicy,
        (member, relay, excused): (MemberKey, Millis, bool),
        now: Millis,
        accord: &mut Accord,
    ) -> Result<Option<Mismatch>> {
        // Moderators have no time-out: the relay would not refuse their posts for one.
        if policy.role(&member).moderates() {
            accord.time_outs.retain(|other| other.member != member);
            return Ok(None);
        }
        let lasting = |until: Millis| if until > now { until } else { Millis(0) };
        let room = self.recorded_time_out(&member)?.map_or(Millis(0), lasting);
        let relay = lasting(relay);
        let taken = Excused { member, until: relay };
        if relay == room {
            accord.time_outs.retain(|other| other.member != member);
            return Ok(None);
        }
        let what = Mismatch::TimeOut { member, relay, room };
        let known = accord.found.iter().any(|found| found.what == what);
        if excused && !known && accord.time_outs.len() < EXCUSED_MAX {
            accord.time_outs.retain(|other| other.member != member);
            accord.time_outs.push(taken);
        }
        Ok((!accord.time_outs.contains(&taken)).then_some(what))
    }

    fn find_retracted(&mut self) -> Result<Vec<Mismatch>> {
        let mut found = Vec::new();
        for seq in self.cursor.unexplained.clone() {
            // This device erased the row by the room's retention, so nothing is left to tell.
            let Some(row) = self.row(seq)? else { continue };
            if matches!(row.content, RowContent::Tombstone { by: None, .. }) {
                found.push(Mismatch::Retracted { place: row.place });
            }
        }
        Ok(found)
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

/// Compares the numbers that the relay enforces.
fn numbers(status: &RoomStatus, policy: &RoomPolicy, now: Millis) -> Vec<Mismatch> {
    let (relay, room) = (&status.numbers, &policy.numbers);
    let over = |until: Millis| until <= now;
    let mut found = Vec::new();
    let both_over = over(relay.paused_until) && over(room.paused_until);
    if relay.paused_until != room.paused_until && !both_over {
        found.push(Mismatch::Pause { relay: relay.paused_until, room: room.paused_until });
    }
    if relay.locked != room.locked {
        found.push(Mismatch::Lock { relay: relay.locked });
    }
    if relay.door != room.door {
        found.push(Mismatch::Door { relay: relay.door, room: room.door });
    }
    if relay.slow_seconds != room.slow_seconds {
        found.push(Mismatch::Slow { relay: relay.slow_seconds, room: room.slow_seconds });
    }
    if relay.budget_per_day != room.budget_per_day {
        found.push(Mismatch::Budget { relay: relay.budget_per_day, room: room.budget_per_day });
    }
    if relay.payload_bytes_max != room.payload_bytes_max {
        let (relay, room) = (relay.payload_bytes_max, room.payload_bytes_max);
        found.push(Mismatch::Length { relay, room });
    }
    if relay.hours != room.hours {
        found.push(Mismatch::Hours);
    }
    if relay.retention_seconds != room.retention_seconds {
        let (relay, room) = (relay.retention_seconds, room.retention_seconds);
        found.push(Mismatch::Retention { relay, room });
    }
    found
}
