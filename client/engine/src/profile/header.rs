//! The file `profile` with the wrapped data key.
//!
//! Layout: 16 bytes of magic; version, 2 bytes big endian; a CBOR array of the lock, a nonce and the wrapped key;
//! SHA-256 of all that. Every future version keeps the magic, the version and the hash in place, so that damage, a newer version and
//! a wrong passphrase can always be told apart.

use std::{
    ffi::OsStr,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use chacha20poly1305::{AeadInPlace as _, KeyInit as _, Tag, XChaCha20Poly1305, XNonce};
use hearth_protocol::hash::sha256;
use minicbor::{Decode, Encode};
use zeroize::Zeroizing;

use crate::passphrase::{Cost, SALT_BYTES};

const MAGIC: &[u8; 16] = b"hearth profile\r\n";
const VERSION: u16 = 1;
const HASH_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;

/// A larger file is not a header.
pub(super) const BYTES_MAX: u64 = 8 * 1024;

/// The means that open the profile.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
pub(super) enum Lock {
    #[n(0)]
    Passphrase {
        #[n(0)]
        cost: Cost,
        #[cbor(n(1), with = "minicbor::bytes")]
        salt: [u8; SALT_BYTES],
    },
    #[n(1)]
    KeyFile {
        /// The file's path, unless it is the profile's own `key`.
        #[cbor(n(0), with = "minicbor::bytes")]
        path: Option<Vec<u8>>,
    },
}

impl Lock {
    pub(super) fn key_file(path: Option<&Path>) -> Self {
        Self::KeyFile { path: path.map(|path| path.as_os_str().as_bytes().to_vec()) }
    }

    /// Returns the path of the key file, given the default path.
    pub(super) fn key_path(path: Option<&[u8]>, default: PathBuf) -> PathBuf {
        path.map_or(default, |bytes| PathBuf::from(OsStr::from_bytes(bytes)))
    }
}

#[derive(Encode, Decode)]
pub(super) struct Header {
    #[n(0)]
    pub(super) lock: Lock,
    #[cbor(n(1), with = "minicbor::bytes")]
    nonce: [u8; NONCE_BYTES],
    #[cbor(n(2), with = "minicbor::bytes")]
    wrapped: [u8; 32 + TAG_BYTES],
}

/// Why this version cannot read a header.
pub(super) enum Unreadable {
    Damaged,
    Newer(u16),
}

impl Header {
    /// Wraps the data key; the lock is authenticated with it.
    pub(super) fn wrap(
        lock: Lock,
        wrapping: &[u8; 32],
        data_key: &[u8; 32],
    ) -> Result<Self, getrandom::Error> {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce)?;
        let mut wrapped = [0; 32 + TAG_BYTES];
        let (key, tag) = wrapped.split_at_mut(32);
        key.copy_from_slice(data_key);
        match XChaCha20Poly1305::new(wrapping.into()).encrypt_in_place_detached(
            XNonce::from_slice(&nonce),
            &associated(&lock),
            key,
        ) {
            Ok(computed) => tag.copy_from_slice(&computed),
            Err(_) => unreachable!("32 bytes are within the cipher's limit"),
        }
        Ok(Self { lock, nonce, wrapped })
    }

    /// Unwraps the data key; `None` with another wrapping key.
    pub(super) fn unwrap_key(&self, wrapping: &[u8; 32]) -> Option<Zeroizing<[u8; 32]>> {
        let (key, tag) = self.wrapped.split_first_chunk::<32>()?;
        let mut key = Zeroizing::new(*key);
        XChaCha20Poly1305::new(wrapping.into())
            .decrypt_in_place_detached(
                XNonce::from_slice(&self.nonce),
                &associated(&self.lock),
                &mut *key,
                Tag::from_slice(tag),
            )
            .ok()?;
        Some(key)
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = [&MAGIC[..], &VERSION.to_be_bytes()].concat();
        out.extend(hearth_protocol::codec::encode(self));
        let hash = sha256(&out);
        out.extend_from_slice(&hash.0);
        out
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Unreadable> {
        let parts = || {
            let (content, hash) = bytes.split_last_chunk::<HASH_BYTES>()?;
            if sha256(content).0 != *hash {
                return None;
            }
            content.strip_prefix(MAGIC)?.split_first_chunk::<2>()
        };
        let (version, body) = parts().ok_or(Unreadable::Damaged)?;
        match u16::from_be_bytes(*version) {
            VERSION => {
                hearth_protocol::codec::decode(body).map_err(|_malformed| Unreadable::Damaged)
            }
            newer if newer > VERSION => Err(Unreadable::Newer(newer)),
            _ => Err(Unreadable::Damaged),
        }
    }
}

fn associated(lock: &Lock) -> Vec<u8> {
    let mut out = [&MAGIC[..], &VERSION.to_be_bytes()].concat();
    out.extend(hearth_protocol::codec::encode(lock));
    out
}

/// Decodes a header and encodes it again.
#[cfg(feature = "testing")]
pub(crate) fn reencode(bytes: &[u8]) -> Option<Vec<u8>> {
    Header::decode(bytes).ok().map(|header| header.encode())
}
