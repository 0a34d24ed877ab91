//! Padding to the buckets of [`crate::limits::PADDING_BUCKETS`], so that sizes reveal little.
//!
//! Padded bytes are the length of the content (u32, big endian), the content, and zeros up to a bucket.

use crate::limits::{MARKED_PADDING, PADDING_BUCKETS};

const PREFIX_BYTES: usize = 4;

/// Pads content to the smallest bucket that holds it; `None` if none does.
pub fn pad(content: &[u8]) -> Option<Vec<u8>> {
    let bucket = PADDING_BUCKETS.into_iter().find(|b| content.len() + PREFIX_BYTES <= *b)?;
    pad_to(content, bucket)
}

/// Pads the content of a marked entry, whose kind the relay knows; `None` if the content is too long.
pub fn pad_marked(content: &[u8]) -> Option<Vec<u8>> {
    (content.len() + PREFIX_BYTES <= MARKED_PADDING).then_some(())?;
    pad_to(content, MARKED_PADDING)
}

fn pad_to(content: &[u8], size: usize) -> Option<Vec<u8>> {
    let mut padded = Vec::with_capacity(size);
    padded.extend(u32::try_from(content.len()).ok()?.to_be_bytes());
    padded.extend(content);
    padded.resize(size, 0);
    Some(padded)
}

/// Returns the content; `None` if the length does not fit, the size is not a bucket, or the padding is not zero.
pub fn unpad(padded: &[u8]) -> Option<&[u8]> {
    PADDING_BUCKETS.contains(&padded.len()).then_some(())?;
    strip(padded)
}

/// Returns the content of a marked entry; `None` as in [`unpad`].
pub fn unpad_marked(padded: &[u8]) -> Option<&[u8]> {
    (padded.len() == MARKED_PADDING).then_some(())?;
    strip(padded)
}

fn strip(padded: &[u8]) -> Option<&[u8]> {
    let (prefix, rest) = padded.split_first_chunk::<PREFIX_BYTES>()?;
    let len = usize::try_from(u32::from_be_bytes(*prefix)).ok()?;
    let (content, zeros) = rest.split_at_checked(len)?;
    zeros.iter().all(|b| *b == 0).then_some(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padded_lengths_round_trip() {
        for len in [0, 1, 251, 252, 253, 1020, 1021, 65_532] {
            let content = vec![7; len];
            let padded = pad(&content).unwrap();
            assert!(PADDING_BUCKETS.contains(&padded.len()));
            assert_eq!(unpad(&padded).unwrap(), content);
        }
        assert_eq!(pad(&vec![0; 65_533]), None);
    }

    #[test]
    fn buckets_grow_fourfold() {
        for (content, bucket) in
            [(0, 256), (253, 1024), (1021, 4096), (4093, 16_384), (16_381, 65_536)]
        {
            assert_eq!(pad(&vec![7; content]).unwrap().len(), bucket, "{content} bytes");
        }
    }

    /// Other sizes, other lengths and nonzero padding.
    #[test]
    fn invalid_padding_is_refused() {
        let mut padded = pad(b"word").unwrap();
        assert_eq!(unpad(&padded[..255]), None);
        padded[255] = 1;
        assert_eq!(unpad(&padded), None);
        padded[255] = 0;
        padded[0] = 0xff;
        assert_eq!(unpad(&padded), None);
    }

    #[test]
    fn marked_content_has_one_size() {
        for len in [0, 508] {
            let padded = pad_marked(&vec![7; len]).unwrap();
            assert_eq!(unpad_marked(&padded).unwrap(), vec![7; len]);
            assert_eq!(unpad(&padded), None);
        }
        assert_eq!(pad_marked(&[7; 509]), None);
        assert_eq!(unpad_marked(&pad(b"word").unwrap()), None);
    }
}
