//! Commands that are under way: each has a shell of its own, so that the screen stays alive while the relay is waited for.

use std::sync::Arc;

use hearth_protocol::RoomId;
use hearth_session::client::{Client, Command, Consent, LaneCommand, Outcome, Question};

use super::scene::failure_words;
use crate::{
    commands::{
        Result, inside,
        room::{InRoom, NEEDS_WORDS},
        shell::{Did, Shell, question_words},
    },
    failure::Failure,
    show::{Output, Printed, Sink},
};

/// Words of a command line that is typed again as fast as it is changed.
const SHORT_WORDS: usize = 3;

/// What became of a command.
#[derive(Default)]
pub(in crate::commands) struct Done {
    /// The room that it was done in.
    pub(super) room: String,
    /// Over what it answered.
    pub(super) title: String,
    /// What it answered.
    pub(super) lines: Vec<String>,
    /// Why it was not done.
    pub(super) failure: Option<Failure>,
    /// What was typed and went nowhere.
    pub(super) back: Option<String>,
    /// The command, if it lacks words to people.
    pub(super) lacks: Option<Box<InRoom>>,
    /// What a person is asked first.
    pub(super) asks: Option<(Box<InRoom>, Question, String)>,
    /// Who knocks, if that was asked: the name, and whether they can be let in.
    pub(super) knocks: Option<Vec<(String, bool)>>,
}

/// Where a command is done.
#[derive(Clone)]
pub(in crate::commands) struct Where {
    pub(super) client: Client,
    pub(super) room: String,
    /// The flags of the profile, for advice.
    pub(super) flags: String,
}

impl Where {
    /// Makes a shell that prints to a sink.
    pub(in crate::commands) async fn shell(&self) -> Result<(Shell, Arc<Sink>)> {
        let sink = Arc::new(Sink::new(None));
        let out = Output::to(false, Arc::clone(&sink)).with_flags(&self.flags);
        let shell = Shell::new(&self.client, &self.room, &out).await?;
        let out = out.in_chat(&shell.room);
        Ok((shell.following(out), sink))
    }

    fn done(&self, title: &str) -> Done {
        Done { room: self.room.clone(), title: title.to_owned(), ..Done::default() }
    }

    /// Does a command. `typed` comes back to who typed it if it goes nowhere.
    pub(super) async fn act(self, command: Box<InRoom>, consent: Consent, typed: String) -> Done {
        let name = command.entry().name;
        let mut done = self.done(&format!("/{name}"));
        let (mut shell, sink) = match self.shell().await {
            Ok(shell) => shell,
            Err(failure) => return Done { failure: Some(failure), ..done },
        };
        let out = shell.out.clone();
        if !command.entry().answers {
            shell.out = out.clone().quiet();
        }
        let did = match command.words() {
            Some(text) => self.say(text).await,
            None => Box::pin(shell.act(&command, consent)).await,
        };
        done.lines = lines(&sink);
        match did {
            Ok(Did::Done) => {}
            Ok(Did::Asks(question)) => {
                let words = out.advice(&question_words(&question));
                done.asks = Some((command, question, words));
            }
            Err(failure) if failure.code == NEEDS_WORDS && command.lacks().is_some() => {
                done.lacks = Some(command);
            }
            Err(failure) => {
                let is_long = typed.split_whitespace().count() > SHORT_WORDS;
                let lost = !failure.kept && (command.words().is_some() || is_long);
                done.back = (lost && !typed.is_empty()).then_some(typed);
                done.failure = Some(failure);
            }
        }
        done
    }

    /// Says something to the room; what cannot go out now is kept, and stands on the screen as such.
    async fn say(&self, text: &str) -> Result<Did> {
        let say = Command::Say(text.to_owned().into());
        match self.client.ask(&self.room, say, Consent::Unasked).await {
            Ok(_) => Ok(Did::Done),
            Err(error) => Err(inside::unsent(error.into())),
        }
    }

    /// Says something in a lane.
    pub(super) async fn say_in_lane(self, lane: RoomId, text: String) -> Done {
        let mut done = self.done("");
        let command = Command::Lane { lane, what: LaneCommand::Say(text.clone().into()) };
        if let Err(error) = self.client.ask(&self.room, command, Consent::Unasked).await {
            let failure = inside::unsent(error.into());
            done.back = (!failure.kept).then_some(text);
            done.failure = Some(failure);
        }
        done
    }

    /// Asks something of the handle that nobody need be told about.
    pub(super) async fn quietly(self, command: Command) -> Done {
        // What fails here is met again by the next command.
        let _ = self.client.ask(&self.room, command, Consent::Whatever).await;
        Done::default()
    }

    /// Signs the agreement that was shown.
    pub(super) async fn sign(self, agreement: hearth_engine::agreement::Agreement) -> Done {
        let mut done = self.done("");
        match self.client.ask(&self.room, Command::Acknowledge(agreement), Consent::Whatever).await
        {
            // Where this member is now says more.
            Ok(Outcome::SaidYes) => {}
            Ok(_) => done.lines.push("You have signed it. /status shows it.".into()),
            Err(error) => done.failure = Some(error.into()),
        }
        done
    }

    /// Asks who knocks.
    pub(super) async fn knocks(self) -> Done {
        let asked = self.client.ask(&self.room, Command::Knocks, Consent::Whatever).await;
        let knocks = match asked {
            Ok(Outcome::Knocks(knocks)) => knocks,
            _ => return Done::default(),
        };
        let names = knocks.iter().map(|knock| match &knock.opened {
            Ok(opened) => {
                (opened.name.clone(), knock.dates.is_none() && knock.others_can.is_none())
            }
            Err(_) => (knock.pending.member.short(), false),
        });
        Done { knocks: Some(names.collect()), room: self.room.clone(), ..Done::default() }
    }
}

/// Returns what was printed, line by line.
pub(super) fn lines(sink: &Sink) -> Vec<String> {
    let printed = sink.take().into_iter().map(|line| {
        let (Printed::Out(text) | Printed::Err(text)) = line;
        text
    });
    printed.collect()
}

impl Done {
    /// Returns why it was not done, as a sentence.
    pub(super) fn why(&self) -> Option<String> {
        let failure = self.failure.as_ref()?;
        // What is kept stands above the line, with the reason.
        (!failure.kept).then(|| failure_words(failure, &self.room))
    }
}
