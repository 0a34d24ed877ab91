//! A profile: the folder of one person on one machine, locked against other processes and sealed with one data key.
//!
//! The folder holds `lock` (held while the profile is open), `profile` (the wrapped data key), `hearth.db` (the sealed store),
//! `hearth.mark` (which reveals lost changes), `contacts` and `country` (crisis contacts in plain text) and `key` (32 random bytes), unless a passphrase or another key file was chosen.

mod error;
mod header;
mod key_file;

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

pub use self::error::{ProfileError, ProfileFile};
#[cfg(feature = "testing")]
pub(crate) use self::header::reencode as reencode_header;

use self::header::{Header, Lock, Unreadable};
use crate::{
    passphrase::{Cost, SALT_BYTES},
    store::Store,
};

/// Minimum characters of a new passphrase. An earlier, shorter one still opens its profile.
pub const PASSPHRASE_CHARS_MIN: usize = 8;

/// The crisis contacts of the profile's rooms, in plain text.
pub const CONTACTS: &str = "contacts";
/// The country whose crisis contacts are shown first.
pub const COUNTRY: &str = "country";
const LOCK: &str = "lock";
const PROFILE: &str = "profile";
/// The header of an unfinished profile. It is renamed when everything else is on disk.
const PROFILE_NEW: &str = "profile.new";
/// The header of a profile during a change of its lock.
const PROFILE_NEXT: &str = "profile.next";
const KEY: &str = "key";
const DATABASE: &str = "hearth.db";
/// Files beside the database: its mark, and the logs that SQLite may leave.
const DATABASE_LOGS: [&str; 4] =
    ["hearth.mark", "hearth.db-wal", "hearth.db-shm", "hearth.db-journal"];

type Result<T, E = ProfileError> = std::result::Result<T, E>;

/// The means that open a profile. It has no `Debug`, because it may hold a passphrase.
pub enum Unlock {
    /// A passphrase, stretched with Argon2id.
    Passphrase(Zeroizing<String>),
    /// A file of 32 random bytes; created if a new profile names a missing one.
    KeyFile(PathBuf),
}

impl Unlock {
    /// Checks the length of a new passphrase. White space at its ends does not count; one repeated character counts once.
    ///
    /// # Errors
    /// [`ProfileError::EmptyPassphrase`] and [`ProfileError::ShortPassphrase`].
    pub fn check_new(&self) -> Result<()> {
        let Self::Passphrase(passphrase) = self else { return Ok(()) };
        if passphrase.is_empty() {
            return Err(ProfileError::EmptyPassphrase);
        }
        let trimmed = passphrase.trim();
        let first = trimmed.chars().next();
        let uniform = trimmed.chars().all(|c| Some(c) == first);
        let count = if uniform { usize::from(first.is_some()) } else { trimmed.chars().count() };
        if count < PASSPHRASE_CHARS_MIN {
            return Err(ProfileError::ShortPassphrase(count));
        }
        Ok(())
    }
}

/// The means that the profile in a folder needs to be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProfileState {
    /// There is no profile yet.
    New,
    /// It is locked with a passphrase.
    NeedsPassphrase,
    /// It is locked with the key file at this path.
    NeedsKeyFile(PathBuf),
}

/// An open profile. No other process can open it until this is dropped.
pub struct Profile {
    home: PathBuf,
    store: Store,
    data_key: Zeroizing<[u8; 32]>,
    // Declared last, so that it is released after the store is closed.
    _lock: File,
}

impl Profile {
    /// Returns how the profile in a folder can be opened, without locking or changing anything.
    ///
    /// # Errors
    /// [`ProfileError::Damaged`] and [`ProfileError::NewerVersion`] are already found here.
    pub fn inspect(home: &Path) -> Result<ProfileState> {
        Ok(match read_header(home)? {
            None => ProfileState::New,
            Some(header) => match header.lock {
                Lock::Passphrase { .. } => ProfileState::NeedsPassphrase,
                Lock::KeyFile { path } => {
                    ProfileState::NeedsKeyFile(Lock::key_path(path.as_deref(), home.join(KEY)))
                }
            },
        })
    }

    /// Creates a profile and its folder. Without an unlock, it creates a key file in the folder.
    ///
    /// # Errors
    /// [`ProfileError::Exists`] if the folder has one already; see [`ProfileError`] for the rest.
    pub fn create(home: &Path, unlock: Option<&Unlock>) -> Result<Self> {
        // Checked before anything is created.
        unlock.map_or(Ok(()), Unlock::check_new)?;
        DirBuilder::new().recursive(true).mode(0o700).create(home)?;
        let lock_file = lock(home)?;
        if read_header(home)?.is_some() {
            return Err(ProfileError::Exists);
        }
        discard_unfinished(home)?;
        let mut data_key = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *data_key)?;
        let header = wrap(home, unlock, &data_key)?;
        write_new(&home.join(PROFILE_NEW), &header.encode())?;
        let store = Store::create(&home.join(DATABASE), &data_key)?;
        fs::rename(home.join(PROFILE_NEW), home.join(PROFILE))?;
        sync_folder(home)?;
        Ok(Self { home: home.to_owned(), store, data_key, _lock: lock_file })
    }

    /// Opens the profile in a folder. Without an unlock, it reads the key file at the recorded place.
    ///
    /// # Errors
    /// [`ProfileError::Missing`] if the folder has none; see [`ProfileError`] for the rest.
    pub fn open(home: &Path, unlock: Option<&Unlock>) -> Result<Self> {
        // Checked before locking, because opening a missing profile must not create a folder.
        if read_header(home)?.is_none() {
            return Err(ProfileError::Missing);
        }
        let lock_file = lock(home)?;
        let header = read_header(home)?.ok_or(ProfileError::Missing)?;
        let data_key = unwrap(home, &header, unlock)?;
        let database = home.join(DATABASE);
        if !database.try_exists()? {
            return Err(ProfileError::Damaged(ProfileFile::Database));
        }
        let store = Store::open(&database, &data_key)?;
        Ok(Self { home: home.to_owned(), store, data_key, _lock: lock_file })
    }

    /// Opens the profile in a folder, or creates one.
    ///
    /// # Errors
    /// See [`ProfileError`].
    pub fn open_or_create(home: &Path, unlock: Option<&Unlock>) -> Result<Self> {
        match Self::inspect(home)? {
            ProfileState::New => Self::create(home, unlock),
            ProfileState::NeedsPassphrase | ProfileState::NeedsKeyFile(_) => {
                Self::open(home, unlock)
            }
        }
    }

    /// Returns the folder.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Returns the sealed store.
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// Replaces the lock by another passphrase or key file. The store is not rewritten. An earlier
    /// key file stays where it is, but no longer opens the profile.
    ///
    /// # Errors
    /// See [`ProfileError`]; after an error the old lock holds.
    pub fn change_unlock(&self, unlock: Option<&Unlock>) -> Result<()> {
        let next = self.home.join(PROFILE_NEXT);
        remove_if_there(&next)?;
        let header = wrap(&self.home, unlock, &self.data_key)?;
        write_new(&next, &header.encode())?;
        fs::rename(next, self.home.join(PROFILE))?;
        sync_folder(&self.home)
    }

    /// Erases everything, starting with the wrapped data key, so that an interruption leaves only unreadable bytes.
    ///
    /// # Errors
    /// See [`ProfileError`]; remaining files can be deleted by hand.
    pub fn wipe(self) -> Result<()> {
        let Self { home, store, data_key, _lock } = self;
        drop((store, data_key));
        let names = [KEY, PROFILE, PROFILE_NEW, PROFILE_NEXT];
        let files = names.map(|name| home.join(name)).into_iter();
        for file in files.chain([key_file::next(&home.join(KEY))]) {
            overwrite_if_there(&file)?;
            remove_if_there(&file)?;
        }
        sync_folder(&home)?;
        for name in [DATABASE, CONTACTS, COUNTRY].into_iter().chain(DATABASE_LOGS) {
            remove_if_there(&home.join(name))?;
        }
        // The lock file stays: deleting it while held would let two other processes hold the lock at the same time.
        sync_folder(&home)
    }
}

fn lock(home: &Path) -> Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(home.join(LOCK))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(ProfileError::InUse),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

fn read_header(home: &Path) -> Result<Option<Header>> {
    let mut bytes = Vec::new();
    match File::open(home.join(PROFILE)) {
        Ok(file) => file.take(header::BYTES_MAX).read_to_end(&mut bytes)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // A database without its header is a loss and not a fresh start, unless the creation was interrupted.
            let lost = home.join(DATABASE).try_exists()? && !home.join(PROFILE_NEW).try_exists()?;
            return if lost { Err(ProfileError::Damaged(ProfileFile::Profile)) } else { Ok(None) };
        }
        Err(error) => return Err(error.into()),
    };
    match Header::decode(&bytes) {
        Ok(header) => Ok(Some(header)),
        Err(Unreadable::Damaged) => Err(ProfileError::Damaged(ProfileFile::Profile)),
        Err(Unreadable::Newer(version)) => Err(ProfileError::NewerVersion(version.into())),
    }
}

/// Removes the files of an interrupted creation. That profile was never opened, so it holds nothing.
fn discard_unfinished(home: &Path) -> Result<()> {
    if home.join(PROFILE_NEW).try_exists()? {
        for name in [DATABASE].into_iter().chain(DATABASE_LOGS).chain([PROFILE_NEW]) {
            remove_if_there(&home.join(name))?;
        }
        sync_folder(home)?;
    }
    Ok(())
}

fn wrap(home: &Path, unlock: Option<&Unlock>, data_key: &[u8; 32]) -> Result<Header> {
    unlock.map_or(Ok(()), Unlock::check_new)?;
    let (lock, wrapping) = match unlock {
        Some(Unlock::Passphrase(passphrase)) => {
            let mut salt = [0; SALT_BYTES];
            getrandom::fill(&mut salt)?;
            let key = Cost::NEW.stretch(passphrase, &salt).ok_or(ProfileError::Randomness)?;
            (Lock::Passphrase { cost: Cost::NEW, salt }, key)
        }
        Some(Unlock::KeyFile(path)) if *path != home.join(KEY) => {
            let path = std::path::absolute(path)?;
            (Lock::key_file(Some(&path)), key_file::read_or_create(&path)?)
        }
        Some(Unlock::KeyFile(_)) | None => {
            (Lock::key_file(None), key_file::read_or_create(&home.join(KEY))?)
        }
    };
    Ok(Header::wrap(lock, &wrapping, data_key)?)
}

fn unwrap(home: &Path, header: &Header, unlock: Option<&Unlock>) -> Result<Zeroizing<[u8; 32]>> {
    match (&header.lock, unlock) {
        (Lock::Passphrase { cost, salt }, Some(Unlock::Passphrase(passphrase))) => {
            let wrapping = cost
                .stretch(passphrase, salt)
                .ok_or(ProfileError::Damaged(ProfileFile::Profile))?;
            header.unwrap_key(&wrapping).ok_or(ProfileError::WrongPassphrase)
        }
        (Lock::Passphrase { .. }, _) => Err(ProfileError::PassphraseNeeded),
        (Lock::KeyFile { path }, unlock) => {
            let recorded = Lock::key_path(path.as_deref(), home.join(KEY));
            let path = match unlock {
                None => recorded,
                Some(Unlock::KeyFile(path)) => path.clone(),
                Some(Unlock::Passphrase(_)) => return Err(ProfileError::KeyFileNeeded(recorded)),
            };
            let wrapping = key_file::read(&path).map_err(|error| match (error, unlock) {
                // A file named by hand is another file rather than damage.
                (ProfileError::Damaged(_), Some(_)) => ProfileError::WrongKeyFile(path.clone()),
                (error, _) => error,
            })?;
            header.unwrap_key(&wrapping).ok_or(ProfileError::WrongKeyFile(path))
        }
    }
}

/// Writes a file that must not exist yet, readable by its owner only, and waits until it is on disk.
fn write_new(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    if let Err(error) = written {
        // Half a file would block the next attempt.
        let _ = fs::remove_file(path);
        return Err(error.into());
    }
    Ok(())
}

fn overwrite_if_there(path: &Path) -> Result<()> {
    match OpenOptions::new().write(true).open(path) {
        Ok(mut file) => {
            let length = usize::try_from(file.metadata()?.len()).unwrap_or(0);
            let limit = usize::try_from(header::BYTES_MAX).unwrap_or(0);
            file.write_all(&vec![0; length.min(limit)])?;
            Ok(file.sync_all()?)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn remove_if_there(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

fn sync_folder(home: &Path) -> Result<()> {
    Ok(File::open(home)?.sync_all()?)
}

#[cfg(test)]
mod tests;
