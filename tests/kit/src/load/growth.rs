//! What a delivery costs when there is more of something: rooms, stored entries, members, idle rooms, stuck readers.
//!
//! Each factor grows alone, at one rate of messages or, where rooms get larger, of deliveries. A second relay of the same
//! age stays at the first step and takes turns with the one that grows: what a delivery costs also drifts with time, and
//! the first step always comes first. At that step the two are alike, and what they differ by is noise.

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

/// What is told of every pair of runs: how many there were, what it showed, and what the control showed.
pub type Tell<'a> = &'a mut dyn FnMut(usize, &Outcome, &Outcome);

/// Grows one factor.
pub fn grow(factor: Factor, plan: Plan, tell: Tell<'_>) {
    let steps = factor.steps(plan.reach);
    match factor {
        Factor::Rooms => plan.rooms(steps, tell),
        Factor::Entries => plan.entries(steps, tell).unwrap(),
        Factor::Members => plan.members(steps, tell),
        Factor::Idle => plan.idle(steps, tell),
        Factor::Stuck => plan.stuck(steps, tell).unwrap(),
    }
}

/// A relay and who talks there.
struct Side {
    server: Server,
    field: Field,
    rate: f64,
}

impl Side {
    fn run(&mut self, time: Duration) -> Outcome {
        self.field.run(&self.server, self.rate, time)
    }

    /// Opens rooms until there are so many.
    fn add_rooms(&mut self, count: usize, members: usize) {
        let grant = self.server.grant();
        while self.field.rooms() < count {
            for _ in 0..OPENED_AT_ONCE.min(count - self.field.rooms()) {
                self.field.seat(rooms::open(&self.server.target, &grant, members).unwrap());
            }
            self.field.attend();
        }
    }
}

impl Plan {
    fn side(self, rate: f64) -> Side {
        let field = Field::empty(Dialect::Hearth, self.bytes);
        Side { server: Server::hearthd(self.core), field, rate }
    }

    /// Lets the two take turns.
    fn measure(self, at: usize, sides: &mut [Side; 2], tell: Tell<'_>) {
        for side in &mut *sides {
            side.run(WARM_UP);
        }
        for _ in 0..self.turns {
            let [control, grown] = &mut *sides;
            let before = control.run(self.time);
            tell(at, &grown.run(self.time), &before);
        }
    }

    fn rooms(self, steps: &[usize], tell: Tell<'_>) {
        let mut sides = [self.side(RATE), self.side(RATE)];
        sides[0].add_rooms(steps[0], FEW);
        for &at in steps {
            sides[1].add_rooms(at, FEW);
            self.measure(at, &mut sides, tell);
        }
    }

    fn idle(self, steps: &[usize], tell: Tell<'_>) {
        let mut sides = [self.side(RATE), self.side(RATE)];
        for side in &mut sides {
            side.add_rooms(1, MANY);
            side.field.only_first_talks();
        }
        for &at in steps {
            sides[1].add_rooms(1 + at, FEW);
            self.measure(at, &mut sides, tell);
        }
    }

    fn members(self, steps: &[usize], tell: Tell<'_>) {
        for &at in steps {
            // What earlier rooms left in memory is not of this one.
            let mut sides = [steps[0], at].map(|members| {
                let mut side = self.side(DELIVERIES / members as f64);
                side.add_rooms(1, members);
                side
            });
            self.measure(at, &mut sides, tell);
        }
    }

    fn entries(self, steps: &[usize], tell: Tell<'_>) -> io::Result<()> {
        let mut stores = vec![];
        for _ in 0..2 {
            let server = Server::hearthd(self.core);
            let grant = server.grant();
            let shelves = (0..SHELVES)
                .map(|_| rooms::open(&server.target, &grant, FEW).map(Shelf::of))
                .collect::<io::Result<Vec<_>>>()?;
            stores.push((server, shelves));
        }
        for &at in steps {
            // Both before anybody enters: whoever waits for minutes and answers no ping is let go.
            for ((server, shelves), total) in stores.iter_mut().zip([steps[0], at]) {
                fill(server, shelves, total as u64, self.bytes)?;
            }
            let (mut sides, mut kept) = (vec![], vec![]);
            for (server, shelves) in stores {
                // What is left in memory of the filling is not of the history.
                let server = server.restart(self.core);
                let mut field = Field::empty(Dialect::Hearth, self.bytes);
                for shelf in &shelves {
                    field.seat(shelf.enter(&server)?);
                }
                sides.push(Side { server, field, rate: RATE });
                kept.push(shelves);
            }
            let mut sides: [Side; 2] = sides.try_into().unwrap_or_else(|_| unreachable!());
            self.measure(at, &mut sides, tell);
            stores = sides.into_iter().map(|side| side.server).zip(kept).collect();
        }
        Ok(())
    }

    fn stuck(self, steps: &[usize], tell: Tell<'_>) -> io::Result<()> {
        let most = steps.iter().max().copied().unwrap_or(0);
        let mut sides = [self.side(RATE), self.side(RATE)];
        let (mut late, mut foot) = (vec![], Seq(0));
        for side in &mut sides {
            let room = rooms::open(&side.server.target, &side.server.grant(), MANY + most)?;
            let mut shelves = [Shelf::of(room)];
            foot = shelves[0].head;
            late = shelves[0].members.split_off(MANY);
            let (count, bytes) = MOUNTAIN;
            fill(&side.server, &mut shelves, foot.0 + count, bytes)?;
            side.field.seat(shelves[0].enter(&side.server)?);
        }
        let target = sides[1].server.target.clone().with_window(WINDOW);
        let mut held = vec![];
        for &at in steps {
            for member in &late[held.len()..at] {
                let mut seat = Seat::enter(&target, member.clone())?;
                seat.subscribe(foot)?;
                held.push(seat);
            }
            self.measure(at, &mut sides, tell);
        }
        Ok(())
    }
}

/// A relay with entries in a few rooms.
pub struct Stock {
    server: Server,
    shelves: Vec<Shelf>,
    bytes: usize,
}

impl Stock {
    /// Starts a relay; entries have payloads of so many bytes.
    ///
    /// # Errors
    /// If it opens no rooms.
    pub fn open(bytes: usize) -> io::Result<Self> {
        let server = Server::hearthd(None);
        let grant = server.grant();
        let shelves = (0..SHELVES)
            .map(|_| rooms::open(&server.target, &grant, FEW).map(Shelf::of))
            .collect::<io::Result<_>>()?;
        Ok(Self { server, shelves, bytes })
    }

    /// Appends until it stores so many entries.
    ///
    /// # Errors
    /// If one is not accepted.
    pub fn fill(&mut self, entries: u64) -> io::Result<()> {
        fill(&self.server, &mut self.shelves, entries, self.bytes)
    }

    /// Kills the relay, starts it again, and returns it.
    pub fn killed_and_started(mut self) -> Self {
        self.server = self.server.killed_and_started();
        self
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
                    after: shelf.head,
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
