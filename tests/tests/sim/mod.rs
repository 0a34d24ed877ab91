//! The simulation: the real relay and real members in one thread, with a network and a time of its own, beside a model
//! too simple to be wrong.
//!
//! [`play`] is one seed. The plan (who does what when, what befalls network and relay) follows from the seed, and so
//! does every delay; keys, ids and ciphertexts are as random as ever, and the trace speaks of none of them. The relay is
//! `hearth_server::testing::simulated`: its handlers, registry and store, one request at a time. Members are the client library
//! up to `live` and `connection`, on profiles on disk: a killed member is a dropped future, and reopens its profile.

mod check;
mod clock;
mod member;
mod model;
mod network;
mod plan;
mod relay;
mod seeds;
mod trace;

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use hearth_protocol::{MemberKey, MessageId, invite::Invite};
use hearth_session::network::Network;
use tempfile::TempDir;
use tokio::{task::LocalSet, time::sleep_until};

use self::{
    clock::Clock,
    network::{Conn, Link},
    plan::{Event, NAMES, Plan},
    relay::{Served, SimRelay},
    trace::Trace,
};

/// A bug put in on purpose, to see it found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    /// The relay forgets which submissions it took.
    IdsForgotten,
    /// The relay takes entries of past epochs.
    OldEpochTaken,
    /// The relay acknowledges what a crash then takes away.
    AckBeforeCommit,
    /// The relay acknowledges what it never took.
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
    /// Who was removed is in again.
    RemovedStayIn,
    /// The relay deletes ten days early.
    RetentionEarly,
    /// A client that is killed loses what waits to be sent.
    OutboxLost,
    /// A client that is killed forgets the last entry it had, but not that it had it.
    HistoryLost,
}

/// What became of a seed.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Everything that should not be.
    pub violations: Vec<String>,
    /// What happened.
    pub trace: Vec<String>,
    /// A hash of it.
    pub hash: String,
    /// Simulated milliseconds.
    pub millis: u64,
    /// Entries that the relay took.
    pub entries: u64,
    /// Comparisons of a member's view with the model.
    pub views: u64,
    /// How often something happened, by name.
    pub counts: BTreeMap<String, u64>,
}

/// Everything that is shared in one simulation.
struct World {
    clock: Clock,
    relay: RefCell<SimRelay>,
    links: Vec<Link>,
    calm: RefCell<bool>,
    /// By how much each member's clock is ahead.
    skews: Vec<Arc<AtomicI64>>,
    /// When the clocks went wrong, by the relay's clock.
    wrong_since: Cell<u64>,
    trace: RefCell<Trace>,
    outcome: RefCell<Outcome>,
    switch: Option<Switch>,
    /// Who holds which key; somebody who comes back has another.
    keys: RefCell<BTreeMap<MemberKey, usize>>,
    /// Every text, by whom.
    texts: RefCell<BTreeMap<MessageId, (usize, String)>>,
    /// Texts that a client was told are on the relay's disk.
    acked: RefCell<Vec<MessageId>>,
    /// How many submissions of whom were refused for good, with their author told.
    given_up: RefCell<BTreeMap<usize, u64>>,
    invite: RefCell<Option<Invite>>,
    dir: TempDir,
}

impl World {
    fn note(&self, line: &str) {
        let at = self.clock.elapsed();
        self.trace.borrow_mut().note(format!("{at:>12} {line}"));
    }

    fn wrong(&self, what: String) {
        self.note(&format!("WRONG {what}"));
        self.outcome.borrow_mut().violations.push(what);
    }

    fn count(&self, what: &str) {
        *self.outcome.borrow_mut().counts.entry(what.to_owned()).or_insert(0) += 1;
    }

    fn name(&self, key: &MemberKey) -> String {
        self.keys.borrow().get(key).map_or_else(|| "?".to_owned(), |who| NAMES[*who].to_owned())
    }

    fn is_up(&self) -> bool {
        self.relay.borrow().is_up()
    }

    fn is_calm(&self) -> bool {
        *self.calm.borrow()
    }

    fn switched(&self, switch: Switch) -> bool {
        // Bugs begin with the plan: everybody is in by then.
        self.switch == Some(switch) && !self.is_calm()
    }

    fn connect(&self, who: usize) -> Option<(u64, Rc<Conn>)> {
        let conn = Rc::new(Conn::new(who));
        let id = self.relay.borrow_mut().connect(conn.clone())?;
        Some((id, conn))
    }

    fn disconnect(&self, id: u64) {
        self.relay.borrow_mut().disconnect(id);
    }

    /// Hands a frame to the relay; whether the connection goes on.
    fn frame(&self, id: u64, bytes: Vec<u8>) -> bool {
        let name = |key: &MemberKey| self.name(key);
        let served = self.relay.borrow_mut().frame(id, bytes, &name);
        let Served { frames, on, lines, wrong } = served;
        for line in lines {
            self.note(&line);
        }
        for what in wrong {
            self.wrong(what);
        }
        for (conn, frames) in frames {
            conn.send_down(&self.links[conn.who], frames);
        }
        on
    }

    fn forget(&self) {
        for what in self.relay.borrow_mut().forget() {
            self.wrong(what);
        }
    }

    fn happen(&self, event: Event) {
        self.note(&format!("{event:?}"));
        let after = |millis| self.clock.at(self.clock.elapsed() + millis);
        match event {
            Event::Crash(_) => self.relay.borrow_mut().down(),
            Event::Jump(millis) => self.clock.jump(millis),
            Event::Cut(who, millis) => self.links[who].cut(after(millis)),
            Event::Silence(who, millis) => self.links[who].silence(after(millis)),
            Event::Forget => self.forget(),
        }
    }
}

/// Returns a member's own way to the relay.
fn way(world: &Rc<World>, who: usize) -> Network {
    let dialler = world.clone();
    Network::from_fn(move |_| network::dial(&dialler, who))
}

/// Plays one seed, on a runtime of one thread whose time is paused.
pub async fn play(seed: u64, switch: Option<Switch>) -> Outcome {
    LocalSet::new().run_until(Box::pin(run(seed, switch))).await
}

async fn run(seed: u64, switch: Option<Switch>) -> Outcome {
    let plan = plan::draw(seed);
    let clock = Clock::start();
    clock.jump(plan.relay_ahead);
    let dir = hearth_kit::scratch();
    let store = dir.path().join("relay");
    std::fs::create_dir(&store).unwrap();
    let relay = SimRelay::start(store, clock.clone(), switch, seed);
    let links = (0_u64..).zip(NAMES).map(|(who, _)| Link::new(seed.wrapping_mul(31) ^ who));
    let world = Rc::new(World {
        clock,
        relay: RefCell::new(relay),
        links: links.collect(),
        calm: RefCell::new(true),
        skews: plan.skews.iter().map(|skew| Arc::new(AtomicI64::new(*skew))).collect(),
        wrong_since: Cell::new(u64::MAX),
        trace: RefCell::default(),
        outcome: RefCell::default(),
        switch,
        keys: RefCell::default(),
        texts: RefCell::default(),
        acked: RefCell::default(),
        given_up: RefCell::default(),
        invite: RefCell::default(),
        dir,
    });
    let mut people = member::gather(&world).await;
    // With the right time everybody came in. From now on all clocks are wrong.
    world.wrong_since.set(world.clock.relay().0);
    for (skew, ahead) in world.skews.iter().zip(&plan.ahead) {
        skew.fetch_add(*ahead, Ordering::Relaxed);
    }
    *world.calm.borrow_mut() = false;
    unfold(&world, &plan, &mut people).await;
    *world.calm.borrow_mut() = true;
    member::heal(&world, &mut people).await;
    drop(people);
    finish(&world)
}

/// Plays the plan: every member's visits one after another, members beside each other.
async fn unfold(world: &Rc<World>, plan: &Plan, people: &mut Vec<member::Person>) {
    let begin = world.clock.elapsed();
    let mut tasks = Vec::new();
    for person in people.drain(..) {
        let visits = plan.visits.iter().filter(|v| v.who == person.who).copied().collect();
        tasks.push(tokio::task::spawn_local(member::follow(world.clone(), person, begin, visits)));
    }
    let events = tokio::task::spawn_local(befall(world.clone(), begin, plan.events.clone()));
    sleep_until(world.clock.at(begin + plan.end)).await;
    events.await.unwrap();
    for task in tasks {
        people.push(task.await.unwrap());
    }
}

async fn befall(world: Rc<World>, begin: u64, events: Vec<(u64, Event)>) {
    for (at, event) in events {
        sleep_until(world.clock.at(begin + at)).await;
        world.happen(event);
        if let Event::Crash(millis) = event {
            sleep_until(world.clock.at(world.clock.elapsed() + millis)).await;
            world.relay.borrow_mut().up();
        }
    }
}

fn finish(world: &Rc<World>) -> Outcome {
    let mut outcome = std::mem::take(&mut *world.outcome.borrow_mut());
    outcome.millis = world.clock.elapsed();
    outcome.entries = world.relay.borrow().model.as_ref().map_or(0, model::Model::head);
    (outcome.trace, outcome.hash) = std::mem::take(&mut *world.trace.borrow_mut()).finish();
    outcome
}
