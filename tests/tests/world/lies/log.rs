//! The log that one member is shown, after the real one.

use hearth_protocol::{Digest, Entry, EntryContent, Millis, Seq};

use super::{Dice, Op};

/// The log that one member sees.
#[derive(Clone, Debug)]
pub struct View {
    /// In order of seq.
    pub entries: Vec<Entry>,
    /// Which log it follows: 0 is the relay's, others are made up.
    pub branch: usize,
    /// First seq of that log not looked at yet.
    pub next: u64,
    /// Seq of the last entry shown.
    pub last: u64,
    /// Entries kept back, to be shown after later ones.
    held: Vec<Entry>,
    /// Whether anything in it is a lie.
    pub touched: bool,
}

impl View {
    /// A view of a member who sees nothing up to `joined`.
    pub const fn new(joined: u64) -> Self {
        Self {
            entries: Vec::new(),
            branch: 0,
            next: joined + 1,
            last: joined,
            held: Vec::new(),
            touched: false,
        }
    }

    /// Returns the place of an entry with this payload.
    pub fn find(&self, digest: Digest) -> Option<u64> {
        self.entries.iter().rev().find(|e| e.content.digest() == digest).map(|e| e.seq.0)
    }

    /// Shows an entry as it is, at the next seq.
    pub fn show(&mut self, content: EntryContent, at: Millis) {
        self.last += 1;
        self.entries.push(Entry { seq: Seq(self.last), at, content });
    }

    /// Shows an entry that does not belong here.
    pub fn inject(&mut self, payload: Vec<u8>, at: Millis) {
        self.touched = true;
        self.show(EntryContent::Payload(payload), at);
    }

    /// Shows an entry, or applies the lie that the plan chose.
    pub fn take(&mut self, entry: &Entry, op: Option<Op>, dice: &mut Dice, stock: &Stock) {
        let Entry { at, content, .. } = entry.clone();
        let Some(op) = op else {
            self.show(content, at);
            return self.release();
        };
        self.touched = true;
        match op {
            Op::Drop => {}
            Op::Hole => self.last += 1,
            Op::Duplicate => {
                self.show(content.clone(), at);
                self.show(content, at);
            }
            Op::Replay => {
                self.show(content, at);
                let old = dice.below(self.entries.len());
                let old = self.entries[old].content.clone();
                self.show(old, at);
            }
            Op::Reorder => return self.held.push(entry.clone()),
            Op::Flip => self.show(EntryContent::Payload(flip(&content, dice)), at),
            Op::Truncate => self.show(EntryContent::Payload(truncate(&content, dice)), at),
            Op::Splice => {
                self.show(content, at);
                if let Some(payload) = stock.splice(dice) {
                    self.show(EntryContent::Payload(payload), at);
                }
            }
            Op::Tombstone => self.show(EntryContent::Tombstone(content.digest()), at),
            Op::Time => {
                let at = if dice.chance(50) { Millis(0) } else { Millis(at.0 * 2) };
                self.show(content, at);
            }
            _ => self.show(content, at),
        }
        self.release();
    }

    fn release(&mut self) {
        for entry in std::mem::take(&mut self.held) {
            self.show(entry.content, entry.at);
        }
    }
}

/// Ciphertexts of another room.
#[derive(Clone, Debug, Default)]
pub struct Stock {
    pub payloads: Vec<Vec<u8>>,
    /// This room's id, to relabel them with.
    pub room: Option<[u8; 16]>,
}

impl Stock {
    /// One of them, as it is or under this room's id.
    fn splice(&self, dice: &mut Dice) -> Option<Vec<u8>> {
        const GROUP_ID_AT: usize = 5;
        let at = dice.below(self.payloads.len());
        let mut payload = self.payloads.get(at)?.clone();
        if let Some(room) = self.room.filter(|_| dice.chance(50)) {
            payload.get_mut(GROUP_ID_AT..GROUP_ID_AT + 16)?.copy_from_slice(&room);
        }
        Some(payload)
    }
}

fn bytes(content: &EntryContent) -> Vec<u8> {
    match content {
        EntryContent::Payload(payload) => payload.clone(),
        EntryContent::Tombstone(digest) => digest.0.to_vec(),
        EntryContent::Expired => Vec::new(),
    }
}

fn flip(content: &EntryContent, dice: &mut Dice) -> Vec<u8> {
    let mut payload = bytes(content);
    let at = dice.below(payload.len());
    payload[at] ^= 1 << dice.below(8);
    payload
}

fn truncate(content: &EntryContent, dice: &mut Dice) -> Vec<u8> {
    let mut payload = bytes(content);
    payload.truncate(dice.below(payload.len()));
    payload
}
