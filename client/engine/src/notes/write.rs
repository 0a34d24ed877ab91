//! Notes that this profile writes, until the relay has them, and until they are answered.

use hearth_protocol::{MemberKey, MessageId, Millis, NoteId, RejectCode, Secret32, codec};
use minicbor::{Decode, Encode};

use super::{FORMER_MILLIS, KeptNote, Result, keys::NOTE_KEY_KEPT_MILLIS};
use crate::{
    content::Body,
    error::EngineError,
    mls::hpke,
    note::{Note, Purpose, Recipient},
    private::{Seen, SeenState},
    room::{Room, random, random_secret, read, write},
    store::Kind,
};

/// Notes that wait for the relay or for an answer.
pub const SENT_MAX: usize = 256;
/// Bytes of a sealed note that a log has before it and the relay's frame has apart: its id.
const ID_BYTES: usize = 16;

const SENT: &[u8] = b"sent notes";
const BENCH: &[u8] = b"bench keys";

/// A note on its way to the relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoteToSend {
    /// Its id.
    pub id: NoteId,
    /// Its reader.
    pub to: MemberKey,
    /// What the relay keeps.
    pub sealed: Vec<u8>,
}

/// Somebody whom a note did not reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreached {
    /// Their key.
    pub to: MemberKey,
    /// Their name.
    pub name: String,
    /// What the relay said; `None` if their leaf has no key that takes notes.
    pub code: Option<RejectCode>,
}

/// A note that this profile wrote.
#[derive(Clone, Encode, Decode)]
pub(super) struct SentNote {
    #[n(0)]
    pub(super) id: MessageId,
    #[n(1)]
    pub(super) to: MemberKey,
    #[n(2)]
    pub(super) name: String,
    #[n(3)]
    at: Millis,
    /// Seed of the key for the answer.
    #[n(4)]
    pub(super) reply_seed: Option<Secret32>,
    /// Empty once the relay has answered.
    #[n(5)]
    #[cbor(with = "minicbor::bytes")]
    sealed: Vec<u8>,
    /// Why it did not reach its reader.
    #[n(6)]
    refused: Option<RejectCode>,
}

/// The note key of somebody who moderates, as the last tree showed it.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
struct BenchKey {
    #[n(0)]
    member: MemberKey,
    #[n(1)]
    name: String,
    #[n(2)]
    number: u32,
    #[n(3)]
    #[cbor(with = "minicbor::bytes")]
    key: Vec<u8>,
}

fn sent_name(id: &MessageId, to: &MemberKey) -> Vec<u8> {
    [b"sent".as_slice(), id.as_bytes(), to.as_bytes()].concat()
}

impl Room<'_> {
    /// Seals a message for each of some readers, and keeps the notes until the relay has them. All have the message's id. Returns those
    /// who have no key that takes notes.
    ///
    /// # Errors
    /// [`EngineError::OutboxFull`]; see [`EngineError`].
    pub fn write_notes(
        &mut self,
        to: &[MemberKey],
        purpose: Purpose,
        id: MessageId,
        body: &Body,
        now: Millis,
    ) -> Result<Vec<Unreached>> {
        let bench = self.bench_keys()?;
        let content = codec::encode(body);
        let answers = matches!(purpose, Purpose::Report | Purpose::Flag);
        self.change(|room| {
            let mut unreached = Vec::new();
            for member in to {
                let Some(of) = bench.iter().find(|key| key.member == *member) else {
                    let (to, code) = (*member, None);
                    unreached.push(Unreached { to, name: member.short(), code });
                    continue;
                };
                let signing = room.signing_key();
                let note =
                    Note::sign(&signing, id, room.id(), of.member, purpose, now, content.clone());
                let suite = room.state.suite();
                let (note, reply_seed) = if answers {
                    let seed = random_secret()?;
                    let pair = hpke::key_pair(room.crypto, suite, seed.expose());
                    let (_, public) = pair.ok_or(EngineError::Random)?;
                    (note.with_reply_key(&signing, public), Some(seed))
                } else {
                    (note, None)
                };
                let to = Recipient { member: of.member, number: of.number, key: &of.key };
                let sealed = note.seal(room.crypto, suite, &to);
                let Some(sealed) = sealed else {
                    let (to, name, code) = (of.member, of.name.clone(), None);
                    unreached.push(Unreached { to, name, code });
                    continue;
                };
                room.keep_sent(&SentNote {
                    id,
                    to: of.member,
                    name: of.name.clone(),
                    at: now,
                    reply_seed,
                    sealed: sealed.get(ID_BYTES..).unwrap_or_default().to_vec(),
                    refused: None,
                })?;
            }
            Ok(unreached)
        })
    }

    /// Answers a note with the key in it; returns whether it could be answered, which is once.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn answer_note(
        &mut self,
        id: &MessageId,
        from: &MemberKey,
        state: SeenState,
        words: String,
        now: Millis,
    ) -> Result<bool> {
        let kept = self.notes()?.into_iter().find(|note| note.id == *id && note.from == *from);
        let Some(KeptNote { reply_key: Some(reply_key), name, .. }) = kept else {
            return Ok(false);
        };
        let content = codec::encode(&Body::from(crate::private::Private::Seen(Seen {
            message: *id,
            state,
            words,
        })));
        self.change(|room| {
            let answer = MessageId(random()?);
            let signing = room.signing_key();
            let note =
                Note::sign(&signing, answer, room.id(), *from, Purpose::Answer, now, content);
            let to = Recipient { member: *from, number: 0, key: &reply_key };
            // A key that takes nothing is its author's doing.
            let sealed = note.seal(room.crypto, room.state.suite(), &to).unwrap_or_default();
            room.answered(id, from, state)?;
            if sealed.len() > ID_BYTES {
                room.keep_sent(&SentNote {
                    id: answer,
                    to: *from,
                    name,
                    at: now,
                    reply_seed: None,
                    sealed: sealed.get(ID_BYTES..).unwrap_or_default().to_vec(),
                    refused: None,
                })?;
            }
            Ok(true)
        })
    }

    /// Returns the notes that the relay does not have yet, oldest first.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn notes_to_send(&self) -> Result<Vec<NoteToSend>> {
        let sent = self.sent_notes()?.into_iter().filter(|note| !note.sealed.is_empty());
        Ok(sent
            .map(|note| NoteToSend { id: NoteId(note.id.0), to: note.to, sealed: note.sealed })
            .collect())
    }

    /// Whether the relay has a note of this id for anybody.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn note_was_sent(&self, id: &MessageId) -> Result<bool> {
        let sent = self.sent_notes()?;
        Ok(sent.iter().any(|n| n.id == *id && n.sealed.is_empty() && n.refused.is_none()))
    }

    /// Returns those whom the notes of an id did not reach.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn unreached(&self, id: &MessageId) -> Result<Vec<Unreached>> {
        let sent = self.sent_notes()?.into_iter().filter(|note| note.id == *id);
        let of = |note: SentNote| {
            Some(Unreached { to: note.to, name: note.name, code: Some(note.refused?) })
        };
        Ok(sent.filter_map(of).collect())
    }

    /// Handles the relay's answer to a note: it has it, or refuses it for good.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn note_answered(&mut self, note: &NoteToSend, refused: Option<RejectCode>) -> Result<()> {
        let name = sent_name(&MessageId(note.id.0), &note.to);
        let Some(mut sent) = read::<SentNote>(self.store, Kind::Note, self.no, &name)? else {
            return Ok(());
        };
        if sent.reply_seed.is_none() && refused.is_none() {
            // Nothing comes back.
            return self.forget_sent(&sent.id, &sent.to);
        }
        sent.sealed.clear();
        sent.refused = refused;
        write(self.store, Kind::Note, self.no, &name, &sent)
    }

    fn keep_sent(&self, note: &SentNote) -> Result<()> {
        let mut all = self.sent_index()?;
        if all.contains(&(note.id, note.to)) {
            return Ok(());
        }
        if all.len() >= SENT_MAX {
            return Err(EngineError::OutboxFull);
        }
        all.push((note.id, note.to));
        write(self.store, Kind::Note, self.no, SENT, &all)?;
        write(self.store, Kind::Note, self.no, &sent_name(&note.id, &note.to), note)
    }

    fn sent_index(&self) -> Result<Vec<(MessageId, MemberKey)>> {
        Ok(read(self.store, Kind::Note, self.no, SENT)?.unwrap_or_default())
    }

    pub(super) fn sent_notes(&self) -> Result<Vec<SentNote>> {
        let all = self.sent_index()?.into_iter();
        let notes = all.map(|(id, to)| read(self.store, Kind::Note, self.no, &sent_name(&id, &to)));
        notes.filter_map(Result::transpose).collect()
    }

    /// Deletes a note with its key for the answer.
    pub(super) fn forget_sent(&self, id: &MessageId, to: &MemberKey) -> Result<()> {
        let mut all = self.sent_index()?;
        all.retain(|other| *other != (*id, *to));
        self.store.delete(Kind::Note, self.no, &sent_name(id, to))?;
        write(self.store, Kind::Note, self.no, SENT, &all)
    }

    /// Drops notes that nobody will answer any more. One that the relay does not have yet still goes out.
    pub(super) fn tidy_sent(&self, now: Millis) -> Result<()> {
        for note in self.sent_notes()? {
            let kept = if note.refused.is_some() { FORMER_MILLIS } else { NOTE_KEY_KEPT_MILLIS };
            if note.sealed.is_empty() && now >= note.at.plus(kept) {
                self.forget_sent(&note.id, &note.to)?;
            }
        }
        Ok(())
    }

    /// Keeps the keys of those who moderate, because who lapses has no tree, and may have to call for help.
    pub(super) fn keep_bench(&mut self) -> Result<()> {
        let keys = self.keys_in_tree(true)?;
        let before: Option<Vec<BenchKey>> = read(self.store, Kind::Note, self.no, BENCH)?;
        if before.as_ref() != Some(&keys) {
            write(self.store, Kind::Note, self.no, BENCH, &keys)?;
        }
        Ok(())
    }

    /// Returns the members to whom a note can be sealed: all of the tree, or those who moderated when this profile had one.
    fn bench_keys(&mut self) -> Result<Vec<BenchKey>> {
        match self.keys_in_tree(false) {
            Err(EngineError::NotMember(_)) => {
                Ok(read(self.store, Kind::Note, self.no, BENCH)?.unwrap_or_default())
            }
            keys => keys,
        }
    }

    fn keys_in_tree(&mut self, bench_only: bool) -> Result<Vec<BenchKey>> {
        let policy = self.policy()?;
        let roster = self.roster()?.into_iter();
        let wanted = roster.filter(|leaf| !bench_only || policy.role(&leaf.member).moderates());
        let keys = wanted.filter_map(|leaf| {
            let note = leaf.companion.note?;
            let (member, name) = (leaf.member, leaf.name);
            Some(BenchKey { member, name, number: note.number, key: note.key })
        });
        Ok(keys.collect())
    }

    /// Returns those who moderate, this member apart, by the tree or by the last one that this profile had.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn bench(&mut self) -> Result<Vec<(MemberKey, String)>> {
        let me = self.me();
        let keys = match self.keys_in_tree(true) {
            Err(EngineError::NotMember(_)) => {
                read(self.store, Kind::Note, self.no, BENCH)?.unwrap_or_default()
            }
            keys => keys?,
        };
        let others = keys.into_iter().filter(|key| key.member != me);
        Ok(others.map(|key| (key.member, key.name)).collect())
    }
}
