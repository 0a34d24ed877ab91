//! Words and fields of what is said in lanes beside texts.

use std::collections::HashMap;

use hearth_engine::{
    private::{Inquiry, Private, Seen, SeenState, Wanted},
    state::{Row, RowContent},
};
use hearth_protocol::{MemberKey, MessageId, Millis};
use serde_json::{Map, Value, json};

use super::clock;

/// What moderators answer in a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    /// Words to be shared without a name.
    Share,
    /// A report, or a concern.
    Report,
}

/// A message of a lane that moderators answer.
#[derive(Clone, Copy, Debug)]
pub struct Answered {
    of: Of,
    from: MemberKey,
    at: Millis,
}

/// Returns the messages that moderators answer, by id.
pub fn answered(rows: &[Row]) -> HashMap<MessageId, Answered> {
    let all = rows.iter().filter_map(|row| {
        let RowContent::Private(private) = &row.content else { return None };
        let of = match **private {
            Private::Anon(_) => Of::Share,
            Private::Report(_) => Of::Report,
            _ => return None,
        };
        Some((row.id?, Answered { of, from: row.from?, at: row.at }))
    });
    all.collect()
}

/// Returns the sentence for a moderator's answer; `None` where the row says enough.
pub(super) fn answer(
    view: &super::View<'_>,
    name: &str,
    private: &Private,
    words: &str,
) -> Option<String> {
    let Private::Seen(Seen { message, state, .. }) = private else { return None };
    let answered = view.answered?.get(message)?;
    let mine = answered.from == view.me;
    Some(match (answered.of, state, mine) {
        (_, SeenState::Seen, _) | (Of::Report, SeenState::Closed, _) => return None,
        (Of::Share, SeenState::Resolved, true) => format!(
            "{name} has said yes. It will show in the next half hour, with no name. `hearth take-back ROOM` takes it back"
        ),
        (Of::Share, SeenState::Resolved, false) => format!("{name} has said yes to the share"),
        (Of::Share, SeenState::Closed, true) => {
            format!("{name} has not shared this: “{words}” Nobody else has seen it")
        }
        (Of::Share, SeenState::Closed, false) => format!("{name} has not shared this: “{words}”"),
        (Of::Report, SeenState::Resolved, true) => format!(
            "{name} has looked into what you reported ({}): “{words}” If that is not enough for you: `hearth agreement show ROOM` says where to complain",
            clock(answered.at)
        ),
        (Of::Report, SeenState::Resolved, false) => {
            format!("{name} has looked into the report: “{words}”")
        }
    })
}

/// Returns kind, text and further fields.
pub(super) fn content(private: &Private) -> (&'static str, String, Map<String, Value>) {
    let mut more = Map::new();
    let (kind, text) = match private {
        Private::Note { about, text } => {
            more.insert("about".into(), json!(about.map(|about| about.to_hex())));
            ("note", text.clone())
        }
        Private::Anon(words) => ("anon", words.clone()),
        Private::Recall(message) => {
            more.insert("message".into(), json!(message.to_hex()));
            ("recall", String::new())
        }
        Private::Mood(mood) => {
            more.insert("score".into(), json!(mood.score));
            ("mood", mood.words.clone())
        }
        Private::Answers { form, answers } => {
            more.insert("form".into(), json!(form.to_hex()));
            more.insert("answers".into(), json!(answers));
            ("answers", String::new())
        }
        Private::Report(report) => {
            let quoted = report.quotes.iter().map(|quote| quote.message.to_hex());
            let about = report.about.iter().map(|about| about.to_hex());
            more.insert("quotes".into(), json!(quoted.collect::<Vec<_>>()));
            more.insert("about".into(), json!(about.collect::<Vec<_>>()));
            more.insert("category".into(), json!(report.category.as_str()));
            ("report", report.words.clone())
        }
        Private::Flag(words) => ("flag", words.clone()),
        Private::Seen(Seen { message, state, words }) => {
            let state = match state {
                SeenState::Seen => "seen",
                SeenState::Resolved => "resolved",
                SeenState::Closed => "closed",
            };
            more.insert("message".into(), json!(message.to_hex()));
            more.insert("state".into(), json!(state));
            ("seen", words.clone())
        }
        Private::Inquiry(Inquiry { wanted, within }) => {
            let (what, every) = match wanted {
                Wanted::Mood { every } => ("mood", Some(every)),
                Wanted::NoMood => ("no_mood", None),
                Wanted::Form { stem, source } => {
                    more.insert("stem".into(), json!(stem));
                    let form = hearth_protocol::hash::sha256(source).to_hex();
                    more.insert("form".into(), json!(form));
                    ("questions", None)
                }
            };
            more.insert("what".into(), json!(what));
            more.insert("every_days".into(), json!(every.filter(|every| **every > 0)));
            more.insert("within_seconds".into(), json!(within));
            ("inquiry", String::new())
        }
    };
    (kind, text, more)
}

/// Returns what stands between the name and the words of a line.
pub(super) fn verb(private: &Private) -> String {
    match private {
        Private::Note { .. } => " notes".into(),
        Private::Anon(_) => " asks to share without a name".into(),
        Private::Recall(_) => " takes a share back".into(),
        Private::Mood(mood) => format!(": {}", mood.score),
        Private::Answers { .. } => " answered the questions".into(),
        Private::Report(report) if report.quotes.is_empty() => " is concerned".into(),
        Private::Report(_) => " reports".into(),
        Private::Flag(_) => " asks for help now".into(),
        Private::Seen(Seen { state: SeenState::Seen, .. }) => " saw it".into(),
        Private::Seen(Seen { state: SeenState::Resolved, .. }) => " closed it".into(),
        Private::Seen(Seen { state: SeenState::Closed, .. }) => " handed it on".into(),
        Private::Inquiry(Inquiry { wanted, .. }) => match wanted {
            Wanted::Mood { every: 0 } => " asks how you are".into(),
            Wanted::Mood { every } => {
                format!(" asks how you are, every {every} days for four weeks")
            }
            Wanted::NoMood => " asks no longer how you are".into(),
            Wanted::Form { .. } => " asks some questions".into(),
        },
    }
}
