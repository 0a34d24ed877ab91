//! Frames to bytes and back: one CBOR item per WebSocket message, nothing after it.

use minicbor::{Decode, Encode};

use crate::{
    frame::{ClientFrame, Notice, ServerFrame},
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
    /// A relay's frame or notice of a number that this version does not know.
    #[error("the frame is of a later version")]
    Later,
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
/// [`DecodeError::Later`] for what a client passes over; after the others the relay broke the protocol.
pub fn decode_server(bytes: &[u8]) -> Result<ServerFrame, DecodeError> {
    decode(bytes).map_err(|error| match error {
        DecodeError::Malformed(_) if is_later_server(bytes) == Some(true) => DecodeError::Later,
        error => error,
    })
}

/// Whether bytes are one well-formed frame or notice whose number this version does not know.
fn is_later_server(bytes: &[u8]) -> Option<bool> {
    const NOTICE: u32 = 10;
    let mut frame = minicbor::Decoder::new(bytes);
    let later = match (frame.array().ok()?, frame.u32().ok()?) {
        (Some(2), NOTICE) => {
            let mut fields = frame.clone();
            fields.array().ok()?;
            fields.skip().ok()?;
            fields.array().ok()?;
            fields.u32().ok()? > Notice::LAST
        }
        (Some(2), number) => number > ServerFrame::LAST,
        _ => false,
    };
    frame.skip().ok()?;
    Some(later && frame.position() == bytes.len())
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
    fn later_frames_and_notices_are_told_apart() {
        let room = encode(&crate::RoomId([1; 16]));
        let notice = |number: u8| [&[0x82, 10, 0x82], &room[..], &[0x82, number, 0x80]].concat();
        assert!(decode_server(&notice(0)).is_ok());
        let later: [Vec<u8>; 4] =
            [notice(3), notice(23), vec![0x82, 12, 0x80], vec![0x82, 0x18, 99, 0x81, 7]];
        for bytes in later {
            assert!(matches!(decode_server(&bytes), Err(DecodeError::Later)), "{bytes:x?}");
            let more = [&bytes[..], &[0]].concat();
            assert!(!matches!(decode_server(&more), Err(DecodeError::Later)));
            assert!(!matches!(decode_server(&bytes[..bytes.len() - 1]), Err(DecodeError::Later)));
        }
        // A known frame with an unknown part is broken: its request would wait forever.
        let standing = [0x82, 1, 0x82, 7, 0x82, 9, 0x80];
        assert!(matches!(decode_server(&standing), Err(DecodeError::Malformed(_))));
    }

    #[test]
    fn unknown_codes_are_read_by_their_number() {
        use crate::{RejectCode, ServerFrame};
        let read = |code: &[u8]| decode_server(&[&[0x82, 11, 0x82, 7], code].concat());
        for (code, known) in [
            (&[5][..], RejectCode::Unsupported),
            (&[6], RejectCode::BadFrame),
            (&[0x18, 31], RejectCode::BadFrame),
            (&[0x18, 45], RejectCode::RateLimited),
            (&[0x19, 1, 0], RejectCode::RateLimited),
        ] {
            let frame = ServerFrame::Reject { req: 7, code: known, retry_at: None };
            assert_eq!(read(code).unwrap(), frame, "{code:x?}");
        }
        assert!(read(&[0x20]).is_err());
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
