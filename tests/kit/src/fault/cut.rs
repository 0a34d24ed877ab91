//! A disk whose power can be cut: XFS in a file, mounted, and shut down without writing what waits in memory.
//!
//! The shutdown drops every page that was not synced and every change that is not in the file system's own log on
//! disk, as a cut of power does with an honest disk. A process that is only killed leaves all that to the kernel, which
//! still writes it: a missing sync is invisible then.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::skip::{lacks, skipped};

/// A mounted disk of its own. Unmounted when dropped.
pub struct Disk {
    image: tempfile::NamedTempFile,
    folder: tempfile::TempDir,
}

impl Disk {
    /// Makes and mounts a disk; says so and returns nothing where that is not possible.
    pub fn new() -> Option<Self> {
        /// Enough for a campaign; what is not written takes no place.
        const BYTES: u64 = 1024 * 1024 * 1024;
        let disk = Self {
            image: tempfile::NamedTempFile::new().unwrap(),
            folder: tempfile::tempdir().unwrap(),
        };
        disk.image.as_file().set_len(BYTES).unwrap();
        if !run(Command::new("mkfs.xfs").args(["-q", "-f"]).arg(disk.image.path())) {
            lacks("mkfs.xfs (xfsprogs)");
            return None;
        }
        if !disk.mount() {
            skipped("no right to mount a disk here");
            return None;
        }
        Some(disk)
    }

    fn mount(&self) -> bool {
        run(Command::new("mount").args(["-o", "loop"]).arg(self.image.path()).arg(self.path()))
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Cuts the power: from now on nothing is written, and what was not synced is gone.
    pub fn cut(&self) {
        let mut shutdown = Command::new("xfs_io");
        assert!(run(shutdown.args(["-x", "-c", "shutdown"]).arg(self.path())), "no power cut");
    }

    /// Gives the power back. Every process that had a file open there must be gone.
    pub fn restore(&self) {
        crate::until("the disk to be free", || {
            run(Command::new("umount").arg(self.path())).then_some(())
        });
        assert!(self.mount(), "the disk does not come back");
    }

    /// Makes the file system refuse writes, or take them again, while files on it are open.
    pub fn set_read_only(&self, read_only: bool) {
        let how = if read_only { "remount,ro" } else { "remount,rw" };
        assert!(run(Command::new("mount").args(["-o", how]).arg(self.path())), "{how}");
    }

    /// A folder on it.
    pub fn join(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily, because a process of the test may still be ending.
        run(Command::new("umount").arg("-l").arg(self.path()));
    }
}

fn run(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
