//! The handle that every shell uses: commands in, events and views out.
//!
//! A client has a thread of its own, which holds the profile, its store and its rooms. A shell asks with [`Client::ask`], reads
//! with [`Client::view`] and [`Client::rows`], and hears of changes by [`Events`]. Nothing here prints, asks a person or ends the
//! process: consent comes as a value, see [`Consent`].

mod act;
mod command;
mod event;
mod exercise;
mod help;
mod hub;
mod lanes;
mod task;
mod view;

use std::{
    fmt, io,
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use hearth_engine::{Crypto, profile::Profile, room::Names, state::Row, store::Store};
use hearth_protocol::RoomId;
use tokio::sync::{broadcast, mpsc, oneshot, watch};

pub use self::{
    command::{AskError, Command, Consent, Haste, Knocker, Outcome, Question, Turn},
    event::{Event, Events, Heard, Told},
    exercise::{Guide, Progress},
    help::{HelpCommand, HelpView},
    hub::{PAGE_MAX, Page, Summary},
    lanes::{LaneCommand, LaneView, UNREAD_MAX},
    view::{Link, RoomView, Waiting},
};

use self::{
    event::EVENTS_MAX,
    hub::{Hub, REQUESTS_MAX, Request},
};
use crate::network::Network;

/// Stack of the client's thread: room for the largest Welcome.
const STACK_BYTES: usize = 8 << 20;

type Result<T, E = AskError> = std::result::Result<T, E>;

/// A handle of a profile's rooms. Clones share one thread, which ends with the last of them.
#[derive(Clone)]
pub struct Client {
    requests: mpsc::Sender<Request>,
    events: broadcast::WeakSender<Told>,
    /// Closes once the thread has ended.
    ended: watch::Receiver<()>,
    /// The profile that the thread gives back at its end.
    returned: Arc<Mutex<Option<Profile>>>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

impl Client {
    /// Starts a client of an open profile on a thread of its own, over the machine's network.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn start(profile: Profile, crypto: Crypto) -> io::Result<Self> {
        let (client, requests, events, ending) = Self::new();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let returned = Arc::downgrade(&client.returned);
        let run = move || {
            let network = Network::machine();
            runtime.block_on(Hub::new(profile.store(), &crypto, network, events).run(requests));
            // In order: who waits for the end finds the profile free.
            runtime.shutdown_background();
            // Nobody waits for it if every clone is gone: then it is closed here.
            if let Some(returned) = returned.upgrade() {
                *returned.lock().unwrap_or_else(PoisonError::into_inner) = Some(profile);
            } else {
                drop(profile);
            }
            drop(ending);
        };
        thread::Builder::new().name("client".into()).stack_size(STACK_BYTES).spawn(run)?;
        Ok(client)
    }

    /// Returns a client of a store, and the future that serves it. The caller runs it.
    pub fn over<'s>(
        store: &'s Store,
        crypto: &'s Crypto,
        network: Network,
    ) -> (Self, impl Future<Output = ()> + 's) {
        let (client, requests, events, ending) = Self::new();
        let hub = Hub::new(store, crypto, network, events);
        let served = async move {
            hub.run(requests).await;
            drop(ending);
        };
        (client, served)
    }

    fn new() -> (Self, mpsc::Receiver<Request>, broadcast::Sender<Told>, watch::Sender<()>) {
        let (requests, asked) = mpsc::channel(REQUESTS_MAX);
        let (events, _) = broadcast::channel(EVENTS_MAX);
        let (ending, ended) = watch::channel(());
        let returned = Arc::default();
        let client = Self { requests, events: events.downgrade(), ended, returned };
        (client, asked, events, ending)
    }

    /// Returns the events from now on, for one shell.
    pub fn events(&self) -> Events {
        let closed = || broadcast::channel(1).1;
        Events(self.events.upgrade().map_or_else(closed, |events| events.subscribe()))
    }

    /// Does a command in a room, given by local name, title or id. To drop the wait does not undo the command.
    ///
    /// # Errors
    /// [`AskError::NeedsConsent`] with what a person is to be asked; see [`AskError`].
    pub async fn ask(&self, room: &str, command: Command, consent: Consent) -> Result<Outcome> {
        let room = room.to_owned();
        let command = Box::new(command);
        self.request(|reply| Request::Ask { room, command, consent, reply }).await?
    }

    /// Returns a room's view, which changes as the room does. The room is kept in step with its relay from now on.
    ///
    /// # Errors
    /// See [`AskError`].
    pub async fn view(&self, room: &str) -> Result<watch::Receiver<Arc<RoomView>>> {
        let room = room.to_owned();
        self.request(|reply| Request::View { room, reply }).await?
    }

    /// Returns rows of a room's history.
    ///
    /// # Errors
    /// See [`AskError`].
    pub async fn rows(&self, room: &str, page: Page) -> Result<Vec<Row>> {
        let room = room.to_owned();
        self.request(|reply| Request::Rows { room, page, reply }).await?
    }

    /// Returns rows of the history of one of a room's lanes.
    ///
    /// # Errors
    /// See [`AskError`].
    pub async fn lane_rows(&self, room: &str, lane: RoomId, page: Page) -> Result<Vec<Row>> {
        let room = room.to_owned();
        self.request(|reply| Request::LaneRows { room, lane, page, reply }).await?
    }

    /// Finds messages by number or by the first characters of their id, as [`hearth_engine::Room::find_messages`] does.
    ///
    /// # Errors
    /// See [`AskError`].
    pub async fn find(&self, room: &str, wanted: &str) -> Result<Vec<Row>> {
        let (room, wanted) = (room.to_owned(), wanted.to_owned());
        self.request(|reply| Request::Find { room, wanted, reply }).await?
    }

    /// Returns the names of present and past members.
    ///
    /// # Errors
    /// See [`AskError`].
    pub async fn names(&self, room: &str) -> Result<Names> {
        let room = room.to_owned();
        self.request(|reply| Request::Names { room, reply }).await?
    }

    /// Returns the profile's rooms.
    ///
    /// # Errors
    /// See [`AskError`].
    pub async fn rooms(&self) -> Result<Vec<Summary>> {
        self.request(|reply| Request::Rooms { reply }).await?
    }

    /// Closes the client, and waits until its profile is closed too. Other clones must be gone, or it waits for them.
    pub async fn close(self) {
        drop(self.into_profile().await);
    }

    /// Closes the client, and gives back the profile, which stays open. Other clones must be gone, or it waits for them.
    pub async fn into_profile(self) -> Option<Profile> {
        let Self { requests, events, mut ended, returned } = self;
        drop((requests, events));
        // Only the end of the thread is told.
        while ended.changed().await.is_ok() {}
        returned.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    async fn request<T>(&self, make: impl FnOnce(oneshot::Sender<T>) -> Request) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(make(reply)).await.map_err(|_| AskError::Closed)?;
        answer.await.map_err(|_| AskError::Closed)
    }
}
