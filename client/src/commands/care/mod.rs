//! Moods, questionnaires and check-ins that are due, in a line shell: what is asked of a member, and what those who moderate read.

pub(super) mod ask;
mod checkins;
pub(super) mod questions;
mod view;

use hearth_engine::{
    content::Ref,
    course::{self, MoodAsked},
    private::{MOOD_MAX, Private, Wanted},
    state::{Row, RowContent},
};
use hearth_protocol::{MemberKey, Millis, RoomId, Seq};
use hearth_session::{
    client::{LaneView, Page, RoomView},
    live::now,
};
use hearth_text::escape;
use serde_json::json;

use super::{Result, outcome, shell::Shell};
use crate::show::{self, help::people};

/// The highest mood after which a member reads where else they can turn.
const LOW: u32 = 3;

/// What a member reads after a low mood.
const LOW_WORDS: &str =
    "Thank you for saying so. That sounds hard. `hearth checkin ROOM` writes to";

impl Shell {
    /// Returns every row of a lane.
    pub(super) async fn rows_of_lane(&self, lane: RoomId) -> Result<Vec<Row>> {
        let (mut rows, mut from) = (Vec::new(), Seq(0));
        loop {
            let page = self.client.lane_rows(&self.room, lane, Page::From(from)).await?;
            let Some(last) = page.last().map(|row| row.place) else { return Ok(rows) };
            rows.extend(page);
            from = Seq(last.0.saturating_add(1));
        }
    }

    /// Returns the time by the relay's clock.
    pub(super) fn relay_now(&self) -> Millis {
        self.view().relay_now(now())
    }

    /// Tells a member what is asked of them alone, a mood or questions, unless it was told here already. `beside` is the row that asks, where
    /// it is printed just now.
    pub(in crate::commands) async fn tell_asked(&self, beside: Option<&Row>) -> Result<()> {
        let view = self.view();
        let Some(lane) = view.own_lane().filter(|_| !view.moderates()) else { return Ok(()) };
        let (rows, now) = (self.rows_of_lane(lane.id).await?, self.relay_now());
        let told = self.told_asked.get();
        let (mut mood_told, mut sheet_told) = told;
        let wanted = |place: Seq, is_new: bool| beside.map_or(is_new, |row| row.place == place);
        if let Some(mood) = course::mood_asked(&rows, &view.me, view.mine.unasked, now)
            && wanted(mood.place, mood.at > mood_told)
        {
            self.tell_mood_asked(&mood)?;
            mood_told = mood.at;
        }
        if let Some(sheet) = course::sheet_asked(&rows, &view.me, now)
            && wanted(sheet.place, sheet.place > sheet_told)
        {
            sheet_told = sheet.place;
            let asked = questions::Asked::of(sheet);
            let object = asked.json(&self.room);
            self.out.say(&object, &self.out.advice(&asked.waits(&view, now)))?;
        }
        self.told_asked.set((mood_told, sheet_told));
        Ok(())
    }

    fn tell_mood_asked(&self, asked: &MoodAsked) -> Result<()> {
        let (view, now) = (self.view(), self.relay_now());
        let object = json!({
            "room": self.room,
            "asked": "mood",
            "by": name_of(&view, &asked.by),
            "read_by": show::rfc3339(asked.read_by),
        });
        let text = format!(
            "{} `hearth mood ROOM 5` answers, `hearth mood ROOM skip` skips it, `hearth mood ROOM stop` stops the asking.",
            mood_question(&view, asked, now),
        );
        Ok(self.out.say(&object, &self.out.advice(&text))?)
    }

    /// Whether words that were typed for the room look like the mood that is asked for.
    pub(in crate::commands) async fn is_mood(&self, text: &str) -> Result<bool> {
        let view = self.view();
        let first = text.split_whitespace().next().unwrap_or_default();
        let number = first.trim_end_matches(['.', ',', ':']).parse::<u32>().ok();
        let Some(lane) = view.own_lane().filter(|_| number.is_some_and(|n| n <= MOOD_MAX)) else {
            return Ok(false);
        };
        let rows = self.rows_of_lane(lane.id).await?;
        let unasked = view.mine.unasked;
        Ok(course::mood_asked(&rows, &view.me, unasked, self.relay_now()).is_some())
    }

    /// Prints the question of the room that a row of a lane answers.
    async fn tell_question(&self, ask: Ref) -> Result<()> {
        let row = self.row_at(ask.seq).await?.filter(|row| row.digest == ask.digest);
        let text = match row.map(|row| row.content) {
            Some(RowContent::Asked(ask)) => escape::one_line(&ask.text),
            _ => "a question that is no longer on this device".to_owned(),
        };
        Ok(self.out.say_none(&format!("      | to: {text}"))?)
    }

    /// Tells what belongs to a row of a lane: to its owner what is asked there, to those who moderate what was answered.
    pub(in crate::commands) async fn tell_beside(&self, lane: &LaneView, row: &Row) -> Result<()> {
        if let (Some(ask), RowContent::Text(_)) = (row.talk.answers, &row.content) {
            return self.tell_question(ask).await;
        }
        let RowContent::Private(private) = &row.content else { return Ok(()) };
        let view = self.view();
        let mine = lane.owner == Some(view.me);
        match &**private {
            Private::Inquiry(inquiry) if mine && inquiry.wanted != Wanted::NoMood => {
                self.tell_asked(Some(row)).await?;
            }
            Private::Answers { .. } => {
                let (Some(owner), rows) = (lane.owner, self.rows_of_lane(lane.id).await?) else {
                    return Ok(());
                };
                let sittings = course::sittings(std::iter::once(row), &owner);
                for sitting in &sittings {
                    let answered = questions::Answered::of(&rows, sitting);
                    let name = name_of(&view, &owner);
                    self.out.say_none(&answered.lines(&name, !mine).join("\n"))?;
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// Returns what a member reads after they told a mood.
pub(super) fn after_mood(view: &RoomView, score: u32) -> Option<String> {
    (score <= LOW).then(|| {
        format!(
            "{LOW_WORDS} {}. `hearth help-now ROOM` shows numbers; it tells nobody unless you want it to.",
            who_reads(view)
        )
    })
}

/// Returns how a member is asked for a mood, who reads it and by when.
pub(super) fn mood_question(view: &RoomView, asked: &MoodAsked, now: Millis) -> String {
    let watching = match is_anybody_here(view, now) {
        true => "",
        false => " Nobody is watching now.",
    };
    format!(
        "How are you right now, from 0, as bad as it gets, to 10, as good as it gets? {} see{} it, by {}.{watching}",
        who_reads(view),
        if moderators(view).len() == 1 { "s" } else { "" },
        show::clock(asked.read_by),
    )
}

/// Whether a moderator has said that they are here now.
pub(super) fn is_anybody_here(view: &RoomView, now: Millis) -> bool {
    view.on_duty.iter().any(|duty| duty.until > now)
}

/// Returns the names of those who moderate, other than this member.
fn moderators(view: &RoomView) -> Vec<String> {
    let moderates = |member: &MemberKey| {
        view.policy.as_ref().is_some_and(|policy| policy.role(member).moderates())
    };
    let leaves = view.roster.iter().filter(|leaf| leaf.member != view.me);
    leaves.filter(|leaf| moderates(&leaf.member)).map(|leaf| escape::one_line(&leaf.name)).collect()
}

/// Names those who read what is told in a lane, from its owner's side.
pub(super) fn who_reads(view: &RoomView) -> String {
    people(&moderators(view))
}

/// Returns a member's name, made harmless.
pub(super) fn name_of(view: &RoomView, member: &MemberKey) -> String {
    outcome::name_of(view, member)
}
