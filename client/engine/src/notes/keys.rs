//! A member's own keys for notes: the present one is in the leaf, those before it open what was on its way.

use hearth_protocol::{MessageId, Millis, Secret32};
use minicbor::{Decode, Encode};
use zeroize::Zeroizing;

use super::Result;
use crate::{
    mls::hpke,
    room::{Room, random_secret, read, write},
    state::{OwnCompanion, Standing},
    store::Kind,
};

/// Age at which a key is replaced with the next renewal of the leaf: a week.
pub const NOTE_KEY_MILLIS: u64 = 7 * 24 * 3_600_000;
/// How long a private key is kept after the leaf shows the next one: 35 days, because the relay keeps a note for 30.
pub const NOTE_KEY_KEPT_MILLIS: u64 = 35 * 24 * 3_600_000;

/// Ids remembered of one key's notes. A flood of more is paced by the relay, and signed by a member.
const IDS_MAX: usize = 4096;

const KEYS: &[u8] = b"note keys";

#[derive(Clone, Default, Encode, Decode)]
struct NoteKeys {
    /// When the present key was drawn.
    #[n(0)]
    made: Millis,
    #[n(1)]
    old: Vec<OldKey>,
}

#[derive(Clone, Encode, Decode)]
struct OldKey {
    #[n(0)]
    number: u32,
    #[n(1)]
    seed: Secret32,
    /// Since when the leaf shows a later key; 0: it may still show this one.
    #[n(2)]
    replaced: Millis,
}

/// Name of the ids that came under a key.
fn ids_name(number: u32) -> Vec<u8> {
    [b"note ids".as_slice(), &number.to_be_bytes()].concat()
}

impl Room<'_> {
    fn note_keys(&self) -> Result<NoteKeys> {
        Ok(read(self.store, Kind::Note, self.no, KEYS)?.unwrap_or_default())
    }

    /// Returns my private key of a number; `None` if it was deleted, or never was.
    pub(crate) fn note_private(&self, number: u32) -> Result<Option<Zeroizing<Vec<u8>>>> {
        let own = &self.state.companion;
        let seed = match number == own.number {
            true => Some(own.seed.clone()),
            false => self.note_keys()?.old.into_iter().find(|k| k.number == number).map(|k| k.seed),
        };
        let suite = self.state.suite();
        Ok(seed.and_then(|seed| Some(hpke::key_pair(self.crypto, suite, seed.expose())?.0)))
    }

    /// Draws the next key if the present one is old enough. The commit that is about to be made shows it.
    pub(crate) fn rotate_note_key(&mut self, now: Millis) -> Result<()> {
        let mut keys = self.note_keys()?;
        if keys.made == Millis(0) || now < keys.made {
            keys.made = now;
            return write(self.store, Kind::Note, self.no, KEYS, &keys);
        }
        let Some(next) = self.state.companion.number.checked_add(1) else { return Ok(()) };
        if now < keys.made.plus(NOTE_KEY_MILLIS) {
            return Ok(());
        }
        let OwnCompanion { salt, number, seed } = self.state.companion.clone();
        keys.old.push(OldKey { number, seed, replaced: Millis(0) });
        keys.made = now;
        self.state.companion = OwnCompanion { salt, number: next, seed: random_secret()? };
        write(self.store, Kind::Note, self.no, KEYS, &keys)?;
        self.save_state()
    }

    /// Deletes keys that nobody can have sealed to any more, with the ids of their notes, and what is left of notes that are over.
    ///
    /// # Errors
    /// See [`crate::EngineError`].
    pub fn tidy_notes(&mut self, now: Millis) -> Result<()> {
        if self.state.standing == Standing::Member {
            self.keep_bench()?;
        }
        let mut keys = self.note_keys()?;
        if !keys.old.is_empty() && self.state.standing == Standing::Member {
            let me = self.me();
            let leaf = self.roster()?.into_iter().find(|leaf| leaf.member == me);
            let shown = leaf.and_then(|leaf| leaf.companion.note).map(|note| note.number);
            let mut changed = false;
            for old in &mut keys.old {
                let is_replaced = shown.is_some_and(|shown| shown > old.number);
                if is_replaced && (old.replaced == Millis(0) || now < old.replaced) {
                    (old.replaced, changed) = (now, true);
                }
            }
            let over = |key: &OldKey| {
                key.replaced > Millis(0) && now >= key.replaced.plus(NOTE_KEY_KEPT_MILLIS)
            };
            for key in keys.old.iter().filter(|key| over(key)) {
                self.store.delete(Kind::Note, self.no, &ids_name(key.number))?;
            }
            let before = keys.old.len();
            keys.old.retain(|key| !over(key));
            if changed || keys.old.len() < before {
                write(self.store, Kind::Note, self.no, KEYS, &keys)?;
            }
        }
        self.tidy_sent(now)?;
        self.tidy_kept(now)
    }

    /// Whether a note of this id came under a key before; remembers it otherwise, for as long as the key.
    pub(super) fn note_came_before(&self, number: u32, id: &MessageId) -> Result<bool> {
        let name = ids_name(number);
        let ids: Option<Vec<MessageId>> = read(self.store, Kind::Note, self.no, &name)?;
        let mut ids = ids.unwrap_or_default();
        if ids.contains(id) {
            return Ok(true);
        }
        if ids.len() >= IDS_MAX {
            ids.remove(0);
        }
        ids.push(*id);
        write(self.store, Kind::Note, self.no, &name, &ids)?;
        Ok(false)
    }
}
