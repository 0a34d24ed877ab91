//! The part of a leaf that may change while the member stays: `docs/protocol.md` section 7.5.

use hearth_protocol::codec;
use minicbor::{Decode, Encode};

/// Content of leaf extension 0xff03.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Companion {
    /// Layout of this record; 1.
    #[n(0)]
    pub format: u16,
    /// Random, drawn when knocking; never changes.
    #[n(1)]
    #[cbor(with = "minicbor::bytes")]
    pub salt: [u8; 16],
    /// Key for sealed notes.
    #[n(2)]
    pub note: Option<NoteKey>,
}

/// An HPKE public key for sealed notes.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct NoteKey {
    /// Number of the member's key, from 1.
    #[n(0)]
    pub number: u32,
    /// Public key of the room's KEM: 1,216 bytes for X-Wing, 32 for X25519.
    #[n(1)]
    #[cbor(with = "minicbor::bytes")]
    pub key: Vec<u8>,
}

impl Companion {
    /// Reads the leaf extension; `None` if it is malformed, or its key is not of the leaf's KEM or keeps no secret.
    ///
    /// `kem_key_bytes` is the length of the leaf's own encryption key.
    pub fn parse(bytes: &[u8], kem_key_bytes: usize) -> Option<Self> {
        let companion: Self = codec::decode(bytes).ok()?;
        let canonical = codec::encode(&companion) == bytes;
        let good = companion.note.as_ref().is_none_or(|note| {
            note.number > 0
                && note.key.len() == kem_key_bytes
                && !super::mls::takes_no_secret(&note.key)
        });
        (companion.format == 1 && canonical && good).then_some(companion)
    }

    /// Whether a member may replace this companion by another: the salt must stay, and a new note key must have a later
    /// number.
    pub fn may_become(&self, new: &Self) -> bool {
        let follows = match (&self.note, &new.note) {
            (Some(old), Some(new)) => new.number > old.number || new == old,
            _ => true,
        };
        self.salt == new.salt && follows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn companion(number: u32, key: Vec<u8>) -> Companion {
        Companion { format: 1, salt: [3; 16], note: Some(NoteKey { number, key }) }
    }

    #[test]
    fn keys_without_secret_are_refused() {
        let read = |c: &Companion, bytes| Companion::parse(&codec::encode(c), bytes).is_some();
        assert!(read(&companion(1, vec![9; 32]), 32));
        assert!(read(&companion(1, vec![9; 1216]), 1216));
        assert!(read(&Companion { note: None, ..companion(1, vec![]) }, 32));
        for (number, key, bytes) in [
            (0, vec![9; 32], 32),
            (1, vec![9; 32], 1216),
            (1, vec![0; 32], 32),
            (1, [vec![9; 1184], vec![0; 32]].concat(), 1216),
            // The first and the last coefficient are the modulus, 3,329.
            (1, [vec![0x01, 0xdd], vec![9; 1214]].concat(), 1216),
            (1, [vec![9; 1150], vec![0x10, 0xd0], vec![9; 64]].concat(), 1216),
            (1, vec![], 0),
        ] {
            assert!(!read(&companion(number, key.clone()), bytes), "{number} {}", key.len());
        }
        assert!(!read(&Companion { format: 2, ..companion(1, vec![9; 32]) }, 32));
    }

    #[test]
    fn salt_stays_and_keys_move_on() {
        let old = companion(2, vec![9; 32]);
        assert!(old.may_become(&old));
        assert!(old.may_become(&companion(3, vec![8; 32])));
        assert!(!old.may_become(&companion(2, vec![8; 32])));
        assert!(!old.may_become(&companion(1, vec![8; 32])));
        assert!(!old.may_become(&Companion { salt: [4; 16], ..old.clone() }));
    }
}
