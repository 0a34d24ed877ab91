//! A disk whose file system turns read-only while files on it are open, as ext4 does when it finds an error in itself.
//!
//! An administrator cannot do that: the kernel refuses to remount a file system read-only that is being written to. So the
//! file system is told that it has met an error. From then on every change fails with `EROFS`; nothing that was synced is
//! lost, and only unmounting, a check and mounting it again makes it writable.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::skip::{lacks, skipped};

/// A mounted disk of its own. Unmounted when dropped.
pub struct FragileDisk {
    image: tempfile::NamedTempFile,
    folder: tempfile::TempDir,
}

impl FragileDisk {
    /// Makes and mounts a disk; says so and returns nothing where that is not possible.
    pub fn new() -> Option<Self> {
        /// More than the relay keeps free for those who moderate.
        const BYTES: u64 = 160 * 1024 * 1024;
        let disk = Self {
            image: tempfile::NamedTempFile::new().unwrap(),
            folder: tempfile::tempdir().unwrap(),
        };
        disk.image.as_file().set_len(BYTES).unwrap();
        if !run(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(disk.image.path())) {
            lacks("mkfs.ext4 (e2fsprogs)");
            return None;
        }
        if !disk.mount() {
            skipped("no right to mount a disk here");
            return None;
        }
        if !disk.switch().is_some_and(|switch| switch.exists()) {
            skipped("no way to make ext4 meet an error here");
            return None;
        }
        Some(disk)
    }

    fn mount(&self) -> bool {
        let mut mount = Command::new("mount");
        mount.args(["-o", "loop,errors=remount-ro"]).arg(self.image.path());
        run(mount.arg(self.folder.path()))
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A folder on it.
    pub fn join(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// Where the kernel takes word of an error.
    fn switch(&self) -> Option<PathBuf> {
        let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
        let folder = self.path().to_str()?;
        let line = mounts.lines().find(|line| line.split(' ').nth(1) == Some(folder))?;
        let device = line.split(' ').next()?.strip_prefix("/dev/")?;
        Some(Path::new("/sys/fs/ext4").join(device).join("trigger_fs_error"))
    }

    /// Lets the file system meet an error: from now on nothing on it can be changed.
    pub fn turn_read_only(&self) {
        fs::write(self.switch().unwrap(), "by a test").unwrap();
        let refused = fs::write(self.join("probe"), "").unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ReadOnlyFilesystem);
    }

    /// Repairs it. Every process that had a file open there must be gone.
    pub fn repair(&self) {
        crate::until("the disk to be free", || {
            run(Command::new("umount").arg(self.path())).then_some(())
        });
        // It says by its exit code that something was mended.
        run(Command::new("e2fsck").args(["-f", "-y"]).arg(self.image.path()));
        assert!(self.mount(), "the disk does not come back");
        fs::write(self.join("probe"), "").expect("it takes changes again");
    }

    /// Mounts it read-only or not, as an administrator does. Every process that had a file open there must be gone.
    pub fn remount(&self, read_only: bool) {
        let how = if read_only { "remount,ro" } else { "remount,rw" };
        crate::until("the disk to be free", || {
            run(Command::new("mount").args(["-o", how]).arg(self.path())).then_some(())
        });
    }
}

impl Drop for FragileDisk {
    fn drop(&mut self) {
        // Lazily, because a process of the test may still be ending.
        run(Command::new("umount").arg("-l").arg(self.path()));
    }
}

fn run(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
