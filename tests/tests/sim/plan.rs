//! The plan of a simulation, drawn from its seed: visits and faults.

use hearth_protocol::{Role, frame::Door};

use hearth_kit::Dice;

use crate::world::{Event, WRONG_CLOCKS, killed_after};

/// Founds the room and facilitates throughout.
pub(super) const FAY: usize = 0;
/// Moderates now and then.
pub(super) const CLEO: usize = 1;
/// Comes later, if at all.
pub(super) const NIA: usize = 4;
/// Everybody; the number is their place here.
pub(super) const NAMES: [&str; 5] = ["Fay", "Cleo", "Ben", "Mia", "Nia"];
/// Those who are in from the beginning.
pub(super) const FIRST: usize = 4;

const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// A member's act in one visit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Says some things.
    Say(u32),
    /// Says something long.
    SayLong,
    /// Writes in a lane: who moderates, in that person's; others in their own.
    CheckIn(usize),
    /// Looks.
    Look,
    /// Stays and listens for so long.
    Stay(u64),
    /// Takes back the own newest message.
    TakeBack,
    /// Leaves for good.
    Leave,
    /// Renews the own keys.
    Renew,
    /// Makes an invite for one.
    Invite,
    /// Knocks with the newest invite.
    Knock,
    /// Admits all who knock.
    Admit,
    /// Pauses the room for so long.
    Pause(u64),
    Resume,
    Slow(u32),
    Budget(u32),
    Length(u32),
    Lock(bool),
    Hours(bool),
    Door(Door),
    TimeOut(usize, u64),
    SetRole(usize, Role),
    Remove(usize),
    RetractOf(usize),
    Expire(u64),
    Announce,
}

/// A visit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Visit {
    /// Milliseconds since the plan began.
    pub(super) at: u64,
    pub(super) who: usize,
    pub(super) action: Action,
    /// Kills the client so long after the visit began.
    pub(super) killed_after: Option<u64>,
}

/// All of it.
#[derive(Default)]
pub(super) struct Plan {
    pub(super) visits: Vec<Visit>,
    pub(super) events: Vec<(u64, Event)>,
    /// How wrong each member's clock is from the beginning: a little.
    pub(super) skews: Vec<i64>,
    /// By how much each member's clock is ahead besides, once everybody is in.
    pub(super) ahead: Vec<i64>,
    /// By how much the relay's clock is ahead.
    pub(super) relay_ahead: i64,
    /// When the faults end.
    pub(super) end: u64,
}

/// Turns of a plan.
const TURNS: usize = 24;

pub(super) fn draw(seed: u64) -> Plan {
    let mut dice = Dice::new(seed ^ 0x51a7_0001);
    let mut plan = Plan::default();
    for _ in NAMES {
        let skew = i64::try_from(dice.below(480)).unwrap_or(0) - 240;
        plan.skews.push(skew * 1000);
    }
    let mut at = 0;
    let (newcomer, helped) = (dice.chance(60), dice.chance(60));
    for turn in 0..TURNS {
        at += gap(&mut dice);
        if dice.chance(25) {
            let event = Event::draw(&mut dice, NAMES.len());
            plan.events.push((at + dice.below(2_000) as u64, event));
        }
        let who = if dice.chance(45) { dice.below(2) } else { 2 + dice.below(3) };
        let action = match turn {
            1 if helped => Some((FAY, Action::SetRole(CLEO, Role::CoFacilitator))),
            6 if newcomer => Some((FAY, Action::Invite)),
            8 | 9 if newcomer => Some((NIA, Action::Knock)),
            10 | 11 if newcomer => Some((FAY, Action::Admit)),
            _ => None,
        };
        let (who, action) = action.unwrap_or_else(|| (who, action_of(&mut dice, who)));
        let killed_after = killed_after(&mut dice, 3_000);
        plan.visits.push(Visit { at, who, action, killed_after });
        // Another member listens meanwhile, and answers.
        if dice.chance(20) {
            let who = dice.below(NAMES.len());
            let action = Action::Stay(1 + dice.below(90) as u64 * SECOND);
            plan.visits.push(Visit { at, who, action, killed_after: None });
        }
    }
    for _ in NAMES {
        plan.ahead.push(dice.pick(&WRONG_CLOCKS).unwrap_or(0));
    }
    plan.relay_ahead = dice.pick(&WRONG_CLOCKS).unwrap_or(0);
    plan.events.sort_by_key(|(at, _)| *at);
    plan.end = at + HOUR;
    plan
}

fn gap(dice: &mut Dice) -> u64 {
    match dice.below(100) {
        0..45 => dice.below(1_500) as u64,
        45..70 => SECOND + dice.below(600) as u64 * SECOND,
        70..88 => dice.below(30) as u64 * HOUR + dice.below(60) as u64 * MINUTE,
        88..97 => dice.below(12) as u64 * DAY + HOUR,
        _ => 33 * DAY,
    }
}

fn action_of(dice: &mut Dice, who: usize) -> Action {
    let talk = match dice.below(100) {
        0..40 => Action::Say(1 + u32::from(dice.chance(30))),
        40..44 => Action::SayLong,
        44..52 => Action::Look,
        52..58 => Action::TakeBack,
        58..62 => Action::Renew,
        63..72 => Action::CheckIn(dice.below(NAMES.len())),
        62..63 => Action::Leave,
        _ => return if who < 2 { moderation(dice) } else { Action::Say(1) },
    };
    // The facilitator stays, because only she ends what the plan began.
    if who == FAY && talk == Action::Leave { Action::Look } else { talk }
}

fn moderation(dice: &mut Dice) -> Action {
    let whom = 1 + dice.below(NAMES.len() - 1);
    let span = MINUTE + dice.below(120) as u64 * MINUTE;
    match dice.below(22) {
        0 | 1 => Action::Pause(span),
        2 => Action::Resume,
        3 => Action::Slow([0, 30, 600][dice.below(3)]),
        4 => Action::Budget([0, 2, 5][dice.below(3)]),
        5 => Action::Length([0, 20, 400][dice.below(3)]),
        6 => Action::Lock(dice.chance(50)),
        7 => Action::Hours(dice.chance(70)),
        8 => Action::Door([Door::ByHours, Door::Open, Door::Closed][dice.below(3)]),
        9..12 => Action::TimeOut(whom, if dice.chance(30) { 0 } else { span }),
        12..14 => Action::SetRole(CLEO, [Role::CoFacilitator, Role::Member][dice.below(2)]),
        14 => Action::SetRole(whom, [Role::Observer, Role::Member][dice.below(2)]),
        15 => Action::Remove(whom),
        16 | 17 => Action::RetractOf(whom),
        18 => Action::Expire([3_600, 24 * 3_600, 30 * 24 * 3_600][dice.below(3)]),
        19 => Action::Invite,
        20 => Action::Admit,
        _ => Action::Announce,
    }
}
