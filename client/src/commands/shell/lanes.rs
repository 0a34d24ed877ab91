//! Lanes in a line shell: who reads along, what is new there.

use hearth_engine::{
    private::Private,
    room::any_alarm,
    state::{Row, RowContent},
};
use hearth_protocol::{MessageId, Millis, RoomId, Seq};
use hearth_session::client::{Command, LaneCommand, LaneView, PAGE_MAX, Page, RoomView};
use hearth_text::{count::counted, escape};
use serde_json::json;

use super::{
    super::{bell, outcome::not_verified},
    Result, Shell,
};
use crate::show::{self, View};

/// Rows of a lane that are shown where the whole is not asked for.
const ROWS: usize = 30;

impl Shell {
    /// Catches up if the relay can be reached, so that lanes are as they are there.
    pub(in crate::commands) async fn news_of_lanes(&self) -> Result<()> {
        self.refresh().await
    }

    /// Returns this member's own words with their times, those in the room first, then those in their check-in.
    pub(in crate::commands) async fn own_words(&self) -> Result<Vec<(String, String)>> {
        let view = self.view();
        let lanes = view.own_lane().map(|lane| Some(lane.id));
        let mut words = Vec::new();
        for place in [None].into_iter().chain(lanes) {
            let mut from = Seq(0);
            loop {
                let page = Page::From(from);
                let rows = match place {
                    Some(lane) => self.client.lane_rows(&self.room, lane, page).await?,
                    None => self.client.rows(&self.room, page).await?,
                };
                let Some(last) = rows.last() else { break };
                from = Seq(last.place.0.saturating_add(1));
                for row in rows.into_iter().filter(|row| row.from == Some(view.me)) {
                    if let RowContent::Text(text) | RowContent::Held(text) = row.content {
                        words.push((show::rfc3339(row.at), text));
                    }
                }
            }
        }
        Ok(words)
    }

    /// Prints what is new in every lane; returns whether there was anything.
    ///
    /// # Errors
    /// `verification_failed` if an alarm was among it.
    pub(in crate::commands) async fn print_lanes(&self) -> Result<bool> {
        let (mut any, mut alarm) = (false, false);
        let view = self.view();
        for lane in view.lanes.iter().filter(|lane| lane.last > lane.shown) {
            match self.print_lane(lane.id, false).await {
                Ok(printed) => any |= printed,
                Err(failure) if failure.code == not_verified().code => alarm = true,
                Err(failure) => return Err(failure),
            }
        }
        if alarm { Err(not_verified()) } else { Ok(any) }
    }

    /// Prints what is new in a lane, or its last rows; returns whether there was anything.
    ///
    /// # Errors
    /// `verification_failed` if an alarm was among it.
    pub(in crate::commands) async fn print_lane(&self, id: RoomId, all: bool) -> Result<bool> {
        let view = self.view();
        let Some(lane) = view.lanes.iter().find(|lane| lane.id == id) else { return Ok(false) };
        let label = label(&view, lane);
        if all {
            self.out.say_none(&format!("-- {}", readers(&view, lane)))?;
        }
        let page = match all {
            true => Page::Before(Seq(u64::MAX), ROWS),
            false => Page::From(Seq(lane.shown.0.saturating_add(1))),
        };
        let rows = self.client.lane_rows(&self.room, id, page).await?;
        let answers = |row: &Row| matches!(&row.content, RowContent::Private(private) if matches!(**private, Private::Seen(_)));
        // What was answered may stand further back.
        let before = match rows.iter().any(answers) {
            true => {
                let page = Page::Before(Seq(u64::MAX), PAGE_MAX);
                self.client.lane_rows(&self.room, id, page).await?
            }
            false => Vec::new(),
        };
        let answered = show::answered(&before);
        let lens =
            // Whom one does not want to read in the room may be the one who answers a call for help.
            View { lane: Some(&label), muted: &[], answered: Some(&answered), ..self.lens(&view, lane.shown) };
        let (mut any, mut alarm) = (false, false);
        for row in &rows {
            any |= lens.row(&self.out, row)?;
            self.tell_beside(lane, row).await?;
            if row.place > lane.shown {
                alarm |= any_alarm(std::slice::from_ref(row));
                self.called.set(self.called.get().max(bell::call_in_lane(&view, row)));
            }
        }
        if let Some(last) = rows.last().filter(|last| last.place > lane.shown) {
            let what = LaneCommand::Shown(last.place);
            self.ask(Command::Lane { lane: id, what }).await?;
        }
        for waiting in lane.outbox.iter().filter(|_| all) {
            let words = escape::one_line(&waiting.text);
            self.out.say_none(&format!("-- waits to be sent [{}]: {words}", waiting.id.short()))?;
        }
        if alarm { Err(not_verified()) } else { Ok(any) }
    }

    /// Lists the check-ins of a room for those who moderate.
    pub(in crate::commands) fn list_lanes(&self) -> Result<()> {
        let view = self.view();
        for lane in view.lanes.iter().filter(|lane| lane.owner.is_some_and(|o| o != view.me)) {
            let name = owner(lane);
            let last = match lane.last_at {
                Millis(0) => "nothing yet".to_owned(),
                at => format!("last {}", show::clock(at)),
            };
            let new = match lane.unread {
                0 => String::new(),
                new => format!(", {new} new"),
            };
            let waits = if lane.seated { "" } else { ", not open yet" };
            let object = json!({
                "room": self.room,
                "checkin": name,
                "key": lane.owner.map(|owner| owner.to_hex()),
                "seated": lane.seated,
                "last_at": (lane.last_at > Millis(0)).then(|| show::rfc3339(lane.last_at)),
                "new": lane.unread,
            });
            let text = format!("{}: {last}{new}{waits}", escape::one_line(&name));
            self.out.say(&object, &text)?;
        }
        Ok(())
    }

    /// Says that a report went past somebody to this member, or was answered so.
    pub(in crate::commands) fn remark_reports(&self) {
        let how = "-- a report came by a note, or an answer to one: `hearth reports ROOM`";
        self.out.remark(&self.out.advice(how));
    }

    /// Returns a message that waits in a check-in, by the first characters of its id, if no message to the room has them.
    pub(in crate::commands) fn waiting_in_lane(&self, wanted: &str) -> Option<(RoomId, MessageId)> {
        let view = self.view();
        let wanted = wanted.trim_matches(['[', ']']).to_lowercase();
        if wanted.is_empty() || !view.waiting(&wanted).is_empty() {
            return None;
        }
        let all = view.lanes.iter().flat_map(|lane| lane.outbox.iter().map(|w| (lane.id, w.id)));
        let mut fits = all
            .filter(|(_, id)| id.short().starts_with(&wanted) || id.to_hex().starts_with(&wanted));
        fits.next().filter(|_| fits.next().is_none())
    }

    /// Says how many check-ins have something new, where the reader does not see them at once.
    pub(in crate::commands) fn remark_lanes(&self) {
        let view = self.view();
        if view.unread_reports > 0 {
            self.remark_reports();
        }
        let new: Vec<&LaneView> = view.lanes.iter().filter(|lane| lane.unread > 0).collect();
        let how = match &new[..] {
            [] => return,
            [lane] if lane.owner == Some(view.me) => {
                "-- something new in your check-in: `hearth checkin ROOM`".to_owned()
            }
            [lane] => format!(
                "-- something new in {}: `hearth checkin ROOM {}`",
                label(&view, lane),
                escape::one_line(&owner(lane))
            ),
            lanes => format!(
                "-- something new in {}: `hearth checkin ROOM` lists them",
                counted(lanes.len(), "check-in", "check-ins")
            ),
        };
        self.out.remark(&self.out.advice(&how));
    }
}

/// Returns the name of a lane's owner.
pub(in crate::commands) fn owner(lane: &LaneView) -> String {
    if lane.owner.is_some() { lane.name.clone() } else { "the desk".to_owned() }
}

/// Returns what a lane is called before its lines.
pub(in crate::commands) fn label(view: &RoomView, lane: &LaneView) -> String {
    match lane.owner {
        None => "desk".into(),
        Some(owner) if owner == view.me => "check-in".into(),
        Some(_) => format!("{}'s check-in", owner(lane)),
    }
}

/// Says who reads along.
pub(in crate::commands) fn readers(view: &RoomView, lane: &LaneView) -> String {
    let label = label(view, lane);
    let label = escape::one_line(&label);
    if !lane.seated {
        return format!("{label}: not open yet. A facilitator's device opens it.");
    }
    match &lane.readers[..] {
        [] => format!("{label}: nobody else reads it yet"),
        names => {
            let names: Vec<String> = names.iter().map(|name| escape::one_line(name)).collect();
            format!("{label}: only you and {} read it", names.join(", "))
        }
    }
}
