//! Drives rooms at a rate that does not wait for anybody, and checks what every receiver gets.
//!
//! One thread, one epoll. A message is sent at the moment it is due, or as soon after as the generator can, and its
//! latency counts from the moment it was due: a server that stalls cannot make the generator ask less of it. Each sender is
//! drawn at random, the same ones in every field. A sender's own copy is checked like the others and is not a delivery.

use std::{
    io,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use hearth_protocol::{ClientFrame, MessageId, RoomId, Seq, codec, frame::RequestId};
use minicbor::Decoder;
use rustix::{
    event::{
        Timespec,
        epoll::{self, CreateFlags, Event, EventData, EventFlags},
    },
    fd::OwnedFd,
};

use super::{
    machine::{Server, Thread, usage},
    naive::Baseline,
    rooms::{self, LoadRoom, Member, Seat, random},
    wire::Wire,
};

/// After the last message was due, before what is missing counts as lost.
const GRACE: Duration = Duration::from_secs(10);
/// Longest latency that is told apart.
const LATENCY_MAX_NANOS: u64 = 120_000_000_000;
/// Bytes before the rest of the content: number, due time, and the sender's seat in the room.
const STAMP_BYTES: usize = 20;
/// Where the draw of senders begins.
const SEED: u64 = 0x6865_6172_7468;

/// Which server is driven: what a message looks like on its wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// The relay.
    Hearth,
    /// A baseline, which does no more than it must.
    Baseline(Baseline),
}

impl Dialect {
    /// Its name in what is printed.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hearth => "hearth",
            Self::Baseline(baseline) => baseline.name(),
        }
    }
}

/// How much there is of everything.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Rooms.
    pub rooms: usize,
    /// Members of each.
    pub members: usize,
    /// Bytes of a payload.
    pub bytes: usize,
}

impl Default for Shape {
    /// The shape of published figures. Fewer rooms would coalesce better.
    fn default() -> Self {
        Self { rooms: 100, members: 10, bytes: 300 }
    }
}

/// One connection that sends and receives.
struct Peer {
    wire: Wire,
    /// The last request number before the first message.
    base: RequestId,
    /// When each of its messages was due.
    due: Vec<u64>,
    seen: Seen,
    /// Whether the socket did not take everything.
    blocked: bool,
}

struct Place {
    id: RoomId,
    epoch: u64,
    sent: u64,
    sum: u64,
    peers: Vec<usize>,
}

/// Rooms under load.
pub struct Field {
    dialect: Dialect,
    rooms: Vec<Place>,
    /// How many of the rooms, from the first, somebody talks in.
    talking: usize,
    peers: Vec<Peer>,
    epoll: OwnedFd,
    bytes: usize,
    number: u64,
    drawn: u64,
    /// In every submission's id: a room may have been in another field before.
    own: [u8; 8],
    started: Instant,
    last: Option<(Member, Seq)>,
}

/// What a run showed.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Messages per second that were due.
    pub rate: f64,
    /// Messages that were due.
    pub sent: u64,
    /// Messages that came to others than their sender, over all receivers.
    pub delivered: u64,
    /// Messages that never came, over all receivers, their senders included.
    pub lost: u64,
    /// Messages that came twice, out of order or after a hole, and receivers that disagree.
    pub faults: u64,
    /// Messages that the server refused.
    pub refused: u64,
    /// From the first due time to the last delivery.
    pub elapsed: Duration,
    /// From due to delivered, in nanoseconds.
    pub latency: Histogram<u64>,
    /// From due to acknowledged, in nanoseconds; empty for a server that acknowledges nothing.
    pub acknowledged: Histogram<u64>,
    /// Seconds of processor time of the server.
    pub server_cpu: f64,
    /// Seconds of processor time of each of its threads.
    pub threads: Vec<Thread>,
    /// Bytes that the server caused to be written to disk; `None` where this machine does not tell.
    pub server_written: Option<u64>,
    /// Bytes of the server afterwards.
    pub server_resident: u64,
    /// Seconds of processor time of the generator.
    pub own_cpu: f64,
}

impl Outcome {
    /// Deliveries in a second.
    pub fn deliveries_per_second(&self) -> f64 {
        self.delivered as f64 / self.elapsed.as_secs_f64()
    }

    /// Microseconds of the server's processor time for one delivery.
    pub fn micros_per_delivery(&self) -> f64 {
        self.server_cpu * 1e6 / self.delivered.max(1) as f64
    }

    /// Bytes to disk for one message.
    pub fn disk_bytes_per_message(&self) -> Option<f64> {
        Some(self.server_written? as f64 / self.sent as f64)
    }

    /// Share of its core that the generator used.
    pub fn own_share(&self) -> f64 {
        self.own_cpu / self.elapsed.as_secs_f64()
    }

    /// A percentile of the latency in milliseconds.
    pub fn latency_millis(&self, percentile: f64) -> f64 {
        self.latency.value_at_percentile(percentile) as f64 / 1e6
    }

    /// Whether everything came once, in order, and was accepted.
    pub fn is_clean(&self) -> bool {
        self.lost == 0 && self.faults == 0 && self.refused == 0
    }
}

impl Field {
    /// Returns a field without rooms.
    pub fn empty(dialect: Dialect, bytes: usize) -> Self {
        Self {
            dialect,
            rooms: vec![],
            talking: usize::MAX,
            peers: vec![],
            epoll: epoll::create(CreateFlags::CLOEXEC).unwrap(),
            bytes,
            number: 0,
            drawn: SEED,
            own: random(),
            started: Instant::now(),
            last: None,
        }
    }

    /// Opens rooms at a server.
    pub fn open(server: &Server, dialect: Dialect, shape: Shape) -> Self {
        let Shape { rooms, members, bytes } = shape;
        let mut field = Self::empty(dialect, bytes);
        let grant = (dialect == Dialect::Hearth).then(|| server.grant());
        for _ in 0..rooms {
            match &grant {
                Some(grant) => field.seat(rooms::open(&server.target, grant, members).unwrap()),
                None => {
                    let id = RoomId(random());
                    let wires = (0..members).map(|_| baseline_wire(server, &id).unwrap());
                    field.add(id, 0, Seq(0), wires.map(|wire| (wire, 0)));
                }
            }
            field.attend();
        }
        field
    }

    /// Takes in a room of the relay whose members are there.
    pub fn seat(&mut self, room: LoadRoom) {
        self.last = room.seats.last().map(|seat| (seat.member.clone(), room.head));
        let wires = room.seats.into_iter().map(Seat::into_parts);
        self.add(room.id, room.epoch, room.head, wires);
    }

    /// How many rooms there are.
    pub fn rooms(&self) -> usize {
        self.rooms.len()
    }

    /// From now on nobody says anything in any room but the first.
    pub fn only_first_talks(&mut self) {
        self.talking = 1;
    }

    /// Takes in what came, without waiting, so that nobody is taken for dead while others are still on their way.
    pub fn attend(&mut self) {
        let mut events: Vec<Event> = Vec::with_capacity(self.peers.len().max(1));
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        let room = rustix::buffer::spare_capacity(&mut events);
        // Interrupted: the next time will do.
        let _ = epoll::wait(&self.epoll, room, Some(&now));
        let mut tally = Tally::default();
        for event in &events {
            self.receive(usize::try_from({ event.data }.u64()).unwrap(), &mut tally);
        }
    }

    fn add(
        &mut self,
        id: RoomId,
        epoch: u64,
        head: Seq,
        wires: impl Iterator<Item = (Wire, RequestId)>,
    ) {
        let first = self.peers.len();
        for (seat, (wire, base)) in wires.enumerate() {
            wire.set_nonblocking();
            let data = EventData::new_u64(self.peers.len() as u64);
            epoll::add(&self.epoll, wire.fd(), data, EventFlags::IN).unwrap();
            let seen = Seen { seat, seq: head.0, ..Seen::default() };
            self.peers.push(Peer { wire, base, due: vec![], seen, blocked: false });
        }
        let peers: Vec<usize> = (first..self.peers.len()).collect();
        for peer in &mut self.peers[first..] {
            peer.seen.last = vec![0; peers.len()];
        }
        self.rooms.push(Place { id, epoch, sent: 0, sum: 0, peers });
    }

    /// One who sits in the last room, to connect once more, and where its log stood when everybody was in.
    pub fn member(&self) -> Option<(Member, Seq)> {
        self.last.clone()
    }

    /// Sends at a rate for some time, waits for everything, and returns what it showed.
    pub fn run(&mut self, server: &Server, rate: f64, time: Duration) -> Outcome {
        let total = (rate * time.as_secs_f64()).round().max(1.0);
        let (before, own_before) = (server.usage(), usage(std::process::id()));
        let threads_before = server.threads();
        let mut tally = Tally::default();
        let begun = self.now();
        let mut expected = 0;
        let mut next = 0.0;
        let deadline = begun + nanos(time) + nanos(GRACE);
        let mut events: Vec<Event> = Vec::with_capacity(1024);
        let mut last = begun;
        loop {
            let now = self.now();
            while next < total && begun + nanos(Duration::from_secs_f64(next / rate)) <= now {
                let due = begun + nanos(Duration::from_secs_f64(next / rate));
                expected += self.send(due);
                next += 1.0;
            }
            let came = tally.delivered >= expected && tally.returned >= whole(next);
            let all = came && self.is_answered(whole(next), &tally);
            if next >= total && all || now > deadline {
                break;
            }
            let wake = if next < total {
                begun + nanos(Duration::from_secs_f64(next / rate))
            } else {
                deadline
            };
            let blocked = self.unblock();
            let mut wait = Duration::from_nanos(wake.saturating_sub(self.now()));
            if blocked {
                wait = wait.min(Duration::from_millis(1));
            }
            let wait = Timespec {
                tv_sec: i64::try_from(wait.as_secs()).unwrap_or(1),
                tv_nsec: wait.subsec_nanos().into(),
            };
            events.clear();
            let waited =
                epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), Some(&wait));
            if waited.is_err() {
                continue;
            }
            for event in &events {
                let index = usize::try_from({ event.data }.u64()).unwrap();
                self.receive(index, &mut tally);
            }
            if !events.is_empty() {
                last = self.now();
            }
        }
        let (after, own_after) = (server.usage(), usage(std::process::id()));
        let mut threads = server.threads();
        for thread in &mut threads {
            // One that began meanwhile had used nothing.
            let earlier = threads_before.iter().find(|earlier| earlier.id == thread.id);
            thread.cpu -= earlier.map_or(0.0, |earlier| earlier.cpu);
        }
        Outcome {
            rate,
            sent: whole(total),
            delivered: tally.delivered,
            lost: expected.saturating_sub(tally.delivered)
                + whole(total).saturating_sub(tally.returned),
            faults: self.faults(),
            refused: tally.refused,
            elapsed: Duration::from_nanos(last - begun),
            latency: tally.latency.0,
            acknowledged: tally.acknowledged.0,
            server_cpu: after.cpu - before.cpu,
            threads,
            server_written: after.written.zip(before.written).map(|(after, before)| after - before),
            server_resident: after.resident,
            own_cpu: own_after.cpu - own_before.cpu,
        }
    }

    /// Whether so many messages are acknowledged or refused, where the server does that.
    fn is_answered(&self, sent: u64, tally: &Tally) -> bool {
        self.dialect != Dialect::Hearth || tally.acknowledged.0.len() + tally.refused >= sent
    }

    fn now(&self) -> u64 {
        nanos(self.started.elapsed())
    }

    /// Draws the next random number (SplitMix64).
    const fn draw(&mut self) -> u64 {
        self.drawn = self.drawn.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed(self.drawn)
    }

    /// Sends the next message; returns how many others shall receive it.
    fn send(&mut self, due: u64) -> u64 {
        let rooms = self.rooms.len().min(self.talking);
        let room = picked(self.draw(), rooms);
        let seat = picked(self.draw(), self.rooms[room].peers.len());
        self.number += 1;
        let place = &mut self.rooms[room];
        place.sent += 1;
        place.sum = place.sum.wrapping_add(mixed(self.number));
        let peer = &mut self.peers[place.peers[seat]];
        let mut stamp = [0; STAMP_BYTES];
        stamp[..8].copy_from_slice(&self.number.to_be_bytes());
        stamp[8..16].copy_from_slice(&due.to_be_bytes());
        stamp[16..].copy_from_slice(&u32::try_from(seat).unwrap().to_be_bytes());
        let payload = rooms::payload(&place.id, place.epoch, 1, &stamp, self.bytes);
        match self.dialect {
            Dialect::Hearth => {
                peer.due.push(due);
                let req = peer.base + u32::try_from(peer.due.len()).unwrap();
                let mut id = [0; 16];
                id[..8].copy_from_slice(&stamp[..8]);
                id[8..].copy_from_slice(&self.own);
                let submit = ClientFrame::Submit {
                    req,
                    room: place.id,
                    id: MessageId(id),
                    payload,
                    expect: None,
                    effects: vec![],
                    after: Seq(peer.seen.seq),
                };
                peer.wire.queue(&codec::encode_client(&submit));
            }
            Dialect::Baseline(_) => peer.wire.queue(&payload),
        }
        peer.blocked = !peer.wire.flush().unwrap_or(true);
        place.peers.len() as u64 - 1
    }

    /// Tries again to send what a socket did not take; returns whether something still waits.
    fn unblock(&mut self) -> bool {
        let mut some = false;
        for peer in self.peers.iter_mut().filter(|peer| peer.blocked) {
            peer.blocked = !peer.wire.flush().unwrap_or(true);
            some |= peer.blocked;
        }
        some
    }

    fn receive(&mut self, index: usize, tally: &mut Tally) {
        // A connection that is gone shows as what it did not get.
        if !self.peers[index].wire.read().unwrap_or(false) && !self.peers[index].wire.is_open() {
            // Or else it would be ready for ever.
            let _ = epoll::delete(&self.epoll, self.peers[index].wire.fd());
            return;
        }
        let now = self.now();
        let Peer { wire, seen, due, base, .. } = &mut self.peers[index];
        match self.dialect {
            Dialect::Baseline(_) => wire.messages(|message| seen.take(now, message, tally)),
            Dialect::Hearth => wire.messages(|message| {
                if let Err(error) = seen.take_frame(now, message, due, *base, tally) {
                    panic!("the relay sent what cannot be decoded: {error}");
                }
            }),
        }
        // Pongs, if any.
        self.peers[index].blocked |= !self.peers[index].wire.flush().unwrap_or(true);
    }

    /// Compares what everybody got, over the whole life of the rooms.
    fn faults(&self) -> u64 {
        let mut faults = 0;
        for place in &self.rooms {
            let first = &self.peers[place.peers[0]].seen;
            for peer in &place.peers {
                let seen = &self.peers[*peer].seen;
                let whole = seen.received == place.sent;
                faults += seen.faults
                    + u64::from(whole && seen.sum != place.sum)
                    + u64::from(whole && first.received == place.sent && seen.chain != first.chain);
            }
        }
        faults
    }
}

/// What a receiver got so far.
#[derive(Debug, Default)]
struct Seen {
    /// The receiver's own seat.
    seat: usize,
    /// The last number from each seat: a sender's messages come in order.
    last: Vec<u64>,
    /// The last position.
    seq: u64,
    received: u64,
    /// Chained over the numbers, in order: equal for all of a room.
    chain: u64,
    /// Sum over the numbers: equal to what was sent, if each came once.
    sum: u64,
    faults: u64,
}

impl Seen {
    /// Takes one frame of the relay, without making values of it.
    fn take_frame(
        &mut self,
        now: u64,
        frame: &[u8],
        due: &[u64],
        base: RequestId,
        tally: &mut Tally,
    ) -> Result<(), minicbor::decode::Error> {
        const ACCEPTED: u32 = 3;
        const ENTRIES: u32 = 5;
        const REJECT: u32 = 11;
        let mut decoder = Decoder::new(frame);
        decoder.array()?;
        match decoder.u32()? {
            ENTRIES => {
                decoder.array()?;
                decoder.bytes()?;
                for _ in 0..decoder.array()?.unwrap_or(0) {
                    decoder.array()?;
                    let seq = decoder.u64()?;
                    decoder.u64()?;
                    decoder.array()?;
                    decoder.u32()?;
                    decoder.array()?;
                    let payload = decoder.bytes()?;
                    // Those admitted early are shown the admission of the others.
                    if rooms::content(payload).len() < STAMP_BYTES || payload[29] != 1 {
                        self.seq = self.seq.max(seq);
                        continue;
                    }
                    self.faults += u64::from(seq != self.seq + 1);
                    self.seq = seq;
                    self.take(now, payload, tally);
                }
            }
            ACCEPTED => {
                decoder.array()?;
                let req = decoder.u32()?;
                let sent =
                    req.checked_sub(base + 1).and_then(|n| due.get(usize::try_from(n).ok()?));
                if let Some(due) = sent {
                    tally.acknowledged.record(now - due);
                }
            }
            REJECT => tally.refused += 1,
            _ => {}
        }
        Ok(())
    }

    fn take(&mut self, now: u64, payload: &[u8], tally: &mut Tally) {
        let Some((stamp, _)) = rooms::content(payload).split_first_chunk::<STAMP_BYTES>() else {
            return;
        };
        let half = |at: usize| u64::from_be_bytes(stamp[at..at + 8].try_into().unwrap());
        let (number, due) = (half(0), half(8));
        let seat = u32::from_be_bytes(stamp[16..].try_into().unwrap()) as usize;
        self.received += 1;
        self.sum = self.sum.wrapping_add(mixed(number));
        self.chain = mixed(self.chain ^ number);
        self.faults += u64::from(number <= self.last[seat]);
        self.last[seat] = number;
        if seat == self.seat {
            tally.returned += 1;
        } else {
            tally.delivered += 1;
            tally.latency.record(now.saturating_sub(due));
        }
    }
}

/// Counts of one run.
#[derive(Default)]
struct Tally {
    delivered: u64,
    /// Messages that came back to their sender.
    returned: u64,
    refused: u64,
    latency: Times,
    acknowledged: Times,
}

struct Times(Histogram<u64>);

impl Default for Times {
    fn default() -> Self {
        Self(Histogram::new_with_bounds(1_000, LATENCY_MAX_NANOS, 3).unwrap())
    }
}

impl Times {
    fn record(&mut self, nanos: u64) {
        self.0.saturating_record(nanos);
    }
}

/// A bijection that scatters (the finalizer of SplitMix64).
const fn mixed(number: u64) -> u64 {
    let a = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let b = (a ^ (a >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    b ^ (b >> 31)
}

/// Picks one of so many by a random number.
fn picked(random: u64, count: usize) -> usize {
    usize::try_from(random % count as u64).unwrap()
}

#[expect(clippy::cast_possible_truncation, reason = "a count of messages")]
fn whole(number: f64) -> u64 {
    number as u64
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Joins a room of a baseline.
pub fn baseline_wire(server: &Server, room: &RoomId) -> io::Result<Wire> {
    let mut wire = Wire::connect(&server.target)?;
    wire.queue(&room.0);
    wire.flush()?;
    wire.next()?;
    Ok(wire)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message as a receiver of a room of two gets it.
    fn message(number: u64, seat: u32) -> Vec<u8> {
        let stamp = [&number.to_be_bytes()[..], &7_u64.to_be_bytes(), &seat.to_be_bytes()].concat();
        rooms::payload(&RoomId([1; 16]), 0, 1, &stamp, 300)
    }

    fn after(numbers: &[(u64, u32)]) -> (Seen, Tally) {
        let mut seen = Seen { last: vec![0; 2], ..Seen::default() };
        let mut tally = Tally::default();
        for (number, seat) in numbers {
            seen.take(9, &message(*number, *seat), &mut tally);
        }
        (seen, tally)
    }

    #[test]
    fn own_copy_is_not_a_delivery() {
        let (seen, tally) = after(&[(1, 1), (2, 0), (3, 1)]);
        assert_eq!((tally.delivered, tally.returned, tally.latency.0.len()), (2, 1, 2));
        assert_eq!((seen.received, seen.faults), (3, 0));
    }

    #[test]
    fn repeated_or_swapped_messages_are_faults() {
        assert_eq!(after(&[(1, 1), (1, 1)]).0.faults, 1);
        assert_eq!(after(&[(3, 1), (1, 1)]).0.faults, 1);
        // Of two senders either may come first.
        assert_eq!(after(&[(3, 1), (1, 0)]).0.faults, 0);
    }

    #[test]
    fn draws_repeat_and_reach_every_seat() {
        let draws = || {
            let mut field = Field::empty(Dialect::Hearth, 300);
            (0..20_000).map(|_| picked(field.draw(), 1_000)).collect::<Vec<_>>()
        };
        let (once, again) = (draws(), draws());
        assert_eq!(once, again);
        let mut counts = vec![0; 1_000];
        once.iter().for_each(|seat| counts[*seat] += 1);
        assert!(counts.iter().all(|count| (2..60).contains(count)), "{counts:?}");
    }
}
