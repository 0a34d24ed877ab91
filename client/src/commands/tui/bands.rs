//! The room's state as bands and cards over the talk.

use hearth_engine::{
    floor::{Asked, Form, Hand},
    help::Stage,
    state::Standing,
};
use hearth_protocol::MemberKey;
use hearth_session::client::Link;
use hearth_text::{count::counted, escape};
use hearth_tui::{Band, Does, Mood};

use super::scene::{Looking, action, failure_words, run};
use crate::{
    commands::{
        care,
        outcome::{self, name_of},
    },
    failure::Failure,
    show::{self, help},
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
        let (text, actions) = match &self.view.standing {
            Standing::Member => return None,
            Standing::Knocking => (
                "You have knocked. A facilitator lets you in; you need not wait here, and you can close this.".into(),
                Vec::new(),
            ),
            Standing::Lapsed => (
                "The agreement has changed, and you have not said yes to the new one yet. Until you do, new messages in the room do not reach you. You have done nothing wrong. Your check-in and /help-now work as before.".into(),
                vec![action('a', "read it and say yes", Does::Sign)],
            ),
            other => (failure_words(&crate::failure::not_inside(other), &self.view.room), Vec::new()),
        };
        Some(Band { key: "standing".into(), sign: '·', text, actions, ..Band::default() })
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
        let change = Does::Again { line: format!("outbox --drop {id}"), text: held.text.clone() };
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

    /// What is asked: a card each.
    fn asks(&self) -> Vec<Band> {
        self.view.floor.asks.iter().map(|asked| self.ask(asked)).collect()
    }

    fn ask(&self, asked: &Asked) -> Band {
        let number = asked.ask.seq.0;
        let mut lines = Vec::new();
        let mut actions = Vec::new();
        match asked.form {
            Form::Poll | Form::HiddenPoll => {
                let who = match asked.form {
                    Form::Poll => "Everybody sees who votes for what.",
                    _ => {
                        "The facilitators see who votes for what; the group sees totals, from five votes on, and cannot prove that the other votes are real."
                    }
                };
                let options = asked.options.iter().zip(1..);
                lines.extend(
                    options.clone().map(|(option, n)| format!("{n}  {}", escape::one_line(option))),
                );
                let choices = options.map(|(option, n)| {
                    let key = char::from_digit(n, 10).unwrap_or(' ');
                    action(key, &escape::one_line(option), run(format!("vote #{number} {n}")))
                });
                let choices = choices.collect();
                let title = escape::one_line(&asked.text);
                actions.push(action(
                    'v',
                    "vote",
                    Does::Choose { title, lines: vec![who.to_owned()], choices },
                ));
            }
            Form::Prompt | Form::Step | Form::Private => {
                let label = match asked.form {
                    Form::Private => format!("answer, to {} only", care::who_reads(self.view)),
                    _ => "answer, to the room".into(),
                };
                if asked.form == Form::Private {
                    lines.push("For you and the facilitators: nobody else reads your answer. Passing is fine.".into());
                } else if asked.after_own {
                    lines.push("You see the others' answers after your own.".into());
                }
                let (command, text) = (format!("answer #{number}"), String::new());
                actions.push(action('a', "answer", Does::Compose { label, command, text }));
            }
        }
        if self.view.moderates() {
            actions.push(action('z', "close it", run(format!("close-ask #{number}"))));
            if asked.part.is_some() {
                actions.push(action('n', "next step", run("exercise next")));
            }
        }
        actions.push(action('x', "not now", Does::Dismiss));
        let step = asked
            .part
            .map(|part| format!(" (step {} of {})", part.step, part.of))
            .unwrap_or_default();
        Band {
            key: format!("ask {number}"),
            sign: '?',
            text: format!("{}{step}", escape::one_line(&asked.text)),
            lines,
            until: asked.until.0,
            strong: false,
            actions,
        }
    }

    fn mood(&self) -> Option<Band> {
        let asked = self.facts.mood.as_ref()?;
        let question = care::mood_question(self.view, asked, self.now);
        Some(Band {
            key: format!("mood {}", asked.at.0),
            sign: '?',
            text: format!("{} asks how you are.", name_of(self.view, &asked.by)),
            until: asked.read_by.0,
            actions: vec![
                action('a', "answer", Does::Mood(Mood { lines: vec![question] })),
                action('s', "skip", run("mood skip")),
                action('t', "stop asking", run("mood stop")),
            ],
            ..Band::default()
        })
    }

    fn questions(&self) -> Option<Band> {
        let waits = self.facts.questions.as_ref()?;
        Some(Band {
            key: format!("questions {waits}"),
            sign: '?',
            text: crate::advice::in_chat(waits, &self.view.room),
            actions: vec![
                action('a', "begin", run("answers")),
                action('x', "not now", Does::Dismiss),
            ],
            ..Band::default()
        })
    }

    fn amendment(&self) -> Option<Band> {
        let view = self.view;
        if view.coming.is_none() || view.standing != Standing::Member {
            return None;
        }
        let by = view.policy.as_ref().and_then(|policy| policy.pending);
        let by = by.map_or("the next change".to_owned(), |pending| show::date(pending.effective));
        Some(Band {
            key: "amendment".into(),
            sign: '·',
            text: format!(
                "The agreement changes, and waits for your yes by {by}. Who has not signed by then is out until they do."
            ),
            actions: vec![
                action('d', "what changed", run("agreement diff")),
                action('a', "read it and say yes", Does::Sign),
            ],
            ..Band::default()
        })
    }
}
