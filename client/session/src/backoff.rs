//! How long to wait before the next attempt to reach the relay.

use core::time::Duration;

/// Least wait.
const LEAST: Duration = Duration::from_millis(500);
/// Ceiling of the first wait; it doubles with each failure.
const FIRST_CEILING: Duration = Duration::from_secs(1);
/// Highest ceiling.
const MOST: Duration = Duration::from_secs(30);

/// Exponential back-off with jitter between 0.5 and 30 seconds.
///
/// A thousand members that a restart cut off all draw from the whole interval, so they don't come back as one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// Starts afresh.
    pub const fn new() -> Self {
        Self { failures: 0 }
    }

    /// Counts a failure and returns how long to wait now.
    pub fn next_delay(&mut self) -> Duration {
        // Without randomness the wait is merely not spread.
        let random = getrandom::u32().unwrap_or(u32::MAX);
        self.delay_from(random)
    }

    /// Forgets the failures: call it once the relay did what it should.
    pub const fn reset(&mut self) {
        self.failures = 0;
    }

    fn delay_from(&mut self, random: u32) -> Duration {
        let ceiling = FIRST_CEILING.saturating_mul(1 << self.failures.min(5)).min(MOST);
        self.failures = self.failures.saturating_add(1);
        LEAST + (ceiling - LEAST).mul_f64(f64::from(random) / f64::from(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ceiling_doubles_up_to_thirty_seconds() {
        let mut backoff = Backoff::new();
        let highest: Vec<u64> = (0..8).map(|_| backoff.delay_from(u32::MAX).as_secs()).collect();
        assert_eq!(highest, [1, 2, 4, 8, 16, 30, 30, 30]);
    }

    #[test]
    fn every_delay_is_within_bounds_and_resets() {
        let mut backoff = Backoff { failures: u32::MAX };
        assert_eq!(backoff.delay_from(0), LEAST);
        for _ in 0..100 {
            let delay = backoff.next_delay();
            assert!((LEAST..=MOST).contains(&delay), "{delay:?}");
        }
        backoff.reset();
        assert_eq!(backoff.delay_from(u32::MAX), FIRST_CEILING);
    }
}
