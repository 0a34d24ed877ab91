//! The key file: 32 random bytes that only their owner may read.

use std::{
    fs::{self, File, Metadata},
    io::{self, Read as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use super::{ProfileError, ProfileFile, Result, remove_if_there, sync_folder, write_new};

const KEY_BYTES: usize = 32;

/// Bits of the mode that let other users in.
const EXPOSED: u32 = 0o077;

/// Reads a key file, after checking that no other user can.
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

/// Reads a key file, or creates a missing one.
pub(super) fn read_or_create(path: &Path) -> Result<Zeroizing<[u8; KEY_BYTES]>> {
    if let Err(ProfileError::KeyFileMissing(_)) = read(path) {
        create(path)?;
    }
    let next = next(path);
    if next.try_exists()? {
        remove_if_there(&next)?;
    }
    read(path)
}

/// Creates a key file whole or not at all, because half of one, left by a killed process, would look like damage.
fn create(path: &Path) -> Result<()> {
    let next = next(path);
    remove_if_there(&next)?;
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    getrandom::fill(&mut *key)?;
    write_new(&next, &*key)?;
    // Linked and not renamed, because a key that another process created meanwhile must stay.
    match fs::hard_link(&next, path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            // A file system without links, such as a memory stick's.
            fs::rename(&next, path)?;
        }
        _ => {}
    }
    sync_folder(path.parent().unwrap_or(Path::new("/")))
}

/// Returns the path of an unfinished key file.
pub(super) fn next(path: &Path) -> PathBuf {
    path.with_added_extension("next")
}

fn exposed(metadata: &Metadata) -> bool {
    metadata.permissions().mode() & EXPOSED != 0
}
