//! A facilitator who never sleeps: admits whoever has acknowledged, by rule, without a person watching.

use hearth_console::signals;
use hearth_engine::{EngineError, policy::RuleError};
use hearth_protocol::{MemberKey, Millis};
use hearth_session::client::{Command, Consent, Event, Events, Heard, Link, Outcome};
use hearth_text::{escape, name};
use serde_json::json;

use super::{Context, Result, shell::Shell};
use crate::failure::Failure;

/// The rule by which knocks are admitted.
struct Rule {
    only: Vec<String>,
    left: Option<u32>,
}

pub(super) async fn run(
    context: &Context,
    room: &str,
    only: Vec<String>,
    count: Option<u32>,
) -> Result<()> {
    let client = context.client()?;
    let events = client.events();
    let shell = Shell::new(&client, room, &context.out).await?;
    let mut steward = Steward { shell, rule: Rule { only, left: count }, told: Vec::new() };
    let ended = tokio::select! {
        biased;
        () = signals::stop() => Ok(()),
        ended = steward.keep(events) => ended,
    };
    drop(steward);
    client.close().await;
    ended
}

/// What a steward knows of the room's door.
struct Steward {
    shell: Shell,
    rule: Rule,
    /// Knocks that cannot be admitted, and of which that was said.
    told: Vec<(MemberKey, Millis)>,
}

impl Steward {
    /// Admits whoever knocks; returns when the count is reached.
    async fn keep(&mut self, mut events: Events) -> Result<()> {
        loop {
            let Some(heard) = events.next().await else { return Ok(()) };
            let event = match heard {
                Heard::Lagged(_) => Event::Rows,
                Heard::Told(told) if *told.room == *self.shell.room => told.event,
                Heard::Told(_) => continue,
            };
            match &event {
                Event::Up(_) => {
                    self.shell.remark(&event);
                    if !self.shell.view().moderates() {
                        return Err(EngineError::Rule(RuleError::NotFacilitator).into());
                    }
                    self.shell.out.remark("Waiting for knocks.");
                    self.shell.tell_held();
                }
                Event::Ended(why) => return Err(Failure::from(&**why)),
                Event::Down { why: Some(why), .. } if !why.is_connection() => {
                    return Err(Failure::from(&**why));
                }
                Event::Down { why, .. } => {
                    if let Some(why) = why {
                        self.shell.out.remark(&format!("{why}; trying again."));
                    }
                    continue;
                }
                event => self.shell.remark(event),
            }
            self.shell.tell_mismatches().await?;
            if !matches!(self.shell.view().link, Link::Up(_)) {
                continue;
            }
            match self.answer_knocks().await {
                Ok(false) => {}
                Ok(true) => return Ok(()),
                Err(failure) if failure.exit == crate::failure::exit::UNREACHABLE => {}
                Err(failure) => return Err(failure),
            }
        }
    }

    /// Admits by the rule whoever waits; says whether that reached the count.
    async fn answer_knocks(&mut self) -> Result<bool> {
        let Outcome::Knocks(knockers) = self.shell.ask(Command::Knocks).await? else {
            return Ok(false);
        };
        let known = |told: &(MemberKey, Millis)| {
            knockers.iter().any(|knocker| (knocker.pending.member, knocker.pending.at) == *told)
        };
        self.told.retain(known);
        for knocker in knockers {
            let pending = knocker.pending;
            let (id, known) = (pending.member.short(), (pending.member, pending.at));
            let first = !self.told.contains(&known);
            let refused = match knocker.opened {
                Ok(knock) if self.rule.admits(&knock.name) => {
                    let client = &self.shell.client;
                    let admit = Command::Admit(pending.member);
                    match client.ask(&self.shell.room, admit, Consent::Whatever).await {
                        Ok(Outcome::Admitted { name, member, seq }) => {
                            let object =
                                json!({"admitted": name, "key": member.to_hex(), "seq": seq.0});
                            let text = format!("admitted {} ({id})", escape::one_line(&name));
                            self.shell.out.say(&object, &text)?;
                            if self.rule.spent() {
                                return Ok(true);
                            }
                            continue;
                        }
                        Ok(_) => continue,
                        Err(error) if is_of_the_knock(&error) => {
                            let Failure { message, advice, .. } = Failure::from(error);
                            let message = escape::one_line(&message);
                            let advice = self.shell.out.advice(&advice);
                            format!("not admitted ({id}): {message}. {advice}")
                        }
                        Err(error) => return Err(error.into()),
                    }
                }
                Ok(_) => continue,
                Err(error) => format!("cannot be admitted ({id}): {error}"),
            };
            if first {
                self.shell.out.remark(&refused);
                self.told.push(known);
            }
        }
        Ok(false)
    }
}

/// Whether an admission failed by the knock or a rule, and not by the relay: the other knocks go on.
fn is_of_the_knock(error: &hearth_session::client::AskError) -> bool {
    use hearth_session::{client::AskError, live::LiveError};
    match error {
        AskError::Knock(_) | AskError::NoSuchKnock => true,
        AskError::Live(error) => {
            matches!(&**error, LiveError::Engine(error) if !is_of_the_store(error))
        }
        _ => false,
    }
}

const fn is_of_the_store(error: &EngineError) -> bool {
    matches!(error, EngineError::Store(_) | EngineError::DamagedRecord)
}

impl Rule {
    fn admits(&self, wanted: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| name::confusable(name, wanted))
    }

    /// Counts an admission; says whether it was the last.
    fn spent(&mut self) -> bool {
        match &mut self.left {
            Some(left) => {
                *left = left.saturating_sub(1);
                *left == 0
            }
            None => false,
        }
    }
}
