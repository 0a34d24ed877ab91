//! What a member missed, by round and question. It is made on this device, and nobody is told.

use std::collections::{BTreeMap, BTreeSet};

use hearth_engine::{
    content::Ref,
    floor::{Change, Op},
    policy::Act,
    room::any_alarm,
    state::{Row, RowContent},
};
use hearth_protocol::{MemberKey, Millis, Seq};
use hearth_session::client::{PAGE_MAX, Page};
use hearth_text::{count::counted, escape};
use serde_json::json;

use super::{Result, outcome::not_verified, shell::Shell};
use crate::show::{self, View};

/// Rows of one digest; the next one goes on.
const DIGEST_MAX: usize = 2_048;
/// Rows before a digest that are searched for the beginning of a round.
const BEFORE_MAX: usize = 4 * PAGE_MAX;

/// What a part of a digest is about.
enum Head {
    Round {
        topic: String,
        /// Whether it began before the digest.
        goes_on: bool,
        turns: BTreeSet<MemberKey>,
    },
    Asked {
        ask: Ref,
        text: Option<String>,
        answered: BTreeSet<MemberKey>,
    },
}

/// A part of a digest.
struct Part {
    head: Head,
    rows: Vec<Row>,
}

/// What was missed, in parts, and the rest in order.
#[derive(Default)]
struct Digest {
    parts: Vec<Part>,
    rest: Vec<Row>,
    /// The part of the round that is on.
    round: Option<usize>,
    /// Places that the digest has.
    places: BTreeSet<Seq>,
    alarm: bool,
}

/// Returns the round that a row leaves on, if the row says so: `Some(None)` that none is on.
fn round_after(row: &Row) -> Option<Option<String>> {
    row.changes.iter().rev().find_map(|change| match change {
        Change::Began { .. } => Some(Some(match &row.content {
            RowContent::Floor(Some(Op::Start { topic, .. })) => topic.clone(),
            _ => String::new(),
        })),
        Change::Ended { .. } | Change::Unknown => Some(None),
        _ => None,
    })
}

/// Puts the words of a record into one line.
fn in_one_line(content: &mut RowContent) {
    if let RowContent::Moderation { record, .. } = content
        && let Act::Announce(words) | Act::Pause { comment: words, .. } = &mut record.act
    {
        *words = words.split_whitespace().collect::<Vec<_>>().join(" ");
    }
}

impl Digest {
    fn begin_round(&mut self, topic: String, goes_on: bool) {
        self.round = Some(self.parts.len());
        let head = Head::Round { topic, goes_on, turns: BTreeSet::new() };
        self.parts.push(Part { head, rows: Vec::new() });
    }

    /// Takes a row, oldest first.
    fn take(&mut self, mut row: Row) {
        self.alarm |= any_alarm(std::slice::from_ref(&row));
        self.alarm |= row.changes.iter().any(Change::is_alarm);
        self.places.insert(row.place);
        let after = round_after(&row);
        if let Some(Some(topic)) = &after {
            self.begin_round(topic.clone(), false);
        }
        for change in std::mem::take(&mut row.changes) {
            match &change {
                Change::Began { holder, .. } | Change::Turn { holder, .. } => {
                    if let Some(Head::Round { turns, .. }) = self.of_round().map(|p| &mut p.head) {
                        turns.insert(*holder);
                    }
                }
                Change::AskClosed { asked, .. } => {
                    let ask = asked.ask;
                    let closed = Row { changes: vec![change], notices: Vec::new(), ..bare(&row) };
                    self.of_ask(ask).rows.push(closed);
                }
                change if change.is_alarm() || matches!(change, Change::Unknown) => {
                    row.changes.push(change.clone());
                }
                _ => {}
            }
        }
        // A round whose time is over ends at the next entry, which is no part of it.
        if after == Some(None) {
            self.round = None;
        }
        in_one_line(&mut row.content);
        self.place(row);
    }

    /// Puts a row where it belongs.
    fn place(&mut self, row: Row) {
        let answers = match &row.content {
            RowContent::Vote { ask, .. } => Some(*ask),
            RowContent::Text(_) => row.talk.answers,
            _ => None,
        };
        if let Some(ask) = answers {
            let part = self.of_ask(ask);
            if let (Head::Asked { answered, .. }, Some(from)) = (&mut part.head, row.from) {
                answered.insert(from);
            }
            part.rows.push(row);
            return;
        }
        match &row.content {
            RowContent::Asked(ask) => {
                let to = Ref { seq: row.seq, digest: row.digest };
                let words = ask.text.clone();
                if let Head::Asked { text, .. } = &mut self.of_ask(to).head {
                    *text = Some(words);
                }
                self.keep_findings(&row);
            }
            RowContent::Text(_) => match self.of_round() {
                Some(part) => part.rows.push(row),
                None => self.rest.push(row),
            },
            // Their message is here, as it stands now.
            RowContent::Reaction { to: of, .. }
            | RowContent::Edit { of, .. }
            | RowContent::Cover { to: of, .. }
                if self.places.contains(of) =>
            {
                self.keep_findings(&row);
            }
            RowContent::Reaction { .. } | RowContent::Duty(_) | RowContent::Floor(_) => {
                self.keep_findings(&row);
            }
            _ => self.rest.push(row),
        }
    }

    /// Keeps of a row what was found wrong with it.
    fn keep_findings(&mut self, row: &Row) {
        if !row.notices.is_empty() || !row.changes.is_empty() {
            self.rest.push(bare(row));
        }
    }

    /// Counts the messages that are shown.
    fn messages(&self, view: &View<'_>) -> usize {
        let is_said = |row: &&Row| matches!(row.content, RowContent::Text(_)) && !view.hides(row);
        let rows = self.parts.iter().flat_map(|part| &part.rows).chain(&self.rest);
        rows.filter(is_said).count()
    }

    fn of_round(&mut self) -> Option<&mut Part> {
        self.round.and_then(|round| self.parts.get_mut(round))
    }

    fn of_ask(&mut self, wanted: Ref) -> &mut Part {
        let is_it = |part: &Part| matches!(&part.head, Head::Asked { ask, .. } if *ask == wanted);
        let at = self.parts.iter().position(is_it).unwrap_or_else(|| {
            let head = Head::Asked { ask: wanted, text: None, answered: BTreeSet::new() };
            self.parts.push(Part { head, rows: Vec::new() });
            self.parts.len() - 1
        });
        &mut self.parts[at]
    }
}

/// Returns a row without its content.
fn bare(row: &Row) -> Row {
    let talk = hearth_engine::words::Talk::default();
    Row { content: RowContent::Nothing, talk, shows: Vec::new(), ..row.clone() }
}

impl Head {
    fn json(&self) -> serde_json::Value {
        match self {
            Self::Round { topic, turns, .. } => {
                json!({"kind": "catchup", "round": topic, "turns": turns.len()})
            }
            Self::Asked { text, answered, .. } => {
                json!({"kind": "catchup", "asked": text, "answered": answered.len()})
            }
        }
    }

    fn words(&self) -> String {
        match self {
            Self::Round { topic, goes_on, turns } => {
                let begin = if *goes_on { "The round goes on" } else { "A round" };
                let colon = if topic.is_empty() { "" } else { ": " };
                let topic = escape::one_line(topic);
                format!("{begin}{colon}{topic} ({} had a turn)", turns.len())
            }
            Self::Asked { text, answered, .. } => {
                let text = match text {
                    Some(text) => format!("Asked: {}", escape::one_line(text)),
                    None => "Asked earlier".to_owned(),
                };
                format!("{text} ({} answered)", answered.len())
            }
        }
    }
}

impl Shell {
    /// Prints what is new, or what came since a time, in short; then remembers that it was displayed.
    ///
    /// # Errors
    /// `verification_failed` if an alarm was among it.
    pub(super) async fn catchup(&self, since: Option<Millis>) -> Result<()> {
        let read = self.printed();
        let start = match since {
            None => Seq(read.0.saturating_add(1)),
            Some(since) => self.place_since(since).await?,
        };
        let mut digest = Digest::default();
        if let Some(topic) = self.round_before(start).await? {
            digest.begin_round(topic, true);
        }
        let (mut from, mut count, mut last) = (start, 0, None);
        while count < DIGEST_MAX {
            let rows = self.client.rows(&self.room, Page::From(from)).await?;
            let Some(newest) = rows.last().map(|row| row.place) else { break };
            count += rows.len();
            for row in rows {
                for released in self.released_with(&row).await? {
                    digest.take(released);
                }
                digest.take(row);
            }
            (from, last) = (Seq(newest.0.saturating_add(1)), Some(newest));
        }
        self.print_digest(&mut digest, start, since.is_some()).await?;
        let more = !self.client.rows(&self.room, Page::From(from)).await?.is_empty();
        // What lies between the last line that was read and a later time was not printed.
        if let Some(last) = last.filter(|_| start.0 <= read.0.saturating_add(1)) {
            self.was_shown(last).await?;
        }
        if more {
            let text = "-- there is more: `hearth catchup ROOM` goes on";
            self.out.remark(&self.out.advice(text));
        }
        let alarm = self.tell_mismatches().await?;
        if digest.alarm || alarm { Err(not_verified()) } else { Ok(()) }
    }

    async fn print_digest(&self, digest: &mut Digest, start: Seq, since: bool) -> Result<()> {
        let state = self.view();
        let view = self.lens(&state, self.printed());
        self.name_questions(digest).await?;
        // A round in which nothing was said since it went on is not news.
        digest.parts.retain(|part| {
            !part.rows.is_empty() || !matches!(part.head, Head::Round { goes_on: true, .. })
        });
        digest.rest.retain(|row| view.shows(row));
        if digest.parts.is_empty() && digest.rest.is_empty() {
            let text = if since { "Nothing came since then." } else { "You have read everything." };
            return Ok(self.out.say_none(text)?);
        }
        let before = self.client.rows(&self.room, Page::Before(start, 1)).await?;
        let at = before.last().map(|row| row.at);
        let count = digest.messages(&view);
        let messages = counted(count, "message", "messages");
        let text = match at {
            Some(at) => format!("-- since {}: {messages} --", show::clock(at)),
            None => format!("-- {messages} --"),
        };
        let object = json!({
            "kind": "catchup", "since": at.map(show::rfc3339), "messages": count,
        });
        self.out.say(&object, &text)?;
        for part in &digest.parts {
            self.out.say(&part.head.json(), &part.head.words())?;
            self.print_all(&view, &part.rows)?;
        }
        if !digest.parts.is_empty() && !digest.rest.is_empty() {
            self.out.say_none("-- besides --")?;
        }
        self.print_all(&view, &digest.rest)
    }

    fn print_all(&self, view: &View<'_>, rows: &[Row]) -> Result<()> {
        for row in rows {
            view.row(&self.out, row)?;
            if !view.hides(row) {
                self.displayed.borrow_mut().add(row, false);
            }
        }
        Ok(())
    }

    /// Adds their words to questions that were asked before the digest begins.
    async fn name_questions(&self, digest: &mut Digest) -> Result<()> {
        let mut found = BTreeMap::new();
        for part in &digest.parts {
            if let Head::Asked { ask, text: None, .. } = &part.head {
                let row = self.row_at(ask.seq).await?.filter(|row| row.digest == ask.digest);
                if let Some(RowContent::Asked(asked)) = row.map(|row| row.content) {
                    found.insert(ask.seq, asked.text);
                }
            }
        }
        for part in &mut digest.parts {
            if let Head::Asked { ask, text: text @ None, .. } = &mut part.head {
                *text = found.remove(&ask.seq);
            }
        }
        Ok(())
    }

    /// Returns the place of the first row since a time.
    async fn place_since(&self, since: Millis) -> Result<Seq> {
        let mut before = Seq(u64::MAX);
        loop {
            let rows = self.client.rows(&self.room, Page::Before(before, PAGE_MAX)).await?;
            let Some(first) = rows.first() else { return Ok(Seq(0)) };
            if let Some(older) = rows.iter().rev().find(|row| row.at < since) {
                return Ok(Seq(older.place.0.saturating_add(1)));
            }
            before = first.place;
        }
    }

    /// Returns what the round is about that is on before a place.
    async fn round_before(&self, start: Seq) -> Result<Option<String>> {
        let (mut before, mut looked) = (start, 0);
        while looked < BEFORE_MAX {
            let rows = self.client.rows(&self.room, Page::Before(before, PAGE_MAX)).await?;
            let Some(first) = rows.first() else { break };
            (before, looked) = (first.place, looked + rows.len());
            if let Some(round) = rows.iter().rev().find_map(round_after) {
                return Ok(round);
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use hearth_engine::{
        floor::{Ask, Ending, Form},
        state::Notice,
    };

    use super::*;
    use crate::commands::displayed::tests::row;

    const BEN: MemberKey = MemberKey([1; 32]);
    const ELI: MemberKey = MemberKey([2; 32]);

    fn said(place: u64, from: MemberKey) -> Row {
        Row { from: Some(from), ..row(place, RowContent::Text(format!("words {place}"))) }
    }

    fn round(place: u64) -> Row {
        let order = vec![BEN, ELI];
        let start = Op::Start { order, topic: "sleep".into(), seconds: 0, until: Millis::NEVER };
        let began = Change::Began { round: Seq(place), holder: BEN };
        Row { changes: vec![began], ..row(place, RowContent::Floor(Some(start))) }
    }

    fn digest(rows: impl IntoIterator<Item = Row>) -> Digest {
        let mut digest = Digest::default();
        rows.into_iter().for_each(|row| digest.take(row));
        digest
    }

    fn places(rows: &[Row]) -> Vec<u64> {
        rows.iter().map(|row| row.place.0).collect()
    }

    #[test]
    fn round_keeps_its_words_together() {
        let turn = Change::Turn { holder: ELI, turn: 1 };
        let ended = Change::Ended { round: Seq(1), how: Ending::Time };
        let digest = digest([
            said(1, ELI),
            round(2),
            said(3, BEN),
            Row { changes: vec![turn], ..row(4, RowContent::Floor(None)) },
            said(5, ELI),
            Row { changes: vec![ended], ..said(6, BEN) },
        ]);
        let [part] = digest.parts.as_slice() else { panic!("one round") };
        assert_eq!(part.head.words(), "A round: sleep (2 had a turn)");
        assert_eq!(places(&part.rows), [3, 5]);
        assert_eq!(places(&digest.rest), [1, 6]);
    }

    #[test]
    fn answers_stand_below_their_question() {
        let ask = Ask {
            form: Form::Prompt,
            text: "What helped?".into(),
            options: Vec::new(),
            until: Millis::NEVER,
            after_own: false,
            part: None,
        };
        let asked = row(2, RowContent::Asked(ask));
        let to = Ref { seq: asked.seq, digest: asked.digest };
        let answer = |place, from, to| {
            let mut answer = said(place, from);
            answer.talk.answers = Some(to);
            answer
        };
        let earlier = Ref { seq: Seq(1), ..to };
        let digest = digest([
            asked,
            said(3, ELI),
            answer(4, BEN, to),
            answer(5, BEN, to),
            answer(6, ELI, earlier),
        ]);
        let heads: Vec<String> = digest.parts.iter().map(|part| part.head.words()).collect();
        assert_eq!(heads, ["Asked: What helped? (1 answered)", "Asked earlier (1 answered)"]);
        assert_eq!(places(&digest.parts[0].rows), [4, 5]);
        assert_eq!(places(&digest.rest), [3]);
    }

    /// What is left out of a digest keeps what was found wrong with it.
    #[test]
    fn findings_stay_in_the_digest() {
        let reaction = RowContent::Reaction { to: Seq(1), kind: 1 };
        let fine = row(2, reaction.clone());
        let odd = Row { notices: vec![Notice::CounterReused], ..row(3, reaction) };
        let digest = digest([said(1, BEN), fine, odd]);
        assert_eq!(places(&digest.rest), [1, 3]);
        assert!(digest.alarm);
    }
}
