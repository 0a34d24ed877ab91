//! Incoming entries of the log: each is handled once, in order, in the transaction that moves the cursor.
//!
//! The checks here cover everything that the relay could lie about: order, completeness, repetition and authorship. A finding is
//! stored beside the entry and shown to the member.

mod message;
mod notes;
mod record;
mod stream;

pub(crate) use self::{message::counter_name, notes::proposed_name};

use hearth_protocol::{Digest, Entry, EntryContent, MemberKey, MessageId, Millis, Seq};

use super::{
    content::Body,
    error::EngineError,
    gate::Verdict,
    mls::{MlsError, Processed},
    policy::Leaf,
    quote::Proof,
    room::{Room, read, write},
    state::{Notice, Outgoing, OutgoingKind, Row, RowContent, Standing},
};
use crate::{clock::Moment, store::Kind, words::Talk};

type Result<T, E = EngineError> = std::result::Result<T, E>;

/// Names the record of the return invite after a material amendment. Each version has its own, because a facilitator may have sent
/// a text that never became official.
pub(super) fn return_name(agreement: &Digest) -> Vec<u8> {
    [b"return", agreement.as_bytes().as_slice()].concat()
}

/// Names the record of the last entry with the text of a version.
pub(super) fn text_name(agreement: &Digest) -> Vec<u8> {
    [b"text", agreement.as_bytes().as_slice()].concat()
}

/// Names the record of the last entry that admitted a member.
pub(super) const ADMITTED: &[u8] = b"admitted";

impl Room<'_> {
    /// Handles some entries in one transaction.
    ///
    /// # Errors
    /// [`EngineError::HistoryBackwards`] if an entry differs from the one delivered before; nothing is changed then.
    pub fn handle_entries(&mut self, entries: &[Entry], moment: Moment) -> Result<()> {
        if entries.iter().all(|e| e.seq <= self.cursor.seq) {
            return entries.iter().try_for_each(|e| self.check_overlap(e));
        }
        self.change(|room| {
            room.take_clocks(moment)?;
            for entry in entries {
                room.handle_entry(entry, moment)?;
            }
            room.save_floor()?;
            room.save_cursor()
        })
    }

    fn check_overlap(&self, entry: &Entry) -> Result<()> {
        if entry.seq != self.cursor.seq {
            return Ok(());
        }
        let same = match &entry.content {
            // The entry may have expired since, even after the relay answered the subscription.
            EntryContent::Expired => true,
            content => self.cursor.digest.is_none_or(|known| known == content.digest()),
        };
        same.then_some(()).ok_or(EngineError::HistoryBackwards(entry.seq))
    }

    fn handle_entry(&mut self, entry: &Entry, moment: Moment) -> Result<()> {
        if entry.seq <= self.cursor.seq {
            return self.check_overlap(entry);
        }
        let digest = entry.content.digest();
        let next = Seq(self.cursor.seq.0.saturating_add(1));
        let times = self.times_of(entry, moment)?;
        let mut row = Row {
            place: self.cursor.place(entry.seq),
            seq: entry.seq,
            at: times.shown,
            digest,
            from: None,
            name: String::new(),
            id: None,
            content: RowContent::Nothing,
            notices: Vec::new(),
            stamp: entry.at,
            arrived: times.arrived,
            said: times.said,
            talk: Talk::default(),
            changes: Vec::new(),
            shows: Vec::new(),
            proof: None,
        };
        let expired = matches!(entry.content, EntryContent::Expired);
        if entry.seq > next && !expired {
            row.notices.push(Notice::Missing { from: next });
        }
        match &entry.content {
            EntryContent::Expired => {
                // Their senders are unknown: as with a tombstone, each explains one message that is missing later.
                let gone = entry.seq.0.saturating_sub(self.cursor.seq.0);
                self.cursor.tombstones = self.cursor.tombstones.saturating_add(gone);
                // `said` stays, because the entries behind this one are not earlier.
                (row.at, row.arrived) = (Millis(0), Millis(0));
                row.notices.push(Notice::Expired { from: next });
                // The expired entries may include a retraction, a departure or the note of a time-out.
                self.cursor.unexplained.clear();
                self.excuse_all()?;
                self.doubt_outgoing()?;
            }
            EntryContent::Tombstone(_) => {
                row.content = RowContent::Tombstone { by: None, category: None };
                self.cursor.tombstones = self.cursor.tombstones.saturating_add(1);
                self.unexplained(entry.seq);
                self.doubt_outgoing()?;
            }
            EntryContent::Payload(payload) => {
                let own = self.own_outgoing(digest)?;
                match own {
                    Some((number, outgoing)) => {
                        self.handle_own(&mut row, number, outgoing, moment.own)?
                    }
                    // A member who is out can read nothing more.
                    None if self.state.standing == Standing::Member => {
                        self.handle_foreign(&mut row, payload)?;
                    }
                    None => {}
                }
                self.remember_commit(&row, payload)?;
                self.hold_back(&mut row, times.said)?;
            }
        }
        if !expired && times.contradict {
            self.tell_of_times(&mut row);
        }
        // Before the cursor moves, because a floor that is not kept yet begins there.
        self.advance_floor(&mut row, entry)?;
        self.cursor.seq = entry.seq;
        self.cursor.digest = (!expired).then_some(digest);
        self.save_row(&row)
    }

    fn handle_own(
        &mut self,
        row: &mut Row,
        number: u64,
        outgoing: Outgoing,
        now: Millis,
    ) -> Result<()> {
        let me = self.me();
        row.from = Some(me);
        row.name.clone_from(&self.state.name);
        match outgoing.what {
            OutgoingKind::Message { body, counter, seen, salt } => {
                row.id = Some(outgoing.id);
                self.cursor.vouched = seen;
                self.cursor.counter = self.cursor.counter.max(counter);
                self.remember_message(row, me, &outgoing.id)?;
                let leaving = matches!(body, Body::Depart { .. });
                let proof = Proof::of(&me, &outgoing.id, salt, &body);
                self.take_body(row, me, body)?;
                row.proof = Some(proof.beside(&row.content, &row.talk));
                if leaving {
                    self.state.standing = Standing::Left;
                    self.save_state()?;
                    // The departing member was told before that waiting messages are dropped.
                    self.clear_outgoing()?;
                    self.drop_keys()?;
                }
            }
            OutgoingKind::Commit { acknowledgement, seats: Some(seats) } => {
                self.handle_own_seats(row, acknowledgement, &seats, now)?;
            }
            OutgoingKind::Commit { acknowledgement, seats: None } => {
                let before = self.roster()?;
                let (provider, group) = self.group()?;
                group.merge_pending(&provider)?;
                // By the own clock, because the next renewal is due by it; the relay could date this one into next year.
                self.state.renewed_at = now;
                if let Some(acknowledgement) = acknowledgement {
                    self.state.acknowledgement = acknowledgement.into();
                }
                let policy = self.policy()?;
                let roster = self.with_old(&before)?;
                // A new record means that the commit changed the policy; after a bare update the old record stands.
                let record = &policy.record;
                let known = self.store.get_at(Kind::Log, self.no, record.number)?.is_some();
                if known {
                    row.content = RowContent::Renewal;
                } else {
                    self.take_record(row, &policy, &roster)?;
                }
                self.save_state()?;
            }
        }
        self.delete_outgoing(number)?;
        Ok(())
    }

    fn handle_foreign(&mut self, row: &mut Row, payload: &[u8]) -> Result<()> {
        if self.take_resent(row)? {
            return Ok(());
        }
        if self.state.lane.is_some() {
            return self.handle_lane(row, payload);
        }
        let room = self.id();
        let roster = self.roster()?;
        let (provider, group) = self.group()?;
        let processed = match group.process(&provider, room, payload) {
            Ok(processed) => processed,
            Err(MlsError::Invalid | MlsError::WrongEpoch | MlsError::Refused(_)) => {
                let notice = self.note_unusable(row, payload)?;
                row.notices.push(notice);
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        match processed {
            Processed::Own => {
                row.from = Some(self.me());
                row.name.clone_from(&self.state.name);
                row.notices.push(Notice::NotMine);
                // A copy of this profile has used keys that this one would reuse: a renewal is due first.
                self.state.renewed_at = Millis(0);
                self.save_state()?;
            }
            Processed::Application { sender, content, marked } => {
                name_row(row, &roster, sender);
                match marked {
                    Some(marked) => self.take_application(row, sender, &content, marked)?,
                    None => row.notices.push(Notice::Unreadable),
                }
            }
            Processed::RefusedCommit { committer, refusal } => {
                name_row(row, &roster, committer);
                row.notices.push(Notice::RefusedCommit(refusal.to_string()));
                self.note_unusable(row, payload)?;
            }
            Processed::Commit { staged, verdict, removes_me } => {
                self.give_up_commit()?;
                let (provider, group) = self.group()?;
                group.merge(&provider, *staged)?;
                match verdict {
                    Verdict::Update(member) => {
                        name_row(row, &roster, member);
                        row.content = RowContent::Renewal;
                    }
                    Verdict::Moderated(applied) => {
                        name_row(row, &roster, applied.policy.record.actor);
                        let after = if removes_me { roster } else { self.with_old(&roster)? };
                        self.take_record(row, &applied.policy, &after)?;
                        if removes_me {
                            self.take_removal(&applied)?;
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Recognises an entry that this profile read before the relay was restored from a copy without it: its author, whose answer was
    /// lost with the entry, sent the same bytes again. Each is recognised once, because anything more is the relay's replay.
    fn take_resent(&self, row: &mut Row) -> Result<bool> {
        if self.cursor.breaks.is_empty() {
            return Ok(false);
        }
        let Some(known) = self.last_with(row.digest)? else { return Ok(false) };
        let is_gone = self.cursor.place(known.seq) != known.place;
        if !is_gone || !known.was_read() {
            return Ok(false);
        }
        (row.from, row.name) = (known.from, known.name);
        row.notices.push(Notice::Duplicate);
        write(self.store, Kind::Commit, self.no, &row.digest.0, &row.place)?;
        Ok(true)
    }

    /// Returns the last row that is remembered by its digest: of a commit, or of an entry that a restored relay lacked.
    fn last_with(&self, digest: Digest) -> Result<Option<Row>> {
        let place: Option<Seq> = read(self.store, Kind::Commit, self.no, &digest.0)?;
        Ok(place.map(|place| self.row_at(place)).transpose()?.flatten())
    }

    /// Returns the seq of a message in the relay's present log; `None` if a restored relay lacks it.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn present_seq(&self, row: &Row) -> Result<Option<Seq>> {
        let is_present = |row: &Row| self.cursor.place(row.seq) == row.place;
        if is_present(row) {
            return Ok(Some(row.seq));
        }
        let again = self.last_with(row.digest)?.filter(is_present);
        Ok(again.map(|again| again.seq))
    }

    /// Returns the row that shows a message, given one at its seq: the first copy's, if it came again.
    pub(crate) fn shown_row(&self, row: Row, message: &MessageId) -> Result<Row> {
        if !row.notices.contains(&Notice::Duplicate) {
            return Ok(row);
        }
        let first = self.uses_of(message)?.into_iter().find(|by| Some(by.sender) == row.from);
        let first = first.map(|first| self.row_at(first.place)).transpose()?.flatten();
        Ok(first.unwrap_or(row))
    }

    /// Returns the roster after a commit plus the members that it removed, whose names the row still needs.
    fn with_old(&mut self, before: &[Leaf]) -> Result<Vec<Leaf>> {
        let mut roster = self.roster()?;
        for leaf in before {
            if !roster.iter().any(|l| l.member == leaf.member) {
                roster.push(leaf.clone());
            }
        }
        Ok(roster)
    }

    /// Returns a member's name, or the short form of their key if they are not in the room.
    fn name_of(&mut self, member: &MemberKey) -> Result<String> {
        let leaf = self.roster()?.into_iter().find(|leaf| leaf.member == *member);
        Ok(leaf.map_or_else(|| member.short(), |leaf| leaf.name))
    }
}

pub(crate) fn name_row(row: &mut Row, roster: &[Leaf], member: MemberKey) {
    row.from = Some(member);
    if let Some(leaf) = roster.iter().find(|l| l.member == member) {
        row.name.clone_from(&leaf.name);
    }
}
