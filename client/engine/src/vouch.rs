//! A message vouches for the entries that its sender had, and for their order.
//!
//! A relay that shows two members different logs is exposed when one reads a message of the other. `docs/protocol.md`
//! section 7.6.

use hearth_protocol::{Digest, MemberKey, Millis, Seq};

use super::{
    content::{Seen, WINDOW_ENTRIES_MAX, WINDOW_ENTRIES_MIN, WINDOWS_MAX, Window},
    error::EngineError,
    recent::{LINKS_MAX, Link},
    room::{Room, read, write},
    state::{Notice, Row},
};
use crate::store::Kind;

type Result<T> = std::result::Result<T, EngineError>;

impl Room<'_> {
    /// Compares the sender's view of the log with this profile's, and notices a difference.
    pub(super) fn check_seen(
        &self,
        row: &mut Row,
        sender: MemberKey,
        seen: Option<&Seen>,
    ) -> Result<()> {
        let Some(seen) = seen else { return Ok(()) };
        let same = if seen.seq < row.seq { self.has_entry(seen)? } else { Some(false) };
        let fork = match same {
            Some(false) => Some(seen.seq),
            _ => self.new_difference(sender, seen)?,
        };
        if let Some(from) = fork {
            row.notices.push(Notice::Fork(from));
            let upto = seen.seq.min(row.seq);
            write(self.store, Kind::Seen, self.no, &forked_name(&sender), &upto)?;
        }
        Ok(())
    }

    /// Returns the first entry of the longest window that differs, if it reveals more than this sender's last difference.
    fn new_difference(&self, sender: MemberKey, seen: &Seen) -> Result<Option<Seq>> {
        let begins = self.log_begins();
        let Some(mut since) = self.differs_since(seen, begins)? else { return Ok(None) };
        let told: Option<Seq> = read(self.store, Kind::Seen, self.no, &forked_name(&sender))?;
        if let Some(told) = told.filter(|told| since < *told) {
            let Some(later) = self.differs_since(seen, told.max(begins))? else { return Ok(None) };
            since = later;
        }
        Ok(Some(Seq(since.0.saturating_add(1))))
    }

    /// Whether this profile has the last entry that a sender saw; `None` if it has no entry there.
    fn has_entry(&self, seen: &Seen) -> Result<Option<bool>> {
        let mine = if seen.seq > self.log_begins() { self.row(seen.seq)? } else { None };
        Ok(mine.filter(|mine| !mine.is_unknown()).map(|mine| mine.digest == seen.digest))
    }

    /// Compares the longest window that starts at an entry or later and that this profile has completely; returns its start if it
    /// differs.
    fn differs_since(&self, seen: &Seen, begins: Seq) -> Result<Option<Seq>> {
        for window in seen.windows.iter().take(WINDOWS_MAX) {
            let length = seen.seq.0.saturating_sub(window.since.0);
            if window.since < begins || length > WINDOW_ENTRIES_MAX {
                continue;
            }
            let entries = entries_of(&self.links_between(window.since, seen.seq)?);
            if entries.len() as u64 == length {
                let same = Window::of(window.since, &entries) == *window;
                return Ok((!same).then_some(window.since));
            }
        }
        Ok(None)
    }

    /// Returns the entry after which this profile's rows belong to the log that it shares with the others.
    fn log_begins(&self) -> Seq {
        let last = self.cursor.breaks.last().map_or(Seq(0), |b| b.after);
        last.max(self.state.joined)
    }

    /// Returns the links after one entry, up to another.
    fn links_between(&self, since: Seq, upto: Seq) -> Result<Vec<Link>> {
        let length = usize::try_from(upto.0.saturating_sub(since.0)).unwrap_or(usize::MAX);
        let first = self.cursor.place(Seq(since.0.saturating_add(1)));
        let mut recent = self.recent.borrow_mut();
        let mut links = match recent.range(first.0, length) {
            Some(links) => links,
            None => {
                let newest = self.cursor.place(self.cursor.seq);
                let all = newest.0.saturating_sub(first.0) < LINKS_MAX as u64;
                let rows = self.history(first, if all { usize::MAX } else { length })?;
                if all {
                    recent.fill(first.0, &rows);
                }
                rows.iter().map(Link::of).take(length).collect()
            }
        };
        links.retain(|link| link.seq <= upto);
        Ok(links)
    }

    /// Returns the view of the log that the next message of this profile vouches for.
    pub(super) fn seen(&self) -> Result<Option<Seen>> {
        let upto = self.cursor.seq;
        let back = |entries: u64| Seq(upto.0.saturating_sub(entries));
        let vouched = self.cursor.vouched;
        let since = vouched
            .min(back(WINDOW_ENTRIES_MIN))
            .max(back(WINDOW_ENTRIES_MAX))
            .max(self.log_begins());
        let first = self.cursor.place(Seq(since.0.saturating_add(1)));
        // Rows that this device erased by age must not look like entries that it never got.
        let oldest = self.history(Seq(0), 1)?.into_iter().next().filter(|row| row.place > first);
        let mut since = oldest.map_or(since, |row| Seq(row.seq.0.saturating_sub(1))).min(upto);
        let mut links = self.links_between(since, upto)?;
        // The same holds for entries that expired unread: a window ends before them or starts after them.
        while links.last().is_some_and(|link| link.is_unknown) {
            links.pop();
        }
        if let Some(at) = links.iter().rposition(|link| link.is_unknown) {
            since = links[at].seq;
            links.drain(..=at);
        }
        let (seq, digest) = match (self.cursor.digest, links.last()) {
            (Some(digest), _) => (upto, digest),
            (None, Some(last)) => (last.seq, last.digest),
            (None, None) => return Ok(None),
        };
        let entries = entries_of(&links);
        let admissions = links.iter().rev().filter(|link| link.admits).map(|link| link.seq);
        let mut begins: Vec<Seq> =
            admissions.take(WINDOWS_MAX - 2).chain([since, vouched.max(since).min(seq)]).collect();
        begins.sort_unstable();
        begins.dedup();
        let windows = begins.into_iter().map(|since| Window::of(since, &entries)).collect();
        Ok(Some(Seen { seq, digest, windows }))
    }

    /// Forgets that a sender had another log.
    pub(super) fn forget_fork(&self, sender: &MemberKey) -> Result<()> {
        self.store.delete(Kind::Seen, self.no, &forked_name(sender))?;
        Ok(())
    }
}

/// Names the record of the last entry up to which a sender was found to have another log.
fn forked_name(sender: &MemberKey) -> Vec<u8> {
    [b"forked", sender.as_bytes().as_slice()].concat()
}

/// Returns position, digest and time of the known entries.
fn entries_of(links: &[Link]) -> Vec<(Seq, Digest, Millis)> {
    let known = links.iter().filter(|link| !link.is_unknown);
    known.map(|link| (link.seq, link.digest, link.stamp)).collect()
}
