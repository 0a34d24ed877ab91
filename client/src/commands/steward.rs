//! A facilitator who never sleeps: admits whoever has acknowledged, by rule, without a person watching.

use std::time::Duration;

use hearth_console::signals;
use hearth_engine::{
    EngineError,
    policy::{Act, RuleError},
    state::{RowContent, Standing},
};
use hearth_protocol::{MemberKey, Millis, Role, Seq};
use hearth_session::{
    client::{Command, Consent, Event, Events, Heard, Link, Outcome, Page, RoomView},
    live::now,
};
use hearth_text::{escape, name};
use serde_json::json;
use tokio::time::timeout;

use super::{Context, Result, shell::Shell, socket};
use crate::{
    failure::{Failure, not_inside},
    show,
};

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
    let view = shell.view();
    let mut steward = Steward {
        shell,
        rule: Rule { only, left: count },
        told: Vec::new(),
        seen: view.last,
        // A room without keys has nobody in it yet.
        inside: names(&view),
        told_coming: None,
        issuer: None,
    };
    let kept = async {
        tokio::select! {
            biased;
            () = signals::stop() => Ok(()),
            ended = steward.keep(events) => ended,
        }
    };
    let ended = socket::beside(socket::serve(context, &client), kept).await;
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
    /// The last place of which it was said what this steward did.
    seen: Seq,
    /// Members at that place, by name.
    inside: Vec<(MemberKey, String)>,
    /// Version of the coming agreement that was told, and whether it was signed then.
    told_coming: Option<(u32, bool)>,
    /// Member who issued the last amendment that was seen: their acknowledgement is the entry behind it.
    issuer: Option<MemberKey>,
}

/// Longest wait for the entry by which a member is out of the room, after the relay refused them.
const OUT_WAIT: Duration = Duration::from_secs(10);

/// Returns the members by name.
fn names(view: &RoomView) -> Vec<(MemberKey, String)> {
    view.roster.iter().map(|leaf| (leaf.member, leaf.name.clone())).collect()
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
                    if !self.shell.view().role().is_some_and(Role::admits) {
                        return Err(EngineError::Rule(RuleError::NotFacilitator).into());
                    }
                    self.shell.out.remark("Waiting for knocks.");
                    self.shell.tell_held();
                }
                Event::Ended(why) => return Err(Failure::from(&**why)),
                Event::Down { why: Some(why), .. } if !why.is_connection() => {
                    let failure = Failure::from(&**why);
                    return Err(self.why_out(&mut events, failure).await);
                }
                Event::Down { why, .. } => {
                    if let Some(why) = why {
                        self.shell.out.remark(&format!("{why}; trying again."));
                    }
                    continue;
                }
                event => self.shell.remark(event),
            }
            // Who waits for their own yes lets nobody in.
            let standing = self.shell.view().standing.clone();
            if standing.keeps_lane() {
                return Err(not_inside(&standing));
            }
            self.tell_done().await?;
            self.tell_coming()?;
            self.shell.tell_mismatches().await?;
            if !matches!(self.shell.view().link, Link::Up(_)) {
                continue;
            }
            match self.answer_knocks().await {
                Ok(false) => {}
                Ok(true) => return Ok(()),
                Err(failure) if failure.exit == crate::failure::exit::UNREACHABLE => {}
                Err(failure) => return Err(self.why_out(&mut events, failure).await),
            }
        }
    }

    /// Returns why this steward is out of the room, where the relay refused it as a stranger before the entry came that says why.
    async fn why_out(&self, events: &mut Events, failure: Failure) -> Failure {
        if !matches!(&*failure.code, "not_member" | "said_gone") {
            return failure;
        }
        let known = async {
            loop {
                let view = self.shell.view();
                if view.standing != Standing::Member {
                    return Some(not_inside(&view.standing));
                }
                match events.next().await {
                    Some(Heard::Told(told)) if *told.room == *self.shell.room => {
                        if let Event::Ended(why) = told.event {
                            return Some(Failure::from(&*why));
                        }
                    }
                    Some(_) => {}
                    None => return None,
                }
            }
        };
        let known = timeout(OUT_WAIT, known).await.ok().flatten();
        // The view may have changed behind the last event.
        let standing = self.shell.view().standing.clone();
        known.unwrap_or_else(|| match standing {
            Standing::Member => failure,
            standing => not_inside(&standing),
        })
    }

    /// Prints a line for each thing that came due and that this steward did: an agreement put in force, a departure carried out.
    async fn tell_done(&mut self) -> Result<()> {
        let view = self.shell.view();
        let (mut enacted, mut gone) = (None, Vec::new());
        loop {
            let from = Page::From(Seq(self.seen.0.saturating_add(1)));
            let rows = self.shell.client.rows(&self.shell.room, from).await?;
            let Some(last) = rows.last().map(|row| row.place) else { break };
            for row in rows {
                let RowContent::Moderation { record, target } = row.content else { continue };
                let own = row.from == Some(view.me);
                match record.act {
                    Act::Amend { .. } => self.issuer = row.from,
                    Act::Enact if own => enacted = Some(row.place),
                    Act::Admit { back: true, member, .. } if own => {
                        let key = member.to_hex();
                        let object = json!({"returned": target, "key": key, "seq": row.place.0});
                        let name = escape::one_line(&target);
                        self.shell
                            .out
                            .say(&object, &format!("let {name} back in, who said yes"))?;
                    }
                    Act::Depart(_) if own => {
                        let object = json!({"done": "depart", "name": target, "seq": row.place.0});
                        let name = escape::one_line(&target);
                        self.shell
                            .out
                            .say(&object, &format!("took {name} out of the room, who left"))?;
                    }
                    _ => {}
                }
                gone.extend(record.act.takes_out());
            }
            self.seen = last;
        }
        let inside = names(&view);
        if let Some(seq) = enacted {
            let version = view.policy.as_ref().map_or(0, |policy| policy.agreement.version);
            let is_out = |(key, _): &&(MemberKey, String)| {
                !gone.contains(key) && inside.iter().all(|(other, _)| other != key)
            };
            let out: Vec<&str> =
                self.inside.iter().filter(is_out).map(|(_, name)| name.as_str()).collect();
            let object = json!({"done": "enact", "version": version, "out": out, "seq": seq.0});
            let who = match out.as_slice() {
                [] => "everybody had signed it".to_owned(),
                out => format!("out until they sign it: {}", escape::one_line(&out.join(", "))),
            };
            let text = format!("put version {version} of the agreement in force; {who}");
            self.shell.out.say(&object, &text)?;
        }
        self.inside = inside;
        Ok(())
    }

    /// Prints a line about an agreement that is to come: what this steward will do, or cannot do.
    fn tell_coming(&mut self) -> Result<()> {
        let view = self.shell.view();
        let Some(policy) = &view.policy else { return Ok(()) };
        let me = view.me;
        let Some(coming) = policy.pending else {
            self.told_coming = None;
            return Ok(());
        };
        let signed = view.acknowledged == coming.id;
        if self.told_coming.replace((coming.version, signed)) == Some((coming.version, signed)) {
            return Ok(());
        }
        let unsigned =
            view.roster.iter().filter(|leaf| leaf.acknowledgement.agreement != coming.id);
        let unsigned: Vec<&str> = unsigned
            .filter(|leaf| leaf.member != me && Some(leaf.member) != self.issuer)
            .map(|leaf| leaf.name.as_str())
            .collect();
        let enacts = signed && matches!(policy.role(&me), Role::Facilitator | Role::Steward);
        let object = json!({
            "waits": "agreement", "version": coming.version, "acknowledged": signed,
            "effective": show::rfc3339(coming.effective), "enacts": enacts, "unsigned": unsigned,
        });
        let due = match coming.effective <= now() {
            true => "is due".to_owned(),
            false => format!("is due on {}", show::date(coming.effective)),
        };
        let what = match (enacts, signed, policy.role(&me)) {
            (true, ..) => "this steward puts it in force then",
            (_, true, _) => {
                "this steward cannot put it in force, because you are not a facilitator: a facilitator's next command does"
            }
            (_, false, Role::Facilitator) => {
                "this steward cannot put it in force, because you have not signed it, and you are out when another facilitator does. Stop the steward, then `hearth agreement diff ROOM` and `hearth agreement acknowledge ROOM`"
            }
            _ => {
                "this steward cannot put it in force, and you are out when a facilitator does, because you have not signed it. Stop the steward, then `hearth agreement diff ROOM` and `hearth agreement acknowledge ROOM`"
            }
        };
        let others = match unsigned.as_slice() {
            [] => String::new(),
            names => format!(". Not signed yet by: {}", escape::one_line(&names.join(", "))),
        };
        let text = format!("version {} of the agreement {due}; {what}{others}", coming.version);
        Ok(self.shell.out.say(&object, &self.shell.out.advice(&text))?)
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
                Ok(knock) if knock.of.is_some() => format!(
                    "left at the door ({id}): {} comes back on a new device, and a person compares digits first",
                    escape::one_line(&knock.name)
                ),
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
                Ok(knock) => format!(
                    "left at the door ({id}): {} is not named with --only",
                    escape::one_line(&knock.name)
                ),
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
