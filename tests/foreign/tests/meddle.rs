//! Cryptography that is RustCrypto's, until the test has it meddle: what a member's own primitives put into a message
//! is signed by that member like anything else.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard},
};

use mls_rs::{
    CipherSuite, CipherSuiteProvider, CryptoProvider,
    crypto::{
        HpkeCiphertext, HpkePsk, HpkePublicKey, HpkeSecretKey, SignaturePublicKey,
        SignatureSecretKey,
    },
};
use mls_rs_crypto_rustcrypto::RustCryptoProvider;
use zeroize::Zeroizing;

type Inner = <RustCryptoProvider as CryptoProvider>::CipherSuiteProvider;
type Error = <Inner as CipherSuiteProvider>::Error;
type Result<T> = std::result::Result<T, Error>;

/// What is put in place of one ciphertext that the member would have made.
#[derive(Clone)]
pub(crate) struct Sealed {
    /// Another key and nonce.
    pub(crate) with: Option<(Vec<u8>, Vec<u8>)>,
    /// Another plaintext.
    pub(crate) plaintext: Option<Vec<u8>>,
}

/// What was opened: key, nonce and plaintext.
pub(crate) type Opened = (Vec<u8>, Vec<u8>, Vec<u8>);

/// What the meddler does.
#[derive(Default)]
pub(crate) struct Orders {
    /// Replaces the next AEAD ciphertexts, in order.
    pub(crate) seals: VecDeque<Sealed>,
    /// Damages the path secret for the n-th recipient (RFC 9420 section 7.6).
    pub(crate) path: Option<usize>,
    /// Path secrets sealed so far.
    pub(crate) paths: usize,
    /// Cuts every MAC, and so the confirmation and membership tags, to this many bytes.
    pub(crate) tag_bytes: Option<usize>,
    /// Makes this the public key of key pairs that are not derived: init keys and leaf keys.
    pub(crate) public_key: Option<[u8; 32]>,
    /// Everything that was opened.
    pub(crate) opened: Vec<Opened>,
}

/// RustCrypto under somebody's orders.
#[derive(Clone, Default)]
pub(crate) struct Meddler {
    orders: Arc<Mutex<Orders>>,
}

impl Meddler {
    /// Returns the orders, to give some.
    pub(crate) fn orders(&self) -> MutexGuard<'_, Orders> {
        self.orders.lock().unwrap()
    }
}

impl CryptoProvider for Meddler {
    type CipherSuiteProvider = MeddlingSuite;

    fn supported_cipher_suites(&self) -> Vec<CipherSuite> {
        vec![CipherSuite::CURVE25519_CHACHA, CipherSuite::CURVE25519_AES128]
    }

    fn cipher_suite_provider(&self, suite: CipherSuite) -> Option<MeddlingSuite> {
        let inner = RustCryptoProvider::new().cipher_suite_provider(suite)?;
        Some(MeddlingSuite { inner, meddler: self.clone() })
    }
}

/// One suite of it.
#[derive(Clone)]
pub(crate) struct MeddlingSuite {
    inner: Inner,
    meddler: Meddler,
}

impl CipherSuiteProvider for MeddlingSuite {
    type Error = Error;
    type HpkeContextS = <Inner as CipherSuiteProvider>::HpkeContextS;
    type HpkeContextR = <Inner as CipherSuiteProvider>::HpkeContextR;

    fn cipher_suite(&self) -> CipherSuite {
        self.inner.cipher_suite()
    }

    fn hash(&self, data: &[u8]) -> Result<Vec<u8>> {
        self.inner.hash(data)
    }

    fn mac(&self, key: &[u8], data: &[u8]) -> Result<Vec<u8>> {
        let mut tag = self.inner.mac(key, data)?;
        tag.truncate(self.meddler.orders().tag_bytes.unwrap_or(tag.len()));
        Ok(tag)
    }

    fn aead_seal(
        &self,
        key: &[u8],
        data: &[u8],
        aad: Option<&[u8]>,
        nonce: &[u8],
    ) -> Result<Vec<u8>> {
        let Some(instead) = self.meddler.orders().seals.pop_front() else {
            return self.inner.aead_seal(key, data, aad, nonce);
        };
        let (key, nonce) = instead.with.unwrap_or_else(|| (key.to_vec(), nonce.to_vec()));
        self.inner.aead_seal(&key, instead.plaintext.as_deref().unwrap_or(data), aad, &nonce)
    }

    fn aead_open(
        &self,
        key: &[u8],
        ciphertext: &[u8],
        aad: Option<&[u8]>,
        nonce: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>> {
        let plaintext = self.inner.aead_open(key, ciphertext, aad, nonce)?;
        let opened = (key.to_vec(), nonce.to_vec(), plaintext.to_vec());
        self.meddler.orders().opened.push(opened);
        Ok(plaintext)
    }

    fn aead_key_size(&self) -> usize {
        self.inner.aead_key_size()
    }

    fn aead_nonce_size(&self) -> usize {
        self.inner.aead_nonce_size()
    }

    fn kdf_extract(&self, salt: &[u8], ikm: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        self.inner.kdf_extract(salt, ikm)
    }

    fn kdf_expand(&self, prk: &[u8], info: &[u8], len: usize) -> Result<Zeroizing<Vec<u8>>> {
        self.inner.kdf_expand(prk, info, len)
    }

    fn kdf_extract_size(&self) -> usize {
        self.inner.kdf_extract_size()
    }

    fn hpke_seal(
        &self,
        remote_key: &HpkePublicKey,
        info: &[u8],
        aad: Option<&[u8]>,
        plaintext: &[u8],
    ) -> Result<HpkeCiphertext> {
        let mut sealed = self.inner.hpke_seal(remote_key, info, aad, plaintext)?;
        let label = b"MLS 1.0 UpdatePathNode";
        if info.windows(label.len()).any(|part| part == label) {
            let mut orders = self.meddler.orders();
            if orders.path == Some(orders.paths) {
                sealed.ciphertext[0] ^= 1;
            }
            orders.paths += 1;
        }
        Ok(sealed)
    }

    fn hpke_seal_psk(
        &self,
        remote_key: &HpkePublicKey,
        info: &[u8],
        aad: Option<&[u8]>,
        plaintext: &[u8],
        psk: HpkePsk<'_>,
    ) -> Result<HpkeCiphertext> {
        self.inner.hpke_seal_psk(remote_key, info, aad, plaintext, psk)
    }

    fn hpke_open(
        &self,
        ciphertext: &HpkeCiphertext,
        local_secret: &HpkeSecretKey,
        local_public: &HpkePublicKey,
        info: &[u8],
        aad: Option<&[u8]>,
    ) -> Result<Zeroizing<Vec<u8>>> {
        self.inner.hpke_open(ciphertext, local_secret, local_public, info, aad)
    }

    fn hpke_open_psk(
        &self,
        ciphertext: &HpkeCiphertext,
        local_secret: &HpkeSecretKey,
        local_public: &HpkePublicKey,
        info: &[u8],
        aad: Option<&[u8]>,
        psk: HpkePsk<'_>,
    ) -> Result<Zeroizing<Vec<u8>>> {
        self.inner.hpke_open_psk(ciphertext, local_secret, local_public, info, aad, psk)
    }

    fn hpke_setup_s(
        &self,
        remote_key: &HpkePublicKey,
        info: &[u8],
    ) -> Result<(Vec<u8>, Self::HpkeContextS)> {
        self.inner.hpke_setup_s(remote_key, info)
    }

    fn hpke_setup_r(
        &self,
        kem_output: &[u8],
        local_secret: &HpkeSecretKey,
        local_public: &HpkePublicKey,
        info: &[u8],
    ) -> Result<Self::HpkeContextR> {
        self.inner.hpke_setup_r(kem_output, local_secret, local_public, info)
    }

    fn kem_derive(&self, ikm: &[u8]) -> Result<(HpkeSecretKey, HpkePublicKey)> {
        self.inner.kem_derive(ikm)
    }

    fn kem_generate(&self) -> Result<(HpkeSecretKey, HpkePublicKey)> {
        let (private, public) = self.inner.kem_generate()?;
        let instead = self.meddler.orders().public_key.map(|key| key.to_vec().into());
        Ok((private, instead.unwrap_or(public)))
    }

    fn kem_public_key_validate(&self, key: &HpkePublicKey) -> Result<()> {
        self.inner.kem_public_key_validate(key)
    }

    fn random_bytes(&self, out: &mut [u8]) -> Result<()> {
        self.inner.random_bytes(out)
    }

    fn signature_key_generate(&self) -> Result<(SignatureSecretKey, SignaturePublicKey)> {
        self.inner.signature_key_generate()
    }

    fn signature_key_derive_public(&self, key: &SignatureSecretKey) -> Result<SignaturePublicKey> {
        self.inner.signature_key_derive_public(key)
    }

    fn sign(&self, key: &SignatureSecretKey, data: &[u8]) -> Result<Vec<u8>> {
        self.inner.sign(key, data)
    }

    fn verify(&self, key: &SignaturePublicKey, signature: &[u8], data: &[u8]) -> Result<()> {
        self.inner.verify(key, signature, data)
    }
}
