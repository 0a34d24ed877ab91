//! Wrong clocks and false times: no member drops out, and no message outlives the room's retention.

use super::{acknowledged::knock_with, world::*, *};
use crate::{
    EngineError,
    agreement::AckError,
    gate::{LeafError, Refusal},
    mls::modified::{Context, Forgery, PackageForgery, forged_package},
    policy::{Act, RuleError},
    state::Notice,
};

const RETENTION: i64 = 30 * DAY;

fn at(offset: i64) -> Millis {
    Millis(NOW.0.saturating_add_signed(offset))
}

/// A moment with each clock off by some milliseconds.
fn moment(own: i64, relay: i64) -> Moment {
    Moment { own: at(own), relay: at(relay) }
}

/// Fay posts, and the relay dates the entry. Ben already has the earlier entries.
fn said(world: &mut World, stamp: Millis) -> Entry {
    let (fay, log) = (&mut world.rooms[FAY], &mut world.log);
    say(fay, log, "between us");
    let entry = log.entries.last_mut().unwrap();
    entry.at = stamp;
    entry.clone()
}

/// Fay posts once more, so that the message before is no longer the last.
fn goes_by(world: &mut World, moment: Moment) {
    let entry = said(world, moment.relay);
    world.rooms[BEN].handle_entries(&[entry], moment).unwrap();
}

fn right() -> World {
    World::with_clocks([0; 4])
}

/// Number of messages that Ben's device holds.
fn held(world: &World) -> usize {
    texts(&world.rooms[BEN]).len()
}

#[test]
fn a1_any_other_lifetime_is_refused() {
    let mut world = World::new();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let day = 24 * 3600;
    let refusal = Refusal::BadLeaf(LeafError::Lifetime);
    let lifetimes = [
        (now - 10 * day, now - 1),
        (now + day, now + 80 * day),
        (now - 10, now + 10),
        (now - 10, now + 80 * day),
        (0, now + 80 * day),
        (0, u64::MAX - 1),
        (1, u64::MAX),
        (u64::MAX, u64::MAX),
        (u64::MAX, 0),
    ];
    for lifetime in lifetimes {
        let mut ghost = Ghost::new(&world, 68);
        let forgery = PackageForgery { lifetime: Some(lifetime), ..PackageForgery::default() };
        let package = forged_package(&ghost.provider(), Suite::X25519, ghost.identity(), &forgery);
        let refused = knock_with(&mut world, &ghost, package.clone());
        let by_lifetime = matches!(&refused, Err(EngineError::Refused(by)) if *by == refusal);
        assert!(by_lifetime, "{lifetime:?}: {refused:?}");
        // A modified facilitator admits what their own clock allows.
        if lifetime.0 <= now && lifetime.1 > now {
            ghost.package = package;
            world.keeps_out(FAY, &mut ghost, &refusal);
            // This check comes before any other fault of the commit, because members with other clocks stop there.
            let (adds, context) = (vec![ghost.package.as_slice()], Context::Same);
            let forged = world.forge(MAL, &Forgery { adds, context, ..Forgery::default() });
            world.refuses(MAL, forged.commit, &refusal);
        }
    }
}

/// A leaf's validity does not depend on the time, so a newcomer accepts the room's leaves whatever their clock says.
#[test]
fn wrong_clocks_part_nobody() {
    for turn in 0..4 {
        let mut ahead = WRONG;
        ahead.rotate_left(turn);
        let mut world = World::with_clocks(ahead);
        for who in [FAY, CLEO, BEN, MAL] {
            world.say(who, &format!("{who} is here"));
            let own = world.rooms[who].now();
            let renewal = world.rooms[who].renew(None, own).unwrap();
            world.log.take(renewal);
            world.show();
        }
        let until = NOW.plus(600_000);
        world.act(CLEO, Act::Pause { until, comment: String::new(), reopens: true });
        world.act(FAY, Act::Resume);
        let dan = {
            let World { rooms, log } = &mut world;
            join(&mut rooms[FAY], log, "Dan")
        };
        world.rooms.push(dan);
        world.show();
        world.goes_on();
        for room in &world.rooms {
            let told: Vec<_> = rows(room).into_iter().flat_map(|row| row.notices).collect();
            assert_eq!(told, [], "{turn}");
        }
        assert_eq!(held(&world), 4);
    }
}

/// The relay ends a pause by its own clock, so the pause is over for a reader whose clock is behind.
#[test]
fn slow_reader_holds_nothing_back() {
    let mut world = right();
    world.act(FAY, Act::Pause { until: NOW.plus(60_000), comment: String::new(), reopens: true });
    let mal = &mut world.rooms[MAL];
    say(mal, &mut world.log, "after the pause");
    let entry = world.log.entries.last_mut().unwrap();
    entry.at = at(61_000);
    let entry = entry.clone();
    for (who, own) in [(BEN, -HOUR), (CLEO, 61_000)] {
        let room = &mut world.rooms[who];
        room.handle_entries(std::slice::from_ref(&entry), moment(own, 62_000)).unwrap();
        assert_eq!(texts(room), ["after the pause"]);
    }
}

/// A time far ahead of the relay's own clock ends no pause.
#[test]
fn far_time_ends_no_pause() {
    let mut world = right();
    world.act(FAY, Act::Pause { until: NOW.plus(60_000), comment: String::new(), reopens: true });
    let mal = &mut world.rooms[MAL];
    say(mal, &mut world.log, "all the same");
    let mut entry = world.log.entries.last().unwrap().clone();
    entry.at = Millis(i64::MAX as u64);
    world.rooms[BEN].handle_entries(&[entry], moment(0, 1000)).unwrap();
    assert!(matches!(last_row(&world.rooms[BEN]).content, RowContent::Held(_)));
}

#[test]
fn a8_far_time_still_erases() {
    for far in [i64::MAX as u64, u64::MAX, at(35 * DAY).0, at(RETENTION + DAY).0] {
        let mut world = right();
        let entry = said(&mut world, Millis(far));
        world.rooms[BEN].handle_entries(&[entry], moment(0, 0)).unwrap();
        assert_eq!(last_row(&world.rooms[BEN]).at, NOW, "shown as of now");
        assert_eq!(last_row(&world.rooms[BEN]).stamp, Millis(far), "kept as it was said");
        goes_by(&mut world, moment(DAY, DAY));
        let ben = &mut world.rooms[BEN];
        ben.erase_expired(moment(RETENTION - HOUR, RETENTION - HOUR)).unwrap();
        assert_eq!(held(&world), 2);
        world.rooms[BEN].erase_expired(moment(RETENTION + HOUR, RETENTION + HOUR)).unwrap();
        assert_eq!(held(&world), 1);
        // Later the last entry loses its text, too; its row stays to be compared.
        let later = RETENTION + 2 * DAY;
        world.rooms[BEN].erase_expired(moment(later, later)).unwrap();
        assert_eq!((held(&world), rows(&world.rooms[BEN]).len()), (0, 1));
    }
}

/// The relay's hello lies as well, and its clock stands still.
#[test]
fn relay_clock_delays_no_erasing() {
    for relay in [0, 400 * DAY, -400 * DAY, i64::MAX / 2] {
        let mut world = right();
        let entry = said(&mut world, at(relay));
        world.rooms[BEN].handle_entries(&[entry], moment(0, relay)).unwrap();
        assert!(last_row(&world.rooms[BEN]).at <= NOW);
        goes_by(&mut world, moment(DAY, relay));
        world.rooms[BEN].erase_expired(moment(RETENTION - HOUR, relay)).unwrap();
        assert_eq!(held(&world), 2, "{relay}");
        let later = RETENTION + 3 * DAY;
        world.rooms[BEN].erase_expired(moment(later, relay)).unwrap();
        assert_eq!(held(&world), 0, "{relay}");
    }
}

/// A clock that is wrong for one visit hides messages that it calls old, and is right again before anything is deleted.
#[test]
fn clock_ahead_once_deletes_nothing() {
    for ahead in [31 * DAY, 85 * DAY, 365 * DAY, i64::MAX / 2] {
        let mut world = right();
        for day in [0, 1, 2] {
            let entry = said(&mut world, at(day * DAY));
            let now = moment(day * DAY, day * DAY);
            world.rooms[BEN].handle_entries(&[entry], now).unwrap();
            world.rooms[BEN].erase_expired(now).unwrap();
        }
        for hours in [0, 1, 71] {
            let since = 3 * DAY + hours * HOUR;
            world.rooms[BEN].erase_expired(moment(ahead + since, since)).unwrap();
            assert_eq!(held(&world), 3, "{ahead}");
        }
        let right = moment(6 * DAY, 6 * DAY);
        world.rooms[BEN].erase_expired(right).unwrap();
        assert_eq!(held(&world), 3, "{ahead}");
        // The second deviation counts from its own beginning.
        world.rooms[BEN].erase_expired(moment(ahead + 7 * DAY, 7 * DAY)).unwrap();
        assert_eq!(held(&world), 3, "{ahead}");
        let later = RETENTION + HOUR;
        world.rooms[BEN].erase_expired(moment(later, later)).unwrap();
        assert_eq!(held(&world), 2, "{ahead}");
    }
}

/// The client believes a clock that stays ahead after three days of that clock, whatever the relay's clock does.
#[test]
fn clock_that_stays_ahead_erases() {
    for relay in [0, 3 * DAY, -400 * DAY] {
        let mut world = right();
        let entry = said(&mut world, NOW);
        world.rooms[BEN].handle_entries(&[entry], moment(0, 0)).unwrap();
        goes_by(&mut world, moment(0, 0));
        let ahead = 85 * DAY;
        world.rooms[BEN].erase_expired(moment(ahead, 0)).unwrap();
        assert_eq!(held(&world), 2);
        world.rooms[BEN].erase_expired(moment(ahead + 3 * DAY, relay)).unwrap();
        assert_eq!(held(&world), 0, "{relay}");
    }
}

/// The relay dates an entry at zero, behind a floor: a device whose clock ran ahead still erases its text.
#[test]
fn undated_entry_behind_floor_is_erased() {
    let mut world = right();
    let entry = said(&mut world, NOW);
    world.rooms[BEN].handle_entries(&[entry], moment(0, 0)).unwrap();
    let mut gone = said(&mut world, NOW);
    gone.content = EntryContent::Expired;
    let undated = said(&mut world, Millis(0));
    let ahead = 85 * DAY;
    world.rooms[BEN].handle_entries(&[gone, undated], moment(ahead, 0)).unwrap();
    goes_by(&mut world, moment(ahead, 0));
    assert_eq!(held(&world), 3);
    let later = RETENTION + HOUR;
    world.rooms[BEN].erase_expired(moment(ahead + later, later)).unwrap();
    assert_eq!(held(&world), 0);
}

/// A message that waited at the relay is erased when the others erase it.
#[test]
fn late_reader_erases_in_time() {
    let mut world = right();
    let entry = said(&mut world, NOW);
    world.rooms[BEN].handle_entries(&[entry], moment(20 * DAY, 20 * DAY)).unwrap();
    goes_by(&mut world, moment(20 * DAY, 20 * DAY));
    world.rooms[BEN].erase_expired(moment(RETENTION - HOUR, RETENTION - HOUR)).unwrap();
    assert_eq!(held(&world), 2);
    world.rooms[BEN].erase_expired(moment(RETENTION + HOUR, RETENTION + HOUR)).unwrap();
    assert_eq!(held(&world), 1);
}

/// The device's clock was a year ahead when the message arrived, whatever time the relay gave it.
#[test]
fn clock_ahead_at_arrival_still_erases() {
    for stamp in [NOW, Millis(i64::MAX as u64)] {
        let mut world = right();
        let entry = said(&mut world, stamp);
        world.rooms[BEN].handle_entries(&[entry], moment(365 * DAY, 0)).unwrap();
        let entry = said(&mut world, at(DAY));
        world.rooms[BEN].handle_entries(&[entry], moment(365 * DAY + DAY, DAY)).unwrap();
        // Ben's clock is right again.
        world.rooms[BEN].erase_expired(moment(2 * DAY, 2 * DAY)).unwrap();
        assert_eq!(held(&world), 2);
        world.rooms[BEN].erase_expired(moment(RETENTION + HOUR, RETENTION + HOUR)).unwrap();
        assert_eq!(held(&world), 1, "{stamp:?}");
    }
}

/// The device's clock was behind when the message arrived: a message new by the relay's clock is not a year old.
#[test]
fn clock_behind_at_arrival_keeps_words() {
    for behind in [-HOUR, -3 * HOUR, -365 * DAY] {
        let mut world = right();
        for hour in [1, 2] {
            let entry = said(&mut world, at(hour * HOUR));
            let now = moment(behind, hour * HOUR);
            world.rooms[BEN].handle_entries(&[entry], now).unwrap();
            world.rooms[BEN].erase_expired(now).unwrap();
        }
        world.rooms[BEN].erase_expired(moment(DAY, DAY)).unwrap();
        assert_eq!(held(&world), 2, "{behind}");
        let later = RETENTION + 4 * HOUR;
        world.rooms[BEN].erase_expired(moment(later, later)).unwrap();
        assert_eq!(held(&world), 0, "{behind}");
    }
}

/// A clock that was set back and stays behind keeps no message longer.
#[test]
fn clock_that_stays_behind_still_erases() {
    let behind = -365 * DAY;
    let mut world = right();
    let entry = said(&mut world, NOW);
    world.rooms[BEN].handle_entries(&[entry], moment(behind, 0)).unwrap();
    goes_by(&mut world, moment(behind + DAY, DAY));
    for (hours, left) in [(-1, 2), (1, 1)] {
        let since = RETENTION + hours * HOUR;
        world.rooms[BEN].erase_expired(moment(behind + since, since)).unwrap();
        assert_eq!(held(&world), left);
    }
}

#[test]
fn times_that_contradict_are_told_once() {
    let mut world = right();
    let times = |world: &World| {
        let rows = rows(&world.rooms[BEN]);
        rows.iter().filter(|row| row.notices.contains(&Notice::Times)).count()
    };
    // A small difference is not reported.
    for (stamp, relay) in [(0, 0), (9 * 60_000, 0), (0, 0)] {
        let entry = said(&mut world, at(stamp));
        world.rooms[BEN].handle_entries(&[entry], moment(0, relay)).unwrap();
        assert_eq!(times(&world), 0);
    }
    for stamp in [i64::MAX as u64, 0, NOW.0, u64::MAX] {
        let entry = said(&mut world, Millis(stamp));
        world.rooms[BEN].handle_entries(&[entry], moment(0, 0)).unwrap();
        assert_eq!(times(&world), 1);
    }
    let entry = said(&mut world, Millis(0));
    world.rooms[BEN].handle_entries(&[entry], moment(2 * DAY, 2 * DAY)).unwrap();
    assert_eq!(times(&world), 2);
    assert!(!Notice::Times.is_alarm());
}

/// Renewals follow the own clock, because the relay could date the last renewal into next year.
#[test]
fn far_time_puts_no_renewal_off() {
    let mut world = right();
    let renewal = world.rooms[BEN].renew(None, NOW).unwrap();
    let seq = world.log.take(renewal);
    world.log.entries.last_mut().unwrap().at = Millis(i64::MAX as u64);
    world.show();
    assert_eq!(world.rooms[BEN].state().renewed_at, NOW);
    assert_eq!(last_row(&world.rooms[BEN]).seq, seq);
}

/// Refusing an acknowledgement from the future names both clocks.
#[test]
fn newcomer_ahead_is_told_of_clock() {
    let mut world = right();
    let agreement = current(&world.rooms[FAY]);
    let room = world.rooms[FAY].id();
    let ghost = Ghost::acknowledging(room, &agreement, 74, at(HOUR));
    let knock = knock_with(&mut world, &ghost, ghost.package.clone()).unwrap();
    let early = world.rooms[FAY].admit(&knock, NOW);
    let not_yet = RuleError::NotAcknowledged(AckError::Future);
    assert!(matches!(early.err(), Some(EngineError::Rule(rule)) if rule == not_yet));
    // By the relay's clock, which is right, the acknowledgement is in time.
    let submission = world.rooms[FAY].admit(&knock, at(HOUR)).unwrap();
    world.log.take(submission);
    world.show();
    world.goes_on();
}
