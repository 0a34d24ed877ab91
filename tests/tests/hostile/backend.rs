//! A real relay, in this process, on a free port of loopback, without TLS.

use std::{net::SocketAddr, thread::JoinHandle};

use super::people::by_clock;
use hearth_kit::scratch;
use hearth_protocol::invite::{Grant, Transport};
use hearth_server::{Clock, Config, Relay};
use tempfile::TempDir;
use tokio::sync::oneshot;

/// A running relay, on a thread of its own; stopped when dropped.
pub struct Backend {
    address: SocketAddr,
    grant: Grant,
    ahead: i64,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    _dir: TempDir,
}

impl Default for Backend {
    fn default() -> Self {
        Self::start()
    }
}

impl Backend {
    /// Starts a relay in a new folder.
    pub fn start() -> Self {
        Self::start_ahead(0)
    }

    /// Starts a relay whose clock is ahead by so many milliseconds.
    pub fn start_ahead(ahead: i64) -> Self {
        let dir = scratch();
        let mut config = Config::new(dir.path());
        config.listen = SocketAddr::from(([127, 0, 0, 1], 0));
        config.admin_listen = SocketAddr::from(([127, 0, 0, 1], 0));
        config.transport = Transport::Plain;
        config.connections_per_ip = 10_000;
        config.frames_per_second = 10_000;
        config.frames_burst = 10_000;
        config.clock = Clock::from_fn(move || by_clock(ahead));
        let (stop, stopped) = oneshot::channel::<()>();
        let (ready, address) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async move {
                let relay = Relay::bind(config).await.unwrap();
                ready.send(relay.local_addr()).unwrap();
                let shutdown = async {
                    let _ = stopped.await;
                };
                Box::pin(relay.run(shutdown)).await;
            });
        });
        let address = address.recv().unwrap();
        let terms = hearth_server::Grant {
            rooms: 1_000_000,
            members: 50,
            expires: by_clock(ahead).plus(24 * 3600 * 1000),
            url: None,
        };
        let link = hearth_server::grant(dir.path(), &terms).unwrap();
        let grant = Grant::parse(&link).unwrap();
        Self { address, grant, ahead, stop: Some(stop), thread: Some(thread), _dir: dir }
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// By how many milliseconds its clock is ahead.
    pub const fn ahead(&self) -> i64 {
        self.ahead
    }

    /// A grant that names another address: the proxy's.
    pub fn grant_via(&self, proxy: SocketAddr) -> Grant {
        let mut grant = self.grant.clone();
        grant.address.authority = proxy.to_string();
        grant
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
