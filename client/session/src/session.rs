//! One room kept in step with the relay, over connections that come and go.
//!
//! Connect, prove, catch up, do what is due, send what waits, wait, come back: written here once. A shell waits with
//! [`Session::ready`], which may be dropped at any time, lets [`Session::turn`] do the work, and shows what it tells.

use std::{collections::VecDeque, time::Duration};

use hearth_engine::{Crypto, EngineError, Room, state::Standing, store::Store};
use tokio::time::{Instant, sleep_until};

use crate::{
    backoff::Backoff,
    connection::RequestError,
    live::{Incoming, Live, LiveError},
    network::Network,
};

/// A connection that held for so long begins the back-off afresh.
const STEADY: Duration = Duration::from_secs(60);

/// Events of a session.
#[derive(Debug)]
pub enum Event {
    /// There is a connection; what came before it is in the room.
    Up(Up),
    /// The connection is gone, or there is none to be had; the session tries again at the given time.
    ///
    /// The error is there once for each reason, however many attempts fail.
    Down {
        /// Why, if it was not told yet.
        why: Option<LiveError>,
        /// When the next attempt is made.
        retry: Instant,
    },
    /// Something came in, or was done: the room may have news.
    News,
    /// A newcomer knocks.
    Knock,
    /// A rule holds back what waits in the outbox, for a reason that was not told yet.
    Waits(LiveError),
    /// Due work failed, for a reason that was not told yet. The rest goes on.
    Trouble(LiveError),
}

/// Properties of a new connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Up {
    /// A reason for the connection before this one to be away was told.
    pub again: bool,
    /// The key exchange resists a later quantum computer.
    pub post_quantum: bool,
    /// The relay's store was moved or restored, and nothing that was seen is missing.
    pub moved: bool,
}

/// Work for [`Session::turn`].
#[derive(Debug)]
pub enum Ready {
    /// Something is to be told.
    Tell(Event),
    /// The time of an attempt has come.
    Connect,
    /// Something arrived, or fell due.
    Incoming(Result<Incoming, LiveError>),
    /// Due work, such as a departure to carry out.
    Tend,
}

enum Link<'s> {
    Up(Box<Live<'s>>),
    Down { room: Box<Room<'s>>, retry: Instant },
}

/// A room, with or without a connection.
pub struct Session<'s> {
    store: &'s Store,
    crypto: &'s Crypto,
    network: Network,
    name: String,
    /// `None` only while a connection is being made: then nothing but the store has the room.
    link: Option<Link<'s>>,
    backoff: Backoff,
    /// Since when there is a connection.
    up: Option<Instant>,
    /// Why there is no connection, as it was told.
    away: Option<String>,
    /// The error of due work, as it was told.
    trouble: Option<String>,
    /// Whether due work comes before the next wait.
    tends: bool,
    /// Whether the next connection is told before due work is done.
    puts_off: bool,
    /// Events to tell before any other work.
    untold: VecDeque<Event>,
    missed: Box<dyn Fn(u64) + 's>,
}

impl<'s> Session<'s> {
    /// Takes a room. `missed` is called with the number of entries to catch up with, where that may take a while.
    pub fn new(network: Network, room: Room<'s>, missed: impl Fn(u64) + 's) -> Self {
        let (store, crypto, name) = room.parts();
        Self {
            store,
            crypto,
            network,
            name,
            link: Some(Link::Down { room: Box::new(room), retry: Instant::now() }),
            backoff: Backoff::new(),
            up: None,
            away: None,
            trouble: None,
            tends: false,
            puts_off: false,
            untold: VecDeque::new(),
            missed: Box::new(missed),
        }
    }

    /// Returns the room, with or without a connection.
    ///
    /// # Errors
    /// [`EngineError::Store`] if a connection was being made when the caller turned away, and the profile does not open the room
    /// again.
    pub fn room(&mut self) -> Result<&mut Room<'s>, EngineError> {
        let link = match self.link.take() {
            Some(link) => link,
            None => Link::Down { room: Box::new(self.reopen()?), retry: Instant::now() },
        };
        Ok(match self.link.insert(link) {
            Link::Up(live) => &mut live.room,
            Link::Down { room, .. } => room,
        })
    }

    /// Returns the room with its connection, if there is one.
    pub fn live(&mut self) -> Option<&mut Live<'s>> {
        match &mut self.link {
            Some(Link::Up(live)) => Some(live),
            _ => None,
        }
    }

    /// Waits until there is something to do. Cancel safe.
    pub async fn ready(&mut self) -> Ready {
        if let Some(event) = self.untold.pop_front() {
            return Ready::Tell(event);
        }
        match &mut self.link {
            // The turn that made it was dropped before it told.
            Some(Link::Up(_)) if self.up.is_none() => Ready::Connect,
            Some(Link::Up(_)) if self.tends => Ready::Tend,
            Some(Link::Up(live)) => Ready::Incoming(live.next_or_due().await),
            // The first attempt asks no timer: it must not depend on a clock that moves.
            Some(Link::Down { retry, .. }) if *retry <= Instant::now() => Ready::Connect,
            Some(Link::Down { retry, .. }) => {
                sleep_until(*retry).await;
                Ready::Connect
            }
            None => Ready::Connect,
        }
    }

    /// Does what there is to do. If the future is dropped, the room is as after a power cut: what was written down stays, and the
    /// next turn connects again or goes on.
    ///
    /// # Errors
    /// An error that no new connection mends, see [`LiveError::is_final`].
    pub async fn turn(&mut self, ready: Ready) -> Result<Event, LiveError> {
        match ready {
            Ready::Tell(event) => Ok(event),
            Ready::Connect => self.connect().await,
            Ready::Incoming(Ok(incoming)) => {
                self.tends = true;
                Ok(if matches!(incoming, Incoming::Knock) { Event::Knock } else { Event::News })
            }
            Ready::Incoming(Err(error)) => self.down(error),
            Ready::Tend => self.tend().await,
        }
    }

    /// Waits for the next event.
    ///
    /// # Errors
    /// See [`Self::turn`].
    pub async fn next(&mut self) -> Result<Event, LiveError> {
        let ready = self.ready().await;
        self.turn(ready).await
    }

    /// Sends what waits now, where there is a connection. A rule may hold it back: that is no error.
    ///
    /// # Errors
    /// See [`Self::turn`].
    pub async fn send_waiting(&mut self) -> Result<Option<Event>, LiveError> {
        let Some(Link::Up(live)) = &mut self.link else { return Ok(None) };
        let flushed = live.flush().await;
        self.passes(flushed)
    }

    /// Gives the connection up, because a command found it to be of no use, and comes back. Returns when.
    pub fn reconnect(&mut self, why: &LiveError) -> Instant {
        self.away = Some(why.to_string());
        let retry = self.next_attempt();
        self.link = match self.link.take() {
            Some(Link::Up(live)) => Some(Link::Down { room: Box::new(live.into_room()), retry }),
            link => link,
        };
        retry
    }

    /// Returns when the next attempt is made. One that follows a connection that held comes soon.
    fn next_attempt(&mut self) -> Instant {
        if self.up.take().is_some_and(|up| up.elapsed() > STEADY) {
            self.backoff.reset();
        }
        Instant::now() + self.backoff.next_delay()
    }

    /// Tells the next connection before due work is done, because a command is about that work.
    pub const fn put_off_due_work(&mut self) {
        self.puts_off = true;
    }

    /// Says goodbye to the relay.
    pub async fn leave(self) {
        if let Some(Link::Up(live)) = self.link {
            live.leave().await;
        }
    }

    fn reopen(&self) -> Result<Room<'s>, EngineError> {
        Room::open(self.store, self.crypto, &self.name)
    }

    async fn connect(&mut self) -> Result<Event, LiveError> {
        let room = match self.link.take() {
            Some(Link::Down { room, .. }) => *room,
            // What was under way on a connection that is not told yet is as after a power cut.
            Some(Link::Up(_)) | None => self.reopen()?,
        };
        let entered = Live::enter_telling(&self.network, room, |missed| (self.missed)(missed));
        let live = match Box::pin(entered).await {
            Ok(live) => Box::new(live),
            Err(error) => return self.down(error),
        };
        let (post_quantum, moved) = (live.is_post_quantum(), live.was_moved());
        self.link = Some(Link::Up(live));
        let done = match std::mem::take(&mut self.puts_off) {
            true => {
                self.tends = true;
                Event::News
            }
            false => self.tend().await?,
        };
        if matches!(done, Event::Down { .. }) {
            return Ok(done);
        }
        self.up = Some(Instant::now());
        let again = self.away.take().is_some();
        let up = Event::Up(Up { again, post_quantum, moved });
        Ok(match done {
            Event::Trouble(_) | Event::Waits(_) => {
                self.untold.push_back(up);
                done
            }
            _ => up,
        })
    }

    /// Does what is due and sends what waits.
    async fn tend(&mut self) -> Result<Event, LiveError> {
        self.tends = false;
        let Some(Link::Up(live)) = &mut self.link else { return Ok(Event::News) };
        let standing = &live.room.state().standing;
        if *standing != Standing::Member && !standing.keeps_lane() {
            return Err(LiveError::NotInside(standing.clone()));
        }
        let tended = live.tend().await;
        let done = match tended {
            // What waits in the room's outbox waits for its keys.
            tended if live.room.state().standing != Standing::Member => tended,
            Err(error) if breaks(&error) => Err(error),
            tended => match (tended, live.flush().await) {
                (_, Err(error)) if breaks(&error) => Err(error),
                // One reason is told at a time; the other is found again.
                (tended, flushed) => tended.and(flushed),
            },
        };
        Ok(self.passes(done)?.unwrap_or(Event::News))
    }

    /// Lets the connection go on where only something that was due is in the way, and tells of it once.
    fn passes(&mut self, done: Result<(), LiveError>) -> Result<Option<Event>, LiveError> {
        let error = match done {
            Ok(()) => {
                self.trouble = None;
                return Ok(None);
            }
            Err(error) => error,
        };
        if breaks(&error) {
            return self.down(error).map(Some);
        }
        let why = error.to_string();
        if self.trouble.as_ref() == Some(&why) {
            return Ok(None);
        }
        self.trouble = Some(why);
        let waits = matches!(error, LiveError::Refused { kept: true, .. });
        Ok(Some(if waits { Event::Waits(error) } else { Event::Trouble(error) }))
    }

    /// Schedules the next attempt after any error that is not final.
    fn down(&mut self, error: LiveError) -> Result<Event, LiveError> {
        self.tends = false;
        self.link = match self.link.take() {
            Some(Link::Up(live)) => {
                Some(Link::Down { room: Box::new(live.into_room()), retry: Instant::now() })
            }
            link => link,
        };
        if error.is_final() {
            return Err(error);
        }
        let at = self.next_attempt();
        // The group in memory may be ahead of the store.
        let room = Box::new(self.reopen()?);
        self.link = Some(Link::Down { room, retry: at });
        let text = error.to_string();
        let why = (self.away.as_ref() != Some(&text)).then_some(error);
        self.away = Some(text);
        Ok(Event::Down { why, retry: at })
    }
}

/// Whether an error ends the connection: not what a rule, or something that is due, runs into.
const fn breaks(error: &LiveError) -> bool {
    error.is_connection()
        || error.is_final()
        || matches!(
            error,
            LiveError::UnexpectedReply
                | LiveError::Withheld(_)
                | LiveError::SaidGone
                | LiveError::Request(RequestError::Timeout | RequestError::Lost(_))
                | LiveError::Engine(EngineError::HistoryBackwards(_) | EngineError::StreamChanged)
        )
}
