//! Counters for the operator: sums over the whole relay, without rooms, members or addresses.

use std::{
    fmt::Write as _,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use hearth_protocol::RejectCode;

/// Reject codes fit below this number.
const CODES: usize = 64;

/// Upper bounds of the commit latency's buckets, in microseconds.
const BUCKETS: [u64; 10] =
    [250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 100_000, 500_000, 2_500_000];

/// A histogram with fixed buckets.
#[derive(Debug, Default)]
pub(crate) struct Histogram {
    buckets: [AtomicU64; BUCKETS.len()],
    count: AtomicU64,
    sum_micros: AtomicU64,
}

impl Histogram {
    pub(crate) fn observe(&self, elapsed: Duration) {
        let micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
        if let Some(index) = BUCKETS.iter().position(|bound| micros <= *bound)
            && let Some(bucket) = self.buckets.get(index)
        {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.count.fetch_add(1, Ordering::Relaxed);
        self.sum_micros.fetch_add(micros, Ordering::Relaxed);
    }

    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }
}

/// The relay's counters.
#[derive(Debug)]
pub(crate) struct Metrics {
    pub(crate) connections: AtomicU64,
    pub(crate) connections_total: AtomicU64,
    pub(crate) connections_refused: AtomicU64,
    pub(crate) entries_appended: AtomicU64,
    pub(crate) entries_frames_sent: AtomicU64,
    pub(crate) lanes_opened: AtomicU64,
    pub(crate) notes_stored: AtomicU64,
    pub(crate) bytes_read: AtomicU64,
    pub(crate) bytes_written: AtomicU64,
    pub(crate) commit_latency: Histogram,
    pub(crate) commit_failures: AtomicU64,
    pub(crate) read_failures: AtomicU64,
    pub(crate) bytes_refused: AtomicU64,
    pub(crate) disk_free_bytes: AtomicU64,
    pub(crate) store_ready: AtomicBool,
    rejects: [AtomicU64; CODES],
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            connections: AtomicU64::new(0),
            connections_total: AtomicU64::new(0),
            connections_refused: AtomicU64::new(0),
            entries_appended: AtomicU64::new(0),
            entries_frames_sent: AtomicU64::new(0),
            lanes_opened: AtomicU64::new(0),
            notes_stored: AtomicU64::new(0),
            bytes_read: AtomicU64::new(0),
            bytes_written: AtomicU64::new(0),
            commit_latency: Histogram::default(),
            commit_failures: AtomicU64::new(0),
            read_failures: AtomicU64::new(0),
            bytes_refused: AtomicU64::new(0),
            disk_free_bytes: AtomicU64::new(0),
            store_ready: AtomicBool::new(true),
            rejects: [const { AtomicU64::new(0) }; CODES],
        }
    }
}

/// Every code that the relay may send, as a label of the metrics.
const REJECT_CODES: [RejectCode; 35] = [
    RejectCode::BadFrame,
    RejectCode::BadVersion,
    RejectCode::BadSignature,
    RejectCode::TooLarge,
    RejectCode::BadPayload,
    RejectCode::Unsupported,
    RejectCode::NotMember,
    RejectCode::NotFacilitator,
    RejectCode::NotAcknowledged,
    RejectCode::InviteInvalid,
    RejectCode::InviteUsed,
    RejectCode::InviteExpired,
    RejectCode::GrantInvalid,
    RejectCode::RoomExists,
    RejectCode::RoomFull,
    RejectCode::Observer,
    RejectCode::LastFacilitator,
    RejectCode::NotFound,
    RejectCode::LaneClosed,
    RejectCode::Ended,
    RejectCode::Paused,
    RejectCode::TimedOut,
    RejectCode::SlowMode,
    RejectCode::BudgetSpent,
    RejectCode::TooLong,
    RejectCode::Closed,
    RejectCode::Locked,
    RejectCode::EpochConflict,
    RejectCode::StateChanged,
    RejectCode::IdConflict,
    RejectCode::RateLimited,
    RejectCode::QuotaSpent,
    RejectCode::DoorBusy,
    RejectCode::StoreUnavailable,
    RejectCode::ShuttingDown,
];

/// Returns the number of files that this process may open.
fn open_files_max() -> u64 {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    limit.current.unwrap_or(u64::MAX)
}

impl Metrics {
    /// Counts a refusal.
    pub(crate) fn rejected(&self, code: RejectCode) {
        if let Some(counter) = self.rejects.get(code as usize) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether the store accepts entries.
    pub(crate) fn is_ready(&self) -> bool {
        self.store_ready.load(Ordering::Acquire)
    }

    /// Returns all metrics in Prometheus' text format 0.0.4.
    pub(crate) fn render(&self, rooms_live: usize, queue: (usize, usize)) -> String {
        let mut text = String::with_capacity(4096);
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let lines = [
            ("connections", "gauge", load(&self.connections)),
            ("connections_total", "counter", load(&self.connections_total)),
            ("connections_refused_total", "counter", load(&self.connections_refused)),
            ("entries_appended_total", "counter", load(&self.entries_appended)),
            ("entries_frames_sent_total", "counter", load(&self.entries_frames_sent)),
            ("lanes_opened_total", "counter", load(&self.lanes_opened)),
            ("notes_stored_total", "counter", load(&self.notes_stored)),
            ("bytes_read_total", "counter", load(&self.bytes_read)),
            ("bytes_written_total", "counter", load(&self.bytes_written)),
            ("commit_failures_total", "counter", load(&self.commit_failures)),
            ("read_failures_total", "counter", load(&self.read_failures)),
            ("store_ready", "gauge", u64::from(self.is_ready())),
            ("bytes_refused_total", "counter", load(&self.bytes_refused)),
            ("disk_free_bytes", "gauge", load(&self.disk_free_bytes)),
            ("rooms_live", "gauge", rooms_live as u64),
            ("store_queue_depth", "gauge", queue.0 as u64),
            ("store_queue_bytes", "gauge", queue.1 as u64),
            ("open_files_max", "gauge", open_files_max()),
        ];
        // Writing into a String cannot fail.
        for (name, kind, value) in lines {
            let _ = writeln!(text, "# TYPE hearthd_{name} {kind}\nhearthd_{name} {value}");
        }
        let _ = writeln!(text, "# TYPE hearthd_rejects_total counter");
        for code in REJECT_CODES {
            let count = self.rejects.get(code as usize).map_or(0, load);
            let _ = writeln!(text, "hearthd_rejects_total{{code=\"{}\"}} {count}", code.as_str());
        }
        let _ = writeln!(text, "# TYPE hearthd_commit_seconds histogram");
        let mut below = 0;
        for (bound, bucket) in BUCKETS.iter().zip(&self.commit_latency.buckets) {
            below += load(bucket);
            let seconds = *bound as f64 / 1e6;
            let _ = writeln!(text, "hearthd_commit_seconds_bucket{{le=\"{seconds}\"}} {below}");
        }
        let count = load(&self.commit_latency.count);
        let sum = load(&self.commit_latency.sum_micros) as f64 / 1e6;
        let _ = writeln!(text, "hearthd_commit_seconds_bucket{{le=\"+Inf\"}} {count}");
        let _ = writeln!(text, "hearthd_commit_seconds_sum {sum}");
        let _ = writeln!(text, "hearthd_commit_seconds_count {count}");
        text
    }
}

#[cfg(test)]
mod tests {
    use hearth_protocol::codec;

    use super::*;

    #[test]
    fn every_code_has_its_line() {
        let text = Metrics::default().render(0, (0, 0));
        // The encoding of a number below 256 (RFC 8949 section 3.1).
        let known = (0..=u8::MAX).filter_map(|number| {
            let bytes = if number < 24 { vec![number] } else { vec![0x18, number] };
            codec::decode::<RejectCode>(&bytes).ok()
        });
        for code in known.inspect(|code| assert!((*code as usize) < CODES, "{code:?}")) {
            assert!(text.contains(&format!("code=\"{}\"", code.as_str())), "{code:?}");
        }
    }
}
