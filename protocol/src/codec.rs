//! Frames to bytes and back: one CBOR item per WebSocket message, nothing after it.

use minicbor::{Decode, Encode};

use crate::{
    frame::{ClientFrame, ServerFrame},
    limits::FRAME_BYTES_MAX,
};

/// Why bytes are not a frame.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// More than [`FRAME_BYTES_MAX`].
    #[error("the frame has {0} bytes, more than {FRAME_BYTES_MAX}")]
    TooLarge(usize),
    /// Not CBOR of the expected shape.
    #[error("the frame is malformed")]
    Malformed(#[source] minicbor::decode::Error),
    /// Bytes follow the item.
    #[error("{0} bytes follow the frame")]
    Trailing(usize),
}

/// Encodes a client's frame.
pub fn encode_client(frame: &ClientFrame) -> Vec<u8> {
    encode(frame)
}

/// Encodes a relay's frame.
pub fn encode_server(frame: &ServerFrame) -> Vec<u8> {
    encode(frame)
}

/// Decodes a client's frame.
///
/// # Errors
/// See [`DecodeError`]; the sender broke the protocol.
pub fn decode_client(bytes: &[u8]) -> Result<ClientFrame, DecodeError> {
    decode(bytes)
}

/// Decodes a relay's frame.
///
/// # Errors
/// See [`DecodeError`]; the relay broke the protocol.
pub fn decode_server(bytes: &[u8]) -> Result<ServerFrame, DecodeError> {
    decode(bytes)
}

/// Encodes any CBOR record of ours.
pub fn encode<T: Encode<()>>(value: &T) -> Vec<u8> {
    match minicbor::to_vec(value) {
        Ok(bytes) => bytes,
        // Writing into a Vec cannot fail, and our types have no failing encoders.
        Err(_) => unreachable!("encoding into memory cannot fail"),
    }
}

/// Decodes one CBOR record of ours that fills its bytes.
///
/// # Errors
/// See [`DecodeError`].
pub fn decode<'b, T: Decode<'b, ()>>(bytes: &'b [u8]) -> Result<T, DecodeError> {
    if bytes.len() > FRAME_BYTES_MAX {
        return Err(DecodeError::TooLarge(bytes.len()));
    }
    let mut decoder = minicbor::Decoder::new(bytes);
    let value = decoder.decode().map_err(DecodeError::Malformed)?;
    match bytes.len() - decoder.position() {
        0 => Ok(value),
        rest => Err(DecodeError::Trailing(rest)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A byte string that fills so many bytes of CBOR.
    fn bytes_of(total: usize) -> Vec<u8> {
        let value = minicbor::bytes::ByteVec::from(vec![7; total - 5]);
        let bytes = encode(&value);
        assert_eq!(bytes.len(), total);
        bytes
    }

    #[test]
    fn a_frame_of_the_largest_size_is_read_and_one_byte_more_is_not() {
        let read = |bytes: &[u8]| decode::<minicbor::bytes::ByteVec>(bytes).map(|v| v.len());
        assert_eq!(read(&bytes_of(FRAME_BYTES_MAX)).ok(), Some(FRAME_BYTES_MAX - 5));
        let large = read(&bytes_of(FRAME_BYTES_MAX + 1));
        assert!(matches!(large, Err(DecodeError::TooLarge(n)) if n == FRAME_BYTES_MAX + 1));
    }

    #[test]
    fn what_follows_a_frame_is_counted_and_refused() {
        for more in [1, 3] {
            let mut bytes = encode(&crate::Seq(300));
            bytes.resize(bytes.len() + more, 0);
            let read = decode::<crate::Seq>(&bytes);
            assert!(matches!(read, Err(DecodeError::Trailing(n)) if n == more));
        }
    }
}
