//! A relay from start to end.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use hearth_protocol::{Pin, RelayId, invite::Transport};
use tokio::{
    net::TcpListener,
    time::{Instant, timeout},
};
use tokio_rustls::TlsAcceptor;

use crate::{
    Config, Shared, StartError, admin,
    data_dir::{self, Address, DataDir},
    listener,
    metrics::Metrics,
    registry::Registry,
    store::{self, Store, Threads},
    tls::{Identity, Reload},
    words,
};

/// Deadline for connections to close.
const GOODBYE: Duration = Duration::from_secs(5);
/// Pause between two rounds of upkeep: expired uploads, retention, certificate files.
const UPKEEP: Duration = Duration::from_secs(10);
/// Rounds of upkeep between two rounds of retention.
const RETENTION_EVERY: u32 = 6;

/// A relay that is bound but not serving yet.
pub struct Relay {
    data_dir: DataDir,
    listener: TcpListener,
    admin: TcpListener,
    local: SocketAddr,
    admin_local: SocketAddr,
    identity: Option<Arc<Identity>>,
    tls: Option<TlsAcceptor>,
    shared: Arc<Shared>,
    threads: Threads,
    /// Registered before the relay says that it is ready, because the signal's default action kills.
    hangups: Hangups,
}

impl Relay {
    /// Takes and completes the data directory, opens the store and binds both addresses.
    ///
    /// # Errors
    /// See [`StartError`]; nothing is left running.
    pub async fn bind(config: Config) -> Result<Self, StartError> {
        config.check()?;
        let data_dir = DataDir::take(&config.data_dir)?;
        data_dir::check_whole(data_dir.path())?;
        let listener = listen(config.listen).await?;
        let admin = listen(config.admin_listen).await?;
        let address_of = |socket: &TcpListener, asked| socket.local_addr().unwrap_or(asked);
        let local = address_of(&listener, config.listen);
        let admin_local = address_of(&admin, config.admin_listen);
        let authority = authority(&config, local);
        let identity = match (config.transport, &config.tls_files) {
            (Transport::Plain, _) => None,
            (Transport::Tls, Some((certificate, key))) => Some(Identity::load(certificate, key)?),
            (Transport::Tls, None) => {
                let pinned = store::pinned(data_dir.path());
                Some(Identity::load_or_make(data_dir.path(), &names(&authority), pinned)?)
            }
        };
        let server_config = identity.as_ref().map(Identity::server_config).transpose()?;
        let tls = server_config.map(TlsAcceptor::from);
        let registry = Arc::new(Registry::default());
        let metrics = Arc::new(Metrics::default());
        let (store, threads) =
            Store::open(data_dir.path(), registry.clone(), metrics.clone(), config.limits())
                .map_err(|source| StartError::Store {
                    path: store::database_path(data_dir.path()),
                    source,
                })?;
        if let Some(identity) = &identity {
            remember_pin(&store, identity).await;
        }
        let transport = config.transport;
        data_dir.record_address(&Address { authority, transport, pin: link_pin(&identity) })?;
        data_dir.record_admin(admin_local);
        let shared = Shared::new(config, store, registry, metrics);
        Ok(Self {
            data_dir,
            listener,
            admin,
            local,
            admin_local,
            identity,
            tls,
            shared,
            threads,
            hangups: hangups(),
        })
    }

    /// Returns the address for members.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Returns the address for the operator.
    pub fn admin_addr(&self) -> SocketAddr {
        self.admin_local
    }

    /// Returns the relay's identity.
    pub fn id(&self) -> RelayId {
        self.shared.store.relay()
    }

    /// SHA-256 of the certificate's SubjectPublicKeyInfo; `None` without TLS.
    pub fn pin(&self) -> Option<Pin> {
        self.identity.as_ref().map(|identity| identity.pin())
    }

    /// Returns the line that says that the relay is ready.
    pub fn ready_line(&self) -> String {
        let admin = self.admin_local;
        match self.pin() {
            Some(pin) => {
                format!("hearthd ready wss://{} pin={pin} admin=http://{admin}", self.local)
            }
            None => format!("hearthd ready ws://{} admin=http://{admin}", self.local),
        }
    }

    /// Serves until `shutdown` completes; then closes all connections, finishes accepted requests and closes
    /// the store.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let Self {
            data_dir, listener, admin, local, identity, tls, shared, threads, hangups, ..
        } = self;
        let data_dir = Arc::new(data_dir);
        shared.tasks.spawn(listener::accept(listener, shared.clone(), tls));
        shared.tasks.spawn(admin::serve(admin, shared.clone()));
        shared.tasks.spawn(upkeep(shared.clone(), identity, data_dir.clone(), local, hangups));
        shutdown.await;
        tracing::info!("stopping");
        shared.stopping.cancel();
        shared.tasks.close();
        if timeout(GOODBYE, shared.tasks.wait()).await.is_err() {
            shared.killed.cancel();
            let _ = timeout(GOODBYE, shared.tasks.wait()).await;
        }
        shared.store.end_generation(data_dir.path()).await;
        drop(shared);
        let joined = tokio::task::spawn_blocking(move || threads.join());
        if timeout(GOODBYE, joined).await.is_err() {
            tracing::error!("the store did not close in time; the next start repairs it");
        }
        drop(data_dir);
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|source| StartError::Listen { address, source })
}

/// Returns the authority in links: the operator's setting, or the bound address.
fn authority(config: &Config, local: SocketAddr) -> String {
    config.public_url.clone().unwrap_or_else(|| local.to_string())
}

/// Returns the pin in links, if no authority vouches for the certificate.
fn link_pin(identity: &Option<Arc<Identity>>) -> Option<Pin> {
    identity.as_ref().filter(|identity| identity.is_self_signed()).map(|identity| identity.pin())
}

/// Names in a self-signed certificate; clients that pin its key ignore them.
pub(crate) fn names(authority: &str) -> Vec<String> {
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    if let Some((host, _)) = authority.rsplit_once(':') {
        let host = host.trim_matches(['[', ']']).to_owned();
        if !names.contains(&host) {
            names.push(host);
        }
    }
    names
}

/// Runs the periodic work.
async fn upkeep(
    shared: Arc<Shared>,
    identity: Option<Arc<Identity>>,
    data_dir: Arc<DataDir>,
    local: SocketAddr,
    mut hangups: Hangups,
) {
    let mut round = 0_u32;
    loop {
        tokio::select! {
            () = shared.stopping.cancelled() => return,
            () = hangups.next() => {}
            () = tokio::time::sleep(UPKEEP) => {
                let _ = shared.store.note_life(data_dir.path()).await;
                shared.registry.cool();
                shared.uploads.expire(Instant::now());
                if round.is_multiple_of(RETENTION_EVERY) {
                    let deleted = delete_expired(&shared).await;
                    if deleted > 0 {
                        tracing::debug!(deleted, "what was past its time is deleted");
                    }
                }
                round = round.wrapping_add(1);
            }
        }
        match identity.as_ref().map(|identity| identity.reload()) {
            Some(Ok(Reload::Replaced)) => {
                // New links must name the key that is served from now on.
                let authority = authority(&shared.config, local);
                let (transport, pin) = (shared.config.transport, link_pin(&identity));
                if let Err(error) = data_dir.record_address(&Address { authority, transport, pin })
                {
                    tracing::error!(%error, "new grants name the old certificate");
                }
                if let Some(identity) = &identity {
                    remember_pin(&shared.store, identity).await;
                }
                tracing::info!("the certificate was replaced");
            }
            Some(Ok(Reload::Unchanged | Reload::StillBad)) | None => {}
            Some(Err(error)) => {
                let error = words::of_tls(&error);
                tracing::warn!(%error, "the old certificate stays in use");
            }
        }
    }
}

struct Hangups(Option<tokio::signal::unix::Signal>);

fn hangups() -> Hangups {
    Hangups(tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()).ok())
}

impl Hangups {
    async fn next(&mut self) {
        match &mut self.0 {
            Some(signal) => {
                signal.recv().await;
            }
            None => std::future::pending().await,
        }
    }
}

async fn remember_pin(store: &Arc<Store>, identity: &Identity) {
    let pin = identity.is_self_signed().then(|| identity.pin());
    if store.remember_pin(pin).await.is_err() {
        tracing::warn!("the store could not note the pin of this relay's key");
    }
}

/// Deletes expired rows, a few in each transaction; returns their number.
pub(crate) async fn delete_expired(shared: &Shared) -> u64 {
    let now = shared.now();
    let (mut after, mut deleted) = (0, 0);
    loop {
        let Ok(step) = shared.store.forget(now, after).await else { return 0 };
        deleted += step.deleted;
        match step.next {
            Some(next) if !shared.stopping.is_cancelled() => after = next,
            _ => return deleted,
        }
    }
}
