//! What a client tells its shells.

use std::sync::Arc;

use hearth_engine::block::Block;
use hearth_protocol::RoomId;
use tokio::{sync::broadcast, time::Instant};

use crate::{live::LiveError, session::Up};

/// Events that a shell can leave unread before it loses the oldest.
pub(super) const EVENTS_MAX: usize = 1024;

/// One event of one room.
#[derive(Clone, Debug)]
pub struct Told {
    /// Grows by one with each event of the client.
    pub number: u64,
    /// The room's local name.
    pub room: Arc<str>,
    /// What happened.
    pub event: Event,
}

/// What happened in a room.
#[derive(Clone, Debug)]
pub enum Event {
    /// History grew or changed: read it, and show it in place of what stood there.
    Rows,
    /// A lane's history grew or changed.
    LaneRows(RoomId),
    /// The view changed.
    View,
    /// There is a connection; what came before it is in the room.
    Up(Up),
    /// The connection is gone, or there is none to be had.
    Down {
        /// Why, once for each reason, however many attempts fail.
        why: Option<Arc<LiveError>>,
        /// When the next attempt is made.
        retry: Instant,
    },
    /// No connection helps any more; the history stays readable.
    Ended(Arc<LiveError>),
    /// So many entries came while this profile was away that reading them takes a while.
    CatchingUp(u64),
    /// Somebody knocks.
    Knock,
    /// A rule holds back what waits in the outbox, for now.
    Waits(Arc<LiveError>),
    /// What kept this member from posting has ended, by a record or by time. What is held because of it waits for their word.
    Over(Block),
    /// Due work failed; the rest goes on.
    Trouble(Arc<LiveError>),
}

/// The events of a client, for one shell.
#[derive(Debug)]
pub struct Events(pub(super) broadcast::Receiver<Told>);

impl Events {
    /// Waits for the next event; `None` once the client is closed. Cancel safe.
    pub async fn next(&mut self) -> Option<Heard> {
        match self.0.recv().await {
            Ok(told) => Some(Heard::Told(told)),
            Err(broadcast::error::RecvError::Lagged(missed)) => Some(Heard::Lagged(missed)),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }

    /// Returns an event that is there already.
    pub fn try_next(&mut self) -> Option<Heard> {
        match self.0.try_recv() {
            Ok(told) => Some(Heard::Told(told)),
            Err(broadcast::error::TryRecvError::Lagged(missed)) => Some(Heard::Lagged(missed)),
            Err(broadcast::error::TryRecvError::Empty | broadcast::error::TryRecvError::Closed) => {
                None
            }
        }
    }
}

/// What a shell hears.
#[derive(Clone, Debug)]
pub enum Heard {
    /// An event.
    Told(Told),
    /// So many events were lost because the shell did not read them: it reads the views again.
    Lagged(u64),
}
