//! Hidden polls by the verbs of members: votes in lanes, published by a moderator, compared by all.

use super::{
    lanes::Line,
    world::{BEN, CLEO, FAY, MAL, World},
    *,
};
use crate::{
    EngineError,
    ballots::Found,
    content::{Body, Ref},
    floor::{Ask, Ballot, Change, Form, Outcome, poll, poll::Doubt},
    state::{Notice, Outgoing},
};

/// Everybody who votes: the founder, the co-facilitator and four members.
const VOTERS: [usize; 6] = [FAY, CLEO, BEN, MAL, 4, 5];

struct Poll {
    world: World,
    lines: Vec<Line>,
    ask: Ref,
}

impl Poll {
    /// A hidden poll among six, each with a lane where both moderators sit.
    fn new() -> Self {
        let mut world = World::with_lanes();
        for name in ["Dee", "Eli"] {
            let room = join(&mut world.rooms[FAY], &mut world.log, name);
            world.rooms.push(room);
            world.show();
        }
        let lines = VOTERS.map(|owner| {
            let others: Vec<usize> = VOTERS
                .into_iter()
                .filter(|who| *who != FAY && (*who == CLEO || *who == owner))
                .collect();
            world.open(FAY, owner, &others)
        });
        let ask = Ask {
            form: Form::HiddenPoll,
            text: "Shall we meet on Sundays?".into(),
            options: vec!["yes".into(), "no".into()],
            until: NOW.plus(3_600_000),
            after_own: false,
            part: None,
        };
        let fay = &mut world.rooms[FAY];
        fay.queue_ask(ask, NOW).unwrap();
        world.log.flush(fay);
        world.show();
        let ask = world.rooms[FAY].floor().unwrap().state().asks[0].ask;
        let mut poll = Self { world, lines: lines.into(), ask };
        poll.later(1);
        poll
    }

    /// Lets minutes pass at the relay and on all clocks.
    fn later(&mut self, minutes: u64) {
        let log = &mut self.world.log;
        log.later += minutes * 60_000;
        let later = log.later;
        self.lines.iter_mut().for_each(|line| line.log.later = later);
        for room in &mut self.world.rooms {
            set_clock(room, i64::try_from(later).unwrap());
        }
    }

    fn vote(&mut self, who: usize, choice: u64) {
        let ask = self.world.rooms[who].check_ballot(self.ask.seq, choice).unwrap();
        let head = Some(self.world.head());
        let line = &mut self.lines[who];
        line.at(who).queue_ballot(ask, choice, NOW).unwrap();
        while let Some(submission) =
            line.at(who).next(head, &std::collections::BTreeSet::new(), NOW).unwrap()
        {
            line.take(submission);
        }
    }

    /// Closes the poll with what the closer's client says, changed on the way out.
    fn close(&mut self, closer: usize, change: impl FnOnce(&mut Option<Vec<Ballot>>)) {
        let room = &mut self.world.rooms[closer];
        room.queue_close(self.ask.seq, NOW).unwrap();
        let (number, mut outgoing) = room.outgoing().unwrap().remove(0);
        let crate::state::OutgoingKind::Message { body: Body::Close { ballots, .. }, .. } =
            &mut outgoing.what
        else {
            panic!("a close");
        };
        change(ballots);
        room.save_outgoing(number, &outgoing).unwrap();
        drop::<Outgoing>(outgoing);
        self.world.log.flush(room);
        self.world.show();
    }

    fn found(&mut self, who: usize) -> Vec<Doubt> {
        let found: Vec<Found> = self.world.rooms[who].audit_polls().unwrap();
        assert!(!self.world.rooms[who].has_polls_to_audit().unwrap());
        assert!(found.iter().all(|found| found.closer == "Fay"), "{found:?}");
        found.into_iter().map(|found| found.doubt).collect()
    }

    fn outcome(&self, who: usize) -> Outcome {
        let closes = last_row(&self.world.rooms[who]).changes;
        let closed = closes.into_iter().find_map(|change| match change {
            Change::AskClosed { outcome, .. } => Some(outcome),
            _ => None,
        });
        closed.unwrap()
    }
}

#[test]
fn everybody_recounts_a_hidden_poll() {
    let mut poll = Poll::new();
    // The last vote counts.
    poll.vote(BEN, 1);
    for who in VOTERS {
        poll.vote(who, u64::from(who == CLEO));
    }
    poll.later(2);
    poll.close(FAY, |ballots| assert_eq!(ballots.as_ref().unwrap().len(), 6));
    for who in VOTERS {
        assert_eq!(poll.outcome(who), Outcome::Totals(vec![5, 1]), "{who}");
        assert_eq!(poll.found(who), [], "{who}");
        let all = rows(&poll.world.rooms[who]);
        assert!(all.iter().all(|row| row.notices.is_empty()), "{who}");
        let told = all.iter().any(|row| matches!(row.content, RowContent::Ballot { .. }));
        assert!(!told, "{who}: no vote is in the room");
    }
    // Peers know who voted what as little as before.
    assert_eq!(poll.world.rooms[MAL].lanes().unwrap().len(), 1);
}

#[test]
fn left_out_ballot_alarms_its_voter() {
    let mut poll = Poll::new();
    for who in VOTERS {
        poll.vote(who, 0);
    }
    poll.later(2);
    let ben = poll.world.key(BEN);
    let mine = poll.lines[BEN].at(BEN).room().history(Seq(0), 100).unwrap().into_iter();
    let salt = mine.rev().find_map(|row| match row.content {
        RowContent::Ballot { salt, .. } => Some(salt),
        _ => None,
    });
    let own = poll::ballot_hash(&poll.ask.digest, &salt.unwrap());
    poll.close(FAY, |ballots| ballots.as_mut().unwrap().retain(|ballot| ballot.hash != own));
    assert_eq!(poll.found(BEN), [Doubt::LeftOut(ben)]);
    assert_eq!(poll.found(CLEO), [Doubt::LeftOut(ben)], "and the other moderator");
    assert_eq!(poll.found(MAL), [], "others cannot tell");
    let row = last_row(&poll.world.rooms[BEN]);
    assert_eq!(row.notices, [Notice::Ballots(Doubt::LeftOut(ben))]);
    assert!(row.notices[0].is_alarm() && row.name == "Fay");
    assert_eq!(poll.world.rooms[BEN].audit_polls().unwrap(), [], "told once");
}

#[test]
fn altered_ballot_alarms_its_voter() {
    let mut poll = Poll::new();
    for who in VOTERS {
        poll.vote(who, 0);
    }
    poll.later(2);
    poll.close(FAY, |ballots| ballots.as_mut().unwrap().iter_mut().for_each(|b| b.choice = 1));
    for who in [BEN, MAL] {
        let me = poll.world.key(who);
        assert_eq!(poll.found(who), [Doubt::Altered(me)]);
    }
}

#[test]
fn stuffed_poll_alarms_moderators() {
    let mut poll = Poll::new();
    for who in [FAY, CLEO, BEN, MAL, 4] {
        poll.vote(who, 0);
    }
    poll.later(2);
    poll.close(FAY, |ballots| {
        let ballots = ballots.as_mut().unwrap();
        ballots.push(Ballot { hash: [0xff; 16], choice: 1 });
        ballots.sort_unstable();
    });
    assert_eq!(poll.outcome(MAL), Outcome::Totals(vec![5, 1]), "members cannot tell");
    assert_eq!(poll.found(CLEO), [Doubt::Stuffed(1)]);
    assert_eq!(poll.found(MAL), []);
}

#[test]
fn four_ballots_are_not_published() {
    let mut poll = Poll::new();
    for who in [FAY, CLEO, BEN, MAL] {
        poll.vote(who, 0);
    }
    poll.later(2);
    poll.close(FAY, |ballots| assert_eq!(*ballots, None));
    for who in VOTERS {
        assert_eq!(poll.outcome(who), Outcome::Unpublished, "{who}");
        assert_eq!(poll.found(who), [], "{who}");
    }
    // A modified client publishes them all the same: nobody counts them.
    let mut poll = Poll::new();
    for who in [FAY, CLEO, BEN, MAL] {
        poll.vote(who, 0);
    }
    let few = vec![Ballot { hash: [1; 16], choice: 0 }];
    poll.close(FAY, |ballots| *ballots = Some(few));
    assert_eq!(poll.outcome(BEN), Outcome::Flawed(poll::Flaw::TooFew));
}

/// A vote that Fay's client cannot read would be left out, and its voter would accuse her.
#[test]
fn unseated_closer_publishes_nothing() {
    let mut poll = Poll::new();
    let room = join(&mut poll.world.rooms[FAY], &mut poll.world.log, "Hana");
    poll.world.rooms.push(room);
    poll.world.show();
    let refused = poll.world.rooms[FAY].queue_close(poll.ask.seq, NOW);
    assert!(matches!(refused, Err(EngineError::LanesUnread(1))), "{refused:?}");
}

/// Retracted in the lane, a vote never counts.
#[test]
fn retracted_ballot_does_not_count() {
    let mut poll = Poll::new();
    for who in VOTERS {
        poll.vote(who, 0);
    }
    let head = Some(poll.world.head());
    let line = &mut poll.lines[BEN];
    let last = line.at(BEN).room().cursor().seq;
    line.at(BEN).retract(last, NOW).unwrap();
    let submission = line.at(BEN).next(head, &std::collections::BTreeSet::new(), NOW).unwrap();
    line.take(submission.unwrap());
    poll.later(2);
    poll.close(FAY, |ballots| assert_eq!(ballots.as_ref().unwrap().len(), 5));
    assert_eq!(poll.found(BEN), []);
}
