//! Leaving and returning: what a profile keeps of an earlier stay, and what happens to waiting messages.

use hearth_protocol::RejectCode;

use super::{world::*, *};
use crate::{
    policy::Act,
    state::{Held, Standing},
};

const REMOVED: Standing = Standing::Removed;

fn removal(world: &World, who: usize) -> Act {
    Act::Remove { member: world.key(who), goodbye: String::new() }
}

/// Lets a member knock again with a new link of Fay's and their existing profile.
fn knocks_again(world: &mut World, who: usize) -> (Invite, KnockRequest) {
    let link = invite(&mut world.rooms[FAY], &mut world.log);
    world.show();
    let preview = open_preview(&link, world.log.previews.last().unwrap()).unwrap();
    let (store, crypto, _) = world.rooms[who].parts();
    let joining = Joining { name: "Ben".into(), local_name: "room".into(), answers: Vec::new() };
    let (room, request) = Room::knock(store, crypto, &link, &preview, joining, NOW).unwrap();
    world.rooms[who] = room;
    (link, request)
}

/// The relay has no time-out for a new key.
#[test]
fn new_key_has_no_time_out() {
    let mut world = World::with_clocks([0; 4]);
    let (ben, until) = (world.key(BEN), NOW.plus(60_000));
    let time_out = world.rooms[FAY].queue_time_out(ben, until, String::new(), NOW).unwrap();
    world.log.flush(&mut world.rooms[FAY]);
    let submission = world.rooms[FAY].time_out(&time_out, NOW).unwrap();
    world.log.take(submission);
    world.show();
    assert_eq!(world.rooms[BEN].state().timed_out_until, until);
    let act = removal(&world, BEN);
    world.act(FAY, act);
    assert_eq!(world.rooms[BEN].state().standing, REMOVED);
    knocks_again(&mut world, BEN);
    assert_eq!(world.rooms[BEN].state().timed_out_until, Millis(0));
}

/// Admits a knocking member and completes their entry.
fn enters(world: &mut World, who: usize, link: &Invite, request: &KnockRequest) {
    let pending = pending(&world.rooms[who], link, request);
    let fay = &mut world.rooms[FAY];
    let knock = fay.open_knock(&pending).unwrap();
    let submission = fay.admit(&knock, NOW).unwrap();
    world.log.take(submission);
    for other in [FAY, CLEO, MAL] {
        world.log.show(&mut world.rooms[other]);
    }
    let (seq, welcome) = world.log.welcomes.last().unwrap();
    world.rooms[who].welcomed(welcome, *seq, NOW).unwrap();
}

/// A member removed while messages wait still has them in the next stay and decides whether they go out.
#[test]
fn waiting_text_outlasts_removal() {
    let mut world = World::with_clocks([0; 4]);
    let id = world.rooms[BEN].queue_text("waiting".into(), NOW).unwrap();
    world.rooms[BEN].next_submission().unwrap().unwrap();
    let act = removal(&world, BEN);
    world.act(FAY, act);
    assert_eq!(world.rooms[BEN].held_texts().unwrap(), [(id, Held::Out)]);
    assert!(world.rooms[BEN].release(&id, NOW).is_err(), "there is nowhere to send it to");
    assert_eq!(world.rooms[BEN].waiting_texts().unwrap().len(), 1);
    let (link, request) = knocks_again(&mut world, BEN);
    enters(&mut world, BEN, &link, &request);
    world.say(BEN, "hello again");
    assert_eq!(texts(&world.rooms[FAY]), ["hello again"]);
    assert_eq!(world.rooms[BEN].held_texts().unwrap(), [(id, Held::Out)]);
    let new = world.rooms[BEN].release(&id, NOW).unwrap().unwrap();
    assert_ne!(new, id);
    world.log.flush(&mut world.rooms[BEN]);
    world.show();
    assert_eq!(texts(&world.rooms[FAY]), ["hello again", "waiting"]);
    assert_eq!(last_row(&world.rooms[FAY]).notices, []);
    assert!(world.rooms[BEN].waiting_texts().unwrap().is_empty());
}

/// The client neither drops nor retries a message that the relay refuses for good, and its number is reused.
#[test]
fn refused_text_stays_with_its_reason() {
    let mut world = World::with_clocks([0; 4]);
    world.say(BEN, "one");
    for (code, behind) in
        [(RejectCode::Observer, 2), (RejectCode::Unsupported, 1), (RejectCode::NotFound, 1)]
    {
        let ben = &mut world.rooms[BEN];
        let first = ben.queue_text("refused".into(), NOW).unwrap();
        ben.queue_text("behind".into(), NOW).unwrap();
        assert!(!ben.is_under_way(&first).unwrap());
        let number = ben.next_submission().unwrap().unwrap().number;
        assert!(ben.is_under_way(&first).unwrap());
        assert!(ben.hold(number, code).unwrap());
        assert!(!ben.is_under_way(&first).unwrap());
        let held = ben.held_texts().unwrap();
        assert_eq!((held[0], held.len()), ((first, Held::Refused(code)), behind));
        assert_eq!(ben.next_submission().unwrap().is_none(), behind == 2);
        for (id, ..) in ben.waiting_texts().unwrap() {
            assert!(ben.drop_waiting(&id).unwrap());
        }
        world.say(BEN, "next");
        assert_eq!(last_row(&world.rooms[FAY]).notices, []);
    }
    // The same text, queued again, is sent once.
    let ben = &mut world.rooms[BEN];
    ben.queue_text("again".into(), NOW).unwrap();
    let number = ben.next_submission().unwrap().unwrap().number;
    ben.hold(number, RejectCode::Observer).unwrap();
    world.say(BEN, "again");
    assert!(world.rooms[BEN].waiting_texts().unwrap().is_empty());
    assert_eq!(texts(&world.rooms[FAY]).last().unwrap(), "again");
}

#[test]
fn unanswered_founding_is_found_again() {
    let profile = Profile::new();
    let grant =
        |secret| Grant { address: address(), secret: hearth_protocol::Secret32::new([secret; 32]) };
    let founding = || Founding {
        title: "Tuesday evening".into(),
        agreement: "What is said here stays here.".into(),
        language: "en".into(),
        name: "Fay".into(),
        local_name: "room".into(),
        suite: Suite::X25519,
        numbers: hearth_protocol::RoomNumbers::default(),
        lanes: false,
    };
    let (store, crypto) = (&profile.store, &profile.crypto);
    let mut begun = Room::found(store, crypto, &grant(2), founding(), NOW).unwrap();
    let again = |secret, founding: Founding| {
        let room = Room::being_opened(store, crypto, &grant(secret), &founding).unwrap();
        room.map(|room| room.id())
    };
    assert_eq!(again(2, founding()), Some(begun.id()));
    assert_eq!(again(2, Founding { local_name: "other".into(), ..founding() }), Some(begun.id()));
    assert_eq!(again(3, founding()), None);
    for other in [
        Founding { title: "Wednesday".into(), ..founding() },
        Founding { agreement: "Another.".into(), ..founding() },
        Founding { language: "de".into(), ..founding() },
        Founding { name: "Ann".into(), ..founding() },
        Founding { suite: Suite::XWing, ..founding() },
    ] {
        assert_eq!(again(2, other), None);
    }
    begun.opened().unwrap();
    assert_eq!(again(2, founding()), None);
}

/// Another member went on from a past epoch, and this one comes back by an invite.
#[test]
fn member_of_split_room_rejoins() {
    let mut world = World::with_clocks([0; 4]);
    let late = world.rooms[MAL].renew(None, NOW).unwrap().payload;
    let renewal = world.rooms[CLEO].renew(None, NOW).unwrap();
    world.log.take(renewal);
    world.show();
    world.log.append(late);
    world.show();
    world.rooms[FAY].go_on().unwrap();
    assert!(world.rooms[BEN].cursor().split.is_some());
    let before = world.key(BEN);
    knocks_again(&mut world, BEN);
    assert_eq!(world.rooms[BEN].state().standing, Standing::Knocking);
    assert_ne!(world.key(BEN), before);
}

#[test]
fn admission_names_the_admitting_facilitator() {
    let mut world = World::new();
    let (fay, log) = (&mut world.rooms[FAY], &mut world.log);
    let dan = join(fay, log, "Dan");
    let row = last_row(&dan);
    assert_eq!((row.from, row.name.as_str()), (Some(world.key(FAY)), "Fay"));
    for room in [&dan, &world.rooms[FAY]] {
        assert_eq!(room.state().address(), address());
    }
}

/// The profile's history goes on, and with it what it knows of the relay's store and clock.
#[test]
fn returning_member_remembers_the_relay() {
    let mut world = World::with_clocks([0; 4]);
    let stream = hearth_protocol::StreamId([1; 16]);
    let common = world.rooms[BEN].cursor().seq;
    world.say(FAY, "lost");
    world.log.entries.pop();
    for room in &mut world.rooms {
        room.adopt_stream(stream, common).unwrap();
    }
    let breaks = world.rooms[BEN].cursor().breaks.clone();
    assert_eq!(breaks.len(), 1);
    let act = removal(&world, BEN);
    world.act(FAY, act);
    let (link, request) = knocks_again(&mut world, BEN);
    enters(&mut world, BEN, &link, &request);
    let cursor = world.rooms[BEN].cursor();
    assert_eq!((cursor.stream, &cursor.breaks), (Some(stream), &breaks));
    assert_eq!((cursor.own_clock, cursor.relay_clock), (NOW, NOW));
    assert_eq!(cursor.seq, world.rooms[BEN].state().joined);
}
