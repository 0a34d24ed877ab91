//! Messages of this device's history, found by their words or their author.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use hearth_engine::{
    policy::Act,
    state::{Row, RowContent},
};
use hearth_protocol::{MemberKey, Seq};
use hearth_session::client::{PAGE_MAX, Page};
use hearth_text::{count::counted, escape, words::folded};
use serde_json::json;

use super::{
    Result,
    shell::{Shell, shown_now},
};
use crate::failure::{Failure, exit};

/// Messages that a search prints, the newest.
const FOUND_MAX: usize = 50;
/// Messages that a search holds because they are shown with a later row, if with any.
const LATER_MAX: usize = 1_024;
/// Messages of one member that are shown at once, the newest.
const OF_MEMBER_MAX: usize = 5;

/// What a search looks for.
struct Wanted {
    words: Vec<String>,
    from: Option<MemberKey>,
    /// Members whose messages this device hides.
    muted: Vec<MemberKey>,
}

impl Wanted {
    fn fits(&self, row: &Row) -> bool {
        if self.from.is_some_and(|from| row.from != Some(from)) {
            return false;
        }
        let is_muted = row.from.is_some_and(|from| self.muted.contains(&from));
        if is_muted && matches!(row.content, RowContent::Text(_)) {
            return false;
        }
        let Some(text) = searched(row) else { return false };
        let text = folded(text);
        self.words.iter().all(|word| text.contains(word))
    }
}

/// Returns the words of a row that can be found.
fn searched(row: &Row) -> Option<&str> {
    match &row.content {
        RowContent::Text(text) => Some(text),
        RowContent::Asked(ask) => Some(&ask.text),
        RowContent::Moderation { record, .. } => match &record.act {
            Act::Announce(text) => Some(text),
            _ => None,
        },
        _ => None,
    }
}

/// The newest messages that were found.
#[derive(Default)]
struct Found {
    rows: VecDeque<Row>,
    /// How many were found before them.
    earlier: usize,
    /// What fits and is shown with a later row, if with any.
    later: BTreeMap<Seq, Row>,
}

impl Found {
    fn add(&mut self, row: Row) {
        self.rows.push_back(row);
        if self.rows.len() > FOUND_MAX {
            self.rows.pop_front();
            self.earlier += 1;
        }
    }

    /// Takes a row of the history, oldest first.
    fn take(&mut self, row: Row, wanted: &Wanted, mine: bool) {
        for place in &row.shows {
            if let Some(released) = self.later.remove(place) {
                self.add(shown_now(released));
            }
        }
        if !wanted.fits(&row) {
            return;
        }
        if row.talk.later.is_none() || mine {
            return self.add(row);
        }
        self.later.insert(row.place, row);
        if self.later.len() > LATER_MAX {
            self.later.pop_first();
        }
    }
}

impl Shell {
    /// Prints the messages that have all of some words.
    pub(super) async fn search(&self, words: &[String], from: Option<MemberKey>) -> Result<()> {
        let typed = words.join(" ");
        let words = folded(&typed).split_whitespace().map(str::to_owned).collect();
        let (state, mut found) = (self.view(), Found::default());
        let wanted = Wanted { words, from, muted: state.muted.clone() };
        let view = self.lens(&state, state.shown);
        let mut place = Seq(0);
        loop {
            let rows = self.client.rows(&self.room, Page::From(place)).await?;
            let Some(last) = rows.last() else { break };
            place = Seq(last.place.0.saturating_add(1));
            for row in rows {
                let mine = row.from == Some(state.me);
                found.take(row, &wanted, mine);
            }
        }
        if found.earlier > 0 {
            let earlier = counted(found.earlier, "earlier message", "earlier messages");
            let text = format!("-- and {earlier}; more words find fewer");
            self.out.say(&json!({"kind": "search", "earlier": found.earlier}), &text)?;
        }
        if found.rows.is_empty() {
            let typed = escape::one_line(&typed);
            self.out.say_none(&format!("Nothing on this device has the words \"{typed}\"."))?;
        }
        for mut row in found.rows {
            row.changes.clear();
            row.notices.clear();
            view.row(&self.out, &row)?;
            if !view.veils(&row) {
                self.displayed.borrow_mut().add(&row, false);
            }
        }
        Ok(())
    }

    /// Prints the last messages of a member, whatever hides their words.
    pub(super) async fn show_from(&self, member: MemberKey) -> Result<()> {
        let me = self.view().me;
        let (mut found, mut released) = (VecDeque::new(), BTreeSet::new());
        let mut before = Seq(u64::MAX);
        'pages: loop {
            let rows = self.client.rows(&self.room, Page::Before(before, PAGE_MAX)).await?;
            let Some(first) = rows.first() else { break };
            before = first.place;
            for row in rows.into_iter().rev() {
                released.extend(row.shows.iter().copied());
                let is_shown =
                    row.talk.later.is_none() || member == me || released.contains(&row.place);
                let is_said = matches!(row.content, RowContent::Text(_));
                if row.from == Some(member) && is_said && is_shown {
                    found.push_front(shown_now(row));
                }
                if found.len() == OF_MEMBER_MAX {
                    break 'pages;
                }
            }
        }
        for row in &found {
            self.show_open(row)?;
        }
        match found.is_empty() {
            true => Err(Failure::new(
                exit::USAGE,
                "no_such_message",
                "nothing that they said is on this device",
                "`hearth read ROOM --all` shows what is.",
            )),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use hearth_engine::turns::Later;

    use super::*;
    use crate::commands::displayed::tests::row;

    fn said(place: u64, words: &str) -> Row {
        row(place, RowContent::Text(words.to_owned()))
    }

    fn wanted(words: &[&str]) -> Wanted {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        Wanted { words, from: None, muted: Vec::new() }
    }

    fn places(found: &Found) -> Vec<u64> {
        found.rows.iter().map(|row| row.place.0).collect()
    }

    /// Words off turn are found once they are shown, and by their author at once.
    #[test]
    fn held_words_are_found_once_shown() {
        let wanted = wanted(&["door"]);
        let mut held = said(1, "A Door");
        held.talk.later = Some(Later::Turn);
        let mut found = Found::default();
        found.take(held.clone(), &wanted, false);
        found.take(said(2, "the door"), &wanted, false);
        assert_eq!(places(&found), [2]);
        found.take(Row { shows: vec![Seq(1)], ..row(3, RowContent::Nothing) }, &wanted, false);
        assert_eq!(places(&found), [2, 1]);
        let mut found = Found::default();
        found.take(held, &wanted, true);
        assert_eq!(places(&found), [1]);
    }

    #[test]
    fn search_holds_a_bounded_number() {
        let wanted = wanted(&[]);
        let mut found = Found::default();
        for place in 1..=3 * LATER_MAX as u64 {
            let mut row = said(place, "words");
            row.talk.later = (place % 2 == 0).then_some(Later::Turn);
            found.take(row, &wanted, false);
        }
        assert_eq!((found.rows.len(), found.later.len()), (FOUND_MAX, LATER_MAX));
        assert_eq!(found.earlier, 3 * LATER_MAX / 2 - FOUND_MAX);
    }

    #[test]
    fn retracted_words_are_not_found() {
        let wanted = wanted(&[]);
        for content in [
            RowContent::Held("words".into()),
            RowContent::Tombstone { by: None, category: None },
            RowContent::Nothing,
        ] {
            assert!(!wanted.fits(&row(1, content.clone())), "{content:?}");
        }
    }
}
