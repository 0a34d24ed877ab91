//! Outgoing entries: encoded once, copied into as few frames as possible.

use std::sync::Arc;

use hearth_protocol::{RoomId, Seq, limits::PAYLOAD_BYTES_MAX};
use minicbor::Encoder;

/// Maximum bytes of entries in one frame. It fits the largest entry and leaves the rest of a frame for its envelope.
pub(crate) const BATCH_BYTES_MAX: usize = PAYLOAD_BYTES_MAX + 1024;

/// Encoded entries of one room, in order.
#[derive(Debug, Default)]
pub(crate) struct EntryBatch {
    encoded: Vec<u8>,
    count: u64,
    last: Option<Seq>,
}

impl EntryBatch {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds an encoded entry; `false` if the batch is full.
    pub(crate) fn push(&mut self, seq: Seq, entry: &[u8]) -> bool {
        if self.count > 0 && self.encoded.len() + entry.len() > BATCH_BYTES_MAX {
            return false;
        }
        self.encoded.extend_from_slice(entry);
        self.count += 1;
        self.last = Some(seq);
        true
    }

    /// States that nothing else exists up to a position.
    pub(crate) fn reach(&mut self, seq: Seq) {
        self.last = Some(seq);
    }

    /// Returns the position up to which nothing is left out.
    pub(crate) fn last(&self) -> Option<Seq> {
        self.last
    }

    /// Whether it has no entry.
    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Encodes `ServerFrame::Entries` around the entries.
    pub(crate) fn into_frame(self, room: &RoomId, head: Seq) -> Vec<u8> {
        const ENTRIES: u32 = 5;
        let mut encoder = Encoder::new(Vec::with_capacity(self.encoded.len() + 48));
        let encoded = encoder
            .array(2)
            .and_then(|e| e.u32(ENTRIES))
            .and_then(|e| e.array(3))
            .and_then(|e| e.encode(room))
            .and_then(|e| e.array(self.count))
            .is_ok();
        let mut frame = encoder.into_writer();
        debug_assert!(encoded, "encoding into memory cannot fail");
        frame.extend_from_slice(&self.encoded);
        let mut encoder = Encoder::new(frame);
        let encoded = encoder.encode(head).is_ok();
        debug_assert!(encoded, "encoding into memory cannot fail");
        encoder.into_writer()
    }
}

/// An encoded entry, shared by all its recipients.
pub(crate) type Encoded = Arc<[u8]>;

#[cfg(test)]
mod tests {
    use hearth_protocol::{Digest, Entry, EntryContent, Millis, ServerFrame, codec};

    use super::*;

    #[test]
    fn frame_matches_the_protocols_encoding() {
        let room = RoomId([3; 16]);
        let entries = vec![
            Entry { seq: Seq(7), at: Millis(1), content: EntryContent::Payload(vec![9; 300]) },
            Entry { seq: Seq(8), at: Millis(2), content: EntryContent::Tombstone(Digest([4; 32])) },
        ];
        let mut batch = EntryBatch::new();
        for entry in &entries {
            assert!(batch.push(entry.seq, &codec::encode(entry)));
        }
        assert_eq!(batch.last(), Some(Seq(8)));
        let frame = ServerFrame::Entries { room, entries, head: Seq(900) };
        assert_eq!(batch.into_frame(&room, Seq(900)), codec::encode_server(&frame));
    }

    /// It takes further entries only as far as they fit.
    #[test]
    fn batch_always_takes_one_entry() {
        let mut batch = EntryBatch::new();
        assert!(batch.push(Seq(1), &vec![0; BATCH_BYTES_MAX]));
        assert!(!batch.push(Seq(2), &[0]));
        assert_eq!(batch.last(), Some(Seq(1)));
    }
}
