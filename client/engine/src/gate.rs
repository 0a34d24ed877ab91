//! The gate: every check that an honest member makes before merging a commit or accepting a Welcome.
//!
//! It runs between OpenMLS's `process_message` and `merge_staged_commit`, on our own commits as on others', and
//! between a staged Welcome and the group. It uses neither a clock nor the relay's word, so all honest
//! members decide alike. Comments beside the checks name the attacks that they stop; `docs/threat-model.md` lists them all.

use hearth_protocol::{MemberKey, RoomId};
use hearth_text::name::Look;

use super::{
    agreement::Acknowledgement,
    lane::LaneRefusal,
    policy::{Applied, Leaf, RoomPolicy, RuleError, Scene},
};

/// The effects of a staged commit, in our terms.
#[derive(Clone, Debug)]
pub struct CommitView {
    /// Signature key of the committer's leaf before the commit.
    pub committer: MemberKey,
    /// Leaves that it adds; an error for a leaf that lacks what every leaf of ours has.
    pub added: Vec<Result<Leaf, LeafError>>,
    /// Keys of the leaves that it removes.
    pub removed: Vec<MemberKey>,
    /// The policy in the new group context, if the commit changes the context.
    pub policy: Option<Result<RoomPolicy, PolicyError>>,
    /// Whether it changes any other part of the context than the policy.
    pub context_changed_otherwise: bool,
    /// Whether it holds proposals that rooms do not use (Update, PSK, ReInit, external, by reference, ...).
    pub foreign_proposals: bool,
    /// The committer's new leaf.
    pub path: Option<Result<Leaf, LeafError>>,
}

/// Why a leaf is not a valid leaf of a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeafError {
    /// It has no basic credential with a valid name.
    #[error("the leaf has no acceptable name")]
    Name,
    /// The signature key is not an Ed25519 key.
    #[error("the leaf's key is malformed")]
    Key,
    /// The encryption key has low order: it keeps no secret, and its owner's neighbours in the
    /// tree could make no commit (RFC 9180 section 7.1.4, RFC 7748 section 6.1).
    #[error("the leaf's encryption key keeps no secret")]
    EncryptionKey,
    /// The lifetime of a key package is not 0 to 2^64-1, so members with different clocks would decide differently.
    #[error(
        "the key package has a lifetime of its own, and every member's clock would judge it differently"
    )]
    Lifetime,
    /// The acknowledgement is missing or malformed.
    #[error("the leaf has no acknowledgement")]
    Acknowledgement,
    /// The companion of the acknowledgement is missing, malformed, or its note key keeps no secret.
    #[error("the leaf's companion is missing or malformed")]
    Companion,
    /// The seat in a lane is missing or malformed.
    #[error("the leaf has no seat in a lane")]
    Seat,
    /// It has other extensions or capabilities than ours.
    #[error("the leaf has extensions that do not belong there")]
    Extensions,
}

/// The group context is not that of a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the room's policy is missing or malformed")]
pub struct PolicyError;

/// Why the gate refuses. The epoch does not advance, and the committer is named.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A member signed it, but it breaks the rules of MLS itself, or only this client cannot use it.
    #[error("the commit does not work")]
    Unusable,
    /// It holds a proposal of a kind that rooms do not use.
    #[error("the commit holds a proposal that rooms do not allow")]
    ForeignProposal,
    /// It has no update path, so the committer's keys would not be renewed.
    #[error("the commit does not renew the committer's keys")]
    NoPath,
    /// The committer's new leaf differs in more than its keys.
    #[error("the committer changed their own name, key or acknowledgement")]
    OwnLeafChanged,
    /// The committer's new leaf, or an added one, is invalid.
    #[error(transparent)]
    BadLeaf(#[from] LeafError),
    /// The group context lost its policy or gained another extension.
    #[error(transparent)]
    BadPolicy(#[from] PolicyError),
    /// It adds or removes a member without a record.
    #[error("members change without a record of it")]
    Unrecorded,
    /// A rule of the room forbids it.
    #[error(transparent)]
    Rule(#[from] RuleError),
    /// The new policy differs from the one that the record makes of the old policy.
    #[error("the new policy is not what its record says")]
    PolicyMismatch,
    /// It adds another member than its record names.
    #[error("the commit adds somebody other than its record says")]
    AddMismatch,
    /// It removes another member than its record names.
    #[error("the commit removes somebody other than its record says")]
    RemoveMismatch,
    /// The new member's name looks like another member's.
    #[error("the new member's name looks like that of another")]
    NameConfusable,
    /// No facilitator that the invite pins signed the Welcome.
    #[error("the Welcome is not from a facilitator of the invite")]
    ForeignWelcome,
    /// The Welcome's leaf for me lacks the acknowledgement that I signed.
    #[error("the Welcome does not hold my acknowledgement")]
    OwnAcknowledgementMissing,
    /// The Welcome is for another room or agreement than the invite's.
    #[error("the Welcome is for another room or agreement")]
    OtherRoom,
    /// By a rule of lanes.
    #[error(transparent)]
    Lane(#[from] LaneRefusal),
}

/// Meaning of a commit that passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A member renewed their keys or acknowledged a newer version; nothing else changed.
    Update(MemberKey),
    /// An act of moderation, with the policy that follows.
    Moderated(Box<Applied>),
}

/// Judges a commit against the roster and policy of the epoch that it would end. `members_max` is the limit of the room's suite.
///
/// # Errors
/// The first check that fails; the commit must not be merged.
pub fn check_commit(
    room: RoomId,
    members_max: usize,
    policy: &RoomPolicy,
    roster: &[Leaf],
    commit: &CommitView,
) -> Result<Verdict, Refusal> {
    // Checked first, because OpenMLS has already refused the commit for this if the reader's clock is outside the lifetime.
    if commit.added.iter().any(|leaf| matches!(leaf, Err(LeafError::Lifetime))) {
        return Err(LeafError::Lifetime.into());
    }
    // In other products, attackers join by external commits, PSKs or stored proposals; rooms have none of these.
    if commit.foreign_proposals {
        return Err(Refusal::ForeignProposal);
    }
    if commit.context_changed_otherwise {
        return Err(PolicyError.into());
    }
    let own = roster.iter().find(|l| l.member == commit.committer);
    let own = own.ok_or(Refusal::Rule(RuleError::NoSuchMember))?;
    // RFC 9420 section 12.4 allows some commits without a path. Rooms do not use them.
    let path = commit.path.as_ref().ok_or(Refusal::NoPath)?.as_ref().map_err(|e| *e)?;
    check_own_leaf(room, policy, own, path)?;

    let Some(new_policy) = &commit.policy else {
        // Without a record, no member joins or leaves: this stops the ghost member known from other messengers.
        if !(commit.added.is_empty() && commit.removed.is_empty()) {
            return Err(Refusal::Unrecorded);
        }
        return Ok(Verdict::Update(commit.committer));
    };
    let new_policy = new_policy.as_ref().map_err(|e| *e)?;
    let record = &new_policy.record;
    if record.actor != commit.committer {
        return Err(Refusal::Rule(RuleError::NotFacilitator));
    }
    let added = match commit.added.as_slice() {
        [] => None,
        [leaf] => Some(leaf.as_ref().map_err(|e| *e)?),
        _ => return Err(Refusal::AddMismatch),
    };
    let actor_acknowledgement = &path.acknowledgement;
    let scene = Scene { room, members_max, roster, added, actor_acknowledgement };
    let applied = policy.apply(scene, record)?;
    if applied.policy != *new_policy {
        return Err(Refusal::PolicyMismatch);
    }
    if applied.added != added.map(|l| l.member) {
        return Err(Refusal::AddMismatch);
    }
    let mut removed = commit.removed.clone();
    removed.sort_unstable();
    if applied.removed != removed {
        return Err(Refusal::RemoveMismatch);
    }
    if let Some(added) = added {
        let look = Look::of(&added.name);
        let names = roster.iter().map(|l| l.name.as_str());
        // A name is kept for a member whose device is lost, except from the device that replaces it.
        let kept = applied.policy.more.kept().iter().map(|place| place.name.as_str());
        let taken = names.chain(kept).any(|name| look.is_like(&Look::of(name)));
        if taken || policy.waits_alike(&added.member, &look) {
            return Err(Refusal::NameConfusable);
        }
    }
    Ok(Verdict::Moderated(Box::new(applied)))
}

/// Checks the content of the new leaf, because OpenMLS verifies only its signature.
fn check_own_leaf(
    room: RoomId,
    policy: &RoomPolicy,
    old: &Leaf,
    new: &Leaf,
) -> Result<(), Refusal> {
    let companion_follows = old.companion.may_become(&new.companion);
    if old.member != new.member || old.name != new.name || !companion_follows {
        return Err(Refusal::OwnLeafChanged);
    }
    if old.acknowledgement != new.acknowledgement {
        // The only allowed change is to acknowledge a newer version of the agreement, or the same one again.
        let (was, is) = (&old.acknowledgement, &new.acknowledgement);
        let again = is.agreement == was.agreement && is.version == was.version;
        // Nothing takes back that somebody acknowledged again after a breach.
        let breach = policy.more.breach.filter(|_| was.more.breach == policy.more.breach);
        if !(again || is.version > was.version) || breach.is_some_and(|b| is.more.breach != Some(b))
        {
            return Err(Refusal::OwnLeafChanged);
        }
        policy
            .judge_acknowledgement(&room, &new.member, is)
            .and_then(|()| is.judge_length())
            .map_err(|e| Refusal::Rule(RuleError::NotAcknowledged(e)))?;
    }
    Ok(())
}

/// The group that a Welcome leads to.
#[derive(Clone, Debug)]
pub struct WelcomeView {
    /// The group's id.
    pub room: Option<RoomId>,
    /// Key of the leaf that signed the Welcome's group info.
    pub signer: MemberKey,
    /// The policy in the group context.
    pub policy: Result<RoomPolicy, PolicyError>,
    /// All leaves, including ours.
    pub roster: Vec<Result<Leaf, LeafError>>,
}

/// The joiner's knowledge from invite and preview.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The invite's room.
    pub room: RoomId,
    /// Keys that may admit, from the preview that the invite's facilitator signed.
    pub facilitators: &'a [MemberKey],
    /// The acknowledgement that I signed.
    pub acknowledgement: &'a Acknowledgement,
}

/// Judges a staged Welcome, and returns the room's policy and roster.
///
/// # Errors
/// The first check that fails; the group must not be joined.
pub fn check_welcome(
    view: WelcomeView,
    expected: Expected<'_>,
) -> Result<(RoomPolicy, Vec<Leaf>), Refusal> {
    if view.room != Some(expected.room) {
        return Err(Refusal::OtherRoom);
    }
    // The relay or an invited attacker can make a look-alike group, but no invite pins the key that signs it.
    if !expected.facilitators.contains(&view.signer) {
        return Err(Refusal::ForeignWelcome);
    }
    let policy = view.policy?;
    if !policy.role(&view.signer).admits() {
        return Err(Refusal::ForeignWelcome);
    }
    let roster = view.roster.into_iter().collect::<Result<Vec<Leaf>, LeafError>>()?;
    let own = roster.iter().find(|l| l.member == expected.acknowledgement.member);
    let own_matches = own.is_some_and(|l| l.acknowledgement == *expected.acknowledgement);
    if !own_matches {
        return Err(Refusal::OwnAcknowledgementMissing);
    }
    for leaf in &roster {
        policy
            .judge_acknowledgement(&expected.room, &leaf.member, &leaf.acknowledgement)
            .map_err(|e| Refusal::Rule(RuleError::NotAcknowledged(e)))?;
    }
    let record = &policy.record;
    let admits_me = record.act.admission().is_some_and(|admission| {
        admission.member == expected.acknowledgement.member
            && admission.acknowledgement == expected.acknowledgement.digest()
    });
    if !admits_me || record.actor != view.signer {
        return Err(Refusal::OwnAcknowledgementMissing);
    }
    Ok((policy, roster))
}
