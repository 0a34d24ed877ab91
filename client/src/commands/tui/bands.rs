//! The room's state as bands and cards over the talk.

use hearth_engine::{floor::Hand, help::Stage, state::Standing};
use hearth_protocol::MemberKey;
use hearth_session::client::Link;
use hearth_text::{count::counted, escape};
use hearth_tui::{Band, Does};

use super::scene::{Looking, action, failure_words, run};
use crate::{
    commands::{
        outcome::{self, name_of},
        yes,
    },
    failure::Failure,
    show::{
        self, help,
        presence::{Presence, presence},
    },
    text::when,
};

/// Columns of words of others in a band.
const QUOTED_COLUMNS: usize = 60;
/// Columns of a word of one's own that waits.
const OWN_COLUMNS: usize = 40;

fn quoted(words: &str) -> String {
    match words.trim() {
        "" => String::new(),
        words => format!(" “{}”", escape::truncate(&escape::one_line(words), QUOTED_COLUMNS)),
    }
}

impl Looking<'_> {
    /// Returns what stands over the talk, the most urgent first.
    pub(super) fn bands(&self) -> Vec<Band> {
        let mut bands = self.alarms();
        bands.extend(self.own_call());
        bands.extend(self.calls());
        bands.extend(self.link());
        bands.extend(self.standing());
        bands.extend(self.pause());
        bands.extend(self.break_());
        bands.extend(self.held());
        if self.lane.is_none() {
            bands.extend(self.closed());
            bands.extend(self.round());
            bands.extend(self.asks());
        }
        bands.extend(self.mood());
        bands.extend(self.questions());
        bands.extend(self.amendment());
        bands.extend(self.renewal());
        bands.extend(self.presence());
        bands
    }

    /// What does not add up has to be answered by a key.
    fn alarms(&self) -> Vec<Band> {
        let alarms = self.facts.alarms.iter().map(|text| Band {
            key: format!("alarm {text}"),
            sign: '!',
            text: text.clone(),
            lines: vec![
                "Compare by phone: /verify shows digits. /status shows what is in force.".into(),
            ],
            strong: true,
            actions: vec![
                action('v', "show the digits", run("verify")),
                action('x', "I have read this", Does::Dismiss),
            ],
            ..Band::default()
        });
        alarms.collect()
    }

    fn own_call(&self) -> Option<Band> {
        let view = self.view;
        let line = view.help.call.as_ref()?;
        let text = crate::advice::in_chat(&help::call(line, &view.help), &view.room);
        let sent = match line.stage {
            Stage::Sent => format!("Sent at {}. ", show::clock(line.at)),
            _ => String::new(),
        };
        let over = matches!(line.stage, Stage::Closed { .. });
        let actions = match over {
            true => vec![action('x', "close this", Does::Dismiss)],
            false => vec![action('h', "the numbers", Does::Help)],
        };
        let key = format!("call {} {over}", line.call.to_hex());
        Some(Band {
            key,
            sign: '!',
            text: format!("{sent}{text}"),
            strong: !over,
            actions,
            ..Band::default()
        })
    }

    /// Calls of others, for those who moderate.
    fn calls(&self) -> Vec<Band> {
        let calls = self.view.help.open.iter().map(|call| {
            let id = call.id.short();
            let has = call
                .has
                .as_ref()
                .map(|said| format!(" {} has this.", escape::one_line(&said.name)));
            let mut actions = Vec::new();
            if has.is_none() {
                actions.push(action('s', "I see it", run(format!("flag seen {id}"))));
            }
            actions.push(action('t', "I go on from here", run(format!("flag take {id}"))));
            let close = Does::Compose {
                label: "talked through, in your words".into(),
                command: format!("flag resolve {id}"),
                text: String::new(),
            };
            actions.push(action('r', "talked through", close));
            Band {
                key: format!("open {id}"),
                sign: '!',
                text: format!(
                    "{} asks for help, {}{}.{}",
                    escape::one_line(&call.name),
                    show::clock(call.at),
                    quoted(&call.words),
                    has.clone().unwrap_or_default()
                ),
                strong: has.is_none(),
                actions,
                ..Band::default()
            }
        });
        calls.collect()
    }

    fn link(&self) -> Option<Band> {
        let text = match &self.view.link {
            Link::Up(_) => return None,
            Link::Connecting => "Connecting to the relay. You can read and write meanwhile.".into(),
            Link::Down { why, .. } if why.is_connection() => {
                "There is no connection now. What you write is kept, and goes out when there is one. A phone may still work.".into()
            }
            Link::Down { why, .. } => failure_words(&Failure::from(&**why), &self.view.room),
            // Standing says it better.
            Link::Ended(_) if self.view.standing != Standing::Member => return None,
            Link::Ended(why) => failure_words(&Failure::from(&**why), &self.view.room),
        };
        Some(Band { key: "link".into(), sign: '·', text, ..Band::default() })
    }

    fn standing(&self) -> Option<Band> {
        let view = self.view;
        let (text, actions) = match &view.standing {
            Standing::Member => return None,
            Standing::Knocking => (
                "You have knocked. A facilitator lets you in; you need not wait here, and you can close this.".into(),
                Vec::new(),
            ),
            other => match yes::standing(view, other) {
                Some(words) => {
                    let words = crate::advice::in_chat(words.trim_start_matches("-- "), &view.room);
                    let sign = action('a', "read it and say yes", Does::Sign);
                    (words, (*other == Standing::Lapsed).then_some(sign).into_iter().collect())
                }
                None => (failure_words(&crate::failure::not_inside(other), &view.room), Vec::new()),
            },
        };
        Some(Band { key: "standing".into(), sign: '·', text, actions, ..Band::default() })
    }

    /// Says to a member that nobody from the team is here, or that somebody is late.
    fn presence(&self) -> Option<Band> {
        let view = self.view;
        if view.moderates() || view.standing != Standing::Member {
            return None;
        }
        let is = presence(view, self.now);
        if matches!(is, Presence::Here(_)) {
            return None;
        }
        let text = crate::advice::in_chat(&is.words(view, self.now), &view.room);
        let put_away = action('x', "put this away", Does::Dismiss);
        Some(Band {
            key: format!("presence {text}"),
            sign: '·',
            text,
            actions: vec![put_away],
            ..Band::default()
        })
    }

    fn pause(&self) -> Option<Band> {
        let until = self.view.policy.as_ref()?.numbers.paused_until;
        if until <= self.now {
            return None;
        }
        let (by, words) =
            self.facts.pause.clone().unwrap_or_else(|| ("a facilitator".into(), String::new()));
        let mut actions = Vec::new();
        if self.view.moderates() {
            actions.push(action('r', "resume", run("resume")));
        }
        Some(Band {
            key: format!("pause {}", until.0),
            sign: '‖',
            text: format!(
                "Paused by {}, {{left}} left.{} Read, write (kept), check-in, help-now: all go on.",
                escape::one_line(&by),
                quoted(&words)
            ),
            until: until.0,
            actions,
            ..Band::default()
        })
    }

    /// A time-out: on the screen it is a break.
    fn break_(&self) -> Option<Band> {
        let until = self.view.timed_out_until;
        (until > self.now).then(|| Band {
            key: format!("break {}", until.0),
            sign: '‖',
            text: format!(
                "You are asked to take a break from the room until {}, {{left}} left. You can read along, and talk in your check-in. It is not a punishment.",
                show::clock(until)
            ),
            until: until.0,
            ..Band::default()
        })
    }

    /// Words that were written while the room took none: their author is asked, and nothing is sent late unasked.
    fn held(&self) -> Option<Band> {
        if self.view.blocked.is_some() || self.lane.is_some() {
            return None;
        }
        let held = self.view.held_for_a_time().next()?;
        let id = held.id.short();
        let words = escape::truncate(&escape::one_line(&held.text), OWN_COLUMNS);
        let change = Does::Compose {
            label: "change to".into(),
            command: format!("outbox --change {id}"),
            text: held.text.clone(),
        };
        Some(Band {
            key: format!("held {id}"),
            sign: '⧖',
            text: format!("You wrote this meanwhile: “{words}”"),
            actions: vec![
                action('s', "send", run(format!("outbox --send {id}"))),
                action('c', "change", change),
                action('d', "drop", run(format!("outbox --drop {id}"))),
            ],
            ..Band::default()
        })
    }

    fn closed(&self) -> Option<Band> {
        let numbers = &self.view.policy.as_ref()?.numbers;
        let (open, opens) = outcome::openness(numbers, self.now);
        if open {
            return None;
        }
        let text = match opens {
            Some(at) => format!(
                "The room opens again {} ({}). You can read, and write: it is kept. Check-in and help-now work.",
                when::remaining(at, self.now),
                show::clock(at)
            ),
            None => "The room is closed. You can read, and write: it is kept. Check-in and help-now work.".into(),
        };
        Some(Band { key: "closed".into(), sign: '‖', text, ..Band::default() })
    }

    fn round(&self) -> Option<Band> {
        let view = self.view;
        let floor = &view.floor;
        let hands = match floor.hands.len() {
            0 => String::new(),
            count => format!(" · {} up", counted(count, "hand", "hands")),
        };
        let Some(round) = &floor.round else {
            let call = |hand: &Hand| {
                let name = name_of(view, &hand.member);
                action(' ', &name, run(format!("call \"{name}\"")))
            };
            let names: Vec<String> =
                floor.hands.iter().map(|hand| name_of(view, &hand.member)).collect();
            if names.is_empty() {
                return None;
            }
            let mut actions = Vec::new();
            if view.moderates() {
                let choices = floor.hands.iter().map(call).collect();
                let title = "Give the floor to".to_owned();
                actions.push(action(
                    'c',
                    "give the floor",
                    Does::Choose { title, lines: Vec::new(), choices },
                ));
            }
            let text = format!("Asking for a turn: {}", names.join(", "));
            return Some(Band {
                key: "hands".into(), sign: '○', text, actions, ..Band::default()
            });
        };
        let turn = usize::try_from(round.turn).unwrap_or(usize::MAX);
        let rest = round.order.get(turn..).unwrap_or_default();
        let (holder, next) = rest.split_first()?;
        let you = |member: &MemberKey| match *member == view.me {
            true => "you".to_owned(),
            false => name_of(view, member),
        };
        let mine = *holder == view.me;
        let muted = match view.muted.contains(holder) {
            true => {
                format!(" (you muted {0}; /show --from \"{0}\" reads it)", name_of(view, holder))
            }
            false => String::new(),
        };
        let then = match next.iter().take(2).map(you).collect::<Vec<_>>().join(", ") {
            next if next.is_empty() => String::new(),
            next => format!(" · then {next}"),
        };
        let who = if mine {
            "You have the floor".to_owned()
        } else {
            format!("{} has the floor", you(holder))
        };
        let mut actions = Vec::new();
        if mine {
            actions.push(action('d', "done", run("done")));
            actions.push(action('p', "pass", run("pass")));
        }
        if view.moderates() {
            actions.push(action('n', "next", run("next")));
            actions.push(action('s', "skip", run("skip")));
            actions.push(action('x', "extend", Does::Form("extend".into(), Vec::new())));
            actions.push(action('e', "end", run("round end")));
        }
        let topic = match round.topic.trim() {
            "" => Vec::new(),
            topic => vec![escape::one_line(topic)],
        };
        Some(Band {
            key: format!("round {} {}", round.seq.0, round.turn),
            sign: '○',
            text: format!("{who}{muted}, the round ends in {{left}}{then}{hands}"),
            lines: topic,
            until: round.until.0,
            strong: mine,
            actions,
        })
    }
}
