//! What the screen shows of a room beside its view: read from its rows and lanes where they changed.

use std::collections::{HashMap, HashSet};

use hearth_engine::{
    course::{self, Exchange, MoodEntry, check_ins},
    policy::Act,
    private::{Private, SeenState},
    state::{Row, RowContent},
};
use hearth_protocol::{MemberKey, MessageId, Millis, RoomId, Seq};
use hearth_session::client::{Client, LaneView, Page, RoomView};

use super::scene::{Facts, LaneFacts};
use crate::{
    commands::{Result, care::questions},
    show,
};

/// What was read of one lane, up to a place.
struct OfLane {
    last: Seq,
    exchange: Exchange,
    moods: Vec<MoodEntry>,
    reports: usize,
}

/// What was read of the lanes of a room.
#[derive(Default)]
pub(super) struct Known {
    lanes: HashMap<RoomId, OfLane>,
    /// The rows of this person's own lane, up to a place.
    own: Option<(Seq, Vec<Row>)>,
}

impl Known {
    /// Reads what changed, and returns what there is to know. `id` names the place of a lane.
    pub(super) async fn facts(
        &mut self,
        client: &Client,
        view: &RoomView,
        now: Millis,
        id: impl Fn(&LaneView) -> hearth_tui::PlaceId,
    ) -> Result<Facts> {
        let mut facts = Facts::default();
        if view.moderates() {
            self.read_lanes(client, view).await?;
            let exchanges: Vec<Exchange> = view
                .lanes
                .iter()
                .filter_map(|lane| Some(self.lanes.get(&lane.id)?.exchange))
                .collect();
            for line in check_ins(&exchanges, &view.mine.cadence, now) {
                let Some(lane) = view.lane_of(line.member) else { continue };
                facts.lanes.push(LaneFacts {
                    owner: line.member,
                    days: line.days,
                    due: line.is_due(),
                    waits_for_us: line.waits_for_us,
                    moods: self
                        .lanes
                        .get(&lane.id)
                        .map(|known| known.moods.clone())
                        .unwrap_or_default(),
                    place: id(lane),
                });
            }
            facts.reports = self.lanes.values().map(|known| known.reports).sum();
        } else if let Some(lane) = view.own_lane() {
            self.read_own(client, view, lane).await?;
            let rows: &[Row] = self.own.as_ref().map_or(&[], |(_, rows)| rows);
            facts.mood = course::mood_asked(rows, &view.me, view.mine.unasked, now);
            let sheet = course::sheet_asked(rows, &view.me, now);
            facts.questions = sheet.map(|sheet| questions::Asked::of(sheet).waits(view, now));
            facts.lanes.push(LaneFacts {
                owner: view.me,
                days: None,
                due: false,
                waits_for_us: false,
                moods: Vec::new(),
                place: id(lane),
            });
        }
        if !view.mismatches.is_empty() {
            let names = client.names(&view.room).await?;
            let alarms = view.mismatches.iter().filter(|what| what.is_alarm());
            facts.alarms.extend(alarms.map(|what| show::mismatch_text(what, view.me, &names)));
        }
        Ok(facts)
    }

    async fn read_lanes(&mut self, client: &Client, view: &RoomView) -> Result<()> {
        let is_moderator =
            |member: &MemberKey| view.policy.as_ref().is_some_and(|p| p.role(member).moderates());
        self.lanes.retain(|id, _| view.lanes.iter().any(|lane| lane.id == *id));
        for lane in view.lanes.iter() {
            let Some(owner) = lane.owner.filter(|owner| !is_moderator(owner)) else { continue };
            if self.lanes.get(&lane.id).is_some_and(|known| known.last == lane.last) {
                continue;
            }
            let rows = rows_of(client, view, lane.id).await?;
            let known = OfLane {
                last: lane.last,
                exchange: Exchange::of(&rows, owner),
                moods: course::moods(&rows, &owner),
                reports: open_reports(&rows),
            };
            self.lanes.insert(lane.id, known);
        }
        Ok(())
    }

    async fn read_own(&mut self, client: &Client, view: &RoomView, lane: &LaneView) -> Result<()> {
        if self.own.as_ref().is_none_or(|(last, _)| *last != lane.last) {
            self.own = Some((lane.last, rows_of(client, view, lane.id).await?));
        }
        Ok(())
    }
}

/// Returns every row of a lane.
async fn rows_of(client: &Client, view: &RoomView, lane: RoomId) -> Result<Vec<Row>> {
    let (mut rows, mut from) = (Vec::new(), Seq(0));
    loop {
        let page = client.lane_rows(&view.room, lane, Page::From(from)).await?;
        let Some(last) = page.last().map(|row| row.place) else { return Ok(rows) };
        rows.extend(page);
        from = Seq(last.0.saturating_add(1));
    }
}

/// Counts reports that nobody has closed.
fn open_reports(rows: &[Row]) -> usize {
    let private = rows.iter().filter_map(|row| match &row.content {
        RowContent::Private(private) => Some((row.id?, &**private)),
        _ => None,
    });
    let mut open: HashSet<MessageId> = HashSet::new();
    for (id, private) in private {
        match private {
            Private::Report(_) => {
                open.insert(id);
            }
            Private::Seen(seen) if seen.state != SeenState::Seen => {
                open.remove(&seen.message);
            }
            _ => {}
        }
    }
    open.len()
}

/// Returns who paused the room last, and their words.
pub(super) fn pause_of(rows: &[Row]) -> Option<(String, String)> {
    rows.iter().rev().find_map(|row| match &row.content {
        RowContent::Moderation { record, .. } => match &record.act {
            Act::Pause { comment, .. } => Some((row.name.clone(), comment.clone())),
            _ => None,
        },
        _ => None,
    })
}
