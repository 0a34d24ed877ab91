//! The way in, on the page: a link is pasted, the agreement is read and signed, and somebody knocks.

use std::pin::pin;

use hearth_engine::{Room, agreement::Preview, join::Joining, state::Standing};
use hearth_forms::Question;
use hearth_protocol::invite::Invite;
use hearth_session::{
    connection::Connection,
    live::{self, Answer, Live},
    network::Network,
};
use hearth_text::{escape, name};
use serde_json::{Value, json};

use super::{Event, Phase, Web, asked::Act};
use crate::{
    commands::{
        Open, Result,
        agreement::is_acknowledged,
        door::{check_clock, declined},
        rooms::free_local_name,
        tui::scene::capital,
        understood,
    },
    failure::Failure,
    text::link,
};

/// How far somebody has come.
enum At<'s> {
    Link,
    Agreement { link: Box<Invite>, preview: Box<Preview>, name: Option<String> },
    Waiting { room: Box<Room<'s>>, connection: Option<Box<Connection>> },
}

/// What becomes of the profile.
enum Left {
    In(String),
    Back,
    Hidden,
    Over,
}

/// Takes somebody in, back to their rooms, or out.
pub(super) async fn run(web: &mut Web<'_>, open: Open, back: bool) -> Result<Phase> {
    let left = Box::pin(Door { web, open: &open, back, told: String::new() }.run()).await?;
    Ok(match left {
        Left::In(room) => Phase::Rooms { open, room: Some(room) },
        Left::Back => Phase::Rooms { open, room: None },
        Left::Hidden => Phase::Locked,
        Left::Over => Phase::Over,
    })
}

struct Door<'w, 'a, 's> {
    web: &'w mut Web<'a>,
    open: &'s Open,
    /// Whether there are rooms to go back to.
    back: bool,
    /// Why the last step was not done.
    told: String,
}

impl<'s> Door<'_, '_, 's> {
    async fn run(mut self) -> Result<Left> {
        let mut at = match self.knocked()? {
            Some(room) if !self.back => At::Waiting { room: Box::new(room), connection: None },
            _ => At::Link,
        };
        loop {
            at = match at {
                At::Waiting { room, connection } => match self.wait(*room, connection).await? {
                    Ok(left) => return Ok(left),
                    Err(at) => at,
                },
                at => match self.step(at).await? {
                    Ok(left) => return Ok(left),
                    Err(at) => at,
                },
            };
        }
    }

    /// Returns a room whose door this profile waits at.
    fn knocked(&self) -> Result<Option<Room<'s>>> {
        let rooms = Room::all(self.open.store(), &self.open.crypto)?;
        let waits = |room: &Room<'_>| room.state().standing == Standing::Knocking;
        Ok(rooms.into_iter().find(waits))
    }

    fn show(&mut self, at: &At<'_>) {
        let (step, preview) = match at {
            At::Link => ("link", Value::Null),
            At::Agreement { preview, name, .. } => ("agreement", shown(preview, name.as_deref())),
            At::Waiting { .. } => ("waiting", Value::Null),
        };
        let told = escape::many_lines(&self.told, "");
        let join = json!({ "step": step, "told": told, "preview": preview, "back": self.back });
        self.web.tell(&json!({ "Join": join }));
    }

    /// Waits for what the page does next, and does it.
    async fn step(&mut self, at: At<'s>) -> Result<Result<Left, At<'s>>> {
        self.show(&at);
        loop {
            let act = match self.web.next().await {
                Event::Stop => return Ok(Ok(Left::Over)),
                Event::Opened => {
                    self.show(&at);
                    continue;
                }
                Event::Enter => {
                    self.web.link()?;
                    continue;
                }
                Event::Act(act) => act,
            };
            self.told.clear();
            let next = match act {
                Act::Quit(_) => return Ok(Ok(Left::Over)),
                Act::Lock(_) => return Ok(Ok(Left::Hidden)),
                Act::JoinLeave if self.back => return Ok(Ok(Left::Back)),
                Act::JoinAgain => At::Link,
                Act::JoinLook(pasted) => match self.look(&pasted).await {
                    Ok(at) => at,
                    Err(failure) => self.stays(&failure, At::Link),
                },
                Act::JoinKnock { name, words, answers } => match at {
                    At::Agreement { link, preview, name: kept } => {
                        let name = kept.clone().unwrap_or(name);
                        match self.knock(&link, &preview, &name, &words, &answers).await {
                            Ok(at) => at,
                            Err(failure) => {
                                self.stays(&failure, At::Agreement { link, preview, name: kept })
                            }
                        }
                    }
                    at => at,
                },
                _ => continue,
            };
            return Ok(Err(next));
        }
    }

    fn stays<'t>(&mut self, failure: &Failure, at: At<'t>) -> At<'t> {
        let advice = if failure.advice.contains('`') { "" } else { failure.advice.as_ref() };
        self.told = format!("{}. {advice}", capital(&failure.message)).trim().to_owned();
        at
    }

    /// Reads what a link leads to.
    async fn look(&mut self, pasted: &str) -> Result<At<'s>> {
        let link: Invite = link::find(pasted, Invite::parse)?;
        let rooms = Room::all(self.open.store(), &self.open.crypto)?;
        let mut name = None;
        if let Some(room) = rooms.into_iter().find(|room| room.id() == link.room) {
            match room.state().standing {
                Standing::Member => {
                    return Err(Failure::usage(
                        "you are in that room already",
                        "It is among your rooms.",
                    ));
                }
                Standing::Knocking | Standing::Returning => {
                    return Ok(At::Waiting { room: Box::new(room), connection: None });
                }
                ref standing if standing.keeps_lane() => name = Some(room.state().name.clone()),
                _ => {}
            }
        }
        self.web.tell(&json!({ "Join": { "step": "reading" } }));
        let (connection, preview) = live::look(&Network::machine(), &link).await?;
        check_clock(self.web.context, connection.server_now(), "Set the clock, then try again.")?;
        connection.close().await;
        Ok(At::Agreement { link: Box::new(link), preview: Box::new(preview), name })
    }

    async fn knock(
        &mut self,
        link: &Invite,
        preview: &Preview,
        name: &str,
        words: &str,
        answers: &[String],
    ) -> Result<At<'s>> {
        let name = name::parse_name(name)?.into_string();
        let questions = preview.agreement.questions();
        for (question, answer) in questions.iter().zip(answers) {
            if let Err(why) = understood::judge(question, answer) {
                let why = why.trim_start_matches("-- ");
                let asked = format!("“{}”: {why}", escape::one_line(&question.ask));
                return Err(Failure::usage(asked.trim_end_matches('.').to_owned(), ""));
            }
        }
        if questions.len() != answers.len() {
            return Err(Failure::usage("a question is not answered", ""));
        }
        if !is_acknowledged(words) {
            return Err(Failure::usage(
                "that accepts nothing yet, and nothing was sent",
                "To accept, type: I acknowledge",
            ));
        }
        self.web.tell(&json!({ "Join": { "step": "knocking" } }));
        let local_name = free_local_name(self.open, &preview.title, Some(link.room))?;
        let joining = Joining { name, local_name, answers: preview.agreement.right_answers() };
        let (connection, _) = live::look(&Network::machine(), link).await?;
        let (store, crypto) = (self.open.store(), &self.open.crypto);
        let (room, connection) =
            live::knock(store, crypto, connection, link, preview, joining).await?;
        Ok(At::Waiting { room: Box::new(room), connection: Some(Box::new(connection)) })
    }

    /// Waits at the door until a facilitator answers, over lost connections.
    async fn wait(
        &mut self,
        mut room: Room<'s>,
        connection: Option<Box<Connection>>,
    ) -> Result<Result<Left, At<'s>>> {
        let name = room.state().local_name.clone();
        let standing = json!({ "Join": { "step": "waiting", "back": self.back } });
        self.web.tell(&standing);
        let answer = {
            let mut waits = pin!(answer(&mut room, connection));
            loop {
                let event = tokio::select! {
                    biased;
                    event = self.web.next() => event,
                    answer = &mut waits => break answer,
                };
                match event {
                    Event::Stop | Event::Act(Act::Quit(_)) => return Ok(Ok(Left::Over)),
                    Event::Opened => self.web.tell(&standing),
                    Event::Enter => self.web.link()?,
                    Event::Act(Act::Lock(_)) => return Ok(Ok(Left::Hidden)),
                    Event::Act(Act::JoinLeave) if self.back => return Ok(Ok(Left::Back)),
                    Event::Act(Act::JoinAgain) => return Ok(Err(At::Link)),
                    Event::Act(_) => {}
                }
            }
        };
        match answer {
            Ok(Answer::Admitted) => {
                let mut live = Live::enter(&Network::machine(), room).await?;
                live.tend().await?;
                live.leave().await;
                Ok(Ok(Left::In(name)))
            }
            Ok(Answer::Declined { words, signed }) => {
                let failure = declined(&room, &words, signed);
                Ok(Err(self.stays(&failure, At::Link)))
            }
            Err(failure) => Ok(Err(self.stays(&failure, At::Link))),
        }
    }
}

/// Waits for the answer to a knock.
async fn answer(room: &mut Room<'_>, connection: Option<Box<Connection>>) -> Result<Answer> {
    let network = Network::machine();
    let address = room.state().address();
    let mut connection = match connection {
        Some(connection) => *connection,
        None => {
            let mut connection = Connection::open_again(&network, &address).await?;
            if let Some(answer) = live::resume_waiting(&mut connection, room).await? {
                return Ok(answer);
            }
            connection
        }
    };
    loop {
        match live::await_answer(&mut connection, room).await {
            Ok(answer) => return Ok(answer),
            Err(error) if error.is_connection() => {
                connection = Connection::open_again(&network, &address).await?;
                if let Some(answer) = live::resume_waiting(&mut connection, room).await? {
                    return Ok(answer);
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Returns what somebody reads before they sign.
fn shown(preview: &Preview, name: Option<&str>) -> Value {
    let agreement = &preview.agreement;
    let text = Question::prose_of(&agreement.text);
    let questions = agreement.questions();
    let questions = questions.iter().map(|question| {
        let choices: Vec<String> = question.choices.iter().map(|c| escape::one_line(c)).collect();
        json!({ "ask": escape::one_line(&question.ask), "choices": choices })
    });
    json!({
        "title": escape::one_line(&preview.title),
        "agreement": escape::many_lines(text.trim_end(), ""),
        "version": format!("Version {}, id {}.", agreement.version, agreement.id()),
        "questions": questions.collect::<Vec<_>>(),
        "name": name,
    })
}
