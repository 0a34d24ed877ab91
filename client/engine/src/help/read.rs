//! What a lane's history says of calls for help.

use std::{collections::BTreeMap, time::Duration};

use hearth_protocol::{MemberKey, MessageId, Millis};

use super::{Heard, Person};
use crate::{
    private::{Private, SeenState},
    state::{Notice, Row, RowContent},
};

/// What somebody said of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Their key.
    pub by: MemberKey,
    /// Their name.
    pub name: String,
    /// When.
    pub at: Millis,
    /// How far it is.
    pub state: SeenState,
    /// Their words.
    pub words: String,
}

/// A call that is not over, as those who moderate see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenCall {
    /// Id of its message.
    pub id: MessageId,
    /// Who called.
    pub by: MemberKey,
    /// Their name.
    pub name: String,
    /// When.
    pub at: Millis,
    /// Their words; of the last call in a lane their newest words there below.
    pub words: String,
    /// The moderator who took it over; without one, the first who saw it or wrote since.
    pub has: Option<Said>,
}

/// Returns what a row of a lane says of its owner's calls. `moderates` is by this profile's copy of the room; `now` is the own clock's
/// time, which can make a call older than it is and never younger than its row.
pub fn said_of(
    row: &Row,
    owner: MemberKey,
    moderates: impl Fn(&MemberKey) -> bool,
    now: Millis,
) -> Option<Heard> {
    let from = row.from?;
    let person = || Person {
        key: from,
        name: row.name.clone(),
        moderates: moderates(&from) && !row.notices.contains(&Notice::NoSeat),
    };
    match &row.content {
        RowContent::Private(private) => match &**private {
            Private::Flag(_) if from == owner => {
                let age = Duration::from_millis(now.0.saturating_sub(row.arrived.0));
                let age = if row.arrived == Millis(0) { Duration::ZERO } else { age };
                Some(Heard::Called { call: row.id?, at: row.at, age, in_lane: true })
            }
            Private::Seen(seen) => Some(Heard::Said {
                call: seen.message,
                who: person(),
                at: row.at,
                state: seen.state,
                words: seen.words.clone(),
            }),
            _ => None,
        },
        RowContent::Text(_) if from != owner => Some(Heard::Spoke(person())),
        _ => None,
    }
}

/// Returns the calls in the rows of a lane that are not over, oldest first.
pub fn open_calls(
    rows: &[Row],
    owner: MemberKey,
    moderates: impl Fn(&MemberKey) -> bool,
) -> Vec<OpenCall> {
    let mut calls: Vec<OpenCall> = Vec::new();
    let mut said: BTreeMap<MessageId, Vec<Said>> = BTreeMap::new();
    let mut newest: Option<(MessageId, &str)> = None;
    for row in rows {
        let Some(by) = row.from else { continue };
        let moderates = |by: &MemberKey| moderates(by) && !row.notices.contains(&Notice::NoSeat);
        let private = match &row.content {
            RowContent::Private(private) => private,
            RowContent::Text(text) if by == owner => {
                newest = calls.last().map(|call| (call.id, &**text));
                continue;
            }
            // A person wrote it, behind the call.
            RowContent::Text(_) if moderates(&by) => {
                for call in &calls {
                    let (name, state, words) = (row.name.clone(), SeenState::Seen, String::new());
                    let wrote = Said { by, name, at: row.at, state, words };
                    said.entry(call.id).or_default().push(wrote);
                }
                continue;
            }
            _ => continue,
        };
        match &**private {
            Private::Flag(words) if by == owner => {
                let Some(id) = row.id else { continue };
                let (name, at, words) = (row.name.clone(), row.at, words.clone());
                calls.push(OpenCall { id, by, name, at, words, has: None });
            }
            Private::Seen(seen) if moderates(&by) => {
                said.entry(seen.message).or_default().push(Said {
                    by,
                    name: row.name.clone(),
                    at: row.at,
                    state: seen.state,
                    words: seen.words.clone(),
                });
            }
            _ => {}
        }
    }
    calls.retain(|call| {
        let said = said.get(&call.id).map(Vec::as_slice).unwrap_or_default();
        said.iter().all(|said| said.state != SeenState::Resolved)
    });
    for call in &mut calls {
        let said = said.remove(&call.id).unwrap_or_default();
        let goes_on = said.iter().rev().find(|said| said.state == SeenState::Closed).cloned();
        call.has = goes_on.or_else(|| said.into_iter().next());
        if let Some((_, more)) = newest.filter(|(id, _)| *id == call.id) {
            call.words = match call.words.trim() {
                "" => more.to_owned(),
                words => format!("{words}; more words: {more}"),
            };
        }
    }
    calls
}
