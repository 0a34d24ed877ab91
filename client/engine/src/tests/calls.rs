//! Calls for help in a lane: whose word makes one seen.

use std::{collections::BTreeSet, time::Duration};

use super::{
    lanes::Line,
    world::{BEN, CLEO, FAY, World},
    *,
};
use crate::{
    help::{Calls, Heard, Patience, Stage, open_calls, said_of},
    policy::Act,
    private::{Private, Seen, SeenState},
};

const PATIENCE: Patience = Patience { minutes: 5, on_duty: true };

fn put(line: &mut Line, world: &World, who: usize, private: Private) -> MessageId {
    let id = line.at(who).queue_private(private, NOW).unwrap();
    while let Some(submission) = line.next(world, who) {
        line.take(submission);
    }
    id
}

const fn seen(message: MessageId, state: SeenState) -> Private {
    Private::Seen(Seen { message, state, words: String::new() })
}

/// Reads a lane as Ben's client does.
fn calls(line: &mut Line, world: &mut World) -> Calls {
    let (ben, policy) = (world.key(BEN), world.rooms[BEN].policy().unwrap());
    let mut calls = Calls::default();
    for row in rows(line.at(BEN).room()) {
        let moderates = |member: &hearth_protocol::MemberKey| policy.role(member).moderates();
        if let Some(heard) = said_of(&row, ben, moderates, NOW) {
            let call = match &heard {
                Heard::Called { call, .. } => Some(*call),
                _ => None,
            };
            calls.hear(heard, Duration::ZERO);
            call.into_iter().for_each(|call| calls.hear(Heard::Delivered(call), Duration::ZERO));
        }
    }
    calls
}

fn stage(calls: &Calls, call: &MessageId) -> Stage {
    calls.line(call, PATIENCE, Duration::ZERO).unwrap().stage
}

#[test]
fn seen_is_never_forged() {
    let mut world = World::with_lanes();
    let mut line = world.open(FAY, BEN, &[BEN, CLEO]);
    let call = put(&mut line, &world, BEN, Private::Flag("Please".into()));
    assert_eq!(stage(&calls(&mut line, &mut world), &call), Stage::Sent);
    // Who called cannot say it themselves.
    assert!(line.at(BEN).queue_private(seen(call, SeenState::Seen), NOW).is_err());
    // Cleo no longer moderates, and her client has not heard of it.
    let act = Act::SetRole { member: world.key(CLEO), role: Role::Member };
    let submission = world.rooms[FAY].act(act, NOW).unwrap();
    world.log.take(submission);
    for who in [FAY, BEN] {
        world.log.show(&mut world.rooms[who]);
    }
    line.at(CLEO).queue_private(seen(call, SeenState::Seen), NOW).unwrap();
    let head = world.rooms[CLEO].cursor().seq;
    while let Some(sent) = line.at(CLEO).next(Some(head), &BTreeSet::new(), NOW).unwrap() {
        line.take(sent);
    }
    line.lanes[CLEO] = None;
    assert_eq!(stage(&calls(&mut line, &mut world), &call), Stage::Sent);
    let (ben, cleo) = (world.key(BEN), world.key(CLEO));
    let open = open_calls(&rows(line.at(FAY).room()), ben, |member| *member != cleo);
    assert_eq!((open.len(), open[0].has.clone()), (1, None));
    // Another call that was seen says nothing of this one; Fay's word on this one does.
    put(&mut line, &world, FAY, seen(MessageId([1; 16]), SeenState::Seen));
    assert_eq!(stage(&calls(&mut line, &mut world), &call), Stage::Sent);
    put(&mut line, &world, FAY, seen(call, SeenState::Seen));
    let by = "Fay".to_owned();
    assert_eq!(
        stage(&calls(&mut line, &mut world), &call),
        Stage::Seen { by: by.clone(), at: NOW }
    );
    line.say(&world, FAY, "I am here.");
    assert_eq!(stage(&calls(&mut line, &mut world), &call), Stage::WithYou { by });
}

#[test]
fn resolved_call_is_no_longer_open() {
    let mut world = World::with_lanes();
    let mut line = world.open(FAY, BEN, &[BEN, CLEO]);
    let call = put(&mut line, &world, BEN, Private::Flag("Please".into()));
    let ben = world.key(BEN);
    let open = |line: &mut Line| open_calls(&rows(line.at(FAY).room()), ben, |_| true);
    let has = |line: &mut Line| open(line)[0].has.clone().map(|said| (said.name, said.state));
    assert_eq!((open(&mut line)[0].words.as_str(), has(&mut line)), ("Please", None));
    put(&mut line, &world, FAY, seen(call, SeenState::Seen));
    put(&mut line, &world, CLEO, seen(call, SeenState::Seen));
    assert_eq!(has(&mut line), Some(("Fay".into(), SeenState::Seen)));
    put(&mut line, &world, CLEO, seen(call, SeenState::Closed));
    assert_eq!(has(&mut line), Some(("Cleo".into(), SeenState::Closed)));
    put(&mut line, &world, FAY, seen(call, SeenState::Resolved));
    assert!(open(&mut line).is_empty());
}
