//! Storage of OpenMLS: records of kind [`Kind::Mls`] of one room, in CBOR (RFC 8949) behind a version byte.
//!
//! CBOR names its fields, so that a later OpenMLS can still read the records of an earlier one.

use minicbor::bytes::ByteVec;
use openmls_traits::storage::{CURRENT_VERSION, Entity, StorageProvider, traits};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::store::{Kind, RoomNo, Store, StoreError};

/// The first byte of every stored value.
const VERSION: u8 = 1;

/// Why OpenMLS could not read or write its state.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MlsStorageError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// This version of OpenMLS cannot have written the stored value.
    #[error("the stored group state ({0:?}) cannot be read")]
    Malformed(Label),
    /// A value has no CBOR form.
    #[error("the group state cannot be written")]
    Unwritable,
}

/// The MLS state of one room.
pub(crate) struct MlsStorage<'a> {
    store: &'a Store,
    room: RoomNo,
}

/// Kind of a record. The numbers are stored: add, never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Label {
    KeyPackage = 1,
    Psk = 2,
    EncryptionKeyPair = 3,
    SignatureKeyPair = 4,
    EpochKeyPairs = 5,
    Tree = 6,
    GroupContext = 7,
    InterimTranscriptHash = 8,
    ConfirmationTag = 9,
    JoinConfig = 10,
    OwnLeafNodes = 11,
    GroupState = 12,
    QueuedProposal = 13,
    ProposalRefs = 14,
    OwnLeafIndex = 15,
    EpochSecrets = 16,
    ResumptionPsks = 17,
    MessageSecrets = 18,
}

type Result<T, E = MlsStorageError> = std::result::Result<T, E>;

impl<'a> MlsStorage<'a> {
    /// Returns the storage of a room, which may not exist yet.
    pub(crate) const fn new(store: &'a Store, room: RoomNo) -> Self {
        Self { store, room }
    }

    fn write(&self, label: Label, key: &impl Serialize, value: &impl Serialize) -> Result<()> {
        self.put(&name(label, key)?, &encode(value)?)
    }

    fn read<V: Entity<CURRENT_VERSION>>(
        &self,
        label: Label,
        key: &impl Serialize,
    ) -> Result<Option<V>> {
        self.raw(&name(label, key)?)?.map(|bytes| decode(label, &bytes)).transpose()
    }

    fn delete(&self, label: Label, key: &impl Serialize) -> Result<()> {
        self.store.delete(Kind::Mls, self.room, &name(label, key)?)?;
        Ok(())
    }

    fn append(&self, label: Label, key: &impl Serialize, item: &impl Serialize) -> Result<()> {
        let mut items = self.items(label, key)?;
        items.push(ByteVec::from(encode(item)?.to_vec()));
        self.put_items(label, key, items)
    }

    fn remove_item(&self, label: Label, key: &impl Serialize, item: &impl Serialize) -> Result<()> {
        let mut items = self.items(label, key)?;
        let encoded = encode(item)?;
        if let Some(at) = items.iter().position(|stored| **stored == **encoded) {
            items.remove(at);
            self.put_items(label, key, items)?;
        }
        Ok(())
    }

    fn read_list<V: Entity<CURRENT_VERSION>>(
        &self,
        label: Label,
        key: &impl Serialize,
    ) -> Result<Vec<V>> {
        self.items(label, key)?.iter().map(|item| decode(label, item)).collect()
    }

    fn items(&self, label: Label, key: &impl Serialize) -> Result<Vec<ByteVec>> {
        match self.raw(&name(label, key)?)? {
            Some(bytes) => match bytes.split_first() {
                Some((&VERSION, body)) => {
                    minicbor::decode(body).map_err(|_malformed| MlsStorageError::Malformed(label))
                }
                _ => Err(MlsStorageError::Malformed(label)),
            },
            None => Ok(Vec::new()),
        }
    }

    fn put_items(&self, label: Label, key: &impl Serialize, items: Vec<ByteVec>) -> Result<()> {
        let mut bytes = Zeroizing::new(vec![VERSION]);
        minicbor::encode(items, &mut *bytes).map_err(|_| MlsStorageError::Unwritable)?;
        self.put(&name(label, key)?, &bytes)
    }

    fn raw(&self, name: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>> {
        Ok(self.store.get(Kind::Mls, self.room, name)?.map(Zeroizing::new))
    }

    fn put(&self, name: &[u8], value: &[u8]) -> Result<()> {
        Ok(self.store.put(Kind::Mls, self.room, name, value)?)
    }
}

/// Names a record: its kind, then its owner.
fn name(label: Label, key: &impl Serialize) -> Result<Vec<u8>> {
    let mut name = vec![label as u8];
    key.serialize(&mut minicbor_serde::Serializer::new(&mut name))
        .map_err(|_| MlsStorageError::Unwritable)?;
    Ok(name)
}

fn encode(value: &(impl Serialize + ?Sized)) -> Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(vec![VERSION]);
    value
        .serialize(&mut minicbor_serde::Serializer::new(&mut *bytes))
        .map_err(|_| MlsStorageError::Unwritable)?;
    Ok(bytes)
}

fn decode<V: serde::de::DeserializeOwned>(label: Label, bytes: &[u8]) -> Result<V> {
    match bytes.split_first() {
        Some((&VERSION, body)) => {
            minicbor_serde::from_slice(body).map_err(|_| MlsStorageError::Malformed(label))
        }
        _ => Err(MlsStorageError::Malformed(label)),
    }
}

impl StorageProvider<CURRENT_VERSION> for MlsStorage<'_> {
    type Error = MlsStorageError;

    fn write_mls_join_config<
        K: traits::GroupId<CURRENT_VERSION>,
        V: traits::MlsGroupJoinConfig<CURRENT_VERSION>,
    >(
        &self,
        group: &K,
        config: &V,
    ) -> Result<()> {
        self.write(Label::JoinConfig, group, config)
    }

    fn write_tree<K: traits::GroupId<CURRENT_VERSION>, V: traits::TreeSync<CURRENT_VERSION>>(
        &self,
        group: &K,
        tree: &V,
    ) -> Result<()> {
        self.write(Label::Tree, group, tree)
    }

    fn write_interim_transcript_hash<
        K: traits::GroupId<CURRENT_VERSION>,
        V: traits::InterimTranscriptHash<CURRENT_VERSION>,
    >(
        &self,
        group: &K,
        hash: &V,
    ) -> Result<()> {
        self.write(Label::InterimTranscriptHash, group, hash)
    }

    fn write_context<
        K: traits::GroupId<CURRENT_VERSION>,
        V: traits::GroupContext<CURRENT_VERSION>,
    >(
        &self,
        group: &K,
        context: &V,
    ) -> Result<()> {
        self.write(Label::GroupContext, group, context)
    }

    fn write_confirmation_tag<
        K: traits::GroupId<CURRENT_VERSION>,
        V: traits::ConfirmationTag<CURRENT_VERSION>,
    >(
        &self,
        group: &K,
        tag: &V,
    ) -> Result<()> {
        self.write(Label::ConfirmationTag, group, tag)
    }

    fn write_group_state<
        V: traits::GroupState<CURRENT_VERSION>,
        K: traits::GroupId<CURRENT_VERSION>,
    >(
        &self,
        group: &K,
        state: &V,
    ) -> Result<()> {
        self.write(Label::GroupState, group, state)
    }

    fn write_message_secrets<
        K: traits::GroupId<CURRENT_VERSION>,
        V: traits::MessageSecrets<CURRENT_VERSION>,
    >(
        &self,
        group: &K,
        secrets: &V,
    ) -> Result<()> {
        self.write(Label::MessageSecrets, group, secrets)
    }

    fn write_resumption_psk_store<
        K: traits::GroupId<CURRENT_VERSION>,
        V: traits::ResumptionPskStore<CURRENT_VERSION>,
    >(
        &self,
        group: &K,
        psks: &V,
    ) -> Result<()> {
        self.write(Label::ResumptionPsks, group, psks)
    }

    fn write_own_leaf_index<
        K: traits::GroupId<CURRENT_VERSION>,
        V: traits::LeafNodeIndex<CURRENT_VERSION>,
    >(
        &self,
        group: &K,
        index: &V,
    ) -> Result<()> {
        self.write(Label::OwnLeafIndex, group, index)
    }

    fn write_group_epoch_secrets<
        K: traits::GroupId<CURRENT_VERSION>,
        V: traits::GroupEpochSecrets<CURRENT_VERSION>,
    >(
        &self,
        group: &K,
        secrets: &V,
    ) -> Result<()> {
        self.write(Label::EpochSecrets, group, secrets)
    }

    fn write_signature_key_pair<
        K: traits::SignaturePublicKey<CURRENT_VERSION>,
        V: traits::SignatureKeyPair<CURRENT_VERSION>,
    >(
        &self,
        public: &K,
        pair: &V,
    ) -> Result<()> {
        self.write(Label::SignatureKeyPair, public, pair)
    }

    fn write_encryption_key_pair<
        K: traits::EncryptionKey<CURRENT_VERSION>,
        V: traits::HpkeKeyPair<CURRENT_VERSION>,
    >(
        &self,
        public: &K,
        pair: &V,
    ) -> Result<()> {
        self.write(Label::EncryptionKeyPair, public, pair)
    }

    fn write_key_package<
        K: traits::HashReference<CURRENT_VERSION>,
        V: traits::KeyPackage<CURRENT_VERSION>,
    >(
        &self,
        reference: &K,
        key_package: &V,
    ) -> Result<()> {
        self.write(Label::KeyPackage, reference, key_package)
    }

    fn write_psk<K: traits::PskId<CURRENT_VERSION>, V: traits::PskBundle<CURRENT_VERSION>>(
        &self,
        id: &K,
        psk: &V,
    ) -> Result<()> {
        self.write(Label::Psk, id, psk)
    }

    fn append_own_leaf_node<
        K: traits::GroupId<CURRENT_VERSION>,
        V: traits::LeafNode<CURRENT_VERSION>,
    >(
        &self,
        group: &K,
        leaf: &V,
    ) -> Result<()> {
        self.append(Label::OwnLeafNodes, group, leaf)
    }

    fn queue_proposal<
        K: traits::GroupId<CURRENT_VERSION>,
        R: traits::ProposalRef<CURRENT_VERSION>,
        V: traits::QueuedProposal<CURRENT_VERSION>,
    >(
        &self,
        group: &K,
        reference: &R,
        proposal: &V,
    ) -> Result<()> {
        self.write(Label::QueuedProposal, &(group, reference), proposal)?;
        self.append(Label::ProposalRefs, group, reference)
    }

    fn write_encryption_epoch_key_pairs<
        K: traits::GroupId<CURRENT_VERSION>,
        E: traits::EpochKey<CURRENT_VERSION>,
        V: traits::HpkeKeyPair<CURRENT_VERSION>,
    >(
        &self,
        group: &K,
        epoch: &E,
        leaf: u32,
        pairs: &[V],
    ) -> Result<()> {
        self.put(&name(Label::EpochKeyPairs, &(group, epoch, leaf))?, &encode(pairs)?)
    }

    fn mls_group_join_config<
        K: traits::GroupId<CURRENT_VERSION>,
        V: traits::MlsGroupJoinConfig<CURRENT_VERSION>,
    >(
        &self,
        group: &K,
    ) -> Result<Option<V>> {
        self.read(Label::JoinConfig, group)
    }

    fn tree<K: traits::GroupId<CURRENT_VERSION>, V: traits::TreeSync<CURRENT_VERSION>>(
        &self,
        group: &K,
    ) -> Result<Option<V>> {
        self.read(Label::Tree, group)
    }

    fn group_context<
        K: traits::GroupId<CURRENT_VERSION>,
        V: traits::GroupContext<CURRENT_VERSION>,
    >(
        &self,
        group: &K,
    ) -> Result<Option<V>> {
        self.read(Label::GroupContext, group)
    }

    fn interim_transcript_hash<
        K: traits::GroupId<CURRENT_VERSION>,
        V: traits::InterimTranscriptHash<CURRENT_VERSION>,
    >(
        &self,
        group: &K,
    ) -> Result<Option<V>> {
        self.read(Label::InterimTranscriptHash, group)
    }

    fn confirmation_tag<
        K: traits::GroupId<CURRENT_VERSION>,
        V: traits::ConfirmationTag<CURRENT_VERSION>,
    >(
        &self,
        group: &K,
    ) -> Result<Option<V>> {
        self.read(Label::ConfirmationTag, group)
    }

    fn group_state<V: traits::GroupState<CURRENT_VERSION>, K: traits::GroupId<CURRENT_VERSION>>(
        &self,
        group: &K,
    ) -> Result<Option<V>> {
        self.read(Label::GroupState, group)
    }

    fn message_secrets<
        K: traits::GroupId<CURRENT_VERSION>,
        V: traits::MessageSecrets<CURRENT_VERSION>,
    >(
        &self,
        group: &K,
    ) -> Result<Option<V>> {
        self.read(Label::MessageSecrets, group)
    }

    fn resumption_psk_store<
        K: traits::GroupId<CURRENT_VERSION>,
        V: traits::ResumptionPskStore<CURRENT_VERSION>,
    >(
        &self,
        group: &K,
    ) -> Result<Option<V>> {
        self.read(Label::ResumptionPsks, group)
    }

    fn own_leaf_index<
        K: traits::GroupId<CURRENT_VERSION>,
        V: traits::LeafNodeIndex<CURRENT_VERSION>,
    >(
        &self,
        group: &K,
    ) -> Result<Option<V>> {
        self.read(Label::OwnLeafIndex, group)
    }

    fn group_epoch_secrets<
        K: traits::GroupId<CURRENT_VERSION>,
        V: traits::GroupEpochSecrets<CURRENT_VERSION>,
    >(
        &self,
        group: &K,
    ) -> Result<Option<V>> {
        self.read(Label::EpochSecrets, group)
    }

    fn signature_key_pair<
        K: traits::SignaturePublicKey<CURRENT_VERSION>,
        V: traits::SignatureKeyPair<CURRENT_VERSION>,
    >(
        &self,
        public: &K,
    ) -> Result<Option<V>> {
        self.read(Label::SignatureKeyPair, public)
    }

    fn encryption_key_pair<
        V: traits::HpkeKeyPair<CURRENT_VERSION>,
        K: traits::EncryptionKey<CURRENT_VERSION>,
    >(
        &self,
        public: &K,
    ) -> Result<Option<V>> {
        self.read(Label::EncryptionKeyPair, public)
    }

    fn key_package<
        K: traits::HashReference<CURRENT_VERSION>,
        V: traits::KeyPackage<CURRENT_VERSION>,
    >(
        &self,
        reference: &K,
    ) -> Result<Option<V>> {
        self.read(Label::KeyPackage, reference)
    }

    fn psk<V: traits::PskBundle<CURRENT_VERSION>, K: traits::PskId<CURRENT_VERSION>>(
        &self,
        id: &K,
    ) -> Result<Option<V>> {
        self.read(Label::Psk, id)
    }

    fn own_leaf_nodes<K: traits::GroupId<CURRENT_VERSION>, V: traits::LeafNode<CURRENT_VERSION>>(
        &self,
        group: &K,
    ) -> Result<Vec<V>> {
        self.read_list(Label::OwnLeafNodes, group)
    }

    fn queued_proposal_refs<
        K: traits::GroupId<CURRENT_VERSION>,
        R: traits::ProposalRef<CURRENT_VERSION>,
    >(
        &self,
        group: &K,
    ) -> Result<Vec<R>> {
        self.read_list(Label::ProposalRefs, group)
    }

    fn queued_proposals<
        K: traits::GroupId<CURRENT_VERSION>,
        R: traits::ProposalRef<CURRENT_VERSION>,
        V: traits::QueuedProposal<CURRENT_VERSION>,
    >(
        &self,
        group: &K,
    ) -> Result<Vec<(R, V)>> {
        self.read_list::<R>(Label::ProposalRefs, group)?
            .into_iter()
            .map(|reference| {
                let proposal = self
                    .read(Label::QueuedProposal, &(group, &reference))?
                    .ok_or(MlsStorageError::Malformed(Label::QueuedProposal))?;
                Ok((reference, proposal))
            })
            .collect()
    }

    fn encryption_epoch_key_pairs<
        K: traits::GroupId<CURRENT_VERSION>,
        E: traits::EpochKey<CURRENT_VERSION>,
        V: traits::HpkeKeyPair<CURRENT_VERSION>,
    >(
        &self,
        group: &K,
        epoch: &E,
        leaf: u32,
    ) -> Result<Vec<V>> {
        match self.raw(&name(Label::EpochKeyPairs, &(group, epoch, leaf))?)? {
            Some(bytes) => decode(Label::EpochKeyPairs, &bytes),
            None => Ok(Vec::new()),
        }
    }

    fn remove_proposal<
        K: traits::GroupId<CURRENT_VERSION>,
        R: traits::ProposalRef<CURRENT_VERSION>,
    >(
        &self,
        group: &K,
        reference: &R,
    ) -> Result<()> {
        self.remove_item(Label::ProposalRefs, group, reference)?;
        self.delete(Label::QueuedProposal, &(group, reference))
    }

    fn clear_proposal_queue<
        K: traits::GroupId<CURRENT_VERSION>,
        R: traits::ProposalRef<CURRENT_VERSION>,
    >(
        &self,
        group: &K,
    ) -> Result<()> {
        for reference in self.read_list::<R>(Label::ProposalRefs, group)? {
            self.delete(Label::QueuedProposal, &(group, reference))?;
        }
        self.delete(Label::ProposalRefs, group)
    }

    fn delete_encryption_epoch_key_pairs<
        K: traits::GroupId<CURRENT_VERSION>,
        E: traits::EpochKey<CURRENT_VERSION>,
    >(
        &self,
        group: &K,
        epoch: &E,
        leaf: u32,
    ) -> Result<()> {
        self.delete(Label::EpochKeyPairs, &(group, epoch, leaf))
    }

    fn delete_own_leaf_nodes<K: traits::GroupId<CURRENT_VERSION>>(&self, group: &K) -> Result<()> {
        self.delete(Label::OwnLeafNodes, group)
    }

    fn delete_group_config<K: traits::GroupId<CURRENT_VERSION>>(&self, group: &K) -> Result<()> {
        self.delete(Label::JoinConfig, group)
    }

    fn delete_tree<K: traits::GroupId<CURRENT_VERSION>>(&self, group: &K) -> Result<()> {
        self.delete(Label::Tree, group)
    }

    fn delete_confirmation_tag<K: traits::GroupId<CURRENT_VERSION>>(
        &self,
        group: &K,
    ) -> Result<()> {
        self.delete(Label::ConfirmationTag, group)
    }

    fn delete_group_state<K: traits::GroupId<CURRENT_VERSION>>(&self, group: &K) -> Result<()> {
        self.delete(Label::GroupState, group)
    }

    fn delete_context<K: traits::GroupId<CURRENT_VERSION>>(&self, group: &K) -> Result<()> {
        self.delete(Label::GroupContext, group)
    }

    fn delete_interim_transcript_hash<K: traits::GroupId<CURRENT_VERSION>>(
        &self,
        group: &K,
    ) -> Result<()> {
        self.delete(Label::InterimTranscriptHash, group)
    }

    fn delete_message_secrets<K: traits::GroupId<CURRENT_VERSION>>(&self, group: &K) -> Result<()> {
        self.delete(Label::MessageSecrets, group)
    }

    fn delete_all_resumption_psk_secrets<K: traits::GroupId<CURRENT_VERSION>>(
        &self,
        group: &K,
    ) -> Result<()> {
        self.delete(Label::ResumptionPsks, group)
    }

    fn delete_own_leaf_index<K: traits::GroupId<CURRENT_VERSION>>(&self, group: &K) -> Result<()> {
        self.delete(Label::OwnLeafIndex, group)
    }

    fn delete_group_epoch_secrets<K: traits::GroupId<CURRENT_VERSION>>(
        &self,
        group: &K,
    ) -> Result<()> {
        self.delete(Label::EpochSecrets, group)
    }

    fn delete_signature_key_pair<K: traits::SignaturePublicKey<CURRENT_VERSION>>(
        &self,
        public: &K,
    ) -> Result<()> {
        self.delete(Label::SignatureKeyPair, public)
    }

    fn delete_encryption_key_pair<K: traits::EncryptionKey<CURRENT_VERSION>>(
        &self,
        public: &K,
    ) -> Result<()> {
        self.delete(Label::EncryptionKeyPair, public)
    }

    fn delete_key_package<K: traits::HashReference<CURRENT_VERSION>>(
        &self,
        reference: &K,
    ) -> Result<()> {
        self.delete(Label::KeyPackage, reference)
    }

    fn delete_psk<K: traits::PskId<CURRENT_VERSION>>(&self, id: &K) -> Result<()> {
        self.delete(Label::Psk, id)
    }
}

#[cfg(test)]
mod tests;
