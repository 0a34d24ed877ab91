//! Notes that this profile reads: judged, kept, and remembered so that none is read twice.

use hearth_protocol::{MemberKey, MessageId, Millis, NoteId, codec};
use minicbor::{Decode, Encode};

use super::{FORMER_MILLIS, Result};
use crate::{
    content::Body,
    lane::OFFERS_MAX,
    mls::hpke,
    note::{Note, Purpose},
    private::{Private, SeenState},
    room::{Room, read, write},
    store::Kind,
};

/// Notes that are kept; the oldest gives way.
const KEPT_MAX: usize = 512;
/// Bytes of a sealed note that say its key's number.
const NUMBER_BYTES: usize = 4;

const KEPT: &[u8] = b"kept notes";

/// A note that was read.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct KeptNote {
    /// Its id; of a call for help, that of the call.
    #[n(0)]
    pub id: MessageId,
    /// Its author.
    #[n(1)]
    pub from: MemberKey,
    /// The author's name.
    #[n(2)]
    pub name: String,
    /// What it is for.
    #[n(3)]
    pub purpose: Purpose,
    /// When it was read, by the own clock.
    #[n(4)]
    pub at: Millis,
    /// What it says.
    #[n(5)]
    pub private: Private,
    /// The key for one answer.
    #[n(6)]
    pub reply_key: Option<minicbor::bytes::ByteVec>,
    /// What was answered.
    #[n(7)]
    pub answered: Option<SeenState>,
}

/// What became of a note. The relay may drop it, whatever it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TakenNote {
    /// It is kept.
    Kept(Box<KeptNote>),
    /// Its offers for lanes are kept.
    Offers,
    /// It came before.
    Again,
    /// It does not open, does not verify, or means nothing from its author.
    Unread,
}

fn kept_name(id: &MessageId, from: &MemberKey) -> Vec<u8> {
    [b"kept".as_slice(), id.as_bytes(), from.as_bytes()].concat()
}

impl Room<'_> {
    /// Reads a note as the relay delivers it, and keeps what counts. Nothing of it is lost after that.
    ///
    /// # Errors
    /// See [`crate::EngineError`].
    pub fn take_note(&mut self, id: NoteId, sealed: &[u8], now: Millis) -> Result<TakenNote> {
        self.change(|room| room.read_note(MessageId(id.0), sealed, now))
    }

    fn read_note(&mut self, id: MessageId, sealed: &[u8], now: Millis) -> Result<TakenNote> {
        let Some(number) = sealed.first_chunk::<NUMBER_BYTES>() else {
            return Ok(TakenNote::Unread);
        };
        let number = u32::from_be_bytes(*number);
        let sealed = [id.as_bytes().as_slice(), sealed].concat();
        if number == 0 {
            return self.read_answer(&sealed, now);
        }
        let private = self.note_private(number)?;
        let (room, me, suite) = (self.id(), self.me(), self.state.suite());
        let purposes = [Purpose::Report, Purpose::Flag, Purpose::Offer];
        let note = Note::open(self.crypto, suite, &room, &me, &purposes, |_| private, &sealed);
        let Some(note) = note else { return Ok(TakenNote::Unread) };
        let Some(name) = self.author_of(&note.from, now)? else { return Ok(TakenNote::Unread) };
        if self.note_came_before(number, &id)? {
            return Ok(TakenNote::Again);
        }
        let Ok(body) = codec::decode::<Body>(&note.content) else { return Ok(TakenNote::Unread) };
        let body = match (note.purpose, body) {
            (Purpose::Offer, Body::Offers(offers)) => {
                for offer in offers.into_iter().take(OFFERS_MAX) {
                    self.keep_offer(note.from, offer, now)?;
                }
                return Ok(TakenNote::Offers);
            }
            (_, body) => body,
        };
        // Reports and calls for help are for those who moderate.
        let moderates = self.my_role().is_ok_and(hearth_protocol::Role::moderates);
        let fits = |private: &Private| match note.purpose {
            Purpose::Flag => matches!(private, Private::Flag(_)),
            Purpose::Report => matches!(private, Private::Report(_)),
            _ => false,
        };
        match Private::of(body) {
            Ok(private) if moderates && fits(&private) && private.is_well_formed() => self
                .keep_note(KeptNote {
                    id,
                    from: note.from,
                    name,
                    purpose: note.purpose,
                    at: now,
                    private,
                    reply_key: note.reply_key,
                    answered: None,
                }),
            _ => Ok(TakenNote::Unread),
        }
    }

    /// Reads an answer: it counts for the note whose key opens it, and from that note's reader alone.
    fn read_answer(&mut self, sealed: &[u8], now: Millis) -> Result<TakenNote> {
        let (room, me, suite) = (self.id(), self.me(), self.state.suite());
        for sent in self.sent_notes()? {
            let Some(seed) = &sent.reply_seed else { continue };
            let key = |_| Some(hpke::key_pair(self.crypto, suite, seed.expose())?.0);
            let note = Note::open(self.crypto, suite, &room, &me, &[Purpose::Answer], key, sealed);
            let Some(note) = note.filter(|note| note.from == sent.to) else { continue };
            let Ok(body) = codec::decode::<Body>(&note.content) else { break };
            let Ok(private) = Private::of(body) else { break };
            let answers = matches!(&private, Private::Seen(seen) if seen.message == sent.id);
            if !answers || !private.is_well_formed() {
                break;
            }
            // Used once: the key goes with the answer.
            self.forget_sent(&sent.id, &sent.to)?;
            return self.keep_note(KeptNote {
                id: note.id,
                from: note.from,
                name: sent.name,
                purpose: Purpose::Answer,
                at: now,
                private,
                reply_key: None,
                answered: None,
            });
        }
        Ok(TakenNote::Unread)
    }

    /// Returns the name of somebody whose notes are read: who is in the tree, or was within 30 days.
    fn author_of(&mut self, from: &MemberKey, now: Millis) -> Result<Option<String>> {
        if let Some(leaf) = self.roster()?.into_iter().find(|leaf| leaf.member == *from) {
            return Ok(Some(leaf.name));
        }
        let Some(since) = self.roll().out_since(from)? else { return Ok(None) };
        if now >= since.plus(FORMER_MILLIS) {
            return Ok(None);
        }
        Ok(self.roll().known(from)?.map(|(name, _)| name))
    }

    /// Returns the notes that are kept, oldest first.
    ///
    /// # Errors
    /// See [`crate::EngineError`].
    pub fn notes(&self) -> Result<Vec<KeptNote>> {
        let all = self.kept_index()?.into_iter();
        let notes =
            all.map(|(id, from)| read(self.store, Kind::Note, self.no, &kept_name(&id, &from)));
        notes.filter_map(Result::transpose).collect()
    }

    fn kept_index(&self) -> Result<Vec<(MessageId, MemberKey)>> {
        Ok(read(self.store, Kind::Note, self.no, KEPT)?.unwrap_or_default())
    }

    fn keep_note(&self, note: KeptNote) -> Result<TakenNote> {
        let mut all = self.kept_index()?;
        all.retain(|other| *other != (note.id, note.from));
        while all.len() >= KEPT_MAX {
            // The sender with the most notes here loses one, so that a flood drops no other member's call for help.
            let count = |from: &MemberKey| all.iter().filter(|(_, other)| other == from).count();
            let fullest = all.iter().map(|(_, from)| (count(from), *from)).max();
            let at =
                all.iter().position(|(_, from)| fullest.is_some_and(|(_, most)| most == *from));
            let (id, from) = all.remove(at.unwrap_or(0));
            self.store.delete(Kind::Note, self.no, &kept_name(&id, &from))?;
        }
        all.push((note.id, note.from));
        write(self.store, Kind::Note, self.no, KEPT, &all)?;
        write(self.store, Kind::Note, self.no, &kept_name(&note.id, &note.from), &note)?;
        Ok(TakenNote::Kept(Box::new(note)))
    }

    /// Notes that a note was answered; its key is used.
    pub(super) fn answered(
        &self,
        id: &MessageId,
        from: &MemberKey,
        state: SeenState,
    ) -> Result<()> {
        let name = kept_name(id, from);
        let Some(mut note) = read::<KeptNote>(self.store, Kind::Note, self.no, &name)? else {
            return Ok(());
        };
        (note.reply_key, note.answered) = (None, Some(state));
        write(self.store, Kind::Note, self.no, &name, &note)
    }

    /// Deletes notes for as long as whose kind the room keeps nothing.
    pub(super) fn tidy_kept(&mut self, now: Millis) -> Result<()> {
        let kept = self.kept_index()?;
        if kept.is_empty() {
            return Ok(());
        }
        let retention = self.policy().ok().map(|policy| policy.numbers.retention_seconds);
        let Some(retention) = retention.filter(|seconds| *seconds > 0) else { return Ok(()) };
        let mut left = Vec::new();
        for note in self.notes()? {
            if now < note.at.plus(retention.saturating_mul(1000)) {
                left.push((note.id, note.from));
            } else {
                self.store.delete(Kind::Note, self.no, &kept_name(&note.id, &note.from))?;
            }
        }
        if left.len() < kept.len() {
            write(self.store, Kind::Note, self.no, KEPT, &left)?;
        }
        Ok(())
    }
}
