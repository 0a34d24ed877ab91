//! What the relay cost beside the naive baseline when somebody last looked, and how far from it a change may go.
//!
//! Only ratios of one run on one machine: a time says more about the machine than about the relay. Both sides are built
//! with the same profile, and an unoptimized relay, more of which is ours, has further to go than an optimized one.

/// How much more than the reference is noticed: a quarter.
pub const SLACK: f64 = 1.25;

/// A cost of the relay over that of the naive baseline.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reference {
    /// What is compared.
    pub what: &'static str,
    /// Relay over baseline.
    pub ratio: f64,
}

/// Processor time of a delivery at 500 messages/s in 100 rooms of ten: hardly two messages share a sync.
pub const DELIVERY: Reference = Reference {
    what: "processor time of a delivery",
    ratio: if cfg!(debug_assertions) { 2.95 } else { 2.4 },
};

/// Resident memory of a connection that is silent.
pub const CONNECTION: Reference = Reference { what: "memory of an idle connection", ratio: 0.09 };

impl Reference {
    /// Returns whether such costs are near enough to the reference. What could not be measured is not.
    pub fn allows(&self, relay: f64, baseline: f64) -> bool {
        let ratio = relay / baseline;
        ratio.is_finite() && ratio > 0.0 && ratio <= self.ratio * SLACK
    }

    /// Says how it stands: the ratio, and by what factor it may still rise.
    pub fn tell(&self, relay: f64, baseline: f64) -> String {
        let (Self { what, ratio: reference }, ratio) = (self, relay / baseline);
        let left = reference * SLACK / ratio;
        format!(
            "{what}: {relay:.1} over {baseline:.1} is {ratio:.3}, reference {reference}; \
             {left:.2} times as much is the most"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_more_passes_and_anything_above_fails() {
        let reference = Reference { what: "cost", ratio: 1.6 };
        for (relay, baseline, allowed) in [
            (16.0, 10.0, true),
            (8.0, 10.0, true),
            (19.9, 10.0, true),
            (20.1, 10.0, false),
            (32.0, 10.0, false),
            // A machine twice as slow changes nothing.
            (32.0, 20.0, true),
            (40.2, 20.0, false),
        ] {
            assert_eq!(reference.allows(relay, baseline), allowed, "{relay} over {baseline}");
        }
    }

    #[test]
    fn what_was_not_measured_fails() {
        for (relay, baseline) in
            [(0.0, 10.0), (10.0, 0.0), (0.0, 0.0), (f64::NAN, 1.0), (-1.0, 1.0)]
        {
            assert!(!DELIVERY.allows(relay, baseline), "{relay} over {baseline}");
        }
    }

    #[test]
    fn a_connection_as_large_as_a_naive_one_fails() {
        assert!(!CONNECTION.allows(156.0, 156.0));
    }
}
