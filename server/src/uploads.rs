//! Blobs being uploaded: one per key, bounded in memory, with a deadline for each part.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use hearth_protocol::{
    BlobId, MemberKey, RejectCode, RoomId,
    limits::{BLOB_BYTES_MAX, BLOB_PART_BYTES_MAX},
};
use tokio::time::Instant;

/// Maximum bytes of all uploads. Above it, the upload that has waited longest for its next part is dropped.
const BYTES_MAX: usize = 32 * 1024 * 1024;
/// Maximum number of uploads, because each costs memory besides its bytes.
const COUNT_MAX: usize = 1024;
/// Deadline for the next part of an upload.
const PART_DEADLINE: Duration = Duration::from_secs(30);

/// One part as received.
pub(crate) struct Part {
    pub(crate) blob: BlobId,
    pub(crate) total: u32,
    pub(crate) offset: u32,
    pub(crate) bytes: Vec<u8>,
}

struct Upload {
    blob: BlobId,
    total: usize,
    bytes: Vec<u8>,
    touched: Instant,
}

/// All uploads by proved key, so that more connections do not allow more uploads.
#[derive(Default)]
pub(crate) struct Uploads(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    uploads: HashMap<(RoomId, MemberKey), Upload>,
    /// Bytes of all uploads.
    bytes: usize,
}

impl Uploads {
    /// Adds a part to a moderator's upload; returns the blob's bytes once it is complete. A part at offset 0 replaces the key's
    /// upload.
    pub(crate) fn take(
        &self,
        room: RoomId,
        member: MemberKey,
        part: Part,
        now: Instant,
    ) -> Result<Option<Vec<u8>>, RejectCode> {
        let Part { blob, total, offset, bytes } = part;
        let (total, offset) = (total as usize, offset as usize);
        if total > BLOB_BYTES_MAX || bytes.len() > BLOB_PART_BYTES_MAX {
            return Err(RejectCode::TooLarge);
        }
        if total == 0 || bytes.is_empty() {
            return Err(RejectCode::BadFrame);
        }
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.expire(now);
        let key = (room, member);
        // Removed first, because a part that does not fit ends the upload.
        let mut upload = match (offset, inner.remove(&key)) {
            (0, _) => Upload { blob, total, bytes: Vec::new(), touched: now },
            (_, Some(upload)) => upload,
            (_, None) => return Err(RejectCode::BadFrame),
        };
        let fits = upload.blob == blob
            && upload.total == total
            && upload.bytes.len() == offset
            && offset + bytes.len() <= total;
        if !fits {
            return Err(RejectCode::BadFrame);
        }
        if offset + bytes.len() == total {
            upload.bytes.reserve_exact(bytes.len());
            upload.bytes.extend_from_slice(&bytes);
            return Ok(Some(upload.bytes));
        }
        // Exactly, because spare capacity is not counted.
        upload.bytes.reserve_exact(bytes.len());
        upload.bytes.extend_from_slice(&bytes);
        upload.touched = now;
        inner.make_room(upload.bytes.len());
        inner.bytes += upload.bytes.len();
        inner.uploads.insert(key, upload);
        Ok(None)
    }

    /// Drops uploads that waited too long for their next part.
    pub(crate) fn expire(&self, now: Instant) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).expire(now);
    }
}

impl Inner {
    fn remove(&mut self, key: &(RoomId, MemberKey)) -> Option<Upload> {
        let upload = self.uploads.remove(key)?;
        self.bytes -= upload.bytes.len();
        Some(upload)
    }

    fn expire(&mut self, now: Instant) {
        let bytes = &mut self.bytes;
        self.uploads.retain(|_, upload| {
            let stays = now.saturating_duration_since(upload.touched) < PART_DEADLINE;
            if !stays {
                *bytes -= upload.bytes.len();
            }
            stays
        });
    }

    /// Drops the uploads that waited longest until the given bytes fit.
    fn make_room(&mut self, bytes: usize) {
        while self.bytes + bytes > BYTES_MAX || self.uploads.len() >= COUNT_MAX {
            let oldest = self.uploads.iter().min_by_key(|(_, upload)| upload.touched);
            let Some(key) = oldest.map(|(key, _)| *key) else { return };
            self.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: RoomId = RoomId([1; 16]);

    fn key(number: usize) -> MemberKey {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&number.to_be_bytes());
        MemberKey(key)
    }

    fn part(total: usize, offset: usize, bytes: usize) -> Part {
        let number = |n: usize| u32::try_from(n).unwrap();
        let (total, offset) = (number(total), number(offset));
        Part { blob: BlobId([9; 32]), total, offset, bytes: vec![7; bytes] }
    }

    #[test]
    fn b3_memory_is_for_what_arrived() {
        let (uploads, now) = (Uploads::default(), Instant::now());
        for number in 0..COUNT_MAX + 10 {
            assert_eq!(uploads.take(ROOM, key(number), part(BLOB_BYTES_MAX, 0, 1), now), Ok(None));
        }
        let inner = uploads.0.lock().unwrap();
        assert_eq!((inner.uploads.len(), inner.bytes), (COUNT_MAX, COUNT_MAX));
    }

    #[test]
    fn b3_key_has_one_upload() {
        let (uploads, now) = (Uploads::default(), Instant::now());
        assert_eq!(uploads.take(ROOM, key(1), part(10, 0, 4), now), Ok(None));
        // A new upload, as from another connection, ends the first one.
        assert_eq!(uploads.take(ROOM, key(1), part(20, 0, 4), now), Ok(None));
        assert_eq!(uploads.take(ROOM, key(1), part(10, 4, 6), now), Err(RejectCode::BadFrame));
        assert_eq!(uploads.take(ROOM, key(1), part(20, 4, 4), now), Err(RejectCode::BadFrame));
        assert_eq!(uploads.0.lock().unwrap().bytes, 0);
        // The part exceeds the total.
        assert_eq!(uploads.take(ROOM, key(1), part(10, 0, 4), now), Ok(None));
        assert_eq!(uploads.take(ROOM, key(1), part(10, 4, 7), now), Err(RejectCode::BadFrame));
        assert_eq!(uploads.take(ROOM, key(1), part(10, 0, 4), now), Ok(None));
        assert_eq!(uploads.take(ROOM, key(1), part(10, 4, 6), now), Ok(Some(vec![7; 10])));
    }

    #[test]
    fn b3_stalest_upload_gives_way() {
        let (uploads, start) = (Uploads::default(), Instant::now());
        let whole = BLOB_BYTES_MAX;
        let fill = |number: usize, now: Instant| {
            let mut offset = 0;
            while offset + BLOB_PART_BYTES_MAX < whole {
                let part = part(whole, offset, BLOB_PART_BYTES_MAX);
                assert_eq!(uploads.take(ROOM, key(number), part, now), Ok(None));
                offset += BLOB_PART_BYTES_MAX;
            }
            offset
        };
        let many = BYTES_MAX / BLOB_BYTES_MAX + 4;
        for number in 0..many {
            fill(number, start + Duration::from_millis(number as u64));
            assert!(uploads.0.lock().unwrap().bytes <= BYTES_MAX);
        }
        // The last upload exists and can be finished; the first one was dropped.
        let now = start + Duration::from_secs(1);
        let offset = (whole - 1) / BLOB_PART_BYTES_MAX * BLOB_PART_BYTES_MAX;
        let last = || part(whole, offset, whole - offset);
        assert!(uploads.take(ROOM, key(many - 1), last(), now).unwrap().is_some());
        assert_eq!(uploads.take(ROOM, key(0), last(), now), Err(RejectCode::BadFrame));
    }

    #[test]
    fn b3_upload_without_parts_ends() {
        let (uploads, start) = (Uploads::default(), Instant::now());
        assert_eq!(uploads.take(ROOM, key(1), part(10, 0, 4), start), Ok(None));
        let late = start + PART_DEADLINE;
        uploads.expire(late.checked_sub(Duration::from_millis(1)).unwrap());
        assert_eq!(uploads.0.lock().unwrap().bytes, 4);
        uploads.expire(late);
        assert_eq!(uploads.0.lock().unwrap().bytes, 0);
        assert_eq!(uploads.take(ROOM, key(1), part(10, 4, 6), late), Err(RejectCode::BadFrame));
    }

    #[test]
    fn parts_of_wrong_size_are_refused() {
        let (uploads, now) = (Uploads::default(), Instant::now());
        let take = |part| uploads.take(ROOM, key(1), part, now);
        assert_eq!(take(part(0, 0, 1)), Err(RejectCode::BadFrame));
        assert_eq!(take(part(10, 0, 0)), Err(RejectCode::BadFrame));
        assert_eq!(take(part(BLOB_BYTES_MAX + 1, 0, 1)), Err(RejectCode::TooLarge));
        let large = part(BLOB_BYTES_MAX, 0, BLOB_PART_BYTES_MAX + 1);
        assert_eq!(take(large), Err(RejectCode::TooLarge));
    }
}
