//! The events of a seed in words that do not depend on keys: the same seed of a simulation gives the same trace.

use hearth_protocol::hash;

/// Lines, and a hash over all of them.
#[derive(Default)]
pub struct Trace {
    lines: Vec<String>,
    hash: [u8; 32],
}

impl Trace {
    /// Adds a line.
    pub fn note(&mut self, line: String) {
        self.hash = hash::labelled("hearth simulation", &[&self.hash, line.as_bytes()]);
        self.lines.push(line);
    }

    /// Returns the lines and the first 16 hexadecimal digits of the hash.
    pub fn finish(self) -> (Vec<String>, String) {
        let digits = self.hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        (self.lines, digits)
    }
}
