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
