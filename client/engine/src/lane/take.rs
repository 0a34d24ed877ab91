//! A lane seen as a room: its seats as a roster, its bench as roles, and what its entries do.

use hearth_protocol::{MemberKey, Millis, Role, RoomNumbers, Seq};

use super::{
    gate::{LaneLeaf, LaneRefusal, LaneView, Parent, Whereabouts, check_lane_commit},
    record::LanePolicy,
    roll::{Present, Roll},
};
use crate::{
    companion::Companion,
    error::EngineError,
    mls::{MlsError, lane::LaneOpened},
    policy::{Act, AgreementRef, Leaf, Record, RoleEntry, RoomPolicy},
    receive::{counter_name, name_row},
    room::{Room, read, write},
    state::{Break, Cursor, LaneKeys, LaneSeats, LaneState, Notice, Row, RowContent, Standing},
    store::{Kind, RoomNo},
};

type Result<T, E = EngineError> = std::result::Result<T, E>;

/// Names the record of the keys drawn for a lane.
const KEYS: &[u8] = b"keys";

impl<'s> Room<'s> {
    /// Returns what this profile keeps of a lane beside what it keeps of a room.
    pub(super) fn lane_state(&self) -> Result<&LaneState> {
        self.state.lane.as_deref().ok_or(EngineError::NoLanes)
    }

    pub(super) fn lane_state_mut(&mut self) -> Result<&mut LaneState> {
        self.state.lane.as_deref_mut().ok_or(EngineError::NoLanes)
    }

    pub(crate) fn lane_keys(&self) -> Result<LaneKeys> {
        Ok(read(self.store, Kind::Pending, self.no, KEYS)?.unwrap_or_default())
    }

    pub(super) fn save_lane_keys(&self, keys: &LaneKeys) -> Result<()> {
        write(self.store, Kind::Pending, self.no, KEYS, keys)
    }

    /// Returns the roll of a lane's parent.
    pub(super) fn parent_roll(&self) -> Result<Roll<'s>> {
        let lane = self.lane_state()?;
        Ok(Roll::new(self.store, RoomNo(lane.parent), lane.member))
    }

    /// Returns the parent of a lane as this profile knows it now.
    pub(super) fn parent_now(&self) -> Result<Present> {
        self.parent_roll()?.present()?.ok_or(EngineError::NoLanes)
    }

    pub(super) fn lane_policy(&mut self) -> Result<LanePolicy> {
        let policy = self.group()?.1.lane_policy();
        policy.map_err(|error| EngineError::Refused(error.into()))
    }

    pub(super) fn lane_leaves(&mut self) -> Result<Vec<LaneLeaf>> {
        let leaves = self.group()?.1.lane_leaves();
        leaves.map_err(|error| EngineError::Refused(error.into()))
    }

    /// Returns the policy of a lane in a room's terms: the bench has its roles, nothing limits posts, the retention is the parent's.
    pub(crate) fn lane_as_policy(&mut self) -> Result<RoomPolicy> {
        let lane = self.lane_policy()?;
        let present = self.parent_now()?;
        let chairs = lane.bench.iter();
        let roles = chairs.map(|chair| RoleEntry { member: chair.member, role: chair.role });
        let actor = lane.bench.first().map_or(MemberKey([0; 32]), |chair| chair.member);
        let numbers =
            RoomNumbers { retention_seconds: present.retention_seconds, ..RoomNumbers::default() };
        let agreement: AgreementRef = present.terms.agreement;
        let policy = RoomPolicy::found(present.title, agreement, actor, Millis(0), numbers);
        let record = Record {
            number: lane.number,
            previous: lane.record,
            actor,
            at: Millis(0),
            act: Act::Found,
        };
        Ok(RoomPolicy { roles: roles.collect(), record, ..policy })
    }

    /// Returns the seats of a lane in a room's terms: by room keys, with the names of the parent.
    pub(crate) fn lane_as_roster(&mut self) -> Result<Vec<Leaf>> {
        let (policy, roll) = (self.lane_policy()?, self.parent_roll()?);
        let leaves = self.lane_leaves()?.into_iter();
        leaves
            .map(|leaf| {
                let member = leaf.seat.member;
                Ok(Leaf {
                    member,
                    name: name_in(&roll, &policy, &member)?,
                    acknowledgement: leaf.acknowledgement,
                    companion: Companion { format: 1, salt: [0; 16], note: None },
                })
            })
            .collect()
    }

    /// Whether a member may sit in this lane by my own copy of the parent. In a room everybody in the tree may.
    pub(crate) fn may_sit(&mut self, member: &MemberKey) -> Result<bool> {
        if self.state.lane.is_none() {
            return Ok(true);
        }
        let policy = self.lane_policy()?;
        let (present, roll) = (self.parent_now()?, self.parent_roll()?);
        if policy.owner == Some(*member) {
            return Ok(roll.whereabouts(present.number, member)? != Whereabouts::Gone);
        }
        Ok(bench_now(&policy, &present).iter().any(|chair| chair.member == *member))
    }

    /// Handles an entry of a lane that this profile did not send.
    pub(crate) fn handle_lane(&mut self, row: &mut Row, payload: &[u8]) -> Result<()> {
        let id = self.id();
        let (policy, leaves) = (self.lane_policy()?, self.lane_leaves()?);
        let roster = self.lane_as_roster()?;
        let member_of = |key: &MemberKey| {
            let leaf = leaves.iter().find(|leaf| leaf.key == *key);
            leaf.map(|leaf| leaf.seat.member)
        };
        let (provider, group) = self.group()?;
        let opened = match group.open_lane(&provider, id, payload) {
            Ok(opened) => opened,
            Err(MlsError::Invalid | MlsError::WrongEpoch | MlsError::Refused(_)) => {
                let notice = self.note_unusable(row, payload)?;
                row.notices.push(notice);
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        let mut refuse = |room: &mut Self, committer: &MemberKey, why: String| {
            if let Some(member) = member_of(committer) {
                name_row(row, &roster, member);
            }
            row.notices.push(Notice::RefusedCommit(why));
            room.note_unusable(row, payload).map(|_| ())
        };
        match opened {
            LaneOpened::Own => {
                row.from = Some(self.me());
                row.name.clone_from(&self.state.name);
                row.notices.push(Notice::NotMine);
                self.state.renewed_at = Millis(0);
                self.save_state()
            }
            LaneOpened::Application { sender, content, marked } => {
                let Some(sender) = member_of(&sender) else {
                    row.notices.push(Notice::Unreadable);
                    return Ok(());
                };
                name_row(row, &roster, sender);
                match marked {
                    Some(marked) => self.take_application(row, sender, &content, marked),
                    None => {
                        row.notices.push(Notice::Unreadable);
                        Ok(())
                    }
                }
            }
            LaneOpened::Refused { committer, refusal } => {
                refuse(self, &committer, refusal.to_string())
            }
            LaneOpened::Commit { staged, view, removes_me } => {
                let number = view.number(&policy);
                let roll = self.parent_roll()?;
                let as_of = roll.as_of(number, policy.owner.as_ref())?;
                let view_of = LaneView { lane: id, policy: &policy, leaves: &leaves };
                let parent = Parent { room: self.lane_state()?.parent_id, as_of: &as_of };
                let verdict = match check_lane_commit(view_of, &view, parent) {
                    Ok(verdict) => verdict,
                    Err(refusal) => {
                        // It may come: the relay orders rooms and lanes apart.
                        let unknown = refusal == LaneRefusal::UnknownRecord(number).into();
                        if unknown && number > self.parent_now()?.number && !self.whole {
                            return Err(EngineError::LaneWaits(number));
                        }
                        return refuse(self, &view.committer, refusal.to_string());
                    }
                };
                self.give_up_commit()?;
                let (provider, group) = self.group()?;
                group.merge(&provider, *staged)?;
                name_row(row, &roster, verdict.by);
                self.count_from_one(&verdict.seated)?;
                let moved = verdict.policy != policy;
                if moved || !verdict.seated.is_empty() {
                    row.content =
                        seats_row(&roll, (&policy, &verdict.policy), &leaves, &verdict.seated)?;
                    if let RowContent::Seats { unproved, .. } = &mut row.content {
                        *unproved = verdict.unproved;
                    }
                } else {
                    row.content = RowContent::Renewal;
                }
                let me = self.me();
                if removes_me && verdict.unseated.contains(&me) {
                    self.lose_seat()
                } else if removes_me {
                    // Another seat of mine came in its place; its Welcome leads there.
                    self.leave_group()
                } else {
                    Ok(())
                }
            }
        }
    }

    /// Takes an own commit that the relay has ordered.
    pub(crate) fn handle_own_seats(
        &mut self,
        row: &mut Row,
        acknowledgement: Option<minicbor::bytes::ByteVec>,
        seats: &LaneSeats,
        now: Millis,
    ) -> Result<()> {
        let (before, leaves) = (self.lane_policy()?, self.lane_leaves()?);
        let (provider, group) = self.group()?;
        group.merge_pending(&provider)?;
        let (after, now_there) = (self.lane_policy()?, self.lane_leaves()?);
        let old = |leaf: &&LaneLeaf| leaves.iter().any(|other| other.key == leaf.key);
        let seated: Vec<MemberKey> =
            now_there.iter().filter(|leaf| !old(leaf)).map(|leaf| leaf.seat.member).collect();
        self.count_from_one(&seated)?;
        // That a lane was opened says nothing.
        row.content = if row.seq == Seq(1) || (before == after && seated.is_empty()) {
            RowContent::Renewal
        } else {
            seats_row(&self.parent_roll()?, (&before, &after), &leaves, &seated)?
        };
        self.state.renewed_at = now;
        self.lane_state_mut()?.renewed = seats.follows;
        if let Some(acknowledgement) = acknowledgement {
            self.state.acknowledgement = acknowledgement.into();
        }
        self.save_state()
    }

    /// Expects the first message of those who were seated just now.
    fn count_from_one(&mut self, seated: &[MemberKey]) -> Result<()> {
        for member in seated {
            self.forget_member(member)?;
            write(self.store, Kind::Seen, self.no, &counter_name(member), &0_u64)?;
        }
        Ok(())
    }

    /// Begins the log of a lane at an entry. If it began anew, after the relay was asked to forget the lane, what was read before stays
    /// where it is, and what comes now goes behind it.
    pub(super) fn begin_lane(&mut self, joined: Seq) -> Result<()> {
        if self.cursor.seq > Seq(0) && joined <= self.cursor.seq {
            let last = self.store.last(Kind::History, self.no)?.map_or(0, |(place, _)| place);
            self.cursor.breaks = vec![Break { after: Seq(0), base: last }];
        }
        self.cursor = Cursor {
            seq: joined,
            stream: self.cursor.stream,
            breaks: std::mem::take(&mut self.cursor.breaks),
            ..Cursor::default()
        };
        self.state.joined = joined;
        self.store.clear(Kind::Seen, self.no)?;
        self.recent.get_mut().clear();
        self.save_cursor()
    }

    /// Drops the keys of a seat that the parent's records took away.
    fn lose_seat(&mut self) -> Result<()> {
        self.state.standing = Standing::Left;
        self.save_state()?;
        self.drop_keys()?;
        // Those of offers went with the group's.
        let keys = self.lane_keys()?;
        self.store.clear(Kind::Pending, self.no)?;
        self.save_lane_keys(&LaneKeys { offers: Vec::new(), ..keys })
    }

    /// Drops the keys of every lane of this room. What was read stays.
    pub(crate) fn leave_lanes(&self) -> Result<()> {
        for mut lane in self.lanes()? {
            lane.room_mut().lose_seat()?;
        }
        Ok(())
    }

    /// Drops the group, but not the keys of offers.
    pub(super) fn leave_group(&mut self) -> Result<()> {
        let provider = self.provider();
        if self.group.is_none() {
            self.group = crate::mls::Group::load(&provider, self.state.room)?;
        }
        if let Some(group) = self.group.take() {
            group.delete(&provider)?;
        }
        self.state.standing = Standing::Knocking;
        self.save_state()
    }
}

/// Returns the bench by this profile's copy of the parent. Where the lane is ahead of it, as for an owner who has lapsed, the lane's own
/// counts.
pub(super) fn bench_now<'a>(
    policy: &'a LanePolicy,
    present: &'a Present,
) -> &'a [super::record::Chair] {
    if policy.number > present.number { &policy.bench } else { &present.bench }
}

/// Returns a member's name by the bench, or by the roll of the parent.
fn name_in(roll: &Roll<'_>, policy: &LanePolicy, member: &MemberKey) -> Result<String> {
    if let Some(chair) = policy.chair(member) {
        return Ok(chair.name.clone());
    }
    Ok(roll.known(member)?.map_or_else(|| member.short(), |(name, _)| name))
}

/// Returns what a row tells of a commit that moved seats.
fn seats_row(
    roll: &Roll<'_>,
    (before, after): (&LanePolicy, &LanePolicy),
    leaves: &[LaneLeaf],
    seated: &[MemberKey],
) -> Result<RowContent> {
    let unseated = leaves.iter().map(|leaf| leaf.seat.member);
    let unseated = unseated.filter(|member| !after.seats(member));
    Ok(RowContent::Seats {
        record: after.number,
        seated: seated.iter().map(|m| name_in(roll, after, m)).collect::<Result<_>>()?,
        unseated: unseated.map(|m| name_in(roll, before, &m)).collect::<Result<_>>()?,
        unproved: false,
    })
}

/// Returns what the relay is told of a seat: the bench may remove and reopen like the owner, whose row goes only beside another.
pub(super) fn role_of(policy: &LanePolicy, member: &MemberKey) -> Role {
    if policy.owner == Some(*member) { Role::Member } else { Role::Facilitator }
}
