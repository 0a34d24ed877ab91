//! A facilitator who never sleeps: admits whoever has acknowledged, by rule, without a person watching.

use hearth_console::signals;
use hearth_engine::{EngineError, Room, policy::RuleError};
use hearth_protocol::{MemberKey, Millis};
use hearth_session::{
    live::{Live, LiveError},
    network::Network,
    session::{Event, Session},
};
use hearth_text::{escape, name};
use serde_json::json;

use super::{
    Context, Result,
    inside::{tell_held, tell_missed, tell_of_connection},
    read::{tell_mismatches, tell_trouble},
};
use crate::{failure::Failure, show::Output};

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
    let open = context.open()?;
    let room = Room::open(open.store(), &open.crypto, room)?;
    let out = context.out.clone().in_room(&room.state().local_name);
    let mut door = Door { out: &out, rule: Rule { only, left: count }, told: Vec::new() };
    tokio::select! {
        biased;
        () = signals::stop() => Ok(()),
        ended = door.keep(room) => ended,
    }
}

/// What a steward knows of the room's door.
struct Door<'a> {
    out: &'a Output,
    rule: Rule,
    /// Knocks that cannot be admitted, and of which that was said.
    told: Vec<(MemberKey, Millis)>,
}

impl Door<'_> {
    /// Admits whoever knocks; returns when the count is reached.
    async fn keep(&mut self, room: Room<'_>) -> Result<()> {
        let out = self.out;
        let mut session = Session::new(Network::machine(), room, |missed| tell_missed(out, missed));
        let mut told_classical = false;
        loop {
            match session.next().await? {
                Event::Up(up) => {
                    tell_of_connection(out, up, &mut told_classical);
                    if !session.room()?.my_role()?.moderates() {
                        return Err(EngineError::Rule(RuleError::NotFacilitator).into());
                    }
                    out.remark("Waiting for knocks.");
                    tell_held(session.room()?, out)?;
                }
                Event::Down { why: Some(error), .. } if !error.is_connection() => {
                    return Err(error.into());
                }
                Event::Down { why, .. } => {
                    if let Some(error) = why {
                        out.remark(&format!("{error}; trying again."));
                    }
                    continue;
                }
                Event::Trouble(error) => tell_trouble(out, error),
                Event::News | Event::Knock => {}
            }
            tell_mismatches(session.room()?, out)?;
            let Some(live) = session.live() else { continue };
            match self.answer_knocks(live).await {
                Ok(false) => {}
                Ok(true) => {
                    session.leave().await;
                    return Ok(());
                }
                Err(error) if error.is_connection() => session.reconnect(),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Admits by the rule whoever waits; says whether that reached the count.
    async fn answer_knocks(&mut self, live: &mut Live<'_>) -> Result<bool, LiveError> {
        let knocks = live.knocks().await?;
        self.told.retain(|knock| knocks.iter().any(|(p, _)| (p.member, p.at) == *knock));
        for (pending, opened) in knocks {
            let (id, known) = (pending.member.short(), (pending.member, pending.at));
            let first = !self.told.contains(&known);
            match opened {
                Ok(knock) if self.rule.admits(&knock.name) => match live.admit(&knock).await {
                    Ok(seq) => {
                        let object = json!({"admitted": knock.name, "key": knock.member.to_hex(), "seq": seq.0});
                        let text = format!("admitted {} ({id})", escape::one_line(&knock.name));
                        self.out.say(&object, &text).map_err(|_| LiveError::OutputClosed)?;
                        if self.rule.spent() {
                            return Ok(true);
                        }
                    }
                    Err(LiveError::Engine(error)) => {
                        if first {
                            let Failure { message, advice, .. } = Failure::from(error);
                            let (message, advice) =
                                (escape::one_line(&message), self.out.advice(&advice));
                            self.out.remark(&format!("not admitted ({id}): {message}. {advice}"));
                            self.told.push(known);
                        }
                    }
                    Err(error) => return Err(error),
                },
                Ok(_) => {}
                Err(error) if first => {
                    self.out.remark(&format!("cannot be admitted ({id}): {error}"));
                    self.told.push(known);
                }
                Err(_) => {}
            }
        }
        Ok(false)
    }
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
