//! The network: every connection is two queues of frames with delays, and may end at any frame.
//!
//! Frames of one connection keep their order, as TCP keeps it; those of different connections do not. Frames under
//! way when a connection ends are lost towards the member; towards the relay they may still arrive, after the member is
//! long back on another connection.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    io,
    rc::Rc,
    time::Duration,
};

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::{
    io::DuplexStream,
    sync::Notify,
    time::{Instant, sleep_until},
};
use tokio_tungstenite::{
    accept_hdr_async,
    tungstenite::{
        Message,
        handshake::server::{ErrorResponse, Request, Response},
        http::HeaderValue,
    },
};

use hearth_kit::Dice;
use hearth_session::network::Network;

use super::{Switch, World, lies::Told};

/// Bytes under way between a member and the pump.
const PIPE_BYTES: usize = 1024 * 1024;

/// Frames with the moment at which each arrives.
type Queue = RefCell<VecDeque<(Instant, Vec<u8>)>>;

/// The way of one member to the relay.
pub struct Link {
    dice: RefCell<Dice>,
    /// Until then no connection can be made.
    cut_until: RefCell<Option<Instant>>,
    /// Until then nothing arrives, and nobody is told.
    silent_until: RefCell<Option<Instant>>,
    /// Time between two frames that arrive.
    gap: Cell<Duration>,
}

/// The fate of a frame.
enum Fate {
    Arrives,
    /// The connection ends before it.
    Lost,
    /// The connection ends right after it.
    Last,
}

/// One connection.
pub struct Conn {
    /// Its number at the relay.
    pub id: u64,
    pub who: usize,
    up: Queue,
    down: Queue,
    broken: Cell<bool>,
    /// Ends once the frames under way to the member have arrived.
    ends: Cell<bool>,
    changed: Notify,
    /// The lies told on it.
    pub told: RefCell<Told>,
}

impl Link {
    pub fn new(seed: u64) -> Self {
        let dice = RefCell::new(Dice::new(seed));
        Self {
            dice,
            cut_until: RefCell::default(),
            silent_until: RefCell::default(),
            gap: Cell::default(),
        }
    }

    pub fn cut(&self, until: Instant) {
        *self.cut_until.borrow_mut() = Some(until);
    }

    pub fn slow_down(&self, gap: Duration) {
        self.gap.set(gap);
    }

    pub fn silence(&self, until: Instant) {
        *self.silent_until.borrow_mut() = Some(until);
    }

    fn is_cut(&self) -> bool {
        self.cut_until.borrow().is_some_and(|until| until > Instant::now())
    }

    fn silent_until(&self) -> Option<Instant> {
        self.silent_until.borrow().filter(|until| *until > Instant::now())
    }

    /// Whether nothing passed lately: a client cannot tell that from a relay that keeps entries back.
    pub fn was_silent(&self) -> bool {
        let lately = |until: Instant| until + Duration::from_secs(60) > Instant::now();
        self.silent_until.borrow().is_some_and(lately)
    }

    fn arrival(&self, queue: &VecDeque<(Instant, Vec<u8>)>) -> Instant {
        let mut dice = self.dice.borrow_mut();
        let slow = if dice.chance(10) { 3_000 } else { 120 };
        let millis = dice.below(slow) as u64;
        let at = Instant::now() + Duration::from_millis(millis);
        queue.back().map_or(at, |(last, _)| at.max(*last + self.gap.get()))
    }

    fn fate(&self, loss: u64) -> Fate {
        let mut dice = self.dice.borrow_mut();
        match dice.below(100) as u64 {
            rolled if rolled >= loss => Fate::Arrives,
            rolled if rolled.is_multiple_of(2) => Fate::Lost,
            _ => Fate::Last,
        }
    }
}

impl Conn {
    pub fn new(id: u64, who: usize) -> Self {
        let (up, down) = (Queue::default(), Queue::default());
        Self {
            id,
            who,
            up,
            down,
            broken: Cell::default(),
            ends: Cell::default(),
            changed: Notify::new(),
            told: RefCell::default(),
        }
    }

    /// Ends it from the relay's side.
    pub fn break_off(&self) {
        self.broken.set(true);
        self.changed.notify_one();
    }

    /// Ends it after the frames that the relay has sent.
    pub fn end(&self) {
        self.ends.set(true);
        self.changed.notify_one();
    }

    /// Puts a frame on its way to the member.
    pub fn send_down(&self, link: &Link, frame: Vec<u8>) {
        let mut queue = self.down.borrow_mut();
        let at = link.arrival(&queue);
        queue.push_back((at, frame));
        self.changed.notify_one();
    }

    fn send_up(&self, link: &Link, frame: Vec<u8>) {
        let mut queue = self.up.borrow_mut();
        let at = link.arrival(&queue);
        queue.push_back((at, frame));
    }

    /// Whether nothing will pass any more.
    fn is_over(&self, gone: bool) -> bool {
        let is_empty = |queue: &Queue| queue.borrow().is_empty();
        self.broken.get() || gone && is_empty(&self.up) || self.ends.get() && is_empty(&self.down)
    }

    fn next(&self) -> Option<Instant> {
        let front = |queue: &Queue| queue.borrow().front().map(|(at, _)| *at);
        let up = front(&self.up).filter(|_| !self.ends.get());
        [up, front(&self.down)].into_iter().flatten().min()
    }
}

fn due(queue: &Queue) -> Option<Vec<u8>> {
    let mut queue = queue.borrow_mut();
    let is_due = queue.front().is_some_and(|(at, _)| *at <= Instant::now());
    if is_due { queue.pop_front().map(|(_, frame)| frame) } else { None }
}

/// Returns a member's own way to the relay.
pub fn way(world: &Rc<World>, who: usize) -> Network {
    let world = world.clone();
    Network::from_fn(move |_| dial(&world, who))
}

/// Opens a connection for a member; it goes on by itself.
fn dial(world: &Rc<World>, who: usize) -> io::Result<DuplexStream> {
    if world.links[who].is_cut() || !world.relay.borrow().is_up() {
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    let (near, far) = tokio::io::duplex(PIPE_BYTES);
    tokio::task::spawn_local(pump(world.clone(), who, far));
    Ok(near)
}

async fn pump(world: Rc<World>, who: usize, far: DuplexStream) {
    let Ok(mut socket) = accept_hdr_async(far, speak).await else { return };
    let link = &world.links[who];
    let Some(conn) = world.relay.borrow_mut().connect(who) else { return };
    let mut gone = false;
    while !conn.is_over(gone) {
        if let Some(until) = link.silent_until() {
            tokio::select! {
                biased;
                () = conn.changed.notified() => {}
                () = sleep_until(until) => {}
            }
            continue;
        }
        let next = conn.next();
        tokio::select! {
            biased;
            () = conn.changed.notified() => {}
            message = socket.next(), if !gone => match message {
                Some(Ok(Message::Binary(bytes))) => conn.send_up(link, bytes.to_vec()),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                _ => {
                    gone = true;
                    conn.told.borrow_mut().gone = true;
                    // A dead member's last frames arrive, or do not.
                    if link.dice.borrow_mut().chance(50) {
                        conn.up.borrow_mut().clear();
                    }
                }
            },
            () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {
                if !carry(&world, &conn, &mut socket).await {
                    break;
                }
            }
        }
    }
    world.relay.borrow_mut().disconnect(conn.id);
}

/// Delivers the frames that are due; returns whether the connection goes on.
async fn carry(
    world: &Rc<World>,
    conn: &Rc<Conn>,
    socket: &mut tokio_tungstenite::WebSocketStream<DuplexStream>,
) -> bool {
    let link = &world.links[conn.who];
    while !conn.ends.get()
        && let Some(frame) = due(&conn.up)
    {
        let fate = link.fate(world.loss.get());
        if matches!(fate, Fate::Lost) {
            return false;
        }
        world.arrive(conn, frame);
        if matches!(fate, Fate::Last) {
            return false;
        }
    }
    while let Some(frame) = due(&conn.down) {
        let fate = link.fate(world.loss.get());
        if matches!(fate, Fate::Lost) {
            return false;
        }
        let leaks = world.switched(Switch::EntryLeftOut);
        let frame = if leaks { leave_out(&frame) } else { frame };
        if socket.send(Message::Binary(frame.into())).await.is_err() {
            // The member is gone; their last frames may still arrive.
            return !conn.up.borrow().is_empty();
        }
        if matches!(fate, Fate::Last) {
            return false;
        }
    }
    true
}

/// A relay that forgets to send an entry.
fn leave_out(frame: &[u8]) -> Vec<u8> {
    use hearth_protocol::{ServerFrame, codec};
    match codec::decode_server(frame) {
        Ok(ServerFrame::Entries { room, mut entries, head }) if entries.len() > 2 => {
            entries.remove(1);
            codec::encode_server(&ServerFrame::Entries { room, entries, head })
        }
        _ => frame.to_vec(),
    }
}

#[expect(clippy::result_large_err, reason = "the signature is tungstenite's")]
fn speak(_: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
    let protocol = HeaderValue::from_static("hearth.v2");
    response.headers_mut().insert("Sec-WebSocket-Protocol", protocol);
    Ok(response)
}
