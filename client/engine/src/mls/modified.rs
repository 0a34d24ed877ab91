//! Abilities of a modified member with OpenMLS that [`Group`] never uses. Compiled for tests only.

use hearth_protocol::codec;
use openmls::prelude::{
    ExternalInitProposal, ExternalSender, ExternalSendersExtension, MlsMessageOut, NewSignerBundle,
    PURE_PLAINTEXT_WIRE_FORMAT_POLICY, PreSharedKeyProposal,
};
use openmls::schedule::PreSharedKeyId;

use super::*;

const PSK: &[u8] = b"known to everybody";
const NONCE: [u8; 32] = [5; 32];

/// A forged commit's effect on the committer's own leaf.
#[derive(Default)]
pub(crate) enum OwnLeaf<'a> {
    #[default]
    Honest,
    /// No update path at all.
    NoPath,
    Acknowledgement(&'a Acknowledgement),
    AcknowledgementBytes(&'a [u8]),
    NoAcknowledgement,
    Companion(&'a Companion),
    CompanionBytes(&'a [u8]),
    NoCompanion,
    OtherOrder,
    ExtraExtension,
    FewerCapabilities,
    Name(&'a str),
    Key(&'a SigningKey),
}

/// A forged commit's effect on the group context.
#[derive(Default)]
pub(crate) enum Context<'a> {
    #[default]
    Same,
    Policy(&'a RoomPolicy),
    PolicyBytes(Vec<u8>),
    NoPolicy,
    /// The policy, and before it the required capabilities in another order, or after it unchanged.
    OtherOrder(&'a RoomPolicy),
    OtherRequirement(&'a RoomPolicy),
    /// The policy, without the required capabilities.
    NoRequirement(&'a RoomPolicy),
    /// The policy, and a stranger who may propose.
    Outsider(&'a RoomPolicy),
}

/// A proposal that rooms do not use, inside a commit.
#[derive(Clone, Copy)]
pub(crate) enum Foreign {
    Psk,
    ExternalInit,
}

/// A commit that follows no rule.
#[derive(Default)]
pub(crate) struct Forgery<'a> {
    pub(crate) adds: Vec<&'a [u8]>,
    pub(crate) removes: Vec<MemberKey>,
    pub(crate) context: Context<'a>,
    pub(crate) leaf: OwnLeaf<'a>,
    pub(crate) foreign: Option<Foreign>,
    /// Sends the commit as a PublicMessage.
    pub(crate) in_clear: bool,
    /// Also commits the proposals sent before, by reference.
    pub(crate) by_reference: bool,
    /// The commit's authenticated data.
    pub(crate) aad: &'a [u8],
}

/// A bare proposal.
pub(crate) enum Bare<'a> {
    Add(&'a [u8]),
    Remove(MemberKey),
    Update,
    Context(&'a RoomPolicy),
    Psk,
    Leave,
    SelfRemove,
}

/// A key package that follows no rule.
#[derive(Default)]
pub(crate) struct PackageForgery<'a> {
    pub(crate) acknowledgement: Option<&'a [u8]>,
    pub(crate) no_acknowledgement: bool,
    /// Another companion, or none.
    pub(crate) companion: Option<Option<&'a [u8]>>,
    pub(crate) extra_extension: bool,
    /// The companion before the acknowledgement.
    pub(crate) other_order: bool,
    pub(crate) fewer_capabilities: bool,
    /// Seconds of UNIX time.
    pub(crate) lifetime: Option<(u64, u64)>,
}

impl Group {
    /// Makes a commit that no honest client makes, and forgets it.
    pub(crate) fn forge(
        &mut self,
        provider: &Provider<'_>,
        identity: Identity<'_>,
        forgery: &Forgery<'_>,
    ) -> Result<Committed, MlsError> {
        let adds = forgery
            .adds
            .iter()
            .map(|bytes| self.validate_key_package(provider, bytes))
            .collect::<Result<Vec<_>, _>>()?;
        let removed = self.indices(&forgery.removes);
        if matches!(forgery.foreign, Some(Foreign::Psk)) {
            store_psk(provider);
        }
        if forgery.in_clear {
            self.use_plaintext(provider, true);
        }
        self.inner.set_aad(forgery.aad.to_vec());
        let mut builder = self
            .inner
            .commit_builder()
            .consume_proposal_store(forgery.by_reference)
            .propose_adds(adds)
            .propose_removals(removed);
        if !matches!(forgery.leaf, OwnLeaf::NoPath) {
            builder = builder
                .force_self_update(true)
                .leaf_node_parameters(parameters(identity, &forgery.leaf));
        }
        if let Some(extensions) = context(&forgery.context, identity) {
            builder = builder.propose_group_context_extensions(extensions).unwrap();
        }
        match forgery.foreign {
            None => {}
            Some(Foreign::Psk) => {
                let psk = PreSharedKeyProposal::new(psk_id());
                builder = builder.add_proposal(Proposal::PreSharedKey(Box::new(psk)));
            }
            Some(Foreign::ExternalInit) => {
                // opaque kem_output<V> of 32 bytes.
                let bytes = [&[32][..], &[9; 32]].concat();
                let init = ExternalInitProposal::tls_deserialize_exact(&bytes).unwrap();
                builder = builder.add_proposal(Proposal::ExternalInit(Box::new(init)));
            }
        }
        let signer = LeafSigner(identity.key);
        let builder = builder.load_psks(provider.storage()).map_err(|_| MlsError::State)?;
        let built = if let OwnLeaf::Key(key) = forgery.leaf {
            let credential_with_key = Identity { key, ..identity }.credential();
            let bundle = NewSignerBundle { signer: &LeafSigner(key), credential_with_key };
            builder.build_with_new_signer(
                provider.rand(),
                provider.crypto(),
                &signer,
                bundle,
                |_| true,
            )
        } else {
            builder.build(provider.rand(), provider.crypto(), &signer, |_| true)
        };
        let bundle = built.map_err(|_| MlsError::State)?.stage_commit(provider).unwrap();
        let welcome = bundle.to_welcome_msg().map(|m| m.tls_serialize_detached().unwrap());
        let commit = bundle.into_commit().tls_serialize_detached().unwrap();
        self.clear_pending(provider)?;
        self.use_plaintext(provider, false);
        Ok(Committed { commit, welcome })
    }

    /// Makes a bare proposal; it stays stored here, to be committed by reference.
    pub(crate) fn propose(
        &mut self,
        provider: &Provider<'_>,
        identity: Identity<'_>,
        bare: &Bare<'_>,
    ) -> Vec<u8> {
        let signer = LeafSigner(identity.key);
        let group = &mut self.inner;
        let message: MlsMessageOut = match bare {
            Bare::Add(bytes) => {
                let package = self.validate_key_package(provider, bytes).unwrap();
                self.inner.propose_add_member(provider, &signer, &package).unwrap().0
            }
            Bare::Remove(member) => {
                let index = self.indices(&[*member])[0];
                self.inner.propose_remove_member(provider, &signer, index).unwrap().0
            }
            Bare::Update => {
                let leaf = parameters(identity, &OwnLeaf::Honest);
                group.propose_self_update(provider, &signer, leaf).unwrap().0
            }
            Bare::Context(policy) => {
                let extensions = context_extensions(policy).unwrap();
                group.propose_group_context_extensions(provider, extensions, &signer).unwrap().0
            }
            Bare::Psk => {
                store_psk(provider);
                group.propose_pre_shared_key(provider, &signer, psk_id()).unwrap().0
            }
            Bare::Leave => group.leave_group(provider, &signer).unwrap(),
            Bare::SelfRemove => {
                self.use_plaintext(provider, true);
                let message = self.inner.leave_group_via_self_remove(provider, &signer).unwrap();
                self.use_plaintext(provider, false);
                message
            }
        };
        message.tls_serialize_detached().unwrap()
    }

    /// Forgets the proposals sent so far.
    pub(crate) fn forget_proposals(&mut self, provider: &Provider<'_>) {
        self.inner.clear_pending_proposals(provider.storage()).unwrap();
    }

    /// Whether a stored proposal waits to be committed, which would block sending.
    pub(crate) fn has_proposals(&self) -> bool {
        self.inner.pending_proposals().next().is_some()
    }

    /// Adds many members at once without their knocks.
    pub(crate) fn fill(
        &mut self,
        provider: &Provider<'_>,
        key: &SigningKey,
        packages: &[Vec<u8>],
    ) -> Result<(), MlsError> {
        let adds = packages
            .iter()
            .map(|bytes| self.validate_key_package(provider, bytes))
            .collect::<Result<Vec<_>, _>>()?;
        let signer = LeafSigner(key);
        let builder = self.inner.commit_builder().propose_adds(adds);
        builder
            .load_psks(provider.storage())
            .map_err(|_| MlsError::State)?
            .build(provider.rand(), provider.crypto(), &signer, |_| true)
            .map_err(|_| MlsError::State)?
            .stage_commit(provider)
            .map_err(|_| MlsError::State)?;
        self.merge_pending(provider)
    }

    /// Joins by any Welcome.
    pub(crate) fn join_unchecked(provider: &Provider<'_>, welcome: &[u8]) -> Option<Self> {
        let message = MlsMessageIn::tls_deserialize_exact(welcome).ok()?;
        let MlsMessageBodyIn::Welcome(welcome) = message.extract() else { return None };
        let staged =
            StagedWelcome::new_from_welcome(provider, &join_config(), welcome, None).ok()?;
        Some(Self::of(staged.into_group(provider).ok()?))
    }

    /// Reveals the group info that an external commit needs.
    pub(crate) fn group_info(&self, provider: &Provider<'_>, key: &SigningKey) -> Vec<u8> {
        let info = self.inner.export_group_info(provider.crypto(), &LeafSigner(key), true);
        info.unwrap().tls_serialize_detached().unwrap()
    }

    fn indices(&self, members: &[MemberKey]) -> Vec<LeafNodeIndex> {
        let leaves = self.inner.public_group().treesync().full_leaves();
        leaves
            .filter(|(_, leaf)| leaf_key(leaf).is_ok_and(|key| members.contains(&key)))
            .map(|(index, _)| index)
            .collect()
    }

    fn use_plaintext(&mut self, provider: &Provider<'_>, on: bool) {
        let config = MlsGroupJoinConfig::builder()
            .wire_format_policy(PURE_PLAINTEXT_WIRE_FORMAT_POLICY)
            .build();
        let config = if on { config } else { join_config() };
        self.inner.set_configuration(provider.storage(), &config).unwrap();
    }
}

/// Joins by an external commit (RFC 9420 section 12.4.3.2), using the result of [`Group::group_info`].
pub(crate) fn external_commit(
    provider: &Provider<'_>,
    identity: Identity<'_>,
    suite: Suite,
    group_info: &[u8],
) -> (Group, Vec<u8>) {
    let info = MlsMessageIn::tls_deserialize_exact(group_info).unwrap();
    let MlsMessageBodyIn::GroupInfo(info) = info.extract() else { panic!("no group info") };
    let leaf = LeafNodeParameters::builder()
        .with_capabilities(capabilities_of(suite, &ROOM))
        .with_extensions(leaf_extensions(identity.acknowledgement, identity.companion).unwrap())
        .build();
    let (inner, bundle) = MlsGroup::external_commit_builder()
        .with_config(join_config())
        .build_group(provider, info, identity.credential())
        .unwrap()
        .leaf_node_parameters(leaf)
        .load_psks(provider.storage())
        .unwrap()
        .build(provider.rand(), provider.crypto(), &LeafSigner(identity.key), |_| true)
        .unwrap()
        .finalize(provider)
        .unwrap();
    let commit = bundle.into_commit().tls_serialize_detached().unwrap();
    (Group::of(inner), commit)
}

/// Makes a key package that no honest client makes; its private part stays in the store.
pub(crate) fn forged_package(
    provider: &Provider<'_>,
    suite: Suite,
    identity: Identity<'_>,
    forgery: &PackageForgery<'_>,
) -> Vec<u8> {
    let mut extensions = Vec::new();
    if !forgery.no_acknowledgement {
        let bytes = identity.acknowledgement.to_bytes();
        let bytes = forgery.acknowledgement.map_or(bytes, <[u8]>::to_vec);
        extensions.push(unknown(ACKNOWLEDGEMENT_EXTENSION, bytes));
    }
    let own = codec::encode(identity.companion);
    if let Some(bytes) = forgery.companion.unwrap_or(Some(&own)) {
        extensions.push(unknown(COMPANION_EXTENSION, bytes.to_vec()));
    }
    if forgery.extra_extension {
        extensions.push(unknown(POLICY_EXTENSION, vec![1]));
    }
    if forgery.other_order {
        extensions.reverse();
    }
    let capabilities =
        if forgery.fewer_capabilities { fewer(suite) } else { capabilities_of(suite, &ROOM) };
    let builder = KeyPackage::builder()
        .leaf_node_capabilities(capabilities)
        .leaf_node_extensions(Extensions::from_vec(extensions).unwrap());
    let (from, to) = forgery.lifetime.unwrap_or(LIFETIME);
    builder
        .key_package_lifetime(Lifetime::init(from, to))
        .build(suite.ciphersuite(), provider, &LeafSigner(identity.key), identity.credential())
        .unwrap()
        .key_package()
        .tls_serialize_detached()
        .unwrap()
}

/// Offset of the init key with its length, after version and suite.
const INIT_KEY_AT: usize = 4;
/// Two bytes of length before the 64 of a signature (RFC 9420 section 2.1.2).
const SIGNATURE_BYTES: usize = 2 + 64;

/// Replaces the init key of a key package and signs it again, as its owner can (RFC 9420 section 5.1.2).
pub(crate) fn with_init_key(package: &[u8], init_key: &[u8], key: &SigningKey) -> Vec<u8> {
    let end = package.len() - SIGNATURE_BYTES;
    let after = vector_end(package, INIT_KEY_AT);
    let mut forged = [&package[..INIT_KEY_AT], &vector(init_key), &package[after..end]].concat();
    sign_package(&mut forged, key);
    forged
}

/// Replaces the encryption key in the leaf of a key package and signs both again (RFC 9420 section 7.2).
pub(crate) fn with_leaf_key(package: &[u8], leaf_key: &[u8], key: &SigningKey) -> Vec<u8> {
    let leaf_at = vector_end(package, INIT_KEY_AT);
    // A key package of ours has no extensions, which one byte between the leaf and the last signature states.
    let leaf_end = package.len() - SIGNATURE_BYTES - 1;
    assert_eq!(package[leaf_end], 0, "the extensions are empty");
    let rest = &package[vector_end(package, leaf_at)..leaf_end - SIGNATURE_BYTES];
    let mut leaf = [&vector(leaf_key), rest].concat();
    sign_bytes(&mut leaf, b"MLS 1.0 LeafNodeTBS", key);
    let mut forged = [&package[..leaf_at], &leaf, &[0]].concat();
    sign_package(&mut forged, key);
    forged
}

/// Prefixes bytes with their length (RFC 9420 section 2.1.2), for less than 16 KiB.
fn vector(bytes: &[u8]) -> Vec<u8> {
    let length = (u16::try_from(bytes.len()).unwrap() | 0x4000).to_be_bytes();
    [if bytes.len() < 64 { &length[1..] } else { &length }, bytes].concat()
}

/// Returns the end of the vector that begins at an offset.
fn vector_end(bytes: &[u8], at: usize) -> usize {
    let [first, second] = [bytes[at], bytes[at + 1]].map(usize::from);
    if first < 0x40 { at + 1 + first } else { at + 2 + (first & 0x3f) * 256 + second }
}

fn sign_package(bytes: &mut Vec<u8>, key: &SigningKey) {
    sign_bytes(bytes, b"MLS 1.0 KeyPackageTBS", key);
}

/// Appends a signature over SignContent (RFC 9420 section 5.1.2): the label and the content, each after its length.
fn sign_bytes(bytes: &mut Vec<u8>, label: &[u8], key: &SigningKey) {
    let content = [vector(label), vector(bytes)].concat();
    bytes.extend([0x40, 0x40]);
    bytes.extend(key.sign(&content).to_bytes());
}

/// Stores the pre-shared key that [`Foreign::Psk`] uses at a member.
pub(crate) fn store_psk(provider: &Provider<'_>) {
    psk_id().store(provider, b"no secret at all, and 32 bytes..").unwrap();
}

fn psk_id() -> PreSharedKeyId {
    PreSharedKeyId::external(PSK.to_vec(), NONCE.to_vec())
}

fn parameters(identity: Identity<'_>, leaf: &OwnLeaf<'_>) -> LeafNodeParameters {
    let bytes = match leaf {
        OwnLeaf::Acknowledgement(other) => other.to_bytes(),
        OwnLeaf::AcknowledgementBytes(bytes) => bytes.to_vec(),
        _ => identity.acknowledgement.to_bytes(),
    };
    let companion = match leaf {
        OwnLeaf::Companion(other) => codec::encode(*other),
        OwnLeaf::CompanionBytes(bytes) => bytes.to_vec(),
        _ => codec::encode(identity.companion),
    };
    let mut extensions =
        vec![unknown(ACKNOWLEDGEMENT_EXTENSION, bytes), unknown(COMPANION_EXTENSION, companion)];
    match leaf {
        OwnLeaf::NoAcknowledgement => drop(extensions.remove(0)),
        OwnLeaf::NoCompanion => extensions.truncate(1),
        OwnLeaf::OtherOrder => extensions.reverse(),
        OwnLeaf::ExtraExtension => extensions.push(unknown(POLICY_EXTENSION, vec![1])),
        _ => {}
    }
    let builder =
        LeafNodeParameters::builder().with_extensions(Extensions::from_vec(extensions).unwrap());
    match leaf {
        OwnLeaf::Name(name) => {
            builder.with_credential_with_key(Identity { name, ..identity }.credential()).build()
        }
        OwnLeaf::FewerCapabilities => builder.with_capabilities(fewer(Suite::X25519)).build(),
        _ => builder.build(),
    }
}

fn context(context: &Context<'_>, identity: Identity<'_>) -> Option<Extensions<GroupContext>> {
    let ours = |policy| context_extensions(policy).unwrap();
    let without = |extensions: Extensions<GroupContext>, unwanted| -> Vec<Extension> {
        let kept = |e: &&Extension| e.extension_type() != unwanted;
        extensions.iter().filter(kept).cloned().collect()
    };
    let policy_type = ExtensionType::Unknown(POLICY_EXTENSION);
    let required = || {
        let leaf = [ACKNOWLEDGEMENT_EXTENSION, COMPANION_EXTENSION].map(ExtensionType::Unknown);
        let types = [policy_type, leaf[0], leaf[1]];
        let basic = [CredentialType::Basic];
        Extension::RequiredCapabilities(RequiredCapabilitiesExtension::new(&types, &[], &basic))
    };
    let all = match context {
        Context::Same => return None,
        Context::Policy(policy) => return Some(ours(policy)),
        Context::PolicyBytes(bytes) => vec![required(), unknown(POLICY_EXTENSION, bytes.clone())],
        Context::NoPolicy => vec![required()],
        Context::NoRequirement(policy) => {
            let mut kept = without(ours(policy), ExtensionType::RequiredCapabilities);
            let only = RequiredCapabilitiesExtension::new(&[policy_type], &[], &[]);
            kept.push(Extension::RequiredCapabilities(only));
            kept
        }
        Context::OtherOrder(policy) => {
            let mut all: Vec<Extension> = ours(policy).iter().cloned().collect();
            all.reverse();
            all
        }
        Context::OtherRequirement(policy) => {
            let types = [policy_type, COMPANION_EXTENSION.into(), ACKNOWLEDGEMENT_EXTENSION.into()];
            let basic = [CredentialType::Basic];
            let other = RequiredCapabilitiesExtension::new(&types, &[], &basic);
            vec![
                Extension::RequiredCapabilities(other),
                unknown(POLICY_EXTENSION, codec::encode(*policy)),
            ]
        }
        Context::Outsider(policy) => {
            let credential = identity.credential();
            let sender = ExternalSender::new(credential.signature_key, credential.credential);
            let mut all: Vec<Extension> = ours(policy).iter().cloned().collect();
            let senders: ExternalSendersExtension = vec![sender];
            all.push(Extension::ExternalSenders(senders));
            all
        }
    };
    Some(Extensions::from_vec(all).unwrap())
}

fn fewer(suite: Suite) -> Capabilities {
    Capabilities::builder()
        .versions(vec![ProtocolVersion::Mls10])
        .ciphersuites(vec![suite.ciphersuite()])
        .extensions(vec![
            ExtensionType::Unknown(ACKNOWLEDGEMENT_EXTENSION),
            ExtensionType::Unknown(COMPANION_EXTENSION),
        ])
        .credentials(vec![CredentialType::Basic])
        .build()
}

fn unknown(kind: u16, bytes: Vec<u8>) -> Extension {
    Extension::Unknown(kind, UnknownExtension(bytes))
}
