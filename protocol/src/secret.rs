//! Secrets on the wire: not printable, wiped when dropped, compared in constant time.

use core::fmt;

use minicbor::{Decode, Decoder, Encode, Encoder, bytes::ByteArray, decode, encode};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// 32 secret bytes.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Secret32([u8; 32]);

impl Secret32 {
    /// Wraps the bytes.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes, for hashing and derivation.
    pub const fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Secret32 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret32(..)")
    }
}

impl PartialEq for Secret32 {
    fn eq(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).fold(0, |acc, (a, b)| acc | (a ^ b)) == 0
    }
}

impl Eq for Secret32 {}

impl<C> Encode<C> for Secret32 {
    fn encode<W: encode::Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), encode::Error<W::Error>> {
        e.bytes(&self.0)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Secret32 {
    fn decode(d: &mut Decoder<'b>, ctx: &mut C) -> Result<Self, decode::Error> {
        let bytes: ByteArray<32> = d.decode_with(ctx)?;
        Ok(Self(bytes.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_compare_every_byte() {
        let secret = Secret32::new([6; 32]);
        assert_eq!(secret, Secret32::new([6; 32]));
        for first in 0..32 {
            let mut bytes = [6; 32];
            bytes[first] ^= 1;
            assert_ne!(secret, Secret32::new(bytes), "byte {first}");
            // Two differences do not cancel out.
            bytes[(first + 1) % 32] ^= 1;
            assert_ne!(secret, Secret32::new(bytes), "byte {first} and the next");
        }
        assert_ne!(Secret32::new([0; 32]), Secret32::new([0xff; 32]));
    }

    #[test]
    fn secrets_print_no_bytes() {
        assert_eq!(format!("{:?}", Secret32::new([6; 32])), "Secret32(..)");
    }
}
