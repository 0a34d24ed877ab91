//! Application messages of modified members: each counts once, speaks for its sender only and moderates nothing.

use hearth_protocol::{
    Digest, InviteId, RejectCode, Secret32, StreamId, hash, limits::PADDING_BUCKETS,
};

use super::{world::*, *};
use crate::{
    agreement::{Agreement, Change, Departure},
    content::{Body, Envelope, Seen, Window},
    policy::Act,
    state::{KnownInvite, Notice},
};

/// Encrypts any envelope as a member and bypasses every check of the member's client.
pub(super) fn posts(room: &mut TestRoom, envelope: &Envelope) -> Vec<u8> {
    posts_marked(room, &envelope.to_padded().unwrap(), envelope.body.is_marked())
}

fn posts_bytes(room: &mut TestRoom, content: &[u8]) -> Vec<u8> {
    posts_marked(room, content, false)
}

pub(super) fn posts_marked(room: &mut TestRoom, content: &[u8], marked: bool) -> Vec<u8> {
    let key = room.signing_key();
    let (provider, group) = room.group().unwrap();
    group.encrypt(&provider, &key, content, marked).unwrap()
}

pub(super) fn envelope(id: u8, counter: u64, body: Body) -> Envelope {
    let id = MessageId([id; 16]);
    Envelope { format: 2, id, counter, seen: None, sent_at: NOW, body, salt: [7; 16] }
}

pub(super) fn text(id: u8, counter: u64, words: &str) -> Envelope {
    envelope(id, counter, Body::Text(words.into()))
}

pub(super) fn invite_issued(role: Role) -> Body {
    Body::InviteIssued {
        invite: InviteId([4; 16]),
        knock_key: Secret32::new([5; 32]),
        uses: 1,
        expires: NOW.plus(1000),
        role,
        of: None,
    }
}

/// Delivers a member's envelope to all others and returns the row that Ben's client makes of it.
pub(super) fn ben_sees(world: &mut World, who: usize, envelope: &Envelope) -> Row {
    let payload = posts(&mut world.rooms[who], envelope);
    world.log.append(payload);
    world.show();
    last_row(&world.rooms[BEN])
}

#[test]
fn reencrypted_message_is_shown_once() {
    let mut world = World::new();
    // RFC 9750: another member can encrypt Mal's words again under Mal's next key. This is the result.
    let words = text(1, 1, "once");
    assert_eq!(ben_sees(&mut world, MAL, &words).notices, []);
    assert_eq!(ben_sees(&mut world, MAL, &words).notices, [Notice::Duplicate]);
    world.goes_on();
    assert_eq!(ben_sees(&mut world, MAL, &words).notices, [Notice::Duplicate]);
    assert_eq!(texts(&world.rooms[BEN]), ["once"]);
}

#[test]
fn copied_message_id_hides_nothing() {
    let mut world = World::new();
    // The relay delivers Fay's message to Mal before the others; he posts first under her id.
    world.rooms[FAY].queue_text("Fay's words".into(), NOW).unwrap();
    let fays = world.rooms[FAY].next_submission().unwrap().unwrap();
    let copy = Envelope { id: fays.id, ..text(1, 1, "Fay's words") };
    let copied = posts(&mut world.rooms[MAL], &copy);
    world.log.append(copied);
    world.log.append(fays.payload);
    world.show();
    let shown = rows(&world.rooms[BEN]);
    let by: Vec<&str> = shown
        .iter()
        .filter(|r| matches!(r.content, RowContent::Text(_)))
        .map(|r| r.name.as_str())
        .collect();
    assert_eq!(by, ["Mal", "Fay"], "each is shown as its sender's own");
    // The client tells every member that two messages share one id.
    let seq = Seq(world.log.entries.len() as u64 - 1);
    assert_eq!(last_row(&world.rooms[BEN]).notices, [Notice::SameId { seq, by: "Mal".into() }]);
}

#[test]
fn counter_gaps_and_reuse_are_noticed() {
    let mut world = World::new();
    ben_sees(&mut world, MAL, &text(1, 1, "one"));
    assert_eq!(ben_sees(&mut world, MAL, &text(2, 4, "four")).notices, [Notice::Gap(2)]);
    assert_eq!(ben_sees(&mut world, MAL, &text(3, 4, "four")).notices, [Notice::CounterReused]);
    assert_eq!(ben_sees(&mut world, MAL, &text(4, 2, "two")).notices, [Notice::CounterReused]);
    assert_eq!(ben_sees(&mut world, MAL, &text(5, 5, "five")).notices, []);
    // A tombstone may be one of three that are missing.
    let seq = world.log.append(Vec::new());
    world.log.entries.pop();
    let content = EntryContent::Tombstone(Digest([1; 32]));
    world.log.entries.push(Entry { seq, at: NOW, content });
    assert_eq!(ben_sees(&mut world, MAL, &text(6, 9, "nine")).notices, [Notice::Gap(2)]);
    assert_eq!(ben_sees(&mut world, MAL, &text(7, 11, "eleven")).notices, [Notice::Gap(1)]);
    let max = text(8, u64::MAX, "last");
    assert_eq!(ben_sees(&mut world, MAL, &max).notices, [Notice::Gap(u64::MAX - 12)]);
}

#[test]
fn other_view_of_log_is_noticed() {
    let mut world = World::new();
    let seen = Seen { digest: Digest([1; 32]), ..seen_nothing_new(Seq(3)) };
    let row = ben_sees(&mut world, MAL, &Envelope { seen: Some(seen), ..text(1, 1, "hm") });
    assert!(row.notices.is_empty(), "Ben was not there at entry 3");
    let at = world.rooms[BEN].cursor().seq;
    let seen = Seen { digest: Digest([1; 32]), ..seen_nothing_new(at) };
    let row = ben_sees(&mut world, MAL, &Envelope { seen: Some(seen), ..text(2, 2, "hm") });
    assert_eq!(row.notices, [Notice::Fork(at)]);
    let seen = Seen { digest: Digest([1; 32]), ..seen_nothing_new(Seq(u64::MAX)) };
    let row = ben_sees(&mut world, MAL, &Envelope { seen: Some(seen), ..text(3, 3, "hm") });
    assert_eq!(row.notices, [Notice::Fork(Seq(u64::MAX))]);
}

/// A view of the log that names its last entry only.
pub(super) fn seen_nothing_new(seq: Seq) -> Seen {
    Seen { seq, digest: Digest([0; 32]), windows: vec![Window::of(seq, &[])] }
}

/// Encrypts a member's text without delivering it.
fn encrypt(world: &mut World, who: usize, text: &str) -> Vec<u8> {
    world.rooms[who].queue_text(text.into(), NOW).unwrap();
    world.rooms[who].next_submission().unwrap().unwrap().payload
}

/// Cleo and Mal write at the same time. The relay delivers Cleo's message first, but to Ben Mal's first; another entry, the same
/// for all, comes last.
pub(super) fn say_in_two_orders(world: &mut World) {
    let (one, other) = (encrypt(world, CLEO, "one"), encrypt(world, MAL, "other"));
    let last = encrypt(world, FAY, "last");
    let mut bens = Log { entries: world.log.entries.clone(), ..Log::default() };
    for payload in [&one, &other, &last] {
        world.log.append(payload.clone());
    }
    for payload in [other, one, last] {
        bens.append(payload);
    }
    bens.show(&mut world.rooms[BEN]);
    assert!(last_row(&world.rooms[BEN]).notices.is_empty(), "nobody can know yet");
    for who in [FAY, CLEO, MAL] {
        world.log.show(&mut world.rooms[who]);
    }
}

#[test]
fn two_orders_are_noticed_by_both() {
    let mut world = World::new();
    let before = Seq(world.rooms[BEN].cursor().seq.0 + 1);
    say_in_two_orders(&mut world);
    let forked = |row: Row| matches!(row.notices[..], [Notice::Fork(from)] if from <= before);
    // Fay's client has the majority's order.
    let words = encrypt(&mut world, FAY, "and now");
    world.log.append(words);
    world.show();
    assert!(forked(last_row(&world.rooms[BEN])), "Ben reads Fay");
    assert!(last_row(&world.rooms[CLEO]).notices.is_empty());
    // Fay's next message vouches for newer entries only, and those are the same.
    world.say(FAY, "again");
    assert!(last_row(&world.rooms[BEN]).notices.is_empty());
    world.say(BEN, "and I");
    assert!(forked(last_row(&world.rooms[FAY])), "the others read Ben");
    world.say(BEN, "too");
    assert!(last_row(&world.rooms[FAY]).notices.is_empty());
}

/// The relay passes the author's first message after the fork off as retracted, and no other message vouches for the same
/// entries.
#[test]
fn tombstone_does_not_hide_a_fork() {
    let mut world = World::new();
    say_in_two_orders(&mut world);
    let hidden = encrypt(&mut world, FAY, "and now");
    let seq = world.log.append(hidden.clone());
    for who in [FAY, CLEO, MAL] {
        world.log.show(&mut world.rooms[who]);
    }
    let content = EntryContent::Tombstone(hash::sha256(&hidden));
    world.rooms[BEN].handle_entries(&[Entry { seq, at: NOW, content }], THEN).unwrap();
    world.say(FAY, "again");
    let notices = last_row(&world.rooms[BEN]).notices;
    assert!(matches!(notices[..], [Notice::Fork(_)]), "{notices:?}");
    for _ in 0..3 {
        world.say(FAY, "this was told");
        assert_eq!(last_row(&world.rooms[BEN]).notices, []);
    }
}

/// The relay lets the last entry expire, so that the author's next message would vouch for nothing.
#[test]
fn expiry_does_not_hide_a_fork() {
    let mut world = World::new();
    let before = Seq(world.rooms[BEN].cursor().seq.0 + 1);
    say_in_two_orders(&mut world);
    let words = encrypt(&mut world, FAY, "expired");
    let gone = world.log.append(words);
    for who in [FAY, CLEO, MAL] {
        world.log.show(&mut world.rooms[who]);
    }
    world.rooms[BEN].handle_entries(&[expired(gone)], THEN).unwrap();
    assert!(matches!(last_row(&world.rooms[BEN]).notices[..], [Notice::Expired { .. }]));
    world.say(BEN, "and I");
    let row = last_row(&world.rooms[FAY]);
    assert!(matches!(row.notices[..], [Notice::Fork(from)] if from <= before), "{:?}", row.notices);
    // An expired entry is not a difference by itself.
    world.say(BEN, "too");
    assert!(last_row(&world.rooms[FAY]).notices.is_empty());
}

#[test]
fn expired_entries_make_no_fork() {
    let mut world = World::new();
    world.say(FAY, "read");
    let words = encrypt(&mut world, CLEO, "expired");
    let gone = world.log.append(words);
    world.rooms[BEN].handle_entries(&[expired(gone)], THEN).unwrap();
    world.say(FAY, "and read");
    for who in [BEN, FAY, BEN] {
        world.say(who, "the same log");
        let reader = if who == BEN { FAY } else { BEN };
        let notices = last_row(&world.rooms[reader]).notices;
        assert!(!notices.iter().any(|n| matches!(n, Notice::Fork(_))), "{notices:?}");
    }
}

/// Unless the relay says that the id is taken: it may have delivered the message and had its author encrypt it again. If the number
/// were reused then, the relay could withhold the next message unnoticed.
#[test]
fn refused_message_returns_its_number() {
    let mut world = World::new();
    world.say(MAL, "one");
    let refuse = |world: &mut World, code| {
        world.rooms[MAL].queue_text("refused".into(), NOW).unwrap();
        let number = world.rooms[MAL].next_submission().unwrap().unwrap().number;
        world.rooms[MAL].give_up(number, code).unwrap();
        world.say(MAL, "next");
        last_row(&world.rooms[BEN]).notices
    };
    assert_eq!(refuse(&mut world, RejectCode::TooLong), []);
    assert_eq!(refuse(&mut world, RejectCode::IdConflict), [Notice::Gap(1)]);
}

/// The relay's answer was lost, and a month later the relay has forgotten the id and refuses it.
#[test]
fn possibly_accepted_message_keeps_its_number() {
    let mut world = World::new();
    world.rooms[MAL].queue_text("taken".into(), NOW).unwrap();
    let taken = world.rooms[MAL].next_submission().unwrap().unwrap();
    let seq = world.log.append(taken.payload);
    for who in [FAY, CLEO, BEN] {
        world.log.show(&mut world.rooms[who]);
    }
    let mal = &mut world.rooms[MAL];
    mal.check_stream(StreamId([1; 16]), seq, seq).unwrap();
    mal.handle_entries(&[expired(seq)], THEN).unwrap();
    mal.give_up(taken.number, RejectCode::TooLong).unwrap();
    world.say(MAL, "next");
    assert_eq!(last_row(&world.rooms[BEN]).notices, []);
    assert_eq!(texts(&world.rooms[BEN]), ["taken", "next"]);
}

/// The expired entry may be the note of a time-out; its author no longer moderates but must not reuse its number.
#[test]
fn former_moderator_keeps_the_notes_number() {
    let mut world = World::new();
    let (ben, cleo) = (world.key(BEN), world.key(CLEO));
    let until = NOW.plus(60_000);
    world.rooms[CLEO].queue_time_out(ben, until, "Rest.".into(), NOW).unwrap();
    let taken = world.rooms[CLEO].next_submission().unwrap().unwrap();
    let seq = world.log.append(taken.payload);
    world.log.show(&mut world.rooms[FAY]);
    let act = Act::SetRole { member: cleo, role: Role::Member };
    let demotion = world.rooms[FAY].act(act, NOW).unwrap();
    let head = world.log.take(demotion);
    for who in [FAY, BEN, MAL] {
        world.log.show(&mut world.rooms[who]);
    }
    let room = &mut world.rooms[CLEO];
    room.check_stream(StreamId([1; 16]), head, seq).unwrap();
    room.handle_entries(&[expired(seq)], THEN).unwrap();
    world.log.show(&mut world.rooms[CLEO]);
    assert!(!world.rooms[CLEO].epoch_conflict(taken.number).unwrap());
    assert!(world.rooms[CLEO].next_submission().unwrap().is_none());
    world.say(CLEO, "next");
    assert_eq!(last_row(&world.rooms[BEN]).notices, []);
    assert_eq!(texts(&world.rooms[BEN]), ["next"]);
}

/// The expired entry is of another epoch, so it is not the message that the relay refused a month later.
#[test]
fn never_accepted_message_returns_its_number() {
    let mut world = World::new();
    world.rooms[MAL].queue_text("never taken".into(), NOW).unwrap();
    let refused = world.rooms[MAL].next_submission().unwrap().unwrap();
    world.act(FAY, Act::Announce("another epoch".into()));
    let words = encrypt(&mut world, CLEO, "expired");
    let seq = world.log.append(words);
    for who in [FAY, BEN] {
        world.log.show(&mut world.rooms[who]);
    }
    let mal = &mut world.rooms[MAL];
    mal.check_stream(StreamId([1; 16]), seq, seq).unwrap();
    mal.handle_entries(&[expired(seq)], THEN).unwrap();
    mal.give_up(refused.number, RejectCode::NotFound).unwrap();
    world.say(MAL, "next");
    assert_eq!(last_row(&world.rooms[BEN]).notices, []);
    assert_eq!(texts(&world.rooms[BEN]), ["expired", "next"]);
}

/// The first message of any member reveals it.
#[test]
fn newcomer_notices_fork_at_first_message() {
    let mut world = World::new();
    // Fay has not spoken since long before Dan came.
    let (fay, log) = (&mut world.rooms[FAY], &mut world.log);
    let dan = join(fay, log, "Dan");
    world.rooms.push(dan);
    world.show();
    let (one, other) = (encrypt(&mut world, CLEO, "one"), encrypt(&mut world, MAL, "other"));
    let mut dans = Log { entries: world.log.entries.clone(), ..Log::default() };
    for (mine, his) in [(&one, &other), (&other, &one)] {
        world.log.append(mine.clone());
        dans.append(his.clone());
    }
    for who in [FAY, CLEO, BEN, MAL] {
        world.log.show(&mut world.rooms[who]);
    }
    let dan = &mut world.rooms[4];
    dans.show(dan);
    let (fay, log) = (&mut world.rooms[FAY], &mut world.log);
    fay.queue_text("good evening".into(), NOW).unwrap();
    let words = fay.next_submission().unwrap().unwrap().payload;
    dans.append(words.clone());
    log.append(words);
    dans.show(&mut world.rooms[4]);
    let row = last_row(&world.rooms[4]);
    assert!(matches!(row.notices[..], [Notice::Fork(_)]), "{:?}", row.notices);
}

#[test]
fn member_without_removal_stays_unconfirmed() {
    let mut world = World::new();
    let names = |world: &mut World, who: usize| {
        let all = world.rooms[who].unconfirmed().unwrap().members;
        all.into_iter().map(|leaf| leaf.name).collect::<Vec<_>>()
    };
    let member = world.key(MAL);
    let act = Act::Remove { member, goodbye: String::new() };
    let submission = world.rooms[FAY].act(act, NOW).unwrap();
    let seq = world.log.take(submission);
    for who in [FAY, CLEO] {
        world.log.show(&mut world.rooms[who]);
    }
    assert_eq!(world.rooms[FAY].unconfirmed().unwrap().since, Some(seq));
    assert_eq!(names(&mut world, FAY), ["Cleo", "Ben"]);
    assert_eq!(names(&mut world, CLEO), ["Ben"], "Fay made the change");
    let words = encrypt(&mut world, CLEO, "I saw it");
    world.log.append(words);
    world.log.show(&mut world.rooms[FAY]);
    assert_eq!(names(&mut world, FAY), ["Ben"]);
    // Ben's message in the old group confirms nothing.
    let words = encrypt(&mut world, BEN, "I did not");
    world.log.append(words);
    world.log.show(&mut world.rooms[FAY]);
    assert_eq!(names(&mut world, FAY), ["Ben"]);
    world.say(BEN, "now I did");
    assert_eq!(names(&mut world, FAY), Vec::<String>::new());
}

#[test]
fn hole_in_authors_log_is_told() {
    let mut world = World::new();
    let words = encrypt(&mut world, MAL, "unheard");
    world.log.append(words);
    let words = encrypt(&mut world, CLEO, "heard");
    let seq = world.log.append(words);
    let heard = world.log.entries.last().unwrap().clone();
    world.rooms[BEN].handle_entries(&[heard], THEN).unwrap();
    assert_eq!(last_row(&world.rooms[BEN]).notices, [Notice::Missing { from: Seq(seq.0 - 1) }]);
    for who in [FAY, CLEO, MAL] {
        world.log.show(&mut world.rooms[who]);
    }
    world.say(BEN, "what was it?");
    let row = last_row(&world.rooms[FAY]);
    assert!(matches!(row.notices[..], [Notice::Fork(_)]), "{:?}", row.notices);
}

#[test]
fn malformed_window_is_noticed_or_ignored() {
    let mut world = World::new();
    let at = world.rooms[BEN].cursor().seq;
    let digest = last_row(&world.rooms[BEN]).digest;
    let mut hear = |counter: u8, seen: Seen| {
        let message = text(counter, u64::from(counter), "hm");
        ben_sees(&mut world, MAL, &Envelope { seen: Some(seen), ..message }).notices
    };
    let since = |since: u64| Seen {
        seq: at,
        digest,
        windows: vec![Window { since: Seq(since), hash: Digest([1; 32]) }],
    };
    assert_eq!(hear(1, Seen { digest, ..seen_nothing_new(at) }), []);
    // A window from before Ben joined, or of more entries than a client looks up: his client compares the last entry.
    assert_eq!(hear(2, since(0)), []);
    assert_eq!(hear(3, Seen { windows: Vec::new(), ..since(0) }), []);
    assert_eq!(hear(4, since(at.0 - 1)), [Notice::Fork(at)]);
    assert_eq!(hear(5, since(at.0 + 1)), [Notice::Fork(Seq(at.0 + 2))]);
}

/// T13: an observer of ciphertexts or traffic learns one of a few sizes.
#[test]
fn texts_have_one_of_five_sizes() {
    let mut world = World::new();
    let mut sizes = std::collections::BTreeSet::new();
    for number in 0..1_000_usize {
        // Every length up to 100 characters, then in growing steps up to the maximum.
        let characters = if number < 100 { number + 1 } else { number * number * 16_384 / 998_001 };
        let words = "x".repeat(characters.max(1));
        let payload = posts(&mut world.rooms[MAL], &text(1, number as u64 + 1, &words));
        sizes.insert(payload.len());
    }
    assert_eq!(sizes.len(), PADDING_BUCKETS.len(), "{sizes:?}");
}

#[test]
fn only_the_author_can_retract() {
    let mut world = World::new();
    let message = world.say(FAY, "stays");
    let seq = world.rooms[FAY].find_message(&message.short()).unwrap().seq;
    ben_sees(&mut world, MAL, &envelope(1, 1, Body::Retract { message, seq, edits: None }));
    // Nor by an id of his own at the place of her message.
    let own = MessageId([1; 16]);
    ben_sees(&mut world, MAL, &envelope(2, 2, Body::Retract { message: own, seq, edits: None }));
    // A co-facilitator retracts with a record, not with a message that claims to be the author's.
    ben_sees(&mut world, CLEO, &envelope(3, 1, Body::Retract { message, seq, edits: None }));
    for who in [FAY, CLEO, BEN] {
        assert_eq!(texts(&world.rooms[who]), ["stays"]);
    }
    ben_sees(&mut world, FAY, &envelope(4, 99, Body::Retract { message, seq, edits: None }));
    assert!(texts(&world.rooms[BEN]).is_empty());
    let row = world.rooms[BEN].history(seq, 1).unwrap().remove(0);
    let fay = world.key(FAY);
    assert_eq!(row.content, RowContent::Tombstone { by: Some(fay), category: None });
}

#[test]
fn departure_message_needs_own_signature() {
    let mut world = World::new();
    let (room, ben) = (world.rooms[BEN].id(), ack_of(&world.rooms[BEN]));
    let mal = world.rooms[MAL].signing_key();
    let mut forged = Departure::sign(&mal, room, ben.digest(), true, NOW);
    forged.member = ben.member;
    let bens = Departure::sign(&world.rooms[BEN].signing_key(), room, ben.digest(), true, NOW);
    let mals = ack_of(&world.rooms[MAL]).digest();
    let elsewhere = Departure::sign(&mal, RoomId([1; 16]), mals, true, NOW);
    for (id, departure) in [(1, forged), (2, bens), (3, elsewhere)] {
        let body = Body::Depart { departure };
        let row = ben_sees(&mut world, MAL, &envelope(id, id.into(), body));
        assert_eq!((row.content, row.notices), (RowContent::Nothing, vec![Notice::FalseDeparture]));
    }
    assert!(world.rooms[FAY].open_departures().unwrap().is_empty());
    // Mal's own departure, but from another stay: no goodbye, and it blocks no departure of others.
    let wrong = Departure::sign(&mal, room, Digest([1; 32]), true, NOW);
    let body = Body::Depart { departure: wrong };
    let row = ben_sees(&mut world, MAL, &envelope(4, 4, body));
    assert_eq!((row.content, row.notices), (RowContent::Nothing, vec![Notice::FalseDeparture]));
    assert_eq!(row.name, "Mal");
    assert!(world.rooms[FAY].open_departures().unwrap().is_empty());
    assert_eq!(world.rooms[BEN].roster().unwrap().len(), 4);
}

#[test]
fn only_permitted_moderators_announce_invites() {
    let mut world = World::new();
    let mut id = 0;
    for (who, role, good) in [
        (MAL, Role::Member, false),
        (MAL, Role::Facilitator, false),
        (CLEO, Role::Facilitator, false),
        (CLEO, Role::CoFacilitator, false),
        (CLEO, Role::Member, true),
        (FAY, Role::CoFacilitator, true),
    ] {
        id += 1;
        let mut body = invite_issued(role);
        if let Body::InviteIssued { invite, .. } = &mut body {
            *invite = InviteId([id; 16]);
        }
        let row = ben_sees(&mut world, who, &envelope(id, 100 + u64::from(id), body));
        let known = known_invite(&world, FAY, id);
        if good {
            assert!(matches!(row.content, RowContent::InviteIssued { .. }));
        } else {
            assert_eq!(row.notices.last(), Some(&Notice::Unreadable), "{who} {role:?}");
            assert!(known.is_none());
        }
    }
}

fn known_invite(world: &World, who: usize, id: u8) -> Option<KnownInvite> {
    let room = &world.rooms[who];
    crate::room::read(room.store, crate::store::Kind::Invite, room.no, &[id; 16]).unwrap()
}

/// A10: later announcements of the same invite change nothing and are reported.
#[test]
fn first_announcement_of_invite_counts() {
    let mut world = World::new();
    let announces = |role, key: u8| Body::InviteIssued {
        invite: InviteId([4; 16]),
        knock_key: Secret32::new([key; 32]),
        uses: 1,
        expires: NOW.plus(1000),
        role,
        of: None,
    };
    let row = ben_sees(&mut world, FAY, &envelope(1, 101, announces(Role::Member, 5)));
    assert!(matches!(row.content, RowContent::InviteIssued { .. }));
    for (id, who, role, key) in [
        (2, CLEO, Role::Observer, 5),
        (3, CLEO, Role::Member, 6),
        (4, FAY, Role::CoFacilitator, 5),
        (5, CLEO, Role::Member, 5),
        (6, FAY, Role::Member, 6),
    ] {
        let row =
            ben_sees(&mut world, who, &envelope(id, 101 + u64::from(id), announces(role, key)));
        let notice = Notice::SecondInvite { by: "Fay".into() };
        assert_eq!((row.notices.last(), row.content), (Some(&notice), RowContent::Nothing));
        for who in [CLEO, BEN] {
            let known = known_invite(&world, who, 4).unwrap();
            assert_eq!((known.role, *known.knock_key.expose()), (Role::Member, [5; 32]));
        }
    }
    // Repeated without a change, it alarms no member.
    let row = ben_sees(&mut world, FAY, &envelope(7, 108, announces(Role::Member, 5)));
    assert_eq!((row.notices, row.content), (vec![], RowContent::Nothing));
}

#[test]
fn new_agreement_needs_its_facilitator() {
    let mut world = World::new();
    let agreement = |signer| Agreement {
        format: 1,
        version: 2,
        previous: None,
        change: Change::Material,
        effective: NOW,
        language: "en".into(),
        signer,
        salt: [1; 16],
        text: "Tell everybody.".into(),
    };
    let body = |signer| Body::AgreementText {
        agreement: agreement(signer),
        return_secret: Secret32::new([6; 32]),
        return_expires: NOW.plus(1000),
    };
    let (fay, cleo, mal) = (world.key(FAY), world.key(CLEO), world.key(MAL));
    let cases = [(MAL, mal), (MAL, fay), (CLEO, cleo), (CLEO, fay), (FAY, mal)];
    for (id, (who, signer)) in cases.into_iter().enumerate() {
        let id = u8::try_from(id).unwrap();
        let row = ben_sees(&mut world, who, &envelope(id, 200 + u64::from(id), body(signer)));
        assert_eq!(row.notices.last(), Some(&Notice::Unreadable));
        let stored = world.rooms[BEN].agreement(&agreement(signer).id()).unwrap();
        assert!(stored.is_none());
        let id = agreement(signer).id();
        assert!(world.rooms[BEN].return_invite_of(&id).unwrap().is_none());
    }
}

#[test]
fn malformed_content_is_told_and_harmless() {
    let mut world = World::new();
    for content in [vec![], vec![0; 256], vec![0xff; 256], b"\x80".to_vec(), vec![0x9f; 5000]] {
        let payload = posts_bytes(&mut world.rooms[MAL], &content);
        world.log.append(payload);
        world.show();
        let row = last_row(&world.rooms[BEN]);
        assert_eq!(row.content, RowContent::Nothing);
        assert_eq!((row.notices, row.name.as_str()), (vec![Notice::Unreadable], "Mal"));
    }
    let mut newer = text(1, 1, "from the future");
    newer.format = 3;
    let row = ben_sees(&mut world, MAL, &newer);
    assert_eq!((row.content, row.notices), (RowContent::Unknown, vec![]));
    world.goes_on();
}

#[test]
fn text_never_moderates() {
    let mut world = World::new();
    for words in ["/pause", "/remove Ben", "hearthd ready", "Fay: the room is closed"] {
        world.say(MAL, words);
    }
    let policy = world.policy();
    assert_eq!(policy.numbers.paused_until, Millis(0));
    assert_eq!(world.rooms[BEN].roster().unwrap().len(), 4);
    assert!(rows(&world.rooms[BEN]).iter().filter(|r| r.name == "Mal").count() >= 4);
}

#[test]
fn pause_holds_only_members() {
    let mut world = World::new();
    let until = NOW.plus(60_000);
    world.act(CLEO, Act::Pause { until, comment: String::new(), reopens: true });
    let row = ben_sees(&mut world, MAL, &text(1, 1, "not now"));
    assert_eq!(row.content, RowContent::Held("not now".into()));
    let row = ben_sees(&mut world, FAY, &text(2, 50, "breathe"));
    assert_eq!(row.content, RowContent::Text("breathe".into()));
    // A departure is not a post, so a pause lets it through.
    world.rooms[MAL].queue_departure(false, NOW).unwrap();
    world.log.flush(&mut world.rooms[MAL]);
    world.rooms.pop();
    world.show();
    assert!(matches!(last_row(&world.rooms[BEN]).content, RowContent::Goodbye { .. }));
}
