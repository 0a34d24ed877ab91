//! The gate of lanes: every check before a lane's commit is merged or its Welcome accepted.
//!
//! A lane has no rules of its own. Each reader compares it with their own log of the parent room, so that neither a seat nor the relay
//! decides who reads. `docs/protocol.md` section 7.13.

use hearth_protocol::{Digest, MemberKey, Role, RoomId};

use super::record::{Chair, LanePolicy, SEATS_MAX, Seat};
use crate::{
    agreement::{AckError, Acknowledgement},
    gate::{LeafError, PolicyError, Refusal},
    policy::Terms,
};

/// One leaf of a lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneLeaf {
    /// The lane key, which is the leaf's signature key.
    pub key: MemberKey,
    /// The acknowledgement of the parent's agreement.
    pub acknowledgement: Acknowledgement,
    /// The seat.
    pub seat: Seat,
}

/// A lane's group before a commit.
#[derive(Clone, Copy, Debug)]
pub struct LaneView<'a> {
    /// The group's id.
    pub lane: RoomId,
    /// The policy in the group context.
    pub policy: &'a LanePolicy,
    /// All leaves.
    pub leaves: &'a [LaneLeaf],
}

/// The effects of a staged commit in a lane.
#[derive(Clone, Debug)]
pub struct LaneCommitView {
    /// Lane key of the committer's leaf before the commit.
    pub committer: MemberKey,
    /// Leaves that it adds.
    pub added: Vec<Result<LaneLeaf, LeafError>>,
    /// Lane keys of the leaves that it removes.
    pub removed: Vec<MemberKey>,
    /// The policy in the new group context, if the commit changes the context.
    pub policy: Option<Result<LanePolicy, PolicyError>>,
    /// Whether it changes any other part of the context than the policy.
    pub context_changed_otherwise: bool,
    /// Whether it holds proposals that lanes do not use.
    pub foreign_proposals: bool,
    /// The committer's new leaf.
    pub path: Option<Result<LaneLeaf, LeafError>>,
}

impl LaneCommitView {
    /// Returns the number of the parent's record that the lane follows after the commit.
    pub fn number(&self, before: &LanePolicy) -> u64 {
        match &self.policy {
            Some(Ok(policy)) => policy.number,
            _ => before.number,
        }
    }
}

/// Where a lane's owner was, as of a record of the parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whereabouts {
    /// In the room. The desk, which has no owner, counts so.
    In,
    /// Out without an acknowledgement of the agreement in force; they may return.
    Lapsed,
    /// Out for good: they left or were removed.
    Gone,
}

/// The parent as of one of its records, by the reader's own log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Digest of the record.
    pub record: Digest,
    /// Who moderated after it, ascending by key.
    pub bench: Vec<Chair>,
    /// The agreements that held after it.
    pub terms: Terms,
    /// Where the lane's owner was after it.
    pub owner: Whereabouts,
}

/// What the reader's log of the parent says about one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AsOf {
    /// The record is there.
    Known(Box<Known>),
    /// The reader is the lane's owner and had lapsed then, so they never got the record.
    Away,
    /// The record is not there.
    Unknown,
}

impl AsOf {
    /// Where the lane's owner was; `None` if the record is unknown.
    const fn owner(&self) -> Option<Whereabouts> {
        match self {
            Self::Known(known) => Some(known.owner),
            Self::Away => Some(Whereabouts::Lapsed),
            Self::Unknown => None,
        }
    }
}

/// The reader's view of the parent room for one commit or Welcome.
#[derive(Clone, Copy, Debug)]
pub struct Parent<'a> {
    /// The parent's id.
    pub room: RoomId,
    /// The parent as of the record that the lane follows after the commit, or in the Welcome.
    pub as_of: &'a AsOf,
}

/// Why the gate of a lane refuses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LaneRefusal {
    /// The committer has no seat.
    #[error("the commit is from somebody who does not sit in this lane")]
    NotSeated,
    /// The committer's new leaf differs in more than its keys and a newer acknowledgement.
    #[error("the committer changed their own key, seat or acknowledgement")]
    OwnLeafChanged,
    /// The new policy is another lane's.
    #[error("the lane's room or owner changed")]
    OtherLane,
    /// The number of the parent's record does not grow.
    #[error("the lane would go back from record {from} of its room to {to}")]
    NumberBack {
        /// The number before the commit.
        from: u64,
        /// The number after it.
        to: u64,
    },
    /// The reader's log of the parent lacks the record.
    #[error("the room has no record {0}, which the lane says it follows")]
    UnknownRecord(u64),
    /// The reader's log has another record of that number.
    #[error("record {0} of the room is not the one that the lane says it follows")]
    OtherRecord(u64),
    /// The bench is not the one that the record leaves.
    #[error("the moderators in the lane are not those of the room's record {0}")]
    OtherBench(u64),
    /// The owner has lapsed, and the committer is not a facilitator.
    #[error("only a facilitator moves the lane of a member who has lapsed")]
    OnlyFacilitator,
    /// A seat is removed that stays, or one stays that goes.
    #[error("the commit removes other seats than the room's records take away")]
    RemoveMismatch,
    /// An added leaf's seat is in another lane or room.
    #[error("the new seat is for another lane")]
    OtherSeat,
    /// An added leaf's member has no right to a seat.
    #[error("the new seat is for somebody who neither moderates the room nor owns the lane")]
    Stranger,
    /// A member did not sign the seat for that lane key.
    #[error("the new seat is not signed by the member it names")]
    UnsignedSeat,
    /// The acknowledgement in a leaf is not valid.
    #[error("a seat without a good acknowledgement: {0}")]
    NotAcknowledged(AckError),
    /// A seat would be replaced by one of a number that is not greater.
    #[error("the new seat is older than the one it would replace")]
    OlderSeat,
    /// A member would sit twice.
    #[error("a member would sit twice")]
    SitsTwice,
    /// More leaves than a lane holds.
    #[error("a lane has at most {SEATS_MAX} seats")]
    Full,
    /// The Welcome is for another group than a lane of the room.
    #[error("the Welcome is for no lane of this room")]
    ForeignWelcome,
    /// The Welcome's signer does not moderate.
    #[error("the Welcome is not from somebody who moderates the room")]
    ForeignSigner,
    /// The Welcome does not hold a seat that I offered, or an older one than mine.
    #[error("the Welcome does not hold the seat that this device offered")]
    OwnSeatMissing,
}

/// Meaning of a lane's commit that passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneVerdict {
    /// Member who committed.
    pub by: MemberKey,
    /// The policy after it.
    pub policy: LanePolicy,
    /// Members who got a seat, or another one in its place.
    pub seated: Vec<MemberKey>,
    /// Members who lost their seat.
    pub unseated: Vec<MemberKey>,
    /// Whether record and bench were taken as they are, because the reader, who owns the lane, had lapsed then.
    pub unproved: bool,
}

/// Judges a commit against the lane that it would change and the reader's own log of the parent.
///
/// # Errors
/// The first check that fails; the commit must not be merged.
pub fn check_lane_commit(
    lane: LaneView<'_>,
    commit: &LaneCommitView,
    parent: Parent<'_>,
) -> Result<LaneVerdict, Refusal> {
    // As in a room: checked first, because OpenMLS has already refused the commit for this by some readers' clocks.
    if commit.added.iter().any(|leaf| matches!(leaf, Err(LeafError::Lifetime))) {
        return Err(LeafError::Lifetime.into());
    }
    if commit.foreign_proposals {
        return Err(Refusal::ForeignProposal);
    }
    if commit.context_changed_otherwise {
        return Err(PolicyError.into());
    }
    let path = commit.path.as_ref().ok_or(Refusal::NoPath)?.as_ref().map_err(|e| *e)?;

    let own = lane.leaves.iter().find(|leaf| leaf.key == commit.committer);
    let own = own.ok_or(LaneRefusal::NotSeated)?;
    let new = match &commit.policy {
        Some(new) => new.as_ref().map_err(|e| *e)?,
        None => lane.policy,
    };
    check_own_leaf(own, path, new, parent)?;
    let moved = commit.policy.is_some();
    if moved {
        check_policy(lane.policy, new, own, parent)?;
    }

    let added: Vec<&LaneLeaf> = commit
        .added
        .iter()
        .map(|leaf| leaf.as_ref().map_err(|e| *e))
        .collect::<Result<_, LeafError>>()?;
    let unseated = check_removed(lane.leaves, &added, &commit.removed, new)?;
    for leaf in &added {
        check_seat(lane.lane, leaf, new)?;
        check_acknowledgement(leaf, new, parent)?;
    }
    let stay = lane.leaves.iter().filter(|leaf| !commit.removed.contains(&leaf.key));
    check_count(&stay.chain(added.iter().copied()).collect::<Vec<_>>())?;
    Ok(LaneVerdict {
        by: own.seat.member,
        policy: new.clone(),
        seated: added.iter().map(|leaf| leaf.seat.member).collect(),
        unseated,
        unproved: moved && *parent.as_of == AsOf::Away,
    })
}

fn check_own_leaf(
    old: &LaneLeaf,
    new: &LaneLeaf,
    policy: &LanePolicy,
    parent: Parent<'_>,
) -> Result<(), Refusal> {
    if old.key != new.key || old.seat != new.seat {
        return Err(LaneRefusal::OwnLeafChanged.into());
    }
    if old.acknowledgement != new.acknowledgement {
        if new.acknowledgement.version <= old.acknowledgement.version {
            return Err(LaneRefusal::OwnLeafChanged.into());
        }
        check_acknowledgement(new, policy, parent)?;
    }
    Ok(())
}

/// Compares a new policy with the reader's own log: an invented bench would seat a stranger, an old one somebody who was demoted.
fn check_policy(
    old: &LanePolicy,
    new: &LanePolicy,
    committer: &LaneLeaf,
    parent: Parent<'_>,
) -> Result<(), LaneRefusal> {
    if (old.parent, old.owner) != (new.parent, new.owner) || new.parent != parent.room {
        return Err(LaneRefusal::OtherLane);
    }
    if new.number <= old.number {
        return Err(LaneRefusal::NumberBack { from: old.number, to: new.number });
    }
    check_followed(new, parent.as_of)?;
    // The owner cannot check it, so a co-facilitator could take them into a fork without the others. All ask alike, by the bench on
    // which all agree.
    if parent.as_of.owner() == Some(Whereabouts::Lapsed) {
        let chair = old.chair(&committer.seat.member);
        if chair.is_none_or(|chair| chair.role != Role::Facilitator) {
            return Err(LaneRefusal::OnlyFacilitator);
        }
    }
    Ok(())
}

/// Checks that record and bench are those of the reader's own log.
fn check_followed(policy: &LanePolicy, as_of: &AsOf) -> Result<(), LaneRefusal> {
    match as_of {
        AsOf::Unknown => Err(LaneRefusal::UnknownRecord(policy.number)),
        AsOf::Away => Ok(()),
        AsOf::Known(known) if known.record != policy.record => {
            Err(LaneRefusal::OtherRecord(policy.number))
        }
        AsOf::Known(known) if known.bench != policy.bench => {
            Err(LaneRefusal::OtherBench(policy.number))
        }
        AsOf::Known(_) => Ok(()),
    }
}

/// Checks that exactly those seats go that must, and returns the members who lose theirs.
fn check_removed(
    leaves: &[LaneLeaf],
    added: &[&LaneLeaf],
    removed: &[MemberKey],
    policy: &LanePolicy,
) -> Result<Vec<MemberKey>, LaneRefusal> {
    let (mut expected, mut unseated) = (Vec::new(), Vec::new());
    for leaf in leaves {
        let replaces = added.iter().find(|new| new.seat.member == leaf.seat.member);
        if !policy.seats(&leaf.seat.member) {
            expected.push(leaf.key);
            unseated.push(leaf.seat.member);
        } else if let Some(new) = replaces {
            if new.seat.number <= leaf.seat.number {
                return Err(LaneRefusal::OlderSeat);
            }
            expected.push(leaf.key);
        }
    }
    let mut removed = removed.to_vec();
    expected.sort_unstable();
    removed.sort_unstable();
    (removed == expected).then_some(unseated).ok_or(LaneRefusal::RemoveMismatch)
}

/// Checks that a leaf's seat is here, and of somebody who may have it.
fn check_seat(lane: RoomId, leaf: &LaneLeaf, policy: &LanePolicy) -> Result<(), LaneRefusal> {
    let seat = &leaf.seat;
    if seat.lane != lane || seat.parent != policy.parent {
        return Err(LaneRefusal::OtherSeat);
    }
    if !policy.seats(&seat.member) {
        return Err(LaneRefusal::Stranger);
    }
    seat.verify(&leaf.key).then_some(()).ok_or(LaneRefusal::UnsignedSeat)
}

/// Judges the acknowledgement of a new leaf as of the record that the lane follows. A lapsed owner's is of an agreement that no
/// longer holds, and a lapsed owner does not know which one does: then only the signature counts.
fn check_acknowledgement(
    leaf: &LaneLeaf,
    policy: &LanePolicy,
    parent: Parent<'_>,
) -> Result<(), LaneRefusal> {
    let (room, member) = (&policy.parent, &leaf.seat.member);
    let judged = match parent.as_of {
        AsOf::Unknown => return Err(LaneRefusal::UnknownRecord(policy.number)),
        AsOf::Known(known)
            if known.owner != Whereabouts::Lapsed || policy.owner != Some(*member) =>
        {
            known.terms.judge(room, member, &leaf.acknowledgement)
        }
        AsOf::Known(_) | AsOf::Away => leaf.acknowledgement.verify(room, member),
    };
    judged.map_err(LaneRefusal::NotAcknowledged)
}

/// Judges the leaf of an offer as the gate judges it in a commit with this policy.
pub(super) fn check_offer(
    lane: RoomId,
    leaf: &LaneLeaf,
    policy: &LanePolicy,
    parent: Parent<'_>,
) -> Result<(), LaneRefusal> {
    check_seat(lane, leaf, policy)?;
    check_acknowledgement(leaf, policy, parent)
}

fn check_count(leaves: &[&LaneLeaf]) -> Result<(), LaneRefusal> {
    let mut members: Vec<MemberKey> = leaves.iter().map(|leaf| leaf.seat.member).collect();
    members.sort_unstable();
    members.dedup();
    if members.len() < leaves.len() {
        return Err(LaneRefusal::SitsTwice);
    }
    (leaves.len() <= SEATS_MAX).then_some(()).ok_or(LaneRefusal::Full)
}

/// The group that a lane's Welcome leads to.
#[derive(Clone, Debug)]
pub struct LaneWelcomeView {
    /// The group's id.
    pub lane: Option<RoomId>,
    /// Lane key of the leaf that signed the Welcome's group info.
    pub signer: MemberKey,
    /// The policy in the group context.
    pub policy: Result<LanePolicy, PolicyError>,
    /// All leaves, including ours.
    pub leaves: Vec<Result<LaneLeaf, LeafError>>,
}

/// The knowledge of a member who waits for a seat.
#[derive(Clone, Copy, Debug)]
pub struct ExpectedSeat<'a> {
    /// The lane, whose id my own tree of the parent yields.
    pub lane: RoomId,
    /// Its owner; `None` for the desk.
    pub owner: Option<MemberKey>,
    /// The leaves that I offered.
    pub offered: &'a [LaneLeaf],
    /// Number of the seat that I have, or had last; 0: none.
    pub number: u32,
}

/// Judges a staged Welcome of a lane, and returns its policy, its leaves and which of the offered leaves is in it.
///
/// # Errors
/// The first check that fails; the group must not be joined.
pub fn check_lane_welcome(
    view: LaneWelcomeView,
    expected: ExpectedSeat<'_>,
    parent: Parent<'_>,
) -> Result<(LanePolicy, Vec<LaneLeaf>, LaneLeaf), Refusal> {
    if view.lane != Some(expected.lane) {
        return Err(LaneRefusal::ForeignWelcome.into());
    }
    let policy = view.policy?;
    if policy.parent != parent.room || policy.owner != expected.owner {
        return Err(LaneRefusal::OtherLane.into());
    }
    let leaves = view.leaves.into_iter().collect::<Result<Vec<LaneLeaf>, LeafError>>()?;
    let signer = leaves.iter().find(|leaf| leaf.key == view.signer);
    if signer.and_then(|signer| policy.chair(&signer.seat.member)).is_none() {
        return Err(LaneRefusal::ForeignSigner.into());
    }
    let mine = leaves.iter().find(|leaf| expected.offered.contains(leaf)).cloned();
    let mine = mine.filter(|leaf| leaf.seat.number > expected.number);
    let mine = mine.ok_or(LaneRefusal::OwnSeatMissing)?;
    // Nobody is seated as of a record that they missed: who seats them raises the number to one that they have.
    if *parent.as_of == AsOf::Away {
        return Err(LaneRefusal::UnknownRecord(policy.number).into());
    }
    check_followed(&policy, parent.as_of)?;
    check_acknowledgement(&mine, &policy, parent)?;
    for leaf in &leaves {
        check_seat(expected.lane, leaf, &policy)?;
        // Seated before an amendment, or lapsed since: no bar to somebody new.
        let verified = leaf.acknowledgement.verify(&policy.parent, &leaf.seat.member);
        verified.map_err(LaneRefusal::NotAcknowledged)?;
    }
    check_count(&leaves.iter().collect::<Vec<_>>())?;
    Ok((policy, leaves, mine))
}
