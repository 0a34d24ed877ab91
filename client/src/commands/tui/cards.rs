//! What a person is asked, as cards over the talk: questions to the room, a mood, questions, the agreement.

use hearth_engine::floor::{Asked, Form};
use hearth_engine::state::Standing;
use hearth_text::escape;
use hearth_tui::{Band, Does, Mood};

use super::scene::{Looking, action, run};
use crate::{
    commands::{care, outcome::name_of, yes},
    show,
};

impl Looking<'_> {
    /// What is asked: a card each.
    pub(super) fn asks(&self) -> Vec<Band> {
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

    pub(super) fn mood(&self) -> Option<Band> {
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

    pub(super) fn questions(&self) -> Option<Band> {
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

    pub(super) fn amendment(&self) -> Option<Band> {
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

    /// The same version is to be acknowledged again.
    pub(super) fn renewal(&self) -> Option<Band> {
        let words = yes::renewal(self.view)?;
        let text = crate::advice::in_chat(words.trim_start_matches("-- "), &self.view.room);
        let actions = vec![
            action('a', "read it and say yes", Does::Sign),
            action('x', "not now", Does::Dismiss),
        ];
        Some(Band { key: "renewal".into(), sign: '·', text, actions, ..Band::default() })
    }
}
