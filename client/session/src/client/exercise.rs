//! Exercises, step by step: the file stays on the facilitator's device, each step is a round, a question or words in the room.

use hearth_engine::{
    EngineError, Room,
    floor::{Ask, Form, Part, wire::ASKS_MAX},
    turns::{Course, FloorError, Order},
};
use hearth_forms::{Act, Exercise, Step, To};
use hearth_protocol::{MessageId, Millis};

use super::command::{AskError, Outcome};
use crate::live::Live;

/// How long a step is open, if nobody goes on: two hours.
const STEP_MILLIS: u64 = 2 * 3_600_000;

type Result<T = Outcome, E = AskError> = std::result::Result<T, E>;

/// What a facilitator does with an exercise.
#[derive(Clone, Debug)]
pub enum Guide {
    /// Begin one.
    Begin {
        /// Name of the file without its ending.
        stem: String,
        /// The file.
        source: Vec<u8>,
    },
    /// Go on to the next step; after the last one the exercise is over.
    Next,
    /// End it here.
    End,
}

/// Where an exercise is.
#[derive(Clone, Debug)]
pub struct Progress {
    /// The exercise.
    pub exercise: Exercise,
    /// Number of the step that is on, from 1; `None` if it is over.
    pub step: Option<usize>,
}

/// Does what a facilitator asks of an exercise.
pub(super) async fn guide(live: &mut Live<'_>, guide: Guide) -> Result {
    let course = live.room.course()?;
    let (course, step) = match (guide, course) {
        (Guide::Begin { stem, source }, None) => {
            let exercise = Exercise::parse(&stem, &source).map_err(AskError::Form)?;
            if exercise.needs_duty && !somebody_is_here(live)? {
                return Err(EngineError::Floor(FloorError::NobodyOnDuty).into());
            }
            // Before a word of it is said.
            check_begin(live, &exercise)?;
            let course = live.room.begin_course(stem, source)?;
            let minutes = exercise.minutes;
            let intro = format!(
                "{}: about {minutes} minutes. Every step can be skipped, and nobody asks why.",
                exercise.title
            );
            say(live, intro).await?;
            (course, 0)
        }
        (Guide::Begin { .. }, Some(_)) => {
            return Err(EngineError::Floor(FloorError::ExerciseOn).into());
        }
        (Guide::Next | Guide::End, None) => {
            return Err(EngineError::Floor(FloorError::NoExercise).into());
        }
        (Guide::Next, Some(course)) => {
            let next = usize::try_from(course.step).unwrap_or(usize::MAX).saturating_add(1);
            (course, next)
        }
        (Guide::End, Some(course)) => (course, usize::MAX),
    };
    let exercise = Exercise::parse(&course.stem, &course.source).map_err(AskError::Form)?;
    close_step(live, &course).await?;
    let Some(next) = exercise.steps.get(step) else {
        live.room.keep_course(None)?;
        return Ok(Outcome::Guided(Box::new(Progress { exercise, step: None })));
    };
    let id = take_step(live, &course, &exercise, next, step).await?;
    let seq = live.room.own_message(&id)?.seq;
    let number = u64::try_from(step).unwrap_or(u64::MAX);
    live.room.keep_course(Some(&Course { step: number, seq, ..course }))?;
    let step = Some(step.saturating_add(1));
    Ok(Outcome::Guided(Box::new(Progress { exercise, step })))
}

/// Refuses an exercise whose first step cannot begin now, or beside another moderator's.
fn check_begin(live: &mut Live<'_>, exercise: &Exercise) -> Result<(), AskError> {
    let now = live.relay_now();
    let floor = live.room.floor()?;
    let state = floor.state();
    let asks = state.asks.iter().filter(|asked| asked.until > now);
    if asks.clone().any(|asked| asked.part.is_some()) {
        return Err(EngineError::Floor(FloorError::ExerciseElsewhere).into());
    }
    let round_is_on = state.round.as_ref().is_some_and(|round| round.until > now);
    let (too_many, unknown) = (asks.count() >= ASKS_MAX, floor.is_unknown());
    let refused = match exercise.steps.first().map(|step| &step.act) {
        Some(Act::Ask { to: To::Room, turn: Some(_), .. }) if round_is_on => FloorError::RoundOn,
        Some(Act::Ask { to: To::Room, turn: Some(_), .. })
            if !unknown && live.room.turn_order(Order::Roster)?.is_empty() =>
        {
            FloorError::NobodyToTurn
        }
        Some(Act::Ask { to: To::Room | To::Lane, turn: None, .. }) if too_many => {
            FloorError::TooManyAsks
        }
        _ => return Ok(()),
    };
    Err(EngineError::Floor(refused).into())
}

/// Returns how many turns are left of the round that is the exercise's step.
pub(super) fn turns_left(room: &mut Room<'_>, now: Millis) -> Result<usize, EngineError> {
    let Some(course) = room.course()? else { return Ok(0) };
    let round = room.floor()?.state().round.clone();
    let round = round.filter(|round| round.seq == course.seq && round.until > now);
    Ok(round.map_or(0, |round| {
        round.order.len().saturating_sub(usize::try_from(round.turn).unwrap_or(usize::MAX))
    }))
}

fn somebody_is_here(live: &mut Live<'_>) -> Result<bool> {
    let now = live.relay_now();
    Ok(live.room.on_duty()?.iter().any(|duty| duty.until > now))
}

/// Ends what the step before left open.
async fn close_step(live: &mut Live<'_>, course: &Course) -> Result<()> {
    let state = live.room.floor()?.state();
    let is_round = state.round.as_ref().is_some_and(|round| round.seq == course.seq);
    let is_asked = state.asks.iter().any(|asked| asked.ask.seq == course.seq);
    let (now, seq) = (live.room.now(), course.seq);
    if is_round {
        live.send_own(|room| room.queue_round_end(now)).await?;
    }
    if is_asked {
        live.send_own(|room| room.queue_close(seq, now)).await?;
    }
    Ok(())
}

async fn take_step(
    live: &mut Live<'_>,
    course: &Course,
    exercise: &Exercise,
    step: &Step,
    at: usize,
) -> Result<MessageId> {
    let number = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    let (at, of) = (number(at).saturating_add(1), number(exercise.steps.len()));
    let now = live.relay_now();
    let (round_end, ask_end) = live.room.latest_ends(now)?;
    let until = now.plus(STEP_MILLIS).min(round_end).min(ask_end);
    match &step.act {
        Act::Ask { text, to: To::Room, turn: Some(turn), .. } => {
            let (topic, seconds) = (text.clone(), turn.as_secs());
            queue(live, |room, now| {
                let order = room.turn_order(Order::Roster)?;
                room.queue_round(order, topic, seconds, until, now)
            })
            .await
        }
        Act::Ask { text, to: To::Room, turn: None, after_own } => {
            let part = Some(Part { exercise: course.id, step: at, of });
            let (text, after_own) = (text.clone(), *after_own);
            let ask = Ask { form: Form::Step, text, options: Vec::new(), until, after_own, part };
            queue(live, |room, now| room.queue_ask(ask, now)).await
        }
        Act::Ask { text, to: To::Own, .. } => {
            say(live, format!("Step {at} of {of}, for yourself: {text}")).await
        }
        Act::Ask { text, to: To::Lane, .. } if live.room.policy()?.desk.is_some() => {
            let part = Some(Part { exercise: course.id, step: at, of });
            let (form, text, after_own) = (Form::Private, text.clone(), false);
            let ask = Ask { form, text, options: Vec::new(), until, after_own, part };
            queue(live, |room, now| room.queue_ask(ask, now)).await
        }
        Act::Ask { text, to: To::Lane, .. } => {
            let words = format!(
                "Step {at} of {of}, for you and the facilitators: {text} Everybody here reads what you write in this room, so keep it for when you talk with them."
            );
            say(live, words).await
        }
        Act::Say(text) => say(live, format!("Step {at} of {of}: {text}")).await,
    }
}

async fn say(live: &mut Live<'_>, words: String) -> Result<MessageId> {
    queue(live, |room, now| room.queue_text(words, now)).await
}

async fn queue<'s>(
    live: &mut Live<'s>,
    queue: impl FnOnce(&mut Room<'s>, Millis) -> Result<MessageId, EngineError>,
) -> Result<MessageId> {
    let now = live.room.now();
    let id = live.send_own(|room| queue(room, now)).await?;
    match live.room.ignored(&id)? {
        Some(why) => Err(EngineError::Floor(why).into()),
        None => Ok(id),
    }
}
