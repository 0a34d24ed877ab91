//! The words of a command, resolved into what is asked of the room: members, messages, knocks, times.

use hearth_engine::{
    EngineError,
    policy::{Act, Leaf, Pin, RuleError},
    room::{find_member, one_message},
    state::Row,
};
use hearth_protocol::{
    MemberKey, MessageId, Seq,
    frame::Door,
    invite::{Invite, invite_id},
};
use hearth_session::{
    client::{AskError, Command, Knocker, Link, Outcome},
    live::now,
};
use hearth_text::{escape, name::Look};

use super::{Shell, nothing_done, unexpected, view_failure};
use crate::commands::Result;
use crate::{
    cli::{InRoom, Switch},
    failure::{Failure, exit},
    text::link,
    text::when::{self, WhenError},
};

impl Shell {
    /// Resolves the words of a command.
    pub(super) async fn command(&self, command: &InRoom) -> Result<Command> {
        self.check_role(command)?;
        if let Link::Down { why, .. } = &self.view().link
            && self.follows
            && !command.entry().offline
        {
            return Err(nothing_done(why));
        }
        Ok(match command {
            InRoom::Send { text, .. } => Command::Say { text: text.clone() },
            InRoom::Announce { text, .. } => Command::Act(Act::Announce(text.clone())),
            InRoom::Pause { args, .. } => {
                not_off(args, "`hearth resume ROOM` ends the pause.")?;
                let (millis, comment) = time_and_words(args)?;
                Command::Pause { millis: millis.unwrap_or(PAUSE_MILLIS), comment }
            }
            InRoom::Resume { .. } => Command::Act(Act::Resume),
            InRoom::Timeout { member, args, .. } => {
                let member = self.at_rest(member).await?;
                not_off(args, "`hearth untimeout ROOM NAME` ends a time-out.")?;
                let (millis, note) = time_and_words(args)?;
                let millis = millis.ok_or_else(|| time_failure(WhenError::Duration))?;
                Command::TimeOut { member, millis, note }
            }
            InRoom::Untimeout { member, .. } => {
                let member = self.member(member).await?.member;
                Command::TimeOut { member, millis: 0, note: String::new() }
            }
            InRoom::Slow { time, .. } => {
                let time = when::parse_duration_or_off(&time.join(" ")).map_err(time_failure)?;
                let seconds = time.map_or(0, |t| u32::try_from(t.as_secs()).unwrap_or(u32::MAX));
                Command::Act(Act::Slow(seconds))
            }
            InRoom::Budget { posts, .. } => {
                let posts = when::parse_rate(&posts.join(" ")).map_err(|error| {
                    Failure::usage(error.to_string(), "For example: 20/day, or off.")
                })?;
                Command::Act(Act::Budget(posts.unwrap_or(0)))
            }
            InRoom::Len { chars, .. } => {
                let number = if when::is_off(chars) { Ok(0) } else { chars.parse() };
                let number = number.map_err(|_| {
                    Failure::usage(
                        format!("{} is not a number of characters", escape::one_line(chars)),
                        "For example: 1200, or off.",
                    )
                })?;
                Command::Act(Act::Length(number))
            }
            InRoom::Hours { hours, .. } => {
                let now = self.view().relay_now(now());
                let parsed = when::parse_hours(hours, now).map_err(time_failure)?;
                let text = if parsed.is_some() { hours.clone() } else { String::new() };
                Command::Act(Act::Hours { text, hours: parsed })
            }
            InRoom::Open { by_hours, .. } => {
                Command::Act(Act::Door(if *by_hours { Door::ByHours } else { Door::Open }))
            }
            InRoom::Close { .. } => Command::Act(Act::Door(Door::Closed)),
            InRoom::Lock { switch, .. } => Command::Act(Act::Lock(*switch == Switch::On)),
            InRoom::Remove { member, reason, goodbye, .. } => Command::Act(Act::Remove {
                member: self.member(member).await?.member,
                category: (*reason).into(),
                goodbye: goodbye.clone().unwrap_or_default(),
            }),
            InRoom::Role { member, role, .. } => Command::Act(Act::SetRole {
                member: self.member(member).await?.member,
                role: (*role).into(),
            }),
            InRoom::Pin { id, .. } => Command::Act(Act::Pin(self.pin(id).await?)),
            InRoom::Unpin { id, .. } => Command::Act(Act::Unpin(self.pin(id).await?)),
            InRoom::Rekey { .. } => Command::Act(Act::Rekey),
            InRoom::Expire { time, .. } => Command::Act(Act::Expire(expire_seconds(time)?)),
            InRoom::Retract { id: Some(id), reason, .. } => {
                Command::Retract { place: self.to_retract(id).await?, category: (*reason).into() }
            }
            InRoom::Retract { all_from: Some(member), reason, .. } => Command::RetractAll {
                member: self.sender(member).await?,
                category: (*reason).into(),
            },
            InRoom::Retract { .. } => return Err(EngineError::Rule(RuleError::Nothing).into()),
            InRoom::Invite { uses, expires, role, .. } => Command::Invite {
                uses: *uses,
                millis: parse_millis(expires)?,
                role: (*role).into(),
            },
            InRoom::Revoke { link, .. } => {
                let link = link::find(link.as_deref().unwrap_or_default(), Invite::parse)?;
                Command::Revoke(invite_id(&link.token()))
            }
            InRoom::Knocks { .. } => Command::Knocks,
            InRoom::Admit { member, .. } => Command::Admit(match self.knocker(member).await {
                // They may be in already: the answer of an earlier command was lost.
                Err(failure) if failure.code == "no_such_knock" => {
                    self.member(member).await.map_err(|_| failure)?.member
                }
                knocker => knocker?.pending.member,
            }),
            InRoom::Decline { member, note, .. } => Command::Decline {
                member: self.knocker(member).await?.pending.member,
                words: note.clone().unwrap_or_default(),
            },
            InRoom::Mute { member, .. } => {
                Command::Mute { member: self.member(member).await?.member, muted: true }
            }
            InRoom::Unmute { member, .. } => {
                Command::Mute { member: self.member(member).await?.member, muted: false }
            }
            InRoom::Outbox { drop: Some(wanted), .. } => {
                Command::DropWaiting(self.waiting(wanted)?)
            }
            InRoom::Outbox { send: Some(wanted), .. } => Command::SendHeld(self.waiting(wanted)?),
            InRoom::RestoreRules { .. } => Command::RestoreRules,
            InRoom::Leave { goodbye, .. } => {
                Command::Depart { withdrawn: false, goodbye: goodbye.clone() }
            }
            InRoom::Withdraw { goodbye, .. } => {
                Command::Depart { withdrawn: true, goodbye: goodbye.clone() }
            }
            InRoom::Recover { .. } => Command::Recover,
            // Printed from the view, see `act`, or a shell of its own.
            InRoom::Read { .. }
            | InRoom::Follow { .. }
            | InRoom::Who { .. }
            | InRoom::Status { .. }
            | InRoom::Log { .. }
            | InRoom::Verify { .. }
            | InRoom::Outbox { .. } => Command::Refresh,
        })
    }

    /// Refuses what this member's role does not allow, before another mistake is told.
    pub(super) fn check_role(&self, command: &InRoom) -> Result<()> {
        match self.view().role() {
            Some(role) if !command.entry().who.includes(role) => {
                Err(EngineError::Rule(RuleError::NotFacilitator).into())
            }
            _ => Ok(()),
        }
    }

    /// Finds a member who can be given a time-out.
    pub(super) async fn at_rest(&self, wanted: &str) -> Result<MemberKey> {
        let member = self.member(wanted).await?.member;
        let view = self.view();
        match view.policy.as_ref().map(|policy| policy.role(&member)) {
            Some(role) if role.moderates() => Err(AskError::ModeratorTimeOut.into()),
            _ => Ok(member),
        }
    }

    pub(super) async fn member(&self, wanted: &str) -> Result<Leaf> {
        // Somebody may have come in since this profile was here last.
        self.ask(Command::Refresh).await?;
        let view = self.view();
        if view.policy.is_none() {
            return Err(view_failure(&view));
        }
        Ok(find_member(&view.roster, wanted)?.clone())
    }

    pub(super) async fn message(&self, wanted: &str) -> Result<Vec<Row>> {
        self.ask(Command::Refresh).await?;
        Ok(self.client.find(&self.room, wanted).await?)
    }

    pub(super) async fn pin(&self, wanted: &str) -> Result<Pin> {
        let wanted = bare_id(wanted);
        let row = one_message(wanted, self.message(wanted).await?)?;
        let message = row.id.ok_or_else(|| EngineError::NoSuchMessage(wanted.to_owned()))?;
        Ok(Pin { message, seq: row.seq })
    }

    /// Finds the message to retract. Plain members retract their own only: another's of the same id does not stand in the way.
    pub(super) async fn to_retract(&self, wanted: &str) -> Result<Seq> {
        let wanted = bare_id(wanted);
        let mut found = self.message(wanted).await?;
        let view = self.view();
        if !view.moderates() && found.iter().any(|row| row.from == Some(view.me)) {
            found.retain(|row| row.from == Some(view.me));
        }
        Ok(one_message(wanted, found)?.place)
    }

    pub(super) fn waiting(&self, wanted: &str) -> Result<MessageId> {
        let view = self.view();
        let wanted = bare_id(wanted).to_ascii_lowercase();
        match view.waiting(&wanted).as_slice() {
            [] => Err(EngineError::NoSuchMessage(wanted).into()),
            [one] => Ok(one.id),
            _ => Err(EngineError::Ambiguous(wanted).into()),
        }
    }

    /// Finds a member, or a former one by the history: their words stay after them.
    pub(super) async fn sender(&self, wanted: &str) -> Result<MemberKey> {
        self.ask(Command::Refresh).await?;
        let nobody = match find_member(&self.view().roster, wanted) {
            Err(error @ EngineError::NoSuchMember(_)) => error,
            found => return Ok(found?.member),
        };
        let names = self.client.names(&self.room).await?;
        let all = names.into_iter().map(|(member, name)| (member, Some(name)));
        match fitting(all, wanted).as_slice() {
            [] => Err(nobody.into()),
            [one] => Ok(*one),
            _ => Err(EngineError::Ambiguous(wanted.to_owned()).into()),
        }
    }

    /// Finds a knock by id, or by name if it opens.
    pub(super) async fn knocker(&self, wanted: &str) -> Result<Knocker> {
        let Outcome::Knocks(knockers) = self.ask(Command::Knocks).await? else {
            return Err(unexpected());
        };
        let all = knockers.iter().map(|knocker| {
            let name = knocker.opened.as_ref().ok().map(|knock| knock.name.clone());
            (knocker.pending.member, name)
        });
        match fitting(all, wanted).as_slice() {
            [] => Err(Failure::new(
                exit::USAGE,
                "no_such_knock",
                format!("nobody called {:?} knocks", escape::one_line(wanted.trim())),
                "`hearth knocks ROOM` lists who does.",
            )),
            [one] => {
                let found = knockers.into_iter().find(|knocker| knocker.pending.member == *one);
                Ok(found.ok_or(AskError::NoSuchKnock)?)
            }
            _ => Err(EngineError::Ambiguous(wanted.trim().to_owned()).into()),
        }
    }
}

/// Length of a pause where none is given: ten minutes.
pub(super) const PAUSE_MILLIS: u64 = 10 * 60 * 1000;

/// Stands for every message of the outbox that waits for its author.
pub(super) const ALL: &str = "all";

/// Shortest time for which the room's rules keep messages.
pub(super) const EXPIRE_SECONDS_MIN: u64 = 3600;

/// Takes a message's id out of the brackets in which it is shown.
pub(super) fn bare_id(wanted: &str) -> &str {
    let wanted = wanted.trim();
    wanted.strip_prefix('[').and_then(|id| id.strip_suffix(']')).unwrap_or(wanted).trim()
}

/// Returns the keys that fit: by name, else by a name that looks alike ("ben"), else by id.
pub(super) fn fitting(
    all: impl Iterator<Item = (MemberKey, Option<String>)>,
    wanted: &str,
) -> Vec<MemberKey> {
    let (wanted, lower) = (wanted.trim(), wanted.trim().to_ascii_lowercase());
    let look = Look::of(wanted);
    let (mut exact, mut alike, mut by_id) = (Vec::new(), Vec::new(), Vec::new());
    for (member, name) in all {
        let has_id = lower.len() >= 4
            && (member.to_hex().starts_with(&lower) || member.short().starts_with(&lower));
        match name {
            Some(name) if name == wanted => exact.push(member),
            Some(name) if look.is_like(&Look::of(&name)) => alike.push(member),
            _ if has_id => by_id.push(member),
            _ => {}
        }
    }
    [exact, alike, by_id].into_iter().find(|found| !found.is_empty()).unwrap_or_default()
}

/// Refuses "off" where a length of time is taken: it is no remark to the room, and something else ends what was begun. `how` says what.
fn not_off(args: &[String], how: &str) -> Result<()> {
    const ENDS: [&str; 4] = ["end", "stop", "over", "no"];
    let words = args.join(" ");
    let off = when::is_off(&words) || ENDS.iter().any(|word| words.eq_ignore_ascii_case(word));
    match off {
        true => Err(Failure::usage(
            format!("\"{}\" is not a length of time", escape::one_line(&words)),
            format!("Nothing was done. {how}"),
        )),
        false => Ok(()),
    }
}

/// Takes a time, in one word or several, and the words behind it. What begins like a time and is none is refused: nobody means
/// "2 Stunden" as words.
pub(super) fn time_and_words(args: &[String]) -> Result<(Option<u64>, String)> {
    let text = args.join(" ");
    // What stands in quotes behind a time is words, whatever it begins with.
    let (time, words) = match args {
        [time, words] if when::parse_duration(time).is_ok() => {
            (when::parse_duration(time).ok(), words.as_str())
        }
        _ => when::split_duration(&text).map_err(time_failure)?,
    };
    if args.len() > 1 && time.is_none() {
        // The first of several words is the time, or a slip: words alone stand in quotes.
        return Err(time_failure(WhenError::Duration));
    }
    let millis = time.map(|t| u64::try_from(t.as_millis()).unwrap_or(u64::MAX));
    Ok((millis, words.to_owned()))
}

pub(super) fn parse_millis(time: &str) -> Result<u64> {
    let time = when::parse_duration(time).map_err(time_failure)?;
    Ok(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

/// Takes the time for which messages are kept, within the room's bounds.
pub(super) fn expire_seconds(time: &[String]) -> Result<u64> {
    let seconds = parse_millis(&time.join(" "))? / 1000;
    if seconds < EXPIRE_SECONDS_MIN {
        return Err(Failure::new(
            exit::REFUSED,
            "out_of_range",
            format!("messages are kept for 1 h at least, not {}", when::span(seconds)),
            "Nothing was done. For example: `hearth expire ROOM 30d`.",
        ));
    }
    Ok(seconds)
}

pub(super) fn time_failure(error: WhenError) -> Failure {
    let advice = match error {
        WhenError::Hours | WhenError::Zone | WhenError::TooManyIntervals => {
            "Nothing was done. For example: `hearth hours ROOM \"Mon-Fri 17:00-20:00 Europe/Paris\"`."
        }
        _ => "Nothing was done. For example: 30m, 2h, 10 min, 7 days.",
    };
    Failure::usage(error.to_string(), advice)
}
