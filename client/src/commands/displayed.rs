//! The messages whose words stand on an open screen, so that those that are taken back can be taken from it.

use std::{
    collections::VecDeque,
    hash::{DefaultHasher, Hash as _, Hasher as _},
};

use hearth_engine::{
    policy::Act,
    state::{Row, RowContent},
};
use hearth_protocol::{MessageId, Millis, Seq};
use hearth_session::client::Page;
use hearth_text::{count::counted, escape};

use super::{Result, shell::Shell};
use crate::show;

/// Messages that are remembered, the last ones: more than a terminal shows.
const DISPLAYED_MAX: usize = 1_000;
/// Messages that are named when several are taken back at once.
const NAMED_MAX: usize = 5;

/// A message whose words were displayed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    place: Seq,
    id: MessageId,
    name: String,
    at: Millis,
    /// Sign of its words, which are not kept here.
    sign: Option<u64>,
    /// Whether it became too old, and nobody took it back.
    expired: bool,
}

/// The messages whose words were displayed.
#[derive(Debug, Default)]
pub(super) struct Displayed {
    messages: VecDeque<Message>,
    /// The last place that was displayed.
    last: Seq,
    /// The last place that was searched for retractions.
    searched: Seq,
}

/// What a row takes from the history.
enum Takes {
    One(MessageId),
    /// What has become too old.
    Older,
}

impl Displayed {
    /// Begins with a history up to a place, whose retractions are in it.
    pub(super) fn from(searched: Seq) -> Self {
        Self { searched, ..Self::default() }
    }

    /// Returns the last place that was displayed.
    pub(super) const fn last(&self) -> Seq {
        self.last
    }

    /// Remembers that a row was displayed, `held` posts with their words.
    pub(super) fn add(&mut self, row: &Row, held: bool) {
        self.last = self.last.max(row.place);
        if let Some(id) = row.id.filter(|_| has_words(row, held)) {
            let sign = match &row.content {
                RowContent::Text(text) | RowContent::Held(text) => Some(sign_of(text)),
                _ => None,
            };
            self.remember(row.place, id, &row.name, row.at, sign);
        }
        // A quote shows another message's words, and so does the row of its edit.
        if let Some(quote) = &row.talk.quote
            && let Some(id) = quote.id
            && self.messages.iter().all(|message| message.place != quote.place)
        {
            self.remember(quote.place, id, &quote.name, quote.at, None);
        }
    }

    fn remember(&mut self, place: Seq, id: MessageId, name: &str, at: Millis, sign: Option<u64>) {
        let message = Message { place, id, name: name.to_owned(), at, sign, expired: false };
        self.messages.retain(|other| other.place != place);
        if self.messages.len() == DISPLAYED_MAX {
            self.messages.pop_front();
        }
        self.messages.push_back(message);
    }

    /// Forgets what is displayed no longer.
    pub(super) fn clear(&mut self) {
        self.messages.clear();
    }

    /// Returns the messages that new rows may take from the history.
    fn suspects(&self, takes: &[Takes]) -> Vec<Message> {
        let is_meant = |message: &&Message| {
            takes.iter().any(|takes| match takes {
                Takes::One(id) => *id == message.id,
                Takes::Older => true,
            })
        };
        self.messages.iter().filter(is_meant).cloned().collect()
    }
}

/// Returns a number that tells words apart, whatever space is between them.
fn sign_of(words: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    words.split_whitespace().for_each(|word| word.hash(&mut hasher));
    hasher.finish()
}

/// Whether a typed line said the words of one of these messages.
pub(super) fn said(line: &str, messages: &[Message]) -> bool {
    let line = line.trim();
    let words = match line.strip_prefix('/') {
        Some(rest) if rest.starts_with('/') => rest,
        Some(command) => match command.split_once(char::is_whitespace) {
            Some((word, words)) if word.eq_ignore_ascii_case("send") => words,
            _ => return false,
        },
        None => line,
    };
    let sign = Some(sign_of(words));
    messages.iter().any(|message| message.sign == sign)
}

fn has_words(row: &Row, held: bool) -> bool {
    match row.content {
        RowContent::Text(_) => true,
        RowContent::Held(_) => held,
        _ => false,
    }
}

fn takes(row: &Row) -> Option<Takes> {
    match &row.content {
        RowContent::Retraction(id) => Some(Takes::One(*id)),
        RowContent::Moderation { record, .. } => match &record.act {
            Act::Retract { message, .. } => Some(Takes::One(*message)),
            Act::Expire(_) => Some(Takes::Older),
            _ => None,
        },
        _ => None,
    }
}

impl Shell {
    /// Returns the displayed messages whose words the history has lost since the last call, and forgets that they were displayed.
    ///
    /// It does not rest on events, because events get lost, nor on what was displayed, because another shell may have displayed it.
    pub(super) async fn taken_back(&self) -> Result<Vec<Message>> {
        let mut found = Vec::new();
        loop {
            let from = Seq(self.displayed.borrow().searched.0.saturating_add(1));
            let rows = self.client.rows(&self.room, Page::From(from)).await?;
            let Some(last) = rows.last().map(|row| row.place) else { break };
            found.extend(rows.iter().filter_map(takes));
            self.displayed.borrow_mut().searched = last;
        }
        let suspects = self.displayed.borrow().suspects(&found);
        let mut gone = Vec::new();
        for message in suspects {
            let page = Page::Before(Seq(message.place.0.saturating_add(1)), 1);
            let rows = self.client.rows(&self.room, page).await?;
            let row = rows.first().filter(|row| row.place == message.place);
            // A retraction by somebody who may not retract it takes nothing.
            if row.is_none_or(|row| !has_words(row, true)) {
                let is_stone =
                    row.is_some_and(|row| matches!(row.content, RowContent::Tombstone { .. }));
                gone.push(Message { expired: !is_stone, ..message });
            }
        }
        let is_gone = |message: &Message| gone.iter().any(|gone| gone.place == message.place);
        self.displayed.borrow_mut().messages.retain(|message| !is_gone(message));
        Ok(gone)
    }
}

/// Says which messages are gone, in a part of a sentence.
pub(super) fn gone_words(gone: &[Message]) -> String {
    let (expired, taken): (Vec<_>, Vec<_>) = gone.iter().partition(|message| message.expired);
    let mut named: Vec<String> = taken
        .iter()
        .take(NAMED_MAX)
        .map(|message| {
            format!("of {}, {}", escape::one_line(&message.name), show::clock(message.at))
        })
        .collect();
    if let Some(rest) = taken.len().checked_sub(NAMED_MAX).filter(|rest| *rest > 0) {
        named.push(format!("and {}", counted(rest, "other", "others")));
    }
    let mut parts = Vec::new();
    if !taken.is_empty() {
        let messages = counted(taken.len(), "message was", "messages were");
        parts.push(format!("{messages} taken back ({})", named.join("; ")));
    }
    if !expired.is_empty() {
        let messages = counted(expired.len(), "message is", "messages are");
        parts.push(format!("{messages} no longer kept"));
    }
    parts.join(", and ")
}

#[cfg(test)]
pub(super) mod tests {
    use hearth_protocol::Digest;

    use super::*;

    pub(in crate::commands) fn row(place: u64, content: RowContent) -> Row {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&place.to_be_bytes());
        Row {
            seq: Seq(place),
            at: Millis(0),
            digest: Digest([1; 32]),
            from: None,
            name: "Fay".into(),
            id: Some(MessageId(id)),
            content,
            notices: Vec::new(),
            place: Seq(place),
            stamp: Millis(0),
            arrived: Millis(0),
            said: Millis(0),
            talk: hearth_engine::words::Talk::default(),
            changes: Vec::new(),
            shows: Vec::new(),
            proof: None,
        }
    }

    #[test]
    fn displayed_messages_are_bounded() {
        let mut displayed = Displayed::from(Seq(0));
        for _ in 0..2 {
            for place in 1..=2 * DISPLAYED_MAX as u64 {
                displayed.add(&row(place, RowContent::Text("words".into())), false);
            }
        }
        assert_eq!(displayed.messages.len(), DISPLAYED_MAX);
        assert_eq!(displayed.last(), Seq(2 * DISPLAYED_MAX as u64));
        let newest = row(2 * DISPLAYED_MAX as u64, RowContent::Nothing);
        assert_eq!(displayed.suspects(&[Takes::One(newest.id.unwrap())]).len(), 1);
        assert_eq!(displayed.suspects(&[Takes::One(row(1, RowContent::Nothing).id.unwrap())]), []);
    }

    #[test]
    fn lines_of_taken_messages_are_known() {
        let mut displayed = Displayed::from(Seq(0));
        displayed.add(&row(1, RowContent::Text("what I\nregret".into())), false);
        displayed.add(&row(2, RowContent::Text("/kept".into())), false);
        let gone = displayed.suspects(&[Takes::Older]);
        for line in ["what I regret", " what I\nregret ", "/send what I regret", "//kept"] {
            assert!(said(line, &gone), "{line}");
        }
        for line in ["what I", "what Iregret", "/pin what I regret", "/kept", "", "kept"] {
            assert!(!said(line, &gone), "{line}");
        }
        assert!(!said("what I regret", &[]));
    }

    #[test]
    fn rows_without_words_are_not_remembered() {
        let mut displayed = Displayed::from(Seq(0));
        displayed.add(&row(1, RowContent::Tombstone { by: None, category: None }), false);
        displayed.add(&row(2, RowContent::Held("words".into())), false);
        assert_eq!(displayed.messages.len(), 0);
        displayed.add(&row(2, RowContent::Held("words".into())), true);
        assert_eq!(displayed.suspects(&[Takes::Older]).len(), 1);
    }

    #[test]
    fn many_messages_are_counted() {
        let mut displayed = Displayed::from(Seq(0));
        for place in 1..=7 {
            displayed.add(&row(place, RowContent::Text("words".into())), false);
        }
        let mut gone = displayed.suspects(&[Takes::Older]);
        let words = gone_words(&gone);
        assert!(words.starts_with("7 messages were taken back (of Fay, "), "{words}");
        assert!(words.ends_with("; and 2 others)"), "{words}");
        gone.truncate(2);
        gone[0].expired = true;
        let words = gone_words(&gone);
        assert!(words.starts_with("1 message was taken back (of Fay, "), "{words}");
        assert!(words.ends_with("), and 1 message is no longer kept"), "{words}");
    }
}
