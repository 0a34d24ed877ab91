//! The Hearth relay: hosts encrypted rooms and can read nothing.
//!
//! The relay keeps an append-only log per room, orders members' submissions, refuses what the room's numbers
//! forbid, and wakes listeners. Entries are MLS ciphertext to it. `docs/protocol.md` defines
//! its protocol; [`Relay`] lets a program or a test run one.

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
mod certificate;
pub mod cli;
mod commands;
pub mod config;
mod connection;
mod data_dir;
mod failure;
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

pub use commands::{
    backup::backup,
    grants::{Grant, grant},
};
pub use config::{Clock, Config};
pub use data_dir::DataDirError;
pub use failure::StartError;
pub use relay::Relay;
pub use store::OpenError;
pub use tls::TlsError;

use std::sync::Arc;

use hearth_protocol::Millis;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// State shared by all connections.
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
    /// Cancelled when the relay stops: it accepts nothing new, and connections close.
    stopping: CancellationToken,
    /// Cancelled when the remaining connections are dropped.
    killed: CancellationToken,
}

impl Shared {
    /// Joins the parts that are opened with the parts that start empty.
    fn new(
        config: Config,
        store: Arc<store::Store>,
        registry: Arc<registry::Registry>,
        metrics: Arc<metrics::Metrics>,
    ) -> Arc<Self> {
        Arc::new(Self {
            config,
            store,
            registry,
            metrics,
            guesses: rate_limit::Guesses::default(),
            occupancy: Arc::default(),
            uploads: uploads::Uploads::default(),
            arrivals: rate_limit::Arrivals::new(tokio::time::Instant::now()).into(),
            tasks: TaskTracker::new(),
            stopping: CancellationToken::new(),
            killed: CancellationToken::new(),
        })
    }

    fn now(&self) -> Millis {
        self.config.clock.now()
    }
}
