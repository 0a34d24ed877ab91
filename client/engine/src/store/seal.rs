//! Sealing of rows: XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03) for values, HMAC-SHA-256 (RFC 2104) for names.
//!
//! A value is one version byte, a random 24-byte nonce, the ciphertext and its tag. Kind, room and key of the row
//! are associated data, so that a row copied to another place does not open there.

use chacha20poly1305::{AeadInPlace as _, KeyInit as _, Tag, XChaCha20Poly1305, XNonce};
use hearth_protocol::hash::derive;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{Kind, RoomNo, StoreError};

const VERSION: u8 = 1;
const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;

/// Bytes of the row key of a named record.
pub(super) const NAME_BYTES: usize = 32;

/// The row keys of one profile. The ciphers wipe their keys when dropped.
pub(super) struct RowKeys {
    pub(super) value: XChaCha20Poly1305,
    pub(super) name: Zeroizing<[u8; 32]>,
    /// Number of rows opened, as a measure of the cost of reading.
    #[cfg(test)]
    pub(super) opened: std::cell::Cell<usize>,
}

impl RowKeys {
    /// Derives the row keys from a profile's data key.
    pub(super) fn derive(data_key: &[u8; 32]) -> Self {
        let value = Zeroizing::new(derive(data_key, "hearth store value v1"));
        let name = Zeroizing::new(derive(data_key, "hearth store name v1"));
        Self {
            value: XChaCha20Poly1305::new((&*value).into()),
            name,
            #[cfg(test)]
            opened: std::cell::Cell::default(),
        }
    }

    /// Returns the row key of a name, which does not reveal the name.
    pub(super) fn name(&self, kind: Kind, room: RoomNo, name: &[u8]) -> [u8; NAME_BYTES] {
        let mut mac = match <Hmac<Sha256> as Mac>::new_from_slice(&*self.name) {
            Ok(mac) => mac,
            Err(_) => unreachable!("HMAC takes keys of any length"),
        };
        mac.update(&[kind as u8]);
        mac.update(&room.0.to_be_bytes());
        mac.update(name);
        mac.finalize().into_bytes().into()
    }

    /// Seals a value for its place.
    pub(super) fn seal(
        &self,
        kind: Kind,
        room: RoomNo,
        key: &[u8],
        value: &[u8],
    ) -> Result<Vec<u8>, StoreError> {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce)?;
        // The capacity is exact: growing would leave a copy of the plaintext in freed memory.
        let mut out = Vec::with_capacity(1 + NONCE_BYTES + value.len() + TAG_BYTES);
        out.push(VERSION);
        out.extend_from_slice(&nonce);
        out.extend_from_slice(value);
        let tag = self
            .value
            .encrypt_in_place_detached(
                XNonce::from_slice(&nonce),
                &place(kind, room, key),
                &mut out[1 + NONCE_BYTES..],
            )
            // Only a value beyond 256 GiB gets here, and SQLite would refuse that, too.
            .map_err(|_| StoreError::Damaged(kind))?;
        out.extend_from_slice(&tag);
        Ok(out)
    }

    /// Opens a value that [`RowKeys::seal`] sealed for the same place.
    pub(super) fn open(
        &self,
        kind: Kind,
        room: RoomNo,
        key: &[u8],
        sealed: &[u8],
    ) -> Result<Vec<u8>, StoreError> {
        #[cfg(test)]
        self.opened.set(self.opened.get() + 1);
        let parts = || {
            let (&[VERSION], rest) = sealed.split_first_chunk::<1>()? else { return None };
            let (nonce, rest) = rest.split_first_chunk::<NONCE_BYTES>()?;
            let (ciphertext, tag) = rest.split_last_chunk::<TAG_BYTES>()?;
            Some((nonce, ciphertext, tag))
        };
        let (nonce, ciphertext, tag) = parts().ok_or(StoreError::Damaged(kind))?;
        let mut value = ciphertext.to_vec();
        self.value
            .decrypt_in_place_detached(
                XNonce::from_slice(nonce),
                &place(kind, room, key),
                &mut value,
                Tag::from_slice(tag),
            )
            .map_err(|_| StoreError::Damaged(kind))?;
        Ok(value)
    }
}

/// Encodes the place of a row: kind, room (big endian), key. Only the last part varies in length.
fn place(kind: Kind, room: RoomNo, key: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(5 + key.len());
    out.push(kind as u8);
    out.extend_from_slice(&room.0.to_be_bytes());
    out.extend_from_slice(key);
    out
}

/// Seals a value with the row keys of a data key.
#[cfg(feature = "testing")]
pub(crate) fn seal_with(
    data_key: &[u8; 32],
    place: (Kind, RoomNo, &[u8]),
    value: &[u8],
) -> Result<Vec<u8>, StoreError> {
    RowKeys::derive(data_key).seal(place.0, place.1, place.2, value)
}

/// Opens a value with the row keys of a data key.
#[cfg(feature = "testing")]
pub(crate) fn open_with(
    data_key: &[u8; 32],
    place: (Kind, RoomNo, &[u8]),
    sealed: &[u8],
) -> Result<Vec<u8>, StoreError> {
    RowKeys::derive(data_key).open(place.0, place.1, place.2, sealed)
}
