//! Encoding and decoding of frames: one CBOR item per WebSocket message, and no byte after it.

use minicbor::{Decode, Decoder, Encode};

use crate::{
    frame::{ClientFrame, Effect, Notice, RequestId, ServerFrame},
    id::{MessageId, RoomId, Seq},
    limits::FRAME_BYTES_MAX,
};

/// Greatest number of a client's frame: [`ClientFrame::DropNotes`].
const LAST_CLIENT_FRAME: u64 = 18;
/// Number of [`ClientFrame::Submit`], and its number of fields.
const SUBMIT: u64 = 6;
const SUBMIT_FIELDS: u64 = 7;
/// Greatest number of an effect: [`Effect::Seat`].
const LAST_EFFECT: u64 = 12;

/// Reasons why bytes are not a frame.
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
    /// A relay's frame or notice with a number that this version does not know.
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

/// Returns the request number of a frame that [`decode_client`] refuses because its number, or that of an effect in it, is
/// of a later version. `None` for every other frame: its sender broke the protocol.
pub fn request_of_later_version(bytes: &[u8]) -> Option<RequestId> {
    if bytes.len() > FRAME_BYTES_MAX {
        return None;
    }
    let mut decoder = Decoder::new(bytes);
    let request = later_version(&mut decoder).ok().flatten()?;
    (decoder.position() == bytes.len()).then_some(request)
}

fn later_version(decoder: &mut Decoder<'_>) -> Result<Option<RequestId>, minicbor::decode::Error> {
    if decoder.array()? != Some(2) {
        return Ok(None);
    }
    let number = decoder.u64()?;
    let Some(fields) = decoder.array()?.filter(|fields| *fields > 0) else {
        return Ok(None);
    };
    let request = decoder.u32()?;
    if number > LAST_CLIENT_FRAME {
        for _ in 1..fields {
            decoder.skip()?;
        }
        return Ok(Some(request));
    }
    if number != SUBMIT || fields < SUBMIT_FIELDS {
        return Ok(None);
    }
    let _: RoomId = decoder.decode()?;
    let _: MessageId = decoder.decode()?;
    decoder.bytes()?;
    let _: Option<u64> = decoder.decode()?;
    let mut later = false;
    for _ in 0..decoder.array()?.unwrap_or(0) {
        let mut number = decoder.probe();
        if number.array()? == Some(2) && number.u64()? > LAST_EFFECT {
            later = true;
            decoder.skip()?;
        } else {
            let _: Effect = decoder.decode()?;
        }
    }
    let _: Seq = decoder.decode()?;
    for _ in SUBMIT_FIELDS..fields {
        decoder.skip()?;
    }
    Ok(later.then_some(request))
}

/// Decodes a relay's frame.
///
/// # Errors
/// [`DecodeError::Later`] for a frame that a client ignores; in the other cases the relay broke the protocol.
pub fn decode_server(bytes: &[u8]) -> Result<ServerFrame, DecodeError> {
    decode(bytes).map_err(|error| {
        let malformed = matches!(error, DecodeError::Malformed(_));
        let later = malformed && is_later_server(bytes) == Some(true);
        if later { DecodeError::Later } else { error }
    })
}

/// Whether bytes are one well-formed frame or notice whose number this version does not know.
fn is_later_server(bytes: &[u8]) -> Option<bool> {
    const NOTICE: u32 = 10;
    let mut frame = Decoder::new(bytes);
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

/// Encodes any CBOR record of Hearth.
pub fn encode<T: Encode<()>>(value: &T) -> Vec<u8> {
    match minicbor::to_vec(value) {
        Ok(bytes) => bytes,
        // Writing into a Vec cannot fail, and no encoder of Hearth's types fails.
        Err(_) => unreachable!("encoding into memory cannot fail"),
    }
}

/// Decodes one CBOR record of Hearth that fills its bytes.
///
/// # Errors
/// See [`DecodeError`].
pub fn decode<'b, T: Decode<'b, ()>>(bytes: &'b [u8]) -> Result<T, DecodeError> {
    if bytes.len() > FRAME_BYTES_MAX {
        return Err(DecodeError::TooLarge(bytes.len()));
    }
    let mut decoder = Decoder::new(bytes);
    let value = decoder.decode().map_err(DecodeError::Malformed)?;
    match bytes.len() - decoder.position() {
        0 => Ok(value),
        rest => Err(DecodeError::Trailing(rest)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A byte string with a given encoded size in CBOR.
    fn bytes_of(total: usize) -> Vec<u8> {
        let value = minicbor::bytes::ByteVec::from(vec![7; total - 5]);
        let bytes = encode(&value);
        assert_eq!(bytes.len(), total);
        bytes
    }

    /// A frame of the largest size is read, and one byte more is refused.
    #[test]
    fn frame_size_is_bounded() {
        let read = |bytes: &[u8]| decode::<minicbor::bytes::ByteVec>(bytes).map(|v| v.len());
        assert_eq!(read(&bytes_of(FRAME_BYTES_MAX)).ok(), Some(FRAME_BYTES_MAX - 5));
        let large = read(&bytes_of(FRAME_BYTES_MAX + 1));
        assert!(matches!(large, Err(DecodeError::TooLarge(n)) if n == FRAME_BYTES_MAX + 1));
    }

    fn submit(effects: Vec<Effect>) -> Vec<u8> {
        encode_client(&ClientFrame::Submit {
            req: 9,
            room: RoomId([1; 16]),
            id: MessageId([2; 16]),
            payload: vec![3; 40],
            expect: Some(4),
            effects,
            after: Seq(5),
        })
    }

    /// A submission with two effects as raw CBOR.
    fn submit_raw(effects: &[u8]) -> Vec<u8> {
        let mut bytes = submit(vec![]);
        // The empty list, and `after`.
        let end = bytes.split_off(bytes.len() - 2);
        assert_eq!(end, [0x80, 5]);
        bytes.push(0x82);
        bytes.extend(effects);
        bytes.push(5);
        bytes
    }

    #[test]
    fn later_frames_name_their_request() {
        // [19, [7, "abc", [1, {2: 3}]]]
        let later = [0x82, 19, 0x83, 7, 0x63, b'a', b'b', b'c', 0x82, 1, 0xa1, 2, 3];
        assert!(decode_client(&later).is_err());
        assert_eq!(request_of_later_version(&later), Some(7));
        // [[13, [1, "x"]], Leave]
        let effects = submit_raw(&[0x82, 13, 0x82, 1, 0x61, b'x', 0x82, 10, 0x80]);
        assert!(decode_client(&effects).is_err());
        assert_eq!(request_of_later_version(&effects), Some(9));
    }

    #[test]
    fn broken_frames_name_no_request() {
        let (room, notes) = (RoomId([0; 16]), vec![]);
        let last = encode_client(&ClientFrame::DropNotes { req: 1, room, notes });
        assert_eq!(last[1], LAST_CLIENT_FRAME as u8);
        let (member, role) = (crate::MemberKey([3; 32]), crate::Role::Member);
        let seat = encode(&Effect::Seat { member, role, welcome: vec![] });
        assert_eq!(seat[1], LAST_EFFECT as u8);
        let whole = submit(vec![Effect::Leave]);
        assert!(decode_client(&whole).is_ok());
        assert_eq!(whole[..3], [0x82, SUBMIT as u8, 0x80 + SUBMIT_FIELDS as u8]);
        let later = [0x82, 19, 0x81, 7];
        let cases: [&[u8]; 11] = [
            &[],
            &whole,
            &later[..3],
            &[0x82, 19, 0x81, 7, 0],
            &[0x82, 19, 0x80],
            &[0x82, 19, 0x81, 0x61, b'x'],
            &[0x81, 19],
            &[0x82, 18, 0x81, 7],
            // A malformed known effect with a later one, and an effect without a number.
            &submit_raw(&[0x82, 13, 0x80, 0x82, 12, 0x81, 0x61, b'x']),
            &submit_raw(&[0x82, 13, 0x80, 0x81, 13]),
            &submit_raw(&[0x82, 13, 0x80, 0xff]),
        ];
        for bytes in cases {
            assert_eq!(request_of_later_version(bytes), None, "{bytes:02x?}");
        }
    }

    #[test]
    fn later_frames_differ_from_notices() {
        let room = encode(&RoomId([1; 16]));
        let notice = |number: u8| [&[0x82, 10, 0x82], &room[..], &[0x82, number, 0x80]].concat();
        assert!(decode_server(&notice(0)).is_ok());
        let later: [Vec<u8>; 4] =
            [notice(4), notice(23), vec![0x82, 14, 0x80], vec![0x82, 0x18, 99, 0x81, 7]];
        for bytes in later {
            assert!(matches!(decode_server(&bytes), Err(DecodeError::Later)), "{bytes:x?}");
            let more = [&bytes[..], &[0]].concat();
            assert!(!matches!(decode_server(&more), Err(DecodeError::Later)));
            assert!(!matches!(decode_server(&bytes[..bytes.len() - 1]), Err(DecodeError::Later)));
        }
        // A known frame with an unknown part is malformed, because its request would get no answer.
        let standing = [0x82, 1, 0x82, 7, 0x82, 9, 0x80];
        assert!(matches!(decode_server(&standing), Err(DecodeError::Malformed(_))));
    }

    #[test]
    fn unknown_codes_are_read_by_number() {
        use crate::RejectCode;
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
    fn bytes_after_a_frame_are_refused() {
        for more in [1, 3] {
            let mut bytes = encode(&Seq(300));
            bytes.resize(bytes.len() + more, 0);
            let read = decode::<Seq>(&bytes);
            assert!(matches!(read, Err(DecodeError::Trailing(n)) if n == more));
        }
    }
}
