//! What a delivery costs when there is more of something: rooms, stored entries, members, idle rooms, stuck readers.
//!
//! Each factor grows alone, at one rate of messages or, where rooms get larger, of deliveries. A relay that is built
//! well does not notice.

use std::{io, time::Duration};

use clap::ValueEnum;
use hearth_protocol::{ClientFrame, MessageId, RoomId, Seq, ServerFrame, codec};

use super::{
    drive::{Dialect, Field, Outcome},
    machine::Server,
    rooms::{self, LoadRoom, Member, Seat, random},
};

/// Messages in a second.
const RATE: f64 = 500.0;
/// Deliveries in a second where the size of a room grows.
const DELIVERIES: f64 = 5_000.0;
/// Members of a room among many.
const FEW: usize = 2;
/// Members of a room where there is one.
const MANY: usize = 10;
/// Rooms that stored entries are spread over.
const SHELVES: usize = 20;
/// Submissions of one connection under way while a store is filled: twice what the relay takes on at once.
const UNDER_WAY: usize = 64;
/// What a stuck reader asks for and never takes: entries of so many bytes, more than any socket holds.
const MOUNTAIN: (u64, usize) = (1_000, 16 * 1024);
/// Bytes that a stuck reader's socket takes.
const WINDOW: usize = 4096;
/// Rooms opened between two looks at those who wait: the relay pings them meanwhile.
const OPENED_AT_ONCE: usize = 50;
/// What goes before anything is counted.
const WARM_UP: Duration = Duration::from_secs(1);

/// What there is more and more of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Factor {
    /// Rooms of two that share one rate
    Rooms,
    /// Entries in the store, in the rooms that talk
    Entries,
    /// Members of one room; deliveries a second stay the same
    Members,
    /// Silent rooms of two beside one that talks
    Idle,
    /// Readers in a room who take nothing of what they asked for
    Stuck,
}

impl Factor {
    /// What is counted.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rooms => "rooms",
            Self::Entries => "stored entries",
            Self::Members => "members of a room",
            Self::Idle => "idle rooms",
            Self::Stuck => "stuck readers",
        }
    }

    /// How many there are, step by step.
    fn steps(self, reach: Reach) -> &'static [usize] {
        let steps: &[usize] = match self {
            Self::Rooms => &[10, 100, 1_000, 5_000],
            Self::Entries => &[1_000, 10_000, 100_000, 1_000_000, 10_000_000],
            Self::Members => &[2, 10, 100, 1_000],
            Self::Idle => &[0, 100, 1_000, 5_000],
            Self::Stuck => &[0, 1, 8],
        };
        let count = match (self, reach) {
            (Self::Entries, Reach::Deep) => 5,
            (Self::Entries, Reach::Whole) => 4,
            (_, Reach::Short) => 2,
            _ => steps.len(),
        };
        &steps[..count]
    }
}

/// How far it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Two steps of everything.
    Short,
    /// Everything but the last step of the stored entries.
    Whole,
    /// Everything.
    Deep,
}

/// How it is measured.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How far it goes.
    pub reach: Reach,
    /// Of one run.
    pub time: Duration,
    /// Runs of each step.
    pub turns: u32,
    /// Bytes of a payload.
    pub bytes: usize,
    /// Core of the relay.
    pub core: Option<usize>,
}

/// Grows one factor and tells of every run how many there were, and what it showed.
pub fn grow(factor: Factor, plan: Plan, each: &mut dyn FnMut(usize, &Outcome)) {
    let steps = factor.steps(plan.reach);
    match factor {
        Factor::Rooms => plan.rooms(steps, each),
        Factor::Entries => plan.entries(steps, each).unwrap(),
        Factor::Members => plan.members(steps, each),
        Factor::Idle => plan.idle(steps, each),
        Factor::Stuck => plan.stuck(steps, each).unwrap(),
    }
}

impl Plan {
    fn rooms(self, steps: &[usize], each: &mut dyn FnMut(usize, &Outcome)) {
        let server = Server::hearthd(self.core);
        let mut field = Field::empty(Dialect::Hearth, self.bytes);
        for &at in steps {
            add_rooms(&mut field, &server, at, FEW);
            self.measure(&mut field, &server, RATE, &mut |outcome| each(at, outcome));
        }
    }

    fn idle(self, steps: &[usize], each: &mut dyn FnMut(usize, &Outcome)) {
        let server = Server::hearthd(self.core);
        let mut field = Field::empty(Dialect::Hearth, self.bytes);
        add_rooms(&mut field, &server, 1, MANY);
        field.only_first_talks();
        for &at in steps {
            add_rooms(&mut field, &server, 1 + at, FEW);
            self.measure(&mut field, &server, RATE, &mut |outcome| each(at, outcome));
        }
    }

    fn members(self, steps: &[usize], each: &mut dyn FnMut(usize, &Outcome)) {
        for &at in steps {
            // What earlier rooms left in memory is not of this one.
            let server = Server::hearthd(self.core);
            let mut field = Field::empty(Dialect::Hearth, self.bytes);
            add_rooms(&mut field, &server, 1, at);
            let rate = DELIVERIES / at as f64;
            self.measure(&mut field, &server, rate, &mut |outcome| each(at, outcome));
        }
    }

    fn entries(self, steps: &[usize], each: &mut dyn FnMut(usize, &Outcome)) -> io::Result<()> {
        let mut server = Server::hearthd(self.core);
        let grant = server.grant();
        let mut shelves = (0..SHELVES)
            .map(|_| rooms::open(&server.target, &grant, FEW).map(Shelf::of))
            .collect::<io::Result<Vec<_>>>()?;
        for &at in steps {
            fill(&server, &mut shelves, at as u64, self.bytes)?;
            // What is left in memory of the filling is not of the history.
            server = server.restart(self.core);
            let mut field = Field::empty(Dialect::Hearth, self.bytes);
            for shelf in &shelves {
                field.seat(shelf.enter(&server)?);
            }
            self.measure(&mut field, &server, RATE, &mut |outcome| each(at, outcome));
        }
        Ok(())
    }

    fn stuck(self, steps: &[usize], each: &mut dyn FnMut(usize, &Outcome)) -> io::Result<()> {
        let most = steps.iter().max().copied().unwrap_or(0);
        let server = Server::hearthd(self.core);
        let room = rooms::open(&server.target, &server.grant(), MANY + most)?;
        let mut shelves = [Shelf::of(room)];
        let foot = shelves[0].head;
        let late = shelves[0].members.split_off(MANY);
        let (count, bytes) = MOUNTAIN;
        fill(&server, &mut shelves, foot.0 + count, bytes)?;
        let mut field = Field::empty(Dialect::Hearth, self.bytes);
        field.seat(shelves[0].enter(&server)?);
        let target = server.target.clone().with_window(WINDOW);
        let mut held = vec![];
        for &at in steps {
            for member in &late[held.len()..at] {
                let mut seat = Seat::enter(&target, member.clone())?;
                seat.subscribe(foot)?;
                held.push(seat);
            }
            self.measure(&mut field, &server, RATE, &mut |outcome| each(at, outcome));
        }
        Ok(())
    }

    fn measure(
        self,
        field: &mut Field,
        server: &Server,
        rate: f64,
        each: &mut dyn FnMut(&Outcome),
    ) {
        field.run(server, rate, WARM_UP);
        for _ in 0..self.turns {
            each(&field.run(server, rate, self.time));
        }
    }
}

/// Opens rooms until there are so many.
fn add_rooms(field: &mut Field, server: &Server, count: usize, members: usize) {
    let grant = server.grant();
    while field.rooms() < count {
        for _ in 0..OPENED_AT_ONCE.min(count - field.rooms()) {
            field.seat(rooms::open(&server.target, &grant, members).unwrap());
        }
        field.attend();
    }
}

/// A room whose members come and go.
struct Shelf {
    id: RoomId,
    epoch: u64,
    head: Seq,
    members: Vec<Member>,
}

impl Shelf {
    fn of(room: LoadRoom) -> Self {
        let LoadRoom { id, epoch, head, seats } = room;
        Self { id, epoch, head, members: seats.into_iter().map(|seat| seat.member).collect() }
    }

    fn enter(&self, server: &Server) -> io::Result<LoadRoom> {
        let mut seats = vec![];
        for member in &self.members {
            let mut seat = Seat::enter(&server.target, member.clone())?;
            seat.subscribe(self.head)?;
            seats.push(seat);
        }
        Ok(LoadRoom { id: self.id, epoch: self.epoch, head: self.head, seats })
    }
}

/// Appends to all in turns, until they hold so many entries together, and notes where their logs then stand.
fn fill(server: &Server, shelves: &mut [Shelf], total: u64, bytes: usize) -> io::Result<()> {
    let mut writers = vec![];
    for shelf in shelves.iter_mut() {
        let mut seat = Seat::enter(&server.target, shelf.members[0].clone())?;
        // One by itself shows where the log stands after what was measured.
        let (id, epoch) = (shelf.id, shelf.epoch);
        shelf.head = seat.append(rooms::payload(&id, epoch, 1, &[], bytes), vec![])?;
        writers.push(seat);
    }
    let mut missing = total.saturating_sub(shelves.iter().map(|shelf| shelf.head.0).sum());
    let mut waiting = vec![0_usize; writers.len()];
    while missing > 0 || waiting.iter().any(|count| *count > 0) {
        for ((seat, shelf), waiting) in writers.iter_mut().zip(&mut *shelves).zip(&mut waiting) {
            while *waiting < UNDER_WAY && missing > 0 {
                let req = seat.next_request();
                let submit = ClientFrame::Submit {
                    req,
                    room: shelf.id,
                    id: MessageId(random()),
                    payload: rooms::payload(&shelf.id, shelf.epoch, 1, &[], bytes),
                    expect: None,
                    effects: vec![],
                };
                seat.wire.queue(&codec::encode_client(&submit));
                *waiting += 1;
                missing -= 1;
            }
            seat.wire.flush()?;
        }
        for ((seat, shelf), waiting) in writers.iter_mut().zip(&mut *shelves).zip(&mut waiting) {
            // Half of them: the others keep the relay at work meanwhile.
            for _ in 0..waiting.div_ceil(2) {
                let answer = codec::decode_server(&seat.wire.next()?).map_err(io::Error::other)?;
                let ServerFrame::Accepted { seq, .. } = answer else {
                    return Err(io::Error::other(format!("{answer:?}")));
                };
                shelf.head = shelf.head.max(seq);
                *waiting -= 1;
            }
        }
    }
    Ok(())
}
