//! The header of an MLS PrivateMessage (RFC 9420 sections 6 and 6.3), the only part of MLS that the relay parses.

use crate::id::{Epoch, RoomId};

/// The cleartext fields of a PrivateMessage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MlsHeader {
    /// The group id, which is the room's id.
    pub room: RoomId,
    /// Epoch of its encryption.
    pub epoch: Epoch,
    /// Application message or commit.
    pub content: ContentType,
    /// Whether the authenticated data is [`MARK`]: the entry is an own retraction or a departure, and holds no text.
    pub marked: bool,
}

/// The authenticated data (RFC 9420 section 6.3.1) of an own retraction or a departure. All other entries have none.
/// The sender signs it, so that no relay can add it.
pub const MARK: [u8; 1] = [1];

/// Kinds of content that a room's log accepts. Proposals are sent only inside commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentType {
    /// `application(1)`.
    Application,
    /// `commit(3)`.
    Commit,
}

/// Offset of the content type in a payload that [`parse`] accepts: after version, wire format, group id and epoch.
pub const CONTENT_TYPE_AT: usize = 2 + 2 + 1 + 16 + 8;
/// The content type of a commit.
pub const COMMIT: u8 = 3;

/// Parses the header of an MLSMessage that holds a PrivateMessage.
///
/// Returns `None` for any other version, wire format, group id length, content type or authenticated data.
pub fn parse(payload: &[u8]) -> Option<MlsHeader> {
    const MLS10: [u8; 2] = [0, 1];
    const PRIVATE_MESSAGE: [u8; 2] = [0, 2];
    // A variable-size vector of 16 bytes has the one-byte length 16 (RFC 9420 section 2.1.2).
    const GROUP_ID_LEN: u8 = 16;

    let rest = payload.strip_prefix(&MLS10)?.strip_prefix(&PRIVATE_MESSAGE)?;
    let rest = rest.strip_prefix(&[GROUP_ID_LEN])?;
    let (group_id, rest) = rest.split_first_chunk::<16>()?;
    let (epoch, rest) = rest.split_first_chunk::<8>()?;
    let (content, rest) = rest.split_first()?;
    let content = match *content {
        1 => ContentType::Application,
        COMMIT => ContentType::Commit,
        _ => return None,
    };
    let marked = match (content, rest) {
        (_, [0, ..]) => false,
        (ContentType::Application, [1, mark, ..]) if [*mark] == MARK => true,
        _ => return None,
    };
    let epoch = Epoch(u64::from_be_bytes(*epoch));
    Some(MlsHeader { room: RoomId(*group_id), epoch, content, marked })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(content: u8) -> Vec<u8> {
        let mut bytes = vec![0, 1, 0, 2, 16];
        bytes.extend([7; 16]);
        bytes.extend(5u64.to_be_bytes());
        bytes.extend([content, 0]);
        bytes
    }

    fn marked(content: u8, data: &[u8]) -> Vec<u8> {
        let mut bytes = header(content);
        bytes.pop();
        bytes.push(u8::try_from(data.len()).unwrap());
        bytes.extend(data);
        bytes
    }

    #[test]
    fn only_marks_may_be_authenticated_data() {
        assert!(!parse(&header(1)).unwrap().marked);
        assert!(parse(&marked(1, &MARK)).unwrap().marked);
        for (content, data) in [(1, &[0][..]), (1, &[2]), (1, &[1, 1]), (3, &MARK), (1, &[0; 64])] {
            assert_eq!(parse(&marked(content, data)), None, "{content} {data:?}");
        }
    }

    #[test]
    fn application_and_commit_are_read() {
        let parsed = parse(&header(3)).unwrap();
        assert_eq!(parsed.room, RoomId([7; 16]));
        assert_eq!(parsed.epoch, Epoch(5));
        assert_eq!(parsed.content, ContentType::Commit);
        assert_eq!(header(3)[CONTENT_TYPE_AT], COMMIT);
        assert_eq!(parse(&header(1)).unwrap().content, ContentType::Application);
    }

    #[test]
    fn other_or_truncated_headers_are_refused() {
        assert_eq!(parse(&header(2)), None);
        let whole = header(1);
        for len in 0..whole.len() {
            assert_eq!(parse(&whole[..len]), None);
        }
        for index in 0..5 {
            let mut damaged = whole.clone();
            damaged[index] ^= 1;
            assert_eq!(parse(&damaged), None);
        }
    }
}
