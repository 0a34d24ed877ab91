//! Groups of lanes: the same MLS as in rooms, with other extensions, so that neither kind passes for the other.

use ed25519_dalek::SigningKey;
use hearth_protocol::codec;
use openmls_traits::{OpenMlsProvider as _, storage::StorageProvider as _};
use tls_codec::Deserialize as _;

use super::{
    ACKNOWLEDGEMENT_EXTENSION, Acknowledgement, BasicCredential, Committed, CredentialWithKey,
    Extension, Extensions, Group, GroupContext, KeyPackageIn, LeafError, LeafNode, MemberKey,
    MlsError, Opened, PolicyError, ProtocolVersion, Provider, Refusal, RoomId, Shape, StagedCommit,
    Suite, UnknownExtension, acknowledgement_of, check_keys, context_with, has_extensions,
    identity_of, is_shaped, key_package_with,
};
use crate::lane::{LaneCommitView, LaneLeaf, LanePolicy, LaneWelcomeView, Seat};

/// Group context extension that holds the [`LanePolicy`] (private use).
const POLICY_EXTENSION: u16 = 0xff04;
/// Leaf node extension that holds the [`Seat`] (private use).
const SEAT_EXTENSION: u16 = 0xff05;

const LANE: Shape = Shape {
    required: [ACKNOWLEDGEMENT_EXTENSION, POLICY_EXTENSION, SEAT_EXTENSION],
    context: POLICY_EXTENSION,
};

/// A member's identity in one lane. The credential is empty, because the seat says who sits there.
#[derive(Clone, Copy)]
pub(crate) struct LaneIdentity<'a> {
    /// The lane key.
    pub(crate) key: &'a SigningKey,
    /// The acknowledgement of the parent's agreement.
    pub(crate) acknowledgement: &'a Acknowledgement,
    /// The seat.
    pub(crate) seat: &'a Seat,
}

impl LaneIdentity<'_> {
    fn credential(&self) -> CredentialWithKey {
        CredentialWithKey {
            credential: BasicCredential::new(Vec::new()).into(),
            signature_key: self.key.verifying_key().to_bytes().to_vec().into(),
        }
    }

    fn extensions(&self) -> Result<Extensions<LeafNode>, MlsError> {
        let acknowledgement = UnknownExtension(self.acknowledgement.to_bytes());
        Extensions::from_vec(vec![
            Extension::Unknown(ACKNOWLEDGEMENT_EXTENSION, acknowledgement),
            Extension::Unknown(SEAT_EXTENSION, UnknownExtension(codec::encode(self.seat))),
        ])
        .map_err(|_| MlsError::State)
    }
}

/// A message in a lane after decryption, before its gate has judged it.
pub(crate) enum LaneOpened {
    /// An application message, the lane key of its signer and its mark; `None` if it has other authenticated data.
    Application { sender: MemberKey, content: Vec<u8>, marked: Option<bool> },
    /// A commit and its effects.
    Commit { staged: Box<StagedCommit>, view: Box<LaneCommitView>, removes_me: bool },
    /// A commit that MLS itself refuses, and the lane key of its committer.
    Refused { committer: MemberKey, refusal: Refusal },
    /// A message of our own leaf that this profile has no record of.
    Own,
}

/// Contents of a commit of ours in a lane.
#[derive(Default)]
pub(crate) struct LanePlan<'a> {
    /// Key packages of the seats to add.
    pub(crate) add: Vec<&'a [u8]>,
    /// Lane keys of the leaves to remove.
    pub(crate) remove: &'a [MemberKey],
    /// The new policy.
    pub(crate) policy: Option<&'a LanePolicy>,
}

impl Group {
    /// Founds a lane with the opener as its only leaf.
    pub(crate) fn found_lane(
        provider: &Provider<'_>,
        suite: Suite,
        lane: RoomId,
        identity: LaneIdentity<'_>,
        policy: &LanePolicy,
    ) -> Result<Self, MlsError> {
        let who = (identity.key, identity.credential());
        let context = context_with(&LANE, codec::encode(policy))?;
        Self::found_with(provider, (suite, &LANE), lane, who, identity.extensions()?, context)
    }

    /// Joins the group of a Welcome; the caller judges what it holds, in a transaction that is rolled back on refusal.
    pub(crate) fn enter_lane(
        provider: &Provider<'_>,
        welcome: &[u8],
    ) -> Result<(Self, LaneWelcomeView), MlsError> {
        let (signer, group) = Self::enter(provider, welcome)?;
        let view = LaneWelcomeView {
            lane: RoomId::from_slice(group.inner.group_id().as_slice()),
            signer,
            policy: if is_shaped(group.inner.extensions(), &LANE) {
                group.lane_policy()
            } else {
                Err(PolicyError)
            },
            leaves: group.leaves().map(|leaf| group.lane_leaf(leaf)).collect(),
        };
        Ok((group, view))
    }

    /// Returns the policy in the group context of a lane.
    pub(crate) fn lane_policy(&self) -> Result<LanePolicy, PolicyError> {
        policy_of(self.inner.extensions())
    }

    /// Returns all leaves of a lane.
    pub(crate) fn lane_leaves(&self) -> Result<Vec<LaneLeaf>, LeafError> {
        self.leaves().map(|leaf| self.lane_leaf(leaf)).collect()
    }

    /// Reads the key package of an offer.
    pub(crate) fn read_lane_offer(
        &self,
        provider: &Provider<'_>,
        bytes: &[u8],
    ) -> Result<LaneLeaf, MlsError> {
        let package = self.read_package(provider, bytes)?;
        self.lane_leaf(package.leaf_node()).map_err(|e| Refusal::from(e).into())
    }

    /// Makes a commit, which stays pending, and returns its effects for the gate to judge.
    pub(crate) fn commit_lane(
        &mut self,
        provider: &Provider<'_>,
        identity: LaneIdentity<'_>,
        plan: &LanePlan<'_>,
    ) -> Result<(Committed, LaneCommitView), MlsError> {
        let adds = plan.add.iter().map(|bytes| self.validate_key_package(provider, bytes));
        let adds = adds.collect::<Result<Vec<_>, _>>()?;
        let context = plan.policy.map(|policy| context_with(&LANE, codec::encode(policy)));
        let (leaf, context) = (identity.extensions()?, context.transpose()?);
        let committed =
            self.commit_with(provider, identity.key, adds, plan.remove, leaf, context)?;
        let pending = self.inner.pending_commit().ok_or(MlsError::State)?;
        let committer = MemberKey(identity.key.verifying_key().to_bytes());
        let view = self.lane_view(committer, self.inner.own_leaf_index(), pending);
        Ok((committed, view))
    }

    /// Decrypts a message of the current epoch of a lane.
    pub(crate) fn open_lane(
        &mut self,
        provider: &Provider<'_>,
        lane: RoomId,
        payload: &[u8],
    ) -> Result<LaneOpened, MlsError> {
        Ok(match self.open(provider, lane, payload)? {
            Opened::Application { sender, content, marked } => {
                LaneOpened::Application { sender, content, marked }
            }
            Opened::Commit { sender, index, staged } => {
                let view = Box::new(self.lane_view(sender, index, &staged));
                let removes_me = staged.self_removed();
                LaneOpened::Commit { staged, view, removes_me }
            }
            Opened::Refused { committer, refusal } => LaneOpened::Refused { committer, refusal },
            Opened::Own => LaneOpened::Own,
        })
    }

    fn lane_view(
        &self,
        committer: MemberKey,
        index: super::LeafNodeIndex,
        staged: &StagedCommit,
    ) -> LaneCommitView {
        let effects = self.effects(index, staged, &LANE, |leaf| self.lane_leaf(leaf));
        let new = staged.group_context().extensions();
        LaneCommitView {
            committer,
            added: effects.added,
            removed: effects.removed,
            policy: effects.context_proposed.then(|| policy_of(new)),
            context_changed_otherwise: effects.context_changed_otherwise,
            foreign_proposals: effects.foreign_proposals,
            path: effects.path,
        }
    }

    fn lane_leaf(&self, leaf: &LeafNode) -> Result<LaneLeaf, LeafError> {
        let key = check_keys(leaf, self.suite().map_or(0, Suite::key_bytes))?;
        if !identity_of(leaf)?.is_empty() {
            return Err(LeafError::Name);
        }
        let acknowledgement = acknowledgement_of(leaf)?;
        let bytes = leaf.extensions().unknown(SEAT_EXTENSION).ok_or(LeafError::Seat)?;
        let seat = Seat::parse(&bytes.0).ok_or(LeafError::Seat)?;
        if !has_extensions(leaf, [ACKNOWLEDGEMENT_EXTENSION, SEAT_EXTENSION]) {
            return Err(LeafError::Extensions);
        }
        Ok(LaneLeaf { key, acknowledgement, seat })
    }
}

/// Makes the key package of an offer, whose private part stays in the store.
pub(crate) fn key_package(
    provider: &Provider<'_>,
    suite: Suite,
    identity: LaneIdentity<'_>,
) -> Result<Vec<u8>, MlsError> {
    let who = (identity.key, identity.credential());
    key_package_with(provider, (suite, &LANE), who, identity.extensions()?)
}

/// Deletes the private keys of a key package.
pub(crate) fn forget_package(provider: &Provider<'_>, package: &[u8]) -> Result<(), MlsError> {
    let package = KeyPackageIn::tls_deserialize_exact(package).map_err(|_| MlsError::State)?;
    let package =
        package.validate(provider.crypto(), ProtocolVersion::Mls10).map_err(|_| MlsError::State)?;
    let reference = package.hash_ref(provider.crypto()).map_err(|_| MlsError::State)?;
    provider.storage().delete_key_package(&reference).map_err(|_| MlsError::State)
}

fn policy_of(extensions: &Extensions<GroupContext>) -> Result<LanePolicy, PolicyError> {
    let bytes = &extensions.unknown(POLICY_EXTENSION).ok_or(PolicyError)?.0;
    LanePolicy::parse(bytes).ok_or(PolicyError)
}
