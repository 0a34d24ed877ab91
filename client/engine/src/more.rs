//! The extensible end of signed or hashed records.

use minicbor::{Decode, Decoder, Encode, Encoder, decode, encode};

/// A CBOR map at the end of a record. It is empty in this version: a reader refuses any key, because it could not judge its
/// meaning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct More;

impl<C> Encode<C> for More {
    fn encode<W: encode::Write>(
        &self,
        encoder: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), encode::Error<W::Error>> {
        encoder.map(0)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for More {
    fn decode(decoder: &mut Decoder<'b>, _: &mut C) -> Result<Self, decode::Error> {
        match decoder.map()? {
            Some(0) => Ok(Self),
            _ => Err(decode::Error::message("a key of a later version")),
        }
    }
}

#[cfg(test)]
mod tests {
    use hearth_protocol::codec;

    use super::*;

    #[test]
    fn map_with_any_key_is_refused() {
        assert_eq!(codec::encode(&More), [0xa0]);
        assert!(codec::decode::<More>(&[0xa0]).is_ok());
        for bytes in [&[0xa1, 0, 0][..], &[0xbf, 0xff], &[0xf6], &[0x80]] {
            assert!(codec::decode::<More>(bytes).is_err(), "{bytes:x?}");
        }
    }
}
