//! Identifiers as separate types, so that one cannot be passed for another.

use core::fmt;

use data_encoding::{BASE32_NOPAD, HEXLOWER};
use minicbor::{Decode, Decoder, Encode, Encoder, bytes::ByteArray, decode, encode};

/// Defines a newtype over fixed bytes: CBOR byte string on the wire, lower-case hexadecimal in text.
macro_rules! bytes_id {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $len]);

        impl $name {
            /// Returns the bytes.
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }

            /// Parses lower-case or upper-case hexadecimal.
            pub fn from_hex(text: &str) -> Option<Self> {
                let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok()?;
                Self::from_slice(&bytes)
            }

            /// Copies exactly the right number of bytes; `None` for any other.
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                <[u8; $len]>::try_from(bytes).ok().map(Self)
            }

            /// Returns the whole id as lower-case hexadecimal.
            pub fn to_hex(self) -> String {
                HEXLOWER.encode(&self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.to_hex())
            }
        }

        /// Prints only the first four bytes: enough to distinguish two in a test, too little to link them.
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let hex = self.to_hex();
                write!(f, concat!(stringify!($name), "({}..)"), hex.get(..8).unwrap_or_default())
            }
        }

        impl<C> Encode<C> for $name {
            fn encode<W: encode::Write>(
                &self,
                e: &mut Encoder<W>,
                _: &mut C,
            ) -> Result<(), encode::Error<W::Error>> {
                e.bytes(&self.0)?.ok()
            }
        }

        impl<'b, C> Decode<'b, C> for $name {
            fn decode(d: &mut Decoder<'b>, ctx: &mut C) -> Result<Self, decode::Error> {
                let bytes: ByteArray<$len> = d.decode_with(ctx)?;
                Ok(Self(bytes.into()))
            }
        }
    };
}

bytes_id! {
    /// A room; also the MLS group id (RFC 9420 section 8.1). Random.
    RoomId, 16
}
bytes_id! {
    /// A member of one room: their Ed25519 public key for only that room (RFC 8032).
    MemberKey, 32
}
bytes_id! {
    /// The 128-bit id that a sender draws for one submission. Inside the ciphertext it is the message id.
    MessageId, 16
}
bytes_id! {
    /// An invite's id at the relay: a hash of the invite's secret, see [`crate::invite`].
    InviteId, 16
}
bytes_id! {
    /// The 128-bit id that a sender draws for one sealed note.
    NoteId, 16
}
bytes_id! {
    /// A blob: the SHA-256 of its bytes.
    BlobId, 32
}
bytes_id! {
    /// The relay's identity: drawn at its first start, announced in its hello, part of every link.
    RelayId, 32
}
bytes_id! {
    /// The stream id of the relay's store. A restored backup gets a new one.
    StreamId, 16
}
bytes_id! {
    /// The relay's commitment to an agreement: a keyed hash that reveals nothing about the text.
    Commitment, 32
}
bytes_id! {
    /// SHA-256 of a record, if the relay or a peer needs only the hash.
    Digest, 32
}
bytes_id! {
    /// An Ed25519 signature (RFC 8032).
    Signature, 64
}
bytes_id! {
    /// SHA-256 of a certificate's SubjectPublicKeyInfo (as pinned in RFC 7469 section 2.4).
    Pin, 32
}

impl MemberKey {
    /// Returns the first 40 bits in base32, displayed beside a name that clashes.
    pub fn short(&self) -> String {
        BASE32_NOPAD.encode(self.0.first_chunk::<5>().map_or(&[][..], |c| &c[..])).to_lowercase()
    }
}

impl MessageId {
    /// Returns the first 40 bits in base32, with which members refer to a message.
    pub fn short(&self) -> String {
        BASE32_NOPAD.encode(self.0.first_chunk::<5>().map_or(&[][..], |c| &c[..])).to_lowercase()
    }
}

/// Position of an entry in a room's log. The first is 1; 0 is before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode)]
#[cbor(transparent)]
pub struct Seq(#[n(0)] pub u64);

/// MLS epoch of a room's group (RFC 9420 section 8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode)]
#[cbor(transparent)]
pub struct Epoch(#[n(0)] pub u64);

/// Milliseconds since 1970-01-01T00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode)]
#[cbor(transparent)]
pub struct Millis(#[n(0)] pub u64);

impl Millis {
    /// A time later than any other.
    pub const NEVER: Self = Self(u64::MAX);

    /// Adds milliseconds, saturating.
    #[must_use]
    pub const fn plus(self, millis: u64) -> Self {
        Self(self.0.saturating_add(millis))
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_round_trips_at_one_length() {
        let id = RoomId([7; 16]);
        assert_eq!(RoomId::from_hex(&id.to_hex()), Some(id));
        assert_eq!(RoomId::from_hex("07"), None);
        assert_eq!(RoomId::from_hex("zz"), None);
    }

    /// Numbers display whole.
    #[test]
    fn ids_display_forty_bits() {
        // RFC 4648 section 10 has the same example: "fooba" is "MZXW6YTB".
        let mut bytes = [0xff; 32];
        bytes[..5].copy_from_slice(b"fooba");
        assert_eq!(MemberKey(bytes).short(), "mzxw6ytb");
        assert_eq!(MessageId(*bytes.first_chunk().unwrap()).short(), "mzxw6ytb");
        assert_eq!((Seq(40).to_string(), Epoch(7).to_string()), ("40".into(), "7".into()));
    }

    #[test]
    fn times_add_and_saturate() {
        assert_eq!(Millis(5).plus(7), Millis(12));
        assert_eq!(Millis::NEVER.plus(1), Millis::NEVER);
    }

    #[test]
    fn debug_shows_four_bytes_only() {
        assert_eq!(format!("{:?}", MemberKey([0xab; 32])), "MemberKey(abababab..)");
    }

    #[test]
    fn ids_are_cbor_byte_strings() {
        let bytes = minicbor::to_vec(RoomId([1; 16])).unwrap();
        assert_eq!(bytes[0], 0x50);
        assert!(decode::<RoomId>(&bytes[..16]).is_err());
        assert_eq!(minicbor::to_vec(Seq(5)).unwrap(), [5]);
    }
}
