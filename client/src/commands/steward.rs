//! A facilitator who never sleeps: admits whoever has acknowledged, by rule, without a person watching.

use hearth_console::signals;
use hearth_engine::{EngineError, Room, policy::RuleError};
use hearth_protocol::{MemberKey, Millis};
use hearth_session::{
    live::{Live, LiveError},
    network::Network,
};
use hearth_text::{escape, name};
use serde_json::json;

use super::{Context, Result};
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
    let open = context.open()?;
    let mut rule = Rule { only, left: count };
    let mut stop = std::pin::pin!(signals::stop());
    let mut backoff = hearth_session::backoff::Backoff::new();
    loop {
        let room = Room::open(open.store(), &open.crypto, room)?;
        let serve = serve(context, room, &mut rule);
        let error = tokio::select! {
            biased;
            () = &mut stop => return Ok(()),
            result = serve => match result {
                Ok(()) => return Ok(()),
                Err(error) => error,
            },
        };
        if !error.is_connection() {
            return Err(Failure::from(error));
        }
        context.out.remark(&format!("{error}; trying again."));
        tokio::select! {
            () = &mut stop => return Ok(()),
            () = tokio::time::sleep(backoff.next_delay()) => {}
        }
    }
}

/// Serves over one connection; returns when the count is reached.
async fn serve(context: &Context, room: Room<'_>, rule: &mut Rule) -> Result<(), LiveError> {
    let mut live = Live::enter(&Network::machine(), room).await?;
    if !live.room.my_role()?.moderates() {
        return Err(EngineError::Rule(RuleError::NotFacilitator).into());
    }
    context.out.remark("Waiting for knocks.");
    // Said once of each knock.
    let mut told: Vec<(MemberKey, Millis)> = Vec::new();
    loop {
        live.tend().await?;
        live.flush().await?;
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
                        context.out.say(&object, &text).map_err(|_| LiveError::OutputClosed)?;
                        if rule.spent() {
                            live.leave().await;
                            return Ok(());
                        }
                    }
                    Err(LiveError::Engine(error)) => {
                        if first {
                            context.out.remark(&format!("not admitted ({id}): {error}"));
                            told.push(known);
                        }
                    }
                    Err(error) => return Err(error),
                },
                Ok(_) => {}
                Err(error) if first => {
                    context.out.remark(&format!("cannot be admitted ({id}): {error}"));
                    told.push(known);
                }
                Err(_) => {}
            }
        }
        live.next().await?;
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
