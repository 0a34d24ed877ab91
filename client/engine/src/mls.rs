//! MLS (RFC 9420): the only file, with the storage provider, that names OpenMLS.
//!
//! Every function here speaks the engine's terms: [`Leaf`], [`RoomPolicy`], [`CommitView`]. Handshakes are ciphertext only; external
//! commits and proposals have no way in; no past epochs are kept, because the relay accepts entries of the current epoch only
//! (`docs/decisions/0003-current-epoch-only.md`).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use curve25519_dalek::{MontgomeryPoint, traits::IsIdentity as _};
use ed25519_dalek::{Signer as _, SigningKey};
use hearth_protocol::{Epoch, MemberKey, RoomId, mls_header};
use hearth_text::name;
use openmls::group::{GroupContext, ProposalValidationError, ValidationError};
use openmls::prelude::{
    BasicCredential, Capabilities, Ciphersuite, CommitMessageBundle, CredentialType,
    CredentialWithKey, Extension, ExtensionType, Extensions, GroupId, KeyPackage, KeyPackageIn,
    KeyPackageVerifyError, LeafNode, LeafNodeIndex, LeafNodeParameters, Lifetime, MlsGroup,
    MlsGroupCreateConfig, MlsGroupJoinConfig, MlsMessageBodyIn, MlsMessageIn,
    PURE_CIPHERTEXT_WIRE_FORMAT_POLICY, ProcessMessageError, ProcessedMessageContent, Proposal,
    ProposalOrRefType, ProtocolVersion, RequiredCapabilitiesExtension, Sender,
    SenderRatchetConfiguration, StageCommitError, StagedCommit, StagedWelcome, UnknownExtension,
};
use openmls::treesync::{
    LeafNodeSource,
    errors::{LeafNodeValidationError, LifetimeError},
};
use openmls_traits::{
    OpenMlsProvider as _,
    signatures::{Signer, SignerError},
    types::{HpkeAeadType, HpkeCiphertext, HpkeConfig, HpkeKdfType, HpkeKemType, SignatureScheme},
};
use tls_codec::{Deserialize as _, Serialize as _, VLBytes};
use zeroize::Zeroizing;

use super::{
    agreement::Acknowledgement,
    companion::Companion,
    gate::{CommitView, Expected, LeafError, PolicyError, Refusal, Verdict, WelcomeView},
    policy::{Leaf, RoomPolicy},
    provider::Provider,
};

#[cfg(feature = "testing")]
pub(crate) mod fuzzing;
pub(crate) mod lane;
#[cfg(test)]
pub(crate) mod modified;

/// Group context extension that holds the [`RoomPolicy`] (private use, RFC 9420 section 17.3).
const POLICY_EXTENSION: u16 = 0xff01;
/// Leaf node extension that holds the [`Acknowledgement`] (private use).
const ACKNOWLEDGEMENT_EXTENSION: u16 = 0xff02;
/// Leaf node extension that holds the [`Companion`] (private use).
const COMPANION_EXTENSION: u16 = 0xff03;
/// Numbers of the extensions by which one kind of group is told from another.
struct Shape {
    /// Extensions that every leaf must know, in this order.
    required: [u16; 3],
    /// Group context extension beside the required capabilities.
    context: u16,
}

const ROOM: Shape = Shape {
    required: [POLICY_EXTENSION, ACKNOWLEDGEMENT_EXTENSION, COMPANION_EXTENSION],
    context: POLICY_EXTENSION,
};

/// Messages of one sender that may arrive out of order, and messages that may be skipped.
const OUT_OF_ORDER: u32 = 64;
const FORWARD_DISTANCE: u32 = 2_000;
/// Lifetime of every leaf in a key package: unlimited. OpenMLS checks it by the reader's clock, and no reader's clock may decide
/// whether a commit is valid. The acknowledgement in the leaf limits an admission in time.
const LIFETIME: (u64, u64) = (0, u64::MAX);
/// Ciphertexts are padded to a multiple of this many bytes, on top of the content's buckets.
const PADDING_BYTES: usize = 256;

/// Cipher suites of rooms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suite {
    /// X-Wing (X25519 + ML-KEM-768), ChaCha20-Poly1305, SHA-256, Ed25519. 0x004D, not registered with IANA.
    XWing,
    /// X25519, ChaCha20-Poly1305, SHA-256, Ed25519: suite 3 of RFC 9420, for large rooms.
    X25519,
}

impl Suite {
    /// Returns the number on the wire.
    pub const fn number(self) -> u16 {
        match self {
            Self::XWing => 0x004d,
            Self::X25519 => 0x0003,
        }
    }

    /// Returns the maximum number of members of a room. A commit holds a ciphertext for every member whose part of the tree has
    /// no keys yet, about 1.2 KB with X-Wing and 80 bytes without, and the relay accepts no entry above
    /// [`hearth_protocol::limits::PAYLOAD_BYTES_MAX`].
    pub const fn members_max(self) -> usize {
        match self {
            Self::XWing => 100,
            Self::X25519 => hearth_protocol::limits::MEMBERS_MAX as usize,
        }
    }

    /// Returns the bytes of a public key of its KEM.
    pub const fn key_bytes(self) -> usize {
        match self {
            Self::XWing => 1216,
            Self::X25519 => 32,
        }
    }

    /// Returns the suite of a number on the wire.
    pub const fn from_number(number: u16) -> Option<Self> {
        match number {
            0x004d => Some(Self::XWing),
            0x0003 => Some(Self::X25519),
            _ => None,
        }
    }

    const fn ciphersuite(self) -> Ciphersuite {
        match self {
            Self::XWing => Ciphersuite::MLS_256_XWING_CHACHA20POLY1305_SHA256_Ed25519,
            Self::X25519 => Ciphersuite::MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519,
        }
    }
}

/// Why an MLS operation failed.
#[derive(Debug, thiserror::Error)]
pub enum MlsError {
    /// Bytes from outside are malformed, or their cryptography fails.
    #[error("the message does not verify")]
    Invalid,
    /// The message is from an epoch other than the group's.
    #[error("the message is from another epoch")]
    WrongEpoch,
    /// The gate refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A key package does not fit this room.
    #[error("the keys that the knocker's program sent do not fit this room")]
    BadKeyPackage,
    /// The stored state does not load or does not allow the operation.
    #[error("the room's key state is damaged or in the way")]
    State,
    /// OpenMLS accepts no time before 1970.
    #[error("this computer's clock is before 1970")]
    Clock,
}

/// Signs for one leaf.
pub(crate) struct LeafSigner<'a>(pub(crate) &'a SigningKey);

impl Signer for LeafSigner<'_> {
    fn sign(&self, payload: &[u8]) -> Result<Vec<u8>, SignerError> {
        Ok(self.0.sign(payload).to_bytes().to_vec())
    }

    fn signature_scheme(&self) -> SignatureScheme {
        SignatureScheme::ED25519
    }
}

/// A member's identity in one room.
#[derive(Clone, Copy)]
pub(crate) struct Identity<'a> {
    /// The room key.
    pub(crate) key: &'a SigningKey,
    /// The display name.
    pub(crate) name: &'a str,
    /// The acknowledgement in the leaf.
    pub(crate) acknowledgement: &'a Acknowledgement,
    /// The companion in the leaf.
    pub(crate) companion: &'a Companion,
}

impl Identity<'_> {
    fn credential(&self) -> CredentialWithKey {
        CredentialWithKey {
            credential: BasicCredential::new(self.name.as_bytes().to_vec()).into(),
            signature_key: self.key.verifying_key().to_bytes().to_vec().into(),
        }
    }
}

/// A room's group.
pub(crate) struct Group {
    inner: Box<MlsGroup>,
    /// The roster of an epoch, cached so that names and acknowledgements are checked once and not for every message.
    roster: Option<(Epoch, Vec<Leaf>)>,
}

/// An MLS message after decryption, before it has any effect.
pub(crate) enum Processed {
    /// An application message, its signer and its mark; `None` if it has other authenticated data.
    Application { sender: MemberKey, content: Vec<u8>, marked: Option<bool> },
    /// A commit that passed the gate.
    Commit { staged: Box<StagedCommit>, verdict: Verdict, removes_me: bool },
    /// A commit that the gate refused, and its committer.
    RefusedCommit { committer: MemberKey, refusal: Refusal },
    /// A message of our own leaf that this profile has no record of.
    Own,
}

/// An MLS message after decryption, before any gate has judged it.
enum Opened {
    Application { sender: MemberKey, content: Vec<u8>, marked: Option<bool> },
    Commit { sender: MemberKey, index: LeafNodeIndex, staged: Box<StagedCommit> },
    Refused { committer: MemberKey, refusal: Refusal },
    Own,
}

/// A staged commit's effects, with its leaves as one kind of group reads them.
struct Effects<L> {
    added: Vec<Result<L, LeafError>>,
    removed: Vec<MemberKey>,
    context_proposed: bool,
    context_changed_otherwise: bool,
    foreign_proposals: bool,
    path: Option<Result<L, LeafError>>,
}

/// Contents of a commit of ours.
#[derive(Default)]
pub(crate) struct CommitPlan<'a> {
    /// Key package of the member to add.
    pub(crate) add: Option<&'a [u8]>,
    /// Members to remove.
    pub(crate) remove: &'a [MemberKey],
    /// The new policy.
    pub(crate) policy: Option<&'a RoomPolicy>,
    /// The new acknowledgement of the own leaf.
    pub(crate) acknowledgement: Option<&'a Acknowledgement>,
}

/// A commit of ours, pending until the relay has ordered it.
pub(crate) struct Committed {
    /// The MLS message for the room.
    pub(crate) commit: Vec<u8>,
    /// The Welcome for the member it adds.
    pub(crate) welcome: Option<Vec<u8>>,
}

impl Group {
    /// Founds a group with the founder as its only member.
    pub(crate) fn found(
        provider: &Provider<'_>,
        suite: Suite,
        room: RoomId,
        identity: Identity<'_>,
        policy: &RoomPolicy,
    ) -> Result<Self, MlsError> {
        let leaf = leaf_extensions(identity.acknowledgement, identity.companion)?;
        let context = context_extensions(policy)?;
        let who = (identity.key, identity.credential());
        Self::found_with(provider, (suite, &ROOM), room, who, leaf, context)
    }

    /// Founds a group of either kind.
    fn found_with(
        provider: &Provider<'_>,
        (suite, shape): (Suite, &Shape),
        id: RoomId,
        (key, credential): (&SigningKey, CredentialWithKey),
        leaf: Extensions<LeafNode>,
        context: Extensions<GroupContext>,
    ) -> Result<Self, MlsError> {
        check_system_clock()?;
        let config = MlsGroupCreateConfig::builder()
            .lifetime(lifetime())
            .ciphersuite(suite.ciphersuite())
            .wire_format_policy(PURE_CIPHERTEXT_WIRE_FORMAT_POLICY)
            .padding_size(PADDING_BYTES)
            .use_ratchet_tree_extension(true)
            .max_past_epochs(0)
            .sender_ratchet_configuration(ratchet_configuration())
            .capabilities(capabilities_of(suite, shape))
            .with_leaf_node_extensions(leaf)
            .map_err(|_| MlsError::State)?
            .with_group_context_extensions(context)
            .build();
        let id = GroupId::from_slice(id.as_bytes());
        let inner =
            MlsGroup::new_with_group_id(provider, &LeafSigner(key), &config, id, credential)
                .map_err(|_| MlsError::State)?;
        Ok(Self::of(inner))
    }

    /// Loads a group; `None` if there is none.
    pub(crate) fn load(provider: &Provider<'_>, room: RoomId) -> Result<Option<Self>, MlsError> {
        let id = GroupId::from_slice(room.as_bytes());
        let inner = MlsGroup::load(provider.storage(), &id).map_err(|_| MlsError::State)?;
        Ok(inner.map(Self::of))
    }

    /// Joins by a Welcome that passes [`gate::check_welcome`].
    ///
    /// Must run in a transaction that is rolled back on error: OpenMLS consumes the key package at once.
    pub(crate) fn join(
        provider: &Provider<'_>,
        welcome: &[u8],
        expected: Expected<'_>,
    ) -> Result<(Self, RoomPolicy, Vec<Leaf>), MlsError> {
        let (signer, group) = Self::enter(provider, welcome)?;
        let view = WelcomeView {
            room: RoomId::from_slice(group.inner.group_id().as_slice()),
            signer,
            policy: if is_shaped(group.inner.extensions(), &ROOM) {
                group.policy()
            } else {
                Err(PolicyError)
            },
            roster: group.leaves().map(|leaf| group.leaf_view(leaf)).collect(),
        };
        let (policy, roster) = provider.crypto().laws().check_welcome(view, expected)?;
        Ok((group, policy, roster))
    }

    /// Joins a group of either kind without judging it; returns the Welcome's signer. Must run in a transaction, as [`Self::join`].
    fn enter(provider: &Provider<'_>, welcome: &[u8]) -> Result<(MemberKey, Self), MlsError> {
        let message =
            MlsMessageIn::tls_deserialize_exact(welcome).map_err(|_| MlsError::Invalid)?;
        let MlsMessageBodyIn::Welcome(welcome) = message.extract() else {
            return Err(MlsError::Invalid);
        };
        // The gate checks every leaf's lifetime; OpenMLS would check it by the clock (RFC 9420 section 7.3 leaves
        // this check to the application).
        let staged = StagedWelcome::build_from_welcome(provider, &join_config(), welcome)
            .map_err(|_| MlsError::Invalid)?
            .skip_lifetime_validation()
            .build()
            .map_err(|_| MlsError::Invalid)?;
        let signer = staged.welcome_sender().map_err(|_| MlsError::Invalid)?;
        let signer = leaf_key(signer).map_err(Refusal::from)?;
        let inner = staged.into_group(provider).map_err(|_| MlsError::Invalid)?;
        Ok((signer, Self::of(inner)))
    }

    /// Returns the epoch.
    pub(crate) fn epoch(&self) -> Epoch {
        Epoch(self.inner.epoch().as_u64())
    }

    /// Returns the maximum number of members; see [`Suite::members_max`].
    fn members_max(&self) -> usize {
        self.suite().map_or(0, Suite::members_max)
    }

    fn suite(&self) -> Option<Suite> {
        Suite::from_number(self.inner.ciphersuite().into())
    }

    /// Returns the content of a leaf of this group.
    fn leaf_view(&self, leaf: &LeafNode) -> Result<Leaf, LeafError> {
        leaf_view(leaf, self.suite().map_or(0, Suite::key_bytes))
    }

    /// Whether this profile is still a member of the group.
    pub(crate) fn is_active(&self) -> bool {
        self.inner.is_active()
    }

    /// Returns the policy in the group context.
    pub(crate) fn policy(&self) -> Result<RoomPolicy, PolicyError> {
        policy_of(self.inner.extensions())
    }

    /// Returns all members, in order of leaf.
    pub(crate) fn roster(&mut self) -> Result<Vec<Leaf>, LeafError> {
        let epoch = self.epoch();
        match &self.roster {
            Some((known, roster)) if *known == epoch => Ok(roster.clone()),
            _ => {
                let roster = self.leaves().map(|leaf| self.leaf_view(leaf));
                let roster = roster.collect::<Result<Vec<_>, _>>()?;
                self.roster = Some((epoch, roster.clone()));
                Ok(roster)
            }
        }
    }

    /// Returns the authenticator of the epoch (RFC 9420 section 8.7), which is equal for all members in the same state.
    pub(crate) fn authenticator(&self) -> Vec<u8> {
        self.inner.epoch_authenticator().as_slice().to_vec()
    }

    /// Encrypts an application message; a marked one has [`mls_header::MARK`] as its authenticated data.
    pub(crate) fn encrypt(
        &mut self,
        provider: &Provider<'_>,
        key: &SigningKey,
        content: &[u8],
        marked: bool,
    ) -> Result<Vec<u8>, MlsError> {
        // OpenMLS resets it after each message.
        self.inner.set_aad(if marked { mls_header::MARK.to_vec() } else { Vec::new() });
        self.inner
            .create_message(provider, &LeafSigner(key), content)
            .map_err(|_| MlsError::State)?
            .tls_serialize_detached()
            .map_err(|_| MlsError::State)
    }

    /// Makes a commit and lets the gate judge it like any other member's. It stays pending.
    pub(crate) fn commit(
        &mut self,
        provider: &Provider<'_>,
        room: RoomId,
        identity: Identity<'_>,
        plan: &CommitPlan<'_>,
    ) -> Result<Committed, MlsError> {
        let committed = self.commit_unchecked(provider, identity, plan)?;
        let pending = self.inner.pending_commit().ok_or(MlsError::State)?;
        let committer = MemberKey(identity.key.verifying_key().to_bytes());
        let view = self.view(committer, self.inner.own_leaf_index(), pending);
        let policy = self.policy().map_err(Refusal::from)?;
        let roster = self.roster().map_err(Refusal::from)?;
        let laws = provider.crypto().laws();
        laws.check_commit(room, self.members_max(), &policy, &roster, &view)?;
        Ok(committed)
    }

    /// Makes a commit without asking the gate. Besides [`Self::commit`], only tests call it, as modified members.
    pub(crate) fn commit_unchecked(
        &mut self,
        provider: &Provider<'_>,
        identity: Identity<'_>,
        plan: &CommitPlan<'_>,
    ) -> Result<Committed, MlsError> {
        let add = plan.add.map(|bytes| self.validate_key_package(provider, bytes)).transpose()?;
        let acknowledgement = plan.acknowledgement.unwrap_or(identity.acknowledgement);
        let leaf = leaf_extensions(acknowledgement, identity.companion)?;
        let context = plan.policy.map(context_extensions).transpose()?;
        let adds = add.into_iter().collect();
        self.commit_with(provider, identity.key, adds, plan.remove, leaf, context)
    }

    /// Makes a commit in a group of either kind, which no gate has judged.
    fn commit_with(
        &mut self,
        provider: &Provider<'_>,
        key: &SigningKey,
        adds: Vec<KeyPackage>,
        remove: &[MemberKey],
        leaf: Extensions<LeafNode>,
        context: Option<Extensions<GroupContext>>,
    ) -> Result<Committed, MlsError> {
        // Every other commit depends on the group's own state alone, so a failure with a stranger's key package is theirs.
        let any_added = !adds.is_empty();
        let at_fault = || if any_added { MlsError::BadKeyPackage } else { MlsError::State };
        let removed: Vec<_> = self
            .inner
            .public_group()
            .treesync()
            .full_leaves()
            .filter(|(_, leaf)| leaf_key(leaf).is_ok_and(|key| remove.contains(&key)))
            .map(|(index, _)| index)
            .collect();
        let parameters = LeafNodeParameters::builder().with_extensions(leaf).build();
        let mut builder = self
            .inner
            .commit_builder()
            .force_self_update(true)
            .leaf_node_parameters(parameters)
            .propose_adds(adds)
            .propose_removals(removed);
        if let Some(context) = context {
            builder =
                builder.propose_group_context_extensions(context).map_err(|_| MlsError::State)?;
        }
        let bundle: CommitMessageBundle = builder
            .load_psks(provider.storage())
            .map_err(|_| MlsError::State)?
            .build(provider.rand(), provider.crypto(), &LeafSigner(key), |_| true)
            .map_err(|_| at_fault())?
            .stage_commit(provider)
            .map_err(|_| at_fault())?;
        let welcome = match bundle.to_welcome_msg() {
            Some(message) => Some(message.tls_serialize_detached().map_err(|_| MlsError::State)?),
            None => None,
        };
        let commit = bundle.into_commit().tls_serialize_detached().map_err(|_| MlsError::State)?;
        Ok(Committed { commit, welcome })
    }

    /// Merges our own pending commit, once the relay has ordered it.
    pub(crate) fn merge_pending(&mut self, provider: &Provider<'_>) -> Result<(), MlsError> {
        self.inner.merge_pending_commit(provider).map_err(|_| MlsError::State)
    }

    /// Drops our own pending commit, because another came first.
    pub(crate) fn clear_pending(&mut self, provider: &Provider<'_>) -> Result<(), MlsError> {
        self.inner.clear_pending_commit(provider.storage()).map_err(|_| MlsError::State)
    }

    /// Whether a commit of ours is pending.
    pub(crate) fn has_pending(&self) -> bool {
        self.inner.pending_commit().is_some()
    }

    /// Decrypts and judges a message of the current epoch, without changing the group's epoch.
    pub(crate) fn process(
        &mut self,
        provider: &Provider<'_>,
        room: RoomId,
        payload: &[u8],
    ) -> Result<Processed, MlsError> {
        match self.open(provider, room, payload)? {
            Opened::Application { sender, content, marked } => {
                Ok(Processed::Application { sender, content, marked })
            }
            Opened::Commit { sender, index, staged } => {
                let view = self.view(sender, index, &staged);
                let policy = self.policy().map_err(Refusal::from)?;
                let roster = self.roster().map_err(Refusal::from)?;
                let laws = provider.crypto().laws();
                Ok(match laws.check_commit(room, self.members_max(), &policy, &roster, &view) {
                    Ok(verdict) => {
                        let removes_me = staged.self_removed();
                        Processed::Commit { staged, verdict, removes_me }
                    }
                    Err(refusal) => Processed::RefusedCommit { committer: sender, refusal },
                })
            }
            Opened::Refused { committer, refusal } => {
                Ok(Processed::RefusedCommit { committer, refusal })
            }
            Opened::Own => Ok(Processed::Own),
        }
    }

    /// Decrypts a message of the current epoch in a group of either kind.
    fn open(
        &mut self,
        provider: &Provider<'_>,
        room: RoomId,
        payload: &[u8],
    ) -> Result<Opened, MlsError> {
        let message =
            MlsMessageIn::tls_deserialize_exact(payload).map_err(|_| MlsError::Invalid)?;
        let MlsMessageBodyIn::PrivateMessage(message) = message.extract() else {
            return Err(MlsError::Invalid);
        };
        if message.group_id().as_slice() != room.as_bytes() {
            return Err(MlsError::Invalid);
        }
        if message.epoch() != self.inner.epoch() {
            return Err(MlsError::WrongEpoch);
        }
        provider.crypto().take_author();
        let processed = match self.inner.process_message(provider, message) {
            Ok(processed) => processed,
            Err(error) => {
                let refusal = match lifetime_error(&error) {
                    // The commit may be valid, and the other members may follow it.
                    Some(LifetimeError::SystemTimeBeforeUnixEpoch) => return Err(MlsError::Clock),
                    // Refused by our clock. Members with another clock get as far as the gate, which refuses it, too.
                    Some(_) => LeafError::Lifetime.into(),
                    None => Refusal::Unusable,
                };
                // A member signed it, and it is invalid at least here (RFC 9420 section 16.12): the others must learn whose it is.
                // Only the confirmation tag is not signed. Any member could have replaced it.
                let committer = provider.crypto().take_author().filter(|_| !is_about_tag(&error));
                let committer = committer.ok_or(MlsError::Invalid)?;
                return Ok(Opened::Refused { committer, refusal });
            }
        };
        let Sender::Member(index) = *processed.sender() else {
            return Err(MlsError::Invalid);
        };
        let leaf = self.inner.public_group().leaf(index).ok_or(MlsError::Invalid)?;
        let sender = leaf_key(leaf).map_err(Refusal::from)?;
        let marked = match processed.aad() {
            [] => Some(false),
            data => (data == mls_header::MARK).then_some(true),
        };
        match processed.into_content() {
            ProcessedMessageContent::ApplicationMessage(message) => {
                let content = message.into_bytes();
                Ok(Opened::Application { sender, content, marked })
            }
            ProcessedMessageContent::StagedCommitMessage(_) if marked != Some(false) => {
                Ok(Opened::Refused { committer: sender, refusal: Refusal::Unusable })
            }
            ProcessedMessageContent::StagedCommitMessage(staged) => {
                Ok(Opened::Commit { sender, index, staged })
            }
            ProcessedMessageContent::OwnPrivateMessage => Ok(Opened::Own),
            // A bare proposal would block sending until it is committed; no group of ours has one.
            _ => Ok(Opened::Refused { committer: sender, refusal: Refusal::ForeignProposal }),
        }
    }

    /// Deletes the group's state; key packages stay.
    pub(crate) fn delete(mut self, provider: &Provider<'_>) -> Result<(), MlsError> {
        self.inner.delete(provider.storage()).map_err(|_| MlsError::State)
    }

    /// Merges a commit that passed the gate.
    pub(crate) fn merge(
        &mut self,
        provider: &Provider<'_>,
        staged: StagedCommit,
    ) -> Result<(), MlsError> {
        self.inner.merge_staged_commit(provider, staged).map_err(|_| MlsError::State)
    }

    /// Reads the key package of a knock.
    pub(crate) fn read_key_package(
        &self,
        provider: &Provider<'_>,
        bytes: &[u8],
    ) -> Result<Leaf, MlsError> {
        let package = self.read_package(provider, bytes)?;
        self.leaf_view(package.leaf_node()).map_err(|e| Refusal::from(e).into())
    }

    fn read_package(&self, provider: &Provider<'_>, bytes: &[u8]) -> Result<KeyPackage, MlsError> {
        let package = self.validate_key_package(provider, bytes)?;
        let init_key = package.hpke_init_key().as_slice();
        if self.suite().map(Suite::key_bytes) != Some(init_key.len()) || takes_no_secret(init_key) {
            return Err(MlsError::BadKeyPackage);
        }
        Ok(package)
    }

    fn of(inner: MlsGroup) -> Self {
        Self { inner: Box::new(inner), roster: None }
    }

    fn leaves(&self) -> impl Iterator<Item = &LeafNode> {
        self.inner.public_group().treesync().full_leaves().map(|(_, leaf)| leaf)
    }

    fn validate_key_package(
        &self,
        provider: &Provider<'_>,
        bytes: &[u8],
    ) -> Result<KeyPackage, MlsError> {
        let package = KeyPackageIn::tls_deserialize_exact(bytes)
            .map_err(|_| MlsError::BadKeyPackage)?
            .validate(provider.crypto(), ProtocolVersion::Mls10)
            .map_err(|error| match error {
                KeyPackageVerifyError::LifetimeError(LifetimeError::SystemTimeBeforeUnixEpoch) => {
                    MlsError::Clock
                }
                KeyPackageVerifyError::LifetimeError(_) => {
                    Refusal::from(LeafError::Lifetime).into()
                }
                _ => MlsError::BadKeyPackage,
            })?;
        let fits = package.ciphersuite() == self.inner.ciphersuite();
        fits.then_some(package).ok_or(MlsError::BadKeyPackage)
    }

    /// Returns the effects of a staged commit.
    fn view(
        &self,
        committer: MemberKey,
        index: LeafNodeIndex,
        staged: &StagedCommit,
    ) -> CommitView {
        let effects = self.effects(index, staged, &ROOM, |leaf| self.leaf_view(leaf));
        let new = staged.group_context().extensions();
        CommitView {
            committer,
            added: effects.added,
            removed: effects.removed,
            policy: effects.context_proposed.then(|| policy_of(new)),
            context_changed_otherwise: effects.context_changed_otherwise,
            foreign_proposals: effects.foreign_proposals,
            path: effects.path,
        }
    }

    /// Returns the effects of a staged commit in a group of either kind.
    fn effects<L>(
        &self,
        index: LeafNodeIndex,
        staged: &StagedCommit,
        shape: &Shape,
        read: impl Fn(&LeafNode) -> Result<L, LeafError>,
    ) -> Effects<L> {
        let mut effects = Effects {
            added: Vec::new(),
            removed: Vec::new(),
            context_proposed: false,
            context_changed_otherwise: false,
            foreign_proposals: false,
            path: staged.update_path_leaf_node().map(&read),
        };
        for queued in staged.queued_proposals() {
            let by_committer = *queued.sender() == Sender::Member(index);
            let by_value = matches!(queued.proposal_or_ref_type(), ProposalOrRefType::Proposal);
            if !by_committer || !by_value {
                effects.foreign_proposals = true;
            }
            match queued.proposal() {
                Proposal::Add(add) => effects.added.push(read(add.key_package().leaf_node())),
                Proposal::Remove(remove) => {
                    match self.inner.public_group().leaf(remove.removed()).map(leaf_key) {
                        Some(Ok(key)) => effects.removed.push(key),
                        _ => effects.foreign_proposals = true,
                    }
                }
                Proposal::GroupContextExtensions(_) => effects.context_proposed = true,
                _ => effects.foreign_proposals = true,
            }
        }
        let (old, new) = (self.inner.extensions(), staged.group_context().extensions());
        effects.context_changed_otherwise = !is_shaped(new, shape)
            || (!effects.context_proposed
                && old.unknown(shape.context) != new.unknown(shape.context));
        effects
    }
}

/// Makes a key package whose private part stays in the store.
pub(crate) fn key_package(
    provider: &Provider<'_>,
    suite: Suite,
    identity: Identity<'_>,
) -> Result<Vec<u8>, MlsError> {
    let leaf = leaf_extensions(identity.acknowledgement, identity.companion)?;
    key_package_with(provider, (suite, &ROOM), (identity.key, identity.credential()), leaf)
}

fn key_package_with(
    provider: &Provider<'_>,
    (suite, shape): (Suite, &Shape),
    (key, credential): (&SigningKey, CredentialWithKey),
    leaf: Extensions<LeafNode>,
) -> Result<Vec<u8>, MlsError> {
    KeyPackage::builder()
        .key_package_lifetime(lifetime())
        .leaf_node_capabilities(capabilities_of(suite, shape))
        .leaf_node_extensions(leaf)
        .build(suite.ciphersuite(), provider, &LeafSigner(key), credential)
        .map_err(|_| MlsError::State)?
        .key_package()
        .tls_serialize_detached()
        .map_err(|_| MlsError::State)
}

/// HPKE (RFC 9180), base mode, with the KEM of a room's suite, HKDF-SHA-256 and ChaCha20-Poly1305.
pub(crate) mod hpke {
    use super::{
        HpkeAeadType, HpkeCiphertext, HpkeConfig, HpkeKdfType, HpkeKemType, Suite, Zeroizing,
    };
    use crate::Crypto;
    use openmls_traits::crypto::OpenMlsCrypto as _;

    impl Suite {
        const fn hpke(self) -> HpkeConfig {
            let kem = match self {
                Self::XWing => HpkeKemType::XWingKemDraft6,
                Self::X25519 => HpkeKemType::DhKem25519,
            };
            HpkeConfig(kem, HpkeKdfType::HkdfSha256, HpkeAeadType::ChaCha20Poly1305)
        }

        /// Returns the bytes of an encapsulated key.
        const fn encapsulated_bytes(self) -> usize {
            match self {
                Self::XWing => 1120,
                Self::X25519 => 32,
            }
        }
    }

    /// Derives a key pair from 32 secret bytes; returns (private, public).
    pub(crate) fn key_pair(
        crypto: &Crypto,
        suite: Suite,
        seed: &[u8; 32],
    ) -> Option<(Zeroizing<Vec<u8>>, Vec<u8>)> {
        let pair = crypto.derive_hpke_keypair(suite.hpke(), seed).ok()?;
        Some((Zeroizing::new(pair.private.to_vec()), pair.public))
    }

    /// Seals to a public key; returns the encapsulated key and the ciphertext.
    pub(crate) fn seal(
        crypto: &Crypto,
        suite: Suite,
        to: &[u8],
        info: &[u8],
        aad: &[u8],
        content: &[u8],
    ) -> Option<Vec<u8>> {
        if to.len() != suite.key_bytes() || super::takes_no_secret(to) {
            return None;
        }
        let sealed = crypto.hpke_seal(suite.hpke(), to, info, aad, content).ok()?;
        Some([sealed.kem_output.as_slice(), sealed.ciphertext.as_slice()].concat())
    }

    /// Opens what [`seal`] made.
    pub(crate) fn open(
        crypto: &Crypto,
        suite: Suite,
        private: &[u8],
        info: &[u8],
        aad: &[u8],
        sealed: &[u8],
    ) -> Option<Zeroizing<Vec<u8>>> {
        let (kem_output, ciphertext) = sealed.split_at_checked(suite.encapsulated_bytes())?;
        let sealed = HpkeCiphertext {
            kem_output: kem_output.to_vec().into(),
            ciphertext: ciphertext.to_vec().into(),
        };
        crypto.hpke_open(suite.hpke(), &sealed, private, info, aad).ok().map(Zeroizing::new)
    }
}

fn ratchet_configuration() -> SenderRatchetConfiguration {
    SenderRatchetConfiguration::new(OUT_OF_ORDER, FORWARD_DISTANCE)
}

fn join_config() -> MlsGroupJoinConfig {
    MlsGroupJoinConfig::builder()
        .wire_format_policy(PURE_CIPHERTEXT_WIRE_FORMAT_POLICY)
        .padding_size(PADDING_BYTES)
        .use_ratchet_tree_extension(true)
        .max_past_epochs(0)
        .sender_ratchet_configuration(ratchet_configuration())
        .build()
}

fn capabilities_of(suite: Suite, shape: &Shape) -> Capabilities {
    Capabilities::builder()
        .versions(vec![ProtocolVersion::Mls10])
        .ciphersuites(vec![suite.ciphersuite()])
        .extensions(shape.required.map(ExtensionType::Unknown).to_vec())
        .proposals(vec![])
        .credentials(vec![CredentialType::Basic])
        .build()
}

fn leaf_extensions(
    acknowledgement: &Acknowledgement,
    companion: &Companion,
) -> Result<Extensions<LeafNode>, MlsError> {
    let companion = UnknownExtension(hearth_protocol::codec::encode(companion));
    Extensions::from_vec(vec![
        Extension::Unknown(ACKNOWLEDGEMENT_EXTENSION, UnknownExtension(acknowledgement.to_bytes())),
        Extension::Unknown(COMPANION_EXTENSION, companion),
    ])
    .map_err(|_| MlsError::State)
}

/// Capabilities that every leaf must have.
fn required_capabilities(shape: &Shape) -> Extension {
    Extension::RequiredCapabilities(RequiredCapabilitiesExtension::new(
        &shape.required.map(ExtensionType::Unknown),
        &[],
        &[CredentialType::Basic],
    ))
}

fn context_extensions(policy: &RoomPolicy) -> Result<Extensions<GroupContext>, MlsError> {
    context_with(&ROOM, hearth_protocol::codec::encode(policy))
}

fn context_with(shape: &Shape, policy: Vec<u8>) -> Result<Extensions<GroupContext>, MlsError> {
    Extensions::from_vec(vec![
        required_capabilities(shape),
        Extension::Unknown(shape.context, UnknownExtension(policy)),
    ])
    .map_err(|_| MlsError::State)
}

fn policy_of(extensions: &Extensions<GroupContext>) -> Result<RoomPolicy, PolicyError> {
    let bytes = &extensions.unknown(POLICY_EXTENSION).ok_or(PolicyError)?.0;
    let policy: RoomPolicy = hearth_protocol::codec::decode(bytes).map_err(|_| PolicyError)?;
    // Only the canonical encoding is accepted, because the policy is compared and hashed as bytes.
    let canonical = hearth_protocol::codec::encode(&policy) == *bytes;
    (policy.format == 2 && canonical).then_some(policy).ok_or(PolicyError)
}

/// Whether the context has exactly the extensions of a kind of group in the order that all members write: another order is another
/// group context, and would split the members who accept it from those who do not.
fn is_shaped(extensions: &Extensions<GroupContext>, shape: &Shape) -> bool {
    let kinds = [ExtensionType::RequiredCapabilities, ExtensionType::Unknown(shape.context)];
    extensions.iter().map(Extension::extension_type).eq(kinds)
        && extensions.iter().next() == Some(&required_capabilities(shape))
}

/// Whether a commit fails only by its confirmation tag (RFC 9420 section 6.1).
const fn is_about_tag<E>(error: &ProcessMessageError<E>) -> bool {
    use StageCommitError::{ConfirmationTagMismatch, ConfirmationTagMissing};
    matches!(
        error,
        ProcessMessageError::InvalidCommit(ConfirmationTagMismatch | ConfirmationTagMissing)
    )
}

fn leaf_key(leaf: &LeafNode) -> Result<MemberKey, LeafError> {
    MemberKey::from_slice(leaf.signature_key().as_slice()).ok_or(LeafError::Key)
}

fn lifetime() -> Lifetime {
    Lifetime::init(LIFETIME.0, LIFETIME.1)
}

/// Refuses a time at which OpenMLS panics: it dates a founder's leaf an hour back before it asks for the lifetime.
fn check_system_clock() -> Result<(), MlsError> {
    const EARLIEST: Duration = Duration::from_secs(2 * 3600);
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.is_ok_and(|since| since > EARLIEST).then_some(()).ok_or(MlsError::Clock)
}

/// Returns the fault in the lifetime of an added leaf, if OpenMLS refuses a commit for it.
const fn lifetime_error<E>(error: &ProcessMessageError<E>) -> Option<&LifetimeError> {
    match error {
        ProcessMessageError::ValidationError(ValidationError::KeyPackageVerifyError(
            KeyPackageVerifyError::LifetimeError(error),
        ))
        | ProcessMessageError::InvalidCommit(
            StageCommitError::LeafNodeValidation(LeafNodeValidationError::Lifetime(error))
            | StageCommitError::ProposalValidationError(ProposalValidationError::LeafNodeValidation(
                LeafNodeValidationError::Lifetime(error),
            )),
        ) => Some(error),
        _ => None,
    }
}

/// Checks what leaves of both kinds of group share, and returns the signature key.
fn check_keys(leaf: &LeafNode, key_bytes: usize) -> Result<MemberKey, LeafError> {
    // Checked first, as OpenMLS does by the clock, so that all members name the same fault whatever else is wrong.
    if let LeafNodeSource::KeyPackage(lifetime) = leaf.leaf_node_source()
        && (lifetime.not_before(), lifetime.not_after()) != LIFETIME
    {
        return Err(LeafError::Lifetime);
    }
    let member = leaf_key(leaf)?;
    let key = leaf.encryption_key().tls_serialize_detached().ok();
    let key = key.and_then(|key| VLBytes::tls_deserialize_exact(key).ok());
    let key = key.ok_or(LeafError::EncryptionKey)?;
    let bad = key.as_slice().len() != key_bytes || takes_no_secret(key.as_slice());
    (!bad).then_some(member).ok_or(LeafError::EncryptionKey)
}

fn identity_of(leaf: &LeafNode) -> Result<Vec<u8>, LeafError> {
    let credential =
        BasicCredential::try_from(leaf.credential().clone()).map_err(|_| LeafError::Name)?;
    Ok(credential.identity().to_vec())
}

fn acknowledgement_of(leaf: &LeafNode) -> Result<Acknowledgement, LeafError> {
    let bytes = leaf.extensions().unknown(ACKNOWLEDGEMENT_EXTENSION);
    let bytes = bytes.ok_or(LeafError::Acknowledgement)?;
    Acknowledgement::parse(&bytes.0).map_err(|_| LeafError::Acknowledgement)
}

/// Whether a leaf has exactly these extensions, in this order, so that every writer of a leaf writes the same bytes.
fn has_extensions(leaf: &LeafNode, kinds: [u16; 2]) -> bool {
    let kinds = kinds.map(ExtensionType::Unknown);
    leaf.extensions().iter().map(Extension::extension_type).eq(kinds)
}

fn leaf_view(leaf: &LeafNode, key_bytes: usize) -> Result<Leaf, LeafError> {
    let member = check_keys(leaf, key_bytes)?;
    let identity = identity_of(leaf)?;
    let text = std::str::from_utf8(&identity).map_err(|_| LeafError::Name)?;
    let name = name::parse_name(text).map_err(|_| LeafError::Name)?;
    if name.as_str() != text {
        return Err(LeafError::Name);
    }
    let acknowledgement = acknowledgement_of(leaf)?;
    let bytes = leaf.extensions().unknown(COMPANION_EXTENSION).ok_or(LeafError::Companion)?;
    let companion = Companion::parse(&bytes.0, key_bytes).ok_or(LeafError::Companion)?;
    if !has_extensions(leaf, [ACKNOWLEDGEMENT_EXTENSION, COMPANION_EXTENSION]) {
        return Err(LeafError::Extensions);
    }
    Ok(Leaf { member, name: text.to_owned(), acknowledgement, companion })
}

/// Whether an HPKE key of either suite cannot be encrypted to or keeps no secret. OpenMLS notices only when it encrypts to the key, so
/// the leaf's neighbours in the tree could make no commit.
///
/// The last 32 bytes are an X25519 key, not of low order (RFC 9180 section 7.1.4). In X-Wing a key of ML-KEM-768 comes before
/// it (draft-connolly-cfrg-xwing-kem section 5.2), whose coefficients are below 3,329 (FIPS 203 section 7.2).
pub(super) fn takes_no_secret(key: &[u8]) -> bool {
    let Some((lattice, point)) = key.split_last_chunk::<32>() else { return true };
    // The cofactor is 8 on the curve and 4 on its twist, so only a point of low order becomes the identity.
    let eightfold = MontgomeryPoint(*point).mul_bits_be([true, false, false, false].into_iter());
    eightfold.is_identity() || !is_reduced(lattice)
}

/// Whether the coefficients of an ML-KEM key are below the modulus: 12 bits each, little endian, followed by 32 bytes.
fn is_reduced(lattice: &[u8]) -> bool {
    const MODULUS: u16 = 3_329;
    let coefficients = lattice.split_last_chunk::<32>().map_or(&[][..], |(rest, _)| rest);
    coefficients.chunks_exact(3).all(|pair| {
        let [low, middle, high] = [pair[0], pair[1], pair[2]].map(u16::from);
        low | (middle & 0xf) << 8 < MODULUS && middle >> 4 | high << 4 < MODULUS
    })
}
