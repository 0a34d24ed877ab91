//! The account that owns a relay's files.

use std::{
    fs,
    os::unix::{fs::MetadataExt as _, process::CommandExt as _},
    path::Path,
    process::Command,
};

use crate::{DataDirError, StartError};

/// Settings of the relay that a package installs; read where neither settings nor a directory are named.
pub(crate) const SETTINGS: &str = "/etc/hearthd/hearthd.toml";
/// Directory of the relay that a package installs.
pub(super) const DATA: &str = "/var/lib/hearthd";

/// Whether this process may do anything.
pub(super) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Runs this program again as the owner of a directory, if root runs it now and another account owns it. A file of root's beside
/// the store would keep the relay from starting.
pub(super) fn become_owner(dir: &Path) -> Result<(), StartError> {
    if !is_root() {
        return Ok(());
    }
    let Some(owner) = fs::metadata(dir).ok().filter(|owner| owner.uid() != 0) else {
        return Ok(());
    };
    let failed = |source| DataDirError::Io { path: dir.to_owned(), source };
    let program = std::env::current_exe().map_err(failed)?;
    let error = Command::new(program)
        .args(std::env::args_os().skip(1))
        .uid(owner.uid())
        .gid(owner.gid())
        .exec();
    Err(failed(error).into())
}

/// Gives a new file to the owner of a directory, if root made it.
pub(super) fn give_to_owner(file: &Path, dir: &Path) -> std::io::Result<()> {
    match fs::metadata(dir) {
        Ok(owner) if is_root() && owner.uid() != 0 => {
            std::os::unix::fs::chown(file, Some(owner.uid()), Some(owner.gid()))
        }
        _ => Ok(()),
    }
}
