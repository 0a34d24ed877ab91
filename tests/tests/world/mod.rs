//! The world that both campaigns play in: the real relay, real members and their network in one thread, in virtual time.
//!
//! The relay is `hearth_server::testing::simulated`: its handlers, registry and store, one request at a time. Members are the
//! client library up to `live` and `connection`, on profiles on disk. Every connection is a pair of queues of frames, with delays
//! and faults from the seed. `lies` is a layer of that network: with it the relay is hostile. `hostile` plans lies, `sim` plans
//! visits under faults.

mod clock;
pub mod lies;
pub mod model;
mod network;
mod people;
pub mod play;
mod relay;
mod trace;

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use hearth_kit::Dice;
use hearth_protocol::{
    MemberKey,
    invite::{Grant, RelayAddress, Transport},
};
use tempfile::TempDir;

pub use self::{
    clock::{BEGINNING, Clock, WRONG_CLOCKS},
    people::{Ended, Person, accuses, killed_after, until},
};
use self::{
    lies::{Action, Stage},
    network::{Conn, Link},
    relay::{Relay, Served},
    trace::Trace,
};

/// The longest that a fault lasts.
pub const FAULT_MILLIS: u64 = 300_000;
/// Percentage of frames under faults that end their connection.
pub const LOSS: u64 = 4;
/// A visit that takes longer hangs.
pub const HANG: Duration = Duration::from_secs(20 * 60);

/// A bug that is planted, so that a test sees it found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    /// The relay forgets which submissions it took.
    IdsForgotten,
    /// The relay takes entries of past epochs.
    OldEpochTaken,
    /// The relay acknowledges an entry that a crash then takes away.
    AckBeforeCommit,
    /// The relay acknowledges an entry that it never took.
    AckWithoutEntry,
    /// The relay leaves an entry out.
    EntryLeftOut,
    /// The relay does not enforce a pause.
    PauseForgotten,
    /// The relay does not enforce a time-out.
    TimeOutForgotten,
    /// The relay does not enforce slow mode.
    SlowForgotten,
    /// The relay lets observers post.
    RolesForgotten,
    /// A removed member is in again.
    RemovedStayIn,
    /// The relay deletes ten days early.
    RetentionEarly,
    /// A client that is killed loses its outbox.
    OutboxLost,
    /// A client that is killed forgets the last entry it had, but not that it had it.
    HistoryLost,
}

/// A fault of the relay or the network.
#[derive(Clone, Copy, Debug)]
pub enum Event {
    /// The relay dies and comes back after so many milliseconds.
    Crash(u64),
    /// The relay's clock jumps.
    Jump(i64),
    /// A member cannot connect for so long.
    Cut(usize, u64),
    /// Nothing of a member's passes for so long.
    Silence(usize, u64),
    /// The relay deletes entries that are past their time.
    Forget,
}

impl Event {
    /// Draws a fault, of which the longest lasts for [`FAULT_MILLIS`].
    pub fn draw(dice: &mut Dice, people: usize) -> Self {
        let who = dice.below(people);
        let short = dice.below(300) as u64 * 1_000;
        match dice.below(10) {
            0..3 => Self::Crash(dice.below(20) as u64 * 1_000),
            3 => Self::Jump(i64::try_from(dice.below(1_200_000)).unwrap_or(0) - 600_000),
            4 | 5 => Self::Cut(who, short),
            6 | 7 => Self::Silence(who, short),
            _ => Self::Forget,
        }
    }
}

/// The name at the beginning of a value's debug form.
pub fn head(debug: &str) -> &str {
    debug.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or(debug)
}

/// The result of a seed.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Every rule that was broken, in words.
    pub violations: Vec<String>,
    /// How often something happened, by name.
    pub counts: BTreeMap<String, u64>,
    /// The events in order; see [`Trace`].
    pub trace: Vec<String>,
    /// A hash of the trace.
    pub hash: String,
}

/// The choices of a world.
pub struct Setup {
    pub seed: u64,
    pub names: &'static [&'static str],
    /// By how many milliseconds the relay's clock is ahead.
    pub relay_ahead: i64,
    pub switch: Option<Switch>,
    /// The layer that lies, if the relay is hostile.
    pub stage: Option<Stage>,
}

/// Everything that is shared in one seed.
pub struct World {
    pub clock: Clock,
    pub relay: RefCell<Relay>,
    pub links: Vec<Link>,
    /// By how many milliseconds each member's clock is ahead.
    pub skews: Vec<Arc<AtomicI64>>,
    /// Which member holds which key; a member who comes back has another.
    pub keys: RefCell<BTreeMap<MemberKey, usize>>,
    /// For the one room.
    pub grant: Grant,
    outcome: RefCell<Outcome>,
    names: &'static [&'static str],
    /// Percentage of frames that end their connection. With 0 the network only delays.
    loss: Cell<u64>,
    stage: Option<RefCell<Stage>>,
    trace: RefCell<Trace>,
    switch: Option<Switch>,
    dir: TempDir,
}

impl World {
    /// Starts a relay, whose network has no faults yet.
    pub fn start(setup: Setup) -> Rc<Self> {
        let Setup { seed, names, relay_ahead, switch, stage } = setup;
        let clock = Clock::start();
        clock.jump(relay_ahead);
        let dir = hearth_kit::scratch();
        let store = dir.path().join("relay");
        std::fs::create_dir(&store).unwrap();
        let relay = Relay::start(store, clock.clone(), switch, seed);
        let (id, secret) = relay.grant();
        let authority = "127.0.0.1:7443".into();
        let address = RelayAddress { authority, transport: Transport::Plain, relay: id, pin: None };
        let links = (0_u64..).zip(names).map(|(who, _)| Link::new(seed.wrapping_mul(31) ^ who));
        Rc::new(Self {
            clock,
            relay: RefCell::new(relay),
            links: links.collect(),
            skews: names.iter().map(|_| Arc::default()).collect(),
            keys: RefCell::default(),
            grant: Grant { address, secret },
            outcome: RefCell::default(),
            names,
            loss: Cell::new(0),
            stage: stage.map(RefCell::new),
            trace: RefCell::default(),
            switch,
            dir,
        })
    }

    /// Starts a hostile relay.
    pub fn hostile(seed: u64, names: &'static [&'static str], relay_ahead: i64) -> Rc<Self> {
        let stage = Some(Stage::new(Dice::new(seed)));
        Self::start(Setup { seed, names, relay_ahead, switch: None, stage })
    }

    /// The layer that lies, of a hostile relay.
    pub fn stage(&self) -> std::cell::RefMut<'_, Stage> {
        self.stage.as_ref().unwrap().borrow_mut()
    }

    pub fn note(&self, line: &str) {
        let at = self.clock.elapsed();
        self.trace.borrow_mut().note(format!("{at:>12} {line}"));
    }

    pub fn wrong(&self, what: String) {
        self.note(&format!("WRONG {what}"));
        self.outcome.borrow_mut().violations.push(what);
    }

    pub fn has_failed(&self) -> bool {
        !self.outcome.borrow().violations.is_empty()
    }

    pub fn count(&self, what: &str) {
        self.add(what, 1);
    }

    pub fn add(&self, what: &str, many: u64) {
        *self.outcome.borrow_mut().counts.entry(what.to_owned()).or_insert(0) += many;
    }

    pub fn name(&self, key: &MemberKey) -> &'static str {
        self.keys.borrow().get(key).map_or("?", |who| self.names[*who])
    }

    /// Has a percentage of frames end their connection from now on.
    pub fn set_loss(&self, percent: u64) {
        self.loss.set(percent);
    }

    pub fn switched(&self, switch: Switch) -> bool {
        // Bugs begin with the faults, because all founding members have joined by then.
        self.switch == Some(switch) && self.loss.get() > 0
    }

    /// A member's frame arrives at the relay, or at the layer that lies.
    fn arrive(&self, conn: &Rc<Conn>, frame: Vec<u8>) {
        let Some(stage) = &self.stage else { return self.serve(conn, frame) };
        let actions = stage.borrow_mut().on_member(&mut conn.told.borrow_mut(), &frame);
        actions.into_iter().for_each(|action| self.act(conn, action));
    }

    fn act(&self, conn: &Rc<Conn>, action: Action) {
        match action {
            Action::Relay(frame) => self.serve(conn, frame),
            Action::Member(frame) => conn.send_down(&self.links[conn.who], frame),
            Action::Cut => conn.end(),
        }
    }

    /// Hands a frame to the relay, whose frames go to members, or to the layer that lies.
    fn serve(&self, conn: &Rc<Conn>, frame: Vec<u8>) {
        let served = self.relay.borrow_mut().frame(conn.id, frame, self.names, &self.keys);
        let Served { frames, on, lines, wrong } = served;
        lines.iter().for_each(|line| self.note(line));
        wrong.into_iter().for_each(|what| self.wrong(what));
        for (conn, frame) in frames {
            let actions = match &self.stage {
                Some(stage) => stage.borrow_mut().on_relay(&mut conn.told.borrow_mut(), &frame),
                None => vec![Action::Member(frame)],
            };
            actions.into_iter().for_each(|action| self.act(&conn, action));
        }
        if !on {
            conn.end();
        }
    }

    /// Brings a fault about. A relay that crashed is up again when this returns.
    pub async fn happen(&self, event: Event) {
        self.note(&format!("{event:?}"));
        self.count(&format!("fault {}", head(&format!("{event:?}"))));
        let after = |millis| self.clock.at(self.clock.elapsed() + millis);
        match event {
            Event::Crash(millis) => {
                self.relay.borrow_mut().down();
                tokio::time::sleep_until(after(millis)).await;
                self.relay.borrow_mut().up();
            }
            Event::Jump(millis) => self.clock.jump(millis),
            Event::Cut(who, millis) => self.links[who].cut(after(millis)),
            Event::Silence(who, millis) => self.links[who].silence(after(millis)),
            Event::Forget => {
                let wrong = self.relay.borrow_mut().forget();
                wrong.into_iter().for_each(|what| self.wrong(what));
            }
        }
    }

    /// Sets a member's clock ahead, in milliseconds.
    pub fn set_clock(&self, who: usize, ahead: i64) {
        self.skews[who].store(ahead, Ordering::Relaxed);
    }

    /// The time by a member's own clock, as their client takes it.
    fn clock_of(&self, who: usize) -> hearth_engine::clock::Clock {
        let (clock, skew) = (self.clock.clone(), self.skews[who].clone());
        hearth_engine::clock::Clock::from_fn(move || clock.skewed(skew.load(Ordering::Relaxed)))
    }

    /// Returns the result, and leaves none.
    pub fn finish(&self) -> Outcome {
        let mut outcome = std::mem::take(&mut *self.outcome.borrow_mut());
        (outcome.trace, outcome.hash) = std::mem::take(&mut *self.trace.borrow_mut()).finish();
        outcome
    }
}
