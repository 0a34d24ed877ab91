//! What a person is asked before a command.

use hearth_engine::{
    EngineError, Room,
    agreement::Change,
    policy::{Act, Closing, Farewell},
};
use hearth_protocol::{MemberKey, Millis};

use super::super::{
    command::{AskError, Command, Consent, Haste, Question},
    exercise::{Guide, turns_left},
};

/// Time before the end of a duty in which a removal would be the last act of the day: an hour.
const LAST_HOUR_MILLIS: u64 = 3_600_000;

/// Returns what a person is asked before a command, one question after the other. `open` are the members whose call for help is not
/// over.
pub(super) fn questions(
    room: &mut Room<'_>,
    command: &Command,
    open: &[MemberKey],
    now: Millis,
) -> Result<Vec<Question>, EngineError> {
    let name_of = |room: &mut Room<'_>, member| {
        let names = room.known_names();
        names.map(|names| names.get(member).cloned().unwrap_or_default())
    };
    let needs_help = |member: &MemberKey| open.contains(member);
    Ok(match command {
        Command::Remove { member, at_night, .. } => {
            let name = name_of(room, member)?;
            let me = room.me();
            let duty = room.on_duty()?.into_iter().find(|duty| duty.member == me);
            let ends_soon = duty
                .is_some_and(|duty| duty.until > now && duty.until <= now.plus(LAST_HOUR_MILLIS));
            let haste: Vec<Haste> = [
                (Haste::Night, *at_night),
                (Haste::Help, needs_help(member)),
                (Haste::LastHour, ends_soon),
            ]
            .into_iter()
            .filter_map(|(haste, holds)| holds.then_some(haste))
            .collect();
            let mut asked = vec![Question::Remove(name.clone())];
            if !haste.is_empty() {
                asked.push(Question::RemoveNow { name, haste });
            }
            asked
        }
        Command::TimeOut { member, millis: 1.., .. } => {
            let name = name_of(room, member)?;
            let lasting = room.recorded_time_out(member)?.filter(|until| *until > now);
            let mut asked: Vec<Question> = lasting
                .map(|until| Question::ChangeBreak { name: name.clone(), until })
                .into_iter()
                .collect();
            if needs_help(member) {
                asked.extend([Question::Break(name.clone()), Question::BreakNow(name)]);
            }
            asked
        }
        Command::Exercise(Guide::Next | Guide::End) => match turns_left(room, now)? {
            0 => Vec::new(),
            turns => vec![Question::EndRound { turns }],
        },
        command => question(room, command)?.into_iter().collect(),
    })
}

/// Returns what a person is asked once before a command.
fn question(room: &mut Room<'_>, command: &Command) -> Result<Option<Question>, EngineError> {
    let name_of = |room: &mut Room<'_>, member| {
        let names = room.known_names();
        names.map(|names| names.get(member).cloned().unwrap_or_default())
    };
    Ok(match command {
        Command::Depart { withdrawn, .. } => {
            Some(Question::Depart { withdrawn: *withdrawn, waiting: room.waiting_texts()?.len() })
        }
        Command::RetractAll { member, .. } => Some(Question::RetractAll(name_of(room, member)?)),
        Command::Act(Act::Remove { member, .. }) => Some(Question::Remove(name_of(room, member)?)),
        Command::NewDevice { lost, .. } if room.policy()?.kept_place(lost).is_none() => {
            Some(Question::LoseDevice(name_of(room, lost)?))
        }
        Command::Act(Act::SetRole { member, role }) if *member == room.me() => {
            Some(Question::StepDown(*role))
        }
        Command::Act(Act::Farewell(Farewell::Said { member })) => {
            Some(Question::Farewell(name_of(room, member)?))
        }
        Command::Act(Act::Remember { member, .. }) => {
            Some(Question::Remember(name_of(room, member)?))
        }
        Command::Confirm(number) => {
            let proposed = room.proposal(*number)?;
            let names = room.known_names()?;
            let name = proposed.member().and_then(|member| names.get(&member).cloned());
            let until = proposed.time_out.as_ref().map(|time_out| time_out.until);
            let (what, name) = (proposed.what, name.unwrap_or_default());
            Some(Question::Confirm { what, name, until })
        }
        Command::Act(Act::CloseGroup(Closing::At { ends, .. })) => {
            Some(Question::CloseGroup(*ends))
        }
        Command::Act(Act::Expire(seconds)) => Some(Question::Expire { seconds: *seconds }),
        Command::Breach { opens: false, .. } => {
            let breach = room.policy()?.more.breach;
            let waits =
                |leaf: &hearth_engine::policy::Leaf| leaf.acknowledgement.more.breach != breach;
            let waiting = room.roster()?.into_iter().filter(waits).map(|leaf| leaf.name);
            let waiting: Vec<String> = waiting.collect();
            (breach.is_some() && !waiting.is_empty()).then_some(Question::CloseBreach { waiting })
        }
        Command::Amend { change: Change::Material, millis: 0, .. } => {
            let others = room.roster_len()?.saturating_sub(1);
            (others > 0).then_some(Question::AmendAtOnce { others })
        }
        _ => None,
    })
}

/// Asks the first question that was not agreed to. Consent to one is consent to those before it.
pub(super) fn agree_to_all(questions: &[Question], consent: &Consent) -> Result<(), AskError> {
    let next = match consent {
        Consent::Whatever => return Ok(()),
        Consent::To(agreed) => {
            questions.iter().position(|question| question == agreed).map_or(0, |at| at + 1)
        }
        Consent::Unasked => 0,
    };
    match questions.get(next) {
        Some(question) => Err(AskError::NeedsConsent(question.clone())),
        None => Ok(()),
    }
}
