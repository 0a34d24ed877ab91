//! A crowd that means ill: threads that do the same thing to a relay again and again, until they are dropped.

use std::{
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    thread::JoinHandle,
    time::Duration,
};

use super::{machine::be_modest, wire::Target};

/// Longest time that one of the crowd waits for a socket before it looks whether it shall stop.
pub const PATIENCE: Duration = Duration::from_millis(300);

/// Threads under way. Dropping it stops them.
pub struct Crowd {
    stopping: Arc<AtomicBool>,
    turns: Arc<AtomicU64>,
    wakes: Vec<Sender<()>>,
    threads: Vec<JoinHandle<()>>,
}

/// What one of the crowd is told.
pub struct Part {
    /// The relay, from an address that is not that of honest people.
    pub target: Target,
    stopping: Arc<AtomicBool>,
    turns: Arc<AtomicU64>,
    wake: Receiver<()>,
}

impl Part {
    /// Whether it may go on.
    pub fn goes_on(&self) -> bool {
        !self.stopping.load(Ordering::Relaxed)
    }

    /// Counts something that was done to the relay.
    pub fn did(&self) {
        self.turns.fetch_add(1, Ordering::Relaxed);
    }

    /// Waits, unless it is over before; returns whether it may go on.
    pub fn rest(&self, time: Duration) -> bool {
        // A message or a closed channel: it is over.
        let _ = self.wake.recv_timeout(time);
        self.goes_on()
    }
}

impl Crowd {
    /// Starts some threads that repeat an act, all from one address.
    pub fn start(target: &Target, size: usize, act: fn(&Part)) -> Self {
        let target = target.clone().from_address(Ipv4Addr::new(127, 0, 0, 66));
        let (stopping, turns) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (mut wakes, mut threads) = (vec![], vec![]);
        for _ in 0..size {
            let (wake, woken) = channel();
            let (stopping, turns) = (stopping.clone(), turns.clone());
            let part = Part { target: target.clone(), stopping, turns, wake: woken };
            wakes.push(wake);
            threads.push(std::thread::spawn(move || {
                // What is measured is what the relay does with them, not that they need this machine, too.
                be_modest();
                while part.goes_on() {
                    act(&part);
                    part.did();
                }
            }));
        }
        Self { stopping, turns, wakes, threads }
    }

    /// How much was done so far.
    pub fn turns(&self) -> u64 {
        self.turns.load(Ordering::Relaxed)
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Relaxed);
        self.wakes.clear();
        for thread in self.threads.drain(..) {
            // One that failed did less harm than it should; the count of turns shows it.
            let _ = thread.join();
        }
    }
}
