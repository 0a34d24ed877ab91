//! Incoming entries of the log: each is handled once, in order, in the transaction that moves the cursor.
//!
//! The checks here cover everything that the relay could lie about: order, completeness, repetition and authorship. A finding is
//! stored beside the entry and shown to the member.

use hearth_protocol::{
    Digest, Entry, EntryContent, MemberKey, MessageId, Millis, Role, Seq, StreamId, codec, invite,
    mls_header::{self, ContentType},
};
use minicbor::{Decode, Encode};

use super::{
    content::{Body, ContentError, Envelope, Head, LaterKind},
    error::EngineError,
    gate::Verdict,
    mls::{MlsError, Processed, hpke},
    note::{Note, Purpose, TimeOut},
    policy::{Act, Applied, Category, Leaf, RoomPolicy},
    room::{Room, decode, read, write},
    state::{
        Break, Countersignature, KnownInvite, Notice, Outgoing, OutgoingKind, ReturnInvite, Row,
        RowContent, Standing,
    },
};
use crate::{clock::Moment, store::Kind};

type Result<T, E = EngineError> = std::result::Result<T, E>;

/// Name of the list of notes that wait for their record.
const NOTES: &[u8] = b"notes";
/// Notes that wait at one time; a moderator who sends more loses the oldest.
const NOTES_MAX: usize = 64;

/// Names the record of the unknown kinds of messages that the member was told of.
const LATER: &[u8] = b"later";
/// Kinds told at most, because a member can invent any number of them.
const LATER_KINDS_MAX: usize = 32;

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
    /// Compares the relay's word on its log with what this profile has seen.
    ///
    /// Returns whether the relay's store has a new identity: it was moved, or restored from a copy. The caller accepts that
    /// with [`Self::accept_stream`], only after the relay has delivered our last entry again.
    ///
    /// # Errors
    /// [`EngineError::HistoryBackwards`] if entries that we have are gone; [`EngineError::StreamChanged`] if the
    /// store is a new one and there is no entry to compare.
    pub fn check_stream(&mut self, stream: StreamId, head: Seq, floor: Seq) -> Result<bool> {
        // A floor above the head is impossible, and would move the cursor to where no entry ever comes.
        if head < self.cursor.seq || floor > head {
            return Err(EngineError::HistoryBackwards(self.cursor.seq));
        }
        let moved = match self.cursor.stream {
            Some(known) if known != stream => {
                if self.subscribe_after() == self.cursor.seq || floor >= self.cursor.seq {
                    return Err(EngineError::StreamChanged);
                }
                true
            }
            Some(_) => false,
            None => {
                self.accept_stream(stream)?;
                false
            }
        };
        self.cursor.floor = floor;
        Ok(moved)
    }

    /// Stores the identity of the relay's store.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn accept_stream(&mut self, stream: StreamId) -> Result<()> {
        self.cursor.stream = Some(stream);
        self.save_cursor()
    }

    /// Compares an entry that the relay shows with the one that this profile has at its place. `None` where there is nothing to
    /// compare: it has expired here or there.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn had_entry(&self, entry: &Entry) -> Result<Option<bool>> {
        if entry.content == EntryContent::Expired {
            return Ok(None);
        }
        let row = self.row(entry.seq)?.filter(|row| !row.is_unknown());
        Ok(row.map(|row| row.digest == entry.content.digest()))
    }

    /// Goes on with a relay that was restored from an older copy, by the member's decision: from the last entry that both have.
    ///
    /// Nothing of this profile's history is dropped.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn adopt_stream(&mut self, stream: StreamId, common: Seq) -> Result<()> {
        // What this profile has stays where it is; what comes now goes behind it.
        let newest = self.store.last(Kind::History, self.no)?.map_or(0, |(place, _)| place);
        let last = self.cursor.place(self.cursor.seq).max(Seq(newest));
        // Their authors may send the same bytes again.
        let gone = self.cursor.place(common).0.saturating_add(1);
        for (_, row) in self.store.range(Kind::History, self.no, gone, usize::MAX)? {
            let row: Row = decode(&row)?;
            if row.was_read() {
                write(self.store, Kind::Commit, self.no, &row.digest.0, &row.place)?;
            }
        }
        self.cursor.breaks.retain(|b| b.after < common);
        self.cursor.breaks.push(Break { after: common, base: last.0.saturating_sub(common.0) });
        self.cursor.stream = Some(stream);
        self.cursor.seq = common;
        self.cursor.digest = None;
        self.cursor.vouched = common;
        self.cursor.split = None;
        self.cursor.unexplained.clear();
        self.drop_retractions()?;
        self.save_cursor()
    }

    /// Whether this profile saw the commit that used its epoch up, and no member who went on from there.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn saw_epoch_used_up(&mut self) -> Result<bool> {
        let epoch = self.epoch()?;
        Ok(self.cursor.used_up == Some(epoch) && !self.is_left_behind()?)
    }

    /// Stores what an unusable entry says of epochs, and returns the notice for members who cannot read it.
    fn note_unusable(&mut self, row: &Row, payload: &[u8]) -> Result<Notice> {
        let header = mls_header::parse(payload).filter(|header| header.room == self.id());
        let Some(header) = header else { return Ok(Notice::Unreadable) };
        let epoch = self.epoch()?;
        let commit = header.content == ContentType::Commit;
        if header.epoch > epoch {
            self.cursor.left_behind = Some(header.epoch);
        } else if commit && header.epoch == epoch {
            self.cursor.used_up = Some(epoch);
        } else if commit && !self.had_commit(row.digest)? {
            // An honest relay accepts one commit for each epoch, unless a facilitator reopened the epoch.
            self.cursor.split.get_or_insert(row.seq);
            return Ok(Notice::Split);
        }
        Ok(Notice::Unreadable)
    }

    /// Whether a commit was in the log before, as far back as this profile's history goes.
    fn had_commit(&self, digest: Digest) -> Result<bool> {
        Ok(self.store.get(Kind::Commit, self.no, &digest.0)?.is_some())
    }

    /// Remembers a commit, whatever its outcome, for as long as its row exists. After a restored backup, entries that the relay lacks
    /// are remembered in the same way.
    fn remember_commit(&self, row: &Row, payload: &[u8]) -> Result<()> {
        let header = mls_header::parse(payload).filter(|header| header.room == self.id());
        if header.is_some_and(|header| header.content == ContentType::Commit) {
            write(self.store, Kind::Commit, self.no, &row.digest.0, &row.place)?;
        }
        Ok(())
    }

    /// Whether others went on without this profile, as far as entries show.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn is_left_behind(&mut self) -> Result<bool> {
        let epoch = self.epoch()?;
        Ok(self.cursor.left_behind.is_some_and(|other| other > epoch))
    }

    /// Forgets that the room seemed to have split or gone on without this profile, by the member's decision.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn go_on(&mut self) -> Result<()> {
        (self.cursor.split, self.cursor.left_behind, self.cursor.used_up) = (None, None, None);
        self.save_cursor()
    }

    /// Returns the position to subscribe at: one entry back, so that the relay must deliver its last entry again.
    pub fn subscribe_after(&self) -> Seq {
        if self.cursor.digest.is_some() && self.cursor.seq > self.state.joined {
            Seq(self.cursor.seq.0.saturating_sub(1))
        } else {
            self.cursor.seq
        }
    }

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
            OutgoingKind::Message { body, counter, seen } => {
                row.id = Some(outgoing.id);
                self.cursor.vouched = seen;
                self.cursor.counter = self.cursor.counter.max(counter);
                self.remember_message(row, me, &outgoing.id)?;
                let leaving = matches!(body, Body::Depart { .. });
                self.take_body(row, me, body)?;
                if leaving {
                    self.state.standing = Standing::Left;
                    self.save_state()?;
                    // The departing member was told before that waiting messages are dropped.
                    self.clear_outgoing()?;
                    self.drop_keys()?;
                }
            }
            OutgoingKind::Commit { acknowledgement } => {
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
    fn shown_row(&self, row: Row, message: &MessageId) -> Result<Row> {
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

    fn take_application(
        &mut self,
        row: &mut Row,
        sender: MemberKey,
        padded: &[u8],
        marked: bool,
    ) -> Result<()> {
        let (head, body, later) = match Envelope::from_padded(padded, marked) {
            Ok(Envelope { id, counter, seen, body, .. }) => {
                (Head { id, counter, seen }, Some(body), None)
            }
            Err(ContentError::Later(head, kind)) => (*head, None, Some(kind)),
            Err(ContentError::Mark(head)) => {
                row.notices.push(Notice::Mark);
                (*head, None, None)
            }
            Err(_) => {
                row.notices.push(Notice::Unreadable);
                return Ok(());
            }
        };
        // RFC 9750 section 8: MLS does not stop one member from encrypting another's message again; the id does.
        let known = self.uses_of(&head.id)?.iter().any(|by| by.sender == sender);
        if known {
            row.notices.push(Notice::Duplicate);
            return Ok(());
        }
        self.remember_message(row, sender, &head.id)?;
        row.id = Some(head.id);
        self.check_counter(row, sender, head.counter)?;
        self.check_seen(row, sender, head.seen.as_ref())?;
        match (body, later) {
            (Some(body), _) => self.take_body(row, sender, body),
            (None, Some(kind)) => self.take_later(row, kind),
            (None, None) => Ok(()),
        }
    }

    /// Shows one message of each later kind, without its content, which this version cannot show.
    fn take_later(&self, row: &mut Row, kind: LaterKind) -> Result<()> {
        let told: Option<Vec<LaterKind>> = read(self.store, Kind::Seen, self.no, LATER)?;
        let mut told = told.unwrap_or_default();
        if told.len() < LATER_KINDS_MAX && !told.contains(&kind) {
            told.push(kind);
            write(self.store, Kind::Seen, self.no, LATER, &told)?;
            row.content = RowContent::Unknown;
        }
        Ok(())
    }

    /// Stores the sender and place of a message id, and notices if another member's message has the same id.
    ///
    /// The sender counts beside the id, so that a member who learns another's id early cannot use it first and make the other's message
    /// look like the copy.
    fn remember_message(&mut self, row: &mut Row, sender: MemberKey, id: &MessageId) -> Result<()> {
        let mut uses = self.uses_of(id)?;
        if let Some(first) = uses.iter().find(|by| by.sender != sender).copied() {
            let by = self.name_of(&first.sender)?;
            row.notices.push(Notice::SameId { seq: first.place, by });
        }
        uses.retain(|by| by.sender != sender);
        uses.push(IdUse { sender, place: row.place });
        write(self.store, Kind::Seen, self.no, id.as_bytes(), &uses)
    }

    /// Returns the messages with an id, first come first.
    pub(super) fn uses_of(&self, id: &MessageId) -> Result<Vec<IdUse>> {
        Ok(read(self.store, Kind::Seen, self.no, id.as_bytes())?.unwrap_or_default())
    }

    /// Returns a member's name, or the short form of their key if they are not in the room.
    fn name_of(&mut self, member: &MemberKey) -> Result<String> {
        let leaf = self.roster()?.into_iter().find(|leaf| leaf.member == *member);
        Ok(leaf.map_or_else(|| member.short(), |leaf| leaf.name))
    }

    fn check_counter(&mut self, row: &mut Row, sender: MemberKey, counter: u64) -> Result<()> {
        let name = counter_name(&sender);
        let known: Option<u64> = read(self.store, Kind::Seen, self.no, &name)?;
        if let Some(known) = known {
            if counter <= known {
                row.notices.push(Notice::CounterReused);
                return Ok(());
            }
            let missing = counter - known - 1;
            // A tombstone hides its sender, so each explains one missing message.
            let explained = missing.min(self.cursor.tombstones);
            self.cursor.tombstones -= explained;
            if missing > explained {
                row.notices.push(Notice::Gap(missing - explained));
            }
        }
        write(self.store, Kind::Seen, self.no, &name, &counter)
    }

    fn take_body(&mut self, row: &mut Row, sender: MemberKey, body: Body) -> Result<()> {
        match body {
            Body::Text(text) => row.content = RowContent::Text(text),
            Body::Retract { message, seq } => {
                self.take_retraction(row, sender, message, seq)?;
            }
            Body::Depart { departure } => {
                if departure.member != sender || !departure.verify(&self.id()) {
                    row.notices.push(Notice::FalseDeparture);
                    return Ok(());
                }
                let leaf = self.roster()?.into_iter().find(|leaf| leaf.member == sender);
                let ends = leaf.map(|leaf| leaf.acknowledgement.digest());
                if ends != Some(departure.acknowledgement) {
                    row.notices.push(Notice::FalseDeparture);
                    return Ok(());
                }
                row.content = RowContent::Goodbye { withdrawn: departure.withdrawn };
                write(self.store, Kind::Pending, self.no, sender.as_bytes(), &departure)?;
            }
            Body::InviteIssued { invite, knock_key, uses, expires, role } => {
                // A co-facilitator who announced such an invite would appoint a moderator through the admitting facilitator.
                let by = self.policy()?.role(&sender);
                let may = by == Role::Facilitator || (by.moderates() && !role.moderates());
                if !may {
                    row.notices.push(Notice::Unreadable);
                    return Ok(());
                }
                let vouched = Some(self.policy()?.moderators());
                let known = KnownInvite { invite, knock_key, role, expires, by: sender, vouched };
                if self.take_invite(row, &known)? {
                    row.content = RowContent::InviteIssued { uses, expires };
                }
            }
            Body::AgreementText { agreement, return_secret, return_expires } => {
                let id = agreement.id();
                let policy = self.policy()?;
                let role = policy.role(&sender);
                let issues = role == Role::Facilitator && agreement.signer == sender;
                // A moderator who admits a member repeats the text of the coming version, for which its id in the policy vouches.
                let repeats = role.moderates() && policy.pending.is_some_and(|p| p.id == id);
                if !issues && !repeats {
                    row.notices.push(Notice::Unreadable);
                    return Ok(());
                }
                write(self.store, Kind::Pending, self.no, &text_name(&id), &row.seq)?;
                let known: Option<ReturnInvite> =
                    read(self.store, Kind::Pending, self.no, &return_name(&id))?;
                if let Some(known) = known.filter(|_| repeats) {
                    if known.secret.expose() != return_secret.expose() {
                        let by = self.name_of(&agreement.signer)?;
                        row.notices.push(Notice::SecondInvite { by });
                    }
                    return Ok(());
                }
                self.save_agreement(&agreement)?;
                // Announced together, so that no later announcement can differ.
                let token = invite::invite_token(&return_secret);
                let known = KnownInvite {
                    invite: invite::invite_id(&token),
                    knock_key: invite::knock_key(&return_secret),
                    role: Role::Member,
                    expires: return_expires,
                    by: sender,
                    // Its preview is made when the amendment takes effect.
                    vouched: None,
                };
                self.take_invite(row, &known)?;
                let back =
                    ReturnInvite { agreement: id, secret: return_secret, expires: return_expires };
                write(self.store, Kind::Pending, self.no, &return_name(&id), &back)?;
                row.content = RowContent::AgreementText(id);
            }
            Body::Sealed { notes } => {
                let moderates = self.policy()?.role(&sender).moderates();
                if !moderates {
                    row.notices.push(Notice::Unreadable);
                    return Ok(());
                }
                self.take_notes(sender, &notes)?;
            }
        }
        Ok(())
    }

    /// Writes a record of moderation into log and history, and carries out its effects on this profile.
    pub(super) fn take_record(
        &mut self,
        row: &mut Row,
        policy: &RoomPolicy,
        roster: &[Leaf],
    ) -> Result<()> {
        let record = &policy.record;
        self.save_record(record)?;
        let name_of = |member: &MemberKey| {
            roster.iter().find(|l| l.member == *member).map(|l| l.name.clone()).unwrap_or_default()
        };
        let mut target = String::new();
        let mut content = None;
        match &record.act {
            Act::Admit { member, .. } => {
                target = name_of(member);
                // A member who returns under the same key, after lapsing, counts from one again.
                self.forget_member(member)?;
                write(self.store, Kind::Pending, self.no, ADMITTED, &row.seq)?;
                if *member != self.me() {
                    // A member who sees the admission would miss even the newcomer's first message.
                    write(self.store, Kind::Seen, self.no, &counter_name(member), &0_u64)?;
                }
            }
            Act::SetRole { member, role } => {
                target = name_of(member);
                if role.moderates() {
                    // A moderator has no time-out; the relay gives them none, either.
                    self.store.delete(Kind::Note, self.no, &time_out_name(member))?;
                    if *member == self.me() {
                        self.state.timed_out_until = Millis(0);
                        self.save_state()?;
                    }
                }
                if *member == self.me() {
                    // This profile did not get the notes of time-outs from before it moderated.
                    self.excuse_others()?;
                    self.drop_stale_texts(policy)?;
                    self.hold_overlong_texts(policy)?;
                }
            }
            Act::Remove { member, .. } => {
                target = name_of(member);
                self.forget_member(member)?;
            }
            Act::Depart(departure) => {
                target = name_of(&departure.member);
                self.forget_member(&departure.member)?;
            }
            Act::Retract { message, seq, category } => {
                self.explain(*seq, record.actor, Some(*category))?;
                let hit = self.row(*seq)?.map(|row| self.shown_row(row, message)).transpose()?;
                if let Some(mut hit) = hit.filter(|row| row.id == Some(*message)) {
                    target.clone_from(&hit.name);
                    hit.content =
                        RowContent::Tombstone { by: Some(record.actor), category: Some(*category) };
                    self.save_row(&hit)?;
                }
            }
            Act::Timeout(commitment) | Act::Untimeout(commitment) => {
                content = self.take_time_out(commitment)?;
            }
            Act::Amend { .. } | Act::Enact => {
                if matches!(record.act, Act::Enact) {
                    self.vouch_for_return(policy)?;
                }
                self.state.agreement = policy.agreement.id;
                self.save_state()?;
                self.drop_stale_texts(policy)?;
            }
            Act::Withdraw => self.drop_stale_texts(policy)?,
            Act::Length(_) => self.hold_overlong_texts(policy)?,
            _ => {}
        }
        row.content =
            content.unwrap_or_else(|| RowContent::Moderation { record: record.clone(), target });
        Ok(())
    }

    /// Drops texts of an agreement from the outbox that no longer count, because every member would be told of them.
    fn drop_stale_texts(&mut self, policy: &RoomPolicy) -> Result<()> {
        let (me, pending) = (self.me(), policy.pending.map(|p| p.id));
        let role = policy.role(&me);
        for (number, outgoing) in self.outgoing()? {
            if let OutgoingKind::Message { body: Body::AgreementText { agreement, .. }, .. } =
                &outgoing.what
            {
                let issues = role == Role::Facilitator && agreement.signer == me;
                let repeats = role.moderates() && pending == Some(agreement.id());
                // A text with a payload may be in the log already.
                if !issues && !repeats && outgoing.payload.is_empty() {
                    self.delete_outgoing(number)?;
                }
            }
        }
        Ok(())
    }

    /// Retracts the sender's own message. Any other retraction by a member changes nothing and is reported with their name.
    fn take_retraction(
        &mut self,
        row: &mut Row,
        sender: MemberKey,
        message: MessageId,
        seq: Seq,
    ) -> Result<()> {
        let target = self.row(seq)?.map(|row| self.shown_row(row, &message)).transpose()?;
        let known = target.as_ref().and_then(|target| target.from);
        let is_theirs = target.as_ref().is_none_or(|target| target.id == Some(message));
        let false_one = known.is_some_and(|from| from != sender || !is_theirs) || seq >= row.seq;
        if false_one {
            row.notices.push(Notice::FalseRetraction);
            return Ok(());
        }
        self.explain(seq, sender, None)?;
        if let Some(mut target) = target.filter(|_| known == Some(sender)) {
            target.content = RowContent::Tombstone { by: Some(sender), category: None };
            self.save_row(&target)?;
        }
        row.content = RowContent::Retraction(message);
        Ok(())
    }

    /// Records who retracted an entry that the relay delivered as a tombstone.
    fn explain(&mut self, seq: Seq, by: MemberKey, category: Option<Category>) -> Result<()> {
        if !self.cursor.unexplained.contains(&seq) {
            return Ok(());
        }
        self.cursor.unexplained.retain(|other| *other != seq);
        if let Some(mut row) = self.row(seq)?
            && matches!(row.content, RowContent::Tombstone { by: None, .. })
        {
            row.content = RowContent::Tombstone { by: Some(by), category };
            self.save_row(&row)?;
        }
        Ok(())
    }

    /// Stores who moderates when the return invite for lapsed members is made.
    fn vouch_for_return(&self, policy: &RoomPolicy) -> Result<()> {
        let back: Option<ReturnInvite> =
            read(self.store, Kind::Pending, self.no, &return_name(&policy.agreement.id))?;
        let Some(back) = back else { return Ok(()) };
        let id = invite::invite_id(&invite::invite_token(&back.secret));
        let known: Option<KnownInvite> = read(self.store, Kind::Invite, self.no, id.as_bytes())?;
        let Some(known) = known else { return Ok(()) };
        let vouched = Some(policy.moderators());
        write(self.store, Kind::Invite, self.no, id.as_bytes(), &KnownInvite { vouched, ..known })
    }

    /// Stores the key that opens an invite's knocks. The first announcement counts; returns whether this is it.
    fn take_invite(&mut self, row: &mut Row, invite: &KnownInvite) -> Result<bool> {
        let name = *invite.invite.as_bytes();
        let first: Option<KnownInvite> = read(self.store, Kind::Invite, self.no, &name)?;
        let Some(first) = first else {
            write(self.store, Kind::Invite, self.no, &name, invite)?;
            return Ok(true);
        };
        let same = first.knock_key.expose() == invite.knock_key.expose()
            && first.role == invite.role
            && first.by == invite.by;
        if !same {
            let by = self.name_of(&first.by)?;
            row.notices.push(Notice::SecondInvite { by });
        }
        Ok(false)
    }

    /// Stores the notes for this profile until a record commits to them.
    fn take_notes(&mut self, sender: MemberKey, notes: &[minicbor::bytes::ByteVec]) -> Result<()> {
        let suite = self.state.suite();
        for sealed in notes {
            let own = &self.state.companion;
            let key = |number| {
                let pair = (number == own.number)
                    .then(|| hpke::key_pair(self.crypto, suite, own.seed.expose()));
                Some(pair??.0)
            };
            let (room, me) = (self.id(), self.me());
            let note = Note::open(self.crypto, suite, &room, &me, Purpose::TimeOut, key, sealed);
            let Some(note) = note.filter(|note| note.from == sender) else { continue };
            if let Ok(time_out) = codec::decode::<TimeOut>(&note.content) {
                self.save_time_out(&time_out)?;
            }
        }
        Ok(())
    }

    /// Stores a time-out under the commitment that its record will name.
    pub(super) fn save_time_out(&self, time_out: &TimeOut) -> Result<()> {
        let commitment = time_out.commitment();
        let mut waiting = self.waiting_notes()?;
        waiting.retain(|other| *other != commitment);
        waiting.push(commitment);
        if waiting.len() > NOTES_MAX {
            let oldest = waiting.remove(0);
            self.store.delete(Kind::Note, self.no, oldest.as_bytes())?;
        }
        write(self.store, Kind::Pending, self.no, NOTES, &waiting)?;
        write(self.store, Kind::Note, self.no, commitment.as_bytes(), time_out)
    }

    /// Returns the commitments of the notes that await their record, oldest first.
    fn waiting_notes(&self) -> Result<Vec<Digest>> {
        Ok(read(self.store, Kind::Pending, self.no, NOTES)?.unwrap_or_default())
    }

    /// Handles the record of a time-out: only members with its note learn whose it is.
    fn take_time_out(&mut self, commitment: &Digest) -> Result<Option<RowContent>> {
        let known: Option<TimeOut> = read(self.store, Kind::Note, self.no, commitment.as_bytes())?;
        let Some(TimeOut { member, until, words, .. }) = known else {
            self.excuse_others()?;
            return Ok(None);
        };
        // The words stay in the addressee's row only, and go with it.
        self.store.delete(Kind::Note, self.no, commitment.as_bytes())?;
        let mut waiting = self.waiting_notes()?;
        waiting.retain(|other| other != commitment);
        write(self.store, Kind::Pending, self.no, NOTES, &waiting)?;
        write(self.store, Kind::Note, self.no, &time_out_name(&member), &until)?;
        if member != self.me() {
            return Ok(None);
        }
        self.state.timed_out_until = until;
        self.save_state()?;
        Ok(Some(RowContent::MyTimeout { until, note: words }))
    }

    /// Returns the end of a member's time-out by the last record that this profile could open; `None` if there is none.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn recorded_time_out(&self, member: &MemberKey) -> Result<Option<Millis>> {
        read(self.store, Kind::Note, self.no, &time_out_name(member))
    }

    fn forget_member(&mut self, member: &MemberKey) -> Result<()> {
        self.store.delete(Kind::Pending, self.no, member.as_bytes())?;
        self.store.delete(Kind::Seen, self.no, &counter_name(member))?;
        self.forget_fork(member)
    }

    fn take_removal(&mut self, applied: &Applied) -> Result<()> {
        self.state.standing = match &applied.policy.record.act {
            Act::Enact => Standing::Lapsed,
            Act::Remove { category, .. } => Standing::Removed(*category),
            _ => Standing::Left,
        };
        self.save_state()?;
        self.drop_keys()
    }

    /// Ends the stay if a departure was sent and its entry has expired unread; returns whether that is so.
    ///
    /// Call it only after the relay said that this profile is out.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn leave_unread(&mut self) -> Result<bool> {
        let sent = self.outgoing()?.into_iter().any(|(_, outgoing)| {
            let message =
                matches!(outgoing.what, OutgoingKind::Message { body: Body::Depart { .. }, .. });
            message && !outgoing.payload.is_empty()
        });
        if sent {
            self.change(|room| {
                room.state.standing = Standing::Left;
                room.save_state()?;
                room.clear_outgoing()?;
                room.drop_keys()
            })?;
        }
        Ok(sent)
    }

    /// Deletes the group's keys, because this profile is out.
    pub(super) fn drop_keys(&mut self) -> Result<()> {
        self.hold_waiting_texts(true)?;
        self.group = None;
        self.store.clear(Kind::Mls, self.no)?;
        Ok(())
    }

    /// Remembers the countersignature under my acknowledgement, from the record that admitted me.
    pub(super) fn take_countersignature(&mut self, policy: &RoomPolicy) {
        let record = &policy.record;
        if let Act::Admit { countersignature, .. } = &record.act {
            self.state.countersigned = Some(Countersignature {
                facilitator: record.actor,
                signature: *countersignature,
                at: record.at,
            });
        }
    }
}

/// One use of a message id.
#[derive(Clone, Copy, Debug, Encode, Decode)]
pub(super) struct IdUse {
    /// The message's sender.
    #[n(0)]
    pub(super) sender: MemberKey,
    /// The message's place in this profile's history.
    #[n(1)]
    pub(super) place: Seq,
}

/// Names the record of the end of a member's last time-out.
fn time_out_name(member: &MemberKey) -> Vec<u8> {
    [b"until", member.as_bytes().as_slice()].concat()
}

/// Names the record of a sender's last message number.
fn counter_name(sender: &MemberKey) -> Vec<u8> {
    [b"counter", sender.as_bytes().as_slice()].concat()
}

fn name_row(row: &mut Row, roster: &[Leaf], member: MemberKey) {
    row.from = Some(member);
    if let Some(leaf) = roster.iter().find(|l| l.member == member) {
        row.name.clone_from(&leaf.name);
    }
}
