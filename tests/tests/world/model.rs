//! The naive model of the relay's answers and of every member's view, written from `docs/protocol.md` sections 4 to 6
//! and 8, without any of the relay's or the client's rules.
//!
//! One list of entries, one table of members, numbers. A submission is tried on a copy, which takes the place of the
//! original if every rule was kept: that is all there is to atomicity here.

use std::collections::{BTreeMap, BTreeSet};

use hearth_protocol::{
    Commitment, Digest, Effect, InviteId, MemberKey, MessageId, RejectCode, Role, RoomNumbers,
    codec,
    frame::{AckTriple, Door},
    hash,
    limits::{MARKED_BYTES_MAX, MARKED_MILLIS},
    mls_header,
};

const MINUTE: u64 = 60_000;
const QUARTER: u64 = 15 * MINUTE;
const DAY: u64 = 24 * 60 * MINUTE;

/// The state of the room that every member computes from the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Everybody in the group, with roles.
    pub roles: BTreeMap<MemberKey, Role>,
    /// The numbers in force.
    pub numbers: RoomNumbers,
    pub epoch: u64,
}

/// One accepted entry.
#[derive(Clone, Debug)]
pub struct Entry {
    /// By the relay's clock.
    pub at: u64,
    pub author: MemberKey,
    pub id: MessageId,
    /// SHA-256 of the payload.
    pub digest: Digest,
    pub commit: bool,
    /// Whether it is an own retraction or a departure.
    marked: bool,
    /// The entry that retracted it.
    pub retracted_at: Option<u64>,
    /// Whether retention took it.
    pub expired: bool,
    /// The state after it.
    pub after: Shape,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    In,
    Left,
    Gone,
}

#[derive(Clone, Debug)]
struct Member {
    role: Role,
    state: State,
    timed_out_until: u64,
    last_post: Option<u64>,
    posts: Vec<u64>,
    last_marked: Option<u64>,
}

#[derive(Clone, Debug)]
struct Knock {
    triple: AckTriple,
    declined: bool,
    at: u64,
}

#[derive(Clone, Debug)]
struct Invite {
    uses: u32,
    expires: u64,
    issuer: MemberKey,
}

/// A submission, as the relay sees it.
pub struct Submission<'a> {
    /// The key that its connection proved.
    pub from: MemberKey,
    pub id: MessageId,
    pub payload: &'a [u8],
    pub effects: &'a [Effect],
    /// The id is not looked for up to this entry.
    pub after: u64,
}

/// The room, by the naive rules.
#[derive(Clone, Debug)]
pub struct Model {
    /// The log; the first entry is number 1.
    pub entries: Vec<Entry>,
    /// How many of them are past their time: their ids are forgotten, and all but commits are gone.
    floor: usize,
    /// The state now.
    pub now: Shape,
    members: BTreeMap<MemberKey, Member>,
    agreement: Commitment,
    knocks: BTreeMap<MemberKey, Knock>,
    invites: BTreeMap<InviteId, Invite>,
    used: BTreeSet<(InviteId, MemberKey)>,
    /// Ids that had their effect: with what, and at which entry (0: without one).
    done: BTreeMap<(MemberKey, MessageId), ([u8; 32], u64, u64)>,
    /// When each member's whole burst of commits is free again. Forgotten when the relay restarts.
    pub pace: BTreeMap<MemberKey, u64>,
}

type Rule<T = ()> = Result<T, RejectCode>;

impl Model {
    /// A new room.
    pub fn found(founder: MemberKey, numbers: RoomNumbers, agreement: Commitment) -> Self {
        let roles = BTreeMap::from([(founder, Role::Facilitator)]);
        let mut model = Self {
            entries: Vec::new(),
            floor: 0,
            now: Shape { roles, numbers, epoch: 0 },
            members: BTreeMap::new(),
            agreement,
            knocks: BTreeMap::new(),
            invites: BTreeMap::new(),
            used: BTreeSet::new(),
            done: BTreeMap::new(),
            pace: BTreeMap::new(),
        };
        model.members.insert(founder, Member::new(Role::Facilitator));
        model
    }

    /// The entry of a number.
    pub fn entry(&self, seq: u64) -> Option<&Entry> {
        self.entries.get(usize::try_from(seq.checked_sub(1)?).ok()?)
    }

    /// The last entry's number.
    pub fn head(&self) -> u64 {
        self.entries.len() as u64
    }

    /// Whether a key is in the roster of the relay.
    pub fn is_in(&self, key: &MemberKey) -> bool {
        self.members.get(key).is_some_and(|m| m.state == State::In)
    }

    /// Whether a key knocked and was not answered.
    pub fn waits(&self, key: &MemberKey) -> bool {
        self.knocks.contains_key(key)
    }

    /// The time at which a present member was admitted.
    pub fn came_in(&self, key: &MemberKey) -> Option<u64> {
        self.is_in(key).then_some(())?;
        let since = self.entries.iter().rev().take_while(|e| e.after.roles.contains_key(key));
        since.last().map(|entry| entry.at)
    }

    /// Whether an id had its entry already, which expired since: ids are remembered as long as their entries.
    pub fn came_before(&self, id: MessageId, seq: u64) -> bool {
        self.entries.iter().zip(1..seq).any(|(entry, _)| entry.id == id && entry.expired)
    }

    /// Returns the answer that the relay must give, and applies it.
    pub fn submit(&mut self, now: u64, submission: &Submission<'_>) -> Rule<u64> {
        let key = (submission.from, submission.id);
        let content = hash::labelled(
            "model",
            &[submission.payload, &codec::encode(&submission.effects.to_vec())],
        );
        let found = |seq: u64| seq == 0 || seq > submission.after;
        if let Some((same, seq, _)) = self.done.get(&key).filter(|(_, seq, _)| found(*seq)) {
            return if *same == content { Ok(*seq) } else { Err(RejectCode::IdConflict) };
        }
        let mut next = self.clone();
        let outcome = next.apply(now, submission);
        // A refused commit counts for the pace, too.
        self.pace.clone_from(&next.pace);
        let seq = outcome?;
        next.done.insert(key, (content, seq, now));
        *self = next;
        Ok(seq)
    }

    fn apply(&mut self, now: u64, submission: &Submission<'_>) -> Rule<u64> {
        let Submission { from, id, payload, effects, .. } = *submission;
        let me = self.members.get(&from).filter(|m| m.state == State::In).cloned();
        let me = me.ok_or(RejectCode::NotMember)?;
        let header = mls_header::parse(payload);
        if header.is_none() && !payload.is_empty() {
            return Err(RejectCode::BadPayload);
        }
        let commit = header.is_some_and(|h| h.content == mls_header::ContentType::Commit);
        let marked = header.is_some_and(|h| h.marked);
        for effect in effects {
            rights(me.role, effect, (commit, marked), &self.now.numbers)?;
        }
        let leaves = effects.contains(&Effect::Leave);
        let takes_back = effects.iter().any(|e| matches!(e, Effect::Retract { own: Some(_), .. }));
        if marked && (payload.len() > MARKED_BYTES_MAX || !leaves && !takes_back) {
            return Err(RejectCode::BadPayload);
        }
        if marked && !leaves {
            let too_soon = |last| last <= now && last + MARKED_MILLIS > now;
            if me.last_marked.is_some_and(too_soon) {
                return Err(RejectCode::RateLimited);
            }
        } else if !me.role.moderates() && header.is_some() && !commit && !marked {
            self.may_post(&me, payload.len(), now)?;
        }
        if !me.role.moderates() && commit {
            self.may_commit(from, now)?;
        }
        let seq = if header.is_some() { self.head() + 1 } else { 0 };
        for effect in effects {
            self.take_effect(now, &from, seq, effect)?;
        }
        let Some(header) = header else { return Ok(0) };
        if header.epoch.0 != self.now.epoch {
            return Err(RejectCode::EpochConflict);
        }
        if commit {
            self.now.epoch += 1;
        } else if (marked || !me.role.moderates())
            && let Some(me) = self.members.get_mut(&from)
        {
            // A post counts only under a rule, because posts from before a budget do not spend it.
            if marked {
                me.last_marked = Some(now);
            } else if self.now.numbers.slow_seconds > 0 {
                me.last_post = Some(now);
            }
            if !marked && self.now.numbers.budget_per_day > 0 {
                me.posts.retain(|at| at / QUARTER + 96 >= now / QUARTER);
                me.posts.push(now);
            }
        }
        let (digest, after) = (hash::sha256(payload), self.now.clone());
        let (retracted_at, expired) = (None, false);
        self.entries.push(Entry {
            at: now,
            author: from,
            id,
            digest,
            commit,
            marked,
            retracted_at,
            expired,
            after,
        });
        Ok(seq)
    }

    fn may_post(&self, me: &Member, bytes: usize, now: u64) -> Rule {
        let numbers = &self.now.numbers;
        let spent = me.posts.iter().filter(|at| {
            let quarter = *at / QUARTER;
            quarter + 96 >= now / QUARTER && quarter <= now / QUARTER
        });
        let slow = u64::from(numbers.slow_seconds) * 1000;
        let too_soon = me.last_post.is_some_and(|last| last <= now && last + slow > now);
        let rules = [
            (me.role == Role::Observer, RejectCode::Observer),
            (me.timed_out_until > now, RejectCode::TimedOut),
            (numbers.paused_until.0 > now, RejectCode::Paused),
            (!self.is_open(now), RejectCode::Closed),
            (slow > 0 && too_soon, RejectCode::SlowMode),
            (
                numbers.budget_per_day > 0 && spent.count() >= numbers.budget_per_day as usize,
                RejectCode::BudgetSpent,
            ),
            (
                numbers.payload_bytes_max > 0 && bytes > numbers.payload_bytes_max as usize,
                RejectCode::TooLong,
            ),
        ];
        rules.into_iter().find(|(broken, _)| *broken).map_or(Ok(()), |(_, code)| Err(code))
    }

    fn is_open(&self, now: u64) -> bool {
        let numbers = &self.now.numbers;
        match (numbers.door, &numbers.hours) {
            (Door::Open, _) | (Door::ByHours, None) => true,
            (Door::Closed, _) => false,
            (Door::ByHours, Some(hours)) => {
                let offset = hours.offsets.iter().rev().find(|o| o.from.0 <= now);
                let offset = offset.or(hours.offsets.first()).map_or(0, |o| i128::from(o.minutes));
                let minute = (i128::from(now / MINUTE) + 4_320 + offset).rem_euclid(10_080);
                hours.windows.iter().any(|w| {
                    i128::from(w.start_minute) <= minute && minute < i128::from(w.end_minute)
                })
            }
        }
    }

    /// Five commits at once, then one in two seconds.
    fn may_commit(&mut self, from: MemberKey, now: u64) -> Rule {
        let free = self.pace.get(&from).copied().unwrap_or(0);
        // A clock that was set back silences nobody.
        let owed = Some(free.saturating_sub(now)).filter(|owed| *owed <= 10_000).unwrap_or(0);
        if owed + 2_000 > 10_000 {
            return Err(RejectCode::RateLimited);
        }
        self.pace.insert(from, now + owed + 2_000);
        Ok(())
    }

    fn take_effect(&mut self, now: u64, from: &MemberKey, seq: u64, effect: &Effect) -> Rule {
        let my_role = self.members.get(from).map_or(Role::Member, |m| m.role);
        match effect {
            Effect::Admit { member, role, acknowledgement, .. } => {
                if role.moderates() && my_role != Role::Facilitator {
                    return Err(RejectCode::NotFacilitator);
                }
                if self.now.numbers.locked {
                    return Err(RejectCode::Locked);
                }
                let knock = self.knocks.get(member).filter(|k| !k.declined);
                let triple = &knock.ok_or(RejectCode::NotFound)?.triple;
                if triple.agreement != self.agreement || triple.digest != *acknowledgement {
                    return Err(RejectCode::NotAcknowledged);
                }
                let former = self.members.get(member);
                if former.is_some_and(|m| m.state != State::Gone) {
                    return Err(RejectCode::NotFound);
                }
                let timed_out_until = former.map_or(0, |m| m.timed_out_until);
                let last_marked = former.and_then(|m| m.last_marked);
                let newcomer = Member { timed_out_until, last_marked, ..Member::new(*role) };
                self.members.insert(*member, newcomer);
                self.knocks.remove(member);
                self.now.roles.insert(*member, *role);
            }
            Effect::Remove { member } => {
                let target = self.members.get_mut(member).filter(|m| m.state != State::Gone);
                let left = target.as_ref().is_some_and(|m| m.state == State::Left);
                if !my_role.moderates() && !left {
                    return Err(RejectCode::NotFacilitator);
                }
                let Some(target) = target else { return Ok(()) };
                if !left && member == from {
                    return Err(RejectCode::BadFrame);
                }
                if !left && target.role.moderates() && my_role != Role::Facilitator {
                    return Err(RejectCode::NotFacilitator);
                }
                target.state = State::Gone;
                self.invites.retain(|_, invite| invite.issuer != *member);
                self.now.roles.remove(member);
            }
            Effect::SetRole { member, role } => {
                let held = self.members.iter().any(|(key, m)| {
                    key != member && m.state == State::In && m.role == Role::Facilitator
                });
                let target = self.members.get_mut(member).filter(|m| m.state == State::In);
                let target = target.ok_or(RejectCode::NotFound)?;
                if target.role.moderates() && my_role != Role::Facilitator {
                    return Err(RejectCode::NotFacilitator);
                }
                if target.role == Role::Facilitator && *role != Role::Facilitator && !held {
                    return Err(RejectCode::LastFacilitator);
                }
                target.role = *role;
                if role.moderates() {
                    target.timed_out_until = 0;
                }
                self.now.roles.insert(*member, *role);
            }
            Effect::SetNumbers { numbers } => self.now.numbers = numbers.clone(),
            Effect::Timeout { member, until } => {
                let target = self.members.get_mut(member);
                let target = target.filter(|m| m.state == State::In && !m.role.moderates());
                target.ok_or(RejectCode::NotFound)?.timed_out_until = until.0;
            }
            Effect::Retract { seq: target, own } => self.retract(from, seq, target.0, *own)?,
            Effect::Decline { member, .. } => {
                let knock = self.knocks.get_mut(member).filter(|k| !k.declined);
                knock.ok_or(RejectCode::NotFound)?.declined = true;
            }
            Effect::AddInvite { invite, uses, expires, .. } => {
                if *uses == 0 || expires.0 <= now {
                    return Err(RejectCode::BadFrame);
                }
                let made = Invite { uses: *uses, expires: expires.0, issuer: *from };
                if self.invites.insert(*invite, made).is_some() {
                    return Err(RejectCode::IdConflict);
                }
            }
            Effect::Leave => {
                let held = self.members.iter().any(|(key, m)| {
                    key != from && m.state == State::In && m.role == Role::Facilitator
                });
                let alone =
                    !self.members.iter().any(|(key, m)| key != from && m.state == State::In);
                let me = self.members.get_mut(from).ok_or(RejectCode::NotMember)?;
                if me.role == Role::Facilitator && !held && !alone {
                    return Err(RejectCode::LastFacilitator);
                }
                me.state = State::Left;
                self.invites.retain(|_, invite| invite.issuer != *from);
            }
            Effect::Reopen { epoch } => {
                let back = Some(epoch.0) == self.now.epoch.checked_sub(1);
                if !back && epoch.0 <= self.now.epoch {
                    return Err(RejectCode::EpochConflict);
                }
                self.now.epoch = epoch.0;
            }
            // Nobody here does these.
            _ => return Err(RejectCode::BadFrame),
        }
        Ok(())
    }

    fn retract(&mut self, from: &MemberKey, by: u64, target: u64, own: Option<MessageId>) -> Rule {
        let moderates = self.members.get(from).is_some_and(|m| m.role.moderates());
        if let Some(id) = own
            && self.done.get(&(*from, id)).is_none_or(|(_, seq, _)| *seq != target || target == 0)
        {
            return Err(RejectCode::NotFound);
        }
        let index = target.checked_sub(1).and_then(|at| usize::try_from(at).ok());
        let entry = index.and_then(|at| self.entries.get_mut(at)).ok_or(RejectCode::NotFound)?;
        if (entry.commit || entry.marked) && !entry.expired {
            return Err(RejectCode::NotFound);
        }
        if entry.retracted_at.is_some() || entry.expired {
            return if moderates { Ok(()) } else { Err(RejectCode::NotFound) };
        }
        entry.retracted_at = Some(by);
        Ok(())
    }

    /// Returns the answer that the relay must give to a knock.
    pub fn knock(
        &mut self,
        now: u64,
        from: MemberKey,
        invite: InviteId,
        triple: &AckTriple,
    ) -> Rule {
        let known = self.invites.get_mut(&invite).ok_or(RejectCode::InviteInvalid)?;
        if known.expires <= now {
            return Err(RejectCode::InviteExpired);
        }
        if self.members.get(&from).is_some_and(|m| m.state == State::In) {
            return Ok(());
        }
        let declined = self.knocks.get(&from).is_some_and(|k| k.declined);
        let spent = self.used.contains(&(invite, from));
        if (!spent && known.uses == 0) || (spent && declined) {
            return Err(RejectCode::InviteUsed);
        }
        if self.now.numbers.locked {
            return Err(RejectCode::Locked);
        }
        if triple.agreement != self.agreement {
            return Err(RejectCode::NotAcknowledged);
        }
        let before = self.knocks.get(&from).filter(|k| !k.declined).map(|k| k.at);
        // Everybody here knocks by one invite.
        if before.is_some_and(|at| at <= now && at + 30_000 > now) {
            return Err(RejectCode::RateLimited);
        }
        if self.used.insert((invite, from)) {
            known.uses -= 1;
        }
        self.knocks.insert(from, Knock { triple: triple.clone(), declined: false, at: now });
        Ok(())
    }

    /// Forgets what is past its time, and nothing else.
    pub fn forget(&mut self, now: u64) {
        let kept = self.now.numbers.retention_seconds.saturating_mul(1000);
        let cutoff = now.saturating_sub(kept);
        // From the oldest on: a clock that was set back keeps an entry longer, never shorter.
        self.floor += self.entries[self.floor..].iter().take_while(|e| e.at < cutoff).count();
        let commits = now.saturating_sub(kept.max(366 * DAY));
        for entry in &mut self.entries[..self.floor] {
            entry.expired |= !entry.commit || entry.at < commits;
        }
        let floor = self.floor as u64;
        self.done.retain(|_, (_, seq, at)| if *seq > 0 { *seq > floor } else { *at >= cutoff });
        self.invites.retain(|_, invite| invite.expires >= now.saturating_sub(DAY));
        self.knocks.retain(|_, knock| knock.at >= now.saturating_sub(30 * DAY));
        let invites = &self.invites;
        self.used.retain(|(invite, _)| invites.contains_key(invite));
    }
}

impl Member {
    const fn new(role: Role) -> Self {
        Self {
            role,
            state: State::In,
            timed_out_until: 0,
            last_post: None,
            posts: Vec::new(),
            last_marked: None,
        }
    }
}

/// Section 6: which role may ask for which effect, and which effect needs a commit or a marked entry.
fn rights(role: Role, effect: &Effect, (commit, marked): (bool, bool), now: &RoomNumbers) -> Rule {
    let needs_commit = matches!(
        effect,
        Effect::Admit { .. }
            | Effect::Remove { .. }
            | Effect::SetRole { .. }
            | Effect::SetNumbers { .. }
            | Effect::Timeout { .. }
            | Effect::Retract { own: None, .. }
    );
    let needs_mark = matches!(effect, Effect::Leave | Effect::Retract { own: Some(_), .. });
    if needs_commit && !commit || needs_mark && !marked {
        return Err(RejectCode::BadPayload);
    }
    let may = match effect {
        Effect::Leave | Effect::Retract { own: Some(_), .. } | Effect::Remove { .. } => true,
        Effect::SetRole { role: given, .. } if given.moderates() => role == Role::Facilitator,
        Effect::SetNumbers { numbers } if numbers.retention_seconds != now.retention_seconds => {
            role == Role::Facilitator
        }
        Effect::Reopen { .. } => role == Role::Facilitator,
        _ => role.moderates(),
    };
    may.then_some(()).ok_or(RejectCode::NotFacilitator)
}
