//! The Hearth relay: hosts encrypted rooms and can read nothing.
//!
//! The relay keeps an append-only log per room, orders what members submit, refuses what the room's plain numbers
//! forbid, and wakes those who listen. What the entries hold is MLS ciphertext to it. `docs/protocol.md` is what
//! it speaks; [`Relay`] is how a program or a test runs one.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::panic,
        clippy::cast_possible_truncation,
        clippy::too_many_lines
    )
)]

mod admin;
mod auth;
mod batch;
pub mod cli;
pub mod config;
mod connection;
mod data_dir;
mod handlers;
mod http;
mod io;
mod listener;
mod metrics;
mod rate_limit;
mod registry;
mod relay;
mod room;
mod session;
mod store;
pub mod telemetry;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod tls;
mod uploads;
mod words;

pub use config::{Clock, Config};
pub use data_dir::DataDirError;
pub use relay::{Grant, Relay, StartError, backup, grant};
pub use store::OpenError;
pub use tls::TlsError;

use std::sync::Arc;

use hearth_protocol::Millis;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// What every connection shares.
struct Shared {
    config: Config,
    store: Arc<store::Store>,
    registry: Arc<registry::Registry>,
    metrics: Arc<metrics::Metrics>,
    guesses: rate_limit::Guesses,
    occupancy: Arc<rate_limit::Occupancy>,
    uploads: uploads::Uploads,
    arrivals: std::sync::Mutex<rate_limit::Arrivals>,
    tasks: TaskTracker,
    /// The relay takes nothing new, and connections say goodbye.
    stopping: CancellationToken,
    /// Those that did not say it in time are dropped.
    killed: CancellationToken,
}

impl Shared {
    fn now(&self) -> Millis {
        self.config.clock.now()
    }
}
