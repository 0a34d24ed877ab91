//! SHA-256 (RFC 6234) and HKDF (RFC 5869) with Hearth's labels. Each use has its own label.

use hkdf::Hkdf;
use sha2::{Digest as _, Sha256};

use crate::id::Digest;

/// Returns the SHA-256 of some bytes.
pub fn sha256(bytes: &[u8]) -> Digest {
    Digest(Sha256::digest(bytes).into())
}

/// Returns the SHA-256 of a label, a zero byte, and the parts, each preceded by its length (u64, big endian).
///
/// The lengths make the encoding injective, and the label separates the uses.
pub fn labelled(label: &str, parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(label.as_bytes());
    hash.update([0]);
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// Derives 32 bytes from a secret for one purpose: HKDF-SHA-256 without salt, the label as info.
pub fn derive(secret: &[u8], label: &str) -> [u8; 32] {
    derive_with(secret, label.as_bytes())
}

/// Derives 32 bytes from a secret for one purpose and place: HKDF-SHA-256 without salt. The info begins with a label of one purpose.
pub fn derive_with(secret: &[u8], info: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    match Hkdf::<Sha256>::new(None, secret).expand(info, &mut out) {
        Ok(()) => out,
        // RFC 5869 section 2.3 limits the output to 255 hashes; 32 bytes are one.
        Err(_) => unreachable!("32 bytes are within HKDF's limit"),
    }
}
