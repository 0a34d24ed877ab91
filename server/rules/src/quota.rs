//! Limits on the bytes that a member may add over time and a room may hold, and on the free space of the disk.
//!
//! Both counts are in the store, so that a reconnect or a restart resets nothing. Small spending is kept in memory and
//! stored only from a sixteenth of the burst on, so that the store shows no pace of members who write like people, and their
//! posts cost no further row.

use std::collections::HashMap;

use hearth_protocol::{
    Effect, MemberKey, Millis, RejectCode, RoomId,
    limits::{LANE_BYTES_MAX, PAYLOAD_BYTES_MAX},
};

use crate::{Disk, MemberRow, Refusal, RoomRow};

/// Bytes that an entry, knock, invite or blob costs besides its content: its rows and their share of pages.
pub const ROW_BYTES: u64 = 128;
/// Retry time on a full disk, long because an operator must act first.
const DISK_RETRY_MILLIS: u64 = 60_000;
/// Spending above this part of the burst is stored.
const KEPT_SHARE: u64 = 16;
/// Members whose pace is kept in memory; that of any further member is stored at once.
const MEMBERS_MAX: usize = 8192;

/// Limits that an operator sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Long-term rate of bytes of a member.
    pub member_bytes_per_second: u64,
    /// Bytes that a member may add at once.
    pub member_bytes_burst: u64,
    /// Bytes that a room may hold.
    pub room_bytes_max: u64,
}

impl Limits {
    /// No limits, for measurements and for tests of other rules.
    pub const NONE: Self = Self {
        member_bytes_per_second: 1 << 40,
        member_bytes_burst: 1 << 54,
        room_bytes_max: u64::MAX,
    };

    fn millis(&self, bytes: u64) -> u64 {
        bytes.saturating_mul(1000).div_ceil(self.member_bytes_per_second.max(1))
    }
}

/// Share of a room that a kind of content may fill. In a lane all seats fill the same shares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// Posts of members who do not moderate, and knocks: nine tenths.
    Member,
    /// Posts and invites of moderators: all but the last hundredth.
    Moderator,
    /// Commits and Welcomes of moderators: all of it, because they can make a room smaller.
    Act,
    /// Moderators' effects without entry and content: a hundredth more, so that a full room can still be moderated.
    Rule,
}

impl Share {
    const fn of(self, room: u64) -> u64 {
        match self {
            Self::Member => room - room / 10,
            Self::Moderator => room - room / 100,
            Self::Act => room,
            Self::Rule => room.saturating_add(room / 100),
        }
    }
}

/// The memory of members' spending.
#[derive(Debug)]
pub struct Quota {
    limits: Limits,
    /// Time at which the allowance of a member with small spending is full again.
    full_at: HashMap<(RoomId, MemberKey), u64>,
    /// The last refusal with its bytes, for the metrics.
    refused: Option<(RejectCode, u64)>,
}

impl Quota {
    pub fn new(limits: Limits) -> Self {
        Self { limits, full_at: HashMap::new(), refused: None }
    }

    /// Takes the refusal since the last call, with the refused bytes.
    pub fn take_refused(&mut self) -> Option<(RejectCode, u64)> {
        self.refused.take()
    }

    /// Drops the spending in memory, after a failed transaction.
    pub fn forget(&mut self) {
        self.full_at.clear();
    }

    /// Checks that a member's allowance covers some bytes. A refusal names the time at which it will.
    pub fn check_member(
        &mut self,
        room: RoomId,
        member: &MemberRow,
        bytes: u64,
        now: Millis,
    ) -> Result<(), Refusal> {
        let next = self.next(room, member, bytes, now);
        let window = self.limits.millis(self.limits.member_bytes_burst.max(LARGEST));
        let earliest = next.saturating_sub(window);
        if earliest > now.0 {
            return Err(self.refuse(RejectCode::RateLimited, bytes, Some(Millis(earliest))));
        }
        Ok(())
    }

    /// Takes some bytes from a member's allowance. Returns the time that the member's row must store, if any.
    pub fn take(
        &mut self,
        room: RoomId,
        member: &MemberRow,
        bytes: u64,
        now: Millis,
    ) -> Option<Millis> {
        let next = self.next(room, member, bytes, now);
        let little = self.limits.millis(self.limits.member_bytes_burst) / KEPT_SHARE;
        let key = (room, member.key);
        if next.saturating_sub(now.0) <= little {
            if self.full_at.len() >= MEMBERS_MAX {
                self.full_at.retain(|_, at| *at > now.0);
            }
            if self.full_at.len() < MEMBERS_MAX || self.full_at.contains_key(&key) {
                self.full_at.insert(key, next);
                return None;
            }
        }
        self.full_at.remove(&key);
        Some(Millis(next))
    }

    /// Returns the time at which a member's allowance is full again after some more bytes.
    fn next(&self, room: RoomId, member: &MemberRow, bytes: u64, now: Millis) -> u64 {
        let kept = self.full_at.get(&(room, member.key)).copied().unwrap_or(0);
        let full_at = kept.max(member.full_at.0);
        let window = self.limits.millis(self.limits.member_bytes_burst.max(LARGEST));
        // A clock that was set back must not silence a member for longer than the rule says.
        let base = if full_at > now.0.saturating_add(window) { now.0 } else { full_at.max(now.0) };
        base.saturating_add(self.limits.millis(bytes))
    }

    /// Checks that a room may hold some more bytes. A refusal names the time at which the oldest ones expire.
    pub fn check_room(
        &mut self,
        room: &RoomRow,
        share: Share,
        bytes: u64,
        now: Millis,
    ) -> Result<(), Refusal> {
        let held = room.bytes.saturating_add(room.added);
        let most = self.limits.room_bytes_max;
        let most = if room.is_lane() { most.min(LANE_BYTES_MAX) } else { most };
        if held.saturating_add(bytes) <= share.of(most) {
            return Ok(());
        }
        let kept = room.numbers.retention_seconds.saturating_mul(1000);
        let expires = Millis(room.oldest_at.0.saturating_add(kept));
        let known = room.oldest_at != Millis::NEVER && expires > now;
        Err(self.refuse(RejectCode::QuotaSpent, bytes, known.then_some(expires)))
    }

    /// Checks that the disk has space for members who do not moderate.
    pub fn check_disk(
        &mut self,
        disk: &mut dyn Disk,
        bytes: u64,
        now: Millis,
    ) -> Result<(), Refusal> {
        if !disk.is_low() {
            return Ok(());
        }
        let retry_at = Some(now.plus(DISK_RETRY_MILLIS));
        Err(self.refuse(RejectCode::StoreUnavailable, bytes, retry_at))
    }

    fn refuse(&mut self, code: RejectCode, bytes: u64, retry_at: Option<Millis>) -> Refusal {
        self.refused = Some((code, bytes));
        Refusal { code, retry_at }
    }
}

/// Bytes that the largest entry costs, because with a smaller burst no member could send one.
const LARGEST: u64 = PAYLOAD_BYTES_MAX as u64 + ROW_BYTES;

/// Returns the bytes that effects add to the store.
pub fn content(effects: &[Effect]) -> u64 {
    let bytes = |effect: &Effect| match effect {
        Effect::AddInvite { preview, .. } => preview.len() as u64 + ROW_BYTES,
        Effect::Decline { note, .. } => note.len() as u64,
        Effect::Seat { welcome, .. } => welcome.len() as u64 + ROW_BYTES,
        _ => 0,
    };
    effects.iter().map(bytes).fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use hearth_protocol::{
        Commitment, Epoch, InviteId, Role, RoomNumbers, Seq, limits::RETENTION_SECONDS_DEFAULT,
    };

    use super::*;

    struct Low(bool);

    impl Disk for Low {
        fn is_low(&mut self) -> bool {
            self.0
        }
    }

    const ROOM: RoomId = RoomId([1; 16]);
    const OTHER: RoomId = RoomId([2; 16]);

    const LIMITS: Limits = Limits {
        member_bytes_per_second: 1_000,
        member_bytes_burst: 1_000_000,
        room_bytes_max: 10_000,
    };
    const NOW: u64 = 10_000_000;

    fn quota() -> Quota {
        Quota::new(LIMITS)
    }

    fn member(number: u64) -> MemberRow {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&number.to_be_bytes());
        MemberRow::joining(MemberKey(key), Role::Member, Seq(0))
    }

    fn room(bytes: u64, oldest_at: Millis) -> RoomRow {
        RoomRow {
            id: RoomId([0; 16]),
            kind: crate::Kind::Room,
            epoch: Epoch(0),
            control: 0,
            agreement: Commitment([0; 32]),
            numbers: RoomNumbers::default(),
            head: Seq(0),
            floor: Seq(0),
            members_max: 1,
            oldest_at,
            bytes,
            added: 0,
        }
    }

    #[test]
    fn b1_burst_is_followed_by_the_rate() {
        let mut quota = quota();
        let mut ann = member(1);
        for _ in 0..10 {
            quota.check_member(ROOM, &ann, 100_000, Millis(NOW)).unwrap();
            if let Some(full_at) = quota.take(ROOM, &ann, 100_000, Millis(NOW)) {
                ann.full_at = full_at;
            }
        }
        let refusal = quota.check_member(ROOM, &ann, 500, Millis(NOW)).unwrap_err();
        let wanted = Refusal { code: RejectCode::RateLimited, retry_at: Some(Millis(NOW + 500)) };
        assert_eq!(refusal, wanted);
        quota.check_member(ROOM, &ann, 500, Millis(NOW + 500)).unwrap();
        // Another member and another room have allowances of their own.
        quota.check_member(ROOM, &member(2), 500, Millis(NOW)).unwrap();
        quota.check_member(OTHER, &member(1), 500, Millis(NOW)).unwrap();
    }

    /// A restart drops spending in memory, at most the share below which nothing is stored.
    #[test]
    fn b1_restart_gives_little_back() {
        let mut first = quota();
        let mut ann = member(1);
        assert_eq!(first.take(ROOM, &ann, 62_500, Millis(NOW)), None);
        ann.full_at = first.take(ROOM, &ann, 937_500, Millis(NOW)).unwrap();
        let mut second = quota();
        assert!(second.check_member(ROOM, &ann, 1, Millis(NOW)).is_err());
    }

    #[test]
    fn b1_clock_set_back_silences_nobody() {
        let mut quota = quota();
        let mut ann = member(1);
        ann.full_at = Millis(u64::MAX);
        quota.check_member(ROOM, &ann, 1_000, Millis(NOW)).unwrap();
        assert_eq!(quota.take(ROOM, &ann, 1_000, Millis(0)), None);
        quota.check_member(ROOM, &ann, 1_000, Millis(u64::MAX)).unwrap();
    }

    #[test]
    fn b1_largest_entry_fits_any_burst() {
        let mut quota = Quota::new(Limits { member_bytes_burst: 1, ..LIMITS });
        let ann = member(1);
        let largest = PAYLOAD_BYTES_MAX as u64 + ROW_BYTES;
        assert!(quota.check_member(ROOM, &ann, largest + 1, Millis(NOW)).is_err());
        quota.check_member(ROOM, &ann, largest, Millis(NOW)).unwrap();
    }

    #[test]
    fn b1_forgotten_spending_is_unspent() {
        let mut quota = quota();
        let ann = member(1);
        assert_eq!(quota.take(ROOM, &ann, 60_000, Millis(NOW)), None);
        assert!(quota.check_member(ROOM, &ann, 1_000_000, Millis(NOW)).is_err());
        quota.forget();
        quota.check_member(ROOM, &ann, 1_000_000, Millis(NOW)).unwrap();
    }

    #[test]
    fn b1_members_in_memory_are_few() {
        let mut quota = quota();
        for number in 0..MEMBERS_MAX as u64 {
            assert_eq!(quota.take(ROOM, &member(number), 1_000, Millis(NOW)), None);
        }
        let late = member(MEMBERS_MAX as u64);
        assert_eq!(quota.take(ROOM, &late, 1_000, Millis(NOW)), Some(Millis(NOW + 1_000)));
        assert_eq!(quota.take(ROOM, &late, 1_000, Millis(NOW + 1_000)), None);
        assert_eq!(quota.full_at.len(), 1);
    }

    #[test]
    fn b1_shares_end_one_after_the_other() {
        let mut quota = quota();
        let mut holds = |bytes, share| {
            quota.check_room(&room(bytes, Millis(NOW)), share, 100, Millis(NOW + 1)).is_ok()
        };
        for (share, most) in [
            (Share::Member, 9_000),
            (Share::Moderator, 9_900),
            (Share::Act, 10_000),
            (Share::Rule, 10_100),
        ] {
            assert!(holds(most - 100, share) && !holds(most - 99, share), "{share:?}");
        }
        let full = room(10_000, Millis(NOW));
        let refusal = quota.check_room(&full, Share::Member, 1, Millis(NOW + 1)).unwrap_err();
        let expires = NOW + RETENTION_SECONDS_DEFAULT * 1000;
        let wanted = Refusal { code: RejectCode::QuotaSpent, retry_at: Some(Millis(expires)) };
        assert_eq!(refusal, wanted);
        let late = quota.check_room(&full, Share::Member, 1, Millis(expires));
        assert_eq!(late.unwrap_err().retry_at, None);
        let empty = quota.check_room(&room(10_000, Millis::NEVER), Share::Member, 1, Millis(NOW));
        assert_eq!(empty.unwrap_err().retry_at, None);
    }

    #[test]
    fn b1_effects_cost_their_content() {
        let effects = [
            Effect::AddInvite {
                invite: InviteId([1; 16]),
                uses: 1,
                expires: Millis(1),
                preview: vec![0; 10],
            },
            Effect::Decline { member: MemberKey([1; 32]), note: vec![0; 5] },
            Effect::Seat { member: MemberKey([1; 32]), role: Role::Member, welcome: vec![0; 7] },
            Effect::Leave,
        ];
        assert_eq!(content(&effects), 10 + ROW_BYTES + 5 + ROW_BYTES + 7);
    }

    #[test]
    fn b1_full_disk_is_for_moderators() {
        let mut quota = quota();
        let refusal = quota.check_disk(&mut Low(true), 1, Millis(NOW)).unwrap_err();
        assert_eq!(refusal.code, RejectCode::StoreUnavailable);
        assert_eq!(refusal.retry_at, Some(Millis(NOW + DISK_RETRY_MILLIS)));
        assert_eq!(quota.take_refused(), Some((RejectCode::StoreUnavailable, 1)));
        quota.check_disk(&mut Low(false), 1, Millis(NOW)).unwrap();
        assert_eq!(quota.take_refused(), None);
    }
}
