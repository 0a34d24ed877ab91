//! Replies, content notes, reactions and edits, as lines and as JSON.

use hearth_engine::{
    state::{Row, RowContent},
    words::{Quote, Reaction},
};
use hearth_text::escape;
use serde_json::{Map, Value, json};

use super::View;

/// Returns kind, text and further fields of a row that changes an earlier message.
pub(super) fn content(
    view: &View<'_>,
    row: &Row,
) -> Option<(&'static str, String, Map<String, Value>)> {
    let mut more = Map::new();
    let quote = &seen(view, row.talk.quote.as_ref());
    let quote = quote.as_ref();
    let (kind, text) = match &row.content {
        // Taking it back is nobody's business; the message shows what stands.
        RowContent::Reaction { kind: 0, .. } => return None,
        RowContent::Reaction { kind, .. } => {
            let reaction = Reaction::from_number(*kind).map(Reaction::words);
            more.insert("reaction".into(), json!(reaction));
            let to = to_whom(quote);
            let text = match reaction {
                Some(reaction) => format!("to {to}: {reaction}"),
                None => format!("reacts to {to}; update hearth to see how"),
            };
            ("reaction", text)
        }
        RowContent::Edit { text, .. } => {
            let filtered = view.filters(row);
            match filtered {
                true => more.insert("filtered".into(), json!(true)),
                false => more.insert("words".into(), json!(text)),
            };
            let id = quote.and_then(|quote| quote.id).map(|id| id.short()).unwrap_or_default();
            let note = quote.and_then(|quote| quote.note.as_deref());
            let note = note.map(|note| format!(" [{note}]")).unwrap_or_default();
            match filtered || view.veils(row) {
                true => ("edit", format!("changed [{id}]{note}")),
                false => ("edit", format!("changed [{id}]{note}: {text}")),
            }
        }
        RowContent::Cover { topic, .. } => {
            more.insert("topic".into(), json!(topic));
            let whose = whose(quote);
            let text = match topic.as_str() {
                "" => format!("has taken the content note off {whose}"),
                topic => format!("has put a content note on {whose}: {topic}"),
            };
            ("cover", text)
        }
        _ => return None,
    };
    more.insert("of".into(), quote_json(quote));
    Some((kind, text, more))
}

/// Adds to a text's fields what belongs to its words.
pub(super) fn fields(view: &View<'_>, row: &Row, more: &mut Map<String, Value>) {
    let talk = &row.talk;
    if talk.reply.is_some() {
        more.insert("reply_to".into(), quote_json(seen(view, talk.quote.as_ref()).as_ref()));
    }
    if let Some(ask) = talk.answers.filter(|_| view.lane.is_some()) {
        more.insert("answers".into(), json!(ask.seq.0));
    }
    if let Some(topic) = &talk.topic {
        more.insert("topic".into(), json!(topic));
    }
    if let Some(cover) = &talk.cover {
        more.insert("cover".into(), json!({"topic": cover.topic, "by": cover.name}));
    }
    if view.filters(row) {
        more.insert("filtered".into(), json!(true));
    }
    if !talk.edits.is_empty() {
        more.insert("edited".into(), json!(true));
    }
    if !talk.reactions.is_empty() {
        let all = talk.reactions.iter().map(|reacted| {
            let words = Reaction::from_number(reacted.kind).map(Reaction::words);
            json!({"from": reacted.name, "reaction": words})
        });
        more.insert("reactions".into(), all.collect());
    }
}

/// Returns what stands between a name and the name's words: whom they answer, what they are about.
pub(super) fn before_words(view: &View<'_>, row: &Row) -> String {
    let mut before = String::new();
    if row.talk.reply.is_some() {
        before.push_str(" (to ");
        before.push_str(&escape::one_line(&to_whom(seen(view, row.talk.quote.as_ref()).as_ref())));
        before.push(')');
    }
    if let Some(topic) = row.talk.note() {
        before.push_str(" [");
        if let Some(cover) = &row.talk.cover {
            before.push_str(&format!("content note by {}: ", escape::one_line(&cover.name)));
        }
        before.push_str(&escape::one_line(topic));
        before.push(']');
    }
    before
}

/// Returns what stands behind the words: that they were changed, and who reacted how.
pub(super) fn after_words(row: &Row) -> String {
    let mut after = String::new();
    if !row.talk.edits.is_empty() {
        after.push_str("  (changed)");
    }
    for reaction in Reaction::ALL {
        let names: Vec<String> = row
            .talk
            .reactions
            .iter()
            .filter(|reacted| reacted.kind == reaction.number())
            .map(|reacted| escape::one_line(&reacted.name))
            .collect();
        if !names.is_empty() {
            after.push_str(&format!("  ({}: {})", reaction.words(), names.join(", ")));
        }
    }
    after
}

/// What stands around somebody's words where they are laid out by themselves.
pub struct Around {
    /// Whom they answer, with the first words.
    pub answers: Option<String>,
    /// The content note in force, or the topic that this device hides.
    pub note: Option<String>,
    /// What came of them: that they were changed, and each reaction once, because nobody counts them.
    pub after: Vec<String>,
}

/// Returns what stands around the words of a row.
pub(super) fn around(view: &View<'_>, row: &Row) -> Around {
    let quote = seen(view, row.talk.quote.as_ref());
    let answers = row.talk.reply.is_some().then(|| to_whom(quote.as_ref()));
    let note = match (&row.talk.cover, row.talk.note()) {
        (Some(cover), Some(topic)) => Some(format!("{topic}, by {}", cover.name)),
        (None, Some(topic)) => Some(topic.to_owned()),
        (_, None) => None,
    };
    let mut after = Vec::new();
    if !row.talk.edits.is_empty() {
        after.push("changed".to_owned());
    }
    let is_there = |reaction: &Reaction| {
        row.talk.reactions.iter().any(|reacted| reacted.kind == reaction.number())
    };
    after.extend(Reaction::ALL.into_iter().filter(is_there).map(|r| r.words().to_owned()));
    Around { answers, note, after }
}

/// Takes the words of a muted member out of a quote.
fn seen(view: &View<'_>, quote: Option<&Quote>) -> Option<Quote> {
    let mut quote = quote.cloned()?;
    if !view.open && quote.from.is_some_and(|from| view.muted.contains(&from)) {
        quote.text = None;
    }
    Some(quote)
}

/// Names an earlier message: its author and its first words, as far as they can be shown.
fn to_whom(quote: Option<&Quote>) -> String {
    match quote {
        None => "an earlier message".into(),
        Some(Quote { name, text: Some(text), .. }) => format!("{name}: “{text}”"),
        Some(Quote { name, note: Some(note), .. }) => format!("{name} [{note}]"),
        Some(Quote { name, .. }) => name.clone(),
    }
}

/// Names an earlier message as somebody's.
fn whose(quote: Option<&Quote>) -> String {
    match quote {
        Some(Quote { name, id: Some(id), .. }) => format!("what {name} wrote [{}]", id.short()),
        _ => "an earlier message".into(),
    }
}

fn quote_json(quote: Option<&Quote>) -> Value {
    match quote {
        None => Value::Null,
        Some(quote) => json!({
            "seq": quote.place.0,
            "id": quote.id.map(|id| id.to_hex()),
            "from": quote.name,
            "from_key": quote.from.map(|from| from.to_hex()),
            "text": quote.text,
            "topic": quote.note,
        }),
    }
}
