//! The committed corpus, and a mutator with a seed, so that something is tried where there is no libFuzzer.

use std::{
    fs,
    path::{Path, PathBuf},
};

use hearth_kit::Dice;

use super::Target;

/// Files of one target that are worth keeping.
pub const FILES_MAX: usize = 300;
/// Bytes of the whole corpus.
pub const BYTES_MAX: u64 = 1024 * 1024;

/// Returns where the corpus of a target is.
pub fn folder(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target)
}

/// Reads the corpus of a target, in order of file names.
pub fn entries(target: &str) -> Vec<Vec<u8>> {
    let Ok(files) = fs::read_dir(folder(target)) else { return Vec::new() };
    let mut files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    files.sort_unstable();
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

/// Writes the seeds of a target beside what is there.
pub fn write_seeds(target: &Target) {
    let folder = folder(target.name);
    fs::create_dir_all(&folder).unwrap();
    for (number, seed) in (target.seeds)().iter().enumerate() {
        fs::write(folder.join(format!("seed-{number:02}")), seed).unwrap();
    }
}

/// Makes something new of some entries: bits flipped, bytes set, cut, doubled, or spliced with another.
pub fn mutate(entries: &[Vec<u8>], dice: &mut Dice) -> Vec<u8> {
    /// What lengths, counts and types turn on.
    const TELLING: [u8; 8] = [0x00, 0x01, 0x7f, 0x80, 0xff, 0x9f, 0xbf, 0xf6];
    let mut bytes = entries[dice.below(entries.len())].clone();
    for _ in 0..=dice.below(4) {
        let at = dice.below(bytes.len());
        match dice.below(7) {
            _ if bytes.is_empty() => bytes.push(TELLING[dice.below(8)]),
            0 => bytes[at] ^= 1 << dice.below(8),
            1 => bytes[at] = TELLING[dice.below(8)],
            2 => bytes.truncate(at),
            3 => bytes.insert(at, TELLING[dice.below(8)]),
            4 => {
                bytes.remove(at);
            }
            5 => {
                let piece = bytes[at..bytes.len().min(at + 1 + dice.below(32))].to_vec();
                bytes.splice(at..at, piece);
            }
            _ => {
                let other = &entries[dice.below(entries.len())];
                bytes.truncate(at);
                bytes.extend(&other[dice.below(other.len())..]);
            }
        }
    }
    bytes
}
