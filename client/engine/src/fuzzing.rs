//! Readers of bytes from outside and from the disk, for the fuzz targets (`tests/tests/fuzz`).

use std::path::Path;

pub use crate::mls::fuzzing::{
    Fate, GroupInfoForge, Reader, read_entries, read_welcome, says_private_message,
};
use crate::store::{Kind, RoomNo, Store, open_with, seal_with};

/// Creates a store without a profile; `None` if the disk refuses.
pub fn store(path: &Path) -> Option<Store> {
    Store::create(path, &[7; 32]).ok()
}

/// Seals a row for its place in a store.
pub fn seal_row(data_key: &[u8; 32], place: (Kind, u32, &[u8]), value: &[u8]) -> Option<Vec<u8>> {
    seal_with(data_key, (place.0, RoomNo(place.1), place.2), value).ok()
}

/// Opens a sealed row of a store.
pub fn open_row(data_key: &[u8; 32], place: (Kind, u32, &[u8]), sealed: &[u8]) -> Option<Vec<u8>> {
    open_with(data_key, (place.0, RoomNo(place.1), place.2), sealed).ok()
}

/// Decodes and encodes the record of comparisons with the relay.
pub fn accord(bytes: &[u8]) -> Option<Vec<u8>> {
    crate::accord::reencode(bytes)
}

/// Decodes and encodes the file `profile`.
pub fn profile_header(bytes: &[u8]) -> Option<Vec<u8>> {
    crate::profile::reencode_header(bytes)
}
