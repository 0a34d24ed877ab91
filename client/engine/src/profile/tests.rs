//! Profiles: locking, unlocking, and refusals, which never change the disk.

use std::{collections::BTreeMap, os::unix::fs::PermissionsExt as _, time::Instant};

use hearth_protocol::invite::Invite;
use tempfile::TempDir;

use super::*;
use crate::{
    state::RoomState,
    store::{Kind, RoomNo},
};

fn passphrase(text: &str) -> Unlock {
    Unlock::Passphrase(Zeroizing::new(text.to_owned()))
}

fn home() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    (folder, home)
}

/// Every file of a folder with its content.
fn content(home: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let paths = fs::read_dir(home).unwrap().map(|entry| entry.unwrap().path());
    paths.map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

/// Returns the error of an attempt that must fail and must change nothing.
fn refused(home: &Path, unlock: Option<&Unlock>) -> ProfileError {
    let before = content(home);
    let Err(error) = Profile::open(home, unlock) else { panic!("opened") };
    assert_eq!(content(home), before);
    error
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn key_file_profile_opens_again() {
    let (_folder, home) = home();
    assert_eq!(Profile::inspect(&home).unwrap(), ProfileState::New);
    assert!(!home.exists());
    let profile = Profile::open_or_create(&home, None).unwrap();
    profile.store().put(Kind::Meta, RoomNo::NONE, b"x", b"kept").unwrap();
    assert_eq!(mode(&home), 0o700);
    for path in content(&home).keys() {
        assert_eq!(mode(path), 0o600, "{path:?}");
    }
    drop(profile);
    assert_eq!(Profile::inspect(&home).unwrap(), ProfileState::NeedsKeyFile(home.join(KEY)));
    let profile = Profile::open_or_create(&home, None).unwrap();
    assert_eq!(profile.store().get(Kind::Meta, RoomNo::NONE, b"x").unwrap().unwrap(), b"kept");
    drop(profile);
    assert!(matches!(Profile::create(&home, None), Err(ProfileError::Exists)));
    assert!(matches!(refused(&home, Some(&passphrase("x"))), ProfileError::KeyFileNeeded(_)));
}

#[test]
fn passphrase_profile_needs_its_passphrase() {
    let (_folder, home) = home();
    let empty = Profile::create(&home, Some(&passphrase("")));
    assert!(matches!(empty, Err(ProfileError::EmptyPassphrase)));
    for (short, count) in
        [("x", 1), ("1234567", 7), ("aaaaaaaaaaaa", 1), ("   abc     ", 3), ("      ", 0)]
    {
        let made = Profile::create(&home, Some(&passphrase(short)));
        assert!(matches!(made, Err(ProfileError::ShortPassphrase(n)) if n == count), "{short}");
    }
    drop(Profile::create(&home, Some(&passphrase("seven quiet otters"))).unwrap());
    assert!(!home.join(KEY).exists());
    assert_eq!(Profile::inspect(&home).unwrap(), ProfileState::NeedsPassphrase);
    assert!(matches!(refused(&home, None), ProfileError::PassphraseNeeded));
    for wrong in ["", "seven quiet otter", "Seven quiet otters"] {
        assert!(matches!(refused(&home, Some(&passphrase(wrong))), ProfileError::WrongPassphrase));
    }
    Profile::open(&home, Some(&passphrase("seven quiet otters"))).unwrap();
}

#[test]
fn no_secret_is_in_any_file() {
    let (_folder, home) = home();
    let profile = Profile::create(&home, Some(&passphrase("canary-passphrase"))).unwrap();
    profile.store().put(Kind::Room, RoomNo(1), b"canary-name", b"canary-text").unwrap();
    let search = || {
        for (path, bytes) in content(&home) {
            let holds = |word: &[u8]| bytes.windows(word.len()).any(|part| part == word);
            assert!(!holds(b"canary") && !holds(&*profile.data_key), "{path:?}");
        }
    };
    search();
    profile.change_unlock(Some(&passphrase("canary-other"))).unwrap();
    profile.store().checkpoint().unwrap();
    search();
}

/// T25: every type that opens a profile or signs in a room wipes itself, or this does not compile.
#[test]
fn secrets_are_wiped_when_dropped() {
    use std::mem::needs_drop;
    use zeroize::ZeroizeOnDrop;
    fn has<S, T: ZeroizeOnDrop>(_: fn(&S) -> &T) -> bool {
        needs_drop::<T>()
    }
    fn gives<S, T: ZeroizeOnDrop>(_: fn(&S) -> T) -> bool {
        needs_drop::<T>()
    }
    fn takes<S, T: ZeroizeOnDrop>(_: fn(T) -> S) -> bool {
        needs_drop::<T>()
    }
    assert!(takes(Unlock::Passphrase));
    assert!(has(|profile: &Profile| &profile.data_key));
    assert!(has(|state: &RoomState| &state.key) && has(|state: &RoomState| &state.companion.seed));
    assert!(gives(RoomState::signing_key));
    assert!(has(|invite: &Invite| &invite.secret));
}

#[test]
fn profile_opens_only_once() {
    let (_folder, home) = home();
    let profile = Profile::create(&home, None).unwrap();
    assert!(matches!(Profile::open(&home, None), Err(ProfileError::InUse)));
    assert!(matches!(Profile::create(&home, None), Err(ProfileError::InUse)));
    Profile::inspect(&home).unwrap();
    drop(profile);
    Profile::open(&home, None).unwrap();
}

/// An exposed, missing, wrong or truncated key file opens no profile.
#[test]
fn bad_key_files_are_refused() {
    let (_folder, home) = home();
    drop(Profile::create(&home, None).unwrap());
    let key = home.join(KEY);
    for exposed in [0o640, 0o604, 0o620, 0o666] {
        fs::set_permissions(&key, fs::Permissions::from_mode(exposed)).unwrap();
        assert!(matches!(refused(&home, None), ProfileError::KeyFileExposed(_)));
    }
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    let right = fs::read(&key).unwrap();
    for cut in [&right[..0], &right[..31], &[&right[..], &[0]].concat()] {
        fs::write(&key, cut).unwrap();
        assert!(matches!(refused(&home, None), ProfileError::Damaged(ProfileFile::Key)));
    }
    fs::write(&key, [9; 32]).unwrap();
    assert!(matches!(refused(&home, None), ProfileError::WrongKeyFile(_)));
    fs::remove_file(&key).unwrap();
    assert!(matches!(refused(&home, None), ProfileError::KeyFileMissing(_)));
    assert!(!key.exists(), "a lost key is not replaced");
}

#[test]
fn key_file_may_be_shared_elsewhere() {
    let (folder, home) = home();
    let elsewhere = folder.path().join("stick");
    let unlock = Unlock::KeyFile(elsewhere.clone());
    drop(Profile::create(&home, Some(&unlock)).unwrap());
    assert!(!home.join(KEY).exists());
    assert_eq!(mode(&elsewhere), 0o600);
    assert_eq!(Profile::inspect(&home).unwrap(), ProfileState::NeedsKeyFile(elsewhere.clone()));
    drop(Profile::open(&home, None).unwrap());
    let before = fs::read(&elsewhere).unwrap();
    drop(Profile::create(&folder.path().join("second"), Some(&unlock)).unwrap());
    assert_eq!(fs::read(&elsewhere).unwrap(), before);
}

#[test]
fn profile_lock_can_be_changed() {
    let (_folder, home) = home();
    let profile = Profile::create(&home, None).unwrap();
    profile.store().put(Kind::Meta, RoomNo::NONE, b"x", b"kept").unwrap();
    profile.change_unlock(Some(&passphrase("first otters"))).unwrap();
    profile.change_unlock(Some(&passphrase("second otters"))).unwrap();
    drop(profile);
    assert!(matches!(refused(&home, None), ProfileError::PassphraseNeeded));
    assert!(matches!(
        refused(&home, Some(&passphrase("first otters"))),
        ProfileError::WrongPassphrase
    ));
    let profile = Profile::open(&home, Some(&passphrase("second otters"))).unwrap();
    assert_eq!(profile.store().get(Kind::Meta, RoomNo::NONE, b"x").unwrap().unwrap(), b"kept");
}

/// A damaged header is not mistaken for a wrong passphrase.
#[test]
fn damaged_header_is_reported_as_damage() {
    let (_folder, home) = home();
    let unlock = passphrase("an otter or two");
    drop(Profile::create(&home, Some(&unlock)).unwrap());
    let path = home.join(PROFILE);
    let right = fs::read(&path).unwrap();
    for at in 0..right.len() {
        let mut damaged = right.clone();
        damaged[at] ^= 1;
        fs::write(&path, damaged).unwrap();
        let error = refused(&home, Some(&unlock));
        assert!(matches!(error, ProfileError::Damaged(ProfileFile::Profile)), "byte {at}");
        fs::write(&path, &right[..at]).unwrap();
        let error = refused(&home, Some(&unlock));
        assert!(matches!(error, ProfileError::Damaged(ProfileFile::Profile)), "{at} bytes");
        assert!(matches!(Profile::create(&home, None), Err(ProfileError::Damaged(_))));
    }
    let (content, _) = right.split_last_chunk::<32>().unwrap();
    let mut newer = content.to_vec();
    newer[17] = 2;
    newer.extend_from_slice(&hearth_protocol::hash::sha256(&newer).0);
    fs::write(&path, newer).unwrap();
    assert!(matches!(refused(&home, Some(&unlock)), ProfileError::NewerVersion(2)));
    assert!(matches!(Profile::inspect(&home), Err(ProfileError::NewerVersion(2))));
}

#[test]
fn lost_file_starts_no_new_profile() {
    let (_folder, home) = home();
    assert!(matches!(Profile::open(&home, None), Err(ProfileError::Missing)));
    assert!(!home.exists());
    drop(Profile::create(&home, None).unwrap());
    let header = fs::read(home.join(PROFILE)).unwrap();
    fs::remove_file(home.join(PROFILE)).unwrap();
    let lost = Profile::open_or_create(&home, None);
    assert!(matches!(lost, Err(ProfileError::Damaged(ProfileFile::Profile))));
    fs::write(home.join(PROFILE), header).unwrap();
    drop(Profile::open(&home, None).unwrap());
    fs::remove_file(home.join(DATABASE)).unwrap();
    assert!(matches!(refused(&home, None), ProfileError::Damaged(ProfileFile::Database)));
}

#[test]
fn interrupted_creation_starts_again() {
    for finished in [&["key.next"][..], &[PROFILE_NEW], &[PROFILE_NEW, DATABASE]] {
        let (_folder, home) = home();
        fs::create_dir(&home).unwrap();
        for name in finished {
            fs::write(home.join(name), b"half").unwrap();
        }
        assert_eq!(Profile::inspect(&home).unwrap(), ProfileState::New);
        drop(Profile::create(&home, None).unwrap());
        Profile::open(&home, None).unwrap();
        assert!(!home.join("key.next").exists());
    }
}

#[test]
fn another_profiles_database_is_damage() {
    let (_folder, home) = home();
    let (_other_folder, other) = self::home();
    drop(Profile::create(&home, None).unwrap());
    drop(Profile::create(&other, None).unwrap());
    fs::copy(other.join(DATABASE), home.join(DATABASE)).unwrap();
    assert!(matches!(refused(&home, None), ProfileError::Damaged(ProfileFile::Database)));
    fs::write(home.join(DATABASE), b"not a database, but something else entirely").unwrap();
    assert!(matches!(refused(&home, None), ProfileError::Damaged(ProfileFile::Database)));
    fs::write(home.join(DATABASE), b"").unwrap();
    assert!(matches!(refused(&home, None), ProfileError::Damaged(ProfileFile::Database)));
}

#[test]
fn wiping_leaves_neither_key_nor_store() {
    let (_folder, home) = home();
    let profile = Profile::create(&home, None).unwrap();
    profile.store().put(Kind::Meta, RoomNo::NONE, b"x", b"x").unwrap();
    profile.wipe().unwrap();
    let left: Vec<_> = content(&home).into_keys().collect();
    assert_eq!(left, [home.join(LOCK)]);
    assert_eq!(Profile::inspect(&home).unwrap(), ProfileState::New);
}

/// Prints how long opening takes. Run with `--ignored --no-capture`, in release for real numbers.
#[test]
#[ignore = "measures, does not check"]
fn cost_of_opening() {
    let (_folder, home) = home();
    drop(Profile::create(&home, None).unwrap());
    let start = Instant::now();
    for _ in 0..100 {
        drop(Profile::open(&home, None).unwrap());
    }
    eprintln!("open and close: {:?}", start.elapsed() / 100);
}
