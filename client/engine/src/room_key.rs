//! A member's own Ed25519 key in a room, with the public key beside it.

use std::cell::OnceCell;

use ed25519_dalek::SigningKey;
use hearth_protocol::{MemberKey, Secret32};
use minicbor::{Decode, Decoder, Encode, Encoder, decode, encode};
use zeroize::ZeroizeOnDrop;

/// The seed of an Ed25519 room key. The public key is computed once, because it costs as much as a signature and is asked for with
/// every entry.
#[derive(Clone)]
pub struct RoomKey {
    seed: Secret32,
    public: OnceCell<MemberKey>,
}

impl ZeroizeOnDrop for RoomKey {}

impl RoomKey {
    /// Returns the key of a seed.
    pub const fn new(seed: Secret32) -> Self {
        Self { seed, public: OnceCell::new() }
    }

    /// Returns the seed.
    pub const fn seed(&self) -> &Secret32 {
        &self.seed
    }

    /// Returns the key that signs.
    pub fn signing(&self) -> SigningKey {
        SigningKey::from_bytes(self.seed.expose())
    }

    /// Returns the key that others know.
    pub fn member(&self) -> MemberKey {
        *self.public.get_or_init(|| MemberKey(self.signing().verifying_key().to_bytes()))
    }
}

impl<C> Encode<C> for RoomKey {
    fn encode<W: encode::Write>(
        &self,
        encoder: &mut Encoder<W>,
        context: &mut C,
    ) -> Result<(), encode::Error<W::Error>> {
        self.seed.encode(encoder, context)
    }
}

impl<'b, C> Decode<'b, C> for RoomKey {
    fn decode(decoder: &mut Decoder<'b>, context: &mut C) -> Result<Self, decode::Error> {
        Secret32::decode(decoder, context).map(Self::new)
    }
}
