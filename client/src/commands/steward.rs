//! A facilitator who never sleeps: admits whoever has acknowledged, by rule, without a person watching.

use hearth_console::signals;
use hearth_engine::{
    EngineError, Room,
    policy::{Act, RuleError},
    state::RowContent,
};
use hearth_protocol::{MemberKey, Millis, Role, Seq};
use hearth_session::{
    live::{Live, LiveError, now},
    network::Network,
    session::{Event, Session},
};
use hearth_text::{escape, name};
use serde_json::json;

use super::{
    Context, Result,
    inside::{tell_missed, tell_of_connection, tell_overlong},
    read::{tell_mismatches, tell_trouble},
};
use crate::{
    failure::Failure,
    show::{self, Output},
};

/// Rows of history read at once.
const PAGE: usize = 256;

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
    let mut room = Room::open(open.store(), &open.crypto, room)?;
    let out = context.out.clone().in_room(&room.state().local_name);
    let mut door = Door {
        out: &out,
        rule: Rule { only, left: count },
        told: Vec::new(),
        seen: room.cursor().seq,
        // A room without keys has nobody in it yet.
        inside: names(&mut room).unwrap_or_default(),
        told_coming: None,
    };
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
    /// The last entry of which it was said what this steward did.
    seen: Seq,
    /// Members at that entry, by name.
    inside: Vec<(MemberKey, String)>,
    /// Version of the coming agreement that was told, and whether it was signed then.
    told_coming: Option<(u32, bool)>,
}

/// Returns the members by name.
fn names(room: &mut Room<'_>) -> Result<Vec<(MemberKey, String)>, EngineError> {
    Ok(room.roster()?.into_iter().map(|leaf| (leaf.member, leaf.name)).collect())
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
                    tell_overlong(session.room()?, out)?;
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
            self.tell_done(session.room()?)?;
            self.tell_coming(session.room()?)?;
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

    /// Prints a line for each thing that came due and that this steward did: an agreement put in force, a departure carried out.
    fn tell_done(&mut self, room: &mut Room<'_>) -> Result<()> {
        let (mut enacted, mut gone) = (None, Vec::new());
        loop {
            let rows = room.history(Seq(self.seen.0.saturating_add(1)), PAGE)?;
            let Some(last) = rows.last().map(|row| row.place) else { break };
            for row in rows {
                let RowContent::Moderation { record, target } = row.content else { continue };
                let own = row.from == Some(room.me());
                match record.act {
                    Act::Enact if own => enacted = Some(row.place),
                    Act::Depart(_) if own => {
                        let object = json!({"done": "depart", "name": target, "seq": row.place.0});
                        let name = escape::one_line(&target);
                        self.out.say(&object, &format!("took {name} out of the room, who left"))?;
                    }
                    _ => {}
                }
                if matches!(record.act, Act::Depart(_) | Act::Remove { .. }) {
                    gone.extend(record.act.target());
                }
            }
            self.seen = last;
        }
        let inside = names(room)?;
        if let Some(seq) = enacted {
            let version = room.policy()?.agreement.version;
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
            self.out.say(&object, &text)?;
        }
        self.inside = inside;
        Ok(())
    }

    /// Prints a line about an agreement that is to come: what this steward will do, or cannot do.
    fn tell_coming(&mut self, room: &mut Room<'_>) -> Result<()> {
        let (policy, me) = (room.policy()?, room.me());
        let Some(coming) = policy.pending else {
            self.told_coming = None;
            return Ok(());
        };
        let signed = room.acknowledgement()?.agreement == coming.id;
        if self.told_coming.replace((coming.version, signed)) == Some((coming.version, signed)) {
            return Ok(());
        }
        let roster = room.roster()?;
        let unsigned = roster.iter().filter(|leaf| leaf.acknowledgement.agreement != coming.id);
        let unsigned: Vec<&str> =
            unsigned.filter(|leaf| leaf.member != me).map(|leaf| leaf.name.as_str()).collect();
        let enacts = signed && policy.role(&me) == Role::Facilitator;
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
        Ok(self.out.say(&object, &self.out.advice(&text))?)
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
                Ok(knock) if first => {
                    let name = escape::one_line(&knock.name);
                    self.out.remark(&format!(
                        "left at the door ({id}): {name} is not named with --only"
                    ));
                    self.told.push(known);
                }
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
