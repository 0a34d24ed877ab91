//! Turns, hands and questions, as lines and as JSON.

use hearth_engine::{
    floor::{Ask, Asked, Change, Down, Ending, Form, Op, Outcome, Verdict},
    state::{Row, RowContent},
};
use hearth_protocol::{MemberKey, Millis};
use hearth_text::escape;
use serde_json::{Map, Value, json};

use super::{View, clock, rfc3339, span};

/// Returns kind, text and further fields of a row about turns or questions.
pub(super) fn content(
    view: &View<'_>,
    row: &Row,
) -> Option<(&'static str, String, Map<String, Value>)> {
    let mut more = Map::new();
    let (kind, text) = match &row.content {
        RowContent::Floor(Some(Op::Start { order, topic, seconds, until })) => {
            let names: Vec<String> = order.iter().map(|member| view.name(member)).collect();
            more.insert("order".into(), json!(names));
            more.insert("topic".into(), json!(topic));
            more.insert("seconds".into(), json!(seconds));
            more.insert("until".into(), json!(rfc3339(*until)));
            ("round", round_words(&names, topic, *seconds))
        }
        RowContent::Asked(ask) => {
            more.insert("number".into(), json!(row.seq.0));
            more.insert("form".into(), json!(form_word(ask.form)));
            more.insert("options".into(), json!(ask.options));
            more.insert("after_own".into(), json!(ask.after_own));
            more.insert("until".into(), json!(rfc3339(ask.until)));
            if let Some(part) = ask.part {
                more.insert("step".into(), json!(part.step));
                more.insert("steps".into(), json!(part.of));
            }
            ("ask", format!("asks: {}", ask.text))
        }
        RowContent::Vote { choice, option, .. } => {
            more.insert("choice".into(), json!(choice.saturating_add(1)));
            more.insert("option".into(), json!(option));
            let option = option.clone();
            let words = option.unwrap_or_else(|| format!("option {}", choice.saturating_add(1)));
            ("vote", format!("votes: {words}"))
        }
        RowContent::Duty(until) => {
            let on = *until > row.stamp;
            more.insert("on".into(), json!(on));
            more.insert("until".into(), json!(rfc3339(*until)));
            let words = if on {
                format!("is here for the room until {}", clock(*until))
            } else {
                "is no longer here for the room".into()
            };
            ("duty", words)
        }
        _ => return None,
    };
    Some((kind, text, more))
}

/// Ends words with a full stop, unless a question or a quoted sentence ends them.
pub(super) fn sentence(words: &str) -> String {
    let ends = words.trim_end_matches('”').ends_with(['.', '?', '!', '…']);
    if ends { words.to_owned() } else { format!("{words}.") }
}

fn round_words(names: &[String], topic: &str, seconds: u64) -> String {
    let mut words = "begins a round".to_owned();
    if !topic.is_empty() {
        words.push_str(": ");
        words.push_str(topic);
    }
    if seconds > 0 {
        words.push_str(&format!(" ({} each; nothing is cut off)", span(seconds)));
    }
    if let Some((first, rest)) = names.split_first() {
        words = format!("{} {first} has the floor", sentence(&words));
        if !rest.is_empty() {
            words.push_str(&format!(", then {}", rest.join(", ")));
        }
    }
    words
}

/// Returns the word of a form in JSON.
pub fn form_word(form: Form) -> &'static str {
    match form {
        Form::Prompt => "prompt",
        Form::Step => "step",
        Form::Poll => "poll",
        Form::HiddenPoll => "hidden_poll",
        Form::Private => "private",
    }
}

/// Lists a poll's options, a line each; says how to answer.
pub(super) fn ask_lines(asked: &Ask, number: u64) -> Vec<String> {
    let mut lines = Vec::new();
    for (n, option) in (1..).zip(&asked.options) {
        lines.push(format!("   {n}  {}", escape::one_line(option)));
    }
    lines.push(match asked.form {
        Form::Poll => format!("   `hearth vote ROOM #{number} 1` votes; everybody sees who votes for what."),
        Form::HiddenPoll => format!(
            "   `hearth vote ROOM #{number} 1` votes. The facilitators see who votes for what; the group sees totals, from five votes on, and cannot prove that the other votes are real."
        ),
        Form::Private => format!(
            "   For you and the facilitators: `hearth answer ROOM #{number} WORDS` answers, and nobody else reads it; passing is fine."
        ),
        Form::Prompt | Form::Step if asked.after_own => {
            format!("   `hearth answer ROOM #{number} WORDS` answers. You see the others' answers after your own.")
        }
        Form::Prompt | Form::Step => format!("   `hearth answer ROOM #{number} WORDS` answers; passing is fine."),
    });
    lines
}

/// Told to a member whose turn begins.
const YOURS: &str = "It is your turn. Take your time. `hearth done ROOM` ends your turn, `hearth pass ROOM` lets it go by";

/// Told to a member whose turn begins while they have a break.
const RESTS: &str = "Your turn goes by while you have a break. Nobody is told why";

/// What a change is for programs and people.
pub(super) struct Told {
    /// The change in a word.
    pub word: &'static str,
    /// The sentence.
    pub text: String,
    /// Whether somebody lied.
    pub alarm: bool,
    /// Further fields for programs.
    pub more: Map<String, Value>,
}

/// Returns what is told of a change; `None` if nobody needs to be told.
pub(super) fn change(view: &View<'_>, row: &Row, change: &Change) -> Option<Told> {
    // What was somebody's turn once is told as such, or they would think that it is now.
    let is_on =
        |turn: u64| view.round.is_some_and(|round| round.turn == turn && row.seq >= round.seq);
    let is_me = |member: &MemberKey| *member == view.me;
    let rests = view.rests_until > row.stamp;
    let name = |member: &MemberKey| view.name(member);
    let mut more = Map::new();
    let mut names = |field: &str, member: &MemberKey| {
        more.insert(field.into(), json!(name(member)));
        more.insert(format!("{field}_key"), json!(member.to_hex()));
    };
    match change {
        Change::Began { holder, .. } | Change::Turn { holder, .. } => names("holder", holder),
        Change::Ended { how: Ending::By(by), .. } | Change::Recap { by, .. } => names("by", by),
        Change::HandUp(member) | Change::HandDown { member, .. } => names("member", member),
        Change::Extended { until } => {
            more.insert("until".into(), json!(rfc3339(*until)));
        }
        Change::AskClosed { asked, by, outcome } => {
            if let Some(by) = by {
                names("by", by);
            }
            more.insert("number".into(), json!(asked.ask.seq.0));
            if let Outcome::Totals(totals) = outcome {
                let each = asked.options.iter().zip(totals);
                let each = each.map(|(option, votes)| json!({"option": option, "votes": votes}));
                more.insert("totals".into(), each.collect());
            }
        }
        _ => {}
    }
    let (word, text) = match change {
        Change::Began { holder, .. } if is_me(holder) && rests => ("turn", RESTS.into()),
        Change::Turn { holder, .. } if is_me(holder) && rests => ("turn", RESTS.into()),
        Change::Began { holder, .. } if is_me(holder) && is_on(0) => ("turn", YOURS.into()),
        Change::Began { holder, .. } if view.muted.contains(holder) => {
            ("turn", format!("{} has the floor{}", name(holder), muted_words(&name(holder))))
        }
        Change::Turn { holder, turn } if is_me(holder) && is_on(*turn) => ("turn", YOURS.into()),
        Change::Turn { holder, .. } if is_me(holder) => ("turn", "Next: you".into()),
        // The line of the round says so.
        Change::Began { .. } => return None,
        Change::Turn { holder, .. } if view.muted.contains(holder) => {
            ("turn", format!("Next: {}{}", name(holder), muted_words(&name(holder))))
        }
        Change::Turn { holder, .. } => ("turn", format!("Next: {}", name(holder))),
        Change::Extended { until } => {
            ("extended", format!("The round ends at {} at the latest", clock(*until)))
        }
        Change::Ended { how: Ending::By(by), .. } if !is_me(by) => {
            ("round_over", format!("{} has ended the round", name(by)))
        }
        Change::Ended { .. } => ("round_over", "The round is over".into()),
        Change::HandUp(member) if is_me(member) => ("hand_up", "Your hand is up".into()),
        Change::HandUp(member) => ("hand_up", format!("{} asks for a turn", name(member))),
        Change::HandDown { member, why: Down::Lowered } if is_me(member) => {
            ("hand_down", "Your hand is down".into())
        }
        Change::HandDown { member, why: Down::Lowered } => {
            ("hand_down", format!("{} does not ask for a turn any more", name(member)))
        }
        Change::HandDown { .. } => return None,
        Change::AskOpened => return None,
        Change::AskClosed { asked, outcome, .. } => ("ask_closed", closed_words(asked, outcome)),
        Change::Held => (
            "kept",
            "Kept for your turn. Only you see it. It shows when your turn comes or the round ends"
                .into(),
        ),
        Change::Crowded | Change::Released(_) | Change::Ignored(_) | Change::TimesRunBack { .. } => {
            return None;
        }
        Change::Unknown => (
            "floor_unknown",
            "This device has missed a message, so it does not know whose turn it is or what is asked. A facilitator's next round is known again".into(),
        ),
        Change::Recap { verdict, by } => match verdict {
            Verdict::Differs | Verdict::Unsound | Verdict::Contradicts { .. } => (
                "false_recap",
                format!("{} sent newcomers another state of turns and questions than the log has", name(by)),
            ),
            Verdict::Agrees | Verdict::Taken | Verdict::Early => return None,
        },
    };
    Some(Told { word, text, alarm: change.is_alarm(), more })
}

/// Says of a muted member how to read what they say.
fn muted_words(name: &str) -> String {
    let word = crate::advice::shell_word(name);
    format!(" (you muted {name}). `hearth show ROOM --from {word}` reads what they say")
}

fn closed_words(asked: &Asked, outcome: &Outcome) -> String {
    let what = format!("Closed: “{}”", asked.text);
    let result = match outcome {
        Outcome::NoPoll => return what,
        Outcome::Totals(totals) => {
            let each = asked.options.iter().zip(totals);
            let each: Vec<String> =
                each.map(|(option, votes)| format!("{option}: {votes}")).collect();
            each.join(", ")
        }
        Outcome::Uncounted => "this device has not seen all votes".into(),
        Outcome::Unpublished => "too few votes to show any".into(),
        Outcome::Flawed(_) => "the published votes are wrong, and not counted".into(),
    };
    format!("{} {result}", sentence(&what))
}

/// Says how long something is still open.
pub fn left(until: Millis, now: Millis) -> String {
    let seconds = until.0.saturating_sub(now.0) / 1000;
    if seconds == 0 { "over".into() } else { format!("{} left", span(seconds)) }
}
