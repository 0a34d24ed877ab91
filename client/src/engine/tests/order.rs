//! Entries in another order than they were made in, and many of a kind that costs something.

use super::{
    messages::{posts, text},
    world::*,
    *,
};
use crate::{
    engine::{mls::modified::Forgery, state::Notice},
    store::Kind,
};

/// What a member's client opens of its store while it takes in one more entry.
fn work(world: &mut World, who: usize, payload: Vec<u8>) -> usize {
    world.log.show(&mut world.rooms[who]);
    world.log.append(payload);
    let before = world.rooms[who].store.opened();
    world.log.show(&mut world.rooms[who]);
    world.rooms[who].store.opened() - before
}

/// Entries that are nothing, to everybody.
fn fill(world: &mut World, entries: u32) {
    for number in 0..entries {
        world.log.append(number.to_be_bytes().to_vec());
    }
    world.show();
}

/// A relay can show as many of them as it likes.
#[test]
fn a_commit_of_a_past_epoch_costs_as_much_after_a_thousand_entries_as_after_ten() {
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
    // What comes again is known as what it is, at the same price, however long ago it came first.
    let again = work(&mut world, BEN, altered(1));
    assert_eq!(last_row(&world.rooms[BEN]).notices, [Notice::Unreadable]);
    assert!(again <= early + 1, "{again}");
}

/// The memory of a commit goes with its row.
#[test]
fn a_commit_is_forgotten_with_its_history() {
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
    world.rooms[BEN].erase_expired(NOW.plus(31 * DAY)).unwrap();
    assert_eq!(rows(&world.rooms[BEN]).len(), 1);
    assert_eq!(commits(&world), 0);
}

/// Two messages of one sender and one epoch that change places are both read, once, and it is said.
#[test]
fn words_of_one_sender_that_change_places_are_both_read_and_it_is_said() {
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
    // Each key is good once.
    for again in made {
        world.log.append(again);
        world.show();
        let row = last_row(&world.rooms[BEN]);
        assert_eq!((row.content, row.notices), (RowContent::Nothing, vec![Notice::Unreadable]));
    }
    assert_eq!(texts(&world.rooms[BEN]).len(), 4);
    world.goes_on();
}
