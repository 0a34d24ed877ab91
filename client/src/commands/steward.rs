//! A facilitator who never sleeps: admits whoever has acknowledged, by rule, without a person watching.

use hearth_console::signals;
use hearth_engine::{EngineError, Room, policy::RuleError};
use hearth_protocol::{MemberKey, Millis};
use hearth_session::live::LiveError;
use hearth_text::{escape, name};
use serde_json::json;

use super::{
    Context, Result,
    inside::{enter_once, tell_overlong},
    read::tell_mismatches,
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
    let name = Room::open(open.store(), &open.crypto, room)?.state().local_name.clone();
    let out = context.out.clone().in_room(&name);
    let mut told_classical = false;
    let mut rule = Rule { only, left: count };
    let mut stop = std::pin::pin!(signals::stop());
    let mut backoff = hearth_session::backoff::Backoff::new();
    loop {
        let room = Room::open(open.store(), &open.crypto, room)?;
        let serve = serve(&out, room, &mut rule, &mut told_classical);
        let error = tokio::select! {
            biased;
            () = &mut stop => return Ok(()),
            result = serve => match result {
                Ok(()) => return Ok(()),
                Err(Stop::Live(error)) => error,
                Err(Stop::Failed(failure)) => return Err(failure),
            },
        };
        if !error.is_connection() {
            return Err(Failure::from(error));
        }
        out.remark(&format!("{error}; trying again."));
        tokio::select! {
            () = &mut stop => return Ok(()),
            () = tokio::time::sleep(backoff.next_delay()) => {}
        }
    }
}

/// Why serving over one connection ended.
enum Stop {
    /// The connection, or what came over it.
    Live(LiveError),
    /// The profile or the output.
    Failed(Failure),
}

impl From<LiveError> for Stop {
    fn from(error: LiveError) -> Self {
        Self::Live(error)
    }
}

impl From<EngineError> for Stop {
    fn from(error: EngineError) -> Self {
        Self::Live(error.into())
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Serves over one connection; returns when the count is reached.
async fn serve(
    out: &Output,
    room: Room<'_>,
    rule: &mut Rule,
    told_classical: &mut bool,
) -> Result<(), Stop> {
    let mut live = enter_once(out, room, told_classical).await?;
    if !live.room.my_role()?.moderates() {
        return Err(EngineError::Rule(RuleError::NotFacilitator).into());
    }
    out.remark("Waiting for knocks.");
    tell_overlong(&mut live.room, out)?;
    // Said once of each knock.
    let mut told: Vec<(MemberKey, Millis)> = Vec::new();
    loop {
        live.tend().await?;
        match live.flush().await {
            Ok(()) | Err(LiveError::Refused { .. }) => {}
            Err(error) if error.holds_back() => {}
            Err(error) => return Err(error.into()),
        }
        tell_mismatches(&mut live.room, out)?;
        let knocks = live.knocks().await?;
        told.retain(|knock| knocks.iter().any(|(p, _)| (p.member, p.at) == *knock));
        for (pending, opened) in knocks {
            let id = pending.member.short();
            let known = (pending.member, pending.at);
            let first = !told.contains(&known);
            match opened {
                Ok(knock) if rule.admits(&knock.name) => match live.admit(&knock).await {
                    Ok(seq) => {
                        let object = json!({"admitted": knock.name, "key": knock.member.to_hex(), "seq": seq.0});
                        let text = format!("admitted {} ({id})", escape::one_line(&knock.name));
                        out.say(&object, &text).map_err(|_| LiveError::OutputClosed)?;
                        if rule.spent() {
                            live.leave().await;
                            return Ok(());
                        }
                    }
                    Err(LiveError::Engine(error)) => {
                        if first {
                            let Failure { message, advice, .. } = Failure::from(error);
                            let (message, advice) =
                                (escape::one_line(&message), out.advice(&advice));
                            out.remark(&format!("not admitted ({id}): {message}. {advice}"));
                            told.push(known);
                        }
                    }
                    Err(error) => return Err(error.into()),
                },
                Ok(_) => {}
                Err(error) if first => {
                    out.remark(&format!("cannot be admitted ({id}): {error}"));
                    told.push(known);
                }
                Err(_) => {}
            }
        }
        live.next_or_due().await?;
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
