//! Whether the relay enforces what members have verified.
//!
//! A relay, or a moderator who acts on it past the room's log, can change what it enforces without a record. [`Room::compare`]
//! holds every status against this profile's state, once the profile has read all entries up to the status's head:
//!
//! - pause, lock, door, slow mode, budget, length, hours and retention with the policy's numbers;
//! - the agreement's commitment with the policy's agreement;
//! - the own role and time-out with the policy and the signed note;
//! - for those who moderate: every key, role, departure and time-out of the relay's roster with the group's tree, the policy,
//!   the signed departures and the signed notes;
//! - the epoch, if the relay's is an earlier one;
//! - entries that the relay gave out as retracted with signed retractions and records.
//!
//! What no record explains is a [`Mismatch`]. What this profile cannot judge, because it was not there or what would explain it
//! expired unread, is taken as it is at the next comparison, and compared from then on.

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

/// Mismatches that are kept and told at one time.
pub const MISMATCHES_MAX: usize = 64;
/// Retracted entries that wait for their retraction.
pub(super) const UNEXPLAINED_MAX: usize = 64;
/// Members' time-outs and departures that are taken as they are.
const EXCUSED_MAX: usize = 1_000;
/// A departure that the relay refused to carry out is tried again after an hour.
const DEPARTURE_RETRY_MILLIS: u64 = 3_600_000;

/// An act of the relay that no record explains.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Mismatch {
    /// Posts are refused until then.
    #[n(0)]
    Pause {
        /// By the relay.
        #[n(0)]
        relay: Millis,
        /// By the log.
        #[n(1)]
        room: Millis,
    },
    /// Whether anybody is admitted.
    #[n(1)]
    Lock {
        /// Locked by the relay.
        #[n(0)]
        relay: bool,
    },
    /// Whether the room takes posts.
    #[n(2)]
    Door {
        /// By the relay.
        #[n(0)]
        relay: Door,
        /// By the log.
        #[n(1)]
        room: Door,
    },
    /// Least seconds between two posts.
    #[n(3)]
    Slow {
        /// By the relay.
        #[n(0)]
        relay: u32,
        /// By the log.
        #[n(1)]
        room: u32,
    },
    /// Posts a day.
    #[n(4)]
    Budget {
        /// By the relay.
        #[n(0)]
        relay: u32,
        /// By the log.
        #[n(1)]
        room: u32,
    },
    /// Bytes of a payload.
    #[n(5)]
    Length {
        /// By the relay.
        #[n(0)]
        relay: u32,
        /// By the log.
        #[n(1)]
        room: u32,
    },
    /// Opening hours.
    #[n(6)]
    Hours,
    /// Seconds for which entries are kept.
    #[n(7)]
    Retention {
        /// By the relay.
        #[n(0)]
        relay: u64,
        /// By the log.
        #[n(1)]
        room: u64,
    },
    /// Knocks must acknowledge another agreement than the one in force.
    #[n(8)]
    Agreement,
    /// A member's posts are refused until then, or are not. 0: no time-out.
    #[n(9)]
    TimeOut {
        /// Whose.
        #[n(0)]
        member: MemberKey,
        /// By the relay.
        #[n(1)]
        relay: Millis,
        /// By the last signed note.
        #[n(2)]
        room: Millis,
    },
    /// A member has another role at the relay.
    #[n(10)]
    Role {
        /// Whose.
        #[n(0)]
        member: MemberKey,
        /// By the relay; `None` if it does not say.
        #[n(1)]
        relay: Option<Role>,
        /// By the log.
        #[n(2)]
        room: Role,
    },
    /// The relay's roster lacks a member.
    #[n(11)]
    Lacking {
        /// Whom.
        #[n(0)]
        member: MemberKey,
    },
    /// The relay's roster has a key that is not in the room.
    #[n(12)]
    Stranger {
        /// Whose.
        #[n(0)]
        member: MemberKey,
    },
    /// The relay says that a member left, and no signed departure says so.
    #[n(13)]
    Left {
        /// Who.
        #[n(0)]
        member: MemberKey,
    },
    /// The relay gave out an entry as retracted, and nobody retracted it.
    #[n(14)]
    Retracted {
        /// Which, in this profile's history.
        #[n(0)]
        place: Seq,
    },
    /// A member said goodbye in the room, and the relay takes no commit that carries it out.
    #[n(15)]
    StillIn {
        /// Who.
        #[n(0)]
        member: MemberKey,
    },
    /// An amendment is due, and this profile, a facilitator's, cannot put it in force.
    #[n(16)]
    Amendment {
        /// Number of the version.
        #[n(0)]
        version: u32,
        /// Why.
        #[n(1)]
        why: Waits,
    },
    /// The relay takes entries of an epoch alone that the room has left.
    #[n(17)]
    Epoch {
        /// The relay's.
        #[n(0)]
        relay: Epoch,
        /// The room's.
        #[n(1)]
        room: Epoch,
    },
}

/// Why an amendment that is due is not put in force.
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
    /// The word in JSON.
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

    /// Whether somebody acted past the log, as opposed to something that waits for a facilitator.
    pub const fn is_alarm(&self) -> bool {
        !matches!(self, Self::StillIn { .. } | Self::Amendment { .. })
    }

    /// Whether nobody can put it right: it goes with what it is about.
    pub const fn lasts(&self) -> bool {
        matches!(self, Self::Retracted { .. })
    }

    /// The member that it is about.
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

/// Why the relay refused something, as far as this profile can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A record or a signed note says so.
    Recorded,
    /// All entries are read, and none says so.
    Unrecorded,
    /// Not known, or nothing that a record would say.
    Unknown,
}

/// The profile's memory of comparisons.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
struct Accord {
    /// Mismatches at the last comparison.
    #[n(0)]
    found: Vec<Found>,
    /// Time-outs that are taken as they are, by member.
    #[n(1)]
    time_outs: Vec<Excused>,
    /// Members whose departure was not seen, and is taken as it is.
    #[n(2)]
    left: Vec<MemberKey>,
    /// Whether the next comparison takes others' time-outs and departures as they are.
    #[n(3)]
    excuse_others: bool,
    /// Whether the next comparison takes the own time-out as it is.
    #[n(4)]
    excuse_own: bool,
    /// Departures that the relay refused to carry out.
    #[n(5)]
    refused: Vec<RefusedDeparture>,
}

/// Reads what the profile keeps of comparisons and writes it again.
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
    /// Compares the relay's word with what this profile has verified, and remembers what does not agree.
    ///
    /// `own_role` is this member's role at the relay, if it was asked for at the same entry. Returns whether there was anything
    /// to compare: a status of another entry than the last one read says nothing.
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

    /// Returns what did not agree at the last comparison.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn mismatches(&self) -> Result<Vec<Mismatch>> {
        Ok(self.accord()?.found.into_iter().map(|found| found.what).collect())
    }

    /// Returns what does not agree and was not told yet.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn untold(&self) -> Result<Vec<Mismatch>> {
        let untold = self.accord()?.found.into_iter().filter(|found| !found.told);
        Ok(untold.map(|found| found.what).collect())
    }

    /// Remembers that everything that does not agree was told: it is not told again while it lasts.
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

    /// Makes the commit that puts the relay's rules, roles, roster, time-outs and agreement back to what members have verified.
    ///
    /// # Errors
    /// [`RuleError::NotFacilitator`]; [`RuleError::Nothing`] if nothing can be put back; see [`EngineError`].
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
                // A member whom the relay lacks has to knock again, and a deleted entry is gone.
                _ => {}
            }
        }
        if numbers {
            effects.push(Effect::SetNumbers { numbers: policy.numbers });
        }
        // Roles are given before others are taken, so that a facilitator remains. A time-out comes last: its member must not moderate.
        effects.sort_by_key(|effect| match effect {
            Effect::SetRole { role, .. } => (0, *role),
            Effect::Remove { .. } => (1, Role::Observer),
            _ => (2, Role::Observer),
        });
        effects.truncate(EFFECTS_MAX);
        Ok(effects)
    }

    /// Judges whether a record or a signed note says what the relay refuses.
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

    /// Whether the relay lately refused to carry a departure out.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn is_departure_refused(&self, member: &MemberKey, now: Millis) -> Result<bool> {
        let refused = self.accord()?.refused;
        let last = refused.iter().find(|refused| refused.member == *member);
        // A clock that was set back must not keep it from being tried.
        Ok(last.is_some_and(|last| last.at <= now && now < last.at.plus(DEPARTURE_RETRY_MILLIS)))
    }

    /// Remembers that the relay refused to carry a departure out: it is told once, and left to those who moderate.
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

    /// Remembers why an amendment that is due is not put in force, to be told once; `None` if none is due, or nothing stands in the way.
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

    /// Takes others' time-outs and departures as the relay has them at the next comparison: this profile cannot know them.
    pub(super) fn excuse_others(&self) -> Result<()> {
        let accord = self.accord()?;
        self.save_accord(&Accord { excuse_others: true, ..accord })
    }

    /// Does so for the own time-out, too: what would explain it expired unread.
    pub(super) fn excuse_all(&self) -> Result<()> {
        let accord = self.accord()?;
        self.save_accord(&Accord { excuse_others: true, excuse_own: true, ..accord })
    }

    /// Starts over for another stay.
    pub(super) fn begin_accord(&self) -> Result<()> {
        self.save_accord(&Accord { excuse_others: true, ..Accord::default() })
    }

    /// Notes an entry that the relay gave out as retracted; its retraction comes later in the log.
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
        // What is due says so itself; here it stays for as long as the amendment does.
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
                // The relay delivers nothing to them, and takes nothing from them.
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

    /// Compares a member's time-out; what is `excused` is taken as it is from then on.
    fn time_out_of(
        &self,
        policy: &RoomPolicy,
        (member, relay, excused): (MemberKey, Millis, bool),
        now: Millis,
        accord: &mut Accord,
    ) -> Result<Option<Mismatch>> {
        // Those who moderate have none, and no relay refuses their posts for one.
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
            // This device erased it by the room's retention: there is nothing left to tell.
            let Some(row) = self.row(seq)? else { continue };
            if matches!(row.content, RowContent::Tombstone { by: None, .. }) {
                found.push(Mismatch::Retracted { place: row.place });
            }
        }
        Ok(found)
    }

    /// Returns the members who said goodbye, and whom no commit has taken out yet.
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

/// Compares the plain numbers.
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
