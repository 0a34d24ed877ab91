//! Words and fields of what is said in lanes beside texts.

use hearth_engine::private::{Inquiry, Private, Seen, SeenState, Wanted};
use serde_json::{Map, Value, json};

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
