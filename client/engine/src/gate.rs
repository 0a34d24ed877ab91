//! The one gate: what every honest member checks before a commit is merged or a Welcome accepted.
//!
//! It stands between OpenMLS's `process_message` and `merge_staged_commit`, on our own commits as on others', and
//! between a staged Welcome and the group. It looks at no clock and at nothing that the relay says, so all honest
//! members decide alike. Attacks it stops are named beside each check; `docs/threat-model.md` has the list.

use hearth_protocol::{MemberKey, RoomId};
use hearth_text::name::Look;

use super::{
    agreement::Acknowledgement,
    policy::{Act, Applied, Leaf, RoomPolicy, RuleError, Scene},
};

/// What a staged commit would do, in our terms.
#[derive(Clone, Debug)]
pub struct CommitView {
    /// Signature key of the committer's leaf before the commit.
    pub committer: MemberKey,
    /// Leaves it adds; `None` where a leaf lacks what every leaf of ours has.
    pub added: Vec<Result<Leaf, LeafError>>,
    /// Keys of the leaves it removes.
    pub removed: Vec<MemberKey>,
    /// The policy in the new group context, if the commit changes the context.
    pub policy: Option<Result<RoomPolicy, PolicyError>>,
    /// Whether anything of the context besides the policy would change.
    pub context_changed_otherwise: bool,
    /// Kinds of proposals that no commit of ours holds (Update, PSK, ReInit, external, by reference, ...).
    pub foreign_proposals: bool,
    /// The committer's new leaf.
    pub path: Option<Result<Leaf, LeafError>>,
}

/// Why a leaf is none of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeafError {
    /// No basic credential with a good name.
    #[error("the leaf has no acceptable name")]
    Name,
    /// The signature key is no Ed25519 key.
    #[error("the leaf's key is malformed")]
    Key,
    /// The encryption key is a point of low order: nothing can be encrypted to it, and its owner's neighbours in the
    /// tree could make no commit (RFC 9180 section 7.1.4, RFC 7748 section 6.1).
    #[error("the leaf's encryption key keeps no secret")]
    EncryptionKey,
    /// A key package whose lifetime is not 0 to 2^64-1: readers whose clocks differ would decide differently.
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
    /// Other extensions or capabilities than ours.
    #[error("the leaf has extensions that do not belong there")]
    Extensions,
}

/// Why a group context is none of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the room's policy is missing or malformed")]
pub struct PolicyError;

/// Why the gate refuses. The epoch does not advance, and the culprit is named.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Signed by a member and against the rules of MLS itself, or of no use to this client alone.
    #[error("the commit does not work")]
    Unusable,
    /// A proposal of a kind that rooms do not use.
    #[error("the commit holds a proposal that rooms do not allow")]
    ForeignProposal,
    /// No update path: the committer's keys would not be renewed.
    #[error("the commit does not renew the committer's keys")]
    NoPath,
    /// The committer's new leaf differs in more than its keys.
    #[error("the committer changed their own name, key or acknowledgement")]
    OwnLeafChanged,
    /// The committer's new leaf, or an added one, is none of ours.
    #[error(transparent)]
    BadLeaf(#[from] LeafError),
    /// The group context lost its policy or gained something else.
    #[error(transparent)]
    BadPolicy(#[from] PolicyError),
    /// Somebody is added or removed without a record that says so.
    #[error("members change without a record of it")]
    Unrecorded,
    /// The rules forbid it.
    #[error(transparent)]
    Rule(#[from] RuleError),
    /// The new policy is not what the record makes of the old one.
    #[error("the new policy is not what its record says")]
    PolicyMismatch,
    /// The commit adds somebody other than recorded.
    #[error("the commit adds somebody other than its record says")]
    AddMismatch,
    /// The commit removes somebody other than recorded.
    #[error("the commit removes somebody other than its record says")]
    RemoveMismatch,
    /// A name that looks like another member's.
    #[error("the new member's name looks like that of another")]
    NameConfusable,
    /// The Welcome is not signed by a facilitator whom the invite pins.
    #[error("the Welcome is not from a facilitator of the invite")]
    ForeignWelcome,
    /// The Welcome's leaf does not hold the acknowledgement that was signed.
    #[error("the Welcome does not hold my acknowledgement")]
    OwnAcknowledgementMissing,
    /// The Welcome is for another room or agreement than the invite's.
    #[error("the Welcome is for another room or agreement")]
    OtherRoom,
}

/// What a commit that passed means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Somebody renewed their keys, or acknowledged a newer version; nothing else changed.
    Update(MemberKey),
    /// An act of moderation, with the policy that follows.
    Moderated(Box<Applied>),
}

/// Judges a commit against the roster and policy of the epoch it would end. `members_max` is what rooms of its suite hold.
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
    // Before all else of the commit: OpenMLS has refused it for this already where the reader's clock is outside.
    if commit.added.iter().any(|leaf| matches!(leaf, Err(LeafError::Lifetime))) {
        return Err(LeafError::Lifetime.into());
    }
    // Rogue joins come as external commits, PSKs or stored proposals in other products; ours have none of these.
    if commit.foreign_proposals {
        return Err(Refusal::ForeignProposal);
    }
    if commit.context_changed_otherwise {
        return Err(PolicyError.into());
    }
    let own = roster.iter().find(|l| l.member == commit.committer);
    let own = own.ok_or(Refusal::Rule(RuleError::NoSuchMember))?;
    // RFC 9420 section 12.4 allows some commits without a path. None of ours is one of them.
    let path = commit.path.as_ref().ok_or(Refusal::NoPath)?.as_ref().map_err(|e| *e)?;
    check_own_leaf(room, policy, own, path)?;

    let Some(new_policy) = &commit.policy else {
        // Without a record nobody comes and nobody goes: the ghost member of other messengers stops here.
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
        let taken = roster.iter().any(|l| look.is_like(&Look::of(&l.name)));
        if taken {
            return Err(Refusal::NameConfusable);
        }
    }
    Ok(Verdict::Moderated(Box::new(applied)))
}

/// OpenMLS verifies that the new leaf is signed, not that it still says the same: that is ours to check.
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
        // The one change allowed is to acknowledge a newer version of the agreement.
        let (was, is) = (&old.acknowledgement, &new.acknowledgement);
        if is.version <= was.version {
            return Err(Refusal::OwnLeafChanged);
        }
        policy
            .judge_acknowledgement(&room, &new.member, is)
            .map_err(|e| Refusal::Rule(RuleError::NotAcknowledged(e)))?;
    }
    Ok(())
}

/// What a Welcome would make us a member of.
#[derive(Clone, Debug)]
pub struct WelcomeView {
    /// The group's id.
    pub room: Option<RoomId>,
    /// Key of the leaf that signed the Welcome's group info.
    pub signer: MemberKey,
    /// The policy in the group context.
    pub policy: Result<RoomPolicy, PolicyError>,
    /// All leaves, ours too.
    pub roster: Vec<Result<Leaf, LeafError>>,
}

/// What the joiner knows from invite and preview.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The invite's room.
    pub room: RoomId,
    /// Keys that the preview, signed by the invite's facilitator, allows to admit.
    pub facilitators: &'a [MemberKey],
    /// What I signed.
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
    // A look-alike group, made by the relay or an invited attacker, is signed by a key that no invite pins.
    if !expected.facilitators.contains(&view.signer) {
        return Err(Refusal::ForeignWelcome);
    }
    let policy = view.policy?;
    if !policy.role(&view.signer).moderates() {
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
    let admits_me = matches!(&record.act, Act::Admit { member, acknowledgement, .. }
        if *member == expected.acknowledgement.member
            && *acknowledgement == expected.acknowledgement.digest());
    if !admits_me || record.actor != view.signer {
        return Err(Refusal::OwnAcknowledgementMissing);
    }
    Ok((policy, roster))
}
