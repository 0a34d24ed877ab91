//! The oracle: what everybody may have, compared with what they have.

use std::collections::{BTreeMap, HashMap, HashSet};

use hearth_engine::{
    accord::{MISMATCHES_MAX, Mismatch},
    policy::Act,
    state::{Notice, Row, RowContent, Standing},
};
use hearth_protocol::{Digest, Entry, MemberKey, MessageId, Millis, Seq};

use crate::world::{
    Person,
    lies::{FALSE_UNTIL, Op, SILENT_SECONDS},
};

/// Seqs of a log and what is there.
pub(super) type Log = BTreeMap<u64, Digest>;

/// The truth that the driver knows.
#[derive(Default)]
pub(super) struct Oracle {
    /// Every text, by whom, and what its author had seen.
    pub(super) texts: HashMap<String, (MemberKey, Log)>,
    /// Whom a facilitator meant to admit.
    pub(super) authorised: HashSet<MemberKey>,
    pub(super) facilitators: HashSet<MemberKey>,
    /// A member who says goodbye.
    pub(super) leaver: Option<MemberKey>,
    /// When each member joined, in order.
    pub(super) order: Vec<MemberKey>,
}

/// Returns what a history says of the log.
pub(super) fn log_of(rows: &[Row]) -> Log {
    let known = rows.iter().filter(|r| !r.is_unknown());
    known.map(|r| (r.seq.0, r.digest)).collect()
}

/// Returns what a history says of the log since the last point that it cannot see behind.
pub(super) fn view_of(rows: &[Row]) -> Log {
    let begins = rows.iter().rposition(Row::is_unknown).map_or(0, |at| at + 1);
    log_of(&rows[begins..])
}

/// Returns the seq from which on an author's message vouches for the log, by the author's own history.
fn vouches_from(own: &[Row], message: Option<MessageId>) -> u64 {
    let sent = own.iter().position(|row| row.id.is_some() && row.id == message);
    let before = &own[..sent.unwrap_or(own.len())];
    // Entries behind such an entry are vouched for only while nothing else came after it.
    let known = before.iter().rposition(|row| !row.is_unknown()).map_or(0, |at| at + 1);
    let unknown = before[..known].iter().rposition(Row::is_unknown);
    unknown.map_or(0, |at| before[at].seq.0 + 1)
}

const fn words(row: &Row) -> Option<&String> {
    match &row.content {
        RowContent::Text(text) | RowContent::Held(text) => Some(text),
        _ => None,
    }
}

impl Oracle {
    /// Checks everything about honest people that holds at any time.
    pub(super) fn check(&self, people: &[&Person]) -> Vec<String> {
        let all: Vec<(&Person, Vec<Row>)> = people.iter().map(|p| (*p, p.rows())).collect();
        let mut wrong = Vec::new();
        for (person, rows) in &all {
            let mut found = Vec::new();
            self.words(rows, &mut found);
            self.moderation(rows, &mut found);
            Self::times(person, rows, &mut found);
            self.roster(person, &mut found);
            for (author, own) in &all {
                if author.key != person.key {
                    self.gaps((person, rows), (author, own), &mut found);
                }
            }
            self.forks(person, rows, &all, &mut found);
            self.signed(person, rows, &mut found);
            wrong.extend(found.into_iter().map(|what| format!("{}: {what}", person.name)));
        }
        wrong
    }

    /// I2 and I4: every text is its author's, and is there once.
    fn words(&self, rows: &[Row], wrong: &mut Vec<String>) {
        let mut seen = HashSet::new();
        for row in rows {
            let Some(text) = words(row) else { continue };
            match self.texts.get(text) {
                Some((author, _)) if row.from == Some(*author) => {}
                _ => wrong.push(format!("I2: {text:?} at {} is not its author's", row.seq)),
            }
            if !seen.insert(text) {
                wrong.push(format!("I4: {text:?} is shown twice"));
            }
        }
    }

    /// Only facilitators moderate, and a pause holds what comes against it.
    fn moderation(&self, rows: &[Row], wrong: &mut Vec<String>) {
        let mut paused = Millis(0);
        for row in rows {
            match &row.content {
                RowContent::Moderation { record, .. } => {
                    // Any member carries out a departure.
                    let departs = matches!(record.act, Act::Depart(_));
                    if !departs && !self.facilitators.contains(&record.actor) {
                        wrong.push(format!("I6: a non-facilitator moderated at {}", row.seq));
                    }
                    match &record.act {
                        Act::Pause { until, .. } => paused = *until,
                        Act::Resume => paused = Millis(0),
                        _ => {}
                    }
                }
                RowContent::Text(text)
                    if row.at < paused
                        && row.from.is_none_or(|from| !self.facilitators.contains(&from)) =>
                {
                    wrong.push(format!("T9: {text:?} was said against a pause"));
                }
                _ => {}
            }
        }
    }

    /// T10: no entry is shown with a time that is still to come, by the reader's clock or the relay's.
    fn times(person: &Person, rows: &[Row], wrong: &mut Vec<String>) {
        let Some(room) = person.room() else { return };
        let cursor = room.cursor();
        let own = person.now().max(cursor.own_clock);
        for row in rows.iter().filter(|row| row.at > own || row.arrived > own) {
            let (seq, at, arrived) = (row.seq, row.at.0, row.arrived.0);
            wrong.push(format!("T10: {seq} is of {at}, arrived at {arrived}, and it is {}", own.0));
        }
    }

    /// T10: no text is left.
    pub(super) fn erased(person: &Person) -> Option<String> {
        let member = person.room().is_some_and(|room| room.state().standing == Standing::Member);
        let left = person.rows().iter().filter(|row| words(row).is_some()).count();
        (member && left > 0).then(|| format!("T10: {left} texts stay with {}", person.name))
    }

    /// A5, A9: what the relay said of the rules and no record does is told after a visit that compared it.
    pub(super) fn rules(&self, person: &Person, ruled: Option<(Option<Op>, Seq)>) -> Vec<String> {
        let (Some(mut room), Some((op, head))) = (person.room(), ruled) else { return Vec::new() };
        if !person.has_compared() || head != room.cursor().seq || room.policy().is_err() {
            return Vec::new();
        }
        let rows = person.rows();
        let found = room.mismatches().unwrap();
        let moderates = room.my_role().unwrap().moderates();
        let mut wrong = Vec::new();
        let name = &person.name;
        let expired = rows.iter().any(Row::is_unknown);
        let (told, what) = match op {
            Some(Op::SilentLimit) => (
                found.iter().any(|what| matches!(what, Mismatch::Slow { relay, .. } if *relay == SILENT_SECONDS)),
                "a silent limit",
            ),
            Some(Op::SilentRemove) => {
                (found.iter().any(|what| matches!(what, Mismatch::Lacking { .. })), "a silent removal")
            }
            // Its note may have expired unread. Those who moderate have none, and are told when the relay refuses.
            Some(Op::FalseTimeout) => (
                expired || moderates || found.iter().any(|what| matches!(what, Mismatch::TimeOut { relay, .. } if *relay == FALSE_UNTIL)),
                "a false time-out",
            ),
            _ => (true, ""),
        };
        if !told {
            wrong.push(format!("A5: {name} was not told of {what}"));
        }
        // A member who went on from a later epoch of the others has rows of a log that is gone.
        let since = rows.iter().rposition(Row::is_unknown).map_or(0, |at| at + 1);
        let silent = rows[since..].iter().filter(|row| {
            matches!(row.content, RowContent::Tombstone { by: None, .. }) && row.from.is_none()
        });
        for row in silent.take(MISMATCHES_MAX / 2) {
            let what = Mismatch::Retracted { place: row.place };
            if room.cursor().breaks.is_empty() && !found.contains(&what) {
                wrong.push(format!("A5: {name} was not told that entry {} was deleted", row.seq));
            }
        }
        wrong
    }

    /// No decline, time-out or departure is shown without the signature behind it.
    fn signed(&self, person: &Person, rows: &[Row], wrong: &mut Vec<String>) {
        let name = &person.name;
        let standing = person.room().map(|room| room.state().standing.clone());
        if matches!(standing, Some(Standing::Declined { by: Some(_), .. })) {
            wrong.push(format!("A9: {name} takes a decline for a facilitator's"));
        }
        for row in rows {
            match row.content {
                RowContent::MyTimeout { .. } => {
                    wrong.push(format!("A9: {name} takes a time-out for a facilitator's"));
                }
                RowContent::Goodbye { .. } if row.from != self.leaver => {
                    wrong.push(format!("A3: {} is said to leave at {}", row.name, row.seq));
                }
                _ => {}
            }
        }
    }

    /// I6: nobody is inside whom no facilitator let in.
    fn roster(&self, person: &Person, wrong: &mut Vec<String>) {
        let Some(mut room) = person.room() else { return };
        let Ok(roster) = room.roster() else { return };
        for leaf in roster {
            if !self.authorised.contains(&leaf.member) {
                wrong.push(format!("I6: {} is in the room, and nobody let them in", leaf.name));
            }
        }
    }

    /// I5: what is missing of an author, before something that is not, was reported.
    fn gaps(
        &self,
        (reader, rows): (&Person, &[Row]),
        (author, own): (&Person, &[Row]),
        wrong: &mut Vec<String>,
    ) {
        let sent: Vec<MessageId> =
            own.iter().filter(|r| r.from == author.key).filter_map(|r| r.id).collect();
        let got: HashSet<MessageId> =
            rows.iter().filter(|r| r.from == author.key).filter_map(|r| r.id).collect();
        let Some(last) = sent.iter().rposition(|id| got.contains(id)) else { return };
        let place = |p: &Person| self.order.iter().position(|m| Some(*m) == p.key);
        let earlier = place(reader) < place(author);
        let first = if earlier { Some(0) } else { sent.iter().position(|id| got.contains(id)) };
        let missing = (first.unwrap_or(0)..last).filter(|at| !got.contains(&sent[*at])).count();
        let mut told = 0;
        for row in rows {
            if matches!(row.content, RowContent::Tombstone { .. }) && row.id.is_none() {
                told += 1;
            }
            for notice in &row.notices {
                match notice {
                    Notice::Gap(gap) if row.from == author.key => {
                        told += usize::try_from(*gap).unwrap_or(usize::MAX / 2);
                    }
                    Notice::Missing { .. } | Notice::Expired { .. } => told = usize::MAX / 2,
                    _ => {}
                }
            }
        }
        if missing > told {
            let name = &author.name;
            wrong.push(format!("I5: {missing} of {name}'s messages are missing, {told} reported"));
        }
    }

    /// I3: who reads a message of an author that saw another log is told, as far as the author's client vouches for it: since
    /// the last entry that expired unread before the message went out.
    fn forks(
        &self,
        person: &Person,
        rows: &[Row],
        all: &[(&Person, Vec<Row>)],
        wrong: &mut Vec<String>,
    ) {
        let mine = view_of(rows);
        let Some((&begins, _)) = mine.first_key_value() else { return };
        for row in rows {
            let Some((author, theirs)) = words(row).and_then(|text| self.texts.get(text)) else {
                continue;
            };
            let (Some((&first, _)), Some((&last, _))) =
                (theirs.first_key_value(), theirs.last_key_value())
            else {
                continue;
            };
            let own = all.iter().find(|(other, _)| other.key == Some(*author));
            let vouched = own.map_or(0, |(_, own)| vouches_from(own, row.id));
            let from = first.max(begins).max(vouched);
            let differs = (from..=last).find(|seq| theirs.get(seq) != mine.get(seq));
            if let Some(seq) = differs
                && Some(*author) != person.key
                && !person.warned()
            {
                wrong.push(format!(
                    "I3: the author of what is at {} saw something else at {seq}, and its reader was not told",
                    row.seq
                ));
            }
        }
    }

    /// Whether a history is the relay's log, as far as another member's words in it vouch for that: a difference that nobody
    /// writes after, whom this person can read, is told by nothing.
    pub(super) fn agrees(person: &Person, rows: &[Row], joined: u64, truth: &[Entry]) -> bool {
        let mine = log_of(rows);
        let last = mine.last_key_value().map_or(joined, |(seq, _)| *seq);
        let same = |seq: u64| {
            let entry = usize::try_from(seq - 1).ok().and_then(|at| truth.get(at));
            entry.is_some_and(|e| mine.get(&seq) == Some(&e.content.digest()))
        };
        let differs = (joined + 1..=last).find(|seq| !same(*seq));
        let heard = |row: &Row| words(row).is_some() && row.from != person.key;
        differs.is_none_or(|seq| !rows.iter().any(|row| row.seq.0 > seq && heard(row)))
    }
}
