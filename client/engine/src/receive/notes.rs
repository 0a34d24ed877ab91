//! Sealed notes that wait for their record: the time-outs that they announce, and a moderator's words to whom they remove.

use hearth_protocol::{Digest, MemberKey, Millis, codec};
use minicbor::{Decode, Encode};

use super::Result;
use crate::{
    act::Proposed,
    agreement::CLOCK_SKEW_MILLIS,
    note::{Note, Purpose, TimeOut},
    policy::{
        Act, COMMENT_CHARS_MAX, LONG_TIMEOUT_MILLIS, Proposal, Record, RoomPolicy, Second,
        proposal_digest,
    },
    room::{Room, read, write},
    state::{Notice, Row},
    store::Kind,
};

impl Room<'_> {
    /// Stores the notes for this profile until a record commits to them.
    pub(super) fn take_notes(
        &mut self,
        sender: MemberKey,
        notes: &[minicbor::bytes::ByteVec],
    ) -> Result<()> {
        let suite = self.state.suite();
        for sealed in notes {
            let key = |number| self.note_private(number).ok().flatten();
            let (room, me) = (self.id(), self.me());
            let purposes = [Purpose::TimeOut, Purpose::Removal, Purpose::Proposal];
            let note = Note::open(self.crypto, suite, &room, &me, &purposes, key, sealed);
            let Some(note) = note.filter(|note| note.from == sender) else { continue };
            match note.purpose {
                Purpose::Removal => self.save_words_of_removal(sender, &note.content)?,
                Purpose::Proposal => {
                    if let Ok(proposed) = codec::decode::<Proposed>(&note.content) {
                        self.save_proposed(&proposed)?;
                    }
                }
                _ => {
                    if let Ok(time_out) = codec::decode::<TimeOut>(&note.content) {
                        self.save_time_out(&time_out)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Stores what is proposed under the commitment that its record will name.
    pub(crate) fn save_proposed(&self, proposed: &Proposed) -> Result<()> {
        let Some(commitment) = proposed.digest() else { return Ok(()) };
        self.save_waiting(commitment)?;
        write(self.store, Kind::Note, self.no, &proposed_name(&commitment), proposed)
    }

    /// Stores a time-out under the commitment that its record will name.
    pub(crate) fn save_time_out(&self, time_out: &TimeOut) -> Result<()> {
        let commitment = time_out.commitment();
        self.save_waiting(commitment)?;
        write(self.store, Kind::Note, self.no, commitment.as_bytes(), time_out)
    }

    /// Makes place for what waits for its record.
    fn save_waiting(&self, commitment: Digest) -> Result<()> {
        let mut waiting = self.waiting_notes()?;
        waiting.retain(|other| *other != commitment);
        waiting.push(commitment);
        if waiting.len() > NOTES_MAX {
            self.delete_note(&waiting.remove(0))?;
        }
        write(self.store, Kind::Pending, self.no, NOTES, &waiting)
    }

    /// Forgets what waited for its record.
    fn drop_waiting_note(&self, commitment: &Digest) -> Result<()> {
        self.delete_note(commitment)?;
        let mut waiting = self.waiting_notes()?;
        waiting.retain(|other| other != commitment);
        write(self.store, Kind::Pending, self.no, NOTES, &waiting)
    }

    /// Deletes a time-out's note and a proposal's, because a record may name either by the other's commitment.
    fn delete_note(&self, commitment: &Digest) -> Result<()> {
        self.store.delete(Kind::Note, self.no, commitment.as_bytes())?;
        self.store.delete(Kind::Note, self.no, &proposed_name(commitment))?;
        Ok(())
    }

    /// Forgets the notes of proposals that are over: confirmed, taken back, or dropped from the policy.
    pub(super) fn take_second(&self, policy: &RoomPolicy, step: &Second) -> Result<()> {
        if let Second::Confirm { salt, what, .. } = step {
            self.drop_waiting_note(&proposal_digest(salt, what))?;
        }
        let known: Option<Vec<Proposal>> = read(self.store, Kind::Pending, self.no, PROPOSALS)?;
        for proposal in known.unwrap_or_default() {
            if policy.proposal(proposal.number).is_none() {
                self.drop_waiting_note(&proposal.digest)?;
            }
        }
        write(self.store, Kind::Pending, self.no, PROPOSALS, &policy.more.proposals().to_vec())
    }

    /// Returns the commitments of the notes that await their record, oldest first.
    pub(super) fn waiting_notes(&self) -> Result<Vec<Digest>> {
        Ok(read(self.store, Kind::Pending, self.no, NOTES)?.unwrap_or_default())
    }

    /// Keeps a moderator's last words for the case that they remove this member. The room's own words wait as long.
    fn save_words_of_removal(&self, from: MemberKey, content: &[u8]) -> Result<()> {
        let words = String::from_utf8(content.to_vec()).ok();
        let words = words.filter(|words| words.chars().count() <= COMMENT_CHARS_MAX);
        let Some(words) = words else { return Ok(()) };
        write(self.store, Kind::Pending, self.no, REMOVAL, &LastWords { from, words })
    }

    /// Returns the words that a moderator who removes this member sealed to them before; empty if there are none.
    pub(super) fn words_of_removal(&self, actor: &MemberKey) -> Result<String> {
        let kept: Option<LastWords> = read(self.store, Kind::Pending, self.no, REMOVAL)?;
        self.store.delete(Kind::Pending, self.no, REMOVAL)?;
        Ok(kept.filter(|kept| kept.from == *actor).map(|kept| kept.words).unwrap_or_default())
    }

    /// Handles the record of a time-out; returns whose it is, its end and the words, which only members with its note learn.
    pub(super) fn take_time_out(
        &mut self,
        row: &mut Row,
        commitment: &Digest,
        record: &Record,
    ) -> Result<Option<(MemberKey, Millis, String)>> {
        let known: Option<TimeOut> = read(self.store, Kind::Note, self.no, commitment.as_bytes())?;
        let Some(TimeOut { member, until, words, .. }) = known else {
            self.excuse_others()?;
            return Ok(None);
        };
        // The words stay in the addressee's row only, and go with it.
        self.drop_waiting_note(commitment)?;
        let alone = matches!(record.act, Act::Timeout(_));
        // By the relay's time, as the time-out itself, because the moderator's clock may be wrong by a year.
        if alone && until > row.said.plus(LONG_TIMEOUT_MILLIS).plus(CLOCK_SKEW_MILLIS) {
            row.notices.push(Notice::Alone);
        }
        write(self.store, Kind::Note, self.no, &time_out_name(&member), &until)?;
        if member == self.me() {
            self.state.timed_out_until = until;
            self.save_state()?;
        }
        Ok(Some((member, until, words)))
    }

    /// Returns the end of a member's time-out by the last record that this profile could open; `None` if there is none.
    ///
    /// # Errors
    /// See [`EngineError`](crate::EngineError).
    pub fn recorded_time_out(&self, member: &MemberKey) -> Result<Option<Millis>> {
        read(self.store, Kind::Note, self.no, &time_out_name(member))
    }
}

/// Names the record of what is proposed. A time-out's note has the bare commitment for a name, so no record makes a client read one as
/// the other.
pub(crate) fn proposed_name(commitment: &Digest) -> Vec<u8> {
    [b"proposed", commitment.as_bytes().as_slice()].concat()
}

/// Name of the list of proposals whose notes this profile keeps.
const PROPOSALS: &[u8] = b"proposals";

/// A moderator's words to this member, in case of a removal.
#[derive(Encode, Decode)]
struct LastWords {
    #[n(0)]
    from: MemberKey,
    #[n(1)]
    words: String,
}

/// Names the record of a moderator's last words to this member.
const REMOVAL: &[u8] = b"removal";

/// Name of the list of notes that wait for their record.
pub(super) const NOTES: &[u8] = b"notes";

/// Notes that wait at one time; a moderator who sends more loses the oldest.
pub(super) const NOTES_MAX: usize = 64;

/// Names the record of the end of a member's last time-out.
pub(super) fn time_out_name(member: &MemberKey) -> Vec<u8> {
    [b"until", member.as_bytes().as_slice()].concat()
}
