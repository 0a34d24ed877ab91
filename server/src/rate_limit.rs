//! Rate limits: frames and pings of a connection, connections and wrong guesses of an address.

use std::{
    collections::{HashMap, VecDeque},
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use hearth_protocol::Millis;
use tokio::time::Instant;

/// Tokens that return at a steady rate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    /// Time at which the bucket is full again.
    full_at: Instant,
    interval: Duration,
    burst: Duration,
}

impl Bucket {
    pub(crate) fn new(interval: Duration, burst: u32) -> Self {
        Self { full_at: Instant::now(), interval, burst: interval.saturating_mul(burst) }
    }

    /// Takes a token, or returns the time of the next one.
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

    /// Returns the time from which a token is available; in the past if one is.
    pub(crate) fn ready_at(&self, now: Instant) -> Instant {
        let next = self.full_at.max(now) + self.interval;
        next.checked_sub(self.burst).unwrap_or(now)
    }
}

/// An address as limits count it, because a person has one IPv4 address or a /64 of IPv6.
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

/// Maximum wrong guesses (of invite tokens and grants) per hour: of an IPv4 address or an IPv6 /64, then of the /56 and the /48 that
/// a provider gives to one customer.
const GUESSES_MAX: [u32; 3] = [10, 40, 160];
const HOUR_MILLIS: u64 = 3_600_000;
/// Maximum addresses and networks in memory; the oldest are evicted.
const GUESSERS_MAX: usize = 30_000;

/// An address at one of the levels of [`GUESSES_MAX`].
type Network = (u8, IpAddr);

/// Wrong guesses by address. Right secrets are looked up first and are not counted.
#[derive(Debug, Default)]
pub(crate) struct Guesses(Mutex<Guessers>);

#[derive(Debug, Default)]
struct Guessers {
    /// Start of each network's hour, and its wrong guesses since.
    counts: HashMap<Network, (u64, u32)>,
    /// Every network of `counts`, sorted by the start of its hour.
    order: VecDeque<(u64, Network)>,
}

impl Guesses {
    /// Counts a wrong guess. Refuses it if there were too many, until the hour is over.
    pub(crate) fn count(&self, origin: Origin, now: Millis) -> Result<(), Millis> {
        let mut guessers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        guessers.forget(now.0);
        // A refusal at a narrow network does not count at the wider ones, because it would lock the neighbours out.
        for (network, most) in origin.networks().into_iter().flatten().zip(GUESSES_MAX) {
            let (began, count) = guessers.hour_of(network, now.0);
            if *count >= most {
                return Err(Millis(began.saturating_add(HOUR_MILLIS)));
            }
            *count += 1;
        }
        Ok(())
    }
}

impl Guessers {
    /// Drops hours that are over, or that began in the future of a clock that was set back.
    fn forget(&mut self, now: u64) {
        while let Some((began, network)) = self.order.front() {
            if *began <= now && now - *began < HOUR_MILLIS {
                break;
            }
            self.counts.remove(network);
            self.order.pop_front();
        }
    }

    fn hour_of(&mut self, network: Network, now: u64) -> (u64, &mut u32) {
        if !self.counts.contains_key(&network) {
            if self.order.len() >= GUESSERS_MAX
                && let Some((_, oldest)) = self.order.pop_front()
            {
                self.counts.remove(&oldest);
            }
            self.order.push_back((now, network));
        }
        let (began, count) = self.counts.entry(network).or_insert((now, 0));
        (*began, count)
    }
}

impl Origin {
    /// Returns the networks of an address that count wrong guesses, narrowest first.
    fn networks(self) -> [Option<Network>; 3] {
        match self.0 {
            IpAddr::V4(_) => [Some((0, self.0)), None, None],
            IpAddr::V6(v6) => {
                let [a, b, c, d, ..] = v6.segments();
                let wider = |level, d| Some((level, Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()));
                [wider(0, d), wider(1, d & 0xff00), wider(2, 0)]
            }
        }
    }
}

/// New connections by address in the current second.
///
/// The next second drops all counts, so that memory does not grow with the number of addresses.
#[derive(Debug)]
pub(crate) struct Arrivals {
    since: Instant,
    counts: HashMap<Origin, u32>,
    /// Number of refusals that were answered.
    refused: u32,
}

/// Maximum refusals per second answered with 429, because with TLS each costs a handshake.
const REFUSALS_MAX: u32 = 128;

impl Arrivals {
    pub(crate) fn new(now: Instant) -> Self {
        Self { since: now, counts: HashMap::new(), refused: 0 }
    }

    /// Counts a connection and returns the number of connections from its address in this second.
    pub(crate) fn count(&mut self, origin: Origin, now: Instant) -> u32 {
        if now >= self.since + Duration::from_secs(1) {
            // Replaced and not cleared, so that a second with many addresses does not keep its memory.
            *self = Self::new(now);
        }
        let count = self.counts.entry(origin).or_insert(0);
        *count = count.saturating_add(1);
        *count
    }

    /// Whether one more refusal may be answered in the second of the last [`Self::count`].
    pub(crate) fn may_refuse(&mut self) -> bool {
        self.refused = self.refused.saturating_add(1);
        self.refused <= REFUSALS_MAX
    }
}

/// Connections by address.
#[derive(Debug, Default)]
pub(crate) struct Occupancy(Mutex<HashMap<Origin, u32>>);

/// One counted connection, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    occupancy: Arc<Occupancy>,
    origin: Origin,
}

impl Occupancy {
    /// Counts a connection and returns the present number of its address.
    pub(crate) fn enter(self: &Arc<Self>, origin: Origin) -> (Place, u32) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(origin).or_insert(0);
        *count += 1;
        (Place { occupancy: self.clone(), origin }, *count)
    }
}

impl Place {
    /// Returns the address as limits count it.
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
    fn bucket_gives_burst_then_rate() {
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

    fn origin(address: &str) -> Origin {
        address.parse::<IpAddr>().unwrap().into()
    }

    #[test]
    fn eleventh_wrong_guess_waits() {
        let guesses = Guesses::default();
        let here = origin("127.0.0.1");
        for minute in 0..10 {
            guesses.count(here, Millis(minute * 60_000)).unwrap();
        }
        assert_eq!(guesses.count(here, Millis(600_000)), Err(Millis(HOUR_MILLIS)));
        guesses.count(here, Millis(HOUR_MILLIS)).unwrap();
        guesses.count(origin("127.0.0.2"), Millis(600_000)).unwrap();
        // A clock that was set back starts the count again.
        for _ in 0..10 {
            guesses.count(here, Millis(0)).unwrap();
        }
        assert!(guesses.count(here, Millis(0)).is_err());
    }

    #[test]
    fn b2_networks_of_ipv6_count_together() {
        let guesses = Guesses::default();
        let mut counted = [0; 3];
        // Every address is in another /64; the first 256 are in one /56.
        for subnet in 0..1_000 {
            let address = origin(&format!("2001:db8:1:{subnet:x}::1"));
            if guesses.count(address, Millis(0)).is_ok() {
                counted[0] += 1;
                counted[1] += u32::from(subnet < 256);
            }
        }
        assert_eq!(counted, [160, 40, 0]);
        guesses.count(origin("2001:db8:2::1"), Millis(0)).unwrap();
        let mut last_digit = 0..20;
        let counts = |n| guesses.count(origin(&format!("2001:db8:2::{n}")), Millis(0)).is_ok();
        assert_eq!(last_digit.position(|n| !counts(n)), Some(9), "a /64 is one");
    }

    #[test]
    fn b2_oldest_guessers_are_forgotten() {
        let guesses = Guesses::default();
        let first = origin("10.0.0.0");
        for _ in 0..10 {
            guesses.count(first, Millis(0)).unwrap();
        }
        assert!(guesses.count(first, Millis(0)).is_err());
        for number in 1..=GUESSERS_MAX {
            let [_, b, c, d] = u32::try_from(number).unwrap().to_be_bytes();
            guesses.count(origin(&format!("10.{b}.{c}.{d}")), Millis(1)).unwrap();
        }
        guesses.count(first, Millis(1)).unwrap();
        let guessers = guesses.0.lock().unwrap();
        assert_eq!((guessers.counts.len(), guessers.order.len()), (GUESSERS_MAX, GUESSERS_MAX));
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
        assert_eq!((0..1000).filter(|_| arrivals.may_refuse()).count(), REFUSALS_MAX as usize);
        arrivals.count(a, next + Duration::from_secs(1));
        assert!(arrivals.may_refuse());
    }

    /// Dropped places are given back.
    #[test]
    fn ipv6_network_counts_as_one() {
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
