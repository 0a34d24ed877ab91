//! Rows of a history as entries of the screen: the sentences are those of every shell.

use std::{collections::HashMap, sync::Arc};

use hearth_engine::{
    policy::Act,
    state::{Row, RowContent},
    turns::Later,
    words::{EDIT_MILLIS, Reaction},
};
use hearth_protocol::{MessageId, Millis, Role, Seq};
use hearth_session::client::RoomView;
use hearth_tui::{Action, Does, Item, Kind};
use jiff::{Timestamp, tz::TimeZone};

use crate::show::{self, Answered, Output, Printed, Sink, View};

/// Entries that one row can have: the words that are shown with it are among them.
const OF_A_ROW: u64 = 64;

/// Returns the key of the first entry of a row.
pub(super) const fn key_of(place: Seq) -> u64 {
    place.0.saturating_mul(OF_A_ROW)
}

/// Returns the row that an entry belongs to.
pub(super) const fn place_of(key: u64) -> Seq {
    Seq(key / OF_A_ROW)
}

/// How rows become entries.
pub(super) struct Lens<'a> {
    pub(super) view: &'a RoomView,
    /// Whether they are a lane's.
    pub(super) in_lane: bool,
    /// In a lane: what moderators answer there.
    pub(super) answered: &'a HashMap<MessageId, Answered>,
    /// The time by the relay's clock.
    pub(super) now: Millis,
    /// The flags of the profile, for advice.
    pub(super) flags: &'a str,
}

impl Lens<'_> {
    fn shown(&self) -> View<'_> {
        View {
            room: &self.view.room,
            me: self.view.me,
            roster: &self.view.roster,
            round: self.view.floor.round.as_ref(),
            // Whom one does not want to read in the room may be the one who answers a call for help.
            muted: if self.in_lane { &[] } else { &self.view.muted },
            help: &self.view.help,
            rests_until: self.view.timed_out_until,
            paused_until: self.view.policy.as_ref().map_or(Millis(0), |p| p.numbers.paused_until),
            mine: &self.view.mine,
            shown: Seq(u64::MAX),
            held: false,
            open: false,
            lane: None,
            answered: self.in_lane.then_some(self.answered),
        }
    }

    /// Returns the entries of a row, with the earlier words that are shown with it.
    pub(super) fn items(&self, row: &Row, released: &[Row]) -> Vec<Item> {
        let mut items = Vec::new();
        let (notices, rest) = (
            Row { content: RowContent::Nothing, changes: Vec::new(), ..row.clone() },
            Row { notices: Vec::new(), ..row.clone() },
        );
        self.told(&notices, &mut items);
        match self.said(row) {
            Some(said) => {
                items.push(said);
                let changes = Row { content: RowContent::Nothing, ..rest };
                self.told(&changes, &mut items);
            }
            None if self.shown().hides(row) => {
                self.told(&Row { content: RowContent::Nothing, ..rest }, &mut items);
            }
            None => self.told(&rest, &mut items),
        }
        for later in released {
            match self.said(later) {
                Some(said) => items.push(said),
                None if self.shown().hides(later) => {}
                None => self.told(later, &mut items),
            }
        }
        let first = key_of(row.place);
        items.truncate(usize::try_from(OF_A_ROW).unwrap_or(usize::MAX));
        for (place, item) in (first..).zip(&mut items) {
            item.place = place;
        }
        items
    }

    /// Returns somebody's words as an entry.
    fn said(&self, row: &Row) -> Option<Item> {
        let lens = self.shown();
        if lens.hides(row) {
            return None;
        }
        let base = self.base(row);
        match &row.content {
            RowContent::Text(text) => {
                let mine = row.from == Some(self.view.me);
                let kept = row.talk.later == Some(Later::Turn);
                if row.talk.later.is_some() && !(kept && mine) {
                    return None;
                }
                let around = lens.around(row);
                let mut after = around.after;
                if kept {
                    after.push("kept for your turn, only you see it".into());
                }
                Some(Item {
                    head: around.answers.map(|to| format!(", to {to}")).unwrap_or_default(),
                    note: around.note,
                    after: after.join(" · "),
                    text: text.clone(),
                    actions: self.actions(row, text),
                    ..base
                })
            }
            RowContent::Shared(text) => Some(Item {
                name: format!("Shared through {}, without a name", row.name),
                text: text.clone(),
                actions: self.actions(row, text),
                ..base
            }),
            RowContent::Moderation { record, .. } => match &record.act {
                Act::Announce(text) => Some(Item {
                    head: ", to everybody".into(),
                    text: text.clone(),
                    actions: vec![copy(text)],
                    ..base
                }),
                _ => None,
            },
            _ => None,
        }
    }

    fn base(&self, row: &Row) -> Item {
        let (day, time) = day_and_time(row.at);
        Item {
            day,
            time,
            name: row.name.clone(),
            mine: row.from == Some(self.view.me),
            ..Item::default()
        }
    }

    /// Adds the sentences of a row, an entry each.
    fn told(&self, row: &Row, items: &mut Vec<Item>) {
        let sink = Arc::new(Sink::new(None));
        let out =
            Output::to(false, Arc::clone(&sink)).with_flags(self.flags).in_chat(&self.view.room);
        // A sink takes everything.
        if self.shown().row(&out, row).is_err() {
            return;
        }
        let clock = format!("{} ", show::clock(row.at));
        for line in sink.take() {
            let (Printed::Out(text) | Printed::Err(text)) = line;
            let text = text.strip_prefix(&clock).unwrap_or(&text);
            let (kind, text) = match (text.strip_prefix("!! "), text.strip_prefix("-- ")) {
                (Some(alarm), _) => (Kind::Alarm, alarm),
                (_, Some(done)) => (Kind::Done, done),
                _ => (Kind::Done, text),
            };
            // The lines of a poll belong to the question above them.
            match items.last_mut().filter(|last| text.starts_with("   ") && last.kind == Kind::Done)
            {
                Some(last) => last.text = format!("{}\n{}", last.text, text.trim_end()),
                None => items.push(Item { kind, text: text.to_owned(), ..self.base(row) }),
            }
        }
    }

    /// Returns what this person may do with a message.
    fn actions(&self, row: &Row, text: &str) -> Vec<Action> {
        let Some(id) = row.id.map(|id| id.short()) else { return vec![copy(text)] };
        let action = |key, label: &str, does| Action { key, label: label.into(), does };
        let run = |line: String| Does::Run(line);
        let mut actions = Vec::new();
        let role = self.view.role().unwrap_or(Role::Observer);
        let mine = row.from == Some(self.view.me);
        if !self.in_lane {
            if role.posts() {
                let compose = |label: String, command: String, text: String| Does::Compose {
                    label,
                    command,
                    text,
                };
                let label = format!("to {}", row.name);
                let reply = compose(label, format!("reply {id}"), String::new());
                actions.push(action('r', "Reply", reply));
                let choices = Reaction::ALL.into_iter().zip('1'..);
                let choices = choices.map(|(reaction, key)| {
                    let word = reaction.words().replace(' ', "-");
                    action(key, reaction.words(), run(format!("react {id} {word}")))
                });
                let mut choices: Vec<Action> = choices.collect();
                choices.push(action('0', "take mine back", run(format!("react {id} none"))));
                let title = "React without words".to_owned();
                let lines =
                    vec!["Everybody sees it, with your name. It is never counted.".to_owned()];
                actions.push(action('+', "React", Does::Choose { title, lines, choices }));
                if mine && self.now.0.saturating_sub(row.at.0) <= EDIT_MILLIS {
                    let edit = compose("change to".into(), format!("edit {id}"), text.to_owned());
                    actions.push(action('e', "Change", edit));
                }
            }
            if mine {
                actions.push(action(
                    't',
                    "Take back",
                    sure(&format!("retract {id}"), "Take this back?"),
                ));
            }
            if role.moderates() {
                let form = |name: &str| Does::Form(name.into(), vec![id.clone()]);
                actions.push(action('v', "Put a content note on it", form("cover")));
                actions.push(action('p', "Pin", run(format!("pin {id}"))));
                if !mine {
                    actions.push(action('d', "Take down", form("retract")));
                }
            }
            if !mine {
                actions.push(action(
                    '!',
                    "Report to the facilitators",
                    Does::Form("report".into(), vec![id.clone()]),
                ));
                if let Some(leaf) =
                    self.view.roster.iter().find(|leaf| Some(leaf.member) == row.from)
                {
                    let line = format!("mute \"{}\"", leaf.name);
                    actions.push(action('m', "Hide their words here", run(line)));
                }
            }
            if let Some(quote) = row.talk.quote.as_ref().filter(|_| row.talk.reply.is_some()) {
                let jump = Does::Jump(key_of(quote.place));
                actions.push(action('j', "Go to what it answers", jump));
            }
        }
        actions.push(copy(text));
        actions
    }
}

fn copy(text: &str) -> Action {
    Action { key: 'c', label: "Copy".into(), does: Does::Copy(text.to_owned()) }
}

/// Asks before a command that cannot be undone.
pub(super) fn sure(line: &str, question: &str) -> Does {
    let yes = Action { key: 'y', label: "Yes".into(), does: Does::Run(line.to_owned()) };
    Does::Choose {
        title: question.to_owned(),
        lines: vec!["It cannot be undone. Esc leaves it.".to_owned()],
        choices: vec![yes],
    }
}

/// Returns the day and the time of day in this computer's zone.
fn day_and_time(at: Millis) -> (String, String) {
    let at = i64::try_from(at.0).ok().and_then(|at| Timestamp::from_millisecond(at).ok());
    let Some(at) = at.map(|at| at.to_zoned(TimeZone::system())) else { return Default::default() };
    (at.strftime("%A %-d %B %Y").to_string(), at.strftime("%H:%M").to_string())
}
