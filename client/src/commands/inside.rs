//! What is done in a room: the same for the command line and for `chat`.

use std::io::Read as _;

use hearth_protocol::{
    Effect, Millis, Role, Seq,
    frame::{Door, PendingKnock},
    invite::Invite,
};
use serde_json::json;

use super::{
    Context, Result,
    listing::{knocks, local, status},
    read::{follow, print_rows},
};
use crate::{
    cli::{CategoryArg, InRoom, RoleArg, Switch},
    engine::{
        EngineError, Room,
        act::{InviteTerms, Knock},
        content::TEXT_BYTES_MAX,
        policy::{Act, Category, Pin, RuleError},
        state::{RowContent, Standing},
    },
    failure::{Failure, exit},
    live::{Live, LiveError, Recovery, now},
    show::{self, Output},
    text::{escape, qr, when},
};

/// Length of a pause where none is given: ten minutes.
const PAUSE_MILLIS: u64 = 10 * 60 * 1000;

/// Runs one room command on a connection of its own.
pub(super) async fn run(context: &Context, command: InRoom) -> Result<()> {
    let open = match context.open() {
        Err(failure) if matches!(command, InRoom::Send { .. }) => return Err(unsent(failure)),
        open => open?,
    };
    let mut room = Room::open(open.store(), &open.crypto, command.room())?;
    let out = &context.out;
    match &command {
        InRoom::Mute { .. } | InRoom::Unmute { .. } | InRoom::Outbox { .. } => {
            return local(&mut room, out, &command);
        }
        InRoom::Read { all, held, .. } => {
            let (refreshed, failure) = refresh(out, room).await;
            room = refreshed;
            print_rows(&mut room, out, *all, *held)?;
            return failure.map_or(Ok(()), Err);
        }
        InRoom::Who { .. } | InRoom::Log { .. } | InRoom::Verify { .. } => {
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
    flush_quietly(&mut live).await?;
    act(&mut live, out, &command).await?;
    live.leave().await;
    Ok(())
}

/// Enters a room, and tells if its relay was moved.
pub(super) async fn enter<'s>(out: &Output, room: Room<'s>) -> Result<Live<'s>, LiveError> {
    let tell = |missed| out.remark(&format!("Catching up with {missed} entries ..."));
    let live = Live::enter_telling(room, tell).await?;
    if live.was_moved() {
        out.remark(
            "The relay's store was moved or restored. Nothing that you had seen is missing.",
        );
    }
    Ok(live)
}

/// Goes on after a restored backup or a split, or takes the room back, after asking.
async fn recover(mut room: Room<'_>, out: &Output, yes: bool) -> Result<()> {
    let mut agreed = None;
    if !yes {
        // Only the relay knows what there is to ask: a room that has split may be one that was restored since.
        let recovery;
        (room, recovery) = Live::recovery(room).await?;
        super::rooms::confirm(yes, question(recovery))?;
        agreed = Some(recovery);
    }
    let live = Live::recover(room, agreed).await?;
    live.leave().await;
    done(out, "recover", "Going on. Compare `hearth verify ROOM` with the others by another way.")
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
    if room.state().standing == Standing::Knocking {
        // Without keys nothing can be kept for later; but the facilitator may have answered.
        let mut live = enter(out, room).await?;
        live.tend().await?;
        let id = live.send(text).await?;
        live.leave().await;
        let object = json!({"id": id.to_hex(), "sent": true});
        return Ok(out.say(&object, &format!("sent [{}]", id.short()))?);
    }
    let id = room.queue_text(text, now()).map_err(|error| unsent(error.into()))?;
    let sent = async {
        let mut live = enter(out, room).await?;
        live.tend().await?;
        live.send_waiting().await?;
        let row = live.room.find_message(&id.to_hex())?;
        let name = live.room.state().local_name.clone();
        live.leave().await;
        Ok::<_, LiveError>((row.place, name))
    };
    match sent.await {
        Ok((seq, room)) => {
            let object = json!({"room": room, "id": id.to_hex(), "seq": seq.0, "sent": true});
            Ok(out.say(&object, &format!("sent [{}]", id.short()))?)
        }
        Err(error) if error.is_connection() => {
            let mut failure = Failure::from(error);
            failure.kept = true;
            failure.advice =
                "It is kept in your outbox and goes out with your next command.".into();
            Err(failure)
        }
        Err(error) => Err(error.into()),
    }
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

/// Sends what waited from before; that a rule still holds it back fails no other command.
pub(super) async fn flush_quietly(live: &mut Live<'_>) -> Result<()> {
    match live.flush().await {
        Ok(()) | Err(LiveError::Refused { kept: true, .. }) => Ok(()),
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
    match failure {
        Some(failure) if failure.exit == exit::UNREACHABLE => {
            out.remark(&format!("Not up to date: {}", failure.message));
            Ok(room)
        }
        Some(failure) if failure.code == "not_member" || failure.code == "not_acknowledged" => {
            Ok(room)
        }
        Some(failure) if failure.code == "knock_forgotten" || failure.code == "welcome_gone" => {
            out.remark(&format!("Not up to date: {}. {}", failure.message, failure.advice));
            Ok(room)
        }
        Some(failure) => Err(failure),
        None => Ok(room),
    }
}

/// Does one command on a room that is caught up.
pub(super) async fn act(live: &mut Live<'_>, out: &Output, command: &InRoom) -> Result<()> {
    match command {
        InRoom::Send { text, .. } => {
            let text = read_words(text)?;
            let id = live.room.queue_text(text, now()).map_err(|error| unsent(error.into()))?;
            live.send_waiting().await?;
            let object = json!({"id": id.to_hex(), "sent": true});
            Ok(out.say(&object, &format!("sent [{}]", id.short()))?)
        }
        InRoom::Read { all, held, .. } => print_rows(&mut live.room, out, *all, *held),
        InRoom::Follow { .. } | InRoom::Recover { .. } => Err(Failure::usage(
            "that works outside of the chat only",
            "Leave the chat with /quit, then use it on the command line.",
        )),
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
            let link = Invite::parse(link)?;
            let invite = hearth_protocol::invite::invite_id(&link.token());
            live.effects_only(vec![Effect::RevokeInvite { invite }]).await?;
            done(out, "revoke", "The invite is void.")
        }
        InRoom::Knocks { .. } => knocks(live, out).await,
        InRoom::Admit { member, .. } => {
            let knock = find_knock(live, member).await?.1?;
            let seq = live.commit(|room, now| room.admit(&knock, now)).await?;
            let object = json!({
                "done": "admit", "name": knock.name, "key": knock.member.to_hex(), "seq": seq.0,
            });
            Ok(out.say(&object, &format!("{} is in the room.", escape::one_line(&knock.name)))?)
        }
        InRoom::Decline { member, note, .. } => {
            let (pending, opened) = find_knock(live, member).await?;
            let words = note.clone().unwrap_or_default();
            let has_words = !words.is_empty();
            let (effect, text) = match opened {
                Ok(knock) => (live.room.decline(&knock, words, now())?, DECLINED),
                Err(_) if has_words => (live.room.decline_unread(pending.member)?, DECLINED_UNREAD),
                Err(_) => (live.room.decline_unread(pending.member)?, DECLINED),
            };
            live.effects_only(vec![effect]).await?;
            done(out, "decline", text)
        }
        InRoom::Pause { args, .. } => {
            let (millis, comment) = pause_args(args)?;
            let until = now().plus(millis);
            act_done(live, out, Act::Pause { until, comment }).await
        }
        InRoom::Resume { .. } => act_done(live, out, Act::Resume).await,
        InRoom::Timeout { member, time, note, .. } => {
            let millis = parse_millis(time)?;
            let note = note.clone().unwrap_or_default();
            time_out(live, out, member, millis, note).await
        }
        InRoom::Untimeout { member, .. } => time_out(live, out, member, 0, String::new()).await,
        InRoom::Slow { time, .. } => {
            let time = when::parse_duration_or_off(time).map_err(time_failure)?;
            let seconds = time.map_or(0, |t| u32::try_from(t.as_secs()).unwrap_or(u32::MAX));
            act_done(live, out, Act::Slow(seconds)).await
        }
        InRoom::Budget { posts, .. } => {
            let posts = when::parse_rate(posts).map_err(time_failure)?;
            act_done(live, out, Act::Budget(posts.unwrap_or(0))).await
        }
        InRoom::Len { chars, .. } => {
            let chars = if when::is_off(chars) { Ok(0) } else { chars.parse() };
            let chars = chars.map_err(|_| {
                Failure::usage("that is no number of characters", "For example: 1200, or off.")
            })?;
            act_done(live, out, Act::Length(chars)).await
        }
        InRoom::Hours { hours, .. } => {
            let parsed = when::parse_hours(hours, now()).map_err(time_failure)?;
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
            act_done(live, out, act).await
        }
        InRoom::Role { member, role, .. } => {
            let leaf = live.room.find_member(member)?;
            act_done(live, out, Act::SetRole { member: leaf.member, role: (*role).into() }).await
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
        InRoom::Leave { goodbye, .. } => depart(live, out, false, goodbye.clone()).await,
        InRoom::Withdraw { goodbye, .. } => depart(live, out, true, goodbye.clone()).await,
        InRoom::Expire { time, .. } => {
            let seconds = parse_millis(time)? / 1000;
            act_done(live, out, Act::Expire(seconds)).await
        }
    }
}

async fn act_done(live: &mut Live<'_>, out: &Output, act: Act) -> Result<()> {
    let word = act.as_str();
    let text = show::act_text(&act, "");
    let seq = live.act(act).await?;
    let object = json!({"done": word, "seq": seq.0});
    Ok(out.say(&object, &format!("done: {}", escape::one_line(&text)))?)
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
            "Change the role first (`hearth role`).",
        ));
    }
    let until = if millis == 0 { Millis(0) } else { now().plus(millis) };
    let time_out = live.room.queue_time_out(leaf.member, until, note, now())?;
    live.flush().await?;
    let seq = live.commit(|room, now| room.time_out(&time_out, now)).await?;
    let word = if millis == 0 { "untimeout" } else { "timeout" };
    let object = json!({"done": word, "seq": seq.0, "until": show::rfc3339(until)});
    Ok(out.say(&object, "done; only that member learns of it")?)
}

async fn depart(
    live: &mut Live<'_>,
    out: &Output,
    withdrawn: bool,
    goodbye: Option<String>,
) -> Result<()> {
    if let Some(text) = goodbye {
        say_goodbye(live, out, escape::sanitize_input(&text)?).await?;
    }
    live.room.queue_departure(withdrawn, now())?;
    live.flush().await?;
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
    match live.flush().await {
        Err(error @ LiveError::Refused { .. }) => {
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
        (Some(id), _) => vec![live.room.find_message(id)?],
        (None, Some(member)) => {
            let leaf = live.room.find_member(member)?;
            let mut rows = live.room.history(Seq(0), usize::MAX)?;
            rows.retain(|r| {
                r.from == Some(leaf.member)
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
        let gone = live.room.cursor().place(row.seq) != row.place;
        if gone || matches!(row.content, RowContent::Tombstone { .. }) {
            continue;
        }
        if row.from == Some(me) {
            live.room.queue_own_retraction(row.seq, now())?;
            live.flush().await?;
        } else if moderates {
            live.act(Act::Retract { message, seq: row.seq, category }).await?;
        } else {
            return Err(EngineError::NotAuthor.into());
        }
        count += 1;
    }
    if count == 0 {
        return Err(RuleErrorNothing.into());
    }
    let object = json!({"done": "retract", "count": count});
    let text =
        format!("{count} message(s) retracted; a tombstone stays. Copies on devices may remain.");
    Ok(out.say(&object, &text)?)
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
    let expires = now().plus(parse_millis(expires)?);
    let terms = InviteTerms { uses, expires, role: role.into() };
    let (link, _) = live.room.invite(terms, now())?;
    live.flush().await?;
    let text = link.to_link();
    let object = json!({
        "link": text, "uses": uses, "expires": show::rfc3339(expires),
        "agreement": link.agreement.to_hex(),
    });
    out.say(&object, &text)?;
    if draw && !out.is_json() {
        match qr::draw(&text, qr::Drawing::HalfBlocks, terminal_columns()) {
            Ok(drawn) => out.line(&drawn)?,
            Err(error) => out.remark(&error.to_string()),
        }
    }
    Ok(())
}

/// Columns of the terminal; generous where output is no terminal.
fn terminal_columns() -> usize {
    rustix::termios::tcgetwinsize(std::io::stdout()).map_or(200, |size| usize::from(size.ws_col))
}

const DECLINED: &str = "Declined; only the knocker learns of it.";
const DECLINED_UNREAD: &str =
    "Declined without your words: the knock does not open, so nothing can be sealed to it.";

/// Finds a knock by id, or by name if it opens.
async fn find_knock(
    live: &mut Live<'_>,
    wanted: &str,
) -> Result<(PendingKnock, Result<Knock, EngineError>)> {
    if !live.room.my_role()?.moderates() {
        return Err(EngineError::Rule(RuleError::NotFacilitator).into());
    }
    let lower = wanted.trim().to_ascii_lowercase();
    let mut found = Vec::new();
    for (pending, opened) in live.knocks().await? {
        let by_id = lower.len() >= 4
            && (pending.member.to_hex().starts_with(&lower)
                || pending.member.short().starts_with(&lower));
        let by_name = opened.as_ref().is_ok_and(|knock| knock.name == wanted.trim());
        if by_id || by_name {
            found.push((pending, opened));
        }
    }
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
    let (time, comment) = match args {
        [] => (None, ""),
        [one] => match when::parse_duration(one) {
            Ok(time) => (Some(time), ""),
            Err(_) => (None, one.as_str()),
        },
        [time, comment, ..] => {
            (Some(when::parse_duration(time).map_err(time_failure)?), comment.as_str())
        }
    };
    let millis = time.map_or(PAUSE_MILLIS, |t| u64::try_from(t.as_millis()).unwrap_or(u64::MAX));
    let comment = if comment.is_empty() { String::new() } else { escape::sanitize_input(comment)? };
    Ok((millis, comment))
}

fn parse_millis(time: &str) -> Result<u64> {
    let time = when::parse_duration(time).map_err(time_failure)?;
    Ok(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

fn time_failure(error: when::WhenError) -> Failure {
    Failure::usage(error.to_string(), "For example: 30m, 2h, 7d; `hearth help` shows each form.")
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
