//! Files of exercises and questionnaires, by the words that name them.

use std::{
    fs,
    io::{self, Read as _},
    path::Path,
};

use hearth_forms::{FILE_BYTES_MAX, source};

/// Returns what a word names: a file that comes with hearth, or one of the reader's.
pub(super) fn read(word: &str) -> io::Result<Vec<u8>> {
    match source(word) {
        Some(text) => Ok(text.as_bytes().to_vec()),
        None => read_file(word),
    }
}

/// Reads a file, and one byte more than it may have, so that a longer one is refused as such.
fn read_file(path: &str) -> io::Result<Vec<u8>> {
    // Nothing but a file: a pipe or a terminal would keep the room waiting.
    if !fs::metadata(path)?.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut bytes = Vec::new();
    let most = u64::try_from(FILE_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
    fs::File::open(path)?.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Returns the name of a file without its ending.
pub(super) fn stem(word: &str) -> String {
    Path::new(word).file_stem().unwrap_or_default().to_string_lossy().into_owned()
}
