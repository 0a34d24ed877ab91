//! Time that only the world moves.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use hearth_protocol::Millis;
use tokio::time::Instant;

/// Every seed begins at 2026-11-23T00:00Z, a Monday.
pub const BEGINNING: u64 = 1_795_392_000_000;

/// Errors of clocks, in milliseconds.
pub const WRONG_CLOCKS: [i64; 8] =
    [0, 0, -3 * HOUR, 3 * HOUR, -365 * 24 * HOUR, 365 * 24 * HOUR, 85 * 24 * HOUR, 300 * 24 * HOUR];
const HOUR: i64 = 3_600_000;

/// Virtual time, and how far the relay's clock is from it.
#[derive(Clone)]
pub struct Clock {
    start: Instant,
    jump: Arc<AtomicI64>,
}

impl Clock {
    /// Starts now, by the runtime's paused clock.
    pub fn start() -> Self {
        Self { start: Instant::now(), jump: Arc::default() }
    }

    /// Milliseconds since the beginning.
    pub fn elapsed(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// The moment of a number of milliseconds after the beginning.
    pub fn at(&self, millis: u64) -> Instant {
        self.start + std::time::Duration::from_millis(millis)
    }

    /// The time by a clock that is wrong by so much.
    pub fn skewed(&self, millis: i64) -> Millis {
        Millis((BEGINNING + self.elapsed()).saturating_add_signed(millis))
    }

    /// The time by the relay's clock.
    pub fn relay(&self) -> Millis {
        self.skewed(self.jump.load(Ordering::Relaxed))
    }

    /// Sets the relay's clock forward or back.
    pub fn jump(&self, millis: i64) {
        self.jump.fetch_add(millis, Ordering::Relaxed);
    }

    /// The relay's clock, as the relay takes it.
    pub fn for_relay(&self) -> hearth_server::Clock {
        let clock = self.clone();
        hearth_server::Clock::from_fn(move || clock.relay())
    }
}
