//! A relay without sockets, threads or its own clock, for a simulation: frames in, frames out, one at a time.
//!
//! Handlers, rules, registry and store are the relay's own. It lacks `listener`, `tls`, `http`, the pace at
//! which frames are read, and the deadlines of a connection: the caller controls network and time.

use std::{net::IpAddr, path::Path, sync::Arc};

use futures_util::{FutureExt as _, StreamExt as _};
use hearth_protocol::{Millis, RelayId, Secret32, limits::MEMBERS_MAX};
use hearth_rules::admission::Terms;
use tokio::{io::DuplexStream, task::unconstrained};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, protocol::Role},
};

use crate::{
    Clock, Config, OpenError, Shared,
    connection::{Connection, Socket},
    io::Progress,
    metrics::Metrics,
    registry::Registry,
    relay::delete_expired,
    store::{self, Store},
};

/// Bytes between a connection and its far end, the maximum that one turn may write.
const WIRE_BYTES: usize = 4 * 1024 * 1024;

/// A relay that serves one frame at a time.
pub struct Core(Arc<Shared>);

/// One connection to a [`Core`], where the network would begin.
pub struct Wire {
    connection: Box<Connection>,
    far: WebSocketStream<DuplexStream>,
}

impl Core {
    /// Opens the store of a data directory.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(dir: &Path, clock: Clock) -> Result<Self, OpenError> {
        alone(dir, clock).map(Self)
    }

    /// Returns the relay's identity.
    pub fn id(&self) -> RelayId {
        self.0.store.relay()
    }

    /// Adds a grant with the given secret that never expires.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn grant(&self, secret: &Secret32) -> Result<(), OpenError> {
        let terms = Terms { rooms_left: 1, members_max: MEMBERS_MAX, expires: Millis::NEVER };
        store::add_grant(&self.0.config.data_dir, secret, &terms).map(|_| ())
    }

    /// Opens a connection without TLS.
    pub async fn connect(&self) -> Wire {
        let (near, far) = tokio::io::duplex(WIRE_BYTES);
        let stream = WebSocketStream::from_raw_socket(
            Box::new(near) as crate::io::AnyIo,
            Role::Server,
            None,
        );
        let progress = Arc::new(Progress::default());
        let socket = Socket { stream: stream.await, channel: [0; 32], progress };
        let (place, _) = self.0.occupancy.enter(IpAddr::from([127, 0, 0, 1]).into());
        let connection = Box::new(Connection::new(socket, place, self.0.clone()));
        let far = WebSocketStream::from_raw_socket(far, Role::Client, None).await;
        Wire { connection, far }
    }

    /// Deletes expired rows.
    pub async fn forget(&self) {
        delete_expired(&self.0).await;
    }
}

/// Opens the store of a data directory for callers that share no socket.
pub(crate) fn alone(dir: &Path, clock: Clock) -> Result<Arc<Shared>, OpenError> {
    let (registry, metrics) = (Arc::new(Registry::default()), Arc::new(Metrics::default()));
    let config = Config { clock, ..Config::new(dir) };
    let store = Store::open_here(dir, registry.clone(), metrics.clone(), config.limits())?;
    Ok(Shared::new(config, store, registry, metrics))
}

impl Wire {
    /// Serves a frame, or only a wake-up. Returns the frames of the answer, and whether
    /// the connection goes on.
    pub async fn turn(&mut self, frame: Option<Vec<u8>>) -> (Vec<Vec<u8>>, bool) {
        let mut message = frame.map(|bytes| Message::Binary(bytes.into()));
        let mut frames = Vec::new();
        loop {
            let on = self.connection.turn(message.take()).await.is_ok();
            let before = frames.len();
            while let Some(Some(Ok(sent))) = unconstrained(self.far.next()).now_or_never() {
                if let Message::Binary(bytes) = sent {
                    frames.push(bytes.to_vec());
                }
            }
            // A turn sends one batch of entries; another one may follow.
            if !on || frames.len() == before {
                return (frames, on);
            }
        }
    }
}
