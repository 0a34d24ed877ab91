//! The limits that the writer keeps in memory, and the check of the disk.

use std::{
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use hearth_protocol::RejectCode;
use hearth_rules::{CommitPace, Disk, NotePace, Quota, quota::Limits};

use crate::metrics::Metrics;

/// Bytes of the disk that only moderators may fill.
const DISK_RESERVE: u64 = 64 * 1024 * 1024;
/// Minimum pause between two checks of the disk.
const DISK_PAUSE: Duration = Duration::from_millis(250);
/// Minimum pause between two log lines about refusals.
const LOG_PAUSE: Duration = Duration::from_secs(60);

/// State of the rules that outlives a transaction.
pub(crate) struct Bounds {
    pub(super) pace: CommitPace,
    pub(super) notes: NotePace,
    pub(super) quota: Quota,
    pub(super) disk: DataDisk,
    metrics: Arc<Metrics>,
    said: Option<Instant>,
    unsaid: u64,
}

/// The disk of the data directory.
pub(super) struct DataDisk {
    dir: PathBuf,
    looked: Option<Instant>,
    low: bool,
    metrics: Arc<Metrics>,
}

impl Disk for DataDisk {
    fn is_low(&mut self) -> bool {
        let now = Instant::now();
        if self.looked.is_none_or(|at| now.saturating_duration_since(at) >= DISK_PAUSE) {
            self.looked = Some(now);
            // If the file system reports nothing, writes will show whether it is full.
            if let Ok(disk) = rustix::fs::statvfs(&self.dir) {
                let free = disk.f_bavail.saturating_mul(disk.f_frsize);
                self.low = free < DISK_RESERVE;
                self.metrics.disk_free_bytes.store(free, Ordering::Relaxed);
            }
        }
        self.low
    }
}

impl Bounds {
    pub(crate) fn new(limits: Limits, dir: PathBuf, metrics: Arc<Metrics>) -> Self {
        Self {
            pace: CommitPace::default(),
            notes: NotePace::default(),
            quota: Quota::new(limits),
            disk: DataDisk { dir, looked: None, low: false, metrics: metrics.clone() },
            metrics,
            said: None,
            unsaid: 0,
        }
    }

    /// Drops the state in memory, after a failed transaction.
    pub(super) fn forget(&mut self) {
        self.pace = CommitPace::default();
        self.notes = NotePace::default();
        self.quota.forget();
    }

    /// Counts a refusal by a byte limit, and logs it from time to time.
    pub(super) fn note_refused(&mut self) {
        let Some((code, bytes)) = self.quota.take_refused() else { return };
        self.metrics.bytes_refused.fetch_add(bytes, Ordering::Relaxed);
        self.unsaid += 1;
        let now = Instant::now();
        if self.said.is_some_and(|at| now.saturating_duration_since(at) < LOG_PAUSE) {
            return;
        }
        let refused = std::mem::take(&mut self.unsaid);
        self.said = Some(now);
        match code {
            RejectCode::RateLimited => {
                tracing::warn!(refused, "a member sends faster than member_bytes_per_second allows")
            }
            RejectCode::QuotaSpent => {
                tracing::warn!(refused, "a room holds as much as room_bytes_max allows")
            }
            _ => tracing::error!(
                refused,
                "less than 64 MiB of the disk are free: posts of members are refused. \
                 Free some space for the data directory; then it goes on by itself"
            ),
        }
    }

    /// Pretends that the disk has no space for members' posts.
    #[cfg(test)]
    pub(crate) fn fill_disk(&mut self, low: bool) {
        self.disk.looked = Instant::now().checked_add(Duration::from_secs(3600));
        self.disk.low = low;
    }
}

#[cfg(test)]
mod tests {
    use hearth_protocol::Millis;

    use super::*;

    #[test]
    fn refused_bytes_are_counted() {
        let mut bounds = Bounds::new(Limits::NONE, std::env::temp_dir(), Arc::default());
        bounds.fill_disk(true);
        bounds.quota.check_disk(&mut bounds.disk, 7, Millis(1)).unwrap_err();
        bounds.note_refused();
        bounds.note_refused();
        assert_eq!(bounds.metrics.bytes_refused.load(Ordering::Relaxed), 7);
    }
}
