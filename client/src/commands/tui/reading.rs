//! What the screen shows of a place: read again where it changed.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use futures_util::FutureExt as _;
use hearth_engine::state::{Row, RowContent};
use hearth_protocol::{MessageId, Millis, RoomId, Seq};
use hearth_session::client::{Command, LaneView, Page, RoomView};
use hearth_tui::{Item, Kind, Msg, Place, PlaceId};

use super::{
    facts::pause_of,
    host::{Host, Spot},
    rows::{self, Lens},
    scene::{Facts, Looking},
};
use crate::{
    commands::{
        Result,
        bell::{self, Call},
        shell::lanes,
    },
    show::{self, Answered},
};

/// Rows that are read again whenever something changed.
const WINDOW: usize = 256;
/// Unread messages of another room that are counted.
const UNREAD_MAX: usize = 99;

/// What was read of the place that is shown.
#[derive(Default)]
pub(super) struct Loaded {
    /// Entries of each row, by its place.
    pub(super) rows: BTreeMap<Seq, u64>,
    /// Whether the first page was read.
    pub(super) begun: bool,
    /// The last place that was read by this window before: what is behind it is new.
    pub(super) new_after: Option<Seq>,
    pub(super) pause: Option<(String, String)>,
    pub(super) alarms: Vec<String>,
}

impl Host<'_> {
    pub(super) async fn earlier(&mut self) -> Result<Vec<Msg>> {
        let first = self.loaded.rows.keys().next().copied().unwrap_or(Seq(u64::MAX));
        let rows = self.page(Page::Before(first, WINDOW)).await?;
        let items = self.items(&rows).await?;
        for row in &rows {
            self.loaded.rows.entry(row.place).or_insert(0);
        }
        self.count(&items);
        Ok(vec![Msg::Earlier(items)])
    }

    /// Reads what changed; returns what is different on the screen.
    pub(in crate::commands) async fn refresh(&mut self) -> Result<Vec<Msg>> {
        if !std::mem::take(&mut self.stale) {
            return Ok(std::mem::take(&mut self.later));
        }
        let mut msgs = std::mem::take(&mut self.later);
        let view = self.view()?;
        msgs.extend(self.rows(&view).await?);
        let now = self.relay_now();
        let mut facts = self.facts(&view, now).await?;
        facts.pause.clone_from(&self.loaded.pause);
        facts.alarms.extend(self.loaded.alarms.iter().cloned());
        facts.knocks = self.knocks.get(&self.here.room).cloned().unwrap_or_default();
        let places = self.places(&facts).await?;
        msgs.push(Msg::Places(places));
        msgs.extend(self.watch_turn(&view));
        if !view.untold.is_empty() {
            self.jobs.push(self.place().quietly(Command::Told).boxed_local());
        }
        self.ring_for(&view);
        let lane = self.here.lane.and_then(|id| view.lanes.iter().find(|lane| lane.id == id));
        let new_after = self
            .loaded
            .new_after
            .map(|place| rows::key_of(Seq(place.0.saturating_add(1))).saturating_sub(1));
        let looking = Looking { view: &view, facts: &facts, lane, now, new_after };
        msgs.push(Msg::Scene(Box::new(looking.scene())));
        Ok(msgs)
    }

    /// Has everything read again, because time alone changes some of it.
    pub(super) const fn look_again(&mut self) {
        self.stale = true;
    }

    async fn facts(&mut self, view: &RoomView, now: Millis) -> Result<Facts> {
        let ids: HashMap<RoomId, PlaceId> = view
            .lanes
            .iter()
            .map(|lane| {
                let spot = Spot { room: Arc::clone(&self.here.room), lane: Some(lane.id) };
                (lane.id, self.id_of(&spot))
            })
            .collect();
        let known = self.known.entry(Arc::clone(&self.here.room)).or_default();
        let id = |lane: &LaneView| ids.get(&lane.id).copied().unwrap_or(PlaceId(u64::MAX));
        known.facts(&self.client, view, now, id).await
    }

    fn ring_for(&mut self, view: &RoomView) {
        let now = self.begun.elapsed();
        if !self.ringing.rings(&view.help.unseen(), now).is_empty() {
            self.ring |= self.bell.rings(Call::Help, &view.mine, true);
        }
    }

    /// Returns the rooms and their lanes.
    async fn places(&mut self, facts: &Facts) -> Result<Vec<Place>> {
        let mut places = Vec::new();
        let rooms = self.rooms.clone();
        let now = self.relay_now();
        for (name, view) in rooms {
            let view = Arc::clone(&view.borrow());
            let id = self.id_of(&Spot { room: Arc::clone(&name), lane: None });
            let unread = if self.here.room == name && self.here.lane.is_none() {
                0
            } else {
                self.unread_of(&view).await?
            };
            places.push(Place {
                id,
                title: view.title.clone(),
                lane: false,
                unread,
                note: String::new(),
            });
            // The lanes of the room that is shown, and those of others that have something new.
            for lane in view.lanes.iter() {
                if lane.owner.is_none() && !view.moderates() {
                    continue;
                }
                if lane.owner == Some(view.me) && view.moderates() {
                    continue;
                }
                if self.here.room != name && lane.unread == 0 {
                    continue;
                }
                let id = self.id_of(&Spot { room: Arc::clone(&name), lane: Some(lane.id) });
                let title = match lane.owner {
                    None => "Desk".to_owned(),
                    Some(owner) if owner == view.me => "Check-in".to_owned(),
                    Some(_) => lanes::owner(lane),
                };
                places.push(Place {
                    id,
                    title,
                    lane: true,
                    unread: lane.unread,
                    note: note(lane, facts, now),
                });
            }
        }
        Ok(places)
    }

    /// Counts the messages of a room that were not read.
    async fn unread_of(&mut self, view: &RoomView) -> Result<usize> {
        let between = (view.shown, view.last);
        if view.last <= view.shown {
            return Ok(0);
        }
        if let Some((known, count)) = self.unread.get(&view.room)
            && *known == between
        {
            return Ok(*count);
        }
        let rows =
            self.client.rows(&view.room, Page::From(Seq(view.shown.0.saturating_add(1)))).await?;
        let words =
            |row: &&Row| matches!(row.content, RowContent::Text(_)) && row.from != Some(view.me);
        let count = rows.iter().filter(words).count().min(UNREAD_MAX);
        self.unread.insert(Arc::clone(&view.room), (between, count));
        Ok(count)
    }

    /// Reads the last rows again, and all others if one of the new rows may have changed them.
    async fn rows(&mut self, view: &RoomView) -> Result<Vec<Msg>> {
        let last = self.loaded.rows.keys().next_back().copied();
        let mut rows = self.page(Page::Before(Seq(u64::MAX), WINDOW)).await?;
        if !self.loaded.begun {
            self.loaded.begun = true;
            let shown = match self.here.lane {
                None => Some(view.shown),
                Some(id) => view.lanes.iter().find(|lane| lane.id == id).map(|lane| lane.shown),
            };
            // Where nothing was read before, there is no line between old and new.
            self.loaded.new_after = shown.filter(|shown| shown.0 > 0);
        }
        let first = rows.first().map(|row| row.place);
        let begins = self.loaded.rows.keys().next().copied();
        let fresh = |row: &&Row| last.is_some_and(|last| row.place > last);
        let changes = rows.iter().filter(fresh).any(changes_others);
        // More came than one page has, or what stands further back may have changed.
        if let (Some(first), Some(begins)) = (first, begins)
            && begins < first
            && (changes || last.is_some_and(|last| last < first))
        {
            let mut from = begins;
            let mut earlier = Vec::new();
            while from < first {
                let page = self.page(Page::From(from)).await?;
                let Some(end) = page.last().map(|row| row.place) else { break };
                earlier.extend(page.into_iter().filter(|row| row.place < first));
                from = Seq(end.0.saturating_add(1));
            }
            earlier.append(&mut rows);
            rows = earlier;
        }
        let read_from = rows.first().map_or(Seq(0), |row| row.place);
        self.loaded.pause = pause_of(&rows).or_else(|| self.loaded.pause.take());
        self.calls(view, &rows, last);
        let items = self.items(&rows).await?;
        let fresh_alarms = items.iter().filter(|item| {
            item.kind == Kind::Alarm
                && self.loaded.new_after.is_none_or(|after| rows::place_of(item.place) > after)
        });
        let alarms: Vec<String> = fresh_alarms.map(|item| item.text.clone()).collect();
        for alarm in alarms {
            if !self.loaded.alarms.contains(&alarm) {
                self.loaded.alarms.push(alarm);
            }
        }
        let gone = self.gone(&rows, &items, read_from);
        for row in &rows {
            self.loaded.rows.insert(row.place, 0);
        }
        self.count(&items);
        let mut msgs = Vec::new();
        if !gone.is_empty() {
            msgs.push(Msg::Gone(gone));
        }
        if !items.is_empty() {
            msgs.push(Msg::Items(items));
        }
        Ok(msgs)
    }

    /// Rings for new rows that call the reader.
    fn calls(&mut self, view: &RoomView, rows: &[Row], last: Option<Seq>) {
        let Some(last) = last else { return };
        let fresh = rows.iter().filter(|row| row.place > last);
        let call = match self.here.lane {
            None => fresh.filter_map(|row| bell::call(view, row)).max(),
            Some(_) => fresh.filter_map(|row| bell::call_in_lane(view, row)).max(),
        };
        if let Some(call) = call {
            self.ring |= self.bell.rings(call, &view.mine, true);
        }
    }

    /// Returns the entries that were shown and are no longer there.
    fn gone(&self, rows: &[Row], items: &[Item], from: Seq) -> Vec<u64> {
        let places: HashSet<Seq> = rows.iter().map(|row| row.place).collect();
        let keys: HashSet<u64> = items.iter().map(|item| item.place).collect();
        let was = self.loaded.rows.range(from..);
        was.flat_map(|(place, count)| {
            let first = rows::key_of(*place);
            (first..first + count).filter(|key| !places.contains(place) || !keys.contains(key))
        })
        .collect()
    }

    fn count(&mut self, items: &[Item]) {
        for item in items {
            *self.loaded.rows.entry(rows::place_of(item.place)).or_insert(0) += 1;
        }
    }

    async fn items(&self, rows: &[Row]) -> Result<Vec<Item>> {
        let view = self.view()?;
        let answered = match self.here.lane {
            Some(_) => self.answered_in(rows).await?,
            None => HashMap::new(),
        };
        let lens = Lens {
            view: &view,
            in_lane: self.here.lane.is_some(),
            answered: &answered,
            now: self.relay_now(),
            flags: &self.flags,
        };
        let mut items = Vec::new();
        for row in rows {
            let mut released = Vec::new();
            for place in &row.shows {
                let page = Page::Before(Seq(place.0.saturating_add(1)), 1);
                let found = self.page(page).await?.into_iter().filter(|row| row.place == *place);
                released.extend(found.map(crate::commands::shell::shown_now));
            }
            items.extend(lens.items(row, &released));
        }
        Ok(items)
    }

    /// Returns what moderators answer in the lane that is shown.
    async fn answered_in(&self, rows: &[Row]) -> Result<HashMap<MessageId, Answered>> {
        match rows.len() >= WINDOW {
            true => Ok(show::answered(&self.page(Page::Before(Seq(u64::MAX), WINDOW)).await?)),
            false => Ok(show::answered(rows)),
        }
    }
}

/// Whether a row may change what stands before it.
fn changes_others(row: &Row) -> bool {
    !matches!(
        row.content,
        RowContent::Text(_) | RowContent::Floor(_) | RowContent::Asked(_) | RowContent::Vote { .. }
    )
}

/// Returns the days since the last words of a lane, and whether something is due there.
fn note(lane: &LaneView, facts: &Facts, now: Millis) -> String {
    const DAY: u64 = 24 * 3600 * 1000;
    let known = facts.lanes.iter().find(|known| Some(known.owner) == lane.owner);
    let asked = facts.mood.is_some() || facts.questions.is_some();
    match (lane.last_at, known.is_some_and(|known| known.due) || asked) {
        (Millis(0), true) => "due".into(),
        (Millis(0), false) => String::new(),
        (at, due) => {
            let days = now.0.saturating_sub(at.0) / DAY;
            format!("{days} d{}", if due { " due" } else { "" })
        }
    }
}
