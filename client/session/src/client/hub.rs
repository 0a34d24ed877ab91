//! The client's own thread: the profile, and one task for each room that a shell looks at.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::{StreamExt as _, future::LocalBoxFuture, stream::FuturesUnordered};
use hearth_engine::{
    Crypto, EngineError, Room,
    room::Names,
    state::{Row, RowContent, Standing},
    store::Store,
    words::{Talk, Words},
};
use hearth_protocol::{MessageId, Millis, RoomId, Seq, invite::RelayAddress};
use tokio::{
    sync::{broadcast, mpsc, oneshot, watch},
    time::timeout,
};

use super::{
    act::inert,
    command::{AskError, Command, Consent, Outcome},
    event::{Event, Told},
    lanes,
    task::{Asked, RoomTask},
    view::RoomView,
};
use crate::{live::LiveError, network::Network};

/// Requests that wait for the thread, and commands that wait for one room.
pub(super) const REQUESTS_MAX: usize = 64;
/// Rows of one page.
pub const PAGE_MAX: usize = 256;
/// Longest wait for the relays' goodbyes at the end.
const GOODBYE: Duration = Duration::from_secs(1);

/// A part of a room's history, oldest first; at most [`PAGE_MAX`] rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// From a place on.
    From(Seq),
    /// The last rows before a place.
    Before(Seq, usize),
}

/// What a handle asks its thread.
pub(super) enum Request {
    Ask {
        room: String,
        command: Box<Command>,
        consent: Consent,
        reply: oneshot::Sender<Result<Outcome, AskError>>,
    },
    View {
        room: String,
        reply: oneshot::Sender<Result<watch::Receiver<Arc<RoomView>>, AskError>>,
    },
    Rows {
        room: String,
        page: Page,
        reply: oneshot::Sender<Result<Vec<Row>, AskError>>,
    },
    LaneRows {
        room: String,
        lane: RoomId,
        page: Page,
        reply: oneshot::Sender<Result<Vec<Row>, AskError>>,
    },
    Find {
        room: String,
        wanted: String,
        reply: oneshot::Sender<Result<Vec<Row>, AskError>>,
    },
    Names {
        room: String,
        reply: oneshot::Sender<Result<Names, AskError>>,
    },
    Rooms {
        reply: oneshot::Sender<Result<Vec<Summary>, AskError>>,
    },
}

/// Tells every shell of one room's events.
#[derive(Clone)]
pub(super) struct Teller {
    pub(super) room: Arc<str>,
    pub(super) number: Arc<AtomicU64>,
    pub(super) events: broadcast::Sender<Told>,
}

impl Teller {
    pub(super) fn tell(&self, event: Event) {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        // Nobody may listen.
        let _ = self.events.send(Told { number, room: Arc::clone(&self.room), event });
    }
}

/// A room of the profile, in brief.
#[derive(Clone, Debug)]
pub struct Summary {
    /// The local name, which commands take.
    pub name: String,
    /// The room's id.
    pub id: RoomId,
    /// The title.
    pub title: String,
    /// This member's name.
    pub me: String,
    /// This member's standing.
    pub standing: Standing,
    /// The relay that hosts it.
    pub address: RelayAddress,
    /// The last entry that was read.
    pub seq: Seq,
}

impl Summary {
    fn of(room: &Room<'_>) -> Self {
        let state = room.state();
        Self {
            name: state.local_name.clone(),
            id: room.id(),
            title: state.title.clone(),
            me: state.name.clone(),
            standing: state.standing.clone(),
            address: state.address(),
            seq: room.cursor().seq,
        }
    }
}

/// A room that a shell looks at.
struct Kept {
    commands: mpsc::Sender<Asked>,
    view: watch::Receiver<Arc<RoomView>>,
}

/// What runs on the client's thread.
pub(super) struct Hub<'s> {
    store: &'s Store,
    crypto: &'s Crypto,
    network: Network,
    events: broadcast::Sender<Told>,
    number: Arc<AtomicU64>,
    rooms: HashMap<String, Kept>,
    tasks: FuturesUnordered<LocalBoxFuture<'s, ()>>,
}

impl<'s> Hub<'s> {
    pub(super) fn new(
        store: &'s Store,
        crypto: &'s Crypto,
        network: Network,
        events: broadcast::Sender<Told>,
    ) -> Self {
        let (number, rooms) = Default::default();
        Self { store, crypto, network, events, number, rooms, tasks: FuturesUnordered::new() }
    }

    /// Serves until every handle is gone.
    pub(super) async fn run(mut self, mut requests: mpsc::Receiver<Request>) {
        loop {
            tokio::select! {
                biased;
                request = requests.recv() => match request {
                    Some(request) => self.serve(request),
                    None => break,
                },
                Some(()) = self.tasks.next(), if !self.tasks.is_empty() => {}
            }
        }
        self.rooms.clear();
        let goodbyes = async { while self.tasks.next().await.is_some() {} };
        // A relay that does not answer must not keep the profile open.
        let _ = timeout(GOODBYE, goodbyes).await;
    }

    fn serve(&mut self, request: Request) {
        // A shell that no longer waits undoes nothing.
        match request {
            Request::Ask { room, command, consent, reply } => {
                self.ask(&room, Asked { command: *command, consent, reply });
            }
            Request::View { room, reply } => {
                drop(reply.send(self.kept(&room).map(|kept| kept.view.clone())));
            }
            Request::Rows { room, page, reply } => drop(reply.send(self.rows(&room, page))),
            Request::LaneRows { room, lane, page, reply } => {
                let rows = self.open(&room).map_err(AskError::from);
                drop(reply.send(rows.and_then(|room| lanes::rows(&room, lane, page))));
            }
            Request::Find { room, wanted, reply } => {
                let found = self.open(&room).and_then(|mut room| {
                    let (hidden, me) = (room.hidden_places()?, room.me());
                    let mut found = room.find_messages(&wanted)?;
                    for row in &mut found {
                        // It has its place and its id, and no words yet.
                        if row.from != Some(me) && hidden.contains(&row.place) {
                            row.content = RowContent::Nothing;
                        }
                    }
                    Ok(found)
                });
                drop(reply.send(found.map_err(AskError::from)));
            }
            Request::Names { room, reply } => {
                let names = self.open(&room).and_then(|mut room| room.known_names());
                drop(reply.send(names.map_err(AskError::from)));
            }
            Request::Rooms { reply } => {
                let rooms = Room::all(self.store, self.crypto)
                    .map(|rooms| rooms.iter().map(Summary::of).collect());
                drop(reply.send(rooms.map_err(AskError::from)));
            }
        }
    }

    /// Keeps words at once, whatever the room's connection waits for, because nobody's words wait for a relay; hands other commands to
    /// their room.
    fn ask(&mut self, room: &str, asked: Asked) {
        let Asked { command, consent, reply } = asked;
        match command {
            Command::Queue(text) => {
                let queued = self.queue(room, &text.into());
                drop(reply.send(queued.map(|id| Outcome::Kept { id, why: None })));
            }
            Command::KeepDraft(text) => {
                let kept = self.open(room).and_then(|room| room.keep_draft(&text));
                drop(reply.send(kept.map(|()| Outcome::Done).map_err(AskError::from)));
            }
            Command::Draft => {
                let draft = self.open(room).and_then(|room| room.draft());
                drop(reply.send(draft.map(Outcome::Draft).map_err(AskError::from)));
            }
            Command::Receipt => {
                let receipt = self.open(room).and_then(|room| room.receipt());
                let written = receipt.map(|receipt| Outcome::Receipt(receipt.to_text()));
                drop(reply.send(written.map_err(AskError::from)));
            }
            Command::Say(words) => match self.stored(room, words) {
                Ok(command) => self.forward(room, Asked { command, consent, reply }),
                Err(error) => drop(reply.send(Err(error))),
            },
            command => self.forward(room, Asked { command, consent, reply }),
        }
    }

    /// Hands a command to its room.
    fn forward(&mut self, room: &str, asked: Asked) {
        match self.kept(room) {
            Ok(kept) => {
                if let Err(mpsc::error::TrySendError::Full(asked)) = kept.commands.try_send(asked) {
                    let _ = asked.reply.send(match asked.command {
                        // It is in the outbox, and goes out with the others.
                        Command::SendQueued { id, .. } => Ok(Outcome::Kept { id, why: None }),
                        _ => Err(AskError::Busy),
                    });
                }
            }
            Err(error) => drop(asked.reply.send(Err(error))),
        }
    }

    /// Puts words into the outbox before anything else, whatever the room waits for. Words that do not fit what this profile knows
    /// of the room are left to the room, which may know more once it is connected.
    fn stored(&self, room: &str, words: Words) -> Result<Command, AskError> {
        match self.queue(room, &words) {
            Ok(id) => Ok(Command::SendQueued { words, id }),
            Err(AskError::Live(error))
                if matches!(
                    &*error,
                    LiveError::Engine(EngineError::TooLong { .. } | EngineError::NotMember(_))
                ) =>
            {
                Ok(Command::Say(words))
            }
            Err(error) => Err(error),
        }
    }

    fn queue(&self, room: &str, words: &Words) -> Result<MessageId, AskError> {
        let words = inert(words)?;
        let mut room = self.open(room)?;
        let now = room.now();
        Ok(room.queue_words(words, now)?)
    }

    fn open(&self, wanted: &str) -> Result<Room<'s>, EngineError> {
        Room::open(self.store, self.crypto, wanted)
    }

    /// Returns a room that is kept in step with its relay, from now on if it was not.
    fn kept(&mut self, wanted: &str) -> Result<&Kept, AskError> {
        let room = self.open(wanted)?;
        let name = room.state().local_name.clone();
        // A task that ended, by a panic of its own say, is replaced.
        if self.rooms.get(&name).is_none_or(|kept| kept.commands.is_closed()) {
            let teller = Teller {
                room: name.as_str().into(),
                number: Arc::clone(&self.number),
                events: self.events.clone(),
            };
            let (task, view) = RoomTask::new(self.network.clone(), room, teller)?;
            let (commands, asked) = mpsc::channel(REQUESTS_MAX);
            self.tasks.push(Box::pin(task.run(asked)));
            self.rooms.insert(name.clone(), Kept { commands, view });
        }
        self.rooms.get(&name).ok_or(AskError::Closed)
    }

    fn rows(&self, room: &str, page: Page) -> Result<Vec<Row>, AskError> {
        let mut room = self.open(room)?;
        let mut rows = match page {
            Page::From(place) => room.history(place, PAGE_MAX)?,
            Page::Before(place, count) => room.history_back(place, count.min(PAGE_MAX))?,
        };
        let since = self.kept_since(&room);
        for row in &mut rows {
            // A row without a time says what expired unread.
            if row.arrived < since && row.arrived > Millis(0) {
                row.content = RowContent::Nothing;
                row.talk = Talk::default();
            }
        }
        room.quote(&mut rows, since)?;
        Ok(rows)
    }

    /// Returns the time before which nothing is shown, by this device's clock. Outside of the room, what this profile has stays its
    /// own.
    fn kept_since(&self, room: &Room<'_>) -> Millis {
        let kept = self.rooms.get(&room.state().local_name);
        let policy = kept.and_then(|kept| {
            kept.view.borrow().policy.as_ref().map(|p| p.numbers.retention_seconds)
        });
        policy.map_or(Millis(0), |seconds| {
            Millis(room.now().0.saturating_sub(seconds.saturating_mul(1000)))
        })
    }
}
