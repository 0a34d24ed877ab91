//! What is done in a room: the same for the command line and for `chat`.

use std::{io::Read as _, time::Duration};

use hearth_engine::{
    EngineError, Room,
    accord::Mismatch,
    act::{InviteTerms, Knock},
    content::TEXT_BYTES_MAX,
    policy::{Act, Category, Leaf, Pin, RuleError},
    room::one_message,
    state::{Row, RowContent, Standing},
};
use hearth_protocol::{
    Effect, MemberKey, Millis, Role, Seq,
    frame::{Door, PendingKnock},
    invite::Invite,
};
use hearth_session::{
    live::{Live, LiveError, Recovery, now},
    network::Network,
    session::Up,
};
use hearth_text::{count::counted, escape, name::Look};
use serde_json::json;

use super::{
    Context, Result, Wanted, interactive,
    listing::{knocks, local, question_about_posted, status},
    read::{follow, print_rows, read, tell_mismatches},
    rooms::{confirm, confirm_person},
};
use crate::{
    cli::{CategoryArg, InRoom, RoleArg, Switch},
    failure::{Failure, exit, kept_until, not_inside},
    show::{self, Output},
    text::link,
    text::qr,
    text::when::{self, WhenError},
};

/// Longest pause or time-out that nobody is asked about: a week.
const LONG_MILLIS: u64 = 7 * 24 * 60 * 60 * 1000;
/// Shortest time for which the room's rules keep messages.
const EXPIRE_SECONDS_MIN: u64 = 3600;
/// Length of a pause where none is given: ten minutes.
const PAUSE_MILLIS: u64 = 10 * 60 * 1000;

/// Runs one room command on a connection of its own.
pub(super) async fn run(context: &Context, mut command: InRoom) -> Result<()> {
    let open = match context.open() {
        Err(failure) if matches!(command, InRoom::Send { .. }) => return Err(unsent(failure)),
        open => open?,
    };
    let mut room = Room::open(open.store(), &open.crypto, command.room())?;
    let out = &context.out.clone().in_room(&room.state().local_name);
    if asks_of_outbox(&command) && interactive() && !room.waiting_texts()?.is_empty() {
        // What can go out now is not dropped.
        room = refresh(out, room).await.0;
    }
    if let Some((yes, question)) = question_before(&command, room.waiting_texts()?.len()) {
        confirm_person(yes, &question)?;
    }
    if let Some((yes, question)) = question_about_posted(&room, &command)? {
        confirm(yes, &question)?;
    }
    if let InRoom::Revoke { link, .. } = &mut command {
        let on_input = format!("revoke {}", room.state().local_name);
        *link = Some(context.link(link.as_deref(), Wanted::Invite(&on_input))?.to_string());
    }
    match &command {
        InRoom::Outbox { send: Some(_), .. } => {
            local(&mut room, out, &command)?;
            let mut live = enter(out, room).await?;
            live.tend().await?;
            live.send_waiting().await?;
            tell_mismatches(&mut live.room, out)?;
            live.leave().await;
            return Ok(());
        }
        InRoom::Mute { .. } | InRoom::Unmute { .. } | InRoom::Outbox { .. } => {
            return local(&mut room, out, &command);
        }
        InRoom::Read { all, held, .. } => {
            let (refreshed, failure) = refresh(out, room).await;
            room = refreshed;
            let standing = room.state().standing.clone();
            let printed = match &failure {
                None if standing == Standing::Member => read(&mut room, out, *all, *held),
                _ => print_rows(&mut room, out, *all, *held).map(|_| ()),
            };
            // What it says stands below, with the words of a decline.
            let printed = printed.or_else(|failure| match failure.code {
                "not_member" if standing != Standing::Member => Ok(()),
                _ => Err(failure),
            });
            if standing != Standing::Member && failure.is_none() {
                let Failure { message, advice, .. } = not_inside(&standing);
                out.remark(&format!("-- {message}. {}", out.advice(&advice)));
            }
            tell_held(&mut room, out)?;
            printed?;
            return failure.map_or(Ok(()), Err);
        }
        InRoom::Verify { .. } => {
            // The digits are wanted most where the relay lied.
            let (refreshed, failure) = refresh(out, room).await;
            room = refreshed;
            let failure = tell_outdated(out, failure);
            local(&mut room, out, &command)?;
            return failure;
        }
        InRoom::Who { .. } | InRoom::Log { .. } => {
            room = refreshed(out, room).await?;
            return local(&mut room, out, &command);
        }
        InRoom::Follow { .. } => return follow(room, out).await,
        InRoom::Recover { yes, .. } => return recover(room, out, *yes).await,
        _ => {}
    }
    if let InRoom::Send { text, .. } = &command {
        return send_alone(room, out, text).await;
    }
    let mut live = enter(out, room).await?;
    live.tend().await?;
    flush_quietly(&mut live, out).await?;
    tell_held(&mut live.room, out)?;
    let acted = act(&mut live, out, &command).await;
    // Also what was found because the command was refused.
    tell_mismatches(&mut live.room, out)?;
    acted?;
    live.leave().await;
    Ok(())
}

/// Whether a person is asked about what waits in the outbox before a command.
pub(super) const fn asks_of_outbox(command: &InRoom) -> bool {
    matches!(command, InRoom::Leave { yes: false, .. } | InRoom::Withdraw { yes: false, .. })
}

/// Returns what a person is asked before a command that a slip of the finger must not do, and whether they said yes already.
/// A departure drops what waits in the outbox.
pub(super) fn question_before(command: &InRoom, waiting: usize) -> Option<(bool, String)> {
    let dropped = match waiting {
        0 => String::new(),
        waiting => format!(
            " {} in your outbox and would be dropped.",
            counted(waiting, "message waits", "messages wait")
        ),
    };
    match command {
        InRoom::Leave { yes, .. } => Some((
            *yes,
            format!(
                "Leave this room?{dropped} To come back you need a new invite. What was said stays confidential."
            ),
        )),
        InRoom::Withdraw { yes, .. } => Some((
            *yes,
            format!(
                "Withdraw your acknowledgement and leave this room?{dropped} To come back you need a new invite."
            ),
        )),
        InRoom::Retract { all_from: Some(member), yes, .. } => Some((
            *yes,
            format!(
                "Retract every message of {}? That cannot be undone.",
                escape::one_line(member.trim())
            ),
        )),
        InRoom::Remove { member, yes, .. } => Some((
            *yes,
            format!(
                "Remove {}? To come back they need a new invite.",
                escape::one_line(member.trim())
            ),
        )),
        InRoom::Expire { time, yes, .. } if expire_seconds(time).is_ok() => Some((
            *yes,
            format!(
                "Keep messages for {}? What is older is deleted for everybody. That cannot be undone.",
                escape::one_line(time.join(" ").trim())
            ),
        )),
        InRoom::Pause { args, yes, .. } => {
            long(args).map(|time| (*yes, format!("Pause the room for {time}?")))
        }
        InRoom::Timeout { member, args, yes, .. } => long(args).map(|time| {
            (*yes, format!("Give {} a time-out of {time}?", escape::one_line(member.trim())))
        }),
        _ => None,
    }
}

/// Returns the time of a pause or a time-out that is longer than anybody means.
fn long(args: &[String]) -> Option<String> {
    let (millis, _) = time_and_words(args).ok()?;
    let time = Duration::from_millis(millis.filter(|millis| *millis > LONG_MILLIS)?);
    Some(when::duration(time))
}

/// Tells of words in the outbox that nothing sends but their author.
pub(super) fn tell_held(room: &mut Room<'_>, out: &Output) -> Result<()> {
    let count = room.held_texts()?.len();
    if count > 0 {
        let messages = counted(count, "message", "messages");
        let were = if count == 1 { "was" } else { "were" };
        out.remark(&out.advice(&format!(
            "-- {messages} in your outbox {were} not sent: `hearth outbox ROOM` says why, `hearth outbox ROOM --send ID` sends a message, `hearth outbox ROOM --drop ID` drops it"
        )));
    }
    Ok(())
}

/// Enters a room, and tells what there is to know of its relay and the connection.
pub(super) async fn enter<'s>(out: &Output, room: Room<'s>) -> Result<Live<'s>, LiveError> {
    let tell = |missed| tell_missed(out, missed);
    let live = Live::enter_telling(&Network::machine(), room, tell).await?;
    let (post_quantum, moved) = (live.is_post_quantum(), live.was_moved());
    tell_of_connection(out, Up { again: false, post_quantum, moved }, &mut false);
    Ok(live)
}

/// Says that a connection could be recorded now and read later, by somebody with a quantum computer.
pub(super) const NOT_POST_QUANTUM: &str = "The connection to the relay is encrypted, but not against a quantum computer that comes later. What is said stays \
     protected in a room with the post-quantum suite; who connects when may be seen then.";

/// Says how many entries there are to catch up with.
pub(super) fn tell_missed(out: &Output, missed: u64) {
    out.remark(&format!("Catching up with {} ...", counted(missed, "entry", "entries")));
}

/// Tells what there is to know of a connection; what holds for all is told once.
pub(super) fn tell_of_connection(out: &Output, up: Up, told_classical: &mut bool) {
    if !up.post_quantum && !std::mem::replace(told_classical, true) {
        out.remark(NOT_POST_QUANTUM);
    }
    if up.moved {
        out.remark(
            "The relay's store was moved or restored. Nothing that you had seen is missing.",
        );
    }
}

/// Goes on after a restored backup or a split, or takes the room back, after asking.
async fn recover(mut room: Room<'_>, out: &Output, yes: bool) -> Result<()> {
    let mut agreed = None;
    if !yes {
        // Only the relay knows what there is to ask: a room that has split may be one that was restored since.
        let recovery;
        (room, recovery) = Live::recovery(&Network::machine(), room).await?;
        confirm(yes, &out.advice(question(recovery)))?;
        agreed = Some(recovery);
    }
    let mut live = Live::recover(&Network::machine(), room, agreed).await?;
    let compared = live.compare().await;
    let differs = live.room.mismatches()?.iter().any(Mismatch::is_alarm);
    let facilitates = live.room.my_role().is_ok_and(|role| role == Role::Facilitator);
    let next = match (differs, facilitates) {
        (false, _) => "",
        (true, true) => {
            " The relay does not keep to the room's rules. You put them back: `hearth restore-rules ROOM`."
        }
        (true, false) => {
            " The relay does not keep to the room's rules. A facilitator puts them back: `hearth restore-rules ROOM`."
        }
    };
    let text =
        format!("You go on. Compare `hearth verify ROOM` with the others by another way.{next}");
    let object = json!({"done": "recover", "rules_differ": differs});
    out.say(&object, &out.advice(&text))?;
    tell_mismatches(&mut live.room, out)?;
    compared?;
    live.leave().await;
    Ok(())
}

const fn question(recovery: Recovery) -> &'static str {
    match recovery {
        Recovery::LeftBehind => {
            "Only if no other facilitator can invite you anew: take the room back to where this profile is? Everybody who went \
             on without you can then neither read nor write, until you have removed them and they have joined by a new invite."
        }
        Recovery::Split => {
            "Only if the others have the same `hearth verify ROOM` digits as you: go on? If the room has split, whoever was \
             removed in the other part may read what you write."
        }
        Recovery::Restored => {
            "Only if the operator says that the relay was restored from a backup: go on from what it has now? \
             Your history stays; what others wrote since the backup may be missing."
        }
    }
}

/// Sends a text; what cannot go out now is kept.
async fn send_alone(mut room: Room<'_>, out: &Output, text: &str) -> Result<()> {
    let text = read_words(text)?;
    if let declined @ Standing::Declined { by: Some(_), .. } = &room.state().standing {
        return Err(not_inside(declined));
    }
    if matches!(room.state().standing, Standing::Knocking | Standing::Declined { by: None, .. }) {
        // Without keys nothing can be kept for later; but the facilitator may have answered.
        let mut live = enter(out, room).await?;
        live.tend().await?;
        let id = live.send(text).await?;
        tell_mismatches(&mut live.room, out)?;
        live.leave().await;
        let object = json!({"id": id.to_hex(), "sent": true});
        return Ok(out.say(&object, &format!("sent [{}]", id.short()))?);
    }
    let (store, crypto, local) = room.parts();
    let id = match room.queue_text(text.clone(), now()) {
        Ok(id) => id,
        Err(stale @ EngineError::TooLong { .. }) if text.len() <= TEXT_BYTES_MAX => {
            // The rule that this profile knows may have been lifted.
            let Ok(mut live) = enter(out, room).await else { return Err(stale.into()) };
            live.tend().await?;
            let id = live.send(text).await?;
            live.leave().await;
            let object = json!({"id": id.to_hex(), "sent": true});
            return Ok(out.say(&object, &format!("sent [{}]", id.short()))?);
        }
        Err(error) => return Err(unsent(error.into())),
    };
    let sent = async {
        let mut live = enter(out, room).await?;
        live.tend().await?;
        live.send_queued(&id).await?;
        let row = live.room.own_message(&id)?;
        let name = live.room.state().local_name.clone();
        live.leave().await;
        Ok::<_, LiveError>((row.place, name))
    };
    let result = match sent.await {
        Ok((seq, room)) => {
            let object = json!({"room": room, "id": id.to_hex(), "seq": seq.0, "sent": true});
            Ok(out.say(&object, &format!("sent [{}]", id.short()))?)
        }
        Err(error) if error.is_connection() => {
            let mut failure = Failure::from(error);
            failure.kept = true;
            failure.advice = kept_until(true, None);
            Err(failure)
        }
        Err(error) => {
            let mut failure = Failure::from(error);
            let room = Room::open(store, crypto, &local)?;
            if !failure.kept && room.held_texts()?.iter().any(|(held, _)| *held == id) {
                failure.kept = true;
                failure.advice.push_str(" Your words stay in your outbox: `hearth outbox ROOM`.");
            }
            Err(failure)
        }
    };
    let mut room = Room::open(store, crypto, &local)?;
    if result.is_ok() {
        tell_held(&mut room, out)?;
    }
    // Also what was found because it was refused.
    tell_mismatches(&mut room, out)?;
    result
}

/// Refuses what works outside of a chat only.
pub(super) fn outside_only(command: &InRoom) -> Option<Failure> {
    let advice = match command {
        InRoom::Follow { .. } => "Type /quit, then `hearth follow ROOM`.",
        InRoom::Recover { .. } => "Type /quit, then `hearth recover ROOM`.",
        _ => return None,
    };
    Some(Failure::usage("the chat does not take that command", advice))
}

/// Says of words that the disk did not take that they went nowhere.
pub(super) fn unsent(mut failure: Failure) -> Failure {
    failure.advice = match failure.code {
        "disk_full" => "Free some space, then send it again.",
        "read_only" => "Make the disk or folder writable, then send it again.",
        // The outbox may have them all the same; the same words wait there once.
        "disk_failed" => {
            "Check the disk: it fails, or has turned read-only. When it is whole, look at your outbox, then send it again."
        }
        _ => return failure,
    }
    .into();
    failure.message.push_str("; nothing was sent");
    failure
}

/// Sends what waited from before. What the relay refuses of it is told, and fails no other command.
async fn flush_quietly(live: &mut Live<'_>, out: &Output) -> Result<()> {
    match live.flush().await {
        Ok(()) => Ok(()),
        Err(error @ LiveError::Refused { code, kept, .. }) => {
            // Held words are told apart.
            if !kept || code.may_retry() {
                let Failure { message, advice, .. } = Failure::from(error);
                let what = if kept { "did not go out" } else { "was refused" };
                let advice = if kept { out.advice(&advice) } else { String::new() };
                out.remark(format!("-- what waited {what}: {message}. {advice}").trim_end());
            }
            Ok(())
        }
        Err(error) if error.holds_back() => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Catches up; returns the room in any case, and why it could not.
async fn refresh<'s>(out: &Output, room: Room<'s>) -> (Room<'s>, Option<Failure>) {
    let (store, crypto, name) = room.parts();
    let caught_up = async {
        let mut live = enter(out, room).await?;
        live.tend().await?;
        match live.flush().await {
            Ok(()) | Err(LiveError::Refused { .. }) => {}
            Err(error) if error.holds_back() => {}
            Err(error) => return Err(error),
        }
        Ok(live.leave().await)
    };
    match caught_up.await {
        Ok(room) => (room, None),
        Err(error) => match Room::open(store, crypto, &name) {
            // Out of the room there is nothing to catch up with; the history stays readable.
            Ok(room) if matches!(error, LiveError::NotInside(_)) => (room, None),
            Ok(room) => (room, Some(error.into())),
            Err(_) => unreachable!("the room was open a moment ago and its lock is held"),
        },
    }
}

/// Catches up if the relay can be reached, and says so if not; fails only if something lied.
pub(super) async fn refreshed<'s>(out: &Output, room: Room<'s>) -> Result<Room<'s>> {
    let (room, failure) = refresh(out, room).await;
    tell_outdated(out, failure).map(|()| room)
}

/// Says why the room is not up to date; fails only if something lied.
fn tell_outdated(out: &Output, failure: Option<Failure>) -> Result<()> {
    match failure {
        Some(failure) if failure.exit == exit::UNREACHABLE => {
            out.remark(&format!("Not up to date: {}", failure.message));
        }
        Some(failure) if failure.code == "not_member" || failure.code == "not_acknowledged" => {}
        Some(failure) if failure.code == "knock_forgotten" || failure.code == "welcome_gone" => {
            let advice = out.advice(&failure.advice);
            out.remark(&format!("Not up to date: {}. {advice}", failure.message));
        }
        Some(failure) => return Err(failure),
        None => {}
    }
    Ok(())
}

/// Does one command on a room that is caught up.
pub(super) async fn act(live: &mut Live<'_>, out: &Output, command: &InRoom) -> Result<()> {
    if let Some(failure) = outside_only(command) {
        return Err(failure);
    }
    match command {
        InRoom::Send { text, .. } => {
            // Only on the command line does `-` stand for standard input.
            let text = escape::sanitize_input(text)?;
            let id = live.room.queue_text(text, now()).map_err(|error| unsent(error.into()))?;
            live.send_queued(&id).await?;
            let object = json!({"id": id.to_hex(), "sent": true});
            Ok(out.say(&object, &format!("sent [{}]", id.short()))?)
        }
        InRoom::Read { all, held, .. } => read(&mut live.room, out, *all, *held),
        InRoom::Follow { .. } | InRoom::Recover { .. } => Ok(()),
        InRoom::Outbox { send: Some(_), .. } => {
            local(&mut live.room, out, command)?;
            Ok(live.send_waiting().await?)
        }
        InRoom::Who { .. }
        | InRoom::Log { .. }
        | InRoom::Verify { .. }
        | InRoom::Outbox { .. }
        | InRoom::Mute { .. }
        | InRoom::Unmute { .. } => local(&mut live.room, out, command),
        InRoom::Status { .. } => status(live, out).await,
        InRoom::Invite { uses, expires, role, qr, .. } => {
            invite(live, out, (*uses, expires, *role, *qr)).await
        }
        InRoom::Revoke { link, .. } => {
            let given = link.as_deref().unwrap_or_default();
            let link = link::find(given, Invite::parse)?;
            let invite = hearth_protocol::invite::invite_id(&link.token());
            live.effects_only(vec![Effect::RevokeInvite { invite }]).await?;
            done(out, "revoke", "The invite is void.")
        }
        InRoom::Knocks { .. } => knocks(live, out).await,
        InRoom::Admit { member, .. } => {
            let knock = match find_knock(live, member).await {
                Err(failure) if failure.code == "no_such_knock" => {
                    return admitted_already(live, out, member).ok_or(failure)?;
                }
                found => found?.1?,
            };
            let seq = live.admit(&knock).await?;
            let object = json!({
                "done": "admit", "name": knock.name, "key": knock.member.to_hex(), "seq": seq.0,
            });
            Ok(out.say(&object, &format!("{} is in the room.", escape::one_line(&knock.name)))?)
        }
        InRoom::Decline { member, note, .. } => {
            let (pending, opened) = find_knock(live, member).await?;
            let words = note.clone().unwrap_or_default();
            let without = if opened.is_err() && !words.is_empty() {
                " without your words (the knock does not open, so nothing can be sealed to it)"
            } else {
                ""
            };
            let name = opened.as_ref().ok().map(|knock| knock.name.clone());
            let effect = match opened {
                Ok(knock) => live.room.decline(&knock, words, now())?,
                Err(_) => live.room.decline_unread(pending.member)?,
            };
            live.effects_only(vec![effect]).await?;
            let (whom, name, object) = match name {
                Some(name) => {
                    let shown = escape::one_line(&name);
                    (shown.clone(), shown, json!({"done": "decline", "name": name}))
                }
                None => ("the knock".into(), "the knocker".into(), json!({"done": "decline"})),
            };
            Ok(out.say(
                &object,
                &format!("You declined {whom}{without}; only {name} learns of it."),
            )?)
        }
        InRoom::Pause { args, .. } => {
            let (millis, comment) = pause_args(args)?;
            let until = live.relay_now().plus(millis);
            act_done(live, out, Act::Pause { until, comment }).await
        }
        InRoom::Resume { .. } => act_done(live, out, Act::Resume).await,
        InRoom::Timeout { member, args, .. } => {
            let (millis, note) = time_and_words(args)?;
            let millis = millis.ok_or_else(|| time_failure(WhenError::Duration))?;
            time_out(live, out, member, millis, note).await
        }
        InRoom::Untimeout { member, .. } => time_out(live, out, member, 0, String::new()).await,
        InRoom::Slow { time, .. } => {
            let time = when::parse_duration_or_off(&time.join(" ")).map_err(time_failure)?;
            let seconds = time.map_or(0, |t| u32::try_from(t.as_secs()).unwrap_or(u32::MAX));
            act_done(live, out, Act::Slow(seconds)).await
        }
        InRoom::Budget { posts, .. } => {
            let posts = when::parse_rate(&posts.join(" ")).map_err(|error| {
                Failure::usage(error.to_string(), "For example: 20/day, or off.")
            })?;
            act_done(live, out, Act::Budget(posts.unwrap_or(0))).await
        }
        InRoom::Len { chars, .. } => {
            let number = if when::is_off(chars) { Ok(0) } else { chars.parse() };
            let number = number.map_err(|_| {
                Failure::usage(
                    format!("{} is not a number of characters", escape::one_line(chars)),
                    "For example: 1200, or off.",
                )
            })?;
            act_done(live, out, Act::Length(number)).await
        }
        InRoom::Hours { hours, .. } => {
            let parsed = when::parse_hours(hours, live.relay_now()).map_err(time_failure)?;
            let text = if parsed.is_some() { hours.clone() } else { String::new() };
            act_done(live, out, Act::Hours { text, hours: parsed }).await
        }
        InRoom::Open { by_hours, .. } => {
            let door = if *by_hours { Door::ByHours } else { Door::Open };
            act_done(live, out, Act::Door(door)).await
        }
        InRoom::Close { .. } => act_done(live, out, Act::Door(Door::Closed)).await,
        InRoom::Lock { switch, .. } => act_done(live, out, Act::Lock(*switch == Switch::On)).await,
        InRoom::Remove { member, reason, goodbye, .. } => {
            let leaf = live.room.find_member(member)?;
            let act = Act::Remove {
                member: leaf.member,
                category: (*reason).into(),
                goodbye: goodbye.clone().unwrap_or_default(),
            };
            act_done_to(live, out, act, &leaf).await
        }
        InRoom::Role { member, role, .. } => {
            let leaf = live.room.find_member(member)?;
            let act = Act::SetRole { member: leaf.member, role: (*role).into() };
            act_done_to(live, out, act, &leaf).await
        }
        InRoom::Announce { text, .. } => {
            act_done(live, out, Act::Announce(escape::sanitize_input(text)?)).await
        }
        InRoom::Pin { id, .. } => {
            let pin = pin_of(&live.room, id)?;
            act_done(live, out, Act::Pin(pin)).await
        }
        InRoom::Unpin { id, .. } => {
            let pin = pin_of(&live.room, id)?;
            act_done(live, out, Act::Unpin(pin)).await
        }
        InRoom::Retract { id, reason, all_from, .. } => {
            retract(live, out, id.as_deref(), (*reason).into(), all_from.as_deref()).await
        }
        InRoom::Rekey { .. } => act_done(live, out, Act::Rekey).await,
        InRoom::RestoreRules { .. } => restore_rules(live, out).await,
        InRoom::Leave { goodbye, .. } => depart(live, out, false, goodbye.clone()).await,
        InRoom::Withdraw { goodbye, .. } => depart(live, out, true, goodbye.clone()).await,
        InRoom::Expire { time, .. } => {
            act_done(live, out, Act::Expire(expire_seconds(time)?)).await
        }
    }
}

async fn act_done(live: &mut Live<'_>, out: &Output, act: Act) -> Result<()> {
    let word = act.as_str();
    let text = show::act_text(&act, "", now());
    let seq = live.act(act).await?;
    let object = json!({"done": word, "seq": seq.0});
    Ok(out.say(&object, &format!("You {}.", escape::one_line(&text)))?)
}

/// Does an act that touches somebody, and says whom.
async fn act_done_to(live: &mut Live<'_>, out: &Output, act: Act, leaf: &Leaf) -> Result<()> {
    let word = act.as_str();
    let text = show::act_text(&act, &leaf.name, now());
    let seq = live.act(act).await?;
    let object =
        json!({"done": word, "seq": seq.0, "name": leaf.name, "key": leaf.member.to_hex()});
    Ok(out.say(&object, &format!("You {}.", escape::one_line(&text)))?)
}

fn done(out: &Output, word: &str, text: &str) -> Result<()> {
    Ok(out.say(&json!({"done": word}), text)?)
}

async fn time_out(
    live: &mut Live<'_>,
    out: &Output,
    member: &str,
    millis: u64,
    note: String,
) -> Result<()> {
    let leaf = live.room.find_member(member)?;
    if live.room.policy()?.role(&leaf.member).moderates() {
        return Err(Failure::new(
            exit::REFUSED,
            "is_facilitator",
            "facilitators and co-facilitators cannot be timed out",
            "Change the role first: `hearth role ROOM NAME member`.",
        ));
    }
    let now_there = live.relay_now();
    if millis == 0 {
        let lasts = |until: Millis| until > now_there;
        let status = live.status().await?;
        let enforced =
            status.roster.iter().any(|r| r.member == leaf.member && lasts(r.timed_out_until));
        if !enforced && !live.room.recorded_time_out(&leaf.member)?.is_some_and(lasts) {
            return Err(Failure::new(
                exit::REFUSED,
                "nothing_to_change",
                format!("{} is not in a time-out", escape::one_line(&leaf.name)),
                "`hearth status ROOM` shows who is.",
            ));
        }
    }
    let until = if millis == 0 { Millis(0) } else { now_there.plus(millis) };
    let queue = |room: &mut Room<'_>| room.queue_time_out(leaf.member, until, note, now());
    let time_out = live.send_own(queue).await?;
    let seq = live.commit(|room, now| room.time_out(&time_out, now)).await?;
    let word = if millis == 0 { "untimeout" } else { "timeout" };
    let object = json!({
        "done": word, "seq": seq.0, "until": show::rfc3339(until),
        "name": leaf.name, "key": leaf.member.to_hex(),
    });
    let name = escape::one_line(&leaf.name);
    let text = match millis {
        0 => format!(
            "the time-out of {name} is over; only {name} and those who moderate learn of it"
        ),
        _ => format!(
            "{name} rests until {}; only {name} and those who moderate learn of it",
            show::clock(until)
        ),
    };
    Ok(out.say(&object, &text)?)
}

/// Puts the relay's rules, roles and roster back, and shows what remains.
async fn restore_rules(live: &mut Live<'_>, out: &Output) -> Result<()> {
    let restored = live.restore_rules().await?;
    let remain = live.room.mismatches()?;
    let words: Vec<&str> = remain.iter().map(Mismatch::as_str).collect();
    let object = json!({"done": "restore-rules", "restored": restored, "remain": words});
    let text = match (restored, remain.is_empty()) {
        (true, true) => "The relay keeps to the room's rules again.",
        (true, false) => {
            "The relay keeps to some of the room's rules again; `hearth status ROOM` shows what remains."
        }
        (false, true) => "The relay keeps to the room's rules already.",
        (false, false) => {
            "No command can put the differences back; `hearth status ROOM` shows them."
        }
    };
    Ok(out.say(&object, &out.advice(text))?)
}

async fn depart(
    live: &mut Live<'_>,
    out: &Output,
    withdrawn: bool,
    goodbye: Option<String>,
) -> Result<()> {
    live.room.check_may_leave()?;
    if let Some(text) = goodbye {
        say_goodbye(live, out, escape::sanitize_input(&text)?).await?;
    }
    let waiting = live.room.waiting_texts()?.len();
    live.send_own(|room| room.queue_departure(withdrawn, now())).await?;
    if waiting > 0 {
        let dropped = counted(waiting, "message that waited", "messages that waited");
        out.remark(&format!("Your departure dropped {dropped} in your outbox."));
    }
    let word = if withdrawn { "withdraw" } else { "leave" };
    let text = "You have left. The duty about what you heard goes on; your receipt stays here.";
    done(out, word, text)
}

/// Sends words before a departure. A rule of the room that stops them does not stop the departure.
async fn say_goodbye(live: &mut Live<'_>, out: &Output, text: String) -> Result<()> {
    if text.is_empty() {
        return Ok(());
    }
    let id = live.room.queue_text(text, now())?;
    match live.send_queued(&id).await {
        Err(
            error @ (LiveError::Refused { .. } | LiveError::Engine(EngineError::TooLong { .. })),
        ) => {
            live.room.drop_waiting(&id)?;
            let why = Failure::from(error).message;
            out.remark(&format!("Your words were not sent: {why}."));
            Ok(())
        }
        result => Ok(result?),
    }
}

async fn retract(
    live: &mut Live<'_>,
    out: &Output,
    id: Option<&str>,
    category: Category,
    all_from: Option<&str>,
) -> Result<()> {
    let rows = match (id, all_from) {
        (Some(id), _) => vec![to_retract(live, id)?],
        (None, Some(member)) => {
            let member = find_sender(&mut live.room, member)?;
            let mut rows = live.room.history(Seq(0), usize::MAX)?;
            rows.retain(|r| {
                r.from == Some(member)
                    && matches!(r.content, RowContent::Text(_) | RowContent::Held(_))
            });
            rows
        }
        (None, None) => Vec::new(),
    };
    let moderates = live.room.my_role()?.moderates();
    let me = live.room.me();
    let mut count = 0u32;
    for row in rows {
        let Some(message) = row.id else { continue };
        // What a restored relay no longer has cannot be retracted there; another entry may have its number.
        let Some(seq) = live.room.present_seq(&row)? else { continue };
        if matches!(row.content, RowContent::Tombstone { .. }) {
            continue;
        }
        if row.from == Some(me) {
            live.send_own(|room| room.queue_own_retraction(seq, now())).await?;
        } else if moderates {
            live.act(Act::Retract { message, seq, category }).await?;
        } else {
            return Err(EngineError::NotAuthor.into());
        }
        count += 1;
    }
    if count == 0 {
        return Err(RuleErrorNothing.into());
    }
    let object = json!({"done": "retract", "count": count});
    let messages = counted(count, "message", "messages");
    let text = format!("You retracted {messages}; a mark stays. Copies on devices may remain.");
    Ok(out.say(&object, &text)?)
}

/// Finds a member, or a former one by the history: their words stay after them.
fn find_sender(room: &mut Room<'_>, wanted: &str) -> Result<MemberKey> {
    let nobody = match room.find_member(wanted) {
        Err(error @ EngineError::NoSuchMember(_)) => error,
        found => return Ok(found?.member),
    };
    let (wanted, lower) = (wanted.trim(), wanted.trim().to_ascii_lowercase());
    let look = Look::of(wanted);
    let (mut exact, mut alike, mut by_id) = (Vec::new(), Vec::new(), Vec::new());
    for (member, name) in room.known_names()? {
        let has_id = lower.len() >= 4
            && (member.to_hex().starts_with(&lower) || member.short().starts_with(&lower));
        if name == wanted {
            exact.push(member);
        } else if look.is_like(&Look::of(&name)) {
            alike.push(member);
        } else if has_id {
            by_id.push(member);
        }
    }
    match [exact, alike, by_id].into_iter().find(|found| !found.is_empty()).as_deref() {
        None => Err(nobody.into()),
        Some([one]) => Ok(*one),
        Some(_) => Err(EngineError::Ambiguous(wanted.to_owned()).into()),
    }
}

/// Finds the message to retract. Plain members retract their own only: another's of the same id does not stand in the way.
fn to_retract(live: &mut Live<'_>, wanted: &str) -> Result<Row> {
    let mut found = live.room.find_messages(wanted)?;
    let me = live.room.me();
    if !live.room.my_role()?.moderates() && found.iter().any(|row| row.from == Some(me)) {
        found.retain(|row| row.from == Some(me));
    }
    let row = one_message(wanted, found)?;
    match row.content {
        RowContent::Text(_) | RowContent::Held(_) | RowContent::Tombstone { .. } => Ok(row),
        // Retractions and departures must stay readable, or what they explain would look like the relay's doing.
        _ => Err(RuleErrorNothing.into()),
    }
}

/// There was nothing to retract.
struct RuleErrorNothing;

impl From<RuleErrorNothing> for Failure {
    fn from(_: RuleErrorNothing) -> Self {
        EngineError::Rule(RuleError::Nothing).into()
    }
}

async fn invite(
    live: &mut Live<'_>,
    out: &Output,
    (uses, expires, role, draw): (u32, &str, RoleArg, bool),
) -> Result<()> {
    let expires = live.relay_now().plus(parse_millis(expires)?);
    let terms = InviteTerms { uses, expires, role: role.into() };
    let (link, _) = live.send_own(|room| room.invite(terms, now())).await?;
    let text = link.to_link();
    let object = json!({
        "link": text, "uses": uses, "expires": show::rfc3339(expires),
        "agreement": link.agreement.to_hex(),
    });
    out.say(&object, &text)?;
    if draw && !out.is_json() {
        match qr::draw(&text, qr::Drawing::HalfBlocks, terminal_columns()) {
            Ok(drawn) => out.line(&drawn)?,
            Err(error) => {
                out.remark(&format!(
                    "The QR code is left out: {error}. The link above says the same."
                ));
            }
        }
    }
    Ok(())
}

/// Columns of the terminal; those of a plain one where it does not tell, or where output is none.
fn terminal_columns() -> usize {
    const PLAIN: usize = 80;
    let size = rustix::termios::tcgetwinsize(std::io::stdout());
    size.ok().map(|size| usize::from(size.ws_col)).filter(|columns| *columns > 0).unwrap_or(PLAIN)
}

/// Says that somebody is in the room whose admission was answered already, perhaps over a connection that broke.
fn admitted_already(live: &mut Live<'_>, out: &Output, wanted: &str) -> Option<Result<()>> {
    let leaf = live.room.find_member(wanted).ok()?;
    let object = json!({
        "done": "admit", "already": true, "name": leaf.name, "key": leaf.member.to_hex(),
    });
    let text = format!("{} is in the room already.", escape::one_line(&leaf.name));
    Some(out.say(&object, &text).map_err(Failure::from))
}

/// Finds a knock by id, or by name if it opens.
async fn find_knock(
    live: &mut Live<'_>,
    wanted: &str,
) -> Result<(PendingKnock, Result<Knock, EngineError>)> {
    if !live.room.my_role()?.moderates() {
        return Err(EngineError::Rule(RuleError::NotFacilitator).into());
    }
    let wanted = wanted.trim();
    let (lower, look) = (wanted.to_ascii_lowercase(), Look::of(wanted));
    let (mut exact, mut alike, mut by_id) = (Vec::new(), Vec::new(), Vec::new());
    for (pending, opened) in live.knocks().await? {
        let has_id = lower.len() >= 4
            && (pending.member.to_hex().starts_with(&lower)
                || pending.member.short().starts_with(&lower));
        let name = opened.as_ref().ok().map(|knock| knock.name.clone());
        match name {
            Some(name) if name == wanted => exact.push((pending, opened)),
            Some(name) if look.is_like(&Look::of(&name)) => alike.push((pending, opened)),
            _ if has_id => by_id.push((pending, opened)),
            _ => {}
        }
    }
    // As members are found: by name, by a name that looks alike ("ben"), by id.
    let mut found = [exact, alike, by_id].into_iter().find(|f| !f.is_empty()).unwrap_or_default();
    match found.len() {
        0 => Err(Failure::new(
            exit::USAGE,
            "no_such_knock",
            format!("nobody called {:?} knocks", escape::one_line(wanted)),
            "`hearth knocks ROOM` lists who does.",
        )),
        1 => found.pop().ok_or_else(|| EngineError::Ambiguous(wanted.to_owned()).into()),
        _ => Err(EngineError::Ambiguous(wanted.to_owned()).into()),
    }
}

fn pin_of(room: &Room<'_>, wanted: &str) -> Result<Pin> {
    let row = room.find_message(wanted)?;
    let message = row.id.ok_or_else(|| EngineError::NoSuchMessage(wanted.to_owned()))?;
    Ok(Pin { message, seq: row.seq })
}

fn pause_args(args: &[String]) -> Result<(u64, String)> {
    let (millis, comment) = time_and_words(args)?;
    let comment =
        if comment.is_empty() { String::new() } else { escape::sanitize_input(&comment)? };
    Ok((millis.unwrap_or(PAUSE_MILLIS), comment))
}

/// Takes a time, in one word or several, and the words behind it. What begins like a time and is none is refused: nobody means
/// "2 Stunden" as words.
fn time_and_words(args: &[String]) -> Result<(Option<u64>, String)> {
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

fn parse_millis(time: &str) -> Result<u64> {
    let time = when::parse_duration(time).map_err(time_failure)?;
    Ok(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

/// Takes the time for which messages are kept, within the room's bounds.
fn expire_seconds(time: &[String]) -> Result<u64> {
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

fn time_failure(error: WhenError) -> Failure {
    let advice = match error {
        WhenError::Hours | WhenError::Zone | WhenError::TooManyIntervals => {
            "Nothing was done. For example: `hearth hours ROOM \"Mon-Fri 17:00-20:00 Europe/Paris\"`."
        }
        _ => "Nothing was done. For example: 30m, 2h, 10 min, 7 days.",
    };
    Failure::usage(error.to_string(), advice)
}

/// Takes the words of the command line, or of standard input if they are `-`.
fn read_words(text: &str) -> Result<String> {
    if text != "-" {
        return Ok(escape::sanitize_input(text)?);
    }
    let mut bytes = Vec::new();
    std::io::stdin().take(TEXT_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    let text = String::from_utf8(bytes)
        .map_err(|_| Failure::usage("standard input is not UTF-8 text", "Nothing was sent."))?;
    Ok(escape::sanitize_input(text.trim_end_matches('\n'))?)
}

impl From<RoleArg> for Role {
    fn from(role: RoleArg) -> Self {
        match role {
            RoleArg::Facilitator => Self::Facilitator,
            RoleArg::Cofacilitator => Self::CoFacilitator,
            RoleArg::Member => Self::Member,
            RoleArg::Observer => Self::Observer,
        }
    }
}

impl From<CategoryArg> for Category {
    fn from(category: CategoryArg) -> Self {
        match category {
            CategoryArg::Unspecified => Self::Unspecified,
            CategoryArg::Confidentiality => Self::Confidentiality,
            CategoryArg::Conduct => Self::Conduct,
            CategoryArg::Safety => Self::Safety,
            CategoryArg::Discharge => Self::Discharge,
            CategoryArg::Request => Self::Request,
        }
    }
}
