//! The talk: its entries, which of them are on the screen, and which one is picked.

use std::collections::{BTreeMap, HashSet, VecDeque};

use crate::{
    cells,
    model::{Item, Kind},
};

/// Entries that are held; older ones are read again when they are scrolled to.
const ITEMS_MAX: usize = 12_000;

/// Entries in their order, and a view into them.
#[derive(Debug, Default)]
pub(crate) struct Talk {
    items: VecDeque<Item>,
    /// The last line on the screen: so many lines above the end of the entry at this place; `None`: the end of all.
    anchor: Option<(u64, usize)>,
    /// Entries that came while the end was not on the screen.
    pub(crate) below: usize,
    pub(crate) picked: Option<u64>,
    /// Places whose words are shown although a note covers them.
    pub(crate) open: HashSet<u64>,
    /// The last entry that was on the screen at the end of the talk.
    pub(crate) seen: Option<u64>,
    /// Whether there is nothing earlier.
    pub(crate) begins: bool,
    /// Whether earlier entries were asked for.
    pub(crate) asked: bool,
}

/// One line of the talk on the screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    Day(String),
    New,
    /// Name and time above somebody's words.
    Head {
        place: u64,
        time: String,
        name: String,
        rest: String,
    },
    /// Words, this far in.
    Words {
        place: u64,
        indent: usize,
        text: String,
        dim: bool,
        alarm: bool,
    },
    Blank,
}

impl Line {
    pub(crate) const fn place(&self) -> Option<u64> {
        match self {
            Self::Head { place, .. } | Self::Words { place, .. } => Some(*place),
            _ => None,
        }
    }
}

impl Talk {
    pub(crate) fn items(&self) -> &VecDeque<Item> {
        &self.items
    }

    pub(crate) fn last(&self) -> Option<u64> {
        self.items.back().map(|item| item.place)
    }

    pub(crate) fn picked_item(&self) -> Option<&Item> {
        self.item(self.picked?)
    }

    pub(crate) fn item(&self, place: u64) -> Option<&Item> {
        self.items.get(self.index(place)?)
    }

    fn index(&self, place: u64) -> Option<usize> {
        self.items.binary_search_by_key(&place, |item| item.place).ok()
    }

    /// Takes entries in; returns whether some of them are new.
    pub(crate) fn take(&mut self, items: Vec<Item>) -> bool {
        let last = self.last().unwrap_or(0);
        // By place, so that a changed entry replaces what stood there.
        let items: BTreeMap<u64, Item> = items.into_iter().map(|item| (item.place, item)).collect();
        let mut came = 0;
        for (place, item) in items {
            match self.items.binary_search_by_key(&place, |item| item.place) {
                Ok(at) => self.items[at] = item,
                Err(at) => {
                    came += usize::from(place > last);
                    self.items.insert(at, item);
                }
            }
        }
        if self.anchor.is_some() {
            self.below += came;
        }
        while self.items.len() > ITEMS_MAX {
            self.items.pop_front();
            self.begins = false;
        }
        came > 0
    }

    /// Takes earlier entries in.
    pub(crate) fn take_earlier(&mut self, items: Vec<Item>) {
        self.asked = false;
        self.begins |= items.is_empty();
        for item in items.into_iter().rev() {
            if self.items.front().is_none_or(|first| item.place < first.place) {
                self.items.push_front(item);
            }
        }
    }

    pub(crate) fn drop_places(&mut self, places: &[u64]) {
        self.items.retain(|item| !places.contains(&item.place));
        if self.anchor.is_some_and(|(place, _)| places.contains(&place)) {
            self.go_to_end();
        }
        self.picked = self.picked.filter(|place| !places.contains(place));
    }

    pub(crate) const fn is_at_end(&self) -> bool {
        self.anchor.is_none()
    }

    pub(crate) fn go_to_end(&mut self) {
        (self.anchor, self.below) = (None, 0);
    }

    /// Returns the lines on a screen of this size, the last at the bottom; at the beginning of the talk there may be fewer.
    pub(crate) fn lines(
        &self,
        size: (usize, usize),
        wide: bool,
        new_after: Option<u64>,
    ) -> Vec<Line> {
        let (columns, rows) = size;
        let Some(last) = self.items.len().checked_sub(1) else { return Vec::new() };
        let (mut at, mut cut) = match self.anchor {
            Some((place, cut)) => (self.index(place).unwrap_or(last), cut),
            None => (last, 0),
        };
        let mut lines: Vec<Line> = Vec::new();
        loop {
            let mut of_item = self.lines_of(at, columns, wide, new_after);
            of_item.truncate(of_item.len().saturating_sub(std::mem::take(&mut cut)));
            lines.splice(0..0, of_item);
            if lines.len() >= rows || at == 0 {
                break;
            }
            at -= 1;
        }
        let surplus = lines.len().saturating_sub(rows);
        lines.drain(..surplus);
        lines
    }

    /// Returns the lines of one entry, with the day and the line of what is new before it.
    fn lines_of(&self, at: usize, columns: usize, wide: bool, new_after: Option<u64>) -> Vec<Line> {
        let Some(item) = self.items.get(at) else { return Vec::new() };
        let before = at.checked_sub(1).and_then(|before| self.items.get(before));
        let mut lines = Vec::new();
        if before.is_none_or(|before| before.day != item.day) && !item.day.is_empty() {
            lines.push(Line::Day(item.day.clone()));
        }
        let is_new = |item: &Item| new_after.is_some_and(|after| item.place > after);
        if is_new(item) && before.is_some_and(|before| !is_new(before)) {
            lines.push(Line::New);
        }
        let indent = if wide { 6 } else { 2 };
        let place = item.place;
        let covered = item.note.as_ref().filter(|_| !self.open.contains(&place));
        match item.kind {
            Kind::Said => {
                let (time, name, rest) = (item.time.clone(), item.name.clone(), item.head.clone());
                lines.push(Line::Head { place, time, name, rest });
                match covered {
                    Some(note) => {
                        let text = format!("[content note: {note}. Enter shows it]");
                        words(&mut lines, place, indent, columns, &text, true);
                    }
                    None => words(&mut lines, place, indent, columns, &item.text, false),
                }
            }
            Kind::Done | Kind::Alarm => {
                let alarm = item.kind == Kind::Alarm;
                let mark = if alarm { "!!" } else { "–" };
                let text = format!("{} {mark} {}", item.time, item.text);
                let first = lines.len();
                // The first line begins at the margin, the others stand further in.
                let hanging = indent.min(columns / 4);
                for (number, range) in
                    cells::wrap(&text, columns.saturating_sub(hanging)).into_iter().enumerate()
                {
                    let indent = if number == 0 { 0 } else { hanging };
                    let text = text[range].trim_end().to_owned();
                    lines.push(Line::Words { place, indent, text, dim: !alarm, alarm });
                }
                if lines.len() == first {
                    lines.push(Line::Blank);
                }
            }
        }
        if !item.after.is_empty() {
            words(&mut lines, place, indent, columns, &item.after, true);
        }
        lines
    }

    /// Scrolls by lines, up if positive, in a screen of this size.
    pub(crate) fn scroll(
        &mut self,
        by: isize,
        size: (usize, usize),
        wide: bool,
        new_after: Option<u64>,
    ) {
        let Some(last) = self.items.len().checked_sub(1) else { return };
        let (mut at, cut) = match self.anchor {
            Some((place, cut)) => (self.index(place).unwrap_or(last), cut),
            None => (last, 0),
        };
        let height = |at: usize| self.lines_of(at, size.0, wide, new_after).len();
        // Lines that are cut off below, counted from the end of the entry `at`.
        let mut cut = isize::try_from(cut).unwrap_or(0) + by;
        loop {
            let lines = isize::try_from(height(at)).unwrap_or(isize::MAX);
            if cut < 0 && at < last {
                at += 1;
                cut += isize::try_from(height(at)).unwrap_or(0);
            } else if cut >= lines && at > 0 {
                cut -= lines;
                at -= 1;
            } else {
                cut = cut.clamp(0, (lines - 1).max(0));
                break;
            }
        }
        self.anchor = match (at == last && cut == 0, self.items.get(at)) {
            (false, Some(item)) => Some((item.place, cut.unsigned_abs())),
            _ => None,
        };
        if self.anchor.is_none() {
            self.below = 0;
        } else {
            self.fill(size, wide, new_after);
        }
    }

    /// Scrolls back down as far as the screen would be empty at its top.
    fn fill(&mut self, size: (usize, usize), wide: bool, new_after: Option<u64>) {
        let lines = self.lines(size, wide, new_after).len();
        let missing = size.1.saturating_sub(lines);
        let starts = self.anchor.is_some() && missing > 0;
        if starts {
            let back = isize::try_from(missing).unwrap_or(0);
            let Some(last) = self.items.len().checked_sub(1) else { return };
            let Some((place, cut)) = self.anchor else { return };
            let (mut at, mut cut) =
                (self.index(place).unwrap_or(last), isize::try_from(cut).unwrap_or(0) - back);
            while cut < 0 && at < last {
                at += 1;
                let height = self.lines_of(at, size.0, wide, new_after).len();
                cut += isize::try_from(height).unwrap_or(0);
            }
            self.anchor = match (cut > 0 || at < last, self.items.get(at)) {
                (true, Some(item)) => Some((item.place, cut.max(0).unsigned_abs())),
                _ => None,
            };
            if self.anchor.is_none() {
                self.below = 0;
            }
        }
    }

    /// Picks the entry above or below; `None` is picked past the last one. Entries without anything to do are passed by.
    pub(crate) fn pick(&mut self, up: bool) {
        let picks = |item: &Item| !item.actions.is_empty();
        let at = self.picked.and_then(|place| self.index(place));
        let found = match (at, up) {
            (None, true) => self.items.iter().rposition(picks),
            (None, false) => None,
            (Some(at), true) => self.items.iter().take(at).rposition(picks).or(Some(at)),
            (Some(at), false) => {
                self.items.iter().skip(at + 1).position(picks).map(|by| at + 1 + by)
            }
        };
        self.picked = found.and_then(|at| self.items.get(at)).map(|item| item.place);
    }

    /// Scrolls until an entry is on the screen.
    pub(crate) fn bring(
        &mut self,
        place: u64,
        size: (usize, usize),
        wide: bool,
        new_after: Option<u64>,
    ) {
        let lines = self.lines(size, wide, new_after);
        let Some(index) = self.index(place) else { return };
        let first = self.lines_of(index, size.0, wide, new_after);
        let shown = lines.iter().filter(|line| line.place() == Some(place)).count();
        let whole = first.iter().filter(|line| line.place() == Some(place)).count();
        if shown == whole || (shown > 0 && shown >= size.1) {
            return;
        }
        let is_last = index + 1 == self.items.len();
        let above = lines.iter().find_map(Line::place).is_some_and(|top| place <= top);
        // The entry's end at the bottom, or its beginning at the top.
        let lift = if above { size.1.saturating_sub(first.len()) } else { 0 };
        self.anchor = (!is_last).then_some((place, 0));
        if lift > 0 && self.anchor.is_some() {
            let lift = isize::try_from(lift).unwrap_or(0);
            self.scroll(-lift, size, wide, new_after);
        } else if self.anchor.is_some() {
            self.fill(size, wide, new_after);
        }
        if self.anchor.is_none() {
            self.below = 0;
        }
    }
}

/// Adds words, wrapped, this far in.
fn words(lines: &mut Vec<Line>, place: u64, indent: usize, columns: usize, text: &str, dim: bool) {
    let indent = indent.min(columns / 4);
    for range in cells::wrap(text, columns.saturating_sub(indent)) {
        let text = text[range].trim_end().to_owned();
        lines.push(Line::Words { place, indent, text, dim, alarm: false });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Action, Does};

    fn item(place: u64, text: &str) -> Item {
        let action = Action { key: 'c', label: "Copy".into(), does: Does::Copy(text.into()) };
        Item {
            place,
            day: "Monday".into(),
            time: "20:00".into(),
            name: "Ben".into(),
            text: text.into(),
            actions: vec![action],
            ..Item::default()
        }
    }

    fn talk(count: u64) -> Talk {
        let mut talk = Talk::default();
        talk.take((1..=count).map(|n| item(n, &format!("words {n}"))).collect());
        talk
    }

    const SIZE: (usize, usize) = (40, 6);

    fn shown(talk: &Talk) -> Vec<u64> {
        let mut places: Vec<u64> =
            talk.lines(SIZE, true, None).iter().filter_map(Line::place).collect();
        places.dedup();
        places
    }

    #[test]
    fn end_stays_on_screen() {
        let mut talk = talk(10);
        assert_eq!(shown(&talk), [8, 9, 10]);
        assert!(talk.take(vec![item(11, "more")]));
        assert_eq!(shown(&talk), [9, 10, 11]);
    }

    #[test]
    fn scrolled_talk_stays_where_it_is() {
        let mut talk = talk(10);
        talk.scroll(4, SIZE, true, None);
        assert_eq!(shown(&talk), [6, 7, 8]);
        talk.take(vec![item(11, "more"), item(12, "more")]);
        assert_eq!((shown(&talk), talk.below), (vec![6, 7, 8], 2));
        talk.scroll(-1000, SIZE, true, None);
        assert!(talk.is_at_end() && talk.below == 0);
    }

    #[test]
    fn scrolling_ends_at_the_beginning() {
        let mut talk = talk(10);
        for _ in 0..50 {
            talk.scroll(3, SIZE, true, None);
        }
        let lines = talk.lines(SIZE, true, None);
        assert_eq!((lines.len(), &lines[0]), (SIZE.1, &Line::Day("Monday".into())));
        for _ in 0..50 {
            talk.scroll(-3, SIZE, true, None);
        }
        assert!(talk.is_at_end());
    }

    #[test]
    fn changed_entry_replaces_its_words() {
        let mut talk = talk(3);
        assert!(!talk.take(vec![item(2, "taken back")]));
        assert_eq!(talk.item(2).unwrap().text, "taken back");
        assert_eq!(talk.items.len(), 3);
    }

    #[test]
    fn picked_entry_comes_on_screen() {
        let mut talk = talk(20);
        for _ in 0..10 {
            talk.pick(true);
        }
        assert_eq!(talk.picked, Some(11));
        talk.bring(11, SIZE, true, None);
        assert!(shown(&talk).contains(&11));
        talk.bring(20, SIZE, true, None);
        assert!(shown(&talk).contains(&20) && talk.is_at_end());
        talk.picked = Some(20);
        talk.pick(false);
        assert_eq!(talk.picked, None);
    }

    #[test]
    fn new_line_stands_once() {
        let talk = talk(5);
        let lines = talk.lines((40, 40), true, Some(3));
        assert_eq!(lines.iter().filter(|line| **line == Line::New).count(), 1);
        let at = lines.iter().position(|line| *line == Line::New).unwrap();
        assert_eq!(lines[at + 1].place(), Some(4));
        // A talk of which everything is new needs no line.
        assert!(!talk.lines((40, 40), true, Some(0)).contains(&Line::New));
    }

    #[test]
    fn held_entries_are_bounded() {
        let mut talk = talk(ITEMS_MAX as u64 + 50);
        assert_eq!(talk.items.len(), ITEMS_MAX);
        talk.take_earlier(vec![item(1, "x")]);
        assert_eq!(talk.items.front().unwrap().place, 1);
    }
}
