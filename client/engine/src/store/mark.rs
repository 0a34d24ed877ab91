//! The file beside the database with the number of changes that the database has committed.
//!
//! SQLite silently ends the replay of its log at the first damaged frame. The changes after it would be lost,
//! and with them the proof that some MLS generations were already used: encrypting with one again reveals plaintext.
//! So a database with fewer changes than its mark does not open. The mark is written after the change is on
//! disk and never synced, so it may lag behind, but never leads.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::Path,
};

/// An open mark.
pub(super) struct Mark(File);

impl Mark {
    /// Opens the mark of a database, or creates an empty one.
    pub(super) fn open(database: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        options.open(database.with_extension("mark")).map(Self)
    }

    /// Returns the minimum number of changes that the database must have.
    pub(super) fn read(&self) -> u64 {
        let mut bytes = [0; 8];
        // A lost mark counts as zero, because it guards against accidents, not against a person who can write here.
        self.0.read_exact_at(&mut bytes, 0).map_or(0, |()| u64::from_be_bytes(bytes))
    }

    /// Records the number of changes.
    pub(super) fn write(&self, changes: u64) {
        // An error is ignored: the change itself is safe, only a later loss of it would go unnoticed.
        let _ = self.0.write_all_at(&changes.to_be_bytes(), 0);
    }
}
