//! Commands that need the relay, each done on a room that is caught up.

use std::sync::Arc;

use hearth_engine::{
    EngineError, Room,
    accord::Waits,
    act::{Due, InviteTerms, Knock, Removing, is_long},
    agreement::Change,
    floor::Ask,
    lane::desk_id,
    policy::{
        Act, Category, Closing, Device, Farewell, PROPOSAL_MILLIS, RuleError, Second, Weighty,
    },
    private::{Private, SeenState},
    state::{Row, RowContent},
    words::Words,
};
use hearth_protocol::{
    Digest, Effect, MemberKey, MessageId, Millis, Role, Seq, frame::PendingKnock,
};
use hearth_text::escape;

use super::command::{AskError, Command, Knocker, Outcome, Question, Turn};
use super::exercise;
use super::lanes::{self, LaneCommand};
use crate::live::{Live, LiveError};

/// Difference of clocks with which nobody amends or signs an agreement: a day.
const CLOCK_WRONG_MILLIS: u64 = 24 * 3_600_000;
/// Length of a round where none is given.
const USUAL_MILLIS: u64 = 2 * 3_600_000;
/// Rows of history read at once.
const PAGE: usize = 256;

type Result<T = Outcome, E = AskError> = std::result::Result<T, E>;

/// The knocks that were listed last, so that what a person saw is what they admit.
pub(super) type Listed = Vec<(PendingKnock, Result<Knock, Arc<EngineError>>)>;

/// Does one command.
pub(super) async fn act(live: &mut Live<'_>, listed: &mut Listed, command: Command) -> Result {
    match command {
        Command::Act(act) => moderate(live, act).await,
        Command::Pause { millis, comment, reopens } => {
            let comment = escape::sanitize_input(&comment)?;
            let until = live.relay_now().plus(millis);
            moderate(live, Act::Pause { until, comment, reopens }).await
        }
        Command::Remove { member, words: to_member, goodbye, category, .. } => {
            let to_member = escape::sanitize_input(&to_member)?;
            let goodbye = words(&goodbye)?;
            remove(live, member, to_member, goodbye, category).await
        }
        Command::TimeOut { member, millis, note } => time_out(live, member, millis, note).await,
        Command::Invite { uses, millis, role } => {
            let expires = live.relay_now().plus(millis);
            let terms = InviteTerms { uses, expires, role };
            let now = live.room.now();
            let (link, _) = live.send_own(|room| room.invite(terms, now)).await?;
            Ok(Outcome::Invited { link: Box::new(link), expires })
        }
        Command::Propose(what) => propose(live, |room, now| room.queue_proposal(what, now)).await,
        Command::Proposals => {
            let now = live.relay_now();
            Ok(Outcome::Proposals(live.room.proposals(now)?))
        }
        Command::Confirm(number) => confirm(live, number).await,
        Command::NewDevice { lost, millis } => new_device(live, lost, millis).await,
        Command::Revoke(invite) => {
            live.effects_only(vec![Effect::RevokeInvite { invite }]).await?;
            Ok(Outcome::Done)
        }
        Command::Knocks => {
            *listed = list(live).await?;
            Ok(Outcome::Knocks(knockers(live, listed)))
        }
        Command::Admit(member) => {
            let knock = match knock_of(live, listed, member).await {
                // It was answered already, perhaps over a connection that broke.
                Err(AskError::NoSuchKnock) => {
                    let leaf = live.room.roster()?.into_iter().find(|leaf| leaf.member == member);
                    let leaf = leaf.ok_or(AskError::NoSuchKnock)?;
                    return Ok(Outcome::InAlready { leaf });
                }
                knock => knock?.1.map_err(AskError::Knock)?,
            };
            let seq = live.admit(&knock).await?;
            Ok(Outcome::Admitted { name: knock.name, member, seq })
        }
        Command::Decline { member, words } => {
            let (pending, opened) = knock_of(live, listed, member).await?;
            let unsaid = opened.is_err() && !words.is_empty();
            let now = live.room.now();
            let (name, effect) = match opened {
                Ok(knock) => (Some(knock.name.clone()), live.room.decline(&knock, words, now)?),
                Err(_) => (None, live.room.decline_unread(pending.member)?),
            };
            live.effects_only(vec![effect]).await?;
            Ok(Outcome::Declined { name, unsaid })
        }
        Command::React { place, reaction } => {
            let now = live.room.now();
            live.send_own(|room| room.queue_reaction(place, reaction, now)).await?;
            Ok(Outcome::Done)
        }
        Command::Edit { place, text } => {
            let text = escape::sanitize_input(&text)?;
            let (now, relay_now) = (live.room.now(), live.relay_now());
            live.send_own(|room| room.queue_edit(place, text, relay_now, now)).await?;
            Ok(Outcome::Done)
        }
        Command::Cover { place, topic } => {
            let (now, topic) = (live.room.now(), words(&topic)?);
            live.send_own(|room| room.queue_cover(place, topic, now)).await?;
            Ok(Outcome::Done)
        }
        Command::Turn(turn) => take_turn(live, turn).await,
        Command::Exercise(guide) => exercise::guide(live, guide).await,
        Command::Ask { ask, millis } => {
            let now = live.relay_now();
            let until = now.plus(millis).min(live.room.latest_ends(now)?.1);
            let text = escape::sanitize_input(&ask.text)?;
            let options: Result<Vec<String>, _> =
                ask.options.iter().map(|option| escape::sanitize_input(option)).collect();
            let ask = Ask { text, options: options?, until, ..ask };
            on_floor(live, |room, now| room.queue_ask(ask, now)).await
        }
        Command::Vote { ask, choice } if live.room.is_hidden_poll(ask)? => {
            Box::pin(live.vote_hidden(ask, choice)).await?;
            let (id, me) = (live.room.my_lane_id(), live.room.me());
            let seats = live.lane(id).map(|lane| lane.seats()).transpose()?.unwrap_or_default();
            let others = seats.into_iter().filter(|(member, _)| *member != me);
            Ok(Outcome::Voted { readers: others.map(|(_, name)| name).collect() })
        }
        Command::Vote { ask, choice } => {
            on_floor(live, |room, now| room.queue_vote(ask, choice, now)).await
        }
        Command::CloseAsk(ask) => {
            if live.room.is_hidden_poll(ask)? {
                Box::pin(live.read_lanes()).await?;
            }
            on_floor(live, |room, now| room.queue_close(ask, now)).await
        }
        Command::PassBy(report) => {
            let now = live.room.now();
            let (_, to) = live.room.pass_by(&report, now)?;
            // What the relay does not take now waits, and goes out by itself.
            live.send_notes().await?;
            Ok(Outcome::PassedBy { to })
        }
        Command::AnswerReport { report, from, words } => {
            let (now, words) = (live.room.now(), escape::sanitize_input(&words)?);
            if !live.room.answer_note(&report, &from, SeenState::Resolved, words, now)? {
                return Err(EngineError::ReportAnswered.into());
            }
            live.send_notes().await?;
            Ok(Outcome::Done)
        }
        Command::Duty { millis } => {
            let until = if millis == 0 { Millis(0) } else { live.relay_now().plus(millis) };
            on_floor(live, |room, now| room.queue_duty(until, now)).await
        }
        Command::Retract { place, category } => {
            let mut rows = live.room.history(place, 1)?;
            rows.retain(|row| row.place == place);
            retract(live, rows, category).await
        }
        Command::RetractAll { member, category } => {
            let rows = rows_of(&live.room, member)?;
            retract(live, rows, category).await
        }
        Command::RestoreRules => {
            let restored = live.restore_rules().await?;
            Ok(Outcome::Restored { restored, remain: live.room.mismatches()? })
        }
        Command::Depart { withdrawn, goodbye } => depart(live, withdrawn, goodbye).await,
        Command::Status => {
            live.compare().await?;
            let status = Box::new(live.status().await?);
            let (untold, mismatches) = (live.room.untold()?, live.room.mismatches()?);
            Ok(Outcome::Status { status, mismatches, untold })
        }
        Command::Amend { text, change, millis } => amend(live, text, change, millis).await,
        Command::Acknowledge(agreement) => {
            let moment = live.moment();
            // Every member judges the dates of what is signed.
            if moment.apart() > CLOCK_WRONG_MILLIS {
                return Err(AskError::ClockWrong(moment));
            }
            if live.room.state().standing.keeps_lane() {
                live.say_yes(&agreement).await?;
                return Ok(Outcome::SaidYes);
            }
            // The version may have been withdrawn since it was shown. The one in force can be signed again at any time.
            let (id, coming) = (agreement.id(), live.room.coming_agreement()?);
            if coming.map_or(live.room.policy()?.agreement.id != id, |coming| coming != id) {
                return Err(EngineError::AgreementMismatch.into());
            }
            live.acknowledge(&agreement).await?;
            Ok(Outcome::Done)
        }
        Command::Breach { opens, words } => {
            let words = escape::sanitize_input(&words)?;
            let seq = match opens {
                true => live.open_breach(&words).await?,
                false => live.close_breach(&words).await?,
            };
            Ok(Outcome::Breach { seq })
        }
        Command::Enact => enact(live).await,
        Command::WithdrawAmendment => {
            live.commit(|room, now| room.withdraw_amendment(now)).await?;
            Ok(Outcome::Done)
        }
        // Done without the relay, see `local`.
        _ => Ok(Outcome::Done),
    }
}

async fn take_turn(live: &mut Live<'_>, turn: Turn) -> Result {
    // No longer than the room keeps what a round rests on.
    // The usual length is cut to what the room allows; a longer one was asked for, and is refused.
    let later = |live: &mut Live<'_>, millis| {
        let now = live.relay_now();
        let latest = live.room.latest_ends(now)?.0;
        let until = now.plus(millis);
        Ok::<_, AskError>(if millis <= USUAL_MILLIS { until.min(latest) } else { until })
    };
    match turn {
        Turn::Hand => on_floor(live, |room, now| room.queue_hand(true, now)).await,
        Turn::Lower => on_floor(live, |room, now| room.queue_hand(false, now)).await,
        Turn::Pass | Turn::Done => on_floor(live, |room, now| room.queue_done(now)).await,
        Turn::Next { after } => on_floor(live, |room, now| room.queue_move(after, now)).await,
        Turn::Start { order, topic, seconds, millis } => {
            let (topic, until) = (words(&topic)?, later(live, millis)?);
            on_floor(live, |room, now| {
                let order = room.turn_order(order)?;
                room.queue_round(order, topic, seconds, until, now)
            })
            .await
        }
        Turn::Call { member, millis } => {
            let until = later(live, millis)?;
            on_floor(live, |room, now| room.queue_round(vec![member], String::new(), 0, until, now))
                .await
        }
        Turn::Extend { millis } => {
            let until = later(live, millis)?;
            on_floor(live, |room, now| room.queue_extension(until, now)).await
        }
        Turn::End => on_floor(live, |room, now| room.queue_round_end(now)).await,
    }
}

/// Sends what changes the floor; fails if somebody was faster, and it changed nothing.
async fn on_floor<'s>(
    live: &mut Live<'s>,
    queue: impl FnOnce(&mut Room<'s>, Millis) -> Result<MessageId, EngineError>,
) -> Result {
    let now = live.room.now();
    let id = live.send_own(|room| queue(room, now)).await?;
    match live.room.ignored(&id)? {
        Some(why) => Err(EngineError::Floor(why).into()),
        None => Ok(Outcome::Done),
    }
}

/// Makes words for the room harmless, as they were typed.
pub(super) fn inert(words: &Words) -> Result<Words> {
    let text = escape::sanitize_input(&words.text)?;
    let topic = words.topic.as_deref().map(escape::sanitize_input).transpose()?;
    Ok(Words { text, topic, ..*words })
}

/// Makes words harmless that a person typed; none stay none.
fn words(text: &str) -> Result<String> {
    if text.is_empty() { Ok(String::new()) } else { Ok(escape::sanitize_input(text)?) }
}

async fn moderate(live: &mut Live<'_>, act: Act) -> Result {
    let act = match act {
        Act::Announce(text) => Act::Announce(escape::sanitize_input(&text)?),
        Act::CloseGroup(Closing::At { ends, sooner, words: typed }) => {
            let (sooner, words) = (words(&sooner)?, words(&typed)?);
            Act::CloseGroup(Closing::At { ends, sooner, words })
        }
        Act::Farewell(Farewell::Announced { member, on, words: typed }) => {
            Act::Farewell(Farewell::Announced { member, on, words: words(&typed)? })
        }
        Act::Remember { member, words: typed } => Act::Remember { member, words: words(&typed)? },
        act => act,
    };
    if let Act::Remember { member, words } = &act
        && live.room.policy()?.takes_two()
    {
        let what = Weighty::Remember { member: *member, words: words.clone() };
        return propose(live, |room, now| room.queue_proposal(what, now)).await;
    }
    let target = act.target();
    let target = live.room.roster()?.into_iter().find(|leaf| Some(leaf.member) == target);
    let seq = live.act(act.clone()).await?;
    Ok(Outcome::Acted { act, target, seq })
}

/// Takes a member out: with words to them that travel sealed before the record, and the reason in the moderators' notes.
async fn remove(
    live: &mut Live<'_>,
    member: MemberKey,
    to_member: String,
    goodbye: String,
    category: Category,
) -> Result {
    let removing = Removing { words: to_member, category };
    if live.room.policy()?.takes_two() {
        return propose(live, |room, now| {
            room.queue_proposed_removal(member, goodbye, removing, now)
        })
        .await;
    }
    let name = live.room.known_names()?.remove(&member).unwrap_or_default();
    say_last_words(live, member, &removing).await?;
    let became = moderate(live, Act::Remove { member, goodbye }).await?;
    note_removal(live, member, &name, &removing).await?;
    Ok(became)
}

/// Sends the words to a member who is removed next.
async fn say_last_words(live: &mut Live<'_>, member: MemberKey, removing: &Removing) -> Result<()> {
    // Who waits is in no tree, and reads nothing of the room: there is no key to seal words to.
    if live.room.roster()?.iter().any(|leaf| leaf.member == member) {
        let now = live.room.now();
        live.send_own(|room| room.queue_last_words(member, &removing.words, now)).await?;
    }
    Ok(())
}

/// Writes into the moderators' notes why somebody was removed.
async fn note_removal(
    live: &mut Live<'_>,
    member: MemberKey,
    name: &str,
    Removing { words: to_member, category }: &Removing,
) -> Result<()> {
    let now = live.room.now();
    let text = format!(
        "{name} is no longer in the room. Reason: {}. Words to {name}: \u{201c}{to_member}\u{201d}",
        category.as_str()
    );
    // The removal stands, whatever becomes of the note.
    if let Some(desk) = desk_id(&live.room.id(), &live.room.policy()?) {
        let note = LaneCommand::Private(Private::Note { about: Some(member), text });
        if let Some(lane) = live.lane(desk)
            && let Ok(Some(id)) = lanes::queue(lane, note, now)
        {
            let _ = lanes::send(live, desk, id).await;
        }
    }
    Ok(())
}

async fn time_out(live: &mut Live<'_>, member: MemberKey, millis: u64, note: String) -> Result {
    let leaf = live.room.roster()?.into_iter().find(|leaf| leaf.member == member);
    let leaf = leaf.ok_or(EngineError::Rule(RuleError::NoSuchMember))?;
    let now_there = live.relay_now();
    if millis == 0 {
        let lasts = |until: Millis| until > now_there;
        let status = live.status().await?;
        let enforced = status.roster.iter().any(|r| r.member == member && lasts(r.timed_out_until));
        if !enforced && !live.room.recorded_time_out(&member)?.is_some_and(lasts) {
            return Err(AskError::NoTimeOut(leaf.name));
        }
    }
    let until = if millis == 0 { Millis(0) } else { now_there.plus(millis) };
    let now = live.room.now();
    if is_long(millis) {
        return propose(live, |room, now| room.queue_proposed_time_out(member, until, note, now))
            .await;
    }
    let queue = |room: &mut Room<'_>| room.queue_time_out(member, until, note, now);
    let time_out = live.send_own(queue).await?;
    let seq = live.commit(|room, now| room.time_out(&time_out, now)).await?;
    Ok(Outcome::TimedOut { leaf, until, seq })
}

async fn list(live: &mut Live<'_>) -> Result<Listed> {
    if !live.room.my_role()?.admits() {
        return Err(EngineError::Rule(RuleError::NotFacilitator).into());
    }
    let knocks = live.knocks().await?;
    Ok(knocks.into_iter().map(|(pending, opened)| (pending, opened.map_err(Arc::new))).collect())
}

fn knockers(live: &mut Live<'_>, listed: &Listed) -> Vec<Knocker> {
    let moment = live.moment();
    let knockers = listed.iter().map(|(pending, opened)| {
        let opened = opened.clone();
        // As an admission does, by whichever clock it is good.
        let dates = opened.as_ref().ok().and_then(|knock| {
            let judge = |at| knock.acknowledgement.judge_dates(at);
            judge(moment.earlier()).or_else(|_| judge(moment.own.max(moment.relay))).err()
        });
        let others_can = match opened.as_ref().map(|knock| live.room.check_vouched(knock)) {
            Ok(Err(EngineError::NotVouched(names))) => Some(names),
            _ => None,
        };
        let dates = dates.map(|error| error.to_string());
        let digits = opened.as_ref().ok().and_then(|knock| digits(&live.room, knock));
        Knocker { pending: pending.clone(), opened, dates, others_can, digits }
    });
    knockers.collect()
}

/// Tells the other moderators what is proposed, then makes it official.
async fn propose<'s>(
    live: &mut Live<'s>,
    queue: impl FnOnce(&mut Room<'s>, Millis) -> Result<Digest, EngineError>,
) -> Result {
    let now = live.room.now();
    let digest = live.send_own(|room| queue(room, now)).await?;
    live.commit(|room, now| room.propose(digest, now)).await?;
    let (policy, me) = (live.room.policy()?, live.room.me());
    let proposal = policy.more.proposals().iter().find(|proposal| proposal.digest == digest);
    // It may have been confirmed meanwhile.
    let proposal = proposal.ok_or(EngineError::Rule(RuleError::NoProposal))?;
    let (number, until) = (proposal.number, proposal.at.plus(PROPOSAL_MILLIS));
    let others = live.room.roster()?.into_iter();
    let others = others.filter(|leaf| leaf.member != me && policy.role(&leaf.member).moderates());
    Ok(Outcome::Proposed { number, until, others: others.map(|leaf| leaf.name).collect() })
}

/// Confirms what another moderator proposed.
async fn confirm(live: &mut Live<'_>, number: u64) -> Result {
    let proposed = live.room.proposal(number)?;
    let member = proposed.member();
    let name = member.and_then(|member| live.room.known_names().ok()?.remove(&member));
    let target = live.room.roster()?.into_iter().find(|leaf| Some(leaf.member) == member);
    let removal = member.zip(proposed.removal.as_ref());
    if let Some((member, removing)) = removal {
        say_last_words(live, member, removing).await?;
    }
    let now = live.room.now();
    live.send_own(|room| room.queue_confirmed_time_out(number, now)).await?;
    let seq = live.commit(|room, now| room.confirm(number, now)).await?;
    if let Some((member, removing)) = removal {
        note_removal(live, member, &name.unwrap_or_default(), removing).await?;
    }
    let (salt, what) = (proposed.salt, proposed.what);
    let act = Act::Second(Second::Confirm { proposal: number, salt, what });
    Ok(Outcome::Acted { act, target, seq })
}

/// Returns the digits to compare with somebody who comes back on a new device, if this member made their invite.
fn digits(room: &Room<'_>, knock: &Knock) -> Option<String> {
    let compares = knock.of.is_some() && knock.invited_by_me;
    compares.then(|| room.verification_code(&knock.member))
}

/// Returns what a person is asked before an admission: whoever comes back on a new device has to be who they say.
pub(super) async fn before_admission(
    live: &mut Live<'_>,
    listed: &mut Listed,
    member: MemberKey,
) -> Result<Option<Question>> {
    let knock = match knock_of(live, listed, member).await {
        Ok((_, Ok(knock))) if knock.of.is_some() => knock,
        // What is wrong with another is told by the admission itself.
        _ => return Ok(None),
    };
    let digits = digits(&live.room, &knock);
    Ok(Some(Question::AdmitDevice { name: knock.name, digits }))
}

/// Takes a lost device out, unless it is out already, and makes the invite for its member.
async fn new_device(live: &mut Live<'_>, lost: MemberKey, millis: u64) -> Result {
    if live.room.policy()?.kept_place(&lost).is_none() {
        live.act(Act::Device(Device::Lost { member: lost })).await?;
    }
    let place = live.room.policy()?.kept_place(&lost).cloned();
    let name = place.ok_or(EngineError::Rule(RuleError::NoSuchMember))?.name;
    let (now, expires) = (live.room.now(), live.relay_now().plus(millis));
    let (link, _) = live.send_own(|room| room.invite_back(lost, expires, now)).await?;
    Ok(Outcome::NewDevice { name, link: Box::new(link), expires })
}

/// Returns the knock of a key as it was listed last, or as the relay has it.
async fn knock_of(
    live: &mut Live<'_>,
    listed: &mut Listed,
    member: MemberKey,
) -> Result<(PendingKnock, Result<Knock, Arc<EngineError>>)> {
    if !listed.iter().any(|(pending, _)| pending.member == member) {
        *listed = list(live).await?;
    }
    let found = listed.iter().find(|(pending, _)| pending.member == member);
    found.cloned().ok_or(AskError::NoSuchKnock)
}

fn rows_of(room: &Room<'_>, member: MemberKey) -> Result<Vec<Row>> {
    let mut all = Vec::new();
    let mut from = Seq(0);
    loop {
        let rows = room.history(from, PAGE)?;
        let Some(last) = rows.last() else { return Ok(all) };
        from = Seq(last.place.0.saturating_add(1));
        all.extend(rows.into_iter().filter(|row| {
            row.from == Some(member)
                && matches!(row.content, RowContent::Text(_) | RowContent::Held(_))
        }));
    }
}

async fn retract(live: &mut Live<'_>, rows: Vec<Row>, category: Category) -> Result {
    let moderates = live.room.my_role()?.moderates();
    let me = live.room.me();
    let mut count = 0u32;
    for row in rows {
        let Some(message) = row.id else { continue };
        // What a restored relay no longer has cannot be retracted there; another entry may have its number.
        let Some(seq) = live.room.present_seq(&row)? else { continue };
        // Retractions and departures must stay readable, or what they explain would look like the relay's doing.
        let is_said = matches!(row.content, RowContent::Text(_) | RowContent::Held(_));
        if !is_said {
            continue;
        }
        let edits = row.talk.edits.clone();
        if row.from == Some(me) {
            let now = live.room.now();
            live.send_own(|room| room.queue_own_retraction(seq, now)).await?;
        } else if moderates {
            live.act(Act::Retract { message, seq, category }).await?;
            // They hold the same words.
            for edit in edits {
                let act = Act::Retract { message: edit.message, seq: edit.seq, category };
                live.act(act).await?;
            }
        } else {
            return Err(EngineError::NotAuthor.into());
        }
        count += 1;
    }
    if count == 0 {
        return Err(EngineError::Rule(RuleError::Nothing).into());
    }
    Ok(Outcome::Retracted(count))
}

async fn depart(live: &mut Live<'_>, withdrawn: bool, goodbye: Option<String>) -> Result {
    live.room.check_may_leave()?;
    let unsaid = match goodbye {
        Some(text) => say_goodbye(live, words(&text)?).await?,
        None => None,
    };
    let dropped = live.room.waiting_texts()?.len();
    let now = live.room.now();
    live.send_own(|room| room.queue_departure(withdrawn, now)).await?;
    Ok(Outcome::Departed { dropped, unsaid })
}

/// Sends words before a departure. A rule of the room that stops them does not stop the departure.
async fn say_goodbye(live: &mut Live<'_>, text: String) -> Result<Option<LiveError>> {
    if text.is_empty() {
        return Ok(None);
    }
    let now = live.room.now();
    let id = live.room.queue_text(text, now)?;
    match live.send_queued(&id).await {
        Err(
            error @ (LiveError::Refused { .. } | LiveError::Engine(EngineError::TooLong { .. })),
        ) => {
            live.room.drop_waiting(&id)?;
            Ok(Some(error))
        }
        sent => Ok(sent.map(|()| None)?),
    }
}

async fn amend(live: &mut Live<'_>, text: String, change: Change, millis: u64) -> Result {
    if change == Change::Editorial && live.room.policy()?.pending.is_some() {
        return Err(AskError::AmendmentPending);
    }
    let moment = live.moment();
    // By a clock that is wrong by days people would have too little time or far too much, and what they sign would be misdated.
    if moment.apart() > CLOCK_WRONG_MILLIS {
        return Err(AskError::ClockWrong(moment));
    }
    let effective = match millis {
        0 => moment.earlier(),
        // People have so long by either clock.
        millis => moment.own.max(moment.relay).plus(millis),
    };
    // The text goes ahead, so that everybody has it when the act names it.
    let queue =
        |room: &mut Room<'_>| room.queue_amendment(text, change, effective, moment.earlier());
    let agreement = live.send_own(queue).await?;
    let at_once = change == Change::Material && millis == 0;
    live.amend(&agreement, at_once).await?;
    Ok(Outcome::Amended { agreement, in_force: at_once || change == Change::Editorial })
}

async fn enact(live: &mut Live<'_>) -> Result {
    let now = live.moment().earlier();
    if let Some(pending) = live.room.policy()?.pending.filter(|p| p.effective > now)
        && live.room.my_role()? == Role::Facilitator
    {
        return Err(AskError::NotYet(pending.effective));
    }
    match live.room.due_amendment(now)? {
        Some(Due { version, waits: Some(Waits::Unsigned) }) => {
            return Err(AskError::Unsigned(version));
        }
        Some(Due { waits: Some(Waits::NoText), .. }) => {
            return Err(AskError::NoText(live.room.state().standing.clone()));
        }
        _ => {}
    }
    live.enact().await?;
    Ok(Outcome::Done)
}

/// Whether a command needs no connection.
pub(super) const fn is_local(command: &Command) -> bool {
    matches!(
        command,
        Command::Log
            | Command::Verify(_)
            | Command::Mute { .. }
            | Command::Set(_)
            | Command::DropWaiting(_)
            | Command::ChangeHeld { .. }
            | Command::Agreements
            | Command::Shares
            | Command::Reports
            | Command::Notes
            | Command::Report { .. }
            | Command::Shown(_)
            | Command::Told
    )
}

/// Does a command that needs no connection.
pub(super) fn local(room: &mut Room<'_>, command: &Command) -> Result {
    match *command {
        Command::Set(ref setting) => return Ok(Outcome::Set(room.set(setting.clone())?)),
        Command::Log => return log(room),
        Command::Verify(member) => return verify(room, member),
        Command::DropWaiting(id) => return drop_waiting(room, id),
        Command::ChangeHeld { id, ref text } => {
            let (text, now) = (escape::sanitize_input(text)?, room.now());
            return match room.change_held(&id, text, now)? {
                Some(id) => Ok(Outcome::Changed(id)),
                None => Err(EngineError::NoSuchMessage(id.short()).into()),
            };
        }
        Command::Agreements => return agreements(room),
        Command::Shares => return Ok(Outcome::Shares(room.open_shares()?)),
        Command::Reports => {
            let moderates = room.my_role()?.moderates();
            let reports = if moderates { room.reports()? } else { Vec::new() };
            let answers = room.report_answers()?;
            room.mark_reports_shown()?;
            return Ok(Outcome::Reports { reports, answers });
        }
        Command::Notes => return Ok(Outcome::Notes(room.desk_notes()?)),
        Command::Report { ref places, ref about, category, ref words } => {
            let words = escape::sanitize_input(words)?;
            let report = room.report_on(places, about, category, words)?;
            let passes_by = match room.check_report(&report) {
                Ok(()) => false,
                Err(EngineError::AboutModerator(_)) => true,
                Err(error) => return Err(error.into()),
            };
            return Ok(Outcome::Report { report, passes_by });
        }
        Command::Mute { member, muted } => room.set_muted(member, muted)?,
        Command::Shown(place) => room.mark_shown(place)?,
        Command::Told => room.mark_told()?,
        _ => {}
    }
    Ok(Outcome::Done)
}

fn log(room: &mut Room<'_>) -> Result {
    let records = room.log()?;
    let broken = room.broken_record(&records)?;
    Ok(Outcome::Log { records, broken })
}

fn verify(room: &mut Room<'_>, member: Option<MemberKey>) -> Result {
    Ok(match member {
        Some(member) => Outcome::MemberCode(room.verification_code(&member)),
        None => Outcome::RoomCode {
            code: room.safety_code()?,
            epoch: room.epoch()?,
            unconfirmed: room.unconfirmed()?,
        },
    })
}

fn drop_waiting(room: &mut Room<'_>, id: MessageId) -> Result {
    if room.is_under_way(&id)? {
        return Err(AskError::UnderWay(id));
    }
    match room.drop_waiting(&id)? {
        true => Ok(Outcome::Dropped(true)),
        // It went out meanwhile, or somebody dropped it.
        false => Err(EngineError::NoSuchMessage(id.short()).into()),
    }
}

fn agreements(room: &mut Room<'_>) -> Result {
    let text = |room: &Room<'_>, id| room.agreement(&id);
    let mine = room.acknowledgement()?.agreement;
    let coming = room.coming_agreement()?;
    let current = match room.policy() {
        Ok(policy) => policy.agreement.id,
        Err(EngineError::NotMember(_)) => room.state().agreement,
        Err(error) => return Err(error.into()),
    };
    Ok(Outcome::Agreements {
        current: text(room, current)?,
        mine: text(room, mine)?,
        coming: coming.map(|id| text(room, id)).transpose()?,
    })
}
