//! The provider of OpenMLS: RustCrypto for primitives and randomness, the sealed store for the state of one room.

use std::sync::{Mutex, PoisonError};

use hearth_protocol::{MemberKey, Millis, Signature, handshake};
use openmls_rust_crypto::RustCrypto;
use openmls_traits::{
    OpenMlsProvider,
    crypto::OpenMlsCrypto,
    types::{
        AeadType, Ciphersuite, CryptoError, ExporterSecret, HashType, HpkeCiphertext, HpkeConfig,
        HpkeKeyPair, KemOutput, SignatureScheme,
    },
};
use tls_codec::SecretVLBytes;

use crate::{
    clock::Clock,
    laws::Laws,
    mls_storage::MlsStorage,
    store::{RoomNo, Store},
};

/// The suite of new rooms: X-Wing (X25519 with ML-KEM-768), ChaCha20-Poly1305, SHA-256, Ed25519. The number 0x004D is
/// not registered with IANA.
pub(crate) const X_WING: Ciphersuite = Ciphersuite::MLS_256_XWING_CHACHA20POLY1305_SHA256_Ed25519;

/// The suite for large rooms: X25519, ChaCha20-Poly1305, SHA-256, Ed25519 (RFC 9420 section 17.1, number 3).
pub(crate) const CLASSICAL: Ciphersuite =
    Ciphersuite::MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519;

/// A room's dependencies on the machine: the primitives, restricted to Hearth's two suites, and the clock. Created once
/// for a profile and shared by all its rooms.
#[derive(Default)]
pub struct Crypto {
    inner: RustCrypto,
    clock: Clock,
    laws: Laws,
    author: Mutex<Option<MemberKey>>,
}

impl Crypto {
    /// Returns the same primitives with another clock than the machine's.
    pub fn with_clock(clock: Clock) -> Self {
        Self::with_laws(clock, Laws::Kept)
    }

    pub(super) fn with_laws(clock: Clock, laws: Laws) -> Self {
        Self { clock, laws, ..Self::default() }
    }

    /// Returns the time by the profile's own clock.
    pub fn now(&self) -> Millis {
        self.clock.now()
    }

    /// Returns the judge of commits, Welcomes and own acts.
    pub(super) const fn laws(&self) -> Laws {
        self.laws
    }

    /// Returns, once, the signer of the message content that was verified last.
    ///
    /// OpenMLS verifies a commit's signature first, but names the signer only of a valid commit.
    pub(crate) fn take_author(&self) -> Option<MemberKey> {
        self.author.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Whether signed bytes are the content of a message: a SignContent with this label (RFC 9420 sections 5.1.2, 6.1).
fn is_framed_content(signed: &[u8]) -> bool {
    const LABEL: &[u8] = b"MLS 1.0 FramedContentTBS";
    signed.split_first().is_some_and(|(length, rest)| {
        usize::from(*length) == LABEL.len() && rest.starts_with(LABEL)
    })
}

/// Everything that OpenMLS needs for one room.
pub(crate) struct Provider<'a> {
    crypto: &'a Crypto,
    storage: MlsStorage<'a>,
}

impl<'a> Provider<'a> {
    /// Returns the provider of a room, whose group may not exist yet.
    pub(crate) const fn new(crypto: &'a Crypto, store: &'a Store, room: RoomNo) -> Self {
        Self { crypto, storage: MlsStorage::new(store, room) }
    }
}

impl<'a> OpenMlsProvider for Provider<'a> {
    type CryptoProvider = Crypto;
    type RandProvider = RustCrypto;
    type StorageProvider = MlsStorage<'a>;

    fn storage(&self) -> &Self::StorageProvider {
        &self.storage
    }

    fn crypto(&self) -> &Self::CryptoProvider {
        self.crypto
    }

    fn rand(&self) -> &Self::RandProvider {
        &self.crypto.inner
    }
}

type Result<T> = std::result::Result<T, CryptoError>;

impl OpenMlsCrypto for Crypto {
    // RustCrypto supports every part of X-Wing's suite but does not list it; the other suites that it lists are
    // refused here, so that no peer can introduce one.
    fn supports(&self, ciphersuite: Ciphersuite) -> Result<()> {
        match ciphersuite {
            X_WING | CLASSICAL => Ok(()),
            _ => Err(CryptoError::UnsupportedCiphersuite),
        }
    }

    fn supported_ciphersuites(&self) -> Vec<Ciphersuite> {
        vec![X_WING, CLASSICAL]
    }

    fn hkdf_extract(&self, hash: HashType, salt: &[u8], ikm: &[u8]) -> Result<SecretVLBytes> {
        self.inner.hkdf_extract(hash, salt, ikm)
    }

    fn hmac(&self, hash: HashType, key: &[u8], message: &[u8]) -> Result<SecretVLBytes> {
        self.inner.hmac(hash, key, message)
    }

    fn hkdf_expand(
        &self,
        hash: HashType,
        prk: &[u8],
        info: &[u8],
        length: usize,
    ) -> Result<SecretVLBytes> {
        self.inner.hkdf_expand(hash, prk, info, length)
    }

    fn hash(&self, hash: HashType, data: &[u8]) -> Result<Vec<u8>> {
        self.inner.hash(hash, data)
    }

    fn aead_encrypt(
        &self,
        aead: AeadType,
        key: &[u8],
        data: &[u8],
        nonce: &[u8],
        aad: &[u8],
    ) -> Result<Vec<u8>> {
        self.inner.aead_encrypt(aead, key, data, nonce, aad)
    }

    fn aead_decrypt(
        &self,
        aead: AeadType,
        key: &[u8],
        ciphertext: &[u8],
        nonce: &[u8],
        aad: &[u8],
    ) -> Result<Vec<u8>> {
        self.inner.aead_decrypt(aead, key, ciphertext, nonce, aad)
    }

    fn signature_key_gen(&self, scheme: SignatureScheme) -> Result<(Vec<u8>, Vec<u8>)> {
        self.inner.signature_key_gen(scheme)
    }

    fn verify_signature(
        &self,
        scheme: SignatureScheme,
        data: &[u8],
        public: &[u8],
        signature: &[u8],
    ) -> Result<()> {
        if scheme != SignatureScheme::ED25519 {
            return Err(CryptoError::UnsupportedSignatureScheme);
        }
        // Checked as everywhere else, because this signature check decides who follows a commit.
        let key = MemberKey::from_slice(public).ok_or(CryptoError::InvalidSignature)?;
        let signature = Signature::from_slice(signature).ok_or(CryptoError::InvalidSignature)?;
        if !handshake::verify(&key, data, &signature) {
            return Err(CryptoError::InvalidSignature);
        }
        if is_framed_content(data) {
            *self.author.lock().unwrap_or_else(PoisonError::into_inner) = Some(key);
        }
        Ok(())
    }

    fn sign(&self, scheme: SignatureScheme, data: &[u8], key: &[u8]) -> Result<Vec<u8>> {
        self.inner.sign(scheme, data, key)
    }

    fn hpke_seal(
        &self,
        config: HpkeConfig,
        public: &[u8],
        info: &[u8],
        aad: &[u8],
        plaintext: &[u8],
    ) -> Result<HpkeCiphertext> {
        self.inner.hpke_seal(config, public, info, aad, plaintext)
    }

    fn hpke_open(
        &self,
        config: HpkeConfig,
        input: &HpkeCiphertext,
        private: &[u8],
        info: &[u8],
        aad: &[u8],
    ) -> Result<Vec<u8>> {
        self.inner.hpke_open(config, input, private, info, aad)
    }

    fn hpke_setup_sender_and_export(
        &self,
        config: HpkeConfig,
        public: &[u8],
        info: &[u8],
        context: &[u8],
        length: usize,
    ) -> Result<(KemOutput, ExporterSecret)> {
        self.inner.hpke_setup_sender_and_export(config, public, info, context, length)
    }

    fn hpke_setup_receiver_and_export(
        &self,
        config: HpkeConfig,
        encapsulated: &[u8],
        private: &[u8],
        info: &[u8],
        context: &[u8],
        length: usize,
    ) -> Result<ExporterSecret> {
        self.inner.hpke_setup_receiver_and_export(
            config,
            encapsulated,
            private,
            info,
            context,
            length,
        )
    }

    fn derive_hpke_keypair(&self, config: HpkeConfig, ikm: &[u8]) -> Result<HpkeKeyPair> {
        self.inner.derive_hpke_keypair(config, ikm)
    }
}
