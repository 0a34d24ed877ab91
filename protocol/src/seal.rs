//! Sealing of previews and knocks with keys from an invite: XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03,
//! on RFC 8439), a random 24-byte nonce before the ciphertext, the room id and purpose as associated data.

use chacha20poly1305::{
    KeyInit as _, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, Payload},
};

use crate::{id::RoomId, padding, secret::Secret32};

/// Bytes of the nonce.
pub const NONCE_BYTES: usize = 24;

/// The sealed content's purpose; part of the associated data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Title and agreement, from the facilitator to invitees.
    Preview,
    /// Name, KeyPackage and acknowledgement, from a knocker to the facilitators.
    Knock,
}

impl Purpose {
    const fn label(self) -> &'static [u8] {
        match self {
            Self::Preview => b"hearth preview v1",
            Self::Knock => b"hearth knock v1",
        }
    }
}

/// Pads and seals; `None` if the content is too long to pad.
pub fn seal(
    key: &Secret32,
    nonce: [u8; NONCE_BYTES],
    purpose: Purpose,
    room: &RoomId,
    content: &[u8],
) -> Option<Vec<u8>> {
    let padded = padding::pad(content)?;
    let aad = [purpose.label(), room.as_bytes()].concat();
    let sealed = XChaCha20Poly1305::new(key.expose().into())
        .encrypt(XNonce::from_slice(&nonce), Payload { msg: &padded, aad: &aad })
        .ok()?;
    Some([&nonce[..], &sealed].concat())
}

/// Opens and strips the padding; `None` if anything was altered.
pub fn open(key: &Secret32, purpose: Purpose, room: &RoomId, sealed: &[u8]) -> Option<Vec<u8>> {
    let (nonce, ciphertext) = sealed.split_first_chunk::<NONCE_BYTES>()?;
    let aad = [purpose.label(), room.as_bytes()].concat();
    let padded = XChaCha20Poly1305::new(key.expose().into())
        .decrypt(XNonce::from_slice(nonce), Payload { msg: ciphertext, aad: &aad })
        .ok()?;
    padding::unpad(&padded).map(<[u8]>::to_vec)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Any flipped bit, another room or another purpose.
    #[test]
    fn altered_or_foreign_seal_fails() {
        let key = Secret32::new([1; 32]);
        let room = RoomId([2; 16]);
        let sealed = seal(&key, [3; 24], Purpose::Preview, &room, b"rules").unwrap();
        assert_eq!(open(&key, Purpose::Preview, &room, &sealed).unwrap(), b"rules");
        assert_eq!(open(&key, Purpose::Knock, &room, &sealed), None);
        assert_eq!(open(&key, Purpose::Preview, &RoomId([0; 16]), &sealed), None);
        for bit in 0..sealed.len() * 8 {
            let mut damaged = sealed.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(open(&key, Purpose::Preview, &room, &damaged), None);
        }
    }
}
