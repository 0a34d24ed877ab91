//! Time as a value: a session's clock, and one moment by two clocks.

use std::{
    fmt,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use hearth_protocol::Millis;

/// A member's source of time.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Millis + Send + Sync>);

impl Clock {
    /// The machine's clock. A time before 1970 reads as 1970.
    pub fn system() -> Self {
        Self(Arc::new(|| {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            Millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
        }))
    }

    /// Another clock.
    pub fn from_fn(now: impl Fn() -> Millis + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// Returns the time.
    pub fn now(&self) -> Millis {
        (self.0)()
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::system()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// One moment by two clocks, either of which may be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// By the member's own clock.
    pub own: Millis,
    /// By the relay's clock: the time in its hello plus the time since.
    pub relay: Millis,
}

impl Moment {
    /// A moment at which both clocks agree.
    pub const fn agreed(now: Millis) -> Self {
        Self { own: now, relay: now }
    }

    /// Returns the earlier of the two times: what is due by it is due by both clocks.
    pub fn earlier(self) -> Millis {
        self.own.min(self.relay)
    }

    /// Returns the difference between the clocks, in milliseconds.
    pub const fn apart(self) -> u64 {
        self.own.0.abs_diff(self.relay.0)
    }
}
