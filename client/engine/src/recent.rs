//! The last entries of a room as links of its log, with which every message is compared.
//!
//! Each message vouches for dozens of earlier entries. Opening their rows again each time would take longer than all other
//! work on the message.

use std::collections::BTreeMap;

use hearth_protocol::{Digest, Millis, Seq};

use super::state::{Row, RowContent};

/// Maximum number of links, more than one message vouches for.
pub(super) const LINKS_MAX: usize = 1_024;

/// A row's part in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) seq: Seq,
    pub(super) digest: Digest,
    /// The relay's time exactly as delivered.
    pub(super) stamp: Millis,
    /// See [`Row::is_unknown`].
    pub(super) is_unknown: bool,
    /// Whether the entry admitted a member.
    pub(super) admits: bool,
}

impl Link {
    pub(super) fn of(row: &Row) -> Self {
        let admits = matches!(&row.content, RowContent::Moderation { record, .. }
            if record.act.admission().is_some());
        Self {
            seq: row.seq,
            digest: row.digest,
            stamp: row.stamp,
            is_unknown: row.is_unknown(),
            admits,
        }
    }
}

/// Links by the places of their rows: either all rows from one place on, or none.
#[derive(Debug, Default)]
pub(super) struct Recent {
    from: Option<u64>,
    links: BTreeMap<u64, Link>,
}

impl Recent {
    /// Returns the links from a place on, at most `limit`; `None` if some are not cached.
    pub(super) fn range(&self, first: u64, limit: usize) -> Option<Vec<Link>> {
        let from = self.from?;
        (first >= from).then(|| self.links.range(first..).map(|(_, l)| *l).take(limit).collect())
    }

    /// Caches all rows from a place on, unless there are too many.
    pub(super) fn fill(&mut self, first: u64, rows: &[Row]) {
        self.clear();
        if rows.len() <= LINKS_MAX {
            self.from = Some(first);
            self.links = rows.iter().map(|row| (row.place.0, Link::of(row))).collect();
        }
    }

    /// Adds a saved row.
    pub(super) fn note(&mut self, row: &Row) {
        if self.from.is_none_or(|from| row.place.0 < from) {
            return;
        }
        self.links.insert(row.place.0, Link::of(row));
        if self.links.len() > LINKS_MAX {
            // Drop half of them, so that this is rare.
            let first = self.links.keys().nth(LINKS_MAX / 2).copied();
            self.links = first.map(|first| self.links.split_off(&first)).unwrap_or_default();
            self.from = first;
        }
    }

    /// Empties the cache, because rows were deleted or a noted row was not stored after all.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(place: u64) -> Row {
        Row {
            place: Seq(place),
            seq: Seq(place),
            at: Millis(0),
            digest: Digest([1; 32]),
            from: None,
            name: String::new(),
            id: None,
            content: RowContent::Nothing,
            notices: Vec::new(),
            stamp: Millis(0),
            arrived: Millis(0),
            said: Millis(0),
            talk: crate::words::Talk::default(),
            changes: Vec::new(),
            shows: Vec::new(),
            proof: None,
        }
    }

    fn places(recent: &Recent, first: u64, limit: usize) -> Option<Vec<u64>> {
        Some(recent.range(first, limit)?.iter().map(|link| link.seq.0).collect())
    }

    #[test]
    fn range_gives_all_links_or_none() {
        let mut recent = Recent::default();
        recent.note(&row(7));
        assert_eq!(places(&recent, 7, 9), None);
        recent.fill(5, &[row(6), row(8)]);
        recent.note(&row(9));
        recent.note(&row(4));
        assert_eq!(places(&recent, 5, 9), Some(vec![6, 8, 9]));
        assert_eq!(places(&recent, 7, 1), Some(vec![8]));
        assert_eq!(places(&recent, 4, 9), None);
        recent.clear();
        assert_eq!(places(&recent, 9, 9), None);
    }

    #[test]
    fn resaved_row_replaces_its_link() {
        let mut recent = Recent::default();
        recent.fill(1, &[row(1), row(2)]);
        recent.note(&Row { digest: Digest([2; 32]), ..row(1) });
        let digests =
            recent.range(1, 9).unwrap().iter().map(|link| link.digest.0[0]).collect::<Vec<_>>();
        assert_eq!(digests, [2, 1]);
    }

    #[test]
    fn links_are_capped() {
        let most = LINKS_MAX as u64;
        let mut recent = Recent::default();
        recent.fill(1, &(1..=most + 1).map(row).collect::<Vec<_>>());
        assert_eq!(places(&recent, 1, 1), None);
        recent.fill(1, &(1..=most).map(row).collect::<Vec<_>>());
        assert_eq!(places(&recent, 1, 1), Some(vec![1]));
        recent.note(&row(most + 1));
        let left = most / 2 + 1;
        assert_eq!(places(&recent, left - 1, 1), None);
        assert_eq!(places(&recent, left, LINKS_MAX), Some((left..=most + 1).collect()));
    }
}
