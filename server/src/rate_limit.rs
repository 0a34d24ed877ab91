//! How often: frames and pings of a connection, connections and wrong guesses of an address.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use hearth_protocol::Millis;
use tokio::time::Instant;

/// Tokens that come back at a steady rate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    /// When the bucket is full again.
    full_at: Instant,
    interval: Duration,
    burst: Duration,
}

impl Bucket {
    pub(crate) fn new(interval: Duration, burst: u32) -> Self {
        Self { full_at: Instant::now(), interval, burst: interval.saturating_mul(burst) }
    }

    /// Takes a token, or says when there will be one.
    pub(crate) fn take(&mut self, now: Instant) -> Result<(), Instant> {
        let next = self.full_at.max(now) + self.interval;
        match next.checked_sub(self.burst) {
            Some(earliest) if earliest > now => Err(earliest),
            _ => {
                self.full_at = next;
                Ok(())
            }
        }
    }

    /// When a token may be taken; a moment in the past if there is one.
    pub(crate) fn ready_at(&self, now: Instant) -> Instant {
        let next = self.full_at.max(now) + self.interval;
        next.checked_sub(self.burst).unwrap_or(now)
    }
}

/// Addresses as limits count them: a person has one IPv4 address or a /64 of IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Origin(IpAddr);

impl From<IpAddr> for Origin {
    fn from(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V4(v4) => v4.into(),
            IpAddr::V6(v6) => {
                let [a, b, c, d, ..] = v6.segments();
                Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
            }
        })
    }
}

/// Wrong guesses (of invite tokens and grants) of one address in an hour.
const GUESSES_MAX: usize = 10;
const HOUR_MILLIS: u64 = 3_600_000;
/// Addresses that are remembered. Beyond it, guessing is refused to addresses that are not.
const GUESSERS_MAX: usize = 10_000;

/// Wrong guesses by address.
#[derive(Debug, Default)]
pub(crate) struct Guesses(Mutex<HashMap<Origin, Vec<u64>>>);

impl Guesses {
    /// Whether an address may guess now; when it may again, if not.
    pub(crate) fn check(&self, origin: Origin, now: Millis) -> Result<(), Millis> {
        let mut guesses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = |at: &u64| *at <= now.0 && at.saturating_add(HOUR_MILLIS) > now.0;
        if guesses.len() >= GUESSERS_MAX {
            guesses.retain(|_, times| times.iter().any(recent));
        }
        let Some(times) = guesses.get_mut(&origin) else {
            let full = guesses.len() >= GUESSERS_MAX;
            return if full { Err(now.plus(HOUR_MILLIS)) } else { Ok(()) };
        };
        times.retain(recent);
        match times.first() {
            Some(first) if times.len() >= GUESSES_MAX => Err(Millis(first + HOUR_MILLIS)),
            _ => Ok(()),
        }
    }

    /// Counts a wrong guess.
    pub(crate) fn count(&self, origin: Origin, now: Millis) {
        let mut guesses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if guesses.len() < GUESSERS_MAX || guesses.contains_key(&origin) {
            let times = guesses.entry(origin).or_default();
            if times.len() < GUESSES_MAX {
                times.push(now.0);
            }
        }
    }
}

/// New connections by address, in the second that it is.
///
/// All are forgotten when the next one begins, so that nothing grows with the number of addresses seen.
#[derive(Debug)]
pub(crate) struct Arrivals {
    since: Instant,
    counts: HashMap<Origin, u32>,
}

impl Arrivals {
    pub(crate) fn new(now: Instant) -> Self {
        Self { since: now, counts: HashMap::new() }
    }

    /// Counts a connection and returns how many its address opened in this second.
    pub(crate) fn count(&mut self, origin: Origin, now: Instant) -> u32 {
        if now >= self.since + Duration::from_secs(1) {
            // Not cleared: a second of many addresses must not keep its memory.
            *self = Self::new(now);
        }
        let count = self.counts.entry(origin).or_insert(0);
        *count = count.saturating_add(1);
        *count
    }
}

/// Connections by address.
#[derive(Debug, Default)]
pub(crate) struct Occupancy(Mutex<HashMap<Origin, u32>>);

/// One counted connection; uncounted when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    occupancy: Arc<Occupancy>,
    origin: Origin,
}

impl Occupancy {
    /// Counts a connection and returns how many its address has now.
    pub(crate) fn enter(self: &Arc<Self>, origin: Origin) -> (Place, u32) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(origin).or_insert(0);
        *count += 1;
        (Place { occupancy: self.clone(), origin }, *count)
    }
}

impl Place {
    /// The address behind it, as limits count it.
    pub(crate) fn origin(&self) -> Origin {
        self.origin
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.occupancy.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.origin) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.origin);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let mut bucket = Bucket::new(Duration::from_millis(50), 3);
        let now = Instant::now() + Duration::from_secs(1);
        for _ in 0..3 {
            bucket.take(now).unwrap();
        }
        let again = bucket.take(now).unwrap_err();
        assert_eq!(again, now + Duration::from_millis(50));
        bucket.take(again).unwrap();
        assert!(bucket.take(again).is_err());
    }

    #[test]
    fn the_eleventh_wrong_guess_of_an_hour_waits() {
        let guesses = Guesses::default();
        let origin = Origin::from(IpAddr::from([127, 0, 0, 1]));
        for minute in 0..10 {
            guesses.check(origin, Millis(minute * 60_000)).unwrap();
            guesses.count(origin, Millis(minute * 60_000));
        }
        assert_eq!(guesses.check(origin, Millis(600_000)), Err(Millis(HOUR_MILLIS)));
        guesses.check(origin, Millis(HOUR_MILLIS)).unwrap();
        guesses.check(Origin::from(IpAddr::from([127, 0, 0, 2])), Millis(600_000)).unwrap();
    }

    #[test]
    fn arrivals_count_by_address_and_second() {
        let start = Instant::now();
        let mut arrivals = Arrivals::new(start);
        let a = Origin::from(IpAddr::from([127, 0, 0, 1]));
        let b = Origin::from(IpAddr::from([127, 0, 0, 2]));
        let later = start + Duration::from_millis(999);
        assert_eq!([arrivals.count(a, start), arrivals.count(a, later)], [1, 2]);
        assert_eq!(arrivals.count(b, later), 1);
        let next = start + Duration::from_secs(1);
        assert_eq!(arrivals.count(a, next), 1);
        assert_eq!(arrivals.counts.len(), 1);
    }

    #[test]
    fn a_network_of_ipv6_counts_as_one_and_places_are_given_back() {
        let occupancy = Arc::new(Occupancy::default());
        let a: IpAddr = "2001:db8::1".parse().unwrap();
        let b: IpAddr = "2001:db8::2".parse().unwrap();
        let (first, _) = occupancy.enter(a.into());
        let (second, count) = occupancy.enter(b.into());
        assert_eq!(count, 2);
        drop((first, second));
        assert_eq!(occupancy.enter(a.into()).1, 1);
    }
}
