//! What the screen asks for: words, command lines, answers, the agreement.

use futures_util::FutureExt as _;
use hearth_engine::agreement::Agreement;
use hearth_session::client::{Consent, Outcome};
use hearth_text::escape;
use hearth_tui::{Effect, Msg, Text};
use std::sync::Arc;

use super::{
    done::lines,
    host::{Asked, Fills, Host, Spot},
    rows,
    scene::{capital, failure_words, sentence},
};
use crate::commands::{
    Result, agreement,
    chat::filling::{Did as Filled, Filling},
    room::{InRoom, help::HelpNow},
    shell::{
        line::{Meant, Typed},
        to::To,
    },
    slip, understood,
};

/// Columns of a line that is repeated to the person who typed it.
const SHOWN_COLUMNS: usize = 50;

impl Host<'_> {
    /// Does what the screen asks for.
    pub(in crate::commands) async fn does(&mut self, effect: Effect) -> Result<Vec<Msg>> {
        self.stale = true;
        let done = match effect {
            Effect::Say(text) => self.say(text).await,
            Effect::Run(line) => self.run(&line).await,
            Effect::Answer { token, agrees } => Ok(self.answered(token, agrees)),
            Effect::Fill(text) => self.fill(&text).await,
            Effect::CallHelp(words) => {
                let command = InRoom::help_now(&self.here.room, HelpNow::telling(&words));
                let back = format!("/help-now --tell {words}");
                self.act(Box::new(command), Consent::Unasked, back);
                Ok(Vec::new())
            }
            Effect::Go(id) => match self.spot_of(id).cloned() {
                Some(spot) => self.go(spot).await,
                None => Ok(Vec::new()),
            },
            Effect::Earlier => self.earlier().await,
            Effect::Seen(key) => {
                self.seen(rows::place_of(key));
                Ok(Vec::new())
            }
            Effect::ShowAgreement => self.show_agreement().await,
            Effect::Sign(typed) => Ok(self.sign(&typed)),
            Effect::Keep(draft) => {
                self.keep(&draft);
                Ok(Vec::new())
            }
            _ => Ok(Vec::new()),
        };
        // It stays: a failure is told where the person looks.
        Ok(done
            .unwrap_or_else(|failure| vec![Msg::Remark(failure_words(&failure, &self.here.room))]))
    }

    fn act(&mut self, command: Box<InRoom>, consent: Consent, typed: String) {
        self.jobs.push(self.place().act(command, consent, typed).boxed_local());
    }

    async fn say(&mut self, text: String) -> Result<Vec<Msg>> {
        if let Some(lane) = self.here.lane {
            // Whoever asks for help there, too, sees the numbers.
            let help = slip::asks_for_help(&text);
            self.jobs.push(self.place().say_in_lane(lane, text).boxed_local());
            return Ok(if help { vec![Msg::Help] } else { Vec::new() });
        }
        let text =
            text.trim_start().strip_prefix("//").map_or(text.clone(), |rest| format!("/{rest}"));
        let (shell, _) = self.place().shell().await?;
        match shell.meant(&text).await? {
            Meant::Words => {
                self.say_now(&text);
                Ok(Vec::new())
            }
            Meant::Help => Ok(vec![
                Msg::Remark(
                    "That was not said to the room. /send and your words say something there."
                        .into(),
                ),
                Msg::Help,
            ]),
            Meant::Signs => self.show_agreement().await,
            Meant::To(To::Lane(args)) => {
                let command = InRoom::check_in(&self.here.room, args);
                self.act(Box::new(command), Consent::Unasked, text);
                Ok(Vec::new())
            }
            Meant::To(To::Unknown { name, text }) => {
                let words = format!(
                    "Nobody here is called {}, and everybody would read it. Say it to the room?",
                    escape::one_line(&name)
                );
                Ok(vec![self.ask(Asked::Say(text), words)])
            }
            Meant::To(To::Nobody { name, text }) => {
                let words = format!(
                    "Hearth has no messages between two members, so {} and everybody else would read it. Say it to the room?",
                    escape::one_line(&name)
                );
                Ok(vec![self.ask(Asked::Say(text), words)])
            }
            Meant::Command(command) => {
                let shown = escape::truncate(&escape::one_line(&text), SHOWN_COLUMNS);
                let words = format!(
                    "\"{shown}\" was not said to the room: it may be meant as /{}. Say it to the room?",
                    escape::one_line(&command)
                );
                Ok(vec![self.ask(Asked::Say(text), words)])
            }
        }
    }

    fn say_now(&mut self, text: &str) {
        let command = InRoom::say(&self.here.room, text);
        self.act(Box::new(command), Consent::Unasked, text.to_owned());
    }

    fn answered(&mut self, token: u64, agrees: bool) -> Vec<Msg> {
        match (self.asked.remove(&token), agrees) {
            (Some(Asked::Act { command, question }), true) => {
                self.act(command, Consent::To(question), String::new());
                Vec::new()
            }
            (Some(Asked::Act { .. }), false) => vec![Msg::Remark("Nothing was done.".into())],
            (Some(Asked::Say(text)), true) => {
                self.say_now(&text);
                Vec::new()
            }
            (Some(Asked::Say(text)), false) => vec![Msg::GiveBack(text)],
            (None, _) => Vec::new(),
        }
    }

    /// Runs a command line, without its slash, through the resolver of the chat.
    async fn run(&mut self, line: &str) -> Result<Vec<Msg>> {
        let line = line.trim();
        if let Some(wanted) = line.strip_prefix("help ") {
            let body =
                crate::advice::in_chat(&slip::one(&wanted.trim().to_lowercase()), &self.here.room);
            return Ok(vec![text("Help", body)]);
        }
        let (shell, sink) = self.place().shell().await?;
        match shell.typed(line) {
            Typed::Command(command) => {
                if let Some(given) = command.answers() {
                    let (filling, start) = Filling::begin(&shell, given).await?;
                    let words = [&start[..], &[filling.prompt()]].concat().join("\n");
                    self.fills = Some(Fills::Questions(Box::new(filling)));
                    return Ok(vec![Msg::Fills { words }]);
                }
                let consent =
                    if command.is_agreed() { Consent::Whatever } else { Consent::Unasked };
                self.act(command, consent, format!("/{line}"));
                Ok(Vec::new())
            }
            Typed::Own(entry, rest) => match (entry.name, rest.as_str()) {
                ("agreement", "") => {
                    Ok(vec![text("The agreement", agreement::shown(&shell).await?)])
                }
                ("agreement", "diff") => {
                    agreement::diff(&shell).await?;
                    Ok(vec![text("What changed", lines(&sink).join("\n"))])
                }
                ("acknowledge", "") => self.show_agreement().await,
                ("room", wanted) if !wanted.is_empty() => {
                    let view = self.client.view(wanted).await?;
                    let room = Arc::clone(&view.borrow().room);
                    self.go(Spot { room, lane: None }).await
                }
                _ => Ok(vec![
                    Msg::Remark(format!("Nothing was sent. It goes: {}", slip::usage(entry))),
                    Msg::GiveBack(format!("/{line}")),
                ]),
            },
            Typed::Slip(told) => {
                Ok(vec![Msg::Remark(capital(&told)), Msg::GiveBack(format!("/{line}"))])
            }
            Typed::Refused(failure) => Err(failure),
        }
    }

    async fn fill(&mut self, typed: &str) -> Result<Vec<Msg>> {
        let mut filling = match self.fills.take() {
            Some(Fills::Questions(filling)) => filling,
            Some(Fills::Question(agreement, at)) => return Ok(self.judge(*agreement, at, typed)),
            Some(Fills::Words(command)) => return Ok(self.with_words(&command, typed)),
            None => return Ok(vec![Msg::Filled]),
        };
        if typed.trim().is_empty() {
            let words = filling.prompt();
            self.fills = Some(Fills::Questions(filling));
            return Ok(vec![Msg::Fills { words }]);
        }
        let words = match filling.take(typed) {
            Filled::Moved => filling.prompt(),
            Filled::Not(why) => format!("{}.\n{}", capital(&why), filling.prompt()),
            Filled::Stop => {
                return Ok(vec![
                    Msg::Filled,
                    Msg::Remark(format!(
                        "Stopped; nothing was sent. {} goes on from here.",
                        filling.command()
                    )),
                ]);
            }
            Filled::Drop => {
                return Ok(vec![Msg::Filled, Msg::Remark("Dropped; nothing was sent.".into())]);
            }
            Filled::Send => {
                let (shell, _) = self.place().shell().await?;
                let sending = filling.sending(&shell)?;
                let told = shell.out.advice(&sending.after.1);
                let told = match shell.ask(sending.command).await {
                    Ok(Outcome::Kept { .. }) => {
                        format!("Kept; it goes out when there is a connection. {told}")
                    }
                    Ok(_) => told,
                    Err(failure) => {
                        let words = format!(
                            "{}\n{}",
                            failure_words(&failure, &self.here.room),
                            filling.prompt()
                        );
                        self.fills = Some(Fills::Questions(filling));
                        return Ok(vec![Msg::Fills { words }]);
                    }
                };
                return Ok(vec![Msg::Filled, text("Your answers", told)]);
            }
        };
        self.fills = Some(Fills::Questions(filling));
        Ok(vec![Msg::Fills { words }])
    }

    async fn show_agreement(&mut self) -> Result<Vec<Msg>> {
        let (shell, _) = self.place().shell().await?;
        let Some(coming) = agreement::to_sign(&shell).await? else {
            return Ok(vec![Msg::Remark("You have acknowledged the current agreement.".into())]);
        };
        let body = agreement::text(&coming, &shell.view().title);
        self.signing = Some(coming);
        Ok(vec![Msg::Text(Text { title: "The agreement".into(), body, signs: true })])
    }

    fn sign(&mut self, typed: &str) -> Vec<Msg> {
        let Some(agreement) = self.signing.take() else { return Vec::new() };
        if agreement::is_acknowledged(typed) {
            return self.ask_question(agreement, 0);
        }
        vec![Msg::Remark(
            "Nothing was signed. You can take your time: /acknowledge shows it again.".into(),
        )]
    }

    /// Asks the question of the agreement at a place, or signs behind the last one.
    fn ask_question(&mut self, agreement: Agreement, at: usize) -> Vec<Msg> {
        let questions = agreement.questions();
        match questions.get(at) {
            Some(question) => {
                let words = understood::shown(question, at + 1, questions.len());
                self.fills = Some(Fills::Question(Box::new(agreement), at));
                vec![Msg::Fills { words }]
            }
            None => {
                self.jobs.push(self.place().sign(agreement).boxed_local());
                vec![Msg::Filled]
            }
        }
    }

    /// Judges an answer to a question of the agreement: a wrong one explains and asks again.
    fn judge(&mut self, agreement: Agreement, at: usize, typed: &str) -> Vec<Msg> {
        if typed.trim() == "stop" {
            let told = "Nothing was signed. /acknowledge shows the agreement again.";
            return vec![Msg::Filled, Msg::Remark(told.into())];
        }
        let judged = agreement.questions().get(at).map(|q| understood::judge(q, typed));
        match judged {
            Some(Err(why)) => {
                let mut msgs = self.ask_question(agreement, at);
                msgs.push(Msg::Remark(sentence(&why)));
                msgs
            }
            _ => self.ask_question(agreement, at + 1),
        }
    }

    /// Takes the words to people that a command lacked.
    fn with_words(&mut self, command: &InRoom, typed: &str) -> Vec<Msg> {
        if typed.trim() == "stop" {
            return vec![Msg::Filled, Msg::Remark("Nothing was done.".into())];
        }
        let words =
            command.lacks().map_or_else(|| typed.to_owned(), |lack| lack.chosen(typed).to_owned());
        let command = command.with_words(words);
        self.act(Box::new(command), Consent::Unasked, String::new());
        vec![Msg::Filled]
    }
}

fn text(title: &str, body: String) -> Msg {
    Msg::Text(Text { title: title.to_owned(), body, signs: false })
}
