//! The data directory: one relay at a time, readable only by its owner.

use std::{
    fs::{self, File, TryLockError},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use hearth_protocol::{Pin, invite::Transport};

use crate::words;

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataDirError {
    /// The operating system reports an error.
    #[error("{path}: {}", words::of_io(.source))]
    Io {
        /// The path.
        path: PathBuf,
        /// The error.
        source: std::io::Error,
    },
    /// Another relay uses it.
    #[error("another relay is running on {0}")]
    InUse(PathBuf),
    /// A restore was cut short.
    #[error("a restore into {dir} is not finished")]
    HalfRestored {
        /// The directory.
        dir: PathBuf,
        /// The backup.
        from: PathBuf,
    },
    /// No relay was started on it yet.
    #[error("no relay was started on {0} yet")]
    Empty(PathBuf),
}

fn error(path: &Path) -> impl FnOnce(std::io::Error) -> DataDirError + '_ {
    move |source| DataDirError::Io { path: path.to_owned(), source }
}

/// File that stands in a directory while a backup is put there, with the path of the backup.
pub(crate) const RESTORING: &str = "restoring";
/// File with the address of the running or last relay for its operator.
const ADMIN: &str = "admin";

/// Refuses a directory that a restore has left half done, because a relay on it would be a stranger to every member.
pub(crate) fn check_whole(dir: &Path) -> Result<(), DataDirError> {
    match fs::read_to_string(dir.join(RESTORING)) {
        Ok(text) => {
            let from = text.lines().next().unwrap_or_default().into();
            Err(DataDirError::HalfRestored { dir: dir.to_owned(), from })
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        // A folder that is a file has no restore in it; the next step says what it is.
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => Ok(()),
        Err(source) => Err(error(&dir.join(RESTORING))(source)),
    }
}

/// Reads the address that the running or last relay has for its operator.
pub(crate) fn recorded_admin(dir: &Path) -> Option<std::net::SocketAddr> {
    fs::read_to_string(dir.join(ADMIN)).ok()?.trim().parse().ok()
}

/// A data directory that is held by this process until the value is dropped.
#[derive(Debug)]
pub(crate) struct DataDir {
    path: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Takes the directory, creating it if needed.
    pub(crate) fn take(path: &Path) -> Result<Self, DataDirError> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(error(path))?;
        let lock_path = path.join("lock");
        let lock = fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&lock_path)
            .map_err(error(&lock_path))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(DataDirError::InUse(path.to_owned())),
            Err(TryLockError::Error(source)) => Err(error(&lock_path)(source)),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Records the address for the operator, so that `hearthd doctor` finds the relay.
    pub(crate) fn record_admin(&self, admin: std::net::SocketAddr) {
        // Only the doctor misses it, and says so.
        let _ = fs::write(self.path.join(ADMIN), format!("{admin}\n"));
    }

    /// Records the relay's address, for links that another process prints.
    pub(crate) fn record_address(&self, address: &Address) -> Result<(), DataDirError> {
        let path = self.path.join("address");
        let next = self.path.join("address.next");
        let pin = address.pin.map_or_else(|| "-".to_owned(), Pin::to_hex);
        let scheme = match address.transport {
            Transport::Tls => "wss",
            Transport::Plain => "ws",
        };
        fs::write(&next, format!("{scheme}://{} {pin}\n", address.authority))
            .and_then(|()| fs::rename(&next, &path))
            .map_err(error(&path))
    }
}

/// A relay's address for members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) authority: String,
    pub(crate) transport: Transport,
    /// The pin, if no authority vouches for the certificate.
    pub(crate) pin: Option<Pin>,
}

impl Address {
    /// Reads the address that the running or last relay recorded.
    pub(crate) fn read(dir: &Path) -> Result<Self, DataDirError> {
        let empty = || DataDirError::Empty(dir.to_owned());
        let text = fs::read_to_string(dir.join("address")).map_err(|_| empty())?;
        let (url, pin) = text.trim().split_once(' ').ok_or_else(empty)?;
        let (transport, authority) = split_url(url).ok_or_else(empty)?;
        Ok(Self { authority: authority.to_owned(), transport, pin: Pin::from_hex(pin) })
    }
}

/// Splits `wss://host:port` or `ws://host:port`.
pub(crate) fn split_url(url: &str) -> Option<(Transport, &str)> {
    let url = url.trim_end_matches('/');
    if let Some(authority) = url.strip_prefix("wss://") {
        return Some((Transport::Tls, authority));
    }
    url.strip_prefix("ws://").map(|authority| (Transport::Plain, authority))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn second_relay_waits_for_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("relay");
        let first = DataDir::take(&path).unwrap();
        assert!(matches!(DataDir::take(&path), Err(DataDirError::InUse(_))));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        drop(first);
        DataDir::take(&path).unwrap();
    }

    #[test]
    fn recorded_address_is_read_back() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(Address::read(dir.path()), Err(DataDirError::Empty(_))));
        let data = DataDir::take(dir.path()).unwrap();
        for pin in [None, Some(Pin([7; 32]))] {
            let authority = "relay.example:7443".to_owned();
            let address = Address { authority, transport: Transport::Tls, pin };
            data.record_address(&address).unwrap();
            assert_eq!(Address::read(dir.path()).unwrap(), address);
        }
    }
}
