//! A relay from start to end, and the two commands that an operator runs beside it.

use std::{
    io::ErrorKind as Kind,
    net::SocketAddr,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use hearth_protocol::{
    Millis, Pin, RelayId, Secret32,
    invite::{self, RelayAddress, Transport},
    limits::MEMBERS_MAX,
};
use hearth_rules::admission::Terms;
use tokio::{
    net::TcpListener,
    time::{Instant, timeout},
};
use tokio_rustls::TlsAcceptor;

use crate::{
    Config, DataDirError, OpenError, Shared, TlsError, admin,
    config::ConfigError,
    data_dir::{Address, DataDir, split_url},
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

/// Why a relay does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A setting is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The data directory cannot be used.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// The database cannot be used.
    #[error("{path}: {source}")]
    Store {
        /// Path of the database.
        path: PathBuf,
        /// The error.
        source: OpenError,
    },
    /// The certificate cannot be used.
    #[error("{}", words::of_tls(.0))]
    Tls(#[from] TlsError),
    /// An address cannot be bound.
    #[error("cannot listen on {address}: {}", words::of_io(.source))]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The error.
        source: std::io::Error,
    },
    /// The terms of a grant are wrong.
    #[error("{0}")]
    Grant(&'static str),
    /// The link of a grant could not be printed.
    #[error("standard output cannot be written to: {}", words::of_io(.0))]
    GrantUnprinted(std::io::Error),
    /// The destination of a backup is not free.
    #[error("{into} {found}")]
    BackupTaken {
        /// Data directory of the copied relay.
        dir: PathBuf,
        /// The destination.
        into: PathBuf,
        /// What the destination is or holds.
        found: &'static str,
    },
    /// The path of a backup could not be printed.
    #[error("standard output cannot be written to: {}", words::of_io(.0))]
    BackupUnprinted(std::io::Error),
}

impl StartError {
    /// Returns the next thing to try, in one line.
    pub fn advice(&self) -> String {
        match self {
            Self::Config(ConfigError::Read { source, .. }) if source.kind() == Kind::InvalidData => {
                "save the file as UTF-8".into()
            }
            Self::Config(ConfigError::Read { path, source }) => file_advice(path, source.kind()),
            Self::Config(_) => "correct the setting; `hearthd --help` lists them all".into(),
            Self::DataDir(DataDirError::InUse(_)) => {
                "stop the other relay, or choose another directory with --data-dir".into()
            }
            Self::DataDir(DataDirError::Empty(path)) => format!(
                "start the relay once: `hearthd --data-dir {}`; or name its address with --url wss://HOST:PORT",
                path.display()
            ),
            Self::DataDir(DataDirError::Io { path, source }) => file_advice(path, source.kind()),
            Self::Store { source: OpenError::OlderSchema { .. }, .. } => {
                "no released version wrote it: move the folder away and start a new relay".into()
            }
            Self::Store { source: OpenError::Vanished(_), .. } => {
                "put the last backup in its place; for a new relay, move the folder away or choose another with --data-dir".into()
            }
            Self::Store { source: OpenError::OldSqlite(_), .. } => {
                "build hearthd with the SQLite that Cargo.lock names: cargo build --locked".into()
            }
            Self::Store { source: OpenError::Schema { .. }, .. } => {
                "install the newer version again, or restore the backup from before the upgrade"
                    .into()
            }
            Self::Store { path, source } => {
                source.kind().map_or_else(|| DAMAGED.into(), |kind| file_advice(path, kind))
            }
            Self::Tls(TlsError::KeyExposed(path)) => {
                format!("take the right away: `chmod 600 {}`", path.display())
            }
            Self::Tls(TlsError::OwnKey(..)) => {
                "copy key.pem there from where you keep it or from the relay's old folder (`hearthd backup` copies hearth.db alone); if it is lost, move the folder away, start a new relay and give everybody new links".into()
            }
            Self::Tls(TlsError::OwnCertificate(..)) => {
                "delete cert.pem there and start again: the relay makes another from key.pem, and links stay as they are".into()
            }
            Self::Tls(TlsError::File { path, source }) => file_advice(path, source.kind()),
            Self::Tls(_) => "check the files given with --tls-cert and --tls-key".into(),
            Self::Listen { source, .. } => match source.kind() {
                Kind::AddrInUse => {
                    "stop what listens there, or choose another address with --listen or --admin-listen"
                }
                Kind::PermissionDenied => {
                    "choose a port from 1024 up, or allow the lower one to this account"
                }
                _ => "choose an address of this machine with --listen or --admin-listen",
            }
            .into(),
            Self::Grant(_) => "`hearthd grant --help` says what it takes".into(),
            Self::GrantUnprinted(error) => {
                let how = match error.kind() {
                    Kind::StorageFull | Kind::QuotaExceeded => "free some space and run it again",
                    _ => "run it again where its output is read",
                };
                format!("{how}; the unprinted grant is harmless")
            }
            Self::BackupTaken { dir, into, .. } => format!(
                "name a directory that is new or empty: `hearthd backup --data-dir {} {}`",
                dir.display(),
                unused(into).display()
            ),
            Self::BackupUnprinted(_) => {
                "do not run it again: the backup is whole, in the directory that was named".into()
            }
        }
    }

    /// Whether the settings are at fault, not the state of the machine.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Config(_) | Self::Grant(_))
    }
}

const DAMAGED: &str = "check the disk; if the file is damaged, put the last backup in its place";

/// Returns a free path beside another.
fn unused(path: &Path) -> PathBuf {
    let numbered = |number: u32| {
        // Drop a trailing slash.
        let mut name = path.components().as_path().as_os_str().to_owned();
        name.push(format!("-{number}"));
        PathBuf::from(name)
    };
    (2..).map(numbered).find(|path| !path.exists()).unwrap_or_default()
}

/// Returns the next thing to try for a file or a directory.
fn file_advice(path: &Path, kind: Kind) -> String {
    match kind {
        Kind::ReadOnlyFilesystem => {
            "see what the system's log says of this disk, then mount it so that it can be written to"
                .into()
        }
        Kind::StorageFull | Kind::QuotaExceeded => "free some space there and run it again".into(),
        Kind::PermissionDenied => format!(
            "`ls -ld {}` shows whose it is: run hearthd as that account, or change the owner",
            path.display()
        ),
        Kind::NotFound => {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            let folder = folder.unwrap_or(Path::new("."));
            format!("check the path: `ls -l {}` shows what is there", folder.display())
        }
        Kind::AlreadyExists => "name another directory".into(),
        _ => "give this account a directory that it owns, with --data-dir".into(),
    }
}

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
fn names(authority: &str) -> Vec<String> {
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

/// Terms of a grant.
#[derive(Clone, Debug)]
pub struct Grant {
    /// Number of rooms that it opens.
    pub rooms: u32,
    /// Maximum members of each room.
    pub members: u32,
    /// End of validity.
    pub expires: Millis,
    /// `wss://host:port` in the link; by default the address that the relay recorded.
    pub url: Option<String>,
}

/// Writes a grant into a store, whether or not its relay is running, and returns the link.
///
/// # Errors
/// See [`StartError`].
pub fn grant(dir: &Path, terms: &Grant) -> Result<String, StartError> {
    if terms.rooms == 0 {
        return Err(StartError::Grant("a grant opens one room at least"));
    }
    if terms.members == 0 || terms.members > MEMBERS_MAX {
        return Err(StartError::Grant("a room has between 1 and 1000 members"));
    }
    let address = grant_address(dir, terms.url.as_deref())?;
    let path = store::database_path(dir);
    let fault = |source: OpenError| StartError::Store { path: path.clone(), source };
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)
        .map_err(|_| StartError::Grant("the system gives no random bytes"))?;
    let secret = Secret32::new(bytes);
    let stored =
        Terms { rooms_left: terms.rooms, members_max: terms.members, expires: terms.expires };
    let relay = store::add_grant(dir, &secret, &stored).map_err(fault)?;
    let Address { authority, transport, pin } = address;
    let address = RelayAddress { authority, transport, relay, pin };
    Ok(invite::Grant { address, secret }.to_link())
}

/// Returns the address that a grant's link names.
fn grant_address(dir: &Path, url: Option<&str>) -> Result<Address, StartError> {
    let recorded = Address::read(dir);
    let Some(url) = url else {
        let recorded = recorded?;
        let host = recorded.authority.rsplit_once(':').map_or("", |(host, _)| host);
        if matches!(host, "0.0.0.0" | "[::]") {
            return Err(StartError::Grant(
                "the relay listens on every address: name one with --url wss://HOST:PORT",
            ));
        }
        return Ok(recorded);
    };
    let (transport, authority) =
        split_url(url).ok_or(StartError::Grant("the url is no wss://HOST:PORT"))?;
    crate::config::check_authority(authority)?;
    let authority = authority.to_owned();
    let pin = match (transport, recorded) {
        (Transport::Plain, Ok(_)) => None,
        (Transport::Plain, Err(_)) => DataDir::take(dir).map(|_| None)?,
        (Transport::Tls, Ok(recorded)) => recorded.pin,
        // Before the first start, use the certificate that the start will find.
        (Transport::Tls, Err(_)) => {
            let data_dir = DataDir::take(dir)?;
            let (dir, names) = (data_dir.path(), names(&authority));
            Some(Identity::load_or_make(dir, &names, store::pinned(dir))?.pin())
        }
    };
    Ok(Address { authority, transport, pin })
}

/// Copies a store consistently into a directory, even while its relay runs; returns the copy's path.
///
/// # Errors
/// See [`StartError`].
pub fn backup(dir: &Path, into: &Path) -> Result<PathBuf, StartError> {
    let path = store::database_path(dir);
    let fault = |source: OpenError| StartError::Store { path: path.clone(), source };
    store::check_present(dir).map_err(fault)?;
    if !path.exists() {
        return Err(DataDirError::Empty(dir.to_owned()).into());
    }
    let taken =
        |found| StartError::BackupTaken { dir: dir.to_owned(), into: into.to_owned(), found };
    if into.exists() && !into.is_dir() {
        return Err(taken("is a file"));
    }
    let made = !into.exists();
    let io_error = |source| DataDirError::Io { path: into.to_owned(), source };
    std::fs::create_dir_all(into).map_err(io_error)?;
    let (copy, next) = (store::database_path(into), into.join("hearth.db.next"));
    // `create_new`, so that this never overwrites another backup into the same directory.
    let begun = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&next);
    match begun {
        Ok(_) => {}
        Err(error) if error.kind() == Kind::AlreadyExists => {
            return Err(taken("holds a backup that is under way, or was cut short"));
        }
        Err(source) => return Err(DataDirError::Io { path: next, source }.into()),
    }
    let vacuum = || -> Result<(), StartError> {
        let others = std::fs::read_dir(into).map_err(io_error)?.count();
        if copy.exists() {
            return Err(taken("holds a store already"));
        }
        if others > 1 {
            return Err(taken("is not empty"));
        }
        store::copy(dir, &next).map_err(fault)?;
        std::fs::rename(&next, &copy)
            .and_then(|()| std::fs::File::open(into)?.sync_all())
            .map_err(|source| DataDirError::Io { path: copy.clone(), source }.into())
    };
    if let Err(error) = vacuum() {
        let _ = std::fs::remove_file(&next);
        if made {
            let _ = std::fs::remove_dir(into);
        }
        return Err(error);
    }
    Ok(copy)
}
