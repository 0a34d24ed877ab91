//! Whose turn it is, who asks for one, and what is asked.

use hearth_engine::floor::Form;
use hearth_protocol::MemberKey;
use hearth_session::{
    client::{Progress, RoomView},
    live::now,
};
use hearth_text::escape;
use serde_json::json;

use super::Told;
use crate::{
    commands::Result,
    show::{self, Output},
};

/// Prints whose turn it is, who comes next, and who asks for a turn.
pub(in crate::commands) fn turns(out: &Output, view: &RoomView) -> Result<()> {
    let now = view.relay_now(now());
    let name = |member: &MemberKey| name_of(view, member);
    let hands: Vec<String> = view.floor.hands.iter().map(|hand| name(&hand.member)).collect();
    let mut object = json!({
        "round": null,
        "hands": hands,
        "unknown": view.floor_unknown,
    });
    let mut lines = Vec::new();
    match &view.floor.round {
        Some(round) => {
            let turn = usize::try_from(round.turn).unwrap_or(usize::MAX);
            let rest = round.order.get(turn..).unwrap_or_default();
            let (holder, next) = rest.split_first().map_or((None, rest), |(h, n)| (Some(h), n));
            let next: Vec<String> = next.iter().map(name).collect();
            object["round"] = json!({
                "topic": round.topic,
                "holder": holder.map(name),
                "next": next,
                "mine": holder == Some(&view.me),
                "until": show::rfc3339(round.until),
            });
            if !round.topic.is_empty() {
                lines.push(format!("The round: {}", escape::one_line(&round.topic)));
            }
            lines.push(match holder {
                Some(holder) if *holder == view.me => "It is your turn.".to_owned(),
                Some(holder) => format!("{} has the floor.", name(holder)),
                None => "Nobody has the floor.".to_owned(),
            });
            if !next.is_empty() {
                lines.push(format!("Then: {}.", next.join(", ")));
            }
            lines.push(format!(
                "The round ends at {} at the latest ({}).",
                show::clock(round.until),
                show::time_left(round.until, now)
            ));
        }
        None if view.floor_unknown => {
            lines.push(
                "This device has missed a message, so it does not know whether a round is on."
                    .into(),
            );
        }
        None => lines.push("No round is on: everybody can write.".into()),
    }
    lines.push(match hands.as_slice() {
        [] => "Nobody asks for a turn.".into(),
        hands => format!("Asking for a turn: {}.", hands.join(", ")),
    });
    Ok(out.say(&object, &lines.join("\n"))?)
}

/// Prints what is asked.
pub(in crate::commands) fn asks(out: &Output, view: &RoomView) -> Result<()> {
    let now = view.relay_now(now());
    if view.floor.asks.is_empty() {
        out.say_none("Nothing is asked now.")?;
    }
    for asked in &view.floor.asks {
        let number = asked.ask.seq.0;
        let object = json!({
            "number": number,
            "form": show::form_word(asked.form),
            "text": asked.text,
            "options": asked.options,
            "after_own": asked.after_own,
            "until": show::rfc3339(asked.until),
        });
        let text = escape::one_line(&asked.text);
        let mut lines = vec![format!("#{number} {text} ({})", show::time_left(asked.until, now))];
        let options = asked.options.iter().zip(1..);
        lines.extend(options.map(|(option, n)| format!("   {n}  {}", escape::one_line(option))));
        let how = match asked.form {
            Form::Poll => format!("   `hearth vote ROOM #{number} 1` votes."),
            Form::HiddenPoll => format!(
                "   `hearth vote ROOM #{number} 1` votes. The facilitators see who votes for what."
            ),
            Form::Private => format!(
                "   `hearth answer ROOM #{number} WORDS` answers, to the facilitators alone."
            ),
            Form::Prompt | Form::Step => {
                format!("   `hearth answer ROOM #{number} WORDS` answers.")
            }
        };
        lines.push(out.advice(&how));
        out.say(&object, &lines.join("\n"))?;
    }
    Ok(())
}

pub(in crate::commands) fn name_of(view: &RoomView, member: &MemberKey) -> String {
    let leaf = view.roster.iter().find(|leaf| leaf.member == *member);
    leaf.map_or_else(|| member.short(), |leaf| escape::one_line(&leaf.name))
}

/// Lists the exercises that come with hearth.
pub(in crate::commands) fn exercises(out: &Output) -> Result<()> {
    for exercise in hearth_forms::catalogue().exercises() {
        let object = json!({
            "exercise": exercise.id,
            "title": exercise.title,
            "minutes": exercise.minutes,
            "who": exercise.who.as_str(),
            "steps": exercise.steps.len(),
            "evidence": exercise.evidence,
            "caution": exercise.caution,
        });
        let mut line = format!(
            "{:15} {} ({} min, {})",
            exercise.id,
            exercise.title,
            exercise.minutes,
            exercise.who.as_str()
        );
        if let Some(caution) = &exercise.caution {
            line.push_str(&format!(". Caution: {caution}"));
        }
        out.say(&object, &line)?;
    }
    Ok(())
}

/// Says to the facilitator where an exercise is.
pub(in crate::commands) fn guided(told: &Told<'_>, progress: &Progress) -> Result<()> {
    let Progress { exercise, step } = progress;
    let of = exercise.steps.len();
    let object = json!({
        "done": "exercise", "exercise": exercise.id, "step": step, "steps": of,
    });
    let Some(step) = step else {
        return told.say(&object, &format!("{} is over.", escape::one_line(&exercise.title)));
    };
    let mut text = format!("{}: step {step} of {of}.", escape::one_line(&exercise.title));
    if let Some(next) = exercise.steps.get(*step) {
        let waits = next
            .opens_after
            .or_else(|| exercise.steps.get(step.saturating_sub(1)).and_then(|now| now.wait));
        if let Some(wait) = waits {
            text.push_str(&format!(
                " The next step is meant for {} from now.",
                show::span(wait.as_secs())
            ));
        }
    }
    text.push_str(" `hearth exercise ROOM next` goes on, `hearth exercise ROOM end` ends it.");
    told.say(&object, &told.out.advice(&text))
}
