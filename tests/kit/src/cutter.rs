//! A network that breaks: connections through it end after a number of bytes that a seed decides.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
};

use crate::Dice;

/// A proxy that cuts. It stops when dropped.
pub struct Cutter {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

struct Shared {
    target: SocketAddr,
    dice: Mutex<Dice>,
    cutting: AtomicBool,
    stopping: AtomicBool,
    cuts: AtomicU64,
}

impl Cutter {
    /// Bytes after which a connection is cut at the latest: more than what a member says and hears in one visit.
    const BYTES_MAX: usize = 6_000;

    /// Listens on a free port; lets everything pass until it is told to cut.
    pub fn new(target: SocketAddr, seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            target,
            dice: Mutex::new(Dice::new(seed)),
            cutting: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            cuts: AtomicU64::new(0),
        });
        let for_thread = shared.clone();
        let accepting = std::thread::spawn(move || {
            for incoming in listener.incoming() {
                if for_thread.stopping.load(Ordering::SeqCst) {
                    return;
                }
                let pair = incoming.and_then(|member| {
                    member.set_nodelay(true)?;
                    let relay = TcpStream::connect(for_thread.target)?;
                    relay.set_nodelay(true)?;
                    Ok((member, relay))
                });
                let (member, relay) = match pair {
                    Ok(pair) => pair,
                    Err(error) => {
                        // A member sees a reset, and it is no cut.
                        eprintln!("the cutter passes a connection on to nobody: {error}");
                        continue;
                    }
                };
                for (from, to) in [(&member, &relay), (&relay, &member)] {
                    for_thread.join(from, to);
                }
            }
        });
        Self { address, shared, accepting: Some(accepting) }
    }

    /// Where members connect.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether new connections are cut.
    pub fn set_cutting(&self, cutting: bool) {
        self.shared.cutting.store(cutting, Ordering::SeqCst);
    }

    /// Connections cut so far.
    pub fn cuts(&self) -> u64 {
        self.shared.cuts.load(Ordering::SeqCst)
    }
}

impl Shared {
    fn join(self: &Arc<Self>, from: &TcpStream, to: &TcpStream) {
        let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
        let cutting = self.cutting.load(Ordering::SeqCst);
        let mut left = match cutting {
            true => self.dice.lock().unwrap().below(Cutter::BYTES_MAX),
            false => usize::MAX,
        };
        let shared = self.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = from.read(&mut buffer) {
                let pass = read.min(left);
                if to.write_all(&buffer[..pass]).is_err() {
                    break;
                }
                left -= pass;
                if pass < read {
                    shared.cuts.fetch_add(1, Ordering::SeqCst);
                    // Both ways at once, as a network does.
                    let _ = to.shutdown(Shutdown::Both);
                    let _ = from.shutdown(Shutdown::Both);
                    return;
                }
            }
            // The other side may have closed already.
            let _ = to.shutdown(Shutdown::Write);
        });
    }
}

impl Drop for Cutter {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        // Wakes the accepting thread, which then sees that it shall stop.
        let _ = TcpStream::connect(self.address);
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}
