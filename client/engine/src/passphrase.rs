//! Stretches a passphrase into a key: Argon2id (RFC 9106), with the parameters stored beside the salt.

use argon2::{Algorithm, Argon2, Params, Version};
use minicbor::{Decode, Encode};
use unicode_normalization::UnicodeNormalization as _;
use zeroize::Zeroizing;

/// Bytes of the salt.
pub(crate) const SALT_BYTES: usize = 16;

/// Cost of one guess of the passphrase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Cost {
    #[n(0)]
    memory_kib: u32,
    #[n(1)]
    passes: u32,
    #[n(2)]
    lanes: u32,
}

impl Cost {
    /// The cost for new profiles: the second recommendation of RFC 9106 section 4, on one lane.
    pub(crate) const NEW: Self = if cfg!(test) {
        Self { memory_kib: 8, passes: 1, lanes: 1 }
    } else {
        Self { memory_kib: 64 * 1024, passes: 3, lanes: 1 }
    };

    /// The highest accepted cost, so that a planted profile file cannot exhaust the machine.
    const MAX: Self = Self { memory_kib: 1024 * 1024, passes: 16, lanes: 16 };

    /// Stretches a passphrase; `None` if this program would never have stored the cost.
    pub(crate) fn stretch(
        self,
        passphrase: &str,
        salt: &[u8; SALT_BYTES],
    ) -> Option<Zeroizing<[u8; 32]>> {
        let within = self.memory_kib <= Self::MAX.memory_kib
            && self.passes <= Self::MAX.passes
            && self.lanes <= Self::MAX.lanes;
        if !within {
            return None;
        }
        let params = Params::new(self.memory_kib, self.passes, self.lanes, Some(32)).ok()?;
        let normal = normalise(passphrase);
        let mut key = Zeroizing::new([0; 32]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(normal.as_bytes(), salt, &mut *key)
            .ok()?;
        Some(key)
    }
}

/// Converts a passphrase to Unicode form C, because keyboards compose accents differently.
fn normalise(passphrase: &str) -> Zeroizing<String> {
    // Form C grows a text at most threefold; growing the buffer would leave a copy in freed memory.
    let mut normal = Zeroizing::new(String::with_capacity(passphrase.len() * 3));
    normal.extend(passphrase.nfc());
    normal
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Composed and decomposed accents give one passphrase.
    #[test]
    fn accents_are_normalised_in_passphrases() {
        let stretch = |text| Cost::NEW.stretch(text, &[7; 16]).unwrap();
        assert_eq!(*stretch("caf\u{e9}"), *stretch("cafe\u{301}"));
        assert_ne!(*stretch("caf\u{e9}"), *stretch("cafe"));
    }

    #[test]
    fn a_planted_cost_is_refused() {
        let planted = Cost { memory_kib: u32::MAX, passes: 1, lanes: 1 };
        assert!(planted.stretch("x", &[0; 16]).is_none());
        assert!(Cost { memory_kib: 0, passes: 0, lanes: 0 }.stretch("x", &[0; 16]).is_none());
    }
}
