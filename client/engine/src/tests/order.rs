//! Entries out of order, and floods of entries that could cost something.

use std::time::{Duration, Instant};

use hearth_protocol::RejectCode;

use super::{
    messages::{posts, text},
    world::*,
    *,
};
use crate::{
    gate::Refusal,
    mls::modified::{Bare, Forgery},
    state::Notice,
    store::Kind,
};

/// Counts the records that a member's client opens in its store to take in one more entry.
fn work(world: &mut World, who: usize, payload: Vec<u8>) -> usize {
    world.log.show(&mut world.rooms[who]);
    world.log.append(payload);
    let before = world.rooms[who].store.opened();
    world.log.show(&mut world.rooms[who]);
    world.rooms[who].store.opened() - before
}

/// Appends entries that no client can read.
fn fill(world: &mut World, entries: u32) {
    for number in 0..entries {
        world.log.append(number.to_be_bytes().to_vec());
    }
    world.show();
}

/// A relay can replay stale commits without limit, so their cost must not grow with the log.
#[test]
fn stale_commit_cost_is_constant() {
    let mut world = World::new();
    let stale = world.forge(FAY, &Forgery::default()).commit;
    world.goes_on();
    let altered = |mark: u8| {
        let mut commit = stale.clone();
        *commit.last_mut().unwrap() ^= mark;
        commit
    };
    let early = work(&mut world, BEN, altered(1));
    assert_eq!(last_row(&world.rooms[BEN]).notices, [Notice::Split]);
    fill(&mut world, 1_000);
    let late = work(&mut world, BEN, altered(2));
    assert_eq!(last_row(&world.rooms[BEN]).notices, [Notice::Split]);
    eprintln!("{early} and {late} records opened");
    assert!(early > 0 && late <= early, "{early} and {late} records opened");
    // A repeated entry is recognised at the same price, however old it is.
    let again = work(&mut world, BEN, altered(1));
    assert_eq!(last_row(&world.rooms[BEN]).notices, [Notice::Unreadable]);
    assert!(again <= early + 1, "{again}");
}

/// The record of a commit is deleted with its row.
#[test]
fn commit_is_forgotten_with_its_history() {
    const DAY: u64 = 24 * 3_600_000;
    let mut world = World::new();
    let commits = |world: &World| {
        let ben = &world.rooms[BEN];
        ben.store.list_named(Kind::Commit, ben.no).unwrap().len()
    };
    let before = commits(&world);
    world.goes_on();
    assert_eq!(commits(&world), before + 1);
    world.say(FAY, "stays, for it is the last");
    world.rooms[BEN].erase_expired(Moment::agreed(NOW.plus(31 * DAY))).unwrap();
    assert_eq!(rows(&world.rooms[BEN]).len(), 1);
    assert_eq!(commits(&world), 0);
}

/// Two messages of one sender and epoch that swap places are each read once, and the client says so.
#[test]
fn swapped_messages_are_read_and_told() {
    let mut world = World::new();
    let words = ["one", "two", "three", "four"];
    let made: Vec<Vec<u8>> = (1..)
        .zip(words)
        .map(|(n, words)| posts(&mut world.rooms[MAL], &text(n, n.into(), words)))
        .collect();
    let order = [1, 0, 3, 2];
    for at in order {
        world.log.append(made[at].clone());
        world.show();
    }
    let told: Vec<_> =
        rows(&world.rooms[BEN]).into_iter().rev().take(4).map(|r| r.notices).collect();
    let expected = [vec![Notice::CounterReused], vec![Notice::Gap(1)]];
    assert_eq!(told, [expected.clone(), expected].concat());
    for who in [FAY, CLEO, BEN] {
        assert_eq!(texts(&world.rooms[who]), order.map(|at| words[at]));
        let rows = rows(&world.rooms[who]);
        assert!(
            rows.iter()
                .filter(|r| matches!(r.content, RowContent::Text(_)))
                .all(|r| r.name == "Mal")
        );
    }
    // Each key decrypts once.
    for again in made {
        world.log.append(again);
        world.show();
        let row = last_row(&world.rooms[BEN]);
        assert_eq!((row.content, row.notices), (RowContent::Nothing, vec![Notice::Unreadable]));
    }
    assert_eq!(texts(&world.rooms[BEN]).len(), 4);
    world.goes_on();
}

/// Sizes of all that a client stores for a room except its history.
fn kept(room: &TestRoom) -> Vec<(Kind, (u64, u64))> {
    let kinds = Kind::ALL.into_iter().filter(|kind| *kind != Kind::History);
    kinds.map(|kind| (kind, room.store.size(kind, room.no))).collect()
}

/// Cost of sending a text: the shortest time of many, and the records opened.
fn cost_of_sending(room: &mut TestRoom) -> (Duration, usize) {
    let send = |_| {
        let (begun, before) = (Instant::now(), room.store.opened());
        room.queue_text("as ever".into(), NOW).unwrap();
        let submission = room.next_submission().unwrap().unwrap();
        let cost = (begun.elapsed(), room.store.opened() - before);
        room.give_up(submission.number, RejectCode::TooLong).unwrap();
        cost
    };
    let (times, opened): (Vec<_>, Vec<_>) = (0..20).map(send).unzip();
    (times.into_iter().min().unwrap(), opened.into_iter().min().unwrap())
}

/// T17, with a relay that accepts what it should refuse. A stored proposal would stop members from sending until a member commits
/// it.
#[test]
fn thousand_proposals_leave_only_rows() {
    proposals(10);
}

#[test]
#[ignore = "takes a minute; --run-ignored all plays it"]
fn ten_thousand_proposals_leave_only_rows() {
    let [before, after] = proposals(100);
    assert!(after <= 2 * before, "{after:?} to send instead of {before:?}");
}

/// Returns how long sending took before and after.
fn proposals(turns: usize) -> [Duration; 2] {
    /// Entries that the relay delivers at once.
    const PAGE: usize = 100;
    let mut world = World::new();
    let (ben, mal) = (world.key(BEN), world.key(MAL));
    let page = |world: &mut World| {
        for _ in 0..PAGE {
            let proposal = world.propose(MAL, &Bare::Remove(ben));
            world.log.append(proposal);
        }
        let (provider, group) = world.rooms[MAL].group().unwrap();
        group.forget_proposals(&provider);
        world.log.show(&mut world.rooms[BEN]);
        assert!(!world.rooms[BEN].group().unwrap().1.has_proposals());
    };
    // After this many entries, a message carries the most windows that it can.
    fill(&mut world, 600);
    let seen = rows(&world.rooms[BEN]).len();
    // The first page creates the ratchet for Mal's handshakes.
    page(&mut world);
    let (before, sending) = (kept(&world.rooms[BEN]), cost_of_sending(&mut world.rooms[BEN]));
    for _ in 1..turns {
        page(&mut world);
    }
    let told = vec![Notice::RefusedCommit(Refusal::ForeignProposal.to_string())];
    let ben = &mut world.rooms[BEN];
    let new = ben.history(Seq(0), usize::MAX).unwrap().split_off(seen);
    assert_eq!(new.len(), turns * PAGE);
    assert!(new.iter().all(|row| row.from == Some(mal) && row.notices == told));
    for (before, after) in before.into_iter().zip(kept(ben)) {
        assert_eq!(before.1.0, after.1.0, "records, {before:?} and {after:?}");
        // One key may take a few bytes more than another.
        assert!(after.1.1 <= before.1.1 + 1_000, "bytes, {before:?} and {after:?}");
    }
    let (time, opened) = cost_of_sending(ben);
    eprintln!("sending: {:.1?} and {time:.1?}, {} and {opened} records", sending.0, sending.1);
    assert_eq!(opened, sending.1);
    world.goes_on();
    [sending.0, time]
}

/// A relay that delivers ten messages of one member in another order hides none of them.
#[test]
fn reordered_messages_are_read() {
    let mut world = World::new();
    for number in 0..10 {
        say(&mut world.rooms[MAL], &mut world.log, &number.to_string());
    }
    let after = world.rooms[BEN].cursor().seq;
    let said = world.log.entries.iter().filter(|entry| entry.seq > after).rev();
    let turned =
        said.zip(after.0 + 1..).map(|(entry, seq)| Entry { seq: Seq(seq), ..entry.clone() });
    let turned: Vec<Entry> = turned.collect();
    world.rooms[BEN].handle_entries(&turned, THEN).unwrap();
    let expected: Vec<String> = (0..10).rev().map(|number| number.to_string()).collect();
    assert_eq!(texts(&world.rooms[BEN]), expected);
}
