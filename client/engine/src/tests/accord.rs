//! Compares what the relay says with what members signed, and tries modified members against the rules.

use hearth_protocol::{
    Commitment, Digest, MemberKey, RejectCode, StreamId,
    frame::{Door, RoomStatus, RosterRow},
    hours::{Hours, Offset, Window},
};

use super::{
    messages::{ben_sees, envelope, posts_marked, text},
    world::*,
    *,
};
use crate::clock::Moment;
use crate::{
    accord::{Mismatch, Reason},
    agreement::{Departure, commitment},
    content::{Body, Envelope},
    error::EngineError,
    policy::{Act, Category, RuleError},
    state::Notice,
};

const STREAM: StreamId = StreamId([9; 16]);
const AT_NOW: Moment = Moment::agreed(NOW);
const LATER: Millis = Millis(NOW.0 + 3_600_000);

/// The status of an honest relay, with the roster for members who moderate.
fn status(world: &mut World, who: usize) -> RoomStatus {
    let head = Seq(world.log.entries.len() as u64);
    let room = &mut world.rooms[who];
    if room.cursor().stream.is_none() {
        room.accept_stream(STREAM).unwrap();
    }
    let (policy, me) = (room.policy().unwrap(), room.me());
    let until = |room: &TestRoom, member: &MemberKey| {
        room.recorded_time_out(member).unwrap().unwrap_or(Millis(0))
    };
    let roster = room.roster().unwrap().into_iter().map(|leaf| RosterRow {
        member: leaf.member,
        role: policy.role(&leaf.member),
        timed_out_until: until(room, &leaf.member),
        left: false,
    });
    let roster: Vec<RosterRow> = roster.collect();
    RoomStatus {
        stream: STREAM,
        floor: Seq(0),
        head,
        epoch: room.epoch().unwrap(),
        control: 1,
        numbers: policy.numbers.clone(),
        agreement: commitment(&room.id(), &policy.agreement.id),
        timed_out_until: until(room, &me),
        knocks: 0,
        roster: if policy.role(&me).moderates() { roster } else { Vec::new() },
    }
}

/// Compares an altered status and returns the mismatches.
fn compared(world: &mut World, who: usize, alter: impl FnOnce(&mut RoomStatus)) -> Vec<Mismatch> {
    let mut status = status(world, who);
    alter(&mut status);
    let room = &mut world.rooms[who];
    let role = room.my_role().unwrap();
    let own = status.roster.is_empty().then_some(role);
    assert!(room.compare(&status, own, NOW).unwrap(), "there is something to compare");
    room.mismatches().unwrap()
}

fn row(status: &mut RoomStatus, member: MemberKey) -> &mut RosterRow {
    status.roster.iter_mut().find(|row| row.member == member).unwrap()
}

#[test]
fn honest_relay_is_not_accused() {
    let mut world = World::new();
    let ben = world.key(BEN);
    let hours = Hours {
        windows: vec![Window { start_minute: 60, end_minute: 120 }],
        offsets: vec![Offset { from: Millis(0), minutes: 60 }],
    };
    for act in [
        Act::Pause { until: LATER, comment: String::new(), reopens: true },
        Act::Slow(30),
        Act::Budget(5),
        Act::Length(400),
        Act::Lock(true),
        Act::Hours { text: "Mon".into(), hours: Some(hours) },
        Act::Door(Door::Open),
        Act::Expire(7_200),
        Act::SetRole { member: ben, role: Role::Observer },
        Act::Resume,
        Act::Rekey,
    ] {
        world.act(FAY, act);
        for who in [FAY, CLEO, BEN, MAL] {
            assert_eq!(compared(&mut world, who, |_| {}), []);
        }
    }
}

#[test]
fn each_difference_is_told_once() {
    type Alter = fn(&mut RoomStatus);
    let lies: Vec<(Alter, &str)> = vec![
        (|s| s.numbers.paused_until = LATER, "relay_pause"),
        (|s| s.numbers.locked = true, "relay_lock"),
        (|s| s.numbers.door = Door::Closed, "relay_door"),
        (|s| s.numbers.slow_seconds = 3600, "relay_slow"),
        (|s| s.numbers.budget_per_day = 1, "relay_budget"),
        (|s| s.numbers.payload_bytes_max = 700, "relay_length"),
        (|s| s.numbers.retention_seconds = 60, "relay_retention"),
        (|s| s.agreement = Commitment([1; 32]), "relay_agreement"),
        (|s| s.timed_out_until = LATER, "relay_timeout"),
    ];
    let mut world = World::new();
    for (lie, word) in lies {
        for who in [FAY, BEN] {
            let found = compared(&mut world, who, lie);
            if (who, word) == (FAY, "relay_timeout") {
                // The relay refuses no post of a moderator because of a time-out.
                assert_eq!(found, []);
                continue;
            }
            assert_eq!(found.iter().map(Mismatch::as_str).collect::<Vec<_>>(), [word]);
            assert!(found[0].is_alarm());
            assert_eq!(world.rooms[who].untold().unwrap(), found);
            world.rooms[who].mark_told().unwrap();
            assert_eq!(compared(&mut world, who, lie), found);
            assert_eq!(world.rooms[who].untold().unwrap(), [], "{word} lasts");
            // The next process reads what this one stored.
            let (store, crypto, name) = world.rooms[who].parts();
            let again = Room::open(store, crypto, &name).unwrap();
            assert_eq!(
                (again.untold().unwrap(), again.mismatches().unwrap()),
                (vec![], found.clone())
            );
            assert_eq!(compared(&mut world, who, |_| {}), []);
            compared(&mut world, who, lie);
            assert_eq!(world.rooms[who].untold().unwrap(), found, "{word} came back");
            compared(&mut world, who, |_| {});
        }
    }
}

#[test]
fn status_of_another_entry_is_ignored() {
    let mut world = World::new();
    let mut status = status(&mut world, BEN);
    status.numbers.slow_seconds = 9;
    let room = &mut world.rooms[BEN];
    for head in [status.head.0 - 1, status.head.0 + 1] {
        let other = RoomStatus { head: Seq(head), ..status.clone() };
        assert!(!room.compare(&other, None, NOW).unwrap());
    }
    let other = RoomStatus { stream: StreamId([1; 16]), ..status.clone() };
    assert!(!room.compare(&other, None, NOW).unwrap());
    room.renew(None, NOW).unwrap();
    assert!(!room.compare(&status, None, NOW).unwrap(), "a change of ours is under way");
    assert_eq!(room.mismatches().unwrap(), []);
}

/// The ends of pauses and time-outs that are over do not count as mismatches.
#[test]
fn past_ends_are_no_mismatch() {
    let mut world = World::new();
    let ben = world.key(BEN);
    for who in [FAY, BEN] {
        let found = compared(&mut world, who, |status| {
            status.numbers.paused_until = NOW;
            status.timed_out_until = Millis(5);
            if let Some(row) = status.roster.iter_mut().find(|row| row.member == ben) {
                row.timed_out_until = NOW;
            }
        });
        assert_eq!(found, []);
    }
}

#[test]
fn false_roster_is_told() {
    let mut world = World::new();
    let (ben, mal) = (world.key(BEN), world.key(MAL));
    let stranger = nobody();
    for who in [FAY, CLEO] {
        let found = compared(&mut world, who, |s| s.roster.retain(|row| row.member != ben));
        assert_eq!(found, [Mismatch::Lacking { member: ben }]);
        let found = compared(&mut world, who, |s| {
            let row = RosterRow {
                member: stranger,
                role: Role::Member,
                timed_out_until: Millis(0),
                left: false,
            };
            s.roster.push(row);
        });
        assert_eq!(found, [Mismatch::Stranger { member: stranger }]);
        let found = compared(&mut world, who, |s| row(s, mal).role = Role::Facilitator);
        let what =
            Mismatch::Role { member: mal, relay: Some(Role::Facilitator), room: Role::Member };
        assert_eq!(found, [what]);
        let me = world.key(who);
        let room = world.rooms[who].my_role().unwrap();
        let found = compared(&mut world, who, |s| s.roster.clear());
        assert_eq!(found, [], "asked for, the relay says the role");
        let status = RoomStatus { roster: Vec::new(), ..status(&mut world, who) };
        world.rooms[who].compare(&status, Some(Role::Member), NOW).unwrap();
        let what = Mismatch::Role { member: me, relay: Some(Role::Member), room };
        assert_eq!(world.rooms[who].mismatches().unwrap(), [what]);
    }
    // The relay states a wrong role for a plain member.
    let status = status(&mut world, BEN);
    world.rooms[BEN].compare(&status, Some(Role::Observer), NOW).unwrap();
    let what = Mismatch::Role { member: ben, relay: Some(Role::Observer), room: Role::Member };
    assert_eq!(world.rooms[BEN].mismatches().unwrap(), std::slice::from_ref(&what));
    // The mismatch lasts until the relay says otherwise.
    world.rooms[BEN].compare(&status, None, NOW).unwrap();
    assert_eq!(world.rooms[BEN].mismatches().unwrap(), [what]);
    world.rooms[BEN].compare(&status, Some(Role::Member), NOW).unwrap();
    assert_eq!(world.rooms[BEN].mismatches().unwrap(), []);
}

/// Gives a time-out: queues its note, then commits its record.
fn gives_time_out(world: &mut World, who: usize, whom: usize, until: Millis) {
    let member = world.key(whom);
    let room = &mut world.rooms[who];
    let time_out = room.queue_time_out(member, until, "Rest.".into(), NOW).unwrap();
    world.log.flush(room);
    let submission = room.time_out(&time_out, NOW).unwrap();
    world.log.take(submission);
    world.show();
}

#[test]
fn time_outs_are_compared_with_notes() {
    let mut world = World::new();
    let ben = world.key(BEN);
    // A member who joined later accepts the existing time-outs once.
    for who in [FAY, CLEO] {
        assert_eq!(compared(&mut world, who, |_| {}), []);
    }
    gives_time_out(&mut world, CLEO, BEN, LATER);
    for who in [FAY, CLEO, BEN, MAL] {
        assert_eq!(compared(&mut world, who, |_| {}), []);
    }
    let lifted = Mismatch::TimeOut { member: ben, relay: Millis(0), room: LATER };
    let longer = Mismatch::TimeOut { member: ben, relay: LATER.plus(1), room: LATER };
    for who in [FAY, CLEO] {
        let found = compared(&mut world, who, |s| row(s, ben).timed_out_until = Millis(0));
        assert_eq!(found, std::slice::from_ref(&lifted));
        let found = compared(&mut world, who, |s| row(s, ben).timed_out_until = LATER.plus(1));
        assert_eq!(found, std::slice::from_ref(&longer));
    }
    assert_eq!(compared(&mut world, BEN, |s| s.timed_out_until = LATER.plus(1)), [longer]);
    gives_time_out(&mut world, FAY, BEN, Millis(0));
    for who in [FAY, CLEO, BEN] {
        assert_eq!(compared(&mut world, who, |_| {}), []);
    }
    let made_up = Mismatch::TimeOut { member: ben, relay: LATER, room: Millis(0) };
    assert_eq!(
        compared(&mut world, BEN, |s| s.timed_out_until = LATER),
        std::slice::from_ref(&made_up)
    );
    assert_eq!(compared(&mut world, FAY, |s| row(s, ben).timed_out_until = LATER), [made_up]);
}

#[test]
fn member_without_note_accuses_nobody() {
    let mut world = World::new();
    let (ben, mal) = (world.key(BEN), world.key(MAL));
    compared(&mut world, FAY, |_| {});
    // Cleo has no note of a time-out from before she moderated.
    let found = compared(&mut world, CLEO, |s| row(s, ben).timed_out_until = LATER);
    assert_eq!(found, []);
    let found = compared(&mut world, CLEO, |s| row(s, ben).timed_out_until = LATER);
    assert_eq!(found, [], "and it lasts");
    let found = compared(&mut world, CLEO, |s| row(s, mal).timed_out_until = LATER);
    assert_eq!(found.len(), 1, "a new one is not excused");
    compared(&mut world, CLEO, |_| {});
    // None of Cleo's notes opens this record: a time-out of some member changed.
    world.act(FAY, Act::Timeout(Digest([3; 32])));
    let both = |s: &mut RoomStatus| row(s, mal).timed_out_until = LATER.plus(7);
    assert_eq!(compared(&mut world, CLEO, both), []);
    // A member's own time-out is still reported, because its note always arrives.
    let found = compared(&mut world, BEN, |s| s.timed_out_until = LATER);
    assert_eq!(found.len(), 1);
    // Unless that note may have expired unread.
    compared(&mut world, BEN, |_| {});
    world.log.append(vec![1]);
    let head = Seq(world.log.entries.len() as u64);
    world.rooms[BEN].handle_entries(&[expired(head)], AT_NOW).unwrap();
    assert_eq!(compared(&mut world, BEN, |s| s.timed_out_until = LATER), []);
    assert_eq!(compared(&mut world, BEN, |s| s.timed_out_until = LATER), []);
    assert_eq!(compared(&mut world, BEN, |s| s.timed_out_until = LATER.plus(1)).len(), 1);
}

#[test]
fn moderator_has_no_time_out() {
    let mut world = World::new();
    let member = world.key(BEN);
    gives_time_out(&mut world, FAY, BEN, LATER);
    world.act(FAY, Act::SetRole { member, role: Role::CoFacilitator });
    let lifted = |s: &mut RoomStatus| row(s, member).timed_out_until = Millis(0);
    assert_eq!(compared(&mut world, FAY, lifted), []);
    world.act(FAY, Act::SetRole { member, role: Role::Member });
    assert_eq!(compared(&mut world, FAY, lifted), []);
    assert_eq!(compared(&mut world, BEN, |s| s.timed_out_until = Millis(0)), []);
    assert_eq!(world.rooms[BEN].state().timed_out_until, Millis(0));
}

/// Delivers the new entries to a member, with tombstones in place of some.
fn show_retracted(world: &mut World, who: usize, gone: &[Seq]) {
    let after = world.rooms[who].cursor().seq;
    let mut entries: Vec<Entry> =
        world.log.entries.iter().filter(|e| e.seq > after).cloned().collect();
    for entry in entries.iter_mut().filter(|entry| gone.contains(&entry.seq)) {
        entry.content = EntryContent::Tombstone(entry.content.digest());
    }
    world.rooms[who].handle_entries(&entries, AT_NOW).unwrap();
}

#[test]
fn unexplained_tombstone_is_told() {
    let mut world = World::new();
    let [one, two, three] = ["one", "two", "three"].map(|words| {
        let room = &mut world.rooms[MAL];
        say(room, &mut world.log, words);
        room.cursor().seq
    });
    world.rooms[MAL].queue_own_retraction(one, NOW).unwrap();
    world.log.flush(&mut world.rooms[MAL]);
    world.log.show(&mut world.rooms[FAY]);
    let message = world.rooms[FAY].row(two).unwrap().unwrap().id.unwrap();
    let act = Act::Retract { message, seq: two, category: Category::Conduct };
    let submission = world.rooms[FAY].act(act, NOW).unwrap();
    world.log.take(submission);
    show_retracted(&mut world, BEN, &[one, two]);
    assert_eq!(compared(&mut world, BEN, |_| {}), []);
    let of = |world: &World, who: usize, seq| world.rooms[who].row(seq).unwrap().unwrap().content;
    let (fay, mal) = (world.key(FAY), world.key(MAL));
    let by_author = RowContent::Tombstone { by: Some(mal), category: None };
    assert_eq!(of(&world, BEN, one), by_author);
    let by_fay = RowContent::Tombstone { by: Some(fay), category: Some(Category::Conduct) };
    assert_eq!(of(&world, BEN, two), by_fay);
    // The relay retracts the third on its own, for Cleo only.
    show_retracted(&mut world, CLEO, &[one, two, three]);
    let what = Mismatch::Retracted { place: three };
    assert_eq!(compared(&mut world, CLEO, |_| {}), std::slice::from_ref(&what));
    assert!(what.is_alarm() && what.lasts());
    // Another member's retraction explains nothing to members who have the message.
    let message = world.rooms[BEN].row(three).unwrap().unwrap().id.unwrap();
    let body = Body::Retract { message, seq: three, edits: None };
    world.log.show(&mut world.rooms[MAL]);
    world.log.show(&mut world.rooms[FAY]);
    let sees = ben_sees(&mut world, CLEO, &envelope(9, 1, body));
    assert_eq!((sees.notices, sees.content), (vec![Notice::FalseRetraction], RowContent::Nothing));
    assert_eq!(of(&world, BEN, three), RowContent::Text("three".into()));
}

#[test]
fn tombstone_of_expired_retraction_is_accepted() {
    let mut world = World::new();
    say(&mut world.rooms[MAL], &mut world.log, "one");
    let one = world.rooms[MAL].cursor().seq;
    show_retracted(&mut world, BEN, &[one]);
    world.log.append(vec![1]);
    let head = Seq(world.log.entries.len() as u64);
    world.rooms[BEN].handle_entries(&[expired(head)], AT_NOW).unwrap();
    assert_eq!(compared(&mut world, BEN, |_| {}), []);
}

/// A2: a marked entry can only be a retraction or a departure, and an unmarked one can be neither.
#[test]
fn marked_entry_carries_no_text() {
    let mut world = World::new();
    let own = world.say(MAL, "mine");
    let seq = Seq(world.log.entries.len() as u64);
    let words = codec_of(&text(7, 2, "past the rules"));
    let marked = posts_marked(&mut world.rooms[MAL], &marked_padding(&words), true);
    let departure = own_departure(&world, MAL);
    let unmarked = [
        envelope(8, 3, Body::Retract { message: own, seq, edits: None }),
        envelope(9, 4, Body::Depart { departure }),
    ];
    let mut payloads = vec![marked];
    for envelope in &unmarked {
        let padded = hearth_protocol::padding::pad(&codec_of(envelope)).unwrap();
        payloads.push(posts_marked(&mut world.rooms[MAL], &padded, false));
    }
    for payload in payloads {
        world.log.append(payload);
        world.show();
        for who in [FAY, CLEO, BEN] {
            let row = last_row(&world.rooms[who]);
            assert_eq!((row.name.as_str(), row.content), ("Mal", RowContent::Nothing));
            assert_eq!(row.notices, [Notice::Mark]);
        }
    }
    assert_eq!(texts(&world.rooms[BEN]), ["mine"]);
    assert_eq!(world.rooms[FAY].open_departures().unwrap(), []);
    assert_eq!(world.rooms[BEN].roster().unwrap().len(), 4);
}

fn codec_of(envelope: &Envelope) -> Vec<u8> {
    hearth_protocol::codec::encode(envelope)
}

fn marked_padding(bytes: &[u8]) -> Vec<u8> {
    hearth_protocol::padding::pad_marked(bytes).unwrap()
}

fn own_departure(world: &World, who: usize) -> Departure {
    let room = &world.rooms[who];
    let digest = ack_of(room).digest();
    Departure::sign(&room.signing_key(), room.id(), digest, false, NOW)
}

/// A4: a client reports once that the relay does not carry a departure out, and blames no member.
#[test]
fn refused_departure_is_told_once() {
    let mut world = World::new();
    let (departure, member) = (own_departure(&world, MAL), world.key(MAL));
    let body = Body::Depart { departure: departure.clone() };
    ben_sees(&mut world, MAL, &envelope(1, 1, body));
    assert_eq!(world.rooms[BEN].departing().unwrap(), [member]);
    let room = &mut world.rooms[BEN];
    assert!(!room.is_departure_refused(&member, NOW).unwrap());
    room.departure_refused(&departure, NOW).unwrap();
    let what = Mismatch::StillIn { member };
    assert!(!what.is_alarm());
    assert_eq!(room.untold().unwrap(), std::slice::from_ref(&what));
    room.mark_told().unwrap();
    room.departure_refused(&departure, NOW).unwrap();
    assert_eq!(room.untold().unwrap(), []);
    assert!(room.is_departure_refused(&member, NOW.plus(3_599_999)).unwrap());
    assert!(!room.is_departure_refused(&member, NOW.plus(3_600_000)).unwrap());
    assert!(!room.is_departure_refused(&member, Millis(NOW.0 - 1)).unwrap());
    assert_eq!(compared(&mut world, BEN, |_| {}), [what]);
    assert_eq!(world.rooms[BEN].untold().unwrap(), []);
    // The relay marks members as left: Cleo did not leave, Mal did.
    let (cleo, mal) = (world.key(CLEO), member);
    compared(&mut world, FAY, |_| {});
    assert_eq!(compared(&mut world, FAY, |s| row(s, mal).left = true), []);
    let found = compared(&mut world, FAY, |s| row(s, cleo).left = true);
    assert_eq!(found, [Mismatch::Left { member: cleo }]);
    world.act(CLEO, Act::Depart(departure));
    world.rooms.remove(MAL);
    assert_eq!(compared(&mut world, BEN, |_| {}), []);
}

/// A7: an id that two messages share names neither alone; the places tell them apart.
#[test]
fn messages_with_one_id_stay_distinct() {
    let mut world = World::new();
    let pinned = world.say(FAY, "the first");
    let first = Seq(world.log.entries.len() as u64);
    let row = ben_sees(&mut world, MAL, &Envelope { id: pinned, ..text(1, 1, "another") });
    let second = row.seq;
    assert_eq!(row.content, RowContent::Text("another".into()));
    assert_eq!(row.notices, [Notice::SameId { seq: first, by: "Fay".into() }]);
    let room = &world.rooms[BEN];
    let Err(EngineError::SeveralMessages { fits, .. }) = room.find_message(&pinned.short()) else {
        panic!("two fit");
    };
    assert_eq!(fits.to_string(), format!("number {second} by Mal, number {first} by Fay"));
    for (wanted, seq) in
        [(format!("#{first}"), first), (first.to_string(), first), (second.to_string(), second)]
    {
        assert_eq!(room.find_message(&wanted).unwrap().seq, seq, "{wanted}");
    }
    for wanted in ["#0", "#999999", "0", "#", "#x", ""] {
        let found = room.find_message(wanted);
        assert!(matches!(found, Err(EngineError::NoSuchMessage(_))), "{wanted} {found:?}");
    }
    assert_eq!(world.rooms[FAY].own_message(&pinned).unwrap().seq, first);
    assert_eq!(world.rooms[CLEO].find_messages(&pinned.to_hex()).unwrap().len(), 2);
    // An author's retraction by place and id removes only their own message.
    let body = Body::Retract { message: pinned, seq: second, edits: None };
    ben_sees(&mut world, MAL, &envelope(5, 2, body));
    assert_eq!(texts(&world.rooms[BEN]), ["the first"]);
}

#[test]
fn refusal_has_recorded_reason_or_none() {
    let mut world = World::new();
    let reason = |world: &mut World, code, at| world.rooms[BEN].reason(code, at, NOW).unwrap();
    for code in [
        RejectCode::TimedOut,
        RejectCode::Paused,
        RejectCode::SlowMode,
        RejectCode::BudgetSpent,
        RejectCode::TooLong,
        RejectCode::Closed,
        RejectCode::Observer,
        RejectCode::Locked,
    ] {
        assert_eq!(reason(&mut world, code, Some(LATER)), Reason::Unrecorded, "{code:?}");
    }
    assert_eq!(reason(&mut world, RejectCode::RateLimited, None), Reason::Unknown);
    gives_time_out(&mut world, FAY, BEN, LATER);
    let timed_out = RejectCode::TimedOut;
    assert_eq!(reason(&mut world, timed_out, Some(LATER)), Reason::Recorded);
    assert_eq!(reason(&mut world, timed_out, None), Reason::Recorded);
    assert_eq!(reason(&mut world, timed_out, Some(LATER.plus(1))), Reason::Unrecorded);
    world.act(FAY, Act::Pause { until: LATER, comment: String::new(), reopens: true });
    world.act(FAY, Act::Slow(9));
    world.act(FAY, Act::Budget(9));
    world.act(FAY, Act::Length(9));
    world.act(FAY, Act::Door(Door::Closed));
    world.act(FAY, Act::Lock(true));
    let member = world.key(BEN);
    world.act(FAY, Act::SetRole { member, role: Role::Observer });
    for code in [
        RejectCode::Paused,
        RejectCode::SlowMode,
        RejectCode::BudgetSpent,
        RejectCode::TooLong,
        RejectCode::Closed,
        RejectCode::Observer,
        RejectCode::Locked,
    ] {
        assert_eq!(reason(&mut world, code, None), Reason::Recorded, "{code:?}");
    }
}

#[test]
fn one_commit_restores_the_rules() {
    let mut world = World::new();
    let (fay, cleo, ben, mal) = (world.key(FAY), world.key(CLEO), world.key(BEN), world.key(MAL));
    world.act(FAY, Act::Slow(30));
    gives_time_out(&mut world, FAY, BEN, LATER);
    compared(&mut world, FAY, |_| {});
    let honest = status(&mut world, FAY);
    assert!(matches!(
        world.rooms[FAY].restore(&honest, NOW),
        Err(EngineError::Rule(RuleError::Nothing))
    ));
    let mut lied = honest.clone();
    lied.numbers.slow_seconds = 0;
    lied.numbers.retention_seconds = 60;
    lied.agreement = Commitment([1; 32]);
    row(&mut lied, ben).timed_out_until = Millis(0);
    row(&mut lied, mal).role = Role::Facilitator;
    row(&mut lied, cleo).role = Role::Member;
    let stranger = nobody();
    lied.roster.push(RosterRow {
        member: stranger,
        role: Role::Member,
        timed_out_until: Millis(0),
        left: false,
    });
    for who in [CLEO, BEN] {
        let refused = world.rooms[who].restore(&lied, NOW);
        assert!(matches!(refused, Err(EngineError::Rule(RuleError::NotFacilitator))));
    }
    let submission = world.rooms[FAY].restore(&lied, NOW).unwrap();
    assert!(submission.is_commit);
    let mut effects = submission.effects.clone();
    let place = |effects: &[Effect], wanted: &Effect| effects.iter().position(|e| e == wanted);
    let promotes = Effect::SetRole { member: cleo, role: Role::CoFacilitator };
    let demotes = Effect::SetRole { member: mal, role: Role::Member };
    assert!(place(&effects, &promotes) < place(&effects, &demotes));
    for wanted in [
        promotes,
        demotes,
        Effect::Remove { member: stranger },
        Effect::Timeout { member: ben, until: LATER },
        Effect::SetNumbers { numbers: honest.numbers },
        Effect::SetAgreement { agreement: honest.agreement },
    ] {
        let at = place(&effects, &wanted).unwrap_or_else(|| panic!("{wanted:?}"));
        effects.remove(at);
    }
    assert_eq!(effects, []);
    world.log.take(submission);
    world.show();
    assert_eq!(world.rooms[BEN].policy().unwrap().record.actor, fay);
    world.goes_on();
}
