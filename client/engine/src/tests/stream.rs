//! What the relay says of its log, compared with what a profile has read.

use hearth_protocol::{Digest, StreamId};

use super::{
    messages::{ben_sees, text},
    world::*,
    *,
};
use crate::{
    content::{Envelope, Seen, WINDOW_ENTRIES_MAX, WINDOWS_MAX, Window},
    state::Notice,
    store::Kind,
};

const STREAM: StreamId = StreamId([1; 16]);

#[test]
fn known_stream_is_not_moved() {
    let mut world = World::new();
    let ben = &mut world.rooms[BEN];
    let head = ben.cursor().seq;
    for _ in 0..2 {
        assert!(!ben.check_stream(STREAM, head, Seq(0)).unwrap());
    }
    // Not even one whose entries have all expired.
    assert!(!ben.check_stream(STREAM, head, head).unwrap());
}

#[test]
fn subscription_overlaps_by_one_entry() {
    let mut world = World::new();
    let last = world.rooms[BEN].cursor().seq;
    assert_eq!(world.rooms[BEN].subscribe_after(), Seq(last.0 - 1));
    // An entry that expired has no digest to compare.
    let ben = &mut world.rooms[BEN];
    ben.handle_entries(&[expired(Seq(last.0 + 1))], THEN).unwrap();
    assert_eq!(ben.subscribe_after(), Seq(last.0 + 1));
    // A newcomer has read no entry.
    let (fay, log) = (&mut world.rooms[FAY], &mut world.log);
    let dan = join(fay, log, "Dan");
    assert_eq!(dan.subscribe_after(), dan.cursor().seq);
}

#[test]
fn shown_entry_is_compared_by_digest() {
    let mut world = World::new();
    let joined = world.rooms[MAL].state().joined;
    world.say(FAY, "said");
    let (mal, said) = (&world.rooms[MAL], world.log.entries.last().unwrap());
    let other = Entry { content: EntryContent::Tombstone(Digest([1; 32])), ..said.clone() };
    let unread = Entry { seq: Seq(said.seq.0 + 1), ..said.clone() };
    // The profile knows of its admission, not of the entry's bytes.
    let admission = &world.log.entries[usize::try_from(joined.0).unwrap() - 1];
    let had = [said, &other, &expired(said.seq), &unread, admission]
        .map(|entry| mal.had_entry(entry).unwrap());
    assert_eq!(had, [Some(true), Some(false), None, None, None]);
}

#[test]
fn earlier_break_outlives_a_later() {
    let mut world = World::new();
    let ben = &mut world.rooms[BEN];
    let common = ben.cursor().seq;
    let base = |room: &TestRoom| room.cursor().place(Seq(common.0 + 1)).0 - common.0 - 1;
    for text in ["lost", "lost, too"] {
        say(ben, &mut world.log, text);
    }
    world.log.entries.truncate(usize::try_from(common.0).unwrap());
    ben.adopt_stream(STREAM, common).unwrap();
    assert_eq!(base(ben), 2);
    for text in ["kept", "lost again"] {
        say(ben, &mut world.log, text);
    }
    ben.adopt_stream(StreamId([2; 16]), Seq(common.0 + 1)).unwrap();
    assert_eq!(base(ben), 2, "the kept text has its place");
    // Restored to one copy again and again, the list does not grow.
    for stream in 3..9 {
        ben.adopt_stream(StreamId([stream; 16]), common).unwrap();
    }
    assert_eq!(ben.cursor().breaks.len(), 1);
}

/// The relay delivers a commit behind a message of its epoch: once it came, this member is where the others are.
#[test]
fn late_commit_ends_being_behind() {
    let mut world = World::new();
    assert!(!world.rooms[BEN].saw_epoch_used_up().unwrap());
    let renewal = world.rooms[CLEO].renew(None, NOW).unwrap();
    let commit = world.log.take(renewal);
    for who in [FAY, CLEO] {
        world.log.show(&mut world.rooms[who]);
    }
    say(&mut world.rooms[FAY], &mut world.log, "ahead");
    let at = |seq| Entry {
        seq,
        at: NOW,
        content: EntryContent::Payload(payload(&world.log, Seq(commit.0 * 2 + 1 - seq.0))),
    };
    let swapped = [at(commit), at(Seq(commit.0 + 1))];
    let behind = swapped.map(|entry| {
        world.rooms[BEN].handle_entries(&[entry], THEN).unwrap();
        world.rooms[BEN].is_left_behind().unwrap()
    });
    assert_eq!(behind, [true, false]);
    assert_eq!(world.rooms[BEN].epoch().unwrap(), world.rooms[FAY].epoch().unwrap());
}

/// Returns the notices about a message of a sender who saw another log since an entry, up to Ben's last one.
fn vouches_wrongly(world: &mut World, who: usize, id: u8, since: u64) -> Vec<Notice> {
    let (seq, digest) = (world.rooms[BEN].cursor().seq, world.rooms[BEN].cursor().digest.unwrap());
    let windows = vec![Window { since: Seq(since), hash: Digest([1; 32]) }];
    let message = text(id, id.into(), "hm");
    ben_sees(world, who, &Envelope { seen: Some(Seen { seq, digest, windows }), ..message }).notices
}

#[test]
fn fork_is_told_of_each_sender() {
    let mut world = World::new();
    let at = world.rooms[BEN].cursor().seq;
    let fork = [Notice::Fork(Seq(at.0 + 1))];
    world.say(FAY, "one");
    world.say(FAY, "two");
    assert_eq!(vouches_wrongly(&mut world, MAL, 1, at.0), fork);
    // Cleo's differs from an earlier entry than she had told of; Mal's is told already.
    assert_eq!(vouches_wrongly(&mut world, CLEO, 101, at.0), fork);
    assert_eq!(vouches_wrongly(&mut world, MAL, 2, at.0), []);
    let record = [b"forked", world.key(MAL).as_bytes().as_slice()].concat();
    let told = |world: &World| {
        let ben = &world.rooms[BEN];
        ben.store.get(Kind::Seen, ben.no, &record).unwrap().is_some()
    };
    assert!(told(&world));
    let act = removal(world.key(MAL));
    world.act(FAY, act);
    assert!(!told(&world));
}

#[test]
fn window_begins_at_the_admission() {
    let mut world = World::new();
    let joined = world.rooms[BEN].state().joined.0;
    assert_eq!(vouches_wrongly(&mut world, MAL, 1, joined - 1), []);
    let notices = vouches_wrongly(&mut world, MAL, 2, joined);
    assert_eq!(notices, [Notice::Fork(Seq(joined + 1))]);
}

#[test]
fn longest_window_has_512_entries() {
    let mut world = World::new();
    for number in 0..WINDOW_ENTRIES_MAX {
        world.log.append(number.to_be_bytes().to_vec());
    }
    world.show();
    let first = world.rooms[BEN].cursor().seq.0 - WINDOW_ENTRIES_MAX;
    assert_eq!(vouches_wrongly(&mut world, MAL, 1, first - 1), []);
    let notices = vouches_wrongly(&mut world, MAL, 2, first + 1);
    assert_eq!(notices, [Notice::Fork(Seq(first + 2))]);
}

/// A row that a device erased by age is not a difference.
#[test]
fn erased_rows_raise_no_fork() {
    let mut world = World::with_clocks([0; 4]);
    for number in 0..5 {
        world.say(FAY, &number.to_string());
    }
    let late = Moment::agreed(NOW.plus(31 * 24 * 3_600_000));
    world.rooms[BEN].erase_expired(late).unwrap();
    assert_eq!(rows(&world.rooms[BEN]).len(), 1);
    world.say(BEN, "hm");
    for who in [FAY, CLEO, MAL] {
        assert_eq!(last_row(&world.rooms[who]).notices, []);
    }
}

#[test]
fn view_has_at_most_five_windows() {
    let mut world = World::new();
    let (fay, log) = (&mut world.rooms[FAY], &mut world.log);
    for name in ["Dan", "Eve", "Gus"] {
        join(fay, log, name);
    }
    say(fay, log, "one");
    say(fay, log, "two");
    assert_eq!(fay.seen().unwrap().unwrap().windows.len(), WINDOWS_MAX);
}
