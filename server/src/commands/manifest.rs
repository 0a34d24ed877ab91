//! The note in each backup that says what it is and that it is whole.

use std::{
    fs,
    io::{Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use data_encoding::HEXLOWER;
use hearth_protocol::{Millis, RelayId};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::figures;

/// Name of the note.
pub(super) const NAME: &str = "backup.toml";
const FORMAT: u32 = 1;
const NOTE_BYTES_MAX: u64 = 4096;

/// What a backup is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    format: u32,
    /// Time of the copy, in milliseconds since 1970.
    made: u64,
    relay: String,
    /// Length of `hearth.db`.
    bytes: u64,
    /// SHA-256 of `hearth.db`.
    sha256: String,
}

impl Manifest {
    /// Describes a copied store.
    pub(super) fn of(store: &Path, relay: &RelayId, made: Millis) -> std::io::Result<Self> {
        let (bytes, sha256) = digest(store)?;
        Ok(Self { format: FORMAT, made: made.0, relay: relay.to_hex(), bytes, sha256 })
    }

    pub(super) const fn made(&self) -> Millis {
        Millis(self.made)
    }

    pub(super) fn is_same_relay(&self, other: &Self) -> bool {
        self.relay == other.relay
    }

    pub(super) fn is_of(&self, relay: &RelayId) -> bool {
        self.relay == relay.to_hex()
    }

    /// Whether a file is the store that was copied.
    pub(super) fn describes(&self, store: &Path) -> std::io::Result<bool> {
        Ok(digest(store)? == (self.bytes, self.sha256.clone()))
    }

    /// Writes the note into a backup.
    pub(super) fn write(&self, dir: &Path) -> std::io::Result<()> {
        let Self { format, made, relay, bytes, sha256 } = self;
        let text = format!(
            "# A backup of a Hearth relay, made {} UTC. Keep it as safe as the relay.\n\
             # `hearthd restore` puts it in place.\n\
             format = {format}\nmade = {made}\nrelay = \"{relay}\"\nbytes = {bytes}\nsha256 = \"{sha256}\"\n",
            figures::time(self.made())
        );
        let mut options = fs::OpenOptions::new();
        let mut file =
            options.write(true).create(true).truncate(true).mode(0o600).open(dir.join(NAME))?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    }

    /// Reads the note of a backup; nothing if there is none, or none of ours.
    pub(super) fn read(dir: &Path) -> Option<Self> {
        let mut text = String::new();
        let file = fs::File::open(dir.join(NAME)).ok()?;
        file.take(NOTE_BYTES_MAX).read_to_string(&mut text).ok()?;
        toml::from_str(&text).ok().filter(|manifest: &Self| manifest.format == FORMAT)
    }
}

fn digest(path: &Path) -> std::io::Result<(u64, String)> {
    let mut hasher = Sha256::new();
    let mut file = fs::File::open(path)?;
    let mut buffer = vec![0; 1 << 16];
    let mut bytes = 0;
    loop {
        let read = file.read(&mut buffer)?;
        let Some(part) = buffer.get(..read).filter(|part| !part.is_empty()) else { break };
        hasher.update(part);
        bytes += part.len() as u64;
    }
    Ok((bytes, HEXLOWER.encode(&hasher.finalize())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn note_tells_a_changed_store() {
        let dir = tempfile::tempdir().unwrap();
        let store = dir.path().join("hearth.db");
        fs::write(&store, vec![7; 100_000]).unwrap();
        let manifest = Manifest::of(&store, &RelayId([1; 32]), Millis(5)).unwrap();
        manifest.write(dir.path()).unwrap();
        assert_eq!(Manifest::read(dir.path()), Some(manifest.clone()));
        assert!(manifest.describes(&store).unwrap());
        for bytes in [vec![7; 99_999], [vec![7; 99_999], vec![8]].concat()] {
            fs::write(&store, bytes).unwrap();
            assert!(!manifest.describes(&store).unwrap());
        }
        for text in ["", "format = 2", "made = 1", "\u{0}"] {
            fs::write(dir.path().join(NAME), text).unwrap();
            assert_eq!(Manifest::read(dir.path()), None, "{text:?}");
        }
    }
}
