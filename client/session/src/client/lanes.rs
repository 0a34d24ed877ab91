//! Lanes as a shell sees them, and what it asks of them.

use std::sync::Arc;

use hearth_engine::{
    EngineError, Room, content::Ref, lane::Lane, private::Private, share::shared_text, state::Row,
    words::Words,
};
use hearth_protocol::{MemberKey, MessageId, Millis, RoomId, Seq};
use hearth_text::escape;

use super::{
    act::inert,
    command::{AskError, Outcome, Question},
    hub::{PAGE_MAX, Page},
    view::Waiting,
};
use crate::live::Live;

/// Unread messages of a lane that are counted.
pub const UNREAD_MAX: usize = 99;

/// A lane at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneView {
    /// Its id.
    pub id: RoomId,
    /// Whose it is; `None`: the desk.
    pub owner: Option<MemberKey>,
    /// The name that its owner has, or had last; empty for the desk.
    pub name: String,
    /// Whether this member has a seat.
    pub seated: bool,
    /// Names of those who read along, this member apart; none before the first connection.
    pub readers: Vec<String>,
    /// The last place in its history.
    pub last: Seq,
    /// The last place that was displayed.
    pub shown: Seq,
    /// When its last words came; 0: there are none.
    pub last_at: Millis,
    /// Messages of others, and alarms, behind what was displayed; at most [`UNREAD_MAX`].
    pub unread: usize,
    /// Messages that wait to be sent, oldest first.
    pub outbox: Vec<Waiting>,
    /// Why nothing comes in or goes out.
    pub trouble: Option<String>,
}

/// What a shell asks in a lane.
#[derive(Clone, Debug)]
pub enum LaneCommand {
    /// Say something. What cannot go out now waits in the outbox.
    Say(Words),
    /// Say something that counts in lanes only.
    Private(Private),
    /// Answer what was asked in the room to be answered here.
    Answer {
        /// The question.
        ask: Ref,
        /// The words.
        text: String,
    },
    /// Say yes to an anonymous share of this lane, by its id.
    Release(MessageId),
    /// Retract an own message, by its place.
    Retract(Seq),
    /// Send what waits, with a message that is in the outbox already.
    SendQueued(MessageId),
    /// Drop a message that waits.
    Drop(MessageId),
    /// History up to a place was displayed.
    Shown(Seq),
}

impl LaneView {
    fn of(lane: &mut Lane<'_>, trouble: Option<String>, live: bool) -> Result<Self, EngineError> {
        let (id, owner, seated) = (lane.id(), lane.owner(), lane.is_seated());
        let mut readers = Vec::new();
        if live && seated {
            let me = lane.me();
            let seats = lane.seats()?.into_iter().filter(|(member, _)| *member != me);
            readers = seats.map(|(_, name)| name).collect();
        }
        let room = lane.room();
        let held = room.held_texts()?;
        let waiting = room.waiting_texts()?.into_iter();
        let outbox = waiting.map(|(id, written_at, text)| Waiting {
            id,
            written_at,
            text,
            held: held.iter().find(|(other, _)| *other == id).map(|(_, why)| *why),
            doubtful: false,
        });
        let outbox = outbox.collect();
        let last = room.history_back(Seq(u64::MAX), 1)?.pop();
        let words = room.history_back(Seq(u64::MAX), UNREAD_MAX)?;
        let words = words.into_iter().rev().find(|row| row.id.is_some());
        let shown = room.state().shown;
        let me = room.me();
        let calls = |row: &Row| {
            let from_others = row.id.is_some() && row.from != Some(me);
            from_others || row.notices.iter().any(hearth_engine::state::Notice::is_alarm)
        };
        let unread = room.history(Seq(shown.0.saturating_add(1)), UNREAD_MAX)?;
        Ok(Self {
            id,
            owner,
            name: String::new(),
            seated,
            readers,
            last: last.as_ref().map_or(Seq(0), |row| row.place),
            shown,
            last_at: words.map_or(Millis(0), |row| row.at),
            unread: unread.iter().filter(|row| calls(row)).count(),
            outbox,
            trouble,
        })
    }

    /// Returns the views of all lanes of a room: the desk first, then by owner's key.
    pub(super) fn all(
        room: &mut Room<'_>,
        mut live: Option<&mut Live<'_>>,
    ) -> Result<Arc<[Self]>, EngineError> {
        let mut views: Vec<Self> = Vec::new();
        let names = room.known_names()?;
        for mut kept in room.lanes()? {
            let id = kept.id();
            let trouble = live.as_ref().and_then(|live| live.lane_trouble(id));
            views.push(match live.as_mut().and_then(|live| live.lane(id)) {
                Some(lane) => Self::of(lane, trouble, true)?,
                None => Self::of(&mut kept, trouble, false)?,
            });
        }
        for view in &mut views {
            let name = view.owner.and_then(|owner| names.get(&owner).cloned());
            view.name = name.or_else(|| view.owner.map(|owner| owner.short())).unwrap_or_default();
        }
        views.sort_by_key(|view| view.owner);
        Ok(views.into())
    }
}

/// Checks what the room says of a lane's message, and makes it ready.
pub(super) fn prepare(
    room: &mut Room<'_>,
    lane: RoomId,
    what: LaneCommand,
) -> Result<LaneCommand, AskError> {
    Ok(match what {
        LaneCommand::Private(Private::Anon(words)) => {
            room.check_share()?;
            let words = shared_text(&escape::sanitize_input(&words)?);
            LaneCommand::Private(Private::Anon(words))
        }
        LaneCommand::Private(Private::Report(report)) => {
            room.check_report(&report)?;
            LaneCommand::Private(Private::Report(report))
        }
        LaneCommand::Release(message) => LaneCommand::Private(room.release_share(lane, &message)?),
        what => what,
    })
}

/// Returns what a person is asked before a lane's message.
pub(super) fn question(
    room: &mut Room<'_>,
    what: &LaneCommand,
) -> Result<Option<Question>, AskError> {
    let LaneCommand::Private(Private::Anon(_)) = what else { return Ok(None) };
    let policy = room.policy()?;
    let bench = room.roster()?.into_iter().filter(|leaf| policy.role(&leaf.member).moderates());
    Ok(Some(Question::Share { readers: bench.map(|leaf| leaf.name).collect() }))
}

/// Puts what is said in a lane into its outbox; returns its id, or `None` if there is nothing to send.
pub(super) fn queue(
    lane: &mut Lane<'_>,
    what: LaneCommand,
    now: Millis,
) -> Result<Option<MessageId>, AskError> {
    let needs_seat =
        !matches!(what, LaneCommand::Shown(_) | LaneCommand::SendQueued(_) | LaneCommand::Drop(_));
    if needs_seat && !lane.is_seated() {
        return Err(EngineError::NotSeated.into());
    }
    if needs_seat && lane.owner_is_gone()? {
        return Err(EngineError::OwnerGone.into());
    }
    Ok(match what {
        LaneCommand::Say(words) => Some(lane.queue_words(inert(&words)?, now)?),
        LaneCommand::Private(private) => Some(lane.queue_private(harmless(private)?, now)?),
        LaneCommand::Answer { ask, text } => {
            Some(lane.queue_answer(ask, escape::sanitize_input(&text)?, now)?)
        }
        // Made of a share by `prepare`.
        LaneCommand::Release(_) => None,
        LaneCommand::Retract(place) => Some(lane.retract(place, now)?),
        LaneCommand::SendQueued(id) => Some(id),
        LaneCommand::Drop(id) => {
            lane.drop_waiting(&id)?;
            None
        }
        LaneCommand::Shown(place) => {
            lane.mark_shown(place)?;
            None
        }
    })
}

/// Sends what waits in a lane, and says what became of one message.
pub(super) async fn send(
    live: &mut Live<'_>,
    lane: RoomId,
    id: MessageId,
) -> Result<Outcome, AskError> {
    let sent = live.flush_lane(lane).await;
    let kept = live.lane(lane).map(|lane| lane.room().own_message(&id));
    if let Some(Ok(row)) = kept {
        return Ok(Outcome::Sent { id, place: row.place });
    }
    match sent {
        Ok(()) => {
            // The lane is not entered, or out of order: it goes out when it is not.
            let waits = live.lane(lane).is_some_and(|lane| {
                lane.room().number_of(&id).is_ok_and(|number| number.is_some())
            });
            if waits { Ok(Outcome::Kept { id, why: None }) } else { Ok(Outcome::Done) }
        }
        Err(error) if error.is_connection() => Ok(Outcome::Kept { id, why: Some(Arc::new(error)) }),
        Err(error) => Err(AskError::Held(Arc::new(error))),
    }
}

/// Returns rows of a lane.
pub(super) fn rows(room: &Room<'_>, lane: RoomId, page: Page) -> Result<Vec<Row>, AskError> {
    let lane = room.lane(lane)?.ok_or(EngineError::NoLanes)?;
    let lane = lane.room();
    Ok(match page {
        Page::From(place) => lane.history(place, PAGE_MAX)?,
        Page::Before(place, count) => lane.history_back(place, count.min(PAGE_MAX))?,
    })
}

/// Refuses words that would not show as they were typed.
fn harmless(private: Private) -> Result<Private, AskError> {
    use hearth_engine::private::{Mood, Report, Seen};
    let inert = |words: String| escape::sanitize_input(&words);
    // Words that stand beside something may be absent.
    let beside = |words: String| match words.is_empty() {
        true => Ok(words),
        false => inert(words),
    };
    Ok(match private {
        Private::Note { about, text } => Private::Note { about, text: inert(text)? },
        Private::Anon(words) => Private::Anon(inert(words)?),
        Private::Mood(mood) => Private::Mood(Mood { words: beside(mood.words)?, ..mood }),
        Private::Report(report) => {
            Private::Report(Report { words: beside(report.words)?, ..report })
        }
        Private::Flag(words) => Private::Flag(beside(words)?),
        Private::Seen(seen) => Private::Seen(Seen { words: beside(seen.words)?, ..seen }),
        other @ (Private::Recall(_) | Private::Answers { .. } | Private::Inquiry(_)) => other,
    })
}
