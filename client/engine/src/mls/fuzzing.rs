//! Entry points of OpenMLS for bytes from outside, one call each, without effect. Compiled for fuzzing only.

use openmls_traits::{crypto::OpenMlsCrypto as _, types::CryptoError};

use super::*;
use crate::{EngineError, Room, provider::Crypto};

/// Outcome of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is an application message with this content.
    Application(Vec<u8>),
    /// It is a commit that passes the gate.
    Commit,
    /// It is a commit that the gate refuses.
    Refused,
    /// It is one of our own.
    Own,
    /// It does not verify.
    Unreadable,
}

/// Why a change is rolled back.
enum Undo {
    Wanted,
    Failed,
}

impl From<crate::store::StoreError> for Undo {
    fn from(_: crate::store::StoreError) -> Self {
        Self::Failed
    }
}

impl Room<'_> {
    /// Runs a closure on a freshly loaded group, and rolls back every change of the store.
    fn without_effect<T>(&self, run: impl FnOnce(&Provider<'_>, &mut Group) -> T) -> Option<T> {
        let provider = self.provider();
        let mut result = None;
        let undone: Result<(), Undo> = self.store.transaction(|_| {
            let group = Group::load(&provider, self.id()).map_err(|_| Undo::Failed)?;
            result = Some(run(&provider, &mut group.ok_or(Undo::Failed)?));
            Err(Undo::Wanted)
        });
        undone.is_err().then_some(result).flatten()
    }
}

fn fate(group: &mut Group, provider: &Provider<'_>, room: &Room<'_>, payload: &[u8]) -> Fate {
    match group.process(provider, room.id(), payload) {
        Ok(Processed::Application { content, .. }) => Fate::Application(content),
        Ok(Processed::Commit { .. }) => Fate::Commit,
        Ok(Processed::RefusedCommit { .. }) => Fate::Refused,
        Ok(Processed::Own) => Fate::Own,
        Err(_) => Fate::Unreadable,
    }
}

/// Reads entries one after another; `None` if the room has no group.
pub fn read_entries(room: &Room<'_>, payloads: &[&[u8]]) -> Option<Vec<Fate>> {
    room.without_effect(|provider, group| {
        payloads.iter().map(|payload| fate(group, provider, room, payload)).collect()
    })
}

/// A member's group in memory, for repeated reads without effect.
pub struct Reader(Group);

impl Reader {
    /// Loads the group of a room; `None` if it has none.
    pub fn new(room: &Room<'_>) -> Option<Self> {
        Group::load(&room.provider(), room.id()).ok().flatten().map(Self)
    }

    /// Reads an entry of that room. Entries that verify change the store, so use [`read_entries`] for them.
    pub fn read(&mut self, room: &Room<'_>, payload: &[u8]) -> Fate {
        fate(&mut self.0, &room.provider(), room, payload)
    }

    /// Reads the key package of a knock at that room and returns its leaf.
    pub fn read_key_package(&self, room: &Room<'_>, bytes: &[u8]) -> Option<Leaf> {
        self.0.read_key_package(&room.provider(), bytes).ok()
    }
}

/// Reads a Welcome as a member who has knocked, and returns whether it is accepted.
pub fn read_welcome(room: &Room<'_>, welcome: &[u8]) -> bool {
    let provider = room.provider();
    let pinned = room.state.pinned.clone();
    let Ok(acknowledgement) = room.acknowledgement() else { return false };
    let expected =
        Expected { room: room.id(), facilitators: &pinned, acknowledgement: &acknowledgement };
    let mut taken = false;
    let _: Result<(), Undo> = room.store.transaction(|_| {
        taken = Group::join(&provider, welcome, expected).is_ok();
        Err(Undo::Wanted)
    });
    taken
}

/// Returns group and epoch if OpenMLS parses the bytes as a PrivateMessage.
pub fn says_private_message(payload: &[u8]) -> Option<(Vec<u8>, u64)> {
    match MlsMessageIn::tls_deserialize_exact(payload).ok()?.extract() {
        MlsMessageBodyIn::PrivateMessage(message) => {
            Some((message.group_id().as_slice().to_vec(), message.epoch().as_u64()))
        }
        _ => None,
    }
}

/// Makes Welcomes around any group info, as an attacker with the newcomer's key package can (RFC 9420 section 12.4.3.1).
pub struct GroupInfoForge<'a> {
    crypto: &'a Crypto,
    package: KeyPackage,
    signer: SigningKey,
    info: Vec<u8>,
}

impl<'a> GroupInfoForge<'a> {
    /// Takes a member's room, whose key signs and whose group info is the model, and a newcomer's key package.
    ///
    /// # Errors
    /// [`EngineError`] if the room has no group or the package is invalid.
    pub fn new(room: &mut Room<'a>, package: &[u8]) -> Result<Self, EngineError> {
        let (signer, crypto) = (room.signing_key(), room.crypto);
        let (provider, group) = room.group()?;
        let package = group.validate_key_package(&provider, package)?;
        let info = group
            .inner
            .export_group_info(crypto, &LeafSigner(&signer), true)
            .map_err(|_| MlsError::State)?
            .tls_serialize_detached()
            .map_err(|_| MlsError::State)?;
        // A Welcome carries neither version nor wire format, and the signature is made again.
        let signature_at = info.len().checked_sub(2 + 64).ok_or(MlsError::State)?;
        let info = info.get(4..signature_at).ok_or(MlsError::State)?.to_vec();
        Ok(Self { crypto, package, signer, info })
    }

    /// Returns a valid group info, up to its signature.
    pub fn model(&self) -> &[u8] {
        &self.info
    }

    /// Whether OpenMLS parses a group info with any signature, so that a Welcome tests the rest of it.
    pub fn is_read(info: &[u8]) -> bool {
        let message = [&[0, 1, 0, 4], info, &vector(&[0; 64])].concat();
        MlsMessageIn::tls_deserialize(&mut message.as_slice()).is_ok()
    }

    /// Signs a group info, puts it into a Welcome, and returns whether the newcomer's client accepts it.
    pub fn is_taken(&self, newcomer: &Room<'_>, info: &[u8]) -> bool {
        self.welcome(info).is_ok_and(|welcome| read_welcome(newcomer, &welcome))
    }

    /// Returns OpenMLS's error for a group info in such a Welcome; `None` if there is none.
    pub fn what_is_wrong(&self, newcomer: &Room<'_>, info: &[u8]) -> Option<String> {
        let Ok(welcome) = self.welcome(info) else { return Some("no Welcome".to_owned()) };
        let provider = newcomer.provider();
        let mut wrong = None;
        let _: Result<(), Undo> = newcomer.store.transaction(|_| {
            let message =
                MlsMessageIn::tls_deserialize_exact(&welcome).map_err(|_| Undo::Failed)?;
            let MlsMessageBodyIn::Welcome(welcome) = message.extract() else {
                return Err(Undo::Failed);
            };
            let staged = StagedWelcome::build_from_welcome(&provider, &join_config(), welcome)
                .and_then(|builder| builder.skip_lifetime_validation().build());
            wrong = staged.err().map(|error| format!("{error:?}"));
            Err(Undo::Wanted)
        });
        wrong
    }

    fn welcome(&self, info: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let suite = self.package.ciphersuite();
        let (crypto, hash) = (self.crypto, suite.hash_algorithm());
        let joiner = [3; 32];
        let member = crypto.hkdf_extract(hash, &joiner, &[0; 32])?;
        let expand = |secret: &[u8], label: &str, len: u8| {
            let full = vector(format!("MLS 1.0 {label}").as_bytes());
            let info = [&[0, len], full.as_slice(), &[0]].concat();
            crypto.hkdf_expand(hash, secret, &info, len.into())
        };
        let secret = expand(member.as_slice(), "welcome", 32)?;
        let key = expand(secret.as_slice(), "key", 32)?;
        let nonce = expand(secret.as_slice(), "nonce", 12)?;

        let to_sign = [vector(b"MLS 1.0 GroupInfoTBS"), vector(info)].concat();
        let signature = self.signer.sign(&to_sign).to_bytes();
        let signed = [info, &vector(&signature)].concat();
        let (key, nonce) = (key.as_slice(), nonce.as_slice());
        let sealed = crypto.aead_encrypt(suite.aead_algorithm(), key, &signed, nonce, &[])?;

        // A joiner secret, no path secret, no PSKs.
        let secrets = [vector(&joiner), vec![0, 0]].concat();
        let context = [vector(b"MLS 1.0 Welcome"), vector(&sealed)].concat();
        let init = self.package.hpke_init_key().as_slice();
        let to = crypto.hpke_seal(suite.hpke_config(), init, &context, &[], &secrets)?;
        let reference =
            self.package.hash_ref(crypto).map_err(|_| CryptoError::CryptoLibraryError)?;
        let recipient = [
            vector(reference.as_slice()),
            vector(to.kem_output.as_slice()),
            vector(to.ciphertext.as_slice()),
        ];
        let suite = u16::from(suite).to_be_bytes();
        let head = [0, 1, 0, 3];
        Ok([&head, &suite[..], &vector(&recipient.concat()), &vector(&sealed)].concat())
    }
}

/// Writes a variable-size vector (RFC 9420 section 2.1.2).
fn vector(bytes: &[u8]) -> Vec<u8> {
    let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let head = match len {
        0..64 => len.to_be_bytes()[3..].to_vec(),
        64..16_384 => (len | 0x4000).to_be_bytes()[2..].to_vec(),
        _ => (len | 0x8000_0000).to_be_bytes().to_vec(),
    };
    [head.as_slice(), bytes].concat()
}
