//! The key file: 32 random bytes that only their owner may read.

use std::{
    fs::{File, Metadata},
    io::{self, Read as _},
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

use zeroize::Zeroizing;

use super::{ProfileError, ProfileFile, Result, write_new};

const KEY_BYTES: usize = 32;

/// Bits of the mode that let others in.
const EXPOSED: u32 = 0o077;

/// Reads a key file, after checking that nobody else can.
pub(super) fn read(path: &Path) -> Result<Zeroizing<[u8; KEY_BYTES]>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(ProfileError::KeyFileMissing(path.to_owned()));
        }
        Err(error) => return Err(error.into()),
    };
    let metadata = file.metadata()?;
    if exposed(&metadata) {
        return Err(ProfileError::KeyFileExposed(path.to_owned()));
    }
    let damaged = ProfileError::Damaged(ProfileFile::Key);
    if !metadata.is_file() || metadata.len() != KEY_BYTES as u64 {
        return Err(damaged);
    }
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    file.read_exact(&mut *key).map_err(|_truncated| damaged)?;
    Ok(key)
}

/// Reads a key file, or makes one where there is none.
pub(super) fn read_or_create(path: &Path) -> Result<Zeroizing<[u8; KEY_BYTES]>> {
    match read(path) {
        Err(ProfileError::KeyFileMissing(_)) => {
            let mut key = Zeroizing::new([0; KEY_BYTES]);
            getrandom::fill(&mut *key)?;
            write_new(path, &*key)?;
            Ok(key)
        }
        other => other,
    }
}

fn exposed(metadata: &Metadata) -> bool {
    metadata.permissions().mode() & EXPOSED != 0
}
