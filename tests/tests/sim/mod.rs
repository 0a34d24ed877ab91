//! The simulation: visits of real members under faults of the network and the relay, beside a model too simple to be wrong.
//!
//! [`play`] is one seed. The plan (which member does what and when, which faults there are) follows from the seed, and so
//! does every delay; keys, ids and ciphertexts are as random as ever, and the trace speaks of none of them. A killed member is a
//! dropped future, and reopens its profile.

mod check;
mod lanes;
mod member;
mod plan;
mod seeds;

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    ops::Deref,
    rc::Rc,
};

use hearth_protocol::{MessageId, invite::Invite};
use tokio::time::sleep_until;

use self::plan::{NAMES, Plan};
use crate::world::{Event, LOSS, Outcome, Setup, Switch, World, model::Model};

/// The oracle's memory of one simulation.
struct Sim {
    world: Rc<World>,
    /// When the clocks went wrong, by the relay's clock.
    wrong_since: Cell<u64>,
    /// Every text with its author.
    texts: RefCell<BTreeMap<MessageId, (usize, String)>>,
    /// Texts that a client was told are on the relay's disk.
    acked: RefCell<Vec<MessageId>>,
    /// Every word in a lane.
    private: RefCell<BTreeMap<MessageId, lanes::Word>>,
    /// How many submissions of each member were refused for good, with their author told.
    given_up: RefCell<BTreeMap<usize, u64>>,
    invite: RefCell<Option<Invite>>,
}

impl Deref for Sim {
    type Target = World;

    fn deref(&self) -> &World {
        &self.world
    }
}

/// Plays one seed.
async fn play(seed: u64, switch: Option<Switch>) -> Outcome {
    let plan = plan::draw(seed);
    let relay_ahead = plan.relay_ahead;
    let world = World::start(Setup { seed, names: &NAMES, relay_ahead, switch, stage: None });
    for (who, skew) in plan.skews.iter().enumerate() {
        world.set_clock(who, *skew);
    }
    let sim = Rc::new(Sim {
        world,
        wrong_since: Cell::new(u64::MAX),
        texts: RefCell::default(),
        acked: RefCell::default(),
        private: RefCell::default(),
        given_up: RefCell::default(),
        invite: RefCell::default(),
    });
    let mut people = member::gather(&sim).await;
    // Everybody joined with the right time. From now on all clocks are wrong.
    sim.wrong_since.set(sim.clock.relay().0);
    for (who, (skew, ahead)) in plan.skews.iter().zip(&plan.ahead).enumerate() {
        sim.set_clock(who, skew + ahead);
    }
    sim.set_loss(LOSS);
    unfold(&sim, &plan, &mut people).await;
    sim.set_loss(0);
    member::heal(&sim, &mut people).await;
    drop(people);
    sim.add("simulated hours", sim.clock.elapsed() / 3_600_000);
    sim.add("entries", sim.relay.borrow().model.as_ref().map_or(0, Model::head));
    sim.finish()
}

/// Plays the plan: every member's visits one after another, members beside each other.
async fn unfold(sim: &Rc<Sim>, plan: &Plan, people: &mut Vec<member::Member>) {
    let begin = sim.clock.elapsed();
    let mut tasks = Vec::new();
    for person in people.drain(..) {
        let visits = plan.visits.iter().filter(|v| v.who == person.who).copied().collect();
        tasks.push(tokio::task::spawn_local(member::follow(sim.clone(), person, begin, visits)));
    }
    let events = tokio::task::spawn_local(befall(sim.clone(), begin, plan.events.clone()));
    sleep_until(sim.clock.at(begin + plan.end)).await;
    events.await.unwrap();
    for task in tasks {
        people.push(task.await.unwrap());
    }
}

async fn befall(sim: Rc<Sim>, begin: u64, events: Vec<(u64, Event)>) {
    for (at, event) in events {
        sleep_until(sim.clock.at(begin + at)).await;
        sim.happen(event).await;
    }
}
