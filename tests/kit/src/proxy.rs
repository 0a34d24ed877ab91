//! A proxy between members and a relay that writes down every byte.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::JoinHandle,
};

/// A recording proxy. It stops when dropped.
pub struct Proxy {
    address: SocketAddr,
    target: Arc<Mutex<Option<SocketAddr>>>,
    bytes: Arc<Mutex<Vec<u8>>>,
    answered: Arc<AtomicUsize>,
    pieces: Arc<AtomicUsize>,
    cuts: Arc<AtomicUsize>,
    stopping: Arc<AtomicBool>,
    accepting: Option<JoinHandle<()>>,
}

impl Default for Proxy {
    fn default() -> Self {
        Self::new()
    }
}

impl Proxy {
    /// Listens on a free port; connections are closed until there is a target.
    pub fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let target = Arc::new(Mutex::new(None::<SocketAddr>));
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let answered = Arc::new(AtomicUsize::new(usize::MAX));
        let stopping = Arc::new(AtomicBool::new(false));
        let (goal, record, stop) = (target.clone(), bytes.clone(), stopping.clone());
        let answers = answered.clone();
        let (pieces, cuts) =
            (Arc::new(AtomicUsize::new(usize::MAX)), Arc::new(AtomicUsize::new(0)));
        let (pieces_most, cut) = (pieces.clone(), cuts.clone());
        let accepting = std::thread::spawn(move || {
            for incoming in listener.incoming() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let goal = *goal.lock().unwrap();
                let pair = incoming.and_then(|member| {
                    let goal = goal.ok_or(std::io::ErrorKind::NotConnected)?;
                    Ok((member, TcpStream::connect(goal)?))
                });
                if let Ok((member, relay)) = pair {
                    let asked = Arc::new(AtomicUsize::new(0));
                    let (count, most) = (asked.clone(), answers.clone());
                    join(&member, &relay, &record, move |read| {
                        count.fetch_add(read, Ordering::SeqCst);
                        true
                    });
                    let (piece, pieces_most, cut) =
                        (AtomicUsize::new(0), pieces_most.clone(), cut.clone());
                    join(&relay, &member, &record, move |_| {
                        let number = piece.fetch_add(1, Ordering::SeqCst) + 1;
                        if number > pieces_most.load(Ordering::SeqCst) {
                            cut.fetch_add(1, Ordering::SeqCst);
                            return false;
                        }
                        let passes = asked.load(Ordering::SeqCst) <= most.load(Ordering::SeqCst);
                        if !passes {
                            most.store(usize::MAX, Ordering::SeqCst);
                        }
                        passes
                    });
                }
            }
        });
        let accepting = Some(accepting);
        Self { address, target, bytes, answered, pieces, cuts, stopping, accepting }
    }

    /// Where members connect.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sets where connections go.
    pub fn set_target(&self, target: SocketAddr) {
        *self.target.lock().unwrap() = Some(target);
    }

    /// Cuts the next connection of which the relay answers anything that comes after so many bytes of the member's.
    pub fn lose_one_answer_after(&self, bytes: usize) {
        self.answered.store(bytes, Ordering::SeqCst);
    }

    /// Cuts every connection of which the relay has sent so many pieces when it sends another.
    pub fn cut_after_pieces(&self, pieces: usize) {
        self.pieces.store(pieces, Ordering::SeqCst);
    }

    /// How many connections were cut after their pieces.
    pub fn cuts(&self) -> usize {
        self.cuts.load(Ordering::SeqCst)
    }

    /// Whether that happened.
    pub fn has_lost_one(&self) -> bool {
        self.answered.load(Ordering::SeqCst) == usize::MAX
    }

    /// Returns every byte that passed, in both directions.
    pub fn bytes(&self) -> Vec<u8> {
        self.bytes.lock().unwrap().clone()
    }
}

/// Copies one way for as long as `passes` says so of the number of bytes read.
fn join(
    from: &TcpStream,
    to: &TcpStream,
    record: &Arc<Mutex<Vec<u8>>>,
    passes: impl Fn(usize) -> bool + Send + 'static,
) {
    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
    let record = record.clone();
    std::thread::spawn(move || {
        let mut buffer = [0; 16 * 1024];
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            if !passes(read) {
                // Both ways at once, as a network does; the other side may have closed already.
                let _ = to.shutdown(Shutdown::Both);
                let _ = from.shutdown(Shutdown::Both);
                return;
            }
            record.lock().unwrap().extend_from_slice(&buffer[..read]);
            if to.write_all(&buffer[..read]).is_err() {
                break;
            }
        }
        // The other side may have closed already.
        let _ = to.shutdown(Shutdown::Write);
    });
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        // Wakes the accepting thread, which then sees that it shall stop.
        let _ = TcpStream::connect(self.address);
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}
