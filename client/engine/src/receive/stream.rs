//! What the relay says of its log: which store it is, where it ends, and whether the room went on without this profile.

use hearth_protocol::{
    Digest, Entry, EntryContent, Seq, StreamId,
    mls_header::{self, ContentType},
};

use super::Result;
use crate::{
    error::EngineError,
    room::{Room, decode, write},
    state::{Break, Notice, Row},
    store::Kind,
};

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
        self.drop_floor()?;
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
    pub(crate) fn note_unusable(&mut self, row: &Row, payload: &[u8]) -> Result<Notice> {
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
    pub(super) fn had_commit(&self, digest: Digest) -> Result<bool> {
        Ok(self.store.get(Kind::Commit, self.no, &digest.0)?.is_some())
    }

    /// Remembers a commit, whatever its outcome, for as long as its row exists. After a restored backup, entries that the relay lacks
    /// are remembered in the same way.
    pub(super) fn remember_commit(&self, row: &Row, payload: &[u8]) -> Result<()> {
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
}
