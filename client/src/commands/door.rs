//! At the door: reading an agreement, acknowledging it, knocking, waiting, coming back.

use std::{io::IsTerminal as _, time::Duration};

use hearth_console::line;
use hearth_engine::{
    EngineError, Room,
    agreement::{Agreement, CLOCK_SKEW_MILLIS, Preview},
    clock::Moment,
    join::Joining,
    state::Standing,
};
use hearth_forms::Question;
use hearth_protocol::{ClientFrame, Digest, Millis, RejectCode, invite::Invite};
use hearth_session::{
    connection::{Connection, RequestError},
    live::{self, Answer, Live, LiveError, now},
    network::Network,
};
use hearth_text::{escape, name};
use serde_json::json;

use super::{
    Context, NOT_POST_QUANTUM, Open, Result, Wanted,
    agreement::{self as versions, OfAgreement},
    inside::ask_here,
    interactive, rooms,
    shell::outdated,
    socket, understood,
};
use crate::{
    advice::shell_word,
    cli::{AgreementCommand, Join},
    failure::{DECLINED, Failure, clock_wrong, exit, text_missing},
    show::{self, Output},
    text::link,
    text::when,
};

/// Difference of clocks above which nobody knocks: a day.
const CLOCK_WRONG_MILLIS: u64 = 24 * 3_600_000;
/// What helps where a clock is wrong.
const SET_THE_CLOCK: &str = "Set the clock, then repeat the command.";

/// Time at the door after which a knocker is told what to ask for.
const LONG_WAIT: Duration = Duration::from_secs(10 * 60);
/// Said to a knocker whom nobody has answered for long.
const UNANSWERED: &str = "Nobody has answered your knock yet. Those who moderated the room when your invite was made can let you in. \
     Ask the person who invited you to admit you, or to decline this knock and give you a new invite.";

pub(super) async fn join(context: &Context, join: Join) -> Result<()> {
    let link = context.invite(join.link.as_deref(), Wanted::Invite("join"))?;
    let open = context.open_or_create()?;
    // Who waits comes back under the name that they had, whatever invite brings them.
    let mut kept = None;
    if let Some(room) =
        Room::all(open.store(), &open.crypto)?.into_iter().find(|r| r.id() == link.room)
    {
        let state = room.state();
        if state.standing.keeps_lane() {
            kept = Some((state.name.clone(), state.local_name.clone()));
        }
        match room.state().standing {
            Standing::Member => match is_still_in(context, room).await {
                Ok(false) => {}
                ended => return ended.map(|_| ()),
            },
            Standing::Knocking | Standing::Returning => {
                let (asked, knocked) = (join.name.as_deref().map(str::trim), &room.state().name);
                if asked.is_some_and(|asked| asked != knocked) {
                    context.out.remark(&format!(
                        "You have knocked as {}, and that name stays.",
                        escape::one_line(knocked)
                    ));
                }
                match Box::pin(go_on_waiting(context, room, join.no_wait)).await {
                    Err(failure) if failure.code == "knock_forgotten" => {}
                    ended => return ended,
                }
            }
            _ => {}
        }
    }
    let (connection, preview) = match live::look(&Network::machine(), &link).await {
        // The relay's clock decides; it may have forgotten the invite since.
        Err(LiveError::Request(RequestError::Rejected { .. })) if link.expires < now() => {
            return Err(Failure::new(
                exit::REFUSED,
                "invite_expired",
                format!("the invite expired on {}", show::date(link.expires)),
                "Ask the facilitator for a new one; if it should be good, check this computer's clock.",
            ));
        }
        looked => looked?,
    };
    check_clock(
        context,
        connection.server_now(),
        "Set the clock, then join again; the invite is still good.",
    )?;
    if !connection.is_post_quantum() {
        context.out.remark(NOT_POST_QUANTUM);
    }
    // Somebody who reads takes longer than a relay waits for a client that says nothing.
    let asks = interactive()
        && (join.acknowledge.is_none()
            || join.answers.len() != preview.agreement.questions().len()
            || preview.name.is_none()
                && join.name.as_deref().is_none_or(|name| name::parse_name(name).is_err()));
    let connection = match asks {
        true => {
            connection.close().await;
            None
        }
        false => Some(connection),
    };
    let how = "Read it with `hearth agreement show -` and the same link on standard input, then repeat with its id: `hearth join - --as NAME --acknowledge AGREEMENT_ID`.";
    let acknowledged = acknowledge(
        context,
        &preview.agreement,
        &preview.title,
        join.acknowledge,
        [
            how,
            "To go on at any time, run the same command: the invite is still good. `hearth burn-invite` gives it back.",
        ],
    )?;
    debug_assert_eq!(acknowledged, link.agreement);
    let answers = understood::ask(context, &preview.agreement, &join.answers)?;
    let (name, local_name) = match (kept, &preview.name) {
        (Some(kept), _) => kept,
        (None, theirs) => {
            let name = match theirs {
                Some(theirs) => kept_name(context, theirs, join.name.as_deref())?,
                None => name_in_room(context, join.name)?,
            };
            (name, rooms::free_local_name(&open, &preview.title, Some(link.room))?)
        }
    };
    let joining = Joining { name, local_name, answers };
    let connection = match connection {
        Some(connection) => connection,
        None => live::look(&Network::machine(), &link).await?.0,
    };
    knock(context, &open, connection, &link, &preview, joining, join.no_wait).await
}

/// Returns the name of somebody who comes back on a new device: it is theirs, and they are not asked.
fn kept_name(context: &Context, kept: &str, given: Option<&str>) -> Result<String> {
    let shown = escape::one_line(kept);
    if given.is_some_and(|given| given.trim() != kept) {
        return Err(Failure::new(
            exit::REFUSED,
            "other_name",
            format!("this link is for {shown}, who comes back on a new device"),
            "Leave --as out. If you are somebody else, ask the facilitator for an invite of your own.",
        ));
    }
    context.out.remark(&format!("You come back as {shown}, on a new device."));
    Ok(kept.to_owned())
}

/// Tells somebody who comes back on a new device the digits that the facilitator compares.
fn tell_digits(context: &Context, room: &Room<'_>, link: &Invite) {
    context.out.remark(&format!(
        "Read these digits to the facilitator who gave you the link, in person or by voice: {}. They let you in only if theirs are the same.",
        room.verification_code(&link.facilitator)
    ));
}

/// Returns the name that a newcomer gives, or asks for it. A slip asks again, and says why: all before it stays done.
fn name_in_room(context: &Context, mut given: Option<String>) -> Result<String> {
    loop {
        let typed = match given.take() {
            Some(name) => Ok(name),
            None if interactive() => line::ask("Your name in the room (not your real one): "),
            None => return Err(Failure::usage("no name was given", "Give one with --as NAME.")),
        };
        let refused = match typed {
            Ok(typed) => match name::parse_name(&typed) {
                Ok(name) => return Ok(name.into_string()),
                Err(error) if !interactive() => return Err(error.into()),
                Err(error) => error.to_string(),
            },
            Err(line::AskError::Line(error)) => error.to_string(),
            Err(error) => return Err(error.into()),
        };
        context.out.remark(&format!("-- {refused}. Type another name, or press Ctrl-C to stop."));
    }
}

/// Whether a person reads what is said beside the results.
fn is_read(context: &Context) -> bool {
    !context.out.is_json() && std::io::stderr().is_terminal()
}

/// Tells somebody who has knocked what happens now.
fn tell_knocked(context: &Context, room: &Room<'_>) -> Result<()> {
    if room.state().standing == Standing::Returning {
        context.out.remark(&context.out.advice(
            "You have said yes. The next program of a facilitator that is there lets you in; nobody has to decide it. You can close this. Your check-in and help-now work meanwhile: `hearth checkin ROOM WORDS`.",
        ));
        return Ok(());
    }
    let again = match room.return_link()? {
        None => "`hearth join` with the same link".to_owned(),
        Some(_) => format!("`hearth agreement acknowledge {}`", room.state().local_name),
    };
    context.out.remark(&context.out.advice(&format!(
        "You have knocked. A facilitator lets you in, or declines; that may take a while. You can close this: {again} goes on waiting."
    )));
    Ok(())
}

/// Tells a newcomer what comes next. The command stands alone, so that it can be copied.
fn tell_next(context: &Context, room: &Room<'_>) {
    let state = room.state();
    context.out.remark(&format!(
        "You are in: {}. To read and to talk, type",
        escape::one_line(&state.title)
    ));
    context.out.command(&format!("hearth chat {}", state.local_name));
    context.out.remark("There, /help lists what you can do, and /quit ends the chat.");
}

/// Asks the relay and the log whether this profile is in the room, and says so if it is. Otherwise it goes on as a newcomer.
async fn is_still_in(context: &Context, room: Room<'_>) -> Result<bool> {
    let (store, crypto, name) = room.parts();
    let mut live = match Live::enter(&Network::machine(), room).await {
        Ok(live) => live,
        // The relay's word alone costs nobody their place: nothing is given up before a good link is shown.
        Err(
            LiveError::SaidGone
            | LiveError::Request(RequestError::Rejected { code: RejectCode::NotMember, .. }),
        ) => {
            Room::open(store, crypto, &name)?.said_gone()?;
            return Ok(false);
        }
        Err(error) => return Err(error.into()),
    };
    let is_in = live.room.state().standing == Standing::Member;
    if is_in {
        // Others went on without this profile: it has to be removed first.
        if let Some(seq) = live.room.cursor().split {
            return Err(EngineError::Split(seq).into());
        }
        if live.room.is_left_behind()? {
            return Err(LiveError::LeftBehind.into());
        }
    }
    let mut room = live.leave().await;
    if is_in {
        say_joined(context, &mut room, "member")?;
    }
    Ok(is_in)
}

async fn knock(
    context: &Context,
    open: &Open,
    connection: Connection,
    link: &Invite,
    preview: &Preview,
    joining: Joining,
    no_wait: bool,
) -> Result<()> {
    let (room, connection) =
        live::knock(open.store(), &open.crypto, connection, link, preview, joining).await?;
    if preview.name.is_some() {
        tell_digits(context, &room, link);
    }
    wait(context, room, connection, no_wait).await
}

/// Tells of a clock with which nobody can be admitted, before the knock spends a use of the invite.
///
/// Acknowledgement and key package are dated by this computer, and every member judges those dates. By how much a clock
/// may be off is theirs to say; the relay's own clock may be wrong, too, so only what can hardly be meant is refused.
pub(super) fn check_clock(context: &Context, relay: Millis, advice: &'static str) -> Result<()> {
    let here = now();
    let ahead = here.0.saturating_sub(relay.0);
    let moment = Moment { own: here, relay };
    if moment.apart() > CLOCK_WRONG_MILLIS {
        return Err(clock_wrong(moment, advice));
    }
    if ahead > CLOCK_SKEW_MILLIS {
        context.out.remark(&format!(
                "This computer's clock is {} ahead of the relay's; before that has passed you may not be admitted.",
                when::duration(Duration::from_millis(ahead))
            ),
        );
    }
    Ok(())
}

/// Waits at the door, over lost connections, until a facilitator answers.
async fn wait(
    context: &Context,
    mut room: Room<'_>,
    mut connection: Connection,
    no_wait: bool,
) -> Result<()> {
    if !no_wait || is_read(context) {
        tell_knocked(context, &room)?;
    }
    if no_wait {
        connection.close().await;
        return say_joined(context, &mut room, "knocking");
    }
    let mut long_wait = std::pin::pin!(tokio::time::sleep(LONG_WAIT));
    let mut is_told = false;
    loop {
        let answer = tokio::select! {
            biased;
            answer = live::await_answer(&mut connection, &mut room) => answer,
            () = &mut long_wait, if !is_told => {
                context.out.remark(UNANSWERED);
                is_told = true;
                continue;
            }
        };
        match answer {
            Ok(Answer::Admitted) => {
                connection.close().await;
                return enter_first(context, room).await;
            }
            Ok(Answer::Declined { words, signed }) => return Err(declined(&room, &words, signed)),
            Err(error) if error.is_connection() => {
                let address = room.state().address();
                connection = Connection::open_again(&Network::machine(), &address).await?;
                match live::resume_waiting(&mut connection, &mut room).await? {
                    Some(Answer::Admitted) => {
                        connection.close().await;
                        return enter_first(context, room).await;
                    }
                    Some(Answer::Declined { words, signed }) => {
                        return Err(declined(&room, &words, signed));
                    }
                    None => {}
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
}

async fn go_on_waiting(context: &Context, mut room: Room<'_>, no_wait: bool) -> Result<()> {
    let mut connection = Connection::open(&Network::machine(), &room.state().address()).await?;
    match live::resume_waiting(&mut connection, &mut room).await? {
        Some(Answer::Admitted) => {
            connection.close().await;
            enter_first(context, room).await
        }
        Some(Answer::Declined { words, signed }) => Err(declined(&room, &words, signed)),
        None => {
            context.out.remark(UNANSWERED);
            wait(context, room, connection, no_wait).await
        }
    }
}

pub(super) fn declined(room: &Room<'_>, words: &str, signed: bool) -> Failure {
    if !signed {
        return Failure::new(
            exit::REFUSED,
            "declined",
            "the relay says that your knock was declined, and no facilitator's signature says so",
            "Ask the person who invited you, by another way.",
        );
    }
    let words =
        if words.is_empty() { String::new() } else { format!(": {}", escape::one_line(words)) };
    Failure::new(
        exit::REFUSED,
        "declined",
        format!("the facilitator declined{words}"),
        match room.return_link() {
            Ok(Some(_)) => {
                "Only you learn of it. Ask a facilitator; `hearth agreement acknowledge ROOM` knocks again."
            }
            _ => DECLINED,
        },
    )
    .in_room(&room.state().local_name)
}

/// Catches up for the first time, and renews the leaf whose first keys travelled in the knock.
async fn enter_first(context: &Context, room: Room<'_>) -> Result<()> {
    let mut live = Live::enter(&Network::machine(), room).await?;
    live.tend().await?;
    let mut room = live.leave().await;
    say_joined(context, &mut room, "member")
}

fn say_joined(context: &Context, room: &mut Room<'_>, standing: &str) -> Result<()> {
    let state = room.state();
    let object = json!({
        "room": state.local_name,
        "id": state.room.to_hex(),
        "title": state.title,
        "name": state.name,
        "standing": standing,
        "agreement": state.agreement.to_hex(),
        "key": room.me().to_hex(),
    });
    context.out.say(&object, &state.local_name)?;
    if standing == "member" && is_read(context) {
        tell_next(context, room);
    }
    Ok(())
}

/// Shows the agreement and gets it acknowledged, by its id on the command line or by typed words. `how` says which commands do
/// that where nobody can be asked, `later` what a person who does not accept can do.
fn acknowledge(
    context: &Context,
    agreement: &Agreement,
    title: &str,
    given: Option<String>,
    [how, later]: [&str; 2],
) -> Result<Digest> {
    let id = agreement.id();
    if let Some(given) = given {
        return match Digest::from_hex(given.trim()) {
            Some(given) if given == id => Ok(id),
            _ => Err(Failure { advice: how.into(), ..EngineError::AgreementMismatch.into() }),
        };
    }
    if !interactive() {
        return Err(Failure::new(
            exit::REFUSED,
            "not_acknowledged",
            "the agreement is not acknowledged",
            how,
        ));
    }
    line::show_pages(&format!(
        "{}\n\n{}\n\nVersion {}, id {id}\n",
        escape::one_line(title),
        // The questions are asked behind it.
        escape::many_lines(Question::prose_of(&agreement.text).trim_end(), ""),
        agreement.version
    ))?;
    let mut told_how = false;
    loop {
        let typed = match line::ask("To accept all of the above, type \"I acknowledge\": ") {
            Ok(typed) => typed,
            // It accepts nothing, as any other slip.
            Err(line::AskError::Line(_)) => "?".to_owned(),
            Err(error) => return Err(error.into()),
        };
        let words: Vec<&str> = typed.split_whitespace().collect();
        let words = words.join(" ");
        let words = words.trim_matches(['"', '\'', '“', '”', '.', '!', ' ']);
        if words.eq_ignore_ascii_case("i acknowledge") {
            return Ok(id);
        }
        // One Enter too many behind the last page ends nothing.
        if words.eq_ignore_ascii_case("no") || (words.is_empty() && told_how) {
            break;
        }
        told_how = true;
        context.out.remark("-- That accepts nothing yet. To stop, press Enter alone.");
    }
    Err(Failure::new(
        exit::REFUSED,
        "not_acknowledged",
        "you stopped before you accepted: nothing was signed and nothing was sent",
        later,
    ))
}

pub(super) async fn burn(context: &Context, link: Option<String>) -> Result<()> {
    let link = context.invite(link.as_deref(), Wanted::Invite("burn-invite"))?;
    let mut connection = Connection::open(&Network::machine(), &link.address).await?;
    let (room, token) = (link.room, link.token());
    connection
        .request(|req| ClientFrame::BurnInvite { req, room, token })
        .await
        .map_err(LiveError::from)?;
    connection.close().await;
    Ok(context.out.say(&json!({"burned": true}), "The invite is void; nobody can use it.")?)
}

pub(super) async fn agreement(context: &Context, command: AgreementCommand) -> Result<()> {
    match command {
        AgreementCommand::Show { target } => match target.as_deref().map(str::trim) {
            Some(room) if room != "-" && !is_link(room) => {
                of_room(context, room, OfAgreement::Show).await
            }
            link => {
                let link = context.invite(link, Wanted::Invite("agreement show"))?;
                let (connection, preview) = live::look(&Network::machine(), &link).await?;
                connection.close().await;
                versions::print(&context.out, &preview.agreement, &preview.title)
            }
        },
        AgreementCommand::Diff { room } => of_room(context, &room, OfAgreement::Diff).await,
        AgreementCommand::Amend { room, file, material, editorial, effective } => {
            if !material && !editorial {
                return Err(kind_missing(&room, &file));
            }
            let text = rooms::agreement_text(&file)?;
            super::contacts::remark_stale(&context.out, &text);
            let wait = match effective {
                Some(time) => when::parse_duration(&time).map_err(time_failure)?.as_millis(),
                None => 0,
            };
            let wait = u64::try_from(wait).unwrap_or(u64::MAX);
            of_room(context, &room, OfAgreement::Amend { text, material, millis: wait }).await
        }
        AgreementCommand::Acknowledge { room, acknowledge, answers, no_wait } => {
            let given = Given { acknowledge, answers };
            Box::pin(acknowledge_again(context, &room, given, no_wait)).await
        }
        AgreementCommand::Renew { room, acknowledge, answers } => {
            Box::pin(renew(context, &room, Given { acknowledge, answers })).await
        }
        AgreementCommand::Enact { room } => of_room(context, &room, OfAgreement::Enact).await,
        AgreementCommand::Withdraw { room } => of_room(context, &room, OfAgreement::Withdraw).await,
        // Handled before a profile is needed.
        AgreementCommand::Template { .. } | AgreementCommand::Check { .. } => Ok(()),
    }
}

/// Advice on an acknowledgement that is missing or of another text.
const ACKNOWLEDGE_HOW: &str = "Read it with `hearth agreement show ROOM`, then repeat with its id: `hearth agreement acknowledge ROOM --acknowledge AGREEMENT_ID`.";

/// Advice to somebody who does not acknowledge now.
const ACKNOWLEDGE_LATER: &str =
    "You can come back at any time: `hearth agreement acknowledge ROOM`.";

/// Nobody is put out of a room, and no change of meaning passes as wording, because a flag was forgotten.
fn kind_missing(room: &str, file: &std::path::Path) -> Failure {
    let file = shell_word(&file.display().to_string());
    let command = format!("hearth agreement amend {} {file}", shell_word(room));
    Failure::usage(
        "the change is called neither material nor editorial",
        format!(
            "`{command} --material` if the meaning changes: everyone acknowledges again. `{command} --editorial` if the wording alone changes."
        ),
    )
}

fn time_failure(error: when::WhenError) -> Failure {
    Failure::usage(error.to_string(), "For example: 30m, 2h, 7d.")
}

/// Whether a text is meant as a link, and not as a room.
fn is_link(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    link::is_meant(text) || lower.starts_with("hearth:") || lower.starts_with("hearth+plain")
}

/// Does one command about a room's agreement on a client of its own, or on the one that has the profile open.
async fn of_room(context: &Context, room: &str, command: OfAgreement) -> Result<()> {
    let client = match context.client() {
        Err(failure) if failure.code == "profile_in_use" => {
            let wanted = socket::Wanted::Agreement { room: room.to_owned(), command };
            return socket::run(context, wanted, failure).await;
        }
        client => client?,
    };
    let done = versions::perform(&client, room, &context.out, &command, ask_here).await;
    client.close().await;
    done
}

/// Catches up if the relay can be reached, and says so if not; fails only if something lied.
async fn catch_up<'s>(context: &Context, room: Room<'s>) -> Result<Room<'s>> {
    let (store, crypto, name) = room.parts();
    let caught_up = async {
        let mut live = enter(&context.out, room).await?;
        live.tend().await?;
        match live.flush().await {
            Ok(()) | Err(LiveError::Refused { .. }) => {}
            Err(error) if error.holds_back() => {}
            Err(error) => return Err(error),
        }
        Ok(live.leave().await)
    };
    let error = match caught_up.await {
        Ok(room) => return Ok(room),
        Err(error) => error,
    };
    let room = Room::open(store, crypto, &name)?;
    // Out of the room there is nothing to catch up with; the history stays readable.
    if !matches!(error, LiveError::NotInside(_)) {
        outdated(&context.out, error.into())?;
    }
    Ok(room)
}

/// Enters a room, and tells what there is to know of its relay and the connection.
async fn enter<'s>(out: &Output, room: Room<'s>) -> Result<Live<'s>, LiveError> {
    let live = Live::enter(&Network::machine(), room).await?;
    if !live.is_post_quantum() {
        out.remark(NOT_POST_QUANTUM);
    }
    Ok(live)
}

/// What somebody gave on the command line who acknowledges.
struct Given {
    acknowledge: Option<String>,
    answers: Vec<String>,
}

/// Shows a version, gets it acknowledged and its questions answered, and signs it in the room.
async fn sign(context: &Context, room: Room<'_>, id: Digest, given: Given) -> Result<()> {
    let agreement = room.agreement(&id)?.ok_or_else(|| text_missing(&room.state().standing))?;
    acknowledge(
        context,
        &agreement,
        &room.state().title,
        given.acknowledge,
        [ACKNOWLEDGE_HOW, ACKNOWLEDGE_LATER],
    )?;
    understood::ask(context, &agreement, &given.answers)?;
    let mut live = Live::enter(&Network::machine(), room).await?;
    check_clock(context, live.relay_now(), SET_THE_CLOCK)?;
    live.acknowledge(&agreement).await?;
    live.leave().await;
    let object = json!({"acknowledged": id.to_hex()});
    Ok(context.out.say(&object, "Acknowledged.")?)
}

/// Acknowledges again what was acknowledged, for another year; a version that waits comes in its place.
async fn renew(context: &Context, room: &str, given: Given) -> Result<()> {
    let open = context.open()?;
    let room = Room::open(open.store(), &open.crypto, room)?;
    let mut room = catch_up(context, room).await?;
    if room.state().standing != Standing::Member {
        return Err(LiveError::NotInside(room.state().standing.clone()).into());
    }
    let id = match room.coming_agreement()? {
        Some(coming) => coming,
        None => room.policy()?.agreement.id,
    };
    sign(context, room, id, given).await
}

async fn acknowledge_again(
    context: &Context,
    room: &str,
    given: Given,
    no_wait: bool,
) -> Result<()> {
    let open = context.open()?;
    let room = Room::open(open.store(), &open.crypto, room)?;
    let name = room.state().local_name.clone();
    let waited = room.state().standing.has_knocked();
    let mut room = catch_up(context, room).await?;
    match room.state().standing.clone() {
        Standing::Member => {
            let due = room.renewal_is_due(now())?.is_some();
            let current = room.policy()?.agreement.id;
            let Some(id) = room.coming_agreement()?.or(due.then_some(current)) else {
                let object = json!({"acknowledged": room.state().agreement.to_hex()});
                let text = "You have acknowledged the current agreement.";
                return Ok(context.out.say(&object, text)?);
            };
            sign(context, room, id, given).await
        }
        // Told before anybody signs again.
        Standing::Declined { words, by } if waited => Err(declined(&room, &words, by.is_some())),
        Standing::Returning => {
            // One that no clock admits is replaced under the same key.
            if room.acknowledgement()?.judge_dates(now()).is_err() {
                return Box::pin(come_back(context, &open, room, given, no_wait, true)).await;
            }
            match Box::pin(go_on_waiting(context, room, no_wait)).await {
                Err(failure) if failure.code == "knock_forgotten" => {
                    let room = Room::open(open.store(), &open.crypto, &name)?;
                    Box::pin(come_back(context, &open, room, given, no_wait, false)).await
                }
                ended => ended,
            }
        }
        Standing::Knocking => Box::pin(go_on_waiting(context, room, no_wait)).await,
        Standing::Lapsed => Box::pin(come_back(context, &open, room, given, no_wait, false)).await,
        Standing::Declined { .. } if room.return_link()?.is_some() => {
            Box::pin(come_back(context, &open, room, given, no_wait, false)).await
        }
        other => Err(LiveError::NotInside(other).into()),
    }
}

/// Knocks with the return invite and an acknowledgement of its own, also where an earlier knock was refused, declined or forgotten.
async fn come_back(
    context: &Context,
    open: &Open,
    mut room: Room<'_>,
    given: Given,
    no_wait: bool,
    replaces: bool,
) -> Result<()> {
    let link = room.return_link()?.ok_or_else(|| text_missing(&room.state().standing))?;
    let agreement =
        room.agreement(&link.agreement)?.ok_or_else(|| text_missing(&room.state().standing))?;
    acknowledge(
        context,
        &agreement,
        &room.state().title,
        given.acknowledge,
        [ACKNOWLEDGE_HOW, ACKNOWLEDGE_LATER],
    )?;
    let joining = Joining {
        name: room.state().name.clone(),
        local_name: room.state().local_name.clone(),
        answers: understood::ask(context, &agreement, &given.answers)?,
    };
    let (connection, preview) = live::look(&Network::machine(), &link).await?;
    check_clock(context, connection.server_now(), SET_THE_CLOCK)?;
    if replaces {
        // Those who lapsed keep their key, and by it the relay replaces their knock.
        room.set_standing(Standing::Lapsed)?;
    }
    knock(context, open, connection, &link, &preview, joining, no_wait).await
}
