//! Groups in sealed stores: across restarts, across rollbacks, in both suites.

use std::time::Instant;

use openmls::prelude::{
    BasicCredential, Ciphersuite, CredentialWithKey, GroupId, KeyPackage, KeyPackageBundle,
    MlsGroup, MlsGroupCreateConfig, MlsGroupJoinConfig, MlsMessageBodyIn, MlsMessageIn,
    MlsMessageOut, PURE_CIPHERTEXT_WIRE_FORMAT_POLICY, ProcessedMessageContent,
    SenderRatchetConfiguration, StagedWelcome,
};
use openmls_basic_credential::SignatureKeyPair;
use openmls_traits::{
    OpenMlsProvider as _, crypto::OpenMlsCrypto as _, storage::StorageProvider as _,
    types::SignatureScheme,
};
use tempfile::TempDir;
use tls_codec::{Deserialize as _, Serialize as _};

use super::*;
use crate::{
    profile::Profile,
    provider::{CLASSICAL, Crypto, Provider, X_WING},
};

const SUITES: [Ciphersuite; 2] = [X_WING, CLASSICAL];
const GROUP: &[u8] = b"a room of sixteen";

/// One member: a key and a folder that can be closed and opened again.
struct Member {
    home: TempDir,
    profile: Option<Profile>,
    room: RoomNo,
    crypto: Crypto,
    signer: SignatureKeyPair,
    suite: Ciphersuite,
}

impl Member {
    fn new(suite: Ciphersuite) -> Self {
        let home = tempfile::tempdir().unwrap();
        let profile = Profile::create(home.path(), None).unwrap();
        let room = profile.store().create_room().unwrap();
        let signer = SignatureKeyPair::new(SignatureScheme::ED25519).unwrap();
        Self { home, profile: Some(profile), room, crypto: Crypto::default(), signer, suite }
    }

    fn store(&self) -> &Store {
        self.profile.as_ref().unwrap().store()
    }

    fn provider(&self) -> Provider<'_> {
        Provider::new(&self.crypto, self.store(), self.room)
    }

    /// Starts a new process: closes and opens the file, so that keys and groups come from it alone.
    fn restart(&mut self) -> MlsGroup {
        self.profile = None;
        self.profile = Some(Profile::open(self.home.path(), None).unwrap());
        self.load()
    }

    fn load(&self) -> MlsGroup {
        MlsGroup::load(self.provider().storage(), &GroupId::from_slice(GROUP)).unwrap().unwrap()
    }

    fn credential(&self) -> CredentialWithKey {
        CredentialWithKey {
            credential: BasicCredential::new(self.signer.to_public_vec()).into(),
            signature_key: self.signer.public().into(),
        }
    }

    fn key_package(&self) -> KeyPackageBundle {
        KeyPackage::builder()
            .build(self.suite, &self.provider(), &self.signer, self.credential())
            .unwrap()
    }

    fn create(&self) -> MlsGroup {
        let config = MlsGroupCreateConfig::builder()
            .ciphersuite(self.suite)
            .wire_format_policy(PURE_CIPHERTEXT_WIRE_FORMAT_POLICY)
            .use_ratchet_tree_extension(true)
            .sender_ratchet_configuration(SenderRatchetConfiguration::new(64, 2_000))
            .build();
        let id = GroupId::from_slice(GROUP);
        MlsGroup::new_with_group_id(&self.provider(), &self.signer, &config, id, self.credential())
            .unwrap()
    }

    fn join(&self, welcome: &MlsMessageOut) -> Result<MlsGroup, ()> {
        let MlsMessageBodyIn::Welcome(welcome) = transport(welcome).extract() else {
            return Err(());
        };
        let config = MlsGroupJoinConfig::builder()
            .wire_format_policy(PURE_CIPHERTEXT_WIRE_FORMAT_POLICY)
            .sender_ratchet_configuration(SenderRatchetConfiguration::new(64, 2_000))
            .build();
        let staged = StagedWelcome::new_from_welcome(&self.provider(), &config, welcome, None)
            .map_err(drop)?;
        staged.into_group(&self.provider()).map_err(drop)
    }

    fn send(&self, group: &mut MlsGroup, text: &str) -> MlsMessageOut {
        self.store()
            .transaction(|_| {
                Ok::<_, StoreError>(
                    group.create_message(&self.provider(), &self.signer, text.as_bytes()).unwrap(),
                )
            })
            .unwrap()
    }

    /// Processes a message and returns its text; merges a commit and returns an empty text.
    fn receive(&self, group: &mut MlsGroup, message: &MlsMessageOut) -> Result<String, ()> {
        let message = transport(message).try_into_protocol_message().map_err(drop)?;
        let processed = group.process_message(&self.provider(), message).map_err(drop)?;
        match processed.into_content() {
            ProcessedMessageContent::ApplicationMessage(message) => {
                Ok(String::from_utf8(message.into_bytes()).unwrap())
            }
            ProcessedMessageContent::StagedCommitMessage(commit) => {
                group.merge_staged_commit(&self.provider(), *commit).map_err(drop)?;
                Ok(String::new())
            }
            _ => Err(()),
        }
    }
}

fn transport(message: &MlsMessageOut) -> MlsMessageIn {
    MlsMessageIn::tls_deserialize_exact(message.tls_serialize_detached().unwrap()).unwrap()
}

/// Makes a group of two.
fn pair(suite: Ciphersuite) -> (Member, MlsGroup, Member, MlsGroup) {
    let (ada, bea) = (Member::new(suite), Member::new(suite));
    let mut ada_group = ada.create();
    let package = bea.key_package();
    let (_, welcome, _) = ada_group
        .add_members(&ada.provider(), &ada.signer, &[package.key_package().clone()])
        .unwrap();
    ada_group.merge_pending_commit(&ada.provider()).unwrap();
    let bea_group = bea.join(&welcome).unwrap();
    (ada, ada_group, bea, bea_group)
}

#[test]
fn only_the_two_suites_are_supported() {
    let crypto = Crypto::default();
    for number in 0..=0x100_u16 {
        let Ok(suite) = Ciphersuite::try_from(number) else { continue };
        assert_eq!(crypto.supports(suite).is_ok(), SUITES.contains(&suite), "{number:#06x}");
    }
    assert_eq!(crypto.supported_ciphersuites(), SUITES);
    assert_eq!(u16::from(X_WING), 0x004d);
    assert_eq!(u16::from(CLASSICAL), 3);
}

#[test]
fn groups_survive_restarts_in_both_suites() {
    for suite in SUITES {
        let (mut ada, mut ada_group, mut bea, mut bea_group) = pair(suite);
        for round in 0..4 {
            let text = format!("from ada {round}");
            let message = ada.send(&mut ada_group, &text);
            assert_eq!(bea.receive(&mut bea_group, &message), Ok(text));
            drop((ada_group, bea_group));
            ada_group = ada.restart();
            bea_group = bea.restart();
            assert_eq!(
                ada_group.epoch_authenticator().as_slice(),
                bea_group.epoch_authenticator().as_slice()
            );

            // A commit that is made before a restart and merged after it.
            let bundle =
                bea_group.self_update(&bea.provider(), &bea.signer, Default::default()).unwrap();
            drop(bea_group);
            bea_group = bea.restart();
            assert!(bea_group.pending_commit().is_some());
            assert_eq!(ada.receive(&mut ada_group, bundle.commit()), Ok(String::new()));
            bea_group.merge_pending_commit(&bea.provider()).unwrap();
            let message = bea.send(&mut bea_group, "from bea");
            assert_eq!(ada.receive(&mut ada_group, &message), Ok("from bea".to_owned()));
        }
        ada.store().verify().unwrap();
    }
}

#[test]
fn a_proposal_is_kept_and_cleared() {
    for suite in SUITES {
        let (mut ada, mut ada_group, mut bea, mut bea_group) = pair(suite);
        let proposal = bea_group.leave_group(&bea.provider(), &bea.signer).unwrap();
        drop(bea_group);
        bea_group = bea.restart();
        assert_eq!(bea_group.pending_proposals().count(), 1);
        bea_group.clear_pending_proposals(bea.provider().storage()).unwrap();
        drop(bea_group);
        assert_eq!(bea.restart().pending_proposals().count(), 0);

        let message = transport(&proposal).try_into_protocol_message().unwrap();
        let processed = ada_group.process_message(&ada.provider(), message).unwrap();
        let ProcessedMessageContent::ProposalMessage(queued) = processed.into_content() else {
            panic!("not a proposal");
        };
        ada_group.store_pending_proposal(ada.provider().storage(), *queued).unwrap();
        drop(ada_group);
        ada_group = ada.restart();
        let reference = ada
            .provider()
            .storage()
            .queued_proposal_refs(&GroupId::from_slice(GROUP))
            .unwrap()
            .remove(0);
        ada_group.remove_pending_proposal(ada.provider().storage(), &reference).unwrap();
        drop(ada_group);
        assert_eq!(ada.restart().pending_proposals().count(), 0);
    }
}

#[test]
fn a_rollback_leaves_the_earlier_state() {
    for suite in SUITES {
        let (ada, mut ada_group, bea, mut bea_group) = pair(suite);
        let epoch = ada_group.epoch();
        let failed = ada.store().transaction(|_| {
            ada_group.self_update(&ada.provider(), &ada.signer, Default::default()).unwrap();
            ada_group.merge_pending_commit(&ada.provider()).unwrap();
            Err::<(), _>(StoreError::Randomness)
        });
        assert!(matches!(failed, Err(StoreError::Randomness)));
        assert!(ada_group.epoch() > epoch, "the group in memory has moved on");
        let mut ada_group = ada.load();
        assert_eq!(ada_group.epoch(), epoch);
        assert!(ada_group.pending_commit().is_none());
        let message = ada.send(&mut ada_group, "still here");
        assert_eq!(bea.receive(&mut bea_group, &message), Ok("still here".to_owned()));
    }
}

#[test]
fn failed_join_keeps_key_package() {
    let (ada, bea) = (Member::new(X_WING), Member::new(X_WING));
    let mut ada_group = ada.create();
    let package = bea.key_package();
    let (_, welcome, _) = ada_group
        .add_members(&ada.provider(), &ada.signer, &[package.key_package().clone()])
        .unwrap();
    let refused = bea.store().transaction(|_| {
        bea.join(&welcome).unwrap();
        Err::<(), _>(StoreError::Randomness)
    });
    assert!(refused.is_err());
    bea.join(&welcome).unwrap();
}

#[test]
fn a_deleted_group_leaves_nothing_behind() {
    let (ada, mut ada_group, ..) = pair(X_WING);
    ada_group.delete(ada.provider().storage()).unwrap();
    let id = GroupId::from_slice(GROUP);
    assert!(MlsGroup::load(ada.provider().storage(), &id).unwrap().is_none());
    assert!(ada.provider().storage().own_leaf_nodes_are_empty(&id));
    ada.store().delete_room(ada.room).unwrap();
    assert!(ada.store().list_named(Kind::Mls, ada.room).unwrap().is_empty());
}

impl MlsStorage<'_> {
    fn own_leaf_nodes_are_empty(&self, id: &GroupId) -> bool {
        let leaves: Vec<openmls::prelude::LeafNode> = self.own_leaf_nodes(id).unwrap();
        leaves.is_empty()
    }
}

#[test]
fn values_of_other_versions_are_malformed() {
    let bytes = encode(&7_u8).unwrap();
    assert_eq!(decode::<u8>(Label::Tree, &bytes).unwrap(), 7);
    for bytes in [&b""[..], &[0, 7], &[2, 7], &[1], &[1, 0xff]] {
        let outcome = decode::<u8>(Label::Tree, bytes);
        assert!(matches!(outcome, Err(MlsStorageError::Malformed(Label::Tree))));
    }
}

/// Prints the cost of a message in a group of ten. Run with `--ignored --no-capture`, in release for real numbers.
#[test]
#[ignore = "measures, does not check"]
fn cost_of_a_message() {
    const MESSAGES: u32 = 200;
    for suite in SUITES {
        let ada = Member::new(suite);
        let mut group = ada.create();
        let others: Vec<_> = (0..9).map(|_| Member::new(suite)).collect();
        let packages: Vec<_> =
            others.iter().map(|member| member.key_package().key_package().clone()).collect();
        let (_, welcome, _) = group.add_members(&ada.provider(), &ada.signer, &packages).unwrap();
        group.merge_pending_commit(&ada.provider()).unwrap();
        let bea = &others[0];
        let mut bea_group = bea.join(&welcome).unwrap();

        let start = Instant::now();
        let messages: Vec<_> = (0..MESSAGES).map(|_| ada.send(&mut group, "hello")).collect();
        let send = start.elapsed() / MESSAGES;

        let start = Instant::now();
        for message in &messages {
            bea.store()
                .transaction(|_| {
                    bea.receive(&mut bea_group, message).unwrap();
                    Ok::<_, StoreError>(())
                })
                .unwrap();
        }
        let receive = start.elapsed() / MESSAGES;

        let start = Instant::now();
        for n in 0..MESSAGES {
            ada.store().put_at(Kind::History, ada.room, n.into(), b"hello").unwrap();
        }
        let commit = start.elapsed() / MESSAGES;
        let sizes: Vec<_> = ada.store().list_named(Kind::Mls, ada.room).unwrap();
        let mut sizes: Vec<_> = sizes.iter().map(Vec::len).collect();
        sizes.sort_unstable();
        let start = Instant::now();
        ada.load();
        let load = start.elapsed();
        eprintln!(
            "{suite:?}: send {send:?}, receive {receive:?}, bare commit {commit:?}, load {load:?}, values {sizes:?}",
        );
    }
}
