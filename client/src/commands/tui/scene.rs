//! What is around the talk: the room's state as bands and cards, and what waits for this person.

use hearth_engine::course::{MoodAsked, MoodEntry};
use hearth_protocol::{MemberKey, MessageId, Millis};
use hearth_session::client::{LaneView, RoomView, Waiting};
use hearth_text::{count::counted, escape};
use hearth_tui::{Action, Does, Numbers, PlaceId, Scene, Todo, Wait};

use super::entries;
use crate::{
    commands::{
        contacts,
        outcome::{self, name_of},
        shell::lanes,
    },
    failure::Failure,
    show::{self, help},
};

/// Moods that are shown as a picture, the last ones.
const MOODS_SHOWN: usize = 8;
/// Heights of a mood in a line.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// What is known of a room beside its view.
#[derive(Default)]
pub(super) struct Facts {
    /// Who paused the room, and their words.
    pub(super) pause: Option<(String, String)>,
    /// The mood that is asked of this person.
    pub(super) mood: Option<MoodAsked>,
    /// What is said of the questions that are asked of this person.
    pub(super) questions: Option<String>,
    /// Names of those who knock, and whether they can be let in.
    pub(super) knocks: Vec<(String, bool)>,
    /// Reports that nobody has closed.
    pub(super) reports: usize,
    /// What is known of each member's check-in, for those who moderate.
    pub(super) lanes: Vec<LaneFacts>,
    /// What was not verified: its sentence.
    pub(super) alarms: Vec<String>,
}

/// What is known of one check-in.
pub(super) struct LaneFacts {
    pub(super) owner: MemberKey,
    pub(super) days: Option<u64>,
    pub(super) due: bool,
    pub(super) waits_for_us: bool,
    pub(super) moods: Vec<MoodEntry>,
    pub(super) place: PlaceId,
}

/// How a place is seen.
pub(super) struct Looking<'a> {
    pub(super) view: &'a RoomView,
    pub(super) facts: &'a Facts,
    /// The lane that is shown; `None`: the room.
    pub(super) lane: Option<&'a LaneView>,
    /// By the relay's clock.
    pub(super) now: Millis,
    pub(super) new_after: Option<u64>,
}

pub(super) fn action(key: char, label: &str, does: Does) -> Action {
    Action { key, label: label.into(), does }
}

pub(super) fn run(line: impl Into<String>) -> Does {
    Does::Run(line.into())
}

impl Looking<'_> {
    /// Returns everything around the talk.
    pub(super) fn scene(&self) -> Scene {
        let view = self.view;
        let knockers: Vec<String> =
            self.facts.knocks.iter().map(|(name, _)| name.clone()).collect();
        let title = match self.lane {
            None => view.title.clone(),
            Some(lane) => format!("{}: {}", view.title, lanes::label(view, lane)),
        };
        let outbox = self.lane.map_or(&view.outbox, |lane| &lane.outbox);
        Scene {
            title,
            me: view.name.clone(),
            status: self.status(),
            prompt: self.prompt(),
            limit: 0,
            bands: self.bands(),
            for_you: self.for_you(),
            waiting: outbox.iter().map(wait).collect(),
            entries: entries::entries(view, &knockers),
            numbers: self.numbers(),
            new_after: self.new_after,
        }
    }

    fn status(&self) -> String {
        let Some(policy) = &self.view.policy else { return String::new() };
        let numbers = &policy.numbers;
        let mut parts = vec![format!("kept {}", show::span(numbers.retention_seconds))];
        let (open, opens) = outcome::openness(numbers, self.now);
        match (open, opens) {
            (true, _) if numbers.hours.is_some() => parts.push("open".into()),
            (true, _) => {}
            (false, Some(at)) => parts.push(format!("opens {}", show::clock(at))),
            (false, None) => parts.push("closed".into()),
        }
        if let Some(duty) = self.view.on_duty.iter().find(|duty| duty.until > self.now) {
            let name = name_of(self.view, &duty.member);
            parts.push(format!("{name} is here until {}", show::clock(duty.until)));
        }
        parts.join(" · ")
    }

    /// Says whom what is typed goes to, so that nothing is said in the wrong place.
    fn prompt(&self) -> String {
        match self.lane {
            None => ">".into(),
            Some(lane) if lane.owner.is_none() => "to the desk >".into(),
            Some(lane) => match &lane.readers[..] {
                [] => "to the facilitators only >".into(),
                names => format!("to {} only >", help::people(names)),
            },
        }
    }

    fn numbers(&self) -> Numbers {
        let help = &self.view.help;
        let mut lines = match help.contacts.first() {
            Some(first) => {
                contacts::screen(first, contacts::today()).lines().map(str::to_owned).collect()
            }
            None => vec![format!("Call {}.", help::NO_NUMBER)],
        };
        if help.contacts.len() > 1 {
            lines.push("Other numbers: /help-now --all".into());
        }
        lines.push("Nothing has been sent. Nobody knows that you opened this.".into());
        lines.push(help::presence(help));
        let tells = match &help.bench[..] {
            [] => String::new(),
            names => help::people(names),
        };
        Numbers { lines, tells }
    }

    fn for_you(&self) -> Vec<Todo> {
        let (view, facts) = (self.view, self.facts);
        let mut todo = Vec::new();
        let mut add = |what: &str, text: String, does: Option<Does>| {
            todo.push(Todo { what: what.into(), text, urgent: false, does });
        };
        if !facts.knocks.is_empty() {
            let names: Vec<String> =
                facts.knocks.iter().map(|(name, _)| escape::one_line(name)).collect();
            let choices = facts.knocks.iter().flat_map(|(name, good)| {
                let (shown, line) = (escape::one_line(name), format!("admit \"{name}\""));
                let admit = (format!("let {shown} in"), run(line));
                let decline = Does::Form("decline".into(), vec![name.clone()]);
                good.then_some(admit).into_iter().chain([(format!("decline {shown}"), decline)])
            });
            let choices = choices.zip(('1'..='9').chain('a'..='z'));
            let choices = choices.map(|((label, does), key)| action(key, &label, does));
            let title = "Who knocks".to_owned();
            let lines = vec!["Their acknowledgement was verified on this device.".to_owned()];
            let choices: Vec<Action> = choices.collect();
            let count = counted(facts.knocks.len(), "knock", "knocks");
            add(&count, names.join(", "), Some(Does::Choose { title, lines, choices }));
        }
        if facts.reports > 0 {
            let count = counted(facts.reports, "report", "reports");
            add(&count, "Enter shows".into(), Some(run("reports")));
        }
        if view.unread_reports > 0 {
            add("report by a note", String::new(), Some(run("reports")));
        }
        if view.moderates() {
            for hand in &view.floor.hands {
                let name = name_of(view, &hand.member);
                add("hand", name.clone(), Some(run(format!("call \"{name}\""))));
            }
            for lane in facts.lanes.iter().filter(|lane| lane.due || lane.waits_for_us) {
                let name = name_of(view, &lane.owner);
                let days = lane.days.map_or("nothing yet".to_owned(), |days| format!("{days} d"));
                let due = if lane.due { "due" } else { "wrote last" };
                add("check-in", format!("{name} {days} {due}"), Some(Does::Go(lane.place)));
            }
            for lane in facts.lanes.iter().filter(|lane| !lane.moods.is_empty()) {
                let name = name_of(view, &lane.owner);
                let text = format!("{name} {}", course(&lane.moods));
                add("mood", text, Some(run(format!("mood view \"{name}\""))));
            }
        }
        for lane in view.lanes.iter().filter(|lane| lane.unread > 0) {
            let label = lanes::label(view, lane);
            let place = facts.lanes.iter().find(|known| Some(known.owner) == lane.owner);
            let does = place.map(|known| Does::Go(known.place));
            add("new in", escape::one_line(&label), does);
        }
        let mut calls: Vec<Todo> = view.help.open.iter().map(call_todo).collect();
        calls.append(&mut todo);
        if view.moderates() && view.policy.is_some() {
            let people = counted(view.roster.len(), "person", "people");
            let who = Todo {
                what: "in the room".into(),
                text: people,
                urgent: false,
                does: Some(run("who")),
            };
            calls.push(who);
        }
        calls
    }
}

fn call_todo(call: &hearth_engine::help::OpenCall) -> Todo {
    let id: MessageId = call.id;
    let has = match &call.has {
        Some(said) => format!("{} has this", escape::one_line(&said.name)),
        None => "Enter: I see it".into(),
    };
    Todo {
        what: "help-now".into(),
        text: format!("{} {} {has}", escape::one_line(&call.name), show::clock(call.at)),
        urgent: true,
        does: Some(run(format!("flag seen {}", id.short()))),
    }
}

/// Returns moods as a picture, and in numbers.
fn course(moods: &[MoodEntry]) -> String {
    let last = &moods[moods.len().saturating_sub(MOODS_SHOWN)..];
    let bar = |score: u32| {
        let at = usize::try_from(score.min(10)).unwrap_or(0) * (BARS.len() - 1) / 10;
        BARS.get(at).copied().unwrap_or('█')
    };
    let picture: String = last.iter().map(|entry| bar(entry.mood.score)).collect();
    let numbers: Vec<String> = last.iter().map(|entry| entry.mood.score.to_string()).collect();
    format!("{picture} {}", numbers.join(" "))
}

fn wait(waiting: &Waiting) -> Wait {
    let held = waiting.held.map(|why| outcome::held_words(why).1.to_owned());
    Wait { text: waiting.text.clone(), held }
}

/// Returns a failure as a sentence, with its advice as it is typed here.
pub(in crate::commands) fn failure_words(failure: &Failure, room: &str) -> String {
    let advice = crate::advice::in_chat(&failure.advice, room);
    let message = escape::one_line(&failure.message);
    format!("{}. {advice}", capital(&message))
}

/// Begins a sentence with a capital letter.
pub(in crate::commands) fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map_or_else(String::new, |first| format!("{}{}", first.to_uppercase(), chars.as_str()))
}

/// Returns a line of a line shell as a sentence.
pub(super) fn sentence(line: &str) -> String {
    capital(line.trim_start_matches("-- "))
}
